"""The chat engine as the page sees it: what is asked goes to a thread, what happens comes back at most thirty times a second.

The thread alone owns the `Speaker`, the conversations and their files; the page gets copies. An engine that dies is started again
with its models, once; if it dies soon after that, the page asks.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from core import chat
from core.errors import Trouble
from core.home import Home
from desktop_app.work import courier

if TYPE_CHECKING:
    from core.conversations import Answered, Conversation, Said
    from core.speaker import Seat, Speaker, Talk

TICK_S = 1 / 30  # what is written comes no oftener
IDLE_S = 0.25
DIES_AGAIN_S = 30.0  # an engine that lives shorter than this is not started again by itself


@dataclass(frozen=True)
class Kept:
    """A conversation as it is on the disk."""

    id: str
    title: str
    models: tuple[str, ...] = ()
    said: Mapping[str, Said] = field(default_factory=dict)
    answers: Mapping[str, Answered] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """A model that must be in memory: its handle, folder, where, and the folders of the adapters laid over it."""

    handle: str
    folder: str
    device: str = "auto"
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ask:
    """Everything that it takes to have something answered."""

    seats: Mapping[str, Seat]
    models: Sequence[Wanted]
    system: str = ""
    when_full: chat.WhenFull = "drop"
    conversation: str = ""  # none: a new one is begun


class Speech(QObject):
    """`heard` carries events in the order in which they came, `kept` a conversation after each change."""

    heard = Signal(list)  # of core.chat.Event
    kept = Signal(object)  # Kept
    settled = Signal(str)  # the device that models are loaded on, and why
    troubled = Signal(object, str)  # Trouble, the words that could not be said
    dropped = Signal(str)  # the words that our own mistake kept from being said
    restarted = Signal()
    asked = Signal(object, str, list)  # Kept, the Said, its columns: on the disk and on its way

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.home = home
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._courier = courier()
        self._delivered = threading.Event()
        self._delivered.set()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._speaker: Speaker | None = None
        self._asked: dict[str, Wanted] = {}  # loads that were sent to the engine that lives
        self._talks: dict[str, Talk] = {}
        self._fresh: list[chat.Event] = []
        self._changed: set[str] = set()
        self._back = False  # an engine was started in place of one that died
        self._told_at = 0.0
        self._started_at = 0.0

    # --- what the page asks, from the window's thread ----------------------------------------------------------------

    def load(self, models: Sequence[Wanted]) -> None:
        """Bring models into memory, those that are not there yet."""
        self._do(lambda: self._load(models))

    def unload(self, handle: str) -> None:
        self._do(lambda: self._unload(handle))

    def give_back(self) -> None:
        """End the engine: all its memory is free again. What it writes just now is kept as far as it came."""
        self._do(self._give_back)

    def say(self, text: str, ask: Ask, before: str = "", after: Mapping[str, str] | None = None) -> None:
        """Say something after a turn and the answers that are in sight."""
        self._do(lambda: self._say(text, ask, before, after or {}), text)

    def edit(self, said: str, text: str, ask: Ask) -> None:
        self._do(lambda: self._edit(said, text, ask), text)

    def again(self, said: str, columns: Sequence[str], ask: Ask) -> None:
        self._do(lambda: self._again(said, columns, ask))

    def halt(self, column: str | None = None) -> None:
        self._do(lambda: self._halt(column))

    def open(self, conversation: str) -> None:
        """Read a conversation; `kept` follows."""
        self._do(lambda: self._open(conversation))

    def rename(self, conversation: str, title: str) -> None:
        self._do(lambda: self._rename(conversation, title))

    def start_again(self) -> None:
        """Start an engine that died, with the models that it had."""
        self._do(self._restart)

    def close(self) -> threading.Thread | None:
        """End everything; returns the thread that does it, to be waited for by somebody who may."""
        self._closed = True
        self._jobs.put(None)
        return self._thread

    def _do(self, work: Callable[[], None], words: str = "") -> None:
        if self._closed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, name="chat", daemon=True)
            self._thread.start()
        self._jobs.put(partial(self._try, work, words))

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=TICK_S / 2 if self._busy() else IDLE_S)
                if job is None:
                    break
                job()
            except queue.Empty:
                pass
            self._listen()
            self._tell()
        self._give_back()

    def _busy(self) -> bool:
        speaker = self._speaker
        loading = speaker is not None and len(speaker.loaded) < len(self._asked)
        return loading or bool(self._fresh) or any(talk.busy for talk in self._talks.values())

    def _try(self, work: Callable[[], None], words: str) -> None:
        try:
            work()
        except Trouble as trouble:
            self._send(partial(self.troubled.emit, trouble, words))
        except OSError as error:
            way_out = "Free some space, or check the permissions, and try again."
            refused = Trouble(f"{error.filename or self.home.root}: {error.strerror or error}.", way_out)
            self._send(partial(self.troubled.emit, refused, words))
        except Exception as error:  # noqa: BLE001 — our bug: raised in the window's thread, where the error hook shows it
            self._send(partial(self.dropped.emit, words))
            self._send(partial(_raise, error))

    def _listen(self) -> None:
        """Take in what the engine says; the talks keep of it what is theirs."""
        if self._speaker is None:
            return
        for event in self._speaker.events():
            self._fresh.append(event)
            for conversation, talk in self._talks.items():
                before = len(talk.conversation.answers), len(talk.writing)
                self._try(partial(talk.take, event), "")
                if before != (len(talk.conversation.answers), len(talk.writing)):
                    self._changed.add(conversation)
            if isinstance(event, chat.Failed) and event.model is not None:
                self._asked.pop(event.model, None)
            elif isinstance(event, chat.Died):
                self._mend()

    def _tell(self) -> None:
        """Hand over what is new: not before the last was taken, and no oftener than eyes can follow."""
        now = time.monotonic()
        if (
            not (self._fresh or self._changed or self._back)
            or not self._delivered.is_set()
            or now - self._told_at < TICK_S
        ):
            return
        fresh, self._fresh, self._told_at = self._fresh, [], now
        kept = [_copy(self._talks[id_].conversation) for id_ in self._changed if id_ in self._talks]
        back, self._back = self._back, False
        self._changed.clear()
        self._delivered.clear()
        self._send(partial(self._deliver, fresh, kept, back))

    def _deliver(self, fresh: list[chat.Event], kept: list[Kept], back: bool) -> None:
        self._delivered.set()
        for conversation in kept:
            self.kept.emit(conversation)
        if fresh:
            self.heard.emit(fresh)
        if back:
            self.restarted.emit()

    def _send(self, call: Callable[[], None]) -> None:
        def in_the_window() -> None:
            if isValid(self) and not self._closed:
                call()

        self._courier.called.emit(in_the_window)

    def _engine(self) -> Speaker:
        from core.speaker import Speaker

        if self._speaker is None:
            self._speaker = Speaker(self.home.root / "chat.log")
            self._started_at = time.monotonic()
        return self._speaker

    def _load(self, models: Sequence[Wanted]) -> None:
        from core.speaker import find_place

        for model in models:
            if self._asked.get(model.handle) == model:
                continue
            place = find_place(self.home, model.device, share=True)
            self._asked[model.handle] = model
            self._send(partial(self.settled.emit, place.reason))
            self._engine().send(
                chat.Load(model=model.handle, path=model.folder, device=place.device, adapters=model.adapters)
            )

    def _unload(self, handle: str) -> None:
        if self._asked.pop(handle, None) is not None and self._speaker is not None:
            self._speaker.send(chat.Unload(model=handle))

    def _give_back(self) -> None:
        if self._speaker is None:
            return
        deadline = time.monotonic() + 0.5
        self._halt(None)
        while any(talk.busy for talk in self._talks.values()) and time.monotonic() < deadline:
            self._listen()
            time.sleep(0.01)
        for talk in self._talks.values():  # whatever could not be stopped is kept as far as it came
            self._try(partial(talk.take, chat.Died(code=None, what="")), "")
            self._changed.add(talk.conversation.id)
        gone = list(self._asked)
        self._asked.clear()
        self._speaker.close()
        self._speaker = None
        self._fresh += [chat.Unloaded(model=handle, freed_bytes=0) for handle in gone]

    def _mend(self) -> None:
        """The engine died: start it again, unless it has only just been started."""
        lived = time.monotonic() - self._started_at
        self._started_at = time.monotonic()
        if lived > DIES_AGAIN_S:
            self._try(self._restart, "")
        else:
            self._asked.clear()

    def _restart(self) -> None:
        models = list(self._asked.values())
        self._started_at = time.monotonic()
        if self._speaker is not None:
            self._speaker.restart()
            self._back = True
        else:
            self._asked.clear()
            self._load(models)

    # --- conversations, in the thread ---------------------------------------------------------------------------------

    def _talk(self, ask: Ask) -> Talk:
        from core.conversations import Conversations
        from core.speaker import Talk

        folders = tuple(seat.folder for seat in ask.seats.values())
        talk = self._talks.get(ask.conversation)
        if talk is None:
            every = Conversations(self.home)
            conversation = every.open(ask.conversation) if ask.conversation else every.new(folders)
            talk = Talk(self._engine(), conversation, ask.seats)
            self._talks[conversation.id] = talk
        talk.speaker = self._engine()
        talk.seats, talk.system, talk.when_full = dict(ask.seats), ask.system, ask.when_full
        if talk.conversation.models != folders:
            talk.conversation.use_models(folders)
        return talk

    def _say(self, text: str, ask: Ask, before: str, after: Mapping[str, str]) -> None:
        talk = self._talk(ask)
        self._load(ask.models)
        self._told(talk, talk.branch(before, after, text), list(ask.seats))

    def _edit(self, said: str, text: str, ask: Ask) -> None:
        talk = self._talk(ask)
        self._load(ask.models)
        self._told(talk, talk.edit(said, text), list(ask.seats))

    def _again(self, said: str, columns: Sequence[str], ask: Ask) -> None:
        talk = self._talk(ask)
        self._load(ask.models)
        self._told(talk, talk.again(said, columns), columns)

    def _told(self, talk: Talk, request: str, columns: Sequence[str]) -> None:
        said = request.split("/")[1]
        self._send(partial(self.asked.emit, _copy(talk.conversation), said, list(columns)))

    def _halt(self, column: str | None) -> None:
        for talk in self._talks.values():
            talk.halt(column)

    def _open(self, wanted: str) -> None:
        from core.conversations import Conversations

        talk = self._talks.get(wanted)
        conversation = talk.conversation if talk is not None else Conversations(self.home).open(wanted)
        self._send(partial(self.kept.emit, _copy(conversation)))

    def _rename(self, wanted: str, title: str) -> None:
        from core.conversations import Conversations

        talk = self._talks.get(wanted)
        conversation = talk.conversation if talk is not None else Conversations(self.home).open(wanted)
        conversation.rename(title)
        self._send(partial(self.kept.emit, _copy(conversation)))


def _copy(conversation: Conversation) -> Kept:
    return Kept(
        conversation.id,
        conversation.title,
        conversation.models,
        dict(conversation.said),
        dict(conversation.answers),
    )


def _raise(error: Exception) -> Any:
    raise error
