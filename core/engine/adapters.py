"""Adapters merged into their base, exactly: every delta is computed in float64 and added to the weight it belongs to, file by file.

LoRA: W' = W + s·B·A with s = α/r (Hu et al. 2021, arXiv 2106.09685, section 4.1); rsLoRA: s = α/√r (arXiv 2312.03732, eq. 4). DoRA:
W' = m ⊙ (W + s·B·A) / ‖W + s·B·A‖ over each output's inputs (Liu et al. 2024, arXiv 2402.09353, eq. 5). A stack is the sum of the deltas
W' − W, each times its weight. PEFT's own merging of several adapters works on the matrices instead, and is wrong for rsLoRA and DoRA.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from core.adapters import Adapter, MergeAdapterRecipe, base_of, read_adapter, spellings
from core.engine.models import replace_folder
from core.engine.session import Session
from core.errors import BadModel
from core.files import read_json, write_json
from core.models import inspect_model

PREFIX = "base_model.model."
COPIED = ("*.json", "*.jinja", "*.model", "*.txt", "*.py", "LICENSE*", "merges*")
NOT_COPIED = ("model.safetensors.index.json", "stillroom.json", "recipe.json")


@dataclass
class Delta:
    """What an adapter does to one weight. A (r, inputs), B (outputs, r), and DoRA's lengths m (outputs,), None without."""

    a_rI: torch.Tensor
    b_Or: torch.Tensor
    lengths_O: torch.Tensor | None
    scaling: float
    transposed: bool  # the weight is stored (inputs, outputs)

    def of(self, weight: torch.Tensor) -> torch.Tensor:
        """W' − W in float64, in the weight's own layout."""
        weight_OI = (weight.t() if self.transposed else weight).double()
        delta_OI = self.scaling * (self.b_Or.double() @ self.a_rI.double())
        if self.lengths_O is not None:
            turned_OI = weight_OI + delta_OI
            turned_OI *= (self.lengths_O.double() / turned_OI.norm(dim=1))[:, None]
            delta_OI = turned_OI - weight_OI
        return delta_OI.t() if self.transposed else delta_OI


def deltas(adapter: Adapter) -> tuple[dict[str, Delta], dict[str, torch.Tensor]]:
    """Deltas by module, and weights that the adapter replaces whole (modules_to_save), by tensor.

    BadModel for tensors that belong to neither: they would be lost in silence.
    """
    found: dict[str, dict[str, torch.Tensor]] = {}
    whole: dict[str, torch.Tensor] = {}
    with safe_open(adapter.path / "adapter_model.safetensors", "pt") as file:
        for name in file.keys():  # noqa: SIM118 — it is no dictionary
            module, mark, part = name.removeprefix(PREFIX).partition(".lora_")
            if not mark:
                whole[module] = file.get_tensor(name)
                continue
            found.setdefault(module, {})[part.removesuffix(".weight")] = file.get_tensor(name)
    made = {}
    for module, parts in found.items():
        unknown = parts.keys() - {"A", "B", "magnitude_vector"}
        if unknown or not {"A", "B"} <= parts.keys():
            odd = sorted(unknown) or sorted({"A", "B"} - parts.keys())
            raise BadModel(
                f"{adapter.path.name}: the layer {module} has {', '.join(odd)} of a kind that can't be merged.",
                "Merge it with the program that made it.",
            )
        scaling = _scaling(adapter, module)
        transposed = bool(adapter.config.get("fan_in_fan_out"))
        made[module] = Delta(parts["A"], parts["B"], parts.get("magnitude_vector"), scaling, transposed)
    return made, whole


def _scaling(adapter: Adapter, module: str) -> float:
    """s of one module, by its own rank and α where the adapter has such."""

    def own(patterns: Any, otherwise: float) -> float:
        for pattern, value in (patterns or {}).items():
            if re.match(rf"(.*\.)?({pattern})$", module):
                return float(value)
        return otherwise

    rank = own(adapter.config.get("rank_pattern"), adapter.rank)
    alpha = own(adapter.config.get("alpha_pattern"), adapter.alpha)
    return alpha / (rank**0.5 if adapter.config.get("use_rslora") else rank)


def merge(
    base: Path,
    stack: list[tuple[Adapter, float]],
    out: Path,
    precision: str = "float32",
    pause: Callable[[float], None] = lambda share: None,
    cards: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Write base + Σ scale · delta to the folder `out`, whole or not at all: the base's files one after the other, each held alone.

    Tokenizer, chat template and end tokens are those of the last adapter that has them. Returns counts of what was done.
    """
    told = [(adapter, scale, *deltas(adapter)) for adapter, scale in stack]
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    met: set[tuple[int, str]] = set()
    kinds: dict[str, int] = {}
    try:
        files = sorted(base.glob("model*.safetensors"))
        for number, file in enumerate(files):
            state = {}
            with safe_open(file, "pt") as source:
                names = list(source.keys())
                for place, name in enumerate(names):
                    weight = source.get_tensor(name)
                    state[name] = _as_stored(_merged(name, weight, told, met), weight.dtype, precision)
                    kinds[str(state[name].dtype)] = kinds.get(str(state[name].dtype), 0) + 1
                    pause((number + place / len(names)) / len(files))
            save_file(state, beside / file.name, {"format": "pt"})
        _refuse_lost(told, met)
        _copy_rest(base, stack, beside, files, max(kinds, key=lambda kind: kinds[kind]).removeprefix("torch."))
        for name, text in (cards or {}).items():
            (beside / name).write_text(text, encoding="utf-8")
        pause(1.0)
        replace_folder(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return {"model": str(out), "merged_weights": len(met), "adapters": len(stack)}


def _merged(name: str, weight: torch.Tensor, told: list[Any], met: set[tuple[int, str]]) -> torch.Tensor:
    """The weight with all that the adapters do to it, in float64; itself where they do nothing."""
    change: torch.Tensor | None = None
    for number, (_, scale, changes, whole) in enumerate(told):
        for module, delta in changes.items():
            if name in spellings(module):
                met.add((number, module))
                more = scale * delta.of(weight)
                change = more if change is None else change + more
        for tensor, replacing in whole.items():
            if name in (tensor, tensor.partition(".")[2]):
                met.add((number, tensor))
                more = scale * (replacing.double() - weight.double())
                change = more if change is None else change + more
    return weight if change is None else weight.double() + change


def _as_stored(weight: torch.Tensor, own: torch.dtype, precision: str) -> torch.Tensor:
    if not weight.is_floating_point():
        return weight
    return weight.to(own if precision == "base" else getattr(torch, precision)).contiguous()


def _refuse_lost(told: list[Any], met: set[tuple[int, str]]) -> None:
    """BadModel if a part of an adapter met no weight of the base."""
    for number, (adapter, _, changes, whole) in enumerate(told):
        lost = [name for name in (*changes, *whole) if (number, name) not in met]
        if lost:
            raise BadModel(
                f'{adapter.path.name} has weights for "{lost[0]}", which the base does not have ({len(lost)} such).',
                "Name the model it was trained on (--base).",
            )


def _copy_rest(base: Path, stack: list[tuple[Adapter, float]], beside: Path, files: list[Path], dtype: str) -> None:
    """Config, tokenizer, template and end tokens; the index, if there are several files."""
    for folder in (base, *(adapter.path for adapter, _ in stack)):
        for pattern in COPIED:
            for file in folder.glob(pattern):
                if file.name not in NOT_COPIED and not file.name.startswith(("adapter_", "training_")):
                    shutil.copyfile(file, beside / file.name)
    config = read_json(base / "config.json")
    config.pop("torch_dtype", None)
    write_json(beside / "config.json", {**config, "dtype": dtype})
    if (index := base / "model.safetensors.index.json").is_file():
        shutil.copyfile(index, beside / index.name)
        told = read_json(index)
        size = sum(file.stat().st_size for file in beside.glob("model*.safetensors"))
        write_json(beside / index.name, {**told, "metadata": {**told.get("metadata", {}), "total_size": size}})
    elif len(files) > 1:
        raise BadModel(f"{base} has several weight files and no index.", "Fetch the model again.")


def run(session: Session) -> dict[str, Any]:
    """Merge as the recipe says; the figures for `RunFinished`."""
    recipe = session.recipe
    assert isinstance(recipe, MergeAdapterRecipe)
    session.phase("checking adapters and base")
    read = [read_adapter(Path(folder)) for folder in recipe.adapters]
    place = recipe.base_folder()
    base, *_ = [base_of(adapter, place, recipe.allow_remote_code) for adapter in read]
    scales = recipe.scales or (1.0,) * len(read)
    stored = inspect_model(base, recipe.allow_remote_code).dtypes
    if recipe.save_precision != "float32":
        session.notice(
            f"The merged weights are rounded to {recipe.save_precision}, which loses a little of what was learnt.",
            "warning",
        )
    elif stored and stored[0] != "F32":
        session.choose("precision", "float32", f"exact, twice the size of the base in {stored[0]}")
    session.phase("merging", base.name)
    out = Path(recipe.out)
    lineage = {
        "run": session.run.id,
        "merged": [{"path": str(each.path), "scale": scale} for each, scale in zip(read, scales, strict=True)],
        "base": {"path": str(base)},
    }
    cards = {"stillroom.json": json.dumps(lineage, indent=2, ensure_ascii=False) + "\n"}
    stack = list(zip(read, scales, strict=True))
    results = merge(base, stack, out, recipe.save_precision, session.progress, cards)
    return {**results, "student": str(out), "base": str(base)}
