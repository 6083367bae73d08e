"""Models side by side: figures that were measured alike share a column, settings that differ are shown, and kept comparisons come back."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from core import events as ev
from core.cli import main
from core.compare import Comparison, Entry, compare, forget, leaderboard, pareto, reopen, save, saved
from core.distill import DistillRecipe
from core.errors import BadRecipe, Trouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.journal import JournalWriter
from core.models import inspect_model
from core.plan import sample_teachers
from core.runs import new_run
from core.scores import Score, measured, newest, scores_of
from core.subjects import borrow, checkpoint_steps, give_back, resolve_subject

SMALL, LARGE = sample_teachers()[0], sample_teachers()[-1]


@pytest.fixture
def home(tmp_path) -> Home:
    return Home.find(tmp_path / "home")


def evaluation(home: Home, model: Path, results: dict, **fields) -> None:
    """What a finished evaluation leaves."""
    recipe = EvaluateRecipe(model=str(model), **fields)
    run = new_run(home, recipe)
    info = inspect_model(model)
    said = {"path": str(model), "name": info.name, "fingerprint": info.fingerprint, "parameters": info.parameters}
    scores = [asdict(score) for score in scores_of(results, recipe)]
    (run.artifacts / "evaluation.json").write_text(
        json.dumps({"model": {**said, "size_bytes": info.size_bytes}, "scores": scores})
    )


def arc(value: float, version: str = "1.0", limit: int | None = None) -> dict:
    facts = {"version": version, "few_shot": 0, "limit": limit, "questions": 100, "settings": "abc"}
    return {"results": {"arc_easy": {"acc": value, "acc_stderr": 0.02, "stderr": 0.02}}, "tasks": {"arc_easy": facts}}


def distillation(home: Home, name: str, losses: list[float], **changes):
    fields = {"teacher": str(LARGE), "student": "0.4x", "data": ("text.txt",), "tokens": 1000, **changes}
    run = new_run(home, DistillRecipe(name=name, **fields))
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunStarted("cpu", 1, 0.0))
        journal.append(ev.TrainingPlanned(len(losses), 1000, 1, 1, 64, 12345, flops_per_token=2.0))
        for step, loss in enumerate(losses, 1):
            journal.append(ev.StepLogged(step, step * 100, 1e-3, loss, None, loss, 1.0, 10.0, 1, float(step)))
        journal.append(ev.EvaluationLogged(len(losses), 300, "student", {"bits_per_byte": 1.5, "ce": 2.0}))
        journal.append(ev.SampleWritten(len(losses), "Once", " upon"))
    return run


def test_figures_of_the_same_model_meet_whatever_run_measured_them(home) -> None:
    evaluation(home, SMALL, arc(0.3))
    evaluation(home, SMALL, {"bits_per_byte": 1.25, "bytes": 500, "tokens": 200}, data=("held.txt",))
    evaluation(home, LARGE, arc(0.5))
    comparison = compare(home, [str(SMALL), str(LARGE)])
    arc_column = next(column for column in comparison.columns() if column[0] == "arc_easy")
    assert comparison.columns()[0] == arc_column  # which both have
    assert [entry.scores[arc_column].value for entry in comparison.entries] == [0.3, 0.5]
    assert comparison.best(arc_column) == {1}
    bits = next(column for column in comparison.columns() if column[1] == "bits_per_byte")
    assert comparison.best(bits) == set()  # one alone is not the best
    assert comparison.entries[0].parameters == inspect_model(SMALL).parameters


def test_two_versions_or_limits_of_a_task_are_never_in_one_column(home) -> None:
    for version, limit in (("1.0", None), ("2.0", None), ("1.0", 50)):
        evaluation(home, SMALL, arc(0.3, version, limit))
    columns = [column for column in compare(home, [str(SMALL)]).columns() if column[0] == "arc_easy"]
    assert len(columns) == 3


def test_measuring_again_takes_the_place_of_the_older_figure(home, monkeypatch) -> None:
    for second, value in enumerate((0.3, 0.35)):
        monkeypatch.setattr("core.runs.time.strftime", lambda form, second=second: f"20260101-00000{second}")
        evaluation(home, SMALL, arc(value))
    assert [score.value for score in newest(measured(home)).values()] == [0.35]


def test_lower_is_better_where_it_is_and_equal_figures_share_the_first_place() -> None:
    def entry(word: str, value: float) -> Entry:
        score = Score("text", "bits_per_byte", value, None, "t", 1, True)
        return Entry(word, word, None, None, 10, 20, {score.column: score})

    comparison = Comparison((entry("a", 1.0), entry("b", 0.5), entry("c", 0.5)))
    assert comparison.best(comparison.columns()[0]) == {1, 2}


def test_only_the_settings_that_differ_are_shown_and_the_curves_carry_their_costs(home) -> None:
    one = distillation(home, "one", [3.0, 2.0])
    two = distillation(home, "two", [3.0, 2.5, 2.2], seed=7, temperature=2.0)
    comparison = compare(home, [one.id, two.id])
    assert comparison.differing() == {"seed": [0, 7], "temperature": [1.0, 2.0]}
    assert [point.loss for point in comparison.entries[1].curve] == [3.0, 2.5, 2.2]
    assert [point.flops for point in comparison.entries[0].curve] == [200.0, 400.0]
    assert comparison.entries[0].training_flops == 400.0
    assert comparison.entries[0].samples == {"Once": " upon"}
    # held-out text that was parted with another seed is another text
    assert len([column for column in comparison.columns() if column[1] == "bits_per_byte"]) == 2


def test_the_front_has_the_points_that_no_other_beats() -> None:
    points = [(1.0, 0.3), (2.0, 0.5), (2.5, 0.4), (4.0, 0.5), (1.0, 0.2)]
    assert pareto(points) == [0, 1]
    assert pareto([(1.0, 0.9), (2.0, 0.8), (3.0, 0.85)], less_is_better=True) == [0, 1]
    assert pareto([(10.0, 0.3), (5.0, 0.5), (4.0, 0.4)], more_cost=True) == [1, 0]


def test_a_comparison_is_kept_reopened_with_todays_figures_and_forgotten(home) -> None:
    evaluation(home, SMALL, arc(0.3))
    save(home, compare(home, [str(SMALL), str(LARGE)], "retention", str(LARGE), "für heute"))
    save(home, compare(home, [str(SMALL)], name="другое"))
    save(home, compare(home, [str(LARGE)], name="比较"))
    evaluation(home, LARGE, arc(0.6))
    assert sorted(saved(home)) == sorted(["für heute", "другое", "比较"])
    again = reopen(home, "für heute")
    assert (again.scale, again.reference, again.name) == ("retention", str(LARGE), "für heute")
    assert len(again.entries[1].scores) == 1
    forget(home, "für heute")
    with pytest.raises(BadRecipe, match="другое"):
        reopen(home, "für heute")


def test_words_that_name_nothing_and_scales_without_a_reference_are_refused(home) -> None:
    with pytest.raises(Trouble, match="nowhere"):
        compare(home, ["nowhere/at/all"])
    with pytest.raises(BadRecipe, match="twice"):
        compare(home, [str(SMALL), str(SMALL)])
    with pytest.raises(BadRecipe, match="reference"):
        compare(home, [str(SMALL), str(LARGE)], "retention")
    with pytest.raises(BadRecipe, match="not among"):
        compare(home, [str(SMALL)], "raw", str(LARGE))


def test_a_teacher_among_the_models_is_the_reference_by_itself(home) -> None:
    run = distillation(home, "student", [3.0])
    assert compare(home, [run.id, str(LARGE)], "retention").reference == str(LARGE)


def test_everything_measured_is_on_the_board_and_filters_narrow_it(home) -> None:
    assert leaderboard(home).entries == ()
    evaluation(home, SMALL, arc(0.3))
    evaluation(home, LARGE, {"bits_per_byte": 1.0, "bytes": 5, "tokens": 2}, data=("t.txt",))
    assert len(leaderboard(home).entries) == 2
    assert [entry.path for entry in leaderboard(home, ["arc_easy"]).entries] == [SMALL]
    least = inspect_model(SMALL).parameters + 1
    assert [entry.path for entry in leaderboard(home, least=least).entries] == [LARGE]


def test_a_damaged_evaluation_hides_no_other(home) -> None:
    evaluation(home, SMALL, arc(0.3))
    evaluation(home, LARGE, arc(0.5))
    for run in home.runs.iterdir():
        if str(LARGE) in (run / "recipe.json").read_text():
            (run / "artifacts" / "evaluation.json").write_text('{"model": 3}')
    assert [one.model for one in measured(home)] == [SMALL]


def test_the_command_says_all_to_scripts(home, capsys) -> None:
    evaluation(home, SMALL, arc(0.3))
    assert main(["compare", str(SMALL), str(LARGE), "--home", str(home.root), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["models"][0]["radar"] == {"ARC easy": 0.3}
    assert said["models"][1]["radar"] == {"ARC easy": None}
    assert said["models"][0]["scores"][0]["stderr"] == 0.02
    assert main(["compare", "--home", str(home.root)]) == 2
    assert main(["scores", "--home", str(home.root), "--task", "arc_easy", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["models"]) == 1


def test_a_checkpoint_is_borrowed_and_outlives_the_training_that_drops_it(home) -> None:
    run = distillation(home, "going on", [3.0])
    assert checkpoint_steps(run) == []
    with pytest.raises(Trouble, match="no complete checkpoint"):
        resolve_subject(home, f"{run.id}@last")
    for step in (4, 8, 12):
        folder = run.checkpoints / f"checkpoint-{step}"
        folder.mkdir()
        for name in ("model.safetensors", "config.json"):
            (folder / name).write_bytes((SMALL / name).read_bytes())
        (folder / "optimizer.pt").touch()
        if step < 12:  # the last is not complete yet
            (folder / "manifest.json").write_text(json.dumps({"step": step, "files": {}}))
    assert checkpoint_steps(run) == [4, 8]
    with pytest.raises(Trouble, match="It has 4, 8"):
        resolve_subject(home, f"{run.id}@12")
    taken = resolve_subject(home, f"{run.id}@last")
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= {file.name for file in taken.iterdir()}
    assert "optimizer.pt" not in {file.name for file in taken.iterdir()}
    for file in (run.checkpoints / "checkpoint-8").iterdir():
        file.unlink()
    assert inspect_model(taken).fingerprint == inspect_model(SMALL).fingerprint
    asked = new_run(home, EvaluateRecipe(model=str(taken)))
    second = borrow(home, run, "4")  # what a run asks for stays, and for a while what nobody asks for
    third = borrow(home, run, "4")
    assert second.is_dir()
    for folder in (taken, second):
        os.utime(folder, (0, 0))
    borrow(home, run, "4")
    assert taken.is_dir()
    assert not second.exists()
    give_back(home, taken)
    assert not taken.exists()
    give_back(home, SMALL)
    assert SMALL.is_dir()
    assert third.is_dir()
    assert asked.recipe_file.is_file()


def test_figures_over_tokens_are_of_one_tokenizer_and_only_bits_per_byte_compare_across(home, tmp_path) -> None:
    recipe = EvaluateRecipe(model=str(SMALL), data=("stories.txt",))
    read = {"ce": 1.5, "perplexity": 4.5, "bits_per_byte": 0.6, "tokens": 100, "calibration": {"ece": 0.01}}
    one, other = (
        {score.metric: score for score in scores_of({**read, "tokenizer": mark}, recipe)}
        for mark in ("aaaaaaaa", "bbbbbbbb")
    )
    assert one["bits_per_byte"].column == other["bits_per_byte"].column
    assert all(one[name].column != other[name].column for name in ("ce", "perplexity", "ece"))
    run = distillation(home, "one", [3.0])
    held_out = {column[1]: column[2] for column in compare(home, [run.id]).entries[0].scores}
    assert "tokenizer" in held_out["ce"]
    assert "tokenizer" not in held_out["bits_per_byte"]


def test_nothing_is_best_where_all_are_equal_or_more_is_neither_good_nor_bad() -> None:
    def entries(metric: str, *values: float) -> Comparison:
        column = ("writing", metric, "")
        return Comparison(
            tuple(
                Entry(str(at), str(at), None, None, None, None, {column: Score(*column[:2], value, None, "")})
                for at, value in enumerate(values)
            )
        )

    assert entries("distinct_2", 0.5, 0.5, 0.4).best(("writing", "distinct_2", "")) == {0, 1}
    assert entries("distinct_2", 0.5, 0.5).best(("writing", "distinct_2", "")) == set()
    assert entries("repetition", 0.5, 0.4).best(("writing", "repetition", "")) == {1}
    assert entries("mean_tokens", 5.0, 4.0).best(("writing", "mean_tokens", "")) == set()
