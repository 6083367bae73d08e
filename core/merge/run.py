"""The recipe of a merge as a run: a YAML text in mergekit's format, the folder that its paths start from, and where the result goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from core.errors import Trouble
from core.merge.tree import Tree, survey
from core.recipe import Problem, Recipe


class MergeRecipe(Recipe):
    """Several models made into one, or a whole tree of merges, tensor by tensor."""

    kind: Literal["merge"] = "merge"

    text: str = Field(description="The merge in mergekit's YAML; several documents are a tree.")
    folder: str = Field(description="The folder that relative paths in the text start from.")
    out: str | None = Field(None, description="Where the merged model goes; by default it stays in the run folder.")
    keep_intermediates: bool = Field(
        False, description="Off: the inner merges of a tree are computed on the way, and never written."
    )
    arithmetic: Literal["float32", "recipe"] = Field(
        "float32",
        description="float32 computes in full precision whatever the files hold; recipe computes in the recipe's dtype, as mergekit does.",
    )
    shard_bytes: int = Field(4_000_000_000, ge=1_000_000, description="The size of a weight file at the most.")
    threads: int | None = Field(
        None, ge=1, le=64, description="Tensors merged at once; by default one for each core, at most 4."
    )
    device: str = Field(
        "cpu", description="A merge waits for the disk rather than for arithmetic, so it stays on the CPU."
    )

    def title(self) -> str:
        if self.name:
            return self.name
        try:
            tree = Tree.read(self.text)
        except Trouble:
            return "merge"
        names = [Path(str(model).rstrip("/")).name for model in tree.models()]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"{tree.merges[tree.root].method} of {shown}"

    def problems(self) -> list[Problem]:
        found = []
        try:
            tree = Tree.read(self.text, "The recipe")
            survey(tree, Path(self.folder), allow_remote_code=self.allow_remote_code).refuse()
        except Trouble as trouble:
            found.append(Problem(field="text", text=str(trouble)))
        if self.out is not None and (why := in_the_way(Path(self.out))) is not None:
            found.append(Problem(field="out", text=why))
        return found


def in_the_way(out: Path) -> str | None:
    """Why a model can't be written there, said before the work."""
    if os.path.lexists(out):
        return f"{out} is there already. Name a new folder; nothing is overwritten."
    nearest = next(parent for parent in out.absolute().parents if os.path.lexists(parent))
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return None
    return f"{out} can't be written: {nearest} is no folder that you may write to. Name another place."
