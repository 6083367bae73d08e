"""The report tells what is needed to help, and nothing personal unless it is agreed to."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from core.home import Home
from core.runs import RunFolder
from desktop_app.context import Context
from desktop_app.shell import report


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody called liesel at the computer kitchen."""
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "liesel"))
    monkeypatch.setattr(getpass, "getuser", lambda: "liesel")
    monkeypatch.setattr(socket, "gethostname", lambda: "kitchen.example.org")
    return tmp_path / "home" / "liesel"


def test_versions_hardware_settings_and_disk_use_are_told(context: Context) -> None:
    told = report.text(context)
    for part in ("Stillroom 0.", "Python 3.", "Qt 6.", "torch ", "cpu: ", "theme: system", "runs: 0", "trash: 0 B"):
        assert part in told


def test_a_failed_run_is_told_with_its_reason_and_the_end_of_its_log(
    context: Context, home: Home, fake_run: Callable[..., RunFolder]
) -> None:
    run = fake_run(home, state="failed", steps=7)
    run.log.write_text("".join(f"line {number}\n" for number in range(1, 1001)))
    told = report.text(context, run.id)
    failure = run.history().failure
    assert failure is not None
    assert failure.what in told
    assert "line 1000\n" in told
    assert "line 941\n" in told
    assert "line 940\n" not in told


def test_no_personal_path_and_no_name_without_leave(
    context: Context, home: Home, person: Path, fake_run: Callable[..., RunFolder]
) -> None:
    run = fake_run(home, state="failed", steps=3, teacher="/mnt/acme/secret plans/model")
    lines = [
        f'  File "{person}/work/train.py", line 3',
        "loading /mnt/acme/secret/model-7b",
        "Liesel@kitchen said: kitchenware",
        f"in {home.root}/runs/{run.id}",
        r"and C:\Users\somebody\model",
        "token hf_abcdefghijklmnopqrstuvwxyz",
        "from /usr/lib/python3/x.py",
    ]
    run.log.write_text("\n".join(lines))
    told = report.text(context, run.id)
    assert '  File "~/work/train.py", line 3' in told
    assert "loading …/model-7b" in told
    assert "<user>@<host> said: kitchenware" in told
    assert f"in <data>/runs/{run.id}" in told
    assert "and …/model\n" in told
    assert "token <token>" in told
    assert "from /usr/lib/python3/x.py" in told
    for secret in ("liesel", "acme", "somebody", str(home.root), str(person)):
        assert secret not in told.lower()
    kept = report.text(context, run.id, with_paths=True)
    assert str(person) in kept
    assert "/mnt/acme/secret/model-7b" in kept
    assert "hf_abc" not in kept


def test_a_run_that_is_gone_or_unreadable_still_gives_a_report(context: Context, home: Home) -> None:
    assert "There is no run nobody" in report.text(context, "nobody")
    broken = home.runs / "20260101-000000-broken"
    broken.mkdir()
    (broken / "recipe.json").write_text("{")
    (broken / "events.jsonl").write_bytes(b"\xff\xfe not json\n")
    assert "Run 20260101-000000-broken" in report.text(context, broken.name)
