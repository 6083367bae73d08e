"""`stillroom evaluate`: what a model scores, on text, benchmarks, minimal pairs, and by the clock."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from core import runs
from core.benchmarks import PRESETS, main_metric
from core.cli import FINISHED, home_of
from core.cli.flags import absolute, add_flags, given_fields
from core.cli.output import Output
from core.cli.start import go
from core.errors import BadRecipe
from core.evaluate import EvaluateRecipe
from core.model_folders import resolve_model
from core.plan import check_device
from core.recipe import parse_recipe
from core.subjects import resolve_subject

GROUPS = {
    "text": ["data", "teacher", "skills", "most_tokens", "calibration", "written", "written_tokens"],
    "benchmarks": ["tasks", "task_dir", "few_shot", "limit", "run_code", "minimal_pairs"],
    "by the clock": ["speed"],
}
EPILOGUE = """\
MODEL is a folder, a name in the Hub's cache, a run (its finished model), or a checkpoint: RUN@STEP, RUN@last.

examples:
  stillroom evaluate ./student --data held-out.txt --teacher ./teacher --calibration
  stillroom evaluate ./student --tasks arc_easy,piqa --task-dir ./benchmarks --limit 200
  stillroom evaluate ./student --minimal-pairs BLiMP.zip --limit 60
  stillroom evaluate last@last --data held-out.txt --share-device

presets for --tasks:
"""


def evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE + "\n".join(f"  {name:<12} {' '.join(tasks)}" for name, tasks in PRESETS.items())
    parser.add_argument("model", metavar="MODEL", nargs="?", help="what is measured")
    parser.add_argument("--model", dest="named", metavar="MODEL", help=argparse.SUPPRESS)
    add_flags(parser, EvaluateRecipe, GROUPS, without=("model",))
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")


def evaluate_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    word = arguments.model or arguments.named
    if word is None:
        raise BadRecipe("MODEL is missing.", "Name a model folder; `stillroom evaluate --help` tells more.")
    fields: dict[str, Any] = given_fields(arguments, EvaluateRecipe)
    fields["model"] = str(resolve_subject(home, word))
    if "teacher" in fields:
        fields["teacher"] = str(resolve_model(fields["teacher"]))
    fields["data"] = tuple(absolute(item) for item in fields.get("data", ()))
    fields["tasks"] = tuple(
        name.strip() for item in fields.get("tasks", ()) for name in item.split(",") if name.strip()
    )
    for name in ("task_dir", "minimal_pairs"):
        if name in fields:
            fields[name] = absolute(fields[name])
    recipe = parse_recipe({"kind": "evaluate", **fields}, "The command").check()
    check_device(recipe.device)
    run = runs.new_run(home, recipe)
    runs.enqueue(home, run)
    code = go(home, run, output, detach=arguments.detach)
    if code == FINISHED and not arguments.detach:
        show_scores(run.history().results, output)
    return code


def show_scores(results: Mapping[str, Any], output: Output) -> None:
    """Benchmarks, minimal pairs, calibration, writing and speed as tables."""
    rows = []
    for task, metrics in (results.get("results") or {}).items():
        facts, quoted = results["tasks"][task], main_metric(task, metrics)
        for metric, value in metrics.items():
            if metric == "stderr" or metric.endswith("_stderr"):
                continue
            error = metrics.get(f"{metric}_stderr")
            rows.append(
                [
                    task if metric == quoted else "",
                    metric,
                    f"{value:.4f}",
                    "–" if error is None else f"± {error:.4f}",
                    str(facts["questions"]),
                    f"{facts['few_shot'] or 0}-shot, version {facts['version']}"
                    + (", known from before" if facts["cached"] else ""),
                ]
            )
    if rows:
        output.table(
            ["task", "metric", "value", "error", "questions", "how"], rows, right=["value", "error", "questions"]
        )
    if pairs := results.get("pairs"):
        sets = sorted(pairs["sets"].items(), key=lambda item: -item[1]["accuracy"])
        shown = [[name, f"{each['accuracy']:.3f}", f"± {each['stderr']:.3f}"] for name, each in sets]
        shown.append([f"mean of {len(sets)}", f"{pairs['accuracy']:.3f}", f"± {pairs['stderr']:.3f}"])
        output.table(["minimal pairs", "accuracy", "error"], shown, right=["accuracy", "error"])
    for part in ("calibration", "writing", "speed"):
        figures = {k: v for k, v in (results.get(part) or {}).items() if isinstance(v, int | float)}
        if figures:
            output.table(
                [part, "value"],
                [[name.replace("_", " "), f"{value:,.4g}"] for name, value in figures.items()],
                right=["value"],
            )
