"""The data folder: where runs, the library and our own settings live. Everything in it can be moved as one folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from core.errors import Trouble


class Home:
    """Paths below one data folder.

    `Home.find()` takes the named folder, else STILLROOM_HOME, else the platform's own place.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def find(cls, named: str | Path | None = None) -> Home:
        root = Path(
            named or os.environ.get("STILLROOM_HOME") or platformdirs.user_data_path("stillroom", appauthor=False)
        )
        try:
            root = root.expanduser()
        except RuntimeError as error:
            raise Trouble(f"{root} can't be the data folder: {error}", "Name another folder with --home.") from error
        home = cls(root.absolute())
        home.make()
        return home

    def make(self) -> None:
        """Create the folder, or say why it can't be used."""
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise Trouble(
                f"{self.root} can't be the data folder: a file of that name is in the way.",
                "Name another folder with --home.",
            ) from error
        except OSError as error:
            raise Trouble(
                f"The data folder {self.root} can't be made: {error.strerror}.",
                "Name a folder you may write to with --home.",
            ) from error
        if not (os.access(self.root, os.W_OK) and os.access(self.runs, os.W_OK)):
            raise Trouble(
                f"The data folder {self.root} can't be written to.", "Name a folder you may write to with --home."
            )

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def library(self) -> Path:
        return self.root / "library.db"

    @property
    def model_folders(self) -> Path:
        """The folders the user added: the one part of the library that can't be rebuilt from run folders."""
        return self.root / "models.json"

    @property
    def data_sets(self) -> Path:
        """The data that the user added, by path; files stay where they are."""
        return self.root / "data.json"

    @property
    def caches(self) -> Path:
        """What teachers said of texts, kept for any number of students."""
        return self.root / "caches"

    @property
    def sample(self) -> Path:
        """Text that the story generator wrote for the sample's runs."""
        return self.root / "sample"

    @property
    def runner_lock(self) -> Path:
        return self.root / "runner.lock"

    @property
    def runner_log(self) -> Path:
        return self.root / "runner.log"
