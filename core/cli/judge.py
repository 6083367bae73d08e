"""`stillroom judge`: a model says whose answers are better; `stillroom verdicts`: the table of all verdicts, models' and people's."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import runs
from core.cli import FINISHED, home_of
from core.cli.flags import absolute, add_flags, given_fields
from core.cli.output import Output
from core.cli.start import go
from core.errors import BadRecipe
from core.judge import JudgeRecipe, Record, Strength, records, strengths
from core.model_folders import name_of, resolve_model
from core.plan import check_device
from core.recipe import parse_recipe
from core.subjects import resolve_subject
from core.votes import verdicts

EPILOGUE = """\
examples:
  stillroom judge ./student ./teacher --judge ./judge --questions vicuna_bench_question.jsonl
  stillroom verdicts
"""


def judge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE
    parser.add_argument("models", metavar="MODEL", nargs="+", help="who is judged: two or more")
    add_flags(
        parser,
        JudgeRecipe,
        {"judging": ["judge", "questions", "limit"], "answers": ["answer_tokens", "temperature"]},
        without=("models",),
    )
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")


def judge_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    fields: dict[str, Any] = given_fields(arguments, JudgeRecipe)
    for name, example in (("judge", "./judge"), ("questions", "questions.jsonl")):
        if name not in fields:
            raise BadRecipe(
                f"--{name} is missing.", f"Say it like --{name} {example}; `stillroom judge --help` tells more."
            )
    fields["judge"] = str(resolve_model(fields["judge"]))
    fields["questions"] = absolute(fields["questions"])
    fields["models"] = tuple(str(resolve_subject(home, word)) for word in arguments.models)
    recipe = parse_recipe({"kind": "judge", **fields}, "The command").check()
    check_device(recipe.device)
    run = runs.new_run(home, recipe)
    runs.enqueue(home, run)
    code = go(home, run, output, detach=arguments.detach)
    if code == FINISHED and not arguments.detach:
        results = run.history().results
        _show(
            [Strength(**each) for each in results["strengths"]], [Record(**each) for each in results["records"]], output
        )
    return code


def verdicts_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", metavar="JUDGE", help="only those of this judge: a model's folder, or `human`")


def verdicts_command(arguments: argparse.Namespace, output: Output) -> int:
    every = [each for each in verdicts(home_of(arguments)) if arguments.by in (None, each.judge, Path(each.judge).name)]
    if not every:
        output.say("There are no verdicts yet. `stillroom judge` gives some, and votes in the chat.")
    found, of_pairs = strengths(every), records(every)
    if every:
        _show(found, of_pairs, output)
    output.result(
        {"verdicts": len(every), "strengths": [asdict(s) for s in found], "records": [asdict(r) for r in of_pairs]}
    )
    return FINISHED


def _show(found: Sequence[Strength], of_pairs: Sequence[Record], output: Output) -> None:
    rows = [[name_of(Path(s.model)), f"{s.elo:.0f}", f"{s.low:.0f} – {s.high:.0f}", str(s.games)] for s in found]
    output.table(["model", "Elo", "95 %", "verdicts"], rows, right=["Elo", "95 %", "verdicts"])
    told = [
        [
            f"{name_of(Path(r.a))} against {name_of(Path(r.b))}",
            r.category or "all",
            str(r.won),
            str(r.tied),
            str(r.lost),
        ]
        for r in of_pairs
    ]
    output.table(["pair", "category", "won", "tied", "lost"], told, right=["won", "tied", "lost"])
