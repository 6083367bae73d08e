"""What the form of the plan page says, as one frozen value: made from a recipe, and made into one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import TypeAdapter, ValidationError

from core.distill import Builder, DistillRecipe
from core.errors import Trouble
from core.plan import Target, parse_amount
from core.recipe import Recipe, parse_recipe
from core.shapes import Shape

Kind = Literal["share", "size", "memory", "speed", "folder"]
Preset = Literal["balanced", "follow", "text", "custom"]

# fields of the recipe that a draft holds by themselves; the others, where somebody set them, are in its `more`
OWN = frozenset(
    {"kind", "teacher", "student", "init", "shape", "data", "tokens", "ce_weight", "temperature", "use_teacher", "device"}
)  # fmt: skip
OTHERS = tuple(name for name in DistillRecipe.model_fields if name not in OWN)
# what has a place of its own on the page; the rest stands under More settings
ON_CARDS = OWN | {
    "more_teachers", "teacher_weights", "mixture",
    "separator", "answers_only",
    "objective", "balance", "jsd_beta", "gold_beta", "skew_alpha", "clip_mass", "sinkhorn_epsilon",
    "source", "cache", "top_k", "tail", "on_policy_share", "sampling_temperature", "new_tokens", "teacher_mix",
    "processes", "launch", "strategy", "teacher_precision", "teacher_device",
}  # fmt: skip
MORE = tuple(name for name in OTHERS if name not in ON_CARDS)
DEFAULTS = {name: info.default for name, info in DistillRecipe.model_fields.items()}
WAYS: tuple[Builder, ...] = ("prune", "masks", "inherit", "scratch")
_PLAIN: dict[str, Any] = {
    "temperature": 1.0, "use_teacher": True, "objective": "forward_kl", "balance": "fixed",
    "hidden_weight": 0.0, "relation_weight": 0.0,
}  # fmt: skip
PRESETS: dict[Preset, dict[str, Any]] = {
    "balanced": {"ce_weight": 0.5, **_PLAIN},
    "follow": {"ce_weight": 0.1, **_PLAIN},
    "text": {"use_teacher": False},
}
FIRST_TARGET = "0.4x"


@dataclass(frozen=True)
class Draft:
    """`student` is an amount or a folder; `asked` what it was before a shape was chosen by hand; `tokens` None: by default.

    `more` holds the other fields of the recipe that somebody set.
    """

    teacher: str | None = None
    student: str = FIRST_TARGET
    asked: str = ""
    init: Builder = "prune"
    shape: Shape | None = None
    data: tuple[str, ...] = ()
    tokens: int | None = None
    ce_weight: float = 0.5
    temperature: float = 1.0
    use_teacher: bool = True
    custom: bool = False  # the objective's dials are open although they may stand as in a preset
    device: str = "auto"
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def amount(self) -> Target | None:
        """The size that the student shall have, or None where it is a folder."""
        try:
            return parse_amount(self.student)
        except Trouble:
            return None

    @property
    def kind(self) -> Kind:
        found = self.amount
        return "folder" if found is None else found.kind

    @property
    def guided(self) -> bool:
        """True if a teacher is part of the loss, as far as the form says."""
        return self.use_teacher and (self.teacher is not None or self.kind != "folder")

    def value(self, name: str) -> Any:
        """What a field of the recipe says, its default where nobody set it."""
        return getattr(self, name) if name in OWN else self.more.get(name, DEFAULTS[name])

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """The draft with other values; what it does not hold itself goes to `more`."""
        own = {field.name for field in fields(self)}
        kept = {name: value for name, value in changes.items() if name in own}
        more = kept.get("more", self.more)
        for name, value in changes.items():
            if name not in own:
                more = with_more(more, name, value)
        return replace(self, **{**kept, "more": more})

    @property
    def preset(self) -> Preset:
        if self.custom:
            return "custom"
        for name, values in PRESETS.items():
            if all(self.value(key) == value for key, value in values.items()):
                return name
        return "custom"

    def settings(self) -> dict[str, Any]:
        """What `core.plan.plan` takes beside teacher, target, builder, data, tokens, device and shape."""
        objective = {"ce_weight": self.ce_weight, "temperature": self.temperature, "use_teacher": self.use_teacher}
        return {**objective, **self.more}

    def recipe(self, tokens: int) -> DistillRecipe:
        """The recipe; `tokens` is the budget where none was chosen. Raises BadRecipe, naming the field."""
        raw = {
            "kind": "distill",
            "teacher": self.teacher,
            "student": self.student,
            "init": self.init,
            "shape": None if self.shape is None else self.shape.model_dump(),
            "data": self.data,
            "tokens": self.tokens or tokens,
            "device": self.device,
            **self.settings(),
        }
        made = parse_recipe(raw, "The plan")
        assert isinstance(made, DistillRecipe)
        return made

    @classmethod
    def of_recipe(cls, recipe: DistillRecipe) -> Self:
        return cls(
            teacher=recipe.teacher,
            student=recipe.student,
            init=recipe.init if recipe.init in WAYS else "prune",  # an existing model is told by its folder
            shape=recipe.shape if recipe.init in WAYS else None,
            data=recipe.data,
            tokens=recipe.tokens,
            ce_weight=recipe.ce_weight,
            temperature=recipe.temperature,
            use_teacher=recipe.use_teacher,
            device=recipe.device,
            more={name: getattr(recipe, name) for name in OTHERS if getattr(recipe, name) != DEFAULTS[name]},
        )

    def to_bytes(self) -> bytes:
        raw = asdict(self) | {"shape": None if self.shape is None else self.shape.model_dump(), "more": dict(self.more)}
        return json.dumps(raw).encode()

    @classmethod
    def of_bytes(cls, data: bytes) -> Self | None:
        """The draft that was remembered, or None where there is none, or one that another version wrote."""
        try:
            read = TypeAdapter(cls).validate_json(data)
        except ValidationError:
            return None
        wrong = {name for name, value in read.more.items() if field_problem(name, value)}
        known_ways = read.init in get_args(Builder)
        if wrong or not known_ways:
            return None
        return replace(read, more={name: field_value(name, value) for name, value in read.more.items()})


def with_more(more: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The fields that were set, with one more; a default is not kept."""
    kept = {key: each for key, each in more.items() if key != name}
    return kept if value == DEFAULTS[name] else {**kept, name: value}


def field_problem(name: str, value: Any, recipe: type[Recipe] = DistillRecipe) -> str:
    """Why a field of the recipe can't have this value, or nothing."""
    if name not in recipe.model_fields:
        return f"{name} is no setting of this kind of run."
    try:
        _adapter(name, recipe).validate_python(value)
    except ValidationError as error:
        return f"{error.errors()[0]['msg']}."
    return ""


def field_value(name: str, value: Any, recipe: type[Recipe] = DistillRecipe) -> Any:
    """A value as the recipe keeps it: a list of a file becomes a tuple. It must be one that the field can have."""
    return _adapter(name, recipe).validate_python(value)


@cache
def _adapter(name: str, recipe: type[Recipe]) -> TypeAdapter[Any]:
    info = recipe.model_fields[name]
    constrained: Any = Annotated[info.annotation, info]
    return TypeAdapter(constrained)


def name_of_folder(path: str) -> str:
    return Path(path).name or path
