"""What a pruning method measures on calibration text, and the hooks that all of them share.

Every hook adds to a running sum in float32 on the device of its layer; activations are never kept. A batch is one
tensor of token ids or a mapping (`Block`), its sequences count alike whatever the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from core.engine.families import Family, blocks_of, hidden_norms
from core.errors import BadData, BadModel

Block: TypeAlias = Tensor | Mapping[str, Tensor]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Scores:
    """Importance of each part of a teacher; larger matters more. Float32 tensors on the CPU.

    `heads` (layers, query heads), `neurons` (layers, neurons), `channels` (hidden,), `layers` (layers,). `energy` has,
    by the full module name of each hidden norm, the mean share of each channel in the norm's input, (hidden,), sum 1.
    """

    heads: Tensor
    neurons: Tensor
    channels: Tensor
    layers: Tensor
    energy: Mapping[str, Tensor]
    sequences: int
    tokens: int


def unpack(block: Block, device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
    """The model's inputs and the labels (B, T) of a block. Labels of -100 don't count, nor do their positions.

    A mapping has `input_ids` (B, T) and optionally `position_ids`, `attention_mask` and `labels`.
    """
    given = {"input_ids": block} if isinstance(block, Tensor) else dict(block)
    moved = {name: tensor.to(device) for name, tensor in given.items()}
    labels = moved.pop("labels", moved["input_ids"])
    return moved, labels


def calibration_blocks(calibration: Iterable[Block] | None) -> Sequence[Block]:
    """The batches as a list (token ids are small), so that progress is known. Raises BadData when there are none."""
    blocks = list(calibration or [])
    if not blocks:
        raise BadData("There is no calibration text to score the teacher's parts on.", "Give a longer text.")
    return blocks


@contextmanager
def scoring(model: PreTrainedModel) -> Iterator[ExitStack]:
    """Evaluation mode without weight gradients, restored at the end; hooks entered on the stack are removed then."""
    was_training = model.training
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with ExitStack() as hooks:
        hooks.callback(model.train, was_training)
        for parameter in wanted:
            parameter.requires_grad_(False)
            hooks.callback(parameter.requires_grad_, True)
        model.eval()
        yield hooks


class Streams:
    """Measures each block's influence and each channel's share of the norms' inputs while batches pass through."""

    def __init__(self, model: PreTrainedModel, family: Family, hooks: ExitStack) -> None:
        self.counted = torch.empty(0)  # (B, T), 1 where a position counts; set before each forward pass
        self.sequences = 0
        self.tokens = 0
        self.distance: dict[int, Tensor] = {}
        self.shares: dict[str, Tensor] = {}
        blocks = blocks_of(model, family)
        for layer, block in enumerate(blocks):
            hooks.enter_context(block.register_forward_hook(self._influence(layer)))
        self._centred = family.norm == "layer"
        for name in hidden_norms(family, len(blocks)):
            hooks.enter_context(model.get_submodule(name).register_forward_pre_hook(self._energy(name)))

    def next_batch(self, labels: Tensor) -> None:
        self.counted = (labels != -100).float()
        self.sequences += labels.shape[0]
        self.tokens += int(self.counted.sum())

    def mean(self, values_BT: Tensor) -> Tensor:
        """Mean over the counted positions of each sequence: (B, T, …) → (B, …)."""
        counted = self.counted.to(values_BT.device)
        weights = counted / counted.sum(1, keepdim=True).clamp(min=1)
        return torch.einsum("bt...,bt->b...", values_BT.float(), weights)

    def _influence(self, layer: int) -> Callable[..., None]:
        def hook(_block: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            with torch.no_grad():
                after = output[0] if isinstance(output, tuple) else output
                cosine = functional.cosine_similarity(inputs[0].float(), after.float(), dim=-1)
                add(self.distance, layer, self.mean(1 - cosine).sum(0))

        return hook

    def _energy(self, name: str) -> Callable[..., None]:
        def hook(_norm: nn.Module, inputs: tuple[Any, ...]) -> None:
            with torch.no_grad():
                hidden = inputs[0].float()
                if self._centred:
                    hidden = hidden - hidden.mean(-1, keepdim=True)
                square = hidden.square()
                share = square / square.sum(-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
                add(self.shares, name, self.mean(share).sum(0))

        return hook

    def refuse_non_finite(self) -> None:
        refuse_non_finite(self.distance, "activations")

    def influence(self) -> Tensor:
        """Block influence, 1 − cos(input, output), mean over tokens (ShortGPT, arXiv 2403.03853, eq. 1): (layers,)."""
        return torch.stack([self.distance[layer].cpu() for layer in sorted(self.distance)]) / self.sequences

    def energy(self) -> dict[str, Tensor]:
        return {name: (total / total.sum()).cpu() for name, total in self.shares.items()}


def add(sums: dict[Any, Tensor], key: Any, value: Tensor) -> None:
    """Running sum under `key`."""
    sums[key] = sums[key] + value if key in sums else value


def refuse_non_finite(by_layer: Mapping[int, Tensor], what: str) -> None:
    """Raises BadModel naming the lowest layer whose number is NaN or infinite."""
    finite = torch.stack([by_layer[layer].cpu() for layer in sorted(by_layer)]).isfinite().tolist()
    if not all(finite):
        layer = finite.index(False)
        raise BadModel(
            f"The teacher's {what} in layer {layer} (counted from 0) are not finite on the calibration text.",
            "Its weights are damaged, or they overflow at this precision: try another copy, or float32.",
        )
