"""What is told about a run: facts for scripts, and for people the curve, the figures, the text, and the way on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import events as ev
from core import runs
from core.cli.curve import Line, chart
from core.cli.output import Output
from core.distill import DistillRecipe
from core.errors import Trouble
from core.home import Home
from core.numbers import bytes_text, count_text, duration_text
from core.objectives import OBJECTIVES, SOURCES
from core.runs import RunFolder
from core.state import History, State
from core.watched import Point, points_of, share_of_time

METRICS = {
    "ce": "cross-entropy, nats a token",
    "kd": "distance from the teacher, nats a token",
    "perplexity": "perplexity",
    "bits_per_byte": "bits per byte",
    "agreement": "same best token as the teacher",
}
PART_COLOURS = {"hidden": "green", "relations": "red"}  # of a loss beside CE and KD
SAMPLE_CHARACTERS = 600
LOG_LINES = 12
STEPS_BESIDE = 6  # columns of a table


def facts(run: RunFolder, history: History, state: State) -> dict[str, Any]:
    """A run in a few figures, for lists. `loss` is the last total, nats a token; times are in seconds."""
    meta = run.meta()
    return {
        "id": run.id,
        "name": meta.get("name") or run.id,
        "state": str(state),
        "path": str(run.path),
        "made_from": meta.get("made_from"),
        "created": meta.get("created"),
        "started": history.started_at,
        "updated": history.updated_at,
        "device": history.device or None,
        "phase": history.phase or None,
        "step": history.step,
        "steps": history.plan.steps if history.plan else None,
        "tokens": history.steps[-1].tokens if history.steps else 0,
        "share": 1.0 if state is State.FINISHED else history.share,
        "loss": history.steps[-1].total if history.steps else None,
        "seconds_left": history.seconds_left() if state.alive else None,
        "checkpoint_step": history.checkpoint_step,
    }


def outcome(run: RunFolder, history: History, state: State) -> dict[str, Any]:
    """How a followed run ended, for scripts: its results on top of its facts, and error and way out if it failed."""
    answer: dict[str, Any] = {**facts(run, history, state), **history.results, "run": run.id, "state": str(state)}
    answer |= lesson_facts(run, history)
    if history.measured:
        answer["measured"] = measured_facts(run, history)
    if (student := student_folder(run, history)) is not None:
        answer["student"] = str(student)
    if state is State.FAILED and history.failure:
        answer |= {"error": history.failure.what, "way_out": history.failure.way_out}
    if state is State.CRASHED:
        answer |= {"error": crash_words(run, history), "way_out": f"`stillroom resume {run.id}` goes on."}
    return answer


def measured_facts(run: RunFolder, history: History) -> list[dict[str, Any]]:
    """The student's benchmarks while it was trained, by step. `seconds` is how long the training waited."""
    return [
        {
            "step": each.step,
            "run": each.run,
            "seconds": each.seconds,
            "scores": [asdict(score) for score in each.scores],
        }
        for each in points_of(run.home, history)
    ]


def lesson_facts(run: RunFolder, history: History) -> dict[str, Any]:
    """Objective, source, cache and the last parts of the loss of a distillation; nothing for other runs."""
    recipe = _distillation(run)
    if recipe is None:
        return {}
    last = history.steps[-1] if history.steps else None
    return {
        "objective": recipe.objective if recipe.guided else None,
        "source": recipe.source if recipe.guided else None,
        "cache": history.choices["cache"].value if "cache" in history.choices else recipe.cache,
        "parts": {} if last is None else {"ce": last.ce, "kd": last.kd, **last.parts},
        "generated": None if last is None else last.generated,
    }


def lesson_text(run: RunFolder, history: History) -> str:
    """What was learnt of whom, in a sentence; nothing for runs that are no distillation."""
    recipe = _distillation(run)
    if recipe is None:
        return ""
    if not recipe.guided:
        return "Learnt from the text alone."
    title, _, _ = SOURCES[recipe.source]
    teachers = ", ".join(Path(folder).name for folder in recipe.teachers)
    words = f"{OBJECTIVES[recipe.objective].title} of {teachers}, {1 - recipe.ce_weight:.0%} of the loss. {title}"
    if recipe.source == "on-policy":
        words += f", in {recipe.on_policy_share:.0%} of the blocks"
    if "cache" in history.choices:
        words += f": {history.choices['cache'].value}"
    return f"{words}."


def _distillation(run: RunFolder) -> DistillRecipe | None:
    try:
        recipe = run.recipe()
    except Trouble:  # the rest of the run is still worth telling
        return None
    return recipe if isinstance(recipe, DistillRecipe) else None


def student_folder(run: RunFolder, history: History) -> Path | None:
    """Where the finished student is: as the engine said, else where it belongs."""
    said = history.results.get("student")
    folder = Path(said) if isinstance(said, str) else run.artifacts / "student"
    return folder if folder.is_dir() else None


def crash_words(run: RunFolder, history: History) -> str:
    """A crash in a sentence: the process is gone and nothing was said."""
    kept = "nothing was saved yet"
    if history.checkpoint_step is not None:
        kept = f"the checkpoint of step {history.checkpoint_step} is whole"
    return f"Run {run.id} crashed in the phase “{history.phase or 'starting'}” at step {history.step}; {kept}."


def log_tail(run: RunFolder, lines: int | None = LOG_LINES) -> list[str]:
    """The last lines that the engine printed; None for all."""
    try:
        text = run.log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines if lines else None :]


def curve_lines(history: History) -> list[Line]:
    """Training losses apart (total, CE, KD, hidden states, relations), and the held-out cross-entropy."""
    steps = [point.step for point in history.steps]
    held_out = [point for point in history.evaluations if point.subject == "student" and "ce" in point.metrics]
    lines = [Line("ce", "blue", steps, [point.ce for point in history.steps])]
    if any(point.kd for point in history.steps):  # without a teacher the total is the cross-entropy
        lines.append(Line("kd", "magenta", steps, [point.kd for point in history.steps]))
        lines.append(Line("total", "cyan", steps, [point.total for point in history.steps]))
    for name, colour in PART_COLOURS.items():
        if any(name in point.parts for point in history.steps):
            lines.append(Line(name, colour, steps, [point.parts.get(name) for point in history.steps]))
    lines.append(Line("validation ce", "yellow", [p.step for p in held_out], [p.metrics.get("ce") for p in held_out]))
    return lines


def metrics_text(metrics: dict[str, float | None]) -> str:
    """The held-out figures in a line."""
    parts = []
    for name, unit in (("ce", "CE {:.3f}"), ("kd", "KD {:.3f}"), ("bits_per_byte", "{:.3f} bits per byte")):
        value = metrics.get(name)
        if value is not None:
            parts.append(unit.format(value))
    agreement = metrics.get("agreement")
    if agreement is not None:
        parts.append(f"agrees with the teacher on {agreement:.1%}")
    if not parts:  # a benchmark's, say
        parts = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in metrics.items() if value is not None]
    return ", ".join(parts)


def step_text(history: History) -> str:
    """The newest step in a line: progress, losses, speed, memory, time left."""
    if not history.steps:
        return ""
    point, plan = history.steps[-1], history.plan
    parts = [f"step {point.step}/{plan.steps}" if plan else f"step {point.step}"]
    parts += [f"{name} {value:.3f}" for name, value in losses(point).items()]
    if point.generated is not None:
        parts.append(f"{point.generated:.0%} its own words")
    if point.tokens_per_second is not None:
        parts.append(f"{count_text(point.tokens_per_second)} tokens/s")
    if point.memory_bytes is not None:
        parts.append(bytes_text(point.memory_bytes))
    left = history.seconds_left()
    return " · ".join([*parts, *([f"{duration_text(left)} left"] if left is not None else [])])


def losses(point: ev.StepLogged) -> dict[str, float]:
    values = {"total": point.total, "ce": point.ce, "kd": point.kd}
    if not point.kd:
        values = {"ce": point.ce}
    values |= point.parts
    return {name: value for name, value in values.items() if value is not None}


def ending(run: RunFolder, history: History, state: State, output: Output) -> None:
    """The words for a run that has ended: how, what came of it, and the way on."""
    if len(history.steps) > 1:
        output.show(chart(curve_lines(history), width=min(output.console().width, 100)))
    if lesson := lesson_text(run, history):
        output.say(lesson)
    show_figures(history, output)
    show_measured(run, history, output)
    show_sample(history, output)
    match state:
        case State.FINISHED:
            output.say(f"Finished{_took(history)}.")
            if isinstance(file := history.results.get("file"), str):
                output.say(f"The text is in {file}")
            if (student := student_folder(run, history)) is not None:
                also = history.results.get("out")
                output.say(f"The student is in {student}" + (f"\nand in {also}" if also else ""))
        case State.STOPPED if history.checkpoint_step is not None:
            output.say(
                f"Stopped and kept at step {history.checkpoint_step}. `stillroom resume {run.id}` goes on from there."
            )
        case State.STOPPED:
            output.say(f"Stopped before its first checkpoint. `stillroom resume {run.id}` starts it again.")
        case State.FAILED if history.failure is not None:
            at = "" if history.failure.step is None else f" at step {history.failure.step}"
            output.say(f"Run {run.id} failed{at}. {history.failure.what} {history.failure.way_out}".rstrip())
            output.say(f"`stillroom log {run.id}` shows what its engine printed.")
        case State.CRASHED:
            output.say(crash_words(run, history))
            for line in log_tail(run):
                output.say(f"    {line}")
            output.say(
                f"`stillroom resume {run.id}` goes on; `stillroom log {run.id}` shows all that its engine printed."
            )


def show_figures(history: History, output: Output) -> None:
    """Held-out figures: the student at first and at last, and the teacher; then the results that are none of these."""
    student = [point for point in history.evaluations if point.subject == "student"]
    columns: dict[str, dict[str, float | None]] = {}
    if student:
        columns[f"student, step {student[0].step}"] = student[0].metrics
        columns[f"student, step {student[-1].step}"] = student[-1].metrics
    columns |= {
        point.subject: point.metrics for point in history.evaluations if point.subject not in ("student", "merge")
    }
    if merges := [point for point in history.evaluations if point.subject == "merge"]:  # of a sweep
        best = min(merges, key=lambda point: point.metrics.get("ce") or math.inf)
        columns[f"best merge, point {best.step}"] = best.metrics
    rows = [
        [words, *(number_text(metrics.get(name)) for metrics in columns.values())]
        for name, words in METRICS.items()
        if any(metrics.get(name) is not None for metrics in columns.values())
    ]
    if rows:
        output.table(["held-out text", *columns], rows, right=list(columns))
    told = set(METRICS) if columns else set()
    figures = {name: value for name, value in history.results.items() if name not in told and _is_figure(value)}
    figures |= {f"{skill}, share right": share for skill, share in history.results.get("skills", {}).items()}
    if figures:
        rows = [[name.replace("_", " "), number_text(value)] for name, value in figures.items()]
        output.table(["result", "value"], rows, right=["value"])


def show_measured(run: RunFolder, history: History, output: Output) -> None:
    """The benchmarks by step, and the share of the time that measuring took."""
    points = points_of(run.home, history)
    found = [each for each in points if each.scores]
    shown = found if len(found) <= STEPS_BESIDE else [found[0], *found[1 - STEPS_BESIDE :]]
    figures = dict.fromkeys(score.column for each in shown for score in each.scores if score.quoted)
    columns = [f"step {each.step}" for each in shown]
    rows = [[_figure_words(column), *(_value_at(each, column) for each in shown)] for column in figures]
    if rows:
        output.table(["measured", *columns], rows, right=columns)
    if points:
        output.say(_measured_words(history, points, len(found) - len(shown)))


def _measured_words(history: History, points: Sequence[Point], left_out: int) -> str:
    words = f"Measured {len(points)} times" if len(points) > 1 else "Measured once"
    words += f" ({left_out} of them not shown here)" if left_out else ""
    if pending := sum(each.pending for each in points):
        words += f", {pending} still to come"
    if lost := sum(each.ended and not each.scores for each in points):
        words += f", {lost} without figures"
    share = share_of_time(history) if any(each.seconds for each in points) else None
    waited = sum(each.seconds for each in points)
    return words + (
        f"; the training waited {duration_text(waited)} for it, {share:.0%} of its time." if share is not None else "."
    )


def _figure_words(column: tuple[str, str, str]) -> str:
    task, metric, _ = column
    return f"{task} {metric}".replace("_", " ")


def _value_at(point: Point, column: tuple[str, str, str]) -> str:
    return number_text(next((score.value for score in point.scores if score.column == column), None))


def measured_text(run: RunFolder, step: int, history: History) -> str:
    """What was found of the student after a step, in a line; nothing before its evaluation has ended."""
    point = next((each for each in points_of(run.home, history) if each.step == step and each.scores), None)
    if point is None:
        return ""
    figures = [f"{_figure_words(score.column)} {score.value:.3f}" for score in point.scores if score.quoted]
    took = f" in {duration_text(point.seconds)}" if point.seconds else ""
    return f"measured at step {step}{took}: {', '.join(figures)}"


def show_sample(history: History, output: Output) -> None:
    if not history.samples:
        return
    sample = history.samples[-1]
    text = sample.text if len(sample.text) <= SAMPLE_CHARACTERS else f"{sample.text[:SAMPLE_CHARACTERS]} …"
    # some engines repeat the prompt in the text, some don't
    whole = text if text.startswith(sample.prompt) else f"{sample.prompt}{text}"
    output.say(f"The {sample.subject} writes at step {sample.step}:\n    " + whole.strip().replace("\n", "\n    "))


def number_text(value: Any) -> str:
    """A figure for a table: four digits after the point for fractions, groups of three for whole numbers."""
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"
    return f"{value:,.0f}"


def age_text(since: float | None) -> str:
    """How long ago, on a clock that may have been set back meanwhile."""
    return "–" if since is None else duration_text(max(0.0, time.time() - since))


def waiting_words(run: RunFolder, home: Home) -> str:
    """Why a queued run does not start: which runs are alive, on which device, and its place in the queue."""
    place = next((place for place, other in enumerate(runs.queue(home), 1) if other.id == run.id), None)
    alive = [other for other in runs.all_runs(home) if other.id != run.id and other.lock_held()]
    users = ", ".join(f"{other.id} uses {other.history().device or 'a device'}" for other in alive)
    in_queue = "" if place in (None, 1) else f" It is number {place} in the queue."
    return f"Waiting for a device: {users}.{in_queue}" if users else f"Waiting to start.{in_queue}"


def _took(history: History) -> str:
    if history.started_at is None or history.updated_at is None:
        return ""
    device = f" on {history.device}" if history.device else ""
    return f" after {duration_text(history.updated_at - history.started_at)}{device}"


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
