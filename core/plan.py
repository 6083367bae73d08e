"""From a wish to a plan: what the law recommends for a student, who is at hand to teach it, and what a run will take. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from core import law
from core.cache import cache_info, caches
from core.devices import Device
from core.distill import Builder, DistillRecipe
from core.documents import text_files, total_bytes
from core.errors import BadData, BadModel, BadRecipe, Trouble
from core.estimate import BYTES_PER_TOKEN as BYTES_PER_TOKEN
from core.estimate import Estimate, estimate
from core.home import Home
from core.memory import Cast, Size
from core.model_files import read_config
from core.models import ModelEntry, ModelInfo, inspect_model
from core.objectives import OBJECTIVES, Objective, Source
from core.options import Choice as Choice
from core.options import objective_choices, source_choices
from core.own_runs import own_law
from core.recipe import Problem
from core.settle import (
    aligned,
    existing_student,
    further_teachers,
    named_cache_problems,
    recipe_problems,
    shares_tokenizer,
)
from core.settle import beside as beside
from core.settle import settle as settle
from core.shapes import KNOWN_FAMILIES, Proposal, Shape, config_for
from core.speed import memory_bandwidth
from core.students import CUTS as CUTS
from core.students import TARGET_TOLERANCE as TARGET_TOLERANCE
from core.students import Unit as Unit
from core.students import editable_units as editable_units
from core.students import next_shape as next_shape
from core.students import reshaped as reshaped
from core.students import student_shapes as student_shapes
from core.target import PRECISION_BYTES as PRECISION_BYTES
from core.target import UNDERSTOOD as UNDERSTOOD
from core.target import Target as Target
from core.target import check_device as check_device
from core.target import chosen_device
from core.target import has_weights as has_weights
from core.target import parse_amount as parse_amount
from core.target import parse_target as parse_target
from core.target import restate as restate
from core.teachers import Teacher as Teacher
from core.teachers import models_at_hand as models_at_hand
from core.teachers import rank_teachers as rank_teachers
from core.teachers import sample_teachers as sample_teachers
from core.tokenizer import same_tokenizer

TOKENS_PER_PARAMETER = 20

# --- how the two go together ------------------------------------------------------------------------------------------


class PairCheck(BaseModel):
    """One thing that teacher and student have with or against each other."""

    model_config = ConfigDict(frozen=True)

    what: Literal["tokenizer", "family", "size"]
    verdict: Literal["good", "warning", "error", "unknown"]
    text: str


def pair_checks(
    teacher: ModelInfo | None, existing: ModelInfo | None, chosen: Teacher | None, objective: Objective | None
) -> tuple[PairCheck, ...]:
    """Tokenizers, families and sizes of teacher and student in words; `existing` is the student that is a model already,
    `objective` None where the teacher does not guide.
    """
    if teacher is None:
        return ()
    checks = [_tokenizer_check(teacher, existing, objective), _family_check(teacher, existing)]
    if chosen is not None:
        checks.append(PairCheck(what="size", verdict=_size_verdict(chosen.badge_sentence), text=_size_words(chosen)))
    return tuple(checks)


def _tokenizer_check(teacher: ModelInfo, existing: ModelInfo | None, objective: Objective | None) -> PairCheck:
    if existing is None:
        if teacher.tokenizer.fingerprint is None:
            why = teacher.tokenizer.unknown_because or "its files are unknown here"
            text = f"Tokenizer unknown: {why}. The student takes it over as it is."
            return PairCheck(what="tokenizer", verdict="unknown", text=text)
        return PairCheck(what="tokenizer", verdict="good", text="Same tokenizer: the student takes over the teacher's.")
    same, why = same_tokenizer(existing.tokenizer, teacher.tokenizer)
    if same:
        return PairCheck(what="tokenizer", verdict="good", text=f"Same tokenizer: {why}.")
    if None in (existing.tokenizer.fingerprint, teacher.tokenizer.fingerprint):
        return PairCheck(what="tokenizer", verdict="unknown", text=f"Tokenizers unknown: {why}.")
    if objective is not None and OBJECTIVES[objective].needs != "text":
        return PairCheck(what="tokenizer", verdict="error", text=f"Different tokenizers: {why}.")
    beside = "" if objective is None else f" Texts are compared instead ({objective})."
    return PairCheck(what="tokenizer", verdict="warning", text=f"Different tokenizers: {why}.{beside}")


def _family_check(teacher: ModelInfo, existing: ModelInfo | None) -> PairCheck:
    family = teacher.model_type or teacher.architecture
    if existing is not None:
        own = existing.model_type or existing.architecture
        if own == family:
            return PairCheck(what="family", verdict="good", text=f"Same family: {own}.")
        text = f"Families differ ({own} learns from {family}): fine, as long as the tokenizers are the same."
        return PairCheck(what="family", verdict="good", text=text)
    if teacher.shape is not None:
        return PairCheck(what="family", verdict="good", text=f"Same family: both are {family}.")
    text = f"The family {family} is unknown here: nothing can be cut from it, but it can teach an existing model."
    return PairCheck(what="family", verdict="error", text=text)


def _size_verdict(sentence: str) -> Literal["good", "warning", "error"]:
    if sentence == law.Badge.IN_BAND.sentence:
        return "good"
    return "error" if sentence == law.Badge.SMALLER.sentence else "warning"


def _size_words(chosen: Teacher) -> str:
    return f"{chosen.badge.capitalize()}: the teacher is {chosen.ratio:.3g} times the student."


# --- the plan ---------------------------------------------------------------------------------------------------------


class Plan(BaseModel):
    """What the law recommends for a student, who is at hand to teach it, and what a run would take."""

    model_config = ConfigDict(frozen=True)

    target: Target
    student_params: int
    student_reason: str
    init: Builder
    teacher_params: int  # recommended
    band: tuple[int, int]
    affine_params: int | None
    extrapolated: bool
    sentence: str
    source: str
    caveat: str
    candidates: tuple[Teacher, ...]
    teacher: Teacher | None
    assistants: law.Assistants
    second_opinion: law.SecondOpinion
    shapes: tuple[Proposal, ...]
    tokens: int
    tokens_reason: str
    budget_sentence: str
    own_runs: int
    own_law: law.Refit | None
    own_law_sentence: str
    estimate: Estimate
    problems: tuple[Problem, ...]
    devices: tuple[Device, ...]
    device: str
    device_reason: str
    lesson_source: Source  # of what is learnt; `source` is the law's
    objective: Objective  # as it will be: texts are compared where the tokenizers differ
    objective_sentence: str
    sources: tuple[Choice, ...]
    objectives: tuple[Choice, ...]
    teacher_shape: Shape | None  # of the teacher, or of the one that is reckoned with
    student_shape: Shape | None  # as it would be made; None where nothing is known but its size
    student_exact: int  # parameters of that shape
    pair: tuple[PairCheck, ...]
    text_bytes: int | None
    passes: float | None  # how often the budget reads the text, at BYTES_PER_TOKEN


def plan(
    home: Home,
    target: Target,
    teacher: Path | None = None,
    *,
    init: Builder = "prune",
    tokens: int | None = None,
    data: Sequence[str] = (),
    device: str = "auto",
    at_hand: Iterable[ModelEntry | Path] = (),
    allow_remote_code: bool = False,
    measured_tokens_per_second: float | None = None,
    shape: Shape | None = None,
    **fields: Any,
) -> Plan:
    """The plan for a student. Works with no teacher and with nothing at hand; then stand-ins are reckoned with.

    `shape` is one that somebody chose instead of the first proposal.
    `at_hand` are models that the user added, beside those of `models_at_hand`; `fields` are other fields of the recipe
    (`sequence_length`, `use_teacher`, …). What stands in the way of a run is in `problems`; raised are BadModel for a
    teacher or student folder that can't be used, and BadRecipe for a target without meaning or a field out of range.
    """
    place, why_place, machine = chosen_device(device)
    two = _the_two(home, target, teacher, init, at_hand, allow_remote_code, place, shape)
    budget = tokens or max(64, TOKENS_PER_PARAMETER * two.student_params)
    asked = _recipe(target, teacher, two.init, data, budget, device, fields)
    recipe = aligned(asked, two.teacher, two.existing)
    further, unusable = further_teachers(recipe)
    text_bytes = total_bytes(list(data)) if data else None
    sizes = Cast(two.student, (two.teaching, *map(Size.of_model, further)))
    costs = _Costs(place, sizes, text_bytes, _kept(home, recipe), recipe, measured_tokens_per_second)
    cost = costs.of(recipe)
    own = own_law(home)
    return Plan(
        target=target,
        **_words_of_the_law(two, budget),
        tokens=budget,
        tokens_reason="as asked" if tokens else f"{TOKENS_PER_PARAMETER} tokens for each parameter of the student",
        own_runs=own.runs,
        own_law=own.refit,
        own_law_sentence=own.sentence,
        estimate=cost,
        problems=(*two.problems, *unusable, *_against(recipe, two, further), *_misfit(cost)),
        devices=tuple(machine),
        device=place.id,
        device_reason=why_place,
        **_words_of_the_lesson(recipe, two, further, costs),
        text_bytes=text_bytes,
        passes=budget * BYTES_PER_TOKEN / text_bytes if text_bytes else None,
    )


@dataclass(frozen=True)
class _Two:
    """Teacher and student as far as they are known, and the sizes that are reckoned with."""

    student_params: int
    student_reason: str
    init: Builder
    teacher: ModelInfo | None
    existing: ModelInfo | None  # the student that is a model already
    candidates: tuple[Teacher, ...]
    chosen: Teacher | None  # what the teacher is to the student
    basis: Teacher | None  # what the student is cut from: the chosen one, or the best at hand
    advised: law.Recommendation
    shapes: tuple[Proposal, ...]
    problems: tuple[Problem, ...]
    student: Size
    teaching: Size


def _the_two(
    home: Home,
    target: Target,
    teacher: Path | None,
    init: Builder,
    at_hand: Iterable[ModelEntry | Path],
    allow_remote_code: bool,
    place: Device,
    shape: Shape | None,
) -> _Two:
    info = inspect_model(teacher, allow_remote_code) if teacher is not None else None
    bandwidth = memory_bandwidth(place) if target.kind == "speed" else None
    student_params, reason = target.explained(info.parameters if info else None, bandwidth)
    existing = existing_student(target, allow_remote_code)
    init = "existing" if existing else init
    reference = existing or info
    models = [*at_hand, *models_at_hand(home)]
    candidates = rank_teachers(models, student_params, reference.tokenizer if reference else None)
    chosen = _chosen(info, student_params, existing)
    basis = chosen or next((c for c in candidates if c.badge == law.Badge.IN_BAND.word), None)
    shapes, problems = _shapes_or_problem(basis, student_params, init, target)
    by_hand = shape if basis is not None and target.path is None else None
    advised = law.recommend(student_params)
    return _Two(
        student_params,
        reason,
        init,
        info,
        existing,
        tuple(candidates),
        chosen,
        basis,
        advised,
        tuple(shapes),
        tuple(problems),
        student=_student_size(existing, basis, shapes, target, student_params, by_hand),
        teaching=_teacher_size(info, basis, advised),
    )


def _words_of_the_law(two: _Two, budget: int) -> dict[str, Any]:
    """What the plan says of sizes: the wish, the law's advice, who is at hand, and what would be made."""
    advised, student, teaching = two.advised, two.student, two.teaching
    nearest = two.basis or (two.candidates[0] if two.candidates else None)
    return {
        "student_params": two.student_params,
        "student_reason": two.student_reason,
        "init": two.init,
        "teacher_params": advised.teacher_params,
        "band": advised.band,
        "affine_params": advised.affine_params,
        "extrapolated": advised.extrapolated,
        "sentence": advised.sentence,
        "source": advised.source,
        "caveat": law.CAVEAT,
        "candidates": two.candidates,
        "teacher": two.chosen,
        "assistants": _assistants(nearest, two.student_params),
        "second_opinion": law.second_opinion(student.non_embedding, budget, teaching.non_embedding),
        "budget_sentence": law.budget_words(student.parameters, budget),
        "shapes": two.shapes,
        "teacher_shape": None if teaching.assumed else teaching.shape,
        "student_shape": None if student.assumed else student.shape,
        "student_exact": student.parameters,
    }


def _words_of_the_lesson(
    recipe: DistillRecipe, two: _Two, further: Sequence[ModelInfo], costs: _Costs
) -> dict[str, Any]:
    """What the plan says of how the teacher guides, and of what else could be chosen."""

    def stands_against(other: DistillRecipe) -> list[Problem]:
        # where none is chosen yet, a teacher is reckoned with, and so are its reasons
        taught = other.model_copy(update={"teacher": other.teacher or "not chosen yet"})
        return [*taught.problems(), *_against(other, two, further)]

    one_tokenizer, _ = shares_tokenizer(two.teacher, two.existing)
    return {
        "lesson_source": recipe.source,
        "objective": recipe.objective,
        "objective_sentence": _objective_sentence(recipe, two.teacher, two.existing),
        "sources": source_choices(recipe, costs.of, stands_against),
        "objectives": objective_choices(recipe, costs.of, stands_against, one_tokenizer),
        "pair": pair_checks(two.teacher, two.existing, two.chosen, recipe.objective if recipe.guided else None),
    }


def _against(recipe: DistillRecipe, two: _Two, further: Sequence[ModelInfo]) -> list[Problem]:
    """What the models have against the recipe."""
    params = two.student_params if two.teacher else None
    found = recipe_problems(recipe, two.teacher, two.existing, params, further)
    return found + named_cache_problems(recipe, two.teacher, weights=False)


@dataclass(frozen=True)
class _Costs:
    """What the same models on the same text and device take, under one recipe or another.

    A speed that was measured under the recipe `of_measured` is scaled to another by what both are reckoned to take.
    """

    place: Device
    sizes: Cast
    text_bytes: int | None
    kept: bool  # the teacher's answers are there already, should it be asked for them
    of_measured: DistillRecipe
    measured_tokens_per_second: float | None

    def of(self, recipe: DistillRecipe) -> Estimate:
        if self.measured_tokens_per_second is None:
            return self._estimate(recipe, None)
        scale = self.measured_tokens_per_second / self._estimate(self.of_measured, None).tokens_per_second
        return self._estimate(recipe, scale * self._estimate(recipe, None).tokens_per_second)

    def _estimate(self, recipe: DistillRecipe, speed: float | None) -> Estimate:
        teacher, *further = self.sizes.teachers
        return estimate(
            recipe,
            teacher,
            self.sizes.student,
            self.place,
            further=further,
            cached=self.kept,
            text_bytes=self.text_bytes,
            measured_tokens_per_second=speed,
        )


def _kept(home: Home, recipe: DistillRecipe) -> bool:
    """Whether the teacher's answers are there already: in the named cache, or in one that an earlier run made for itself.

    What can be seen at once is compared; the engine looks at every text.
    """
    if recipe.cache is not None:
        return cache_info(Path(recipe.cache)).usable
    asked = (recipe.teacher, recipe.top_k, recipe.tail, recipe.temperature, sorted(_absolute_paths(recipe.data)))
    return any(
        (found.teacher, found.top_k, found.tail, found.temperature, sorted(found.data)) == asked and found.usable
        for found in caches(home)
    )


def _absolute_paths(data: Sequence[str]) -> list[str]:
    """The files that the data stands for, as a cache names them; none while they can't be read."""
    try:
        return [str(file.absolute()) for file in text_files(list(data))]
    except BadData:
        return []


def _objective_sentence(recipe: DistillRecipe, teacher: ModelInfo | None, existing: ModelInfo | None) -> str:
    facts = OBJECTIVES[recipe.objective]
    same, why = shares_tokenizer(teacher, existing)
    if same or facts.needs != "text" or not recipe.guided:
        return f"{facts.title}: {facts.advice}"
    return f"Teacher and student have different tokenizers ({why}), so texts are compared: {facts.title}."


def _chosen(info: ModelInfo | None, student_params: int, existing: ModelInfo | None) -> Teacher | None:
    if info is None:
        return None
    entry = ModelEntry(name=info.name, path=info.path, info=info)
    found = rank_teachers([entry], student_params, existing.tokenizer if existing else info.tokenizer)
    if found:
        return found[0]
    why = "an adapter" if info.is_adapter else f"quantized ({info.quantization})"
    raise BadModel(f"{info.name} is {why}, so it can't teach.", "Merge the adapter or take the full-precision model.")


def _shapes_or_problem(
    basis: Teacher | None, student_params: int, init: Builder, target: Target
) -> tuple[list[Proposal], list[Problem]]:
    if basis is None or target.path is not None or basis.parameters < student_params:
        return [], []  # a teacher smaller than the student is a problem of its own
    try:
        return student_shapes(read_config(basis.path), student_params, init), []
    except Trouble as trouble:
        return [], [Problem(field="student", text=str(trouble))]


def _student_size(
    existing: ModelInfo | None,
    basis: Teacher | None,
    shapes: Sequence[Proposal],
    target: Target,
    student_params: int,
    by_hand: Shape | None = None,
) -> Size:
    if existing is not None:
        return Size.of_model(existing)
    if by_hand is not None and basis is not None and read_config(basis.path)["model_type"] == by_hand.model_type:
        return Size.of_config(config_for(read_config(basis.path), by_hand))
    if target.path is not None:
        return Size.of_config(read_config(target.path))
    if shapes and basis is not None:
        return Size(shapes[0].parameters, shapes[0].non_embedding, shapes[0].shape)
    return Size.stand_in(student_params)


def _teacher_size(info: ModelInfo | None, basis: Teacher | None, advised: law.Recommendation) -> Size:
    if info is not None:
        return Size.of_model(info)
    if basis is not None:
        config = read_config(basis.path)
        return Size.of_config(config) if config["model_type"] in KNOWN_FAMILIES else Size.stand_in(basis.parameters)
    return Size.stand_in(advised.teacher_params)


def _recipe(
    target: Target,
    teacher: Path | None,
    init: Builder,
    data: Sequence[str],
    tokens: int,
    device: str,
    fields: Mapping[str, Any],
) -> DistillRecipe:
    """A recipe to reckon with. Its text may not be chosen yet, and is not looked at."""
    raw = {
        "teacher": None if teacher is None else str(teacher),
        "student": target.text,
        "init": init,
        "data": tuple(data) or ("not chosen yet",),
        "tokens": tokens,
        "device": device,
        **fields,
    }
    try:
        return DistillRecipe.model_validate(raw)
    except ValueError as error:
        raise BadRecipe(f"The plan's settings can't be used: {error}") from error


def _misfit(cost: Estimate) -> list[Problem]:
    if cost.fits:
        return []
    text = (
        f"The run is expected to need more memory than {cost.device} has free. {cost.sentence} Choose a smaller "
        "student or teacher, a shorter sequence, gradient checkpointing, or another device."
    )
    return [Problem(field="device", text=text)]


def _assistants(best: Teacher | None, student_params: int) -> law.Assistants:
    if best is None:
        return law.Assistants((), "No teacher is at hand, so none is too big.")
    if best.parameters <= law.BAND_RATIOS[1] * student_params:
        return law.Assistants((), "No assistant is needed: the teacher is not above the band.")
    return law.assistants(best.parameters, student_params)
