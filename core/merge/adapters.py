"""LoRA adapters as inputs: what each adds to which tensor, from its folder, without torch.

Merged in delta space: W = W0 + s·B·A with s = α/r, or α/√r for rank-stabilised ones (Hu et al. 2021, arXiv 2106.09685; Kalajdzievski 2023,
arXiv 2312.03732), in full precision, before anything else is done to W. DoRA then gives each output its learnt norm (Liu et al. 2024, arXiv
2402.09353). Other kinds are refused by name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadModel
from core.merge.weights import TensorFacts, tensors_in
from core.models import inspect_model

_MODULE = re.compile(
    r"^base_model\.model\.(?P<module>.+?)\.(?P<part>lora_[AB]|lora_embedding_[AB]|lora_magnitude_vector)(?:\.default)?(?:\.weight)?$"
)
_SAVED = re.compile(
    r"^base_model\.model\.(?P<module>.+?)(?:\.modules_to_save|\.original_module)?(?:\.default)?\.(?P<leaf>weight|bias)$"
)
_REFUSED = {  # keys of the config that change what an adapter does, and the values that don't
    "megatron_config": None,
    "layer_replication": None,
    "trainable_token_indices": None,
    "lora_bias": False,
    "target_parameters": None,
    "alora_invocation_tokens": None,
    "corda_config": None,
    "arrow_config": None,
}


@dataclass(frozen=True)
class Change:
    """What an adapter does to one tensor. Names are of tensors in `file`s; `whole` replaces it altogether."""

    a: str = ""
    b: str = ""
    magnitude: str = ""
    scale: float = 1.0
    transposed: bool = False  # the tensor is stored (in, out), as GPT-2's
    embedding: bool = False
    whole: str = ""


@dataclass(frozen=True)
class Adapter:
    folder: Path
    changes: Mapping[str, Change]  # by the tensor of the model
    tensors: Mapping[str, TensorFacts]  # its own
    fingerprint: str


def read_adapter(folder: Path, shapes: Mapping[str, tuple[int, ...]], base_name: str) -> Adapter:
    """The adapter in `folder`, for a model whose tensors have `shapes`. Raises BadModel for other kinds, and for another base."""
    config = _read(folder)
    tensors = tensors_in(folder, "adapter_model")
    held = {name: facts.shape for name, facts in tensors.items()}
    parts: dict[str, dict[str, str]] = {}
    changes: dict[str, Change] = {}
    for name in held:
        found = _MODULE.match(name)
        if found is not None:
            parts.setdefault(found["module"], {})[found["part"]] = name
            continue
        saved = _SAVED.match(name)
        if saved is None:
            raise BadModel(
                f"Tensor {name} of the adapter {folder.name} is not one of LoRA's.", "Merge it with PEFT first."
            )
        target = f"{saved['module']}.{saved['leaf']}"
        changes[_target(target, shapes, folder, base_name, held[name])] = Change(whole=name)
    for module, own in parts.items():
        target, change = _change(module, own, config, folder)
        shape = _fitting(change, held)
        changes[_target(target, shapes, folder, base_name, shape)] = change
    return Adapter(folder, changes, tensors, inspect_model(folder).fingerprint)


def _read(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    kind = config.get("peft_type")
    if kind != "LORA":
        raise BadModel(
            f"The adapter {folder.name} is of the kind {kind}; only LoRA can be merged here.",
            "Merge it with PEFT first.",
        )
    for key, harmless in _REFUSED.items():
        if config.get(key) not in (harmless, None, [], {}):
            raise BadModel(
                f"The adapter {folder.name} uses {key}, which is not supported here.", "Merge it with PEFT first."
            )
    return dict(config)


def _change(module: str, own: Mapping[str, str], config: Mapping[str, Any], folder: Path) -> tuple[str, Change]:
    embedding = "lora_embedding_A" in own
    a, b = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A", "lora_B")
    if a not in own or b not in own:
        raise BadModel(f"The adapter {folder.name} has only one of the two matrices of {module}.", "Fetch it again.")
    rank = _of_module(config.get("rank_pattern"), module, config["r"])
    alpha = _of_module(config.get("alpha_pattern"), module, config["lora_alpha"])
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    magnitude = own.get("lora_magnitude_vector", "")
    if config.get("use_dora") and not magnitude:
        raise BadModel(f"The adapter {folder.name} is a DoRA without the magnitudes of {module}.", "Fetch it again.")
    transposed = bool(config.get("fan_in_fan_out")) and not embedding
    return f"{module}.weight", Change(own[a], own[b], magnitude, scale, transposed, embedding)


def _of_module(patterns: Mapping[str, Any] | None, module: str, otherwise: Any) -> float:
    """PEFT's rule: a pattern matches the end of the module's name, at a point."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return float(value)
    return float(otherwise)


def _fitting(change: Change, held: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of the tensor that a change is for."""
    a, b = held[change.a], held[change.b]
    if change.embedding:  # A is (r, entries), B (hidden, r)
        return a[1], b[0]
    return (a[1], b[0]) if change.transposed else (b[0], a[1])


def _target(
    name: str, shapes: Mapping[str, tuple[int, ...]], folder: Path, base_name: str, fitting: tuple[int, ...]
) -> str:
    if name in ("lm_head.weight", "embed_out.weight") and name not in shapes:
        raise BadModel(
            f"The adapter {folder.name} changes the head of {base_name}, which is its embedding.",
            "Merge it with PEFT first, into a model with a head of its own.",
        )
    if name not in shapes:
        raise BadModel(
            f"The adapter {folder.name} is for another base: {base_name} has no tensor {name}.",
            "Put it on the model that it was trained on.",
        )
    if shapes[name] != fitting:
        said, wanted = " × ".join(map(str, shapes[name])), " × ".join(map(str, fitting))
        raise BadModel(
            f"The adapter {folder.name} is for another base: {name} is {said} in {base_name}, and the adapter's is {wanted}.",
            "Put it on the model that it was trained on.",
        )
    return name
