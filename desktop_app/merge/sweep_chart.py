"""Held-out bits per byte over the grid of a sweep: a curve along one parameter, a map over two; the best point is marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from core.state import History
from desktop_app import theme
from desktop_app.charts import ticks
from desktop_app.forms.field import button

translate = QCoreApplication.translate

SCORE = "bits_per_byte"
FIGURES = (SCORE, "ce", "perplexity", "point")
LEFT, RIGHT, TOP, BOTTOM = 64.0, 24.0, 16.0, 44.0  # px around the area of the points
DOT = 4.0
TICKS = 6
ABSOLUTE = Qt.AlignmentFlag.AlignAbsolute  # axes run from left to right in every script


@dataclass(frozen=True)
class Point:
    """Where on the grid, and what it scored; `score` may be NaN."""

    at: tuple[float, ...]
    score: float


@dataclass(frozen=True)
class Swept:
    """What is known of a sweep. `planned` is how many points the grid has, where that is known."""

    axes: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    planned: int | None = None

    def best(self) -> Point | None:
        scored = [point for point in self.points if math.isfinite(point.score)]
        return min(scored, key=lambda point: point.score, default=None)

    def csv(self) -> str:
        rows = [",".join([*self.axes, SCORE])]
        rows += [",".join(f"{value:g}" for value in (*point.at, point.score)) for point in self.points]
        return "\n".join(rows) + "\n"


def swept_of(history: History, planned: int | None = None) -> Swept:
    """The points that the journal has so far, or that the results name."""
    points = history.results.get("points")
    rows: list[Mapping[str, Any]] = points if isinstance(points, list) else []
    if not rows:
        rows = [one.metrics for one in history.evaluations if one.subject == "merge"]
    named = [tuple(name for name in row if name not in FIGURES) for row in rows if isinstance(row, Mapping)]
    axes = named[0] if named else ()
    found = []
    for row in rows:
        values = [row.get(name) for name in (*axes, SCORE)]
        if all(isinstance(value, int | float) for value in values[:-1]):
            score = values[-1]
            at = tuple(float(str(value)) for value in values[:-1])
            found.append(Point(at, float(score) if isinstance(score, int | float) else math.nan))
    return Swept(tuple(axes), tuple(found), planned)


class SweepChart(QWidget):
    """Drawn by hand; arrow keys and the pointer move the read-out."""

    read = Signal(object)  # Point or None

    def __init__(self) -> None:
        super().__init__()
        self.swept = Swept()
        self.empty_text = self.tr("The curve comes as the points are scored.")
        self._at: int | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(180)
        self.setAccessibleName(self.tr("Held-out bits per byte over the sweep"))

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, 320)

    def show_swept(self, swept: Swept) -> None:
        if swept == self.swept:
            return
        self.swept = swept
        self._at = None
        self._describe()
        self.update()
        self.read.emit(None)

    def _describe(self) -> None:
        best = self.swept.best()
        if best is None:
            self.setAccessibleDescription(self.empty_text)
        else:
            text = self.tr("%d points; the best is %s")
            self.setAccessibleDescription(text % (len(self.swept.points), point_text(self.swept, best)))

    # --- where things are

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(LEFT, TOP, -RIGHT, -BOTTOM)

    def _values(self, axis: int) -> list[float]:
        return sorted({point.at[axis] for point in self.swept.points})

    def _range(self) -> tuple[float, float]:
        scores = [point.score for point in self.swept.points if math.isfinite(point.score)]
        low, high = min(scores, default=0.0), max(scores, default=1.0)
        room = (high - low) * 0.12 or abs(high) * 0.05 or 0.5
        return low - room, high + room

    def place(self, point: Point) -> QPointF:
        """The middle of a point, or of its cell."""
        area = self._area()
        if len(self.swept.axes) == 2:
            cell = self._cell(point)
            return cell.center()
        xs = self._values(0)
        span = (xs[-1] - xs[0]) or 1.0
        low, high = self._range()
        x = area.left() + area.width() * ((point.at[0] - xs[0]) / span if len(xs) > 1 else 0.5)
        return QPointF(x, area.bottom() - area.height() * (point.score - low) / (high - low))

    def _cell(self, point: Point) -> QRectF:
        area, xs, ys = self._area(), self._values(0), self._values(1)
        width, height = area.width() / len(xs), area.height() / len(ys)
        column, row = xs.index(point.at[0]), ys.index(point.at[1])
        return QRectF(area.left() + column * width, area.bottom() - (row + 1) * height, width, height).adjusted(
            1, 1, -1, -1
        )

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.swept.points or len(self.swept.axes) not in (1, 2):
            painter.setPen(theme.colour("muted"))
            painter.drawText(
                self.rect().adjusted(24, 0, -24, 0),
                int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap),
                self.empty_text,
            )
        elif len(self.swept.axes) == 1:
            self._paint_curve(painter)
        else:
            self._paint_map(painter)
        if self.hasFocus():
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.RADIUS, theme.RADIUS)

    def _small(self, painter: QPainter) -> None:
        font = QFont(self.font())
        font.setPixelSize(theme.SMALL)
        painter.setFont(theme.tabular(font))

    def _paint_curve(self, painter: QPainter) -> None:
        self._small(painter)
        area, (low, high) = self._area(), self._range()
        y_ticks = ticks.linear(low, high, TICKS)
        for tick, text in zip(y_ticks, ticks.y_texts("number", y_ticks), strict=True):
            y = area.bottom() - area.height() * (tick - low) / (high - low)
            painter.setPen(QPen(theme.colour("line"), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(theme.colour("muted"))
            painter.drawText(
                QRectF(0, y - 9, LEFT - 8, 18),
                int(Qt.AlignmentFlag.AlignRight | ABSOLUTE | Qt.AlignmentFlag.AlignVCenter),
                text,
            )
        xs = self._values(0)
        self._x_texts(painter, [(self.place(Point((x,), low)).x(), x) for x in xs])
        points = sorted((one for one in self.swept.points if math.isfinite(one.score)), key=lambda one: one.at)
        painter.setPen(QPen(theme.colour("accent"), 2))
        painter.drawPolyline(QPolygonF([self.place(point) for point in points]))
        best, read = self.swept.best(), self._read()
        for point in points:
            self._dot(painter, self.place(point), best=point == best, read=point == read)
        if best is not None:
            self._best_text(painter, best, area)

    def _dot(self, painter: QPainter, at: QPointF, *, best: bool, read: bool) -> None:
        painter.setPen(QPen(theme.colour("ink" if read else "accent"), 2))
        painter.setBrush(theme.colour("accent" if best else "surface"))
        size = DOT + (2 if best or read else 0)
        painter.drawEllipse(at, size, size)

    def _best_text(self, painter: QPainter, best: Point, area: QRectF) -> None:
        at = self.place(best)
        text = translate("merge", "best %s") % ticks.value_text("number", best.score)
        width = painter.fontMetrics().horizontalAdvance(text) + 8.0
        x = min(max(area.left(), at.x() - width / 2), area.right() - width)
        painter.setPen(theme.colour("ink"))
        painter.drawText(QRectF(x, at.y() + 8, width, 18), int(Qt.AlignmentFlag.AlignCenter), text)

    def _x_texts(self, painter: QPainter, places: Sequence[tuple[float, float]]) -> None:
        """As many of the values as fit, and the axis's name under them."""
        area = self._area()
        painter.setPen(theme.colour("muted"))
        last = -math.inf
        for x, value in places:
            text = f"{value:g}"
            width = painter.fontMetrics().horizontalAdvance(text)
            if x - width / 2 > last + 10:
                painter.drawText(QRectF(x - 40, area.bottom() + 4, 80, 18), int(Qt.AlignmentFlag.AlignCenter), text)
                last = x + width / 2
        self._axis_name(painter, QRectF(area.left(), area.bottom() + 22, area.width(), 18), 0)

    def _axis_name(self, painter: QPainter, room: QRectF, axis: int) -> None:
        name = painter.fontMetrics().elidedText(self.swept.axes[axis], Qt.TextElideMode.ElideMiddle, int(room.width()))
        painter.drawText(room, int(Qt.AlignmentFlag.AlignCenter), name)

    def _paint_map(self, painter: QPainter) -> None:
        self._small(painter)
        area, xs, ys = self._area(), self._values(0), self._values(1)
        best, read = self.swept.best(), self._read()
        scores = [point.score for point in self.swept.points if math.isfinite(point.score)]
        low, high = min(scores, default=0.0), max(scores, default=1.0)
        for point in self.swept.points:
            cell = self._cell(point)
            share = 1.0 - (point.score - low) / (high - low) if high > low and math.isfinite(point.score) else 0.0
            painter.setPen(QPen(theme.colour("ink"), 2) if point in (best, read) else Qt.PenStyle.NoPen)
            painter.setBrush(between(theme.colour("raised"), theme.colour("accent"), share))
            painter.drawRoundedRect(cell, 3, 3)
            if cell.width() > 44 and cell.height() > 18:
                painter.setPen(readable_on(painter.brush().color()))
                painter.drawText(cell, int(Qt.AlignmentFlag.AlignCenter), ticks.value_text("number", point.score))
        width, height = area.width() / len(xs), area.height() / len(ys)
        self._x_texts(painter, [(area.left() + (column + 0.5) * width, x) for column, x in enumerate(xs)])
        for row, y in enumerate(ys):
            room = QRectF(22, area.bottom() - (row + 1) * height, LEFT - 30, height)
            painter.drawText(
                room, int(Qt.AlignmentFlag.AlignRight | ABSOLUTE | Qt.AlignmentFlag.AlignVCenter), f"{y:g}"
            )
        painter.save()
        painter.translate(14, area.center().y())
        painter.rotate(-90)
        self._axis_name(painter, QRectF(-area.height() / 2, -9, area.height(), 18), 1)
        painter.restore()

    # --- the read-out

    def _read(self) -> Point | None:
        return self.swept.points[self._at] if self._at is not None and self._at < len(self.swept.points) else None

    def _read_at(self, at: int | None) -> None:
        if at != self._at:
            self._at = at
            self.update()
            self.read.emit(self._read())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if not self.swept.points or len(self.swept.axes) not in (1, 2):
            return
        where = event.position()
        numbered = [(at, self.place(point)) for at, point in enumerate(self.swept.points) if math.isfinite(point.score)]

        def away(place: QPointF) -> float:
            off = place - where
            return abs(off.x()) if len(self.swept.axes) == 1 else abs(off.x()) + abs(off.y())

        self._read_at(min(numbered, key=lambda one: away(one[1]))[0] if numbered else None)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        if not self.hasFocus():
            self._read_at(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        ways = {Qt.Key.Key_Left: -1, Qt.Key.Key_Up: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Down: 1}
        if event.key() in ways and self.swept.points:
            last = len(self.swept.points) - 1
            at = 0 if self._at is None else min(last, max(0, self._at + ways[Qt.Key(event.key())]))
            self._read_at(at)
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()


class SweepView(QWidget):
    """The chart under its title, with the read-out and a way to take the figures along."""

    copied = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.chart = SweepChart()
        self.title = QLabel(self.tr("Held-out bits per byte"))
        theme.set_role(self.title, "title")
        self.readout = QLabel()
        self.readout.setFont(theme.tabular(self.readout.font()))
        theme.set_role(self.readout, "muted")
        self.readout.setWordWrap(True)
        self.copy = button(self.tr("Copy the figures"), "copy", "quiet")
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        head.addWidget(self.title)
        head.addStretch(1)
        head.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.readout)
        layout.addWidget(self.chart, 1)
        self.copy.clicked.connect(self._copy)
        self.chart.read.connect(self._show_read)
        self._show_read(None)

    def show_swept(self, swept: Swept) -> None:
        self.chart.show_swept(swept)
        self.copy.setVisible(bool(swept.points))
        self._show_read(None)

    def _show_read(self, point: object) -> None:
        swept, best = self.chart.swept, self.chart.swept.best()
        if isinstance(point, Point):
            self.readout.setText(point_text(swept, point))
        elif best is not None:
            done = len(swept.points)
            of = (
                self.tr("%d of %d points") % (done, swept.planned)
                if swept.planned and done < swept.planned
                else self.tr("%d points") % done
            )
            self.readout.setText(self.tr("%s · best %s") % (of, point_text(swept, best)))
        else:
            self.readout.setText(self.tr("Lower is better. Only the best model stays on the disk."))
        self.copy.setVisible(bool(swept.points))

    def _copy(self) -> None:
        from PySide6.QtGui import QGuiApplication

        QGuiApplication.clipboard().setText(self.chart.swept.csv())
        self.copied.emit()


def point_text(swept: Swept, point: Point) -> str:
    where = ", ".join(f"{name} {value:g}" for name, value in zip(swept.axes, point.at, strict=True))
    return translate("merge", "%s: %s bits/byte") % (where, ticks.value_text("number", point.score))


def readable_on(fill: QColor) -> QColor:
    """Of the two colours of text, the one that stands out more."""
    return max(theme.colour("ink"), theme.colour("on_accent"), key=lambda text: abs(_light(text) - _light(fill)))


def _light(colour: QColor) -> float:
    """How light it looks, roughly: the cube root of its luminance."""
    red, green, blue = (part**2.2 for part in (colour.redF(), colour.greenF(), colour.blueF()))
    return float((0.2126 * red + 0.7152 * green + 0.0722 * blue) ** (1 / 3))


def between(low: QColor, high: QColor, share: float) -> QColor:
    """A colour between two of the theme."""
    return QColor(
        round(low.red() + (high.red() - low.red()) * share),
        round(low.green() + (high.green() - low.green()) * share),
        round(low.blue() + (high.blue() - low.blue()) * share),
    )
