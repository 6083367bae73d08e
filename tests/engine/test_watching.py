"""A student that is measured while it is trained: evaluations of its checkpoints are runs of their own, and nothing of theirs ends it."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
from pathlib import Path

import pytest
from tiny import assert_same_curve, events_of, forked_engine, history_of, new_tiny_run, tiny_recipe
from tuned import new_tuning, tune_recipe, write_chats

from core import compare, runner, runs
from core import events as ev
from core.engine import watching
from core.engine.__main__ import FINISHED, STOPPED, work
from core.runs import RunFolder, all_runs
from core.scores import told_so_far
from core.state import State
from core.subjects import BORROWED
from core.watched import points_of, share_of_time

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pairs") / "agreement.jsonl"
    rows = [
        {"sentence_good": f"The {name} sings.", "sentence_bad": f"The {name} sing."} for name in ["dog", "cat", "boy"]
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def watched(teacher: Path, data: Path, pairs: Path, **changes):
    return tiny_recipe(teacher, data, measure_every=5, measure_pairs=str(pairs), **changes)


class Forked:
    """An evaluation's engine with the modules of this process: what a start costs is known from the first test."""

    def __init__(self, evaluation: RunFolder, device: str) -> None:
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=forked_engine, args=(str(evaluation.path),))
        self._process.start()

    def poll(self) -> int | None:
        return self.returncode

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "win32":
        monkeypatch.setattr(watching, "_start", Forked)


def evaluations_of(run: RunFolder) -> list[RunFolder]:
    return [one for one in all_runs(run.home) if one.meta().get("made_from") == run.id]


def test_checkpoints_and_the_student_are_measured_and_the_training_is_the_same(home, teacher, data, pairs, whole):
    run = new_tiny_run(home, watched(teacher, data, pairs))
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    assert_same_curve(run, whole)
    history = history_of(run)
    assert [point.step for point in history.measured] == [5, 10, 12]
    assert all(point.seconds > 0 for point in history.measured)
    assert 0 < share_of_time(history) <= 1
    points = points_of(home, history)
    assert [[(score.task, score.metric, score.count) for score in point.scores] for point in points] == 3 * [
        [("minimal_pairs", "accuracy", 3)]
    ]
    for point, name in zip(points, ("step 5", "step 10", "the finished student"), strict=True):
        evaluation = RunFolder(home.runs / point.run)
        assert evaluation.meta()["name"].endswith(name)
        assert evaluation.history().said is State.FINISHED
        told = told_so_far(history_of(evaluation))
        assert set(told.values()) == set(point.scores)  # what was told while it went on is what came of it
    assert not list((home.root / BORROWED).iterdir())
    entry = compare.compare(home, [run.id]).entries[0]
    assert points[-1].scores[0].column in entry.scores  # the finished student's own figure


def test_a_run_that_goes_on_has_the_figures_of_its_last_checkpoint(home, teacher, data, pairs, monkeypatch, quick):
    run = new_tiny_run(home, watched(teacher, data, pairs))
    measured = watching.Watcher.checkpoint

    def then_stop(self, step):
        due = measured(self, step)
        if step == 5:
            run.stop_request.write_text("keep")
        return due

    with monkeypatch.context() as patch:
        patch.setattr(watching.Watcher, "checkpoint", then_stop)
        assert work(run, "cpu") == STOPPED
    entry = compare.compare(home, [run.id]).entries[0]
    assert entry.checkpoint == 5
    assert entry.path is None
    assert [column[0] for column in entry.scores if column[0] == "minimal_pairs"]
    run.stop_request.unlink()
    assert work(run, "cpu") == FINISHED
    assert [point.step for point in history_of(run).measured] == [5, 10, 12]
    assert len(evaluations_of(run)) == 3


def test_a_run_that_was_killed_before_its_checkpoint_was_measured_measures_it_when_it_goes_on(
    home, teacher, data, pairs, monkeypatch, quick
):
    run = new_tiny_run(home, watched(teacher, data, pairs))

    def killed(self, step):
        if step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(watching.Watcher, "checkpoint", killed)
        assert work(run, "cpu") != FINISHED
    assert history_of(run).measured == []
    assert work(run, "cpu") == FINISHED
    assert [point.step for point in history_of(run).measured] == [5, 10, 12]


def test_trouble_with_an_evaluation_is_a_notice_and_the_training_goes_on(home, teacher, data, pairs, tmp_path, quick):
    file = tmp_path / "pairs.jsonl"
    shutil.copyfile(pairs, file)
    run = new_tiny_run(home, watched(teacher, data, file))
    file.write_text('{"sentence_good": "Only one."}\n')
    assert work(run, "cpu") == FINISHED
    warnings = [notice.text for notice in events_of(run, ev.NoticeRaised) if notice.level == "warning"]
    assert len([text for text in warnings if "did not finish" in text and "sentence_bad" in text]) == 3
    file.unlink()
    run = new_tiny_run(home, watched(teacher, data, pairs))
    shutil.move(pairs, file)
    try:
        assert work(run, "cpu") == FINISHED
    finally:
        shutil.move(file, pairs)
    warnings = [notice.text for notice in events_of(run, ev.NoticeRaised) if notice.level == "warning"]
    assert len([text for text in warnings if "could not be measured" in text and str(pairs) in text]) == 3
    assert history_of(run).measured == []


def test_a_training_that_is_stopped_while_it_waits_measures_that_step_when_it_goes_on(
    home, teacher, data, pairs, monkeypatch, quick
):
    run = new_tiny_run(home, watched(teacher, data, pairs))

    def start(evaluation, device):
        run.stop_request.write_text("keep")
        return _Never()

    with monkeypatch.context() as patch:
        patch.setattr(watching, "_start", start)
        assert work(run, "cpu") == STOPPED
    assert history_of(run).measured == []
    assert evaluations_of(run) == []
    assert not list((home.root / BORROWED).iterdir())
    run.stop_request.unlink()
    assert work(run, "cpu") == FINISHED
    assert [point.step for point in history_of(run).measured] == [5, 10, 12]


class _Never:
    returncode = None

    def poll(self):
        return None


def test_on_another_device_the_evaluation_waits_in_the_queue_and_the_training_goes_on(
    home, teacher, data, pairs, monkeypatch
):
    started = []
    monkeypatch.setattr(watching, "_start", lambda evaluation, device: started.append((evaluation.id, device)))
    recipe = watched(teacher, data, pairs, measure_device="cpu")
    run = new_tiny_run(home, recipe)
    monkeypatch.setattr(runs, "is_locked", lambda file: file == home.runner_lock)
    assert work(run, "cpu") == FINISHED
    assert [point.seconds for point in history_of(run).measured] == [0.0, 0.0, 0.0]
    waiting = runs.queue(home)
    assert [one.id for one in waiting] == [point.run for point in history_of(run).measured]
    assert not started
    run = new_tiny_run(home, recipe)  # where nobody looks after the queue it is started at once
    monkeypatch.setattr(runs, "is_locked", lambda file: False)
    assert work(run, "cpu") == FINISHED
    assert started == [(point.run, "cpu") for point in history_of(run).measured]


def test_an_evaluation_sees_the_world_as_it_was_before_this_engine_hid_devices(home, teacher, monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr(runner, "start_detached", lambda command, log, environment: seen.update(environment))
    monkeypatch.setattr(
        watching, "OUTSIDE", {"CUDA_VISIBLE_DEVICES": "0,1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "A": "b"}
    )
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "GPU-1")
    watching._start(RunFolder(tmp_path), "cuda:1")
    assert seen == {"CUDA_VISIBLE_DEVICES": "0,1", "A": "b"}


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_tuning_is_measured_too(home, teacher, pairs, tmp_path, quick, method):
    chats = write_chats(tmp_path / "chats.jsonl")
    recipe = tune_recipe(teacher, chats, method=method, measure_every=3, measure_pairs=str(pairs))
    run = new_tuning(home, recipe)
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    said = [notice.text for notice in events_of(run, ev.NoticeRaised)]
    assert not [text for text in said if "measured" in text or "did not finish" in text]
    points = points_of(home, history_of(run))
    assert [(point.step, len(point.scores)) for point in points] == [(3, 1), (6, 1)]
    assert not list((home.root / BORROWED).iterdir())
