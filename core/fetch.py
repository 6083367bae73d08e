"""The recipe of a data set from the Hugging Face Hub: fetched once, kept as a Parquet file, and read from the cache without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from core.data.choosing import in_the_way
from core.recipe import Problem, Recipe


class FetchRecipe(Recipe):
    """One split of a data set on the Hub, through `datasets`. Nothing of ours is sent but its name."""

    kind: Literal["fetch"] = "fetch"

    data_set: str = Field(description="Its name on the Hub, as in roneneldan/TinyStories.")
    config: str | None = Field(None, description="Which of its configurations; by default the only one.")
    split: str = Field("train", description="Which of its splits; train[:1000] takes the first thousand rows.")
    revision: str | None = Field(None, description="A branch, tag or commit; by default the newest.")
    offline: bool = Field(False, description="Off: only the cache is looked into.")
    out: str | None = Field(None, description="The Parquet file to write; by default it stays in the run folder.")
    device: str = Field("cpu", description="Nothing is computed.")
    share_device: bool = Field(True, description="Run even though another run uses the device.")

    def title(self) -> str:
        return self.name or f"{self.data_set} {self.split}"

    @property
    def file_name(self) -> str:
        """What the file is called in the run folder."""
        parts = [self.data_set, self.config or "", self.split]
        return "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", part).strip("_") for part in parts if part) + ".parquet"

    def problems(self) -> list[Problem]:
        found = []
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", self.data_set):
            text = f"{self.data_set!r} is no name of a data set on the Hub. Write it like owner/name."
            found.append(Problem(field="data_set", text=text))
        if self.out is not None:
            out = Path(self.out)
            if out.suffix.lower() != ".parquet":
                found.append(Problem(field="out", text=f"{out.name} will be Parquet. Let its name end in .parquet."))
            elif (why := in_the_way(out)) is not None:
                found.append(Problem(field="out", text=why))
        return found
