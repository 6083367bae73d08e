"""Texts that stand there twice: the very same by a hash, and almost the same by MinHash (Broder 1997) and locality-sensitive hashing."""

from __future__ import annotations

import hashlib
import re

import numpy as np
from datasketch import MinHash, MinHashLSH

PERMUTATIONS = 128
WORDS = 5  # of a run; texts of fewer are one run
# a word, or one letter of scripts that write without spaces between words
WORD = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|\\w+")


def key_of(text: str) -> bytes:
    """The same for texts that differ in nothing but white space; 16 bytes."""
    return hashlib.blake2b(" ".join(text.split()).encode(), digest_size=16).digest()


def shingles(text: str) -> set[str]:
    """All runs of five words, without case and punctuation."""
    words = WORD.findall(text.lower())
    return {" ".join(words[at : at + WORDS]) for at in range(max(1, len(words) - WORDS + 1))} if words else set()


class NearDuplicates:
    """Remembers texts, and finds for another the one that it is nearest to.

    Two texts are near if at least the share `similarity` of their shingles is common (their Jaccard index), as estimated from 128
    hash values: its standard error is at most 0.044. Each text that is kept takes about 1 kB.
    """

    def __init__(self, similarity: float) -> None:
        self.similarity = similarity
        # a lower threshold for the candidates, of which those are taken whose estimate is high enough
        self._index = MinHashLSH(threshold=max(0.1, similarity - 0.1), num_perm=PERMUTATIONS)
        self._values: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._values)

    def nearest(self, minhash: MinHash) -> tuple[str, float] | None:
        """The name of the most similar text that is near, with the estimated similarity."""
        found = [
            (float(np.mean(self._values[name] == minhash.hashvalues)), name) for name in self._index.query(minhash)
        ]
        share, name = max(found, default=(0.0, ""))
        return (name, share) if share >= self.similarity else None

    def keep(self, name: str, minhash: MinHash) -> None:
        """Remember a text by its name; a name that is known already keeps its text."""
        if name in self._values:
            return
        self._index.insert(name, minhash)
        self._values[name] = minhash.hashvalues.astype(np.uint32)


def minhash_of(text: str) -> MinHash | None:
    """None for a text without a single word."""
    runs = shingles(text)
    if not runs:
        return None
    minhash = MinHash(num_perm=PERMUTATIONS)
    minhash.update_batch([run.encode() for run in runs])
    return minhash
