"""Which parts of a teacher a student keeps: by the highest scores, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.engine.builders.measure import Scores
from core.engine.families import Family, hidden_norms
from core.shapes import Shape


@dataclass(frozen=True)
class Selection:
    """What is kept, as ascending indices into the teacher. `groups` and `neurons` have one tensor per kept layer.

    `groups` are key-value heads, each with its query heads. `energy` is the share in (0, 1] of the energy that the kept
    channels carry at the input of each hidden norm (full module name in the teacher); a norm not named counts as 1.
    """

    layers: tuple[int, ...]
    channels: Tensor
    groups: tuple[Tensor, ...]
    neurons: tuple[Tensor, ...]
    energy: Mapping[str, float] = field(default_factory=dict)


def choose(scores: Scores, family: Family, teacher: Shape, student: Shape) -> Selection:
    """The parts of `teacher` with the highest scores, as many as `student` has.

    Every layer keeps equally many heads and neurons, but each its own; the hidden channels are the same everywhere. A
    key-value group counts as the sum of its query heads. The first and the last layer stay if two or more do.
    """
    layers = keep_layers(scores.layers, student.layers)
    channels = top(scores.channels, student.hidden)
    groups = by_group(scores.heads, teacher)
    energy = {
        name: float(scores.energy[name][channels].sum() / scores.energy[name].sum())
        for name in hidden_norms(family, teacher.layers)
    }
    return Selection(
        layers=layers,
        channels=channels,
        groups=tuple(top(groups[layer], student.kv_heads) for layer in layers),
        neurons=tuple(top(scores.neurons[layer], student.intermediate) for layer in layers),
        energy=energy,
    )


def by_group(heads: Tensor, teacher: Shape) -> Tensor:
    """The sums over the query heads of each key-value group: (layers, heads) → (layers, groups)."""
    return heads.view(-1, teacher.kv_heads, teacher.heads // teacher.kv_heads).sum(-1)


def top(scores: Tensor, count: int) -> Tensor:
    """The indices of the `count` highest scores, ascending; of equal ones the lowest indices, so that runs repeat."""
    return torch.sort(scores, descending=True, stable=True).indices[:count].sort().values


def keep_layers(importance: Tensor, count: int) -> tuple[int, ...]:
    importance = importance.clone()
    if count >= 2:
        importance[[0, -1]] = torch.inf
    return tuple(top(importance, count).tolist())


def everything(teacher: Shape, layers: tuple[int, ...]) -> Selection:
    """All widths of the given layers."""
    return Selection(
        layers=layers,
        channels=torch.arange(teacher.hidden),
        groups=(torch.arange(teacher.kv_heads),) * len(layers),
        neurons=(torch.arange(teacher.intermediate),) * len(layers),
    )
