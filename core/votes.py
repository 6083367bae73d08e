"""Votes in blind comparisons: who answered better, one JSON object a line in `verdicts.jsonl`, which evaluation's judge reads too."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.errors import Trouble
from core.home import Home

HUMAN = "human"
Winner = Literal["a", "b", "tie"]


@dataclass(frozen=True)
class Verdict:
    """Which of two models answered a question better. `a` and `b` are their folders; `judge` is "human" or a model's folder."""

    question: str
    a: str
    b: str
    answer_a: str
    answer_b: str
    winner: Winner
    category: str = ""
    judge: str = HUMAN
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Tally:
    """How often a model won, lost and tied."""

    model: str
    won: int
    lost: int
    tied: int

    @property
    def share(self) -> float:
        """Of the comparisons, ties counting half."""
        return (self.won + self.tied / 2) / (self.won + self.lost + self.tied)


def verdicts_file(home: Home) -> Path:
    return home.root / "verdicts.jsonl"


def vote(home: Home, question: str, answers: Mapping[str, str], best: str | None, category: str = "") -> list[Verdict]:
    """Keep a vote among two to four models' answers (by model folder): the best one beats each of the others; None is a tie of all."""
    models = list(answers)
    if len(models) < 2 or (best is not None and best not in answers):
        raise ValueError("a vote is among two models or more, for one of them or for none")
    pairs = [(a, b) for at, a in enumerate(models) for b in models[at + 1 :] if best in (None, a, b)]
    found = [
        Verdict(
            question, a, b, answers[a], answers[b], "tie" if best is None else ("a" if best == a else "b"), category
        )
        for a, b in pairs
    ]
    lines = "".join(json.dumps(asdict(verdict), ensure_ascii=True) + "\n" for verdict in found)
    try:
        with verdicts_file(home).open("ab+", buffering=0) as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, end - 1))
            torn = end > 0 and stream.read(1) != b"\n"
            stream.write((b"\n" if torn else b"") + lines.encode("ascii"))
    except OSError as error:
        raise Trouble(
            f"The vote can't be kept in {verdicts_file(home)}: {error.strerror}.", "Free some space and vote again."
        ) from error
    return found


def verdicts(home: Home) -> list[Verdict]:
    """All votes and judgements, in order; lines that are none are passed over."""
    try:
        lines = verdicts_file(home).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [verdict for line in lines if (verdict := _verdict(line)) is not None]


def _verdict(line: bytes) -> Verdict | None:
    try:
        row: Any = json.loads(line)
        known = {name: row[name] for name in Verdict.__dataclass_fields__ if name in row}
        verdict = Verdict(**known)
    except (ValueError, TypeError, RecursionError):
        return None
    return verdict if verdict.winner in ("a", "b", "tie") else None


def tally(every: Iterable[Verdict]) -> list[Tally]:
    """Who won how often, the best first."""
    won: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    tied: Counter[str] = Counter()
    for verdict in every:
        if verdict.winner == "tie":
            tied.update((verdict.a, verdict.b))
            continue
        better, worse = (verdict.a, verdict.b) if verdict.winner == "a" else (verdict.b, verdict.a)
        won[better] += 1
        lost[worse] += 1
    found = [Tally(model, won[model], lost[model], tied[model]) for model in {*won, *lost, *tied}]
    return sorted(found, key=lambda each: (-each.share, each.model))
