"""A radar of scores: a spoke for each figure, a line for each model; a bar list where there are too few figures for it.

Axes stand in a fixed order and their scale does not depend on the models shown (`core.radar`). What is missing is a gap; an axis
that is being measured is dashed, and a figure that has only just come is hollow until its evaluation has ended.

python -m desktop_app.charts.radar
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.radar import LEAST_AXES, Axis, Spoke
from core.report import score_text
from desktop_app import theme
from desktop_app.charts.markers import paint_marker

ABSOLUTE = Qt.AlignmentFlag.AlignAbsolute
CENTRE = Qt.AlignmentFlag.AlignCenter
PAGE = QSize(880, 720)  # px, of an exported picture
LINE = 17.0  # px: a line of text
BAR, GAP = 16.0, 10.0  # px, of the bar list
RINGS = 4


@dataclass(frozen=True)
class RadarLine:
    """One model. `spokes` are in the order of the axes; `number` picks its mark, `colour` is hex.

    `new` are the axes of which the figure comes from an evaluation that goes on.
    """

    id: str
    name: str
    colour: str
    number: int
    spokes: tuple[Spoke, ...]
    new: frozenset[int] = frozenset()


class RadarChart(QWidget):
    """`show_scores` draws. The pointer and the arrow keys read an axis out; `axis_chosen` when one is clicked."""

    read_out = Signal(str)
    axis_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.axes: tuple[Axis, ...] = ()
        self.lines: tuple[RadarLine, ...] = ()
        self.pending: tuple[str, ...] = ()  # tasks that are being measured and have no figure yet
        self._mark: float | None = None  # a ring that means something: the reference's, or that of a guess
        self._mark_words = ""
        self._empty = ""
        self._at: int | None = None
        self._still: QPixmap | None = None  # all but the read-out, painted once
        self._rims: dict[tuple[float, float], tuple[float, float]] = {}  # by the room's size: the rim, a label's width
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(300, 280)
        self.setAccessibleName(self.tr("Radar of the scores"))

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(460, 420)

    # --- what is shown

    def show_scores(
        self,
        axes: Sequence[Axis],
        lines: Sequence[RadarLine],
        pending: Sequence[str] = (),
        *,
        mark: float | None = None,
        mark_words: str = "",
        empty: str = "",
    ) -> None:
        """`mark` is the radius of a ring that stands out, `mark_words` what it means; `empty` is said where nothing is to be drawn."""
        told = (tuple(axes), tuple(lines), tuple(pending), mark, mark_words, empty)
        if told == (self.axes, self.lines, self.pending, self._mark, self._mark_words, self._empty):
            return
        self.axes, self.lines, self.pending, self._mark, self._mark_words, self._empty = told
        if self._at is not None and self._at >= len(self.axes):
            self._at = None
        self.setAccessibleDescription(self.in_words())
        self._renew()

    def _renew(self) -> None:
        self._still = None
        self._rims.clear()
        self.update()

    @property
    def is_radar(self) -> bool:
        """Enough axes for a shape; pending ones count, for they are drawn already."""
        return len(self.axes) + len(self.pending) >= LEAST_AXES

    def reach(self) -> float:
        """The radius at the rim: 1, or more where a model is better than the reference, in steps of a quarter."""
        radii = [spoke.radius for line in self.lines for spoke in line.spokes if spoke.radius is not None]
        return max(1.0, math.ceil(4 * max(radii, default=1.0) - 1e-9) / 4)

    def in_words(self) -> str:
        """Everything that is drawn, for those who can't see it."""
        return " ".join(self.words_of(place) for place in range(len(self.axes)))

    def words_of(self, place: int) -> str:
        values = ", ".join(f"{line.name} {self._value(line.spokes[place])}" for line in self.lines)
        return f"{self.axes[place].title}: {values}."

    def _value(self, spoke: Spoke) -> str:
        if spoke.score is None:
            return spoke.why
        text = score_text(spoke.score)
        return f"{text} ({spoke.why})" if spoke.radius is None else text

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawPixmap(0, 0, self._still_picture())
        if self._at is not None:
            self._draw_readout(painter, QRectF(self.rect()), self._at)
        if self.hasFocus():
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.RADIUS, theme.RADIUS)

    def _still_picture(self) -> QPixmap:
        """The chart without its read-out, which alone changes while the pointer moves."""
        ratio = self.devicePixelRatioF()
        if self._still is None or self._still.size() != self.size() * ratio:
            self._still = QPixmap(self.size() * ratio)
            self._still.setDevicePixelRatio(ratio)
            self._still.fill(Qt.GlobalColor.transparent)
            painter = QPainter(self._still)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self.draw(painter, QRectF(self.rect()))
            painter.end()
        return self._still

    def draw(self, painter: QPainter, room: QRectF) -> None:
        """Paint on any device."""
        painter.save()
        painter.setFont(self._font())
        if not self.axes and not self.pending:
            painter.setPen(theme.colour("muted"))
            painter.drawText(room.adjusted(24, 24, -24, -24), int(CENTRE | Qt.TextFlag.TextWordWrap), self._empty)
        elif self.is_radar:
            self._draw_web(painter, room)
            for line in self.lines:
                self._draw_line(painter, room, line)
            self._draw_pending(painter, room)
        else:
            self._draw_bars(painter, room)
        painter.restore()

    def _font(self, *, bold: bool = False) -> QFont:
        font = theme.tabular(self.font())
        font.setPixelSize(theme.SMALL)
        font.setBold(bold)
        return font

    def _count(self) -> int:
        return len(self.axes) + len(self.pending)

    def _rim(self, room: QRectF) -> float:
        return self._measures(room)[0]

    def _label_width(self, room: QRectF) -> float:
        return self._measures(room)[1]

    def _measures(self, room: QRectF) -> tuple[float, float]:
        """The radius of the rim, and what the longest label takes, which is not so much that the chart gets small."""
        size = (room.width(), room.height())
        if size not in self._rims:
            label = self._longest_label(room)
            self._rims[size] = max(40.0, min(size[0] / 2 - label - 12, size[1] / 2 - 2 * LINE - 14)), label
        return self._rims[size]

    def _longest_label(self, room: QRectF) -> float:
        metrics = QFontMetricsF(self._font(bold=True))
        texts = [*(f"{axis.title} ⇅" if axis.turned else axis.title for axis in self.axes), *self.pending]
        texts += [self.tr("being measured…")] if self.pending else []
        return min(max(map(metrics.horizontalAdvance, texts), default=0.0) + 4, room.width() / 4)

    def _point(self, room: QRectF, place: int, share: float) -> QPointF:
        angle = 2 * math.pi * place / self._count() - math.pi / 2
        rim, centre = self._rim(room), room.center()
        return QPointF(centre.x() + rim * share * math.cos(angle), centre.y() + rim * share * math.sin(angle))

    def _share(self, radius: float) -> float:
        return min(1.0, max(0.0, radius) / self.reach())

    def _draw_web(self, painter: QPainter, room: QRectF) -> None:
        line, muted = theme.colour("line"), theme.colour("muted")
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for ring in range(1, RINGS + 1):
            painter.setPen(QPen(line, 1))
            painter.drawPolygon(self._ring(room, ring / RINGS))
        for place in range(self._count()):
            painter.setPen(QPen(line, 1, Qt.PenStyle.SolidLine if place < len(self.axes) else Qt.PenStyle.DashLine))
            painter.drawLine(room.center(), self._point(room, place, 1.0))
        if self._mark is not None and self._mark <= self.reach():
            painter.setPen(QPen(theme.colour("field_line"), 1.25, Qt.PenStyle.DashLine))
            painter.drawPolygon(self._ring(room, self._share(self._mark)))
        painter.setPen(muted)
        for ring in range(1, RINGS + 1):
            at = self._point(room, 0, ring / RINGS)
            text = f"{self.reach() * ring / RINGS:.3g}"
            box = QRectF(at.x() + 5, at.y() - 1, 40, LINE)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignLeft | ABSOLUTE), text)
        for place in range(self._count()):
            self._draw_label(painter, room, place)

    def _ring(self, room: QRectF, share: float) -> QPolygonF:
        return QPolygonF([self._point(room, place, share) for place in range(self._count())])

    def _label_box(self, room: QRectF, place: int) -> tuple[QRectF, int]:
        angle = 2 * math.pi * place / self._count() - math.pi / 2
        across, down = math.cos(angle), math.sin(angle)
        at = self._point(room, place, 1.0) + QPointF(9 * across, 9 * down)
        wide, high = self._label_width(room), 2 * LINE
        if abs(across) < 0.2:
            box = QRectF(at.x() - wide, at.y() - high if down < 0 else at.y(), 2 * wide, high)
            side = Qt.AlignmentFlag.AlignHCenter | (
                Qt.AlignmentFlag.AlignBottom if down < 0 else Qt.AlignmentFlag.AlignTop
            )
        elif across > 0:
            box, side = (
                QRectF(at.x(), at.y() - high / 2, wide, high),
                Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
            )
        else:
            box, side = (
                QRectF(at.x() - wide, at.y() - high / 2, wide, high),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
            )
        return box, int(side | ABSOLUTE)

    def _draw_label(self, painter: QPainter, room: QRectF, place: int) -> None:
        box, side = self._label_box(room, place)
        pending = place >= len(self.axes)
        text = self.pending[place - len(self.axes)] if pending else self.axes[place].title
        painter.setPen(theme.colour("muted" if pending else "ink"))
        if not pending and self.axes[place].turned:
            text = f"{text} ⇅"
        metrics = QFontMetricsF(painter.font())
        first = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, box.width())
        painter.drawText(box, side, f"{first}\n{self.tr('being measured…')}" if pending else first)

    def _draw_line(self, painter: QPainter, room: QRectF, line: RadarLine) -> None:
        corners = [
            None if spoke.radius is None else self._point(room, place, self._share(spoke.radius))
            for place, spoke in enumerate(line.spokes)
        ] + [None] * len(self.pending)
        ink = QColor(line.colour)
        whole = [corner for corner in corners if corner is not None]
        if len(whole) == len(corners):
            fill = QColor(ink)
            fill.setAlphaF(0.09)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(fill)
            painter.drawPolygon(QPolygonF(whole))
        for place, corner in enumerate(corners):
            after = corners[(place + 1) % len(corners)]
            if corner is not None and after is not None:
                dashed = {place, (place + 1) % len(corners)} & line.new
                painter.setPen(QPen(ink, 2, Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine))
                painter.drawLine(corner, after)
        for place, corner in enumerate(corners):
            if corner is not None:
                ground = theme.colours().surface if place in line.new else ""
                paint_marker(painter, corner, line.number, ink, 8, hollow_on=ground)

    def _draw_pending(self, painter: QPainter, room: QRectF) -> None:
        painter.setBrush(theme.colour("surface"))
        painter.setPen(QPen(theme.colour("muted"), 1.5, Qt.PenStyle.DotLine))
        for place in range(len(self.axes), self._count()):
            painter.drawEllipse(self._point(room, place, 1.0), 4, 4)

    # --- too few axes for a shape

    def _bar_room(self, room: QRectF, place: int) -> QRectF:
        head = room.top() + 3 * LINE
        height = LINE + len(self.lines) * BAR + GAP
        return QRectF(room.left() + 16, head + place * height, room.width() - 32, height - GAP)

    def _draw_bars(self, painter: QPainter, room: QRectF) -> None:
        """A bar for each model under the name of each figure: a shape of one or two axes would say nothing."""
        painter.setPen(theme.colour("muted"))
        why = self.tr("Bars, for a radar takes at least %d figures.") % LEAST_AXES
        painter.drawText(
            QRectF(room.left() + 16, room.top() + 10, room.width() - 32, 2 * LINE),
            int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeading),
            why,
        )
        names = [
            *(axis.title for axis in self.axes),
            *(f"{task}, {self.tr('being measured…')}" for task in self.pending),
        ]
        for place, name in enumerate(names):
            box = self._bar_room(room, place)
            painter.setPen(theme.colour("ink" if place < len(self.axes) else "muted"))
            painter.drawText(QRectF(box.left(), box.top(), box.width(), LINE), int(Qt.AlignmentFlag.AlignLeading), name)
            if place < len(self.axes):
                for row, line in enumerate(self.lines):
                    self._draw_bar(painter, box, row, line, line.spokes[place], new=place in line.new)

    def _draw_bar(self, painter: QPainter, box: QRectF, row: int, line: RadarLine, spoke: Spoke, *, new: bool) -> None:
        top, number = box.top() + LINE + row * BAR, 92.0
        groove = QRectF(box.left() + 18, top + 3, max(20.0, box.width() - 18 - number), BAR - 7)
        paint_marker(
            painter,
            QPointF(box.left() + 7, groove.center().y()),
            line.number,
            line.colour,
            7,
            hollow_on=theme.colours().surface if new else "",
        )
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("raised"))
        painter.drawRect(groove)
        if spoke.radius is not None:
            filled = QRectF(groove)
            filled.setWidth(groove.width() * self._share(spoke.radius))
            painter.setBrush(QColor(line.colour))
            painter.drawRect(filled)
        painter.setPen(theme.colour("muted"))
        text = "–" if spoke.score is None else score_text(spoke.score).partition(" ±")[0]
        painter.drawText(
            QRectF(groove.right() + 8, top, number - 8, BAR),
            int(Qt.AlignmentFlag.AlignRight | ABSOLUTE | Qt.AlignmentFlag.AlignVCenter),
            text,
        )

    # --- the read-out

    def _readout_rows(self, at: int) -> list[tuple[RadarLine, str]]:
        return [(line, self._value(line.spokes[at])) for line in self.lines]

    def _draw_readout(self, painter: QPainter, room: QRectF, at: int) -> None:
        """A box with the figures of the axis, beside it and within the room."""
        rows, metrics = self._readout_rows(at), QFontMetricsF(self._font(bold=True))
        axis = self.axes[at]
        head = [axis.title, axis.column[1].replace("_", " "), *([axis.column[2]] if axis.column[2] else [])]
        foot = [self.tr("turned: %s") % axis.turned] if axis.turned else []
        most = min(340.0, room.width() - 16)
        wide = max(
            [metrics.horizontalAdvance(text) for text in (*head, *foot)]
            + [metrics.horizontalAdvance(f"{line.name}   {value}") + 22 for line, value in rows]
        )
        size = QRectF(0, 0, min(most, wide + 20), (len(head) + len(foot) + len(rows)) * LINE + 14)
        point = self._point(room, at, 0.6) if self.is_radar else self._bar_room(room, at).center()
        left = point.x() + 14 if point.x() < room.center().x() else point.x() - size.width() - 14
        size.moveTo(
            min(max(room.left() + 4, left), room.right() - size.width() - 4),
            min(max(room.top() + 4, point.y() - size.height() / 2), room.bottom() - size.height() - 4),
        )
        if self.is_radar:
            painter.setPen(QPen(theme.colour("ink"), 1))
            painter.drawLine(room.center(), self._point(room, at, 1.0))
        painter.setPen(QPen(theme.colour("field_line"), 1))
        painter.setBrush(theme.colour("surface"))
        painter.drawRoundedRect(size, theme.RADIUS, theme.RADIUS)
        top, inner = size.top() + 7, QRectF(size.left() + 10, 0, size.width() - 20, LINE)
        for number, text in enumerate(head):
            painter.setFont(self._font(bold=number == 0))
            self._say(painter, inner.translated(0, top), text, "muted" if number else "ink")
            top += LINE
        for line, value in rows:
            self._say_row(painter, inner.translated(0, top), line, value)
            top += LINE
        for text in foot:
            self._say(painter, inner.translated(0, top), text, "muted")

    def _say(self, painter: QPainter, box: QRectF, text: str, role: str) -> None:
        painter.setPen(theme.colour(role))
        short = QFontMetricsF(painter.font()).elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, int(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter), short)

    def _say_row(self, painter: QPainter, box: QRectF, line: RadarLine, value: str) -> None:
        painter.setFont(self._font())
        paint_marker(painter, QPointF(box.left() + 5, box.center().y()), line.number, line.colour, 8)
        metrics = QFontMetricsF(painter.font())
        room = min(metrics.horizontalAdvance(value) + 4, 0.7 * box.width())
        self._say(painter, QRectF(box.left() + 16, box.top(), box.width() - room - 22, LINE), line.name, "ink")
        painter.setPen(theme.colour("ink"))
        end = QRectF(box.right() - room, box.top(), room, LINE)
        side = int(Qt.AlignmentFlag.AlignRight | ABSOLUTE | Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(end, side, metrics.elidedText(value, Qt.TextElideMode.ElideRight, room))

    # --- the pointer and the keys

    def axis_at(self, point: QPointF) -> int | None:
        """The axis that the pointer means: the nearest by angle, or the bars that it is over."""
        if not self.axes:
            return None
        room = QRectF(self.rect())
        if not self.is_radar:
            return next((place for place in range(len(self.axes)) if self._bar_room(room, place).contains(point)), None)
        away = point - room.center()
        if math.hypot(away.x(), away.y()) < 8 or math.hypot(away.x(), away.y()) > self._rim(room) + self._label_width(
            room
        ):
            return None
        turn = (math.atan2(away.y(), away.x()) + math.pi / 2) % (2 * math.pi)
        place = round(turn / (2 * math.pi) * self._count()) % self._count()
        return place if place < len(self.axes) else None

    def read(self, place: int | None) -> None:
        """Read an axis out, as the pointer does."""
        if place != self._at:
            self._at = place
            self.read_out.emit("" if place is None else self.words_of(place))
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.read(self.axis_at(event.position()))

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        place = self.axis_at(event.position())
        if place is not None and event.button() is Qt.MouseButton.LeftButton:
            self.axis_chosen.emit(place)
        super().mousePressEvent(event)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        self.read(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        moves = {Qt.Key.Key_Left: -1, Qt.Key.Key_Up: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Down: 1}
        move, count = moves.get(Qt.Key(event.key())), len(self.axes)
        if count and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._at is not None:
            self.axis_chosen.emit(self._at)
        elif move is None or not count:
            super().keyPressEvent(event)
        else:
            first = 0 if move > 0 else count - 1
            self.read(first if self._at is None else (self._at + move) % count)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self.read(None)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._renew()

    # --- as a file

    def draw_page(self, painter: QPainter, title: str, words: str) -> None:
        """A picture that stands alone: title, the models with their marks, the chart, and what the scale means."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        head = QFont(self.font())
        head.setPixelSize(theme.TITLE)
        head.setWeight(QFont.Weight.DemiBold)
        painter.setFont(head)
        inner = QRectF(20, 14, PAGE.width() - 40, 26)
        self._say(painter, inner, title, "ink")
        painter.setFont(self._font())
        left, top, metrics = 20.0, 50.0, QFontMetricsF(self._font())
        for line in self.lines:
            wide = min(300.0, metrics.horizontalAdvance(line.name) + 4)
            if left + wide > PAGE.width() - 40 and left > 20:
                left, top = 20.0, top + LINE + 2
            paint_marker(painter, QPointF(left + 5, top + LINE / 2), line.number, line.colour, 8)
            self._say(painter, QRectF(left + 16, top, wide, LINE), line.name, "ink")
            left += wide + 36
        self.draw(painter, QRectF(20, top + 28, PAGE.width() - 40, PAGE.height() - top - 90))
        painter.setFont(self._font())
        painter.setPen(theme.colour("muted"))
        painter.drawText(
            QRectF(20, PAGE.height() - 54, PAGE.width() - 40, 44),
            int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeading),
            words,
        )

    def table(self) -> bytes:
        """The figures as CSV, a row for each axis and model."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["task", "metric", "measured on", "model", "value", "standard error", "radius"])
        for place, axis in enumerate(self.axes):
            for line in self.lines:
                spoke = line.spokes[place]
                score = spoke.score
                cells = (
                    ["", ""]
                    if score is None
                    else [repr(score.value), "" if score.stderr is None else repr(score.stderr)]
                )
                writer.writerow(
                    [*axis.column, line.name, *cells, "" if spoke.radius is None else f"{spoke.radius:.6g}"]
                )
        return text.getvalue().encode("utf-8-sig")


def _example() -> None:
    from PySide6.QtWidgets import QApplication

    from core.radar import axis_of
    from core.scores import Score

    app = QApplication([])
    theme.apply(app, "system")
    axes = [axis_of((task, "acc", "")) for task in ("arc_easy", "piqa", "boolq", "mmlu", "hellaswag")]
    values = (0.6, 0.7, 0.65, 0.3, 0.5)
    lines = []
    for at, name in enumerate(("teacher", "student")):
        found = tuple(Spoke(value - 0.1 * at, Score("x", "acc", value - 0.1 * at)) for value in values)
        lines.append(RadarLine(name, name, theme.series_colour(at), at, found))
    shown = RadarChart()
    shown.show_scores(axes, lines, ["gsm8k"])
    shown.read_out.connect(print)
    shown.show()
    app.exec()


if __name__ == "__main__":
    _example()
