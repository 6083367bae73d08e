"""Answers as they are written: all of them move on together, a token each round, those of one model in one batch."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from core.chat import ChatTrouble, Ending, Sampling, Speculation
from core.engine.chat_cache import AdapterState, Memory, common_start, copy_start, lay_together
from core.engine.chat_choosing import Chooser, Teller
from core.engine.chat_draft import Drafting
from core.engine.chat_voice import Halted, Prompt, Voice, refuse_nan

FIRST_CHUNK, LONGEST_CHUNK = 64, 1024
LAYER_S = (
    0.03  # a prompt is read in chunks whose pass takes no longer than this in each layer, so that a halt comes at once
)


@dataclass(frozen=True)
class Piece:
    """What a round brought to an answer: text that is whole, the tokens behind it with their log-probabilities, in nats."""

    text: str
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    likeliest: list[list[tuple[int, float]]] = field(default_factory=list)


class Answer:
    """One answer: what it reads, what it has written so far, and how it ended."""

    def __init__(
        self,
        voice: Voice,
        prompt: Prompt,
        sampling: Sampling,
        *,
        adapters: AdapterState = (),
        draft: Voice | None = None,
        likeliest: int | None = None,
        halted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.voice, self.prompt, self.sampling = voice, prompt, sampling
        self.adapters, self.halted, self.likeliest = adapters, halted, likeliest
        self.seed = secrets.randbits(53) if sampling.seed is None else sampling.seed
        self.chooser = Chooser(sampling, self.seed)
        self.teller = Teller(voice.tokenizer, prompt.ids, sampling.stop)
        self.drafting = None if draft is None else Drafting(voice, draft)
        self.ids = list(prompt.ids)
        self.memory: Memory | None = None  # taken from the shelf when reading begins
        self.kept = 0
        self.ending: Ending | None = None
        self.first_token_s: float | None = None
        self._chunk = FIRST_CHUNK
        self._began = time.monotonic()
        self._told_at: float | None = None

    @property
    def tokens(self) -> int:
        return len(self.ids) - len(self.prompt.ids)

    @property
    def unread(self) -> list[int]:
        return self.ids[len(self.memory.ids) :] if self.memory else self.ids

    @property
    def text(self) -> str:
        return self.teller.text

    @property
    def read_share(self) -> float:
        """How far the prompt is read."""
        return len(self.memory.ids) / len(self.prompt.ids) if self.memory else 0.0

    @property
    def tokens_per_second(self) -> float | None:
        """Of the tokens after the first one, whose time is that of reading."""
        if self.first_token_s is None or self._told_at is None or self.tokens < 2:
            return None
        taken = self._told_at - self._began - self.first_token_s
        return (self.tokens - 1) / taken if taken > 0 else None

    def speculation(self) -> Speculation | None:
        return None if self.drafting is None else self.drafting.result()

    def room(self) -> int:
        """How many tokens may yet be written."""
        left = self.sampling.max_new_tokens - self.tokens
        return left if self.voice.context is None else min(left, self.voice.context - len(self.ids))

    def scores(self, ids: Sequence[int], keep: int = 1) -> torch.Tensor:
        """Scores (keep, V) after the last of `ids`, which follow what is read, and are read with this."""
        assert self.memory is not None
        scores_BTV = self.voice.read(
            self.memory.cache, [list(ids)], [len(self.memory.ids)], self.adapters, keep, self.halted
        )
        self.memory.ids.extend(ids)
        return scores_BTV[0]

    def read_on(self) -> bool:
        """Read a chunk of what is not read yet, all but the end that `step` reads. False when that is all that's left."""
        assert self.memory is not None
        if len(self.unread) <= self._chunk:
            return False
        began = time.monotonic()
        self.scores(self.unread[: self._chunk])
        taken = (time.monotonic() - began) / self.voice.layers
        self._chunk = max(16, min(LONGEST_CHUNK, int(self._chunk * min(4.0, LAYER_S / max(taken, 1e-6)))))
        return True

    def step(self) -> Piece:
        """Read what is unread and write the next token, or several with a draft."""
        if self.drafting is not None and self.drafting.ready and self.room() > 1:
            return self.take(*self.drafting.round(self))
        began, single = time.monotonic(), len(self.unread) == 1
        piece = self.choose(self.scores(self.unread)[-1])
        if self.drafting is not None and single:
            self.drafting.time_alone(time.monotonic() - began)
        return piece

    def choose(self, scores_V: torch.Tensor) -> Piece:
        refuse_nan(scores_V, self.voice)
        token = self.chooser.choose(scores_V, self.ids)
        return self.take([token], [scores_V])

    def take(self, tokens: Sequence[int], scores: Sequence[torch.Tensor]) -> Piece:
        """Write these tokens, each with the scores (V,) that it was chosen from, up to the first that ends the answer."""
        piece = Piece("", [], [], [])
        text = ""
        for token, scores_V in zip(tokens, scores, strict=True):
            self._take_one(token, scores_V, piece)
            if token in self.voice.ends:
                self.ending = "end"
                break
            text += self.teller.take(token)
            if self.teller.stopped:
                self.ending = "stop"
            elif self.tokens >= self.sampling.max_new_tokens:
                self.ending = "length"
            elif self.room() < 1:
                self.ending = "context"
            if self.ending is not None:
                break
        self._told_at = time.monotonic()
        if self.first_token_s is None:
            self.first_token_s = self._told_at - self._began
        if self.ending is not None:
            text += self.teller.end()
        return Piece(text, piece.ids, piece.log_probs, piece.likeliest)

    def _take_one(self, token: int, scores_V: torch.Tensor, piece: Piece) -> None:
        self.ids.append(token)
        piece.ids.append(token)
        if self.likeliest is None:
            return
        log_probs_V = scores_V.log_softmax(0)
        piece.log_probs.append(float(log_probs_V[token]))
        best = log_probs_V.topk(min(self.likeliest, len(log_probs_V)))
        piece.likeliest.append(list(zip(best.indices.tolist(), best.values.tolist(), strict=True)))

    def halt(self) -> Piece:
        self.ending = "halted"
        return Piece(self.teller.end())


@dataclass
class _Together:
    """Answers of one model that write in one batch, and the cache of all of them."""

    members: list[Answer] = field(default_factory=list)
    cache: object = None

    def join(self, answers: list[Answer]) -> None:
        """Be the batch of just these answers."""
        if answers == self.members:
            return
        self.part()
        memories = [answer.memory for answer in answers if answer.memory is not None]
        self.cache = lay_together([memory.cache for memory in memories], [len(memory.ids) for memory in memories])
        self.members = list(answers)

    def part(self) -> None:
        """Give every member its own keys and values back."""
        if not self.members:
            return
        length = self.cache.get_seq_length()  # type: ignore[attr-defined]
        for row, answer in enumerate(self.members):
            if answer.memory is not None:
                start = length - len(answer.memory.ids)
                answer.memory.cache = copy_start(self.cache, row, start, length)  # type: ignore[arg-type]
        self.members, self.cache = [], None

    def step(self) -> list[tuple[Answer, torch.Tensor]]:
        """One token read in every row: the answers with their scores (V,)."""
        members = self.members
        memories = [answer.memory for answer in members if answer.memory is not None]
        scores_B1V = members[0].voice.read(
            self.cache,  # type: ignore[arg-type]
            [[answer.ids[-1]] for answer in members],
            [len(memory.ids) for memory in memories],
            members[0].adapters,
            1,
            lambda: any(answer.halted() for answer in members),
        )
        for answer, memory in zip(members, memories, strict=True):
            memory.ids.append(answer.ids[-1])
        return [(answer, scores_B1V[row, -1]) for row, answer in enumerate(members)]


class Desk:
    """All answers that are being written. `round` moves each of them on by a step."""

    def __init__(self, failed: Callable[[Answer, BaseException], None]) -> None:
        self.answers: list[Answer] = []
        self._failed = failed
        self._together: dict[tuple[int, AdapterState], _Together] = {}

    def begin(self, answer: Answer) -> None:
        if answer.drafting is not None and not (answer.voice.rewindable and answer.drafting.voice.rewindable):
            raise ChatTrouble(
                "A model of this architecture can't take back what it has read, so no student can draft for it.",
                "Leave the draft out.",
            )
        self.answers.append(answer)

    def round(self) -> Iterator[tuple[Answer, Piece]]:
        """A step of every answer. Yields what came; an answer with an `ending` is over and no longer here."""
        for voice in {id(answer.voice): answer.voice for answer in self.answers}.values():
            own = [answer for answer in self.answers if answer.voice is voice]
            yield from self._halt(own)
            yield from self._move([answer for answer in own if answer.ending is None])

    def _halt(self, answers: list[Answer]) -> Iterator[tuple[Answer, Piece]]:
        for answer in answers:
            if answer.halted():
                piece = answer.halt()
                self._over(answer)
                yield answer, piece

    def _move(self, answers: list[Answer]) -> Iterator[tuple[Answer, Piece]]:
        """One answer reads its prompt at a time, so that the next may find in memory what both begin with; the others write."""
        reading = next((answer for answer in answers if answer.memory is None or len(answer.unread) > 1), None)
        writing = [answer for answer in answers if answer.memory is not None and len(answer.unread) == 1]
        alike: dict[AdapterState, list[Answer]] = {}
        alone: list[Answer] = []
        for answer in writing:
            batched = answer.drafting is None and answer.voice.rewindable
            (alike.setdefault(answer.adapters, []) if batched else alone).append(answer)
        for batch in alike.values():
            if len(batch) > 1:
                yield from self._step_together(batch)
            else:
                alone += batch
        for answer in alone:
            yield from self._alone(answer, answer.step)
        if reading is not None:
            yield from self._alone(reading, lambda: self._read(reading))

    def _alone(self, answer: Answer, move: Callable[[], Piece | None]) -> Iterator[tuple[Answer, Piece]]:
        """One answer's move. Whatever goes wrong with it ends this answer only."""
        self._part(answer)
        try:
            piece = move()
        except Halted:
            piece = answer.halt()
        except Exception as error:  # noqa: BLE001 — told as an event by whoever began the answer
            self._fail(answer, error)
            return
        if answer.ending is not None:
            self._over(answer)
        yield answer, piece or Piece("")

    def _read(self, answer: Answer) -> Piece | None:
        if answer.memory is None:
            answer.memory = self._known(answer)
            answer.kept = len(answer.memory.ids)
        return None if answer.read_on() else answer.step()

    def _known(self, answer: Answer) -> Memory:
        """The longest beginning of a prompt that is in memory: of an earlier text, or of an answer that is being written."""
        memory = answer.voice.shelf.take(answer.ids, answer.adapters, answer.voice.model)
        if not answer.voice.rewindable:
            return memory
        for other in self.answers:
            if other.voice is not answer.voice or other.adapters != answer.adapters or other.memory is None:
                continue
            common = min(common_start(other.memory.ids, answer.ids), len(answer.ids) - 1)
            if common > len(memory.ids):
                self._part(other)
                memory = Memory(copy_start(other.memory.cache, 0, 0, common), answer.ids[:common], answer.adapters)
        return memory

    def _step_together(self, batch: list[Answer]) -> Iterator[tuple[Answer, Piece]]:
        together = self._together.setdefault((id(batch[0].voice), batch[0].adapters), _Together())
        try:
            together.join(batch)
            rows = together.step()
        except Halted:
            return  # the next round begins with the one that halted
        except Exception as error:  # noqa: BLE001 — told as events by whoever began the answers
            together.members, together.cache = [], None
            for answer in batch:
                self._fail(answer, error)
            return
        for answer, scores_V in rows:
            try:
                piece = answer.choose(scores_V)
            except Exception as error:  # noqa: BLE001 — of this answer only
                self._fail(answer, error)
                continue
            if answer.ending is not None:
                self._over(answer)
            yield answer, piece

    def _part(self, answer: Answer) -> None:
        together = self._together.get((id(answer.voice), answer.adapters))
        if together is not None and answer in together.members:
            together.part()

    def _over(self, answer: Answer) -> None:
        """What it has read stays in memory for the next turn, unless a broken-off pass has spoilt it."""
        self._part(answer)
        self.answers.remove(answer)
        if answer.memory is not None and (answer.voice.rewindable or answer.ending != "halted"):
            answer.voice.shelf.put(answer.memory)
        if answer.drafting is not None:
            answer.drafting.leave()

    def _fail(self, answer: Answer, error: BaseException) -> None:
        answer.ending = "failed"
        if answer in self.answers:
            self.answers.remove(answer)
        self._failed(answer, error)
