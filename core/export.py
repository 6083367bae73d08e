"""The recipe of an export: a model made ready for where it will run, and checked there before it is called done.

`results` of its run: `path`, `files`, `size_bytes`, `original_bytes`, `type`, and `check`, what loading the export and comparing it
with the original showed.
"""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from core.errors import BadModel
from core.model_files import read_config
from core.recipe import Problem, Recipe

Target = Literal["gguf", "hf", "int8", "int4", "onnx", "ollama"]

PLAIN_TYPES = ("f32", "f16", "bf16")
BLOCK_TYPES = ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0")  # what the gguf package quantizes to by itself
K_TYPES = ("q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s", "q3_k_l", "q3_k_m", "q3_k_s", "q2_k")  # llama.cpp's own
K_LIBRARY = "llama_cpp"
GGUF_FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "gpt2")
LARGEST_SHARD_BYTES = 5 * 10**9


@dataclass(frozen=True)
class TargetFacts:
    """What a target is for, the types it knows (the first is the default), and the packages that it takes beyond our own."""

    title: str
    advice: str
    types: tuple[str, ...]
    packages: tuple[str, ...] = ()  # as they are imported


TARGETS: dict[str, TargetFacts] = {
    "gguf": TargetFacts(
        "GGUF",
        "one file for llama.cpp, LM Studio and what is built on them",
        ("q8_0", *PLAIN_TYPES, *BLOCK_TYPES[1:], *K_TYPES),
        ("gguf",),
    ),
    "ollama": TargetFacts(
        "Ollama",
        "a GGUF file with a Modelfile: `ollama create` takes it as it is",
        ("q8_0", *PLAIN_TYPES, *BLOCK_TYPES[1:], *K_TYPES),
        ("gguf",),
    ),
    "hf": TargetFacts(
        "Hugging Face folder",
        "for transformers, vLLM and everything that reads the Hub's folders; can be trained further",
        ("bf16", "f16", "f32"),
    ),
    "int8": TargetFacts(
        "int8 weights",
        "weights in bytes, one scale a row (torchao), loaded by transformers; nearly the same answers",
        ("int8",),
        ("torchao",),
    ),
    "int4": TargetFacts(
        "int4 weights",
        "weights of sixteen steps, one scale for 32 of a row (torchao), loaded by transformers",
        ("int4",),
        ("torchao",),
    ),
    "onnx": TargetFacts(
        "ONNX", "a graph for ONNX Runtime, in browsers and on phones too", ("f32",), ("onnx", "onnxscript")
    ),
}
INSTALL = {
    "gguf": "gguf",
    "torchao": "torchao",
    "onnx": "onnx",
    "onnxscript": "onnxscript",
    K_LIBRARY: "llama-cpp-python",
}


class ExportRecipe(Recipe):
    """A model made ready for somebody else's program. It is loaded there, and answers are compared, before it takes its place."""

    kind: Literal["export"] = "export"

    model: str = Field(description="The folder of the model that is shipped.")
    to: Target = Field(
        description="gguf for llama.cpp, ollama the same with a Modelfile, hf a clean Hugging Face folder, int8 and int4 for transformers "
        "with torchao, onnx for ONNX Runtime."
    )
    type: str | None = Field(
        None,
        description="How weights are kept, as q8_0, bf16 or f32; by default what suits most (gguf: q8_0, hf: bf16).",
    )
    out: str | None = Field(
        None, description="The file (gguf) or folder that is written; by default it stays in the run folder."
    )

    data: tuple[str, ...] = Field(
        (), description="Text for the perplexity before and after; by default stories of the sample."
    )
    separator: str | None = Field(None, description="The line that parts documents, as in training.")
    prompts: tuple[str, ...] = Field(
        (), description="What original and export are both asked; by default ten beginnings of the text."
    )
    new_tokens: int = Field(32, ge=1, le=512, description="The length of the answers that are compared.")
    compared_tokens: int = Field(2000, ge=50, description="Tokens of text for the perplexity.")
    most_loss: float | None = Field(
        None,
        gt=0,
        description="The export fails if its perplexity is higher by more than this share; by default a bound for each type.",
    )

    shard_bytes: int = Field(
        LARGEST_SHARD_BYTES,
        ge=10**4,
        description="A Hugging Face folder's weights are parted in files of at most this size.",
    )
    license: str = Field("", description="The licence that the model card names, as apache-2.0.")
    push: str | None = Field(
        None, description="Also upload the folder to the Hub under this name, as organisation/name. Takes a token."
    )
    public: bool = Field(False, description="Off: the uploaded model can be seen by everybody.")

    @property
    def weight_type(self) -> str:
        return (self.type or TARGETS[self.to].types[0]).lower()

    def title(self) -> str:
        return self.name or f"{Path(self.model).name} as {self.to} {self.weight_type}".replace(
            f"{self.to} {self.to}", self.to
        )

    def problems(self) -> list[Problem]:
        found = [*self._about_the_model(), *self._about_the_type()]
        if self.out is not None and (why := in_the_way(Path(self.out), self.to)) is not None:
            found.append(Problem(field="out", text=why))
        found.extend(
            Problem(field="data", text=f"There is no file or folder {item}.")
            for item in self.data
            if not Path(item).exists()
        )
        if self.push is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", self.push):
            found.append(
                Problem(field="push", text=f"{self.push!r} is no name on the Hub. Write it as organisation/name.")
            )
        return found

    def _about_the_model(self) -> list[Problem]:
        folder = Path(self.model)
        if not folder.is_dir():
            return [Problem(field="model", text=f"There is no folder {self.model}. Choose a model folder.")]
        if self.to not in ("gguf", "ollama"):
            return []
        try:
            family = str(read_config(folder)["model_type"])
        except BadModel as trouble:
            return [Problem(field="model", text=str(trouble))]
        if family in GGUF_FAMILIES:
            return []
        known = ", ".join(GGUF_FAMILIES)
        text = f"The architecture {family} can't be written as GGUF here; these can: {known}. Export it as hf instead."
        return [Problem(field="model", text=text)]

    def _about_the_type(self) -> list[Problem]:
        facts, found = TARGETS[self.to], []
        if self.weight_type not in facts.types:
            text = f"{self.to} has no type {self.type}. Choose one of {', '.join(facts.types)}."
            found.append(Problem(field="type", text=text))
        needed = [*facts.packages, *([K_LIBRARY] if self.weight_type in K_TYPES and "gguf" in facts.packages else [])]
        missing = [INSTALL[package] for package in needed if importlib.util.find_spec(package) is None]
        if missing:
            field = "type" if missing == [INSTALL[K_LIBRARY]] else "to"
            instead = " Or choose q8_0, q5_1 or q4_1, which take none." if field == "type" else ""
            text = f"This takes a package that is not installed: pip install {' '.join(missing)}.{instead}"
            found.append(Problem(field=field, text=text))
        return found


def in_the_way(out: Path, to: str) -> str | None:
    """Why the export can't be written there, said before the work."""
    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir()) and to != "gguf"):
        return f"{out} is there already. Name a new place; nothing is overwritten."
    if to == "gguf" and out.suffix.lower() != ".gguf":
        return f"{out.name} will be a GGUF file. Let its name end in .gguf, so that programs know it."
    nearest = next(parent for parent in out.absolute().parents if os.path.lexists(parent))
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return None
    return f"{out} can't be written: {nearest} is no folder that you may write to. Name another place."
