"""What stands between the Tune page and a run: what was dropped, and the words of the button."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QCoreApplication

from core.model_folders import scan_folder
from core.settle import read_beside
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
    recipe = read_beside(found.recipes[0], TuneRecipe) if found.recipes else None
    return Found(tuple(models), tuple(folders), tuple(found.data), recipe, tuple(refused))


def words(recipe: TuneRecipe) -> str:
    """What the button does: `Tune with LoRA`."""
    how = METHODS[recipe.method][0]
    if recipe.prefers:
        goal = GOALS[recipe.objective][0]
        if not recipe.adapts:
            return translate("TunePage", "Tune all weights by %s") % goal
        return translate("TunePage", "Tune with %s by %s") % (how, goal)
    return translate("TunePage", "Tune with %s") % how if recipe.adapts else translate("TunePage", "Tune all weights")
