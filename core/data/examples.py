"""Examples out of any files, as a stream, and what a file was recognised as.

    for example in examples(["chats.jsonl", "folder"]):
        ...

A row that can't be read ends the reading with a BadData that names file, line and field; or is skipped and counted, on
wish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data.containers import Container, Row, container_of, head_of, is_text, rows
from core.data.files import Source, data_files, sources
from core.data.flaws import flaws_of
from core.data.formats import MAPPABLE, REASONS, Place, Unread, example_of
from core.data.turns import Broken, Example, Kind, Role, Turn
from core.errors import BadData

__all__ = ["Broken", "Example", "Kind", "Recognised", "Role", "Turn", "examples", "recognise"]

LOOKED_AT = 20  # rows that decide what a file is


def examples(
    paths: Sequence[str],
    *,
    mapping: Mapping[str, str] | None = None,
    separator: str | None = None,
    skip_broken: bool = False,
    broken: Broken | None = None,
    kinds: Collection[Kind] | None = None,
    may_be_empty: bool = False,
) -> Iterator[Example]:
    """Every row of the files as an example, in their order; texts that are blank are left out.

    `mapping` names the columns of fields by hand: {"text": "body"}. `kinds` are those that are wanted: another is as a
    broken row. Broken rows raise BadData; with `skip_broken` they are counted in `broken`. A file whose encoding or
    archive is broken raises in any case, and so does data without a single example, unless it `may_be_empty`.
    """
    refuse_unknown_fields(mapping)
    files = data_files(paths)
    tally = broken if broken is not None else Broken()
    found = False
    for path in files:
        for source in sources(path):
            container = container_of(source)
            for row in rows(source, container, separator):
                try:
                    example = example_at(source, container, row, mapping)
                    _refuse_kind(example, kinds)
                except BadData as trouble:
                    if not skip_broken:
                        raise
                    tally.add(trouble)
                    continue
                if example.kind != "text" or example.text.strip():
                    found = True
                    yield example
    if not found and not may_be_empty:
        names = ", ".join(str(path) for path in files[:3])
        if tally.count:
            raise BadData(f"All {tally.count} rows of {names} are broken. {tally.first[0]}", "Choose other data.")
        raise BadData(f"{names} holds no text: it is empty or blank.", "Choose text to read.")


def example_at(source: Source, container: Container, row: Row, mapping: Mapping[str, str] | None) -> Example:
    """The example of a row as `rows` gives it; BadData if it is none."""
    number, value = row
    if isinstance(value, BadData):
        raise value
    try:
        return example_of(value, Place(source.path, number, container.unit), None if is_text(container) else mapping)
    except Unread as unread:
        raise BadData(
            f"{container.unit.capitalize()} {number} of {source.path} {unread.what}", unread.way_out
        ) from unread


def _refuse_kind(example: Example, kinds: Collection[Kind] | None) -> None:
    if kinds is not None and example.kind not in kinds:
        place = f"{example.place[0].upper()}{example.place[1:]}"
        raise BadData(f"{place} is {KIND_WORDS[example.kind]}, but {_or(kinds)} was expected.", "Choose other data.")


KIND_WORDS: dict[Kind, str] = {
    "text": "plain text",
    "conversation": "a conversation",
    "preference": "a pair to prefer between",
    "questions": "a question without an answer",
}


def _or(kinds: Collection[Kind]) -> str:
    return " or ".join(KIND_WORDS[kind] for kind in kinds)


def refuse_unknown_fields(mapping: Mapping[str, str] | None) -> None:
    unknown = [name for name in mapping or {} if name not in MAPPABLE]
    if unknown:
        raise BadData(f"There is no field {unknown[0]!r} to map a column to.", f"There are {', '.join(MAPPABLE)}.")


# ---------------------------------------------------------------------------------------------------------- recognition


@dataclass(frozen=True)
class Recognised:
    """What a file is, by its first rows. `reason` says why; `problems` are sentences about these rows.

    The format "table" has columns, but none that we know: they can be named by hand.
    """

    path: Path
    format: str
    kind: Kind
    container: str
    compression: str
    columns: tuple[str, ...]
    reason: str
    problems: tuple[str, ...]


def recognise(path: Path, mapping: Mapping[str, str] | None = None, separator: str | None = None) -> Recognised:
    """What the file is (of a folder or zip: its first file), at a glance, whatever its size. BadData if it can't be read."""
    refuse_unknown_fields(mapping)
    file = data_files([str(path)])[0]
    source = sources(file)[0]
    container = container_of(source)
    head = head_of(source, container, LOOKED_AT, separator)
    found: list[Example] = []
    problems: dict[str, None] = {}
    columns: dict[str, None] = {}
    for row in head:
        if isinstance(row[1], dict) and not is_text(container):
            columns |= dict.fromkeys(map(str, row[1]))
        try:
            found.append(example_at(source, container, row, mapping))
        except BadData as trouble:
            problems[str(trouble)] = None
            continue
        problems |= {
            f"{found[-1].place[0].upper()}{found[-1].place[1:]}: {flaw}.": None for flaw in flaws_of(found[-1])
        }
    if not found and not columns:
        raise BadData(*_nothing(file, head, list(problems)))
    seen = Counter((example.format, example.kind) for example in found)
    spelling, kind = seen.most_common(1)[0][0] if seen else UNKNOWN
    others = [example for example in found if example.kind != kind]
    if others:
        problems[f"Rows are of several kinds: {others[0].place} is {KIND_WORDS[others[0].kind]}."] = None
    by_hand = "columns named by hand" if mapping and not is_text(container) else ""
    return Recognised(
        path=file,
        format=container.name if is_text(container) else spelling,
        kind=kind,
        container="zip" if source.compression == "zip" else container.name,
        compression=source.compression,
        columns=tuple(columns),
        reason=by_hand or _reason(container, spelling),
        problems=tuple(problems),
    )


def _reason(container: Container, spelling: str) -> str:
    if is_text(container):
        return "it is Markdown" if container.name == "markdown" else "it is plain text"
    return REASONS[spelling]


UNKNOWN: tuple[str, Kind] = ("table", "text")


def _nothing(file: Path, head: list[Row], problems: list[str]) -> tuple[str, str]:
    if not head:
        return f"{file} holds no text: it is empty or blank.", "Choose text to read."
    return problems[0], ""
