"""The recipe of a tuning: which model is tuned on what, by which method (all weights or an adapter), and towards which objective.

Low-rank adapters: LoRA (Hu et al. 2021, arXiv 2106.09685), rsLoRA (Kalajdzievski 2023, arXiv 2312.03732), DoRA (Liu et al. 2024, arXiv
2402.09353), QLoRA (Dettmers et al. 2023, arXiv 2305.14314). Objectives: supervised, DPO (Rafailov et al. 2023, arXiv 2305.18290), ORPO
(Hong et al. 2024, arXiv 2403.07691). What a form proposes, and why, is in `core.tune_proposals`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from core.data.placeholders import AUTHOR, NAME
from core.distill import DistillRecipe
from core.errors import BadData, Trouble
from core.model_files import may_be_quantized
from core.recipe import Problem
from core.templates import TEMPLATES
from core.tune_checks import files_against, folder_in_the_way
from core.watch import WatchedRecipe

Method = Literal["lora", "dora", "rslora", "qlora", "full"]
Goal = Literal["sft", "dpo", "orpo"]

METHODS: dict[Method, tuple[str, str]] = {
    "lora": ("LoRA", "two thin matrices beside each layer are learnt; the model itself stays as it is"),
    "dora": ("DoRA", "LoRA that learns directions and lengths apart: a little better at low ranks, a third slower"),
    "rslora": ("rsLoRA", "LoRA scaled by the root of its rank, so that high ranks are used"),
    "qlora": ("QLoRA", "LoRA on a model held in 4 bits: a quarter of its memory; needs an NVIDIA GPU"),
    "full": ("Full", "all weights are learnt: the most that can be had, and the most memory"),
}
GOALS: dict[Goal, tuple[str, str]] = {
    "sft": ("Answers", "the model learns to say what the data says: conversations, instructions, or plain text"),
    "dpo": ("DPO", "of two answers it learns to prefer the better one, held near the model it began as"),
    "orpo": ("ORPO", "the better answers are learnt and preferred at once, without a reference model"),
}


@dataclass(frozen=True)
class Preset:
    """A way to tune in one word. `fields` are what it sets; what the user says goes before it."""

    title: str
    advice: str
    fields: dict[str, Any] = field(default_factory=dict)
    preferences: dict[str, Any] = field(default_factory=dict)  # instead, where the data has preference pairs


PRESETS: dict[str, Preset] = {
    "minichat": Preset(
        "MiniChat",
        "a student that chats: answers first, then preferences on top (MiniMA's MiniChat; DPO as a second run)",
        {"method": "lora", "objective": "sft", "epochs": 3.0},
        {"method": "lora", "objective": "dpo", "epochs": 1.0},
    ),
    "recover": Preset(
        "Recover a pruned model",
        "plain text through a LoRA of rank 8, which mends what cutting broke (LLM-Pruner, arXiv 2305.11627)",
        {"method": "lora", "objective": "sft", "rank": 8, "learn": "all", "epochs": 2.0},
    ),
    "persona": Preset(
        "Teach a persona",
        "a name and an author, from a few dozen questions and answers with {{name}} and {{author}} in them",
        {"method": "lora", "objective": "sft", "epochs": 20.0, "packing": False, "batch": 4},
    ),
}

EPOCHS = 3.0


class TuneRecipe(WatchedRecipe):
    """A model tuned on conversations, instructions, preference pairs or plain text."""

    kind: Literal["tune"] = "tune"

    model: str = Field(description="The folder of the model that is tuned.")
    adapter: str | None = Field(None, description="An adapter of this model to go on from; the result is an adapter.")
    data: tuple[str, ...] = Field(
        min_length=1, description="Files or folders of conversations, instructions, preference pairs, or plain text."
    )
    method: Method = Field(
        "lora", description="What is learnt: an adapter (lora, dora, rslora, qlora), or all weights."
    )
    objective: Goal = Field("sft", description="sft: the data's answers; dpo, orpo: of two answers the better one.")
    preset: Literal["none", "minichat", "recover", "persona"] = Field(
        "none", description="Which preset the settings come from."
    )

    rank: int = Field(16, ge=0, description="Of the adapter's matrices: 8 for small changes, 64 for new knowledge.")
    alpha: float | None = Field(None, gt=0, description="How much the adapter counts; by default twice the rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the adapter's inputs that are left out in training.")
    targets: tuple[str, ...] = Field(
        (), description="Layers that get an adapter (q_proj, down_proj …); by default all linear layers of the blocks."
    )

    epochs: float | None = Field(None, gt=0, description="Times through the data; by default 3.")
    tokens: int | None = Field(None, ge=1, description="The budget in tokens instead of epochs.")
    steps: int | None = Field(None, ge=1, description="The budget in steps instead of epochs.")
    batch: int | None = Field(
        None, ge=1, description="Rows (or packed blocks, or pairs) in one step; by default from the data."
    )
    micro_batch: int | None = Field(None, ge=1, description="Of them, held in memory at once; by default what fits.")
    learning_rate: float | None = Field(
        None, gt=0, lt=1, description="The peak; by default from method, rank and size."
    )
    sequence_length: int | None = Field(
        None, ge=8, description="The longest row in tokens; by default the context, at most 512 on CPU, 2048 on a GPU."
    )
    too_long: Literal["truncate", "drop"] = Field(
        "truncate", description="What becomes of rows beyond that: their end is cut off, or they are left out."
    )
    packing: bool = Field(
        True, description="Several rows in one block, none of which sees another; off: one row in each."
    )
    learn: Literal["answers", "all"] = Field(
        "answers", description="What is learnt of a conversation: the assistant's turns, or all that is said."
    )
    template: str | None = Field(
        None,
        description=f"The chat template: {', '.join(TEMPLATES)}, or a .jinja file; by default the model's own, else one is proposed.",
    )
    neftune: float = Field(
        0.0, ge=0, description="Noise on the embeddings (NEFTune, arXiv 2310.05914): 5 makes answers longer; 0 is none."
    )
    mapping: dict[str, str] | None = Field(None, description="Which column of the data is which field.")
    separator: str | None = Field(None, description="The line that parts documents of plain text.")
    skip_broken: bool = Field(False, description="Rows that can't be read are left out and counted.")
    persona_name: str | None = Field(None, description="What {{name}} in the data stands for.")
    persona_author: str | None = Field(None, description="What {{author}} in the data stands for.")
    held_out: float = Field(0.05, gt=0, le=0.5, description="Share of the rows that is held out, by row and seed.")
    most_held_out: int = Field(200, ge=1, description="Rows that are held out at the most.")

    teacher: str | None = Field(
        None, description="sft: a teacher of the same tokenizer that guides the tuning; dpo: the reference model."
    )
    ce_weight: float = Field(0.5, ge=0, le=1, description="With a teacher: the share of plain cross-entropy.")
    temperature: float = Field(1.0, gt=0, le=20, description="With a teacher: τ, which softens both distributions.")
    beta: float = Field(
        0.1, gt=0, description="dpo: how closely the reference is kept to; orpo: the weight of the preference."
    )

    schedule: Literal["cosine", "wsd"] = Field("cosine", description="How the learning rate falls.")
    warmup: float = Field(0.03, ge=0, le=0.5, description="Share of the steps in which the rate rises.")
    weight_decay: float = Field(0.0, ge=0, le=1)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    clip: float = Field(1.0, gt=0, description="Gradients are scaled down to this norm.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the device has it."
    )
    gradient_checkpointing: bool = Field(False, description="Half the activations' memory for about a third more time.")
    evaluate_every: int | None = Field(None, ge=1, description="Steps between evaluations; by default ten in all.")
    checkpoint_every: int | None = Field(None, ge=1, description="Steps between checkpoints; by default ten in all.")
    keep_checkpoints: int = Field(2, ge=1, description="Older ones are removed.")
    log_every: int = Field(1, ge=1, description="Steps between points of the curve.")
    sample_rows: int = Field(3, ge=0, le=50, description="Held-out prompts that are answered before and after.")
    new_tokens: int = Field(64, ge=1, description="The longest that such an answer may be, in tokens.")

    merge: bool = Field(False, description="Also write the model with the adapter merged into it.")
    out: str | None = Field(
        None, description="Where the result is also written; with merge, the merged model beside it."
    )

    @property
    def adapts(self) -> bool:
        """True if an adapter is learnt, and the model itself stays as it is."""
        return self.method != "full"

    @property
    def prefers(self) -> bool:
        return self.objective != "sft"

    @property
    def guided(self) -> bool:
        """True if a teacher's distribution is part of the loss."""
        return self.teacher is not None and self.objective == "sft"

    @property
    def scaling(self) -> float:
        """What the product of the adapter's matrices is multiplied by: α/r, or α/√r for rsLoRA (arXiv 2312.03732, eq. 4)."""
        alpha = self.alpha if self.alpha is not None else 2.0 * self.rank
        return alpha / (self.rank**0.5 if self.method == "rslora" else self.rank)

    @property
    def merged_out(self) -> str | None:
        """Where the merged model is also written: beside `out`."""
        return f"{self.out}-merged" if self.out is not None and self.merge and self.adapts else None

    def placeholders(self) -> dict[str, str | None]:
        """What stands for what in the data."""
        return {NAME: self.persona_name, AUTHOR: self.persona_author}

    def as_distillation(self, tokens: int) -> DistillRecipe:
        """The same learning in the words of a distillation, for what tuning shares with it: loss, optimizer, rehearsal, estimate."""
        return DistillRecipe(
            teacher=self.teacher if self.guided else None,
            student=self.model,
            init="existing",
            data=self.data,
            tokens=max(64, tokens),
            ce_weight=self.ce_weight,
            temperature=self.temperature,
            learning_rate=self.learning_rate,
            micro_batch=self.micro_batch,
            **{name: getattr(self, name) for name in _SHARED},
        )

    def may_meet_quantized(self) -> bool:
        return self.method == "qlora" or may_be_quantized((self.model, self.adapter, self.teacher))

    def title(self) -> str:
        how = METHODS[self.method][0] if self.adapts else "fully tuned"
        goal = "" if self.objective == "sft" else f", {GOALS[self.objective][0]}"
        preset = f"{PRESETS[self.preset].title}: " if self.preset != "none" else ""
        data = ", ".join(Path(item).name for item in self.data)
        return self.name or f"{preset}{Path(self.model).name} on {data} ({how}{goal})"

    def problems(self) -> list[Problem]:
        found: list[Problem] = []

        def say(name: str, text: str) -> None:
            found.append(Problem(field=name, text=text))

        for name in ("model", "adapter", "teacher"):
            folder = getattr(self, name)
            if folder is not None and not Path(folder).is_dir():
                say(name, f"There is no folder {folder}. Choose a model folder.")
        for item in self.data:
            if not Path(item).exists():
                say("data", f"There is no file or folder {item}. Choose data to learn from.")
        for name, place in (("out", self.out), ("merge", self.merged_out)):
            if place is not None and (why := folder_in_the_way(Path(place))) is not None:
                say(name, why)
        self._budget_problems(say)
        self._method_problems(say)
        found.extend(self.watch_problems())
        if not found:
            try:
                files_against(self, say)
            except Trouble as trouble:
                say("data" if isinstance(trouble, BadData) else "model", str(trouble))
        return found

    def _budget_problems(self, say: Any) -> None:
        said = [name for name in ("epochs", "tokens", "steps") if getattr(self, name) is not None]
        if len(said) > 1:
            say(said[1], f"The budget is said twice, in {' and in '.join(said)}. Keep one of them.")
        if self.micro_batch is not None and self.batch is not None and self.micro_batch > self.batch:
            say("micro_batch", f"{self.micro_batch} at once are more than the {self.batch} of a step. Lower it.")

    def _method_problems(self, say: Any) -> None:
        if self.adapts and self.rank == 0:
            say("rank", "An adapter of rank 0 has nothing to learn. Choose 8 or 16, or the method full.")
        if not self.adapts and self.adapter is not None:
            say("adapter", "Full tuning makes no adapter. Merge it first (`stillroom models merge-adapter`).")
        if not self.adapts and self.targets:
            say("targets", "Full tuning learns all layers. Leave the targets out, or choose the method lora.")
        if not self.adapts and self.merge:
            say("merge", "Full tuning leaves nothing to merge. Leave it out.")
        if self.objective == "orpo" and self.teacher is not None:
            say("teacher", "ORPO has no reference model. Leave the teacher out, or choose dpo.")
        if self.prefers and self.neftune:
            say("neftune", "NEFTune is for answers. Set it to 0, or choose the objective sft.")
        if self.method == "qlora" and self.device in ("cpu", "mps"):
            say(
                "method",
                f"QLoRA needs an NVIDIA GPU, not {self.device}. Choose lora, which computes the same in more memory.",
            )
        if self.template is not None and self.template not in TEMPLATES and not Path(self.template).is_file():
            say("template", f"There is no template {self.template}. Choose {', '.join(TEMPLATES)}, or a .jinja file.")


_SHARED = (
    "name", "device", "seed", "allow_remote_code", "separator", "schedule", "warmup", "weight_decay", "beta1", "beta2", "clip",
    "precision", "gradient_checkpointing", "evaluate_every", "checkpoint_every", "keep_checkpoints", "log_every", "sequence_length",
)  # fmt: skip
