"""Where tensors lie on disk, read from the headers of safetensors files."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from core.model_files import read_header

FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
WHOLE = {"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
SIZES = FLOATS | WHOLE  # bytes a value, of the types that can be merged or copied


@dataclass(frozen=True)
class TensorFacts:
    """A tensor on disk: `at` is the byte of `file` where it begins. A tensor that a merge will make has no file."""

    shape: tuple[int, ...]
    dtype: str  # as safetensors writes it
    file: Path | None = None
    at: int = 0

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return self.count * SIZES[self.dtype]


def tensors_in(folder: Path, stem: str) -> dict[str, TensorFacts]:
    """The tensors of `<stem>.safetensors`, or of the files that its index names, as they are called there."""
    index = folder / f"{stem}.safetensors.index.json"
    files = [folder / f"{stem}.safetensors"]
    listed: dict[str, str] | None = None
    if not files[0].is_file():
        listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = sorted(folder / name for name in set(listed.values()))
    found = {}
    for file in files:
        with file.open("rb") as stream:
            start = 8 + int.from_bytes(stream.read(8), "little")
        for name, header in read_header(file).items():
            if listed is None or listed.get(name) == file.name:
                found[name] = TensorFacts(header.shape, header.dtype, file, start + header.data_offsets[0])
    return found
