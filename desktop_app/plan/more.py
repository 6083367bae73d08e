"""More settings: every other field of the recipe, made from the recipe itself, so that none is missing."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from core.distill import DistillRecipe
from core.plan import Plan
from desktop_app.plan.draft import MORE, Draft
from desktop_app.plan.recipe_fields import RecipeFields
from desktop_app.plan.watch_fields import WATCH, watch_labels, watch_title


class MoreFields(RecipeFields):
    """Those of a distillation."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(DistillRecipe, parent)
        self._draft = Draft()
        self._plan: Plan | None = None

    def groups(self) -> dict[str, list[str]]:
        """The names under their headings; what nobody thought of comes last."""
        groups = {
            self.tr("The run"): ["name", "out", "seed", "precision", "save_precision", "chunk_rows", "gradient_checkpointing",
                                  "share_device", "allow_remote_code"],
            self.tr("Beside the objective"): ["hidden_weight", "relation_weight"],
            self.tr("The text"): ["sequence_length", "validation_tokens", "calibration_blocks", "sample_prompt"],
            self.tr("The optimizer"): ["learning_rate", "schedule", "batch_tokens", "micro_batch", "warmup", "weight_decay", "beta1", "beta2", "clip"],
            watch_title(): WATCH,
            self.tr("What is kept"): ["evaluate_every", "checkpoint_every", "keep_checkpoints", "log_every"],
        }  # fmt: skip
        named = {name for names in groups.values() for name in names}
        if rest := [name for name in MORE if name not in named]:
            groups[self.tr("Others")] = rest
        return groups

    def label(self, name: str) -> str:
        return {
            "name": self.tr("Name of the run"),
            "out": self.tr("Also write the student to"),
            "seed": self.tr("Seed"),
            "precision": self.tr("Precision"),
            "save_precision": self.tr("Precision of the student's file"),
            "chunk_rows": self.tr("Positions scored at once"),
            "hidden_weight": self.tr("Weight of the hidden states"),
            "relation_weight": self.tr("Weight of the attention relations"),
            "gradient_checkpointing": self.tr("Gradient checkpointing"),
            "share_device": self.tr("Share the device"),
            "allow_remote_code": self.tr("Run the model's own code"),
            "sequence_length": self.tr("Sequence length"),
            "validation_tokens": self.tr("Held-out tokens"),
            "calibration_blocks": self.tr("Calibration blocks"),
            "sample_prompt": self.tr("Prompt of the samples"),
            "learning_rate": self.tr("Learning rate"),
            "schedule": self.tr("Schedule"),
            "batch_tokens": self.tr("Tokens in a step"),
            "micro_batch": self.tr("Micro-batch"),
            "warmup": self.tr("Warm-up"),
            "weight_decay": self.tr("Weight decay"),
            "beta1": "β₁",
            "beta2": "β₂",
            "clip": self.tr("Gradient clipping"),
            **watch_labels(),
            "evaluate_every": self.tr("Steps between evaluations"),
            "checkpoint_every": self.tr("Steps between checkpoints"),
            "keep_checkpoints": self.tr("Checkpoints kept"),
            "log_every": self.tr("Steps between points"),
        }.get(name, name.replace("_", " ").capitalize())

    def made_some(self) -> None:
        self.show_plan(self._plan)

    def show_draft(self, draft: Draft) -> None:
        self._draft = draft
        self.show_said(draft.more)

    def show_plan(self, plan: Plan | None) -> None:
        """What the run would do where nothing is said, and why."""
        self._plan = plan
        if plan is None:
            return
        choices = plan.estimate.choices
        for name, reason in choices.reasons.items():
            if name in self.made:
                self.show_reason(name, getattr(choices, name, None), reason)
        for name in self._draft.more.keys() & self.made.keys():
            self.made[name].set_help(DistillRecipe.model_fields[name].description or "")
        if (precision := self.made.get("precision")) is not None:
            found = "bfloat16" if choices.bf16 else "float32"
            precision.set_help(self.tr("%s: %s.") % (found, choices.reasons["bf16"]))
