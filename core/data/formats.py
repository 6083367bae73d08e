"""One row becomes an example, whatever spelling its fields have.

The first of these that a row has decides: a pair to prefer between; a list of turns (`messages`, ShareGPT's
`conversations`); questions (`turns`); instruction and output (alpaca); prompt and completion, question and answer; `text`;
a prompt that nobody has answered yet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from core.data.turns import Example, Kind, Role, Turn

Fields: TypeAlias = dict[str, Any]

CONVERSATIONS = ("messages", "conversations", "conversation", "dialogue")
PROMPTS = ("prompt", "instruction", "question")
ANSWERS = ("completion", "response", "answer", "output", "target")
INPUTS = ("input", "context")
CHOSEN = ("chosen", "response_chosen", "chosen_response", "answer_chosen", "preferred")
REJECTED = ("rejected", "response_rejected", "rejected_response", "answer_rejected", "dispreferred")
RANKED = ("responses", "completions", "answers")
SCORES = ("score", "overall_score", "rating", "rank_score")
ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "ipython": "tool",
}
ANSWER_FIELDS = (
    "JSON lines with `prompt` and `completion` (or `response`, `answer`, `output`), `instruction` and `output`, "
    "or `messages` with roles"
)
WAY_OUT = f"Answers are looked for in {ANSWER_FIELDS}."
SPOKEN = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")  # a conversation in one text, as in Anthropic's hh-rlhf
LONGEST_EXTRA = 200  # characters


class Unread(Exception):
    """A row that is no example: what is wrong with it, to go behind its place, and perhaps the way out."""

    def __init__(self, what: str, way_out: str = "") -> None:
        self.what, self.way_out = what, way_out
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class Place:
    path: Path
    line: int
    unit: str


def example_of(row: Any, place: Place, mapping: Mapping[str, str] | None = None) -> Example:
    """The example of a row. `mapping` names, for fields that we know, the columns that they are in. Raises Unread."""
    if not isinstance(row, dict):
        if not isinstance(row, str) or place.unit != "row":
            raise _unknown([])
        row = {"text": row}
    whole = row
    if mapping:
        row = {name: row[column] for name, column in mapping.items() if column in row}
    for reader in READERS:
        found = reader(row)
        if found is not None:
            used = found.used if not mapping else {mapping[name] for name in found.used if name in mapping}
            example = Example(
                found.kind,
                place.path,
                place.line,
                extra=_extra(whole, used),
                format=found.spelling,
                unit=place.unit,
                **found.parts,
            )
            _refuse_half_characters(example)
            return example
    raise _unknown(list(whole))


@dataclass(frozen=True, slots=True)
class Found:
    """What a row is, before its place is known; `used` are the fields that it was read from."""

    kind: Kind
    spelling: str
    used: set[str]
    parts: dict[str, Any]


def _found(kind: Kind, spelling: str, used: set[str], **parts: Any) -> Found:
    return Found(kind, spelling, used, parts)


def _extra(row: Fields, used: set[str]) -> dict[str, str]:
    """The other fields of a row that are short and no lists."""
    return {
        name: text
        for name, value in row.items()
        if name not in used and isinstance(value, (str, int, float)) and 0 < len(text := str(value)) <= LONGEST_EXTRA
    }


def _unknown(columns: list[str]) -> Unread:
    has = f" It has {', '.join(f'`{name}`' for name in columns[:12])}." if columns else ""
    by_hand = " Or say by hand which column is which (--map text=COLUMN)." if columns else ""
    return Unread(
        f"has no field `text` with a text in it, and no prompt with an answer.{has}",
        f"Name the field that holds the text `text`; answers are looked for in {ANSWER_FIELDS}.{by_hand}",
    )


def _refuse_half_characters(example: Example) -> None:
    for text in (
        example.text,
        example.tools,
        *(t.content for t in (*example.turns, *example.chosen, *example.rejected)),
    ):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Unread(f"holds half a character, {text[error.start]!r}.", "Mend or remove the line.") from error


# ------------------------------------------------------------------------------------------------------ the spellings


def _preference(row: Fields) -> Found | None:
    chosen = next((name for name in CHOSEN if row.get(name)), None)
    rejected = next((name for name in REJECTED if row.get(name)), None)
    if chosen is None or rejected is None:
        return None
    good, bad = _said(row[chosen], chosen), _said(row[rejected], rejected)
    before, used = _before(row)
    shared = 0
    while shared < min(len(good), len(bad)) - 1 and _same(good[shared], bad[shared]):
        shared += 1
    if shared:  # the prompt stands at the beginning of both again
        own = before if not _ends_with(good[:shared], before) else []
        before, good, bad = [*own, *good[:shared]], good[shared:], bad[shared:]
    return _pair(row, before, good, bad, used | {chosen, rejected})


def _pair(row: Fields, before: list[Turn], good: list[Turn], bad: list[Turn], used: set[str]) -> Found:
    prompt = [Turn(turn.role, turn.content) for turn in (*_system(row, before), *before)]
    parts = {"turns": tuple(prompt), "chosen": tuple(good), "rejected": tuple(bad), "tools": _tools(row)}
    return _found("preference", "preference", used | {"system", "tools"}, **parts)


def _same(one: Turn, other: Turn) -> bool:
    return (one.role, one.content) == (other.role, other.content)


def _ends_with(turns: list[Turn], end: list[Turn]) -> bool:
    tail = turns[len(turns) - len(end) :] if len(end) <= len(turns) else []
    return bool(end) and bool(tail) and all(map(_same, tail, end))


def _said(value: Any, name: str) -> list[Turn]:
    """One answer, or the turns that end in it."""
    if isinstance(value, str):
        return _spoken(value) if value.startswith("\n\nHuman:") else [Turn("assistant", value, learnt=True)]
    return _turns([value] if isinstance(value, dict) else value, name)[0]


def _spoken(text: str) -> list[Turn]:
    parts = SPOKEN.split(text)[1:]
    return [
        Turn(ROLES[role.lower()], said.strip(), learnt=role == "Assistant")
        for role, said in zip(parts[::2], parts[1::2], strict=True)
    ]


def _before(row: Fields) -> tuple[list[Turn], set[str]]:
    """What comes before two answers: a conversation, or a prompt."""
    for name in (*CONVERSATIONS, "prompt"):
        if isinstance(row.get(name), list):
            return _turns(row[name], name)[0], {name}
    asked, used = _asked(row)
    return ([Turn("user", asked)] if asked else []), used


def _ranked(row: Fields) -> Found | None:
    """Several answers with scores: the best against the worst."""
    name = next((name for name in RANKED if isinstance(row.get(name), list) and _scored(row[name])), None)
    if name is None:
        return None
    asked, used = _asked(row)
    if not asked:
        return None
    by_score = sorted(_scored(row[name]), key=lambda pair: pair[0])
    if by_score[0][0] == by_score[-1][0]:
        raise Unread(f"has only `{name}` of one score, so none is better than another.", "Remove the row.")
    good, bad = (Turn("assistant", text, learnt=True) for _, text in (by_score[-1], by_score[0]))
    return _pair(row, [Turn("user", asked)], [good], [bad], used | {name})


def _scored(answers: list[Any]) -> list[tuple[float, str]]:
    found = []
    for answer in answers:
        if not isinstance(answer, dict):
            return []
        text = next((answer[name] for name in ("response", "text", "content", "answer") if name in answer), None)
        score = next((answer[name] for name in SCORES if isinstance(answer.get(name), (int, float))), None)
        if not isinstance(text, str) or score is None:
            return []
        found.append((float(score), text))
    return found if len(found) > 1 else []


def _two_outputs(row: Fields) -> Found | None:
    """`output` as a list of two: the better one first."""
    outputs = row.get("output")
    if not isinstance(outputs, list) or len(outputs) != 2 or not all(isinstance(o, str) for o in outputs):
        return None
    asked, used = _asked(row)
    if not asked:
        return None
    good, bad = (Turn("assistant", text, learnt=True) for text in outputs)
    return _pair(row, [Turn("user", asked)], [good], [bad], used | {"output"})


def _conversation(row: Fields) -> Found | None:
    name = next((name for name in CONVERSATIONS if isinstance(row.get(name), list)), None)
    if name is None:
        return None
    try:
        turns, spelling = _turns(row[name], name)
    except Unread:
        if isinstance(row.get("text"), str):
            return None
        raise
    parts = {"turns": (*_system(row, turns), *turns), "tools": _tools(row)}
    return _found("conversation", spelling, {name, "system", "system_prompt", "tools"}, **parts)


def _system(row: Fields, turns: list[Turn]) -> list[Turn]:
    """The system prompt of a field of its own, if the turns do not begin with one."""
    text = next((row[name] for name in ("system", "system_prompt") if isinstance(row.get(name), str)), "")
    return [Turn("system", text)] if text.strip() and not (turns and turns[0].role == "system") else []


def _tools(row: Fields) -> str:
    tools = row.get("tools", row.get("functions"))
    return tools.strip() if isinstance(tools, str) else json.dumps(tools, ensure_ascii=False) if tools else ""


def _turns(raw: Any, name: str) -> tuple[list[Turn], str]:
    """The turns of a list and its spelling, "messages" or "sharegpt"."""
    if not isinstance(raw, list) or not raw:
        raise Unread(f"has no turns in `{name}`.", WAY_OUT)
    turns, spelling = [], "messages"
    for number, turn in enumerate(raw, 1):
        if not isinstance(turn, dict):
            raise Unread(f"has in `{name}` a turn {number} without role and content.", WAY_OUT)
        if "from" in turn and "role" not in turn:
            spelling = "sharegpt"
        role, content = turn.get("role", turn.get("from")), _content(turn, name, number)
        if not isinstance(role, str) or content is None:
            raise Unread(f"has in `{name}` a turn {number} without role and content.", WAY_OUT)
        known = ROLES.get(role.strip().lower())
        if known is None:
            raise Unread(
                f"has in `{name}` a turn {number} of the role {role!r}.", f"Known roles are {', '.join(ROLES)}."
            )
        turns.append(Turn(known, content, _learnt(turn, known)))
    return turns, spelling


def _learnt(turn: Fields, role: Role) -> bool:
    """As the row says (a weight, or yes and no); else what the assistant says."""
    for name in ("loss_weight", "train", "weight"):
        if isinstance(turn.get(name), (int, float)):
            return bool(turn[name] > 0)
    return role == "assistant"


def _content(turn: Fields, name: str, number: int) -> str | None:
    """What was said: a text, parts of one, or the call of a tool; None if there is none of it."""
    said = turn.get("content", turn.get("value"))
    calls = turn.get("tool_calls") or turn.get("function_call")
    if calls and not said:
        return json.dumps(calls, ensure_ascii=False)
    if isinstance(said, str):
        return said
    if not isinstance(said, list):
        return None
    parts = []
    for part in said:
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        text = (
            part if isinstance(part, str) else part.get("text", part.get("value")) if isinstance(part, dict) else None
        )
        if any(other in str(kind) for other in ("image", "audio", "video")):
            raise Unread(f"has in `{name}` a turn {number} with {kind}, and only text is read.", "Remove the row.")
        if not isinstance(text, str):
            return None
        parts.append(text)
    return "".join(parts)


def _questions(row: Fields) -> Found | None:
    turns = row.get("turns")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) for turn in turns):
        return None
    return _found("questions", "questions", {"turns"}, turns=tuple(Turn("user", turn) for turn in turns))


def _answered(row: Fields) -> Found | None:
    """A prompt and its answer, by whichever names; with `instruction` it is alpaca's spelling."""
    asked, used = _asked(row)
    order = ("output", *ANSWERS) if "instruction" in row else ANSWERS
    name = next((name for name in order if isinstance(row.get(name), str)), None)
    if not used or name is None:
        return None
    spelling = "alpaca" if "instruction" in used else "question-answer"
    if name == "completion":
        spelling = "prompt-completion"
    history = _history(row.get("history"))
    turns = [*history, Turn("user", asked), Turn("assistant", row[name], learnt=True)]
    parts = {"turns": (*_system(row, turns), *turns), "tools": _tools(row)}
    return _found("conversation", spelling, used | {name, "system", "history", "tools"}, **parts)


def _asked(row: Fields) -> tuple[str, set[str]]:
    """The prompt, which may come in two fields, and their names."""
    names = [
        name
        for group in (PROMPTS, INPUTS)
        if (name := next((each for each in group if isinstance(row.get(each), str)), None)) is not None
    ]
    return "\n".join(row[name] for name in names if row[name]), set(names)


def _history(raw: Any) -> list[Turn]:
    """Earlier rounds: pairs of what was asked and answered."""
    if not raw:
        return []
    pairs = raw if isinstance(raw, list) else None
    if pairs is None or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(said, str) for said in pair) for pair in pairs
    ):
        raise Unread("has a `history` that is no list of pairs of texts.", "Mend or remove the line.")
    roles: tuple[tuple[Role, bool], ...] = (("user", False), ("assistant", True))
    return [Turn(role, said, learnt) for pair in pairs for (role, learnt), said in zip(roles, pair, strict=True)]


def _text(row: Fields) -> Found | None:
    text = row.get("text")
    return _found("text", "text", {"text"}, text=text) if isinstance(text, str) else None


def _prompt_alone(row: Fields) -> Found | None:
    asked, used = _asked(row)
    return _found("questions", "prompts", used, turns=(Turn("user", asked),)) if used else None


READERS: tuple[Callable[[Fields], Found | None], ...] = (
    _preference,
    _two_outputs,
    _ranked,
    _conversation,
    _questions,
    _answered,
    _text,
    _prompt_alone,
)
REASONS = {
    "preference": "every row has a chosen and a rejected answer",
    "messages": "turns with `role` and `content`",
    "sharegpt": "turns with `from` and `value`",
    "questions": "`turns` is a list of questions",
    "alpaca": "`instruction` and the answer to it",
    "prompt-completion": "a prompt and its `completion`",
    "question-answer": "a question or prompt and its answer",
    "text": "a text in `text`",
    "prompts": "a prompt that is not answered yet",
    "table": "no column has a name that is known; say by hand which is which",
}
# which fields can be named by hand, in the order of a form
MAPPABLE = (
    *("text", "prompt", "completion", "instruction", "input", "output", "question", "answer", "system", "history"),
    *("messages", "chosen", "rejected", "turns", "tools"),
)
