"""The thread that writes all answers of a server, and the bridge from it to the requests, which live in an event loop."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from core.chat import ChatTrouble, Ending, Sampling
from core.engine.chat_answer import Answer, Desk, Piece
from core.engine.chat_draft import refuse_other_tokenizer
from core.engine.chat_voice import Prompt, Voice
from core.engine.failures import is_out_of_memory
from core.errors import Trouble


@dataclass
class Order:
    """An answer that a request has asked for. `halted` is set when its client has gone."""

    voice: Voice
    prompt: Callable[[], Prompt]
    sampling: Sampling
    likeliest: int | None
    loop: asyncio.AbstractEventLoop
    pieces: asyncio.Queue[Piece | Trouble | None] = field(default_factory=asyncio.Queue)
    halted: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None

    def put(self, piece: Piece | Trouble | None) -> None:
        """From the writing thread; None after the last piece."""
        self.loop.call_soon_threadsafe(self.pieces.put_nowait, piece)

    async def come(self) -> AsyncIterator[Piece]:
        """Pieces as they are written, to the last. Raises the Trouble that ended it."""
        while (piece := await self.pieces.get()) is not None:
            if isinstance(piece, Trouble):
                raise piece
            yield piece

    @property
    def ending(self) -> Ending | None:
        return self.answer.ending if self.answer is not None else None


class Writer:
    """Writes every order's answer, all at once."""

    def __init__(self, voices: dict[str, Voice], draft: Voice | None = None) -> None:
        self.voices, self.draft = voices, draft
        if draft is not None:
            for voice in voices.values():
                refuse_other_tokenizer(voice, draft)
        self._orders: queue.Queue[Order | None] = queue.Queue()
        self._under_way: dict[int, Order] = {}
        self._desk = Desk(self._failed)
        self._thread = threading.Thread(target=self._write, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        for order in list(self._under_way.values()):
            order.halted.set()
        self._orders.put(None)
        self._thread.join(timeout=5)

    @property
    def writing(self) -> int:
        """How many answers are being written."""
        return len(self._under_way)

    def order(
        self, voice: Voice, prompt: Callable[[], Prompt], sampling: Sampling, likeliest: int | None = None
    ) -> Order:
        """Ask for an answer, from within the event loop. `prompt` is called in the writing thread."""
        order = Order(voice, prompt, sampling, likeliest, asyncio.get_running_loop())
        self._orders.put(order)
        return order

    def _write(self) -> None:
        while True:
            try:
                order = self._orders.get(block=not self._desk.answers)
            except queue.Empty:
                self._round()
                continue
            if order is None:
                return
            self._begin(order)

    def _begin(self, order: Order) -> None:
        if order.halted.is_set():
            return
        try:
            answer = Answer(
                order.voice,
                order.prompt(),
                order.sampling,
                adapters=order.voice.adapter_state(None),
                draft=self.draft,
                likeliest=order.likeliest,
                halted=order.halted.is_set,
            )
            self._desk.begin(answer)
        except Exception as error:  # noqa: BLE001 — told to the client
            order.put(as_trouble(error))
            return
        order.answer = answer
        self._under_way[id(answer)] = order

    def _round(self) -> None:
        for answer, piece in self._desk.round():
            order = self._under_way[id(answer)]
            if piece.ids or answer.ending is not None:
                order.put(piece)
            if answer.ending is not None:
                order.put(None)
                del self._under_way[id(answer)]

    def _failed(self, answer: Answer, error: BaseException) -> None:
        self._under_way.pop(id(answer)).put(as_trouble(error))


def as_trouble(error: BaseException) -> Trouble:
    """What a client is told; a bug of ours goes to the log with its traceback."""
    if isinstance(error, Trouble):
        return error
    if is_out_of_memory(error):
        return ServerTrouble("The memory of the device ran out.", "Send shorter prompts, or fewer at once.")
    traceback.print_exception(error, file=sys.stderr)
    return ServerTrouble(f"An error that we did not foresee: {type(error).__name__}.", "The server's log tells more.")


class ServerTrouble(ChatTrouble):
    """Nothing that the client did."""
