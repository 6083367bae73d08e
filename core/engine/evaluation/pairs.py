"""Minimal pairs: how often the model gives the right sentence the higher probability (Warstadt et al., arXiv 1912.00582, section 4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import defaults
from core.engine.evaluation.subject import context_of, rows_at_once
from core.engine.scoring import Reader
from core.engine.text import Framing, refuse_tokens_beyond
from core.pairs import Pair


def judge_pairs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    sets: Mapping[str, Sequence[Pair]],
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Accuracy of each set and its mean over the sets, with standard errors. A pair of equal probabilities counts as wrong, and is counted.

    A sentence's probability is the sum of its tokens' log-probabilities after the start token.
    """
    rows = [sentence for pairs in sets.values() for pair in pairs for sentence in pair]
    said, cut = sentence_log_probs(model, tokenizer, framing, rows, progress)
    found: dict[str, dict[str, float]] = {}
    at = ties = 0
    for name, pairs in sets.items():
        scores = [(said[at + 2 * i], said[at + 2 * i + 1]) for i in range(len(pairs))]
        at += 2 * len(pairs)
        ties += sum(good == bad for good, bad in scores)
        share = sum(good > bad for good, bad in scores) / len(pairs)
        found[name] = {"accuracy": share, "stderr": _stderr(share, len(pairs)), "pairs": len(pairs)}
    mean = sum(each["accuracy"] for each in found.values()) / len(found)
    stderr = math.sqrt(sum(each["stderr"] ** 2 for each in found.values())) / len(found)
    return {"accuracy": mean, "stderr": stderr, "sets": found, "ties": ties, "cut": cut}


def _stderr(share: float, count: int) -> float:
    """Of the mean of `count` zeros and ones, with the sample variance (n − 1), as the harness has it."""
    return math.sqrt(share * (1 - share) / (count - 1)) if count > 1 else 0.0


@torch.inference_mode()
def sentence_log_probs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    sentences: Sequence[str],
    progress: Callable[[float], None],
) -> tuple[list[float], int]:
    """The sum of log-probabilities, in nats, of each sentence's tokens after the start token; batched by length. And how many sentences were
    longer than the model's context, of which only the beginning counts.

    Without a start token nothing predicts the first token, and it is left out.
    """
    start = framing.start if framing.start is not None else tokenizer.bos_token_id
    begin = [] if start is None else [start]
    context, entries = context_of(model), model.get_input_embeddings().weight.shape[0]
    whole = [begin + ids for ids in tokenizer(list(sentences), add_special_tokens=False).input_ids]
    encoded = [ids[:context] for ids in whole]
    refuse_tokens_beyond(entries, max((token for ids in encoded for token in ids), default=0), tokenizer)
    order = sorted(range(len(encoded)), key=lambda row: -len(encoded[row]))
    found = [0.0] * len(encoded)
    reader, done = Reader.of(model), 0
    while done < len(order):
        rows = order[done : done + rows_at_once(model.device.type, entries, len(encoded[order[done]]))]
        length = max(2, len(encoded[rows[0]]))
        ids_BT = torch.zeros(len(rows), length, dtype=torch.long)
        counts_BT = torch.zeros(len(rows), length - 1, dtype=torch.bool)
        for at, row in enumerate(rows):
            ids_BT[at, : len(encoded[row])] = torch.tensor(encoded[row])
            counts_BT[at, : len(encoded[row]) - 1] = True
        of_each_N = token_log_probs(reader, ids_BT, counts_BT)
        sums = torch.zeros(counts_BT.shape, dtype=torch.float64).masked_scatter_(counts_BT, of_each_N).sum(1).tolist()
        for row, value in zip(rows, sums, strict=True):
            found[row] = value
        done += len(rows)
        progress(done / len(order))
    return found, sum(len(ids) > context for ids in whole)


def token_log_probs(reader: Reader, ids_BT: torch.Tensor, counts_BT: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (N,), in nats and float64 on the CPU, of the tokens that `counts_BT` (B, T − 1) marks among ids 1 to T − 1."""
    target_N = ids_BT[:, 1:][counts_BT].to(reader.model.device)
    states_NH, head = reader.read(ids_BT, counts_BT)
    rows = defaults.chunk_rows(len(target_N), head.entries, target_N.device.type)
    parts = [
        functional.cross_entropy(head.logits(states_NH[at : at + rows]), target_N[at : at + rows], reduction="none")
        for at in range(0, len(target_N), rows)
    ]
    return -torch.cat(parts).cpu().double() if parts else torch.zeros(0, dtype=torch.float64)
