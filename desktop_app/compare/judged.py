"""Whose answers were judged better: strengths with intervals, who won against whom by category, and every verdict with its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPlainTextEdit,
    QSplitter,
    QStackedWidget,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.home import Home
from core.judge import Record, Strength, records, strengths
from core.votes import HUMAN, Verdict, verdicts
from desktop_app import theme
from desktop_app.charts.tally_bars import paint_interval, paint_tally
from desktop_app.context import Context
from desktop_app.forms import Choice
from desktop_app.forms.parts import words
from desktop_app.runs.empty import Empty
from desktop_app.runs.words import model_name
from desktop_app.work import Latest

DATA = Qt.ItemDataRole.UserRole
MOST_VERDICTS = 500  # in the list; the newest


@dataclass(frozen=True)
class Judged:
    """Everything that follows from the verdicts of one judge, or of all."""

    judges: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    strengths: tuple[Strength, ...]
    records: tuple[Record, ...]


def read_verdicts(home: Home, judge: str) -> Judged:
    """`judge` is "human", a model's folder, or empty for all."""
    every = verdicts(home)
    told = [one for one in every if judge in ("", one.judge)]
    judges = tuple(dict.fromkeys(one.judge for one in every))
    return Judged(judges, tuple(told), tuple(strengths(told)), tuple(records(told)))


class _Bars(QStyledItemDelegate):
    """Paints the tally or the interval that lies in a cell."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().paint(painter, option, index)
        told = index.data(DATA)
        room = QRectF(option.rect).adjusted(8, 8, -8, -8)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if isinstance(told, Record):
            paint_tally(painter, room, (told.won, told.tied, told.lost))
        elif isinstance(told, tuple):
            strength, span = told
            paint_interval(painter, room, strength.low, strength.elo, strength.high, span, theme.colour("accent"))
        painter.restore()


class JudgedPane(QWidget):
    """`judge_wanted` when there is nothing yet and the user wants some."""

    judge_wanted = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self._judged: Judged | None = None
        self._latest = Latest(self)
        self.judge = Choice([("", self.tr("everybody"))])
        self.judge.setAccessibleName(self.tr("Judged by"))
        self.judge.setMinimumContentsLength(22)
        self.said = words("muted")
        self.strengths, self.records, self.list = QTableWidget(), QTableWidget(), QTableWidget()
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(self.tr("The verdict in full"))
        self.text.setPlaceholderText(self.tr("Pick a verdict to read the question and both answers."))
        self.empty, self.pages = Empty(), QStackedWidget()
        _dress(self.strengths, self.tr("Strengths"))
        _dress(self.records, self.tr("Who won against whom"))
        _dress(self.list, self.tr("Verdicts"))
        self._lay_out()
        self.judge.chosen.connect(lambda _: self.look())
        self.list.currentCellChanged.connect(lambda *_: self._show_verdict())
        self.empty.acted.connect(lambda _: self.judge_wanted.emit())
        self.empty.say("compare", self.tr("Reading the verdicts…"), "", [])

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        label = QLabel(self.tr("Judged by"))
        label.setBuddy(self.judge)
        theme.set_role(label, "muted")
        head.addWidget(label)
        head.addWidget(self.judge)
        head.addSpacing(theme.SPACE)
        head.addWidget(self.said, 1)
        upper, lower = QSplitter(Qt.Orientation.Horizontal), QSplitter(Qt.Orientation.Horizontal)
        for splitter, widgets in ((upper, (self.strengths, self.records)), (lower, (self.list, self.text))):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(2 * theme.SPACE)
            for widget in widgets:
                splitter.addWidget(widget)
            splitter.setSizes([500, 500])
        both = QSplitter(Qt.Orientation.Vertical)
        both.setChildrenCollapsible(False)
        both.setHandleWidth(2 * theme.SPACE)
        both.addWidget(upper)
        both.addWidget(lower)
        full = QWidget()
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE)
        column.addLayout(head)
        column.addWidget(both, 1)
        self.pages.addWidget(self.empty)
        self.pages.addWidget(full)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.pages)

    def look(self) -> None:
        home, judge = self.context.home, str(self.judge.value() or "")
        self._latest.ask(lambda: read_verdicts(home, judge), self._take, self.context.trouble)

    def _take(self, judged: Judged) -> None:
        if judged == self._judged:
            return
        self._judged = judged
        named = [(one, self.tr("people") if one == HUMAN else model_name(one)) for one in judged.judges]
        self.judge.set_options([("", self.tr("everybody")), *named])
        if not judged.judges:
            self.empty.say(
                "compare",
                self.tr("Nothing was judged yet."),
                self.tr(
                    "A model can judge the answers to a file of questions; in Chat you are the judge yourself, blind."
                ),
                [("judge", self.tr("Let a model judge…"))],
            )
            self.pages.setCurrentWidget(self.empty)
            return
        told = self.tr(
            "%d verdicts. Strength on Elo's scale: 400 more are odds of 10 to 1; the line is the middle 95 %%."
        )
        self.said.setText(told % len(judged.verdicts))
        self._show_strengths(judged.strengths)
        self._show_records(judged.records)
        self._show_list(judged.verdicts)
        self.pages.setCurrentIndex(1)

    def _show_strengths(self, found: Sequence[Strength]) -> None:
        table = self.strengths
        _head(
            table,
            [self.tr("Model"), self.tr("Strength"), self.tr("95 % interval"), self.tr("Judged")],
            len(found),
            bar=2,
        )
        span = (min((s.low for s in found), default=0.0) - 20, max((s.high for s in found), default=1.0) + 20)
        for row, one in enumerate(found):
            interval = _cell("", tip=f"{one.low:.0f} – {one.high:.0f}")
            interval.setData(DATA, (one, span))
            interval.setData(Qt.ItemDataRole.AccessibleTextRole, f"{one.low:.0f} – {one.high:.0f}")
            name, elo, games = (
                _cell(model_name(one.model), tip=one.model),
                _cell(f"{one.elo:.0f}"),
                _cell(str(one.games)),
            )
            for at, item in enumerate((name, elo, interval, games)):
                table.setItem(row, at, item)

    def _show_records(self, found: Sequence[Record]) -> None:
        table = self.records
        _head(
            table,
            [self.tr("Model"), self.tr("Won · tied · lost"), self.tr("Against"), self.tr("Category")],
            len(found),
            bar=1,
        )
        for row, one in enumerate(found):
            bar = _cell("", tip=self.tr("%d won, %d tied, %d lost") % (one.won, one.tied, one.lost))
            bar.setData(DATA, one)
            bar.setData(Qt.ItemDataRole.AccessibleTextRole, bar.toolTip())
            category = one.category or self.tr("all")
            for at, item in enumerate(
                (_cell(model_name(one.a), tip=one.a), bar, _cell(model_name(one.b), tip=one.b), _cell(category))
            ):
                table.setItem(row, at, item)

    def _show_list(self, found: Sequence[Verdict]) -> None:
        newest = list(reversed(found))[:MOST_VERDICTS]
        table = self.list
        _head(table, [self.tr("Question"), self.tr("Better"), self.tr("Judged by")], len(newest), bar=0)
        for row, one in enumerate(newest):
            better = self.tr("tie") if one.winner == "tie" else model_name(one.a if one.winner == "a" else one.b)
            judge = self.tr("a person") if one.judge == HUMAN else model_name(one.judge)
            first = _cell(" ".join(one.question.split()), tip=one.question[:500])
            first.setData(DATA + 1, one)
            for at, item in enumerate((first, _cell(better), _cell(judge, tip=one.judge))):
                table.setItem(row, at, item)
        self.text.clear()

    def _show_verdict(self) -> None:
        item = self.list.item(self.list.currentRow(), 0)
        one = item.data(DATA + 1) if item is not None else None
        if not isinstance(one, Verdict):
            return
        marks = {"a": (self.tr("better"), ""), "b": ("", self.tr("better")), "tie": (self.tr("tie"), self.tr("tie"))}[
            one.winner
        ]
        parts = [one.question]
        for model, mark, answer in ((one.a, marks[0], one.answer_a), (one.b, marks[1], one.answer_b)):
            parts.append(f"— {model_name(model)}{f' ({mark})' if mark else ''}\n{answer.strip()}")
        self.text.setPlainText("\n\n".join(parts))


def _dress(table: QTableWidget, name: str) -> None:
    table.setAccessibleName(name)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setShowGrid(False)
    table.setTabKeyNavigation(False)
    table.setWordWrap(False)
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    table.setItemDelegate(_Bars(table))
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(34)
    table.horizontalHeader().setHighlightSections(False)


def _head(table: QTableWidget, names: Sequence[str], rows: int, *, bar: int) -> None:
    table.clear()
    table.setColumnCount(len(names))
    table.setRowCount(rows)
    for at, name in enumerate(names):
        item = QTableWidgetItem(name)
        item.setTextAlignment(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
        table.setHorizontalHeaderItem(at, item)
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    header.setSectionResizeMode(bar, QHeaderView.ResizeMode.Stretch)


def _cell(text: str, *, tip: str = "", right: bool = False) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setToolTip(tip or text)
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeading
    item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
    return item
