"""Calibration, agreement by position, what a model writes, and its speed: against slow plain versions of each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import beginnings, events_of, history_of, load, write_data, write_teacher
from tuned import new_tuning, tune_recipe, write_chats

from core import events as ev
from core.compare import compare
from core.engine import evaluate
from core.engine.__main__ import FINISHED, STOPPED, work
from core.engine.evaluation.subject import MERGED
from core.engine.evaluation.sureness import BINS
from core.engine.evaluation.writing import distinct
from core.engine.session import Session
from core.evaluate import EvaluateRecipe
from core.runs import KEEP, RunFolder, new_run
from core.scores import measured
from core.subjects import resolve_subject

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("models") / "small", seed=5, hidden_size=16)


def evaluated(home, **fields) -> RunFolder:
    run = new_run(home, EvaluateRecipe(device="cpu", **fields))
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    return run


@torch.no_grad()
def token_by_token(student: Path, teacher: Path, texts: list[str]) -> dict[str, np.ndarray]:
    """Confidence, right, position, agreement and KL of every predicted token, in float64."""
    (small, tokenizer), (large, _) = load(student), load(teacher)
    rows = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt").input_ids
        log_q, log_p = (m(input_ids=ids).logits[0, :-1].double().log_softmax(-1) for m in (small, large))
        for place, target in enumerate(ids[0, 1:].tolist()):
            kl = float((log_p[place].exp() * (log_p[place] - log_q[place])).sum())
            best = int(log_q[place].argmax())
            rows.append(
                (float(log_q[place, best].exp()), best == target, place + 1, best == int(log_p[place].argmax()), kl)
            )
    return dict(zip(("sure", "right", "at", "agreed", "kl"), map(np.array, zip(*rows, strict=True)), strict=True))


def test_calibration_and_agreement_by_position_are_those_by_hand(home, student, teacher, tmp_path) -> None:
    data = write_data(tmp_path / "text.txt", 20)
    run = evaluated(home, model=str(student), teacher=str(teacher), data=(str(data),), calibration=True)
    results, hand = history_of(run).results, token_by_token(student, teacher, beginnings(20))
    bins = np.minimum((hand["sure"] * BINS).astype(int), BINS - 1)
    gaps = [
        abs(hand["right"][bins == b].mean() - hand["sure"][bins == b].mean()) * (bins == b).mean() for b in set(bins)
    ]
    assert results["calibration"]["ece"] == pytest.approx(sum(gaps), abs=1e-4)
    assert results["calibration"]["accuracy"] == pytest.approx(hand["right"].mean())
    assert sum(point["tokens"] for point in results["calibration"]["curve"]) == len(bins) == results["tokens"]
    assert [row["from"] for row in results["by_position"]] == [1, 4, 16, 64]
    for row, until in zip(results["by_position"], (4, 16, 64, 256), strict=True):
        inside = (hand["at"] >= row["from"]) & (hand["at"] < until)
        assert row["tokens"] == inside.sum()
        assert row["agreement"] == pytest.approx(hand["agreed"][inside].mean())
        assert row["kd"] == pytest.approx(hand["kl"][inside].mean(), rel=1e-4)
    weighted = sum(row["kd"] * row["tokens"] for row in results["by_position"]) / results["tokens"]
    assert weighted == pytest.approx(results["kd"], rel=1e-4)


def test_variety_counts_different_sequences_of_all_texts_together() -> None:
    assert distinct([[1, 2, 3], [1, 2, 4]], 1) == 4 / 6
    assert distinct([[1, 2, 3], [1, 2, 4]], 2) == 3 / 4
    assert distinct([[1, 1, 1, 1]], 3) == 1 / 2
    assert distinct([[1]], 2) == 0


def test_what_a_model_writes_is_measured_and_kept(home, student, data) -> None:
    run = evaluated(home, model=str(student), data=(str(data),), written=5, written_tokens=12)
    writing = history_of(run).results["writing"]
    rows = [json.loads(line) for line in (run.artifacts / "written.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == writing["texts"] == 5
    assert all(beginning.startswith(row["prompt"].strip()) for row, beginning in zip(rows, beginnings(5), strict=True))
    assert 0 < writing["distinct_1"] <= writing["distinct_3"] <= 1
    assert writing["ended"] == sum(row["ended"] for row in rows) / 5
    again = history_of(evaluated(home, model=str(student), data=(str(data),), written=5, written_tokens=12)).results
    assert again["writing"] == writing
    assert events_of(run, ev.SampleWritten)


def test_speed_is_told_with_its_device_and_needs_no_text(home, student) -> None:
    run = evaluated(home, model=str(student), speed=True)
    speed = history_of(run).results["speed"]
    assert speed["prefill_tokens_per_second"] > 0
    assert speed["decode_tokens_per_second"] > 0
    assert speed["memory_bytes"] > 1e7
    assert speed["read_tokens"] == 96  # three quarters of the context
    assert "cpu" in speed["device"]
    assert {score.metric for score in measured(home)[0].scores} == {
        "prefill_tokens_per_second",
        "decode_tokens_per_second",
        "memory_bytes",
    }


def test_an_interrupted_evaluation_does_not_measure_its_first_part_again(home, student, data, monkeypatch) -> None:
    recipe = EvaluateRecipe(model=str(student), data=(str(data),), skills=1, device="cpu")
    monkeypatch.setattr(
        Session, "stop_wish", lambda session: KEEP if session.phase_name == "asking the questions" else None
    )
    run = new_run(home, recipe)
    assert work(run, "cpu") == STOPPED
    monkeypatch.setattr(Session, "stop_wish", lambda session: None)
    read: list[str] = []
    monkeypatch.setattr(evaluate, "_read_text", lambda *given: read.append("again"))
    assert work(run, "cpu") == FINISHED
    results = history_of(run).results
    assert read == []
    assert results["ce"] > 0
    assert results["skills"]
    assert not (run.path / evaluate.DONE).exists()


def test_a_checkpoint_of_a_run_reads_as_the_training_said(whole, tmp_path) -> None:
    run, home = whole, whole.home
    steps = sorted(int(folder.name.partition("-")[2]) for folder in run.checkpoints.glob("checkpoint-*"))
    folder = resolve_subject(home, f"{run.id}@{steps[-1]}")
    student = run.artifacts / "student"
    text = write_data(tmp_path / "held.txt", 12, seed=99)
    found = history_of(evaluated(home, model=str(folder), data=(str(text),))).results
    expected = history_of(evaluated(home, model=str(student), data=(str(text),))).results
    assert steps[-1] == 12
    assert found["bits_per_byte"] == pytest.approx(expected["bits_per_byte"], rel=1e-4)
    assert not folder.exists()  # given back once it is measured
    assert resolve_subject(home, run.id) == student


def test_an_adapter_is_measured_as_the_model_that_it_makes_of_its_base(home, teacher, tmp_path) -> None:
    chats = write_chats(tmp_path / "chats.jsonl")
    tuned = new_tuning(home, tune_recipe(teacher, chats, merge=True))
    assert work(tuned, "cpu") == FINISHED
    results = history_of(tuned).results
    adapter, merged = Path(results["student"]), Path(results["merged"])
    data = write_data(tmp_path / "text.txt", 10)
    of_adapter = evaluated(home, model=str(adapter), data=(str(data),))
    found, wanted = (
        history_of(run).results for run in (of_adapter, evaluated(home, model=str(merged), data=(str(data),)))
    )
    base = history_of(evaluated(home, model=str(teacher), data=(str(data),))).results
    assert found["ce"] == pytest.approx(wanted["ce"], abs=1e-6)
    assert abs(found["ce"] - base["ce"]) > 1e-3
    assert not (of_adapter.path / MERGED).exists()
    assert adapter in [one.model for one in measured(home)]
    assert compare(home, [tuned.id]).entries[0].scores  # which knows it by its weights
