"""Teacher and student as small drawings: a bar for each layer, as wide as the model, with its neurons and its heads.

python -m desktop_app.charts.shape_drawing
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.shapes import Shape
from desktop_app import theme

HEIGHT = 96  # px, the least
PITCH = 14.0  # px, the most a layer takes with its gap
WIDEST = 280.0  # px, the most a drawing takes
GROUP = 10  # layers between two gaps, where each layer is too thin for a gap of its own
EXTREME = 8.0  # ratio of widths beyond which they are drawn by their square root


def drawn_widths(shapes: Iterable[Shape], room: float) -> list[tuple[float, float]]:
    """(hidden, intermediate) in pixels, true to scale in `room`; by the square root where the scale would hide one."""
    sizes = [(float(shape.hidden), float(shape.intermediate)) for shape in shapes]
    if not sizes:
        return []
    widest, narrowest = max(max(pair) for pair in sizes), min(min(pair) for pair in sizes)
    power = 0.5 if widest > EXTREME * narrowest else 1.0
    return [(room * (hidden / widest) ** power, room * (inner / widest) ** power) for hidden, inner in sizes]


class ShapeDrawing(QWidget):
    """The teacher's shape in grey beside the student's in the accent, both to one scale; the caption says the numbers."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._teacher: Shape | None = None
        self._student: Shape | None = None
        self._kept: frozenset[int] | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setSizePolicy(policy)
        self.setMinimumHeight(HEIGHT + 40)
        self.set_shapes(None, None)

    def set_shapes(self, teacher: Shape | None, student: Shape | None, kept: Iterable[int] | None = None) -> None:
        """Draw these. A shape alone, without a teacher, is drawn as one model.

        `kept` are the numbers of the teacher's layers that the student takes, from 0, where they are known.
        """
        self._teacher, self._student = teacher, student
        self._kept = None if kept is None else frozenset(kept)
        parts = [f"{title}: {words}" if title else words for title, words, _ in self._columns()]
        self.setAccessibleName(". ".join(parts))
        self.setToolTip(". ".join(self._whole(shape) for shape in (teacher, student) if shape))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(320, HEIGHT + 64)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(160, HEIGHT + 40)

    def caption(self, shape: Shape) -> str:
        layers = self.tr("1 layer") if shape.layers == 1 else self.tr("%d layers") % shape.layers
        heads = self.tr("1 head") if shape.heads == 1 else self.tr("%d heads") % shape.heads
        parts = (layers, self.tr("%d wide") % shape.hidden, heads)
        # it wraps between the parts only; the mark keeps figures before their words where text runs from the right
        return " · ".join("\u200e" + part.replace(" ", "\u00a0") for part in parts)

    def _whole(self, shape: Shape) -> str:
        told = (shape.layers, shape.hidden, shape.intermediate, shape.heads, shape.kv_heads, shape.vocabulary)
        return self.tr("%d layers, %d wide, %d neurons, %d heads (%d for keys and values), %d tokens") % told

    def _columns(self) -> list[tuple[str, str, Shape | None]]:
        """(title, caption or words, shape) of each column."""
        teacher, student = self._teacher, self._student
        if teacher is None:
            words = self.tr("The shapes of teacher and student will be drawn here.")
            return [("", self.caption(student) if student else words, student)]
        after = self.caption(student) if student else self.tr("Its shape follows from its size.")
        return [(self.tr("Teacher"), self.caption(teacher), teacher), (self.tr("Student"), after, student)]

    # painting

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = QFont(self.font())
        font.setPixelSize(theme.SMALL)
        painter.setFont(theme.tabular(font))
        columns = self._columns()
        gap = 2.0 * theme.SPACE
        width = (self.width() - gap * (len(columns) - 1)) / len(columns)
        shapes = [shape for *_, shape in columns if shape]
        widths = iter(drawn_widths(shapes, min(width, WIDEST)))
        deepest = max((shape.layers for shape in shapes), default=1)
        for number, (title, words, shape) in enumerate(columns):
            at = number if self.layoutDirection() == Qt.LayoutDirection.LeftToRight else len(columns) - 1 - number
            box = QRectF(at * (width + gap), 0, width, self.height())
            body = self._paint_words(painter, box, title, words, shape is not None)
            if shape is not None:
                self._paint_layers(painter, body, shape, next(widths), deepest)

    def _paint_words(self, painter: QPainter, box: QRectF, title: str, words: str, drawn: bool) -> QRectF:
        """The title above and the caption under a column; returns the room between them."""
        line = QFontMetricsF(painter.font()).height()
        top = line + 6 if title else 0.0
        painter.setPen(theme.colour("ink"))
        painter.drawText(QRectF(box.left(), 0, box.width(), line), Qt.AlignmentFlag.AlignHCenter, title)
        painter.setPen(theme.colour("muted"))
        wrap = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap
        if not drawn:
            painter.drawText(box.adjusted(8, top, -8, 0), wrap | Qt.AlignmentFlag.AlignVCenter, words)
            return QRectF()
        low = painter.boundingRect(QRectF(box.left(), 0, box.width(), 1000), wrap, words).height()
        painter.drawText(QRectF(box.left(), box.height() - low, box.width(), low), wrap, words)
        return QRectF(box.left(), top, box.width(), box.height() - top - low - 6)

    def _paint_layers(
        self, painter: QPainter, box: QRectF, shape: Shape, widths: tuple[float, float], deepest: int
    ) -> None:
        """Layers from the bottom up. The lighter bar is the neurons, the full one the width, the notches its heads."""
        pitch, gap, together = self._pitch(box.height(), deepest)
        bottom = math.floor(box.center().y() + pitch * deepest / 2)
        for first in range(0, shape.layers, together):
            count = min(together, shape.layers - first)
            role, hollow = self._look(shape, first, count)
            height = max(count * pitch - gap, 2 * gap)
            top = math.floor(bottom - (first + count) * pitch + gap)
            bars = [QRectF(box.center().x() - width / 2, top, max(width, 1.5), height) for width in widths]
            _paint_bar(painter, bars[1], role, 0.28, hollow=False)
            _paint_bar(painter, bars[0], role, 1.0, hollow=hollow)
            if together == 1 and height >= 4 and not hollow:
                _paint_heads(painter, bars[0], shape.heads)

    def _pitch(self, height: float, layers: int) -> tuple[float, float, int]:
        """(height of a layer with its gap, the gap, layers drawn as one) in whole pixels, or the gaps would shimmer."""
        dots = self.devicePixelRatioF()
        pitch = min(PITCH, height / layers)
        if pitch * dots < 2:  # too thin for gaps
            return pitch, 1 / dots, GROUP
        whole = math.floor(pitch * dots)
        return whole / dots, max(1, whole // 4) / dots, 1

    def _look(self, shape: Shape, first: int, count: int) -> tuple[str, bool]:
        """The colour's role of some layers, and whether they are hollow because the student leaves them out."""
        if shape is self._student:
            return "accent", False
        if self._kept is None:
            return "teacher", False
        kept = not self._kept.isdisjoint(range(first, first + count))
        return ("accent", False) if kept else ("teacher", True)


def _paint_bar(painter: QPainter, box: QRectF, role: str, alpha: float, *, hollow: bool) -> None:
    colour = QColor(theme.colour(role))
    colour.setAlphaF(alpha)
    painter.setPen(QPen(colour, 1) if hollow else Qt.PenStyle.NoPen)
    painter.setBrush(theme.colour("surface") if hollow else colour)
    round_by = min(3.0, box.height() / 3, box.width() / 3)
    painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5) if hollow else box, round_by, round_by)


def _paint_heads(painter: QPainter, bar: QRectF, heads: int) -> None:
    """A notch between each two heads, where they can be told apart."""
    step = bar.width() / heads
    if step < 4:
        return
    painter.setPen(QPen(theme.colour("surface"), 1))
    for number in range(1, heads):
        x = bar.left() + number * step
        painter.drawLine(QPointF(x, bar.top() + 1.5), QPointF(x, bar.bottom() - 1.5))


if __name__ == "__main__":
    from PySide6.QtWidgets import QApplication

    app = QApplication([])
    theme.apply(app, "system")
    llama = {"model_type": "llama", "kv_heads": 4, "head_dim": 32, "vocabulary": 4096, "context": 512, "tied": True}
    drawing = ShapeDrawing()
    drawing.set_shapes(
        Shape(layers=8, hidden=256, heads=8, intermediate=688, **llama),
        Shape(layers=4, hidden=160, heads=5, intermediate=432, **llama),
        kept=(0, 2, 5, 7),
    )
    drawing.resize(480, 180)
    drawing.show()
    app.exec()
