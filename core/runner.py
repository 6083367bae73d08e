"""The runner: one small detached process for a data folder that starts the next run when a device is free.

`python -m core.runner HOME`. It outlives whoever started it, ends when nothing waits and nothing lives, and can be
killed at any moment: the queue is in the run folders and engines are processes of their own, which the next runner
adopts by their locks.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import core
from core import launch, runs
from core.awake import keep_awake
from core.devices import Device, default_device, devices, usable_cores
from core.distill import DistillRecipe
from core.errors import Trouble
from core.events import RunFailed
from core.home import Home
from core.journal import JournalWriter
from core.recipe import Recipe
from core.runs import RunFolder
from core.state import State

TICK_S = 0.2
LOOK_AT_MACHINE_S = 5.0
OTHER_DEVICE = (  # a made run keeps its recipe for good
    "To run it on another: `stillroom recipe RUN --out FILE`, change the device in the file, then "
    "`stillroom distill --recipe FILE`."
)
EXIT_LOCKED = 75  # the engine's exit code when another engine holds the run

log = logging.getLogger("stillroom.runner")
# Runners that this process started, and when (monotonic), so that it reaps those that ended.
_started: list[tuple[subprocess.Popen[bytes], float]] = []
_starting = threading.Lock()  # one look at them at a time
ON_ITS_WAY_S = 5.0  # a runner takes its lock, or ends, sooner


@dataclass(frozen=True)
class Engine:
    """An engine that lives: its devices, its process if this runner started it, and the queue entry it is there for."""

    devices: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    entry: tuple[int, int] | None = None


class Runner:
    """Starts waiting runs on free devices.

    `alive` maps a run's id to its engine, started here or adopted by its lock.
    """

    def __init__(self, home: Home, machine: Callable[[], list[Device]]) -> None:
        self.home = home
        self.look_at_machine = machine
        self.machine = machine()
        self.alive: dict[str, Engine] = {}
        self._waiting: set[str] = set()
        self._told: set[str] = set()
        self._held: set[str] = set()  # free, but kept for a run further ahead that waits until it has enough of them
        self._looked_at = time.monotonic()
        for run in runs.all_runs(home):
            self._adopt_if_locked(run)

    def tick(self) -> bool:
        """One round: see who ended, start who may. False when nothing lives and nothing waits."""
        for run_id, engine in list(self.alive.items()):
            with self._one_folder(run_id):
                self._look_after(RunFolder(self.home.runs / run_id), engine)
        queue = runs.queue(self.home)
        waiting = {run.id for run in queue}
        for run_id in self._waiting - waiting - self.alive.keys():  # another runner's engine came up late and took it
            self._adopt_if_locked(RunFolder(self.home.runs / run_id))
        self._waiting = waiting
        self._held.clear()
        for run in queue:
            if run.id not in self.alive:
                self._start_if_free(run)
        return bool(self.alive) or bool(queue)

    @contextmanager
    def _one_folder(self, run_id: str) -> Iterator[None]:
        """A folder that can't be read just now holds up no other run; it is looked at again in the next round."""
        try:
            yield
        except OSError as error:
            if run_id not in self._told:
                self._told.add(run_id)
                log.warning("%s can't be read: %s", run_id, error)

    def _adopt_if_locked(self, run: RunFolder) -> None:
        with self._one_folder(run.id):
            if run.lock_held():
                said = run.history().engine
                named = said.device.split(",") if said else [default_device(self.machine)[0].id]
                self.alive[run.id] = Engine(tuple(named))

    def _look_after(self, run: RunFolder, engine: Engine) -> None:
        if engine.process is None:
            if run.lock_held():
                return
        elif engine.process.poll() is None:
            return
        else:
            code = engine.process.returncode
            log.info("engine of %s ended with %s", run.id, code)
            if code != EXIT_LOCKED and engine.entry is not None and entry_mark(run) == engine.entry:
                # it ended before it took its entry from the queue, and would be started for ever
                words = f"The engine ended with code {code} before it could start."
                self._give_up(run, RunFailed(words, "The details say why; then resume the run.", log_tail(run)))
        del self.alive[run.id]
        self._adopt_if_locked(run)  # it may have found another engine at work
        if run.stop_wish() == runs.DISCARD and run.history().said is not State.FINISHED and not run.lock_held():
            runs.remove_folder(run)

    def _start_if_free(self, run: RunFolder) -> None:
        if time.monotonic() - self._looked_at > LOOK_AT_MACHINE_S:  # free memory decides between several GPUs
            self.machine, self._looked_at = self.look_at_machine(), time.monotonic()
        try:
            recipe = run.recipe()
            busy = {device for engine in self.alive.values() for device in engine.devices} | self._held
            taken = free_devices(recipe, self.machine, busy)
            if taken is None:
                if launch.processes_of(recipe) > 1:
                    self._held |= {device.id for device in self.machine if device.id != "cpu"}
                return
            entry = entry_mark(run)
            self.alive[run.id] = Engine(taken, start_engine(run, ",".join(taken)), entry)
            log.info("started %s on %s", run.id, ", ".join(taken))
        except Trouble as trouble:
            self._give_up(run, RunFailed(trouble.what, trouble.way_out))
        except OSError as error:
            words = f"The engine of {run.id} can't be started: {error}."
            self._give_up(run, RunFailed(words, "Free some memory or space, then resume."))

    def _give_up(self, run: RunFolder, failure: RunFailed) -> None:
        """Say in the journal why the run can't start, and take it out of the queue.

        An engine that holds it is left alone.
        """
        if not run.path.is_dir():
            return  # discarded meanwhile
        log.warning("%s can't start: %s %s", run.id, failure.what, failure.way_out)
        try:
            with FileLock(run.lock_file, timeout=0.5, is_singleton=False):
                runs.unqueue(run)
                with JournalWriter(run.journal) as journal:
                    journal.append(failure)
        except Timeout:
            log.info("%s is held by another engine", run.id)
        except OSError as error:
            log.warning("%s could not be marked as failed: %s", run.id, error)


def entry_mark(run: RunFolder) -> tuple[int, int] | None:
    """What tells one queue entry of a run from the next, or None if it does not wait."""
    try:
        entry = run.queue_entry.stat()
    except FileNotFoundError:
        return None
    return entry.st_ino, entry.st_mtime_ns


def log_tail(run: RunFolder, most_bytes: int = 4000) -> str:
    """The end of what the engine printed."""
    try:
        with run.log.open("rb") as stream:
            stream.seek(max(0, run.log.stat().st_size - most_bytes))
            return stream.read().decode("utf-8", errors="replace")
    except OSError as error:
        return f"{run.log} can't be read: {error.strerror}"


def free_device(wanted: str, share: bool, machine: list[Device], busy: Iterable[str]) -> str | None:
    """The device that a run may start on now, or None if it must wait.

    Raises Trouble if this machine has no such device.
    """
    taken = set(busy)
    known = {device.id: device for device in machine}
    if wanted != "auto":
        if wanted not in known:
            raise Trouble(f"This machine has no device {wanted}.", f"It has {', '.join(known)}. {OTHER_DEVICE}")
        if not known[wanted].usable:
            raise Trouble(
                f"The device {wanted} can't be used. {known[wanted].note}", f"Or take another. {OTHER_DEVICE}"
            )
        return wanted if share or wanted not in taken else None
    usable = [device for device in machine if device.usable]
    candidates = [device for device in usable if device.id != "cpu"] or usable
    free = [device for device in candidates if device.id not in taken]
    if free:
        return default_device(free)[0].id
    return default_device(candidates)[0].id if share else None


def free_devices(recipe: Recipe, machine: list[Device], busy: Iterable[str]) -> tuple[str, ...] | None:
    """All devices that a run needs, or None if it must wait: a GPU for each process, and the teacher's own.

    On the CPU its processes share the cores. Raises Trouble if this machine has not as many.
    """
    processes = launch.processes_of(recipe)
    own = recipe.teacher_device if isinstance(recipe, DistillRecipe) and recipe.guided else None
    if processes == 1:
        others = [device for device in machine if device.id != own]
        spare = any(device.usable and device.id != "cpu" for device in others)
        among = others if own and spare and recipe.device == "auto" else machine
        first = free_device(recipe.device, recipe.share_device, among, busy)
        if first is None or own in (None, first):
            return None if first is None else (first,)
        beside = free_device(own, recipe.share_device, machine, busy)
        return None if beside is None else (first, beside)
    if own is not None:
        raise Trouble(
            f"The teacher can't have the device {own} for itself beside {processes} processes.",
            "Take one process, or let the teacher share the devices of the student.",
        )
    gpus = [device for device in machine if device.id.startswith("cuda") and device.usable]
    on_gpus = recipe.device.startswith("cuda") or (recipe.device == "auto" and gpus)
    if not on_gpus:
        one = free_device(recipe.device, recipe.share_device, machine, busy)
        if one == "mps":
            raise Trouble(f"{processes} processes can't share the GPU of a Mac.", f"Take one process. {OTHER_DEVICE}")
        return None if one is None else (one,)
    if len(gpus) < processes:
        raise Trouble(
            f"The run asks for {processes} processes, one on each GPU, and this machine has {len(gpus)} that can be used.",
            "`stillroom launch` writes what starts it elsewhere, or here with fewer processes.",
        )
    taken = set() if recipe.share_device else set(busy)
    free = sorted(
        (device for device in gpus if device.id not in taken),
        key=lambda device: (device.id != recipe.device, -device.memory_free_bytes),
    )
    return tuple(device.id for device in gpus if device in free[:processes]) if len(free) >= processes else None


def start_engine(run: RunFolder, device: str) -> subprocess.Popen[bytes]:
    """Start the engine of a run, or as many as its recipe asks for, in a session of their own; what they print goes to the end of
    `engine.log`."""
    return start_detached(launch.local_command(run, run.recipe(), device.split(","), usable_cores()), run.log)


def start(home: Home, recipe: Recipe, made_from: str | None = None) -> RunFolder:
    """Write the run folder of a checked recipe, enter it in the queue and see that a runner lives. Raises Trouble."""
    run = runs.new_run(home, recipe, made_from)
    runs.enqueue(home, run)
    ensure_runner(home)
    return run


def ensure_runner(home: Home) -> bool:
    """Make sure that a runner is alive for this data folder; whether one had to be started. Two that start at once settle it by the lock.

    One that this process has just started and that does not hold the lock is on its way to it, or on its way out, having looked at
    the queue for the last time: which of them, it shows within a moment, and is waited for. Raises Trouble if none can be started.
    """
    root = str(home.root.absolute())
    with _starting:
        while not runs.is_locked(home.runner_lock):
            _started[:] = [(process, since) for process, since in _started if process.poll() is None]
            young = [process.args for process, since in _started if time.monotonic() - since < ON_ITS_WAY_S]
            if not any(root in arguments for arguments in young if isinstance(arguments, list)):
                break
            time.sleep(0.01)
        else:
            return False
        try:
            _started.append((start_detached(["core.runner", root], home.runner_log), time.monotonic()))
        except OSError as error:
            raise Trouble(
                f"The runner, which starts the runs, can't be started: {error}.",
                "Free some memory or space and try again.",
            ) from error
    return True


def start_detached(
    module_and_arguments: list[str], output_file: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """`python -m MODULE ARGUMENTS …` cut loose from us; its output goes to the end of a file. Raises OSError.

    `environment` stands for our own.
    """
    # -P: a folder named core where the user stands is not ours
    command = [sys.executable, "-P", "-m", *module_and_arguments]
    with output_file.open("ab") as output:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=process_environment(environment),
            **own_session(),
        )
    return process


def process_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of our processes: they find this very code and speak UTF-8.

    Threads of torch spin a moment between the small operations of a small model, and then sleep: spinning for ever starves whatever
    else runs, sleeping at once costs a third of the speed (libgomp; `OMP_WAIT_POLICY` in the user's environment overrules it).
    """
    ours = os.environ if environment is None else environment
    here = str(Path(core.__file__).resolve().parent.parent)
    paths = [here, *(part for part in ours.get("PYTHONPATH", "").split(os.pathsep) if part and part != here)]
    return {
        "GOMP_SPINCOUNT": "10000",
        **ours,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",  # the same as -P, for what our processes start in turn
        "PYTHONUTF8": "1",
        "TOKENIZERS_PARALLELISM": "true",
    }


def own_session() -> dict[str, Any]:
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
            runner = Runner(home, devices)
            if runner.tick():  # the first engine starts before we ask the system, which takes a moment to answer
                with keep_awake() as awake:
                    log.info("runner %s is up; %s", os.getpid(), awake)
                    while runner.tick():
                        time.sleep(TICK_S)
        finally:
            lock.release()
        if not runs.queue(home):  # whoever queued a run while we let go saw a held lock, so the last look is ours
            return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.runner", description="Starts the runs that wait in a data folder."
    )
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
