"""`stillroom write`: a teacher writes text that students will learn, or a few rows to look at first."""

from __future__ import annotations

import argparse
from typing import Any

from core import runs
from core.cli import FINISHED, home_of
from core.cli.flags import absolute, add_flags, count, given_fields
from core.cli.output import Output
from core.cli.plan import until_ended
from core.cli.start import start
from core.errors import BadRecipe, Trouble
from core.home import Home
from core.model_folders import resolve_model
from core.plan import check_device
from core.recipe import parse_recipe
from core.state import State
from core.write import WriteRecipe

GROUPS = {
    "what is written": ["teacher", "data", "tokens", "out", "prompt_tokens", "temperature", "top_p", "new_tokens"],
    "what is kept": ["least_tokens", "must_end", "most_repetition", "drop_least_likely"],
}
EPILOGUE = """\
examples:
  stillroom write --teacher ./teacher --data stories.txt --preview 3
  stillroom write --teacher ./teacher --data stories.txt --tokens 2M --out written.jsonl
  stillroom distill --teacher ./teacher --no-teacher --student 0.4x --data written.jsonl --tokens 2M
"""
PREVIEW_TOKENS = 1


def write_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE
    add_flags(parser, WriteRecipe, GROUPS, without=("preview",))
    parser.add_argument("--preview", type=count, metavar="N", default=0, help="show this many rows, and write no file")
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")


def write_command(arguments: argparse.Namespace, output: Output) -> int:
    fields: dict[str, Any] = given_fields(arguments, WriteRecipe)
    if arguments.preview:
        fields.setdefault("tokens", PREVIEW_TOKENS)
    for name, example in (("teacher", "./teacher"), ("data", "stories.txt"), ("tokens", "2M")):
        if not fields.get(name):
            raise BadRecipe(
                f"--{name} is missing.", f"Say it like --{name} {example}; `stillroom write --help` tells more."
            )
    fields["teacher"] = str(resolve_model(fields["teacher"]))
    fields["data"] = tuple(absolute(item) for item in fields["data"])
    if "out" in fields:
        fields["out"] = absolute(fields["out"])
    recipe = parse_recipe({"kind": "write", **fields}, "The command").check()
    assert isinstance(recipe, WriteRecipe)
    if recipe.preview:
        return _preview(home_of(arguments), recipe, output)
    return start(home_of(arguments), recipe, output, detach=arguments.detach)


def _preview(home: Home, recipe: WriteRecipe, output: Output) -> int:
    """Write a few rows as a run of its own, so that it waits for its device like any other; it is removed afterwards."""
    check_device(recipe.device)
    run = runs.new_run(home, recipe)
    try:
        runs.enqueue(home, run)
        output.note(f"{recipe.preview} rows to look at …")
        state, history = until_ended(home, run, output), run.history()
    finally:
        runs.discard(run)
    if state is not State.FINISHED:
        failure = history.failure
        raise Trouble(
            f"The preview ended early ({state}). {failure.what if failure else ''}", failure.way_out if failure else ""
        )
    for row in history.results["rows"]:
        fate = f"dropped: {row['dropped']}" if row["dropped"] else "kept"
        output.say(f"── {row['mean_logprob']:.2f} nats a token, {fate}")
        output.say(f"{row['prompt']}│{row['completion']}\n")
    output.result(history.results)
    return FINISHED
