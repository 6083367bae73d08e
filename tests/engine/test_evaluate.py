"""An evaluation says how well a model reads, all of the text, and answers questions as its probabilities say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny import beginnings, events_of, history_of, load, write_data, write_teacher, write_tokenizer

from core import events as ev
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.evaluate import ask
from core.engine.session import Session
from core.engine.text import Framing
from core.evaluate import EvaluateRecipe
from core.runs import KEEP, RunFolder, new_run
from resources.sample.questions import questions
from resources.sample.stories import QUESTION_SEED

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("models") / "small", seed=5, hidden_size=16)


def evaluated(home, **fields) -> RunFolder:
    run = new_run(home, EvaluateRecipe(device="cpu", **fields))
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    return run


@torch.no_grad()
def by_hand(folder: Path, texts: list[str]) -> tuple[float, int, int]:
    """(nats, tokens, bytes) of texts after their bos."""
    model, tokenizer = load(folder)
    nll, tokens = 0.0, 0
    for text in texts:
        ids = tokenizer(text, return_tensors="pt").input_ids
        log_probs = model(input_ids=ids).logits[0, :-1].double().log_softmax(-1)
        nll -= log_probs.gather(-1, ids[0, 1:, None]).sum().item()
        tokens += ids.shape[1] - 1
    return nll, tokens, sum(len(text.encode()) for text in texts)


def test_every_document_is_read_and_the_figures_are_those_by_hand(home, student, tmp_path):
    data = write_data(tmp_path / "text.txt", 40)
    results = history_of(evaluated(home, model=str(student), data=(str(data),))).results
    nll, tokens, size = by_hand(student, beginnings(40))
    assert results["tokens"] == tokens
    assert results["bytes"] == size
    assert results["documents"] == 40
    assert results["documents_longer_than_context"] == 0
    assert results["ce"] == pytest.approx(nll / tokens, rel=1e-5)
    assert results["perplexity"] == pytest.approx(math.exp(nll / tokens), rel=1e-4)
    assert results["bits_per_byte"] == pytest.approx(nll / math.log(2) / size, rel=1e-5)
    assert results["kd"] is None


def test_a_document_longer_than_the_context_is_read_whole_and_that_is_said(home, student, tmp_path):
    data = tmp_path / "long.txt"
    data.write_text(" ".join(beginnings(12)), encoding="utf-8")
    run = evaluated(home, model=str(student), data=(str(data),))
    _, tokenizer = load(student)
    assert history_of(run).results["tokens"] == len(tokenizer(data.read_text()).input_ids) - 1 > 128
    assert "no token was left out" in events_of(run, ev.NoticeRaised)[0].text


def test_a_limit_ends_the_reading_at_a_document(home, student, data):
    results = history_of(evaluated(home, model=str(student), data=(str(data),), most_tokens=300)).results
    assert results["documents"] < 20
    assert 250 < results["tokens"] < 450


def test_agreement_with_a_teacher_and_its_refusal(home, teacher, student, data, tmp_path):
    results = history_of(evaluated(home, model=str(student), teacher=str(teacher), data=(str(data),))).results
    assert 0 <= results["agreement"] < 0.5
    assert results["kd"] > 0.1
    itself = history_of(evaluated(home, model=str(student), teacher=str(student), data=(str(data),))).results
    assert itself["agreement"] == 1.0
    assert itself["kd"] == pytest.approx(0.0, abs=1e-5)
    stranger = write_teacher(tmp_path / "stranger", seed=9)
    write_tokenizer(stranger, entries=320)
    run = new_run(home, EvaluateRecipe(model=str(student), teacher=str(stranger), data=(str(data),), device="cpu"))
    assert work(run, "cpu") == FAILED
    assert "different tokenizers" in history_of(run).failure.what


class Silent:
    """As much of a session as questions need."""

    device = "cpu"

    def progress(self, share: float) -> None:
        assert 0 < share <= 1


@torch.no_grad()
def test_an_answer_is_the_choice_with_the_highest_probability(student):
    model, tokenizer = load(student)
    asked = questions(QUESTION_SEED, 4)
    right: dict[str, list[bool]] = {}
    for question in asked:
        prompt = [0, *tokenizer(question.prompt, add_special_tokens=False).input_ids]
        scores = []
        for choice in question.choices:
            ids = prompt + tokenizer(choice, add_special_tokens=False).input_ids
            log_probs = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
            scores.append(sum(log_probs[at - 1, ids[at]].item() for at in range(len(prompt), len(ids))))
        answer = question.choices[max(range(len(scores)), key=scores.__getitem__)]
        right.setdefault(question.skill, []).append(answer == question.answer)
    found = ask(Silent(), model, tokenizer, Framing(0, 1, ""), asked)
    assert found == {skill: sum(answers) / len(answers) for skill, answers in right.items()}
    assert len(found) >= 4


def test_skills_alone_need_no_text(home, student):
    run = evaluated(home, model=str(student), skills=2)
    results = history_of(run).results
    assert all(0 <= accuracy <= 1 for accuracy in results["skills"].values())
    assert "ce" not in results


def test_an_evaluation_can_be_stopped(home, student, data, monkeypatch):
    monkeypatch.setattr(Session, "stop_wish", lambda session: KEEP if session.phase_name == "reading" else None)
    run = new_run(home, EvaluateRecipe(model=str(student), data=(str(data),), device="cpu"))
    assert work(run, "cpu") == STOPPED


def test_a_folder_that_is_no_model_is_named(home, tmp_path, data):
    run = new_run(home, EvaluateRecipe(model=str(tmp_path), data=(str(data),), device="cpu"))
    assert work(run, "cpu") == FAILED
    assert str(tmp_path) in history_of(run).failure.what
