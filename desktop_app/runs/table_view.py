"""The table of runs on screen: keys, drag of waiting runs, what is picked and what is chosen for an action."""

from __future__ import annotations

from PySide6.QtCore import (
    QByteArray,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QDragMoveEvent, QDropEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from core.run_summary import RunSummary
from core.state import State
from desktop_app import theme
from desktop_app.runs.cells import ChipsCell, ProgressCell, SparkCell, TextCell, TickCell
from desktop_app.runs.table import MIME, Column, RowRole, RunsModel, RunsOrder

ROW_HEIGHT = 36  # px
NAME_WIDTH = 160  # px, at least
SORT_MARK = 12  # px, of a header
LETTERS = {  # widths of columns, in letters of the usual size
    Column.STATE: 12, Column.PAIR: 15, Column.PROGRESS: 15, Column.LOSS: 7, Column.CURVE: 9, Column.BITS: 8,
    Column.DEVICE: 8, Column.AGE: 7, Column.TAGS: 13,
}  # fmt: skip


class RunsTable(QTableView):
    """`picked` is the run whose detail is shown; the chosen ones are those that an action is for."""

    picked = Signal(str)  # run id, empty for none
    chosen_changed = Signal()
    enter_pressed = Signal()
    delete_pressed = Signal()
    menu_wanted = Signal(QPoint)  # where on screen
    moved = Signal(str, int)  # a waiting run, its new place in the queue, 0 is next

    def __init__(self, model: RunsModel, order: RunsOrder) -> None:
        super().__init__()
        self.runs, self.order = model, order
        self.setModel(order)
        self.setAccessibleName(self.tr("Runs"))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)  # Tab goes on to the next control
        self.setMouseTracking(True)
        self.setIconSize(QSize(16, 16))
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setDragDropOverwriteMode(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # the ends of names tell the runs of a pilot apart
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._lay_out()
        self._dress()
        self._connect()

    def _lay_out(self) -> None:
        rows, header = self.verticalHeader(), self.horizontalHeader()
        rows.hide()
        rows.setDefaultSectionSize(ROW_HEIGHT)
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setMinimumSectionSize(40)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        letter = self.fontMetrics().averageCharWidth()
        for column, letters in LETTERS.items():
            heading = header.fontMetrics().horizontalAdvance(self.runs.headerData(column, Qt.Orientation.Horizontal))
            header.resizeSection(column, max(letters * letter, heading + SORT_MARK) + 3 * theme.SPACE)
        header.resizeSection(Column.TICK, 40)
        self._set_modes()

    def _set_modes(self) -> None:
        header = self.horizontalHeader()
        header.setSortIndicatorClearable(True)
        header.setSectionResizeMode(Column.TICK, QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(Column.NAME, QHeaderView.ResizeMode.Stretch)

    def _dress(self) -> None:
        self.setItemDelegateForColumn(Column.TICK, TickCell(self))
        self.setItemDelegateForColumn(Column.PROGRESS, ProgressCell(self))
        self.setItemDelegateForColumn(Column.CURVE, SparkCell(self))
        self.setItemDelegateForColumn(Column.TAGS, ChipsCell(self.tr("Tags, parted by commas"), self))
        self.setItemDelegateForColumn(Column.NAME, TextCell(self.tr("Name of the run"), self))

    def _connect(self) -> None:
        self.horizontalHeader().sortIndicatorChanged.connect(self._sort)
        self.selectionModel().currentRowChanged.connect(lambda now, _: self.picked.emit(self.order.run_at(now)))
        self.selectionModel().selectionChanged.connect(lambda *_: self.chosen_changed.emit())
        self.doubleClicked.connect(lambda _: self.enter_pressed.emit())
        self.customContextMenuRequested.connect(lambda at: self.menu_wanted.emit(self.viewport().mapToGlobal(at)))

    # --- what is picked

    def current(self) -> str:
        return self.order.run_at(self.currentIndex())

    def chosen(self) -> list[RunSummary]:
        """The rows that an action is for, from top to bottom."""
        return [index.data(RowRole) for index in sorted(self.selectionModel().selectedRows(), key=QModelIndex.row)]

    def pick(self, run: str) -> bool:
        """Show a run and choose it alone; False if it is not on screen (filtered out, or gone)."""
        index = self.order.mapFromSource(self.runs.index_of(run))
        if not index.isValid():
            return False
        self.selectionModel().setCurrentIndex(
            index, QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        )
        self.scrollTo(index)
        return True

    def pick_first(self) -> None:
        first = self.order.index(0, Column.NAME)
        if first.isValid():
            self.pick(self.order.run_at(first))

    def edit_cell(self, column: Column) -> None:
        """Let the user write in a cell of the picked run."""
        index = self.currentIndex()
        if index.isValid():
            cell = index.siblingAtColumn(column)
            self.setCurrentIndex(cell)
            self.scrollTo(cell)
            self.edit(cell)

    # --- what stays as it was

    def anchor(self) -> tuple[str, int] | None:
        """The first run in sight and how far it is scrolled, unless the table stands at its top."""
        if self.verticalScrollBar().value() == 0:
            return None
        index = self.indexAt(QPoint(1, 0))
        return (self.order.run_at(index), self.visualRect(index).top()) if index.isValid() else None

    def restore_anchor(self, anchor: tuple[str, int] | None) -> None:
        """Scroll so that the same run stands where it stood, whatever came above it."""
        if anchor is None:
            return
        index = self.order.mapFromSource(self.runs.index_of(anchor[0]))
        if index.isValid():
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() + self.visualRect(index).top() - anchor[1])

    def restore_header(self, state: QByteArray) -> None:
        """Widths and sorting as they were remembered."""
        header = self.horizontalHeader()
        if not state.isEmpty() and header.restoreState(state):
            self._set_modes()
            self._sort(header.sortIndicatorSection(), header.sortIndicatorOrder())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._give_name_room()

    def _give_name_room(self) -> None:
        """The name takes what is left; where that is too little, the table scrolls sideways."""
        header = self.horizontalHeader()
        others = sum(header.sectionSize(column) for column in Column if column is not Column.NAME)
        wide = self.viewport().width() - others >= NAME_WIDTH
        mode = QHeaderView.ResizeMode.Stretch if wide else QHeaderView.ResizeMode.Interactive
        if header.sectionResizeMode(Column.NAME) is not mode:
            header.setSectionResizeMode(Column.NAME, mode)
            if not wide:
                header.resizeSection(Column.NAME, NAME_WIDTH)

    # --- order

    def _sort(self, column: int, order: Qt.SortOrder) -> None:
        if column == Column.TICK:  # sorted by nothing: the order of the queue
            with QSignalBlocker(self.horizontalHeader()):
                self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
            column = -1
        self.order.sort(column, order)

    def move_by(self, steps: int) -> None:
        """Move the picked run in the queue, if it waits there."""
        run, waiting = self.current(), self.runs.waiting()
        if run in waiting:
            place = max(0, min(waiting.index(run) + steps, len(waiting) - 1))
            if place != waiting.index(run):
                self.moved.emit(run, place)

    def place_of_drop(self, run: str, position: QPoint) -> int | None:
        """Where in the queue a waiting run would come that is dropped there; None where it can't be."""
        waiting = [one for one in self.runs.waiting() if one != run]
        if run not in self.runs.waiting() or not self.order.in_queue_order():
            return None
        index = self.indexAt(position)
        if not index.isValid():
            return len(waiting)
        row: RunSummary = index.data(RowRole)
        if row.id == run:
            return self.runs.waiting().index(run)
        if row.state == State.QUEUED:
            below = position.y() > self.visualRect(index).center().y()
            return waiting.index(row.id) + below
        return 0 if State(row.state).alive else len(waiting)

    def _dragged(self, event: QDropEvent) -> str:
        return bytes(event.mimeData().data(MIME).data()).decode().partition("\n")[0]

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: N802
        super().dragMoveEvent(event)
        if self.place_of_drop(self._dragged(event), event.position().toPoint()) is None:
            event.ignore()
        else:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        run = self._dragged(event)
        place = self.place_of_drop(run, event.position().toPoint())
        if place is not None and place != self.runs.waiting().index(run):
            self.moved.emit(run, place)
        event.setDropAction(Qt.DropAction.CopyAction)  # the folders decide; the view takes no row away
        event.accept()
        self.stopAutoScroll()
        self.setState(QAbstractItemView.State.NoState)
        self.viewport().update()

    # --- keys

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        alt = event.modifiers() == Qt.KeyboardModifier.AltModifier
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        match event.key():
            case Qt.Key.Key_Up if alt:
                self.move_by(-1)
            case Qt.Key.Key_Down if alt:
                self.move_by(1)
            case Qt.Key.Key_Delete | Qt.Key.Key_Backspace if plain:
                self.delete_pressed.emit()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter if plain:
                self.enter_pressed.emit()
            case Qt.Key.Key_F2 if plain:
                self.edit_cell(Column.NAME)
            case Qt.Key.Key_Space if plain:
                self.runs.toggle([row.id for row in self.chosen()])
            case _:
                super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.viewport().update()
