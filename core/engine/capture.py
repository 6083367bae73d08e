"""The pass of a teacher over text that fills a cache: what it expects after every token, kept for any number of students.

Stretches of text are read in batches of about one length, padded on the right (causal: padding is never seen). Scores over the vocabulary
are made for a few rows at a time, so those of a whole batch never exist. Packing and writing go on beside the next batch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import __version__, defaults
from core.cache import (
    FOUND_AGAIN,
    MADE_NOW,
    MANIFEST,
    BadCache,
    CacheFields,
    CacheRecipe,
    data_files,
    teacher_fingerprint,
)
from core.defaults import (
    SCORES_AT_ONCE,
    SCORES_AT_ONCE_ON_GPU,
    TOKENS_AT_ONCE,
    TOKENS_AT_ONCE_ON_GPU,
    chunk_rows,
)
from core.distill import QUANTIZED
from core.engine.answers import Answers, AnswersWriter, key_of
from core.engine.heads import Head, splits, trunk_states
from core.engine.memory import free_unused
from core.engine.session import Session, StopRequested
from core.engine.text import Corpus, Framing, Segment, look_over, pack
from core.errors import BadModel, BadRecipe, Trouble
from core.tokenizer import tokenizer_identity

KEPT_AT_ONCE = 2**23  # entries of a batch, for large k
SORTED_AT_ONCE = 4096  # segments that are put in batches of about one length
NOTICED_PADDING = 1e-3


def provide(
    session: Session,
    recipe: CacheRecipe,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    corpus: Corpus,
    length: int,
) -> Answers:
    """The answers of the teacher on a corpus whose documents are cut at `length`: found again, or captured now and checked.

    They lie where `recipe.out` says, else in the data folder under a name that tells them from all others.
    """
    fields = describe(session, recipe, teacher, tokenizer, framing, corpus, length)
    folder = Path(recipe.out) if recipe.out is not None else session.run.home.caches / fields.folder_name()
    segments = segments_of(corpus, length)
    if (folder / MANIFEST).is_file():
        session.choose("cache", str(folder), FOUND_AGAIN)
    else:
        session.phase("asking the teacher", f"{len(segments)} texts")
        with AnswersWriter(folder, fields) as writer:
            capture(session, teacher, corpus, segments, writer)
            writer.finish(len(corpus), corpus.tokens)
        free_unused(session.device)
        session.choose("cache", str(folder), MADE_NOW)
    session.phase("checking the answers")
    answers = Answers.open(folder, session.progress)
    missing = answers.covers(key_of(corpus[document][start:end]) for document, start, end in segments)
    if missing or answers.manifest.same_answers() != fields.same_answers():
        raise BadCache(f"{folder} is there already, with other answers.", "Name another folder, or delete that cache.")
    return answers


def describe(
    session: Session,
    recipe: CacheRecipe,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    corpus: Corpus,
    length: int,
) -> CacheFields:
    """What the cache will be of. The teacher's head may be padded with rows that no token has: those are not kept."""
    session.phase("hashing the teacher")
    folder = Path(recipe.teacher)
    rows = Head.of(teacher).entries
    vocabulary = min(rows, max(tokenizer.get_vocab().values()) + 1)
    if int(corpus.ids.max()) >= vocabulary:
        raise BadModel(
            f"The text has token {int(corpus.ids.max())}, but {folder} has only {rows} entries in its vocabulary.",
            "Its tokenizer is not its own; fetch the model again.",
        )
    if recipe.top_k > vocabulary:
        raise BadRecipe(f"top_k {recipe.top_k} is more than the {vocabulary} entries of the vocabulary.", "Lower it.")
    quantized = recipe.teacher_precision in QUANTIZED
    budget = recipe.tokens
    if budget is not None:
        plan = look_over(recipe.data, recipe.separator, budget, recipe.validation_tokens, recipe.answers_only)
        budget = budget if plan.share < 1 else None
    return CacheFields(
        teacher=str(folder),
        teacher_name=folder.name,
        teacher_fingerprint=teacher_fingerprint(folder),
        tokenizer=tokenizer_identity(folder),
        start=framing.start,
        end=framing.end,
        vocabulary=vocabulary,
        top_k=recipe.top_k,
        tail=recipe.tail,
        temperature=recipe.temperature,
        seed=recipe.seed,
        sequence_length=length,
        longest=int(corpus.lengths.max()),
        budget=budget,
        every_seed=budget is None,
        answers_only=recipe.answers_only,
        separator=recipe.separator or None,
        data=data_files(recipe.data),
        dtype=recipe.teacher_precision if quantized else str(teacher.dtype).removeprefix("torch."),
        stillroom=__version__,
        created=time.time(),
    )


def segments_of(corpus: Corpus, length: int) -> list[Segment]:
    """All that blocks of `length` tokens can hold, in the order of the documents: cut as the blocks of training are."""

    def teaches(segment: Segment) -> bool:
        return corpus.learnt is None or bool(corpus.targets(*segment).any())

    return [block[0] for block in pack(corpus.lengths, length, np.arange(len(corpus)), True, teaches)]


def capture(
    session: Session, teacher: PreTrainedModel, corpus: Corpus, segments: list[Segment], writer: AnswersWriter
) -> None:
    """Ask the teacher about every segment that the writer lacks. A stop request keeps what there is.

    Raises Trouble naming the document if the teacher's scores are not numbers.
    """
    asked = _Asked(teacher, writer.fields)
    keyed = {key_of(corpus[document][start:end]): (document, start, end) for document, start, end in segments}
    waiting = [(key, segment) for key, segment in keyed.items() if key not in writer]
    total = sum(end - start for _, start, end in keyed.values())
    done = total - sum(end - start for _, (_, start, end) in waiting)
    with ThreadPoolExecutor(1) as packing:
        packed: Future[None] | None = None
        try:
            for batch in _batches(waiting, asked.tokens_at_once):
                session.progress(min(0.999, done / total))
                answers = asked.about([(key, corpus[document][start:end]) for key, (document, start, end) in batch])
                _refuse_nan(answers, batch, corpus, writer.fields)
                if packed is not None:
                    packed.result()
                packed = packing.submit(_keep, writer, answers)
                done += sum(end - start for _, (_, start, end) in batch)
        except StopRequested:
            if packed is not None:
                packed.result()
            writer.flush()
            raise
        if packed is not None:
            packed.result()
    if asked.padding > NOTICED_PADDING * max(1, asked.rows):
        session.notice(
            f"The teacher gives {asked.padding / asked.rows:.1%} of its mass to the {asked.head_rows - writer.fields.vocabulary} rows "
            "of its head that no token has; that is left out, and the rest made to sum to 1.",
            "warning",
        )
    session.progress(1.0)


class _Answer(NamedTuple):
    """What the teacher says of a segment: (ids, log_p, log_rest) for the tail bucket, (ids, entropy) for drawn classes."""

    key: bytes
    parts: tuple[np.ndarray, ...]
    sound: bool


def _keep(writer: AnswersWriter, answers: list[_Answer]) -> None:
    for answer in answers:
        if writer.fields.tail == "bucket":
            writer.add_top(answer.key, *answer.parts)
        else:
            writer.add_drawn(answer.key, *answer.parts)


def _batches(waiting: list[tuple[bytes, Segment]], tokens_at_once: int) -> Iterator[list[tuple[bytes, Segment]]]:
    """Segments of about one length together, `tokens_at_once` positions with their padding, but at least one."""
    for first in range(0, len(waiting), SORTED_AT_ONCE):
        near = sorted(
            waiting[first : first + SORTED_AT_ONCE], key=lambda item: item[1][1] - item[1][2]
        )  # longest first
        while near:
            longest = near[0][1][2] - near[0][1][1]
            count = max(1, tokens_at_once // longest)
            yield near[:count]
            near = near[count:]


def _refuse_nan(
    answers: list[_Answer], batch: list[tuple[bytes, Segment]], corpus: Corpus, fields: CacheFields
) -> None:
    for answer, (_, (document, start, end)) in zip(answers, batch, strict=True):
        if not answer.sound:
            where = f"tokens {start} to {end} of " if start or end < len(corpus[document]) else ""
            raise Trouble(
                f"The teacher {fields.teacher_name} gives scores that are not numbers (NaN or infinite) in {where}training "
                f"document {document + 1} of {len(corpus)}.",
                "Read it in float32 (precision), or choose another teacher: its weights may be damaged.",
            )


class _Asked:
    """A teacher and what is wanted of it."""

    def __init__(self, teacher: PreTrainedModel, fields: CacheFields) -> None:
        self.teacher = teacher
        self.fields = fields
        self.head = Head.of(teacher)
        self.head_rows = self.head.entries
        self.splits = splits(teacher)
        self.rows = 0
        self.padding = 0.0  # the sum over rows of the mass on entries that no token has
        at_once = TOKENS_AT_ONCE.get(teacher.device.type, TOKENS_AT_ONCE_ON_GPU)
        if not self.splits:  # the model makes the scores of the whole batch, and can't do otherwise
            at_once = min(at_once, defaults.scored_rows(self.head_rows))
        self.tokens_at_once = min(at_once, max(1, KEPT_AT_ONCE // fields.top_k))

    @torch.inference_mode()
    def about(self, batch: list[tuple[bytes, np.ndarray]]) -> list[_Answer]:
        """What the teacher says of each (key, ids)."""
        device = self.teacher.device
        length = max(len(ids) for _, ids in batch)
        ids_BT = torch.zeros(len(batch), length, dtype=torch.long)
        asked_BT = torch.zeros(len(batch), length, dtype=torch.bool)
        for row, (_, ids) in enumerate(batch):
            ids_BT[row, : len(ids)] = torch.from_numpy(np.asarray(ids, dtype=np.int64))
            asked_BT[row, : len(ids) - 1] = True
        ids_BT, asked_BT = ids_BT.to(device), asked_BT.to(device)
        if self.splits:
            states_NH = trunk_states(self.teacher, input_ids=ids_BT)[asked_BT]
        else:
            states_NH = self.teacher(input_ids=ids_BT, use_cache=False).logits[asked_BT]
        counts = [len(ids) - 1 for _, ids in batch]
        uniform_NK = self._uniform(batch) if self.fields.tail == "sample" else None
        chunks = []
        rows = chunk_rows(len(states_NH), self.head_rows, device.type)  # thin products read the whole head too often
        step = max(1, SCORES_AT_ONCE.get(device.type, SCORES_AT_ONCE_ON_GPU) // self.head_rows)
        for start in range(0, len(states_NH), rows):
            scores_nV = self._scores(states_NH[start : start + rows])
            for at in range(0, len(scores_nV), step):
                some_nV = self._of_tokens(scores_nV[at : at + step])
                if uniform_NK is None:
                    chunks.append(_top(some_nV, self.fields.top_k))
                else:
                    first = start + at
                    chunks.append(_drawn(some_nV, uniform_NK[first : first + len(some_nV)].to(device)))
            del scores_nV, some_nV  # before the next ones are made
        *parts, sound_N = (torch.cat(column).cpu().numpy() for column in zip(*chunks, strict=True))
        self.rows += len(states_NH)
        ends = np.cumsum(counts)[:-1]
        split = [np.split(part, ends) for part in parts]
        sound = [bool(rows.all()) for rows in np.split(sound_N, ends)]
        return [_Answer(key, tuple(part[i] for part in split), sound[i]) for i, (key, _) in enumerate(batch)]

    def _scores(self, states_nH: torch.Tensor) -> torch.Tensor:
        """Scores / τ, float32 or wider."""
        if self.splits:
            weight_VH = None if self.head.module is not None else self.head.weight_VH
            if weight_VH is not None:  # quantized weights have no dtype that states could take
                states_nH = states_nH.to(weight_VH.dtype)
            scores_nV = self.head.logits(states_nH)
        else:
            scores_nV = states_nH.float()
        if self.fields.temperature != 1.0:
            scores_nV = scores_nV.div_(self.fields.temperature)
        return scores_nV

    def _of_tokens(self, scores_nV: torch.Tensor) -> torch.Tensor:
        """Those of the entries that are kept; what the others have is summed up."""
        vocabulary = self.fields.vocabulary
        if vocabulary < scores_nV.shape[1]:
            inside_n = scores_nV[:, :vocabulary].logsumexp(1)
            outside_n = scores_nV[:, vocabulary:].logsumexp(1)
            self.padding += float((outside_n - inside_n).sigmoid().nan_to_num().sum())
            scores_nV = scores_nV[:, :vocabulary]
        return scores_nV

    def _uniform(self, batch: list[tuple[bytes, np.ndarray]]) -> torch.Tensor:
        """Numbers in [0, 1), which follow from the text and the seed alone: whoever resumes draws the same."""
        seed, top_k = self.fields.seed, self.fields.top_k
        drawn = [
            np.random.default_rng([seed, int.from_bytes(key, "little")]).random((len(ids) - 1, top_k))
            for key, ids in batch
        ]
        return torch.from_numpy(np.concatenate(drawn))


def _top(scores_nV: torch.Tensor, top_k: int) -> tuple[torch.Tensor, ...]:
    """(ids_nK, log_p_nK, log_rest_n, sound_n). The rest is summed, for 1 − Σ top would lose a small one."""
    p_nV = scores_nV.softmax(1)
    top_nK, ids_nK = scores_nV.topk(top_k, dim=1)
    log_z_n = top_nK[:, 0] - p_nV.gather(1, ids_nK[:, :1])[:, 0].log()
    log_rest_n = p_nV.scatter_(1, ids_nK, 0.0).sum(1).log()
    return ids_nK, top_nK - log_z_n[:, None], log_rest_n, log_z_n.isfinite()


def _drawn(scores_nV: torch.Tensor, uniform_nK: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(ids_nK, entropy_n, sound_n): K classes drawn with replacement from p = softmax(scores), by the inverse of its cumulative sum, and
    −Σ p log p in nats."""
    sound_n = scores_nV.logsumexp(1).isfinite()
    p_nV = scores_nV.double().softmax(1)
    entropy_n = torch.special.entr(p_nV).sum(1)
    heights_nV = p_nV.cumsum_(1)
    wanted_nK = uniform_nK * heights_nV[:, -1:]
    ids_nK = torch.searchsorted(
        heights_nV, wanted_nK, right=True
    )  # the first class whose sum is above: never one of mass 0
    return ids_nK.clamp_(max=scores_nV.shape[1] - 1), entropy_n, sound_n
