"""The models at hand, kept in memory for all pages: read off the window's thread, told when they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from core.errors import Trouble
from core.home import Home
from core.models import ModelEntry
from desktop_app.work import Latest, in_background

if TYPE_CHECKING:
    from core.library import Library


class Shelf(QObject):
    """`entries` are all models of the library, broken ones too; `loaded` is False until they were read once."""

    changed = Signal()
    troubled = Signal(object)  # Trouble

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.home = home
        self.entries: list[ModelEntry] = []
        self.sources: dict[Path, str] = {}  # added, run, hub or sample
        self.notice = ""
        self.loaded = False
        self._latest = Latest(self)

    def refresh(self) -> None:
        """Look for models again; `changed` follows."""
        self._latest.ask(lambda: _read(self.home), self._take, self.troubled.emit)

    def add(self, folder: Path) -> None:
        """Remember a folder of models and look again; `troubled` says why not."""
        self._change(lambda library: library.add_folder(folder))

    def forget(self, folder: Path) -> None:
        """Look into an added folder no longer."""
        self._change(lambda library: library.forget(folder))

    def _change(self, change: Callable[[Library], None]) -> None:
        def work() -> None:
            from core.library import Library

            with Library(self.home) as library:
                change(library)

        in_background(self, work, lambda _: self.refresh(), self.troubled.emit)

    def entry(self, path: Path | str) -> ModelEntry | None:
        """The model in this folder, if it is on the shelf."""
        wanted = Path(path)
        found = next((entry for entry in self.entries if entry.path == wanted), None)
        if found is None:
            real = wanted.resolve()
            found = next((entry for entry in self.entries if entry.path.resolve() == real), None)
        return found

    def _take(self, found: _Found) -> None:
        self.entries, self.sources, self.notice = found
        self.loaded = True
        self.changed.emit()


_Found = tuple[list[ModelEntry], dict[Path, str], str]


def _read(home: Home) -> _Found:
    from core.library import Library

    with Library(home) as library:
        try:
            library.refresh_models()
            notice = library.notice
        except Trouble as trouble:  # a library that can't be written is still read
            notice = library.notice or str(trouble)
        return library.models(), library.model_sources(), notice
