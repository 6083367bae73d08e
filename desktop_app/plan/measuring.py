"""A measurement from the page: a few real steps as a run of its own, which waits for its device like any other and is removed afterwards."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, QTimer, Signal

from core import runner, runs
from core.errors import RunTrouble, Trouble
from core.home import Home
from core.measure import measurement
from core.plan import settle
from core.recipe import Recipe
from core.runs import RunFolder
from core.state import State
from desktop_app.plan.draft import Draft
from desktop_app.plan.planning import Measured, Planned, measure_key
from desktop_app.work import in_background

LOOK_EVERY_MS = 400
WATCHED = "watched"  # in the run's folder: a window waits for it, and touches this now and then
TOUCH_EVERY_S = 60
DEAD_AFTER_S = 3600


class Measuring(QObject):
    """`told` says in words what it does, `ended` carries a Measured or None, `troubled` a Trouble."""

    told = Signal(str)
    ended = Signal(object)
    troubled = Signal(object)

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._home = home
        self._run: RunFolder | None = None
        self._begins = _Beginning()
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

        begins = self._begins = _Beginning()
        in_background(
            self, lambda: begins.begin(home, measurement(settle(recipe), choices)), self._begun, self._begin_failed
        )

    def stop(self) -> None:
        """Give it up: the run goes."""
        self._stopped = True
        self.told.emit(self.tr("Ending the measurement…"))
        if self._run is not None:
            self._end(None)

    def close(self) -> None:
        """The window closes: the run goes, even one that is only being made."""
        self._timer.stop()
        self._stopped = self._begins.given_up = True
        run, self._run = self._run or self._begins.run, None
        if self._busy and run is not None:
            in_background(self, lambda: runs.discard(run), lambda _: None, self.troubled.emit)

    def _begin_failed(self, trouble: Trouble) -> None:
        self._end(None)
        self.troubled.emit(trouble)

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
            in_background(self, lambda: _look_at(home, run), partial(self._take, run), partial(self._fail, run))

    def _take(self, run: RunFolder, seen: _Look) -> None:
        if self._run is not run:  # it was ended after this look had begun
            return
        if not seen.state.ended:
            self.told.emit(self._progress(seen))
            return
        if seen.state is not State.FINISHED:
            self._fail(run, RunTrouble(self.tr("The measurement ended early (%s). %s") % (seen.state, seen.words)))
            return
        results = seen.results
        speed = results.get("tokens_per_second")
        if not speed:
            self._fail(run, RunTrouble(self.tr("The measurement gave no speed."), self.tr("Try it again.")))
            return
        peak, steps = int(results.get("peak_memory_bytes") or 0), int(results.get("steps") or 0)
        self._end(Measured(measure_key(self._draft), float(speed), peak, steps))

    def _progress(self, seen: _Look) -> str:
        if seen.state is State.QUEUED:
            return seen.words
        if seen.phase == "measuring":
            return self.tr("Measuring a few steps…")
        return self.tr("Before the measurement: %s…") % (seen.phase or self.tr("starting the engine"))

    def _fail(self, run: RunFolder, trouble: Trouble) -> None:
        if self._run is run:
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


class _Beginning:
    """The run on its way into the queue, in another thread; `given_up` takes it out again."""

    def __init__(self) -> None:
        self.run: RunFolder | None = None
        self.given_up = self.ended = False

    def begin(self, home: Home, recipe: Recipe) -> RunFolder:
        try:
            return self._begin(home, recipe)
        finally:
            self.ended = True

    def _begin(self, home: Home, recipe: Recipe) -> RunFolder:
        run = self.run = runs.new_run(home, recipe)
        try:
            (run.path / WATCHED).touch()
            runs.enqueue(home, run)
            runner.ensure_runner(home)
        except (Trouble, OSError) as error:
            runs.discard(run)
            raise error if isinstance(error, Trouble) else RunTrouble(str(error)) from error
        if self.given_up:
            runs.discard(run)
        return run


@dataclass(frozen=True)
class _Look:
    """The run at one moment: what it waits for or why it failed in words, its phase, and what it found."""

    state: State
    words: str
    phase: str
    results: dict[str, Any]


def _look_at(home: Home, run: RunFolder) -> _Look:
    from core.cli.report import waiting_words

    if not run.path.is_dir():
        raise RunTrouble(QCoreApplication.translate("Measuring", "The measurement's run was removed meanwhile."))
    _touch(run.path / WATCHED)
    state = run.state()  # before the journal: one that has finished has said all
    history = run.history()
    words = ""
    if state is State.QUEUED:
        runner.ensure_runner(home)
        words = waiting_words(run, home)
    elif history.failure is not None:
        words = f"{history.failure.what} {history.failure.way_out}".strip()
    return _Look(state, words, history.phase, history.results)


def _touch(sign: Path) -> None:
    """Say that a window waits for the run; not at every look, for each change is one for the list of runs."""
    with contextlib.suppress(FileNotFoundError):
        if time.time() - sign.stat().st_mtime > TOUCH_EVERY_S:
            os.utime(sign)


def tidy(home: Home) -> None:
    """Remove the measurements of windows that are gone: nobody has waited for them for an hour."""
    for run in runs.all_runs(home):
        try:
            age_s = time.time() - (run.path / WATCHED).stat().st_mtime
        except FileNotFoundError:
            continue
        if age_s > DEAD_AFTER_S and not run.lock_held():
            runs.discard(run)
