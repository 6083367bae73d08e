"""What came of a merge or a sweep: the model, what it was made of, and the ways on; a sweep's curve in place of curves of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout

from core.merge.methods import METHODS
from core.merge.run import MergeRecipe
from core.numbers import bytes_text, count_text, duration_text
from core.state import History
from core.sweep import SweepRecipe
from desktop_app import theme
from desktop_app.charts import ticks
from desktop_app.charts.flow import FlowLayout
from desktop_app.forms.field import button
from desktop_app.runs.dossier import Dossier
from desktop_app.runs.facts import Fact, FactsView, Section

translate = QCoreApplication.translate

KINDS = ("merge", "sweep")


def merge_facts(results: Mapping[str, Any]) -> list[Fact]:
    """The figures of a finished merge or sweep in words; fields that another version wrote otherwise are left out."""
    facts = []
    if (method := METHODS.get(str(results.get("method")))) is not None:
        facts.append(Fact(translate("merged", "Method"), method.title))
    if isinstance(parameters := results.get("parameters"), int):
        facts.append(Fact(translate("merged", "Parameters"), count_text(parameters)))
    if isinstance(size := results.get("size_bytes"), int):
        facts.append(Fact(translate("merged", "Size"), bytes_text(size)))
    points, best = results.get("points"), results.get("best")
    if isinstance(points, list):
        facts.append(Fact(translate("merged", "Points"), f"{len(points):,}"))
    if isinstance(best, dict):
        axes = results.get("axes")
        named = [f"{name} {best[name]:g}" for name in axes if name in best] if isinstance(axes, list) else []
        facts.append(Fact(translate("merged", "Best at"), ", ".join(named)))
    if isinstance(score := results.get("bits_per_byte"), int | float):
        facts.append(Fact(translate("merged", "Bits per byte"), ticks.value_text("number", float(score))))
    if isinstance(seconds := results.get("seconds"), int | float):
        facts.append(Fact(translate("merged", "Time"), duration_text(seconds)))
    if isinstance(inner := results.get("intermediates"), dict):
        facts += [Fact(str(name), str(folder)) for name, folder in inner.items()]
    if isinstance(model := results.get("model"), str):
        facts.append(Fact(translate("merged", "Folder"), model))
    return facts


class MergeCard(QFrame):
    """The outcome; the buttons carry the model's folder."""

    chat_wanted = Signal(object)  # Path
    evaluate_wanted = Signal(object)
    model_wanted = Signal(object)
    tree_wanted = Signal(object)  # the recipe: MergeRecipe or SweepRecipe

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._model: Path | None = None
        self._recipe: MergeRecipe | SweepRecipe | None = None
        self.title = QLabel()
        theme.set_role(self.title, "title")
        self.facts = FactsView()
        self.chat = button(self.tr("Chat"), "chat")
        self.evaluate = button(self.tr("Evaluate…"), "compare")
        self.show_button = button(self.tr("Show in Models"), "models")
        self.tree = button(self.tr("Open its tree"), "merge")
        buttons = FlowLayout()
        for one in (self.chat, self.evaluate, self.show_button, self.tree):
            buttons.addWidget(one)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.title)
        layout.addWidget(self.facts)
        layout.addLayout(buttons)
        self.chat.clicked.connect(lambda: self.chat_wanted.emit(self._model))
        self.evaluate.clicked.connect(lambda: self.evaluate_wanted.emit(self._model))
        self.show_button.clicked.connect(lambda: self.model_wanted.emit(self._model))
        self.tree.clicked.connect(lambda: self.tree_wanted.emit(self._recipe))
        self.hide()

    def show_merge(self, kind: str, history: History, dossier: Dossier | None) -> None:
        """Show what came of it; hidden until there is something."""
        results = history.results if kind in KINDS else {}
        self.setVisible(bool(results))
        if not results:
            return
        self.title.setText(self.tr("Best of the sweep") if kind == "sweep" else self.tr("Merged model"))
        self.facts.set_sections([Section("", tuple(merge_facts(results)))])
        model = results.get("model")
        self._model = Path(model) if isinstance(model, str) else None
        recipe = dossier.recipe if dossier is not None else None
        self._recipe = recipe if isinstance(recipe, MergeRecipe | SweepRecipe) else None
        for one in (self.chat, self.evaluate, self.show_button):
            one.setEnabled(self._model is not None)
            one.setToolTip("" if self._model is not None else self.tr("The run does not say where its model is."))
        self.tree.setVisible(self._recipe is not None)
