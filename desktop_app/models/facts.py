"""What is looked up about one model off the window's thread: its files, lineage, runs, and whether it may be deleted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.adapters import Adapter, base_of, read_adapter
from core.errors import BadModel, Trouble
from core.home import Home
from core.library import Ancestor, Library, added_folders
from core.model_folders import name_of
from core.models import ModelEntry
from core.run_summary import RunSummary
from desktop_app.models.deletion import Refusal, may_delete

Part = Literal["teacher", "student", "result"]
ALIVE = ("running", "stopping")


@dataclass(frozen=True)
class RunPart:
    """A run in which the model took part; `result` is the run that made it."""

    run: str
    name: str
    state: str
    part: Part


@dataclass(frozen=True)
class Facts:
    """All of it, ready to be shown. `size_bytes` is that of the whole folder."""

    path: Path
    files: tuple[tuple[str, int], ...]  # names below the folder with their bytes, the largest first
    size_bytes: int
    ancestors: tuple[Ancestor, ...]  # from the teacher upwards
    made_by: str | None  # the run, as the model itself says
    students: tuple[tuple[str, Path], ...]  # models at hand that learnt from it
    runs: tuple[RunPart, ...]
    added_folder: Path | None  # the folder that the user added, in which it lies
    refusal: Refusal | None  # why it can't be deleted
    unread: str = ""  # why its folder can't be read
    adapter: Adapter | None = None
    base: Path | None = None  # of the adapter, if it is there and unchanged
    base_trouble: str = ""  # else why it can't be used as it stands
    adapters: tuple[tuple[str, Path], ...] = ()  # at hand, for this model or of the same base


def look_up(
    home: Home, entry: ModelEntry, source: str, rows: Sequence[RunSummary], entries: Sequence[ModelEntry]
) -> Facts:
    """Read everything about one model. Touches the disk."""
    real = entry.path.resolve()
    files, unread = _files(entry.path)
    runs = tuple(_parts(real, rows))
    folder = _added_folder(home, real)
    with Library(home) as library:
        chain = library.lineage(entry.path)
    used = next((part for part in runs if part.state in ALIVE), None)
    refusal = may_delete(home, entry.path, source, folder, used.name if used else "", files)
    adapter, base, trouble = _adapter(entry)
    mates = _adapters(base or (None if adapter is not None else real), entry, entries)
    return Facts(
        path=entry.path,
        files=files,
        size_bytes=sum(size for _, size in files),
        ancestors=tuple(chain[1:]),
        made_by=chain[0].run if chain else None,
        students=tuple(_students(real, entries)),
        runs=runs,
        added_folder=folder,
        refusal=refusal,
        unread=unread,
        adapter=adapter,
        base=base,
        base_trouble=trouble,
        adapters=tuple(mates),
    )


def _adapter(entry: ModelEntry) -> tuple[Adapter | None, Path | None, str]:
    """The adapter in the folder with its base, or why that can't be used."""
    if entry.info is None or not entry.info.is_adapter:
        return None, None, ""
    try:
        adapter = read_adapter(entry.path)
    except BadModel as trouble:
        return None, None, str(trouble)
    try:
        return adapter, base_of(adapter), ""
    except BadModel as trouble:
        return adapter, None, str(trouble)


def _adapters(base: Path | None, entry: ModelEntry, entries: Sequence[ModelEntry]) -> list[tuple[str, Path]]:
    """The other adapters at hand that say that they are for `base`."""
    if base is None:
        return []
    return [
        (other.name, other.path)
        for other in entries
        if other.info
        and other.info.is_adapter
        and other.path != entry.path
        and _is(other.info.base_model, base.resolve())
    ]


def _files(folder: Path) -> tuple[tuple[tuple[str, int], ...], str]:
    found: list[tuple[str, int]] = []
    try:
        os.scandir(folder).close()
    except OSError as error:
        return (), error.strerror or str(error)
    for here, _, names in os.walk(folder):
        for name in names:
            file = Path(here, name)
            try:
                found.append((file.relative_to(folder).as_posix(), file.stat().st_size))
            except OSError:  # it went meanwhile, or is a link to nowhere
                found.append((file.relative_to(folder).as_posix(), 0))
    return tuple(sorted(found, key=lambda one: (-one[1], one[0]))), ""


def _parts(real: Path, rows: Sequence[RunSummary]) -> list[RunPart]:
    found: list[RunPart] = []
    for row in reversed(rows):
        if _is(row.model, real) or _is(row.out, real):
            part: Part = "result"
        elif _is(row.teacher, real):
            part = "teacher"
        elif _is(row.student, real):
            part = "student"
        else:
            continue
        found.append(RunPart(row.id, row.name, row.state, part))
    return found


def _is(named: str | None, real: Path) -> bool:
    """Whether a recipe's words name this folder: by its path, or by its name in the Hub cache. Shares and sizes don't."""
    if named is None or not {"/", os.sep} & set(named):
        return False
    return named == name_of(real) or Path(named).resolve() == real


def _students(real: Path, entries: Sequence[ModelEntry]) -> list[tuple[str, Path]]:
    return [
        (entry.name, entry.path)
        for entry in entries
        if entry.info
        and entry.info.lineage
        and entry.info.lineage.teacher
        and _is(entry.info.lineage.teacher.path, real)
    ]


def _added_folder(home: Home, real: Path) -> Path | None:
    """The added folder that holds the model; none where the list can't be read."""
    try:
        folders = added_folders(home)
    except Trouble:
        return None
    inside = [folder for folder in folders if real.is_relative_to(folder)]
    return max(inside, key=lambda folder: len(folder.parts), default=None)
