"""Commands that start a run or let one go on: distill, sample, resume, again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core import runner, runs
from core.cli import FINISHED, home_of
from core.cli.flags import WATCH_GROUP, absolute, add_flags, count, given_fields
from core.cli.output import Output
from core.distill import DistillRecipe
from core.errors import BadRecipe
from core.home import Home
from core.objectives import OBJECTIVES, SOURCES
from core.plan import beside, check_device, settle
from core.recipe import Recipe, parse_recipe, read_recipe
from core.runs import RunFolder
from core.watch import UNWATCHED

DISTILL_GROUPS = {
    "the student": ["teacher", "student", "init", "data", "tokens", "seed", "out", "use_teacher"],
    "the objective": [
        "objective",
        "ce_weight",
        "balance",
        "temperature",
        "answers_only",
        "jsd_beta",
        "gold_beta",
        "skew_alpha",
        "clip_mass",
        "sinkhorn_epsilon",
        "hidden_weight",
        "relation_weight",
    ],
    "the source of what is learnt": [
        "source",
        "cache",
        "top_k",
        "tail",
        "on_policy_share",
        "new_tokens",
        "sampling_temperature",
        "teacher_mix",
    ],
    "several teachers": ["more_teachers", "teacher_weights", "mixture"],
    "devices and processes": [
        "device",
        "share_device",
        "processes",
        "launch",
        "strategy",
        "precision",
        "teacher_precision",
        "teacher_device",
        "gradient_checkpointing",
        "micro_batch",
        "chunk_rows",
    ],
    "More settings: the text": [
        "separator",
        "validation_tokens",
        "sequence_length",
        "calibration_blocks",
        "sample_prompt",
    ],
    "More settings: the optimizer": [
        "batch_tokens",
        "learning_rate",
        "schedule",
        "warmup",
        "weight_decay",
        "beta1",
        "beta2",
        "clip",
    ],
    WATCH_GROUP: list(UNWATCHED),
    "More settings: what is kept": [
        "evaluate_every",
        "checkpoint_every",
        "keep_checkpoints",
        "save_precision",
        "log_every",
    ],
}
DISTILL_SPELLINGS = {"use_teacher": "--no-teacher"}
SEVERAL_TEACHERS = {"teacher": "more_teachers"}
DISTILL_EPILOGUE = """\
examples:
  stillroom distill --teacher ./teacher --student 0.4x --data stories.txt --tokens 2M
  stillroom distill --teacher ./teacher --student 0.4x --data stories.txt --tokens 2M --objective jsd --source on-policy
  stillroom distill --teacher ./a --teacher ./b --teacher-weights 0.7,0.3 --student 3M --data stories.txt --tokens 2M
  stillroom distill --recipe night.json --seed 2

objectives:
{objectives}

sources:
{sources}

Ctrl-C stops the run and keeps it; twice within a second leaves it running.
"""
SETTLED_BY = {"teacher", "student", "init", "seed", "allow_remote_code"}  # a change of these settles the shape anew


def distill_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s --teacher PATH --student SIZE|PATH --data FILE --tokens N [more settings]"
    parser.epilog = DISTILL_EPILOGUE.format(
        objectives="\n".join(f"  {name:<16} {facts.advice}" for name, facts in OBJECTIVES.items()),
        sources="\n".join(f"  {name:<16} {advice}" for name, (_, advice, _) in SOURCES.items()),
    )
    add_flags(parser, DistillRecipe, DISTILL_GROUPS, DISTILL_SPELLINGS, further=SEVERAL_TEACHERS)
    files = parser.add_argument_group("recipe files")
    files.add_argument("--recipe", metavar="FILE", type=Path, help="begin with this recipe; flags go before it")
    files.add_argument("--save-recipe", metavar="FILE", type=Path, help="also write the complete recipe")
    files.add_argument("--dry-run", action="store_true", help="settle and check the recipe, but start nothing")
    _add_detach(parser)


def distill_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    asked = _distill_recipe(arguments)
    recipe = settle(asked)
    if recipe.objective != asked.objective:
        title = OBJECTIVES[recipe.objective].title
        output.note(
            f"Teacher and student have different tokenizers, so texts are compared: {title} ({recipe.objective})."
        )
    if arguments.save_recipe:
        runs.save_recipe(recipe, arguments.save_recipe)
        output.note(f"The recipe is in {arguments.save_recipe}")
    if arguments.dry_run:
        output.say(f"{recipe.title()}: nothing stands against it.")
        output.result({"recipe": recipe.model_dump(mode="json")})
        return FINISHED
    return start(home, recipe, output, detach=arguments.detach)


def sample_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default=argparse.SUPPRESS, help="where it runs: auto, cpu, cuda:0, … [auto]")
    parser.add_argument(
        "--seed", type=count, default=argparse.SUPPRESS, metavar="N", help="everything random follows from it"
    )
    _add_detach(parser)


def sample_command(arguments: argparse.Namespace, output: Output) -> int:
    from resources.sample import recipe as sample_recipe

    home = home_of(arguments)
    recipe = sample_recipe(home).model_copy(update=given_fields(arguments, DistillRecipe))
    return start(home, settle(recipe), output, detach=arguments.detach)


def resume_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN")
    _add_detach(parser)


def resume_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    run = runs.find_run(home, arguments.run)
    if run.position() is None:  # one that waits already is followed
        runs.resume(home, run)
    return go(home, run, output, detach=arguments.detach)


def again_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--out", metavar="DIR", help="where the finished student is also written")
    _add_detach(parser)


def again_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    first = runs.find_run(home, arguments.run)
    recipe = first.recipe()
    field, before = type(recipe).model_fields.get("out"), getattr(recipe, "out", None)
    if field is None and arguments.out:
        raise BadRecipe(f"The run {first.id} wrote nothing outside its folder.", "Leave --out away.")
    if field is not None and (arguments.out or before):
        out = absolute(arguments.out) if arguments.out else None
        if out is None and field.is_required():
            raise BadRecipe(f"The first result is in {before}.", "Say with --out where the new one goes.")
        if out is None:
            output.note(
                f"The first result is in {before}; the new one stays in its run folder, unless --out says where."
            )
        recipe = recipe.model_copy(update={"out": out})
    return start(home, recipe.check(), output, detach=arguments.detach, made_from=first.id)


def start(home: Home, recipe: Recipe, output: Output, *, detach: bool, made_from: str | None = None) -> int:
    """Write the run folder, enter it in the queue, see that a runner lives, and follow."""
    check_device(recipe.device)
    run = runs.new_run(home, recipe, made_from)
    runs.enqueue(home, run)
    return go(home, run, output, detach=detach)


def go(home: Home, run: RunFolder, output: Output, *, detach: bool) -> int:
    runner.ensure_runner(home)
    output.note(f"Run {run.id}")
    if not detach:
        from core.cli.follow import follow

        return follow(home, run, output)
    output.say(f"It waits in the queue. `stillroom show {run.id} --follow` follows it.")
    output.result({"run": run.id, "state": str(run.state()), "path": str(run.path)})
    return FINISHED


def _distill_recipe(arguments: argparse.Namespace) -> DistillRecipe:
    """The recipe of the file, with the flags that were given on top."""
    flags = given_fields(arguments, DistillRecipe)
    fields: dict[str, Any] = {"kind": "distill"}
    where = "The command"
    if arguments.recipe:
        where = str(arguments.recipe)
        kept = _of_distillation(read_recipe(arguments.recipe), where)
        fields = beside(kept, arguments.recipe.parent).model_dump(mode="json")
        if SETTLED_BY & flags.keys():
            fields["shape"] = None
    fields |= flags
    for name, example in (("student", "0.4x"), ("data", "stories.txt"), ("tokens", "2M")):
        if not fields.get(name):
            raise BadRecipe(
                f"--{name} is missing.", f"Say it like --{name} {example}; `stillroom distill --help` tells more."
            )
    return _of_distillation(parse_recipe(fields, where), where)


def _of_distillation(recipe: Recipe, where: str) -> DistillRecipe:
    if not isinstance(recipe, DistillRecipe):
        raise BadRecipe(f"{where} is a recipe of the kind {recipe.kind}, not distill.")
    return recipe


def _add_detach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")
