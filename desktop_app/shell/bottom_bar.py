"""The bar at the bottom: what is running, how far, how long still, with one button."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton

from core.numbers import count_text, duration_text
from core.state import State
from desktop_app import theme
from desktop_app.forms.field import Elided
from desktop_app.icons import state_icon
from desktop_app.sign import Sign

if TYPE_CHECKING:
    from core.run_summary import RunSummary
    from desktop_app.live import Picture


class BottomBar(QFrame):
    """Shows the run that is alive (of several the one it showed first), else what waits, else what ended last."""

    stop_wanted = Signal(str)
    show_wanted = Signal(str)
    subject_changed = Signal(str)  # the run that is told of; empty for none

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "bar")
        self.setFixedHeight(44)
        self.setAccessibleName(self.tr("What is running"))
        self.subject = ""
        self._rows: Sequence[RunSummary] = ()
        self._row: RunSummary | None = None
        self._picture: Picture | None = None  # of the run that is told of: newer than its line in the list
        self._others = 0  # runs that are alive beside it
        self._icon = Sign()
        self.text = Elided()
        self.facts = QLabel()
        self.facts.setFont(theme.tabular(self.facts.font()))
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedSize(160, 6)
        self.progress.setAccessibleName(self.tr("Progress"))
        self.button = QPushButton()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 4, 2 * theme.SPACE, 4)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self._icon)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.facts)
        layout.addWidget(self.progress)
        layout.addWidget(self.button)
        self.button.clicked.connect(self._press)
        self.show_rows(())

    def show_rows(self, rows: Sequence[RunSummary]) -> None:
        """All runs, oldest first."""
        self._rows = rows
        alive = [row for row in rows if State(row.state).alive]
        waiting = [row for row in rows if row.state == State.QUEUED]
        ended = [row for row in rows if State(row.state).ended and row.updated]
        latest = max(ended, key=lambda row: row.updated or 0.0, default=None)
        same = next(
            (row for row in alive if row.id == self.subject), None
        )  # its button must not change under the pointer
        self._row = same or (alive[-1] if alive else waiting[0] if waiting else latest)
        subject = self._row.id if self._row and alive else ""
        self._others = max(0, len(alive) - 1)
        if subject != self.subject:
            self.subject, self._picture = subject, None
            self.subject_changed.emit(subject)
        if self._row is None:
            self._say("", self.tr("Nothing is running."), "", None, "")
        elif alive:
            self._show_alive(self._row, len(waiting))
        elif waiting:
            text = self.tr("%s waits for a free device") % self._row.name
            more = self.tr("%d waiting") % len(waiting) if len(waiting) > 1 else ""
            self._say("queued", text, more, None, self.tr("Show"))
        else:
            word = {"finished": self.tr("finished"), "stopped": self.tr("stopped"), "failed": self.tr("failed")}
            text = f"{self._row.name} · {word.get(self._row.state, self.tr('crashed'))}"
            self._say(self._row.state, text, "", None, self.tr("Show"))

    def show_picture(self, picture: Picture) -> None:
        """The same run, ten times a second."""
        if picture.run != self.subject or self._row is None or not picture.state.alive:
            return
        self._picture = picture
        self._show_alive(self._row, sum(row.state == State.QUEUED for row in self._rows))

    def _show_alive(self, row: RunSummary, waiting: int) -> None:
        state, phase, step, steps, left, share = row.state, row.phase, row.step, row.steps, row.seconds_left, row.share
        pace = float("nan")
        if self._picture is not None:
            history, curves = self._picture.history, self._picture.curves
            state, phase, step = str(self._picture.state), history.phase, history.step
            steps, left = history.plan.steps if history.plan else None, history.seconds_left()
            share = history.share if history.plan is not None and step else history.phase_share
            pace = float(curves.train["tokens_per_second"][-1]) if len(curves) else pace
        facts = [self.tr("step %s/%s") % (f"{step or 0:,}", f"{steps:,}")] if steps else []
        if pace == pace:  # NaN where it is not known
            facts.append(self.tr("%s tok/s") % count_text(pace))
        if left is not None:
            facts.append(self.tr("%s left") % duration_text(left))
        if waiting:
            facts.append(self.tr("%d waiting") % waiting)
        word = self.tr("stopping") if state == State.STOPPING else (phase or self.tr("starting"))
        name = self.tr("%s and %d more") % (row.name, self._others) if self._others else row.name
        self._say(state, f"{word.capitalize()} · {name}", "  ·  ".join(facts), share, self.tr("Stop"))

    def _say(self, state: str, text: str, facts: str, share: float | None, button: str) -> None:
        self._icon.setVisible(bool(state))
        if state:
            self._icon.set_icon(state_icon(state))
        self.text.set_text(text)
        self.facts.setText(facts)
        self.progress.setVisible(share is not None)
        if share is not None:
            self.progress.setRange(0, 1000)
            self.progress.setValue(round(1000 * share))
        self.button.setVisible(bool(button))
        self.button.setText(button)
        self.button.setEnabled(state != State.STOPPING)
        self.button.setToolTip(
            self.tr("Saves a checkpoint that the run can be resumed from, and ends it") if self.subject else ""
        )
        self.setAccessibleDescription(f"{text} {facts}".strip())

    def _press(self) -> None:
        if self._row is None:
            return
        (self.stop_wanted if self.subject else self.show_wanted).emit(self._row.id)
