"""What the model will see of the data: their format, how many there are, and the first rows with what is learnt of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from core.data.examples import Example, Recognised
from core.data.inspection import inspect_data
from core.data.placeholders import filled, placeholders_in
from core.data.preview import Shown, preview
from core.data.rendering import Reader, Segment
from core.data.shelf import data_key
from core.errors import Trouble
from core.models import inspect_model

ROWS = 5


@dataclass(frozen=True)
class File:
    """One of the files or folders: what it is and how much, or why it can't be read."""

    path: Path
    recognised: Recognised | None = None
    documents: int = 0
    exact: bool = True
    trouble: str = ""


@dataclass(frozen=True)
class Glimpse:
    """`rows` are as the model will see them; `trouble` says why there are none. `marks` are placeholders in the data: name, author."""

    files: tuple[File, ...] = ()
    rows: tuple[Shown, ...] = ()
    trouble: str = ""
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Reading:
    """How the rows are read and shown. `template` is a name or a .jinja file, None for the speaker's own."""

    data: tuple[str, ...]
    speaker: Path | None
    template: str | None = None
    mapping: Mapping[str, str] | None = None
    separator: str | None = None
    fillings: Mapping[str, str] | None = None  # of placeholders
    everything: bool = False  # all of it is learnt


def look(reading: Reading) -> Glimpse:
    """Quick, however big the data are."""
    files = tuple(_file(path, reading) for path in reading.data)
    if not files or any(file.trouble for file in files):
        return Glimpse(files)
    marks: set[str] = set()

    def change(row: Example) -> Example:
        marks.update(mark.strip("{}") for mark in placeholders_in(row))
        return filled(row, reading.fillings or {})

    try:
        reader = _reader(reading.speaker, reading.template, _stamp(reading.speaker)) if reading.speaker else None
        context = inspect_model(reading.speaker).context if reading.speaker else None
        rows = preview(
            reading.data,
            reader,
            count=ROWS,
            mapping=reading.mapping,
            separator=reading.separator,
            context=context,
            change=change,
        )
    except Trouble as trouble:
        return Glimpse(files, trouble=str(trouble))
    return Glimpse(files, tuple(_as_learnt(row, reading.everything) for row in rows), marks=frozenset(marks))


def _as_learnt(row: Shown, everything: bool) -> Shown:
    """Plain text is learnt as a whole; and so are conversations, on wish. Of a pair only the better answer is to be said."""
    if row.name == "rejected":
        segments = tuple(Segment(piece.text, piece.special, learnt=False) for piece in row.segments)
        return replace(row, segments=segments, learnt_tokens=None)
    if not everything and row.kind != "text":
        return row
    segments = tuple(Segment(piece.text, piece.special, learnt=True) for piece in row.segments)
    return replace(row, segments=segments, learnt_tokens=row.tokens)


def _file(path: str, reading: Reading) -> File:
    mapping = tuple(sorted((reading.mapping or {}).items()))
    return _inspected(path, mapping, reading.separator, data_key(Path(path)))


@lru_cache(maxsize=32)
def _inspected(path: str, mapping: tuple[tuple[str, str], ...], separator: str | None, _key: str) -> File:
    try:
        found = inspect_data([path], dict(mapping) or None, separator, quick=True)
    except Trouble as trouble:
        return File(Path(path), trouble=str(trouble))
    return File(Path(path), found.recognised, found.documents, found.exact)


def _stamp(folder: Path | None) -> float:
    """Changes when the tokenizer or the template do."""
    names: Sequence[str] = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    return sum((folder / name).stat().st_mtime for name in names if (folder / name).exists()) if folder else 0.0


@lru_cache(maxsize=8)
def _reader(folder: Path, template: str | None, _stamp: float) -> Reader:
    return Reader.of(folder, template)
