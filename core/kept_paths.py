"""Lists of paths that the user added, each in a JSON file of the data folder: read without opening the index, changed by one program at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from core.errors import LibraryTrouble
from core.files import read_json, write_json

PATIENCE_S = 10.0  # how long to wait while another program writes


def kept_paths(file: Path, key: str) -> list[Path]:
    """The paths under `key`; none where there is no file. LibraryTrouble if it is broken."""
    try:
        return [Path(path) for path in read_json(file)[key]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LibraryTrouble(
            f"{file} can't be read: {error}.", f"Mend it, or remove it and add the {key} again."
        ) from error


@contextmanager
def changing_paths(file: Path, key: str) -> Iterator[list[Path]]:
    """The list, to be changed in place; no other program changes it meanwhile."""
    with FileLock(file.with_suffix(".lock"), timeout=PATIENCE_S, is_singleton=False):
        before = kept_paths(file, key)
        paths = list(before)
        yield paths
        if paths != before:
            write_json(file, {key: [str(path) for path in paths]})
