"""What the plots draw: lines made of the points of runs, thinned for the screen so that no peak is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from desktop_app.charts.smoothing import ema
from desktop_app.charts.ticks import Unit, XKind

if TYPE_CHECKING:
    from desktop_app.live import Curves, EvaluationCurve

Array = np.ndarray[Any, np.dtype[np.float64]]
PlotName = Literal["loss", "held_out", "speed", "memory", "rewards", "rates", "lr", "grad_norm"]
Metric = Literal["bits_per_byte", "perplexity", "agreement", "margin", "accuracy", "loss"]
Dash = Literal["solid", "dashed", "dotted", "dashdot"]

PARTS: Final = ("total", "ce", "kd")
RATES: Final = ("generated", "balance", "accuracy")  # shares and factors, in a plot of their own
REWARDS: Final = (
    "margin",
    "chosen",
    "rejected",
)  # of preferences, in a plot of their own: how far apart two answers are held
OF_PAIRS: Final = ("margin", "accuracy", "loss")  # held-out figures of preferences
LABELS_MOST: Final = 5  # lines that are labelled at their ends; more of them have a legend
TRAIN: Final[dict[PlotName, str]] = {
    "speed": "tokens_per_second",
    "memory": "memory_bytes",
    "lr": "lr",
    "grad_norm": "grad_norm",
}
EXACT: Final = ("lr", "memory", "balance")  # no noise to smooth away
UNITS: Final[dict[str, Unit]] = {
    "loss": "number",
    "bits_per_byte": "number",
    "perplexity": "number",
    "agreement": "share",
    "margin": "number",
    "accuracy": "share",
    "rewards": "number",
    "speed": "count",
    "memory": "bytes",
    "rates": "number",
    "lr": "power",
    "grad_norm": "power",
}


@dataclass(frozen=True)
class RunSpec:
    """A run to draw. `colour` is a hex colour of the theme's series (it follows the theme); a control run is dotted."""

    id: str
    label: str
    colour: str
    style: Dash = "solid"


@dataclass(frozen=True)
class Choices:
    """What the user chose to see."""

    x: XKind = "step"
    part: str = "total"  # of the loss, of several runs
    off: frozenset[str] = frozenset()  # parts of the loss of one run that are not drawn
    rates: tuple[str, ...] = ()  # of RATES, those that the runs have
    metric: Metric = "bits_per_byte"
    smoothing: float = 0.6
    log: bool = False


@dataclass(frozen=True, eq=False)  # one is the same only as itself: comparing all points would cost too much
class Line:
    """One line of a plot: `x` rises, `y` is NaN where a value is absent; `smooth` goes over it where it is smoothed."""

    run: str
    name: str  # "ce", "held-out ce" …
    label: str
    x: Array
    y: Array
    colour: str
    dash: Dash = "solid"
    smooth: Array | None = None
    dots: bool = False  # few points, each of them shown
    labelled: bool = True  # at its end, if there are few enough

    @property
    def shown(self) -> Array:
        return self.y if self.smooth is None else self.smooth

    def gaps(self, *, log: bool) -> Array:
        """The x of the points that can't be drawn: absent, or not above zero on a logarithmic axis."""
        missing = ~np.isfinite(self.y)
        if log:
            missing |= self.y <= 0
        return self.x[missing]

    def at(self, x: float, reach: float) -> int | None:
        """The number of the nearest point, unless the line ended more than `reach` before `x` or begins after it."""
        if not len(self.x) or x > self.x[-1] + reach or x < self.x[0] - reach:
            return None
        right = min(int(np.searchsorted(self.x, x)), len(self.x) - 1)
        left = max(0, right - 1)
        return left if x - self.x[left] <= self.x[right] - x else right

    def last(self) -> float | None:
        """The newest value there is."""
        there = np.flatnonzero(np.isfinite(self.y[-4096:]))
        return float(self.y[-4096:][there[-1]]) if len(there) else None


@dataclass(frozen=True)
class Level:
    """A value that holds for all x: a teacher's."""

    label: str
    value: float


@dataclass(frozen=True)
class Marks:
    """Small marks on the x axis."""

    checkpoints: tuple[float, ...] = ()
    resumed: tuple[tuple[float, str], ...] = ()  # x, and the colour of the run or nothing
    borders: tuple[
        tuple[float, str, str], ...
    ] = ()  # of a chain's links: x, name, and the colour of the run or nothing


@dataclass(frozen=True)
class Drawing:
    """What one plot shows of some runs."""

    lines: tuple[Line, ...] = ()
    levels: tuple[Level, ...] = ()
    marks: Marks = field(default_factory=Marks)


def told_apart(runs: Iterable[RunSpec]) -> tuple[RunSpec, ...]:
    """The same runs, dashed where their colour is taken: the series begins again after its last colour."""
    taken: set[tuple[str, Dash]] = set()
    apart = []
    for run in runs:
        others: tuple[Dash, ...] = ("dashdot",) if run.style == "dotted" else ("dashed", "dashdot")
        free = [dash for dash in (run.style, *others) if (run.colour, dash) not in taken]
        apart.append(replace(run, style=free[0] if free else run.style))
        taken.add((run.colour, apart[-1].style))
    return tuple(apart)


def x_of(curve: Curves | EvaluationCurve, kind: XKind) -> Array | None:
    return {"step": curve.step, "tokens": curve.tokens, "seconds": curve.seconds, "flops": curve.flops}[kind]


def lines_of(
    plot: PlotName, run: RunSpec, curves: Curves, choices: Choices, words: Mapping[str, str], *, alone: bool
) -> tuple[Line, ...]:
    """The lines of one run in one plot. `alone`: it is the only run, so its parts are told apart by colour.

    `words` are the names of the parts: total, ce, kd, held_out_total … and student.
    """
    if plot == "loss":
        return _losses(run, curves, choices, words, alone=alone)
    if plot == "held_out":
        return _figures(run, curves, choices, words, alone=alone)
    if plot == "rates":
        return _rates(run, curves, choices, words, alone=alone)
    if plot == "rewards":
        return _rewards(run, curves, choices, words, alone=alone)
    y = curves.train.get(TRAIN[plot])
    return _train(run, plot, words[plot] if alone else run.label, curves, y, choices, run.colour)


def parts_of(curves: Curves) -> tuple[str, ...]:
    """The parts of the loss that the run has: total, ce, kd, then what else its engine named."""
    others = {*TRAIN.values(), *RATES, *REWARDS, *PARTS}
    named = (*PARTS, *(name for name in curves.train if name not in others))
    return tuple(name for name in named if name in curves.train and np.isfinite(curves.train[name]).any())


def rates_of(curves: Curves) -> tuple[str, ...]:
    """Of RATES, those that the run has."""
    return tuple(name for name in RATES if name in curves.train and np.isfinite(curves.train[name]).any())


def has_rewards(curves: Curves) -> bool:
    """Whether the run prefers one answer to another."""
    return "margin" in curves.train and bool(np.isfinite(curves.train["margin"]).any())


def _losses(
    run: RunSpec, curves: Curves, choices: Choices, words: Mapping[str, str], *, alone: bool
) -> tuple[Line, ...]:
    lines: list[Line] = []
    checks = curves.evaluations.get("student")
    found = parts_of(curves)
    numbers = {part: number for number, part in enumerate(dict.fromkeys((*PARTS, *found)))}
    for part in [part for part in found if part not in choices.off] if alone else (choices.part,):
        colour = f"series {numbers[part]}" if alone and numbers[part] else run.colour
        label = words.get(part, part_word(part)) if alone else run.label
        trained = _train(run, part, label, curves, curves.train.get(part), choices, colour)
        lines.extend(trained)
        if checks is not None and part in checks.metrics:
            label = words.get(f"held_out_{part}", label) if alone else run.label
            made = _checks(run, f"held_out_{part}", label, checks, checks.metrics[part], choices, colour)
            lines.extend(made if alone or not trained else [_unlabelled(line) for line in made])
    if alone and len(lines) > LABELS_MOST:  # the dots of an evaluation lie on the line of its part, in its colour
        return tuple(_unlabelled(line) if line.dots else line for line in lines)
    return tuple(lines)


def part_word(part: str) -> str:
    """A part of the loss that this version has no word for."""
    return part[:1].upper() + part[1:].replace("_", " ")


def _rates(
    run: RunSpec, curves: Curves, choices: Choices, words: Mapping[str, str], *, alone: bool
) -> tuple[Line, ...]:
    lines: list[Line] = []
    for number, name in enumerate(choices.rates):
        colour = f"series {number}" if alone and number else run.colour
        label = words[name] if alone else run.label
        lines.extend(_train(run, name, label, curves, curves.train.get(name), choices, colour))
    return tuple(lines)


def _rewards(
    run: RunSpec, curves: Curves, choices: Choices, words: Mapping[str, str], *, alone: bool
) -> tuple[Line, ...]:
    """Of one run the margin and the two rewards that it parts, of several the margin of each; held out as dots on its line."""
    lines: list[Line] = []
    checks = curves.evaluations.get("student")
    for number, name in enumerate(REWARDS if alone else REWARDS[:1]):
        colour = f"series {number}" if alone and number else run.colour
        label = words[name] if alone else run.label
        lines.extend(_train(run, name, label, curves, curves.train.get(name), choices, colour))
        if number == 0 and checks is not None and name in checks.metrics:
            made = _checks(
                run, f"held_out_{name}", words[f"held_out_{name}"], checks, checks.metrics[name], choices, colour
            )
            lines.extend(made if alone else [_unlabelled(line) for line in made])
    return tuple(lines)


def _figures(
    run: RunSpec, curves: Curves, choices: Choices, words: Mapping[str, str], *, alone: bool
) -> tuple[Line, ...]:
    checks = curves.evaluations.get("student")
    if checks is None or choices.metric not in checks.metrics:
        return ()
    label = words["student"] if alone else run.label
    return _checks(run, choices.metric, label, checks, checks.metrics[choices.metric], choices, run.colour)


def levels_of(curves: Curves, choices: Choices, word: str) -> tuple[Level, ...]:
    """The teacher's figure, measured before the training."""
    checks = curves.evaluations.get("teacher")
    values = checks.metrics.get(choices.metric) if checks is not None else None
    if values is None:
        return ()
    there = values[np.isfinite(values)]
    return (Level(word, float(there[-1])),) if len(there) else ()


def marks_of(run: RunSpec, curves: Curves, kind: XKind, *, alone: bool, link: str = "%d: %s") -> Marks:
    """Where the run saved, was taken up again, and, in a chain, came to its next link.

    Of several runs, only the latter two, in their colours. `link` says the number and the name of a link.
    """
    x = x_of(curves, kind)
    if x is None or not len(x):
        return Marks()

    def places(steps: Sequence[int]) -> list[float]:
        return [float(place) for place in np.interp(steps, curves.step, x)] if steps else []

    colour = "" if alone else run.colour
    names = [link % (border.number, border.name.partition("-")[2] or border.name) for border in curves.borders]
    at = [0.0 if not border.step else place for border, place in zip(curves.borders, places([b.step for b in curves.borders]), strict=True)]  # fmt: skip
    return Marks(
        tuple(places(curves.checkpoints)) if alone else (),
        tuple((x, colour) for x in places(curves.resumed_at)),
        tuple((x, name if alone else "", colour) for x, name in zip(at, names, strict=True)),
    )


def _train(
    run: RunSpec, name: str, label: str, curves: Curves, y: Array | None, choices: Choices, colour: str
) -> tuple[Line, ...]:
    x = x_of(curves, choices.x)
    if x is None or y is None or not np.isfinite(y).any():
        return ()
    smooth = _smoothed(y, curves, choices.smoothing) if choices.smoothing > 0 and name not in EXACT and len(y) > 2 else None  # fmt: skip
    return (Line(run.id, name, label, x, y, colour, run.style, smooth),)


def _smoothed(y: Array, curves: Curves, weight: float) -> Array:
    """Each link of a chain by itself: its losses are those of another student."""
    if len(curves.borders) < 2:
        return ema(y, weight)
    cuts = np.searchsorted(curves.step, [border.step for border in curves.borders[1:]], side="right")
    return np.concatenate([ema(part, weight) for part in np.split(y, cuts)])


def _checks(
    run: RunSpec, name: str, label: str, checks: EvaluationCurve, y: Array, choices: Choices, colour: str
) -> tuple[Line, ...]:
    x = x_of(checks, choices.x)
    if x is None or not np.isfinite(y).any():
        return ()
    return (Line(run.id, name, label, x, y, colour, run.style, dots=True),)


def _unlabelled(line: Line) -> Line:
    return Line(line.run, line.name, line.label, line.x, line.y, line.colour, line.dash, dots=True, labelled=False)


def visible(x: Array, low: float, high: float) -> slice:
    """The points in [low, high] and one more on each side, so that lines leave the plot where they should."""
    first, last = int(np.searchsorted(x, low)), int(np.searchsorted(x, high, side="right"))
    return slice(max(0, first - 1), min(len(x), last + 1))


def extent(x: Array, y: Array, low: float, high: float, *, log: bool) -> tuple[float, float] | None:
    """The smallest and the largest value that can be drawn in [low, high]; None if there is none."""
    seen = y[visible(x, low, high)]
    if log:
        seen = seen[seen > 0]
    if not len(seen):
        return None
    least, most = float(np.fmin.reduce(seen)), float(np.fmax.reduce(seen))
    return (least, most) if np.isfinite(least) and np.isfinite(most) else None


def thinned(x: Array, y: Array, low: float, high: float, columns: int) -> tuple[Array, Array]:
    """At most two points for each of `columns` columns of pixels in [low, high]: the lowest and the highest.

    Few points come back as they are. A column of absent values only keeps one of them, so that its gap is drawn.
    """
    part = visible(x, low, high)
    x, y = x[part], y[part]
    if len(x) <= 2 * columns or not high > low:
        return x, y
    edges = np.searchsorted(x, np.linspace(low, high, columns + 1)[1:-1])
    starts = np.concatenate(([0], edges))
    filled = np.diff(np.concatenate((starts, [len(x)]))) > 0
    starts = starts[filled]
    lowest, highest = np.fmin.reduceat(y, starts), np.fmax.reduceat(y, starts)
    middles = np.repeat(low + (np.flatnonzero(filled) + 0.5) * ((high - low) / columns), 2).astype(np.float64)
    pairs: Array = np.stack((lowest, highest), axis=1).astype(np.float64, copy=False)
    pairs[1::2] = pairs[1::2, ::-1]  # up one column and down the next, so that the strokes between them are short
    return middles, pairs.ravel()
