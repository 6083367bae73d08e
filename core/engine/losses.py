"""The loss library: pure functions of log-probabilities, one concept each, in float32 or better whatever is given.

Shapes: N rows (one a predicted token), V classes: the vocabulary, or the k likeliest and one for the rest as a cache keeps them.
`log_q_NV` is the student's distribution and `log_p_NV` the teacher's, both log-softmaxed already (at whatever temperature).
Sums over rows are returned, in nats unless said otherwise, and never means: the caller divides by the number of rows of the whole
optimizer step, so that gradient accumulation changes nothing. Gradients flow into the student's side alone.

The divergences below are sums of f(log q, log p) over classes, so their gradients are known as formulas; they are computed together with
the value and kept for the backward pass. Differentiating step by step would hold several more arrays of (N, V), and loses to
0 · ∞ where a probability underflows.

A class of probability exactly 0 (a logarithm of −∞) adds nothing where the formula multiplies by that 0. Where it would divide by it,
and the divergence be infinite, the 0 counts as e^−104, the largest number that float32 rounds to 0: a loss that is large and still
has a gradient. A distribution that is NaN gives NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from core.engine.text import IGNORED

ZERO = -104.0  # stands for the logarithm of a probability that is exactly 0

# --------------------------------------------------------------------------------------------------------- foundations


class _WithGradient(torch.autograd.Function):
    """A value whose gradient with respect to the first argument is known already."""

    @staticmethod
    def forward(ctx: Any, source: torch.Tensor, value: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return grads[0] * gradient, None, None


Formula = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def _divergence(log_q_NV: torch.Tensor, log_p_NV: torch.Tensor, formula: Formula) -> torch.Tensor:
    """Σ of `formula(q, p, d)`, d = log p − log q, which gives the terms (N, V) and their derivatives with respect to log q."""
    log_q_NV, log_p_NV = wide(log_q_NV), wide(log_p_NV.detach())
    with torch.no_grad():
        d_NV = log_p_NV - log_q_NV
        d_NV.nan_to_num_(nan=0.0, posinf=-ZERO, neginf=ZERO)  # both are 0; q is 0; p is 0
        # A distribution with a NaN is NaN in its whole row (so a softmax makes it): it must stay one in the value.
        d_NV[:, 0].masked_fill_(log_q_NV[:, 0].isnan() | log_p_NV[:, 0].isnan(), math.nan)
        terms_NV, gradient_NV = formula(log_q_NV.exp(), log_p_NV.exp(), d_NV)
        value = terms_NV.sum()
    return _WithGradient.apply(log_q_NV, value, gradient_NV)


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """In float32, or float64 if it is that."""
    return tensor if tensor.dtype is torch.float64 else tensor.float()


def _filled(log_NV: torch.Tensor) -> torch.Tensor:
    """In float32 or better, without −∞."""
    return torch.nan_to_num(wide(log_NV), nan=math.nan, posinf=math.inf, neginf=ZERO)


def _log_mix(d: torch.Tensor, share: float) -> torch.Tensor:
    """log((1 − share) + share·e^d), for 0 < share < 1, accurate for small shares too, and without overflow."""
    most = 80.0  # e^80 is still a float32, and e^d hides the 1 long before
    inner = torch.expm1(d.clamp(max=most)).mul_(share)
    inner.clamp_(min=torch.finfo(d.dtype).eps - 1)  # a share so near to 1 that it rounds to it
    return inner.log1p_().add_((d - most).clamp_(min=0))


# ------------------------------------------------------------------------------------------------------- cross-entropy


def cross_entropy(student_NV: torch.Tensor, target_N: torch.Tensor) -> torch.Tensor:
    """−Σ log q(target), in nats, of logits. `target_N` holds class numbers; rows to ignore are dropped before."""
    return functional.cross_entropy(student_NV.float(), target_N, reduction="sum")


def top1(log_q_NV: torch.Tensor, log_p_NV: torch.Tensor) -> torch.Tensor:
    """−Σ log q(argmax p): the teacher's first choice as the label. Mixed with the text's cross-entropy by 0.9 to 0.1 in Arcee's AFM.

    Not 0 for identical distributions, but for those that are certain. Of equal p the first class counts.
    """
    first_N1 = log_p_NV.argmax(dim=-1, keepdim=True)
    return -_filled(log_q_NV.gather(-1, first_N1)).sum()


# --------------------------------------------------------------------------------------------------------- divergences


def forward_kl(log_q_NV: torch.Tensor, log_p_NV: torch.Tensor) -> torch.Tensor:
    """KL(p ‖ q) = Σ p·(log p − log q).

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), section 2.
    """
    return _divergence(log_q_NV, log_p_NV, lambda q, p, d: (d.mul_(p), p.neg()))


def reverse_kl(log_q_NV: torch.Tensor, log_p_NV: torch.Tensor) -> torch.Tensor:
    """KL(q ‖ p) = Σ q·(log q − log p). Gu et al., "MiniLLM" (arXiv 2306.08543), equation 1."""
    return _divergence(log_q_NV, log_p_NV, lambda q, p, d: _reverse(q, d))


def _reverse(q: torch.Tensor, d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    terms = d.mul_(q).neg_()
    return terms, terms + q


def single_step(log_q_NV: torch.Tensor, log_p_NV: torch.Tensor, weight_N: torch.Tensor) -> torch.Tensor:
    """Σ_n w_n·KL(q_n ‖ p_n): the reverse KL of the next token, with rows weighed by importance.

    The single-step part of MiniLLM's gradient, (∇L)_single (arXiv 2306.08543, section 2.2, equations 3 and 6): the expectation over the
    next token is taken exactly, over all classes, and w corrects for prefixes that were drawn from a mixture of student and teacher.
    Weights of 1 give the reverse KL. No gradient flows into the weights.
    """
    weight_N1 = wide(weight_N.detach())[:, None]

    def formula(q: torch.Tensor, p: torch.Tensor, d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        terms, gradient = _reverse(q, d)
        return terms * weight_N1, gradient * weight_N1

    return _divergence(log_q_NV, log_p_NV, formula)


def generalized_jsd(log_q_NV: torch.Tensor, log_p_NV: torch.Tensor, beta: float) -> torch.Tensor:
    """β·KL(p ‖ M) + (1 − β)·KL(q ‖ M) with M = βp + (1 − β)q.

    Agarwal et al., "On-Policy Distillation of Language Models" (GKD, arXiv 2306.13649), section 2, equation 1. There JSD_β / β tends to
    KL(p ‖ q) for β → 0 and JSD_β / (1 − β) to KL(q ‖ p) for β → 1; as is the custom, β = 0 and β = 1 give these two
    divergences themselves.
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta {beta} is not from 0 to 1")
    if beta == 0:
        return forward_kl(log_q_NV, log_p_NV)
    if beta == 1:
        return reverse_kl(log_q_NV, log_p_NV)

    def formula(q: torch.Tensor, p: torch.Tensor, d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        of_q = _log_mix(d, beta).mul_(q).mul_(beta - 1)  # (1 − β)·q·log(q / M)
        of_p = _log_mix(d.neg_(), 1 - beta).mul_(p).mul_(-beta)
        return of_p.add_(of_q), of_q  # what M adds to the derivative sums to 0

    return _divergence(log_q_NV, log_p_NV, formula)


def skew_kl(log_q_NV: torch.Tensor, log_p_NV: torch.Tensor, alpha: float) -> torch.Tensor:
    """KL(p ‖ αp + (1 − α)q); α = 0 is the forward KL. Ko et al., "DistiLLM" (arXiv 2402.03898), section 3.1, with α = 0.1."""
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha {alpha} is not from 0 to below 1")
    if alpha == 0:
        return forward_kl(log_q_NV, log_p_NV)

    def formula(q: torch.Tensor, p: torch.Tensor, d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        above_q = _log_mix(d, alpha)  # log(M / q)
        gradient = above_q.neg().exp_().mul_(p).mul_(alpha - 1)  # −(1 − α)·p·q / M
        return d.sub_(above_q).mul_(p), gradient

    return _divergence(log_q_NV, log_p_NV, formula)


def skew_reverse_kl(log_q_NV: torch.Tensor, log_p_NV: torch.Tensor, alpha: float) -> torch.Tensor:
    """KL(q ‖ αq + (1 − α)p); α = 0 is the reverse KL. DistiLLM (arXiv 2402.03898), section 3.1."""
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha {alpha} is not from 0 to below 1")
    if alpha == 0:
        return reverse_kl(log_q_NV, log_p_NV)

    def formula(q: torch.Tensor, p: torch.Tensor, d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        above_m = d.neg_().sub_(_log_mix(d, alpha))  # log(q / M)
        gradient = above_m.exp().mul_(-alpha).add_(1).add_(above_m).mul_(q)
        return above_m.mul_(q), gradient

    return _divergence(log_q_NV, log_p_NV, formula)


def total_variation(log_q_NV: torch.Tensor, log_p_NV: torch.Tensor) -> torch.Tensor:
    """½ Σ |p − q|, from 0 to 1 a row (no nats). Wen et al., "f-Divergence Minimization for Sequence-Level Knowledge Distillation"
    (arXiv 2307.15190), section 3, TVD."""

    def formula(q: torch.Tensor, p: torch.Tensor, d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        over = q - p
        return over.abs().mul_(0.5), over.sign_().mul_(q).mul_(0.5)

    return _divergence(log_q_NV, log_p_NV, formula)


# ------------------------------------------------------------------------------------------------------------- clipped


def top_p_kl(
    log_q_NV: torch.Tensor, log_p_NV: torch.Tensor, target_N: torch.Tensor | None, mass: float
) -> torch.Tensor:
    """KL(p′ ‖ q′), both renormalised on the smallest set of likeliest classes whose p reaches `mass`, and the label.

    The fixed clip that DAC-KL is compared with (Liu et al., arXiv 2407.10068). `target_N` holds class numbers, IGNORED for a row without
    label; None if none has one. `mass` 1 keeps every class and is the forward KL.
    """
    kept_NV = _reaching(log_p_NV.detach(), mass)
    if target_N is not None:
        labelled_N = (target_N != IGNORED) & (
            target_N < kept_NV.shape[1]
        )  # a label that the teacher lacks is not compared
        kept_NV[labelled_N, target_N[labelled_N]] = True
    log_q_NV = _filled(log_q_NV).masked_fill(~kept_NV, -math.inf).log_softmax(-1)
    log_p_NV = _filled(log_p_NV.detach()).masked_fill(~kept_NV, -math.inf).log_softmax(-1)
    return forward_kl(log_q_NV, log_p_NV)


def _reaching(log_p_NV: torch.Tensor, mass: float, first: int = 64) -> torch.Tensor:
    """True for the fewest likeliest classes of each row that hold `mass`. A whole vocabulary is sorted only for rows that need it."""
    rows, classes = log_p_NV.shape
    if mass >= 1:  # a sum of rounded numbers may come to 1 too early
        return torch.ones(rows, classes, dtype=torch.bool, device=log_p_NV.device)
    kept_NV = torch.zeros(rows, classes, dtype=torch.bool, device=log_p_NV.device)
    left_M = torch.arange(rows, device=log_p_NV.device)
    k = min(first, classes)
    while len(left_M):
        top = log_p_NV[left_M].topk(k, dim=-1)
        p_MK = top.values.double().exp()
        upto_MK = p_MK.cumsum(-1)
        kept_NV[left_M] = kept_NV[left_M].scatter(-1, top.indices, upto_MK - p_MK < mass)
        left_M = left_M[(upto_MK[:, -1] < mass) & (k < classes)]
        k = min(8 * k, classes)
    return kept_NV


class AdaptiveClip(nn.Module):
    """DAC-KL: KL(p′ ‖ q′) on a band of classes that a small network chooses for each row, and the label.

    Liu et al., "Multi-Granularity Semantic Revision for Large Language Model Distillation" (arXiv 2407.10068), section on DAC-KL: a
    sub-network reads the distributions and gives an upper and a lower quantile; the classes of p between them and the label are
    kept, and both distributions renormalised. Ours are these details:

    - Classes stand in the order of falling p, so that each covers a piece of the line from 0 to 1 as long as its p. The band runs
      from `start` in [0, 0.2] to `end` in [0.7, 1]: it holds half of p's mass at least, whatever the network says.
    - A class inside counts whole, one at the edge by the share of it that is inside (the edge is SLACK wide for classes smaller than that), so
      that the loss is continuous in the bounds. A band from 0 to 1 is the forward KL.
    - A narrower band is an easier one, so the network alone also feels −log(mass of p that is kept), which is what keeping less costs as
      KL(p′ ‖ p); this is no part of the value, nor of the student's gradient.
    - The network reads the log-probabilities of the SEEN likeliest classes under p and q, and both entropies. It begins with nearly everything.
    """

    SEEN = 32
    SLACK = 0.01
    LATEST_START, EARLIEST_END = 0.2, 0.7

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.read = nn.Linear(2 * self.SEEN + 2, width)
        self.say = nn.Linear(width, 2)
        with torch.no_grad():
            self.say.weight.zero_()
            self.say.bias.copy_(torch.tensor([-4.0, 3.0]))

    def forward(self, log_q_NV: torch.Tensor, log_p_NV: torch.Tensor, target_N: torch.Tensor) -> torch.Tensor:
        """The sum over rows, in nats. Gradients flow into `log_q_NV` and into the network. `target_N`: class numbers or IGNORED."""
        log_p_NV, order_NV = _filled(log_p_NV.detach()).sort(dim=-1, descending=True)
        log_q_NV = _filled(log_q_NV).gather(-1, order_NV)
        inside_NV = self._inside(log_p_NV, *self.bounds(log_q_NV, log_p_NV))
        inside_NV = inside_NV.masked_fill(order_NV == target_N[:, None], 1.0)
        outside_NV = inside_NV == 0
        log_inside_NV = inside_NV.clamp(min=torch.finfo(inside_NV.dtype).tiny).log().masked_fill(outside_NV, -math.inf)
        clipped_p_NV = (log_p_NV + log_inside_NV).log_softmax(-1)
        clipped_q_NV = (log_q_NV + log_inside_NV).log_softmax(-1)
        ratio_NV = (clipped_p_NV - clipped_q_NV).masked_fill(outside_NV, 0.0)
        left_out = -(log_p_NV + log_inside_NV).logsumexp(-1).sum()
        return (clipped_p_NV.exp() * ratio_NV).sum() + (left_out - left_out.detach())

    def bounds(self, log_q_NV: torch.Tensor, log_p_NV: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Start and end of the band (N,), of distributions whose classes stand in the order of falling p."""
        log_q_NV = log_q_NV.detach()
        seen = [
            functional.pad(log[:, : self.SEEN], (0, max(0, self.SEEN - log.shape[1])), value=ZERO)
            for log in (log_p_NV, log_q_NV)
        ]
        entropies = [-(log.exp() * log).sum(-1, keepdim=True) for log in (log_p_NV, log_q_NV)]
        features = torch.cat([*(log / 10 for log in seen), *entropies], dim=-1).to(self.read.weight.dtype)
        start_N, end_N = self.say(functional.gelu(self.read(features))).sigmoid().to(log_p_NV.dtype).unbind(-1)
        return self.LATEST_START * start_N, self.EARLIEST_END + (1 - self.EARLIEST_END) * end_N

    def _inside(self, log_p_NV: torch.Tensor, start_N: torch.Tensor, end_N: torch.Tensor) -> torch.Tensor:
        """The share (0 to 1) of each class that the band covers."""
        p_NV = log_p_NV.double().exp()
        upto_NV = p_NV.cumsum(-1)
        edge_NV = p_NV.clamp(min=self.SLACK)
        before_end_NV = (1 - (upto_NV - end_N[:, None]) / edge_NV).clamp(0, 1)
        after_start_NV = (1 + (upto_NV - p_NV - start_N[:, None]) / edge_NV).clamp(0, 1)
        return (before_end_NV + after_start_NV - 1).clamp(min=0).to(log_p_NV.dtype)


# ----------------------------------------------------------------------------------------------------------- transport


def sinkhorn(log_q_nV: torch.Tensor, log_p_nV: torch.Tensor, epsilon: float, rounds: int = 20) -> torch.Tensor:
    """Σ P·C over the n rows given: C_ij = ‖q_i − p_j‖₁, P = e^(−C/ε) after `rounds` alternating normalisations (no nats).

    Cui et al., "Sinkhorn Distance Minimization for Knowledge Distillation" (SinKD, arXiv 2402.17110), section 3, batch-wise form, there with
    20 rounds, ε 0.1, τ 2 and a weight of about 0.001. As in the authors' code the gradient flows through C and P, all rounds
    included. Columns are normalised before rows (they do it the other way round; both tend to the same P), so that each row of P sums to 1
    exactly and the value is a sum over rows. It is computed with logarithms, for a small ε too.

    For identical distributions it is 0 only if rows don't resemble each other: P blurs, by ε. One row alone has twice the total variation.
    The cost is n²·V: give it tens of rows, not thousands.
    """
    cost_nn = torch.cdist(wide(log_q_nV).exp(), wide(log_p_nV.detach()).exp(), p=1)
    log_plan_nn = -cost_nn / epsilon
    for _ in range(rounds):
        log_plan_nn = log_plan_nn.log_softmax(dim=0)
        log_plan_nn = log_plan_nn.log_softmax(dim=1)
    return (log_plan_nn.exp() * cost_nn).sum()


def uld(log_q_NV: torch.Tensor, log_p_NW: torch.Tensor) -> torch.Tensor:
    """Σ |q₍ᵢ₎ − p₍ᵢ₎|, both sorted by size and the shorter filled up with zeros: for vocabularies that differ. From 0 to 2 a row (no nats).

    Boizard et al., "Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss" (arXiv 2402.12030), section 3.2.
    """
    q_NV = wide(log_q_NV).exp().sort(dim=-1, descending=True).values
    p_NW = wide(log_p_NW.detach()).exp().sort(dim=-1, descending=True).values
    width = max(q_NV.shape[-1], p_NW.shape[-1])
    q_NV, p_NW = (functional.pad(sorted_, (0, width - sorted_.shape[-1])) for sorted_ in (q_NV, p_NW))
    return (q_NV - p_NW).abs().sum()


# ------------------------------------------------------------------------------------------------------------- mixing


class AutoBalance:
    """The factor that brings the teacher's part to the size of the cross-entropy, so that the weight between them means a share.

    Both sizes (nats a token) are averaged exponentially over about the last hundred optimizer steps, with the bias of the beginning
    taken out as Adam does; the factor is their ratio, within [1/1000, 1000]. A constant for the gradient. Ours, without a paper.
    """

    DECAY = 0.99
    MOST = 1000.0

    def __init__(self) -> None:
        self._ce = self._kd = self._weight = 0.0

    def update(self, ce_sum: float, kd_sum: float, count: int) -> None:
        """Take in the sums over the `count` learnt tokens of a step (of all processes). Without tokens, or if not finite, it is passed over."""
        ce, kd = float(ce_sum), float(kd_sum)
        if count <= 0 or not (math.isfinite(ce) and math.isfinite(kd)):
            return
        self._ce = self.DECAY * self._ce + (1 - self.DECAY) * ce / count
        self._kd = self.DECAY * self._kd + (1 - self.DECAY) * kd / count
        self._weight = self.DECAY * self._weight + (1 - self.DECAY)

    def factor(self) -> float:
        """1 before the first update."""
        if self._weight == 0:
            return 1.0
        least = 1 / self.MOST
        return min(self.MOST, max(least, self._ce / self._kd)) if self._kd > 0 else self.MOST

    def state(self) -> dict[str, float]:
        return {"ce": self._ce, "kd": self._kd, "weight": self._weight}

    def load(self, state: dict[str, float]) -> None:
        self._ce, self._kd, self._weight = (float(state[name]) for name in ("ce", "kd", "weight"))


def common_vocabulary(student_NV: torch.Tensor, teacher_NV: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both cut to the entries that both have: embeddings of one tokenizer may be padded to different widths.

    The padding has no token, so leaving it out (not filling it with logits of 0, which adds mass) keeps both distributions right.
    """
    width = min(student_NV.shape[-1], teacher_NV.shape[-1])
    return student_NV[..., :width], teacher_NV[..., :width]
