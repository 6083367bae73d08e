"""Conversations on disk: one file of JSON lines each, only ever added to, so that nothing said is lost whatever is killed.

    chats/<id>.jsonl   {"kind": "began", …}, then what was said and answered, in the order in which it happened

What is said is a tree. A `Said` is what the user said, after the answers named in `after`, one for each column; an `Answered` is what one
column's model wrote then. To edit and resend is another `Said` with the same `before`; to regenerate is another `Answered` to the
same `Said`; a branch is a `Said` after an older answer. Nothing is ever overwritten.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from core.chat import Message
from core.errors import Trouble
from core.events import finite
from core.files import sync_folder
from core.home import Home

TITLE_CHARACTERS = 60
EXCERPT_CHARACTERS = 80


class ConversationTrouble(Trouble):
    """A conversation that can't be found, read or written."""


@dataclass(frozen=True)
class Said:
    """What the user said. `before` is the Said before it ("" at the beginning), `after` the answers it goes on from, by column."""

    text: str
    before: str = ""
    after: Mapping[str, str] = field(default_factory=dict)
    system: str = ""
    id: str = ""
    time: float = 0.0


@dataclass(frozen=True)
class Answered:
    """What a column's model answered to a Said. `ending` is one of core.chat.ENDINGS, or "died" where the engine ended first."""

    to: str
    column: str
    model: str  # its folder
    text: str
    ending: str
    sampling: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)  # tokens, speed, seed, speculation
    id: str = ""
    time: float = 0.0


@dataclass(frozen=True)
class Summary:
    """A line of the list of conversations."""

    id: str
    title: str
    begun: float
    changed: float
    turns: int
    models: tuple[str, ...]


@dataclass(frozen=True)
class Hit:
    """Where a search found all its words."""

    conversation: str
    title: str
    turn: str
    excerpt: str


class Conversation:
    """One conversation, read from its file and added to. What another program adds is seen by `read_on`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.stem
        self.begun = 0.0
        self.models: tuple[str, ...] = ()
        self.said: dict[str, Said] = {}
        self.answers: dict[str, Answered] = {}
        self._title = ""
        self._at = 0
        self.read_on()

    # ----------------------------------------------------------------------------------------------------- reading

    def read_on(self) -> None:
        """Take in what was added; a torn last line is left for later, a damaged one is passed over."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._at)
                new = stream.read()
        except OSError as error:
            raise ConversationTrouble(f"The conversation {self.path} can't be read: {error.strerror}.") from error
        whole = new[: new.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            try:
                self._take(json.loads(line))
            except (ValueError, TypeError, KeyError, RecursionError):
                continue

    def _take(self, row: dict[str, Any]) -> None:
        kind = row.pop("kind", None)
        if kind == "began":
            self.begun, self.models = float(row["time"]), tuple(row.get("models", ()))
        elif kind == "said":
            said = Said(**_known(Said, row))
            self.said[said.id] = said
        elif kind == "answered":
            answer = Answered(**_known(Answered, row))
            self.answers[answer.id] = answer
        elif kind == "titled":
            self._title = str(row["title"])
        elif kind == "models":
            self.models = tuple(row["models"])

    @property
    def title(self) -> str:
        """As the user called it, else the first words said."""
        first = next(iter(self.said.values()), None)
        words = " ".join((first.text if first else "").split())
        short = words if len(words) <= TITLE_CHARACTERS else words[: TITLE_CHARACTERS - 1].rstrip() + "…"
        return self._title or short or "New conversation"

    def summary(self) -> Summary:
        times = [said.time for said in self.said.values()] + [answer.time for answer in self.answers.values()]
        changed = max([self.begun, *times])
        models = tuple(dict.fromkeys([*self.models, *(answer.model for answer in self.answers.values())]))
        return Summary(self.id, self.title, self.begun, changed, len(self.said), models)

    def last(self) -> Said | None:
        """What was said last, on whatever branch."""
        return next(reversed(self.said.values()), None)

    def branches(self, said: str) -> list[Said]:
        """What was said at the same place, in order: the Said itself and its other versions."""
        own = self._said(said)
        return [each for each in self.said.values() if each.before == own.before and each.after == own.after]

    def following(self, said: str) -> list[Said]:
        """What was said next, one for each branch that begins here."""
        return [each for each in self.said.values() if each.before == said]

    def answers_to(self, said: str, column: str | None = None) -> list[Answered]:
        """All answers to a Said, of one column or of all, the oldest first: regenerated ones stand beside the first."""
        every = (answer for answer in self.answers.values() if answer.to == said)
        return [answer for answer in every if column is None or answer.column == column]

    def path_to(self, said: str) -> list[Said]:
        """What was said from the beginning to this, on its branch."""
        path = [self._said(said)]
        while path[0].before:
            path.insert(0, self._said(path[0].before))
        return path

    def answer_before(self, said: Said, column: str) -> Answered | None:
        """The answer that a column goes on from: its own, else (a column that came later) another's."""
        named = said.after.get(column) or next(iter(said.after.values()), None)
        return self.answers.get(named) if named else None

    def messages(self, said: str, column: str) -> tuple[Message, ...]:
        """What a column's model is given to answer a Said: the system prompt, then all turns on its branch."""
        path = self.path_to(said)
        found = [Message(role="system", content=path[-1].system)] if path[-1].system else []
        for at, each in enumerate(path):
            if at and (answer := self.answer_before(each, column)) is not None and answer.text:
                found.append(Message(role="assistant", content=answer.text))
            found.append(Message(role="user", content=each.text))
        return tuple(found)

    def columns(self) -> list[str]:
        return list(dict.fromkeys(answer.column for answer in self.answers.values()))

    def _said(self, said: str) -> Said:
        if said not in self.said:
            raise ConversationTrouble(f"The conversation {self.id} has no turn {said}.")
        return self.said[said]

    # ------------------------------------------------------------------------------------------------------ adding

    def say(self, text: str, *, system: str = "", before: str = "", after: Mapping[str, str] | None = None) -> Said:
        """Keep what the user says; it is on the disk when this returns. `before` and `after` place it on a branch."""
        said = Said(text, before, dict(after or {}), system, self._new_id(), time.time())
        self._add({"kind": "said", **asdict(said)}, sync=True)
        return self.said[said.id]

    def go_on(self, text: str, *, system: str = "") -> Said:
        """Say something after what was said last, going on from the newest answer of each column."""
        last = self.last()
        if last is None:
            return self.say(text, system=system)
        newest = {answer.column: answer.id for answer in self.answers_to(last.id)}
        return self.say(text, system=system, before=last.id, after=newest)

    def edit(self, said: str, text: str) -> Said:
        """Say something else instead: a new branch beside the old one."""
        old = self._said(said)
        return self.say(text, system=old.system, before=old.before, after=old.after)

    def answer(
        self,
        to: str,
        column: str,
        model: str,
        text: str,
        ending: str,
        sampling: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Answered:
        """Keep what a model answered, or the part of it that came."""
        self._said(to)
        answer = Answered(
            to, column, model, text, ending, dict(sampling or {}), dict(facts or {}), self._new_id(), time.time()
        )
        self._add({"kind": "answered", **asdict(answer)})
        return self.answers[answer.id]

    def rename(self, title: str) -> None:
        self._add({"kind": "titled", "title": " ".join(title.split()), "time": time.time()})

    def use_models(self, models: Iterable[str]) -> None:
        self._add({"kind": "models", "models": list(models), "time": time.time()})

    def _new_id(self) -> str:
        return f"{len(self.said) + len(self.answers):04d}-{secrets.token_hex(3)}"

    def _add(self, row: dict[str, Any], sync: bool = False) -> None:
        """Write one line behind what is there; a torn one of a killed program is closed first."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND)
            try:
                size = os.fstat(descriptor).st_size
                torn = size and os.pread(descriptor, 1, size - 1) != b"\n" if hasattr(os, "pread") else False
                line = json.dumps(finite(row), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
                os.write(descriptor, (b"\n" if torn else b"") + line.encode("ascii") + b"\n")
                if sync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ConversationTrouble(
                f"The conversation {self.path} can't be written: {error.strerror}.", "Free some space and try again."
            ) from error
        self.read_on()


def _known(kind: type[Said] | type[Answered], row: dict[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in row.items() if name in names}


class Conversations:
    """All conversations of a data folder. Files that did not change are not read again."""

    def __init__(self, home: Home) -> None:
        self.folder = home.root / "chats"
        self.removed = self.folder / "removed"
        self._read: dict[Path, tuple[tuple[int, int], Conversation]] = {}

    def new(self, models: Iterable[str] = ()) -> Conversation:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}.jsonl"
        row = {"kind": "began", "version": 1, "models": list(models), "time": time.time()}
        path.write_text(json.dumps(row) + "\n", encoding="ascii")
        sync_folder(self.folder)
        return Conversation(path)

    def open(self, wanted: str) -> Conversation:
        """The conversation of this id, its beginning, or `last`. ConversationTrouble if there is none, or several."""
        found = [path for path in self._files() if path.stem == wanted] or (
            self._files()[-1:] if wanted == "last" else [path for path in self._files() if path.stem.startswith(wanted)]
        )
        if len(found) != 1:
            several = (
                f"{len(found)} conversations begin with {wanted}" if found else f"There is no conversation {wanted}"
            )
            raise ConversationTrouble(f"{several}.", "`stillroom chat --list` shows all.")
        return Conversation(found[0])

    def list(self) -> Sequence[Summary]:
        """All conversations, the one that changed last first."""
        summaries = [conversation.summary() for conversation in self._every()]
        return sorted(summaries, key=lambda each: each.changed, reverse=True)

    def search(self, words: str) -> Iterator[Hit]:
        """Turns that hold all the words, whatever their case; the newest conversations first."""
        wanted = words.casefold().split()
        if not wanted:
            return
        for summary in self.list():
            conversation = self._read[self.folder / f"{summary.id}.jsonl"][1]
            turns: list[Said | Answered] = [*conversation.said.values(), *conversation.answers.values()]
            for turn in turns:
                folded = turn.text.casefold()
                if all(word in folded for word in wanted):
                    yield Hit(summary.id, summary.title, turn.id, _excerpt(turn.text, wanted[0]))

    def remove(self, wanted: str) -> None:
        """Set a conversation aside; `bring_back` undoes it."""
        conversation = self.open(wanted)
        self.removed.mkdir(exist_ok=True)
        conversation.path.replace(self.removed / conversation.path.name)

    def bring_back(self, id_: str) -> None:
        try:
            (self.removed / f"{id_}.jsonl").replace(self.folder / f"{id_}.jsonl")
        except FileNotFoundError as error:
            raise ConversationTrouble(f"No removed conversation is called {id_}.") from error

    def _files(self) -> Sequence[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    def _every(self) -> Iterator[Conversation]:
        for path in self._files():
            try:
                stat = path.stat()
                mark = (stat.st_size, stat.st_mtime_ns)
                if path not in self._read or self._read[path][0] != mark:
                    self._read[path] = (mark, Conversation(path))
            except (OSError, ConversationTrouble):
                continue  # removed meanwhile, or unreadable: the others are still of use
            yield self._read[path][1]


def _excerpt(text: str, word: str) -> str:
    at = max(0, text.casefold().find(word) - EXCERPT_CHARACTERS // 3)
    part = re.sub(r"\s+", " ", text[at : at + EXCERPT_CHARACTERS]).strip()
    return f"{'…' if at else ''}{part}{'…' if at + EXCERPT_CHARACTERS < len(text) else ''}"


# ------------------------------------------------------------------------------------------------------------ export


def as_markdown(conversation: Conversation, said: str | None = None) -> str:
    """The branch that ends with a Said (by default what was said last), with the answers of all columns."""
    lines = [f"# {conversation.title}", ""]
    for each in _branch(conversation, said):
        if each.system and each.before == "":
            lines += ["*System:* " + each.system, ""]
        lines += ["## You", "", each.text, ""]
        for answer in conversation.answers_to(each.id):
            ended = "" if answer.ending in ("end", "stop") else f" ({answer.ending})"
            lines += [f"## {Path(answer.model).name}{ended}", "", answer.text, ""]
    return "\n".join(lines).rstrip() + "\n"


def as_json(conversation: Conversation, said: str | None = None) -> dict[str, Any]:
    """The same branch as messages for each column, in the form that fine-tuning reads (`messages` of role and content)."""
    branch = _branch(conversation, said)
    rows = []
    for column in conversation.columns() if branch else ():
        messages = [message.model_dump() for message in conversation.messages(branch[-1].id, column)]
        answers = conversation.answers_to(branch[-1].id, column)
        if answers:
            messages.append({"role": "assistant", "content": answers[-1].text})
        models = [answer.model for answer in conversation.answers.values() if answer.column == column]
        rows.append({"column": column, "model": models[-1] if models else None, "messages": messages})
    return {"id": conversation.id, "title": conversation.title, "begun": conversation.begun, "columns": rows}


def _branch(conversation: Conversation, said: str | None) -> list[Said]:
    last = conversation.last()
    end = said or (last.id if last else None)
    return conversation.path_to(end) if end else []
