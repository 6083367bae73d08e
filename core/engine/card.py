"""What goes beside a student's weights: the model card for people, the lineage for programs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from core import __version__
from core.distill import DistillRecipe
from core.engine.text import Framing
from core.tokenizer import tokenizer_identity
from core.tune import TuneRecipe


def lineage(run_id: str, recipe: DistillRecipe, results: dict[str, Any], framing: Framing) -> str:
    """`stillroom.json`: which run made the model, from what, and how it scored. No path of this machine beyond what was asked."""
    return lineage_text(run_id, recipe, results, framing, {"guided": recipe.guided, "init": recipe.init})


def lineage_text(
    run_id: str, recipe: DistillRecipe | TuneRecipe, results: dict[str, Any], framing: Framing, how: dict[str, Any]
) -> str:
    """What every trained model's lineage says, with `how` it was made."""
    teacher = None
    if recipe.teacher is not None:
        folder = Path(recipe.teacher)
        teacher = {
            "path": str(folder),
            "parameters": results["teacher_parameters"],
            "fingerprint": tokenizer_identity(folder).fingerprint,
        }
    content = {
        "run": run_id,
        "made_by": f"stillroom {__version__}",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "teacher": teacher,
        **how,
        "data": list(recipe.data),
        "tokens": results["tokens"],
        "framing": {"start": framing.start, "end": framing.end},
        "scores": results["after"],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def model_card(run_id: str, recipe: DistillRecipe, results: dict[str, Any]) -> str:
    """The README.md of the student's folder, with the front matter that model hubs read."""
    teacher = Path(recipe.teacher).name if recipe.teacher else None
    made = {
        "prune": f"cut out of {teacher} by activation scores",
        "masks": f"cut out of {teacher} by gradient masks",
        "inherit": f"made of the first blocks of {teacher}",
        "scratch": "begun from scratch",
        "existing": f"taken from {Path(recipe.student).name}",
    }[recipe.init]
    guided = f"distilled from {teacher}" if recipe.guided else "trained without a teacher"
    rows = "\n".join(_row(name, results) for name in ("bits_per_byte", "perplexity", "ce", "kd", "agreement"))
    shown = recipe.model_dump(mode="json", exclude={"teacher", "data", "student", "out", "name"}, exclude_defaults=True)
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [stillroom, {"distillation" if recipe.guided else "language-model"}]
---

# {recipe.title()}

A language model of {results["parameters"]:,} parameters, {made} and {guided} on {results["tokens"]:,} tokens of
{", ".join(Path(item).name for item in recipe.data)}.

| held-out text | before | after | teacher |
|---|---|---|---|
{rows}

Losses (ce, kd) are in nats a token; bits per byte can be compared across tokenizers, perplexity can't. Agreement is the share of
tokens where student and teacher have the same first choice.

## How it was made

Run `{run_id}` of Stillroom {__version__}. The settings that differ from the defaults:

```json
{json.dumps(shown, indent=2, ensure_ascii=False)}
```

The whole recipe is `recipe.json` beside this file: `stillroom distill --recipe recipe.json --out FOLDER` runs it again.
"""


def _row(name: str, results: dict[str, Any]) -> str:
    cells = []
    for column in ("before", "after", "teacher"):
        value = (results[column] or {}).get(name)
        cells.append("–" if value is None else f"{value:.4f}")
    return f"| {name.replace('_', ' ')} | {' | '.join(cells)} |"
