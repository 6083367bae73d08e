"""What the window asks of a page."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from desktop_app.commands import Command
from desktop_app.context import Context


class Page(QWidget):
    """A page of the rail. It is made when it is first opened, and lives until the window closes."""

    name: ClassVar[str]  # in Wish and settings: "plan", "runs" …

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context

    def opened(self, **what: Any) -> None:
        """The page comes on screen, perhaps to show something (see `Wish`)."""

    def left(self) -> None:
        """The page goes off screen: nothing need be watched for it any more."""

    def commands(self) -> list[Command]:
        """What can be done here, for the command palette and the shortcuts."""
        return []

    def make_shortcuts(self) -> None:
        """Let the keys of `commands()` work while the focus is on the page; one that can't be done now says why not."""
        for command in self.commands():
            if command.shortcut:
                shortcut = QShortcut(QKeySequence(command.shortcut), self)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.setAutoRepeat(False)
                shortcut.activated.connect(partial(self._run_command, command))

    def _run_command(self, command: Command) -> None:
        why_not = command.why_not()
        if why_not:
            self.context.say(why_not, "warning")
        else:
            command.run()

    def refusal(self) -> str:
        """Why the window can't be closed now, or nothing."""
        return ""

    def closing(self) -> None:
        """The window closes: give up what nobody waits for any more."""
