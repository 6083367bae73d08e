"""What a model writes: variety (distinct-n), repetition, and whether it comes to an end."""

from __future__ import annotations

import json
from typing import Any

import torch

from core import events as ev
from core.engine.evaluation.subject import Subject, context_of
from core.engine.generation import Written, generate
from core.engine.session import Session
from core.engine.write import repeated_share
from core.errors import BadData
from core.evaluate import EvaluateRecipe
from core.files import write_text

PROMPT_TOKENS = 8
AT_ONCE = 64
WRITTEN = "written.jsonl"


def write_texts(session: Session, recipe: EvaluateRecipe, subject: Subject, texts: list[str]) -> dict[str, Any]:
    """Go on from the texts' beginnings at temperature 1. The rows are kept in `artifacts/written.jsonl`.

    `distinct_1` to `distinct_3`: different n-grams of tokens over all n-grams (Li et al., arXiv 1510.03055, section 5.1); `repetition`: mean share of
    a text's 4-grams that it has written before; `ended`: the share of texts that came to an end by themselves.
    """
    framing = subject.framing(session, texts)
    begin = [] if framing.start is None else [framing.start]
    encoded = subject.tokenizer(texts, add_special_tokens=False).input_ids
    room = context_of(subject.model) - 2
    prompts = [begin + ids[: min(PROMPT_TOKENS, room)] for ids in encoded if len(begin) + len(ids) > 0]
    if not prompts:
        raise BadData("The text has no beginning to go on from.", "Choose longer text.")
    ends = {token for token in (framing.end, subject.tokenizer.eos_token_id) if token is not None}
    rows = []
    for at in range(0, len(prompts), AT_ONCE):
        part = prompts[at : at + AT_ONCE]
        generators = [torch.Generator().manual_seed(recipe.seed * 1_000_003 + at + place) for place in range(len(part))]
        rows += generate(
            subject.model,
            part,
            new_tokens=recipe.written_tokens,
            temperature=1.0,
            ends=ends,
            generator=generators,
            pause=session.check_stop,
        )
        session.progress(len(rows) / len(prompts))
    lines = [_line(subject, prompt, row) for prompt, row in zip(prompts, rows, strict=True)]
    session.artifacts.mkdir(exist_ok=True)
    write_text(session.artifacts / WRITTEN, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    session.say(ev.SampleWritten(0, lines[0]["prompt"], lines[0]["text"], subject="model"))
    ids = [row.ids[:-1] if row.ended else row.ids for row in rows]
    return {
        **{f"distinct_{n}": distinct(ids, n) for n in (1, 2, 3)},
        "repetition": sum(map(repeated_share, ids)) / len(ids),
        "ended": sum(row.ended for row in rows) / len(rows),
        "mean_tokens": sum(map(len, ids)) / len(ids),
        "texts": len(rows),
    }


def _line(subject: Subject, prompt: list[int], row: Written) -> dict[str, Any]:
    """Decoded as one text, for a token's leading space may be lost where a text begins with it."""
    said = subject.tokenizer.decode(prompt, skip_special_tokens=True)
    whole = subject.tokenizer.decode([*prompt, *row.ids], skip_special_tokens=True)
    return {"prompt": said, "text": whole.removeprefix(said), "ended": row.ended}


def distinct(texts: list[list[int]], n: int) -> float:
    """Different n-grams over all n-grams, of all texts together."""
    grams = [gram for ids in texts for gram in zip(*(ids[k:] for k in range(n)), strict=False)]
    return len(set(grams)) / len(grams) if grams else 0.0
