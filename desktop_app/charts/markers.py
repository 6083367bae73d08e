"""Marks that tell models apart without their colour: a circle, a square, a triangle and so on, filled or hollow."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPen, QPixmap, QPolygonF

CORNERS = (0, 4, 3, -4, 5, -3, 6, 8)  # 0 is a circle; with a minus it stands on its tip


def paint_marker(
    painter: QPainter, at: QPointF, number: int, colour: QColor | str, size: float = 8.0, *, hollow_on: str = ""
) -> None:
    """The mark of the `number`-th model, `size` px across. With `hollow_on`, the colour of the ground, it is only an outline."""
    ink = QColor(colour)
    painter.save()
    painter.setPen(QPen(ink, 1.5))
    painter.setBrush(QColor(hollow_on) if hollow_on else ink)
    corners, radius = CORNERS[number % len(CORNERS)], size / 2
    if corners == 0:
        painter.drawEllipse(at, radius, radius)
    else:
        painter.drawPolygon(QPolygonF(_corners(at, corners, radius * (1.25 if abs(corners) < 5 else 1.1))))
    painter.restore()


def _corners(at: QPointF, corners: int, radius: float) -> list[QPointF]:
    count = abs(corners)
    turn = -math.pi / 2 if corners in (3, 5, 6, 8, -4) else math.pi / 2 if corners == -3 else -math.pi / 4
    angles = [turn + 2 * math.pi * place / count for place in range(count)]
    return [QPointF(at.x() + radius * math.cos(angle), at.y() + radius * math.sin(angle)) for angle in angles]


class _Marker(QIconEngine):
    def __init__(self, number: int, colour: str, *, hollow_on: str) -> None:
        super().__init__()
        self._number, self._colour, self._hollow_on = number, colour, hollow_on

    def paint(self, painter: QPainter, rect: object, mode: QIcon.Mode, state: QIcon.State) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = QRectF(rect)  # type: ignore[call-overload]
        paint_marker(painter, room.center(), self._number, self._colour, 0.6 * room.height(), hollow_on=self._hollow_on)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        made = QPixmap(size)
        made.fill(Qt.GlobalColor.transparent)
        painter = QPainter(made)
        self.paint(painter, made.rect(), mode, state)
        painter.end()
        return made

    def clone(self) -> QIconEngine:
        return _Marker(self._number, self._colour, hollow_on=self._hollow_on)


def marker_icon(number: int, colour: str, *, hollow_on: str = "") -> QIcon:
    """The mark as an icon, as the chart draws it."""
    return QIcon(_Marker(number, colour, hollow_on=hollow_on))
