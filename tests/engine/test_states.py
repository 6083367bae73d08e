"""Hidden states and attention relations: what plain loops say, document by document, in every family; projections come and go."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_model
from transformers import AutoModelForCausalLM, PreTrainedModel

from core.engine.families import FAMILIES
from core.engine.states import (
    PROJECTIONS,
    StateGuide,
    attach,
    drop,
    hidden_loss,
    matched_layer,
    relation_heads,
    relation_loss,
    restore,
    seen_positions,
)
from core.errors import BadRecipe, Trouble

POSITIONS = torch.cat([torch.arange(7), torch.arange(5)]).repeat(2, 1)  # two documents in each block
COUNTED = torch.ones(2, 12, dtype=torch.bool)
COUNTED[:, 6], COUNTED[0, 2], COUNTED[1, -2:] = False, False, False


def ids(seed: int = 0) -> torch.Tensor:
    return torch.randint(3, 300, (2, 12), generator=torch.Generator().manual_seed(seed))


def small_student(family: str = "llama", seed: int = 2) -> PreTrainedModel:
    """One layer, fewer and wider heads than the teacher's, fewer channels."""
    if family == "gpt2":
        return tiny_model(family, seed, n_embd=24, n_head=2, n_layer=1)
    shape: dict[str, Any] = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    if family != "gpt_neox":
        shape |= {"num_key_value_heads": 1, "head_dim": 12}
    return tiny_model(family, seed, **shape)


def parts_of(
    guide: StateGuide,
    ids_BT: torch.Tensor,
    positions_BT: torch.Tensor = POSITIONS,
    counted_BT: torch.Tensor = COUNTED,
) -> dict[str, torch.Tensor]:
    with guide.watching():
        guide.student(input_ids=ids_BT, position_ids=positions_BT, use_cache=False)
        with torch.inference_mode():
            guide.teacher(input_ids=ids_BT, position_ids=positions_BT, use_cache=False)
    return guide.losses(positions_BT, counted_BT)


# --------------------------------------------------------------------------------------------------- against plain loops


def test_hidden_loss_is_the_plain_loop():
    generator = torch.Generator().manual_seed(1)
    ours = [torch.randn(2, 12, 6, generator=generator, dtype=torch.float64) for _ in range(2)]
    theirs = [torch.randn(2, 12, 10, generator=generator, dtype=torch.float64) for _ in range(4)]
    matrix = torch.randn(10, 6, generator=generator, dtype=torch.float64)
    expected = 0.0
    for layer, match in ((0, 1), (1, 3)):
        for b, t in COUNTED.nonzero().tolist():
            truth = theirs[match][b, t].numpy()
            error = matrix.numpy() @ ours[layer][b, t].numpy() - truth
            expected += float((error**2).sum() / (truth**2).sum()) / 2
    found = hidden_loss(ours, theirs, lambda states: states @ matrix.T, COUNTED)
    assert found.item() == pytest.approx(expected, rel=1e-10)


def test_a_projection_that_knows_nothing_costs_one_a_row_at_any_width_and_scale():
    for width, scale in ((8, 1.0), (512, 300.0)):
        states = [scale * torch.randn(2, 12, width, generator=torch.Generator().manual_seed(1))]
        found = hidden_loss(
            [torch.zeros(2, 12, 4)], states, lambda states, width=width: states.new_zeros(len(states), width), COUNTED
        )
        assert found.item() == pytest.approx(int(COUNTED.sum()), rel=1e-5)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [(2, 4, [1, 3]), (3, 3, [0, 1, 2]), (3, 8, [2, 4, 7]), (4, 2, [0, 0, 1, 1]), (3, 1, [0, 0, 0]), (1, 12, [11])],
)
def test_layers_are_matched_evenly_and_the_last_with_the_last(student: int, teacher: int, expected: list[int]):
    assert [matched_layer(layer, student, teacher) for layer in range(student)] == expected


def test_relation_heads_split_both_widths():
    assert relation_heads(64, 64, 8) == 8
    assert relation_heads(3072, 4096, 24) == 16
    assert relation_heads(24, 32, 2) == 2
    assert relation_heads(7, 32, 4) == 1


def plain_relations(x: np.ndarray, heads: int, first: int, at: int) -> np.ndarray:
    """The relations (heads, at − first + 1) of position `at` with those of its document, which begins at `first`."""
    rows = []
    for part in np.split(x, heads, axis=-1):
        scores = np.array([float(part[at] @ part[u]) for u in range(first, at + 1)]) / math.sqrt(part.shape[-1])
        weights = np.exp(scores - scores.max())
        rows.append(weights / weights.sum())
    return np.array(rows)


def test_relation_loss_is_the_plain_loop_and_its_gradient_the_finite_difference():
    generator = torch.Generator().manual_seed(1)
    ours = torch.randn(2, 12, 12, generator=generator, dtype=torch.float64).requires_grad_()
    theirs = torch.randn(2, 12, 16, generator=generator, dtype=torch.float64)
    seen = seen_positions(POSITIONS)
    expected = 0.0
    for b, t in COUNTED.nonzero().tolist():
        first = t - int(POSITIONS[b, t])
        p = plain_relations(theirs[b].numpy(), 2, first, t)
        q = plain_relations(ours[b].detach().numpy(), 2, first, t)
        expected += float((p * np.log(p / q)).sum()) / 2
    assert relation_loss(ours, theirs, 3, seen, COUNTED).item() == pytest.approx(expected, rel=1e-10)
    assert torch.autograd.gradcheck(lambda x: relation_loss(x, theirs, 3, seen, COUNTED), ours, eps=1e-6, atol=1e-6)


# ------------------------------------------------------------------------------------------------------- inside models


@pytest.mark.parametrize("family", FAMILIES)
def test_queries_keys_and_values_are_those_of_the_attention(family: str, monkeypatch: pytest.MonkeyPatch):
    """What the last attention is really given: values everywhere, and queries and keys where no rotation is, at position 0."""
    model = tiny_model(family)
    model.set_attn_implementation("eager")
    module = importlib.import_module(type(model).__module__)
    inner, given = module.eager_attention_forward, []

    def probe(attention, query, key, value, *args, **kwargs):
        given[:] = [x.transpose(1, 2).flatten(-2) for x in (query, key, value)]
        return inner(attention, query, key, value, *args, **kwargs)

    monkeypatch.setattr(module, "eager_attention_forward", probe)
    guide = StateGuide(model, model, hidden=False, relations=True)
    with guide.watching(), torch.no_grad():
        model(input_ids=ids(), position_ids=POSITIONS, use_cache=False)
    with torch.no_grad():
        found = guide._watchers[0].take().related()
    for ours, theirs, where in zip(found, given, (POSITIONS == 0, POSITIONS == 0, POSITIONS >= 0), strict=True):
        torch.testing.assert_close(ours[where], theirs[where])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_followed_by_a_student_of_another_shape(family: str):
    teacher = tiny_model(family, 1).requires_grad_(False)
    same = parts_of(StateGuide(tiny_model(family, 1), teacher, True, True), ids())
    assert same["hidden"].item() == pytest.approx(0, abs=1e-4)
    assert same["relations"].item() == pytest.approx(0, abs=1e-4)
    student = small_student(family)
    parts = parts_of(StateGuide(student, teacher, True, True), ids())
    assert parts["hidden"].item() > 1
    assert parts["relations"].item() > 1
    (parts["hidden"] + parts["relations"]).backward()
    for name, parameter in student.named_parameters():
        if name.startswith((FAMILIES[family].embedding, PROJECTIONS)):  # the bottom, and what is learnt beside
            assert parameter.grad.abs().max() > 0, name


def test_documents_in_a_block_do_not_touch_each_other():
    """Packed is the same as each document by itself, and another neighbour changes nothing."""
    guide = StateGuide(small_student(), tiny_model(seed=1), True, True)
    whole = parts_of(guide, ids())
    alone = [
        parts_of(guide, ids()[:, part], POSITIONS[:, part], COUNTED[:, part]) for part in (slice(0, 7), slice(7, 12))
    ]
    for name, value in whole.items():
        assert value.item() == pytest.approx(sum(part[name].item() for part in alone), rel=1e-4)
    second = COUNTED.clone()
    second[:, :7] = False
    other = torch.cat([ids(5)[:, :7], ids()[:, 7:]], dim=1)
    for name, value in parts_of(guide, other, counted_BT=second).items():
        assert value.item() == pytest.approx(alone[1][name].item(), rel=1e-4)


def test_rows_that_are_not_learnt_count_nothing():
    guide = StateGuide(small_student(), tiny_model(seed=1), True, True)
    each = []
    for b, t in ((0, 5), (1, 9)):
        one = torch.zeros_like(COUNTED)
        one[b, t] = True
        each.append(parts_of(guide, ids(), counted_BT=one))
    both = torch.zeros_like(COUNTED)
    both[0, 5] = both[1, 9] = True
    for name, value in parts_of(guide, ids(), counted_BT=both).items():
        assert value.item() == pytest.approx(sum(part[name].item() for part in each), rel=1e-5)
    none = parts_of(guide, ids(), counted_BT=torch.zeros_like(COUNTED))
    assert [value.item() for value in none.values()] == [0, 0]


def test_gradient_checkpointing_changes_no_gradient():
    grads = []
    for saving in (False, True):
        student = small_student()
        if saving:
            student.train()
            getattr(student, "activation_checkpointing_enable", student.gradient_checkpointing_enable)()
        torch.manual_seed(0)
        guide = StateGuide(student, tiny_model(seed=1), True, True)
        sum(parts_of(guide, ids()).values()).backward()
        grads.append({name: p.grad for name, p in student.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name in grads[0]:
        torch.testing.assert_close(grads[0][name], grads[1][name], rtol=1e-4, atol=1e-5)


def test_nothing_is_watched_or_kept_outside():
    guide = StateGuide(small_student(), tiny_model(seed=1), True, True)
    parts_of(guide, ids())
    assert not any(module._forward_hooks for model in (guide.student, guide.teacher) for module in model.modules())
    assert all(not watcher._caught for watcher in guide._watchers)
    with pytest.raises(RuntimeError, match="was not run while it was watched"):
        guide.losses(POSITIONS, COUNTED)


def test_an_architecture_that_is_not_known_is_named():
    model = tiny_model()
    model.config.model_type = "strange"
    with pytest.raises(BadRecipe, match="'strange'") as caught:
        StateGuide(tiny_model(), model, True, False)
    assert "Choose another objective" in caught.value.way_out


# --------------------------------------------------------------------------------------------------------- projections


def test_the_projection_learns_to_read_the_teacher_out_of_the_student():
    student, teacher = small_student(), tiny_model(seed=1)
    guide = StateGuide(student, teacher, hidden=True, relations=False)
    learnt = [p for name, p in student.named_parameters() if name.startswith(PROJECTIONS)]
    assert [tuple(p.shape) for p in learnt] == [(32, 24)]
    optimizer = torch.optim.Adam(learnt, lr=3e-2)
    values = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = parts_of(guide, ids())["hidden"]
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.5 * values[0]


def test_the_finished_student_has_no_projection(tmp_path: Path):
    student = small_student()
    names = set(student.state_dict())
    guide = StateGuide(student, tiny_model(seed=1), True, True)
    assert set(student.state_dict()) - names == {f"{PROJECTIONS}.hidden.weight"}
    guide.drop()
    assert set(student.state_dict()) == names
    drop(student)  # once more is no error
    student.save_pretrained(tmp_path)
    _, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["unexpected_keys"]
    assert not info["missing_keys"]


@pytest.mark.parametrize("shard", ["1GB", "20KB"])
def test_a_checkpoint_keeps_the_projection(tmp_path: Path, shard: str):
    student, teacher = small_student(), tiny_model(seed=1)
    guide = StateGuide(student, teacher, hidden=True, relations=False)
    expected = parts_of(guide, ids())["hidden"].item()
    student.save_pretrained(tmp_path, max_shard_size=shard)
    again = StateGuide(AutoModelForCausalLM.from_pretrained(tmp_path), teacher, hidden=True, relations=False)
    assert parts_of(again, ids())["hidden"].item() != pytest.approx(expected, rel=1e-3)
    again.restore(tmp_path)
    assert parts_of(again, ids())["hidden"].item() == pytest.approx(expected, rel=1e-5)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path):
    small_student().save_pretrained(tmp_path / "without")
    student = small_student()
    attach(student, "hidden", torch.nn.Linear(24, 16, bias=False))
    student.save_pretrained(tmp_path / "narrower")
    student = small_student()
    restore(student, tmp_path / "without")  # nothing is attached, so nothing is missed
    guide = StateGuide(student, tiny_model(seed=1), True, False)
    for folder, words in (("without", f"has no {PROJECTIONS}.hidden.weight"), ("narrower", r"is of shape \(16, 24\)")):
        with pytest.raises(Trouble, match=words):
            guide.restore(tmp_path / folder)
