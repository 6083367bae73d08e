"""Where an axis has its ticks, and numbers as they are read there: 1.2M tokens, 3 min, 0.475, 2.4 GB, 2.8×10⁻³."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal

from core.numbers import bytes_text, count_text, duration_text

XKind = Literal["step", "tokens", "seconds", "flops"]
Unit = Literal["number", "share", "count", "bytes", "power"]  # what the values of a plot are

_SECONDS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_THIN_SPACE: Final = "\u202f"


def linear(low: float, high: float, most: int) -> list[float]:
    """At most `most` round values in [low, high], 1, 2 or 5 times a power of ten apart."""
    return _multiples(low, high, _round_up((high - low) / max(1, most)))


def whole(low: float, high: float, most: int) -> list[float]:
    """The same for things that are counted: never a fraction."""
    return _multiples(low, high, max(1.0, _round_up((high - low) / max(1, most))))


def times(low: float, high: float, most: int) -> list[float]:
    """The same for seconds: apart by what a clock shows."""
    apart = (high - low) / max(1, most)
    if apart <= 1:
        return linear(low, high, most)
    if apart > _SECONDS[-1]:
        return _multiples(low, high, 86400 * _round_up(apart / 86400))
    return _multiples(low, high, next(step for step in _SECONDS if step >= apart))


def logarithmic(low: float, high: float, most: int) -> list[float]:
    """Round values in [low, high], both above zero, for an axis in powers."""
    decades = math.log10(high / low)
    if decades < 1:  # too narrow for powers: round values will do
        return [value for value in linear(low, high, most) if value > 0]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for marks in ((1, 2, 5), (1, 3), (1,)):
        ticks = [mark * 10.0**power for power in range(first, last + 1) for mark in marks]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / max(1, most))]


def x_ticks(kind: XKind, low: float, high: float, most: int) -> list[float]:
    """At most `most` ticks, or a few more where fewer than two would be left."""
    make = {"seconds": times, "flops": linear}.get(kind, whole)
    tries = [make(low, high, number) for number in range(most, most + 4)]
    return next((ticks for ticks in tries if len(ticks) > 1), tries[-1])


def x_text(kind: XKind, value: float) -> str:
    """A place on the x axis in words that stand alone, without the name of the axis."""
    if kind == "seconds":
        return duration_text(value)
    return power_text(value) if kind == "flops" else _grouped(value)


def x_texts(kind: XKind, ticks: Sequence[float]) -> list[str]:
    """The words at the ticks; longer ones where short ones would be alike."""
    if kind == "seconds":
        texts = ["0" if tick == 0 else _clock(tick) for tick in ticks]
        return texts if len(set(texts)) == len(texts) else _stopwatch(ticks)
    if kind == "flops":
        return _with_one_power(ticks)
    short = [count_text(tick) for tick in ticks]
    return short if len(set(short)) == len(short) else [_grouped(tick) for tick in ticks]


def y_texts(unit: Unit, ticks: Sequence[float], *, log: bool = False) -> list[str]:
    """The words at the ticks of the other axis."""
    if log and unit in ("number", "power"):
        return [power_text(tick) for tick in ticks]
    if unit == "power":
        return _with_one_power(ticks)
    if unit == "count":
        return x_texts("step", ticks)
    if unit == "bytes":
        return ["0" if tick == 0 else bytes_text(tick) for tick in ticks]
    return [f"{text}%" for text in _alike([100 * tick for tick in ticks])] if unit == "share" else _alike(ticks)


def value_text(unit: Unit, value: float | None) -> str:
    """A value of a plot in the read-out; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if unit == "bytes":
        return bytes_text(value)
    if unit == "count":
        return count_text(value)
    if unit == "share":
        return f"{100 * value:.1f}%"
    if unit == "power":
        return power_text(value)
    return f"{value:.3f}" if abs(value) < 100 else count_text(value)


def power_text(value: float) -> str:
    """Three digits and a power of ten; no power where none is needed.

    >>> power_text(0.00028)
    '2.8×10⁻⁴'
    """
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    digits, power = f"{value:.2e}".split("e")
    return f"{float(digits):g}×10{str(int(power)).translate(_SUPERSCRIPT)}"


def _multiples(low: float, high: float, step: float) -> list[float]:
    if not (step > 0 and math.isfinite(step)):
        return []
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _round_up(value: float) -> float:
    """The next of 1, 2 or 5 times a power of ten."""
    if not (value > 0 and math.isfinite(value)):
        return math.nan
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def _alike(ticks: Sequence[float]) -> list[str]:
    """As many decimals for all as tell them apart."""
    if any(abs(tick) >= 1e5 for tick in ticks):
        return [power_text(tick) for tick in ticks]
    apart = min((abs(b - a) for a, b in pairwise(ticks)), default=0.0)
    decimals = min(9, max(0, -math.floor(math.log10(apart) + 1e-9))) if apart > 0 else 2
    return ["0" if abs(tick) < 10.0**-decimals / 2 else f"{tick:.{decimals}f}" for tick in ticks]


def _with_one_power(ticks: Sequence[float]) -> list[str]:
    """Small and large numbers with the same power of ten, the others without."""
    largest = max(map(abs, ticks), default=0.0)
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    if -2 <= power < 3:
        return _alike(ticks)
    end = f"×10{str(power).translate(_SUPERSCRIPT)}"
    return [text if text == "0" else text + end for text in _alike([tick / 10.0**power for tick in ticks])]


def _grouped(value: float) -> str:
    return f"{value:,.0f}".replace(",", _THIN_SPACE)


def _clock(seconds: float) -> str:
    """A duration without its empty second part: 3 min, not 3 min 00 s."""
    if seconds < 1:
        return f"{seconds:g} s"
    return (
        duration_text(seconds).removesuffix(" 00 s").removesuffix(" 00 min").removesuffix(" 0 h").replace(".0 s", " s")
    )


def _stopwatch(ticks: Sequence[float]) -> list[str]:
    """Hours, minutes and seconds, with as many decimals as tell them apart: 1:05:30, 4:10.2."""
    decimals = max(len(text.partition(".")[2]) for text in _alike(ticks))
    texts = []
    for tick in ticks:
        minutes, seconds = divmod(round(tick, decimals), 60)
        hours, minutes = divmod(int(minutes), 60)
        last = f"{seconds:0{decimals + 3 if decimals else 2}.{decimals}f}"
        texts.append(f"{hours}:{minutes:02d}:{last}" if hours else f"{minutes}:{last}")
    return texts
