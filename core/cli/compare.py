"""`stillroom compare` and `stillroom scores`: models side by side, on the terminal, as HTML, as Markdown, for scripts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core import compare as side_by_side
from core import report
from core.cli import FINISHED, home_of
from core.cli.flags import count
from core.cli.output import Output
from core.compare import Comparison
from core.errors import BadRecipe, Trouble
from core.files import write_text
from core.numbers import count_text
from core.radar import LEAST_AXES, SCALES, axes_of, figure_title, spokes, words_for

EPILOGUE = """\
MODEL is a folder, a name in the Hub's cache, or a run. What was not measured yet is a gap: `stillroom evaluate MODEL` fills it.

examples:
  stillroom compare ./teacher ./student ./same-without-teacher --report comparison.html
  stillroom compare ./teacher ./student --scale retention --reference ./teacher --save "tonight"
  stillroom compare --saved tonight --markdown tonight.md
"""


def compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE
    parser.add_argument("models", metavar="MODEL", nargs="*")
    parser.add_argument("--report", metavar="FILE.html", type=Path, help="write one HTML page with tables and charts")
    parser.add_argument("--markdown", metavar="FILE.md", type=Path, help="write the tables as Markdown")
    parser.add_argument("--scale", choices=SCALES, default="raw", help="of the radar: %(choices)s [raw]")
    parser.add_argument("--reference", metavar="MODEL", help="what retention is measured against [the others' teacher]")
    parser.add_argument("--save", metavar="NAME", help="keep the comparison under this name")
    parser.add_argument("--saved", metavar="NAME", help="reopen one that was kept, with the figures of today")
    parser.add_argument("--list", action="store_true", help="the comparisons that are kept")


def compare_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    if arguments.list:
        names = side_by_side.saved(home)
        output.say("\n".join(names) or "No comparison is kept.")
        output.result({"comparisons": names})
        return FINISHED
    if arguments.saved and not arguments.models:
        comparison = side_by_side.reopen(home, arguments.saved)
    elif not arguments.models:
        raise BadRecipe("Nothing to compare.", "Name models or runs; `stillroom compare --help` tells more.")
    else:
        name = arguments.save or ""
        comparison = side_by_side.compare(home, arguments.models, arguments.scale, arguments.reference, name)
    answer: dict[str, Any] = facts(comparison)
    if arguments.save:
        answer["saved"] = str(side_by_side.save(home, comparison))
    for file, text in ((arguments.report, report.to_html), (arguments.markdown, report.to_markdown)):
        if file is not None:
            _write(file, text(comparison))
            output.note(f"Written to {file}")
            answer["report" if file is arguments.report else "markdown"] = str(file.absolute())
    _show(comparison, output)
    output.result(answer)
    return FINISHED


def scores_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--task", action="append", default=[], help="only models with a figure of this task; may be given several times"
    )
    parser.add_argument("--least", type=count, metavar="N", help="of at least so many parameters")
    parser.add_argument("--most", type=count, metavar="N", help="of at most so many parameters")


def scores_command(arguments: argparse.Namespace, output: Output) -> int:
    comparison = side_by_side.leaderboard(home_of(arguments), arguments.task, arguments.least, arguments.most)
    if not comparison.entries:
        output.say("Nothing was measured yet. `stillroom evaluate MODEL` does.")
    else:
        _show(comparison, output)
    output.result(facts(comparison))
    return FINISHED


def facts(comparison: Comparison) -> dict[str, Any]:
    """A comparison for scripts."""
    axes = axes_of(score for entry in comparison.entries for score in entry.scores.values())
    reference = comparison.reference_scores()
    return {
        "name": comparison.name,
        "scale": comparison.scale,
        "scale_words": words_for(comparison.scale, comparison.reference or "the reference"),
        "reference": comparison.reference,
        "differing": comparison.differing(),
        "models": [
            {
                "model": entry.word,
                "name": entry.name,
                "path": None if entry.path is None else str(entry.path),
                "run": entry.run,
                "parameters": entry.parameters,
                "size_bytes": entry.size_bytes,
                "training_flops": entry.training_flops,
                "scores": [
                    {
                        "task": s.task,
                        "metric": s.metric,
                        "value": s.value,
                        "stderr": s.stderr,
                        "on": s.on,
                        "count": s.count,
                    }
                    for s in entry.scores.values()
                ],
                "radar": {
                    axis.title: spoke.radius
                    for axis, spoke in zip(axes, spokes(axes, entry.scores, comparison.scale, reference), strict=True)
                },
            }
            for entry in comparison.entries
        ],
    }


def _show(comparison: Comparison, output: Output) -> None:
    names = [entry.name for entry in comparison.entries]
    sizes = [count_text(entry.parameters) if entry.parameters else "–" for entry in comparison.entries]
    rows = [["parameters", *sizes, ""]]
    for column in comparison.columns():
        best = comparison.best(column)
        cells = []
        for place, entry in enumerate(comparison.entries):
            score = entry.scores.get(column)
            cells.append("–" if score is None else report.score_text(score) + (" *" if place in best else ""))
        rows.append([figure_title(column), *cells, column[2]])
    output.table(["figure", *names, "how"], rows, right=names)
    output.say("* the best of its line; ± is one standard error.")
    axes = axes_of(score for entry in comparison.entries for score in entry.scores.values())
    if len(axes) < LEAST_AXES:
        output.say(f"A radar takes at least {LEAST_AXES} figures, and there are {len(axes)}.")
    if differing := comparison.differing():
        settings = [
            [name, *("–" if value is None else str(value) for value in values)] for name, values in differing.items()
        ]
        output.table(["setting that differs", *names], settings)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    except OSError as error:
        raise Trouble(f"{file} can't be written: {error.strerror}.", "Name another file.") from error
