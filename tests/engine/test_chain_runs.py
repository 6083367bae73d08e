"""A chain of distillations is one run: one journal that counts on, one stop, one resumption, and the last student in the end."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tiny import assert_same_curve, events_of, history_of, load, put_back, tiny_recipe
from transformers import PreTrainedModel

from core import events as ev
from core.chain import CAUTION, ChainRecipe, link_folder, settle_chain
from core.engine import chain as engine
from core.engine import distill
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.home import Home
from core.journal import JournalReader
from core.models import inspect_model
from core.plan import models_at_hand
from core.runs import KEEP, RunFolder, new_run
from core.state import fold

pytestmark = pytest.mark.slow


def tiny_chain(teacher: Path, data: Path, **changes: Any) -> ChainRecipe:
    """Two links of six steps each."""
    of = tiny_recipe(teacher, data, **({"student": "0.5x", "evaluate_every": 3, "checkpoint_every": 2} | changes))
    return ChainRecipe(of=of, sizes=("0.75x",))


def links_of(run: RunFolder) -> list[RunFolder]:
    recipe = run.recipe()
    assert isinstance(recipe, ChainRecipe)
    return [RunFolder(link_folder(run.path, link)) for link in recipe.links]


@pytest.fixture(scope="module")
def models_alive() -> list[int]:
    """How many models of its own the process holds when each link of the whole chain begins."""
    return []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, teacher: Path, data: Path, models_alive: list[int]) -> RunFolder:
    home = Home.find(tmp_path_factory.mktemp("chain"))
    out = tmp_path_factory.mktemp("out") / "student"
    run = new_run(home, settle_chain(tiny_chain(teacher, data, out=str(out))))

    def alive() -> set[int]:
        return {id(each) for each in gc.get_objects() if issubclass(type(each), PreTrainedModel)}

    before, set_up = alive(), distill.set_up

    def counting(*arguments: Any) -> Any:
        models_alive.append(len(alive() - before))
        return set_up(*arguments)

    with put_back(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(distill, "set_up", counting)
        assert work(run, "cpu") == FINISHED, history_of(run).failure
    return run


def test_the_last_student_is_the_students_size_and_stands_where_any_student_does(whole: RunFolder) -> None:
    recipe, results = whole.recipe(), history_of(whole).results
    assert isinstance(recipe, ChainRecipe)
    model, _ = load(whole.artifacts / "student")
    assert model.num_parameters() == recipe.links[-1].parameters == results["parameters"]
    assert results["student"] == str(whole.artifacts / "student")
    assert (Path(results["out"]) / "model.safetensors").is_file()
    assert results["links"][0]["parameters"] == recipe.links[0].parameters
    assert results["tokens"] == sum(link["tokens"] for link in results["links"])


def test_lineage_names_the_chain_and_leads_back_to_the_first_teacher(whole: RunFolder, teacher: Path) -> None:
    made = inspect_model(whole.artifacts / "student").lineage
    assert made is not None
    assert made.teacher is not None
    assert made.run == whole.id
    assistant = inspect_model(Path(made.teacher.path)).lineage
    assert assistant is not None
    assert assistant.teacher is not None
    assert (assistant.run, assistant.teacher.path) == (whole.id, str(teacher))


def test_the_assistant_is_a_model_at_hand(whole: RunFolder) -> None:
    home = Home.find(whole.path.parents[1])
    assert links_of(whole)[0].artifacts / "student" in models_at_hand(home)
    assert whole.artifacts / "student" in models_at_hand(home)


def test_steps_tokens_and_seconds_count_on_over_the_links(whole: RunFolder) -> None:
    history = history_of(whole)
    steps = [point.step for point in history.steps]
    assert steps == list(range(1, len(steps) + 1))
    assert history.plan is not None
    assert history.plan.steps == steps[-1]
    assert history.plan.tokens == history.steps[-1].tokens
    assert all(a.tokens < b.tokens and a.seconds <= b.seconds for a, b in pairwise(history.steps))
    own = [len(history_of(link).steps) for link in links_of(whole)]
    assert [(link.number, link.count, link.step) for link in history.links] == [(1, 2, 0), (2, 2, own[0])]
    # the student of the first link at its end, then that of the second before it learns: one step, two students
    at_border = [point for point in history.evaluations if point.step == own[0] and point.subject == "student"]
    assert len(at_border) == 2
    assert [point.subject for point in history.evaluations].count("teacher") == 1


def test_the_plan_is_near_the_truth_before_the_later_links_are_known(whole: RunFolder) -> None:
    first, last = events_of(whole, ev.TrainingPlanned)
    assert first.steps == pytest.approx(last.steps, abs=1)
    assert first.tokens == pytest.approx(last.tokens, rel=0.1)


def test_each_link_is_a_run_folder_of_its_own(whole: RunFolder) -> None:
    links = links_of(whole)
    assert [link.recipe().kind for link in links] == ["distill", "distill"]
    assert all(isinstance(events_of(link)[-1], ev.RunFinished) for link in links)
    assert not any(list(link.path.glob("tokens")) for link in links)
    assert links[1].recipe().teacher == str(links[0].artifacts / "student")


def test_all_links_are_measured_on_the_same_text(whole: RunFolder) -> None:
    first, second = links_of(whole)
    at_the_end = history_of(first).results["saved"]["ce"]
    as_a_teacher = next(point for point in history_of(second).evaluations if point.subject == "teacher").metrics["ce"]
    assert as_a_teacher == pytest.approx(at_the_end, rel=1e-5)


def test_it_says_that_a_teacher_of_the_right_size_did_better(whole: RunFolder) -> None:
    assert [notice.text for notice in events_of(whole, ev.NoticeRaised)].count(CAUTION) == 1
    assert "20.64" in CAUTION
    assert "21.66" in CAUTION


class Killed(BaseException):
    """The engine vanishes, as by a kill, before the chain hears the next word of a link."""


def attempt(run: RunFolder, monkeypatch: pytest.MonkeyPatch, moment: Callable[[int, ev.Event], bool]) -> None:
    """Let the engine vanish at that moment, and leave the journals as a kill leaves them: without a last word."""
    pass_on = engine.LinkSession.pass_on

    def until(self: engine.LinkSession, event: ev.Event) -> None:
        if moment(self.place.number, event):
            raise Killed
        pass_on(self, event)

    with monkeypatch.context() as patch:
        patch.setattr(engine.LinkSession, "pass_on", until)
        assert work(run, "cpu") == FAILED
    for journal in (run.journal, *(link.journal for link in links_of(run))):
        if journal.exists():
            lines = journal.read_text().splitlines(keepends=True)
            journal.write_text("".join(line for line in lines if '"run_failed"' not in line))


def stop_after(run: RunFolder, monkeypatch: pytest.MonkeyPatch, moment: Callable[[int, ev.Event], bool]) -> None:
    """Somebody asks the run to stop and keep what it has, at that moment."""
    pass_on = engine.LinkSession.pass_on

    def asked(self: engine.LinkSession, event: ev.Event) -> None:
        pass_on(self, event)
        if moment(self.place.number, event):
            run.stop_request.write_text(KEEP)
            self.chain._looked_at = 0.0

    with monkeypatch.context() as patch:
        patch.setattr(engine.LinkSession, "pass_on", asked)
        assert work(run, "cpu") == STOPPED
    run.stop_request.unlink()


def step(link: int, number: int) -> Callable[[int, ev.Event], bool]:
    return lambda at, event: at == link and isinstance(event, ev.StepLogged) and event.step == number


def test_killed_and_stopped_on_the_way_it_goes_on_in_the_link_that_was_under_way(
    home: Home, teacher: Path, data: Path, whole: RunFolder, monkeypatch: pytest.MonkeyPatch, in_process: None
) -> None:
    run = new_run(home, settle_chain(tiny_chain(teacher, data)))
    attempt(run, monkeypatch, step(1, 1))
    # the link has sealed a checkpoint that the chain has not heard of
    attempt(run, monkeypatch, lambda at, event: at == 1 and isinstance(event, ev.CheckpointSaved) and event.step == 4)
    assert not engine.results_of(links_of(run)[0])
    attempt(run, monkeypatch, lambda at, event: at == 2 and isinstance(event, ev.EvaluationLogged))
    assert events_of(run, ev.RunStarted)[-1].resumed_from == 2  # the chain's own mark; steps 3 and 4 were told anew
    first = links_of(run)[0].journal.read_text()
    assert '"run_finished"' in first
    stop_after(run, monkeypatch, step(2, 3))
    stopped = events_of(run)[-1]
    assert isinstance(stopped, ev.RunStopped)
    assert stopped.step == history_of(run).checkpoint_step
    assert stopped.step in (9, 10)  # a wish is seen after a step
    attempt(run, monkeypatch, lambda at, event: isinstance(event, ev.PhaseEntered) and event.phase == "saving")
    assert events_of(run, ev.RunStarted)[-1].resumed_from == stopped.step
    assert work(run, "cpu") == FINISHED, history_of(run).failure

    assert_same_curve(run, whole)
    assert [point.metrics["ce"] for point in history_of(run).evaluations] == pytest.approx(
        [point.metrics["ce"] for point in history_of(whole).evaluations]
    )
    assert [link.number for link in history_of(run).links] == [1, 2]
    assert links_of(run)[0].journal.read_text() == first  # a finished link is not done again
    assert (run.artifacts / "student" / "model.safetensors").is_file()


def test_a_mark_of_the_chain_whose_checkpoint_was_damaged_is_taken_back(
    home: Home, teacher: Path, data: Path, monkeypatch: pytest.MonkeyPatch, in_process: None
) -> None:
    run = new_run(home, settle_chain(tiny_chain(teacher, data, tokens=600, evaluate_every=100)))
    attempt(run, monkeypatch, lambda at, event: isinstance(event, ev.PhaseEntered) and event.phase == "saving")
    last = history_of(run).step
    assert last > 0
    shutil.rmtree(links_of(run)[0].checkpoints)
    links_of(run)[0].checkpoints.mkdir()
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    assert [point.step for point in history_of(run).steps] == list(range(1, 2 * last + 1))


def test_the_memory_of_a_link_is_free_before_the_next_begins(whole: RunFolder, models_alive: list[int]) -> None:
    assert models_alive == [0, 0]


def test_a_link_that_fails_fails_the_chain_with_its_words(
    home: Home, teacher: Path, data: Path, in_process: None
) -> None:
    run = new_run(home, settle_chain(tiny_chain(teacher, data)))
    shutil.move(data, data.with_suffix(".away"))
    try:
        assert work(run, "cpu") == FAILED
    finally:
        shutil.move(data.with_suffix(".away"), data)
    failure = history_of(run).failure
    own = fold(JournalReader(links_of(run)[0].journal).poll()).failure
    assert failure is not None
    assert own is not None
    assert failure.what == own.what
    assert json.loads(run.recipe_file.read_text())["links"][0]["name"].startswith("1-")
