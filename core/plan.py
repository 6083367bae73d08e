"""From a wish to a run: what the student must be, who should teach it, what it will take, and the recipe settled.

`parse_target` reads the wish, `plan` shows what the law recommends, which models at hand fit and what a run would cost,
`settle` turns a recipe into one that says everything exactly. No torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

import resources
from core import law
from core.devices import Device, default_device, devices
from core.distill import Builder, DistillRecipe
from core.documents import total_bytes
from core.errors import BadModel, BadRecipe, Trouble
from core.estimate import Estimate, Figure, Size, estimate, memory_bandwidth, parameters_for_speed
from core.home import Home
from core.models import (
    ModelEntry,
    ModelInfo,
    TokenizerIdentity,
    inspect_model,
    name_of,
    read_config,
    resolve_model,
    same_tokenizer,
    scan_hub_cache,
    tokenizer_identity,
)
from core.numbers import bytes_text, count_text, parse_count
from core.own_runs import own_law
from core.recipe import Problem
from core.shapes import (
    KNOWN_FAMILIES,
    Proposal,
    Shape,
    config_for,
    count_parameters,
    propose_shapes,
    scratch_shapes,
    shape_of,
    shape_problems,
    validate_cut,
)

CUTS: tuple[Builder, ...] = ("prune", "masks", "inherit")
TOKENS_PER_PARAMETER = 20
TARGET_TOLERANCE = 0.02

# --- what the student must be -----------------------------------------------------------------------------------------

# Bytes a parameter. The integers are stored in blocks of 32 with a 16-bit scale, as in Q8_0 and Q4_0.
PRECISION_BYTES = {"float32": 4.0, "bf16": 2.0, "fp16": 2.0, "int8": 1.0625, "int4": 0.5625}
_PRECISION_NAMES = {"fp32": "float32", "f32": "float32", "bfloat16": "bf16", "float16": "fp16", "f16": "fp16"}
_NUMBER = r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*"
_AT = r"\s*(?:@\s*(?P<precision>\w+))?"
_SHARE = re.compile(_NUMBER + r"(?P<unit>x|×|%)", re.IGNORECASE)
_MEMORY = re.compile(_NUMBER + r"(?P<unit>[kmgt]i?b)" + _AT, re.IGNORECASE)
_SPEED = re.compile(_NUMBER + r"(?:tok|tokens|t)/s" + _AT, re.IGNORECASE)
UNDERSTOOD = (
    "Write a share of the teacher (0.4x), a size (1.3M, 3B, 350000), memory at a precision (2GB, 2GB@int4), "
    "a speed on this machine (30tok/s), or the folder of a model."
)


class Target(BaseModel):
    """What the student must be. `value` is a share, a count of parameters, bytes, or tokens a second."""

    model_config = ConfigDict(frozen=True)

    text: str
    kind: Literal["share", "size", "memory", "speed", "folder"]
    value: float = 0.0
    precision: str = "bf16"  # of the weights, for memory and speed
    path: Path | None = None

    def parameters(self, teacher_params: int | None = None, bandwidth: Figure | None = None) -> int:
        """The size in parameters. A share needs the teacher's, a speed the memory bandwidth of the device.

        Raises BadRecipe where that is missing, and BadModel for a folder that is no model.
        """
        return self.explained(teacher_params, bandwidth)[0]

    def explained(self, teacher_params: int | None = None, bandwidth: Figure | None = None) -> tuple[int, str]:
        """The size in parameters and how it follows from what was asked."""
        bytes_each = PRECISION_BYTES[self.precision]
        if self.kind == "share":
            if teacher_params is None:
                raise BadRecipe(
                    f"student: {self.text} is a share of the teacher, and there is none.",
                    "Name a teacher, or give the student's size (1.3M).",
                )
            size, reason = (
                self.value * teacher_params,
                f"{self.value:.3g} of the teacher's {count_text(teacher_params)}",
            )
        elif self.kind == "memory":
            size, reason = self.value / bytes_each, f"weights at {bytes_each:g} bytes a parameter ({self.precision})"
        elif self.kind == "speed":
            if bandwidth is None:
                raise BadRecipe(f"student: {self.text} needs the memory bandwidth of a device.", "Name the device.")
            figure = parameters_for_speed(self.value, bytes_each, bandwidth)
            band = f"between {count_text(figure.low)} and {count_text(figure.high)}"
            size, reason = figure.value, f"{band}: {figure.reason}"
        elif self.path is not None:
            size, reason = _folder_parameters(self.path), f"counted in {self.path.name}"
        else:
            size, reason = self.value, "as asked"
        if size < 1:
            raise BadRecipe(f"student: {self.text} leaves no room for a single parameter.", UNDERSTOOD)
        return round(size), reason


def parse_target(text: str) -> Target:
    """Read what the student must be. Raises BadRecipe, saying what is understood, for anything else.

    >>> parse_target("2GB@int4").kind
    'memory'
    """
    wish = text.strip()
    return _parse_amount(wish) or _parse_folder(wish)


def parse_amount(text: str) -> Target | None:
    """The share, size, memory or speed that a text says, or None where it says none. Raises BadRecipe as `parse_target`."""
    return _parse_amount(text.strip())


def restate(
    kind: Literal["share", "size", "memory", "speed"],
    parameters: int,
    teacher_params: int | None = None,
    precision: str = "bf16",
    device: str = "auto",
) -> str:
    """A student of this size said in another way, so that a form can change between them: 1.3M, 0.4x, 2.6MB@bf16, …

    A share needs the teacher's size and a speed the memory bandwidth of `device` (0.1 s on a CPU, the first time).
    """
    if kind == "size":
        return count_text(parameters)
    if kind == "share":
        if not teacher_params:
            raise BadRecipe("student: A share needs a teacher, and there is none.", "Choose a teacher first.")
        return f"{_plain(min(1.0, parameters / teacher_params))}x"
    size_bytes = PRECISION_BYTES[precision]
    if kind == "memory":
        return f"{bytes_text(parameters * size_bytes)}@{precision}"
    # the size for one token a second, over the size there is
    one = parameters_for_speed(1.0, size_bytes, memory_bandwidth(_place(device)[0])).value
    return f"{_plain(one / parameters)}tok/s@{precision}"


def _plain(value: float) -> str:
    """Three digits without an exponent."""
    return f"{float(f'{value:.3g}'):.12f}".rstrip("0").rstrip(".")


def _parse_amount(wish: str) -> Target | None:
    """The target, or None for what is no amount."""
    if match := _SHARE.fullmatch(wish):
        share = float(match["number"]) / (100 if match["unit"] == "%" else 1)
        if not 0 < share <= 1:
            raise BadRecipe(f"student: {wish} is no share of the teacher.", "Write one above 0 and at most 1, as 0.4x.")
        return Target(text=wish, kind="share", value=share)
    if match := _MEMORY.fullmatch(wish):
        unit = match["unit"].lower()
        scale = (1024 if "i" in unit else 1000) ** ("kmgt".index(unit[0]) + 1)
        value = _above_zero(wish, float(match["number"])) * scale
        return Target(text=wish, kind="memory", value=value, precision=_precision(wish, match["precision"]))
    if match := _SPEED.fullmatch(wish):
        value = _above_zero(wish, float(match["number"]))
        return Target(text=wish, kind="speed", value=value, precision=_precision(wish, match["precision"]))
    try:
        return Target(text=wish, kind="size", value=_above_zero(wish, parse_count(wish)))
    except BadRecipe:
        raise
    except Trouble:
        return None


def _parse_folder(wish: str) -> Target:
    try:
        return Target(text=wish, kind="folder", path=resolve_model(wish or "?"))
    except BadModel as error:
        if "/" in wish or "\\" in wish:
            raise BadRecipe(f"student: {error.what}", error.way_out) from error
        raise BadRecipe(f"student: {wish!r} is no size and no model folder.", UNDERSTOOD) from error


def _above_zero(wish: str, value: float) -> float:
    if value <= 0:
        raise BadRecipe(f"student: {wish} is no size.", UNDERSTOOD)
    return value


def _precision(wish: str, name: str | None) -> str:
    named = (name or "bf16").lower()
    named = _PRECISION_NAMES.get(named, named)
    if named not in PRECISION_BYTES:
        raise BadRecipe(f"student: {name!r} in {wish} is no precision.", f"Known are {', '.join(PRECISION_BYTES)}.")
    return named


def _folder_parameters(folder: Path) -> int:
    if has_weights(folder):
        return inspect_model(folder, allow_remote_code=True).parameters  # only counted: nothing of it is run
    return count_parameters(read_config(folder)).total


def has_weights(folder: Path) -> bool:
    """False for a folder that describes a model (config.json) and holds no weights of any format."""
    return any(any(folder.glob(pattern)) for pattern in ("*.safetensors*", "*.bin", "*.pt", "*.pth", "*.gguf"))


# --- teachers at hand -------------------------------------------------------------------------------------------------


class Teacher(BaseModel):
    """A model that may teach, and what the law says of it. `distance` is |ln(T / 2.5 S)|."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: Path
    parameters: int
    ratio: float
    distance: float
    badge: str
    badge_sentence: str
    same_tokenizer: bool | None  # as the student's; None where that is not known


@dataclass(frozen=True)
class _AtHand:
    name: str
    path: Path
    parameters: int
    tokenizer: TokenizerIdentity | None  # None: not looked at yet


def sample_teachers() -> list[Path]:
    """The folders of the built-in sample family."""
    return sorted(file.parent for root in resources.__path__ for file in Path(root).glob("sample/*/config.json"))


def models_at_hand(home: Home) -> list[Path]:
    """Model folders that nobody needs to name: students of our runs, the Hub cache, and the sample family."""
    students = sorted(file.parent for file in home.runs.glob("[!.]*/artifacts/[!.]*/config.json"))
    return [*students, *scan_hub_cache(), *sample_teachers()]


def _usable(models: Iterable[ModelEntry | Path]) -> Iterator[_AtHand]:
    """Each model once. Those that can't teach (broken, adapters, quantized) are left out; the library lists them."""
    seen: set[Path] = set()
    for model in models:
        path = (model.path if isinstance(model, ModelEntry) else model).resolve()
        if path in seen:
            continue
        seen.add(path)
        found = _from_entry(model) if isinstance(model, ModelEntry) else _from_folder(model)
        if found is not None:
            yield found


def _from_entry(entry: ModelEntry) -> _AtHand | None:
    info = entry.info
    if info is None or info.is_adapter or info.quantization is not None:
        return None
    return _AtHand(entry.name, entry.path, info.parameters, info.tokenizer)


def _from_folder(folder: Path) -> _AtHand | None:
    """From config.json alone where the family is known: reading large tokenizers and headers would take seconds."""
    try:
        config = read_config(folder)
        if config.get("quantization_config") or not any(folder.glob("*.safetensors*")):
            return None
        if config["model_type"] in KNOWN_FAMILIES:
            return _AtHand(name_of(folder), folder, count_parameters(config).total, None)
        info = inspect_model(folder)
        return _AtHand(info.name, folder, info.parameters, info.tokenizer)
    except BadModel:
        return None


def rank_teachers(
    models: Iterable[ModelEntry | Path], student_params: int, tokenizer: TokenizerIdentity | None = None
) -> list[Teacher]:
    """The usable models, the best teacher first (core.law.rank). `tokenizer` is the student's, where it has one."""
    usable = {str(model.path): model for model in _usable(models)}
    candidates = [
        law.Candidate(path, model.parameters, _shares_tokenizer(model, tokenizer)) for path, model in usable.items()
    ]
    return [_teacher(usable[ranked.candidate.name], ranked) for ranked in law.rank(candidates, student_params)]


def _shares_tokenizer(model: _AtHand, tokenizer: TokenizerIdentity | None) -> bool | None:
    if tokenizer is None or tokenizer.fingerprint is None:
        return None
    try:
        own = model.tokenizer or tokenizer_identity(model.path)
    except BadModel:
        return None
    return None if own.fingerprint is None else same_tokenizer(own, tokenizer)[0]


def _teacher(model: _AtHand, ranked: law.Ranked) -> Teacher:
    return Teacher(
        name=model.name,
        path=model.path,
        parameters=model.parameters,
        ratio=ranked.ratio,
        distance=ranked.distance,
        badge=ranked.badge.word,
        badge_sentence=ranked.badge.sentence,
        same_tokenizer=ranked.candidate.same_tokenizer,
    )


# --- shapes of the student --------------------------------------------------------------------------------------------


def student_shapes(teacher_config: Mapping[str, Any], target_params: int, init: Builder) -> list[Proposal]:
    """Shapes for a student of the target size that `init` can make, the best first; none for an existing model.

    Raises Trouble where no such shape exists, or the teacher's architecture can't be taken apart.
    """
    if init == "existing":
        return []
    if init == "scratch":
        return scratch_shapes(teacher_config, target_params)
    if init == "inherit":
        return [_inherited_shape(teacher_config, target_params)]
    return propose_shapes(teacher_config, target_params)


def _inherited_shape(teacher_config: Mapping[str, Any], target_params: int) -> Proposal:
    """The number of whole layers of the teacher that comes nearest to the target."""
    teacher = shape_of(teacher_config)
    shapes = [teacher.model_copy(update={"layers": layers}) for layers in range(1, teacher.layers + 1)]
    counts = [count_parameters(config_for(teacher_config, shape)) for shape in shapes]
    least, most = counts[0].total, counts[-1].total
    if not least * (1 - TARGET_TOLERANCE) <= target_params <= most * (1 + TARGET_TOLERANCE):
        raise Trouble(
            f"A student that inherits whole layers of this teacher has between {count_text(least)} and "
            f"{count_text(most)} parameters, not {count_text(target_params)}.",
            "Choose a size in that range, or another way to make the student (prune, scratch).",
        )
    layers, count = min(enumerate(counts, 1), key=lambda item: abs(item[1].total - target_params))
    miss = count.total / target_params - 1
    return Proposal(
        shape=shapes[layers - 1],
        parameters=count.total,
        non_embedding=count.non_embedding,
        score=1 / (1 + abs(miss)),
        reason=f"The first {layers} of {teacher.layers} layers, all widths kept: {miss:+.1%} from the target.",
    )


# --- a shape by hand --------------------------------------------------------------------------------------------------

Unit = Literal["layers", "hidden", "heads", "kv_heads", "intermediate"]


def editable_units(teacher: Shape, init: Builder) -> tuple[Unit, ...]:
    """What of a student's shape may be chosen. Where whole key-value groups go, the heads follow the key-value heads."""
    if init == "inherit":
        return ("layers",)
    if init in CUTS:
        return ("layers", "hidden", "kv_heads", "intermediate")
    return ("layers", "hidden", "heads", "kv_heads", "intermediate")


def reshaped(teacher: Shape, shape: Shape, unit: Unit, value: int, init: Builder) -> Shape | None:
    """`shape` with another number of `unit` (and what hangs on it), or None where the builder can't make it."""
    size: dict[str, int] = {unit: value}
    square = shape.model_type in SQUARE_FAMILIES
    if init in CUTS and unit == "kv_heads":
        size["heads"] = value * teacher.heads // teacher.kv_heads
    if square and unit in ("heads", "kv_heads"):
        size |= {"heads": value, "kv_heads": value, "hidden": value * shape.head_dim}
    if square and unit == "hidden":
        heads = max(1, value // shape.head_dim)
        size |= {"heads": heads, "kv_heads": heads}
    changed = shape.model_copy(update=size)
    wrong = validate_cut(teacher, changed) if init in CUTS else shape_problems(changed)
    return None if wrong else changed


def next_shape(teacher: Shape, shape: Shape, unit: Unit, step: Literal[1, -1], init: Builder) -> Shape | None:
    """The next shape in this direction that holds together; None at the end of what is valid."""
    grain = _grain(teacher, unit)
    most = getattr(teacher, unit) if init in CUTS else 4 * max(getattr(teacher, unit), getattr(shape, unit))
    value = getattr(shape, unit)
    while True:
        # to the grid first, so that an odd width meets round ones again; the teacher's own is always on it
        beyond = (value // grain + 1) * grain if step > 0 else (-(-value // grain) - 1) * grain
        value = min(beyond, most) if step < 0 or value < most else beyond
        if not 1 <= value <= most:
            return None
        if (found := reshaped(teacher, shape, unit, value, init)) is not None:
            return found


def _grain(teacher: Shape, unit: Unit) -> int:
    if unit == "hidden" and teacher.model_type in SQUARE_FAMILIES:
        return teacher.head_dim
    if unit in ("hidden", "intermediate"):
        return 64 if getattr(teacher, unit) >= 2048 else 8
    return 1


SQUARE_FAMILIES = frozenset({"gpt2", "gpt_neox"})  # hidden = heads · head width, and every head has its own keys


# --- how the two go together ------------------------------------------------------------------------------------------


class PairCheck(BaseModel):
    """One thing that teacher and student have with or against each other."""

    model_config = ConfigDict(frozen=True)

    what: Literal["tokenizer", "family", "size"]
    verdict: Literal["good", "warning", "error", "unknown"]
    text: str


def pair_checks(
    teacher: ModelInfo | None, existing: ModelInfo | None, chosen: Teacher | None, guided: bool = True
) -> tuple[PairCheck, ...]:
    """Tokenizers, families and sizes of teacher and student in words; `existing` is the student that is a model already."""
    if teacher is None:
        return ()
    checks = [_tokenizer_check(teacher, existing, guided), _family_check(teacher, existing)]
    if chosen is not None:
        checks.append(PairCheck(what="size", verdict=_size_verdict(chosen.badge_sentence), text=_size_words(chosen)))
    return tuple(checks)


def _tokenizer_check(teacher: ModelInfo, existing: ModelInfo | None, guided: bool) -> PairCheck:
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
    verdict: Literal["error", "warning"] = "error" if guided else "warning"
    return PairCheck(what="tokenizer", verdict=verdict, text=f"Different tokenizers: {why}.")


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
    teacher_shape: Shape | None  # of the teacher, or of the one that is reckoned with
    student_shape: Shape | None  # as it would be made; None where nothing is known but its size
    student_exact: int  # parameters of that shape
    pair: tuple[PairCheck, ...]
    text_bytes: int | None
    passes: float | None  # how often the budget reads the text, at BYTES_PER_TOKEN


BYTES_PER_TOKEN = 4  # of text, about; core.estimate reckons the disk with the same


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
    place, why_place, machine = _place(device)
    info = inspect_model(teacher, allow_remote_code) if teacher is not None else None
    bandwidth = memory_bandwidth(place) if target.kind == "speed" else None
    student_params, reason = target.explained(info.parameters if info else None, bandwidth)
    existing = _existing_student(target, allow_remote_code)
    init = "existing" if existing else init
    models = [*at_hand, *models_at_hand(home)]
    reference = existing or info
    candidates = rank_teachers(models, student_params, reference.tokenizer if reference else None)
    chosen = _chosen(info, student_params, existing)
    basis = chosen or next((c for c in candidates if c.badge == law.Badge.IN_BAND.word), None)
    shapes, problems = _shapes_or_problem(basis, student_params, init, target)
    by_hand = shape if basis is not None and target.path is None else None
    student = _student_size(existing, basis, shapes, target, student_params, by_hand)
    advised = law.recommend(student_params)
    teaching = _teacher_size(info, basis, advised)
    budget = tokens or max(64, TOKENS_PER_PARAMETER * student_params)
    recipe = _recipe(target, teacher, init, data, budget, device, fields)
    problems += recipe_problems(recipe, info, existing, student_params if info else None)
    text_bytes = total_bytes(list(data)) if data else None
    cost = estimate(
        recipe,
        teaching,
        student,
        place,
        text_bytes=text_bytes,
        measured_tokens_per_second=measured_tokens_per_second,
    )
    problems += _misfit(cost)
    own = own_law(home)
    return Plan(
        target=target,
        student_params=student_params,
        student_reason=reason,
        init=init,
        teacher_params=advised.teacher_params,
        band=advised.band,
        affine_params=advised.affine_params,
        extrapolated=advised.extrapolated,
        sentence=advised.sentence,
        source=advised.source,
        caveat=law.CAVEAT,
        candidates=tuple(candidates),
        teacher=chosen,
        assistants=_assistants(basis or (candidates[0] if candidates else None), student_params),
        second_opinion=law.second_opinion(student.non_embedding, budget, teaching.non_embedding),
        shapes=tuple(shapes),
        tokens=budget,
        tokens_reason="as asked" if tokens else f"{TOKENS_PER_PARAMETER} tokens for each parameter of the student",
        budget_sentence=law.budget_words(student.parameters, budget),
        own_runs=own.runs,
        own_law=own.refit,
        own_law_sentence=own.sentence,
        estimate=cost,
        problems=tuple(problems),
        devices=tuple(machine),
        device=place.id,
        device_reason=why_place,
        teacher_shape=None if teaching.assumed else teaching.shape,
        student_shape=None if student.assumed else student.shape,
        student_exact=student.parameters,
        pair=pair_checks(info, existing, chosen, recipe.guided),
        text_bytes=text_bytes,
        passes=budget * BYTES_PER_TOKEN / text_bytes if text_bytes else None,
    )


def _place(device: str) -> tuple[Device, str, list[Device]]:
    """The device of a run, why, and all there are. Raises BadRecipe for one that isn't there."""
    machine = devices()
    if device == "auto":
        return *default_device(machine), machine
    for found in machine:
        if found.id == device and found.usable:
            return found, "as asked", machine
        if found.id == device:
            raise BadRecipe(f"device: {device} can't be used. {found.note}", "Choose another device.")
    names = ", ".join(found.id for found in machine)
    raise BadRecipe(f"device: there is no {device} on this machine.", f"There is {names}; auto chooses.")


def check_device(device: str) -> None:
    """Raise BadRecipe, naming the devices there are, for one that a run can't have on this machine."""
    if device != "auto":
        _place(device)


def _existing_student(target: Target, allow_remote_code: bool) -> ModelInfo | None:
    """The model that the target names, unless it names no folder or one without weights."""
    if target.path is None or not has_weights(target.path):
        return None
    return inspect_model(target.path, allow_remote_code)


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


# --- settling a recipe ------------------------------------------------------------------------------------------------


def settle(recipe: DistillRecipe) -> DistillRecipe:
    """The recipe made exact and complete: absolute paths, Hub names as folders, the target as a shape; then checked.

    Settling a settled recipe changes nothing, and the same recipe on the same files gives the same result (a target in
    tokens a second is measured, so it alone may come out otherwise until it is settled). Raises BadRecipe with all
    problems and BadModel for a folder that is no usable model.
    """
    check_device(recipe.device)
    placed = _with_absolute_paths(recipe)
    teacher = inspect_model(Path(placed.teacher), placed.allow_remote_code) if placed.teacher else None
    target = parse_target(placed.student)
    existing = _existing_student(target, placed.allow_remote_code)
    if existing is not None:
        settled = placed.model_copy(update={"init": "existing", "shape": None, "student": str(existing.path)})
    else:
        settled = placed.model_copy(update={"shape": _settled_shape(placed, target, teacher)})
    _raise(recipe_problems(settled, teacher, existing, _student_parameters(settled, teacher, existing)))
    return settled.check()


def beside(recipe: DistillRecipe, folder: Path) -> DistillRecipe:
    """The recipe of a file in `folder`, with its relative paths read from there. A Hub name and a size stay as they are."""
    student = recipe.student if _parse_amount(recipe.student.strip()) else _model_beside(recipe.student, folder)
    return recipe.model_copy(
        update={
            "teacher": None if recipe.teacher is None else _model_beside(recipe.teacher, folder),
            "student": student,
            "data": tuple(_path_beside(item, folder) for item in recipe.data),
            "out": None if recipe.out is None else _path_beside(recipe.out, folder),
        }
    )


def _path_beside(path: str, folder: Path) -> str:
    return str(folder.absolute() / Path(path).expanduser())


def _model_beside(name_or_path: str, folder: Path) -> str:
    placed = _path_beside(name_or_path, folder)
    if Path(placed).exists() or Path(name_or_path).is_dir():  # a folder of that name where the user stands is not meant
        return placed
    try:
        resolve_model(name_or_path)
    except BadModel:
        return placed
    return name_or_path


def _raise(problems: Sequence[Problem]) -> None:
    if problems:
        raise BadRecipe("\n".join(f"{problem.field}: {problem.text}" for problem in problems))


def _with_absolute_paths(recipe: DistillRecipe) -> DistillRecipe:
    teacher = None if recipe.teacher is None else str(resolve_model(recipe.teacher))
    target = parse_target(recipe.student)
    return recipe.model_copy(
        update={
            "teacher": teacher,
            "student": str(target.path) if target.path is not None else target.text,
            "data": tuple(str(Path(item).expanduser().absolute()) for item in recipe.data),
            "out": None if recipe.out is None else str(Path(recipe.out).expanduser().absolute()),
        }
    )


def _settled_shape(recipe: DistillRecipe, target: Target, teacher: ModelInfo | None) -> Shape | None:
    """The shape of a student that has yet to be made."""
    if recipe.init == "existing":
        if target.path is None:
            raise BadRecipe(
                f"student: {recipe.student} is no model folder, but the student shall be an existing model.",
                "Name the folder of a model, or another way to make the student (prune, masks, inherit, scratch).",
            )
        inspect_model(target.path, recipe.allow_remote_code)  # says what is missing there
    if target.path is not None:
        return shape_of(read_config(target.path))
    if teacher is None:
        _raise(recipe.problems())
        return recipe.shape
    _raise(_builder_problems(recipe, teacher))
    config = read_config(teacher.path)
    try:
        if recipe.shape is not None:
            _raise(_shape_problems(recipe, recipe.shape, target, teacher, config))
            return recipe.shape
        bandwidth = memory_bandwidth(_place(recipe.device)[0]) if target.kind == "speed" else None
        params = target.parameters(teacher.parameters, bandwidth)
        _raise(_size_problems(teacher, params))
        return student_shapes(config, params, recipe.init)[0].shape
    except BadRecipe:
        raise
    except Trouble as trouble:
        raise BadRecipe(f"student: {trouble.what}", trouble.way_out) from trouble


def _shape_problems(
    recipe: DistillRecipe, shape: Shape, target: Target, teacher: ModelInfo, config: Mapping[str, Any]
) -> list[Problem]:
    """What is wrong with a shape that stands in the recipe already: it doesn't fit the teacher, or not the target."""
    if recipe.init != "scratch" and teacher.shape is not None:
        wrong = validate_cut(teacher.shape, shape)
        if recipe.init == "inherit" and shape != teacher.shape.model_copy(update={"layers": shape.layers}):
            wrong.append("inherited layers keep all widths of the teacher")
        if wrong:
            return [Problem(field="shape", text=f"It can't be cut from {teacher.name}: {'; '.join(wrong)}.")]
    params = count_parameters(config_for(config, shape)).total
    if target.kind == "speed":
        return []
    asked = target.parameters(teacher.parameters)
    tolerance = TARGET_TOLERANCE
    if recipe.init == "inherit":  # whole layers only: the nearest is right however far it is
        tolerance += abs(_inherited_shape(config, asked).parameters / asked - 1)
    if abs(params / asked - 1) <= tolerance:
        return []
    text = (
        f"The shape has {count_text(params)} parameters, but the student shall have {count_text(asked)} "
        f"({target.text}). Leave the shape out, and it is found anew, or change the target."
    )
    return [Problem(field="shape", text=text)]


def _student_parameters(recipe: DistillRecipe, teacher: ModelInfo | None, existing: ModelInfo | None) -> int | None:
    if existing is not None:
        return existing.parameters
    if recipe.shape is None:
        return None
    folder = teacher.path if teacher is not None else Path(recipe.student)
    config = read_config(folder)
    if config["model_type"] != recipe.shape.model_type:  # a described student of another family than its teacher
        config = read_config(Path(recipe.student))
    return count_parameters(config_for(config, recipe.shape)).total


def recipe_problems(
    recipe: DistillRecipe, teacher: ModelInfo | None, existing: ModelInfo | None, student_params: int | None
) -> list[Problem]:
    """What teacher and student have against each other. `existing` is the student where it is a model already."""
    found = []
    if teacher is not None:
        found += _builder_problems(recipe, teacher)
        found += _size_problems(teacher, student_params)
        if existing is not None and recipe.use_teacher:
            same, why = same_tokenizer(existing.tokenizer, teacher.tokenizer)
            if not same:
                found.append(Problem(field="student", text=_other_tokenizer(existing, teacher, why)))
        if existing is None:
            found += _vocabulary_problems(recipe, teacher)
    found += _sequence_problems(recipe, [model for model in (teacher, existing) if model is not None])
    return found


def _builder_problems(recipe: DistillRecipe, teacher: ModelInfo) -> list[Problem]:
    """Why this teacher can't be cut as the recipe wants, or can't teach at all."""
    if teacher.is_adapter:
        text = (
            f"{teacher.name} is an adapter and works on top of its base model only. Merge it first, or name the base."
        )
        return [Problem(field="teacher", text=text)]
    if recipe.init == "existing":
        return []
    if teacher.shape is None:
        known = ", ".join(sorted(KNOWN_FAMILIES))
        text = (
            f"{recipe.init} can't make a student of the architecture {teacher.architecture}; it knows {known}. "
            "Give an existing model as the student."
        )
        return [Problem(field="init", text=text)]
    if recipe.init in CUTS and teacher.quantization is not None:
        text = f"{teacher.name} is quantized ({teacher.quantization}); nothing can be cut from it. Take the full model."
        return [Problem(field="teacher", text=text)]
    return []


MOST_PADDING = 512  # rows of an embedding beyond its tokenizer's entries, to fill up a multiple that GPUs like


def _vocabulary_problems(recipe: DistillRecipe, teacher: ModelInfo) -> list[Problem]:
    """Why a student described by a config.json alone can't use the tokenizer of its teacher."""
    path = parse_target(recipe.student).path
    if path is None:
        return []
    config = read_config(path)
    entries, rows = teacher.tokenizer.vocabulary or teacher.vocabulary, teacher.vocabulary
    if entries is None or config["model_type"] not in KNOWN_FAMILIES:  # the builder says so
        return []
    own = shape_of(config).vocabulary
    if own == rows or entries <= own <= entries + MOST_PADDING:
        return []
    text = (
        f"{path.name} has a vocabulary of {own:,}, but the tokenizer of its teacher {teacher.name} has {entries:,} "
        f"entries. Set vocab_size in {path / 'config.json'} to {rows or entries}."
    )
    return [Problem(field="student", text=text)]


def _size_problems(teacher: ModelInfo, student_params: int | None) -> list[Problem]:
    if student_params is None or student_params <= teacher.parameters:
        return []
    text = (
        f"{teacher.name} has {count_text(teacher.parameters)} parameters, fewer than the student's "
        f"{count_text(student_params)}. Choose a larger teacher (about "
        f"{count_text(law.TARGET_RATIO * student_params)}) or a smaller student."
    )
    return [Problem(field="teacher", text=text)]


def _other_tokenizer(student: ModelInfo, teacher: ModelInfo, why: str) -> str:
    return (
        f"{student.name} and its teacher {teacher.name} have different tokenizers ({why}), so their distributions "
        "can't be compared. Choose a teacher of the same tokenizer, or train without guidance (--no-teacher)."
    )


def _sequence_problems(recipe: DistillRecipe, models: Sequence[ModelInfo]) -> list[Problem]:
    if recipe.sequence_length is None:
        return []
    return [
        Problem(
            field="sequence_length",
            text=f"{recipe.sequence_length} positions are more than the {model.context} that {model.name} can read. "
            "Shorten it.",
        )
        for model in models
        if model.context is not None and recipe.sequence_length > model.context
    ]
