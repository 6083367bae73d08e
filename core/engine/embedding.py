"""Texts as vectors: the mean over a text's tokens of the last hidden states of a language model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from core.engine.heads import splits, trunk_states
from core.engine.models import compute_dtype, load_model, load_tokenizer
from core.models import inspect_model

ROWS_AT_ONCE = 16


class ModelEmbedder:
    """Each text is read up to `most_tokens`, or the model's context; what follows is not seen."""

    def __init__(
        self, folder: Path, device: str, allow_remote_code: bool, most_tokens: int, pause: Callable[[], None]
    ) -> None:
        self.model = load_model(folder, device, compute_dtype(device, "auto")[0], allow_remote_code)
        self.tokenizer = load_tokenizer(folder, allow_remote_code)
        context = inspect_model(folder, allow_remote_code).context
        self.most_tokens = min(most_tokens, context or most_tokens)
        self._pause = pause
        self._split = splits(self.model)

    @torch.inference_mode()
    def __call__(self, texts: list[str]) -> np.ndarray:
        """Float32 of shape (texts, hidden size); zeros for a text without a token."""
        encoded = [ids[: self.most_tokens] for ids in self.tokenizer(texts).input_ids]
        found = np.zeros((len(texts), self.model.config.get_text_config().hidden_size), np.float32)
        by_length = sorted(range(len(texts)), key=lambda number: len(encoded[number]))
        for start in range(0, len(texts), ROWS_AT_ONCE):
            self._pause()
            numbers = [number for number in by_length[start : start + ROWS_AT_ONCE] if encoded[number]]
            if numbers:
                found[numbers] = self._pooled([encoded[number] for number in numbers])
        return found

    def _pooled(self, batch: list[list[int]]) -> np.ndarray:
        length = max(map(len, batch))
        ids_BT = torch.zeros(len(batch), length, dtype=torch.long)
        mask_BT = torch.zeros(len(batch), length, dtype=torch.long)
        for row, ids in enumerate(batch):
            ids_BT[row, : len(ids)] = torch.tensor(ids)
            mask_BT[row, : len(ids)] = 1
        ids_BT, mask_BT = ids_BT.to(self.model.device), mask_BT.to(self.model.device)
        if self._split:
            states_BTH = trunk_states(self.model, input_ids=ids_BT, attention_mask=mask_BT)
        else:
            read = self.model(input_ids=ids_BT, attention_mask=mask_BT, output_hidden_states=True, use_cache=False)
            states_BTH = read.hidden_states[-1]
        weights_BT1 = mask_BT[:, :, None].float()
        mean_BH = (states_BTH.float() * weights_BT1).sum(1) / weights_BT1.sum(1)
        return mean_BH.cpu().numpy()
