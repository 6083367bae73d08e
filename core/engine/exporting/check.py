"""An export compared with its original, before it is called done.

The original is asked first, and what it said is kept (`Reference`), so that both need not be in memory together: greedy answers to ten
prompts, the perplexity of a text, how a conversation is written, where it stops. A wrong template, a missing stop token, other
token ids, or a loss that the type doesn't explain fail the export (`ExportFailed`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from core.engine.exporting.gguf_file import Manners
from core.engine.exporting.runtimes import Answering, Scoring, Transformers
from core.errors import Trouble

MOST_LOSS = {  # by how much a share perplexity may rise; more is no rounding any more
    "f32": 0.002,
    "f16": 0.01,
    "bf16": 0.05,
    "int8": 0.10,
    "q8_0": 0.05,
    "q6_k": 0.10,
}
MOST_LOSS_OTHERWISE = 1.0  # 5 bits and fewer cost a small model much, and a wrong export costs far more
EXACT = ("f32", "f16", "bf16")
NEAR_TIE = 0.1  # nats between the two likeliest tokens: sums in another order may turn them round
WINDOW = 512
CONVERSATION = (
    {"role": "user", "content": "What is in the box?"},
    {"role": "assistant", "content": "A red ball is in the box."},
    {"role": "user", "content": "Who put it there?"},
)


class ExportFailed(Trouble):
    """The export was written and does not do what the original does; it is not kept."""


@dataclass(frozen=True)
class Answer:
    """What the original said after a prompt; `margins` are the nats between the two likeliest tokens at each of its own."""

    prompt: str
    ids: list[int]
    said: list[int]
    margins: list[float]


@dataclass(frozen=True)
class Reference:
    """The original's answers and scores. `first` has its likeliest token after each position of the texts."""

    answers: list[Answer]
    texts: list[list[int]]
    first: list[torch.Tensor]
    nll: float
    tokens: int
    conversation: str | None
    manners: Manners

    @property
    def perplexity(self) -> float:
        return perplexity(self.nll, self.tokens)


@dataclass(frozen=True)
class Comparison:
    """One prompt answered by both; `first_difference` counts tokens from 0, None where the answers are the same."""

    prompt: str
    original: str
    exported: str
    first_difference: int | None
    margin: float | None


def perplexity(nll: float, tokens: int) -> float:
    return math.exp(min(nll / tokens, 700.0))


def ask_original(
    runtime: Transformers, manners: Manners, texts: Sequence[str], prompts: Sequence[str], new_tokens: int, most_tokens: int,
    progress: Callable[[float], None],
) -> Reference:  # fmt: skip
    """Everything that the export will be asked, answered by the original."""
    context = min(WINDOW, int(getattr(runtime.model.config, "max_position_embeddings", 0) or WINDOW))
    asked: list[list[int]] = []
    for text in texts:
        room = most_tokens - sum(map(len, asked))
        ids = runtime.encode(text)[: min(context, max(room, 0))]
        if len(ids) > 1:
            asked.append(ids)
    answers: list[Answer] = []
    for number, prompt in enumerate(prompts):
        ids = runtime.encode(prompt)[: max(1, context - new_tokens)]
        said = runtime.greedy(ids, new_tokens, manners.stops)
        top_T2 = runtime.logits([*ids, *said])[len(ids) - 1 : -1].log_softmax(-1).topk(2).values
        answers.append(Answer(prompt, ids, said, (top_T2[:, 0] - top_T2[:, 1]).tolist()))
        progress(0.5 * (number + 1) / len(prompts))
    first, nll, tokens = [], 0.0, 0
    for number, ids in enumerate(asked):
        added, likeliest = _read(runtime, ids)
        first.append(likeliest)
        nll, tokens = nll + added, tokens + len(ids) - 1
        progress(0.5 + 0.5 * (number + 1) / len(asked))
    return Reference(answers, asked, first, nll, tokens, written(runtime.tokenizer, manners.template), manners)


def _read(runtime: Scoring, ids: Sequence[int]) -> tuple[float, torch.Tensor]:
    """Nats for all tokens of a text but the first, and the likeliest token at each of their places."""
    logits_TV = runtime.logits(ids)[:-1]
    target_T = torch.tensor(list(ids[1:]))
    return float(functional.cross_entropy(logits_TV.double(), target_T, reduction="sum")), logits_TV.argmax(-1)


def written(tokenizer: PreTrainedTokenizerBase, template: str | None) -> str | None:
    """A short conversation in the model's own format, up to where it is to answer; None for a model that has none."""
    if template is None:
        return None
    return str(
        tokenizer.apply_chat_template(
            list(CONVERSATION), chat_template=template, tokenize=False, add_generation_prompt=True
        )
    )


def compare_manners(
    reference: Reference,
    template: str | None,
    stops: Sequence[int],
    conversation: str | None,
    name: Callable[[int], str],
) -> None:
    """ExportFailed if the export would be spoken to otherwise, or would not stop where the original does."""
    wanted = reference.manners
    missing = [token for token in wanted.stops if token not in stops]
    if missing:
        tokens = ", ".join(f"{name(token)} ({token})" for token in missing)
        raise ExportFailed(
            f"The export does not stop at {tokens}, where the original does: its answers would run on.", _REPORT
        )
    if (wanted.template is None) != (template is None):
        lacks = (
            "has no chat template, and the original has one" if template is None else "has a chat template of its own"
        )
        raise ExportFailed(f"The export {lacks}.", _REPORT)
    if conversation is not None and reference.conversation is not None and conversation != reference.conversation:
        at = _parting(conversation, reference.conversation)
        raise ExportFailed(
            f"The export's chat template writes a conversation otherwise: {conversation[at : at + 60]!r} where the original "
            f"has {reference.conversation[at : at + 60]!r}.",
            _REPORT,
        )


_REPORT = "Nothing was kept. Please report it with the model's config.json and tokenizer_config.json."


def _parting(one: Sequence[Any], other: Sequence[Any]) -> int:
    """The first place where the two differ."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def compare_answers(
    runtime: Answering, reference: Reference, weight_type: str, new_tokens: int, stops: Sequence[int],
    tokenizer: PreTrainedTokenizerBase, progress: Callable[[float], None],
) -> list[Comparison]:  # fmt: skip
    """ExportFailed if the runtime makes other ids of a prompt, or, where weights are not quantized, an answer differs at no near tie."""
    found = []
    for number, answer in enumerate(reference.answers):
        ids = runtime.encode(answer.prompt)[: len(answer.ids)]
        if ids != answer.ids:
            first = _parting(ids, answer.ids)
            raise ExportFailed(
                f"{runtime.name} reads the prompt {answer.prompt!r} as other tokens: {ids[first : first + 5]} where the original has "
                f"{answer.ids[first : first + 5]}.",
                _REPORT,
            )
        said = runtime.greedy(ids, new_tokens, stops)
        same = said == answer.said
        at = None if same else _parting(said, answer.said)
        margin = None if at is None or at >= len(answer.margins) else round(answer.margins[at], 4)
        texts = [tokenizer.decode(tokens) for tokens in (answer.said, said)]
        found.append(Comparison(answer.prompt, texts[0], texts[1], at, margin))
        if at is not None and weight_type in EXACT and (margin is None or margin > _near_tie(weight_type)):
            raise ExportFailed(
                f"After {answer.prompt!r} the export says {texts[1]!r} and the original {texts[0]!r}; {weight_type} does not explain that.",
                _REPORT,
            )
        progress((number + 1) / len(reference.answers))
    return found


def _near_tie(weight_type: str) -> float:
    return NEAR_TIE if weight_type == "f32" else 5 * NEAR_TIE


def compare_scores(
    runtime: Scoring, reference: Reference, weight_type: str, most_loss: float | None, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Perplexity before and after, and the share of tokens where both have the same first choice."""
    nll, agreed = 0.0, 0
    for number, (ids, first_T) in enumerate(zip(reference.texts, reference.first, strict=True)):
        added, likeliest_T = _read(runtime, ids)
        nll, agreed = nll + added, agreed + int((likeliest_T == first_T).sum())
        progress((number + 1) / len(reference.texts))
    before, after = reference.perplexity, perplexity(nll, reference.tokens)
    change = after / before - 1
    allowed = most_loss if most_loss is not None else MOST_LOSS.get(weight_type, MOST_LOSS_OTHERWISE)
    if not change <= allowed:
        raise ExportFailed(
            f"The export's perplexity is {after:.3f}, the original's {before:.3f}: {change:+.1%}, where {weight_type} may cost {allowed:.1%}.",
            "Nothing was kept. Choose a type of more bits; in a terminal --most-loss allows more.",
        )
    return {
        "perplexity": {"original": before, "exported": after, "change": change},
        "agreement": agreed / reference.tokens,
        "tokens": reference.tokens,
        "read_by": runtime.name,
    }


def verdict(answered_by: str, found: Sequence[Comparison], scores: dict[str, Any], manners: Manners) -> dict[str, Any]:
    """What the run reports, and the window shows; `near_ties` are answers that part where the original itself hardly preferred its token."""
    return {
        "runtime": answered_by,
        "prompts": len(found),
        "equal_answers": sum(one.first_difference is None for one in found),
        "near_ties": sum(one.margin is not None and one.margin <= NEAR_TIE for one in found),
        "answers": [asdict(one) for one in found],
        **scores,
        "template": "same" if manners.template is not None else "none",
        "stops": list(manners.stops),
    }
