"""The recipe of a survey: how long the examples of data are under a tokenizer, how much is cut off, how much stands there twice."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from core.data.choosing import COLUMNS_HELP, SEPARATOR_HELP, SKIP_HELP, data_problems
from core.recipe import Problem, Recipe

RESULT = "survey.json"  # in the artifacts


class SurveyRecipe(Recipe):
    """Statistics of data, read once. Needs no GPU, and little of the machine."""

    kind: Literal["survey"] = "survey"

    data: tuple[str, ...] = Field(min_length=1, description="Files or folders to look through.")
    columns: tuple[str, ...] = Field((), description=COLUMNS_HELP)
    separator: str | None = Field(None, description=SEPARATOR_HELP)
    skip_broken: bool = Field(False, description=SKIP_HELP)
    model: str | None = Field(
        None, description="The model whose tokenizer and chat template count; without one, lengths are characters."
    )
    template: str | None = Field(
        None, description="Another chat template than the model's own: a name (chatml, plain, …) or a .jinja file."
    )
    context: int | None = Field(
        None, ge=2, description="Longer examples count as cut off; by default the model's own context."
    )
    near_duplicates: bool = Field(
        True, description="Also look for texts that are almost the same (MinHash over runs of five words)."
    )
    similarity: float = Field(
        0.8, gt=0.1, lt=1, description="The share of runs of five words that two texts must have in common to be near."
    )
    most_near: int = Field(
        200_000, ge=1, description="Only the first so many examples are compared for nearness: each takes about 1 kB."
    )
    device: str = Field("cpu", description="Statistics are made on the CPU.")
    share_device: bool = Field(True, description="Run even though another run uses the device.")

    def title(self) -> str:
        return self.name or f"survey of {', '.join(Path(item).name for item in self.data)}"

    def problems(self) -> list[Problem]:
        found = data_problems(self.data, self.columns)
        if self.model is not None and not (Path(self.model) / "tokenizer.json").is_file():
            text = f"{self.model} has no tokenizer.json. Choose a model folder that has one."
            found.append(Problem(field="model", text=text))
        if self.template is not None and self.model is None:
            text = "A template needs a model, whose tokens it is filled with. Choose a model, too."
            found.append(Problem(field="template", text=text))
        return found
