"""The surveys of a data set: found among the runs, and started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import runner
from core.data.files import data_files
from core.errors import Trouble
from core.files import read_json
from core.home import Home
from core.recipe import Recipe
from core.run_summary import RunSummary
from core.runs import RunFolder
from core.state import State
from core.survey import RESULT, SurveyRecipe


@dataclass(frozen=True)
class Survey:
    """One that has finished. `older` is True where the data have changed since."""

    run: str
    recipe: SurveyRecipe
    results: dict[str, Any] = field(default_factory=dict)
    made: float | None = None
    older: bool = False


@dataclass(frozen=True)
class Surveys:
    """The newest run on this data, whatever became of it, and the newest that has finished."""

    path: Path
    newest: RunSummary | None = None
    finished: Survey | None = None


def find_surveys(home: Home, path: Path, rows: Sequence[RunSummary]) -> Surveys:
    """`rows` are the runs of the kind survey, oldest first."""
    newest: RunSummary | None = None
    for row in reversed(rows):
        recipe = _recipe_on(home, row.id, path)
        if recipe is None:
            continue
        newest = newest or row
        if row.state == State.FINISHED and (results := _results(home, row.id)):
            made = row.updated or row.created
            return Surveys(path, newest, Survey(row.id, recipe, results, made, _changed_since(path, row.created)))
    return Surveys(path, newest)


def _recipe_on(home: Home, run: str, path: Path) -> SurveyRecipe | None:
    try:
        recipe = RunFolder(home.runs / run).recipe()
    except Trouble:
        return None
    fits = isinstance(recipe, SurveyRecipe) and recipe.data == (str(path),)
    return recipe if fits and isinstance(recipe, SurveyRecipe) else None


def _results(home: Home, run: str) -> dict[str, Any]:
    try:
        read = read_json(RunFolder(home.runs / run).artifacts / RESULT)
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _changed_since(path: Path, then: float | None) -> bool:
    try:
        return then is not None and any(file.stat().st_mtime > then for file in data_files([str(path)]))
    except (Trouble, OSError):
        return False


def start(home: Home, recipe: Recipe) -> str:
    """Write the run folder, enter it in the queue and see that a runner lives; the run's id. BadRecipe with what is wrong."""
    return runner.start(home, recipe.check()).id
