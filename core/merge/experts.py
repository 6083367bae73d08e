"""The plan of a mixture of experts made of dense models (sparse upcycling; Komatsuzaki et al. 2022, arXiv 2212.05055; MiniMix and MiniMoE in
methods): attention and norms of the base, the MLPs of the donors as experts, and a linear gate in each layer.

Llama and Mistral become Mixtral, Qwen 2 becomes Qwen 2 MoE, Qwen 3 becomes Qwen 3 MoE, so that transformers loads the result as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import BadRecipe
from core.merge.contents import Contents, layer_of, misfits
from core.merge.document import Document, Expert, ModelRef
from core.merge.plan import CODES, NAMES, Input, MergePlan, TensorPlan
from core.merge.vocabulary import contradiction, vocabulary_of

EXPERT, GATE, ZEROS = "expert", "gate", "zeros"
AUXILIARY = 0.01  # weight of the balance loss
IDLE_NEURONS = 8  # of a shared expert that nobody asked for and Qwen 2 MoE can't do without: its output is zero


@dataclass(frozen=True)
class Target:
    """Where a family's mixture keeps its experts and gate. `names` are of gate, up and down projections."""

    model_type: str
    architecture: str
    experts: str
    gate: str
    names: Mapping[str, str]
    shared: str = ""
    shared_gate: str = ""


_QWEN_NAMES = {"gate_proj": "gate_proj", "up_proj": "up_proj", "down_proj": "down_proj"}
_MIXTRAL = Target(
    "mixtral",
    "MixtralForCausalLM",
    "block_sparse_moe.experts",
    "block_sparse_moe.gate.weight",
    {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"},
)
TARGETS = {
    "llama": _MIXTRAL,
    "mistral": _MIXTRAL,
    "qwen2": Target(
        "qwen2_moe",
        "Qwen2MoeForCausalLM",
        "mlp.experts",
        "mlp.gate.weight",
        _QWEN_NAMES,
        "mlp.shared_expert",
        "mlp.shared_expert_gate.weight",
    ),
    "qwen3": Target("qwen3_moe", "Qwen3MoeForCausalLM", "mlp.experts", "mlp.gate.weight", _QWEN_NAMES),
}


def plan_experts(document: Document, contents: Mapping[ModelRef, Contents]) -> MergePlan:
    """Raises BadRecipe for families that have no mixture here; what is between two models is in `problems`."""
    assert document.mixture is not None
    assert document.base is not None
    base, mixture = contents[document.base], document.mixture
    family = str(base.config.get("model_type"))
    if family not in TARGETS:
        raise BadRecipe(f"There is no mixture of experts of {family} models here.", f"Known are {', '.join(TARGETS)}.")
    target = TARGETS[family]
    if mixture.shared is not None and not target.shared:
        raise BadRecipe(f"{target.architecture} has no shared experts.", "Remove shared_experts.")
    biased = next((name for name in base.tensors if ".mlp." in name and name.endswith(".bias")), None)
    if biased is not None or (
        target is _MIXTRAL and any("self_attn" in name and name.endswith(".bias") for name in base.tensors)
    ):
        raise BadRecipe(f"{base.name} has biases where {target.architecture} has none.", "Choose another base.")
    problems = {}
    for model in document.models():
        reasons = misfits(base, contents[model], same_layers=True, same_rows=False)
        folder = contents[model].folder
        if not reasons and base.folder is not None and folder is not None and model != document.base:
            why = contradiction(vocabulary_of(base.folder), vocabulary_of(folder))
            reasons = [f"Its tokens are not those of {base.name}: {why}."] if why else []
        if reasons:
            problems[model] = tuple(reasons)
    if problems:
        return MergePlan(document, base.config, (), contents, base.tied, problems=problems)
    tensors = tuple(_tensors(document, target, contents))
    notes = [f"The balance of the experts counts {AUXILIARY} in training (router_aux_loss_coef)."]
    if len({expert.model for expert in mixture.experts}) == 1 and not any(e.noise_scale for e in mixture.experts):
        notes.append("All experts are the same, so the mixture answers as its base does until it is trained.")
    if mixture.per_token == 1:
        notes.append(
            "With one expert a token, its probability is normalized to 1, and only the balance trains the gate."
        )
    config = _config(document, target, base, tensors)
    return MergePlan(document, config, tensors, contents, base.tied, notes=tuple(notes))


def _tensors(document: Document, target: Target, contents: Mapping[ModelRef, Contents]) -> list[TensorPlan]:
    assert document.mixture is not None
    assert document.base is not None
    mixture, base = document.mixture, contents[document.base]
    found: list[TensorPlan] = []
    code = CODES[document.dtype] if document.dtype else None

    def plan(
        name: str, method: str, source: ModelRef | None, tensor: str, shape: tuple[int, ...], **shared: Any
    ) -> None:
        inputs = () if source is None else (Input(source, tensor),)
        dtype = code or (contents[source].tensors[tensor].dtype if source is not None else kind)
        found.append(TensorPlan(name, shape, dtype, method, inputs, shared=shared))

    kind = next(iter(base.tensors.values())).dtype
    for name, facts in base.tensors.items():
        place = layer_of(name)
        if place is None or not place[2].startswith("mlp."):
            plan(name, EXPERT, document.base, name, facts.shape)
            continue
        stem, layer, rest = place
        projection = rest.split(".")[1]
        down = projection == "down_proj"
        for number, expert in enumerate(mixture.experts):
            to = f"{stem}.{layer}.{target.experts}.{number}.{target.names[projection]}.weight"
            plan(to, EXPERT, expert.model, name, facts.shape, **_scales(expert, down))
        if target.shared:
            to = f"{stem}.{layer}.{target.shared}.{projection}.weight"
            if mixture.shared is not None:
                plan(to, EXPERT, mixture.shared.model, name, facts.shape, **_scales(mixture.shared, down))
            else:
                width = (facts.shape[0], IDLE_NEURONS) if down else (IDLE_NEURONS, facts.shape[1])
                plan(to, ZEROS, None, "", width)
        if down:
            hidden = facts.shape[0]
            plan(f"{stem}.{layer}.{target.gate}", GATE, None, "", (len(mixture.experts), hidden), layer=layer)
            if target.shared_gate:
                plan(f"{stem}.{layer}.{target.shared_gate}", ZEROS, None, "", (1, hidden))
    return found


def _scales(expert: Expert, down: bool) -> dict[str, float]:
    scales = {"noise": expert.noise_scale, "scale": expert.residual_scale if down else None}
    return {name: value for name, value in scales.items() if value is not None}


def _config(document: Document, target: Target, base: Contents, tensors: tuple[TensorPlan, ...]) -> dict[str, Any]:
    assert document.mixture is not None
    shape, count = base.shape, len(document.mixture.experts)
    assert shape is not None
    left_out = ("torch_dtype", "_name_or_path", "auto_map", "transformers_version", "architectures", "model_type")
    config = copy.deepcopy({key: value for key, value in base.config.items() if key not in left_out})
    config |= {
        "model_type": target.model_type,
        "architectures": [target.architecture],
        "tie_word_embeddings": base.tied,
        "num_experts_per_tok": document.mixture.per_token,
        "router_aux_loss_coef": AUXILIARY,
        "head_dim": shape.head_dim,
        "num_key_value_heads": shape.kv_heads,
        "dtype": NAMES.get(tensors[0].dtype, "float32"),
    }
    if target.model_type == "mixtral":
        return config | {"num_local_experts": count, "sliding_window": None}
    shared = document.mixture.shared is not None
    own = {"shared_expert_intermediate_size": shape.intermediate if shared else IDLE_NEURONS} if target.shared else {}
    config |= {"num_experts": count, "moe_intermediate_size": shape.intermediate, "norm_topk_prob": True, **own}
    return config | {
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "sliding_window": None,
        "use_sliding_window": False,
    }
