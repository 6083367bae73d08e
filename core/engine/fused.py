"""The fused linear distillation loss: head, loss and both gradients in one pass over chunks of rows.

Plainly, scores of student and teacher over the whole vocabulary, their softmaxes and their gradients stand in memory at once, about
eight (KL) to fourteen (JSD) float32 values for each token and entry. Here only a chunk of rows has any: its scores are made, turned into
the loss and its gradient, and that is multiplied into the gradients of the hidden states and of the head at once, so that the backward
pass has nothing left to do but to hand them on. The products are the least that the arithmetic needs (scores, dX, dW).

The idea of writing gradients in the forward pass is Liger Kernel's (Hsu et al. 2024, arXiv 2410.10989); objectives, caches and dropped
rows are ours. Sums are kept in float32 or wider whatever the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from core.defaults import chunk_rows
from core.engine.heads import Head
from core.engine.rows import Drawn, RowLoss, Step, TopK


@dataclass
class Dense:
    """Teachers that are at hand: the hidden states (N, H_k) of each for the rows, and its head; scores are made chunk by chunk.

    With several, their distributions are mixed by `weights_NK`, whose rows sum to 1.
    """

    states: list[torch.Tensor]
    heads: list[Head]
    weights_NK: torch.Tensor | None = None

    @property
    def common(self) -> int:
        return min(head.entries for head in self.heads)

    def scores(self, start: int, end: int, width: int, temperature: float, out: torch.Tensor | None) -> torch.Tensor:
        """log p_τ of rows start…end up to a constant of each row, (n, width); overwritten by the caller."""
        if self.weights_NK is None:
            scores_nV = self.heads[0].logits(self.states[0][start:end], out)
            return scores_nV[:, :width].div_(temperature) if temperature != 1.0 else scores_nV[:, :width]
        mixed_nC: torch.Tensor | None = None
        for number, (states, head) in enumerate(zip(self.states, self.heads, strict=True)):
            p_nC = head.logits(states[start:end])[:, :width].div_(temperature).softmax(-1)
            p_nC.mul_(self.weights_NK[start:end, number, None])
            mixed_nC = p_nC if mixed_nC is None else mixed_nC.add_(p_nC)
        assert mixed_nC is not None
        return mixed_nC.clamp_(min=1e-38).log_()


Teacher = Dense | TopK | Drawn | None


@dataclass
class Rows:
    """What the loss is taken over: N rows with a class each (IGNORED: no cross-entropy there), and the teacher's word on them."""

    target_N: torch.Tensor
    teacher: Teacher = None
    common: int | None = None  # entries that a cached teacher knows; the student's others are padding
    weight_N: torch.Tensor | None = None  # of the teacher's part, row by row (importance of what was sampled elsewhere)


def fused_loss(
    states_NH: torch.Tensor, head: Head, rows: Rows, loss: RowLoss, chunk: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weighted sum over all rows, and (CE, D) as sums before weights (no gradient flows into those).

    `states_NH` are the student's last hidden states of the rows that count; gradients flow into them, the head's weight and bias, and
    the small network of DAC-KL. Twice differentiable it is not.
    """
    own = [] if loss.clip is None else list(loss.clip.parameters())
    chunk = chunk or chunk_rows(len(states_NH), head.entries, states_NH.device.type)
    chunk = max(1, min(chunk, loss.most_rows or chunk, len(states_NH)))
    total, parts = _Fused.apply(states_NH, head.weight_VH, head.bias_V, head, rows, loss, chunk, *own)
    return total, parts


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states_NH: torch.Tensor,
        weight_VH: torch.Tensor | None,
        bias_V: torch.Tensor | None,
        head: Head,
        rows: Rows,
        loss: RowLoss,
        chunk: int,
        *own: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        device = states_NH.device
        dtype = (states_NH if weight_VH is None else weight_VH).dtype
        if torch.is_autocast_enabled(device.type):
            dtype = torch.get_autocast_dtype(device.type)
        wanted = any(ctx.needs_input_grad)
        loss.every_row_learnt = bool((rows.target_N >= 0).all())
        with torch.autocast(device.type, enabled=False):
            head_learns = any(ctx.needs_input_grad[1:3])
            pass_ = _Pass(states_NH.detach().to(dtype), head.to(device, dtype), rows, loss, wanted, head_learns)
            for start in range(0, len(states_NH), chunk):
                pass_.chunk(start, min(start + chunk, len(states_NH)), chunk)
        if wanted:
            ctx.grads = (
                pass_.of_states_NH.to(states_NH.dtype),
                _as(pass_.of_weight_VH, weight_VH),
                _as(pass_.of_bias_V, bias_V),
                loss.of_clip or [torch.zeros_like(each) for each in own],
            )
        loss.of_clip = []
        total = loss.total(pass_.ce, pass_.kd)
        parts = torch.stack([pass_.ce, pass_.kd])
        ctx.mark_non_differentiable(parts)
        return total, parts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_states_NH, of_weight_VH, of_bias_V, of_own = ctx.grads
        ctx.grads = None  # they are handed on, not kept
        scaled = [None if each is None else each.mul_(grad) for each in (of_states_NH, of_weight_VH, of_bias_V)]
        return (*scaled, None, None, None, None, *(each * grad for each in of_own))


def _as(gradient: torch.Tensor | None, parameter: torch.Tensor | None) -> torch.Tensor | None:
    return None if gradient is None or parameter is None else gradient.to(parameter.dtype)


class _Pass:
    """One pass over the rows: what is summed on the way."""

    def __init__(
        self, states_NH: torch.Tensor, head: Head, rows: Rows, loss: RowLoss, wanted: bool, head_learns: bool
    ) -> None:
        self.states_NH, self.head, self.rows, self.loss, self.wanted = states_NH, head, rows, loss, wanted
        wide = torch.float32 if states_NH.dtype.itemsize < 4 else states_NH.dtype
        self.ce = torch.zeros((), dtype=wide, device=states_NH.device)
        self.kd = torch.zeros_like(self.ce)
        self.wide = wide
        self._spare: dict[str, torch.Tensor] = {}
        if wanted:
            self.of_states_NH = torch.empty_like(states_NH)
            # a head that does not learn (beside an adapter) gets no gradient, which would be the largest tensor of all
            learnt = head if head_learns else Head.identity(head.entries)
            weight_VH = learnt.weight_VH
            make = torch.empty_like if len(states_NH) else torch.zeros_like  # the first chunk writes, the others add
            self.of_weight_VH = None if weight_VH is None else make(weight_VH, dtype=wide)
            self.of_bias_V = None if learnt.bias_V is None else torch.zeros_like(learnt.bias_V, dtype=wide)

    def chunk(self, start: int, end: int, most: int) -> None:
        states_nH = self.states_NH[start:end]
        z_nV = self.head.logits(states_nH, self._buffer("student", most, self.head.entries, end - start))
        step = self._step(z_nV, start, end, most)
        self.ce += step.ce
        self.kd += step.kd
        if not self.wanted:
            return
        grad_nV = self.head.back_through_cap_(step.grad_nV, z_nV)
        if self.of_bias_V is not None:
            self.of_bias_V += grad_nV.sum(0)
        if self.head.weight_VH is None:
            self.of_states_NH[start:end] = grad_nV
            return
        if grad_nV.dtype is self.states_NH.dtype:
            torch.mm(grad_nV, self.head.weight_VH, out=self.of_states_NH[start:end])
            if self.of_weight_VH is not None:
                self.of_weight_VH.addmm_(grad_nV.t(), states_nH, beta=0 if start == 0 else 1)
            return
        narrow_nV = grad_nV.to(self.states_NH.dtype)
        self.of_states_NH[start:end] = narrow_nV @ self.head.weight_VH
        if self.of_weight_VH is not None:
            product_VH = narrow_nV.t() @ states_nH
            if start == 0:
                self.of_weight_VH.copy_(product_VH)
            else:
                self.of_weight_VH += product_VH

    def _step(self, z_nV: torch.Tensor, start: int, end: int, most: int) -> Step:
        target_n, teacher = self.rows.target_N[start:end], self.rows.teacher
        if teacher is None:
            return self.loss.alone(z_nV, target_n)
        if isinstance(teacher, Dense):
            width = min(teacher.common, z_nV.shape[1])
            out = None
            if teacher.weights_NK is None and teacher.states[0].dtype is self.wide:
                out = self._buffer("teacher", most, teacher.heads[0].entries, end - start)
            t_nC = teacher.scores(start, end, width, self.loss.temperature, out)
            weight_n = None if self.rows.weight_N is None else self.rows.weight_N[start:end]
            return self.loss.dense(z_nV, t_nC, target_n, weight_n)
        common = min(self.rows.common or z_nV.shape[1], z_nV.shape[1])
        if isinstance(teacher, TopK):
            return self.loss.top_k(z_nV, TopK(*(each[start:end] for each in teacher)), target_n, common)
        return self.loss.drawn(z_nV, Drawn(*(each[start:end] for each in teacher)), target_n, common)

    def _buffer(self, name: str, rows: int, entries: int, count: int) -> torch.Tensor:
        if name not in self._spare:
            self._spare[name] = torch.empty(rows, entries, dtype=self.wide, device=self.states_NH.device)
        return self._spare[name][:count]
