"""Kill the window again and again, at random moments of a live run, and see that nothing is lost.

    python -m tests.bench.window_kills --rounds 30

A tiny run (real engine) goes on in a scratch data folder while the window, on its Runs page and off screen, is started and
killed (SIGKILL). In the end the run must have finished with every step once, and the library and the settings must be
readable. Prints one line of JSON; the exit code is 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from core import runs
from core.events import StepLogged
from core.home import Home
from core.journal import read_journal
from core.library import Library
from core.plan import settle
from core.runner import ensure_runner
from core.state import State

ROOT = Path(__file__).resolve().parents[2]
STEPS = 60


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.window_kills", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="stillroom window é "))
    try:
        report = loop(scratch, arguments.rounds, random.Random(arguments.seed))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(json.dumps(report))
    return 0 if report["ok"] else 1


def loop(scratch: Path, rounds: int, rng: random.Random) -> dict[str, Any]:
    """What was lost over so many killed windows; `scratch` is an empty folder."""
    from tests.engine.tiny import tiny_recipe, write_data, write_teacher

    home = Home.find(scratch / "home")
    fields = {"tokens": STEPS * 240, "checkpoint_every": 5, "evaluate_every": 10, "log_every": 1}
    recipe = settle(tiny_recipe(write_teacher(scratch / "teacher"), write_data(scratch / "stories.txt"), **fields))
    (home.root / "window.ini").write_text("[General]\ngreeted=true\npage=runs\n")
    made = []
    alive_at_kill = 0
    for _ in range(rounds):
        if not made or made[-1].state().ended:
            made.append(runs.new_run(home, recipe))
            runs.enqueue(home, made[-1])
            ensure_runner(home)
        window = _window(home)
        time.sleep(0.2 + rng.random() * 3.0)
        alive_at_kill += made[-1].state().alive
        window.kill()
        window.wait()
    for run in made:
        deadline = time.monotonic() + 180
        while not run.state().ended and time.monotonic() < deadline:
            time.sleep(0.2)
    troubles = [trouble for run in made for trouble in _look(run)]
    with Library(home) as library:
        library.refresh_runs()
        lost = [run.id for run in made if run.id not in {row.id for row in library.runs()}]
        troubles += [library.notice] if library.notice else []
    last = subprocess.run(_command(home, "--quit-after-first-paint"), cwd=ROOT, env=_environment(), check=False)
    if last.returncode:
        troubles.append("the window does not open any more")
    return {
        "ok": not (troubles or lost),
        "rounds": rounds,
        "killed_while_a_run_was_alive": alive_at_kill,
        "runs": len(made),
        "lost": lost,
        "troubles": troubles,
    }


def _look(run: runs.RunFolder) -> list[str]:
    state = run.state()
    if state is not State.FINISHED:
        return [f"{run.id} is {state}"]
    steps = [event.step for event in read_journal(run.journal) if isinstance(event, StepLogged)]
    return [] if steps == list(range(1, steps[-1] + 1)) else [f"{run.id} has not each step once"]


def _command(home: Home, *more: str) -> list[str]:
    return [sys.executable, "-m", "desktop_app", "--home", str(home.root), *more]


def _environment() -> dict[str, str]:
    return {**os.environ, "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}


def _window(home: Home) -> subprocess.Popen[bytes]:
    with (home.root / "window.log").open("ab") as log:
        return subprocess.Popen(_command(home), cwd=ROOT, env=_environment(), stdout=log, stderr=log)


if __name__ == "__main__":
    sys.exit(main())
