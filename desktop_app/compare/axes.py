"""Which figures stand on the radar: those that are quoted and have a place on the scale, groups rather than their members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.benchmarks import BENCHMARKS, known
from core.compare import Comparison, Entry
from core.radar import Axis, Column, Scale, Spoke, axes_of, axis_of, spokes, task_title
from core.scores import Score
from desktop_app.charts.radar import RadarLine
from desktop_app.compare.reading import Going

MOST_AXES = 12  # more labels than that touch each other

New = Mapping[tuple[int, Column], Score]  # by entry and column


@dataclass(frozen=True)
class Shown:
    """What the radar draws. `left_out` are figures that have no place on this scale, by title."""

    axes: tuple[Axis, ...]
    lines: tuple[RadarLine, ...]
    pending: tuple[str, ...]
    left_out: tuple[str, ...]


def offered(comparison: Comparison, new: New) -> list[Axis]:
    """All figures that can be axes, in their fixed order."""
    every = [score for entry in comparison.entries for score in entry.scores.values()]
    there = {score.column for score in every}
    axes = axes_of(every)
    axes += [axis_of(column) for column in dict.fromkeys(column for _, column in new) if column not in there]
    return told_apart(axes)


def told_apart(axes: Sequence[Axis]) -> list[Axis]:
    """Two versions of a figure say which they are; two metrics of a task, which metric."""
    titles = Counter(axis.title for axis in axes)
    metrics = Counter((axis.title, axis.column[1]) for axis in axes)
    made = []
    for axis in axes:
        title, metric = axis.title, axis.column[1].replace("_", " ")
        if titles[title] > 1:
            title += f" ({axis.column[2] or metric})" if metrics[title, axis.column[1]] > 1 else f" ({metric})"
        made.append(replace(axis, title=title))
    return made


def usual(axes: Sequence[Axis], entries: Sequence[Entry]) -> list[Axis]:
    """The axes that are drawn unless others are chosen: no members of a group that is there, and those that most models have first."""
    tasks = {axis.column[0] for axis in axes}
    groups = {task for task in tasks if task in BENCHMARKS}
    kept = [axis for axis in axes if not (axis.column[0] not in BENCHMARKS and _group(axis.column[0]) in groups)]
    if len(kept) <= MOST_AXES:
        return kept
    shared = sorted(kept, key=lambda axis: -sum(axis.column in entry.scores for entry in entries))[:MOST_AXES]
    return [axis for axis in kept if axis in shared]


def _group(task: str) -> str | None:
    facts = known(task)
    return next((name for name, each in BENCHMARKS.items() if each is facts), None)


def shown(
    axes: Sequence[Axis],
    comparison: Comparison,
    scale: Scale,
    colours: Sequence[tuple[int, str]],
    visible: Iterable[int],
    new: New,
    going: Sequence[Going],
) -> Shown:
    """`colours` are each entry's mark and colour, `visible` the places of the entries that are drawn."""
    places = list(visible)
    reference = comparison.reference_scores()
    rows: dict[int, list[Spoke]] = {}
    for place in places:
        own = dict(comparison.entries[place].scores)
        own |= {column: score for (at, column), score in new.items() if at == place}
        rows[place] = spokes(axes, own, scale, reference)
    on_scale = [at for at in range(len(axes)) if any(rows[place][at].radius is not None for place in places)]
    left_out = [
        axes[at].title for at in range(len(axes)) if at not in on_scale and any(rows[p][at].score for p in places)
    ]
    lines = []
    for place in places:
        entry, (number, colour) = comparison.entries[place], colours[place]
        hollow = {i for i, at in enumerate(on_scale) if (place, axes[at].column) in new}
        lines.append(
            RadarLine(
                entry.word, entry.name, colour, number, tuple(rows[place][at] for at in on_scale), frozenset(hollow)
            )
        )
    drawn = tuple(axes[at] for at in on_scale)
    return Shown(drawn, tuple(lines), pending_of(going, axes), tuple(left_out))


def pending_of(going: Sequence[Going], axes: Sequence[Axis]) -> tuple[str, ...]:
    """The parts of evaluations that go on for which no model has a figure yet."""
    there = {axis.column[0] for axis in axes}
    parts = dict.fromkeys(part for one in going for part in one.parts)
    return tuple(task_title(part) for part in parts if part not in there)


def place_new(comparison: Comparison, going: Sequence[Going], told: Mapping[str, Mapping[Column, Score]]) -> New:
    """The figures that evaluations have told so far (by run), where they say more than what is there."""
    places = {entry.word: (at, entry) for at, entry in enumerate(comparison.entries)}
    found: dict[tuple[int, Column], Score] = {}
    for one in going:
        if one.word in places:
            at, entry = places[one.word]
            found |= {
                (at, column): told[one.run][column] for column in told.get(one.run, {}) if one.adds(entry, column)
            }
    return found
