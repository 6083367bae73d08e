"""The dialog of letting a model judge: who is judged, by whom, on which questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from core import runner
from core.errors import BadRecipe, Trouble
from core.home import Home
from core.judge import JudgeRecipe
from core.numbers import parse_count
from core.recipe import parse_recipe
from core.subjects import resolve_subject
from desktop_app import theme
from desktop_app.compare.pick_list import PickList, offers_of
from desktop_app.context import Context
from desktop_app.forms import AmountEdit, Choice, Field
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.work import in_background


class JudgeDialog(QDialog):
    """`started` carries the run."""

    started = Signal(str)

    def __init__(self, context: Context, ticked: Sequence[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self._starting = False
        self.setWindowTitle(self.tr("Let a model judge answers"))
        about = self.tr(
            "The models answer the questions of a file; the judge reads each pair of answers in both orders. Its verdicts are kept with "
            "their texts."
        )
        self.about = words("muted", about)
        self.models = PickList()
        made = {row.id: row.model for row in context.live.rows if row.model}
        offers = [
            o for o in offers_of(context.live.rows, context.shelf.entries) if o.word in made or o.sign == "models"
        ]
        self.models.set_offers(offers, [*ticked, *(run for run, model in made.items() if model in ticked)])
        usable = [(str(entry.path), entry.name) for entry in context.shelf.entries if entry.info is not None]
        self.judge = Choice(usable)
        self.judge_field = Field(
            self.tr("Judge"),
            self.judge,
            self.tr("A larger model of another family: judges prefer what sounds like themselves."),
        )
        self.questions = QLineEdit()
        self.choose = button(self.tr("Choose…"), "open", "quiet")
        self.questions_field = Field(
            self.tr("Questions"),
            self.questions,
            self.tr("JSON lines in the format of Vicuna-bench and MT-bench: question_id, category, turns."),
        )
        self.questions_field.beside_label(self.choose)
        self.limit, self.length = AmountEdit(parse_count), AmountEdit(parse_count)
        self.limit.setPlaceholderText(self.tr("all"))
        self.length.set_value(256)
        self.limit_field = Field(self.tr("Only the first questions"), self.limit)
        self.length_field = Field(self.tr("Longest answer in tokens"), self.length)
        self.problem, self.why = words("error"), words("muted")
        self.cancel, self.start = button(self.tr("Cancel")), button(self.tr("Judge"), "compare", "primary")
        self._lay_out()
        self._connect()
        self._look()

    def _lay_out(self) -> None:
        left, right = QVBoxLayout(), QVBoxLayout()
        left.setSpacing(theme.SPACE)
        heading = QLabel(self.tr("Who is judged"))
        heading.setBuddy(self.models.search)
        left.addWidget(heading)
        left.addWidget(self.models, 1)
        right.setSpacing(2 * theme.SPACE)
        for field in (self.judge_field, self.questions_field, self.limit_field, self.length_field):
            right.addWidget(field)
        right.addStretch(1)
        across = QHBoxLayout()
        across.setSpacing(3 * theme.SPACE)
        across.addLayout(left, 1)
        across.addLayout(right, 1)
        foot = QHBoxLayout()
        foot.setSpacing(theme.SPACE)
        said = QVBoxLayout()
        said.addWidget(self.why)
        said.addWidget(self.problem)
        foot.addLayout(said, 1)
        foot.addWidget(self.cancel)
        foot.addWidget(self.start)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 3 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self.about)
        layout.addLayout(across, 1)
        layout.addLayout(foot)
        self.problem.hide()
        self.resize(880, 560)

    def _connect(self) -> None:
        self.models.ticked.connect(self._look)
        self.judge.chosen.connect(lambda _: self._look())
        for edit in (self.questions, self.limit, self.length):
            edit.textChanged.connect(lambda _: self._look())
        self.choose.clicked.connect(self._ask_file)
        self.cancel.clicked.connect(self.reject)
        self.start.clicked.connect(self._start)

    def why_not(self) -> str:
        """Why it can't be started now, or nothing."""
        if self._starting:
            return self.tr("Starting…")
        if len(self.models.words()) < 2:
            return self.tr("Tick two models or more.")
        if not self.judge.value():
            return self.tr("There is no model that could judge: add one on the Models page.")
        if not self.questions.text().strip():
            return self.tr("Choose a file of questions.")
        return self.limit.problem() or self.length.problem()

    def _look(self) -> None:
        why_not = self.why_not()
        self.limit_field.set_problem(self.limit.problem())
        self.length_field.set_problem(self.length.problem())
        count = len(self.models.words())
        pairs = count * (count - 1) // 2
        told = self.tr("Each question is answered %d times, and %d pairs of answers are judged, each twice.") % (
            count,
            pairs,
        )
        self.why.setText(why_not or told)
        self.start.setEnabled(not why_not)
        self.start.setToolTip(why_not)

    def _ask_file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, self.tr("Questions"), "", self.tr("Questions (*.jsonl *.json)"))
        if chosen:
            self.questions.setText(chosen)

    def _start(self) -> None:
        if self.why_not():
            return
        home, models = self.context.home, self.models.words()
        limit = self.limit.value()
        raw: dict[str, Any] = {
            "kind": "judge",
            "judge": str(self.judge.value()),
            "questions": self.questions.text().strip(),
            "limit": None if limit is None else int(limit),
            "answer_tokens": int(self.length.value() or 256),
        }
        self._starting = True
        self._look()
        in_background(self, lambda: _begin(home, raw, models), self._started, self._refuse)

    def _started(self, run: str) -> None:
        self.started.emit(run)
        self.accept()

    def _refuse(self, trouble: Trouble) -> None:
        self._starting = False
        self._look()
        self.problem.setText(str(trouble))
        self.problem.show()


def _begin(home: Home, raw: dict[str, Any], models: Sequence[str]) -> str:
    """Queue the judging; its run. BadRecipe with what is wrong."""
    folders = [str(resolve_subject(home, word)) for word in models]
    recipe = parse_recipe({**raw, "models": folders}, "The form")
    if not isinstance(recipe, JudgeRecipe):
        raise BadRecipe("The form is no judging.", "Report it.")
    return runner.start(home, recipe.check()).id
