"""What the Compare page shows, read off the window's thread: the entries with their scores, and the evaluations that go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import compare, runs, scores
from core.benchmarks import parse_tasks
from core.compare import Comparison, Entry
from core.errors import BadRecipe, RunTrouble, Trouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.library import RunSummary
from core.radar import Scale
from core.runs import RunFolder
from core.state import State
from core.subjects import borrowed_step


@dataclass(frozen=True)
class Going:
    """An evaluation that is queued or goes on, of one of the entries. `parts` are what it measures, in order."""

    run: str
    word: str
    parts: tuple[str, ...]


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
            entry = compare.entry_of(home, word, known)
        except Trouble as trouble:
            troubles[word] = str(trouble)
            continue
        entries.append(entry)
        if entry.checkpoint is not None:
            notes[word] = f"checkpoint {entry.checkpoint:,}"
    there = {entry.word for entry in entries}
    chosen = reference if reference in there else compare.teacher_among(entries)
    going = tuple(_going(home, entries, rows))
    return Seen(Comparison(tuple(entries), scale, chosen), going, troubles, notes)


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
    return entry.run is not None and borrowed_step(home, entry.run, model) is not None


def as_going(run: str, word: str, recipe: EvaluateRecipe) -> Going:
    """What an evaluation measures, in order."""
    try:
        tasks = list(parse_tasks(recipe.tasks))
    except BadRecipe:  # its own run says so
        tasks = []
    parts = [*(["text"] if recipe.data else []), *(["minimal_pairs"] if recipe.minimal_pairs else []), *tasks]
    return Going(run, word, tuple(parts))


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
