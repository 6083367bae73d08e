"""Training to its last step, as distillation and tuning share it: said beforehand, and gone on with in smaller parts where memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import PreTrainedModel, TrainingArguments

from core import events as ev
from core.distill import DistillRecipe
from core.engine import checkpoints
from core.engine.bench import Bench
from core.engine.memory import free_unused
from core.engine.rehearsal import halved
from core.engine.session import Session, StopRequested
from core.engine.trainer import DistillTrainer, training_arguments
from core.journal import read_journal
from core.state import fold


def say_plan(session: Session, bench: Bench, parameters: int, flops_per_token: float) -> None:
    """Say what the training will consist of; `parameters` are all that the student has."""
    assert bench.blocks is not None
    session.say(
        ev.TrainingPlanned(
            steps=bench.steps,
            tokens=bench.blocks.tokens,
            micro_batch=bench.micro,
            accumulation=bench.share // bench.micro,
            sequence_length=bench.length,
            student_parameters=parameters,
            teacher_parameters=bench.teacher_parameters,
            flops_per_token=flops_per_token,
        )
    )


def settle_rate(session: Session, recipe: DistillRecipe, proposed: tuple[float, str]) -> float:
    """The peak of the learning rate: the recipe's, else the proposed one."""
    rate, why = proposed if recipe.learning_rate is None else (recipe.learning_rate, "as the recipe says")
    session.choose("learning rate", rate, why)
    return rate


def arguments_for(session: Session, recipe: DistillRecipe, bench: Bench, rate: float) -> TrainingArguments:
    """The recipe in the Trainer's words, with the micro-batch as it is now."""
    bf16 = bench.dtype is torch.bfloat16
    return training_arguments(session, recipe, bench.micro, bench.share // bench.micro, bench.steps, rate, bf16)


def seconds_so_far(session: Session) -> float:
    """Of training, in the attempts before this one."""
    steps = fold(read_journal(session.run.journal)).steps
    return steps[-1].seconds if steps else 0.0


def train_to_the_end(
    session: Session, bench: Bench, model: PreTrainedModel, make_trainer: Callable[[], DistillTrainer]
) -> None:
    """Train `model` to the last step. Running out of memory saves, halves the micro-batch, and goes on from there with another trainer."""
    resumed = bench.resumed
    while resumed is None or resumed[0] < bench.steps:
        session.phase("training", f"{bench.steps} steps")
        session.step = resumed[0] if resumed else 0
        trainer = make_trainer()
        too_much = _go_on(session, trainer, resumed[1] if resumed else None)
        if too_much is None:
            if session.stop_wish() is not None:
                raise StopRequested
            break
        model.zero_grad(set_to_none=True)
        smaller = halved(session, bench, bench.micro, too_much)
        trainer.save_last_step()
        del trainer  # and the moments it holds, before another takes as many
        free_unused(bench.device)
        bench.micro, resumed = smaller, checkpoints.newest(session.run.checkpoints)


def _go_on(session: Session, trainer: DistillTrainer, checkpoint: Path | None) -> BaseException | None:
    """Train as far as it goes; returns the error that ended it, if memory may have run out."""
    try:
        trainer.go_on(checkpoint)
    except (RuntimeError, MemoryError) as error:
        if session.peers.count > 1:
            raise  # the others wait for gradients that this process could not make
        return error.with_traceback(None)  # its frames hold the activations that were too many
    return None
