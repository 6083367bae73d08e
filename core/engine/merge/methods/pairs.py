"""Methods that look at how near models are to their base: Model Stock, NearSwap, Arcee Fusion."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.engine.merge.methods.chunks import PIECE, combine, gram, pieces, rows_of
from core.engine.merge.methods.selection import largest


def model_stock(
    base: torch.Tensor,
    tuned: Sequence[torch.Tensor],
    *,
    filter_wise: bool = False,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """t·mean + (1 − t)·base with t = k·cos θ / (1 + (k − 1)·cos θ), θ the mean angle between the k tuned models' changes (Jang et al. 2024,
    arXiv 2403.19522, equation 5); the base where the denominator vanishes. `filter_wise` takes one θ for each row.
    """
    count = len(tuned)
    if not filter_wise:
        products = gram(tuned, base)
        norms = products.diagonal().sqrt()
        cosines = (products / torch.outer(norms, norms).clamp(min=1e-6)).clamp(-1, 1)
        above = torch.triu_indices(count, count, offset=1)
        t = _stock_ratio(cosines[above[0], above[1]].mean(), count).item()
        return combine(tuned, [t / count] * count, base=base, arithmetic=arithmetic, stored=stored)
    rows, views = rows_of(base), [rows_of(each) for each in tuned]
    out = torch.empty(rows.shape, dtype=stored)
    for part in pieces(len(rows), max(1, PIECE // rows.shape[1])):
        start_RC = rows[part].to(arithmetic)
        offsets = [view[part].to(arithmetic) - start_RC for view in views]
        cosines = []
        for index, a_RC in enumerate(offsets):
            for b_RC in offsets[index + 1 :]:
                norms_R = a_RC.norm(dim=-1) * b_RC.norm(dim=-1)
                cosines.append(((a_RC * b_RC).sum(dim=-1) / norms_R.clamp(min=1e-6)).clamp(-1, 1))
        t_R1 = _stock_ratio(torch.stack(cosines).mean(dim=0), count)[:, None]
        mean_RC = sum(view[part].to(arithmetic) for view in views) / count
        out[part] = t_R1 * mean_RC + (1 - t_R1) * start_RC
    return out.reshape(base.shape)


def _stock_ratio(cosine: torch.Tensor, count: int) -> torch.Tensor:
    denominator = 1 + (count - 1) * cosine
    singular = denominator.abs() < 1e-6
    return torch.where(singular, 0.0, count * cosine / torch.where(singular, 1.0, denominator))


def nearswap(
    base: torch.Tensor,
    other: torch.Tensor,
    *,
    t: float,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """w·other + (1 − w)·base with w = min(1, t/|base − other|) (alchemonaut 2024, QuartetAnemoi-70B)."""
    start, end = base.reshape(-1), other.reshape(-1)
    out = torch.empty(start.numel(), dtype=stored)
    for part in pieces(out.numel()):
        a, b = start[part].to(arithmetic), end[part].to(arithmetic)
        weight = (t / (a - b).abs().clamp(min=1e-6)).clamp(0, 1)
        out[part] = weight * b + (1 - weight) * a
    return out.reshape(base.shape)


def arcee_fusion(
    base: torch.Tensor,
    other: torch.Tensor,
    *,
    arithmetic: torch.dtype = torch.float32,
    stored: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Take over a change where |θ − base|·KL(softmax of the row of θ ‖ that of base) is at least median + 1.5·(q₃ − q₁) of the tensor
    (arcee.ai 2025). Quartiles are exact here; mergekit estimates them from a million draws in larger tensors.
    """
    before, after = rows_of(base), rows_of(other)
    importance = torch.empty(before.shape, dtype=arithmetic)
    for part in pieces(len(before), max(1, PIECE // before.shape[1])):
        a_RC, b_RC = before[part].to(arithmetic), after[part].to(arithmetic)
        q_RC, p_RC = a_RC.softmax(dim=-1) + 1e-8, b_RC.softmax(dim=-1) + 1e-8
        divergence_R1 = (p_RC * torch.log(p_RC / q_RC)).sum(dim=-1, keepdim=True)
        importance[part] = (b_RC - a_RC).abs() * divergence_R1
    flat = importance.reshape(-1)
    low, middle, high = (_at_rank(flat, share) for share in (0.25, 0.5, 0.75))
    threshold = middle + 1.5 * (high - low)
    start, end = base.reshape(-1), other.reshape(-1)
    out = torch.empty(flat.numel(), dtype=stored)
    for part in pieces(out.numel()):
        a = start[part].to(arithmetic)
        out[part] = a + (end[part].to(arithmetic) - a) * (flat[part] >= threshold)
    return out.reshape(base.shape)


def _at_rank(values: torch.Tensor, share: float) -> torch.Tensor:
    """The value at place share·(n − 1) in ascending order, rounded down. Small negative ones, which rounding makes, keep their order."""
    place = int(torch.tensor(share) * (values.numel() - 1))
    low = values.min()
    if values.numel() <= PIECE or low < 0:
        return values.kthvalue(place + 1).values
    mask = largest(values.__getitem__, values.numel(), values.numel() - place)
    return torch.where(mask, values, torch.inf).min()
