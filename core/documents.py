"""Documents from text files, read as a stream: plain text, Markdown, JSON lines with a `text` field, or a folder.

Documents are parted by lines that hold just the separator (`<|endoftext|>` unless told otherwise); a file without such
a line is one document. In JSON lines every line is one document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadData
from core.numbers import bytes_text

DEFAULT_SEPARATOR = "<|endoftext|>"
TEXT_ENDINGS = (".txt", ".text", ".md", ".markdown")
JSON_LINES_ENDINGS = (".jsonl", ".ndjson")
LONGEST_LINE_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Document:
    """A text with the file and the line (from 1) where it begins."""

    text: str
    path: Path
    line: int


def text_files(paths: tuple[str, ...] | list[str]) -> list[Path]:
    """The files that the paths stand for, each once, folders searched in a fixed order. BadData if there is none."""
    found: dict[Path, None] = {}  # one that is named twice must not be learnt and examined both
    for item in paths:
        path = Path(item)
        try:
            found |= dict.fromkeys(_in_folder(path) if path.is_dir() else [path])
            there = path.is_dir() or path.is_file()
        except OSError as error:
            raise BadData(f"{path} can't be read: {error.strerror}.", "Check that you may read it.") from error
        if not there:
            raise BadData(f"There is no file or folder {path}.", "Choose text to read.")
    return list(found)


def _in_folder(folder: Path) -> list[Path]:
    endings = TEXT_ENDINGS + JSON_LINES_ENDINGS
    inside = sorted(file for file in folder.rglob("*") if file.suffix.lower() in endings and file.is_file())
    if not inside:
        raise BadData(f"The folder {folder} holds no text.", f"Files ending in {', '.join(endings)} are read.")
    return inside


def documents(paths: tuple[str, ...] | list[str], separator: str | None = None) -> Iterator[Document]:
    """Every document that is not blank, in the order of the files.

    Raises BadData naming file and line; also if there is none at all.
    """
    files = text_files(paths)
    empty = True
    for path in files:
        for document in _of_file(path, (separator or "").strip() or DEFAULT_SEPARATOR):
            empty = False
            yield document
    if empty:
        raise BadData(
            f"{', '.join(str(path) for path in files[:3])} holds no text: it is empty or blank.", "Choose text to read."
        )


def total_bytes(paths: tuple[str, ...] | list[str]) -> int:
    """The size on disk of all files that the paths stand for."""
    return sum(path.stat().st_size for path in text_files(paths))


def _of_file(path: Path, separator: str) -> Iterator[Document]:
    lines = _lines(path)
    if path.suffix.lower() in JSON_LINES_ENDINGS:
        yield from _json_lines(path, lines)
        return
    part: list[str] = []
    start = 1
    for number, line in lines:
        if line.strip() == separator:
            if text := _joined(part):
                yield Document(text, path, start)
            part, start = [], number + 1
        else:
            part.append(line)
    if text := _joined(part):
        yield Document(text, path, start)


def _joined(lines: list[str]) -> str:
    """The lines as one text without blank lines around it; what a line begins with (indentation, say) is kept."""
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while first < last and not lines[last - 1].strip():
        last -= 1
    return "\n".join(lines[first:last])


def _json_lines(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Document]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise BadData(f"Line {number} of {path} is not valid JSON ({why}).", "Mend or remove the line.") from error
        text = row.get("text") if isinstance(row, dict) else None
        if not isinstance(text, str):
            raise BadData(
                f"Line {number} of {path} has no field `text` with a text in it.",
                "Name the field that holds the text `text`.",
            )
        if not text.strip():
            continue
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadData(
                f"Line {number} of {path} holds half a character, {text[error.start]!r}.", "Mend or remove the line."
            ) from error
        yield Document(text, path, number)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends. Windows line ends and a leading byte order mark are taken off."""
    try:
        with path.open("rb") as stream:
            number = 0
            while raw := stream.readline(LONGEST_LINE_BYTES + 1):
                number += 1
                if number == 1:
                    _refuse_other_encodings(path, raw)
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if b"\x00" in raw:
                    raise BadData(f"{path} is not a text file: line {number} holds zero bytes.", "Choose a text file.")
                if len(raw) > LONGEST_LINE_BYTES:
                    raise BadData(
                        f"Line {number} of {path} is longer than {bytes_text(LONGEST_LINE_BYTES)}.",
                        "Break it into lines, or into documents.",
                    )
                try:
                    line = raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    column = len(raw[: error.start].decode("utf-8")) + 1
                    raise BadData(
                        f"{path} is not UTF-8 text: line {number} has the byte 0x{raw[error.start]:02x} "
                        f"at column {column}.",
                        "Save it as UTF-8, or choose another file.",
                    ) from error
                yield number, line.rstrip("\r\n")
    except OSError as error:
        raise BadData(
            f"{path} can't be read: {error.strerror}.", "Check that it is there and that you may read it."
        ) from error


def _refuse_other_encodings(path: Path, head: bytes) -> None:
    for mark, name in ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if head.startswith(mark):
            raise BadData(f"{path} is {name} text.", "Save it as UTF-8.")
