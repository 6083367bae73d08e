"""An on-policy step trains on what the student wrote after the texts' beginnings, and on nothing else of those blocks."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from tiny import CONTEXT, ENTRIES, tiny_model, tiny_recipe
from transformers import AutoTokenizer

from core.engine import own_words
from core.engine.own_words import OwnWords, Replaced
from core.engine.rehearsal import _written_full
from core.engine.text import IGNORED, Framing, collate

LENGTH = 48
START, END, PAD = 0, 1, 2


@pytest.fixture(scope="module")
def student():
    return tiny_model(seed=1)


@pytest.fixture(scope="module")
def tokenizer(teacher: Path):
    return AutoTokenizer.from_pretrained(teacher)


def words(tokenizer, **fields) -> OwnWords:
    recipe = tiny_recipe(None, Path("text.txt"), source="on-policy", student="student", **fields)
    return OwnWords(recipe, tokenizer, Framing(START, END, ""), torch.float32, LENGTH)


def block(*documents: int, seed: int = 0, prompts: tuple[int, ...] = ()) -> dict[str, torch.Tensor]:
    """A block of documents of so many random tokens; of each, the first of `prompts` tokens are not learnt."""
    generator = torch.Generator().manual_seed(seed)
    ids, positions, labels = [], [], []
    for number, size in enumerate(documents):
        part = [START, *torch.randint(3, ENTRIES, (size - 2,), generator=generator).tolist(), END]
        ids += part
        positions += range(size)
        prompt = prompts[number] if prompts else 1
        labels += [IGNORED] * (prompt - 1) + part[prompt:] + [IGNORED]
    rest = LENGTH - len(ids)
    lists = {
        "input_ids": ids + [PAD] * rest,
        "position_ids": positions + list(range(rest)),
        "labels": labels + [IGNORED] * rest,
    }
    return {name: torch.tensor(values) for name, values in lists.items()}


def batch_of(*blocks: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    batch = {name: torch.stack([each[name] for each in blocks]) for name in blocks[0]}
    return {**batch, "shift_labels": batch["labels"]}


def documents_in(ids: list[int], positions: list[int], labels: list[int]) -> list[tuple[list[int], list[int]]]:
    """(ids, labels) of each document of a block that has any labels."""
    starts = [at for at, position in enumerate(positions) if position == 0] + [len(ids)]
    found = [(ids[a:b], labels[a:b]) for a, b in itertools.pairwise(starts)]
    return [(part, learnt) for part, learnt in found if any(label != IGNORED for label in learnt)]


def rows_of(batch: dict[str, torch.Tensor], row: int) -> list[tuple[list[int], list[int]]]:
    return documents_in(*(batch[name][row].tolist() for name in ("input_ids", "position_ids", "labels")))


def test_each_document_becomes_its_beginning_and_the_students_own_words(student, tokenizer) -> None:
    given = batch_of(block(21, 12, 2), block(47, seed=1), block(9, 9, 9, 9, 9, seed=2))
    before = {name: tensor.clone() for name, tensor in given.items()}
    found = words(tokenizer, on_policy_share=1.0).replace([given], student, None, step=3)
    assert all(torch.equal(given[name], before[name]) for name in given)
    [new] = found.batches
    written = 0
    for row in range(3):
        for (ids, labels), (original, _) in zip(rows_of(new, row), rows_of(given, row), strict=True):
            first = next(at for at, label in enumerate(labels) if label != IGNORED)
            prompt = first + 1
            assert prompt == max(1 if len(original) == 2 else 2, len(original) // 3)
            assert ids[:prompt] == original[:prompt]
            learnt = [label for label in labels if label != IGNORED]
            assert labels[:first] == [IGNORED] * first
            assert learnt == ids[prompt : prompt + len(learnt)]  # every label is the token that comes next
            assert END not in learnt[:-1]
            assert ids[prompt + len(learnt) :] == [PAD] * (len(ids) - prompt - len(learnt))
            written += len(learnt)
    assert found.written == found.learnt == written > 40
    assert new["input_ids"].shape == (3, LENGTH)
    assert torch.equal(new["shift_labels"], new["labels"])
    assert bool((new["ce_labels"] == IGNORED).all())


@torch.no_grad()
def test_the_words_are_the_students_likeliest_in_the_place_where_they_stand(student, tokenizer, monkeypatch) -> None:
    """Read in the block as the trainer reads it, greedy words are the first choice everywhere: positions and documents are right."""
    greedy = own_words.generate
    monkeypatch.setattr(own_words, "generate", lambda *args, **more: greedy(*args, **more | {"temperature": 0}))
    [new] = words(tokenizer, on_policy_share=1.0).replace([batch_of(block(20, 15, 9))], student, None, 0).batches
    scores = student(input_ids=new["input_ids"], position_ids=new["position_ids"], use_cache=False).logits
    learnt = new["labels"] != IGNORED
    assert torch.equal(scores[..., : len(tokenizer)].argmax(-1)[learnt], new["labels"][learnt])


def test_over_the_run_the_share_is_as_asked_and_a_resumed_run_chooses_the_same(student, tokenizer) -> None:
    choosing = words(tokenizer, on_policy_share=0.3)
    batch = batch_of(*(block(30, 10, seed=seed) for seed in range(40)))
    chosen = [list(choosing._chosen(batch, step)) for step in range(25)]
    assert sum(map(len, chosen)) / 1000 == pytest.approx(0.3, abs=0.05)
    assert chosen[0] != chosen[1]
    halves = [{name: tensor[at : at + 20] for name, tensor in batch.items()} for at in (0, 20)]
    again = words(tokenizer, on_policy_share=0.3)  # after a resume, with a smaller micro-batch
    assert [row + 20 * half for half in (0, 1) for row in again._chosen(halves[half], 0)] == chosen[0]

    def written(step: int) -> Replaced:
        return words(tokenizer, on_policy_share=0.3).replace(halves, student, None, step)

    first, same, other = written(0), written(0), written(1)
    for one, two in zip(first.batches, same.batches, strict=True):
        assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(first.batches[0]["input_ids"], other.batches[0]["input_ids"])


@pytest.mark.parametrize("mix", [0.0, 0.2])
def test_a_block_is_the_same_whatever_stands_beside_it(student, tokenizer, mix: float) -> None:
    """Micro-batches of 4, 2 and 1, cut as short as their texts allow, and a step that two processes share."""
    given = [block(9), block(8, 8, seed=1), block(30, 12, seed=2), block(48, seed=3)]
    given += [block(9), block(20, seed=4), block(7, 7, 7, seed=5), block(5, seed=6)]
    for each in given:
        used = int((each["input_ids"] != PAD).nonzero().max()) + 1
        each |= {"filled": torch.tensor(used), "index": torch.tensor(0)}
    teacher = tiny_model(seed=2)
    fields = {"on_policy_share": 0.7, "teacher_mix": mix, "objective": "reverse_kl"}

    def step(blocks: list[dict[str, torch.Tensor]], micro: int) -> tuple[list[list[list[int]]], list[float], Replaced]:
        batches = [collate(blocks[at : at + micro]) for at in range(0, len(blocks), micro)]
        found = words(tokenizer, **fields).replace(batches, student, teacher, 3)
        rows, weights = [], []
        for batch in found.batches:
            assert len({tensor.shape for name, tensor in batch.items() if name != "index"}) == 1
            for row in range(len(batch["labels"])):
                learnt = batch["labels"][row] != IGNORED
                end = int(learnt.nonzero().max()) + 2
                names = ("input_ids", "position_ids", "labels", "ce_labels")
                rows.append([batch[name][row, :end].tolist() for name in names])
                behind = batch["position_ids"][row, end:]
                assert torch.equal(behind, torch.arange(len(behind)))
                weights += batch["weights"][row, :end].tolist() if mix else []
        return rows, weights, found

    expected, weights, whole = step(given, 8)
    assert any(len(row[0]) > int(one["filled"]) for row, one in zip(expected, given, strict=True))
    for micro in (4, 2, 1):
        found, found_weights, replaced = step(given, micro)
        assert found == expected
        assert found_weights == pytest.approx(weights, abs=1e-4)
        assert (replaced.written, replaced.learnt) == (whole.written, whole.learnt)
    halves = [step(given[place::2], 2)[0] for place in (0, 1)]
    assert [halves[number % 2][number // 2] for number in range(8)] == expected


def test_the_rehearsal_knows_that_the_words_may_go_on_to_the_end_of_a_block() -> None:
    short = block(9) | {"filled": torch.tensor(9), "index": torch.tensor(0)}
    batch = collate([_written_full(short, LENGTH)] * 2)
    assert batch["input_ids"].shape == (2, LENGTH)
    assert batch["position_ids"][1].tolist() == list(range(LENGTH))
    assert torch.equal(batch["labels"][:, :-1], batch["input_ids"][:, 1:])
    assert set(batch["input_ids"].flatten().tolist()) <= set(short["input_ids"][:9].tolist())


def test_blocks_that_are_not_chosen_stay_as_they_are(student, tokenizer) -> None:
    batch = batch_of(*(block(30, 10, seed=seed) for seed in range(12)))
    found = words(tokenizer, on_policy_share=0.5).replace([batch], student, None, 0)
    [new] = found.batches
    chosen = set(words(tokenizer, on_policy_share=0.5)._chosen(batch, 0))
    assert 0 < len(chosen) < 12
    for row in range(12):
        same = all(torch.equal(new[name][row], batch[name][row]) for name in batch)
        assert same is (row not in chosen)
        expected = torch.full((LENGTH,), IGNORED) if row in chosen else batch["labels"][row]
        assert torch.equal(new["ce_labels"][row], expected)
    assert found.learnt == int((new["labels"] != IGNORED).sum()) > found.written > 0
    nothing = words(tokenizer, on_policy_share=0.0).replace([batch], student, None, 0)
    assert (nothing.written, nothing.sample) == (0, None)
    assert torch.equal(nothing.batches[0]["ce_labels"], batch["labels"])


def test_with_answers_only_the_prompt_is_the_prompt(student, tokenizer) -> None:
    batch = batch_of(block(30, 12, seed=5, prompts=(13, 4)))
    [new] = words(tokenizer, on_policy_share=1.0, answers_only=True).replace([batch], student, None, 0).batches
    for (ids, labels), (original, _), prompt in zip(rows_of(new, 0), rows_of(batch, 0), (13, 4), strict=True):
        assert ids[:prompt] == original[:prompt]
        assert labels[: prompt - 1] == [IGNORED] * (prompt - 1)
        assert labels[prompt - 1] == ids[prompt]


def test_no_more_is_written_than_asked_and_than_the_block_holds(student, tokenizer) -> None:
    batch = batch_of(block(24, 10), block(47))
    few = words(tokenizer, on_policy_share=1.0, new_tokens=5).replace([batch], student, None, 0)
    assert few.written <= 3 * 5
    many = words(tokenizer, on_policy_share=1.0, new_tokens=10 * CONTEXT).replace([batch], student, None, 0)
    assert few.written < many.written <= 2 * LENGTH


def test_a_mixture_brings_weights_for_the_students_words_alone(student, tokenizer) -> None:
    batch = batch_of(*(block(30, 10, seed=seed) for seed in range(6)))
    mixing = words(tokenizer, on_policy_share=0.8, teacher_mix=0.2, objective="reverse_kl")
    [new] = mixing.replace([batch], student, tiny_model(seed=2), 0).batches
    own = (new["labels"] != IGNORED) & (new["ce_labels"] == IGNORED)
    assert new["weights"].dtype == torch.float32
    assert bool((new["weights"][~own] == 1).all())
    assert len(new["weights"][own].unique()) > 20
    assert float(new["weights"].min()) > 0
    assert float(new["weights"].max()) <= 1 / 0.8 + 1e-5
    [alone] = words(tokenizer).replace([batch], student, None, 0).batches
    assert "weights" not in alone


def test_a_sample_is_told_as_text(student, tokenizer) -> None:
    story = tokenizer("Once upon a time, there was a little girl.").input_ids
    rest = LENGTH - len(story)
    given = {
        "input_ids": torch.tensor([story + [PAD] * rest]),
        "position_ids": torch.tensor([[*range(len(story)), *range(rest)]]),
        "labels": torch.tensor([story[1:] + [IGNORED] * (rest + 1)]),
    }
    sample = words(tokenizer, on_policy_share=1.0).replace([given], student, None, 0).sample
    assert sample is not None
    prompt, text = sample
    assert "Once upon a time, there was a little girl.".startswith(prompt.rstrip("\ufffd"))
    assert prompt
    assert text
