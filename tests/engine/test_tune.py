"""A tuning comes to an adapter or model that others load, says what it did, and after a stop or a kill comes to the same end."""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tiny import engine_environment, events_of, history_of, load, put_back, tiny_model, write_teacher, write_tokenizer
from transformers import AutoTokenizer, GenerationConfig
from tuned import new_tuning, tune_recipe, write_chats, write_pairs

from core import events as ev
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.session import Session
from core.home import Home
from core.runs import KEEP, RunFolder
from core.tune import TuneRecipe

pytestmark = [
    pytest.mark.usefixtures("in_process"),
    pytest.mark.filterwarnings(
        "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
    ),  # peft's, of transformers 5.23
]

KINDS = {
    "lora": {"method": "lora"},
    "dora": {"method": "dora", "packing": False},
    "full": {"method": "full", "learning_rate": 1e-3, "neftune": 5.0},
    "dpo": {"method": "lora", "objective": "dpo"},
    "orpo": {"method": "full", "objective": "orpo", "learning_rate": 1e-3, "log_every": 2},
    "guided": {"method": "lora", "teacher": True},
}


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Each run collects garbage a few times; the imports of a whole session are none."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chats(tmp_path_factory.mktemp("chats") / "chats.jsonl")


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.json")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("models") / "to-tune", seed=5, initializer_range=0.1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, model: Path, teacher: Path, chats: Path, pairs: Path):
    """Each kind of run, never interrupted; made once."""
    made: dict[str, RunFolder] = {}

    def of(kind: str) -> RunFolder:
        if kind not in made:
            with put_back():
                home = Home.find(tmp_path_factory.mktemp("whole"))
                made[kind] = tuned(home, recipe_of(kind, model, teacher, chats, pairs))
        return made[kind]

    return of


def recipe_of(kind: str, model: Path, teacher: Path, chats: Path, pairs: Path, **changes) -> TuneRecipe:
    fields = {**KINDS[kind], **changes}
    if fields.get("teacher") is True:
        fields["teacher"] = str(teacher)
    return tune_recipe(model, pairs if fields.get("objective", "sft") != "sft" else chats, **fields)


def tuned(home: Home, recipe: TuneRecipe, code: int = FINISHED) -> RunFolder:
    run = new_tuning(home, recipe)
    assert work(run, "cpu") == code, history_of(run).failure
    return run


def curve(run: RunFolder) -> list[tuple]:
    return [
        (p.step, p.tokens, p.lr, p.ce, p.kd, p.total, p.grad_norm, *sorted(p.parts.items()))
        for p in history_of(run).steps
    ]


def assert_same_end(run: RunFolder, other: RunFolder) -> None:
    """Curve, evaluations, answers and the weights themselves."""
    assert curve(run) == curve(other)
    one, two = history_of(run), history_of(other)
    assert [(p.step, p.metrics) for p in one.evaluations] == [(p.step, p.metrics) for p in two.evaluations]
    assert [(s.step, s.text) for s in one.samples] == [(s.step, s.text) for s in two.samples]
    [file] = (run.artifacts / "student").glob("*.safetensors")
    found, expected = load_file(file), load_file(other.artifacts / "student" / file.name)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_at_any_step_and_resumed_is_never_stopped(home, kind, model, teacher, chats, pairs, whole, monkeypatch):
    run = new_tuning(home, recipe_of(kind, model, teacher, chats, pairs))
    expected = whole(kind)
    monkeypatch.setattr(Session, "stop_wish", lambda session: KEEP if session.step >= 3 else None)
    assert work(run, "cpu") == STOPPED
    monkeypatch.setattr(Session, "stop_wish", lambda session: None)
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    assert history_of(run).attempts == 2
    assert_same_end(run, expected)


def test_killed_in_mid_training_it_goes_on_from_its_checkpoint_to_the_same_end(
    home, model, teacher, chats, pairs, whole
):
    run = new_tuning(home, recipe_of("lora", model, teacher, chats, pairs))
    expected = whole("lora")
    with run.log.open("ab") as log:
        engine = subprocess.Popen(
            [sys.executable, "-m", "core.engine", str(run.path)], env=engine_environment(), stdout=log, stderr=log
        )
    deadline = time.monotonic() + 120
    while not (run.checkpoints / "checkpoint-2" / "manifest.json").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
        assert engine.poll() is None, run.log.read_text()
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    assert history_of(run).said is not None
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    assert history_of(run).attempts == 2
    assert_same_end(run, expected)


def test_the_result_is_an_adapter_as_peft_writes_them_with_template_and_lineage(whole, model):
    folder = whole("lora").artifacts / "student"
    base, _ = load(model)
    adapted = PeftModel.from_pretrained(base, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert adapted.peft_config["default"].r == 4
    said = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert said == "<s>User: Hi\nAssistant:"
    lineage = json.loads((folder / "stillroom.json").read_text())
    assert lineage["base"]["path"] == str(model)
    assert len(lineage["base"]["fingerprint"]) == 64
    assert "| ce |" in (folder / "README.md").read_text()


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_the_tuned_model_reads_the_held_out_rows_better_and_is_told_to_stop_where_answers_end(whole, kind):
    run = whole(kind)
    results = history_of(run).results
    assert results["after"]["ce"] < results["before"]["ce"] - 0.1
    assert results["saved"]["ce"] == pytest.approx(results["after"]["ce"], abs=1e-5)
    settings = GenerationConfig.from_pretrained(run.artifacts / "student")
    ends = settings.eos_token_id if isinstance(settings.eos_token_id, list) else [settings.eos_token_id]
    assert 1 in ends  # </s>, which the template writes behind an answer
    [sample] = results["samples"]
    assert sample["prompt"].endswith("Assistant:")
    assert {"before", "after"} <= sample.keys()


def test_a_preference_run_says_margin_and_accuracy_and_begins_at_its_reference(whole):
    run = whole("dpo")
    history = history_of(run)
    first, last = history.steps[0], history.steps[-1]
    assert first.total == pytest.approx(0.6931, abs=1e-3)  # −log σ(0): nothing is preferred yet
    assert last.parts["margin"] > first.parts["margin"]
    before, after = history.results["before"], history.results["after"]
    assert before["margin"] == pytest.approx(0, abs=1e-4)
    assert after["margin"] > 0.1
    assert after["accuracy"] > 0.9


def test_dpo_on_an_adapter_takes_what_it_began_with_as_the_reference(home, model, pairs, whole):
    first = whole("lora").artifacts / "student"
    run = tuned(home, tune_recipe(model, pairs, objective="dpo", adapter=str(first), steps=3))
    history = history_of(run)
    assert history.results["before"]["margin"] == pytest.approx(0, abs=1e-4)
    assert history.steps[0].total == pytest.approx(0.6931, abs=1e-3)


def test_a_teacher_as_the_reference_is_asked_instead_of_the_model(home, model, teacher, pairs):
    run = tuned(home, tune_recipe(model, pairs, objective="dpo", teacher=str(teacher), steps=2))
    assert abs(history_of(run).results["before"]["margin"]) > 1e-3


def test_merge_also_writes_a_model_that_reads_as_the_adapter_does(home, model, chats, tmp_path):
    out = tmp_path / "chatty"
    run = tuned(home, tune_recipe(model, chats, method="dora", steps=2, merge=True, out=str(out)))
    assert history_of(run).results["merged_out"] == f"{out}-merged"
    base, _ = load(model)
    merged, _ = load(Path(f"{out}-merged"))
    ids = torch.arange(3, 60)[None]
    with torch.no_grad():
        expected = PeftModel.from_pretrained(base, out)(input_ids=ids).logits
        assert (merged(input_ids=ids).logits - expected).abs().max() < 1e-5


def test_a_guided_tuning_follows_its_teacher(whole):
    history = history_of(whole("guided"))
    assert all(point.kd is not None for point in history.steps)
    assert history.results["after"]["kd"] < history.results["before"]["kd"]


def test_plain_text_is_learnt_whole_and_gpt2_gets_its_adapter_too(home, data, tmp_path):
    folder = tmp_path / "gpt2"
    tiny_model("gpt2", seed=2).save_pretrained(folder)
    write_tokenizer(folder)
    run = tuned(home, tune_recipe(folder, data, preset="recover", rank=2, steps=2, merge=True))
    history = history_of(run)
    assert set(history.choices["layers with an adapter"].value) == {"c_attn", "c_fc", "c_proj"}
    base, _ = load(folder)
    merged, _ = load(run.artifacts / "merged")
    ids = torch.arange(3, 60)[None]
    with torch.no_grad():
        expected = PeftModel.from_pretrained(base, run.artifacts / "student")(input_ids=ids).logits
        assert (merged(input_ids=ids).logits - expected).abs().max() < 1e-5


def test_rows_beyond_the_context_are_counted_and_said(home, model, tmp_path):
    file = tmp_path / "long.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": "word " * n}]}
        for n in (5, 90, 6, 7, 8, 120)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for too_long, words in (("truncate", "2 are cut off at their end"), ("drop", "2 are left out")):
        run = tuned(home, tune_recipe(model, file, steps=1, batch=1, micro_batch=1, too_long=too_long, held_out=0.01))
        assert any(words in notice.text for notice in history_of(run).notices)


def test_layers_that_are_none_fail_in_words_before_training(home, model, chats):
    recipe = tune_recipe(model, chats, targets=("embed_tokens",))
    run = tuned(home, recipe, FAILED)
    failure = history_of(run).failure
    assert "embed_tokens is no linear layer" in failure.what
    assert "q_proj" in failure.way_out


def test_a_frozen_weight_costs_the_rehearsal_no_gradient(whole):
    planned = [events_of(whole(kind), ev.TrainingPlanned)[0] for kind in ("lora", "full")]
    assert planned[0].flops_per_token == pytest.approx(2 / 3 * planned[1].flops_per_token)
    assert history_of(whole("lora")).choices["learnt weights"].value < 0.2 * planned[0].student_parameters
