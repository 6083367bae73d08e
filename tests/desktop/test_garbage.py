"""Widgets in reference cycles are taken apart in the window's thread, whatever other threads do."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QThread
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from desktop_app import garbage as module
from desktop_app.garbage import GarbageCollector


@pytest.fixture
def garbage(qapp: QApplication) -> Iterator[GarbageCollector]:
    yield GarbageCollector()
    gc.unfreeze()
    gc.enable()


class Knot:
    """A cycle that notes where it was taken apart."""

    gone: list[threading.Thread] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.self = self
        self.button = QPushButton()

    def __del__(self) -> None:
        self.gone.append(threading.current_thread())


def test_a_thread_that_makes_many_objects_takes_no_widget_apart(garbage: GarbageCollector, qtbot: QtBot) -> None:
    Knot.gone.clear()
    assert QThread.currentThread() is garbage.thread()
    assert not gc.isenabled()
    for _ in range(20):
        Knot()
    kept: list[list[int]] = []
    elsewhere = threading.Thread(target=lambda: kept.extend([number] for number in range(200_000)))
    elsewhere.start()
    elsewhere.join()
    assert Knot.gone == []
    qtbot.waitUntil(lambda: len(Knot.gone) == 20, timeout=10_000)
    assert set(Knot.gone) == {threading.main_thread()}


def test_what_is_old_is_looked_through_seldom(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module.gc, "get_count", lambda: (10**6, 100, 100))
    monkeypatch.setattr(module.gc, "collect", lambda generation: asked.append(generation) or 0)
    monkeypatch.setattr(module.gc, "freeze", lambda: None)
    monkeypatch.setattr(module.gc, "disable", lambda: None)
    collector = GarbageCollector()
    for clock[0] in (101.0, 121.0, 122.0, 142.0):
        collector.look()
    assert asked == [1, 2, 1, 2]
    monkeypatch.setattr(module.gc, "get_count", lambda: (10**6, 0, 0))
    collector.look()
    monkeypatch.setattr(module.gc, "get_count", lambda: (0, 0, 0))
    collector.look()
    assert asked[4:] == [0]
    collector.deleteLater()
