"""From what the form says to what a tuning would be, off the window's thread: choices with reasons, what it takes, and what is in the way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from PySide6.QtCore import QCoreApplication

from core import tune_proposals
from core.adapters import Adapter, base_of, read_adapter
from core.data.files import total_bytes
from core.data.placeholders import AUTHOR, NAME
from core.devices import Device, default_device, devices
from core.errors import BadData, BadModel, BadRecipe, Trouble
from core.models import ModelEntry, ModelInfo, inspect_model
from core.numbers import bytes_text, count_text, duration_text
from core.recipe import Problem
from core.templates import own_template
from core.tokenizer import same_tokenizer
from core.tune import METHODS, Method, TuneRecipe
from core.tune_checks import linear_layers, prefers
from core.tune_estimate import TuneEstimate, estimate
from core.tune_proposals import Proposal, proposals
from desktop_app.plan.planning import problems_of
from desktop_app.tune.draft import Draft
from desktop_app.tune.glimpse import Glimpse, Reading, look

translate = QCoreApplication.translate
FLAGS = re.compile(r" \((?:`stillroom [^`]*`|--[a-z-]+)\)")  # what the command line would have to say


@dataclass(frozen=True)
class Subject:
    """What is tuned: the model, or the adapter of it to go on from. `speaker` has the tokenizer and the template."""

    info: ModelInfo
    adapter: Adapter | None
    base: Path | None  # of the adapter
    speaker: Path
    speaks: bool  # it has a chat template of its own

    @property
    def model(self) -> Path:
        return self.base or self.info.path


@dataclass(frozen=True)
class Cost:
    """A method in figures, or why it can't be had."""

    words: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class Thought:
    """What came of a draft: `recipe` where one could be made, and all that stands in the way of a run."""

    draft: Draft
    problems: tuple[Problem, ...] = ()
    subject: Subject | None = None
    recipe: TuneRecipe | None = None
    proposals: Mapping[str, Proposal] = field(default_factory=dict)
    layers: Mapping[str, int] = field(default_factory=dict)  # all linear ones in the blocks, by name
    estimate: TuneEstimate | None = None
    device: Device | None = None
    machine: tuple[Device, ...] = ()
    costs: Mapping[str, Cost] = field(default_factory=dict)  # by method
    no_teachers: Mapping[str, str] = field(default_factory=dict)  # why a model can't be the teacher, by folder
    glimpse: Glimpse = field(default_factory=Glimpse)


def think(draft: Draft, entries: Sequence[ModelEntry]) -> Thought:
    """Reckon as much of the draft as can be reckoned."""
    problems: list[Problem] = []
    subject = _subject(draft, problems)
    data_size = _data(draft, problems)
    if data_size is not None:
        draft = replace(draft, paired=prefers(draft.data))
    machine = tuple(devices())
    device = _device(draft, machine, problems)
    thought = Thought(draft, subject=subject, device=device, machine=machine)
    if subject is not None:
        thought = _of_subject(thought, subject, entries, problems, has_data=data_size is not None)
    seen = _glimpse(thought)
    if not any(problem.field == "data" for problem in problems):
        problems += [Problem(field="data", text=_in_the_window(file.trouble)) for file in seen.files if file.trouble]
    return replace(thought, glimpse=seen, problems=_once(problems))


def _subject(draft: Draft, problems: list[Problem]) -> Subject | None:
    if draft.subject is None:
        problems.append(Problem(field="model", text=translate("TunePage", "Choose the model that is tuned.")))
        return None
    folder, trust = Path(draft.subject), bool(draft.value("allow_remote_code"))
    try:
        info = inspect_model(folder, trust)
        if not info.is_adapter:
            return Subject(info, None, None, folder, own_template(folder) is not None)
        adapter = read_adapter(folder)
        base = base_of(adapter, Path(draft.base) if draft.base else None, trust)
        has_own = (folder / "tokenizer_config.json").is_file()
        speaker = folder if has_own else base
        return Subject(inspect_model(base, trust), adapter, base, speaker, own_template(speaker) is not None)
    except BadModel as trouble:
        problems.append(Problem(field="model", text=_in_the_window(str(trouble))))
        return None


def _data(draft: Draft, problems: list[Problem]) -> int | None:
    """Bytes; None where there is nothing that can be read."""
    if not draft.data:
        problems.append(Problem(field="data", text=translate("TunePage", "Choose data to learn from.")))
        return None
    try:
        return total_bytes(list(draft.data))
    except BadData as trouble:
        problems.append(Problem(field="data", text=str(trouble)))
        return None


def _device(draft: Draft, machine: Sequence[Device], problems: list[Problem]) -> Device:
    wanted = draft.value("device")
    found = next((device for device in machine if device.id == wanted and device.usable), None)
    if found is None and wanted != "auto":
        text = translate("TunePage", "There is no %s on this machine that can be used. Choose another device.")
        problems.append(Problem(field="device", text=text % wanted))
    return found or default_device(machine)[0]


def _of_subject(
    thought: Thought, subject: Subject, entries: Sequence[ModelEntry], problems: list[Problem], *, has_data: bool
) -> Thought:
    """All that is reckoned about a model that can be read. Most of it needs no data, and is told before there are any."""
    draft, base = thought.draft, None if subject.base is None else str(subject.base)
    try:
        told = draft if draft.data else replace(draft, data=(str(subject.model),))
        recipe = _as_its_adapter(told.recipe(base), subject.adapter)
    except BadRecipe as trouble:
        problems += problems_of(trouble)
        return thought
    try:
        thought = replace(
            thought,
            proposals=_proposals(recipe, subject),
            layers=linear_layers(subject.model),
            no_teachers=_no_teachers(entries, subject),
            costs=_costs(recipe, thought, reckon=has_data),
        )
        if not has_data:
            return thought
        assert thought.device is not None
        thought = replace(thought, recipe=recipe, estimate=_estimate(recipe, thought.device))
    except Trouble as trouble:
        problems.append(Problem(field="model", text=_in_the_window(str(trouble))))
        return thought
    told_already = {problem.field for problem in problems}
    problems += [_shown(problem) for problem in recipe.problems() if problem.field not in told_already]
    if why_not := thought.costs[recipe.method].why_not:
        problems.append(Problem(field="method", text=why_not))
    return thought


def _as_its_adapter(recipe: TuneRecipe, adapter: Adapter | None) -> TuneRecipe:
    """An adapter that is gone on from keeps its kind, rank, α and layers: the recipe says so."""
    if adapter is None:
        return recipe
    method = "qlora" if (recipe.method, adapter.method) == ("qlora", "lora") else adapter.method
    listed = isinstance(adapter.config.get("target_modules"), list)
    targets = adapter.targets if listed else ()
    return recipe.model_copy(
        update={"method": method, "rank": adapter.rank, "alpha": adapter.alpha, "targets": targets}
    )


def _proposals(recipe: TuneRecipe, subject: Subject) -> dict[str, Proposal]:
    name, why = tune_proposals.template(recipe, subject.speaker)
    solid = recipe if recipe.rank else recipe.model_copy(update={"rank": 16})  # that 0 is none is said beside it
    return {**proposals(solid), "template": Proposal(value=name, reason=why)}


def _estimate(recipe: TuneRecipe, device: Device) -> TuneEstimate | None:
    return None if recipe.adapts and recipe.rank == 0 else estimate(recipe, device)


def _costs(recipe: TuneRecipe, thought: Thought, *, reckon: bool) -> dict[str, Cost]:
    assert thought.device is not None
    return {method: _cost(recipe, method, thought.device, reckon=reckon) for method in METHODS}


def _cost(recipe: TuneRecipe, method: Method, device: Device, *, reckon: bool) -> Cost:
    if method == "qlora" and (why_not := why_not_quantized(device)):
        return Cost(why_not=why_not)
    if recipe.adapter is not None and method != recipe.method and (recipe.method, method) != ("lora", "qlora"):
        text = translate("TunePage", "The adapter that is gone on from is %s. Merge it first to change that.")
        return Cost(why_not=text % METHODS[recipe.method][0])
    if not reckon:
        return Cost()
    plain = {"targets": (), "merge": False} if method == "full" else {}
    other = recipe.model_copy(update={"method": method, "rank": recipe.rank or 16, **plain})
    cost = estimate(other, device)
    words = translate("TunePage", "%s weights are learnt, in about %s and %s of memory.")
    return Cost(
        words % (count_text(cost.learnt_parameters), duration_text(cost.seconds), bytes_text(cost.memory_bytes))
    )


def why_not_quantized(device: Device) -> str:
    """Why a model can't be held in 4 bits on this device."""
    if not device.id.startswith("cuda"):
        text = translate("TunePage", "Needs an NVIDIA GPU, and this runs on %s. LoRA computes the same in more memory.")
        return text % device.id
    if find_spec("bitsandbytes") is None:
        return translate("TunePage", "Needs the package bitsandbytes, which is not installed.")
    return ""


def _no_teachers(entries: Sequence[ModelEntry], subject: Subject) -> dict[str, str]:
    found = {}
    for entry in entries:
        info = entry.info
        if info is None or info.is_adapter or info.quantization is not None:
            continue
        same, _ = same_tokenizer(info.tokenizer, subject.info.tokenizer)
        if not same and info.tokenizer.fingerprint is None:
            found[str(entry.path)] = translate("TunePage", "its tokenizer is not known")
        elif not same:
            found[str(entry.path)] = translate("TunePage", "another tokenizer")
        elif entry.path == subject.model:
            found[str(entry.path)] = translate("TunePage", "it is what is tuned")
    return found


def _glimpse(thought: Thought) -> Glimpse:
    draft, subject = thought.draft, thought.subject
    name = thought.proposals["template"].value if "template" in thought.proposals else None
    fillings = {NAME: draft.value("persona_name"), AUTHOR: draft.value("persona_author")}
    return look(
        Reading(
            data=draft.data,
            speaker=None if subject is None else subject.speaker,
            template=None if name == "own" else str(name) if name else None,
            mapping=draft.value("mapping"),
            separator=draft.value("separator"),
            fillings={mark: said for mark, said in fillings.items() if said},
            everything=draft.value("learn") == "all",
        )
    )


def _shown(problem: Problem) -> Problem:
    """Beside a field of the form: without what the command line would say."""
    name = "model" if problem.field == "adapter" else problem.field
    return Problem(field=name, text=_in_the_window(problem.text))


def _in_the_window(text: str) -> str:
    return FLAGS.sub("", text)


def _once(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple({(problem.field, problem.text): problem for problem in problems}.values())
