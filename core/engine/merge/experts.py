"""Experts and gates of a mixture: copies of the donors' MLPs, with noise or scale where asked, and gates by lot or from prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from core.errors import BadRecipe
from core.merge.document import Experts
from core.merge.experts import EXPERT, GATE, ZEROS
from core.merge.plan import TensorPlan

ROLES = (EXPERT, GATE, ZEROS)


@dataclass(frozen=True)
class Gates:
    """How the gates begin. `vectors_LEH` has one unit vector for each layer and expert where prompts say what they listen to."""

    mode: str
    vectors_LEH: torch.Tensor | None = None


def make(
    wanted: TensorPlan,
    tensors: Sequence[torch.Tensor],
    generator: torch.Generator,
    gates: Gates | None,
    stored: torch.dtype,
) -> torch.Tensor:
    """One tensor of the mixture."""
    if wanted.method == ZEROS:
        return torch.zeros(wanted.shape, dtype=stored)
    if wanted.method == GATE:
        assert gates is not None
        return gate(gates, wanted.shared["layer"], wanted.shape, generator).to(stored)
    tensor = tensors[0]
    if "noise" in wanted.shared:
        noise = torch.randn(tensor.shape, generator=generator)
        tensor = tensor.float() + wanted.shared["noise"] * noise
    if "scale" in wanted.shared:
        tensor = tensor.float() * wanted.shared["scale"]
    return tensor.to(stored)


def gate(gates: Gates, layer: int, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """A gate (experts, hidden): standard normal for `random`; uniform in ±1/√hidden, as a linear layer begins, for `uniform_random`."""
    if gates.vectors_LEH is not None:
        return gates.vectors_LEH[layer]
    if gates.mode == "random":
        return torch.randn(shape, generator=generator)
    bound = shape[1] ** -0.5
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound


@torch.inference_mode()
def listen(folder: Path, mixture: Experts, layers: int, allow_remote_code: bool) -> Gates:
    """Gates for the recipe. From prompts: the mean of the base's states before each layer at the last token (`hidden`), or of its token
    embeddings (`cheap_embed`), positive less negative prompts, as a unit vector (mergekit, docs/moe.md).
    """
    if mixture.gate_mode not in ("hidden", "cheap_embed"):
        return Gates(mixture.gate_mode)
    from core.engine.models import load_model, load_tokenizer

    tokenizer = load_tokenizer(folder, allow_remote_code)
    model = load_model(folder, "cpu", torch.float32, allow_remote_code)

    def hear(prompts: tuple[str, ...]) -> torch.Tensor:
        """(layers, hidden)."""
        start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        found = []
        for prompt in prompts:
            ids = torch.tensor([start + tokenizer(prompt, add_special_tokens=False).input_ids])
            if ids.shape[1] == 0:
                raise BadRecipe("A prompt of an expert is empty.", "Write what the expert is for.")
            if mixture.gate_mode == "cheap_embed":
                found.append(model.get_input_embeddings()(ids)[0].sum(dim=0).expand(layers, -1))
            else:
                states = model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
                found.append(torch.stack([state[0, -1] for state in states[:-1]]))
        together = torch.stack(found)
        return together.sum(dim=0) if mixture.gate_mode == "cheap_embed" else together.mean(dim=0)

    vectors = []
    for expert in mixture.experts:
        vector_LH = hear(expert.positive)
        if expert.negative:
            vector_LH = vector_LH - hear(expert.negative)
        vectors.append(vector_LH / vector_LH.norm(dim=-1, keepdim=True).clamp(min=1e-8))
    return Gates(mixture.gate_mode, torch.stack(vectors, dim=1))
