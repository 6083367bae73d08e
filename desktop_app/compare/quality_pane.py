"""Quality against what it costs, with the Pareto front."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from core.compare import Comparison, Cost, pareto
from core.radar import Column, figure_title
from core.scores import Score
from desktop_app import theme
from desktop_app.charts import export
from desktop_app.charts.scatter import PAGE, Axes, Point, ScatterChart
from desktop_app.compare.words import COSTS, cost_text, cost_unit, cost_word, value_text
from desktop_app.forms import Choice
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.work import in_background


class QualityPane(QWidget):
    """One figure of all models that have it, over one of the costs."""

    exported = Signal(object)  # Path
    troubled = Signal(object)  # Trouble

    def __init__(self) -> None:
        super().__init__()
        self._comparison = Comparison(())
        self._numbers: list[int] = []
        self._hidden: frozenset[str] = frozenset()
        self.figure = Choice()
        self.figure.setMinimumContentsLength(28)
        self.figure.setAccessibleName(self.tr("Quality"))
        self.cost = Choice([(cost, cost_word(cost)) for cost in COSTS])
        self.cost.setMinimumContentsLength(20)
        self.cost.setAccessibleName(self.tr("Cost"))
        self.chart = ScatterChart()
        self.note = words("small")
        self.export_button = button(self.tr("Export…"), "export")
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        for text, choice in ((self.tr("Quality"), self.figure), (self.tr("against"), self.cost)):
            label = QLabel(text)
            label.setBuddy(choice)
            theme.set_role(label, "muted")
            head.addWidget(label)
            head.addWidget(choice)
        head.addStretch(1)
        head.addWidget(self.export_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.chart, 1)
        layout.addWidget(self.note)
        self.figure.chosen.connect(lambda _: self._show())
        self.cost.chosen.connect(lambda _: self._show())
        self.export_button.clicked.connect(self._ask_where)

    def show_comparison(self, comparison: Comparison, numbers: list[int], hidden: frozenset[str] = frozenset()) -> None:
        self._comparison, self._numbers, self._hidden = comparison, numbers, hidden
        quoted = [column for column in comparison.columns() if self._any(column).quoted and column[0] != "speed"]
        self.figure.set_options([(column, _told(column)) for column in quoted])
        self._show()

    def _any(self, column: Column) -> Score:
        return next(entry.scores[column] for entry in self._comparison.entries if column in entry.scores)

    def _show(self) -> None:
        column, cost = cast("Column | None", self.figure.value()), cast("Cost", self.cost.value())
        if column is None:
            self.note.setText("")
            self.chart.show_points([], Axes("", ""), (), self.tr("Nothing was measured yet. “Evaluate…” does it."))
            return
        column = (column[0], column[1], column[2])
        entries = self._comparison.entries
        found = [point for point in self._comparison.points(column, cost) if entries[point[0]].word not in self._hidden]
        points = [self._point(place, x, entries[place].scores[column], cost) for place, x, _ in found]
        lower = not self._any(column).higher_is_better
        more = cost == "decode_tokens_per_second"
        front = pareto([(x, y) for _, x, y in found], less_is_better=lower, more_cost=more) if found else []
        title = figure_title(column) + (" " + self.tr("(less is better)") if lower else "")
        axes = Axes(cost_word(cost), title, cost_unit(cost))
        self.chart.show_points(points, axes, front, self.tr("No model has both figures. Evaluate its speed, or choose another cost."))  # fmt: skip
        missing = [
            e.name for at, e in enumerate(entries) if e.word not in self._hidden and at not in {p for p, _, _ in found}
        ]
        cheaper = self.tr("faster") if more else self.tr("cheaper")
        told = self.tr("Dashed: the Pareto front. No other model is %s and as good as one on it.") % cheaper
        if missing:
            told += " " + self.tr("Not known of: %s.") % ", ".join(missing)
        self.note.setText(told if points else "")

    def _point(self, place: int, x: float, score: Score, cost: Cost) -> Point:
        number = self._numbers[place]
        return Point(
            self._comparison.entries[place].name,
            theme.series_colour(number),
            number,
            x,
            score.value,
            cost_text(cost, x),
            value_text(score),
            score.stderr,
        )

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_numbers", None):
            self._show()

    def _ask_where(self) -> None:
        kinds = self.tr("Pictures (*.png);;Drawings (*.svg);;Tables (*.csv)")
        path, _ = QFileDialog.getSaveFileName(self, self.tr("Export the chart"), "quality.png", kinds)
        if path:
            self.export(Path(path))

    def export(self, path: Path) -> None:
        make = self._made(path.suffix.lstrip(".").lower())
        in_background(self, lambda: export.save(path, make()), self.exported.emit, self.troubled.emit)

    def _made(self, kind: str) -> Callable[[], bytes]:
        title = self._comparison.name or self.tr("Quality against cost")
        if kind == "csv":
            made = self.chart.table()
        else:
            draw = partial(self.chart.draw_page, title=title, words=self.note.text())
            made = export.svg(PAGE, title, draw) if kind == "svg" else export.png(PAGE, draw)
        return lambda: made


def _told(column: Column) -> str:
    return f"{figure_title(column)} ({column[2]})" if column[2] else figure_title(column)
