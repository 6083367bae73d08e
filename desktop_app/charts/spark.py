"""A curve in a table cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF


def paint_spark(painter: QPainter, rect: QRect | QRectF, values: Sequence[float], colour: QColor | str) -> None:
    """Draw `values` from edge to edge of `rect`, lowest at its foot, with a dot on the newest.

    One that is absent (NaN) leaves a gap. Nothing is drawn where there is no value.
    """
    room = QRectF(rect).adjusted(3, 3, -3, -3)
    finite = [value for value in values if math.isfinite(value)]
    if not finite or room.width() <= 0 or room.height() <= 0:
        return
    low, high = min(finite), max(finite)
    step = room.width() / max(1, len(values) - 1)

    def at(number: int, value: float) -> QPointF:
        share = (value - low) / (high - low) if high > low else 0.5
        return QPointF(room.left() + number * step, room.bottom() - share * room.height())

    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colour), 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    piece: list[QPointF] = []
    last = QPointF()
    for number, value in enumerate([*values, math.nan]):
        if math.isfinite(value):
            last = at(number, value)
            piece.append(last)
        elif piece:
            painter.drawPolyline(QPolygonF(piece)) if len(piece) > 1 else painter.drawPoint(piece[0])
            piece = []
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(last, 2.0, 2.0)
    painter.restore()
