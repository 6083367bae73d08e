"""A data folder with a family of models, a merge of two of them and two sweeps, written by core's own writers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from made_up import a_model

from core import events as ev
from core import runs
from core.home import Home
from core.journal import JournalWriter
from core.library import Library
from core.merge.run import MergeRecipe
from core.recipe import Recipe
from core.sweep import SweepRecipe

SHAPE: dict[str, Any] = {
    "hidden_size": 160,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "intermediate_size": 432,
    "vocab_size": 4096,
}
TREE = """\
name: stories
models:
  - model: tales
    parameters: {weight: 0.6, density: 0.5}
  - model: songs
    parameters: {weight: 0.4, density: 0.5}
merge_method: ties
base_model: plain
---
models:
  - model: stories
  - model: riddles
merge_method: slerp
base_model: stories
parameters: {t: 0.3}
dtype: bfloat16
"""
HALVES = "models:\n  - model: tales\n    parameters: {weight: 0.5}\n  - model: songs\n    parameters: {weight: 0.5}\nmerge_method: linear\n"


def data_folder(folder: Path, long_name: str) -> Home:
    home = Home.find(folder / "merges")
    (home.root / "window.ini").write_text("[General]\ngreeted=true\n")
    family = folder / "family"
    for name in ("plain", "tales", "songs", "riddles", long_name[:90]):
        a_model(family / name, **SHAPE)
    a_model(family / "wide", **SHAPE | {"hidden_size": 256})
    (family / "tree.yml").write_text(TREE, encoding="utf-8")
    with Library(home) as library:
        library.add_folder(family)
    merge_run(home, family)
    sweep_run(home, family, "songs over density and weight", ("density@songs", "weight@songs"), 5)
    sweep_run(home, family, "share of songs", ("mix",), 11)
    return home


def tree_file(home: Home) -> Path:
    return home.root.parent / "family" / "tree.yml"


def merge_run(home: Home, family: Path) -> None:
    recipe = MergeRecipe(name="tales and songs, half and half", text=HALVES, folder=str(family))
    run = _begun(home, recipe)
    a_model(run.artifacts / "model", **SHAPE)
    results = {
        "model": str(run.artifacts / "model"),
        "method": "linear",
        "parameters": 2_510_000,
        "size_bytes": 5_020_000,
        "read_bytes": 10_040_000,
        "written_bytes": 5_020_000,
        "seconds": 0.42,
    }
    with JournalWriter(run.journal) as journal:
        journal.append(ev.PhaseEntered("merging"))
        journal.append(ev.RunFinished(results))


def sweep_run(home: Home, family: Path, name: str, axes: tuple[str, ...], count: int) -> None:
    values = [round(place / (count - 1), 3) for place in range(count)]
    along = tuple(f"{axis}=0:1:{1 / (count - 1):g}" for axis in axes)
    recipe = SweepRecipe(name=name, text=HALVES, folder=str(family), along=along, data=("/data/held out.txt",))
    run = _begun(home, recipe)
    grid = [(x,) for x in values] if len(axes) == 1 else [(x, y) for x in values for y in values]
    points = []
    for number, at in enumerate(grid):
        score = 0.61 + 0.12 * sum((value - 0.4) ** 2 for value in at)
        points.append({"point": number, **dict(zip(axes, at, strict=True)), "bits_per_byte": score, "ce": score})
    best = min(points, key=lambda row: row["bits_per_byte"])
    a_model(run.artifacts / "model", **SHAPE)
    results = {
        "model": str(run.artifacts / "model"),
        "axes": list(axes),
        "points": points,
        "best": best,
        "bits_per_byte": best["bits_per_byte"],
    }
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunFinished(results))


def _begun(home: Home, recipe: Recipe) -> runs.RunFolder:
    run = runs.new_run(home, recipe)
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunStarted("cpu", 4242, time.time(), versions={"torch": "2.13.0", "transformers": "5.23.0"}))
    return run
