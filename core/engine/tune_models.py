"""The model of a tuning: its base loaded as the method wants it, the adapter put on, and the result written as a folder that others read."""

from __future__ import annotations

import contextlib
import shutil
import stat
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model, prepare_model_for_kbit_training
from transformers import BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from core import tune_proposals
from core.adapters import read_adapter
from core.engine.models import generation_config, load_model, replace_folder
from core.engine.session import Session
from core.engine.text import Framing
from core.errors import BadModel, BadRecipe
from core.tune import TuneRecipe


def load_base(session: Session, recipe: TuneRecipe, dtype: torch.dtype) -> PreTrainedModel:
    """The model on the device: in float32 where all weights are learnt, as the arithmetic is beside an adapter, in 4 bits for QLoRA."""
    folder = Path(recipe.model)
    if recipe.method == "full":
        return load_model(folder, session.device, torch.float32, recipe.allow_remote_code).requires_grad_(True)
    if recipe.method != "qlora":
        return load_model(folder, session.device, dtype, recipe.allow_remote_code)
    if session.device != "cuda":
        raise BadRecipe(
            f"QLoRA's 4-bit arithmetic is bitsandbytes' for NVIDIA GPUs, and this run is on {session.device}.",
            "Choose the method lora, which learns the same in more memory.",
        )
    if find_spec("bitsandbytes") is None:
        raise BadRecipe(
            "QLoRA needs the package bitsandbytes, which is not installed.",
            "Install it (pip install bitsandbytes), or choose the method lora.",
        )
    how = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, bnb_4bit_use_double_quant=True
    )
    model = load_model(folder, session.device, dtype, recipe.allow_remote_code, quantization=how)
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def put_adapter_on(session: Session, recipe: TuneRecipe, base: PreTrainedModel) -> PeftModel:
    """The base with an adapter that learns: a new one, or one to go on from. BadRecipe if its targets are no linear layers here."""
    folder = Path(recipe.model)
    if recipe.adapter is not None:
        known = read_adapter(Path(recipe.adapter))
        session.choose("adapter", known.words, "goes on from there: its rank, α and layers stay")
        with peft_warnings_off():
            return PeftModel.from_pretrained(base, recipe.adapter, is_trainable=True)
    wanted, why = tune_proposals.targets(recipe, folder)
    wanted = linear_among(base, wanted, folder)
    strength, why_alpha = tune_proposals.alpha(recipe)
    session.choose("layers with an adapter", list(wanted), why)
    session.choose("alpha", strength, why_alpha)
    torch.manual_seed(recipe.seed)
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=recipe.rank,
        lora_alpha=strength,
        lora_dropout=recipe.dropout,
        target_modules=list(wanted),
        use_rslora=recipe.method == "rslora",
        use_dora=recipe.method == "dora",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in base.modules()),
        base_model_name_or_path=str(folder),
    )
    with peft_warnings_off():
        return get_peft_model(base, config)


@contextlib.contextmanager
def peft_warnings_off() -> Iterator[None]:
    """PEFT asks transformers by names that are going out of use there, and warns of vocabularies, which no adapter of ours touches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def linear_among(base: PreTrainedModel, wanted: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """Those of `wanted` that are linear layers of the model, the head aside. BadRecipe if one that was asked for is none."""
    head = base.get_output_embeddings()
    layers = [
        name
        for name, module in base.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    ]
    found = tuple(each for each in wanted if any(name == each or name.endswith(f".{each}") for name in layers))
    if not found or set(wanted) - set(found):
        odd = [each for each in wanted if each not in found]
        known = sorted({name.rpartition(".")[2] for name in layers})
        raise BadRecipe(
            f"{', '.join(odd)} is no linear layer of {folder.name} that can have an adapter.",
            f"Choose among {', '.join(known)} (--targets).",
        )
    return found


def inner(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The transformers model itself; an adapter's matrices work inside of it."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def learnt_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def save_adapter(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    folder: Path,
    cards: dict[str, str],
    base: Path,
) -> None:
    """Write a PEFT folder beside its place, then rename it: the matrices, the tokenizer with its template, what ends a generation, the cards."""
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        with peft_warnings_off():
            model.save_pretrained(beside, save_embedding_layers=False)
        tokenizer.save_pretrained(beside)
        source = base if (base / "generation_config.json").is_file() else None
        generation_config(tokenizer, framing, source).save_pretrained(beside)
        for name, text in cards.items():
            (beside / name).write_text(text, encoding="utf-8")
        readable = stat.S_IMODE((beside / "adapter_config.json").stat().st_mode)
        for file in beside.iterdir():  # safetensors lets only the owner read, whatever the umask says
            file.chmod(readable)
        replace_folder(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def load_tuned(folder: Path, recipe: TuneRecipe, device: str, dtype: torch.dtype) -> PreTrainedModel:
    """The result as its user would load it. BadModel if it can't be."""
    if not recipe.adapts:
        return load_model(folder, device, torch.float32, recipe.allow_remote_code)
    base = load_model(Path(recipe.model), device, dtype, recipe.allow_remote_code)
    try:
        with peft_warnings_off():
            return inner(PeftModel.from_pretrained(base, folder)).eval()
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise BadModel(f"The adapter in {folder} can't be loaded again: {error}.", "Please report this.") from error
