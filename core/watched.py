"""What was measured of a student while it was trained (`core.watch`): its evaluations by step, and the time they took."""

from __future__ import annotations

from dataclasses import dataclass

from core.home import Home
from core.runs import RunFolder
from core.scores import Score, measured_by
from core.state import History


@dataclass(frozen=True)
class Point:
    """The student after a step. `scores` is empty while its evaluation waits or goes on, and where it failed."""

    step: int
    run: str
    scores: tuple[Score, ...]


def points_of(home: Home, history: History) -> list[Point]:
    """All measurements of a training, in the order of its steps."""
    found = []
    for said in sorted(history.measured, key=lambda said: said.step):
        measured = measured_by(RunFolder(home.runs / said.run))
        found.append(Point(said.step, said.run, measured.scores if measured is not None else ()))
    return found


def share_of_time(history: History) -> float | None:
    """The share of a training's time in which it waited for measurements, 0 to 1; None before its first step is said."""
    waited = sum(said.seconds for said in history.measured)
    trained = history.steps[-1].seconds if history.steps else 0.0
    return min(1.0, waited / trained) if trained > 0 else None
