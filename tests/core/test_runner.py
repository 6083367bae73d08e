"""The runner: starts what waits, one run a device, and loses nothing when it or an engine is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock

from core import events as ev
from core import runner as module
from core import runs
from core.devices import Device
from core.errors import Trouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.journal import JournalWriter
from core.runner import Runner, ensure_runner, free_device, serve
from core.runs import RunFolder
from core.state import State

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends SIGKILL to runners and engines")

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

# An engine without a model. The run's name says what it does: "finish 0.3", "fail 0", "crash 0", "stillborn 0", or
# "late 0.3", which takes a while to come up. It heeds lock, queue entry and stop request as the real one does.
ENGINE = """
import json, os, sys, time
from pathlib import Path
import psutil
from filelock import FileLock, Timeout
from core import events as ev
from core.journal import JournalWriter
run, device = Path(sys.argv[1]), sys.argv[2]
entry, stop = run / "queued.json", run / "stop"
how, seconds = json.loads((run / "meta.json").read_text())["name"].split()
if how == "stillborn":
    sys.exit("there is no such library")
if how == "late":
    time.sleep(0.5)
lock = FileLock(run / "engine.lock", is_singleton=False)
try:
    lock.acquire(timeout=0.1 if how == "late" else 5)
except Timeout:
    sys.exit(75)
if not entry.exists():
    sys.exit(3)
with JournalWriter(run / "events.jsonl") as journal:
    me = psutil.Process()
    journal.append(ev.RunStarted(device, me.pid, me.create_time()))
    entry.unlink()
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        if stop.exists():
            journal.append(ev.RunStopped(0))
            stop.unlink()
            sys.exit(3)
        time.sleep(0.02)
    if how == "crash":
        os._exit(9)
    if how == "fail":
        journal.append(ev.RunFailed("No."))
        sys.exit(1)
    journal.append(ev.RunFinished())
"""
# A runner whose engines are those above.
RUNNER = f"""
import subprocess, sys
from pathlib import Path
from core import runner
from core.home import Home
def start_engine(run, device):
    with run.log.open("ab") as log:
        command = [sys.executable, "-c", {ENGINE!r}, str(run.path), device]
        return subprocess.Popen(command, stderr=log, start_new_session=True)
runner.start_engine = start_engine
sys.exit(runner.serve(Home(Path(sys.argv[1]))))
"""


def device(name: str, free: int = 10, usable: bool = True, note: str = "") -> Device:
    return Device(name, name, 10, free, bf16=False, bf16_reason="", usable=usable, note=note)


CPU = device("cpu")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.find(tmp_path / "Mein Ordner 本")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Fake engines instead of real ones; the list of (run, device) that were started."""
    starts: list[tuple[str, str]] = []
    processes: list[subprocess.Popen[bytes]] = []

    def start_engine(run: RunFolder, on: str) -> subprocess.Popen[bytes]:
        starts.append((run.id, on))
        processes.append(fake_engine(run, on))
        return processes[-1]

    monkeypatch.setattr(module, "start_engine", start_engine)
    yield starts
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def runner_process(home: Home) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen([sys.executable, "-c", RUNNER, str(home.root)], env=ENVIRONMENT))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
    for run in runs.all_runs(home):
        engine = run.history().engine
        if engine and run.lock_held() and psutil.pid_exists(engine.pid):
            psutil.Process(engine.pid).kill()


def fake_engine(run: RunFolder, on: str = "cpu") -> subprocess.Popen[bytes]:
    with run.log.open("ab") as log:
        command = [sys.executable, "-c", ENGINE, str(run.path), on]
        return subprocess.Popen(command, env=ENVIRONMENT, stderr=log, start_new_session=True)


def waiting(home: Home, name: str, on: str = "auto", share: bool = False) -> RunFolder:
    recipe = EvaluateRecipe(model="/m", data=("a.txt",), name=name, device=on, share_device=share)
    run = runs.new_run(home, recipe)
    runs.enqueue(home, run)
    return run


def until(what: Callable[[], object], runner: Runner | None = None, seconds: float = 20.0) -> None:
    """Wait for something to become true, turning the runner meanwhile."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        if runner is not None:
            runner.tick()
        time.sleep(0.02)


def to_the_end(runner: Runner) -> None:
    deadline = time.monotonic() + 30
    while runner.tick():
        assert time.monotonic() < deadline, "the runner never ended"
        time.sleep(0.02)


def times(run: RunFolder) -> tuple[float, float]:
    history = run.history()
    assert history.started_at is not None
    assert history.updated_at is not None
    return history.started_at, history.updated_at


# --- one after another ------------------------------------------------------------------------------------------------


def test_five_runs_go_one_after_another_and_a_bad_one_stops_only_itself(
    home: Home, started: list[tuple[str, str]]
) -> None:
    names = ["finish 0.1", "fail 0", "crash 0", "stillborn 0", "finish 0.1"]
    queued = [waiting(home, name) for name in names]
    to_the_end(Runner(home, lambda: [CPU]))
    assert started == [(run.id, "cpu") for run in queued]
    states = [State.FINISHED, State.FAILED, State.CRASHED, State.FAILED, State.FINISHED]
    assert [run.state() for run in queued] == states
    born = [run for run in queued if run is not queued[3]]
    assert all(times(before)[1] <= times(after)[0] for before, after in pairwise(born))
    assert runs.queue(home) == []


def test_an_engine_that_never_starts_is_told_with_what_it_printed_and_not_tried_again(
    home: Home, started: list[tuple[str, str]]
) -> None:
    run = waiting(home, "stillborn 0")
    to_the_end(Runner(home, lambda: [CPU]))
    assert started == [(run.id, "cpu")]
    failure = run.history().failure
    assert failure is not None
    assert "before it could start" in failure.what
    assert "there is no such library" in failure.details


def test_a_run_queued_again_while_its_engine_still_leaves_is_started_again(
    home: Home, started: list[tuple[str, str]]
) -> None:
    run = waiting(home, "crash 0")
    runner = Runner(home, lambda: [CPU])
    runner.tick()
    until(lambda: run.state() is State.CRASHED)  # and the runner has not looked yet
    runs.resume(home, run)
    until(lambda: len(started) == 2, runner)
    to_the_end(runner)
    assert run.history().attempts == 2
    assert run.history().failure is None


def test_a_reordered_queue_is_followed_and_a_removed_run_stays_where_it_is(
    home: Home, started: list[tuple[str, str]]
) -> None:
    first, second, third = (waiting(home, "finish 0.2") for _ in range(3))
    runner = Runner(home, lambda: [CPU])
    until(lambda: first.history().engine, runner)
    runs.reorder(home, third, 0)
    runs.unqueue(second)
    to_the_end(runner)
    assert [run_id for run_id, _ in started] == [first.id, third.id]
    assert second.state() is State.STOPPED


def test_a_run_taken_out_of_the_queue_while_its_engine_comes_up_does_not_run(
    home: Home, started: list[tuple[str, str]]
) -> None:
    run = waiting(home, "late 0")
    runner = Runner(home, lambda: [CPU])
    runner.tick()
    assert started
    runs.stop_and_keep(run)
    to_the_end(runner)
    assert not run.journal.exists()
    assert run.state() is State.STOPPED


def test_stop_and_keep_then_resume(home: Home, started: list[tuple[str, str]]) -> None:
    run = waiting(home, "finish 0.5")
    runner = Runner(home, lambda: [CPU])
    until(lambda: run.history().engine, runner)
    runs.stop_and_keep(run)
    to_the_end(runner)
    assert run.state() is State.STOPPED
    runs.resume(home, run)
    to_the_end(runner)
    assert (run.state(), run.history().attempts) == (State.FINISHED, 2)


@pytest.mark.parametrize("broken", ["recipe", "device", "unusable"])
def test_a_run_that_cannot_start_here_is_refused_in_words(
    home: Home, started: list[tuple[str, str]], broken: str
) -> None:
    run = waiting(home, "finish 0", on={"device": "cuda:7", "unusable": "cuda:0"}.get(broken, "auto"))
    if broken == "recipe":
        run.recipe_file.write_text("{")
    after = waiting(home, "finish 0", on="cpu")
    to_the_end(Runner(home, lambda: [device("cuda:0", usable=False, note="torch is a CPU build."), CPU]))
    failure = run.history().failure
    assert failure is not None
    words = {"recipe": "recipe of run", "device": "no device cuda:7", "unusable": "torch is a CPU build"}
    assert words[broken] in failure.what
    assert after.state() is State.FINISHED
    assert started == [(after.id, "cpu")]


def test_an_engine_that_cannot_be_started_is_refused_in_words(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(run: RunFolder, on: str) -> subprocess.Popen[bytes]:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(module, "start_engine", no_memory)
    run = waiting(home, "finish 0")
    to_the_end(Runner(home, lambda: [CPU]))
    failure = run.history().failure
    assert failure is not None
    assert "Cannot allocate memory" in failure.what


# --- devices ----------------------------------------------------------------------------------------------------------


def test_two_gpus_take_two_runs_at_once_and_the_third_waits(home: Home, started: list[tuple[str, str]]) -> None:
    machine = [device("cuda:0", free=5), device("cuda:1", free=9), CPU]
    one, two, three = waiting(home, "finish 1"), waiting(home, "finish 0.3"), waiting(home, "finish 0")
    to_the_end(Runner(home, lambda: machine))
    assert started == [(one.id, "cuda:1"), (two.id, "cuda:0"), (three.id, "cuda:0")]
    assert times(two)[0] < times(one)[1]
    assert times(three)[0] >= times(two)[1]


def test_a_run_that_waits_for_its_device_lets_others_pass(home: Home, started: list[tuple[str, str]]) -> None:
    machine = [device("cuda:0"), CPU]
    one, two, three = (waiting(home, "finish 0.2", on) for on in ("cuda:0", "cuda:0", "cpu"))
    to_the_end(Runner(home, lambda: machine))
    assert started == [(one.id, "cuda:0"), (three.id, "cpu"), (two.id, "cuda:0")]


def test_a_device_is_shared_only_when_asked(home: Home, started: list[tuple[str, str]]) -> None:
    one, shares, third = waiting(home, "finish 1"), waiting(home, "finish 1", share=True), waiting(home, "finish 0")
    to_the_end(Runner(home, lambda: [CPU]))
    assert times(shares)[0] < times(one)[1]
    assert times(third)[0] >= max(times(one)[1], times(shares)[1])


@pytest.mark.parametrize(
    ("wanted", "share", "busy", "chosen"),
    [
        ("auto", False, [], "cuda:1"),  # the one with the most free memory
        ("auto", False, ["cuda:1"], "cuda:0"),
        ("auto", False, ["cuda:1", "cuda:0"], None),  # the CPU is no substitute for a GPU
        ("auto", True, ["cuda:1", "cuda:0"], "cuda:1"),
        ("cpu", False, ["cuda:1"], "cpu"),
        ("cuda:0", False, ["cuda:0"], None),
        ("cuda:0", True, ["cuda:0"], "cuda:0"),
    ],
)
def test_the_device_of_a_run(wanted: str, share: bool, busy: list[str], chosen: str | None) -> None:
    machine = [device("cuda:0", free=5), device("cuda:1", free=9), device("cuda:2", free=10, usable=False), CPU]
    assert free_device(wanted, share, machine, busy) == chosen


def test_a_gpu_that_torch_cannot_use_leaves_the_cpu() -> None:
    machine = [device("cuda:0", usable=False, note="torch is a CPU build."), CPU]
    assert free_device("auto", False, machine, []) == "cpu"
    with pytest.raises(Trouble, match="torch is a CPU build"):
        free_device("cuda:0", False, machine, [])
    with pytest.raises(Trouble, match="It has cuda:0, cpu"):
        free_device("mps", False, machine, [])


# --- killed runners ---------------------------------------------------------------------------------------------------


def test_an_engine_outlives_its_killed_runner_and_the_next_adopts_it(
    home: Home, started: list[tuple[str, str]], runner_process: Callable[[], subprocess.Popen[bytes]]
) -> None:
    run, after = waiting(home, "finish 2"), waiting(home, "finish 0")
    first = runner_process()
    until(lambda: run.history().engine)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert run.state() is State.RUNNING
    runner = Runner(home, lambda: [CPU])
    assert list(runner.alive) == [run.id]
    runner.tick()
    assert started == []  # not a second engine, and the device is not free
    to_the_end(runner)
    assert started == [(after.id, "cpu")]
    assert (run.state(), run.history().attempts) == (State.FINISHED, 1)
    assert times(after)[0] >= times(run)[1]


def test_an_engine_that_comes_up_after_its_runner_was_killed_keeps_its_device(
    home: Home, started: list[tuple[str, str]]
) -> None:
    run, after = waiting(home, "late 1"), waiting(home, "finish 0")
    orphan = fake_engine(run)  # a runner started it, and was killed before the engine took its lock
    time.sleep(0.3)
    runner = Runner(home, lambda: [CPU])
    to_the_end(runner)  # starts a second engine, which finds the lock held and leaves
    orphan.wait(10)
    assert (run.state(), run.history().attempts) == (State.FINISHED, 1)
    assert times(after)[0] >= times(run)[1]


def test_a_run_that_an_unseen_engine_takes_from_the_queue_is_adopted(
    home: Home, started: list[tuple[str, str]]
) -> None:
    blocker = waiting(home, "finish 0.5")
    runner = Runner(home, lambda: [CPU])
    until(lambda: blocker.history().engine, runner)
    run, after = waiting(home, "finish 1", share=False), waiting(home, "finish 0")
    runner.tick()
    orphan = fake_engine(run)
    to_the_end(runner)
    assert orphan.wait(10) == 0
    assert run.history().attempts == 1
    assert times(after)[0] >= times(run)[1]


def test_two_runners_of_one_data_folder_settle_who_serves(
    home: Home, runner_process: Callable[[], subprocess.Popen[bytes]]
) -> None:
    run = waiting(home, "finish 6")
    both = [runner_process(), runner_process()]
    until(lambda: any(process.poll() is not None for process in both))
    idle, serving = sorted(both, key=lambda process: process.poll() is None)
    assert idle.returncode == 0
    assert serving.poll() is None
    assert run.state() in (State.RUNNING, State.QUEUED)
    assert serving.wait(20) == 0
    assert (run.state(), run.history().attempts) == (State.FINISHED, 1)


def test_a_run_queued_at_the_runners_last_moment_is_not_forgotten(
    home: Home, started: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[RunFolder] = []

    class LastMoment(Runner):
        def tick(self) -> bool:
            goes_on = super().tick()
            if not goes_on and not late:
                late.append(waiting(home, "finish 0"))
                ensure_runner(home)  # sees a held lock, and leaves it to the runner that is about to go
            return goes_on

    monkeypatch.setattr(module, "Runner", LastMoment)
    monkeypatch.setattr(module, "start_detached", lambda *_: pytest.fail("a second runner"))
    assert serve(home) == 0
    assert late[0].state() is State.FINISHED


def test_a_killed_engine_is_a_crash_that_can_be_resumed(home: Home, started: list[tuple[str, str]]) -> None:
    run = waiting(home, "finish 0.3")
    runner = Runner(home, lambda: [CPU])
    until(lambda: run.history().engine, runner)
    engine = run.history().engine
    assert engine is not None
    os.kill(engine.pid, signal.SIGKILL)
    to_the_end(runner)
    assert run.state() is State.CRASHED
    runs.resume(home, run)
    to_the_end(runner)
    assert run.state() is State.FINISHED


def test_a_discarded_run_is_gone_and_the_next_one_starts(home: Home, started: list[tuple[str, str]]) -> None:
    run, after = waiting(home, "finish 20"), waiting(home, "finish 0")
    runner = Runner(home, lambda: [CPU])
    until(lambda: run.history().engine, runner)
    runs.discard(run)
    assert not run.path.exists()
    to_the_end(runner)
    assert after.state() is State.FINISHED
    assert [each.id for each in runs.all_runs(home)] == [after.id]


def test_a_run_discarded_while_its_engine_comes_up_leaves_no_trace_in_the_list(
    home: Home, started: list[tuple[str, str]]
) -> None:
    run = waiting(home, "late 0")
    runner = Runner(home, lambda: [CPU])
    runner.tick()
    runs.discard(run)
    to_the_end(runner)
    assert list(runs.all_runs(home)) == []


def test_a_wish_to_discard_that_nobody_waited_for_is_carried_out(home: Home) -> None:
    run = waiting(home, "finish 0")
    runs.unqueue(run)
    with FileLock(run.lock_file, is_singleton=False):
        with JournalWriter(run.journal) as journal:
            journal.append(ev.RunStarted("cpu", 1, 0.0))
        runner = Runner(home, lambda: [CPU])
        assert list(runner.alive) == [run.id]
        run.stop_request.write_text(runs.DISCARD)
    to_the_end(runner)
    assert not run.path.exists()


# --- real processes ---------------------------------------------------------------------------------------------------


def test_the_runner_is_started_detached_from_whoever_needs_it_and_ends_by_itself(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "core").mkdir()  # a folder of the user's that happens to have our name
    (tmp_path / "core" / "__init__.py").write_text("raise SystemExit('the wrong core')")
    monkeypatch.chdir(tmp_path)
    run = waiting(home, "finish 0", on="cuda:99")  # refused without an engine
    ensure_runner(home)
    until(lambda: run.history().failure, seconds=30)
    until(lambda: not runs.is_locked(home.runner_lock))
    assert "no device cuda:99" in str(run.history().failure)
    assert "is up" in home.runner_log.read_text(encoding="utf-8")


def test_a_runner_that_has_let_go_and_still_lives_is_not_taken_for_one_to_come(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has looked at the queue for the last time: a run queued now would wait for ever."""
    leaving = tmp_path / "leaving.py"
    leaving.write_text(
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from core.home import Home\n"
        "from core.runner import serve\n"
        "home = Home(Path(sys.argv[1]))\n"
        "serve(home)\n"
        "home.root.joinpath('let go').touch()\n"
        "time.sleep(0.5)\n"  # what its interpreter takes to end, made longer
    )
    begin = module.start_detached

    def first_leaves_slowly(words: list[str], *rest: Any) -> subprocess.Popen[bytes]:
        monkeypatch.setattr(module, "start_detached", begin)
        with home.runner_log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, leaving, words[1]], env=module.process_environment(), stderr=output
            )

    monkeypatch.setattr(module, "start_detached", first_leaves_slowly)
    ensure_runner(home)
    until(lambda: home.root.joinpath("let go").exists(), seconds=30)
    run = waiting(home, "finish 0", on="cuda:99")  # refused without an engine
    ensure_runner(home)
    until(lambda: run.history().failure, seconds=30)
    until(lambda: not runs.is_locked(home.runner_lock))


def test_several_who_need_a_runner_at_once_start_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    takes_its_time = (
        "import sys, time; from filelock import FileLock; time.sleep(0.3); "
        "lock = FileLock(sys.argv[1]); lock.acquire(); time.sleep(60)"
    )
    begun = []

    def start(words: list[str], log: Path) -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen([sys.executable, "-c", takes_its_time, home.runner_lock, *words]))
        return begun[-1]

    monkeypatch.setattr(module, "start_detached", start)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: ensure_runner(home), range(4)))
        assert len(begun) == 1
    finally:
        for process in begun:
            process.kill()
            process.wait()


def test_a_runner_that_cannot_be_started_is_a_trouble(home: Home) -> None:
    home.runner_log.mkdir()
    with pytest.raises(Trouble, match="can't be started"):
        ensure_runner(home)


def test_a_folder_that_cannot_be_read_holds_up_no_other_run(
    home: Home, started: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ill, well = waiting(home, "finish 0"), waiting(home, "finish 0")
    runs.unqueue(ill)
    look = RunFolder.lock_held

    def lock_held(run: RunFolder) -> bool:
        if run.id == ill.id:
            raise PermissionError(13, "Permission denied", str(run.lock_file))
        return look(run)

    monkeypatch.setattr(RunFolder, "lock_held", lock_held)
    to_the_end(Runner(home, lambda: [CPU]))
    assert started == [(well.id, "cpu")]
    assert well.history().said is State.FINISHED
