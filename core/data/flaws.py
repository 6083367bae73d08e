"""What is odd about an example, though it can be read: nothing to learn, an empty answer, turns in another order."""

from __future__ import annotations

from core.data.turns import Example, Turn

NO_ANSWER = "the assistant says nothing in it"
EMPTY_ANSWER = "an answer is empty"
WRONG_ORDER = "user and assistant do not take turns"
LATE_SYSTEM = "a system prompt comes after the beginning"
NOT_LEARNT = "no turn of it is learnt"
SAME_ANSWERS = "the chosen and the rejected answer are the same"
NOTHING_ASKED = "the question is empty"


def flaws_of(example: Example) -> list[str]:
    """The flaws of an example, in words that are the same for every example that has them."""
    if example.kind == "text":
        return []
    if example.kind == "questions":
        return [] if any(turn.content.strip() for turn in example.turns) else [NOTHING_ASKED]
    if example.kind == "preference":
        return _flaws_of_pair(example)
    found = []
    answers = [turn for turn in example.turns if turn.role == "assistant"]
    if not answers:
        found.append(NO_ANSWER)
    elif any(not turn.content.strip() for turn in answers):
        found.append(EMPTY_ANSWER)
    if answers and not any(turn.learnt and turn.content.strip() for turn in example.turns):
        found.append(NOT_LEARNT)
    return [*found, *_order(example.turns)]


def _flaws_of_pair(example: Example) -> list[str]:
    found = []
    if not all(any(turn.content.strip() for turn in side) for side in (example.chosen, example.rejected)):
        found.append(EMPTY_ANSWER)
    if [turn.content for turn in example.chosen] == [turn.content for turn in example.rejected]:
        found.append(SAME_ANSWERS)
    return [*found, *_order((*example.turns, *example.chosen))]


def _order(turns: tuple[Turn, ...]) -> list[str]:
    """After a system prompt the user begins, and is answered; tools answer between two turns of the assistant."""
    roles = [turn.role for turn in turns]
    if roles[:1] == ["system"]:
        roles = roles[1:]
    if "system" in roles:
        return [LATE_SYSTEM]
    may_follow = {"": ("user",), "user": ("assistant",), "assistant": ("user", "tool"), "tool": ("assistant", "tool")}
    before = ["", *roles[:-1]]
    return [] if all(role in may_follow[last] for last, role in zip(before, roles, strict=True)) else [WRONG_ORDER]
