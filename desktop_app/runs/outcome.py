"""How a run ended, or stands: the failure with its way out, and the held-out figures before, after, and of the teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.state import History, State
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.forms import MoreSettings
from desktop_app.forms.field import button
from desktop_app.icons import icon
from desktop_app.runs import words
from desktop_app.sign import Sign

METRICS = ("bits_per_byte", "agreement", "perplexity", "accuracy", "margin", "chosen", "rejected", "loss", "ce", "kd")
Figures = Mapping[str, Any]


class FailureCard(QFrame):
    """What happened, what to do about it, and the details behind a fold."""

    report_wanted = Signal()
    resume_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._told: tuple[str, str, str] | None = None
        self._icon = Sign(icon("error", "error"), theme.ICON)
        self.what = _text_label()
        font = self.what.font()
        font.setBold(True)
        self.what.setFont(font)
        self.way_out = _text_label()
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setTabChangesFocus(True)
        self.details.setAccessibleName(self.tr("Details of the failure"))
        self.details.setMinimumHeight(140)
        theme.set_role(self.details, "mono")
        self.more = MoreSettings(self.details, self.tr("Details"))
        self.resume = button(self.tr("Resume"), "resume")
        self.report = button(self.tr("Copy report"), "copy")
        self._compose()
        self.resume.clicked.connect(self.resume_wanted)
        self.report.clicked.connect(self.report_wanted)
        self.hide()

    def _compose(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(theme.SPACE)
        top.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        top.addWidget(self.what, 1)
        buttons = FlowLayout()
        buttons.addWidget(self.resume)
        buttons.addWidget(self.report)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(top)
        layout.addWidget(self.way_out)
        layout.addLayout(buttons)
        layout.addWidget(self.more)

    def show_failure(self, state: str, history: History) -> None:
        """Show how the run failed or crashed; hide for all others."""
        told = self._words(state, history)
        if told == self._told:
            return
        self._told = told
        self.setVisible(told is not None)
        if told is not None:
            what, way_out, details = told
            self.what.setText(what)
            self.way_out.setText(way_out)
            self.way_out.setVisible(bool(way_out))
            self.details.setPlainText(details)
            self.more.setVisible(bool(details))
            self.setAccessibleName(f"{what} {way_out}")

    def _words(self, state: str, history: History) -> tuple[str, str, str] | None:
        failure = history.failure
        if state == State.FAILED and failure is not None:
            at = " " + self.tr("It was at step %s.") % f"{failure.step:,}" if failure.step else ""
            return failure.what + at, failure.way_out, failure.details
        if state != State.CRASHED:
            return None
        phase = history.phase or self.tr("starting")
        what = self.tr("It crashed in the phase “%s” at step %s: its process is gone and said nothing.")
        kept = self.tr("Nothing was saved yet. “Resume” starts it again; the log may say more.")
        if history.checkpoint_step is not None:
            kept = self.tr("The checkpoint of step %s is whole, and “Resume” goes on from there; the log may say more.")
            kept %= f"{history.checkpoint_step:,}"
        return what % (phase, f"{history.step:,}"), kept, ""


class ResultsCard(QFrame):
    """The held-out figures, and what to do with the student."""

    folder_wanted = Signal()
    teacher_wanted = Signal()
    chat_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._told: tuple[Any, ...] | None = None
        self.title = QLabel()
        theme.set_role(self.title, "title")
        self._table = QWidget()
        self._names: list[QLabel] = []
        self._cells: list[list[QLabel]] = []  # by line; the first are headings, if there are held-out figures
        self.chat = button(self.tr("Chat with teacher and student"), "chat")
        self.folder = button(self.tr("Open the student's folder"), "folder_open")
        self.teacher = button(self.tr("Use as a teacher"), "plan")
        buttons = FlowLayout()
        buttons.addWidget(self.chat)
        buttons.addWidget(self.folder)
        buttons.addWidget(self.teacher)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        self._layout.setSpacing(theme.SPACE)
        self._layout.addWidget(self.title)
        self._layout.addWidget(self._table)
        self._layout.addLayout(buttons)
        self.chat.clicked.connect(self.chat_wanted)
        self.folder.clicked.connect(self.folder_wanted)
        self.teacher.clicked.connect(self.teacher_wanted)
        self.hide()

    def show_results(self, state: str, history: History, *, has_student: bool, tuned: bool = False) -> None:
        """`tuned`: what came of it is a model that was there before, or an adapter of one."""
        finished = state == State.FINISHED
        self.chat.setText(self.tr("Chat before and after") if tuned else self.tr("Chat with teacher and student"))
        self.folder.setText(self.tr("Open its folder") if tuned else self.tr("Open the student's folder"))
        columns = columns_of(history)
        rows = [name for name in METRICS if any(figures.get(name) is not None for _, figures in columns)]
        others = _other_figures(history)
        teaches = has_student and not history.results.get("adapter")  # an adapter can't by itself
        told = (finished, has_student, teaches, columns, others)
        if told == self._told:
            return
        self._told = told
        self.setVisible(bool(rows or others or (finished and has_student)))
        self.title.setText(self.tr("Results") if finished else self.tr("So far"))
        self.chat.setVisible(finished and has_student)
        self.folder.setVisible(finished and has_student)
        self.teacher.setVisible(finished and teaches)
        self._fill([(self._heading(name), figures) for name, figures in columns], rows, others)

    def _heading(self, name: str) -> str:
        words_of = {
            "before": self.tr("Before"),
            "after": self.tr("After"),
            "teacher": self.tr("Teacher"),
            "first": self.tr("At first"),
            "last": self.tr("Now"),
            "model": self.tr("Model"),
        }
        return words_of[name]

    def _fill(self, columns: list[tuple[str, Figures]], rows: list[str], others: list[tuple[str, str]]) -> None:
        texts = [[heading for heading, _ in columns]] if rows else []
        texts += [[words.metric_text(name, figures.get(name)) for _, figures in columns] for name in rows]
        texts += [[text] for _, text in others]
        names = [words.metric_word(name) for name in rows] + [name for name, _ in others]
        if [name.text() for name in self._names] != names or list(map(len, self._cells)) != list(map(len, texts)):
            self._rebuild(names, texts, headed=bool(rows))
        after = self._heading("after")
        headings = texts[0] if rows else []
        for line, (cells, row) in enumerate(zip(self._cells, texts, strict=True)):
            name = names[line - bool(rows)] if line or not rows else ""
            for at, (cell, text) in enumerate(zip(cells, row, strict=True)):
                cell.setText(text)
                heading = headings[at] if at < len(headings) else ""
                cell.setAccessibleName(", ".join(part for part in (name, heading) if part) + f": {text}")
                font = cell.font()
                font.setBold(bool(name) and heading == after)
                cell.setFont(font)

    def _rebuild(self, names: list[str], texts: list[list[str]], *, headed: bool) -> None:
        """New labels, for other figures than those that are there."""
        table = QWidget()
        grid = QGridLayout(table)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2 * theme.SPACE)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(0, 1)
        width = max(map(len, texts), default=1)
        self._names = [_cell(name, "muted") for name in names]
        self._cells = []
        for line, row in enumerate(texts):
            if not headed or line:
                grid.addWidget(self._names[line - headed], line, 0)
            cells = [_cell(text, "small" if headed and not line else None, trailing=True) for text in row]
            for at, cell in enumerate(cells, 1):
                grid.addWidget(cell, line, at, 1, 1 if len(row) > 1 else width)
            self._cells.append(cells)
        self._layout.replaceWidget(self._table, table)
        self._table.hide()
        self._table.deleteLater()
        self._table = table


def columns_of(history: History) -> list[tuple[str, dict[str, Any]]]:
    """Figures to stand beside each other: of the results once there are any, else of the evaluations so far."""
    results = history.results
    told = [(name, results[name]) for name in ("before", "after", "teacher") if isinstance(results.get(name), dict)]
    if told:
        return told
    student = [point for point in history.evaluations if point.subject == "student"]
    others = [point for point in history.evaluations if point.subject in ("teacher", "model")]
    columns: list[tuple[str, dict[str, Any]]] = []
    if student:
        columns.append(("first", student[0].metrics))
    if len(student) > 1:
        columns.append(("last", student[-1].metrics))
    return [*columns, *((point.subject, point.metrics) for point in others[-2:])]


def _other_figures(history: History) -> list[tuple[str, str]]:
    """Results beyond the held-out figures: speed of a measurement, skills of an evaluation."""
    told = {*METRICS, "parameters", "teacher_parameters", "tokens", "steps", "seconds"}
    found = [
        (name.replace("_", " ").capitalize(), words.figure_text(value))
        for name, value in history.results.items()
        if name not in told and isinstance(value, int | float) and not isinstance(value, bool)
    ]
    skills = history.results.get("skills")
    if isinstance(skills, dict):
        found += [(str(name), f"{share:.0%}") for name, share in skills.items() if isinstance(share, int | float)]
    return found


def _cell(text: str, role: theme.Role | None = None, *, trailing: bool = False) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    side = Qt.AlignmentFlag.AlignRight if trailing else Qt.AlignmentFlag.AlignLeft
    label.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
    label.setWordWrap(not trailing)
    if trailing:
        label.setFont(theme.tabular(label.font()))
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if role:
        theme.set_role(label, role)
    return label


def _text_label() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
    return label
