"""A look at data: what it is, how much, and what is wrong with it, counted in a stream."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.data.examples import Recognised, examples, recognise
from core.data.files import data_files, total_bytes
from core.data.flaws import flaws_of
from core.data.turns import Broken, Example

QUICK_S = 1.0


@dataclass
class Finding:
    """Something that some rows have, with the place of the first."""

    text: str
    count: int
    first: str


@dataclass
class Inspection:
    """`documents` are examples that can be read; `exact` is False where the look ended early, and there are more."""

    recognised: Recognised
    files: tuple[Path, ...]
    bytes: int
    documents: int = 0
    exact: bool = True
    broken: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    turns: Counter[str] = field(default_factory=Counter)
    problems: list[Finding] = field(default_factory=list)


def inspect_data(
    paths: Sequence[str],
    mapping: Mapping[str, str] | None = None,
    separator: str | None = None,
    *,
    quick: bool = False,
) -> Inspection:
    """Read all of it once, or for about a second if `quick`. Broken rows are counted. BadData if it can't be read at all."""
    files = data_files(paths)
    found = Inspection(recognise(files[0], mapping, separator), tuple(files), total_bytes(paths))
    flaws: dict[str, Finding] = {}
    broken = Broken()
    deadline = time.monotonic() + QUICK_S if quick else float("inf")
    stream = examples(paths, mapping=mapping, separator=separator, skip_broken=True, broken=broken, may_be_empty=True)
    for example in stream:
        if found.documents % 64 == 0 and time.monotonic() > deadline:
            found.exact = False
            break
        found.documents += 1
        _take(found, flaws, example)
    found.broken = broken.count
    found.problems = _problems(found, flaws, broken)
    return found


def _take(found: Inspection, flaws: dict[str, Finding], example: Example) -> None:
    found.kinds[example.kind] += 1
    found.formats[example.format] += 1
    found.turns.update(turn.role for turn in (*example.turns, *example.chosen, *example.rejected))
    for flaw in flaws_of(example):
        flaws.setdefault(flaw, Finding(flaw, 0, example.place)).count += 1


def _problems(found: Inspection, flaws: dict[str, Finding], broken: Broken) -> list[Finding]:
    problems = list(flaws.values())
    if broken.count:
        problems.insert(0, Finding("it can't be read", broken.count, broken.first[0]))
    if len(found.kinds) > 1:
        said = ", ".join(f"{count} {kind}" for kind, count in found.kinds.most_common())
        problems.insert(0, Finding(f"rows are of several kinds ({said})", found.documents, str(found.files[0])))
    return problems
