"""Rows out of files, as a stream: JSON arrays and lines, CSV, Parquet, Arrow, plain text. Nothing is held but a row or a batch.

A row that can't be read comes as a BadData in its place, so that a reader may count it and go on; what ends the whole
file (another encoding, a damaged archive) is raised.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Literal, TypeAlias

from core.data.files import (
    COLUMN_ENDINGS,
    JSON_ENDINGS,
    JSON_LINES_ENDINGS,
    MARKDOWN_ENDINGS,
    TABLE_ENDINGS,
    Source,
)
from core.errors import BadData
from core.numbers import bytes_text

ContainerName: TypeAlias = Literal["json", "jsonl", "csv", "parquet", "arrow", "text", "markdown"]
Row: TypeAlias = tuple[
    int, Any
]  # line or row, from 1, and what stands there, or the BadData that says why it can't be read

DEFAULT_SEPARATOR = "<|endoftext|>"
LONGEST_LINE_BYTES = 16 * 2**20  # of text
LONGEST_JSON_LINE_BYTES = 2**28
HEAD_BYTES = 2**16
ROWS_AT_ONCE = 256  # of Parquet and Arrow
OWN_LISTS = {  # of a row: what any of these holds are no rows
    *("messages", "conversations", "conversation", "dialogue", "prompt", "turns", "history", "chosen", "rejected"),
    *("tools", "functions", "responses", "completions", "answers"),
}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Container:
    """How rows lie in a file. `prefix` says where a JSON file has its rows (ijson's words), `delimiter` parts the cells of CSV."""

    name: ContainerName
    prefix: str = ""
    delimiter: str = ","

    @property
    def unit(self) -> str:
        """What rows are counted in."""
        return "line" if self.name in ("jsonl", "text", "markdown") else "row"


# ---------------------------------------------------------------------------------------------------- what a file holds


def container_of(source: Source) -> Container:
    """By the first bytes and the ending. BadData for what is no text and no table that we know."""
    with source.open() as stream:
        head = stream.read(HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return Container("parquet")
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return Container("arrow")
    if source.ending in COLUMN_ENDINGS:
        if not head:
            raise BadData(f"{source.path} is empty.", "Choose data to read.")
        raise BadData(f"{source.path} is no {source.ending[1:]} file: it begins otherwise.", "Fetch or write it again.")
    if source.ending in TABLE_ENDINGS:
        return Container("csv", delimiter="\t" if source.ending == ".tsv" else _delimiter(head))
    if source.ending in MARKDOWN_ENDINGS:
        return Container("markdown")
    if source.ending in JSON_ENDINGS + JSON_LINES_ENDINGS:
        return _json_container(source, head.removeprefix(BYTE_ORDER_MARK))
    return Container("text")


def _delimiter(head: bytes) -> str:
    line = head.removeprefix(BYTE_ORDER_MARK).split(b"\n", 1)[0].decode("utf-8", "replace")
    unquoted = "".join(line.split('"')[::2])
    return max(",;\t", key=unquoted.count)  # of equals the first


def _json_container(source: Source, head: bytes) -> Container:
    """An array, an object that holds one, or lines; whatever the ending says."""
    begins = head.lstrip()
    if begins.startswith(b"["):
        return Container("json", "item")
    if not begins.startswith(b"{"):
        return Container("jsonl")
    first, _, rest = begins.partition(b"\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        lines = source.ending in JSON_LINES_ENDINGS and first.strip() != b"{"
    else:
        lines = bool(rest.strip()) or source.ending in JSON_LINES_ENDINGS
    if lines:
        return Container("jsonl")
    prefix = _rows_within(source)
    return Container("json", prefix) if prefix or first.strip() == b"{" or rest.strip() else Container("jsonl")


def _rows_within(source: Source) -> str:
    """Where the first object of a file keeps a list of rows; empty if it has none, and so is a row itself."""
    import ijson

    key = ""
    with source.open() as stream:
        try:
            before = ""
            for prefix, event, value in ijson.parse(_Checked(source, stream), multiple_values=True):
                if prefix == "" and event == "map_key":
                    key = value
                elif event == "start_map" and before == "start_array" and prefix == f"{key}.item":
                    if key not in OWN_LISTS:
                        return f"{key}.item"
                elif prefix == "" and event == "end_map":
                    return ""
                before = event
        except (ijson.JSONError, ValueError):
            return ""  # whoever reads the rows says where it is broken
    return ""


# ------------------------------------------------------------------------------------------------------------ the rows


def rows(
    source: Source, container: Container, separator: str | None = None, most_characters: int | None = None
) -> Iterator[Row]:
    """The rows of a file with their places. A row of text is the whole text of a document, cut behind `most_characters`."""
    with source.open() as stream:
        match container.name:
            case "jsonl":
                yield from _json_lines(source, stream)
            case "json":
                yield from _json_items(source, stream, container.prefix)
            case "csv":
                yield from _csv_rows(source, stream, container.delimiter)
            case "parquet":
                yield from _parquet_rows(source, stream)
            case "arrow":
                yield from _arrow_rows(source, stream)
            case _:
                yield from _documents(source, stream, separator, most_characters)


def _documents(source: Source, stream: IO[bytes], separator: str | None, most_characters: int | None) -> Iterator[Row]:
    separator = (separator or "").strip() or DEFAULT_SEPARATOR
    part: list[str] = []
    start, size = 1, 0
    for number, raw in _raw_lines(source, stream, LONGEST_LINE_BYTES):
        line = _decoded(source, number, raw)
        if line.strip() == separator:
            if text := _joined(part):
                yield start, {"text": text}
            part, start, size = [], number + 1, 0
        elif most_characters is None or size < most_characters:
            part.append(line)
            size += len(line) + 1
        elif _joined(part):  # enough is seen of this one
            break
    if text := _joined(part):
        yield start, {"text": text}


def _joined(lines: list[str]) -> str:
    """The lines as one text without blank lines around it; what a line begins with (indentation, say) is kept."""
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while first < last and not lines[last - 1].strip():
        last -= 1
    return "\n".join(lines[first:last])


def _json_lines(source: Source, stream: IO[bytes]) -> Iterator[Row]:
    for number, raw in _raw_lines(source, stream, LONGEST_JSON_LINE_BYTES):
        try:
            line = _decoded(source, number, raw)
            if line.strip():
                yield number, json.loads(line)
        except BadData as trouble:
            yield number, trouble
        except (ValueError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            yield (
                number,
                BadData(f"Line {number} of {source.path} is not valid JSON ({why}).", "Mend or remove the line."),
            )


def _json_items(source: Source, stream: IO[bytes], prefix: str) -> Iterator[Row]:
    """The elements of an array, or all objects that stand one after another. What follows a broken place can't be read."""
    import ijson

    number = 0
    items = ijson.items(_Checked(source, stream), prefix, multiple_values=True, use_float=True)
    try:
        for number, value in enumerate(items, 1):
            yield number, value
    except (ijson.JSONError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:200]
        last = "Row 1" if not number else f"What follows row {number}"
        yield (
            number + 1,
            BadData(f"{last} of {source.path} is not valid JSON ({why}).", "Mend the file, or write it again."),
        )


class _Checked:
    """Bytes on their way to a JSON reader, without byte order mark, refused by line where they are no UTF-8."""

    def __init__(self, source: Source, stream: IO[bytes]) -> None:
        self._source, self._stream = source, stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._lines, self._line_start = 1, b""
        self._begun = False
        self._nesting = _Nesting(source)

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        if size == 0:
            return chunk
        if not self._begun and chunk:
            self._begun = True
            _refuse_other_encodings(self._source, chunk)
            chunk = chunk.removeprefix(BYTE_ORDER_MARK) or self._stream.read(size)
        before = self._decoder.getstate()[0]
        try:
            self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            whole = before + chunk
            line = self._lines + whole.count(b"\n", 0, error.start)
            begin = whole.rfind(b"\n", 0, error.start) + 1
            column = len((b"" if begin else self._line_start).decode("utf-8", "ignore")) + len(
                whole[begin : error.start].decode("utf-8", "ignore")
            )
            raise _not_utf8(self._source, line, whole[error.start], column + 1) from error
        self._nesting.feed(chunk)
        self._lines += chunk.count(b"\n")
        newline = chunk.rfind(b"\n")
        self._line_start = chunk[newline + 1 :] if newline >= 0 else (self._line_start + chunk)[:HEAD_BYTES]
        return chunk


CLOSED_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
DEEPEST = 1000


class _Nesting:
    """Refuses JSON that is nested deeper than any data are: the memory that ijson takes grows with the square of the depth."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._depth = 0
        self._in_string = self._escaped = False

    def feed(self, chunk: bytes) -> None:
        """The next bytes; BadData if they go too deep."""
        if self._escaped:
            chunk = chunk[1:]
        outside = CLOSED_STRING.sub(b"", b'"' + chunk if self._in_string else chunk)
        begin = outside.find(b'"')
        self._in_string = begin >= 0
        self._escaped = self._in_string and (len(outside) - len(outside.rstrip(b"\\"))) % 2 == 1
        brackets = (outside[:begin] if self._in_string else outside).translate(None, NO_BRACKETS)
        steps = [1 if bracket in b"[{" else -1 for bracket in brackets]
        if max(itertools.accumulate(steps), default=0) + self._depth > DEEPEST:
            raise BadData(
                f"{self._source.path} is not valid JSON data: it is nested more than {DEEPEST} deep.",
                "Choose another file.",
            )
        self._depth += sum(steps)


def _csv_rows(source: Source, stream: IO[bytes], delimiter: str) -> Iterator[Row]:
    """Each row as the names of the first line with its cells."""
    csv.field_size_limit(LONGEST_JSON_LINE_BYTES)
    lines = (
        f"{_decoded(source, number, raw)}\n" for number, raw in _raw_lines(source, stream, LONGEST_JSON_LINE_BYTES)
    )
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    head: list[str] | None = None
    number = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield (
                number,
                BadData(
                    f"Row {number} of {source.path} (up to line {reader.line_num}) is not valid CSV: {error}.",
                    "Put cells that hold quotes, line ends or delimiters in double quotes, and double the quotes in them.",
                ),
            )
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if head is None:
            head = [cell.strip() for cell in cells]
            _refuse_without_names(source, head)
            continue
        number += 1
        if len(cells) != len(head):
            yield (
                number,
                BadData(
                    f"Row {number} of {source.path} (line {reader.line_num}) has {len(cells)} cells, but there are "
                    f"{len(head)} columns.",
                    "Mend or remove the row.",
                ),
            )
        else:
            yield number, {name: _cell(cell) for name, cell in zip(head, cells, strict=True)}


def _refuse_without_names(source: Source, head: list[str]) -> None:
    if not all(head) or len(set(head)) < len(head):
        raise BadData(
            f"The first line of {source.path} does not name its columns: {', '.join(map(repr, head[:8]))}.",
            "Let it begin with a line of names, each once.",
        )


def _cell(cell: str) -> Any:
    """Lists of turns come into tables as JSON."""
    if cell[:2].strip() in ("[{", '["', "[") and cell.rstrip().endswith("]"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def _parquet_rows(source: Source, stream: IO[bytes]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        batches = pq.ParquetFile(stream).iter_batches(batch_size=ROWS_AT_ONCE)
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _damaged(source, "Parquet", error) from error


def _arrow_rows(source: Source, stream: IO[bytes]) -> Iterator[Row]:
    """Of both of Arrow's forms: a file, as Feather is, and a stream, as the Hub's cache is."""
    import pyarrow as pa

    try:
        parts = (
            batch.slice(start, ROWS_AT_ONCE)
            for batch in _arrow_batches(stream)
            for start in range(0, batch.num_rows, ROWS_AT_ONCE)
        )
        yield from enumerate((row for part in parts for row in part.to_pylist()), 1)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _damaged(source, "Arrow", error) from error


def _arrow_batches(stream: IO[bytes]) -> Iterator[Any]:
    from pyarrow import ipc

    if stream.read(6) == b"ARROW1":
        stream.seek(0)
        reader = ipc.open_file(stream)
        yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
    else:
        stream.seek(0)
        yield from ipc.open_stream(stream)


def _damaged(source: Source, what: str, error: Exception) -> BadData:
    why = " ".join(str(error).split())[:200]
    return BadData(f"{source.path} can't be read as {what}: {why}.", "Fetch or write it again.")


# ----------------------------------------------------------------------------------------------------------- the lines


def _raw_lines(source: Source, stream: IO[bytes], longest: int) -> Iterator[tuple[int, bytes]]:
    """Numbered lines with their ends, without a leading byte order mark. BadData for what is no text at all."""
    number = 0
    while raw := stream.readline(longest + 1):
        number += 1
        if number == 1:
            _refuse_other_encodings(source, raw)
            raw = raw.removeprefix(BYTE_ORDER_MARK)
        if b"\x00" in raw:
            raise BadData(f"{source.path} is not a text file: line {number} holds zero bytes.", "Choose a text file.")
        if len(raw) > longest:
            raise BadData(
                f"Line {number} of {source.path} is longer than {bytes_text(longest)}.",
                "Break it into lines, or into documents.",
            )
        yield number, raw


def _decoded(source: Source, number: int, raw: bytes) -> str:
    """A line without its end, be it of Windows or not."""
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        column = len(raw[: error.start].decode("utf-8")) + 1
        raise _not_utf8(source, number, raw[error.start], column) from error


def _not_utf8(source: Source, line: int, byte: int, column: int) -> BadData:
    return BadData(
        f"{source.path} is not UTF-8 text: line {line} has the byte 0x{byte:02x} at column {column}.",
        "Save it as UTF-8, or choose another file.",
    )


def _refuse_other_encodings(source: Source, head: bytes) -> None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadData(f"{source.path} is UTF-16 text.", "Save it as UTF-8.")


def head_of(source: Source, container: Container, count: int, separator: str | None = None) -> list[Row]:
    """The first rows; of text no more than the beginnings."""
    return list(islice(rows(source, container, separator, most_characters=HEAD_BYTES), count))


def is_text(container: Container) -> bool:
    """Whether its rows are documents as they stand."""
    return container.name in ("text", "markdown")
