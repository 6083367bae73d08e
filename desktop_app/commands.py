"""Commands are a table of data: what the palette lists, the shortcuts do and the menus show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _always() -> str:
    return ""


@dataclass(frozen=True)
class Command:
    """One thing a user can do. `why_not` says why it can't be done now, or nothing."""

    name: str
    text: str
    run: Callable[[], None]
    icon: str = ""
    shortcut: str = ""  # as QKeySequence reads it: "Ctrl+Return"
    why_not: Callable[[], str] = _always
    words: Callable[[], str] | None = None  # what its button says, where that depends on what is picked
