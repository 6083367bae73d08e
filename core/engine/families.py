"""Where things are inside the transformers models that we can prune: one table of data, a few functions over it.

A family says, for one `model_type`, the names of the modules that read, write and normalise the residual stream and
which axis of each weight runs over what (hidden channels, query heads, key-value heads, neurons). Everything that cuts
or measures a model asks this table, so pruning is written once for all families.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from core.errors import BadModel

Axis = Literal["hidden", "query", "key_value", "thirds", "triples", "neuron", "position", "all"]
# thirds: all queries, then all keys, then all values (GPT-2); triples: query, key, value of head 0, then of head 1, …
# (GPT-NeoX). position: the rows of a learnt position table. all: an axis that is never cut.


@dataclass(frozen=True)
class Family:
    """Module names; those inside a block are relative to it."""

    blocks: str
    embedding: str
    final_norm: str
    projections: dict[str, Axis]  # into the heads: module → what its outputs run over
    attention_output: str
    into_neurons: tuple[str, ...]
    out_of_neurons: str
    reading_norms: tuple[str, ...]  # residual stream → attention or MLP
    writing_norms: tuple[str, ...] = ()  # attention or MLP → residual stream (Gemma 2 and 3)
    head_norms: tuple[str, ...] = ()  # over one head's query or key, so they stay as they are
    positions: str | None = None
    norm: Literal["rms", "rms_plus_one", "layer"] = "rms"  # plus one: multiplies by 1 + weight (Gemma)
    epsilon: str = "rms_norm_eps"  # the config's name for the constant under the norms' root
    transposed: bool = False  # weights are stored (in, out) (GPT-2's Conv1D)
    scaled_embedding: bool = False  # the embedding is multiplied by sqrt(hidden) (Gemma)
    width_is_heads: bool = False  # hidden = heads · head_dim is built in

    @property
    def writers(self) -> tuple[str, ...]:
        """The modules of a block whose outputs are added to the residual stream."""
        return self.writing_norms or (self.attention_output, self.out_of_neurons)

    def axes(self, module: str) -> tuple[Axis, Axis]:
        """What the outputs and the inputs of `module` (a name inside a block, or a full one outside) run over.

        Raises KeyError for a module that the table does not know: a bug in the table, or a changed architecture.
        """
        if module in self.projections:
            return self.projections[module], "hidden"
        if module in self.into_neurons:
            return "neuron", "hidden"
        if module in self.head_norms:
            return "all", "all"
        if module in (*self.reading_norms, *self.writing_norms, self.final_norm):
            return "hidden", "all"
        table: dict[str, tuple[Axis, Axis]] = {
            self.attention_output: ("hidden", "query"),
            self.out_of_neurons: ("hidden", "neuron"),
            # an embedding's weight is (rows, hidden), as a linear layer's from hidden to rows would be
            self.embedding: ("all", "hidden"),
            "lm_head": ("all", "hidden"),
            "embed_out": ("all", "hidden"),
        }
        if self.positions is not None:
            table[self.positions] = ("position", "hidden")
        return table[module]


_LLAMA = Family(
    blocks="model.layers",
    embedding="model.embed_tokens",
    final_norm="model.norm",
    projections={"self_attn.q_proj": "query", "self_attn.k_proj": "key_value", "self_attn.v_proj": "key_value"},
    attention_output="self_attn.o_proj",
    into_neurons=("mlp.gate_proj", "mlp.up_proj"),
    out_of_neurons="mlp.down_proj",
    reading_norms=("input_layernorm", "post_attention_layernorm"),
)
_HEAD_NORMS = ("self_attn.q_norm", "self_attn.k_norm")
_GEMMA = replace(_LLAMA, norm="rms_plus_one", scaled_embedding=True)
_GEMMA2 = replace(
    _GEMMA,
    reading_norms=("input_layernorm", "pre_feedforward_layernorm"),
    writing_norms=("post_attention_layernorm", "post_feedforward_layernorm"),
)
FAMILIES: dict[str, Family] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": replace(_LLAMA, head_norms=_HEAD_NORMS),
    "gemma": _GEMMA,
    "gemma2": _GEMMA2,
    "gemma3_text": replace(_GEMMA2, head_norms=_HEAD_NORMS),
    "gpt2": Family(
        blocks="transformer.h",
        embedding="transformer.wte",
        positions="transformer.wpe",
        final_norm="transformer.ln_f",
        projections={"attn.c_attn": "thirds"},
        attention_output="attn.c_proj",
        into_neurons=("mlp.c_fc",),
        out_of_neurons="mlp.c_proj",
        reading_norms=("ln_1", "ln_2"),
        norm="layer",
        epsilon="layer_norm_epsilon",
        transposed=True,
        width_is_heads=True,
    ),
    "gpt_neox": Family(
        blocks="gpt_neox.layers",
        embedding="gpt_neox.embed_in",
        final_norm="gpt_neox.final_layer_norm",
        projections={"attention.query_key_value": "triples"},
        attention_output="attention.dense",
        into_neurons=("mlp.dense_h_to_4h",),
        out_of_neurons="mlp.dense_4h_to_h",
        reading_norms=("input_layernorm", "post_attention_layernorm"),
        norm="layer",
        epsilon="layer_norm_eps",
        width_is_heads=True,
    ),
}


def family_of(model_type: str) -> Family:
    """Raises BadModel for an architecture that we cannot prune."""
    if model_type not in FAMILIES:
        raise BadModel(
            f"A student cannot be cut from a teacher of architecture {model_type!r}: its parts are not known here.",
            f"Known are {', '.join(FAMILIES)}. Give an existing checkpoint as the student instead.",
        )
    return FAMILIES[model_type]


def blocks_of(model: nn.Module, family: Family) -> list[nn.Module]:
    """The transformer blocks, bottom first."""
    return list(model.get_submodule(family.blocks).children())


def hidden_norms(family: Family, layers: int) -> Iterator[str]:
    """The full names of all norms over the hidden channels, bottom first."""
    for layer in range(layers):
        for norm in (*family.reading_norms, *family.writing_norms):
            yield f"{family.blocks}.{layer}.{norm}"
    yield family.final_norm
