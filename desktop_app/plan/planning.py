"""From a draft to a plan, off the window's thread: every trouble becomes a problem beside its field, and the rest is planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.devices import Device, devices
from core.documents import total_bytes
from core.errors import BadData, BadModel, BadRecipe, Trouble
from core.home import Home
from core.model_files import read_config
from core.models import ModelEntry, inspect_model
from core.plan import Plan, has_weights, parse_target, plan
from core.recipe import Problem
from desktop_app.plan.draft import DEFAULTS, Draft
from desktop_app.plan.options import Offers, offers

NO_TEACHER = "Choose the model that shall teach."
NO_TEXT = "Choose text to train on, or use the sample's stories."


@dataclass(frozen=True)
class Planned:
    """What came of a draft: the plan where one could be made, and all that stands in the way of a run.

    `config` is the teacher's, or that of the model the plan reckons with; None where no shape can be chosen.
    """

    draft: Draft
    plan: Plan | None
    problems: tuple[Problem, ...]
    config: Mapping[str, Any] | None
    machine: tuple[Device, ...]
    offers: Offers


@dataclass(frozen=True)
class Measured:
    """What a few real steps gave, and of which draft."""

    key: tuple[Any, ...]
    tokens_per_second: float
    peak_memory_bytes: int
    steps: int


def measure_key(draft: Draft) -> tuple[Any, ...]:
    """What the speed depends on: a measurement holds as long as these stay."""
    dials = (
        *("sequence_length", "batch_tokens", "micro_batch", "precision", "gradient_checkpointing", "chunk_rows"),
        *("objective", "balance", "hidden_weight", "relation_weight", "more_teachers", "mixture", "answers_only"),
        *("source", "cache", "top_k", "tail", "on_policy_share", "new_tokens", "teacher_mix"),
        *("processes", "strategy", "teacher_precision", "teacher_device"),
    )
    shape = None if draft.shape is None else tuple(draft.shape.model_dump().items())
    return (
        draft.teacher,
        draft.student,
        draft.init,
        shape,
        draft.device,
        draft.use_teacher,
        *(draft.more.get(name) for name in dials),
    )


def think(home: Home, draft: Draft, at_hand: Sequence[ModelEntry], measured: Measured | None) -> Planned:
    """Plan as much of the draft as can be planned."""
    problems: list[Problem] = []
    usable = _without_what_fails(draft, problems)
    made = None
    if not any(problem.field == "student" for problem in problems):
        made = _plan(home, usable, at_hand, measured, problems)
    offered = offers(home, usable, made)
    problems += _of_the_form(draft, made, problems)
    machine = tuple(made.devices if made else devices())
    return Planned(draft, made, tuple(_once(problems)), _config(made), machine, offered)


def _without_what_fails(draft: Draft, problems: list[Problem]) -> Draft:
    """The draft without a teacher, text or device that can't be used; why not goes to the problems."""
    if draft.teacher is not None:
        try:
            inspect_model(Path(draft.teacher), bool(draft.more.get("allow_remote_code")))
        except BadModel as trouble:
            problems.append(Problem(field="teacher", text=str(trouble)))
            draft = replace(draft, teacher=None)
    try:
        target = parse_target(draft.student)
        if target.path is not None and has_weights(target.path):
            inspect_model(target.path, bool(draft.more.get("allow_remote_code")))
    except Trouble as trouble:
        problems.append(Problem(field="student", text=_without_field(trouble, "student")))
    if draft.data:
        try:
            total_bytes(list(draft.data))
        except BadData as trouble:
            problems.append(Problem(field="data", text=str(trouble)))
            draft = replace(draft, data=())
    there = {None, "auto", *(device.id for device in devices() if device.usable)}
    for name in ("device", "measure_device"):
        if (asked := draft.value(name)) not in there:
            text = f"There is no {asked} on this machine that can be used. Choose another device."
            problems.append(Problem(field=name, text=text))
            draft = draft.changed({name: DEFAULTS[name]})
    return draft


def _plan(
    home: Home, draft: Draft, at_hand: Sequence[ModelEntry], measured: Measured | None, problems: list[Problem]
) -> Plan | None:
    speed = measured.tokens_per_second if measured is not None and measured.key == measure_key(draft) else None
    target = parse_target(draft.student)
    if target.kind == "share" and draft.teacher is None:
        return None  # a share of nothing; that the teacher is missing is said beside it
    try:
        return plan(
            home,
            target,
            None if draft.teacher is None else Path(draft.teacher),
            init=draft.init,
            tokens=draft.tokens,
            data=draft.data,
            device=draft.device,
            at_hand=at_hand,
            measured_tokens_per_second=speed,
            shape=draft.shape,
            **draft.settings(),
        )
    except BadRecipe as trouble:
        problems += problems_of(trouble)
    except Trouble as trouble:
        problems.append(Problem(field="student", text=str(trouble)))
    return None


def _of_the_form(draft: Draft, made: Plan | None, known: Sequence[Problem]) -> list[Problem]:
    """What the plan found, what the recipe says itself, and what has not been chosen yet."""
    found = list(made.problems) if made is not None else []
    told = {problem.field for problem in known}
    needs_teacher = draft.kind != "folder" or draft.use_teacher
    if draft.teacher is None and needs_teacher and "teacher" not in told:
        found.append(Problem(field="teacher", text=NO_TEACHER))
    if not draft.data and "data" not in told:
        found.append(Problem(field="data", text=NO_TEXT))
    if made is not None and draft.data:
        try:
            own = draft.recipe(made.tokens).model_copy(update={"init": made.init}).problems()
        except BadRecipe as trouble:
            own = problems_of(trouble)
        # a folder that is gone is told already, in more words
        told_already = {"teacher", "data", "student"} & told
        if draft.teacher is None:
            told_already |= {"teacher", "student"}
        found += [problem for problem in own if problem.field not in told_already]
    return found


def problems_of(trouble: Trouble) -> list[Problem]:
    """The problems in a BadRecipe, whose lines are `field: text`; without a field, the field is empty."""
    found = []
    for line in str(trouble).splitlines():
        name, colon, text = line.partition(": ")
        known = bool(colon) and name.replace("_", "").isalnum() and name.islower()
        found.append(Problem(field=name if known else "", text=text if known else line))
    return found


def _without_field(trouble: Trouble, name: str) -> str:
    return str(trouble).removeprefix(f"{name}: ")


def _once(problems: Sequence[Problem]) -> list[Problem]:
    return list({(problem.field, problem.text): problem for problem in problems}.values())


def _config(made: Plan | None) -> Mapping[str, Any] | None:
    """The config in which a student's shape is written, as the plan itself reckons."""
    if made is None or made.target.kind == "folder" or made.teacher_shape is None:
        return None
    basis = made.teacher or next((one for one in made.candidates if one.badge == "in the band"), None)
    return None if basis is None else read_config(basis.path)
