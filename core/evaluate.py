"""The recipe of an evaluation: how well a model reads held-out text, and how often it agrees with a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from core.recipe import Problem, Recipe


class EvaluateRecipe(Recipe):
    """Perplexity and bits per byte of a model on text; agreement with a teacher; the sample's skill questions."""

    kind: Literal["evaluate"] = "evaluate"

    model: str = Field(description="The model's folder.")
    teacher: str | None = Field(None, description="A model of the same tokenizer to compare predictions with.")
    data: tuple[str, ...] = Field((), description="Text files or folders of them.")
    separator: str | None = Field(None, description="The line that parts documents, as in training.")
    skills: int = Field(0, ge=0, description="How many of the sample's questions to ask, for each skill.")
    most_tokens: int | None = Field(
        None, ge=1, description="Stop after this many tokens, at a document's end; by default all text is read."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the device has it."
    )

    def title(self) -> str:
        return (
            self.name or f"{Path(self.model).name} on {', '.join(Path(item).name for item in self.data) or 'questions'}"
        )

    def problems(self) -> list[Problem]:
        found = [
            Problem(field=field, text=f"There is no folder {folder}. Choose a model folder.")
            for field, folder in (("model", self.model), ("teacher", self.teacher))
            if folder is not None and not Path(folder).is_dir()
        ]
        found.extend(
            Problem(field="data", text=f"There is no file or folder {item}.")
            for item in self.data
            if not Path(item).exists()
        )
        if not self.data and not self.skills:
            found.append(Problem(field="data", text="Name some text to read, or ask the sample's questions."))
        return found
