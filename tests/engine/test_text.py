"""Text becomes training blocks without losing, doubling or mixing anything; no model is examined on what it learnt."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CONTEXT, SEPARATOR, beginnings, tiny_model, train_briefly, write_data, write_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from core.documents import documents
from core.engine.text import (
    IGNORED,
    Blocks,
    Corpus,
    Framing,
    encode_documents,
    find_framing,
    keeps_documents_apart,
    load_corpus,
    load_framing,
    look_over,
    pack,
    save_corpora,
    tokenise,
)
from core.errors import BadData

FRAMING = Framing(0, 1, "test")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers") / "bos"
    write_tokenizer(folder)
    return AutoTokenizer.from_pretrained(folder)


def corpus_of(lengths: list[int], seed: int = 0) -> Corpus:
    """Documents of the given lengths; all tokens from 3 on are different, so that each can be traced."""
    offsets = np.cumsum([0, *lengths])
    ids = np.random.default_rng(seed).permutation(int(offsets[-1])).astype(np.int32) + 3
    return Corpus(ids, offsets, np.asarray(lengths))


def split_of(path: Path, tokenizer, seed: int = 0, tokens: int = 10**6, validation_tokens: int = 400):
    plan = look_over((str(path),), None, tokens, validation_tokens)
    sides = tokenise(plan, (str(path),), None, tokenizer, FRAMING, validation_tokens, seed, lambda share: None)
    return tuple([tokenizer.decode(side[i][1:-1]) for i in range(len(side))] for side in sides)


def write_documents(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(f"{text}\n{SEPARATOR}\n" for text in texts), encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------------------------------- framing


def taught(tokenizer, start: list[int], end: list[int], seed: int = 0):
    """A model that was trained on documents framed so."""
    model = tiny_model(seed=seed, hidden_act="silu")
    texts = beginnings(24)
    train_briefly(model, [start + tokenizer(text, add_special_tokens=False).input_ids + end for text in texts], 60)
    return model, texts[:8]


def test_a_tokenizer_that_adds_bos_decides_the_start_and_the_model_the_end(tokenizer):
    """As in stories3m: a text begins *and* ends with bos, though an eos exists."""
    model, texts = taught(tokenizer, [0], [0])
    framing = find_framing(tokenizer, model, texts, "cpu")
    assert (framing.start, framing.end) == (0, 0)
    assert "expects it" in framing.reason


def test_the_end_that_the_model_expects_is_eos_where_it_was_trained_so(tokenizer):
    model, texts = taught(tokenizer, [0], [1])
    framing = find_framing(tokenizer, model, texts, "cpu")
    assert (framing.start, framing.end) == (0, 1)
    assert "expects it" in framing.reason


@pytest.mark.parametrize(("start", "found"), [([], None), ([1], 1)])
def test_without_an_added_bos_the_model_is_asked_how_texts_begin(tmp_path, start, found):
    """Pythia and GPT-2 have one special token; texts begin with it, or with nothing."""
    write_tokenizer(tmp_path, adds_bos=False, bos=False)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model, texts = taught(tokenizer, start, [1])
    framing = find_framing(tokenizer, model, texts, "cpu")
    assert framing.start == found
    assert framing.end == 1


def test_an_untrained_end_falls_back_to_eos(tokenizer):
    model, texts = taught(tokenizer, [0], [])
    assert find_framing(tokenizer, model, texts, "cpu").end == tokenizer.eos_token_id


def test_without_a_model_the_tokenizer_says_how_documents_are_framed(tokenizer, tmp_path):
    framing = find_framing(tokenizer, None, ["a"], "cpu")
    assert (framing.start, framing.end) == (0, 1)
    write_tokenizer(tmp_path, adds_bos=False)
    framing = find_framing(AutoTokenizer.from_pretrained(tmp_path), None, ["a"], "cpu")
    assert (framing.start, framing.end) == (None, 1)


def test_every_document_is_framed_once(tokenizer, tmp_path):
    path = write_data(tmp_path / "s.txt", 30)
    corpus = encode_documents(documents((str(path),)), tokenizer, FRAMING, None, lambda: None)
    for index, text in enumerate(beginnings(30)):
        ids = corpus[index].tolist()
        assert ids[0] == 0
        assert ids[-1] == 1
        assert tokenizer.decode(ids[1:-1]) == text
        assert corpus.sizes[index] == len(text.encode())


# ------------------------------------------------------------------------------------------------------------- packing


@given(
    lengths=st.lists(st.integers(2, 90), min_size=1, max_size=60), length=st.integers(8, 64), seed=st.integers(0, 99)
)
@settings(max_examples=60, deadline=None)
def test_packing_loses_and_doubles_no_token(lengths: list[int], length: int, seed: int):
    order = np.random.default_rng(seed).permutation(len(lengths))
    seen: Counter[tuple[int, int]] = Counter()
    for block in pack(np.asarray(lengths), length, order):
        assert 0 < sum(end - start for _, start, end in block) <= length
        for document, start, end in block:
            seen.update((document, at) for at in range(start, end))
    assert set(seen.values()) <= {1}
    for document, size in enumerate(lengths):
        missing = [at for at in range(size) if (document, at) not in seen]
        assert missing == ([size - 1] if size % length == 1 else [])  # a lone last token would predict nothing


@given(
    lengths=st.lists(st.integers(2, 60), min_size=1, max_size=20), length=st.integers(8, 40), seed=st.integers(0, 99)
)
@settings(max_examples=40, deadline=None)
def test_blocks_count_positions_and_labels_by_document(lengths: list[int], length: int, seed: int):
    corpus = corpus_of(lengths)
    home = {int(token): document for document in range(len(corpus)) for token in corpus[document]}
    after = {int(a): int(b) for document in range(len(corpus)) for a, b in itertools.pairwise(corpus[document])}
    blocks = Blocks(corpus, length, corpus.tokens, 1, seed, pad=2)
    for index in range(len(blocks)):
        ids, positions, labels = (blocks[index][name].tolist() for name in ("input_ids", "position_ids", "labels"))
        assert len(ids) == len(positions) == len(labels) == length
        for at, (token, position, label) in enumerate(zip(ids, positions, labels, strict=True)):
            if token == 2:
                assert label == IGNORED
                continue
            begins = at == 0 or home.get(ids[at - 1]) != home[token]
            assert position == 0 if begins else position == positions[at - 1] + 1
            last = at + 1 == length or positions[at + 1] == 0
            assert label == (IGNORED if last else after[token])


def test_padding_is_a_document_of_its_own():
    """Otherwise the last document's positions would run on into it, and it into them."""
    block = Blocks(corpus_of([5]), 12, 5, 1, 0, pad=2)[0]
    assert block["position_ids"].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6]
    assert (block["labels"][4:] == IGNORED).all()


def test_the_budget_is_met_in_whole_steps_over_as_many_epochs_as_it_takes():
    corpus = corpus_of([20, 30, 12, 40, 9, 25])
    blocks = Blocks(corpus, 40, 3 * corpus.tokens, 4, 1, pad=2)
    assert len(blocks) % 4 == 0
    assert blocks.tokens >= 3 * corpus.tokens
    assert blocks.tokens_until(len(blocks) - 4) < 3 * corpus.tokens
    assert blocks.epochs == pytest.approx(blocks.tokens / corpus.tokens)
    trained = sum(int((blocks[i]["input_ids"] != 2).sum()) for i in range(len(blocks)))
    assert trained == blocks.tokens == blocks.tokens_until(len(blocks))
    assert blocks.tokens_until(3) == sum(int((blocks[i]["input_ids"] != 2).sum()) for i in range(3))


def test_each_epoch_has_its_own_order_and_the_seed_decides_it():
    corpus = corpus_of([10] * 40)
    first, same, other = (Blocks(corpus, 40, 2 * corpus.tokens, 1, seed, pad=2) for seed in (1, 1, 2))
    rows = [[tuple(blocks[i]["input_ids"].tolist()) for i in range(len(blocks))] for blocks in (first, same, other)]
    assert rows[0] == rows[1] != rows[2]
    half = len(rows[0]) // 2
    assert rows[0][:half] != rows[0][half:]
    assert sorted(sum(rows[0][:half], ())) == sorted(sum(rows[0][half:], ()))


def test_the_fullest_block_is_the_worst_case():
    blocks = Blocks(corpus_of([7, 33, 40, 2, 12]), 40, 90, 1, 0, pad=2)
    counts = [int((blocks[i]["input_ids"] != 2).sum()) for i in range(len(blocks))]
    assert counts[blocks.fullest()] == max(counts) == 40


@pytest.mark.parametrize("model_type", ["llama", "qwen2", "qwen3", "mistral", "gemma", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("training", [False, True])
def test_no_document_attends_to_another_in_its_block(model_type: str, training: bool):
    """A packed row gives the logits of each document alone, for two rows at once, as the training step reads them."""
    dropout = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0} if model_type == "gpt2" else {}
    model = tiny_model(model_type, **dropout).train(training)
    corpus = corpus_of([13, 21, 30, 9, 17, 24, 5])
    blocks = Blocks(corpus, 48, corpus.tokens, 2, 3, pad=2)
    rows = [blocks[0], blocks[1]]
    with torch.no_grad():
        packed = model(
            input_ids=torch.stack([row["input_ids"] for row in rows]),
            position_ids=torch.stack([row["position_ids"] for row in rows]),
            use_cache=False,
        ).logits
        checked = 0
        for number in range(2):
            at = 0
            for document, start, end in blocks._blocks[number]:
                alone = model(input_ids=torch.tensor([corpus[document][start:end].tolist()]), use_cache=False).logits[0]
                torch.testing.assert_close(packed[number, at : at + end - start], alone, rtol=1e-5, atol=1e-5)
                at += end - start
                checked += 1
        run_on = model(input_ids=rows[0]["input_ids"][None], use_cache=False).logits[0]
    assert checked >= 4
    assert (run_on - packed[0]).abs().max() > 0.01  # counted through, neighbours do matter


# ----------------------------------------------------------------------------------------------------------- the split


@pytest.mark.parametrize(
    ("model_type", "apart"), [("llama", True), ("gpt2", True), ("gpt_neox", True), ("falcon", False)]
)
def test_an_architecture_that_mixes_documents_is_found_out(model_type: str, apart: bool):
    if model_type == "falcon":
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64}
        torch.manual_seed(0)
        config = AutoConfig.for_model("falcon", **sizes, initializer_range=0.3, alibi=True)
        model = AutoModelForCausalLM.from_config(config)
    else:
        model = tiny_model(model_type)
    assert keeps_documents_apart(model) is apart


def test_where_documents_would_mix_a_block_holds_one():
    corpus = Corpus(np.arange(18, dtype=np.int32), np.array([0, 6, 12, 18]), np.array([5, 5, 5]))
    blocks = Blocks(corpus, 16, 18, 1, 0, 0, alone=True)
    assert len(blocks) == 3
    assert blocks.tokens == 18


def test_a_text_never_stands_on_both_sides(tokenizer, tmp_path):
    texts = beginnings(300)
    path = write_documents(tmp_path / "twice.txt", texts + texts[::-1])
    training, held_out = split_of(path, tokenizer)
    assert held_out
    assert not set(training) & set(held_out)
    assert set(training) | set(held_out) <= set(texts)
    assert len(set(training)) > 0.9 * len(texts)


def test_what_was_held_out_is_never_trained_on_when_text_is_added(tokenizer, tmp_path):
    texts = beginnings(600)
    held, trained = [], []
    for count in (150, 300, 600):
        training, held_out = split_of(write_documents(tmp_path / f"{count}.txt", texts[:count]), tokenizer)
        held.append(set(held_out))
        trained.append(set(training))
    assert not held[0] & trained[1]
    assert not (held[0] | held[1]) & trained[2]
    assert trained[0] <= trained[1] <= trained[2]
    assert held[0] & held[1]


def test_another_seed_splits_otherwise(tokenizer, tmp_path):
    path = write_documents(tmp_path / "s.txt", beginnings(300))
    first, again, other = (split_of(path, tokenizer, seed) for seed in (0, 0, 1))
    assert first == again
    assert set(first[1]) != set(other[1])


def test_the_held_out_text_is_about_what_was_asked_for(tokenizer, tmp_path):
    path = write_documents(tmp_path / "s.txt", beginnings(600))
    plan = look_over((str(path),), None, 10**6, 500)
    _, held_out = tokenise(plan, (str(path),), None, tokenizer, FRAMING, 500, 0, lambda share: None)
    assert 250 <= held_out.tokens <= 500 + CONTEXT


def test_one_long_document_is_cut_so_that_some_can_be_held_out(tokenizer, tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("\n".join(beginnings(400)), encoding="utf-8")
    assert look_over((str(path),), None, 1000, 400).in_pieces
    training, held_out = split_of(path, tokenizer)
    assert len(training) > 5
    assert held_out
    assert not set(training) & set(held_out)
    whole = path.read_text(encoding="utf-8")
    assert all(piece.strip() in whole for piece in training + held_out)
    assert sum(map(len, training + held_out)) > 0.9 * len(whole)  # a reserved piece may be on neither side


def test_two_documents_are_enough(tokenizer, tmp_path):
    training, held_out = split_of(write_documents(tmp_path / "two.txt", beginnings(2)), tokenizer)
    assert len(training) == len(held_out) == 1
    assert training != held_out


def test_one_text_twice_is_not_held_out_from_itself(tokenizer, tmp_path):
    with pytest.raises(BadData, match="too little"):
        split_of(write_documents(tmp_path / "same.txt", beginnings(1) * 2), tokenizer)


def test_of_much_text_only_what_the_budget_needs_is_read(tokenizer, tmp_path):
    texts = beginnings(1500)
    path = write_documents(tmp_path / "big.txt", texts)
    plan = look_over((str(path),), None, 2000, 100)
    assert plan.share < 0.5
    training, held_out = split_of(path, tokenizer, tokens=2000, validation_tokens=100)
    assert held_out
    assert 0.5 * plan.share < len(training) / len(texts) < 1.5 * plan.share
    places = [texts.index(text) for text in training]
    assert min(places) < 150
    assert max(places) > 1350  # from all over the file, not its beginning


def test_kept_tokens_come_back_with_their_framing_or_not_at_all(tmp_path):
    corpus = corpus_of([4, 9])
    save_corpora(tmp_path / "tokens", {"train": corpus}, Framing(None, 5, "why"))
    again = load_corpus(tmp_path / "tokens", "train")
    assert [again[i].tolist() for i in range(2)] == [corpus[i].tolist() for i in range(2)]
    assert load_framing(tmp_path / "tokens") == Framing(None, 5, "why")
    assert [entry.name for entry in tmp_path.iterdir()] == ["tokens"]
