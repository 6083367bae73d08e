"""What any row of any file comes to: a text, a conversation, a pair to prefer between, or questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from core.errors import BadData

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Kind: TypeAlias = Literal["text", "conversation", "preference", "questions"]

SHOWN_TROUBLES = 20


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said. `learnt`: whether tuning learns to say it; by default that is what the assistant says."""

    role: Role
    content: str
    learnt: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """One row of any file, recognised.

    `line` counts lines in JSON lines and text, rows elsewhere (`unit` says which), from 1. `turns` is the conversation;
    of a preference what comes before `chosen` and `rejected`; of questions what the user asks. `tools` are the
    definitions of tools as JSON text. `extra` are the short other fields of the row (category, id …). `format` is the
    spelling that the row was recognised by.
    """

    kind: Kind
    path: Path
    line: int
    text: str = ""
    turns: tuple[Turn, ...] = ()
    chosen: tuple[Turn, ...] = ()
    rejected: tuple[Turn, ...] = ()
    tools: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    format: str = ""
    unit: str = "line"

    @property
    def place(self) -> str:
        """Where it is, for a sentence: line 3 of /data/a.jsonl."""
        return f"{self.unit} {self.line} of {self.path}"


@dataclass
class Broken:
    """Rows that were skipped: how many, and the first of them in words."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, trouble: BadData) -> None:
        self.count += 1
        if len(self.first) < SHOWN_TROUBLES:
            self.first.append(trouble.what)


def plain_text(example: Example) -> str:
    """The example as one plain text, without any chat template; of a preference what is chosen."""
    return "".join(part for part, _ in plain_parts(example))


def plain_parts(example: Example) -> list[tuple[str, bool]]:
    """The parts of the plain text, each with whether it is an answer that is learnt.

    A completion follows its prompt as it stands. The answer to an instruction or a question begins on a new line, unless
    there is white space between the two already. Turns of chats stand under the names of their roles.
    """
    turns = (*example.turns, *example.chosen)
    if example.kind == "text":
        return [(example.text, False)]
    if example.format in NAMELESS:
        return _nameless(turns, joined=example.format == "prompt-completion")
    parts: list[tuple[str, bool]] = []
    for turn in turns:
        line_end = "\n" if parts else ""
        parts += [(f"{line_end}{turn.role.capitalize()}:\n", False), (turn.content, turn.learnt)]
    return parts


NAMELESS = ("prompt-completion", "question-answer", "alpaca", "prompts", "questions")


def _nameless(turns: Iterable[Turn], joined: bool) -> list[tuple[str, bool]]:
    parts: list[tuple[str, bool]] = []
    before = ""
    for turn in turns:
        apart = bool(before and turn.content) and not (joined or before[-1].isspace() or turn.content[0].isspace())
        if apart and parts:
            text, learnt = parts[-1]
            if learnt:
                parts.append(("\n", False))
            else:
                parts[-1] = (f"{text}\n", learnt)
        parts.append((turn.content, turn.learnt))
        before = turn.content or before
    return parts
