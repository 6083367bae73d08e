"""Preferences are weighed as the papers say, whatever stands beside a row in its batch, and as TRL weighs them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny import tiny_model

from core.engine.text import Corpus, collate
from core.engine.tune_pairs import SUMS, PairLesson, Pairs, ask_reference, dpo, orpo, parted
from core.tune import TuneRecipe


def corpus(rows: list[list[int]], prompts: list[int]) -> Corpus:
    offsets = np.cumsum([0, *map(len, rows)])
    learnt = np.concatenate([np.arange(len(row)) >= prompt for row, prompt in zip(rows, prompts, strict=True)])
    return Corpus(np.concatenate(rows).astype(np.int32), offsets, np.ones(len(rows), np.int64), learnt)


BETTER = [[5, 6, 7, 8, 9], [3, 4, 10, 11, 12, 13, 14], [20, 21, 22]]
WORSE = [[5, 6, 7, 30], [3, 4, 40, 41], [20, 21, 50, 51, 52, 53]]
PROMPTS = [3, 2, 2]
TOLD = TuneRecipe(model="m", data=("d",), objective="dpo").as_distillation(1000)


def log_probs(model, row: list[int], prompt: int) -> float:
    """The plain way, in float64: the sum over the answer's tokens."""
    with torch.no_grad():
        scores = model.double()(input_ids=torch.tensor([row])).logits[0].log_softmax(-1)
    return sum(scores[at - 1, row[at]].item() for at in range(prompt, len(row)))


def batch_of(pairs: Pairs, count: int = 3) -> dict[str, torch.Tensor]:
    return collate([pairs[index] for index in range(count)])


@pytest.fixture
def pairs() -> Pairs:
    return Pairs(corpus(BETTER, PROMPTS), corpus(WORSE, PROMPTS), 3, 0, 0, order=np.arange(3))


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("objective", ["dpo", "orpo"])
def test_loss_and_figures_are_those_of_the_plain_formula(family, objective, pairs):
    model, reference = tiny_model(family, seed=1), tiny_model(family, seed=2)
    known = ask_reference(reference, pairs, np.arange(3), 2, torch.float32, lambda share: None)
    lesson = PairLesson(TOLD, model, 0.3, known if objective == "dpo" else None)
    total, sums = lesson.loss(model, batch_of(pairs))
    expected, margins = 0.0, []
    for better, worse, prompt in zip(BETTER, WORSE, PROMPTS, strict=True):
        win, lose = (log_probs(model, row, prompt) for row in (better, worse))
        if objective == "dpo":
            base = [log_probs(reference, row, prompt) for row in (better, worse)]
            margins.append(0.3 * ((win - base[0]) - (lose - base[1])))
            expected += math.log1p(math.exp(-margins[-1]))
            continue
        means = win / (len(better) - prompt), lose / (len(worse) - prompt)
        odds = [math.exp(mean) / (1 - math.exp(mean)) for mean in means]
        margins.append(0.3 * (means[0] - means[1]))
        expected += -means[0] + 0.3 * math.log1p(odds[1] / odds[0])
    assert total.item() == pytest.approx(expected, rel=1e-4)
    means = lesson.means(dict(zip(SUMS, sums.tolist(), strict=True)))
    assert means["margin"] == pytest.approx(sum(margins) / 3, rel=1e-3, abs=1e-4)
    assert means["accuracy"] == pytest.approx(sum(margin > 0 for margin in margins) / 3)


def test_the_gradient_is_that_of_the_plain_formula_in_float64(pairs):
    model = tiny_model(seed=1).double().requires_grad_(True)
    lesson = PairLesson(TOLD, model, 0.5)
    total, _ = lesson.loss(model, batch_of(pairs))
    total.backward()
    found = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    plain = torch.zeros((), dtype=torch.float64)
    for better, worse, prompt in zip(BETTER, WORSE, PROMPTS, strict=True):
        means = []
        for row in (better, worse):
            scores = model(input_ids=torch.tensor([row])).logits[0].log_softmax(-1)
            means.append(scores[prompt - 1 : -1].gather(1, torch.tensor(row[prompt:])[:, None]).mean())
        odds = [mean - torch.log1p(-mean.exp()) for mean in means]
        plain = plain - means[0] - 0.5 * torch.nn.functional.logsigmoid(odds[0] - odds[1])
    plain.backward()
    for name, weight in model.named_parameters():
        assert torch.allclose(found[name], weight.grad, rtol=1e-8, atol=1e-12), name


def test_a_pair_weighs_the_same_beside_any_other(pairs):
    model = tiny_model("gpt2", seed=1)
    lesson = PairLesson(TOLD, model, 0.3)
    together, _ = lesson.loss(model, batch_of(pairs))
    alone = sum(lesson.loss(model, collate([pairs[index]]))[0].item() for index in range(3))
    assert together.item() == pytest.approx(alone, rel=1e-5)


def test_the_two_rows_of_a_pair_are_read_apart(pairs):
    rows = parted(batch_of(pairs))
    assert rows["input_ids"].shape[0] == 6
    for row, expected in zip(rows["input_ids"], BETTER + WORSE, strict=True):
        assert row[: len(expected)].tolist() == expected


def test_dpo_and_orpo_are_trls() -> None:
    """TRL's own lines, asked with the same numbers. Needs the development extra trl."""
    trl_orpo = pytest.importorskip("trl.experimental.orpo.orpo_trainer", exc_type=ImportError)
    policy = torch.tensor([-3.0, -8.0, -5.0, -2.0])
    tokens = torch.tensor([2, 4, 5, 3])

    class Peer:
        beta = 0.1
        accelerator = type("A", (), {"device": "cpu"})

    ratio, *_ = trl_orpo.ORPOTrainer.odds_ratio_loss(Peer(), *(policy / tokens).chunk(2))
    ours, _ = orpo(policy, tokens, 0.1)
    assert torch.allclose(ours, -(policy / tokens)[:2] - ratio)
    loss, _ = dpo(policy, torch.zeros(4), 0.1)
    assert loss.tolist() == pytest.approx([math.log1p(math.exp(-0.1 * 2.0)), math.log1p(math.exp(0.1 * 6.0))])
