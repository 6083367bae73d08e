"""Talking with models: what is said between a light program and the chat engine, one JSON object a line.

The engine (`python -m core.engine.chat`) is a long-lived process that reads commands on its standard input and writes events on its
standard output. `core.speaker` starts it and speaks this; `core.conversations` keeps what was said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.errors import Trouble

MOST_COLUMNS = 4
Role = Literal["system", "user", "assistant"]
Mode = Literal["auto", "chat", "raw"]
WhenFull = Literal["drop", "stop"]
Ending = Literal["end", "stop", "length", "context", "halted", "failed"]
ENDINGS: dict[Ending, str] = {
    "end": "the model ended by itself",
    "stop": "a stop text was written",
    "length": "the longest length was reached",
    "context": "the context is full",
    "halted": "you stopped it",
    "failed": "it failed",
}


class ChatTrouble(Trouble):
    """A message that can't be understood, a conversation that does not fit, an engine that can't do what is asked."""


class TooLong(ChatTrouble):
    """What was said has no room in the context, or leaves none for an answer."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Message(_Record):
    """One thing said, as chat templates take it."""

    role: Role
    content: str


class Sampling(_Record):
    """How the next token is chosen from the model's scores. The order is that of transformers: repetition penalty, temperature,
    top-k, top-p, min-p.
    """

    temperature: float = Field(
        0.7, ge=0, le=5, description="0 always takes the likeliest token; higher is more varied."
    )
    top_p: float = Field(
        0.95, gt=0, le=1, description="Only the likeliest tokens that hold this much of the probability; 1 keeps all."
    )
    top_k: int = Field(0, ge=0, description="Only so many of the likeliest tokens; 0 keeps all.")
    min_p: float = Field(
        0.0, ge=0, le=1, description="Only tokens at least this likely, as a share of the likeliest one; 0 keeps all."
    )
    repetition_penalty: float = Field(
        1.0, gt=0, le=10, description="Above 1 makes tokens less likely that are there already."
    )
    seed: int | None = Field(None, ge=0, le=2**63 - 1, description="The same seed writes the same; none draws anew.")
    max_new_tokens: int = Field(512, ge=1, description="The longest that an answer may grow, in tokens.")
    stop: tuple[str, ...] = Field((), description="Texts that end the answer where they would begin.")


PRESETS: dict[str, tuple[Sampling, str]] = {
    "greedy": (Sampling(temperature=0, top_p=1), "always the likeliest token: the same answer every time"),
    "precise": (Sampling(temperature=0.3, top_p=0.9), "close to what the model is sure of: facts, code"),
    "balanced": (Sampling(), "varied, without the unlikely: the default"),
    "creative": (Sampling(temperature=1.0, top_p=1, min_p=0.05), "everything that is not far-fetched: stories, ideas"),
    "pure": (Sampling(temperature=1.0, top_p=1), "the model's own distribution, mistakes too"),
}


class Column(_Record):
    """One answer to be written. `messages` ends with what the user said, or with an answer to go on with."""

    id: str
    model: str = Field(description="The handle of a loaded model.")
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    mode: Mode = Field("auto", description="raw runs all texts together; auto takes the chat template if there is one.")
    draft: str | None = Field(None, description="The handle of a student that drafts, for speculative decoding.")
    adapters: dict[str, float] | None = Field(None, description="Scale of each adapter, 0 is off; None: all at 1.")
    when_full: WhenFull = Field(
        "drop", description="drop the oldest turns, the system prompt stays; or stop and say so."
    )


# --------------------------------------------------------------------------------------------------- to the engine


class Load(_Record):
    """Bring a model (or an adapter with its base) into memory under a handle."""

    kind: Literal["load"] = "load"
    model: str
    path: str
    adapters: tuple[str, ...] = ()
    base: str | None = Field(None, description="The base model of an adapter, where it is not at the place it names.")
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    allow_remote_code: bool = False
    compile: bool = Field(False, description="Compile the forward pass: slow at first, then faster on a GPU.")


class Unload(_Record):
    kind: Literal["unload"] = "unload"
    model: str


class Speak(_Record):
    """Write an answer in every column, all at once."""

    kind: Literal["speak"] = "speak"
    request: str
    columns: tuple[Column, ...] = Field(min_length=1, max_length=MOST_COLUMNS)


class Halt(_Record):
    """Stop the answers of a request, or only one of its columns."""

    kind: Literal["halt"] = "halt"
    request: str
    column: str | None = None


class Quit(_Record):
    kind: Literal["quit"] = "quit"


Command = Load | Unload | Speak | Halt | Quit

# ------------------------------------------------------------------------------------------------- from the engine


class Ready(_Record):
    kind: Literal["ready"] = "ready"
    pid: int


class Loading(_Record):
    """How far a model is loaded, 0 to 1; None where that can't be told."""

    kind: Literal["loading"] = "loading"
    model: str
    what: str
    share: float | None = None


class Loaded(_Record):
    kind: Literal["loaded"] = "loaded"
    model: str
    path: str
    name: str
    parameters: int
    context: int | None
    device: str
    precision: str
    precision_reason: str
    chat_template: str | None
    framing: str = Field(description="Where a text begins and ends for this model, and how that is known.")
    adapters: tuple[str, ...] = ()
    suggested: Sampling | None = Field(None, description="The settings that the model's author recommends.")
    seconds: float = 0.0


class Unloaded(_Record):
    kind: Literal["unloaded"] = "unloaded"
    model: str
    freed_bytes: int


class Began(_Record):
    """An answer is about to be written: what was made of the conversation."""

    kind: Literal["began"] = "began"
    request: str
    column: str
    mode: Literal["chat", "raw"]
    prompt_tokens: int
    kept_tokens: int = Field(description="Of the prompt's tokens, those still known from the turn before.")
    context: int | None
    dropped_turns: int = 0
    notes: tuple[str, ...] = ()


class Reading(_Record):
    """How far a long prompt is read, 0 to 1."""

    kind: Literal["reading"] = "reading"
    request: str
    column: str
    share: float


class Wrote(_Record):
    kind: Literal["wrote"] = "wrote"
    request: str
    column: str
    text: str
    tokens: int = Field(description="Written so far.")


class Noted(_Record):
    """Something that happened meanwhile, in words."""

    kind: Literal["noted"] = "noted"
    text: str
    request: str | None = None
    column: str | None = None


class Speculation(_Record):
    """What drafting brought. `acceptance` is the share of the drafted tokens that were accepted; `tokens_per_pass` what a pass of the
    teacher brought; `speed_up` is against the teacher alone, whose step was timed at the beginning of the answer.
    """

    drafted: int
    accepted: int
    acceptance: float | None
    tokens_per_pass: float
    speed_up: float | None
    at_once: int = Field(description="Tokens drafted at once at the end; 0: drafting was switched off.")


class Ended(_Record):
    """An answer as a whole, and the end of it. `prompt_tokens` + `tokens` of the `context` are used now."""

    kind: Literal["ended"] = "ended"
    request: str
    column: str
    ending: Ending
    text: str
    tokens: int
    prompt_tokens: int
    context: int | None
    first_token_s: float | None
    tokens_per_second: float | None
    seed: int | None = None
    speculation: Speculation | None = None


class Failed(_Record):
    """What could not be done, and the way out; for a column of a request (which ends with this), a model, or the engine as a whole."""

    kind: Literal["failed"] = "failed"
    what: str
    way_out: str = ""
    request: str | None = None
    column: str | None = None
    model: str | None = None


class Died(_Record):
    """The engine is gone (said by `core.speaker`, never by the engine)."""

    kind: Literal["died"] = "died"
    code: int | None
    what: str
    log_tail: str = ""


Event = Ready | Loading | Loaded | Unloaded | Began | Reading | Wrote | Noted | Ended | Failed | Died

_COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="kind")])
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def encode(record: Command | Event) -> str:
    """One line of JSON without the newline; ASCII, so that no stream's encoding matters, lone surrogates included."""
    import json

    return json.dumps(record.model_dump(), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def decode_command(line: str | bytes) -> Command:
    """ChatTrouble names the field that is wrong."""
    command: Command = _decode(_COMMANDS, line)
    return command


def decode_event(line: str | bytes) -> Event:
    event: Event = _decode(_EVENTS, line)
    return event


def _decode(adapter: TypeAdapter[Any], line: str | bytes) -> Any:
    import json

    try:
        return adapter.validate_python(json.loads(line), strict=False)
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()[:3]]
        raise ChatTrouble(f"A message of the chat can't be understood. {'; '.join(lines)}.") from error
    except (ValueError, RecursionError) as error:
        raise ChatTrouble(f"A line of the chat is not valid JSON: {error}.") from error


def sampling_of(**given: Any) -> Sampling:
    """Sampling from a user's numbers; ChatTrouble names the setting and its range."""
    try:
        return Sampling(**given)
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise ChatTrouble(f"The sampling can't be used. {'; '.join(lines)}.", "Choose values in range.") from error


# ------------------------------------------------------------------------------------------------- a full context


def room_for_answer(context: int, wanted: int) -> int:
    """Tokens kept free for an answer: what it may take, but never more than a quarter of the context."""
    return max(1, min(wanted, context // 4))


def fit_turns(
    messages: Sequence[Message],
    tokens_of: Callable[[Sequence[Message]], int],
    context: int,
    wanted: int,
    when_full: WhenFull,
) -> tuple[tuple[Message, ...], int]:
    """What of a conversation is read, and how many turns were dropped: the oldest ones, a question with its answers, never the system
    prompt nor the last question. TooLong where even that does not fit, or where `when_full` is stop.

    `tokens_of` counts a conversation's tokens; `wanted` are those that the answer may take.
    """
    room = context - room_for_answer(context, wanted)
    kept = list(messages)
    used = tokens_of(kept)
    if used > room and when_full == "stop":
        raise TooLong(
            f"The conversation takes {used} tokens, and the context of {context} has no room for an answer.",
            "Begin a new conversation, or let the oldest turns be dropped.",
        )
    first = 1 if kept and kept[0].role == "system" else 0
    dropped = 0
    while used > room:
        starts = [at for at in range(first + 1, len(kept)) if kept[at].role == "user"]
        if not starts:
            raise TooLong(
                f"The message takes {used} tokens, and the context of {context} has no room for that and an answer.",
                "Shorten it, or choose a model with a longer context.",
            )
        dropped += starts[0] - first
        del kept[first : starts[0]]
        used = tokens_of(kept)
    return tuple(kept), dropped
