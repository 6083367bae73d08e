"""Data is read once, in a stream: lengths, what is cut off, duplicates, flaws. Torch is not needed, and not loaded.

A survey that was interrupted begins anew: it keeps nothing but sums, and reading is most of its work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from core.data.choosing import mapping_of
from core.data.examples import examples
from core.data.files import total_bytes
from core.data.flaws import flaws_of
from core.data.rendering import Reader, TemplateTrouble
from core.data.turns import Broken, Example, plain_text
from core.engine.duplicates import NearDuplicates, key_of, minhash_of
from core.engine.session import Session
from core.files import write_json
from core.models import inspect_model
from core.survey import RESULT, SurveyRecipe

AT_ONCE = 256
BINS = 40
SHOWN = 5
PERCENTILES = (50, 90, 99)


def run(session: Session) -> dict[str, Any]:
    """Returns documents, bytes, tokens, lengths (edges and counts), the share cut off at a context, duplicates, flaws, roles."""
    recipe = session.recipe
    assert isinstance(recipe, SurveyRecipe)
    session.phase("loading")
    reader = Reader.of(Path(recipe.model), recipe.template) if recipe.model else None
    context = recipe.context
    if context is None and recipe.model:
        context = inspect_model(Path(recipe.model), recipe.allow_remote_code).context
        session.choose("context", context, "the model's own")
    tally = Tally(recipe, reader)
    broken = Broken()
    stream = examples(
        recipe.data,
        mapping=mapping_of(recipe.columns),
        separator=recipe.separator,
        skip_broken=recipe.skip_broken,
        broken=broken,
    )
    session.phase("reading", f"{len(recipe.data)} files" if len(recipe.data) > 1 else Path(recipe.data[0]).name)
    whole = max(1, total_bytes(recipe.data))
    while block := list(islice(stream, AT_ONCE)):
        tally.take(block)
        session.progress(min(0.99, tally.bytes / whole))
    session.progress(1.0)
    if len(tally.near) >= recipe.most_near:
        session.notice(f"Only the first {recipe.most_near:,} examples were compared for nearness.")
    results = {**tally.results(context), "broken": broken.count, "broken_rows": broken.first}
    write_json(session.artifacts / RESULT, results)
    return {**results, "artifact": str(session.artifacts / RESULT)}


class Tally:
    """The sums over all examples so far."""

    def __init__(self, recipe: SurveyRecipe, reader: Reader | None) -> None:
        self.recipe, self.reader = recipe, reader
        self.documents = self.bytes = self.characters = self.twice = self.unrendered = 0
        self.kinds: Counter[str] = Counter()
        self.roles: Counter[str] = Counter()
        self.flaws: dict[str, dict[str, Any]] = {}
        self.lengths: list[np.ndarray] = []
        self.keys: set[bytes] = set()
        self.twice_shown: list[str] = []
        self.near = NearDuplicates(recipe.similarity)
        self.near_count = 0
        self.near_shown: list[dict[str, Any]] = []
        self.refused = ""

    def take(self, block: list[Example]) -> None:
        for example in block:
            self._count(example)
        self.lengths.append(np.fromiter(self._lengths(block), np.int64))

    def _count(self, example: Example) -> None:
        text = plain_text(example)
        self.documents += 1
        self.characters += len(text)
        self.bytes += len(text.encode())
        self.kinds[example.kind] += 1
        self.roles.update(turn.role for turn in (*example.turns, *example.chosen, *example.rejected))
        for flaw in flaws_of(example):
            self.flaws.setdefault(flaw, {"text": flaw, "count": 0, "first": example.place})["count"] += 1
        key = key_of(_all_words(example))
        if key in self.keys:
            self.twice += 1
            self.twice_shown += [example.place] if len(self.twice_shown) < SHOWN else []
        else:
            self.keys.add(key)
            self._compare(example, text)

    def _compare(self, example: Example, text: str) -> None:
        """Near, but not the very same."""
        if not self.recipe.near_duplicates or len(self.near) >= self.recipe.most_near:
            return
        minhash = minhash_of(text)
        if minhash is None:
            return
        found = self.near.nearest(minhash)
        if found is None:
            self.near.keep(example.place, minhash)
            return
        self.near_count += 1
        if len(self.near_shown) < SHOWN:
            self.near_shown.append({"place": example.place, "like": found[0], "similarity": round(found[1], 3)})

    def _lengths(self, block: list[Example]) -> Iterator[int]:
        """Of every text that the model would see: two of a pair."""
        if self.reader is None:
            yield from (len(plain_text(example)) for example in block)
            return
        texts: dict[bool, list[str]] = {
            True: [],
            False: [],
        }  # those that the tokenizer frames by itself, and rendered ones
        for example in block:
            try:
                framed = self.reader.template is None or example.kind == "text"
                texts[framed] += self.reader.texts(example)
            except TemplateTrouble as trouble:
                self.unrendered += 1
                self.refused = self.refused or f"{example.place}: {trouble}"
        for framed, some in texts.items():
            yield from (len(each.ids) for each in self.reader.tokenizer.encode_batch(some, add_special_tokens=framed))

    def results(self, context: int | None) -> dict[str, Any]:
        lengths = np.concatenate(self.lengths)
        total = int(lengths.sum())
        beyond = np.maximum(lengths - context, 0) if context is not None else None
        return {
            "documents": self.documents,
            "bytes": self.bytes,
            "characters": self.characters,
            "unit": "tokens" if self.reader else "characters",
            "tokens": total if self.reader else None,
            "lengths": histogram(lengths),
            "mean_length": round(float(lengths.mean()), 2) if len(lengths) else None,
            "longest": int(lengths.max(initial=0)),
            "percentiles": {str(p): float(np.percentile(lengths, p)) for p in PERCENTILES} if len(lengths) else {},
            "context": context,
            "truncated": None if beyond is None or not len(lengths) else round(float((beyond > 0).mean()), 6),
            "truncated_tokens": None if beyond is None or not total else round(float(beyond.sum()) / total, 6),
            "exact_duplicates": self.twice,
            "exact_duplicates_shown": self.twice_shown,
            "near_duplicates": self.near_count if self.recipe.near_duplicates else None,
            "near_duplicates_shown": self.near_shown,
            "kinds": dict(self.kinds),
            "roles": dict(self.roles),
            "flaws": list(self.flaws.values()),
            "refused_by_template": self.unrendered,
            "refused_first": self.refused,
        }


def _all_words(example: Example) -> str:
    """What tells two examples apart: the rejected answers of a pair, too."""
    rejected = "\n".join(turn.content for turn in example.rejected)
    return f"{plain_text(example)}\n{rejected}"


def histogram(lengths: np.ndarray, most_bins: int = BINS) -> dict[str, list[int]]:
    """`edges` (one more than `counts`) that grow by a factor, so that short and long texts are both told apart; bin i holds lengths from
    edges[i] to below edges[i+1].
    """
    if not len(lengths):
        return {"edges": [0, 1], "counts": [0]}
    low, high = max(1, int(lengths.min())), int(lengths.max()) + 1
    edges = np.unique(np.round(np.geomspace(low, max(high, low + 1), most_bins + 1)).astype(np.int64))
    if lengths.min() < 1:
        edges = np.concatenate([[0], edges])
    edges[-1] = max(high, int(edges[-1]))
    places = np.searchsorted(edges, lengths, side="right") - 1
    return {"edges": edges.tolist(), "counts": np.bincount(places, minlength=len(edges) - 1).tolist()}
