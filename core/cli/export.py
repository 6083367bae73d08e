"""`stillroom export`: a model made ready for somebody else's program, and checked there."""

from __future__ import annotations

import argparse
from typing import Any

from core.cli import home_of
from core.cli.flags import absolute, add_flags, given_fields
from core.cli.output import Output
from core.cli.start import start
from core.errors import BadRecipe
from core.export import TARGETS, ExportRecipe
from core.model_folders import resolve_model
from core.recipe import parse_recipe

GROUPS = {
    "what is written": ["to", "type", "shard_bytes", "license"],
    "how it is checked": ["data", "separator", "prompts", "new_tokens", "compared_tokens", "most_loss"],
    "the Hub": ["push", "public"],
}
EPILOGUE = """\
examples:
  stillroom export ./student --to gguf student.gguf
  stillroom export ./student --to gguf --type q4_0 student-q4.gguf --data held-out.txt
  stillroom export ./student --to ollama student-ollama   (then: ollama create student -f student-ollama/Modelfile)
  stillroom export ./student --to hf --type bf16 shipped --license apache-2.0 --push me/student

An export is kept only if it answers as the original does.
"""


def export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE
    parser.add_argument("model", metavar="MODEL", help="a model folder, or the name of a model in the Hub cache")
    parser.add_argument("out", metavar="OUT", help="the file (gguf) or folder that is written")
    add_flags(parser, ExportRecipe, GROUPS, without=("model", "out"), spellings={"prompts": "--prompt"})
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")


def export_command(arguments: argparse.Namespace, output: Output) -> int:
    fields: dict[str, Any] = given_fields(arguments, ExportRecipe)
    if "to" not in fields:
        raise BadRecipe("--to is missing.", f"Say where it will run: {', '.join(TARGETS)}.")
    fields["model"] = str(resolve_model(fields["model"]))
    fields["out"] = absolute(fields["out"])
    fields["data"] = tuple(absolute(item) for item in fields.get("data", ()))
    recipe = parse_recipe({"kind": "export", **fields}, "The command").check()
    return start(home_of(arguments), recipe, output, detach=arguments.detach)
