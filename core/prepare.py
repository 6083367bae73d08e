"""The recipe of a prepared data set: sources in a mixture, sifted, split, and written as JSON lines beside a card.

The classifier of educational value follows "Textbooks Are All You Need" (Gunasekar et al. 2023, arXiv 2306.11644, section 2.1): a few
labelled texts, the embeddings of a model, a random forest.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from core.data.choosing import COLUMNS_HELP, SEPARATOR_HELP, SKIP_HELP, data_problems, in_the_way
from core.recipe import Problem, Recipe

Unit = Literal["documents", "tokens", "characters"]


class PrepareRecipe(Recipe):
    """Data made ready: what is dropped and why, in which shares it is mixed, and what is held out."""

    kind: Literal["prepare"] = "prepare"

    data: tuple[str, ...] = Field(min_length=1, description="Files or folders; each is a source of the mixture.")
    columns: tuple[str, ...] = Field((), description=COLUMNS_HELP)
    separator: str | None = Field(None, description=SEPARATOR_HELP)
    skip_broken: bool = Field(False, description=SKIP_HELP)
    out: str | None = Field(None, description="The folder to write; by default it stays in the run folder.")
    model: str | None = Field(
        None, description="The model whose tokens are counted, and whose embeddings the classifier sees."
    )

    weights: tuple[float, ...] = Field(
        (), description="The share of each source in the mixture; without them all that is kept is taken."
    )
    weigh_by: Unit = Field("documents", description="What the shares and the total are counted in.")
    total: int | None = Field(
        None, ge=1, description="How much to take in all; by default as much as the shares allow without repeating."
    )
    repeat: bool = Field(
        False,
        description="Off: sources that are too small for their share are repeated, instead of taking less of all.",
    )
    validation: float = Field(
        0.05, ge=0, lt=1, description="The share that is held out, drawn by each text itself and the seed."
    )
    test: float = Field(0.0, ge=0, lt=1, description="A second share that is held out.")

    least_characters: int = Field(1, ge=0, description="Shorter texts are dropped.")
    most_characters: int | None = Field(None, ge=1, description="Longer texts are dropped.")
    least_tokens: int | None = Field(None, ge=1, description="Texts of fewer tokens are dropped.")
    most_tokens: int | None = Field(None, ge=1, description="Texts of more tokens are dropped.")
    keep: tuple[str, ...] = Field(
        (), description="A regular expression that a text must match somewhere, or is dropped."
    )
    drop: tuple[str, ...] = Field((), description="A regular expression; texts that match it somewhere are dropped.")
    drop_flawed: bool = Field(
        True, description="Conversations with an empty answer, none at all, or turns in a wrong order are dropped."
    )
    drop_exact: bool = Field(True, description="Texts that stood there before are dropped.")
    drop_near: bool = Field(False, description="Off: texts that are almost the same as one before are dropped.")
    similarity: float = Field(
        0.8, gt=0.1, lt=1, description="The share of runs of five words that two texts must have in common to be near."
    )

    labelled: str | None = Field(
        None, description='Rows {"text", "label"} with two labels, which teach a classifier what to keep.'
    )
    good: str | None = Field(
        None, description="The label of texts to keep; by default 1, true, yes, good, high or keep."
    )
    classifier: Literal["forest", "logistic"] = Field(
        "forest", description="A random forest, as in the textbooks recipe, or a logistic regression."
    )
    threshold: float = Field(
        0.5, ge=0, le=1, description="Texts that the classifier finds less likely good are dropped."
    )

    preview: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Only sift this many rows of each source, show what is dropped, and write nothing.",
    )

    def title(self) -> str:
        return self.name or f"{', '.join(Path(item).name for item in self.data)} prepared"

    @property
    def counts_tokens(self) -> bool:
        return self.weigh_by == "tokens" or self.least_tokens is not None or self.most_tokens is not None

    def problems(self) -> list[Problem]:
        found = data_problems(self.data, self.columns)

        def against(field: str, text: str) -> None:
            found.append(Problem(field=field, text=text))

        if self.weights and len(self.weights) != len(self.data):
            against(
                "weights",
                f"{len(self.weights)} shares for {len(self.data)} sources. Name one for each, in their order.",
            )
        elif self.weights and (min(self.weights) < 0 or not math.fsum(self.weights) > 0):
            against("weights", "Shares are numbers from 0, and not all of them are 0.")
        if self.repeat and not self.weights and self.total is None:
            against("repeat", "Without shares or a total nothing need be repeated. Name --weights or --total.")
        if self.validation + self.test >= 1:
            against("validation", "Nothing is left to train on. Hold less out.")
        for field in ("keep", "drop"):
            for pattern in getattr(self, field):
                if (why := _no_pattern(pattern)) is not None:
                    against(field, f"{pattern!r} is no regular expression: {why}. Mend it.")
        for what in ("characters", "tokens"):
            least, most = getattr(self, f"least_{what}"), getattr(self, f"most_{what}")
            if least is not None and most is not None and least > most:
                against(f"least_{what}", f"No text has at least {least} and at most {most} {what}. Lower the least.")
        found += self._problems_of_model()
        if self.out is not None and not self.preview and (why := in_the_way(Path(self.out))) is not None:
            against("out", why)
        return found

    def _problems_of_model(self) -> list[Problem]:
        if self.labelled is not None and not Path(self.labelled).is_file():
            return [Problem(field="labelled", text=f"There is no file {self.labelled}. Choose labelled rows.")]
        if self.model is None and (self.labelled is not None or self.counts_tokens):
            what = "The classifier sees a model's embeddings" if self.labelled else "Tokens are a model's"
            return [Problem(field="model", text=f"{what}. Choose a model, too (--model).")]
        if self.model is not None and not (Path(self.model) / "tokenizer.json").is_file():
            return [
                Problem(field="model", text=f"{self.model} has no tokenizer.json. Choose a model folder that has one.")
            ]
        return []


def _no_pattern(pattern: str) -> str | None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return str(error)
    return None
