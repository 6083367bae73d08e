"""The merge methods: pure functions of lists of tensors. `merge_tensors` calls one by its name in `core.merge.methods.METHODS`.

Common to all: inputs of equal shape and any floating type, each read a piece at a time; `arithmetic` is the type that is computed in, `stored`
that of the result; nothing is changed in place. `Unmergeable` says why tensors can't be merged so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    if method in ("passthrough", "linear", "karcher"):
        return _of_equals(method, tensors, shared, each, types)
    origin = None if base is None else tensors[base]
    tuned = [tensor for place, tensor in enumerate(tensors) if place != base]
    own = [parameters for place, parameters in enumerate(each) if place != base]

    def column(name: str) -> list[float]:
        return [float(parameters[name]) for parameters in own]

    if method in ("nuslerp", "multislerp"):
        return _on_spheres(method, origin, tuned, column("weight"), shared, types)
    assert origin is not None, f"{method} needs a base"
    if method in _FROM_BASE:
        return _FROM_BASE[method](origin, tuned, shared, types)
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


def _of_equals(
    method: str,
    tensors: Sequence[torch.Tensor],
    shared: Mapping[str, Any],
    each: Sequence[Mapping[str, Any]],
    types: dict[str, Any],
) -> torch.Tensor:
    """Methods that know no base: it is an input as the others are."""
    if method == "passthrough":
        return averages.passthrough(tensors[0], scale=each[0].get("scale"), **types)
    if method == "linear":
        weights = [float(own["weight"]) for own in each]
        return averages.linear(tensors, weight=weights, normalize=shared["normalize"], **types)
    return spheres.karcher(tensors, max_iter=shared["max_iter"], tol=shared["tol"], **types)


def _on_spheres(
    method: str,
    origin: torch.Tensor | None,
    tuned: list[torch.Tensor],
    weights: list[float],
    shared: Mapping[str, Any],
    types: dict[str, Any],
) -> torch.Tensor:
    """Methods that can do without a base: with one they turn the changes, else the tensors themselves."""
    if method == "nuslerp":
        flatten, row_wise = shared["nuslerp_flatten"], shared["nuslerp_row_wise"]
        return spheres.nuslerp(tuned, weight=weights, base=origin, flatten=flatten, row_wise=row_wise, **types)
    options = {name: shared[name] for name in ("normalize_weights", "eps")}
    return spheres.multislerp(tuned, weight=weights, base=origin, **options, **types)


FromBase = Callable[[torch.Tensor, list[torch.Tensor], Mapping[str, Any], dict[str, Any]], torch.Tensor]

_FROM_BASE: dict[str, FromBase] = {  # methods without parameters of each input: (base, tuned, shared parameters, types)
    "slerp": lambda base, tuned, shared, types: spheres.slerp(base, tuned[0], t=shared["t"], **types),
    "nearswap": lambda base, tuned, shared, types: pairs.nearswap(base, tuned[0], t=shared["t"], **types),
    "arcee_fusion": lambda base, tuned, shared, types: pairs.arcee_fusion(base, tuned[0], **types),
    "model_stock": lambda base, tuned, shared, types: pairs.model_stock(
        base, tuned, filter_wise=shared["filter_wise"], **types
    ),
    "sce": lambda base, tuned, shared, types: task_vectors.sce(
        base, tuned, select_topk=shared["select_topk"], sce_reading=shared["sce_reading"], **types
    ),
    "ram": lambda base, tuned, shared, types: task_vectors.ram(base, tuned, **shared, **types),
    "ramplus_tl": lambda base, tuned, shared, types: task_vectors.ram(base, tuned, **shared, **types),
}
