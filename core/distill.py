"""The recipe of a distillation: who teaches, what the student must be, on what text, for how long, and how."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from core.recipe import Problem, Recipe
from core.shapes import Shape

Builder = Literal["prune", "masks", "inherit", "scratch", "existing"]

SHORTEST_SEQUENCE = 8


class DistillRecipe(Recipe):
    """A student trained on text under a teacher's guidance: loss = a·CE + (1 − a)·τ²·KL(teacher ‖ student)."""

    kind: Literal["distill"] = "distill"

    teacher: str | None = Field(
        None, description="The teacher's folder. Empty only for plain training of a given student."
    )
    use_teacher: bool = Field(
        True,
        description="Off: the same student trained without the teacher's guidance, the control run that shows what the teacher is worth.",
    )
    student: str = Field(
        description="What the student must be: a share of the teacher (0.4x), a size (1.3M), or a model folder."
    )
    init: Builder = Field(
        "prune",
        description="How the student comes to be: cut from the teacher (prune, masks, inherit), from scratch, or an existing model.",
    )
    shape: Shape | None = Field(None, description="The student's exact shape, settled when the run is made.")

    data: tuple[str, ...] = Field(
        min_length=1, description="Text files or folders of them (plain, Markdown, JSONL with a `text` field)."
    )
    separator: str | None = Field(
        None,
        description="The line that parts documents. By default <|endoftext|> where there are any, else a file is one document.",
    )
    validation_tokens: int = Field(
        16_384, ge=64, description="Held-out text, in tokens; split off by document and seed."
    )

    tokens: int = Field(ge=64, description="The budget: how many tokens the student is trained on.")
    sequence_length: int | None = Field(
        None,
        ge=SHORTEST_SEQUENCE,
        description="Positions in one block; by default the context, at most 512 on CPU and 2048 on a GPU.",
    )
    batch_tokens: int | None = Field(
        None, ge=8, description="Tokens in one optimizer step; by default from the budget."
    )
    micro_batch: int | None = Field(
        None, ge=1, description="Blocks that are held in memory at once; by default what fits."
    )
    learning_rate: float | None = Field(
        None, gt=0, lt=1, description="The peak; by default from the student's size and builder."
    )
    schedule: Literal["cosine", "wsd"] = Field(
        "cosine", description="cosine falls all the way; wsd stays at the peak and falls in the last tenth."
    )
    warmup: float = Field(0.01, ge=0, le=0.5, description="Share of the steps in which the rate rises.")
    weight_decay: float = Field(0.1, ge=0, le=1)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    clip: float = Field(1.0, gt=0, description="Gradients are scaled down to this norm.")

    ce_weight: float = Field(
        0.5, ge=0, le=1, description="a: the share of plain cross-entropy; the rest follows the teacher (MiniMA: 0.5)."
    )
    temperature: float = Field(1.0, gt=0, le=20, description="τ: softens both distributions (MiniMA: 1).")

    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the device has it."
    )
    save_precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the student's file. auto: as the model it comes from."
    )
    gradient_checkpointing: bool = Field(False, description="Half the activations' memory for about a third more time.")
    evaluate_every: int | None = Field(
        None, ge=1, description="Steps between evaluations; by default ten over the run."
    )
    checkpoint_every: int | None = Field(
        None, ge=1, description="Steps between checkpoints; by default ten over the run."
    )
    keep_checkpoints: int = Field(2, ge=1, description="Older ones are removed.")
    log_every: int = Field(1, ge=1, description="Steps between points of the curve.")
    calibration_blocks: int = Field(
        64, ge=1, le=4096, description="Blocks read to score heads, neurons and channels (Minitron: 1024 samples)."
    )
    sample_prompt: str = Field(
        "", description="What the student is asked to go on from at each evaluation; by default a held-out beginning."
    )
    out: str | None = Field(None, description="Where the finished student is also written.")

    @property
    def guided(self) -> bool:
        """True if the teacher's distribution is part of the loss."""
        return self.teacher is not None and self.use_teacher

    def title(self) -> str:
        if self.name:
            return self.name
        teacher = Path(self.teacher).name if self.teacher else "no teacher"
        how = "" if self.guided or self.teacher is None else ", without the teacher"
        student = Path(self.student).name if self.init == "existing" else self.student
        return f"{teacher} → {student} ({self.init}{how})"

    def problems(self) -> list[Problem]:
        found = []
        if self.teacher is None and self.init in ("prune", "masks", "inherit"):
            found.append(
                Problem(
                    field="teacher",
                    text=f"{self.init} cuts the student out of a teacher. Name one, or choose scratch or an existing model.",
                )
            )
        if self.teacher is not None and not Path(self.teacher).is_dir():
            found.append(Problem(field="teacher", text=f"There is no folder {self.teacher}. Choose a model folder."))
        if (self.init == "existing" or self.teacher is None) and not Path(self.student).is_dir():
            found.append(
                Problem(
                    field="student",
                    text=f"There is no folder {self.student}. Choose a model folder, or another way to make the student.",
                )
            )
        found.extend(
            Problem(field="data", text=f"There is no file or folder {item}. Choose text to train on.")
            for item in self.data
            if not Path(item).exists()
        )
        if self.out is not None:
            out = Path(self.out)
            if out.is_file() or (out.is_dir() and any(out.iterdir())):
                found.append(
                    Problem(
                        field="out", text=f"{out} is there already. Name a new or empty folder; nothing is overwritten."
                    )
                )
            elif (place := _no_place_for(out)) is not None:
                found.append(
                    Problem(
                        field="out",
                        text=f"The student can't be written to {out}: {place} is no folder that you may write to. "
                        "Name another place.",
                    )
                )
        if self.shape is not None and self.sequence_length is not None and self.sequence_length > self.shape.context:
            found.append(
                Problem(
                    field="sequence_length",
                    text=f"{self.sequence_length} positions are more than the student's context of {self.shape.context}. Shorten it.",
                )
            )
        if (
            self.batch_tokens is not None
            and self.sequence_length is not None
            and self.batch_tokens < self.sequence_length
        ):
            found.append(
                Problem(
                    field="batch_tokens",
                    text=f"One step holds at least one block of {self.sequence_length} tokens. Raise it, or shorten the sequence.",
                )
            )
        return found


def _no_place_for(out: Path) -> Path | None:
    """The nearest existing parent of `out` if nothing can be made in it: the student comes only after hours."""
    nearest = next(parent for parent in out.absolute().parents if os.path.lexists(parent))
    return None if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK) else nearest
