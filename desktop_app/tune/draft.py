"""What the form of the Tune page says, as one frozen value: made from a recipe, and made into one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from core.recipe import parse_recipe
from core.tune import PRESETS, TuneRecipe
from desktop_app.plan.draft import field_problem, field_value

Purpose = Literal["none", "minichat", "recover", "persona"]

# fields of the recipe that a draft holds by themselves; the others are in `said`, where somebody set them
OWN = frozenset({"kind", "model", "adapter", "data", "preset"})
ON_CARDS = OWN | {
    "teacher", "mapping", "template", "persona_name", "persona_author", "method", "objective", "rank", "alpha", "learning_rate",
    "epochs", "tokens", "steps", "device",
}  # fmt: skip
MORE = tuple(name for name in TuneRecipe.model_fields if name not in ON_CARDS)  # under More settings
DEFAULTS = {name: info.default for name, info in TuneRecipe.model_fields.items()}
LENGTHS = ("epochs", "tokens", "steps")
SET_BY_PRESETS = frozenset(
    name for preset in PRESETS.values() for name in (*preset.fields, *preset.preferences)
) | frozenset(LENGTHS)


@dataclass(frozen=True)
class Draft:
    """`subject` is the model that is tuned, or an adapter to go on from; `base` that adapter's base, where a recipe named it.

    `preset` sets some fields, `said` are those that the user set, which go before it. `paired`: the data are pairs of a better and a
    worse answer, as far as is known.
    """

    subject: str | None = None
    base: str | None = None
    data: tuple[str, ...] = ()
    preset: Purpose = "none"
    paired: bool = False
    said: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """What a field of the recipe says: the user, else the preset, else what goes with the data."""
        return self.said[name] if name in self.said else self._unsaid(name)

    def _unsaid(self, name: str) -> Any:
        if name in (preset := self._of_preset()):
            return preset[name]
        if name == "objective" and self.paired and self.preset == "none":
            return "dpo"
        return DEFAULTS[name]

    def _of_preset(self) -> dict[str, Any]:
        if self.preset == "none":
            return {}
        preset = PRESETS[self.preset]
        return dict(preset.preferences if self.paired and preset.preferences else preset.fields)

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """The draft with other values; what is as it would be anyway is not kept as said."""
        own = {field.name for field in fields(self)}
        kept = {name: value for name, value in changes.items() if name in own}
        if "subject" in kept and "base" not in kept:
            kept["base"] = None
        changed = replace(self, **kept)
        said = dict(changed.said)
        for name, value in changes.items():
            if name not in own:
                said[name] = value
        return replace(changed, said={name: value for name, value in said.items() if value != changed._unsaid(name)})

    def for_purpose(self, purpose: Purpose) -> Self:
        """With another preset's fields. Own choice begins with what is set now."""
        if purpose == "none":
            return replace(self, preset="none", said=self.settings())
        kept = {name: value for name, value in self.said.items() if name not in SET_BY_PRESETS}
        return replace(self, preset=purpose, said=kept)

    def settings(self) -> dict[str, Any]:
        """All fields of the recipe that are not as by default, but for those that the draft holds by themselves."""
        found = {name: self.value(name) for name in DEFAULTS if name not in OWN}
        return {name: value for name, value in found.items() if value != DEFAULTS[name]}

    @property
    def length(self) -> tuple[str, float | None]:
        """What the training's length is counted in, and how much; None by default."""
        said = next((name for name in LENGTHS if self.value(name) is not None), "epochs")
        return said, self.value(said)

    def recipe(self, base: str | None) -> TuneRecipe:
        """The recipe; `base` is that of the adapter to go on from, and None for a model. Raises BadRecipe, naming the field."""
        raw = {
            "kind": "tune",
            "model": base or self.subject,
            "adapter": self.subject if base is not None else None,
            "data": self.data,
            "preset": self.preset,
            **self.settings(),
        }
        made = parse_recipe(raw, "The form")
        assert isinstance(made, TuneRecipe)
        return made

    @classmethod
    def of_recipe(cls, recipe: TuneRecipe) -> Self:
        plain = cls(
            subject=recipe.adapter or recipe.model,
            base=recipe.model if recipe.adapter is not None else None,
            data=recipe.data,
            preset=recipe.preset,
            paired=recipe.prefers,
        )
        return plain.changed({name: getattr(recipe, name) for name in DEFAULTS if name not in OWN})

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self) | {"said": dict(self.said)}).encode()

    @classmethod
    def of_bytes(cls, data: bytes) -> Self | None:
        """The draft that was remembered, or None where there is none, or one that another version wrote."""
        try:
            read = TypeAdapter(cls).validate_json(data)
        except ValidationError:
            return None
        if any(field_problem(name, value, TuneRecipe) for name, value in read.said.items()):
            return None
        return replace(read, said={name: field_value(name, value, TuneRecipe) for name, value in read.said.items()})
