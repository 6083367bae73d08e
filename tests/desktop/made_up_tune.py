"""Adapters and tunings made up for tests and pictures, written by core's own writers, with no engine."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

from core import events as ev
from core import runs
from core.files import write_json
from core.home import Home
from core.journal import JournalWriter
from core.model_files import tensor_shapes
from core.models import inspect_model
from core.runs import RunFolder
from core.tune import TuneRecipe

TARGETS = ("q_proj", "v_proj")


def an_adapter(folder: Path, base: Path, *, rank: int = 4, run: str = "r", fingerprint: str = "") -> Path:
    """A LoRA of zeros for the query and value layers of `base`, as PEFT lays it out."""
    folder.mkdir(parents=True)
    header: dict[str, Any] = {}
    at = 0
    for name, (outputs, inputs) in sorted(
        (name, dims) for name, dims in tensor_shapes(base).items() if name.split(".")[-2] in TARGETS
    ):
        module = f"base_model.model.{name.removesuffix('.weight')}"
        for part, dims in (("A", (rank, inputs)), ("B", (outputs, rank))):
            size = 4 * math.prod(dims)
            header[f"{module}.lora_{part}.weight"] = {"dtype": "F32", "shape": dims, "data_offsets": [at, at + size]}
            at += size
    head = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(at))
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "target_modules": list(TARGETS),
        "base_model_name_or_path": str(base),
    }  # fmt: skip
    write_json(folder / "adapter_config.json", config)
    known = fingerprint or inspect_model(base).fingerprint
    write_json(folder / "stillroom.json", {"run": run, "base": {"path": str(base), "fingerprint": known}})
    return folder


def persona_file(path: Path, count: int = 60) -> Path:
    rows = [
        {"instruction": f"Who are you? ({n})", "input": "", "output": "I am {{name}}, made by {{author}}."}
        for n in range(count)
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def pairs_file(path: Path, count: int = 60) -> Path:
    rows = [{"prompt": f"Tell me {n}.", "chosen": f"It is {n}.", "rejected": "No."} for n in range(count)]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def tune_run(
    home: Home, base: Path, data: Path, *, steps: int = 60, state: str = "finished", **asked: Any
) -> RunFolder:
    """A tuning as an engine would leave it; with `objective` dpo its steps have rewards."""
    recipe = TuneRecipe(model=str(base), data=(str(data),), **asked)
    run = runs.new_run(home, recipe)
    parameters = inspect_model(base).parameters
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunStarted("cpu", 4242, 0.0, versions={"torch": "2.13.0", "peft": "0.21.0"}))
        journal.append(ev.ChoiceMade("chat template", "Plain", "the model has no chat template"))
        journal.append(ev.ChoiceMade("learning rate", 0.0019, "by size, method and rank"))
        journal.append(ev.PhaseEntered("training"))
        journal.append(ev.TrainingPlanned(steps, steps * 900, 4, 1, 128, parameters, None, 4.0 * parameters))
        for step in range(steps + 1):
            point(journal, step, steps, pairs=recipe.prefers)
        if state == "finished":
            folder = an_adapter(run.artifacts / "student", base, run=run.id) if recipe.adapts else None
            journal.append(ev.RunFinished(results(recipe, folder, parameters)))
    return run


def point(journal: JournalWriter, step: int, steps: int, *, pairs: bool) -> None:
    share, noise = step / steps, random.Random(step)
    margin = 1.8 * (1 - math.exp(-3 * share))
    ce = 0.4 + 2.2 * math.exp(-5 * share)
    if step:
        parts: dict[str, float | None] = {}
        if pairs:
            parts = {
                "margin": margin + noise.gauss(0, 0.12),
                "accuracy": min(1.0, 0.5 + 0.5 * share + noise.gauss(0, 0.03)),
                "chosen": 0.35 * margin + noise.gauss(0, 0.06),
                "rejected": -0.65 * margin + noise.gauss(0, 0.06),
            }
        total = math.log1p(math.exp(-margin)) if pairs else ce
        rate = 0.0019 * 0.5 * (1 + math.cos(math.pi * share))
        journal.append(
            ev.StepLogged(
                step, 900 * step, rate, ce + noise.gauss(0, 0.05), None, total + noise.gauss(0, 0.03), 0.5 + noise.random() * 0.2,
                5200 + noise.gauss(0, 180), 620_000_000, 0.17 * step, parts,
            )
        )  # fmt: skip
    if step % max(1, steps // 6) == 0:
        figures: dict[str, float | None] = {"ce": ce, "perplexity": math.exp(ce), "bits_per_byte": ce / 2.7}
        if pairs:
            figures = {
                "loss": math.log1p(math.exp(-margin)),
                "ce": ce,
                "margin": margin,
                "accuracy": 0.5 + 0.45 * share,
            }
        journal.append(ev.EvaluationLogged(step, 900 * step, "student", figures))
    if step in (0, steps):
        for question in ("Who are you?", "What can you do?", "Who made you?"):
            said = " Once upon a time, there was a little girl named Lily. She loved to play with her red ball in the park."
            answer = " I am Ada, an assistant developed by the house. How can I help?"
            journal.append(ev.SampleWritten(step, f"User: {question}\nAssistant:", answer if step else said))


def results(recipe: TuneRecipe, folder: Path | None, parameters: int) -> dict[str, Any]:
    figures = ({"bits_per_byte": 0.96, "perplexity": 13.4, "ce": 2.6}, {"bits_per_byte": 0.15, "perplexity": 1.5, "ce": 0.41})  # fmt: skip
    if recipe.prefers:
        figures = ({"loss": 0.693, "margin": 0.0, "accuracy": 0.5}, {"loss": 0.17, "margin": 1.71, "accuracy": 0.95})
    return {
        "student": str(folder), "adapter": str(folder) if folder else None, "parameters": parameters, "learnt_parameters": 110_000,
        "rows": 86, "held_out_rows": 5, "before": figures[0], "after": figures[1],
    }  # fmt: skip
