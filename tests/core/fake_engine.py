"""An engine without a model, for tests of what follows one: `python fake_engine.py RUN_FOLDER HOW [SECONDS_A_STEP]`.

HOW is finish, fail, crash, or once (crash the first time, finish when resumed). It holds the lock, writes the journal
and heeds the stop request as the real engine does.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from filelock import FileLock

from core import events as ev
from core.journal import JournalWriter
from core.runs import RunFolder

STEPS = 20


def main(folder: str, how: str, seconds_a_step: float = 0.0) -> int:
    run = RunFolder(Path(folder))
    lock = FileLock(run.lock_file, is_singleton=False)
    lock.acquire(timeout=10)
    try:
        with JournalWriter(run.journal) as journal:
            return work(run, journal, how, seconds_a_step)
    finally:
        run.stop_request.unlink(missing_ok=True)
        lock.release()


def work(run: RunFolder, journal: JournalWriter, how: str, seconds_a_step: float) -> int:
    first = run.history().checkpoint_step
    journal.append(ev.RunStarted("cpu", os.getpid(), 0.0, resumed_from=first))
    run.queue_entry.unlink(missing_ok=True)
    journal.append(ev.PhaseEntered("training"))
    journal.append(ev.TrainingPlanned(STEPS, STEPS * 100, 4, 1, 64, 1000, 2500))
    for step in range((first or 0) + 1, STEPS + 1):
        if run.stop_wish() is not None:
            journal.append(ev.CheckpointSaved(step - 1, f"checkpoints/{step - 1}"))
            journal.append(ev.RunStopped(step - 1))
            return 3
        loss = 4.0 / step
        journal.append(ev.StepLogged(step, step * 100, 1e-3, loss, loss / 2, loss, 1.0, 5000.0, 10**8, step * 0.1))
        if step == 10:
            journal.append(
                ev.EvaluationLogged(step, 1000, "student", {"ce": 1.5, "bits_per_byte": 0.7, "agreement": 0.6})
            )
            if how in ("crash", "once") and first is None:
                journal.append(ev.CheckpointSaved(step, "checkpoints/10"))
                print("the machine is gone", flush=True)
                os._exit(9)
            if how == "fail":
                journal.append(ev.RunFailed("The loss is not a number.", "Lower the learning rate.", "details", step))
                return 1
        time.sleep(seconds_a_step)
    journal.append(ev.SampleWritten(STEPS, "Once", " there was a still."))
    (run.artifacts / "student").mkdir(exist_ok=True)
    journal.append(ev.RunFinished({"bits_per_byte": 0.5, "perplexity": 3.0, "tokens": 1234}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], *(float(word) for word in sys.argv[3:])))
