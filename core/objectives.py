"""The distillation objectives: what each is good for, what it costs, what it needs of the teacher. A table of facts, no arithmetic.

The arithmetic is in `core.engine.losses`; the recipe, the command line and the window all choose from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Objective = Literal[
    "forward_kl",
    "reverse_kl",
    "jsd",
    "skew_kl",
    "skew_reverse_kl",
    "tvd",
    "top1",
    "top_p",
    "dac_kl",
    "sinkhorn",
    "hidden",
    "relations",
    "uld",
    "gold",
]
Source = Literal["corpus", "cache", "on-policy"]


@dataclass(frozen=True)
class Facts:
    """`dials` are the recipe's fields that this objective reads beside weight and temperature."""

    title: str
    advice: str  # one sentence: what it is good for
    cost: str  # one sentence: what it costs beside forward KL
    source: str
    dials: tuple[str, ...] = ()
    needs: Literal["probabilities", "vocabulary", "states", "text"] = "probabilities"
    from_sample: bool = False  # unbiased on classes drawn at random from the teacher's distribution
    scale: float = 1.0  # what brings a row's value to the size of a cross-entropy

    @property
    def from_cache(self) -> bool:
        """True if the top of the teacher's distribution and the mass of the rest are enough."""
        return self.needs == "probabilities"


OBJECTIVES: dict[Objective, Facts] = {
    "forward_kl": Facts(
        "Forward KL",
        "Covers everything that the teacher may say: the steady default.",
        "The cheapest of the divergences.",
        "Hinton et al. 2015 (arXiv 1503.02531)",
        from_sample=True,
    ),
    "reverse_kl": Facts(
        "Reverse KL",
        "Keeps a small student to what the teacher says most: for writing rather than for scoring.",
        "About as fast as forward KL.",
        "Gu et al. 2023, MiniLLM (arXiv 2306.08543)",
    ),
    "jsd": Facts(
        "Generalized JSD",
        "Between forward and reverse KL, by β: the choice of GKD, and good on the student's own words.",
        "A little slower than forward KL: one more logarithm for each entry.",
        "Agarwal et al. 2023, GKD (arXiv 2306.13649)",
        dials=("jsd_beta",),
    ),
    "skew_kl": Facts(
        "Skew KL",
        "Forward KL with gradients that stay small where the student is far off.",
        "A little slower than forward KL.",
        "Ko et al. 2024, DistiLLM (arXiv 2402.03898)",
        dials=("skew_alpha",),
    ),
    "skew_reverse_kl": Facts(
        "Skew reverse KL",
        "Reverse KL with gradients that stay small where the student is far off.",
        "A little slower than forward KL.",
        "Ko et al. 2024, DistiLLM (arXiv 2402.03898)",
        dials=("skew_alpha",),
    ),
    "tvd": Facts(
        "Total variation",
        "Robust to a teacher that is wrong at times: no entry can weigh more than its own probability.",
        "About as fast as forward KL.",
        "Wen et al. 2023, f-distill (arXiv 2307.15190)",
    ),
    "top1": Facts(
        "Teacher's first choice",
        "Only the teacher's likeliest token counts: for a much larger teacher, and the smallest cache.",
        "A little faster than forward KL.",
        "Arcee's AFM (0.9 of the teacher's choice, 0.1 of the text)",
    ),
    "top_p": Facts(
        "Clipped KL (top-p)",
        "Forward KL on the likeliest classes alone, which leaves the noise of the long tail out.",
        "Slower than forward KL: the teacher's probabilities are sorted.",
        "the fixed clip of Liu et al. 2024 (arXiv 2407.10068)",
        dials=("clip_mass",),
    ),
    "dac_kl": Facts(
        "Adaptive clipping (DAC-KL)",
        "Forward KL on a band of classes that a small network learns to choose for each token.",
        "The slowest of the divergences: sorting, and a small network beside.",
        "Liu et al. 2024, DAC-KL (arXiv 2407.10068)",
        needs="vocabulary",
    ),
    "sinkhorn": Facts(
        "Sinkhorn",
        "Compares batches of distributions instead of one by one: for a teacher and a student that hardly overlap.",
        "Slow: every row is compared with every other of its chunk.",
        "Cui et al. 2024, SinKD (arXiv 2402.17110)",
        dials=("sinkhorn_epsilon",),
        needs="vocabulary",
    ),
    "hidden": Facts(
        "Hidden states",
        "The student's layers follow the teacher's, through a learnt projection: for students far smaller than the text needs.",
        "Needs all layers of the teacher; the projection is dropped from the finished student.",
        "Jiao et al. 2019, TinyBERT (arXiv 1909.10351)",
        needs="states",
    ),
    "relations": Facts(
        "Attention relations",
        "The last layer attends as the teacher's does, whatever the widths: for pruned students.",
        "Needs the teacher's queries, keys and values; memory grows with the square of the sequence.",
        "Wang et al. 2020, MiniLMv2 (arXiv 2012.15828)",
        needs="states",
    ),
    "uld": Facts(
        "Universal logits (ULD)",
        "For a teacher with another tokenizer: sorted probabilities are compared, position by position.",
        "Sorts both vocabularies for every token.",
        "Boizard et al. 2024 (arXiv 2402.12030)",
        needs="text",
    ),
    "gold": Facts(
        "Aligned texts (GOLD)",
        "For a teacher with another tokenizer: tokens that cover the same text are merged, and shared entries compared.",
        "Sorts what the vocabularies don't share.",
        "Patiño et al. 2025, GOLD (Hugging Face)",
        dials=("gold_beta",),
        needs="text",
    ),
}

SOURCES: dict[Source, tuple[str, str, str]] = {  # title, advice, cost
    "corpus": (
        "Text, with the teacher beside",
        "The teacher reads every batch: nothing to prepare, every objective works.",
        "The teacher is held in memory and reads along at every step.",
    ),
    "cache": (
        "Text, with cached answers",
        "The teacher reads the text once and its likeliest tokens are kept: for several students, epochs or trials.",
        "One pass of the teacher and some disk first, then hardly more than plain training.",
    ),
    "on-policy": (
        "The student's own words",
        "The student goes on from beginnings and the teacher judges what it wrote: mends what it does when nobody leads.",
        "Writing token by token makes a step several times as long.",
    ),
}


def objective_words(name: Objective) -> str:
    """An objective as a sentence names one to be chosen: its title, and the word of recipes and the command line unless that is in it."""
    title = OBJECTIVES[name].title
    return title if name in title.lower() else f"{title} ({name})"


def source_words(name: Source) -> str:
    """A source, likewise."""
    return f"“{SOURCES[name][0]}” ({name})"
