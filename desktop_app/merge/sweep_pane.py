"""A sweep: along which parameters, on which held-out text; beside it the scores of the newest one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QCoreApplication, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QSplitter, QVBoxLayout, QWidget

from core.errors import BadRecipe
from core.numbers import count_text
from core.sweep import MIX, MOST_POINTS, Axis
from desktop_app import theme
from desktop_app.forms import AmountEdit, Choice, Field, FileList, MoreSettings
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.merge.draft import Draft, short
from desktop_app.merge.job_pane import OutFolder
from desktop_app.merge.judging import called
from desktop_app.merge.sweep_chart import SweepView

translate = QCoreApplication.translate
TOKENS = 100_000


@dataclass(frozen=True)
class Way:
    """A parameter that a sweep can go along, and the grid that it begins with."""

    label: str  # as an axis is written, without its values
    words: str
    grid: tuple[float, float, float]  # from, to, step


def ways_of(draft: Draft) -> list[Way]:
    """Every parameter of every merge that takes numbers; the share of the second of two models comes first."""
    found: list[Way] = []
    for key in [*draft.ends(), *(key for key in draft.merges if key not in draft.ends())]:
        method = draft.method(key)
        if method is None or not draft.in_rows(key):
            continue
        head = "" if [key] == draft.ends() else f"{key}/"
        of = "" if len(draft.merges) == 1 else f" · {called(draft, key)}"
        base = draft.base(key) if method.base != "an input" else None
        tuned = [source for source in draft.inputs(key) if source != base]
        if len(tuned) == 2 and method.parameter("weight") is not None:
            found.append(Way(head + MIX, translate("merge", "Share of %s") % short(tuned[1]) + of, (0.0, 1.0, 0.1)))
        for parameter in method.parameters:
            if parameter.kind != "number":
                continue
            title = parameter.name.replace("_", " ")
            if parameter.scope == "merge" and parameter.name not in ("eps", "tol"):
                found.append(Way(head + parameter.name, title + of, _grid(parameter.name)))
            for source in tuned if parameter.scope != "merge" else []:
                label = f"{head}{parameter.name}@{_told_apart(source, tuned)}"
                said = translate("merge", "%s of %s") % (title, short(source))
                found.append(Way(label, said + of, _grid(parameter.name)))
    return found


def _told_apart(source: str, inputs: list[str]) -> str:
    """The folder's name where that tells the inputs apart."""
    name = source.rstrip("/").rpartition("/")[2]
    return name if [one.rstrip("/").rpartition("/")[2] for one in inputs].count(name) == 1 else source


def _grid(name: str) -> tuple[float, float, float]:
    grids = {"density": (0.2, 1.0, 0.2), "weight": (0.0, 1.0, 0.25), "lambda": (0.5, 1.5, 0.25)}
    return grids.get(name, (0.0, 1.0, 0.1))


class AxisFields(QWidget):
    """A parameter, and from where to where in which steps."""

    changed = Signal()

    def __init__(self, label: str, *, optional: bool) -> None:
        super().__init__()
        self._optional = optional
        self._ways: dict[str, Way] = {}
        self.choice = Choice()
        self.field = Field(label, self.choice)
        self.numbers = [AmountEdit(float, lambda value: f"{value:g}") for _ in range(3)]
        self.grid = QWidget()
        across = QHBoxLayout(self.grid)
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(theme.SPACE)
        for title, number in zip((self.tr("From"), self.tr("To"), self.tr("Step")), self.numbers, strict=True):
            across.addWidget(Field(title, number), 1)
            number.changed.connect(lambda _: self.changed.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.field)
        layout.addWidget(self.grid)
        self.choice.chosen.connect(self._chosen)
        self.offer([])

    def offer(self, ways: list[Way]) -> None:
        if ways == [*self._ways.values()] and self.choice.count():
            return
        before = self.choice.value()
        self._ways = {way.label: way for way in ways}
        none = [("", self.tr("No second parameter"))] if self._optional else []
        self.choice.set_options([*none, *((way.label, way.words) for way in ways)])
        if self.choice.value() != before or not any(number.text() for number in self.numbers):
            self._begin()

    def _chosen(self, _: object) -> None:
        self._begin()
        self.changed.emit()

    def _begin(self) -> None:
        """The grid that the parameter begins with."""
        way = self._ways.get(str(self.choice.value() or ""))
        self.grid.setVisible(way is not None)
        for number, value in zip(self.numbers, way.grid if way else (None,) * 3, strict=True):
            number.setText("" if value is None else f"{value:g}")

    def text(self) -> str | None:
        """The axis as recipes write it; None where no parameter is chosen."""
        label = str(self.choice.value() or "")
        return f"{label}={':'.join(number.text().strip() for number in self.numbers)}" if label else None


class SweepPane(QWidget):
    """The form, and the chart of the newest sweep. The page starts it."""

    changed = Signal()
    run_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.first = AxisFields(self.tr("Along"), optional=False)
        self.second = AxisFields(self.tr("And along"), optional=True)
        self.nothing = words(
            "muted", self.tr("Put a merge with numbers on the canvas first: its parameters can then be swept.")
        )
        self.data = FileList(self.tr("Drop text here that the models have not seen."))
        self.tokens = AmountEdit()
        self.tokens.set_value(TOKENS)
        self.out = OutFolder()
        self.problem = words("error")
        self.view = SweepView()
        self.view.chart.empty_text = self.tr(
            "Each point of the grid is merged and scored on the held-out text. "
            "Along one parameter the scores are a curve, along two a map; the best model is kept."
        )
        self.show_run = button(self.tr("Show the run"), "runs", "quiet")
        self._compose()
        for axis in (self.first, self.second):
            axis.changed.connect(self._look)
        self.data.changed.connect(self._look)
        self.tokens.changed.connect(lambda _: self._look())
        self.show_run.clicked.connect(self.run_wanted)
        self.show_run.hide()
        self.offer(Draft())

    def _compose(self) -> None:
        form = QWidget()
        layout = QVBoxLayout(form)
        layout.setContentsMargins(0, 0, 2 * theme.SPACE, 0)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self.nothing)
        layout.addWidget(self.first)
        layout.addWidget(self.second)
        layout.addWidget(
            Field(
                self.tr("Held-out text"),
                self.data,
                self.tr("Every merge is scored on the same text. Text that a model learnt from would flatter it."),
            )
        )
        more = QWidget()
        inner = QVBoxLayout(more)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(12)
        inner.addWidget(
            Field(
                self.tr("Tokens to score, at the most"),
                self.tokens,
                self.tr("%s tell points apart in seconds on a small model.") % count_text(TOKENS),
            )
        )
        inner.addWidget(Field(self.tr("Folder of the best model"), self.out))
        layout.addWidget(MoreSettings(more))
        layout.addWidget(self.problem)
        layout.addStretch(1)
        scroller = QScrollArea()
        scroller.setFrameShape(QFrame.Shape.NoFrame)
        scroller.setWidgetResizable(True)
        scroller.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroller.setWidget(form)
        scroller.setMinimumWidth(340)
        right = QWidget()
        beside = QVBoxLayout(right)
        beside.setContentsMargins(2 * theme.SPACE, 0, 0, 0)
        beside.setSpacing(theme.SPACE)
        beside.addWidget(self.view, 1)
        beside.addWidget(self.show_run, alignment=Qt.AlignmentFlag.AlignLeft)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(scroller)
        splitter.addWidget(right)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([400, 700])
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(splitter)

    def offer(self, draft: Draft) -> None:
        ways = ways_of(draft)
        self.first.offer(ways)
        self.second.offer(ways)
        self.nothing.setVisible(not ways)
        for axis in (self.first, self.second):
            axis.setVisible(bool(ways))
        self._look()

    def along(self) -> tuple[str, ...]:
        return tuple(text for text in (self.first.text(), self.second.text()) if text)

    def points(self) -> int:
        """How many points the grid has. Raises BadRecipe."""
        count = 1
        for text in self.along():
            count *= len(Axis.read(text).values)
        return count

    def why_not(self) -> str:
        """What must be mended in the form before it can start."""
        along = self.along()
        if not along:
            return self.tr("There is no parameter to go along yet.")
        if len(along) == 2 and along[0].partition("=")[0] == along[1].partition("=")[0]:
            return self.tr("Both parameters are the same. Choose two, or one alone.")
        try:
            if self.points() > MOST_POINTS:
                return self.tr("The grid has %d points. Take larger steps.") % self.points()
        except BadRecipe as trouble:
            return str(trouble)
        if not self.data.paths():
            return self.tr("Add held-out text to score the merges on.")
        return self.tokens.problem()

    def fields(self) -> dict[str, Any]:
        return {
            "along": self.along(),
            "data": tuple(str(path) for path in self.data.paths()),
            "most_tokens": int(self.tokens.value() or 0) or None,
            "out": self.out.value(),
        }

    def _look(self) -> None:
        problem = ""
        try:
            self.points()
        except BadRecipe as trouble:
            problem = str(trouble)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.changed.emit()
