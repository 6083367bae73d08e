"""Make a student: `build_student` scores a teacher's parts, keeps the best and cuts them out, or starts from scratch.

Each method only decides what to keep (a `Selection`); `cut` does the rest for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from transformers import AutoConfig, PreTrainedModel

from core.engine.builders.inherit import first_blocks
from core.engine.builders.masks import gradient_scores
from core.engine.builders.measure import Block, Progress, Scores
from core.engine.builders.prune import activation_scores
from core.engine.builders.scratch import fresh
from core.engine.builders.selection import Selection, by_group, choose
from core.engine.builders.slicing import cut
from core.engine.families import family_of
from core.errors import Trouble
from core.shapes import Shape, config_for, shape_of, validate_cut

Method = Literal["prune", "masks", "inherit", "scratch"]
__all__ = ["BuildReport", "Method", "Selection", "build_student", "cut"]


class BuildReport(BaseModel):
    """What a student was made of, for the journal. `words` says it in sentences.

    Layers are numbered from 0. `layer_importance` is the block influence of every teacher layer. The shares are the
    part of the teacher's total score that the kept units hold (for heads and neurons, in the kept layers), 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method
    teacher: Shape | None
    student: Shape
    parameters: int
    words: str
    kept_layers: list[int] | None = None
    layer_importance: list[float] | None = None
    channel_share: float | None = None
    head_share: float | None = None
    neuron_share: float | None = None
    calibration_sequences: int | None = None
    calibration_tokens: int | None = None


def build_student(
    teacher: PreTrainedModel | None,
    teacher_config: Mapping[str, Any],
    shape: Shape,
    method: Method,
    calibration: Iterable[Block] | None,
    seed: int,
    progress: Progress,
) -> tuple[PreTrainedModel, BuildReport]:
    """A student of `shape` in the architecture of `teacher_config` (a `config.json`), and what it is made of.

    `calibration` gives batches of token ids (B, T), or mappings with `input_ids` and optionally `position_ids` and
    `labels` (-100: not counted); only `prune` and `masks` read it. Only `scratch` uses the seed and needs no teacher.
    `progress` is told a phase and its done share, 0 to 1. A cut student has the teacher's dtype and device, a fresh one
    is float32 on the CPU.

    Raises Trouble if the shape can't be cut from the teacher or, for `inherit`, differs in width; BadModel for an
    architecture that can't be pruned or activations that aren't finite; BadData when there is no calibration text.
    """
    if method == "scratch":
        student = fresh(AutoConfig.for_model(**config_for(teacher_config, shape)), seed)
        words = f"A fresh {shape.model_type} of {_sizes(shape)}, initialised from seed {seed}."
        report = BuildReport(
            method=method, teacher=None, student=shape, parameters=student.num_parameters(), words=words
        )
        return student, report
    if teacher is None:
        raise ValueError(f"{method} needs a teacher")
    family, whole = family_of(teacher.config.model_type), shape_of(teacher_config)
    if problems := validate_cut(whole, shape):
        raise Trouble(
            f"This student cannot be cut from its teacher: {'; '.join(problems)}.", "Choose another shape or builder."
        )
    scores: Scores | None = None
    if method == "inherit":
        selection = first_blocks(whole, shape)
    else:
        scored = activation_scores if method == "prune" else gradient_scores
        scores = scored(teacher, calibration, progress)
        selection = choose(scores, family, whole, shape)
    config = config_for(teacher_config, shape, selection.layers)
    student = cut(teacher, AutoConfig.for_model(**config), selection)
    return student, _report(method, whole, shape, selection, scores, student.num_parameters())


def _report(
    method: Method, teacher: Shape, student: Shape, selection: Selection, scores: Scores | None, parameters: int
) -> BuildReport:
    kept = list(selection.layers)
    gone = [layer for layer in range(teacher.layers) if layer not in kept]
    words = [f"Cut from a {teacher.model_type} of {_sizes(teacher)}: kept {_sizes(student)}."]
    if gone:
        words.append(f"Dropped layers (from 0): {', '.join(map(str, gone))}.")
    if scores is None:
        words.append("Embeddings, final norm and head are the teacher's.")
        return BuildReport(
            method=method,
            teacher=teacher,
            student=student,
            parameters=parameters,
            words=" ".join(words),
            kept_layers=kept,
        )
    channel_share = float(scores.channels[selection.channels].sum() / scores.channels.sum())
    head_share = _share(by_group(scores.heads, teacher), kept, selection.groups)
    neuron_share = _share(scores.neurons, kept, selection.neurons)
    means = {"prune": "activations", "masks": "gradients of masks"}[method]
    words.append(
        f"By {means} over {scores.sequences} sequences ({scores.tokens} tokens), the kept channels hold "
        f"{channel_share:.0%} of the score, the heads {head_share:.0%}, the neurons {neuron_share:.0%}."
    )
    return BuildReport(
        method=method,
        teacher=teacher,
        student=student,
        parameters=parameters,
        words=" ".join(words),
        kept_layers=kept,
        layer_importance=[float(value) for value in scores.layers],
        channel_share=channel_share,
        head_share=head_share,
        neuron_share=neuron_share,
        calibration_sequences=scores.sequences,
        calibration_tokens=scores.tokens,
    )


def _share(scores: torch.Tensor, layers: list[int], kept: tuple[torch.Tensor, ...]) -> float:
    held = sum(scores[layer][indices].sum() for layer, indices in zip(layers, kept, strict=True))
    return float(held / scores[layers].sum())


def _sizes(shape: Shape) -> str:
    groups = "" if shape.kv_heads == shape.heads else f" on {shape.kv_heads} key-value heads"
    return (
        f"{shape.layers} layers, {shape.hidden} channels, {shape.heads} heads{groups} and "
        f"{shape.intermediate} neurons a layer"
    )
