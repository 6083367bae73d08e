"""A language model in two parts: the trunk, which gives a hidden state for each position, and the head, which scores the vocabulary.

Scores of a whole batch are the largest thing in training (304 KB a token in bfloat16 at a vocabulary of 151 936), so nothing here makes
them: whoever needs scores asks the head for a few rows at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel


@dataclass(frozen=True)
class Head:
    """Scores = cap(factor · (hidden · weightᵀ + bias)), with cap(x) = softcap · tanh(x / softcap) where there is a softcap (Gemma 2)."""

    weight_VH: torch.Tensor | None  # None: what comes in are the scores already
    bias_V: torch.Tensor | None = None
    factor: float = 1.0
    softcap: float | None = None
    module: nn.Module | None = None  # for weights that only their own module can multiply with (quantized ones)
    width: int = 0  # of the scores, where there is no weight

    @classmethod
    def of(cls, model: PreTrainedModel) -> Head:
        """The head as the model's config describes it; `splits` says whether that is all there is to it."""
        layer = model.get_output_embeddings()
        plain = type(layer) is nn.Linear
        config = model.config
        factor = float(getattr(config, "logit_scale", None) or 1.0) / float(
            getattr(config, "logits_scaling", None) or 1.0
        )
        softcap = getattr(config, "final_logit_softcapping", None)
        return cls(layer.weight, getattr(layer, "bias", None), factor, softcap, None if plain else layer)

    @classmethod
    def identity(cls, entries: int) -> Head:
        """For a model that does not split: its scores take the place of the hidden states."""
        return cls(None, width=entries)

    @property
    def entries(self) -> int:
        """V, the rows of the head; more than the tokenizer has, where it is padded."""
        if self.module is not None:
            return int(self.module.out_features)
        return self.width if self.weight_VH is None else self.weight_VH.shape[0]

    def to(self, device: torch.device, dtype: torch.dtype) -> Head:
        """The same head as it is multiplied with; a no-op where it lies so already."""
        if self.module is not None or self.weight_VH is None:
            return self
        bias = None if self.bias_V is None else self.bias_V.detach().to(device, dtype)
        return Head(self.weight_VH.detach().to(device, dtype), bias, self.factor, self.softcap)

    def logits(self, hidden_nH: torch.Tensor, out_nV: torch.Tensor | None = None) -> torch.Tensor:
        """Scores (n, V) in float32 or wider, into `out_nV` if it is given."""
        if self.module is None and self.weight_VH is not None:
            hidden_nH = hidden_nH.to(self.weight_VH.dtype)  # a last norm may give float32 under autocast
        if self.module is not None:
            scores_nV = self.module(hidden_nH)
        elif self.weight_VH is None:
            scores_nV = hidden_nH.clone() if out_nV is None else hidden_nH
        elif out_nV is not None and hidden_nH.dtype is out_nV.dtype:
            scores_nV = torch.mm(hidden_nH, self.weight_VH.t(), out=out_nV)
            if self.bias_V is not None:
                scores_nV.add_(self.bias_V)
        else:
            scores_nV = functional.linear(hidden_nH, self.weight_VH, self.bias_V)
        if out_nV is not None and scores_nV is not out_nV:
            scores_nV = out_nV.copy_(scores_nV)
        elif scores_nV.dtype.itemsize < 4:
            scores_nV = scores_nV.float()
        if self.factor != 1.0:
            scores_nV = scores_nV.mul_(self.factor)
        if self.softcap is not None:
            scores_nV = scores_nV.div_(self.softcap).tanh_().mul_(self.softcap)
        return scores_nV

    def back_through_cap_(self, grad_nV: torch.Tensor, scores_nV: torch.Tensor) -> torch.Tensor:
        """The gradient of hidden · weightᵀ + bias from that of the scores, in place: d cap(x)/dx = 1 − (cap(x) / softcap)²."""
        if self.softcap is not None:
            grad_nV.mul_(1.0 - (scores_nV / self.softcap).square_())
        if self.factor != 1.0:
            grad_nV.mul_(self.factor)
        return grad_nV


def trunk_states(model: PreTrainedModel, **inputs: torch.Tensor) -> torch.Tensor:
    """The last hidden states (B, T, H), as the head takes them."""
    return model.base_model(**inputs, use_cache=False).last_hidden_state


@torch.no_grad()
def splits(model: PreTrainedModel) -> bool:
    """True if head of trunk is what the model itself says: tried on the model, for an architecture may do more on the way."""
    was_training = model.training
    model.eval()
    try:
        ids_BT = torch.arange(8, device=model.device)[None] % model.get_input_embeddings().weight.shape[0]
        whole = model(input_ids=ids_BT, use_cache=False).logits
        head = Head.of(model)
        states = trunk_states(model, input_ids=ids_BT)
        parts = head.logits(states[0])
        return bool(torch.allclose(parts.float(), whole[0].float(), rtol=1e-3, atol=1e-3 * float(whole.std())))
    except (AttributeError, TypeError, RuntimeError):  # no trunk, no head, or other shapes
        return False
    finally:
        model.train(was_training)
