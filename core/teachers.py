"""Models at hand that may teach: where they are found, and what the law says of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

import resources
from core import law
from core.errors import BadModel
from core.home import Home
from core.model_files import read_config
from core.model_folders import name_of, scan_hub_cache
from core.models import ModelEntry, inspect_model
from core.shapes import KNOWN_FAMILIES, count_parameters
from core.tokenizer import TokenizerIdentity, same_tokenizer, tokenizer_identity


class Teacher(BaseModel):
    """A model that may teach, and what the law says of it. `distance` is |ln(T / 2.5 S)|."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: Path
    parameters: int
    ratio: float
    distance: float
    badge: str
    badge_sentence: str
    same_tokenizer: bool | None  # as the student's; None where that is not known


@dataclass(frozen=True)
class _AtHand:
    name: str
    path: Path
    parameters: int
    tokenizer: TokenizerIdentity | None  # None: not looked at yet


def sample_teachers() -> list[Path]:
    """The folders of the built-in sample family."""
    return sorted(file.parent for root in resources.__path__ for file in Path(root).glob("sample/*/config.json"))


def models_at_hand(home: Home) -> list[Path]:
    """Model folders that nobody needs to name: students of our runs, the Hub cache, and the sample family."""
    students = sorted(file.parent for file in home.runs.glob("[!.]*/artifacts/[!.]*/config.json"))
    assistants = sorted(file.parent for file in home.runs.glob("[!.]*/links/*/artifacts/[!.]*/config.json"))
    return [*students, *assistants, *scan_hub_cache(), *sample_teachers()]


def _usable(models: Iterable[ModelEntry | Path]) -> Iterator[_AtHand]:
    """Each model once. Those that can't teach (broken, adapters, quantized) are left out; the library lists them."""
    seen: set[Path] = set()
    for model in models:
        path = (model.path if isinstance(model, ModelEntry) else model).resolve()
        if path in seen:
            continue
        seen.add(path)
        found = _from_entry(model) if isinstance(model, ModelEntry) else _from_folder(model)
        if found is not None:
            yield found


def _from_entry(entry: ModelEntry) -> _AtHand | None:
    info = entry.info
    if info is None or info.is_adapter or info.quantization is not None:
        return None
    return _AtHand(entry.name, entry.path, info.parameters, info.tokenizer)


def _from_folder(folder: Path) -> _AtHand | None:
    """From config.json alone where the family is known: reading large tokenizers and headers would take seconds."""
    try:
        config = read_config(folder)
        if config.get("quantization_config") or not any(folder.glob("*.safetensors*")):
            return None
        if config["model_type"] in KNOWN_FAMILIES:
            return _AtHand(name_of(folder), folder, count_parameters(config).total, None)
        info = inspect_model(folder)
        return _AtHand(info.name, folder, info.parameters, info.tokenizer)
    except BadModel:
        return None


def rank_teachers(
    models: Iterable[ModelEntry | Path], student_params: int, tokenizer: TokenizerIdentity | None = None
) -> list[Teacher]:
    """The usable models, the best teacher first (core.law.rank). `tokenizer` is the student's, where it has one."""
    usable = {str(model.path): model for model in _usable(models)}
    candidates = [
        law.Candidate(path, model.parameters, _shares_tokenizer(model, tokenizer)) for path, model in usable.items()
    ]
    return [_teacher(usable[ranked.candidate.name], ranked) for ranked in law.rank(candidates, student_params)]


def _shares_tokenizer(model: _AtHand, tokenizer: TokenizerIdentity | None) -> bool | None:
    if tokenizer is None or tokenizer.fingerprint is None:
        return None
    try:
        own = model.tokenizer or tokenizer_identity(model.path)
    except BadModel:
        return None
    return None if own.fingerprint is None else same_tokenizer(own, tokenizer)[0]


def _teacher(model: _AtHand, ranked: law.Ranked) -> Teacher:
    return Teacher(
        name=model.name,
        path=model.path,
        parameters=model.parameters,
        ratio=ranked.ratio,
        distance=ranked.distance,
        badge=ranked.badge.word,
        badge_sentence=ranked.badge.sentence,
        same_tokenizer=ranked.candidate.same_tokenizer,
    )
