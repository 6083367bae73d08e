"""Every page can be read, heard and reached: nothing is cut off, everything has a name, the keyboard comes everywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from looking import cut_off, nameless, unreachable
from made_up import Alive, a_model
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from core.home import Home
from core.runs import RunFolder
from desktop_app import theme
from desktop_app.context import Wish
from desktop_app.plan.page import PlanPage
from desktop_app.shell.window import PLACES, Window

LONG = (
    "a student of a very long name that somebody gave it to tell it from all the others of that same night, number 17"
)
ARABIC = "نموذج صغير لرواية القصص"


@pytest.fixture
def full(home: Home, fake_run: Callable[..., RunFolder], alive: Callable[..., Alive]) -> dict[str, dict[str, object]]:
    """Something to show on every page, with long and right-to-left names; what to open on each."""
    shelf = home.root.parent / "models"
    teacher = a_model(shelf / "stories teacher ü")
    broken = a_model(shelf / LONG)
    (broken / "model.safetensors").write_bytes(b"torn")
    finished = fake_run(home, name=LONG, teacher=str(teacher), tags=("night", ARABIC))
    fake_run(home, name=ARABIC, state="failed", steps=7)
    fake_run(home, name="later", state="queued")
    alive(name="now", steps=40, planned=400)
    return {
        "runs": {"run": finished.id},
        "models": {"model": teacher},
        "plan": {},
        "chat": {},
        "settings": {},
        "welcome": {},
    }


def test_turning_dark_and_light_again_leaves_no_text_in_the_other_ink(
    home: Home, qtbot: QtBot, qapp: QApplication, fake_run: Callable[..., RunFolder]
) -> None:
    run = fake_run(home)  # the first test of the file: a change of the theme dresses the windows of all tests before
    theme.apply(qapp, "light")
    window = Window(home)
    window.open(Wish("runs", {"run": run.id}))
    window.show()
    window.context.live.start()
    qtbot.waitUntil(lambda: run.id in window.context.live.pictures, timeout=10_000)
    for scheme, ink in (("dark", theme.DARK.ink), ("light", theme.LIGHT.ink), ("dark", theme.DARK.ink)):
        theme.apply(qapp, scheme)  # type: ignore[arg-type]
        qtbot.wait(50)
        inks = {label.palette().windowText().color().name().upper() for label in window.findChildren(QLabel)}
        other = (theme.LIGHT if scheme == "dark" else theme.DARK).ink
        assert ink in inks
        assert other not in inks
    theme.apply(qapp, "light")
    window.close()


@pytest.mark.parametrize(
    "direction", [Qt.LayoutDirection.LeftToRight, Qt.LayoutDirection.RightToLeft], ids=["ltr", "rtl"]
)
@pytest.mark.parametrize("name", list(PLACES))
def test_a_page_in_full_can_be_read_heard_and_reached(
    home: Home,
    qtbot: QtBot,
    qapp: QApplication,
    full: dict[str, dict[str, object]],
    name: str,
    direction: Qt.LayoutDirection,
) -> None:
    theme.apply(qapp, "light")
    qapp.setLayoutDirection(direction)
    window = Window(home)
    try:
        window.resize(1280, 800)
        window.context.shelf.add(home.root.parent / "models")
        window.context.live.start()
        window.show()
        qtbot.waitUntil(lambda: window.context.shelf.loaded and len(window.context.live.rows) == 4, timeout=20_000)
        window.open(Wish(name, full.get(name, {})))
        page = window.page()
        if isinstance(page, PlanPage):  # laid out anew when its plan is there
            qtbot.waitUntil(lambda: page._planned is not None and not page._to_show, timeout=20_000)
        qtbot.wait(700)
        assert cut_off(window) == []
        assert nameless(window) == []
        assert unreachable(window) == []
    finally:
        qapp.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        window.context.settings.on_close = "keep"
        window.close()
