"""The recipe of teacher-written text: sequence-level distillation (Kim and Rush 2016, arXiv 1606.07947), where students learn what
their teacher writes.

The run makes a file of JSON lines, `{"text", "prompt", "completion", "mean_logprob"}`, that any distillation reads.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from core.recipe import Problem, Recipe


class WriteRecipe(Recipe):
    """Text that a teacher writes after prompts, sifted: what is cut off, too short, repetitive, or there already is dropped."""

    kind: Literal["write"] = "write"

    teacher: str = Field(description="The folder of the model that writes.")
    data: tuple[str, ...] = Field(
        min_length=1,
        description="What prompts are taken from: the beginnings of texts (plain, Markdown, JSON lines with `text`), "
        "or the prompts of JSON lines that have them.",
    )
    separator: str | None = Field(
        None,
        description="The line that parts documents. By default <|endoftext|> where there are any, else a file is one document.",
    )
    tokens: int = Field(
        ge=1, description="How many tokens the teacher is to write, prompts and dropped rows not counted."
    )
    out: str | None = Field(None, description="Where the file is written; by default it stays in the run folder.")
    prompt_tokens: int = Field(
        8, ge=0, description="Tokens of a text that are its beginning; 0 lets the teacher begin by itself."
    )

    temperature: float = Field(
        0.7,
        ge=0,
        le=5,
        description="0.7 keeps to what the teacher does well; 1 shows all that it may say, mistakes too; 0 is the likeliest.",
    )
    top_p: float = Field(
        0.95, gt=0, le=1, description="Only the likeliest tokens that hold this much of the probability are drawn."
    )
    new_tokens: int | None = Field(
        None, ge=1, description="The longest that a row may grow; by default to the end of the context, at most 512."
    )

    least_tokens: int = Field(4, ge=1, description="Shorter rows are dropped.")
    must_end: bool = Field(
        True,
        description="Rows that the teacher did not bring to an end are dropped; a student of them would learn to break off.",
    )
    most_repetition: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Rows are dropped in which a larger share of the 4-token sequences stands there a second time; 1 keeps all.",
    )
    drop_least_likely: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="This share of the rows is dropped, those that the teacher itself finds least likely.",
    )

    rows_at_once: int | None = Field(
        None, ge=1, le=4096, description="Rows that are written together; by default 64 on CPU and 256 on a GPU."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the device has it."
    )
    preview: int = Field(
        0,
        ge=0,
        le=1000,
        description="Only write this many rows, whatever becomes of them, show them, and make no file.",
    )

    def title(self) -> str:
        return self.name or f"{Path(self.teacher).name} writes after {', '.join(Path(item).name for item in self.data)}"

    def problems(self) -> list[Problem]:
        found = []
        if not Path(self.teacher).is_dir():
            found.append(Problem(field="teacher", text=f"There is no folder {self.teacher}. Choose a model folder."))
        found.extend(
            Problem(field="data", text=f"There is no file or folder {item}. Choose text to take prompts from.")
            for item in self.data
            if not Path(item).exists()
        )
        if self.out is not None and (why := _in_the_way(Path(self.out))) is not None:
            found.append(Problem(field="out", text=why))
        if self.new_tokens is not None and self.new_tokens < self.least_tokens:
            text = f"No row of {self.new_tokens} tokens at the most has {self.least_tokens}. Lower least_tokens."
            found.append(Problem(field="new_tokens", text=text))
        return found


def _in_the_way(out: Path) -> str | None:
    """Why the file can't be written, said before hours of writing."""
    if os.path.lexists(out):
        return f"{out} is there already. Name a new file; nothing is overwritten."
    if out.suffix.lower() not in (".jsonl", ".ndjson"):
        return f"{out.name} will hold JSON lines. Let its name end in .jsonl, so that it is read as such."
    nearest = next(parent for parent in out.absolute().parents if os.path.lexists(parent))
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return None
    return f"{out} can't be written: {nearest} is no folder that you may write to. Name another place."
