"""Tables whose rows are files or folders: what those of the Data and the Models page have in common.

Rows are kept by path: an update tells of changed cells only, so that selection and scroll position stay. A name has two lines.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QByteArray,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont, QFontMetrics, QIcon, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from desktop_app import theme

Index = QModelIndex | QPersistentModelIndex
NAME: Final = 0  # the first column
SORT_ROLE: Final = Qt.ItemDataRole.UserRole
PATH_ROLE: Final = Qt.ItemDataRole.UserRole + 1
ROW_HEIGHT = 48
INSET = 11  # px, under the words of the heading
MARK = 20  # px, the icon before a name
LRM = "\u200e"  # keeps figures with their unit, and paths, in their order where the layout runs from right to left
LEADING = Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter
TRAILING = Qt.AlignmentFlag.AlignTrailing | Qt.AlignmentFlag.AlignVCenter


class PathTable(QAbstractTableModel):
    """`numbers` are the columns that hold figures. What a row says of itself is the page's own."""

    rows: list[Any]

    def __init__(self, numbers: Collection[int]) -> None:
        super().__init__()
        self.rows = []
        self.words: list[str] = []  # of each row, all that the filter looks into
        self.headings: list[str] = []
        self._numbers = frozenset(numbers)

    def path_of(self, row: Any) -> Path:
        raise NotImplementedError

    def searched(self, row: Any) -> str:
        """All that a filter looks into, in lower case."""
        raise NotImplementedError

    def text(self, row: Any, column: int) -> str:
        raise NotImplementedError

    def set_rows(self, rows: Sequence[Any]) -> None:
        """Show these. What is gone goes, what is new comes, what changed is told."""
        keep = {self.path_of(row) for row in rows}
        for at in reversed(range(len(self.rows))):
            if self.path_of(self.rows[at]) not in keep:
                self.beginRemoveRows(QModelIndex(), at, at)
                del self.rows[at], self.words[at]
                self.endRemoveRows()
        places = {self.path_of(row): at for at, row in enumerate(self.rows)}
        for row in rows:
            at = places.get(self.path_of(row), -1)
            if at >= 0 and self.rows[at] != row:
                self.rows[at], self.words[at] = row, self.searched(row)
                self.dataChanged.emit(self.index(at, 0), self.index(at, len(self.headings) - 1))
        if new := [row for row in rows if self.path_of(row) not in places]:
            self.beginInsertRows(QModelIndex(), len(self.rows), len(self.rows) + len(new) - 1)
            self.rows += new
            self.words += map(self.searched, new)
            self.endInsertRows()

    def at(self, path: Path) -> int:
        return next((at for at, row in enumerate(self.rows) if self.path_of(row) == path), -1)

    def alignment(self, column: int) -> Qt.AlignmentFlag:
        return TRAILING if column in self._numbers else LEADING

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self.headings)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self.headings[section]
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return self.alignment(section)
        return None


class WordFilter(QSortFilterProxyModel):
    """Every word has to be found in a row."""

    def __init__(self, table: PathTable) -> None:
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

    def row_of(self, index: Index) -> Any:
        return self.table.rows[self.mapToSource(index).row()]


class PathDelegate(QStyledItemDelegate):
    """Paints ground and words; the usual way asks the model seven times a cell, which a full table feels."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802
        return QSize(super().sizeHint(option, index).width(), ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        ground = QStyle.PrimitiveElement.PE_PanelItemViewItem
        option.widget.style().drawPrimitive(ground, option, painter, option.widget)
        proxy = index.model()
        assert isinstance(proxy, WordFilter)
        row, column = proxy.row_of(index), index.column()
        painter.save()
        if column == NAME:
            self.paint_name(painter, option, proxy.table, row)
        else:
            self.paint_cell(painter, option, proxy.table, row, column)
        painter.restore()

    def paint_name(self, painter: QPainter, option: QStyleOptionViewItem, table: Any, row: Any) -> None:
        raise NotImplementedError

    def paint_cell(self, painter: QPainter, option: QStyleOptionViewItem, table: Any, row: Any, column: int) -> None:
        if text := table.text(row, column):
            area = option.rect.adjusted(INSET, 0, -INSET, 0)
            middle, side = Qt.TextElideMode.ElideMiddle, table.alignment(column)
            paint_line(painter, option, area, LRM + text, option.font, "ink", middle, side)

    def paint_two_lines(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        mark: QIcon,
        name: str,
        second: tuple[str, str],
        shorten: Qt.TextElideMode,
    ) -> None:
        """An icon, the name, and under it in small letters the text of `second` in its colour, shortened as is said."""
        area = option.rect.adjusted(INSET, 5, -4, -5)
        place = QRect(area.left(), area.top() + (area.height() - MARK) // 2, MARK, MARK)
        mark.paint(painter, QStyle.visualRect(option.direction, area, place))
        words = QStyle.visualRect(option.direction, area, area.adjusted(MARK + theme.SPACE, 0, 0, 0))
        upper, lower = words.adjusted(0, 0, 0, -words.height() // 2), words.adjusted(0, words.height() // 2, 0, 0)
        font, small = QFont(option.font), QFont(option.font)
        font.setWeight(QFont.Weight.Medium)
        small.setPixelSize(theme.SMALL)
        paint_line(painter, option, upper, name, font, "ink", Qt.TextElideMode.ElideMiddle)
        paint_line(painter, option, lower, second[0], small, second[1], shorten)


def paint_line(
    painter: QPainter,
    option: QStyleOptionViewItem,
    area: QRect,
    text: str,
    font: QFont,
    colour: str,
    shorten: Qt.TextElideMode,
    side: Qt.AlignmentFlag = LEADING,
) -> None:
    painter.setFont(font)
    painter.setPen(theme.colour(colour))
    elided = QFontMetrics(font).elidedText(text.replace("\n", " "), shorten, area.width())
    painter.drawText(area, QStyle.visualAlignment(option.direction, side), elided)


class FilledView(QTableView):
    """A table whose names have the width that the other columns leave, whichever of them are hidden.

    Qt's own stretching does not come back after a header's state was restored, which leaves gaps where columns are hidden.
    """

    def __init__(self) -> None:
        super().__init__()
        self.horizontalHeader().sectionResized.connect(self._fill)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        self._hide_columns()
        self._fill()
        super().resizeEvent(event)

    def restore_header(self, state: QByteArray) -> None:
        """Widths, order and sorting as they were remembered, for the width that the table has now."""
        if state.isEmpty():
            return
        header = self.horizontalHeader()
        self._show_columns()
        before = [header.sectionSize(column) for column in range(header.count())]
        if header.restoreState(state):
            self._show_columns()
            header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Fixed)
            for column, width in enumerate(before):
                if header.sectionSize(column) < header.minimumSectionSize():  # saved while it was being hidden
                    header.resizeSection(column, width)
        self._hide_columns()
        self._fill()

    def _show_columns(self) -> None:
        for column in range(self.horizontalHeader().count()):
            self.setColumnHidden(column, False)

    def _hide_columns(self) -> None:
        """Those that a narrow table has no room for."""

    def _fill(self, changed: int = -1) -> None:
        if changed != NAME:
            header = self.horizontalHeader()
            others = header.length() - header.sectionSize(NAME)
            header.resizeSection(NAME, max(header.minimumSectionSize(), self.viewport().width() - others))


class PathView(FilledView):
    """The table on screen. `picked` follows the current row, also when the rows change under it."""

    picked = Signal(object)  # Path, or None

    def __init__(self, table: PathTable, delegate: PathDelegate) -> None:
        super().__init__()
        self.table, self.filter = table, WordFilter(table)
        self.setModel(self.filter)
        delegate.setParent(self)  # else nobody keeps it
        self.setItemDelegate(delegate)
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
        header.setMinimumSectionSize(48)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Fixed)
        self.setSortingEnabled(True)
        self.sortByColumn(NAME, Qt.SortOrder.AscendingOrder)
        self.setFont(theme.tabular(self.font()))
        self.selectionModel().currentRowChanged.connect(lambda _now, _before: self.picked.emit(self.path()))

    def path(self) -> Path | None:
        """The picked file or folder."""
        index = self.currentIndex()
        found = self.filter.data(index, PATH_ROLE) if index.isValid() else None
        return found if isinstance(found, Path) else None

    def pick(self, path: Path) -> bool:
        """Go to a row; False if it isn't shown."""
        at = self.table.at(path)
        index = self.filter.mapFromSource(self.table.index(at, 0)) if at >= 0 else QModelIndex()
        if not index.isValid():
            return False
        self.setCurrentIndex(index)
        self.scrollTo(index)
        return True

    def pick_first(self) -> None:
        """Where nothing is picked, the first row is."""
        if self.filter.rowCount() and not self.currentIndex().isValid():
            self.setCurrentIndex(self.filter.index(0, 0))

    def set_rows(self, rows: Sequence[Any]) -> None:
        """Show these, keeping the place and the pick; a pick that went leaves the next row picked."""
        row = self.currentIndex().row()
        self.table.set_rows(rows)
        shown = self.filter.rowCount()
        if shown and not self.currentIndex().isValid():
            self.setCurrentIndex(self.filter.index(max(0, min(row, shown - 1)), 0))
        elif not shown:
            self.picked.emit(None)
