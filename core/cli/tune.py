"""`stillroom tune`: a model tuned on conversations, instructions, preference pairs or plain text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core import runs
from core.cli import FINISHED, home_of
from core.cli.flags import WATCH_GROUP, absolute, add_flags, given_fields
from core.cli.output import Output
from core.cli.start import start
from core.devices import Device, default_device, devices
from core.errors import BadRecipe
from core.model_folders import resolve_model
from core.recipe import parse_recipe, read_recipe
from core.templates import TEMPLATES
from core.tune import GOALS, METHODS, PRESETS, TuneRecipe
from core.tune_checks import prefers
from core.tune_estimate import estimate
from core.tune_proposals import proposals
from core.watch import UNWATCHED

GROUPS = {
    "what is tuned": ["model", "adapter", "data", "preset", "method", "objective", "out", "merge", "seed"],
    "how much": ["epochs", "tokens", "steps", "batch", "learning_rate", "rank", "alpha", "targets"],
    "what is read": [
        "template",
        "learn",
        "packing",
        "sequence_length",
        "too_long",
        "persona_name",
        "persona_author",
        "separator",
        "skip_broken",
        "held_out",
    ],
    WATCH_GROUP: list(UNWATCHED),
    "more guidance": ["teacher", "ce_weight", "temperature", "beta", "neftune", "dropout"],
}
SPELLINGS = {"learning_rate": "--lr"}
EPILOGUE = """\
examples:
  stillroom tune --model ./student --data chats.jsonl --out chatty
  stillroom tune --model ./student --data identity.json --preset persona --persona-name Ada --persona-author "the house"
  stillroom tune --model ./student --adapter chatty --data pairs.json --objective dpo --out polite --merge
  stillroom tune --model ./student --teacher ./teacher --data chats.jsonl --method dora --rank 32

methods:
{methods}

objectives:
{goals}

presets:
{presets}

templates for models that have none:
{templates}
"""


def tune_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s --model PATH --data FILE [--method lora] [--objective sft] [more settings]"
    parser.epilog = EPILOGUE.format(
        methods="\n".join(f"  {name:<10} {advice}" for name, (_, advice) in METHODS.items()),
        goals="\n".join(f"  {name:<10} {advice}" for name, (_, advice) in GOALS.items()),
        presets="\n".join(f"  {name:<10} {preset.advice}" for name, preset in PRESETS.items()),
        templates="\n".join(f"  {name:<10} {template.advice}" for name, template in TEMPLATES.items()),
    )
    add_flags(parser, TuneRecipe, GROUPS, SPELLINGS, without=("mapping",))
    parser.add_argument(
        "--learning-rate", dest="learning_rate", type=float, default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--map", action="append", metavar="FIELD=COLUMN", default=[], help="which column of the data is which field"
    )
    files = parser.add_argument_group("recipe files")
    files.add_argument("--recipe", metavar="FILE", type=Path, help="begin with this recipe; flags go before it")
    files.add_argument("--save-recipe", metavar="FILE", type=Path, help="also write the complete recipe")
    files.add_argument(
        "--dry-run", action="store_true", help="check the recipe and say what it will do, but start nothing"
    )
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")


def tune_command(arguments: argparse.Namespace, output: Output) -> int:
    recipe = _recipe(arguments).check()
    if arguments.save_recipe:
        runs.save_recipe(recipe, arguments.save_recipe)
        output.note(f"The recipe is in {arguments.save_recipe}")
    if arguments.dry_run:
        found = proposals(recipe)
        rows = [[name.replace("_", " "), str(each.value), each.reason] for name, each in found.items()]
        output.table(["choice", "value", "why"], rows)
        device = _device(recipe)
        reckoned = estimate(recipe, device)
        output.say(reckoned.sentence)
        said = {name: each.model_dump() for name, each in found.items()}
        result = {"recipe": recipe.model_dump(mode="json"), "choices": said}
        output.result({**result, "estimate": reckoned.model_dump(mode="json")})
        return FINISHED
    return start(home_of(arguments), recipe, output, detach=arguments.detach)


def _device(recipe: TuneRecipe) -> Device:
    found = devices()
    return next((each for each in found if each.id == recipe.device), default_device(found)[0])


def _recipe(arguments: argparse.Namespace) -> TuneRecipe:
    """The recipe of the file or the preset, with the flags that were given on top."""
    flags = given_fields(arguments, TuneRecipe)
    where, fields = "The command", dict[str, Any]()
    if arguments.recipe:
        where = str(arguments.recipe)
        kept = read_recipe(arguments.recipe)
        if not isinstance(kept, TuneRecipe):
            raise BadRecipe(f"{where} is a recipe of the kind {kept.kind}, not tune.")
        fields = kept.model_dump(mode="json")
    for name in ("model", "teacher"):
        if name in flags:
            flags[name] = str(resolve_model(flags[name]))
    for name in ("adapter", "out", "measure_files", "measure_pairs"):
        if name in flags:
            flags[name] = absolute(flags[name])
    if "data" in flags:
        flags["data"] = tuple(absolute(item) for item in flags["data"])
    if flags.get("template") and flags["template"] not in TEMPLATES:
        flags["template"] = absolute(flags["template"])
    if arguments.map:
        flags["mapping"] = dict(_pair(each) for each in arguments.map)
    fields |= {"kind": "tune"}
    for name, example in (("model", "./student"), ("data", "chats.jsonl")):
        if not (flags.get(name) or fields.get(name)):
            raise BadRecipe(
                f"--{name} is missing.", f"Say it like --{name} {example}; `stillroom tune --help` tells more."
            )
    if flags.get("preset", "none") != "none":
        fields |= _of_preset(flags)
    if {"epochs", "tokens", "steps"} & flags.keys():
        fields = {name: value for name, value in fields.items() if name not in ("epochs", "tokens", "steps")}
    recipe = parse_recipe(fields | flags, where)
    assert isinstance(recipe, TuneRecipe)
    return recipe


def _of_preset(flags: dict[str, Any]) -> dict[str, Any]:
    """The preset's fields: its second stage's, where there is one and the data has preference pairs."""
    preset = PRESETS[flags["preset"]]
    second = preset.preferences and flags.get("objective", "dpo") != "sft" and prefers(flags["data"])
    return dict(preset.preferences if second else preset.fields)


def _pair(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not equals or not name or not column:
        raise BadRecipe(f"--map {text} names no column.", "Write it like --map text=body.")
    return name, column
