"""How well a model reads held-out text: cross-entropy, perplexity, bits per byte, and agreement with a teacher."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from core import defaults
from core.engine.heads import Head, splits, trunk_states
from core.engine.losses import common_vocabulary, forward_kl
from core.engine.text import Corpus, Framing

Window: TypeAlias = tuple[np.ndarray, np.ndarray]  # ids, and which of them are counted as targets


@dataclass(frozen=True)
class Scores:
    """Sums over the predicted tokens of the text itself (the end token, which has no bytes, is not counted); where only answers are
    learnt, over those of the answers, and `bytes` are theirs.
    """

    nll: float
    tokens: int
    bytes: int
    documents: int
    windowed: int
    kl: float | None = None
    agreed: int | None = None
    teacher_nll: float | None = None  # of the same tokens

    @property
    def ce(self) -> float:
        return self.nll / self.tokens

    def metrics(self) -> dict[str, float | None]:
        """ce and kd in nats a token, perplexity, bits_per_byte, and agreement: the share of tokens with the teacher's first choice."""
        return {
            "ce": self.ce,
            "perplexity": math.exp(self.ce) if self.ce < 700 else math.inf,
            "bits_per_byte": self.nll / math.log(2) / self.bytes,
            "kd": None if self.kl is None else self.kl / self.tokens,
            "agreement": None if self.agreed is None else self.agreed / self.tokens,
        }

    def of_teacher(self) -> Scores:
        """What `score` says of the teacher alone, which has read the same tokens."""
        assert self.teacher_nll is not None
        return Scores(self.teacher_nll, self.tokens, self.bytes, self.documents, self.windowed)


def score(
    model: PreTrainedModel,
    corpus: Corpus,
    framing: Framing,
    context: int,
    device: str,
    teacher: PreTrainedModel | None = None,
    progress: Callable[[float], None] | None = None,
) -> Scores:
    """Read every document by itself. One longer than `context` is read in windows that overlap by half, and no token is left out:
    each is predicted once, with at least half a context before it (except at the beginning). Of a corpus that says which tokens are
    learnt, only these are counted. With a teacher of the same
    tokenizer, KL(teacher ‖ model), the agreement of first choices and the teacher's own cross-entropy come too.
    """
    windows, windowed, counted_bytes = _windows(corpus, framing, context)
    windows.sort(key=lambda window: len(window[0]))
    rows = defaults.scored_rows(model.get_input_embeddings().weight.shape[0])
    was_training = model.training
    reader, judge = Reader.of(model), None if teacher is None else Reader.of(teacher)
    model.eval()
    nll = kl = teacher_nll = 0.0
    tokens = agreed = done = 0
    try:
        while done < len(windows):
            longest = len(windows[min(done + 255, len(windows) - 1)][0])
            batch = windows[done : done + max(1, min(256, rows // longest))]
            sums = _score_batch(reader, judge, batch, device)
            nll, kl, teacher_nll = nll + sums.nll, kl + sums.kl, teacher_nll + sums.teacher_nll
            agreed, tokens = agreed + sums.agreed, tokens + sums.tokens
            done += len(batch)
            if progress is not None:
                progress(done / len(windows))
    finally:
        model.train(was_training)
    known = (kl, agreed, teacher_nll) if teacher is not None else (None, None, None)
    return Scores(nll, tokens, counted_bytes, len(corpus), windowed, *known)


def _windows(corpus: Corpus, framing: Framing, context: int) -> tuple[list[Window], int, int]:
    """Windows of all documents that count a token; how many documents needed several; the bytes they stand for."""
    windows: list[Window] = []

    def add(ids: np.ndarray, learnt: np.ndarray, first: int) -> None:
        counts = learnt & (np.arange(len(ids)) >= first)
        if counts.any():
            windows.append((ids, counts))

    windowed = counted = 0
    for index in range(len(corpus)):
        ids = np.asarray(corpus[index], dtype=np.int64)
        if framing.end is not None and ids[-1] == framing.end:
            ids = ids[:-1]
        learnt = corpus.targets(index, 0, len(ids))
        if len(ids) < 2:
            continue
        counted += int(corpus.sizes[index])
        if len(ids) <= context:
            add(ids, learnt, 1)
            continue
        windowed += 1
        add(ids[:context], learnt[:context], 1)
        stride = max(1, context // 2)
        for end in range(context + stride, len(ids) + stride, stride):
            start = end - context
            add(ids[start:end], learnt[start:end], context - stride)
    return windows, windowed, counted


class _Sums(NamedTuple):
    """Over the targets of a batch; what needs a teacher is 0 without one."""

    nll: float
    tokens: int
    kl: float = 0.0
    agreed: int = 0
    teacher_nll: float = 0.0


@dataclass(frozen=True)
class Reader:
    """A model and whether its scores are its head's alone, so that they can be made for a few rows at a time."""

    model: PreTrainedModel
    split: bool

    @classmethod
    def of(cls, model: PreTrainedModel) -> Reader:
        return cls(model, splits(model))

    def read(self, ids_BT: torch.Tensor, counts_BT: torch.Tensor) -> tuple[torch.Tensor, Head]:
        """What predicts the counted tokens: hidden states (N, H) with the head for them, or scores."""
        ids_BT = ids_BT.to(self.model.device)
        if self.split:
            return trunk_states(self.model, input_ids=ids_BT)[:, :-1][counts_BT], Head.of(self.model)
        scores_NV = self.model(input_ids=ids_BT, use_cache=False).logits[:, :-1][counts_BT]
        return scores_NV, Head.identity(scores_NV.shape[-1])


@torch.inference_mode()
def _score_batch(model: Reader, teacher: Reader | None, batch: list[Window], device: str) -> _Sums:
    """The sums over a batch of windows padded on the right (causal: padding is never seen)."""
    length = max(len(ids) for ids, _ in batch)
    ids_BT = torch.zeros(len(batch), length, dtype=torch.long)
    counts_BT = torch.zeros(len(batch), length - 1, dtype=torch.bool)
    for row, (ids, counts) in enumerate(batch):
        ids_BT[row, : len(ids)] = torch.from_numpy(ids)
        counts_BT[row, : len(ids) - 1] = torch.from_numpy(counts[1:])
    target_N = ids_BT[:, 1:][counts_BT].to(device)
    states_NH, head = model.read(ids_BT, counts_BT)
    theirs, their_head = (None, None) if teacher is None else teacher.read(ids_BT, counts_BT)
    rows = defaults.chunk_rows(len(target_N), head.entries, torch.device(device).type)
    sums = np.zeros(4)  # NLL, KL, agreed, the teacher's NLL
    for start in range(0, len(target_N), rows):
        part = slice(start, start + rows)
        z_nV, target_n = head.logits(states_NH[part]), target_N[part]
        found = [functional.cross_entropy(z_nV, target_n, reduction="sum")]
        if theirs is not None and their_head is not None:
            t_nV = their_head.logits(theirs[part]).to(device)
            student_nV, teacher_nV = common_vocabulary(z_nV, t_nV)
            found.append(forward_kl(student_nV.log_softmax(-1), teacher_nV.log_softmax(-1)))
            found.append((student_nV.argmax(-1) == teacher_nV.argmax(-1)).sum())
            found.append(functional.cross_entropy(t_nV, target_n, reduction="sum"))
        sums[: len(found)] += torch.stack([value.float() for value in found]).cpu().double().numpy()
    nll, kl, agreed, teacher_nll = sums.tolist()
    return _Sums(nll, len(target_N), kl, round(agreed), teacher_nll)
