"""The recipe of a distillation: who teaches, what the student must be, on what text, for how long, and how."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from core.model_files import may_be_quantized
from core.objectives import OBJECTIVES, Objective, Source, objective_words, source_words
from core.recipe import Problem
from core.shapes import Shape
from core.watch import WatchedRecipe

Builder = Literal["prune", "masks", "inherit", "scratch", "existing"]

QUANTIZED = ("int8", "int4")  # precisions of a teacher
SHORTEST_SEQUENCE = 8
WRITES_WHOLE = "A student that writes text itself must be whole in each process, and fsdp shares it out."


class DistillRecipe(WatchedRecipe):
    """A student trained on text under a teacher's guidance: loss = a·CE + (1 − a)·τ²·KL(teacher ‖ student)."""

    kind: Literal["distill"] = "distill"

    teacher: str | None = Field(
        None, description="The teacher's folder. Empty only for plain training of a given student."
    )
    more_teachers: tuple[str, ...] = Field(
        (), description="Further teachers of the same tokenizer; the first is the one that a student is cut from."
    )
    teacher_weights: tuple[float, ...] = Field(
        (), description="How much each teacher counts in the mean, the first one first; by default all the same."
    )
    mixture: Literal["mean", "lowest-ce"] = Field(
        "mean",
        description="Of several teachers: the weighted mean of their distributions, or for each document the one that reads it best.",
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
        min_length=1,
        description="Text files or folders of them: plain, Markdown, or JSON lines with texts (`text`), prompts and answers, or conversations.",
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

    objective: Objective = Field("forward_kl", description="How the student's distribution is held to the teacher's.")
    ce_weight: float = Field(
        0.5, ge=0, le=1, description="a: the share of plain cross-entropy; the rest follows the teacher (MiniMA: 0.5)."
    )
    balance: Literal["fixed", "auto"] = Field(
        "fixed",
        description="auto: the teacher's part is scaled to the size of the cross-entropy as training goes, so that the weight means a share.",
    )
    temperature: float = Field(1.0, gt=0, le=20, description="τ: softens both distributions (MiniMA: 1).")
    jsd_beta: float = Field(0.5, ge=0, le=1, description="β: 0 is forward KL, 1 is reverse KL.")
    gold_beta: float = Field(
        0.0,
        ge=0,
        le=1,
        description="β where texts are aligned: 0, the forward KL, also moves a student that begins from nothing.",
    )
    skew_alpha: float = Field(0.1, ge=0, lt=1, description="α: how much of the other distribution is mixed in.")
    clip_mass: float = Field(0.95, gt=0, le=1, description="Classes are kept until they hold this much of p.")
    sinkhorn_epsilon: float = Field(0.1, gt=0, description="ε: how blurred the transport is.")
    hidden_weight: float = Field(0.0, ge=0, description="Weight of the hidden states' error beside the objective.")
    relation_weight: float = Field(0.0, ge=0, description="Weight of the attention relations beside the objective.")
    answers_only: bool = Field(
        False, description="Only answers are learnt, of data that has prompts and answers; else all of the text."
    )

    source: Source = Field(
        "corpus",
        description="What the teacher is asked: corpus, the text as it stands; cache, the same from its kept answers; "
        "on-policy, what the student writes.",
    )
    cache: str | None = Field(
        None,
        description="The folder of the cached answers; by default one is made, or found again, in the data folder.",
    )
    top_k: int = Field(50, ge=1, le=65535, description="Likeliest tokens that a cache keeps at each position.")
    tail: Literal["bucket", "sample"] = Field(
        "bucket",
        description="What a cache keeps of the rest: its mass, as one more class (slightly biased, no noise), or nothing, "
        "with the classes drawn at random by probability instead (unbiased, forward KL only).",
    )
    on_policy_share: float = Field(
        0.5, ge=0, le=1, description="λ: the share of blocks in which the student writes the text itself (GKD: 0.5)."
    )
    sampling_temperature: float = Field(0.9, gt=0, le=5, description="Of what the student writes (GKD: 0.9).")
    new_tokens: int | None = Field(
        None, ge=1, description="Tokens that the student writes after a beginning; by default half a block at most."
    )
    teacher_mix: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="α: how much of the teacher's distribution the student's words are drawn from, weighed back by importance (MiniLLM: 0.2).",
    )

    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the device has it."
    )
    save_precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the student's file. auto: as the model it comes from."
    )
    teacher_precision: Literal["auto", "float32", "bfloat16", "int8", "int4"] = Field(
        "auto", description="Of the teacher's weights. auto: as the arithmetic; int8 and int4 need bitsandbytes."
    )
    teacher_device: str | None = Field(None, description="A device of its own for the teacher, as cuda:1.")
    chunk_rows: int | None = Field(
        None,
        ge=1,
        description="Positions whose scores over the vocabulary are held at once; by default as many as 64 MB hold on a CPU, 256 MB on a GPU.",
    )
    processes: int = Field(1, ge=1, le=1024, description="Processes that share the steps, one a device.")
    launch: Literal["direct", "accelerate"] = Field(
        "direct", description="accelerate: through `accelerate launch`, as several processes need."
    )
    strategy: Literal["ddp", "fsdp"] = Field(
        "ddp", description="Of several processes: each holds the student (ddp), or a part of it (fsdp)."
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

    @property
    def must_be_whole(self) -> bool:
        """True if the student writes text in training, which one that is shared out over processes can't."""
        return self.guided and self.source == "on-policy"

    @property
    def teachers(self) -> tuple[str, ...]:
        """All teachers, the first one first."""
        return (() if self.teacher is None else (self.teacher,)) + self.more_teachers

    def may_meet_quantized(self) -> bool:
        return self.teacher_precision in QUANTIZED or may_be_quantized((*self.teachers, self.student))

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
        found.extend(self._objective_problems())
        found.extend(self.watch_problems())
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

    def _objective_problems(self) -> list[Problem]:
        """What objective, source, teachers and processes have against each other."""
        found = []

        def say(field: str, text: str) -> None:
            found.append(Problem(field=field, text=text))

        facts = OBJECTIVES[self.objective]
        if self.more_teachers and self.teacher is None:
            say("more_teachers", "There are further teachers, but no first one. Name it as the teacher.")
        for folder in self.more_teachers:
            if not Path(folder).is_dir():
                say("more_teachers", f"There is no folder {folder}. Choose a model folder.")
        if self.teacher_weights and len(self.teacher_weights) != len(self.teachers):
            say(
                "teacher_weights",
                f"{len(self.teacher_weights)} weights for {len(self.teachers)} teachers. Give one for each, or none.",
            )
        elif self.teacher_weights and (min(self.teacher_weights) < 0 or sum(self.teacher_weights) <= 0):
            say("teacher_weights", "The weights of the teachers must be 0 or more, and not all 0.")
        if not self.guided:
            return found
        if self.more_teachers and facts.needs in ("states", "text"):
            say(
                "objective",
                f"{facts.title} follows one teacher. Leave the others out, or choose {objective_words('forward_kl')}.",
            )
        if self.source == "cache":
            found.extend(self._cache_problems())
        if self.source == "on-policy" and facts.needs == "text":
            say("source", f"{facts.title} reads the text as it stands. Choose {source_words('corpus')}.")
        if self.teacher_mix and self.source != "on-policy":
            say(
                "teacher_mix",
                f"The teacher mixes into what the student writes. Choose {source_words('on-policy')}, or set the mix to 0.",
            )
        if self.teacher_mix and self.objective != "reverse_kl":
            say(
                "teacher_mix",
                "The single-step form of MiniLLM, which weighs mixed samples back, is a reverse KL. "
                f"Choose {objective_words('reverse_kl')}, or set the mix to 0.",
            )
        if self.processes > 1 and self.must_be_whole and self.strategy == "fsdp":
            say("strategy", f"{WRITES_WHOLE} Choose ddp.")
        if self.processes > 1 and self.launch == "direct":
            say("launch", f"{self.processes} processes are started by accelerate. Choose it, or one process.")
        return found

    def _cache_problems(self) -> list[Problem]:
        """Why cached answers can't serve this recipe."""
        facts = OBJECTIVES[self.objective]
        found = []
        if not facts.from_cache:
            found.append(
                Problem(
                    field="objective",
                    text=f"{facts.title} needs more of the teacher than a cache keeps. Choose {source_words('corpus')}, "
                    f"or another objective, like {objective_words('forward_kl')}.",
                )
            )
        if self.tail == "sample" and facts.from_cache and not facts.from_sample:
            found.append(
                Problem(
                    field="tail",
                    text=f"{facts.title} is biased on classes drawn at random. Keep the mass of the rest (bucket), "
                    f"or choose {objective_words('forward_kl')}.",
                )
            )
        if self.hidden_weight or self.relation_weight:
            found.append(
                Problem(
                    field="source",
                    text=f"Hidden states and relations are not in a cache. Choose {source_words('corpus')}.",
                )
            )
        if self.more_teachers:
            found.append(
                Problem(
                    field="more_teachers",
                    text=f"A cache is of one teacher. Leave the others out, or choose {source_words('corpus')}.",
                )
            )
        return found


def _no_place_for(out: Path) -> Path | None:
    """The nearest existing parent of `out` if nothing can be made in it: the student comes only after hours."""
    nearest = next(parent for parent in out.absolute().parents if os.path.lexists(parent))
    return None if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK) else nearest
