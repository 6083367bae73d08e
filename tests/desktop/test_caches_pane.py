"""Cached answers on the Models page: what is there, what can't be used and why, used in a plan, deleted after a question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from looking import cut_off, nameless, unreachable
from made_up import Alive
from made_up_lessons import a_cache, lesson_run
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from core import events as ev
from core.cache import holding
from core.distill import DistillRecipe
from core.home import Home
from desktop_app.context import Context, Message, Wish
from desktop_app.models.caches_table import STATE
from desktop_app.models.page import ModelsPage


class Bench:
    """A Models page at its caches, with what it said and wished."""

    def __init__(self, context: Context, qtbot: QtBot) -> None:
        self.context, self.qtbot = context, qtbot
        self.said: list[Message] = []
        self.wishes: list[Wish] = []
        context.said.connect(self.said.append)
        context.wished.connect(self.wishes.append)
        self.page = ModelsPage(context)
        qtbot.addWidget(self.page)
        self.page.resize(1200, 720)
        self.page.show()
        self.page.opened()
        self.pane = self.page.caches
        with qtbot.waitSignal(self.pane.looked):
            self.click(self.page.areas.option("caches"))

    def click(self, button: QAbstractButton) -> None:
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def until(self, true: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(true, timeout=15_000)

    def names(self) -> list[str]:
        return [self.pane.order.index(row, 0).data() for row in range(self.pane.order.rowCount())]

    def answer(self, text: str) -> str:
        self.until(lambda: self.pane.question is not None)
        box = self.pane.question
        assert box is not None
        asked = f"{box.text()}\n{box.informativeText()}"
        self.click(next(one for one in box.buttons() if one.text() == text))
        return asked


def test_without_caches_the_page_says_what_they_are_for(context: Context, qtbot: QtBot) -> None:
    bench = Bench(context, qtbot)
    assert bench.pane.empty.title.text() == "No cached answers yet."
    assert "The teacher reads it once" in bench.pane.empty.words.text()
    assert not bench.page.add.isVisible()
    bench.pane.empty.acted.emit("plan")
    assert bench.wishes == [Wish("plan", {})]


def test_caches_are_listed_the_newest_first_and_one_is_used_in_a_plan(home: Home, context: Context, qtbot: QtBot) -> None:  # fmt: skip
    a_cache(home, "older", created=1.0e9)
    folder = a_cache(home, "newer", created=1.6e9, temperature=2.0, top_k=64)
    bench = Bench(context, qtbot)
    assert bench.names() == ["newer", "older"]
    row = [bench.pane.order.index(0, column).data() for column in range(6)]
    assert row == ["newer", "stories-5M", "stories.txt", "251K", "26 kB", "top 64"]
    assert "99.31% of what the teacher says. Made at temperature 2." in bench.pane.about.text()
    assert cut_off(bench.page) == nameless(bench.page) == unreachable(bench.page) == []
    bench.click(bench.pane.buttons["caches.use"])
    recipe = bench.wishes[-1].what["recipe"]
    assert isinstance(recipe, DistillRecipe)
    assert recipe.teacher == "/models/stories-5M"
    assert (recipe.source, recipe.cache, recipe.top_k, recipe.temperature) == ("cache", str(folder), 64, 2.0)
    assert recipe.tokens == 251_000
    bench.page.show_area("models")
    assert bench.page.add.isVisible()


def test_what_can_not_be_used_says_why(home: Home, context: Context, qtbot: QtBot) -> None:
    torn, begun = a_cache(home, "torn", whole=False), a_cache(home, "begun", finished=False)
    bench = Bench(context, qtbot)
    bench.pane.pick(torn)
    assert "part-00000.bin is missing or not whole" in bench.pane.about.text()
    assert "not whole" in bench.pane.buttons["caches.use"].toolTip()
    assert bench.pane.table.currentIndex().siblingAtColumn(STATE).data() == "Broken"
    bench.pane.pick(begun)
    assert "was interrupted, and can be resumed" in bench.pane.about.text()
    assert not bench.pane.buttons["caches.use"].isEnabled()
    with holding(begun):
        bench.pane.refresh()
        bench.until(lambda: "being made now" in bench.pane.about.text())
        bench.click(bench.pane.buttons["caches.delete"])
        bench.answer("Delete")
        bench.until(lambda: any("being made by another run" in message.text for message in bench.said))
    assert begun.is_dir()


def test_deleting_asks_first_and_names_who_needs_it(home: Home, context: Context, qtbot: QtBot) -> None:
    folder = a_cache(home, "answers")
    lesson_run(home, name="half done", steps=5, state="stopped", source="cache", cache_folder=str(folder))
    bench = Bench(context, qtbot)
    bench.click(bench.pane.buttons["caches.delete"])
    asked = bench.answer("Keep")
    assert "Frees 26 kB" in asked
    assert "could not go on without it: half done" in asked
    assert folder.is_dir()
    bench.click(bench.pane.buttons["caches.delete"])
    bench.answer("Delete")
    bench.until(lambda: bench.pane.pages.currentIndex() == 0)
    assert not folder.exists()
    assert "answers is deleted; 26 kB are free." in bench.said[-1].text


def test_answers_that_a_living_run_reads_are_not_deleted(
    home: Home, context: Context, qtbot: QtBot, alive: Callable[..., Alive]
) -> None:
    folder = a_cache(home, "answers")
    living = alive(name="at work", source="cache", steps=3)
    living.journal.append(ev.ChoiceMade("cache", str(folder), "these answers were kept before"))
    bench = Bench(context, qtbot)
    bench.click(bench.pane.buttons["caches.delete"])
    bench.until(lambda: bool(bench.said))
    assert "at work is learning from these answers" in bench.said[-1].text
    assert folder.is_dir()


def test_the_page_opens_at_a_cache(home: Home, context: Context, qtbot: QtBot) -> None:
    a_cache(home, "a", created=2.0)
    wanted = a_cache(home, "b", created=1.0)
    bench = Bench(context, qtbot)
    bench.page.show_area("models")
    bench.page.opened(cache=wanted)
    bench.until(lambda: (info := bench.pane.picked()) is not None and info.folder == wanted)
    assert bench.pane.isVisible()


def test_caches_that_can_not_be_read_are_said(
    home: Home, context: Context, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(context, qtbot)

    def refused(_: Home) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(home.caches))

    monkeypatch.setattr("desktop_app.models.caches.caches", refused)
    bench.pane.refresh()
    bench.until(lambda: bench.pane.empty.title.text() == "The caches can't be read.")
    assert "Permission denied" in bench.pane.empty.words.text()
    monkeypatch.undo()
    bench.pane.empty.acted.emit("look")
    bench.until(lambda: bench.pane.empty.title.text() == "No cached answers yet.")
