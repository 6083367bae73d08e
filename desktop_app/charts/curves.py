"""The live curves of one or several runs: linked plots, one read-out for all of them, zoom, smoothing and export.

python -m desktop_app.charts.curves
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent, QStandardItemModel
from PySide6.QtWidgets import QComboBox, QFileDialog, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from core.errors import Trouble
from desktop_app import theme
from desktop_app.charts import export, reading
from desktop_app.charts.curve_tools import SLIM, CurveTools, PartsButton
from desktop_app.charts.export import Page
from desktop_app.charts.lines import (
    OF_PAIRS,
    PARTS,
    RATES,
    UNITS,
    Array,
    Choices,
    Drawing,
    Level,
    Line,
    Marks,
    Metric,
    PlotName,
    RunSpec,
    has_rewards,
    levels_of,
    lines_of,
    marks_of,
    part_word,
    parts_of,
    rates_of,
    told_apart,
    x_of,
)
from desktop_app.charts.plot import Plot
from desktop_app.charts.plot_box import PlotBox
from desktop_app.charts.reading import LARGE
from desktop_app.charts.readout import ROW, ReadOut
from desktop_app.charts.ticks import XKind
from desktop_app.forms import Choice
from desktop_app.work import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from desktop_app.live import Curves, Picture

__all__ = ["CurvesPanel", "RunSpec"]

MAIN: Final[tuple[PlotName, ...]] = ("loss", "held_out", "speed", "memory")
MORE: Final[tuple[PlotName, ...]] = ("lr", "grad_norm")
LEAST: Final[dict[PlotName, int]] = {"loss": 200}  # px high
LEAST_HIGH = 110  # px, of every other
BEAT_MS = 40  # news that come within it are drawn together
TURN_S = 0.01  # after it the rest waits for the next turn of the event loop
TWO_COLUMNS, PAIRS = 900, 560  # px: all plots in two columns; the small ones in two
NOTED_MOST, NAME_MOST = 4, 32  # lines with gaps that are named; letters of a name
READOUT_SHARE = 0.28  # of the panel's height, at most


class CurvesPanel(QWidget):
    """Plots of the runs given by `set_runs`; `show(run, picture)` brings what is new of one of them.

    Nothing is computed while the panel is off screen, and news that come close together are drawn together.
    """

    troubled = Signal(object)  # Trouble: an export that could not be written
    exported = Signal(object)  # Path
    looked_at = Signal(object)  # the x of the read-out, or None

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.choices = Choices()
        self._given: tuple[RunSpec, ...] = ()
        self._runs: tuple[RunSpec, ...] = ()  # the same, dashed where a colour comes again
        self._pictures: dict[str, Picture] = {}
        self._lines: dict[tuple[str, PlotName], tuple[Line, ...]] = {}  # until their run or the choices change
        self._view: tuple[float, float] | None = None  # the part of x that the user chose; None follows the runs
        self._at: float | None = None
        self._columns = 0
        self._has_rewards = False
        self._waiting: list[PlotName] = []  # plots that are to be drawn anew
        self._unpainted: list[Plot] = []  # plots with many points that are to paint their lines
        self._beat = QTimer(self, singleShot=True, interval=BEAT_MS)
        self._turn = QTimer(self, singleShot=True, interval=0)
        self._make_choices()
        self._make_plots()
        self._lay_out()
        self._connect()
        self._arrange()
        self._order_keys()
        self._refresh()

    # --- the parts

    def _make_choices(self) -> None:
        self.tools = tools = CurveTools(self.choices.smoothing)
        self.x_choice, self.slider, self.slider_text = tools.x_choice, tools.slider, tools.slider_text
        self.log_button, self.more_button = tools.log_button, tools.more_button
        self.reset_button, self.export_button = tools.reset_button, tools.export_button
        self.parts_button = PartsButton()
        self.part_choice = Choice([(part, self._words()[part]) for part in PARTS])
        self.part_choice.setAccessibleName(self.tr("Part of the loss"))
        self._metrics: list[tuple[object, str]] = [
            ("bits_per_byte", self.tr("Bits per byte")),
            ("perplexity", self.tr("Perplexity")),
            ("agreement", self.tr("Agreement with the teacher")),
        ]
        self._metrics_of_pairs: list[tuple[object, str]] = [
            ("margin", self.tr("Reward margin")),
            ("accuracy", self.tr("Better answer preferred")),
            ("loss", self.tr("Loss of the preferences")),
        ]
        self.metric_choice = Choice(self._metrics)
        self.metric_choice.setAccessibleName(self.tr("Held-out figure"))
        for choice in (self.part_choice, self.metric_choice):
            choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            choice.setStyleSheet(SLIM)

    def _make_plots(self) -> None:
        titles: dict[PlotName, tuple[str, str]] = {
            "loss": (self.tr("Loss"), self.tr("nats per token")),
            "held_out": (self.tr("Held-out text"), ""),
            "speed": (self.tr("Throughput"), self.tr("tokens per second")),
            "memory": (self.tr("Memory"), ""),
            "rewards": (self.tr("Rewards"), self.tr("nats, against the reference")),
            "rates": (self.tr("Own words and balance"), ""),
            "lr": (self.tr("Learning rate"), ""),
            "grad_norm": (self.tr("Gradient norm"), ""),
        }
        self.plots = {name: Plot(name, titles[name][0], UNITS[name if name != "held_out" else "bits_per_byte"]) for name in titles}  # fmt: skip
        beside: dict[PlotName, tuple[QWidget, ...]] = {
            "loss": (self.part_choice, self.parts_button),
            "held_out": (self.metric_choice,),
        }
        self.boxes = {name: PlotBox(plot, titles[name][1], beside.get(name, ())) for name, plot in self.plots.items()}
        for name, plot in self.plots.items():
            plot.setMinimumHeight(LEAST.get(name, LEAST_HIGH))
        for name in ("rewards", "rates", *MORE):
            self.boxes[name].hide()

    def _lay_out(self) -> None:
        self.readout = ReadOut()
        self.readout_scroller = _scroller(self.readout)
        self.scroller = _scroller(self._laid_out_plots())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.tools)
        layout.addWidget(self.readout_scroller)
        layout.addWidget(self.scroller, 1)

    def _laid_out_plots(self) -> QWidget:
        self.note = QLabel()
        self.note.setWordWrap(True)
        theme.set_role(self.note, "small")
        self.grid = QGridLayout()
        self.grid.setContentsMargins(0, 0, 0, 0)
        self.grid.setHorizontalSpacing(3 * theme.SPACE)
        self.grid.setVerticalSpacing(theme.SPACE // 2)
        inner = QWidget()
        inner_layout = QVBoxLayout(inner)
        inner_layout.setContentsMargins(0, 0, 0, 0)
        inner_layout.setSpacing(theme.SPACE)
        inner_layout.addWidget(self.note)
        inner_layout.addLayout(self.grid, 1)
        return inner

    def _order_keys(self) -> None:
        """Tab goes as the eye does."""
        boxes: list[QWidget] = [self.part_choice, self.parts_button, self.plots["loss"], self.metric_choice]
        boxes += [plot for name, plot in self.plots.items() if name != "loss"]
        order = [*self.tools.in_order(), *boxes]
        for one, other in pairwise(order):
            QWidget.setTabOrder(one, other)

    def _connect(self) -> None:
        self._beat.timeout.connect(self._refresh_news)
        self._turn.timeout.connect(self._take_turn)
        self.x_choice.chosen.connect(self._choose_x)
        self.part_choice.chosen.connect(lambda part: self._choose(part=str(part)))
        self.parts_button.changed.connect(lambda off: self._choose(off=off))
        self.metric_choice.chosen.connect(self._choose_metric)
        self.slider.valueChanged.connect(lambda value: self._choose(smoothing=value / 100))
        self.log_button.toggled.connect(self._choose_log)
        self.more_button.toggled.connect(self._show_more)
        self.reset_button.clicked.connect(self.reset_zoom)
        self.tools.export_wanted.connect(self._ask_where)
        self.scroller.verticalScrollBar().rangeChanged.connect(self._mind_the_wheel)
        for plot in self.plots.values():
            plot.pointed.connect(self.look_at)
            plot.stepped.connect(self._step)
            plot.jumped.connect(self._jump)
            plot.x_scaled.connect(self._scale_x)
            plot.x_moved.connect(self._move_x)
            plot.x_chosen.connect(self.zoom)
            plot.reset_wished.connect(self.reset_zoom)
            plot.turn_wished.connect(partial(self._paint_soon, plot))

    # --- what is shown

    def set_runs(self, runs: Sequence[RunSpec | tuple[str, str, str]]) -> None:
        """The runs to draw, first one in front. One run shows its parts apart, several one part in a colour each."""
        specs = tuple(run if isinstance(run, RunSpec) else RunSpec(*run) for run in runs)
        if specs == self._given:
            return
        if {run.id for run in specs} != {run.id for run in self._runs}:
            self._view = None
        self._given, self._runs = specs, told_apart(specs)
        self._pictures = {run.id: self._pictures[run.id] for run in specs if run.id in self._pictures}
        self._lines.clear()
        self._refresh_soon()

    def show(self, run: str | None = None, picture: Picture | None = None) -> None:
        """Take the picture of one of the runs; without any, show the widget, as every widget does."""
        if run is None or picture is None:
            super().show()
            return
        if any(spec.id == run for spec in self._runs):
            self._pictures[run] = picture
            for name in self.plots:
                self._lines.pop((run, name), None)
            self._refresh_soon()

    def runs(self) -> tuple[RunSpec, ...]:
        return self._given

    def _refresh_soon(self) -> None:
        if self.isVisible() and not self._beat.isActive():
            self._beat.start()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._refresh()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.LayoutDirectionChange:
            self.readout.update()

    def _refresh_news(self) -> None:
        """Draw the news, but not before those of before: a picture that takes some turns must come to its end."""
        if self._waiting or self._unpainted:
            self._beat.start()
        else:
            self._refresh()

    def _refresh(self) -> None:
        """Draw what there is now: a little in each turn of the event loop, so that the window is never busy for long."""
        self._offer_parts()
        self._offer_rates()
        self._offer_rewards()
        self._offer_metrics()
        self.slider_text.setText(f"{self.choices.smoothing:.2f}")
        self._offer_flops()
        self._waiting += [name for name in self._shown() if name not in self._waiting]
        if not self._turn.isActive():
            self._turn.start()

    def _paint_soon(self, plot: Plot) -> None:
        if plot not in self._unpainted:
            self._unpainted.append(plot)
        if not self._turn.isActive():
            self._turn.start()

    def _take_turn(self) -> None:
        end = time.perf_counter() + TURN_S
        if self._waiting:
            self._refresh_next(end)
        elif self._unpainted:
            while self._unpainted[0].advance():
                if time.perf_counter() > end:
                    break
            else:
                self._unpainted.pop(0)
        if self._waiting or self._unpainted:
            self._turn.start()

    def _refresh_next(self, end: float) -> None:
        name = self._waiting[0]
        words = self._words() | {one: plot.title for one, plot in self.plots.items()}
        for run, curves in self._curves():
            if (run.id, name) not in self._lines:
                if time.perf_counter() > end:
                    return
                alone = len(self._runs) == 1
                self._lines[run.id, name] = lines_of(name, run, curves, self.choices, words, alone=alone)
        self._waiting.pop(0)
        self.plots[name].show_drawing(
            self._drawing(name), self.choices.x, self._view or self._whole(), empty_text=self._empty_text(name)
        )
        if not self._waiting:
            self._align_labels()
            self._show_note()
            self._show_values()

    def is_settled(self) -> bool:
        """All that was shown has been drawn."""
        return not (self._waiting or self._unpainted or self._beat.isActive())

    def _shown(self) -> tuple[PlotName, ...]:
        rewards: tuple[PlotName, ...] = ("rewards",) if self._has_rewards else ()
        rates: tuple[PlotName, ...] = ("rates",) if self.choices.rates else ()
        return MAIN + rewards + rates + (MORE if self.more_button.isChecked() else ())

    def _curves(self) -> Iterator[tuple[RunSpec, Curves]]:
        return ((run, self._pictures[run.id].curves) for run in self._runs if run.id in self._pictures)

    def _drawing(self, name: PlotName) -> Drawing:
        alone = len(self._runs) == 1
        lines: list[Line] = []
        levels: dict[str, Level] = {}
        marks = Marks()
        for run, curves in self._curves():
            lines += self._lines[run.id, name]
            if name == "held_out":
                for level in levels_of(curves, self.choices, self.tr("Teacher")):
                    levels[f"{level.value:.4g}"] = level
            its = marks_of(run, curves, self.choices.x, alone=alone, link=self.tr("link %d: %s"))
            marks = Marks(its.checkpoints, (*marks.resumed, *its.resumed), (*marks.borders, *its.borders))
        return Drawing(tuple(lines), tuple(levels.values()) if lines else (), marks)

    def _words(self) -> dict[str, str]:
        return {
            "total": self.tr("Total"),
            "ce": self.tr("Cross-entropy"),
            "kd": self.tr("Teacher's part"),
            "hidden": self.tr("Hidden states"),
            "relations": self.tr("Attention relations"),
            "held_out_total": self.tr("Total, held out"),
            "held_out_ce": self.tr("CE, held out"),
            "held_out_kd": self.tr("Teacher's, held out"),
            "generated": self.tr("Own words"),
            "balance": self.tr("Balance"),
            "accuracy": self.tr("Better answer preferred"),
            "margin": self.tr("Margin"),
            "chosen": self.tr("Better answers"),
            "rejected": self.tr("Worse answers"),
            "held_out_margin": self.tr("Margin, held out"),
            "student": self.tr("Student"),
        }

    def _offer_parts(self) -> None:
        """Of one run its parts to be switched on and off, of several one part to be chosen: those that they have."""
        found = dict.fromkeys(part for _, curves in self._curves() for part in parts_of(curves))
        words = self._words()
        offered = [(part, words.get(part, part_word(part))) for part in dict.fromkeys((*PARTS, *found))]
        alone = len(self._runs) == 1
        self.part_choice.setVisible(len(self._runs) > 1)
        self.parts_button.setVisible(alone and len(found) > 1)
        if alone and found:
            self.parts_button.offer([pair for pair in offered if pair[0] in found])
            if self.parts_button.off != self.choices.off:
                self._take_choices(off=self.parts_button.off)
        elif len(self._runs) > 1 and [self.part_choice.itemText(at) for at in range(self.part_choice.count())] != [word for _, word in offered]:  # fmt: skip
            self.part_choice.set_options(offered)
            if self.choices.part not in dict(offered):
                self.part_choice.choose("total")
                self._take_choices(part="total")

    def _offer_rates(self) -> None:
        """A plot of the student's own words and of the balance, for runs that have them; of several runs it shows one."""
        found = {name for _, curves in self._curves() for name in rates_of(curves)}
        rates = tuple(name for name in RATES if name in found)[: None if len(self._runs) == 1 else 1]
        if rates == self.choices.rates:
            return
        self._take_choices(rates=rates)
        box, plot = self.boxes["rates"], self.plots["rates"]
        box.setVisible(bool(rates))
        titles = {name: self._words()[name] for name in RATES}
        units = {
            "generated": self.tr("of the learnt tokens"),
            "balance": self.tr("times the teacher's part"),
            "accuracy": self.tr("of the pairs"),
        }
        if rates:
            box.set_title(titles[rates[0]] if len(rates) == 1 else self.tr("Own words and balance"))
            box.unit.setText(units[rates[0]] if len(rates) == 1 else "")
            plot.set_unit("share" if rates in (("generated",), ("accuracy",)) else "number")
        self._stretch_rows()

    def _offer_rewards(self) -> None:
        """A plot of the rewards, for runs that prefer one answer to another."""
        found = any(has_rewards(curves) for _, curves in self._curves())
        if found != self._has_rewards:
            self._has_rewards = found
            self.boxes["rewards"].setVisible(found)
            self._stretch_rows()

    def _offer_metrics(self) -> None:
        """Held-out figures of preferences in place of the usual ones, where no run has those."""
        found = {
            name for _, curves in self._curves() for checks in curves.evaluations.values() for name in checks.metrics
        }
        usual, of_pairs = (found & {str(name) for name, _ in each} for each in (self._metrics, self._metrics_of_pairs))
        offered = self._metrics_of_pairs if of_pairs & set(OF_PAIRS) and not usual else self._metrics
        offered = offered + self._metrics_of_pairs if of_pairs and usual else offered
        if [self.metric_choice.itemData(at) for at in range(self.metric_choice.count())] == [
            name for name, _ in offered
        ]:
            return
        self.metric_choice.set_options(offered)
        if self.choices.metric not in dict(offered):
            self.plots["held_out"].set_unit(UNITS.get(str(offered[0][0]), "number"))
            self._set_logs(self.choices.log)
            self._take_choices(metric=offered[0][0])
        self.metric_choice.choose(self.choices.metric)

    def _whole(self) -> tuple[float, float]:
        """All of x that the runs have come to."""
        ends = [0.0]
        for _, curves in self._curves():
            found = [x_of(curves, self.choices.x), *(x_of(one, self.choices.x) for one in curves.evaluations.values())]
            ends += [float(x[-1]) for x in found if x is not None and len(x)]
        return 0.0, max(ends) or 1.0

    def _offer_flops(self) -> None:
        unknown = [run.label for run, curves in self._curves() if curves.flops is None]
        why_not = self.tr("The FLOPs of %s are not known: its plan doesn't say how many a token takes.") % unknown[0] if unknown else ""  # fmt: skip
        model = self.x_choice.model()
        assert isinstance(model, QStandardItemModel)
        item = model.item(self.x_choice.findData("flops"))
        if item.isEnabled() == bool(why_not):
            item.setEnabled(not why_not)
            item.setText(self.tr("by FLOPs (not known)") if why_not else self.tr("by FLOPs"))
        item.setToolTip(why_not)
        if why_not and self.choices.x == "flops":
            self.x_choice.choose("step")
            self._choose_x("step")

    def _empty_text(self, name: PlotName) -> str:
        if not self._runs:
            return self.tr("No run is chosen.") if name == "loss" else ""
        pictures = [self._pictures[run.id] for run in self._runs if run.id in self._pictures]
        if not pictures or any(picture.behind for picture in pictures):
            return self.tr("Reading the journal…")
        if all(picture.state.ended for picture in pictures):
            return self.tr("It ended before there was anything to draw here.")
        return {
            "loss": self.tr("The loss appears here after the first step."),
            "held_out": self.tr("The figures on held-out text appear here after the first evaluation."),
            "speed": self.tr("Tokens per second appear here after the first steps."),
            "memory": self.tr("The memory in use appears here after the first step."),
            "rewards": self.tr("How far apart the answers are held appears here after the first step."),
            "rates": self.tr("What share the student wrote itself appears here after the first step."),
            "lr": self.tr("The learning rate appears here after the first step."),
            "grad_norm": self.tr("The gradient norm appears here after the first step."),
        }[name]

    def _align_labels(self) -> None:
        """Give plots that stand over each other the same room for labels, so that the same x is at the same place."""
        wanted = {name: self.plots[name].wanted_label_width() for name in LARGE}
        places = _places(self._columns)
        for name in self._shown():
            over = [wanted[one] for one in LARGE if self._columns < 2 or places[one][1] == places[name][1]]
            self.plots[name].set_label_width(max(over) if name in LARGE or self._columns == 2 else 0)

    # --- choices

    def _choose(self, **changes: Any) -> None:
        self._take_choices(**changes)
        self._refresh()

    def _take_choices(self, **changes: Any) -> None:
        self.choices = replace(self.choices, **changes)
        self._lines.clear()

    def _choose_x(self, kind: str) -> None:
        self._view = None
        self._at = None
        for plot in self.plots.values():
            plot.set_rule(None)
        self._choose(x=cast("XKind", kind))

    def _choose_metric(self, metric: object) -> None:
        self.plots["held_out"].set_unit(UNITS.get(str(metric), "number"))
        self._set_logs(self.choices.log)
        self._choose(metric=cast("Metric", metric))

    def _choose_log(self, log: bool) -> None:
        self._set_logs(log)
        self._choose(log=log)

    def _set_logs(self, log: bool) -> None:
        """Speed, memory and shares stay as they are: nothing in them spans powers of ten."""
        for plot in self.plots.values():
            plot.set_log(log and plot.unit in ("number", "power"))

    def _show_more(self, more: bool) -> None:
        for name in MORE:
            self.boxes[name].setVisible(more)
        self._stretch_rows()
        self._refresh()

    # --- the part of x in view

    def zoom(self, low: float, high: float) -> None:
        """Show [low, high] of x in all plots, as far as there are points."""
        least, most = self._whole()
        span = min(max(high - low, 1e-6 * (most - least)), most - least)
        low = min(max(least, low), most - span)
        self._view = None if span >= most - least else (low, low + span)
        self._refresh()

    def reset_zoom(self) -> None:
        """Show all, and follow what comes."""
        self._view = None
        for plot in self.plots.values():
            plot.reset_y()
        self._refresh()

    def is_zoomed(self) -> bool:
        return self._view is not None or any(plot.is_zoomed() for plot in self.plots.values())

    def _scale_x(self, factor: float, about: float) -> None:
        low, high = self._view or self._whole()
        self.zoom(about - (about - low) * factor, about + (high - about) * factor)

    def _move_x(self, by: float) -> None:
        if self._view is not None:
            self.zoom(self._view[0] + by, self._view[1] + by)

    # --- the read-out

    def look_at(self, x: float | None) -> None:
        """Put the rule at x in all plots and read the values there; None reads the newest ones."""
        self._at = x
        for name in self._shown():
            self.plots[name].set_rule(x)
        self._show_values()
        self.looked_at.emit(x)

    def _step(self, points: int) -> None:
        x = self._points_of_first()
        if not len(x):
            return
        if self._at is None:
            number = len(x) - 1
        else:
            number = int(np.searchsorted(x, self._at)) + points
        self._go_to(float(x[min(max(0, number), len(x) - 1)]))

    def _jump(self, to_end: bool) -> None:
        x = self._points_of_first()
        if len(x):
            self._go_to(float(x[-1 if to_end else 0]))

    def _go_to(self, x: float) -> None:
        low, high = self._view or self._whole()
        if not low <= x <= high:
            self.zoom(x - (high - low) / 2, x + (high - low) / 2)
        self.look_at(x)

    def _points_of_first(self) -> Array:
        for _, curves in self._curves():
            x = x_of(curves, self.choices.x)
            if x is not None and len(x):
                return x
        return np.empty(0)

    def _show_values(self) -> None:
        shown, figure, alone = self._shown(), self.metric_choice.currentText(), len(self._runs) == 1
        plots = [self.plots[name] for name in shown]
        if alone:
            table = reading.table_of_one(plots, figure, self._at)
        else:
            table = reading.table_of_several(plots, self._runs, figure, self._at)
        self.readout.show_table(*table)
        curves = next((curves for _, curves in self._curves() if len(curves.step)), None)
        place = ("", "", "") if curves is None else reading.position(curves, self.choices.x, self._at, alone=alone)
        self.readout.show_position(*place)
        self._fit_readout()
        for plot in plots:
            told = plot.name not in LARGE and alone and plot.drawing.lines
            self.boxes[plot.name].show_value(reading.beside_title(plot, self._at) if told else "")
        self._describe()

    def _show_note(self) -> None:
        """Say which points can't be drawn: they are marked with a cross, and none is dropped in silence."""
        told = []
        for name in self._shown():
            plot = self.plots[name]
            for line in plot.drawing.lines:
                count = len(line.gaps(log=plot.log))
                label = plot.title if line.label == plot.title else f"{plot.title}, {_shortened(line.label)}"
                told += [f"{label}: {count}"] if count else []
        what = self.tr("Points without a value (× on the axis):")
        if self.choices.log:
            what = self.tr("Points without a value or not above zero, which a log scale can't show (× on the axis):")
        rest = self.tr("; and %s more lines") % (len(told) - NOTED_MOST) if len(told) > NOTED_MOST else ""
        self.note.setText(f"{what} {'; '.join(told[:NOTED_MOST])}{rest}" if told else "")
        self.note.setVisible(bool(told))

    def _describe(self) -> None:
        alone = [(self.plots[name].title, self.boxes[name].value.text()) for name in self._shown()]
        words = ", ".join(f"{title} {value}" for title, value in alone if value)
        self.readout.setAccessibleDescription(f"{self.readout.in_words()} {words}".strip())
        for name in self._shown():
            plot = self.plots[name]
            values = [f"{line.label} {reading.value_at(plot, line, self._at)}" for line in plot.drawing.lines]
            plot.setAccessibleDescription(", ".join(values) or plot.empty_text)

    # --- the plots' places

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._arrange()
        self._fit_readout()

    def _arrange(self) -> None:
        """All plots in two columns where there is room, the large ones over the small pairs, or one under the other."""
        columns = 2 if self.width() >= TWO_COLUMNS else 1 if self.width() >= PAIRS else 0
        if columns == self._columns and self.grid.count():
            return
        self._columns = columns
        for box in self.boxes.values():
            self.grid.removeWidget(box)
        for name, (row, column, span) in _places(columns).items():
            self.grid.addWidget(self.boxes[name], row, column, 1, span)
        self.grid.setColumnStretch(0, 3 if columns == 2 else 1)
        self.grid.setColumnStretch(1, 2 if columns == 2 else 1)
        self._stretch_rows()
        self._align_labels()

    def _stretch_rows(self) -> None:
        """The loss gets the most of what room there is, the small plots the least."""
        places = _places(self._columns)
        rows = {
            places[name][0]: 5 if name == "loss" else 3 if name in ("held_out", "rewards") else 2
            for name in self._shown()[::-1]
        }
        for row in range(self.grid.rowCount()):
            self.grid.setRowStretch(row, rows.get(row, 0))

    def _fit_readout(self) -> None:
        """The read-out takes what it needs, but leaves most of the room to the plots."""
        wanted = self.readout.heightForWidth(max(1, self.width()))
        height = min(wanted, max(5 * ROW, round(READOUT_SHARE * self.height())))
        if height != self.readout_scroller.height():
            self.readout_scroller.setFixedHeight(height)

    def _mind_the_wheel(self, least: int, most: int) -> None:
        for plot in self.plots.values():
            plot.wheel_needs_focus = most > least

    # --- export

    def _ask_where(self, kind: str) -> None:
        endings = {
            "png": self.tr("Pictures (*.png)"),
            "svg": self.tr("Drawings (*.svg)"),
            "csv": self.tr("Tables (*.csv)"),
        }
        name = self._runs[0].label if len(self._runs) == 1 else self.tr("curves")
        plain = "".join(letter if letter.isalnum() or letter in " .-_" else "-" for letter in name).strip(" .")[:80]
        path, _ = QFileDialog.getSaveFileName(self, self.tr("Export"), f"{plain or 'curves'}.{kind}", endings[kind])
        if path:
            self.export(Path(path) if Path(path).suffix else Path(path).with_suffix(f".{kind}"), kind)

    def export(self, path: Path, kind: str = "") -> None:
        """Write the plots (png, svg) or all points of their runs (csv). `exported` or `troubled` tells the end."""
        kind = kind or path.suffix.lstrip(".").lower()
        if not any(len(curves.step) for _, curves in self._curves()):
            self.troubled.emit(Trouble("There are no points yet to export.", "Wait for the first step."))
            return
        make = self._made(kind)
        in_background(self, lambda: export.save(path, make()), self.exported.emit, self.troubled.emit)

    def _made(self, kind: str) -> Callable[[], bytes]:
        """What makes the file. Pictures are drawn at once, for widgets belong to this thread."""
        if kind == "csv":
            return partial(export.table, tuple(self._curves()))
        page = self._page()
        drawn = export.png(page.size(), page.draw) if kind == "png" else export.svg(page.size(), page.title, page.draw)
        return lambda: drawn

    def _page(self) -> Page:
        headings = {name: self.boxes[name].heading() for name in self._shown()}
        headings["held_out"] = f"{self.plots['held_out'].title} · {self.metric_choice.currentText()}"
        large, small = (
            [(headings[name], self.plots[name]) for name in self._shown() if (name in LARGE) is wide]
            for wide in (True, False)
        )
        return Page(", ".join(run.label for run in self._runs), self.font(), self.readout, large, small)


def _scroller(inside: QWidget) -> QScrollArea:
    """Room for a widget as wide as itself, which scrolls where it is too low."""
    made = QScrollArea()
    made.setWidgetResizable(True)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    made.setWidget(inside)
    return made


def _shortened(text: str) -> str:
    return text if len(text) <= NAME_MOST else f"{text[: NAME_MOST // 2]}…{text[-NAME_MOST // 2 :]}"


def _places(columns: int) -> dict[PlotName, tuple[int, int, int]]:
    """Row, column and width in columns of each plot."""
    if columns == 0:
        return {
            name: (row, 0, 2)
            for row, name in enumerate(("loss", "held_out", "rewards", "speed", "memory", "rates", *MORE))
        }
    first = 1 if columns == 2 else 2
    pairs: dict[PlotName, tuple[int, int, int]] = {"rewards": (first, 0, 2)}
    pairs |= {"speed": (first + 1, 0, 1), "memory": (first + 1, 1, 1)}
    pairs |= {"rates": (first + 2, 0, 2), "lr": (first + 3, 0, 1), "grad_norm": (first + 3, 1, 1)}
    if columns == 2:
        return {"loss": (0, 0, 1), "held_out": (0, 1, 1), **pairs}
    return {"loss": (0, 0, 2), "held_out": (1, 0, 2), **pairs}


def _made_up(run: str, count: int, seed: int, *, guided: bool = True) -> Picture:
    """A picture of a run that never was, for the example below."""
    from core.state import History, State
    from desktop_app.live import Curves, EvaluationCurve, Picture

    noise = np.random.default_rng(seed)
    step = np.arange(1.0, count + 1)
    share = step / count
    ce = 1.2 + 5 * np.exp(-6 * share) + noise.normal(0, 0.12, count)
    kd = 0.1 + 3 * np.exp(-7 * share) + noise.normal(0, 0.08, count)
    kd[:: max(2, count // 5)] = math.nan
    tokens, each = step * 1024, 4.6e7
    train = {
        "ce": ce,
        "kd": kd if guided else np.full(count, math.nan),
        "total": (ce + kd) / 2 if guided else ce,
        "lr": 0.0028 * 0.5 * (1 + np.cos(np.pi * share)),
        "grad_norm": 0.4 + 0.2 * noise.random(count),
        "tokens_per_second": 8100 + noise.normal(0, 250, count),
        "memory_bytes": np.full(count, 9.1e8) + 2e7 * np.floor(4 * share),
    }
    at = step[:: max(1, count // 12)]
    fade = np.exp(-6 * at / count)
    figures = {
        "ce": 1.25 + 4.6 * fade,
        "kd": 0.12 + 2.8 * fade,
        "bits_per_byte": 0.46 + 1.7 * fade,
        "perplexity": np.exp(1.25 + 4.6 * fade),
        "agreement": 0.8 - 0.6 * fade,
    }
    checks = EvaluationCurve(at, at * 1024, at * 0.126, at * 1024 * each, figures)
    zero = np.zeros(1)
    teacher = EvaluationCurve(zero, zero, zero, zero, {"bits_per_byte": zero + 0.41, "perplexity": zero + 3.0})
    curves = Curves(
        step, tokens, step * 0.126, tokens * each, train, {"student": checks, "teacher": teacher}, (count // 3,),
        tuple(int(one) for one in at[1:]),
    )  # fmt: skip
    return Picture(run, State.RUNNING, History(), curves)


def _example() -> None:
    import sys

    from PySide6.QtWidgets import QApplication

    app = QApplication(sys.argv)
    theme.apply(app, "system")
    panel = CurvesPanel()
    panel.resize(1000, 760)
    panel.set_runs(
        [
            RunSpec("a", "stories-5M → 2M", theme.series_colour(0)),
            RunSpec("b", "alone", theme.series_colour(1), "dotted"),
        ]
    )
    panel.show()
    for at in range(1, 900):
        QTimer.singleShot(100 * at, partial(lambda at: panel.show("a", _made_up("a", 4 * at, 0)), at))
    panel.show("b", _made_up("b", 2500, 1, guided=False))
    app.exec()


if __name__ == "__main__":
    _example()
