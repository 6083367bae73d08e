"""Fixtures of the engine's tests: one tiny teacher and one text for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny import finished, put_back, tiny_recipe, write_data, write_teacher

from core.home import Home
from core.runs import RunFolder


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny models are slower on two threads, and sums come out the same in every process."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("models") / "tiny-teacher")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("text") / "stories.txt")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, teacher: Path, data: Path) -> RunFolder:
    """The default run, never interrupted: what every interrupted one must come to."""
    with put_back():
        return finished(Home.find(tmp_path_factory.mktemp("whole")), tiny_recipe(teacher, data))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.find(tmp_path / "home")


@pytest.fixture
def in_process() -> Iterator[None]:
    with put_back():
        yield
