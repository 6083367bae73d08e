"""Runs that export, made up for tests and pictures by core's own writers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from core import events as ev
from core import runs
from core.export import ExportRecipe
from core.home import Home
from core.journal import JournalWriter
from core.runs import RunFolder

PROMPTS = (
    "Once upon a time, there was a",
    "The fox and the owl were",
    "Mina had a red kite, but",
    "In the village by the",
)


def results(place: Path, *, parted: bool = True, to: str = "gguf", weight_type: str = "q8_0") -> dict[str, Any]:
    """What an export tells at its end; with `parted` one answer differs, at a near tie."""
    answers = []
    for number, prompt in enumerate(PROMPTS):
        said = " fox called Mina. She wanted a red kite, but the wind was gone."
        other = said.replace("the wind was gone", "there was no wind") if parted and number == 1 else said
        at = 11 if other != said else None
        answers.append(
            {
                "prompt": prompt,
                "original": said,
                "exported": other,
                "first_difference": at,
                "margin": 0.02 if at else None,
            }
        )
    check = {
        "runtime": "llama.cpp", "prompts": len(PROMPTS), "equal_answers": len(PROMPTS) - parted, "near_ties": int(parted), "answers": answers,
        "perplexity": {"original": 3.412, "exported": 3.418, "change": 0.00176}, "agreement": 0.993, "tokens": 2000, "template": "same",
        "stops": [1],
    }  # fmt: skip
    return {
        "path": str(place), "to": to, "type": weight_type, "files": [place.name], "size_bytes": 2_300_000,
        "original_bytes": 8_400_000, "check": check,
    }  # fmt: skip


def export_run(home: Home, model: Path, *, name: str = "", state: str = "finished", **asked: Any) -> RunFolder:
    """A run folder as the engine leaves it: finished, or failed at the comparison."""
    recipe: dict[str, Any] = {"to": "gguf", "type": "q8_0"} | asked
    run = runs.new_run(home, ExportRecipe(name=name, model=str(model), **recipe))
    meta = json.loads(run.meta_file.read_text())
    run.meta_file.write_text(json.dumps(meta))
    place = run.artifacts / f"{model.name}-{recipe['type']}.gguf"
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunStarted("cpu", 4242, time.time(), versions={"torch": "2.13.0", "transformers": "5.23.0"}))
        journal.append(ev.PhaseEntered("comparing", "answers in llama.cpp"))
        if state == "failed":
            told = "The export does not stop at </s> (1), where the original does: its answers would run on."
            journal.append(ev.RunFailed(told, "Nothing was kept.", "", 0))
        else:
            journal.append(
                ev.ChoiceMade("types", {"q8_0": 20, "f32": 9}, "20 as q8_0, 9 as f32: norms and biases stay exact")
            )
            journal.append(ev.RunFinished(results(place, to=recipe["to"], weight_type=recipe["type"])))
    return run
