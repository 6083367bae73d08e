"""What the read-out says of the plots: the value of every line at a place, where that is, and what happened there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from PySide6.QtCore import QCoreApplication

from desktop_app import theme
from desktop_app.charts import ticks
from desktop_app.charts.lines import Line, PlotName, RunSpec, x_of
from desktop_app.charts.plot import Plot
from desktop_app.charts.readout import Column, Key, Row
from desktop_app.charts.ticks import XKind

if TYPE_CHECKING:
    from desktop_app.live import Curves

translate = QCoreApplication.translate

LARGE: Final[tuple[PlotName, ...]] = ("loss", "held_out")  # plots whose lines stand in the read-out
Table = tuple[tuple[Column, ...], tuple[Row, ...]]


def value_at(plot: Plot, line: Line, at: float | None) -> str:
    """The value of a line at x, or its newest."""
    if at is None:
        return ticks.value_text(plot.unit, line.last())
    number = line.at(at, plot.reach())
    return ticks.value_text(plot.unit, None if number is None else float(line.y[number]))


def beside_title(plot: Plot, at: float | None) -> str:
    """The value of a small plot, or the values of its lines by their names."""
    lines = [line for line in plot.drawing.lines if not line.dots] or plot.drawing.lines
    if len(lines) == 1:
        return value_at(plot, lines[0], at)
    return " · ".join(f"{line.label} {value_at(plot, line, at)}" for line in lines)


def table_of_one(plots: Sequence[Plot], figure: str, at: float | None) -> Table:
    """A column for each line of the large plots and of the rates; what else stands over a plot of its own is left out.

    `figure` is the name of the held-out figure.
    """
    columns, cells = [], []
    for plot in (plot for plot in plots if plot.name in LARGE):
        for line in plot.drawing.lines:
            title = figure if plot.name == "held_out" else line.label
            columns.append(Column(title, Key(line.colour, line.dash, line.dots)))
            cells.append(value_at(plot, line, at))
        for level in plot.drawing.levels:
            columns.append(Column(level.label, Key(theme.colours().teacher, "dashed")))
            cells.append(ticks.value_text(plot.unit, level.value))
    for plot in (plot for plot in plots if plot.name == "rates"):  # its plot may be out of sight
        for line in plot.drawing.lines:
            columns.append(Column(line.label, Key(line.colour, line.dash), spare=True))
            cells.append(value_at(plot, line, at))
    return tuple(columns), (Row("", tuple(cells)),) if columns else ()


def table_of_several(plots: Sequence[Plot], runs: Sequence[RunSpec], figure: str, at: float | None) -> Table:
    """A row for each run, and a column for each kind of value that one of them has."""
    by_name = {plot.name: plot for plot in plots}
    titles: list[tuple[PlotName, bool, str]] = [  # plot, evaluated or trained, title
        ("loss", False, translate("reading", "Loss")),
        ("loss", True, translate("reading", "Held-out loss")),
        ("held_out", True, figure),
        *((plot.name, False, plot.title) for plot in plots if plot.name not in LARGE),
    ]
    shown = [
        (by_name[name], dots, title)
        for name, dots, title in titles
        if any(line.dots is dots for line in by_name[name].drawing.lines)
    ]
    rows = []
    for run in runs:
        cells = []
        for plot, dots, _ in shown:
            lines = [line for line in plot.drawing.lines if line.run == run.id and line.dots is dots]
            cells.append(value_at(plot, lines[0], at) if lines else "–")
        rows.append(Row(run.label, tuple(cells), Key(run.colour, run.style)))
    return tuple(Column(title, spare=plot.name not in LARGE) for plot, _, title in shown), tuple(rows)


def position(curves: Curves, kind: XKind, at: float | None, *, alone: bool) -> tuple[str, str, str]:
    """Where the rule stands, in short and on every x axis, and what happened there (to a run that is alone)."""
    x = x_of(curves, kind)
    if x is None:
        return "", "", ""
    number = len(x) - 1 if at is None else min(int(np.searchsorted(x, at)), len(x) - 1)
    if at is not None and number and at - x[number - 1] < x[number] - at:
        number -= 1
    said = [
        translate("reading", "Step %s") % ticks.x_text("step", float(curves.step[number])),
        translate("reading", "%s tokens") % ticks.x_texts("tokens", [float(curves.tokens[number])])[0],
        ticks.x_text("seconds", float(curves.seconds[number])),
    ]
    short = " · ".join(said)
    if curves.flops is not None:
        said.append(translate("reading", "%s FLOPs") % ticks.power_text(float(curves.flops[number])))
    if kind == "flops":
        short = " · ".join([said[0], said[-1]])
    newest = [translate("reading", "Newest")] if at is None else []
    happened = _marks_near(curves, int(curves.step[number]), number) if at is not None and alone else []
    return short, " · ".join([*newest, *said]), " · ".join(happened)


def _marks_near(curves: Curves, step: int, number: int) -> list[str]:
    """What happened between this logged step and the one before."""
    before = int(curves.step[number - 1]) if number else -1
    found = [
        translate("reading", "link %d of %d begins") % (border.number, border.count)
        for border in curves.borders
        if border.number > 1 and before <= border.step < step
    ]
    if any(before < checkpoint <= step for checkpoint in curves.checkpoints):
        found.append(translate("reading", "checkpoint"))
    if any(before < resumed <= step for resumed in curves.resumed_at):
        found.append(translate("reading", "resumed here"))
    return found
