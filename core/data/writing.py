"""Examples back into rows of JSON lines, in the spelling that they came in, so that they are recognised and read as before."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from core.data.turns import Example, Turn


def row_of(example: Example) -> dict[str, Any]:
    """A row that reads as the same example again."""
    return {**_parts(example), **({"tools": example.tools} if example.tools else {}), **_beside(example)}


def line_of(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _parts(example: Example) -> dict[str, Any]:
    match example.kind:
        case "text":
            return {"text": example.text}
        case "questions":
            return {"turns": [turn.content for turn in example.turns]}
        case "preference":
            names = {"prompt": example.turns, "chosen": example.chosen, "rejected": example.rejected}
            return {name: _messages(turns, name != "prompt") for name, turns in names.items() if turns}
    simple = _one_round(example)
    return simple if simple is not None else {"messages": _messages(example.turns, True)}


SPELLINGS = {
    "alpaca": ("instruction", "output"),
    "question-answer": ("question", "answer"),
    "prompt-completion": ("prompt", "completion"),
}


def _one_round(example: Example) -> dict[str, Any] | None:
    """Prompt and answer under names of their own, with a system prompt and earlier rounds; None for chats of roles."""
    if example.format not in SPELLINGS:
        return None
    system = [turn for turn in example.turns if turn.role == "system"]
    *before, asked, answer = (turn.content for turn in example.turns if turn.role != "system")
    ask, say = SPELLINGS[example.format]
    row: dict[str, Any] = {ask: asked, say: answer}
    if system:
        row["system"] = system[0].content
    if before:
        row["history"] = [list(pair) for pair in zip(before[::2], before[1::2], strict=True)]
    return row


def _messages(turns: Iterable[Turn], says_learnt: bool) -> list[dict[str, Any]]:
    """Turns with roles; `loss_weight` where what is learnt is not what the role says."""
    return [
        {"role": turn.role, "content": turn.content}
        | ({"loss_weight": float(turn.learnt)} if says_learnt and turn.learnt != (turn.role == "assistant") else {})
        for turn in turns
    ]


def _beside(example: Example) -> dict[str, str]:
    """Other fields of the row, unless their names would be read as parts of the example."""
    taken = {
        *_parts(example),
        "text",
        "messages",
        "conversations",
        "prompt",
        "completion",
        "chosen",
        "rejected",
        "turns",
    }
    taken |= {"instruction", "input", "output", "response", "answer", "question", "context", "target", "system"}
    return {name: value for name, value in example.extra.items() if name not in taken}
