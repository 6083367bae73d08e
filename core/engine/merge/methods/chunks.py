"""Tensors of any size, a piece at a time: what lets a merge of giants run in the memory of a few pieces.

Every method converts, computes and stores pieces of a million values, which also stay in the processor's cache. Legend of shapes:
N models, C the values of a piece, R rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

PIECE = 2**19  # values
GRAM_PIECE = 2**18  # of float64


class Unmergeable(Exception):
    """These tensors can't be merged so; says why, in a clause."""


def pieces(count: int, size: int = PIECE) -> Iterator[slice]:
    """Slices that cover `count` values in order."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def flat(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor.reshape(-1) for tensor in tensors]


def rows_of(tensor: torch.Tensor) -> torch.Tensor:
    """As (rows, last axis); a vector is one row."""
    return tensor.reshape(-1, tensor.shape[-1]) if tensor.dim() else tensor.reshape(1, 1)


def arithmetic_for(tensors: Sequence[torch.Tensor]) -> torch.dtype:
    """float32, or float64 where an input is: narrower types lose the small changes that a merge is about."""
    return torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32


def gram(tensors: Sequence[torch.Tensor], base: torch.Tensor | None = None) -> torch.Tensor:
    """Inner products (N, N), in float64, of the tensors, or of their differences from `base`."""
    views, origin = flat(tensors), None if base is None else base.reshape(-1)
    count, size = len(views), views[0].numel()
    total_NN = torch.zeros(count, count, dtype=torch.float64)
    # once: new room for each piece takes most of the time
    own_NC = torch.empty(count, min(GRAM_PIECE, size), dtype=torch.float64)
    start_C = None if origin is None else torch.empty_like(own_NC[0])
    for part in pieces(size, GRAM_PIECE):
        piece_NC = own_NC[:, : part.stop - part.start]
        for row_C, view in zip(piece_NC, views, strict=True):
            row_C.copy_(view[part])
        if origin is not None and start_C is not None:
            piece_NC -= start_C[: piece_NC.shape[1]].copy_(origin[part])
        total_NN.addmm_(piece_NC, piece_NC.T)
    return total_NN


def combine(
    tensors: Sequence[torch.Tensor],
    weights: Sequence[float],
    *,
    base: torch.Tensor | None = None,
    arithmetic: torch.dtype,
    stored: torch.dtype,
) -> torch.Tensor:
    """Σ weightᵢ·tensorᵢ, or base + Σ weightᵢ·(tensorᵢ − base)."""
    views, origin = flat(tensors), None if base is None else base.reshape(-1)
    out = torch.empty(views[0].numel(), dtype=stored)
    room = torch.empty(3, min(PIECE, out.numel()), dtype=arithmetic)
    for part in pieces(out.numel()):
        total, value, start = room[:, : part.stop - part.start]
        total.zero_()
        if origin is not None:
            start.copy_(origin[part])
        for view, weight in zip(views, weights, strict=True):
            value.copy_(view[part])
            total.add_(value if origin is None else value.sub_(start), alpha=weight)
        out[part] = total if origin is None else total.add_(start)
    return out.reshape(tensors[0].shape)


def all_finite(tensor: torch.Tensor) -> bool:
    """Whether no value is NaN or infinite. A sum tells at a tenth of the cost, and only a strange one is looked into."""
    if not tensor.is_floating_point():
        return True
    view = tensor.reshape(-1)
    for part in pieces(view.numel()):
        piece = view[part]
        if not math.isfinite(piece.sum(dtype=torch.float32).item()) and not bool(piece.isfinite().all()):
            return False
    return True
