"""The pilot that a run belongs to: which runs it has, how they stand, and what is done with the winner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject

from core.distill import DistillRecipe
from core.own_runs import PILOT
from core.pilot import PilotState, count_for_law, pilot_of
from core.recipe import Recipe
from core.run_summary import RunSummary
from desktop_app.context import Context
from desktop_app.runs.pilot_card import PilotCard, is_counted
from desktop_app.work import Latest, in_background


def pilot_mates(row: RunSummary, rows: Sequence[RunSummary]) -> list[RunSummary]:
    """All runs that share the tag of a pilot with this one, in the order in which they were made; none if it has no such tag."""
    tags = {tag for tag in row.tags if tag.startswith(PILOT)}
    return [other for other in rows if tags & set(other.tags)] if tags else []


def short_names(names: Sequence[str]) -> list[str]:
    """Names without what all of them begin with, up to a colon: “pilot of teachers: small” is “small” beside its mates."""
    heads = {name.rpartition(": ")[0] for name in names}
    if len(names) < 2 or len(heads) > 1:
        return list(names)
    return [name.rpartition(": ")[2] or name for name in names]


class PilotJudge(QObject):
    """Judges the pilot off the window's thread whenever one of its runs has come further, and shows it on its card."""

    def __init__(self, context: Context, card: PilotCard) -> None:
        super().__init__(card)
        self.context, self.card = context, card
        self._seen: tuple[object, ...] = ()
        self._mates: tuple[RunSummary, ...] = ()
        self._latest = Latest(self)
        card.winner_wanted.connect(self.use_winner)
        card.offered.connect(self.offer_to_law)

    def look(self, mates: Sequence[RunSummary]) -> None:
        """Judge the pilot of these runs, if anything about them has changed; none hides the card."""
        seen = tuple((mate.id, mate.state, mate.bits_per_byte, mate.tags) for mate in mates)
        if seen == self._seen:
            return
        self._seen, self._mates = seen, tuple(mates)
        tag = next((tag for mate in mates for tag in mate.tags if tag.startswith(PILOT)), "")
        if not tag:
            self._latest.drop()
            self.card.show_pilot(None)
            return
        home = self.context.home

        def judge() -> tuple[PilotState, bool]:
            pilot = pilot_of(home, tag)
            return pilot, is_counted(pilot)

        # a tag that somebody gave by hand to runs that are no distillations is no pilot
        self._latest.ask(judge, self._take, lambda _: self.card.show_pilot(None))

    def _take(self, found: tuple[PilotState, bool]) -> None:
        self.card.show_pilot(found[0], counted=found[1])

    def use_winner(self, pilot: PilotState) -> None:
        """Plan with what won: its teacher, or its recipe where it is an objective or a source."""
        winner = pilot.winner
        if winner is None:
            return

        def open_plan(recipe: Recipe) -> None:
            if not isinstance(recipe, DistillRecipe):
                return
            if pilot.field == "teacher" and recipe.teacher:
                self.context.open("plan", teacher=Path(recipe.teacher))
                return
            self.context.open("plan", recipe=recipe.model_copy(update={"name": ""}))
            text = self.tr("This is the recipe of the pilot, with its short budget: raise the budget before you start.")
            self.context.say(text)

        in_background(self, winner.run.recipe, open_plan, self.context.trouble)

    def offer_to_law(self, pilot: PilotState) -> None:
        """Let its finished runs count for the user's own law."""

        def done(count: int) -> None:
            self._seen = ()
            self.look(self._mates)
            self.context.live.look()
            text = self.tr("%d points count for your own law from now on; the Plan page shows it.") % count
            self.context.say(text, "good")

        in_background(self, lambda: count_for_law(pilot), done, self.context.trouble)
