"""The turns under each other, in what scrolls. Long conversations come a turn at a time, the newest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.chat.heads import Member
from desktop_app.chat.path import Turn
from desktop_app.chat.turn import Live, Question, TurnView
from desktop_app.forms.field import button

AT_FIRST, MORE = 12, 24  # turns


class ThreadView(QScrollArea):
    """It stays at the end while answers grow, unless somebody has scrolled away from there."""

    edited = Signal(str, str)
    version_wanted = Signal(str, int)
    answer_wanted = Signal(str, str, int)
    again_wanted = Signal(str, str)
    voted = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setAccessibleName(self.tr("The conversation"))
        self.views: dict[str, TurnView] = {}
        self._turns: list[Turn] = []
        self._order: Callable[[str], Sequence[Member]] = lambda said: ()
        self._live: Mapping[tuple[str, str], Live] = {}
        self._blind: Callable[[str], Mapping[str, str]] = lambda said: {}
        self._verdicts: Mapping[str, str] = {}
        self._remarks: Mapping[tuple[str, str], tuple[str, ...]] = {}
        self._why_not, self._most, self._at_end = "", AT_FIRST, True
        self.earlier = button(self.tr("Show earlier turns"), "up", "quiet")
        self._content = QWidget()
        self._column = QVBoxLayout(self._content)
        self._column.setContentsMargins(0, theme.SPACE, 0, 2 * theme.SPACE)
        self._column.setSpacing(3 * theme.SPACE)
        self._column.addWidget(self.earlier, alignment=Qt.AlignmentFlag.AlignHCenter)
        self._column.addStretch(1)
        self.setWidget(self._content)
        self._coming = QTimer(self, singleShot=True, interval=0)
        self._coming.timeout.connect(self._bring_one)
        self.earlier.clicked.connect(self._want_more)
        bar = self.verticalScrollBar()
        bar.rangeChanged.connect(lambda *_: self._keep_end())
        bar.valueChanged.connect(self._scrolled)

    def set_turns(
        self,
        turns: Sequence[Turn],
        order: Callable[[str], Sequence[Member]],
        live: Mapping[tuple[str, str], Live],
        *,
        blind: Callable[[str], Mapping[str, str]],
        verdicts: Mapping[str, str],
        remarks: Mapping[tuple[str, str], tuple[str, ...]],
    ) -> None:
        """Show these turns: those that are there are brought up to date, new ones are made one at a time."""
        known = {turn.said.id for turn in turns}
        if not known & set(self.views):
            self._most, self._at_end = AT_FIRST, True
        for said in [one for one in self.views if one not in known]:
            view = self.views.pop(said)
            self._column.removeWidget(view)
            view.hide()
            view.deleteLater()
        self._turns, self._order, self._live = list(turns), order, live
        self._blind, self._verdicts, self._remarks = blind, verdicts, remarks
        for turn in self._shown():
            if turn.said.id in self.views:
                self._show(self.views[turn.said.id], turn)
        if turns and turns[-1].said.id not in self.views:
            self._at_end = True  # something was said: it is what is looked at
        self._bring_one()

    def update_live(self, said: str) -> None:
        """What is being written to this turn has grown."""
        turn = next((one for one in reversed(self._turns) if one.said.id == said), None)
        if turn is not None and said in self.views:
            self._show(self.views[said], turn)

    def allow(self, why_not: str) -> None:
        self._why_not = why_not
        for view in self.views.values():
            view.allow(why_not)

    def _shown(self) -> list[Turn]:
        return self._turns[-self._most :]

    def _show(self, view: TurnView, turn: Turn) -> None:
        live = {column: one for (said, column), one in self._live.items() if said == turn.said.id}
        remarks = {column: words for (said, column), words in self._remarks.items() if said == turn.said.id}
        view.show_turn(turn, self._order(turn.said.id), live, blind=self._blind(turn.said.id), remarks=remarks)
        view.show_verdict(self._verdicts.get(turn.said.id, ""))

    def _bring_one(self) -> None:
        """Make the newest turn that is missing; the others follow when the window has drawn breath."""
        missing = [turn for turn in self._shown() if turn.said.id not in self.views]
        self.earlier.setVisible(len(self._turns) > self._most)
        if not missing:
            return
        turn = missing[-1]
        place = 1 + sum(one.said.id in self.views for one in self._turns[: self._turns.index(turn)])
        view = self._new_view()
        self.views[turn.said.id] = view
        self._show(view, turn)
        view.allow(self._why_not)
        self._column.insertWidget(place, view)
        if len(missing) > 1:
            self._coming.start()

    def _new_view(self) -> TurnView:
        view = TurnView()
        view.edited.connect(self.edited)
        view.version_wanted.connect(self.version_wanted)
        view.answer_wanted.connect(self.answer_wanted)
        view.again_wanted.connect(self.again_wanted)
        view.voted.connect(self.voted)
        view.question.edit_begun.connect(lambda: self._look_at(view.question))
        return view

    def _look_at(self, question: Question) -> None:
        """Bring what is edited into sight, once it has its room, and stay there."""
        self._at_end = False
        QTimer.singleShot(0, question, lambda: self.ensureWidgetVisible(question, 0, theme.SPACE))

    def _want_more(self) -> None:
        self._most += MORE
        self._at_end = False
        self._bring_one()

    def _scrolled(self, value: int) -> None:
        bar = self.verticalScrollBar()
        self._at_end = value >= bar.maximum() - 3 * theme.SPACE

    def _keep_end(self) -> None:
        if self._at_end:
            self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())
