"""What happened in a run: frozen records in the past tense, one JSON object a line in `events.jsonl`.

A line is `{"seq": n, "time": seconds since 1970, "kind": "step_logged", …fields}`. Not-a-number and infinity become
null. A kind that this version does not know is kept as `UnknownEvent`, never an error: a newer program may have written
it.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """`seq` counts the lines of a journal from 0; `time` is seconds since 1970. Both are set by the writer."""

    seq: int = field(default=-1, kw_only=True)
    time: float = field(default=0.0, kw_only=True)


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """An engine took the run up.

    `resumed_from` is the step of the checkpoint it goes on from: later points are void.
    """

    device: str
    pid: int
    pid_created: float
    resumed_from: int | None = None
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PhaseEntered(Event):
    """A named phase began: loading, building the student, evaluating, training, saving …"""

    phase: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PhaseProgressed(Event):
    """How far the phase is, from 0 to 1."""

    phase: str
    share: float


@dataclass(frozen=True, slots=True)
class ChoiceMade(Event):
    """The engine chose a value by itself, and why."""

    name: str
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class TrainingPlanned(Event):
    """What the training will consist of, once data and batch are known. Tokens are counted in training positions."""

    steps: int
    tokens: int
    micro_batch: int
    accumulation: int
    sequence_length: int
    student_parameters: int
    teacher_parameters: int | None = None
    flops_per_token: float | None = None


@dataclass(frozen=True, slots=True)
class StepLogged(Event):
    """One optimizer step. Losses are nats a token; `seconds` is training time since step 0, over all resumptions.

    `parts` has what the total is the weighted sum of beside ce and kd (hidden, relations, balance …), `generated` the share of the
    step's learnt tokens that the student wrote itself.
    """

    step: int
    tokens: int
    lr: float
    ce: float | None
    kd: float | None
    total: float | None
    grad_norm: float | None
    tokens_per_second: float | None
    memory_bytes: int | None
    seconds: float
    parts: dict[str, float | None] = field(default_factory=dict)
    generated: float | None = None


@dataclass(frozen=True, slots=True)
class EvaluationLogged(Event):
    """Held-out figures of the `subject`, "student" or "teacher"; of an evaluation, "model".

    `metrics` has ce and kd in nats a token, perplexity, bits_per_byte and agreement. `scores` are an evaluation's figures with all that
    decides them, as `core.scores.Score` has them.
    """

    step: int
    tokens: int
    subject: str
    metrics: dict[str, float | None]
    scores: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SampleWritten(Event):
    """Text that the model wrote from a prompt."""

    step: int
    prompt: str
    text: str
    subject: str = "student"


@dataclass(frozen=True, slots=True)
class CheckpointSaved(Event):
    """A checkpoint is complete; `path` is relative to the run folder."""

    step: int
    path: str


@dataclass(frozen=True, slots=True)
class StudentMeasured(Event):
    """The student after a step was given to the evaluation `run`, for which the training waited so many seconds (0: it went on)."""

    step: int
    run: str
    seconds: float


@dataclass(frozen=True, slots=True)
class NoticeRaised(Event):
    """Something the user should know, though the run goes on. `level` is "info" or "warning"."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class LinkEntered(Event):
    """A chain of `count` distillations came to its `number`-th (from 1), `name`, after `step` steps of those before.

    From here on steps, tokens and seconds count on, and losses are those of another student.
    """

    number: int
    count: int
    name: str
    step: int


@dataclass(frozen=True, slots=True)
class RunStopped(Event):
    """The engine saved and ended because it was asked to."""

    step: int


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The run reached its end; `results` are the figures worth a summary."""

    results: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFailed(Event):
    """The run ended with an error: what happened, the way out, and the details for a report."""

    what: str
    way_out: str = ""
    details: str = ""
    step: int | None = None


@dataclass(frozen=True, slots=True)
class UnknownEvent(Event):
    """A line of a kind this version does not know, kept as it is."""

    kind: str
    payload: dict[str, Any]


KINDS: dict[str, type[Event]] = {
    re.sub(r"(?<!^)([A-Z])", r"_\1", kind.__name__).lower(): kind
    for kind in (
        RunStarted,
        PhaseEntered,
        PhaseProgressed,
        ChoiceMade,
        TrainingPlanned,
        StepLogged,
        EvaluationLogged,
        SampleWritten,
        CheckpointSaved,
        StudentMeasured,
        NoticeRaised,
        LinkEntered,
        RunStopped,
        RunFinished,
        RunFailed,
    )
}
NAMES = {kind: name for name, kind in KINDS.items()}
_ACCEPTED: dict[str, tuple[type, ...]] = {  # by annotation; a number that was not finite is null
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (float, int, type(None)),
    "float | None": (float, int, type(None)),
    "str": (str,),
    "list[dict[str, Any]]": (list,),
}
FIELDS = {
    name: {f.name: _ACCEPTED.get(str(f.type), (dict,) if "dict" in str(f.type) else (object,)) for f in fields(kind)}
    for name, kind in KINDS.items()
}
_INSIDE: dict[str, tuple[type, ...]] = {
    "versions": (str,),
    "metrics": (float, int, type(None)),
    "parts": (float, int, type(None)),
}  # of their values
TOO_LARGE = 2**63  # for the integers of a database; whatever is meant to be counted is smaller


def finite(value: Any) -> Any:
    """`value` with every float that JSON cannot say (NaN, infinity) replaced by None, in containers too."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def encode(event: Event) -> str:
    """One line of JSON without the newline."""
    if isinstance(event, UnknownEvent):
        line = {"seq": event.seq, "time": event.time, "kind": event.kind, **event.payload}
    else:
        body = asdict(event)
        line = {"seq": body.pop("seq"), "time": body.pop("time"), "kind": NAMES[type(event)], **body}
    return json.dumps(finite(line), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def decode(line: str | bytes) -> Event:
    """The event of one line, without fields that this version does not know. Raises ValueError if it is no event.

    A known kind whose fields are not as this version needs them (another version's, or edited by hand) is kept as
    unknown.
    """
    try:
        raw = json.loads(line)
    except RecursionError as error:
        raise ValueError("not an event: nested too deeply") from error
    raw = raw if isinstance(raw, dict) else {}
    name, seq, time = raw.pop("kind", None), raw.pop("seq", None), raw.pop("time", 0.0)
    timed = isinstance(time, (int, float)) and abs(time) < TOO_LARGE
    if not isinstance(name, str) or not isinstance(seq, int) or not timed:
        raise ValueError("not an event: an object with `seq`, `time` and `kind` was expected")
    if name in KINDS:
        accepted = FIELDS[name]
        known = {key: value for key, value in raw.items() if key in accepted}
        if all(_fits(key, value, accepted[key]) for key, value in known.items()):
            try:
                return KINDS[name](**known, seq=seq, time=time)
            except TypeError:  # a field that this version needs is missing
                pass
    return UnknownEvent(name, raw, seq=seq, time=time)


def _fits(name: str, value: Any, accepted: tuple[type, ...]) -> bool:
    if not isinstance(value, accepted):
        return False
    if isinstance(value, dict) and name in _INSIDE:
        return all(_fits("", item, _INSIDE[name]) for item in value.values())
    return not isinstance(value, int) or abs(value) < TOO_LARGE
