"""`stillroom chain`: a distillation in several, from a teacher far too large by way of assistants down to the student."""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

from core import law, runs
from core.chain import CAUTION, ChainRecipe, assistant_builder, settle_chain
from core.cli import FINISHED, home_of
from core.cli.flags import add_flags, given_fields
from core.cli.output import Output
from core.cli.start import DISTILL_GROUPS, DISTILL_SPELLINGS, SETTLED_BY, start
from core.distill import DistillRecipe
from core.errors import BadRecipe
from core.models import inspect_model
from core.numbers import count_text
from core.plan import beside, check_device
from core.recipe import parse_recipe, read_recipe

EPILOGUE = """\
examples:
  stillroom chain --teacher ./teacher --student 0.1x --data stories.txt --tokens 6M --dry-run
  stillroom chain --teacher ./teacher --student 1M --assistant 4M --assistant 2M --data stories.txt --tokens 6M

The tokens are shared by all links. An assistant is worth its cost only where no teacher of the right size is at hand.
"""


def chain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE
    links = parser.add_argument_group("the chain")
    links.add_argument(
        "--assistant",
        action="append",
        metavar="SIZE",
        dest="sizes",
        help="the size of an assistant (1.3M, or 0.6x of the teacher); may be given several times [as the law plans]",
    )
    links.add_argument(
        "--split",
        choices=["even", "size"],
        help="how the links share the tokens: evenly, or in proportion to the size of what each makes [even]",
    )
    add_flags(parser, DistillRecipe, DISTILL_GROUPS, DISTILL_SPELLINGS)
    files = parser.add_argument_group("recipe files")
    files.add_argument(
        "--recipe", metavar="FILE", type=Path, help="begin with this recipe, of a chain or a distillation"
    )
    files.add_argument("--save-recipe", metavar="FILE", type=Path, help="also write the complete recipe")
    files.add_argument("--dry-run", action="store_true", help="show the links, but start nothing")
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")


def chain_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    recipe = settle_chain(_asked(arguments))
    check_device(recipe.device)
    links = _links(recipe)
    _show(recipe, links, output)
    if arguments.save_recipe:
        runs.save_recipe(recipe, arguments.save_recipe)
        output.note(f"The recipe is in {arguments.save_recipe}")
    if arguments.dry_run:
        output.result({"recipe": recipe.model_dump(mode="json"), "links": links, "caution": CAUTION})
        return FINISHED
    return start(home, recipe, output, detach=arguments.detach)


def _asked(arguments: argparse.Namespace) -> ChainRecipe:
    """The chain of the file, with the flags that were given on top."""
    flags = given_fields(arguments, DistillRecipe)
    kept: ChainRecipe | None = None
    fields: dict[str, Any] = {}
    if arguments.recipe:
        read = read_recipe(arguments.recipe)
        if isinstance(read, ChainRecipe):
            kept, read = read, read.of
        if not isinstance(read, DistillRecipe):
            raise BadRecipe(f"{arguments.recipe} is a recipe of the kind {read.kind}, not chain or distill.")
        fields = beside(read, arguments.recipe.parent).model_dump(mode="json")
    planned_anew = bool(SETTLED_BY & flags.keys() or arguments.sizes)
    if planned_anew or kept is None:
        fields["shape"] = None
    fields |= flags
    for name, example in (("teacher", "./teacher"), ("student", "0.1x"), ("data", "stories.txt"), ("tokens", "6M")):
        if not fields.get(name):
            raise BadRecipe(
                f"--{name} is missing.", f"Say it like --{name} {example}; `stillroom chain --help` tells more."
            )
    of = parse_recipe({**fields, "kind": "distill"}, str(arguments.recipe or "The command"))
    sizes = tuple(arguments.sizes or (() if planned_anew or kept is None else kept.sizes))
    split = arguments.split or (kept.split if kept else "even")
    return ChainRecipe.model_validate({"of": of, "sizes": sizes, "split": split})


def _links(recipe: ChainRecipe) -> list[dict[str, Any]]:
    """Every link in figures. `flops` are of the training: 6·N·D of what is trained, 2·N·D of what teaches (`core.law.training_flops`)."""
    assert recipe.of.teacher is not None
    teacher = inspect_model(Path(recipe.of.teacher), recipe.allow_remote_code)
    sizes = [teacher.parameters, *(link.parameters for link in recipe.links)]
    return [
        {
            "number": number,
            "teacher_parameters": larger,
            "parameters": smaller,
            "ratio": larger / smaller,
            "tokens": link.tokens,
            "flops": law.training_flops(smaller, link.tokens, larger),
            "init": recipe.of.init if number == len(recipe.links) else assistant_builder(recipe.of),
        }
        for number, ((larger, smaller), link) in enumerate(zip(pairwise(sizes), recipe.links, strict=True), 1)
    ]


def _show(recipe: ChainRecipe, links: list[dict[str, Any]], output: Output) -> None:
    output.say(f"{recipe.title()}, in {len(links)} links:")
    whole = sum(link["flops"] for link in links)
    rows = [
        [
            str(link["number"]),
            count_text(link["teacher_parameters"]),
            count_text(link["parameters"]),
            f"{link['ratio']:.2g}x",
            count_text(link["tokens"]),
            f"{link['flops'] / whole:.0%}",
            link["init"],
        ]
        for link in links
    ]
    right = ["link", "teacher", "student", "teacher is", "tokens", "of the work"]
    output.table([*right, "made by"], rows, right=right)
    output.say(f"\n{CAUTION}\n")
