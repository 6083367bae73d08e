"""Embeddings and heads of models with different tokenizers, in the rows of the result's."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.merge.document import ModelRef
from core.merge.vocabulary import Alignment


def aligned(alignment: Alignment, models: Sequence[ModelRef], tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Each tensor (its rows, …) as (the result's rows, …): a model's own row where it has the token, else what fills the gap, and the mean of
    all for padding.
    """
    count = len(next(iter(alignment.places.values())))
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    places = {model: torch.tensor(alignment.places[model]) for model in models}
    by_model = dict(zip(models, tensors, strict=True))
    numbers = torch.tensor(list(alignment.gaps), dtype=torch.long)
    fill = _fill(alignment, by_model, places, numbers, dtype)
    forced = torch.tensor([row.force for row in alignment.gaps.values()], dtype=torch.bool)
    found = []
    for model in models:
        own, place = by_model[model], places[model]
        rows = torch.zeros((alignment.rows, *own.shape[1:]), dtype=dtype)
        has = place >= 0
        rows[:count][has] = own[place[has]].to(dtype)
        if len(numbers):
            lacking = forced | ~has[numbers]
            rows[numbers[lacking]] = fill[lacking]
        if alignment.rows > count:
            rows[count:] = rows[:count].mean(dim=0)
        found.append(rows)
    return found


def _fill(
    alignment: Alignment,
    tensors: dict[ModelRef, torch.Tensor],
    places: dict[ModelRef, torch.Tensor],
    numbers: torch.Tensor,
    dtype: torch.dtype,
) -> torch.Tensor:
    """The rows (gaps, …) for tokens that some model lacks."""
    width = next(iter(tensors.values())).shape[1:]
    fill = torch.zeros((len(numbers), *width), dtype=dtype)
    gaps = list(alignment.gaps.values())
    for model, tensor in tensors.items():
        mine = [index for index, row in enumerate(gaps) if row.model == model]
        if mine:
            fill[mine] = tensor[[gaps[index].row for index in mine]].to(dtype)
    means = torch.tensor([index for index, row in enumerate(gaps) if row.mean], dtype=torch.long)
    if len(means):
        total = torch.zeros((len(means), *width), dtype=torch.promote_types(dtype, torch.float32))
        count = torch.zeros(len(means), dtype=total.dtype)
        for model, tensor in tensors.items():
            place = places[model][numbers[means]]
            has = place >= 0
            total[has] += tensor[place[has]].to(total.dtype)
            count += has
        fill[means] = (total / count.reshape(-1, *[1] * len(width))).to(dtype)
    return fill
