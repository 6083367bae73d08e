"""The loss library: pure functions of logits, one concept each, in float32 whatever the logits are.

Shapes: N rows (one a predicted token), V vocabulary entries. Sums over rows are returned, never means: the caller divides by the
number of rows of the whole optimizer step, so that gradient accumulation changes nothing.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def cross_entropy(student_NV: torch.Tensor, target_N: torch.Tensor) -> torch.Tensor:
    """−Σ log q(target), in nats. `target_N` holds class numbers; rows to ignore are dropped before."""
    return functional.cross_entropy(student_NV.float(), target_N, reduction="sum")


def forward_kl(student_NV: torch.Tensor, teacher_NV: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Σ over rows of KL(p_τ ‖ q_τ), in nats, where p_τ = softmax(teacher / τ) and q_τ = softmax(student / τ).

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), section 2. No gradient flows into
    the teacher's logits.
    """
    log_q = functional.log_softmax(student_NV.float() / temperature, dim=-1)
    log_p = functional.log_softmax(teacher_NV.detach().float() / temperature, dim=-1)
    return functional.kl_div(log_q, log_p, reduction="sum", log_target=True)


def mixed(ce: torch.Tensor, kd: torch.Tensor, ce_weight: float, temperature: float) -> torch.Tensor:
    """a·CE + (1 − a)·τ²·KL. The factor τ² keeps the gradient of the soft part at the scale of the hard one (Hinton et al., section 2.1)."""
    return ce_weight * ce + (1.0 - ce_weight) * temperature**2 * kd


def common_vocabulary(student_NV: torch.Tensor, teacher_NV: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both cut to the entries that both have: embeddings of one tokenizer may be padded to different widths.

    The padding has no token, so leaving it out (not filling it with logits of 0, which adds mass) keeps both distributions right.
    """
    width = min(student_NV.shape[-1], teacher_NV.shape[-1])
    return student_NV[..., :width], teacher_NV[..., :width]
