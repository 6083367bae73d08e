"""A measurement: the first steps of a distillation, timed, with the peak of memory. Nothing is saved."""

from __future__ import annotations

import statistics
from typing import Any

import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging as transformers_logging

from core.engine.distill import arrange_blocks, make_student, plan_training, set_up
from core.engine.session import Session
from core.engine.teaching import make_lesson
from core.engine.trainer import DistillTrainer, training_arguments
from core.journal import read_journal
from core.measure import MeasureRecipe
from core.state import fold

NEVER = 10**9


class StopAfter(TrainerCallback):
    """Ends the training after a few steps without saving."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step >= self.steps:
            control.should_training_stop = True
            control.should_save = control.should_evaluate = False


def run(session: Session) -> dict[str, Any]:
    """Returns tokens_per_second (the median over the steps but the first) and peak_memory_bytes of the process or GPU."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    measured = session.recipe
    assert isinstance(measured, MeasureRecipe)
    recipe = measured.of
    torch.manual_seed(recipe.seed)
    bench = set_up(session, recipe)
    student = make_student(session, recipe, bench)
    arrange_blocks(session, recipe, bench, student)
    assert bench.blocks is not None
    lesson = make_lesson(session, recipe, bench, student)
    plan_training(session, recipe, bench, student, lesson)
    session.phase("measuring", f"{measured.steps} steps")
    steps = max(measured.steps + 1, bench.steps)
    undisturbed = recipe.model_copy(update={"evaluate_every": NEVER, "checkpoint_every": NEVER})
    bf16 = bench.dtype is torch.bfloat16
    arguments = training_arguments(session, undisturbed, bench.micro, bench.share // bench.micro, steps, 1e-6, bf16)
    trainer = DistillTrainer(session, recipe, student, lesson, bench.blocks, arguments, lambda step, tokens: None, 0.0)
    trainer.add_callback(StopAfter(measured.steps))
    trainer.train()
    session.check_stop()
    history = fold(read_journal(session.run.journal))
    speeds = [point.tokens_per_second for point in history.steps[1:] if point.tokens_per_second]
    return {
        "tokens_per_second": statistics.median(speeds) if speeds else None,
        "peak_memory_bytes": peak_memory(session.device),
        "micro_batch": bench.micro,
        "sequence_length": bench.length,
        "steps": len(history.steps),
    }


def peak_memory(device: str) -> int:
    """The most bytes this process has held: on the GPU, or resident."""
    if device == "cuda":
        return int(torch.cuda.max_memory_reserved())
    try:
        import resource
        import sys
    except ImportError:  # Windows
        return int(psutil.Process().memory_info().peak_wset)  # type: ignore[attr-defined, unused-ignore]
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
