"""More settings of a tuning: every other field of its recipe."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from core.tune import TuneRecipe
from desktop_app.plan.recipe_fields import RecipeFields
from desktop_app.plan.watch_fields import WATCH, watch_labels, watch_title
from desktop_app.tune.draft import MORE, Draft
from desktop_app.tune.thinking import Thought


class MoreFields(RecipeFields):
    """The fields that have no place of their own on the page."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(TuneRecipe, parent)
        self._thought: Thought | None = None

    def groups(self) -> dict[str, list[str]]:
        """What nobody thought of comes last."""
        groups = {
            self.tr("The run"): ["name", "out", "merge", "seed", "precision", "gradient_checkpointing", "share_device", "allow_remote_code"],
            self.tr("The adapter"): ["targets", "dropout"],
            self.tr("The rows"): ["learn", "packing", "sequence_length", "too_long", "separator", "skip_broken", "held_out", "most_held_out"],
            self.tr("Teacher and preferences"): ["ce_weight", "temperature", "beta"],
            self.tr("The optimizer"): ["batch", "micro_batch", "schedule", "warmup", "weight_decay", "beta1", "beta2", "clip", "neftune"],
            watch_title(): WATCH,
            self.tr("What is looked at and kept"): ["evaluate_every", "sample_rows", "new_tokens", "checkpoint_every", "keep_checkpoints", "log_every"],
        }  # fmt: skip
        named = {name for names in groups.values() for name in names}
        if rest := [name for name in MORE if name not in named]:
            groups[self.tr("Others")] = rest
        return groups

    def label(self, name: str) -> str:
        return {
            "name": self.tr("Name of the run"),
            "out": self.tr("Also write the result to"),
            "merge": self.tr("Also write the merged model"),
            "seed": self.tr("Seed"),
            "precision": self.tr("Precision"),
            "gradient_checkpointing": self.tr("Gradient checkpointing"),
            "share_device": self.tr("Share the device"),
            "allow_remote_code": self.tr("Run the model's own code"),
            "targets": self.tr("Layers that get an adapter"),
            "dropout": self.tr("Dropout of the adapter"),
            "learn": self.tr("What is learnt of a conversation"),
            "packing": self.tr("Pack short rows together"),
            "sequence_length": self.tr("Longest row in tokens"),
            "too_long": self.tr("Rows beyond that"),
            "separator": self.tr("Line that parts documents"),
            "skip_broken": self.tr("Leave broken rows out"),
            "held_out": self.tr("Share that is held out"),
            "most_held_out": self.tr("Rows held out at the most"),
            "ce_weight": self.tr("Share of the plain answers"),
            "temperature": self.tr("Temperature of the teacher"),
            "beta": self.tr("Beta of the preferences"),
            "batch": self.tr("Rows in a step"),
            "micro_batch": self.tr("Rows at once in memory"),
            "schedule": self.tr("Schedule"),
            "warmup": self.tr("Warm-up"),
            "weight_decay": self.tr("Weight decay"),
            "beta1": "β₁",
            "beta2": "β₂",
            "clip": self.tr("Gradient clipping"),
            "neftune": self.tr("Noise on the embeddings (NEFTune)"),
            **watch_labels(),
            "evaluate_every": self.tr("Steps between evaluations"),
            "sample_rows": self.tr("Prompts answered before and after"),
            "new_tokens": self.tr("Longest answer in tokens"),
            "checkpoint_every": self.tr("Steps between checkpoints"),
            "keep_checkpoints": self.tr("Checkpoints kept"),
            "log_every": self.tr("Steps between points"),
        }.get(name, name.replace("_", " ").capitalize())

    def made_some(self) -> None:
        self._show_reasons()

    def show_draft(self, draft: Draft, thought: Thought | None) -> None:
        self._thought = thought
        self.show_said({name: value for name, value in draft.settings().items() if name in MORE})
        self._show_reasons()

    def _show_reasons(self) -> None:
        """The layers are named in full where nobody chose any."""
        proposals = self._thought.proposals if self._thought is not None else {}
        if (targets := proposals.get("targets")) is not None:
            self.show_reason("targets", targets.value, targets.reason)
