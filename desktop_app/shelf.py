"""The models at hand, kept in memory for all pages: read off the window's thread, told when they change."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from core.errors import Trouble
from core.home import Home
from core.models import ModelEntry
from desktop_app.work import Latest


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
        """Remember a folder of models; `troubled` says why not."""

        def add() -> _Found:
            from core.library import Library

            with Library(self.home) as library:
                library.add_folder(folder)
            return _read(self.home)

        self._latest.ask(add, self._take, self.troubled.emit)

    def forget(self, folder: Path) -> None:
        """Look into an added folder no longer."""

        def forget() -> _Found:
            from core.library import Library

            with Library(self.home) as library:
                library.forget(folder)
            return _read(self.home)

        self._latest.ask(forget, self._take, self.troubled.emit)

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
