"""One run on several processes is the run on one: same steps, same losses, and nobody waits for a process that is gone.

The processes are forked from one that has torch loaded already, and told their places as torch's launchers do it; one test goes through
the runner and `accelerate launch`.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny import assert_same_curve, events_of, finished, history_of, load, new_tiny_run, tiny_recipe

from core import events as ev
from core.engine import checkpoints
from core.engine.__main__ import FAILED, FINISHED, leave_at_once, main
from core.runner import start_engine
from core.runs import KEEP, RunFolder, enqueue
from core.state import State

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="forks and kills with POSIX signals"),
]
Start = Callable[..., list[multiprocessing.Process]]


def forked_process(folder: str, place: dict[str, str], device: str, poisoned: bool) -> None:
    """What a launcher starts, in a process that has its modules already."""
    torch.set_num_threads(1)
    os.environ.update(place)
    with (Path(folder) / "engine.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if poisoned:
        poison_gradients()
    sys.argv = ["core.engine", folder, "--device", device]
    leave_at_once(main())


def poison_gradients(step: int = 6) -> None:
    """From a step on this process alone computes a loss that is no number."""
    from core.engine.trainer import DistillTrainer

    plain = DistillTrainer.compute_loss

    def loss(self: DistillTrainer, *arguments: object, **named: object) -> torch.Tensor:
        value = plain(self, *arguments, **named)
        return value * math.nan if self.state.global_step + 1 >= step else value

    DistillTrainer.compute_loss = loss


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts all processes of a run; what is alive in the end is killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["core.engine.distill", "tiny"])
    started: list[multiprocessing.Process] = []

    def begin(
        run: RunFolder, count: int, devices: tuple[str, ...] = ("cpu", "cpu"), poisoned: int | None = None
    ) -> list[multiprocessing.Process]:
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        processes = []
        for rank in range(count):
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
            words = {key: str(value) for key, value in place.items()} | meeting
            arguments = (str(run.path), words if count > 1 else {}, devices[rank], rank == poisoned)
            processes.append(context.Process(target=forked_process, args=arguments))
            processes[-1].start()
        started.extend(processes)
        return processes

    yield begin
    for process in started:
        process.kill()
        process.join()


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def ends_of(processes: list[multiprocessing.Process], seconds: float = 120) -> list[int | None]:
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    return [process.exitcode for process in processes]


def wait_for_step(run: RunFolder, processes: list[multiprocessing.Process], step: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and all(process.is_alive() for process in processes):
        if history_of(run).step >= step:
            return
        time.sleep(0.005)
    raise AssertionError(f"the run did not come to step {step}: {run.log.read_text()[-3000:]}")


def test_two_processes_learn_what_one_learns(home, teacher, data, whole):
    """Started as the runner does it, by `accelerate launch`."""
    run = new_tiny_run(home, tiny_recipe(teacher, data, processes=2, launch="accelerate"))
    enqueue(home, run)
    assert start_engine(run, "cpu").wait(240) == FINISHED, run.log.read_text()
    assert not run.queue_entry.exists()
    assert_same_curve(run, whole)
    one, other = history_of(run), history_of(whole)
    assert one.choices["processes"].value == 2
    assert one.plan.tokens == other.plan.tokens
    for point, expected in zip(one.evaluations, other.evaluations, strict=True):
        assert point.metrics["ce"] == pytest.approx(expected.metrics["ce"], abs=1e-5)
    assert [step.grad_norm for step in one.steps] == pytest.approx([step.grad_norm for step in other.steps], abs=1e-5)
    here, there = (load(each.artifacts / "student")[0].state_dict() for each in (run, whole))
    assert all(torch.allclose(here[name], there[name], atol=1e-5) for name in there)


def test_one_process_killed_ends_the_others_and_the_run_goes_on_with_one(home, teacher, data, start, in_process):
    """Points of the curve are means over three steps, which two processes began and one ended."""
    whole = finished(home, tiny_recipe(teacher, data, log_every=3))
    run = new_tiny_run(home, tiny_recipe(teacher, data, log_every=3, processes=2, launch="accelerate"))
    processes = start(run, 2)
    wait_for_step(run, processes, 6)
    processes[1].kill()
    assert ends_of(processes, 30) == [FAILED, -signal.SIGKILL]
    assert run.state() is State.FAILED
    assert "One of the run's 2 processes ended" in history_of(run).failure.what
    assert checkpoints.newest(run.checkpoints)[0] in (4, 8)
    assert ends_of(start(run, 1)) == [FINISHED], run.log.read_text()
    assert_same_curve(run, whole)


def test_the_main_process_killed_ends_the_others_and_two_go_on_and_stop_together(home, teacher, data, whole, start):
    run = new_tiny_run(home, tiny_recipe(teacher, data, processes=2, launch="accelerate"))
    processes = start(run, 2)
    wait_for_step(run, processes, 5)
    processes[0].kill()
    assert ends_of(processes, 30) == [-signal.SIGKILL, FAILED]
    assert run.state() is State.CRASHED
    processes = start(run, 2)
    wait_for_step(run, processes, 6)
    run.stop_request.write_text(KEEP)
    assert ends_of(processes, 60) == [FINISHED, FINISHED]  # a launcher must not take it for a failure
    history = history_of(run)
    assert history.said is State.STOPPED
    if history.step < 12:
        assert checkpoints.newest(run.checkpoints)[0] == history.step
    assert ends_of(start(run, 2)) == [FINISHED, FINISHED], run.log.read_text()
    assert_same_curve(run, whole)


def test_a_student_shared_out_learns_the_same_and_goes_on_shared_out_or_not(home, teacher, data, whole, start):
    run = new_tiny_run(home, tiny_recipe(teacher, data, processes=2, launch="accelerate", strategy="fsdp"))
    for step in (3, 7):
        processes = start(run, 2)
        wait_for_step(run, processes, step)
        run.stop_request.write_text(KEEP)
        assert ends_of(processes, 60) == [FINISHED, FINISHED], run.log.read_text()
    assert history_of(run).said is State.STOPPED
    assert ends_of(start(run, 1)) == [FINISHED], run.log.read_text()
    assert_same_curve(run, whole)
    here, there = (load(each.artifacts / "student")[0].state_dict() for each in (run, whole))
    assert all(torch.allclose(here[name], there[name], atol=1e-5) for name in there)


def test_a_loss_that_is_no_number_on_one_process_ends_all_in_words(home, teacher, data, start):
    run = new_tiny_run(home, tiny_recipe(teacher, data, processes=2, launch="accelerate"))
    assert ends_of(start(run, 2, poisoned=1), 60) == [FAILED, FAILED]
    failures = events_of(run, ev.RunFailed)
    assert len(failures) == 1
    assert "NaN or infinite at step 6" in failures[0].what
    assert run.state() is State.FAILED


def test_what_one_process_lacks_is_said_by_the_main_one(home, teacher, data, start):
    run = new_tiny_run(home, tiny_recipe(teacher, data, processes=2, launch="accelerate"))
    assert ends_of(start(run, 2, devices=("cpu", "cuda:9")), 60) == [FAILED, FAILED]
    failures = events_of(run, ev.RunFailed)
    assert len(failures) == 1
    assert "no device cuda:9" in failures[0].what
    assert "process 1 of 2" in failures[0].details
    assert not run.lock_held()


def test_steps_that_cannot_be_shared_by_the_processes_at_hand_are_refused(home, teacher, data, start):
    run = new_tiny_run(home, tiny_recipe(teacher, data, batch_tokens=192))
    assert ends_of(start(run, 2), 60) == [FAILED, FAILED]
    assert "A step of 3 blocks can't be shared by 2 processes" in history_of(run).failure.what
