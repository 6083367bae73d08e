"""Evaluations and verdicts made up for tests and pictures, written as an engine writes them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock
from made_up import a_model

from core import events as ev
from core import runs, votes
from core.evaluate import EvaluateRecipe
from core.files import write_json
from core.home import Home
from core.journal import JournalWriter
from core.models import inspect_model
from core.runs import RunFolder
from core.scores import EVALUATION, scores_of
from core.subjects import BORROWED

SIX = {"arc_easy": 0.61, "piqa": 0.66, "boolq": 0.58, "mmlu": 0.29, "hellaswag": 0.42, "winogrande": 0.55}
QUESTIONS = ["What is copper?", "How do bees find their way home?", "Write a short poem about rain."]


def evaluation_run(
    home: Home,
    model: Path,
    figures: Mapping[str, float],
    *,
    asked: Sequence[str] = (),
    state: str = "finished",
    called: str = "",
    **more: Any,
) -> RunFolder:
    """A run that measured `figures` (task → accuracy) of a model; `more` are further results (bits_per_byte, speed, pairs …)."""
    tasks = tuple(asked or figures)
    recipe = EvaluateRecipe(model=str(model), name=called, tasks=tasks, limit=200, speed="speed" in more)
    run = runs.new_run(home, recipe)
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunStarted("cpu", 4242, time.time()))
        journal.append(ev.PhaseEntered("asking"))
        for task, value in figures.items():
            tell(journal, task, value, recipe)
        if state == "finished":
            results = results_of(model, figures, **more)
            keep(run, model, results, recipe)
            journal.append(ev.RunFinished(results))
        elif state == "failed":
            journal.append(ev.RunFailed("The files of the benchmarks are gone.", "Put them back."))
    return run


def tell(journal: JournalWriter, task: str, value: float, recipe: EvaluateRecipe) -> None:
    figures = {f"{task}/acc": value, f"{task}/acc_stderr": 0.021}
    scores = [asdict(one) for one in scores_of(results_of(Path(recipe.model), {task: value}), recipe)]
    journal.append(ev.EvaluationLogged(0, 0, "model", figures, scores))


def results_of(model: Path, figures: Mapping[str, float], **more: Any) -> dict[str, Any]:
    told = {"version": "1.0", "few_shot": 0, "limit": 200, "questions": 200, "cached": False, "cut": 0}
    return {
        "model": str(model),
        "results": {task: {"acc": value, "acc_stderr": 0.021, "stderr": 0.021} for task, value in figures.items()},
        "tasks": {task: dict(told) for task in figures},
        **more,
    }


def keep(run: RunFolder, model: Path, results: Mapping[str, Any], recipe: EvaluateRecipe) -> None:
    info = inspect_model(model)
    said = {
        "path": str(model),
        "name": info.name,
        "fingerprint": info.fingerprint,
        "parameters": info.parameters,
        "size_bytes": info.size_bytes,
    }
    run.artifacts.mkdir(exist_ok=True)
    write_json(
        run.artifacts / EVALUATION, {"model": said, "scores": [asdict(one) for one in scores_of(results, recipe)]}
    )


def measured(
    home: Home,
    training: RunFolder,
    journal: JournalWriter,
    step: int,
    figures: Mapping[str, float],
    seconds: float = 1.2,
) -> RunFolder:
    """The training's checkpoint after a step was measured by an evaluation, for which it waited so long; without figures, that failed."""
    with borrowed(home, training, step) as folder:
        name = f"{training.meta()['name']}, step {step}"
        evaluation = evaluation_run(home, folder, figures, state="finished" if figures else "failed", called=name)
    journal.append(ev.StudentMeasured(step, evaluation.id, seconds))
    return evaluation


@contextmanager
def borrowed(home: Home, training: RunFolder, step: int) -> Iterator[Path]:
    """A checkpoint as `core.subjects.borrow` takes it, which is given back when it is measured."""
    folder = a_model(home.root / BORROWED / f"{training.id}-{step}-0000")
    yield folder
    shutil.rmtree(folder)


class Going:
    """An evaluation that goes on as long as this object holds its lock; `come` tells one more figure."""

    def __init__(self, home: Home, model: Path, asked: Sequence[str], called: str = "") -> None:
        self.run = evaluation_run(home, model, {}, asked=asked, state="running", called=called)
        self.lock = FileLock(self.run.lock_file, is_singleton=False)
        self.lock.acquire(timeout=10)
        self.journal = JournalWriter(self.run.journal)

    def come(self, task: str, value: float) -> None:
        recipe = self.run.recipe()
        assert isinstance(recipe, EvaluateRecipe)
        tell(self.journal, task, value, recipe)

    def end(self, model: Path, figures: Mapping[str, float]) -> None:
        """It has found all that it was asked for."""
        recipe = self.run.recipe()
        assert isinstance(recipe, EvaluateRecipe)
        results = results_of(model, figures)
        keep(self.run, Path(recipe.model), results, recipe)
        self.journal.append(ev.RunFinished(results))
        self.release()

    def release(self) -> None:
        if self.lock.is_locked:
            self.journal.close()
            self.lock.release()


def some_verdicts(home: Home, one: Path, other: Path) -> None:
    for number, question in enumerate(QUESTIONS * 4):
        answers = {str(one): f"It is the first thing I think of, number {number}.", str(other): "Nobody knows."}
        best = (str(one), str(other), None, str(one))[number % 4]
        votes.vote(home, question, answers, best, ("knowledge", "writing")[number % 2])
