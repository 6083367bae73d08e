"""Which rows of which source are taken, how often, and which are held out; all drawn by the texts themselves and a seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


def lots(key: bytes, seed: int) -> tuple[float, float]:
    """Two numbers in [0, 1) drawn by a text (its key) and the seed: for the choice, and for the split. Others than distillation draws
    for its own held-out text, so that this still finds some among what it trains on.
    """
    digest = hashlib.blake2b(key, digest_size=16, key=seed.to_bytes(8, "little"), person=b"prepare").digest()
    return int.from_bytes(digest[:8], "little") / 2**64, int.from_bytes(digest[8:], "little") / 2**64


@dataclass(frozen=True)
class Mixture:
    """`times` says for each source how often each of its rows is taken; `total` what that comes to, `wanted` what was asked for."""

    times: list[np.ndarray]
    total: int
    wanted: int
    epochs: list[float]  # how much of each source is taken: 1 is all of it once


def mix(
    sizes: list[np.ndarray], choice: list[np.ndarray], weights: tuple[float, ...], total: int | None, repeat: bool
) -> Mixture:
    """Rows of each source up to its share. `sizes` are those of the rows in the unit of `total`, `choice` their lots: the lowest are taken
    first, so more of a source holds all that less of it held.

    Without weights the sources keep the shares they have. Without `repeat` no row is taken twice, and if a source is too small for its
    share, less is taken of all of them.
    """
    available = np.array([float(each.sum()) for each in sizes])
    shares = np.array(weights, dtype=float) if weights else available.copy()
    shares = shares / shares.sum() if shares.sum() else shares
    used = (shares > 0) & (available > 0)
    most = available[used] / shares[used]
    if not used.any():
        return Mixture([np.zeros(len(each), np.int64) for each in sizes], 0, total or 0, [0.0] * len(sizes))
    wanted = float(total) if total is not None else float(most.max() if repeat else most.min())
    reached = wanted if repeat else min(wanted, float(most.min()))
    times = [
        _times(each, lot, reached * share if can else 0.0)
        for each, lot, share, can in zip(sizes, choice, shares, used, strict=True)
    ]
    taken = [int((each * count).sum()) for each, count in zip(sizes, times, strict=True)]
    epochs = [got / have if have else 0.0 for got, have in zip(taken, available, strict=True)]
    return Mixture(times, sum(taken), round(wanted), [round(each, 4) for each in epochs])


def _times(sizes: np.ndarray, choice: np.ndarray, quota: float) -> np.ndarray:
    """How often each row is taken: all of them as often as they go into the quota, and the first by lot for the rest of it."""
    available = float(sizes.sum())
    if not available:
        return np.zeros(len(sizes), np.int64)
    whole = int((quota + 1e-6) // available)
    times = np.full(len(sizes), whole, dtype=np.int64)
    order = np.argsort(choice, kind="stable")
    # a row is taken if at least half of it fits
    before = np.concatenate([[0], np.cumsum(sizes[order])[:-1]])
    times[order[before + sizes[order] / 2 <= quota - whole * available + 1e-6]] += 1
    return times


def sides(split: np.ndarray, validation: float, test: float) -> np.ndarray:
    """For lots of the split: 1 where a row is held out for validation, 2 for the test, else 0. The same text is always on one side."""
    return np.where(split < validation, 1, np.where(split < validation + test, 2, 0))
