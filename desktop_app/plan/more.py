"""More settings: every other field of the recipe, made from the recipe itself, so that none is missing."""

from __future__ import annotations

import types
import typing
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from core.distill import DistillRecipe
from core.numbers import parse_count
from core.plan import Plan
from desktop_app import theme
from desktop_app.forms import AmountEdit, Choice, Field
from desktop_app.plan.amounts import follow, forget, real_text, whole_text
from desktop_app.plan.draft import DEFAULTS, MORE, Draft, field_problem, field_value

WIDE = {"name", "sample_prompt", "out"}


class MoreFields(QWidget):
    """The fields come into being when they are first shown. `changed` carries a field's name and value."""

    changed = Signal(str, object)
    unreadable = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.made: dict[str, Field] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2 * theme.SPACE)
        self._draft = Draft()
        self._plan: Plan | None = None
        self._to_make: list[tuple[str, list[str]]] | None = None  # groups; None until they are first wanted

    def build(self) -> None:
        """Make the fields, a group in each turn of the event loop."""
        if self._to_make is None:
            self._to_make = list(self._groups().items())
            self._make_group()

    def build_all(self) -> None:
        """Make all of them at once, for somebody who goes to one."""
        self.build()
        while self._to_make:
            self._make_group()

    def _make_group(self) -> None:
        if not self._to_make:
            return
        title, names = self._to_make.pop(0)
        heading = QLabel(title)
        theme.set_role(heading, "muted")
        self._layout.addWidget(heading)
        grid = QGridLayout()
        self._layout.addLayout(grid)
        grid.setHorizontalSpacing(2 * theme.SPACE)
        grid.setVerticalSpacing(2 * theme.SPACE)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        at = 0
        for name in names:
            wide = name in WIDE
            at += at % 2 if wide else 0
            columns = 2 if wide else 1
            grid.addWidget(self._make(name), at // 2, at % 2, 1, columns, Qt.AlignmentFlag.AlignTop)
            at += columns
        self.show_draft(self._draft)
        self.show_plan(self._plan)
        QTimer.singleShot(0, self, self._make_group)

    def _groups(self) -> dict[str, list[str]]:
        """The names under their headings; what nobody thought of comes last."""
        groups = {
            self.tr("The run"): ["name", "out", "seed", "precision", "save_precision", "chunk_rows", "gradient_checkpointing",
                                  "share_device", "allow_remote_code"],
            self.tr("Beside the objective"): ["hidden_weight", "relation_weight"],
            self.tr("The text"): ["sequence_length", "validation_tokens", "calibration_blocks", "sample_prompt"],
            self.tr("The optimizer"): ["learning_rate", "schedule", "batch_tokens", "micro_batch", "warmup", "weight_decay", "beta1", "beta2", "clip"],
            self.tr("What is kept"): ["evaluate_every", "checkpoint_every", "keep_checkpoints", "log_every"],
        }  # fmt: skip
        named = {name for names in groups.values() for name in names}
        if rest := [name for name in MORE if name not in named]:
            groups[self.tr("Others")] = rest
        return groups

    def _label(self, name: str) -> str:
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
            "evaluate_every": self.tr("Steps between evaluations"),
            "checkpoint_every": self.tr("Steps between checkpoints"),
            "keep_checkpoints": self.tr("Checkpoints kept"),
            "log_every": self.tr("Steps between points"),
        }.get(name, name.replace("_", " ").capitalize())

    def _make(self, name: str) -> Field:
        info = DistillRecipe.model_fields[name]
        kind = _inner(info.annotation)
        help_text = info.description or ""
        if kind is bool:
            box = QCheckBox(self.tr("Yes"))
            box.toggled.connect(lambda on: self._set(name, on))
            widget: QWidget = box
        elif typing.get_origin(kind) is typing.Literal:
            choice = Choice([(value, value) for value in typing.get_args(kind)])
            choice.chosen.connect(lambda value: self._set(name, value))
            widget = choice
        elif kind in (int, float):
            read, write = (parse_count, whole_text) if kind is int else (float, real_text)
            amount = AmountEdit(read=read, write=write)
            amount.textEdited.connect(lambda _: self._read_number(name, amount))
            widget = amount
        elif typing.get_origin(kind) is tuple:
            several = QLineEdit()
            several.setPlaceholderText(self.tr("Several, parted by commas"))
            several.textEdited.connect(lambda text: self._set(name, _several(text)))
            widget = several
        else:
            line = QLineEdit()
            line.textEdited.connect(lambda text: self._set(name, text.strip() or DEFAULTS[name]))
            widget = line
        self.made[name] = Field(self._label(name), widget, help_text)
        return self.made[name]

    # --- shown --------------------------------------------------------------------------------------------------------

    def forget_typed(self) -> None:
        for field in self.made.values():
            if isinstance(field.widget, AmountEdit):
                forget(field.widget)

    def show_draft(self, draft: Draft) -> None:
        self._draft = draft
        for name, field in self.made.items():
            value = draft.more.get(name, DEFAULTS[name])
            widget = field.widget
            if isinstance(widget, AmountEdit):
                follow(widget, value if name in draft.more else None)
                if DEFAULTS[name] is not None:
                    widget.setPlaceholderText(
                        f"{DEFAULTS[name]:,}" if isinstance(DEFAULTS[name], int) else f"{DEFAULTS[name]:g}"
                    )
            elif isinstance(widget, QCheckBox):
                widget.blockSignals(True)
                widget.setChecked(bool(value))
                widget.blockSignals(False)
            elif isinstance(widget, Choice):
                widget.choose(value)
            elif isinstance(widget, QLineEdit) and not widget.hasFocus():
                widget.setText(", ".join(map(str, value)) if isinstance(value, tuple) else value or "")

    def show_plan(self, plan: Plan | None) -> None:
        """What the run would do where nothing is said, and why."""
        self._plan = plan
        if plan is None:
            return
        choices = plan.estimate.choices
        for name, reason in choices.reasons.items():
            field = self.made.get(name)
            if field is None or name in self._draft.more:
                continue
            if isinstance(field.widget, AmountEdit):
                value = getattr(choices, name)
                field.widget.setPlaceholderText(whole_text(value) if isinstance(value, int) else real_text(value))
            field.set_help(self.tr("By default %s.") % reason.rstrip("."))
        for name in self._draft.more.keys() & self.made.keys():
            self.made[name].set_help(DistillRecipe.model_fields[name].description or "")
        if (precision := self.made.get("precision")) is not None:
            found = "bfloat16" if choices.bf16 else "float32"
            precision.set_help(self.tr("%s: %s.") % (found, choices.reasons["bf16"]))

    # --- changed by the user ------------------------------------------------------------------------------------------

    def _read_number(self, name: str, amount: AmountEdit) -> None:
        value = amount.value()
        if value is None and amount.text().strip():
            self.unreadable.emit()
        else:
            self._set(name, DEFAULTS[name] if value is None else value)

    def _set(self, name: str, value: Any) -> None:
        if field_problem(name, value):
            self.unreadable.emit()
        else:
            self.changed.emit(name, field_value(name, value))

    def unread(self) -> dict[str, str]:
        """Why numbers can't be read or lie out of range, by field of the recipe."""
        found = {}
        for name, field in self.made.items():
            widget = field.widget
            if isinstance(widget, AmountEdit) and widget.text().strip():
                value = widget.value()
                why = widget.problem() if value is None else field_problem(name, value)
                if why:
                    found[name] = why
        return found


def _several(text: str) -> tuple[str, ...]:
    return tuple(part for part in map(str.strip, text.split(",")) if part)


def _inner(annotation: Any) -> Any:
    """The type of a field without its `| None`."""
    if isinstance(annotation, types.UnionType):
        return next(part for part in annotation.__args__ if part is not types.NoneType)
    return annotation
