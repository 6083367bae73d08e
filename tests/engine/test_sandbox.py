"""Programs that a model wrote end in time, write nothing outside, and see nothing of the user's environment."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.engine import sandbox
from core.engine.evaluation.code import CodeEval, pass_at
from core.engine.sandbox import guards, guards_text, run_program

posix = pytest.mark.skipif(os.name != "posix", reason="limits are the system's own only on POSIX")


def test_a_program_passes_if_it_ends_without_an_error() -> None:
    assert run_program("assert 1 + 1 == 2\nprint('done')").passed
    wrong = run_program("def f(x):\n    return x\nassert f(1) == 2, 'not two'")
    assert not wrong.passed
    assert wrong.why == "AssertionError: not two"
    assert not run_program("def f(:").passed
    assert not run_program("import sys; sys.exit(3)").passed


def test_an_endless_loop_ends_with_its_time() -> None:
    begun = time.monotonic()
    outcome = run_program("while True: pass", seconds=0.5)
    assert not outcome.passed
    assert "0.5 s" in outcome.why
    assert time.monotonic() - begun < 5


@posix
def test_children_end_with_the_program(tmp_path) -> None:
    marker = tmp_path / "alive"
    child = f"import time\nfor _ in range(40):\n    open({str(marker)!r}, 'a').write('x'); time.sleep(0.05)"
    run_program(
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(30)",
        seconds=1.0,
    )
    size = marker.stat().st_size if marker.exists() else 0
    time.sleep(0.4)
    assert (marker.stat().st_size if marker.exists() else 0) == size


@posix
def test_memory_files_and_handles_are_limited() -> None:
    assert "MemoryError" in run_program("x = bytearray(3 << 30)").why
    big = run_program("f = open('big', 'wb')\nfor _ in range(64): f.write(b'x' * (1 << 20))\nf.close()", seconds=10)
    assert not big.passed
    assert "Too many open files" in run_program("kept = [open('f', 'w') for _ in range(200)]").why


def test_the_folder_is_empty_and_goes_away_and_the_environment_is_bare(monkeypatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    program = (
        "import os, sys\nassert os.listdir('.') == [], os.listdir('.')\nopen('mine', 'w').write('x')\n"
        "assert 'SECRET_TOKEN' not in os.environ\nassert sys.stdin.read() == ''\nassert os.path.expanduser('~') == os.getcwd()\n"
        "print(os.getcwd())"
    )
    outcome = run_program(program)
    assert outcome.passed, outcome.shown
    assert not Path(outcome.shown.strip()).exists()


@pytest.mark.skipif(not guards()["no network"], reason="this system lets no process give up its network")
def test_there_is_no_network() -> None:
    program = "import socket\ns = socket.socket(); s.settimeout(1)\ns.connect(('127.0.0.1', {}))"
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        outcome = run_program(program.format(server.getsockname()[1]))
    assert not outcome.passed


def test_what_is_not_guarded_is_said() -> None:
    assert not guards()["no reading of the user's files"]
    assert "Not guarded here" in guards_text()
    assert all(name in guards_text() for name in guards())


def test_without_unshare_it_says_so_and_still_runs(monkeypatch) -> None:
    monkeypatch.setattr(sandbox, "_unshare", list)
    assert not guards()["no network"]
    assert run_program("pass").passed


def test_a_stop_request_ends_a_program() -> None:
    class Stopped(Exception):
        pass

    def pause() -> None:
        raise Stopped

    begun = time.monotonic()
    with pytest.raises(Stopped):
        run_program("import time; time.sleep(60)", seconds=60, pause=pause)
    assert time.monotonic() - begun < 10


def test_pass_at_k_is_the_published_estimate() -> None:
    # drawing 2 of 5 of which 2 pass: 1 − C(3, 2)/C(5, 2)
    assert pass_at(5, 2, 2) == pytest.approx(1 - 3 / 10)
    assert pass_at(3, 3, 1) == 1
    assert pass_at(3, 0, 3) == 0


def test_the_metric_says_how_each_candidate_ended() -> None:
    metric = CodeEval()
    candidates = [["def add(a, b): return a + b", "def add(a, b): return a * b"], ["def add(a, b): return 0"] * 2]
    rates, details = metric.compute(["assert add(2, 3) == 5"] * 2, candidates, k=[1, 2])
    assert rates == {"pass@1": 0.25, "pass@2": 0.5}
    assert [each["passed"] for _, each in details[0]] == [True, False]
    assert metric.failures == {"AssertionError": 3}
