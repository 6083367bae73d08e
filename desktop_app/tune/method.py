"""How it is tuned: the method with a sentence of advice each, towards what, and the few dials with their reasons."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from core.numbers import count_text, parse_count
from core.tune import GOALS, METHODS, TuneRecipe
from desktop_app import theme
from desktop_app.forms import AmountEdit, Choice, Field, Option, Options, Segmented
from desktop_app.plan.amounts import follow, forget, real_text, whole_text
from desktop_app.plan.dials import Dial
from desktop_app.plan.draft import field_problem
from desktop_app.tune.draft import LENGTHS, Draft
from desktop_app.tune.thinking import Cost, Thought

OF_ADAPTERS = ("rank", "alpha")
COMPARED = ("lora", "full")  # methods whose cost always stands beside them; the others' is much like that of the first


class MethodCard(QWidget):
    """`changed` carries the fields of the draft that the user changed."""

    changed = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.method = Options()
        self.method_field = Field(self.tr("Method"), self.method)
        self.objective = Segmented([(name, title) for name, (title, _) in GOALS.items()])
        self.objective_field = Field(self.tr("Objective"), self.objective)
        labels = {
            "rank": self.tr("Rank"),
            "alpha": self.tr("Alpha"),
            "learning_rate": self.tr("Learning rate"),
        }
        self.dials = {name: Dial(name, label, recipe=TuneRecipe) for name, label in labels.items()}
        self.length = LengthField()
        grid = QGridLayout()
        grid.setHorizontalSpacing(2 * theme.SPACE)
        grid.setVerticalSpacing(2 * theme.SPACE)
        for at, field in enumerate((*self.dials.values(), self.length)):
            grid.addWidget(field, at // 2, at % 2, Qt.AlignmentFlag.AlignTop)
            grid.setColumnStretch(at % 2, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self.objective_field)
        layout.addWidget(self.method_field)
        layout.addLayout(grid)
        self.method.chosen.connect(partial(self._emit, "method"))
        self.objective.chosen.connect(partial(self._emit, "objective"))
        for dial in self.dials.values():
            dial.changed.connect(self.changed)
        self.length.changed.connect(self.changed)

    def _emit(self, name: str, value: str) -> None:
        self.changed.emit({name: value})

    def fields(self) -> dict[str, Field]:
        length = dict.fromkeys(LENGTHS, self.length)
        return {"objective": self.objective_field, "method": self.method_field, **self.dials, **length}

    def unread(self) -> dict[str, str]:
        """Why something that was typed can't be read, by field."""
        found = {name: dial.why_unread() for name, dial in self.dials.items() if dial.isEnabled()}
        found["epochs"] = self.length.why_unread()
        return {name: why for name, why in found.items() if why}

    def forget_typed(self) -> None:
        for dial in self.dials.values():
            dial.forget_typed()
        self.length.forget_typed()

    def show_draft(self, draft: Draft, thought: Thought | None) -> None:
        recipe = thought.recipe if thought is not None and thought.draft.subject == draft.subject else None
        goes_on = recipe is not None and recipe.adapter is not None
        method = recipe.method if goes_on and recipe is not None else draft.value("method")
        self._show_methods(thought, method)
        objective = draft.value("objective")
        self.objective.choose(objective)
        advice = GOALS[objective][1]
        self.objective_field.set_help(f"{advice[:1].upper()}{advice[1:]}.")
        for name, dial in self.dials.items():
            dial.show_draft(draft)
            if name in OF_ADAPTERS:
                dial.setVisible(method != "full")
                dial.setEnabled(not goes_on)
            self._show_reason(dial, draft, thought)
            if goes_on and name in OF_ADAPTERS:
                dial.edit.setText(real_text(getattr(recipe, name)))
                dial.set_help(self.tr("That of the adapter which is gone on from."))
        self.length.show_draft(draft, thought)

    def _show_methods(self, thought: Thought | None, chosen: str) -> None:
        costs = thought.costs if thought is not None else {}
        options = []
        for name, (title, advice) in METHODS.items():
            cost = costs.get(name, Cost())
            sentence = f"{advice[:1].upper()}{advice[1:]}."
            options.append(
                Option(name, title, sentence, cost.words if name in (chosen, *COMPARED) else "", cost.why_not)
            )
        self.method.choose(chosen)
        self.method.set_options(options)
        self.method.choose(chosen)

    def _show_reason(self, dial: Dial, draft: Draft, thought: Thought | None) -> None:
        """What is taken where nothing is said, and why."""
        proposal = thought.proposals.get(dial.name) if thought is not None else None
        own = dial.name in draft.said and draft.value(dial.name) is not None
        if proposal is None or own:
            dial.set_help(TuneRecipe.model_fields[dial.name].description or "")
            return
        if draft.value(dial.name) is None and isinstance(proposal.value, int | float):
            dial.edit.setPlaceholderText(real_text(proposal.value))
        reason = proposal.reason.removeprefix(f"{proposal.value}: ")
        dial.set_help(f"{reason[:1].upper()}{reason[1:]}.")


class LengthField(Field):
    """How long is trained: times through the data, tokens or steps."""

    changed = Signal(dict)

    def __init__(self) -> None:
        self.amount = AmountEdit(read=_number, write=_written)
        self.unit = Choice()
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.amount, 1)
        layout.addWidget(self.unit, 2)
        row.setFocusProxy(self.amount)
        super().__init__("", row)
        self.label.setText(self.tr("Length of training"))
        self.amount.setAccessibleName(self.label.text())
        self.unit.setAccessibleName(self.tr("What the length counts"))
        self.unit.set_options(
            [
                ("epochs", self.tr("times the data")),
                ("tokens", self.tr("tokens")),
                ("steps", self.tr("steps")),
            ]
        )
        self.amount.changed.connect(lambda _: self._take())
        self.unit.chosen.connect(lambda _: self._take_unit())

    def forget_typed(self) -> None:
        forget(self.amount)

    def _name(self) -> str:
        return str(self.unit.value())

    def why_unread(self) -> str:
        value = self.amount.value()
        if value is None:
            return self.amount.problem()
        whole = value if self._name() == "epochs" else int(value) if value == int(value) else value
        return field_problem(self._name(), whole, TuneRecipe)

    def _take(self) -> None:
        if self.why_unread():
            self.changed.emit({})
            return
        value = self.amount.value()
        said = None if value is None else value if self._name() == "epochs" else int(value)
        self.changed.emit({**dict.fromkeys(LENGTHS), self._name(): said})

    def _take_unit(self) -> None:
        """A number of one thing says nothing of another: begin with what is usual, or leave it to be written."""
        self.amount.clear()
        first = {"epochs": None, "tokens": 1_000_000, "steps": 100}[self._name()]
        self.changed.emit({**dict.fromkeys(LENGTHS), self._name(): first})

    def show_draft(self, draft: Draft, thought: Thought | None) -> None:
        name, amount = draft.length
        self.unit.choose(name)
        follow(self.amount, amount)
        self.amount.setPlaceholderText("3" if name == "epochs" else "")
        estimate = thought.estimate if thought is not None else None
        if estimate is None:
            self.set_help(self.tr("By default three times through the data."))
            return
        tokens = self.tr("About %s tokens in all.") % count_text(estimate.tokens)
        usual = self.tr("By default three times through the data.") if amount is None else ""
        self.set_help(" ".join(part for part in (usual, tokens) if part))


def _number(text: str) -> float:
    """A count as people write it, or a fraction of an epoch."""
    try:
        return float(text)
    except ValueError:
        return parse_count(text)


def _written(value: float) -> str:
    return whole_text(value) if value == int(value) else real_text(value)
