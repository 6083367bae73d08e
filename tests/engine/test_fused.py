"""The fused loss gives what the plain way gives: loss, gradients of the hidden states and of the head, for every objective and teacher."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from tiny import tiny_model
from torch.nn import functional

from core.engine import losses
from core.engine.fused import Dense, Rows, chunk_rows, fused_loss
from core.engine.heads import Head, splits, trunk_states
from core.engine.rows import Drawn, RowLoss, TopK
from core.engine.text import IGNORED
from core.objectives import OBJECTIVES, Objective

N, H, H_T, V = 23, 8, 12, 50
OF_ROWS = [name for name in get_args(Objective) if OBJECTIVES[name].needs in ("probabilities", "vocabulary")]
EXACT = {torch.float64: 1e-9, torch.float32: 1e-4}


def plain_divergence(loss: RowLoss, log_q: torch.Tensor, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """By the loss library, which is tested against slow formulas of its own."""
    of: dict[str, Callable[[], torch.Tensor]] = {
        "forward_kl": lambda: losses.forward_kl(log_q, log_p),
        "reverse_kl": lambda: losses.reverse_kl(log_q, log_p),
        "jsd": lambda: losses.generalized_jsd(log_q, log_p, loss.jsd_beta),
        "skew_kl": lambda: losses.skew_kl(log_q, log_p, loss.skew_alpha),
        "skew_reverse_kl": lambda: losses.skew_reverse_kl(log_q, log_p, loss.skew_alpha),
        "tvd": lambda: losses.total_variation(log_q, log_p),
        "top1": lambda: losses.top1(log_q, log_p),
        "top_p": lambda: losses.top_p_kl(log_q, log_p, target, loss.clip_mass),
        "sinkhorn": lambda: losses.sinkhorn(log_q, log_p, loss.sinkhorn_epsilon),
        "dac_kl": lambda: loss.clip(log_q, log_p, target) if loss.clip else torch.zeros(()),
    }
    return of[loss.objective]()


def a_student(dtype: torch.dtype, bias: bool, seed: int = 0) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
    """Hidden states, what the head learns (weight, and a bias or not), and classes, one of them to be ignored."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(N, H, dtype=dtype, generator=generator, requires_grad=True)
    learnt = [torch.randn(V, H, dtype=dtype, generator=generator, requires_grad=True)]
    if bias:
        learnt.append(torch.randn(V, dtype=dtype, generator=generator, requires_grad=True))
    target = torch.randint(0, V, (N,), generator=generator)
    target[3] = IGNORED
    return states, learnt, target


def agree(ours: list[torch.Tensor], plainly: list[torch.Tensor], within: float) -> None:
    for one, other in zip(ours, plainly, strict=True):
        assert (one - other).norm() <= within * other.norm() + 1e-12


@pytest.mark.parametrize("dtype", EXACT, ids=["float64", "float32"])
@pytest.mark.parametrize("objective", OF_ROWS)
def test_a_fused_loss_and_its_gradients_are_those_of_the_plain_way(objective: Any, dtype: torch.dtype) -> None:
    """Tied or not, with bias, soft-capping, a factor, another width of the teacher's vocabulary, and any temperature."""
    for tau, rows_t, cap, bias in itertools.product((1.0, 2.0), (V, V - 6, V + 7), (None, 5.0), (False, True)):
        states, learnt, target = a_student(dtype, bias)
        theirs, their_head = torch.randn(N, H_T, dtype=dtype), torch.randn(rows_t, H_T, dtype=dtype)
        clip = losses.AdaptiveClip().to(dtype) if objective == "dac_kl" else None
        loss = RowLoss(objective, 0.3, 0.9, tau, jsd_beta=0.3, clip_mass=0.8, clip=clip)
        total, parts = fused_loss(
            states,
            Head(*learnt, *([] if bias else [None]), 0.7, cap),
            Rows(target, Dense([theirs], [Head(their_head)])),
            loss,
            32,
        )
        ours = torch.autograd.grad(total, [states, *learnt])
        scores = functional.linear(states, *learnt) * 0.7
        scores = scores if cap is None else cap * torch.tanh(scores / cap)
        common = min(V, rows_t)
        log_q, log_p = ((z[:, :common] / tau).log_softmax(-1) for z in (scores, theirs @ their_head.T))
        ce = functional.cross_entropy(scores, target, reduction="sum", ignore_index=IGNORED)
        kd = plain_divergence(loss, log_q, log_p, target)
        plainly = torch.autograd.grad(0.3 * ce + 0.9 * kd, [states, *learnt])
        torch.testing.assert_close(parts, torch.stack([ce, kd]).detach(), rtol=EXACT[dtype], atol=1e-6)
        agree(list(ours), list(plainly), EXACT[dtype])


@pytest.mark.parametrize("chunk", [1, 7, N, 1000])
def test_the_chunk_changes_nothing(chunk: int) -> None:
    states, learnt, target = a_student(torch.float64, True)
    teacher = Dense([torch.randn(N, H_T, dtype=torch.float64)], [Head(torch.randn(V, H_T, dtype=torch.float64))])
    found = []
    for size in (chunk, 5):
        total, _ = fused_loss(states, Head(*learnt), Rows(target, teacher), RowLoss("jsd"), size)
        found.append([total.detach()[None], *torch.autograd.grad(total, [states, *learnt])])
    agree(*found, 1e-12)


def compact(log_p: torch.Tensor, k: int) -> TopK:
    top = log_p.topk(k, -1)
    return TopK(top.indices, top.values, (-top.values.exp().sum(-1)).log1p())


@pytest.mark.parametrize("tau", [1.0, 2.0])
@pytest.mark.parametrize("objective", [name for name in OF_ROWS if OBJECTIVES[name].from_cache])
def test_from_a_cache_the_rest_counts_as_one_more_class(objective: Any, tau: float) -> None:
    states, learnt, target = a_student(torch.float64, False)
    log_p = (2 * torch.randn(N, V, dtype=torch.float64)).log_softmax(-1)
    known = compact(log_p, 6)
    loss = RowLoss(objective, 0.3, 0.9, tau, jsd_beta=0.3, clip_mass=0.6)
    total, parts = fused_loss(states, Head(*learnt), Rows(target, known), loss, 7)
    ours = torch.autograd.grad(total, [states, *learnt])
    scores = states @ learnt[0].T
    log_q = (scores / tau).log_softmax(-1)
    top_q = log_q.gather(1, known.ids_NK)
    small_q = torch.cat([top_q, (-top_q.exp().sum(-1)).log1p()[:, None]], 1)
    small_p = torch.cat([known.log_p_NK, known.log_rest_N[:, None]], 1)
    kd = (
        -top_q[:, 0].sum()
        if objective == "top1"
        else plain_divergence(loss, small_q, small_p, torch.full((N,), IGNORED))
    )
    ce = functional.cross_entropy(scores, target, reduction="sum", ignore_index=IGNORED)
    plainly = torch.autograd.grad(0.3 * ce + 0.9 * kd, [states, *learnt])
    torch.testing.assert_close(parts, torch.stack([ce, kd]).detach(), rtol=1e-9, atol=1e-9)
    agree(list(ours), list(plainly), 1e-9)
    assert objective in ("top1", "top_p") or parts[1] >= 0


def test_a_cache_of_the_whole_vocabulary_is_the_teacher_itself() -> None:
    states, learnt, target = a_student(torch.float64, False)
    scores = torch.randn(N, V, dtype=torch.float64)
    found = []
    top = scores.log_softmax(-1).sort(-1, descending=True)
    whole = TopK(top.indices, top.values, torch.full((N,), -torch.inf, dtype=torch.float64))
    for teacher in (whole, Dense([scores], [Head.identity(V)])):
        total, _ = fused_loss(states, Head(*learnt), Rows(target, teacher), RowLoss("forward_kl"), 7)
        found.append([total.detach()[None], *torch.autograd.grad(total, [states, *learnt])])
    agree(*found, 1e-9)


@pytest.mark.parametrize("tau", [1.0, 2.0])
def test_rows_of_the_students_head_that_only_pad_are_no_part_of_the_cached_rest(tau: float) -> None:
    states, learnt, target = a_student(torch.float64, False)
    known = compact(torch.randn(N, V - 6, dtype=torch.float64).log_softmax(-1), 5)
    target = target.clamp(max=V - 7)
    loss = RowLoss("forward_kl", 0.0, 1.0, tau)
    total, _ = fused_loss(states, Head(*learnt), Rows(target, known, common=V - 6), loss, 7)
    ours = torch.autograd.grad(total, [states, *learnt])
    narrow = learnt[0][: V - 6]
    total, _ = fused_loss(states, Head(narrow), Rows(target, known), loss, 7)
    agree(list(ours), list(torch.autograd.grad(total, [states, *learnt])), 1e-9)


def test_classes_drawn_at_random_give_the_forward_kl_and_its_gradient_on_average() -> None:
    states, learnt, target = a_student(torch.float64, False)
    log_p = (2 * torch.randn(N, V, dtype=torch.float64, generator=torch.Generator().manual_seed(5))).log_softmax(-1)
    loss = RowLoss("forward_kl", 0.0, 1.0)
    total, expected = fused_loss(states, Head(*learnt), Rows(target, Dense([log_p], [Head.identity(V)])), loss, 7)
    wanted = torch.autograd.grad(total, states)[0]
    ids = torch.multinomial(log_p.exp(), 4000, replacement=True, generator=torch.Generator().manual_seed(6))
    share = torch.full(ids.shape, 1 / 4000, dtype=torch.float64)
    entropy = -(log_p.exp() * log_p).sum(-1)
    total, parts = fused_loss(states, Head(*learnt), Rows(target, Drawn(ids, share, entropy)), loss, 7)
    assert float(total.detach()) == float(parts[1]) == pytest.approx(float(expected[1]), rel=0.02)
    agree([torch.autograd.grad(total, states)[0]], [wanted], 0.05)


def test_several_teachers_are_mixed_as_distributions() -> None:
    states, learnt, target = a_student(torch.float64, False)
    scores = [torch.randn(N, V, dtype=torch.float64) for _ in range(2)]
    weights = torch.tensor([0.7, 0.3], dtype=torch.float64).expand(N, -1)
    mixed = sum(w * each.softmax(-1) for w, each in zip((0.7, 0.3), scores, strict=True))
    heads = [Head.identity(V)] * 2
    found = []
    for teacher in (Dense(scores, heads, weights), Dense([torch.log(torch.as_tensor(mixed))], [Head.identity(V)])):
        total, _ = fused_loss(states, Head(*learnt), Rows(target, teacher), RowLoss("jsd"), 7)
        found.append([total.detach()[None], *torch.autograd.grad(total, [states, *learnt])])
    agree(*found, 1e-9)


def test_importance_weights_scale_the_rows_of_the_teachers_part_alone() -> None:
    states, learnt, target = a_student(torch.float64, False)
    scores, weight = torch.randn(N, V, dtype=torch.float64), torch.rand(N, dtype=torch.float64)
    loss = RowLoss("reverse_kl", 0.5, 0.5)
    rows = Rows(target, Dense([scores], [Head.identity(V)]), weight_N=weight)
    total, _ = fused_loss(states, Head(*learnt), rows, loss, 7)
    ours = torch.autograd.grad(total, [states, *learnt])
    own = states @ learnt[0].T
    ce = functional.cross_entropy(own, target, reduction="sum", ignore_index=IGNORED)
    kd = losses.single_step(own.log_softmax(-1), scores.log_softmax(-1), weight)
    agree(list(ours), list(torch.autograd.grad(0.5 * ce + 0.5 * kd, [states, *learnt])), 1e-9)


def test_without_a_teacher_it_is_the_cross_entropy() -> None:
    states, learnt, target = a_student(torch.float64, True)
    total, parts = fused_loss(states, Head(*learnt), Rows(target), RowLoss(ce_weight=1.0), 7)
    ours = torch.autograd.grad(total, [states, *learnt])
    ce = functional.cross_entropy(functional.linear(states, *learnt), target, reduction="sum", ignore_index=IGNORED)
    agree(list(ours), list(torch.autograd.grad(ce, [states, *learnt])), 1e-9)
    assert parts[1] == 0


def test_in_bfloat16_sums_over_chunks_stay_as_exact_as_over_the_whole() -> None:
    """Chunk sums rounded to bfloat16 would drift with the number of chunks; they are kept in float32."""
    states, learnt, target = a_student(torch.float32, False)
    found = []
    for chunk in (1, N):
        with torch.autocast("cpu", torch.bfloat16):
            teacher = Dense([torch.randn(N, V, generator=torch.Generator().manual_seed(1))], [Head.identity(V)])
            total, _ = fused_loss(states, Head(*learnt), Rows(target, teacher), RowLoss(), chunk)
        found.append([total.detach()[None], *torch.autograd.grad(total, [states, *learnt])])
    assert found[0][0].dtype is torch.float32
    agree(*found, 5e-3)


def test_a_row_whose_class_is_ignored_still_follows_the_teacher() -> None:
    states, learnt, target = a_student(torch.float64, False)
    scores = torch.randn(N, V, dtype=torch.float64)
    total, _ = fused_loss(
        states,
        Head(*learnt),
        Rows(torch.full_like(target, IGNORED), Dense([scores], [Head.identity(V)])),
        RowLoss("jsd", 0.5, 0.5),
        7,
    )
    kd = losses.generalized_jsd((states @ learnt[0].T).log_softmax(-1), scores.log_softmax(-1), 0.5)
    agree([torch.autograd.grad(total, states)[0]], [torch.autograd.grad(0.5 * kd, states)[0]], 1e-9)


@pytest.mark.parametrize("beta", [1e-6, 1 - 1e-6])
def test_a_jsd_near_its_limits_keeps_its_digits(beta: float) -> None:
    states, learnt, target = a_student(torch.float32, False)
    scores = torch.randn(N, V, generator=torch.Generator().manual_seed(2))
    _, parts = fused_loss(
        states, Head(*learnt), Rows(target, Dense([scores], [Head.identity(V)])), RowLoss("jsd", jsd_beta=beta), 7
    )
    wanted = losses.generalized_jsd(
        (states.double() @ learnt[0].double().T).log_softmax(-1), scores.double().log_softmax(-1), beta
    )
    assert parts[1].item() == pytest.approx(wanted.item(), rel=1e-3)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "mistral"])
def test_a_model_is_its_head_after_its_trunk(family: str) -> None:
    model = tiny_model(family).eval()
    assert splits(model)
    ids = torch.arange(10)[None]
    with torch.no_grad():
        wanted = model(input_ids=ids).logits[0]
        found = Head.of(model).logits(trunk_states(model, input_ids=ids)[0])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_model_that_does_more_on_the_way_is_noticed() -> None:
    model = tiny_model().eval()
    plain = model.forward
    model.forward = lambda **named: _doubled(plain(**named))  # type: ignore[method-assign]
    assert not splits(model)


def test_no_rows_leave_no_gradient() -> None:
    model = tiny_model()
    head = Head.of(model)
    states = torch.empty(0, model.config.hidden_size, requires_grad=True)
    loss, _ = fused_loss(states, head, Rows(torch.empty(0, dtype=torch.long)), RowLoss())
    loss.backward()
    assert head.weight_VH is not None
    assert head.weight_VH.grad is not None
    assert not head.weight_VH.grad.any()


def _doubled(output: Any) -> Any:
    output.logits = 2 * output.logits
    return output


def test_a_chunk_holds_few_scores_whatever_the_vocabulary() -> None:
    assert chunk_rows(10_000, 4096, "cpu") == 2048
    assert chunk_rows(10_000, 32_000, "cpu") == 524
    assert chunk_rows(10_000, 152_000, "cpu") == 110
    assert chunk_rows(10, 152_000, "cpu") == 10
