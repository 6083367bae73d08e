"""What the engine of a run printed: the end of its log, followed while it is on screen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent, QTextCursor
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from core.errors import Trouble
from desktop_app import theme
from desktop_app.forms.field import button
from desktop_app.work import Latest

MOST_BYTES = 128_000  # of the log's end
LOOK_MS = 1000


@dataclass(frozen=True)
class Tail:
    """The end of a log file; `mark` tells one reading from the next, `whole` whether it is all of the file."""

    text: str
    mark: tuple[int, int] | None
    whole: bool = True


def read_tail(path: Path, known: tuple[int, int] | None) -> Tail | None:
    """The end of the log, or None if it is as it was. Raises Trouble if it can't be read."""
    try:
        with path.open("rb") as stream:
            about = os.fstat(stream.fileno())
            mark = (about.st_size, about.st_mtime_ns)
            if mark == known:
                return None
            stream.seek(max(0, about.st_size - MOST_BYTES))
            raw = stream.read()
    except FileNotFoundError:
        return None if known == (0, 0) else Tail("", (0, 0))
    except OSError as error:
        raise Trouble(f"{path} can't be read: {error.strerror}.", "Check its permissions and the disk.") from error
    whole = about.st_size <= MOST_BYTES
    lines = raw.decode("utf-8", errors="replace").split("\n")
    if not whole:
        lines = lines[1:]  # the first is torn
    # of a line that was drawn over and over, as progress bars are, the last is left
    return Tail("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines), mark, whole)


def same_start(old: str, new: str) -> int:
    """How many letters both begin with."""
    if new.startswith(old):
        return len(old)
    return next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))


def units(text: str) -> int:
    """How many places Qt counts for it: two where a letter lies beyond the first 65,536."""
    return len(text.encode("utf-16-le")) // 2


class LogView(QWidget):
    """Looks at the file once a second while it is visible."""

    copied = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._path: Path | None = None
        self._mark: tuple[int, int] | None = None
        self._shown = ""
        self._latest = Latest(self)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setUndoRedoEnabled(False)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setAccessibleName(self.tr("Log of the engine"))
        theme.set_role(self.text, "mono")
        self.follow = QCheckBox(self.tr("Follow"))
        self.follow.setChecked(True)
        self.follow.setToolTip(self.tr("Keep the end in sight as lines come"))
        self.copy = button(self.tr("Copy"), "copy")
        foot = QHBoxLayout()
        foot.addWidget(self.follow)
        foot.addStretch(1)
        foot.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.text, 1)
        layout.addLayout(foot)
        self._timer.timeout.connect(self.look)
        self.follow.toggled.connect(self._to_the_end)
        self.copy.clicked.connect(self._copy)

    def set_log(self, path: Path | None) -> None:
        """Show this log from now on."""
        if path != self._path:
            self._path, self._mark = path, None
            self._latest.drop()
            self._clear()
            self.text.setPlaceholderText(self.tr("Reading the log…") if path else "")
            if self.isVisible():
                self.look()

    def look(self) -> None:
        path, mark = self._path, self._mark
        if path is not None:
            self._latest.ask(lambda: read_tail(path, mark), self._take, self._refuse)

    def _take(self, tail: Tail | None) -> None:
        if tail is None:
            return
        head = "" if tail.whole else self.tr("… the beginning is left out; the file has it all\n")
        text = head + tail.text if tail.text else ""
        same = same_start(self._shown, text)
        chosen = self.text.textCursor()
        if chosen.hasSelection() and chosen.selectionEnd() > units(self._shown[:same]):
            return  # what the user has selected would go; the next look finds the news again
        self._mark = tail.mark
        bar = self.text.verticalScrollBar()
        before = bar.value()
        self.text.setPlaceholderText(self.tr("The engine has printed nothing."))
        self._replace_end(same, text)
        bar.setValue(bar.maximum() if self.follow.isChecked() and not chosen.hasSelection() else before)

    def _replace_end(self, same: int, text: str) -> None:
        """Show this text, which begins with as many letters of the old one, and leave selection and caret alone."""
        caret = self.text.textCursor()
        anchor, position = caret.anchor(), caret.position()
        end = QTextCursor(self.text.document())
        end.setPosition(units(self._shown[:same]))
        end.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        end.insertText(text[same:])
        self._shown = text
        last = self.text.document().characterCount() - 1
        caret.setPosition(min(anchor, last))
        caret.setPosition(min(position, last), QTextCursor.MoveMode.KeepAnchor)
        self.text.setTextCursor(caret)

    def _clear(self) -> None:
        self._shown = ""
        self.text.clear()

    def _refuse(self, trouble: Trouble) -> None:
        self._mark = None
        self._clear()
        self.text.setPlaceholderText(str(trouble))

    def _to_the_end(self, follow: bool) -> None:
        if follow:
            self.text.verticalScrollBar().setValue(self.text.verticalScrollBar().maximum())

    def _copy(self) -> None:
        chosen = self.text.textCursor().selectedText().replace("\u2029", "\n")
        QGuiApplication.clipboard().setText(chosen or self.text.toPlainText())
        self.copied.emit()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.look()
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._timer.stop()
