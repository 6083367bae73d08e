"""A merge as a recipe describes it: which models, which layers, which parameters; and a parameter's value for one tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.merge.methods import METHODS, Method, Parameter, Value


@dataclass(frozen=True, order=True)
class ModelRef:
    """A model as a recipe names it: a folder, a Hub name or the name of another document; `lora` is an adapter on top of it."""

    path: str
    lora: str | None = None
    revision: str | None = None

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{self.path}{at}+{self.lora}" if self.lora else f"{self.path}{at}"


@dataclass(frozen=True)
class Source:
    """An input of a slice. `layers` are half open; None takes all of the model's."""

    model: ModelRef
    layers: tuple[int, int] | None
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Slice:
    """Layers of the result that come from the same layers of some models."""

    sources: tuple[Source, ...]
    base: ModelRef | None
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class TokenRule:
    """Where the embedding of a token comes from: a model, a token of a model, or zero. `force` sets it in every model, not only
    in those that lack the token.
    """

    model: ModelRef | None = None
    token: str | None = None
    token_id: int | None = None
    force: bool = False


@dataclass(frozen=True)
class TokenizerRule:
    """`source` is union, base, or a model."""

    source: str | ModelRef
    tokens: Mapping[str, TokenRule] = field(default_factory=dict)
    pad_to_multiple_of: int | None = None


@dataclass(frozen=True)
class Expert:
    """A donor of the expert layers, and what its gate shall listen to."""

    model: ModelRef
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    noise_scale: float | None = None
    residual_scale: float | None = None


@dataclass(frozen=True)
class Experts:
    """A mixture of experts made of dense models."""

    experts: tuple[Expert, ...]
    shared: Expert | None
    gate_mode: str
    per_token: int


@dataclass(frozen=True)
class Document:
    """One merge. `mixture` is set where it makes experts instead; then `slices` are empty and `method` is "experts"."""

    raw: Mapping[str, Any]
    name: str | None
    method: str
    slices: tuple[Slice, ...]
    base: ModelRef | None = None
    whole: bool = True  # models rather than slices: all layers of each
    dtype: str | None = None
    out_dtype: str | None = None
    parameters: tuple[
        Mapping[str, Any], ...
    ] = ()  # of the module and of the document, in the order in which they are asked
    tokenizer: TokenizerRule | None = None
    chat_template: str | None = None
    mixture: Experts | None = None
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> Method:
        return METHODS[self.method]

    def models(self) -> list[ModelRef]:
        """Every model that takes part, the base first, then in the recipe's order, each once."""
        named = [self.base] if self.base else []
        named += [source.model for part in self.slices for source in part.sources]
        named += [part.base for part in self.slices if part.base]
        if self.mixture:
            named += [expert.model for expert in self.mixture.experts]
            named += [self.mixture.shared.model] if self.mixture.shared else []
        if self.tokenizer:
            rules = self.tokenizer
            named += [rules.source] if isinstance(rules.source, ModelRef) else []
            named += [rule.model for rule in rules.tokens.values() if rule.model]
        return list(dict.fromkeys(named))

    @property
    def donor(self) -> ModelRef:
        """Whose config and tokenizer the result has, where nothing else is said: the base's, else the first model's."""
        return self.base or self.models()[0]


def setting_of(parameter: Parameter, settings: Sequence[Mapping[str, Any]], tensor: str, t: float) -> Value | None:
    """A parameter's value for a tensor: the first of `settings` that has one decides, else the default; None if there is none.

    `t` is where the layer stands in its slice, 0 to 1: gradients are interpolated there.
    """
    for each in settings:
        if parameter.name in each:
            value = _evaluate(parameter, each[parameter.name], tensor, t)
            if value is not None:
                return value
    return parameter.default


def _evaluate(parameter: Parameter, setting: Any, tensor: str, t: float) -> Value | None:
    if isinstance(setting, Mapping):
        setting = [setting]
    if not isinstance(setting, list):
        return parameter.read(setting)
    if any(isinstance(each, Mapping) for each in setting):
        for each in setting:
            wanted = each.get("filter")
            if wanted is None or wanted == "*" or wanted in tensor:
                return _evaluate(parameter, each["value"], tensor, t)
        return None
    values = [parameter.read(each) for each in setting]
    if parameter.kind in ("flag", "choice"):
        return values[int(t * (len(values) - 1))]
    place = t * (len(values) - 1)
    low = int(place)
    high, share = min(low + 1, len(values) - 1), place - low
    return (1 - share) * float(values[low]) + share * float(values[high])
