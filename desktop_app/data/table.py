"""The table of data sets: what it says of each, how it sorts and filters, and how a row is painted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QItemSelectionModel, Qt, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QAbstractItemView, QStyleOptionViewItem

from core.data.shelf import DataSet
from core.numbers import bytes_text, count_text
from desktop_app.data.words import container_word, format_word, sentence
from desktop_app.icons import icon
from desktop_app.path_table import INSET, PATH_ROLE, SORT_ROLE, Index, PathDelegate, PathTable, PathView

NAME, ROWS, SIZE = range(3)


class DataTable(PathTable):
    """What is said of each data set."""

    rows: list[DataSet]

    def __init__(self) -> None:
        super().__init__((ROWS, SIZE))
        self.headings = [self.tr("Name"), self.tr("Rows"), self.tr("Size")]

    def path_of(self, row: DataSet) -> Path:
        return row.path

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
                return self.alignment(column)
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

    def searched(self, row: DataSet) -> str:
        return f"{row.path}\n{row.name}\n{self.second_line(row)}\n{row.kind}".casefold()


class RowDelegate(PathDelegate):
    """The second line of a name says what the data are, or what is wrong with them."""

    def paint_name(self, painter: QPainter, option: QStyleOptionViewItem, table: DataTable, row: DataSet) -> None:
        mark = icon("error", "error") if row.broken else icon("warning", "warning") if row.problems else icon("data", "muted")  # fmt: skip
        second = table.second_line(row), "error" if row.broken else "muted"
        self.paint_two_lines(painter, option, mark, row.name, second, Qt.TextElideMode.ElideRight)


class DataView(PathView):
    """`picked` follows the current row, `chosen` the selection; several make a mixture."""

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__(DataTable(), RowDelegate())
        self.setAccessibleName(self.tr("Data sets"))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setMinimumWidth(280)
        for column, longest in ((ROWS, "≥ 99.9M"), (SIZE, "99.9 MB")):
            self.setColumnWidth(column, self.fontMetrics().horizontalAdvance(longest) + 2 * INSET + 4)
        self.selectionModel().selectionChanged.connect(lambda _now, _before: self.chosen.emit())

    def paths(self) -> list[Path]:
        """All that are selected, in the order in which they stand."""
        rows = sorted(self.selectionModel().selectedRows(NAME), key=lambda index: index.row())
        return [self.filter.row_of(index).path for index in rows]

    def pick_all(self, paths: Sequence[Path]) -> None:
        """Select several, the first of them picked."""
        self.clearSelection()
        for path in reversed(paths):
            index = self.filter.mapFromSource(self.table.index(self.table.at(path), 0))
            flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
            self.selectionModel().setCurrentIndex(index, flags)
