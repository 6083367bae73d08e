"""Nothing that the user does, and nothing that runs report, keeps the window's thread for long.

Counted is the thread's own time, so that a busy machine does not fail the test; `python -m tests.bench.window` prints wall times.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

import psutil
import pytest
from made_up import Alive
from pytestqt.qtbot import QtBot
from watchdog import WatchedApplication

from core.home import Home
from core.runs import RunFolder
from desktop_app import theme
from desktop_app.context import Wish
from desktop_app.shell.window import Window

MOST_MS = 50.0
LIVE, RUNS, POINTS = 10, 200, 200_000


@pytest.mark.slow
def test_ten_live_runs_among_two_hundred_with_200_000_points_keep_the_window_free(
    home: Home,
    qtbot: QtBot,
    qapp: WatchedApplication,
    fake_run: Callable[..., RunFolder],
    alive: Callable[..., Alive],
) -> None:
    for number in range(RUNS - LIVE):
        fake_run(home, name=f"run {number}", steps=2, state=("finished", "failed", "stopped", "crashed")[number % 4])
    live = [
        alive(name=f"live {n}", steps=2, planned=POINTS // LIVE + 1000, many=POINTS // LIVE, seed=n)
        for n in range(LIVE)
    ]
    ids = [one.run.id for one in live]
    theme.apply(qapp, "light")
    window = Window(home)
    window.resize(1600, 1000)
    window.open(Wish("runs"))
    window.show()
    window.context.live.start()
    qtbot.waitUntil(lambda: len(window.context.live.rows) == RUNS, timeout=60_000)
    window.open(Wish("runs", {"runs": ids}))
    whole = POINTS // LIVE + 2
    pictures = window.context.live.pictures
    qtbot.waitUntil(lambda: all(run in pictures and len(pictures[run].curves) >= whole for run in ids), timeout=90_000)
    qtbot.wait(500)
    gc.collect()
    qapp.stays.clear()
    qapp.watching = True
    for _ in range(20):
        for one in live:
            one.step(2)
        qtbot.wait(150)
    qapp.watching = False
    assert all(len(pictures[run].curves) >= whole + 30 for run in ids)
    worst = qapp.worst()
    print(worst)
    window.context.settings.on_close = "keep"
    window.close()
    assert worst[0].busy_ms <= MOST_MS, worst


@pytest.mark.slow
def test_an_hour_of_a_live_run_leaves_memory_flat(
    home: Home, qtbot: QtBot, qapp: WatchedApplication, alive: Callable[..., Alive]
) -> None:
    """Ten points a second for an hour, compressed: after the first third, memory grows by little more than the points."""
    one = alive(name="long", steps=10, planned=40_000)
    theme.apply(qapp, "light")
    window = Window(home)
    window.open(Wish("runs", {"run": one.run.id}))
    window.show()
    window.context.live.start()
    process = psutil.Process()
    seen = []
    for third in range(3):
        for _ in range(24):
            one.step(500)
            qtbot.wait(30)
        points = 10 + 12_000 * (third + 1)
        qtbot.waitUntil(
            lambda points=points: len(window.context.live.pictures[one.run.id].curves) >= points, timeout=60_000
        )
        gc.collect()
        seen.append(process.memory_info().rss)
    window.context.settings.on_close = "keep"
    window.close()
    growth = seen[2] - seen[1]
    assert growth < 24e6, [size / 1e6 for size in seen]
