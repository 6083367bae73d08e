"""How long rows are: a bar for each range of lengths on an axis in powers, and the context that a model has as an upright.

python -m desktop_app.charts.histogram
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QFontMetricsF, QPainter, QPaintEvent, QPen

from core.numbers import count_text
from desktop_app import theme
from desktop_app.charts import ticks
from desktop_app.charts.bar_reader import BarReader

LEAST_HEIGHT = 180  # px
TOP, FOOT, SIDE = 24.0, 40.0, 8.0  # px: room for the context's name, for the axis with its title, and at the edges


class Histogram(BarReader):
    """Bars of counts, the context among them."""

    def __init__(self) -> None:
        super().__init__(LEAST_HEIGHT)
        self._edges: tuple[float, ...] = ()
        self._counts: tuple[int, ...] = ()
        self._context: int | None = None
        self._unit = self._rows = ""

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, 240)

    def show_counts(
        self, edges: Sequence[float], counts: Sequence[int], context: int | None, unit: str, rows: str
    ) -> None:
        """Bar i has `counts[i]` rows of a length from edges[i] to below edges[i+1]. `unit` and `rows` are words for both."""
        self._edges, self._counts = tuple(map(float, edges)), tuple(counts)
        self._context, self._unit, self._rows = context, unit, rows
        name = self.tr("Histogram of lengths in %s") % unit
        self.setAccessibleName(name)
        self.setAccessibleDescription(self._description())
        self.forget_bar()

    def bars(self) -> int:
        return len(self._counts)

    def first_bar(self, move: int) -> int:
        return 0 if move > 0 else len(self._counts) - 1

    # --- words --------------------------------------------------------------------------------------------------------

    def words_of(self, number: int) -> str:
        low, high = int(self._edges[number]), int(self._edges[number + 1]) - 1
        span = f"{low:,}" if high <= low else f"{low:,}–{high:,}"
        share = self._counts[number] / max(1, sum(self._counts))
        told = (span, self._unit, f"{self._counts[number]:,}", self._rows, f"{share:.1%}")
        return self.tr("%s %s: %s %s, %s") % told

    def _description(self) -> str:
        if not any(self._counts):
            return self.tr("No rows.")
        fullest = max(range(len(self._counts)), key=self._counts.__getitem__)
        most = self.tr("Most rows have %s.") % self.words_of(fullest)
        cut = self.tr("The context is %s.") % f"{self._context:,}" if self._context is not None else ""
        return f"{most} {cut}".strip()

    # --- where things are ---------------------------------------------------------------------------------------------

    def _room(self) -> QRectF:
        wide = max((self._metrics().horizontalAdvance(text) for _, text in self._y_ticks()), default=0.0)
        return QRectF(self.rect()).adjusted(wide + 2 * SIDE, TOP, -2 * SIDE, -FOOT)

    def _metrics(self) -> QFontMetricsF:
        return QFontMetricsF(self.small_font())

    def _span(self) -> tuple[float, float]:
        """What the axis goes from and to; the context is in sight where it is not far out."""
        low, high = max(1.0, self._edges[0]), max(2.0, self._edges[-1])
        if self._context is not None and high < self._context <= 4 * high:
            high = self._context * 1.1
        return low, high

    def _x(self, value: float, room: QRectF) -> float:
        low, high = self._span()
        share = math.log(max(value, low) / low) / math.log(high / low)
        return room.left() + share * room.width()

    def _box(self, number: int, room: QRectF) -> QRectF:
        left, right = self._x(self._edges[number], room), self._x(self._edges[number + 1], room)
        height = room.height() * self._counts[number] / self._most()
        gap = 1.0 if right - left > 4 else 0.0
        return QRectF(left, room.bottom() - height, max(1.0, right - left - gap), height)

    def _most(self) -> float:
        return max(1, *self._counts)

    def _y_ticks(self) -> list[tuple[float, str]]:
        places = ticks.whole(0, self._most(), 4) if self._counts else []
        return list(zip(places, ticks.y_texts("count", places), strict=True))

    def bar_at(self, x: float) -> int | None:
        room = self._room()
        if not self._counts or not room.left() <= x <= room.right():
            return None
        rights = [self._x(edge, room) for edge in self._edges[1:]]
        number = bisect.bisect_right(rights, x)
        return number if number < len(self._counts) else None

    # --- painting -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self.small_font())
        if not self._counts:
            return
        room = self._room()
        self._paint_axes(painter, room)
        self._paint_bars(painter, room)
        if self._context is not None:
            self._paint_context(painter, room, self._context)
        self.paint_focus(painter)

    def _paint_axes(self, painter: QPainter, room: QRectF) -> None:
        muted, line = theme.colour("muted"), theme.colour("line")
        for value, text in self._y_ticks():
            y = room.bottom() - room.height() * value / self._most()
            painter.setPen(QPen(line, 1))
            painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
            painter.setPen(muted)
            side = QRectF(0, y - 10, room.left() - SIDE, 20)
            painter.drawText(side, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), text)
        low, high = self._span()
        for value in ticks.logarithmic(low, high, max(2, int(room.width() // 72))):
            x = self._x(value, room)
            painter.setPen(QPen(line, 1))
            painter.drawLine(QPointF(x, room.bottom()), QPointF(x, room.bottom() + 4))
            painter.setPen(muted)
            painter.drawText(QRectF(x - 40, room.bottom() + 5, 80, 16), int(Qt.AlignmentFlag.AlignCenter), count_text(value))  # fmt: skip
        title = self.tr("Length in %s") % self._unit
        foot = QRectF(room.left(), room.bottom() + 21, room.width(), 18)
        painter.drawText(foot, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), title)

    def _paint_bars(self, painter: QPainter, room: QRectF) -> None:
        """Bars beyond the context are hatched: they are cut off there."""
        painter.setPen(Qt.PenStyle.NoPen)
        for number, count in enumerate(self._counts):
            if not count:
                continue
            box = self._box(number, room)
            box.setTop(min(box.top(), room.bottom() - 1))
            cut = self._context is not None and self._edges[number] > self._context
            colour = theme.colour("warning" if cut else "accent")
            if number == self._at:
                colour = theme.colour("ink")
            if cut:
                painter.fillRect(box, theme.colour("raised"))
            painter.fillRect(box, QBrush(colour, Qt.BrushStyle.BDiagPattern if cut else Qt.BrushStyle.SolidPattern))
        painter.setPen(QPen(theme.colour("field_line"), 1))
        painter.drawLine(room.bottomLeft(), room.bottomRight())

    def _paint_context(self, painter: QPainter, room: QRectF, context: int) -> None:
        low, high = self._span()
        text = self.tr("context %s") % f"{context:,}"
        painter.setPen(theme.colour("ink"))
        head = QRectF(room.left(), 2, room.width(), TOP - 6)
        if context > high:
            side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(head, int(side), self.tr("all within the context of %s") % f"{context:,}")
            return
        x = self._x(max(low, context), room)
        painter.setPen(QPen(theme.colour("ink"), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, room.top() - 4), QPointF(x, room.bottom()))
        wide = self._metrics().horizontalAdvance(text)
        left = min(max(head.left(), x - wide / 2), head.right() - wide)
        painter.setPen(theme.colour("ink"))
        painter.drawText(QRectF(left, head.top(), wide + 2, head.height()), int(Qt.AlignmentFlag.AlignCenter), text)


if __name__ == "__main__":
    from PySide6.QtWidgets import QApplication

    app = QApplication([])
    theme.apply(app, "system")
    shown = Histogram()
    shown.show_counts([1, 2, 4, 8, 16, 32, 64, 128], [1, 5, 18, 40, 66, 21, 3], 48, "tokens", "rows")
    shown.read_out.connect(print)
    shown.show()
    app.exec()
