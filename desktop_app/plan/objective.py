"""The objective's card: how much the student follows the teacher, and how much the text."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from core.distill import DistillRecipe
from desktop_app import theme
from desktop_app.forms import AmountEdit, Field, Segmented
from desktop_app.plan.amounts import follow, forget
from desktop_app.plan.draft import PRESETS, Draft, field_problem


class ObjectiveCard(QWidget):
    """`changed` carries the fields of the draft that the user changed."""

    changed = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.preset = Segmented(
            [
                ("balanced", self.tr("Balanced")),
                ("follow", self.tr("Follow the teacher")),
                ("text", self.tr("Text only")),
                ("custom", self.tr("Custom")),
            ]
        )
        self.preset_field = Field(self.tr("What the student learns from"), self.preset)
        self.weight, self.temperature = _number(), _number()
        described = DistillRecipe.model_fields
        self.weight_field = Field(
            self.tr("Weight of the text (a)"), self.weight, described["ce_weight"].description or ""
        )
        self.temperature_field = Field(
            self.tr("Temperature (τ)"), self.temperature, described["temperature"].description or ""
        )
        self.dials = QWidget()
        row = QHBoxLayout(self.dials)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2 * theme.SPACE)
        row.addWidget(self.weight_field, 1)
        row.addWidget(self.temperature_field, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self.preset_field)
        layout.addWidget(self.dials)
        self.preset.chosen.connect(self._choose)
        self.weight.changed.connect(lambda value: self._read("ce_weight", value))
        self.temperature.changed.connect(lambda value: self._read("temperature", value))

    def fields(self) -> dict[str, Field]:
        return {
            "use_teacher": self.preset_field,
            "ce_weight": self.weight_field,
            "temperature": self.temperature_field,
        }

    def forget_typed(self) -> None:
        forget(self.weight)
        forget(self.temperature)

    def show_draft(self, draft: Draft) -> None:
        self.preset.choose(draft.preset)
        self.preset_field.set_help(self._explained(draft.preset))
        self.dials.setVisible(draft.preset == "custom")
        follow(self.weight, draft.ce_weight)
        follow(self.temperature, draft.temperature)

    def _choose(self, preset: str) -> None:
        if preset == "custom":
            self.changed.emit({"custom": True, "use_teacher": True})
            return
        values: dict[str, Any] = next(values for name, values in PRESETS.items() if name == preset)
        self.changed.emit({"custom": False, **values})

    def _read(self, name: str, value: object) -> None:
        wrong = value is None or field_problem(name, value)
        self.changed.emit({} if wrong else {name: value})

    def unread(self) -> dict[str, str]:
        """Why a dial can't be read, by field of the recipe."""
        if self.preset.value() != "custom":
            return {}
        found = {}
        for name, dial in (("ce_weight", self.weight), ("temperature", self.temperature)):
            value = dial.value()
            why = self.tr("Write a number.") if value is None else field_problem(name, value)
            if why:
                found[name] = why
        return found

    def _explained(self, preset: str) -> str:
        return {
            "balanced": self.tr("Half from the text, half from the teacher's answers, as MiniMA did. A good start."),
            "follow": self.tr(
                "A tenth from the text, the rest from the teacher's answers: for a teacher that knows the text well."
            ),
            "text": self.tr(
                "The same student without the teacher's guidance: the control run that shows what the teacher is worth."
            ),
            "custom": self.tr("Loss = a·CE + (1 − a)·τ²·KL(teacher ‖ student)."),
        }[preset]


def _number() -> AmountEdit:
    return AmountEdit(read=float, write=lambda value: f"{value:g}")
