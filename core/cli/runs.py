"""Commands that look at runs: the list, one run, its recipe, its log."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import runs
from core.cli import FINISHED, home_of
from core.cli.output import Output
from core.cli.report import age_text, ending, facts, log_tail, measured_facts
from core.errors import Trouble
from core.home import Home
from core.recipe import Recipe
from core.runs import RunFolder
from core.state import History, State


def runs_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "List all runs, the newest last."


def runs_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    listed = list_runs(home)
    for path in runs.unreadable_runs(home):
        output.note(f"A run is left out: {path} can't be read. Change its permissions, or remove it.")
    if not listed:
        output.say(f"No runs yet in {home.runs}. `stillroom sample` makes a first one.")
    else:
        output.table(
            ["id", "state", "progress", "loss", "device", "age", "name"],
            [_row(run) for run in listed],
            right=["progress", "loss", "age"],
        )
    output.result({"runs": listed})
    return FINISHED


def list_runs(home: Home) -> list[dict[str, Any]]:
    """The facts of every run, oldest first; `position` is the place in the queue, 1 is next."""
    places = {run.id: place for place, run in enumerate(runs.queue(home), 1)}
    listed = []
    for run in runs.all_runs(home):
        try:
            history = run.history()
            state = run.state(history)
            listed.append({**facts(run, history, state), "position": places.get(run.id)})
        except OSError:  # it was removed, or its disk went away, while we looked
            continue
    return listed


def _row(run: dict[str, Any]) -> list[str]:
    state = f"queued, {run['position']}." if run["position"] else run["state"]
    if run["state"] == State.RUNNING and run["phase"] == "measuring":  # its progress stands still
        state += ", measuring"
    progress = "–" if run["share"] is None else f"{run['share']:.0%}"
    loss = "–" if run["loss"] is None else f"{run['loss']:.3f}"
    return [run["id"], state, progress, loss, run["device"] or "–", age_text(run["created"]), run["name"]]


def show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--follow", action="store_true", help="follow the run to its end; Ctrl-C stops and keeps it")


def show_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    run = runs.find_run(home, arguments.run)
    if arguments.follow:
        from core.cli.follow import follow

        return follow(home, run, output)
    history = run.history()
    state = run.state(history)
    output.say(f"{run.meta().get('name', run.id)}\n{run.path}\n")
    _show_recipe(run, output)
    _show_choices(history, output)
    for notice in history.notices:
        output.say(f"{notice.level}: {notice.text}")
    if not state.ended:
        phase = f", {history.phase}" if history.phase and state.alive else ""
        output.say(f"It is {state}{phase}. `stillroom show {run.id} --follow` follows it.")
    ending(run, history, state, output)
    output.result(everything(run, history, state))
    return FINISHED


def everything(run: RunFolder, history: History, state: State) -> dict[str, Any]:
    """All that the journal tells of a run, every point of its curve included."""
    return {
        **facts(run, history, state),
        "recipe": _raw_recipe(run),
        "plan": _fields(history.plan),
        "choices": {name: {"value": choice.value, "reason": choice.reason} for name, choice in history.choices.items()},
        "notices": [_fields(notice) for notice in history.notices],
        "curve": [_fields(point) for point in history.steps],
        "evaluations": [_fields(point) for point in history.evaluations],
        "samples": [_fields(sample) for sample in history.samples],
        "measured": measured_facts(run, history),
        "results": history.results,
        "failure": _fields(history.failure),
        "log_tail": log_tail(run) if state in (State.FAILED, State.CRASHED) else [],
    }


def _fields(event: Any) -> dict[str, Any] | None:
    if event is None:
        return None
    return {name: value for name, value in asdict(event).items() if name != "seq"}


def _raw_recipe(run: RunFolder) -> dict[str, Any] | None:
    """The recipe as JSON, or None where it can't be read: the rest of the run is still worth showing."""
    try:
        return run.recipe().model_dump(mode="json")
    except Trouble:
        return None


def _show_recipe(run: RunFolder, output: Output) -> None:
    try:
        recipe = run.recipe()
    except Trouble as trouble:
        output.say(str(trouble))
        return
    rows = [[name.replace("_", " "), _value_text(getattr(recipe, name))] for name in _worth_showing(recipe)]
    output.table(["asked", ""], rows)
    output.say()


def _worth_showing(recipe: Recipe) -> list[str]:
    """The fields that differ from their defaults, and those that have none."""
    return [
        name
        for name, field in type(recipe).model_fields.items()
        if name != "kind" and (field.is_required() or getattr(recipe, name) != field.default)
    ]


def _value_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, Recipe):
        return ", ".join(f"{name} {_value_text(getattr(value, name))}" for name in _worth_showing(value))
    return str(value)


def _show_choices(history: History, output: Output) -> None:
    if history.choices:
        rows = [
            [name.replace("_", " "), "" if isinstance(choice.value, dict) else str(choice.value), choice.reason]
            for name, choice in history.choices.items()
        ]
        output.table(["chosen", "", "because"], rows)
        output.say()


def recipe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print or save the recipe of a run: edit it, then `stillroom distill --recipe FILE`."
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write it there instead of printing it")


def recipe_command(arguments: argparse.Namespace, output: Output) -> int:
    recipe = runs.find_run(home_of(arguments), arguments.run).recipe()
    if arguments.out:
        runs.save_recipe(recipe, arguments.out)
        output.note(f"The recipe is in {arguments.out}")
    elif not output.json:
        output.say(recipe.model_dump_json(indent=2))
    output.result(recipe.model_dump(mode="json"))
    return FINISHED


def log_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--lines", type=int, metavar="N", help="only the last N lines")


def log_command(arguments: argparse.Namespace, output: Output) -> int:
    run = runs.find_run(home_of(arguments), arguments.run)
    lines = log_tail(run, arguments.lines)
    if not output.json:
        for line in lines:
            output.say(line)
    if not lines:
        output.note("The engine has printed nothing.")
    output.result({"run": run.id, "path": str(run.log), "lines": lines})
    return FINISHED
