"""The recipe of a measurement: a few real steps of a distillation on this machine, so that its estimate rests on more than arithmetic."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.distill import DistillRecipe
from core.estimate import Choices
from core.recipe import Problem, Recipe
from core.watch import UNWATCHED

STEPS = 8


class MeasureRecipe(Recipe):
    """The first steps of the distillation `of`; nothing is learnt or kept. Gives tokens a second and the peak of memory."""

    kind: Literal["measure"] = "measure"

    of: DistillRecipe
    steps: int = Field(
        STEPS, ge=3, le=100, description="Steps that are timed; the first, which warms up, does not count."
    )

    def may_meet_quantized(self) -> bool:
        return self.of.may_meet_quantized()

    def title(self) -> str:
        return self.name or f"measuring {self.of.title()}"

    def problems(self) -> list[Problem]:
        return self.of.problems()


def measurement(recipe: DistillRecipe, choices: Choices) -> MeasureRecipe:
    """Measure `recipe` at the batch and length that its whole budget calls for, on just enough text for a few steps."""
    short = recipe.model_copy(
        update={
            "batch_tokens": choices.batch_tokens,
            "sequence_length": choices.sequence_length,
            "tokens": max(64, choices.batch_tokens * STEPS),
            "validation_tokens": 1024,
            "calibration_blocks": min(recipe.calibration_blocks, 8),
            "out": None,
            **UNWATCHED,
        }
    )
    same = {name: getattr(recipe, name) for name in ("device", "share_device", "seed", "allow_remote_code")}
    return MeasureRecipe(of=short, **same)
