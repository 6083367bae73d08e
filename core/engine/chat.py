"""The chat engine's door: `python -m core.engine.chat` reads commands and writes events (`core.chat`), one JSON object a line.

It lives as long as its standard input is open. A thread reads the commands, so that a halt is heard in the middle of a pass; the main
thread loads models and writes answers, all of them in turn, a token at a time. Whatever anything else prints goes to standard
error, and so do tracebacks; on standard output there is nothing but events.
"""

from __future__ import annotations

import gc
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING

from core import chat
from core.errors import Trouble

if TYPE_CHECKING:
    from core.engine.chat_answer import Answer
    from core.engine.chat_voice import Voice

UNUSED = ("datasets",)  # packages that transformers and accelerate import if they find them, and nobody needs here


def main() -> int:
    """Serve until standard input ends or a Quit comes."""
    events = _own_output()
    if "torch" not in sys.modules:
        for package in UNUSED:
            sys.modules.setdefault(package, None)  # type: ignore[arg-type]  # Python's own way to say "not installed"
    os.environ["HF_HUB_OFFLINE"] = "1"  # whatever a model folder names, nothing is fetched behind the user's back
    engine = Engine(events)
    threading.Thread(target=engine.listen, args=(sys.stdin.buffer,), daemon=True).start()
    gc.disable()  # modules are no garbage, and looking for some in a million new objects takes a second
    import core.engine.chat_answer  # noqa: F401 — torch and transformers, seconds

    gc.freeze()
    gc.enable()
    engine.say(chat.Ready(pid=os.getpid()))
    return engine.serve()


def _own_output() -> IO[str]:
    """Standard output for us alone: what libraries print goes to standard error."""
    own = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
    os.dup2(2, 1)
    return own


class Engine:
    """The loaded models by handle, and the answers being written."""

    def __init__(self, events: IO[str]) -> None:
        self._events = events
        self._commands: queue.Queue[chat.Command | None] = queue.Queue()
        self._halted: set[tuple[str, str | None]] = set()
        self._voices: dict[str, Voice] = {}
        self._columns: dict[int, tuple[str, str]] = {}  # of an answer by its id(): request and column
        self._begun: set[int] = set()
        self._saying = threading.Lock()

    # ----------------------------------------------------------------------------------------------- the other side

    def say(self, event: chat.Event) -> None:
        with self._saying:
            self._events.write(chat.encode(event) + "\n")
            self._events.flush()

    def listen(self, lines: IO[bytes]) -> None:
        """Take commands in, in a thread of its own; a halt counts at once, in the middle of a pass."""
        for line in lines:
            if not line.strip():
                continue
            try:
                command = chat.decode_command(line)
            except chat.ChatTrouble as trouble:
                self.say(chat.Failed(what=trouble.what, way_out=trouble.way_out))
                continue
            if isinstance(command, chat.Halt):
                self._halted.add((command.request, command.column))
            else:
                self._commands.put(command)
        # whoever started us is gone: nobody hears an answer
        self._halted.update((request, None) for request, _ in list(self._columns.values()))
        self._commands.put(None)

    # ----------------------------------------------------------------------------------------------- the work

    def serve(self) -> int:
        from core.engine.chat_answer import Desk

        self._desk = Desk(self._answer_failed)
        while True:
            try:
                command = self._commands.get(block=not self._desk.answers)
            except queue.Empty:
                self._round()
                continue
            if command is None or isinstance(command, chat.Quit):
                return 0
            self._do(command)

    def _do(self, command: chat.Command) -> None:
        try:
            if isinstance(command, chat.Load):
                self._load(command)
            elif isinstance(command, chat.Unload):
                self._unload(command.model)
            elif isinstance(command, chat.Speak):
                for column in command.columns:
                    self._begin(command.request, column)
        except Exception as error:  # noqa: BLE001 — whatever it is, it is said, and the others go on
            self.say(_failure(error, model=getattr(command, "model", None), request=getattr(command, "request", None)))

    def _load(self, command: chat.Load) -> None:
        from core.engine.chat_voice import Voice

        if command.model in self._voices:
            self._unload(command.model)
        voice = Voice(
            Path(command.path),
            command.device,
            command.precision,
            adapters=[Path(folder) for folder in command.adapters],
            base=command.base,
            allow_remote_code=command.allow_remote_code,
            compiled=command.compile,
            told=lambda what, share: self.say(chat.Loading(model=command.model, what=what, share=share)),
        )
        self._voices[command.model] = voice
        self.say(
            chat.Loaded(
                model=command.model,
                path=command.path,
                name=voice.name,
                parameters=voice.parameters,
                context=voice.context,
                device=voice.device,
                precision=voice.precision,
                precision_reason=voice.precision_reason,
                chat_template=voice.chat_template,
                framing=voice.framing.reason,
                adapters=tuple(voice.adapters),
                suggested=voice.suggested,
                seconds=round(voice.seconds, 2),
            )
        )

    def _unload(self, handle: str) -> None:
        import psutil

        voice = self._voices.pop(handle, None)
        if voice is None:
            raise chat.ChatTrouble(f"No model is loaded as {handle}.")
        for answer in [each for each in self._desk.answers if each.voice is voice or _drafts(each, voice)]:
            self._halted.add(self._columns[id(answer)])
        while self._halted and any(each.voice is voice or _drafts(each, voice) for each in self._desk.answers):
            self._round()
        process = psutil.Process()
        before = process.memory_info().rss + _on_gpu(voice.device)
        voice.give_back()
        freed = before - process.memory_info().rss - _on_gpu(voice.device)
        self.say(chat.Unloaded(model=handle, freed_bytes=max(0, freed)))

    def _begin(self, request: str, column: chat.Column) -> None:
        """Make ready for an answer; what is wrong with one column does not keep the others from writing."""
        from core.engine.chat_answer import Answer
        from core.engine.chat_draft import refuse_other_tokenizer

        try:
            voice = self._voice(column.model)
            draft = None if column.draft is None else self._voice(column.draft)
            if draft is not None:
                refuse_other_tokenizer(voice, draft)
            prompt = voice.prompt(column.messages, column.mode, column.sampling.max_new_tokens, column.when_full)
            answer = Answer(
                voice,
                prompt,
                column.sampling,
                adapters=voice.adapter_state(column.adapters),
                draft=draft,
                halted=lambda: (request, None) in self._halted or (request, column.id) in self._halted,
            )
            self._desk.begin(answer)
            self._columns[id(answer)] = (request, column.id)
        except Exception as error:  # noqa: BLE001 — of this column only
            self.say(_failure(error, request=request, column=column.id))

    def _voice(self, handle: str) -> Voice:
        if handle not in self._voices:
            raise chat.ChatTrouble(f"No model is loaded as {handle}.", "Load it first.")
        return self._voices[handle]

    def _round(self) -> None:
        for answer, piece in self._desk.round():
            request, column = self._columns[id(answer)]
            if id(answer) not in self._begun and answer.memory is not None:
                self._begun.add(id(answer))
                self.say(_began(answer, request, column))
            if not piece.ids and answer.ending is None:
                self.say(chat.Reading(request=request, column=column, share=round(answer.read_share, 3)))
            if piece.text:
                self.say(chat.Wrote(request=request, column=column, text=piece.text, tokens=answer.tokens))
            if answer.drafting is not None and answer.drafting.note:
                self.say(chat.Noted(text=answer.drafting.note, request=request, column=column))
                answer.drafting.note = ""
            if answer.ending is not None:
                self.say(_ended(answer, request, column))
                self._forget(answer)

    def _answer_failed(self, answer: Answer, error: BaseException) -> None:
        request, column = self._columns[id(answer)]
        self.say(_failure(error, request=request, column=column))
        self._forget(answer)

    def _forget(self, answer: Answer) -> None:
        request, column = self._columns.pop(id(answer))
        self._begun.discard(id(answer))
        self._halted.discard((request, column))
        if not any(other == request for other, _ in self._columns.values()):
            self._halted.discard((request, None))


def _drafts(answer: Answer, voice: Voice) -> bool:
    return answer.drafting is not None and answer.drafting.voice is voice


def _on_gpu(device: str) -> int:
    import torch

    return torch.cuda.memory_reserved() if device.startswith("cuda") else 0


def _began(answer: Answer, request: str, column: str) -> chat.Began:
    return chat.Began(
        request=request,
        column=column,
        mode="chat" if answer.prompt.mode == "chat" else "raw",
        prompt_tokens=len(answer.prompt.ids),
        kept_tokens=answer.kept,
        context=answer.voice.context,
        dropped_turns=answer.prompt.dropped,
        notes=answer.prompt.notes,
    )


def _ended(answer: Answer, request: str, column: str) -> chat.Ended:
    assert answer.ending is not None
    speed = answer.tokens_per_second
    return chat.Ended(
        request=request,
        column=column,
        ending=answer.ending,
        text=answer.text,
        tokens=answer.tokens,
        prompt_tokens=len(answer.prompt.ids),
        context=answer.voice.context,
        first_token_s=None if answer.first_token_s is None else round(answer.first_token_s, 4),
        tokens_per_second=None if speed is None else round(speed, 2),
        seed=answer.seed,
        speculation=answer.speculation(),
    )


def _failure(
    error: BaseException, *, request: str | None = None, column: str | None = None, model: str | None = None
) -> chat.Failed:
    """The words for an error; what is our bug goes to standard error with its traceback."""
    from core.engine.failures import is_out_of_memory

    if isinstance(error, Trouble):
        what, way_out = error.what, error.way_out
    elif is_out_of_memory(error):
        what = "The memory of the device ran out."
        way_out = "Unload a model, choose a smaller one, or talk on the CPU."
    else:
        traceback.print_exception(error, file=sys.stderr)
        sys.stderr.flush()
        what = f"The chat engine met an error that we did not foresee: {type(error).__name__}: {str(error)[:300]}"
        way_out = "Please report it with the details of its log."
    return chat.Failed(what=what, way_out=way_out, request=request, column=column, model=model)


if __name__ == "__main__":
    ended_with = main()
    sys.stderr.flush()
    os._exit(ended_with)  # nothing is left to do, and taking torch apart again takes seconds
