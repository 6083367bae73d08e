"""Text that a model writes, many rows at once: the loop that on-policy training and teacher-written data share.

Prompts of different lengths are padded on the left, keys and values are kept from token to token, and rows that have ended leave the
batch. Every row's random numbers are drawn before the first token, so what a row writes does not hang on when another one ends; with
generators of their own, rows write the same in whatever company.

Shapes: B rows in the batch, R rows in all, P the longest prompt, N the most new tokens, V vocabulary entries.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from core import defaults
from core.engine.losses import common_vocabulary
from core.errors import BadModel

GROWTH = 64  # positions by which the memory for keys and values grows
STILL_WRITING = 0.75  # once fewer of a batch's rows still write, the others leave it


@dataclass(frozen=True)
class Written:
    """What one row wrote.

    `ids` has the end token, if it `ended` with one. `log_probs` are the model's own, of each token at temperature 1, in nats.
    `weights` are q/p̃ of each token, where the teacher mixed in; else there are none.
    """

    ids: list[int]
    log_probs: list[float]
    ended: bool
    weights: list[float] = field(default_factory=list)


def context_of(model: PreTrainedModel) -> int | None:
    """The positions that the model knows, or None if it says no limit."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", 0) or 0) or None


def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    new_tokens: int | Sequence[int],
    temperature: float,
    ends: set[int],
    generator: torch.Generator | Sequence[torch.Generator],
    top_p: float = 1.0,
    mix: tuple[PreTrainedModel, float] | None = None,
    entries: int | None = None,
    pause: Callable[[], None] = lambda: None,
) -> list[Written]:
    """Go on from every prompt (token ids, at least one) until an end token, `new_tokens` (for all or for each), or the context's end.

    Tokens are drawn from q = softmax(scores / temperature), or are the likeliest at temperature 0. With `top_p` only from the smallest
    set of the likeliest whose mass reaches it (Holtzman et al., "The Curious Case of Neural Text Degeneration", arXiv 1904.09751, section
    3.1). With `mix` = (teacher, α) from p̃ = α·p + (1 − α)·q (Gu et al., MiniLLM, arXiv 2306.08543, eq. 5), and the weights q/p̃ of the
    tokens are kept. `entries` bars ids from there on: rows of a padded head that stand for no token.

    `generator`, for all or for each, is one of the CPU, wherever the models are; the state of torch's own is left alone. `pause` is
    called before every token, and may raise to end it. BadModel if the scores are NaN.
    """
    if mix is not None and (temperature == 0 or top_p < 1):
        raise ValueError("a mixture is drawn from whole distributions: temperature above 0, top_p 1")
    room_R = _room(model, prompts, new_tokens)
    chances_RN = _chances(room_R, generator)
    width = entries or model.get_input_embeddings().weight.shape[0]
    at_once = defaults.written_rows(width)
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    found: dict[int, Written] = {}
    writers = [_Writer(model, width)] + ([_Writer(mix[0], width)] if mix else [])
    with _reading(*(writer.model for writer in writers)):
        for start in range(0, len(order), at_once):
            rows = order[start : start + at_once]
            own, room = [prompts[row] for row in rows], [room_R[row] for row in rows]
            batch = _Batch(own, room, chances_RN[rows], ends, model.device)
            batch.write(writers, temperature, top_p, mix[1] if mix else 0.0, pause)
            found |= zip(rows, batch.written(mix is not None), strict=True)
    if any(math.isnan(value) for row in found.values() for value in row.log_probs):
        raise BadModel(
            f"The scores of {model.name_or_path or 'the model'} are NaN while it writes.",
            "Choose another model, or a higher precision.",
        )
    return [found[row] for row in range(len(prompts))]


def _chances(room_R: list[int], generator: torch.Generator | Sequence[torch.Generator]) -> torch.Tensor:
    """Numbers in [0, 1) (R, N) for every token that may be written."""
    most = max(room_R, default=0)
    if isinstance(generator, torch.Generator):
        return torch.rand(len(room_R), most, generator=generator, dtype=torch.float64)
    chances_RN = torch.zeros(len(room_R), most, dtype=torch.float64)
    for chances_N, room, own in zip(chances_RN, room_R, generator, strict=True):
        chances_N[:room] = torch.rand(room, generator=own, dtype=torch.float64)
    return chances_RN


def _room(model: PreTrainedModel, prompts: Sequence[Sequence[int]], new_tokens: int | Sequence[int]) -> list[int]:
    """How many tokens each row may write."""
    wanted = [new_tokens] * len(prompts) if isinstance(new_tokens, int) else list(new_tokens)
    context = context_of(model)
    room = []
    for prompt, most in zip(prompts, wanted, strict=True):
        left = most if context is None else min(most, context - len(prompt))
        if not len(prompt) or left < 1:
            raise ValueError(f"a prompt of {len(prompt)} tokens leaves no room to write in a context of {context}")
        room.append(left)
    return room


@contextmanager
def _reading(*models: PreTrainedModel) -> Iterator[None]:
    """Eval mode, no gradients; afterwards as before."""
    were_training = [model.training for model in models]
    for model in models:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for model, was_training in zip(models, were_training, strict=True):
            model.train(was_training)
        if torch.is_autocast_cache_enabled():
            torch.clear_autocast_cache()  # weights cast in inference mode would have no gradient in the training that follows


class _Writer:
    """A model with the keys and values of what it has read."""

    def __init__(self, model: PreTrainedModel, width: int) -> None:
        self.model = model
        self.width = width
        accepted = inspect.signature(model.forward).parameters
        if "past_key_values" not in accepted:
            raise BadModel(
                f"{model.config.model_type} models keep no keys and values of what they have read, so they can't write in batches.",
                "Choose a model of another architecture.",
            )
        self.takes_positions = "position_ids" in accepted
        self.takes_last = "logits_to_keep" in accepted
        self.start()

    def start(self) -> None:
        """Forget what was read."""
        self.cache = DynamicCache(config=self.model.config)
        layers = getattr(self.cache, "layers", [])
        layers[:] = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in layers]

    def scores(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor | None, positions_BT: torch.Tensor) -> torch.Tensor:
        """Scores (B, V) in float32 after the last of the ids, which follow what was read before."""
        device = self.model.device
        given = {"position_ids": positions_BT.to(device)} if self.takes_positions else {}
        if self.takes_last:
            given["logits_to_keep"] = 1
        read = self.model(
            input_ids=ids_BT.to(device),
            attention_mask=None if mask_BT is None else mask_BT.to(device),
            past_key_values=self.cache,
            use_cache=True,
            **given,
        )
        self.cache = read.past_key_values
        return read.logits[:, -1, : self.width].float()

    def keep(self, rows: torch.Tensor) -> None:
        self.cache.reorder_cache(rows.to(self.model.device))


class RoomyLayer(DynamicLayer):
    """Keys and values in memory with some room left, for copying all of them at every token takes half the time of writing."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._memory = (key_states[:, :, :0], value_states[:, :, :0])
        before = self.get_seq_length()
        after = before + key_states.shape[2]
        if after > self._memory[0].shape[2]:
            self._memory = tuple(_with_room(known, before, after + GROWTH) for known in self._memory)
        for memory, new in zip(self._memory, (key_states, value_states), strict=True):
            memory[:, :, before:after] = new
        self.keys, self.values = (memory[:, :, :after] for memory in self._memory)
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        used = self.get_seq_length()
        if used:
            self._memory = tuple(_with_room(memory[beam_idx, :, :used], used, used + GROWTH) for memory in self._memory)
            self.keys, self.values = (memory[:, :, :used] for memory in self._memory)


def _with_room(known: torch.Tensor, used: int, positions: int) -> torch.Tensor:
    """The first `used` positions of keys or values (B, heads, positions, width) in memory for `positions`."""
    memory = known.new_empty(*known.shape[:2], positions, known.shape[3])
    memory[:, :, :used] = known[:, :, :used]
    return memory


class _Batch:
    """Rows that are written together. Those that have ended leave it now and then; `rows_B` says which ones are still there."""

    def __init__(
        self,
        prompts: list[Sequence[int]],
        room: list[int],
        chances_RN: torch.Tensor,
        ends: set[int],
        device: torch.device,
    ) -> None:
        self.device = device
        self.prompts, self.most = prompts, max(room)
        self.room_R = torch.tensor(room, device=device)
        self.chances_RN = chances_RN.to(_with_float64(device))
        self.ends_E = torch.tensor(sorted(ends), dtype=torch.long, device=device)
        self.ids_RN = torch.zeros(len(room), self.most, dtype=torch.long, device=device)
        self.log_probs_RN = torch.zeros_like(self.ids_RN, dtype=torch.float32)
        self.weights_RN = torch.ones_like(self.log_probs_RN)
        self.lengths_R = torch.zeros_like(self.room_R)
        self.ended_R = torch.zeros_like(self.room_R, dtype=torch.bool)

    def write(
        self, writers: list[_Writer], temperature: float, top_p: float, alpha: float, pause: Callable[[], None]
    ) -> None:
        """Token by token until every row has ended."""
        ids_BP, mask_BT = self._padded()
        longest, padded = ids_BP.shape[1], not bool(mask_BT.all())
        positions_BP = (mask_BT[:, :longest].cumsum(1) - 1).clamp_(min=0)
        at_B1, room_B, chances_BN = positions_BP[:, -1:], self.room_R, self.chances_RN
        rows_B = torch.arange(len(room_B), device=self.device)
        alive_B = torch.ones_like(rows_B, dtype=torch.bool)
        for writer in writers:
            writer.start()
        step_ids_BT, step_positions_BT = ids_BP, positions_BP
        for step in range(self.most):
            pause()
            mask = mask_BT[:, : longest + step] if padded else None
            scores = [writer.scores(step_ids_BT, mask, step_positions_BT).to(self.device) for writer in writers]
            token_B, weight_B = draw(scores, chances_BN[:, step], temperature, top_p, alpha)
            own_B = scores[0].gather(1, token_B[:, None])[:, 0] - scores[0].logsumexp(1)
            self.ids_RN[rows_B, step], self.log_probs_RN[rows_B, step] = token_B, own_B
            if weight_B is not None:
                self.weights_RN[rows_B, step] = weight_B
            said_end_B = torch.isin(token_B, self.ends_E)
            self.lengths_R[rows_B] += alive_B
            self.ended_R[rows_B] |= alive_B & said_end_B
            alive_B = alive_B & ~said_end_B & (step + 1 < room_B)
            writing = int(alive_B.sum())
            if writing == 0:
                break
            at_B1 = at_B1 + 1
            if writing < STILL_WRITING * len(alive_B):
                kept = alive_B.nonzero()[:, 0]
                for writer in writers:
                    writer.keep(kept)
                token_B, at_B1, rows_B, room_B = token_B[kept], at_B1[kept], rows_B[kept], room_B[kept]
                mask_BT, alive_B, chances_BN = mask_BT[kept], alive_B[kept], chances_BN[kept.to(chances_BN.device)]
            # a row that has ended but is still there may stand at the context's end: its position stays inside
            step_ids_BT, step_positions_BT = token_B[:, None], torch.where(alive_B[:, None], at_B1, 0)

    def _padded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The prompts (B, P), padded on the left, and the attention mask (B, P + N) with all that will be written."""
        longest = max(map(len, self.prompts))
        ids_BP = torch.zeros(len(self.prompts), longest, dtype=torch.long)
        mask_BT = torch.ones(len(self.prompts), longest + self.most, dtype=torch.long)
        for row, prompt in enumerate(self.prompts):
            ids_BP[row, longest - len(prompt) :] = torch.as_tensor(prompt)
            mask_BT[row, : longest - len(prompt)] = 0
        return ids_BP.to(self.device), mask_BT.to(self.device)

    def written(self, mixed: bool) -> Iterator[Written]:
        """The rows in their order."""
        ids, log_probs, weights = self.ids_RN.tolist(), self.log_probs_RN.tolist(), self.weights_RN.tolist()
        for row, (length, ended) in enumerate(zip(self.lengths_R.tolist(), self.ended_R.tolist(), strict=True)):
            yield Written(ids[row][:length], log_probs[row][:length], ended, weights[row][:length] if mixed else [])


def draw(
    scores: list[torch.Tensor], chance_B: torch.Tensor, temperature: float, top_p: float = 1.0, alpha: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """One token for each row (B,), and its weight q/p̃ if there are a student's and a teacher's `scores` (B, V) to mix.

    A token is where the distribution function first exceeds `chance_B`, numbers drawn evenly from [0, 1); so a class of probability
    0 is never drawn. A weight lies between 0 and 1/(1 − α).
    """
    if temperature == 0:
        return scores[0].argmax(1), None
    if len(scores) == 1:
        p_BV = (scores[0] / temperature).softmax(1)
        if top_p >= 1:
            return _where_exceeded(p_BV, chance_B), None
        p_BV, order_BV = p_BV.sort(dim=1, descending=True)
        place_B = _where_exceeded(p_BV, chance_B, top_p)
        return order_BV.gather(1, place_B[:, None])[:, 0], None
    student_BV, teacher_BV = common_vocabulary(*scores)
    q_BV = (student_BV / temperature).softmax(1)
    mixed_BV = (teacher_BV / temperature).softmax(1).mul_(alpha).add_(q_BV, alpha=1 - alpha)
    token_B = _where_exceeded(mixed_BV, chance_B)
    at_B1 = token_B[:, None]
    return token_B, (q_BV.gather(1, at_B1) / mixed_BV.gather(1, at_B1))[:, 0]


def _where_exceeded(p_BV: torch.Tensor, chance_B: torch.Tensor, top_p: float = 1.0) -> torch.Tensor:
    """The first class at which the sum of p exceeds chance · mass, where the mass is that of the first classes that reach `top_p`."""
    sums_BV = p_BV.to(_with_float64(p_BV.device), torch.float64).cumsum(1)
    last_B1 = torch.full((len(p_BV), 1), p_BV.shape[1] - 1, device=sums_BV.device)
    if top_p < 1:
        reached_B1 = torch.full_like(last_B1, top_p, dtype=sums_BV.dtype)
        last_B1 = torch.minimum(torch.searchsorted(sums_BV, reached_B1), last_B1)
    threshold_B1 = chance_B[:, None].to(sums_BV) * sums_BV.gather(1, last_B1)
    place_B1 = torch.searchsorted(sums_BV, threshold_B1, right=True)
    return torch.minimum(place_B1, last_B1)[:, 0].to(p_BV.device)


def _with_float64(device: torch.device) -> torch.device:
    """Apple's GPUs have no float64; in float32 the sum over a large vocabulary would leave the rare tokens out."""
    return torch.device("cpu") if device.type == "mps" else device
