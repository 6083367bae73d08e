"""The read-out of all plots: where the rule stands, and the value of every line there. It is the legend at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_app import theme
from desktop_app.charts.lines import Dash
from desktop_app.charts.plot import ink

ROW = 20  # px
SWATCH = 22
GAP = 16
NAME_LEAST, NAME_MOST = 72, 260
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
    """A small table: a row for each run, a column for each kind of value; columns that don't fit go on underneath."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.position = ""
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
            self._widths = []
        self.columns, self.rows = columns, rows
        self._measure()
        if before != self.height_for(self.width()):
            self.updateGeometry()
        self.update()

    def show_position(self, text: str) -> None:
        if text != self.position:
            self.position = text
            self.update(0, 0, self.width(), ROW)

    def in_words(self) -> str:
        """All of it in a sentence a row, for who can't see it."""
        told = []
        for row in self.rows:
            values = ", ".join(
                f"{c.title} {cell}" for c, cell in zip(self.columns, row.cells, strict=True) if cell != "–"
            )
            told.append(f"{row.name}: {values}." if row.name else f"{values}.")
        return " ".join([self.position, *told]).strip()

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
        places = self._places(width)
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
        """Widths of the columns; they grow with their values and never shrink, so that nothing jumps."""
        metrics = QFontMetricsF(self._font())
        wanted = []
        for number, column in enumerate(self.columns):
            texts = [column.title, *(row.cells[number] for row in self.rows)]
            extra = SWATCH if column.key else 0
            wanted.append(max(CELL_LEAST, max(map(metrics.horizontalAdvance, texts)) + extra) + GAP)
        if len(self._widths) == len(wanted):
            wanted = [max(pair) for pair in zip(self._widths, wanted, strict=True)]
        self._widths = wanted

    def _places(self, width: float) -> Places:
        """Columns that don't fit go on underneath; many rows stand in groups side by side where they fit."""
        name = 0.0
        if any(row.name for row in self.rows):
            metrics = QFontMetricsF(self._font())
            widest = max(metrics.horizontalAdvance(row.name) for row in self.rows) + SWATCH + 8
            name = max(NAME_LEAST, min(NAME_MOST, 0.4 * width, widest))
        bands: list[list[int]] = [[]]
        used = name
        for number, each in enumerate(self._widths):
            if bands[-1] and used + each - GAP > width:
                bands.append([])
                used = name
            bands[-1].append(number)
            used += each
        group = name + sum(self._widths) + GAP
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
        painter.setPen(theme.colour("ink"))
        start = Qt.AlignmentFlag.AlignLeft if self._left_to_right() else Qt.AlignmentFlag.AlignRight
        painter.drawText(
            QRectF(room.left(), room.top(), room.width(), ROW),
            int(start | Qt.AlignmentFlag.AlignVCenter),
            self.position,
        )
        if not self.rows:
            return
        places = self._places(room.width())
        for first in range(0, len(self.rows), places.rows):
            before = first // places.rows * places.group
            inset = (before, 0.0) if self._left_to_right() else (0.0, before)
            part = room.adjusted(inset[0], ROW, -inset[1], 0)
            self._draw_group(painter, part, places, self.rows[first : first + places.rows])

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
            painter.setPen(theme.colour("muted"))
            if column.key:
                self._draw_key(painter, box, column.key)
                box = self._box(room, left + SWATCH, top, width - GAP - SWATCH)
            self._text(painter, box, column.title)
            left += width

    def _draw_row(self, painter: QPainter, room: QRectF, top: float, left: float, band: list[int], row: Row) -> None:
        if left:
            swatch = SWATCH if row.key else 0
            if row.key:
                self._draw_key(painter, self._box(room, 0, top, SWATCH), row.key)
            painter.setPen(theme.colour("ink"))
            width = left - swatch - 8
            short = QFontMetricsF(painter.font()).elidedText(row.name, Qt.TextElideMode.ElideMiddle, width)
            self._text(painter, self._box(room, swatch, top, width), short)
        painter.setPen(theme.colour("ink"))
        for number in band:
            indent = SWATCH if self.columns[number].key else 0
            box = self._box(room, left + indent, top, self._widths[number] - GAP - indent)
            self._text(painter, box, row.cells[number])
            left += self._widths[number]

    def _text(self, painter: QPainter, box: QRectF, text: str) -> None:
        start = Qt.AlignmentFlag.AlignLeft if self._left_to_right() else Qt.AlignmentFlag.AlignRight
        painter.drawText(box, int(start | Qt.AlignmentFlag.AlignVCenter), text)

    def _draw_key(self, painter: QPainter, box: QRectF, key: Key) -> None:
        left = box.left() if self._left_to_right() else box.right() - SWATCH + 6
        y = box.center().y()
        style = {"solid": Qt.PenStyle.SolidLine, "dashed": Qt.PenStyle.DashLine, "dotted": Qt.PenStyle.DotLine}
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(ink(key.colour), 2, style[key.dash]))
        painter.drawLine(QPointF(left, y), QPointF(left + 16, y))
        if key.dots:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ink(key.colour))
            painter.drawEllipse(QPointF(left + 8, y), 3, 3)
        painter.restore()

    def _font(self) -> QFont:
        font = theme.tabular(self.font())
        font.setPixelSize(theme.SMALL)
        return font

    def event(self, event: QEvent) -> bool:
        """Names that were shortened are whole in the tool tip."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self._name_at(event.pos()), self)
            return True
        return super().event(event)

    def _name_at(self, place: QPoint) -> str:
        """The whole name of the run under the pointer."""
        places = self._places(self.width())
        along = place.x() if self._left_to_right() else self.width() - place.x()
        row = int((place.y() - ROW) // ROW) % (places.rows + 1) - 1 if self.rows else -1
        number = int(along // places.group) * places.rows + row
        return self.rows[number].name if row >= 0 and number < len(self.rows) else ""
