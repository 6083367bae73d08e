"""What model, adapter, teacher and data have against a tuning, found before it starts: by headers and the first rows, without torch."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.adapters import base_of, read_adapter
from core.data.examples import Example, examples
from core.data.placeholders import placeholders_in
from core.errors import BadData
from core.model_files import tensor_shapes
from core.models import inspect_model
from core.tokenizer import same_tokenizer

if TYPE_CHECKING:
    from core.tune import TuneRecipe

Say = Callable[[str, str], None]

LOOKED_AT_FOR_KIND = 20
LOOKED_AT = 1000  # rows of the data; the engine looks at all of them
_IN_A_BLOCK = re.compile(r"(?:^|\.)\d+\.(?:.+\.)?(?P<leaf>[^.]+)\.weight$")
MOST_NAMED = 8


def folder_in_the_way(out: Path) -> str | None:
    """Why nothing can be written to the folder `out`, said before hours of work; None if all is well."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        return f"{out} is there already. Name a new or empty folder; nothing is overwritten."
    nearest = next(parent for parent in out.absolute().parents if os.path.lexists(parent))
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return None
    return f"Nothing can be written to {out}: {nearest} is no folder that you may write to. Name another place."


def linear_layers(folder: Path) -> dict[str, int]:
    """The linear layers inside the blocks of the model in `folder`, by the last part of their name, and how many there are of each."""
    found: dict[str, int] = {}
    for name, dims in tensor_shapes(folder).items():
        match = _IN_A_BLOCK.search(name)
        if match and len(dims) == 2:
            found[match["leaf"]] = found.get(match["leaf"], 0) + 1
    return found


def unmatched(targets: tuple[str, ...], folder: Path) -> list[str]:
    """Those of `targets` that are the name, or the end of the name, of no layer with a matrix."""
    names = [name.removesuffix(".weight") for name, dims in tensor_shapes(folder).items() if len(dims) == 2]
    return [each for each in targets if not any(name == each or name.endswith(f".{each}") for name in names)]


def files_against(recipe: TuneRecipe, say: Say) -> None:
    """Say what the files of the recipe have against it. Raises Trouble for a model or data that can't be read."""
    model = Path(recipe.model)
    info = inspect_model(model, recipe.allow_remote_code)
    if info.is_adapter:
        say("model", f"{model} is an adapter. Name its base as the model, and the folder as the adapter to go on from.")
        return
    if info.quantization is not None:
        say("model", f"The weights of {model} are quantized ({info.quantization}). Choose the original model.")
    if recipe.targets and (missing := unmatched(recipe.targets, model)):
        known = list(linear_layers(model))
        say(
            "targets", f"{', '.join(missing)} matches no layer of {model.name}. It has {', '.join(known[:MOST_NAMED])}."
        )
    if recipe.sequence_length is not None and info.context and recipe.sequence_length > info.context:
        say(
            "sequence_length",
            f"{recipe.sequence_length} is longer than the model's context of {info.context}. Shorten it.",
        )
    if recipe.adapter is not None:
        base_of(read_adapter(Path(recipe.adapter)), model)
    if recipe.teacher is not None:
        same, why = same_tokenizer(Path(recipe.teacher), model)
        if not same:
            say(
                "teacher",
                f"Teacher and model have different tokenizers: {why}. Choose a teacher of the model's family.",
            )
    rows_against(recipe, say)


def rows_against(recipe: TuneRecipe, say: Say) -> None:
    """Say what the first rows of the data have against the objective."""
    stream = examples(recipe.data, mapping=recipe.mapping, separator=recipe.separator, skip_broken=recipe.skip_broken)
    rows = list(itertools.islice(stream, LOOKED_AT))
    if why := kinds_against(recipe, rows):
        say("objective", why)
        return
    for row in rows:
        if (mark := unfilled(recipe, row)) is not None:
            name = "persona_" + mark.strip("{}")
            say(name, f"Line {row.line} of {row.path} has {mark}. Say what it stands for (--{name.replace('_', '-')}).")
            break
    if not recipe.prefers and recipe.learn == "answers" and not any(map(teaches, rows)):
        say("data", f"None of the first {len(rows)} rows has an answer of the assistant to learn. Choose other data.")


def prefers(data: Sequence[str]) -> bool:
    """True if the first rows of the data are preference pairs; False also where they can't be read, which is said elsewhere."""
    try:
        return any(row.kind == "preference" for row in itertools.islice(examples(data), LOOKED_AT_FOR_KIND))
    except BadData:
        return False


def kinds_against(recipe: TuneRecipe, rows: list[Example]) -> str | None:
    """Why rows of these kinds don't go with the objective."""
    if not rows:
        return f"{', '.join(recipe.data)} holds no rows. Choose data to learn from."
    pairs = sum(row.kind == "preference" for row in rows)
    where = ", ".join(Path(item).name for item in recipe.data)
    if recipe.prefers and pairs < len(rows):
        found = next(row for row in rows if row.kind != "preference")
        return (
            f"{recipe.objective} learns from pairs of a better and a worse answer, and line {found.line} of {found.path.name} is none "
            f"({found.kind}). Choose preference data, or the objective sft."
        )
    if not recipe.prefers and pairs:
        return f"{where} holds pairs of a better and a worse answer. Choose the objective dpo or orpo, or other data."
    if not recipe.prefers and all(row.kind == "questions" for row in rows):
        return f"{where} holds questions without answers. Let a model answer them first, or choose other data."
    return None


def teaches(row: Example) -> bool:
    """True if something of the row is learnt."""
    return bool(row.text.strip()) or any(turn.learnt and turn.content.strip() for turn in row.turns)


def unfilled(recipe: TuneRecipe, row: Example) -> str | None:
    """The first placeholder of the row that the recipe does not fill."""
    fillings = recipe.placeholders()
    return next((mark for mark in placeholders_in(row) if fillings[mark] is None), None)
