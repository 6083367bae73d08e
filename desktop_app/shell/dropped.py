"""What was dropped on the window, by the page that it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

MODEL_FILES = ("config.json", "adapter_config.json", "model.safetensors.index.json")


@dataclass
class Dropped:
    """`recipes` are files of ours, `merges` recipes for the Merge page, `data` goes to the Data page, the rest is for Models to judge."""

    recipes: list[Path] = field(default_factory=list)
    merges: list[Path] = field(default_factory=list)
    models: list[Path] = field(default_factory=list)
    data: list[Path] = field(default_factory=list)


def sorted_drop(paths: Sequence[Path]) -> Dropped:
    """Looks at names and beginnings only, but at the disk: for another thread. A folder of models holds JSON and text, too."""
    from core.data.files import holds_data
    from core.model_folders import scan_folder
    from core.recipe import looks_like_recipe

    found = Dropped()
    for path in paths:
        if path.is_dir():
            (found.data if not scan_folder(path) and holds_data(path) else found.models).append(path)
        elif path.suffix.lower() in (".yml", ".yaml"):
            found.merges.append(path)
        elif path.suffix == ".json" and path.name not in MODEL_FILES and looks_like_recipe(path):
            found.recipes.append(path)
        else:
            (found.data if path.name not in MODEL_FILES and holds_data(path) else found.models).append(path)
    return found
