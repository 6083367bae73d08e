"""Which branch of a conversation is in sight: a question at each place, and an answer of each column to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.conversations import Answered, Said
    from desktop_app.chat.speech import Kept


@dataclass(frozen=True)
class Turn:
    """A question in sight: its place among its versions, and for each column all answers and which of them is in sight."""

    said: Said
    versions: tuple[str, ...]  # ids of Saids
    answers: Mapping[str, tuple[Answered, ...]] = field(default_factory=dict)
    shown: Mapping[str, int] = field(default_factory=dict)

    def answer(self, column: str) -> Answered | None:
        answers = self.answers.get(column, ())
        return answers[self.shown[column]] if answers else None


class Path:
    """The user's way through the tree: what was picked at each place, else the newest."""

    def __init__(self) -> None:
        self._version: dict[str, str] = {}  # by the Said before: the Said that is in sight
        self._answer: dict[tuple[str, str], str] = {}  # by Said and column

    def clear(self) -> None:
        self._version.clear()
        self._answer.clear()

    def show_version(self, before: str, said: str) -> None:
        """Show this version of what was said after `before`."""
        self._version[before] = said

    def show_answer(self, said: str, column: str, answer: str) -> None:
        """Show this answer; what was said after another one goes out of sight."""
        self._answer[said, column] = answer

    def forget_answer(self, said: str, column: str) -> None:
        """Show the newest again."""
        self._answer.pop((said, column), None)

    def turns(self, kept: Kept) -> list[Turn]:
        found: list[Turn] = []
        before = ""
        while True:
            versions = [said for said in kept.said.values() if said.before == before and self._goes_on(said)]
            if not versions:
                return found
            wanted = self._version.get(before)
            said = next((each for each in versions if each.id == wanted), versions[-1])
            found.append(self._turn(kept, said, versions))
            before = said.id

    def _goes_on(self, said: Said) -> bool:
        """Whether it was said after the answers that are in sight."""
        return all(self._answer.get((said.before, column), answer) == answer for column, answer in said.after.items())

    def _turn(self, kept: Kept, said: Said, versions: Sequence[Said]) -> Turn:
        answers: dict[str, tuple[Answered, ...]] = {}
        for answer in kept.answers.values():
            if answer.to == said.id:
                answers[answer.column] = (*answers.get(answer.column, ()), answer)
        nexts = [each for each in kept.said.values() if each.before == said.id and self._goes_on(each)]
        wanted = self._version.get(said.id)
        following = next((each for each in nexts if each.id == wanted), nexts[-1] if nexts else None)
        shown = {
            column: self._index(said.id, column, every, following.after if following else {})
            for column, every in answers.items()
        }
        return Turn(said, tuple(each.id for each in versions), answers, shown)

    def _index(self, said: str, column: str, every: Sequence[Answered], after: Mapping[str, str]) -> int:
        wanted = self._answer.get((said, column)) or after.get(column)
        return next((at for at, each in enumerate(every) if each.id == wanted), len(every) - 1)
