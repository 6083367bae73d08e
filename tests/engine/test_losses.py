"""The losses are what the papers say, for any width of vocabulary, and give the right gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine.losses import common_vocabulary, cross_entropy, forward_kl, mixed

ROWS, ENTRIES = 5, 11


def logits(seed: int, rows: int = ROWS, entries: int = ENTRIES, scale: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, entries, generator=generator)


def plain_softmax(row: list[float], temperature: float) -> list[float]:
    highest = max(row)
    weights = [math.exp((value - highest) / temperature) for value in row]
    return [weight / math.fsum(weights) for weight in weights]


def plain_cross_entropy(student: torch.Tensor, targets: list[int]) -> float:
    return math.fsum(-math.log(plain_softmax(row, 1.0)[t]) for row, t in zip(student.tolist(), targets, strict=True))


def plain_kl(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> float:
    total = []
    for q_row, p_row in zip(student.tolist(), teacher.tolist(), strict=True):
        q, p = plain_softmax(q_row, temperature), plain_softmax(p_row, temperature)
        total.extend(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
    return math.fsum(total)


def test_cross_entropy_sums_minus_log_q_of_the_target():
    targets = [0, 3, 10, 3, 7]
    assert cross_entropy(logits(1), torch.tensor(targets)).item() == pytest.approx(
        plain_cross_entropy(logits(1), targets), rel=1e-6
    )


@given(seed=st.integers(0, 1000), temperature=st.floats(0.3, 8.0))
@settings(max_examples=30, deadline=None)
def test_kl_is_the_slow_sum_over_rows_and_entries(seed: int, temperature: float):
    student, teacher = logits(seed), logits(seed + 1)
    found = forward_kl(student, teacher, temperature).item()
    assert found == pytest.approx(plain_kl(student, teacher, temperature), rel=1e-4, abs=1e-5)
    assert found >= -1e-6


def test_kl_by_hand():
    half, quarter = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, math.log(3.0)]])  # (1/2, 1/2) and (1/4, 3/4)
    assert forward_kl(quarter, half).item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs=1e-6)
    assert forward_kl(half, quarter).item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), abs=1e-6)


def test_a_student_that_is_its_teacher_has_no_kl_and_no_gradient():
    student = logits(4).requires_grad_()
    loss = forward_kl(student, logits(4) + 7.0, 2.0)  # a shift of all logits changes no distribution
    loss.backward()
    assert abs(loss.item()) < 1e-5
    assert student.grad.abs().max() < 1e-5


@pytest.mark.parametrize("temperature", [0.7, 1.0, 4.0])
def test_gradient_of_the_kl_is_the_finite_difference(temperature: float):
    student, teacher = logits(2).requires_grad_(), logits(3)
    forward_kl(student, teacher, temperature).backward()
    for row, entry in ((0, 0), (2, 5), (4, 10)):
        ends = []
        for nudge in (-1e-4, 1e-4):
            moved = student.detach().double().clone()
            moved[row, entry] += nudge
            ends.append(plain_kl(moved, teacher.double(), temperature))
        slope = (ends[1] - ends[0]) / 2e-4
        assert student.grad[row, entry].item() == pytest.approx(slope, rel=2e-3, abs=1e-5)


def test_gradient_of_the_cross_entropy_is_q_minus_the_target():
    student = logits(2).requires_grad_()
    targets = torch.tensor([1, 1, 0, 9, 10])
    cross_entropy(student, targets).backward()
    expected = torch.tensor([plain_softmax(row, 1.0) for row in student.tolist()])
    expected[torch.arange(ROWS), targets] -= 1
    torch.testing.assert_close(student.grad, expected, rtol=1e-5, atol=1e-6)


def test_the_teacher_learns_nothing():
    student, teacher = logits(2).requires_grad_(), logits(3).requires_grad_()
    forward_kl(student, teacher).backward()
    assert teacher.grad is None


def test_tau_squared_keeps_the_soft_gradient_at_its_scale():
    """Hinton et al. 2.1: for high temperatures τ²·∂KL/∂z tends to (z − mean z − (v − mean v)) / N, whatever τ is."""
    student, teacher = logits(5), logits(6)
    centred = (student - student.mean(1, keepdim=True)) - (teacher - teacher.mean(1, keepdim=True))
    for temperature in (200.0, 800.0):
        leaf = student.clone().requires_grad_()
        mixed(torch.zeros(()), forward_kl(leaf, teacher, temperature), 0.0, temperature).backward()
        torch.testing.assert_close(leaf.grad, centred / ENTRIES, rtol=0.05, atol=0.02)


def test_mixture_by_hand():
    ce, kd = torch.tensor(3.0), torch.tensor(0.5)
    assert mixed(ce, kd, 1.0, 4.0).item() == 3.0
    assert mixed(ce, kd, 0.0, 4.0).item() == 8.0
    assert mixed(ce, kd, 0.25, 2.0).item() == pytest.approx(0.25 * 3 + 0.75 * 4 * 0.5)


@pytest.mark.parametrize(("student_width", "teacher_width"), [(ENTRIES, 16), (16, ENTRIES), (ENTRIES, ENTRIES)])
def test_padding_of_an_embedding_adds_no_mass(student_width: int, teacher_width: int):
    """Whatever the padding's logits are, the KL is that of the entries that both have."""
    student, teacher = logits(8, entries=student_width), logits(9, entries=teacher_width)
    expected = plain_kl(student[:, :ENTRIES], teacher[:, :ENTRIES], 1.0)
    assert forward_kl(*common_vocabulary(student, teacher)).item() == pytest.approx(expected, rel=1e-5)
    swapped = [tensor.clone() for tensor in (student, teacher)]
    for tensor in swapped:
        tensor[:, ENTRIES:] = 50.0
    assert forward_kl(*common_vocabulary(*swapped)).item() == pytest.approx(expected, rel=1e-5)


def test_bfloat16_logits_are_summed_in_float32():
    """A long batch: in bfloat16 the sum itself would be off by percents."""
    student, teacher = (logits(seed, rows=4000).bfloat16() for seed in (1, 2))
    found = forward_kl(student, teacher)
    assert found.dtype is torch.float32
    rows_p, rows_q = (np.asarray(tensor.double()) for tensor in (teacher, student))
    log_p = rows_p - np.log(np.exp(rows_p).sum(1, keepdims=True))
    log_q = rows_q - np.log(np.exp(rows_q).sum(1, keepdims=True))
    assert found.item() == pytest.approx(float((np.exp(log_p) * (log_p - log_q)).sum()), rel=1e-5)


def test_huge_logits_stay_finite():
    student, teacher = logits(1, scale=1e4).requires_grad_(), logits(2, scale=1e4)
    loss = forward_kl(student, teacher)
    loss.backward()
    assert math.isfinite(loss.item())
    assert torch.isfinite(student.grad).all()
