"""What the form of the plan page says, as one frozen value: made from a recipe, and made into one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import TypeAdapter, ValidationError

from core.distill import Builder, DistillRecipe
from core.errors import Trouble
from core.plan import Target, parse_amount
from core.recipe import parse_recipe
from core.shapes import Shape

Kind = Literal["share", "size", "memory", "speed", "folder"]
Preset = Literal["balanced", "follow", "text", "custom"]

# what has a place of its own on the page; the other fields of a recipe stand under More settings
ON_CARDS = frozenset(
    {"kind", "teacher", "student", "init", "shape", "data", "tokens", "ce_weight", "temperature", "use_teacher", "device"}
)  # fmt: skip
MORE = tuple(name for name in DistillRecipe.model_fields if name not in ON_CARDS)
WAYS: tuple[Builder, ...] = ("prune", "masks", "inherit", "scratch")
PRESETS: dict[Preset, dict[str, Any]] = {
    "balanced": {"ce_weight": 0.5, "temperature": 1.0, "use_teacher": True},
    "follow": {"ce_weight": 0.1, "temperature": 1.0, "use_teacher": True},
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
    def preset(self) -> Preset:
        if self.custom:
            return "custom"
        for name, values in PRESETS.items():
            if all(getattr(self, key) == value for key, value in values.items()):
                return name
        return "custom"

    def fields(self) -> dict[str, Any]:
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
            **self.fields(),
        }
        made = parse_recipe(raw, "The plan")
        assert isinstance(made, DistillRecipe)
        return made

    @classmethod
    def of_recipe(cls, recipe: DistillRecipe) -> Self:
        default = {name: info.default for name, info in DistillRecipe.model_fields.items()}
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
            more={name: getattr(recipe, name) for name in MORE if getattr(recipe, name) != default[name]},
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
        return None if wrong or not known_ways else read


def field_problem(name: str, value: Any) -> str:
    """Why a field of the recipe can't have this value, or nothing."""
    info = DistillRecipe.model_fields.get(name)
    if info is None:
        return f"{name} is no setting of a distillation."
    try:
        _adapter(name).validate_python(value)
    except ValidationError as error:
        return f"{error.errors()[0]['msg']}."
    return ""


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    info = DistillRecipe.model_fields[name]
    constrained: Any = Annotated[info.annotation, info]
    return TypeAdapter(constrained)


def name_of_folder(path: str) -> str:
    return Path(path).name or path
