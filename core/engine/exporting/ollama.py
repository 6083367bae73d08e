"""A Modelfile for Ollama: the GGUF file, the chat template in Go's language, the stop tokens.

Ollama does not run Jinja. What a template writes between the turns is read off by having it write marked conversations; these pieces make
the Go template, and they are proved against the Jinja template on other conversations before anything is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.errors import Trouble

SYSTEM, USER, ANSWER, AGAIN = "Qsystemq", "Quserq", "Qanswerq", "Qagainq"  # nothing that a template writes itself
Message = dict[str, str]
Render = Callable[[Sequence[Message], bool], str]  # a conversation, and whether the model is to answer


@dataclass(frozen=True)
class Pieces:
    """What stands around the turns of a conversation: [system] user (answer user)*, then what asks for an answer."""

    start: str  # before the first user where there is no system prompt
    system: str | None  # before it; None where the format has none
    system_to_user: str
    to_answer: str
    to_user: str
    ask: str

    def write(self, messages: Sequence[Message]) -> str:
        """The conversation, as the Go template writes it."""
        found, before = [], ""
        for message in messages:
            role = message["role"]
            if role == "system":
                found.append(self.system or "")
            elif role == "user":
                found.append({"": self.start, "system": self.system_to_user}.get(before, self.to_user))
            else:
                found.append(self.to_answer)
            found.append(message["content"])
            before = role
        return "".join(found) + self.ask

    def go(self) -> str:
        """The template in Go's language (text/template), as Ollama gives it `.Messages`."""
        user = (
            f'{{{{ if eq $before "" }}}}{_text(self.start)}{{{{ else if eq $before "system" }}}}{_text(self.system_to_user)}'
            f"{{{{ else }}}}{_text(self.to_user)}{{{{ end }}}}"
        )
        return (
            '{{ $before := "" }}{{ range .Messages }}'
            f'{{{{ if eq .Role "system" }}}}{_text(self.system or "")}'
            f'{{{{ else if eq .Role "user" }}}}{user}'
            f'{{{{ else if eq .Role "assistant" }}}}{_text(self.to_answer)}{{{{ end }}}}'
            f"{{{{ .Content }}}}{{{{ $before = .Role }}}}{{{{ end }}}}{_text(self.ask)}"
        )


def _text(text: str) -> str:
    """Text as a Go string inside an action, so that no white space and no brace of it is read as template."""
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if text else ""


def pieces_of(render: Render, drop: str = "") -> Pieces:
    """Read the pieces off a template, and prove them; `drop` is the text of a bos token that the runtime adds by itself.

    Raises Trouble for a template that writes turns by other rules.
    """
    one, other = {"role": "user", "content": USER}, {"role": "user", "content": AGAIN}
    answer, system = {"role": "assistant", "content": ANSWER}, {"role": "system", "content": SYSTEM}
    start, to_answer, to_user, ask = _between(render([one, answer, other], True), USER, ANSWER, AGAIN)
    try:
        before_system, system_to_user, _ = _between(render([system, one], True), SYSTEM, USER)
    except Exception:  # noqa: BLE001 — a template raises what it likes for a role that it doesn't know
        before_system, system_to_user = None, ""
    pieces = Pieces(start, before_system, system_to_user, to_answer, to_user, ask)
    conversations: list[list[Message]] = [
        [{"role": "user", "content": "Hello."}],
        [
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "Two\nthree"},
            {"role": "user", "content": "Four"},
        ],
        [{"role": role, "content": f"{role} {turn}"} for turn in range(3) for role in ("user", "assistant")][:5],
    ]
    if before_system is not None:
        conversations += [[{"role": "system", "content": "Be brief."}, *each] for each in conversations]
    for conversation in conversations:
        wanted, found = render(conversation, True), pieces.write(conversation)
        if wanted != found:
            raise _irregular(f"a conversation of {len(conversation)} turns becomes {found!r} instead of {wanted!r}")
    if drop:
        cut = None if before_system is None else before_system.removeprefix(drop)
        pieces = Pieces(start.removeprefix(drop), cut, system_to_user, to_answer, to_user, ask)
    return pieces


def _between(text: str, *marks: str) -> list[str]:
    found = re.split("|".join(map(re.escape, marks)), text)
    if len(found) != len(marks) + 1 or re.findall("|".join(map(re.escape, marks)), text) != list(marks):
        raise _irregular("it writes turns more than once, leaves some out, or changes what was said")
    return found


def _irregular(why: str) -> Trouble:
    return Trouble(
        f"The chat template can't be said in Ollama's language: {why}.",
        "Export as gguf, which keeps the template as it is.",
    )


def modelfile(gguf_name: str, template: str, stops: Sequence[str], context: int) -> str:
    """The Modelfile's text; `stops` are the tokens' texts."""
    lines = [
        f"FROM ./{gguf_name}",
        f'TEMPLATE """{template}"""',
        f"PARAMETER num_ctx {context}",
        *(f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops),
    ]
    return "\n".join(lines) + "\n"


def stops_in(modelfile_text: str) -> list[str]:
    """The stop parameters of a Modelfile."""
    return [str(json.loads(said)) for said in re.findall(r"^PARAMETER stop (.+)$", modelfile_text, re.MULTILINE)]


PLAIN_TEMPLATE = "{{ .Prompt }}"  # a base model goes on with what it is given
