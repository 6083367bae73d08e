"""Everything that was ever measured here: every model with its newest figures, to be filtered and sorted; one ability against another."""

from __future__ import annotations

from typing import Any, cast

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QAbstractItemView, QHBoxLayout, QLabel, QStackedWidget, QTableView, QVBoxLayout, QWidget

from core.compare import Comparison, Entry, leaderboard
from core.numbers import bytes_text, count_text
from core.radar import Column, figure_title
from desktop_app import theme
from desktop_app.charts.scatter import Axes, Point, ScatterChart
from desktop_app.compare.words import LRM, about, value_text
from desktop_app.context import Context
from desktop_app.forms import AmountEdit, Choice, Segmented
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.runs.empty import Empty
from desktop_app.work import Latest

Index = QModelIndex | QPersistentModelIndex
SORT = Qt.ItemDataRole.UserRole
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
FIXED = 3  # columns before the figures: name, parameters, size
GONE = -1e300


class _Rows(QAbstractTableModel):
    """A line for each model, a column for each quoted figure."""

    def __init__(self) -> None:
        super().__init__()
        self.comparison = Comparison(())
        self.columns: list[Column] = []

    def take(self, comparison: Comparison, columns: list[Column]) -> None:
        self.beginResetModel()
        self.comparison, self.columns = comparison, columns
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(self.comparison.entries)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else FIXED + len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            fixed = (self.tr("Model"), self.tr("Parameters"), self.tr("On disk"))
            return fixed[section] if section < FIXED else figure_title(self.columns[section - FIXED])
        if role == Qt.ItemDataRole.ToolTipRole and section >= FIXED:
            return f"{figure_title(self.columns[section - FIXED])}\n{about(self.columns[section - FIXED])}"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if section else Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        entry, at = self.comparison.entries[index.row()], index.column()
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if at else Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return entry.word if at == 0 else about(self.columns[at - FIXED]) if at >= FIXED else None
        return self._figure(index.row(), entry, at, role) if at >= FIXED else self._fixed(entry, at, role)

    def _fixed(self, entry: Entry, at: int, role: int) -> Any:
        value = (entry.name, entry.parameters, entry.size_bytes)[at]
        if role == SORT:
            return value.casefold() if isinstance(value, str) else GONE if value is None else value
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if isinstance(value, str):
            return value
        return "–" if value is None else LRM + (count_text(value) if at == 1 else bytes_text(value))

    def _figure(self, row: int, entry: Entry, at: int, role: int) -> Any:
        column = self.columns[at - FIXED]
        score = entry.scores.get(column)
        if role == SORT:
            return GONE if score is None else score.value if score.higher_is_better else -score.value
        if role == Qt.ItemDataRole.DisplayRole:
            return "–" if score is None else value_text(score)
        if role == Qt.ItemDataRole.FontRole:
            font = theme.tabular(QFont())
            font.setPixelSize(theme.BODY)
            font.setBold(row in self.comparison.best(column))
            return font
        return theme.colour("muted") if role == Qt.ItemDataRole.ForegroundRole and score is None else None


class LeaderboardPane(QWidget):
    """`compare_wanted` carries the models that were picked."""

    compare_wanted = Signal(list)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self._board: Comparison | None = None
        self._latest = Latest(self)
        self._old = True
        self.view = Segmented([("table", self.tr("Table")), ("abilities", self.tr("Specialisation"))])
        self.view.setAccessibleName(self.tr("How it is shown"))
        self.task = Choice()
        self.task.setAccessibleName(self.tr("Only models measured on"))
        self.least, self.most = AmountEdit(), AmountEdit()
        bounds = (
            (self.least, self.tr("Least parameters"), self.tr("from")),
            (self.most, self.tr("Most parameters"), self.tr("to")),
        )
        for edit, text, hint in bounds:
            edit.setAccessibleName(text)
            edit.setPlaceholderText(hint)
            edit.setFixedWidth(88)
        self.compare = button(self.tr("Compare the picked ones"), "compare")
        self.rows, self.order, self.table = _Rows(), QSortFilterProxyModel(), QTableView()
        self.target, self.generic = Choice(), Choice()
        self.chart, self.chart_note = ScatterChart(), words("small")
        self.empty, self.pages, self.views = Empty(), QStackedWidget(), QStackedWidget()
        self._dress_table()
        self._lay_out()
        self._connect()
        self.empty.say("compare", self.tr("Reading the figures…"), "", [])

    def _dress_table(self) -> None:
        self.order.setSourceModel(self.rows)
        self.order.setSortRole(SORT)
        table = self.table
        table.setModel(self.order)
        table.setAccessibleName(self.tr("Leaderboard"))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setWordWrap(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(34)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.setSortingEnabled(True)
        table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.DescendingOrder)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        head.addWidget(self.view)
        head.addSpacing(theme.SPACE)
        self.task.setMinimumContentsLength(22)
        for text, fields in ((self.tr("Measured on"), (self.task,)), (self.tr("Parameters"), (self.least, self.most))):
            label = QLabel(text)
            theme.set_role(label, "muted")
            head.addWidget(label)
            for field in fields:
                head.addWidget(field)
        head.addStretch(1)
        head.addWidget(self.compare)
        abilities = QWidget()
        column = QVBoxLayout(abilities)
        column.setContentsMargins(0, 0, 0, 0)
        choices = QHBoxLayout()
        choices.setSpacing(theme.SPACE)
        for text, choice in ((self.tr("Target task"), self.target), (self.tr("Generic ability"), self.generic)):
            label = QLabel(text)
            label.setBuddy(choice)
            choice.setAccessibleName(text)
            choice.setMinimumContentsLength(26)
            theme.set_role(label, "muted")
            choices.addWidget(label)
            choices.addWidget(choice)
        choices.addStretch(1)
        column.addLayout(choices)
        column.addWidget(self.chart, 1)
        column.addWidget(self.chart_note)
        self.views.addWidget(self.table)
        self.views.addWidget(abilities)
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.views)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.pages, 1)

    def _connect(self) -> None:
        self.view.chosen.connect(lambda value: self.views.setCurrentIndex(int(value == "abilities")))
        self.task.chosen.connect(lambda _: self._show())
        self.least.textChanged.connect(lambda _: self._show())
        self.most.textChanged.connect(lambda _: self._show())
        self.target.chosen.connect(lambda _: self._show_chart())
        self.generic.chosen.connect(lambda _: self._show_chart())
        self.compare.clicked.connect(lambda: self.compare_wanted.emit(self.picked()))
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._allow())
        self.table.doubleClicked.connect(lambda _: self.compare_wanted.emit(self.picked()))

    # --- what is shown

    def grow_old(self) -> None:
        """Runs have changed: read anew when it is looked at."""
        self._old = True
        if self.isVisible():
            self.look()

    def look(self) -> None:
        if self._old or self._board is None:
            self._old = False
            home = self.context.home
            self._latest.ask(lambda: leaderboard(home), self._take, self.context.trouble)
        self._allow()

    def _take(self, board: Comparison) -> None:
        self._board = board
        quoted = [column for column in board.columns() if self._quoted(board, column)]
        tasks = dict.fromkeys(column[0] for column in quoted)
        self.task.set_options(
            [("", self.tr("anything")), *((task, figure_title((task, "", "")).rstrip(" ·")) for task in tasks)]
        )
        named = [
            (column, f"{figure_title(column)} ({column[2]})" if column[2] else figure_title(column))
            for column in quoted
        ]
        for choice, at in ((self.target, 0), (self.generic, 1)):
            fresh = choice.count() == 0
            choice.set_options(named)
            if fresh and len(named) > at:
                choice.setCurrentIndex(at)
        self._show()

    @staticmethod
    def _quoted(board: Comparison, column: Column) -> bool:
        return any(entry.scores[column].quoted for entry in board.entries if column in entry.scores)

    def shown(self) -> list[Entry]:
        """The entries that the filters leave."""
        task, least, most = self.task.value(), self.least.value(), self.most.value()

        def fits(entry: Entry) -> bool:
            size = entry.parameters
            if task and not any(column[0] == task for column in entry.scores):
                return False
            return size is None or ((least is None or size >= least) and (most is None or size <= most))

        return [entry for entry in (self._board.entries if self._board else ()) if fits(entry)]

    def _show(self) -> None:
        if self._board is None:
            return
        entries, task = self.shown(), self.task.value()
        if not entries:
            nothing = (
                self.tr("Nothing was measured yet.")
                if not self._board.entries
                else self.tr("No model fits the filters.")
            )
            told = self.tr("“Evaluate…” measures any model or checkpoint; all figures are collected here.")
            self.empty.say("compare", nothing, told if not self._board.entries else "", [])
            self.pages.setCurrentWidget(self.empty)
            return
        shown = Comparison(tuple(entries))
        columns = [c for c in shown.columns() if self._quoted(shown, c) and (not task or c[0] == task)]
        self.rows.take(shown, columns)
        header = self.table.horizontalHeader()
        self.table.resizeColumnsToContents()
        for at in range(FIXED + len(columns)):
            header.resizeSection(at, min(300, max(220 if at == 0 else 110, header.sectionSize(at))))
        self.pages.setCurrentWidget(self.views)
        self._show_chart()
        self._allow()

    def _show_chart(self) -> None:
        target, generic = cast("Column | None", self.target.value()), cast("Column | None", self.generic.value())
        if target is None or generic is None or self._board is None:
            self.chart.show_points(
                [], Axes("", ""), (), self.tr("Two figures are needed: one of the target task, one of generic ability.")
            )
            return
        x, y = (generic[0], generic[1], generic[2]), (target[0], target[1], target[2])
        both = [entry for entry in self.shown() if x in entry.scores and y in entry.scores]
        points = [_point(at, entry, x, y) for at, entry in enumerate(both)]
        axes = Axes(figure_title(x), figure_title(y), "number", log=False)
        self.chart.show_points(points, axes, (), self.tr("No model has both figures."))
        self.chart_note.setText(
            self.tr(
                "Specialised models stand high on the target task, and to one side on what they were not trained for."
            )
        )

    def picked(self) -> list[str]:
        rows = {self.order.mapToSource(index).row() for index in self.table.selectionModel().selectedRows()}
        return [self.rows.comparison.entries[row].word for row in sorted(rows)]

    def _allow(self) -> None:
        count = len(self.picked())
        self.compare.setEnabled(count > 0)
        self.compare.setToolTip("" if count else self.tr("Pick models in the table first."))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_board", None) is not None:
            self._show_chart()


def _point(at: int, entry: Entry, x: Column, y: Column) -> Point:
    across, up = entry.scores[x], entry.scores[y]
    colour = theme.series_colour(at)
    return Point(entry.name, colour, at, across.value, up.value, value_text(across), value_text(up), up.stderr)
