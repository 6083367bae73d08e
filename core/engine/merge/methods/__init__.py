"""The merge methods: pure functions of lists of tensors. `merge_tensors` calls one by its name in `core.merge.methods.METHODS`.

Common to all: inputs of equal shape and any floating type, each read a piece at a time; `arithmetic` is the type that is computed in, `stored`
that of the result; nothing is changed in place. `Unmergeable` says why tensors can't be merged so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from core.engine.merge.methods import averages, pairs, spheres, task_vectors
from core.engine.merge.methods.chunks import Unmergeable, all_finite, arithmetic_for

__all__ = ["Unmergeable", "all_finite", "arithmetic_for", "merge_tensors"]


def merge_tensors(
    method: str,
    tensors: Sequence[torch.Tensor],
    base: int | None,
    shared: Mapping[str, Any],
    each: Sequence[Mapping[str, Any]],
    *,
    arithmetic: torch.dtype | None = None,
    stored: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """One tensor of the result. `base` is the place of the base among `tensors`; `each` has the parameters of each input, in their order
    (those of the base are not used where a method has none for it).
    """
    arithmetic = arithmetic or arithmetic_for(tensors)
    types: dict[str, Any] = {"arithmetic": arithmetic, "stored": stored or arithmetic}
    if method == "passthrough":
        return averages.passthrough(tensors[0], scale=each[0].get("scale"), **types)
    if method == "linear":
        weights = [float(own["weight"]) for own in each]
        return averages.linear(tensors, weight=weights, normalize=shared["normalize"], **types)
    if method == "karcher":
        return spheres.karcher(tensors, max_iter=shared["max_iter"], tol=shared["tol"], **types)
    origin = None if base is None else tensors[base]
    tuned = [tensor for place, tensor in enumerate(tensors) if place != base]
    own = [parameters for place, parameters in enumerate(each) if place != base]

    def column(name: str) -> list[float]:
        return [float(parameters[name]) for parameters in own]

    if method == "nuslerp":
        flatten, row_wise = shared["nuslerp_flatten"], shared["nuslerp_row_wise"]
        return spheres.nuslerp(tuned, weight=column("weight"), base=origin, flatten=flatten, row_wise=row_wise, **types)
    if method == "multislerp":
        options = {name: shared[name] for name in ("normalize_weights", "eps")}
        return spheres.multislerp(tuned, weight=column("weight"), base=origin, **options, **types)
    assert origin is not None, f"{method} needs a base"
    if method in ("slerp", "nearswap"):
        function = spheres.slerp if method == "slerp" else pairs.nearswap
        return function(origin, tuned[0], t=shared["t"], **types)
    if method == "arcee_fusion":
        return pairs.arcee_fusion(origin, tuned[0], **types)
    if method == "model_stock":
        return pairs.model_stock(origin, tuned, filter_wise=shared["filter_wise"], **types)
    if method == "sce":
        options = {name: shared[name] for name in ("select_topk", "sce_reading")}
        return task_vectors.sce(origin, tuned, **options, **types)
    if method in ("ram", "ramplus_tl"):
        return task_vectors.ram(origin, tuned, **shared, **types)
    options = {name: shared[name] for name in ("normalize", "rescale", "rescale_by") if name in shared}
    options |= {"weight": column("weight"), "density": column("density"), "lambda_": shared["lambda"], **types}
    match method:
        case "task_arithmetic":
            return task_vectors.task_arithmetic(origin, tuned, **options)
        case "ties":
            return task_vectors.ties(origin, tuned, **options)
        case "dare_linear" | "dare_ties":
            elect = method == "dare_ties"
            return task_vectors.dare(origin, tuned, elect=elect, generator=generator, **options)
        case "della" | "della_linear":
            options |= {"elect": method == "della", "epsilon": column("epsilon"), "generator": generator}
            return task_vectors.della(origin, tuned, **options)
        case "breadcrumbs" | "breadcrumbs_ties":
            elect = method == "breadcrumbs_ties"
            return task_vectors.breadcrumbs(origin, tuned, gamma=column("gamma"), elect=elect, **options)
    raise ValueError(f"no method {method}")
