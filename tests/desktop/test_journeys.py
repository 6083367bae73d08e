"""Whole journeys, by clicking real widgets, against real engine processes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core import runs
from core.home import Home
from core.runs import RunFolder
from core.state import State
from desktop_app import theme
from desktop_app.compare.page import ComparePage
from desktop_app.context import Wish
from desktop_app.plan.page import PlanPage
from desktop_app.runs.page import RunsPage
from desktop_app.shell.window import Window
from desktop_app.welcome import WelcomePage

pytestmark = pytest.mark.slow
PATIENCE_MS = 180_000


@pytest.fixture
def open_window(home: Home, qapp: QApplication) -> Iterator[Callable[[], Window]]:
    """Opens the window on the data folder as a start of the program would; runs that still live at the end are ended."""
    theme.apply(qapp, "light")
    made: list[Window] = []

    def make() -> Window:
        window = Window(home)
        window.context.settings.on_close = "keep"
        window.open_first()
        window.show()
        window.context.live.start()
        window.context.shelf.refresh()
        made.append(window)
        return window

    yield make
    for window in made:
        window.close()
    for run in list(runs.all_runs(home)):
        if run.lock_held() or run.position() is not None:
            runs.discard(run)


def only_run(home: Home) -> RunFolder:
    (run,) = runs.all_runs(home)
    return run


def test_from_a_recipe_over_the_button_to_a_finished_student(
    open_window: Callable[[], Window], qtbot: QtBot, home: Home, tmp_path: Path
) -> None:
    from tests.engine.tiny import tiny_recipe, write_data, write_teacher

    recipe = tiny_recipe(write_teacher(tmp_path / "teacher"), write_data(tmp_path / "stories.txt"))
    window = open_window()
    window.open(Wish("plan", {"recipe": recipe}))
    plan = window.page()
    assert isinstance(plan, PlanPage)
    qtbot.waitUntil(lambda: plan.start.isEnabled() and plan.start.text().startswith("Distill"), timeout=20_000)
    qtbot.mouseClick(plan.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(window.page(), RunsPage), timeout=20_000)
    run = only_run(home)
    live = window.context.live
    qtbot.waitUntil(lambda: run.id in live.pictures and len(live.pictures[run.id].curves) > 0, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: run.state() is State.FINISHED, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: "finished" in window.bottom.text.whole(), timeout=10_000)
    assert [*live.pictures[run.id].curves.step] == [point.step for point in run.history().steps]
    student = run.artifacts / "student"
    window.context.shelf.refresh()
    qtbot.waitUntil(lambda: window.context.shelf.entry(student) is not None, timeout=10_000)
    window.open(Wish("plan", {"teacher": student}))
    qtbot.waitUntil(lambda: plan.draft().teacher == str(student), timeout=10_000)


def test_a_student_is_measured_as_it_goes_and_the_comparison_follows(
    open_window: Callable[[], Window], qtbot: QtBot, home: Home, tmp_path: Path
) -> None:
    from tests.engine.tiny import tiny_recipe, write_data, write_teacher

    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"sentence_good": "The dog sings.", "sentence_bad": "The dog sing."}\n' * 3)
    recipe = tiny_recipe(write_teacher(tmp_path / "teacher"), write_data(tmp_path / "stories.txt"))
    window = open_window()
    window.open(Wish("plan", {"recipe": recipe}))
    plan = window.page()
    assert isinstance(plan, PlanPage)
    qtbot.waitUntil(lambda: plan.start.isEnabled() and plan.start.text().startswith("Distill"), timeout=20_000)
    plan.form.go_to("measure_every")
    for name, text in (("measure_every", "10"), ("measure_pairs", str(pairs))):
        qtbot.keyClicks(plan.form.fields()[name].widget, text)
    qtbot.waitUntil(lambda: plan.start.isEnabled() and plan.start.text().startswith("Distill"), timeout=20_000)
    qtbot.mouseClick(plan.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(window.page(), RunsPage), timeout=20_000)
    card = window.page().detail.overview.measured  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: "first time at step 10" in card.line.text(), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: "2 times, last at step 12" in card.line.text(), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: bool(card.rows) and card.rows[0].change.text() != "", timeout=10_000)
    qtbot.mouseClick(card.compare, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(window.page(), ComparePage), timeout=10_000)
    table = window.page().scores.table.figures  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: any(column[0] == "minimal_pairs" for column in table.columns), timeout=20_000)


def test_the_sample_starts_from_the_welcome_page_and_survives_the_window(
    open_window: Callable[[], Window], qtbot: QtBot, home: Home
) -> None:
    window = open_window()
    welcome = window.page()
    assert isinstance(welcome, WelcomePage)
    qtbot.mouseClick(welcome.sample, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(window.page(), RunsPage), timeout=20_000)
    run = only_run(home)
    first = window.context.live
    qtbot.waitUntil(lambda: run.id in first.pictures and len(first.pictures[run.id].curves) > 2, timeout=PATIENCE_MS)
    seen = len(first.pictures[run.id].curves)
    window.close()
    qtbot.wait(500)
    assert run.state() is State.RUNNING  # closed, kept running

    again = open_window()
    assert isinstance(again.page(), RunsPage)  # the page that was open; nothing to greet any more
    qtbot.waitUntil(lambda: again.bottom.subject == run.id, timeout=10_000)
    second = again.context.live
    qtbot.waitUntil(lambda: run.id in second.pictures and len(second.pictures[run.id].curves) >= seen, timeout=20_000)
    steps = [*second.pictures[run.id].curves.step]
    assert steps == list(range(1, len(steps) + 1))  # adopted, with the curve whole
    qtbot.mouseClick(again.bottom.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: run.state() is State.STOPPED, timeout=PATIENCE_MS)
    assert run.history().checkpoint_step is not None


def test_a_window_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    from tests.bench.window_kills import loop

    report = loop(tmp_path, rounds=4, rng=random.Random(3))
    assert report["ok"], report
