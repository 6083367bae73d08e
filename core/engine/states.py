"""Objectives inside the models: the student's hidden states follow the teacher's through a learnt projection, or its attention relates
positions as the teacher's does.

Both models read the same packed blocks (B, T); documents are told apart by their positions, which begin at 0 again with each. What is
needed is caught by forward hooks on the modules that `families` names, so nothing but the forward pass is asked of the models. Shapes: B
blocks, T positions, H channels of the residual stream, W channels of all queries (or keys, or values) together, A relation heads, n
rows that are learnt.

What is learnt beside the student (`attach`) is a submodule of it named `stillroom_projections` while it trains, so that optimizer,
checkpoints and several processes treat it as they treat the student; `drop` takes it out of the finished one. A checkpoint's
`from_pretrained` passes over these weights; `restore` reads them back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from transformers import PreTrainedModel

from core.engine.families import FAMILIES, Family, blocks_of
from core.engine.losses import forward_kl, wide
from core.errors import BadRecipe, Trouble
from core.files import read_json

PROJECTIONS = "stillroom_projections"


def attach(student: PreTrainedModel, name: str, module: nn.Module) -> nn.Module:
    """Make `module` part of what is trained with the student, on its device and in its precision."""
    if not hasattr(student, PROJECTIONS):
        student.add_module(PROJECTIONS, nn.ModuleDict())
    weight = next(student.parameters())
    getattr(student, PROJECTIONS)[name] = module.to(weight.device, weight.dtype)
    return module


def drop(student: PreTrainedModel) -> None:
    """Take what was attached out of the student, which is then as its architecture says. Nothing to take out is fine."""
    if hasattr(student, PROJECTIONS):
        delattr(student, PROJECTIONS)


def restore(student: PreTrainedModel, checkpoint: Path) -> None:
    """Load what is attached from a checkpoint that `save_pretrained` wrote; Trouble if it is not all there, or of another shape."""
    attached = getattr(student, PROJECTIONS, None)
    if attached is None:
        return
    wanted = {f"{PROJECTIONS}.{name}": tensor for name, tensor in attached.state_dict().items()}
    found = _tensors(checkpoint, wanted)
    for name, tensor in wanted.items():
        if name not in found or found[name].shape != tensor.shape:
            what = "has no" if name not in found else f"is of shape {tuple(found[name].shape)} for"
            raise Trouble(
                f"The checkpoint {checkpoint} {what} {name}, a projection of shape {tuple(tensor.shape)}.",
                "It is of another recipe or damaged: resume from an older checkpoint, or run it again.",
            )
    attached.load_state_dict({name.removeprefix(f"{PROJECTIONS}."): tensor for name, tensor in found.items()})


def _tensors(folder: Path, names: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Those of `names` that the weights of a model folder hold."""
    index = folder / "model.safetensors.index.json"
    files = sorted(set(read_json(index)["weight_map"].values())) if index.is_file() else ["model.safetensors"]
    found = {}
    for file in files:
        with safe_open(folder / file, framework="pt") as weights:
            found.update({name: weights.get_tensor(name) for name in set(names) & set(weights.keys())})
    return found


class StateGuide:
    """What the teacher's hidden states and attention relations say of the student's.

        guide = StateGuide(student, teacher, hidden=True, relations=True)
        with guide.watching():
            student(...)
            with torch.no_grad():
                teacher(...)
        parts = guide.losses(position_ids_BT, counted_BT)   # {"hidden": Σ, "relations": Σ}, to be divided by the step's rows

    BadRecipe for an architecture that `families` doesn't know. `student` and `teacher` are the models themselves, not a wrapper for
    several processes around them.
    """

    def __init__(self, student: PreTrainedModel, teacher: PreTrainedModel, hidden: bool, relations: bool) -> None:
        self.student, self.teacher = student, teacher
        self.hidden, self.relations = hidden, relations
        self._watchers = [_Watcher(model, hidden, relations) for model in (student, teacher)]
        if hidden:
            widths = student.config.hidden_size, teacher.config.hidden_size
            projection = nn.Linear(*widths, bias=False)
            if widths[0] == widths[1]:
                nn.init.eye_(projection.weight)
            attach(student, "hidden", projection)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Catch what both models compute in here; the last forward pass of each counts."""
        with ExitStack() as stack:
            for watcher in self._watchers:
                stack.enter_context(watcher.watching())
            yield

    def losses(self, position_ids_BT: torch.Tensor, counted_BT: torch.Tensor) -> dict[str, torch.Tensor]:
        """The sums over the rows of `counted_BT` of what was caught, which is let go.

        Relations are the sum of those of queries, keys and values. Gradients flow into the student and the projection.
        """
        student, teacher = (watcher.take() for watcher in self._watchers)
        parts = {}
        if self.hidden:
            project = getattr(self.student, PROJECTIONS)["hidden"]
            parts["hidden"] = hidden_loss(student.blocks, teacher.blocks, project, counted_BT)
        if self.relations:
            with torch.no_grad():
                theirs = [x_BTW.to(position_ids_BT.device) for x_BTW in teacher.related()]
            most, seen_BTT = min(student.heads, teacher.heads), seen_positions(position_ids_BT)
            parts["relations"] = torch.stack(
                [
                    relation_loss(ours_BTW, theirs_BTW, most, seen_BTT, counted_BT)
                    for ours_BTW, theirs_BTW in zip(student.related(), theirs, strict=True)
                ]
            ).sum()
        return parts

    def drop(self) -> None:
        drop(self.student)

    def restore(self, checkpoint: Path) -> None:
        restore(self.student, checkpoint)


# ------------------------------------------------------------------------------------------------------- hidden states


def matched_layer(layer: int, student_layers: int, teacher_layers: int) -> int:
    """The teacher's block (from 0) for the student's block `layer`, spread evenly, the last to the last."""
    return max(1, math.floor((layer + 1) * teacher_layers / student_layers + 0.5)) - 1


def hidden_loss(
    student_states: list[torch.Tensor],
    teacher_states: list[torch.Tensor],
    project: Callable[[torch.Tensor], torch.Tensor],
    counted_BT: torch.Tensor,
) -> torch.Tensor:
    """Σ over rows of the mean over layers of ‖W·h_S − h_T‖² / ‖h_T‖².

    The squared error of TinyBERT (Jiao et al., arXiv 1909.10351, equation 8), with one W for all layers as there, but relative to the
    teacher's state in each row (ours): so it is about 1 a row for a projection that has learnt nothing, whatever the width, the layer and
    the few positions whose states are hundreds of times as large as the others'. States are those of the residual stream after each
    block: (B, T, H_S) for every block of the student, (B, T, H_T) for every block of the teacher.
    """
    total = torch.zeros((), device=counted_BT.device)
    for layer, states_BTH in enumerate(student_states):
        match_BTH = teacher_states[matched_layer(layer, len(student_states), len(teacher_states))]
        theirs_nH = wide(match_BTH.detach().to(states_BTH.device)[counted_BT])
        error_nH = wide(project(states_BTH[counted_BT])) - theirs_nH
        total = total + (error_nH.square().sum(-1) / theirs_nH.square().sum(-1).clamp(min=1e-12)).sum()
    return total / len(student_states)


# ----------------------------------------------------------------------------------------------------------- relations


def seen_positions(position_ids_BT: torch.Tensor) -> torch.Tensor:
    """True at [b, t, u] if u is a position of the document of t that is not later than t. (B, T, T)"""
    document_BT = (position_ids_BT == 0).cumsum(-1)
    same_BTT = document_BT[:, :, None] == document_BT[:, None, :]
    return same_BTT.tril()


def relation_heads(student_width: int, teacher_width: int, most: int) -> int:
    """The largest number of heads, up to `most`, that both widths can be split into evenly."""
    common = math.gcd(student_width, teacher_width)
    return max(heads for heads in range(1, most + 1) if common % heads == 0)


def relation_loss(
    student_BTW: torch.Tensor, teacher_BTW: torch.Tensor, most: int, seen_BTT: torch.Tensor, counted_BT: torch.Tensor
) -> torch.Tensor:
    """Σ over rows of the mean over relation heads of KL(R_T ‖ R_S), R = softmax(x·xᵀ/√(W/A)) over the positions that are seen.

    Wang et al., "MiniLMv2" (arXiv 2012.15828), section 3.1, equations 3 to 6, of queries, keys or values x whose heads were joined and are
    split into A relation heads anew, A as `relation_heads` says: so heads and widths may differ. There the relations are over all
    positions of a text; a causal model's are over those that it sees.
    """
    heads = relation_heads(student_BTW.shape[-1], teacher_BTW.shape[-1], most)
    log_q_mT = _relations(student_BTW, heads, seen_BTT, counted_BT)
    with torch.no_grad():
        log_p_mT = _relations(teacher_BTW, heads, seen_BTT, counted_BT)
    return forward_kl(log_q_mT, log_p_mT) / heads


def _relations(x_BTW: torch.Tensor, heads: int, seen_BTT: torch.Tensor, counted_BT: torch.Tensor) -> torch.Tensor:
    """The logarithms of the relations of all heads of the counted rows: (n · A, T), −∞ where nothing is seen."""
    x_BATD = wide(x_BTW).unflatten(-1, (heads, -1)).transpose(1, 2)
    scores_BATT = x_BATD @ x_BATD.transpose(-1, -2) / math.sqrt(x_BATD.shape[-1])
    scores_BATT = scores_BATT.masked_fill(~seen_BTT[:, None], -math.inf)
    return scores_BATT.transpose(1, 2)[counted_BT].flatten(0, 1).log_softmax(-1)


# ------------------------------------------------------------------------------------------------------------ watching


class _Watcher:
    """Catches the outputs of a model's blocks, and what enters the last attention."""

    def __init__(self, model: PreTrainedModel, blocks: bool, attention: bool) -> None:
        self.family = _family_of(model)
        self.modules = blocks_of(model, self.family)
        self.last = self.modules[-1]
        self.heads, self.head_width = _heads(model.config)
        self.watched = dict(enumerate(self.modules if blocks else []))
        self.projections = (
            {name: self.last.get_submodule(name) for name in self.family.projections} if attention else {}
        )
        self._caught: dict[int | str, torch.Tensor] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        self._caught = {}
        handles = [module.register_forward_hook(self._catch(key)) for key, module in self.watched.items()]
        handles += [module.register_forward_hook(self._catch(key)) for key, module in self.projections.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _catch(self, key: int | str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self._caught[key] = output[0] if isinstance(output, tuple) else output

        return hook

    def take(self) -> _Caught:
        """What was caught, once."""
        caught, self._caught = self._caught, {}
        missing = [key for key in (*self.watched, *self.projections) if key not in caught]
        if missing:
            raise RuntimeError(f"the model was not run while it was watched, or not through {missing}")
        return _Caught(self, [caught[key] for key in self.watched], [caught[key] for key in self.projections])


class _Caught:
    """One forward pass: `blocks` (B, T, H) of each block; `related()` the queries, keys and values (B, T, W) of the last attention."""

    def __init__(self, watcher: _Watcher, blocks: list[torch.Tensor], projected: list[torch.Tensor]) -> None:
        self.watcher, self.blocks, self.projected = watcher, blocks, projected
        self.heads = watcher.heads

    def related(self) -> list[torch.Tensor]:
        """As the attention compares them, but before rotary positions are put in; after the norms over each head where there are
        such (Qwen 3, Gemma 3), for they set the scale."""
        family, width = self.watcher.family, self.watcher.head_width
        axis = next(iter(family.projections.values()))
        if axis == "thirds":
            parts = list(self.projected[0].chunk(3, dim=-1))
        elif axis == "triples":
            each_BTATD = self.projected[0].unflatten(-1, (self.heads, 3, width))
            parts = [part.flatten(-2) for part in each_BTATD.unbind(-2)]
        else:
            parts = list(self.projected)
        for number, name in enumerate(family.head_norms):
            norm = self.watcher.last.get_submodule(name)
            parts[number] = norm(parts[number].unflatten(-1, (-1, width))).flatten(-2)
        return parts


def _family_of(model: PreTrainedModel) -> Family:
    model_type = model.config.model_type
    if model_type not in FAMILIES:
        raise BadRecipe(
            f"Hidden states and attention relations can't be followed in a model of architecture {model_type!r}: its parts are not known here.",
            f"Known are {', '.join(FAMILIES)}. Choose another objective, and leave the weights of hidden states and relations at 0.",
        )
    return FAMILIES[model_type]


def _heads(config: Any) -> tuple[int, int]:
    """Query heads, and the channels of one."""
    heads = int(config.num_attention_heads)
    return heads, int(getattr(config, "head_dim", None) or config.hidden_size // heads)
