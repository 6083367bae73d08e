"""Means of the weights themselves, and no mean at all."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.engine.merge.methods.chunks import PIECE, Unmergeable, flat, pieces


def linear(
    tensors: Sequence[torch.Tensor],
    *,
    weight: Sequence[float],
    normalize: bool = True,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Σ wᵢ·θᵢ, over Σ wᵢ where `normalize` (Wortsman et al. 2022, arXiv 2203.05482). Any shape."""
    arithmetic = torch.promote_types(arithmetic, torch.float32)
    weights_N = torch.tensor(list(weight), dtype=arithmetic)
    total = weights_N.sum()
    if normalize and abs(total.item()) < 1e-8:
        raise Unmergeable(f"the weights {', '.join(f'{each:g}' for each in weight)} sum to 0, and can't be normalized")
    views = flat(tensors)
    out = torch.empty(views[0].numel(), dtype=stored)
    room = torch.empty(2, min(PIECE, out.numel()), dtype=arithmetic)
    for part in pieces(out.numel()):
        mean, value = room[:, : part.stop - part.start]
        mean.zero_()
        for view, coefficient in zip(views, weights_N, strict=True):
            mean.addcmul_(value.copy_(view[part]), coefficient)
        out[part] = mean.div_(total) if normalize else mean
    return out.reshape(tensors[0].shape)


def passthrough(
    tensor: torch.Tensor,
    *,
    scale: float | None = None,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """The tensor, times `scale` if there is one."""
    if scale is None:
        return tensor.to(stored)
    return (tensor.to(arithmetic) * scale).to(stored)
