"""How a student came on while it was trained: its benchmarks from checkpoint to checkpoint, and the time that took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from core.radar import Column
from core.scores import Score
from core.state import History
from core.watched import Point, share_of_time
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.charts.spark import paint_spark
from desktop_app.compare.words import about, figure_title, value_text
from desktop_app.forms.field import Elided, button
from desktop_app.forms.parts import words

MOST = 12  # figures
SPARK = QSize(72, 22)  # px


@dataclass(frozen=True)
class Course:
    """One figure over the steps, NaN where it is not known (yet)."""

    column: Column
    steps: tuple[int, ...]
    values: tuple[float, ...]
    last: Score


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
    """`compare_wanted` carries the runs of the evaluations; `run_wanted` the newest of them."""

    compare_wanted = Signal()
    run_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._points: tuple[Point, ...] = ()
        self.title = QLabel(self.tr("Measured as it went"))
        theme.set_role(self.title, "title")
        self.line = words("muted")
        self._table = QWidget()
        self._grid = QGridLayout(self._table)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(2 * theme.SPACE)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(0, 1)
        self._rows: list[tuple[Elided, Spark, QLabel]] = []
        self.compare = button(self.tr("Compare"), "compare")
        self.newest = button(self.tr("Newest evaluation"), "runs")
        buttons = FlowLayout()
        for one in (self.compare, self.newest):
            buttons.addWidget(one)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        for widget in (self.title, self.line, self._table):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        self.compare.clicked.connect(self.compare_wanted)
        self.newest.clicked.connect(lambda: self.run_wanted.emit(self._points[-1].run))
        self.hide()

    def show_measured(self, history: History, points: Sequence[Point]) -> None:
        """Hidden for a run that was not measured (yet)."""
        self.setVisible(bool(history.measured))
        if self.isHidden():
            return
        self.line.setText(self._sentence(history, points))
        if tuple(points) == self._points:
            return
        self._points = tuple(points)
        courses = courses_of(points)[:MOST]
        while len(self._rows) < len(courses):
            self._add_row()
        for number, row in enumerate(self._rows):
            for widget in row:
                widget.setVisible(number < len(courses))
        for course, (name, spark, value) in zip(courses, self._rows, strict=False):
            name.set_text(figure_title(course.column))
            name.setToolTip(about(course.column))
            spark.set_course(course)
            value.setText(value_text(course.last))
        self.newest.setEnabled(bool(points))

    def _sentence(self, history: History, points: Sequence[Point]) -> str:
        there = sum(1 for point in points if point.scores)
        one, several = self.tr("Once, at step %s"), self.tr("%d times, last at step %s")
        last = f"{max(said.step for said in history.measured):,}"
        count = len(history.measured)
        said = [one % last if count == 1 else several % (count, last)]
        if there < len(points):
            said.append(self.tr("%d of them not there yet") % (len(points) - there))
        share = share_of_time(history)
        if share is not None and any(each.seconds for each in history.measured):
            said.append(self.tr("the training waited for it %s of its time") % f"{share:.0%}")
        elif share is not None:
            said.append(self.tr("on another device, so the training went on"))
        return "; ".join(said) + "."

    def _add_row(self) -> None:
        at = len(self._rows)
        row = Elided(), Spark(), QLabel()
        row[2].setFont(theme.tabular(row[2].font()))
        row[2].setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for column, widget in enumerate(row):
            self._grid.addWidget(widget, at, column)
        self._rows.append(row)


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
