"""Of two sentences the model's own probabilities choose, and the choice is counted set by set."""

from __future__ import annotations

import json
import math

import pytest
import torch
from tiny import beginnings, events_of, history_of, load

from core import events as ev
from core.engine.__main__ import FAILED, FINISHED, work
from core.engine.evaluation.pairs import judge_pairs, sentence_log_probs
from core.engine.text import Framing
from core.evaluate import EvaluateRecipe
from core.pairs import Pair
from core.runs import new_run
from core.scores import measured

pytestmark = pytest.mark.usefixtures("in_process")
FRAMING = Framing(0, 1, "")


@torch.no_grad()
def by_hand(model, tokenizer, sentence: str) -> float:
    """The sum of log-probabilities after the start token, in float64, one sentence at a time."""
    ids = torch.tensor([[0, *tokenizer(sentence, add_special_tokens=False).input_ids]])
    log_p = model(input_ids=ids).logits[0, :-1].double().log_softmax(-1)
    return log_p.gather(1, ids[0, 1:, None]).sum().item()


def test_sentences_score_as_one_by_one_however_they_are_batched(teacher) -> None:
    model, tokenizer = load(teacher)
    rows = [text[: 10 + 7 * at] for at, text in enumerate(beginnings(20))]
    shares: list[float] = []
    found, cut = sentence_log_probs(model, tokenizer, FRAMING, rows, shares.append)
    assert found == pytest.approx([by_hand(model, tokenizer, row) for row in rows], rel=1e-4)
    assert shares[-1] == 1.0
    assert cut == 0
    assert sentence_log_probs(model, tokenizer, FRAMING, [" ".join(rows)], shares.append)[1] == 1


def test_without_a_start_token_the_first_one_is_left_out(teacher) -> None:
    model, tokenizer = load(teacher)
    tokenizer.bos_token = None
    ids = torch.tensor([tokenizer("Once upon a time", add_special_tokens=False).input_ids])
    with torch.no_grad():
        log_p = model(input_ids=ids).logits[0, :-1].double().log_softmax(-1)
    expected = log_p.gather(1, ids[0, 1:, None]).sum().item()
    (found,), _ = sentence_log_probs(model, tokenizer, Framing(None, 1, ""), ["Once upon a time"], lambda share: None)
    assert found == pytest.approx(expected, rel=1e-4)


def test_accuracy_is_that_of_each_set_and_their_mean_and_a_tie_is_wrong(teacher) -> None:
    model, tokenizer = load(teacher)
    texts = beginnings(13)
    pairs = [Pair(texts[at][:40], texts[at + 1][:40]) for at in range(12)]
    sets = {"one": pairs[:8], "two": pairs[8:], "same": [Pair("a b", "a b")] * 3}
    found = judge_pairs(model, tokenizer, FRAMING, sets, lambda share: None)
    for name in ("one", "two"):
        right = [by_hand(model, tokenizer, good) > by_hand(model, tokenizer, bad) for good, bad in sets[name]]
        share, count = sum(right) / len(right), len(right)
        assert found["sets"][name]["accuracy"] == share
        assert found["sets"][name]["stderr"] == pytest.approx(math.sqrt(share * (1 - share) / (count - 1)))
    assert found["sets"]["same"]["accuracy"] == 0
    assert found["ties"] == 3
    assert found["accuracy"] == pytest.approx(sum(each["accuracy"] for each in found["sets"].values()) / 3)


def test_a_run_keeps_the_figures_where_comparisons_find_them(home, teacher, tmp_path) -> None:
    file = tmp_path / "pairs.jsonl"
    rows = [{"sentence_good": a[:30], "sentence_bad": a[:30][::-1]} for a in beginnings(9)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run = new_run(home, EvaluateRecipe(model=str(teacher), minimal_pairs=str(file), limit=6, device="cpu"))
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    results = history_of(run).results
    assert results["accuracy"] == results["pairs"]["accuracy"] == results["pairs"]["sets"]["pairs"]["accuracy"]
    assert results["pairs"]["sets"]["pairs"]["pairs"] == 6
    assert events_of(run, ev.EvaluationLogged)[-1].metrics["minimal_pairs/accuracy"] == results["accuracy"]
    ((score,),) = [one.scores for one in measured(home)]
    assert (score.task, score.value, score.count) == ("minimal_pairs", results["accuracy"], 6)
    assert "first 6" in score.on


def test_a_broken_file_is_told_before_the_model_is_loaded(home, teacher, tmp_path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"sentence_good": "a"}\n', encoding="utf-8")
    run = new_run(home, EvaluateRecipe(model=str(teacher), minimal_pairs=str(file), device="cpu"))
    assert work(run, "cpu") == FAILED
    assert "line 1: the field sentence_bad" in history_of(run).failure.what
    assert not [event for event in events_of(run, ev.PhaseEntered) if event.phase == "loading"]
