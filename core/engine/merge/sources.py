"""Where a merge's tensors come from: files, files with an adapter on top, or another merge, computed when asked for.

Files are mapped, one tensor at a time, and the mapping goes with the tensor: a mapped file as a whole would count as memory of this
process until it ends, however little of it is in use.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

from core.engine.merge import experts, rows
from core.engine.merge.methods import Unmergeable, all_finite, arithmetic_for, merge_tensors
from core.errors import BadModel, Trouble
from core.merge.adapters import Adapter, Change
from core.merge.contents import Contents, is_table
from core.merge.document import ModelRef
from core.merge.plan import COPY, MergePlan, TensorPlan
from core.merge.weights import TensorFacts

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class Source(Protocol):
    def tensor(self, name: str) -> torch.Tensor: ...


def mapped(facts: TensorFacts) -> torch.Tensor:
    """A tensor as it lies in its file, not copied. Writing to it would not reach the file."""
    if not facts.count:
        return torch.empty(facts.shape, dtype=TYPES[facts.dtype])
    assert facts.file is not None
    start = facts.at // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
    ahead = facts.at - start
    with facts.file.open("rb") as stream:
        held = mmap.mmap(stream.fileno(), ahead + facts.size_bytes, offset=start, access=mmap.ACCESS_COPY)
    if hasattr(mmap, "MADV_WILLNEED"):
        held.madvise(mmap.MADV_WILLNEED)
    flat = torch.frombuffer(held, dtype=TYPES[facts.dtype], count=facts.count, offset=ahead)
    return flat.reshape(facts.shape)


@dataclass(frozen=True)
class FolderSource:
    """A model on disk, with its adapter if it has one. NaN and infinity are refused by the tensor's name."""

    contents: Contents

    def tensor(self, name: str) -> torch.Tensor:
        tensor = mapped(self.contents.tensors[name])
        if not all_finite(tensor):
            raise BadModel(
                f"Tensor {name} of {self.contents.name} holds NaN or infinity.",
                "The model is damaged, or its training diverged; fetch it again or choose an earlier checkpoint.",
            )
        adapter = self.contents.adapter
        change = None if adapter is None else adapter.changes.get(name)
        return tensor if adapter is None or change is None else adapted(tensor, change, adapter)


def adapted(tensor: torch.Tensor, change: Change, adapter: Adapter) -> torch.Tensor:
    """W0 + s·B·A in float32 or wider (LoRA; Hu et al. 2021, arXiv 2106.09685, section 4.1); with a magnitude m, m·V/‖V‖ where V is that
    sum and norms are those of the vectors into each output (DoRA; Liu et al. 2024, arXiv 2402.09353, equation 5).
    """

    def read(name: str) -> torch.Tensor:
        found = mapped(adapter.tensors[name])
        if not all_finite(found):
            raise BadModel(
                f"Tensor {name} of the adapter {adapter.folder.name} holds NaN or infinity.", "Train it again."
            )
        return found.to(exact)

    exact = arithmetic_for([tensor])
    if change.whole:
        return read(change.whole).reshape(tensor.shape)
    delta = read(change.b) @ read(change.a)  # (out, in)
    if change.transposed or change.embedding:
        delta = delta.T
    merged = tensor.to(exact).add(delta, alpha=change.scale)
    if change.magnitude:
        across = 0 if change.transposed else 1
        magnitude = read(change.magnitude).reshape(-1).unsqueeze(across)
        merged *= magnitude / merged.norm(dim=across, keepdim=True)
    return merged


@dataclass(frozen=True)
class MergeSource:
    """A planned merge. Each tensor follows from its name and the seed alone, so that order, threads and resumption change nothing."""

    name: str
    plan: MergePlan
    sources: Mapping[ModelRef, Source]
    seed: int
    arithmetic: torch.dtype | None = None  # None: full precision
    gates: experts.Gates | None = None
    by_name: Mapping[str, TensorPlan] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {tensor.name: tensor for tensor in self.plan.tensors})

    def tensor(self, name: str) -> torch.Tensor:
        wanted = self.by_name[name]
        stored = TYPES[wanted.dtype]
        tensors = [self.sources[given.model].tensor(given.tensor) for given in wanted.inputs]
        if wanted.method == COPY:
            return self._same(wanted, tensors)
        if wanted.method in experts.ROLES:
            return experts.make(wanted, tensors, self._generator(name), self.gates, stored)
        if self.plan.alignment is not None and is_table(name):
            models = [given.model for given in wanted.inputs]
            tensors = rows.aligned(self.plan.alignment, models, tensors)
        arithmetic = self.arithmetic
        if arithmetic is not None:
            tensors = [tensor.to(arithmetic) for tensor in tensors]
        try:
            return merge_tensors(
                wanted.method,
                tensors,
                wanted.base,
                wanted.shared,
                wanted.each,
                arithmetic=arithmetic,
                stored=stored,
                generator=self._generator(name),
            )
        except Unmergeable as error:
            raise Trouble(f"Tensor {name} of {self.name} can't be merged: {error}.", "Change the recipe.") from error

    def _generator(self, name: str) -> torch.Generator:
        digest = hashlib.blake2b(f"{self.seed} {self.name} {name}".encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)

    def _same(self, wanted: TensorPlan, tensors: list[torch.Tensor]) -> torch.Tensor:
        for given, tensor in zip(wanted.inputs, tensors, strict=True):
            if not torch.equal(tensor, tensors[0]):
                raise BadModel(
                    f"Tensor {wanted.name} holds no floating-point numbers, and is another in {given.model}.",
                    "Only equal ones can be taken over.",
                )
        return tensors[0]
