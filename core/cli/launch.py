"""The command that writes what starts a run elsewhere: on several processes, machines, or by Slurm."""

from __future__ import annotations

import argparse
from pathlib import Path

from core import launch, runs
from core.cli import FINISHED, home_of
from core.cli.flags import count
from core.cli.output import Output
from core.distill import DistillRecipe
from core.errors import RunTrouble
from core.home import Home
from core.plan import beside, settle
from core.recipe import read_recipe
from core.runs import RunFolder
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
    parser.add_argument("--to", type=Path, metavar="DIR", help="where the files are written [launch in the run folder]")


def launch_command(arguments: argparse.Namespace, output: Output) -> int:
    run = _run_or_recipe(home_of(arguments), arguments.run)
    recipe = run.recipe()
    per_machine = arguments.processes_per_machine or max(1, launch.processes_of(recipe) // arguments.machines)
    place = launch.Place(arguments.machines, per_machine)
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
            "files": {launcher: str(file) for launcher, file in files.items()},
        }
    )
    return FINISHED


def _run_or_recipe(home: Home, wanted: str) -> RunFolder:
    """The run of that name, not alive and not finished; or a new one, in no queue, from a recipe file."""
    if Path(wanted).is_file():
        return _made_from(home, Path(wanted))
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


def _made_from(home: Home, file: Path) -> RunFolder:
    recipe = read_recipe(file)
    if isinstance(recipe, DistillRecipe):
        recipe = settle(beside(recipe, file.parent))
    return runs.new_run(home, recipe.check())
