"""Settings hold at once, the data folder's disk use is true, and the first page leads on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up import a_model
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QLabel
from pytestqt.qtbot import QtBot

from core import trash
from core.errors import Trouble
from core.home import Home
from core.runs import RunFolder
from desktop_app.commands import Command
from desktop_app.context import Context, Wish
from desktop_app.settings import Settings
from desktop_app.settings_page import SettingsPage, disk_use
from desktop_app.shell.about import AboutDialog
from desktop_app.welcome import WelcomePage


@pytest.fixture
def page(context: Context, qtbot: QtBot) -> SettingsPage:
    made = SettingsPage(context)
    qtbot.addWidget(made)
    made.resize(1200, 720)
    made.show()
    made.opened()
    return made


def texts(page: SettingsPage) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisibleTo(page))


def test_what_is_chosen_is_remembered(page: SettingsPage, home: Home, qtbot: QtBot) -> None:
    qtbot.mouseClick(page.scheme.option("dark"), Qt.MouseButton.LeftButton)
    qtbot.mouseClick(page.on_close.option("keep"), Qt.MouseButton.LeftButton)
    page.notify.click()
    again = Settings(home)
    assert (again.scheme, again.on_close, again.notify) == ("dark", "keep", False)


def test_a_setting_changed_elsewhere_shows(page: SettingsPage) -> None:
    page.context.settings.on_close = "stop"
    assert page.on_close.value() == "stop"


def test_the_disk_use_parts_runs_from_checkpoints_and_trash(home: Home, fake_run: Callable[..., RunFolder]) -> None:
    run = fake_run(home)
    before = disk_use(home)
    run.checkpoints.joinpath("weights").write_bytes(bytes(50_000))
    with_checkpoint = disk_use(home)
    assert with_checkpoint.checkpoints - before.checkpoints == 50_000
    assert with_checkpoint.runs == before.runs
    trash.throw_away(home, run)
    thrown = disk_use(home)
    assert thrown.run_count == 0
    assert thrown.runs == thrown.checkpoints == 0
    assert thrown.trash > 50_000


def test_a_data_folder_that_went_is_said(page: SettingsPage, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot) -> None:
    def gone(_home: Home) -> None:
        raise Trouble("The data folder can't be read: no such disk.")

    monkeypatch.setattr("desktop_app.settings_page.disk_use", gone)
    page.opened()
    qtbot.waitUntil(lambda: "no such disk" in texts(page), timeout=10_000)


def test_the_trash_is_emptied_only_after_a_yes(
    context: Context, home: Home, fake_run: Callable[..., RunFolder], qtbot: QtBot
) -> None:
    trash.throw_away(home, fake_run(home))
    page = SettingsPage(context)
    qtbot.addWidget(page)
    page.show()
    page.opened()
    qtbot.waitUntil(page.empty_trash.isEnabled, timeout=10_000)
    for answer, left in (("Keep", 1), ("Empty trash", 0)):
        page.empty_trash.click()
        assert page.question is not None
        assert "can't be brought back" in page.question.informativeText()
        qtbot.mouseClick(
            next(one for one in page.question.buttons() if one.text() == answer), Qt.MouseButton.LeftButton
        )
        qtbot.waitUntil(lambda left=left: len(trash.contents(home)) == left, timeout=10_000)
    qtbot.waitUntil(lambda: page.empty_trash.toolTip() == "The trash is empty.", timeout=10_000)


def test_another_folder_is_explained_and_nothing_is_written(
    page: SettingsPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    other = tmp_path / "other place"
    other.mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(other))
    qtbot.mouseClick(page.other_folder, Qt.MouseButton.LeftButton)
    assert page.move_command.text() == f"stillroom --home '{other}'"
    assert list(other.iterdir()) == []
    page.copy_command.click()
    assert QGuiApplication.clipboard().text() == page.move_command.text()
    page.explain_move(page.context.home.root)
    assert page.move_words.text() == "That is the folder in use."
    assert not page.move_command.isVisible()


def test_devices_and_versions_are_listed(page: SettingsPage, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: "(cpu)" in texts(page) and "torch" in texts(page), timeout=10_000)
    assert "Qt 6." in page.versions.text()


def test_keys_are_listed_with_their_commands(page: SettingsPage, qtbot: QtBot) -> None:
    assert not page.keys_card.isVisible()
    page.set_commands([Command("a", "Go to Plan", lambda: None, shortcut="Ctrl+1"), Command("b", "Mute", lambda: None)])
    qtbot.waitUntil(lambda: "Go to Plan" in texts(page))
    assert "Ctrl+1" in texts(page)
    assert "Mute" not in texts(page)


def test_the_report_leaves_out_paths_unless_they_are_ticked(context: Context, home: Home, qtbot: QtBot) -> None:
    dialog = AboutDialog(context)
    qtbot.addWidget(dialog)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    dialog.show()
    qtbot.waitUntil(lambda: dialog.libraries.rowCount() > 5, timeout=10_000)
    assert "MIT" in {dialog.libraries.item(row, 2).text() for row in range(dialog.libraries.rowCount())}
    for ticked in (False, True):
        dialog.with_paths.setChecked(ticked)
        dialog.copy.click()
        qtbot.waitUntil(dialog.copy.isEnabled, timeout=20_000)
        assert (str(home.root) in QGuiApplication.clipboard().text()) is ticked


# --- the first page ---------------------------------------------------------------------------------------------------


@pytest.fixture
def welcome(context: Context, qtbot: QtBot) -> WelcomePage:
    made = WelcomePage(context)
    qtbot.addWidget(made)
    made.resize(1200, 720)
    made.show()
    return made


def test_the_first_page_leads_to_the_sample_by_mouse_and_by_key(welcome: WelcomePage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(welcome.sample_wanted):
        qtbot.mouseClick(welcome.sample, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(welcome.sample_wanted):
        qtbot.keyClick(welcome.sample, Qt.Key.Key_Space)


def test_a_model_folder_dropped_on_the_first_page_is_opened(welcome: WelcomePage, tmp_path: Path, qtbot: QtBot) -> None:
    folder = a_model(tmp_path / "mine")
    with qtbot.waitSignal(welcome.folder_wanted) as wanted:
        drop(welcome, folder / "config.json")
    assert wanted.args == [folder]


def test_a_folder_of_several_models_leads_to_where_one_is_chosen(
    welcome: WelcomePage, tmp_path: Path, qtbot: QtBot
) -> None:
    for name in ("one", "two"):
        a_model(tmp_path / "many" / name)
    wishes: list[Wish] = []
    welcome.context.wished.connect(wishes.append)
    drop(welcome, tmp_path / "many")
    qtbot.waitUntil(lambda: wishes == [Wish("models", {"dropped": (tmp_path / "many",)})], timeout=10_000)


def test_a_picture_dropped_on_the_first_page_is_answered_there(
    welcome: WelcomePage, tmp_path: Path, qtbot: QtBot
) -> None:
    wanted: list[object] = []
    welcome.folder_wanted.connect(wanted.append)
    (tmp_path / "holiday.png").write_bytes(b"png")
    drop(welcome, tmp_path / "holiday.png")
    qtbot.waitUntil(welcome.answer.isVisible, timeout=10_000)
    assert "holiday.png is a picture" in welcome.answer.text()
    assert not wanted


def test_what_this_is_is_told_in_place_with_its_source(welcome: WelcomePage, qtbot: QtBot) -> None:
    qtbot.mouseClick(welcome.what, Qt.MouseButton.LeftButton)
    told = "\n".join(label.text() for label in welcome.explanation.findChildren(QLabel))
    assert "2.5 times" in told
    assert "arXiv" in told
    qtbot.mouseClick(welcome.what, Qt.MouseButton.LeftButton)
    assert not welcome.explanation.isVisible()


def test_the_workbench_is_a_click_away(welcome: WelcomePage, qtbot: QtBot) -> None:
    wishes: list[Wish] = []
    welcome.context.wished.connect(wishes.append)
    qtbot.mouseClick(welcome.skip, Qt.MouseButton.LeftButton)
    assert wishes == [Wish("plan")]
    assert welcome.context.settings.greeted


def test_the_first_page_loads_no_chart_library() -> None:
    code = (
        "import sys, desktop_app.welcome; "
        "print([name for name in ('numpy', 'pyqtgraph', 'core.plan', 'sqlite_utils', 'torch') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def drop(page: WelcomePage, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    page.dropEvent(
        QDropEvent(
            QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        )
    )
