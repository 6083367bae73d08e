"""Benchmarks from files on this machine: which file in a folder holds which data set of the Hub, and its rows in the Hub's own fields.

Two kinds of file are understood. *Layouts*: files as projects publish or share them (a CSV without a head, choices within the text), of
which the rows are rewritten. *Mirrors*: the Hub's own files (parquet, JSON lines, CSV with a head), which are read as they are.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import BadData

Row = dict[str, Any]
MOST_FILES = 20_000
DEPTH = 5
FORMATS = {"parquet": ("parquet",), "json": ("jsonl", "json", "ndjson"), "csv": ("csv",)}  # datasets' own readers
SPLITS = {
    "train": "train",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
}
_SPLIT = re.compile(rf"(?:^|[/_.\-])({'|'.join(sorted(SPLITS, key=len, reverse=True))})(?=[/_.\-]|$)")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a data set of the Hub lies in files of another layout.

    `asked` and `examples` are patterns of paths (lower case, with {name} for the subset); `read` yields rows in the Hub's fields.
    `changes` are keys of the task that differ because the files hold less than the Hub's.
    """

    repository: str
    name: str | None  # of the subset; None for any
    asked: str
    read: Callable[[Path, str], Iterator[Row]]
    examples: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    sign: str = ""  # a field of this layout's rows; rows without it may be the Hub's own


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a task. `asked` are the questions, `examples` what few-shot examples are taken from.

    `rows` rewrites them if they are of another layout; else `format` is a reader of `datasets`.
    """

    asked: tuple[Path, ...]
    examples: tuple[Path, ...] = ()
    layout: Layout | None = None
    format: str = "json"
    name: str = ""

    def rows(self, files: tuple[Path, ...]) -> Iterator[Row]:
        assert self.layout is not None
        for file in files:
            yield from self.layout.read(file, self.name)


def find(folder: Path, repository: str, name: str | None, asked_split: str, examples_split: str | None) -> Found | None:
    """The files below `folder` that hold the subset `name` of the Hub's data set `repository`, or None."""
    files = list(_files(folder))
    mirror = _mirror(files, folder, repository, name, asked_split, examples_split)
    for layout in LAYOUTS:
        if layout.repository == repository and (layout.name is None or layout.name == name):
            asked = _matching(files, folder, layout.asked, name)
            if asked and not (layout.sign and _lacks(asked[0], layout.sign) and mirror is not None):
                examples = _matching(files, folder, layout.examples, name) if layout.examples else ()
                return Found(asked[:1], examples[:1], layout, name=name or "")
    return mirror


def _lacks(file: Path, sign: str) -> bool:
    _, first = next(_lines(file), (0, {}))
    return not isinstance(first, dict) or sign not in first


def _files(folder: Path) -> Iterator[Path]:
    """Files at most DEPTH levels below, in order; hidden ones and more than MOST_FILES are left out."""
    seen = 0
    waiting = [(folder, 0)]
    while waiting:
        here, depth = waiting.pop()
        try:
            entries = sorted(here.iterdir())
        except OSError as error:
            raise BadData(f"{here} can't be read: {error.strerror}.", "Change its permissions.") from error
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if depth < DEPTH:
                    waiting.append((entry, depth + 1))
                continue
            seen += 1
            if seen > MOST_FILES:
                return
            yield entry


def _tail(file: Path, folder: Path) -> str:
    """The path from the folder's own name on, lower case: the folder's name may be what tells the data set."""
    return f"{folder.name}/{file.relative_to(folder).as_posix()}".lower()


def _matching(files: list[Path], folder: Path, pattern: str, name: str | None) -> tuple[Path, ...]:
    compiled = re.compile(pattern.replace("{name}", re.escape((name or "").lower())))
    return tuple(file for file in files if compiled.search(_tail(file, folder)))


# --- mirrors of the Hub -----------------------------------------------------------------------------------------------


def _mirror(
    files: list[Path], folder: Path, repository: str, name: str | None, asked_split: str, examples_split: str | None
) -> Found | None:
    """Files in a folder called like the repository (org/name, name, org___name, datasets--org--name/snapshots/…), by split."""
    owner, _, base = repository.lower().rpartition("/")
    called = {base, f"{owner}__{base}", f"{owner}___{base}", f"datasets--{owner}--{base}", f"{owner}--{base}"}
    inside = []
    for file in files:
        parts = [folder.name.lower(), *(part.lower() for part in file.relative_to(folder).parts[:-1])]
        at = next((place for place, part in enumerate(parts) if part in called), None)
        if at is not None:
            inside.append((file, "/".join([*parts[at + 1 :], file.name.lower()])))
    if name and name.lower() not in ("default", "main"):
        named = [(file, rest) for file, rest in inside if _names(rest, name.lower())]
        inside = named or [(file, rest) for file, rest in inside if not any("/" in other for _, other in inside)]
    for kind, suffixes in FORMATS.items():
        ends = tuple(f".{suffix}{packed}" for suffix in suffixes for packed in ("", ".gz"))
        of_split: dict[str, list[Path]] = {}
        for file, rest in inside:
            if rest.endswith(ends) and (split := _split_of(rest)) is not None:
                of_split.setdefault(split, []).append(file)
        asked = of_split.get(SPLITS.get(asked_split, asked_split))
        if asked:
            examples = of_split.get(SPLITS.get(examples_split or "", examples_split or ""), [])
            return Found(tuple(asked), tuple(examples), format=kind, name=name or "")
    return None


def _names(rest: str, name: str) -> bool:
    return re.search(rf"(^|[/_.\-]){re.escape(name)}([/_.\-]|$)", rest) is not None


def _split_of(rest: str) -> str | None:
    found = _SPLIT.findall(rest)
    return SPLITS[found[-1]] if found else None


# --- layouts ----------------------------------------------------------------------------------------------------------


def _bad(file: Path, row: int, field_name: str, expected: str) -> BadData:
    return BadData(
        f"{file}, row {row}: the field {field_name} {expected}.",
        "The file is not laid out as expected; fetch it again, or name another folder.",
    )


def _text(row: Any, name: str, file: Path, number: int) -> str:
    if not isinstance(row, dict) or not isinstance(row.get(name), str):
        raise _bad(file, number, name, "is missing or no text")
    return str(row[name])


def _lines(file: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a JSON list, an object with `examples`, or JSON lines, packed or not, numbered from 1."""
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig") as stream:
            if not re.search(r"\.(jsonl|ndjson)(\.gz)?$", file.name):
                value = json.load(stream)
                yield from enumerate(value.get("examples", value) if isinstance(value, dict) else value, 1)
                return
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, json.loads(line)
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise BadData(f"{file} is no JSON: {error}.", "Fetch it again.") from error
    except OSError as error:
        raise BadData(f"{file} can't be read: {error.strerror or error}.", "Change its permissions.") from error


def _choices(text: str, word: str) -> tuple[str, list[str]]:
    """`… question: Q\\n\\nAnswer1: a Answer2: b\\n\\nAnswer format: …` as (Q, [a, b])."""
    body = re.split(r"\n+Answer format:", text)[0]
    question, *choices = re.split(rf"\s*\b{word}\d+:", body)
    return re.sub(r"^Please choose the correct \w+ to the question:\s*", "", question).strip(), [
        c.strip() for c in choices
    ]


def _alpaca(file: Path, word: str) -> Iterator[tuple[int, str, list[str], int]]:
    """(row, question, choices, the right one from 0) of rows with `instruction` and `answer`, as answer2."""
    for number, row in _lines(file):
        question, choices = _choices(_text(row, "instruction", file, number), word.capitalize())
        answer = _text(row, "answer", file, number).strip().lower()
        if len(choices) < 2 or not question:
            raise _bad(file, number, "instruction", f"has no question with choices {word}1, {word}2 …")
        match = re.fullmatch(rf"{word}(\d+)", answer)
        if match is None or not 1 <= int(match[1]) <= len(choices):
            raise _bad(file, number, "answer", f"is {answer!r}, none of {word}1 to {word}{len(choices)}")
        yield number, question, choices, int(match[1]) - 1


def _arc(file: Path, name: str) -> Iterator[Row]:
    for number, question, choices, right in _alpaca(file, "answer"):
        labels = [chr(ord("A") + place) for place in range(len(choices))]
        yield {
            "id": str(number),
            "question": question,
            "choices": {"text": choices, "label": labels},
            "answerKey": labels[right],
        }


def _piqa(file: Path, name: str) -> Iterator[Row]:
    for number, goal, choices, right in _alpaca(file, "solution"):
        if len(choices) != 2:
            raise _bad(file, number, "instruction", f"has {len(choices)} solutions, not 2")
        yield {"goal": goal, "sol1": choices[0], "sol2": choices[1], "label": right}


def _boolq(file: Path, name: str) -> Iterator[Row]:
    for number, row in _lines(file):
        text = _text(row, "instruction", file, number)
        match = re.search(r"question:\s*(.*?)\s*\??\s*(\n+Answer format:|$)", text, re.DOTALL)
        answer = _text(row, "answer", file, number).strip().lower()
        if match is None or not match[1]:
            raise _bad(file, number, "instruction", "has no `question:`")
        if answer not in ("true", "false"):
            raise _bad(file, number, "answer", f"is {answer!r}, neither true nor false")
        yield {"passage": "", "question": match[1], "label": int(answer == "true")}


def _gsm8k(file: Path, name: str) -> Iterator[Row]:
    for number, row in _lines(file):
        answer = _text(row, "answer", file, number)
        if "####" not in answer:
            raise _bad(file, number, "answer", "has no `####` before the number")
        yield {"question": _text(row, "question", file, number), "answer": answer}


def _humaneval(file: Path, name: str) -> Iterator[Row]:
    fields = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
    for number, row in _lines(file):
        yield {name: _text(row, name, file, number) for name in fields}


def _mbpp(file: Path, name: str) -> Iterator[Row]:
    """mbpp.jsonl as published: the test set is the tasks 11 to 510 (Austin et al., arXiv 2108.07732, section 2.1)."""
    for number, row in _lines(file):
        text, code = _text(row, "text", file, number), _text(row, "code", file, number)
        if not isinstance(row.get("test_list"), list) or len(row["test_list"]) < 3:
            raise _bad(file, number, "test_list", "is missing, or has not three tests")
        if 11 <= int(row.get("task_id", 0)) <= 510:
            yield {"task_id": row["task_id"], "text": text, "code": code, "test_list": row["test_list"]}


def _mmlu(file: Path, name: str) -> Iterator[Row]:
    try:
        rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8-sig"))))
    except (OSError, ValueError, csv.Error) as error:
        raise BadData(f"{file} can't be read: {error}.", "Fetch it again.") from error
    for number, row in enumerate(rows, 1):
        if len(row) != 6:
            raise _bad(
                file, number, str(min(len(row) + 1, 7)), f"was expected to be one of 6, and there are {len(row)}"
            )
        if row[5] not in ("A", "B", "C", "D"):
            raise _bad(file, number, "6", f"is {row[5]!r}, none of A, B, C and D")
        yield {"question": row[0], "subject": name, "choices": row[1:5], "answer": "ABCD".index(row[5])}


def _bbh(file: Path, name: str) -> Iterator[Row]:
    for number, row in _lines(file):
        yield {"input": _text(row, "input", file, number), "target": _text(row, "target", file, number)}


def _blimp(file: Path, name: str) -> Iterator[Row]:
    """Of a file with JSON lines, or of the published archive."""
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            member = next((m for m in archive.namelist() if m.lower().endswith(f"/{name.lower()}.jsonl")), None)
            if member is None:
                raise BadData(f"{file} has no {name}.jsonl.", "Fetch it again.")
            lines = archive.read(member).decode("utf-8").splitlines()
            rows: Iterator[tuple[int, Any]] = ((n, json.loads(line)) for n, line in enumerate(lines, 1) if line.strip())
            yield from _pairs(rows, file)
        return
    yield from _pairs(_lines(file), file)


def _pairs(rows: Iterator[tuple[int, Any]], file: Path) -> Iterator[Row]:
    for number, row in rows:
        yield {name: _text(row, name, file, number) for name in ("sentence_good", "sentence_bad")}


_LIST = r"\.jsonl?(\.gz)?$"
LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "allenai/ai2_arc",
        "ARC-Easy",
        rf"arc[-_]?easy[-_]test{_LIST}",
        _arc,
        rf"arc[-_]?easy[-_]train{_LIST}",
        sign="instruction",
    ),
    Layout(
        "allenai/ai2_arc",
        "ARC-Challenge",
        rf"arc[-_]?challenge[-_]test{_LIST}",
        _arc,
        rf"arc[-_]?challenge[-_]train{_LIST}",
        sign="instruction",
    ),
    Layout(
        "baber/piqa",
        None,
        rf"piqa[/_-](test|validation|val|dev){_LIST}",
        _piqa,
        rf"piqa[/_-]train{_LIST}",
        sign="instruction",
    ),
    Layout(
        "aps/super_glue",
        "boolq",
        rf"boolq[/_-](test|validation|val|dev){_LIST}",
        _boolq,
        rf"boolq[/_-]train{_LIST}",
        changes={"doc_to_text": "Question: {{question}}?\nAnswer:", "doc_to_decontamination_query": "question"},
        sign="instruction",
        note="its questions come without their passages, so the figure is not the published BoolQ",
    ),
    Layout("openai/gsm8k", "main", rf"gsm8k[/_-]test{_LIST}", _gsm8k, rf"gsm8k[/_-]train[^/]*{_LIST}"),
    Layout("openai/openai_humaneval", None, rf"humaneval{_LIST}", _humaneval),
    Layout("google-research-datasets/mbpp", "full", rf"mbpp{_LIST}", _mbpp),
    Layout("cais/mmlu", None, r"(^|/)test/{name}_test\.csv$", _mmlu, r"(^|/)dev/{name}_dev\.csv$"),
    Layout("SaylorTwift/bbh", None, r"bbh?/(.*/)?{name}\.json$", _bbh),
    Layout("nyu-mll/blimp", None, r"(^|/){name}\.jsonl$|blimp[^/]*\.zip$", _blimp),
)
