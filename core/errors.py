"""The user's troubles, told apart from our bugs.

A `Trouble` is something a person can mend: it says in one or two sentences what happened, to what, and what to do next.
Whoever catches one shows its text as it is. Any other exception is our bug and keeps its traceback.
"""

from __future__ import annotations


class Trouble(Exception):
    """What went wrong with what (a file, field or tensor), and the way out."""

    def __init__(self, what: str, way_out: str = "") -> None:
        self.what = what
        self.way_out = way_out
        super().__init__(f"{what} {way_out}".strip())


class BadModel(Trouble):
    """A folder that cannot be used as a model."""


class BadData(Trouble):
    """A text or data file that cannot be read as documents."""


class BadRecipe(Trouble):
    """A recipe whose fields do not fit together or lie outside their range."""


class LibraryTrouble(Trouble):
    """The library can't be read or written."""


class RunTrouble(Trouble):
    """A run that cannot be created, found, resumed, stopped or removed."""
