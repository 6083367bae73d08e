"""Which runs a cache of answers is to: those that read it now, and those that could not go on without it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.chain import ChainRecipe
from core.distill import DistillRecipe
from core.errors import Trouble
from core.home import Home
from core.runs import RunFolder, all_runs
from core.state import State


@dataclass(frozen=True)
class CacheUse:
    """Names of runs: `reading` are alive, `waiting` have named the cache in their recipe and have not finished."""

    reading: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def look_for_users(home: Home, folder: Path) -> CacheUse:
    """Reads the recipes of all runs, and the journals of those that live on caches."""
    reading, waiting = [], []
    for run in all_runs(home):
        recipe = _distillation(run)
        if recipe is None or recipe.source != "cache":
            continue
        history = run.history()
        state = run.state(history)
        named = recipe.cache is not None and Path(recipe.cache).resolve() == folder.resolve()
        chosen = history.choices.get("cache")
        here = named or (chosen is not None and Path(str(chosen.value)).resolve() == folder.resolve())
        name = str(run.meta().get("name") or run.id)
        if state.alive and here:
            reading.append(name)
        elif state is not State.FINISHED and named:
            waiting.append(name)
    return CacheUse(tuple(reading), tuple(waiting))


def _distillation(run: RunFolder) -> DistillRecipe | None:
    try:
        recipe = run.recipe()
    except Trouble:
        return None
    recipe = recipe.of if isinstance(recipe, ChainRecipe) else recipe
    return recipe if isinstance(recipe, DistillRecipe) else None
