"""The one field for all columns: it grows with what is written, Return sends, Shift+Return is a new line, Esc stops the answers."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop_app import theme
from desktop_app.forms.field import button

MOST_LINES = 8


class Words(QPlainTextEdit):
    """`sent` on Return, `stopped` on Esc, `last_wanted` on the up arrow in an empty field."""

    sent = Signal()
    stopped = Signal()
    last_wanted = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setTabChangesFocus(True)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.textChanged.connect(self._fit)
        self._fit()

    def _fit(self) -> None:
        line = self.fontMetrics().lineSpacing()
        lines = max(1, min(MOST_LINES, int(self.document().size().height())))
        self.setFixedHeight(lines * line + 2 * 11)

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._fit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(120, 40)

    def event(self, event: QEvent) -> bool:
        """Esc is for the field before it is for the page."""
        asked = event.type() == QEvent.Type.ShortcutOverride
        if asked and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        keys, plain = event.key(), event.modifiers() == Qt.KeyboardModifier.NoModifier
        keypad = event.modifiers() == Qt.KeyboardModifier.KeypadModifier
        control = event.modifiers() == Qt.KeyboardModifier.ControlModifier
        if keys in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and (plain or keypad or control):
            self.sent.emit()
        elif keys == Qt.Key.Key_Escape:
            self.stopped.emit()
        elif keys == Qt.Key.Key_Up and not self.toPlainText():
            self.last_wanted.emit()
        else:
            super().keyPressEvent(event)


class Composer(QFrame):
    """The field and its button, which sends, or stops what is being written."""

    said = Signal(str)
    stop_wanted = Signal()
    last_wanted = Signal()  # to edit what was said last

    def __init__(self) -> None:
        super().__init__()
        self.words = Words(self.tr("Your message to all models"))
        self.send = button(self.tr("Send"), "send", "primary")
        self.stop = button(self.tr("Stop"), "stop", "primary")
        self.stop.setToolTip(self.tr("Esc"))
        self.extras = QHBoxLayout()
        self.extras.setSpacing(theme.SPACE)
        self._why_not, self._busy = "", False
        self._buttons = QStackedWidget()  # of one width: the field stays as it is
        for one in (self.send, self.stop):
            one.setMinimumHeight(self.words.minimumHeight())
            self._buttons.addWidget(one)
        self._buttons.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Maximum)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self.words, 1)
        row.addWidget(self._buttons, alignment=Qt.AlignmentFlag.AlignBottom)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(row)
        layout.addLayout(self.extras)
        self.setFocusProxy(self.words)
        self.words.sent.connect(self._send)
        self.words.stopped.connect(self.stop_wanted)
        self.words.last_wanted.connect(self.last_wanted)
        self.words.textChanged.connect(self._look)
        self.send.clicked.connect(self._send)
        self.stop.clicked.connect(self.stop_wanted)
        self._look()

    def set_hint(self, text: str) -> None:
        self.words.setPlaceholderText(text)

    def set_state(self, *, busy: bool, why_not: str = "") -> None:
        """Whether answers are being written now, and why nothing can be said."""
        if (busy, why_not) != (self._busy, self._why_not):
            self._busy, self._why_not = busy, why_not
            self._look()

    def put(self, text: str) -> None:
        """Put words into the field: what could not be said, or a suggestion."""
        self.words.setPlainText(text)
        self.words.moveCursor(self.words.textCursor().MoveOperation.End)
        self.words.setFocus()

    def _look(self) -> None:
        why_not = self._why_not or ("" if self.words.toPlainText().strip() else self.tr("Write something first."))
        self._buttons.setCurrentWidget(self.stop if self._busy else self.send)
        self.send.setEnabled(not why_not)
        self.send.setToolTip(why_not or self.tr("Return"))

    def _send(self) -> None:
        if self._busy or not self.send.isEnabled():
            return
        text = self.words.toPlainText()
        self.words.clear()
        self.said.emit(text)
