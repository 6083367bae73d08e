"""Measuring a student while it is trained: what may be asked, what evaluation comes of it, and what it cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core import events as ev
from core.chain import ChainRecipe
from core.distill import DistillRecipe
from core.home import Home
from core.journal import JournalWriter
from core.pilot import pilot_recipes
from core.runs import enqueue, new_run
from core.scores import EVALUATION
from core.settle import with_absolute_paths
from core.state import fold
from core.watch import FIELDS, UNWATCHED, WatchedRecipe
from core.watched import points_of, share_of_time

SMALL = Path(__file__).resolve().parents[2] / "resources" / "sample" / "stories-0.8M"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"sentence_good": "She sings.", "sentence_bad": "She sing."}) + "\n")
    return file


@pytest.fixture
def story(tmp_path: Path) -> Path:
    file = tmp_path / "story.txt"
    file.write_text("Once upon a time there was a dog.\n")
    return file


def recipe(story: Path, **changes) -> DistillRecipe:
    return DistillRecipe(teacher=str(SMALL), student="0.5x", data=(str(story),), tokens=1000, **changes)


def said(made: DistillRecipe) -> dict[str, str]:
    return {problem.field: problem.text for problem in made.problems()}


def test_every_field_of_the_watch_is_known() -> None:
    own = set(WatchedRecipe.model_fields) - set(DistillRecipe.__mro__[2].model_fields)
    assert own == set(UNWATCHED) == {*FIELDS.values(), "measure_every", "measure_device"}
    assert {name: WatchedRecipe.model_fields[name].default for name in own} == UNWATCHED


def test_what_stands_against_measuring_is_said_beside_its_field(story, pairs, tmp_path) -> None:
    assert said(recipe(story)) == {}
    assert said(recipe(story, measure_every=5, measure_skills=3)) == {}
    assert said(recipe(story, measure_every=5, measure_pairs=str(pairs))) == {}
    assert "every how many steps" in said(recipe(story, measure_skills=3))["measure_every"]
    assert "Name what is measured" in said(recipe(story, measure_every=5))["measure_tasks"]
    assert "no file" in said(recipe(story, measure_every=5, measure_pairs=str(tmp_path / "gone")))["measure_pairs"]
    assert (
        "no folder"
        in said(recipe(story, measure_every=5, measure_tasks=("piqa",), measure_files=str(tmp_path / "gone")))[
            "measure_files"
        ]
    )
    assert "runs programs" in said(recipe(story, measure_every=5, measure_tasks=("humaneval",)))["measure_tasks"]
    assert "measure_tasks" in said(recipe(story, measure_every=5, measure_tasks=("piqa@many",)))
    (tmp_path / "empty").mkdir()
    nothing = said(recipe(story, measure_every=5, measure_pairs=str(tmp_path / "empty")))
    assert "no minimal pairs" in nothing["measure_pairs"]


def test_the_steps_that_are_due(story) -> None:
    assert [step for step in range(12) if recipe(story, measure_every=4, measure_skills=1).is_due(step)] == [4, 8]
    assert not any(recipe(story).is_due(step) for step in range(12))


def test_the_evaluation_is_on_the_trainings_device_or_on_its_own(story, pairs) -> None:
    asked = recipe(story, measure_every=4, measure_skills=2, measure_pairs=str(pairs), measure_limit=7, seed=3)
    made = asked.evaluation(SMALL, "x, step 4", "cuda:1")
    assert (made.skills, made.minimal_pairs, made.limit, made.seed) == (2, str(pairs), 7, 3)
    assert (made.device, made.share_device, made.name) == ("cuda:1", True, "x, step 4")
    elsewhere = asked.model_copy(update={"measure_device": "cuda:2"})
    assert elsewhere.evaluation(SMALL, "", None).device == "cuda:2"


def test_paths_are_made_whole_and_pilots_and_chains_are_not_measured(story, pairs, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = recipe(story, measure_every=4, measure_pairs=pairs.name, measure_tasks=("piqa",), measure_files=".")
    whole = with_absolute_paths(asked)
    assert (whole.measure_pairs, whole.measure_files) == (str(pairs), str(tmp_path))
    found = ChainRecipe(of=whole).problems()
    assert any(problem.field == "of.measure_every" for problem in found)
    for trial in pilot_recipes(whole, "objective", ["forward_kl", "jsd"], 500):
        assert {name: getattr(trial, name) for name in UNWATCHED} == UNWATCHED


def test_what_was_measured_is_read_from_the_evaluations_and_its_time_is_a_share(story, tmp_path) -> None:
    home = Home.find(tmp_path / "home")
    training = new_run(home, recipe(story, measure_every=4, measure_skills=2))
    runs = [new_run(home, recipe(story)) for _ in range(2)]
    score = {"task": "piqa", "metric": "acc", "value": 0.5, "on": "version 1, 0-shot", "quoted": True, "later": 1}
    (runs[0].artifacts / EVALUATION).write_text(
        json.dumps({"model": {"path": "m", "name": "m", "fingerprint": "f"}, "scores": [score, {"no": "score"}, 3]})
    )

    def step(number: int, seconds: float) -> ev.StepLogged:
        return ev.StepLogged(number, 10 * number, 1e-3, 1.0, 1.0, 1.0, 1.0, 1.0, 1, seconds)

    with JournalWriter(training.journal) as journal:
        journal.append(ev.RunStarted("cpu", 1, 0.0))
        assert share_of_time(training.history()) is None
        journal.append(step(4, 10.0))
        journal.append(ev.StudentMeasured(4, runs[0].id, 3.0))
        journal.append(step(8, 20.0))
        journal.append(ev.StudentMeasured(8, runs[1].id, 1.0))
    history = training.history()
    assert share_of_time(history) == pytest.approx(4 / 21)  # the last wait came after its step was said
    points = points_of(home, history)
    assert [(point.step, point.run, len(point.scores)) for point in points] == [(4, runs[0].id, 1), (8, runs[1].id, 0)]
    assert points[0].scores[0].value == 0.5
    assert (points[1].ended, points[1].pending) == (True, False)  # nobody works on it, and nothing came of it
    enqueue(home, runs[1])
    assert points_of(home, history)[1].pending
    resumed = [*_events(training), ev.RunStarted("cpu", 2, 0.0, resumed_from=4)]
    assert [point.step for point in fold(resumed).measured] == [4]  # the rest is done again


def _events(run) -> list[ev.Event]:
    from core.journal import read_journal

    return list(read_journal(run.journal))
