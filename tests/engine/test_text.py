"""Text becomes training blocks without losing, doubling or mixing anything; no model is examined on what it learnt."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import (
    CONTEXT,
    ENTRIES,
    SEPARATOR,
    beginnings,
    finished,
    history_of,
    tiny_model,
    tiny_recipe,
    train_briefly,
    write_data,
    write_teacher,
    write_tokenizer,
)
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from core.documents import Document, documents
from core.engine.models import load_model
from core.engine.scoring import score
from core.engine.text import (
    IGNORED,
    Blocks,
    Corpus,
    Framing,
    TextPlan,
    _encoded,
    answers_behind,
    collate,
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
from core.errors import BadData, BadModel

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
            for document, start, end in blocks.segments(number):
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


# -------------------------------------------------------------------------------------------------------- answers only


def character_spans(draw, length: int) -> tuple[tuple[int, int], ...]:
    """At least one stretch of characters, in order, none touching another."""
    borders = sorted(draw(st.sets(st.integers(0, length), min_size=2, max_size=8)))
    return tuple(zip(borders[::2], borders[1::2], strict=False))


@st.composite
def answered(draw) -> Document:
    text = draw(st.text(st.sampled_from(" \n\tthe catsn.éü猫🙂"), min_size=1, max_size=40))
    return Document(text, Path("a.jsonl"), 1, character_spans(draw, len(text)))


@given(document=answered(), start=st.sampled_from([0, None]), end=st.sampled_from([1, None]))
@settings(max_examples=80, deadline=None)
def test_a_token_is_learnt_if_one_of_its_characters_is_in_an_answer(tokenizer, document, start, end):
    """Against a count of bytes: a byte-level token's name has one letter for each of its bytes."""
    text, framing = document.text, Framing(start, end, "")
    [encoded] = _encoded([document], tokenizer, framing, answers_only=True)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    home = [character for character, letter in enumerate(text) for _ in letter.encode()]  # of each byte
    answers = {character for a, b in document.learnt for character in range(a, b)}
    touched, at = [], 0
    for name in tokenizer.convert_ids_to_tokens(ids):
        touched.append(set(home[at : at + len(name)]))
        at += len(name)
    assert at == len(home)
    learnt = [bool(characters & answers) for characters in touched]
    framed = [False] * (start is not None) + learnt + [document.learnt[-1][1] == len(text)] * (end is not None)
    assert encoded.ids.tolist() == framing.wrap(ids)
    assert encoded.learnt.tolist() == framed
    counted = [i for i in range(len(ids)) if learnt[i] and (i > 0 or start is not None)]
    assert encoded.size == max(
        1, len("".join(text[c] for c in sorted(set().union(*(touched[i] for i in counted)))).encode())
    )


def test_a_tokenizer_that_tells_no_characters_is_named():
    slow = SimpleNamespace(is_fast=False, name_or_path="some-model")
    document = Document("one", Path("a.jsonl"), 1, ((0, 3),))
    with pytest.raises(BadModel, match=r"some-model.*tokenizer\.json"):
        list(_encoded([document], slow, FRAMING, answers_only=True))


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def answer_rows(count: int, prompt: int = 40) -> list[dict[str, str]]:
    return [{"prompt": text[:prompt], "completion": text[prompt:]} for text in beginnings(count)]


def answers_of(path: Path, tokenizer, answers_only: bool = True) -> tuple[TextPlan, Corpus, Corpus]:
    plan = look_over((str(path),), None, 10**6, 300, answers_only)
    return plan, *tokenise(plan, (str(path),), None, tokenizer, FRAMING, 300, 0, lambda share: None)


def test_only_answers_are_learnt_and_held_out_and_empty_ones_are_left_out_and_counted(tokenizer, tmp_path):
    rows = answer_rows(40)
    path = write_rows(tmp_path / "a.jsonl", [*rows, {"prompt": "And then?", "completion": " "}] * 2)
    plan, training, held_out = answers_of(path, tokenizer)
    assert (plan.count, plan.unanswered, plan.in_pieces) == (80, 2, False)
    learnt = set()
    for side in (training, held_out):
        for index in range(len(side)):
            ids, targets = side[index], side.targets(index, 0, len(side[index]))
            assert targets[-1]
            said = tokenizer.decode(ids[targets][:-1])
            assert side.sizes[index] == len(said.encode())
            [row] = [row for row in rows if tokenizer.decode(ids[1:-1]) == row["prompt"] + row["completion"]]
            straddles = len(said) - len(row["completion"])
            assert 0 <= straddles < 12
            assert said.endswith(row["completion"])
            learnt.add(row["completion"])
    assert len(learnt) > 36
    everything = answers_of(path, tokenizer, answers_only=False)[1:]
    assert [side.learnt for side in everything] == [None, None]
    assert "And then?" in {tokenizer.decode(everything[0][i][1:-1]).strip() for i in range(len(everything[0]))}


def test_the_end_is_learnt_only_behind_an_answer(tokenizer, tmp_path):
    said = [("user", "Why? "), ("assistant", "So. "), ("user", "Oh. ")]
    rows = [
        {"messages": [{"role": role, "content": content + text} for role, content in said[:number]]}
        for text in beginnings(30)
        for number in (2, 3)
    ]
    _, training, _ = answers_of(write_rows(tmp_path / "a.jsonl", rows), tokenizer)
    ends = [
        (bool(training.targets(i, 0, len(training[i]))[-1]), "Oh." in tokenizer.decode(training[i]))
        for i in range(len(training))
    ]
    assert set(ends) == {(True, False), (False, True)}


def test_data_without_answers_is_refused_by_name(tokenizer, tmp_path):
    plain = write_documents(tmp_path / "plain.txt", beginnings(3))
    with pytest.raises(BadData, match=r"plain\.txt has no answers to learn.*`completion`"):
        look_over((str(plain),), None, 1000, 100, answers_only=True)
    mixed = write_rows(tmp_path / "mixed.jsonl", [*answer_rows(3), {"text": "no answer"}])
    with pytest.raises(BadData, match=r"mixed\.jsonl has no answers to learn.*line 4"):
        look_over((str(mixed),), None, 1000, 100, answers_only=True)
    empty = write_rows(tmp_path / "empty.jsonl", [{"prompt": "Why?", "completion": ""}] * 3)
    with pytest.raises(BadData, match=r"All 3 answers in .*empty\.jsonl are empty"):
        look_over((str(empty),), None, 1000, 100, answers_only=True)


def marked(corpus: Corpus, learnt: list[bool]) -> Corpus:
    return replace(corpus, learnt=np.asarray(learnt, dtype=bool))


def test_what_is_learnt_is_kept_with_the_tokens(tmp_path):
    corpus = marked(corpus_of([4, 3]), [False, True, False, True, False, False, True])
    save_corpora(tmp_path / "tokens", {"train": corpus, "held-out": corpus_of([5])}, FRAMING)
    again = load_corpus(tmp_path / "tokens", "train")
    assert again.learnt.tolist() == corpus.learnt.tolist()
    assert again.targets(1, 0, 3).tolist() == [False, False, True]
    assert (
        load_corpus(tmp_path / "tokens", "held-out").learnt is None
    )  # as in run folders from before there was such a choice


def test_prompts_longer_than_a_block_are_counted():
    learnt = [[False] * 20 + [True] * 5, [False] * 6 + [True] * 14, [False] * 9 + [True], [True] * 30]
    corpus = marked(corpus_of([25, 20, 10, 30]), list(itertools.chain(*learnt)))
    assert answers_behind(corpus, 10) == 1
    assert answers_behind(corpus, 6) == 3
    assert answers_behind(corpus, 30) == 0
    assert answers_behind(corpus_of([25, 20]), 10) == 0


def test_text_in_which_no_block_has_a_token_to_learn_is_refused():
    """The one learnt token is the first of its part, which nothing comes before."""
    corpus = marked(corpus_of([20]), [at == 10 for at in range(20)])
    with pytest.raises(BadData, match="blocks of 10 tokens"):
        Blocks(corpus, 10, 20, 1, 0, 2)


# ------------------------------------------------------------------------------------------------ what a batch teaches


@st.composite
def corpora(draw) -> Corpus:
    """Random documents of few kinds of tokens, among them the pad, some with answers; each has something to learn."""
    lengths = draw(st.lists(st.integers(2, 40), min_size=1, max_size=12))
    corpus = corpus_of(lengths)
    ids = np.asarray(draw(st.lists(st.integers(0, 5), min_size=corpus.tokens, max_size=corpus.tokens)), np.int32)
    if draw(st.booleans()):
        return replace(corpus, ids=ids)
    learnt = np.asarray(draw(st.lists(st.booleans(), min_size=corpus.tokens, max_size=corpus.tokens)))
    for index, size in enumerate(lengths):
        if not learnt[corpus.offsets[index] + 1 : corpus.offsets[index + 1]].any():
            learnt[corpus.offsets[index] + size - 1] = True
    return replace(corpus, ids=ids, learnt=learnt)


def taught_pairs(corpus: Corpus, length: int) -> tuple[Counter[tuple[tuple[int, ...], int]], int]:
    """(context, target) of every token that one epoch teaches, document by document, and the positions it takes."""
    pairs: Counter[tuple[tuple[int, ...], int]] = Counter()
    positions = 0
    for index in range(len(corpus)):
        ids = corpus[index].tolist()
        learnt = [True] * len(ids) if corpus.learnt is None else corpus.learnt[corpus.offsets[index] :].tolist()
        for start in range(0, len(ids), length):
            part, marks = ids[start : start + length], learnt[start : start + length]
            found = [(tuple(part[:at]), part[at]) for at in range(1, len(part)) if marks[at]]
            pairs.update(found)
            positions += len(part) if found else 0
    return pairs, positions


@given(
    corpus=corpora(),
    length=st.integers(8, 48),
    micro=st.integers(1, 4),
    seed=st.integers(0, 9),
    alone=st.booleans(),
    pad=st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_batches_teach_every_learnt_token_after_its_own_document_and_nothing_else(
    corpus, length, micro, seed, alone, pad
):
    """Against a plain reading of document by document; a pad that is also a token of the text changes nothing."""
    expected, positions = taught_pairs(corpus, length)
    if not positions:
        return
    blocks = Blocks(corpus, length, positions, 1, seed, pad, alone)
    assert blocks.tokens == positions  # one epoch
    found: Counter[tuple[tuple[int, ...], int]] = Counter()
    for first in range(0, len(blocks), micro):
        chosen = range(first, min(first + micro, len(blocks)))
        batch = collate([blocks[index] for index in chosen])
        assert batch["index"].tolist() == list(chosen)
        assert torch.equal(batch["labels"], batch["shift_labels"])
        assert set(batch) == {"input_ids", "position_ids", "labels", "shift_labels", "index"}
        for row, at in (batch["labels"] != IGNORED).nonzero().tolist():
            ids, position = batch["input_ids"][row].tolist(), int(batch["position_ids"][row, at])
            found[tuple(ids[at - position : at + 1]), int(batch["labels"][row, at])] += 1
    assert found == expected


def test_segments_say_where_the_tokens_of_a_batch_come_from():
    corpus = corpus_of([13, 70, 30, 9])
    blocks = Blocks(corpus, 48, corpus.tokens, 2, 3, pad=2)
    batch = collate([blocks[1], blocks[0]])
    for row, index in enumerate(batch["index"].tolist()):
        at = 0
        for document, start, end in blocks.segments(index):
            ids = blocks.segment_ids(document, start, end)
            assert ids.tolist() == corpus[document][start:end].tolist()
            assert batch["input_ids"][row, at : at + len(ids)].tolist() == ids.tolist()
            assert batch["position_ids"][row, at : at + len(ids)].tolist() == list(range(end - start))
            at += len(ids)
        assert (batch["labels"][row, at:] == IGNORED).all()


def test_where_blocks_hold_one_document_those_of_a_micro_batch_are_about_as_long():
    lengths = np.random.default_rng(0).integers(5, 100, 96).tolist()
    corpus = corpus_of(lengths)
    blocks = Blocks(corpus, 128, corpus.tokens, 16, 5, pad=2, alone=True)
    order = np.random.default_rng([5, 0]).permutation(len(corpus))
    width = 0
    for step in range(0, 96, 16):
        sizes = [lengths[blocks.segments(index)[0][0]] for index in range(step, step + 16)]
        assert sorted(sizes) == sorted(
            lengths[document] for document in order[step : step + 16]
        )  # a step sees the same
        assert sizes == sorted(sizes, reverse=True)
        for first in range(step, step + 16, 4):
            batch = collate([blocks[index] for index in range(first, first + 4)])["input_ids"]
            assert batch.shape == (4, -(-max(sizes[first - step : first - step + 4]) // 8) * 8)
            width += batch.numel()
    assert corpus.tokens < width < 1.3 * corpus.tokens < 0.6 * 96 * 128


def test_long_blocks_are_cut_to_multiples_of_64_and_never_beyond_themselves():
    corpus = corpus_of([70, 30, 1100])
    blocks = Blocks(corpus, 1100, corpus.tokens, 3, 0, pad=2, alone=True)
    shapes = [collate([blocks[index]])["input_ids"].shape[1] for index in range(3)]
    assert shapes == [1100, 128, 64]


@pytest.mark.parametrize(("model_type", "alone"), [("llama", False), ("gpt2", True)])
@pytest.mark.parametrize("rows", [ENTRIES, ENTRIES + 64])
def test_padding_changes_no_loss(model_type: str, alone: bool, rows: int):
    """Blocks with padding, cut or not, with any pad, and with more rows in the table than there are tokens: the loss is that of each
    document read alone."""
    dropout = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0} if model_type == "gpt2" else {}
    model = tiny_model(model_type, vocab_size=rows, **dropout).train()
    rng = np.random.default_rng(1)
    corpus = corpus_of([13, 21, 30, 9, 17, 24, 5, 11])
    corpus = replace(corpus, ids=rng.integers(0, ENTRIES, corpus.tokens), learnt=rng.random(corpus.tokens) < 0.5)

    def loss_of(ids, positions, labels) -> float:
        logits = model(input_ids=ids, position_ids=positions, use_cache=False).logits.double()
        return functional.cross_entropy(logits[labels != IGNORED], labels[labels != IGNORED], reduction="sum").item()

    with torch.no_grad():
        for pad in (2, 1, rows - 1):
            blocks = Blocks(corpus, 48, corpus.tokens, 2, 3, pad, alone)
            expected = found = uncut = 0.0
            for index in range(0, len(blocks), 2):
                items = [blocks[index], blocks[index + 1]]
                batch = collate(items)
                found += loss_of(batch["input_ids"], batch["position_ids"], batch["labels"])
                uncut += loss_of(
                    *(torch.stack([item[name] for item in items]) for name in ("input_ids", "position_ids", "labels"))
                )
                for document, start, end in blocks.segments(index) + blocks.segments(index + 1):
                    ids = torch.from_numpy(blocks.segment_ids(document, start, end))[None]
                    learnt = torch.from_numpy(corpus.targets(document, start, end))
                    labels = torch.where(learnt, ids, IGNORED).roll(-1, dims=1)
                    expected += loss_of(ids, None, labels)
            assert found == pytest.approx(expected, rel=1e-6)
            assert uncut == pytest.approx(expected, rel=1e-6)


def test_a_token_that_the_model_has_no_row_for_is_named(tmp_path):
    write_tokenizer(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = tiny_model()
    tokenizer.add_tokens(["<new>"])
    with pytest.raises(BadModel, match=f"token {ENTRIES} .'<new>'.*only {ENTRIES} rows"):
        find_framing(tokenizer, model, ["one <new>"], "cpu")
    find_framing(tokenizer, model, ["one"], "cpu")  # as long as the text has none, it is no matter


def test_an_end_that_is_also_the_pad_is_learnt():
    """Many tokenizers pad with their eos, and a loss that ignores all pads would never teach a text to end."""
    corpus = replace(corpus_of([5]), ids=np.asarray([0, 7, 8, 9, 1], np.int32))
    labels = Blocks(corpus, 8, 5, 1, 0, pad=1)[0]["labels"].tolist()
    assert labels == [7, 8, 9, 1] + [IGNORED] * 4


def test_scores_are_of_the_answers_alone(tokenizer, tmp_path):
    """In windows too; nats and tokens from a plain loop, bytes those of the answers' tokens."""
    model, teacher = tiny_model(seed=1), tiny_model(seed=2)
    _, training, _ = answers_of(write_rows(tmp_path / "a.jsonl", answer_rows(30)), tokenizer)
    found = score(model, training, FRAMING, CONTEXT, "cpu", teacher)
    nll, tokens = 0.0, 0
    with torch.no_grad():
        for index in range(len(training)):
            ids = torch.from_numpy(training[index][:-1].astype(np.int64))
            log_q = model(input_ids=ids[None]).logits[0].double().log_softmax(-1)
            for at in range(1, len(ids)):
                if training.targets(index, 0, len(ids))[at]:
                    nll -= log_q[at - 1, ids[at]].item()
                    tokens += 1
    assert (found.tokens, found.bytes) == (tokens, int(training.sizes.sum()))
    assert found.nll == pytest.approx(nll, rel=1e-5)
    assert found.of_teacher() == score(teacher, training, FRAMING, CONTEXT, "cpu")
    assert score(model, training, FRAMING, 16, "cpu").tokens == tokens


@pytest.mark.usefixtures("in_process")
def test_a_run_on_answers_learns_them_alone_and_says_what_it_left_out(home, tmp_path):
    """Its pad is a token that the model has no row for."""
    folder = write_teacher(tmp_path / "padded-beyond")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "<padding>"})
    assert tokenizer.pad_token_id == ENTRIES
    tokenizer.save_pretrained(folder)
    rows = [*answer_rows(60), {"prompt": beginnings(1, characters=600)[0], "completion": " The end."}]
    path = write_rows(tmp_path / "a.jsonl", [*rows, {"prompt": "Why?", "completion": ""}])
    fields = {"answers_only": True, "student": str(folder), "init": "existing", "tokens": 512, "use_teacher": False}
    run = finished(home, tiny_recipe(folder, path, **fields))
    history = history_of(run)
    said = " ".join(notice.text for notice in history.notices)
    assert "1 of 62 rows have an empty answer" in said
    assert "prompts of 1 of " in said
    framing = Framing(*history.choices["framing"].value, "")
    plan = look_over((str(path),), None, 512, 300, answers_only=True)
    corpus, _ = tokenise(plan, (str(path),), None, tokenizer, framing, 300, 0, lambda share: None)
    blocks = Blocks(corpus, 64, 512, 4, 0, 2)
    model, nll, count = load_model(folder, "cpu", torch.float32, False), 0.0, 0
    for document, start, end in (segment for index in range(4) for segment in blocks.segments(index)):
        ids = torch.from_numpy(blocks.segment_ids(document, start, end).astype(np.int64))
        learnt = torch.from_numpy(corpus.targets(document, start, end))
        log_q = model(input_ids=ids[None]).logits[0].double().log_softmax(-1)
        nll -= log_q[:-1].gather(-1, ids[1:, None])[learnt[1:]].sum().item()
        count += int(learnt.sum())
    assert history.steps[0].ce == pytest.approx(nll / count, abs=1e-5)
