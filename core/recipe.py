"""What every recipe shares: it is frozen and complete, says its problems in the user's words, and is JSON in a file.

A recipe names its `kind`, one of the capabilities (`distill`, `evaluate`, …). The kinds live in modules of the same
name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import BadRecipe
from core.files import read_json


class Problem(BaseModel):
    """Something in a recipe that must be mended first: the field, what is wrong, and what to do."""

    model_config = ConfigDict(frozen=True)

    field: str
    text: str


class Recipe(BaseModel):
    """The base of all recipes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kinds: ClassVar[dict[str, type[Recipe]]] = {}

    kind: str
    name: str = Field("", description="How the run is called in lists; made from the rest when empty.")
    device: str = Field("auto", description="Where it runs: auto, cpu, cuda:0, cuda:1, … or mps.")
    share_device: bool = Field(False, description="Run even though another run uses the device.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Everything random follows from it.")
    allow_remote_code: bool = Field(
        False, description="Run code that comes with the model folder. Off unless you trust it."
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        kind = cls.model_fields["kind"]
        if not kind.is_required():  # else it is what several kinds have in common
            cls.kinds[kind.default] = cls

    def problems(self) -> list[Problem]:
        """What must be mended before a run can start, each beside its field.

        Looks at the files that the recipe names.
        """
        return []

    def may_meet_quantized(self) -> bool:
        """True if weights of fewer than 16 bits may be loaded, which takes packages that are slow to import."""
        return True

    def title(self) -> str:
        """A short name for lists."""
        return self.name or self.kind

    def check(self) -> Self:
        """The recipe itself, or BadRecipe with all problems."""
        problems = self.problems()
        if problems:
            raise BadRecipe("\n".join(f"{problem.field}: {problem.text}" for problem in problems))
        return self


def parse_recipe(raw: Any, where: str = "the recipe") -> Recipe:
    """The recipe of a JSON object; BadRecipe names the field and what was expected there."""
    if not isinstance(raw, dict):
        raise BadRecipe(f"{where} is not a recipe: a JSON object was expected.")
    kind = Recipe.kinds.get(str(raw.get("kind")))
    if kind is None:
        known = ", ".join(sorted(Recipe.kinds))
        raise BadRecipe(
            f"{where} has the kind {raw.get('kind')!r}, which this version does not know.", f"Known kinds: {known}."
        )
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise BadRecipe(f"{where} can't be used. " + "; ".join(lines) + ".") from error


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file; BadRecipe names the file and the field."""
    try:
        raw = read_json(path)
    except FileNotFoundError as error:
        raise BadRecipe(f"There is no recipe file {path}.") from error
    except ValueError as error:
        raise BadRecipe(f"{path} is not valid JSON: {error}.") from error
    except OSError as error:
        raise BadRecipe(f"{path} can't be read: {error.strerror}.") from error
    return parse_recipe(raw, str(path))


def looks_like_recipe(path: Path) -> bool:
    """Whether a file begins like a recipe of ours; data can be gigabytes of JSON. Raises OSError."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    return head.lstrip().startswith(b"{") and b'"kind"' in head and (b'"teacher"' in head or b'"data"' in head)
