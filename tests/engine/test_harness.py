"""Benchmarks by the harness: its own numbers, from local files, asked once, resumed, and refused in words where something is missing."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
from tiny import CONTEXT, beginnings, events_of, history_of, load, put_back, write_teacher

from core import events as ev
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.session import Session
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.runs import KEEP, RunFolder, new_run
from core.scores import measured

with warnings.catch_warnings():  # of the harness's own imports
    warnings.simplefilter("ignore")
    from core.engine.evaluation import harness
    from core.engine.evaluation.tasks import Index, task_file

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Home:
    """One data folder for all, so that the harness's names are looked up once."""
    return Home.find(tmp_path_factory.mktemp("home") / "home")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Benchmarks in three layouts; 12 questions each."""
    folder = tmp_path_factory.mktemp("benchmarks")
    words = [text.split() for text in beginnings(24)]
    arc = [
        {
            "instruction": f"Please choose the correct answer to the question: {' '.join(row[:6])}?\n\nAnswer1: {row[7]} "
            f"Answer2: {row[8]} {row[9]} Answer3: {row[2]}\n\nAnswer format: answer1/answer2/answer3",
            "answer": f"answer{1 + at % 3}",
        }
        for at, row in enumerate(words[:12])
    ]
    (folder / "arc_easy_test.json").write_text(json.dumps(arc), encoding="utf-8")
    (folder / "gsm8k").mkdir()
    sums = [{"question": f"What is {n} and {n}?", "answer": f"It is so. #### {2 * n}"} for n in range(12)]
    (folder / "gsm8k" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sums), encoding="utf-8")
    program = {
        "task_id": "T/0",
        "prompt": "def one():\n",
        "entry_point": "one",
        "canonical_solution": "    return 1\n",
        "test": "def check(f):\n    assert f() == 1\n",
    }
    other = program | {"task_id": "T/1", "test": "def check(f):\n    assert f() == 2\n"}
    (folder / "HumanEval.jsonl").write_text(f"{json.dumps(program)}\n{json.dumps(other)}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("models") / "asked", seed=4)


def asked(home: Home, model: Path, files: Path | None, code: int = FINISHED, **fields) -> RunFolder:
    given = {"task_dir": str(files)} if files else {}
    run = new_run(home, EvaluateRecipe(**{"model": str(model), "device": "cpu", **given, **fields}))
    with put_back():
        assert work(run, "cpu") == code, history_of(run).failure
    return run


@pytest.fixture(scope="module")
def arc(shelf, files, model) -> RunFolder:
    return asked(shelf, model, files, tasks=("arc_easy",), limit=10)


def test_our_numbers_are_those_of_the_harness_alone(shelf, files, model, arc) -> None:
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    with harness._quiet(shelf):
        leaf = task_file(shelf, Index(shelf), "arc_easy", files)
        network, tokenizer = load(model)
        alone = simple_evaluate(
            model=HFLM(pretrained=network, tokenizer=tokenizer, batch_size=1),
            tasks=[str(leaf.file)],
            task_manager=TaskManager(include_defaults=False),
            limit=10,
            log_samples=True,
        )
    ours, theirs = history_of(arc).results["results"]["arc_easy"], alone["results"]["arc_easy"]
    for name in ("acc", "acc_norm"):
        assert ours[name] == theirs[f"{name},none"]
        assert ours[f"{name}_stderr"] == pytest.approx(theirs[f"{name}_stderr,none"])
    assert ours["stderr"] == ours["acc_stderr"] > 0
    answers = [json.loads(line) for line in (arc.artifacts / "answers" / "arc_easy.jsonl").read_text().splitlines()]
    assert len(answers) == 10
    said = [[float(each[0][0]) for each in row["resps"]] for row in answers]
    expected = [[each[0][0] for each in row["resps"]] for row in alone["samples"]["arc_easy"]]
    for one, other in zip(said, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_a_figure_says_how_it_was_measured_and_stands_on_the_board(shelf, arc) -> None:
    facts = history_of(arc).results["tasks"]["arc_easy"]
    assert (facts["questions"], facts["limit"], facts["few_shot"], facts["version"]) == (10, 10, 0, "1.0")
    told = {name for event in events_of(arc, ev.EvaluationLogged) for name in event.metrics}
    assert {"arc_easy/acc", "arc_easy/stderr"} <= told
    scores = next(one.scores for one in measured(shelf) if one.run == arc.id)
    assert [(score.task, score.metric) for score in scores if score.quoted] == [("arc_easy", "acc")]
    assert "first 10" in scores[0].on


def test_nothing_is_measured_twice_but_what_differs_is(shelf, files, model, arc, monkeypatch) -> None:
    calls: list[str] = []
    ask = harness._ask
    monkeypatch.setattr(harness, "_ask", lambda *given: (calls.append(given[3].name), ask(*given))[1])
    again = asked(shelf, model, files, tasks=("arc_easy",), limit=10)
    assert calls == []
    results = history_of(again).results
    assert results["results"] == history_of(arc).results["results"]
    assert results["tasks"]["arc_easy"]["cached"]
    assert "known from before" in "".join(notice.text for notice in events_of(again, ev.NoticeRaised))
    assert (again.artifacts / "answers" / "arc_easy.jsonl").is_file()
    asked(shelf, model, files, tasks=("arc_easy@2",), limit=3)
    asked(shelf, model, files, tasks=("arc_easy@2",), limit=3, anew=True)
    assert len(calls) == 2


def test_a_run_that_was_stopped_goes_on_with_the_next_task(shelf, files, tmp_path, monkeypatch) -> None:
    model = write_teacher(tmp_path / "other", seed=11)
    tasks = ("arc_easy", "gsm8k_cot@0")
    wish = {"at": "arc_easy"}
    done: list[str] = []
    remember = harness._remember

    def kept(home, key, figure, *rest) -> None:
        remember(home, key, figure, *rest)
        done.append(figure.task)

    monkeypatch.setattr(harness, "_remember", kept)
    monkeypatch.setattr(Session, "stop_wish", lambda session: KEEP if wish["at"] in done else None)
    run = asked(shelf, model, files, STOPPED, tasks=tasks, limit=2)
    assert done == ["arc_easy"]
    wish["at"] = "nothing"
    with put_back():
        assert work(run, "cpu") == FINISHED, history_of(run).failure
    assert done == ["arc_easy", "gsm8k_cot"]
    assert set(history_of(run).results["results"]) == set(tasks[:1]) | {"gsm8k_cot"}


def test_prompts_and_answers_that_do_not_fit_the_context_are_counted(shelf, files, model) -> None:
    run = asked(shelf, model, files, tasks=("gsm8k_cot",), limit=2)  # eight examples are longer than 128 tokens
    facts = history_of(run).results["tasks"]["gsm8k_cot"]
    assert facts["cut"] == 2
    assert facts["shortened"] == 2
    warned = [notice.text for notice in events_of(run, ev.NoticeRaised) if notice.level == "warning"]
    assert any("2 prompts of gsm8k_cot" in text for text in warned)
    assert CONTEXT == 128


def test_a_tokenizer_without_end_and_padding_is_no_trouble(shelf, files, tmp_path) -> None:
    folder = write_teacher(tmp_path / "bare", seed=6)
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in settings.items() if not k.endswith("_token")}), encoding="utf-8")
    run = asked(shelf, folder, files, tasks=("arc_easy", "gsm8k_cot@0"), limit=1)
    assert any("names no end token" in notice.text for notice in events_of(run, ev.NoticeRaised))
    assert set(history_of(run).results["results"]) == {"arc_easy", "gsm8k_cot"}


def test_a_task_without_files_is_told_with_what_to_fetch_before_anything_is_asked(shelf, files, model) -> None:
    run = asked(shelf, model, files, FAILED, tasks=("arc_easy", "hellaswag"))
    failure = history_of(run).failure
    assert "Rowan/hellaswag" in failure.what
    assert "hf download Rowan/hellaswag" in failure.what
    assert not [event for event in events_of(run, ev.PhaseEntered) if event.phase == "asking"]
    near = asked(shelf, model, files, FAILED, tasks=("arc_eazy",))
    assert "arc_easy" in history_of(near).failure.way_out


def test_a_wrong_row_fails_the_run_with_its_number_and_field(shelf, model, tmp_path) -> None:
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl").write_text('{"question": "a", "answer": "#### 1"}\n{"question": "b"}\n')
    run = asked(shelf, model, tmp_path, FAILED, tasks=("gsm8k",))
    assert "test.jsonl, row 2: the field answer" in history_of(run).failure.what


def test_programs_are_run_in_the_sandbox_and_counted(shelf, files, model, monkeypatch) -> None:
    monkeypatch.setattr(harness.HFLM, "_model_generate", _writes(model, "    return 1\n"))
    run = asked(shelf, model, files, tasks=("humaneval",), run_code=True)
    metrics = history_of(run).results["results"]["humaneval"]
    assert metrics["pass@1,create_test"] == 0.5  # the tests ask for 1 and for 2
    assert "Not guarded" in next(choice.reason for choice in events_of(run, ev.ChoiceMade) if choice.name == "code")
    assert "1 × AssertionError" in "".join(notice.text for notice in events_of(run, ev.NoticeRaised))


def _writes(model: Path, text: str):
    """A model that answers with one text, whatever it is asked."""
    _, tokenizer = load(model)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids

    def generated(self, context, max_length, stop, **settings):
        return torch.cat([context, ids.expand(len(context), -1)], dim=1)

    return generated


def test_a_group_is_the_mean_of_its_tasks_by_size_and_says_which_are_missing(shelf, model, tmp_path) -> None:
    for subject, count in (("anatomy", 4), ("astronomy", 8)):
        for split, rows in (("test", count), ("dev", 2)):
            (tmp_path / split).mkdir(exist_ok=True)
            lines = [
                f"{text.replace(',', '')[:30]},{at},b,c,d,{'ABCD'[at % 4]}" for at, text in enumerate(beginnings(rows))
            ]
            (tmp_path / split / f"{subject}_{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = asked(shelf, model, tmp_path, tasks=("mmlu@1",))
    results = history_of(run).results
    of_each = {name: metrics["acc"] for name, metrics in results["results"].items()}
    assert of_each["mmlu"] == pytest.approx((4 * of_each["mmlu_anatomy"] + 8 * of_each["mmlu_astronomy"]) / 12)
    assert results["tasks"]["mmlu"]["questions"] == 12
    assert "2 of 57" in results["tasks"]["mmlu"]["version"]
    assert results["tasks"]["mmlu_anatomy"]["few_shot"] == 1
