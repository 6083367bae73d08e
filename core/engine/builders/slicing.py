"""Cut a student out of its teacher: keep some layers, channels, heads and neurons, copy their weights, drop the rest.

The result is an ordinary transformers model of the smaller config. With everything kept it is the teacher, bit for bit.
Dropping a head or a neuron whose weights are zero changes nothing. Dropping hidden channels changes what the norms
divide by, which is put right in the weights:

* RMSNorm. Teacher: w·x / sqrt(Σx²/H + eps), student: w'·x / sqrt(Σ'x²/H' + eps'), where Σ' runs over the kept channels
  and s = Σ'x²/Σx² is their share of the energy. The two agree for w' = w·sqrt(s·H/H') and eps' = s·eps·H/H'. If the
  dropped channels are zero, s = 1; otherwise s is the mean share measured on calibration text. The config has one eps
  for all norms, so eps' takes s = 1.
* Norms over one head's query or key see the new eps too. Scaling the projection before such a norm by sqrt(eps'/eps)
  cancels that exactly.
* Gemma multiplies embeddings by sqrt(H): they are scaled by sqrt(H/H'), and where the head is tied to them the final
  norm is scaled back.
* LayerNorm subtracts the mean over channels first, and the student can only know the mean of the kept ones. With the
  same correction, s now the share of the variance, it is exact if the dropped channels and the mean over channels are
  zero. In general no choice of weights makes it exact when the mean is not: the teacher's norm puts out one
  dimension more on those channels than a LayerNorm of that width can.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from core.engine.builders.selection import Selection
from core.engine.families import Axis, Family, family_of


def cut(teacher: PreTrainedModel, student_config: PretrainedConfig, selection: Selection) -> PreTrainedModel:
    """The student of `student_config` with the selected weights, in evaluation mode, on the teacher's device and dtype.

    The config comes from `core.shapes.config_for` with the selection's layers (so that each keeps its kind of
    attention); its norm epsilon is set here, for the reason above.
    """
    family = family_of(teacher.config.model_type)
    config = _with_epsilon(student_config, teacher.config, family)
    with torch.random.fork_rng(devices=[]):  # the random start is overwritten, and nobody's seed is disturbed
        student = AutoModelForCausalLM.from_config(
            config,
            dtype=teacher.dtype,
            attn_implementation=teacher.config._attn_implementation,
        ).to(teacher.device)
    with torch.no_grad():
        for name, parameter in student.named_parameters():
            parameter.copy_(_slice(teacher, family, config, selection, name, parameter))
    student.tie_weights()
    student.generation_config = copy.deepcopy(teacher.generation_config)
    return student.eval()


def _with_epsilon(config: PretrainedConfig, teacher: PretrainedConfig, family: Family) -> PretrainedConfig:
    config = copy.deepcopy(config)
    if config.hidden_size != teacher.hidden_size:
        ratio = teacher.hidden_size / config.hidden_size
        setattr(config, family.epsilon, getattr(teacher, family.epsilon) * ratio)
    return config


def _slice(
    teacher: PreTrainedModel,
    family: Family,
    config: PretrainedConfig,
    selection: Selection,
    name: str,
    target: Tensor,
) -> Tensor:
    """The student's tensor `name` (of the shape of `target`), taken from the teacher and put right."""
    module, kind = name.rsplit(".", 1)
    place = None  # in the student's stack
    if module.startswith(f"{family.blocks}."):
        number, module = module.removeprefix(f"{family.blocks}.").split(".", 1)
        place = int(number)
        name = f"{family.blocks}.{selection.layers[place]}.{module}.{kind}"
    axes = family.axes(module)
    source = teacher.get_parameter(name).detach()
    wanted: tuple[Axis, ...] = axes[: source.ndim]  # a bias runs over the outputs only
    if family.transposed and source.ndim == 2 and place is not None:
        wanted = (axes[1], axes[0])
    for dimension, axis in enumerate(wanted):
        if axis != "all":
            kept = _indices(axis, selection, place, teacher.config, target.shape[dimension]).to(source.device)
            source = source.index_select(dimension, kept)
    if place is not None and axes[0] in ("query", "key_value", "thirds"):
        return _projection(source, family, module, teacher.config, config, selection.layers[place], place)
    if axes == ("hidden", "all") and kind == "weight":
        return _norm_weight(source, family, name.removesuffix(".weight"), teacher.config, config, selection)
    if module == family.embedding and family.scaled_embedding:
        return source * math.sqrt(teacher.config.hidden_size / config.hidden_size)
    return source


def _indices(axis: Axis, selection: Selection, place: int | None, teacher: PretrainedConfig, length: int) -> Tensor:
    if axis == "hidden":
        return selection.channels
    if axis == "position":
        return torch.arange(length)  # a shorter context keeps the first positions
    assert place is not None, f"axis {axis} outside a block"
    if axis == "neuron":
        return selection.neurons[place]
    groups = selection.groups[place]
    if axis in ("query", "key_value", "triples"):
        return _runs(groups, length // len(groups))
    queries = _runs(groups, length // 3 // len(groups))
    return torch.cat([queries, queries + teacher.hidden_size, queries + 2 * teacher.hidden_size])


def _runs(numbers: Tensor, length: int) -> Tensor:
    """The indices of the runs `numbers` where every run is `length` long: [2], 3 → [6, 7, 8]."""
    return (numbers[:, None] * length + torch.arange(length)).reshape(-1)


def _projection(
    source: Tensor,
    family: Family,
    module: str,
    teacher: PretrainedConfig,
    student: PretrainedConfig,
    old_layer: int,
    new_layer: int,
) -> Tensor:
    """A projection into the heads, scaled for the student's epsilon (head norms) or layer number (a GPT-2 option)."""
    is_query_or_key = module in ("self_attn.q_proj", "self_attn.k_proj")
    if family.head_norms and is_query_or_key and student.hidden_size != teacher.hidden_size:
        return source * math.sqrt(teacher.hidden_size / student.hidden_size)
    if getattr(teacher, "scale_attn_by_inverse_layer_idx", False) and old_layer != new_layer:
        source = source.clone()
        source[..., : source.shape[-1] // 3] *= (new_layer + 1) / (old_layer + 1)
    return source


def _norm_weight(
    source: Tensor,
    family: Family,
    norm: str,
    teacher: PretrainedConfig,
    student: PretrainedConfig,
    selection: Selection,
) -> Tensor:
    ratio = teacher.hidden_size / student.hidden_size
    if ratio == 1:
        return source  # untouched, so that nothing is rounded
    gain = math.sqrt(selection.energy.get(norm, 1.0) * ratio)
    if family.scaled_embedding and norm == family.final_norm and student.tie_word_embeddings:
        gain /= math.sqrt(ratio)
    if family.norm == "rms_plus_one":
        return (1 + source.float()) * gain - 1
    return source.float() * gain
