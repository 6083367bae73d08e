"""A measurement from the page: a few real steps as a run of its own, which waits for its device like any other and is removed afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from core import runner, runs
from core.errors import RunTrouble, Trouble
from core.home import Home
from core.measure import measurement
from core.plan import settle
from core.runs import RunFolder
from core.state import State
from desktop_app.plan.draft import Draft
from desktop_app.plan.planning import Measured, Planned, measure_key
from desktop_app.work import in_background

LOOK_EVERY_MS = 400


class Measuring(QObject):
    """`told` says in words what it does, `ended` carries a Measured or None, `troubled` a Trouble."""

    told = Signal(str)
    ended = Signal(object)
    troubled = Signal(object)

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._home = home
        self._run: RunFolder | None = None
        self._draft = Draft()
        self._busy = self._stopped = False
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_EVERY_MS)
        self._timer.timeout.connect(self._look)

    @property
    def busy(self) -> bool:
        return self._busy

    def start(self, planned: Planned) -> None:
        """Begin; nothing happens while one is on its way."""
        plan = planned.plan
        if self._busy or plan is None:
            return
        self._busy, self._stopped, self._draft = True, False, planned.draft
        self.told.emit(self.tr("Preparing the measurement…"))
        home, recipe, choices = self._home, planned.draft.recipe(plan.tokens), plan.estimate.choices

        def begin() -> RunFolder:
            run = runs.new_run(home, measurement(settle(recipe), choices))
            runs.enqueue(home, run)
            runner.ensure_runner(home)
            return run

        in_background(self, begin, self._begun, self._fail)

    def stop(self) -> None:
        """Give it up: the run goes."""
        self._stopped = True
        self.told.emit(self.tr("Ending the measurement…"))
        if self._run is not None:
            self._end(None)

    def _begun(self, run: RunFolder) -> None:
        self._run = run
        if self._stopped:
            self._end(None)
            return
        self._timer.start()
        self._look()

    def _look(self) -> None:
        run, home = self._run, self._home
        if run is not None:
            in_background(self, lambda: _look_at(home, run), self._take, self._fail)

    def _take(self, seen: _Look) -> None:
        if self._run is None:
            return
        if not seen.state.ended:
            self.told.emit(self._progress(seen))
            return
        if seen.state is not State.FINISHED:
            self._fail(RunTrouble(self.tr("The measurement ended early (%s). %s") % (seen.state, seen.words)))
            return
        results = seen.results
        speed = results.get("tokens_per_second")
        if not speed:
            self._fail(RunTrouble(self.tr("The measurement gave no speed."), self.tr("Try it again.")))
            return
        peak, steps = int(results.get("peak_memory_bytes") or 0), int(results.get("steps") or 0)
        self._end(Measured(measure_key(self._draft), float(speed), peak, steps))

    def _progress(self, seen: _Look) -> str:
        if seen.state is State.QUEUED:
            return seen.words
        if seen.phase == "measuring":
            return self.tr("Measuring a few steps…")
        return self.tr("Before the measurement: %s…") % (seen.phase or self.tr("starting the engine"))

    def _fail(self, trouble: Trouble) -> None:
        self._end(None)
        self.troubled.emit(trouble)

    def _end(self, measured: Measured | None) -> None:
        self._timer.stop()
        run, self._run = self._run, None
        if run is None:
            self._close(measured)
            return
        in_background(self, lambda: runs.discard(run), lambda _: self._close(measured), lambda _: self._close(measured))

    def _close(self, measured: Measured | None) -> None:
        self._busy = False
        self.told.emit("")
        self.ended.emit(measured)


@dataclass(frozen=True)
class _Look:
    """The run at one moment: what it waits for or why it failed in words, its phase, and what it found."""

    state: State
    words: str
    phase: str
    results: dict[str, Any]


def _look_at(home: Home, run: RunFolder) -> _Look:
    from core.cli.report import waiting_words

    state = run.state()  # before the journal: one that has finished has said all
    history = run.history()
    words = ""
    if state is State.QUEUED:
        runner.ensure_runner(home)
        words = waiting_words(run, home)
    elif history.failure is not None:
        words = f"{history.failure.what} {history.failure.way_out}".strip()
    return _Look(state, words, history.phase, history.results)
