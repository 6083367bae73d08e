"""The read-out of all plots: where the rule stands, and the value of every line there. It is the legend at once.

Of one run it is a line of names and values that flows like text; of several a small table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QLineF, QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_app import theme
from desktop_app.charts.lines import Dash
from desktop_app.charts.plot import ABSOLUTE, ink, pen_style

ROW = 18  # px
SWATCH, STROKE = 17, 12  # px that a line's sign takes, and its stroke
GAP = 14
BETWEEN = 5  # a name and its value
NAME_LEAST, NAME_MOST = 72, 240
CELL_LEAST = 44
GROUPED_LEAST = 4  # rows; fewer are not parted


@dataclass(frozen=True)
class Key:
    """How a line looks."""

    colour: str
    dash: Dash = "solid"
    dots: bool = False


@dataclass(frozen=True)
class Column:
    title: str
    key: Key | None = None
    spare: bool = False  # a plot of its own says it too: left out where it would take more height


@dataclass(frozen=True)
class Row:
    name: str
    cells: tuple[str, ...]
    key: Key | None = None


@dataclass(frozen=True)
class Places:
    """Where things stand in a width: px of the names, columns of each line of them, rows and px of a group."""

    name: float
    bands: list[list[int]]
    rows: int
    group: float


class ReadOut(QWidget):
    """Values by name of one run, or a row for each run and a column for each kind of value; what doesn't fit goes on
    underneath. Widths only grow, so that nothing jumps under the eye."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.position = ""
        self.position_tip = ""
        self.happened = ""  # at the rule: a checkpoint, a resumption
        self._position_width = 0.0
        self.columns: tuple[Column, ...] = ()
        self.rows: tuple[Row, ...] = ()
        self._widths: list[float] = []
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setAccessibleName(self.tr("Values of all lines"))

    def show_table(self, columns: tuple[Column, ...], rows: tuple[Row, ...]) -> None:
        if (columns, rows) == (self.columns, self.rows):
            return
        before = self.height_for(self.width())
        if columns != self.columns or len(rows) != len(self.rows):
            self._widths, self._position_width = [], 0.0
        self.columns, self.rows = columns, rows
        self._measure()
        if before != self.height_for(self.width()):
            self.updateGeometry()
        self.update()

    def show_position(self, text: str, tip: str = "", happened: str = "") -> None:
        """Where the rule stands in words, the same in more words, and what happened there."""
        if (text, tip, happened) == (self.position, self.position_tip, self.happened):
            return
        before = self.height_for(self.width())
        self.position, self.position_tip, self.happened = text, tip, happened
        self._measure()
        if before != self.height_for(self.width()):
            self.updateGeometry()
        self.update()

    def in_words(self) -> str:
        """All of it in a sentence a row, for who can't see it."""
        told = []
        for row in self.rows:
            values = ", ".join(
                f"{c.title} {cell}" for c, cell in zip(self.columns, row.cells, strict=True) if cell != "–"
            )
            told.append(f"{row.name}: {values}." if row.name else f"{values}.")
        where = " · ".join(part for part in (self.position_tip or self.position, self.happened) if part)
        return " ".join([where, *told]).strip()

    def flows(self) -> bool:
        return len(self.rows) == 1 and not self.rows[0].name

    # --- size

    def sizeHint(self) -> QSize:  # noqa: N802
        width = self.width() or 480
        return QSize(240, self.heightForWidth(width))

    def hasHeightForWidth(self) -> bool:  # noqa: N802
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        return round(self.height_for(width))

    def height_for(self, width: float) -> float:
        if not self.rows:
            return ROW
        if self.flows():
            return ROW * (1 + self._flow(width)[-1][1])
        return self._table_height(self._places(width))

    def _table_height(self, places: Places) -> float:
        return ROW + len(places.bands) * ROW * (1 + places.rows) + (len(places.bands) - 1) * 4

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        if self.heightForWidth(event.size().width()) != event.size().height():
            self.updateGeometry()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._widths = []
            self._measure()
            self.updateGeometry()
        self.update()

    def _measure(self) -> None:
        """Widths of the columns; they grow with their values and never shrink."""
        metrics = QFontMetricsF(self._font())
        flows = self.flows()
        wanted = []
        for number, column in enumerate(self.columns):
            title = metrics.horizontalAdvance(column.title)
            values = max((metrics.horizontalAdvance(row.cells[number]) for row in self.rows), default=0.0)
            extra = SWATCH if column.key else 0
            inside = title + BETWEEN + values if flows else max(CELL_LEAST, title, values)
            wanted.append(inside + extra + GAP)
        if len(self._widths) == len(wanted):
            wanted = [max(pair) for pair in zip(self._widths, wanted, strict=True)]
        self._widths = wanted
        self._position_width = max(self._position_width, metrics.horizontalAdvance(self.position) + GAP)

    def _flow(self, width: float) -> list[tuple[float, int]]:
        """How far from the start of which row the position and each pair after it stand."""
        places, used, row = [], 0.0, 0
        for each in (self._position_width, *self._widths):
            if used and used + each - GAP > width:
                used, row = 0.0, row + 1
            places.append((used, row))
            used += each
        return places

    def _places(self, width: float) -> Places:
        """The table with all of its columns, unless without the spare ones it is less high."""
        every = range(len(self.columns))
        full = self._placed(width, list(every))
        short = self._placed(width, [number for number in every if not self.columns[number].spare])
        return short if self._table_height(short) < self._table_height(full) else full

    def _placed(self, width: float, columns: list[int]) -> Places:
        """Columns that don't fit go on underneath; many rows stand in groups side by side where they fit."""
        metrics = QFontMetricsF(self._font())
        widest = max((metrics.horizontalAdvance(row.name) for row in self.rows), default=0.0) + SWATCH + GAP
        name = max(NAME_LEAST, min(NAME_MOST, 0.4 * width, widest))
        bands: list[list[int]] = [[]]
        used = name
        for number in columns:
            if bands[-1] and used + self._widths[number] - GAP > width:
                bands.append([])
                used = name
            bands[-1].append(number)
            used += self._widths[number]
        group = name + sum(self._widths[number] for number in columns) + GAP
        groups = max(1, int((width + 2 * GAP) // group)) if len(self.rows) >= GROUPED_LEAST else 1
        return Places(name, bands, math.ceil(len(self.rows) / groups), group)

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        self.draw(painter, QRectF(self.rect()))
        painter.end()

    def draw(self, painter: QPainter, room: QRectF) -> None:
        """Paint it into `room` of any device."""
        painter.setFont(self._font())
        painter.setLayoutDirection(Qt.LayoutDirection.LayoutDirectionAuto)  # each text by its own script
        if self.flows():
            self._draw_flow(painter, room)
            return
        where = " · ".join(part for part in (self.position, self.happened) if part)
        self._text(painter, self._box(room, 0, room.top(), room.width()), where, "muted")
        if not self.rows:
            return
        places = self._places(room.width())
        for first in range(0, len(self.rows), places.rows):
            before = first // places.rows * places.group
            inset = (before, 0.0) if self._left_to_right() else (0.0, before)
            part = room.adjusted(inset[0], ROW, -inset[1], 0)
            self._draw_group(painter, part, places, self.rows[first : first + places.rows])

    def _draw_flow(self, painter: QPainter, room: QRectF) -> None:
        metrics = QFontMetricsF(painter.font())
        (left, row), *places = self._flow(room.width())
        self._text(painter, self._box(room, left, room.top(), room.width()), self.position, "ink")
        end = self._position_width
        for (left, row), column, cell, width in zip(
            places, self.columns, self.rows[0].cells, self._widths, strict=True
        ):
            top, end = room.top() + row * ROW, left + width
            if column.key:
                self._draw_key(painter, self._box(room, left, top, SWATCH), column.key)
                left += SWATCH
            name = metrics.horizontalAdvance(column.title)
            self._text(painter, self._box(room, left, top, name + 2), column.title, "muted")
            self._text(painter, self._box(room, left + name + BETWEEN, top, end - left), cell, "ink")
        rest = room.width() - end
        if self.happened and rest > NAME_LEAST:
            told = metrics.elidedText(self.happened, Qt.TextElideMode.ElideRight, rest)
            self._text(painter, self._box(room, end, room.top() + row * ROW, rest), told, "ink")

    def _draw_group(self, painter: QPainter, room: QRectF, places: Places, rows: tuple[Row, ...]) -> None:
        top = room.top()
        for band in places.bands:
            self._draw_head(painter, room, top, places.name, band)
            for row in rows:
                top += ROW
                self._draw_row(painter, room, top, places.name, band, row)
            top += ROW + 4

    def _left_to_right(self) -> bool:
        return self.layoutDirection() == Qt.LayoutDirection.LeftToRight

    def _box(self, room: QRectF, left: float, top: float, width: float) -> QRectF:
        """A box that begins `left` from where lines of text begin."""
        x = room.left() + left if self._left_to_right() else room.right() - left - width
        return QRectF(x, top, width, ROW)

    def _draw_head(self, painter: QPainter, room: QRectF, top: float, left: float, band: list[int]) -> None:
        for number in band:
            column, width = self.columns[number], self._widths[number]
            box = self._box(room, left, top, width - GAP)
            self._text(painter, box, column.title, "muted")
            left += width

    def _draw_row(self, painter: QPainter, room: QRectF, top: float, left: float, band: list[int], row: Row) -> None:
        if left:
            swatch = SWATCH if row.key else 0
            if row.key:
                self._draw_key(painter, self._box(room, 0, top, SWATCH), row.key)
            width = left - swatch - GAP + 2
            short = QFontMetricsF(painter.font()).elidedText(row.name, Qt.TextElideMode.ElideMiddle, width)
            self._text(painter, self._box(room, swatch, top, width), short, "ink")
        for number in band:
            box = self._box(room, left, top, self._widths[number] - GAP)
            self._text(painter, box, row.cells[number], "ink")
            left += self._widths[number]

    def _text(self, painter: QPainter, box: QRectF, text: str, role: str) -> None:
        side = Qt.AlignmentFlag.AlignLeft if self._left_to_right() else Qt.AlignmentFlag.AlignRight
        painter.setPen(theme.colour(role))
        painter.drawText(box, int(side | ABSOLUTE | Qt.AlignmentFlag.AlignVCenter), text)

    def _draw_key(self, painter: QPainter, box: QRectF, key: Key) -> None:
        left = box.left() if self._left_to_right() else box.right() - STROKE
        middle = QPointF(left + STROKE / 2, box.center().y())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(ink(key.colour), 2, pen_style(key.dash))
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        if key.dash == "dashed":  # a pen's own dashes are too long for so short a stroke
            pen.setDashPattern([2.5, 1])
        painter.setPen(pen)
        painter.drawLine(QLineF(left, middle.y(), left + STROKE, middle.y()))
        if key.dots:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ink(key.colour))
            painter.drawEllipse(middle, 3, 3)
        painter.restore()

    def _font(self) -> QFont:
        font = theme.tabular(self.font())
        font.setPixelSize(theme.SMALL)
        return font

    def event(self, event: QEvent) -> bool:
        """Names that were shortened are whole in the tool tip, and the place is there on all axes."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self._name_at(event.pos()) or self.position_tip, self)
            return True
        return super().event(event)

    def _name_at(self, place: QPoint) -> str:
        """The whole name of the run under the pointer."""
        if self.flows() or place.y() < ROW:
            return ""
        places = self._places(self.width())
        along = place.x() if self._left_to_right() else self.width() - place.x()
        row = int((place.y() - ROW) // ROW) % (places.rows + 1) - 1 if self.rows else -1
        number = int(along // places.group) * places.rows + row
        return self.rows[number].name if row >= 0 and number < len(self.rows) else ""
