"""How a student came on while it was trained: its benchmarks from checkpoint to checkpoint, and the time that took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from core.radar import Column, figure_title, task_title
from core.scores import Score
from core.state import History
from core.watched import Point, share_of_time
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.charts.spark import paint_spark
from desktop_app.compare.words import LRM, about, value_text
from desktop_app.forms.field import button
from desktop_app.forms.parts import words

MOST = 12  # figures
SPARK = QSize(72, 22)  # px
LEADING = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
TRAILING = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True)
class Course:
    """One figure over the steps, NaN where it is not known (yet)."""

    column: Column
    steps: tuple[int, ...]
    values: tuple[float, ...]
    last: Score

    @property
    def change(self) -> float | None:
        """The last value less the first; None of a figure that was measured once."""
        known = [value for value in self.values if math.isfinite(value)]
        return known[-1] - known[0] if len(known) > 1 else None


def courses_of(points: Sequence[Point]) -> list[Course]:
    """The figures that tasks quote of themselves, in the order in which they were measured."""
    steps = tuple(point.step for point in points)
    found: dict[Column, dict[int, Score]] = {}
    for point in points:
        for score in point.scores:
            if score.quoted:
                found.setdefault(score.column, {})[point.step] = score
    return [
        Course(
            column, steps, tuple(by[step].value if step in by else math.nan for step in steps), list(by.values())[-1]
        )
        for column, by in found.items()
    ]


class MeasuredCard(QFrame):
    """`compare_wanted`: the run is to be compared. `run_wanted` carries the newest evaluation."""

    compare_wanted = Signal()
    run_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._points: tuple[Point, ...] = ()
        self.title = QLabel(self.tr("Measured as it went"))
        theme.set_role(self.title, "title")
        self.line, self.more = words("muted"), words("small")
        self.table = QWidget()
        self.rows: list[Row] = []
        self._heads: list[QLabel] = []
        self._grid = QGridLayout(self.table)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(2 * theme.SPACE)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(0, 1)
        self._add_heads()
        self.compare = button(self.tr("Compare"), "compare")
        self.newest = button(self.tr("Newest evaluation"), "runs")
        self._buttons = QWidget()
        flow = FlowLayout(self._buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        for one in (self.compare, self.newest):
            flow.addWidget(one)
        for widget in (self.title, self.line, self.table, self.more, self._buttons):
            layout.addWidget(widget)
        self.compare.clicked.connect(self.compare_wanted)
        self.newest.clicked.connect(self._open_newest)
        self.hide()

    def show_measured(self, history: History, points: Sequence[Point], every: int | None, *, alive: bool) -> None:
        """`every` are the steps between measurements. Hidden for a run that is not measured, and for one that ended before it was."""
        said = (
            self._sentence(history, points, alive=alive) if points else self._to_come(history, every) if alive else ""
        )
        self.setVisible(bool(said) and every is not None)
        self.line.setText(said)
        if tuple(points) != self._points or not points:
            self._show_points(tuple(points))

    def _show_points(self, points: tuple[Point, ...]) -> None:
        self._points = points
        courses = courses_of(points)
        while len(self.rows) < min(MOST, len(courses)):
            self._add_row()
        for number, row in enumerate(self.rows):
            row.set_shown(shown=number < len(courses))
        tasks = Counter(course.column[0] for course in courses)
        for course, row in zip(courses, self.rows, strict=False):
            row.set_course(course, alone=tasks[course.column[0]] == 1)
        self._heads[-1].setVisible(any(course.change is not None for course in courses))
        self.table.setVisible(bool(courses))
        self.more.setText(self.tr("%d further figures are in the comparison.") % (len(courses) - MOST))
        self.more.setVisible(len(courses) > MOST)
        self._buttons.setVisible(bool(points))

    def _open_newest(self) -> None:
        if self._points:
            self.run_wanted.emit(self._points[-1].run)

    def _to_come(self, history: History, every: int | None) -> str:
        if history.phase == "measuring":
            return self.tr("It is being measured for the first time, and the training waits for that.")
        return self.tr("It is measured for the first time at step %s.") % f"{every or 0:,}"

    def _sentence(self, history: History, points: Sequence[Point], *, alive: bool) -> str:
        count, last = len(points), f"{points[-1].step:,}"
        one, several = self.tr("Once, at step %s"), self.tr("%d times, last at step %s")
        said = [one % last if count == 1 else several % (count, last)]
        if pending := sum(point.pending for point in points):
            said.append(
                self.tr("%d evaluations go on or wait") % pending
                if pending > 1
                else self.tr("one evaluation goes on or waits")
            )
        if history.phase == "measuring" and alive:
            said.append(self.tr("the next one goes on"))
        if failed := sum(not point.scores and point.ended for point in points):
            said.append(
                self.tr("%d evaluations ended without figures") % failed
                if failed > 1
                else self.tr("one evaluation ended without figures")
            )
        share = share_of_time(history)
        if share is not None and any(point.seconds for point in points):
            said.append(self.tr("the training waited for that %s of its time") % f"{share:.0%}")
        elif share is not None:
            said.append(self.tr("on another device, while the training went on"))
        return "; ".join(said) + "."

    def _add_heads(self) -> None:
        for at, text in enumerate((self.tr("Figure"), self.tr("Course"), self.tr("Last"), self.tr("Change"))):
            head = QLabel(text)
            self._heads.append(head)
            theme.set_role(head, "small")
            self._grid.addWidget(head, 0, at, LEADING if at < 2 else TRAILING)

    def _add_row(self) -> None:
        row = Row(self)
        for at, widget in enumerate(row.widgets()):
            self._grid.addWidget(widget, len(self.rows) + 1, at)
        self.rows.append(row)


class Row(QObject):
    """One figure: its name, course, last value, and how far that is from the first."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.name, self.spark, self.value, self.change = words(), Spark(), QLabel(), QLabel()
        self.change.setToolTip(self.tr("Since it was first measured"))
        for label in (self.value, self.change):
            label.setFont(theme.tabular(label.font()))
            label.setAlignment(TRAILING)
        theme.set_role(self.change, "muted")

    def widgets(self) -> tuple[QWidget, ...]:
        return self.name, self.spark, self.value, self.change

    def set_shown(self, *, shown: bool) -> None:
        for widget in self.widgets():
            widget.setVisible(shown)

    def set_course(self, course: Course, *, alone: bool) -> None:
        """`alone`: it is the only figure of its task, whose name is enough."""
        self.name.setText(task_title(course.column[0]) if alone else figure_title(course.column))
        self.name.setToolTip("\n".join(part for part in (figure_title(course.column), about(course.column)) if part))
        self.spark.set_course(course)
        self.value.setText(value_text(course.last))
        self.change.setText("" if course.change is None else f"{LRM}{course.change:+.3f}".replace("-", "−"))


class Spark(QWidget):
    """A figure's course as a line; its tool tip has the figures."""

    def __init__(self) -> None:
        super().__init__()
        self._course: Course | None = None
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_course(self, course: Course) -> None:
        self._course = course
        known = [(step, value) for step, value in zip(course.steps, course.values, strict=True) if math.isfinite(value)]
        self.setToolTip("\n".join(self.tr("step %s: %s") % (f"{step:,}", f"{value:.4g}") for step, value in known))
        self.setAccessibleName(self.toolTip())
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return SPARK

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        if self._course is not None:
            paint_spark(QPainter(self), self.rect(), self._course.values, theme.colour("accent"))
