"""A model folder as one GGUF file, written tensor by tensor: never more than one of them in memory.

Names, metadata and the few changes of tensors follow llama.cpp's own converter (convert_hf_to_gguf.py): queries and keys of the Llama
family in the order of its rotation, Gemma's norms with their 1 added, GPT-2's matrices turned round. Norms and biases stay float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf.quants import quantize
from safetensors import safe_open

from core.engine.exporting.vocabulary import Vocabulary, add_vocabulary
from core.errors import BadModel
from core.files import read_json
from core.model_files import read_config
from core.shapes import Shape, shape_of

TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "bf16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "q5_1": (gguf.GGMLQuantizationType.Q5_1, gguf.LlamaFileType.MOSTLY_Q5_1),
    "q5_0": (gguf.GGMLQuantizationType.Q5_0, gguf.LlamaFileType.MOSTLY_Q5_0),
    "q4_1": (gguf.GGMLQuantizationType.Q4_1, gguf.LlamaFileType.MOSTLY_Q4_1),
    "q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
}
BLOCK = 32  # values that share a scale in the types above
OUTER = ("token_embd.weight", "output.weight")  # where few bits cost most: 4- and 5-bit files keep them in 8
LARGEST_F16 = 65504.0
ROWS_BYTES = 64 * 2**20  # converted at once
_ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "gpt2": gguf.MODEL_ARCH.GPT2,
}
_IGNORED = ("rotary_emb.inv_freq", ".attn.masked_bias")
SLIDING = {"gemma2": 2, "gemma3_text": 6}  # every so many layers, one sees the whole text
_GELU = ("gelu_pytorch_tanh", "gelu_new", "gelu_fast")
_ACTIVATIONS = {
    "gpt2": ("activation_function", _GELU),
    "gemma2": ("hidden_activation", _GELU),
    "gemma3_text": ("hidden_activation", _GELU),
}
_TURNED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


@dataclass(frozen=True)
class Manners:
    """How the model is spoken to: the chat template as Jinja text, and the ids that end an answer, the likeliest first."""

    template: str | None
    stops: tuple[int, ...]


@dataclass(frozen=True)
class Stored:
    """A tensor as it stands in the folder, read when asked for."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], torch.Tensor]


def write_gguf(
    source: Path,
    file: Path,
    weight_type: str,
    vocabulary: Vocabulary,
    manners: Manners,
    name: str,
    progress: Callable[[float], None],
) -> dict[str, int]:
    """Write the model in folder `source` to `file`; returns how many tensors there are of each type.

    Raises BadModel for tensors that GGUF has no name for, or whose values float16 can't hold.
    """
    config = read_config(source)
    shape = shape_of(config)
    _refuse_what_cannot_be_said(config, shape)
    plan = [(_named(stored, config, shape), stored) for stored in tensors(source, config)]
    writer = gguf.GGUFWriter(file, gguf.MODEL_ARCH_NAMES[_ARCHITECTURES[shape.model_type]])
    writer.add_name(name)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_file_type(TYPES[weight_type][1])
    _add_shape(writer, config, shape)
    add_vocabulary(writer, vocabulary)
    _add_manners(writer, vocabulary, manners)
    extra = rotation_factors(config, shape)
    counts: dict[str, int] = {}
    kinds = []
    for stored_as, stored in plan:
        dims = stored.shape[::-1] if _turned(stored.name, shape) else stored.shape
        kind = _type_of(stored_as, dims, weight_type)
        kinds.append(kind)
        counts[kind.name.lower()] = counts.get(kind.name.lower(), 0) + 1
        raw = gguf.quant_shape_to_byte_shape(dims, kind) if kind not in _PLAIN else dims
        n_bytes = _bytes_of(dims, kind)
        writer.add_tensor_info(stored_as, raw, _PLAIN.get(kind, np.dtype(np.uint8)), n_bytes, raw_dtype=kind)
    if extra is not None:
        writer.add_tensor_info("rope_freqs.weight", extra.shape, extra.dtype, extra.nbytes)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for number, ((_, stored), kind) in enumerate(zip(plan, kinds, strict=True)):
            progress(number / len(plan))
            writer.write_tensor_data(_converted(_fitted(stored, config, shape), kind, stored.name))
        if extra is not None:
            writer.write_tensor_data(extra)
    finally:
        writer.close()
    progress(1.0)
    return counts


# -------------------------------------------------------------------------------------------------------------- tensors

_PLAIN: dict[gguf.GGMLQuantizationType, np.dtype[Any]] = {
    gguf.GGMLQuantizationType.F32: np.dtype(np.float32),
    gguf.GGMLQuantizationType.F16: np.dtype(np.float16),
}


def tensors(source: Path, config: dict[str, Any]) -> Iterator[Stored]:
    """The model's tensors with the base model's prefix, without buffers and the copy of a tied head, in the order of the files."""
    index = source / "model.safetensors.index.json"
    single = source / "model.safetensors"
    files = (
        [single]
        if single.is_file()
        else [source / name for name in sorted(set(read_json(index)["weight_map"].values()))]
    )
    gpt2 = config["model_type"] == "gpt2"
    tied = shape_of(config).tied
    for file in files:
        with safe_open(file, framework="pt") as held:
            for key in held.keys():  # noqa: SIM118 — no dictionary
                name = key
                if not name.startswith(("model.", "transformer.", "lm_head.")):
                    name = f"{'transformer' if gpt2 else 'model'}.{key}"
                buffer = gpt2 and name.endswith(".attn.bias")
                if buffer or name.endswith(_IGNORED) or (tied and name == "lm_head.weight"):
                    continue

                def read(file: Path = file, key: str = key) -> torch.Tensor:
                    with safe_open(file, framework="pt") as again:
                        return again.get_tensor(key)

                yield Stored(name, tuple(held.get_slice(key).get_shape()), read)


def _refuse_what_cannot_be_said(config: dict[str, Any], shape: Shape) -> None:
    """BadModel for settings that llama.cpp has as constants of the family, where the model has others."""
    family = shape.model_type
    name, wanted = _ACTIVATIONS.get(family, ("hidden_act", ("silu", "swish")))
    if (found := config.get(name, wanted[0])) not in wanted:
        raise _unsayable(f"its activation is {found}, and llama.cpp's {family} has {wanted[0]}")
    if family not in SLIDING:
        return
    period = SLIDING[family]
    usual = ["full_attention" if (layer + 1) % period == 0 else "sliding_attention" for layer in range(shape.layers)]
    if list(config.get("layer_types") or usual) != usual:
        raise _unsayable(f"other layers see the whole text than every {period}th, as in llama.cpp's {family}")
    if family == "gemma2" and None in (
        config.get("attn_logit_softcapping", 50.0),
        config.get("final_logit_softcapping", 30.0),
    ):
        raise _unsayable("its scores have no soft cap")


def _unsayable(why: str) -> BadModel:
    return BadModel(f"The model can't be written to GGUF: {why}.", "Export it as hf, onnx or int8 instead.")


def _named(stored: Stored, config: dict[str, Any], shape: Shape) -> str:
    names = gguf.get_tensor_name_map(_ARCHITECTURES[shape.model_type], shape.layers)
    found = names.get_name(stored.name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise BadModel(
            f'GGUF has no place for the tensor "{stored.name}" in the architecture {config["model_type"]}.',
            "Export the model as hf instead.",
        )
    return found


def _turned(name: str, shape: Shape) -> bool:
    """GPT-2 stores its projections (inputs, outputs)."""
    return shape.model_type == "gpt2" and name.endswith(_TURNED)


def _fitted(stored: Stored, config: dict[str, Any], shape: Shape) -> torch.Tensor:
    """The tensor as llama.cpp computes with it."""
    tensor = stored.read()
    if _turned(stored.name, shape):
        return tensor.T
    if shape.model_type in ("llama", "mistral") and ".self_attn." in stored.name:
        if ".q_proj." in stored.name:
            return _interleaved(tensor, shape.heads)
        if ".k_proj." in stored.name:
            return _interleaved(tensor, shape.kv_heads)
    if shape.model_type not in SLIDING:
        return tensor
    scaled = ".self_attn.q_norm." if shape.model_type == "gemma3_text" else ".self_attn.q_proj."
    fitted = tensor.float() + 1 if stored.name.endswith("norm.weight") else tensor
    if scaled in stored.name and (scale := query_scale(config, shape)) != config.get("query_pre_attn_scalar", 256):
        fitted = fitted.float() * math.sqrt(scale / config.get("query_pre_attn_scalar", 256))
    return fitted


def query_scale(config: dict[str, Any], shape: Shape) -> float:
    """What llama.cpp's Gemma divides scores by the root of, by size alone; config.json names another for some (query_pre_attn_scalar), and
    what is between the two goes into the queries.
    """
    largest = {"gemma2": 46, "gemma3_text": 62}[shape.model_type]  # layers of the 27B models
    return shape.hidden / shape.heads if shape.layers == largest else float(shape.head_dim)


def _interleaved(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of each head from halves (x₀…, y₀…), as transformers rotates them, to pairs (x₀, y₀, x₁, y₁, …), as llama.cpp does."""
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return halves.transpose(1, 2).reshape(tensor.shape)


def _type_of(stored_as: str, dims: tuple[int, ...], weight_type: str) -> gguf.GGMLQuantizationType:
    if len(dims) == 1 or stored_as == "position_embd.weight":
        return gguf.GGMLQuantizationType.F32
    kind = TYPES[weight_type][0]
    if kind.name.startswith("Q") and dims[-1] % BLOCK:
        return gguf.GGMLQuantizationType.F16  # a row is no whole number of blocks
    if stored_as in OUTER and kind.name.startswith(("Q4", "Q5")):
        return gguf.GGMLQuantizationType.Q8_0
    return kind


def _bytes_of(dims: tuple[int, ...], kind: gguf.GGMLQuantizationType) -> int:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    return math.prod(dims) // block * size


def _converted(tensor: torch.Tensor, kind: gguf.GGMLQuantizationType, name: str) -> np.ndarray:
    """Rows at a time, so that a large embedding isn't in float32 as a whole."""
    if kind is gguf.GGMLQuantizationType.F16 and (largest := float(tensor.abs().max())) > LARGEST_F16:
        raise BadModel(
            f'The tensor "{name}" has values up to {largest:.0f}, more than float16 can hold.',
            "Choose bf16, f32 or q8_0 instead.",
        )
    if tensor.ndim == 1:
        return tensor.float().numpy()
    rows = max(1, ROWS_BYTES // (4 * tensor.shape[-1]))
    parts = [quantize(tensor[at : at + rows].float().contiguous().numpy(), kind) for at in range(0, len(tensor), rows)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


# ------------------------------------------------------------------------------------------------------------- metadata


def _add_shape(writer: gguf.GGUFWriter, config: dict[str, Any], shape: Shape) -> None:
    writer.add_block_count(shape.layers)
    writer.add_context_length(_context(config, shape))
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.intermediate)
    writer.add_head_count(shape.heads)
    writer.add_vocab_size(shape.vocabulary)
    if shape.model_type == "gpt2":
        writer.add_layer_norm_eps(config.get("layer_norm_epsilon", 1e-5))
        return
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", 1e-6))
    _add_rotation(writer, config)
    if shape.model_type in SLIDING:
        writer.add_sliding_window(config.get("sliding_window", 4096))
    if shape.model_type == "gemma3_text":
        local = (config.get("rope_parameters") or {}).get("sliding_attention", {})
        writer.add_rope_freq_base_swa(float(local.get("rope_theta", config.get("rope_local_base_freq", 10000.0))))
    if shape.model_type == "gemma2":
        writer.add_attn_logit_softcapping(config.get("attn_logit_softcapping", 50.0))
        writer.add_final_logit_softcapping(config.get("final_logit_softcapping", 30.0))


def _context(config: dict[str, Any], shape: Shape) -> int:
    """Where a Llama or Mistral looks back over a window only, llama.cpp's Llama doesn't: longer texts would be read otherwise."""
    window = config.get("sliding_window") if shape.model_type in ("mistral", "qwen2", "qwen3") else None
    if window and config.get("use_sliding_window", shape.model_type == "mistral"):
        return min(shape.context, int(window))
    return shape.context


def rotation(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of the rotary embedding, as transformers 5 and earlier versions write them."""
    said = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    if "full_attention" in said:  # Gemma 3 has two kinds of layers
        said = dict(said["full_attention"])
    elif "rope_local_base_freq" in config:
        said.setdefault("rope_theta", config.get("rope_theta", 1e6))
    said.setdefault("rope_theta", config.get("rope_theta", 10000.0))
    said["rope_type"] = said.get("rope_type", said.get("type", "default"))
    return said


def _add_rotation(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    said = rotation(config)
    writer.add_rope_freq_base(float(said["rope_theta"]))
    kind = said["rope_type"]
    if kind in ("default", "llama3"):
        return
    if kind not in ("linear", "yarn"):
        raise BadModel(
            f"Its positions are stretched by the method {kind}, which can't be written to GGUF here.",
            "Export the model as hf instead.",
        )
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR if kind == "linear" else gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(float(said["factor"]))
    if kind == "yarn" and (trained := said.get("original_max_position_embeddings")):
        writer.add_rope_scaling_orig_ctx_len(int(trained))


def rotation_factors(config: dict[str, Any], shape: Shape) -> np.ndarray | None:
    """What each frequency is divided by under Llama 3's scaling (transformers, `_compute_llama3_parameters`); None under any other."""
    if shape.model_type == "gpt2" or (said := rotation(config))["rope_type"] != "llama3":
        return None
    factor, low, high = (float(said[name]) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    trained = float(said["original_max_position_embeddings"])
    frequencies = float(said["rope_theta"]) ** -(np.arange(0, shape.head_dim, 2, dtype=np.float64) / shape.head_dim)
    turns = trained * frequencies / (2 * math.pi)  # over the trained context
    smooth = (turns - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    return np.where(turns < low, factor, np.where(turns > high, 1.0, between)).astype(np.float32)


def _add_manners(writer: gguf.GGUFWriter, vocabulary: Vocabulary, manners: Manners) -> None:
    """llama.cpp ends an answer at three ids that a file names: eos, eot (end of turn) and eom (end of message)."""
    others = [token for token in manners.stops if token != vocabulary.eos]
    if len(others) > 2:
        raise BadModel(
            f"The model stops at {len(manners.stops)} tokens, and a GGUF file can name only three.",
            "Leave those in generation_config.json that end an answer.",
        )
    for add, token in zip((writer.add_eot_token_id, writer.add_eom_token_id), others, strict=False):
        add(token)
    if manners.template is not None:
        writer.add_chat_template(manners.template)


def read_manners(file: Path) -> Manners:
    """Template and stop tokens as they stand in a GGUF file."""
    reader = gguf.GGUFReader(file)
    fields = [reader.get_field(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")]
    template = reader.get_field("tokenizer.chat_template")
    stops = tuple(int(field.contents()) for field in fields if field is not None)
    return Manners(None if template is None else template.contents(), stops)
