"""A run in one line: what the library's index keeps of it, out of its recipe, its journal and its lock."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from core.adapters import MergeAdapterRecipe
from core.chain import ChainRecipe
from core.distill import DistillRecipe
from core.errors import Trouble
from core.events import TOO_LARGE
from core.files import read_json
from core.index_file import key_of, stored_text
from core.recipe import Recipe
from core.runs import RunFolder
from core.state import History, State, state_of
from core.tune import TuneRecipe

SPARK_POINTS = 32


@dataclass(frozen=True)
class RunSummary:
    """A run in one line. Times are seconds since 1970; `last_loss` is nats a token; `share` goes from 0 to 1."""

    id: str
    kind: str
    name: str
    state: str
    created: float | None = None
    started: float | None = None
    updated: float | None = None
    device: str | None = None
    phase: str | None = None
    teacher: str | None = None
    student: str | None = None  # as the recipe asks for it: a share, a size or a folder
    teacher_parameters: int | None = None
    student_parameters: int | None = None
    step: int | None = None
    steps: int | None = None
    tokens: int | None = None
    share: float | None = None
    last_loss: float | None = None
    bits_per_byte: float | None = None  # of the last held-out evaluation
    model: str | None = None  # the folder of the finished student
    out: str | None = None
    made_from: str | None = None
    failure: str | None = None
    size_bytes: int | None = None
    tags: tuple[str, ...] = ()
    spark: tuple[float, ...] = ()  # at most SPARK_POINTS of its total losses, evenly over its steps
    position: float | None = None  # in the queue, if it waits
    seconds_left: float | None = None  # of training, while it is alive


_FLOATS = ("created", "started", "updated", "share", "last_loss", "bits_per_byte", "position", "seconds_left")
_LISTS = ("tags", "spark")  # kept as JSON
RUN_COLUMNS = {column.name: str for column in fields(RunSummary)} | {
    **dict.fromkeys(_FLOATS, float),
    **dict.fromkeys(("teacher_parameters", "student_parameters", "step", "steps", "tokens", "size_bytes"), int),
    "said": str,  # how its journal ends; the state follows from it and the lock
    "change_key": str,
}


def summary_of(row: dict[str, Any]) -> RunSummary:
    lists = {name: tuple(json.loads(row[name])) for name in _LISTS}
    return RunSummary(**(row | lists))


def run_row(run: RunFolder, old: dict[str, Any] | None, history: Callable[[RunFolder], History]) -> dict[str, Any]:
    """The row of a run. Its journal is folded only if it has changed."""
    held = run.lock_held()  # before the journal: an engine that ends meanwhile has said its last word by then
    queued, stop = run.queue_entry.exists(), run.stop_request.exists()
    key = key_of([run.journal, run.meta_file, run.recipe_file])
    if old is not None and old["change_key"] == key:
        row = dict(old)
    else:
        row = {**_recipe_part(run), **_history_part(run, history(run)), "change_key": key}
    said = State(row["said"]) if row["said"] else None
    state = state_of(said, lock_held=held, queued=queued, stop_requested=stop)
    row["state"], row["position"] = str(state), run.position() if queued else None
    if not state.alive:
        row["seconds_left"] = None
    return row


def unread_row(run: RunFolder, error: Exception) -> dict[str, Any]:
    """The row of a run that this version can't make sense of, with the reason. It is looked at again every time."""
    held, queued, stop = run.lock_held(), run.queue_entry.exists(), run.stop_request.exists()
    return {
        **dict.fromkeys(RUN_COLUMNS),
        "id": run.id,
        "kind": "unknown",
        "name": run.id,
        "said": str(State.FAILED),
        "state": str(state_of(State.FAILED, lock_held=held, queued=queued, stop_requested=stop)),
        "failure": f"Its files can't be understood: {error!r}.",
        **dict.fromkeys(_LISTS, "[]"),
        "change_key": "",
    }


def _recipe_part(run: RunFolder) -> dict[str, Any]:
    """What was asked. A recipe that can't be read leaves its fields empty."""
    meta = run.meta()
    recipe: Recipe | None = None
    try:
        recipe = run.recipe()
    except Trouble:
        recipe = None
    asked = recipe.of if isinstance(recipe, ChainRecipe) else recipe if isinstance(recipe, DistillRecipe) else None
    return {
        "id": run.id,
        "kind": recipe.kind if recipe else "unknown",
        "name": str(meta.get("name") or run.id),
        "created": _number(meta.get("created")),
        "made_from": str(meta["made_from"]) if meta.get("made_from") else None,
        "tags": json.dumps([stored_text(str(tag)) for tag in _list(meta.get("tags"))]),
        "teacher": getattr(recipe, "teacher", None),
        "student": asked.student if asked else recipe.model if isinstance(recipe, TuneRecipe) else None,
        "out": asked.out if asked else recipe.out if isinstance(recipe, TuneRecipe | MergeAdapterRecipe) else None,
    }


def _history_part(run: RunFolder, history: History) -> dict[str, Any]:
    last = history.steps[-1] if history.steps else None
    plan = history.plan
    finished = history.said is State.FINISHED
    return {
        "said": history.said,
        "started": history.started_at,
        "updated": history.updated_at,
        "device": history.device or None,
        "phase": history.phase or None,
        "teacher_parameters": plan.teacher_parameters if plan else None,
        "student_parameters": plan.student_parameters if plan else None,
        "step": history.step,
        "steps": plan.steps if plan else None,
        "tokens": last.tokens if last else 0,
        "share": 1.0 if finished else history.share,
        "last_loss": last.total if last else None,
        "bits_per_byte": _bits_per_byte(history),
        "model": _made_model(run, history) if finished else None,
        "failure": history.failure.what if history.failure else None,
        "size_bytes": run.size_bytes(),
        "spark": json.dumps(_spark(history)),
        "seconds_left": history.seconds_left(),
    }


def _made_model(run: RunFolder, history: History) -> str | None:
    """The folder of the model that a run made: in its own folder, or where a merge was told to put it."""
    inside = next((path for name in ("student", "model") if (path := run.artifacts / name).is_dir()), None)
    if inside is not None:
        return str(inside)
    made = history.results.get("model")  # of an evaluation it is the model that was measured
    if not isinstance(made, str) or not Path(made).is_dir():
        return None
    return made if read_json(run.recipe_file).get("kind") in ("merge", "sweep") else None


def _spark(history: History) -> list[float]:
    """Total losses at about evenly spaced steps, the last one among them."""
    totals = history.totals()
    told = [float(loss) for loss in totals[:: max(1, len(totals) // (8 * SPARK_POINTS))] if loss is not None]
    told = [loss for loss in told if math.isfinite(loss)]
    if len(totals) and (last := totals[-1]) is not None and math.isfinite(last):
        told.append(float(last))
    if len(told) <= SPARK_POINTS:
        return told
    return [told[round(at * (len(told) - 1) / (SPARK_POINTS - 1))] for at in range(SPARK_POINTS)]


def _bits_per_byte(history: History) -> float | None:
    """Of the student's last evaluation; an evaluation run has it among its results."""
    for point in reversed(history.evaluations):
        if point.subject == "student" and point.metrics.get("bits_per_byte") is not None:
            return _number(point.metrics["bits_per_byte"])
    return _number(history.results.get("bits_per_byte"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and abs(value) < TOO_LARGE else None
