"""Folders that transformers loads: the model in full precision (hf), and with weights in 8 or 4 bits (torchao)."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from core import __version__
from core.engine.exporting.gguf_file import LARGEST_F16, Manners
from core.errors import BadModel
from core.files import read_json, write_json
from core.model_folders import name_of
from core.models import LINEAGE_FILE

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
GROUPS = (32, 16, 8)  # weights of a row that share a scale, in int4


def write_hf(model: PreTrainedModel, folder: Path, weight_type: str, shard_bytes: int) -> None:
    """Weights in files of at most `shard_bytes` (one tensor may be larger), in safetensors."""
    dtype = DTYPES[weight_type]
    if dtype is torch.float16:
        for name, tensor in model.named_parameters():
            if (largest := float(tensor.abs().max())) > LARGEST_F16:
                raise BadModel(
                    f'The tensor "{name}" has values up to {largest:.0f}, more than float16 can hold.',
                    "Choose bf16 or f32 instead.",
                )
    model.to(dtype)
    model.config.dtype = dtype
    model.save_pretrained(folder, max_shard_size=shard_bytes)


def write_torchao(source: Path, folder: Path, bits: int, device: str) -> dict[str, int]:
    """Weights of linear layers in 8 bits with a scale a row, or 4 bits with a scale for 32 of a row; embeddings, norms and head stay.

    Returns how many tensors were quantized and how many not. Absmax, as in methods.md §6: x_q = round(127 / max|x| · x) for 8 bits.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchao's own, about parts of it that we don't use
        from torchao.quantization import IntxWeightOnlyConfig
        from torchao.quantization.granularity import PerAxis, PerGroup
        from transformers import TorchAoConfig

        if bits == 8:
            settings = IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerAxis(0))
        else:
            settings = IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(_group(source)))
        model = AutoModelForCausalLM.from_pretrained(
            source,
            dtype="auto",
            quantization_config=TorchAoConfig(settings),
            use_safetensors=True,
            local_files_only=True,
        ).to(device)
        linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
        quantized = sum(type(module.weight.data).__name__ not in ("Tensor", "Parameter") for module in linears)
        if not quantized:
            raise BadModel(
                f"No weight of {model.config.model_type} could be quantized: its layers are none that torchao knows.",
                "Export it as gguf, which has types of 8 to 4 bits for it.",
            )
        model.save_pretrained(folder)
    return {"quantized": quantized, "kept": len(linears) - quantized}


def _group(source: Path) -> int:
    """The largest group that divides every row of the layers."""
    skeleton = _skeleton(source)
    for group in GROUPS:
        odd = [
            name
            for name, module in skeleton.named_modules()
            if isinstance(module, nn.Linear) and module.in_features % group and name != "lm_head"
        ]
        if not odd:
            return group
    raise BadModel(
        f'The rows of "{odd[0]}" can\'t be parted in groups of 8.', "Export as int8, which has a scale for each row."
    )


def _skeleton(source: Path) -> PreTrainedModel:
    from transformers import AutoConfig

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source, local_files_only=True))


def load_folder(folder: Path, device: str) -> PreTrainedModel:
    """The exported folder as anybody would load it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", use_safetensors=True, local_files_only=True)
    return model.to(device).eval()


def add_manners(source: Path, folder: Path, tokenizer: PreTrainedTokenizerBase, manners: Manners) -> None:
    """Tokenizer, chat template and stop tokens beside the weights; how the original samples by default is kept."""
    tokenizer.save_pretrained(folder)
    file = source / "generation_config.json"
    said = dict(read_json(file)) if file.is_file() else {"bos_token_id": tokenizer.bos_token_id}
    pad = said.get("pad_token_id", tokenizer.pad_token_id)
    said |= {
        "eos_token_id": list(manners.stops) or None,
        "pad_token_id": tokenizer.eos_token_id if pad is None else pad,
    }
    write_json(folder / "generation_config.json", {name: value for name, value in said.items() if value is not None})


def stops_in(folder: Path) -> tuple[int, ...]:
    said = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
    return tuple([said] if isinstance(said, int) else said or [])


# ------------------------------------------------------------------------------------------------------------- the card


def card(source: Path, title: str, license_name: str, target: str, weight_type: str, check: dict[str, Any]) -> str:
    """The README.md of what is shipped: the model's own card, if it has one, and what became of it here."""
    try:
        own = (source / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        own = f"---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags: [stillroom]\n---\n\n# {title}\n"
    before, after = (check["perplexity"][name] for name in ("original", "exported"))
    return f"""{_licensed(own, license_name).rstrip()}

## This copy

Written by Stillroom {__version__} as {target} ({weight_type}) from {name_of(source)}, and compared with it:

| | original | this copy |
|---|---|---|
| perplexity of {check["tokens"]} tokens | {before:.4f} | {after:.4f} |
| same first choice | | {check["agreement"]:.1%} of the tokens |
| same greedy answer | | {check["equal_answers"]} of {check["prompts"]} prompts |
"""


def _licensed(text: str, name: str) -> str:
    """The card with this licence in its front matter; as it is where none is named."""
    if not name:
        return text
    if not text.startswith("---\n") or "\n---" not in text[4:]:
        return f"---\nlicense: {name}\n---\n\n{text}"
    head, rest = text[4:].split("\n---", 1)
    head = re.sub(r"(?m)^license:.*\n?", "", head + "\n").rstrip("\n")
    return f"---\nlicense: {name}\n{head}\n---{rest}"


def lineage(source: Path) -> str | None:
    """`stillroom.json` of one of our own models, with names in place of this machine's paths."""
    try:
        said = read_json(source / LINEAGE_FILE)
    except (OSError, ValueError):
        return None
    return json.dumps(_without_folders(said), indent=2, ensure_ascii=False) + "\n"


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
