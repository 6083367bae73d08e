"""What stands between the page and a run: what was dropped, the words of the button, and the start itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QCoreApplication

from core import runner
from core.chain import ChainRecipe
from core.data.files import holds_data
from core.distill import DistillRecipe
from core.home import Home
from core.model_folders import scan_folder
from core.numbers import bytes_text, count_text
from core.plan import Plan, check_device
from core.recipe import Recipe, looks_like_recipe
from core.run_summary import RunSummary
from core.settle import read_beside, settle_any
from desktop_app.plan.draft import Draft


@dataclass(frozen=True)
class Found:
    """What was dropped: `folders` hold the `models`; `refusal` says what the rest is, and what was expected."""

    models: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    text: tuple[Path, ...] = ()
    recipe: DistillRecipe | None = None
    refusal: str = ""


@dataclass
class _Sorted:
    models: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    text: list[Path] = field(default_factory=list)
    recipe: DistillRecipe | None = None
    refused: list[str] = field(default_factory=list)


def look_at(paths: Sequence[Path]) -> Found:
    """Look into what was dropped; folders are searched two levels deep. Raises BadRecipe for a broken recipe file."""
    found = _Sorted()
    for path in paths:
        if path.is_dir():
            _sort_folder(path, found)
        else:
            _sort_file(path, found)
    return Found(tuple(found.models), tuple(found.folders), tuple(found.text), found.recipe, " ".join(found.refused))


def _sort_folder(folder: Path, found: _Sorted) -> None:
    models = scan_folder(folder)
    if models:
        found.models += models
        found.folders.append(folder)
    elif holds_data(folder):
        found.text.append(folder)
    else:
        said = QCoreApplication.translate(
            "PlanPage", "%s holds no model (a folder with config.json and safetensors files) and no text."
        )
        found.refused.append(said % folder.name)


def _sort_file(file: Path, found: _Sorted) -> None:
    ending = file.suffix.lower()
    if ending == ".safetensors" or file.name == "config.json":
        _sort_folder(file.parent, found)
    elif ending == ".json" and looks_like_recipe(file):
        found.recipe = read_beside(file, DistillRecipe)
    elif file.is_file() and holds_data(file):
        found.text.append(file)
    else:
        size = (
            bytes_text(file.stat().st_size)
            if file.is_file()
            else QCoreApplication.translate("PlanPage", "not a plain file")
        )
        said = QCoreApplication.translate(
            "PlanPage", "%s (%s) is no model folder, no text and no recipe, so nothing was done with it."
        )
        found.refused.append(said % (file.name, size))


def start(home: Home, recipe: Recipe) -> str:
    """Settle the recipe, write the run folder, enter it in the queue and see that a runner lives; the run's id."""
    settled = settle_any(recipe)
    check_device(settled.device)
    return runner.start(home, settled).id


def start_chain(home: Home, recipe: DistillRecipe) -> str:
    """The same by way of the assistants that the law plans: one run, whose links are distilled one after another."""
    return start(home, ChainRecipe(of=recipe))


def runs_before(device: str, rows: Sequence[RunSummary], *, share: bool) -> int:
    """Runs that are alive on the device, and those that wait already; not the few steps of a measurement."""
    if share:
        return 0
    rows = [row for row in rows if row.kind != "measure"]
    alive = [row for row in rows if row.state in ("running", "stopping") and row.device in (device, None)]
    waiting = [row for row in rows if row.state == "queued"]
    return len(alive) + len(waiting)


def words(plan: Plan, draft: Draft) -> str:
    """What the button does: `Distill 4.66M → 1.87M on cpu`."""
    student = count_text(plan.student_exact)
    if plan.teacher is None or not draft.use_teacher:
        return QCoreApplication.translate("PlanPage", "Train %s without a teacher on %s") % (student, plan.device)
    return QCoreApplication.translate("PlanPage", "Distill %s → %s on %s") % (
        count_text(plan.teacher.parameters),
        student,
        plan.device,
    )
