"""Merging as a run. The methods in `core.engine.merge.methods` stand alone: they need torch and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.engine.session import Session


def run(session: Session) -> dict[str, Any]:
    """Returns the model's folder, its parameters and bytes, what was read and written, and the seconds of merging."""
    from core.engine.merge.job import merge

    return merge(session)
