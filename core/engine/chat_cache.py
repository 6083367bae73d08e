"""What a model has read, as keys and values that can be rewound, copied, laid together for a batch and taken apart again.

All attention layers keep all positions, those with a sliding window too (the mask hides what lies outside it), so that a rejected draft
or an edited turn is taken back by shortening. Architectures with other states (linear attention) can only go on: `rewindable` is False,
and what they have read is of use only to a text that begins with all of it.

Shapes: B rows, H heads for keys and values, P positions, D width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

from core.engine.generation import RoomyLayer

WORTH_COPYING = 16  # positions; fewer are read again as fast
AdapterState = tuple[tuple[str, float], ...]


@dataclass
class Memory:
    """The ids that were read, in order, and the cache that holds their keys and values, of one row."""

    cache: Cache
    ids: list[int] = field(default_factory=list)
    adapters: AdapterState = ()


def rewindable(model: PreTrainedModel) -> bool:
    """Whether everything the model keeps of what it read are keys and values."""
    layers = DynamicCache(config=model.config).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


def new_cache(model: PreTrainedModel) -> Cache:
    return Cache(layer_class_to_replicate=RoomyLayer) if rewindable(model) else DynamicCache(config=model.config)


def rewind(cache: Cache, positions: int) -> None:
    """Forget all behind the first `positions`; layers that a broken-off pass did not reach stay as they are."""
    for layer in cache.layers:
        layer.crop(-max(0, layer.get_seq_length() - positions))


def common_start(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two texts have in common from their beginning."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))


def copy_start(cache: Cache, row: int, start: int, end: int) -> Cache:
    """Positions start:end of one row, by themselves."""
    copied = Cache(layer_class_to_replicate=RoomyLayer)
    for index, layer in enumerate(cache.layers):
        copied.update(layer.keys[row : row + 1, :, start:end], layer.values[row : row + 1, :, start:end], index)
    return copied


def lay_together(caches: Sequence[Cache], lengths: Sequence[int]) -> Cache:
    """One cache of B rows from B caches of one row and so many positions each, padded on the left with zeros."""
    longest = max(lengths)
    together = Cache(layer_class_to_replicate=RoomyLayer)
    for index, layers in enumerate(zip(*(cache.layers for cache in caches), strict=True)):
        keys_BHPD = _padded([layer.keys for layer in layers], longest)
        together.update(keys_BHPD, _padded([layer.values for layer in layers], longest), index)
    return together


def _padded(parts: list[torch.Tensor], longest: int) -> torch.Tensor:
    """Keys or values (1, H, P, D) of different P in one tensor (B, H, longest, D)."""
    padded_BHPD = parts[0].new_zeros(len(parts), parts[0].shape[1], longest, parts[0].shape[3])
    for row, part in enumerate(parts):
        padded_BHPD[row, :, longest - part.shape[2] :] = part[0]
    return padded_BHPD


class Shelf:
    """What a model still knows of the last few texts, so that the next turn of one reads only what is new."""

    def __init__(self, most: int = 8) -> None:
        self.most = most
        self.memories: list[Memory] = []

    def put(self, memory: Memory) -> None:
        self.memories.append(memory)
        del self.memories[: -self.most]

    def take(self, ids: Sequence[int], adapters: AdapterState, model: PreTrainedModel) -> Memory:
        """The memory of the longest beginning of `ids`, without the last one, which must be read for its scores."""
        best, known = None, 0
        for memory in self.memories:
            common = min(common_start(memory.ids, ids), len(ids) - 1)
            if memory.adapters == adapters and common > known:
                best, known = memory, common
        fresh = Memory(new_cache(model), [], adapters)
        if best is None:
            return fresh
        if known == len(best.ids):
            self.memories.remove(best)
            return best
        if not rewindable(model):
            return fresh
        if known >= len(best.ids) // 2:
            self.memories.remove(best)
            rewind(best.cache, known)
            return Memory(best.cache, best.ids[:known], adapters)
        return (
            Memory(copy_start(best.cache, 0, 0, known), best.ids[:known], adapters) if known >= WORTH_COPYING else fresh
        )
