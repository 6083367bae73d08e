"""A radar of scores: axes in a fixed order, on a scale that does not change when another model is added.

Three scales. *Raw*: the figure itself, from 0 to 1. *Chance*: what guessing scores is 0. *Retention*: the figure over that of a
reference, a student's teacher mostly. Never the smallest and largest of the models shown, which would make any difference look large.
Where lower is better, the axis is turned round in the way that `turned` says. What was not measured, or has no place on a scale, is a gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from core.benchmarks import BENCHMARKS, chance_of, group_of, higher_is_better, known
from core.scores import Score

Scale: TypeAlias = Literal["raw", "chance", "retention"]
SCALES: tuple[Scale, ...] = get_args(Scale)
LEAST_AXES = 3
MOST_AXES = 12  # of those that nobody chose
MOST_MODELS = 5  # more on one radar can't be told apart
Column: TypeAlias = tuple[str, str, str]

SCALE_WORDS: dict[Scale, str] = {
    "raw": "The figures as they are, from 0 to 1.",
    "chance": "What guessing scores is 0, everything right is 1: (score − chance) / (1 − chance).",
    "retention": "Each figure over that of {reference}: 1 is as good as it.",
}


@dataclass(frozen=True, slots=True)
class Axis:
    """One figure. `chance` is what guessing scores, None if nobody knows."""

    column: Column
    title: str
    chance: float | None
    higher_is_better: bool

    @property
    def turned(self) -> str:
        """How a figure of which less is better becomes one of which more is better; empty for others."""
        metric = self.column[1]
        if self.higher_is_better:
            return ""
        formulas = {"bits_per_byte": "2^−x, a byte's probability", "perplexity": "1/x, a token's probability"}
        bounded = metric in ("ece", "repetition")
        return formulas.get(
            metric, "1 − x" if bounded else "e^−x, a token's probability" if metric in ("ce", "kd") else ""
        )


@dataclass(frozen=True, slots=True)
class Spoke:
    """A model on an axis. `radius` is 1 at the rim; it may be larger (better than the reference) or below 0 (worse than guessing).
    None is a gap, and `why` says the reason.
    """

    radius: float | None
    score: Score | None
    why: str = ""


def axes_of(scores: Iterable[Score], wanted: Sequence[str] = ()) -> list[Axis]:
    """An axis for each quoted figure of the tasks wanted, in their order. Without any, known benchmarks first, in their usual order, then by
    name: at most MOST_AXES, those that most models have; no speed, and no single tasks of a group that is there as a whole.

    A task that was measured in several ways has one axis, for the way that most models were measured in; the last such, if there are several.
    """
    counts: dict[Column, int] = {}
    for score in scores:
        if score.quoted and (not wanted or score.task in wanted):
            counts[score.column] = counts.pop(score.column, 0) + 1
    of_task: dict[tuple[str, str], Column] = {}
    for column, count in counts.items():
        before = of_task.get(column[:2])
        if before is None or count >= counts[before]:
            of_task[column[:2]] = column
    chosen = list(of_task.values())
    if not wanted:
        tasks = {task for task, _, _ in chosen}
        chosen = [column for column in chosen if column[0] != "speed" and group_of(column[0]) not in tasks]
        chosen = sorted(chosen, key=lambda column: (-counts[column], _place(column, BENCHMARKS)))[:MOST_AXES]
    return [axis_of(column) for column in sorted(chosen, key=lambda column: _place(column, wanted or BENCHMARKS))]


def _place(column: Column, order: Iterable[str]) -> tuple[int, Column]:
    known_first = list(order)
    return (known_first.index(column[0]) if column[0] in known_first else len(known_first), column)


def task_title(task: str) -> str:
    facts = known(task) if task in BENCHMARKS else None
    return facts.title if facts is not None else task.replace("_", " ")


def figure_title(column: Column) -> str:
    """The task and the metric; of text the metric alone."""
    task, metric, _ = column
    plain = metric.replace("_", " ")
    return plain if task == "text" else f"{task_title(task)} · {plain}"


def axis_of(column: Column) -> Axis:
    task, metric, _ = column
    title = figure_title(column) if task == "text" else task_title(task)
    return Axis(column, title, chance_of(task, metric), higher_is_better(metric))


def spokes(
    axes: Sequence[Axis], scores: Mapping[Column, Score], scale: Scale, reference: Mapping[Column, Score] | None = None
) -> list[Spoke]:
    """Where one model stands on every axis."""
    return [_spoke(axis, scores.get(axis.column), scale, (reference or {}).get(axis.column)) for axis in axes]


def _spoke(axis: Axis, score: Score | None, scale: Scale, reference: Score | None) -> Spoke:
    if score is None:
        return Spoke(None, None, "not measured")
    if scale == "retention":
        return _retained(axis, score, reference)
    radius = score.value if axis.higher_is_better else turned_round(axis.column[1], score.value)
    if radius is None or not 0 <= radius <= 1:
        return Spoke(None, score, "it has no natural end; choose retention")
    if scale == "raw":
        return Spoke(radius, score)
    if axis.chance is None:
        return Spoke(None, score, "nobody knows what guessing scores")
    return Spoke((radius - axis.chance) / (1 - axis.chance), score)


def _retained(axis: Axis, score: Score, reference: Score | None) -> Spoke:
    if reference is None:
        return Spoke(None, score, "the reference was not measured")
    over, under = (score.value, reference.value) if axis.higher_is_better else (reference.value, score.value)
    if under <= 0:
        return Spoke(None, score, "the reference scores nothing")
    return Spoke(over / under, score)


def turned_round(metric: str, value: float) -> float | None:
    """A figure of which less is better, as one from 0 to 1 of which more is better; None where there is no natural one.

    Cross-entropies become the geometric mean of the probability of what came: e^−ce a token, 2^−bits a byte.
    """
    if metric in ("ce", "kd"):
        return math.exp(-value)
    if metric == "bits_per_byte":
        return float(2.0**-value)
    if metric.endswith("perplexity"):
        return 1 / value if value >= 1 else None
    return 1 - value if metric in ("ece", "repetition") else None


def words_for(scale: Scale, reference: str = "the reference") -> str:
    return SCALE_WORDS[scale].format(reference=reference)
