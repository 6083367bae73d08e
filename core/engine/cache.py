"""A teacher's answers to a text, kept: one pass that any number of students, objectives and epochs learn from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from transformers.utils import logging as transformers_logging

from core.cache import CacheRecipe
from core.engine.capture import provide
from core.engine.models import compute_dtype, load_tokenizer
from core.engine.reading import read_data
from core.engine.session import Session
from core.engine.teaching import load_teacher
from core.files import write_json


def run(session: Session) -> dict[str, Any]:
    """Fill a cache, or go on filling it; returns where it is and what it holds."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    recipe = session.recipe
    assert isinstance(recipe, CacheRecipe)
    began = time.monotonic()
    folder = Path(recipe.teacher)
    session.phase("loading", f"tokenizer and teacher {folder.name}")
    dtype, why = compute_dtype(session.device, recipe.precision)
    session.choose("precision", str(dtype).removeprefix("torch."), why)
    tokenizer = load_tokenizer(folder, recipe.allow_remote_code)
    reading = recipe.distillation()
    teacher = load_teacher(session, reading, folder, dtype)
    framing, corpus, held_out, length = read_data(session, reading, tokenizer, teacher, folder)
    corpus = corpus.followed_by(held_out)  # which a distillation with another seed trains on
    answers = provide(session, recipe, teacher, tokenizer, framing, corpus, length)
    held = answers.manifest
    results = {
        "cache": str(answers.folder),
        "teacher": recipe.teacher,
        "documents": held.documents,
        "tokens": held.tokens,
        "rows": held.rows,
        "bytes": held.bytes,
        "bytes_per_token": held.bytes_per_token,
        "top_k": held.top_k,
        "mass_kept": held.mass_kept,
        "seconds": round(time.monotonic() - began, 3),
    }
    write_json(session.artifacts / "cache.json", results)  # the way from the run to its cache
    return results
