"""A student measured on benchmarks while it is trained: its checkpoint is borrowed and given to an evaluation, a run of its own.

Whatever goes wrong with an evaluation, the training goes on: it is another process, and its trouble becomes a notice.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from core import events as ev
from core import runner, runs
from core.engine.memory import free_unused
from core.engine.session import OUTSIDE, Session
from core.errors import Trouble
from core.journal import read_journal
from core.runs import RunFolder
from core.state import State, fold
from core.subjects import borrow, give_back
from core.watch import WatchedRecipe

LAUNCHERS = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_",
    "GROUP_",
    "ROLE_",
    "MASTER_",
    "TORCHELASTIC_",
    "ACCELERATE_",
    "FSDP_",
    "OMP_",
)
LOOK_S = 0.1
FINISHED_STUDENT = "the finished student"


class Watcher:
    """Measures the student of one training. Only the main process has one that does anything."""

    def __init__(self, session: Session, recipe: WatchedRecipe) -> None:
        self.session, self.recipe = session, recipe
        self.done = {point.step for point in fold(read_journal(session.run.journal)).measured}

    def is_due(self, step: int) -> bool:
        return self.recipe.is_due(step) and step not in self.done

    def checkpoint(self, step: int) -> bool:
        """Measure the checkpoint of a step, if that is due (then True) and was not done. A run that is to end measures it when it goes on."""
        if not self.is_due(step):
            return False
        if self.session.stop_wish() is None:
            self._measure(step, f"step {step:,}", None)
            if self.recipe.measure_device is None:
                self.session.phase("training", safe_to_end=False)
        return True

    def student(self, step: int, folder: Path) -> None:
        """Measure the finished student, after its last step."""
        if self.recipe.measure_every is not None and step not in self.done:
            self._measure(step, FINISHED_STUDENT, folder)

    def _measure(self, step: int, what: str, folder: Path | None) -> None:
        session, home = self.session, self.session.run.home
        began = time.monotonic()
        beside = self.recipe.measure_device is None
        try:
            model = folder or borrow(home, session.run, str(step))
            name = f"{session.run.meta().get('name') or session.run.id}, {what}"
            asked = self.recipe.evaluation(model, name, session.devices[0] if beside else None)
            evaluation = runs.new_run(home, asked.check(), made_from=session.run.id)
            if not beside:
                self._leave_to_itself(evaluation, asked.device)
            elif not self._wait_for(evaluation, what):
                give_back(home, model)
                return
        except (Trouble, OSError) as trouble:
            session.notice(f"The student could not be measured at {what}: {trouble}", "warning")
            return
        self.done.add(step)
        waited = time.monotonic() - began if beside else 0.0
        session.say(ev.StudentMeasured(step, evaluation.id, round(waited, 3)))

    def _leave_to_itself(self, evaluation: RunFolder, device: str) -> None:
        if runs.is_locked(evaluation.home.runner_lock):
            runs.enqueue(evaluation.home, evaluation)
        else:  # started by hand or by a cluster: nobody looks after the queue
            _start(evaluation, device)

    def _wait_for(self, evaluation: RunFolder, what: str) -> bool:
        """Until it has ended. False if the training is to end: then the evaluation goes, and is made anew when the training goes on."""
        session = self.session
        session.phase("measuring", what, safe_to_end=False)
        free_unused(session.device)  # the evaluation is a process of its own, and wants some of it
        process = _start(evaluation, session.devices[0])
        while process.poll() is None:
            if session.stop_wish() is not None:
                return not runs.discard(evaluation, spare_finished=True)
            time.sleep(LOOK_S)
        history = evaluation.history()
        if history.said is not State.FINISHED:
            why = history.failure.what if history.failure else f"its process ended with code {process.returncode}."
            session.notice(f"The evaluation {evaluation.id} did not finish: {why} The training goes on.", "warning")
        return True


def _start(evaluation: RunFolder, device: str) -> subprocess.Popen[bytes]:
    """An engine in the world as it was before this one hid devices from itself, and without the words of a launcher."""
    launched = LAUNCHERS if "WORLD_SIZE" in OUTSIDE else ()
    outside = {name: value for name, value in OUTSIDE.items() if not name.startswith(launched)}
    return runner.start_detached(["core.engine", str(evaluation.path), "--device", device], evaluation.log, outside)
