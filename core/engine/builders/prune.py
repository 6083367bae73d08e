"""Scores from activations: forward passes only (Minitron, arXiv 2407.14679, section 2.2).

head: length of its attention output; neuron: |input of the down-projection|; channel: |output of the norms that read
the residual stream|. Each is averaged over the sequence, then put together over the sequences as a root of summed
squares; a channel's scores are summed over the layers. Layers are ranked by block influence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from core.engine.builders.measure import (
    Block,
    Progress,
    Scores,
    Streams,
    add,
    calibration_blocks,
    scoring,
    unpack,
)
from core.engine.families import blocks_of, family_of


@torch.no_grad()
def activation_scores(model: PreTrainedModel, calibration: Iterable[Block] | None, progress: Progress) -> Scores:
    """Scores of every layer, head, neuron and channel of `model` on batches of token ids (B, T).

    Raises BadModel, naming the layer, when activations are not finite, and BadData when there is no text.
    """
    family = family_of(model.config.model_type)
    batches = calibration_blocks(calibration)
    heads: dict[int, Tensor] = {}
    neurons: dict[int, Tensor] = {}
    channels: dict[tuple[int, str], Tensor] = {}
    head_count = model.config.num_attention_heads
    with scoring(model) as hooks:
        streams = Streams(model, family, hooks)

        def collect(sums: dict[Any, Tensor], key: Any, size: Callable[[Tensor], Tensor]) -> Callable[..., None]:
            def hook(_module: nn.Module, inputs: tuple[Any, ...], output: Any = None) -> None:
                add(sums, key, streams.mean(size(inputs[0] if output is None else output)).square().sum(0))

            return hook

        def length_of_heads(joined_BTX: Tensor) -> Tensor:
            by_head = joined_BTX.float().view(*joined_BTX.shape[:2], head_count, -1)
            lengths: Tensor = torch.linalg.vector_norm(by_head, dim=-1)
            return lengths

        for layer, block in enumerate(blocks_of(model, family)):
            output, down = block.get_submodule(family.attention_output), block.get_submodule(family.out_of_neurons)
            hooks.enter_context(output.register_forward_pre_hook(collect(heads, layer, length_of_heads)))
            hooks.enter_context(down.register_forward_pre_hook(collect(neurons, layer, torch.abs)))
            for norm in family.reading_norms:
                hook = collect(channels, (layer, norm), torch.abs)
                hooks.enter_context(block.get_submodule(norm).register_forward_hook(hook))
        for done, batch in enumerate(batches, start=1):
            inputs, labels = unpack(batch, model.device)
            streams.next_batch(labels)
            model(**inputs, use_cache=False, logits_to_keep=1)
            streams.refuse_non_finite()
            progress("scoring the teacher's parts by their activations", done / len(batches))

    return Scores(
        heads=torch.stack([heads[layer].sqrt().cpu() for layer in sorted(heads)]),
        neurons=torch.stack([neurons[layer].sqrt().cpu() for layer in sorted(neurons)]),
        channels=torch.stack([squares.sqrt().cpu() for squares in channels.values()]).sum(0),
        layers=streams.influence(),
        energy=streams.energy(),
        sequences=streams.sequences,
        tokens=streams.tokens,
    )
