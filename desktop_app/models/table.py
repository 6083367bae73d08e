"""The table of models: what it shows, how it sorts and filters, and how a row is painted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from core.library import RunSummary
from core.models import ModelEntry
from core.numbers import bytes_text, count_text
from desktop_app import theme
from desktop_app.icons import icon

Index = QModelIndex | QPersistentModelIndex
NAME, PARAMETERS, ARCHITECTURE, PRECISION, DISK, TOKENIZER, SOURCE, SCORE = range(8)
SORT_ROLE: Final = Qt.ItemDataRole.UserRole
PATH_ROLE: Final = Qt.ItemDataRole.UserRole + 1
ROW_HEIGHT = 48
WIDE = 880  # px, from which all columns are shown
INSET = 11  # px, under the words of the heading
LRM = "\u200e"  # keeps figures with their unit, and paths, in their order where the layout runs from right to left
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def source_word(source: str) -> str:
    """Where a model comes from, in a word or two."""
    return {
        "added": QCoreApplication.translate("models", "Added"),
        "run": QCoreApplication.translate("models", "Made here"),
        "hub": QCoreApplication.translate("models", "Hub cache"),
        "sample": QCoreApplication.translate("models", "Sample"),
    }.get(source, source)


def architecture_text(entry: ModelEntry) -> str:
    """The architecture without the words that all of them carry."""
    if entry.info is None:
        return ""
    return entry.info.architecture.removesuffix("ForCausalLM").removesuffix("LMHeadModel") or entry.info.architecture


@dataclass(frozen=True)
class Family:
    """All models whose tokenizer gives the same ids: one letter, one colour."""

    number: int

    @property
    def letter(self) -> str:
        rest, at = divmod(self.number, len(LETTERS))
        return LETTERS[at] + (str(rest + 1) if rest else "")


@dataclass(frozen=True)
class Row:
    """A model as the table shows it. `bits_per_byte` on the held-out text of the run that made it."""

    entry: ModelEntry
    source: str
    bits_per_byte: float | None
    family: Family | None


def families(entries: Sequence[ModelEntry]) -> dict[str, Family]:
    """Tokenizer fingerprints in the order in which they first come."""
    found: dict[str, Family] = {}
    for entry in entries:
        mark = entry.info.tokenizer.fingerprint if entry.info else None
        if mark is not None and mark not in found:
            found[mark] = Family(len(found))
    return found


def rows_of(entries: Sequence[ModelEntry], sources: Mapping[Path, str], made: Mapping[str, RunSummary]) -> list[Row]:
    """`made` are runs by the folder of the model that they made."""
    known = families(entries)
    rows = []
    for entry in entries:
        info = entry.info
        own = info.lineage.scores.get("bits_per_byte") if info and info.lineage else None
        run = made.get(str(entry.path))
        score = own if isinstance(own, (int, float)) else run.bits_per_byte if run else None
        family = known.get(info.tokenizer.fingerprint or "") if info else None
        rows.append(Row(entry, sources.get(entry.path, ""), score, family))
    return rows


class ModelTable(QAbstractTableModel):
    """Rows by path: an update tells of changed cells only, so that selection and scroll position stay."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.words: list[str] = []  # of each row, all that the filter looks into
        self.headings = [
            self.tr("Name"),
            self.tr("Parameters"),
            self.tr("Architecture"),
            self.tr("Precision"),
            self.tr("Disk"),
            self.tr("Tokenizer"),
            self.tr("Source"),
            self.tr("Bits/byte"),
        ]

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these. What is gone goes, what is new comes, what changed is told."""
        wanted = [row.entry.path for row in rows]
        keep = set(wanted)
        for at in reversed(range(len(self.rows))):
            if self.rows[at].entry.path not in keep:
                self.beginRemoveRows(QModelIndex(), at, at)
                del self.rows[at]
                del self.words[at]
                self.endRemoveRows()
        places = {row.entry.path: at for at, row in enumerate(self.rows)}
        for row in rows:
            at = places.get(row.entry.path, -1)
            if at >= 0 and self.rows[at] != row:
                self.rows[at] = row
                self.words[at] = _searched(row)
                self.dataChanged.emit(self.index(at, 0), self.index(at, len(self.headings) - 1))
        if new := [row for row in rows if row.entry.path not in places]:
            self.beginInsertRows(QModelIndex(), len(self.rows), len(self.rows) + len(new) - 1)
            self.rows += new
            self.words += map(_searched, new)
            self.endInsertRows()

    def at(self, path: Path) -> int:
        return next((at for at, row in enumerate(self.rows) if row.entry.path == path), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self.headings)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self.headings[section]
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(section)
            if role == Qt.ItemDataRole.ToolTipRole:
                return self._heading_tip(section)
        return None

    def _heading_tip(self, section: int) -> str:
        return {
            TOKENIZER: self.tr(
                "Models with the same letter give the same ids to text: a student can learn from its like."
            ),
            SCORE: self.tr("On the held-out text of the run that made the model; lower is better."),
            DISK: self.tr("The weight files."),
        }.get(section, self.headings[section])

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return _text(row, column)
            case Qt.ItemDataRole.ToolTipRole:
                return self._tip(row, column)
            case Qt.ItemDataRole.AccessibleTextRole:
                return self._spoken(row, column)
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(column)
            case Qt.ItemDataRole.UserRole:
                return _sort_key(row, column)
            case _ if role == PATH_ROLE:
                return row.entry.path
        return None

    def _tip(self, row: Row, column: int) -> str:
        info = row.entry.info
        if column == NAME or info is None:
            return f"{row.entry.path}\n{row.entry.broken}" if row.entry.broken else str(row.entry.path)
        if column == TOKENIZER:
            return (info.tokenizer.fingerprint or info.tokenizer.unknown_because)[:200]
        if column == PARAMETERS:
            return self.tr("%s parameters, %s without embeddings") % (
                f"{info.parameters:,}",
                f"{info.non_embedding_parameters:,}",
            )
        return info.architecture if column == ARCHITECTURE else _text(row, column)

    def _spoken(self, row: Row, column: int) -> str:
        if column == NAME and row.entry.broken:
            return self.tr("%s, can't be used: %s") % (row.entry.name, row.entry.broken)
        return _text(row, column) or self.tr("unknown")


def _text(row: Row, column: int) -> str:
    info = row.entry.info
    if column == NAME:
        return row.entry.name
    if column == SOURCE:
        return source_word(row.source)
    if info is None:
        return ""
    match column:
        case _ if column == PARAMETERS:
            return count_text(info.parameters)
        case _ if column == ARCHITECTURE:
            return architecture_text(row.entry)
        case _ if column == PRECISION:
            return info.quantization or "/".join(info.dtypes[:2])
        case _ if column == DISK:
            return bytes_text(info.size_bytes)
        case _ if column == TOKENIZER:
            return row.family.letter if row.family else "–"
    return f"{row.bits_per_byte:.3f}" if row.bits_per_byte is not None else ""


def _searched(row: Row) -> str:
    texts = [str(row.entry.path), *(_text(row, column) for column in range(SCORE + 1))]
    if row.entry.broken:
        texts += [row.entry.broken, QCoreApplication.translate("models", "broken")]
    return "\n".join(texts).casefold()


def _sort_key(row: Row, column: int) -> Any:
    info = row.entry.info
    if column == PARAMETERS:
        return float(info.parameters) if info else -1.0
    if column == DISK:
        return float(info.size_bytes) if info else -1.0
    if column == SCORE:
        return row.bits_per_byte if row.bits_per_byte is not None else float("inf")
    if column == TOKENIZER:
        return row.family.number if row.family else 10**6
    return _text(row, column).casefold()


def _alignment(column: int) -> Qt.AlignmentFlag:
    numbers = (PARAMETERS, DISK, SCORE)
    side = Qt.AlignmentFlag.AlignTrailing if column in numbers else Qt.AlignmentFlag.AlignLeading
    return side | Qt.AlignmentFlag.AlignVCenter


class Filter(QSortFilterProxyModel):
    """Every word has to be found in a row: in its name, path, architecture, precision, source or trouble."""

    def __init__(self, table: ModelTable) -> None:
        super().__init__()
        self._words: list[str] = []
        self.table = table
        self.setSourceModel(table)
        self.setSortRole(SORT_ROLE)

    def look_for(self, text: str) -> None:
        self._words = text.casefold().split()
        self.invalidateFilter()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:  # noqa: N802
        return all(word in self.table.words[source_row] for word in self._words)


class RowDelegate(QStyledItemDelegate):
    """Two lines for the name (the second says where it is, or what is wrong), a dot and a letter for the tokenizer."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802
        return QSize(super().sizeHint(option, index).width(), ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Ground and words; the usual way asks the model seven times a cell, which a full table feels."""
        ground = QStyle.PrimitiveElement.PE_PanelItemViewItem
        option.widget.style().drawPrimitive(ground, option, painter, option.widget)
        row, column = _row_of(index), index.column()
        painter.save()
        if column == NAME:
            self._paint_name(painter, option, row)
        elif column == TOKENIZER and row.family is not None:
            area = option.rect.adjusted(INSET, 0, -INSET, 0)
            paint_family(painter, QStyle.visualRect(option.direction, area, family_square(area)), row.family)
        elif text := _text(row, column):
            area = option.rect.adjusted(INSET, 0, -INSET, 0)
            _line(painter, option, area, LRM + text, option.font, "ink", side=_alignment(column))
        painter.restore()

    def _paint_name(self, painter: QPainter, option: QStyleOptionViewItem, row: Row) -> None:
        area = option.rect.adjusted(INSET, 5, -INSET, -5)
        place = QRect(area.left(), area.top() + (area.height() - 20) // 2, 20, 20)
        mark = icon("error", "error") if row.entry.broken else icon("models", "muted")
        mark.paint(painter, QStyle.visualRect(option.direction, area, place))
        words = QStyle.visualRect(option.direction, area, area.adjusted(20 + theme.SPACE, 0, 0, 0))
        upper, lower = words.adjusted(0, 0, 0, -words.height() // 2), words.adjusted(0, words.height() // 2, 0, 0)
        font = QFont(option.font)
        font.setWeight(QFont.Weight.Medium)
        _line(painter, option, upper, row.entry.name, font, "ink")
        small = QFont(option.font)
        small.setPixelSize(theme.SMALL)
        if row.entry.broken:  # the file's name and what is wrong come first
            reason = row.entry.broken.replace(f"{row.entry.path}{os.sep}", "")
            _line(painter, option, lower, LRM + reason, small, "error", Qt.TextElideMode.ElideRight)
        else:
            _line(painter, option, lower, LRM + _place_text(row.entry.path), small, "muted")


def family_square(area: QRect) -> QRect:
    """Where the dot of a family goes: at the leading end of `area`, in the middle of its height."""
    return QRect(area.left(), area.center().y() - 10, 22, 22)


def paint_family(painter: QPainter, square: QRect, family: Family) -> None:
    """A round dot in the family's colour with its letter."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.series_colour(family.number)))
    painter.drawEllipse(square.adjusted(1, 1, -1, -1))
    font = QFont(painter.font())
    font.setPixelSize(theme.SMALL)
    font.setWeight(QFont.Weight.DemiBold)
    painter.setFont(font)
    painter.setPen(theme.colour("on_accent"))
    painter.drawText(square, Qt.AlignmentFlag.AlignCenter, family.letter)


def _line(
    painter: QPainter,
    option: QStyleOptionViewItem,
    area: QRect,
    text: str,
    font: QFont,
    colour: str,
    shorten: Qt.TextElideMode = Qt.TextElideMode.ElideMiddle,
    side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter,
) -> None:
    painter.setFont(font)
    painter.setPen(theme.colour(colour))
    elided = QFontMetrics(font).elidedText(text.replace("\n", " "), shorten, area.width())
    painter.drawText(area, QStyle.visualAlignment(option.direction, side), elided)


def _row_of(index: Index) -> Row:
    proxy = index.model()
    assert isinstance(proxy, Filter)
    return proxy.table.rows[proxy.mapToSource(index).row()]


def _place_text(path: Path) -> str:
    """The folder with ~ for the user's own."""
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


class ModelView(QTableView):
    """The table on screen. `picked` follows the current row, also when the rows change under it."""

    picked = Signal(object)  # Path, or None

    def __init__(self) -> None:
        super().__init__()
        self.table = ModelTable()
        self.filter = Filter(self.table)
        self.setModel(self.filter)
        self.setItemDelegate(RowDelegate(self))
        self.setAccessibleName(self.tr("Models"))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setMinimumSectionSize(48)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for column, longest in enumerate(("", "999M", "GPTNeoX", "BF16", "99.9 MB", "", self.tr("Made here"), "0.999")):
            wide = self.fontMetrics().horizontalAdvance(longest)
            named = header.fontMetrics().horizontalAdvance(self.table.headings[column])
            self.setColumnWidth(column, max(wide, round(named * theme.SMALL / theme.BODY)) + 2 * INSET + 4)
        self.setSortingEnabled(True)
        self.sortByColumn(NAME, Qt.SortOrder.AscendingOrder)
        self.setFont(theme.tabular(self.font()))
        self.selectionModel().currentRowChanged.connect(lambda _now, _before: self.picked.emit(self.path()))

    def path(self) -> Path | None:
        """The picked model's folder."""
        index = self.currentIndex()
        found = self.filter.data(index, PATH_ROLE) if index.isValid() else None
        return found if isinstance(found, Path) else None

    def pick(self, path: Path) -> bool:
        """Go to a model; False if it isn't shown."""
        at = self.table.at(path)
        index = self.filter.mapFromSource(self.table.index(at, 0)) if at >= 0 else QModelIndex()
        if not index.isValid():
            return False
        self.setCurrentIndex(index)
        self.scrollTo(index)
        return True

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these, keeping the place and the pick; a pick that went leaves the next row picked."""
        row = self.currentIndex().row()
        self.table.set_rows(rows)
        shown = self.filter.rowCount()
        if shown and not self.currentIndex().isValid():
            self.setCurrentIndex(self.filter.index(max(0, min(row, shown - 1)), 0))
        elif not shown:
            self.picked.emit(None)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """In a narrow table the names need the room more than the architectures, which the detail tells, too."""
        super().resizeEvent(event)
        self.setColumnHidden(ARCHITECTURE, self.width() < WIDE)
