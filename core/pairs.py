"""Minimal pairs: two sentences of which one is right, in BLiMP's format (Warstadt et al., arXiv 1912.00582).

JSON lines with `sentence_good` and `sentence_bad`; one file is one set. Folders and zip archives hold several.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from core.errors import BadData

ENDS = (".jsonl", ".ndjson")
ARCHIVE = ".zip"


class Pair(NamedTuple):
    good: str
    bad: str


def read_pairs(path: Path, limit: int | None = None) -> dict[str, list[Pair]]:
    """The sets by name, each with its first `limit` pairs. BadData names the file, the line and the field that is wrong."""
    found: dict[str, list[Pair]] = {}
    try:
        for name, where, lines in _sets(path):
            pairs = list(_pairs(lines, where, limit))
            if not pairs:
                raise BadData(f"{where} has no pairs.", "A line is an object with sentence_good and sentence_bad.")
            found[name] = pairs
    except zipfile.BadZipFile as error:
        raise BadData(f"{path} is no whole zip archive: {error}.", "Fetch it again.") from error
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not text in UTF-8: {error}.", "Save it as UTF-8.") from error
    except OSError as error:
        raise BadData(
            f"{path} can't be read: {error.strerror or error}.", "Check the path and its permissions."
        ) from error
    if not found:
        raise BadData(f"{path} holds no minimal pairs.", f"Sets are files that end in {' or '.join(ENDS)}.")
    return found


def holds_pairs(folder: Path) -> bool:
    """Whether anything in a folder may be sets of pairs."""
    return any(file.suffix in (*ENDS, ARCHIVE) for file in folder.rglob("*"))


def _sets(path: Path) -> Iterator[tuple[str, str, Iterable[str]]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix in (*ENDS, ARCHIVE):
                yield from _sets(file)
    elif path.suffix == ARCHIVE:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.namelist()):
                if member.endswith(ENDS) and "__MACOSX" not in member:
                    yield Path(member).stem, f"{path}, {member}", archive.read(member).decode("utf-8-sig").splitlines()
    else:
        yield path.stem, str(path), path.read_text(encoding="utf-8-sig").splitlines()


def _pairs(lines: Iterable[str], where: str, limit: int | None) -> Iterator[Pair]:
    kept = 0
    for number, line in enumerate(lines, 1):
        if limit is not None and kept >= limit:
            return
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BadData(f"{where}, line {number} is no JSON: {error}.", "One line is one object.") from error
        for name in Pair._fields:
            said = row.get(f"sentence_{name}") if isinstance(row, dict) else None
            if not isinstance(said, str) or not said.strip():
                raise BadData(
                    f"{where}, line {number}: the field sentence_{name} is missing or no text.",
                    "A line is an object with sentence_good and sentence_bad.",
                )
        kept += 1
        yield Pair(row["sentence_good"], row["sentence_bad"])
