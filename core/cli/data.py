"""`stillroom data …`: what a file holds, how a model will see it, statistics, mixtures, and the data sets at hand."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import runs
from core.cli import FINISHED, home_of
from core.cli.flags import absolute, add_flags, count, given_fields
from core.cli.output import Output
from core.cli.plan import until_ended
from core.cli.start import start
from core.data.choosing import mapping_of
from core.data.inspection import Inspection, inspect_data
from core.data.preview import Shown, preview
from core.data.rendering import Reader
from core.data.shelf import DataSet
from core.errors import BadData, Trouble
from core.fetch import FetchRecipe
from core.library import Library
from core.model_folders import resolve_model
from core.models import inspect_model
from core.numbers import bytes_text
from core.plan import check_device
from core.prepare import PrepareRecipe
from core.recipe import Recipe, parse_recipe
from core.state import State
from core.survey import SurveyRecipe

EPILOGUE = """\
examples:
  stillroom data inspect chats.json
  stillroom data preview chats.json --model ./student --rows 3
  stillroom data preview table.csv --map prompt=Frage --map completion=Antwort
  stillroom data survey chats.json --model ./student
  stillroom data prepare a.jsonl b.txt --weights 0.7,0.3 --drop-near --out ./mixed
  stillroom data prepare texts.jsonl --labelled good.jsonl --model ./student --preview 200
  stillroom data fetch roneneldan/TinyStories --split "train[:10000]"
"""
SHOWN_PROBLEMS = 20


def data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    inspect = actions.add_parser("inspect", help="what data it is, how much, and what is wrong with it")
    _reading(inspect)
    inspect.add_argument("--quick", action="store_true", help="look for about a second instead of counting it all")
    inspect.set_defaults(act=_inspect)
    shown = actions.add_parser("preview", help="the first rows as a model will see them")
    _reading(shown)
    shown.add_argument("--model", metavar="PATH", help="the model whose tokenizer and chat template are used")
    shown.add_argument(
        "--template", metavar="NAME|FILE", help="another chat template: chatml, plain, …, or a .jinja file"
    )
    shown.add_argument("--rows", type=count, default=5, metavar="N", help="how many rows [5]")
    shown.set_defaults(act=_preview)
    survey = actions.add_parser("survey", help="lengths, what is cut off, duplicates: a run")
    _recipe_flags(survey, SurveyRecipe, SURVEY_GROUPS)
    survey.set_defaults(act=_survey)
    prepare = actions.add_parser("prepare", help="sift, mix and split data, and write it as JSON lines: a run")
    _recipe_flags(prepare, PrepareRecipe, PREPARE_GROUPS)
    prepare.set_defaults(act=_prepare)
    fetch = actions.add_parser("fetch", help="a data set of the Hugging Face Hub: a run")
    fetch.add_argument("data_set", metavar="NAME", help="its name on the Hub, as in roneneldan/TinyStories")
    add_flags(fetch, FetchRecipe, {"what is fetched": ["config", "split", "revision", "out"]}, without=("data_set",))
    fetch.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")
    fetch.set_defaults(act=_fetch)
    listed = actions.add_parser("list", help="the data sets at hand: added ones, and those that runs made")
    listed.set_defaults(act=_list)
    for name, text in (("add", "list this data, too"), ("forget", "list it no longer; its files stay")):
        action = actions.add_parser(name, help=text)
        action.add_argument("data", metavar="PATH")
        action.set_defaults(act=_add if name == "add" else _forget)


SURVEY_GROUPS = {"what is counted": ["model", "template", "context", "near_duplicates", "similarity", "columns"]}
PREPARE_GROUPS = {
    "what is written": ["out", "weights", "weigh_by", "total", "repeat", "validation", "test"],
    "what is dropped": [
        *("least_characters", "most_characters", "least_tokens", "most_tokens", "keep", "drop"),
        *("drop_flawed", "drop_exact", "drop_near", "similarity"),
    ],
    "the classifier": ["labelled", "good", "classifier", "threshold", "model"],
}


def _recipe_flags(parser: argparse.ArgumentParser, recipe: type[Recipe], groups: dict[str, list[str]]) -> None:
    parser.add_argument("data", metavar="FILE", nargs="+", help="files or folders")
    add_flags(parser, recipe, groups, {"columns": "--map"}, without=("data",))
    parser.add_argument("--detach", action="store_true", help="leave the run to the queue instead of following it")


def data_command(arguments: argparse.Namespace, output: Output) -> int:
    code: int = arguments.act(arguments, output)
    return code


def _reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="FILE", nargs="+", help="files or folders")
    parser.add_argument(
        "--map", action="append", default=[], metavar="FIELD=COLUMN", help="which column is which, e.g. text=body"
    )
    parser.add_argument("--separator", metavar="TEXT", help="the line that parts documents of plain text")


# ------------------------------------------------------------------------------------------------------------- a look


def _inspect(arguments: argparse.Namespace, output: Output) -> int:
    found = inspect_data(arguments.data, mapping_of(arguments.map), arguments.separator, quick=arguments.quick)
    facts = inspection_facts(found)
    least = "" if found.exact else "≥ "
    files = f" in {len(found.files)} files" if len(found.files) > 1 else ""
    packed = f", {found.recognised.compression}" if found.recognised.compression else ""
    rows = [
        ["format", f"{found.recognised.format} ({found.recognised.reason})"],
        ["kind", found.recognised.kind],
        ["container", f"{found.recognised.container}{packed}"],
        ["documents", f"{least}{found.documents:,}"],
        ["size", f"{bytes_text(found.bytes)}{files}"],
        ["columns", ", ".join(found.recognised.columns)],
        ["turns", ", ".join(f"{number:,} {role}" for role, number in found.turns.most_common())],
    ]
    output.table(["", str(arguments.data[0])], [row for row in rows if row[1]])
    for problem in found.problems[:SHOWN_PROBLEMS]:
        output.say(f"Note: {problem.text}: {least}{problem.count:,}, first {problem.first}")
    if not found.documents:
        for text in found.recognised.problems[:1]:
            output.say(text)
    output.result(facts)
    return FINISHED


def inspection_facts(found: Inspection) -> dict[str, Any]:
    """What scripts rely on: format, kind, container, documents, bytes, columns, problems."""
    what = found.recognised
    return {
        "format": what.format,
        "kind": what.kind,
        "container": what.container,
        "compression": what.compression,
        "reason": what.reason,
        "documents": found.documents,
        "exact": found.exact,
        "broken": found.broken,
        "bytes": found.bytes,
        "columns": list(what.columns),
        "kinds": dict(found.kinds),
        "turns": dict(found.turns),
        "problems": [asdict(problem) for problem in found.problems],
        "files": [str(file) for file in found.files],
    }


def _preview(arguments: argparse.Namespace, output: Output) -> int:
    reader, context = None, None
    if arguments.model:
        folder = resolve_model(arguments.model)
        reader, context = Reader.of(folder, arguments.template), inspect_model(folder).context
    elif arguments.template:
        raise BadData("A template needs a model, whose tokens it is filled with.", "Add --model.")
    shown = preview(
        arguments.data,
        reader,
        count=max(1, arguments.rows),
        mapping=mapping_of(arguments.map),
        separator=arguments.separator,
        context=context,
    )
    if reader is not None and reader.template is None:
        output.note("This model has no chat template: conversations are shown as plain text (--template picks one).")
    for row in shown:
        _show(row, output)
    output.result({"rows": [asdict(row) for row in shown], "template": bool(reader and reader.template)})
    return FINISHED


def _show(row: Shown, output: Output) -> None:
    """What is learnt is green on a terminal, and between ⟦ and ⟧ elsewhere; special tokens are magenta there."""
    tokens = f", {row.tokens} tokens, {row.learnt_tokens} of them learnt" if row.tokens is not None else ""
    if row.place:
        output.say(f"── {row.place}: {row.format}{', ' + row.name if row.name else ''}{tokens}")
    for note in row.notes:
        output.say(f"Note: {note}")
    if not row.segments:
        return
    if not output.report_stream.isatty():
        text = "".join(f"⟦{piece.text}⟧" if piece.learnt else piece.text for piece in row.segments)
        output.say(f"{text.replace('⟧⟦', '')}\n")
        return
    from rich.text import Text

    styled = Text()
    for piece in row.segments:
        styled.append(
            piece.text, f"{'green' if piece.learnt else ''} {'bold magenta' if piece.special else ''}".strip()
        )
    output.show(styled)
    output.say()


# --------------------------------------------------------------------------------------------------------------- runs


def _survey(arguments: argparse.Namespace, output: Output) -> int:
    fields = _fields(arguments, SurveyRecipe)
    recipe = parse_recipe({"kind": "survey", **fields}, "The command").check()
    return start(home_of(arguments), recipe, output, detach=arguments.detach)


def _prepare(arguments: argparse.Namespace, output: Output) -> int:
    fields = _fields(arguments, PrepareRecipe)
    if fields.get("labelled"):
        fields["labelled"] = absolute(fields["labelled"])
    recipe = parse_recipe({"kind": "prepare", **fields}, "The command").check()
    assert isinstance(recipe, PrepareRecipe)
    if recipe.preview:
        return _prepare_preview(arguments, recipe, output)
    return start(home_of(arguments), recipe, output, detach=arguments.detach)


def _fetch(arguments: argparse.Namespace, output: Output) -> int:
    fields = {**given_fields(arguments, FetchRecipe)}
    if "out" in fields:
        fields["out"] = absolute(fields["out"])
    recipe = parse_recipe({"kind": "fetch", **fields}, "The command").check()
    return start(home_of(arguments), recipe, output, detach=arguments.detach)


def _fields(arguments: argparse.Namespace, recipe: type[Recipe]) -> dict[str, Any]:
    fields = given_fields(arguments, recipe)
    fields["data"] = tuple(absolute(item) for item in fields["data"])
    if "model" in fields:
        fields["model"] = str(resolve_model(fields["model"]))
    if "out" in fields:
        fields["out"] = absolute(fields["out"])
    return fields


def _prepare_preview(arguments: argparse.Namespace, recipe: PrepareRecipe, output: Output) -> int:
    """Sift a few rows as a run of its own, which is removed afterwards."""
    home = home_of(arguments)
    check_device(recipe.device)
    run = runs.new_run(home, recipe)
    try:
        runs.enqueue(home, run)
        output.note(f"{recipe.preview} rows of each source to look at …")
        state, history = until_ended(home, run, output), run.history()
    finally:
        runs.discard(run)
    if state is not State.FINISHED:
        failure = history.failure
        raise Trouble(
            f"The preview ended early ({state}). {failure.what if failure else ''}", failure.way_out if failure else ""
        )
    results = history.results
    if facts := results["classifier"]:
        output.say(
            f"The classifier is right on {facts['accuracy']:.0%} of labelled rows that it had not seen "
            f"(always guessing the commoner label: {facts['always_the_commoner']:.0%})."
        )
    output.say(f"Kept {results['kept']:,} of {results['read']:,} rows.")
    for told in results["filters"]:
        output.say(f"── {told['reason']}: {told['dropped']:,} ({told['share']:.1%})")
        for row in told["shown"]:
            output.say(f"   {row['place']}: {' '.join(row['text'].split())[:160]}")
    output.result(results)
    return FINISHED


# --------------------------------------------------------------------------------------------------------- what is there


def _list(arguments: argparse.Namespace, output: Output) -> int:
    return _data_sets(arguments, output, None)


def _add(arguments: argparse.Namespace, output: Output) -> int:
    with Library(home_of(arguments)) as library:
        library.add_data(Path(arguments.data))
    return _data_sets(arguments, output, Path(arguments.data).expanduser().resolve())


def _forget(arguments: argparse.Namespace, output: Output) -> int:
    with Library(home_of(arguments)) as library:
        library.forget_data(Path(arguments.data))
    return _data_sets(arguments, output, None)


def _data_sets(arguments: argparse.Namespace, output: Output, added: Path | None) -> int:
    """The table of all data; one that was just added is counted to its end."""
    with Library(home_of(arguments)) as library:
        if library.notice:
            output.note(library.notice)
        library.refresh_runs()
        library.refresh_data(whole=[added] if added else [])
        found = library.data_sets()
    output.table(
        ["format", "kind", "documents", "size", "name", "path or trouble"],
        [_row(each) for each in found],
        right=["documents", "size"],
    )
    output.result({"data": [asdict(each) for each in found]})
    return FINISHED


def _row(each: DataSet) -> list[str]:
    if each.broken is not None:
        return ["–", "–", "–", "–", each.name, f"{each.path}: {each.broken}"]
    documents = f"{'' if each.exact else '≥ '}{each.documents or 0:,}"
    return [each.format or "", each.kind or "", documents, bytes_text(each.size_bytes or 0), each.name, str(each.path)]
