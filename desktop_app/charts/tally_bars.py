"""Won, tied and lost as one bar, and a strength with its interval on a common scale: painted into table cells."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen

from desktop_app import theme


def paint_tally(painter: QPainter, rect: QRectF, parts: Sequence[int]) -> None:
    """Won, tied, lost from one end to the other, with their numbers; ties are hatched, so that colour alone tells nothing."""
    total = sum(parts)
    if total <= 0 or rect.width() < 8:
        return
    painter.save()
    left, inks = rect.left(), (theme.colour("good"), theme.colour("field_line"), theme.colour("error"))
    for number, (count, ink) in enumerate(zip(parts, inks, strict=True)):
        wide = rect.width() * count / total
        box = QRectF(left, rect.top(), max(0.0, wide - 1), rect.height())
        painter.fillRect(box, QBrush(ink, Qt.BrushStyle.BDiagPattern if number == 1 else Qt.BrushStyle.SolidPattern))
        if wide > 26:
            painter.setPen(theme.colour("ink" if number == 1 else "surface"))
            if number == 1:
                painter.fillRect(QRectF(box.center().x() - 12, box.top(), 24, box.height()), theme.colour("surface"))
            painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), str(count))
        left += wide
    painter.restore()


def paint_interval(
    painter: QPainter, rect: QRectF, low: float, value: float, high: float, span: tuple[float, float], colour: QColor
) -> None:
    """A mark at `value` with a line from `low` to `high`, where `span` goes from edge to edge."""
    least, most = span
    width = (most - least) or 1.0

    def at(number: float) -> float:
        return rect.left() + rect.width() * (number - least) / width

    middle = rect.center().y()
    painter.save()
    painter.setPen(QPen(colour, 2))
    painter.drawLine(QPointF(at(low), middle), QPointF(at(high), middle))
    for end in (low, high):
        painter.drawLine(QPointF(at(end), middle - 4), QPointF(at(end), middle + 4))
    painter.setBrush(colour)
    painter.drawEllipse(QPointF(at(value), middle), 4, 4)
    painter.restore()
