"""The training loop: transformers' Trainer with the teacher's guidance, our journal, and a brake.

Accumulation, mixed precision, clipping, schedules, checkpoints and resumption are the Trainer's. Ours are the loss, what is said of
each step, evaluation against the teacher, and the refusal to take a step with a loss or gradient that is not a number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core import events as ev
from core.distill import DistillRecipe
from core.engine import checkpoints, losses
from core.engine.failures import is_out_of_memory
from core.engine.session import Session
from core.engine.text import IGNORED, Blocks
from core.errors import Trouble
from core.files import read_json, write_json

SINCE_LOG = "since_log.json"  # in a checkpoint: the sums that the next point of the curve begins with


class DistillTrainer(Trainer):
    """Trains `model` on blocks; a `teacher` (or None) guides it. `evaluated(step, tokens)` is called every `eval_steps`."""

    def __init__(
        self,
        session: Session,
        recipe: DistillRecipe,
        model: PreTrainedModel,
        teacher: PreTrainedModel | None,
        blocks: Blocks,
        arguments: TrainingArguments,
        evaluated: Callable[[int, int], None],
        seconds_before: float,
    ) -> None:
        self.session = session
        self.recipe = recipe
        self.teacher = teacher
        self.blocks = blocks
        self.evaluated = evaluated
        self.journalist = Journalist(session, self, seconds_before)
        # Sums of CE and KL, and the count of targets, since the last log; and the same before the step under way.
        self.parts = torch.zeros(3, dtype=torch.float64)
        self.parts_before_step = self.parts.clone()
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=blocks,
            eval_dataset=blocks,  # only its presence counts: `evaluate` is ours
            data_collator=collate,
            callbacks=[self.journalist],
        )
        self.model_accepts_loss_kwargs = True  # the loss below divides by the targets of the whole step

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Loss per target token of the step: Σ over this micro-batch's targets, over the targets of all its micro-batches."""
        ids_BT, positions_BT, labels_BT = inputs["input_ids"], inputs["position_ids"], inputs["labels"]
        counted_BT = labels_BT != IGNORED
        target_N = labels_BT[counted_BT]
        logits_NV = model(input_ids=ids_BT, position_ids=positions_BT, use_cache=False).logits[counted_BT]
        ce = losses.cross_entropy(logits_NV, target_N)
        if self.teacher is None:
            kd, total = torch.zeros_like(ce), ce
        else:
            with torch.no_grad():
                teacher_NV = self.teacher(input_ids=ids_BT, position_ids=positions_BT, use_cache=False).logits[
                    counted_BT
                ]
            kd = losses.forward_kl(*losses.common_vocabulary(logits_NV, teacher_NV), self.recipe.temperature)
            total = losses.mixed(ce, kd, self.recipe.ce_weight, self.recipe.temperature)
        self.parts += (
            torch.stack([ce.detach(), kd.detach(), torch.as_tensor(len(target_N), device=ce.device)]).double().cpu()
        )
        items = len(target_N) if num_items_in_batch is None else num_items_in_batch
        return total / items

    def go_on(self, checkpoint: Path | None) -> None:
        """Train from the beginning, or from a checkpoint."""
        if checkpoint is not None:
            self.parts = torch.tensor(read_json(checkpoint / SINCE_LOG), dtype=torch.float64)
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))

    def _clip_grad_norm(self, model: nn.Module) -> torch.Tensor:
        """Clip, and refuse to go on with a gradient that is not a number: the weights are still those of the step before."""
        norm = super()._clip_grad_norm(model)
        if not math.isfinite(float(norm)):
            step = self.state.global_step + 1
            kept = checkpoints.newest(self.session.run.checkpoints)
            where = f"The checkpoint of step {kept[0]} is good" if kept else "No checkpoint had been saved yet"
            raise Trouble(
                f"The loss or its gradient became NaN or infinite at step {step}. {where}.",
                "Lower the learning rate or clip harder, and run it again; text with odd symbols can cause it too.",
            )
        return norm

    def save_last_step(self) -> None:
        """A checkpoint of the weights after the last whole step, if there is none yet: a sealed one is never written over."""
        folder = Path(self.args.output_dir) / f"{checkpoints.PREFIX}{self.state.global_step}"
        self.parts = self.parts_before_step.clone()
        if checkpoints.sealed_step(folder) is None:
            self._save_checkpoint(self.model, None)
            self.callback_handler.on_save(self.args, self.state, self.control)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Steps go into our journal; the Trainer's own closing summary is dropped."""
        if "learning_rate" not in logs:
            return
        ce, kd, count = self.parts.tolist()
        self.parts.zero_()
        ce, kd = ce / count, kd / count
        total = (
            ce
            if self.teacher is None
            else self.recipe.ce_weight * ce + (1 - self.recipe.ce_weight) * self.recipe.temperature**2 * kd
        )
        self.journalist.log_step(self.state.global_step, logs, ce, None if self.teacher is None else kd, total)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        try:
            self.evaluated(self.state.global_step, self.tokens_done())
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise Trouble(
                f"The memory of the device ran out while reading held-out text at step {self.state.global_step}.",
                "Close other programs, or choose a smaller student or teacher; then resume.",
            ) from error
        return {}

    def tokens_done(self) -> int:
        per_step = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        return self.blocks.tokens_until(self.state.global_step * per_step)


class Journalist(TrainerCallback):
    """Times the steps, heeds the stop request and seals checkpoints."""

    def __init__(self, session: Session, trainer: DistillTrainer, seconds_before: float) -> None:
        self.session = session
        self.trainer = trainer
        self.seconds_before = seconds_before
        self.began = time.monotonic()
        self.step_began = self.began
        self.step_seconds = 0.0
        self.tokens_said: int | None = None

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.step_began = time.monotonic()
        self.trainer.parts_before_step = self.trainer.parts.clone()
        if self.tokens_said is None:
            self.tokens_said = self.trainer.tokens_done()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.step_seconds += time.monotonic() - self.step_began
        self.session.step = state.global_step
        if self.session.stop_wish() is not None:
            control.should_training_stop = True
            control.should_save = not self.session.discarding

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        folder = Path(args.output_dir) / f"{checkpoints.PREFIX}{state.global_step}"
        write_json(folder / SINCE_LOG, self.trainer.parts.tolist())
        checkpoints.seal(folder, state.global_step)
        self.session.say(
            ev.CheckpointSaved(state.global_step, str(folder.relative_to(self.session.run.path).as_posix()))
        )
        checkpoints.keep_newest(self.session.run.checkpoints, self.trainer.recipe.keep_checkpoints)

    def log_step(self, step: int, logs: dict[str, float], ce: float, kd: float | None, total: float) -> None:
        tokens = self.trainer.tokens_done()
        speed = (tokens - (self.tokens_said or 0)) / self.step_seconds if self.step_seconds > 0 else None
        self.tokens_said, self.step_seconds = tokens, 0.0
        self.session.say(
            ev.StepLogged(
                step=step,
                tokens=tokens,
                lr=logs["learning_rate"],
                ce=ce,
                kd=kd,
                total=total,
                grad_norm=logs.get("grad_norm"),
                tokens_per_second=None if speed is None else round(speed, 1),
                memory_bytes=memory_in_use(self.session.device),
                seconds=round(self.seconds_before + time.monotonic() - self.began, 3),
            )
        )


def collate(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Blocks of one length stacked to (B, T). `shift_labels` tells the Trainer that labels are aligned with the predictions already."""
    batch = {name: torch.stack([item[name] for item in items]) for name in items[0]}
    return {**batch, "shift_labels": batch["labels"]}


def memory_in_use(device: str) -> int:
    """Bytes this process holds: the GPU's peak since the last look, or the resident memory on a CPU."""
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return int(peak)
    if device == "mps":
        return int(torch.mps.driver_allocated_memory())
    return int(psutil.Process().memory_info().rss)


def training_arguments(
    session: Session,
    recipe: DistillRecipe,
    micro_batch: int,
    accumulation: int,
    steps: int,
    rate: float,
    evaluate_every: int,
    checkpoint_every: int,
    bf16: bool,
) -> TrainingArguments:
    """The recipe in the Trainer's words."""
    falling = max(1, round(0.1 * steps))
    return TrainingArguments(
        output_dir=str(session.run.checkpoints),
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=1,
        learning_rate=rate,
        lr_scheduler_type="cosine" if recipe.schedule == "cosine" else "warmup_stable_decay",
        lr_scheduler_kwargs=None if recipe.schedule == "cosine" else {"num_decay_steps": falling},
        warmup_steps=warmup_steps(recipe.warmup, steps),
        weight_decay=recipe.weight_decay,
        adam_beta1=recipe.beta1,
        adam_beta2=recipe.beta2,
        max_grad_norm=recipe.clip,
        bf16=bf16,
        logging_strategy="steps",
        logging_steps=recipe.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=evaluate_every,
        save_strategy="steps",
        save_steps=checkpoint_every,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=session.device == "cuda",
        use_cpu=session.device == "cpu",
        seed=recipe.seed,
        disable_tqdm=True,
        report_to="none",
        log_level="error",
    )


def warmup_steps(share: float, steps: int) -> int:
    """Steps in which the rate rises: the recipe's share, but at least 20 (or a tenth of a short run), for 1 % of a short run is one jump."""
    return 0 if share == 0 else max(round(share * steps), min(20, steps // 10))
