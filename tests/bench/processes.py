"""One run on one process and on several: the same losses, and how fast.

    python -m tests.bench.processes [--processes 2] [--tokens 12000] [--hosts]

The same tiny recipe is trained by one process, and by several that `accelerate launch` starts (ddp and fsdp) and `torchrun` starts, on the
CPU. With --hosts (as root, on Linux) also on two hosts, each in a network namespace of its own and joined by a virtual cable, with the
very files that `stillroom launch` writes. Prints a table and, last, one line of JSON; the exit code is 1 if a loss differs by more than
1e-5. On cores that the processes must share several are no faster; the table is about the losses.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.home import Home
from core.launch import Place, local_command, write_files
from core.plan import settle
from core.runner import process_environment
from core.runs import RunFolder, new_run
from core.state import History, State

MOST_DIFFERENCE = 1e-5
ADDRESSES = ("10.77.0.1", "10.77.0.2")
Start = Callable[[RunFolder], None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=12_000)
    parser.add_argument("--hosts", action="store_true", help="also on two hosts in network namespaces; needs root")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stillroom processes ") as scratch:
        report = compare(Path(scratch), arguments.processes, arguments.tokens, arguments.hosts)
    print("| processes | tokens/s | largest difference of a loss | of a gradient's norm |\n|---|---|---|---|")
    for arm in report["arms"]:
        print(f"| {arm['name']} | {arm['tokens_per_second']:.0f} | {arm['loss']:.1e} | {arm['grad_norm']:.1e} |")
    print(json.dumps(report))
    return 0 if report["ok"] else 1


def compare(scratch: Path, count: int, tokens: int, hosts: bool) -> dict[str, Any]:
    from tests.engine.tiny import tiny_recipe, write_data, write_teacher

    home = Home.find(scratch / "home")
    teacher, data = write_teacher(scratch / "teacher"), write_data(scratch / "stories.txt")

    def run_of(start: Start, **changes: Any) -> History:
        run = new_run(home, settle(tiny_recipe(teacher, data, tokens=tokens, evaluate_every=10_000, **changes)))
        start(run)
        history = run.history()
        if history.said is not State.FINISHED:
            raise RuntimeError(f"the run ended as {history.said}: {history.failure}\n{run.log.read_text()[-4000:]}")
        return history

    several = {"processes": count, "launch": "accelerate"}
    alone = run_of(here)
    arms = {
        "1": alone,
        f"{count}, accelerate, ddp": run_of(here, **several),
        f"{count}, accelerate, fsdp": run_of(here, **several, strategy="fsdp"),
        f"{count}, torchrun": run_of(lambda run: by_file(run, Place(1, count), "torchrun"), **several),
    }
    if hosts:
        for launcher in ("accelerate", "torchrun"):
            arms[f"2 hosts, {launcher}"] = run_of(lambda run, name=launcher: on_two_hosts(run, name), **several)
    found = [{"name": name, **figures(history, alone)} for name, history in arms.items()]
    return {"ok": all(arm["loss"] <= MOST_DIFFERENCE for arm in found), "arms": found}


def figures(history: History, alone: History) -> dict[str, float]:
    """Against the run of one process, step by step."""
    pairs = list(zip(history.steps, alone.steps, strict=True))
    last, first = history.steps[-1], history.steps[0]

    def apart(name: str) -> float:
        return max(abs(getattr(one, name) - getattr(other, name)) for one, other in pairs)

    return {
        "tokens_per_second": (last.tokens - first.tokens) / (last.seconds - first.seconds),
        "loss": max(apart("ce"), apart("kd"), apart("total")),
        "grad_norm": apart("grad_norm"),
    }


def here(run: RunFolder) -> None:
    """As the runner starts it, but for the queue."""
    words = [word for word in local_command(run, run.recipe(), ["cpu"], os.cpu_count() or 1) if word != "--from-queue"]
    finish({run.log: [sys.executable, "-m", *words]})


def by_file(run: RunFolder, place: Place, launcher: str) -> None:
    file = write_files(run, run.recipe(), place, run.path / "launch")[launcher]
    finish({run.log: ["sh", str(file)]})


def on_two_hosts(run: RunFolder, launcher: str) -> None:
    """The written file on two hosts; each has its own network, and all they share is the disk."""
    file = write_files(run, run.recipe(), Place(2, 1), run.path / "launch")[launcher]
    names = [f"stillroom{number}" for number in range(2)]
    try:
        connect(names)
        commands = {}
        for number, (name, address) in enumerate(zip(names, ADDRESSES, strict=True)):
            said = {"MACHINE_RANK": str(number), "MAIN_PROCESS_IP": ADDRESSES[0], "LOCAL_ADDRESS": address}
            said["GLOO_SOCKET_IFNAME"] = f"cable{number}"
            words = [f"{key}={value}" for key, value in said.items()]
            commands[run.path / f"host{number}.log"] = ["ip", "netns", "exec", name, "env", *words, "sh", str(file)]
        finish(commands)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def connect(names: list[str]) -> None:
    lines = [f"netns add {name}" for name in names]
    lines.append("link add cable0 type veth peer name cable1")
    for number, (name, address) in enumerate(zip(names, ADDRESSES, strict=True)):
        lines += [
            f"link set cable{number} netns {name}",
            f"-n {name} link set lo up",
            f"-n {name} addr add {address}/24 dev cable{number}",
            f"-n {name} link set cable{number} up",
        ]
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)


def finish(commands: dict[Path, list[str]]) -> None:
    """All commands at once, to their end, each with the output in its own file."""
    started = []
    for log, command in commands.items():
        with log.open("ab") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=process_environment())
            started.append(process)
    for process in started:
        process.wait(600)


if __name__ == "__main__":
    sys.exit(main())
