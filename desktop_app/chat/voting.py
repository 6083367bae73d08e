"""Voting in a blind comparison: the strip that says so, the votes on the disk, the tally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QObject, Signal

from core.home import Home
from core.votes import HUMAN, Tally, tally, verdicts, vote
from desktop_app.chat.blind import Blind
from desktop_app.chat.heads import Member
from desktop_app.chat.members import Members
from desktop_app.chat.path import Turn
from desktop_app.chat.strip import Strip
from desktop_app.context import Context
from desktop_app.work import in_background


class Voting(QObject):
    """`counted` once a vote is on the disk."""

    counted = Signal()

    def __init__(self, context: Context, members: Members, parent: QObject) -> None:
        super().__init__(parent)
        self.context, self.members = context, members
        self.blind, self.strip = Blind(), Strip()

    def begin(self) -> None:
        self.blind.on = True
        self._say([])
        home = self.context.home
        in_background(self, lambda: _tally(home), self._say, self.context.trouble)

    def stop(self) -> None:
        self.blind.stop()
        self.strip.say("")

    def vote(self, turn: Turn, best: str | None) -> None:
        """Keep the vote for the answer of this column, or for none, and show the names of this turn."""
        members, home, said = self.members.all, self.context.home, turn.said
        answers = {
            member.folder: answer.text for member in members if (answer := turn.answer(member.column)) is not None
        }
        winner = self.members.column(best) if best is not None else None
        words = f"{self._names(said.id)}. {self._choice(winner)}"

        def done(tallies: list[Tally]) -> None:
            self.blind.reveal(said.id, words)
            self._say(tallies)
            self.counted.emit()

        folder = winner.folder if winner is not None else None
        in_background(self, lambda: _vote(home, said.text, answers, folder), done, self.context.trouble)

    def _names(self, said: str) -> str:
        letters = self.blind.told(said, self.members.all)
        order = self.blind.order(said, self.members.all)
        return ", ".join(self.tr("%s was %s") % (letters[member.column], member.name) for member in order)

    def _choice(self, winner: Member | None) -> str:
        return self.tr("You found no difference.") if winner is None else self.tr("You preferred %s.") % winner.name

    def _say(self, tallies: Sequence[Tally]) -> None:
        if not self.blind.on:
            return
        names = {member.folder: member.name for member in self.members}
        lines = [
            self.tr("%s: %d won, %d lost, %d equal") % (names[one.model], one.won, one.lost, one.tied)
            for one in tallies
            if one.model in names
        ]
        words = self.tr("Names are hidden; every turn has an order of its own. Vote under the answers.")
        so_far = self.tr("So far: %s.") % "; ".join(lines) if lines else self.tr("No votes on these models yet.")
        self.strip.say(f"{words} {so_far}", "blind", self.tr("Show the names"))


def _vote(home: Home, question: str, answers: Mapping[str, str], best: str | None) -> list[Tally]:
    vote(home, question, answers, best)
    return _tally(home)


def _tally(home: Home) -> list[Tally]:
    return tally(one for one in verdicts(home) if one.judge == HUMAN)
