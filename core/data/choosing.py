"""What the recipes that read data share: columns named by hand, and what stands in the way of a file or folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from core.data.formats import MAPPABLE
from core.errors import BadData
from core.recipe import Problem

COLUMNS_HELP = "Which column is which, where that is not recognised: text=body."
SEPARATOR_HELP = "The line that parts documents of plain text; by default <|endoftext|>."
SKIP_HELP = "Off: rows that can't be read are skipped and counted, instead of ending the run."


def mapping_of(pairs: Sequence[str]) -> dict[str, str] | None:
    """{"text": "body"} of ["text=body"]; None if there are none. BadData for a pair that is none, or an unknown field."""
    mapping = {}
    for pair in pairs:
        field, _, column = (part.strip() for part in pair.partition("="))
        if not field or not column:
            raise BadData(f"{pair!r} does not say which column is which.", "Say it like text=COLUMN.")
        if field not in MAPPABLE:
            raise BadData(f"There is no field {field!r} to map a column to.", f"There are {', '.join(MAPPABLE)}.")
        mapping[field] = column
    return mapping or None


def data_problems(data: Sequence[str], columns: Sequence[str]) -> list[Problem]:
    """Paths that are not there, and columns that are named in a way that can't be understood."""
    found = [
        Problem(field="data", text=f"There is no file or folder {item}. Choose data to read.")
        for item in data
        if not Path(item).exists()
    ]
    try:
        mapping_of(columns)
    except BadData as trouble:
        found.append(Problem(field="columns", text=str(trouble)))
    return found


def in_the_way(out: Path) -> str | None:
    """Why nothing new can be written at `out`, said before the work."""
    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
        return f"{out} is there already. Name another place; nothing is overwritten."
    nearest = next(parent for parent in out.absolute().parents if os.path.lexists(parent))
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return None
    return f"{out} can't be written: {nearest} is no folder that you may write to. Name another place."
