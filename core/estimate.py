"""What a distillation will take before it starts: memory by part, time, disk, and the choices its recipe leaves open.

Arithmetic over shapes, no torch. Every part carries its reason and the error to reckon with; what the engine does where
the recipe is silent comes from `core.defaults`, so that the estimate is of the run that will really happen.
"""

from __future__ import annotations

import ctypes
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from core import defaults
from core.devices import Device, usable_cores
from core.distill import DistillRecipe
from core.errors import Trouble
from core.models import ModelInfo
from core.numbers import bytes_text, count_text, duration_text
from core.shapes import Shape, count_parameters, scratch_shapes, shape_of

# --- sizes ------------------------------------------------------------------------------------------------------------

STAND_IN_VOCABULARY = 32_000
STAND_IN_CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": STAND_IN_VOCABULARY,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Size:
    """How big a model is: counts of parameters, and the shape that tells what it holds in memory while it runs."""

    parameters: int
    non_embedding: int
    shape: Shape
    assumed: str = ""  # why the shape is a stand-in, where it is one

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Size:
        """Raises BadModel for a family outside `core.shapes.KNOWN_FAMILIES`."""
        count = count_parameters(config)
        return cls(count.total, count.non_embedding, shape_of(config))

    @classmethod
    def of_model(cls, info: ModelInfo) -> Size:
        """Exact counts; for an unknown architecture, the shape of a Llama of that size."""
        if info.shape is not None:
            return cls(info.parameters, info.non_embedding_parameters, info.shape)
        like = cls.stand_in(info.parameters, info.vocabulary or STAND_IN_VOCABULARY)
        shape = like.shape.model_copy(update={"context": info.context or like.shape.context})
        why = f"the architecture {info.architecture} is unknown here, so a Llama of its size stands in for it"
        return cls(info.parameters, info.non_embedding_parameters, shape, why)

    @classmethod
    def stand_in(cls, parameters: int, vocabulary: int | None = None) -> Size:
        """A Llama of about this size, for a model of which no more is known. Raises Trouble for less than about 5K."""
        rows = vocabulary or min(STAND_IN_VOCABULARY, round(4096 * (parameters / 3e6) ** 0.6))
        while True:
            try:
                best = scratch_shapes(STAND_IN_CONFIG | {"vocab_size": rows}, parameters, most=1)[0]
            except Trouble:  # so large a vocabulary leaves nothing for the layers of so small a model
                if rows < 64:
                    raise
                rows //= 2
                continue
            return cls(best.parameters, best.non_embedding, best.shape, "a Llama of this size stands in for the model")


# --- memory -----------------------------------------------------------------------------------------------------------


class Part(BaseModel):
    """A share of memory or disk: `error` is the share by which the truth may lie on either side."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    error: float
    reason: str


WEIGHTS_ERROR = 0.02
WORKING_ERROR = 0.25

# What autograd keeps of one layer for each token: bytes for each unit of (width, heads · head width, key-value heads ·
# head width, neurons, heads · sequence, sequence), in float32 and under bf16 autocast. Fitted to the tensors that
# transformers 5.23 saves on random shapes of each family with packed documents; the fit's error is below 7 %.
_Bytes = tuple[float, float, float, float, float, float]
_LLAMA: tuple[_Bytes, _Bytes] = ((24, 8, 8, 16, 0, 4), (26, 6, 2, 8, 0, 2))
_SAVED: dict[str, tuple[_Bytes, _Bytes]] = {
    "qwen3": ((24, 16, 16, 16, 0, 4), (26, 12, 8, 8, 0, 2)),  # norms on queries and keys
    "gemma2": ((40, 16, 0, 16, 8, 0), (42, 8, 0, 8, 8, 0)),  # four norms; its softcap needs the scores themselves
    "gemma3_text": ((40, 16, 16, 16, 0, 4), (42, 14, 10, 8, 0, 2)),
    "gpt2": ((32, 0, 0, 20, 0, 4), (20, 0, 0, 10, 0, 2)),
    "gpt_neox": ((40, 0, 0, 8, 0, 4), (22, 0, 0, 4, 0, 2)),
}
FLOAT_BYTES = 4
GUIDED_SCORES, ALONE_SCORES = 7.0, 2.5  # float32 values for each of them and each entry of the vocabulary
GUIDED_LOGITS = 8.0  # logits of both, three log-probabilities, and what the divergence holds while it is summed
ALONE_LOGITS = 3.5
ALLOCATOR_SHARE = {"cpu": 0.2}  # measured: blocks that the C library keeps between uses; a GPU's own allocator:
ALLOCATOR_SHARE_OF_GPU = 0.1
PROCESS_BYTES = {"cpu": 400_000_000}  # measured: Python with torch and transformers; elsewhere the CUDA context:
PROCESS_BYTES_ON_GPU = 600_000_000


class Memory(BaseModel):
    """What training holds on its device: parts that do not depend on the micro-batch, and bytes for each block."""

    model_config = ConfigDict(frozen=True)

    fixed: tuple[Part, ...]
    activations_per_block: int
    logits_per_block: int
    allocator_share: float

    @property
    def fixed_bytes(self) -> int:
        return sum(part.bytes for part in self.fixed)

    @property
    def bytes_per_block(self) -> int:
        return round((self.activations_per_block + self.logits_per_block) * (1 + self.allocator_share))

    def parts(self, micro_batch: int) -> tuple[Part, ...]:
        """All parts at a micro-batch of so many blocks."""
        blocks = f"{micro_batch} block{'s' if micro_batch != 1 else ''} at once"
        working = micro_batch * (self.activations_per_block + self.logits_per_block)
        return (
            *self.fixed,
            Part(
                name="activations",
                bytes=micro_batch * self.activations_per_block,
                error=WORKING_ERROR,
                reason=f"what the student keeps for the backward pass, {blocks}",
            ),
            Part(
                name="logits",
                bytes=micro_batch * self.logits_per_block,
                error=WORKING_ERROR,
                reason=f"scores over the whole vocabulary and their gradients, in float32, {blocks}",
            ),
            Part(
                name="allocator",
                bytes=round(working * self.allocator_share),
                error=0.5,
                reason="memory that was used once and is kept for the next step",
            ),
        )


def kind_of(device_id: str) -> str:
    """cpu, cuda or mps."""
    return device_id.split(":")[0]


def activation_bytes_per_token(shape: Shape, sequence: int, bf16: bool, checkpointing: bool = False) -> int:
    """Bytes that the backward pass needs of the forward pass, for each token in a block of `sequence` tokens.

    With checkpointing, the input of every layer and all of one layer.
    """
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    units = (shape.hidden, queries, keys, shape.intermediate, shape.heads * sequence, sequence)
    saved = _SAVED.get(shape.model_type, _LLAMA)[bf16]
    layer = sum(count * size for count, size in zip(units, saved, strict=True))
    final_norm = 8 * shape.hidden
    if checkpointing:
        return round(FLOAT_BYTES * shape.hidden * shape.layers + layer + final_norm)
    return round(layer * shape.layers + final_norm)


def training_memory(
    teacher: Size | None, student: Size, *, sequence: int, device_kind: str, bf16: bool, checkpointing: bool = False
) -> Memory:
    """What training `student` takes on its device; `teacher` is None where none guides it."""
    n = student.parameters
    parts = [_process_part(device_kind)]
    if teacher is not None:
        size, why = (2, "bf16") if bf16 else (4, "float32, as the device computes in it")
        reason = f"{count_text(teacher.parameters)} parameters in {why}"
        parts.append(_weights("teacher weights", size * teacher.parameters, reason))
    parts += [
        _weights("student weights", 4 * n, f"{count_text(n)} parameters; the ones that are trained stay in float32"),
        _weights("gradients", 4 * n, "one float32 for each parameter of the student"),
        _weights("optimizer", 8 * n, "AdamW keeps two float32 moments for each parameter of the student"),
    ]
    if bf16:
        parts.append(_weights("bf16 copies", 2 * n, "autocast keeps a bf16 copy of the student's weights"))
    copies = ALONE_LOGITS if teacher is None else GUIDED_LOGITS
    return Memory(
        fixed=tuple(parts),
        activations_per_block=sequence * activation_bytes_per_token(student.shape, sequence, bf16, checkpointing),
        logits_per_block=round(sequence * copies * FLOAT_BYTES * student.shape.vocabulary),
        allocator_share=ALLOCATOR_SHARE.get(device_kind, ALLOCATOR_SHARE_OF_GPU),
    )


def _beyond_training(
    recipe: DistillRecipe, cut: Size | None, guided: bool, student: Size, sequence: int, working_bytes: int
) -> Part | None:
    """What building the student from `cut` or scoring held-out text takes beyond `working_bytes` of a training step."""
    values = GUIDED_SCORES if guided else ALONE_SCORES
    rows = min(
        max(sequence, defaults.scored_rows(student.shape.vocabulary)), recipe.validation_tokens + sequence // 2
    )  # the last document may go over
    phases = {"scoring held-out text": round(rows * values * FLOAT_BYTES * student.shape.vocabulary)}
    if cut is not None and recipe.init in ("prune", "masks"):
        logits = FLOAT_BYTES * cut.shape.vocabulary * (ALONE_LOGITS if recipe.init == "masks" else 1.5)
        kept = activation_bytes_per_token(cut.shape, sequence, False) if recipe.init == "masks" else 0
        blocks = min(defaults.calibration_blocks(sequence, cut.shape.vocabulary), recipe.calibration_blocks)
        phases["building the student"] = round(blocks * sequence * (kept + logits))
    phase, most = max(phases.items(), key=lambda item: item[1])
    if most <= working_bytes:
        return None
    reason = f"{phase} takes {bytes_text(most)} at once, more than a training step"
    return Part(name="other phases", bytes=most - working_bytes, error=WORKING_ERROR, reason=reason)


def _weights(name: str, size_bytes: int, reason: str) -> Part:
    return Part(name=name, bytes=size_bytes, error=WEIGHTS_ERROR, reason=reason)


def _process_part(device_kind: str) -> Part:
    size = PROCESS_BYTES.get(device_kind, PROCESS_BYTES_ON_GPU)
    what = "Python with torch and transformers" if device_kind == "cpu" else "the driver's context and its workspaces"
    return Part(name="process", bytes=size, error=0.2, reason=f"{what}, whatever the models are")


# --- choices ----------------------------------------------------------------------------------------------------------


class Choices(BaseModel):
    """All numbers that training needs beside the recipe; lengths in tokens, the micro-batch in blocks."""

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


def choices(
    recipe: DistillRecipe, teacher: Size | None, student: Size, device: Device, longest_document: int | None = None
) -> Choices:
    """What the run will do: the recipe's own numbers, and defaults where it has none. `teacher` None: nobody guides.

    `longest_document` is in tokens, where it is known already. Deterministic but for the device's free memory.
    """
    kind = kind_of(device.id)
    context = min(size.shape.context for size in (teacher, student) if size is not None)
    bf16, why_bf16 = uses_bf16(recipe, device)
    sequence, why_sequence = _said(
        recipe.sequence_length, lambda: defaults.sequence_length(context, kind, longest_document)
    )
    batch, why_batch = _said(recipe.batch_tokens, lambda: defaults.batch_tokens(recipe.tokens, sequence))
    blocks = max(1, round(batch / sequence))
    steps = defaults.steps(recipe.tokens, blocks * sequence)
    rate, why_rate = _said(
        recipe.learning_rate, lambda: defaults.learning_rate(student.non_embedding, recipe.tokens, recipe.init)
    )
    memory = training_memory(
        teacher, student, sequence=sequence, device_kind=kind, bf16=bf16, checkpointing=recipe.gradient_checkpointing
    )
    most = recipe.micro_batch and max(n for n in range(1, min(recipe.micro_batch, blocks) + 1) if blocks % n == 0)
    micro, why_micro = _said(most, lambda: _fitting_micro_batch(memory, blocks, device))
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


def _fitting_micro_batch(memory: Memory, blocks: int, device: Device) -> tuple[int, str]:
    return defaults.micro_batch(
        blocks,
        bytes_per_block=memory.bytes_per_block,
        fixed_bytes=memory.fixed_bytes,
        free_bytes=device.memory_free_bytes,
        device_kind=kind_of(device.id),
    )


# --- speed of the machine ---------------------------------------------------------------------------------------------


class Figure(BaseModel):
    """A number with the band in which the truth is expected, and where it comes from."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float
    reason: str


CPU_FLOPS_PER_CORE = 30e9  # measured, float32, on models of 1M to 13M: 25 to 66 GFLOP/s a core of an AMD EPYC
# bf16 matrix units against float32 on the same chip, and the share of the peak that training reaches
DATA_CENTRE_GPUS = ("A100", "A800", "H100", "H200", "H800", "GH200", "B100", "B200", "GB200", "A30")
GPU_UTILISATION = 0.35


def compute_speed(device: Device, bf16: bool) -> Figure:
    """FLOP/s that training reaches on the device. An order of magnitude: small models leave a GPU mostly idle."""
    if device.id.startswith("cuda") and (peak := _gpu_peak(device, bf16)):
        value = GPU_UTILISATION * peak
        reason = (
            f"{GPU_UTILISATION:.0%} of the {peak / 1e12:.0f} TFLOP/s of its cores and clock; small models reach less"
        )
        return Figure(value=value, low=value / 5, high=value * 1.6, reason=reason)
    cores = device.cores or usable_cores()
    value = CPU_FLOPS_PER_CORE * cores
    reason = f"{cores} cores at {CPU_FLOPS_PER_CORE / 1e9:.0f} GFLOP/s, measured on models of 1M to 13M on an AMD EPYC"
    if device.id != "cpu":
        value, reason = 2e12, f"{device.name} tells nothing of its speed: 2 TFLOP/s is a guess"
    return Figure(value=value, low=value / 2.5, high=value * 2, reason=reason)


def _gpu_peak(device: Device, bf16: bool) -> float | None:
    """FLOP/s from the number of cores and the clock: a multiply-add each a cycle; matrix units take bf16 faster."""
    told = _ask_nvml(device)
    if told is None:
        return None
    faster = 1 if not bf16 else 15 if any(name in device.name for name in DATA_CENTRE_GPUS) else 2
    return 2.0 * told["cores"] * told["clock_hz"] * faster


def _ask_nvml(device: Device) -> dict[str, float] | None:
    """Cores, core clock (Hz) and memory bandwidth (bytes/s, two transfers a cycle) of an NVIDIA GPU, if it tells."""
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(device.uuid)
            memory_clock = 1e6 * pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM)
            return {
                "cores": float(pynvml.nvmlDeviceGetNumGpuCores(handle)),
                "clock_hz": 1e6 * pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM),
                "bandwidth": 2 * memory_clock * pynvml.nvmlDeviceGetMemoryBusWidth(handle) / 8,
            }
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None


COPIED_BYTES = 64 * 2**20  # several times a usual last-level cache


def memory_bandwidth(device: Device) -> Figure:
    """Bytes of memory that the device reads in a second: told by an NVIDIA GPU, measured for a CPU (about 0.1 s)."""
    if device.id.startswith("cuda") and (told := _ask_nvml(device)):
        value = told["bandwidth"]
        return Figure(
            value=value, low=0.8 * value, high=value, reason="the GPU's memory clock and the width of its bus"
        )
    value = _measured_bandwidth()
    reason = f"measured by copying {bytes_text(COPIED_BYTES)} five times, the median, rounded"
    return Figure(value=value, low=value / 1.5, high=1.5 * value, reason=reason)


@lru_cache(maxsize=1)
def _measured_bandwidth() -> float:
    """Bytes read and written in a second by copies on all cores, to one digit: a busy machine gives no more."""
    cores = min(8, usable_cores())
    part = COPIED_BYTES // cores
    pairs = [((ctypes.c_char * part)(), (ctypes.c_char * part)()) for _ in range(cores)]
    for source, _ in pairs:
        ctypes.memset(source, 1, part)  # else all pages are the kernel's one page of zeros
    seconds = []
    with ThreadPoolExecutor(cores) as pool:  # memmove lets go of the interpreter lock
        for _ in range(6):
            began = time.perf_counter()
            list(pool.map(lambda pair: ctypes.memmove(pair[1], pair[0], part), pairs))
            seconds.append(time.perf_counter() - began)
    return float(f"{2 * part * cores / statistics.median(seconds[1:]):.1g}")  # the first one touches the pages


DECODING_SHARE = 0.6  # ours: of the bandwidth, while a model writes


def parameters_for_speed(tokens_per_second: float, bytes_per_parameter: float, bandwidth: Figure) -> Figure:
    """The size of a model that writes so fast: every token reads all weights once, and memory is what limits it.

    parameters ≈ 0.6 · bandwidth / (tokens/s · bytes a parameter), for one text at a time.
    """
    scale = 1 / (tokens_per_second * bytes_per_parameter)
    value = DECODING_SHARE * bandwidth.value * scale
    return Figure(
        value=value,
        low=0.35 * bandwidth.low * scale,
        high=0.9 * bandwidth.high * scale,
        reason=(
            f"writing reads every weight once a token, so memory is the limit: {DECODING_SHARE:.0%} of "
            f"{bytes_text(bandwidth.value)}/s ({bandwidth.reason}) ÷ {tokens_per_second:g} tokens/s ÷ "
            f"{bytes_per_parameter:g} bytes a parameter; below some 100M parameters the program around the model "
            "takes longer than the memory, and the text comes slower"
        ),
    )


# --- time -------------------------------------------------------------------------------------------------------------


def flops_per_token(size: Size, sequence: int, passes: int) -> float:
    """FLOPs for one token: 2 · passes · (N + V·H) + 4 · passes · layers · sequence · heads · head width.

    `passes` is 1 forward, 3 with the backward pass. N without embeddings, as in 6·N·D + 2·N_T·D (core.law); the head's
    matrix (V·H) and the attention scores are left out there, but are the larger part of small models.
    """
    shape = size.shape
    scores = 4.0 * shape.layers * sequence * shape.heads * shape.head_dim
    return passes * (2.0 * (size.non_embedding + shape.vocabulary * shape.hidden) + scores)


START_SECONDS = 10.0  # measured on 2 shared cores: imports, tokenising a few MB, loading
EVALUATION_SECONDS = 1.0  # measured there: the text sample, whatever the held-out text takes


def _training_time(
    recipe: DistillRecipe, teacher: Size | None, student: Size, cut: Size | None, chosen: Choices, speed: Figure
) -> tuple[float, float]:
    """Seconds of training and of all else (start, building from the teacher `cut`, evaluations) at `speed` FLOP/s."""
    sequence = chosen.sequence_length
    reading = flops_per_token(teacher, sequence, 1) if teacher else 0.0
    training = flops_per_token(student, sequence, 4 if recipe.gradient_checkpointing else 3) + reading
    rehearsal = (1 + chosen.micro_batch) * sequence * training  # one block, then the fullest micro-batch
    evaluations = math.ceil(chosen.steps / chosen.evaluate_every) + 1
    other = rehearsal + evaluations * recipe.validation_tokens * (flops_per_token(student, sequence, 1) + reading)
    if cut is not None and recipe.init in ("prune", "masks"):
        passes = 3 if recipe.init == "masks" else 1
        other += recipe.calibration_blocks * sequence * flops_per_token(cut, sequence, passes)
    at_once = START_SECONDS + evaluations * EVALUATION_SECONDS
    return chosen.steps * chosen.batch_tokens * training / speed.value, at_once + other / speed.value


# --- the whole --------------------------------------------------------------------------------------------------------


class Estimate(BaseModel):
    """What a run will take. Bytes and seconds, with their bands; `fits` compares with the device's free memory."""

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
    text_bytes: int | None = None,
    measured_tokens_per_second: float | None = None,
    longest_document: int | None = None,
) -> Estimate:
    """Memory, time and disk of the run that `recipe` describes, on `device`.

    `teacher` and `student` are the models as they will be. `text_bytes` is the size of the training text where it is
    known; a `measured_tokens_per_second` (training, a few steps on this machine) replaces the table of speeds.
    """
    guide = teacher if recipe.use_teacher else None
    chosen = choices(recipe, guide, student, device, longest_document)
    memory = _memory(recipe, teacher, guide, student, chosen, kind_of(device.id))
    speed = compute_speed(device, chosen.bf16)
    training, other = _training_time(recipe, guide, student, teacher, chosen, speed)
    low, high, reason = speed.value / speed.high, speed.value / speed.low, speed.reason
    if measured_tokens_per_second is not None:
        training = chosen.steps * chosen.batch_tokens / measured_tokens_per_second
        low, high, reason = 0.85, 1.15, "the speed was measured on this machine"
    disk = _disk(recipe, student, text_bytes)
    memory_bytes, memory_band = _total(memory)
    disk_bytes, disk_band = _total(disk)
    seconds = training + other
    return Estimate(
        device=device.id,
        memory=memory,
        memory_bytes=memory_bytes,
        memory_band=memory_band,
        memory_free_bytes=device.memory_free_bytes,
        fits=memory_bytes <= device.memory_free_bytes,
        seconds=seconds,
        seconds_band=(low * seconds, high * seconds),
        tokens_per_second=chosen.steps * chosen.batch_tokens / training,
        time_reason=reason,
        disk=disk,
        disk_bytes=disk_bytes,
        disk_band=disk_band,
        choices=chosen,
        assumptions=tuple(
            f"{name}: {size.assumed}."
            for name, size in (("Teacher", teacher), ("Student", student))
            if size and size.assumed
        ),
        sentence=(
            f"About {bytes_text(memory_bytes)} of memory on {device.id} ({bytes_text(device.memory_free_bytes)} free), "
            f"{duration_text(seconds)} (between {duration_text(low * seconds)} and {duration_text(high * seconds)}), "
            f"{bytes_text(disk_bytes)} of disk."
        ),
    )


def _memory(
    recipe: DistillRecipe, cut: Size | None, guide: Size | None, student: Size, chosen: Choices, device_kind: str
) -> tuple[Part, ...]:
    """The parts of the run's highest moment."""
    memory = training_memory(
        guide,
        student,
        sequence=chosen.sequence_length,
        device_kind=device_kind,
        bf16=chosen.bf16,
        checkpointing=recipe.gradient_checkpointing,
    )
    working = chosen.micro_batch * memory.bytes_per_block
    beyond = _beyond_training(recipe, cut, guide is not None, student, chosen.sequence_length, working)
    parts = memory.parts(chosen.micro_batch)
    return parts if beyond is None else (*parts, beyond)


def _total(parts: Iterable[Part]) -> tuple[int, tuple[int, int]]:
    """The sum of the parts, and the band if all of them err to the same side."""
    listed = list(parts)
    total = sum(part.bytes for part in listed)
    error = sum(part.bytes * part.error for part in listed)
    return total, (round(total - error), round(total + error))


def _disk(recipe: DistillRecipe, student: Size, text_bytes: int | None) -> tuple[Part, ...]:
    n, kept = student.parameters, recipe.keep_checkpoints + 1
    copies = 2 if recipe.out is not None else 1
    # the engine draws documents until twice what it may need, reckoned at 8 bytes a token
    read = 16 * (recipe.tokens + 2 * recipe.validation_tokens)
    tokens = min(read, text_bytes) if text_bytes is not None else 4 * (recipe.tokens + recipe.validation_tokens)
    return (
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
            bytes=tokens,
            error=0.5,
            reason="4 bytes a token, and about 4 bytes of text make one",
        ),
    )
