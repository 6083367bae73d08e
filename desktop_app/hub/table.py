"""The table of models that can be had: those that a search found, or the well-known ones of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtWidgets import QAbstractItemView, QHeaderView

from core import law
from core.catalogue import KnownModel
from core.hub import Found
from core.numbers import count_text
from desktop_app import theme
from desktop_app.icons import icon
from desktop_app.path_table import FilledView

NAME, PARAMETERS, LAW, ARCHITECTURE, LICENSE, DOWNLOADS = range(6)
SORT: Final = Qt.ItemDataRole.UserRole
WIDE = 760  # px, from which all columns are shown
Index = QModelIndex | QPersistentModelIndex
DASH = "–"


@dataclass(frozen=True)
class Row:
    """A model of the Hub as the table shows it; `known` is its entry in the catalogue, `downloads` None for one that was not asked for."""

    name: str
    parameters: int | None
    architecture: str | None
    license: str | None
    downloads: int | None
    gated: bool
    known: KnownModel | None = None


def found_row(found: Found, known: KnownModel | None) -> Row:
    return Row(found.name, found.parameters, found.architecture, found.license, found.downloads, found.gated, known)


def known_row(known: KnownModel) -> Row:
    return Row(known.name, known.parameters, str(known.config["model_type"]), known.license, None, known.gated, known)


def matches(row: Row, text: str, smallest: float | None, largest: float | None, license_name: str | None) -> bool:
    """Whether a model of the catalogue is what a search asks for."""
    whole = f"{row.name} {row.architecture} {row.known.family if row.known else ''}".lower()
    size = row.parameters or 0
    if (smallest is not None and size < smallest) or (largest is not None and size > largest):
        return False
    return all(word in whole for word in text.lower().split()) and license_name in (None, row.license)


class HubTable(QAbstractTableModel):
    """Rows in the order in which the Hub names them, the most downloaded first."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.student: float | None = None
        self.headings = [
            self.tr("Name"), self.tr("Parameters"), self.tr("As teacher"), self.tr("Architecture"), self.tr("Licence"), self.tr("Downloads"),
        ]  # fmt: skip

    def set_rows(self, rows: Sequence[Row]) -> None:
        self.beginResetModel()
        self.rows = list(rows)
        self.endResetModel()

    def set_student(self, student: float | None) -> None:
        """The student whose teachers are looked for."""
        self.student = student
        if self.rows:
            self.dataChanged.emit(self.index(0, LAW), self.index(len(self.rows) - 1, LAW))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return len(self.headings)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if orientation is Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self.headings[section]
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return _side(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], index.column()
        if role == SORT:
            return self._order(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _side(column)
        if role == Qt.ItemDataRole.DecorationRole and column == NAME and row.gated:
            return icon("private", "muted")
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(row, column)
        if role == Qt.ItemDataRole.ForegroundRole and column not in (NAME, PARAMETERS):
            return theme.colour("muted")
        return self._text(row, column) if role == Qt.ItemDataRole.DisplayRole else None

    def _text(self, row: Row, column: int) -> str:
        if column == LAW:
            return law.badge(row.parameters, self.student).word if self.student and row.parameters else DASH
        downloads = DASH if row.downloads is None else f"{row.downloads:,}"
        size = count_text(row.parameters) if row.parameters else DASH
        return (row.name, size, "", row.architecture or DASH, row.license or DASH, downloads)[column]

    def _tip(self, row: Row, column: int) -> str:
        if column == LAW:
            told = law.badge(row.parameters, self.student).sentence if self.student and row.parameters else ""
            return told or self.tr("Say above how large the student is.")
        return self.tr("%s (gated: its authors want their terms accepted first)") % row.name if row.gated else row.name

    def _order(self, row: Row, column: int) -> Any:
        if column == LAW:
            return row.parameters / self.student if row.parameters and self.student else 0.0
        numbers = {PARAMETERS: row.parameters or 0, DOWNLOADS: row.downloads or 0}
        return float(numbers[column]) if column in numbers else self._text(row, column).lower()


class HubView(FilledView):
    """`picked` carries the row that is current, or None."""

    picked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.table, self.sorted = HubTable(), QSortFilterProxyModel(self)
        self.sorted.setSourceModel(self.table)
        self.sorted.setSortRole(SORT)
        self.setModel(self.sorted)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAccessibleName(self.tr("Models of the Hub"))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(36)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Fixed)
        header.setMinimumSectionSize(64)
        for column, width in ((PARAMETERS, 104), (LAW, 120), (ARCHITECTURE, 112), (LICENSE, 112), (DOWNLOADS, 108)):
            header.resizeSection(column, width)
        self.selectionModel().currentChanged.connect(lambda *_: self.picked.emit(self.row()))

    def row(self) -> Row | None:
        index = self.currentIndex()
        return self.table.rows[self.sorted.mapToSource(index).row()] if index.isValid() else None

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these; the one that was picked stays so if it is among them, else the first is."""
        before = self.row()
        self.table.set_rows(rows)
        self._hide_columns()
        if rows:
            names = [row.name for row in rows]
            at = names.index(before.name) if before is not None and before.name in names else None
            index = self.sorted.index(0, 0) if at is None else self.sorted.mapFromSource(self.table.index(at, 0))
            flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
            self.selectionModel().setCurrentIndex(index, flags)
        self.picked.emit(self.row())

    def pick(self, name: str) -> bool:
        for at, row in enumerate(self.table.rows):
            if row.name.lower() == name.lower():
                self.setCurrentIndex(self.sorted.mapFromSource(self.table.index(at, 0)))
                return True
        return False

    def _hide_columns(self) -> None:
        """What the page beside tells as well."""
        narrow = self.width() < WIDE
        self.setColumnHidden(ARCHITECTURE, narrow)
        self.setColumnHidden(DOWNLOADS, narrow or all(row.downloads is None for row in self.table.rows))


def _side(column: int) -> Qt.AlignmentFlag:
    trailing = column in (PARAMETERS, DOWNLOADS)
    return Qt.AlignmentFlag.AlignVCenter | (
        Qt.AlignmentFlag.AlignTrailing if trailing else Qt.AlignmentFlag.AlignLeading
    )
