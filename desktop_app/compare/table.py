"""The figures of a comparison as a table: a line for each figure, a column for each model, and how far the models are apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from core.compare import HELD_OUT, Comparison
from core.radar import Column, figure_title, task_title
from core.scores import Score
from desktop_app import theme
from desktop_app.charts.markers import marker_icon
from desktop_app.compare.words import about, value_text

Index = QModelIndex | QPersistentModelIndex
SORT = Qt.ItemDataRole.UserRole
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
GONE = -1e300  # sorts behind everything
SAID_WHOLE = ("text", HELD_OUT, "speed", "writing")  # whose metrics say more than they do


class FiguresModel(QAbstractTableModel):
    """Columns: the figure, each model, the spread (best minus worst), how it was measured."""

    def __init__(self) -> None:
        super().__init__()
        self.comparison = Comparison(())
        self.columns: list[Column] = []
        self.numbers: list[int] = []
        self._new: Mapping[tuple[int, Column], Score] = {}

    def take(
        self, comparison: Comparison, numbers: list[int], new: Mapping[tuple[int, Column], Score], *, quoted: bool
    ) -> None:
        """`numbers` are the models' marks; `new` are figures of evaluations that go on; `quoted` leaves out the others."""
        self.beginResetModel()
        self.comparison, self.numbers, self._new = comparison, numbers, new
        found = comparison.columns()
        found += [column for _, column in new if column not in found]
        self.columns = [column for column in dict.fromkeys(found) if not quoted or self._quoted(column)]
        self.endResetModel()

    def _quoted(self, column: Column) -> bool:
        return any(score.quoted for place in self._places() if (score := self.score(place, column)) is not None)

    def _places(self) -> range:
        return range(len(self.comparison.entries))

    def score(self, place: int, column: Column) -> Score | None:
        return self._new.get((place, column)) or self.comparison.entries[place].scores.get(column)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(self.columns)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(self.comparison.entries) + 3

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802
        if orientation is not Qt.Orientation.Horizontal:
            return None
        count = len(self.comparison.entries)
        model = 0 < section <= count
        if role == Qt.ItemDataRole.DisplayRole:
            if model:
                return self.comparison.entries[section - 1].name
            return {0: self.tr("Figure"), count + 1: self.tr("Spread")}.get(section, self.tr("How it was measured"))
        if role == Qt.ItemDataRole.DecorationRole and model:
            number = self.numbers[section - 1]
            return marker_icon(number, theme.series_colour(number))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if section == count + 1 else Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            spread = self.tr("The best figure less the worst: sort by it to see where the models differ most.")
            return self.comparison.entries[section - 1].word if model else spread if section == count + 1 else None
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        column, at, count = self.columns[index.row()], index.column(), len(self.comparison.entries)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{figure_title(column)}\n{about(column)}".rstrip()
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if at == count + 1 else Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter
        if 0 < at <= count:
            return self._cell(at - 1, column, role)
        if role not in (Qt.ItemDataRole.DisplayRole, SORT, Qt.ItemDataRole.ForegroundRole):
            return None
        if at == count + 1:
            return self._spread_cell(column, role)
        if role == Qt.ItemDataRole.ForegroundRole:
            return theme.colour("muted" if at else "ink")
        text = self._title(column) if at == 0 else column[2] or self.tr("being measured")
        return text if role == Qt.ItemDataRole.DisplayRole else text.casefold()

    def _title(self, column: Column) -> str:
        """The task alone where it has one metric here, which its tool tip names."""
        metrics = {metric for task, metric, _ in self.columns if task == column[0]}
        return task_title(column[0]) if len(metrics) == 1 and column[0] not in SAID_WHOLE else figure_title(column)

    def _cell(self, place: int, column: Column, role: int) -> Any:
        score = self.score(place, column)
        new = (place, column) in self._new
        if role == SORT:
            return GONE if score is None else score.value
        if role == Qt.ItemDataRole.DisplayRole:
            return "–" if score is None else value_text(score) + (" …" if new else "")
        if role == Qt.ItemDataRole.ForegroundRole:
            return theme.colour("muted" if score is None else "ink")
        if role == Qt.ItemDataRole.FontRole:
            font = theme.tabular(QFont())
            font.setPixelSize(theme.BODY)
            font.setBold(not new and place in self.comparison.best(column))
            font.setItalic(new)
            return font
        if role == Qt.ItemDataRole.AccessibleTextRole and score is not None:
            best = self.tr(", the best") if not new and place in self.comparison.best(column) else ""
            return f"{self.comparison.entries[place].name}, {figure_title(column)}: {value_text(score)}{best}"
        return None

    def _spread_cell(self, column: Column, role: int) -> Any:
        found = [score.value for place in self._places() if (score := self.score(place, column)) is not None]
        spread = max(found) - min(found) if len(found) > 1 else None
        if role == SORT:
            return GONE if spread is None else spread
        if role == Qt.ItemDataRole.ForegroundRole:
            return theme.colour("muted")
        return "–" if spread is None else f"{spread:.4f}" if spread < 100 else f"{spread:,.0f}"


class FiguresTable(QTableView):
    """Sorts by any column; a third press on a heading brings the usual order back."""

    column_picked = Signal(object)  # Column

    def __init__(self) -> None:
        super().__init__()
        self.figures, self.order = FiguresModel(), QSortFilterProxyModel()
        self.order.setSourceModel(self.figures)
        self.order.setSortRole(SORT)
        self.setModel(self.order)
        self.setAccessibleName(self.tr("Figures of the models"))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(34)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(72)
        header.setSortIndicatorClearable(True)
        header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSortingEnabled(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.selectionModel().currentRowChanged.connect(self._picked)

    def show_comparison(
        self,
        comparison: Comparison,
        numbers: list[int],
        new: Mapping[tuple[int, Column], Score] | None = None,
        *,
        quoted: bool = True,
    ) -> None:
        """What is picked stays so, and the columns as wide as they are while models and figures are the same."""
        before, picked = self._shown(), self.picked_column()
        self.figures.take(comparison, numbers, new or {}, quoted=quoted)
        if self._shown() != before:
            self.fit()
        if picked is not None:
            self.pick(picked)

    def _shown(self) -> tuple[list[str], list[Column]]:
        return [entry.word for entry in self.figures.comparison.entries], self.figures.columns

    def fit(self) -> None:
        """The figure as wide as it needs, the models alike, what is left to how it was measured."""
        header, count = self.horizontalHeader(), len(self.figures.comparison.entries)
        self.resizeColumnsToContents()
        for at in range(count + 3):
            header.setSectionResizeMode(at, QHeaderView.ResizeMode.Interactive)
            least, most = (140, 190) if at == 0 else (118, 180) if at <= count else (84, 110)
            if at < count + 2:
                header.resizeSection(at, min(most, max(least, header.sectionSize(at))))
        header.setStretchLastSection(True)

    def picked_column(self) -> Column | None:
        row = self.order.mapToSource(self.currentIndex()).row()
        return self.figures.columns[row] if 0 <= row < len(self.figures.columns) else None

    def pick(self, column: Column) -> None:
        if column in self.figures.columns:
            row = self.order.mapFromSource(self.figures.index(self.figures.columns.index(column), 0))
            self.setCurrentIndex(row)
            self.scrollTo(row)

    def _picked(self) -> None:
        if (column := self.picked_column()) is not None:
            self.column_picked.emit(column)
