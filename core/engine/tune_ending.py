"""The end of a tuning: the result saved, loaded again as its user would, measured, merged and copied."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from core.adapters import read_adapter
from core.engine.adapters import merge
from core.engine.models import copy_student, save_student
from core.engine.scoring import score
from core.engine.session import Session
from core.engine.tune_card import lineage, model_card
from core.engine.tune_desk import Desk, Evaluator
from core.engine.tune_models import inner, learnt_parameters, load_tuned, save_adapter
from core.errors import Trouble
from core.journal import read_journal
from core.models import inspect_model
from core.state import fold
from core.tune import TuneRecipe


def finish(session: Session, recipe: TuneRecipe, desk: Desk, evaluator: Evaluator) -> dict[str, Any]:
    """Save the result, load it again as its user would, and measure that; then merge and copy as asked."""
    bench = desk.bench
    assert bench.blocks is not None
    assert evaluator.last is not None
    session.phase("saving")
    folder = session.artifacts / "student"
    results: dict[str, Any] = {
        "student": str(folder),
        "adapter": str(folder) if recipe.adapts else None,
        "method": recipe.method,
        "objective": recipe.objective,
        "parameters": desk.parameters,
        "learnt_parameters": learnt_parameters(desk.model),
        "teacher_parameters": bench.teacher_parameters,
        "rows": len(bench.train),
        "held_out_rows": len(bench.held_out),
        "tokens": bench.blocks.tokens,
        "steps": session.step,
        "seconds": fold(read_journal(session.run.journal)).steps[-1].seconds,
        "before": evaluator.first,
        "after": evaluator.last[1],
        "teacher": bench.teacher_metrics,
        "samples": evaluator.before_and_after(session.step),
    }
    ended, asked = evaluator.ended
    results["answers_ended"] = ended if asked else None
    if asked and not ended:
        session.notice(
            f"None of the {asked} sample answers came to its end within {recipe.new_tokens} tokens. Train longer, or, if the end token was never "
            "trained in this model, choose another template (--template) or the method full.",
            "warning",
        )
    _save(session, recipe, desk, folder, results)
    session.phase("checking the result")
    results["saved"] = _check(recipe, desk, evaluator, folder)
    if recipe.adapts and recipe.merge:
        _merge(session, recipe, folder, results)
    if recipe.out is not None:
        session.phase("copying the result", recipe.out)
        copy_student(folder, Path(recipe.out), session.run.id)
        results["out"] = recipe.out
    return results


def _save(session: Session, recipe: TuneRecipe, desk: Desk, folder: Path, results: dict[str, Any]) -> None:
    bench = desk.bench
    cards = {
        "README.md": model_card(session.run.id, recipe, results),
        "stillroom.json": lineage(session.run.id, recipe, results, bench.framing),
        "recipe.json": recipe.model_dump_json(indent=2),
    }
    if isinstance(desk.model, PeftModel):
        save_adapter(desk.model, bench.tokenizer, desk.speaking, folder, cards, bench.source)
        return
    source = bench.source if (bench.source / "generation_config.json").exists() else None
    stored = inspect_model(bench.source, recipe.allow_remote_code).dtypes
    dtype = {"BF16": torch.bfloat16, "F16": torch.float16}.get(stored[0] if stored else "F32", torch.float32)
    desk.model.requires_grad_(False)
    save_student(desk.model, bench.tokenizer, desk.speaking, dtype, folder, cards, source)


def _check(recipe: TuneRecipe, desk: Desk, evaluator: Evaluator, folder: Path) -> dict[str, float | None]:
    """The saved result's figures; Trouble if it reads otherwise than the model that was trained."""
    bench = desk.bench
    pairs = desk.held_out_pairs is not None
    wanted = score(inner(desk.model), bench.held_out, bench.framing, bench.length, bench.device).metrics()["ce"]
    if recipe.method == "qlora":
        return {"ce": wanted}  # the base would be needed in 4 bits again
    # the memory of the trained one, for the one that is loaded
    desk.model = torch.nn.Module()  # type: ignore[assignment]
    evaluator.lesson = None  # type: ignore[assignment]
    gc.collect()
    again = load_tuned(folder, recipe, bench.device, bench.dtype)
    saved = score(again, bench.held_out, bench.framing, bench.length, bench.device).metrics()
    found = saved["ce"]
    if wanted is None or found is None or not abs(wanted - found) <= 0.02 + 0.01 * abs(wanted):  # NaN is no agreement
        raise Trouble(
            f"The saved result reads the held-out rows with {found} nats a token, the trained one with {wanted}.",
            f"Don't use {folder}; the last checkpoint is good. Please report this.",
        )
    return {"ce": found} if pairs else saved


def _merge(session: Session, recipe: TuneRecipe, folder: Path, results: dict[str, Any]) -> None:
    session.phase("merging the adapter", Path(recipe.model).name)
    merged = session.artifacts / "merged"
    cards = {
        name: (folder / name).read_text(encoding="utf-8") for name in ("README.md", "stillroom.json", "recipe.json")
    }
    merge(Path(recipe.model), [(read_adapter(folder), 1.0)], merged, "float32", session.progress, cards)
    results["merged"] = str(merged)
    if recipe.merged_out is not None:
        session.phase("copying the merged model", recipe.merged_out)
        copy_student(merged, Path(recipe.merged_out), session.run.id)
        results["merged_out"] = recipe.merged_out
