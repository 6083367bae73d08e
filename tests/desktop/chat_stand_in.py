"""A chat engine made up for tests and pictures: it answers at once, in the protocol's own words, with no process and no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core import chat

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"

CHATTING = ("stories-2M",)  # of the sample's models, in pictures
COPPER = """**Copper** is a metal that people have shaped for *ten thousand* years:

1. it conducts heat, so stills are made of it;
2. it bends, so they can be hammered round.

| metal | heat, W/(m·K) |
|---|---|
| copper | 401 |
| iron | 80 |
"""
CODE = """Here it is:

```python
def greet(name: str) -> str:
    return f"Good morning, {name}!"
```

Call `greet("Ada")` to try it."""


def an_answer(column: chat.Column) -> str:
    """Something to look at: a list, a table, code."""
    return CODE if "code" in column.messages[-1].content else COPPER


class StandIn:
    """Takes the place of core.speaker.Speaker. `answers` says what a model answers; with `holds` it writes the first word alone and waits
    for a halt or a death.
    """

    made: list[StandIn] = []  # noqa: RUF012 — those of this test
    answers: Callable[[chat.Column], str] = staticmethod(lambda column: f"answer of {column.id}")
    holds = False
    templates: Mapping[str, str | None] = {}
    broken: frozenset[str] = frozenset()
    speculation: chat.Speculation | None = None
    adapters: Mapping[str, tuple[str, ...]] = {}
    loads = True
    context = 512

    def __init__(self, log: Path | None = None) -> None:
        self.sent: list[chat.Command] = []
        self.loaded: dict[str, chat.Loaded] = {}
        self.alive, self.restarts = True, 0
        self._events: list[chat.Event] = []
        self._templates: dict[str, str | None] = {}
        self._held: list[tuple[str, chat.Column]] = []
        StandIn.made.append(self)

    def send(self, command: chat.Command) -> None:
        self.sent.append(command)
        if isinstance(command, chat.Load):
            self._load(command)
        elif isinstance(command, chat.Unload):
            self.loaded.pop(command.model, None)
            self._events.append(chat.Unloaded(model=command.model, freed_bytes=1))
        elif isinstance(command, chat.Speak):
            for column in command.columns:
                self._speak(command.request, column)
        elif isinstance(command, chat.Halt):
            self._halt(command)

    def _load(self, command: chat.Load) -> None:
        self._events.append(chat.Loading(model=command.model, what="weights", share=0.5))
        if not self.loads:
            return
        name = Path(command.path).name
        self._templates[command.model] = self.templates.get(name)
        laid = tuple(Path(each).name for each in command.adapters)
        if {name, *laid} & self.broken:
            self._events.append(
                chat.Failed(what=f"{name} can't be loaded.", way_out="Choose another one.", model=command.model)
            )
            return
        self._events.append(
            chat.Loaded(
                model=command.model,
                path=command.path,
                name=name,
                parameters=2_000_000,
                context=self.context,
                device="cpu",
                precision="float32",
                precision_reason="the CPU",
                chat_template=self.templates.get(name),
                framing="begins with <s>",
                adapters=(*self.adapters.get(name, ()), *laid),
            )
        )

    def _speak(self, request: str, column: chat.Column) -> None:
        text = type(self).answers(column)
        mode: Any = "raw" if self._templates[column.model] is None else "chat"
        self._events.append(
            chat.Began(
                request=request, column=column.id, mode=mode, prompt_tokens=12, kept_tokens=0, context=self.context
            )
        )
        first = text.split(" ")[0]
        self._events.append(chat.Wrote(request=request, column=column.id, text=first, tokens=1))
        if self.holds:
            self._held.append((request, column))
            return
        self._events.append(chat.Wrote(request=request, column=column.id, text=text[len(first) :], tokens=4))
        self._end(request, column, "end", text)

    def _end(self, request: str, column: chat.Column, ending: chat.Ending, text: str) -> None:
        self._events.append(
            chat.Ended(
                request=request,
                column=column.id,
                ending=ending,
                text=text,
                tokens=4,
                prompt_tokens=12,
                context=self.context,
                first_token_s=0.05,
                tokens_per_second=31.25,
                speculation=self.speculation if column.draft else None,
            )
        )

    def _halt(self, command: chat.Halt) -> None:
        for request, column in list(self._held):
            if request == command.request and command.column in (None, column.id):
                self._held.remove((request, column))
                self._end(request, column, "halted", type(self).answers(column).split(" ")[0])

    def die(self) -> None:
        self._held.clear()
        self._events.append(chat.Died(code=-9, what="The chat engine was killed."))

    def events(self, wait_s: float = 0.0) -> list[chat.Event]:
        found, self._events = self._events, []
        for event in found:
            if isinstance(event, chat.Loaded):
                self.loaded[event.model] = event
            elif isinstance(event, chat.Died):
                self.loaded.clear()
        return found

    def restart(self) -> None:
        self.restarts += 1
        for command in [one for one in self.sent if isinstance(one, chat.Load)]:
            self._load(command)

    def close(self) -> None:
        self.alive = False
        self.loaded.clear()

    def spoken(self) -> list[chat.Speak]:
        return [one for one in self.sent if isinstance(one, chat.Speak)]
