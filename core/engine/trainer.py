"""The training loop: transformers' Trainer with the teacher's guidance, our journal, and a brake.

Accumulation, mixed precision, clipping, schedules, checkpoints and resumption are the Trainer's. Ours are the loss, what is said of
each step, evaluation against the teacher, and the refusal to take a step with a loss or gradient that is not a number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core import defaults
from core import events as ev
from core.distill import DistillRecipe
from core.engine import checkpoints
from core.engine.failures import is_out_of_memory
from core.engine.lesson import SUMS, Batch, Lesson
from core.engine.session import Session, StopRequested
from core.engine.text import Blocks, collate
from core.engine.watching import Watcher
from core.errors import Trouble
from core.files import read_json, write_json

SINCE_LOG = "since_log.json"  # in a checkpoint: the sums that the next point of the curve begins with


class DistillTrainer(Trainer):
    """Trains `model` on blocks by a lesson. `evaluated(step, tokens)` is called every `eval_steps`."""

    def __init__(
        self,
        session: Session,
        recipe: DistillRecipe,
        model: PreTrainedModel,
        lesson: Lesson,
        blocks: Blocks,
        arguments: TrainingArguments,
        evaluated: Callable[[int, int], None],
        seconds_before: float,
        watcher: Watcher | None = None,
    ) -> None:
        self.session = session
        self.recipe = recipe
        self.lesson = lesson
        self.blocks = blocks
        self.evaluated = evaluated
        self.watcher = watcher
        self.journalist = Journalist(session, self, seconds_before)
        # The SUMS since the last log, those before the step under way, and of the step's micro-batches so far, still on the device.
        self.parts = torch.zeros(len(SUMS), dtype=torch.float64)
        self.parts_before_step = self.parts.clone()
        self.of_step: list[torch.Tensor] = []
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
        total, sums = self.lesson.loss(model, inputs)
        self.of_step.append(sums)
        items = sums[SUMS.index("rows")] if num_items_in_batch is None else num_items_in_batch
        return (total / items * self.args.world_size).to(
            total.dtype
        )  # for the gradients of several processes are averaged

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor | int | None]:
        """The micro-batches of a step, and the tokens that they learn, over all processes; on-policy, the student writes some first."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        replaced = self.lesson.in_own_words(batches, self.state.global_step) if batches else None
        if replaced is None:
            return batches, items
        if replaced.sample is not None and self.state.global_step % self.args.eval_steps == 0:
            self.session.say(ev.SampleWritten(self.state.global_step, *replaced.sample, subject="on-policy"))
        learnt = self.session.peers.summed(torch.tensor([replaced.learnt], dtype=torch.float64))
        return replaced.batches, learnt[0].to(device)

    def go_on(self, checkpoint: Path | None) -> None:
        """Train from the beginning, or from a checkpoint; that is measured now if the run was killed before it could be."""
        if checkpoint is not None:
            self._take_up(read_json(checkpoint / SINCE_LOG))
            if self.watch(self.session.step):
                raise StopRequested
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))

    def watch(self, step: int) -> bool:
        """Measure the checkpoint of a step, if that is wanted; the other processes wait. True if the run is to end at this very step."""
        watcher = self.watcher
        if watcher is None or not self.session.peers.by_main(lambda: watcher.checkpoint(step)):
            return False
        return self.session.agreed_stop() is not None

    def _take_up(self, kept: Any) -> None:
        """The sums since the last point of the curve, which the main process holds for all, and the balance."""
        if isinstance(kept, list):  # of a run that began before there were other parts than CE and KL
            ce, kd, rows = kept
            total = self.lesson.rows.ce_weight * ce + self.lesson.kd_weight() * kd if self.lesson.guided else ce
            kept = {"sums": {"total": total, "ce": ce, "kd": kd, "rows": rows, "ce_rows": rows, "kd_rows": rows}}
        if self.session.peers.main:
            self.parts = torch.tensor([kept["sums"].get(name, 0.0) for name in SUMS], dtype=torch.float64)
        if "balance" in kept:
            self.lesson.balance.load(kept["balance"])

    def since_log(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the Trainer's own state."""
        return {
            "sums": dict(zip(SUMS, self.parts.tolist(), strict=True)),
            "balance": self.lesson.balance.state(),
        }

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
        sums = dict(zip(SUMS, self.session.peers.summed(self.parts).tolist(), strict=True))
        self.parts.zero_()
        self.journalist.log_step(self.state.global_step, logs, sums)

    def end_step(self) -> None:
        """Bring the sums of the step home, and let the balance follow them."""
        step = torch.stack(self.of_step).cpu().double().sum(0)
        self.of_step.clear()
        self.parts += step
        if self.recipe.balance == "auto" and self.lesson.guided:
            of_all = dict(zip(SUMS, self.session.peers.summed(step).tolist(), strict=True))
            self.lesson.follow(of_all)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        try:
            self.session.peers.by_main(lambda: self.evaluated(self.state.global_step, self.tokens_done()))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise Trouble(
                f"The memory of the device ran out while reading held-out text at step {self.state.global_step}.",
                "Close other programs, or choose a smaller student or teacher; then resume.",
            ) from error
        return {}

    def tokens_done(self) -> int:
        per_process = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        per_step = per_process * self.args.world_size
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
        self.trainer.end_step()
        self.step_seconds += time.monotonic() - self.step_began
        self.session.step = state.global_step
        if state.global_step >= state.max_steps:
            control.should_log = True  # the curve reaches to the end, whatever `log_every`
        elif self.trainer.watcher is not None and self.trainer.watcher.is_due(state.global_step):
            control.should_save = True
        if self.session.agreed_stop() is not None:
            control.should_training_stop = True
            control.should_save = not self.session.discarding

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        folder = Path(args.output_dir) / f"{checkpoints.PREFIX}{state.global_step}"
        parts = self.session.peers.summed(self.trainer.parts)  # by then every process has written its files
        if self.session.peers.main:
            self.trainer.parts = parts
            self._seal(folder, state.global_step)
        else:
            self.trainer.parts.zero_()
        if state.global_step < state.max_steps and self.trainer.watch(state.global_step):
            control.should_training_stop = True

    def _seal(self, folder: Path, step: int) -> None:
        write_json(folder / SINCE_LOG, self.trainer.since_log())
        checkpoints.seal(folder, step)
        self.session.say(ev.CheckpointSaved(step, str(folder.relative_to(self.session.run.path).as_posix())))
        checkpoints.keep_newest(self.session.run.checkpoints, self.trainer.recipe.keep_checkpoints)

    def log_step(self, step: int, logs: dict[str, float], sums: dict[str, float]) -> None:
        """A point of the curve: means over what was learnt since the last one."""
        tokens, lesson = self.trainer.tokens_done(), self.trainer.lesson
        speed = (tokens - (self.tokens_said or 0)) / self.step_seconds if self.step_seconds > 0 else None
        self.tokens_said, self.step_seconds = tokens, 0.0
        means = lesson.means(sums)
        self.session.say(
            ev.StepLogged(
                step=step,
                tokens=tokens,
                lr=logs["learning_rate"],
                ce=means["ce"],
                kd=means["kd"] if lesson.guided else None,
                total=means["total"],
                grad_norm=logs.get("grad_norm"),
                tokens_per_second=None if speed is None else round(speed, 1),
                memory_bytes=memory_in_use(self.session.device),
                seconds=round(self.seconds_before + time.monotonic() - self.began, 3),
                parts=lesson.further_parts(means),
                generated=sums["written"] / sums["rows"] if self.trainer.recipe.source == "on-policy" else None,
            )
        )


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
        eval_steps=recipe.evaluate_every or defaults.evaluate_every(steps)[0],
        save_strategy="steps",
        save_steps=recipe.checkpoint_every or defaults.checkpoint_every(steps)[0],
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=session.device == "cuda",
        ddp_find_unused_parameters=False,
        use_cpu=session.device == "cpu",
        seed=recipe.seed,
        disable_tqdm=True,
        report_to="none",
        log_level="error",
    )


def warmup_steps(share: float, steps: int) -> int:
    """Steps in which the rate rises: the recipe's share, but at least 20 (or a tenth of a short run), for 1 % of a short run is one jump."""
    return 0 if share == 0 else max(round(share * steps), min(20, steps // 10))
