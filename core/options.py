"""What a recipe may choose among: every source and every objective, with what it would take here, and why it can't be had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from pydantic import BaseModel, ConfigDict

from core.distill import DistillRecipe
from core.estimate import Estimate
from core.objectives import OBJECTIVES, SOURCES, Source
from core.recipe import Problem
from core.settle import without_unread

Cost = Callable[[DistillRecipe], Estimate]
Problems = Callable[[DistillRecipe], Sequence[Problem]]


class Choice(BaseModel):
    """A source or an objective. `why_not` says why the rest of the recipe doesn't allow it (None: it can be had).

    Seconds, and bytes of memory and of disk, are those of the whole run with this choice, all else as it is.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    title: str
    advice: str
    cost: str
    why_not: str | None
    seconds: float
    memory_bytes: int
    disk_bytes: int


def source_choices(recipe: DistillRecipe, cost: Cost, problems: Problems) -> tuple[Choice, ...]:
    """Every source of tokens, with the recipe's objective."""
    anyway = problems(_with(recipe, source="corpus"))
    return tuple(
        _choice(source, SOURCES[source], _with(recipe, source=source), anyway, cost, problems)
        for source in get_args(Source)
    )


def objective_choices(
    recipe: DistillRecipe, cost: Cost, problems: Problems, same_tokenizer: bool
) -> tuple[Choice, ...]:
    """Every objective, with the recipe's source. Of different tokenizers, texts are compared."""
    anyway = problems(_with(recipe, objective="forward_kl" if same_tokenizer else "gold"))
    return tuple(
        _choice(name, (facts.title, facts.advice, facts.cost), _with(recipe, objective=name), anyway, cost, problems)
        for name, facts in OBJECTIVES.items()
    )


def _with(recipe: DistillRecipe, **change: str) -> DistillRecipe:
    return without_unread(recipe.model_copy(update=change))


def _choice(
    name: str,
    words: tuple[str, str, str],
    made: DistillRecipe,
    anyway: Sequence[Problem],
    cost: Cost,
    problems: Problems,
) -> Choice:
    """`anyway` stands against the most permissive choice too, and so is not against this one."""
    against = [problem.text for problem in problems(made) if problem not in anyway]
    reckoned = cost(made)
    title, advice, costs = words
    return Choice(
        name=name,
        title=title,
        advice=advice,
        cost=costs,
        why_not=against[0] if against else None,
        seconds=reckoned.seconds,
        memory_bytes=reckoned.memory_bytes,
        disk_bytes=reckoned.disk_bytes,
    )
