"""Tells the desktop when a run ends or fails, unless the window is in front or the settings say no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

from core.state import State
from desktop_app.context import Context, Level

if TYPE_CHECKING:
    from core.run_summary import RunSummary


class Notifier(QObject):
    """Compares each list of runs with the one before."""

    def __init__(self, context: Context, window: QWidget) -> None:
        super().__init__(window)
        self._context, self._window = context, window
        self._alive: set[str] | None = None
        self._tray: QSystemTrayIcon | None = None
        self._told = ""  # the run of the last notification

    def look(self, rows: list[RunSummary]) -> None:
        before, self._alive = self._alive, {row.id for row in rows if State(row.state).alive}
        if before is None:  # what ended while there was no window is in the list
            return
        for row in rows:
            ended = row.id in before and row.id not in self._alive
            if ended and row.kind != "measure" and row.id not in self._context.waited_for:
                self._tell(row)

    def _tell(self, row: RunSummary) -> None:
        texts: dict[str, tuple[str, Level]] = {
            State.FINISHED: (self.tr("%s has finished.") % row.name, "good"),
            State.FAILED: (self.tr("%s has failed. %s") % (row.name, row.failure or ""), "warning"),
            State.CRASHED: (self.tr("%s ended without a word; it can be resumed.") % row.name, "warning"),
        }
        if row.state not in texts:
            return
        text, level = texts[row.state]
        self._context.say(
            text, level, action_text=self.tr("Show"), action=lambda: self._context.open("runs", run=row.id)
        )
        if self._context.settings.notify and not self._window.isActiveWindow():
            self._notify(text, row.id)

    def _notify(self, text: str, run: str) -> None:
        if not (QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages()):
            QApplication.alert(self._window)
            return
        if self._tray is None:
            self._tray = QSystemTrayIcon(self._window.windowIcon(), self)
            self._tray.messageClicked.connect(self._come)
        self._told = run
        self._tray.show()
        self._tray.showMessage("Stillroom", text, self._window.windowIcon())

    def _come(self) -> None:
        """The notification was clicked: show its run."""
        self._window.setWindowState(self._window.windowState() & ~Qt.WindowState.WindowMinimized)
        self._window.raise_()
        self._window.activateWindow()
        self._context.open("runs", run=self._told)
