"""Commands about a teacher's kept answers: making a cache, and listing or deleting those at hand."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.cache import CacheInfo, CacheRecipe, cache_info, caches, delete_cache
from core.cli import FINISHED, home_of
from core.cli.flags import absolute, add_flags, given_fields
from core.cli.output import Output
from core.cli.start import start
from core.errors import BadRecipe
from core.home import Home
from core.model_folders import name_of, resolve_model
from core.numbers import bytes_text, count_text
from core.recipe import parse_recipe

GROUPS = {"what is kept": ["teacher", "data", "top_k", "tail", "temperature", "out"]}


def cache_arguments(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, CacheRecipe, GROUPS)
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")


def cache_command(arguments: argparse.Namespace, output: Output) -> int:
    fields: dict[str, Any] = given_fields(arguments, CacheRecipe)
    for name, example in (("teacher", "./teacher"), ("data", "stories.txt")):
        if not fields.get(name):
            raise BadRecipe(
                f"--{name} is missing.", f"Say it like --{name} {example}; `stillroom cache --help` tells more."
            )
    fields["teacher"] = str(resolve_model(fields["teacher"]))
    fields["data"] = tuple(absolute(item) for item in fields["data"])
    if "out" in fields:
        fields["out"] = absolute(fields["out"])
    recipe = parse_recipe({"kind": "cache", **fields}, "The command").check()
    return start(home_of(arguments), recipe, output, detach=arguments.detach)


def caches_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--delete",
        metavar="DIR",
        action="append",
        default=[],
        help="remove this cache (its folder or its name) for good",
    )


def caches_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    gone = []
    for wanted in arguments.delete:
        folder = _folder(home, wanted)
        size = cache_info(folder).bytes
        delete_cache(folder)
        gone.append(str(folder))
        output.note(f"{folder} is gone; {bytes_text(size)} are free again.")
    found = caches(home)
    output.table(
        ["tokens", "size", "k", "mass kept", "teacher", "name", "text or trouble"],
        [_row(info) for info in found],
        right=["tokens", "size", "k", "mass kept"],
    )
    output.result({"caches": [_facts(info) for info in found], "deleted": gone})
    return FINISHED


def _folder(home: Home, wanted: str) -> Path:
    """A cache by its name in the data folder, else by its path."""
    named = home.caches / wanted
    return named if "/" not in wanted and "\\" not in wanted and named.is_dir() else Path(absolute(wanted))


def _row(info: CacheInfo) -> list[str]:
    return [
        count_text(info.tokens) if info.tokens is not None else "–",
        bytes_text(info.bytes),
        f"{info.top_k}{' drawn' if info.tail == 'sample' else ''}" if info.top_k is not None else "–",
        f"{info.mass_kept:.2%}" if info.mass_kept is not None else "–",
        name_of(Path(info.teacher)) if info.teacher else "–",
        info.name,
        info.broken or info.unfinished or ", ".join(Path(item).name for item in info.data),
    ]


def _facts(info: CacheInfo) -> dict[str, Any]:
    shown = {name: value for name, value in vars(info).items() if name != "fields"}
    return {**shown, "folder": str(info.folder), "data": list(info.data), "usable": info.usable}
