"""The tensors that a model's config.json asks for, and whether its weights are those."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import BadModel
from core.model_files import Weights, first_int, some
from core.shapes import ParameterCount, Shape, shape_of

# Constants that older versions of transformers saved among the weights.
_BUFFER = re.compile(r"(\.rotary_emb\.inv_freq|\.masked_bias|^h\.\d+\.attn\.bias|^layers\.\d+\.attention\.bias)$")
_PREFIX = {"gpt2": "transformer.", "gpt_neox": "gpt_neox."}
_HEADS = ("lm_head.weight", "embed_out.weight")


def check_against_config(path: Path, config: Mapping[str, Any], shape: Shape, weights: Weights) -> list[str]:
    """Refuse weights that are not those of the config; return notes on tensors that transformers would ignore."""
    prefix = _PREFIX.get(shape.model_type, "model.")
    held = {"head" if name in _HEADS else name.removeprefix(prefix): name for name in weights.tensors}
    expected = expected_tensors(config)
    for name, dims in expected.items():
        if name not in held:
            raise BadModel(
                f'{path.name} lacks the tensor "{"lm_head.weight" if name == "head" else prefix + name}", which '
                "config.json asks for.",
                "Fetch the weights and config.json again, of the same version.",
            )
        if (found := weights.tensors[held[name]].shape) != dims:
            raise BadModel(
                f'{path.name}: tensor "{held[name]}" is {_dims(found)} where config.json asks for {_dims(dims)}.',
                "Fetch the weights and config.json again, of the same version.",
            )
    extra = [
        name for bare, name in held.items() if bare not in expected and bare != "head" and not _BUFFER.search(bare)
    ]
    if extra:
        return [f"{len(extra)} tensors belong to no part of this architecture and are left out: {some(sorted(extra))}."]
    return []


def _dims(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "a single number"


def expected_tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names (without the base model's prefix; an untied head is `head`) and dimensions of a known family's weights."""
    shape = shape_of(config)
    layers = {"gpt2": _gpt2_tensors, "gpt_neox": _neox_tensors}.get(shape.model_type, _llama_tensors)
    expected = dict(layers(config, shape))
    if not shape.tied:
        expected["head"] = (shape.vocabulary, shape.hidden)
    return expected


def _llama_tensors(config: Mapping[str, Any], shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Llama, and the families that add biases or norms to it."""
    family, hidden, neurons = shape.model_type, shape.hidden, shape.intermediate
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    bias = family != "mistral" and bool(config.get("attention_bias", False))
    norms = ["input_layernorm", "post_attention_layernorm"]
    if family in ("gemma2", "gemma3_text"):
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    linears = {  # (outputs, inputs), whether there is a bias
        "self_attn.q_proj": (queries, hidden, family == "qwen2" or bias),
        "self_attn.k_proj": (keys, hidden, family == "qwen2" or bias),
        "self_attn.v_proj": (keys, hidden, family == "qwen2" or bias),
        "self_attn.o_proj": (hidden, queries, family != "qwen2" and bias),
        "mlp.gate_proj": (neurons, hidden, family == "llama" and bool(config.get("mlp_bias", False))),
        "mlp.up_proj": (neurons, hidden, family == "llama" and bool(config.get("mlp_bias", False))),
        "mlp.down_proj": (hidden, neurons, family == "llama" and bool(config.get("mlp_bias", False))),
    }
    yield "embed_tokens.weight", (shape.vocabulary, hidden)
    yield "norm.weight", (hidden,)
    for layer in range(shape.layers):
        for norm in norms:
            yield f"layers.{layer}.{norm}.weight", (hidden,)
        if family in ("qwen3", "gemma3_text"):
            yield f"layers.{layer}.self_attn.q_norm.weight", (shape.head_dim,)
            yield f"layers.{layer}.self_attn.k_norm.weight", (shape.head_dim,)
        for name, (outputs, inputs, biased) in linears.items():
            yield f"layers.{layer}.{name}.weight", (outputs, inputs)
            if biased:
                yield f"layers.{layer}.{name}.bias", (outputs,)


def _gpt2_tensors(config: Mapping[str, Any], shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, neurons = shape.hidden, shape.intermediate
    linears = {  # (inputs, outputs): GPT-2 stores its projections the other way round
        "attn.c_attn": (hidden, 3 * hidden),
        "attn.c_proj": (hidden, hidden),
        "mlp.c_fc": (hidden, neurons),
        "mlp.c_proj": (neurons, hidden),
    }
    yield "wte.weight", (shape.vocabulary, hidden)
    yield "wpe.weight", (shape.context, hidden)
    norms = ["ln_f", *(f"h.{layer}.{norm}" for layer in range(shape.layers) for norm in ("ln_1", "ln_2"))]
    for norm in norms:
        yield f"{norm}.weight", (hidden,)
        yield f"{norm}.bias", (hidden,)
    for layer in range(shape.layers):
        for name, (inputs, outputs) in linears.items():
            yield f"h.{layer}.{name}.weight", (inputs, outputs)
            yield f"h.{layer}.{name}.bias", (outputs,)


def _neox_tensors(config: Mapping[str, Any], shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, neurons = shape.hidden, shape.intermediate
    bias = bool(config.get("attention_bias", True))
    linears = {  # (outputs, inputs), whether there is a bias
        "attention.query_key_value": (3 * hidden, hidden, bias),
        "attention.dense": (hidden, hidden, bias),
        "mlp.dense_h_to_4h": (neurons, hidden, True),
        "mlp.dense_4h_to_h": (hidden, neurons, True),
    }
    yield "embed_in.weight", (shape.vocabulary, hidden)
    norms = ["final_layer_norm"]
    for layer in range(shape.layers):
        norms += [f"layers.{layer}.input_layernorm", f"layers.{layer}.post_attention_layernorm"]
        for name, (outputs, inputs, biased) in linears.items():
            yield f"layers.{layer}.{name}.weight", (outputs, inputs)
            if biased:
                yield f"layers.{layer}.{name}.bias", (outputs,)
    for norm in norms:
        yield f"{norm}.weight", (hidden,)
        yield f"{norm}.bias", (hidden,)


def count_of_unknown(config: Mapping[str, Any], weights: Weights) -> ParameterCount:
    """Counted from the headers: buffers left out, a stored copy of a tied head counted once.

    Embeddings and head are the matrices with a row for each entry of the vocabulary.
    """
    tensors = {name: tensor for name, tensor in weights.tensors.items() if not _BUFFER.search(name)}
    text_config = config.get("text_config") or config
    rows = first_int(text_config, "vocab_size")
    outer = {name: t for name, t in tensors.items() if len(t.shape) == 2 and t.shape[0] == rows}
    if config.get("tie_word_embeddings") and len(outer) > 1:
        for head in [name for name in outer if name.endswith(_HEADS)]:
            del tensors[head], outer[head]
    total = sum(tensor.numel for tensor in tensors.values())
    return ParameterCount(total=total, non_embedding=total - sum(tensor.numel for tensor in outer.values()))
