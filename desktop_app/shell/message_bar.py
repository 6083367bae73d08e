"""The message bar: what just happened, in a sentence, with at most one thing to do about it."""

from __future__ import annotations

import math
import time

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from desktop_app import theme
from desktop_app.context import Message
from desktop_app.icons import icon
from desktop_app.sign import Sign

SHOWN_S = 8.0
SHOWN_WITH_ACTION_S = 30.0
ICONS = {
    "info": ("info", "muted"),
    "good": ("good", "good"),
    "warning": ("warning", "warning"),
    "error": ("error", "error"),
}


class MessageBar(QWidget):
    """Shows the newest message. One that must stay, or offers something to do, comes back when a passing one has gone."""

    report_wanted = Signal(object)  # Message

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        frame = QFrame()
        theme.set_role(frame, "card")
        around = QHBoxLayout(self)
        around.setContentsMargins(2 * theme.SPACE, theme.SPACE, 2 * theme.SPACE, 0)
        around.addWidget(frame)
        self.setAccessibleName(self.tr("Message"))
        self._messages: list[tuple[Message, float]] = []  # with the time (monotonic) until which they are shown
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._show)
        self._icon = Sign(size=theme.ICON)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)  # names are what users and files say
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.action = QPushButton()
        self.report = QPushButton(self.tr("Copy report"))
        self.close_button = QToolButton()
        self.close_button.setIcon(icon("close", "muted"))
        self.close_button.setAccessibleName(self.tr("Close the message"))
        self.close_button.setToolTip(self.tr("Close the message"))
        theme.set_role(self.close_button, "quiet")
        theme.set_role(self.action, "quiet")
        theme.set_role(self.report, "quiet")
        layout = QHBoxLayout(frame)
        layout.setContentsMargins(2 * theme.SPACE, theme.SPACE, theme.SPACE, theme.SPACE)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self._icon)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.report)
        layout.addWidget(self.action)
        layout.addWidget(self.close_button)
        self.action.clicked.connect(self.act)
        self.report.clicked.connect(lambda: self.report_wanted.emit(self.current()))
        self.close_button.clicked.connect(self._pass)
        self.hide()

    def current(self) -> Message | None:
        return self._messages[-1][0] if self._messages else None

    def undoable(self) -> bool:
        """Whether the message in sight offers something to do."""
        message = self.current()
        return message is not None and message.action is not None

    def say(self, message: Message) -> None:
        kept = [(one, until) for one, until in self._messages if one.text != message.text and (one.stays or one.action)]
        shown_s = math.inf if message.stays else SHOWN_WITH_ACTION_S if message.action else SHOWN_S
        self._messages = [*kept[-4:], (message, time.monotonic() + shown_s)]
        self._show()

    def take_back(self, text: str) -> None:
        """Drop a message that no longer holds."""
        self._messages = [(one, until) for one, until in self._messages if one.text != text]
        self._show()

    def act(self) -> None:
        """Do what the message in sight offers."""
        message, _ = self._messages.pop()
        self._show()
        if message.action is not None:
            message.action()

    def _show(self) -> None:
        now = time.monotonic()
        self._messages = [(one, until) for one, until in self._messages if until > now]
        message = self.current()
        self._timer.stop()
        if message is None:
            self.hide()
            return
        name, colour = ICONS[message.level]
        self._icon.set_icon(icon(name, colour))
        self.text.setText(message.text)
        self.setAccessibleDescription(message.text)
        self.action.setText(message.action_text)
        self.action.setVisible(bool(message.action_text))
        self.report.setVisible(message.level == "error")
        self.show()
        left_s = min(until for _, until in self._messages) - now
        if math.isfinite(left_s):
            self._timer.start(round(1000 * left_s) + 20)

    def _pass(self) -> None:
        if self._messages:
            self._messages.pop()
        self._show()
