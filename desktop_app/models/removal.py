"""Forgetting a folder and deleting a model: what is asked first, what is said after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QMessageBox, QWidget

from core.errors import Trouble
from core.home import Home
from core.library import Library
from core.numbers import bytes_text
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.icons import icon
from desktop_app.models import deletion
from desktop_app.models.facts import Facts
from desktop_app.work import in_background

UNFINISHED = ("queued", "stopped", "failed", "crashed")  # runs that would need the model to go on


class Removal(QObject):
    """`removed` when the models at hand are others now; `wanted_back` with a folder to remember again."""

    removed = Signal()
    wanted_back = Signal(object)  # Path

    def __init__(self, context: Context, window: QWidget) -> None:
        super().__init__(window)
        self.context = context
        self._window = window
        self.question: QMessageBox | None = None  # on screen now

    def forget(self, folder: Path, models: int) -> None:
        """Look into an added folder no longer; its files stay. `models` lie in it."""
        home = self.context.home

        def done(_: None) -> None:
            words = self.tr("Forgot %s; its files stay.") % folder.name
            if models > 1:
                words = self.tr("Forgot %s with its %d models; the files stay.") % (folder.name, models)
            self.context.say(words, action_text=self.tr("Undo"), action=lambda: self.wanted_back.emit(folder))
            self.removed.emit()

        in_background(self, lambda: _forget(home, folder), done, self.context.trouble)

    def ask(self, name: str, facts: Facts, look_again: Callable[[], Facts]) -> None:
        """Ask whether the model is to go to the trash, with the size it frees and what depends on it.

        `look_again` is called in the background, as things may have changed while the question stood.
        """
        size, count = bytes_text(facts.size_bytes), len(facts.files)
        lines = [
            self.tr("Frees %s: %d files in %s.") % (size, count, facts.path),
            *self._dependents(facts),
            self.tr("The folder goes to the trash of your desktop."),
        ]
        box = self._box(self.tr("Delete %s from disk?") % name, lines, self.tr("Delete"))
        box.accepted.connect(lambda: self._to_trash(name, facts, look_again))
        box.open()

    def _dependents(self, facts: Facts) -> list[str]:
        lines = []
        waiting = [part.name for part in facts.runs if part.part != "result" and part.state in UNFINISHED]
        if waiting:
            lines.append(self.tr("These runs could not go on without it: %s.") % _some(waiting))
        if any(part.part == "result" for part in facts.runs):
            lines.append(self.tr("The run that made it stays, without its model."))
        if facts.students:
            names = _some([name for name, _ in facts.students])
            lines.append(self.tr("These learnt from it and stay usable: %s.") % names)
        return lines

    def _to_trash(self, name: str, facts: Facts, look_again: Callable[[], Facts]) -> None:
        home = self.context.home

        def work() -> bool:
            if look_again().refusal is not None:
                raise Trouble(f"{name} was not deleted: it came into use, or its folder changed.", "Look at it again.")
            if not deletion.to_trash(facts.path):
                return False
            _forget_what_is_gone(home, facts)
            return True

        def done(gone: bool) -> None:
            if gone:
                self.context.say(self.tr("%s is in the trash of your desktop.") % name, "good")
                self.removed.emit()
            else:
                self._offer_for_good(name, facts)

        in_background(self, work, done, self.context.trouble)

    def _offer_for_good(self, name: str, facts: Facts) -> None:
        lines = [
            self.tr("The trash did not take %s: this disk may have none.") % facts.path,
            self.tr("Deleting it for good frees %s and can't be undone.") % bytes_text(facts.size_bytes),
        ]
        box = self._box(self.tr("Delete %s for good?") % name, lines, self.tr("Delete for good"))
        box.accepted.connect(lambda: self._for_good(name, facts))
        box.open()

    def _for_good(self, name: str, facts: Facts) -> None:
        home = self.context.home

        def work() -> None:
            deletion.for_good(facts.path)
            _forget_what_is_gone(home, facts)

        def done(_: None) -> None:
            self.context.say(self.tr("%s is deleted; %s are free.") % (name, bytes_text(facts.size_bytes)), "good")
            self.removed.emit()

        in_background(self, work, done, self.context.trouble)

    def _box(self, title: str, lines: Sequence[str], verb: str) -> QMessageBox:
        """A question whose safe answer is the default; `accepted` for the other."""
        box = QMessageBox(QMessageBox.Icon.NoIcon, self.tr("Stillroom"), title, parent=self._window)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setInformativeText("\n\n".join(lines))
        box.setIconPixmap(icon("discard", "error").pixmap(32, 32))
        yes = box.addButton(verb, QMessageBox.ButtonRole.AcceptRole)
        theme.set_role(yes, "danger")
        keep = box.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        self.question = box
        box.finished.connect(self._answered)
        return box

    def _answered(self) -> None:
        if self.question is not None:
            self.question.deleteLater()
            self.question = None


def _forget(home: Home, folder: Path) -> None:
    with Library(home) as library:
        library.forget(folder)


def _forget_what_is_gone(home: Home, facts: Facts) -> None:
    """An added folder that was the model itself has nothing to look for any more."""
    if facts.added_folder is not None and not facts.added_folder.exists():
        _forget(home, facts.added_folder)


def _some(names: Sequence[str], shown: int = 4) -> str:
    return ", ".join(names[:shown]) + (" …" if len(names) > shown else "")
