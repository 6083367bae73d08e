"""A teacher with another tokenizer: what the student reads is spelt out and read again by the teacher, and both are compared where they meet.

A batch of the student's tokens is cut into its documents, each is turned into text and into the teacher's tokens (`Translation`), and
tokens of both sides that cover the same bytes make a *group* (`align.groups`). For each group g of text w, written by the student as
tokens s₁…s_m and by the teacher as t₁…t_n, let q and p be their distributions (at temperature τ) of the group's first token, and

    Q = q(s₁) · Π_{i≥2} q(s_i | before),    P = p(t₁) · Π_{j≥2} p(t_j | before)

the probabilities with which each goes on with w, by the chain rule.

- **ULD** (Boizard et al. 2024, arXiv 2402.12030, section 3): Σ_i |q_(i) − p_(i)| over the probabilities of the first token, sorted and
  padded with zeros. Documents are not cut to equal lengths as there, but compared where groups begin.
- **GOLD** (Patiño et al. 2025, "Unlocking On-Policy Distillation for Any Model Family", Hugging Face): the generalized Jensen-Shannon
  divergence over the entries that stand for the same bytes in both vocabularies, and the sorted L1 distance of the rest. GOLD
  multiplies all of q by Π_{i≥2} q(s_i | before), which is right for the text that follows and too little for everything else, so that what
  is left is no distribution. Here that mass is *moved* instead: Q leaves the entry of s₁ and goes to the class of w (its entry, if it is a
  shared one, else a class of its own), so that s₁ keeps q(s₁) − Q, "s₁, and then something else". All classes together still have mass 1,
  and each has its exact probability.

The shared classes are measures a, b of less than mass 1 (A, B), for which β·Σ b·log(b/m) + (1 − β)·Σ a·log(a/m) with m = βb + (1 − β)a is
still never negative and 0 only for a = b; its limits for β → 0 and 1 are Σ b·log(b/a) − B + A and Σ a·log(a/b) − A + B. With one tokenizer on
both sides GOLD is the generalized JSD, row by row, and no entry's number matters.

Shape suffixes: N the student's rows, G groups, K shared entries, C = K + 1 classes, V a vocabulary, H a hidden size.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from core.engine.align import Spans, Spelling, encode, groups, read_back, shared_entries
from core.engine.heads import Head
from core.engine.text import IGNORED, Framing, pack

EMPTY = -100.0  # the logarithm that stands for a mass of 0: e⁻¹⁰⁰ adds nothing, and no infinity meets a 0
CERTAIN = -1e-6  # a continuation of this log-probability leaves nothing for "something else"
CHUNK_ENTRIES = 2**21  # scores in a chunk: 8 MB of float32, of which the sorting and its gradient hold about a dozen
FEWEST_ROWS = 16
FEW_OF_MANY = 2  # the top of a row is found faster than the row is sorted if it is less than half of it
KEPT_PIECES = 16_384  # translations that are kept for the next epoch

WHY_LEFT_OUT = {
    "changed": "the teacher's tokenizer does not keep the text as it stands",
    "cut": "a character was cut, or the bytes are no text",
    "special": "special tokens that only one of them has",
    "space": "one of them reads a text as if it began with a space, so that their first entries differ",
    "start": "the teacher has no start token, so it does not predict the first token",
    "context": "the text is longer than the teacher's context",
}


# ------------------------------------------------------------------------------------------------ from the student's tokens


class Piece(NamedTuple):
    """A document, or a part of one, in a batch: its L tokens, and the row that predicts each (−1: none, or one that is not learnt)."""

    ids_L: np.ndarray
    row_L: np.ndarray


def pieces(ids_BT: torch.Tensor, positions_BT: torch.Tensor, labels_BT: torch.Tensor) -> list[Piece]:
    """The documents of a batch, each beginning where positions begin with 0 again. Rows count the labels that are not IGNORED."""
    ids, labels = ids_BT.cpu().numpy(), labels_BT.cpu().numpy()
    learnt = labels != IGNORED
    row = np.where(learnt, (np.cumsum(learnt) - 1).reshape(labels.shape), -1)
    found = []
    for b, positions in enumerate(positions_BT.cpu().numpy()):
        edges = [*np.flatnonzero(positions == 0).tolist(), len(positions)]
        for start, end in itertools.pairwise(edges):
            if learnt[b, start:end].any():  # else it is padding
                found.append(Piece(ids[b, start:end], np.concatenate([[-1], row[b, start : end - 1]])))
    return found


class Translated(NamedTuple):
    """A piece in the teacher's tokens. A group is tokens [from, to) of the student and [from, to) of the teacher, both framed."""

    teacher_ids: np.ndarray
    group_G4: np.ndarray
    column_G: np.ndarray


class Side(NamedTuple):
    """Where one model's word on G groups stands: rows of its hidden states and the tokens they led to.

    `first_G`, `token_G`: the group's first token. `more_M`, `more_token_M`: its further tokens, of group `more_group_M` (which never falls).
    """

    first_G: torch.Tensor
    token_G: torch.Tensor
    more_M: torch.Tensor
    more_token_M: torch.Tensor
    more_group_M: torch.Tensor

    @property
    def rows(self) -> torch.Tensor:
        """All rows, first ones first."""
        return torch.cat([self.first_G, self.more_M])

    def part(self, start: int, end: int) -> Side:
        """Groups start…end, counted from 0."""
        edges = torch.tensor([start, end], device=self.more_group_M.device)
        a, b = torch.searchsorted(self.more_group_M, edges).tolist()
        more = (self.more_M[a:b], self.more_token_M[a:b], self.more_group_M[a:b] - start)
        return Side(self.first_G[start:end], self.token_G[start:end], *more)


@dataclass(frozen=True)
class Aligned:
    """A batch as the teacher reads it, and its groups. `column_G` is the class of the group's text; `cost_G` the rows that it takes.

    The student's rows count its learnt ones; the teacher's count all positions of (B, T).
    """

    teacher_ids_BT: torch.Tensor
    teacher_positions_BT: torch.Tensor
    student: Side
    teacher: Side
    column_G: torch.Tensor
    cost_G: np.ndarray

    @property
    def groups(self) -> int:
        return len(self.cost_G)

    def to(self, device: str | torch.device) -> Aligned:
        student, teacher = (Side(*(each.to(device) for each in side)) for side in (self.student, self.teacher))
        ids_BT, positions_BT = self.teacher_ids_BT.to(device), self.teacher_positions_BT.to(device)
        return Aligned(ids_BT, positions_BT, student, teacher, self.column_G.to(device), self.cost_G)

    def chunks(self, rows: int) -> list[tuple[int, int]]:
        """Runs of groups that take at most `rows` rows on either side; a larger group stands alone."""
        found, start, held = [], 0, 0
        for group, cost in enumerate(self.cost_G.tolist()):
            if group > start and held + cost > rows:
                found.append((start, group))
                start, held = group, 0
            held += cost
        return [*found, (start, self.groups)] if self.groups else []


@dataclass(frozen=True)
class Shared:
    """Which entries of both vocabularies are the same: `student_K[k]` and `teacher_K[k]`; and those that only one of them has."""

    student_K: torch.Tensor
    teacher_K: torch.Tensor
    only_student: torch.Tensor
    only_teacher: torch.Tensor
    entries: tuple[int, int]  # of the student's and the teacher's tokenizer; scores beyond are padding

    def to(self, device: torch.device) -> Shared:
        return Shared(
            self.student_K.to(device),
            self.teacher_K.to(device),
            self.only_student.to(device),
            self.only_teacher.to(device),
            self.entries,
        )


class Translation:
    """Reads the student's batches for a teacher with another tokenizer.

    `widths` are the rows of the student's and the teacher's head, `context` the positions that the teacher can read, and `apart` whether
    it keeps documents of one row apart (`text.keeps_documents_apart`). BadModel if a tokenizer can't be aligned.
    """

    def __init__(
        self,
        tokenizers: tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase],
        framings: tuple[Framing, Framing],
        widths: tuple[int, int],
        context: int,
        apart: bool,
    ) -> None:
        self.tokenizer = tokenizers[1]
        self.student_framing, self.teacher_framing = framings
        self.student, self.teacher = (
            Spelling.of(tokenizers[0], "the student"),
            Spelling.of(tokenizers[1], "the teacher"),
        )
        self.context, self.apart = context, apart
        self.tokens, self.left_out = 0, Counter[str]()  # of the student's tokens that were translated
        self.shared = self._shared((min(len(self.student), widths[0]), min(len(self.teacher), widths[1])))
        self._translation_of = lru_cache(maxsize=KEPT_PIECES)(self._translate)

    def _shared(self, entries: tuple[int, int]) -> Shared:
        """Entries of the same bytes; and the tokens that start and end a document, whatever they are called."""
        mine, its = self.student_framing, self.teacher_framing
        pairs = [
            pair for pair in shared_entries(self.student, self.teacher) if pair[0] < entries[0] and pair[1] < entries[1]
        ]
        roles: dict[int, int] = {}
        for a, b in ((mine.end, its.end), (mine.start, its.start)):
            if a is not None and b is not None and a not in roles and b not in roles.values():
                roles[a] = b
        pairs = [(a, b) for a, b in pairs if a not in roles and b not in roles.values()] + list(roles.items())
        self._column_of_text: dict[bytes, int] = {}
        for column, (a, _) in enumerate(pairs):
            if not self.student.special_V[a]:
                self._column_of_text.setdefault(self.student.bytes_V[a] or b"", column)
        sides = list(zip(*pairs, strict=True)) or [(), ()]
        self._column_V = []
        self._unlike = []  # special tokens, which no text is made of; nor of what the head has no row for
        for spelling, count, column_K in zip((self.student, self.teacher), entries, sides, strict=True):
            column_V = np.full(len(spelling), -1, dtype=np.int64)
            column_V[list(column_K)] = np.arange(len(column_K))
            self._column_V.append(column_V)
            self._unlike.append(spelling.special_V | (np.arange(len(spelling)) >= count))
        only = [
            torch.from_numpy(np.flatnonzero(column_V[:count] < 0))
            for count, column_V in zip(entries, self._column_V, strict=True)
        ]
        student_K, teacher_K = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)
        return Shared(student_K, teacher_K, only[0], only[1], entries)

    def words(self) -> str:
        """What the two vocabularies share, in a sentence."""
        mine, its = self.shared.entries
        return f"{len(self.shared.student_K):,} of the student's {mine:,} entries are among the teacher's {its:,}"

    def notice(self) -> str | None:
        """How much of what was read so far can't be compared, and why; None if it is nothing."""
        missing = sum(self.left_out.values())
        if not missing:
            return None
        reasons = [f"{count / self.tokens:.2%} where {WHY_LEFT_OUT[why]}" for why, count in self.left_out.most_common()]
        return f"{missing / self.tokens:.2%} of the student's tokens have no counterpart of the teacher's: {'; '.join(reasons)}."

    # ------------------------------------------------------------------------------------------------------------ a piece

    def translated(self, ids_L: np.ndarray) -> Translated:
        """A document's tokens, or those of a part of one, framed as the student reads them. Kept for the next time."""
        return self._translation_of(np.ascontiguousarray(ids_L, dtype=np.int64).tobytes())

    def _translate(self, raw: bytes) -> Translated:
        ids = np.frombuffer(raw, dtype=np.int64)
        known = len(ids) if (ids < len(self.student)).all() else int(np.argmax(ids >= len(self.student)))
        lost, ids = len(ids) - known, ids[:known]  # a student may write what no token is: its table may be padded
        if len(ids) < 2:
            return Translated(ids, np.zeros((0, 4), dtype=np.int64), np.zeros(0, dtype=np.int64))
        mine, its = self.student_framing, self.teacher_framing
        begins = int(mine.start is not None and ids[0] == mine.start)
        ends = int(mine.end is not None and len(ids) > begins and ids[-1] == mine.end)
        body = ids[begins : len(ids) - ends]
        first = bool(begins) or mine.start is None
        text, spans = read_back(self.student, body, first)
        teacher_ids, teacher_spans = encode(self.tokenizer, self.teacher, text, first)
        whole = bool(spans.sound_N.all())
        if ends and whole and its.end is not None:
            size = len(text.encode())
            spans, teacher_spans = spans.followed(size), teacher_spans.followed(size)
        end = [] if its.end is None or not (ends and whole) else [its.end]
        start = [] if its.start is None else [its.start]
        teacher_ids = np.array([*start, *teacher_ids.tolist(), *end], dtype=np.int64)
        group_G4 = groups(spans, teacher_spans)
        predicted_G = group_G4[:, 0] + begins > 0  # without a start token the first token of a piece is not
        unread = 0 if predicted_G.all() else int(group_G4[0, 1])
        group_G4 = group_G4[predicted_G]
        beyond = np.flatnonzero(teacher_ids >= self.shared.entries[1])  # tokens that the teacher's table has no row for
        limit = min([self.context, *beyond[:1].tolist()])
        why_G = self._why_not(group_G4, spans, teacher_spans, len(start), limit)
        group_G4 = group_G4 + np.array([begins, begins, len(start), len(start)])
        column_G = self._columns(ids, teacher_ids, group_G4, why_G)
        alone = int(bool(ends) and its.end is None)
        self.left_out["special"] += alone
        self._count(
            group_G4, why_G, len(ids) - max(1, unread) - alone + lost, "cut" if lost or not whole else "changed"
        )
        self.tokens += alone
        fit_G = why_G == ""
        return Translated(teacher_ids[:limit], group_G4[fit_G], column_G[fit_G])

    def _why_not(self, group_G4: np.ndarray, spans: Spans, teacher_spans: Spans, start: int, limit: int) -> np.ndarray:
        """Why a group can't be compared, "" if it can; groups are still those of the texts without their start tokens."""
        ours_from, ours_to, from_, to = group_G4.T
        why_G = np.full(len(group_G4), "", dtype="<U8")
        why_G[from_ + start < 1] = "start"
        why_G[to + start > limit] = "context" if limit == self.context else "special"
        why_G[spans.start_N[ours_from] != teacher_spans.start_N[from_]] = "space"
        why_G[_any_in(~teacher_spans.sound_N, from_, to)] = "changed"
        why_G[_any_in(~spans.sound_N, ours_from, ours_to)] = "cut"
        return why_G

    def _columns(self, ids: np.ndarray, teacher_ids: np.ndarray, group_G4: np.ndarray, why_G: np.ndarray) -> np.ndarray:
        """The class of each group's text; `why_G` learns of groups with special tokens that aren't the same on both sides."""
        extra = len(self.shared.student_K)
        ours_from, ours_to, from_, to = group_G4.T
        ours_G, theirs_G = self._column_V[0][ids[ours_from]], self._column_V[1][teacher_ids[from_]]
        alone_G = (ours_to - ours_from == 1) & (to - from_ == 1)
        same_G = alone_G & (ours_G == theirs_G) & (ours_G >= 0)
        special_G = _any_in(self._unlike[0][ids], ours_from, ours_to) | _any_in(self._unlike[1][teacher_ids], from_, to)
        why_G[special_G & ~same_G & (why_G == "")] = "special"
        column_G = np.where(same_G, ours_G, extra)
        for group in np.flatnonzero(~same_G & (why_G == "")).tolist():
            column_G[group] = self._column_of_text.get(
                self.student.spell(ids[ours_from[group] : ours_to[group]]), extra
            )
        return column_G

    def _count(self, group_G4: np.ndarray, why_G: np.ndarray, tokens: int, otherwise: str) -> None:
        """Take note of what was left out of `tokens` of the student; what is in no group is so for the reason `otherwise`."""
        size_G = group_G4[:, 1] - group_G4[:, 0]
        for why in np.unique(why_G).tolist():
            if why:
                self.left_out[why] += int(size_G[why_G == why].sum())
        if tokens > size_G.sum():
            self.left_out[otherwise] += tokens - int(size_G.sum())
        self.tokens += tokens

    # ------------------------------------------------------------------------------------------------------------ a batch

    def align(self, ids_BT: torch.Tensor, positions_BT: torch.Tensor, labels_BT: torch.Tensor) -> Aligned:
        """The student's batch as the teacher reads it. Only groups all of whose tokens are learnt count."""
        chosen: list[tuple[Translated, Piece]] = []
        for piece in pieces(ids_BT, positions_BT, labels_BT):
            translated = self.translated(piece.ids_L)
            fit_G = ~_any_in(piece.row_L < 0, translated.group_G4[:, 0], translated.group_G4[:, 1])
            if fit_G.any():
                groups_G = (translated.group_G4[fit_G], translated.column_G[fit_G])
                chosen.append((Translated(translated.teacher_ids, *groups_G), piece))
        teacher_ids_BT, positions_BT, first_row = self._packed([translated.teacher_ids for translated, _ in chosen])
        student, teacher = _Gathering(), _Gathering()
        for (translated, piece), before in zip(chosen, first_row, strict=True):
            student.add(piece.ids_L, piece.row_L, translated.group_G4[:, :2])
            count = len(translated.teacher_ids)
            teacher.add(translated.teacher_ids, before - 1 + np.arange(count), translated.group_G4[:, 2:])
        columns = [translated.column_G for translated, _ in chosen] or [np.zeros(0, dtype=np.int64)]
        cost_G = np.maximum(student.sizes(), teacher.sizes())
        return Aligned(
            teacher_ids_BT,
            positions_BT,
            student.side(),
            teacher.side(),
            torch.from_numpy(np.concatenate(columns)),
            cost_G,
        )

    def _packed(self, texts: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """The teacher's tokens and positions (B, T), padded on the right, and where in B·T each text begins."""
        lengths = np.array([len(ids) for ids in texts], dtype=np.int64)
        width = int(lengths.max(initial=0))
        rows = list(pack(lengths, width, np.argsort(-lengths, kind="stable"), alone=not self.apart))
        ids_BT = np.zeros((len(rows), width), dtype=np.int64)
        positions_BT = np.tile(np.arange(width), (len(rows), 1))
        first_row = [0] * len(texts)
        for b, segments in enumerate(rows):
            at = 0
            for text, _, size in segments:
                ids_BT[b, at : at + size] = texts[text]
                positions_BT[b, at:] = np.arange(width - at)
                first_row[text] = b * width + at
                at += size
            positions_BT[b, at:] = np.arange(width - at)
        return torch.from_numpy(ids_BT), torch.from_numpy(positions_BT), first_row


def _any_in(flag_N: np.ndarray, since_G: np.ndarray, until_G: np.ndarray) -> np.ndarray:
    """Whether any of the flags since…until stands, for each group."""
    before = np.concatenate([[0], np.cumsum(flag_N)])
    return before[until_G] > before[since_G]


class _Gathering:
    """One side's rows and tokens, document by document."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._groups = 0

    def add(self, ids_L: np.ndarray, row_L: np.ndarray, group_G2: np.ndarray) -> None:
        first_G, size_G = group_G2[:, 0], group_G2[:, 1] - group_G2[:, 0]
        group_M = np.repeat(np.arange(len(size_G)), size_G - 1)
        before_G = np.cumsum(size_G - 1) - (size_G - 1)
        more_M = first_G[group_M] + 1 + np.arange(len(group_M)) - before_G[group_M]
        parts = (row_L[first_G], ids_L[first_G], row_L[more_M], ids_L[more_M], group_M + self._groups, size_G)
        self._parts.append(parts)
        self._groups += len(size_G)

    def _joined(self, number: int) -> np.ndarray:
        return np.concatenate([np.zeros(0, dtype=np.int64), *(parts[number] for parts in self._parts)]).astype(np.int64)

    def sizes(self) -> np.ndarray:
        return self._joined(5)

    def side(self) -> Side:
        return Side(*(torch.from_numpy(self._joined(number)) for number in range(5)))


# ---------------------------------------------------------------------------------------------------------------- the losses


class Word(NamedTuple):
    """What one model says of G groups: log-probabilities (G, V) of the first token, the first token itself, and the sum of the
    log-probabilities of the further tokens (0 where there are none).
    """

    log_GV: torch.Tensor
    token_G: torch.Tensor
    more_G: torch.Tensor


def uld(student: Word, teacher: Word) -> torch.Tensor:
    """Σ over groups of the L1 distance between the sorted probabilities of the first token, the narrower one padded with zeros.

    Boizard et al. 2024 (arXiv 2402.12030), section 3.2, with p = 1: what transport between two vocabularies costs when any entry may
    become any other.
    """
    return _sorted_distance(student.log_GV.exp(), teacher.log_GV.detach().exp())


def gold(student: Word, teacher: Word, column_G: torch.Tensor, shared: Shared, beta: float) -> torch.Tensor:
    """Σ over groups of the JSD of the shared classes and the text's own, and the sorted L1 distance of the rest: see this module's text."""
    log_q_GC, rest_q_GV = _classes(student, column_G, shared.student_K, shared.only_student)
    teacher = Word(teacher.log_GV.detach(), teacher.token_G, teacher.more_G.detach())
    log_p_GC, rest_p_GV = _classes(teacher, column_G, shared.teacher_K, shared.only_teacher)
    return jsd_of_measures(log_q_GC, log_p_GC, beta) + _sorted_distance(rest_q_GV, rest_p_GV)


def jsd_of_measures(log_q_GC: torch.Tensor, log_p_GC: torch.Tensor, beta: float) -> torch.Tensor:
    """Generalized Jensen-Shannon divergence of measures that need not sum to 1, summed over groups; never negative.

    GKD's (Agarwal et al. 2023, arXiv 2306.13649, section 2) where they do. β = 0 and 1 are its limits divided by β and 1 − β: the
    generalized KL (I-divergence) of p from q, and of q from p.
    """
    q_GC, p_GC = log_q_GC.exp(), log_p_GC.exp()
    if beta == 0.0:
        return (p_GC * (log_p_GC - log_q_GC) - p_GC + q_GC).sum()
    if beta == 1.0:
        return (q_GC * (log_q_GC - log_p_GC) - q_GC + p_GC).sum()
    log_m_GC = torch.logaddexp(log_p_GC + math.log(beta), log_q_GC + math.log1p(-beta))
    return (beta * p_GC * (log_p_GC - log_m_GC) + (1.0 - beta) * q_GC * (log_q_GC - log_m_GC)).sum()


def _classes(
    word: Word, column_G: torch.Tensor, shared_K: torch.Tensor, only: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-masses (G, C) of the shared classes, the text's own the last one, and masses of the entries that are not shared."""
    token_G1, column_G1, more_G1 = word.token_G[:, None], column_G[:, None], word.more_G[:, None]
    first_G1 = word.log_GV.gather(1, token_G1)
    other_G1 = first_G1 + torch.log(
        -torch.expm1(more_G1.clamp(max=CERTAIN))
    )  # the first token, and then something else
    log_GV = word.log_GV.scatter(1, token_G1, torch.where(more_G1 > CERTAIN, EMPTY, other_G1))
    log_GC = functional.pad(log_GV.index_select(1, shared_K), (0, 1), value=EMPTY)
    whole_G1 = torch.logaddexp(log_GC.gather(1, column_G1), first_G1 + more_G1)
    return log_GC.scatter(1, column_G1, whole_G1), log_GV.index_select(1, only).exp()


def _sorted_distance(q_GV: torch.Tensor, p_GV: torch.Tensor) -> torch.Tensor:
    """Σ |q_(i) − p_(i)|. Beyond the narrower one's entries there is nothing to subtract, so the rest of the wider needs no order."""
    narrow, wide = (q_GV, p_GV) if q_GV.shape[1] < p_GV.shape[1] else (p_GV, q_GV)
    count = narrow.shape[1]
    narrow = narrow.sort(dim=-1, descending=True).values
    few = count * FEW_OF_MANY < wide.shape[1]
    top = wide.topk(count, dim=-1).values if few else wide.sort(dim=-1, descending=True).values[:, :count]
    return (narrow - top).abs().sum() + (wide.sum() - top.sum())


Rule = Callable[[Word, Word, torch.Tensor, Shared], torch.Tensor]


def rule_of(objective: Literal["uld", "gold"], beta: float) -> Rule:
    """The objective as a function of the student's word, the teacher's, the classes of the texts and the shared entries."""
    if objective == "uld":
        return lambda student, teacher, _column_G, _shared: uld(student, teacher)
    return partial(gold, beta=beta)


def aligned_loss(
    states_NH: torch.Tensor,
    head: Head,
    teacher_states_BTH: torch.Tensor,
    teacher_head: Head,
    aligned: Aligned,
    shared: Shared,
    rule: Rule,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> torch.Tensor:
    """Σ over the groups of `rule`, in nats (JSD) and in probability (L1), at temperature τ, not yet times τ².

    `states_NH` are the student's hidden states of its learnt rows, `teacher_states_BTH` the teacher's of `aligned.teacher_ids_BT`.
    Gradients flow into the student's states and head. Scores are made for `chunk` rows at a time and their gradient in the same pass.
    """
    chunk = chunk or max(FEWEST_ROWS, CHUNK_ENTRIES // max(head.entries, teacher_head.entries))
    compare = _Comparison(aligned.to(states_NH.device), shared.to(states_NH.device), rule, temperature, chunk)
    flat_MH = teacher_states_BTH.detach().flatten(0, 1)
    return _InChunks.apply(states_NH, head.weight_VH, head.bias_V, head, flat_MH, teacher_head, compare)


@dataclass(frozen=True)
class _Comparison:
    aligned: Aligned
    shared: Shared
    rule: Rule
    temperature: float
    chunk: int

    def chunks(self) -> Iterator[tuple[Side, Side, torch.Tensor]]:
        """Student, teacher and the classes of the texts, for a few groups at a time."""
        for start, end in self.aligned.chunks(self.chunk):
            sides = (side.part(start, end) for side in (self.aligned.student, self.aligned.teacher))
            yield (*sides, self.aligned.column_G[start:end])

    def word(self, scores_nV: torch.Tensor, side: Side, entries: int) -> Word:
        """From the scores of the first rows and, below them, the further ones."""
        count = len(side.first_G)
        log_nV = (scores_nV[:, :entries] / self.temperature).log_softmax(-1)
        more_M = log_nV[count:].gather(1, side.more_token_M[:, None])[:, 0]
        more_G = log_nV.new_zeros(count).index_add(0, side.more_group_M, more_M)
        return Word(log_nV[:count], side.token_G, more_G)


class _InChunks(torch.autograd.Function):
    """The sum over all groups, with the gradients of states and head written in the same pass, as `fused.fused_loss` does."""

    @staticmethod
    def forward(
        ctx: Any,
        states_NH: torch.Tensor,
        weight_VH: torch.Tensor,
        bias_V: torch.Tensor | None,
        head: Head,
        teacher_states_MH: torch.Tensor,
        teacher_head: Head,
        compare: _Comparison,
    ) -> torch.Tensor:
        device = states_NH.device
        dtype = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else weight_VH.dtype
        wide = torch.float32 if dtype.itemsize < 4 else dtype
        wanted = any(ctx.needs_input_grad)
        total = torch.zeros((), dtype=wide, device=device)
        of_states_NH = torch.zeros_like(states_NH)
        of_weight_VH = torch.zeros_like(weight_VH, dtype=wide)
        of_bias_V = None if bias_V is None else torch.zeros_like(bias_V, dtype=wide)
        with torch.autocast(device.type, enabled=False):
            own = head.to(device, dtype)
            for student, teacher, column_G in compare.chunks():
                row_n = student.rows
                states_nH = states_NH.detach()[row_n].to(dtype)
                scores_nV = own.logits(states_nH).requires_grad_(wanted)
                its_scores_nV = teacher_head.logits(teacher_states_MH[teacher.rows.to(teacher_states_MH.device)])
                with torch.set_grad_enabled(wanted):
                    q = compare.word(scores_nV, student, compare.shared.entries[0])
                    p = compare.word(its_scores_nV.to(device, wide), teacher, compare.shared.entries[1])
                    part = compare.rule(q, p, column_G, compare.shared)
                total += part.detach()
                if not wanted:
                    continue
                (grad_nV,) = torch.autograd.grad(part, scores_nV)
                grad_nV = own.back_through_cap_(grad_nV, scores_nV.detach())
                if of_bias_V is not None:
                    of_bias_V += grad_nV.sum(0)
                narrow_nV = grad_nV.to(dtype)
                of_states_NH[row_n] = (narrow_nV @ own.weight_VH).to(of_states_NH.dtype)
                of_weight_VH += narrow_nV.t() @ states_nH
        if wanted:
            of_bias_V = None if of_bias_V is None else of_bias_V.to(weight_VH.dtype)
            ctx.grads = (of_states_NH, of_weight_VH.to(weight_VH.dtype), of_bias_V)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grads, ctx.grads = ctx.grads, None
        return (*(None if each is None else each.mul_(grad) for each in grads), None, None, None, None)
