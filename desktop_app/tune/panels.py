"""What stands beside the form: what the tuning takes on this machine, and which weights are learnt."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from core.numbers import bytes_text, count_text, duration_text
from desktop_app import theme
from desktop_app.charts.memory_bar import MemoryBar
from desktop_app.forms.parts import words
from desktop_app.plan.estimate_panel import FigureLine
from desktop_app.runs.facts import Fact, FactsView, Section
from desktop_app.tune.thinking import Thought


class EstimatePanel(QWidget):
    """Memory by part, time and disk."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.memory = MemoryBar()
        self.time, self.disk = FigureLine("time"), FigureLine("disk")
        lines = QGridLayout()
        lines.setHorizontalSpacing(theme.SPACE)
        lines.setVerticalSpacing(2)
        lines.setColumnStretch(1, 1)
        for at, one in enumerate((self.time, self.disk)):
            one.place(lines, at)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self.memory)
        layout.addLayout(lines)
        self.show_thought(None)

    def show_thought(self, thought: Thought | None) -> None:
        cost = thought.estimate if thought is not None else None
        device = thought.device if thought is not None else None
        for one in (self.time, self.disk):
            one.setVisible(cost is not None)
        if cost is None or device is None:
            self.memory.set_estimate((), 0, 0, (0, 0))
            return
        self.memory.set_estimate(cost.memory, cost.memory_free_bytes, device.memory_total_bytes, cost.memory_band)
        low, high = (duration_text(seconds) for seconds in cost.seconds_band)
        self.time.show_text(
            self.tr("%s (from %s to %s)") % (duration_text(cost.seconds), low, high),
            self.tr("%s tokens on %s, with the evaluations on the way.") % (count_text(cost.tokens), cost.device),
        )
        self.disk.show_text(
            self.tr("%s of disk") % bytes_text(cost.disk_bytes),
            self.tr("The result, and the checkpoints that are kept."),
        )


class LearntPanel(QWidget):
    """How many weights are learnt, in which layers, and why in these."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sentence = words()
        self.layers = FactsView()
        self.reason, self.end = words("small"), words("small")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        for widget in (self.sentence, self.layers, self.reason, self.end):
            layout.addWidget(widget)
        self.show_thought(None)

    def show_thought(self, thought: Thought | None) -> None:
        proposals = thought.proposals if thought is not None else {}
        trained, targets = proposals.get("trained"), proposals.get("targets")
        known = trained is not None
        if trained is None:
            self.sentence.setText(self.tr("Which weights are learnt will stand here once a model is chosen."))
        else:
            self.sentence.setText(f"{trained.reason}.")
        theme.set_role(self.sentence, None if known else "muted")
        layers = thought.layers if thought is not None else {}
        named = [name.strip() for name in str(targets.value).split(",")] if targets is not None else []
        self.layers.set_sections([Section("", self._facts(named, layers))] if named and known else [])
        self.layers.setVisible(bool(named) and known)
        self.reason.setText(_sentence(targets.reason) if targets is not None else "")
        self.reason.setVisible(bool(self.reason.text()) and known)
        self.end.setText(self._end(thought, adapts=targets is not None))
        self.end.setVisible(known)

    def _facts(self, named: list[str], layers: Mapping[str, int]) -> tuple[Fact, ...]:
        """Those with an adapter, and those without."""
        others = [name for name in layers if name not in named]
        counted = [f"{name} × {layers[name]}" if name in layers else name for name in named]
        facts = [Fact(self.tr("With an adapter"), ", ".join(counted))]
        if others:
            facts.append(Fact(self.tr("As they are"), ", ".join(others)))
        return tuple(facts)

    def _end(self, thought: Thought | None, *, adapts: bool) -> str:
        subject = thought.subject if thought is not None else None
        if subject is None:
            return ""
        if not adapts:
            return self.tr("The result is a model of its own; %s stays as it is.") % subject.model.name
        if thought is not None and thought.draft.value("merge"):
            return self.tr("The result is an adapter, and the model with the adapter merged into it.")
        said = self.tr("The result is an adapter of %s, which stays as it is. It can be merged into it at any time.")
        return said % subject.model.name


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
