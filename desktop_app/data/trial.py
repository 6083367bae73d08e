"""A trial of filters: a short run of its own that sifts the first rows and is removed when it has told what it found."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from core import runs
from core.errors import Trouble
from core.prepare import PrepareRecipe
from core.runs import RunFolder
from core.state import State
from desktop_app.context import Context
from desktop_app.data.surveys import start
from desktop_app.live import Picture
from desktop_app.work import in_background

TRIAL_ROWS = 1000


class Trial(QObject):
    """`told` says in words how it stands, `ended` carries what it found; nothing, where it found nothing."""

    told = Signal(str)
    ended = Signal(dict)

    def __init__(self, context: Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.busy = False
        self._run = ""
        self._closed = False
        context.live.advanced.connect(self._advance)

    def start(self, recipe: PrepareRecipe) -> None:
        """Begin; nothing happens while one is on its way."""
        if self.busy:
            return
        self.busy = True
        self.told.emit(self.tr("Starting…"))
        home = self.context.home
        named = recipe.model_copy(update={"name": self.tr("trial: %s") % recipe.title()})
        in_background(self, lambda: start(home, named), self._begun, self._fail)

    def close(self) -> None:
        """Nobody waits for it any more."""
        self._closed = True
        self._remove()

    def _begun(self, run: str) -> None:
        self._run = run
        self.context.waited_for.add(run)
        if self._closed:
            self._remove()
            return
        self.context.live.watch(self, [run])
        self.context.live.look()

    def _advance(self, run: str, picture: Picture) -> None:
        if run != self._run or not self.busy:
            return
        history, state = picture.history, picture.state
        if state == State.FINISHED:
            self._end("", history.results)
        elif history.failure is not None:
            self._end(f"{history.failure.what} {history.failure.way_out}".strip(), {})
        elif State(state).ended:
            self._end(self.tr("The trial ended early."), {})
        else:
            share = f" · {history.phase_share:.0%}" if history.phase_share else ""
            phase = history.phase or self.tr("waiting")
            self.told.emit(f"{phase[:1].upper()}{phase[1:]}{share}")

    def _fail(self, trouble: Trouble) -> None:
        self._end(str(trouble), {})

    def _end(self, words: str, results: dict[str, Any]) -> None:
        self.busy = False
        self.told.emit(words)
        self._remove()
        self.ended.emit(dict(results))

    def _remove(self) -> None:
        run, self._run = self._run, ""
        self.context.live.watch(self, ())
        if run:
            live, folder = self.context.live, RunFolder(self.context.home.runs / run)
            in_background(live, lambda: runs.discard(folder), lambda _: live.look(), lambda _: None)
