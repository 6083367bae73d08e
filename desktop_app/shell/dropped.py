"""What was dropped on the window, by the page that it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

MODEL_FILES = ("config.json", "adapter_config.json", "model.safetensors.index.json")
RECIPE_HEAD_BYTES = 4096


@dataclass
class Dropped:
    """`recipes` are files to be opened, `data` goes to the Data page, the rest is for the Models page to judge."""

    recipes: list[Path] = field(default_factory=list)
    models: list[Path] = field(default_factory=list)
    data: list[Path] = field(default_factory=list)


def sorted_drop(paths: Sequence[Path]) -> Dropped:
    """Looks at names and beginnings only, but at the disk: for another thread. A folder of models holds JSON and text, too."""
    from core.models import scan_folder

    found = Dropped()
    for path in paths:
        if path.is_dir():
            (found.data if not scan_folder(path) and _holds_data(path) else found.models).append(path)
        elif path.suffix == ".json" and path.name not in MODEL_FILES and _is_recipe(path):
            found.recipes.append(path)
        else:
            (found.data if path.name not in MODEL_FILES and _holds_data(path) else found.models).append(path)
    return found


def _holds_data(path: Path) -> bool:
    from core.data.files import COMPRESSIONS, ENDINGS, data_files
    from core.errors import BadData

    if path.is_file():
        return path.suffix.lower() in (*ENDINGS, *COMPRESSIONS, ".zip")
    try:
        return bool(data_files([str(path)]))
    except BadData:
        return False


def _is_recipe(file: Path) -> bool:
    """Whether it begins like a recipe; data can be gigabytes of JSON."""
    with file.open("rb") as stream:
        head = stream.read(RECIPE_HEAD_BYTES)
    return head.lstrip().startswith(b"{") and b'"kind"' in head and (b'"teacher"' in head or b'"data"' in head)
