"""Data and recipes for the tests of tuning: small enough that a whole run takes seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny import beginnings

from core.home import Home
from core.runs import RunFolder, new_run
from core.tune import TuneRecipe


def write_chats(path: Path, count: int = 60, seed: int = 7) -> Path:
    """Conversations of one or two exchanges."""
    texts = beginnings(2 * count, seed)
    rows = []
    for number in range(count):
        messages = [
            {"role": "user", "content": f"Tell me story {number % 7}."},
            {"role": "assistant", "content": texts[2 * number][:60]},
        ]
        if number % 3 == 0:
            messages += [
                {"role": "user", "content": "And then?"},
                {"role": "assistant", "content": texts[2 * number + 1][:40]},
            ]
        rows.append({"messages": messages})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_pairs(path: Path, count: int = 40, seed: int = 7) -> Path:
    """Pairs whose better answer is a story and whose worse one is a refusal."""
    rows = [
        {"prompt": f"Tell me story {number}.", "chosen": text[:50], "rejected": "No, I will not do that."}
        for number, text in enumerate(beginnings(count, seed))
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def tune_recipe(model: Path, data: Path, **changes: Any) -> TuneRecipe:
    """Six steps of four rows."""
    fields: dict[str, Any] = {
        "model": str(model),
        "data": (str(data),),
        "rank": 4,
        "steps": 6,
        "batch": 4,
        "micro_batch": 2,
        "learning_rate": 5e-3,
        "evaluate_every": 3,
        "checkpoint_every": 2,
        "sample_rows": 1,
        "new_tokens": 8,
        "held_out": 0.15,
        "sequence_length": 96,
        "device": "cpu",
    }
    return TuneRecipe(**(fields | changes))


def new_tuning(home: Home, recipe: TuneRecipe) -> RunFolder:
    return new_run(home, recipe.check())
