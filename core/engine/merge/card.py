"""What goes beside merged weights: the card for people, the lineage for programs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from core import __version__
from core.files import read_json
from core.merge.methods import METHODS
from core.merge.run import MergeRecipe
from core.merge.tree import Survey, Tree
from core.numbers import count_text


def lineage(run_id: str, recipe: MergeRecipe, tree: Tree, found: Survey, donor: Path) -> dict[str, Any]:
    """`stillroom.json`: which run made the model, of what, and how its donor was framed in training, if we know (`donor` is its lineage)."""
    inputs = {}
    for plan in found.plans.values():
        for model, contents in plan.contents.items():
            if contents.folder is not None:
                inputs[str(model)] = {"parameters": contents.parameters, "fingerprint": contents.fingerprint}
    content = {
        "run": run_id,
        "made_by": f"stillroom {__version__}",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "teacher": None,
        "data": None,
        "merge": {
            "methods": {key: tree.merges[key].method for key in tree.needed()},
            "inputs": inputs,
            "seed": recipe.seed,
        },
        "scores": {},
    }
    try:
        framing = read_json(donor)["framing"]
    except (OSError, ValueError, KeyError, TypeError):
        return content
    return {**content, "framing": framing}


def model_card(run_id: str, recipe: MergeRecipe, tree: Tree, found: Survey, results: dict[str, Any]) -> str:
    """The README.md of the model's folder, with the front matter that model hubs read."""
    rows, notes = [], []
    for key in tree.needed():
        plan = found.plans[key]
        facts = METHODS.get(plan.document.method)
        inputs = ", ".join(Path(str(model)).name for model in plan.document.models())
        title = f"{facts.title} ({facts.source})" if facts else "Mixture of experts (arXiv 2212.05055)"
        rows.append(f"| {key} | {title} | {inputs} | {count_text(plan.parameters)} |")
        notes += [f"- {note}" for note in plan.notes]
    table, remarks = "\n".join(rows), "\n".join(notes)
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [stillroom, merge, mergekit]
---

# {recipe.title()}

A language model of {results["parameters"]:,} parameters, merged from others.

| merge | method | inputs | parameters |
|---|---|---|---|
{table}

{remarks}

## How it was made

Run `{run_id}` of Stillroom {__version__}, seed {recipe.seed}, arithmetic in {recipe.arithmetic}, from this recipe:

```yaml
{recipe.text.rstrip()}
```

The same recipe is `mergekit_config.yml` beside this file: `stillroom merge mergekit_config.yml FOLDER` merges again.
"""
