"""The engine's door: `python -m core.engine RUN_FOLDER [--device cpu|cuda:0|mps] [--from-queue]`.

Takes the run's lock, says that it started, does the work and says how it ended. Exit codes: 0 finished, 1 failed, 3 stopped and
kept, 75 another engine holds the run. Nothing heavy is imported before the lock is held and the start is said.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import importlib
import os
import platform
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import psutil
from filelock import FileLock, Timeout

from core import events as ev
from core.devices import devices, environment_for
from core.engine import checkpoints
from core.engine.failures import as_trouble
from core.engine.session import Session, StopRequested
from core.errors import Trouble
from core.journal import JournalWriter
from core.recipe import Recipe
from core.runs import DISCARD, RunFolder

UNUSED = ("datasets",)  # packages that transformers imports if it finds them, and we use in no capability

FINISHED, FAILED, STOPPED, LOCKED = 0, 1, 3, 75


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m core.engine", description="Does the work of one run folder.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--from-queue", action="store_true", help="do nothing if the run was taken out of the queue meanwhile"
    )
    arguments = parser.parse_args()
    faulthandler.enable()
    run = RunFolder(arguments.run.absolute())
    if not run.recipe_file.is_file():
        print(f"{run.path} is no run folder.", file=sys.stderr)
        return FAILED
    lock = FileLock(run.lock_file, is_singleton=False)
    try:
        lock.acquire(timeout=10)
    except Timeout:
        return LOCKED
    try:
        if arguments.from_queue and not run.queue_entry.exists():
            return STOPPED
        return work(run, arguments.device)
    finally:
        if run.stop_wish() != DISCARD:  # that wish stands until the folder is gone
            run.stop_request.unlink(missing_ok=True)
        lock.release()


def work(run: RunFolder, device: str) -> int:
    """Start, do, and say the ending. Every way out but a kill leaves a last word in the journal."""
    with JournalWriter(run.journal) as journal:
        checkpoints.drop_incomplete(run.checkpoints)
        newest = checkpoints.newest(run.checkpoints)
        process = psutil.Process()
        journal.append(
            ev.RunStarted(
                device,
                process.pid,
                process.create_time(),
                resumed_from=newest[0] if newest else None,
                versions=versions(),
            )
        )
        run.queue_entry.unlink(missing_ok=True)
        session: Session | None = None
        try:
            recipe = run.recipe()
            os.environ["HF_HUB_OFFLINE"] = (
                "1"  # whatever a model folder names, nothing is fetched behind the user's back
            )
            session = Session(run, recipe, journal, torch_device(device))
            capability = load_capability(recipe)
            journal.append(ev.RunFinished(capability.run(session)))
        except StopRequested:
            journal.append(ev.RunStopped(session.step if session else 0))
            return STOPPED
        except BaseException as error:  # noqa: BLE001 — whatever it is, the journal must say it
            details = traceback.format_exc()
            with contextlib.suppress(OSError):  # the log may lie on the very disk that is full
                print(details, file=sys.stderr, flush=True)
            checkpoints.drop_incomplete(run.checkpoints)  # after a full disk this makes room for the last word
            trouble = as_trouble(error, run, session)
            journal.append(ev.RunFailed(trouble.what, trouble.way_out, details, session.step if session else None))
            return FAILED
        if hasattr(capability, "tidy"):
            capability.tidy(run)
        return FINISHED


def load_capability(recipe: Recipe) -> ModuleType:
    """The module that does this kind of run, and with it torch and transformers: seconds of imports, so two are spared.

    In a process of our own, that is; where torch is loaded already, others rely on it as it is.
    """
    name = f"core.engine.{recipe.kind}"
    if "torch" in sys.modules:
        return importlib.import_module(name)
    if not recipe.allow_remote_code:  # nobody knows what such code imports
        for package in UNUSED:
            # The import system's own way to say "not installed" (The Python Language Reference, 5.3.1), which transformers and
            # accelerate ask before they import what is optional to them. It stands until this process ends.
            sys.modules.setdefault(package, None)  # type: ignore[arg-type]
    gc.disable()  # modules are no garbage, and looking for some among the million objects of the imports takes a second
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()  # nor does any later collection look at them again
        gc.enable()


def torch_device(device: str) -> str:
    """The device as torch shall see it: the one GPU is made the only visible one, so that nothing lands on another."""
    known = {found.id: found for found in devices()}
    if device not in known:
        raise Trouble(f"This machine has no device {device}.", f"It has {', '.join(known)}.")
    os.environ.update(environment_for([known[device]]))
    return device.partition(":")[0]


def versions() -> dict[str, str]:
    names = ("stillroom", "torch", "transformers", "accelerate")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: version(name) for name in names},
    }


if __name__ == "__main__":
    sys.exit(main())
