"""Documents from text files, read as a stream: plain text, Markdown, JSON lines, or a folder of them.

Documents are parted by lines that hold just the separator (`<|endoftext|>` unless told otherwise); a file without such
a line is one document. In JSON lines every line is one document, and the first of these that a row has is read:

- `messages` or `conversations`, a list of turns with `role` and `content` (or `from` and `value`): each turn is a line
  with the role and a colon, then what was said; the answers are what the assistant said;
- `prompt`, `instruction` or `question` (or `input`, which may also come after one of them on a line of its own), and
  `completion`, `response`, `answer` or `output`: the latter is the answer. A completion follows its prompt as it
  stands; any other answer begins on a new line, unless there is white space between the two already;
- `text`: a text without answers.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from core.errors import BadData
from core.numbers import bytes_text

DEFAULT_SEPARATOR = "<|endoftext|>"
TEXT_ENDINGS = (".txt", ".text", ".md", ".markdown")
JSON_LINES_ENDINGS = (".jsonl", ".ndjson")
LONGEST_LINE_BYTES = 16 * 2**20

CONVERSATIONS = ("messages", "conversations")
PROMPTS = ("prompt", "instruction", "question")
ANSWERS = ("completion", "response", "answer", "output")
ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant"}  # other names of the same
ANSWER_FIELDS = (
    "JSON lines with `prompt` and `completion` (or `response`, `answer`, `output`), `instruction` and `output`, "
    "or `messages` with roles"
)

Spans: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A text with the file and the line (from 1) where it begins.

    `learnt` are the characters of its answers, as (from, to) in order, none of them blank; None where the text does not
    tell prompts from answers.
    """

    text: str
    path: Path
    line: int
    learnt: Spans | None = None


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


def documents(
    paths: tuple[str, ...] | list[str], separator: str | None = None, *, prompts: bool = False
) -> Iterator[Document]:
    """Every document that is not blank, in the order of the files. With `prompts`, rows that have but a prompt count, too.

    Raises BadData naming file and line; also if there is none at all.
    """
    files = text_files(paths)
    empty = True
    for path in files:
        for document in _of_file(path, separator, prompts):
            empty = False
            yield document
    if empty:
        raise BadData(
            f"{', '.join(str(path) for path in files[:3])} holds no text: it is empty or blank.", "Choose text to read."
        )


def has_answer(document: Document) -> bool:
    """False if the answer is empty. BadData naming file and line if the document does not tell prompts from answers."""
    if document.learnt is None:
        raise BadData(
            f"{document.path} has no answers to learn: what begins on line {document.line} is plain text.",
            f"Answers are looked for in {ANSWER_FIELDS}. Choose such data, or learn all of the text (answers_only off).",
        )
    return bool(document.learnt)


def refuse_without_answers(paths: tuple[str, ...] | list[str], separator: str | None = None) -> None:
    """BadData if a file's first document has no answers; quick, so that it can be said before a run is made."""
    for path in text_files(paths):
        for document in itertools.islice(_of_file(path, separator), 1):
            has_answer(document)


def total_bytes(paths: tuple[str, ...] | list[str]) -> int:
    """The size on disk of all files that the paths stand for."""
    return sum(path.stat().st_size for path in text_files(paths))


def _of_file(path: Path, separator: str | None, prompts: bool = False) -> Iterator[Document]:
    separator = (separator or "").strip() or DEFAULT_SEPARATOR
    lines = _lines(path)
    if path.suffix.lower() in JSON_LINES_ENDINGS:
        yield from _json_lines(path, lines, prompts)
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


def _json_lines(path: Path, lines: Iterator[tuple[int, str]], prompts: bool) -> Iterator[Document]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise BadData(f"Line {number} of {path} is not valid JSON ({why}).", "Mend or remove the line.") from error
        read = _of_row(row) or (_prompt_alone(row) if prompts else None)
        if read is None:
            raise BadData(
                f"Line {number} of {path} has no field `text` with a text in it, and no prompt with an answer.",
                f"Name the field that holds the text `text`; answers are looked for in {ANSWER_FIELDS}.",
            )
        text, learnt = read
        if not text.strip():
            continue
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadData(
                f"Line {number} of {path} holds half a character, {text[error.start]!r}.", "Mend or remove the line."
            ) from error
        yield Document(text, path, number, learnt)


def _of_row(row: Any) -> tuple[str, Spans | None] | None:
    """The text of a row and where its answers are; None if it has none of the fields."""
    if not isinstance(row, dict):
        return None
    parts = _conversation(row) or _prompt_and_answer(row)
    if parts is None:
        text = row.get("text")
        return (text, None) if isinstance(text, str) else None
    spans, at = [], 0
    for part, is_answer in parts:
        if is_answer and part.strip():
            spans.append((at, at + len(part)))
        at += len(part)
    return "".join(part for part, _ in parts), tuple(spans)


def _conversation(row: dict[str, Any]) -> list[tuple[str, bool]] | None:
    """The turns as parts of a text, each with whether it is an answer."""
    turns = next((row[name] for name in CONVERSATIONS if isinstance(row.get(name), list)), None)
    if turns is None:
        return None
    parts: list[tuple[str, bool]] = []
    for turn in turns:
        if not isinstance(turn, dict):
            return None
        role, said = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if not isinstance(role, str) or not isinstance(said, str):
            return None
        role = ROLES.get(role.lower(), role.lower())
        line_end = "\n" if parts else ""
        parts += [(f"{line_end}{role.capitalize()}:\n", False), (said, role == "assistant")]
    return parts


def _prompt_and_answer(row: dict[str, Any]) -> list[tuple[str, bool]] | None:
    """The two as parts of a text, each with whether it is the answer."""

    def first(names: tuple[str, ...]) -> str | None:
        return next((name for name in names if isinstance(row.get(name), str)), None)

    prompts = [name for name in (first(PROMPTS), first(("input",))) if name is not None]
    name = first(ANSWERS)
    if not prompts or name is None:
        return None
    prompt, answer = "\n".join(row[part] for part in prompts if row[part]), row[name]
    joined = name == "completion" or not (prompt and answer) or prompt[-1].isspace() or answer[0].isspace()
    return [(prompt if joined else f"{prompt}\n", False), (answer, True)]


def _prompt_alone(row: Any) -> tuple[str, Spans] | None:
    """A prompt that nobody has answered yet."""
    said = (
        [row[name] for name in (*PROMPTS, "input") if isinstance(row.get(name), str)] if isinstance(row, dict) else []
    )
    return ("\n".join(part for part in said if part), ()) if said else None


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
