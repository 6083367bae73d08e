"""Figures and settings in words."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import QCoreApplication

from core.benchmarks import known
from core.compare import Cost
from core.numbers import bytes_text, count_text
from core.radar import Column
from core.report import score_text
from core.scores import Score
from desktop_app.charts.ticks import Unit, power_text

translate = QCoreApplication.translate
LRM = "\u200e"  # keeps a figure and its error in their order where the layout runs from right to left


def value_text(score: Score) -> str:
    """A figure with its unit, or as many digits as its standard error allows."""
    if score.stderr is not None and abs(score.value) < 100:
        return f"{LRM}{score.value:.3f} ± {score.stderr:.3f}"
    return LRM + score_text(score)


def about(column: Column) -> str:
    """What a figure is and how it was measured, for a tool tip."""
    task, _, on = column
    facts = known(task)
    what = f"{facts.title}: {facts.what}." if facts is not None else ""
    return "\n".join(part for part in (what, on) if part)


def setting_text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return translate("compare", "yes") if value else translate("compare", "no")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def setting_name(name: str) -> str:
    plain = name.replace("_", " ").replace(".", " › ")
    return plain[:1].upper() + plain[1:]


COSTS: tuple[Cost, ...] = ("parameters", "size_bytes", "memory_bytes", "decode_tokens_per_second", "training_flops")


def cost_word(cost: Cost) -> str:
    return {
        "parameters": translate("compare", "Parameters"),
        "size_bytes": translate("compare", "Size on disk"),
        "memory_bytes": translate("compare", "Memory in use"),
        "decode_tokens_per_second": translate("compare", "Tokens written a second"),
        "training_flops": translate("compare", "FLOPs of training"),
    }[cost]


def cost_text(cost: Cost, value: float) -> str:
    if cost.endswith("bytes"):
        return LRM + bytes_text(value)
    return LRM + (power_text(value) if cost == "training_flops" else count_text(value))


def cost_unit(cost: Cost) -> Unit:
    return "bytes" if cost.endswith("bytes") else "power" if cost == "training_flops" else "count"
