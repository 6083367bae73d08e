"""The losses are what the papers say, at their limits too, give the right gradients, and never NaN where a probability is 0."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine import losses
from core.engine.losses import AdaptiveClip, AutoBalance
from core.engine.text import IGNORED

ROWS, ENTRIES = 5, 11
TARGETS = torch.tensor([0, 3, 10, IGNORED, 7])
WEIGHTS = torch.tensor([0.5, 2.0, 0.0, 1.0, 1.5])
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def logits(
    seed: int, rows: int = ROWS, entries: int = ENTRIES, scale: float = 3.0, dtype: torch.dtype = torch.float64
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(rows, entries, generator=generator, dtype=torch.float64)).to(dtype)


def logs(seed: int, **more) -> torch.Tensor:
    """Random distributions (N, V) as log-probabilities."""
    return logits(seed, **more).log_softmax(-1)


# ------------------------------------------------------------------------- the slow plain versions: one row, float64


def plain_kl(p: np.ndarray, q: np.ndarray) -> float:
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def plain_jsd(q: np.ndarray, p: np.ndarray, beta: float) -> float:
    m = beta * p + (1 - beta) * q
    return beta * plain_kl(p, m) + (1 - beta) * plain_kl(q, m)


def plain_top_p(q: np.ndarray, p: np.ndarray, mass: float, target: int | None) -> float:
    kept, held = set() if target is None else {target}, 0.0
    for index in sorted(range(len(p)), key=lambda i: -p[i]):
        if held >= mass:
            break
        kept.add(index)
        held += p[index]
    chosen = sorted(kept)
    return plain_kl(p[chosen] / p[chosen].sum(), q[chosen] / q[chosen].sum())


def plain_uld(q: np.ndarray, p: np.ndarray) -> float:
    width = max(len(q), len(p))
    q, p = ([*sorted(side, reverse=True), *[0.0] * (width - len(side))] for side in (q, p))
    return math.fsum(abs(a - b) for a, b in zip(q, p, strict=True))


def plain_sinkhorn(q: np.ndarray, p: np.ndarray, epsilon: float, rounds: int) -> float:
    cost = np.array([[np.abs(a - b).sum() for b in p] for a in q])
    plan = np.exp(-cost / epsilon)
    for _ in range(rounds):
        plan = plan / plan.sum(0, keepdims=True)
        plan = plan / plan.sum(1, keepdims=True)
    return float((plan * cost).sum())


DIVERGENCES: dict[str, tuple[Loss, Callable[[np.ndarray, np.ndarray], float]]] = {
    "forward KL": (losses.forward_kl, lambda q, p: plain_kl(p, q)),
    "reverse KL": (losses.reverse_kl, plain_kl),
    "JSD 0.5": (lambda q, p: losses.generalized_jsd(q, p, 0.5), lambda q, p: plain_jsd(q, p, 0.5)),
    "JSD 0.1": (lambda q, p: losses.generalized_jsd(q, p, 0.1), lambda q, p: plain_jsd(q, p, 0.1)),
    "JSD 0.9": (lambda q, p: losses.generalized_jsd(q, p, 0.9), lambda q, p: plain_jsd(q, p, 0.9)),
    "skew KL": (lambda q, p: losses.skew_kl(q, p, 0.1), lambda q, p: plain_kl(p, 0.1 * p + 0.9 * q)),
    "skew reverse KL": (lambda q, p: losses.skew_reverse_kl(q, p, 0.1), lambda q, p: plain_kl(q, 0.1 * q + 0.9 * p)),
    "total variation": (losses.total_variation, lambda q, p: 0.5 * float(np.abs(p - q).sum())),
    "top-p KL": (lambda q, p: losses.top_p_kl(q, p, None, 0.8), lambda q, p: plain_top_p(q, p, 0.8, None)),
    "ULD": (losses.uld, plain_uld),
}
OTHERS: dict[str, Loss] = {  # what has no row by row formula above, or is not 0 for identical distributions
    "top-1": losses.top1,
    "top-p KL and the label": lambda q, p: losses.top_p_kl(q, p, TARGETS, 0.6),
    "single step": lambda q, p: losses.single_step(q, p, WEIGHTS),
    "Sinkhorn": lambda q, p: losses.sinkhorn(q, p, 0.1),
    "adaptive clip": lambda q, p: AdaptiveClip()(q, p, TARGETS),
}
ALL = {name: loss for name, (loss, _) in DIVERGENCES.items()} | OTHERS
divergences = pytest.mark.parametrize("name", DIVERGENCES)
all_losses = pytest.mark.parametrize("name", ALL)


def rows_of(log_q: torch.Tensor, log_p: torch.Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(log_q.double().exp().numpy(), log_p.double().exp().numpy(), strict=True))


# ------------------------------------------------------------------------------------------------ values and gradients


@divergences
@given(seed=st.integers(0, 1000), classes=st.integers(2, 40))
@settings(max_examples=6, deadline=None)
def test_a_loss_is_the_slow_sum_over_rows_and_classes(name: str, seed: int, classes: int):
    loss, plain = DIVERGENCES[name]
    log_q, log_p = logs(seed, entries=classes), logs(seed + 1, entries=classes)
    expected = math.fsum(plain(q, p) for q, p in rows_of(log_q, log_p))
    assert loss(log_q, log_p).item() == pytest.approx(expected, rel=1e-10, abs=1e-12)
    in_float32 = loss(log_q.float(), log_p.float())
    assert in_float32.dtype is torch.float32
    assert in_float32.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


@all_losses
def test_the_gradient_is_the_finite_difference(name: str):
    log_p = logs(3)
    torch.manual_seed(0)
    loss = AdaptiveClip().double() if name == "adaptive clip" else ALL[name]
    more = (TARGETS,) if name == "adaptive clip" else ()
    # with respect to log q itself, which need not be a distribution, and through the softmax
    through = [logs(2).requires_grad_(), logits(4).requires_grad_()]
    assert torch.autograd.gradcheck(lambda log_q: loss(log_q, log_p, *more), through[0], eps=1e-6, atol=1e-6)
    assert torch.autograd.gradcheck(lambda z: loss(z.log_softmax(-1), log_p, *more), through[1], eps=1e-6, atol=1e-6)


@all_losses
def test_the_teacher_learns_nothing(name: str):
    log_q, log_p = logs(2).requires_grad_(), logs(3).requires_grad_()
    ALL[name](log_q, log_p).backward()
    assert log_p.grad is None
    assert log_q.grad.abs().max() > 0


@divergences
def test_a_student_that_is_its_teacher_has_no_loss_and_no_gradient(name: str):
    z = logits(4, dtype=torch.float32).requires_grad_()
    loss = DIVERGENCES[name][0](z.log_softmax(-1), (logits(4, dtype=torch.float32) + 7).log_softmax(-1))
    loss.backward()  # a shift of all logits changes no distribution
    assert abs(loss.item()) < 1e-5
    if name not in ("total variation", "ULD"):  # whose slope has a corner there
        assert z.grad.abs().max() < 1e-5


@divergences
def test_a_divergence_is_never_negative(name: str):
    near = logs(4, rows=200, entries=3, dtype=torch.float32)
    other = (near + 1e-4 * logits(5, rows=200, entries=3, dtype=torch.float32)).log_softmax(-1)
    assert DIVERGENCES[name][0](near, other).item() > -1e-5


def test_kl_by_hand():
    half, quarter = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    assert losses.forward_kl(quarter, half).item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs=1e-6)
    assert losses.forward_kl(half, quarter).item() == pytest.approx(
        0.25 * math.log(0.5) + 0.75 * math.log(1.5), abs=1e-6
    )
    assert losses.reverse_kl(half, quarter).item() == pytest.approx(losses.forward_kl(quarter, half).item(), abs=1e-6)


# -------------------------------------------------------------------------------------------------------------- limits


def test_jsd_is_the_two_kls_at_its_ends():
    log_q, log_p = logs(2), logs(3)
    assert torch.equal(losses.generalized_jsd(log_q, log_p, 0.0), losses.forward_kl(log_q, log_p))
    assert torch.equal(losses.generalized_jsd(log_q, log_p, 1.0), losses.reverse_kl(log_q, log_p))


@pytest.mark.parametrize("beta", [1e-2, 1e-4, 1e-6])
def test_jsd_over_beta_tends_to_the_kls_in_float32_too(beta: float):
    """Where log M rounded by itself would hide a β of 10⁻⁶: the values are those of float64, and the gradients are."""
    z, log_p = logits(2, scale=1.0).requires_grad_(), logs(3, scale=1.0)
    for share, limit in ((beta, losses.forward_kl), (1 - beta, losses.reverse_kl)):
        slopes, values = [], []
        for loss in (lambda q, p, share=share: losses.generalized_jsd(q, p, share) / beta, limit):
            for dtype in (torch.float64, torch.float32):
                values.append(loss(z.to(dtype).log_softmax(-1), log_p.to(dtype)))
                slopes.append(torch.autograd.grad(values[-1], z)[0])
        plain = math.fsum(plain_jsd(q, p, share) for q, p in rows_of(z.detach().log_softmax(-1), log_p)) / beta
        assert values[0].item() == pytest.approx(plain, rel=1e-8)
        assert values[1].item() == pytest.approx(plain, rel=1e-4)
        assert values[0].item() == pytest.approx(values[2].item(), rel=10 * beta)
        size = float(slopes[2].abs().max())
        torch.testing.assert_close(slopes[1], slopes[0], rtol=0, atol=1e-4 * size)
        torch.testing.assert_close(slopes[0], slopes[2], rtol=0, atol=50 * beta * size)


def test_skew_kl_without_skew_is_the_kl_and_tends_to_it():
    log_q, log_p = logs(2, dtype=torch.float32), logs(3, dtype=torch.float32)
    for skewed, plain in ((losses.skew_kl, losses.forward_kl), (losses.skew_reverse_kl, losses.reverse_kl)):
        assert torch.equal(skewed(log_q, log_p, 0.0), plain(log_q, log_p))
        assert skewed(log_q, log_p, 1e-7).item() == pytest.approx(plain(log_q, log_p).item(), rel=1e-3)
        assert skewed(log_q, log_p, 0.9999).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda q, p: losses.generalized_jsd(q, p, 1.5),
        lambda q, p: losses.skew_kl(q, p, 1.0),
        lambda q, p: losses.skew_reverse_kl(q, p, -0.1),
    ],
)
def test_a_dial_outside_its_range_is_refused(call: Loss):
    with pytest.raises(ValueError, match="is not from 0 to"):
        call(logs(2), logs(3))


def test_total_variation_of_disjoint_distributions_is_one_a_row():
    log_q, log_p = torch.tensor([[0.0, -math.inf]] * 3), torch.tensor([[-math.inf, 0.0]] * 3)
    assert losses.total_variation(log_q, log_p).item() == 3.0
    assert losses.uld(log_q, log_p).item() == 0.0  # sorted, they are the same


def test_first_choice_is_the_label():
    log_q, log_p = logs(2), logs(3)
    expected = losses.cross_entropy(log_q, log_p.argmax(-1)).item()
    assert losses.top1(log_q, log_p).item() == pytest.approx(expected, rel=1e-6)


@given(seed=st.integers(0, 100), mass=st.floats(0.05, 0.99))
@settings(max_examples=10, deadline=None)
def test_top_p_keeps_the_smallest_set_and_the_label(seed: int, mass: float):
    log_q, log_p = logs(seed, scale=1.5), logs(seed + 1, scale=1.5)
    expected = math.fsum(
        plain_top_p(q, p, mass, None if target == IGNORED else target)
        for (q, p), target in zip(rows_of(log_q, log_p), TARGETS.tolist(), strict=True)
    )
    assert losses.top_p_kl(log_q, log_p, TARGETS, mass).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_top_p_of_a_wide_flat_distribution_goes_on_past_the_first_look():
    """A sharp row needs a few classes, a flat one hundreds, and equal probabilities are not all taken."""
    log_p = torch.stack([torch.zeros(700), torch.linspace(0, -700, 700), torch.linspace(0, -7, 700)]).log_softmax(-1)
    kept = losses._reaching(log_p, 0.9)
    assert kept[0].sum() == 630
    assert 1 < kept[1].sum() < 5
    whole = log_p[2].double().exp().cumsum(-1)
    assert kept[2].sum() == int((whole < 0.9).sum()) + 1


def test_top_p_of_everything_is_the_forward_kl():
    log_q, log_p = logs(2, dtype=torch.float32), logs(3, dtype=torch.float32)
    assert losses.top_p_kl(log_q, log_p, TARGETS, 1.0).item() == pytest.approx(
        losses.forward_kl(log_q, log_p).item(), rel=1e-5
    )


def test_single_step_weighs_rows_and_is_the_reverse_kl_at_weight_one():
    log_q, log_p = logs(2), logs(3)
    expected = math.fsum(w * plain_kl(q, p) for w, (q, p) in zip(WEIGHTS.tolist(), rows_of(log_q, log_p), strict=True))
    assert losses.single_step(log_q, log_p, WEIGHTS).item() == pytest.approx(expected, rel=1e-9)
    ones = torch.ones(ROWS)
    assert losses.single_step(log_q, log_p, ones).item() == pytest.approx(losses.reverse_kl(log_q, log_p).item())


@pytest.mark.parametrize(("student_width", "teacher_width"), [(ENTRIES, 16), (16, ENTRIES)])
def test_uld_takes_vocabularies_of_different_width(student_width: int, teacher_width: int):
    log_q, log_p = logs(2, entries=student_width), logs(3, entries=teacher_width)
    expected = math.fsum(plain_uld(q, p) for q, p in rows_of(log_q, log_p))
    assert losses.uld(log_q, log_p).item() == pytest.approx(expected, rel=1e-9)


# ----------------------------------------------------------------------------------------------------------- Sinkhorn


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 1.0])
def test_sinkhorn_is_the_slow_one(epsilon: float):
    log_q, log_p = logs(2), logs(3)
    expected = plain_sinkhorn(log_q.exp().numpy(), log_p.exp().numpy(), epsilon, 20)
    assert losses.sinkhorn(log_q, log_p, epsilon).item() == pytest.approx(expected, rel=1e-9)


def test_sinkhorn_of_the_same_sharp_rows_goes_to_zero_with_epsilon_and_finds_rows_in_another_order():
    log_q = torch.eye(4).mul(20).log_softmax(-1)
    blurred = [losses.sinkhorn(log_q, log_q, epsilon).item() for epsilon in (1.0, 0.3, 0.1, 1e-3)]
    assert blurred == sorted(blurred, reverse=True)
    assert blurred[-1] == pytest.approx(0, abs=1e-6)
    assert losses.sinkhorn(log_q, log_q[[2, 0, 3, 1]], 0.01).item() == pytest.approx(0, abs=1e-6)
    assert losses.sinkhorn(log_q[:1], log_q[1:2], 0.1).item() == pytest.approx(2, abs=1e-6)


# --------------------------------------------------------------------------------------------------- adaptive clipping


def test_a_band_of_everything_is_the_forward_kl(monkeypatch: pytest.MonkeyPatch):
    clip = AdaptiveClip()
    monkeypatch.setattr(clip, "bounds", lambda q, p: (p.new_zeros(len(p)), p.new_ones(len(p))))
    log_q, log_p = logs(2), logs(3)
    assert clip(log_q, log_p, TARGETS).item() == pytest.approx(losses.forward_kl(log_q, log_p).item(), rel=1e-6)


def test_a_band_is_what_lies_between_its_bounds_and_the_label(monkeypatch: pytest.MonkeyPatch):
    """p = (.5, .25, .15, .1) in another order, the band from .2 to .8: .3 of the first, all of the second, a third of the third."""
    clip = AdaptiveClip()
    monkeypatch.setattr(clip, "bounds", lambda q, p: (p.new_tensor([0.2] * len(p)), p.new_tensor([0.8] * len(p))))
    p = np.array([0.25, 0.1, 0.5, 0.15])
    q = np.array([0.4, 0.3, 0.2, 0.1])
    inside = np.array([1.0, 0.0, 0.6, 1 / 3])
    log_q, log_p = torch.from_numpy(q).log()[None], torch.from_numpy(p).log()[None]
    for target, inside_ in ((IGNORED, inside), (0, inside), (1, np.maximum(inside, [0, 1, 0, 0]))):
        expected = plain_kl(inside_ * p / (inside_ * p).sum(), inside_ * q / (inside_ * q).sum())
        assert clip(log_q, log_p, torch.tensor([target])).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("says", [(50.0, -50.0), (-50.0, 50.0), (50.0, 50.0)])
@pytest.mark.parametrize("scale", [0.0, 3.0, 30.0])
def test_whatever_the_network_says_half_of_the_mass_is_inside(says: tuple[float, float], scale: float):
    clip = AdaptiveClip()
    with torch.no_grad():
        clip.say.bias.copy_(torch.tensor(says))
    log_p = logs(3, entries=60, scale=scale, dtype=torch.float32).sort(-1, descending=True).values
    inside = clip._inside(log_p, *clip.bounds(log_p, log_p))
    assert ((inside * log_p.exp()).sum(-1) > 0.499).all()
    assert ((inside >= 0) & (inside <= 1)).all()


@pytest.mark.parametrize("gap", [0.3, 3.0])
def test_the_network_learns_and_does_not_run_away_to_the_narrowest_band(gap: float):
    """A narrower band is always an easier one; but for a student near its teacher, leaving mass out costs more than it saves."""
    torch.manual_seed(0)
    clip = AdaptiveClip()
    z, more = (logits(seed, rows=64, entries=50, scale=1.0, dtype=torch.float32) for seed in (2, 3))
    log_p, order = (3 * z).log_softmax(-1).sort(-1, descending=True)
    log_q = (3 * z + gap * more).log_softmax(-1)
    before = torch.stack(clip.bounds(log_q.gather(-1, order), log_p)).detach()
    optimizer = torch.optim.Adam(clip.parameters(), lr=1e-2)
    targets = torch.full((64,), IGNORED)
    for _ in range(60):
        optimizer.zero_grad()
        (clip(log_q, (3 * z).log_softmax(-1), targets) / 64).backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in clip.parameters())
        optimizer.step()
    start, end = clip.bounds(log_q.gather(-1, order), log_p)
    moved = (torch.stack([start, end]) - before).mean(1)
    if gap < 1:
        assert moved[1] > 1e-3
        assert (end - start).mean() > 0.99
    else:
        assert moved[1] < -0.05
        assert (end - start).min() > 0.5


def test_the_price_of_the_band_is_no_part_of_the_value_nor_of_the_students_gradient():
    log_q, clip = logs(3).requires_grad_(), AdaptiveClip()
    value = clip(log_q, logs(3), TARGETS)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-9)
    assert log_q.grad.abs().max() < 1e-9
    assert clip.say.bias.grad.abs().max() > 0


# ----------------------------------------------------------------------------------- probabilities that are exactly 0


@all_losses
@pytest.mark.parametrize("zero_in", ["the student", "the teacher", "both", "all but one of both"])
def test_a_probability_of_zero_gives_no_nan(name: str, zero_in: str):
    z, t = logits(2, dtype=torch.float32), logits(3, dtype=torch.float32)
    if zero_in in ("the student", "both"):
        z[:, 4:7] = -math.inf
    if zero_in in ("the teacher", "both"):
        t[:, 5:9] = -math.inf
    if zero_in == "all but one of both":
        z[:, 1:] = -math.inf
        t[:, :-1] = -math.inf
    z.requires_grad_()
    value = ALL[name](z.log_softmax(-1), t.log_softmax(-1))
    value.backward()
    assert math.isfinite(value.item())
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("name", ["forward KL", "skew KL", "skew reverse KL", "JSD 0.1", "total variation"])
def test_a_class_that_both_rule_out_changes_nothing(name: str):
    """As the rest of a cached distribution whose top holds all of the mass."""
    log_q, log_p = logs(2, entries=4), logs(3, entries=4)
    more = torch.full((ROWS, 1), -math.inf, dtype=torch.float64)
    loss = DIVERGENCES[name][0]
    padded = loss(torch.cat([log_q, more], 1), torch.cat([log_p, more], 1))
    assert padded.item() == pytest.approx(loss(log_q, log_p).item(), rel=1e-12)


@divergences
def test_far_apart_logits_are_right_in_float32(name: str):
    loss, plain = DIVERGENCES[name]
    z, t = (50 * logits(seed).clamp(-1, 1) for seed in (2, 3))
    expected = math.fsum(plain(q, p) for q, p in rows_of(z.log_softmax(-1), t.log_softmax(-1)))
    narrow = z.float().requires_grad_()
    value = loss(narrow.log_softmax(-1), t.float().log_softmax(-1))
    value.backward()
    assert value.item() == pytest.approx(expected, rel=1e-5, abs=1e-5)
    wide = z.clone().requires_grad_()
    loss(wide.log_softmax(-1), t.log_softmax(-1)).backward()
    torch.testing.assert_close(narrow.grad.double(), wide.grad, rtol=1e-4, atol=1e-5)


@all_losses
def test_a_student_of_nan_is_not_hidden(name: str):
    z = logits(2)
    z[1, 3] = math.nan
    assert math.isnan(ALL[name](z.log_softmax(-1), logs(3)).item())


@divergences
def test_a_teacher_of_nan_is_not_hidden(name: str):
    t = logits(3)
    t[1, 3] = math.nan
    assert math.isnan(DIVERGENCES[name][0](logs(2), t.log_softmax(-1)).item())


def test_bfloat16_is_summed_in_float32():
    """A long batch: in bfloat16 the sum itself would be off by percents."""
    log_q, log_p = (logs(seed, rows=4000, dtype=torch.bfloat16) for seed in (1, 2))
    found = losses.forward_kl(log_q, log_p)
    assert found.dtype is torch.float32
    exact = (log_p.double().exp() * (log_p.double() - log_q.double())).sum().item()
    assert found.item() == pytest.approx(exact, rel=1e-5)


# --------------------------------------------------------------------------------- cross-entropy, mixing, vocabularies


def test_cross_entropy_sums_minus_log_q_of_the_target():
    targets = torch.tensor([0, 3, 10, 3, 7])
    expected = -sum(row[target].item() for row, target in zip(logs(1), targets, strict=True))
    assert losses.cross_entropy(logits(1), targets).item() == pytest.approx(expected, rel=1e-6)


def test_gradient_of_the_cross_entropy_is_q_minus_the_target():
    student = logits(2).requires_grad_()
    targets = torch.tensor([1, 1, 0, 9, 10])
    losses.cross_entropy(student, targets).backward()
    expected = student.detach().softmax(-1)
    expected[torch.arange(ROWS), targets] -= 1
    torch.testing.assert_close(student.grad, expected, rtol=1e-5, atol=1e-6)


def test_tau_squared_keeps_the_soft_gradient_at_its_scale():
    """Hinton et al. 2.1: for high temperatures τ²·∂KL/∂z tends to (z − mean z − (v − mean v)) / N, whatever τ is."""
    student, teacher = logits(5), logits(6)
    centred = (student - student.mean(1, keepdim=True)) - (teacher - teacher.mean(1, keepdim=True))
    for temperature in (200.0, 800.0):
        leaf = student.clone().requires_grad_()
        kd = losses.forward_kl((leaf / temperature).log_softmax(-1), (teacher / temperature).log_softmax(-1))
        (temperature**2 * kd).backward()
        torch.testing.assert_close(leaf.grad, centred / ENTRIES, rtol=0.05, atol=0.02)


@pytest.mark.parametrize(("student_width", "teacher_width"), [(ENTRIES, 16), (16, ENTRIES), (ENTRIES, ENTRIES)])
def test_padding_of_an_embedding_adds_no_mass(student_width: int, teacher_width: int):
    """Whatever the padding's logits are, the KL is that of the entries that both have."""
    student, teacher = logits(8, entries=student_width), logits(9, entries=teacher_width)
    student[:, ENTRIES:], teacher[:, ENTRIES:] = 50.0, 50.0
    found = losses.forward_kl(*(each.log_softmax(-1) for each in losses.common_vocabulary(student, teacher)))
    expected = losses.forward_kl(student[:, :ENTRIES].log_softmax(-1), teacher[:, :ENTRIES].log_softmax(-1))
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


# ------------------------------------------------------------------------------------------------------------- balance


def test_balance_brings_the_teachers_part_to_the_size_of_the_cross_entropy():
    balance = AutoBalance()
    assert balance.factor() == 1.0
    balance.update(30.0, 3.0, 10)
    assert balance.factor() == pytest.approx(10)  # from the first step on: the beginning has no bias
    for _ in range(2000):
        balance.update(20.0, 80.0, 10)
    assert balance.factor() == pytest.approx(0.25, rel=1e-3)


def test_balance_goes_on_from_a_checkpoint_as_if_nothing_had_happened():
    one, other = AutoBalance(), AutoBalance()
    one.update(30.0, 3.0, 10)
    other.load(json.loads(json.dumps(one.state())))
    for balance in (one, other):
        balance.update(10.0, 7.0, 4)
    assert one.factor() == other.factor()


def test_balance_stays_in_range_and_passes_over_what_is_no_number():
    balance = AutoBalance()
    balance.update(1.0, 0.0, 10)
    assert balance.factor() == 1000
    balance = AutoBalance()
    balance.update(1.0, 1e9, 10)
    assert balance.factor() == 1 / 1000
    balance.update(math.nan, 1.0, 10)
    balance.update(1.0, math.inf, 10)
    balance.update(1.0, 1.0, 0)
    assert balance.factor() == 1 / 1000
