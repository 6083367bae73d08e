"""What a tuning will take before it starts: memory by part, time and disk, by the same arithmetic as a distillation's.

Beside an adapter the model's own weights have no gradients and no moments, and a third of the arithmetic (their gradients) is not done:
4·N FLOPs a token instead of 6·N.
"""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from core import defaults
from core.devices import Device
from core.documents import total_bytes
from core.estimate import (
    BYTES_PER_TOKEN,
    EVALUATION_SECONDS,
    GPU_LOSS_FACTOR,
    LOSS_FLOPS_ALONE,
    LOSS_FLOPS_PLAIN,
    START_SECONDS,
    flops_per_token,
    total,
    uses_bf16,
)
from core.memory import TEACHER_BYTES, Cast, Part, Size, kind_of, training_memory, weights_part
from core.models import inspect_model
from core.numbers import bytes_text, count_text, duration_text
from core.speed import compute_speed
from core.tune import EPOCHS, TuneRecipe
from core.tune_proposals import batch, trained_parameters

REPLACED = ("student weights", "gradients", "optimizer", "bf16 copies")
ADAPTER_ACTIVATIONS = 0.3  # ours: what the adapters' own inputs add to what is kept for the backward pass


class TuneEstimate(BaseModel):
    """Bytes and seconds with their bands; `fits` compares with the device's free memory."""

    model_config = ConfigDict(frozen=True)

    device: str
    memory: tuple[Part, ...]
    memory_bytes: int
    memory_band: tuple[int, int]
    memory_free_bytes: int
    fits: bool
    learnt_parameters: int
    tokens: int
    seconds: float
    seconds_band: tuple[float, float]
    disk_bytes: int
    sentence: str


def estimate(recipe: TuneRecipe, device: Device) -> TuneEstimate:
    """Of the tuning that `recipe` describes, on `device`. Tokens are reckoned from the data's bytes where the recipe counts epochs."""
    folder = Path(recipe.model)
    model = Size.of_model(inspect_model(folder, recipe.allow_remote_code))
    teacher = Size.of_model(inspect_model(Path(recipe.teacher))) if recipe.teacher is not None else None
    learnt = trained_parameters(recipe, folder)
    told = recipe.as_distillation(1000)
    bf16, _ = uses_bf16(told, device)
    kind = kind_of(device.id)
    length, _ = defaults.sequence_length(model.shape.context, kind)
    length = recipe.sequence_length or length
    tokens, per_step = _tokens(recipe, length)
    cast = Cast(model, () if teacher is None else (teacher,))
    memory = training_memory(told, cast, sequence=length, device_id=device.id, bf16=bf16)
    own = _own_parts(recipe, model, learnt, bf16=bf16)
    fixed = (*own, *(part for part in memory.fixed if part.name not in REPLACED))
    grown = round(memory.activations_per_block * (1 + (ADAPTER_ACTIVATIONS if recipe.adapts else 0.0)))
    head = memory.head_bytes if not recipe.adapts else 0
    memory = memory.model_copy(update={"fixed": fixed, "activations_per_block": grown, "head_bytes": head})
    micro, _ = defaults.micro_batch(
        per_step,
        bytes_per_block=memory.bytes_per_block,
        fixed_bytes=memory.fixed_bytes,
        free_bytes=device.memory_free_bytes,
        device_kind=kind,
    )
    parts = memory.parts(recipe.micro_batch or micro)
    whole, band = total(parts)
    speed = compute_speed(device, bf16)
    flops = _flops(recipe, model, teacher, length, kind)
    steps = max(1, math.ceil(tokens / max(1, per_step * length)))
    other = START_SECONDS * (1 + recipe.waits(steps)) + (min(10, steps) + 2) * EVALUATION_SECONDS
    seconds = tokens * flops / speed.value + other
    limits = (other + tokens * flops / speed.high, other + tokens * flops / speed.low)
    disk = 12 * learnt * (recipe.keep_checkpoints + 1) + 4 * learnt + (4 * model.parameters if recipe.merge else 0)
    return TuneEstimate(
        device=device.id,
        memory=parts,
        memory_bytes=whole,
        memory_band=band,
        memory_free_bytes=device.memory_free_bytes,
        fits=whole <= device.memory_free_bytes,
        learnt_parameters=learnt,
        tokens=tokens,
        seconds=seconds,
        seconds_band=limits,
        disk_bytes=disk,
        sentence=(
            f"About {bytes_text(whole)} of memory on {device.id} ({bytes_text(device.memory_free_bytes)} free), "
            f"{duration_text(seconds)} (between {duration_text(limits[0])} and {duration_text(limits[1])}) for {count_text(tokens)} tokens, "
            f"{bytes_text(disk)} of disk; {count_text(learnt)} of {count_text(model.parameters)} weights are learnt."
        ),
    )


def _tokens(recipe: TuneRecipe, length: int) -> tuple[int, int]:
    """Tokens that will be trained, and rows (or blocks) in a step."""
    in_data = max(1, total_bytes(recipe.data) // BYTES_PER_TOKEN)
    per_step, _ = batch(recipe, max(1, in_data // length))
    if recipe.tokens is not None:
        return recipe.tokens, per_step
    if recipe.steps is not None:
        return recipe.steps * per_step * length, per_step
    return round((recipe.epochs or EPOCHS) * in_data), per_step


def _own_parts(recipe: TuneRecipe, model: Size, learnt: int, *, bf16: bool) -> list[Part]:
    """Weights, gradients and moments."""
    n = model.parameters
    if not recipe.adapts:
        parts = [weights_part("weights", 4 * n, f"{count_text(n)} parameters; what is trained stays in float32")]
        if bf16:
            parts.append(weights_part("bf16 copies", 2 * n, "autocast keeps a bf16 copy of the weights"))
    elif recipe.method == "qlora":
        size = round(TEACHER_BYTES["int4"] * model.non_embedding + 2 * (n - model.non_embedding))
        parts = [weights_part("weights", size, f"{count_text(n)} parameters, the layers in 4 bits")]
    else:
        parts = [weights_part("weights", (2 if bf16 else 4) * n, f"{count_text(n)} parameters, which are only read")]
    if recipe.adapts:
        parts.append(weights_part("adapter", 4 * learnt, f"{count_text(learnt)} weights in float32"))
    parts.append(weights_part("gradients", 4 * learnt, "one float32 for each weight that is learnt"))
    parts.append(
        weights_part("optimizer", 8 * learnt, "AdamW keeps two float32 moments for each weight that is learnt")
    )
    return parts


def _flops(recipe: TuneRecipe, model: Size, teacher: Size | None, length: int, kind: str) -> float:
    """For one token: forward, and backward with or without the weights' own gradients; the loss; the teacher or reference."""
    passes = 2 if recipe.adapts else 3
    values = LOSS_FLOPS_PLAIN if recipe.guided else LOSS_FLOPS_ALONE
    loss = values * model.shape.vocabulary * (1.0 if kind == "cpu" else GPU_LOSS_FACTOR)
    found = flops_per_token(model, length, passes + recipe.gradient_checkpointing) + loss
    if recipe.guided and teacher is not None:
        found += flops_per_token(teacher, length, 1)
    elif recipe.objective == "dpo":  # the reference is asked once, and every epoch learns from it
        found += flops_per_token(teacher or model, length, 1) / max(1.0, recipe.epochs or EPOCHS)
    return found
