"""`stillroom plan`: which teacher the law recommends for a student, the teachers at hand, shapes, and the cost here."""

from __future__ import annotations

import argparse
import time
import typing
from functools import partial
from typing import Any

from core import runner, runs
from core.cli import FINISHED, home_of
from core.cli.flags import absolute, count
from core.cli.output import Output
from core.cli.report import waiting_words
from core.distill import Builder, DistillRecipe
from core.errors import BadRecipe, Trouble
from core.home import Home
from core.library import added_folders
from core.measure import measurement
from core.model_folders import resolve_model, scan_folder
from core.numbers import bytes_text, count_text, duration_text
from core.objectives import Objective, Source
from core.options import Choice
from core.plan import Plan, parse_target, plan, settle
from core.runs import RunFolder
from core.state import State

MOST_ROWS = 20
LOOK_AT_QUEUE_EVERY_S = 3.0
MOST_SHAPES = 5


def plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--student",
        required=True,
        metavar="TARGET",
        help="what the student must be: a size (1.3M, 3B), a share of the teacher (0.4x), memory (2GB, 2GB@int4), "
        "speed (30tok/s), or a model folder",
    )
    parser.add_argument(
        "--teacher",
        action="append",
        default=[],
        metavar="PATH",
        help="the teacher; without one, those at hand are ranked. Given several times, the others teach beside the first",
    )
    parser.add_argument(
        "--objective",
        choices=typing.get_args(Objective),
        default="forward_kl",
        help="how the student follows its teacher; all of them are compared [forward_kl]",
    )
    parser.add_argument(
        "--source",
        choices=typing.get_args(Source),
        default="corpus",
        help="what the teacher is asked; all of them are compared [corpus]",
    )
    parser.add_argument(
        "--init", choices=typing.get_args(Builder), default="prune", help="how the student is made [prune]"
    )
    parser.add_argument("--tokens", type=count, metavar="N", help="the budget, for the estimate of time")
    parser.add_argument(
        "--data", action="append", default=[], metavar="FILE", help="the text, may be given several times"
    )
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="where it will run [auto]")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="run a few real steps on this machine first, for a better estimate; needs --teacher and --data",
    )


def plan_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    make = partial(
        plan,
        home,
        parse_target(arguments.student),
        resolve_model(arguments.teacher[0]) if arguments.teacher else None,
        init=arguments.init,
        tokens=arguments.tokens,
        data=tuple(absolute(item) for item in arguments.data),
        device=arguments.device,
        at_hand=[path for folder in added_folders(home) for path in scan_folder(folder)],
        **_lesson(arguments),
    )
    made = make()
    measured: dict[str, Any] | None = None
    if arguments.measure:
        measured = _measure(home, made, arguments, output)
        made = make(measured_tokens_per_second=measured["tokens_per_second"])
    if not output.json:  # tables take longer to load than the plan to make
        _show(made, output)
        if measured:
            output.say(
                f"Measured over {measured['steps']} steps: {count_text(measured['tokens_per_second'])} tokens a second, "
                f"{bytes_text(measured['peak_memory_bytes'])} of memory at the most."
            )
    output.result({**made.model_dump(mode="json"), "measured": measured})
    return FINISHED


def _lesson(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of the recipe that say what is learnt of whom."""
    return {
        "objective": arguments.objective,
        "source": arguments.source,
        "more_teachers": tuple(arguments.teacher[1:]),
    }


def _measure(home: Home, made: Plan, arguments: argparse.Namespace, output: Output) -> dict[str, Any]:
    """Run a few steps as a run of its own, so that it waits for its device like any other; it is removed afterwards."""
    if not arguments.teacher or not arguments.data:
        raise BadRecipe("A measurement needs --teacher and --data.", "Name both, or leave --measure out.")
    recipe = settle(
        DistillRecipe(
            teacher=arguments.teacher[0],
            student=arguments.student,
            init=made.init,
            data=tuple(absolute(item) for item in arguments.data),
            tokens=made.tokens,
            device=arguments.device,
            **_lesson(arguments),
        )
    ).check()
    run = runs.new_run(home, measurement(recipe, made.estimate.choices))
    try:
        runs.enqueue(home, run)
        output.note("Measuring a few steps …")
        state, history = until_ended(home, run, output), run.history()
    finally:
        runs.discard(run)
    if state is not State.FINISHED:
        failure = history.failure
        raise Trouble(
            f"The measurement ended early ({state}). {failure.what if failure else ''}",
            failure.way_out if failure else "",
        )
    return history.results


def until_ended(home: Home, run: RunFolder, output: Output) -> State:
    """Wait for the end of the run; while it waits itself, say for what, and see to it that a runner lives."""
    told, looked_at = "", float("-inf")
    while not (state := run.state()).ended:
        if state is State.QUEUED and time.monotonic() - looked_at >= LOOK_AT_QUEUE_EVERY_S:
            looked_at = time.monotonic()
            runner.ensure_runner(home)
            words = waiting_words(run, home)
            if words != told:
                output.note(f"{words} Ctrl-C gives up.")
            told = words
        time.sleep(0.2)
    return state


def _show(made: Plan, output: Output) -> None:
    output.say(f"A student of {count_text(made.student_params)} parameters ({made.student_reason}).")
    output.say(f"{made.sentence}\n  {made.source}\n")
    if made.own_runs:
        output.say(f"{made.own_law_sentence}\n")
    if made.teacher:
        output.say(f"{made.teacher.name}: {made.teacher.badge}. {made.teacher.badge_sentence}\n")
        if made.assistants.sizes:
            output.say(f"{made.assistants.sentence}\n")
    _show_candidates(made, output)
    output.say(f"A second opinion. {made.second_opinion.sentence}\n  {made.second_opinion.source}\n")
    output.say(f"{made.caveat}\n")
    _show_shapes(made, output)
    _show_cost(made, output)
    _show_choices(made, output)
    for problem in made.problems:
        output.say(f"To be mended first: {problem.field}: {problem.text}")


def _show_candidates(made: Plan, output: Output) -> None:
    if not made.candidates:
        output.say("No model is at hand to teach. `stillroom models add FOLDER` names more.\n")
        return
    tokenizers = {True: "same", False: "other", None: "–"}
    rows = [
        [
            teacher.name,
            count_text(teacher.parameters),
            f"{teacher.ratio:.2g}x",
            teacher.badge,
            tokenizers[teacher.same_tokenizer],
        ]
        for teacher in made.candidates[:MOST_ROWS]
    ]
    output.table(["teacher at hand", "parameters", "size", "the law", "tokenizer"], rows, right=["parameters", "size"])
    output.say()


def _show_shapes(made: Plan, output: Output) -> None:
    if not made.shapes:
        return
    rows = [
        [
            count_text(each.parameters),
            str(each.shape.layers),
            str(each.shape.hidden),
            f"{each.shape.heads}/{each.shape.kv_heads}",
            str(each.shape.intermediate),
        ]
        for each in made.shapes[:MOST_SHAPES]
    ]
    numbers = ["student", "layers", "width", "heads/kv", "feed-forward"]
    output.table(numbers, rows, right=numbers)
    output.say(f"The first: {made.shapes[0].reason}\n")


def _show_cost(made: Plan, output: Output) -> None:
    cost = made.estimate
    output.say(
        f"{cost.sentence} {count_text(made.tokens)} tokens, {made.tokens_reason}. {made.device_reason.rstrip('.')}."
    )
    output.say(made.budget_sentence)
    rows = [
        [kind, part.name, bytes_text(part.bytes), f"±{part.error:.0%}", part.reason]
        for kind, parts in (("memory", cost.memory), ("disk", cost.disk))
        for part in parts
    ]
    output.table(["", "part", "size", "error", "because"], rows, right=["size", "error"])
    low, high = (duration_text(seconds) for seconds in cost.seconds_band)
    output.say(f"time  {duration_text(cost.seconds)} (from {low} to {high}): {cost.time_reason}")
    for part in cost.time:
        output.say(f"      {part.name} {duration_text(part.seconds)}: {part.reason}")
    for assumption in cost.assumptions:
        output.say(f"Assumed: {assumption}")
    output.say()


def _show_choices(made: Plan, output: Output) -> None:
    """What every other source and objective would take, beside the chosen one; what can't be had says why."""
    output.say(f"{made.objective_sentence}")
    for kind, choices, chosen in (
        ("source", made.sources, made.lesson_source),
        ("objective", made.objectives, made.objective),
    ):
        rows = [
            [
                f"{choice.name} *" if choice.name == chosen else choice.name,
                *(["–", "–", "–"] if choice.why_not else _takes(choice)),
                choice.why_not or choice.advice,
            ]
            for choice in choices
        ]
        output.table([kind, "time", "memory", "disk", ""], rows, right=["time", "memory", "disk"])
        output.say()


def _takes(choice: Choice) -> list[str]:
    return [duration_text(choice.seconds), bytes_text(choice.memory_bytes), bytes_text(choice.disk_bytes)]
