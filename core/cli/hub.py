"""`stillroom models search|details|download|downloads|pause|cancel|login|logout`: models from the Hugging Face Hub."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core import downloads, hub
from core.cli import FAILED, FINISHED, INTERRUPTED, STOPPED, home_of
from core.cli.flags import count
from core.cli.output import Output
from core.devices import devices
from core.numbers import bytes_text, count_text

if TYPE_CHECKING:
    from core.downloads import Progress

ACTIONS = {
    "search": "look for language models on the Hub",
    "details": "one model of the Hub: size, licence, whether it fits this machine",
    "download": "fetch a model of the Hub, or go on with a download",
    "downloads": "the downloads that were begun, and halves that others left",
    "pause": "let a download rest; `download` goes on with it",
    "cancel": "end a download and remove its halves of files",
    "login": "keep a token in the system's keyring",
    "logout": "forget that token",
}
TELL_EVERY_S = 2.0


def hub_arguments(actions: Any) -> None:
    """The Hub's actions, beside the others of `stillroom models`."""
    parsers = {
        name: actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        for name, text in ACTIONS.items()
    }
    for name in ("details", "download", "pause", "cancel"):
        parsers[name].add_argument("name", metavar="NAME", help="organisation/name, as on its page")
    for name in ("details", "download"):
        parsers[name].add_argument("--revision", metavar="TEXT", help="a branch, tag or commit; by default the newest")
    parsers["download"].add_argument("--detach", action="store_true", help="leave it to itself instead of following it")
    parsers["details"].add_argument(
        "--student", type=count, metavar="SIZE", help="what the law says of it for such a student"
    )
    search = parsers["search"]
    search.add_argument("text", metavar="TEXT", nargs="?", default="", help="a part of the name")
    search.add_argument("--smallest", type=count, metavar="N", help="at least so many parameters, as 100M")
    search.add_argument("--largest", type=count, metavar="N", help="at most so many")
    search.add_argument("--architecture", metavar="TEXT", help="as llama, qwen2 or gpt_neox")
    search.add_argument("--licence", "--license", dest="license_name", metavar="TEXT", help="as apache-2.0 or mit")
    search.add_argument(
        "--sort", choices=("downloads", "likes", "last_modified"), default="downloads", help="[downloads]"
    )
    search.add_argument("--limit", type=int, default=30, metavar="N", help="[30]")


def hub_command(arguments: argparse.Namespace, output: Output) -> int:
    actions = {"search": _search, "details": _details, "download": _download, "downloads": _downloads}
    actions |= {"pause": _pause, "cancel": _cancel, "login": _login, "logout": _logout}
    return actions[arguments.action](arguments, output)


def _search(arguments: argparse.Namespace, output: Output) -> int:
    names = ("smallest", "largest", "architecture", "license_name", "sort", "limit")
    found = hub.search(arguments.text, **{name: getattr(arguments, name) for name in names})
    rows = [
        [
            count_text(model.parameters) if model.parameters else "–",
            model.architecture or "–",
            (model.license or "–") + (" (gated)" if model.gated else ""),
            f"{model.downloads:,}",
            model.name,
        ]
        for model in found
    ]
    output.table(
        ["parameters", "architecture", "licence", "downloads", "name"], rows, right=["parameters", "downloads"]
    )
    output.result({"models": [asdict(model) for model in found]})
    return FINISHED


def _details(arguments: argparse.Namespace, output: Output) -> int:
    found = hub.details(arguments.name, arguments.revision)
    machine = devices()
    said = hub.words(found, arguments.student, machine)
    rows = [
        ["parameters", f"{found.parameters:,}" if found.parameters else "not told"],
        ["architecture", found.architecture or "not told"],
        ["licence", (found.license or "not told") + (" (gated)" if found.gated else "")],
        ["weights", ", ".join(found.dtypes) or "not told"],
        ["download", f"{bytes_text(found.size_bytes)} in {len(found.files)} files, {found.left_out} left out"],
        ["revision", found.revision],
    ]
    output.table(["", found.name], rows)
    for sentence in [*said, *([found.refused] if found.refused else [])]:
        output.say(sentence)
    fits = hub.fits(found.parameters, machine) if found.parameters else []
    output.result(
        {**asdict(found), "size_bytes": found.size_bytes, "fits": [{**asdict(fit), "fits": fit.fits} for fit in fits]}
    )
    return FINISHED


def _download(arguments: argparse.Namespace, output: Output) -> int:
    download = downloads.start(home_of(arguments), arguments.name, arguments.revision)
    if arguments.detach:
        output.say(f"It is being fetched. `stillroom models download {arguments.name}` follows it.")
        output.result(asdict(download.progress()))
        return FINISHED
    said, told_at, note = download.progress(), 0.0, ""
    try:
        for said in downloads.follow(download):
            if said.note and said.note != note:
                output.note(said.note)
            note = said.note
            under_way = said.state == downloads.RUNNING and said.total_bytes > 0
            if under_way and time.monotonic() - told_at >= TELL_EVERY_S:
                told_at = time.monotonic()
                output.note(progress_text(said))
    except KeyboardInterrupt:
        download.pause()
        output.note(f"Paused at {bytes_text(said.done_bytes)}. `stillroom models download {arguments.name}` goes on.")
        return INTERRUPTED
    if said.state == downloads.FINISHED:
        output.say(f"{said.name} is in {said.path}.")
    elif said.state == downloads.FAILED:
        output.note(f"{said.error} {said.way_out}".strip())
    else:
        output.note(
            f"The download was {said.state} at {bytes_text(said.done_bytes)} of {bytes_text(said.total_bytes)}. "
            f"What was fetched is kept: `stillroom models download {arguments.name}` goes on."
        )
    output.result(asdict(said))
    return {downloads.FINISHED: FINISHED, downloads.PAUSED: STOPPED}.get(said.state, FAILED)


def progress_text(said: Progress) -> str:
    """One line: bytes, share, speed and what is left."""
    share = f" ({said.done_bytes / said.total_bytes:.0%})" if said.total_bytes else ""
    left = said.seconds_left
    speed = f", {bytes_text(round(said.bytes_per_second))}/s" if said.bytes_per_second else ""
    return (
        f"{bytes_text(said.done_bytes)} of {bytes_text(said.total_bytes)}{share}{speed}"
        f"{'' if left is None else f', {left:.0f} s left'}{f': {said.file}' if said.file else ''}"
    )


def _downloads(arguments: argparse.Namespace, output: Output) -> int:
    ours = [download.progress() for download in downloads.all_downloads(home_of(arguments))]
    halves = hub.unfinished()
    rows = [
        [said.state, bytes_text(said.done_bytes), bytes_text(said.total_bytes), f"{said.name} {said.error}".strip()]
        for said in ours
    ]
    known = {said.name for said in ours}
    rows += [["half done", bytes_text(size), "–", name] for name, size in halves.items() if name not in known]
    output.table(["state", "fetched", "of", "name"], rows, right=["fetched", "of"])
    output.result({"downloads": [asdict(said) for said in ours], "unfinished": halves})
    return FINISHED


def _pause(arguments: argparse.Namespace, output: Output) -> int:
    download = downloads.find(home_of(arguments), arguments.name)
    download.pause()
    said = download.progress()
    output.say(f"{said.name} is {said.state} at {bytes_text(said.done_bytes)} of {bytes_text(said.total_bytes)}.")
    output.result(asdict(said))
    return FINISHED


def _cancel(arguments: argparse.Namespace, output: Output) -> int:
    downloads.find(home_of(arguments), arguments.name).cancel()
    output.say(f"The download of {arguments.name} is gone. Whole files that were fetched stay in the Hub cache.")
    output.result({"name": arguments.name, "state": "cancelled"})
    return FINISHED


def _login(arguments: argparse.Namespace, output: Output) -> int:
    asked = f"Token from {hub.endpoint()}/settings/tokens (it is not shown): "
    hub.keep_token(getpass.getpass(asked) if sys.stdin.isatty() else sys.stdin.readline())
    output.say("The token is in this system's keyring.")
    output.result({"kept": True})
    return FINISHED


def _logout(arguments: argparse.Namespace, output: Output) -> int:
    gone = hub.forget_token()
    output.say("The token is forgotten." if gone else "No token was kept.")
    output.result({"forgotten": gone})
    return FINISHED
