"""Beside the form: the law's chart, why in a sentence, and how teacher and student go together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from core.models import ModelEntry
from core.plan import PairCheck, Plan
from core.run_summary import RunSummary
from desktop_app import theme
from desktop_app.charts.law_state import LawState, ModelDot
from desktop_app.forms import MoreSettings, parts
from desktop_app.icons import icon
from desktop_app.plan.chain_offer import ChainOffer
from desktop_app.plan.draft import Draft, name_of_folder
from desktop_app.plan.teacher import can_teach
from desktop_app.sign import Sign

if TYPE_CHECKING:
    from desktop_app.charts.law_chart import LawChart

VERDICT_ICONS = {"good": ("good", "good"), "warning": ("warning", "warning"), "error": ("error", "error"), "unknown": ("help", "muted")}  # fmt: skip
LEAST_HEIGHT = 330  # px


class LawPanel(QWidget):
    """`teacher_chosen` and `size_chosen` are what the user picked on the chart.

    The chart is made once what draws it is loaded, so that the page need not wait for it; until then its place says so.
    """

    teacher_chosen = Signal(Path)
    size_chosen = Signal(float)

    def __init__(self, parent: QWidget | None = None, charts_ready: Callable[[], bool] = lambda: True) -> None:
        super().__init__(parent)
        self.chart: LawChart | None = None
        self.room = _Room(self.tr("The law is being drawn…"))
        self._law = LawState(loading=True)
        self._charts_ready = charts_ready
        self._waiting = QTimer(self)
        self._waiting.setInterval(10)
        self._waiting.timeout.connect(self._make_chart)
        self.pair = PairLines()
        self.chain = ChainOffer()
        self.about = QWidget()
        self.sentence, self.opinion, self.own_law, self.steps, self.caveat = (parts.words("small") for _ in range(5))
        about = QVBoxLayout(self.about)
        about.setContentsMargins(0, 0, 0, 0)
        about.setSpacing(theme.SPACE)
        for one in (self.sentence, self.opinion, self.own_law, self.steps, self.caveat):
            about.addWidget(one)
        self.more = MoreSettings(self.about, self.tr("More about this"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.room, 1)
        layout.addWidget(self.pair)
        layout.addWidget(self.chain)
        layout.addWidget(self.more)
        self.show_plan(None, Draft(), (), (), loading=True)
        self._make_chart()

    def _make_chart(self) -> None:
        if not self._charts_ready():
            self._waiting.start()
            return
        self._waiting.stop()
        from desktop_app.charts.law_chart import LawChart

        self.chart = LawChart()
        self.chart.teacher_chosen.connect(self.teacher_chosen)
        self.chart.size_chosen.connect(self.size_chosen)
        self.chart.set_state(self._law)
        self.room.fill(self.chart)

    def show_plan(
        self,
        plan: Plan | None,
        draft: Draft,
        entries: Sequence[ModelEntry],
        rows: Sequence[RunSummary],
        *,
        loading: bool = False,
    ) -> None:
        self._law = _state(plan, draft, entries, rows, loading=loading)
        if self.chart is not None:
            self.chart.set_state(self._law)
        self.pair.show_checks(plan.pair if plan is not None else ())
        self.more.setVisible(plan is not None)
        if plan is None:
            return
        self.sentence.setText(plan.sentence)
        self.sentence.setToolTip(plan.source)
        self.opinion.setText(self.tr("A second opinion. %s") % plan.second_opinion.sentence)
        self.opinion.setToolTip(plan.second_opinion.source)
        self.own_law.setText(self.tr("Your own law. %s") % plan.own_law_sentence)
        self.steps.setText(plan.assistants.sentence)
        self.steps.setToolTip(plan.assistants.source)
        self.caveat.setText(plan.caveat)


class _Room(QWidget):
    """Gives the chart what is left in a tall window and no more than it needs in a low one, whatever it would like itself."""

    def __init__(self, before: str) -> None:
        super().__init__()
        label = parts.words("muted")
        label.setText(before)
        label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        label.setParent(self)
        self._chart: QWidget = label
        self.setMinimumHeight(LEAST_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def fill(self, chart: QWidget) -> None:
        """Put the chart in the place of the words that stood for it."""
        self._chart.hide()
        self._chart.deleteLater()
        self._chart = chart
        chart.setParent(self)
        chart.setGeometry(0, 0, self.width(), self.height())
        chart.show()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, LEAST_HEIGHT)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        self._chart.setGeometry(0, 0, self.width(), self.height())
        super().resizeEvent(event)


class PairLines(QWidget):
    """Tokenizers, families and sizes: an icon and words for each."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.SPACE)
        self._grid.setVerticalSpacing(theme.SPACE // 2)
        self._grid.setColumnStretch(1, 1)
        self.lines = [(Sign(), parts.words(None)) for _ in range(3)]
        for row, (mark, words) in enumerate(self.lines):
            self._grid.addWidget(mark, row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(words, row, 1)
        self.show_checks(())

    def show_checks(self, checks: Sequence[PairCheck]) -> None:
        said = {"good": self.tr("Good"), "warning": self.tr("Mind"), "error": self.tr("In the way"), "unknown": self.tr("Not known")}  # fmt: skip
        for at, (mark, words) in enumerate(self.lines):
            shown = at < len(checks)
            mark.setVisible(shown)
            words.setVisible(shown)
            if shown:
                name, colour = VERDICT_ICONS[checks[at].verdict]
                mark.set_icon(icon(name, colour))
                mark.setToolTip(said[checks[at].verdict])
                mark.setAccessibleName(said[checks[at].verdict])
                words.setText(checks[at].text)
        self.setVisible(bool(checks))


def _state(
    plan: Plan | None, draft: Draft, entries: Sequence[ModelEntry], rows: Sequence[RunSummary], *, loading: bool
) -> LawState:
    same = {one.path: one.same_tokenizer for one in plan.candidates} if plan is not None else {}
    dots = tuple(
        ModelDot(entry.name, entry.path, entry.info.parameters, same.get(entry.path))
        for entry in entries
        if can_teach(entry) and entry.info is not None and entry.info.parameters > 0
    )
    runs = tuple(
        (float(row.student_parameters), float(row.teacher_parameters), row.name)
        for row in rows
        if row.kind == "distill" and row.state == "finished" and row.student_parameters and row.teacher_parameters
    )
    teacher = plan.teacher if plan is not None else None
    return LawState(
        student_params=float(plan.student_exact) if plan is not None else None,
        teacher=Path(draft.teacher) if draft.teacher else None,
        teacher_params=float(teacher.parameters) if teacher is not None else None,
        teacher_name=name_of_folder(draft.teacher) if draft.teacher else "",
        models=dots,
        own_runs=runs,
        loading=loading,
    )
