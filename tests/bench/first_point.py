"""How long the built-in sample takes from its making to the first point of its loss curve, by phase.

    python -m tests.bench.first_point [--rounds 5]

Every round makes the sample's run in a scratch data folder, queues it as `stillroom sample` does, and follows its
journal until the first step is logged; then the run is discarded. Prints, for each phase, the median of its seconds and
of the engine's processor seconds (of all its threads; those tell more than the clock on a machine that does other
things too).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from core import events as ev
from core import runs
from core.home import Home
from core.journal import JournalReader
from core.plan import settle
from core.runner import ensure_runner
from core.runs import RunFolder
from resources.sample import recipe as sample_recipe

PATIENCE_S = 180.0
LOOK_S = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.first_point", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    count = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="stillroom first point ") as scratch:
        home = Home.find(Path(scratch) / "home")
        recipe = settle(sample_recipe(home))
        rounds = []
        for _ in range(count):
            rounds.append(one_round(home, runs.new_run(home, recipe)))
            while runs.is_locked(home.runner_lock):  # it ends by itself, and writes in the scratch folder until then
                time.sleep(LOOK_S)
    print(f"{'phase':<30}{'seconds':>9}{'processor':>11}   median of {count}")
    for name in rounds[0]:
        report(name, [one[name] for one in rounds])
    report("all", [tuple(map(sum, zip(*one.values(), strict=True))) for one in rounds])


def report(name: str, spent: list[tuple[float, ...]]) -> None:
    wall, cpu = (statistics.median(column) for column in zip(*spent, strict=True))
    print(f"{name:<30}{wall:>9.2f}{cpu:>11.2f}")


def one_round(home: Home, run: RunFolder) -> dict[str, tuple[float, float]]:
    """Wall and processor seconds of each phase, in their order."""
    marks = [("until the engine says so", time.time(), 0.0)]  # a phase, when it began, processor seconds then
    runs.enqueue(home, run)
    engine: psutil.Process | None = None
    for event in followed(home, run):
        if isinstance(event, ev.RunStarted):
            engine = psutil.Process(event.pid)
            marks.append(("importing", event.time, cpu_seconds(engine)))
        elif isinstance(event, ev.PhaseEntered) and engine is not None:
            marks.append((event.phase, event.time, cpu_seconds(engine)))
        elif isinstance(event, ev.StepLogged) and engine is not None:
            marks.append(("the first step is logged", event.time, cpu_seconds(engine)))
            break
    runs.discard(run)
    spent: dict[str, tuple[float, float]] = {}
    for (name, began, cpu_before), (_, ended, cpu_after) in itertools.pairwise(marks):
        wall, cpu = spent.get(name, (0.0, 0.0))
        spent[name] = wall + ended - began, cpu + cpu_after - cpu_before
    return spent


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def followed(home: Home, run: RunFolder) -> Iterator[ev.Event]:
    """The events of a queued run as they come. Raises TimeoutError after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    reader = JournalReader(run.journal)
    while time.monotonic() < deadline:
        ensure_runner(home)
        for event in reader.poll():
            if isinstance(event, ev.RunFailed):
                sys.exit(f"{run.id} failed: {event.what}")
            yield event
        time.sleep(LOOK_S)
    raise TimeoutError(f"{PATIENCE_S:.0f} s have passed before {run.id} took its first step")


if __name__ == "__main__":
    main()
