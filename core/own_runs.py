"""The law refitted to the user's own finished runs: what they say about the best teacher for a student.

A run counts by the end of its journal alone, so that a plan stays quick however many there are.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from core import law
from core.distill import DistillRecipe
from core.errors import Trouble
from core.events import RunFinished
from core.home import Home
from core.journal import last_event
from core.runs import RunFolder, all_runs

PILOT = "pilot-"  # begins the tag that the runs of a pilot share
COUNTS = "law"  # the tag with which they count here, though their budget is short

Point = tuple[float, float, float]  # student parameters, teacher parameters, held-out bits per byte


@dataclass(frozen=True)
class OwnLaw:
    """The refit, or None with what it lacks; `runs` are those that it rests on."""

    runs: int
    refit: law.Refit | None
    sentence: str


def own_law(home: Home) -> OwnLaw:
    """`core.law.refit` of the finished guided runs on the text that most of them share.

    Left out are runs that can't be read, and those of a pilot that was not told to count.
    """
    by_text: dict[tuple[str, ...], list[Point]] = defaultdict(list)
    for run in all_runs(home):
        if (found := _point(run)) is not None:
            by_text[found[0]].append(found[1])
    points = max(by_text.values(), key=len, default=[])
    runs = f"{len(points)} finished run{'' if len(points) == 1 else 's'} of your own on the same text"
    try:
        fitted = law.refit(points)
    except Trouble as trouble:
        return OwnLaw(len(points), None, f"{runs}. {trouble}")
    return OwnLaw(len(points), fitted, f"{runs}. {fitted.sentence}")


def _point(run: RunFolder) -> tuple[tuple[str, ...], Point] | None:
    """The text and the outcome of a finished run with a teacher's guidance."""
    try:
        end = last_event(run.journal)
        if not isinstance(end, RunFinished):
            return None
        recipe = run.recipe()
        tags = run.meta().get("tags") or []
    except (OSError, Trouble):
        return None
    if not isinstance(recipe, DistillRecipe) or not recipe.guided:
        return None
    if COUNTS not in tags and any(str(tag).startswith(PILOT) for tag in tags):
        return None
    after = end.results.get("after")
    told = (
        end.results.get("parameters"),
        end.results.get("teacher_parameters"),
        after.get("bits_per_byte") if isinstance(after, dict) else None,
    )
    numbers = [float(value) for value in told if isinstance(value, int | float) and value > 0]
    return (recipe.data, (numbers[0], numbers[1], numbers[2])) if len(numbers) == len(told) else None
