"""How a pilot stands: who leads, by how much, what that is worth, and what to do with it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from core.own_runs import COUNTS
from core.pilot import Field, PilotState, Trial, law_points, title_of
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.forms import parts
from desktop_app.forms.field import Elided, button
from desktop_app.icons import icon, state_icon
from desktop_app.runs import words
from desktop_app.sign import Sign


class PilotCard(QFrame):
    """`show_pilot` when it has been looked up. The buttons carry the pilot as it stands."""

    winner_wanted = Signal(object)  # PilotState
    offered = Signal(object)  # PilotState
    run_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self.pilot: PilotState | None = None
        self._counted = False
        self.title = QLabel()
        theme.set_role(self.title, "title")
        self._sign = Sign(icon("pilot", "muted"), theme.ICON)
        self.sentence = parts.words()
        self._table = QWidget()
        self.use = button("", "plan")
        self.offer = button(self.tr("Offer to the law"), "good")
        self._compose()
        self.use.clicked.connect(lambda: self.winner_wanted.emit(self.pilot))
        self.offer.clicked.connect(lambda: self.offered.emit(self.pilot))
        self.hide()

    def _compose(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        head.addWidget(self._sign)
        head.addWidget(self.title, 1)
        buttons = FlowLayout()
        buttons.addWidget(self.use)
        buttons.addWidget(self.offer)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        self._layout.setSpacing(theme.SPACE)
        self._layout.addLayout(head)
        self._layout.addWidget(self._table)
        self._layout.addWidget(self.sentence)
        self._layout.addLayout(buttons)

    def show_pilot(self, pilot: PilotState | None, *, counted: bool = False) -> None:
        """None hides the card. `counted`: its runs count for the law already."""
        if (pilot, counted) == (self.pilot, self._counted):
            return
        self.pilot, self._counted = pilot, counted
        self.setVisible(pilot is not None)
        if pilot is None:
            return
        titles = {
            "teacher": self.tr("Pilot of teachers"),
            "objective": self.tr("Pilot of objectives"),
            "source": self.tr("Pilot of sources"),
        }
        uses = {
            "teacher": self.tr("Use this teacher"),
            "objective": self.tr("Use this objective"),
            "source": self.tr("Use this source"),
        }
        self.title.setText(titles[pilot.field])
        self.sentence.setText(pilot.sentence)
        self.use.setText(uses[pilot.field])
        _allow(self.use, "" if pilot.winner else self.tr("None leads yet: two runs have to finish."))
        self.offer.setVisible(pilot.field == "teacher")
        _allow(self.offer, self._why_not_offer(pilot))
        self._fill(pilot)

    def _why_not_offer(self, pilot: PilotState) -> str:
        if self._counted:
            return self.tr("Its runs count for your own law already.")
        return "" if law_points(pilot) else self.tr("No run has finished yet.")

    def _fill(self, pilot: PilotState) -> None:
        """The trials, the best first; those without a figure behind them."""
        table = QWidget()
        grid = QGridLayout(table)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme.SPACE)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        ranked = sorted(pilot.trials, key=lambda trial: (trial.bits_per_byte is None, trial.bits_per_byte or 0.0))
        for line, trial in enumerate(ranked):
            self._add_trial(grid, line, pilot.field, trial, won=trial is pilot.winner and not pilot.draw)
        self._layout.replaceWidget(self._table, table)
        self._table.hide()
        self._table.deleteLater()
        self._table = table

    def _add_trial(self, grid: QGridLayout, line: int, field: Field, trial: Trial, *, won: bool) -> None:
        state = words.state_word(trial.state)
        bits = self.tr("%.4f bits/byte") % trial.bits_per_byte if trial.bits_per_byte is not None else state
        sign = Sign(icon("pilot", "good") if won else state_icon(trial.state))
        sign.setToolTip(self.tr("Won") if won else state)
        title = title_of(field, trial.value)
        name, figure = Elided(title), QLabel(bits)
        name.setAccessibleName(f"{title}: {state}, {bits}" + (self.tr(", won") if won else ""))
        figure.setFont(theme.tabular(figure.font()))
        for label in (name, figure):
            font = label.font()
            font.setBold(won)
            label.setFont(font)
        grid.addWidget(sign, line, 0)
        grid.addWidget(name, line, 1)
        grid.addWidget(figure, line, 2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


def is_counted(pilot: PilotState) -> bool:
    """Whether the pilot's finished runs count for the user's own law. Reads their folders."""
    finished = [trial.run for trial in pilot.trials if trial.bits_per_byte is not None and trial.state == "finished"]
    return bool(finished) and all(COUNTS in (run.meta().get("tags") or ()) for run in finished)


def _allow(one: QWidget, why_not: str) -> None:
    one.setEnabled(not why_not)
    one.setToolTip(why_not)
    one.setAccessibleDescription(why_not)
