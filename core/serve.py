"""A local endpoint for other programs: what is served, where, and the process that does it.

The server (`python -m core.engine.serve`) takes its settings as one line of JSON on standard input, says `Serving` or a trouble on
standard output, and lives until its input ends. It speaks the part of OpenAI's HTTP interface that programs use for local models: models,
chat completions, completions; streaming, usage, stop texts, seeds, log-probabilities.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from core.errors import Trouble
from core.runner import own_session, process_environment

DEFAULT_PORT = 8420


class ServeSettings(BaseModel):
    """What is served and where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = Field(min_length=1, description="Folders of models, each served under its name.")
    draft: str | None = Field(None, description="A student that drafts for all of them.")
    host: str = "127.0.0.1"
    port: int = Field(DEFAULT_PORT, ge=0, le=65535, description="0 takes any that is free.")
    key: str | None = Field(None, description="What clients must send as their API key.")
    device: str = "auto"
    precision: str = "auto"
    allow_remote_code: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Trouble if it would lie open to others."""
        if not self.loopback and not self.key:
            raise Trouble(
                f"Under {self.host} anybody on the network could use the model.",
                "Ask for a key (--key WORD), or leave --host out: then only this machine can.",
            )


class Serving(BaseModel):
    """What the server says once it can be used."""

    model_config = ConfigDict(frozen=True)

    url: str
    models: tuple[str, ...]
    device: str
    pid: int


class Server:
    """The server's process. `start` waits until it serves; `wait` until it ends."""

    def __init__(self, settings: ServeSettings) -> None:
        settings.check()
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Serving:
        """Trouble says why it can't serve: a port in use, a model that can't be loaded. Its log goes to our standard error."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "core.engine.serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=process_environment(),
            **own_session(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(self.settings.model_dump_json().encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError as error:
            code = self._process.wait()
            raise Trouble(
                f"The server ended before it could serve (code {code}).", "Its words above say why."
            ) from error
        if "what" in said:
            self._process.wait()
            raise Trouble(said["what"], said["way_out"])
        return Serving(**said)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait()

    def close(self) -> None:
        """End it: answers that are being written end as they are."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
