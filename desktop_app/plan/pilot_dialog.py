"""The dialog of a pilot: a few teachers, objectives or sources on the same short budget, so that a choice rests on one's own text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QDialog, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from core.models import ModelEntry
from core.numbers import count_text, duration_text
from core.options import Choice
from core.pilot import FEWEST, MOST, pilot_tokens
from core.pilot import Field as Tried
from core.plan import Plan
from core.plan import Teacher as Candidate
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.forms import AmountEdit, Field, Option, Segmented, Ticks
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.plan import piloting
from desktop_app.plan.draft import Draft
from desktop_app.plan.planning import Planned
from desktop_app.plan.teacher import can_teach
from desktop_app.work import Latest, in_background

PAUSE_MS = 200
FEWEST_TOKENS = 64
WIDTH, HEIGHT = 600, 640  # px


class PilotDialog(QDialog):
    """`started` carries the ids of the runs. `before` are the runs that come first in the queue."""

    started = Signal(list)

    def __init__(self, context: Context, planned: Planned, before: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        assert planned.plan is not None
        self._context, self._planned, self._before = context, planned, before
        self._plan: Plan = planned.plan
        self._reckoned: piloting.Reckoned | None = None
        self._of: tuple[str, tuple[str, ...], int] | None = None  # what was reckoned
        self._starting = False
        self._latest = Latest(self)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self.setWindowTitle(self.tr("Pilot"))
        self._make_parts()
        self._lay_out()
        self._connect()
        self._show_tried()

    @property
    def draft(self) -> Draft:
        return self._planned.draft

    def _make_parts(self) -> None:
        self.about = words(
            "muted",
            self.tr("A few short runs, one after another, differ in one thing only. What they score on held-out text shows which to take."),
        )  # fmt: skip
        self.what = Segmented(
            [("teacher", self.tr("Teachers")), ("objective", self.tr("Objectives")), ("source", self.tr("Sources"))]
        )
        self.what_field = Field(self.tr("What is tried"), self.what)
        self.ticks = Ticks(MOST, self.tr("%d at the most. Take one out first.") % MOST)
        self.ticks_field = Field(self.tr("Choose %d to %d") % (FEWEST, MOST), self._scrolled())
        self.tokens = AmountEdit()
        tokens, reason = pilot_tokens(self._plan)
        self.tokens.set_value(tokens)
        self.tokens.setFixedWidth(112)
        self.tokens_field = Field(
            self.tr("Budget of each run, in tokens"), self.tokens, self.tr("By default %s.") % reason
        )
        self.estimate, self.problem = words(), words("error")
        self.cancel = button(self.tr("Cancel"))
        self.start = button(self.tr("Start the pilot"), "pilot", "primary")

    def _scrolled(self) -> QScrollArea:
        self.area = QScrollArea()
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 0, theme.SPACE, 0)
        layout.addWidget(self.ticks)
        layout.addStretch(1)
        self.area.setWidget(inside)
        return self.area

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.start)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 3 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        for one in (self.about, self.what_field):
            layout.addWidget(one)
        layout.addWidget(self.ticks_field, 1)
        for one in (self.tokens_field, self.estimate, self.problem):
            layout.addWidget(one)
        layout.addLayout(buttons)
        self.resize(WIDTH, HEIGHT)

    def _connect(self) -> None:
        self.what.chosen.connect(lambda _: self._show_tried())
        self.ticks.ticked.connect(self._look)
        self.tokens.changed.connect(lambda _: self._look())
        self._pause.timeout.connect(self._reckon)
        self.cancel.clicked.connect(self.reject)
        self.start.clicked.connect(self._start)

    # --- what can be tried --------------------------------------------------------------------------------------------

    def _field(self) -> Tried:
        return cast("Tried", self.what.value())

    def _show_tried(self) -> None:
        """The rows of what is tried, with the current one and the next best ticked."""
        field, draft = self._field(), self.draft
        if field == "teacher":
            rows, first = self._teachers(), draft.teacher or ""
        else:
            known = self._plan.objectives if field == "objective" else self._plan.sources
            rows, first = [_row(one) for one in known], str(draft.value(field))
        self.ticks.set_options(rows)
        usable = [row.value for row in rows if not row.why_not]
        self.ticks.tick(sorted(usable, key=lambda value: value != first)[:FEWEST])
        self.area.verticalScrollBar().setValue(0)
        self._look()

    def _teachers(self) -> list[Option]:
        """The models on the shelf that can teach this student, the law's best first."""
        of_law = {str(one.path): one for one in self._plan.candidates}
        order = {path: at for at, path in enumerate(of_law)}
        entries = [entry for entry in self._context.shelf.entries if can_teach(entry)]
        entries.sort(key=lambda entry: order.get(str(entry.path), len(order)))
        return [self._teacher(entry, of_law.get(str(entry.path))) for entry in entries]

    def _teacher(self, entry: ModelEntry, candidate: Candidate | None) -> Option:
        size = count_text(entry.info.parameters) if entry.info is not None else ""
        why_not = ""
        if candidate is not None and candidate.parameters <= self._plan.student_exact:
            why_not = self.tr("It is no larger than the student.")
        elif candidate is not None and candidate.same_tokenizer is False and self.draft.kind == "folder":
            why_not = self.tr("It has another tokenizer than the student.")
        said = candidate.badge_sentence if candidate is not None and not why_not else ""
        return Option(str(entry.path), f"{entry.name} · {size}", said, "", why_not)

    # --- what it takes ------------------------------------------------------------------------------------------------

    def _tokens(self) -> int | None:
        value = self.tokens.value()
        return None if value is None or value < FEWEST_TOKENS else int(value)

    def _asked(self) -> tuple[str, tuple[str, ...], int] | None:
        tokens, values = self._tokens(), tuple(self.ticks.values())
        return None if tokens is None or len(values) < FEWEST else (self.what.value(), values, tokens)

    def _look(self) -> None:
        least = self.tr("At least %d tokens are needed.") % FEWEST_TOKENS
        self.tokens_field.set_problem("" if self._tokens() is not None else self.tokens.problem() or least)
        self._reckoned = None
        self._latest.drop()
        if self._asked() is not None:
            self._pause.start()
        self._show_estimate()

    def _reckon(self) -> None:
        asked = self._asked()
        if asked is None:
            return
        home, draft, entries = self._context.home, self.draft, list(self._context.shelf.entries)
        field, (_, values, tokens), student = self._field(), asked, self._plan.student_exact

        def take(reckoned: piloting.Reckoned) -> None:
            self._reckoned, self._of = reckoned, asked
            self._show_estimate()

        self._latest.ask(
            lambda: piloting.reckon(home, draft, student, field, values, tokens, entries), take, self._context.trouble
        )

    def _show_estimate(self) -> None:
        count, reckoned = len(self.ticks.values()), self._reckoned
        if count < FEWEST:
            self.estimate.setText(self.tr("Choose %d at the least.") % FEWEST)
        elif reckoned is None:
            self.estimate.setText(self.tr("Reckoning the time…") if self._tokens() is not None else "")
        else:
            low, high = (duration_text(each) for each in reckoned.band)
            told = self.tr("About %s for the %d runs, one after another (from %s to %s).")
            waits = self.tr("%d runs in the queue come first.") % self._before if self._before else ""
            self.estimate.setText(f"{told % (duration_text(reckoned.seconds), count, low, high)} {waits}".strip())
        self._show_problem()

    def _show_problem(self) -> None:
        problems = self._reckoned.problems if self._reckoned is not None else {}
        lines = [f"{self.ticks.shown(value).title}: {text}" for value, text in problems.items()]
        self.problem.setText("\n".join(lines))
        self.problem.setVisible(bool(lines))
        why_not = self._why_not()
        self.start.setEnabled(not why_not)
        self.start.setToolTip(why_not)

    def _why_not(self) -> str:
        if self._starting:
            return self.tr("The runs are being made.")
        if self._reckoned is None:
            return self.estimate.text() or self.tokens_field.problem.text()
        return self.tr("Take out what can't be run.") if self._reckoned.problems else ""

    # --- start --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        asked = self._asked()
        if asked is None or asked != self._of or self._why_not():
            return
        self._starting = True
        self.start.setText(self.tr("Starting…"))
        self._show_problem()
        home, field, draft, (_, values, tokens) = self._context.home, self._field(), self.draft, asked
        in_background(self, lambda: piloting.start(home, draft, field, values, tokens), self._started, self._failed)

    def _started(self, runs: Sequence[str]) -> None:
        self.accept()
        self.started.emit(list(runs))

    def _failed(self, trouble: Exception) -> None:
        self._starting = False
        self.start.setText(self.tr("Start the pilot"))
        self._show_problem()
        self.problem.setText(str(trouble))
        self.problem.show()


def _row(one: Choice) -> Option:
    return Option(one.name, one.title, one.advice, "", one.why_not or "")
