"""OpenAI's HTTP interface (platform.openai.com/docs/api-reference: chat, completions, models), as far as programs use it for local models.

What is asked for and can't be done is refused in words, never passed over: tools, several modalities, penalties by presence and frequency.
Beside OpenAI's settings, `top_k`, `min_p` and `repetition_penalty` are understood.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core.chat import Message, Sampling, TooLong
from core.engine.chat_answer import Piece
from core.engine.chat_voice import Voice
from core.engine.serve_writer import Order, ServerTrouble, Writer
from core.errors import Trouble

REASONS = {"end": "stop", "stop": "stop", "length": "length", "context": "length", "halted": "stop"}
LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
LOOK_S = 0.05  # how often it is looked whether a client has gone


class BadRequest(Trouble):
    """What a client asked for can't be done; `param` is the field."""

    def __init__(self, what: str, param: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(what)
        self.param, self.status, self.code = param, status, code


class _Asked(BaseModel):
    """What both endpoints share. Unknown fields are refused where they would change the answer."""

    model_config = ConfigDict(extra="ignore")

    model: str
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=5)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = Field(None, ge=1, le=16)
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None

    def refuse(self) -> None:
        """BadRequest for what would be passed over."""
        for name in ("presence_penalty", "frequency_penalty", "logit_bias"):
            if getattr(self, name):
                raise BadRequest(f"{name} is not supported here; repetition_penalty is.", name)

    def sampling(self, index: int, longest: int) -> Sampling:
        """OpenAI's defaults: temperature 1, everything drawn from. Choices of one seed differ from each other."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        given = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")}
        seed = None if self.seed is None else (abs(self.seed) + index) % 2**63
        chosen = {name: value for name, value in given.items() if value is not None}
        return Sampling(
            **{"temperature": 1.0, "top_p": 1.0, **chosen}, seed=seed, max_new_tokens=longest, stop=tuple(stops)
        )

    @property
    def with_usage(self) -> bool:
        return bool((self.stream_options or {}).get("include_usage"))


class _Text(BaseModel):
    type: str
    text: str = ""


class _Turn(BaseModel):
    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Text] | None = None

    def message(self) -> Message:
        if isinstance(self.content, list) and (other := [part for part in self.content if part.type != "text"]):
            raise BadRequest(f"Content of the type {other[0].type} can't be read: only text can.", "messages")
        parts = self.content if isinstance(self.content, list) else [_Text(type="text", text=self.content or "")]
        role: Any = "system" if self.role == "developer" else self.role
        return Message(role=role, content="".join(part.text for part in parts))


class ChatAsked(_Asked):
    messages: list[_Turn] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: dict[str, Any] | None = None

    def refuse(self) -> None:
        super().refuse()
        for name in ("tools", "functions"):
            if getattr(self, name):
                raise BadRequest(f"{name} are not supported here.", name)
        if self.response_format and self.response_format.get("type") != "text":
            raise BadRequest("Only text is answered here: leave response_format out.", "response_format")


class CompletionAsked(_Asked):
    prompt: str | list[str] | list[int] | list[list[int]]
    max_tokens: int | None = Field(16, ge=1)  # OpenAI's own default
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = None

    def refuse(self) -> None:
        super().refuse()
        for name in ("echo", "suffix"):
            if getattr(self, name):
                raise BadRequest(f"{name} is not supported here.", name)
        if self.best_of not in (None, 1, self.n or 1):
            raise BadRequest("best_of is not supported here: ask for n.", "best_of")

    def prompts(self) -> list[str | list[int]]:
        """Every text, or every list of token ids, by itself."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        several: list[Any] = self.prompt
        return [several] if several and isinstance(several[0], int) else several


class Endpoint:
    """The routes, over one writer."""

    def __init__(self, writer: Writer, since: int) -> None:
        self.writer, self.since = writer, since

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model(name) for name in self.writer.voices]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._voice(name)
        return JSONResponse(self._model(name))

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "writing": self.writer.writing})

    def _model(self, name: str) -> dict[str, Any]:
        voice = self.writer.voices[name]
        return {
            "id": name,
            "object": "model",
            "created": self.since,
            "owned_by": "stillroom",
            "context_length": voice.context,
        }

    def _voice(self, name: str) -> Voice:
        if name not in self.writer.voices:
            known = ", ".join(self.writer.voices)
            raise BadRequest(f"The model {name} is not served here. It has {known}.", "model", 404, "model_not_found")
        return self.writer.voices[name]

    async def chat(self, request: Request) -> Response:
        asked = await _read(request, ChatAsked)
        voice = self._voice(asked.model)
        messages = [turn.message() for turn in asked.messages]
        longest = asked.max_completion_tokens or asked.max_tokens or voice.context or 2048
        likeliest = (asked.top_logprobs or 0) if asked.logprobs else None
        orders = [
            self.writer.order(
                voice,
                lambda: voice.prompt(messages, "auto", longest, "stop"),
                asked.sampling(index, longest),
                likeliest,
            )
            for index in range(asked.n or 1)
        ]
        return await _respond(request, asked, orders, ChatForm(asked, voice))

    async def completions(self, request: Request) -> Response:
        asked = await _read(request, CompletionAsked)
        voice = self._voice(asked.model)
        longest = asked.max_tokens or 16
        orders = [
            self.writer.order(
                voice, _completion_prompt(voice, prompt, longest), asked.sampling(index, longest), asked.logprobs
            )
            for prompt in asked.prompts()
            for index in range(asked.n or 1)
        ]
        if not orders:
            raise BadRequest("There is no prompt.", "prompt")
        return await _respond(request, asked, orders, CompletionForm(asked, voice))


def _completion_prompt(voice: Voice, prompt: str | list[int], longest: int) -> Callable[[], Any]:
    if isinstance(prompt, list):
        return lambda: voice.completion_prompt(prompt)
    return lambda: voice.prompt([Message(role="user", content=prompt)], "raw", longest, "stop")


async def _read(request: Request, kind: type[Any]) -> Any:
    """The body, checked; BadRequest names the field."""
    try:
        asked = kind.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadRequest(f"{field or 'The body'}: {first['msg']}.", field or None) from error
    asked.refuse()
    return asked


# -------------------------------------------------------------------------------------------------------- responses


class Form:
    """How answers are put into JSON; one for each endpoint."""

    whole = part = prefix = ""

    def __init__(self, asked: Any, voice: Voice) -> None:
        self.asked, self.voice = asked, voice
        self.id, self.created = f"{self.prefix}-{secrets.token_hex(12)}", int(time.time())
        self._anchor = voice.tokenizer.encode("a", add_special_tokens=False)
        self._before = len(voice.tokenizer.decode(self._anchor))

    def head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.asked.model}

    def choice(self, index: int, order: Order, pieces: list[Piece]) -> dict[str, Any]:
        raise NotImplementedError

    def delta(self, index: int, piece: Piece, first: bool, ending: str | None) -> dict[str, Any]:
        raise NotImplementedError

    def token(self, id_: int) -> str:
        """As it stands behind other tokens: by itself a tokenizer may leave out its space."""
        return str(self.voice.tokenizer.decode([*self._anchor, id_]))[self._before :]


class ChatForm(Form):
    whole, part, prefix = "chat.completion", "chat.completion.chunk", "chatcmpl"

    def choice(self, index: int, order: Order, pieces: list[Piece]) -> dict[str, Any]:
        text = "".join(piece.text for piece in pieces)
        return {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": self.log_probs(pieces),
            "finish_reason": REASONS[order.ending or "halted"],
        }

    def delta(self, index: int, piece: Piece, first: bool, ending: str | None) -> dict[str, Any]:
        delta = {**({"role": "assistant"} if first else {}), **({"content": piece.text} if piece.text or first else {})}
        return {"index": index, "delta": delta, "logprobs": self.log_probs([piece]), "finish_reason": ending}

    def log_probs(self, pieces: list[Piece]) -> dict[str, Any] | None:
        if not self.asked.logprobs:
            return None
        content = []
        for piece in pieces:
            for id_, log_prob, best in zip(piece.ids, piece.log_probs, piece.likeliest, strict=True):
                content.append(
                    {**self._one(id_, log_prob), "top_logprobs": [self._one(other, value) for other, value in best]}
                )
        return {"content": content, "refusal": None}

    def _one(self, id_: int, log_prob: float) -> dict[str, Any]:
        token = self.token(id_)
        return {"token": token, "logprob": log_prob, "bytes": list(token.encode("utf-8", "replace"))}


class CompletionForm(Form):
    whole = part = "text_completion"
    prefix = "cmpl"

    def choice(self, index: int, order: Order, pieces: list[Piece]) -> dict[str, Any]:
        text = "".join(piece.text for piece in pieces)
        reason = REASONS[order.ending or "halted"]
        return {"index": index, "text": text, "logprobs": self.log_probs(pieces), "finish_reason": reason}

    def delta(self, index: int, piece: Piece, first: bool, ending: str | None) -> dict[str, Any]:
        return {"index": index, "text": piece.text, "logprobs": self.log_probs([piece]), "finish_reason": ending}

    def log_probs(self, pieces: list[Piece]) -> dict[str, Any] | None:
        if self.asked.logprobs is None:
            return None
        tokens = [self.token(id_) for piece in pieces for id_ in piece.ids]
        offsets = [sum(map(len, tokens[:at])) for at in range(len(tokens))]
        return {
            "tokens": tokens,
            "token_logprobs": [value for piece in pieces for value in piece.log_probs],
            "top_logprobs": [
                {self.token(id_): value for id_, value in best} for piece in pieces for best in piece.likeliest
            ],
            "text_offset": offsets,
        }


def usage(orders: list[Order]) -> dict[str, Any]:
    """Prompts count once for each prompt, not for each of its n choices; cached tokens are those still known from before."""
    answers = [order.answer for order in orders if order.answer is not None]
    prompts = {tuple(answer.prompt.ids): answer for answer in reversed(answers)}
    read, written = sum(map(len, prompts)), sum(answer.tokens for answer in answers)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": sum(answer.kept for answer in prompts.values())},
    }


async def _respond(request: Request, asked: _Asked, orders: list[Order], form: Form) -> Response:
    if asked.stream:
        try:
            firsts = [await _first(order) for order in orders]  # what can't be done is said before a stream begins
        except BaseException:
            _halt(orders)
            raise
        body = _stream(asked, orders, form, firsts)
        return StreamingResponse(body, media_type="text/event-stream", headers={"cache-control": "no-cache"})
    watch = asyncio.create_task(_halt_if_gone(request, orders))
    try:
        every = [[piece async for piece in order.come()] for order in orders]
    finally:
        watch.cancel()
        _halt(orders)
    choices = [
        form.choice(index, order, pieces) for index, (order, pieces) in enumerate(zip(orders, every, strict=True))
    ]
    return JSONResponse({**form.head(form.whole), "choices": choices, "usage": usage(orders)})


async def _first(order: Order) -> Piece:
    piece = await order.pieces.get()
    if isinstance(piece, Trouble):
        raise piece
    return piece or Piece("")


async def _stream(asked: _Asked, orders: list[Order], form: Form, firsts: list[Piece]) -> AsyncIterator[bytes]:
    """Server-sent events: a chunk for each piece of any choice as it comes, [DONE] at the end. Starlette closes this when the client goes."""
    merged: asyncio.Queue[tuple[int, Piece | Trouble | None]] = asyncio.Queue()

    async def pour(index: int, order: Order) -> None:
        await merged.put((index, firsts[index]))
        try:
            async for piece in order.come():
                await merged.put((index, piece))
        except Trouble as trouble:
            await merged.put((index, trouble))
        await merged.put((index, None))

    tasks = [asyncio.create_task(pour(index, order)) for index, order in enumerate(orders)]
    begun: set[int] = set()
    try:
        left = len(orders)
        while left:
            index, piece = await merged.get()
            if isinstance(piece, Trouble):
                yield _event({"error": _error(piece)})
                return
            ending = None
            if piece is None:
                left -= 1
                ending, piece = REASONS[orders[index].ending or "halted"], Piece("")
            first = index not in begun
            begun.add(index)
            chunk = {**form.head(form.part), "choices": [form.delta(index, piece, first, ending)]}
            yield _event({**chunk, **({"usage": None} if asked.with_usage else {})})
        if asked.with_usage:
            yield _event({**form.head(form.part), "choices": [], "usage": usage(orders)})
        yield b"data: [DONE]\n\n"
    finally:
        _halt(orders)
        for task in tasks:
            task.cancel()


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


async def _halt_if_gone(request: Request, orders: list[Order]) -> None:
    with suppress(asyncio.CancelledError):
        while not await request.is_disconnected():
            await asyncio.sleep(LOOK_S)
        _halt(orders)


def _halt(orders: list[Order]) -> None:
    for order in orders:
        order.halted.set()


def _error(trouble: Trouble) -> dict[str, Any]:
    param, code = getattr(trouble, "param", None), getattr(trouble, "code", None)
    if isinstance(trouble, TooLong):
        code = "context_length_exceeded"  # by which programs know that they must send less
    kind = "server_error" if isinstance(trouble, ServerTrouble) else "invalid_request_error"
    return {"message": str(trouble), "type": kind, "param": param, "code": code}


def application(writer: Writer, key: str | None, loopback: bool, since: int) -> Starlette:
    """The whole endpoint. On loopback other host names are refused, so that no web page reaches it by a name of its own that
    points here.
    """
    endpoint = Endpoint(writer, since)

    def guarded(route: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
            if key is not None and not secrets.compare_digest(given.encode(), key.encode()):
                raise BadRequest("The API key is missing or wrong.", None, 401, "invalid_api_key")
            return await route(request)

        return answer

    async def troubled(request: Request, error: Exception) -> Response:
        assert isinstance(error, Trouble)
        status = 500 if isinstance(error, ServerTrouble) else getattr(error, "status", 400)
        return JSONResponse({"error": _error(error)}, status_code=status)

    async def unknown(request: Request, error: Exception) -> Response:
        trouble = BadRequest(f"There is no {request.method} {request.url.path} here.", None, 404, "not_found")
        return JSONResponse({"error": _error(trouble)}, status_code=404)

    routes = [
        Route("/v1/models", guarded(endpoint.models)),
        Route("/v1/models/{name:path}", guarded(endpoint.model)),
        Route("/v1/chat/completions", guarded(endpoint.chat), methods=["POST"]),
        Route("/v1/completions", guarded(endpoint.completions), methods=["POST"]),
        Route("/health", endpoint.health),
    ]
    hosts = [Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_HOSTS)] if loopback else []
    handlers: dict[Any, Any] = {Trouble: troubled, 404: unknown, 405: unknown}
    return Starlette(routes=routes, middleware=hosts, exception_handlers=handlers)
