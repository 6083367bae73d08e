"""Small families of models for the tests of merges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from tiny import BOS, EOS, history_of, tiny_model, write_tokenizer

from core.engine.__main__ import FINISHED, work
from core.home import Home
from core.merge.run import MergeRecipe
from core.runs import RunFolder, new_run


def write_model(
    folder: Path, seed: int, model_type: str = "llama", dtype: torch.dtype = torch.float32, **changes: Any
) -> Path:
    """A model near that of seed 0, with a tokenizer and settings of its own."""
    model = tiny_model(model_type, 0, **changes)
    torch.manual_seed(1000 + seed)
    if seed:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    model.generation_config.max_length = 40
    model.to(dtype).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of all files that the folder's index names, or of the one file."""
    index = folder / "model.safetensors.index.json"
    names = [folder / "model.safetensors"]
    if index.exists():
        names = [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    found = {}
    for name in names:
        with safe_open(name, "pt") as file:
            found |= {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 — no dictionary
    return found


def new_merge(home: Home, text: str, folder: Path, out: Path | None = None, **changes: Any) -> RunFolder:
    recipe = MergeRecipe(text=text, folder=str(folder), out=None if out is None else str(out), threads=2, **changes)
    return new_run(home, recipe)


def merged(home: Home, text: str, folder: Path, **changes: Any) -> Path:
    """The folder that a merge made in this process."""
    run = new_merge(home, text, folder, **changes)
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    return Path(history_of(run).results["model"])


def failure_of(home: Home, text: str, folder: Path, **changes: Any) -> str:
    run = new_merge(home, text, folder, **changes)
    assert work(run, "cpu") != FINISHED
    assert not (run.artifacts / "model").exists()
    said = history_of(run).failure
    assert said is not None
    return f"{said.what} {said.way_out}"


__all__ = ["BOS", "EOS", "failure_of", "merged", "new_merge", "weights", "write_model"]
