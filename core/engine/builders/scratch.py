"""A student from scratch: transformers' own initialisation of a config, from a seed."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel


def fresh(config: PretrainedConfig, seed: int) -> PreTrainedModel:
    """Float32, on the CPU, in evaluation mode. Seeded, and the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return model.eval()
