"""The rail at the window's edge: one button a page, settings and help at its foot."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QToolButton, QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.icons import icon

WIDTH = 92


class Rail(QFrame):
    """`chosen` carries the name of a page; `help_wanted` the button to open the menu at."""

    chosen = Signal(str)
    help_wanted = Signal(object)

    def __init__(self, pages: Sequence[tuple[str, str]], foot: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        theme.set_role(self, "rail")
        self.setFixedWidth(WIDTH)
        self.setAccessibleName(self.tr("Pages"))
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._buttons: dict[str, QToolButton] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE, 2 * theme.SPACE, theme.SPACE, theme.SPACE)
        layout.setSpacing(4)
        for name, text in pages:
            layout.addWidget(self._page_button(name, text))
        layout.addStretch(1)
        for name, text in foot:
            layout.addWidget(self._page_button(name, text))
        self.help = _button("help", self.tr("Help"))
        self.help.clicked.connect(lambda: self.help_wanted.emit(self.help))
        layout.addWidget(self.help)
        self._group.buttonToggled.connect(self._colour)

    def button(self, name: str) -> QToolButton:
        return self._buttons[name]

    def show_page(self, name: str) -> None:
        """Mark a page as open; none of them for one that is not in the rail."""
        self._group.setExclusive(False)
        for each, button in self._buttons.items():
            button.setChecked(each == name)
        self._group.setExclusive(True)

    def _page_button(self, name: str, text: str) -> QWidget:
        button = _button(name, text)
        button.setCheckable(True)
        self._group.addButton(button)
        self._buttons[name] = button
        button.clicked.connect(lambda: self.chosen.emit(name))
        return button

    def _colour(self, button: QToolButton, checked: bool) -> None:
        name = next(name for name, one in self._buttons.items() if one is button)
        button.setIcon(icon(name, "accent" if checked else "muted"))


def _button(icon_name: str, text: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setIcon(icon(icon_name, "muted"))
    button.setIconSize(QSize(theme.ICON, theme.ICON))
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
    button.setFixedSize(WIDTH - 2 * theme.SPACE, 56)
    theme.set_role(button, "rail")
    return button
