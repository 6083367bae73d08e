"""Commands that change a run or the queue: stop, discard, reorder, take out."""

from __future__ import annotations

import argparse
import time

from core import runner, runs
from core.cli import FAILED, FINISHED, home_of
from core.cli.follow import TICK_S, Watch
from core.cli.output import Output
from core.cli.report import outcome
from core.errors import RunTrouble
from core.home import Home
from core.runs import RunFolder
from core.state import State


def stop_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Save a checkpoint and end: `stillroom resume` goes on from there. Waits until it is saved."
    parser.add_argument("run", metavar="RUN")
    parser.add_argument(
        "--discard", action="store_true", help="remove the run with its checkpoints and student; this can't be undone"
    )
    parser.add_argument("--no-wait", action="store_true", help="ask, and don't wait until it has stopped")


def stop_command(arguments: argparse.Namespace, output: Output) -> int:
    run = runs.find_run(home_of(arguments), arguments.run)
    if arguments.discard:
        runs.discard(run)
        output.say(f"Run {run.id} is discarded.")
        output.result({"run": run.id, "state": "discarded"})
        return FINISHED
    state = run.state()
    if state.ended:
        raise RunTrouble(f"Run {run.id} is {state} already.", f"`stillroom stop {run.id} --discard` removes it.")
    runs.stop_and_keep(run)
    return _until_stopped(run, output, wait=not arguments.no_wait)


def _until_stopped(run: RunFolder, output: Output, *, wait: bool) -> int:
    watch = Watch(run)
    watch.look()
    if wait and run.lock_held():
        output.note(f"Run {run.id} is saving …")
    while wait and not (watch.state and watch.state.ended):
        time.sleep(TICK_S)
        watch.look()
    state = watch.state or run.state()
    if state is State.STOPPED:
        output.say(f"Run {run.id} is stopped and kept. `stillroom resume {run.id}` goes on.")
    else:
        output.say(f"Run {run.id} is {state}.")
    output.result(outcome(run, watch.history, state))
    return FAILED if state in (State.FAILED, State.CRASHED) else FINISHED


def queue_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Without RUN: list the runs that wait, in the order in which they will start."
    parser.add_argument("run", metavar="RUN", nargs="?")
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--place", type=int, metavar="N", help="move the run there; 1 is next")
    change.add_argument(
        "--remove", action="store_true", help="take the run out of the queue; `stillroom resume` puts it back"
    )


def queue_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    if arguments.run is None and (arguments.remove or arguments.place is not None):
        raise RunTrouble("Which run?", "Name it: `stillroom queue RUN --place 1`.")
    if arguments.run is not None:
        _change(home, runs.find_run(home, arguments.run), arguments)
    waiting = runs.queue(home)
    if waiting:
        rows = [[str(place), run.id, str(run.meta().get("name", ""))] for place, run in enumerate(waiting, 1)]
        output.table(["place", "id", "name"], rows, right=["place"])
    else:
        output.say("Nothing waits.")
    output.result({"queue": [run.id for run in waiting]})
    return FINISHED


def _change(home: Home, run: RunFolder, arguments: argparse.Namespace) -> None:
    if run.position() is None:
        raise RunTrouble(
            f"Run {run.id} does not wait in the queue.", f"`stillroom resume {run.id} --detach` puts it there."
        )
    if arguments.remove:
        runs.unqueue(run)
    elif arguments.place is not None:
        if arguments.place < 1:
            raise RunTrouble(f"There is no place {arguments.place}.", "1 is the next to start.")
        runs.reorder(home, run, arguments.place - 1)
    runner.ensure_runner(home)
