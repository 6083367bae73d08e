"""What a run's folder tells besides its journal: the recipe, what lies on disk, the student. Read off the window's thread."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.distill import DistillRecipe
from core.errors import Trouble
from core.files import read_json
from core.home import Home
from core.recipe import Recipe
from core.runs import RunFolder


@dataclass(frozen=True)
class Dossier:
    """`recipe` is None where it can't be read, and `trouble` says why; `raw` is then whatever JSON is there."""

    run: str
    folder: Path
    recipe: Recipe | None = None
    trouble: str = ""
    raw: Any = None
    sizes: dict[str, int] = field(default_factory=dict)  # bytes, by part of the folder
    student: Path | None = None


def read_dossier(run: RunFolder) -> Dossier:
    recipe, trouble, raw = None, "", None
    try:
        recipe = run.recipe()
    except Trouble as error:
        trouble = str(error)
        with contextlib.suppress(OSError, ValueError):
            raw = read_json(run.recipe_file)
    student = run.artifacts / "student"
    return Dossier(
        run=run.id,
        folder=run.path,
        recipe=recipe,
        trouble=trouble,
        raw=raw,
        sizes={name: size for name, size in _sizes(run).items() if size},
        student=student if student.is_dir() else None,
    )


def _sizes(run: RunFolder) -> dict[str, int]:
    parts = {
        "checkpoints": RunFolder(run.checkpoints).size_bytes(),
        "student": RunFolder(run.artifacts).size_bytes(),
        "tokens": RunFolder(run.path / "tokens").size_bytes(),
    }
    everything = run.size_bytes()
    return {**parts, "records": max(0, everything - sum(parts.values())), "all": everything}


def guided_ones(home: Home, runs: Sequence[str]) -> dict[str, bool]:
    """Which of these runs a teacher guides. One whose recipe can't be read counts as guided."""
    found = {}
    for run in runs:
        try:
            recipe = RunFolder(home.runs / run).recipe()
        except Trouble:
            found[run] = True
        else:
            found[run] = recipe.guided if isinstance(recipe, DistillRecipe) else True
    return found
