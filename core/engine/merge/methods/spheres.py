"""Means along spheres. All of them stay in the span of their inputs, so an N × N matrix of inner products, in float64, is all that has to be
known of the tensors: two passes over them, and no copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from core.engine.merge.methods.chunks import Unmergeable, combine, gram

PARALLEL = 0.9995  # cosine, beyond which slerp goes straight
COLLINEAR = 1e-12  # 1 − cos², below which an angle says nothing any more


def slerp(
    base: torch.Tensor,
    other: torch.Tensor,
    *,
    t: float,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """sin((1−t)θ)/sin θ·base + sin(tθ)/sin θ·other, θ the angle between them (Shoemake 1985); linear where |cos θ| > 0.9995. The norms are
    not interpolated apart: the coefficients apply to the tensors as they are.
    """
    products = gram([base, other])
    norms = products.diagonal().sqrt()
    norms = torch.where(norms > 1e-8, norms, 1.0)
    cosine = (products[0, 1] / (norms[0] * norms[1])).clamp(-1, 1).item()
    weights = _between(t, math.acos(cosine)) if abs(cosine) <= PARALLEL else (1 - t, t)
    return combine([base, other], weights, arithmetic=arithmetic, stored=stored)


def _between(t: float, angle: float) -> tuple[float, float]:
    return math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)


def nuslerp(
    tensors: Sequence[torch.Tensor],
    *,
    weight: Sequence[float],
    base: torch.Tensor | None = None,
    flatten: bool = True,
    row_wise: bool = False,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Slerp of two tensors, or of what they changed in `base`, at t = w₁/(w₀ + w₁), a half where the weights cancel (mergekit, NuSLERP).

    Unless `flatten`, each vector along the last axis by itself, or along the first one if `row_wise`.
    """
    first, second = tensors
    total = weight[0] + weight[1]
    t = 0.5 if abs(total) < 1e-6 else weight[1] / total
    if flatten:
        products = gram([first, second], base)
        norms = products.diagonal().sqrt().clamp(min=1e-7)
        cosine = (products[0, 1] / (norms[0] * norms[1])).clamp(-1, 1).item()
        weights = _between(t, math.acos(cosine)) if 1 - cosine**2 > COLLINEAR else (1 - t, t)
        return combine([first, second], weights, base=base, arithmetic=arithmetic, stored=stored)
    origin = None if base is None else base.to(arithmetic)
    a, b = (each.to(arithmetic) if origin is None else each.to(arithmetic) - origin for each in (first, second))
    axis = 0 if row_wise else -1
    units = [each / each.norm(dim=axis, keepdim=True).clamp(min=1e-7) for each in (a, b)]
    cosines = (units[0] * units[1]).sum(dim=axis, keepdim=True).clamp(-1, 1)
    straight = 1 - cosines.square() <= COLLINEAR
    angles = torch.acos(torch.where(straight, 0, cosines))
    curved = (torch.sin((1 - t) * angles) * a + torch.sin(t * angles) * b) / torch.sin(angles)
    merged = torch.where(straight, (1 - t) * a + t * b, curved)
    return (merged if origin is None else origin + merged).to(stored)


def multislerp(
    tensors: Sequence[torch.Tensor],
    *,
    weight: Sequence[float],
    base: torch.Tensor | None = None,
    normalize_weights: bool = True,
    eps: float = 1e-8,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Unit vectors are projected onto the tangent space at their weighted mean m, averaged there, mapped back by cos‖v‖·m + sin‖v‖·v/‖v‖,
    and given the weighted mean of the norms (Goddard 2025, Multi-SLERP). With a base, on differences from it.
    """
    if len(tensors) == 1:
        return tensors[0].to(stored)
    w_N = torch.tensor(list(weight), dtype=torch.float64)
    if normalize_weights:
        if abs(w_N.sum().item()) < 1e-8:
            raise Unmergeable("the weights sum to 0, and can't be normalized")
        w_N = w_N / w_N.sum()
    products = gram(tensors, base)
    norms_N = products.diagonal().sqrt()
    scale_N = 1 / (norms_N + eps)
    units_NN = products * scale_N[:, None] * scale_N[None, :]  # inner products of the unit vectors
    length = (w_N @ units_NN @ w_N).clamp(min=0).sqrt()
    if length < max(eps, 1e-7):  # the rounding of inner products hides smaller ones
        if len(tensors) == 2:
            return combine(tensors, w_N.tolist(), base=base, arithmetic=arithmetic, stored=stored)
        raise Unmergeable("the weighted directions cancel out; choose other weights")
    mean_N = w_N / length  # coefficients over the unit vectors, as everything from here on
    dots_N = units_NN @ mean_N
    tangent_N = w_N - (w_N @ dots_N) * mean_N
    size = (tangent_N @ units_NN @ tangent_N).clamp(min=0).sqrt() + eps
    result_N = mean_N * torch.cos(size) + tangent_N * (torch.sin(size) / size)
    weights_N = result_N * (norms_N @ w_N) * scale_N
    return combine(tensors, weights_N.tolist(), base=base, arithmetic=arithmetic, stored=stored)


def karcher(
    tensors: Sequence[torch.Tensor],
    *,
    max_iter: int = 10,
    tol: float = 1e-5,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """The point on the unit sphere whose squared angles to all unit vectors have the least sum, by Riemannian gradient steps
    m ← cos‖v‖·m + sin‖v‖·v/‖v‖, v = mean of θᵢ/sin θᵢ·(uᵢ − cos θᵢ·m) (Karcher 1977), times the mean of the norms. Tensors of norm
    up to `tol` have no direction and count as zeros.
    """
    if len(tensors) == 1:
        return tensors[0].to(stored)
    products = gram(tensors)
    norms_N = products.diagonal().sqrt()
    valid_N = norms_N > tol
    if not bool(valid_N.any()):
        return torch.zeros(tensors[0].shape, dtype=stored)
    scale_N = torch.where(valid_N, 1 / norms_N.clamp(min=1e-300), 0.0)
    units_NN = products * scale_N[:, None] * scale_N[None, :]
    share_N = valid_N.double() / valid_N.sum()
    mean_N = share_N / (share_N @ units_NN @ share_N).clamp(min=0).sqrt().clamp(min=1e-300)
    if (share_N @ units_NN @ share_N).clamp(min=0).sqrt() < tol:
        mean_N = torch.zeros_like(share_N)
        mean_N[int(valid_N.nonzero()[0])] = 1.0
    for _ in range(max_iter):
        cosines_N = (units_NN @ mean_N).clamp(-1, 1)
        angles_N = torch.acos(cosines_N)
        pull_N = torch.where(angles_N < tol, 0.0, share_N * angles_N / torch.sin(angles_N).clamp(min=1e-300))
        tangent_N = pull_N - (pull_N @ cosines_N) * mean_N
        size = (tangent_N @ units_NN @ tangent_N).clamp(min=0).sqrt()
        if size < tol:
            break
        mean_N = torch.cos(size) * mean_N + torch.sin(size) * (tangent_N / size)
        mean_N = mean_N / (mean_N @ units_NN @ mean_N).clamp(min=1e-300).sqrt()
    weights_N = norms_N.mean() * mean_N * scale_N
    return combine(tensors, weights_N.tolist(), arithmetic=arithmetic, stored=stored)
