"""What the student writes as it learns, when it is evaluated and to be taught on: the newest sample on top, its prompt muted."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent
from PySide6.QtGui import QTextBlockFormat, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit, QVBoxLayout, QWidget

from core.events import SampleWritten
from desktop_app import theme
from desktop_app.forms import Segmented

MOST = 200  # samples on screen
LONGEST = 4000  # characters of one
ON_POLICY = "on-policy"  # the subject of what the student wrote to be taught on


class SamplesPane(QWidget):
    """The samples of the evaluations, and apart from them, where there are any, those that the student was taught on."""

    def __init__(self) -> None:
        super().__init__()
        self.choice = Segmented([("evaluated", self.tr("At evaluations")), ("own", self.tr("While learning"))])
        self.choice.setAccessibleName(self.tr("Which samples"))
        self.evaluated = SamplesView()
        self.own = SamplesView()
        self.own.setAccessibleName(self.tr("Samples of the student's own words that the teacher judged"))
        self.own.setPlaceholderText(self.tr("What the student wrote and was taught on appears here."))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.choice)
        layout.addWidget(self.evaluated, 1)
        layout.addWidget(self.own, 1)
        self.choice.chosen.connect(lambda _: self._show_chosen())
        self._show_chosen()

    def set_samples(self, samples: Sequence[SampleWritten]) -> None:
        self.own.set_samples([sample for sample in samples if sample.subject == ON_POLICY])
        self.evaluated.set_samples([sample for sample in samples if sample.subject != ON_POLICY])
        self._show_chosen()

    def _show_chosen(self) -> None:
        both = bool(self.own.samples())
        self.choice.setVisible(both)
        own = both and self.choice.value() == "own"
        self.own.setVisible(own)
        self.evaluated.setVisible(not own)


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
        cursor.insertText(self._heading(sample), ink_format("muted", theme.SMALL))
        cursor.insertBlock(body)
        text = sample.text if len(sample.text) <= LONGEST else f"{sample.text[:LONGEST]} …"
        prompt = sample.prompt
        if prompt and text.startswith(prompt):  # some engines repeat the prompt in the text, some don't
            text = text[len(prompt) :]
        cursor.insertText(one_block(prompt), ink_format("muted"))
        cursor.insertText(one_block(text), ink_format("ink"))
        cursor.endEditBlock()
        if below is not None:
            bar.setValue(bar.maximum() - below)

    def _heading(self, sample: SampleWritten) -> str:
        step = self.tr("Step %s") % f"{sample.step:,}"
        return step if sample.subject in ("student", ON_POLICY) else f"{step} · {sample.subject}"

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_shown", None):
            shown, self._shown = self._shown, []
            self.set_samples(shown)


def ink_format(role: str, size: int = theme.BODY) -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(theme.colour(role))
    made.setProperty(QTextCharFormat.Property.FontPixelSize, size)
    return made


def one_block(text: str) -> str:
    """Line breaks that stay within one paragraph; control characters made visible."""
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    shown = "".join(c if c == "\n" or c == "\t" or c.isprintable() or ord(c) > 0x9F else "�" for c in whole)
    return shown.replace("\n", "\u2028")
