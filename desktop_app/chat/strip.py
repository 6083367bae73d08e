"""A line across the page that says what has happened, with one way out."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout

from core.numbers import bytes_text
from core.run_summary import RunSummary
from core.state import State
from desktop_app import theme
from desktop_app.chat.heads import Member, weight_bytes
from desktop_app.forms import parts
from desktop_app.forms.field import button
from desktop_app.icons import icon
from desktop_app.sign import Sign


class Strip(QFrame):
    """Hidden until it has something to say."""

    acted = Signal()

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self.sign, self.words, self.act = Sign(), parts.words(), button("")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, theme.SPACE, theme.SPACE, theme.SPACE)
        row.setSpacing(theme.SPACE)
        row.addWidget(self.sign, alignment=Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.words, 1)
        row.addWidget(self.act)
        self.act.clicked.connect(self.acted)
        self.hide()

    def say(self, words: str, sign: str = "info", action: str = "") -> None:
        """Say something, or nothing any more."""
        self.words.setText(words)
        self.setAccessibleName(words)
        self.sign.set_icon(icon(sign, sign if sign in ("warning", "error", "good") else "muted"))
        self.act.setText(action)
        self.act.setVisible(bool(action))
        self.setVisible(bool(words))


class RunStrip(Strip):
    """A run that computes, or waits to, on the device where the models are in memory."""

    def look(self, rows: Sequence[RunSummary], members: Sequence[Member]) -> None:
        loaded = [member for member in members if member.loaded]
        alive = [row for row in rows if State(row.state).alive]
        waiting = [row for row in rows if row.state == State.QUEUED]
        row = next(iter([*alive, *waiting]), None)
        device = (row.device if row is not None else None) or (loaded[0].device if loaded else "")
        if row is None or device not in {member.device for member in loaded}:
            self.say("")
            return
        waits = self.tr("“%s” waits for %s, where the chat's models are in memory (about %s).")
        slows = self.tr("“%s” runs on %s, where the chat's models are in memory (about %s): each slows the other.")
        words = (slows if alive else waits) % (row.name, device, bytes_text(weight_bytes(loaded)))
        self.say(words, "memory", self.tr("Give the memory back"))
