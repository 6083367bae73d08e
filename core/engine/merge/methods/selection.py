"""Which of a tensor's changes are kept: the largest, those between two sizes, or some drawn by lot. Masks are bool, a byte a value.

A change is read through `Changes`, a piece at a time, so that none is ever held as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from core.engine.merge.methods.chunks import PIECE, pieces, rows_of

DIGITS = 16  # bits sorted in one pass


@dataclass(frozen=True)
class Changes:
    """What `tuned` learnt since `base`, in the type of the arithmetic."""

    tuned: torch.Tensor
    base: torch.Tensor
    arithmetic: torch.dtype

    @property
    def count(self) -> int:
        return self.tuned.numel()

    def __getitem__(self, part: slice) -> torch.Tensor:
        tuned, base = self.tuned.reshape(-1)[part], self.base.reshape(-1)[part]
        return tuned.to(self.arithmetic) - base.to(self.arithmetic)


def largest(values: Callable[[slice], torch.Tensor], count: int, keep: int) -> torch.Tensor:
    """A mask (count,) of the `keep` largest magnitudes; of equal ones those that come first.

    The bits of a float without its sign are ordered as the floats are, so the smallest kept magnitude is found digit by digit, by
    counting (a radix select): exact, in two passes for float32, without a copy of the values.
    """
    mask = torch.zeros(count, dtype=torch.bool)
    if keep <= 0 or count == 0:
        return mask
    if keep >= count:
        return mask.fill_(True)
    bits = 0
    wide = values(slice(0, 1)).dtype == torch.float64
    wanted = keep
    for shift in range(48 if wide else 16, -1, -DIGITS):
        counts = torch.zeros(2**DIGITS, dtype=torch.int64)
        for part in pieces(count):
            digits = _ordered(values(part))
            if shift < (48 if wide else 16):
                digits = digits[(digits >> (shift + DIGITS)) == bits]
            counts += torch.bincount((digits >> shift) & (2**DIGITS - 1), minlength=2**DIGITS)
        from_above = counts.flip(0).cumsum(0)
        place = int(torch.searchsorted(from_above, wanted))  # the first digit, from above, that brings enough
        wanted -= int(from_above[place - 1]) if place else 0
        bits = (bits << DIGITS) | (2**DIGITS - 1 - place)
    for part in pieces(count):  # `wanted` of those exactly at the threshold are left to take
        digits = _ordered(values(part))
        piece = digits > bits
        equal = digits == bits
        if wanted > 0 and bool(equal.any()):
            taken = equal & (equal.cumsum(0) <= wanted)
            wanted -= int(taken.sum())
            piece |= taken
        mask[part] = piece
    return mask


def _ordered(values: torch.Tensor) -> torch.Tensor:
    """Integers in the order of the magnitudes."""
    if values.dtype == torch.float64:
        return values.abs().view(torch.int64)
    return values.float().abs().view(torch.int32)


def magnitude(changes: Changes, density: float) -> torch.Tensor | None:
    """The largest changes, a share `density` of them, one at least (Yadav et al. 2023, section 3.2: trim). None keeps all."""
    if density >= 1:
        return None
    if density <= 0:
        return torch.zeros(changes.count, dtype=torch.bool)
    return largest(changes.__getitem__, changes.count, max(1, int(density * changes.count)))


def between(changes: Changes, density: float, gamma: float) -> torch.Tensor | None:
    """A share `density` below the `gamma` largest (Davari and Belilovsky 2023, section 3). None keeps all."""
    if density >= 1:
        return None
    kept, outliers = int(density * changes.count), int(gamma * changes.count)
    outliers = min(outliers, changes.count - kept)  # fewer, where the density asks for so many
    upper = largest(changes.__getitem__, changes.count, kept + outliers)
    return upper & ~largest(changes.__getitem__, changes.count, outliers)


def by_lot(changes: Changes, density: float, generator: torch.Generator | None) -> torch.Tensor | None:
    """Each change with probability `density` (Yu et al. 2023, equation 1). None keeps all.

    Drawn in float32, the same lots as `torch.bernoulli` draws from the same generator, at a lower price.
    """
    if density >= 1:
        return None
    mask = torch.empty(changes.count, dtype=torch.bool)
    for part in pieces(changes.count):
        mask[part] = torch.rand(part.stop - part.start, generator=generator) < density
    return mask


def by_rank(changes: Changes, density: float, epsilon: float, generator: torch.Generator | None) -> torch.Tensor | None:
    """Each change with a probability that rises with its rank in its row, from density − epsilon to density + epsilon (Deep et al. 2024,
    section 3.1). None keeps all; a density ± epsilon outside 0 to 1 is a ValueError.
    """
    if density >= 1:
        return None
    if density <= 0:
        return torch.zeros(changes.count, dtype=torch.bool)
    if density + epsilon >= 1 or density - epsilon <= 0:
        raise ValueError(f"density {density:g} ± epsilon {epsilon:g} leaves the range between 0 and 1")
    width = rows_of(changes.tuned).shape[-1]
    share = torch.arange(width, dtype=torch.float32) / max(1, width - 1)
    rising = (density - epsilon) + share * 2 * epsilon
    mask = torch.empty(changes.count, dtype=torch.bool)
    for part in _whole_rows(changes.count, width):
        sizes_RC = changes[part].abs().reshape(-1, width)
        order_RC = sizes_RC.argsort(dim=1)
        chance_RC = torch.empty(order_RC.shape, dtype=torch.float32)
        chance_RC.scatter_(1, order_RC, rising.expand_as(order_RC))
        mask[part] = (torch.rand(chance_RC.shape, generator=generator) < chance_RC).reshape(-1)
    return mask


def _whole_rows(count: int, width: int) -> Iterator[slice]:
    return pieces(count, max(1, PIECE // width) * width)


def rescaling(changes: Changes, mask: torch.Tensor | None, by: str, density: float) -> float:
    """By how much what is left is multiplied: `l1` restores the sum of magnitudes, `density` the expected value (Yu et al. 2023,
    equation 2).
    """
    if mask is None:
        return 1.0
    if by == "density":
        return 1 / density if density > 0 else 1.0
    before = after = 0.0
    for part in pieces(changes.count):
        sizes = changes[part].abs()
        before += sizes.sum(dtype=torch.float64).item()
        after += (sizes * mask[part]).sum(dtype=torch.float64).item()
    return before / after if before >= 1e-7 and after >= 1e-7 else 1.0
