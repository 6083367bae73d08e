"""How the processes of a run are started: on this machine by the runner, and elsewhere by files that a person takes there.

Every one of them runs `python -m core.engine RUN_FOLDER`, so that recipe, journal and checkpoints are those of the run folder, wherever
its machines stand; on several machines the folder must lie at the same path on all. What the launchers' flags mean is in the
documentation of Accelerate ("accelerate launch"), of PyTorch ("torchrun (Elastic Launch)") and of Slurm (sbatch).
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import core
from core.defaults import blocks_in_a_step
from core.distill import WRITES_WHOLE, DistillRecipe
from core.errors import BadRecipe
from core.files import write_text
from core.recipe import Recipe
from core.runs import RunFolder

PORT = 29500  # torch's own choice
MOST_PORT = 65535
STOP_BEFORE_END_S = 300  # Slurm asks the run to stop and keep so long before its time is over

ON_EACH = "MACHINE_RANK=0 MAIN_PROCESS_IP=10.0.0.1"  # an example
ASKED_OF_EACH = [
    ': "${MACHINE_RANK:?is 0 on the first machine, 1 on the second, and so on}"',
    ': "${MAIN_PROCESS_IP:?is the address of the first machine}"',
]

ACCELERATE_FILE, TORCHRUN_FILE, SLURM_FILE = "run.sh", "torchrun.sh", "run.slurm"


def processes_of(recipe: Recipe) -> int:
    return recipe.processes if isinstance(recipe, DistillRecipe) else 1


def by_accelerate(recipe: Recipe) -> bool:
    return isinstance(recipe, DistillRecipe) and (recipe.launch == "accelerate" or recipe.processes > 1)


# ------------------------------------------------------------------------------------------------------ on this machine


def local_command(run: RunFolder, recipe: Recipe, devices: Sequence[str], cores: int) -> list[str]:
    """What follows `python -m` to start the engine of a run on this machine; it heeds its place in the queue."""
    engine = ["core.engine", str(run.path), "--device", ",".join(devices), "--from-queue"]
    if not by_accelerate(recipe):
        return engine
    count = processes_of(recipe)
    flags = accelerate_flags(1, count, str(max(1, cores // count)))
    return ["accelerate.commands.launch", *flags, *(["--main_process_port", "0"] if count > 1 else []), "-m", *engine]


def accelerate_flags(machines: int, processes: int, threads: str) -> list[str]:
    """What is said to `accelerate launch` on one machine or many: all of it, for a forgotten default could come from the user's own file.

    `--multi_gpu` is its word for several processes; whether they compute on GPUs the engine knows.
    """
    return [
        *(["--multi_gpu"] if processes > 1 else []),
        *("--num_machines", str(machines), "--num_processes", str(processes)),
        *("--mixed_precision", "no", "--dynamo_backend", "no"),  # both are the engine's business
        *("--num_cpu_threads_per_process", threads),
    ]


# ------------------------------------------------------------------------------------------------------------ elsewhere


@dataclass(frozen=True)
class Place:
    """Where a run is to be started: so many machines with so many processes on each."""

    machines: int
    per_machine: int
    port: int | None = None  # where several machines meet; by default torch's own, and on Slurm one by the job's number

    def __post_init__(self) -> None:
        if self.port is not None and not 1 <= self.port <= MOST_PORT:
            raise BadRecipe(f"{self.port} is no port.", f"Take one from 1 to {MOST_PORT}.")

    @property
    def meeting_port(self) -> int:
        return PORT if self.port is None else self.port

    @property
    def processes(self) -> int:
        return self.machines * self.per_machine


def write_files(run: RunFolder, recipe: Recipe, place: Place, folder: Path) -> dict[str, Path]:
    """Write the files that start the run elsewhere; returns them by launcher: accelerate, torchrun, slurm.

    Raises BadRecipe for a run that several processes can't share.
    """
    refuse_what_cannot_be_shared(recipe, place)
    texts = {
        "accelerate": (ACCELERATE_FILE, accelerate_script(run, recipe, place)),
        "torchrun": (TORCHRUN_FILE, torchrun_script(run, recipe, place)),
        "slurm": (SLURM_FILE, slurm_script(run, recipe, place)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for launcher, (name, text) in texts.items():
        files[launcher] = folder / name
        write_text(files[launcher], text)
        files[launcher].chmod(0o755)
    return files


def refuse_what_cannot_be_shared(recipe: Recipe, place: Place) -> None:
    if place.processes == 1:
        return
    if not isinstance(recipe, DistillRecipe):
        raise BadRecipe(
            f"A run of the kind {recipe.kind} is one process.", "Launch it with one machine and one process."
        )
    if recipe.must_be_whole and recipe.strategy == "fsdp":
        raise BadRecipe(WRITES_WHOLE, "Make a run with the strategy ddp, or launch it as one process.")
    if recipe.batch_tokens is not None and recipe.sequence_length is not None:
        blocks = blocks_in_a_step(recipe.batch_tokens, recipe.sequence_length, recipe.processes)
        if blocks % place.processes:
            raise BadRecipe(
                f"A step of {blocks} blocks can't be shared by {place.processes} processes.",
                f"Take a number of processes that divides {blocks}, or make a run of larger steps.",
            )


def engine_device(recipe: Recipe) -> str:
    """The number of a GPU on this machine means nothing on another: there all of its GPUs are the run's."""
    return recipe.device if recipe.device in ("cpu", "mps") else "auto"


def engine_arguments(run: RunFolder, recipe: Recipe) -> str:
    return f"-m core.engine {shlex.quote(str(run.path.absolute()))} --device {engine_device(recipe)}"


def accelerate_script(run: RunFolder, recipe: Recipe, place: Place) -> str:
    """A shell script for each machine, or for the only one."""
    several = place.machines > 1
    lines = [
        "#!/bin/sh",
        *_about(run, place, "by accelerate launch"),
        *_environment(place, ON_EACH if several else ""),
    ]
    flags = shlex.join(accelerate_flags(place.machines, place.processes, "THREADS"))
    command = ["accelerate launch", flags.replace("THREADS", '"$OMP_NUM_THREADS"')]
    if several:
        lines += ASKED_OF_EACH
        command += [
            '--machine_rank "$MACHINE_RANK" --main_process_ip "$MAIN_PROCESS_IP" '
            f'--main_process_port "${{MAIN_PROCESS_PORT:-{place.meeting_port}}}"'
        ]
    elif place.processes > 1:
        command += ["--main_process_port 0"]
    return _text([*lines, _command("exec", [*command, engine_arguments(run, recipe)])])


def torchrun_script(run: RunFolder, recipe: Recipe, place: Place) -> str:
    """The same by torchrun, which gives the processes their ranks itself; the first machine keeps the book.

    torchrun would find out by its name which machine that is, and the others reach it by that name; neither holds in every network.
    """
    several = place.machines > 1
    lines = [
        "#!/bin/sh",
        *_about(run, place, "by torchrun"),
        *_environment(place, ON_EACH if several else ""),
    ]
    if several:
        lines += [
            "# LOCAL_ADDRESS is this machine's own, to be said where the others don't find it by its name.",
            *ASKED_OF_EACH,
            'is_host=0; [ "$MACHINE_RANK" != 0 ] || is_host=1',
        ]
        meeting = [
            *_meeting(run, place, f'"$MAIN_PROCESS_IP:${{MAIN_PROCESS_PORT:-{place.meeting_port}}}"'),
            '--rdzv_conf "is_host=$is_host" ${LOCAL_ADDRESS:+--local_addr "$LOCAL_ADDRESS"}',
        ]
    else:
        meeting = [f"--standalone --nproc_per_node {place.per_machine}"]
    return _text([*lines, _command("exec", ["torchrun", *meeting, engine_arguments(run, recipe)])])


def slurm_script(run: RunFolder, recipe: Recipe, place: Place) -> str:
    """A batch file for sbatch: one torchrun on each node. The first node of the job is where the processes meet."""
    stop = shlex.quote(str(run.stop_request.absolute()))
    gpus = [] if engine_device(recipe) == "cpu" else [f"#SBATCH --gpus-per-node={place.per_machine}"]
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name={_directive(f'stillroom-{run.id}')}",
        f"#SBATCH --nodes={place.machines}",
        "#SBATCH --ntasks-per-node=1",
        *gpus,
        f"#SBATCH --cpus-per-task={8 * place.per_machine if gpus else max(8, place.per_machine)}",
        "#SBATCH --time=24:00:00",
        f"#SBATCH --output={_directive(str(run.log.absolute()))}",
        "#SBATCH --open-mode=append",
        f"#SBATCH --signal=B:USR1@{STOP_BEFORE_END_S}",
        *_about(run, place, "by Slurm: sbatch, then look at it in the window or with `stillroom show`"),
        f"# {STOP_BEFORE_END_S} seconds before its time is over the run is asked to save and stop; submit it again and it goes on.",
        "# Add what your cluster wants (partition, account), and change time and cores above.",
        *_environment(place, "", cores="${SLURM_CPUS_PER_TASK:-8}"),
        'head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        f"rm -f {stop}",
        f"trap {shlex.quote(f'printf keep > {stop}')} USR1",
    ]
    port = place.port or f"$(( {PORT} + SLURM_JOB_ID % 1000 ))"  # two jobs may share a node
    meeting = _meeting(run, place, f'"$head:${{MAIN_PROCESS_PORT:-{port}}}"')
    command = _command("srun", ["--kill-on-bad-exit=1", "torchrun", *meeting, engine_arguments(run, recipe)])
    lines += [
        f"{command} &",
        'job=$!; code=0; wait "$job" || code=$?',
        'while kill -0 "$job" 2> /dev/null; do code=0; wait "$job" || code=$?; done  # the signal above ends a wait',
        'exit "$code"',
    ]
    return _text(lines)


def _meeting(run: RunFolder, place: Place, endpoint: str) -> list[str]:
    return [
        f"--nnodes {place.machines} --nproc_per_node {place.per_machine} --max_restarts 0",
        f"--rdzv_backend c10d --rdzv_id {shlex.quote(run.id)} --rdzv_endpoint {endpoint}",
    ]


def _about(run: RunFolder, place: Place, how: str) -> list[str]:
    machines = "1 machine" if place.machines == 1 else f"{place.machines} machines"
    processes = "1 process" if place.per_machine == 1 else f"{place.per_machine} processes"
    several = " Its folder must lie at the same path on all of them." if place.machines > 1 else ""
    return [
        f"# Stillroom run {run.id} on {machines} with {processes} each, {how}.",
        f"# Journal and checkpoints are in the run folder, as for any run: it goes on from its newest checkpoint.{several}",
    ]


def _environment(place: Place, on_each: str, cores: str = "$(getconf _NPROCESSORS_ONLN)") -> list[str]:
    """Where Stillroom is, and how many threads a process may have. `on_each` is an example of what each machine is to say."""
    example = [f"# On each machine: {on_each} sh THIS_FILE"] if on_each else []
    if place.machines > 1:
        example.append(
            "# Where a machine has several networks, GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME name the one to take (eth0, ib0)."
        )
    found = str(Path(core.__file__).resolve().parent.parent)
    return [
        *example,
        "set -eu",
        "# The Python environment and the code; say STILLROOM_ENV and STILLROOM_CODE where they lie elsewhere.",
        f'PATH="${{STILLROOM_ENV:-{_inside_quotes(sys.prefix)}}}/{"Scripts" if os.name == "nt" else "bin"}:$PATH"',
        f'PYTHONPATH="${{STILLROOM_CODE:-{_inside_quotes(found)}}}${{PYTHONPATH:+:$PYTHONPATH}}"',
        f'OMP_NUM_THREADS="${{OMP_NUM_THREADS:-$(( ({cores} + {place.per_machine - 1}) / {place.per_machine} ))}}"',
        "export PATH PYTHONPATH OMP_NUM_THREADS PYTHONUTF8=1 PYTHONSAFEPATH=1 TOKENIZERS_PARALLELISM=true",
    ]


def _inside_quotes(path: str) -> str:
    """A path as it stands in ${NAME:-…} between double quotes."""
    return "".join(f"\\{sign}" if sign in '\\"$`}' else sign for sign in path)


def _directive(value: str) -> str:
    """A value of an #SBATCH line, which Slurm splits at blanks unless they are quoted; % begins its own patterns."""
    value = value.replace("%", "%%")
    return f'"{value}"' if any(sign.isspace() for sign in value) else value


def _command(first: str, parts: Sequence[str]) -> str:
    return " \\\n    ".join([f"{first} {parts[0]}", *parts[1:]])


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
