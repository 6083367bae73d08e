"""The plane of the law's chart: band, lines, dots and their names, drawn by pyqtgraph and painted over in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QMouseEvent, QPainter, QPen, QPolygonF, QWheelEvent
from PySide6.QtWidgets import QGraphicsPolygonItem

from core import law
from core.numbers import count_text
from desktop_app import theme
from desktop_app.charts.law_lettering import REACH, BandName, Frame, axis_titles, band_name, spot_names
from desktop_app.charts.law_state import (
    LARGEST,
    SMALLEST,
    Kind,
    LawState,
    Span,
    Spot,
    all_spots,
    calm,
    middle_student,
    same_spot,
    wanted_spans,
)

SYMBOLS: dict[Kind, tuple[str, int]] = {
    "model": ("o", 10),
    "teacher": ("o", 10),
    "run": ("s", 8),
    "published": ("d", 11),
}  # of pyqtgraph, px
LOOKS: tuple[tuple[Kind, bool], ...] = (
    ("published", True),
    ("run", False),
    ("model", True),
    ("model", False),
    ("teacher", False),
)  # kinds of marks, and whether hollow, from the lowest up


class SizeAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis in decades with ticks as 1M, 10M, 1B; 2 and 5 between them when there are few.

    `mark` leaves room on it for a size that is painted over it.
    """

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation=orientation)
        self._marked: float | None = None
        self._room = 1.0  # px a decade

    def mark(self, value: float | None) -> None:
        if value != self._marked:
            self._marked = value
            self.picture = None
            self.update()

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802, N803
        whole = range(math.ceil(minVal - 1e-9), math.floor(maxVal + 1e-9) + 1)
        self._room = room = size / max(maxVal - minVal, 1e-9)
        step = 1 if room > 36 else 3  # 1K, 1M, 1B
        ticks = [float(decade) for decade in whole if decade % step == 0]
        if step == 1 and room > 150:
            between = (decade + math.log10(n) for decade in range(whole.start - 1, whole.stop) for n in (2, 5))
            ticks += [value for value in between if minVal <= value <= maxVal]
        return [(1.0, sorted(ticks))]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        reach = 16 if self.orientation == "left" else 38
        hidden = [self._marked is not None and abs(value - self._marked) * self._room < reach for value in values]
        return ["" if hide else count_text(float(f"{10**v:.3g}")) for v, hide in zip(values, hidden, strict=True)]


class LawPlane(pg.PlotWidget):  # type: ignore[misc]
    """Band, lines and dots; names, rings and the cross-hair are painted over them in pixels."""

    hovered = Signal(object)  # a Spot, a QPointF of the empty plane in decades, or None
    spot_clicked = Signal(object)
    plane_clicked = Signal(float)  # student parameters

    def __init__(self) -> None:
        axes = {side: SizeAxis(side) for side in ("left", "bottom")}
        super().__init__(background=None, axisItems=axes)
        self.state = LawState()
        self.spots: list[Spot] = []
        self.hover: Spot | None = None
        self.titles: list[tuple[QRectF, str]] = []
        self.names: list[tuple[QRectF, str]] = []  # of the dots, as they were placed last
        self.band_name: BandName | None = None
        self._lettered_for: object = None
        self._spans: tuple[Span, Span] | None = None
        self.focused = False  # by the keyboard
        self._dragging = False
        self._axes = axes
        self._build()
        self.dress()

    def _build(self) -> None:
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)  # numbers grow to the right in every language
        self.plotItem.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.setStyleSheet("background: transparent; border: none;")
        self.setMinimumHeight(220)
        self.plotItem.hideButtons()
        self.plotItem.setMenuEnabled(False)
        self.plotItem.layout.setContentsMargins(0, 4, 6, 0)
        self.getViewBox().setMouseEnabled(False, False)
        self._axes["left"].setWidth(52)
        self._axes["bottom"].setHeight(28)
        self.band = [QGraphicsPolygonItem(_band_piece(*ends)) for ends in _pieces()]
        reach = [math.log10(SMALLEST), math.log10(LARGEST)]
        self.line = pg.PlotCurveItem(reach, [x + math.log10(law.TARGET_RATIO) for x in reach], antialias=True)
        self.fitted = pg.PlotCurveItem(*_fitted_line(), antialias=True)
        self.upright, self.best, self.level = (
            pg.PlotCurveItem() for _ in range(3)
        )  # the student's line, the teacher's
        self.marks = {look: pg.ScatterPlotItem(symbol=SYMBOLS[look[0]][0], size=SYMBOLS[look[0]][1]) for look in LOOKS}
        for axis in self._axes.values():
            axis.setZValue(-1000)  # the grid under the dots
        for item in (*self.band, self.line, self.fitted, self.upright, self.best, self.level, *self.marks.values()):
            self.plotItem.addItem(item, ignoreBounds=True)

    # what is shown

    def show_state(self, state: LawState) -> None:
        self.state = state
        across, upward = wanted_spans(state)
        before = self._spans or (None, None)
        self._spans = calm(across, before[0]), calm(upward, before[1])
        self.getViewBox().setRange(xRange=self._spans[0], yRange=self._spans[1], padding=0, disableAutoRange=True)
        self.spots = all_spots(state)
        if self.hover is not None:
            self.hover = next((spot for spot in self.spots if same_spot(spot, self.hover)), None)
        self._draw_pair()
        self._draw_dots()
        self._lettered_for = None
        self.viewport().update()

    def dress(self) -> None:
        """Take the colours of the theme."""
        font = QFont(self.font())
        font.setPixelSize(theme.SMALL)
        for axis in self._axes.values():
            axis.setStyle(tickFont=theme.tabular(font), tickLength=0)
            axis.setPen(pg.mkPen(theme.colour("field_line"), width=1))
            axis.setTickPen(pg.mkPen(theme.colour("line"), width=1))
            axis.setTextPen(theme.colour("muted"))
            axis.setGrid(160)
        fill = theme.colour("band")
        for piece, is_fitted in zip(self.band, (False, True, False), strict=True):
            shade = QColor(fill)
            shade.setAlphaF(1.0 if is_fitted else 0.6)
            piece.setPen(QPen(Qt.PenStyle.NoPen))
            piece.setBrush(shade)
        self.line.setPen(pg.mkPen(theme.colour("muted"), width=1, style=Qt.PenStyle.DashLine))
        self.fitted.setPen(pg.mkPen(theme.colour("ink"), width=2))
        accent = theme.colour("accent")
        self.upright.setPen(pg.mkPen(accent, width=1))
        self.best.setPen(pg.mkPen(accent, width=4, cap=Qt.PenCapStyle.FlatCap))
        self.level.setPen(pg.mkPen(theme.colour("teacher"), width=1, style=Qt.PenStyle.DashLine))
        for (kind, hollow), marks in self.marks.items():
            marks.setPen(mark_pen(kind))
            marks.setBrush(mark_brush(kind, hollow=hollow))
        self.viewport().update()

    def _draw_dots(self) -> None:
        for look, marks in self.marks.items():
            spots = [spot for spot in self.spots if (spot.kind, spot.hollow()) == look]
            marks.setData(x=[spot.student for spot in spots], y=[spot.teacher for spot in spots])

    def _draw_pair(self) -> None:
        """The student's upright line with the law's range on it, and the teacher's level."""
        (left, _), (low, high) = self._spans or ((0.0, 1.0), (0.0, 1.0))
        student, teacher = self._student(), self.state.teacher_dot()
        known = self.state.student_params is not None
        best = [student + math.log10(ratio) for ratio in law.BAND_RATIOS]
        self.upright.setData([student, student] if known else [], [low, high] if known else [])
        self.best.setData([student, student] if known else [], best if known else [])
        level = [math.log10(teacher.parameters)] * 2 if teacher else []
        self.level.setData([left, student] if teacher else [], level)
        self._axes["bottom"].mark(student if known else None)
        self._axes["left"].mark(level[0] if level else None)

    # decades and pixels

    def frame(self) -> Frame:
        area = QRectF(self.getViewBox().sceneBoundingRect())
        return Frame(area, *self._spans) if self._spans else Frame(area)

    def pixel(self, across: float, upward: float) -> QPointF:
        return self.frame().pixel(across, upward)

    def spot_at(self, at: QPointF) -> Spot | None:
        """The nearest dot within reach; a model before the rest."""
        found, frame = [], self.frame()
        for order, spot in enumerate(self.spots):
            away = frame.of(spot) - at
            distance = math.hypot(away.x(), away.y())
            if distance <= REACH:
                found.append((spot.kind not in ("model", "teacher"), distance, order, spot))
        return min(found, key=lambda one: one[:3])[3] if found else None

    # the mouse: nothing of it reaches pyqtgraph, so there is no menu, no panning, and the wheel scrolls the page

    def mouseMoveEvent(self, ev: QMouseEvent) -> None:  # noqa: N802
        at, frame = ev.position(), self.frame()
        if self._dragging:
            self.plane_clicked.emit(10 ** frame.decades(at).x())
            return
        inside = frame.area.contains(at)
        spot = self.spot_at(at) if inside else None
        self.setCursor(Qt.CursorShape.PointingHandCursor if spot and spot.model else Qt.CursorShape.ArrowCursor)
        if spot != self.hover:
            self.hover = spot
            self.viewport().update()
        self.hovered.emit(spot or (frame.decades(at) if inside else None))

    def mousePressEvent(self, ev: QMouseEvent) -> None:  # noqa: N802
        at, frame = ev.position(), self.frame()
        if ev.button() != Qt.MouseButton.LeftButton or not frame.area.contains(at):
            return
        spot = self.spot_at(at)
        if spot is not None and spot.model is not None:
            self.spot_clicked.emit(spot)
        else:
            self._dragging = True
            self.plane_clicked.emit(10 ** frame.decades(at).x())

    def mouseReleaseEvent(self, ev: QMouseEvent) -> None:  # noqa: N802
        self._dragging = False

    def mouseDoubleClickEvent(self, ev: QMouseEvent) -> None:  # noqa: N802
        self.mousePressEvent(ev)

    def leaveEvent(self, ev: QEvent) -> None:  # noqa: N802
        self.hover = None
        self.viewport().update()
        self.hovered.emit(None)

    def wheelEvent(self, ev: QWheelEvent) -> None:  # noqa: N802
        ev.ignore()

    def contextMenuEvent(self, ev: QEvent) -> None:  # noqa: N802
        ev.ignore()

    # painting over the plot, in pixels

    def drawForeground(self, painter: QPainter, rect: QRectF) -> None:  # noqa: N802
        painter.save()
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = QFont(self.font())
        font.setPixelSize(theme.SMALL)
        painter.setFont(theme.tabular(font))
        painter.setLayoutDirection(Qt.LayoutDirection.LayoutDirectionAuto)  # each text as its own letters run
        frame = self.frame()
        self._letter(frame, QFontMetricsF(painter.font()))
        self._paint_band_name(painter)
        self._paint_pair(painter, frame)
        self._paint_texts(painter)
        self._paint_focus(painter)
        painter.restore()

    def _letter(self, frame: Frame, metrics: QFontMetricsF) -> None:
        """Place all texts, once for a state and a size."""
        now = (id(self.state), frame.area.getRect(), frame.across, frame.upward)
        if now == self._lettered_for:
            return
        self._lettered_for = now
        self.titles = axis_titles(frame, metrics, self.tr("Student size"), self.tr("Teacher size"))
        texts = (self.tr("2–3.33 times"), self.tr("2–3.33 times, extrapolated"))
        self.band_name = band_name(frame, metrics, self.spots, self._student(), texts)
        taken = [box for box, _ in self.titles]
        taken += self.band_name.boxes(metrics) if self.band_name is not None else []
        self.names = spot_names(frame, metrics, self.state, self.spots, taken)

    def _paint_band_name(self, painter: QPainter) -> None:
        if self.band_name is None:
            return
        painter.save()
        painter.translate(self.band_name.at)
        painter.rotate(self.band_name.angle)
        painter.setPen(theme.colour("ink"))
        above = QRectF(-200, -32, 400, 30)  # the dashed line
        centred = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom
        painter.drawText(above, centred, self.band_name.text)
        painter.restore()

    def _paint_texts(self, painter: QPainter) -> None:
        centred = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextSingleLine
        for role, texts in (("muted", self.titles), ("ink", self.names)):
            painter.setPen(theme.colour(role))
            for box, text in texts:
                painter.drawText(box, centred, text)

    def _student(self) -> float:
        return math.log10(self.state.student_params or middle_student(self.state))

    def _paint_pair(self, painter: QPainter, frame: Frame) -> None:
        """The models' heights at the axis, the sizes of the pair on their axes, and the rings."""
        area = frame.area
        painter.setPen(QPen(theme.colour("teacher"), 1))
        for dot in self.state.models:
            y = frame.pixel(0, math.log10(dot.parameters)).y()
            painter.drawLine(QPointF(area.left() - 5, y), QPointF(area.left(), y))
        teacher, student = self.state.teacher_dot(), self._student()
        if self.state.student_params is not None:
            below = QPointF(frame.pixel(student, 0).x(), area.bottom() + 4)
            self._tag(painter, below, count_text(self.state.student_params), "accent")
        if teacher is not None:
            at = frame.pixel(student, math.log10(teacher.parameters))
            painter.setPen(QPen(theme.colour("accent"), 2.5))
            painter.drawEllipse(at, 9, 9)
            self._tag(painter, QPointF(area.left() - 4, at.y()), count_text(teacher.parameters), "teacher")
        if self.hover is not None:
            painter.setPen(QPen(theme.colour("ink"), 1.5))
            painter.drawEllipse(frame.of(self.hover), 8, 8)

    def _tag(self, painter: QPainter, at: QPointF, text: str, role: str) -> None:
        """A size on its axis: below the plane for the student, before it for the teacher."""
        metrics = QFontMetricsF(painter.font())
        width, height = metrics.horizontalAdvance(text) + 10, metrics.height() + 2
        left, top = (at.x() - width / 2, at.y()) if role == "accent" else (at.x() - width, at.y() - height / 2)
        left = min(max(left, 0), self.width() - width)
        box = QRectF(left, top, width, height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(role))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(theme.colour("on_accent"))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_focus(self, painter: QPainter) -> None:
        if self.focused:
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.drawRoundedRect(QRectF(self.viewport().rect()).adjusted(1, 1, -1, -1), 4, 4)


def _pieces() -> list[tuple[float, float]]:
    """The band's students in decades: below, within and above the fitted sizes."""
    low, high = (math.log10(size) for size in law.FITTED_STUDENTS)
    return [(math.log10(SMALLEST), low), (low, high), (high, math.log10(LARGEST))]


def _band_piece(first: float, last: float) -> QPolygonF:
    low, high = (math.log10(ratio) for ratio in law.BAND_RATIOS)
    corners = ((first, first + low), (last, last + low), (last, last + high), (first, first + high))
    return QPolygonF([QPointF(*corner) for corner in corners])


def _fitted_line() -> tuple[list[float], list[float]]:
    low, high = (math.log10(size) for size in law.FITTED_STUDENTS)
    across = [low + (high - low) * step / 40 for step in range(41)]
    return across, [math.log10(law.AFFINE_SLOPE * 10**x + law.AFFINE_INTERCEPT) for x in across]


def mark_pen(kind: Kind) -> QPen:
    """The outline of a mark."""
    role = {"model": "teacher", "teacher": "teacher", "run": "surface", "published": "muted"}[kind]
    pen = QPen(theme.colour(role), 1.5)
    pen.setCosmetic(True)  # in pixels, not in units of the symbol
    return pen


def mark_brush(kind: Kind, *, hollow: bool) -> QColor:
    """The filling of a mark."""
    if kind == "run":
        return QColor(theme.series_colour(1))
    return theme.colour("surface" if hollow else "teacher")
