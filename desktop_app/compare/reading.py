"""What the Compare page shows, read off the window's thread: the entries with their scores, and the evaluations that go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core import compare, runs, scores
from core.benchmarks import main_metric, parse_tasks
from core.compare import Comparison, Entry
from core.errors import BadRecipe, RunTrouble, Trouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.library import RunSummary
from core.radar import Column, Scale
from core.runs import RunFolder
from core.scores import Measured, Score
from core.state import History, State
from core.subjects import BORROWED


@dataclass(frozen=True)
class Going:
    """An evaluation that is queued or goes on, of one of the entries. `parts` are what it measures, in order."""

    run: str
    word: str
    parts: tuple[str, ...]
    shots: Mapping[str, int | None] = field(default_factory=dict)
    limit: int | None = None


@dataclass(frozen=True)
class Seen:
    """The comparison; by word, why one can't be read (`troubles`) and what to know of its figures (`notes`)."""

    comparison: Comparison
    going: tuple[Going, ...] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


def see(home: Home, words: Sequence[str], rows: Sequence[RunSummary], scale: Scale, reference: str | None) -> Seen:
    """Read every entry; one that can't be read stands in `troubles`, and the others are shown."""
    known = scores.measured(home)
    entries, troubles, notes = [], {}, {}
    for word in words:
        try:
            entry, note = _with_checkpoints(home, compare.entry_of(home, word, known), known)
        except Trouble as trouble:
            troubles[word] = str(trouble)
            continue
        entries.append(entry)
        if note:
            notes[word] = note
    there = {entry.word for entry in entries}
    chosen = reference if reference in there else teacher_among(entries)
    going = tuple(_going(home, entries, rows))
    return Seen(Comparison(tuple(entries), scale, chosen), going, troubles, notes)


def teacher_among(entries: Sequence[Entry]) -> str | None:
    """The word of the entry that is the teacher of another."""
    for student in entries:
        for other in entries:
            if student.teacher and other.path is not None and Path(student.teacher).resolve() == other.path.resolve():
                return other.word
    return None


def _with_checkpoints(home: Home, entry: Entry, known: Sequence[Measured]) -> tuple[Entry, str]:
    """A run that has no finished model yet has the figures of its checkpoint that was measured last."""
    if entry.run is None or entry.path is not None:
        return entry, ""
    of_it = [(step, one) for one in known if (step := _checkpoint_step(home, entry.run, one.model)) is not None]
    if not of_it:
        return entry, ""
    last = max(step for step, _ in of_it)
    found = scores.newest([one for step, one in of_it if step == last])
    return replace(entry, scores={**entry.scores, **found}), f"checkpoint {last:,}"


def _checkpoint_step(home: Home, run: str, model: Path) -> int | None:
    """The step of a checkpoint of `run` that was borrowed to be measured (`core.subjects.borrow`)."""
    if model.parent != home.root / BORROWED or not model.name.startswith(f"{run}-"):
        return None
    step = model.name.removeprefix(f"{run}-").split("-")[0]
    return int(step) if step.isdecimal() else None


def _going(home: Home, entries: Sequence[Entry], rows: Sequence[RunSummary]) -> list[Going]:
    found = []
    for row in rows:
        if row.kind != "evaluate" or not State(row.state).alive:
            continue
        try:
            recipe = RunFolder(home.runs / row.id).recipe()
        except Trouble:
            continue
        if isinstance(recipe, EvaluateRecipe):
            word = next((entry.word for entry in entries if _is_of(home, entry, Path(recipe.model))), None)
            if word is not None:
                found.append(as_going(row.id, word, recipe))
    return found


def _is_of(home: Home, entry: Entry, model: Path) -> bool:
    if entry.path is not None:
        return entry.path.resolve() == model.resolve()
    return entry.run is not None and _checkpoint_step(home, entry.run, model) is not None


def as_going(run: str, word: str, recipe: EvaluateRecipe) -> Going:
    """What an evaluation measures, in order."""
    shots: dict[str, int | None] = {}
    try:
        shots = parse_tasks(recipe.tasks)
    except BadRecipe:  # its own run says so
        shots = {}
    shots = {task: recipe.few_shot if count is None else count for task, count in shots.items()}
    parts = [*(["text"] if recipe.data else []), *(["minimal_pairs"] if recipe.minimal_pairs else []), *shots]
    return Going(run, word, tuple(parts), shots, recipe.limit)


# --- figures that come while an evaluation goes on --------------------------------------------------------------------


def coming(history: History) -> dict[tuple[str, str], Score]:
    """The figures that an evaluation has told so far, by task and metric; how they were measured is known when it has ended."""
    told: dict[str, dict[str, float]] = {}
    for point in history.evaluations:
        for name, value in point.metrics.items():
            if point.subject == "model" and value is not None:
                task, mark, metric = name.partition("/")
                told.setdefault(task if mark else "text", {})[metric if mark else task] = value
    found = {}
    for task, metrics in told.items():
        quoted = "bits_per_byte" if task == "text" else main_metric(task, metrics)
        for metric, value in metrics.items():
            if metric == "stderr" or metric.endswith("_stderr"):
                continue
            error = metrics.get(f"{metric}_stderr", metrics.get("stderr") if metric == quoted else None)
            found[task, metric] = Score(task, metric, value, error, "", None, metric == quoted)
    return found


def fits(column: Column, going: Going) -> bool:
    """Whether a figure that comes from this evaluation can belong into the column: of so many examples, with this limit."""
    task, _, on = column
    shots = going.shots.get(task)
    limit = f"first {going.limit}" in on if going.limit else "first " not in on
    return limit and (shots is None or f"{shots}-shot" in on)


# --- what can be compared ---------------------------------------------------------------------------------------------


def control_of(home: Home, run_id: str) -> str:
    """Make and queue a run of the same student, data and budget without the teacher. Its id.

    RunTrouble for a run that no teacher guided; BadRecipe where the recipe no longer fits.
    """
    from core import runner
    from core.distill import DistillRecipe

    recipe = RunFolder(home.runs / run_id).recipe()
    if not isinstance(recipe, DistillRecipe) or not recipe.guided:
        raise RunTrouble(f"Run {run_id} has no teacher that could be left out.", "Pick a run that a teacher guides.")
    changes = {"use_teacher": False, "out": None, "name": f"{recipe.title()}, without the teacher"}
    made = runs.new_run(home, recipe.model_copy(update=changes).check(), made_from=run_id)
    runs.enqueue(home, made)
    runner.ensure_runner(home)
    return made.id
