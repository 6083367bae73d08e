"""What a finished export tells, read from the results of its run; fields that another version wrote otherwise are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A prompt with both answers; `alike` are the whole words that both begin with."""

    prompt: str
    original: str
    exported: str
    equal: bool
    near_tie: bool

    @property
    def alike(self) -> str:
        pairs = zip(self.original, self.exported, strict=False)
        same = next((at for at, (one, other) in enumerate(pairs) if one != other), None)
        if same is None:
            return min(self.original, self.exported, key=len)
        return self.original[: self.original.rfind(" ", 0, same) + 1]


@dataclass(frozen=True)
class Exported:
    """An export that was checked. `change` of the perplexity is a share of the original's; `loss` is at most what the type explains."""

    path: Path
    to: str
    type: str
    size_bytes: int
    original_bytes: int
    runtime: str
    prompts: int
    equal: int
    near_ties: int
    before: float | None
    after: float | None
    change: float | None
    agreement: float | None
    tokens: int
    template: str
    stops: tuple[int, ...]
    answers: tuple[Asked, ...]
    pushed: str


NEAR_TIE = 0.1  # nats between the two likeliest tokens


def exported_of(results: Mapping[str, Any]) -> Exported | None:
    """None where there is no export in the results yet."""
    check = results.get("check")
    if not isinstance(check, Mapping) or not isinstance(results.get("path"), str):
        return None
    perplexity = check.get("perplexity")
    scores = perplexity if isinstance(perplexity, Mapping) else {}
    answers = check.get("answers")
    stops = check.get("stops")
    return Exported(
        Path(results["path"]),
        str(results.get("to", "")),
        str(results.get("type", "")),
        _whole(results.get("size_bytes")),
        _whole(results.get("original_bytes")),
        str(check.get("runtime", "")),
        _whole(check.get("prompts")),
        _whole(check.get("equal_answers")),
        _whole(check.get("near_ties")),
        _real(scores.get("original")),
        _real(scores.get("exported")),
        _real(scores.get("change")),
        _real(check.get("agreement")),
        _whole(check.get("tokens")),
        str(check.get("template", "")),
        tuple(each for each in stops if isinstance(each, int)) if isinstance(stops, list) else (),
        tuple(map(_asked, answers))
        if isinstance(answers, list) and all(isinstance(a, Mapping) for a in answers)
        else (),
        str(results.get("pushed") or ""),
    )


def _asked(raw: Mapping[str, Any]) -> Asked:
    margin = raw.get("margin")
    near = isinstance(margin, int | float) and margin <= NEAR_TIE
    equal = raw.get("first_difference") is None
    return Asked(str(raw.get("prompt", "")), str(raw.get("original", "")), str(raw.get("exported", "")), equal, near)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _real(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
