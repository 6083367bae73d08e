"""A comparison as one file to hand on: HTML with its pictures inside, or Markdown. Neither needs the program, a network or a script."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from html import escape
from typing import Any

from core import __version__, pictures
from core.compare import Comparison, Entry, pareto
from core.numbers import bytes_text, count_text
from core.radar import LEAST_AXES, MOST_MODELS, Axis, Column, axes_of, axis_of, figure_title, spokes, words_for
from core.scores import Score

STYLE = """
:root{--back:#fff;--ink:#1c1f23;--soft:#667;--line:#d8dbe0;--one:#2f6fde;--two:#c8553d;--three:#3a8f5c;--four:#8a5cc2;--five:#b8860b;
--six:#1f8a99;--seven:#b0487e;--eight:#6b6f76}
@media (prefers-color-scheme:dark){:root{--back:#16181c;--ink:#e6e8eb;--soft:#9aa0a8;--line:#363b43;--one:#6ea3ff;--two:#f0846a;--three:#6cc492;
--four:#b797ec;--five:#e0b84a;--six:#5cc3d1;--seven:#e486b6;--eight:#a7acb4}}
body{background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}td.n,th.n{text-align:right}
small,.how,figcaption{color:var(--soft);font-weight:normal}figure{margin:1rem 0;overflow-x:auto}pre{white-space:pre-wrap}
svg text{fill:var(--ink);font-size:12px}svg .tick{fill:var(--soft);font-size:11px}svg .grid,svg .axis{fill:none;stroke:var(--line)}
svg .front{fill:none;stroke:var(--soft);stroke-dasharray:4 3}.key{display:inline-block;width:.8em;height:.8em;border-radius:50%;margin-right:.4em}
"""


def to_html(comparison: Comparison) -> str:
    """The whole report as one page."""
    title = comparison.name or "Comparison"
    parts = [
        f"<h1>{escape(title)}</h1><p><small>Stillroom {__version__}, {time.strftime('%Y-%m-%d %H:%M')}</small></p>",
        _models_html(comparison.entries),
        _radar_html(comparison),
        _scores_html(comparison),
        _quality_html(comparison),
        _curves_html(comparison.entries),
        _settings_html(comparison),
        _samples_html(comparison.entries),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>{"".join(parts)}</body></html>\n'
    )


def to_markdown(comparison: Comparison) -> str:
    """The tables of the report; pictures are left to the HTML."""
    entries = comparison.entries
    lines = [
        f"# {comparison.name or 'Comparison'}",
        "",
        *_md_table(["model", "parameters", "on disk"], _model_rows(entries)),
        "",
    ]
    columns = comparison.columns()
    if columns:
        head = ["figure", *(entry.name for entry in entries)]
        rows = [[f"{figure_title(column)} ({column[2]})", *_cells(comparison, column, "**{}**")] for column in columns]
        lines += [
            "## Scores",
            "",
            *_md_table(head, rows),
            "",
            "± is one standard error. Bold is the best of a line.",
            "",
        ]
    axes = _axes(comparison)
    if len(axes) >= LEAST_AXES:
        rows = [
            [axis.title, *(_radius_text(spoke) for spoke in row)]
            for axis, row in zip(axes, _by_axis(comparison, axes), strict=True)
        ]
        lines += [
            "## On one scale",
            "",
            _scale_words(comparison),
            "",
            *_md_table(["axis", *(e.name for e in entries)], rows),
            "",
        ]
    if differing := comparison.differing():
        rows = [[name, *map(_value_text, values)] for name, values in differing.items()]
        lines += ["## Settings that differ", "", *_md_table(["setting", *(entry.name for entry in entries)], rows), ""]
    return "\n".join(lines)


# --- parts ------------------------------------------------------------------------------------------------------------


def _models_html(entries: Sequence[Entry]) -> str:
    rows = [
        [f'<span class="key" style="background:{pictures.colour(place)}"></span>{escape(name)}', *map(escape, rest)]
        for place, (name, *rest) in enumerate(_model_rows(entries))
    ]
    return _table(["model", "parameters", "on disk"], rows)


def _model_rows(entries: Sequence[Entry]) -> list[list[str]]:
    return [
        [
            entry.name,
            count_text(entry.parameters) if entry.parameters else "–",
            bytes_text(entry.size_bytes) if entry.size_bytes else "–",
        ]
        for entry in entries
    ]


def _radar_html(comparison: Comparison) -> str:
    axes = _axes(comparison)
    if len(axes) < LEAST_AXES:
        return ""
    rows = _by_axis(comparison, axes)
    values = [[row[place].radius for row in rows] for place in range(len(comparison.entries))]
    shown = [(entry.name, each) for entry, each in zip(comparison.entries, values, strict=True)][:MOST_MODELS]
    reach = max(1.0, *(radius for _, each in shown for radius in each if radius is not None))
    table = _table(
        ["axis", *(escape(entry.name) for entry in comparison.entries)],
        [
            [
                escape(axis.title) + (f" <small>turned: {escape(axis.turned)}</small>" if axis.turned else ""),
                *map(_radius_html, row),
            ]
            for axis, row in zip(axes, rows, strict=True)
        ],
    )
    left_out = f" The first {MOST_MODELS} models are drawn." if len(comparison.entries) > MOST_MODELS else ""
    words = f"{escape(_scale_words(comparison))} A gap is a figure that is missing.{left_out}"
    return f"<h2>Radar</h2><figure>{pictures.radar([a.title for a in axes], shown, reach)}<figcaption>{words}</figcaption></figure>{table}"


def _scores_html(comparison: Comparison) -> str:
    columns = comparison.columns()
    if not columns:
        return "<h2>Scores</h2><p>Nothing was measured yet: <code>stillroom evaluate MODEL</code> does.</p>"
    rows = [
        [
            f'{escape(figure_title(column))} <span class="how">{escape(column[2])}</span>',
            *(cell if "<" in cell else escape(cell) for cell in _cells(comparison, column, "<b>{}</b>")),
        ]
        for column in columns
    ]
    head = ["figure", *(escape(entry.name) for entry in comparison.entries)]
    return (
        f"<h2>Scores</h2>{_table(head, rows)}<p><small>± is one standard error. Bold is the best of a line.</small></p>"
    )


def _quality_html(comparison: Comparison) -> str:
    """Quality against size, for the figure that most entries have."""
    for column in comparison.columns():
        points = comparison.points(column, "parameters")
        if len(points) >= 2 and comparison.entries[points[0][0]].scores[column].quoted:
            lower = not axis_of(column).higher_is_better
            front = pareto([(x, y) for _, x, y in points], less_is_better=lower)
            named = [(place, comparison.entries[place].name, x, y) for place, x, y in points]
            line = [(points[i][1], points[i][2]) for i in front]
            picture = pictures.scatter(named, line, "parameters", figure_title(column))
            words = f"{'Lower' if lower else 'Higher'} is better. The dashed line is the Pareto front: no other model is smaller and as good."
            return f"<h2>Quality against size</h2><figure>{picture}<figcaption>{words}</figcaption></figure>"
    return ""


def _curves_html(entries: Sequence[Entry]) -> str:
    lines = [(entry.name, [(float(point.tokens), point.loss) for point in entry.curve]) for entry in entries]
    if not any(points for _, points in lines):
        return ""
    return f"<h2>Training</h2><figure>{pictures.curves(lines, 'tokens', 'total loss, nats a token')}</figure>"


def _settings_html(comparison: Comparison) -> str:
    differing = comparison.differing()
    if not differing:
        return ""
    head = ["setting", *(escape(entry.name) for entry in comparison.entries)]
    rows = [[escape(name), *(escape(_value_text(value)) for value in values)] for name, values in differing.items()]
    return f"<h2>Settings that differ</h2>{_table(head, rows)}"


def _samples_html(entries: Sequence[Entry]) -> str:
    prompts = dict.fromkeys(prompt for entry in entries for prompt in entry.samples)
    shared = [prompt for prompt in prompts if sum(prompt in entry.samples for entry in entries) > 1][:5]
    if not shared:
        return ""
    head = ["prompt", *(escape(entry.name) for entry in entries)]
    rows = [
        [escape(prompt), *(f"<pre>{escape(entry.samples.get(prompt, '–'))}</pre>" for entry in entries)]
        for prompt in shared
    ]
    return f"<h2>What they write</h2>{_table(head, rows)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already; all columns but the first are numbers."""
    heads = "".join(f"<th{'' if i == 0 else ' class=n'}>{cell}</th>" for i, cell in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td{'' if i == 0 else ' class=n'}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _md_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in cells)} |"

    return [line(head), line(["---", *["---:"] * (len(head) - 1)]), *map(line, rows)]


# --- cells ------------------------------------------------------------------------------------------------------------


def _axes(comparison: Comparison) -> list[Axis]:
    return axes_of(score for entry in comparison.entries for score in entry.scores.values())


def _by_axis(comparison: Comparison, axes: Sequence[Axis]) -> list[list[Any]]:
    reference = comparison.reference_scores()
    of_entry = [spokes(axes, entry.scores, comparison.scale, reference) for entry in comparison.entries]
    return [[spoke_row[at] for spoke_row in of_entry] for at in range(len(axes))]


def _scale_words(comparison: Comparison) -> str:
    named = next((entry.name for entry in comparison.entries if entry.word == comparison.reference), "the reference")
    return words_for(comparison.scale, named)


def _cells(comparison: Comparison, column: Column, bold: str) -> list[str]:
    best = comparison.best(column)
    cells = []
    for place, entry in enumerate(comparison.entries):
        score = entry.scores.get(column)
        text = "–" if score is None else score_text(score)
        cells.append(bold.format(text) if place in best else text)
    return cells


def score_text(score: Score) -> str:
    """The figure with its standard error; large ones in groups of three, bytes in their units."""
    if score.metric.endswith("_bytes"):
        return bytes_text(score.value)
    if score.metric.endswith("_per_second"):
        return count_text(score.value)
    value = f"{score.value:.4f}" if abs(score.value) < 100 else f"{score.value:,.0f}"
    return value if score.stderr is None else f"{value} ± {score.stderr:.4f}"


def _radius_text(spoke: Any) -> str:
    return f"{spoke.radius:.3f}" if spoke.radius is not None else f"– ({spoke.why})"


def _radius_html(spoke: Any) -> str:
    return f"{spoke.radius:.3f}" if spoke.radius is not None else f"– <small>{escape(spoke.why)}</small>"


def _value_text(value: Any) -> str:
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
