"""The window without a screen, in a data folder of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from filelock import FileLock
from made_up import Alive
from made_up import fake_run as make_run
from PySide6.QtWidgets import QApplication
from watchdog import WatchedApplication

from core.home import Home
from core.runs import RunFolder
from desktop_app import theme
from desktop_app.context import Context


@pytest.fixture(scope="session")
def qapp_cls() -> type[QApplication]:
    return WatchedApplication


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A data folder whose path has a space and a letter beyond ASCII, and no models but the sample's."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return Home.find(tmp_path / "Daten Ordner ü")


@pytest.fixture
def context(home: Home, qapp: QApplication) -> Iterator[Context]:
    theme.apply(qapp, "light")
    made = Context(home)
    yield made
    made.live.stop()


@pytest.fixture
def fake_run(home: Home) -> Iterator[Callable[..., RunFolder]]:
    """Makes run folders; while one of them waits, no runner takes it up."""
    runner = FileLock(home.runner_lock, is_singleton=False)

    def make(where: Home, **fields: Any) -> RunFolder:
        if fields.get("state") == "queued" and not runner.is_locked:
            runner.acquire(timeout=5)
        return make_run(where, **fields)

    yield make
    runner.release()


@pytest.fixture
def alive(home: Home) -> Iterator[Callable[..., Alive]]:
    """Makes runs that are alive until the test ends."""
    made: list[Alive] = []

    def make(**fields: Any) -> Alive:
        made.append(Alive(home, **fields))
        return made[-1]

    yield make
    for one in made:
        one.release()
