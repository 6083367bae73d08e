"""What a model folder holds, found out without torch: sizes, shape, tokenizer, lineage, and what is wrong with it.

`inspect_model` reads `config.json` and the headers of the safetensors files, never the weights; `entry_of` turns a folder
into a line of the library, broken or not. `core.model_folders` finds folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import BadModel
from core.model_files import Weights, first_int, json_object, optional_object, quantization_of, read_config
from core.model_folders import name_of
from core.shapes import KNOWN_FAMILIES, Shape, count_parameters, shape_of
from core.tensors import check_against_config, count_of_unknown
from core.tokenizer import TokenizerIdentity, tokenizer_identity

LINEAGE_FILE = "stillroom.json"


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
    weights = Weights(path, "model")
    quantization = quantization_of(config)
    problems: list[str] = []
    known = config["model_type"] in KNOWN_FAMILIES and not config.get("add_cross_attention")
    shape = shape_of(config) if known else None
    if shape is None:
        count = count_of_unknown(config, weights)
        problems.append(
            f'The architecture "{config["model_type"]}" is unknown here: usable as an existing checkpoint only.'
        )
    else:
        count = count_parameters(config)
        if quantization is None:
            problems += check_against_config(path, config, shape, weights)
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
        context=shape.context if shape else first_int(text_config, "max_position_embeddings", "n_positions"),
        vocabulary=shape.vocabulary if shape else first_int(text_config, "vocab_size"),
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
    config = json_object(path / "adapter_config.json")
    weights = Weights(path, "adapter_model")
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


def _wants_remote_code(path: Path, config: Mapping[str, Any]) -> str | None:
    """The file that asks for code from the model's folder or its author's repository, if one does."""
    if config.get("auto_map"):
        return "config.json"
    if optional_object(path / "tokenizer_config.json").get("auto_map"):
        return "tokenizer_config.json"
    return None


def _eos_token_ids(path: Path, config: Mapping[str, Any]) -> tuple[int, ...]:
    """Ids that end a generation: those of generation_config.json, else of config.json, as transformers reads them."""
    ids = optional_object(path / "generation_config.json").get("eos_token_id", config.get("eos_token_id"))
    listed = ids if isinstance(ids, list) else [ids]
    return tuple(id_ for id_ in listed if isinstance(id_, int))


def _read_lineage(path: Path) -> tuple[Lineage | None, str]:
    """Lineage, or what is wrong with its file: a model is not broken for that."""
    file = path / LINEAGE_FILE
    if not file.is_file():
        return None, ""
    try:
        return Lineage.model_validate_json(file.read_bytes()), ""
    except (OSError, ValidationError):
        return None, f"{LINEAGE_FILE} cannot be read, so the lineage is unknown."


def entry_of(path: Path, allow_remote_code: bool = False) -> ModelEntry:
    """The library's line for a folder: a broken model has the reason instead of its facts."""
    try:
        return ModelEntry(name=name_of(path), path=path, info=inspect_model(path, allow_remote_code))
    except BadModel as trouble:
        return ModelEntry(name=name_of(path), path=path, broken=str(trouble))
