"""A model as an ONNX graph, by torch's own exporter: token ids and attention mask in, scores out, any batch and length."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from core.errors import BadModel

FILE = "model.onnx"


class _Scores(nn.Module):
    """The model without a cache and without anything but its scores."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits


def write_onnx(model: PreTrainedModel, folder: Path) -> None:
    """Write `model.onnx`, and its weights beside it where they are too large for one file. BadModel if the graph can't be captured."""
    ids_BT = torch.zeros(2, 8, dtype=torch.long)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Scores(model).eval(),
                (ids_BT, torch.ones_like(ids_BT)),
                str(folder / FILE),
                dynamo=True,
                input_names=["input_ids", "attention_mask"],
                output_names=["logits"],
                dynamic_shapes=(free, free),
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise BadModel(
            f"The graph of {model.config.model_type} can't be captured for ONNX: {reason[0]}",
            "Export it as gguf or hf instead.",
        ) from error
    model.config.save_pretrained(folder)
