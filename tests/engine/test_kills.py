"""Whatever kills the engine, the run goes on where it was: same curve, no batch twice, nothing half-made.

The engines here are real processes, forked from one that has torch loaded already, so that a kill costs a second.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny import (
    REPOSITORY,
    assert_same_curve,
    engine_environment,
    events_of,
    forked_engine,
    history_of,
    load,
    new_tiny_run,
    run_engine,
    tiny_recipe,
    write_data,
)

from core import events as ev
from core.engine import checkpoints
from core.engine.__main__ import FINISHED, LOCKED, STOPPED
from core.runs import KEEP, RunFolder
from core.state import State

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="forks and kills with POSIX signals"),
]
KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[[RunFolder], multiprocessing.Process]]:
    """Starts an engine on a run; what is alive in the end is killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["core.engine.distill", "tiny"])
    started: list[multiprocessing.Process] = []

    def begin(run: RunFolder) -> multiprocessing.Process:
        process = context.Process(target=forked_engine, args=(str(run.path),))
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.join()


def end_of(process: multiprocessing.Process) -> int:
    process.join(120)
    assert process.exitcode is not None, "the engine hangs"
    return process.exitcode


def wait_for(run: RunFolder, process: multiprocessing.Process, seen: Callable[[ev.Event], bool]) -> None:
    """Until this attempt's journal holds such an event."""
    deadline = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < deadline:
        events = events_of(run)
        starts = [index for index, event in enumerate(events) if isinstance(event, ev.RunStarted)]
        if process.pid in {events[index].pid for index in starts} and any(map(seen, events[starts[-1] :])):
            return
        time.sleep(0.002)
    raise AssertionError("the engine ended, or hung, before the moment came")


def step(number: int) -> Callable[[ev.Event], bool]:
    return lambda event: isinstance(event, ev.StepLogged) and event.step >= number


def phase(name: str) -> Callable[[ev.Event], bool]:
    return lambda event: isinstance(event, ev.PhaseEntered) and event.phase == name


def assert_no_batch_twice(run: RunFolder) -> None:
    """Every attempt goes on from its checkpoint, one step after the other, and never counts a token twice."""
    at = tokens = 0
    before = {0: 0}
    for event in events_of(run):
        if isinstance(event, ev.RunStarted):
            at = event.resumed_from or 0
            tokens = before[at]
        elif isinstance(event, ev.StepLogged):
            assert event.step == at + 1
            assert event.tokens > tokens
            at, tokens = event.step, event.tokens
            assert before.setdefault(at, tokens) == tokens


def test_killed_at_random_moments_the_run_comes_to_the_same_end(home, teacher, data, whole, start):
    rng = random.Random(1)
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    kills = 0
    for _ in range(40):
        process = start(run)
        if kills < 6:
            if rng.random() < 0.8:
                wait_for(run, process, lambda event: isinstance(event, ev.RunStarted))
            time.sleep(rng.random() * 1.2)
            process.kill()
        code = end_of(process)
        seqs = [event.seq for event in events_of(run)]
        assert seqs == list(range(len(seqs)))
        if code == FINISHED:
            break
        assert code == KILLED
        kills += 1
        if seqs:
            assert run.state() in (State.CRASHED, State.STOPPED)
    assert history_of(run).said is State.FINISHED
    assert kills >= 3
    assert_same_curve(run, whole)
    assert_no_batch_twice(run)
    assert {folder.name for folder in run.checkpoints.iterdir()} == {"checkpoint-8", "checkpoint-12"}
    assert not list(run.artifacts.glob(".*"))


MOMENTS = {
    "reading": phase("reading the data"),
    "between checkpoints": step(6),
    "evaluating": lambda event: isinstance(event, ev.PhaseEntered) and event.detail == "step 6",
    "last step": step(12),
    "saving": phase("saving"),
    "copying": phase("copying the student"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_in_every_phase_it_is_resumed_to_the_same_end(home, teacher, data, whole, start, tmp_path, moment):
    out = tmp_path / "student"
    run = new_tiny_run(home, tiny_recipe(teacher, data, out=str(out)))
    process = start(run)
    wait_for(run, process, MOMENTS[moment])
    process.kill()
    assert end_of(process) in (KILLED, FINISHED)
    if run.history().said is not State.FINISHED:
        assert run.state() is State.CRASHED
        assert end_of(start(run)) == FINISHED
    assert_same_curve(run, whole)
    assert_no_batch_twice(run)
    assert load(out)[0].num_parameters() == history_of(run).results["parameters"]
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_killed_while_a_checkpoint_is_written_it_goes_on_from_the_one_before(home, teacher, data, whole, start):
    """The kill comes when the folder is there, but its manifest is not."""
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    process = start(run)
    torn = run.checkpoints / "checkpoint-8"
    deadline = time.monotonic() + 60
    while not torn.exists() and time.monotonic() < deadline:
        time.sleep(0.0002)
    process.kill()
    assert end_of(process) == KILLED
    assert checkpoints.newest(run.checkpoints)[0] in (4, 8)
    assert end_of(start(run)) == FINISHED
    assert_same_curve(run, whole)
    assert_no_batch_twice(run)


@pytest.mark.parametrize("how", ["stop request", "SIGTERM"])
def test_asked_to_end_it_saves_first_and_resumes_to_the_same_end(home, teacher, data, whole, start, how):
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    process = start(run)
    wait_for(run, process, step(5))
    if how == "SIGTERM":
        os.kill(process.pid, signal.SIGTERM)
    else:
        run.stop_request.write_text(KEEP)
    assert end_of(process) == STOPPED
    history = history_of(run)
    assert history.said is State.STOPPED
    assert not run.stop_request.exists()
    if history.step < 12:
        assert checkpoints.newest(run.checkpoints)[0] == history.step == events_of(run)[-1].step
    assert end_of(start(run)) == FINISHED
    assert_same_curve(run, whole)
    assert_no_batch_twice(run)


@pytest.mark.parametrize("moment", ["reading", "saving"])
def test_asked_to_end_outside_training_it_ends_at_once_and_keeps_what_it_has(home, teacher, data, whole, start, moment):
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    process = start(run)
    wait_for(run, process, MOMENTS[moment])
    os.kill(process.pid, signal.SIGTERM)
    code = end_of(process)
    assert code in (STOPPED, FINISHED)  # a run may be over before the signal comes
    if code == STOPPED:
        assert end_of(start(run)) == FINISHED
    assert_same_curve(run, whole)


def test_text_removed_between_kill_and_resumption_is_not_missed(home, teacher, whole, start, tmp_path):
    data = write_data(tmp_path / "s.txt")
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    process = start(run)
    wait_for(run, process, phase("rehearsing the fullest batch"))
    process.kill()
    end_of(process)
    data.unlink()
    assert end_of(start(run)) == FINISHED
    assert_same_curve(run, whole)


def test_a_second_engine_leaves_the_run_to_the_first(home, teacher, data, start, monkeypatch):
    run = new_tiny_run(home, tiny_recipe(teacher, data, tokens=300_000, checkpoint_every=10_000, evaluate_every=10_000))
    first = start(run)
    wait_for(run, first, step(1))
    assert end_of(start(run)) == LOCKED
    assert first.is_alive()
    assert len(events_of(run, ev.RunStarted)) == 1


def test_the_engine_is_one_command(home, teacher, data, whole):
    """As the runner starts it: a fresh process, its output in a log, its exit code the ending."""
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    assert run_engine(run) == FINISHED, run.log.read_text()
    assert_same_curve(run, whole)
    assert "Traceback" not in run.log.read_text()


def test_engine_and_runner_killed_in_a_loop_lose_nothing(tmp_path: Path):
    """The same with the runner between us and the engine; `--rounds 50` is the long form of it."""
    command = [sys.executable, "-m", "tests.bench.kill_loop", "--rounds", "3", "--seed", "2"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=engine_environment(), capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert sum(report["kills"].values()) >= 1
    assert report["lost"] == report["orphans"] == report["troubles"] == []
