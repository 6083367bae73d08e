"""A blind comparison: which letter stands for whom, anew for each turn, until a vote is in."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from desktop_app.chat.heads import Member

LETTERS = "ABCD"


class Blind:
    """`on` hides names; each turn has an order of its own, and after the vote its names."""

    def __init__(self) -> None:
        self.on = False
        self._orders: dict[str, list[str]] = {}  # by Said: columns as they stand
        self._hidden: set[str] = set()
        self.verdicts: dict[str, str] = {}  # by Said, in words
        self._random = random.SystemRandom()

    def hide(self, said: str, columns: Sequence[str]) -> None:
        """The answers to this are to be judged without names."""
        order = list(columns)
        self._random.shuffle(order)
        self._orders[said] = order
        self._hidden.add(said)

    def reveal(self, said: str, words: str = "") -> None:
        self._hidden.discard(said)
        if words:
            self.verdicts[said] = words
        else:
            self._orders.pop(said, None)

    def stop(self) -> None:
        """Show all names; what was not voted on stays so."""
        self.on = False
        for said in list(self._hidden):
            self.reveal(said)

    def order(self, said: str, members: Sequence[Member]) -> list[Member]:
        """The columns of a turn as they stand."""
        order = self._orders.get(said) if self.on else None  # with names above the columns, each stands under its own
        if order is None:
            return list(members)
        return sorted(members, key=lambda member: order.index(member.column) if member.column in order else len(order))

    def letters(self, said: str, members: Sequence[Member]) -> Mapping[str, str]:
        """The letter of each column while names are hidden, else nothing."""
        if said not in self._hidden:
            return {}
        return self.told(said, members)

    def told(self, said: str, members: Sequence[Member]) -> Mapping[str, str]:
        """The letter of each column, hidden or not."""
        return {member.column: LETTERS[at] for at, member in enumerate(self.order(said, members))}
