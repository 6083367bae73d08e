"""What absmax int8 does to a model, matrix by matrix: the error, what becomes nothing, the size saved, and how the values lie.

The files are read while one looks; closing the dialog ends that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt, QTimer
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QSplitter,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from core import absmax
from core.absmax import Per, TensorLook
from core.errors import Trouble
from core.numbers import bytes_text
from desktop_app import theme
from desktop_app.charts.weights import WeightHistogram
from desktop_app.context import Context
from desktop_app.forms import Segmented
from desktop_app.forms.field import Elided, button
from desktop_app.forms.parts import words
from desktop_app.work import Latest

LOOK_MS = 120  # between two looks at what has been read
WIDTH, HEIGHT = 1080, 640  # px
NAME, SHAPE, ERROR, ZEROED, BEFORE, AFTER = range(6)
SORT = Qt.ItemDataRole.UserRole
Index = QModelIndex | QPersistentModelIndex


def show_rounding(context: Context, model: Path, parent: QWidget) -> RoundingDialog:
    """Open the lesson beside the window, which stays usable."""
    entry = context.shelf.entry(model)
    dialog = RoundingDialog(model, entry.name if entry is not None else model.name, parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.show()
    return dialog


class Reading:
    """One pass over a model's matrices in a thread; `looks` grows, and `stop` ends it."""

    def __init__(self, folder: Path, per: Per) -> None:
        self.folder, self.per = folder, per
        self.looks: list[TensorLook] = []
        self.stop = False

    def work(self) -> absmax.Summary | None:
        """None if it was stopped. Raises BadModel."""
        for look in absmax.look(self.folder, self.per):
            if self.stop:
                return None
            self.looks.append(look)
        return absmax.summary(self.looks, self.folder)


class LookTable(QAbstractTableModel):
    """A row for each matrix, in the order of the files."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[TensorLook] = []
        self.headings = [
            self.tr("Matrix"), self.tr("Shape"), self.tr("Error"), self.tr("Become 0"), self.tr("Before"), self.tr("After"),
        ]  # fmt: skip

    def clear(self) -> None:
        self.beginResetModel()
        self.looks = []
        self.endResetModel()

    def add(self, looks: Sequence[TensorLook]) -> None:
        if looks:
            self.beginInsertRows(QModelIndex(), len(self.looks), len(self.looks) + len(looks) - 1)
            self.looks += looks
            self.endInsertRows()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self.looks)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return len(self.headings)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self.headings[section]
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            return _side(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        look, column = self.looks[index.row()], index.column()
        values = (look.name, look.shape, look.relative_error, look.zeroed, look.bytes_before, look.bytes_after)
        if role == SORT:
            return float(look.shape[0] * look.shape[-1]) if column == SHAPE else values[column]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _side(column)
        if role == Qt.ItemDataRole.ToolTipRole and column == NAME:
            return look.name
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        texts = (
            look.name.removeprefix("model.").removesuffix(".weight"), " × ".join(map(str, look.shape)), f"{look.relative_error:.2%}", f"{look.zeroed:.1%}",
            bytes_text(look.bytes_before), bytes_text(look.bytes_after),
        )  # fmt: skip
        return texts[column]


class RoundingDialog(QDialog):
    """Table at the leading side, the picked matrix's values at the other."""

    def __init__(self, folder: Path, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder = folder
        self._reading: Reading | None = None
        self._latest = Latest(self)
        self.setWindowTitle(self.tr("What int8 does to %s") % name)
        self.about = words(
            "muted",
            self.tr(
                "Each value x is kept as a whole number of steps, round(127 · x / max|x|), and read back as that many steps of max|x| / 127. "
                "The largest value is hit exactly, and one outlier makes all others coarser."
            ),
        )
        self.per = Segmented([("row", self.tr("A scale for each row")), ("tensor", self.tr("One scale a matrix"))])
        self.per.setAccessibleName(self.tr("What shares a scale"))
        self.summary, self.trouble = words(), words("error")
        self.progress = QProgressBar()
        self.table, self.sorted, self.view = LookTable(), QSortFilterProxyModel(self), QTableView()
        self.name, self.facts = Elided(), words("muted")
        self.histogram, self.read_out = WeightHistogram(), QLabel()
        self.close_button = button(self.tr("Close"))
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._dress()
        self._lay_out()
        self._connect()
        self.read()

    # --- how it looks -------------------------------------------------------------------------------------------------

    def _dress(self) -> None:
        theme.set_role(self.name, "title")
        theme.set_role(self.read_out, "small")
        self.read_out.setTextFormat(Qt.TextFormat.PlainText)
        self.progress.setRange(0, 0)
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.progress.setAccessibleName(self.tr("Reading the weights"))
        self.sorted.setSourceModel(self.table)
        self.sorted.setSortRole(SORT)
        self.view.setModel(self.sorted)
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setShowGrid(False)
        self.view.setWordWrap(False)
        self.view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.view.setTabKeyNavigation(False)
        self.view.setAccessibleName(self.tr("Matrices"))
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(32)
        header = self.view.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for column, width in ((SHAPE, 100), (ERROR, 72), (ZEROED, 84), (BEFORE, 76), (AFTER, 76)):
            header.resizeSection(column, width)

    def _lay_out(self) -> None:
        beside = QWidget()
        column = QVBoxLayout(beside)
        column.setContentsMargins(theme.SPACE, 0, 0, 0)
        column.setSpacing(theme.SPACE)
        column.addWidget(self.name)
        column.addWidget(self.facts)
        column.addWidget(self.histogram, 1)
        column.addWidget(self.read_out)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(2 * theme.SPACE)
        splitter.addWidget(self.view)
        splitter.addWidget(beside)
        splitter.setSizes([660, 400])
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(12)
        head: tuple[QWidget, ...] = (self.about, self.per, self.summary, self.trouble, self.progress)
        for widget in head:
            layout.addWidget(widget)
        layout.addWidget(splitter, 1)
        layout.addLayout(buttons)
        self.resize(WIDTH, HEIGHT)

    def _connect(self) -> None:
        self.per.chosen.connect(lambda _: self.read())
        self._timer.timeout.connect(self._take)
        self.view.selectionModel().currentChanged.connect(lambda *_: self._pick())
        self.histogram.read_out.connect(self.read_out.setText)
        self.close_button.clicked.connect(self.accept)
        self.finished.connect(lambda _: self._stop())

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self) -> None:
        """From the first matrix on; what was picked is picked again when it comes."""
        self._stop()
        self._wanted = self.name.whole()
        self.table.clear()
        self.trouble.hide()
        self.progress.show()
        self.summary.setText(self.tr("Reading the weights…"))
        reading = Reading(self._folder, "row" if self.per.value() == "row" else "tensor")
        self._reading = reading
        self._latest.ask(reading.work, partial(self._done, reading), self._failed)
        self._timer.start()

    def _stop(self) -> None:
        self._timer.stop()
        if self._reading is not None:
            self._reading.stop = True

    def _take(self) -> None:
        """Show what has been read since the last look."""
        if self._reading is None:
            return
        self.table.add(self._reading.looks[len(self.table.looks) :])
        if not self.view.currentIndex().isValid() and self.table.looks:
            names = [look.name for look in self.table.looks]
            if not self._wanted or self._wanted in names:
                row = names.index(self._wanted) if self._wanted else 0
                self.view.setCurrentIndex(self.sorted.mapFromSource(self.table.index(row, 0)))

    def _done(self, reading: Reading, told: absmax.Summary | None) -> None:
        if told is None or reading is not self._reading:
            return
        self._timer.stop()
        self._take()
        self.progress.hide()
        share = told.bytes_after / told.bytes_before if told.bytes_before else 0.0
        self.summary.setText(
            self.tr("%d matrices: %s become %s (%s), %s of norms and biases stay. The error is %s of the weights' size; the worst is %s.")
            % (
                told.matrices, bytes_text(told.bytes_before), bytes_text(told.bytes_after), f"{share:.0%}", bytes_text(told.kept_bytes),
                f"{told.relative_error:.2%}", told.worst,
            )
        )  # fmt: skip

    def _failed(self, trouble: Trouble) -> None:
        self._timer.stop()
        self.progress.hide()
        self.summary.setText("")
        self.trouble.setText(str(trouble))
        self.trouble.show()

    def _pick(self) -> None:
        index = self.view.currentIndex()
        if not index.isValid():
            return
        look = self.table.looks[self.sorted.mapToSource(index).row()]
        self.name.set_text(look.name)
        self.facts.setText(
            self.tr("The largest value is %s, the largest error %s. %s of the values become 0.")
            % (f"{look.largest:.4g}", f"{look.largest_error:.2g}", f"{look.zeroed:.1%}")
        )
        self.histogram.show_counts(look.largest, look.before, look.after)


def _side(column: int) -> Qt.AlignmentFlag:
    leading = column == NAME
    return Qt.AlignmentFlag.AlignVCenter | (
        Qt.AlignmentFlag.AlignLeading if leading else Qt.AlignmentFlag.AlignTrailing
    )
