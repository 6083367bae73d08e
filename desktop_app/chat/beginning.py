"""Before anything is said: whom to talk with, and how to begin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_app.chat.heads import Member
from desktop_app.chat.members import pair_to_begin_with
from desktop_app.context import Context
from desktop_app.forms import parts
from desktop_app.forms.field import button
from desktop_app.runs.empty import Empty

BEGINNING = "Once upon a time, there was a"


class Beginning(Empty):
    """No model is chosen: one press talks with a teacher and its student."""

    pair_wanted = Signal(list)  # folders
    choice_wanted = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.acted.connect(self._act)

    def look(self) -> None:
        """Say what can be begun with, as shelf and runs are now."""
        shelf = self.context.shelf
        if not shelf.loaded:
            self.say("chat", self.tr("Looking for models…"), "", [])
            return
        folders, taught = pair_to_begin_with(self.context.live.rows, shelf.entries)
        buttons = [("choose", self.tr("Choose a model…"))]
        words = self.tr("Up to four answer side by side: a teacher, its student, what you tuned or merged.")
        if len(folders) == 2:
            sample = self.tr("Talk with two of the sample's models")
            buttons.insert(0, ("pair", self.tr("Talk with teacher and student") if taught else sample))
            words = f"{words}\n{' · '.join(self._name(folder) for folder in folders)}"
        if not taught:
            buttons.append(("sample", self.tr("Distill the sample")))
        self.say("chat", self.tr("Talk with your models."), words, buttons)

    def _name(self, folder: str) -> str:
        entry = self.context.shelf.entry(folder)
        return entry.name if entry is not None else Path(folder).name

    def _act(self, name: str) -> None:
        if name == "pair":
            self.pair_wanted.emit(pair_to_begin_with(self.context.live.rows, self.context.shelf.entries)[0])
        elif name == "sample":
            self.context.sample_wanted.emit()
        else:
            self.choice_wanted.emit()


class Hint(QWidget):
    """Models are chosen, and nothing is said: what they take."""

    suggested = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.words, self.suggestion = parts.words("muted"), button("", "", "quiet")
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.addStretch(2)
        layout.addWidget(self.words)
        layout.addWidget(self.suggestion, alignment=Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)
        self.suggestion.setText(self.tr("Begin with “%s”") % BEGINNING)
        self.suggestion.clicked.connect(lambda: self.suggested.emit(BEGINNING))

    def look(self, members: Sequence[Member]) -> str:
        """Say what these models take; returns what the field says for it."""
        only_go_on = bool(members) and all(member.loaded and member.raw for member in members)
        self.suggestion.setVisible(only_go_on)
        if only_go_on:
            words = self.tr("No chat template here: the models go on with what you write, as they learned it.")
            self.words.setText(words)
            return self.tr("Write a beginning; the models go on")
        side_by_side = self.tr("Say something: all models answer side by side.")
        self.words.setText(side_by_side if len(members) > 1 else self.tr("Say something."))
        return self.tr("Your message · Return sends, Shift+Return for a new line")
