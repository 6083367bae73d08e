"""The table of data sets: what it says of each, how it sorts and filters, and how a row is painted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from core.data.shelf import DataSet
from core.numbers import bytes_text, count_text
from desktop_app import theme
from desktop_app.data.words import container_word, format_word, sentence
from desktop_app.icons import icon

Index = QModelIndex | QPersistentModelIndex
NAME, ROWS, SIZE = range(3)
SORT_ROLE: Final = Qt.ItemDataRole.UserRole
PATH_ROLE: Final = Qt.ItemDataRole.UserRole + 1
ROW_HEIGHT = 48
INSET = 11  # px, under the words of the heading
LRM = "\u200e"  # keeps figures with their unit in their order where the layout runs from right to left


class DataTable(QAbstractTableModel):
    """Rows by path: an update tells of changed cells only, so that selection and scroll position stay."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[DataSet] = []
        self.headings = [self.tr("Name"), self.tr("Rows"), self.tr("Size")]

    def set_rows(self, rows: Sequence[DataSet]) -> None:
        keep = {row.path for row in rows}
        for at in reversed(range(len(self.rows))):
            if self.rows[at].path not in keep:
                self.beginRemoveRows(QModelIndex(), at, at)
                del self.rows[at]
                self.endRemoveRows()
        places = {row.path: at for at, row in enumerate(self.rows)}
        for row in rows:
            at = places.get(row.path, -1)
            if at >= 0 and self.rows[at] != row:
                self.rows[at] = row
                self.dataChanged.emit(self.index(at, 0), self.index(at, len(self.headings) - 1))
        if new := [row for row in rows if row.path not in places]:
            self.beginInsertRows(QModelIndex(), len(self.rows), len(self.rows) + len(new) - 1)
            self.rows += new
            self.endInsertRows()

    def at(self, path: Path) -> int:
        return next((at for at, row in enumerate(self.rows) if row.path == path), -1)

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
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self.text(row, column)
            case Qt.ItemDataRole.ToolTipRole:
                return self._tip(row, column)
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{row.name}, {self.second_line(row)}" if column == NAME else self.text(row, column)
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(column)
            case _ if role == SORT_ROLE:
                return self._sort_key(row, column)
            case _ if role == PATH_ROLE:
                return row.path
        return None

    def text(self, row: DataSet, column: int) -> str:
        if column == NAME:
            return row.name
        if column == SIZE:
            return bytes_text(row.size_bytes) if row.size_bytes is not None else ""
        if row.documents is None:
            return ""
        return count_text(row.documents) if row.exact else self.tr("≥ %s") % count_text(row.documents)

    def second_line(self, row: DataSet) -> str:
        """What it is; or why it can't be read."""
        if row.broken:
            return row.broken.replace(f"{row.path}", row.name)
        if not row.format:
            return self.tr("Looking into it…")
        made = self.tr("made here") if row.source == "run" else ""
        parts = [format_word(row.format), container_word(row.container or "", ""), made]
        return " · ".join(dict.fromkeys(part for part in parts if part))

    def _tip(self, row: DataSet, column: int) -> str:
        if column == ROWS and row.documents is not None:
            whole = f"{row.documents:,}"
            return whole if row.exact else self.tr("%s or more: it was not read to its end") % whole
        told = [row.broken] if row.broken else [sentence(text) for text in row.problems]
        return "\n".join([str(row.path), *told])

    def _sort_key(self, row: DataSet, column: int) -> Any:
        if column == ROWS:
            return float(row.documents if row.documents is not None else -1)
        if column == SIZE:
            return float(row.size_bytes if row.size_bytes is not None else -1)
        return row.name.casefold()

    def searched(self, at: int) -> str:
        row = self.rows[at]
        return f"{row.path}\n{row.name}\n{self.second_line(row)}\n{row.kind}".casefold()


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignTrailing if column in (ROWS, SIZE) else Qt.AlignmentFlag.AlignLeading
    return side | Qt.AlignmentFlag.AlignVCenter


class Filter(QSortFilterProxyModel):
    """Every word has to be found in a row: in its path, format or trouble."""

    def __init__(self, table: DataTable) -> None:
        super().__init__()
        self._words: list[str] = []
        self.table = table
        self.setSourceModel(table)
        self.setSortRole(SORT_ROLE)

    def look_for(self, text: str) -> None:
        self._words = text.casefold().split()
        self.invalidateFilter()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:  # noqa: N802
        return all(word in self.table.searched(source_row) for word in self._words)

    def row_of(self, index: Index) -> DataSet:
        return self.table.rows[self.mapToSource(index).row()]


class RowDelegate(QStyledItemDelegate):
    """Two lines for the name; the second says what the data are, or what is wrong with them."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802
        return QSize(super().sizeHint(option, index).width(), ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        ground = QStyle.PrimitiveElement.PE_PanelItemViewItem
        option.widget.style().drawPrimitive(ground, option, painter, option.widget)
        proxy, column = index.model(), index.column()
        assert isinstance(proxy, Filter)
        row = proxy.row_of(index)
        painter.save()
        if column == NAME:
            self._paint_name(painter, option, row, proxy.table.second_line(row))
        elif text := proxy.table.text(row, column):
            area = option.rect.adjusted(INSET, 0, -INSET, 0)
            _line(painter, option, area, LRM + text, option.font, "ink", side=_alignment(column))
        painter.restore()

    def _paint_name(self, painter: QPainter, option: QStyleOptionViewItem, row: DataSet, second: str) -> None:
        area = option.rect.adjusted(INSET, 5, -4, -5)
        place = QRect(area.left(), area.top() + (area.height() - 20) // 2, 20, 20)
        mark = icon("error", "error") if row.broken else icon("warning", "warning") if row.problems else icon("data", "muted")  # fmt: skip
        mark.paint(painter, QStyle.visualRect(option.direction, area, place))
        words = QStyle.visualRect(option.direction, area, area.adjusted(20 + theme.SPACE, 0, 0, 0))
        upper, lower = words.adjusted(0, 0, 0, -words.height() // 2), words.adjusted(0, words.height() // 2, 0, 0)
        font, small = QFont(option.font), QFont(option.font)
        font.setWeight(QFont.Weight.Medium)
        small.setPixelSize(theme.SMALL)
        _line(painter, option, upper, row.name, font, "ink", Qt.TextElideMode.ElideMiddle)
        _line(painter, option, lower, second, small, "error" if row.broken else "muted")


def _line(
    painter: QPainter,
    option: QStyleOptionViewItem,
    area: QRect,
    text: str,
    font: QFont,
    colour: str,
    shorten: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter,
) -> None:
    painter.setFont(font)
    painter.setPen(theme.colour(colour))
    elided = QFontMetrics(font).elidedText(text.replace("\n", " "), shorten, area.width())
    painter.drawText(area, QStyle.visualAlignment(option.direction, side), elided)


class DataView(QTableView):
    """The table on screen. `picked` follows the current row, `chosen` the selection; several make a mixture."""

    picked = Signal(object)  # Path, or None
    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.table = DataTable()
        self.filter = Filter(self.table)
        self.setModel(self.filter)
        self.setItemDelegate(RowDelegate(self))
        self.setAccessibleName(self.tr("Data sets"))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setMinimumWidth(280)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(48)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for column, longest in ((ROWS, "≥ 99.9M"), (SIZE, "99.9 MB")):
            self.setColumnWidth(column, self.fontMetrics().horizontalAdvance(longest) + 2 * INSET + 4)
        self.setSortingEnabled(True)
        self.sortByColumn(NAME, Qt.SortOrder.AscendingOrder)
        self.setFont(theme.tabular(self.font()))
        self.selectionModel().currentRowChanged.connect(lambda _now, _before: self.picked.emit(self.path()))
        self.selectionModel().selectionChanged.connect(lambda _now, _before: self.chosen.emit())

    def path(self) -> Path | None:
        """The picked data set."""
        index = self.currentIndex()
        found = self.filter.data(index, PATH_ROLE) if index.isValid() else None
        return found if isinstance(found, Path) else None

    def paths(self) -> list[Path]:
        """All that are selected, in the order in which they stand."""
        rows = sorted(self.selectionModel().selectedRows(NAME), key=lambda index: index.row())
        return [self.filter.row_of(index).path for index in rows]

    def pick(self, path: Path) -> bool:
        """Go to a data set; False if it isn't shown."""
        at = self.table.at(path)
        index = self.filter.mapFromSource(self.table.index(at, 0)) if at >= 0 else QModelIndex()
        if not index.isValid():
            return False
        self.setCurrentIndex(index)
        self.scrollTo(index)
        return True

    def pick_all(self, paths: Sequence[Path]) -> None:
        """Select several, the first of them picked."""
        self.clearSelection()
        for path in reversed(paths):
            index = self.filter.mapFromSource(self.table.index(self.table.at(path), 0))
            flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
            self.selectionModel().setCurrentIndex(index, flags)

    def set_rows(self, rows: Sequence[DataSet]) -> None:
        """Show these, keeping the place and the pick; a pick that went leaves the next row picked."""
        row = self.currentIndex().row()
        self.table.set_rows(rows)
        shown = self.filter.rowCount()
        if shown and not self.currentIndex().isValid():
            self.setCurrentIndex(self.filter.index(max(0, min(row, shown - 1)), 0))
        elif not shown:
            self.picked.emit(None)
