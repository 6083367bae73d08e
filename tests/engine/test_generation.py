"""What a model writes in a batch is what it would write alone, drawn as its probabilities say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import CONTEXT, ENTRIES, tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from core.engine.generation import draw, generate
from core.errors import BadModel

STORIES = Path(__file__).resolve().parents[3] / "shared" / "models" / "stories3m"
SLIDING = {"sliding_window": 12}
FAMILIES = {
    "llama": {},
    "qwen3": {},
    "mistral": SLIDING,
    "gemma2": {**SLIDING, "layer_types": ["sliding_attention", "full_attention"]},
    "gemma3_text": {**SLIDING, "layer_types": ["sliding_attention", "full_attention"]},
    "gpt2": {},
    "gpt_neox": {},
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def prompts_of(*lengths: int) -> list[list[int]]:
    return [[0, *torch.randint(3, ENTRIES, (length - 1,), generator=seeded(length)).tolist()] for length in lengths]


@torch.inference_mode()
def alone(model, prompt: list[int], new_tokens: int, ends: set[int]) -> list[int]:
    """What transformers' own greedy search writes after one prompt, end included."""
    settings = GenerationConfig(
        do_sample=False, max_new_tokens=new_tokens, eos_token_id=sorted(ends) or None, pad_token_id=2
    )
    row = torch.tensor([prompt])
    return model.generate(row, attention_mask=torch.ones_like(row), generation_config=settings)[
        0, len(prompt) :
    ].tolist()


def greedy(model, prompts: list[list[int]], new_tokens, ends: set[int] = frozenset(), **more):
    return generate(model, prompts, new_tokens=new_tokens, temperature=0, ends=set(ends), generator=seeded(), **more)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_of_prompts_of_different_lengths_is_written_as_one_by_one(family: str) -> None:
    model = tiny_model(family, seed=1, **FAMILIES[family])
    prompts = prompts_of(3, 20, 1, 9, 20, 14)
    first = [row.ids for row in greedy(model, prompts, 24)]
    assert first == [alone(model, prompt, 24, set()) for prompt in prompts]
    ends = {ids[4 * place] for place, ids in enumerate(first)}  # so that rows end one after another
    rows = greedy(model, prompts, 24, ends)
    assert [row.ids for row in rows] == [alone(model, prompt, 24, ends) for prompt in prompts]
    assert {len(row.ids) for row in rows} != {24}
    assert [row.ended for row in rows] == [row.ids[-1] in ends for row in rows]


@pytest.mark.skipif(not STORIES.is_dir(), reason="the shared models are not here")
def test_a_real_model_writes_its_stories_as_transformers_does() -> None:
    model = AutoModelForCausalLM.from_pretrained(STORIES)
    tokenizer = AutoTokenizer.from_pretrained(STORIES)
    texts = ("Once upon a time", "Tom had a red ball. One day, he", "The cat")
    prompts = [[1, *tokenizer(text, add_special_tokens=False).input_ids] for text in texts]
    assert [row.ids for row in greedy(model, prompts, 60, {1})] == [alone(model, p, 60, {1}) for p in prompts]


def test_log_probabilities_are_the_models_own_whatever_the_temperature() -> None:
    model = tiny_model(seed=2)
    prompts = prompts_of(4, 7)
    for row, prompt in zip(
        generate(model, prompts, new_tokens=12, temperature=0.5, ends=set(), generator=seeded(), top_p=0.9),
        prompts,
        strict=True,
    ):
        with torch.no_grad():
            log_p = model(torch.tensor([prompt + row.ids])).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
        assert row.log_probs == pytest.approx(log_p.gather(1, torch.tensor(row.ids)[:, None])[:, 0].tolist(), abs=1e-4)


def test_the_same_seed_writes_the_same_and_torchs_own_state_is_left_alone() -> None:
    model = tiny_model(seed=3)
    prompts = prompts_of(2, 5, 3)

    def write(seed: int, ends: set[int]) -> list[list[int]]:
        return [
            row.ids
            for row in generate(model, prompts, new_tokens=30, temperature=1.0, ends=ends, generator=seeded(seed))
        ]

    before = torch.get_rng_state()
    first = write(0, set())
    assert torch.equal(before, torch.get_rng_state())
    assert write(0, set()) == first
    assert write(1, set()) != first
    end = first[0][2]
    ending_sooner = write(0, {end})  # and the others write on as if nobody had left
    for ids, whole in zip(ending_sooner, first, strict=True):
        assert ids == (whole[: whole.index(end) + 1] if end in whole else whole)


def test_with_a_generator_of_its_own_a_row_is_written_as_alone() -> None:
    model = tiny_model(seed=3)
    prompts, room = prompts_of(2, 5, 3), [30, 12, 21]

    def write(rows: list[int]) -> list[list[int]]:
        found = generate(
            model,
            [prompts[row] for row in rows],
            new_tokens=[room[row] for row in rows],
            temperature=1.0,
            ends={5},
            generator=[seeded(row) for row in rows],
        )
        return [row.ids for row in found]

    together = write([0, 1, 2])
    assert [ids for row in range(3) for ids in write([row])] == together
    assert write([2, 0]) == [together[2], together[0]]


def assert_drawn_from(p_V: torch.Tensor, tokens: torch.Tensor) -> None:
    """Pearson's chi-squared over the classes that are expected 5 times or more: within 5 standard deviations of its mean."""
    expected, found = p_V * len(tokens), torch.bincount(tokens, minlength=len(p_V)).double()
    assert not found[p_V == 0].any()
    usual = expected >= 5
    statistic = ((found - expected)[usual] ** 2 / expected[usual]).sum()
    degrees = int(usual.sum()) - 1
    assert abs(float(statistic) - degrees) < 5 * (2 * degrees) ** 0.5


def many_draws(scores_V: list[torch.Tensor], temperature: float, top_p: float = 1.0, alpha: float = 0.0, count=40_000):
    chance_B = torch.rand(count, generator=seeded(), dtype=torch.float64)
    return draw([one.expand(count, -1) for one in scores_V], chance_B, temperature, top_p, alpha)


def test_tokens_are_drawn_as_often_as_their_probability_says() -> None:
    scores_V = torch.randn(40, generator=seeded(5)) * 2
    scores_V[7] = -torch.inf
    assert_drawn_from((scores_V.double() / 0.7).softmax(0), many_draws([scores_V], 0.7)[0])


def test_top_p_draws_from_the_smallest_set_of_the_likeliest_that_reaches_it() -> None:
    p_V = torch.tensor([0.1, 0.4, 0.05, 0.3, 0.15], dtype=torch.float64)
    for top_p, kept in ((0.01, [1]), (0.69, [1, 3]), (0.71, [1, 3, 4]), (0.9, [0, 1, 3, 4]), (0.96, [0, 1, 2, 3, 4])):
        expected_V = torch.zeros_like(p_V)
        expected_V[kept] = p_V[kept] / p_V[kept].sum()
        tokens, _ = many_draws([p_V.log().float()], 1.0, top_p)
        assert set(tokens.tolist()) == set(kept)
        if len(kept) > 1:
            assert_drawn_from(expected_V, tokens)


def test_a_mixture_is_drawn_from_both_and_its_weights_bring_the_students_mean_back() -> None:
    student_V, teacher_V = torch.randn(30, generator=seeded(6)), torch.randn(30, generator=seeded(7)) * 2
    q_V, p_V = (one.double() / 0.9 for one in (student_V, teacher_V))
    q_V, p_V = q_V.softmax(0), p_V.softmax(0)
    tokens, weights = many_draws([student_V, teacher_V], 0.9, alpha=0.2)
    assert_drawn_from(0.2 * p_V + 0.8 * q_V, tokens)
    assert weights.double().tolist() == pytest.approx((q_V / (0.2 * p_V + 0.8 * q_V))[tokens].tolist(), rel=1e-4)
    assert float(weights.min()) > 0
    assert float(weights.max()) <= 1 / 0.8 + 1e-5
    value_V = torch.arange(30).double()
    assert float((weights * value_V[tokens]).mean()) == pytest.approx(float((q_V * value_V).sum()), rel=0.02)


def test_a_teacher_that_mixes_in_reads_what_was_written_and_the_weights_are_kept() -> None:
    student, teacher = tiny_model(seed=8), tiny_model(seed=9, vocab_size=ENTRIES + 16)
    prompts = prompts_of(3, 6)
    rows = generate(
        student, prompts, new_tokens=10, temperature=0.9, ends=set(), generator=seeded(), mix=(teacher, 0.3)
    )
    for row, prompt in zip(rows, prompts, strict=True):
        with torch.no_grad():
            q_NV, p_NV = (
                (model(torch.tensor([prompt + row.ids])).logits[0, len(prompt) - 1 : -1, :ENTRIES] / 0.9).softmax(-1)
                for model in (student, teacher)
            )
        ids_N1 = torch.tensor(row.ids)[:, None]
        q_N, p_N = q_NV.gather(1, ids_N1)[:, 0], p_NV.gather(1, ids_N1)[:, 0]
        assert row.weights == pytest.approx((q_N / (0.3 * p_N + 0.7 * q_N)).tolist(), rel=1e-3)


def test_ids_of_a_padded_head_are_never_written() -> None:
    rows = generate(
        tiny_model(seed=4),
        prompts_of(3) * 8,
        new_tokens=40,
        temperature=3.0,
        ends=set(),
        generator=seeded(),
        entries=100,
    )
    assert max(max(row.ids) for row in rows) < 100


def test_writing_ends_with_the_context_and_each_row_has_its_own_room() -> None:
    model = tiny_model("gpt2")
    rows = greedy(model, prompts_of(CONTEXT - 3, 5, 6), [50, 7, 50])
    assert [len(row.ids) for row in rows] == [3, 7, 50]
    with pytest.raises(ValueError, match="no room"):
        greedy(model, prompts_of(CONTEXT), 5)


def test_a_model_in_training_writes_without_dropout_and_goes_on_training() -> None:
    model = tiny_model("gpt2", attn_pdrop=0.5, resid_pdrop=0.5).train()
    first, second = (greedy(model, prompts_of(5), 20)[0].ids for _ in range(2))
    assert first == second
    assert model.training
    with torch.autocast("cpu", torch.bfloat16):  # weights that were cast for writing must still learn
        greedy(model, prompts_of(5), 3)
        ids = torch.tensor(prompts_of(12))
        model(ids, labels=ids).loss.backward()
    assert all(float(parameter.grad.abs().sum()) > 0 for parameter in model.parameters())


def test_scores_that_are_no_numbers_are_told() -> None:
    model = tiny_model()
    model.model.norm.weight.data.fill_(torch.nan)
    with pytest.raises(BadModel, match="NaN"):
        greedy(model, prompts_of(4), 3)
