"""Benchmarks by lm-evaluation-harness: its tasks, prompts and metrics, with our progress, stopping, batching, and a memory of what was measured."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

if sys.modules.get("datasets", ...) is None:
    del sys.modules[
        "datasets"
    ]  # hidden from transformers by the engine's door, which spares imports; the harness reads with it

import torch
from lm_eval.api.metrics import pooled_sample_stderr
from lm_eval.api.model import CacheHook
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedTokenizerBase

from core import events as ev
from core.benchmarks import main_metric, parse_tasks
from core.engine import sandbox
from core.engine.evaluation.code import local_code_metric
from core.engine.evaluation.subject import Subject, context_of, rows_at_once
from core.engine.evaluation.tasks import Group, Index, Leaf, task_file
from core.engine.session import Session
from core.errors import BadData, BadRecipe, Trouble
from core.evaluate import EvaluateRecipe
from core.files import read_json, write_json, write_text
from core.home import Home
from core.scores import scores_of

MEASURED = "measured"  # the folder of the home that remembers
WRITTEN_AT_ONCE = 16
BOOTSTRAPS = 1000  # for standard errors that have no formula
SEEDS = {
    "random_seed": 0,
    "numpy_random_seed": 1234,
    "torch_random_seed": 1234,
    "fewshot_random_seed": 1234,
}  # the harness's


@dataclass
class Figure:
    """What a task gave. `metrics` hold their standard errors as `<metric>_stderr`, and `stderr` that of the one that is quoted."""

    task: str
    metrics: dict[str, float]
    questions: int
    version: str
    few_shot: int | None
    limit: int | None
    cached: bool = False
    cut: int = 0  # prompts that were longer than the context
    shortened: int = 0  # answers that could not be as long as the task allows
    note: str = ""
    settings: str = (
        ""  # digest of whatever else decides the figure; two figures with different ones are not the same thing
    )


@dataclass
class _Counted:
    cut: int = 0
    shortened: int = 0
    done: int = 0
    asked: int = 0


class _Pause(LogitsProcessor):
    """Looks for a stop request before every token."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        self.session.check_stop()
        return scores


class CountingLM(HFLM):
    """The harness's model, batched by length for the memory there is, saying how far it is, and counting what did not fit its context."""

    def __init__(self, subject: Subject, session: Session) -> None:
        self.session = session
        self.counted = _Counted()
        tokenizer, prefix = with_specials(subject.tokenizer, session)
        super().__init__(
            pretrained=subject.model,
            tokenizer=tokenizer,
            backend="causal",
            batch_size="auto",
            max_length=context_of(subject.model),
            prefix_token_id=prefix,
        )
        self.entries = int(subject.model.get_input_embeddings().weight.shape[0])
        self.set_cache_hook(_Progress(self))

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        self._begin(len(requests))
        return super().loglikelihood(requests, disable_tqdm=True)

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = True) -> list[float]:
        self._begin(len(requests))
        return super().loglikelihood_rolling(requests, disable_tqdm=True)

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:
        """Where a task wants answers longer than the context can hold beside a question, they get half of it, which is counted."""
        self._begin(len(requests))
        most = self.max_length // 2
        for request in requests:
            prompt, settings = request.arguments
            wanted = settings.get("max_gen_toks", settings.get("max_new_tokens", self.max_gen_toks))
            if wanted > most:
                self.counted.shortened += 1
                kept = {key: value for key, value in settings.items() if key != "max_new_tokens"}
                request.arguments = (prompt, {**kept, "max_gen_toks": most})
        return super().generate_until(requests, disable_tqdm=True)

    def _loglikelihood_tokens(
        self, requests: list[Any], disable_tqdm: bool = True, override_bs: int | None = None
    ) -> Any:
        for _, context, continuation in requests:
            self.counted.cut += len(context) + len(continuation) > self.max_length + 1
            if len(continuation) > self.max_length:
                raise Trouble(
                    f"An answer of this task has {len(continuation)} tokens, and the model's context is {self.max_length}.",
                    "Leave the task out for this model.",
                )
        return super()._loglikelihood_tokens(requests, disable_tqdm=True, override_bs=override_bs)

    def tok_batch_encode(
        self, strings: list[str], *given: Any, left_truncate_len: int | None = None, **rest: Any
    ) -> Any:
        ids, mask = super().tok_batch_encode(strings, *given, left_truncate_len=None, **rest)
        if left_truncate_len and ids.shape[1] > left_truncate_len:
            self.counted.cut += int((mask.sum(1) > left_truncate_len).sum())
            ids, mask = ids[:, -left_truncate_len:], mask[:, -left_truncate_len:]
        return ids, mask

    def _model_generate(self, context: torch.Tensor, max_length: int, stop: list[str], **settings: Any) -> torch.Tensor:
        pause = LogitsProcessorList([_Pause(self.session)])
        return super()._model_generate(context, max_length, stop, logits_processor=pause, **settings)

    def _batch_scheduler(self, pos: int, n_reordered_requests: Sequence[Any]) -> int:
        """Requests come longest first; as many at once as their scores over the vocabulary fit in memory."""
        _, context, continuation = n_reordered_requests[pos]
        length = min(len(context) + len(continuation), self.max_length)
        return rows_at_once(self.device.type, self.entries, length)

    def _detect_batch_size(self, requests: Any = None, pos: int = 0) -> int:
        return WRITTEN_AT_ONCE

    def _begin(self, count: int) -> None:
        self.counted.done, self.counted.asked = 0, count


class _Progress(CacheHook):
    """The harness tells its cache of every answer; so do we hear of it."""

    def __init__(self, lm: CountingLM) -> None:
        super().__init__(None)
        self.lm = lm

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        counted = self.lm.counted
        counted.done += 1
        self.lm.session.progress(min(1.0, counted.done / max(1, counted.asked)))


def with_specials(tokenizer: PreTrainedTokenizerBase, session: Session) -> tuple[PreTrainedTokenizerBase, int | None]:
    """A tokenizer with the end and padding tokens that the harness needs, and the token before an empty prompt if there is no bos or eos.

    Padding is never read, so any token does; without an end token answers end at the task's stop words, or at their length.
    """
    prefix = None
    if tokenizer.eos_token_id is None:
        stand_in = tokenizer.bos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
        prefix = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else 0
        tokenizer.eos_token = stand_in
        session.notice(f"The tokenizer names no end token; {stand_in!r} stands in for it while benchmarks are asked.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, prefix


# --- one evaluation ---------------------------------------------------------------------------------------------------


@dataclass
class Asked:
    """What the recipe's words come to."""

    leaves: dict[str, tuple[Leaf, int | None]] = field(default_factory=dict)
    groups: list[tuple[Group, int | None]] = field(default_factory=list)


def plan(recipe: EvaluateRecipe, home: Home) -> Asked:
    """The tasks with their files. BadData, before anything is measured, names what is to be fetched for a task that has no files here."""
    folder = Path(recipe.task_dir) if recipe.task_dir else None
    index = Index(home, folder)
    asked, to_fetch = Asked(), []
    for name, shots in parse_tasks(recipe.tasks).items():
        shots = recipe.few_shot if shots is None else shots
        leaves, group = index.expand(name)
        missing = []
        for leaf in leaves:
            made = task_file(home, index, leaf, folder, recipe.allow_remote_code)
            if isinstance(made, str):
                missing.append((leaf, made))
            else:
                asked.leaves[leaf] = (made, shots)
        if len(missing) == len(leaves):
            to_fetch.append(
                missing[0][1] + (f" So do the other {len(leaves) - 1} of {name}." if len(leaves) > 1 else "")
            )
        elif group is not None or missing:
            group = group or Group(name, leaves)
            group.missing = [leaf for leaf, _ in missing]
            asked.groups.append((group, shots))
    if to_fetch:
        raise BadData("Nothing is downloaded during a run. " + " ".join(to_fetch), "Then start it again.")
    return asked


def benchmarks(session: Session, recipe: EvaluateRecipe, subject: Subject) -> list[Figure]:
    """Ask every task, or remember it; groups come last. Figures are told as they come, and answers kept for every question."""
    home = session.run.home
    session.phase("preparing the benchmarks", ", ".join(recipe.tasks))
    with _quiet(home):
        asked = plan(recipe, home)
        lm: CountingLM | None = None
        figures: dict[str, Figure] = {}
        for name, (leaf, shots) in asked.leaves.items():
            key = _key(subject, recipe, leaf, shots)
            figure = None if recipe.anew else _remembered(home, key, session.artifacts, name)
            if figure is None:
                lm = lm or CountingLM(subject, session)
                figure = _ask(session, recipe, lm, leaf, shots, key)
            figures[name] = figure
            tell(session, figure)
        for group, _ in asked.groups:
            if (figure := _of_group(group, figures)) is not None:
                figures[group.name] = figure
                tell(session, figure)
    return list(figures.values())


def results_of(figures: Sequence[Figure]) -> dict[str, Any]:
    """The figures as the results of an evaluation have them."""
    return {
        "results": {figure.task: figure.metrics for figure in figures},
        "tasks": {
            figure.task: {name: value for name, value in asdict(figure).items() if name not in ("metrics", "task")}
            for figure in figures
        },
    }


def tell(session: Session, figure: Figure) -> None:
    told: dict[str, float | None] = {f"{figure.task}/{name}": value for name, value in figure.metrics.items()}
    scores = [asdict(score) for score in scores_of(results_of([figure]), session.recipe)]
    session.say(ev.EvaluationLogged(0, 0, "model", told, scores))
    metric = main_metric(figure.task, figure.metrics)
    words = "" if metric is None else f" {metric} {figure.metrics[metric]:.4f}"
    if metric is not None and f"{metric}_stderr" in figure.metrics:
        words += f" ± {figure.metrics[f'{metric}_stderr']:.4f}"
    words += f" over {figure.questions} questions" + (", known from before" if figure.cached else "")
    session.notice(f"{figure.task}:{words}." + (f" Note: {figure.note}." if figure.note else ""))
    if figure.cut:
        session.notice(
            f"{figure.cut} prompts of {figure.task} are longer than the model's context; their beginnings were cut off.",
            "warning",
        )
    if figure.shortened:
        session.notice(
            f"{figure.shortened} answers of {figure.task} could be half a context long at most, which is less than the task allows.",
            "warning",
        )


def _ask(session: Session, recipe: EvaluateRecipe, lm: CountingLM, leaf: Leaf, shots: int | None, key: str) -> Figure:
    session.phase("asking", leaf.name)
    lm.counted = _Counted()
    if leaf.runs_code:
        _consent(session, recipe, leaf)
        with local_code_metric(session.check_stop) as code:
            manager, task = _load(leaf)
            code.failures.clear()  # the task's module has tried the metric on programs of its own
            found = _evaluate(lm, manager, task, recipe, shots)
        if code.failures:
            worst = sorted(code.failures.items(), key=lambda item: -item[1])[:3]
            why = "; ".join(f"{count} × {reason}" for reason, count in worst)
            session.notice(f"Programs of {leaf.name} that failed: {why}.")
    else:
        found = _evaluate(lm, *_load(leaf), recipe, shots)
    figure = _figure(leaf, found, recipe.limit, lm.counted, key)
    _remember(session.run.home, key, figure, found["samples"].get(leaf.name, []), session.artifacts)
    return figure


def _evaluate(
    lm: CountingLM, manager: TaskManager, task: Any, recipe: EvaluateRecipe, shots: int | None
) -> dict[str, Any]:
    found = simple_evaluate(
        model=lm,
        tasks=[task],
        task_manager=manager,
        num_fewshot=shots,
        limit=recipe.limit,
        bootstrap_iters=BOOTSTRAPS,
        log_samples=True,
        confirm_run_unsafe_code=recipe.run_code,
        **SEEDS,
    )
    assert found is not None
    return dict(found)


def _load(leaf: Leaf) -> tuple[TaskManager, Any]:
    """The task with its data. What is wrong with the files is told in words."""
    manager = TaskManager(include_defaults=False)  # that of the defaults takes ten seconds to make
    try:
        return manager, next(iter(manager.load([str(leaf.file)])["tasks"].values()))
    except Trouble:
        raise
    except Exception as error:
        raise BadData(
            f"The data of {leaf.name} can't be read as {leaf.file} says: {type(error).__name__}: {error}.",
            "Fetch the files again, or name another folder.",
        ) from error


def _consent(session: Session, recipe: EvaluateRecipe, leaf: Leaf) -> None:
    if not recipe.run_code:
        raise BadRecipe(
            f"{leaf.name} runs programs that the model writes on this machine. {sandbox.guards_text()}",
            "Allow it with run_code (--run-code), or leave the task out.",
        )
    session.choose("code", sandbox.guards(), sandbox.guards_text())


def _figure(leaf: Leaf, found: dict[str, Any], limit: int | None, counted: _Counted, key: str) -> Figure:
    metrics: dict[str, float] = {}
    for name, value in found["results"][leaf.name].items():
        if not isinstance(value, int | float) or name in ("sample_len",) or isinstance(value, bool):
            continue
        plain = name.removesuffix(",none")
        if "_stderr," in plain or plain.endswith("_stderr"):
            metric, _, which = plain.partition("_stderr")
            plain = f"{metric}{which}_stderr"
        metrics[plain] = float(value)
    quoted = main_metric(leaf.name, metrics)
    if quoted is not None and f"{quoted}_stderr" in metrics:
        metrics["stderr"] = metrics[f"{quoted}_stderr"]
    return Figure(
        leaf.name,
        metrics,
        int(found["n-samples"][leaf.name]["effective"]),
        str(found["versions"].get(leaf.name)),
        found["n-shot"].get(leaf.name),
        limit,
        cut=counted.cut,
        shortened=counted.shortened,
        note=leaf.note,
        settings=leaf.digest[:12],
    )


def _of_group(group: Group, figures: dict[str, Figure]) -> Figure | None:
    """Means over the group's tasks, by size where the group says so, with pooled standard errors; the harness's own rules."""
    members = [figures[name] for name in group.leaves if name in figures]
    if not members:
        return None
    metrics: dict[str, float] = {}
    wanted = group.metrics or [{"metric": "acc", "weight_by_size": True}]
    for each in wanted:
        filters = each.get("filter_list") or []
        names = [
            each["metric"],
            *(f"{each['metric']},{one}" for one in ([filters] if isinstance(filters, str) else filters)),
        ]
        for name in names:
            having = [member for member in members if name in member.metrics]
            if len(having) != len(members):
                continue
            weights = [member.questions if each.get("weight_by_size", True) else 1 for member in having]
            metrics[name] = sum(w * m.metrics[name] for w, m in zip(weights, having, strict=True)) / sum(weights)
            errors = [member.metrics.get(f"{name}_stderr") for member in having]
            sizes = [member.questions for member in having]
            if all(error is not None for error in errors) and all(size > 1 for size in sizes):
                metrics[f"{name}_stderr"] = float(pooled_sample_stderr(errors, sizes))
    quoted = main_metric(group.name, metrics)
    if quoted is not None and f"{quoted}_stderr" in metrics:
        metrics["stderr"] = metrics[f"{quoted}_stderr"]
    part = f"{len(members)} of {len(group.leaves)} tasks" if group.missing else ""
    return Figure(
        group.name,
        metrics,
        sum(member.questions for member in members),
        f"{group.version} ({part})" if part else group.version,
        members[0].few_shot,
        members[0].limit,
        cached=all(member.cached for member in members),
        note=f"{part}; the others have no files here" if part else "",
        settings=hashlib.sha256("".join(member.settings for member in members).encode()).hexdigest()[:12],
    )


# --- what was measured before -----------------------------------------------------------------------------------------


def _key(subject: Subject, recipe: EvaluateRecipe, leaf: Leaf, shots: int | None) -> str:
    """Of the model's content, the task's files and settings, and whatever else a figure hangs on."""
    said = {
        "model": subject.info.fingerprint,
        "tokenizer": subject.info.tokenizer.fingerprint or str(subject.folder),
        "task": leaf.digest,
        "harness": version("lm_eval"),
        "few_shot": shots,
        "limit": recipe.limit,
        "dtype": str(subject.dtype),
        "context": context_of(subject.model),
        "seeds": SEEDS,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def _remembered(home: Home, key: str, artifacts: Path, task: str) -> Figure | None:
    folder = home.root / MEASURED
    try:
        figure = Figure(**read_json(folder / f"{key}.json"))
    except (OSError, ValueError, TypeError):
        return None
    figure.cached = True
    answers = folder / f"{key}.jsonl"
    if answers.exists():
        _keep_answers(answers, artifacts, task)
    return figure


def _remember(home: Home, key: str, figure: Figure, samples: list[dict[str, Any]], artifacts: Path) -> None:
    """The answers first: a figure counts once it is there."""
    folder = home.root / MEASURED
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(_answer(sample), ensure_ascii=False, default=str) for sample in samples)
    write_text(folder / f"{key}.jsonl", "".join(f"{line}\n" for line in lines))
    write_json(folder / f"{key}.json", asdict(figure))
    _keep_answers(folder / f"{key}.jsonl", artifacts, figure.task)


def _answer(sample: dict[str, Any]) -> dict[str, Any]:
    """What one question came to: the prompt's end, the right answer, what the model said, and its marks."""
    known = ("doc_id", "target", "resps", "filtered_resps", "doc_hash")
    asked = sample.get("arguments") or []
    first = next(iter(asked.values() if isinstance(asked, dict) else asked), None)
    prompt = (
        first.get("arg_0")
        if isinstance(first, dict)
        else first[0]
        if isinstance(first, list | tuple) and first
        else None
    )
    marks = {name: sample[name] for name in sample.get("metrics", []) if name in sample}
    return {**{name: sample.get(name) for name in known}, "prompt": prompt, **marks}


def _keep_answers(source: Path, artifacts: Path, task: str) -> None:
    folder = artifacts / "answers"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / f"{task}.jsonl")


@contextmanager
def _quiet(home: Home) -> Iterator[None]:
    """The harness's log lines stay below warnings, and `datasets` keeps its copies in our folder."""
    import datasets

    logger, cache = logging.getLogger("lm_eval"), datasets.config.HF_DATASETS_CACHE
    level = logger.level
    logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    datasets.config.HF_DATASETS_CACHE = home.root / "benchmarks" / "arrow"
    try:
        yield
    finally:
        logger.setLevel(level)
        datasets.config.HF_DATASETS_CACHE = cache
