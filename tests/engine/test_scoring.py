"""Scores are those of a plain loop over documents, and no token is left out or counted twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny import CONTEXT, tiny_model, write_tokenizer
from transformers import AutoTokenizer

from core.engine import scoring
from core.engine.scoring import Scores, score
from core.engine.text import Corpus, Framing, predicted_bytes

FRAMING = Framing(0, 1, "test")


def framed_corpus(lengths: list[int], seed: int = 0, framing: Framing = FRAMING) -> Corpus:
    """Random documents, framed; `sizes` in bytes are three times the tokens."""
    rng = np.random.default_rng(seed)
    parts = [framing.wrap(rng.integers(3, 300, size).tolist()) for size in lengths]
    offsets = np.cumsum([0, *map(len, parts)])
    return Corpus(np.concatenate(parts).astype(np.int32), offsets, 3 * np.asarray(lengths))


@torch.no_grad()
def plain_score(model, corpus: Corpus, teacher=None) -> tuple[float, float, int, int]:
    """(nats, KL, agreements, targets), one document and one position at a time, in float64."""
    nll = kl = 0.0
    agreed = targets = 0
    for index in range(len(corpus)):
        ids = [int(token) for token in corpus[index]][:-1]  # the end token is none of the text
        q = model(input_ids=torch.tensor([ids])).logits[0].double().softmax(-1)
        p = None if teacher is None else teacher(input_ids=torch.tensor([ids])).logits[0].double().softmax(-1)
        for at in range(len(ids) - 1):
            nll -= math.log(q[at, ids[at + 1]].item())
            targets += 1
            if p is not None:
                kl += float((p[at] * (p[at].log() - q[at].log())).sum())
                agreed += int(p[at].argmax() == q[at].argmax())
    return nll, kl, agreed, targets


def test_scores_equal_a_plain_loop_over_the_documents():
    model, teacher = tiny_model(seed=1), tiny_model(seed=2)
    corpus = framed_corpus([12, 3, 60, 33, 1, 90])
    nll, kl, agreed, targets = plain_score(model, corpus, teacher)
    found = score(model, corpus, FRAMING, CONTEXT, "cpu", teacher)
    assert found.tokens == targets == sum([12, 3, 60, 33, 1, 90])
    assert found.nll == pytest.approx(nll, rel=1e-5)
    assert found.kl == pytest.approx(kl, rel=1e-5)
    assert found.agreed == agreed
    assert found.windowed == 0
    metrics = found.metrics()
    assert metrics["ce"] == pytest.approx(nll / targets, rel=1e-5)
    assert metrics["kd"] == pytest.approx(kl / targets, rel=1e-5)
    assert metrics["agreement"] == pytest.approx(agreed / targets)
    assert metrics["perplexity"] == pytest.approx(math.exp(nll / targets), rel=1e-4)


def test_what_the_first_reading_says_of_the_teacher_is_what_reading_it_alone_says():
    teacher, corpus = tiny_model(seed=2), framed_corpus([12, 3, 60, 33, 1, 90])
    beside = score(tiny_model(seed=1), corpus, FRAMING, CONTEXT, "cpu", teacher)
    assert beside.of_teacher() == score(teacher, corpus, FRAMING, CONTEXT, "cpu")


def test_bits_per_byte_by_hand():
    """Eight tokens of a half each in sixteen bytes: half a bit a byte, perplexity 2."""
    metrics = Scores(nll=8 * math.log(2), tokens=8, bytes=16, documents=1, windowed=0, kl=2.0, agreed=6).metrics()
    assert metrics["bits_per_byte"] == pytest.approx(0.5)
    assert metrics["perplexity"] == pytest.approx(2.0)
    assert metrics["kd"] == 0.25
    assert metrics["agreement"] == 0.75


def test_without_a_teacher_nothing_is_said_about_agreement():
    metrics = score(tiny_model(), framed_corpus([9, 20]), FRAMING, CONTEXT, "cpu").metrics()
    assert metrics["kd"] is None
    assert metrics["agreement"] is None


def test_a_model_agrees_with_itself():
    metrics = score(tiny_model(), framed_corpus([9, 20]), FRAMING, CONTEXT, "cpu", tiny_model()).metrics()
    assert metrics["kd"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["agreement"] == 1.0


def test_the_order_and_the_batches_do_not_matter(monkeypatch):
    model, teacher = tiny_model(seed=1), tiny_model(seed=2)
    lengths = [12, 3, 60, 33, 7, 90, 41]
    corpus = framed_corpus(lengths)
    parts = [corpus[index] for index in (4, 2, 6, 0, 5, 1, 3)]
    shuffled = Corpus(
        np.concatenate(parts), np.cumsum([0, *map(len, parts)]), 3 * np.asarray([len(p) - 2 for p in parts])
    )
    monkeypatch.setattr(scoring.defaults, "scored_rows", lambda vocabulary: 70)
    few = score(model, shuffled, FRAMING, CONTEXT, "cpu", teacher).metrics()
    monkeypatch.undo()
    whole = score(model, corpus, FRAMING, CONTEXT, "cpu", teacher).metrics()
    assert few == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("context", [16, 15, 128])
@pytest.mark.parametrize("length", [15, 16, 17, 23, 24, 25, 100])
def test_windows_count_every_token_of_a_long_document_once_with_half_a_context_before_it(context: int, length: int):
    ids = np.arange(3, 3 + length)
    corpus = Corpus(np.array([*ids, 1]), np.array([0, length + 1]), np.array([length]))
    windows, windowed, counted_bytes = scoring._windows(corpus, FRAMING, context)
    counted = []
    for part, counts in windows:
        first = int(counts.argmax())
        assert len(part) <= context
        assert list(part) == list(range(part[0], part[0] + len(part)))
        assert part[0] == 3 or first >= context // 2
        counted.extend(part[counts])
    assert counted == list(ids[1:])
    assert windowed == (length > context)
    assert counted_bytes == length


def test_a_long_document_is_scored_by_windows_as_a_plain_loop_over_them():
    model, context, stride = tiny_model(seed=3), 16, 8
    corpus = framed_corpus([50])
    ids = [int(token) for token in corpus[0]][:-1]
    nll = 0.0
    with torch.no_grad():
        for at in range(1, len(ids)):
            end = context if at < context else context + stride * (1 + (at - context) // stride)
            window = ids[end - context : at]
            nll -= model(input_ids=torch.tensor([window])).logits[0, -1].double().log_softmax(-1)[ids[at]].item()
    found = score(model, corpus, FRAMING, context, "cpu")
    assert found.windowed == 1
    assert found.tokens == 50
    assert found.nll == pytest.approx(nll, rel=1e-5)


def test_padded_embeddings_change_no_comparison():
    """A student whose table is padded to a rounder width agrees with its teacher as before."""
    model = tiny_model(seed=1)
    corpus = framed_corpus([30, 40])
    plain = score(model, corpus, FRAMING, CONTEXT, "cpu", tiny_model(seed=2)).metrics()
    padded = tiny_model(seed=2)
    padded.resize_token_embeddings(448, mean_resizing=False)
    wide = score(model, corpus, FRAMING, CONTEXT, "cpu", padded).metrics()
    assert wide == pytest.approx(plain, rel=1e-5)


def test_scoring_leaves_the_model_as_it_was():
    model = tiny_model().train()
    score(model, framed_corpus([5, 9]), FRAMING, CONTEXT, "cpu")
    assert model.training


def test_without_a_start_token_the_bytes_of_the_first_token_are_not_counted(tmp_path):
    write_tokenizer(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    text = "Once upon a time there was a cat."
    ids = tokenizer(text, add_special_tokens=False).input_ids
    first = len(tokenizer.decode(ids[:1]).encode())
    assert first > 0
    with_start, without = (predicted_bytes(text, ids, Framing(start, None, ""), tokenizer) for start in (0, None))
    assert with_start == len(text)
    assert without == len(text) - first
