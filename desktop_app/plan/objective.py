"""The objective's card: how much the student follows the teacher, and how much the text; in what way; and what the teacher is asked."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from core.objectives import OBJECTIVES
from core.plan import Plan
from desktop_app import theme
from desktop_app.forms import DescribedChoice, Field, Segmented, parts
from desktop_app.plan.choosing import objective_rows
from desktop_app.plan.dials import Dial
from desktop_app.plan.draft import PRESETS, Draft
from desktop_app.plan.options import Offers
from desktop_app.plan.source import SourceInput


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
        self.aligned = parts.words("small")
        self.objective = DescribedChoice()
        self.objective_field = Field(self.tr("How it is held to the teacher"), self.objective)
        self.weight_field = Dial("ce_weight", self.tr("Weight of the text (a)"))
        self.temperature_field = Dial("temperature", self.tr("Temperature (τ)"))
        self.weight, self.temperature = self.weight_field.edit, self.temperature_field.edit
        self.own = (
            Dial("jsd_beta", self.tr("Between the two KLs (β)")),
            Dial("gold_beta", self.tr("Between the two KLs (β)")),
            Dial("skew_alpha", self.tr("Skew (α)")),
            Dial("clip_mass", self.tr("Mass that is kept")),
            Dial("sinkhorn_epsilon", self.tr("Blur (ε)")),
        )
        self.balance = Segmented([("fixed", self.tr("Fixed")), ("auto", self.tr("Automatic"))])
        automatic = self.tr(
            "Automatic scales the teacher's part to the size of the cross-entropy as training goes, so that the weight means a share."
        )
        self.balance_field = Field(self.tr("Balance of the parts"), self.balance, automatic)
        self.source = SourceInput()
        self.dials = self._custom()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        for one in (self.preset_field, self.aligned, self.dials, self.source):
            layout.addWidget(one)
        self._connect()

    def _custom(self) -> QWidget:
        """What the preset Custom opens."""
        dials = QWidget()
        grid = QGridLayout(dials)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2 * theme.SPACE)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)
        top = Qt.AlignmentFlag.AlignTop
        grid.addWidget(self.objective_field, 0, 0, 1, 2)
        grid.addWidget(self.weight_field, 1, 0, top)
        grid.addWidget(self.temperature_field, 1, 1, top)
        for dial in self.own:  # one of them at most is in sight
            grid.addWidget(dial, 2, 0, top)
        grid.addWidget(self.balance_field, 3, 0, 1, 2, top)
        return dials

    def _connect(self) -> None:
        self.preset.chosen.connect(self._choose)
        self.objective.chosen.connect(lambda name: self.changed.emit({"objective": name}))
        self.balance.chosen.connect(lambda way: self.changed.emit({"balance": way}))
        self.source.changed.connect(self.changed)
        for dial in self._dials():
            dial.changed.connect(self.changed)

    def _dials(self) -> tuple[Dial, ...]:
        return (self.weight_field, self.temperature_field, *self.own)

    def fields(self) -> dict[str, Field]:
        placed = {"use_teacher": self.preset_field, "objective": self.objective_field, "balance": self.balance_field}
        return placed | {dial.name: dial for dial in self._dials()} | self.source.fields()

    def forget_typed(self) -> None:
        for dial in self._dials():
            dial.forget_typed()
        self.source.forget_typed()

    def show_draft(self, draft: Draft, plan: Plan | None, offers: Offers | None) -> None:
        self.preset.choose(draft.preset)
        self.preset_field.set_help(self._explained(draft.preset))
        self.dials.setVisible(draft.preset == "custom")
        self.source.setVisible(draft.guided)
        for dial in self._dials():
            dial.show_draft(draft)
        self.balance.choose(draft.value("balance"))
        self._show_objective(draft, plan)
        self._show_aligned(draft, plan)
        self.source.show_draft(draft, plan, offers)

    def _show_objective(self, draft: Draft, plan: Plan | None) -> None:
        chosen = draft.value("objective")
        facts = OBJECTIVES[chosen]
        known = plan.objectives if plan is not None else ()
        self.objective.describe(objective_rows(known, chosen))
        self.objective.choose(chosen)
        self.objective_field.set_help(f"{facts.advice} {facts.cost}")
        self.objective.setToolTip(facts.source)
        for dial in self.own:
            dial.setVisible(dial.name in facts.dials)

    def _show_aligned(self, draft: Draft, plan: Plan | None) -> None:
        """With another tokenizer tokens can't be compared one by one; what is done instead, and why."""
        instead = plan is not None and draft.guided and plan.objective != draft.value("objective")
        if plan is not None and instead:
            self.aligned.setText(f"{plan.objective_sentence} {OBJECTIVES[plan.objective].advice}")
        self.aligned.setVisible(instead)

    def _choose(self, preset: str) -> None:
        if preset == "custom":
            self.changed.emit({"custom": True, "use_teacher": True})
            return
        values: dict[str, Any] = next(values for name, values in PRESETS.items() if name == preset)
        self.changed.emit({"custom": False, **values})

    def unread(self) -> dict[str, str]:
        """Why a dial in sight can't be read, by field of the recipe."""
        found = self.source.unread() if self.source.isVisibleTo(self) else {}
        if self.preset.value() == "custom":
            shown = [dial for dial in self._dials() if dial.isVisibleTo(self.dials)]
            found |= {dial.name: why for dial in shown if (why := dial.why_unread())}
        return found

    def out_of_sight(self) -> set[str]:
        """Fields that are not shown just now: what is wrong with them must be said elsewhere."""
        return {name for name, field in self.fields().items() if not field.isVisibleTo(self)}

    def _explained(self, preset: str) -> str:
        return {
            "balanced": self.tr("Half from the text, half from the teacher's answers, as MiniMA did. A good start."),
            "follow": self.tr(
                "A tenth from the text, the rest from the teacher's answers: for a teacher that knows the text well."
            ),
            "text": self.tr(
                "The same student without the teacher's guidance: the control run that shows what the teacher is worth."
            ),
            "custom": self.tr("Loss = a·CE(text) + (1 − a)·how far the student is from the teacher."),
        }[preset]
