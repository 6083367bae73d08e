"""What one micro-batch teaches: whom to ask, what is compared, and how the parts add up to a loss.

The same lesson is used by the trainer at every step, by the rehearsal that looks for the micro-batch, and by the benchmarks.

    batch → the guide asks the teacher about the rows that count → the student's trunk → `fused_loss` in chunks of rows → sums

A guide is any of: `AtHand` (one teacher or several, read now), `Kept` (answers from a cache), `Translated` (another tokenizer).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal, Protocol

import numpy as np
import torch
from transformers import PreTrainedModel

from core.defaults import chunk_rows
from core.distill import DistillRecipe
from core.engine.answers import Answers
from core.engine.fused import Dense, Rows, Teacher, fused_loss
from core.engine.heads import Head, splits, trunk_states
from core.engine.losses import AdaptiveClip, AutoBalance
from core.engine.own_words import OwnWords, Replaced
from core.engine.rows import Drawn, RowLoss, TopK
from core.engine.states import StateGuide
from core.engine.states import attach as train_beside
from core.engine.states import drop as drop_from
from core.engine.text import IGNORED, Blocks
from core.engine.translation import Translation, aligned_loss, rule_of
from core.objectives import OBJECTIVES

Batch = dict[str, torch.Tensor]

# What is summed over the micro-batches of a step, in this order. `total` is the weighted sum that is trained, `rows` are the learnt tokens,
# `ce_rows` those with a cross-entropy (not what the student wrote itself), `kd_rows` what the teacher judged (tokens, or groups of them),
# `written` the student's own.
SUMS = ("total", "ce", "kd", "hidden", "relations", "rows", "ce_rows", "kd_rows", "written")


class Guide(Protocol):
    def word(self, batch: Batch, counted_BT: torch.Tensor) -> Teacher:
        """What the teacher thinks of the rows that count."""
        ...


class AtHand:
    """Teachers that read along. Their activations are freed before the student reads; no gradient is ever kept for them."""

    def __init__(
        self, teachers: list[PreTrainedModel], weights: tuple[float, ...], mixture: str, watched: bool = False
    ) -> None:
        """`watched`: what the teacher computes on the way becomes part of a loss, which inference mode does not allow."""
        self.teachers, self.mixture = teachers, mixture
        self.mode = torch.no_grad if watched else torch.inference_mode
        total = sum(weights) or len(teachers)
        self.weights = [weight / total for weight in weights or [1.0] * len(teachers)]
        self.split = [splits(teacher) for teacher in teachers]
        self._moved: dict[PreTrainedModel, Head] = {}

    def word(self, batch: Batch, counted_BT: torch.Tensor) -> Dense:
        states, heads = [], []
        for teacher, split in zip(self.teachers, self.split, strict=True):
            with self.mode():
                states.append(_last_states(teacher, split, batch, counted_BT))
            heads.append(self._head(teacher, states[-1].device) if split else Head.identity(states[-1].shape[-1]))
        word = Dense(states, heads)
        if len(states) > 1:
            word.weights_NK = self._fixed(word) if self.mixture == "mean" else _best_reader(word, batch, counted_BT)
        return word

    def _head(self, teacher: PreTrainedModel, device: torch.device) -> Head:
        """The teacher's head where the student's scores are made; of a teacher on another device, a copy that is kept."""
        if teacher.device == device:
            return Head.of(teacher)
        if teacher not in self._moved:
            self._moved[teacher] = Head.of(teacher).to(device, teacher.dtype)
        return self._moved[teacher]

    def _fixed(self, word: Dense) -> torch.Tensor:
        rows = len(word.states[0])
        return torch.tensor(self.weights, device=word.states[0].device).expand(rows, -1)


def _last_states(model: PreTrainedModel, split: bool, batch: Batch, counted_BT: torch.Tensor) -> torch.Tensor:
    """Last hidden states (or scores, of a model that does not split) of the rows that count, on the batch's device."""
    device = batch["input_ids"].device
    shown = {name: batch[name].to(model.device) for name in ("input_ids", "position_ids")}
    all_BTH = trunk_states(model, **shown) if split else model(**shown, use_cache=False).logits
    return all_BTH[counted_BT.to(model.device)].to(device)


@torch.no_grad()
def _best_reader(word: Dense, batch: Batch, counted_BT: torch.Tensor) -> torch.Tensor:
    """One-hot weights (N, K): for each document the teacher with the lowest cross-entropy on it (FuseLLM's MinCE, arXiv 2401.10491)."""
    target_N = batch["labels"][counted_BT]
    document_BT = (batch["position_ids"] == 0).flatten().cumsum(0).view_as(counted_BT)
    document_N = document_BT[counted_BT]
    found = []
    for states, head in zip(word.states, word.heads, strict=True):
        nll_N = torch.empty(len(states), device=states.device)
        rows = chunk_rows(len(states), head.entries, states.device.type)
        for start in range(0, len(states), rows):
            log_p_nV = head.logits(states[start : start + rows]).log_softmax(-1)
            nll_N[start : start + rows] = -log_p_nV.gather(1, target_N[start : start + rows, None])[:, 0]
        found.append(nll_N.new_zeros(int(document_BT.max()) + 1).index_add_(0, document_N, nll_N)[document_N])
    best_N = torch.stack(found, 1).argmin(1)
    return torch.nn.functional.one_hot(best_N, len(found)).float()


class Kept:
    """The teacher's answers from a cache: found by the tokens of each segment, whatever the step, order or epoch."""

    def __init__(self, answers: Answers, blocks: Blocks) -> None:
        self.answers, self.blocks = answers, blocks

    def word(self, batch: Batch, counted_BT: torch.Tensor) -> TopK | Drawn:
        counted = counted_BT.cpu().numpy()
        found: list[tuple[np.ndarray, ...]] = []
        for row, index in enumerate(batch["index"].tolist()):
            at = 0
            for segment in self.blocks.segments(index):
                ids = self.blocks.segment_ids(*segment)
                learnt = counted[row, at : at + len(ids) - 1]
                found.append(tuple(each[learnt] for each in self.answers.rows(ids)))
                at += len(ids)
        device = counted_BT.device
        joined = [torch.from_numpy(np.concatenate(each)).to(device) for each in zip(*found, strict=True)]
        return TopK(*joined) if self.answers.manifest.tail == "bucket" else Drawn(*joined)


class Aside:
    """A teacher with another tokenizer: it reads the same text, but not the same rows."""

    def __init__(
        self,
        translation: Translation,
        teacher: PreTrainedModel,
        objective: Literal["uld", "gold"],
        beta: float,
        tau: float,
    ) -> None:
        self.translation, self.teacher, self.temperature = translation, teacher, tau
        self.rule = rule_of(objective, beta)

    def loss(self, batch: Batch, states_NH: torch.Tensor, head: Head, chunk: int | None) -> tuple[torch.Tensor, int]:
        """The sum over groups of tokens that cover the same text, with gradients into the states and the head; and their number."""
        aligned = self.translation.align(batch["input_ids"], batch["position_ids"], batch["labels"])
        if aligned.groups == 0:
            return states_NH.sum() * 0.0, 0
        device = self.teacher.device
        with torch.no_grad():
            read_BTH = trunk_states(
                self.teacher,
                input_ids=aligned.teacher_ids_BT.to(device),
                position_ids=aligned.teacher_positions_BT.to(device),
            )
        theirs = Head.of(self.teacher).to(states_NH.device, self.teacher.dtype)
        read_BTH = read_BTH.to(states_NH.device)
        value = aligned_loss(
            states_NH, head, read_BTH, theirs, aligned, self.translation.shared, self.rule, self.temperature, chunk
        )
        return value, aligned.groups


@dataclass
class Asked:
    """What the student's forward pass is to give back instead of scores: the loss of one micro-batch."""

    batch: Batch
    counted_BT: torch.Tensor
    rows: Rows
    loss: RowLoss
    split: bool
    chunk: int | None
    beside: Callable[[torch.Tensor, Head], tuple[torch.Tensor, dict[str, torch.Tensor]]] | None

    def answer(
        self, student: PreTrainedModel, plain: Callable[..., Any]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        shown = {name: self.batch[name] for name in ("input_ids", "position_ids")}
        if self.split:
            states_NH, head = trunk_states(student, **shown)[self.counted_BT], Head.of(student)
        else:
            states_NH = plain(**shown, use_cache=False).logits[self.counted_BT]
            head = Head.identity(states_NH.shape[-1])
        total, parts = fused_loss(states_NH, head, self.rows, self.loss, self.chunk)
        sums = {"ce": parts[0], "kd": parts[1]}
        if self.beside is not None:
            more, further = self.beside(states_NH, head)
            total, sums = total + more, sums | further
        return total, sums


def attach(student: PreTrainedModel) -> None:
    """Let `student(asked=…)` answer with a loss. It goes through the model's own forward, so that DDP, FSDP and autocast see it."""
    plain = student.forward

    @wraps(plain)
    def forward(*arguments: Any, asked: Asked | None = None, **named: Any) -> Any:
        return plain(*arguments, **named) if asked is None else asked.answer(student, plain)

    student.forward = forward  # type: ignore[method-assign]


@dataclass
class Lesson:
    """Turns micro-batches into losses as the recipe says. `guide` None: no teacher; the loss is the cross-entropy."""

    recipe: DistillRecipe
    student: PreTrainedModel
    guide: Guide | None = None
    translated: Aside | None = None
    states: StateGuide | None = None
    own_words: OwnWords | None = None
    balance: AutoBalance = field(default_factory=AutoBalance)

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.split = splits(self.student)
        self.own = OBJECTIVES[recipe.objective].needs in ("states", "text")  # not a loss of rows
        self.rows = RowLoss(
            objective=recipe.objective,
            temperature=recipe.temperature,
            jsd_beta=recipe.jsd_beta,
            skew_alpha=recipe.skew_alpha,
            clip_mass=recipe.clip_mass,
            sinkhorn_epsilon=recipe.sinkhorn_epsilon,
        )
        if self.guided and recipe.objective == "dac_kl":
            # a part of the student while it trains, and dropped with the projections
            self.rows.clip = AdaptiveClip()
            train_beside(self.student, "clip", self.rows.clip)
        attach(self.student)

    @property
    def guided(self) -> bool:
        return self.guide is not None or self.translated is not None or self.states is not None

    def kd_weight(self) -> float:
        """What a row's divergence counts: (1 − a), τ² which keeps its gradient at the size of the hard one (Hinton et al. 2015,
        section 2.1), and the balance."""
        recipe = self.recipe
        balance = self.balance.factor() if recipe.balance == "auto" else 1.0
        return (1.0 - recipe.ce_weight) * self._soft() * OBJECTIVES[recipe.objective].scale * balance

    def _soft(self) -> float:
        """τ² where distributions are softened."""
        return 1.0 if OBJECTIVES[self.recipe.objective].needs == "states" else self.recipe.temperature**2

    def in_own_words(self, batches: list[Batch], step: int) -> Replaced | None:
        """The micro-batches of a step with the student's own words in some blocks; None if the recipe wants none."""
        if self.own_words is None:
            return None
        assert isinstance(self.guide, AtHand)
        return self.own_words.replace(batches, self.student, self.guide.teachers[0], step)

    def loss(self, model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The weighted sum over the micro-batch's learnt tokens, and the SUMS (float32, on the device). `model` is the student, wrapped or not."""
        counted_BT = batch["labels"] != IGNORED
        target_N = batch.get("ce_labels", batch["labels"])[counted_BT]
        weight_N = batch["weights"][counted_BT] if "weights" in batch else None
        self.rows.ce_weight, self.rows.kd_weight = (self.recipe.ce_weight if self.guided else 1.0), self.kd_weight()
        with self._watching():
            word = None if self.guide is None else self.guide.word(batch, counted_BT)
            common = self.guide.answers.manifest.vocabulary if isinstance(self.guide, Kept) else None
            rows = Rows(target_N, None if self.own else word, common, weight_N)
            asked = Asked(
                batch, counted_BT, rows, self.rows, self.split, self.recipe.chunk_rows, self._beside(batch, counted_BT)
            )
            total, sums = model(asked=asked)
        counts = {
            "total": total,
            "rows": len(target_N),
            "ce_rows": (target_N != IGNORED).sum(),
            "kd_rows": sums.pop("kd_rows", len(target_N)),
            "written": (target_N == IGNORED).sum(),
        }
        values = [
            torch.as_tensor((sums | counts).get(name, 0.0), device=total.device).detach().float() for name in SUMS
        ]
        return total, torch.stack(values)

    def means(self, sums: dict[str, float]) -> dict[str, float]:
        """Each part in nats (or its own unit) over the tokens it was taken on."""
        of = {"ce": "ce_rows", "kd": "kd_rows", "hidden": "rows", "relations": "rows"}
        means = {name: sums[name] / sums[count] if sums[count] else math.nan for name, count in of.items()}
        return {"total": sums["total"] / sums["rows"], **means}

    def further_parts(self, means: dict[str, float]) -> dict[str, float | None]:
        """What the curve shows beside CE and the teacher's part."""
        found: dict[str, float | None] = {}
        if self.states is not None:
            beside = {"hidden": self.states.hidden, "relations": self.states.relations}
            found |= {name: means[name] for name, there in beside.items() if there and name != self.recipe.objective}
        if self.guided and self.recipe.balance == "auto":
            found["balance"] = self.balance.factor()
        return found

    def follow(self, sums: dict[str, float]) -> None:
        """Let the automatic balance take in a step's sums (of all processes)."""
        if sums["ce_rows"] and sums["kd_rows"]:
            self.balance.update(sums["ce"] / sums["ce_rows"], self._soft() * sums["kd"] / sums["kd_rows"], 1)

    def drop(self) -> None:
        """Take what only training needed out of the student."""
        drop_from(self.student)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        with contextlib.nullcontext() if self.states is None else self.states.watching():
            yield

    def _beside(
        self, batch: Batch, counted_BT: torch.Tensor
    ) -> Callable[[torch.Tensor, Head], tuple[torch.Tensor, dict[str, torch.Tensor]]] | None:
        """What is added to the loss of the rows: states, relations, or a teacher with another tokenizer."""
        if self.states is None and self.translated is None:
            return None

        def beside(states_NH: torch.Tensor, head: Head) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            found: dict[str, torch.Tensor] = {}
            more = states_NH.new_zeros(())
            if self.translated is not None:
                value, groups = self.translated.loss(batch, states_NH, head, self.recipe.chunk_rows)
                found |= {"kd": value, "kd_rows": torch.as_tensor(groups)}
                more = more + self.kd_weight() * value
            if self.states is not None:
                parts = self.states.losses(batch["position_ids"], counted_BT)
                for name, value in parts.items():
                    if name == self.recipe.objective:
                        found["kd"] = value
                        more = more + self.kd_weight() * value
                    else:
                        found[name] = value
                        more = more + getattr(self.recipe, f"{name.removesuffix('s')}_weight") * value
            return more, found

        return beside
