"""A page or table with nothing in it: what that means, and the way on."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.forms.field import button
from desktop_app.icons import icon
from desktop_app.sign import Sign


class Empty(QWidget):
    """An icon, a sentence, perhaps another, and buttons; the first is the primary one."""

    acted = Signal(str)  # which button

    def __init__(self) -> None:
        super().__init__()
        self._told: tuple[str, str, str, tuple[tuple[str, str], ...]] | None = None
        self.sign = Sign(size=40)
        self.title, self.words = QLabel(), QLabel()
        theme.set_role(self.title, "title")
        theme.set_role(self.words, "muted")
        for label in (self.title, self.words):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
            label.setMaximumWidth(theme.FORM_WIDTH)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(theme.SPACE)
        layout = QVBoxLayout(self)
        layout.setSpacing(2 * theme.SPACE)
        layout.addStretch(2)
        layout.addWidget(self.sign, alignment=Qt.AlignmentFlag.AlignHCenter)
        for label in (self.title, self.words):
            line = QHBoxLayout()  # in the middle, and no wider than eyes like to read
            line.addStretch(1)
            line.addWidget(label, 100)
            line.addStretch(1)
            layout.addLayout(line)
        layout.addLayout(self._buttons)
        layout.addStretch(3)

    def say(self, sign: str, title: str, text: str, buttons: Sequence[tuple[str, str]]) -> None:
        """`buttons` are (name, text); `acted` names the one that was pressed."""
        told = (sign, title, text, tuple(buttons))
        if told == self._told:
            return
        self._told = told
        self.sign.set_icon(icon(sign, "error" if sign == "error" else "muted"))
        self.title.setText(title)
        self.words.setText(text)
        self.words.setVisible(bool(text))
        while (item := self._buttons.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._buttons.addStretch(1)
        for at, (name, words) in enumerate(buttons):
            made = button(words, role=None if at else "primary")
            made.clicked.connect(lambda _=False, name=name: self.acted.emit(name))
            self._buttons.addWidget(made)
        self._buttons.addStretch(1)
