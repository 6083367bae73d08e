"""Every field of a recipe as a flag, made from the recipe itself: none is missing, and each says what the form says."""

from __future__ import annotations

import argparse
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from core.errors import Trouble
from core.numbers import parse_count
from core.recipe import Recipe

METAVARS = {
    "teacher": "PATH",
    "more_teachers": "PATH",
    "student": "SIZE|PATH",
    "data": "FILE",
    "cache": "DIR",
    "out": "DIR",
    "device": "DEVICE",
    "teacher_device": "DEVICE",
    "measure_device": "DEVICE",
    "measure_tasks": "TASK",
    "measure_files": "DIR",
    "measure_pairs": "FILE",
}
WATCH_GROUP = "measured on benchmarks while it is trained"
NEVER = {"kind", "shape"}  # the command says the kind, and the shape follows from the student
ONCE = {"teacher"}  # other commands take several, so that a second one must not silently take the place of the first


def count(text: str) -> int:
    """An argparse type: 2M, 1.3B, 800K, 350000."""
    try:
        return parse_count(text)
    except Trouble as trouble:
        raise argparse.ArgumentTypeError(str(trouble).rstrip(".")) from trouble


def numbers(text: str) -> tuple[float, ...]:
    """An argparse type: 0.7,0.3."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers. Write them like 0.7,0.3") from error


class FirstAndFurther(argparse.Action):
    """A flag that may be given several times: the first value is its own field's, the later ones go to the field `further`."""

    def __init__(self, *, further: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.further = further

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if not hasattr(namespace, self.dest):
            setattr(namespace, self.dest, values)
        else:
            setattr(namespace, self.further, [*getattr(namespace, self.further, ()), values])


class OnlyOnce(argparse.Action):
    """A flag whose second value is refused."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if hasattr(namespace, self.dest):
            given = f"{getattr(namespace, self.dest)} and {values}"
            raise argparse.ArgumentError(self, f"only one can be given here, not both {given}")
        setattr(namespace, self.dest, values)


def add_flags(
    parser: argparse.ArgumentParser,
    recipe: type[Recipe],
    groups: Mapping[str, Iterable[str]],
    spellings: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    further: Mapping[str, str] | None = None,
) -> None:
    """Add a flag for every field of `recipe`: those of `groups` under their titles, the others under *More settings*.

    A flag that is not given leaves no trace in the namespace. `spellings` gives some fields another flag; those of `further` may be
    given several times, and all values but the first go to the field named there.
    """
    fields = {name: field for name, field in recipe.model_fields.items() if name not in NEVER and name not in without}
    named = [name for names in groups.values() for name in names]
    rest = [name for name in fields if name not in named]
    for title, names in {**groups, "More settings": rest}.items():
        group = parser.add_argument_group(title)
        for name in names:
            _add_flag(group, name, fields[name], (spellings or {}).get(name), (further or {}).get(name))


def given_fields(arguments: argparse.Namespace, recipe: type[Recipe]) -> dict[str, Any]:
    """The fields that were given as flags."""
    return {name: value for name, value in vars(arguments).items() if name in recipe.model_fields}


def absolute(path: str) -> str:
    """A path as a recipe keeps it: whole, so that the run finds it from wherever its engine starts."""
    return str(Path(path).expanduser().absolute())


def _add_flag(
    group: argparse._ArgumentGroup, name: str, field: FieldInfo, spelling: str | None, further: str | None = None
) -> None:
    flag = spelling or f"--{name.replace('_', '-')}"
    kind = _inner(field.annotation)
    rest: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "help": _help(field)}
    if kind is bool:
        rest["help"] = rest["help"].removeprefix("Off: ")
        rest["action"] = "store_false" if flag.startswith("--no-") else argparse.BooleanOptionalAction
    elif typing.get_origin(kind) is typing.Literal:
        rest["choices"] = typing.get_args(kind)
    elif typing.get_origin(kind) is tuple:
        rest["metavar"] = METAVARS.get(name, "TEXT")
        if typing.get_args(kind)[0] is float:
            rest["type"], rest["metavar"] = numbers, "X,X"
            rest["help"] += " Written as 0.7,0.3."
        else:
            rest["action"] = "append"
            rest["help"] += " May be given several times."
    else:
        kinds: dict[Any, tuple[Callable[[str], Any], str]] = {
            int: (count, "N"),
            float: (float, "X"),
            str: (str, METAVARS.get(name, "TEXT")),
        }
        rest["type"], rest["metavar"] = kinds[kind]
    if further is not None:
        rest["action"], rest["further"] = FirstAndFurther, further
        rest["help"] += " May be given several times: the others teach beside the first."
    elif name in ONCE:
        rest["action"] = OnlyOnce
    group.add_argument(flag, **rest)


def _inner(annotation: Any) -> Any:
    """The type of a field without its `| None`."""
    if isinstance(annotation, types.UnionType):
        return next(part for part in annotation.__args__ if part is not types.NoneType)
    return annotation


def _help(field: FieldInfo) -> str:
    text = (field.description or "").replace("%", "%%")
    default = field.default
    if field.is_required() or default in (None, "", ()) or isinstance(default, bool):
        return text
    return f"{text} [{default}]".strip()
