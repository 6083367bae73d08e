"""`stillroom sweep`: one merge along a grid of parameters, each scored on held-out text; the best is kept."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.cli import FINISHED, home_of
from core.cli.flags import absolute, add_flags, given_fields
from core.cli.merge import read_text
from core.cli.output import Output
from core.cli.start import start
from core.errors import BadRecipe
from core.recipe import parse_recipe
from core.sweep import SweepRecipe

EPILOGUE = """\
examples:
  stillroom sweep recipe.yml ./best --along t=0:1:0.1 --data held_out.txt
  stillroom sweep recipe.yml ./best --along mix=0:1:0.25 --data held_out.txt
  stillroom sweep recipe.yml ./best --along weight@b=0:1:0.5 --along density@b=0.2,0.5,0.8 --data held_out.txt
"""
GROUPS = {"the grid": ["along"], "the score": ["data", "separator", "most_tokens", "precision"]}


def sweep_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE
    parser.add_argument("recipe", metavar="RECIPE.yml", type=Path, help="the merge, in mergekit's YAML")
    parser.add_argument("out", metavar="OUT", help="where the best model goes; must not be there yet")
    add_flags(parser, SweepRecipe, GROUPS, without=("text", "folder", "out"))
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")


def sweep_command(arguments: argparse.Namespace, output: Output) -> int:
    fields: dict[str, Any] = given_fields(arguments, SweepRecipe) | {
        "text": read_text(arguments.recipe),
        "folder": str(arguments.recipe.expanduser().absolute().parent),
        "out": absolute(arguments.out),
    }
    for name, example in (("along", "t=0:1:0.25"), ("data", "held_out.txt")):
        if not fields.get(name):
            raise BadRecipe(
                f"--{name} is missing.", f"Say it like --{name} {example}; `stillroom sweep --help` tells more."
            )
    fields["data"] = tuple(absolute(item) for item in fields["data"])
    recipe = parse_recipe({"kind": "sweep", **fields}, "The command").check()
    code = start(home_of(arguments), recipe, output, detach=arguments.detach)
    if code == FINISHED and not arguments.detach:
        output.say(f"The best model is in {fields['out']}")
    return code
