"""Scores from gradients of masks (MiniMA, arXiv 2311.07052, section 3.1; after Michel et al., arXiv 1905.10650).

Every head, every neuron and every hidden channel is multiplied by a mask of value one, and its importance is
E|∂L/∂mask| over sequences, L being the mean cross-entropy of the next token. The hidden mask is one for all layers: it
multiplies whatever is written to the residual stream, so that a mask of zero is the same as weights of zero. The scores
of heads and of neurons are divided by their length in each layer. Masks live in hooks; the model itself is not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from core.engine.builders.measure import (
    Block,
    Progress,
    Scores,
    Streams,
    calibration_blocks,
    refuse_non_finite,
    scoring,
    unpack,
)
from core.engine.families import Family, blocks_of, family_of


class _Masks:
    """One mask per sequence, so that a gradient's absolute value can be taken before the mean over sequences."""

    def __init__(self, model: PreTrainedModel, family: Family) -> None:
        self.model = model
        self.family = family
        blocks = blocks_of(model, family)
        config = model.config
        down = blocks[0].get_submodule(family.out_of_neurons).get_parameter("weight")
        neurons = down.shape[0 if family.transposed else 1]
        self.sizes = [config.num_attention_heads] * len(blocks) + [neurons] * len(blocks)
        self.sizes.append(config.hidden_size)
        self.now: list[Tensor] = []

    def renew(self, sequences: int) -> list[Tensor]:
        device = self.model.device
        self.now = [torch.ones(sequences, size, device=device, requires_grad=True) for size in self.sizes]
        return self.now

    def attach(self, enter: Callable[[Any], Any]) -> None:
        blocks = blocks_of(self.model, self.family)
        for layer, block in enumerate(blocks):
            output = block.get_submodule(self.family.attention_output)
            down = block.get_submodule(self.family.out_of_neurons)
            enter(output.register_forward_pre_hook(self._on_input(layer)))
            enter(down.register_forward_pre_hook(self._on_input(len(blocks) + layer)))
            for writer in self.family.writers:
                enter(block.get_submodule(writer).register_forward_hook(self._on_output))
        for table in filter(None, (self.family.embedding, self.family.positions)):
            enter(self.model.get_submodule(table).register_forward_hook(self._on_output))

    def _on_input(self, number: int) -> Callable[..., tuple[Any, ...]]:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            return (_masked(inputs[0], self.now[number]), *inputs[1:])

        return hook

    def _on_output(self, _module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return _masked(output, self.now[-1])


def _masked(hidden_BTX: Tensor, mask_BM: Tensor) -> Tensor:
    """Each of the M mask entries covers X / M neighbouring units."""
    mask = mask_BM.to(hidden_BTX).repeat_interleave(hidden_BTX.shape[-1] // mask_BM.shape[-1], dim=-1)
    return hidden_BTX * mask[:, None, :]


def sequence_losses(model: PreTrainedModel, inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
    """Mean cross-entropy of the next token in each sequence, in nats: (B,). Labels of -100 are left out."""
    logits = model(**inputs, use_cache=False).logits[:, :-1].float()
    targets = labels[:, 1:]
    losses = functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-100, reduction="none")
    return losses.sum(1) / (targets != -100).sum(1).clamp(min=1)


def gradient_scores(model: PreTrainedModel, calibration: Iterable[Block] | None, progress: Progress) -> Scores:
    """Scores of every layer, head, neuron and channel of `model` on batches of token ids (B, T).

    Needs the memory of a training step without optimizer for one batch. Layers are ranked by block influence: the paper
    drops as many at the bottom as at the top of 32, which ruins small models (the first block is their most needed).
    Raises BadModel, naming the layer, when gradients are not finite, and BadData when there is no text.
    """
    family = family_of(model.config.model_type)
    batches = calibration_blocks(calibration)
    masks = _Masks(model, family)
    sums = [torch.zeros(size) for size in masks.sizes]
    with scoring(model) as hooks:
        streams = Streams(model, family, hooks)
        masks.attach(hooks.enter_context)
        for done, batch in enumerate(batches, start=1):
            inputs, labels = unpack(batch, model.device)
            streams.next_batch(labels)
            with torch.enable_grad():
                leaves = masks.renew(labels.shape[0])
                loss = sequence_losses(model, inputs, labels).sum()
            streams.refuse_non_finite()
            for total, gradient in zip(sums, torch.autograd.grad(loss, leaves), strict=True):
                total += gradient.abs().sum(0).cpu()
            progress("scoring the teacher's parts by gradients of masks", done / len(batches))

    layers = len(sums) // 2
    refuse_non_finite({layer: sums[layer].sum() + sums[layers + layer].sum() for layer in range(layers)}, "gradients")
    return Scores(
        heads=functional.normalize(torch.stack(sums[:layers]), dim=-1),
        neurons=functional.normalize(torch.stack(sums[layers:-1]), dim=-1),
        channels=functional.normalize(sums[-1], dim=-1),
        layers=streams.influence(),
        energy=streams.energy(),
        sequences=streams.sequences,
        tokens=streams.tokens,
    )
