"""The frame of the window: pages, messages, the bar at the bottom, commands, closing and coming back."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_up import Alive
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot

from core.distill import DistillRecipe
from core.home import Home
from core.runs import RunFolder, unqueue
from desktop_app import theme
from desktop_app.application import arguments
from desktop_app.context import Wish
from desktop_app.shell.closing import ClosingQuestion
from desktop_app.shell.command_palette import CommandPalette
from desktop_app.shell.window import PLACES, Window

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def window(home: Home, qtbot: QtBot, qapp: QApplication) -> Iterator[Window]:
    theme.apply(qapp, "light")
    made = Window(home)
    made.open(Wish("settings"))
    made.show()
    made.context.live.start()
    yield made
    made.context.settings.on_close = "keep"
    made.close()


def test_the_bottom_bar_says_what_runs_and_stops_it(window: Window, qtbot: QtBot, alive: Callable[..., Alive]) -> None:
    one = alive(name="tonight", steps=40, planned=400)
    told = ("step 40/400", "tok/s", "left")
    qtbot.waitUntil(lambda: all(word in window.bottom.facts.text() for word in told))
    assert window.bottom.text.whole() == "Training · tonight"
    assert window.bottom.progress.value() == 100
    qtbot.mouseClick(window.bottom.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: one.run.stop_wish() == "keep")
    qtbot.waitUntil(lambda: window.bottom.text.whole() == "Stopping · tonight", timeout=5000)
    assert not window.bottom.button.isEnabled()


def test_what_waits_and_what_ended_are_told_when_nothing_runs(
    window: Window, qtbot: QtBot, fake_run: Callable[..., RunFolder]
) -> None:
    qtbot.waitUntil(lambda: window.context.live.loaded)
    assert window.bottom.text.whole() == "Nothing is running."
    assert not window.bottom.button.isVisible()
    fake_run(window.context.home, name="done", state="failed", steps=3)
    qtbot.waitUntil(lambda: window.bottom.text.whole() == "done · failed", timeout=5000)
    fake_run(window.context.home, name="later", state="queued")
    qtbot.waitUntil(lambda: window.bottom.text.whole() == "later waits for a free device", timeout=5000)


def test_a_runner_that_was_killed_while_runs_wait_is_replaced(
    window: Window, qtbot: QtBot, fake_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Home] = []
    monkeypatch.setattr("desktop_app.shell.window.ensure_runner", lambda home: bool(asked.append(home)))
    window._queue_care.setInterval(20)
    run = fake_run(window.context.home, name="later", state="queued")
    qtbot.waitUntil(lambda: len(asked) > 3, timeout=10_000)  # nothing in the list has changed meanwhile
    unqueue(run)
    qtbot.waitUntil(lambda: not window._queue_care.isActive(), timeout=10_000)


def test_a_runner_that_dies_at_once_is_not_started_for_ever(
    window: Window, qtbot: QtBot, fake_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Home] = []
    monkeypatch.setattr("desktop_app.shell.window.ensure_runner", lambda home: asked.append(home) is None)
    window._queue_care.setInterval(20)
    fake_run(window.context.home, name="later", state="queued")
    qtbot.waitUntil(lambda: "does not stay alive" in window.messages.text.text(), timeout=10_000)
    assert str(window.context.home.runner_log) in window.messages.text.text()
    assert not window._queue_care.isActive()
    assert len(asked) == 4


def test_a_run_that_ends_is_told_with_a_way_to_it(window: Window, qtbot: QtBot, alive: Callable[..., Alive]) -> None:
    one = alive(name="tonight", steps=4)
    qtbot.waitUntil(lambda: window.bottom.subject == one.run.id)
    one.finish()
    qtbot.waitUntil(lambda: window.messages.text.text() == "tonight has finished.", timeout=5000)
    assert window.messages.isVisible()
    qtbot.mouseClick(window.messages.action, Qt.MouseButton.LeftButton)
    assert not window.messages.isVisible()


def test_runs_that_ended_before_the_window_opened_are_no_news(
    window: Window, qtbot: QtBot, fake_run: Callable[..., RunFolder]
) -> None:
    fake_run(window.context.home)
    window.context.live.look()
    qtbot.waitUntil(lambda: len(window.context.live.rows) == 1)
    assert window.messages.current() is None


def test_a_message_that_stays_comes_back_after_a_passing_one(window: Window) -> None:
    window.context.say("The disk is full.", "error")
    window.context.say("Copied.", "good")
    assert window.messages.text.text() == "Copied."
    window.messages.close_button.click()
    assert window.messages.text.text() == "The disk is full."
    assert window.messages.report.isVisible()
    window.messages.close_button.click()
    assert not window.messages.isVisible()


def test_closing_with_a_living_run_asks_once_and_remembers(
    window: Window, qtbot: QtBot, alive: Callable[..., Alive]
) -> None:
    one = alive(name="tonight")
    qtbot.waitUntil(lambda: window.bottom.subject == one.run.id)
    _answer(window, lambda question: question.stay)
    window.close()
    assert window.isVisible()
    assert one.run.stop_wish() is None

    _answer(window, lambda question: question.stop, remember=True)
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=5000)
    assert one.run.stop_wish() == "keep"
    assert window.context.settings.on_close == "stop"


def test_stopping_on_closing_empties_the_queue_too_and_a_disk_that_refuses_keeps_the_window(
    window: Window,
    qtbot: QtBot,
    alive: Callable[..., Alive],
    fake_run: Callable[..., RunFolder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, waiting = alive(name="tonight"), fake_run(window.context.home, name="later", state="queued")
    qtbot.waitUntil(lambda: len(window.context.live.rows) == 2, timeout=5000)
    window.context.settings.on_close = "stop"
    with monkeypatch.context() as broken:
        broken.setattr(
            "core.runs.write_text", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device", "/d"))
        )
        window.close()
        qtbot.waitUntil(lambda: "No space left" in window.messages.text.text(), timeout=5000)
    assert window.isVisible()
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=5000)
    assert one.run.stop_wish() == "keep"
    assert waiting.position() is None  # nothing starts after the window has gone


def test_an_undo_outlives_the_next_message_and_has_a_key(window: Window, qtbot: QtBot) -> None:
    undone: list[bool] = []
    window.context.say("tonight is in the trash.", action_text="Undo", action=lambda: undone.append(True))
    window.context.say("Another has finished.", "good")
    window.messages.close_button.click()
    assert window.messages.text.text() == "tonight is in the trash."
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert undone == [True]
    assert not window.messages.isVisible()


def test_a_report_of_an_error_names_no_person_and_no_place(window: Window, qtbot: QtBot) -> None:
    window.bug(f"ValueError: {Path.home()}/secret/x.txt", f"File {Path.home()}/secret/x.py")
    qtbot.mouseClick(window.messages.report, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "clipboard" in window.messages.text.text(), timeout=10_000)
    copied = QApplication.clipboard().text()
    assert "ValueError: ~/secret/x.txt" in copied
    assert f"{Path.home()}/" not in copied


def test_kept_running_nothing_is_asked_of_the_run(window: Window, qtbot: QtBot, alive: Callable[..., Alive]) -> None:
    one = alive(name="tonight")
    qtbot.waitUntil(lambda: window.bottom.subject == one.run.id)
    _answer(window, lambda question: question.keep)
    window.close()
    assert not window.isVisible()
    assert one.run.stop_wish() is None
    assert window.context.settings.on_close == "ask"


def _answer(window: Window, choose: Callable[[ClosingQuestion], object], *, remember: bool = False) -> None:
    def press() -> None:
        question = next(one for one in window.findChildren(ClosingQuestion) if one.isVisible())
        assert question.checkBox() is not None
        question.checkBox().setChecked(remember)
        choose(question).click()  # type: ignore[attr-defined]

    QTimer.singleShot(100, press)


def test_the_palette_finds_a_command_by_its_words_and_runs_it(window: Window, qtbot: QtBot) -> None:
    window.open_palette()
    palette = window.findChild(CommandPalette)
    qtbot.keyClicks(palette.field, "sett open")
    assert palette.list.count() == 1
    window.context.settings.page = ""
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert window.context.settings.page == "settings"


def test_a_command_that_cannot_be_done_says_why(window: Window, qtbot: QtBot) -> None:
    window.open_palette()
    palette = window.findChild(CommandPalette)
    qtbot.keyClicks(palette.field, "stop and keep")
    assert "nothing is running" in palette.list.item(0).text()
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.isVisible()
    palette.reject()


def test_geometry_and_page_are_remembered(home: Home, qtbot: QtBot, qapp: QApplication) -> None:
    first = Window(home)
    first.open(Wish("settings"))
    first.show()
    first.resize(900, 655)
    first.context.settings.greeted = True
    first.close()
    second = Window(home)
    second.open_first()
    second.show()
    assert (second.width(), second.height()) == (900, 655)
    assert second.page() is not None
    assert second.page().name == "settings"
    second.close()


def test_a_bug_is_said_with_a_report_and_the_window_stays(window: Window) -> None:
    window.bug("ZeroDivisionError: division by zero", "Traceback …")
    assert "ZeroDivisionError" in window.messages.text.text()
    assert window.messages.report.isVisible()
    assert window.isVisible()


@pytest.mark.parametrize(
    ("argv", "is_window"),
    [
        ([], True),
        (["--home", "/d"], True),
        (["--quit-after-first-paint"], True),
        (["night.json"], True),
        (["plan"], False),
        (["--home", "/d", "runs"], False),
        (["--help"], False),
        (["--home"], False),
    ],
)
def test_commands_are_the_command_lines_and_the_rest_is_the_windows(argv: list[str], is_window: bool) -> None:
    assert (arguments(argv) is not None) is is_window


def test_the_window_opens_without_torch_and_says_so_by_its_modules(tmp_path: Path) -> None:
    code = """
import json, sys
from desktop_app import application
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox
from desktop_app.shell import window as w
from desktop_app.context import Wish
made = []
opened = w.Window.open_first
def all_pages(self):
    made.append(self)
    self.context.charts_ready = lambda: True
    for name in w.PLACES:
        self.open(Wish(name))
    QTimer.singleShot(1500, QApplication.quit)
w.Window.open_first = all_pages
application.run_window(sys.argv[1], quit_after_first_paint=False)
loaded = {name.split(".")[0] for name in sys.modules}
print(json.dumps(sorted(loaded & {"torch", "transformers", "datasets", "accelerate", "peft", "pandas"})))
print(json.dumps(sorted(made[0]._pages)))
"""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HF_HUB_CACHE": str(tmp_path / "hub")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "home")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heavy, pages = done.stdout.splitlines()[-2:]
    assert json.loads(heavy) == []
    assert json.loads(pages) == sorted(PLACES)


def test_without_a_screen_the_way_out_is_named(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    done = subprocess.run(
        [sys.executable, "-m", "desktop_app", "--home", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("only X11 and Wayland can be absent")
    assert done.returncode == 1
    assert "stillroom --help" in done.stderr


def test_a_library_of_a_newer_version_is_left_alone_and_said(home: Home, qtbot: QtBot, qapp: QApplication) -> None:
    connection = sqlite3.connect(home.library)
    connection.execute("pragma user_version = 999")
    connection.execute("create table tea (cups)")
    connection.commit()
    connection.close()
    before = home.library.read_bytes()
    window = Window(home)
    window.open(Wish("settings"))
    window.show()
    window.context.live.start()
    qtbot.waitUntil(lambda: "newer version" in window.messages.text.text(), timeout=10_000)
    window.close()
    assert home.library.read_bytes() == before


def test_a_data_folder_that_goes_away_is_said_and_taken_back_when_it_returns(window: Window, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.context.live.loaded)
    aside = window.context.home.root.with_name("aside")
    window.context.home.root.rename(aside)
    qtbot.waitUntil(lambda: window.messages.isVisible() and "is gone" in window.messages.text.text(), timeout=8000)
    aside.rename(window.context.home.root)
    qtbot.waitUntil(lambda: not window.messages.isVisible(), timeout=8000)


def test_a_data_folder_that_cannot_be_used_asks_for_another(
    tmp_path: Path,
    qtbot: QtBot,
    qapp: QApplication,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from desktop_app import application

    in_the_way = tmp_path / "a file"
    in_the_way.write_text("no folder")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "other"))

    def press() -> None:
        (box,) = [one for one in qapp.topLevelWidgets() if isinstance(one, QMessageBox) and one.isVisible()]
        assert str(in_the_way) in box.text()
        next(button for button in box.buttons() if "Choose" in button.text()).click()

    QTimer.singleShot(200, press)
    home = application._ask_for_home(str(in_the_way))
    assert home is not None
    assert home.root == tmp_path / "other"
    assert str(in_the_way) in capsys.readouterr().err


def test_a_recipe_file_opens_on_the_plan_page_and_another_kind_is_refused_by_name(
    window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "stories.txt").write_text("Once upon a time.")
    recipe = DistillRecipe(teacher="teacher", student="0.3x", data=("stories.txt",), tokens=12_345)
    file = tmp_path / "night.json"
    file.write_text(json.dumps(recipe.model_dump(mode="json")))
    window.open_recipe_file(file)
    qtbot.waitUntil(lambda: window.page() is not None and window.page().name == "plan", timeout=10_000)
    draft = window.page().draft()  # type: ignore[union-attr]
    assert draft.student == "0.3x"
    assert draft.data == (str(tmp_path / "stories.txt"),)  # read from where the recipe lies
    file.write_text(json.dumps({"kind": "measure", "device": "cpu"}))
    window.open_recipe_file(file)
    qtbot.waitUntil(lambda: window.messages.isVisible() and str(file) in window.messages.text.text(), timeout=5000)
