"""The student shared out over the processes: each keeps a part of its weights, gradients and moments (FSDP2).

Zhao et al. 2023, "PyTorch FSDP" (arXiv 2304.11277), in torch's second form, `fully_shard`. A layer's weights are gathered when it computes
and dropped after it; its gradients are averaged and kept in parts. Arithmetic, checkpoints and the finished student are those of a student
that is not shared out: checkpoints are written whole, so that a run goes on with any number of processes, shared out or not.

accelerate shares models out on GPUs only and writes checkpoints of its own form, so the Trainer is told that the model looks after this
itself, which it provides for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from core.distill import WRITES_WHOLE, DistillRecipe
from core.engine.session import Session
from core.engine.trainer import DistillTrainer
from core.errors import BadRecipe


def shares_out(session: Session, recipe: DistillRecipe) -> bool:
    """True if the recipe and the processes at hand ask for it. BadRecipe where it can't be."""
    if recipe.strategy != "fsdp" or session.peers.count == 1:
        return False
    if recipe.must_be_whole:
        raise BadRecipe(WRITES_WHOLE, "Choose ddp.")
    return True


def share_out(student: PreTrainedModel, processes: int) -> None:
    """Share the parameters out in place: one group for each layer, one for the rest (embeddings, last norm, head)."""
    mesh = init_device_mesh(student.device.type, (processes,))
    layers = max((each for each in student.modules() if isinstance(each, nn.ModuleList)), key=len)
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(student, mesh=mesh)


@contextlib.contextmanager
def whole(student: PreTrainedModel) -> Iterator[dict[str, torch.Tensor]]:
    """All weights in every process for a while, by name. All processes must enter; inside, one may use the student alone."""
    names = list(student.state_dict())
    parts = [module for module in student.modules() if isinstance(module, FSDPModule)]
    student.set_reshard_after_forward(False, recurse=True)
    for part in parts:
        part.unshard()
    try:
        weights = dict(student.named_parameters(remove_duplicate=False)) | dict(student.named_buffers())
        yield {name: weights[name].detach() for name in names}
    finally:
        for part in parts:
            part.reshard()
        student.set_reshard_after_forward(True, recurse=True)


def whole_again(student: PreTrainedModel) -> PreTrainedModel:
    """The trained student as any other model, on the same device; what only training needed is left behind."""
    with whole(student) as weights:
        plain = AutoModelForCausalLM.from_config(student.config, dtype=torch.float32).to(student.device)
        own = plain.state_dict()
        plain.load_state_dict({name: weights[name] for name in own})
    return plain.eval()


class SharedTrainer(DistillTrainer):
    """The same training with a student that is shared out."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.is_distributed_loading_by_transformers = True  # so that it is neither wrapped in DDP nor shared out again
        self.model._is_fsdp_managed_module = True

    @contextlib.contextmanager
    def _defer_fsdp_gradient_reduction(self) -> Iterator[None]:
        """Gradients are exchanged once a step, after its last micro-batch."""
        self.model.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            self.model.set_requires_gradient_sync(True)

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        with whole(self.model):
            return super().evaluate(*arguments, **named)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        with whole(self.model) as weights:
            if self.session.peers.main:
                self.model.save_pretrained(output_dir or self.args.output_dir, state_dict=weights)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        kept = self.optimizer.state_dict()
        states = {}
        for number, state in kept["state"].items():
            gathered = {name: _gathered(value) for name, value in state.items()}
            if self.session.peers.main:
                states[number] = {name: _on_cpu(value) for name, value in gathered.items()}
        if self.session.peers.main:
            torch.save({**kept, "state": states}, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        weights: dict[str, torch.Tensor] = {}
        for file in Path(resume_from_checkpoint).glob("*.safetensors"):
            weights |= load_file(file)
        options = StateDictOptions(full_state_dict=True, strict=False)  # a tied head is written once
        set_model_state_dict(self.model, weights, options=options)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        for parameter, state in self.optimizer.state.items():
            for name, value in state.items():
                if torch.is_tensor(value) and value.shape == parameter.shape and not isinstance(value, DTensor):
                    state[name] = distribute_tensor(value, parameter.device_mesh, parameter.placements)


def _gathered(value: Any) -> Any:
    return value.full_tensor() if isinstance(value, DTensor) else value


def _on_cpu(value: Any) -> Any:
    return value.cpu() if torch.is_tensor(value) else value
