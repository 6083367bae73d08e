"""GGUF: what is written is the model, for every family, and the tokenizer that was written gives the same ids or is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tiny import REPOSITORY, tiny_model, write_tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from core.engine.exporting.gguf_file import Manners, read_manners, rotation_factors, write_gguf
from core.engine.exporting.runtimes import Transformers, has_llama_cpp, llama_cpp_of, load_gguf
from core.engine.exporting.vocabulary import SPLITS, encoder, prove, read_vocabulary, vocabulary_of
from core.errors import BadModel
from core.model_files import read_config
from core.shapes import shape_of

SAMPLE = REPOSITORY / "resources" / "sample" / "stories-0.8M"
STORIES_3M = REPOSITORY.parent / "shared" / "models" / "stories3m"
STOPS = (1,)
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
CASES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama with biases": {"attention_bias": True, "mlp_bias": True},
    "llama with a head of its own": {"tie_word_embeddings": False, "head_dim": 16},
    "llama as in 3.1": {"rope_parameters": LLAMA3 | {"rope_theta": 500.0, "original_max_position_embeddings": 32}},
    "mistral": {},
    "qwen2": {"vocab_size": 400},
    "qwen3": {},
    "gemma2": {"sliding_window": 64},
    "gemma3_text": {"sliding_window": 16},
    "gpt2": {},
}
TEXT = "Once upon a time there was a little girl who liked to play with her friends in the big garden."


def saved(folder: Path, model_type: str = "llama", **changes: Any) -> Path:
    """A tiny model whose norms and biases are not 1 and 0, so that none of them can be forgotten."""
    model = tiny_model(model_type, seed=3, **changes)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "norm" in name or "ln_" in name or name.endswith("bias"):
                tensor.add_(0.1 * torch.randn_like(tensor))
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def exported(source: Path, file: Path, weight_type: str = "f32", manners: Manners | None = None) -> dict[str, int]:
    tokenizer = AutoTokenizer.from_pretrained(source)
    vocabulary = vocabulary_of(tokenizer, shape_of(read_config(source)).vocabulary)
    return write_gguf(source, file, weight_type, vocabulary, manners or Manners(None, STOPS), "tiny", lambda _: None)


@pytest.mark.parametrize("case", CASES)
def test_every_family_computes_the_same_from_the_file(case: str, tmp_path: Path) -> None:
    source, file = saved(tmp_path / "source", case.split()[0], **CASES[case]), tmp_path / "model.gguf"
    exported(source, file)
    tokenizer = AutoTokenizer.from_pretrained(source)
    original = Transformers(tiny_or_loaded(source), tokenizer)
    ids = original.encode(TEXT)
    read = load_gguf(file, source, tokenizer, "cpu")
    torch.testing.assert_close(read.logits(ids), original.logits(ids), rtol=0, atol=1e-5)
    if not has_llama_cpp():
        return
    with llama_cpp_of(file, 128) as runtime:  # whose arithmetic is another, so that only clear preferences must agree
        assert runtime.encode(TEXT) == ids
        said, wanted = runtime.greedy(ids, 24, STOPS), original.greedy(ids, 24, STOPS)
        top_T2 = original.logits([*ids, *wanted])[len(ids) - 1 : -1].log_softmax(-1).topk(2).values
        margins = (top_T2[:, 0] - top_T2[:, 1]).tolist()
        clear = next((at for at, margin in enumerate(margins) if margin < 0.01), len(margins))
        assert said[:clear] == wanted[:clear]


def tiny_or_loaded(source: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(source).eval()


@pytest.mark.parametrize(
    ("model_type", "setting", "why"),
    [
        ("llama", {"hidden_act": "gelu"}, "its activation is gelu"),
        ("gemma2", {"layer_types": ["full_attention", "sliding_attention"]}, "other layers see the whole text"),
        ("gemma2", {"attn_logit_softcapping": None}, "no soft cap"),
    ],
)
def test_what_llama_cpp_has_as_a_constant_is_not_silently_changed(
    model_type: str, setting: dict[str, Any], why: str, tmp_path: Path
) -> None:
    source = saved(tmp_path / "source", model_type, **setting)
    with pytest.raises(BadModel, match=why):
        exported(source, tmp_path / "model.gguf")


def test_the_frequencies_of_llama_3_are_divided_as_transformers_does(tmp_path: Path) -> None:
    parameters = LLAMA3 | {"rope_theta": 500_000.0, "original_max_position_embeddings": 8192}
    config = AutoConfig.for_model("llama", head_dim=128, rope_parameters=parameters)
    wanted, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = 500_000.0 ** -(np.arange(0, 128, 2) / 128)
    factors = rotation_factors(config.to_dict(), shape_of(config.to_dict()))
    assert factors is not None
    np.testing.assert_allclose(plain / factors, wanted.numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("weight_type", "most"), [("q8_0", 0.01), ("q5_1", 0.06), ("q4_0", 0.15), ("bf16", 0.005), ("f16", 0.001)]
)
def test_a_type_costs_what_its_bits_cost(weight_type: str, most: float, tmp_path: Path) -> None:
    source, file = saved(tmp_path / "source"), tmp_path / "model.gguf"
    counts = exported(source, file, weight_type)
    assert counts["f32"] == 5  # norms
    tokenizer = AutoTokenizer.from_pretrained(source)
    weights = dict(tiny_or_loaded(source).named_parameters())
    for name, tensor in load_gguf(file, source, tokenizer, "cpu").model.named_parameters():
        error = (tensor - weights[name]).norm() / weights[name].norm()
        assert (error == 0) if "norm" in name else (0 < error < most), name


def test_embeddings_take_eight_bits_beside_four_and_odd_widths_stay_in_halves(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    counts = exported(saved(tmp_path / "source", hidden_size=32, intermediate_size=72, head_dim=8), file, "q4_0")
    types = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(file).tensors}
    assert types["token_embd.weight"] == "Q8_0"
    assert types["blk.0.ffn_up.weight"] == "Q4_0"
    assert types["blk.0.ffn_down.weight"] == "F16"  # rows of 72 are no whole number of blocks
    assert counts == {"q8_0": 1, "q4_0": 12, "f16": 2, "f32": 5}


def test_values_that_float16_cannot_hold_are_refused_by_name(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = 1e5
    model.save_pretrained(tmp_path / "source")
    write_tokenizer(tmp_path / "source")
    with pytest.raises(BadModel, match=r"layers\.0\.mlp\.up_proj.*100000"):
        exported(tmp_path / "source", tmp_path / "model.gguf", "f16")


def test_template_and_all_stop_tokens_are_in_the_file(tmp_path: Path) -> None:
    source, file = saved(tmp_path / "source"), tmp_path / "model.gguf"
    exported(source, file, manners=Manners("{{ messages }}", (1, 7, 9)))
    assert read_manners(file) == Manners("{{ messages }}", (1, 7, 9))
    with pytest.raises(BadModel, match="can name only three"):
        exported(source, tmp_path / "other.gguf", manners=Manners(None, (1, 7, 9, 11)))


# ----------------------------------------------------------------------------------------------------------- tokenizers


@pytest.mark.parametrize("folder", [SAMPLE, STORIES_3M], ids=lambda folder: folder.name)
def test_our_tokenizers_come_back_from_the_file_as_they_were(folder: Path, tmp_path: Path) -> None:
    if not folder.is_dir():
        pytest.skip("the shared models are not here")
    exported(folder, tmp_path / "model.gguf")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    read = read_vocabulary(tmp_path / "model.gguf")
    texts = ["", " ", "  two  spaces\n\ttab", "naïve 猫 🙂 \u0301", "a</s>b <s> c", TEXT]
    assert prove(read, tokenizer, texts) > len(tokenizer)
    assert read.adds_bos
    assert encoder(read)(texts) == tokenizer(texts, add_special_tokens=False).input_ids


def _piece_tokenizer() -> Tokenizer:
    """A SentencePiece-like one with a score order that is not the order of merges' left halves."""
    pieces = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "a",
        "b",
        "c",
        "ab",
        "bc",
        "▁a",
        "abc",
        "▁ab",
    ]
    merges = [("b", "c"), ("▁", "a"), ("a", "b"), ("a", "bc"), ("ab", "c"), ("▁a", "b")]
    tokenizer = Tokenizer(
        models.BPE({p: i for i, p in enumerate(pieces)}, merges, unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


def _wrapped(tokenizer: Tokenizer, **names: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **({"eos_token": "</s>"} | names))


def test_pieces_are_joined_by_score_and_unknown_letters_become_bytes() -> None:
    tokenizer = _wrapped(_piece_tokenizer(), bos_token="<s>", unk_token="<unk>")
    vocabulary = vocabulary_of(tokenizer, 270)
    assert vocabulary.tokens[-1] == "[PAD269]"
    assert prove(vocabulary, tokenizer, ["abc", "ab abc cab", "é"]) > 3
    swapped = replace(vocabulary, scores=[-score for score in vocabulary.scores or []])
    with pytest.raises(BadModel, match="gives the ids"):
        prove(swapped, tokenizer, ["ab abc cab"])


def test_accents_in_parts_are_the_one_thing_that_is_told_and_not_proved() -> None:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(SAMPLE / "tokenizer.json"), bos_token="<s>", eos_token="</s>"
    )
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    vocabulary = vocabulary_of(tokenizer, 2048)
    assert "composes accents" in vocabulary.notes[0]
    assert prove(vocabulary, tokenizer, ["cafe\u0301"]) > 2048


@pytest.mark.parametrize("name", SPLITS)
def test_the_rule_that_cuts_words_is_found_by_what_it_does(name: str, tmp_path: Path) -> None:
    from tokenizers import Regex

    folder = tmp_path / "tokenizer"
    write_tokenizer(folder)
    said = json.loads((folder / "tokenizer.json").read_text())
    said["model"]["ignore_merges"] = name in ("llama-bpe", "tekken")
    (folder / "tokenizer.json").write_text(json.dumps(said))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    cuts: list[Any] = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in SPLITS[name]]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cuts, byte_level])
    vocabulary = vocabulary_of(tokenizer, 384)
    assert vocabulary.pre == name
    assert prove(vocabulary, tokenizer, ["It's 12345 o'clock,\n\n  HELLO world!!  Straße", TEXT])


def _changed(**changes: Any) -> PreTrainedTokenizerFast:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(SAMPLE / "tokenizer.json"), bos_token="<s>", eos_token="</s>"
    )
    for name, value in changes.items():
        setattr(tokenizer.backend_tokenizer, name, value)
    return tokenizer


REFUSED = {
    "is of the kind Unigram": lambda: _wrapped(Tokenizer(models.Unigram([("</s>", 0.0), ("a", -1.0)], 0))),
    "changes text first by Lowercase": lambda: _changed(normalizer=normalizers.Lowercase()),
    "cuts words by Whitespace": lambda: _changed(pre_tokenizer=pre_tokenizers.Whitespace()),
    "puts a space before every text": lambda: _changed(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "knows no rule that cuts words": lambda: _changed(
        pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    ),
    "only bos and eos can be said": lambda: _changed(
        post_processor=processors.TemplateProcessing(single="<pad> $A", special_tokens=[("<pad>", 2)])
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_tokenizer_that_gguf_has_no_kind_for_is_refused_in_words(why: str) -> None:
    with pytest.raises(BadModel, match=why):
        vocabulary_of(REFUSED[why](), 2048)


def test_more_tokens_than_rows_are_refused() -> None:
    with pytest.raises(BadModel, match=r"2048 entries.*only 2000 rows"):
        vocabulary_of(_changed(), 2000)
