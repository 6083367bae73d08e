"""One plot: axes, lines, marks and the read-out's rule, drawn by QPainter on a screen, into a picture or into a vector file.

Lines are thinned to two points a column of pixels and drawn into a pixmap, which is made anew only when they or the view
change: moving the pointer costs a copy. Where there are many points the pixmap is made line by line, over turns of the
event loop, and the one before is shown in its place. `tests/bench/curves.py` sets it beside a bare pyqtgraph plot.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shiboken6
from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop_app import theme
from desktop_app.charts import ticks
from desktop_app.charts.lines import LABELS_MOST, Array, Dash, Drawing, Line, PlotName, extent, thinned, visible
from desktop_app.charts.ticks import Unit, XKind

LEFT, TOP, BOTTOM = 60, 6, 24  # px around the area of the lines
LABEL_WIDTH_MOST = 132
EDGE = 4  # px that dots and thick lines may stand out of the area
BORDER_NAMES, BORDER_NAME_LEAST = 14, 24  # px: the height of the names of links, the least room for one
NARROW_END = 28  # px after the lines where nothing is labelled
RAW_SHARE = 0.25  # of the raw line under the smoothed one
DASHED_BY_PEN_MOST = 400  # points; a pen's dashes over more of them are slow
ROUGH = 1.5  # px from point to point
AT_ONCE_MOST = 5_000  # points; the picture of more of them is made in turns of its own
STRETCH_MOST = 8  # times that the picture before is drawn out until the new one is there
SMOOTH_EDGES_MOST = 20_000  # points drawn; above, edges are left rough
FROM_ZERO: Final[tuple[PlotName, ...]] = ("speed", "memory")
ABSOLUTE: Final = Qt.AlignmentFlag.AlignAbsolute  # axes run from left to right in every script


@dataclass(frozen=True)
class Painted:
    """The lines as they were painted, and what part of both axes they were painted for."""

    sheet: QPixmap
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]


class Plot(QWidget):
    """Shows a `Drawing`. The panel around it decides what part of x all plots show, and where the read-out stands."""

    pointed = Signal(object)  # the x under the pointer, or None once it has left
    stepped = Signal(int)  # the read-out is to move by so many points
    jumped = Signal(bool)  # the read-out is to go to the first (False) or the last (True) point
    x_scaled = Signal(float, float)  # the span of x times the first, about the second
    x_moved = Signal(float)  # the view by so much
    x_chosen = Signal(float, float)
    reset_wished = Signal()
    turn_wished = Signal()  # `advance` is to be called in turns of its own, until it says that it is done

    def __init__(self, name: PlotName, title: str, unit: Unit, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name, self.title, self.unit = name, title, unit
        self.wheel_needs_focus = False  # where the wheel also scrolls the page
        self.drawing = Drawing()
        self.empty_text = ""
        self.log = False
        self.x_kind: XKind = "step"
        self.x_range = (0.0, 1.0)
        self.y_range = (0.0, 1.0)
        self.rule_x: float | None = None
        self.label_width = 0
        self._told: tuple[object, ...] = ()
        self._y_chosen: tuple[float, float] | None = None
        self._picture: Painted | None = None
        self._stale = True  # the picture is of yesterday
        self._making: Iterator[None] | None = None
        self._press: QPointF | None = None
        self._band: QRectF | None = None
        self._turned = False  # the band chooses y
        self._pan_from: float | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(title)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, self.minimumHeight())

    # --- what is shown

    def show_drawing(self, drawing: Drawing, kind: XKind, x_range: tuple[float, float], *, empty_text: str) -> None:
        if (drawing, kind, x_range, empty_text) == self._told:
            return
        self._told = (drawing, kind, x_range, empty_text)
        if kind != self.x_kind or {line.run for line in drawing.lines} != {line.run for line in self.drawing.lines}:
            self._picture = None
        self.drawing, self.x_kind, self.x_range, self.empty_text = drawing, kind, x_range, empty_text
        self._fit_y()

    def set_log(self, log: bool) -> None:
        if log != self.log:
            self.log, self._y_chosen, self._picture = log, None, None
            self._fit_y()

    def set_unit(self, unit: Unit) -> None:
        self.unit, self._y_chosen, self._picture = unit, None, None

    def rename(self, title: str) -> None:
        self.title = title
        self.setAccessibleName(title)

    def set_rule(self, x: float | None) -> None:
        if x != self.rule_x:
            places = [self._x_place(place) for place in (x, self.rule_x) if place is not None and self.has_points()]
            self.rule_x = x
            for place in places:
                self.update(int(place) - 8, 0, 16, self.height())

    def set_label_width(self, width: int) -> None:
        if width != self.label_width:
            self.label_width = width
            self.refresh_lines()

    def reset_y(self) -> None:
        self._y_chosen = None
        self._fit_y()

    def is_zoomed(self) -> bool:
        return self._y_chosen is not None

    def has_points(self) -> bool:
        return bool(self.drawing.lines)

    def reach(self) -> float:
        """How far beyond its end a line still answers the read-out."""
        return 0.02 * (self.x_range[1] - self.x_range[0])

    def wanted_label_width(self) -> int:
        """px that the labels at the line ends want; none if there are too many, or one that says the title again."""
        labels = self._labels()
        if not labels:
            return 0
        widest = max(QFontMetricsF(self._small_font()).horizontalAdvance(text) for text, _, _ in labels)
        return min(LABEL_WIDTH_MOST, math.ceil(widest) + 14)

    def _fit_y(self) -> None:
        """Take all of the visible values in, unless the user chose otherwise."""
        low, high = self.x_range
        found = [extent(line.x, line.y, low, high, log=self.log) for line in self.drawing.lines]
        seen = [value for pair in found if pair is not None for value in pair]
        seen += [level.value for level in self.drawing.levels if level.value > 0 or not self.log]
        if self._y_chosen is not None:
            self.y_range = self._y_chosen
        elif seen:
            least, most = min(seen), max(seen)
            if self.log:
                least, most = math.log10(least), math.log10(most)
            elif self.name in FROM_ZERO:
                least = min(0.0, least)
            spare = 0.06 * (most - least) or 0.05 * abs(most) or 0.5
            self.y_range = (least - spare if self.log or least < 0 else max(0.0, least - spare), most + spare)
        self.refresh_lines()

    def _names_borders(self) -> bool:
        """A chain's links are named once, over the plot on top."""
        return self.name == "loss" and bool(self.drawing.marks.borders)

    def refresh_lines(self) -> None:
        """The picture of the lines is of yesterday; it is made again when it is next painted."""
        self._stale, self._making = True, None
        self.update()

    def advance(self) -> bool:
        """Paint one line more of the picture; False once it is done."""
        if not self._stale or not self.has_points():
            return False
        if self._making is None:
            self._making = self._paint_lines(self.area())
        for _ in self._making:
            return True
        self._making = None
        self.update()
        return False

    def _makes_turns(self) -> bool:
        return sum(len(line.x) for line in self.drawing.lines) > AT_ONCE_MOST

    # --- places

    def area(self, room: QRectF | None = None) -> QRectF:
        """Where the lines are."""
        room = QRectF(self.rect()) if room is None else room
        top = TOP + BORDER_NAMES if self._names_borders() else TOP
        return room.adjusted(LEFT, top, -max(NARROW_END, self.label_width), -BOTTOM)

    def _x_place(self, x: float, area: QRectF | None = None) -> float:
        area = area or self.area()
        low, high = self.x_range
        return area.left() + (x - low) / (high - low) * area.width()

    def _x_at(self, place: float) -> float:
        area, (low, high) = self.area(), self.x_range
        return low + (place - area.left()) / max(1.0, area.width()) * (high - low)

    def _y_place(self, y: float, area: QRectF) -> float:
        low, high = self.y_range
        level = (math.log10(y) if y > 0 else -math.inf) if self.log else y
        place = area.bottom() - (level - low) / (high - low) * area.height()
        return min(1e4, max(-1e4, place)) if place == place else math.nan

    def _places(self, x: Array, y: Array, area: QRectF) -> Array:
        """Points of a line in pixels, shape (points, 2); NaN where there is nothing to draw."""
        (left, right), (low, high) = self.x_range, self.y_range
        points = np.empty((len(x), 2))
        points[:, 0] = area.left() + (x - left) * (area.width() / (right - left))
        if self.log:
            y = np.log10(np.where(y > 0, y, np.nan))
        points[:, 1] = np.clip(area.bottom() - (y - low) * (area.height() / (high - low)), -1e4, 1e4)
        return points

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        self.draw(painter, QRectF(self.rect()), vector=False)
        if self._band is not None:
            fill = theme.colour("accent")
            fill.setAlphaF(0.15)
            painter.fillRect(self._band, fill)
        if self.hasFocus():
            painter.setPen(QPen(theme.colour("accent"), 1))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        painter.end()

    def draw(self, painter: QPainter, room: QRectF, *, vector: bool = True) -> None:
        """Paint the plot into `room` of any device; `vector` keeps the lines lines."""
        painter.setFont(self._small_font())
        painter.setLayoutDirection(Qt.LayoutDirection.LayoutDirectionAuto)  # each text by its own script
        area = self.area(room)
        if area.width() < 20 or area.height() < 20:
            return
        if not self.has_points():
            self._draw_empty(painter, room)
            return
        self._draw_axes(painter, area, room)
        painter.save()
        painter.setClipRect(area.adjusted(-EDGE, -EDGE, EDGE, EDGE))
        self._draw_resumptions(painter, area)
        self._draw_borders(painter, area)
        self._draw_levels(painter, area)
        if vector:
            self._draw_lines_as_paths(painter, area)
        else:
            self._draw_lines_from_picture(painter, area)
        painter.restore()
        self._draw_marks(painter, area)
        self._draw_border_names(painter, area)
        self._draw_labels(painter, area, room)
        if self.rule_x is not None and self.x_range[0] <= self.rule_x <= self.x_range[1]:
            self._draw_rule(painter, area, self.rule_x)

    def _draw_empty(self, painter: QPainter, room: QRectF) -> None:
        painter.setPen(theme.colour("muted"))
        painter.drawText(
            room.adjusted(16, 8, -16, -8),
            int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap),
            self.empty_text,
        )

    def _draw_axes(self, painter: QPainter, area: QRectF, room: QRectF) -> None:
        low, high = self.y_range
        most = max(3, int(area.height() / 26))
        values = ticks.logarithmic(10**low, 10**high, most) if self.log else ticks.linear(low, high, most)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for value, text in zip(values, ticks.y_texts(self.unit, values, log=self.log), strict=True):
            y = self._y_place(value, area)
            painter.setPen(QPen(theme.colour("line"), 1))
            painter.drawLine(QPointF(area.left(), round(y)), QPointF(area.right(), round(y)))
            painter.setPen(theme.colour("muted"))
            box = QRectF(room.left(), y - 10, LEFT - 8, 20)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter | ABSOLUTE), text)
        painter.setPen(QPen(theme.colour("field_line"), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        self._draw_x_ticks(painter, area, room)

    def _draw_x_ticks(self, painter: QPainter, area: QRectF, room: QRectF) -> None:
        values = ticks.x_ticks(self.x_kind, *self.x_range, max(2, int(area.width() / 84)))
        texts = ticks.x_texts(self.x_kind, values)
        unit = {"step": self.tr("step %s"), "tokens": self.tr("%s tokens"), "flops": self.tr("%s FLOPs")}
        if texts and self.x_kind in unit:  # the last tick says what is counted
            texts[-1] = unit[self.x_kind] % texts[-1]
        metrics = QFontMetricsF(painter.font())
        for value, text in zip(values, texts, strict=True):
            x = self._x_place(value, area)
            painter.setPen(QPen(theme.colour("field_line"), 1))
            painter.drawLine(QPointF(x, area.bottom()), QPointF(x, area.bottom() + 4))
            width = metrics.horizontalAdvance(text) + 2
            left = min(max(x - width / 2, room.left()), room.right() - width)
            painter.setPen(theme.colour("muted"))
            box = QRectF(left, area.bottom() + 5, width, BOTTOM - 6)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop), text)

    def _draw_resumptions(self, painter: QPainter, area: QRectF) -> None:
        for x, colour in self.drawing.marks.resumed:
            painter.setPen(QPen(ink(colour) if colour else theme.colour("field_line"), 1, Qt.PenStyle.DotLine))
            place = round(self._x_place(x, area))
            painter.drawLine(QPointF(place, area.top()), QPointF(place, area.bottom()))

    def _draw_borders(self, painter: QPainter, area: QRectF) -> None:
        """A rule where a chain came to its next link."""
        for x, _, colour in self.drawing.marks.borders:
            place = round(self._x_place(x, area))
            if place > area.left() + 1:
                painter.setPen(QPen(ink(colour) if colour else theme.colour("field_line"), 1))
                painter.drawLine(QPointF(place, area.top()), QPointF(place, area.bottom()))

    def _draw_border_names(self, painter: QPainter, area: QRectF) -> None:
        """The name of each link over its part, as far as there is room."""
        if not self._names_borders():
            return
        places = [max(self._x_place(x, area), area.left()) for x, _, _ in self.drawing.marks.borders]
        metrics = QFontMetricsF(painter.font())
        painter.setPen(theme.colour("muted"))
        for (_, name, _), left, right in zip(
            self.drawing.marks.borders, places, [*places[1:], area.right()], strict=True
        ):
            room = min(right, area.right()) - left - 4
            if name and room > BORDER_NAME_LEAST:
                text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, room)
                box = QRectF(left, area.top() - metrics.height() - 1, room + 2, metrics.height())
                painter.drawText(box, int(Qt.AlignmentFlag.AlignLeft | ABSOLUTE), text)

    def _draw_levels(self, painter: QPainter, area: QRectF) -> None:
        pen = QPen(theme.colour("teacher"), 1.5)
        pen.setDashPattern([5, 4])
        painter.setPen(pen)
        for level in self.drawing.levels:
            y = self._y_place(level.value, area)
            if not math.isnan(y):
                painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))

    def _draw_marks(self, painter: QPainter, area: QRectF) -> None:
        """Checkpoints as diamonds on the axis, points that can't be drawn as crosses above it."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        low, high = self.x_range
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("muted"))
        for x in self._apart([x for x in self.drawing.marks.checkpoints if low <= x <= high], area, 9):
            painter.drawPolygon(_diamond(QPointF(x, area.bottom())))
        for number, line in enumerate(self.drawing.lines):
            gaps = line.gaps(log=self.log)
            y = area.bottom() - 6 - 5 * (number % 3)
            painter.setPen(QPen(ink(line.colour), 1.2))
            for x in self._apart(gaps[(gaps >= low) & (gaps <= high)].tolist(), area, 5):
                painter.drawLines([QLineF(x - 2, y - 2, x + 2, y + 2), QLineF(x - 2, y + 2, x + 2, y - 2)])
        painter.restore()

    def _apart(self, values: Sequence[float], area: QRectF, px: int) -> list[float]:
        """The places of `values`, at most one for every `px` pixels."""
        return list({int(place / px): place for place in (self._x_place(x, area) for x in values)}.values())

    def _draw_rule(self, painter: QPainter, area: QRectF, at: float) -> None:
        place = round(self._x_place(at, area))
        painter.setPen(QPen(theme.colour("muted"), 1))
        painter.drawLine(QPointF(place, area.top()), QPointF(place, area.bottom()))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.colour("surface"), 1.5))
        for line in self.drawing.lines:
            number = line.at(at, self.reach())
            if number is None or not math.isfinite(line.y[number]) or (self.log and line.y[number] <= 0):
                continue
            y = self._y_place(float(line.y[number]), area)
            if area.top() - 2 <= y <= area.bottom() + 2:
                painter.setBrush(ink(line.colour))
                painter.drawEllipse(QPointF(self._x_place(float(line.x[number]), area), y), 4, 4)
        painter.restore()

    # --- labels at line ends

    def _labels(self) -> list[tuple[str, QColor, float]]:
        """Text, colour and last value of each line that is named at its end."""
        found = [
            (line.label, ink(line.colour), _last(line, *self.x_range)) for line in self.drawing.lines if line.labelled
        ]
        if len(found) == 1 and found[0][0] == self.title:
            found = []
        found += [(level.label, theme.colour("teacher"), level.value) for level in self.drawing.levels]
        return found if len(found) <= LABELS_MOST else []

    def _draw_labels(self, painter: QPainter, area: QRectF, room: QRectF) -> None:
        if not self.label_width:
            return
        height = QFontMetricsF(painter.font()).height()
        wanted = [(self._y_place(value, area), text, colour) for text, colour, value in self._labels()]
        placed = sorted((place for place in wanted if not math.isnan(place[0])), key=lambda place: place[0])
        tops = _spread([place[0] - height / 2 for place in placed], height, area.top() - 4, area.bottom() + 4)
        width = room.right() - area.right() - 10
        for top, (_, text, colour) in zip(tops, placed, strict=True):
            painter.setPen(colour)
            short = QFontMetricsF(painter.font()).elidedText(text, Qt.TextElideMode.ElideMiddle, width)
            painter.drawText(
                QRectF(area.right() + 8, top, width + 2, height), int(Qt.AlignmentFlag.AlignLeft | ABSOLUTE), short
            )

    # --- lines

    def _draw_lines_from_picture(self, painter: QPainter, area: QRectF) -> None:
        if self._stale and self._makes_turns():
            self.turn_wished.emit()
        elif self._stale:
            for _ in self._paint_lines(area):
                pass
        if self._picture is None:
            return
        if not self._stale:
            painter.drawPixmap(QPointF(round(area.left()) - EDGE, round(area.top()) - EDGE), self._picture.sheet)
            return
        place = self._place_of(self._picture, area)
        if place.width() <= STRETCH_MOST * area.width() and place.height() <= STRETCH_MOST * area.height():
            painter.drawPixmap(place, self._picture.sheet, QRectF(self._picture.sheet.rect()))

    def _place_of(self, picture: Painted, area: QRectF) -> QRectF:
        """Where an older picture belongs on the axes of now."""
        left, right = (self._x_place(x, area) for x in picture.x_range)
        low, high = self.y_range
        top, bottom = (area.bottom() - (y - low) / (high - low) * area.height() for y in picture.y_range[::-1])
        across, down = EDGE * (right - left) / picture.width, EDGE * (bottom - top) / picture.height
        return QRectF(left - across, top - down, right - left + 2 * across, bottom - top + 2 * down)

    def _paint_lines(self, area: QRectF) -> Iterator[None]:
        """Make the picture, pausing after each line: the raw ones opaque on a sheet of their own, laid thinly under.

        Many half transparent strokes would cost ten times as much.
        """
        frame = QRectF(EDGE, EDGE, round(area.width()), round(area.height()))
        sheet = self._sheet(frame)
        columns = max(1, int(frame.width()))
        raw = [line for line in self.drawing.lines if line.smooth is not None]
        if raw:
            under = self._sheet(frame)
            for line in raw:
                painter = QPainter(under)
                self._stroke(painter, self._thin(line, line.y, columns, frame), QPen(ink(line.colour), 1))
                painter.end()
                yield
            painter = QPainter(sheet)
            painter.setOpacity(RAW_SHARE)
            painter.drawPixmap(0, 0, under)
            painter.end()
        thin = [self._thin(line, line.shown, columns, frame) for line in self.drawing.lines]
        few = sum(map(len, thin)) <= SMOOTH_EDGES_MOST
        for line, points in zip(self.drawing.lines, thin, strict=True):
            yield
            painter = QPainter(sheet)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, few and not _is_rough(points, columns))
            self._stroke(painter, points, QPen(ink(line.colour), self._width(line)), line)
            painter.end()
        self._picture = Painted(sheet, frame.width(), frame.height(), self.x_range, self.y_range)
        self._stale = False

    def _sheet(self, frame: QRectF) -> QPixmap:
        ratio = self.devicePixelRatioF()
        sheet = QPixmap(math.ceil((frame.width() + 2 * EDGE) * ratio), math.ceil((frame.height() + 2 * EDGE) * ratio))
        sheet.setDevicePixelRatio(ratio)
        sheet.fill(Qt.GlobalColor.transparent)
        return sheet

    def _thin(self, line: Line, y: Array, columns: int, frame: QRectF) -> Array:
        x, y = thinned(line.x, y, *self.x_range, columns)
        return self._places(x, y, frame)

    def _width(self, line: Line) -> float:
        return 1.25 if len(self.drawing.lines) > 2 * LABELS_MOST else 1.75

    def _stroke(self, painter: QPainter, points: Array, pen: QPen, line: Line | None = None) -> None:
        """Draw a line as one stroke between each two points; where a value has no neighbour it is a dot."""
        if line is not None and line.dash != "solid" and len(points) <= DASHED_BY_PEN_MOST:
            pen.setStyle(pen_style(line.dash))
            self._path(painter, points, pen, line)
            return
        there = np.isfinite(points[:, 1])
        both = there[:-1] & there[1:]
        if line is not None and line.dash != "solid":
            both &= _inked(points, line.dash)
        smooth = painter.testRenderHint(
            QPainter.RenderHint.Antialiasing
        )  # square ends cover the seams of short strokes
        pen.setCapStyle(Qt.PenCapStyle.SquareCap if smooth else Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        strokes = np.empty((len(both), 4))
        strokes[:, :2], strokes[:, 2:] = points[:-1], points[1:]
        if not both.all():
            strokes = strokes[both]
        if len(strokes):
            # PySide6 draws an array of lines from its first one; handing over a list of them takes longer than drawing
            first: Any = shiboken6.Shiboken.wrapInstance(strokes.ctypes.data, QLineF)
            painter.drawLines(first, len(strokes))
        self._dot(painter, points, there, pen.color(), line)

    def _dot(self, painter: QPainter, points: Array, there: Any, colour: QColor, line: Line | None) -> None:
        fenced = np.concatenate(([False], there, [False]))
        lonely = there & ~fenced[:-2] & ~fenced[2:]
        shown = there if line is not None and line.dots and len(points) <= 200 else lonely
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for x, y in points[shown].tolist():
            painter.drawEllipse(QPointF(x, y), 2.75, 2.75)
        painter.restore()

    def _draw_lines_as_paths(self, painter: QPainter, area: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        columns = max(1, int(area.width()))
        for line in self.drawing.lines:
            if line.smooth is not None:
                faint = ink(line.colour)
                faint.setAlphaF(RAW_SHARE)
                self._path(painter, self._thin(line, line.y, columns, area), QPen(faint, 1), line)
        for line in self.drawing.lines:
            pen = QPen(ink(line.colour), self._width(line))
            pen.setStyle(pen_style(line.dash))
            self._path(painter, self._thin(line, line.shown, columns, area), pen, line)

    def _path(self, painter: QPainter, points: Array, pen: QPen, line: Line) -> None:
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        there = np.isfinite(points[:, 1])
        for piece in np.split(points, np.flatnonzero(~there)):
            piece = piece[np.isfinite(piece[:, 1])]
            if len(piece) > 1:
                painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in piece.tolist()]))
        self._dot(painter, points, there, pen.color(), line)

    def _small_font(self) -> QFont:
        font = theme.tabular(self.font())
        font.setPixelSize(theme.SMALL)
        return font

    # --- what the user does

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        keys = event.modifiers()
        along, turn = event.angleDelta().x(), event.angleDelta().y()
        free = not self.wheel_needs_focus or self.hasFocus() or bool(keys & Qt.KeyboardModifier.ControlModifier)
        if not (free and self.has_points() and (turn or along)):
            event.ignore()
            return
        factor = 0.999 ** (turn or along)
        if keys & Qt.KeyboardModifier.ShiftModifier:
            self._scale_y(factor, event.position().y())
        elif turn:
            self.x_scaled.emit(factor, self._x_at(event.position().x()))
        else:
            self.x_moved.emit(-along / 1200 * (self.x_range[1] - self.x_range[0]))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        if not self.has_points():
            return
        if event.button() == Qt.MouseButton.MiddleButton:
            self._pan_from = self._x_at(event.position().x())
        elif event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            right = event.button() == Qt.MouseButton.RightButton
            self._press = event.position()
            self._turned = right or bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if not self.has_points():
            return
        if self._pan_from is not None:
            self.x_moved.emit(self._pan_from - self._x_at(event.position().x()))
        elif self._press is not None:
            self._stretch_band(self._press, event.position())
        low, high = self.x_range
        self.pointed.emit(min(high, max(low, self._x_at(event.position().x()))))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        band, self._band, self._press, self._pan_from = self._band, None, None, None
        if band is None:
            return
        if self._turned:
            self._choose_y(self._level_at(band.bottom()), self._level_at(band.top()))
        else:
            self.x_chosen.emit(self._x_at(band.left()), self._x_at(band.right()))
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.reset_wished.emit()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        super().leaveEvent(event)
        self.pointed.emit(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        far = 10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
        middle = self.rule_x if self.rule_x is not None else sum(self.x_range) / 2
        match event.key():
            case Qt.Key.Key_Left:
                self.stepped.emit(-far)
            case Qt.Key.Key_Right:
                self.stepped.emit(far)
            case Qt.Key.Key_Home | Qt.Key.Key_End:
                self.jumped.emit(event.key() == Qt.Key.Key_End)
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self.x_scaled.emit(0.7, middle)
            case Qt.Key.Key_Minus:
                self.x_scaled.emit(1 / 0.7, middle)
            case Qt.Key.Key_0:
                self.reset_wished.emit()
            case Qt.Key.Key_Escape if self.rule_x is not None:
                self.pointed.emit(None)
            case _:
                super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self.refresh_lines()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self.refresh_lines()

    def _stretch_band(self, start: QPointF, now: QPointF) -> None:
        if (now - start).manhattanLength() < 6:
            return
        band = QRectF(start, now).normalized()
        area = self.area()
        if self._turned:
            band.setLeft(area.left())
            band.setRight(area.right())
        else:
            band.setTop(area.top())
            band.setBottom(area.bottom())
        self._band = band.intersected(area)
        self.update()

    def _level_at(self, place: float) -> float:
        """The height of a place: the value, or its logarithm."""
        area, (low, high) = self.area(), self.y_range
        return low + (area.bottom() - place) / max(1.0, area.height()) * (high - low)

    def _scale_y(self, factor: float, place: float) -> None:
        about, (low, high) = self._level_at(place), self.y_range
        self._choose_y(about - (about - low) * factor, about + (high - about) * factor)

    def _choose_y(self, low: float, high: float) -> None:
        if high - low > 1e-12 * max(abs(low), abs(high), 1e-300) and (not self.log or high < 300):
            self._y_chosen = (low, high)
            self._fit_y()


def ink(colour: str) -> QColor:
    """The colour to draw with now: "series 2", or a hex colour; one of a theme's series follows the theme."""
    if colour.startswith("series "):
        return QColor(theme.series_colour(int(colour.split()[1])))
    for series in (theme.LIGHT.series, theme.DARK.series):
        if colour in series:
            return QColor(theme.series_colour(series.index(colour)))
    return QColor(colour)


def _last(line: Line, low: float, high: float) -> float:
    """The last value that is in sight, or NaN."""
    seen = line.shown[visible(line.x, low, high)]
    seen = seen[-4096:][np.isfinite(seen[-4096:])]
    return float(seen[-1]) if len(seen) else math.nan


def _spread(tops: Sequence[float], height: float, least: float, most: float) -> list[float]:
    """Rising places moved apart so that none covers another, within [least, most] as far as they fit."""
    placed: list[float] = []
    for top in tops:
        placed.append(max(top, placed[-1] + height if placed else least))
    bottom = most
    for number in range(len(placed) - 1, -1, -1):
        placed[number] = min(placed[number], bottom - height)
        bottom = placed[number]
    return placed


def _is_rough(points: Array, columns: int) -> bool:
    """A stroke or more for each column, and most of them steep: smooth edges would be slow and not be seen."""
    if len(points) < columns:
        return False
    return bool(np.nanmedian(np.abs(np.diff(points[:, 1]))) > ROUGH) if np.isfinite(points[:, 1]).any() else False


def _inked(points: Array, dash: Dash) -> Any:
    """Which strokes of a dashed line are drawn, by the way along it; strokes are short where points are many."""
    ways = np.nan_to_num(np.hypot(*np.diff(points, axis=0).T)).cumsum()
    if dash == "dashdot":
        along = ways % 15
        return (along < 7) | ((along >= 10) & (along < 12))
    on, off = (2.0, 3.0) if dash == "dotted" else (7.0, 5.0)
    return ways % (on + off) < on


def pen_style(dash: Dash) -> Qt.PenStyle:
    styles = {
        "solid": Qt.PenStyle.SolidLine,
        "dashed": Qt.PenStyle.DashLine,
        "dotted": Qt.PenStyle.DotLine,
        "dashdot": Qt.PenStyle.DashDotLine,
    }
    return styles[dash]


def _diamond(centre: QPointF) -> QPolygonF:
    corners: Iterable[tuple[int, int]] = ((0, -4), (4, 0), (0, 4), (-4, 0))
    return QPolygonF([centre + QPointF(x, y) for x, y in corners])
