"""A run's state is a pure fold over its events, plus what its folder says now (lock, queue entry, stop request)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core import events as ev


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    CRASHED = "crashed"

    @property
    def ended(self) -> bool:
        return self in (State.STOPPED, State.FINISHED, State.FAILED, State.CRASHED)

    @property
    def alive(self) -> bool:
        return self in (State.RUNNING, State.STOPPING)


@dataclass
class History:
    """What the journal of a run has said so far. `take` folds one event in; curves keep one point a step, in order."""

    said: State | None = None  # the ending that was said, or RUNNING after a start, or None
    device: str = ""
    phase: str = ""
    phase_share: float | None = None
    plan: ev.TrainingPlanned | None = None
    steps: list[ev.StepLogged] = field(default_factory=list)
    evaluations: list[ev.EvaluationLogged] = field(default_factory=list)
    samples: list[ev.SampleWritten] = field(default_factory=list)
    measured: list[ev.StudentMeasured] = field(default_factory=list)
    choices: dict[str, ev.ChoiceMade] = field(default_factory=dict)
    notices: list[ev.NoticeRaised] = field(default_factory=list)
    links: list[ev.LinkEntered] = field(default_factory=list)  # of a chain, those entered so far
    checkpoint_step: int | None = None
    attempts: int = 0
    started_at: float | None = None
    updated_at: float | None = None
    engine: ev.RunStarted | None = None
    results: dict[str, Any] = field(default_factory=dict)
    failure: ev.RunFailed | None = None

    def take(self, event: ev.Event) -> None:
        self.updated_at = event.time
        match event:
            case ev.RunStarted():
                self._start(event)
            case ev.PhaseEntered():
                self.phase, self.phase_share = event.phase, None
            case ev.PhaseProgressed():
                self.phase, self.phase_share = event.phase, event.share
            case ev.TrainingPlanned():
                self.plan = event
            case ev.StepLogged():
                self.steps.append(event)
            case ev.EvaluationLogged():
                self.evaluations.append(event)
            case ev.SampleWritten():
                self.samples.append(event)
            case ev.StudentMeasured():
                self.measured.append(event)
            case ev.ChoiceMade():
                self.choices[event.name] = event
            case ev.NoticeRaised():
                self.notices.append(event)
            case ev.LinkEntered():
                self.links.append(event)
            case ev.CheckpointSaved():
                self.checkpoint_step = event.step
            case ev.RunStopped():
                self.said = State.STOPPED
            case ev.RunFinished():
                self.said, self.results = State.FINISHED, event.results
            case ev.RunFailed():
                self.said, self.failure = State.FAILED, event

    def _start(self, event: ev.RunStarted) -> None:
        """A new attempt: points after the checkpoint that it goes on from are void, for they will be made again."""
        self.said, self.device, self.engine = State.RUNNING, event.device, event
        self.failure, self.results = None, {}
        self.phase, self.phase_share = "", None
        self.checkpoint_step = event.resumed_from
        self.attempts += 1
        if self.started_at is None:
            self.started_at = event.time
        keep = -1 if event.resumed_from is None else event.resumed_from
        self.steps = [point for point in self.steps if point.step <= keep]
        self.evaluations = [point for point in self.evaluations if point.step <= keep]
        self.samples = [sample for sample in self.samples if sample.step <= keep]
        self.measured = [point for point in self.measured if point.step <= keep]
        self.links = [link for link in self.links if link.step <= max(keep, 0)]

    def totals(self) -> Sequence[float | None]:
        """The total loss of each step, in order."""
        return [point.total for point in self.steps]

    @property
    def step(self) -> int:
        return self.steps[-1].step if self.steps else 0

    @property
    def share(self) -> float | None:
        """Steps done over steps planned, 0 to 1; None before the plan is known."""
        return min(1.0, self.step / self.plan.steps) if self.plan and self.plan.steps else None

    def seconds_left(self, recent: int = 20) -> float | None:
        """Estimated seconds of training left, from the pace of the last `recent` logged steps."""
        if self.plan is None or len(self.steps) < 2:
            return None
        last, first = self.steps[-1], self.steps[max(0, len(self.steps) - 1 - recent)]
        done = last.step - first.step
        if None in (last.seconds, first.seconds):  # as a journal that was edited by hand may have it
            return None
        return (last.seconds - first.seconds) / done * (self.plan.steps - last.step) if done > 0 else None


def fold(events: Iterable[ev.Event]) -> History:
    history = History()
    for event in events:
        history.take(event)
    return history


def state_of(said: State | None, *, lock_held: bool, queued: bool, stop_requested: bool) -> State:
    """The state from what the journal said last and what the folder shows now.

    A held lock is the only sign of life. A free lock with a start but no ending is a crash. A run that never started
    and is not queued was taken out of the queue: it counts as stopped.
    """
    if lock_held:
        return State.STOPPING if stop_requested else State.RUNNING
    if queued:
        return State.QUEUED
    if said is None:
        return State.STOPPED
    return State.CRASHED if said is State.RUNNING else said
