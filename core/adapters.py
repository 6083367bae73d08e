"""Adapters: what a PEFT folder holds, which model it is for and whether that is still the one, and the run that merges some into it.

An adapter of ours says in `stillroom.json` which folder its base was, and the fingerprint of that base's weights; one from elsewhere names
its base in `adapter_config.json` only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.errors import BadModel, Trouble
from core.files import read_json
from core.model_files import tensor_shapes
from core.model_folders import resolve_model
from core.models import LINEAGE_FILE, inspect_model
from core.recipe import Problem, Recipe

CONFIG = "adapter_config.json"
DELTA_KINDS = ("LORA",)


class Adapter(BaseModel):
    """A low-rank adapter's folder in a few words. `method` is lora, rslora or dora."""

    model_config = ConfigDict(frozen=True)

    path: Path
    method: Literal["lora", "rslora", "dora"]
    rank: int
    alpha: float
    targets: tuple[str, ...]
    base: str | None  # the folder, or the name in the Hub cache, as it was written down
    base_fingerprint: str | None  # of the base's weights; None for adapters from elsewhere
    config: dict[str, Any]

    @property
    def words(self) -> str:
        """As a person would say it."""
        named = {"lora": "LoRA", "rslora": "rsLoRA", "dora": "DoRA"}[self.method]
        return f"{named} of rank {self.rank} for {Path(self.base).name if self.base else 'an unnamed base'}"


def read_adapter(folder: Path) -> Adapter:
    """What the adapter in `folder` is. BadModel, naming file and field, if it is none that can be used here."""
    file = folder / CONFIG
    try:
        config = read_json(file)
    except FileNotFoundError as error:
        raise BadModel(f"{folder} is no adapter: it has no {CONFIG}.", "Name the folder that PEFT wrote.") from error
    except (OSError, ValueError) as error:
        raise BadModel(f"{file} can't be read: {error}.", "Fetch or train the adapter again.") from error
    if not isinstance(config, dict) or config.get("peft_type") not in DELTA_KINDS:
        kind = config.get("peft_type") if isinstance(config, dict) else None
        raise BadModel(
            f"{folder.name} is an adapter of the kind {kind}, not LoRA.", "Only LoRA, rsLoRA and DoRA are read."
        )
    rank, alpha, targets = config.get("r"), config.get("lora_alpha"), config.get("target_modules")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise BadModel(
            f"{file}: the rank (r) {rank!r} or lora_alpha {alpha!r} is no number above 0.", "Fetch it again."
        )
    return Adapter(
        path=folder,
        method="dora" if config.get("use_dora") else "rslora" if config.get("use_rslora") else "lora",
        rank=rank,
        alpha=float(alpha),
        targets=tuple(sorted(targets)) if isinstance(targets, list) else (str(targets),),
        base=config.get("base_model_name_or_path") or None,
        base_fingerprint=_fingerprint(folder),
        config=config,
    )


def _fingerprint(folder: Path) -> str | None:
    try:
        return str(read_json(folder / LINEAGE_FILE)["base"]["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def base_of(adapter: Adapter, base: Path | None = None, allow_remote_code: bool = False) -> Path:
    """The folder of the adapter's base, checked: there, with the weights it was trained on, and with a layer for each of its matrices.

    `base` is where it is now, if not where the adapter says. BadModel says what doesn't fit.
    """
    if base is None:
        if adapter.base is None:
            raise BadModel(f"{adapter.path.name} doesn't say which model it is for.", "Name its base (--base).")
        try:
            base = resolve_model(adapter.base)
        except BadModel as error:
            raise BadModel(
                f"The base of {adapter.path.name}, {adapter.base}, is not there any more.",
                "Put it back, or say where it is now (--base).",
            ) from error
    info = inspect_model(base, allow_remote_code)
    if info.is_adapter:
        raise BadModel(f"{base} is an adapter itself.", f"Name the model that {adapter.path.name} was trained on.")
    if adapter.base_fingerprint is not None and info.fingerprint != adapter.base_fingerprint:
        raise BadModel(
            f"The weights in {base} are not those that {adapter.path.name} was trained on: they were changed, or are another model's.",
            "Name the model it was trained on (--base), or tune this one anew.",
        )
    _check_shapes(adapter, base)
    return base


def trouble_with_base(folder: Path) -> str | None:
    """Why the adapter in `folder` can't be used as it stands, in a sentence: its base is gone, or is not the one it was trained on."""
    try:
        base_of(read_adapter(folder))
    except BadModel as trouble:
        return str(trouble)
    return None


def _check_shapes(adapter: Adapter, base: Path) -> None:
    """BadModel if a matrix of the adapter has no layer in the base, or one of other dimensions."""
    weights = tensor_shapes(base)
    transposed = bool(adapter.config.get("fan_in_fan_out"))
    for name, dims in tensor_shapes(adapter.path).items():
        module, _, part = name.removeprefix("base_model.model.").partition(".lora_")
        if part not in ("A.weight", "B.weight"):
            continue
        held = next((weights[found] for found in spellings(module) if found in weights), None)
        if held is None:
            raise BadModel(
                f'{adapter.path.name} has matrices for the layer "{module}", which {base.name} doesn\'t have.',
                "Name the model it was trained on (--base).",
            )
        outputs, inputs = held[::-1] if transposed else held
        if (dims[1] != inputs) if part == "A.weight" else (dims[0] != outputs):
            raise BadModel(
                f'{adapter.path.name}: the matrix "{name}" is {dims[0]} × {dims[1]}, which does not fit the layer of {outputs} × {inputs} in '
                f"{base.name}.",
                "Name the model it was trained on (--base).",
            )


def spellings(module: str) -> list[str]:
    """How a module's weight may be called in a model's file: some are saved without the name of the part that holds the blocks."""
    _, _, bare = module.partition(".")
    return [f"{module}.weight", f"{bare}.weight"]


class MergeAdapterRecipe(Recipe):
    """One adapter or several merged into their base: W + Σ scale · delta, computed in float64, written in float32 unless asked otherwise."""

    kind: Literal["adapters"] = "adapters"

    adapters: tuple[str, ...] = Field(min_length=1, description="The adapters' folders.")
    scales: tuple[float, ...] = Field((), description="How much each of them counts; by default 1.")
    base: str | None = Field(None, description="The base's folder, if it is not where the adapter says.")
    out: str = Field(description="Where the merged model is written.")
    save_precision: Literal["float32", "bfloat16", "float16", "base"] = Field(
        "float32",
        description="Of the file. float32 keeps what was learnt; base rounds it as the base's own weights are.",
    )

    def title(self) -> str:
        return self.name or f"{' + '.join(Path(each).name for each in self.adapters)} merged"

    def problems(self) -> list[Problem]:
        from core.tune_checks import folder_in_the_way  # which looks into adapters, too

        found = []
        if self.scales and len(self.scales) != len(self.adapters):
            text = f"{len(self.scales)} scales for {len(self.adapters)} adapters. Give one for each, or none."
            found.append(Problem(field="scales", text=text))
        if (why := folder_in_the_way(Path(self.out))) is not None:
            found.append(Problem(field="out", text=why))
        try:
            for folder in self.adapters:
                base_of(read_adapter(Path(folder)), self.base_folder(), self.allow_remote_code)
        except Trouble as trouble:
            found.append(Problem(field="adapters", text=str(trouble)))
        return found

    def base_folder(self) -> Path | None:
        """Where the base is: as said, else as the first adapter says."""
        if self.base is not None:
            return Path(self.base)
        first = read_adapter(Path(self.adapters[0]))
        return base_of(first) if len(self.adapters) > 1 else None
