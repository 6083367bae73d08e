"""Text that a model writes."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.models import generation_config
from core.engine.text import Framing


@torch.inference_mode()
def continuation(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    prompt: str | list[int],
    device: str,
    most_tokens: int,
    seed: int,
    temperature: float = 0.7,
) -> tuple[str, str]:
    """The prompt and what the model writes after it, as text. Leaves the random state of training as it was."""
    ids = tokenizer(prompt, add_special_tokens=False).input_ids if isinstance(prompt, str) else prompt
    context = int(getattr(model.config, "max_position_embeddings", 0) or len(ids) + 1 + most_tokens)
    ids = ids[-max(1, context - 1 - most_tokens) :]  # of a prompt that fills the context, the end is gone on from
    row = torch.tensor([([] if framing.start is None else [framing.start]) + ids], device=device)
    settings = generation_config(tokenizer, framing, None)
    settings.update(
        do_sample=temperature > 0,
        temperature=temperature,
        max_new_tokens=max(1, min(most_tokens, context - row.shape[1])),
    )
    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[] if device == "cpu" else None):
            torch.manual_seed(seed)
            written = model.generate(
                row, attention_mask=torch.ones_like(row), generation_config=settings, synced_gpus=False
            )
    finally:
        model.train(was_training)
    text = tokenizer.decode(written[0], skip_special_tokens=True)
    said = tokenizer.decode(row[0], skip_special_tokens=True)
    return said, text.removeprefix(said)
