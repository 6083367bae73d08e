"""The command that writes what starts a run elsewhere: on several processes, machines, or by Slurm."""

from __future__ import annotations

import argparse
from pathlib import Path

from core import launch, runs
from core.cli import FINISHED, home_of
from core.cli.flags import count
from core.cli.output import Output
from core.errors import RunTrouble
from core.home import Home
from core.recipe import Recipe, read_recipe
from core.runs import RunFolder
from core.settle import beside, settle_any
from core.state import State

LAUNCH_EPILOGUE = """\
examples:
  stillroom launch last --machines 2 --processes-per-machine 4
  stillroom launch night.json --machines 4 --processes-per-machine 8 --to ./on-the-cluster

The files work on the run folder itself: the machines must see it at this path, and then the run shows
here live, wherever it is at work.
"""
WHAT_FOR = {
    "accelerate": "with Accelerate; on several machines start it on each, with MACHINE_RANK and MAIN_PROCESS_IP",
    "torchrun": "with torchrun; likewise",
    "slurm": "in a cluster: sbatch",
}


def launch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write the files that start a run on several processes, on other machines, or by Slurm. Nothing is started, "
        "and a run that waits here is taken out of the queue."
    )
    parser.epilog = LAUNCH_EPILOGUE
    parser.add_argument("run", metavar="RUN", help="a run, or a recipe file to make one from")
    parser.add_argument("--machines", type=count, default=1, metavar="N", help="how many machines share it [1]")
    parser.add_argument(
        "--processes-per-machine",
        type=count,
        metavar="M",
        help="one for each GPU of a machine; by default the recipe's processes, shared by the machines",
    )
    parser.add_argument(
        "--port",
        type=count,
        metavar="P",
        help=f"where several machines meet [{launch.PORT}; with Slurm by the job's number, so that two jobs don't]",
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="where the files are written [launch in the run folder]")


def launch_command(arguments: argparse.Namespace, output: Output) -> int:
    home, file = home_of(arguments), Path(arguments.run)
    run = None if file.is_file() else _run_to_start(home, arguments.run)
    recipe = settle_any(beside(read_recipe(file), file.parent)) if run is None else run.recipe()
    place = _place(arguments, recipe)
    launch.refuse_what_cannot_be_shared(recipe, place)
    asked = launch.processes_of(recipe)
    if not arguments.processes_per_machine and place.processes != asked:
        output.note(
            f"{asked} {'process' if asked == 1 else 'processes'} can't be shared evenly by {place.machines} machines: with "
            f"{place.per_machine} on each there are {place.processes}. --processes-per-machine says another number."
        )
    if arguments.to:
        arguments.to.mkdir(parents=True, exist_ok=True)  # before a run is made that nothing could start
    if run is None:
        run = runs.new_run(home, recipe)
    folder = (arguments.to or run.path / "launch").absolute()
    files = launch.write_files(run, recipe, place, folder)
    if run.position() is not None:
        runs.unqueue(run)
        output.note(f"Run {run.id} is out of the queue: it starts where you take the files.")
    output.say(f"Run {run.id}, in {run.path}: all machines must see it there.")
    output.table(["file", "for"], [[str(file), WHAT_FOR[launcher]] for launcher, file in files.items()])
    output.result(
        {
            "run": run.id,
            "path": str(run.path),
            "machines": place.machines,
            "processes_per_machine": place.per_machine,
            "processes": place.processes,
            "port": place.port,
            "files": {launcher: str(file) for launcher, file in files.items()},
        }
    )
    return FINISHED


def _place(arguments: argparse.Namespace, recipe: Recipe) -> launch.Place:
    per_machine = arguments.processes_per_machine or max(1, launch.processes_of(recipe) // arguments.machines)
    return launch.Place(arguments.machines, per_machine, arguments.port)


def _run_to_start(home: Home, wanted: str) -> RunFolder:
    """The run of that name, not alive and not finished."""
    run = runs.find_run(home, wanted)
    state = run.state()
    if state.alive or state is State.FINISHED:
        raise RunTrouble(
            f"Run {run.id} is {state}; it can't be started elsewhere.",
            "Stop it first."
            if state.alive
            else f"`stillroom recipe {run.id} --out FILE` makes a recipe of it for another.",
        )
    return run
