"""A classifier of texts that a few labelled ones teach: mean-pooled hidden states of a model, then a random forest or a logistic regression
(after "Textbooks Are All You Need", Gunasekar et al. 2023, arXiv 2306.11644, section 2.1).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from core.data.examples import examples
from core.data.turns import plain_text
from core.engine.session import Session
from core.errors import BadData
from core.prepare import PrepareRecipe

GOOD = ("1", "1.0", "true", "yes", "good", "high", "keep", "educational")
FEWEST = 4  # of each label
FOLDS = 5
TREES = 100
READ_TOKENS = 512  # of a text, at the most
ROWS_AT_ONCE = 16


class Embedder(Protocol):
    """Texts to vectors of shape (texts, width)."""

    def __call__(self, texts: list[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class Grader:
    """`grades` are probabilities that texts are good. `accuracy` is cross-validated; `always` that of always saying the commoner label."""

    embed: Embedder
    classifier: Any
    accuracy: float
    always: float
    labelled: dict[str, int]

    def grades(self, texts: list[str]) -> np.ndarray:
        """Shape (texts,), each from 0 to 1."""
        if not texts:
            return np.zeros(0)
        return self.classifier.predict_proba(self.embed(texts))[:, 1]


def labelled_rows(file: str, good: str | None) -> tuple[list[str], np.ndarray, dict[str, int]]:
    """Texts, whether each is good, and how many there are of each label. BadData names what is missing."""
    texts, labels = [], []
    for example in examples([file]):
        label = example.extra.get("label")
        if label is None:
            place = f"{example.place[0].upper()}{example.place[1:]}"
            raise BadData(f"{place} has no `label`.", 'Write rows like {"text": "…", "label": "good"}.')
        texts.append(plain_text(example))
        labels.append(label)
    counts = Counter(labels)
    named = ", ".join(f"{count} × {label!r}" for label, count in counts.most_common(6))
    if len(counts) != 2 or min(counts.values()) < FEWEST:
        raise BadData(f"{file} has the labels {named}.", f"Label with two, and at least {FEWEST} rows of each.")
    chosen = good if good is not None else next((label for label in counts if label.lower() in GOOD), None)
    if chosen not in counts:
        raise BadData(f"Which of the labels of {file} ({named}) is good is not known.", "Name it with --good.")
    return texts, np.array([label == chosen for label in labels], dtype=np.int64), dict(counts)


def train(texts: list[str], good: np.ndarray, counts: dict[str, int], embed: Embedder, kind: str, seed: int) -> Grader:
    """Teach the classifier on all labelled rows, and say how often it is right on rows that it has not seen."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = (
        RandomForestClassifier(n_estimators=TREES, random_state=seed)
        if kind == "forest"
        else make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed))
    )
    vectors = embed(texts)
    folds = StratifiedKFold(min(FOLDS, int(np.bincount(good).min())), shuffle=True, random_state=seed)
    accuracy = float(cross_val_score(classifier, vectors, good, cv=folds).mean())
    classifier.fit(vectors, good)
    return Grader(embed, classifier, accuracy, float(max(good.mean(), 1 - good.mean())), counts)


def grader_for(session: Session, recipe: PrepareRecipe) -> Grader | None:
    """The grader of a recipe, taught; None if it asks for none. Torch is loaded here, and only if there is one."""
    if recipe.labelled is None or recipe.model is None:
        return None
    texts, good, counts = labelled_rows(recipe.labelled, recipe.good)
    from core.engine.embedding import ModelEmbedder

    session.phase("loading", Path(recipe.model).name)
    embed = ModelEmbedder(Path(recipe.model), session.device, recipe.allow_remote_code, READ_TOKENS, session.check_stop)
    session.phase("teaching the classifier", f"{len(texts)} labelled rows")
    grader = train(texts, good, counts, embed, recipe.classifier, recipe.seed)
    said = f"right on {grader.accuracy:.0%} of labelled rows that it had not seen"
    session.choose(
        "classifier", recipe.classifier, f"{said}; always guessing the commoner label is on {grader.always:.0%}"
    )
    if grader.accuracy <= grader.always + 0.02:
        session.notice(
            f"The classifier learnt little: it is {said}, and guessing on {grader.always:.0%}. Label more rows, or choose another model.",
            "warning",
        )
    return grader
