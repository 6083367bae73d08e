"""The model that is measured, with what every part needs to know of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import defaults
from core.adapters import base_of, read_adapter
from core.engine.models import compute_dtype, load_model, load_tokenizer
from core.engine.session import Session
from core.engine.text import Framing, find_framing
from core.files import read_json
from core.models import ModelInfo, inspect_model

CPU_TOKENS = 1024
MOST_ROWS = 256
MERGED = "merged"  # in the run folder, for as long as an adapter is being loaded


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


@contextmanager
def _whole(session: Session, folder: Path, info: ModelInfo, allow_remote_code: bool) -> Iterator[Path]:
    """The folder itself, or the model that an adapter makes of its base."""
    if not info.is_adapter:
        yield folder
        return
    from core.engine.adapters import merge

    adapter = read_adapter(folder)
    base = base_of(adapter, None, allow_remote_code)
    session.phase("laying the adapter over its base", base.name)
    merged = session.run.path / MERGED
    try:
        merge(base, [(adapter, 1.0)], merged, pause=session.progress)
        yield merged
    finally:
        shutil.rmtree(merged, ignore_errors=True)


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
        """An adapter is measured as its base with the adapter merged into it, which is made for that and goes away again."""
        dtype, why = compute_dtype(session.device, precision)
        session.choose("precision", str(dtype).removeprefix("torch."), why)
        info = inspect_model(folder, allow_remote_code=allow_remote_code)
        with _whole(session, folder, info, allow_remote_code) as whole:
            model = load_model(whole, session.device, dtype, allow_remote_code)
            tokenizer = load_tokenizer(whole, allow_remote_code)
        return cls(folder, info, model, tokenizer, session.device)

    def framing(self, session: Session, texts: list[str]) -> Framing:
        if self._framing is None:
            self._framing = trained_framing(self.folder) or find_framing(self.tokenizer, self.model, texts, self.device)
            session.choose("framing", [self._framing.start, self._framing.end], self._framing.reason)
        return self._framing

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype
