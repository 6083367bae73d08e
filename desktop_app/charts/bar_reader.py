"""What histograms have in common: one bar at a time is read out, under the pointer or from key to key."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFont, QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop_app import theme


class BarReader(QWidget):
    """`read_out` says what is under the pointer, or that nothing is. Left and right arrows go from bar to bar."""

    read_out = Signal(str)

    def __init__(self, least_height: int) -> None:
        super().__init__()
        self._at: int | None = None  # the bar that is read out
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(least_height)

    # --- what a chart says by itself ----------------------------------------------------------------------------------

    def bars(self) -> int:
        """How many there are."""
        raise NotImplementedError

    def first_bar(self, move: int) -> int:
        """Where the keys begin: `move` is −1 for the left arrow and 1 for the right one."""
        raise NotImplementedError

    def bar_at(self, x: float) -> int | None:
        raise NotImplementedError

    def words_of(self, number: int) -> str:
        """What a bar says."""
        raise NotImplementedError

    # --- the same for all ---------------------------------------------------------------------------------------------

    def forget_bar(self) -> None:
        """Other bars come: nothing is read out."""
        self._at = None
        self.read_out.emit("")
        self.update()

    def small_font(self) -> QFont:
        font = theme.tabular(self.font())
        font.setPixelSize(theme.SMALL)
        return font

    def paint_focus(self, painter: QPainter) -> None:
        if self.hasFocus():
            painter.setPen(QPen(theme.colour("accent"), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS, theme.RADIUS)

    def _read(self, number: int | None) -> None:
        if number != self._at:
            self._at = number
            self.read_out.emit("" if number is None else self.words_of(number))
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._read(self.bar_at(event.position().x()))

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        self._read(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        move = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if move is None or not self.bars():
            super().keyPressEvent(event)
            return
        self._read(self.first_bar(move) if self._at is None else min(max(self._at + move, 0), self.bars() - 1))

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self._read(None)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()
