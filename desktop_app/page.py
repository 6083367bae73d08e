"""What the window asks of a page."""

from __future__ import annotations

from typing import Any, ClassVar

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

    def refusal(self) -> str:
        """Why the window can't be closed now, or nothing."""
        return ""
