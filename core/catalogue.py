"""Well-known families of open models with their sizes, so that the law has something to say before anything is downloaded.

The facts are `resources/catalogue.py`: the numbers of each model's published `config.json`, which `core.shapes` counts as it counts a
folder's; the tests hold these counts against the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from core import law
from core.law import Badge
from core.shapes import KNOWN_FAMILIES
from resources import catalogue


@dataclass(frozen=True)
class KnownModel:
    """A model of the catalogue; `student_can_be_cut` where the architecture is one that Stillroom takes apart."""

    name: str  # on the Hub
    family: str
    by: str
    license: str
    gated: bool
    parameters: int
    layers: int
    hidden: int
    vocabulary: int
    context: int
    source: str
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def student_can_be_cut(self) -> bool:
        return self.config["model_type"] in KNOWN_FAMILIES


@cache
def known_models() -> tuple[KnownModel, ...]:
    """The whole catalogue by families, the smallest first in each."""
    return tuple(
        _model(family, *each)
        for family in catalogue.FAMILIES
        for each in sorted(family.models, key=lambda model: model[1])
    )


def _model(family: catalogue.Family, name: str, parameters: int, fields: Mapping[str, Any]) -> KnownModel:
    config = {**family.config, **fields}
    license_name = str(config.pop("license", family.license))
    layers, hidden, context = (
        int(next(config[key] for key in keys if key in config))
        for keys in (
            ("num_hidden_layers", "n_layer"),
            ("hidden_size", "n_embd"),
            ("max_position_embeddings", "n_positions"),
        )
    )
    return KnownModel(
        name, family.name, family.by, license_name, family.gated, parameters, layers, hidden, int(config["vocab_size"]), context,
        catalogue.SOURCE.format(name=name), config,
    )  # fmt: skip


def known(name: str) -> KnownModel | None:
    """The model of this name on the Hub, upper and lower case aside."""
    return next((model for model in known_models() if model.name.lower() == name.lower()), None)


def teachers_for(student: int, most: int = 12) -> list[tuple[KnownModel, Badge]]:
    """Models of the catalogue for a student of so many parameters, the nearest to the law's target first."""
    by_name = {model.name: model for model in known_models()}
    ranked = law.rank([law.Candidate(model.name, model.parameters) for model in by_name.values()], student)
    return [(by_name[each.candidate.name], each.badge) for each in ranked[:most]]
