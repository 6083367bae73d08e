"""`stillroom pilot`: a few teachers, objectives or sources on the same short budget, followed to the end and compared."""

from __future__ import annotations

import argparse
import typing
from typing import Any

from core import runner, runs
from core.cli import FAILED, FINISHED, INTERRUPTED, STOPPED, home_of
from core.cli.flags import absolute, add_flags, count, given_fields
from core.cli.output import Output
from core.cli.start import DISTILL_GROUPS, DISTILL_SPELLINGS
from core.distill import DistillRecipe
from core.errors import BadRecipe
from core.home import Home
from core.model_folders import resolve_model
from core.numbers import count_text, duration_text
from core.objectives import Objective, Source
from core.own_runs import PILOT
from core.pilot import (
    FIELDS,
    LEAST_STEPS,
    Field,
    PilotState,
    count_for_law,
    law_points,
    make_pilot,
    pilot_of,
    pilot_tokens,
)
from core.plan import Plan, check_device, parse_target, plan
from core.recipe import parse_recipe
from core.runs import RunFolder
from core.state import State

EPILOGUE = """\
examples:
  stillroom pilot --teacher ./small --teacher ./large --student 1M --data stories.txt --tokens 300K
  stillroom pilot --teacher ./teacher --objective forward_kl --objective jsd --student 0.4x --data stories.txt
  stillroom pilot --show last --count

Exactly one of --teacher, --objective and --source is given two to four times. The students stay in their run folders.
"""


def pilot_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE
    tried = parser.add_argument_group("what is tried")
    tried.add_argument("--teacher", action="append", metavar="PATH", help="a teacher")
    tried.add_argument("--objective", action="append", choices=typing.get_args(Objective), help="an objective")
    tried.add_argument("--source", action="append", choices=typing.get_args(Source), help="a source of tokens")
    tried.add_argument(
        "--tokens",
        type=count,
        default=argparse.SUPPRESS,
        metavar="N",
        help=f"the budget of each run [a tenth of a distillation's, but at least {LEAST_STEPS} steps]",
    )
    own = (*FIELDS, "tokens")
    groups = {title: [name for name in names if name not in own] for title, names in DISTILL_GROUPS.items()}
    add_flags(parser, DistillRecipe, groups, DISTILL_SPELLINGS, without=own)
    later = parser.add_argument_group("a pilot that was made before")
    later.add_argument("--show", metavar="PILOT", help="how it stands, by its id or `last`")
    parser.add_argument(
        "--count", action="store_true", help="let its finished runs count for your own law of the best teacher"
    )
    parser.add_argument("--detach", action="store_true", help="leave the runs to the queue instead of following them")


def pilot_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    code, id_ = FINISHED, arguments.show
    if not id_:
        made = _make(home, arguments, output)
        id_ = next(tag.removeprefix(PILOT) for tag in made[0].meta()["tags"] if tag.startswith(PILOT))
        output.note(f"Pilot {id_}: {len(made)} runs")
        if not arguments.detach:
            code = _follow_all(home, made, output)
    state = pilot_of(home, id_)
    _show(state, output)
    counted = 0
    if arguments.count and (arguments.show or code == FINISHED):
        counted = count_for_law(state)
        output.say(f"{counted} points count for your own law from now on; `stillroom plan` shows it.")
    elif code == FINISHED and law_points(state) and not arguments.detach:
        output.say(f"`stillroom pilot --show {state.id} --count` lets these points count for your own law.")
    output.result(_facts(state, counted))
    return code


def _make(home: Home, arguments: argparse.Namespace, output: Output) -> list[RunFolder]:
    given: dict[Field, list[str]] = {field: getattr(arguments, field) or [] for field in FIELDS}
    several = [field for field in FIELDS if len(given[field]) > 1]
    if len(several) != 1:
        raise BadRecipe(
            "A pilot tries two to four teachers, objectives or sources, and only one of these at a time.",
            "Give one of --teacher, --objective and --source several times; `stillroom pilot --help` shows how.",
        )
    fields: dict[str, Any] = {**given_fields(arguments, DistillRecipe), "kind": "distill"}
    for name, values in given.items():
        fields.pop(name, None)
        if values:
            fields[name] = values[0]
    for name, example in (("teacher", "./teacher"), ("student", "1M"), ("data", "stories.txt")):
        if not fields.get(name):
            raise BadRecipe(
                f"--{name} is missing.", f"Say it like --{name} {example}; `stillroom pilot --help` tells more."
            )
    if not fields.get("tokens"):
        fields["tokens"], reason = pilot_tokens(_plan(home, fields))
        output.note(f"Budget of each run: {count_text(fields['tokens'])} tokens, {reason}.")
    recipe = parse_recipe(fields, "The command")
    assert isinstance(recipe, DistillRecipe)
    check_device(recipe.device)
    made = make_pilot(home, recipe, several[0], given[several[0]], recipe.tokens)
    for run in made:
        runs.enqueue(home, run)
    runner.ensure_runner(home)
    return made


def _plan(home: Home, fields: dict[str, Any]) -> Plan:
    """The plan of the first run as a distillation of its own, with the budget that one would have by default."""
    apart = {"kind", "teacher", "student", "data"}
    return plan(
        home,
        parse_target(fields["student"]),
        resolve_model(fields["teacher"]),
        data=tuple(absolute(item) for item in fields["data"]),
        **{name: value for name, value in fields.items() if name not in apart},
    )


class _WithoutResult(Output):
    """The words of a single run; the answer for a script is the pilot's."""

    def result(self, value: dict[str, Any]) -> None:
        pass


def _follow_all(home: Home, made: list[RunFolder], output: Output) -> int:
    """Each to its end. One that fails is told, and the others go on; Ctrl-C stops it and takes the rest out of the queue."""
    from core.cli.follow import follow

    worst = FINISHED
    for number, run in enumerate(made):
        output.note(f"Run {run.id}")
        code = follow(home, run, _WithoutResult(json=output.json))
        if code == INTERRUPTED:
            return code
        if code == STOPPED:
            for other in made[number + 1 :]:
                runs.stop_and_keep(other)
            return code
        worst = FAILED if code != FINISHED else worst
    return worst


def _show(state: PilotState, output: Output) -> None:
    head = [state.field, "state", "bits per byte", "tokens", "time", "student", "teacher", "run"]
    rows = [
        [
            trial.value + (" *" if trial is state.winner and not state.draw else ""),
            str(trial.state),
            "–" if trial.bits_per_byte is None else f"{trial.bits_per_byte:.4f}",
            count_text(trial.tokens),
            duration_text(trial.seconds),
            "–" if trial.student_parameters is None else count_text(trial.student_parameters),
            "–" if trial.teacher_parameters is None else count_text(trial.teacher_parameters),
            trial.run.id,
        ]
        for trial in state.trials
    ]
    output.table(head, rows, right=["bits per byte", "tokens", "time", "student", "teacher"])
    output.say(f"\n{state.sentence}")


def _facts(state: PilotState, counted: int) -> dict[str, Any]:
    return {
        "pilot": state.id,
        "field": state.field,
        "runs": [
            {
                "run": trial.run.id,
                "path": str(trial.run.path),
                "value": trial.value,
                "state": str(trial.state),
                "bits_per_byte": trial.bits_per_byte,
                "tokens": trial.tokens,
                "seconds": trial.seconds,
                "student_parameters": trial.student_parameters,
                "teacher_parameters": trial.teacher_parameters,
            }
            for trial in state.trials
        ],
        "winner": state.winner.value if state.winner else None,
        "margin": state.margin,
        "draw": state.draw,
        "sentence": state.sentence,
        "points": law_points(state),
        "counted": counted,
        "state": str(State.FINISHED) if all(t.state is State.FINISHED for t in state.trials) else "open",
    }
