"""What a run's folder tells besides its journal: the recipe, what lies on disk, the student. Read off the window's thread."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.adapters import Adapter, read_adapter, trouble_with_base
from core.cache import CacheInfo, cache_info
from core.distill import DistillRecipe
from core.errors import Trouble
from core.files import read_json
from core.home import Home
from core.recipe import Recipe
from core.runs import RunFolder
from core.watch import WatchedRecipe
from core.watched import Point, points_of
from core.write import WriteRecipe

PREVIEW_ROWS, PREVIEW_BYTES = 100, 1_000_000  # of a file that a teacher wrote


@dataclass(frozen=True)
class WrittenRow:
    """What a teacher wrote after a prompt; `dropped` says why it is not kept."""

    prompt: str
    completion: str
    dropped: str = ""


@dataclass(frozen=True)
class Dossier:
    """`recipe` is None where it can't be read, and `trouble` says why; `raw` is then whatever JSON is there.

    `cache` is what is known of the cached answers that the run reads or makes, `written` the beginning of the file that it wrote.
    """

    run: str
    folder: Path
    recipe: Recipe | None = None
    trouble: str = ""
    raw: Any = None
    sizes: dict[str, int] = field(default_factory=dict)  # bytes, by part of the folder
    student: Path | None = None
    cache: CacheInfo | None = None
    adapter: Adapter | None = None
    adapter_trouble: str | None = None  # its base is gone, or another
    written_file: Path | None = None
    written: tuple[WrittenRow, ...] = ()
    measured: tuple[Point, ...] = ()


def read_dossier(run: RunFolder, cache: str = "") -> Dossier:
    """`cache` is the folder of the answers that the run's journal names."""
    recipe, trouble, raw = None, "", None
    try:
        recipe = run.recipe()
    except Trouble as error:
        trouble = str(error)
        with contextlib.suppress(OSError, ValueError):
            raw = read_json(run.recipe_file)
    student = run.artifacts / "student"
    file = _written_file(run, recipe)
    adapter = _adapter(student)
    return Dossier(
        run=run.id,
        folder=run.path,
        recipe=recipe,
        trouble=trouble,
        raw=raw,
        sizes={name: size for name, size in _sizes(run).items() if size},
        student=student if student.is_dir() else None,
        cache=cache_info(Path(cache)) if cache else None,
        adapter=adapter,
        adapter_trouble=trouble_with_base(student) if adapter is not None else None,
        written_file=file,
        written=first_rows(file) if file is not None else (),
        measured=_measured(run, recipe),
    )


def _measured(run: RunFolder, recipe: Recipe | None) -> tuple[Point, ...]:
    """What was measured of a student as it was trained."""
    if not isinstance(recipe, WatchedRecipe) or recipe.measure_every is None:
        return ()
    return tuple(points_of(run.home, run.history()))


def _adapter(folder: Path) -> Adapter | None:
    """The adapter that the run made, if it made one; half written ones are none yet."""
    try:
        return read_adapter(folder)
    except Trouble:
        return None


def _written_file(run: RunFolder, recipe: Recipe | None) -> Path | None:
    if not isinstance(recipe, WriteRecipe):
        return None
    file = Path(recipe.out) if recipe.out else run.artifacts / "written.jsonl"
    return file if file.is_file() else None


def first_rows(file: Path) -> tuple[WrittenRow, ...]:
    """The first rows of a file of written text; lines that are no rows are passed over."""
    with file.open("rb") as stream:
        lines = stream.readlines(PREVIEW_BYTES)
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            row = row_of(json.loads(line))
            found += [] if row is None else [row]
    return tuple(found[:PREVIEW_ROWS])


def row_of(raw: Any) -> WrittenRow | None:
    """A row as a file or a preview's results hold it."""
    if not isinstance(raw, dict) or not isinstance(raw.get("completion"), str):
        return None
    return WrittenRow(str(raw.get("prompt") or ""), raw["completion"], str(raw.get("dropped") or ""))


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
