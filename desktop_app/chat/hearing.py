"""What the engine's events mean for what is on screen: a fold over them into the members and the answers on their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, Signal

from core import chat
from core.conversations import Answered
from desktop_app.chat.heads import STARTING, WAITING
from desktop_app.chat.members import Members
from desktop_app.chat.turn import Live

Place = tuple[str, str]  # the Said, the column


@dataclass
class Heard:
    """What changed with some events."""

    members: bool = False
    turns: set[str] = field(default_factory=set)
    over: bool = False  # an answer ended


class Hearing(QObject):
    """`live` are the answers on their way; `notes` and `failures` stay with the answers that they belong to."""

    died = Signal(object)  # core.chat.Died
    failed = Signal(object)  # core.chat.Failed, of no column in sight

    def __init__(self, members: Members, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.members = members
        self.ready = False  # the engine is there
        self.live: dict[Place, Live] = {}
        self.notes: dict[Place, tuple[str, ...]] = {}
        self.failures: dict[Place, str] = {}

    def expect(self, said: str, columns: Sequence[str]) -> None:
        """Answers were asked for."""
        for column in columns:
            member = self.members.column(column)
            loading = member is not None and not member.loaded
            status = self.tr("Waiting for the model to be loaded…") if loading else self.tr("Waiting for its turn…")
            self.live[said, column] = Live(status=status, raw=member is not None and member.raw)
            self.notes.pop((said, column), None)
            self.failures.pop((said, column), None)

    def await_models(self, columns: Sequence[str]) -> None:
        """These are to be loaded: by an engine that is there, or that is being started."""
        for member in self.members:
            if member.column in columns:
                member.loaded, member.loading, member.share = False, WAITING if self.ready else STARTING, None

    def forget_engine(self) -> None:
        """It is gone, and with it all models in its memory."""
        self.ready = False
        for member in self.members:
            member.loaded, member.loading, member.used = False, "", 0

    def take(self, events: Sequence[chat.Event]) -> Heard:
        heard = Heard()
        for event in events:
            if isinstance(event, (chat.Loading, chat.Loaded, chat.Unloaded)):
                self._take_model(event)
                heard.members = True
            elif isinstance(event, chat.Ready):
                self.ready = heard.members = True
                for member in self.members:
                    member.loading = WAITING if member.loading == STARTING else member.loading
            elif isinstance(event, chat.Died):
                heard.turns |= {said for said, _ in self.live}
                self.live.clear()
                self.forget_engine()
                heard.members = heard.over = True
                self.died.emit(event)
            elif isinstance(event, chat.Failed):
                self._take_failure(event, heard)
            elif getattr(event, "request", None):
                self._take_answer(event, heard)
        return heard

    def _take_model(self, event: chat.Loading | chat.Loaded | chat.Unloaded) -> None:
        for member in self.members.of_handle(event.model):
            member.failure = ""
            if isinstance(event, chat.Loading):
                member.loading, member.share = self._part(event.what), event.share
            elif isinstance(event, chat.Unloaded):
                member.loaded, member.loading, member.used = False, "", 0
            else:
                member.loaded, member.loading, member.share = True, "", None
                member.parameters, member.context = event.parameters, event.context
                member.template, member.framing = event.chat_template, event.framing
                member.precision, member.device = event.precision, event.device
                member.suggested = event.suggested
                member.adapters = {name: member.adapters.get(name, 1.0) for name in event.adapters}

    def _part(self, what: str) -> str:
        return {"weights": self.tr("weights")}.get(what, what)

    def _take_failure(self, event: chat.Failed, heard: Heard) -> None:
        words = f"{event.what} {event.way_out}".strip()
        if event.model is not None and event.request is None:
            found = self.members.of_handle(event.model)
            # without adapters that don't fit, the model alone is loaded with the next word
            laid = bool(found) and self.members.take_off(found[0].folder)
            for member in found:
                member.failure, member.loading, member.loaded = "" if laid else words, "", False
                member.adapters = {} if laid else member.adapters
            heard.members = True
            if laid or not found:
                self.failed.emit(event)
            return
        said = _said(event.request)
        places = [place for place in self.live if place[0] == said and event.column in (None, place[1])]
        for place in places:
            self.failures[place] = words
            del self.live[place]
        heard.turns.add(said)
        heard.over = True
        if not places and event.column is None:
            self.failed.emit(event)

    def _take_answer(self, event: chat.Event, heard: Heard) -> None:
        said, column = _said(getattr(event, "request", "")), getattr(event, "column", None) or ""
        place = (said, column)
        live, member = self.live.get(place), self.members.column(column)
        heard.turns.add(said)
        if isinstance(event, chat.Began):
            self._begin(event, place)
        elif isinstance(event, chat.Reading) and live is not None:
            live.status = self.tr("Reading what was said, %s…") % f"{event.share:.0%}"
        elif isinstance(event, chat.Wrote) and live is not None:
            live.text += event.text
            live.status = ""
            if member is not None:
                member.used += event.tokens - live.tokens
                heard.members = True
            live.tokens = event.tokens
        elif isinstance(event, chat.Noted):
            self._note(place, event.text)
        elif isinstance(event, chat.Ended):
            self.live.pop(place, None)
            heard.over = heard.members = True
            if member is not None:
                member.used = event.prompt_tokens + event.tokens

    def _begin(self, event: chat.Began, place: Place) -> None:
        live, member = self.live.get(place), self.members.column(place[1])
        if live is not None:
            live.raw = event.mode == "raw"
            live.status = self.tr("Reading %s tokens…") % f"{event.prompt_tokens - event.kept_tokens:,}"
        if member is not None:
            member.used = event.prompt_tokens
        if event.dropped_turns == 1:
            self._note(place, self.tr("The context is full: the oldest turn is no longer read."))
        elif event.dropped_turns:
            self._note(
                place, self.tr("The context is full: the %d oldest turns are no longer read.") % event.dropped_turns
            )
        for note in event.notes:
            self._note(place, note)

    def _note(self, place: Place, text: str) -> None:
        self.notes[place] = (*self.notes.get(place, ()), text)
        if place in self.live:
            self.live[place].notes = self.notes[place]


def context_used(answer: Answered) -> int:
    """Tokens of context that a conversation took with this answer."""
    return int(answer.facts.get("prompt_tokens") or 0) + int(answer.facts.get("tokens") or 0)


def _said(request: str | None) -> str:
    """The Said of a request: conversation/said/number."""
    parts = (request or "").split("/")
    return parts[1] if len(parts) > 1 else ""
