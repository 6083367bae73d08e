"""Absmax int8, tensor by tensor: what rounding weights to bytes does to each of them, read from the files without torch.

    x_q = round(127 / max|x| · x),   x ≈ max|x| / 127 · x_q          (methods.md §6; Dettmers et al., LLM.int8(), arXiv 2208.07339, eq. 1)

with the largest value of a row, or of the whole tensor. Matrices only: norms and biases are kept as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import BadModel
from core.model_files import TensorHeader, read_header, weight_files

if TYPE_CHECKING:
    import numpy as np

Per = Literal["row", "tensor"]
LEVELS = 127
BINS = 101
SCALE_BYTES = 2  # a float16 for each row or tensor
ROWS_BYTES = 64 * 2**20  # looked at together, in float32
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class TensorLook:
    """One matrix before and after. `relative_error` is ‖x − x̂‖ / ‖x‖; both histograms count values in the same bins of −`largest` to `largest`;
    `zeroed` is the share of values that are not 0 and become 0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes_before: int
    bytes_after: int
    largest: float
    relative_error: float
    largest_error: float
    zeroed: float
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class Summary:
    """All matrices together; `kept_bytes` are what stays as it is."""

    matrices: int
    bytes_before: int
    bytes_after: int
    kept_bytes: int
    relative_error: float  # the root mean square over the tensors' own
    worst: str  # the tensor of the largest relative error


def look(folder: Path, per: Per = "row") -> Iterator[TensorLook]:
    """Every matrix of the model in `folder`, in the order of its files. Raises BadModel for missing or quantized weights."""
    for file in weight_files(folder):
        for name, tensor in sorted(read_header(file).items(), key=lambda item: item[1].data_offsets):
            if len(tensor.shape) < 2:
                continue
            if tensor.dtype not in _BYTES:
                raise BadModel(
                    f'The tensor "{name}" of {folder.name} is {tensor.dtype}: the model is quantized already.',
                    "Look at the model that it was made from.",
                )
            yield _look_at(file, name, tensor, per)


def summary(looks: Sequence[TensorLook], folder: Path) -> Summary:
    """What the whole model would gain and lose. Raises BadModel for a model without matrices."""
    if not looks:
        raise BadModel(f"{folder.name} has no matrices.", "Choose a model folder.")
    total = sum(file.stat().st_size for file in weight_files(folder))
    before = sum(one.bytes_before for one in looks)
    error = math.sqrt(sum(one.relative_error**2 for one in looks) / len(looks))
    worst = max(looks, key=lambda one: one.relative_error)
    return Summary(len(looks), before, sum(one.bytes_after for one in looks), total - before, error, worst.name)


def _look_at(file: Path, name: str, tensor: TensorHeader, per: Per) -> TensorLook:
    import numpy as np

    # read twice, so that no tensor is in memory as a whole
    largest = max((float(np.abs(part).max()) for part in _parts(file, tensor)), default=0.0)
    edges = np.linspace(-largest, largest, BINS + 1) if largest else np.linspace(-1.0, 1.0, BINS + 1)
    before, after = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    squares = errors = worst = 0.0
    zeroed = 0
    for part in _parts(file, tensor):
        scale = (
            np.abs(part).max(axis=1, keepdims=True) if per == "row" else np.full((len(part), 1), largest, np.float32)
        )
        rounded, levels = absmax(part, scale)
        difference = (part - rounded).astype(np.float64)
        squares += float(np.square(part, dtype=np.float64).sum())
        errors += float(np.square(difference).sum())
        worst = max(worst, float(np.abs(difference).max()))
        zeroed += int(((levels == 0) & (part != 0)).sum())
        before += np.histogram(part, edges)[0]
        after += np.histogram(rounded, edges)[0]
    size = math.prod(tensor.shape)
    scales = tensor.shape[0] if per == "row" else 1
    return TensorLook(
        name, tensor.shape, tensor.dtype, size * _BYTES[tensor.dtype], size + scales * SCALE_BYTES, largest,
        math.sqrt(errors / squares) if squares else 0.0, worst, zeroed / size if size else 0.0,
        tuple(before.tolist()), tuple(after.tolist()),
    )  # fmt: skip


def absmax(x: np.ndarray[Any, Any], largest: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(x̂, x_q) of float32 values for `largest` values that fit their shape; where the largest is 0, so are both."""
    import numpy as np

    step = np.where(largest > 0, largest / LEVELS, 1).astype(np.float32)
    levels = np.clip(np.rint(x / step), -LEVELS, LEVELS).astype(np.int8)
    return levels.astype(np.float32) * step, levels


def _parts(file: Path, tensor: TensorHeader) -> Iterator[np.ndarray[Any, Any]]:
    """Rows of the tensor as float32, some at a time."""
    import numpy as np

    rows, width = tensor.shape[0], math.prod(tensor.shape[1:])
    if not rows or not width:
        return
    with file.open("rb") as stream:
        start = 8 + int.from_bytes(stream.read(8), "little") + tensor.data_offsets[0]
    stored = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}[tensor.dtype]
    mapped: np.ndarray[Any, Any] = np.memmap(file, stored, "r", start, (rows, width))
    step = max(1, ROWS_BYTES // (4 * width))
    for at in range(0, rows, step):
        part = np.asarray(mapped[at : at + step])
        # bfloat16 is the upper half of a float32
        yield (part.astype(np.uint32) << 16).view(np.float32) if tensor.dtype == "BF16" else part.astype(np.float32)
