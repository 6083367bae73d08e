"""What a tuning does where its recipe leaves a choice open, and why: the form shows it, and the engine asks the same functions.

Every function returns the value and the reason for it. No torch.
"""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from core.models import ModelInfo, inspect_model
from core.numbers import count_text
from core.templates import own_template, propose
from core.tokenizer import tokenizer_identity
from core.tune import EPOCHS, Goal, TuneRecipe
from core.tune_checks import linear_layers

REFERENCE_PARAMETERS, REFERENCE_RATE = 7e9, 2e-5  # full tuning of a 7B model, as most published recipes have it
SIZE_POWER = 1 / 3
LEAST_RATE, MOST_RATE = 1e-6, 1e-2
LOW_RANK_FACTOR = 10.0  # Schulman et al., LoRA Without Regret (Thinking Machines 2025): the best rate is about ten times the full one's
REFERENCE_STRENGTH = 32.0  # α at which that factor holds: scaling times rank
GOAL_SHARES: dict[Goal, tuple[float, str]] = {
    "sft": (1.0, ""),
    "dpo": (
        0.03,
        ", 3 % of it because DPO sums over whole answers and only leans on what is there (Zephyr: 5e-7 for all of 7B)",
    ),
    "orpo": (0.5, ", half of it because ORPO weighs two losses"),
}

FEWEST_STEPS = 30
LARGEST_BATCH = 32


class Proposal(BaseModel):
    """One choice and why."""

    model_config = ConfigDict(frozen=True)

    value: str | float | int | None
    reason: str


def learning_rate(recipe: TuneRecipe, parameters: int) -> tuple[float, str]:
    """The peak of the rate, by size, method, rank and objective.

    Full tuning: 2e-5 · (7B / N)^⅓ (ours, through the published rates of 7B models and our own measurements at 0.3M to 5M). Adapters: ten
    times that, less where α or the rank makes their product count more: √(32 / (scaling · rank)).
    """
    full = REFERENCE_RATE * (REFERENCE_PARAMETERS / parameters) ** SIZE_POWER
    words = f"2e-5·(7B/N)^⅓ = {full:.2g} for {count_text(parameters)} parameters"
    rate = full
    if recipe.adapts:
        strength = recipe.scaling * recipe.rank
        rate = full * LOW_RANK_FACTOR * math.sqrt(REFERENCE_STRENGTH / strength)
        words += f", ten times as much for an adapter whose scaling times rank is {strength:g}"
    share, why = GOAL_SHARES[recipe.objective]
    found = float(f"{min(MOST_RATE, max(LEAST_RATE, share * rate)):.2g}")
    return found, f"{found:g}: {words}{why}"


def alpha(recipe: TuneRecipe) -> tuple[float, str]:
    if recipe.alpha is not None:
        return recipe.alpha, "as the recipe says"
    return 2.0 * recipe.rank, "twice the rank, so that the scaling is 2 whatever the rank"


def targets(recipe: TuneRecipe, folder: Path) -> tuple[tuple[str, ...], str]:
    """The layers that get an adapter."""
    if recipe.targets:
        return recipe.targets, "as the recipe says"
    found = linear_layers(folder)
    words = "all linear layers of the blocks: adapters on attention alone learn less for as many parameters (arXiv 2305.14314, section 4)"
    return tuple(found), f"{words}; {sum(found.values())} layers"


def template(recipe: TuneRecipe, folder: Path) -> tuple[str, str]:
    """The chat template: "own" for the model's, a name of ours, or a file."""
    if recipe.template is not None:
        return recipe.template, "as the recipe says"
    if own_template(folder) is not None:
        return "own", "the model brings its own"
    specials = tokenizer_identity(folder).specials
    return propose(lambda token: token in specials)


def batch(recipe: TuneRecipe, rows: int) -> tuple[int, str]:
    """Rows (blocks, pairs) in one step, for an epoch of so many."""
    if recipe.batch is not None:
        return recipe.batch, "as the recipe says"
    epochs = recipe.epochs or EPOCHS
    most = 16 if recipe.prefers else LARGEST_BATCH
    wanted = 2 ** max(0, int(math.log2(max(1.0, rows * epochs / FEWEST_STEPS))))
    found = min(most, wanted)
    if found < most:
        return found, f"{found}, small enough that {rows} rows give about {FEWEST_STEPS} steps or more"
    return found, f"{found}: larger ones make no better tuning"


def trained_parameters(recipe: TuneRecipe, folder: Path) -> int:
    """Weights that are learnt: r · (inputs + outputs) for each layer with an adapter, and its outputs for DoRA; or all of them."""
    from core.model_files import tensor_shapes

    info = inspect_model(folder, recipe.allow_remote_code)
    if not recipe.adapts:
        return info.parameters
    wanted, _ = targets(recipe, folder)
    found = 0
    for name, dims in tensor_shapes(folder).items():
        module = name.removesuffix(".weight")
        if len(dims) == 2 and any(module == each or module.endswith(f".{each}") for each in wanted):
            found += recipe.rank * sum(dims)
            if recipe.method == "dora":
                found += dims[1] if info.model_type == "gpt2" else dims[0]
    return found


def proposals(recipe: TuneRecipe) -> dict[str, Proposal]:
    """All choices that can be told before the data is read, for a form: by field."""
    folder = Path(recipe.model)
    info: ModelInfo = inspect_model(folder, recipe.allow_remote_code)
    found: dict[str, Proposal] = {}
    rate, why = learning_rate(recipe, info.parameters)
    if recipe.learning_rate is not None:
        rate, why = recipe.learning_rate, "as the recipe says"
    found["learning_rate"] = Proposal(value=rate, reason=why)
    name, why = template(recipe, folder)
    found["template"] = Proposal(value=name, reason=why)
    if recipe.adapts:
        strength, why = alpha(recipe)
        found["alpha"] = Proposal(value=strength, reason=why)
        layers, why = targets(recipe, folder)
        found["targets"] = Proposal(value=", ".join(layers), reason=why)
        found["rank"] = Proposal(value=recipe.rank, reason=_rank_words(recipe))
    trained = trained_parameters(recipe, folder)
    share = trained / info.parameters
    found["trained"] = Proposal(
        value=trained, reason=f"{count_text(trained)} weights are learnt, {share:.1%} of the model's"
    )
    return found


def _rank_words(recipe: TuneRecipe) -> str:
    if recipe.rank == 16:
        return "16 holds what a few thousand rows teach; double it for new knowledge, halve it for a tone of voice"
    return "as the recipe says"
