"""Tokens of two tokenizers meet where they cover the same bytes, on any text; what a tokenizer changed is never compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import REPOSITORY, beginnings, write_tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from core.engine.align import Spans, Spelling, encode, groups, read_back, shared_entries
from core.errors import BadModel
from core.tokenizer import same_tokenizer, tokenizer_identity

SHARED = REPOSITORY.parent / "shared" / "models"
ODD = [
    *(
        "a",
        "the",
        "Once",
        "ing",
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "é",
        "e\u0301",
        "ﬁ",
        "½",
        "ß",
        "İ",
        "🙂",
        "👩‍👩‍👧",
        "🇩🇪",
    ),
    *(
        "\u200b",
        "\u200d",
        "\u00a0",
        "\u3000",
        "\ufeff",
        "你好",
        "は",
        "한",
        "नमस्ते",
        "שלום",
        "ሰ",
        "𝔘",
        "\u0000",
        "\ufffd",
        "▁",
        "Ġ",
    ),
    *("<s>", "</s>", "##a", "<0x41>", "0", "12", "'s", ".", "…", "don't"),
]
odd_texts = st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=3)), max_size=14).map("".join)


def sentence_piece(dummy: bool = True, fallback: bool = True) -> PreTrainedTokenizerFast:
    """A BPE that writes spaces as ▁ and unknown characters as bytes, as Llama's does."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=fallback, unk_token="<unk>", fuse_unk=True))
    steps = [normalizers.Prepend("▁")] if dummy else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if dummy else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)] if fallback else []
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<unk>", "<s>", "</s>", *bytes_], show_progress=False)
    tokenizer.train_from_iterator(beginnings(40), trainer)
    described = json.loads(tokenizer.to_str())  # the bytes are entries, but no special tokens
    described["added_tokens"] = described["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(described))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def byte_level(entries: int = 384, normalizer: normalizers.Normalizer | None = None) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=entries, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(beginnings(60, seed=3), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def word_piece() -> PreTrainedTokenizerFast:
    """BERT's way: small letters without accents, spaces dropped, words that have unknown letters unknown."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(beginnings(60), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="[UNK]")


KINDS = {
    "byte-level": byte_level(),
    "byte-level, more": byte_level(700),
    "composed": byte_level(500, normalizers.NFC()),
    "compatible": byte_level(500, normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])),
    "sentence piece": sentence_piece(),
    "without dummy": sentence_piece(dummy=False),
    "unknown letters": sentence_piece(fallback=False),
    "word piece": word_piece(),
}
SPELLINGS = {name: Spelling.of(tokenizer, name) for name, tokenizer in KINDS.items()}


def texts_of_groups(names: tuple[str, str], text: str, begins: bool = True):
    """(bytes of the one, bytes of the other, whether both are sound) of every group, and where it lies."""
    (a, spans_a), (b, spans_b) = (encode(KINDS[name], SPELLINGS[name], text, begins) for name in names)
    for i, j, k, n in groups(spans_a, spans_b).tolist():
        sound = bool(spans_a.sound_N[i:j].all() and spans_b.sound_N[k:n].all())
        yield SPELLINGS[names[0]].spell(a[i:j]), SPELLINGS[names[1]].spell(b[k:n]), sound, int(spans_a.end_N[j - 1])


# ---------------------------------------------------------------------------------------------------------------- any text


@settings(max_examples=40, deadline=None)
@given(odd_texts, st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(KINDS)), st.booleans())
def test_a_sound_group_covers_the_same_bytes_of_the_text_on_both_sides(text, one, other, begins):
    spelt = text.encode()
    before = 0
    for ours, theirs, sound, end in texts_of_groups((one, other), text, begins):
        covered = spelt[before:end]
        before = end
        if not sound:
            continue
        for found, name in ((ours, one), (theirs, other)):
            implied = SPELLINGS[name].loose_space or spelt[: end - len(covered)].endswith((b"<s>", b"</s>"))
            assert found == covered or (found == b" " + covered and (implied or end == len(covered)))


@settings(max_examples=40, deadline=None)
@given(odd_texts, st.sampled_from(sorted(KINDS)), st.booleans())
def test_spans_follow_one_another_and_a_sound_one_holds_exactly_its_token(text, name, begins):
    spelling = SPELLINGS[name]
    ids, spans = encode(KINDS[name], spelling, text, begins)
    spelt = text.encode()
    assert (np.diff(spans.start_N) >= 0).all()
    assert (np.diff(spans.end_N) >= 0).all()
    assert (spans.start_N <= spans.end_N).all()
    for number, start, end, sound in zip(ids.tolist(), spans.start_N, spans.end_N, spans.sound_N, strict=True):
        if sound:
            assert spelling.bytes_V[number].removeprefix(b" ") == spelt[max(start, 0) : end].removeprefix(b" ")


@settings(max_examples=40, deadline=None)
@given(odd_texts, st.sampled_from(["byte-level", "byte-level, more", "sentence piece", "without dummy"]))
def test_a_tokenizer_that_keeps_the_text_is_sound_everywhere_and_read_back_exactly(text, name):
    text = text.replace("▁", "_")  # which SentencePiece takes for a space
    ids, spans = encode(KINDS[name], SPELLINGS[name], text, begins=True)
    assert spans.sound_N.all()
    again, spans_again = read_back(SPELLINGS[name], ids, begins=True)
    if not SPELLINGS[name].special_V[ids].any():  # the name of a special token is one, however it was meant
        assert again == text
        assert np.array_equal(spans.end_N, spans_again.end_N)


@settings(max_examples=40, deadline=None)
@given(odd_texts, st.sampled_from(["byte-level", "sentence piece", "composed"]))
def test_the_same_tokenizer_on_both_sides_gives_every_token_its_own_group(text, name):
    _, spans = encode(KINDS[name], SPELLINGS[name], text, begins=True)
    group_G4 = groups(spans, spans)
    if spans.sound_N.all() and (spans.start_N < spans.end_N).all():  # a dummy space within a text has no bytes
        expected = np.arange(len(spans.sound_N))
        assert np.array_equal(group_G4, np.stack([expected, expected + 1] * 2, axis=1))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.lists(st.integers(1, 4), min_size=1, max_size=12))
def test_groups_are_the_finest_that_end_together(sizes_a, sizes_b):
    """Against a walk along both that always moves the side that lags."""
    expected, i, j, since_a, since_b = [], 0, 0, 0, 0
    ends_a, ends_b = np.cumsum(sizes_a), np.cumsum(sizes_b)
    while i < len(ends_a) and j < len(ends_b):
        if ends_a[i] == ends_b[j]:
            expected.append([since_a, i + 1, since_b, j + 1])
            since_a, since_b = i + 1, j + 1
            i, j = i + 1, j + 1
        elif ends_a[i] < ends_b[j]:
            i += 1
        else:
            j += 1
    found = groups(Spans.of_sizes(np.array(sizes_a), 0), Spans.of_sizes(np.array(sizes_b), 0))
    assert found.tolist() == expected


# --------------------------------------------------------------------------------------------------------- known cases


def words(names: tuple[str, str], text: str) -> list[tuple[str, str]]:
    return [(a.decode(), b.decode()) for a, b, sound, _ in texts_of_groups(names, text) if sound]


def test_a_character_that_both_cut_into_bytes_meets_byte_by_byte_and_its_neighbours_meet_too():
    found = list(texts_of_groups(("byte-level", "sentence piece"), "a🙂 the"))
    assert [ours for ours, *_ in found[1:5]] == [bytes([byte]) for byte in "🙂".encode()]
    assert found[-1][0].endswith(b"the")
    assert all(sound for *_, sound, _ in found)


def test_the_dummy_space_of_one_tokenizer_meets_the_first_word_of_the_other():
    found = words(("sentence piece", "byte-level"), "the")
    assert "".join(a for a, _ in found) == " the"
    assert "".join(b for _, b in found) == "the"


def test_a_piece_that_goes_on_from_another_keeps_its_space():
    tokenizer, spelling = KINDS["sentence piece"], SPELLINGS["sentence piece"]
    ids, spans = encode(tokenizer, spelling, " the cat", begins=False)
    assert spelling.spell(ids) == b" the cat"
    assert spans.start_N[0] == 0
    assert read_back(spelling, ids, begins=False)[0] == " the cat"
    assert read_back(spelling, ids, begins=True)[0] == "the cat"


def test_what_a_tokenizer_composes_is_left_out_and_the_rest_still_meets():
    found = words(("composed", "byte-level"), "the cafe\u0301 was the best")
    assert "".join(a for a, _ in found).endswith(" was the best")
    assert "".join(a for a, _ in found).startswith("the")
    assert not any("é" in a or "\u0301" in b for a, b in found)


def test_special_tokens_within_a_text_meet_and_so_does_what_follows_them():
    found = list(texts_of_groups(("sentence piece", "byte-level"), "the</s>the<s> the"))
    assert all(sound for *_, sound, _ in found)
    assert {b"</s>", b"<s>"} <= {ours for ours, *_ in found}
    assert b"".join(theirs for _, theirs, *_ in found) == b"the</s>the<s> the"


def test_small_letters_and_dropped_accents_are_left_out_and_the_words_around_meet():
    found = words(("word piece", "byte-level"), "the little girl saw Tom and é was there, then left")
    spelt = "".join(b for _, b in found)
    assert "the little girl saw" in spelt
    assert "was there" in spelt
    assert "T" not in spelt
    assert "é" not in spelt


def test_tokens_cut_inside_a_character_give_whole_characters_and_are_not_sound():
    spelling = SPELLINGS["byte-level"]
    ids, _ = encode(KINDS["byte-level"], spelling, "🙂 the 🙂", begins=True)
    text, spans = read_back(spelling, ids[2:-1], begins=False)
    assert text == " the "
    assert not spans.sound_N[:2].any()
    assert not spans.sound_N[-3:].any()
    assert spans.sound_N[2:-3].all()
    assert spans.start_N[2] == 0


def test_bytes_that_are_no_text_end_it():
    spelling = SPELLINGS["byte-level"]
    names = {name: number for number, name in enumerate(spelling.names_V)}
    ids = np.array([names["a"], names["Ń"], names["b"]])  # Ń is how byte-level writes byte 0xAD
    text, spans = read_back(spelling, ids, begins=True)
    assert text == "a"
    assert spans.sound_N.tolist() == [True, False, False]


def test_a_tokenizer_that_cannot_be_spelt_is_refused_in_words():
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(BadModel, match="old-bird"):
        Spelling.of(PreTrainedTokenizerFast(tokenizer_object=tokenizer), "old-bird")


# --------------------------------------------------------------------------------------------------- vocabularies in common


def test_entries_are_shared_by_their_bytes_each_once():
    one, other = SPELLINGS["byte-level"], SPELLINGS["sentence piece"]
    pairs = shared_entries(one, other)
    assert len(pairs) > 100
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    assert all(one.bytes_V[a] == other.bytes_V[b] for a, b in pairs)
    names = {(one.names_V[a], other.names_V[b]) for a, b in pairs}
    assert {("<s>", "<s>"), ("a", "a")} <= names
    assert any(a.startswith("Ġ") and b == a.replace("Ġ", "▁") and len(a) > 2 for a, b in names)
    assert not any(b == "<0x61>" for _, b in names)  # the letter a is taken, not its byte


def test_a_vocabulary_shares_all_of_itself():
    for spelling in SPELLINGS.values():
        assert sorted(shared_entries(spelling, spelling)) == [(i, i) for i in range(len(spelling))]


# ------------------------------------------------------------------------------------------------------------- the probe


def test_an_equal_width_is_no_equal_tokenizer_and_a_padded_embedding_no_other(tmp_path: Path):
    write_tokenizer(tmp_path / "a")
    for name, width in (("padded", 512), ("plain", 384)):
        write_tokenizer(tmp_path / name)
        (tmp_path / name / "config.json").write_text(json.dumps({"vocab_size": width}), encoding="utf-8")
    assert same_tokenizer(tmp_path / "padded", tmp_path / "plain")[0]
    described = json.loads((tmp_path / "a" / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = described["model"]["vocab"]
    names = sorted((name for name in vocabulary if vocabulary[name] > 2), key=vocabulary.__getitem__)
    described["model"]["vocab"] = {name: vocabulary[name] for name in vocabulary if vocabulary[name] <= 2} | dict(
        zip(names, range(len(vocabulary) - 1, 2, -1), strict=True)
    )
    (tmp_path / "a" / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    same, why = same_tokenizer(tmp_path / "a", tmp_path / "plain")
    assert tokenizer_identity(tmp_path / "a").vocabulary == tokenizer_identity(tmp_path / "plain").vocabulary
    assert not same
    assert "different tokens" in why


def test_special_tokens_that_only_one_has_make_it_another_tokenizer(tmp_path: Path):
    """A student that was taught them has ids that the teacher has no row for."""
    write_tokenizer(tmp_path / "plain")
    write_tokenizer(tmp_path / "chat")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "chat")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>"]})
    tokenizer.save_pretrained(tmp_path / "chat")
    same, why = same_tokenizer(tmp_path / "plain", tmp_path / "chat")
    assert not same
    assert "<|user|>" in why


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the models of ../shared")
def test_the_tokenizers_at_hand_meet_on_a_story():
    names = ("pythia-tokenizer", "stories3m", "stories260k")
    tokenizers = [AutoTokenizer.from_pretrained(SHARED / name) for name in names]
    spellings = [Spelling.of(tokenizer) for tokenizer in tokenizers]
    text = "Once upon a time, there was a little girl named Lily. She said: “I'm 7!” 🙂\n"
    spans = [encode(*pair, text, True)[1] for pair in zip(tokenizers, spellings, strict=True)]
    assert all(each.sound_N.all() for each in spans)
    for one, other in ((0, 1), (1, 2), (0, 2)):
        group_G4 = groups(spans[one], spans[other])
        assert group_G4[-1, 1] == len(spans[one].end_N)
        assert group_G4[-1, 3] == len(spans[other].end_N)
        assert len(group_G4) >= 18
