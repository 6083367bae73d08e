"""How sure a model is, and whether it is right to be: calibration by token, and the teacher's agreement by position in the document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from core import defaults
from core.engine.losses import common_vocabulary
from core.engine.scoring import Reader, _windows
from core.engine.text import Corpus, Framing

BINS = 15
EDGES = (1, 4, 16, 64, 256, 1024, 4096)  # of positions: 1-3, 4-15, … the last is open


class _Tally:
    """Sums by confidence (BINS) and by position (len(EDGES)); float64."""

    def __init__(self) -> None:
        self.by_confidence = np.zeros((3, BINS))  # tokens, sum of confidences, right ones
        self.by_position = np.zeros((4, len(EDGES)))  # tokens, NLL, agreed, KL

    def take(self, confidence_n: np.ndarray, right_n: np.ndarray, position_n: np.ndarray, of_each: np.ndarray) -> None:
        bins_n = np.minimum((confidence_n * BINS).astype(int), BINS - 1)
        for row, weight_n in enumerate((None, confidence_n, right_n)):
            self.by_confidence[row] += np.bincount(bins_n, weight_n, BINS)
        places_n = np.searchsorted(EDGES, position_n, side="right") - 1
        self.by_position[0] += np.bincount(places_n, None, len(EDGES))
        for row, weight_n in enumerate(of_each, 1):
            self.by_position[row] += np.bincount(places_n, weight_n, len(EDGES))

    def calibration(self) -> dict[str, Any]:
        """ECE (Guo et al., arXiv 1706.04599, equation 3): Σ over bins of (tokens in it / all) · |share right − mean confidence|."""
        tokens, sure, right = self.by_confidence
        there = np.maximum(tokens, 1)
        gaps = np.abs(right / there - sure / there)
        curve = [
            {"confidence": float(s / t), "accuracy": float(r / t), "tokens": int(t)}
            for t, s, r in zip(tokens, sure, right, strict=True)
            if t
        ]
        total = tokens.sum()
        return {
            "ece": float((tokens / total * gaps).sum()),
            "accuracy": float(right.sum() / total),
            "confidence": float(sure.sum() / total),
            "curve": curve,
        }

    def positions(self, teacher: bool) -> list[dict[str, Any]]:
        found = []
        for place, (tokens, nll, agreed, kl) in enumerate(self.by_position.T):
            if tokens:
                row = {"from": EDGES[place], "tokens": int(tokens), "ce": nll / tokens}
                found.append({**row, **({"agreement": agreed / tokens, "kd": kl / tokens} if teacher else {})})
        return found


@torch.inference_mode()
def observe(
    model: PreTrainedModel,
    corpus: Corpus,
    framing: Framing,
    context: int,
    device: str,
    teacher: PreTrainedModel | None,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """`calibration`: ece, accuracy and mean confidence of first choices, and the reliability curve; `by_position`: cross-entropy in nats
    and, with a teacher of the same tokenizer, the share of equal first choices and KL(teacher ‖ model), by place in the window read.
    """
    windows, _, _ = _windows(corpus, framing, context)
    windows.sort(key=lambda window: len(window[0]))
    reader, judge = Reader.of(model.eval()), None if teacher is None else Reader.of(teacher)
    at_once = defaults.scored_rows(model.get_input_embeddings().weight.shape[0])
    tally, done = _Tally(), 0
    while done < len(windows):
        longest = len(windows[min(done + 63, len(windows) - 1)][0])
        batch = windows[done : done + max(1, min(64, at_once // longest))]
        _observe_batch(reader, judge, batch, device, tally)
        done += len(batch)
        progress(done / len(windows))
    return {"calibration": tally.calibration(), "by_position": tally.positions(teacher is not None)}


def _observe_batch(reader: Reader, judge: Reader | None, batch: list[Any], device: str, tally: _Tally) -> None:
    length = max(len(ids) for ids, _ in batch)
    ids_BT = torch.zeros(len(batch), length, dtype=torch.long)
    counts_BT = torch.zeros(len(batch), length - 1, dtype=torch.bool)
    for row, (ids, counts) in enumerate(batch):
        ids_BT[row, : len(ids)] = torch.from_numpy(ids)
        counts_BT[row, : len(ids) - 1] = torch.from_numpy(counts[1:])
    target_N = ids_BT[:, 1:][counts_BT].to(device)
    position_N = torch.arange(1, length).expand_as(counts_BT)[counts_BT].numpy()
    states_NH, head = reader.read(ids_BT, counts_BT)
    theirs = None if judge is None else judge.read(ids_BT, counts_BT)
    rows = defaults.chunk_rows(len(target_N), head.entries, torch.device(device).type)
    for start in range(0, len(target_N), rows):
        part = slice(start, start + rows)
        log_q_nV, target_n = head.logits(states_NH[part]).float().log_softmax(-1), target_N[part]
        highest_n, choice_n = log_q_nV.max(-1)
        nll_n = -log_q_nV.gather(-1, target_n[:, None])[:, 0]
        agreed_n = kl_n = torch.zeros_like(nll_n)
        if theirs is not None:
            student_nV, teacher_nV = common_vocabulary(log_q_nV, theirs[1].logits(theirs[0][part]).float().to(device))
            agreed_n = (student_nV.argmax(-1) == teacher_nV.argmax(-1)).float()
            log_p_nV, log_q_nV = teacher_nV.log_softmax(-1), student_nV.log_softmax(-1)
            kl_n = (log_p_nV.exp() * (log_p_nV - log_q_nV)).sum(-1)
        sums = (
            torch.stack([highest_n.exp(), (choice_n == target_n).float(), nll_n, agreed_n, kl_n]).cpu().double().numpy()
        )
        tally.take(sums[0], sums[1], position_N[part], sums[2:])
