"""What an on-policy step trains on: in a share of the blocks the student goes on by itself, and the teacher judges what it wrote.

Agarwal et al., "On-Policy Distillation of Language Models" (GKD, arXiv 2306.13649), algorithm 1, with the choice made for each block
instead of each step. A chosen block keeps the beginning of each of its documents as a prompt; the student's words follow, and only they
are learnt, from the teacher alone (nobody's text says what would have been right after them, so there is no cross-entropy).

Everything follows from the recipe's seed, the step, the block's tokens and the length of blocks: a resumed run chooses and writes the
same, whatever its micro-batch and however many processes share the step.

Shapes: B blocks in a micro-batch, T positions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.distill import DistillRecipe
from core.engine.generation import Written, generate
from core.engine.text import IGNORED, Framing, positions_for

PROMPT_SHARE = 1 / 3  # of a document
SHORTEST_PROMPT = 2  # the start token and one more
MOST_OF_BLOCK = 0.5


@dataclass
class Replaced:
    """The micro-batches of a step with the student's words in them.

    `written` counts the student's tokens, `learnt` all tokens that are learnt (the trainer divides by them). `sample` is a prompt and
    what the student wrote after it, as text.
    """

    batches: list[dict[str, torch.Tensor]]
    written: int
    learnt: int
    sample: tuple[str, str] | None


@dataclass
class _Beginning:
    """A prompt in block `row` of micro-batch `batch`, how many tokens may follow it there, and what its random numbers begin with."""

    batch: int
    row: int
    ids: list[int]
    room: int
    seed: int
    written: Written = field(default_factory=lambda: Written([], [], False))


class OwnWords:
    """Puts the student's own words into a share λ of the blocks.

    `dtype` is that of the training's arithmetic, `length` that of the run's blocks: micro-batches may be cut shorter.
    """

    def __init__(
        self,
        recipe: DistillRecipe,
        tokenizer: PreTrainedTokenizerBase,
        framing: Framing,
        dtype: torch.dtype,
        length: int,
    ) -> None:
        self.recipe = recipe
        self.tokenizer = tokenizer
        self.dtype = dtype
        self.length = length
        self.ends = {token for token in (framing.end, tokenizer.eos_token_id) if token is not None}
        self.pad = 0  # nothing reads what stands there, and the tokenizer's own may have no row in the model

    def replace(
        self,
        batches: Sequence[dict[str, torch.Tensor]],
        student: PreTrainedModel,
        teacher: PreTrainedModel | None,
        step: int,
    ) -> Replaced:
        """All micro-batches of a step at once, for a large batch is written faster than small ones; those given stay as they are.

        A micro-batch holds input_ids, position_ids and labels (B, T), labels being the next token of the same document or IGNORED. The
        new ones are longer where the student's words need it, and hold two tensors more: `ce_labels` (B, T), the labels without the
        student's words; and where the teacher mixes in, `weights` (B, T) in float32, q/p̃ of the token that the label is, and 1
        elsewhere: the single step of MiniLLM's importance weight (arXiv 2306.08543, eq. 6 and below). They need no clamp:
        p̃ = αp + (1 − α)q keeps each between 0 and 1/(1 − α).
        """
        found = [
            beginning
            for number, batch in enumerate(batches)
            for row in self._chosen(batch, step)
            for beginning in self._beginnings(batch, number, row, step)
        ]
        if found:
            self._write(found, student, teacher)
        new = [
            self._rebuilt(batch, [each for each in found if each.batch == number])
            for number, batch in enumerate(batches)
        ]
        return Replaced(
            new,
            sum(len(beginning.written.ids) for beginning in found),
            sum(int((batch["labels"] != IGNORED).sum()) for batch in new),
            self._as_text(found[0]) if found else None,
        )

    def _chosen(self, batch: dict[str, torch.Tensor], step: int) -> Iterator[int]:
        """The blocks that the student writes anew."""
        for row in range(len(batch["input_ids"])):
            ids, _, _ = _filled(batch, row)
            if _number(self.recipe.seed, step, ids) / 2**63 < self.recipe.on_policy_share:
                yield row

    def _beginnings(self, batch: dict[str, torch.Tensor], number: int, row: int, step: int) -> list[_Beginning]:
        """The prompts of a block. What room its documents leave together is shared among them, so that all that is written fits."""
        ids, labels, documents = _filled(batch, row)
        if not documents:
            return []
        length = self.length
        spare = (length - sum(end - start for start, end in documents)) // len(documents)
        most = self.recipe.new_tokens or max(1, length // 2)
        found = []
        for place, (start, end) in enumerate(documents):
            if self.recipe.answers_only:  # the prompt is all that stands before the first token to be learnt
                prompt = next(at for at in range(start, end) if labels[at] != IGNORED) + 1 - start
            else:
                third = max(SHORTEST_PROMPT, int((end - start) * PROMPT_SHARE))
                prompt = min(third, max(1, int(length * MOST_OF_BLOCK)), end - start - 1)
            room = min(most, end - start - prompt + spare)
            seed = _number(self.recipe.seed, step, ids, place)
            found.append(_Beginning(number, row, ids[start : start + prompt], room, seed))
        return found

    def _write(self, found: list[_Beginning], student: PreTrainedModel, teacher: PreTrainedModel | None) -> None:
        alpha = self.recipe.teacher_mix
        assert teacher is not None or not alpha, "a mixture needs the teacher"
        with torch.autocast(student.device.type, torch.bfloat16, enabled=self.dtype is torch.bfloat16):
            rows = generate(
                student,
                [beginning.ids for beginning in found],
                new_tokens=[beginning.room for beginning in found],
                temperature=self.recipe.sampling_temperature,
                ends=self.ends,
                generator=[torch.Generator().manual_seed(beginning.seed) for beginning in found],
                mix=(teacher, alpha) if teacher is not None and alpha else None,
                entries=self._entries(student, teacher),
            )
        for beginning, written in zip(found, rows, strict=True):
            beginning.written = written

    def _entries(self, *models: PreTrainedModel | None) -> int:
        """Ids that all know: heads are padded to different widths, and what they are padded with is no token."""
        widths = [model.get_input_embeddings().weight.shape[0] for model in models if model is not None]
        return min(len(self.tokenizer), *widths)

    def _rebuilt(self, batch: dict[str, torch.Tensor], found: list[_Beginning]) -> dict[str, torch.Tensor]:
        """The micro-batch with its chosen blocks packed anew, on the device where it was; longer if they need it."""
        blocks: dict[int, _Block] = {}
        for beginning in found:
            blocks.setdefault(beginning.row, _Block(self.length, self.pad)).add(beginning.ids, beginning.written)
        given = batch["labels"].shape[1]
        needed = max((block.used for block in blocks.values()), default=0)
        new = {**batch, **self._grown(batch, max(given, positions_for(needed, self.length)))}
        labels_BT = new["labels"]
        ce_labels_BT, weights_BT = labels_BT.clone(), torch.ones_like(labels_BT, dtype=torch.float32)
        for row, block in blocks.items():
            for name, values in (("input_ids", block.ids), ("position_ids", block.positions), ("labels", block.labels)):
                new[name][row] = torch.tensor(values[: labels_BT.shape[1]])
            ce_labels_BT[row] = IGNORED
            weights_BT[row] = torch.tensor(block.weights[: labels_BT.shape[1]])
        new["ce_labels"] = ce_labels_BT
        if "shift_labels" in batch:
            new["shift_labels"] = labels_BT
        if self.recipe.teacher_mix:
            new["weights"] = weights_BT
        return new

    def _grown(self, batch: dict[str, torch.Tensor], positions: int) -> dict[str, torch.Tensor]:
        """Copies of ids, positions and labels, padded to so many positions as `collate` leaves them."""
        given = batch["labels"].shape[1]
        new = {
            name: functional.pad(batch[name], (0, positions - given), value=value)
            for name, value in (("input_ids", self.pad), ("position_ids", 0), ("labels", IGNORED))
        }
        for row in range(len(batch["labels"]) if positions > given else 0):
            filled = len(_filled(batch, row)[0])  # the padding counts from there
            new["position_ids"][row, given:] = torch.arange(given - filled, positions - filled)
        return new

    def _as_text(self, beginning: _Beginning) -> tuple[str, str]:
        prompt = self.tokenizer.decode(beginning.ids, skip_special_tokens=True)
        whole = self.tokenizer.decode(beginning.ids + beginning.written.ids, skip_special_tokens=True)
        return prompt, whole.removeprefix(prompt)


class _Block:
    """A block of `length` positions that documents are added to, as lists."""

    def __init__(self, length: int, pad: int) -> None:
        self.used = 0
        self.ids = [pad] * length
        self.positions = list(range(length))
        self.labels = [IGNORED] * length
        self.weights = [1.0] * length

    def add(self, prompt: list[int], written: Written) -> None:
        """A prompt, of which nothing is learnt, and what was written, of which every token is."""
        ids = prompt + written.ids
        start, first, end = self.used, self.used + len(prompt) - 1, self.used + len(ids)
        self.ids[start:end] = ids
        self.positions[start:] = range(len(self.positions) - start)
        self.labels[first : end - 1] = written.ids
        if written.weights:
            self.weights[first : end - 1] = written.weights
        self.used = end
        self.positions[end:] = range(len(self.positions) - end)


def _documents(positions: list[int], labels: list[int]) -> Iterator[tuple[int, int]]:
    """From and to of every document of a block of which something is learnt; padding is none."""
    starts = [at for at, position in enumerate(positions) if position == 0]
    for start, end in zip(starts, [*starts[1:], len(positions)], strict=True):
        learnt = [at for at in range(start, end) if labels[at] != IGNORED]
        if learnt:
            yield start, end


def _filled(batch: dict[str, torch.Tensor], row: int) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Ids and labels of a block without its padding, and its documents."""
    ids, positions, labels = (batch[name][row].tolist() for name in ("input_ids", "position_ids", "labels"))
    documents = list(_documents(positions, labels))
    filled = documents[-1][1] if documents else 0
    return ids[:filled], labels[:filled], documents


def _number(*decisive: object) -> int:
    """A number below 2⁶³ that only these decide."""
    text = " ".join(map(str, decisive)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1
