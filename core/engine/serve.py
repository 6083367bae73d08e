"""The server's door: `python -m core.engine.serve`, with the settings (`core.serve.ServeSettings`) as a line of JSON on standard input.

Starlette and uvicorn speak HTTP in the main thread; one other thread writes all answers (`core.engine.chat_answer.Desk`), so requests that
come together are written together, in a batch. A client that goes away stops its answer.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING

from core.errors import Trouble
from core.serve import ServeSettings, Serving

if TYPE_CHECKING:
    from core.engine.chat_voice import Voice


CHATTY = (
    "torchao",
    "torch.utils._pytree",
)  # loggers that tell a terminal of parts that are missing and that nobody needs here


def main() -> int:
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no word of ours
    settings = ServeSettings.model_validate_json(sys.stdin.buffer.readline())
    try:
        listener = listen(settings)
    except Trouble as trouble:
        _tell_trouble(said, trouble)
        return 2
    sys.modules.setdefault("datasets", None)  # type: ignore[arg-type]  # Python's own way to say "not installed"
    os.environ["HF_HUB_OFFLINE"] = "1"
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        return _serve(settings, listener, said)
    except Trouble as trouble:
        _tell_trouble(said, trouble)
        return 2
    except Exception as error:  # noqa: BLE001 — the last place where a bug of ours can be told in words
        traceback.print_exc()
        words = f"The server met an error that we did not foresee: {type(error).__name__}: {str(error)[:300]}"
        _tell_trouble(said, Trouble(words, "Please report it."))
        return 1


def listen(settings: ServeSettings) -> socket.socket:
    """The bound socket, before a model is loaded. Trouble if the port is taken or not ours to take."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if os.name != "nt":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise Trouble(
            f"Port {settings.port} of {settings.host} can't be used: {(error.strerror or str(error)).lower()}.",
            "Another program may serve there already. Choose another port with --port, or 0 for any that is free.",
        ) from error
    return listener


def _serve(settings: ServeSettings, listener: socket.socket, said: IO[str]) -> int:
    import uvicorn

    from core.engine.serve_http import application
    from core.engine.serve_writer import Writer

    voices = load_voices(settings)
    draft = None if settings.draft is None else load_one(settings, settings.draft)
    writer = Writer(voices, draft)
    writer.start()
    app = application(writer, settings.key, settings.loopback, int(time.time()))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="off"))

    def end_with_input() -> None:
        sys.stdin.buffer.read()  # whoever started us ended, or wants us to
        server.should_exit = True

    threading.Thread(target=end_with_input, daemon=True).start()
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    serving = Serving(
        url=f"http://{shown}:{port}/v1",
        models=tuple(voices),
        device=next(iter(voices.values())).device,
        pid=os.getpid(),
    )
    said.write(serving.model_dump_json() + "\n")
    said.flush()
    server.run(sockets=[listener])
    writer.stop()
    return 0


def load_one(settings: ServeSettings, folder: str) -> Voice:
    from core.engine.chat_voice import Voice

    return Voice(Path(folder), settings.device, settings.precision, allow_remote_code=settings.allow_remote_code)


def load_voices(settings: ServeSettings) -> dict[str, Voice]:
    """All models by the names they are served under; the second of a name has its number behind it."""
    voices: dict[str, Voice] = {}
    for folder in settings.models:
        voice = load_one(settings, folder)
        name, number = voice.name, 2
        while name in voices:
            name, number = f"{voice.name}-{number}", number + 1
        voices[name] = voice
    return voices


def _tell_trouble(said: IO[str], trouble: Trouble) -> None:
    import json

    said.write(json.dumps({"what": trouble.what, "way_out": trouble.way_out}) + "\n")
    said.flush()


if __name__ == "__main__":
    ended_with = main()
    sys.stderr.flush()
    os._exit(ended_with)  # nothing is left to do, and taking torch apart again takes seconds
