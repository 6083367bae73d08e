"""A pilot before it starts: who can be tried, on what budget, how long all of it takes, and the start itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core import runner, runs
from core.errors import BadRecipe, Trouble
from core.home import Home
from core.models import ModelEntry
from core.pilot import FEWEST, Field, make_pilot
from core.plan import check_device, parse_target, plan
from desktop_app.plan.draft import Draft
from desktop_app.plan.options import source_changes


@dataclass(frozen=True)
class Reckoned:
    """What the runs of a pilot take, one after another; `problems` by value where one can't be run."""

    seconds: float
    band: tuple[float, float]
    problems: dict[str, str]


def tried(draft: Draft, field: Field, value: str, student: int) -> Draft:
    """The draft of one run. Every teacher has the student of the first, so a share becomes its size."""
    if field == "source":
        return draft.changed(source_changes(value))
    if field == "objective":
        return draft.changed({"objective": value})
    alone = draft.changed({"teacher": value, "shape": None, "more_teachers": (), "teacher_weights": ()})
    return alone.changed({"student": str(student)}) if draft.kind == "share" else alone


def reckon(
    home: Home,
    draft: Draft,
    student: int,
    field: Field,
    values: Sequence[str],
    tokens: int,
    at_hand: Sequence[ModelEntry],
) -> Reckoned:
    """Plan every run of the pilot; slow, so it is done off the window's thread."""
    seconds, low, high = 0.0, 0.0, 0.0
    problems: dict[str, str] = {}
    for value in values:
        one = tried(draft, field, value, student)
        try:
            made = plan(
                home,
                parse_target(one.student),
                None if one.teacher is None else Path(one.teacher),
                init=one.init,
                tokens=tokens,
                data=one.data,
                device=one.device,
                at_hand=at_hand,
                shape=one.shape,
                **one.settings(),
            )
            found = [*made.problems, *one.recipe(tokens).model_copy(update={"init": made.init}).problems()]
        except Trouble as trouble:
            problems[value] = str(trouble)
            continue
        if found:
            problems[value] = found[0].text
        seconds += made.estimate.seconds
        low, high = low + made.estimate.seconds_band[0], high + made.estimate.seconds_band[1]
    return Reckoned(seconds, (low, high), problems)


def start(home: Home, draft: Draft, field: Field, values: Sequence[str], tokens: int) -> list[str]:
    """Make the runs, enter them in the queue and see that a runner lives; their ids."""
    if len(values) < FEWEST:
        raise BadRecipe("A pilot compares.", f"Choose {FEWEST} or more to try.")
    recipe = draft.changed({"more_teachers": (), "teacher_weights": ()} if field == "teacher" else {}).recipe(tokens)
    check_device(recipe.device)
    made = make_pilot(home, recipe, field, values, tokens)
    for run in made:
        runs.enqueue(home, run)
    runner.ensure_runner(home)
    return [run.id for run in made]
