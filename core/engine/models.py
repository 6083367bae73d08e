"""Models and tokenizers from folders into memory, and students out of it."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from core.engine.text import Framing
from core.errors import BadModel, Trouble
from core.files import read_json, sync_file, sync_folder
from core.models import inspect_model


def load_model(
    folder: Path,
    device: str,
    dtype: torch.dtype,
    allow_remote_code: bool,
    quantization: BitsAndBytesConfig | None = None,
) -> PreTrainedModel:
    """A causal language model for reading: in eval mode, gradients off. BadModel says what is wrong with the folder."""
    inspect_model(folder, allow_remote_code=allow_remote_code)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            trust_remote_code=allow_remote_code,
            use_safetensors=True,
            local_files_only=True,
            **({} if quantization is None else {"quantization_config": quantization, "device_map": device}),
        )
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise BadModel(
            f"{folder} can't be loaded as a causal language model: {error}.", "Choose another model folder."
        ) from error
    return (model if quantization is not None else model.to(device)).eval().requires_grad_(False)


def load_tokenizer(folder: Path, allow_remote_code: bool) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=allow_remote_code, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        raise BadModel(
            f"The tokenizer of {folder} can't be loaded: {error}.", "Put its tokenizer.json beside the weights."
        ) from error


def config_of(folder: Path) -> dict[str, Any]:
    """`config.json` as it stands on disk."""
    try:
        return dict(read_json(folder / "config.json"))
    except FileNotFoundError as error:
        raise BadModel(
            f"{folder} is no model folder: it has no config.json.", "Choose a Hugging Face model folder."
        ) from error
    except ValueError as error:
        raise BadModel(f"{folder / 'config.json'} is not valid JSON: {error}.", "Fetch the model again.") from error


def compute_dtype(device: str, wanted: str) -> tuple[torch.dtype, str]:
    """bfloat16 or float32 for the arithmetic, with the reason."""
    if wanted != "auto":
        return getattr(torch, wanted), f"{wanted}, as the recipe says"
    if device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16, "bfloat16, because the GPU has it"
    return torch.float32, f"float32, because the {'GPU' if device != 'cpu' else 'CPU'} has no fast bfloat16 here"


def save_student(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    dtype: torch.dtype,
    folder: Path,
    cards: dict[str, str],
    source: Path | None,
) -> None:
    """Write a whole Hugging Face folder beside its place, then rename it. Generation stops at every token that ends a text:
    the tokenizer's eos, the source model's own ends, and the token that ended the training documents.
    """
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    model.generation_config = generation_config(tokenizer, framing, source)
    model.config.bos_token_id, model.config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    converted: dict[tuple[int, ...], torch.Tensor] = {}  # a tied table stays one, and is written once
    state = {}
    for name, tensor in model.state_dict().items():
        storage = (tensor.data_ptr(), *tensor.shape)
        if storage not in converted:
            converted[storage] = tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype)
        state[name] = converted[storage]
    model.config.dtype = dtype
    try:
        model.save_pretrained(beside, state_dict=state)
        tokenizer.save_pretrained(beside)
        for name, text in cards.items():
            (beside / name).write_text(text, encoding="utf-8")
        readable = stat.S_IMODE((beside / "config.json").stat().st_mode)
        for file in beside.iterdir():  # safetensors lets only the owner read, whatever the umask says
            file.chmod(readable)
        replace_folder(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def generation_config(tokenizer: PreTrainedTokenizerBase, framing: Framing, source: Path | None) -> GenerationConfig:
    ends: list[int] = []
    if source is not None and (source / "generation_config.json").is_file():
        declared = GenerationConfig.from_pretrained(source).eos_token_id
        ends.extend([declared] if isinstance(declared, int) else declared or [])
    ends.extend(token for token in (tokenizer.eos_token_id, framing.end) if token is not None)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=sorted(set(ends)) or None, pad_token_id=pad
    )


def replace_folder(beside: Path, folder: Path) -> None:
    """Put a finished folder in the place of an older one by renames, once every file of it is on the disk."""
    for file in beside.rglob("*"):
        if file.is_file():
            sync_file(file)
    sync_folder(beside)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    beside.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def copy_student(folder: Path, out: Path, run_id: str) -> None:
    """Copy the student to where the user wants it, whole or not at all."""
    refuse_to_overwrite(out, run_id)
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(folder, beside)
        replace_folder(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def refuse_to_overwrite(out: Path, run_id: str) -> None:
    """Raise Trouble if something is in the way; this run's own student, copied before it was killed, is not."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        ours = read_json(out / "stillroom.json")["run"] == run_id
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise Trouble(f"{out} is there already, and nothing is overwritten.", "Move it away, then resume the run.")
