"""What came of an evaluation or a judging: the figures beside, and the radar of one model in place of curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from core.evaluate import EvaluateRecipe
from core.radar import axes_of, figure_title, spokes
from core.recipe import Recipe
from core.scores import Score, scores_of, told_so_far
from core.state import History
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.charts.radar import RadarChart, RadarLine
from desktop_app.charts.reliability import ReliabilityChart
from desktop_app.compare.axes import pending_of, told_apart, usual
from desktop_app.compare.reading import as_going
from desktop_app.compare.words import value_text
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.runs.dossier import Dossier
from desktop_app.runs.facts import Fact, FactsView, Section
from desktop_app.runs.words import model_name

translate = QCoreApplication.translate

KINDS = ("evaluate", "judge")
MOST_SETS = 3  # of minimal pairs, best and worst


def figures_of(history: History, recipe: Recipe | None) -> list[Score]:
    """The figures of a run that has ended; until then those that it has told."""
    if history.results and recipe is not None:
        return scores_of(history.results, recipe)
    return list(told_so_far(history).values())


def sections_of(history: History, recipe: Recipe | None) -> list[Section]:
    """All figures in words, by what they were measured on."""
    groups: dict[str, list[Fact]] = {}
    titles = {
        "text": translate("evaluated", "Text"),
        "speed": translate("evaluated", "By the clock"),
        "writing": translate("evaluated", "What it writes"),
        "minimal_pairs": translate("evaluated", "Minimal pairs"),
    }
    told = history.results.get("tasks") or {}
    for score in figures_of(history, recipe):
        title = titles.get(score.task, translate("evaluated", "Skills") if score.task.startswith("skill ") else "")
        name = figure_title(score.column) if not title or title == titles["text"] else score.metric.replace("_", " ")
        if score.task.startswith("skill "):
            name = score.task.removeprefix("skill ")
        how = _how(score, told.get(score.task, {}))
        groups.setdefault(title or translate("evaluated", "Benchmarks"), []).append(Fact(name, value_text(score), how))
    groups.setdefault(titles["minimal_pairs"], []).extend(_sets(history.results.get("pairs")))
    return [Section(title, tuple(facts)) for title, facts in groups.items() if facts]


def _how(score: Score, told: Mapping[str, Any]) -> str:
    parts = [score.on] if score.task not in ("text", "writing", "speed") else []
    if isinstance(told.get("questions"), int) and "first " not in score.on:
        parts.append(translate("evaluated", "%s questions") % f"{told['questions']:,}")
    if told.get("cached"):
        parts.append(translate("evaluated", "known from before"))
    if told.get("cut"):
        parts.append(translate("evaluated", "%s prompts longer than the context") % f"{told['cut']:,}")
    return ", ".join(part for part in parts if part)


def _sets(pairs: Any) -> list[Fact]:
    """The best and the worst sets of minimal pairs, where there are several."""
    if not isinstance(pairs, Mapping) or len(pairs.get("sets", {})) < 2:
        return []
    ranked = sorted(pairs["sets"].items(), key=lambda item: -item[1]["accuracy"])
    shown = ranked if len(ranked) <= 2 * MOST_SETS else [*ranked[:MOST_SETS], *ranked[-MOST_SETS:]]
    return [Fact(name.replace("_", " "), f"{each['accuracy']:.3f} ± {each['stderr']:.3f}") for name, each in shown]


def judged_sections(results: Mapping[str, Any]) -> list[Section]:
    facts = []
    named = {
        "verdicts": translate("evaluated", "Verdicts"),
        "ties": translate("evaluated", "Ties"),
        "nonsense": translate("evaluated", "Of no use"),
    }
    for key, name in named.items():
        if isinstance(results.get(key), int):
            facts.append(Fact(name, f"{results[key]:,}"))
    strong = [
        Fact(model_name(str(each["model"])), f"{each['elo']:.0f}", f"{each['low']:.0f} – {each['high']:.0f}")
        for each in results.get("strengths", ())
        if isinstance(each, Mapping)
    ]
    return [
        Section("", tuple(facts)),
        Section(translate("evaluated", "Strength, with its 95 % interval"), tuple(strong)),
    ]


class EvaluationCard(QFrame):
    """`compare_wanted` carries the model's folder, `again_wanted` too; `verdicts_wanted` is of a judging."""

    compare_wanted = Signal(object)  # Path
    again_wanted = Signal(object)  # Path
    verdicts_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._model: Path | None = None
        self._told: object = None
        self.title = QLabel()
        theme.set_role(self.title, "title")
        self.facts = FactsView()
        self.compare = button(self.tr("Compare"), "compare")
        self.again = button(self.tr("Evaluate again…"), "measure")
        self.verdicts = button(self.tr("Show the verdicts"), "compare")
        buttons = FlowLayout()
        for one in (self.compare, self.again, self.verdicts):
            buttons.addWidget(one)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.title)
        layout.addLayout(buttons)
        layout.addWidget(self.facts)
        self.compare.clicked.connect(lambda: self.compare_wanted.emit(self._model))
        self.again.clicked.connect(lambda: self.again_wanted.emit(self._model))
        self.verdicts.clicked.connect(self.verdicts_wanted)
        self.hide()

    def show_evaluation(self, kind: str, history: History, dossier: Dossier | None) -> None:
        """Show the figures as they come; hidden until there are some."""
        recipe = dossier.recipe if dossier is not None else None
        told = (kind, len(history.evaluations), bool(history.results), recipe)
        if told == self._told:
            return
        self._told = told
        sections: list[Section] = []
        if kind == "evaluate":
            sections = sections_of(history, recipe)
        elif kind == "judge" and history.results:
            sections = judged_sections(history.results)
        self.setVisible(bool(sections))
        if not sections:
            return
        done = bool(history.results)
        self.title.setText(
            self.tr("Verdicts") if kind == "judge" else self.tr("Figures") if done else self.tr("So far")
        )
        self.facts.set_sections(sections)
        self._model = Path(recipe.model) if isinstance(recipe, EvaluateRecipe) else None
        there = self._model is not None and self._model.is_dir()
        self.verdicts.setVisible(kind == "judge")
        for one in (self.compare, self.again):
            one.setVisible(kind == "evaluate" and self._model is not None)
            one.setEnabled(there)
            one.setToolTip(
                ""
                if there
                else self.tr("The model is not there any more; a checkpoint is given back when it is measured.")
            )


class EvaluationOutcome(QWidget):
    """In place of curves: the radar of the figures, which grows while they come."""

    def __init__(self) -> None:
        super().__init__()
        self.radar, self.note, self.reliability = RadarChart(), words("small"), ReliabilityChart()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.radar, 1)
        layout.addWidget(self.note)
        layout.addWidget(self.reliability)
        self.reliability.hide()

    def show_outcome(self, kind: str, name: str, history: History | None, recipe: Recipe | None) -> None:
        calibration = history.results.get("calibration") if history is not None and kind == "evaluate" else None
        self.reliability.setVisible(isinstance(calibration, Mapping))
        if isinstance(calibration, Mapping):
            self.reliability.show_curve(calibration.get("curve", ()))
        if kind == "judge":
            told = self.tr("Models answer questions, and another model says which answer is better; the table stands beside when it has ended.")  # fmt: skip
            self.radar.show_scores((), (), empty=told)
            self.note.setText("")
            return
        history = history or History()
        scores = figures_of(history, recipe)
        axes = usual(told_apart(axes_of(scores)), ())
        found = spokes(axes, {score.column: score for score in scores}, "raw")
        kept = [at for at, spoke in enumerate(found) if spoke.radius is not None]
        axes, shown = [axes[at] for at in kept], tuple(found[at] for at in kept)
        done = bool(history.results)
        new = frozenset() if done else frozenset(range(len(axes)))
        going = [as_going("", "", recipe)] if isinstance(recipe, EvaluateRecipe) and not done else []
        lines = [RadarLine("", name, theme.series_colour(0), 0, shown, new)] if axes else []
        self.radar.show_scores(
            axes, lines, pending_of(going, axes), empty=self.tr("The figures appear here as they come.")
        )
        self.note.setText(self.tr("The figures as they are, from 0 to 1. “Compare” puts other models beside it."))
