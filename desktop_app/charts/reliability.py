"""How sure a model is against how often it is right: a mark for each range of confidence, and the line of one that is just as right as sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop_app import theme
from desktop_app.charts.markers import paint_marker

ABSOLUTE = Qt.AlignmentFlag.AlignAbsolute
LEFT, FOOT, EDGE = 44.0, 38.0, 10.0  # px
SMALLEST, LARGEST = 5.0, 13.0  # px: marks by the tokens that they stand for


class ReliabilityChart(QWidget):
    """`curve` as results have it: confidence, accuracy and tokens of each range."""

    def __init__(self) -> None:
        super().__init__()
        self._curve: tuple[tuple[float, float, int], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Reliability curve"))

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(320, 240)

    def show_curve(self, curve: Sequence[Mapping[str, Any]]) -> None:
        self._curve = tuple((float(row["confidence"]), float(row["accuracy"]), int(row["tokens"])) for row in curve)
        told = [self.tr("sure %.2f, right %.2f") % (sure, right) for sure, right, _ in self._curve]
        self.setAccessibleDescription("; ".join(told))
        self.setToolTip("\n".join(told))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = theme.tabular(self.font())
        font.setPixelSize(theme.SMALL)
        painter.setFont(font)
        side = min(self.width() - LEFT - EDGE, self.height() - FOOT - EDGE)
        room = QRectF(LEFT, EDGE, side, side)
        self._paint_axes(painter, room)
        at = [QPointF(room.left() + sure * side, room.bottom() - right * side) for sure, right, _ in self._curve]
        painter.setPen(QPen(theme.colour("accent"), 1.5))
        painter.drawPolyline(QPolygonF(at))
        most = max((tokens for *_, tokens in self._curve), default=1)
        for point, (*_, tokens) in zip(at, self._curve, strict=True):
            size = SMALLEST + (LARGEST - SMALLEST) * (tokens / most) ** 0.5
            paint_marker(painter, point, 0, theme.colour("accent"), size)

    def _paint_axes(self, painter: QPainter, room: QRectF) -> None:
        for share in (0.0, 0.5, 1.0):
            x, y = room.left() + share * room.width(), room.bottom() - share * room.height()
            painter.setPen(QPen(theme.colour("line"), 1))
            painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
            painter.setPen(theme.colour("muted"))
            side = int(Qt.AlignmentFlag.AlignRight | ABSOLUTE | Qt.AlignmentFlag.AlignVCenter)
            painter.drawText(QRectF(0, y - 9, LEFT - 8, 18), side, f"{share:g}")
            painter.drawText(QRectF(x - 20, room.bottom() + 3, 40, 16), int(Qt.AlignmentFlag.AlignCenter), f"{share:g}")
        painter.drawText(
            QRectF(room.left(), room.bottom() + 19, room.width(), 16),
            int(Qt.AlignmentFlag.AlignCenter),
            self.tr("how sure it is"),
        )
        beside = QRectF(room.right() + 12, room.top(), max(0.0, self.width() - room.right() - 16), room.height())
        words = self.tr(
            "Up: how often it is right. On the dashed line it is just as right as sure; below it, too sure."
        )
        painter.drawText(beside, int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop), words)
        painter.setPen(QPen(theme.colour("field_line"), 1, Qt.PenStyle.DashLine))
        painter.drawLine(room.bottomLeft(), room.topRight())

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()
