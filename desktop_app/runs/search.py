"""The filter of the table: words that must all be found, `state:failed`, `tag:night`, `teacher:5M`, `device:cpu`."""

from __future__ import annotations

from collections.abc import Callable

from core.run_summary import RunSummary
from desktop_app.runs.words import model_name, state_word

FIELDS: dict[str, Callable[[RunSummary], str]] = {
    "state": lambda row: f"{row.state} {state_word(row.state)}",
    "name": lambda row: row.name,
    "teacher": lambda row: row.teacher or "",
    "student": lambda row: row.student or "",
    "tag": lambda row: "\n".join(row.tags),
    "device": lambda row: row.device or "",
    "kind": lambda row: row.kind,
    "id": lambda row: row.id,
}


def matches(row: RunSummary, text: str) -> bool:
    """Whether the run has all the words. A word before a colon names the field to look in."""
    return all(_has(row, word) for word in text.casefold().split())


def _has(row: RunSummary, word: str) -> bool:
    name, colon, rest = word.partition(":")
    field = FIELDS.get(name.removesuffix("s") if name == "tags" else name) if colon else None
    if field is not None:
        return rest in field(row).casefold()
    return word in _everything(row)


def _everything(row: RunSummary) -> str:
    parts = (row.name, row.state, state_word(row.state), model_name(row.teacher), row.id, *row.tags)
    return "\n".join(parts).casefold()
