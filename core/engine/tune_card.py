"""What goes beside a tuned model or adapter: the card for people, the lineage for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core import __version__
from core.engine.card import lineage_text
from core.engine.text import Framing
from core.models import inspect_model
from core.tune import GOALS, METHODS, TuneRecipe


def lineage(run_id: str, recipe: TuneRecipe, results: dict[str, Any], framing: Framing) -> str:
    """`stillroom.json`: which run made it, from which base (with the fingerprint of its weights), and how it scored."""
    base = inspect_model(Path(recipe.model), recipe.allow_remote_code)
    made_of = {"path": recipe.model, "parameters": base.parameters, "fingerprint": base.fingerprint}
    how = {"base": made_of, "method": recipe.method, "objective": recipe.objective}
    return lineage_text(run_id, recipe, results, framing, how)


def model_card(run_id: str, recipe: TuneRecipe, results: dict[str, Any]) -> str:
    """The README.md of the result's folder, with the front matter that model hubs read."""
    base = Path(recipe.model).name
    what = (
        f"An adapter ({METHODS[recipe.method][0]}) for {base}" if recipe.adapts else f"{base}, tuned in all its weights"
    )
    names = dict.fromkeys([*(results["before"] or {}), *(results["after"] or {})])
    rows = "\n".join(row for name in names if (row := _row(name, results)))
    shown = recipe.model_dump(
        mode="json", exclude={"model", "adapter", "teacher", "data", "out", "name"}, exclude_defaults=True
    )
    library = "peft" if recipe.adapts else "transformers"
    samples = "\n\n".join(
        f"> {_quoted(each['prompt'])}\n\nbefore: {_quoted(each['before'])}\n\nafter: {_quoted(each['after'])}"
        for each in results["samples"]
    )
    return f"""---
library_name: {library}
pipeline_tag: text-generation
tags: [stillroom, {recipe.objective}{", lora" if recipe.adapts else ""}]
---

# {recipe.title()}

{what}: {results["learnt_parameters"]:,} of {results["parameters"]:,} weights were learnt, on {results["tokens"]:,} tokens of
{", ".join(Path(item).name for item in recipe.data)} ({GOALS[recipe.objective][0]}).

| {results["held_out_rows"]} held-out rows | before | after |
|---|---|---|
{rows}

{samples}

## How it was made

Run `{run_id}` of Stillroom {__version__}. The settings that differ from the defaults:

```json
{json.dumps(shown, indent=2, ensure_ascii=False)}
```

The whole recipe is `recipe.json` beside this file: `stillroom tune --recipe recipe.json --out FOLDER` runs it again.
"""


def _row(name: str, results: dict[str, Any]) -> str:
    values = [(results[column] or {}).get(name) for column in ("before", "after")]
    if all(value is None for value in values):
        return ""
    return f"| {name.replace('_', ' ')} | {' | '.join('–' if value is None else f'{value:.4f}' for value in values)} |"


def _quoted(text: str) -> str:
    return " ".join(text.split())
