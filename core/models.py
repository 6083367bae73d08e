"""What a model folder holds, found out without torch: sizes, shape, tokenizer, lineage, and what is wrong with it.

`inspect_model` reads `config.json` and the headers of the safetensors files, never the weights. `resolve_model`,
`scan_hub_cache` and `scan_folder` find folders; `entry_of` turns one into a line of the library, broken or not.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import BadModel
from core.files import read_json
from core.numbers import bytes_text
from core.shapes import KNOWN_FAMILIES, ParameterCount, Shape, count_parameters, shape_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LINEAGE_FILE = "stillroom.json"


class TokenizerIdentity(BaseModel):
    """Which ids a tokenizer gives to text; `same_tokenizer` compares two.

    The fingerprint covers the ids of a probe text and those of bos and eos. It is None where the tokenizer could not be
    read; `unknown_because` says why.
    """

    model_config = ConfigDict(frozen=True)

    fingerprint: str | None = None
    unknown_because: str = ""
    vocabulary: int | None = None  # entries, added tokens included; the model's embedding may have more rows
    specials: dict[str, int] = Field(default_factory=dict)  # all special tokens and their ids
    bos: str | None = None
    bos_id: int | None = None
    eos: str | None = None
    eos_id: int | None = None
    pad: str | None = None
    pad_id: int | None = None
    unk: str | None = None
    unk_id: int | None = None
    adds_bos: bool = False


class LineageTeacher(BaseModel):
    model_config = ConfigDict(frozen=True)

    path: str
    parameters: int | None = None
    fingerprint: str | None = None  # of the teacher's tokenizer


class Lineage(BaseModel):
    """Which run made a model, from what: `stillroom.json` in the folders we write."""

    model_config = ConfigDict(frozen=True)

    run: str
    teacher: LineageTeacher | None = None
    base: LineageTeacher | None = None  # what was tuned, or merged with adapters; its fingerprint is of the weights
    data: Any = None
    created: str | None = None  # ISO 8601
    scores: dict[str, Any] = Field(default_factory=dict)


class ModelInfo(BaseModel):
    """What is known about a model folder. Counts are exact; `problems` are in words and don't prevent its use."""

    model_config = ConfigDict(frozen=True)

    path: Path
    name: str
    architecture: str  # the class named in config.json, else its model_type; PEFT's type for an adapter
    model_type: str | None
    shape: Shape | None  # None outside core.shapes.KNOWN_FAMILIES
    parameters: int
    non_embedding_parameters: int
    dtypes: tuple[str, ...]  # of the stored weights, most common first: BF16, F32 …
    size_bytes: int  # of the weight files
    context: int | None  # tokens
    vocabulary: int | None  # rows of the embedding
    tied: bool
    eos_token_ids: tuple[int, ...]  # any of them ends a generation
    tokenizer: TokenizerIdentity
    fingerprint: str  # of the weights: changes when they do
    is_adapter: bool = False
    base_model: str | None = None  # what an adapter is for
    quantization: str | None = None
    needs_remote_code: bool = False
    lineage: Lineage | None = None
    problems: tuple[str, ...] = ()


class ModelEntry(BaseModel):
    """A line of the library: what is known about the model, or why it cannot be used."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: Path
    info: ModelInfo | None = None
    broken: str | None = None


# --- a folder as a whole ----------------------------------------------------------------------------------------------


def inspect_model(path: Path, allow_remote_code: bool = False) -> ModelInfo:
    """Everything about the model in folder `path` that can be told without loading it.

    Raises BadModel, naming the file, field or tensor, when the folder is no usable model: missing or unreadable files,
    pickled weights only, truncated or corrupt safetensors, missing shards, tensors that contradict config.json, or a
    model that runs code of its own while `allow_remote_code` is off.
    """
    path = Path(path)
    try:
        return _inspect(path, allow_remote_code)
    except OSError as error:
        raise BadModel(
            f"{error.filename or path} cannot be read: {error.strerror or error}.",
            "Check its permissions and the disk.",
        ) from error


def _inspect(path: Path, allow_remote_code: bool) -> ModelInfo:
    if not path.is_dir():
        raise BadModel(f"{path} is {'a file' if path.exists() else 'not there'}.", "Name the folder of a model.")
    if (path / "adapter_config.json").is_file() and not (path / "config.json").is_file():
        return _inspect_adapter(path)
    config = read_config(path)
    remote = _wants_remote_code(path, config)
    if remote and not allow_remote_code:
        raise BadModel(
            f'{path.name} wants to run Python code of its own ("auto_map" in {remote}).',
            "Allow it for this model if you trust its author, or choose another model.",
        )
    weights = _Weights(path, _weight_files(path, "model"))
    quantization = _quantization(config)
    problems: list[str] = []
    known = config["model_type"] in KNOWN_FAMILIES and not config.get("add_cross_attention")
    shape = shape_of(config) if known else None
    if shape is None:
        count = _count_of_unknown(config, weights)
        problems.append(
            f'The architecture "{config["model_type"]}" is unknown here: usable as an existing checkpoint only.'
        )
    else:
        count = count_parameters(config)
        if quantization is None:
            problems += _check_against_config(path, config, shape, weights)
    if quantization is not None:
        problems.append(f"Its weights are quantized ({quantization}): no student can be cut from it.")
    lineage, trouble = _read_lineage(path)
    tokenizer = tokenizer_identity(path)
    problems += [text for text in (trouble, _sentence(tokenizer.unknown_because)) if text]
    architectures = config.get("architectures") or [config["model_type"]]
    text_config = config.get("text_config") or config
    return ModelInfo(
        path=path,
        name=name_of(path),
        architecture=str(architectures[0]),
        model_type=str(config["model_type"]),
        shape=shape,
        parameters=count.total,
        non_embedding_parameters=count.non_embedding,
        dtypes=weights.dtypes(),
        size_bytes=weights.size_bytes,
        context=shape.context if shape else _first_int(text_config, "max_position_embeddings", "n_positions"),
        vocabulary=shape.vocabulary if shape else _first_int(text_config, "vocab_size"),
        tied=shape.tied if shape else bool(config.get("tie_word_embeddings", False)),
        eos_token_ids=_eos_token_ids(path, config),
        tokenizer=tokenizer,
        fingerprint=weights.fingerprint(),
        quantization=quantization,
        needs_remote_code=remote is not None,
        lineage=lineage,
        problems=tuple(problems),
    )


def _sentence(clause: str) -> str:
    return clause and f"{clause}."


def _inspect_adapter(path: Path) -> ModelInfo:
    config = _read_object(path / "adapter_config.json")
    weights = _Weights(path, _weight_files(path, "adapter_model"))
    lineage, trouble = _read_lineage(path)
    base = config.get("base_model_name_or_path")
    size = sum(tensor.numel for tensor in weights.tensors.values())
    tokenizer = tokenizer_identity(path)
    return ModelInfo(
        path=path,
        name=name_of(path),
        architecture=str(config.get("peft_type", "adapter")),
        model_type=None,
        shape=None,
        parameters=size,
        non_embedding_parameters=size,
        dtypes=weights.dtypes(),
        size_bytes=weights.size_bytes,
        context=None,
        vocabulary=None,
        tied=False,
        eos_token_ids=(),
        tokenizer=tokenizer,
        fingerprint=weights.fingerprint(),
        is_adapter=True,
        base_model=None if base is None else str(base),
        lineage=lineage,
        problems=tuple(text for text in ("An adapter: it works on top of its base model only.", trouble) if text),
    )


def read_config(path: Path) -> dict[str, Any]:
    """`config.json` of the model in folder `path`. Raises BadModel if it is missing, broken or names no model_type."""
    file = path / "config.json"
    if not file.is_file():
        if gguf := sorted(path.glob("*.gguf")):
            raise BadModel(
                f"{path.name} holds a GGUF file ({gguf[0].name}), which is made for running, not for training.",
                "Use the original model it was converted from.",
            )
        raise BadModel(f"{path} has no config.json, so it is no model.", "Name the folder that holds config.json.")
    config = _read_object(file)
    if not isinstance(config.get("model_type"), str) or not config["model_type"]:
        raise BadModel(
            f'{file} names no "model_type", so the architecture is unknown.', "Save it again with transformers."
        )
    return config


def _read_object(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise BadModel(f"{file} cannot be read: {error.strerror or error}.", "Check its permissions.") from error
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{file} is not valid JSON ({error}).", "Fetch or save the model again.") from error
    if not isinstance(value, dict):
        raise BadModel(f"{file} holds no JSON object.", "Fetch or save the model again.")
    return value


def _optional_object(file: Path) -> dict[str, Any]:
    return _read_object(file) if file.is_file() else {}


def _wants_remote_code(path: Path, config: Mapping[str, Any]) -> str | None:
    """The file that asks for code from the model's folder or its author's repository, if one does."""
    if config.get("auto_map"):
        return "config.json"
    if _optional_object(path / "tokenizer_config.json").get("auto_map"):
        return "tokenizer_config.json"
    return None


def _quantization(config: Mapping[str, Any]) -> str | None:
    settings = config.get("quantization_config")
    return str(settings.get("quant_method", "unknown method")) if isinstance(settings, dict) else None


def _first_int(config: Mapping[str, Any], *names: str) -> int | None:
    return next((config[name] for name in names if isinstance(config.get(name), int)), None)


def _eos_token_ids(path: Path, config: Mapping[str, Any]) -> tuple[int, ...]:
    """Ids that end a generation: those of generation_config.json, else of config.json, as transformers reads them."""
    ids = _optional_object(path / "generation_config.json").get("eos_token_id", config.get("eos_token_id"))
    listed = ids if isinstance(ids, list) else [ids]
    return tuple(id_ for id_ in listed if isinstance(id_, int))


# --- safetensors ------------------------------------------------------------------------------------------------------

_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
_BITS |= {"I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32}
_BITS |= {"I64": 64, "U64": 64, "F64": 64, "C64": 64}
_HEADER_LIMIT_BYTES = 100_000_000  # the format's own


class TensorHeader(BaseModel):
    """A tensor as the header of its safetensors file describes it."""

    model_config = ConfigDict(frozen=True)

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]  # bytes from the end of the header

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


def read_header(file: Path) -> dict[str, TensorHeader]:
    """Tensors of a safetensors file by name: 8 bytes little-endian length, JSON of that length, then the data.

    Raises BadModel when the file is unreadable, shorter or longer than its header says, or no safetensors file.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(8)
            if start == b"version ":
                raise BadModel(
                    f"{file} is a Git LFS pointer, not the weights.", "Run `git lfs pull`, or download it with `hf`."
                )
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > _HEADER_LIMIT_BYTES:
                raise _corrupt(file, "it does not begin like a safetensors file")
            if length > size - 8:
                raise BadModel(
                    f"{file} is truncated: its header alone is {bytes_text(length)}, the file {bytes_text(size)}.",
                    "Download or copy it again.",
                )
            header = json.loads(stream.read(length))
    except OSError as error:
        raise BadModel(f"{file} cannot be read: {error.strerror or error}.", "Check the file.") from error
    except (ValueError, RecursionError) as error:
        raise _corrupt(file, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _corrupt(file, "its header is no JSON object")
    header.pop("__metadata__", None)
    try:
        tensors = {name: TensorHeader.model_validate(value) for name, value in header.items()}
    except ValidationError as error:
        raise _corrupt(file, "its header describes no tensors") from error
    _check_extent(file, tensors, size - 8 - length)
    return tensors


def _check_extent(file: Path, tensors: Mapping[str, TensorHeader], data_bytes: int) -> None:
    end = max((tensor.data_offsets[1] for tensor in tensors.values()), default=0)
    if end > data_bytes:
        last = next(name for name, tensor in tensors.items() if tensor.data_offsets[1] > data_bytes)
        raise BadModel(
            f'{file} is truncated: {bytes_text(end - data_bytes)} are missing, in tensor "{last}" and after.',
            "Download or copy it again.",
        )
    if end < data_bytes:
        raise _corrupt(file, f"it is {bytes_text(data_bytes - end)} longer than its header says")
    at = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        begin, stop = tensor.data_offsets
        bits = _BITS.get(tensor.dtype)
        if begin != at or stop < begin or (bits is not None and (stop - begin) * 8 != tensor.numel * bits):
            raise _corrupt(file, f'its header puts tensor "{name}" at bytes {begin} to {stop}, which does not fit')
        at = stop


def _corrupt(file: Path, why: str) -> BadModel:
    return BadModel(f"{file} is corrupt: {why}.", "Download or copy it again.")


def weight_files(path: Path) -> list[Path]:
    """The safetensors files of a model or adapter. Raises BadModel when they are missing."""
    return sorted(_weight_files(path, "model" if (path / "config.json").is_file() else "adapter_model"))


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The dimensions of every tensor in the weight files of a model or adapter, by name.

    Raises BadModel when they are missing or corrupt.
    """
    stem = "model" if (path / "config.json").is_file() else "adapter_model"
    return {name: tensor.shape for name, tensor in _Weights(path, _weight_files(path, stem)).tensors.items()}


def _weight_files(path: Path, stem: str) -> dict[Path, set[str] | None]:
    """The safetensors files of a folder, each with the tensors its index promises (None without an index)."""
    single, index = path / f"{stem}.safetensors", path / f"{stem}.safetensors.index.json"
    if single.is_file():
        return {single: None}
    if not index.is_file():
        raise _no_weights(path, stem)
    listed = _read_object(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise BadModel(f'{index} has no "weight_map".', "Fetch the model again.")
    promised: dict[Path, set[str]] = {}
    for tensor, name in listed.items():
        if not isinstance(name, str) or Path(name).name != name:
            raise BadModel(f'{index} looks for tensor "{tensor}" in {name!r}, outside the folder.', "Fetch it again.")
        promised.setdefault(path / name, set()).add(tensor)
    missing = [file.name for file in promised if not file.is_file()]
    if missing:
        raise BadModel(
            f"{path.name} lacks {len(missing)} of its {len(promised)} weight files: {_some(missing)}.",
            "Fetch the missing files into the folder.",
        )
    return dict(promised)


def _no_weights(path: Path, stem: str) -> BadModel:
    pickled = sorted({*path.glob("*.bin"), *path.glob("*.bin.index.json"), *path.glob("*.pt"), *path.glob("*.pth")})
    pickled = [file for file in pickled if file.name != "training_args.bin"]
    if pickled:
        return BadModel(
            f"{path.name} has pickled weights only ({pickled[0].name}), and opening a pickle can run any code.",
            "Convert it to safetensors (load it where you trust it and save_pretrained), or fetch a safetensors copy.",
        )
    others = sorted(file.name for file in path.glob("*.safetensors"))
    hint = f"; it has {_some(others)}, which nothing names" if others else ""
    return BadModel(
        f"{path.name} has no weights: neither {stem}.safetensors nor {stem}.safetensors.index.json{hint}.",
        "Fetch the weights into the folder.",
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


class _Weights:
    """The tensors of all weight files of a folder, checked against the index."""

    def __init__(self, path: Path, files: Mapping[Path, set[str] | None]) -> None:
        self.files = sorted(files)
        self.tensors: dict[str, TensorHeader] = {}
        self.size_bytes = sum(file.stat().st_size for file in self.files)
        for file in self.files:
            held, promised = read_header(file), files[file]
            if promised is not None and (absent := sorted(promised - held.keys())):
                raise BadModel(
                    f'{path.name}: the index promises tensor "{absent[0]}" in {file.name}, which does not hold it '
                    f"({len(absent)} such tensors).",
                    "Fetch the index and the weights again, of the same version.",
                )
            self.tensors |= held if promised is None else {name: held[name] for name in promised}

    def dtypes(self) -> tuple[str, ...]:
        sizes: dict[str, int] = {}
        for tensor in self.tensors.values():
            sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.numel
        return tuple(sorted(sizes, key=lambda dtype: -sizes[dtype]))

    def fingerprint(self) -> str:
        """SHA-256 of headers and of 64 samples of 1 kB a file: a retrained copy differs nearly everywhere."""
        digest = hashlib.sha256()
        for file in self.files:
            with file.open("rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                digest.update(stream.read(length))
                size = file.stat().st_size
                for sample in range(64):
                    stream.seek(8 + length + (size - 8 - length) * sample // 64)
                    digest.update(stream.read(1024))
        return digest.hexdigest()


# --- weights against config -------------------------------------------------------------------------------------------

# Constants that older versions of transformers saved among the weights.
_BUFFER = re.compile(r"(\.rotary_emb\.inv_freq|\.masked_bias|^h\.\d+\.attn\.bias|^layers\.\d+\.attention\.bias)$")
_PREFIX = {"gpt2": "transformer.", "gpt_neox": "gpt_neox."}
_HEADS = ("lm_head.weight", "embed_out.weight")


def _check_against_config(path: Path, config: Mapping[str, Any], shape: Shape, weights: _Weights) -> list[str]:
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
        return [
            f"{len(extra)} tensors belong to no part of this architecture and are left out: {_some(sorted(extra))}."
        ]
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


def _count_of_unknown(config: Mapping[str, Any], weights: _Weights) -> ParameterCount:
    """Counted from the headers: buffers left out, a stored copy of a tied head counted once.

    Embeddings and head are the matrices with a row for each entry of the vocabulary.
    """
    tensors = {name: tensor for name, tensor in weights.tensors.items() if not _BUFFER.search(name)}
    text_config = config.get("text_config") or config
    rows = _first_int(text_config, "vocab_size")
    outer = {name: t for name, t in tensors.items() if len(t.shape) == 2 and t.shape[0] == rows}
    if config.get("tie_word_embeddings") and len(outer) > 1:
        for head in [name for name in outer if name.endswith(_HEADS)]:
            del tensors[head], outer[head]
    total = sum(tensor.numel for tensor in tensors.values())
    return ParameterCount(total=total, non_embedding=total - sum(tensor.numel for tensor in outer.values()))


# --- tokenizers -------------------------------------------------------------------------------------------------------

# Scripts, accents in both normal forms, code, white space, digits, signs: where tokenizers part ways.
_PROBE = """Once upon a time, there was a little girl named Lily. She didn't know THE answer; it's O'Brien's, we'll see!
The quick brown fox jumps over 13 lazy dogs' backs — “quoted”, ‘so’, (twice)… 50% off @home #1 a/b & c.d@e.org
Überraschung: naïve façade, cafe\u0301 coöperates; ﬁne ligature ½ x² ≤ ∞ ≠ √π €9,99 £5 ¥100
Жили-были дед и баба. Ένας γρήγορος τόπος. 私は猫である。名前はまだ無い。你好，世界！ 안녕하세요 세계
مرحبا بالعالم שלום עולם नमस्ते दुनिया สวัสดีชาวโลก ሰላም
0 1 12 123 1234 12345 123456789 3.14159 1e-9 0xFF 2024-02-29 12:34:56 +1 (555) 010-9999
def f(x, *args):\n    if x == 0:\n\treturn {"a": [1, 2]}  # why?\n        x += 1; y = x**2 != ~x
</div> <!-- --> \\n &amp;
for (int i=0;i<n;++i){a[i]^=b[i]>>3;}\r\nSELECT * FROM t WHERE a LIKE '%x%';
   \t \t\n\n\n  trailing   \u00a0\u2003\u200b
🙂👍🏽👩‍👩‍👧‍👦🇩🇪 ☃️ 𝔘𝔫𝔦 \u0000\u007f\ufffd aaaaaaaaaaaaaaaaaaaaaaaa ================ HTTPServerError camelCase snake_case
"""
_KINDS = ("bos", "eos", "pad", "unk")


def tokenizer_identity(folder: Path) -> TokenizerIdentity:
    """Identity of the tokenizer in a model folder, from tokenizer.json or a GPT-2 vocab.json with merges.txt.

    Raises BadModel when one of its JSON files is broken; a kind that cannot be read here is unknown, with the reason.
    """
    folder = Path(folder)
    settings = _optional_object(folder / "tokenizer_config.json")
    special_map = _optional_object(folder / "special_tokens_map.json")
    config = _optional_object(folder / "config.json")
    tokenizer, why = _load_tokenizer(folder, settings)
    if tokenizer is None:
        return TokenizerIdentity(unknown_because=why)
    kinds: dict[str, Any] = {}
    for kind in _KINDS:
        token = _token_text(settings.get(f"{kind}_token", special_map.get(f"{kind}_token")))
        id_ = tokenizer.token_to_id(token) if token is not None else None
        if token is None and isinstance(config.get(f"{kind}_token_id"), int):
            id_ = config[f"{kind}_token_id"]
            token = tokenizer.id_to_token(id_)
        kinds |= {kind: token, f"{kind}_id": id_}
    marked = [added for added in tokenizer.get_added_tokens_decoder().items() if added[1].special]
    specials = {added.content: id_ for id_, added in marked} | {
        kinds[kind]: kinds[f"{kind}_id"] for kind in _KINDS if kinds[kind] and kinds[f"{kind}_id"] is not None
    }
    if (folder / "tokenizer.json").is_file():  # which outdoes the setting, in transformers 5 too
        adds_bos = tokenizer.encode("a").ids[:1] == [kinds["bos_id"]]
    else:
        adds_bos = bool(settings.get("add_bos_token", False))
    ids = tokenizer.encode(_PROBE, add_special_tokens=False).ids
    digest = hashlib.sha256(json.dumps([ids, kinds["bos_id"], kinds["eos_id"]]).encode()).hexdigest()
    return TokenizerIdentity(
        fingerprint=digest,
        vocabulary=tokenizer.get_vocab_size(with_added_tokens=True),
        specials=specials,
        adds_bos=adds_bos,
        **kinds,
    )


def same_tokenizer(a: Path | TokenizerIdentity, b: Path | TokenizerIdentity) -> tuple[bool, str]:
    """Whether two tokenizers give the same ids and have the same special tokens, and why (not): a clause, no full stop.

    Padding is left out: it is never predicted, and people add it to a tokenizer without changing anything else.
    One that is unknown counts as different. Raises BadModel for a folder whose tokenizer files are broken.
    """
    a, b = (each if isinstance(each, TokenizerIdentity) else tokenizer_identity(each) for each in (a, b))
    for identity in (a, b):
        if identity.fingerprint is None:
            return False, f"they cannot be compared: {identity.unknown_because or 'one of them is unknown'}"
    for kind in ("bos", "eos"):
        mine, theirs = (f"{getattr(i, kind)} ({getattr(i, kind + '_id')})" for i in (a, b))
        if mine != theirs:
            return False, f"their {kind} tokens differ: {mine} and {theirs}"
    padding = {a.pad, b.pad} - {a.bos, a.eos}
    differing = sorted({token for token, _ in a.specials.items() ^ b.specials.items() if token not in padding})
    if differing:
        return False, f"their special tokens differ: {_some(differing)}"
    if a.fingerprint != b.fingerprint:
        return False, "they cut the same text into different tokens"
    return True, "both give the same ids to a probe text and have the same special tokens"


def _token_text(token: Any) -> str | None:
    """A special token in a config file is a string or an object with `content`."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _load_tokenizer(folder: Path, settings: Mapping[str, Any]) -> tuple[Tokenizer | None, str]:
    """The tokenizer, or why it isn't known."""
    fast = folder / "tokenizer.json"
    if fast.is_file():
        return _read_tokenizer(fast, fast.stat().st_mtime_ns), ""
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    if vocab.is_file() and merges.is_file():
        kind = str(settings.get("tokenizer_class", "GPT2Tokenizer")).removesuffix("Fast")
        if kind in ("GPT2Tokenizer", "GPTNeoXTokenizer"):
            return _byte_level_bpe(vocab, merges), ""
        return None, f"{folder.name} has a slow {kind} only, which splits text by rules of its own: no tokenizer.json"
    if sentencepiece := sorted(folder.glob("*.model")):
        return None, f"{folder.name} has a SentencePiece tokenizer only ({sentencepiece[0].name}): no tokenizer.json"
    return None, f"{folder.name} has no tokenizer"


@lru_cache(maxsize=2)  # large ones take most of a second, and a teacher is looked at again and again
def _read_tokenizer(file: Path, changed_ns: int) -> Tokenizer:
    from tokenizers import Tokenizer

    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises plain Exception for whatever it cannot parse
        raise BadModel(f"{file} is no readable tokenizer ({error}).", "Fetch the tokenizer again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _byte_level_bpe(vocab: Path, merges: Path) -> Tokenizer:
    from tokenizers import Tokenizer, models, pre_tokenizers

    try:
        tokenizer = Tokenizer(models.BPE.from_file(str(vocab), str(merges)))
    except Exception as error:  # as above
        raise BadModel(
            f"{vocab} and {merges.name} are no readable tokenizer ({error}).", "Fetch them again."
        ) from error
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


# --- lineage ----------------------------------------------------------------------------------------------------------


def _read_lineage(path: Path) -> tuple[Lineage | None, str]:
    """Lineage, or what is wrong with its file: a model is not broken for that."""
    file = path / LINEAGE_FILE
    if not file.is_file():
        return None, ""
    try:
        return Lineage.model_validate_json(file.read_bytes()), ""
    except (OSError, ValidationError):
        return None, f"{LINEAGE_FILE} cannot be read, so the lineage is unknown."


# --- finding models ---------------------------------------------------------------------------------------------------

_SNAPSHOT = re.compile(r"models--(?P<name>[^/\\]+)[/\\]snapshots[/\\][^/\\]+$")
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def name_of(path: Path) -> str:
    """The name people know a model by: `organisation/name` in the Hub cache, the run's name and the end of its id for its
    student ("tonight · 5b3b"), else the folder's name.
    """
    match = _SNAPSHOT.search(str(path))
    if match:
        return match["name"].replace("--", "/", 1)
    folder = path.resolve()
    return _name_of_student(folder.parent.parent) if folder.parent.name == "artifacts" else folder.name


def _name_of_student(run: Path) -> str:
    try:
        meta = read_json(run / "meta.json")
    except (OSError, ValueError):
        return run.name
    name = str(meta.get("name") or "") if isinstance(meta, dict) else ""
    return f"{name} · {run.name.rpartition('-')[2]}" if name else run.name


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it downloads, by its own environment variables."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or Path(cache) / "huggingface").expanduser() / "hub"


def resolve_model(name_or_path: str | Path, cache_dir: Path | None = None) -> Path:
    """The folder that is meant: a path, or the name of a model that the local Hub cache holds. Nothing is downloaded.

    Raises BadModel when there is neither.
    """
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return folder.absolute()
    if folder.exists():
        raise BadModel(f"{folder} is a file.", f"Name the folder of a model, perhaps {folder.parent}.")
    name = str(name_or_path)
    if not _HUB_NAME.fullmatch(name):
        raise BadModel(f"There is no folder {folder}.", "Check the path.")
    cache = cache_dir or hub_cache()
    snapshot = _snapshot_of(cache / f"models--{name.replace('/', '--')}")
    if snapshot is None:
        raise BadModel(
            f'"{name}" is neither a folder nor a model in the Hub cache ({cache}).',
            f"Check the path, or download it first: hf download {name}",
        )
    return snapshot


def scan_hub_cache(cache_dir: Path | None = None) -> list[Path]:
    """Folders of the models in the Hub cache, at the revision last fetched as `main`, else the newest one."""
    cache = cache_dir or hub_cache()
    if not cache.is_dir():
        return []
    found = (_snapshot_of(repository) for repository in sorted(cache.glob("models--*")))
    return [snapshot for snapshot in found if snapshot is not None and _looks_like_model(snapshot)]


def _snapshot_of(repository: Path) -> Path | None:
    snapshots = repository / "snapshots"
    main = repository / "refs" / "main"
    commit = main.read_text(encoding="utf-8").strip() if main.is_file() else ""
    if commit and (snapshots / commit).is_dir():
        return snapshots / commit
    folders = [folder for folder in snapshots.glob("*") if folder.is_dir()]
    return max(folders, key=lambda folder: folder.stat().st_mtime, default=None)


def scan_folder(path: Path, depth: int = 2) -> list[Path]:
    """Model folders at `path` or at most `depth` levels below it; folders within a model are not looked into."""
    found = []
    for folder, below, _ in os.walk(path):
        here = Path(folder)
        if _looks_like_model(here):
            found.append(here)
            below.clear()
        elif len(here.relative_to(path).parts) >= depth:
            below.clear()
        below[:] = sorted(name for name in below if not name.startswith("."))
    return found


def _looks_like_model(folder: Path) -> bool:
    if any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        return True
    return any(True for _ in folder.glob("*.safetensors"))


def entry_of(path: Path, allow_remote_code: bool = False) -> ModelEntry:
    """The library's line for a folder: a broken model has the reason instead of its facts."""
    try:
        return ModelEntry(name=name_of(path), path=path, info=inspect_model(path, allow_remote_code))
    except BadModel as trouble:
        return ModelEntry(name=name_of(path), path=path, broken=str(trouble))
