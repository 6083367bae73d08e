"""The bench of a run: what stands ready before training."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.text import Blocks, Corpus, Framing


@dataclass
class Bench:
    """What stands ready before training: models, tokens, and the choices made on the way."""

    device: str
    dtype: torch.dtype
    source: Path  # the folder whose tokenizer and config the student takes
    tokenizer: PreTrainedTokenizerBase
    teacher: PreTrainedModel | None
    teacher_parameters: int | None
    teacher_non_embedding: int | None
    framing: Framing
    train: Corpus
    held_out: Corpus
    length: int
    resumed: tuple[int, Path] | None
    same_tokenizer: bool = True  # of teacher and student
    teacher_metrics: dict[str, float | None] | None = None
    blocks: Blocks | None = None
    per_step: int = 1
    share: int = 1  # of the blocks of a step, how many fall to each process
    parts: int = 1  # processes that the student's moments are shared out over
    micro: int = 1

    @property
    def steps(self) -> int:
        assert self.blocks is not None
        return len(self.blocks) // self.per_step

    @property
    def judge(self) -> PreTrainedModel | None:
        """The teacher, where its scores of a token can be compared with the student's."""
        return self.teacher if self.same_tokenizer else None

    def let_teacher_go(self) -> None:
        """Give the teacher's memory back once nothing needs it any more."""
        self.teacher = None
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()


def count_of(model: PreTrainedModel) -> tuple[int, int]:
    """Parameters in all, and without token and position embeddings and an untied head."""
    total = sum(parameter.numel() for parameter in model.parameters())
    outside = {id(p): p.numel() for name, p in model.named_parameters() if name.endswith(("wte.weight", "wpe.weight"))}
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        if module is not None:
            outside[id(module.weight)] = module.weight.numel()
    return total, total - sum(outside.values())
