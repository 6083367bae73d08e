"""Starting the window: Qt, the look, the language, and what happens to an error that nobody caught."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from core.errors import Trouble
from core.home import Home

if TYPE_CHECKING:
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from desktop_app.shell.window import Window


def run_window(home_named: str | None, *, quit_after_first_paint: bool, recipe_file: Path | None = None) -> int:
    """Open the window and stay until it closes; the exit code."""
    reason = no_screen_because()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    gc.disable()  # what is imported stays: looking for garbage in it takes a seventh of the start
    home = _usable(home_named)
    # our own before PySide, which reads the source of every module that is imported after it
    importlib.import_module("core.runs" if home is None or _is_first_start(home) else "core.plan")
    try:
        from PySide6.QtCore import QTimer
    except ImportError as error:
        print(_missing_library(error), file=sys.stderr)
        return 1
    from desktop_app import theme
    from desktop_app.context import Wish
    from desktop_app.garbage import GarbageCollector
    from desktop_app.shell.window import Window

    sys.setswitchinterval(0.001)  # the window's thread gets its turn soon while a journal is being read
    app = make_application()
    home = home or _ask_for_home(home_named)
    if home is None:
        return 1
    charts = Charts()
    window = Window(home, heavy_ready=charts.loaded)
    theme.apply(app, window.context.settings.scheme)
    theme.follow_system(app, lambda: window.context.settings.scheme)
    _catch_bugs(window)
    if recipe_file is not None:
        window.open(Wish("plan"))
        window.open_recipe_file(recipe_file)
    else:
        window.open_first()
    window.show()
    if quit_after_first_paint:
        window.painted.connect(app.quit)
    else:
        waiting = QTimer(window)
        waiting.setInterval(10)
        waiting.timeout.connect(lambda: _go_live(window, charts, waiting))
        waiting.start()
    window.painted.connect(lambda: GarbageCollector(window))
    window.painted.connect(charts.load)
    if window.page() is None:  # the first page itself waits for them
        charts.load()
    code = app.exec()
    window.context.live.stop()
    window.context.settings.write()
    return code


def make_application() -> QApplication:
    """The QApplication with our names, icon, style and language."""
    from PySide6.QtCore import QLibraryInfo, QLocale, QTranslator
    from PySide6.QtGui import QGuiApplication, QIcon
    from PySide6.QtWidgets import QApplication

    QGuiApplication.setDesktopFileName("stillroom")
    app = QApplication(sys.argv[:1])
    app.setApplicationName("Stillroom")
    app.setStyle("Fusion")
    resources = Path(__file__).resolve().parent.parent / "resources"
    app.setWindowIcon(QIcon(str(resources / "icon" / "stillroom.svg")))
    for name, folder in (
        ("qtbase", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)),
        ("stillroom", str(resources / "translations")),
    ):
        translator = QTranslator(app)
        if translator.load(QLocale(), name, "_", folder):
            app.installTranslator(translator)
    return app


def arguments(argv: list[str]) -> argparse.Namespace | None:
    """What the window is asked, or None where a command is: then it is the command line's."""
    parser = argparse.ArgumentParser(prog="stillroom", add_help=False, exit_on_error=False)
    parser.add_argument("--home")
    parser.add_argument("--quit-after-first-paint", action="store_true")
    parser.add_argument("recipe_file", nargs="?", type=Path)
    try:
        asked, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError:
        return None
    a_file = asked.recipe_file is None or asked.recipe_file.suffix == ".json"
    return asked if not rest and a_file else None


def no_screen_because() -> str:
    """Why no window can be shown here, and what to do; empty if one can."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return ""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "There is no screen here. Everything can be done by commands: `stillroom --help` lists them."
    import ctypes.util

    if not os.environ.get("WAYLAND_DISPLAY") and ctypes.util.find_library("xcb-cursor") is None:
        return (
            "Qt needs the library xcb-cursor to show a window here. Install it (Debian, Ubuntu: "
            "`sudo apt install libxcb-cursor0`; Fedora: `sudo dnf install xcb-util-cursor`) and start again. "
            "Until then everything can be done by commands: `stillroom --help` lists them."
        )
    return ""


def _missing_library(error: ImportError) -> str:
    return (
        f"Qt can't be loaded: {error}. A library of the system is missing (Debian, Ubuntu: `sudo apt install libegl1 libgl1 "
        "libxkbcommon0 libdbus-1-3 libfontconfig1`). Everything can also be done by commands: `stillroom --help` lists them."
    )


def _usable(named: str | None) -> Home | None:
    try:
        return Home.find(named)
    except Trouble:
        return None


def _ask_for_home(named: str | None) -> Home | None:
    """Say why the data folder can't be used, and let another be chosen; None if nobody wants to."""
    from PySide6.QtCore import QCoreApplication
    from PySide6.QtWidgets import QFileDialog, QMessageBox

    def tr(text: str) -> str:
        return QCoreApplication.translate("application", text)

    while True:
        try:
            return Home.find(named)
        except Trouble as trouble:
            print(trouble, file=sys.stderr)
            question = QMessageBox(QMessageBox.Icon.Warning, tr("The data folder"), trouble.what)
            question.setInformativeText(tr("Choose a folder where Stillroom may keep its runs, or close it."))
        choose = question.addButton(tr("Choose a folder…"), QMessageBox.ButtonRole.AcceptRole)
        question.addButton(QMessageBox.StandardButton.Close)
        question.exec()
        chosen = (
            QFileDialog.getExistingDirectory(None, tr("The data folder")) if question.clickedButton() is choose else ""
        )
        if not chosen:
            return None
        named = chosen


def _is_first_start(home: Home) -> bool:
    """Then the welcome page comes first, which plans nothing."""
    return not (home.root / "window.ini").exists()


class Charts:
    """What draws charts, loaded beside the window's own start in a thread: it holds nothing of Qt's that belongs to one.

    Nobody else imports meanwhile: two threads in the same circular imports meet half-made modules.
    """

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._import, name="loading charts", daemon=True)
        self._asked = False

    def load(self) -> None:
        if not self._asked:
            self._asked = True
            self._thread.start()

    def loaded(self) -> bool:
        return self._asked and not self._thread.is_alive()

    def _import(self) -> None:
        for name in ("core.plan", "core.library", "numpy", "pyqtgraph"):
            importlib.import_module(name)


def _go_live(window: Window, charts: Charts, waiting: QTimer) -> None:
    """Begin to follow the data folder, once everything is imported."""
    if charts.loaded():
        waiting.stop()
        window.context.live.start()
        window.context.shelf.refresh()


def _catch_bugs(window: Window) -> None:
    """An error that nobody caught is said in the window and printed; it does not end the program."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        traceback.print_exception(kind, error, trace)
        if isinstance(error, Trouble):
            window.context.trouble(error)
        elif isinstance(error, Exception):
            window.bug(f"{kind.__name__}: {error}", "".join(traceback.format_exception(kind, error, trace)))

    sys.excepthook = hook
