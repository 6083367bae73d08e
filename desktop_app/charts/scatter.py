"""Models as marks on two axes: quality against a cost, with the Pareto front, or one ability against another.

python -m desktop_app.charts.scatter
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop_app import theme
from desktop_app.charts import ticks
from desktop_app.charts.markers import paint_marker

ABSOLUTE = Qt.AlignmentFlag.AlignAbsolute
PAGE = QSize(960, 620)  # px, of an exported picture
NEAR = 22.0  # px: so far from a mark the pointer still means it
LINE = 17.0
LEFT, RIGHT, TOP, FOOT = 64.0, 24.0, 14.0, 44.0


@dataclass(frozen=True)
class Point:
    """A model. `x_text` and `y_text` are the values as they are read out; `error` is the standard error of y."""

    name: str
    colour: str
    number: int
    x: float
    y: float
    x_text: str
    y_text: str
    error: float | None = None


@dataclass(frozen=True)
class Axes:
    """What the axes are: titles with units, the kind of the x values, and whether x goes in powers."""

    x: str
    y: str
    unit: ticks.Unit = "count"
    log: bool = True


class ScatterChart(QWidget):
    """`show_points` draws; `front` are the places of the points that no other one beats, by x."""

    read_out = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.points: tuple[Point, ...] = ()
        self.front: tuple[int, ...] = ()
        self._axes = Axes("", "")
        self._empty = ""
        self._at: int | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(320, 240)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(640, 400)

    def show_points(self, points: Sequence[Point], axes: Axes, front: Sequence[int] = (), empty: str = "") -> None:
        self.points, self._axes, self.front, self._empty = tuple(points), axes, tuple(front), empty
        self._at = None
        self.setAccessibleName(f"{axes.y}, {axes.x}")
        self.setAccessibleDescription(" ".join(self.words_of(place) for place in range(len(self.points))) or empty)
        self.update()

    def words_of(self, place: int) -> str:
        point = self.points[place]
        best = " " + self.tr("On the Pareto front.") if place in self.front else ""
        return f"{point.name}: {self._axes.x} {point.x_text}, {self._axes.y} {point.y_text}.{best}"

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.draw(painter, QRectF(self.rect()), self._at)
        if self.hasFocus():
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.RADIUS, theme.RADIUS)

    def draw(self, painter: QPainter, whole: QRectF, at: int | None = None) -> None:
        painter.save()
        painter.setFont(self._font())
        if not self.points:
            painter.setPen(theme.colour("muted"))
            painter.drawText(
                whole.adjusted(24, 24, -24, -24),
                int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap),
                self._empty,
            )
        else:
            room = _room(whole)
            self._draw_axes(painter, room)
            self._draw_front(painter, room)
            self._draw_points(painter, room)
            if at is not None:
                self._draw_readout(painter, room, at)
        painter.restore()

    def _font(self, *, bold: bool = False) -> QFont:
        font = theme.tabular(self.font())
        font.setPixelSize(theme.SMALL)
        font.setBold(bold)
        return font

    def _logs(self) -> bool:
        return self._axes.log and all(point.x > 0 for point in self.points)

    def _span(self, values: Sequence[float]) -> tuple[float, float]:
        low, high = min(values), max(values)
        slack = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        return low - slack, high + slack

    def _spans(self) -> tuple[tuple[float, float], tuple[float, float]]:
        xs = [math.log10(point.x) if self._logs() else point.x for point in self.points]
        ys = [point.y + sign * (point.error or 0.0) for point in self.points for sign in (-1, 1)]
        return self._span(xs), self._span(ys)

    def _place(self, room: QRectF, x: float, y: float) -> QPointF:
        (x0, x1), (y0, y1) = self._spans()
        across = ((math.log10(x) if self._logs() else x) - x0) / (x1 - x0)
        return QPointF(room.left() + across * room.width(), room.bottom() - (y - y0) / (y1 - y0) * room.height())

    def _draw_axes(self, painter: QPainter, room: QRectF) -> None:
        (x0, x1), (y0, y1) = self._spans()
        line, muted = theme.colour("line"), theme.colour("muted")
        across, up = ticks.linear(y0, y1, max(2, int(room.height() // 48))), self._x_ticks(x0, x1, room)
        for value, text in zip(across, ticks.y_texts("number", across), strict=True):
            y = room.bottom() - (value - y0) / (y1 - y0) * room.height()
            painter.setPen(QPen(line, 1))
            painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
            painter.setPen(muted)
            painter.drawText(
                QRectF(room.left() - LEFT, y - 9, LEFT - 8, 18),
                int(Qt.AlignmentFlag.AlignRight | ABSOLUTE | Qt.AlignmentFlag.AlignVCenter),
                text,
            )
        for value, text in up:
            x = self._place(room, value, y0).x()
            painter.setPen(QPen(line, 1))
            painter.drawLine(QPointF(x, room.bottom()), QPointF(x, room.bottom() + 4))
            painter.setPen(muted)
            painter.drawText(QRectF(x - 45, room.bottom() + 5, 90, LINE), int(Qt.AlignmentFlag.AlignCenter), text)
        painter.setPen(QPen(theme.colour("field_line"), 1))
        painter.drawLine(room.bottomLeft(), room.bottomRight())
        painter.setPen(muted)
        painter.drawText(
            QRectF(room.left(), room.bottom() + 23, room.width(), LINE),
            int(Qt.AlignmentFlag.AlignRight | ABSOLUTE),
            self._axes.x,
        )
        painter.save()
        painter.translate(room.left() - LEFT + 2, room.center().y())
        painter.rotate(-90)
        painter.drawText(
            QRectF(-room.height() / 2, 0, room.height(), LINE), int(Qt.AlignmentFlag.AlignCenter), self._axes.y
        )
        painter.restore()

    def _x_ticks(self, low: float, high: float, room: QRectF) -> list[tuple[float, str]]:
        most = max(2, int(room.width() // 96))
        values = ticks.logarithmic(10**low, 10**high, most) if self._logs() else ticks.linear(low, high, most)
        return list(
            zip(values, [ticks.value_text(self._axes.unit, value) if value else "0" for value in values], strict=True)
        )

    def _draw_front(self, painter: QPainter, room: QRectF) -> None:
        if len(self.front) > 1:
            corners = [self._place(room, self.points[place].x, self.points[place].y) for place in self.front]
            painter.setPen(QPen(theme.colour("muted"), 1.25, Qt.PenStyle.DashLine))
            painter.drawPolyline(QPolygonF(corners))

    def _draw_points(self, painter: QPainter, room: QRectF) -> None:
        taken = [
            QRectF(at.x() - 6, at.y() - 6, 12, 12)
            for point in self.points
            for at in [self._place(room, point.x, point.y)]
        ]
        for place, point in enumerate(self.points):
            at = self._place(room, point.x, point.y)
            if point.error:
                painter.setPen(QPen(theme.colour("field_line"), 1))
                painter.drawLine(
                    self._place(room, point.x, point.y - point.error), self._place(room, point.x, point.y + point.error)
                )
            paint_marker(painter, at, point.number, point.colour, 10)
            self._draw_name(painter, room, at, point.name, taken, bold=place in self.front)

    def _draw_name(
        self, painter: QPainter, room: QRectF, at: QPointF, name: str, taken: list[QRectF], *, bold: bool
    ) -> None:
        """Beside its mark, where nothing else stands yet; nowhere if there is no such place (the read-out names it)."""
        painter.setFont(self._font(bold=bold))
        metrics = QFontMetricsF(painter.font())
        text = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, 180)
        wide = metrics.horizontalAdvance(text) + 2
        tries = ((9, -LINE / 2), (-9 - wide, -LINE / 2), (-wide / 2, -LINE - 7), (-wide / 2, 7), (9, -LINE - 4), (9, 4))
        for dx, dy in tries:
            box = QRectF(at.x() + dx, at.y() + dy, wide, LINE)
            if room.adjusted(0, -10, 12, 0).contains(box) and not any(box.intersects(other) for other in taken):
                painter.setPen(theme.colour("ink"))
                painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), text)
                taken.append(box)
                return

    def _draw_readout(self, painter: QPainter, room: QRectF, place: int) -> None:
        point, metrics = self.points[place], QFontMetricsF(self._font(bold=True))
        rows = [point.name, f"{self._axes.x}: {point.x_text}", f"{self._axes.y}: {point.y_text}"]
        rows += [self.tr("On the Pareto front")] if place in self.front else []
        wide = min(360.0, max(map(metrics.horizontalAdvance, rows)) + 20)
        at = self._place(room, point.x, point.y)
        painter.setPen(QPen(theme.colour("ink"), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(at, 9, 9)
        box = QRectF(0, 0, wide, len(rows) * LINE + 12)
        left = at.x() + 16 if at.x() < room.center().x() else at.x() - wide - 16
        box.moveTo(left, min(max(room.top(), at.y() - box.height() / 2), room.bottom() - box.height()))
        painter.setPen(QPen(theme.colour("field_line"), 1))
        painter.setBrush(theme.colour("surface"))
        painter.drawRoundedRect(box, theme.RADIUS, theme.RADIUS)
        for row, text in enumerate(rows):
            painter.setFont(self._font(bold=row == 0))
            painter.setPen(theme.colour("muted" if row else "ink"))
            inner = QRectF(box.left() + 10, box.top() + 6 + row * LINE, wide - 20, LINE)
            painter.drawText(
                inner,
                int(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter),
                metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, inner.width()),
            )

    # --- the pointer and the keys

    def read(self, place: int | None) -> None:
        if place != self._at:
            self._at = place
            self.read_out.emit("" if place is None else self.words_of(place))
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if not self.points:
            return
        room, at = _room(QRectF(self.rect())), event.position()
        away = [
            math.hypot(place.x() - at.x(), place.y() - at.y())
            for p in self.points
            for place in [self._place(room, p.x, p.y)]
        ]
        nearest = min(range(len(away)), key=away.__getitem__)
        self.read(nearest if away[nearest] <= NEAR else None)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        self.read(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        move = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if move is None or not self.points:
            super().keyPressEvent(event)
            return
        order = sorted(range(len(self.points)), key=lambda place: self.points[place].x)
        if self._at is None:
            self.read(order[0 if move > 0 else -1])
        else:
            self.read(order[min(max(order.index(self._at) + move, 0), len(order) - 1)])

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self.read(None)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()

    # --- as a file

    def draw_page(self, painter: QPainter, title: str, words: str) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font(bold=True))
        painter.setPen(theme.colour("ink"))
        painter.drawText(QRectF(20, 12, PAGE.width() - 40, 22), int(Qt.AlignmentFlag.AlignLeading), title)
        self.draw(painter, QRectF(16, 40, PAGE.width() - 32, PAGE.height() - 80))
        painter.setFont(self._font())
        painter.setPen(theme.colour("muted"))
        painter.drawText(
            QRectF(20, PAGE.height() - 32, PAGE.width() - 40, 24), int(Qt.AlignmentFlag.AlignLeading), words
        )

    def table(self) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["model", self._axes.x, self._axes.y, "standard error", "on the Pareto front"])
        for place, point in enumerate(self.points):
            writer.writerow(
                [
                    point.name,
                    repr(point.x),
                    repr(point.y),
                    "" if point.error is None else repr(point.error),
                    int(place in self.front),
                ]
            )
        return text.getvalue().encode("utf-8-sig")


def _room(whole: QRectF) -> QRectF:
    return whole.adjusted(LEFT, TOP, -RIGHT, -FOOT)


if __name__ == "__main__":
    from PySide6.QtWidgets import QApplication

    app = QApplication([])
    theme.apply(app, "system")
    shown = ScatterChart()
    told = (("5M", 5e6, 0.61), ("2M", 2e6, 0.55), ("0.8M", 8e5, 0.5))
    made = [
        Point(name, theme.series_colour(at), at, x, y, f"{x:g}", f"{y:g}", 0.01) for at, (name, x, y) in enumerate(told)
    ]
    shown.show_points(made, Axes("parameters", "accuracy"), [2, 1, 0])
    shown.show()
    app.exec()
