"""The recipe of a sweep: one merge made many times along a grid of one or two parameters, each scored on held-out text; the best is kept.

An axis is written `t=0:1:0.25`, `weight@MODEL=0.2,0.5,0.8`, or `mix=0:1:0.1` for the share of the second model in a mean of two.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from core.errors import BadRecipe, Trouble
from core.merge.methods import METHODS, nearest
from core.merge.recipe import read_model
from core.merge.run import in_the_way
from core.merge.tree import Tree, survey
from core.recipe import Problem, Recipe

MIX = "mix"
MOST_POINTS = 1000


@dataclass(frozen=True)
class Axis:
    """A parameter of a merge (of one of its models, if `model` is set) and the values it takes."""

    parameter: str
    values: tuple[float, ...]
    model: str | None = None
    merge: str | None = None  # by its name; None is the result

    @property
    def label(self) -> str:
        head = f"{self.merge}/" if self.merge else ""
        return f"{head}{self.parameter}" + (f"@{self.model}" if self.model else "")

    @classmethod
    def read(cls, text: str) -> Axis:
        """`[MERGE/]PARAMETER[@MODEL]=VALUES`, where values are 0,0.5,1 or 0:1:0.25 (from, to, step). Raises BadRecipe."""
        name, equals, values = text.partition("=")
        name, _, model = name.partition("@")
        merge, slash, parameter = name.rpartition("/")
        if not equals or not parameter.strip():
            raise BadRecipe(f"{text!r} is no axis.", "Write it like t=0:1:0.25 or weight@MODEL=0.2,0.5,0.8.")
        return cls(parameter.strip(), _numbers(values, text), model.strip() or None, merge.strip() if slash else None)


def _numbers(values: str, text: str) -> tuple[float, ...]:
    try:
        if ":" not in values:
            found = tuple(float(each) for each in values.split(","))
        else:
            low, high, step = (float(each) for each in values.split(":"))
            count = math.floor((high - low) / step + 1e-9) + 1
            found = tuple(round(low + place * step, 10) for place in range(min(max(count, 0), MOST_POINTS + 1)))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise BadRecipe(
            f"The values of {text!r} can't be read.", "Write them like 0,0.5,1 or 0:1:0.25 (from, to, step)."
        ) from error
    if not found or not all(math.isfinite(each) for each in found):
        raise BadRecipe(f"{text!r} has no values.", "Write them like 0,0.5,1 or 0:1:0.25 (from, to, step).")
    return tuple(dict.fromkeys(found))


class SweepRecipe(Recipe):
    """One merge along a grid: held-out bits per byte at every point, and the best model kept."""

    kind: Literal["sweep"] = "sweep"

    text: str = Field(description="The merge in mergekit's YAML.")
    folder: str = Field(description="The folder that relative paths in the text start from.")
    along: tuple[str, ...] = Field(
        min_length=1,
        max_length=2,
        description="One or two axes: t=0:1:0.25, weight@MODEL=0.2,0.5,0.8, or mix=0:1:0.1, the share of the second of two models.",
    )
    data: tuple[str, ...] = Field(min_length=1, description="Held-out text that every merge is scored on.")
    separator: str | None = Field(None, description="The line that parts documents, as in training.")
    most_tokens: int | None = Field(
        100_000,
        ge=1,
        description="Stop reading after this many tokens, at a document's end; every point reads the same.",
    )
    out: str | None = Field(None, description="Where the best model goes; by default it stays in the run folder.")
    threads: int | None = Field(
        None, ge=1, le=64, description="Tensors merged at once; by default one for each core, at most 4."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the scoring. auto: bfloat16 where the device has it."
    )

    @property
    def axes(self) -> tuple[Axis, ...]:
        return tuple(Axis.read(text) for text in self.along)

    def points(self) -> list[tuple[float, ...]]:
        """The grid, the last axis fastest."""
        return list(itertools.product(*(axis.values for axis in self.axes)))

    def text_at(self, point: tuple[float, ...]) -> str:
        """The merge at a point of the grid. Raises BadRecipe if an axis has no meaning in it."""
        tree = Tree.read(self.text, "The recipe")
        for axis, value in zip(self.axes, point, strict=True):
            tree = _at(tree, axis, value)
        return tree.text()

    def title(self) -> str:
        if self.name:
            return self.name
        try:
            return f"sweep along {' and '.join(axis.label for axis in self.axes)}"
        except Trouble:
            return "sweep"

    def problems(self) -> list[Problem]:
        try:
            points = self.points()
        except Trouble as trouble:
            return [Problem(field="along", text=str(trouble))]
        found = []
        if len({axis.label for axis in self.axes}) < len(self.axes):
            found.append(Problem(field="along", text="Both axes are the same. Choose two parameters, or one axis."))
        if len(points) > MOST_POINTS:
            found.append(Problem(field="along", text=f"The grid has {len(points)} points. Take larger steps."))
            return found
        try:
            for point in points:
                text = self.text_at(point)
            survey(Tree.read(text), Path(self.folder), allow_remote_code=self.allow_remote_code).refuse()
        except Trouble as trouble:
            found.append(Problem(field="text", text=str(trouble)))
        found.extend(
            Problem(field="data", text=f"There is no file or folder {item}.")
            for item in self.data
            if not Path(item).exists()
        )
        if self.out is not None and (why := in_the_way(Path(self.out))) is not None:
            found.append(Problem(field="out", text=why))
        return found


def _at(tree: Tree, axis: Axis, value: float) -> Tree:
    key = axis.merge or tree.root
    if key not in tree.merges:
        raise BadRecipe(
            f"{axis.label}: there is no merge {key}.{nearest(key, [*tree.merges])}", "Name one of the recipe's."
        )
    method = METHODS.get(tree.merges[key].method)
    if method is None:
        raise BadRecipe(f"{axis.label}: a mixture of experts has no such parameter.", "Sweep along a merge.")

    def change(raw: dict[str, Any]) -> None:
        rows = list(_rows(raw))
        if axis.parameter == MIX:
            own = [
                row
                for row in rows
                if method.base == "an input" or str(read_model(row["model"])) != str(raw.get("base_model"))
            ]
            if len(own) != 2 or method.parameter("weight") is None:
                raise BadRecipe(
                    f"mix needs two models with weights, and {method.name} has {len(own)} here.", "Name a parameter."
                )
            for row, weight in zip(own, (1 - value, value), strict=True):
                row["parameters"] = {**(row.get("parameters") or {}), "weight": weight}
            return
        parameter = method.parameter(axis.parameter)
        if parameter is None:
            known = [each.name for each in method.parameters]
            raise BadRecipe(
                f"{method.name} has no parameter {axis.parameter}.{nearest(axis.parameter, known)}", "Correct the axis."
            )
        exact = int(value) if parameter.kind == "whole" else value
        if axis.model is None:
            if parameter.scope != "merge" and any(parameter.name in (row.get("parameters") or {}) for row in rows):
                raise BadRecipe(
                    f"{axis.label}: models have a {parameter.name} of their own.", f"Write {parameter.name}@MODEL."
                )
            raw["parameters"] = {**(raw.get("parameters") or {}), parameter.name: exact}
            return
        chosen = [
            row
            for row in rows
            if axis.model in (str(read_model(row["model"])), Path(read_model(row["model"]).path).name)
        ]
        if not chosen:
            raise BadRecipe(f"{axis.label}: there is no such model in {key}.", "Write it as the recipe does.")
        for row in chosen:
            row["parameters"] = {**(row.get("parameters") or {}), parameter.name: exact}

    return tree.changed(key, change)


def _rows(raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entries of a document that name a model of it."""
    if "modules" in raw:
        for inner in raw["modules"].values():
            yield from _rows(inner)
    yield from raw.get("models") or []
    for part in raw.get("slices") or []:
        yield from part["sources"]
