"""Commands that keep the list of runs tidy: names, tags, and the trash."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from core import labels, runner, runs, trash
from core.cli import FINISHED, home_of
from core.cli.output import Output
from core.cli.report import age_text
from core.errors import RunTrouble
from core.home import Home
from core.numbers import bytes_text
from core.trash import Thrown


def rename_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("name", metavar="NAME")


def rename_command(arguments: argparse.Namespace, output: Output) -> int:
    run = runs.find_run(home_of(arguments), arguments.run)
    labels.rename(run, arguments.name)
    name = run.meta().get("name")
    output.say(f"Run {run.id} is called {name}.")
    output.result({"run": run.id, "name": name})
    return FINISHED


def tag_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Give the run these tags in place of those it had. Without TAG: say which it has."
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("tags", metavar="TAG", nargs="*")
    parser.add_argument("--none", action="store_true", help="take all tags away")


def tag_command(arguments: argparse.Namespace, output: Output) -> int:
    run = runs.find_run(home_of(arguments), arguments.run)
    if arguments.none and arguments.tags:
        raise RunTrouble("Tags, or none?", "Leave out --none, or the tags.")
    if arguments.none or arguments.tags:
        labels.retag(run, arguments.tags)
    had = run.meta().get("tags")
    tags = [str(tag) for tag in had] if isinstance(had, list) else []
    output.say(f"Run {run.id} has the tags {', '.join(tags)}." if tags else f"Run {run.id} has no tags.")
    output.result({"run": run.id, "tags": tags})
    return FINISHED


def delete_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Move runs to the trash; `stillroom trash --back` undoes it. A living run is refused."
    parser.add_argument("runs", metavar="RUN", nargs="+")


def delete_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    wanted = {run.id: run for run in [runs.find_run(home, each) for each in arguments.runs]}
    for run in wanted.values():  # all or none
        if run.lock_held():
            raise RunTrouble(f"Run {run.id} is alive; it can't be deleted.", f"`stillroom stop {run.id}` ends it.")
    for run in wanted.values():
        trash.throw_away(home, run)
        output.say(f"Run {run.id} is in the trash. `stillroom trash --back {run.id}` brings it back.")
    output.result({"deleted": list(wanted)})
    return FINISHED


def trash_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Without an option: list the deleted runs, the newest last."
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--back", metavar="RUN", help="put the run back, into the queue too if it waited there")
    change.add_argument("--empty", action="store_true", help="remove all of them; this can't be undone")


def trash_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    if arguments.back is not None:
        return _bring_back(home, arguments.back, output)
    if arguments.empty:
        freed = trash.empty(home)
        left = len(trash.contents(home))  # an engine that somebody started there holds them
        output.say(f"{f'{left} left' if left else 'The trash is empty'}; {bytes_text(freed)} became free.")
        output.result({"freed_bytes": freed, "left": left})
        return FINISHED
    thrown, size = trash.contents(home), trash.size_bytes(home)
    if thrown:
        rows = [[one.folder.name, age_text(one.at), one.name] for one in thrown]
        output.table(["id", "deleted for", "name"], rows, right=["deleted for"])
        output.say(f"They take {bytes_text(size)}. `stillroom trash --empty` removes them for good.")
    else:
        output.say("The trash is empty.")
    output.result({"trash": [asdict(one) for one in thrown], "size_bytes": size})
    return FINISHED


def _bring_back(home: Home, wanted: str, output: Output) -> int:
    thrown = find_thrown(home, wanted)
    run = trash.bring_back(home, thrown)
    if thrown.position is not None:
        runner.ensure_runner(home)
    waits = " and waits in the queue again" if thrown.position is not None else ""
    output.say(f"Run {run.id} is back{waits}.")
    output.result({"run": run.id, "queued": thrown.position is not None})
    return FINISHED


def find_thrown(home: Home, wanted: str) -> Thrown:
    """The run in the trash of this id, of an id that ends or begins so, of this name, or the newest for `last`."""
    thrown = trash.contents(home)
    if wanted == "last" and thrown:
        return thrown[-1]
    matches = [one for one in thrown if one.folder.name == wanted]
    matches = matches or [one for one in thrown if one.id.startswith(wanted) or one.id.endswith(wanted)]
    matches = matches or [one for one in thrown if one.name == wanted]
    if not matches:
        raise RunTrouble(f"There is no run {wanted} in the trash.", "`stillroom trash` lists what is there.")
    if len(matches) > 1:
        names = ", ".join(one.folder.name for one in matches[:5])
        raise RunTrouble(f"{wanted} could be any of {names}.", "Write more of the id.")
    return matches[0]
