"""Numbers as people write and read them: 1.3M parameters, 2M tokens, 3.4 GB, 1 h 05 min."""

from __future__ import annotations

import math
import re

from core.errors import Trouble

SCALES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
COUNT = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)(?:e(?P<power>\d{1,2}))?\s*(?P<unit>[kmbgt]?)", re.IGNORECASE)


def parse_count(text: str) -> int:
    """A whole number of things: 2M, 1.3B, 800K, 2e6 or 1,000. Raises `Trouble` for anything else, and above 1e18.

    >>> parse_count("1.3M")
    1300000
    """
    match = COUNT.fullmatch(_without_group_marks(text.strip()))
    if match is None:
        raise Trouble(f"{text!r} is no number that can be counted.", "Write it like 350000, 800K, 1.3M or 3B.")
    scale = int(10 ** int(match["power"] or 0)) * SCALES[match["unit"].lower()]
    whole, _, fraction = match["number"].partition(".")
    # in whole numbers, so that 0.3T has no rounding error
    value, rest = divmod(int((whole or "0") + fraction) * scale, int(10 ** len(fraction)))
    if rest:
        raise Trouble(f"{text!r} is not a whole number.", "Write it like 350000, 800K, 1.3M or 3B.")
    if value > 10**18:
        raise Trouble(f"{text!r} is more than can be counted here.", "Write a number up to 1e18.")
    return value


def count_text(value: float) -> str:
    """Three digits and a unit: 1_300_000 is 1.3M, 7e9 is 7B, 950 is 950."""
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if float(f"{abs(value):.3g}") >= scale:
            return f"{_three_digits(value / scale)}{unit}"
    return _three_digits(value)


def bytes_text(size_bytes: float) -> str:
    """Decimal units, as disks are sold: 1_500_000 is 1.5 MB."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if float(f"{abs(size_bytes):.3g}") >= scale:
            return f"{_three_digits(size_bytes / scale)} {unit}"
    return f"{size_bytes:.0f} B"


def duration_text(seconds: float | None) -> str:
    """Two units at most: 42 s, 3 min 20 s, 1 h 05 min, 3 d 4 h, 12 years. An unknown or endless time is a dash."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = max(0, round(seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days >= 2 * 365:
        return f"{days / 365:.0f} years"
    if days:
        return f"{days} d {hour} h"
    if hours:
        return f"{hours} h {minute:02d} min"
    return f"{minutes} min {second:02d} s" if minutes else f"{second} s"


def _without_group_marks(text: str) -> str:
    """1_000, 1,000 and 1 000 are 1000; a mark that does not part groups of three is left for the caller to refuse."""
    if re.match(r"\d{1,3}([_, ]\d{3})+(?!\d)", text):
        return re.sub(r"[_, ](?=\d{3}(?!\d))", "", text)
    return text


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):g}"
