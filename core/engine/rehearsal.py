"""The rehearsal: the fullest batch is tried before the first real step, so that running out of memory shows in seconds."""

from __future__ import annotations

import torch

from core import defaults
from core.distill import DistillRecipe
from core.engine.bench import Bench
from core.engine.failures import is_out_of_memory
from core.engine.lesson import Lesson
from core.engine.memory import MemoryWatch, free_memory, free_unused
from core.engine.session import Session
from core.engine.text import collate
from core.errors import Trouble

SMALL_SHARE = 0.1  # of the free memory: a batch that is reckoned to take less on a CPU is not tried whole


def rehearse(session: Session, recipe: DistillRecipe, bench: Bench, lesson: Lesson) -> int:
    """Find the micro-batch on the fullest blocks before the first real step; nothing is learnt here. Returns blocks at once.

    One block is measured, the rest is reckoned from it; then the chosen batch is tried whole, with room for the optimizer's moments,
    and halved as long as it does not fit. On a CPU, where trying takes as long as a step, a small one is not tried.
    """
    session.phase("rehearsing the fullest batch")
    # gradients and two moments
    fixed = 4 * sum(parameter.numel() + 2 * parameter.numel() // bench.parts for parameter in learnt_of(lesson))
    per_block = peak_of(bench, lesson, 1)
    if recipe.micro_batch is not None:
        micro = max(n for n in range(1, min(recipe.micro_batch, bench.share) + 1) if bench.share % n == 0)
        why = "as the recipe says"
    else:
        micro, why = defaults.micro_batch(
            bench.share,
            bytes_per_block=max(1, per_block),
            fixed_bytes=fixed,
            free_bytes=free_memory(bench.device),
            device_kind=bench.device,
        )
    while True:
        session.check_stop()
        reckoned, free = micro * per_block + fixed, free_memory(bench.device)
        if bench.device == "cpu" and reckoned < SMALL_SHARE * free:
            break
        if bench.device == "cpu" and reckoned > free:
            error: BaseException = MemoryError(f"{micro} blocks take about {reckoned / 2**30:.1f} GiB")
        else:
            try:
                peak_of(bench, lesson, micro)
                break
            except (RuntimeError, MemoryError) as met:
                error = met
        micro, why = halved(session, bench, micro, error), "halved until it fitted"
    session.choose("micro-batch", micro, why)
    return micro


def halved(session: Session, bench: Bench, micro: int, error: BaseException) -> int:
    """The next smaller micro-batch after running out of memory; any other error, or a single block, is raised."""
    if not is_out_of_memory(error) and not isinstance(error, MemoryError):
        raise error
    if micro == 1:
        raise Trouble(
            f"Even one block of {bench.length} tokens does not fit in the memory of {bench.device}.",
            "Shorten the sequence, turn gradient checkpointing on, or choose a smaller student or teacher.",
        ) from error
    half = max(n for n in range(1, micro // 2 + 1) if bench.share % n == 0)
    free_unused(bench.device)
    session.notice(
        f"{micro} blocks at once did not fit in memory; {half} are taken, with {bench.share // half} parts to a step. The result is the same.",
        "warning",
    )
    return half


def peak_of(bench: Bench, lesson: Lesson, count: int) -> int:
    """Bytes that forward and backward over `count` of the fullest blocks take beyond what is held before and gradients."""
    assert bench.blocks is not None
    student = lesson.student
    block = bench.blocks[bench.blocks.fullest()]
    if lesson.own_words is not None:
        block = _written_full(block, bench.length)
    batch = {name: tensor.to(bench.device) for name, tensor in collate([block] * count).items()}
    moments = [
        torch.empty(2 * parameter.numel() // bench.parts, device=bench.device) for parameter in learnt_of(lesson)
    ]
    student.train()
    with MemoryWatch(bench.device) as watch, torch.random.fork_rng(devices=[] if bench.device == "cpu" else None):
        with torch.autocast(bench.device, dtype=bench.dtype, enabled=bench.dtype is not torch.float32):
            total, _ = lesson.loss(student, batch)
        total.backward()
    student.zero_grad(set_to_none=True)
    gradients = 4 * sum(parameter.numel() for parameter in learnt_of(lesson))
    del moments
    return max(0, watch.growth - gradients)


def learnt_of(lesson: Lesson) -> list[torch.nn.Parameter]:
    """The weights that have a gradient: all of a student, or an adapter's."""
    return [parameter for parameter in lesson.student.parameters() if parameter.requires_grad]


def _written_full(block: dict[str, torch.Tensor], length: int) -> dict[str, torch.Tensor]:
    """The block as the student may leave it: its words go on to the end of the block, however short the texts are."""
    ids = block["input_ids"][: int(block["filled"])]
    filled = ids.repeat(-(-length // len(ids)))[:length]
    labels = torch.cat([filled[1:], filled[:1]])
    own = {"input_ids": filled, "position_ids": torch.arange(length), "labels": labels, "filled": torch.tensor(length)}
    return {**block, **own}
