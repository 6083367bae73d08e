"""`stillroom serve`: a model for other programs, as an endpoint that speaks OpenAI's interface, on this machine only."""

from __future__ import annotations

import argparse
import signal
from contextlib import suppress

from core.cli import FAILED, FINISHED, home_of
from core.cli.output import Output
from core.errors import Trouble
from core.model_folders import resolve_model
from core.models import inspect_model
from core.serve import DEFAULT_PORT, Server, ServeSettings
from core.speaker import find_place

EPILOGUE = """\
examples:
  stillroom serve ./student --port 8420
  curl http://127.0.0.1:8420/v1/completions -H 'content-type: application/json' -d '{"model": "student", "prompt": "Once"}'

Any client of OpenAI's chat or completions interface works: give it the address as its base URL, and any word as its key.
"""


def serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE
    parser.add_argument(
        "model", metavar="MODEL", nargs="+", help="model folders, or adapters of one; each under its name"
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, metavar="P", help=f"[{DEFAULT_PORT}]; 0 takes any free one"
    )
    parser.add_argument("--host", default="127.0.0.1", help="another address than this machine's own needs --key")
    parser.add_argument("--key", metavar="WORD", help="clients must send it as their API key")
    parser.add_argument("--draft", metavar="STUDENT", help="a student that drafts for the models: faster, same text")
    parser.add_argument("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda:0, … or mps")
    parser.add_argument("--share-device", action="store_true", help="although a run is at work on it")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--allow-remote-code", action="store_true", help="run code that comes with the model's folder")


def serve_command(arguments: argparse.Namespace, output: Output) -> int:
    if not 0 <= arguments.port <= 65535:
        raise Trouble(f"There is no port {arguments.port}.", "Ports go from 1 to 65535.")
    folders = [resolve_model(name) for name in arguments.model]
    for folder in folders:
        inspect_model(folder, arguments.allow_remote_code)
    place = find_place(home_of(arguments), arguments.device, share=arguments.share_device)
    settings = ServeSettings(
        models=tuple(str(folder) for folder in folders),
        draft=None if arguments.draft is None else str(resolve_model(arguments.draft)),
        host=arguments.host,
        port=arguments.port,
        key=arguments.key,
        device=place.device,
        precision=arguments.precision,
        allow_remote_code=arguments.allow_remote_code,
    )
    with suppress(KeyboardInterrupt), Server(settings) as server:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end it in order
        output.note(f"Loading {', '.join(folder.name for folder in folders)} on {place.reason} …")
        serving = server.start()
        output.say(f"Serving {', '.join(serving.models)} at {serving.url} (Ctrl-C ends it)")
        output.result(serving.model_dump())
        code = server.wait()
        output.failure(f"The server ended unexpectedly (code {code}).", "Its words above say why.")
        return FAILED
    return FINISHED
