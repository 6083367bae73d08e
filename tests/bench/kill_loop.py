"""Kill engine and runner again and again, at random moments, and see that nothing is lost.

    python -m tests.bench.kill_loop --rounds 50

One tiny run in a scratch data folder is queued, killed (SIGKILL to the engine, the runner, or both) and resumed, until
the rounds are over; a run that finishes meanwhile is followed by a new one. In the end every run must have finished
with the curve of a run that nobody disturbed. Prints one line of JSON with the counts; the exit code is 1 if anything
was lost.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from core import runs
from core.distill import DistillRecipe
from core.events import RunStarted, StepLogged
from core.home import Home
from core.journal import read_journal
from core.plan import settle
from core.runner import ensure_runner
from core.runs import RunFolder
from core.state import State

STEPS = 40
PATIENCE_S = 180.0
SMALLEST_DIFFERENCE = 1e-5
BEFORE_THE_START_S = 1.0  # some kills come before the engine holds its lock


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kill_loop", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="stillroom kills é "))
    try:
        report = Loop(scratch, random.Random(arguments.seed)).go(arguments.rounds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(json.dumps(report))
    return 0 if report["ok"] else 1


class Loop:
    """A scratch data folder, the run that is being disturbed, and what was seen."""

    def __init__(self, scratch: Path, rng: random.Random) -> None:
        from tests.engine.tiny import tiny_recipe, write_data, write_teacher

        self.home = Home.find(scratch / "home")
        self.rng = rng
        fields = {"tokens": STEPS * 240, "checkpoint_every": 5, "evaluate_every": 10, "log_every": 1}
        recipe = tiny_recipe(write_teacher(scratch / "teacher"), write_data(scratch / "stories.txt"), **fields)
        self.recipe: DistillRecipe = settle(recipe)
        self.kills = {"engine": 0, "runner": 0, "both": 0}
        self.killed_in: dict[str, int] = {}
        self.troubles: list[str] = []

    def go(self, rounds: int) -> dict[str, Any]:
        began = time.monotonic()
        quiet = self.new_run()
        self.wait_for_end(quiet)
        finished, run = [], self.new_run()
        for _ in range(rounds):
            self.disturb(run)
            self.look_at(run)
            if run.state() is State.FINISHED:
                finished.append(run)
                run = self.new_run()
            elif not run.state().alive and run.position() is None:
                runs.resume(self.home, run)
            ensure_runner(self.home)
        self.wait_for_end(run)
        finished.append(run)
        for one in finished:
            self.compare(one, quiet)
        lost = [one.id for one in (quiet, *finished) if one.id not in {found.id for found in runs.all_runs(self.home)}]
        orphans = self.orphans()
        return {
            "ok": not (self.troubles or lost or orphans),
            "rounds": rounds,
            "kills": self.kills,
            "killed_in": self.killed_in,
            "runs": len(finished) + 1,
            "lost": lost,
            "orphans": orphans,
            "troubles": self.troubles,
            "seconds": round(time.monotonic() - began, 1),
        }

    def new_run(self) -> RunFolder:
        run = runs.new_run(self.home, self.recipe)
        runs.enqueue(self.home, run)
        ensure_runner(self.home)
        return run

    def disturb(self, run: RunFolder) -> None:
        """Wait for a random moment of the run's life, then kill whoever is to die."""
        who = self.rng.choice(["engine", "engine", "runner", "both"])
        if self.rng.random() < 0.2:
            time.sleep(self.rng.random() * BEFORE_THE_START_S)
        else:
            self.wait_until(lambda: run.lock_held() or run.state().ended, "the engine came up")
            time.sleep(self.rng.random() ** 2 * 1.5)
            self.wait_until(lambda: self.phase(run) or run.state().ended, "the engine began")
            time.sleep(self.rng.random() * 2.5)
        phase = self.phase(run) or "starting"
        victims = self.processes(run, who)
        for process in victims:
            process.send_signal(signal.SIGKILL)
        for process in victims:
            process.wait(timeout=30)
        if victims:
            self.kills[who] += 1
            self.killed_in[phase] = self.killed_in.get(phase, 0) + 1

    def phase(self, run: RunFolder) -> str:
        history = run.history()
        return history.phase if history.said is State.RUNNING else ""

    def processes(self, run: RunFolder, who: str) -> list[psutil.Process]:
        """The living engine of the run, the runner of our folder, or both; known by their command lines."""
        wanted = {"engine": ["core.engine"], "runner": ["core.runner"], "both": ["core.runner", "core.engine"]}[who]
        return [process for process, module in self.ours() if module in wanted]

    def ours(self) -> list[tuple[psutil.Process, str]]:
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            words = process.info["cmdline"] or []
            module = next((word for word in words if word in ("core.engine", "core.runner")), None)
            here = any(word.startswith(str(self.home.root)) for word in words)
            if module and here and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append((process, module))
        return found

    def look_at(self, run: RunFolder) -> None:
        """Right after a kill: the journal is contiguous, and every checkpoint is sealed, or known to be incomplete."""
        for one in runs.all_runs(self.home):
            self.journal_is_whole(one)
        if run.path not in {one.path for one in runs.all_runs(self.home)}:
            self.troubles.append(f"{run.id} is gone")

    def journal_is_whole(self, run: RunFolder) -> None:
        seqs = [event.seq for event in read_journal(run.journal)]
        if seqs != list(range(len(seqs))):
            self.troubles.append(f"{run.id}: the journal's numbers are not contiguous")

    def wait_until(self, true: Any, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{PATIENCE_S:.0f} s have passed before {what}")
            ensure_runner(self.home)
            time.sleep(0.02)

    def wait_for_end(self, run: RunFolder) -> None:
        """To the end, resuming what crashed."""

        def ended() -> bool:
            state = run.state()
            if state is State.FINISHED:
                return True
            if state.ended:
                if state is State.FAILED:
                    raise RuntimeError(f"{run.id} failed: {run.history().failure}")
                runs.resume(self.home, run)
            return False

        self.wait_until(ended, "the run finished")

    def compare(self, run: RunFolder, quiet: RunFolder) -> None:
        """The folded curve is the undisturbed one; no batch was learnt twice; nothing half-made is left."""
        found, expected = run.history(), quiet.history()
        if [(p.step, p.tokens) for p in found.steps] != [(p.step, p.tokens) for p in expected.steps]:
            self.troubles.append(f"{run.id}: steps are missing or doubled")
        else:
            worst = max(abs(a.total - b.total) for a, b in zip(found.steps, expected.steps, strict=True))
            if not worst <= SMALLEST_DIFFERENCE or not math.isfinite(worst):
                self.troubles.append(f"{run.id}: the loss differs by {worst}")
        self.journal_is_whole(run)
        self.no_step_backwards(run)
        for folder in run.checkpoints.iterdir():
            manifest = folder / "manifest.json"
            sizes = json.loads(manifest.read_text())["files"] if manifest.exists() else None
            if sizes is None or any((folder / name).stat().st_size != size for name, size in sizes.items()):
                self.troubles.append(f"{run.id}: {folder.name} is neither whole nor absent")
        if not (run.artifacts / "student" / "model.safetensors").exists() or list(run.artifacts.glob(".*")):
            self.troubles.append(f"{run.id}: its artifacts are not whole")

    def no_step_backwards(self, run: RunFolder) -> None:
        """Within an attempt the steps follow one another from the checkpoint it went on from."""
        at: int | None = None
        for event in read_journal(run.journal):
            if isinstance(event, RunStarted):
                at = event.resumed_from or 0
            elif isinstance(event, StepLogged):
                if at is None or event.step != at + 1:
                    self.troubles.append(f"{run.id}: step {event.step} followed step {at}")
                at = event.step

    def orphans(self) -> list[str]:
        """Processes of our folder that are still there when nothing waits and nothing runs."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.ours():
            time.sleep(0.1)
        return [f"{module} {process.pid}" for process, module in self.ours()]


if __name__ == "__main__":
    sys.exit(main())
