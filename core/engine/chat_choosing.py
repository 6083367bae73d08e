"""From scores to a token and from tokens to text: the sampling of transformers, and text that never shows half a character."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedTokenizerBase,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from core.chat import Sampling
from core.engine.generation import draw

CONTEXT_IDS = 8  # of the prompt, so that the first new token is decoded as it stands there, its leading blank too
HALF = "\ufffd"  # what decoders write for bytes that are no whole character


class Chooser:
    """Chooses tokens by the settings of one answer. Everything random comes from its own generator on the CPU."""

    def __init__(self, sampling: Sampling, seed: int) -> None:
        self.greedy = sampling.temperature == 0
        self.generator = torch.Generator().manual_seed(seed)
        self.processors = LogitsProcessorList()
        if sampling.repetition_penalty != 1:
            self.processors.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
        if self.greedy:
            return
        if sampling.temperature != 1:
            self.processors.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_k:
            self.processors.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1:
            self.processors.append(TopPLogitsWarper(sampling.top_p))
        if sampling.min_p:
            self.processors.append(MinPLogitsWarper(sampling.min_p))

    def processed(self, scores_V: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
        """Scores (V,) as the settings bend them, after `ids`, which were read and written so far."""
        if not self.processors:
            return scores_V
        return self.processors(torch.tensor([ids], device=scores_V.device), scores_V[None].clone())[0]

    def choose(self, scores_V: torch.Tensor, ids: Sequence[int]) -> int:
        """The next token after `ids`."""
        bent_1V = self.processed(scores_V, ids)[None]
        return int(draw([bent_1V], self.chances(1), 0.0 if self.greedy else 1.0)[0])

    def chances(self, count: int) -> torch.Tensor:
        """Numbers drawn evenly from [0, 1), (count,)."""
        if self.greedy:
            return torch.zeros(count, dtype=torch.float64)
        return torch.rand(count, generator=self.generator, dtype=torch.float64)


class Teller:
    """Text from tokens, as they come. Half a character is held back until it is whole, and whatever may yet become a stop text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], stops: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.stops = [stop for stop in stops if stop]
        self.text = ""  # all that was let go
        self.stopped = False
        self._ids = list(prompt[-CONTEXT_IDS:])
        self._from, self._shown = 0, len(self._ids)
        self._held = ""

    def take(self, token: int) -> str:
        """The text that is whole with this token."""
        self._ids.append(token)
        before, after = self._decode(self._from, self._shown), self._decode(self._from, len(self._ids))
        if after.endswith(HALF) or len(after) <= len(before):
            return ""
        self._from, self._shown = self._shown, len(self._ids)
        return self._let_go(after[len(before) :])

    def end(self) -> str:
        """What was held back, when nothing more comes; bytes that never became a character are dropped."""
        before, after = self._decode(self._from, self._shown), self._decode(self._from, len(self._ids))
        rest = "" if self.stopped else self._let_go(after[len(before) :].rstrip(HALF), last=True)
        self._shown = len(self._ids)
        return rest

    def _decode(self, start: int, end: int) -> str:
        ids = self._ids[start:end]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _let_go(self, new: str, last: bool = False) -> str:
        self._held += new
        places = [at for at in (self._held.find(stop) for stop in self.stops) if at >= 0]
        if places:
            self.stopped = True
            free = self._held[: min(places)]
        else:
            free = self._held if last else self._held[: len(self._held) - self._may_stop()]
        self._held = self._held[len(free) :]
        self.text += free
        return free

    def _may_stop(self) -> int:
        """How many characters at the end may be the beginning of a stop text."""
        lengths = (
            length
            for stop in self.stops
            for length in range(min(len(stop) - 1, len(self._held)), 0, -1)
            if self._held.endswith(stop[:length])
        )
        return max(lengths, default=0)
