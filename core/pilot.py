"""A pilot: two to four teachers, objectives or sources tried on the same short budget, so that a choice rests on the user's own text.

A pilot is a group of ordinary distillations that share a tag and differ in one field; nothing else is kept of it. Its runs count for
the user's own law (`core.own_runs`) once they are told to, for a short budget may favour another teacher than a long one does.
"""

from __future__ import annotations

import secrets
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

from core import defaults
from core.devices import default_device, devices
from core.distill import DistillRecipe
from core.errors import BadRecipe, RunTrouble, Trouble
from core.home import Home
from core.labels import retag
from core.memory import kind_of
from core.model_files import read_config
from core.model_folders import resolve_model
from core.models import ModelInfo, inspect_model
from core.numbers import count_text
from core.objectives import OBJECTIVES, SOURCES, Objective, Source
from core.own_runs import COUNTS, PILOT, Point
from core.plan import CUTS, Plan, parse_target, settle
from core.runs import RunFolder, all_runs, new_run, remove_folder
from core.settle import without_unread
from core.shapes import Shape, config_for, count_parameters, validate_cut
from core.state import History, State
from core.watch import UNWATCHED

Field = Literal["teacher", "objective", "source"]
FIELDS: tuple[Field, ...] = ("teacher", "objective", "source")
FEWEST, MOST = 2, 4
SEED_SPREAD = 0.01  # ours, of the bits per byte: four seeds of one short run lay 0.6 % apart (standard deviation), a pair of them 0.8 %
SHARE, LEAST_STEPS = 10, 100  # of the budget; steps of each run
FOR_WRITING = ("reverse_kl", "skew_reverse_kl", "on-policy")


# --- making one -------------------------------------------------------------------------------------------------------


def make_pilot(home: Home, recipe: DistillRecipe, field: Field, values: Sequence[str], tokens: int) -> list[RunFolder]:
    """Write a run folder for each value of `field`, all tagged alike; none if one of them can't be. They are not queued yet.

    Raises BadRecipe and BadModel as `pilot_recipes`, and RunTrouble if a folder can't be written.
    """
    recipes = pilot_recipes(recipe, field, values, tokens)
    tag = f"{PILOT}{secrets.token_hex(2)}"
    made: list[RunFolder] = []
    try:
        for each in recipes:
            made.append(new_run(home, each))
            retag(made[-1], [tag])
    except Trouble:
        for run in made:
            remove_folder(run)
        raise
    return made


def pilot_tokens(made: Plan) -> tuple[int, str]:
    """The budget of each run and its reason: a tenth of the plan's budget, but at least 100 steps of one block.

    Below that, the smallest batches learn nothing that could be compared.
    """
    length = made.estimate.choices.sequence_length
    share, least = made.tokens // SHARE, LEAST_STEPS * length
    if share >= least:
        return share, f"a tenth of the budget of {count_text(made.tokens)} tokens"
    return (
        least,
        f"{LEAST_STEPS} steps of {length} tokens, for a tenth of the budget of {count_text(made.tokens)} is less",
    )


def pilot_recipes(recipe: DistillRecipe, field: Field, values: Sequence[str], tokens: int) -> list[DistillRecipe]:
    """A settled recipe for each value, the same but for `field`: size, seed, data, tokens, block, batch and learning rate.

    A share as the student's size is one of the first teacher. The students have one shape, but for those whose teacher it can't be
    cut from: theirs is the best of that size. Raises BadRecipe, which names the value, and BadModel.
    """
    if not FEWEST <= len(values) <= MOST or len(set(values)) < len(values):
        raise BadRecipe(
            f"{field}: {len(values)} given ({', '.join(values)}).", f"Name {FEWEST} to {MOST} different ones to try."
        )
    if not recipe.use_teacher:
        raise BadRecipe("use_teacher: A pilot compares how teachers guide.", "Leave --no-teacher out.")
    plain = recipe.model_copy(update={"tokens": tokens, "out": None, **UNWATCHED})
    if field == "teacher":
        settled = _under_teachers(plain, [resolve_model(value) for value in values])
    else:
        settled = [_settled(plain, field, value) for value in values]
    rate = recipe.learning_rate or _learning_rate(settled[0])
    prefix = recipe.name or f"pilot of {field}s"
    return [
        each.model_copy(update={"name": f"{prefix}: {title_of(field, label(field, each))}", "learning_rate": rate})
        for each in settled
    ]


def label(field: Field, recipe: DistillRecipe) -> str:
    """What a run of the pilot is called beside the others."""
    value = str(getattr(recipe, field))
    return Path(value).name if field == "teacher" else value


def title_of(field: Field, value: str) -> str:
    """A label as people read it: the title of an objective or a source, the name of a teacher."""
    if field == "objective":
        return OBJECTIVES[cast("Objective", value)].title
    return SOURCES[cast("Source", value)][0] if field == "source" else value


def _settled(recipe: DistillRecipe, field: Field, value: str, shape: Shape | None = None) -> DistillRecipe:
    try:
        raw: dict[str, Any] = {**recipe.model_dump(), field: value, "shape": shape or recipe.shape}
        made = DistillRecipe.model_validate(raw)
        return settle(without_unread(made) if field == "source" else made)
    except BadRecipe as trouble:
        raise BadRecipe(f"{value}: {trouble.what}", trouble.way_out) from trouble
    except ValueError as error:
        raise BadRecipe(f"{field}: {value} is none of those that there are.", "`--help` names them.") from error


def _under_teachers(recipe: DistillRecipe, folders: Sequence[Path]) -> list[DistillRecipe]:
    teachers = [inspect_model(folder, recipe.allow_remote_code) for folder in folders]
    target = parse_target(recipe.student)
    if target.kind == "share":
        recipe = recipe.model_copy(update={"student": str(target.parameters(teachers[0].parameters))})
    recipe = recipe.model_copy(update={"sequence_length": recipe.sequence_length or _common_length(recipe, teachers)})
    smallest = min(teachers, key=lambda teacher: teacher.parameters)
    shape = _settled(recipe, "teacher", str(smallest.path)).shape  # what fits in the smallest fits in most

    def common(teacher: ModelInfo) -> Shape | None:
        """That shape, unless it can't be made from this teacher."""
        if shape is None or teacher.shape is None or shape.model_type != teacher.shape.model_type:
            return None
        return None if recipe.init in CUTS and validate_cut(teacher.shape, shape) else shape

    return [_settled(recipe, "teacher", str(teacher.path), common(teacher)) for teacher in teachers]


def _common_length(recipe: DistillRecipe, teachers: Sequence[ModelInfo]) -> int | None:
    """The block that all teachers can read, where they would else be given blocks of different lengths."""
    contexts = [teacher.context for teacher in teachers if teacher.context is not None]
    if not contexts or min(contexts) == max(contexts):
        return None
    device = default_device(devices())[0].id if recipe.device == "auto" else recipe.device
    return defaults.sequence_length(min(contexts), kind_of(device))[0]


def _learning_rate(recipe: DistillRecipe) -> float:
    """The default of the first run, for all of them."""
    if recipe.shape is None:
        size = inspect_model(Path(recipe.student), recipe.allow_remote_code).non_embedding_parameters
    else:
        config = read_config(Path(recipe.teacher or recipe.student))
        if config["model_type"] != recipe.shape.model_type:
            config = read_config(Path(recipe.student))
        size = count_parameters(config_for(config, recipe.shape)).non_embedding
    return defaults.learning_rate(size, recipe.tokens, recipe.init)[0]


# --- reading one ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """One run of a pilot. `evaluations` are (step, held-out bits per byte) of its student, the untrained one first."""

    run: RunFolder
    value: str
    state: State
    tokens: int
    seconds: float | None  # of training
    student_parameters: int | None
    teacher_parameters: int | None
    evaluations: tuple[tuple[int, float], ...]

    @property
    def bits_per_byte(self) -> float | None:
        """The last held-out figure."""
        return self.evaluations[-1][1] if self.evaluations else None


@dataclass(frozen=True)
class PilotState:
    """Where a pilot stands. `winner` has the lowest bits per byte of the finished runs, by `margin`; in a draw that says little."""

    id: str
    field: Field
    trials: tuple[Trial, ...]
    winner: Trial | None
    margin: float | None  # bits per byte to the second
    draw: bool
    sentence: str


def pilots(home: Home) -> list[str]:
    """The ids of all pilots, the oldest first."""
    tags = (str(tag) for run in all_runs(home) for tag in run.meta().get("tags") or ())
    return list(dict.fromkeys(tag.removeprefix(PILOT) for tag in tags if tag.startswith(PILOT)))


def pilot_of(home: Home, wanted: str) -> PilotState:
    """The pilot of this id (or tag), or the newest for `last`. Raises RunTrouble if there is none."""
    known = pilots(home)
    id_ = known[-1] if wanted == "last" and known else wanted.removeprefix(PILOT)
    runs = [run for run in all_runs(home) if f"{PILOT}{id_}" in (run.meta().get("tags") or ())]
    recipes = [(run, recipe) for run in runs if isinstance(recipe := run.recipe(), DistillRecipe)]
    if not recipes:
        raise RunTrouble(f"There is no pilot {wanted}.", f"There is {', '.join(known)}." if known else "Start one.")
    varying = [name for name in FIELDS if len({getattr(recipe, name) for _, recipe in recipes}) > 1]
    field = varying[0] if varying else FIELDS[0]
    recipes.sort(key=lambda each: each[0].meta().get("created") or 0.0)
    trials = tuple(_trial(run, label(field, recipe)) for run, recipe in recipes)
    return judge(id_, field, trials)


def _trial(run: RunFolder, value: str) -> Trial:
    history = run.history()
    return Trial(
        run=run,
        value=value,
        state=run.state(history),
        tokens=history.steps[-1].tokens if history.steps else 0,
        seconds=history.steps[-1].seconds if history.steps else None,
        student_parameters=history.plan.student_parameters if history.plan else None,
        teacher_parameters=history.plan.teacher_parameters if history.plan else None,
        evaluations=_evaluations(history),
    )


def _evaluations(history: History) -> tuple[tuple[int, float], ...]:
    told = (
        (point.step, point.metrics.get("bits_per_byte")) for point in history.evaluations if point.subject == "student"
    )
    return tuple((step, value) for step, value in told if value is not None)


def judge(id_: str, field: Field, trials: Sequence[Trial]) -> PilotState:
    """Propose the winner, and say how much that is worth.

    All runs read the same text in the same order and are measured on the same held-out text, so the runs are compared in pairs. A
    lead counts if it is larger than what seeds make (`SEED_SPREAD`), larger than twice what the lead itself moved from one
    evaluation to the next in the second half, and was there at every evaluation of the last third; else it is a draw.
    """
    trials = tuple(trials)
    ended = sorted(
        (trial for trial in trials if trial.state is State.FINISHED and trial.bits_per_byte is not None),
        key=lambda trial: trial.evaluations[-1][1],
    )
    if len(ended) < FEWEST:
        return PilotState(id_, field, trials, None, None, False, _waiting(trials, len(ended)))
    first, second = ended[:2]
    lead = _lead(first, second)
    margin, spread = lead[-1], SEED_SPREAD * first.evaluations[-1][1]
    moved = _movement(lead)
    steady = min(lead[-max(1, len(lead) // 3) :]) > 0
    draw = margin <= max(spread, 2 * moved) or not steady
    missing = (
        "" if len(ended) == len(trials) else f" {len(trials) - len(ended)} of {len(trials)} runs have not finished."
    )
    leader, other = title_of(field, first.value), title_of(field, second.value)
    words = f"{leader} leads {other} by {margin:.4f} bits per byte ({margin / first.evaluations[-1][1]:.1%})"
    why = f"seeds alone make about {spread:.4f}, and the lead moved by {moved:.4f} from one evaluation to the next" + (
        "" if steady else "; it was not ahead all the time"
    )
    verdict = f"{words}. That is a draw: {why}." if draw else f"{words}, more than chance: {why}."
    return PilotState(id_, field, trials, first, margin, draw, f"{verdict}{missing}{_caution(field, ended)}")


def _lead(first: Trial, second: Trial) -> list[float]:
    """By how many bits per byte the first is better, at each evaluation that both have, the untrained students left out."""
    other = dict(second.evaluations)
    common = [other[step] - value for step, value in first.evaluations if step > 0 and step in other]
    last = second.evaluations[-1][1] - first.evaluations[-1][1]
    return common if common and common[-1] == last else [*common, last]


def _movement(lead: Sequence[float]) -> float:
    """The standard deviation of one value of the lead, from its changes over the second half; 0 where there are too few."""
    half = lead[len(lead) // 2 :]
    changes = [later - earlier for earlier, later in pairwise(half)]
    return statistics.fmean(change**2 for change in changes) ** 0.5 / 2**0.5 if changes else 0.0


def _waiting(trials: Sequence[Trial], ended: int) -> str:
    if any(trial.state.alive or trial.state is State.QUEUED for trial in trials):
        return f"{ended} of {len(trials)} runs have finished; two are needed to compare."
    return f"Only {ended} of {len(trials)} runs finished, and two are needed to compare. Resume the others."


def _caution(field: Field, ended: Sequence[Trial]) -> str:
    if field == "teacher":
        return " A longer run may favour a larger teacher."
    if any(trial.value in FOR_WRITING for trial in ended):
        return (
            " Bits per byte tell how well a student reads; reverse KL and the student's own words aim at how it writes."
        )
    return ""


# --- the law ----------------------------------------------------------------------------------------------------------


def law_points(pilot: PilotState) -> list[Point]:
    """(student parameters, teacher parameters, bits per byte) of the finished runs of a pilot of teachers, as the law is refitted with."""
    if pilot.field != "teacher":
        return []
    told = [
        (trial.student_parameters, trial.teacher_parameters, trial.bits_per_byte)
        for trial in pilot.trials
        if trial.state is State.FINISHED
    ]
    return [(float(s), float(t), loss) for s, t, loss in told if s is not None and t is not None and loss is not None]


def count_for_law(pilot: PilotState) -> int:
    """From now on the finished runs of the pilot count for the user's own law, as any run does; returns how many."""
    if not law_points(pilot):
        raise RunTrouble(
            f"Pilot {pilot.id} has no points for the law.", "Only finished runs of a pilot of teachers are such points."
        )
    finished = [trial.run for trial in pilot.trials if trial.state is State.FINISHED]
    for run in finished:
        retag(run, [*(run.meta().get("tags") or ()), COUNTS])
    return len(finished)
