"""The engine's door: `python -m core.engine RUN_FOLDER [--device cpu|cuda:0|cuda:0,cuda:1|mps|auto] [--from-queue]`.

Takes the run's lock, says that it started, does the work and says how it ended. Exit codes: 0 finished, 1 failed, 3 stopped and
kept, 75 another engine holds the run. Nothing heavy is imported before the lock is held and the start is said.

Started several times by `accelerate launch` or `torchrun`, the first process does all that, and the others work along without a word;
a launcher takes any other code than 0 for a failure, so a run that was stopped and kept ends with 0 there.
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
from core.devices import Device, default_device, devices, environment_for
from core.engine import checkpoints
from core.engine.failures import as_trouble
from core.engine.processes import ALONE, NoMeeting, Peers, Rank, lost_a_peer
from core.engine.session import Session, StopRequested
from core.errors import Trouble
from core.journal import JournalWriter
from core.recipe import Recipe
from core.runs import DISCARD, RunFolder

UNUSED = ("datasets",)  # packages that transformers imports if it finds them, and we use in no capability
# and what it and peft import for quantized weights, or for models of other kinds than ours; sklearn breaks without scipy
FOR_QUANTIZED = ("bitsandbytes", "scipy", "sklearn", "torchao")

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
    place = Rank.from_environment()
    if place.rank > 0:
        return work_along(run, arguments.device, place)
    lock = FileLock(run.lock_file, is_singleton=False)
    try:
        lock.acquire(timeout=10)
    except Timeout:
        return LOCKED
    try:
        if arguments.from_queue and not run.queue_entry.exists():
            return STOPPED
        code = work(run, arguments.device, place)
        return FINISHED if code == STOPPED and place.count > 1 else code
    finally:
        if run.stop_wish() != DISCARD:  # that wish stands until the folder is gone
            run.stop_request.unlink(missing_ok=True)
        lock.release()


def work(run: RunFolder, device: str, place: Rank = ALONE) -> int:
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
            session = Session(run, recipe, journal, take_devices(device, place), Peers(place))
            capability = load_capability(recipe)
            meet(session)
            results = capability.run(session)
            session.peers.begin_to_end()
            journal.append(ev.RunFinished(results))
        except StopRequested:
            assert session is not None
            session.peers.begin_to_end()
            journal.append(ev.RunStopped(session.step))
            return STOPPED
        except BaseException as error:  # noqa: BLE001 — whatever it is, the journal must say it
            fail(run, journal, session, error)
            return FAILED
        finally:
            if session is not None:
                session.peers.leave()
        if hasattr(capability, "tidy"):
            capability.tidy(run)
        return FINISHED


def fail(run: RunFolder, journal: JournalWriter, session: Session | None, error: BaseException) -> None:
    """Say why the run ends, or why the peer did whose end broke it."""
    details = traceback.format_exc()
    with contextlib.suppress(OSError):  # the log may lie on the very disk that is full
        print(details, file=sys.stderr, flush=True)
    trouble = as_trouble(error, run, session)
    if session is not None:
        if lost_a_peer(error) and (word := session.peers.trouble_of_a_peer()) is not None:
            trouble, details = word
        session.peers.begin_to_end()
    checkpoints.drop_incomplete(run.checkpoints)  # after a full disk this makes room for the last word
    journal.append(ev.RunFailed(trouble.what, trouble.way_out, details, session.step if session else None))


def work_along(run: RunFolder, device: str, place: Rank) -> int:
    """Any process but the main one: the same work, without lock and journal. What ends it is left as word for the main one."""
    peers = Peers(place)
    session: Session | None = None
    try:
        recipe = run.recipe()
        session = Session(run, recipe, None, take_devices(device, place), peers)
        capability = load_capability(recipe)
        meet(session)
        capability.run(session)
    except StopRequested:
        return FINISHED
    except BaseException as error:  # noqa: BLE001 — whatever it is, the main process must hear of it
        details = traceback.format_exc()
        print(details, file=sys.stderr, flush=True)
        trouble = as_trouble(error, run, session)
        if session is not None and session.peers.met:
            peers = session.peers
        elif not isinstance(error, NoMeeting):
            peers = Peers.meet(place)
        if not lost_a_peer(error):
            peers.report(trouble, details)
        return FAILED
    return FINISHED


def meet(session: Session) -> None:
    """Several processes find one another; from here on they end together."""
    place = session.peers.place
    if place.count == 1:
        return
    session.peers = Peers.meet(place)

    def say(trouble: Trouble, details: str) -> None:
        session.say(ev.RunFailed(trouble.what, trouble.way_out, details, session.step))
        if session.run.stop_wish() != DISCARD:  # this process ends without coming back to its door
            session.run.stop_request.unlink(missing_ok=True)

    session.peers.watch(say)
    session.peers.join(session.device)


def load_capability(recipe: Recipe) -> ModuleType:
    """The module that does this kind of run, and with it torch and transformers: seconds of imports, so some are spared.

    In a process of our own, that is; where torch is loaded already, others rely on it as it is.
    """
    name = f"core.engine.{recipe.kind}"
    if "torch" in sys.modules:
        return importlib.import_module(name)
    if not recipe.allow_remote_code:  # nobody knows what such code imports
        for package in UNUSED + (() if recipe.may_meet_quantized() else FOR_QUANTIZED):
            # The import system's own way to say "not installed" (The Python Language Reference, 5.3.1), which transformers and
            # accelerate ask before they import what is optional to them. It stands until this process ends.
            sys.modules.setdefault(package, None)  # type: ignore[arg-type]
    gc.disable()  # modules are no garbage, and looking for some among the million objects of the imports takes a second
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()  # nor does any later collection look at them again
        gc.enable()


def take_devices(device: str, place: Rank) -> tuple[str, ...]:
    """The devices of the run by their own names, in the order in which torch shall count them: they are made the only visible ones, so that
    nothing lands on another.
    """
    known = {found.id: found for found in devices()}
    wanted = named_devices(device, known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise Trouble(f"This machine has no device {unknown[0]}.", f"It has {', '.join(known)}.")
    kind = wanted[0].partition(":")[0]
    if kind != "cpu" and len(wanted) < place.local_count:
        raise Trouble(
            f"{place.local_count} processes on this machine need as many GPUs, and there are {len(wanted)}.",
            "Start fewer processes on it.",
        )
    os.environ.update(environment_for([known[name] for name in wanted]))
    os.environ["HF_HUB_OFFLINE"] = "1"  # whatever a model folder names, nothing is fetched behind the user's back
    return tuple(wanted)


def named_devices(device: str, known: dict[str, Device]) -> list[str]:
    """`cuda` stands for all GPUs, `auto` for all GPUs or, without any, the best device there is: for machines that nobody has seen yet."""
    if device not in ("cuda", "auto"):
        return device.split(",")
    gpus = [name for name, found in known.items() if name.startswith("cuda") and found.usable]
    if not gpus and device == "auto":
        return [default_device(list(known.values()))[0].id]
    return gpus or ["cuda:0"]


def versions() -> dict[str, str]:
    names = ("stillroom", "torch", "transformers", "accelerate")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: version(name) for name in names},
    }


def leave_at_once(code: int) -> None:
    """End without torch's tidying up, which waits for peers that may be gone, or aborts."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    ended_with = main()
    if Rank.from_environment().count > 1:
        leave_at_once(ended_with)
    sys.exit(ended_with)
