"""What is put on the canvas to start with: two models that fit, an adapter on its base."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from core.models import ModelEntry, ModelInfo


def fitting_pair(entries: Sequence[ModelEntry], first: Path | None = None) -> list[Path]:
    """Two models of one shape, `first` among them if there is another like it; nothing if no two fit."""
    usable = [entry.info for entry in entries if entry.info is not None and _mergeable(entry.info)]
    usable.sort(key=lambda info: info.path != first)
    for one, other in combinations(usable, 2):
        if one.shape == other.shape and one.model_type == other.model_type:
            return [one.path, other.path]
    return []


def _mergeable(info: ModelInfo) -> bool:
    return not info.is_adapter and info.quantization is None and info.shape is not None


def as_input(entry: ModelEntry, entries: Sequence[ModelEntry]) -> str | None:
    """A model as a recipe names it; an adapter stands on its base, and is None where that is not at hand."""
    if entry.info is None or not entry.info.is_adapter:
        return str(entry.path)
    wanted = entry.info.base_model or ""
    named = [other for other in entries if other.info is not None and not other.info.is_adapter]
    base = next((other for other in named if str(other.path) == wanted), None)
    if base is None and wanted:
        base = next((other for other in named if other.name in (wanted, Path(wanted).name)), None)
    return f"{base.path}+{entry.path}" if base is not None else None
