"""What the student writes as it learns: the newest sample on top, its prompt muted."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent
from PySide6.QtGui import QTextBlockFormat, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit

from core.events import SampleWritten
from desktop_app import theme

MOST = 200  # samples on screen
LONGEST = 4000  # characters of one


class SamplesView(QTextEdit):
    """Read only. Who has scrolled down keeps the place; who is at the top sees each new one come."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setAcceptRichText(False)
        self.setUndoRedoEnabled(False)
        self.setAccessibleName(self.tr("Samples of what the student writes"))
        self.setPlaceholderText(self.tr("What the student writes appears here at each evaluation."))
        self.document().setDocumentMargin(theme.SPACE)
        self._shown: list[SampleWritten] = []

    def samples(self) -> list[SampleWritten]:
        return self._shown

    def set_samples(self, samples: Sequence[SampleWritten]) -> None:
        samples = list(samples)[-MOST:]
        if samples == self._shown:
            return
        old, self._shown = self._shown, samples
        if old and samples[: len(old)] == old:
            for sample in samples[len(old) :]:
                self._put_on_top(sample)
            return
        self.clear()
        for sample in samples:
            self._put_on_top(sample)
        self.moveCursor(QTextCursor.MoveOperation.Start)

    def _put_on_top(self, sample: SampleWritten) -> None:
        bar = self.verticalScrollBar()
        below = bar.maximum() - bar.value() if bar.value() > 0 else None
        empty = self.document().isEmpty()
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.Start)
        cursor.beginEditBlock()
        head, body = QTextBlockFormat(), QTextBlockFormat()
        body.setBottomMargin(2 * theme.SPACE)
        if not empty:
            cursor.insertBlock(head)  # what was there goes down
            cursor.movePosition(QTextCursor.MoveOperation.Start)
        cursor.setBlockFormat(head)
        cursor.insertText(self._heading(sample), _ink("muted", theme.SMALL))
        cursor.insertBlock(body)
        text = sample.text if len(sample.text) <= LONGEST else f"{sample.text[:LONGEST]} …"
        prompt = sample.prompt
        if prompt and text.startswith(prompt):  # some engines repeat the prompt in the text, some don't
            text = text[len(prompt) :]
        cursor.insertText(_one_block(prompt), _ink("muted"))
        cursor.insertText(_one_block(text), _ink("ink"))
        cursor.endEditBlock()
        if below is not None:
            bar.setValue(bar.maximum() - below)

    def _heading(self, sample: SampleWritten) -> str:
        step = self.tr("Step %s") % f"{sample.step:,}"
        return step if sample.subject == "student" else f"{step} · {sample.subject}"

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_shown", None):
            shown, self._shown = self._shown, []
            self.set_samples(shown)


def _ink(role: str, size: int = theme.BODY) -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(theme.colour(role))
    made.setProperty(QTextCharFormat.Property.FontPixelSize, size)
    return made


def _one_block(text: str) -> str:
    """Line breaks that stay within one paragraph; control characters made visible."""
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    shown = "".join(c if c == "\n" or c == "\t" or c.isprintable() or ord(c) > 0x9F else "�" for c in whole)
    return shown.replace("\n", "\u2028")
