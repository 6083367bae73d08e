"""What stands between the export dialog and a run: the model that is asked about, words for types, places, and the start itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from PySide6.QtCore import QCoreApplication

from core import runner
from core.errors import BadModel
from core.export import K_TYPES, TARGETS, ExportRecipe, Target
from core.export_size import bits_a_weight, expected_bytes
from core.home import Home
from core.models import ModelInfo, inspect_model
from core.numbers import bytes_text
from desktop_app.forms import Option

translate = QCoreApplication.translate
FILES = ("gguf",)  # targets that are one file; the others are folders


@dataclass(frozen=True)
class Subject:
    """A model that may be exported, and which targets it can't go to, with the reason; `types` likewise, of each target."""

    folder: Path
    name: str
    info: ModelInfo
    targets: dict[str, str]
    types: dict[tuple[str, str], str]


def look_at(folder: Path, name: str) -> Subject:
    """Raises BadModel for one that can't be shipped at all."""
    info = inspect_model(folder)
    if info.is_adapter:
        raise BadModel(
            f"{name} is an adapter, which works on top of its base only.",
            "Merge it into its base first, then export that.",
        )
    if info.quantization is not None:
        raise BadModel(f"{name} is quantized already ({info.quantization}).", "Export the model that it was made from.")
    targets: dict[str, str] = {}
    types: dict[tuple[str, str], str] = {}
    for target, facts in TARGETS.items():
        for weight_type in facts.types:
            problems = ExportRecipe(model=str(folder), to=cast("Target", target), type=weight_type).problems()
            if whole := [problem.text for problem in problems if problem.field in ("to", "model")]:
                targets[target] = " ".join(whole)
                break
            if why_not := " ".join(problem.text for problem in problems if problem.field == "type"):
                types[target, weight_type] = why_not
    return Subject(folder, name, info, targets, types)


def start(home: Home, recipe: ExportRecipe) -> str:
    """Check the recipe, write the run folder, enter it in the queue and see that a runner lives; the run's id."""
    return runner.start(home, recipe.check()).id


def target_options(subject: Subject) -> list[Option]:
    return [
        Option(name, facts.title, _sentence(facts.advice), why_not=subject.targets.get(name, ""))
        for name, facts in TARGETS.items()
    ]


def type_options(subject: Subject, target: str) -> list[Option]:
    """The types of a target, each with about how large the model will be."""
    return [
        Option(
            weight_type,
            translate("export", "%s, about %s") % (weight_type, bytes_text(expected_bytes(subject.info, weight_type))),
            type_words(weight_type),
            why_not=subject.types.get((target, weight_type), ""),
        )
        for weight_type in TARGETS[target].types
    ]


def type_words(weight_type: str) -> str:
    """What a type keeps of the weights."""
    bits = f"{bits_a_weight(weight_type):.3g}"
    told = {
        "f32": translate("export", "Exactly as they are computed with; the largest."),
        "f16": translate("export", "Half precision, which every runtime reads."),
        "bf16": translate("export", "Half precision with the range of float32, as most models are published."),
        "int8": translate("export", "A byte for each weight of a layer; embeddings stay as they are."),
        "int4": translate("export", "Sixteen steps for each weight of a layer; embeddings stay as they are."),
        "q8_0": translate("export", "8.5 bits a weight: nearly the same answers in half of f16."),
    }
    if weight_type in told:
        return told[weight_type]
    if weight_type in K_TYPES:
        return translate("export", "About %s bits a weight, more where it matters.") % bits
    return translate("export", "%s bits a weight; embeddings take 8. A small model loses more than a large one.") % bits


def place_for(home: Home, name: str, target: str, weight_type: str) -> Path:
    """A new place in the data folder that is not taken."""
    slug = (
        "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip("-.")[:60] or "model"
    )
    ending = ".gguf" if target in FILES else ""
    stem = f"{slug}-{weight_type}" if target in (*FILES, weight_type) else f"{slug}-{target}-{weight_type}"
    folder = home.root / "exports"
    place, number = folder / f"{stem}{ending}", 2
    while place.exists():
        place, number = folder / f"{stem}-{number}{ending}", number + 1
    return place


def _sentence(text: str) -> str:
    plain = text.replace("`", "")
    return f"{plain[:1].upper()}{plain[1:]}."
