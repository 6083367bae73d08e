"""The table of runs as data: one line a run, changed cell by cell, so that selection, sorting and scrolling stay."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont

from core.labels import tidy_tags
from core.numbers import bytes_text, duration_text
from core.run_summary import RunSummary
from core.state import State
from desktop_app import icons, theme
from desktop_app.runs import words
from desktop_app.runs.search import matches

Index = QModelIndex | QPersistentModelIndex
MIME = "application/x-stillroom-run"
RowRole = Qt.ItemDataRole.UserRole  # the RunSummary of a line
TickRole = Qt.ItemDataRole.UserRole + 1  # its number among the ticked, or -1


class Column(IntEnum):
    TICK, STATE, NAME, PAIR, PROGRESS, LOSS, CURVE, BITS, DEVICE, AGE, TAGS = range(11)


NUMBERS = (Column.LOSS, Column.BITS, Column.AGE)
QUIET = (Column.DEVICE, Column.AGE)
STATE_ORDER = (
    State.RUNNING, State.STOPPING, State.QUEUED, State.FAILED, State.CRASHED, State.STOPPED, State.FINISHED
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A run as the table has it: what each cell says, and what each is sorted by (None goes last)."""

    row: RunSummary
    texts: tuple[str, ...]
    keys: tuple[Any, ...]


def line_of(row: RunSummary, place: int | None, now: float) -> Line:
    """`place` is the run's place in the queue; 1 is next."""
    texts = (
        "",
        words.state_word(row.state),
        row.name,
        words.pair_text(row),
        words.progress_text(row, place),
        f"{row.last_loss:.3f}" if row.last_loss is not None else words.DASH,
        "",
        f"{row.bits_per_byte:.3f}" if row.bits_per_byte is not None else words.DASH,
        row.device or words.DASH,
        words.age_text(row.created, now),
        ", ".join(row.tags),
    )
    keys = (
        queue_key(row),
        (STATE_ORDER.index(State(row.state)) if row.state in STATE_ORDER else len(STATE_ORDER), row.position or 0.0),
        row.name.casefold(),
        (row.student_parameters or 0, row.teacher_parameters or 0, texts[Column.PAIR]),
        row.share,
        row.last_loss,
        row.last_loss,
        row.bits_per_byte,
        row.device,
        None if row.created is None else -row.created,
        texts[Column.TAGS].casefold() or None,
    )
    return Line(row, texts, keys)


def queue_key(row: RunSummary) -> tuple[Any, ...]:
    """What is alive, then what waits in its order, then the rest, the newest first."""
    if State(row.state).alive:
        return (0, row.started or 0.0)
    if row.state == State.QUEUED:
        return (1, row.position or 0.0)
    return (2, -(row.created or 0.0))


class RunsModel(QAbstractTableModel):
    """All runs. `take` brings the newest rows; only cells that changed are told."""

    ticks_changed = Signal()
    renamed = Signal(str, str)  # run id, its new name
    retagged = Signal(str, object)  # run id, its tags

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lines: list[Line] = []
        self._at: dict[str, int] = {}
        self._places: dict[str, int] = {}
        self.ticked: list[str] = []
        self._number_font = theme.tabular(QFont())
        self._headings = self._make_headings()

    # --- what others ask

    def rows(self) -> list[RunSummary]:
        return [line.row for line in self._lines]

    def line(self, number: int) -> Line:
        return self._lines[number]

    def row_of(self, run: str) -> RunSummary | None:
        at = self._at.get(run)
        return None if at is None else self._lines[at].row

    def index_of(self, run: str, column: Column = Column.NAME) -> QModelIndex:
        at = self._at.get(run)
        return QModelIndex() if at is None else self.index(at, column)

    def waiting(self) -> list[str]:
        """The runs that wait, in the order in which they will start."""
        return sorted(self._places, key=self._places.__getitem__)

    # --- what changes it

    def take(self, rows: Sequence[RunSummary]) -> None:
        """Show these rows in place of those before."""
        here = {row.id for row in rows}
        self._drop([at for at, line in enumerate(self._lines) if line.row.id not in here])
        waiting = sorted(
            (row for row in rows if row.state == State.QUEUED), key=lambda row: (row.position or 0.0, row.id)
        )
        places, before = {row.id: place for place, row in enumerate(waiting, 1)}, self._places
        self._places = places
        now, new = time.time(), []
        for row in rows:
            at = self._at.get(row.id)
            if at is None:
                new.append(line_of(row, places.get(row.id), now))
            elif row != self._lines[at].row or places.get(row.id) != before.get(row.id):
                self._replace(at, line_of(row, places.get(row.id), now))
        if new:
            first = len(self._lines)
            self.beginInsertRows(QModelIndex(), first, first + len(new) - 1)
            self._lines.extend(new)
            self._number()
            self.endInsertRows()
        gone = [run for run in self.ticked if run not in here]
        if gone:
            self.set_ticked([run for run in self.ticked if run in here])

    def grow_older(self) -> None:
        """Write the ages anew."""
        now = time.time()
        for at, line in enumerate(self._lines):
            text = words.age_text(line.row.created, now)
            if text != line.texts[Column.AGE]:
                texts = (*line.texts[: Column.AGE], text, *line.texts[Column.AGE + 1 :])
                self._replace(at, Line(line.row, texts, line.keys))

    def set_ticked(self, runs: Iterable[str]) -> None:
        """Tick these, in this order, and no others."""
        self.ticked = [run for run in dict.fromkeys(runs) if run in self._at]
        if self._lines:
            self.dataChanged.emit(
                self.index(0, Column.TICK),
                self.index(len(self._lines) - 1, Column.TICK),
                [Qt.ItemDataRole.CheckStateRole, TickRole],
            )
        self.ticks_changed.emit()

    def toggle(self, runs: Sequence[str]) -> None:
        """Tick all of these, or untick them if they are ticked already."""
        if all(run in self.ticked for run in runs):
            self.set_ticked([run for run in self.ticked if run not in runs])
        else:
            self.set_ticked([*self.ticked, *runs])

    def _drop(self, gone: list[int]) -> None:
        for at in reversed(gone):
            self.beginRemoveRows(QModelIndex(), at, at)
            del self._lines[at]
            self._number()
            self.endRemoveRows()

    def _replace(self, at: int, line: Line) -> None:
        old, self._lines[at] = self._lines[at], line
        changed = [
            column
            for column in Column
            if old.texts[column] != line.texts[column] or old.keys[column] != line.keys[column]
        ]
        if old.row.spark != line.row.spark and Column.CURVE not in changed:
            changed.append(Column.CURVE)
        if old.row.state != line.row.state:
            changed += [Column.PROGRESS, Column.CURVE]  # whose colour follows the state
        for column in sorted(set(changed)):
            cell = self.index(at, column)
            self.dataChanged.emit(cell, cell)

    def _number(self) -> None:
        self._at = {line.row.id: at for at, line in enumerate(self._lines)}

    # --- what Qt asks

    def rowCount(self, parent: Index | None = None) -> int:  # noqa: N802
        return 0 if parent is not None and parent.isValid() else len(self._lines)

    def columnCount(self, parent: Index | None = None) -> int:  # noqa: N802
        return 0 if parent is not None and parent.isValid() else len(Column)

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        if index.column() == Column.TICK:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        if index.column() in (Column.NAME, Column.TAGS):
            flags |= Qt.ItemFlag.ItemIsEditable
        if self._lines[index.row()].row.state == State.QUEUED:
            flags |= Qt.ItemFlag.ItemIsDragEnabled | Qt.ItemFlag.ItemIsDropEnabled
        return flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        line, column = self._lines[index.row()], Column(index.column())
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return line.texts[column]
            case Qt.ItemDataRole.DecorationRole:
                return icons.state_icon(line.row.state) if column is Column.STATE else None
            case Qt.ItemDataRole.EditRole:
                return line.texts[column] if column in (Column.NAME, Column.TAGS) else None
            case Qt.ItemDataRole.CheckStateRole if column is Column.TICK:
                return Qt.CheckState.Checked if line.row.id in self.ticked else Qt.CheckState.Unchecked
            case Qt.ItemDataRole.TextAlignmentRole:
                side = Qt.AlignmentFlag.AlignRight if column in NUMBERS else Qt.AlignmentFlag.AlignLeft
                return side | Qt.AlignmentFlag.AlignVCenter
            case Qt.ItemDataRole.FontRole:
                return self._number_font if column in NUMBERS else None
            case Qt.ItemDataRole.ForegroundRole:
                return theme.colour("muted") if column in QUIET or line.texts[column] == words.DASH else None
            case Qt.ItemDataRole.ToolTipRole:
                return words.plain_tip(self._tool_tip(line, column) or "") or None
            case Qt.ItemDataRole.AccessibleTextRole:
                return self._spoken(line, column)
            case _ if role == RowRole:
                return line.row
            case _ if role == TickRole:
                return self.ticked.index(line.row.id) if line.row.id in self.ticked else -1
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: N802
        row = self._lines[index.row()].row
        if role == Qt.ItemDataRole.CheckStateRole and index.column() == Column.TICK:
            self.toggle([row.id])
            return True
        if role != Qt.ItemDataRole.EditRole:
            return False
        if index.column() == Column.NAME:
            name = str(value).strip()
            if name and name != row.name:
                self.renamed.emit(row.id, name)
                self._show_early(index.row(), replace(row, name=name))
            return bool(name)
        if index.column() == Column.TAGS:
            self.set_tags(row.id, str(value).split(","))
            return True
        return False

    def set_tags(self, run: str, tags: Iterable[str]) -> None:
        """As when the user has written them: `retagged` follows if they are others."""
        row, tidy = self.row_of(run), tidy_tags(tags)
        if row is not None and tidy != row.tags:
            self.retagged.emit(run, tidy)
            self._show_early(self._at[run], replace(row, tags=tidy))

    def _show_early(self, at: int, row: RunSummary) -> None:
        """What the user has just written is seen at once; the next look at the folders confirms it."""
        self._replace(at, line_of(row, self._places.get(row.id), time.time()))

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        heading, tip = self._headings[Column(section)]
        if role == Qt.ItemDataRole.DisplayRole:
            return "" if section == Column.TICK else heading
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip or None
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return heading
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if section in NUMBERS else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def mimeTypes(self) -> list[str]:  # noqa: N802
        return [MIME]

    def mimeData(self, indexes: Sequence[Index]) -> QMimeData:  # noqa: N802
        data = QMimeData()
        runs = dict.fromkeys(self._lines[index.row()].row.id for index in indexes)
        data.setData(MIME, "\n".join(runs).encode())
        return data

    def supportedDropActions(self) -> Qt.DropAction:  # noqa: N802
        return Qt.DropAction.MoveAction | Qt.DropAction.CopyAction

    # --- words

    def _make_headings(self) -> dict[Column, tuple[str, str]]:
        return {
            Column.TICK: (self.tr("Ticked"), self.tr("Tick runs to lay their curves over one another")),
            Column.STATE: (self.tr("State"), ""),
            Column.NAME: (self.tr("Name"), ""),
            Column.PAIR: (self.tr("Teacher → student"), self.tr("Their sizes, in parameters")),
            Column.PROGRESS: (self.tr("Progress"), self.tr("Steps done of the steps planned")),
            Column.LOSS: (self.tr("Loss"), self.tr("Total training loss of the last step, in nats a token")),
            Column.CURVE: (self.tr("Curve"), self.tr("Total training loss over the steps")),
            Column.BITS: (self.tr("Bits/byte"), self.tr("Of the student on held-out text at its last evaluation; less is better")),
            Column.DEVICE: (self.tr("Device"), ""),
            Column.AGE: (self.tr("Age"), self.tr("Since the run was made")),
            Column.TAGS: (self.tr("Tags"), ""),
        }  # fmt: skip

    def _tool_tip(self, line: Line, column: Column) -> str | None:
        row = line.row
        match column:
            case Column.TICK:
                return self._headings[Column.TICK][1]
            case Column.STATE:
                return row.failure if row.state == State.FAILED and row.failure else None
            case Column.NAME:
                return f"{row.name}\n{row.id}"
            case Column.PAIR:
                parts = (words.model_name(row.teacher), words.wish_text(row.student))
                return " → ".join(part for part in parts if part) or None
            case Column.PROGRESS if row.step:
                return self._progress_words(row)
            case Column.AGE if row.created is not None:
                size = "" if row.size_bytes is None else "\n" + self.tr("%s on disk") % bytes_text(row.size_bytes)
                return time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created)) + size
            case Column.TAGS:
                return line.texts[column] or None
        return None

    def _progress_words(self, row: RunSummary) -> str:
        steps = (
            self.tr("step %d of %d") % (row.step or 0, row.steps) if row.steps else self.tr("step %d") % (row.step or 0)
        )
        left = self.tr("%s left") % duration_text(row.seconds_left) if row.seconds_left is not None else ""
        return f"{steps}, {left}" if left else steps

    def _spoken(self, line: Line, column: Column) -> str:
        if column is Column.TICK:
            return self.tr("ticked") if line.row.id in self.ticked else self.tr("not ticked")
        if column is Column.CURVE:
            spark = line.row.spark
            if len(spark) < 2:
                return self.tr("no curve yet")
            return self.tr("loss from %.3f to %.3f") % (spark[0], spark[-1])
        text = line.texts[column]
        return self.tr("none") if text in ("", words.DASH) else text


class RunsOrder(QSortFilterProxyModel):
    """Sorts and filters. Sorted by nothing (column -1), it is in the order of the queue."""

    def __init__(self, model: RunsModel) -> None:
        super().__init__(model)
        self._filter = ""
        self.runs = model
        self.setSourceModel(model)
        self.setDynamicSortFilter(True)
        self.sort(-1)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        in_queue_order = column in (-1, Column.TICK)
        super().sort(
            Column.TICK if in_queue_order else column, Qt.SortOrder.AscendingOrder if in_queue_order else order
        )

    def in_queue_order(self) -> bool:
        return self.sortColumn() == Column.TICK

    def filter_text(self) -> str:
        return self._filter

    def set_filter(self, text: str) -> None:
        if text != self._filter:
            self._filter = text
            self.invalidateRowsFilter()

    def run_at(self, index: Index) -> str:
        """The run of a line on screen; empty for none."""
        return self.runs.line(self.mapToSource(index).row()).row.id if index.isValid() else ""

    def filterAcceptsRow(self, number: int, parent: Index) -> bool:  # noqa: N802
        return not self._filter or matches(self.runs.line(number).row, self._filter)

    def lessThan(self, left: Index, right: Index) -> bool:  # noqa: N802
        one, other = self.runs.line(left.row()), self.runs.line(right.row())
        a, b = one.keys[left.column()], other.keys[left.column()]
        if a is None or b is None:  # what is not known goes last in either order
            upwards = self.sortOrder() is Qt.SortOrder.AscendingOrder
            return (b is None and a is not None) if upwards else (a is None and b is not None)
        return bool(a < b) if a != b else one.row.id < other.row.id
