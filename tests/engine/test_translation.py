"""A teacher with another tokenizer is compared with the student where their tokens meet, exactly as the formulas say, in little memory."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_align import byte_level, sentence_piece, word_piece
from tiny import beginnings, tiny_model, train_briefly
from tokenizers import Tokenizer
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedTokenizerFast

from core.engine.heads import Head, trunk_states
from core.engine.text import IGNORED, Blocks, Corpus, Framing
from core.engine.translation import Shared, Translation, Word, aligned_loss, gold, jsd_of_measures, pieces, rule_of, uld

BETAS = (0.0, 0.3, 1.0)
FRAMED = Framing(0, 1, "test")  # byte_level has its <s> and </s> there, sentence_piece at 1 and 2
OTHER_FRAMED = Framing(1, 2, "test")
BYTES, MORE, PIECES = byte_level(), byte_level(600), sentence_piece()


def model_for(tokenizer: PreTrainedTokenizerFast, seed: int, padding: int = 0, **changes):
    return tiny_model(seed=seed, vocab_size=len(tokenizer) + padding, **changes).double()


def translation(student, teacher, framings=(FRAMED, FRAMED), padding=(0, 0), context=128, apart=True) -> Translation:
    widths = (len(student) + padding[0], len(teacher) + padding[1])
    return Translation((student, teacher), framings, widths, context, apart)


def batch_of(
    tokenizer, framing: Framing, texts: list[str], length: int = 64, count: int = 2
) -> dict[str, torch.Tensor]:
    """The first blocks of a corpus of these texts, as the trainer collates them."""
    ids = [framing.wrap(tokenizer(text, add_special_tokens=False).input_ids) for text in texts]
    offsets = np.cumsum([0, *map(len, ids)])
    corpus = Corpus(np.concatenate(ids), offsets, np.zeros(len(ids)))
    blocks = Blocks(corpus, length, length * count, 1, 0, 2)
    items = [blocks[i] for i in range(min(count, len(blocks)))]
    return {name: torch.stack([item[name] for item in items]) for name in ("input_ids", "position_ids", "labels")}


def compared(words: Translation, student, teacher, batch, rule, chunk=None, temperature=1.0):
    """(sum, aligned, states of the learnt rows) through both models; the sum can be differentiated."""
    aligned = words.align(batch["input_ids"], batch["position_ids"], batch["labels"])
    states_BTH = trunk_states(student, input_ids=batch["input_ids"], position_ids=batch["position_ids"])
    states_NH = states_BTH[batch["labels"] != IGNORED]
    with torch.no_grad():
        its = trunk_states(teacher, input_ids=aligned.teacher_ids_BT, position_ids=aligned.teacher_positions_BT)
    heads = Head.of(student), Head.of(teacher)
    total = aligned_loss(states_NH, heads[0], its, heads[1], aligned, words.shared, rule, temperature, chunk)
    return total, aligned, states_NH


def plain_jsd(student_NV: torch.Tensor, teacher_NV: torch.Tensor, beta: float) -> float:
    q_NV, p_NV = student_NV.detach().softmax(-1), teacher_NV.detach().softmax(-1)
    if beta in (0.0, 1.0):
        one, two = (p_NV, q_NV) if beta == 0.0 else (q_NV, p_NV)
        return float((one * (one / two).log()).sum())
    m_NV = beta * p_NV + (1 - beta) * q_NV
    return float((beta * p_NV * (p_NV / m_NV).log() + (1 - beta) * q_NV * (q_NV / m_NV).log()).sum())


# ------------------------------------------------------------------------------------------------------------ identities


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("padding", [(0, 0), (0, 7)])
def test_with_one_tokenizer_gold_is_the_generalized_jsd_of_every_row(beta, padding):
    student, teacher = (model_for(BYTES, seed, pad) for seed, pad in zip((0, 1), padding, strict=True))
    batch = batch_of(BYTES, FRAMED, [*beginnings(4), "a 🙂 and\r\nan é"])
    words = translation(BYTES, BYTES, padding=padding)
    total, aligned, states_NH = compared(words, student, teacher, batch, rule_of("gold", beta))
    learnt = batch["labels"] != IGNORED
    inputs = {name: batch[name] for name in ("input_ids", "position_ids")}
    teacher_NV = teacher(**inputs).logits[learnt][:, : len(BYTES)]
    assert aligned.groups == len(states_NH)
    assert total.item() == pytest.approx(plain_jsd(student(**inputs).logits[learnt], teacher_NV, beta), rel=1e-9)
    assert words.notice() is None


def shuffled(tokenizer: PreTrainedTokenizerFast, model, seed: int = 0):
    """The same tokenizer with other numbers for its entries, and the same model for it."""
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    new_of = np.random.default_rng(seed).permutation(len(tokenizer))
    vocabulary = described["model"]["vocab"]
    described["model"]["vocab"] = {name: int(new_of[number]) for name, number in vocabulary.items()}
    for added in described["added_tokens"]:
        added["id"] = int(new_of[added["id"]])
    described["added_tokens"].sort(key=lambda added: added["id"])
    other = Tokenizer.from_str(json.dumps(described))
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    twin = tiny_model(seed=0, vocab_size=len(tokenizer), tie_word_embeddings=False).double()
    twin.load_state_dict(model.state_dict())
    for table in (twin.get_input_embeddings(), twin.get_output_embeddings()):
        table.weight.data[torch.from_numpy(new_of)] = table.weight.data.clone()
    framing = Framing(int(new_of[0]), int(new_of[1]), "test")
    return PreTrainedTokenizerFast(tokenizer_object=other, **names), twin, framing


@pytest.mark.parametrize("objective", ["uld", "gold"])
def test_the_numbers_of_the_teachers_entries_mean_nothing(objective):
    student = model_for(MORE, 0)
    teacher = model_for(BYTES, 1, tie_word_embeddings=False)
    batch = batch_of(MORE, FRAMED, beginnings(4))
    words = translation(MORE, BYTES)
    plain, aligned, _ = compared(words, student, teacher, batch, rule_of(objective, 0.4))
    tokenizer, twin, framing = shuffled(BYTES, teacher)
    words = translation(MORE, tokenizer, (FRAMED, framing))
    other, its, _ = compared(words, student, twin, batch, rule_of(objective, 0.4))
    assert its.groups == aligned.groups
    assert other.item() == pytest.approx(plain.item(), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
def test_the_jsd_of_measures_is_never_negative_and_nothing_for_equal_ones(seed, beta):
    a, b = torch.from_numpy(np.random.default_rng(seed).gumbel(size=(2, 3, 5)) * 3 - 4)
    assert float(jsd_of_measures(a, b, beta)) > 0
    assert float(jsd_of_measures(a, a, beta)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("near", "limit"), [(1e-7, 0.0), (1 - 1e-7, 1.0)])
def test_the_ends_of_beta_are_the_limits_of_what_lies_between(near, limit):
    a, b = torch.from_numpy(np.random.default_rng(1).gumbel(size=(2, 3, 5)) - 3)
    scaled = float(jsd_of_measures(a, b, near)) / min(near, 1 - near)
    assert scaled == pytest.approx(float(jsd_of_measures(a, b, limit)), rel=1e-5)


# --------------------------------------------------------------------------------------- against slow plain arithmetic


def plain_gold(student_LV, ids, teacher_LV, its_ids, groups_of_text, shared: Shared, beta: float) -> float:
    """By dictionaries of classes, group by group; rows predict the token of their own number."""
    total = 0.0
    pairs = list(zip(shared.student_K.tolist(), shared.teacher_K.tolist(), strict=True))
    for (a, b, c, d), column in groups_of_text:
        sides = []
        for probs_LV, tokens, since, until, number in ((student_LV, ids, a, b, 0), (teacher_LV, its_ids, c, d, 1)):
            mass = dict(enumerate(probs_LV[since].tolist()))
            whole = math.prod(probs_LV[i, tokens[i]].item() for i in range(since, until))
            mass[tokens[since]] -= whole
            classes = {k: mass.pop(pair[number]) for k, pair in enumerate(pairs)} | {len(pairs): 0.0}
            classes[column] += whole
            assert sum(classes.values()) + sum(mass.values()) == pytest.approx(1)
            sides.append((classes, sorted(mass.values(), reverse=True)))
        (q, rest_q), (p, rest_p) = sides
        for k in q:
            m = beta * p[k] + (1 - beta) * q[k]
            total += (beta * p[k] * math.log(p[k] / m) if p[k] > 1e-30 else 0) + (
                (1 - beta) * q[k] * math.log(q[k] / m) if q[k] > 1e-30 else 0
            )
        longest = max(len(rest_q), len(rest_p))
        padded = ([*rest, *[0.0] * (longest - len(rest))] for rest in (rest_q, rest_p))
        total += sum(abs(x - y) for x, y in zip(*padded, strict=True))
    return total


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_merged_groups_move_the_mass_of_the_actual_text(temperature):
    student, teacher = model_for(PIECES, 0), model_for(MORE, 1)
    text = beginnings(1)[0]
    batch = batch_of(PIECES, OTHER_FRAMED, [text], length=128, count=1)
    words = translation(PIECES, MORE, (OTHER_FRAMED, FRAMED))
    total, aligned, _ = compared(words, student, teacher, batch, rule_of("gold", 0.3), temperature=temperature)
    ids = batch["input_ids"][0].tolist()
    its_ids = FRAMED.wrap(MORE(text, add_special_tokens=False).input_ids)
    assert aligned.teacher_ids_BT[0].tolist() == its_ids
    framed = np.array(OTHER_FRAMED.wrap(PIECES(text, add_special_tokens=False).input_ids))
    group_G4, column_G = (each.tolist() for each in words.translated(framed)[1:])
    assert any(b - a > 1 and d - c > 1 for a, b, c, d in group_G4)
    assert {group_G4[-1][1] - group_G4[-1][0], group_G4[-1][3] - group_G4[-1][2]} == {1}
    rows = []
    for model, tokens in ((student, ids), (teacher, its_ids)):
        probs = (model(input_ids=torch.tensor([tokens])).logits[0] / temperature).softmax(-1)
        rows.append(torch.cat([probs[:1], probs[:-1]]))
    expected = plain_gold(rows[0], ids, rows[1], its_ids, list(zip(group_G4, column_G, strict=True)), words.shared, 0.3)
    assert total.item() == pytest.approx(expected, rel=1e-9)


def test_uld_sorts_both_and_pads_the_narrower_one():
    q, p = torch.tensor([[0.1, 0.7, 0.2]]), torch.tensor([[0.05, 0.25, 0.6, 0.1]])
    nothing = torch.zeros(1, dtype=torch.long), torch.zeros(1)
    expected = abs(0.7 - 0.6) + abs(0.2 - 0.25) + abs(0.1 - 0.1) + 0.05
    assert float(uld(Word(q.log(), *nothing), Word(p.log(), *nothing))) == pytest.approx(expected)
    assert float(uld(Word(p.log(), *nothing), Word(q.log(), *nothing))) == pytest.approx(expected)


@pytest.mark.parametrize("objective", ["uld", "gold"])
@pytest.mark.parametrize("model_type", ["llama", "gemma2"])
def test_gradients_in_chunks_are_those_of_everything_at_once(objective, model_type):
    """The plain way: all scores, autograd; tied and untied heads, with and without soft-capping."""
    tied = {"tie_word_embeddings": model_type == "llama"}
    student, teacher = model_for(MORE, 0, model_type=model_type, **tied), model_for(PIECES, 1)
    student.train()
    batch = batch_of(MORE, FRAMED, beginnings(3))
    words = translation(MORE, PIECES, (FRAMED, OTHER_FRAMED))
    rule = rule_of(objective, 0.5)
    total, aligned, _ = compared(words, student, teacher, batch, rule, chunk=5)
    (total * 0.25).backward()
    found = {name: parameter.grad.clone() for name, parameter in student.named_parameters()}
    student.zero_grad()

    def word(scores_NV, side):
        log_NV = scores_NV.log_softmax(-1)
        further = log_NV[side.more_M, side.more_token_M]
        more_G = log_NV.new_zeros(aligned.groups).index_add(0, side.more_group_M, further)
        return Word(log_NV[side.first_G], side.token_G, more_G)

    inputs = {name: batch[name] for name in ("input_ids", "position_ids")}
    q = word(student(**inputs).logits[batch["labels"] != IGNORED], aligned.student)
    its = teacher(input_ids=aligned.teacher_ids_BT, position_ids=aligned.teacher_positions_BT).logits.flatten(0, 1)
    p = word(its, aligned.teacher)
    plain = uld(q, p) if objective == "uld" else gold(q, p, aligned.column_G, words.shared, 0.5)
    (plain * 0.25).backward()
    assert total.item() == pytest.approx(plain.item(), rel=1e-9)
    for name, parameter in student.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-7, atol=1e-10)
    assert all(parameter.grad is None for parameter in teacher.parameters())


class Largest(TorchDispatchMode):
    """The largest tensor that any operation gave back, in elements."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(each, torch.Tensor):
                self.elements = max(self.elements, each.numel())
        return out


def test_scores_of_the_whole_batch_never_exist():
    student, teacher = model_for(MORE, 0, 30_000 - len(MORE)), model_for(PIECES, 1)
    batch = batch_of(MORE, FRAMED, beginnings(8), count=4)
    words = translation(MORE, PIECES, (FRAMED, OTHER_FRAMED), padding=(30_000 - len(MORE), 0))
    states_NH = torch.randn(int((batch["labels"] != IGNORED).sum()), 32, dtype=torch.float64, requires_grad=True)
    aligned = words.align(batch["input_ids"], batch["position_ids"], batch["labels"])
    its = torch.randn(*aligned.teacher_ids_BT.shape, 32, dtype=torch.float64)
    heads, rule = (Head.of(student), Head.of(teacher)), rule_of("gold", 0.5)
    with Largest() as seen:
        aligned_loss(states_NH, heads[0], its, heads[1], aligned, words.shared, rule, chunk=16).backward()
    assert len(states_NH) > 200
    assert seen.elements <= max(16 * 30_000, student.get_output_embeddings().weight.numel())


# ----------------------------------------------------------------------------------------------- what the teacher reads


def test_every_document_is_read_alone_in_the_teachers_own_framing():
    texts = beginnings(5)
    batch = batch_of(MORE, FRAMED, texts, count=3)
    words = translation(MORE, PIECES, (FRAMED, OTHER_FRAMED))
    aligned = words.align(batch["input_ids"], batch["position_ids"], batch["labels"])
    read = set()
    for ids, positions in zip(aligned.teacher_ids_BT, aligned.teacher_positions_BT, strict=True):
        starts = [*torch.nonzero(positions == 0).flatten().tolist(), len(ids)]
        for a, b in itertools.pairwise(starts):
            part = ids[a:b].tolist()
            if 2 in part:
                assert part[0] == 1
                read.add(PIECES.decode(part[1 : part.index(2)]))
    learnt = {MORE.decode(piece.ids_L[1:-1]) for piece in pieces(*batch.values()) if piece.ids_L[-1] == 1}
    assert learnt <= read
    assert learnt <= set(texts)


def test_a_packed_teacher_says_the_same_as_one_that_reads_a_document_a_row():
    student, teacher = model_for(MORE, 0), model_for(PIECES, 1)
    batch = batch_of(MORE, FRAMED, [text[:40] for text in beginnings(9)], count=3)
    sums = []
    for apart in (True, False):
        words = translation(MORE, PIECES, (FRAMED, OTHER_FRAMED), apart=apart)
        total, aligned, _ = compared(words, student, teacher, batch, rule_of("gold", 0.5))
        sums.append((total.item(), len(aligned.teacher_ids_BT)))
    assert sums[0][1] < sums[1][1]
    assert sums[0][0] == pytest.approx(sums[1][0], rel=1e-9)


def test_prompts_that_are_not_learnt_are_read_but_not_compared():
    batch = batch_of(MORE, FRAMED, beginnings(2), length=128, count=1)
    words = translation(MORE, PIECES, (FRAMED, OTHER_FRAMED))
    whole = words.align(*batch.values())
    batch["labels"][:, :10] = IGNORED
    part = words.align(*batch.values())
    assert 0 < part.groups < whole.groups
    assert torch.equal(part.teacher_ids_BT, whole.teacher_ids_BT)
    rows = part.student.rows
    assert len(rows.unique()) == len(rows)
    assert int(rows.max()) < int((batch["labels"] != IGNORED).sum())


def test_parts_of_a_long_document_are_cut_at_whole_characters_and_said():
    text = "🙂 " * 60
    batch = batch_of(BYTES, FRAMED, [text], length=31, count=4)
    words = translation(BYTES, PIECES, (FRAMED, OTHER_FRAMED))
    aligned = words.align(*batch.values())
    assert aligned.groups > 60
    assert "character was cut" in words.notice()
    assert 0 < words.left_out["cut"] < 0.2 * words.tokens


def test_a_first_word_with_a_dummy_space_is_not_taken_for_one_without():
    """The one's entries at the beginning are “▁Once”, “▁The” …, the other's “Once”, “The” …: no two of them are the same."""
    batch = batch_of(PIECES, OTHER_FRAMED, beginnings(1), length=128, count=1)
    mixed, alike = translation(PIECES, MORE, (OTHER_FRAMED, FRAMED)), translation(PIECES, PIECES, (OTHER_FRAMED,) * 2)
    assert mixed.align(*batch.values()).student.first_G.min() > 0
    assert 0 < mixed.left_out["space"] < 8
    assert alike.align(*batch.values()).student.first_G.min() == 0


def test_what_the_teacher_cannot_read_is_left_out_counted_and_said():
    text = beginnings(1)[0]
    batch = batch_of(MORE, FRAMED, [text], length=128, count=1)
    short = translation(MORE, PIECES, (FRAMED, OTHER_FRAMED), context=8)
    aligned = short.align(*batch.values())
    assert aligned.teacher_ids_BT.shape[1] <= 8
    assert "longer than the teacher's context" in short.notice()
    small = translation(MORE, word_piece(), (FRAMED, Framing(None, 1, "test")))
    small.align(*batch.values())
    assert 0 < small.left_out["changed"] < small.tokens
    unstarted = translation(MORE, BYTES, (FRAMED, Framing(None, 1, "test")))
    unstarted.align(*batch.values())
    assert unstarted.left_out["start"] > 0
    narrow = translation(MORE, PIECES, (FRAMED, OTHER_FRAMED), padding=(0, 300 - len(PIECES)))
    assert (narrow.align(*batch.values()).teacher_ids_BT < 300).all()
    assert "special tokens" in narrow.notice()
    endless = translation(MORE, PIECES, (FRAMED, Framing(1, None, "test")))
    endless.align(*batch.values())
    assert endless.left_out["special"] == 1


def test_a_batch_without_a_single_meeting_costs_nothing_and_breaks_nothing():
    student, teacher = model_for(MORE, 0), model_for(PIECES, 1)
    words = translation(MORE, PIECES, (FRAMED, OTHER_FRAMED))
    ids = torch.tensor([[0, 1]])
    aligned = words.align(ids, torch.tensor([[0, 1]]), torch.full((1, 2), IGNORED))
    assert aligned.groups == 0
    states_NH = torch.zeros(0, 32, dtype=torch.float64, requires_grad=True)
    heads, nothing = (Head.of(student), Head.of(teacher)), torch.zeros(0, 0, 32, dtype=torch.float64)
    rule = rule_of("gold", 0.5)
    total = aligned_loss(states_NH, heads[0], nothing, heads[1], aligned, words.shared, rule)
    total.backward()
    assert float(total.detach()) == 0


def test_a_text_is_translated_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    batch = batch_of(MORE, FRAMED, beginnings(4))
    words = translation(MORE, PIECES, (FRAMED, OTHER_FRAMED))
    first = words.align(*batch.values())
    monkeypatch.setattr("core.engine.translation.encode", None)
    again = words.align(*batch.values())
    assert torch.equal(first.column_G, again.column_G)
    assert words.tokens == int((batch["labels"] != IGNORED).sum())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(3, len(PIECES) + 2), min_size=1, max_size=40), st.booleans(), st.booleans())
def test_any_tokens_at_all_can_be_translated(body, begins, ends):
    """A student's own writing need be no text, nor cut as its tokenizer would cut it, nor even tokens."""
    words = translation(PIECES, BYTES, (OTHER_FRAMED, FRAMED), padding=(3, 0), context=32)
    ids = torch.tensor([[1] * begins + body + [2] * ends])
    labels = torch.cat([ids[:, 1:], torch.full((1, 1), IGNORED)], dim=1)
    aligned = words.align(ids, torch.arange(ids.shape[1])[None], labels)
    for side, width in ((aligned.student, ids.shape[1]), (aligned.teacher, aligned.teacher_ids_BT.numel())):
        assert len(side.rows.unique()) == len(side.rows)
        assert all(0 <= row < width for row in side.rows.tolist())
    assert torch.equal(labels[0][aligned.student.first_G], aligned.student.token_G)
    flat = aligned.teacher_ids_BT.flatten()
    assert torch.equal(flat[aligned.teacher.first_G + 1], aligned.teacher.token_G)


def test_a_student_learns_to_read_from_a_teacher_with_another_tokenizer_alone():
    """No cross-entropy in its loss: what it knows in the end of texts that it has not seen comes from the teacher's distributions."""
    texts = beginnings(40)
    teacher = tiny_model(seed=1, vocab_size=len(BYTES), hidden_act="silu", initializer_range=0.05)
    train_briefly(teacher, [FRAMED.wrap(BYTES(text, add_special_tokens=False).input_ids) for text in texts], 40)
    student = tiny_model(seed=0, vocab_size=len(MORE), initializer_range=0.05)
    words = translation(MORE, BYTES)
    unseen, batch = batch_of(MORE, FRAMED, beginnings(8, seed=99)), batch_of(MORE, FRAMED, texts, count=8)
    optimizer = torch.optim.AdamW(student.parameters(), lr=6e-3)
    rule = rule_of("gold", 0.0)

    def cross_entropy() -> float:
        inputs = {name: unseen[name] for name in ("input_ids", "position_ids")}
        with torch.no_grad():
            return functional.cross_entropy(student(**inputs).logits.flatten(0, 1), unseen["labels"].flatten()).item()

    before = cross_entropy()
    for _ in range(15):
        optimizer.zero_grad()
        total, aligned, _ = compared(words, student, teacher, batch, rule)
        (total / aligned.groups).backward()
        optimizer.step()
    assert before > 6
    assert cross_entropy() < before - 1
