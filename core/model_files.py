"""The files of a model folder: its JSON files and the headers of its safetensors files, each read with the reason why it can't be."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import BadModel
from core.numbers import bytes_text


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
    config = json_object(file)
    if not isinstance(config.get("model_type"), str) or not config["model_type"]:
        raise BadModel(
            f'{file} names no "model_type", so the architecture is unknown.', "Save it again with transformers."
        )
    return config


def quantization_of(config: Mapping[str, Any]) -> str | None:
    """By what method the weights are quantized that belong to this config.json; None if they are not."""
    text_config = config.get("text_config")
    inner = text_config.get("quantization_config") if isinstance(text_config, dict) else None
    settings = config.get("quantization_config", inner)
    return str(settings.get("quant_method", "unknown method")) if isinstance(settings, dict) else None


def may_be_quantized(folders: Iterable[str | None]) -> bool:
    """Whether weights may be quantized in one of the folders: its config.json says so, or an adapter's base is not known here.

    Raises BadModel for a broken config.json.
    """
    paths = [Path(folder) for folder in folders if folder]
    return any(
        (path / "adapter_config.json").is_file() or quantization_of(optional_object(path / "config.json"))
        for path in paths
    )


def json_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file of a model. Raises BadModel if it can't be read or holds something else."""
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise BadModel(f"{file} cannot be read: {error.strerror or error}.", "Check its permissions.") from error
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{file} is not valid JSON ({error}).", "Fetch or save the model again.") from error
    if not isinstance(value, dict):
        raise BadModel(f"{file} holds no JSON object.", "Fetch or save the model again.")
    return value


def optional_object(file: Path) -> dict[str, Any]:
    """The same of a file that not every model has: empty where there is none."""
    return json_object(file) if file.is_file() else {}


def some(names: list[str]) -> str:
    """The first three in words, and how many more there are."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def first_int(config: Mapping[str, Any], *names: str) -> int | None:
    """The first of the settings that is there and an integer: families name theirs differently."""
    return next((config[name] for name in names if isinstance(config.get(name), int)), None)


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
    return {name: tensor.shape for name, tensor in Weights(path, stem).tensors.items()}


def _weight_files(path: Path, stem: str) -> dict[Path, set[str] | None]:
    """The safetensors files of a folder, each with the tensors its index promises (None without an index)."""
    single, index = path / f"{stem}.safetensors", path / f"{stem}.safetensors.index.json"
    if single.is_file():
        return {single: None}
    if not index.is_file():
        raise _no_weights(path, stem)
    listed = json_object(index).get("weight_map")
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
            f"{path.name} lacks {len(missing)} of its {len(promised)} weight files: {some(missing)}.",
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
    hint = f"; it has {some(others)}, which nothing names" if others else ""
    return BadModel(
        f"{path.name} has no weights: neither {stem}.safetensors nor {stem}.safetensors.index.json{hint}.",
        "Fetch the weights into the folder.",
    )


class Weights:
    """The tensors of all weight files of a folder, checked against the index. `stem` is how their names begin.

    Raises BadModel when files or tensors are missing, or corrupt.
    """

    def __init__(self, path: Path, stem: str) -> None:
        files = _weight_files(path, stem)
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
