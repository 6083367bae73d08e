"""What may be measured: a model folder, a model of the Hub's cache, the result of a run, or a checkpoint of a run that goes on (RUN@STEP).

A checkpoint is borrowed: its files are linked (copied where that can't be) into a folder of their own, with the tokenizer beside them, so
that the training may drop it meanwhile, and is not disturbed.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from pathlib import Path

from core import runs
from core.distill import DistillRecipe
from core.errors import BadModel, RunTrouble
from core.files import read_json, write_json
from core.home import Home
from core.model_folders import resolve_model
from core.runs import RunFolder
from core.tune import TuneRecipe

AT = "@"
BORROWED = "borrowed"
FORGOTTEN_S = 3600.0
_STEP = re.compile(r"checkpoint-(\d+)")
_WEIGHTS = re.compile(
    r"(model.*\.safetensors(\.index\.json)?|(generation_)?config\.json|adapter_model\.safetensors|adapter_config\.json)"
)
_TOKENIZER = re.compile(
    r"(tokenizer.*|special_tokens_map\.json|vocab\.(json|txt)|merges\.txt|added_tokens\.json|chat_template\.\w+)"
)


def resolve_subject(home: Home, word: str) -> Path:
    """The folder of the model that is meant. A trouble says what could have been written.

    `word` is a folder, a name in the Hub's cache, a run (its result), RUN@STEP, or RUN@last.
    """
    try:
        return resolve_model(word)
    except BadModel as trouble:
        named, mark, step = word.rpartition(AT)
        try:
            run = runs.find_run(home, named if mark else word)
        except RunTrouble as no_run:
            if "could be any of" in no_run.what:
                raise
            raise trouble from None
    return borrow(home, run, step) if mark else result_of(run)


def result_of(run: RunFolder) -> Path:
    """The model that a finished run made."""
    said = run.history().results
    places = [said.get(name) for name in ("student", "merged", "adapter", "model", "out")]
    for place in [*(Path(each) for each in places if isinstance(each, str)), *sorted(run.artifacts.glob("*"))]:
        if any((place / name).is_file() for name in ("config.json", "adapter_config.json")):
            return place
    steps = checkpoint_steps(run)
    hint = f"Name one of its checkpoints: {run.id}{AT}{steps[-1]}." if steps else "Wait until it has saved something."
    raise BadModel(f"Run {run.id} has no finished model yet.", hint)


def checkpoint_steps(run: RunFolder) -> list[int]:
    """The steps of the run's complete checkpoints, in order."""
    found = []
    for folder in run.checkpoints.glob("checkpoint-*"):
        match = _STEP.fullmatch(folder.name)
        if match and (folder / "manifest.json").is_file():
            found.append(int(match[1]))
    return sorted(found)


def borrow(home: Home, run: RunFolder, step: str) -> Path:
    """A folder with the student as it was at a step, to be read as a model. `step` is a number or `last`."""
    source = began_as(run)
    steps = checkpoint_steps(run)
    if not steps:
        raise RunTrouble(
            f"Run {run.id} has no complete checkpoint.", "Wait for its first, or name its finished student."
        )
    wanted = steps[-1] if step == "last" else int(step) if step.isdecimal() else -1
    if wanted not in steps:
        raise RunTrouble(f"Run {run.id} has no checkpoint of step {step}.", f"It has {', '.join(map(str, steps))}.")
    name = re.sub(r"[^\w.-]+", "-", f"{run.id}-{wanted}")
    folder = home.root / BORROWED / f"{name}-{secrets.token_hex(2)}"
    beside = folder.with_name(f".{folder.name}")
    _drop_forgotten(home)
    beside.mkdir(parents=True)
    try:
        checkpoint = run.checkpoints / f"checkpoint-{wanted}"
        taken = [_take(file, beside) for file in sorted(checkpoint.iterdir()) if _WEIGHTS.fullmatch(file.name)]
        if not any(name.endswith(".safetensors") for name in taken):
            raise BadModel(
                f"The checkpoint of step {wanted} is not stored as one model.", "Wait for the finished student."
            )
        for file in sorted(source.iterdir()):
            if _TOKENIZER.fullmatch(file.name):
                _take(file, beside)
        write_json(beside / "stillroom.json", {"run": run.id, "step": wanted, **_framing(run)})
        beside.rename(folder)
    except FileNotFoundError as error:
        raise RunTrouble(
            f"The checkpoint of step {wanted} went away while it was taken: the training has saved newer ones.",
            "Try again.",
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def borrowed_step(home: Home, run: str, folder: Path) -> int | None:
    """The step of a checkpoint of `run` that `folder` was borrowed from; None for any other folder."""
    if folder.parent != home.root / BORROWED or not folder.name.startswith(f"{run}-"):
        return None
    step = folder.name.removeprefix(f"{run}-").split("-")[0]
    return int(step) if step.isdecimal() else None


def began_as(run: RunFolder) -> Path:
    """The model whose tokenizer and config the run's student has."""
    recipe = run.recipe()
    if isinstance(recipe, TuneRecipe):
        return Path(recipe.model)
    if not isinstance(recipe, DistillRecipe):
        raise RunTrouble(
            f"Run {run.id} trains no model, so it has no checkpoints to measure.", "Name its model instead."
        )
    return Path(recipe.student) if recipe.init == "existing" or not recipe.teacher else Path(recipe.teacher)


def give_back(home: Home, folder: Path) -> None:
    """Remove a borrowed checkpoint once it is measured; other folders are left alone."""
    if folder.parent == home.root / BORROWED:
        shutil.rmtree(folder, ignore_errors=True)


def _take(file: Path, folder: Path) -> str:
    """A second name for the file's content, which stays when the first is removed; a copy on systems without."""
    target = folder / file.name
    try:
        os.link(file.resolve(), target)
    except OSError:
        shutil.copyfile(file, target)
    return file.name


def _framing(run: RunFolder) -> dict[str, object]:
    """How the training frames documents, as the finished student's own file says it."""
    try:
        start, end, _ = read_json(run.path / "tokens" / "framing.json")
    except (OSError, ValueError):
        return {}
    return {"framing": {"start": start, "end": end}}


def _drop_forgotten(home: Home) -> None:
    """Borrowed folders that no run names: their evaluation was discarded, or never started. What was taken just now may yet be named."""
    young = time.time() - FORGOTTEN_S
    try:
        folders = [
            folder
            for folder in (home.root / BORROWED).iterdir()
            if folder.is_dir() and folder.name[0] != "." and folder.stat().st_mtime < young
        ]
    except FileNotFoundError:
        return
    if not folders:
        return
    asked = "".join(run.recipe_file.read_text(encoding="utf-8", errors="replace") for run in runs.all_runs(home))
    for folder in folders:
        if folder.name not in asked:
            shutil.rmtree(folder, ignore_errors=True)
