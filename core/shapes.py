"""The shape of a model: what its `config.json` says about layers and widths, counted exactly.

A shape is read from a Hugging Face config dictionary (`shape_of`), counted (`count_parameters`), proposed for a target
size in a teacher's architecture (`propose_shapes`, `scratch_shapes`), checked (`validate_cut`) and written back as a
config (`config_for`). No torch is needed.
"""

from __future__ import annotations

import copy
import heapq
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from core.errors import BadModel, Trouble
from core.numbers import count_text


class Shape(BaseModel):
    """Layers and widths of a decoder language model. Sizes are counts of units, never bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_type: (
        str  # the `model_type` of the Hugging Face config: llama, qwen2, qwen3, mistral, gemma, gpt2, gpt_neox …
    )
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    context: int
    tied: bool


class ParameterCount(BaseModel):
    """Exact counts; a tied embedding is counted once.

    `non_embedding` leaves out token and learnt position embeddings and an untied head.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    total: int
    non_embedding: int


class Proposal(BaseModel):
    """A student shape near a target size. `score` is in (0, 1], higher is better; 1 is the ideal of its kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Shape
    parameters: int
    non_embedding: int
    score: float
    reason: str


# --- families ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Family:
    """What transformers' modelling code of one `model_type` builds: field names, defaults, biases and norms."""

    defaults: Mapping[str, int | None]  # what the config class has when `config.json` leaves a field out
    tied: bool
    names: Mapping[str, str]
    qkv_bias: bool | Literal["attention_bias"] = False
    output_bias: bool | Literal["attention_bias"] = False
    attention_bias: bool = False  # default of that field
    mlp_bias: bool | Literal["mlp_bias"] = False
    gated: bool = True  # gate, up and down projections, rather than up and down
    layer_norms: int = 2
    norm_bias: bool = False  # LayerNorm rather than RMSNorm
    head_norms: bool = False  # a norm of width head_dim on queries and one on keys
    learnt_positions: bool = False
    square: bool = False  # no head_dim field: heads · head_dim is the hidden width, and every head has its own keys
    divides: bool = False  # the config class refuses a hidden width that is no multiple of the heads


_NAMES = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "intermediate": "intermediate_size",
    "vocabulary": "vocab_size",
    "context": "max_position_embeddings",
}
_GPT2_NAMES = _NAMES | {
    "layers": "n_layer",
    "hidden": "n_embd",
    "heads": "n_head",
    "intermediate": "n_inner",
    "context": "n_positions",
}


def _defaults(*values: int | None) -> dict[str, int | None]:
    return dict(zip(_NAMES, values, strict=True))


_FAMILIES: dict[str, _Family] = {
    "llama": _Family(
        _defaults(32, 4096, 32, None, None, 11008, 32000, 2048),
        tied=False,
        names=_NAMES,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias="mlp_bias",
        divides=True,
    ),
    "mistral": _Family(_defaults(32, 4096, 32, 8, None, 14336, 32000, 131072), tied=False, names=_NAMES),
    "qwen2": _Family(_defaults(32, 4096, 32, 32, None, 22016, 151936, 32768), tied=False, names=_NAMES, qkv_bias=True),
    "qwen3": _Family(
        _defaults(32, 4096, 32, 32, 128, 22016, 151936, 32768),
        tied=False,
        names=_NAMES,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        head_norms=True,
    ),
    "gemma": _Family(
        _defaults(28, 3072, 16, 16, 256, 24576, 256000, 8192),
        tied=True,
        names=_NAMES,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
    ),
    "gemma2": _Family(
        _defaults(26, 2304, 8, 4, 256, 9216, 256000, 8192),
        tied=True,
        names=_NAMES,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        layer_norms=4,
        divides=True,
    ),
    "gemma3_text": _Family(
        _defaults(26, 2304, 8, 4, 256, 9216, 262208, 131072),
        tied=True,
        names=_NAMES,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        layer_norms=4,
        head_norms=True,
        divides=True,
    ),
    "gpt2": _Family(
        _defaults(12, 768, 12, None, None, None, 50257, 1024),
        tied=True,
        names=_GPT2_NAMES,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        gated=False,
        norm_bias=True,
        learnt_positions=True,
        square=True,
        divides=True,
    ),
    "gpt_neox": _Family(
        _defaults(44, 6144, 64, None, None, 24576, 50432, 2048),
        tied=False,
        names=_NAMES,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        attention_bias=True,
        mlp_bias=True,
        gated=False,
        norm_bias=True,
        square=True,
        divides=True,
    ),
}

KNOWN_FAMILIES = frozenset(_FAMILIES)
"""The `model_type`s whose shape is understood, so that students can be cut from them or built like them."""


def _family(config: Mapping[str, Any]) -> _Family:
    model_type = config.get("model_type")
    family = _FAMILIES.get(str(model_type))
    if family is None:
        known = ", ".join(sorted(KNOWN_FAMILIES))
        raise BadModel(
            f'The architecture "{model_type}" is not one Stillroom can take apart (it knows {known}).',
            "It can still be used as an existing checkpoint.",
        )
    if config.get("add_cross_attention"):
        raise BadModel(
            'This model has cross-attention ("add_cross_attention": true in config.json), so it is no plain decoder.',
            "It can still be used as an existing checkpoint.",
        )
    return family


# --- reading ----------------------------------------------------------------------------------------------------------


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a `config.json` describes, with transformers' own defaults for fields it leaves out.

    Raises BadModel for an architecture outside `KNOWN_FAMILIES` or a field that is no positive whole number.
    """
    family = _family(config)
    hidden = _size(config, family, "hidden")
    heads = _size(config, family, "heads")
    if family.square:
        kv_heads, head_dim = heads, hidden // heads
        if heads * head_dim != hidden:
            raise BadModel(
                f'In config.json, "{family.names["hidden"]}" ({hidden}) is not a multiple of '
                f'"{family.names["heads"]}" ({heads}).',
                "Correct the file or fetch the model again.",
            )
    else:
        kv_heads = _size(config, family, "kv_heads", otherwise=heads)
        head_dim = _size(config, family, "head_dim", otherwise=max(1, hidden // heads))
    return Shape(
        model_type=str(config["model_type"]),
        layers=_size(config, family, "layers"),
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=_size(config, family, "intermediate", otherwise=4 * hidden),
        vocabulary=_size(config, family, "vocabulary"),
        context=_size(config, family, "context"),
        tied=bool(config.get("tie_word_embeddings", family.tied)),
    )


def _size(config: Mapping[str, Any], family: _Family, unit: str, otherwise: int | None = None) -> int:
    """A field by its name in this family, or by the common one, as transformers reads it; null means `otherwise`."""
    name = family.names[unit]
    if name not in config and _NAMES[unit] in config:
        name = _NAMES[unit]
    value = config.get(name, family.defaults[unit])
    if value is None and otherwise is not None:
        value = otherwise
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadModel(
            f'In config.json, "{name}" is {value!r}, which is no positive whole number.',
            "Correct the file or fetch the model again.",
        )
    return value


def layer_types_of(config: Mapping[str, Any]) -> list[str] | None:
    """Which attention each layer has (`sliding_attention` or `full_attention`); None in a family without such a list.

    Where `layer_types` is left out, the rule of transformers' config class is followed.
    """
    shape = shape_of(config)
    listed = config.get("layer_types")
    if isinstance(listed, list):
        return [str(kind) for kind in listed]
    if shape.model_type in ("gemma2", "gemma3_text"):
        every = 2 if shape.model_type == "gemma2" else int(config.get("sliding_window_pattern", 6))
        sliding = [bool((layer + 1) % every) for layer in range(shape.layers)]
    elif shape.model_type in ("qwen2", "qwen3"):
        window = config.get("use_sliding_window", False) and config.get("sliding_window", 4096) is not None
        sliding = [bool(window) and layer >= config.get("max_window_layers", 28) for layer in range(shape.layers)]
    else:
        return None
    return ["sliding_attention" if slides else "full_attention" for slides in sliding]


def dtype_of(config: Mapping[str, Any]) -> str | None:
    """The data type a config names, such as `bfloat16` (`dtype`; `torch_dtype` before transformers 5)."""
    named = config.get("dtype") or config.get("torch_dtype")
    return str(named).removeprefix("torch.") if named else None


def rope_theta_of(config: Mapping[str, Any]) -> float | None:
    """The base of the rotary embedding: in `rope_parameters`, or `rope_theta`/`rotary_emb_base` before transformers 5.

    With one set of parameters per kind of layer (Gemma 3), that of full attention.
    """
    parameters = config.get("rope_parameters") or {}
    parameters = parameters.get("full_attention", parameters)
    theta = parameters.get("rope_theta", config.get("rope_theta", config.get("rotary_emb_base")))
    return None if theta is None else float(theta)


# --- counting ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Counter:
    """Counts parameters of shapes that share a config's biases and norms. Linear in neurons and in layers."""

    family: _Family
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> _Counter:
        family = _family(config)
        attention = bool(config.get("attention_bias", family.attention_bias))
        return cls(
            family,
            qkv_bias=attention if family.qkv_bias == "attention_bias" else bool(family.qkv_bias),
            output_bias=attention if family.output_bias == "attention_bias" else bool(family.output_bias),
            mlp_bias=bool(config.get("mlp_bias", False)) if family.mlp_bias == "mlp_bias" else bool(family.mlp_bias),
        )

    def norm(self, hidden: int) -> int:
        return hidden * (2 if self.family.norm_bias else 1)

    def layer_without_neurons(self, hidden: int, heads: int, kv_heads: int, head_dim: int) -> int:
        queries, keys = heads * head_dim, kv_heads * head_dim
        projected = queries + 2 * keys
        weights = hidden * projected + queries * hidden
        biases = projected * self.qkv_bias + hidden * self.output_bias + hidden * self.mlp_bias
        norms = self.family.layer_norms * self.norm(hidden) + 2 * head_dim * self.family.head_norms
        return weights + biases + norms

    def neuron(self, hidden: int) -> int:
        inputs = 2 if self.family.gated else 1
        return (inputs + 1) * hidden + inputs * self.mlp_bias

    def embeddings(self, hidden: int, like: Shape) -> int:
        """Token and learnt position embeddings and an untied head, with vocabulary and context of `like`."""
        rows = like.vocabulary * (1 if like.tied else 2) + like.context * self.family.learnt_positions
        return rows * hidden

    def count(self, shape: Shape) -> ParameterCount:
        layer = self.layer_without_neurons(shape.hidden, shape.heads, shape.kv_heads, shape.head_dim)
        layer += shape.intermediate * self.neuron(shape.hidden)
        inner = shape.layers * layer + self.norm(shape.hidden)
        return ParameterCount(total=inner + self.embeddings(shape.hidden, shape), non_embedding=inner)


def count_parameters(config: Mapping[str, Any]) -> ParameterCount:
    """Parameters of the causal language model that transformers builds from `config`, exact to the last bias."""
    return _Counter.of(config).count(shape_of(config))


# --- writing ----------------------------------------------------------------------------------------------------------

# They tell where the teacher came from or how its file was stored, which isn't true of the student.
_NOT_INHERITED = ("_name_or_path", "auto_map", "quantization_config", "transformers_version", "pruned_heads")


def config_for(
    teacher_config: Mapping[str, Any], shape: Shape, kept_layers: Sequence[int] | None = None
) -> dict[str, Any]:
    """The config of a student of this shape in the teacher's architecture; everything that is no size is kept.

    `kept_layers` are the teacher's layers, from 0, that the student takes over: `layer_types` follows them. Without it,
    the first ones; a student deeper than its teacher continues the teacher's pattern.
    Raises Trouble when the shape is of another architecture or doesn't hold together (`shape_problems`).
    """
    family = _family(teacher_config)
    teacher = shape_of(teacher_config)
    if shape.model_type != teacher.model_type:
        raise Trouble(
            f"A {shape.model_type} shape cannot be written into a {teacher.model_type} config.",
            "Choose a student shape of the teacher's architecture.",
        )
    if problems := shape_problems(shape):
        raise Trouble(f"This student shape does not work: {'; '.join(problems)}.", "Change the shape.")
    config = copy.deepcopy({key: value for key, value in teacher_config.items() if key not in _NOT_INHERITED})
    for unit, name in family.names.items():
        if family.square and unit in ("kv_heads", "head_dim"):
            continue
        if name != _NAMES[unit]:
            config.pop(_NAMES[unit], None)  # else the common name would speak against the family's own
        config[name] = getattr(shape, unit)
    if "n_ctx" in config:
        config["n_ctx"] = shape.context
    config["tie_word_embeddings"] = shape.tied
    _cut_layer_types(config, teacher_config, shape.layers, kept_layers)
    return config


def _cut_layer_types(
    config: dict[str, Any], teacher_config: Mapping[str, Any], layers: int, kept_layers: Sequence[int] | None
) -> None:
    if kept_layers is not None and len(kept_layers) != layers:
        raise ValueError(f"{len(kept_layers)} kept layers for a student of {layers}")
    types = layer_types_of(teacher_config)
    if types is None:
        return
    if kept_layers is not None:
        config["layer_types"] = [types[layer] for layer in kept_layers]
    else:
        period = next(p for p in range(1, len(types) + 1) if all(t == types[i % p] for i, t in enumerate(types)))
        config["layer_types"] = [types[layer % period] for layer in range(layers)]


# --- checking ---------------------------------------------------------------------------------------------------------


def shape_problems(shape: Shape) -> list[str]:
    """Why transformers would not build this shape, in words; empty when it would."""
    family = _FAMILIES.get(shape.model_type)
    problems = [
        f"{unit.replace('_', '-')} is {getattr(shape, unit)}, but must be at least 1"
        for unit in _NAMES
        if getattr(shape, unit) < 1
    ]
    if problems or family is None:
        return problems or [f'the architecture "{shape.model_type}" is unknown']
    if shape.heads % shape.kv_heads:
        problems.append(f"{shape.heads} query heads cannot be shared evenly by {shape.kv_heads} key-value heads")
    if family.square and (shape.heads * shape.head_dim != shape.hidden or shape.kv_heads != shape.heads):
        problems.append(
            f"in {shape.model_type} the hidden width is heads × head width and every head has its own keys, but "
            f"hidden is {shape.hidden} with {shape.heads} heads × {shape.head_dim} and {shape.kv_heads} key-value heads"
        )
    elif family.divides and shape.hidden % shape.heads:
        problems.append(
            f"{shape.model_type} wants a hidden width that is a multiple of the heads, "
            f"but {shape.hidden} is no multiple of {shape.heads}"
        )
    if not family.square and shape.head_dim % 2:
        problems.append(f"rotary embeddings need an even head width, not {shape.head_dim}")
    return problems


def validate_cut(teacher: Shape, student: Shape) -> list[str]:
    """Why `student` cannot be cut from `teacher` by leaving out layers, channels, key-value groups and neurons."""
    if student.model_type != teacher.model_type:
        return [f"the student is a {student.model_type}, the teacher a {teacher.model_type}"]
    problems = shape_problems(student)
    words = {
        "layers": "layers",
        "hidden": "hidden channels",
        "heads": "heads",
        "kv_heads": "key-value heads",
        "intermediate": "neurons",
        "context": "positions of context",
    }
    for unit, word in words.items():
        mine, theirs = getattr(student, unit), getattr(teacher, unit)
        if mine > theirs:
            problems.append(f"the student has {mine} {word}, the teacher only {theirs}")
    if student.head_dim != teacher.head_dim:
        problems.append(f"the student's heads are {student.head_dim} wide, the teacher's {teacher.head_dim}")
    if student.heads * teacher.kv_heads != teacher.heads * student.kv_heads:
        problems.append(
            f"only whole key-value groups can go: the teacher has {teacher.heads} heads on {teacher.kv_heads} "
            f"key-value heads, the student {student.heads} on {student.kv_heads}"
        )
    if student.vocabulary != teacher.vocabulary:
        problems.append(f"the student's vocabulary is {student.vocabulary}, the teacher's {teacher.vocabulary}")
    if student.tied != teacher.tied:
        tied = {True: "tied", False: "separate"}
        problems.append(
            f"input and output embeddings are {tied[student.tied]} in the student, {tied[teacher.tied]} in the teacher"
        )
    return problems


# --- proposing --------------------------------------------------------------------------------------------------------


def propose_shapes(
    teacher_config: Mapping[str, Any], target_params: int, tolerance: float = 0.02, most: int = 8
) -> list[Proposal]:
    """Shapes within `tolerance` of `target_params` (all parameters) that can be cut from the teacher, best first.

    Depth and the number of heads go last, as Minitron found best (arXiv 2407.14679, best practices; its 8B and 4B
    students keep all layers): the cost is x_hidden² + x_neurons² + ½·x_heads² + 2·x_layers with x = ln(teacher's/
    student's), so layers are given up only when the widths would fall below about a third; the score is exp(−cost).
    Raises Trouble, with the reachable range, for a target above the teacher, or below or between what can be cut.
    """
    teacher, counter = shape_of(teacher_config), _Counter.of(teacher_config)
    if problems := shape_problems(teacher):
        raise BadModel(f"The teacher's config.json does not hold together: {'; '.join(problems)}.", "Fetch it again.")
    whole = counter.count(teacher).total
    least = counter.count(_smallest_cut(teacher)).total
    if not least <= target_params <= whole:
        raise _out_of_reach(target_params, least, whole)
    found: dict[Shape, float] = {}
    step = _width_step(teacher.hidden)
    while step >= 8 and len(found) < most:
        for cost, layers, hidden, groups, neurons in heapq.nsmallest(
            most, _cuts(counter, teacher, target_params, tolerance, step)
        ):
            found.setdefault(_cut(teacher, layers, hidden, groups, neurons), cost)
        step //= 2
    if not found:
        raise _between_sizes(counter, teacher, target_params, tolerance)
    ranked = sorted(found.items(), key=lambda item: item[1])[:most]
    return [
        _proposal(counter, shape, cost, _reason_of_cut(counter, teacher, shape, target_params))
        for shape, cost in ranked
    ]


def _cut(teacher: Shape, layers: int, hidden: int, groups: int, neurons: int) -> Shape:
    heads = groups * (teacher.heads // teacher.kv_heads)
    size = {"layers": layers, "hidden": hidden, "heads": heads, "kv_heads": groups, "intermediate": neurons}
    return teacher.model_copy(update=size)


def _smallest_cut(teacher: Shape) -> Shape:
    hidden = min(teacher.hidden, math.lcm(8, teacher.heads // teacher.kv_heads))
    if _FAMILIES[teacher.model_type].square:
        hidden = teacher.head_dim
    return _cut(teacher, layers=1, hidden=hidden, groups=1, neurons=min(8, teacher.intermediate))


def _cuts(
    counter: _Counter, teacher: Shape, target: int, tolerance: float, step: int
) -> Iterator[tuple[float, int, int, int, int]]:
    """(cost, layers, hidden, key-value groups, neurons) of every cut in reach with `hidden` a multiple of `step`.

    The count is linear in groups and in neurons, so both ranges are solved for instead of tried.
    """
    low, high = target * (1 - tolerance), target * (1 + tolerance)
    family, ratio, most_neurons = counter.family, teacher.heads // teacher.kv_heads, teacher.intermediate
    least_neurons = min(8, most_neurons)
    for hidden in _widths(teacher, step, square=family.square):
        outside = counter.embeddings(hidden, teacher) + counter.norm(hidden)
        neuron = counter.neuron(hidden)
        first = counter.layer_without_neurons(hidden, ratio, 1, teacher.head_dim)
        group = counter.layer_without_neurons(hidden, 2 * ratio, 2, teacher.head_dim) - first
        cost_of_hidden = math.log(teacher.hidden / hidden) ** 2
        for layers in range(1, teacher.layers + 1):
            room_low, room_high = (low - outside) / layers, (high - outside) / layers  # parameters a layer may have
            fewest = max(1, math.ceil((room_low - first - neuron * most_neurons) / group) + 1)
            many = min(teacher.kv_heads, math.floor((room_high - first - neuron * least_neurons) / group) + 1)
            if family.square:
                fewest, many = max(fewest, hidden // teacher.head_dim), min(many, hidden // teacher.head_dim)
            cost_of_layers = 2 * math.log(teacher.layers / layers)
            for groups in range(fewest, many + 1):
                if family.divides and hidden % (groups * ratio):
                    continue
                rest = first + (groups - 1) * group
                middle = (room_low + room_high) / 2 - rest
                bounds = max(1.0, (room_low - rest) / neuron), min(most_neurons, (room_high - rest) / neuron)
                neurons = _round_neurons(bounds[0], middle / neuron, bounds[1], most_neurons)
                if neurons is None:
                    continue
                total = outside + layers * (rest + neurons * neuron)
                cost = cost_of_hidden + cost_of_layers + math.log(most_neurons / neurons) ** 2
                cost += 0.5 * math.log(teacher.kv_heads / groups) ** 2 + abs(total / target - 1)
                yield cost, layers, hidden, groups, neurons


def _widths(teacher: Shape, step: int, *, square: bool) -> list[int]:
    """Hidden widths to try: the teacher's, and multiples of `step` (of the head width where that makes the width)."""
    if square:
        step = teacher.head_dim
    return sorted({*range(step, teacher.hidden, step), teacher.hidden})


def _width_step(width: int) -> int:
    """Multiples that matrix units work well with, smaller for models so small that they would leave no choice."""
    for least, step in ((2048, 128), (768, 64), (384, 32), (128, 16)):
        if width >= least:
            return step
    return 8


def _round_neurons(low: float, ideal: float, high: float, keep: int | None = None) -> int | None:
    """The roundest number of neurons in [low, high] near `ideal`; `keep` (the teacher's) if it is in range."""
    if keep is not None and low <= keep <= high:
        return keep
    for step in (256, 128, 64, 32, 16, 8):
        nearest = round(ideal / step) * step
        if max(1.0, low) <= nearest <= high:
            return nearest
    return None


def _out_of_reach(target: int, least: int, whole: int) -> Trouble:
    side = "is larger than this teacher" if target > whole else "is smaller than anything that can be cut from it"
    return Trouble(
        f"A student of {count_text(target)} parameters {side}: students of this teacher have between "
        f"{count_text(least)} and {count_text(whole)} parameters.",
        "Choose a target in that range, another teacher, or a student built from scratch.",
    )


def _between_sizes(counter: _Counter, teacher: Shape, target: int, tolerance: float) -> Trouble:
    """Small teachers with a large vocabulary have holes between their sizes: name the shores."""
    shores: list[int] = []
    while not shores:  # ends: the teacher and its smallest cut lie on either side of the target
        tolerance *= 2
        cuts = _cuts(counter, teacher, target, tolerance, step=8)
        shores = [counter.count(_cut(teacher, *cut[1:])).total for cut in cuts]
    nearest = min(shores, key=lambda total: abs(total - target))
    return Trouble(
        f"No student of {count_text(target)} parameters can be cut from this teacher with whole heads and channels.",
        f"The nearest has {count_text(nearest)}: choose that, or a student built from scratch.",
    )


def _proposal(counter: _Counter, shape: Shape, cost: float, reason: str) -> Proposal:
    count = counter.count(shape)
    return Proposal(
        shape=shape, parameters=count.total, non_embedding=count.non_embedding, score=math.exp(-cost), reason=reason
    )


def _reason_of_cut(counter: _Counter, teacher: Shape, student: Shape, target: int) -> str:
    if student == teacher:
        return "The teacher's own shape: nothing is cut."
    kept, cut = [], []
    for unit, word in (("layers", "layers"), ("hidden", "width"), ("heads", "heads"), ("intermediate", "neurons")):
        mine, theirs = getattr(student, unit), getattr(teacher, unit)
        if mine == theirs:
            kept.append(f"all {theirs} {word}" if unit != "hidden" else f"the full width {theirs}")
        else:
            cut.append(f"{word} {theirs} → {mine} ({mine / theirs:.0%})")
    words = f"Keeps {_listed(kept)}; cuts {_listed(cut)}" if kept else f"Cuts {_listed(cut)}"
    reasons = [words + "."]
    if student.layers < teacher.layers:
        reasons.append("Width is better cut than depth, so look at the shapes with more layers first.")
    before, after = counter.count(teacher), counter.count(student)
    if after.non_embedding < before.non_embedding / 2:
        reasons.append(
            f"Only {after.non_embedding / before.non_embedding:.0%} of the teacher outside its embeddings is left: "
            "more than half at once is hard to heal, so consider two steps."
        )
    reasons.append(_miss(after.total, target))
    return " ".join(reasons)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _miss(total: int, target: int) -> str:
    miss = total / target - 1
    if abs(miss) < 0.0005:
        return "On the target."
    return f"{abs(miss):.1%} {'above' if miss > 0 else 'below'} the target."


# --- from scratch -----------------------------------------------------------------------------------------------------

# (parameters without embeddings, layers) of published families: tinyllamas (260K, 15M, 42M) and Pythia (160M, 410M,
# 1.4B, 2.8B, 6.9B, 12B; arXiv 2304.01373, table 1). Sheared-LLaMA's 24, 24 and 32 layers lie on the same curve.
_PUBLISHED_DEPTHS = (
    (227_000, 5),
    (5_971_000, 6),
    (25_313_000, 8),
    (85_056_000, 12),
    (302_311_424, 24),
    (1_208_602_624, 24),
    (2_517_652_480, 32),
    (6_444_163_072, 32),
    (11_327_027_200, 36),
)


def scratch_shapes(
    teacher_config: Mapping[str, Any], target_params: int, tolerance: float = 0.02, most: int = 8
) -> list[Proposal]:
    """Shapes of the target size in the teacher's architecture and vocabulary, not bound by its widths, best first.

    Depth follows small models that others published and trained well; neurons are 8/3 of the width where the MLP is
    gated, else 4; heads fill the width, in even numbers and sharing keys as in the teacher where that divides.
    Raises Trouble when the vocabulary alone leaves no room.
    """
    teacher, counter = shape_of(teacher_config), _Counter.of(teacher_config)
    found: list[tuple[float, Shape]] = []
    for fineness in (1, 2, 4):
        found = list(_fresh_shapes(counter, teacher, target_params, tolerance, fineness))
        if len(found) >= most:
            break
    if not found:
        least = counter.embeddings(16, teacher)
        raise Trouble(
            f"No {teacher.model_type} of {count_text(target_params)} parameters has a sensible shape: a vocabulary of "
            f"{teacher.vocabulary} takes {count_text(least)} at a width of 16 already.",
            "Choose a larger target, or a teacher with a smaller vocabulary.",
        )
    return [
        _proposal(counter, shape, cost, _reason_of_scratch(counter, shape, target_params))
        for cost, shape in heapq.nsmallest(most, found, key=lambda item: item[0])
    ]


def _fresh_shapes(
    counter: _Counter, teacher: Shape, target: int, tolerance: float, fineness: int
) -> Iterator[tuple[float, Shape]]:
    ideal_ratio = 8 / 3 if counter.family.gated else 4.0
    hidden = 16
    while counter.embeddings(hidden, teacher) < target:
        heads, kv_heads, head_dim = _fresh_heads(teacher, hidden)
        outside = counter.embeddings(hidden, teacher) + counter.norm(hidden)
        base, neuron = counter.layer_without_neurons(hidden, heads, kv_heads, head_dim), counter.neuron(hidden)
        ideal_depth = _published_depth(target - outside)
        for layers in range(max(1, round(ideal_depth / 2)), round(ideal_depth * 2) + 1):
            low, ideal, high = (
                ((target * share - outside) / layers - base) / neuron for share in (1 - tolerance, 1, 1 + tolerance)
            )
            if high < hidden:
                break  # deeper ones would have still fewer neurons
            if (neurons := _round_neurons(low, ideal, high)) is None or not 1 <= neurons / hidden <= 8:
                continue
            cost = math.log(layers / ideal_depth) ** 2 + math.log(neurons / hidden / ideal_ratio) ** 2
            cost += 0.05 * (heads % 2) + 0.05 * (heads // kv_heads != teacher.heads // teacher.kv_heads)
            size = {"layers": layers, "hidden": hidden, "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim}
            yield cost, teacher.model_copy(update=size | {"intermediate": neurons})
        hidden += max(8, _width_step(hidden) // fineness)


def _fresh_heads(teacher: Shape, hidden: int) -> tuple[int, int, int]:
    """(heads, key-value heads, head width): the teacher's head width if at least four of them fit, else a smaller."""
    fitting = (width for width in (teacher.head_dim, 128, 64, 32, 16) if width <= teacher.head_dim)
    enough = (width for width in fitting if hidden % width == 0 and hidden // width >= min(4, teacher.heads))
    head_dim = next(enough, 8)
    heads = hidden // head_dim
    sharing = teacher.heads // teacher.kv_heads
    return heads, heads // max(n for n in range(1, sharing + 1) if heads % n == 0), head_dim


def _published_depth(non_embedding: float) -> float:
    """Layers that published models of this size have, between them in proportion to the logarithm of the size."""
    size = min(max(non_embedding, _PUBLISHED_DEPTHS[0][0]), _PUBLISHED_DEPTHS[-1][0])
    for (small, shallow), (large, deep) in itertools.pairwise(_PUBLISHED_DEPTHS):
        if size <= large:
            return shallow + (deep - shallow) * math.log(size / small) / math.log(large / small)
    raise AssertionError("the size was clipped to the table")


def _reason_of_scratch(counter: _Counter, shape: Shape, target: int) -> str:
    count = counter.count(shape)
    usual = _published_depth(count.non_embedding)
    depth = (
        "as deep as" if abs(shape.layers - usual) < 1 else "deeper than" if shape.layers > usual else "shallower than"
    )
    shared = f" on {shape.kv_heads} key-value heads" if shape.kv_heads < shape.heads else ""
    return (
        f"{shape.layers} layers, {depth} published models of this size; width {shape.hidden}, "
        f"{shape.heads} heads{shared}, neurons {shape.intermediate / shape.hidden:.1f} times the width; "
        f"{1 - count.non_embedding / count.total:.0%} is embeddings. {_miss(count.total, target)}"
    )
