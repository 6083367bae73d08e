"""Everything that was ever measured here: one `Score` for a figure, with what decides whether two figures may stand in one column.

An evaluation leaves its scores in `artifacts/evaluation.json`; distillations have theirs in the journal and, with the student, in
`stillroom.json`. All are read from the folders, so nothing here can go stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from core import runs
from core.benchmarks import higher_is_better, main_metric
from core.files import read_json
from core.home import Home
from core.recipe import Recipe
from core.runs import RunFolder
from core.state import History

EVALUATION = "evaluation.json"
TEXT_METRICS = ("bits_per_byte", "perplexity", "ce", "agreement", "kd")
NEUTRAL = ("mean_tokens",)  # metrics of which neither more nor less is better


@dataclass(frozen=True, slots=True)
class Score:
    """`task` and `metric` name the figure. `on` is all else that decides it (version, examples, limit, the text read): figures with
    another `on` are not the same thing. `stderr` is the standard error of `value`, None where there is none.
    """

    task: str
    metric: str
    value: float
    stderr: float | None = None
    on: str = ""
    count: int | None = None  # questions, pairs or tokens that it is a mean of
    quoted: bool = False  # the task's own figure, where it has several

    @property
    def column(self) -> tuple[str, str, str]:
        return self.task, self.metric, self.on

    @property
    def higher_is_better(self) -> bool:
        return higher_is_better(self.metric)


@dataclass(frozen=True)
class Measured:
    """The scores of one evaluation. `fingerprint` is that of the model's weights; `time` is seconds since 1970."""

    run: str
    model: Path
    name: str
    fingerprint: str
    parameters: int | None
    size_bytes: int | None
    time: float
    scores: tuple[Score, ...]


def scores_of(results: Mapping[str, Any], recipe: Recipe) -> list[Score]:
    """The scores among the results of an evaluation."""
    return [
        *_of_text(results, recipe),
        *_of_tasks(results),
        *_of_pairs(results, recipe),
        *_of_rest(results, recipe),
    ]


def _of_text(results: Mapping[str, Any], recipe: Recipe) -> Iterator[Score]:
    data = ", ".join(Path(item).name for item in getattr(recipe, "data", ()))
    most = getattr(recipe, "most_tokens", None)
    on = data + (f", first {most} tokens" if most else "")
    teacher = getattr(recipe, "teacher", None)
    for metric in TEXT_METRICS:
        value = results.get(metric)
        if isinstance(value, int | float):
            against = f", against {Path(teacher).name}" if teacher and metric in ("kd", "agreement") else ""
            whole = on + against + per_token(metric, results.get("tokenizer"))
            yield Score("text", metric, float(value), None, whole, results.get("tokens"), metric == "bits_per_byte")
    calibration = results.get("calibration")
    if isinstance(calibration, Mapping):
        whole = on + per_token("ece", results.get("tokenizer"))
        yield Score("text", "ece", float(calibration["ece"]), None, whole, results.get("tokens"))


def per_token(metric: str, tokenizer: str | None) -> str:
    """What is added to the conditions of a figure of text that is a mean over tokens, and so means another thing with other tokens."""
    return f", tokenizer {tokenizer[:6]}" if tokenizer and metric != "bits_per_byte" else ""


def _of_tasks(results: Mapping[str, Any]) -> Iterator[Score]:
    told = results.get("tasks") or {}
    for task, metrics in (results.get("results") or {}).items():
        facts = told.get(task, {})
        on = f"version {facts.get('version')}, {facts.get('few_shot') or 0}-shot"
        on += f", first {facts['limit']}" if facts.get("limit") else ""
        on += f", files {facts['settings']}" if facts.get("settings") else ""
        quoted = main_metric(task, metrics)
        for metric, value in metrics.items():
            if metric != "stderr" and not metric.endswith("_stderr"):
                yield Score(
                    task, metric, value, metrics.get(f"{metric}_stderr"), on, facts.get("questions"), metric == quoted
                )


def _of_pairs(results: Mapping[str, Any], recipe: Recipe) -> Iterator[Score]:
    pairs = results.get("pairs")
    if not isinstance(pairs, Mapping):
        return
    limit = getattr(recipe, "limit", None)
    on = Path(getattr(recipe, "minimal_pairs", None) or "").name + (f", first {limit} of each set" if limit else "")
    count = sum(int(each["pairs"]) for each in pairs["sets"].values())
    yield Score("minimal_pairs", "accuracy", pairs["accuracy"], pairs["stderr"], on, count, True)


def _of_rest(results: Mapping[str, Any], recipe: Recipe) -> Iterator[Score]:
    each = getattr(recipe, "skills", 0)
    for skill, share in (results.get("skills") or {}).items():
        yield Score(
            f"skill {skill}",
            "accuracy",
            share,
            (share * (1 - share) / max(1, each - 1)) ** 0.5,
            f"{each} questions",
            each,
            True,
        )
    data = ", ".join(Path(item).name for item in getattr(recipe, "data", ()))
    for metric, value in (results.get("writing") or {}).items():
        if isinstance(value, float):
            yield Score("writing", metric, value, None, data)
    speed = results.get("speed") or {}
    on = str(speed.get("device", ""))
    for metric in ("prefill_tokens_per_second", "decode_tokens_per_second", "memory_bytes", "joules_per_token"):
        if isinstance(speed.get(metric), int | float):
            yield Score("speed", metric, float(speed[metric]), None, on, None, metric == "decode_tokens_per_second")


def told_so_far(history: History) -> dict[tuple[str, str, str], Score]:
    """The figures that an evaluation has found so far, by column, while it goes on."""
    found = [_score(each) for point in history.evaluations for each in point.scores]
    return {score.column: score for score in found if score is not None}


def _score(said: Any) -> Score | None:
    """A score as a journal or a file has it; None if it is none. Fields of a newer version are left out."""
    known = {each.name for each in fields(Score)}
    try:
        score = Score(**{name: value for name, value in said.items() if name in known})
        return replace(score, value=float(score.value))
    except (AttributeError, TypeError, ValueError):
        return None


# --- what lies in a data folder ---------------------------------------------------------------------------------------


def measured(home: Home) -> list[Measured]:
    """All finished evaluations, oldest first. A file that can't be read is passed over: its run still shows it in its journal."""
    found = []
    for run in runs.all_runs(home):
        if (one := measured_by(run)) is not None:
            found.append(one)
    return found


def measured_by(run: RunFolder) -> Measured | None:
    """The scores that an evaluation left, or None."""
    file = run.artifacts / EVALUATION
    try:
        said = read_json(file)
        model = said["model"]
        scores = tuple(score for each in said["scores"] if (score := _score(each)) is not None)
        return Measured(
            run.id,
            Path(model["path"]),
            str(model["name"]),
            str(model["fingerprint"]),
            model.get("parameters"),
            model.get("size_bytes"),
            file.stat().st_mtime,
            scores,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def newest(scores: Iterable[Measured]) -> dict[tuple[str, str, str], Score]:
    """The last figure of every column: measuring again takes the place of what was measured before."""
    return {score.column: score for one in scores for score in one.scores}
