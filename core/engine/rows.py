"""Loss and gradient of a chunk of rows at once: what `fused` runs between the head's product and its transposes.

For the divergences that training mostly uses the gradient with respect to the student's scores is written out, so that a chunk is gone
through as few times as possible and every large array is used again; the rest follow from `losses` by automatic differentiation.
With q = softmax(z) and a loss L(q), dL/dz = q·(r − Σ q·r) where r = ∂L/∂q. Both are tested against `losses` and finite differences.

Shapes: n rows, V entries of the student's head, C ≤ V entries that both heads have, K entries of a cached distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from core.engine import losses
from core.objectives import Objective

TINY = 1e-38  # the least mass that a logarithm is taken of
SINKHORN_ROWS = 32  # compared with one another: time grows with their square


class Step(NamedTuple):
    """Sums of CE and of the teacher's part (nats, before weights), and the gradient of their weighted sum, in a buffer of the caller's."""

    ce: torch.Tensor
    kd: torch.Tensor
    grad_nV: torch.Tensor


class TopK(NamedTuple):
    """A cached distribution: K entries of falling probability, and the log of the mass outside them."""

    ids_NK: torch.Tensor
    log_p_NK: torch.Tensor
    log_rest_N: torch.Tensor


class Drawn(NamedTuple):
    """Classes drawn at random from the teacher's distribution, with their share of the draws (0 for padding), and its entropy in nats."""

    ids_NK: torch.Tensor
    share_NK: torch.Tensor
    entropy_N: torch.Tensor


@dataclass
class RowLoss:
    """The weighted sum `ce_weight`·CE + `kd_weight`·D_τ of rows; the caller puts τ² and any balance into `kd_weight`."""

    objective: Objective = "forward_kl"
    ce_weight: float = 0.5
    kd_weight: float = 0.5
    temperature: float = 1.0
    jsd_beta: float = 0.5
    skew_alpha: float = 0.1
    clip_mass: float = 0.95
    sinkhorn_epsilon: float = 0.1
    clip: losses.AdaptiveClip | None = None  # DAC-KL's small network
    every_row_learnt: bool = (
        False  # every row has a class, which spares a pass; set by `fused`, which looks once for all chunks
    )
    of_clip: list[torch.Tensor] = field(default_factory=list)  # the gradients of its parameters, summed over chunks
    _spare: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)

    @property
    def most_rows(self) -> int | None:
        """How many rows a chunk may have, where the objective compares them with one another."""
        return SINKHORN_ROWS if self.objective == "sinkhorn" else None

    @property
    def _near_a_limit(self) -> bool:
        """A β so near to 0 or 1 that differences of sums would lose the value: the loss library is slower and accurate there."""
        return self.objective == "jsd" and (0 < self.jsd_beta < 0.01 or 0.99 < self.jsd_beta < 1)

    def total(self, ce: torch.Tensor, kd: torch.Tensor) -> torch.Tensor:
        """The weighted sum that the gradient is of."""
        return self.ce_weight * ce + self.kd_weight * kd

    def alone(self, z_nV: torch.Tensor, target_n: torch.Tensor) -> Step:
        """Cross-entropy without a teacher."""
        q_nV, lse_n = self._softmax(z_nV, 0)
        ce, learnt_n = _cross_entropy(z_nV, lse_n, target_n)
        self._weigh_ce_(q_nV, target_n, learnt_n)
        return Step(ce, torch.zeros_like(ce), q_nV)

    def dense(
        self, z_nV: torch.Tensor, t_nC: torch.Tensor, target_n: torch.Tensor, weight_n: torch.Tensor | None = None
    ) -> Step:
        """The teacher's scores are whole, divided by τ already. Both inputs are overwritten. `weight_n` weighs the rows' D."""
        common, tau = t_nC.shape[1], self.temperature
        written_out = None if self._near_a_limit else _WRITTEN_OUT.get(self.objective)
        q_nV, lse_n = self._softmax(z_nV, 0)
        ce, learnt_n = _cross_entropy(z_nV, lse_n, target_n)
        shared = tau == 1.0 and common == z_nV.shape[1]
        soft_nC = z_nV if shared else z_nV[:, :common] / tau
        if written_out is None:
            kd_n, grad_nC = self._differentiated(soft_nC, t_nC, target_n)
        else:
            both = (q_nV, lse_n) if shared else self._softmax(soft_nC, 1)
            kd_n, grad_nC = written_out(self, soft_nC, *both, t_nC)
        kd_weight = self.kd_weight / tau
        if weight_n is not None:
            kd_n = kd_n * weight_n
            grad_nC.mul_(weight_n[:, None])
        self._weigh_ce_(q_nV, target_n, learnt_n)
        q_nV[:, :common].add_(grad_nC, alpha=kd_weight)
        return Step(ce, kd_n.sum(), q_nV)

    def top_k(self, z_nV: torch.Tensor, known: TopK, target_n: torch.Tensor, common: int) -> Step:
        """The teacher is known by its likeliest classes and the mass of the rest, which counts as one more class.

        So both sides are distributions of K + 1 classes, and no divergence can turn negative (a truncated KL without the rest does).
        `common` entries of the student's are compared; the others are padding.
        """
        ids_nK, log_p_nK, log_rest_n = known
        q_nV, lse_n = self._softmax(z_nV, 0)
        ce, learnt_n = _cross_entropy(z_nV, lse_n, target_n)
        soft_nC, soft_lse_n = self._softened(z_nV, q_nV, lse_n, common)
        top_nK = soft_nC.gather(1, ids_nK)
        rest_n = soft_nC.scatter_(1, ids_nK, 0.0).sum(1).clamp_(min=TINY)  # summed, for 1 − Σ top loses a small rest
        soft_nC.scatter_(1, ids_nK, top_nK)
        log_q_nK = z_nV.gather(1, ids_nK) / self.temperature - soft_lse_n[:, None]
        log_q_nJ = torch.cat([log_q_nK, rest_n.log()[:, None]], 1)
        log_p_nJ = torch.cat([log_p_nK, log_rest_n[:, None]], 1)
        kd, slope_nJ = self._slope(log_q_nJ, log_p_nJ)
        total_n = slope_nJ.sum(1)
        elsewhere_n = slope_nJ[:, -1] / rest_n - total_n
        ce_top_nK = q_nV.gather(1, ids_nK) * (self.ce_weight * learnt_n[:, None])
        kd_top_nK = (slope_nJ[:, :-1] - top_nK * total_n[:, None]) * (self.kd_weight / self.temperature)
        grad_nV = self._weighted(q_nV, soft_nC, elsewhere_n, learnt_n).scatter_(1, ids_nK, ce_top_nK + kd_top_nK)
        _subtract_at(grad_nV, target_n, learnt_n, self.ce_weight)
        return Step(ce, kd, grad_nV)

    def drawn(self, z_nV: torch.Tensor, known: Drawn, target_n: torch.Tensor, common: int) -> Step:
        """−Σ share · log q − H(p) over classes drawn from p: the forward KL without bias, so a single row's may be negative."""
        ids_nK, share_nK, entropy_n = known
        q_nV, lse_n = self._softmax(z_nV, 0)
        ce, learnt_n = _cross_entropy(z_nV, lse_n, target_n)
        soft_nC, soft_lse_n = self._softened(z_nV, q_nV, lse_n, common)
        log_q_nK = z_nV.gather(1, ids_nK) / self.temperature - soft_lse_n[:, None]
        kd = -(share_nK * log_q_nK).sum(1).add(entropy_n).sum()
        grad_nV = self._weighted(q_nV, soft_nC, torch.ones_like(lse_n), learnt_n)
        grad_nV.scatter_add_(1, ids_nK, share_nK * (-self.kd_weight / self.temperature))
        _subtract_at(grad_nV, target_n, learnt_n, self.ce_weight)
        return Step(ce, kd, grad_nV)

    # ---------------------------------------------------------------------------------------------------- inside

    def _softmax(self, z_nV: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """softmax(z) in a buffer that is kept from chunk to chunk, and log Σ exp z (from the largest entry: z − log q there)."""
        spare = self._spare.get(number)
        alike = spare is not None and (spare.shape[1], spare.device, spare.dtype) == (
            z_nV.shape[1],
            z_nV.device,
            z_nV.dtype,
        )
        if spare is None or not alike or len(spare) < len(z_nV):
            spare = self._spare[number] = torch.empty_like(z_nV, memory_format=torch.contiguous_format)
        q_nV = torch.softmax(z_nV, -1, out=spare[: len(z_nV)])
        return q_nV, z_nV.amax(1) - q_nV.amax(1).log()

    def _weigh_ce_(self, q_nV: torch.Tensor, target_n: torch.Tensor, learnt_n: torch.Tensor) -> None:
        """The gradient of the weighted cross-entropy, in q's place; 0 in rows without a class."""
        if not self.every_row_learnt:
            q_nV.mul_((self.ce_weight * learnt_n)[:, None])
        elif self.ce_weight != 1.0:
            q_nV.mul_(self.ce_weight)
        _subtract_at(q_nV, target_n, learnt_n, self.ce_weight)

    def _differentiated(
        self, z_nC: torch.Tensor, t_nC: torch.Tensor, target_n: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Value and gradient of an objective that is not written out below. The value is a sum, given to the first row."""
        with torch.enable_grad():
            leaf_nC = z_nC.detach().requires_grad_(True)
            log_q, log_p = leaf_nC.log_softmax(-1), t_nC.log_softmax(-1)
            if self.objective == "top_p":
                value = losses.top_p_kl(log_q, log_p, target_n, self.clip_mass)
            elif self.objective == "jsd":
                value = losses.generalized_jsd(log_q, log_p, self.jsd_beta)
            elif self.objective == "sinkhorn":
                value = losses.sinkhorn(log_q, log_p, self.sinkhorn_epsilon)
            else:
                assert self.objective == "dac_kl"
                assert self.clip is not None
                value = self.clip(log_q, log_p, target_n)
        own = [] if self.clip is None else list(self.clip.parameters())
        grad_nC, *of_own = torch.autograd.grad(value, [leaf_nC, *own])
        if own:
            before = self.of_clip or [torch.zeros_like(each) for each in own]
            self.of_clip = [sum_ + self.kd_weight * each for sum_, each in zip(before, of_own, strict=True)]
        return torch.cat([value.detach()[None], value.new_zeros(len(z_nC) - 1)]), grad_nC

    def _slope(self, log_q_nJ: torch.Tensor, log_p_nJ: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Σ D and ∂D/∂log q of small distributions, by the loss library."""
        with torch.enable_grad():
            leaf = log_q_nJ.detach().requires_grad_(True)
            value = self._of_log_probabilities()(leaf, log_p_nJ)
        return value.detach(), torch.autograd.grad(value, leaf)[0]

    def _of_log_probabilities(self) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        table: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
            "forward_kl": losses.forward_kl,
            "reverse_kl": losses.reverse_kl,
            "jsd": lambda q, p: losses.generalized_jsd(q, p, self.jsd_beta),
            "skew_kl": lambda q, p: losses.skew_kl(q, p, self.skew_alpha),
            "skew_reverse_kl": lambda q, p: losses.skew_reverse_kl(q, p, self.skew_alpha),
            "tvd": losses.total_variation,
            "top1": lambda q, p: -q[:, 0].sum(),  # the cached entries fall, so the first is the likeliest
            "top_p": lambda q, p: losses.top_p_kl(q, p, None, self.clip_mass),
        }
        return table[self.objective]

    def _softened(
        self, z_nV: torch.Tensor, q_nV: torch.Tensor, lse_n: torch.Tensor, common: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """q_τ over the entries that both have, and its log Σ exp: q itself where that is the same."""
        if self.temperature == 1.0 and common == z_nV.shape[1]:
            return q_nV, lse_n
        return self._softmax(z_nV[:, :common] / self.temperature, 1)

    def _weighted(
        self, q_nV: torch.Tensor, soft_nC: torch.Tensor, coefficient_n: torch.Tensor, learnt_n: torch.Tensor
    ) -> torch.Tensor:
        """ce_weight · q + kd_weight/τ · coefficient · q_τ, in q's buffer."""
        of_kd_n = coefficient_n * (self.kd_weight / self.temperature)
        of_ce_n = self.ce_weight * learnt_n
        if soft_nC is q_nV:
            return q_nV.mul_((of_ce_n + of_kd_n)[:, None])
        q_nV.mul_(of_ce_n[:, None])
        q_nV[:, : soft_nC.shape[1]].add_(soft_nC.mul_(of_kd_n[:, None]))
        return q_nV


# Each takes (z, q, log Σ exp z, t): z and t may be overwritten, q may not. They return D of each row and dD/dz (in z's or t's buffer).


def _forward_kl(
    self: RowLoss, z_nC: torch.Tensor, q_nC: torch.Tensor, lse_n: torch.Tensor, t_nC: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ p (log p − log q); r = −p/q, so dD/dz = q − p."""
    p_nC, t_lse_n = self._softmax(t_nC, 2)
    kd_n = _dot(p_nC, t_nC.sub_(z_nC)) - t_lse_n + lse_n
    return kd_n, torch.sub(q_nC, p_nC, out=p_nC)


def _reverse_kl(
    self: RowLoss, z_nC: torch.Tensor, q_nC: torch.Tensor, lse_n: torch.Tensor, t_nC: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ q (log q − log p); r = log q − log p + 1."""
    _, t_lse_n = self._softmax(t_nC, 2)
    d_nC = torch.sub(z_nC, t_nC.clamp_(min=-1e6), out=t_nC).sub_((lse_n - t_lse_n)[:, None])
    kd_n = _dot(q_nC, d_nC)
    return kd_n, d_nC.sub_(kd_n[:, None]).mul_(q_nC)


def _jsd(
    self: RowLoss, z_nC: torch.Tensor, q_nC: torch.Tensor, lse_n: torch.Tensor, t_nC: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """β KL(p‖M) + (1−β) KL(q‖M) = β Σ p log p + (1−β) Σ q log q − Σ M log M; r = (1−β) (log q − log M)."""
    beta = self.jsd_beta
    if beta == 0.0:
        return _forward_kl(self, z_nC, q_nC, lse_n, t_nC)
    if beta == 1.0:
        return _reverse_kl(self, z_nC, q_nC, lse_n, t_nC)
    p_nC, t_lse_n = self._softmax(t_nC, 2)
    p_log_p_n = _dot(p_nC, t_nC) - t_lse_n
    log_m_nC = torch.lerp(q_nC, p_nC, beta, out=t_nC).clamp_(min=TINY).log_()
    p_log_m_n = _dot(p_nC, log_m_nC)
    r_nC = torch.sub(z_nC, log_m_nC, out=p_nC).sub_(lse_n[:, None])
    q_r_n = _dot(q_nC, r_nC)
    kd_n = beta * (p_log_p_n - p_log_m_n) + (1.0 - beta) * q_r_n
    return kd_n, r_nC.sub_(q_r_n[:, None]).mul_(q_nC).mul_(1.0 - beta)


def _skew_kl(
    self: RowLoss, z_nC: torch.Tensor, q_nC: torch.Tensor, lse_n: torch.Tensor, t_nC: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """KL(p ‖ M) with M = αp + (1−α)q; r = −(1−α) p/M."""
    alpha = self.skew_alpha
    p_nC, t_lse_n = self._softmax(t_nC, 2)
    p_log_p_n = _dot(p_nC, t_nC) - t_lse_n
    m_nC = torch.lerp(q_nC, p_nC, alpha, out=t_nC).clamp_(min=TINY)
    ratio_nC = p_nC / m_nC
    kd_n = p_log_p_n - _dot(p_nC, m_nC.log_())
    q_r_n = _dot(q_nC, ratio_nC)
    return kd_n, ratio_nC.sub_(q_r_n[:, None]).mul_(q_nC).mul_(alpha - 1.0)


def _skew_reverse_kl(
    self: RowLoss, z_nC: torch.Tensor, q_nC: torch.Tensor, lse_n: torch.Tensor, t_nC: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """KL(q ‖ M) with M = αq + (1−α)p; r = log q − log M + 1 − α q/M."""
    alpha = self.skew_alpha
    p_nC, _ = self._softmax(t_nC, 2)
    m_nC = torch.lerp(p_nC, q_nC, alpha, out=t_nC).clamp_(min=TINY)
    ratio_nC = torch.div(q_nC, m_nC, out=p_nC).mul_(alpha)
    r_nC = torch.sub(z_nC, m_nC.log_(), out=m_nC).sub_(lse_n[:, None])
    kd_n = _dot(q_nC, r_nC)
    r_nC.sub_(ratio_nC)
    q_r_n = _dot(q_nC, r_nC)
    return kd_n, r_nC.sub_(q_r_n[:, None]).mul_(q_nC)


def _total_variation(
    self: RowLoss, z_nC: torch.Tensor, q_nC: torch.Tensor, lse_n: torch.Tensor, t_nC: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """½ Σ |q − p|; r = ½ sign(q − p)."""
    p_nC, _ = self._softmax(t_nC, 2)
    d_nC = torch.sub(q_nC, p_nC, out=p_nC)
    kd_n = torch.abs(d_nC, out=t_nC).sum(1).mul_(0.5)
    r_nC = d_nC.sign_()
    q_r_n = _dot(q_nC, r_nC)
    return kd_n, r_nC.sub_(q_r_n[:, None]).mul_(q_nC).mul_(0.5)


def _top1(
    self: RowLoss, z_nC: torch.Tensor, q_nC: torch.Tensor, lse_n: torch.Tensor, t_nC: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """−log q of the teacher's first choice; dD/dz = q − onehot."""
    first_n1 = t_nC.argmax(1, keepdim=True)
    kd_n = lse_n - z_nC.gather(1, first_n1)[:, 0]
    grad_nC = t_nC.copy_(q_nC)
    grad_nC.scatter_add_(1, first_n1, grad_nC.new_full((len(grad_nC), 1), -1.0))
    return kd_n, grad_nC


_WRITTEN_OUT = {
    "forward_kl": _forward_kl,
    "reverse_kl": _reverse_kl,
    "jsd": _jsd,
    "skew_kl": _skew_kl,
    "skew_reverse_kl": _skew_reverse_kl,
    "tvd": _total_variation,
    "top1": _top1,
}


def _dot(one_nV: torch.Tensor, other_nV: torch.Tensor) -> torch.Tensor:
    """Σ over the entries, row by row, without an array for the products."""
    return torch.bmm(one_nV[:, None, :], other_nV[:, :, None])[:, 0, 0]


def _cross_entropy(
    z_nV: torch.Tensor, lse_n: torch.Tensor, target_n: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """−Σ log q(target) over the rows that have one (target ≥ 0), and 1 for those rows, 0 for the others."""
    learnt_n = (target_n >= 0).to(z_nV.dtype)
    at_n = z_nV.gather(1, target_n.clamp(min=0)[:, None])[:, 0]
    return ((lse_n - at_n) * learnt_n).sum(), learnt_n


def _subtract_at(grad_nV: torch.Tensor, target_n: torch.Tensor, learnt_n: torch.Tensor, weight: float) -> None:
    grad_nV.scatter_add_(1, target_n.clamp(min=0)[:, None], (learnt_n * -weight)[:, None])
