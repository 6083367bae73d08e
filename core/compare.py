"""Models and runs side by side: every score that is known of them, the settings that differ, and quality against size.

Columns hold figures that were measured in the same way; the same task in another version, with other examples or a limit, is another column.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from core import runs, scores
from core.distill import DistillRecipe
from core.errors import BadModel, BadRecipe, RunTrouble
from core.files import read_json, write_json
from core.home import Home
from core.model_folders import name_of, resolve_model
from core.models import ModelInfo, inspect_model
from core.radar import SCALES, Column, Scale
from core.runs import RunFolder
from core.scores import Measured, Score
from core.state import History
from core.subjects import began_as, borrowed_step, result_of
from core.tokenizer import TokenizerIdentity, tokenizer_identity

Cost: TypeAlias = Literal["parameters", "size_bytes", "memory_bytes", "decode_tokens_per_second", "training_flops"]
HELD_OUT = "held-out text"
_IGNORED = {"name", "device", "share_device", "kind", "out", "allow_remote_code"}


@dataclass(frozen=True)
class CurvePoint:
    """A step of training: optimizer steps, tokens, seconds, FLOPs, and the total loss in nats a token."""

    step: int
    tokens: int
    seconds: float
    flops: float | None
    loss: float


@dataclass(frozen=True)
class Entry:
    """One model in a comparison. `word` is what was asked for; `settings` are those of the run that made it, if it is known."""

    word: str
    name: str
    path: Path | None
    run: str | None
    parameters: int | None
    size_bytes: int | None
    scores: Mapping[Column, Score]
    settings: Mapping[str, Any] = field(default_factory=dict)
    curve: tuple[CurvePoint, ...] = ()
    samples: Mapping[str, str] = field(default_factory=dict)  # prompt → the last text written to it
    training_flops: float | None = None
    teacher: str | None = None
    checkpoint: int | None = None  # the step whose figures these are, of a run whose student was not measured (yet)

    def cost(self, axis: Cost) -> float | None:
        if axis in ("memory_bytes", "decode_tokens_per_second"):
            found = [
                score.value for (task, metric, _), score in self.scores.items() if (task, metric) == ("speed", axis)
            ]
            return found[-1] if found else None
        value = getattr(self, axis)
        return None if value is None else float(value)


@dataclass(frozen=True)
class Comparison:
    """Entries side by side. `reference` is the entry that retention is measured against, by its word."""

    entries: tuple[Entry, ...]
    scale: Scale = "raw"
    reference: str | None = None
    name: str = ""

    def columns(self) -> list[Column]:
        """All columns, those that most entries have first; then in the order in which they were found."""
        seen: dict[Column, int] = {}
        for entry in self.entries:
            for column in entry.scores:
                seen[column] = seen.get(column, 0) + 1
        order = list(seen)
        return sorted(order, key=lambda column: (-seen[column], order.index(column)))

    def best(self, column: Column) -> set[int]:
        """The places of the best figure, if two or more have one; several if they are equal, none if all are."""
        found = {place: entry.scores[column] for place, entry in enumerate(self.entries) if column in entry.scores}
        if len({score.value for score in found.values()}) < 2 or column[1] in scores.NEUTRAL:
            return set()
        sign = 1 if next(iter(found.values())).higher_is_better else -1
        top = max(sign * score.value for score in found.values())
        return {place for place, score in found.items() if sign * score.value == top}

    def differing(self) -> dict[str, list[Any]]:
        """Settings by name, with every entry's value (None where it is not known), only those that differ among the known."""
        with_settings = [entry for entry in self.entries if entry.settings]
        names = dict.fromkeys(name for entry in with_settings for name in entry.settings)
        return {
            name: [entry.settings.get(name) for entry in self.entries]
            for name in names
            if len({repr(entry.settings.get(name)) for entry in with_settings}) > 1
        }

    def reference_scores(self) -> Mapping[Column, Score] | None:
        return next((entry.scores for entry in self.entries if entry.word == self.reference), None)

    def points(self, column: Column, cost: Cost) -> list[tuple[int, float, float]]:
        """(entry, cost, quality) of those that have both."""
        found = []
        for place, entry in enumerate(self.entries):
            x, score = entry.cost(cost), entry.scores.get(column)
            if x is not None and score is not None:
                found.append((place, x, score.value))
        return found


def pareto(
    points: Sequence[tuple[float, float]], *, less_is_better: bool = False, more_cost: bool = False
) -> list[int]:
    """The places of the points that no other one beats, by cost: none is cheaper and at least as good, nor as cheap and better.

    `more_cost` for a cost of which more is better (tokens a second).
    """

    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        cheap = (one[0] - other[0]) * (1 if more_cost else -1)
        good = (one[1] - other[1]) * (-1 if less_is_better else 1)
        return cheap >= 0 and good >= 0 and (cheap > 0 or good > 0)

    front = [i for i, point in enumerate(points) if not any(beats(other, point) for other in points)]
    return sorted(front, key=lambda i: points[i][0])


# --- putting it together ----------------------------------------------------------------------------------------------


def compare(
    home: Home, words: Sequence[str], scale: Scale = "raw", reference: str | None = None, name: str = ""
) -> Comparison:
    """A trouble for a word that names neither a model nor a run; for one that is named twice; or for an unknown scale."""
    if scale not in SCALES:
        raise BadRecipe(f"There is no scale {scale}.", f"Choose one of {', '.join(SCALES)}.")
    if len(set(words)) < len(words):
        twice = next(word for word in words if list(words).count(word) > 1)
        raise BadRecipe(f"{twice} is named twice.", "Name each model once.")
    known = scores.measured(home)
    entries = tuple(entry_of(home, word, known) for word in words)
    if reference is not None and reference not in words:
        raise BadRecipe(f"The reference {reference} is not among the models compared.", "Name it, too.")
    if reference is None:
        reference = teacher_among(entries)
    if scale == "retention" and reference is None:
        raise BadRecipe(
            "Retention needs a reference, and no model here is the teacher of another.", "Say which with --reference."
        )
    return Comparison(entries, scale, reference, name)


def teacher_among(entries: Sequence[Entry]) -> str | None:
    """The word of the entry that is the teacher of another one."""
    for student in entries:
        for other in entries:
            if student.teacher and other.path is not None and Path(student.teacher).resolve() == other.path.resolve():
                return other.word
    return None


def entry_of(home: Home, word: str, known: Sequence[Measured]) -> Entry:
    """What is known of a model folder, a name in the Hub's cache, or a run.

    A run whose finished model was not measured (yet) has the figures of its checkpoint that was measured last, and is named after it.
    """
    run, path = _find(home, word)
    info = _info(path)
    step, mine = None, [one for one in known if info is not None and one.fingerprint == info.fingerprint]
    if run is not None and not mine:
        step, mine = _last_checkpoint(home, run, known)
    if run is None and info is not None and info.lineage is not None:
        run = _run_of(home, info.lineage.run)
    history = run.history() if run is not None else History()
    recipe = run.recipe() if run is not None else None
    held_out = {}
    if run is not None and isinstance(recipe, DistillRecipe):
        tokens = info.tokenizer if info is not None else _tokenizer(str(began_as(run)))
        held_out = _held_out(history, recipe, tokens.fingerprint)
    return Entry(
        word,
        _name(run, path, word) + (f", step {step:,}" if step is not None else ""),
        path,
        run.id if run is not None else None,
        info.parameters if info else history.plan.student_parameters if history.plan else None,
        info.size_bytes if info else None,
        {**held_out, **scores.newest(mine)},
        {} if recipe is None else _flat(recipe.model_dump(mode="json", exclude=_IGNORED)),
        _curve(history),
        {sample.prompt: sample.text for sample in history.samples},
        _flops(history, history.steps[-1].tokens) if history.steps else None,
        getattr(recipe, "teacher", None),
        step,
    )


def _name(run: RunFolder | None, path: Path | None, word: str) -> str:
    if path is not None:
        return name_of(path)
    return word if run is None else str(run.meta().get("name") or run.id)


def _last_checkpoint(home: Home, run: RunFolder, known: Sequence[Measured]) -> tuple[int | None, list[Measured]]:
    """The step of the run's checkpoint that was measured last, and what was found of it."""
    steps = [borrowed_step(home, run.id, one.model) for one in known]
    last = max((step for step in steps if step is not None), default=None)
    return last, [one for one, step in zip(known, steps, strict=True) if step is not None and step == last]


def _find(home: Home, word: str) -> tuple[RunFolder | None, Path | None]:
    try:
        return None, resolve_model(word)
    except BadModel as trouble:
        try:
            run = runs.find_run(home, word)
        except RunTrouble as no_run:
            raise (no_run if "could be any of" in no_run.what else trouble) from None
    try:
        return run, result_of(run)
    except BadModel:  # it goes on: its curve is worth comparing already
        return run, None


def _run_of(home: Home, run_id: str) -> RunFolder | None:
    run = RunFolder(home.runs / run_id)
    return run if run.recipe_file.is_file() else None


def _info(path: Path | None) -> ModelInfo | None:
    return None if path is None else inspect_model(path)


@lru_cache(64)
def _tokenizer(folder: str) -> TokenizerIdentity:
    return tokenizer_identity(Path(folder))


def _held_out(history: History, recipe: DistillRecipe, tokenizer: str | None) -> dict[Column, Score]:
    """The figures of the student's last evaluation while it trained. They are over the text that its own run held out."""
    last = next((point for point in reversed(history.evaluations) if point.subject == "student"), None)
    on = (
        f"{', '.join(Path(item).name for item in recipe.data)}, seed {recipe.seed}, {recipe.validation_tokens:,} tokens"
    )
    found = {}
    for metric, value in (last.metrics if last else {}).items():
        if value is not None and metric in scores.TEXT_METRICS:
            whole = on + scores.per_token(metric, tokenizer)
            score = Score(HELD_OUT, metric, value, None, whole, None, metric == "bits_per_byte")
            found[score.column] = score
    return found


def _curve(history: History) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(point.step, point.tokens, point.seconds or 0.0, _flops(history, point.tokens), point.total)
        for point in history.steps
        if point.total is not None
    )


def _flops(history: History, tokens: int) -> float | None:
    each = history.plan.flops_per_token if history.plan else None
    return None if each is None else each * tokens


def _flat(value: Any, under: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {name: item for key, each in value.items() for name, item in _flat(each, f"{under}{key}.").items()}
    return {under.removesuffix("."): value}


# --- everything measured, and comparisons that are kept ---------------------------------------------------------------


def leaderboard(home: Home, tasks: Sequence[str] = (), least: int | None = None, most: int | None = None) -> Comparison:
    """Every model that was ever measured, with its newest figures; only those with a figure of `tasks`, and of so many parameters."""
    of_model: dict[str, list[Measured]] = {}
    for one in scores.measured(home):
        of_model.setdefault(one.fingerprint, []).append(one)
    entries = []
    for many in of_model.values():
        last, found = many[-1], scores.newest(many)
        shown = {column: score for column, score in found.items() if not tasks or column[0] in tasks}
        size = last.parameters
        if shown and (size is None or ((least is None or size >= least) and (most is None or size <= most))):
            name = name_of(last.model) if last.model.exists() else last.name
            entries.append(Entry(str(last.model), name, last.model, None, size, last.size_bytes, shown))
    return Comparison(tuple(entries))


def save(home: Home, comparison: Comparison) -> Path:
    """Keep a comparison under its name; one of the same name is replaced. Models are kept by their words, figures are read anew."""
    if not comparison.name.strip():
        raise BadRecipe("A comparison that is kept needs a name.", "Give it one.")
    folder = home.root / "comparisons"
    folder.mkdir(exist_ok=True)
    said = {
        "name": comparison.name,
        "models": [entry.word for entry in comparison.entries],
        "scale": comparison.scale,
        "reference": comparison.reference,
        "saved": time.time(),
    }
    file = folder / f"{_slug(comparison.name)}.json"
    write_json(file, said)
    return file


def saved(home: Home) -> list[str]:
    """The names of all comparisons that are kept."""
    found = []
    for file in sorted((home.root / "comparisons").glob("*.json")):
        try:
            found.append(str(read_json(file)["name"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not ours, or edited by hand: `reopen` names what is wrong with it
    return found


def reopen(home: Home, name: str) -> Comparison:
    """A kept comparison with the figures of today."""
    file = home.root / "comparisons" / f"{_slug(name)}.json"
    try:
        said = read_json(file)
        words = [str(word) for word in said["models"]]
        return compare(home, words, said["scale"], said["reference"], str(said["name"]))
    except FileNotFoundError as error:
        there = ", ".join(saved(home)) or "none"
        raise BadRecipe(f"There is no comparison {name}.", f"These are kept: {there}.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRecipe(f"{file} is no comparison: {error}.", "Remove it, and save the comparison again.") from error


def forget(home: Home, name: str) -> None:
    (home.root / "comparisons" / f"{_slug(name)}.json").unlink(missing_ok=True)


def _slug(name: str) -> str:
    """A file's name for a comparison's: readable, and another one for every other name."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{plain or 'comparison'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
