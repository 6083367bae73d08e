"""Preferences: pairs of a better and a worse answer, what the reference thinks of them, and the losses DPO and ORPO.

A pair is a block like any other, the better row and behind it the worse one, each counting its positions from 0; so rehearsal, trainer and
checkpoints are those of every training here. It is read as two rows, which can't see each other. What the reference says of a pair never
changes, so it is asked once, before the first step, and kept in the run folder: no second model is held while the first one learns.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.data import Dataset
from transformers import PreTrainedModel

from core.defaults import chunk_rows
from core.distill import DistillRecipe
from core.engine.heads import Head, splits, trunk_states
from core.engine.lesson import Batch, attach
from core.engine.losses import AutoBalance
from core.engine.text import IGNORED, Corpus, collate
from core.engine.trainer import DistillTrainer

# Summed over the pairs of a step: `total` is what is trained, `ce` the better answers' nats over `tokens` tokens; rewards in nats.
SUMS = ("total", "ce", "rows", "tokens", "margin", "accuracy", "chosen", "rejected")
REFERENCE = "reference.npy"  # in the run folder's tokens: sums of log-probabilities (pairs, 2)


class Pairs(Dataset):
    """Pairs in the order of training. An item is as `Blocks` has it, `index` being the pair's place in the order."""

    def __init__(
        self, better: Corpus, worse: Corpus, count: int, seed: int, pad: int, order: np.ndarray | None = None
    ) -> None:
        self.better, self.worse, self.pad = better, worse, pad
        self.length = int((better.lengths + worse.lengths).max())
        epochs = math.ceil(count / len(better))
        whole = [np.random.default_rng([seed, epoch]).permutation(len(better)) for epoch in range(epochs)]
        self.order = np.concatenate(whole)[:count] if order is None else order
        sizes = (better.lengths + worse.lengths)[self.order]
        self._tokens_before = np.concatenate([[0], np.cumsum(sizes)])
        self.epochs = count / len(better)

    def __len__(self) -> int:
        return len(self.order)

    @property
    def tokens(self) -> int:
        return int(self._tokens_before[-1])

    def tokens_until(self, count: int) -> int:
        return int(self._tokens_before[min(count, len(self.order))])

    def fullest(self) -> int:
        return int(np.argmax(np.diff(self._tokens_before)))

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        place = int(self.order[index])
        ids, positions, labels = (np.full(self.length, fill, dtype=np.int64) for fill in (self.pad, 0, IGNORED))
        at = 0
        for corpus in (self.better, self.worse):
            part = corpus[place]
            to = at + len(part)
            ids[at:to], positions[at:to] = part, np.arange(len(part))
            labels[at : to - 1] = np.where(corpus.targets(place, 0, len(part)), part, IGNORED)[1:]
            at = to
        positions[at:] = np.arange(self.length - at)
        named = {"input_ids": ids, "position_ids": positions, "labels": labels}
        return {name: torch.from_numpy(array) for name, array in named.items()} | {
            "index": torch.tensor(place),
            "filled": torch.tensor(at),
        }


def parted(batch: Batch) -> Batch:
    """The rows of a batch of pairs (B, T) apart: (2B, T'), the better rows first. What follows a row is padding, labelled IGNORED."""
    starts_BT = (batch["position_ids"] == 0).long().cumsum(1)
    rows: dict[str, list[torch.Tensor]] = {"input_ids": [], "position_ids": [], "labels": []}
    for number in (1, 2):
        for row, document_T in enumerate(starts_BT):
            for name, found in rows.items():
                found.append(batch[name][row][document_T == number])
    fills = {"input_ids": 0, "position_ids": 0, "labels": IGNORED}
    return {
        name: torch.nn.utils.rnn.pad_sequence(found, batch_first=True, padding_value=fills[name])
        for name, found in rows.items()
    }


def sums_of_log_probs(
    model: PreTrainedModel, split: bool, rows: Batch, scores: Callable[..., Any] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each row (R,): the sum of the log-probabilities of what is learnt, and how many tokens that is.

    Scores are made a chunk of positions at a time, and again in the backward pass.
    """
    counted_RT = rows["labels"] != IGNORED
    target_N = rows["labels"][counted_RT]
    shown = {name: rows[name] for name in ("input_ids", "position_ids")}
    if split:
        states_NH, head = trunk_states(model, **shown)[counted_RT], Head.of(model)
    else:
        states_NH = (scores or model)(**shown, use_cache=False).logits[counted_RT]
        head = Head.identity(states_NH.shape[-1])
    chunk = chunk_rows(len(target_N), head.entries, states_NH.device.type)

    def of_chunk(states_nH: torch.Tensor, target_n: torch.Tensor) -> torch.Tensor:
        return -functional.cross_entropy(head.logits(states_nH), target_n, reduction="none")

    found = [
        checkpoint(of_chunk, states_NH[at : at + chunk], target_N[at : at + chunk], use_reentrant=False)
        for at in range(0, len(target_N), chunk)
    ]
    row_N = counted_RT.nonzero()[:, 0]
    sums_R = torch.zeros(len(counted_RT), device=states_NH.device, dtype=found[0].dtype)
    return sums_R.index_add(0, row_N, torch.cat(found)), counted_RT.sum(1)


def dpo(policy_2P: torch.Tensor, reference_2P: torch.Tensor, beta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """−log σ(β·(r_w − r_l)) for each pair (P,), with r = log π − log π_ref, and the rewards β·r (2P,) (arXiv 2305.18290, eq. 7).

    All are sums over the tokens of an answer; the better answers first.
    """
    rewards_2P = beta * (policy_2P - reference_2P)
    better_P, worse_P = rewards_2P.chunk(2)
    return -functional.logsigmoid(better_P - worse_P), rewards_2P


def orpo(sums_2P: torch.Tensor, tokens_2P: torch.Tensor, weight: float) -> tuple[torch.Tensor, torch.Tensor]:
    """−log P(y_w) − λ·log σ(log odds(y_w) − log odds(y_l)) for each pair (P,), and rewards λ·log P (2P,) (arXiv 2403.07691, eq. 4 to 6).

    P is the geometric mean over an answer's tokens, odds(y) = P / (1 − P).
    """
    mean_2P = sums_2P / tokens_2P
    log_odds_2P = mean_2P - torch.log(-torch.expm1(mean_2P.clamp(max=-1e-7)))
    better_P, worse_P = log_odds_2P.chunk(2)
    loss_P = -mean_2P.chunk(2)[0] - weight * functional.logsigmoid(better_P - worse_P)
    return loss_P, weight * mean_2P


@dataclass
class PairLesson:
    """Turns micro-batches of pairs into losses; to trainer and rehearsal it is as `Lesson` is. `reference` None: ORPO."""

    recipe: DistillRecipe
    student: PreTrainedModel
    beta: float
    reference: np.ndarray | None = None  # (pairs, 2)
    guided: bool = False
    own_words: None = None
    balance: AutoBalance = field(default_factory=AutoBalance)

    def __post_init__(self) -> None:
        self.split = splits(self.student)
        attach(self.student)

    def loss(self, model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The sum over the pairs of a micro-batch, and the SUMS."""
        rows = parted(batch)
        sums_2P, tokens_2P = model(asked=_Asked(rows, self.split))
        pairs = len(sums_2P) // 2
        if self.reference is None:
            loss_P, rewards_2P = orpo(sums_2P, tokens_2P, self.beta)
        else:
            known = torch.from_numpy(self.reference[batch["index"].cpu().numpy()]).to(sums_2P)
            loss_P, rewards_2P = dpo(sums_2P, known.t().flatten(), self.beta)
        better_P, worse_P = rewards_2P.detach().chunk(2)
        total = loss_P.sum()
        values = {
            "total": total,
            "ce": -sums_2P[:pairs].sum(),
            "rows": pairs,
            "tokens": tokens_2P[:pairs].sum(),
            "margin": (better_P - worse_P).sum(),
            "accuracy": (better_P > worse_P).sum(),
            "chosen": better_P.sum(),
            "rejected": worse_P.sum(),
        }
        return total, torch.stack(
            [torch.as_tensor(values[name], device=total.device).detach().float() for name in SUMS]
        )

    def means(self, sums: dict[str, float]) -> dict[str, float]:
        """Each in its own unit, over pairs; `ce` over tokens."""
        means = {name: sums[name] / sums["rows"] for name in ("total", "margin", "accuracy", "chosen", "rejected")}
        return {**means, "ce": sums["ce"] / sums["tokens"], "kd": math.nan}

    def further_parts(self, means: dict[str, float]) -> dict[str, float | None]:
        return {name: means[name] for name in ("margin", "accuracy", "chosen", "rejected")}

    def in_own_words(self, batches: list[Batch], step: int) -> None:
        return None

    def drop(self) -> None:
        """Nothing of it stays in the model."""


@dataclass
class _Asked:
    """What the model's forward pass is to give back: sums of log-probabilities."""

    rows: Batch
    split: bool

    def answer(self, model: PreTrainedModel, plain: Callable[..., Any]) -> tuple[torch.Tensor, torch.Tensor]:
        return sums_of_log_probs(model, self.split, self.rows, plain)


class PairTrainer(DistillTrainer):
    """The trainer, with the sums of pairs."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.parts = torch.zeros(len(SUMS), dtype=torch.float64)
        self.parts_before_step = self.parts.clone()

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor | int | None]:
        """The micro-batches of a step, and its pairs, over which the loss is a mean."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        return batches, torch.tensor(sum(len(batch["labels"]) for batch in batches), device=device)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "learning_rate" in logs:
            sums = dict(zip(SUMS, self.parts.tolist(), strict=True))
            self.parts.zero_()
            self.journalist.log_step(self.state.global_step, logs, sums)

    def since_log(self) -> dict[str, Any]:
        return {"sums": dict(zip(SUMS, self.parts.tolist(), strict=True))}

    def _take_up(self, kept: Any) -> None:
        self.parts = torch.tensor([kept["sums"].get(name, 0.0) for name in SUMS], dtype=torch.float64)


@torch.no_grad()
def ask_reference(
    model: PreTrainedModel,
    pairs: Pairs,
    wanted: np.ndarray,
    at_once: int,
    dtype: torch.dtype,
    pause: Callable[[float], None],
) -> np.ndarray:
    """Sums of log-probabilities (all pairs, 2) of the better and the worse answer; NaN for pairs that are not `wanted`."""
    found = np.full((len(pairs.better), 2), np.nan, dtype=np.float32)
    one_each = Pairs(pairs.better, pairs.worse, len(wanted), 0, pairs.pad, order=np.asarray(wanted))
    split, device = splits(model), model.device
    with _quietly(model), torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32):
        for start in range(0, len(one_each), at_once):
            items = [one_each[index] for index in range(start, min(start + at_once, len(one_each)))]
            batch = {name: tensor.to(device) for name, tensor in collate(items).items()}
            sums_2P, _ = sums_of_log_probs(model, split, parted(batch))
            found[batch["index"].cpu().numpy()] = sums_2P.view(2, -1).t().float().cpu().numpy()
            pause(min(1.0, (start + at_once) / len(one_each)))
    return found


@torch.no_grad()
def measure_pairs(
    lesson: PairLesson,
    pairs: Pairs,
    reference: np.ndarray | None,
    at_once: int,
    dtype: torch.dtype,
    pause: Callable[[float], None],
) -> dict[str, float | None]:
    """Loss, margin, accuracy, rewards and the better answers' cross-entropy on held-out pairs, of which the reference said so much."""
    model, of_training = lesson.student, lesson.reference
    lesson.reference = reference
    sums = torch.zeros(len(SUMS), dtype=torch.float64)
    with _quietly(model), torch.autocast(model.device.type, dtype=dtype, enabled=dtype is not torch.float32):
        for start in range(0, len(pairs), at_once):
            items = [pairs[index] for index in range(start, min(start + at_once, len(pairs)))]
            batch = {name: tensor.to(model.device) for name, tensor in collate(items).items()}
            sums += lesson.loss(model, batch)[1].cpu().double()
            pause(min(1.0, (start + at_once) / len(pairs)))
    lesson.reference = of_training
    means = lesson.means(dict(zip(SUMS, sums.tolist(), strict=True)))
    return {
        "loss": means["total"],
        **{name: means[name] for name in ("ce", "margin", "accuracy", "chosen", "rejected")},
    }


@contextlib.contextmanager
def _quietly(model: PreTrainedModel) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
        if torch.is_autocast_cache_enabled():
            torch.clear_autocast_cache()


def kept_reference(folder: Path) -> np.ndarray | None:
    """What the reference said, from an earlier attempt."""
    file = folder / REFERENCE
    return np.load(file) if file.is_file() else None
