"""The built-in sample: a story generator, its tokenizer and questions, and a small family of teachers trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.distill import DistillRecipe
from core.home import Home

FOLDER = Path(__file__).parent
HELD_OUT_STORIES = 1000
SKILL_QUESTIONS = 100  # of each skill, when the family is scored


def _config(hidden: int, layers: int, heads: int, kv_heads: int, intermediate: int) -> dict[str, Any]:
    """A Llama of the family: 2048 tokens, 512 positions, heads of 32, embeddings tied."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 2048,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": 32,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
    }


FAMILY = {
    "stories-2M": _config(192, 4, 6, 3, 512),
    "stories-0.8M": _config(128, 3, 4, 2, 336),
    "stories-5M": _config(256, 6, 8, 4, 640),
}


SAMPLE_STORIES = 1600
SAMPLE_SEED = 5


def recipe(home: Home) -> DistillRecipe:
    """The main job on the built-in sample: a student of 40 % of the teacher, pruned and distilled on generated stories.

    Writes the stories into the data folder the first time.
    """
    from resources.sample.stories import write_corpus  # the grammar is not needed to list the family

    home.sample.mkdir(parents=True, exist_ok=True)
    text = home.sample / f"stories-{SAMPLE_STORIES}.txt"
    if not text.exists():
        write_corpus(text, SAMPLE_SEED, SAMPLE_STORIES)
    return DistillRecipe(
        name="sample",
        teacher=str(FOLDER / "stories-2M"),
        student="0.4x",
        init="prune",
        data=(str(text),),
        tokens=250_000,
        validation_tokens=4096,
        calibration_blocks=16,
        evaluate_every=25,
        sample_prompt="Once upon a time, there was a",
    )
