"""What models learnt since a common base (task vectors), thinned out, weighed and added to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch

from core.engine.merge.methods import selection
from core.engine.merge.methods.chunks import Unmergeable, flat, pieces
from core.engine.merge.methods.selection import Changes

Choose = Callable[[Changes, int], torch.Tensor | None]  # of model i: the mask of what is kept


def agreement(deltas_NC: torch.Tensor) -> torch.Tensor:
    """Where a change has the sign of the sum of all changes (Yadav et al. 2023, section 3.2: elect); zero changes never agree."""
    majority_C = deltas_NC.sum(dim=0) >= 0
    return torch.where(majority_C, deltas_NC > 0, deltas_NC < 0)


def add_changes(
    base: torch.Tensor,
    tuned: Sequence[torch.Tensor],
    *,
    weight: Sequence[float],
    density: Sequence[float],
    choose: Choose | None = None,
    elect: bool = False,
    normalize: bool = False,
    rescale: bool = False,
    rescale_by: str = "l1",
    lambda_: float = 1.0,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """base + λ·Σ wᵢ·sᵢ·maskᵢ·(θᵢ − base), where `choose` makes the masks and `rescale` the sᵢ; with `elect` over those that agree
    with the majority's sign. `normalize` divides by the weights of those that count.

    The common form of task arithmetic, TIES, DARE, DELLA and Breadcrumbs. Shapes are equal and arbitrary.
    """
    if not tuned:
        return base.to(stored)
    changes = [Changes(each, base, arithmetic) for each in tuned]
    masks = [None if choose is None else choose(each, index) for index, each in enumerate(changes)]
    scales = [
        selection.rescaling(each, mask, rescale_by, dense) if rescale else 1.0
        for each, mask, dense in zip(changes, masks, density, strict=True)
    ]
    weights_N1 = torch.tensor(list(weight), dtype=arithmetic)[:, None]
    whole = weights_N1.sum(dim=0)
    if normalize and not elect and abs(whole.item()) < 1e-8:
        raise Unmergeable(f"the weights {', '.join(f'{each:g}' for each in weight)} sum to 0, and can't be normalized")
    origin = base.reshape(-1)
    out = torch.empty(base.numel(), dtype=stored)
    for part in pieces(out.numel()):
        deltas_NC = torch.stack([each[part] for each in changes])
        for delta_C, mask, scale in zip(deltas_NC, masks, scales, strict=True):
            if mask is not None:
                delta_C.mul_(mask[part])
            if scale != 1.0:
                delta_C.mul_(scale)
        deltas_NC.mul_(weights_N1)
        if elect:
            agrees_NC = agreement(deltas_NC)
            mixed_C = (deltas_NC * agrees_NC).sum(dim=0)
            divisor_C = (weights_N1 * agrees_NC).sum(dim=0)
            divisor_C[divisor_C == 0] = 1
        else:
            mixed_C, divisor_C = deltas_NC.sum(dim=0), whole
        if normalize:
            mixed_C /= divisor_C
        if lambda_ != 1:
            mixed_C *= lambda_
        out[part] = origin[part].to(arithmetic) + mixed_C
    return out.reshape(base.shape)


def task_arithmetic(base, tuned, *, weight, density=None, **rest) -> torch.Tensor:
    """base + λ·Σ wᵢ·(θᵢ − base) (Ilharco et al. 2022, arXiv 2212.04089)."""
    return add_changes(base, tuned, weight=weight, density=density or [1.0] * len(tuned), **rest)


def ties(base, tuned, *, weight, density, normalize=True, **rest) -> torch.Tensor:
    """Trim to the largest, elect signs, mean of those that agree (Yadav et al. 2023, arXiv 2306.01708, algorithm 1)."""

    def choose(changes: Changes, index: int) -> torch.Tensor | None:
        return selection.magnitude(changes, density[index])

    return add_changes(
        base, tuned, weight=weight, density=density, choose=choose, elect=True, normalize=normalize, **rest
    )


def dare(base, tuned, *, weight, density, elect=False, rescale=True, generator=None, **rest) -> torch.Tensor:
    """Drop by lot and rescale (Yu et al. 2023, arXiv 2311.03099); with `elect` as TIES."""

    def choose(changes: Changes, index: int) -> torch.Tensor | None:
        return selection.by_lot(changes, density[index], generator)

    return add_changes(base, tuned, weight=weight, density=density, choose=choose, elect=elect, rescale=rescale, **rest)


def della(base, tuned, *, weight, density, epsilon, elect=True, rescale=True, generator=None, **rest) -> torch.Tensor:
    """Drop by lot, small changes likelier, and rescale (Deep et al. 2024, arXiv 2406.11617)."""

    def choose(changes: Changes, index: int) -> torch.Tensor | None:
        try:
            return selection.by_rank(changes, density[index], epsilon[index], generator)
        except ValueError as error:
            raise Unmergeable(str(error)) from error

    return add_changes(base, tuned, weight=weight, density=density, choose=choose, elect=elect, rescale=rescale, **rest)


def breadcrumbs(base, tuned, *, weight, density, gamma, elect=False, **rest) -> torch.Tensor:
    """Without the smallest changes and the outliers (Davari and Belilovsky 2023, arXiv 2312.06795, equation 2)."""

    def choose(changes: Changes, index: int) -> torch.Tensor | None:
        return selection.between(changes, density[index], gamma[index])

    return add_changes(base, tuned, weight=weight, density=density, choose=choose, elect=elect, **rest)


def sce(
    base: torch.Tensor,
    tuned: Sequence[torch.Tensor],
    *,
    select_topk: float = 1.0,
    sce_reading: Literal["renormalized", "plain"] = "renormalized",
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Select the share `select_topk` of places whose changes vary most between models; weigh model j by ηⱼ = mean δⱼ² / Σ mean δ²;
    erase changes against the majority's sign; base + Σ ηⱼ·δⱼ (Wan et al. 2024, arXiv 2408.07990, section 3.3). `renormalized` divides by
    the Σ ηⱼ of those that remain at a place, as mergekit does. Places where models don't vary at all are not counted as candidates.
    """
    if not tuned:
        return base.to(stored)
    changes = [Changes(each, base, arithmetic) for each in tuned]
    count = base.numel()

    def deltas(part: slice) -> torch.Tensor:
        return torch.stack([each[part] for each in changes])

    def variance(part: slice) -> torch.Tensor:
        deltas_NC = deltas(part)  # torch.var along so short an axis takes twenty times as long
        return deltas_NC.sub_(deltas_NC.mean(dim=0)).square_().mean(dim=0)

    mask = None
    if select_topk < 1:
        varied = sum(int(torch.count_nonzero(variance(part))) for part in pieces(count))
        mask = selection.largest(variance, count, int(varied * select_topk))

    def selected(part: slice) -> torch.Tensor:
        return deltas(part) if mask is None else deltas(part) * mask[part]

    squares_N = torch.zeros(len(changes), dtype=torch.float64)
    for part in pieces(count):
        squares_N += selected(part).square().sum(dim=1, dtype=torch.float64)
    squares_N /= max(1, count)
    total = squares_N.sum().item()
    weights_N = squares_N / total if total >= 1e-6 else torch.full_like(squares_N, 1 / len(changes))
    origin, out = base.reshape(-1), torch.empty(count, dtype=stored)
    for part in pieces(count):
        deltas_NC = selected(part)
        kept_NC = weights_N.to(arithmetic)[:, None] * agreement(deltas_NC)
        merged_C = (deltas_NC * kept_NC).sum(dim=0)
        if sce_reading == "renormalized":
            merged_C = merged_C / kept_NC.sum(dim=0).clamp(min=1e-6)
        out[part] = origin[part].to(arithmetic) + merged_C
    return out.reshape(base.shape)


def ram(
    base: torch.Tensor,
    tuned: Sequence[torch.Tensor],
    *,
    epsilon: float = 1e-5,
    r: float = 0.0,
    alpha: float = 0.0,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Changes above `epsilon` of one model alone are added whole, those of several averaged (arXiv 2601.13572). RAM+, here for each tensor by
    itself: the former times 1 + r·min(shared/unique, α), counted for each model.
    """
    if not tuned:
        return base.to(stored)
    views, origin = flat(tuned), base.reshape(-1)

    def read(part: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        start_C = origin[part].to(arithmetic)
        deltas_NC = torch.stack([view[part].to(arithmetic) - start_C for view in views])
        present_NC = deltas_NC.abs() > epsilon
        return deltas_NC * present_NC, present_NC, present_NC.sum(dim=0)

    gain_N = torch.ones(len(views), dtype=arithmetic)
    if r > 0:
        shared_N, unique_N = torch.zeros(len(views)), torch.zeros(len(views))
        for part in pieces(base.numel()):
            _, present_NC, count_C = read(part)
            shared_N += (present_NC & (count_C > 1)).sum(dim=1)
            unique_N += (present_NC & (count_C == 1)).sum(dim=1)
        gain_N = (1 + r * (shared_N / unique_N.clamp(min=epsilon)).clamp(0, alpha)).to(arithmetic)
    out = torch.empty(base.numel(), dtype=stored)
    for part in pieces(out.numel()):
        deltas_NC, _, count_C = read(part)
        alone_NC = deltas_NC * (count_C == 1) * gain_N[:, None]
        merged_C = (alone_NC + deltas_NC * (count_C > 1) / count_C.clamp(min=1)).sum(dim=0)
        out[part] = origin[part].to(arithmetic) + merged_C
    return out.reshape(base.shape)
