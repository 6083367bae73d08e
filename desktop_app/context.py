"""What every page is given: the data folder, the live runs, the models at hand, and ways to speak and to move on.

Pages know this and nothing of the window around them; the window listens to its signals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from PySide6.QtCore import QObject, Signal

from core.home import Home
from desktop_app.live import LiveRuns
from desktop_app.settings import Settings
from desktop_app.shelf import Shelf

Level = Literal["info", "good", "warning", "error"]


@dataclass(frozen=True)
class Message:
    """One line for the message bar. `action` is offered as a button; `details` are copied with the report."""

    text: str
    level: Level = "info"
    action_text: str = ""
    action: Callable[[], None] | None = None
    details: str = ""
    stays: bool = False  # until somebody closes it; others go after a while


@dataclass(frozen=True)
class Wish:
    """A page to open, and what to show there: `run` or `runs` (ids), `model` (path), `recipe` (a DistillRecipe)."""

    page: str
    what: dict[str, Any] = field(default_factory=dict)


class Context(QObject):
    """Shared by all pages of one window."""

    said = Signal(object)  # Message
    wished = Signal(object)  # Wish
    sample_wanted = Signal()  # the main job on the built-in sample, at once

    def __init__(
        self, home: Home, parent: QObject | None = None, charts_ready: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__(parent)
        self.home = home
        self.charts_ready = charts_ready  # whether what draws charts is loaded
        self.settings = Settings(home, self)
        self.live = LiveRuns(home, self)
        self.shelf = Shelf(home, self)
        self.waited_for: set[str] = set()  # runs whose end a dialog shows itself: nothing more is said of it

    def say(
        self,
        text: str,
        level: Level = "info",
        *,
        action_text: str = "",
        action: Callable[[], None] | None = None,
        details: str = "",
        stays: bool = False,
    ) -> None:
        """Put a line into the message bar; an action becomes its button (as Undo)."""
        self.said.emit(Message(text, level, action_text, action, details, stays or level == "error"))

    def trouble(self, trouble: Exception) -> None:
        """Say a `core.errors.Trouble`: what happened and the way out."""
        self.say(str(trouble), "error")

    def open(self, page: str, **what: Any) -> None:
        """Go to a page: `open("runs", run="20261121-…")`."""
        self.wished.emit(Wish(page, what))
