"""What came of a tuning: the adapter with its base, and answers before and after beside each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from core.adapters import Adapter
from core.numbers import count_text
from core.run_summary import RunSummary
from core.state import History
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.forms import parts
from desktop_app.forms.field import button
from desktop_app.icons import icon
from desktop_app.runs import words
from desktop_app.runs.dossier import Dossier
from desktop_app.runs.facts import Fact, FactsView, Section
from desktop_app.runs.samples import one_block
from desktop_app.sign import Sign

KINDS = ("tune", "adapters")
MOST_ANSWERS = 5
LONGEST = 600  # characters of an answer


@dataclass(frozen=True)
class Answers:
    """What the model said to a prompt before it learnt, and what it says since `step`."""

    prompt: str
    before: str
    after: str
    step: int


def answers_of(history: History) -> list[Answers]:
    """The first answers to each prompt and the newest, for prompts that were answered twice."""
    found: dict[str, list[tuple[int, str]]] = {}
    for sample in history.samples:
        found.setdefault(sample.prompt, []).append((sample.step, sample.text))
    both = {prompt: said for prompt, said in found.items() if said[0][0] == 0 and said[-1][0] > 0}
    return [Answers(prompt, said[0][1], said[-1][1], said[-1][0]) for prompt, said in both.items()][:MOST_ANSWERS]


class TuneCard(QFrame):
    """The buttons carry the adapter's folder, or that of the model."""

    model_wanted = Signal(object)  # Path
    merge_wanted = Signal(object)  # Path
    tune_wanted = Signal(object)  # Path

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._student: Path | None = None
        self.title = QLabel()
        theme.set_role(self.title, "title")
        self.facts = FactsView()
        self.sign = Sign(size=18)
        self.base = parts.words()
        self._base_line = QWidget()
        line = QHBoxLayout(self._base_line)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme.SPACE)
        line.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.base, 1)
        self.answers = AnswersView()
        self.merge = button(self.tr("Merge into base…"), "merge")
        self.tune = button(self.tr("Tune on from here"), "tune")
        self.show_model = button(self.tr("Show in Models"), "models")
        buttons = FlowLayout()
        for one in (self.merge, self.tune, self.show_model):
            buttons.addWidget(one)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(12)
        for widget in (self.title, self.answers, self.facts, self._base_line):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        self.merge.clicked.connect(lambda: self.merge_wanted.emit(self._student))
        self.tune.clicked.connect(lambda: self.tune_wanted.emit(self._student))
        self.show_model.clicked.connect(lambda: self.model_wanted.emit(self._student))
        self.hide()

    def show_tuning(self, row: RunSummary, history: History, dossier: Dossier | None) -> None:
        """Show what is known so far; hidden for other kinds of runs, and until there is something."""
        answers = answers_of(history) if row.kind == "tune" else []
        adapter = dossier.adapter if dossier is not None and row.kind == "tune" else None
        self._student = self._made(row, history, dossier)
        self.setVisible(row.kind in KINDS and bool(answers or adapter or self._student))
        if self.isHidden():
            return
        titles = {"tune": self.tr("Before and after") if answers else self.tr("What came of it")}
        self.title.setText(titles.get(row.kind, self.tr("The merged model")))
        self.answers.show_answers(answers)
        facts = self._facts(adapter, history) if row.kind == "tune" else self._merged(history)
        self.facts.set_sections([Section("", facts)] if facts else [])
        self.facts.setVisible(bool(facts))
        self._show_base(adapter, dossier)
        whole = self._student is not None
        for one, shown in ((self.merge, adapter is not None), (self.tune, row.kind == "tune"), (self.show_model, True)):
            one.setVisible(whole and shown)
        wrong = dossier.adapter_trouble if dossier is not None and adapter is not None else None
        for one in (self.merge, self.tune):
            one.setEnabled(not wrong)
            one.setToolTip(wrong or "")

    def _made(self, row: RunSummary, history: History, dossier: Dossier | None) -> Path | None:
        """The folder of the finished result."""
        if row.kind == "adapters":
            out = history.results.get("student")
            return Path(out) if isinstance(out, str) else None
        return dossier.student if dossier is not None and history.results else None

    def _facts(self, adapter: Adapter | None, history: History) -> tuple[Fact, ...]:
        facts = []
        if adapter is not None:
            facts.append(Fact(self.tr("Adapter"), adapter.words))
            facts.append(Fact(self.tr("In the layers"), ", ".join(adapter.targets)))
        learnt, whole = history.results.get("learnt_parameters"), history.results.get("parameters")
        if isinstance(learnt, int) and isinstance(whole, int) and whole:
            share = self.tr("%s of %s (%s)") % (count_text(learnt), count_text(whole), f"{learnt / whole:.1%}")
            facts.append(Fact(self.tr("Learnt weights"), share))
        if isinstance(merged := history.results.get("merged"), str):
            facts.append(Fact(self.tr("Merged model"), merged))
        return tuple(facts)

    def _merged(self, history: History) -> tuple[Fact, ...]:
        base, out = history.results.get("base"), history.results.get("student")
        named = ((self.tr("Base"), words.model_name(base) if isinstance(base, str) else ""), (self.tr("Folder"), out))
        return tuple(Fact(name, value) for name, value in named if isinstance(value, str) and value)

    def _show_base(self, adapter: Adapter | None, dossier: Dossier | None) -> None:
        self._base_line.setVisible(adapter is not None)
        if adapter is None or dossier is None:
            return
        trouble = dossier.adapter_trouble
        level = "warning" if trouble else "good"
        self.sign.set_icon(icon(level, level))
        theme.set_role(self.base, "warning" if trouble else None)
        self.base.setText(trouble or self.tr("Its base is there, with the weights that it was trained on."))


class AnswersView(QWidget):
    """Each prompt with two answers beside each other; the labels are used again."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: list[Answers] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(2 * theme.SPACE)
        self._grid.setVerticalSpacing(4)
        for column in (0, 1):
            self._grid.setColumnStretch(column, 1)
        self.before, self.after = QLabel(self.tr("Before")), QLabel()
        for column, heading in enumerate((self.before, self.after)):
            theme.set_role(heading, "small")
            self._grid.addWidget(heading, 0, column)
        self._lines: list[tuple[QLabel, QLabel, QLabel]] = []

    def answers(self) -> list[Answers]:
        return self._answers

    def show_answers(self, answers: Sequence[Answers]) -> None:
        self.setVisible(bool(answers))
        if list(answers) == self._answers:
            return
        self._answers = list(answers)
        newest = max((each.step for each in answers), default=0)
        self.after.setText(self.tr("After step %s") % f"{newest:,}")
        while len(self._lines) < len(answers):
            self._add_line()
        for number, labels in enumerate(self._lines):
            for label in labels:
                label.setVisible(number < len(answers))
        for each, (prompt, before, after) in zip(answers, self._lines, strict=False):
            prompt.setText(_shortened(each.prompt))
            for label, text, when in ((before, each.before, self.before), (after, each.after, self.after)):
                label.setText(_shortened(text) or self.tr("(nothing)"))
                label.setAccessibleName(f"{when.text()}: {label.text()}")

    def _add_line(self) -> None:
        row = 1 + 2 * len(self._lines)
        prompt, before, after = parts.words("muted"), parts.words(), parts.words()
        prompt.setContentsMargins(0, theme.SPACE if self._lines else 0, 0, 0)
        self._grid.addWidget(prompt, row, 0, 1, 2)
        for column, label in enumerate((before, after)):
            self._grid.addWidget(label, row + 1, column, Qt.AlignmentFlag.AlignTop)
        self._lines.append((prompt, before, after))


def _shortened(text: str) -> str:
    """Plain text of a bearable length, in which words that never end may be broken."""
    whole = one_block(text.strip()).replace("\u2028", "\n")
    whole = whole if len(whole) <= LONGEST else f"{whole[:LONGEST]} …"
    return re.sub(r"(\S{16})(?=\S)", "\\1\u200b", whole)
