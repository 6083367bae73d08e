"""Documents for learning and reading, out of any data that `core.data` reads: each row, or each part of a text, is one text.

In plain text and Markdown, documents are parted by lines that hold just the separator (`<|endoftext|>` unless told
otherwise); a file without such a line is one document. Rows (JSON, CSV, Parquet, Arrow) are one document each:

- of turns with roles, each turn is a line with the role and a colon, then what was said; the answers are what the
  assistant said;
- of a prompt (`prompt`, `instruction` or `question`, perhaps with an `input`) and what answers it (`completion`,
  `response`, `answer` or `output`), the latter is the answer. A completion follows its prompt as it stands; any other
  answer begins on a new line, unless there is white space between the two already;
- of a pair to prefer between, the chosen side is read;
- `text` is a text without answers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from core.data.containers import DEFAULT_SEPARATOR
from core.data.examples import examples
from core.data.files import ENDINGS, JSON_LINES_ENDINGS, MARKDOWN_ENDINGS, PLAIN_ENDINGS, data_files, total_bytes
from core.data.formats import ANSWER_FIELDS
from core.data.turns import Example, plain_parts
from core.errors import BadData

__all__ = [
    "ANSWER_FIELDS",
    "DATA_ENDINGS",
    "DEFAULT_SEPARATOR",
    "JSON_LINES_ENDINGS",
    "TEXT_ENDINGS",
    "Document",
    "Spans",
    "documents",
    "has_answer",
    "refuse_without_answers",
    "text_files",
    "total_bytes",
]

TEXT_ENDINGS = PLAIN_ENDINGS + MARKDOWN_ENDINGS
DATA_ENDINGS = ENDINGS

Spans: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A text with the file and the line where it begins (the row, of files that have no lines; from 1).

    `learnt` are the characters of its answers, as (from, to) in order, none of them blank; None where the text does not
    tell prompts from answers.
    """

    text: str
    path: Path
    line: int
    learnt: Spans | None = None
    unit: str = "line"


def text_files(paths: tuple[str, ...] | list[str]) -> list[Path]:
    """The files that the paths stand for, each once, folders searched in a fixed order. BadData if there is none."""
    return data_files(paths)


def documents(
    paths: tuple[str, ...] | list[str], separator: str | None = None, *, prompts: bool = False
) -> Iterator[Document]:
    """Every document that is not blank, in the order of the files. With `prompts`, rows that have but a prompt count, too.

    Raises BadData naming file and line; also if there is none at all.
    """
    empty = True
    for example in examples(paths, separator=separator):
        document = document_of(example, prompts=prompts)
        if document.text.strip():
            empty = False
            yield document
    if empty:
        raise BadData(f"{', '.join(paths[:3])} holds no text: it is empty or blank.", "Choose text to read.")


def document_of(example: Example, *, prompts: bool = False) -> Document:
    """The plain text of an example, with the place of its answers. BadData for a question alone, unless `prompts`."""
    place = (example.path, example.line)
    if example.kind == "text":
        return Document(example.text, *place, None, example.unit)
    if example.kind == "questions":
        if not prompts:
            raise BadData(
                f"{example.place[0].upper()}{example.place[1:]} has no field `text` with a text in it, and no prompt "
                "with an answer.",
                f"Name the field that holds the text `text`; answers are looked for in {ANSWER_FIELDS}.",
            )
        return Document(example.turns[0].content, *place, (), example.unit)
    parts, spans, at = plain_parts(example), [], 0
    for part, is_answer in parts:
        if is_answer and part.strip():
            spans.append((at, at + len(part)))
        at += len(part)
    return Document("".join(part for part, _ in parts), *place, tuple(spans), example.unit)


def has_answer(document: Document) -> bool:
    """False if the answer is empty. BadData naming file and line if the document does not tell prompts from answers."""
    if document.learnt is None:
        raise BadData(
            f"{document.path} has no answers to learn: what begins on {document.unit} {document.line} is plain text.",
            f"Answers are looked for in {ANSWER_FIELDS}. Choose such data, or learn all of the text (answers_only off).",
        )
    return bool(document.learnt)


def refuse_without_answers(paths: tuple[str, ...] | list[str], separator: str | None = None) -> None:
    """BadData if a file's first document has no answers; quick, so that it can be said before a run is made."""
    for path in text_files(paths):
        for example in itertools.islice(examples([str(path)], separator=separator, may_be_empty=True), 1):
            has_answer(document_of(example))
