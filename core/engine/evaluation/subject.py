"""The model that is measured, with what every part needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import defaults
from core.engine.models import compute_dtype, load_model, load_tokenizer
from core.engine.session import Session
from core.engine.text import Framing, find_framing
from core.files import read_json
from core.models import ModelInfo, inspect_model

CPU_TOKENS = 1024
MOST_ROWS = 256


def context_of(model: PreTrainedModel) -> int:
    """The tokens that the model reads at once; 2048 where it says no limit."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", 0) or 2048)


def trained_framing(folder: Path) -> Framing | None:
    """How one of our own students was trained to see documents begin and end, so that it is read the same way; None for others."""
    try:
        said = read_json(folder / "stillroom.json")["framing"]
        return Framing(said["start"], said["end"], "as in its training")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def rows_at_once(device: str, entries: int, length: int) -> int:
    """How many rows of `length` tokens are read together: as many as their scores over the vocabulary fit in memory, and on a CPU only as
    many as keep to its caches, which is three to five times as fast for small models.
    """
    tokens = defaults.scored_rows(entries)
    if device == "cpu":
        tokens = min(tokens, CPU_TOKENS)
    return max(1, min(MOST_ROWS, tokens // max(1, length)))


@dataclass
class Subject:
    """A loaded model, its tokenizer, and what its folder says. The framing is found once, on the first text that is asked about."""

    folder: Path
    info: ModelInfo
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: str
    _framing: Framing | None = None

    @classmethod
    def load(cls, session: Session, folder: Path, precision: str, allow_remote_code: bool) -> Subject:
        dtype, why = compute_dtype(session.device, precision)
        session.choose("precision", str(dtype).removeprefix("torch."), why)
        model = load_model(folder, session.device, dtype, allow_remote_code)
        tokenizer = load_tokenizer(folder, allow_remote_code)
        info = inspect_model(folder, allow_remote_code=allow_remote_code)
        return cls(folder, info, model, tokenizer, session.device)

    def framing(self, session: Session, texts: list[str]) -> Framing:
        if self._framing is None:
            self._framing = trained_framing(self.folder) or find_framing(self.tokenizer, self.model, texts, self.device)
            session.choose("framing", [self._framing.start, self._framing.end], self._framing.reason)
        return self._framing

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype
