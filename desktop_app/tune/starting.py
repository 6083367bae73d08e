"""What stands between the Tune page and a run: the words of the button, recipe files, what was dropped, and the start itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QCoreApplication

from core import runner, runs
from core.errors import BadRecipe
from core.home import Home
from core.models import scan_folder
from core.plan import beside, check_device
from core.recipe import read_recipe
from core.settle import settle_any
from core.tune import GOALS, METHODS, TuneRecipe
from desktop_app.shell.dropped import sorted_drop

translate = QCoreApplication.translate


@dataclass(frozen=True)
class Found:
    """What was dropped: models and adapters, data, perhaps a recipe; `folders` hold the models."""

    models: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    data: tuple[Path, ...] = ()
    recipe: TuneRecipe | None = None
    refused: tuple[str, ...] = field(default_factory=tuple)


def look_at(paths: Sequence[Path]) -> Found:
    """Look into what was dropped. Raises BadRecipe for a broken recipe file."""
    found = sorted_drop(paths)
    folders = [path if path.is_dir() else path.parent for path in found.models]
    models = [model for folder in folders for model in scan_folder(folder)]
    refused = [path.name for path, folder in zip(found.models, folders, strict=True) if not scan_folder(folder)]
    recipe = read(found.recipes[0]) if found.recipes else None
    return Found(tuple(models), tuple(folders), tuple(found.data), recipe, tuple(refused))


def read(path: Path) -> TuneRecipe:
    """The recipe of a file, its paths read from where the file lies. Raises BadRecipe."""
    recipe = read_recipe(path)
    if not isinstance(recipe, TuneRecipe):
        raise BadRecipe(f"{path.name} is a recipe of the kind {recipe.kind}, not tune.", "Choose another file.")
    return beside(recipe, path.parent)


def start(home: Home, recipe: TuneRecipe) -> str:
    """Check the recipe, write the run folder, enter it in the queue and see that a runner lives; the run's id."""
    settled = settle_any(recipe)
    check_device(settled.device)
    run = runs.new_run(home, settled)
    runs.enqueue(home, run)
    runner.ensure_runner(home)
    return run.id


def words(recipe: TuneRecipe) -> str:
    """What the button does: `Tune with LoRA`."""
    how = METHODS[recipe.method][0]
    if recipe.prefers:
        goal = GOALS[recipe.objective][0]
        if not recipe.adapts:
            return translate("TunePage", "Tune all weights by %s") % goal
        return translate("TunePage", "Tune with %s by %s") % (how, goal)
    return translate("TunePage", "Tune with %s") % how if recipe.adapts else translate("TunePage", "Tune all weights")
