"""What a merge takes from a model folder: its config and where each tensor lies; adapters on top of it; and what fits with what.

Names of tensors are the architecture's own: a prefix that an old file lacks is added, constants that old versions saved and the head of a
tied model are left out. No torch is needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import BadModel
from core.merge.adapters import Adapter, read_adapter
from core.merge.document import ModelRef
from core.merge.weights import SIZES, TensorFacts, tensors_in
from core.model_files import read_config
from core.model_folders import hub_cache, resolve_model
from core.models import inspect_model
from core.shapes import KNOWN_FAMILIES, Shape, rope_theta_of, shape_of

HEADS = ("lm_head.weight", "embed_out.weight")
_PREFIX = {"gpt2": "transformer.", "gpt_neox": "gpt_neox."}
_CONSTANT = re.compile(r"(\.rotary_emb\.inv_freq|\.masked_bias|\.h\.\d+\.attn\.bias|\.layers\.\d+\.attention\.bias)$")
_LAYER = re.compile(r"^(?P<stem>(?:.*\.)?(?:layers|h|blocks|block))\.(?P<number>\d+)\.(?P<rest>.+)$")
_TABLES = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight", *HEADS)
_FIRST = ("embed", "wte", "wpe")  # parts of the names of what stands before the layers

WIDTHS = {  # what is said of another model, and of the reference
    "hidden": ("Its hidden width is {}", "is {} wide"),
    "intermediate": ("Its MLP is {} wide", "has {}"),
    "heads": ("It has {} attention heads", "has {}"),
    "kv_heads": ("It has {} key-value heads", "has {}"),
    "head_dim": ("Its heads are {} wide", "has {}"),
}


@dataclass(frozen=True)
class Contents:
    """A model as a merge sees it. `folder` holds config and tokenizer; a planned merge has one only once it runs."""

    name: str
    config: Mapping[str, Any]
    tensors: Mapping[str, TensorFacts]
    tied: bool
    folder: Path | None = None
    fingerprint: str = ""
    adapter: Adapter | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def shape(self) -> Shape | None:
        """None for an architecture that is not taken apart here."""
        return shape_of(self.config) if self.config.get("model_type") in KNOWN_FAMILIES else None

    @property
    def layers(self) -> int:
        numbers = [place[1] for name in self.tensors if (place := layer_of(name)) is not None]
        return max(numbers, default=-1) + 1

    @property
    def rows(self) -> int:
        """Rows of the embedding."""
        tables = [facts.shape[0] for name, facts in self.tensors.items() if is_table(name)]
        return tables[0] if tables else int(self.config.get("vocab_size") or 0)

    @property
    def parameters(self) -> int:
        return sum(facts.count for facts in self.tensors.values())

    @property
    def size_bytes(self) -> int:
        return sum(facts.size_bytes for facts in self.tensors.values())


def layer_of(name: str) -> tuple[str, int, str] | None:
    """(stem, layer, rest) of a tensor inside a layer."""
    found = _LAYER.match(name)
    return None if found is None else (found["stem"], int(found["number"]), found["rest"])


def is_table(name: str) -> bool:
    """Whether its rows are tokens: embeddings and heads."""
    return any(name == table or name.endswith(f".{table}") for table in _TABLES)


def stands_first(name: str) -> bool:
    """Of tensors outside the layers: embeddings and positions, rather than the last norm and the head."""
    return any(part in name for part in _FIRST) and name not in HEADS


def is_constant(name: str) -> bool:
    return _CONSTANT.search(f".{name}") is not None


def find_folder(ref: ModelRef, beside: Path) -> Path:
    """The folder of a model: relative to the recipe's own folder, absolute, or by its Hub name in the local cache."""
    near = beside / Path(ref.path).expanduser()
    if ref.revision is None:
        return near.absolute() if near.is_dir() else resolve_model(ref.path)
    snapshots = hub_cache() / f"models--{ref.path.replace('/', '--')}" / "snapshots"
    named = snapshots.parent / "refs" / ref.revision
    commit = named.read_text(encoding="utf-8").strip() if named.is_file() else ref.revision
    if not (snapshots / commit).is_dir():
        raise BadModel(
            f"Revision {ref.revision} of {ref.path} is not in the Hub cache.",
            f"Download it first: hf download {ref.path} --revision {ref.revision}",
        )
    return snapshots / commit


def look(ref: ModelRef, beside: Path, allow_remote_code: bool = False) -> Contents:
    """What is in a model's folder. A folder of a LoRA adapter is its base with the adapter on top. Raises BadModel, naming file or tensor."""
    folder, lora = find_folder(ref, beside), None
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        if ref.lora is not None:
            raise BadModel(f"{ref.path} is an adapter itself.", "Write it as BASE+ADAPTER, with one adapter.")
        folder, lora = _base_of(folder), folder
    elif ref.lora is not None:
        lora = find_folder(ModelRef(ref.lora), beside)
    contents = _of_folder(str(ref), folder, allow_remote_code)
    return contents if lora is None else _with_adapter(contents, lora)


def _base_of(adapter: Path) -> Path:
    said = read_adapter_base(adapter)
    if not said:
        raise BadModel(f"The adapter {adapter.name} does not say for which model it is.", "Write it as BASE+ADAPTER.")
    near = adapter / said
    try:
        return near.absolute() if near.is_dir() else resolve_model(said)
    except BadModel as error:
        raise BadModel(
            f"The adapter {adapter.name} is for {said}, which is not here.", "Write it as BASE+ADAPTER."
        ) from error


def read_adapter_base(adapter: Path) -> str | None:
    """The `base_model_name_or_path` of an adapter."""
    try:
        said = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise BadModel(
            f"{adapter / 'adapter_config.json'} can't be read: {error}.", "Fetch the adapter again."
        ) from error
    return None if said is None else str(said)


def _of_folder(name: str, folder: Path, allow_remote_code: bool) -> Contents:
    info = inspect_model(folder, allow_remote_code=allow_remote_code)
    if info.is_adapter:
        raise BadModel(f"{folder.name} is an adapter, not a whole model.", "Write it as BASE+ADAPTER.")
    if info.quantization is not None:
        raise BadModel(
            f"{folder.name} is quantized ({info.quantization}); a merge computes with the weights themselves.",
            "Merge the model that it was made from.",
        )
    config = read_config(folder)
    prefix = _PREFIX.get(str(config["model_type"]), "model.")
    held = tensors_in(folder, "model")
    bare = not any(tensor.startswith(prefix) for tensor in held) and str(config["model_type"]) in KNOWN_FAMILIES
    tensors = {}
    for tensor, facts in held.items():
        full = f"{prefix}{tensor}" if bare and tensor not in HEADS else tensor
        if is_constant(full) or (info.tied and tensor in HEADS):
            continue
        if facts.dtype not in SIZES:
            raise BadModel(f"Tensor {tensor} of {folder.name} is of type {facts.dtype}, which can't be merged.", "")
        tensors[full] = facts
    return Contents(name, config, tensors, info.tied, folder, info.fingerprint)


def _with_adapter(contents: Contents, folder: Path) -> Contents:
    """The same model with an adapter that is applied as its tensors are read. An adapter for other shapes is refused."""
    inspect_model(folder)  # says what is wrong with its files
    adapter = read_adapter(folder, {name: facts.shape for name, facts in contents.tensors.items()}, contents.name)
    notes = list(contents.notes)
    said = read_adapter_base(folder)
    if said and contents.folder is not None and Path(said).name not in (contents.folder.name, *contents.folder.parts):
        notes.append(f"{folder.name} was trained on {said}, and is put on {contents.folder.name}: their shapes agree.")
    return replace(
        contents, adapter=adapter, notes=tuple(notes), fingerprint=f"{contents.fingerprint}+{adapter.fingerprint}"
    )


# --- what fits --------------------------------------------------------------------------------------------------------


def misfits(reference: Contents, other: Contents, *, same_layers: bool, same_rows: bool) -> list[str]:
    """Why two models can't be merged, each in a sentence about `other`; empty if they can."""
    mine, theirs = reference.config.get("model_type"), other.config.get("model_type")
    if mine != theirs:
        return [f"It is of another family: {theirs}, where {reference.name} is {mine}."]
    found, ours, its = [], reference.shape, other.shape
    if ours is not None and its is not None:
        for unit, (of_it, of_reference) in WIDTHS.items():
            mine, theirs = getattr(ours, unit), getattr(its, unit)
            if mine != theirs:
                found.append(f"{of_it.format(theirs)}, where {reference.name} {of_reference.format(mine)}.")
    if same_layers and reference.layers != other.layers:
        found.append(
            f"It has {other.layers} layers, where {reference.name} has {reference.layers}. Say which with slices."
        )
    if same_rows and reference.rows != other.rows:
        found.append(
            f"Its vocabulary has {other.rows} rows, where {reference.name} has {reference.rows}. Say what becomes of the "
            "tokens: tokenizer: {source: base} or {source: union}."
        )
    return found or _tensor_misfits(reference, other, same_layers)


def _tensor_misfits(reference: Contents, other: Contents, same_layers: bool) -> list[str]:
    """Missing and extra tensors, and other shapes, once for all layers where layers are not compared one by one."""

    def patterns(contents: Contents) -> dict[str, TensorFacts]:
        if same_layers:
            return dict(contents.tensors)
        return {pattern_of(name): facts for name, facts in contents.tensors.items()}

    mine, theirs = patterns(reference), patterns(other)
    found = []
    for lacking, having, words in ((mine, theirs, "has"), (theirs, mine, "lacks")):
        missing = [name for name in having if name not in lacking and name not in HEADS]
        if missing:
            more = f" and {len(missing) - 1} more tensors" if len(missing) > 1 else ""
            found.append(f"It {words} tensor {missing[0]}{more}, unlike {reference.name}.")
    for name, facts in mine.items():
        if name in theirs and not is_table(name) and theirs[name].shape != facts.shape:
            found.append(
                f"Its tensor {name} is {_dims(theirs[name].shape)}, where {reference.name} has {_dims(facts.shape)}."
            )
            break
    return found


def differences(reference: Contents, other: Contents) -> list[str]:
    """What doesn't stand against a merge, but should be known, each in a sentence about `other`."""
    found = []
    if reference.tied != other.tied:
        tied, untied = (reference, other) if reference.tied else (other, reference)
        found.append(
            f"{tied.name} uses its embedding as the head and {untied.name} has a head of its own, so the result has one too."
        )
    thetas = [rope_theta_of(contents.config) if contents.shape is not None else None for contents in (reference, other)]
    if thetas[0] != thetas[1]:
        found.append(f"The positions of {other.name} turn at another rate (rope theta {thetas[1]}, not {thetas[0]}).")
    for key in ("rms_norm_eps", "hidden_act", "activation_function", "sliding_window", "rope_scaling"):
        mine, theirs = reference.config.get(key), other.config.get(key)
        if mine != theirs and key in reference.config and key in other.config:
            found.append(f"{other.name} has {key} {theirs}, and {reference.name} {mine}; the result has the latter.")
    return found


def pattern_of(name: str) -> str:
    """The name without its layer's number."""
    place = layer_of(name)
    return name if place is None else f"{place[0]}.*.{place[2]}"


def _dims(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "a single number"
