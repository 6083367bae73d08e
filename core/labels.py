"""What the user calls a run: its name and its tags, kept in `meta.json` beside the frozen recipe."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from core.errors import RunTrouble
from core.files import write_json
from core.runs import RunFolder

LONGEST_NAME, LONGEST_TAG = 200, 40  # characters


def rename(run: RunFolder, name: str) -> None:
    """Call the run by another name. Its id and folder stay. Raises RunTrouble for an empty name."""
    tidy = _one_line(name)[:LONGEST_NAME]
    if not tidy:
        raise RunTrouble(f"Run {run.id} needs a name.", "Write one, or press Escape to keep the old one.")
    _change(run, {"name": tidy})


def retag(run: RunFolder, tags: Iterable[str]) -> None:
    """Give the run these tags in place of those it had."""
    _change(run, {"tags": list(tidy_tags(tags))})


def tidy_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Each tag once, in the order in which they came, on one line and without commas, which part them when typed."""
    each = (_one_line(tag.replace(",", " "))[:LONGEST_TAG].rstrip() for tag in tags)
    return tuple(dict.fromkeys(tag for tag in each if tag))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _change(run: RunFolder, new: dict[str, Any]) -> None:
    if not run.path.is_dir():
        raise RunTrouble(f"Run {run.id} is gone.", "Somebody moved or removed its folder.")
    try:
        write_json(run.meta_file, {**run.meta(), **new})
    except OSError as error:
        raise RunTrouble(
            f"{run.meta_file} can't be written: {error.strerror}.", "Free some space, or change the permissions."
        ) from error
