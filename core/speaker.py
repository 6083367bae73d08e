"""The light side of a chat: starts the engine process, sends commands, hands out events, notices when it dies and starts it again.

`Speaker` is the process; `Talk` is a conversation with one to four models on it, kept on disk. Both are polled, from any one
thread; nothing blocks but for as long as is asked.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from core import chat, runs
from core.conversations import Conversation, Said
from core.devices import Device, default_device, devices
from core.errors import Trouble
from core.home import Home
from core.runner import own_session, process_environment

LOG_TAIL_BYTES = 4000


class Speaker:
    """The chat engine as seen from here. It starts with the first command, and again after it has died, with its models.

    Its death is an event (`Died`). What it prints goes to `log`, or to a file that goes away with us.
    """

    def __init__(self, log: Path | None = None) -> None:
        self._log_file = log
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._events: queue.Queue[chat.Event] = queue.Queue()
        self._wanted: dict[str, chat.Load] = {}
        self._lost: set[str] = set()  # loaded in an engine that died
        self.loaded: dict[str, chat.Loaded] = {}

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def send(self, command: chat.Command) -> None:
        """Send a command; starts the engine if it does not run, and brings back the models that a dead one had. Trouble if it can't
        be started.
        """
        if isinstance(command, chat.Load):
            self._wanted[command.model] = command
            self._lost.discard(command.model)
        elif isinstance(command, chat.Unload):
            self._wanted.pop(command.model, None)
        if not self.alive:
            if isinstance(command, (chat.Halt, chat.Unload, chat.Quit)):
                return  # there is nothing to stop
            self._start()
        for handle in sorted(self._lost):
            self._lost.discard(handle)
            if handle in self._wanted:
                self._write(self._wanted[handle])
        self._write(command)

    def events(self, wait_s: float = 0.0) -> list[chat.Event]:
        """What has happened since the last look, in order; waits for the first event as long as asked."""
        found: list[chat.Event] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._events.get(timeout=wait_s) if wait_s > 0 else self._events.get_nowait())
            while True:
                found.append(self._events.get_nowait())
        for event in found:
            self._heed(event)
        return found

    def until(self, wanted: type[chat.Event], patience_s: float = 600.0) -> Iterator[chat.Event]:
        """Events up to the first of this kind, or up to a death or failure."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            for event in self.events(0.1):
                yield event
                if isinstance(event, (wanted, chat.Died, chat.Failed)):
                    return

    def restart(self) -> None:
        """Kill the engine, if it lives, and start another with the same models."""
        self.kill()
        for event in self.events(0.5):
            self._heed(event)
        self._lost = set(self._wanted)
        self._start()
        for handle in sorted(self._lost):
            self._write(self._wanted[handle])
        self._lost.clear()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End the engine and give all its memory back. It is asked first, and killed after two seconds."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError, ValueError):
                assert process.stdin is not None
                process.stdin.close()  # the end of its input is the end of its life
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None
        self.loaded.clear()

    def __enter__(self) -> Speaker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _heed(self, event: chat.Event) -> None:
        if isinstance(event, chat.Loaded):
            self.loaded[event.model] = event
        elif isinstance(event, chat.Unloaded):
            self.loaded.pop(event.model, None)
        elif isinstance(event, chat.Failed) and event.model is not None:
            self._wanted.pop(event.model, None)
        elif isinstance(event, chat.Died):
            self.loaded.clear()
            self._lost = set(self._wanted)

    def _start(self) -> None:
        if self._process is not None:
            self._process.wait()
            with contextlib.suppress(OSError):  # what it did not read is lost with it
                assert self._process.stdin is not None
                self._process.stdin.close()
        if self._log is None:
            self._log = tempfile.TemporaryFile() if self._log_file is None else self._log_file.open("ab+")  # noqa: SIM115
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "core.engine.chat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=process_environment(),
                **own_session(),
            )
        except OSError as error:
            raise Trouble(
                f"The chat engine can't be started: {error}.", "Free some memory or space and try again."
            ) from error
        self._process = process
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """In a thread: events as they come, and at the end the death, unless it was ended by us."""
        assert process.stdout is not None
        for line in process.stdout:
            try:
                self._events.put(chat.decode_event(line))
            except Trouble as trouble:  # a torn last line of a killed engine
                self._events.put(chat.Noted(text=str(trouble)))
        process.stdout.close()
        code = process.wait()
        if self._process is process:
            self._events.put(chat.Died(code=code, what=_death_words(code), log_tail=self._log_tail()))

    def _log_tail(self) -> str:
        if self._log is None:
            return ""
        try:
            self._log.flush()
            self._log.seek(0, 2)
            self._log.seek(max(0, self._log.tell() - LOG_TAIL_BYTES))
            return self._log.read().decode("utf-8", errors="replace")
        except (OSError, ValueError):
            return ""

    def _write(self, command: chat.Command) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(chat.encode(command).encode("ascii") + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it has just died: the event of that is on its way
            return


def _death_words(code: int) -> str:
    if code in (-9, 137):
        return "The chat engine was killed, perhaps because the memory ran out."
    return f"The chat engine ended unexpectedly (code {code})."


# ------------------------------------------------------------------------------------------------------- the device


@dataclass(frozen=True)
class Place:
    """Where models are loaded, and why there; `runs` are the runs that are at work on the same device."""

    device: str
    reason: str
    runs: tuple[str, ...] = ()


def runs_on(home: Home, device: str) -> tuple[str, ...]:
    """The ids of the runs whose engine is at work on a device now."""
    found = []
    for run in runs.all_runs(home):
        if run.lock_held():
            engine = run.history().engine
            if engine is not None and device in engine.device.split(","):
                found.append(run.id)
    return tuple(found)


def runs_waiting(home: Home) -> tuple[str, ...]:
    """The ids of the runs that wait in the queue, in order: where a model is loaded on a GPU, they may need its memory."""
    return tuple(run.id for run in runs.queue(home))


def find_place(home: Home, wanted: str = "auto", machine: Sequence[Device] | None = None, share: bool = False) -> Place:
    """The device to talk on. `auto` takes the CPU while a run holds the GPU, and says so; a GPU that was asked for and is held is a Trouble
    that offers the CPU, unless it may be shared.
    """
    known = devices() if machine is None else list(machine)
    if wanted != "auto":
        if wanted not in {device.id for device in known}:
            raise Trouble(f"This machine has no device {wanted}.", f"It has {', '.join(each.id for each in known)}.")
        held = runs_on(home, wanted)
        if held and wanted != "cpu" and not share:
            raise Trouble(
                f"The run {held[0]} is at work on {wanted}.",
                "Talk on the CPU (--device cpu), wait for its end, or share the device (--share-device).",
            )
        return Place(wanted, f"{wanted}, as you chose", held)
    free = [device for device in known if device.id == "cpu" or not runs_on(home, device.id)]
    chosen, reason = default_device(free)
    busy = [device.id for device in known if device not in free and device.usable]
    if busy and chosen.id == "cpu":
        reason = f"cpu, because the run {runs_on(home, busy[0])[0]} is at work on {busy[0]}"
    return Place(chosen.id, reason, runs_on(home, chosen.id))


# ---------------------------------------------------------------------------------------------------- a conversation


@dataclass
class Writing:
    """An answer that is being written, as far as it has come."""

    said: str
    column: str
    model: str
    sampling: chat.Sampling
    text: str = ""
    mode: str = ""  # chat or raw, once that is known


@dataclass
class Seat:
    """A column: which model (its handle and folder) and how it is asked."""

    model: str
    folder: str
    sampling: chat.Sampling = field(default_factory=lambda: chat.PRESETS["balanced"][0])
    mode: chat.Mode = "auto"
    draft: str | None = None
    adapters: Mapping[str, float] | None = None


class Talk:
    """A conversation with one to four models. What the user says is on disk before it is sent, and what came of an answer is kept even if
    the engine dies in the middle of it.
    """

    def __init__(
        self,
        speaker: Speaker,
        conversation: Conversation,
        seats: Mapping[str, Seat],
        system: str = "",
        when_full: chat.WhenFull = "drop",
    ) -> None:
        self.speaker, self.conversation = speaker, conversation
        self.seats = dict(seats)
        self.system = system
        self.when_full: chat.WhenFull = when_full
        self.writing: dict[tuple[str, str], Writing] = {}
        self._count = 0

    def say(self, text: str) -> str:
        """Say something after what was said last; returns the request."""
        return self.ask(self.conversation.go_on(text, system=self.system))

    def edit(self, said: str, text: str) -> str:
        """Say something else instead, on a new branch."""
        return self.ask(self.conversation.edit(said, text))

    def branch(self, before: str, after: Mapping[str, str], text: str) -> str:
        """Go on from older answers."""
        return self.ask(self.conversation.say(text, system=self.system, before=before, after=after))

    def again(self, said: str, columns: Sequence[str] | None = None) -> str:
        """Regenerate: another answer beside the last one, in all columns or some."""
        return self.ask(self.conversation.said[said], columns)

    def ask(self, said: Said, columns: Sequence[str] | None = None) -> str:
        """Have the columns answer a Said; returns the request."""
        self._count += 1
        request = f"{self.conversation.id}/{said.id}/{self._count}"
        asked = []
        for name in columns or list(self.seats):
            seat = self.seats[name]
            self.writing[request, name] = Writing(said.id, name, seat.folder, seat.sampling)
            asked.append(
                chat.Column(
                    id=name,
                    model=seat.model,
                    messages=self.conversation.messages(said.id, name),
                    sampling=seat.sampling,
                    mode=seat.mode,
                    draft=seat.draft,
                    adapters=None if seat.adapters is None else dict(seat.adapters),
                    when_full=self.when_full,
                )
            )
        self.speaker.send(chat.Speak(request=request, columns=tuple(asked)))
        return request

    @property
    def busy(self) -> bool:
        return bool(self.writing)

    def halt(self, column: str | None = None) -> None:
        """Stop all answers, or those of one column."""
        for request in {request for request, name in self.writing if column in (None, name)}:
            self.speaker.send(chat.Halt(request=request, column=column))

    def take(self, event: chat.Event) -> None:
        """Keep what an event of the speaker brought; others' events are passed over."""
        if isinstance(event, chat.Died):
            for key in list(self.writing):
                self._keep(key, "died", {})
            return
        request, column = getattr(event, "request", None), getattr(event, "column", None)
        keys = [key for key in self.writing if key[0] == request and column in (None, key[1])]
        for key in keys:
            if isinstance(event, chat.Began):
                self.writing[key].mode = event.mode
            elif isinstance(event, chat.Wrote):
                self.writing[key].text += event.text
            elif isinstance(event, chat.Ended):
                self.writing[key].text = event.text
                facts = event.model_dump(exclude={"kind", "request", "column", "text", "ending"})
                self._keep(key, event.ending, facts)
            elif isinstance(event, chat.Failed):
                self._keep(key, "failed", {"what": event.what, "way_out": event.way_out})

    def _keep(self, key: tuple[str, str], ending: str, facts: Mapping[str, object]) -> None:
        written = self.writing.pop(key)
        if not written.text and ending in ("failed", "died"):
            return  # nothing was said; the question can be asked again
        sampling = written.sampling.model_dump(mode="json")
        facts = {**facts, **({"mode": written.mode} if written.mode else {})}
        self.conversation.answer(written.said, written.column, written.model, written.text, ending, sampling, facts)
