"""An icon by itself, which follows the theme and is sharp at every scale. What it means stands in words beside it."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QIcon, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget


class Sign(QWidget):
    def __init__(self, shown: QIcon | None = None, size: int = 16) -> None:
        super().__init__()
        self._icon, self._size = shown or QIcon(), size
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_icon(self, shown: QIcon) -> None:
        self._icon = shown
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(self._size, self._size)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        self._icon.paint(QPainter(self), self.rect())
