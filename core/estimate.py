"""What a distillation will take before it starts: memory by part, time, disk, and the choices its recipe leaves open.

Arithmetic over shapes, no torch. Every part carries its reason and the error to reckon with; what the engine does where
the recipe is silent comes from `core.defaults`, so that the estimate is of the run that will really happen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from core import defaults
from core.devices import Device
from core.distill import DistillRecipe
from core.memory import Cast, Memory, kind_of, other_phases, phases, training_memory
from core.memory import Part as Part
from core.memory import Size as Size
from core.numbers import bytes_text, count_text, duration_text
from core.objectives import OBJECTIVES, Objective
from core.speed import Figure, compute_speed, memory_bandwidth

# --- choices ----------------------------------------------------------------------------------------------------------


class Choices(BaseModel):
    """All numbers that training needs beside the recipe; lengths in tokens, the micro-batch in blocks.

    The step's tokens are those of all processes together, the micro-batch is that of each.
    """

    model_config = ConfigDict(frozen=True)

    sequence_length: int
    batch_tokens: int
    micro_batch: int
    steps: int
    learning_rate: float
    evaluate_every: int
    checkpoint_every: int
    bf16: bool
    reasons: dict[str, str]


def uses_bf16(recipe: DistillRecipe, device: Device) -> tuple[bool, str]:
    """Whether training computes in bf16, and why."""
    if recipe.precision != "auto":
        return recipe.precision == "bfloat16", "the recipe says so"
    if kind_of(device.id) != "cuda":
        return False, "only NVIDIA GPUs are taken to be faster in bf16"
    return device.bf16, device.bf16_reason


_Number = TypeVar("_Number", int, float)


def _said(asked: _Number | None, default: Callable[[], tuple[_Number, str]]) -> tuple[_Number, str]:
    return default() if asked is None else (asked, "the recipe says so")


def choices(recipe: DistillRecipe, cast: Cast, device: Device, longest_document: int | None = None) -> Choices:
    """What the run will do: the recipe's own numbers, and defaults where it has none.

    `longest_document` is in tokens, where it is known already. Deterministic but for the device's free memory.
    """
    student, kind = cast.student, kind_of(device.id)
    context = min(size.shape.context for size in (student, *(cast.teachers if recipe.use_teacher else ())))
    bf16, why_bf16 = uses_bf16(recipe, device)
    sequence, why_sequence = _said(
        recipe.sequence_length, lambda: defaults.sequence_length(context, kind, longest_document)
    )
    batch, why_batch = _said(recipe.batch_tokens, lambda: defaults.batch_tokens(recipe.tokens, sequence))
    blocks = defaults.blocks_in_a_step(batch, sequence, recipe.processes)
    share = blocks // recipe.processes
    steps = defaults.steps(recipe.tokens, blocks * sequence)
    rate, why_rate = _said(
        recipe.learning_rate, lambda: defaults.learning_rate(student.non_embedding, recipe.tokens, recipe.init)
    )
    memory = training_memory(recipe, cast, sequence=sequence, device_id=device.id, bf16=bf16)
    most = recipe.micro_batch and max(n for n in range(1, min(recipe.micro_batch, share) + 1) if share % n == 0)
    micro, why_micro = _said(most, lambda: _fitting_micro_batch(memory, share, device, recipe.processes))
    evaluate, why_evaluate = _said(recipe.evaluate_every, lambda: defaults.evaluate_every(steps))
    checkpoint, why_checkpoint = _said(recipe.checkpoint_every, lambda: defaults.checkpoint_every(steps))
    return Choices(
        sequence_length=sequence,
        batch_tokens=blocks * sequence,
        micro_batch=micro,
        steps=steps,
        learning_rate=rate,
        evaluate_every=evaluate,
        checkpoint_every=checkpoint,
        bf16=bf16,
        reasons={
            "sequence_length": why_sequence,
            "batch_tokens": why_batch,
            "micro_batch": why_micro,
            "steps": f"{count_text(recipe.tokens)} tokens, {count_text(blocks * sequence)} a step",
            "learning_rate": why_rate,
            "evaluate_every": why_evaluate,
            "checkpoint_every": why_checkpoint,
            "bf16": why_bf16,
        },
    )


def _fitting_micro_batch(memory: Memory, blocks: int, device: Device, processes: int) -> tuple[int, str]:
    return defaults.micro_batch(
        blocks,
        bytes_per_block=memory.bytes_per_block,
        fixed_bytes=memory.fixed_bytes,
        free_bytes=device.memory_free_bytes // sharing(device, processes),
        device_kind=kind_of(device.id),
    )


def sharing(device: Device, processes: int) -> int:
    """How many of a run's processes share the device: each has a GPU of its own, but all are on the one CPU."""
    return processes if kind_of(device.id) == "cpu" else 1


# --- time -------------------------------------------------------------------------------------------------------------


def flops_per_token(size: Size, sequence: int, passes: int) -> float:
    """FLOPs for one token: 2 · passes · (N + V·H) + 4 · passes · layers · sequence · heads · head width.

    `passes` is 1 forward, 3 with the backward pass. N without embeddings, as in 6·N·D + 2·N_T·D (core.law); the head's
    matrix (V·H) and the attention scores are left out there, but are the larger part of small models.
    """
    shape = size.shape
    scores = 4.0 * shape.layers * sequence * shape.heads * shape.head_dim
    return passes * (2.0 * (size.non_embedding + shape.vocabulary * shape.hidden) + scores)


# The loss itself goes through every score a few times: FLOPs that would take as long, for each position and entry, measured on one
# core of an AMD EPYC (V = 4096 and 32 000, float32).
LOSS_FLOPS: dict[Objective, float] = {
    "top1": 250, "tvd": 400, "jsd": 600, "skew_kl": 600, "skew_reverse_kl": 600,
    "top_p": 6000, "dac_kl": 9000, "sinkhorn": 3000, "uld": 9000, "gold": 9000,
}  # fmt: skip
LOSS_FLOPS_PLAIN, LOSS_FLOPS_CACHED, LOSS_FLOPS_ALONE = 350.0, 250.0, 120.0
GPU_LOSS_FACTOR = 10.0  # ours: a GPU's memory is slower beside its arithmetic

CACHE_READING = 1.05  # of a step: answers found, unpacked and gathered
WRITING_SHARE = 0.4  # of the speed of training, while the rows are enough to keep the device busy; measured on a CPU
LAYER_CALL_SECONDS = {
    "cpu": 1e-3
}  # for one layer and one token of all rows, however few they are; measured; elsewhere, ours:
LAYER_CALL_SECONDS_ON_GPU = 3e-4
PROMPT_SHARE = 1 / 3  # of a document, which the student goes on from

START_SECONDS = 10.0  # measured on 2 shared cores: imports, tokenising a few MB, loading
EVALUATION_SECONDS = 1.0  # measured there: the text sample, whatever the held-out text takes


class TimePart(BaseModel):
    """A share of the time, in seconds, and what it goes to."""

    model_config = ConfigDict(frozen=True)

    name: str
    seconds: float
    reason: str


def _loss_flops(recipe: DistillRecipe, cast: Cast, device_kind: str) -> float:
    """Of the loss for one position, in the arithmetic that takes as long."""
    values = LOSS_FLOPS.get(recipe.objective, LOSS_FLOPS_PLAIN)
    if not recipe.use_teacher or OBJECTIVES[recipe.objective].needs == "states":
        values = LOSS_FLOPS_ALONE
    elif recipe.source == "cache":
        values = LOSS_FLOPS_CACHED
    return values * cast.student.shape.vocabulary * (1.0 if device_kind == "cpu" else GPU_LOSS_FACTOR)


def _time(
    recipe: DistillRecipe, cast: Cast, chosen: Choices, device: Device, speed: Figure, captured_tokens: float
) -> list[TimePart]:
    """Training first, then what comes before and beside it, at `speed` FLOP/s. `captured_tokens`: those that fill a cache."""
    sequence, student, guides = chosen.sequence_length, cast.student, cast.guides(recipe)
    reading = sum(flops_per_token(guide, sequence, 1) for guide in guides)
    own = flops_per_token(student, sequence, 4 if recipe.gradient_checkpointing else 3)
    own += _loss_flops(recipe, cast, kind_of(device.id))
    if recipe.use_teacher and recipe.source == "cache":
        own *= CACHE_READING
    flops = speed.value * (recipe.processes // sharing(device, recipe.processes))
    seconds = chosen.steps * chosen.batch_tokens * (own + reading) / flops
    who = {0: "", 1: ", and the teacher reads along"}.get(len(guides), f", and {len(guides)} teachers read along")
    parts = [TimePart(name="training", seconds=seconds, reason=f"{count_text(recipe.tokens)} tokens are learnt{who}")]
    if captured_tokens:
        asked = captured_tokens * flops_per_token(cast.teachers[0], sequence, 1) / speed.value
        words = f"the teacher reads {count_text(captured_tokens)} tokens once, for this and every later student"
        parts.append(TimePart(name="capture", seconds=asked, reason=words))
    if guides and recipe.source == "on-policy" and recipe.on_policy_share > 0:
        parts.append(_writing(recipe, cast, chosen, device, speed))
    rehearsal = (1 + chosen.micro_batch) * sequence * (own + reading)  # one block, then the fullest micro-batch
    evaluations = math.ceil(chosen.steps / chosen.evaluate_every) + 1
    other = rehearsal + evaluations * recipe.validation_tokens * (flops_per_token(student, sequence, 1) + reading)
    if cast.teachers and recipe.init in ("prune", "masks"):
        passes = 3 if recipe.init == "masks" else 1
        other += recipe.calibration_blocks * sequence * flops_per_token(cast.teachers[0], sequence, passes)
    at_once = START_SECONDS + evaluations * EVALUATION_SECONDS
    words = "starting, making the student, evaluating"
    parts.append(TimePart(name="other", seconds=at_once + other / speed.value, reason=words))
    if waits := recipe.waits(chosen.steps):
        words = f"the training waits for {waits} evaluations; only their starting is reckoned here, not their questions"
        parts.append(TimePart(name="measuring", seconds=waits * START_SECONDS, reason=words))
    return parts


def _writing(recipe: DistillRecipe, cast: Cast, chosen: Choices, device: Device, speed: Figure) -> TimePart:
    """The student's own words, token by token: every token of all rows takes a pass over the weights, and a call for each layer.

    How long documents are is not known before the text is read: four to a block are reckoned with.
    """
    sequence, kind = chosen.sequence_length, kind_of(device.id)
    blocks = recipe.on_policy_share * chosen.batch_tokens / sequence / recipe.processes
    documents = defaults.DOCUMENTS_PER_BLOCK
    room = min(recipe.new_tokens or sequence // 2, max(1, round((1 - PROMPT_SHARE) * sequence / documents)))
    rows = max(1.0, blocks * documents)
    seconds = 0.0
    for writer in (cast.student, *(cast.teachers[:1] if recipe.teacher_mix else ())):
        batches = math.ceil(rows / defaults.written_rows(writer.shape.vocabulary))
        arithmetic = rows / batches * flops_per_token(writer, sequence, 1) / (WRITING_SHARE * speed.value)
        weights = 4 * writer.parameters / memory_bandwidth(device).value
        calls = writer.shape.layers * LAYER_CALL_SECONDS.get(kind, LAYER_CALL_SECONDS_ON_GPU)
        seconds += chosen.steps * batches * room * (max(arithmetic, weights) + calls)
    words = f"the student writes in {recipe.on_policy_share:.0%} of the blocks, token by token, about {count_text(rows)} texts at once"
    return TimePart(name="writing", seconds=seconds, reason=words)


# --- the whole --------------------------------------------------------------------------------------------------------


class Estimate(BaseModel):
    """What a run will take. Bytes and seconds, with their bands; `fits` compares with the device's free memory.

    Memory is that of one process; where several share the device, `fits` counts all of them.
    """

    model_config = ConfigDict(frozen=True)

    device: str
    memory: tuple[Part, ...]
    memory_bytes: int
    memory_band: tuple[int, int]
    memory_free_bytes: int
    fits: bool
    seconds: float
    seconds_band: tuple[float, float]
    tokens_per_second: float
    time_reason: str
    time: tuple[TimePart, ...]
    disk: tuple[Part, ...]
    disk_bytes: int
    disk_band: tuple[int, int]
    choices: Choices
    assumptions: tuple[str, ...]
    sentence: str


def estimate(
    recipe: DistillRecipe,
    teacher: Size | None,
    student: Size,
    device: Device,
    *,
    further: Sequence[Size] = (),
    cached: bool = False,
    text_bytes: int | None = None,
    measured_tokens_per_second: float | None = None,
    longest_document: int | None = None,
) -> Estimate:
    """Memory, time and disk of the run that `recipe` describes, on `device`.

    `teacher`, `further` teachers and `student` are the models as they will be; `cached` says that the teacher's answers are kept
    already. `text_bytes` is the size of the training text where it is known; a `measured_tokens_per_second` (training with all that
    happens in a step, a few steps on this machine) replaces the table of speeds.
    """
    cast = Cast(student, () if teacher is None else (teacher, *further))
    chosen = choices(recipe, cast, device, longest_document)
    memory = _memory(recipe, cast, chosen, device, cached)
    captures = recipe.use_teacher and recipe.source == "cache" and not cached and teacher is not None
    captured = _read_bytes(recipe, text_bytes) / BYTES_PER_TOKEN if captures else 0.0
    speed = compute_speed(device, chosen.bf16)
    parts = _time(recipe, cast, chosen, device, speed, captured)
    low, high, reason = speed.value / speed.high, speed.value / speed.low, speed.reason
    if measured_tokens_per_second is not None:
        parts = _measured(parts, chosen.steps * chosen.batch_tokens / measured_tokens_per_second)
        low, high, reason = 0.85, 1.15, "the speed was measured on this machine"
    disk = _disk(recipe, cast, text_bytes, captured)
    memory_bytes, memory_band = total(memory)
    disk_bytes, disk_band = total(disk)
    seconds = sum(part.seconds for part in parts)
    learning = sum(part.seconds for part in parts if part.name in IN_STEPS)
    each = sharing(device, recipe.processes)
    return Estimate(
        device=device.id,
        memory=memory,
        memory_bytes=memory_bytes,
        memory_band=memory_band,
        memory_free_bytes=device.memory_free_bytes,
        fits=each * memory_bytes <= device.memory_free_bytes,
        seconds=seconds,
        seconds_band=(low * seconds, high * seconds),
        tokens_per_second=chosen.steps * chosen.batch_tokens / learning,
        time_reason=reason,
        time=tuple(parts),
        disk=disk,
        disk_bytes=disk_bytes,
        disk_band=disk_band,
        choices=chosen,
        assumptions=tuple(_assumptions(recipe, cast, device)),
        sentence=(
            f"About {bytes_text(memory_bytes)} of memory on {device.id}{_for_each(recipe)} "
            f"({bytes_text(device.memory_free_bytes)} free), "
            f"{duration_text(seconds)} (between {duration_text(low * seconds)} and {duration_text(high * seconds)}), "
            f"{bytes_text(disk_bytes)} of disk."
        ),
    )


IN_STEPS = ("training", "writing")  # what a measured speed has in it


def _measured(parts: Sequence[TimePart], seconds: float) -> list[TimePart]:
    """The parts that happen in a step in `seconds`, shared among them as they were reckoned."""
    reckoned = sum(part.seconds for part in parts if part.name in IN_STEPS)
    return [
        part.model_copy(update={"seconds": part.seconds * seconds / reckoned}) if part.name in IN_STEPS else part
        for part in parts
    ]


def _for_each(recipe: DistillRecipe) -> str:
    return f" for each of {recipe.processes} processes" if recipe.processes > 1 else ""


def _assumptions(recipe: DistillRecipe, cast: Cast, device: Device) -> Iterable[str]:
    names = ["Student", "Teacher", *(f"Teacher {number}" for number in range(2, len(cast.teachers) + 1))]
    for name, size in zip(names, (cast.student, *cast.teachers), strict=True):
        if size.assumed:
            yield f"{name}: {size.assumed}."
    if sharing(device, recipe.processes) > 1:
        yield f"{recipe.processes} processes share this CPU: they try out a run of many, and are no faster than one."
    elif recipe.processes > 1:
        yield f"Each of the {recipe.processes} processes has a GPU like {device.name} of its own."
    if recipe.measure_every is not None and recipe.measure_device is None:
        yield "Measuring on benchmarks: the time for their questions is not in the estimate; it hangs on how many there are."
    if recipe.source == "on-policy" and recipe.use_teacher and recipe.on_policy_share > 0:
        yield f"Documents: {defaults.DOCUMENTS_PER_BLOCK} to a block; longer ones are slower to write."


def _memory(recipe: DistillRecipe, cast: Cast, chosen: Choices, device: Device, cached: bool) -> tuple[Part, ...]:
    """The parts of the run's highest moment."""
    memory = training_memory(recipe, cast, sequence=chosen.sequence_length, device_id=device.id, bf16=chosen.bf16)
    parts = memory.parts(chosen.micro_batch)
    totals = phases(
        recipe,
        cast,
        memory,
        sequence=chosen.sequence_length,
        step_tokens=chosen.batch_tokens // recipe.processes,
        device_id=device.id,
        bf16=chosen.bf16,
        cached=cached,
    )
    beyond = other_phases(totals, total(parts)[0])
    return parts if beyond is None else (*parts, beyond)


def total(parts: Iterable[Part]) -> tuple[int, tuple[int, int]]:
    """The sum of the parts, and the band if all of them err to the same side."""
    listed = list(parts)
    whole = sum(part.bytes for part in listed)
    error = sum(part.bytes * part.error for part in listed)
    return whole, (round(whole - error), round(whole + error))


# --- disk -------------------------------------------------------------------------------------------------------------

BYTES_PER_TOKEN = 4  # of text, about
MOST_BYTES_PER_TOKEN = 8  # the engine draws documents by this much, so that the budget is met whatever the tokenizer
CACHE_PACKED = 0.62  # of ids and values as they are; measured: 125 bytes a token at k = 50
CACHE_DRAWN = 0.35  # of k ids and counts: many draws are of one class


def _read_bytes(recipe: DistillRecipe, text_bytes: int | None) -> int:
    """Bytes of text that are tokenised: all of it, or of much more than the budget needs, a share drawn at random."""
    needed = MOST_BYTES_PER_TOKEN * (recipe.tokens + 2 * recipe.validation_tokens)
    if text_bytes is None:
        return BYTES_PER_TOKEN * (recipe.tokens + recipe.validation_tokens)
    return text_bytes if text_bytes <= 2 * needed else needed


def cache_bytes_per_token(top_k: int, vocabulary: int, tail: str) -> float:
    """Bytes on disk for a position whose answer is kept: ids of 2 or 3 bytes and values of 2, packed."""
    id_bytes = 2 if vocabulary <= 2**16 else 3
    if tail == "sample":
        return CACHE_DRAWN * top_k * (id_bytes + 1) + 2  # and the entropy
    return CACHE_PACKED * (top_k * (id_bytes + 2) + 2)


def _disk(recipe: DistillRecipe, cast: Cast, text_bytes: int | None, captured_tokens: float) -> tuple[Part, ...]:
    n, kept = cast.student.parameters, recipe.keep_checkpoints + 1
    copies = 2 if recipe.out is not None else 1
    parts = [
        Part(
            name="checkpoints",
            bytes=12 * n * kept,
            error=0.05,
            reason=f"{recipe.keep_checkpoints} kept and one being written, 12 bytes a parameter: weights and moments",
        ),
        Part(
            name="student",
            bytes=4 * n * copies,
            error=0.5,
            reason="float32 weights" + (", in the run folder and where you asked for it" if copies == 2 else ""),
        ),
        Part(
            name="tokens",
            bytes=_read_bytes(recipe, text_bytes),
            error=0.5,
            reason="4 bytes a token, and about 4 bytes of text make one",
        ),
    ]
    if captured_tokens:
        each = cache_bytes_per_token(recipe.top_k, cast.teachers[0].shape.vocabulary, recipe.tail)
        words = f"the teacher's {recipe.top_k} likeliest tokens at each of about {count_text(captured_tokens)} positions, {each:.0f} bytes each"
        parts.append(Part(name="cache", bytes=round(each * captured_tokens), error=0.4, reason=words))
    return tuple(parts)
