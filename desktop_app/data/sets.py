"""The data sets at hand, for the page: read off the window's thread, told when they change.

What was dropped and can't be read is listed, too, with the reason, until it is forgotten or the window closes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from core.data.examples import recognise
from core.data.shelf import DataSet
from core.errors import Trouble
from core.home import Home
from core.library import Library
from core.model_folders import scan_folder
from desktop_app.work import Latest, in_background

COUNTED_BYTES = 256 * 2**20  # what is counted to its end without being asked


@dataclass(frozen=True)
class Added:
    """What came of adding: what is at hand now at a first glance, what can't be read, with the reason, and folders of models."""

    good: tuple[DataSet, ...] = ()
    refused: tuple[DataSet, ...] = ()
    models: tuple[Path, ...] = ()


class DataSets(QObject):
    """`entries` are all of them; `loaded` is False until they were read once."""

    changed = Signal()
    added = Signal(object)  # Added
    troubled = Signal(object)  # Trouble

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.home = home
        self.entries: list[DataSet] = []
        self.loaded = False
        self._refused: dict[Path, DataSet] = {}
        self._latest, self._counting = Latest(self), Latest(self)
        self._counted: set[Path] = set()

    def entry(self, path: Path) -> DataSet | None:
        return next((entry for entry in self.entries if entry.path == path), None)

    def refresh(self) -> None:
        """Look for data again; `changed` follows. What could not be read is tried once more."""
        home = self.home
        self._latest.ask(lambda: _read(home, ()), self._take, self.troubled.emit)
        if again := list(self._refused):
            in_background(self, lambda: add_all(home, again), self._take_again, self.troubled.emit)

    def add(self, paths: Sequence[Path]) -> None:
        """Remember files and folders; `added` says at once what they are, `changed` follows with how much it is."""
        home, wanted = self.home, list(paths)
        in_background(self, lambda: add_all(home, wanted), self._take_added, self.troubled.emit)

    def forget(self, path: Path, done: Callable[[], None]) -> None:
        """List it no longer; its files stay."""
        if self._refused.pop(path, None) is not None:
            self._drop(path)
            done()
            return

        def forgotten(_: None) -> None:
            self._drop(path)
            done()

        home = self.home
        in_background(self, lambda: _forget(home, path), forgotten, self.troubled.emit)

    def count(self, path: Path) -> None:
        """Count its rows to the end, however long that takes."""
        home = self.home
        self._counted.add(path)
        self._counting.ask(lambda: _read(home, (path,)), self._take, self.troubled.emit)

    def _take_added(self, outcome: Added) -> None:
        self._take_again(outcome)
        self.added.emit(outcome)

    def _take_again(self, outcome: Added) -> None:
        self._refused |= {entry.path: entry for entry in outcome.refused}
        for entry in outcome.good:
            self._refused.pop(entry.path, None)
        known = {entry.path for entry in self.entries if not entry.broken}
        new = [entry for entry in (*outcome.good, *outcome.refused) if entry.path not in known]
        gone = {entry.path for entry in new}
        self.entries = [*(entry for entry in self.entries if entry.path not in gone), *new]
        self.loaded = True
        self.changed.emit()
        home = self.home
        if outcome.good:
            self._latest.ask(lambda: _read(home, ()), self._take, self.troubled.emit)

    def _take(self, entries: list[DataSet]) -> None:
        here = {entry.path for entry in entries}
        self._refused = {path: entry for path, entry in self._refused.items() if path not in here}
        self.entries = [*entries, *self._refused.values()]
        self.loaded = True
        self.changed.emit()
        waiting = [
            entry.path
            for entry in entries
            if not entry.exact and (entry.size_bytes or 0) <= COUNTED_BYTES and entry.path not in self._counted
        ]
        if waiting:
            self.count(waiting[0])

    def _drop(self, path: Path) -> None:
        self.entries = [entry for entry in self.entries if entry.path != path]
        self.changed.emit()


def _read(home: Home, whole: Sequence[Path]) -> list[DataSet]:
    with Library(home) as library:
        library.refresh_data(whole=whole)
        return library.data_sets()


def _forget(home: Home, path: Path) -> None:
    with Library(home) as library:
        library.forget_data(path)


def add_all(home: Home, paths: Sequence[Path]) -> Added:
    """Remember each of them that can be read. Only the first rows are looked at."""
    good, refused, models = [], [], []
    with Library(home) as library:
        for each in paths:
            path = each.expanduser().resolve()
            if path.is_dir() and scan_folder(path):
                models.append(path)
                continue
            entry = DataSet(path, path.name, "added", None, None, None, None, False, None, (), None)
            try:
                library.add_data(path)
                what = recognise(path)
            except Trouble as trouble:
                refused.append(replace(entry, exact=True, broken=str(trouble)))
                continue
            good.append(replace(entry, format=what.format, kind=what.kind, container=what.container))
    return Added(tuple(good), tuple(refused), tuple(models))
