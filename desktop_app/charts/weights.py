"""How the values of a matrix lie before and after rounding: both in the same bins, the counts in powers of ten.

python -m desktop_app.charts.weights
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF

from core.numbers import count_text
from desktop_app import theme
from desktop_app.charts.bar_reader import BarReader

LEAST_HEIGHT = 200  # px
HEAD, FOOT, SIDE = 28.0, 40.0, 8.0  # px: room for the legend, for the axis with its title, and at the edges
EDGE = 40.0  # px: half of the last number of the axis


class WeightHistogram(BarReader):
    """Values before are filled, those after a line."""

    def __init__(self) -> None:
        super().__init__(LEAST_HEIGHT)
        self._largest = 0.0
        self._before: tuple[int, ...] = ()
        self._after: tuple[int, ...] = ()
        self.setAccessibleName(self.tr("Values before and after rounding"))

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(420, 280)

    def show_counts(self, largest: float, before: Sequence[int], after: Sequence[int]) -> None:
        """Both count values in the same bins from −`largest` to `largest`."""
        self._largest, self._before, self._after = largest, tuple(before), tuple(after)
        empty = sum(1 for one, other in zip(before, after, strict=True) if one and not other)
        filled = sum(1 for one in before if one)
        told = (
            self.tr("Of %d bins that hold values, %d are empty after rounding.")
            if before
            else self.tr("No matrix is picked.")
        )
        self.setAccessibleDescription(told % (filled, empty) if before else told)
        self.forget_bar()

    def bars(self) -> int:
        return len(self._before)

    def first_bar(self, move: int) -> int:
        return len(self._before) // 2

    def words_of(self, number: int) -> str:
        width = 2 * self._largest / len(self._before)
        low = -self._largest + number * width
        told = (f"{low:.3g}", f"{low + width:.3g}", f"{self._before[number]:,}", f"{self._after[number]:,}")
        return self.tr("From %s to %s: %s values before, %s after") % told

    # --- where things are ---------------------------------------------------------------------------------------------

    def _top(self) -> int:
        """The power of ten above the fullest bin."""
        return max(1, math.ceil(math.log10(max(1, *self._before, *self._after))))

    def _room(self) -> QRectF:
        wide = QFontMetricsF(self.small_font()).horizontalAdvance(count_text(10 ** self._top()))
        return QRectF(self.rect()).adjusted(wide + 2 * SIDE, HEAD, -EDGE, -FOOT)

    def _y(self, count: int, room: QRectF) -> float:
        share = (math.log10(count) + 0.3) / (self._top() + 0.3) if count else 0.0  # a single value is seen, too
        return room.bottom() - share * room.height()

    def bar_at(self, x: float) -> int | None:
        room = self._room()
        if not self._before or not room.left() <= x <= room.right():
            return None
        return min(len(self._before) - 1, int((x - room.left()) / room.width() * len(self._before)))

    # --- painting -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self.small_font())
        if not self._before:
            return
        room = self._room()
        self._paint_axes(painter, room)
        width = room.width() / len(self._before)
        for number, count in enumerate(self._before):
            box = QRectF(room.left() + number * width, self._y(count, room), max(1.0, width), 0)
            box.setBottom(room.bottom())
            painter.fillRect(box, theme.colour("ink" if number == self._at else "field_line"))
        line = QPolygonF()
        for number, count in enumerate(self._after):
            for x in (number, number + 1):
                line.append(QPointF(room.left() + x * width, self._y(count, room)))
        painter.setPen(QPen(theme.colour("accent"), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(line)
        self._paint_legend(painter, room)
        self.paint_focus(painter)

    def _paint_axes(self, painter: QPainter, room: QRectF) -> None:
        muted, line = theme.colour("muted"), theme.colour("line")
        top = self._top()
        for power in range(0, top + 1, 1 if top <= 4 else 2):
            y = self._y(10**power, room)
            painter.setPen(QPen(line, 1))
            painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
            painter.setPen(muted)
            side = QRectF(0, y - 10, room.left() - SIDE, 20)
            painter.drawText(
                side, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), count_text(10**power)
            )
        for share in (-1.0, -0.5, 0.0, 0.5, 1.0):
            x = room.center().x() + share * room.width() / 2
            text = f"{share * self._largest:.3g}".replace("-", "−")
            left = min(max(0.0, x - 40), self.width() - 80.0)
            painter.drawText(QRectF(left, room.bottom() + 4, 80, 16), int(Qt.AlignmentFlag.AlignCenter), text)
        foot = QRectF(room.left(), room.bottom() + 21, room.width(), 18)
        painter.drawText(
            foot, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), self.tr("Value of a weight")
        )
        painter.setPen(QPen(theme.colour("field_line"), 1))
        painter.drawLine(room.bottomLeft(), room.bottomRight())

    def _paint_legend(self, painter: QPainter, room: QRectF) -> None:
        x, middle = room.left(), HEAD / 2 - 2
        metrics = QFontMetricsF(self.small_font())
        for text, colour, height in (
            (self.tr("before"), "field_line", 10.0),
            (self.tr("after rounding"), "accent", 2.0),
        ):
            painter.fillRect(QRectF(x, middle - height / 2, 14, height), theme.colour(colour))
            painter.setPen(theme.colour("ink"))
            wide = metrics.horizontalAdvance(text)
            painter.drawText(QRectF(x + 20, middle - 10, wide + 2, 20), int(Qt.AlignmentFlag.AlignVCenter), text)
            x += 20 + wide + 20


if __name__ == "__main__":
    from PySide6.QtWidgets import QApplication

    app = QApplication([])
    theme.apply(app, "system")
    shown = WeightHistogram()
    bell = [round(10_000 * math.exp(-(((number - 50) / 14) ** 2))) for number in range(101)]
    shown.show_counts(0.21, bell, [2 * count if number % 2 else 0 for number, count in enumerate(bell)])
    shown.read_out.connect(print)
    shown.show()
    app.exec()
