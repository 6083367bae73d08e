"""Reasons against a text: flaws, length, patterns, duplicates, and a classifier's judgement; each counted, with the first few shown."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.data.flaws import flaws_of
from core.data.rendering import Reader
from core.data.turns import Example, plain_text
from core.engine.duplicates import NearDuplicates, key_of, minhash_of
from core.engine.grading import Grader
from core.prepare import PrepareRecipe

SHOWN = 3
SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class Kept:
    """An example that nothing stands against. `size` is in the recipe's unit."""

    example: Example
    key: bytes
    size: int


@dataclass
class Sieve:
    """What was kept before, for duplicates, and what was dropped why."""

    recipe: PrepareRecipe
    reader: Reader | None
    grader: Grader | None
    dropped: Counter[str] = field(default_factory=Counter)
    shown: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    keys: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.near = NearDuplicates(self.recipe.similarity)
        self._keep = [re.compile(pattern) for pattern in self.recipe.keep]
        self._drop = [re.compile(pattern) for pattern in self.recipe.drop]

    def sift(self, block: list[Example]) -> list[Kept]:
        """Those of a block that are kept. What is decided depends on the block and on what was kept before, and on nothing else."""
        texts = [plain_text(example) for example in block]
        tokens = self._tokens(texts)
        reasons = [self._by_itself(*each) for each in zip(block, texts, tokens, strict=True)]
        if self.grader is not None:
            passed = [number for number, reason in enumerate(reasons) if reason is None]
            grades = self.grader.grades([texts[number] for number in passed])
            for number, grade in zip(passed, grades, strict=True):
                if grade < self.recipe.threshold:
                    reasons[number] = f"graded below {self.recipe.threshold:g}"
        kept = []
        for example, text, count, reason in zip(block, texts, tokens, reasons, strict=True):
            reason = reason or self._there_already(example, text)
            if reason is not None:
                self._note(reason, example, text)
                continue
            size = {"documents": 1, "tokens": count, "characters": len(text)}[self.recipe.weigh_by]
            kept.append(Kept(example, self._key(example, text), size))
        return kept

    def remember(self, example: Example) -> None:
        """What an earlier attempt kept."""
        text = plain_text(example)
        self.keys.add(self._key(example, text))
        if self.recipe.drop_near and (minhash := minhash_of(text)) is not None:
            self.near.keep(str(len(self.near)), minhash)

    def _tokens(self, texts: list[str]) -> list[int]:
        if self.reader is None or not self.recipe.counts_tokens:
            return [0] * len(texts)
        return [len(each.ids) for each in self.reader.tokenizer.encode_batch(texts, add_special_tokens=False)]

    def _by_itself(self, example: Example, text: str, tokens: int) -> str | None:
        """A reason that needs no other text."""
        recipe = self.recipe
        if recipe.drop_flawed and (flaws := flaws_of(example)):
            return flaws[0]
        if len(text) < recipe.least_characters:
            return f"shorter than {recipe.least_characters} characters"
        if recipe.most_characters is not None and len(text) > recipe.most_characters:
            return f"longer than {recipe.most_characters} characters"
        if recipe.least_tokens is not None and tokens < recipe.least_tokens:
            return f"fewer than {recipe.least_tokens} tokens"
        if recipe.most_tokens is not None and tokens > recipe.most_tokens:
            return f"more than {recipe.most_tokens} tokens"
        if self._keep and not any(pattern.search(text) for pattern in self._keep):
            return "no match of --keep"
        matched = next((pattern.pattern for pattern in self._drop if pattern.search(text)), None)
        return None if matched is None else f"matches {matched!r}"

    def _there_already(self, example: Example, text: str) -> str | None:
        """A reason that lies in what was kept before; a text without one is kept from now on."""
        key = self._key(example, text)
        if self.recipe.drop_exact and key in self.keys:
            return "the same stood there before"
        if self.recipe.drop_near and (minhash := minhash_of(text)) is not None:
            if self.near.nearest(minhash) is not None:
                return "almost the same stood there before"
            self.near.keep(str(len(self.near)), minhash)
        self.keys.add(key)
        return None

    def _key(self, example: Example, text: str) -> bytes:
        return key_of("\n".join([text, *(turn.content for turn in example.rejected)]))

    def _note(self, reason: str, example: Example, text: str) -> None:
        self.dropped[reason] += 1
        some = self.shown.setdefault(reason, [])
        if len(some) < SHOWN:
            some.append({"place": example.place, "text": text[:SHOWN_CHARACTERS]})

    def told(self, read: int) -> list[dict[str, Any]]:
        """What each filter dropped: reason, count, share of all that was read, and the first few."""
        return [
            {
                "reason": reason,
                "dropped": count,
                "share": round(count / max(1, read), 6),
                "shown": self.shown.get(reason, []),
            }
            for reason, count in self.dropped.most_common()
        ]


def reader_for(recipe: PrepareRecipe) -> Reader | None:
    return Reader.of(Path(recipe.model)) if recipe.model is not None and recipe.counts_tokens else None
