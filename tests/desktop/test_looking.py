"""Every page can be read, heard and reached: nothing is cut off, everything has a name, the keyboard comes everywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from looking import cut_off, nameless, unreachable
from made_up import Alive, a_model
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.home import Home
from core.runs import RunFolder
from desktop_app import theme
from desktop_app.context import Wish
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
    return {"runs": {"run": finished.id}, "models": {"model": teacher}, "plan": {}, "settings": {}, "welcome": {}}


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
        window.open(Wish(name, full[name]))
        qtbot.wait(700)
        assert cut_off(window) == []
        assert nameless(window) == []
        assert unreachable(window) == []
    finally:
        qapp.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        window.context.settings.on_close = "keep"
        window.close()
