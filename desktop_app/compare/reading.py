"""What the Compare page shows, read off the window's thread: the entries with their scores, and the evaluations that go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core import compare, scores
from core.benchmarks import parse_tasks
from core.compare import Comparison, Entry
from core.errors import BadRecipe, RunTrouble, Trouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.radar import Column, Scale
from core.run_summary import RunSummary
from core.runs import RunFolder
from core.state import State
from core.subjects import borrowed_step
from resources.sample.questions import SKILLS


@dataclass(frozen=True)
class Going:
    """An evaluation that goes on, of one of the entries. `parts` are what it measures, in order; `step` is that of a checkpoint."""

    run: str
    word: str
    parts: tuple[str, ...]
    step: int | None = None

    def adds(self, entry: Entry, column: Column) -> bool:
        """Whether a figure of it is to be shown: one that its entry lacks, or that is newer than the entry's checkpoint."""
        if entry.checkpoint is None and self.step is None:
            return column not in entry.scores
        return self.step is None or self.step >= (entry.checkpoint or 0)


@dataclass(frozen=True)
class Seen:
    """The comparison; `troubles` says by word why one can't be read."""

    comparison: Comparison
    going: tuple[Going, ...] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)


def see(home: Home, words: Sequence[str], rows: Sequence[RunSummary], scale: Scale, reference: str | None) -> Seen:
    """Read every entry; one that can't be read stands in `troubles`, and the others are shown."""
    known = scores.measured(home)
    entries, troubles = [], {}
    for word in words:
        try:
            entries.append(compare.entry_of(home, word, known))
        except Trouble as trouble:
            troubles[word] = str(trouble)
    there = {entry.word for entry in entries}
    chosen = reference if reference in there else compare.teacher_among(entries)
    going = tuple(_going(home, entries, rows))
    return Seen(Comparison(tuple(entries), scale, chosen), going, troubles)


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
            model = Path(recipe.model)
            entry = next((entry for entry in entries if _is_of(home, entry, model)), None)
            if entry is not None:
                step = borrowed_step(home, entry.run, model) if entry.run is not None else None
                found.append(replace(as_going(row.id, entry.word, recipe), step=step))
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
    parts = ["text"] if recipe.data else []
    parts += [f"skill {skill}" for skill in SKILLS] if recipe.skills else []
    parts += ["minimal_pairs"] if recipe.minimal_pairs else []
    return Going(run, word, (*parts, *tasks))


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
    return runner.start(home, recipe.model_copy(update=changes).check(), made_from=run_id).id
