"""Following a run in the terminal until it ends: what it does now, how far it is, and what came of it.

The journal is read ten times a second. On a terminal a picture is redrawn in place; elsewhere, and with --json, lines
are written: one for each phase and evaluation, and one every few seconds. Ctrl-C asks the run to stop and keep what it
has; twice within a second leaves it running in the background.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from core import events as ev
from core import runner, runs
from core.cli import FAILED, FINISHED, INTERRUPTED, STOPPED
from core.cli.curve import chart
from core.cli.output import Output
from core.cli.report import curve_lines, ending, measured_text, metrics_text, outcome, step_text, waiting_words
from core.home import Home
from core.journal import JournalReader
from core.runs import RunFolder
from core.state import History, State, state_of

if TYPE_CHECKING:
    from rich.console import RenderableType

TICK_S = 0.1
LINE_EVERY_S = 5.0
CHART_EVERY_S = 0.5
LOOK_AT_QUEUE_EVERY_S = 2.0
SECOND_THOUGHT_S = 1.0  # time to press Ctrl-C again
RUNNER_PATIENCE_S = 8.0
RUNNER_STARTS = 3

EXIT_CODES = {State.FINISHED: FINISHED, State.STOPPED: STOPPED, State.FAILED: FAILED, State.CRASHED: FAILED}


class Watch:
    """A run as its folder tells it now; `state` is None before it is sure."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.history = History()
        self.state: State | None = None
        self._seen: State | None = None
        self._reader = JournalReader(run.journal)

    def look(self) -> list[ev.Event]:
        """Fold in what is new. An ending counts once two looks agree: a start may fall between lock and journal."""
        held = self.run.lock_held()
        queued, stop = self.run.queue_entry.exists(), self.run.stop_request.exists()
        new = self._reader.poll()
        for event in new:
            self.history.take(event)
        before = self._seen
        self._seen = state_of(self.history.said, lock_held=held, queued=queued, stop_requested=stop)
        if not self._seen.ended or self._seen is before:
            self.state = self._seen
        return new


class Lines:
    """Progress as lines on standard error, for logs and pipes."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self._told_at = 0.0
        self._told_step = -1
        self._waiting = ""
        self._phases: set[str] = set()

    def tell(self, text: str) -> None:
        self.output.note(text)

    def phase(self, event: ev.PhaseEntered) -> None:
        """Each phase once: training and evaluation take turns, and what came of them is told anyway."""
        if event.phase not in self._phases:
            self._phases.add(event.phase)
            self.tell(f"{event.phase}: {event.detail}" if event.detail else event.phase)

    def draw(self, watch: Watch, waiting: str) -> None:
        if waiting != self._waiting:
            self._waiting = waiting
            if waiting:
                self.tell(waiting)
        now = time.monotonic()
        if watch.history.step != self._told_step and now - self._told_at >= LINE_EVERY_S:
            self._told_at, self._told_step = now, watch.history.step
            if text := step_text(watch.history):
                self.tell(text)

    def close(self) -> None:
        pass


class Picture:
    """Progress redrawn in place: phase, bar, figures and a small chart, on a terminal."""

    def __init__(self, output: Output) -> None:
        import sys

        from rich.live import Live

        self.console = output.console(sys.stderr)
        self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._live.start()
        self._chart: RenderableType = ""
        self._charted_at = 0.0

    def tell(self, text: str) -> None:
        self.console.print(text)

    def phase(self, event: ev.PhaseEntered) -> None:
        pass  # the picture shows it

    def draw(self, watch: Watch, waiting: str) -> None:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        history = watch.history
        now = time.monotonic()
        if now - self._charted_at >= CHART_EVERY_S and len(history.steps) > 1:
            self._charted_at = now
            self._chart = chart(
                curve_lines(history), width=min(self.console.width, 100), height=min(12, self.console.height - 5)
            )
        head = Text(waiting or f"{watch.state or ''} · {history.phase or 'starting'}", style="bold")
        if history.device and not waiting:
            head.append(f" on {history.device}", style="not bold")
        parts: list[RenderableType] = [head]
        share = history.share if history.steps else history.phase_share
        if share is not None and not waiting:
            grid = Table.grid(padding=(0, 1))
            grid.add_row(ProgressBar(total=1.0, completed=share, width=min(50, self.console.width - 8)), f"{share:.0%}")
            parts.append(grid)
        if text := step_text(history):
            parts += [Text(text), self._chart]
        self._live.update(Group(*parts), refresh=True)

    def close(self) -> None:
        self._live.stop()


class Follower:
    """One loop over a run's life, from the queue to its end."""

    def __init__(self, home: Home, run: RunFolder, output: Output) -> None:
        self.home = home
        self.run = run
        self.output = output
        self.watch = Watch(run)
        self.interrupts = 0
        self._first_at: float | None = None
        self._asked = False
        self._waiting = ""
        self._looked_at = float("-inf")
        self._runner_missed_at: float | None = None
        self._runner_starts = 0

    def follow(self) -> int:
        """Returns the exit code; the report is written, and the result for scripts."""
        self.watch.look()  # what a resumed run said before is no news
        view = Picture(self.output) if self.output.live else Lines(self.output)
        try:
            with self._counting_interrupts():
                while (code := self._round(view)) is None:
                    time.sleep(TICK_S)
        finally:
            view.close()
        state = self.watch.state
        if state is not None and state.ended and self.run.path.exists():
            ending(self.run, self.watch.history, state, self.output)
        if self.run.path.exists():
            self.output.result(outcome(self.run, self.watch.history, state or State.QUEUED))
        else:
            self.output.result({"run": self.run.id, "state": "discarded"})
        return code

    def _round(self, view: Lines | Picture) -> int | None:
        for event in self.watch.look():
            self._announce(event, view)
        if not self.run.path.exists():
            view.tell(f"Run {self.run.id} was discarded.")
            return STOPPED
        state = self.watch.state
        if state is not None and state.ended:
            return EXIT_CODES[state]
        if (code := self._heed_interrupts(view)) is not None:
            return code
        if state is State.QUEUED:
            if (code := self._wait(view)) is not None:
                return code
        else:
            self._waiting = ""
        view.draw(self.watch, self._waiting)
        return None

    def _announce(self, event: ev.Event, view: Lines | Picture) -> None:
        match event:
            case ev.RunStarted(resumed_from=int(step)):
                view.tell(f"Goes on from step {step} on {event.device}.")
            case ev.RunStarted():
                view.tell(f"Started on {event.device}.")
            case ev.PhaseEntered():
                view.phase(event)
            case ev.LinkEntered():
                view.tell(f"Link {event.number} of {event.count}: {event.name.partition('-')[2]} parameters.")
            case ev.NoticeRaised():
                view.tell(f"{'Warning: ' if event.level == 'warning' else ''}{event.text}")
            case ev.StudentMeasured():
                if text := measured_text(self.run, event.step, self.watch.history):
                    view.tell(text)
            case ev.EvaluationLogged():
                view.tell(f"{event.subject} at step {event.step}: {metrics_text(event.metrics)}")

    def _heed_interrupts(self, view: Lines | Picture) -> int | None:
        """Once: stop and keep, after a moment for second thoughts. Twice in that moment: leave it running."""
        if not self.interrupts:
            return None
        now = time.monotonic()
        if self._first_at is None:
            self._first_at = now
            view.tell("Stopping and keeping what there is. Ctrl-C again at once: leave it running in the background.")
        if self.interrupts > 1:
            ends = "saves and stops by itself" if self._asked else "goes on in the background"
            view.tell(f"Run {self.run.id} {ends}. `stillroom show {self.run.id} --follow` comes back to it.")
            return INTERRUPTED
        if not self._asked and now - self._first_at >= SECOND_THOUGHT_S:
            self._asked = True
            runs.stop_and_keep(self.run)
        return None

    def _wait(self, view: Lines | Picture) -> int | None:
        """While queued: say for whom it waits, and see to it that a runner lives."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_AT_QUEUE_EVERY_S:
            return None
        self._looked_at = now
        self._waiting = waiting_words(self.run, self.home)
        if runs.is_locked(self.home.runner_lock):
            self._runner_missed_at, self._runner_starts = None, 0
            return None
        if self._runner_missed_at is None:
            self._runner_missed_at = now
        elif now - self._runner_missed_at > RUNNER_PATIENCE_S:
            if self._runner_starts >= RUNNER_STARTS:
                view.tell(f"The runner that starts runs does not stay alive; {self.home.runner_log} says why:")
                view.tell(self._runner_log())
                view.tell(f"Run {self.run.id} waits in the queue. `stillroom resume {self.run.id}` tries again.")
                return FAILED
            self._runner_missed_at = now
            self._runner_starts += 1
            runner.ensure_runner(self.home)
        return None

    def _runner_log(self) -> str:
        log = self.home.runner_log
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else "(it is empty)"
        return "\n".join(f"    {line}" for line in text.splitlines()[-8:])

    @contextmanager
    def _counting_interrupts(self) -> Iterator[None]:
        """Ctrl-C is counted, not raised, so that it can't fall into the middle of a fold."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def count(number: int, frame: Any) -> None:
            self.interrupts += 1

        before = signal.signal(signal.SIGINT, count)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def follow(home: Home, run: RunFolder, output: Output) -> int:
    """Follow the run to its end and report it; the exit code says how it ended."""
    return Follower(home, run, output).follow()
