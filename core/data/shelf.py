"""The data sets at hand: which were added, which our runs made, and what the library's index says of each.

What the user added is remembered in `data.json` of the data folder; the files stay where they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.files import CARD, data_files
from core.data.inspection import inspect_data
from core.errors import Trouble
from core.home import Home
from core.kept_paths import changing_paths, kept_paths
from core.runs import RunFolder

READING = 1  # raise it when core.data learns to read more: every data set is looked into again then
MADE_FILES = ("*.jsonl", "*.parquet")


@dataclass(frozen=True)
class DataSet:
    """A file or folder of data in a line. `documents` is a lower bound unless `exact`; `broken` says why it can't be read."""

    path: Path
    name: str
    source: str  # added or run
    format: str | None
    kind: str | None
    container: str | None
    documents: int | None
    exact: bool
    size_bytes: int | None
    problems: tuple[str, ...]
    broken: str | None


def added_data(home: Home) -> list[Path]:
    """What the user added. LibraryTrouble if the file that remembers it is broken."""
    return kept_paths(home.data_sets, "data")


def changing_data(home: Home) -> AbstractContextManager[list[Path]]:
    """The list, to be changed in place; no other program changes it meanwhile."""
    return changing_paths(home.data_sets, "data")


def data_made_by(run: RunFolder) -> Iterator[Path]:
    """What a finished run wrote: a prepared folder, or files."""
    if (run.artifacts / "data" / CARD).is_file():
        yield run.artifacts / "data"
    for pattern in MADE_FILES:
        yield from sorted(run.artifacts.glob(pattern))
    try:
        out = getattr(run.recipe(), "out", None)
    except Trouble:
        return
    if out is not None and Path(out).exists():
        yield Path(out)


def data_row(path: Path, *, quick: bool) -> dict[str, Any]:
    """What the index keeps of data, without where it comes from."""
    row: dict[str, Any] = {"path": str(path), "name": path.name, "change_key": data_key(path)}
    names = ("format", "kind", "container", "documents", "size_bytes", "broken")
    try:
        found = inspect_data([str(path)], quick=quick)
    except Trouble as trouble:
        return {**row, **dict.fromkeys(names), "exact": 1, "problems": "[]", "broken": str(trouble)}
    what = found.recognised
    told = [f"{problem.text} ({problem.count:,}, first {problem.first})" for problem in found.problems]
    values = (what.format, what.kind, what.container, found.documents, found.bytes, None)
    return {
        **row,
        **dict(zip(names, values, strict=True)),
        "exact": int(found.exact),
        "problems": json.dumps(told),
    }


def data_set(row: dict[str, Any]) -> DataSet:
    facts = {name: row[name] for name in ("name", "source", "format", "kind", "container", "documents", "size_bytes")}
    return DataSet(
        path=Path(row["path"]),
        exact=bool(row["exact"]),
        problems=tuple(json.loads(row["problems"])),
        broken=row["broken"],
        **facts,
    )


def data_key(path: Path) -> str:
    """Changes when a file of the data does."""
    facts: list[Any] = [READING]
    try:
        for file in data_files([str(path)]):
            stat = file.stat()
            facts.append((str(file), stat.st_size, stat.st_mtime_ns))
    except (Trouble, OSError) as error:
        facts.append(str(error))
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
