"""`stillroom merge`: several models made into one by a recipe in mergekit's format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.cli import FINISHED, home_of
from core.cli.flags import absolute, add_flags, given_fields
from core.cli.output import Output
from core.cli.start import start
from core.errors import BadRecipe
from core.merge.methods import METHODS
from core.merge.run import MergeRecipe, in_the_way
from core.merge.tree import Survey, Tree, survey
from core.numbers import bytes_text, count_text
from core.recipe import parse_recipe

EPILOGUE = """\
examples:
  stillroom merge recipe.yml ./merged
  stillroom merge recipe.yml ./merged --dry-run

methods:
{methods}

The recipe is mergekit's YAML; its paths are relative to the file. BASE+ADAPTER is a model with a LoRA adapter. Several documents
with names are a tree.
"""


def merge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE.format(
        methods="\n".join(f"  {name:<17} {facts.advice}" for name, facts in METHODS.items())
    )
    parser.add_argument("recipe", metavar="RECIPE.yml", type=Path, help="the merge, in mergekit's YAML")
    parser.add_argument("out", metavar="OUT", help="where the merged model goes; must not be there yet")
    add_flags(parser, MergeRecipe, {}, without=("text", "folder", "out"))
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would come out and what it costs, and start nothing"
    )
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")


def merge_command(arguments: argparse.Namespace, output: Output) -> int:
    text = read_text(arguments.recipe)
    fields: dict[str, Any] = given_fields(arguments, MergeRecipe) | {
        "text": text,
        "folder": str(arguments.recipe.expanduser().absolute().parent),
        "out": absolute(arguments.out),
    }
    recipe = parse_recipe({"kind": "merge", **fields}, "The command")
    assert isinstance(recipe, MergeRecipe)
    tree = Tree.read(text, str(arguments.recipe))
    found = survey(
        tree, Path(recipe.folder), keep=recipe.keep_intermediates, allow_remote_code=recipe.allow_remote_code
    )
    found.refuse()
    if (why := in_the_way(Path(fields["out"]))) is not None:
        raise BadRecipe(f"OUT: {why}")
    tell(tree, found, output)
    if arguments.dry_run:
        output.result({"merges": facts(tree, found), "cost": vars(found.cost)})
        return FINISHED
    code = start(home_of(arguments), recipe, output, detach=arguments.detach)
    if code == FINISHED and not arguments.detach:
        output.say(f"The model is in {fields['out']}")
    return code


def read_text(file: Path) -> str:
    try:
        return file.expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise BadRecipe(f"There is no recipe file {file}.") from error
    except UnicodeDecodeError as error:
        raise BadRecipe(f"{file} is no text in UTF-8.", "Save it as UTF-8.") from error
    except OSError as error:
        raise BadRecipe(f"{file} can't be read: {error.strerror}.") from error


def facts(tree: Tree, found: Survey) -> list[dict[str, Any]]:
    """What comes out of each merge, for scripts."""
    answer = []
    for key in tree.needed():
        outcome = found.outcomes[key]
        shape = outcome.shape.model_dump() if outcome.shape else None
        answer.append(
            {**vars(outcome), "shape": shape, "name": key, "method": tree.merges[key].method, "notes": found.notes[key]}
        )
    return answer


def tell(tree: Tree, found: Survey, output: Output) -> None:
    rows = []
    for key in tree.needed():
        outcome = found.outcomes[key]
        inputs = ", ".join(str(model) for model in tree.merges[key].models())
        rows.append(
            [key, tree.merges[key].method, count_text(outcome.parameters), bytes_text(outcome.size_bytes), inputs]
        )
    output.table(["merge", "method", "parameters", "size", "inputs"], rows, right=["parameters", "size"])
    assert found.cost is not None
    cost = found.cost
    output.say(
        f"Reads {bytes_text(cost.read_bytes)}, writes {bytes_text(cost.written_bytes)}, in {bytes_text(cost.memory_bytes)} of memory."
    )
