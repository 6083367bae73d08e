"""From text to training blocks: how documents are framed, split into training and validation, tokenised and packed.

A document is `start token? + text + end token`. The split goes by a hash of the text and the seed, so equal texts never stand on
both sides, and what was held out once is not trained on when text is added (a share is reserved; as much of it as is asked for is
read). Blocks are packed best-fit from whole documents; every document counts its positions from 0 again, which makes the attention
of transformers keep documents apart (where an architecture does not, `keeps_documents_apart` says so and a block holds one
document), and its last token predicts nothing.
Documents longer than a block are cut in block-long parts, each on its own.

Where only answers are learnt, a token is if any of its characters is in an answer (a token that straddles the border holds the
answer's first letters, and they can't be learnt apart), and so is the end token behind an answer that ends its document. All the
others are read, and labelled IGNORED; a part of a document in which no token is learnt is left out.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.documents import Document, documents, has_answer, total_bytes
from core.errors import BadData, BadModel
from core.files import read_json, sync_folder, write_json

IGNORED = -100
RESERVED_SHARE = 0.05  # of the documents are never trained on, however much text there is
FEW_DOCUMENTS = 20  # fewer than this are cut in pieces first, so that some of them can be held out
PIECE_CHARACTERS = 4000
LIKELY_BYTES_PER_TOKEN = 4.0
MOST_BYTES_PER_TOKEN = 8.0
OPEN_BLOCKS = 32
TEXTS_AT_ONCE = 256
LONG_BLOCK = 1024  # from here on batches are cut to multiples of 64, as GPUs like them, else of 8

Segment: TypeAlias = tuple[int, int, int]  # document, from, to: tokens read by themselves, from position 0


@dataclass(frozen=True)
class Framing:
    """The token a document starts with, and the one that ends it; None for neither. `reason` says how they were found."""

    start: int | None
    end: int | None
    reason: str

    def wrap(self, ids: list[int]) -> list[int]:
        return [*([] if self.start is None else [self.start]), *ids, *([] if self.end is None else [self.end])]


@dataclass(frozen=True)
class Corpus:
    """Tokenised documents: `ids` of all of them in a row, document i at `offsets[i]:offsets[i+1]`; what is to be predicted of it
    stands for `sizes[i]` bytes of text. `learnt` says of each id whether it is a target; None where all are.
    """

    ids: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    learnt: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def targets(self, document: int, start: int, end: int) -> np.ndarray:
        """Which of the tokens start:end of a document, read by themselves, are to be predicted: bool of shape (end − start,).
        The first never is, for nothing comes before it.
        """
        first = int(self.offsets[document])
        counts = (
            np.ones(end - start, bool) if self.learnt is None else np.array(self.learnt[first + start : first + end])
        )
        counts[:1] = False
        return counts

    @property
    def tokens(self) -> int:
        return int(self.offsets[-1])

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def followed_by(self, other: Corpus) -> Corpus:
        """The documents of both, of the same kind of text."""
        learnt = None
        if self.learnt is not None and other.learnt is not None:
            learnt = np.concatenate([self.learnt, other.learnt])
        return Corpus(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.offsets, self.tokens + other.offsets[1:]]),
            np.concatenate([self.sizes, other.sizes]),
            learnt,
        )


def find_framing(
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel | None,
    texts: list[str],
    device: str,
    most_tokens: int = 256,
) -> Framing:
    """How the model was trained to see documents begin and end.

    The start token is the tokenizer's bos where the tokenizer adds one by itself. Otherwise a model is asked: the candidate (bos, eos, none)
    under which it reads the beginnings best. The end token is the candidate that the model most expects after whole texts; without a
    model, eos.
    """
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    adds_bos = bos is not None and tokenizer("a").input_ids[:1] == [bos]
    candidates = list(dict.fromkeys(token for token in (eos, bos) if token is not None))
    name = tokenizer.convert_ids_to_tokens
    if model is None or not candidates or not texts:
        start = bos if adds_bos else (eos if model is not None else None)
        ending = "no end" if eos is None else f"end {name(eos)}"
        return Framing(
            start,
            eos,
            f"start {name(start) if start is not None else 'without a token'}, {ending}: the tokenizer says so",
        )
    encoded = tokenizer(texts, add_special_tokens=False).input_ids
    highest = max(itertools.chain(candidates, *encoded))
    refuse_tokens_beyond(model.get_input_embeddings().weight.shape[0], highest, tokenizer)
    if adds_bos:
        start, why_start = bos, f"{name(bos)} starts a document, because the tokenizer adds it"
    else:
        losses = {token: _beginning_loss(model, encoded, token, device) for token in (None, *candidates)}
        start = min(losses, key=lambda token: losses[token])
        if losses[None] - losses[start] < 0.005:
            start = None
        why_start = f"{'no token' if start is None else name(start)} starts a document, because the model then reads beginnings best"
    whole = [ids for ids in encoded if len(ids) < most_tokens] or [ids[-most_tokens:] for ids in encoded]
    chances = _end_chances(model, whole, start, candidates, device)
    end = max(chances, key=lambda token: chances[token])
    if chances[end] < 0.01 and eos is not None:
        return Framing(start, eos, f"{why_start}; {name(eos)} ends it, because it is the tokenizer's eos")
    return Framing(
        start, end, f"{why_start}; {name(end)} ends it: the model expects it after a text with {chances[end]:.0%}"
    )


def refuse_tokens_beyond(rows: int, highest: int, tokenizer: PreTrainedTokenizerBase, model: str = "the model") -> None:
    """BadModel if the text holds a token that a model with so many rows in its table can't read. More rows than tokens are fine."""
    if highest >= rows:
        raise BadModel(
            f"The tokenizer of {tokenizer.name_or_path} writes token {highest} ({tokenizer.convert_ids_to_tokens(highest)!r}), "
            f"but the table of {model} has only {rows} rows.",
            "The tokenizer was extended, or is another model's. Choose the model that belongs to it.",
        )


@torch.inference_mode()
def _beginning_loss(model: PreTrainedModel, encoded: list[list[int]], start: int | None, device: str) -> float:
    """Mean nats a token over tokens 2 to 32 of each text, read after `start`. Token 1 is left out: without a start nothing predicts it."""
    losses = []
    for ids in encoded[:16]:
        if len(ids) < 3:
            continue
        prefix = [] if start is None else [start]
        row = torch.tensor([prefix + ids[:32]], device=device)
        log_probs = model(input_ids=row, use_cache=False).logits[0].float().log_softmax(-1)
        first = len(prefix)
        losses.append(-log_probs[first:-1].gather(-1, row[0, first + 1 :, None]).mean().item())
    return float(np.mean(losses)) if losses else 0.0


@torch.inference_mode()
def _end_chances(
    model: PreTrainedModel, encoded: list[list[int]], start: int | None, candidates: list[int], device: str
) -> dict[int, float]:
    chances = []
    for ids in encoded[:16]:
        row = torch.tensor([([] if start is None else [start]) + ids], device=device)
        chances.append(model(input_ids=row, use_cache=False).logits[0, -1].float().softmax(-1)[candidates].cpu())
    mean = torch.stack(chances).mean(0).tolist()
    return dict(zip(candidates, mean, strict=True))


@dataclass(frozen=True)
class TextPlan:
    """What is read of the data: all documents, or each with the chance `share`; documents are cut in pieces if there are few.

    With `answers_only`, `unanswered` rows, whose answer is empty, are not among the `count` and left out.
    """

    count: int
    bytes: int
    in_pieces: bool
    share: float
    validation_share: float
    answers_only: bool = False
    unanswered: int = 0


def look_over(
    paths: tuple[str, ...], separator: str | None, tokens: int, validation_tokens: int, answers_only: bool = False
) -> TextPlan:
    """Read the data once, without keeping it, to know how much there is. BadData if there is none, if it can't be read, or if
    only answers are to be learnt and it has none.
    """
    count = size = unanswered = 0
    plain = False
    for document in documents(paths, separator):
        if answers_only and not has_answer(document):
            unanswered += 1
            continue
        count += 1
        size += len(document.text.encode())
        plain = plain or document.learnt is None
    if count == 0:
        raise BadData(
            f"All {unanswered} answers in {', '.join(paths)} are empty.", "Choose data with answers that say something."
        )
    needed = (tokens + 2 * validation_tokens) * MOST_BYTES_PER_TOKEN
    share = 1.0 if size <= 2 * needed else needed / size
    validation = min(RESERVED_SHARE, 1.3 * validation_tokens * LIKELY_BYTES_PER_TOKEN / (size * share))
    in_pieces = plain and count < FEW_DOCUMENTS
    return TextPlan(count, total_bytes(paths), in_pieces, share, validation, answers_only, unanswered)


def first_texts(paths: tuple[str, ...], separator: str | None, count: int = 16) -> list[str]:
    texts = []
    for document in documents(paths, separator):
        texts.append(document.text)
        if len(texts) == count:
            break
    return texts


def tokenise(
    plan: TextPlan,
    paths: tuple[str, ...],
    separator: str | None,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    validation_tokens: int,
    seed: int,
    progress: Callable[[float], None],
) -> tuple[Corpus, Corpus]:
    """The training documents (framed) and the held-out ones (up to `validation_tokens`), in the data's order.

    BadData if no text is left for one of them.
    """
    training, held_out = _Gathering(), _Gathering()
    spare: list[tuple[float, Document]] = []  # the document that comes closest to being held out, if none is
    done = 0
    batch: list[tuple[bool, Document]] = []

    def flush() -> None:
        read = _encoded([document for _, document in batch], tokenizer, framing, plan.answers_only)
        for (held, _), encoded in zip(batch, read, strict=True):
            if not held:
                training.add(encoded)
            elif held_out.tokens < validation_tokens:
                held_out.add(encoded)
        batch.clear()

    for document in _pieces(_read(plan, paths, separator), plan.in_pieces):
        side, lot = _lots(document.text, seed)
        done += len(document.text)
        if lot >= plan.share:
            continue
        if side >= plan.validation_share and (not spare or side < spare[0][0]):
            spare[:] = [(side, document)]
        if plan.validation_share <= side < RESERVED_SHARE:
            continue
        batch.append((side < plan.validation_share, document))
        if len(batch) == TEXTS_AT_ONCE:
            flush()
            progress(min(0.99, done / plan.bytes))
    flush()
    if len(held_out) == 0 and spare:
        [encoded] = _encoded([spare[0][1]], tokenizer, framing, plan.answers_only)
        training.remove(encoded)
        held_out.add(encoded)
    if len(training) == 0 or len(held_out) == 0:
        raise BadData(
            f"{', '.join(paths)} holds {plan.count} document(s), too little to train on some and to hold some out.",
            "Choose more text.",
        )
    progress(1.0)
    return training.corpus(), held_out.corpus()


def _read(plan: TextPlan, paths: tuple[str, ...], separator: str | None) -> Iterator[Document]:
    """The documents that the plan reads: all, or those that have an answer."""
    return (document for document in documents(paths, separator) if not plan.answers_only or has_answer(document))


def encode_documents(
    stream: Iterator[Document],
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    most_tokens: int | None,
    pause: Callable[[], None],
) -> Corpus:
    """All documents framed and tokenised, or as many as `most_tokens` hold. `pause` is called now and then, and may raise to end it."""
    gathering = _Gathering()
    batch: list[Document] = []

    def flush() -> None:
        for encoded in _encoded(batch, tokenizer, framing, answers_only=False):
            if most_tokens is None or gathering.tokens < most_tokens:
                gathering.add(encoded)
        batch.clear()
        pause()

    for document in stream:
        batch.append(document)
        if len(batch) == TEXTS_AT_ONCE:
            flush()
            if most_tokens is not None and gathering.tokens >= most_tokens:
                break
    if batch:
        flush()
    if not len(gathering):
        raise BadData("The text has not one token to predict.", "Choose longer text.")
    return gathering.corpus()


@dataclass(frozen=True)
class _Encoded:
    """A document as tokens: `ids` framed, `learnt` parallel to them or None, `size` the bytes that its targets stand for."""

    ids: np.ndarray
    learnt: np.ndarray | None
    size: int


def _encoded(
    batch: list[Document], tokenizer: PreTrainedTokenizerBase, framing: Framing, answers_only: bool
) -> Iterator[_Encoded]:
    if not batch:
        return
    texts = [document.text for document in batch]
    if not answers_only:
        for text, ids in zip(texts, tokenizer(texts, add_special_tokens=False).input_ids, strict=True):
            yield _Encoded(
                np.asarray(framing.wrap(ids), np.int32), None, predicted_bytes(text, ids, framing, tokenizer)
            )
        return
    if not tokenizer.is_fast:
        raise BadModel(
            f"The tokenizer of {tokenizer.name_or_path} does not say which characters its tokens stand for.",
            "Learning answers only takes a fast one (tokenizer.json). Convert it, or learn all of the text.",
        )
    found = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    for document, ids, offsets in zip(batch, found.input_ids, found.offset_mapping, strict=True):
        yield _with_answers(document, ids, offsets, framing)


def _with_answers(document: Document, ids: list[int], offsets: list[tuple[int, int]], framing: Framing) -> _Encoded:
    """Which tokens of a document touch its answers, and the bytes of those that something comes before."""
    assert document.learnt
    spans_N2 = token_spans(offsets)
    begins, ends = spans_N2[:, 0], spans_N2[:, 1]
    starts, stops = np.asarray(document.learnt).T
    nearest = np.searchsorted(stops, begins, side="right")  # the first answer that ends behind the token's beginning
    inside = np.append(starts, len(document.text) + 1)[nearest] < ends
    after = bool(stops[-1] == len(document.text))
    predicted = inside.copy()
    if framing.start is None:
        predicted[:1] = False
    size = at = 0
    for begin, end in spans_N2[predicted].tolist():
        size += len(document.text[max(begin, at) : end].encode())
        at = max(at, end)
    learnt = [*([] if framing.start is None else [False]), *inside, *([] if framing.end is None else [after])]
    return _Encoded(np.asarray(framing.wrap(ids), np.int32), np.asarray(learnt, bool), max(1, size))


def token_spans(offsets: list[tuple[int, int]]) -> np.ndarray:
    """The characters (from, to) of each token, shape (N, 2), without gaps: a token also has what the tokenizer trims off its front.

    Byte-level tokenizers leave white space out of what they report, and of a token that is nothing else give an empty span, though
    it is text as any other. The tokens of one character split in bytes all have that character.
    """
    spans_N2 = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    if len(spans_N2):
        before = np.concatenate([[0], np.maximum.accumulate(spans_N2[:-1, 1])])
        spans_N2[:, 0] = np.minimum(spans_N2[:, 0], before)
    return spans_N2


@torch.no_grad()
def keeps_documents_apart(model: PreTrainedModel) -> bool:
    """True if a document reads the same behind another one in its block as alone. Tried on the model itself."""
    was_training = model.training
    model.eval()
    try:
        ids = torch.arange(12, device=model.device)[None] % min(12, model.get_input_embeddings().weight.shape[0])
        positions = torch.arange(6, device=model.device)
        packed = model(input_ids=ids, position_ids=torch.cat([positions, positions])[None], use_cache=False).logits[
            0, 6:
        ]
        alone = model(input_ids=ids[:, 6:], position_ids=positions[None], use_cache=False).logits[0]
        return bool(torch.allclose(packed.float(), alone.float(), rtol=1e-3, atol=1e-3 * float(alone.float().std())))
    except TypeError:  # it takes no positions at all
        return False
    finally:
        model.train(was_training)


def predicted_bytes(text: str, ids: list[int], framing: Framing, tokenizer: PreTrainedTokenizerBase) -> int:
    """The UTF-8 bytes that predictions stand for: the whole text, or all but its first token where no start token predicts that."""
    size = len(text.encode())
    if framing.start is not None or not ids:
        return size
    return max(1, size - len(tokenizer.decode(ids[:1]).encode()))


def _lots(text: str, seed: int) -> tuple[float, float]:
    """Two numbers in [0, 1) drawn by the text and the seed: the one for the split, the one for the sample."""
    digest = hashlib.blake2b(text.encode(), digest_size=16, key=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest[:8], "little") / 2**64, int.from_bytes(digest[8:], "little") / 2**64


def _pieces(stream: Iterator[Document], cut: bool) -> Iterator[Document]:
    """The documents themselves, or pieces of them; no answer loses its prompt."""
    for document in stream:
        if not cut or document.learnt is not None:
            yield document
            continue
        for piece in pieces_of(document.text):
            yield Document(piece, document.path, document.line)


def pieces_of(text: str) -> Iterator[str]:
    """A text cut at line ends into parts of about PIECE_CHARACTERS; whole if it is no longer than that."""
    if len(text) <= PIECE_CHARACTERS:
        yield text
        return
    part: list[str] = []
    size = 0
    for line in text.splitlines(keepends=True):
        for start in range(0, len(line), PIECE_CHARACTERS):
            part.append(line[start : start + PIECE_CHARACTERS])
            size += len(part[-1])
            if size >= PIECE_CHARACTERS:
                yield "".join(part)
                part, size = [], 0
    if "".join(part).strip():
        yield "".join(part)


class _Gathering:
    """Documents of tokens as they come; one that has nothing to predict is left out."""

    def __init__(self) -> None:
        self._documents: list[_Encoded] = []
        self.tokens = 0

    def __len__(self) -> int:
        return len(self._documents)

    def add(self, document: _Encoded) -> None:
        if len(document.ids) < 2 or (document.learnt is not None and not document.learnt[1:].any()):
            return
        self._documents.append(document)
        self.tokens += len(document.ids)

    def remove(self, unwanted: _Encoded) -> None:
        """Every copy of a document."""
        self._documents = [document for document in self._documents if not np.array_equal(document.ids, unwanted.ids)]
        self.tokens = sum(len(document.ids) for document in self._documents)

    def corpus(self) -> Corpus:
        parts = [document.ids for document in self._documents]
        marks = [document.learnt for document in self._documents if document.learnt is not None]
        offsets = np.zeros(len(parts) + 1, dtype=np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        sizes = np.asarray([document.size for document in self._documents], dtype=np.int64)
        return Corpus(np.concatenate(parts), offsets, sizes, np.concatenate(marks) if marks else None)


def save_corpora(folder: Path, corpora: dict[str, Corpus], framing: Framing) -> None:
    """Keep the tokens in the run folder, so that a resumed run reads the very same ones even if the text has changed."""
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    for name, corpus in corpora.items():
        np.save(beside / f"{name}-ids.npy", corpus.ids)
        np.save(beside / f"{name}-offsets.npy", corpus.offsets)
        np.save(beside / f"{name}-sizes.npy", corpus.sizes)
        if corpus.learnt is not None:
            np.save(beside / f"{name}-learnt.npy", corpus.learnt)
    write_json(beside / "framing.json", [framing.start, framing.end, framing.reason])
    for file in beside.iterdir():
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
    beside.rename(folder)
    sync_folder(folder.parent)


def load_framing(folder: Path) -> Framing:
    """How the kept documents were framed."""
    return Framing(*read_json(folder / "framing.json"))


def load_corpus(folder: Path, name: str) -> Corpus:
    """The kept tokens, memory-mapped."""
    learnt = folder / f"{name}-learnt.npy"
    return Corpus(
        np.load(folder / f"{name}-ids.npy", mmap_mode="r"),
        np.load(folder / f"{name}-offsets.npy"),
        np.load(folder / f"{name}-sizes.npy"),
        np.load(learnt, mmap_mode="r") if learnt.exists() else None,
    )


def answers_behind(corpus: Corpus, length: int) -> int:
    """Documents whose answers all begin behind their first `length` tokens: a block can't hold them with their prompt."""
    if corpus.learnt is None:
        return 0
    long = np.flatnonzero(corpus.lengths > length)
    return sum(not corpus.targets(int(document), 0, length).any() for document in long)


class Blocks(Dataset):
    """Training blocks of one length, in the order of training, over as many epochs as the budget takes.

    An item holds `input_ids`, `position_ids` (from 0 in each document) and `labels` (the next token of the same document if it is
    learnt, or IGNORED), each of shape (length,), and of shape () its `index` and `filled`, the positions that are no padding.
    There are just enough blocks, a multiple of `per_step`, that `tokens` positions are trained, prompts included. With `alone` a
    block holds one document, for architectures that do not keep them apart; then the blocks of a step stand longest first, so that
    those of a micro-batch are about as long. BadData if no part of the text has a token to learn.
    """

    def __init__(
        self, corpus: Corpus, length: int, tokens: int, per_step: int, seed: int, pad: int, alone: bool = False
    ) -> None:
        self.corpus = corpus
        self.length = length
        self.pad = pad
        self.tokens = 0
        self.epochs = 0.0
        self._blocks: list[list[Segment]] = []
        epoch = 0
        while self.tokens < tokens or len(self._blocks) % per_step:
            before = len(self._blocks)
            order = np.random.default_rng([seed, epoch]).permutation(len(corpus))
            for block in pack(corpus.lengths, length, order, alone, self._teaches):
                self._blocks.append(block)
                self.tokens += _filled(block)
                if self.tokens >= tokens and len(self._blocks) % per_step == 0:
                    break
            if len(self._blocks) == before:
                raise BadData(
                    f"No part of the text, in blocks of {length} tokens, has a token to learn.",
                    "Lengthen the sequence.",
                )
            epoch += 1
        if alone:
            for step in range(0, len(self._blocks), per_step):
                self._blocks[step : step + per_step] = sorted(self._blocks[step : step + per_step], key=_filled)[::-1]
        self.epochs = self.tokens / corpus.tokens
        self._tokens_before = np.cumsum([0, *map(_filled, self._blocks)])

    def _teaches(self, segment: Segment) -> bool:
        """True if a token of the segment is learnt; whole documents always have one."""
        document, start, end = segment
        return self.corpus.learnt is None or bool(self.corpus.targets(document, start, end).any())

    def __len__(self) -> int:
        return len(self._blocks)

    def segments(self, index: int) -> list[Segment]:
        """What block `index` holds, in order and without gaps from its first position: (document of the corpus, from, to) each."""
        return list(self._blocks[index])

    def segment_ids(self, document: int, start: int, end: int) -> np.ndarray:
        """The token ids of a segment, shape (end − start,): all that a model's distributions over it depend on."""
        return self.corpus[document][start:end]

    def fullest(self) -> int:
        """The block with the most tokens: the worst case for memory."""
        return int(np.argmax(np.diff(self._tokens_before)))

    def tokens_until(self, count: int) -> int:
        """Trained positions in the first `count` blocks."""
        return int(self._tokens_before[min(count, len(self._blocks))])

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = np.full(self.length, self.pad, dtype=np.int64)
        positions = np.arange(self.length, dtype=np.int64)
        labels = np.full(self.length, IGNORED, dtype=np.int64)
        at = 0
        for document, start, end in self._blocks[index]:
            part = self.segment_ids(document, start, end)
            to = at + len(part)
            ids[at:to] = part
            positions[at:to] = np.arange(len(part))
            labels[at : to - 1] = np.where(self.corpus.targets(document, start, end), part, IGNORED)[1:]
            at = to
        positions[at:] = np.arange(self.length - at)
        named = {"input_ids": ids, "position_ids": positions, "labels": labels}
        return {name: torch.from_numpy(array) for name, array in named.items()} | {
            "index": torch.tensor(index),
            "filled": torch.tensor(at),
        }


def _filled(block: list[Segment]) -> int:
    return sum(end - start for _, start, end in block)


def collate(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Blocks stacked to (B, T), T the longest one's tokens rounded up to a multiple of 8 (64 if blocks are long), their `index` to (B,).

    What is cut off is padding in every block, behind all that is learnt, so no loss or gradient changes. `shift_labels` tells the
    Trainer that labels are aligned with the predictions already.
    """
    longest = positions_for(max(int(item["filled"]) for item in items), len(items[0]["input_ids"]))
    batch = {
        name: torch.stack([item[name][:longest] for item in items]) for name in ("input_ids", "position_ids", "labels")
    }
    return {**batch, "shift_labels": batch["labels"], "index": torch.stack([item["index"] for item in items])}


def positions_for(filled: int, length: int) -> int:
    """T of a micro-batch whose fullest block has so many tokens, of blocks of `length`."""
    multiple = 64 if length >= LONG_BLOCK else 8
    return min(length, -(-filled // multiple) * multiple)


def pack(
    lengths: np.ndarray,
    length: int,
    order: np.ndarray,
    alone: bool = False,
    teaches: Callable[[Segment], bool] = lambda segment: True,
) -> Iterator[list[Segment]]:
    """Best fit over a few open blocks: every document goes into the fullest block that still has room for the whole of it.

    Yields blocks of (document, from, to) segments of at most `length` tokens together. A part of a long document of which `teaches`
    is false is left out.
    """
    open_blocks: list[tuple[int, list[Segment]]] = []  # (room left, segments)
    for document in order.tolist():
        size = int(lengths[document])
        for start in range(0, size, length):
            end = min(start + length, size)
            if end - start < 2:  # a single token predicts nothing
                continue
            if size > length and not teaches((document, start, end)):
                continue
            if alone:
                yield [(document, start, end)]
                continue
            fitting = [index for index, (room, _) in enumerate(open_blocks) if room >= end - start]
            if fitting:
                index = min(fitting, key=lambda i: open_blocks[i][0])
                room, segments = open_blocks.pop(index)
            else:
                room, segments = length, []
            segments.append((document, start, end))
            room -= end - start
            if room < 2:
                yield segments
                continue
            open_blocks.append((room, segments))
            if len(open_blocks) > OPEN_BLOCKS:
                index = min(range(len(open_blocks)), key=lambda i: open_blocks[i][0])
                yield open_blocks.pop(index)[1]
    for _, segments in sorted(open_blocks, key=lambda block: block[0]):
        yield segments
