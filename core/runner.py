"""The runner: one small detached process for a data folder that starts the next run when a device is free.

`python -m core.runner HOME`. It outlives whoever started it, ends when nothing waits and nothing lives, and can be killed at any
moment: the queue is in the run folders and engines are processes of their own, which the next runner adopts by their locks.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock, Timeout

import core
from core import runs
from core.awake import keep_awake
from core.devices import Device, default_device, devices
from core.errors import Trouble
from core.events import RunFailed
from core.home import Home
from core.journal import JournalWriter
from core.runs import RunFolder

TICK_S = 0.2
EXIT_LOCKED = 75  # the engine's exit code when another engine holds the run

log = logging.getLogger("stillroom.runner")


class Runner:
    """Starts waiting runs on free devices. `alive` maps a run's id to the engine started here, or None for an adopted one."""

    def __init__(self, home: Home, machine: list[Device]) -> None:
        self.home = home
        self.machine = machine
        self.alive: dict[str, subprocess.Popen[bytes] | None] = {
            run.id: None for run in runs.all_runs(home) if run.lock_held()
        }
        self.device_of: dict[str, str] = {run_id: self._said_device(run_id) for run_id in self.alive}

    def tick(self) -> bool:
        """One round: see who ended, start who may. False when nothing lives and nothing waits."""
        for run_id, process in list(self.alive.items()):
            self._look_after(run_id, process)
        for run in runs.queue(self.home):
            if run.id not in self.alive:
                self._start_if_free(run)
        return bool(self.alive) or bool(runs.queue(self.home))

    def _look_after(self, run_id: str, process: subprocess.Popen[bytes] | None) -> None:
        run = RunFolder(self.home.runs / run_id)
        if process is None:
            if run.lock_held():
                return
        elif process.poll() is None:
            return
        else:
            log.info("engine of %s ended with %s", run_id, process.returncode)
            if process.returncode != EXIT_LOCKED:
                self._explain_unborn(run, process.returncode)
        del self.alive[run_id]
        del self.device_of[run_id]
        if run.path.exists() and run.stop_wish() == runs.DISCARD and not run.lock_held():
            runs.remove_folder(run)

    def _explain_unborn(self, run: RunFolder, code: int) -> None:
        """An engine that ended before it took its entry from the queue would be started for ever: say so and take it out."""
        if not run.queue_entry.exists() or run.lock_held():
            return
        lock = FileLock(run.lock_file, is_singleton=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return
        try:
            tail = run.log.read_text(encoding="utf-8", errors="replace")[-2000:] if run.log.exists() else ""
            with JournalWriter(run.journal) as journal:
                journal.append(
                    RunFailed(f"The engine ended with code {code} before it could start.", "The details say why; then resume the run.", tail)
                )
            runs.unqueue(run)
        except OSError as error:
            log.warning("%s could not be marked as failed: %s", run.id, error)
            runs.unqueue(run)
        finally:
            lock.release()

    def _start_if_free(self, run: RunFolder) -> None:
        try:
            recipe = run.recipe()
            device = free_device(recipe.device, recipe.share_device, self.machine, self.device_of.values())
        except Trouble as trouble:
            self._refuse(run, trouble)
            return
        if device is None:
            return
        log.info("starting %s on %s", run.id, device)
        try:
            self.alive[run.id] = start_engine(run, device)
        except OSError as error:
            self._refuse(run, Trouble(f"The engine of {run.id} can't be started: {error}.", "Free some memory or space, then resume."))
            return
        self.device_of[run.id] = device

    def _refuse(self, run: RunFolder, trouble: Trouble) -> None:
        log.warning("%s can't start: %s", run.id, trouble)
        try:
            with JournalWriter(run.journal) as journal:
                journal.append(RunFailed(trouble.what, trouble.way_out))
        except OSError as error:
            log.warning("%s could not be marked as failed: %s", run.id, error)
        runs.unqueue(run)

    def _said_device(self, run_id: str) -> str:
        run = RunFolder(self.home.runs / run_id)
        engine = run.history().engine
        return engine.device if engine else default_device(self.machine)[0].id


def free_device(wanted: str, share: bool, machine: list[Device], busy: Iterable[str]) -> str | None:
    """The device that a run may start on now, or None if it must wait. Raises Trouble if this machine has no such device."""
    taken = set(busy)
    known = [device.id for device in machine]
    if wanted != "auto":
        if wanted not in known:
            raise Trouble(f"This machine has no device {wanted}.", f"It has {', '.join(known)}: change the recipe's device.")
        return wanted if share or wanted not in taken else None
    accelerators = [device for device in machine if device.id != "cpu"]
    candidates = accelerators or machine
    free = [device for device in candidates if device.id not in taken]
    if free:
        return default_device(free)[0].id
    return default_device(candidates)[0].id if share else None


def start_engine(run: RunFolder, device: str) -> subprocess.Popen[bytes]:
    """Start the engine of a run as a process in its own session; its output goes to the end of `engine.log`."""
    command = [sys.executable, "-m", "core.engine", str(run.path), "--device", device, "--from-queue"]
    with run.log.open("ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=process_environment(), **own_session()
        )


def ensure_runner(home: Home) -> None:
    """Make sure that a runner is alive for this data folder. Two that start at once settle it by the lock."""
    if runs.is_locked(home.runner_lock):
        return
    command = [sys.executable, "-m", "core.runner", str(home.root)]
    with home.runner_log.open("ab") as output:
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=process_environment(), **own_session()
        )


def process_environment() -> dict[str, str]:
    """The environment of our processes: they find this very code, speak UTF-8, and don't spin while they wait for work."""
    here = str(Path(core.__file__).resolve().parent.parent)
    paths = [here, *(part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != here)]
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1", "TOKENIZERS_PARALLELISM": "false"}


def own_session() -> dict[str, int | bool]:
    """Popen arguments that cut the child loose from our terminal and window."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def serve(home: Home) -> int:
    """Run until nothing lives and nothing waits. Returns at once if another runner serves this folder."""
    while True:
        lock = FileLock(home.runner_lock, is_singleton=False)
        try:
            lock.acquire(timeout=2)  # somebody's look at the lock holds it for a moment; a runner holds it for good
        except Timeout:
            return 0
        try:
            runs.tidy(home)
            runner = Runner(home, devices())
            with keep_awake() as awake:
                log.info("runner %s is up; %s", os.getpid(), awake)
                while runner.tick():
                    time.sleep(TICK_S)
        finally:
            lock.release()
        if not runs.queue(home):  # whoever queued a run while we let go saw a held lock, so the last look is ours
            return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m core.runner", description="Starts the runs that wait in a data folder.")
    parser.add_argument("home", type=Path)
    home = Home(parser.parse_args().home)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if not home.runs.is_dir():
        log.error("%s is no data folder", home.root)
        return 1
    try:
        return serve(home)
    except OSError:
        log.exception("the runner can't go on")
        return 1


if __name__ == "__main__":
    sys.exit(main())
