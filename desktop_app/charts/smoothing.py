"""The exponential moving average that smooths a curve, debiased as in TensorBoard, over whole arrays at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
NEGLIGIBLE = 1e-18  # a factor that no float64 sum feels


def ema(y: Array, weight: float) -> Array:
    """s[t] = weight · s[t-1] + (1 - weight) · y[t] from s[-1] = 0, divided by 1 - weight^(t+1); 0 ≤ weight < 1.

    t counts the finite values only: one that is absent (NaN, infinite) stays absent and changes nothing after it. The
    recursion is unrolled by doubling: after k passes each value holds the sum of 2^k terms, and the passes end where
    the next factor is negligible (7 of them for a weight of 0.6, 13 for 0.99).
    """
    if not 0 <= weight < 1:
        raise ValueError(f"a weight of {weight} does not smooth: it must be at least 0 and below 1")
    there = np.isfinite(y)
    smooth = np.full(len(y), np.nan)
    sums = (1 - weight) * y[there]
    factor, shift = weight, 1
    while shift < len(sums) and factor > NEGLIGIBLE:
        sums[shift:] += factor * sums[:-shift]
        factor, shift = factor * factor, 2 * shift
    early = min(len(sums), math.ceil(math.log(NEGLIGIBLE) / math.log(weight))) if weight > 0 else 0
    sums[:early] /= 1 - weight ** np.arange(1, early + 1)
    smooth[there] = sums
    return smooth
