"""The trash of a data folder: runs that were thrown away, and come back whole until the trash is emptied.

    trash/<id>/  the run folder as it was, and thrown.json: when, and its place in the queue if it waited

Throwing away and bringing back are one rename each, so a run is always in one of the two places, whatever kills the program.
"""

from __future__ import annotations

import errno
import math
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import RunTrouble
from core.files import read_json, sync_folder, write_json
from core.home import Home
from core.runs import RunFolder, is_locked

KEPT_S = 30 * 24 * 3600.0  # how long the window leaves a run in the trash
NOTE = "thrown.json"


@dataclass(frozen=True)
class Thrown:
    """A run in the trash. `at` is in seconds since 1970; `position` was its place in the queue, if it waited there."""

    id: str
    folder: Path
    at: float
    position: float | None = None
    name: str = ""


def folder_of(home: Home) -> Path:
    return home.root / "trash"


def throw_away(home: Home, run: RunFolder) -> Thrown:
    """Move a run that is not alive into the trash, and out of the queue. Raises RunTrouble if that can't be."""
    if not run.path.is_dir():
        raise RunTrouble(f"Run {run.id} is gone.", "Somebody moved or removed its folder.")
    lock = FileLock(run.lock_file, is_singleton=False)
    try:
        lock.acquire(timeout=0.3)  # no engine starts on it meanwhile; a look at the lock holds it for a moment only
    except Timeout as error:
        raise RunTrouble(
            f"Run {run.id} is alive; it can't be deleted.", "Stop it first, or discard it if nothing of it is needed."
        ) from error
    except OSError as error:
        raise _refused(run, error) from error
    try:
        position, at = run.position(), time.time()
        place = _free_place(folder_of(home), run.id)
        place.parent.mkdir(exist_ok=True)
        write_json(run.path / NOTE, {"at": at, "position": position})
        if sys.platform == "win32":  # where a folder with an open file in it can't be renamed
            lock.release()
        run.path.rename(place)
    except OSError as error:
        with suppress(OSError):  # what stands in the way of the run may stand in the way of this, too
            (run.path / NOTE).unlink(missing_ok=True)
        raise _refused(run, error) from error
    finally:
        lock.release()
    with suppress(OSError):  # nobody starts what is in the trash, and the note says its place, too
        RunFolder(place).queue_entry.unlink(missing_ok=True)
    _sync(home)
    return Thrown(run.id, place, at, position, str(RunFolder(place).meta().get("name") or run.id))


def bring_back(home: Home, thrown: Thrown) -> RunFolder:
    """Put a run back where it was, into the queue too if it waited there. Raises RunTrouble if that can't be."""
    run = RunFolder(home.runs / thrown.id)
    if not thrown.folder.is_dir():
        raise RunTrouble(f"Run {thrown.id} is not in the trash any more.", "It was emptied meanwhile.")
    if run.path.exists():
        raise RunTrouble(
            f"Run {thrown.id} can't come back: there is a run of that id.", f"It stays in {thrown.folder}."
        )
    try:
        home.runs.mkdir(exist_ok=True)
        if thrown.position is not None:
            write_json(RunFolder(thrown.folder).queue_entry, {"position": thrown.position})
        thrown.folder.rename(run.path)
    except OSError as error:
        raise RunTrouble(
            f"Run {thrown.id} can't be brought back: {error.strerror}.", f"It stays in {thrown.folder}."
        ) from error
    with suppress(OSError):  # the run is back; the next note replaces this one
        (run.path / NOTE).unlink(missing_ok=True)
    _sync(home)
    return run


def contents(home: Home) -> list[Thrown]:
    """What is in the trash, the oldest first."""
    try:
        folders = [folder for folder in folder_of(home).iterdir() if folder.is_dir()]
    except FileNotFoundError:
        return []
    return sorted((_thrown(folder) for folder in folders), key=lambda thrown: (thrown.at, thrown.id))


def empty(home: Home, older_than_s: float = 0.0) -> int:
    """Remove for good what has been in the trash for so long; returns the bytes that became free.

    A run whose lock is held (an engine that was started by hand in the trash) is left. Raises RunTrouble.
    """
    freed, left = 0, []
    for thrown in contents(home):
        run = RunFolder(thrown.folder)
        if time.time() - thrown.at < older_than_s or is_locked(run.lock_file):
            continue
        size = run.size_bytes()
        shutil.rmtree(thrown.folder, ignore_errors=True)
        if thrown.folder.exists():
            left.append(str(thrown.folder))
        freed += size - (run.size_bytes() if thrown.folder.exists() else 0)
    if left:
        raise RunTrouble(f"{left[0]} can't be removed.", "Change its permissions, or remove it by hand.")
    return freed


def size_bytes(home: Home) -> int:
    """What the trash takes on disk."""
    return RunFolder(folder_of(home)).size_bytes()


def _free_place(trash: Path, run_id: str) -> Path:
    """Where the run goes; another run of that id may be there already, if somebody copied folders by hand."""
    place, number = trash / run_id, 2
    while place.exists():
        place, number = trash / f"{run_id}~{number}", number + 1
    return place


def _thrown(folder: Path) -> Thrown:
    run = folder.name.partition("~")[0]
    try:
        note = read_json(folder / NOTE)
    except (OSError, ValueError):
        note = {}
    at, position = _number(note, "at"), _number(note, "position")
    if at is None:
        at = folder.stat().st_ctime  # the rename is nearly the last that changed it
    return Thrown(run, folder, at, position, str(RunFolder(folder).meta().get("name") or run))


def _number(note: Any, key: str) -> float | None:
    """What a note says, which anybody may have edited."""
    value = note.get(key) if isinstance(note, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _refused(run: RunFolder, error: OSError) -> RunTrouble:
    if error.errno == errno.EXDEV:
        return RunTrouble(
            f"Run {run.id} can't be moved to the trash: it lies on another disk than the data folder.",
            f"Remove {run.path} by hand.",
        )
    return RunTrouble(
        f"Run {run.id} can't be moved to the trash: {error.strerror}.", "Free some space, or change the permissions."
    )


def _sync(home: Home) -> None:
    with suppress(OSError):  # the rename is done; that it survives a power cut is a wish
        sync_folder(home.runs)
        sync_folder(folder_of(home))
