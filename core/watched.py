"""What was measured of a student while it was trained (`core.watch`): its evaluations by step, and the time they took."""

from __future__ import annotations

from dataclasses import dataclass

from core.home import Home
from core.runs import RunFolder
from core.scores import Score, measured_by
from core.state import History


@dataclass(frozen=True)
class Point:
    """The student after a step. `scores` is empty while its evaluation waits or goes on, and for good where it ended without any."""

    step: int
    run: str
    scores: tuple[Score, ...]
    seconds: float = 0.0  # that the training waited
    ended: bool = True

    @property
    def pending(self) -> bool:
        return not self.scores and not self.ended


def points_of(home: Home, history: History) -> list[Point]:
    """All measurements of a training, in the order of its steps."""
    found = []
    for said in sorted(history.measured, key=lambda said: said.step):
        run = RunFolder(home.runs / said.run)
        measured = measured_by(run)
        scores = measured.scores if measured is not None else ()
        ended = bool(scores) or not run.path.exists() or run.state().ended
        found.append(Point(said.step, said.run, scores, said.seconds, ended))
    return found


def share_of_time(history: History) -> float | None:
    """The share of a training's time in which it waited for measurements, 0 to 1; None before its first step is said."""
    if not history.steps:
        return None
    last = history.steps[-1]
    waited = sum(said.seconds for said in history.measured)
    later = sum(said.seconds for said in history.measured if said.step >= last.step)  # not in that step's time yet
    whole = last.seconds + later
    return min(1.0, waited / whole) if whole > 0 else None
