"""What a merge will do, tensor by tensor, before anything is read: inputs, parameters, shapes, types, and the config that comes out.

The window asks it for shape, size and cost; the engine carries it out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import BadModel, BadRecipe
from core.merge.contents import (
    HEADS,
    Contents,
    differences,
    is_table,
    layer_of,
    misfits,
    stands_first,
)
from core.merge.document import Document, ModelRef, Slice, setting_of
from core.merge.vocabulary import Alignment, align, contradiction, result_tokens, vocabulary_of
from core.merge.weights import FLOATS, TensorFacts
from core.shapes import config_for

CODES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
NAMES = {code: name for name, code in CODES.items()}
COPY = "copy"  # of tensors that are no floating-point numbers: equal in all inputs
_LAYER_KEYS = ("num_hidden_layers", "n_layer", "num_layers")
_VOCABULARY_KEYS = ("vocab_size",)


@dataclass(frozen=True)
class Input:
    model: ModelRef
    tensor: str


@dataclass(frozen=True)
class TensorPlan:
    """One tensor of the result. `base` is a place among `inputs`; `each` goes along with them."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # that is stored, as safetensors writes it
    method: str
    inputs: tuple[Input, ...]
    base: int | None = None
    shared: Mapping[str, Any] = field(default_factory=dict)
    each: tuple[Mapping[str, Any], ...] = ()

    @property
    def facts(self) -> TensorFacts:
        return TensorFacts(self.shape, self.dtype)


@dataclass(frozen=True)
class MergePlan:
    """A document worked out. `problems` are by model: with any, the plan has no tensors."""

    document: Document
    config: Mapping[str, Any]
    tensors: tuple[TensorPlan, ...]
    contents: Mapping[ModelRef, Contents]
    tied: bool
    alignment: Alignment | None = None
    problems: Mapping[ModelRef, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(tensor.facts.size_bytes for tensor in self.tensors)

    @property
    def parameters(self) -> int:
        return sum(tensor.facts.count for tensor in self.tensors)

    def result(self, name: str) -> Contents:
        """The merge as an input of another."""
        tensors = {tensor.name: tensor.facts for tensor in self.tensors}
        return Contents(name, self.config, tensors, self.tied, fingerprint=f"merge {name}")


Tokens = Callable[[ModelRef], Mapping[str, int]]


def plan_merge(document: Document, contents: Mapping[ModelRef, Contents], tokens: Tokens | None = None) -> MergePlan:
    """`contents` has every model of `document.models()`; `tokens` gives the tokenizer of one, by default as in its folder.

    Raises BadRecipe where the recipe asks for what the models don't have; what is between two models is in `problems`.
    """
    if document.mixture is not None:
        from core.merge.experts import plan_experts

        return plan_experts(document, contents)
    return _Planner(document, contents, tokens).plan()


class _Planner:
    def __init__(self, document: Document, contents: Mapping[ModelRef, Contents], tokens: Tokens | None) -> None:
        self.document = document
        self.contents = contents
        self.tokens = tokens or self._tokens
        self.donor = contents[document.donor]
        self.merged = self._merged()
        self.tied = all(contents[model].tied for model in self.merged)
        self.notes = list(document.notes)
        self.row_count: int | None = None

    def plan(self) -> MergePlan:
        problems = self._problems()
        if problems:
            return MergePlan(self.document, self.donor.config, (), self.contents, self.tied, problems=problems)
        slices = self._slices()
        alignment = self._alignment()
        self.row_count = alignment.rows if alignment else None
        tensors = [
            *self._outside(slices[0], first=True),
            *self._layers(slices),
            *self._outside(slices[-1], first=False),
        ]
        for model in self.merged:
            self.notes += [*self.contents[model].notes, *differences(self.donor, self.contents[model])]
        if alignment:
            self.notes += alignment.notes
            if self.row_count is not None and self.row_count < self.donor.rows:
                self.notes.append(
                    f"The embedding shrinks from {self.donor.rows} rows to the {self.row_count} that the tokenizer uses; "
                    "tokenizer.pad_to_multiple_of rounds that up."
                )
        notes = tuple(dict.fromkeys(self.notes))
        config = self._config(slices, tensors)
        return MergePlan(self.document, config, tuple(tensors), self.contents, self.tied, alignment, notes=notes)

    def _merged(self) -> tuple[ModelRef, ...]:
        """The models whose weights go in, the base first."""
        document = self.document
        named = [source.model for part in document.slices for source in part.sources]
        bases = [part.base for part in document.slices if part.base is not None]
        if document.base is not None and (document.whole or document.base in named):
            bases.insert(0, document.base)
        return tuple(dict.fromkeys([*bases, *named]))

    # --- what stands against it

    def _problems(self) -> dict[ModelRef, tuple[str, ...]]:
        found: dict[ModelRef, tuple[str, ...]] = {}
        same_rows = self.document.tokenizer is None
        for model in self.merged:
            contents = self.contents[model]
            if model == self.document.donor:
                continue
            problems = misfits(self.donor, contents, same_layers=self.document.whole, same_rows=same_rows)
            if not problems and same_rows and (why := self._contradiction(model)) is not None:
                problems = [
                    f"Its rows mean other tokens than those of {self.donor.name}: {why}. Say what becomes of them: "
                    "tokenizer: {source: base} or {source: union}."
                ]
            if problems:
                found[model] = tuple(problems)
        return found

    def _contradiction(self, model: ModelRef) -> str | None:
        """Tokenizers that can't be read here (no tokenizer.json) are taken for equal, with a note."""
        mine, theirs = self.donor, self.contents[model]
        if mine.folder is not None and mine.folder == theirs.folder:
            return None
        try:
            return contradiction(self.tokens(self.document.donor), self.tokens(model))
        except BadModel as trouble:
            self.notes.append(f"The tokens of {mine.name} and {theirs.name} could not be compared. {trouble.what}")
            return None

    # --- layers and what is around them

    def _slices(self) -> list[Slice]:
        """The slices with the base among the sources and with all layers counted."""
        found = []
        for index, part in enumerate(self.document.slices):
            sources = list(part.sources)
            base = part.base or self.document.base
            if self.document.whole and base is not None and base not in [source.model for source in sources]:
                sources.append(replace(sources[0], model=base, parameters={}))
            counted = []
            for source in sources:
                deep = self.contents[source.model].layers
                layers = source.layers or (0, deep)
                if layers[1] > deep:
                    raise BadRecipe(
                        f"slices[{index}]: {source.model} has {deep} layers, and {list(layers)} are asked for.",
                        "Correct layer_range; the second number is not included.",
                    )
                counted.append(replace(source, layers=layers))
            found.append(replace(part, sources=tuple(counted)))
        return found

    def _outside(self, part: Slice, first: bool) -> list[TensorPlan]:
        """The tensors before the layers, or behind them; the head of an untied result is behind."""
        names = [name for name in self.donor.tensors if layer_of(name) is None and stands_first(name) == first]
        if not first and not self.tied:
            heads = [name for model in self.merged for name in self.contents[model].tensors if name in HEADS]
            names = [name for name in names if name not in HEADS] + heads[:1]
        return [self._tensor(name, part, [(source.model, name) for source in part.sources], 0.0) for name in names]

    def _layers(self, slices: list[Slice]) -> list[TensorPlan]:
        """Layer upon layer, each with the donor's tensors in their order."""
        by_layer: dict[int, list[tuple[str, str]]] = {}
        for name in self.donor.tensors:
            if (place := layer_of(name)) is not None:
                by_layer.setdefault(place[1], []).append((place[0], place[2]))
        rests = by_layer[min(by_layer)] if by_layer else []
        found, number = [], 0
        for part in slices:
            assert part.sources[0].layers is not None
            count = part.sources[0].layers[1] - part.sources[0].layers[0]
            for offset in range(count):
                t = offset / (count - 1) if count > 1 else 1.0
                own = by_layer.get(number, rests) if self.document.whole else rests
                for stem, rest in own:
                    inputs = [
                        (source.model, f"{stem}.{source.layers[0] + offset}.{rest}")
                        for source in part.sources
                        if source.layers is not None
                    ]
                    found.append(self._tensor(f"{stem}.{number}.{rest}", part, inputs, t))
                number += 1
        return found

    def _tensor(self, name: str, part: Slice, wanted: list[tuple[ModelRef, str]], t: float) -> TensorPlan:
        document, facts = self.document, self.document.facts
        inputs = tuple(Input(model, self._held(model, tensor)) for model, tensor in wanted)
        base_model = part.base or document.base
        models = [each.model for each in inputs]
        base = models.index(base_model) if base_model in models and facts.base != "an input" else None
        around = [part.parameters, *document.parameters]
        shared = {
            parameter.name: setting_of(parameter, around, name, t)
            for parameter in facts.parameters
            if parameter.scope == "merge"
        }
        each = []
        for place, (given, source) in enumerate(zip(inputs, part.sources, strict=True)):
            scopes = ("input",) if place == base else ("input", "tuned")
            each.append(
                {
                    parameter.name: setting_of(parameter, [source.parameters, *around], given.tensor, t)
                    for parameter in facts.parameters
                    if parameter.scope in scopes
                }
            )
        self._complete(name, shared, each, models)
        held = [self.contents[given.model].tensors[given.tensor] for given in inputs]
        method = document.method if all(one.dtype in FLOATS for one in held) else COPY
        shape = held[0].shape if self.row_count is None or not is_table(name) else (self.row_count, *held[0].shape[1:])
        if any(one.shape != held[0].shape for one in held) and (self.row_count is None or not is_table(name)):
            said = ", ".join(f"{one.shape} in {given.model}" for one, given in zip(held, inputs, strict=True))
            raise BadRecipe(f"Tensor {name} has different shapes: {said}.", "Merge models of one shape.")
        return TensorPlan(
            name, shape, self._dtype([one.dtype for one in held]), method, inputs, base, shared, tuple(each)
        )

    def _held(self, model: ModelRef, tensor: str) -> str:
        """The tensor that a model has under this name; the head of a tied model is its embedding."""
        held = self.contents[model].tensors
        if tensor in held:
            return tensor
        if tensor in HEADS and self.contents[model].tied:
            return next(name for name in held if is_table(name))
        raise BadRecipe(f"{model} has no tensor {tensor}.", "Merge models of the same family and shape.")

    def _complete(
        self, name: str, shared: Mapping[str, Any], each: list[dict[str, Any]], models: list[ModelRef]
    ) -> None:
        for values, model in [(shared, None), *zip(each, models, strict=True)]:
            for parameter in values:
                facts = self.document.facts.parameter(parameter)
                if facts is not None and facts.required and values[parameter] is None:
                    of = "" if model is None else f" of {model}"
                    raise BadRecipe(
                        f"The {parameter}{of} is not said for tensor {name}: {self.document.method} needs one.",
                        f"Add parameters: {{{parameter}: …}}, or a value without a filter at the end of the list.",
                    )

    def _dtype(self, held: list[str]) -> str:
        """out_dtype, else dtype, else the widest of the inputs; what is no floating-point number stays as it is."""
        if held[0] not in FLOATS:
            return held[0]
        said = self.document.out_dtype or self.document.dtype
        if said is not None:
            return CODES[said]
        widest = max(held, key=lambda code: FLOATS.get(code, 0))
        return "F32" if {"F16", "BF16"} <= set(held) and widest in ("F16", "BF16") else widest

    # --- tokens

    def _tokens(self, model: ModelRef) -> Mapping[str, int]:
        folder = self.contents[model].folder
        assert folder is not None, f"{model} has no tokenizer yet"
        return vocabulary_of(folder)

    def _alignment(self) -> Alignment | None:
        rule = self.document.tokenizer
        if rule is None:
            return None
        named = list(dict.fromkeys([*self.merged, *(each.model for each in rule.tokens.values() if each.model)]))
        outside = [model for model in named if model not in self.merged]
        if outside:
            raise BadRecipe(f"tokenizer.tokens: {outside[0]} is none of the merged models.", "Name one of them.")
        rows = {model: self.contents[model].rows for model in self.document.models()}
        vocabularies = {model: self.tokens(model) for model in named}
        tokens = result_tokens(rule, self.document.donor, list(self.merged), rows, self.tokens)
        return align(rule, tokens, vocabularies, rows, self.document.base, self.merged)

    # --- the config

    def _config(self, slices: list[Slice], tensors: list[TensorPlan]) -> dict[str, Any]:
        config = copy.deepcopy(dict(self.donor.config))
        kept: list[int] = []
        for part in slices:
            own = [source for source in part.sources if source.model == self.document.donor] or list(part.sources)
            assert own[0].layers is not None
            kept += range(*own[0].layers)
        rows = self.row_count or self.donor.rows
        shape = self.donor.shape
        if shape is not None:
            config = config_for(
                self.donor.config,
                shape.model_copy(update={"layers": len(kept), "vocabulary": rows, "tied": self.tied}),
                [min(layer, shape.layers - 1) for layer in kept],
            )
        else:
            for keys, value in ((_LAYER_KEYS, len(kept)), (_VOCABULARY_KEYS, rows)):
                for key in keys:
                    if key in config:
                        config[key] = value
            config["tie_word_embeddings"] = self.tied
        config.pop("torch_dtype", None)
        floats = [tensor.dtype for tensor in tensors if tensor.dtype in NAMES]
        config["dtype"] = NAMES[max(set(floats), key=floats.count)] if floats else "float32"
        return config
