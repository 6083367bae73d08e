"""Evaluations are checked, made and queued here, off the window's thread; and what like ones took before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core import runner, runs
from core.errors import Trouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.recipe import Problem
from core.run_summary import RunSummary
from core.runs import RunFolder
from core.state import State
from core.subjects import AT, checkpoint_steps, resolve_subject

ASKED = (
    "data",
    "teacher",
    "skills",
    "most_tokens",
    "tasks",
    "few_shot",
    "limit",
    "minimal_pairs",
    "calibration",
    "written",
    "speed",
)


@dataclass(frozen=True)
class Like:
    """The last evaluation that asked for the same: seconds it took, and the parameters of its model."""

    seconds: float
    parameters: int | None


def begin(home: Home, recipe: EvaluateRecipe, words: Sequence[str]) -> list[str]:
    """A run for each subject (`core.subjects`), queued in this order; their ids. Troubles before the first is made."""
    checked = [recipe.model_copy(update={"model": str(resolve_subject(home, word))}).check() for word in words]
    made = [runs.new_run(home, one) for one in checked]
    for run in made:
        runs.enqueue(home, run)
    runner.ensure_runner(home)
    return [run.id for run in made]


def problems_of(home: Home, recipe: EvaluateRecipe) -> list[Problem]:
    """What is wrong with all but the model, which is picked from those that are there."""
    return [
        problem
        for problem in recipe.model_copy(update={"model": str(home.root)}).problems()
        if problem.field != "model"
    ]


def like(home: Home, recipe: EvaluateRecipe, rows: Sequence[RunSummary]) -> Like | None:
    """What an evaluation like this took here last, if there was one."""
    wanted = {name: getattr(recipe, name) for name in ASKED}
    for row in reversed(rows):
        if row.kind != "evaluate" or row.state != State.FINISHED or row.started is None or row.updated is None:
            continue
        try:
            run = RunFolder(home.runs / row.id)
            before = run.recipe()
        except Trouble:
            continue
        if isinstance(before, EvaluateRecipe) and all(getattr(before, name) == value for name, value in wanted.items()):
            counted = run.history().results.get("parameters")
            return Like(row.updated - row.started, counted if isinstance(counted, int) else None)
    return None


def with_checkpoints(home: Home, rows: Sequence[RunSummary]) -> dict[str, int]:
    """The step of the last checkpoint of each distillation that has one and no finished model yet."""
    found = {}
    for row in rows:
        if row.kind == "distill" and row.model is None and (steps := checkpoint_steps(RunFolder(home.runs / row.id))):
            found[row.id] = steps[-1]
    return found


def run_of(word: str) -> str:
    """The run of a checkpoint's word; other words as they are."""
    return word.rpartition(AT)[0] if word.endswith(f"{AT}last") else word
