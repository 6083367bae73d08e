"""A tuning from its recipe to the finished adapter or model.

The story, top to bottom: load the model, settle how it speaks, read the data, put the adapter on, measure, rehearse the worst batch, train,
save, check. Steps, losses, checkpoints and the brake are those of distillation: supervised tuning is a lesson without a teacher, or with one;
preferences are a lesson of their own (`tune_pairs`). Run it through the engine's door: `python -m core.engine RUN_FOLDER`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from core import tune_proposals
from core.adapters import base_of, read_adapter
from core.engine import checkpoints
from core.engine.bench import Bench
from core.engine.lesson import AtHand, Lesson
from core.engine.models import compute_dtype, load_model, load_tokenizer, refuse_to_overwrite
from core.engine.reading import TOKENS
from core.engine.rehearsal import rehearse
from core.engine.session import Session
from core.engine.text import Blocks, keeps_documents_apart, refuse_tokens_beyond
from core.engine.trainer import DistillTrainer
from core.engine.training import arguments_for, say_plan, seconds_so_far, settle_rate, train_to_the_end
from core.engine.tune_data import CountedBlocks
from core.engine.tune_desk import REFERENCE_AT_ONCE, Desk, Evaluator
from core.engine.tune_ending import finish
from core.engine.tune_models import (
    inner,
    learnt_parameters,
    load_base,
    put_adapter_on,
)
from core.engine.tune_pairs import (
    REFERENCE,
    PairLesson,
    Pairs,
    PairTrainer,
    ask_reference,
    kept_reference,
)
from core.engine.tune_reading import FACTS, read_data, speaker_folder
from core.engine.watching import Watcher
from core.law import training_flops
from core.models import inspect_model
from core.runs import RunFolder
from core.tune import EPOCHS, TuneRecipe

SIDES = ("train", "held-out")


def run(session: Session) -> dict[str, Any]:
    """Do the whole run (or the rest of it); returns the figures for `RunFinished`."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    recipe = session.recipe
    assert isinstance(recipe, TuneRecipe)
    for place in (recipe.out, recipe.merged_out):
        if place is not None:
            refuse_to_overwrite(Path(place), session.run.id)
    torch.manual_seed(recipe.seed)

    desk = set_up(session, recipe)
    arrange(session, recipe, desk)
    lesson = make_lesson(session, recipe, desk)
    plan(session, recipe, desk, lesson)
    evaluator = Evaluator(session, recipe, desk, lesson)
    if desk.bench.resumed is None:
        evaluator(0, 0)
    watcher = Watcher(session, recipe)
    train(session, recipe, desk, lesson, evaluator, watcher)
    results = finish(session, recipe, desk, evaluator)
    watcher.student(session.step, Path(results["student"]))
    return results


def tidy(run: RunFolder) -> None:
    """Remove what a finished run needs no more."""
    shutil.rmtree(run.path / TOKENS, ignore_errors=True)
    (run.path / FACTS).unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------- before training


def set_up(session: Session, recipe: TuneRecipe) -> Desk:
    """Model, tokenizer with its template, tokens, and the adapter."""
    session.phase("loading", Path(recipe.model).name)
    folder = Path(recipe.model)
    if recipe.adapter is not None:
        base_of(read_adapter(Path(recipe.adapter)), folder, recipe.allow_remote_code)
    dtype, why = compute_dtype(session.device, recipe.precision)
    session.choose("precision", str(dtype).removeprefix("torch."), why)
    tokenizer = load_tokenizer(speaker_folder(recipe), recipe.allow_remote_code)
    base = load_base(session, recipe, dtype)
    framing, corpora, length, ends = read_data(session, recipe, tokenizer, base)
    newest = checkpoints.newest(session.run.checkpoints)
    session.step = newest[0] if newest else 0
    info = inspect_model(folder, recipe.allow_remote_code)
    model = put_adapter_on(session, recipe, base) if recipe.adapts else base
    if recipe.gradient_checkpointing:
        getattr(base, "activation_checkpointing_enable", base.gradient_checkpointing_enable)()
        if recipe.adapts:
            base.enable_input_require_grads()  # else nothing that is checkpointed would have a gradient
    teacher, known = None, None
    if recipe.teacher is not None:
        session.phase("loading", f"teacher {Path(recipe.teacher).name}")
        teacher = load_model(Path(recipe.teacher), session.device, dtype, recipe.allow_remote_code)
        known = inspect_model(Path(recipe.teacher), recipe.allow_remote_code)
    highest = max(int(corpus.ids.max()) for corpus in corpora.values())
    for reader, name in ((base, "the model"), (teacher, "the teacher")):
        if reader is not None:
            refuse_tokens_beyond(reader.get_input_embeddings().weight.shape[0], highest, tokenizer, name)
    bench = Bench(
        session.device,
        dtype,
        folder,
        tokenizer,
        teacher,
        known.parameters if known else None,
        known.non_embedding_parameters if known else None,
        framing,
        corpora["train"],
        corpora["held-out"],
        length,
        newest,
    )
    worse = {side: corpora[f"{side}-worse"] for side in SIDES if f"{side}-worse" in corpora}
    counts = info.parameters, info.non_embedding_parameters
    return Desk(bench, model, *counts, ends, {side: corpora[side] for side in SIDES}, worse)


def arrange(session: Session, recipe: TuneRecipe, desk: Desk) -> None:
    """Settle the batch, and put the rows into the blocks of every step."""
    bench = desk.bench
    pad = bench.tokenizer.pad_token_id
    if pad is None or pad >= inner(desk.model).get_input_embeddings().weight.shape[0]:
        pad = 0
    apart = keeps_documents_apart(inner(desk.model))
    packed = recipe.packing and apart and not recipe.prefers
    if recipe.packing and not apart and not recipe.prefers:
        session.notice(
            "This architecture lets a row see the one before it in the same block, so each block holds one row."
        )
    rows = len(bench.train)
    in_an_epoch = max(1, round(bench.train.tokens / bench.length)) if packed else rows
    bench.per_step, why = tune_proposals.batch(recipe, in_an_epoch)
    bench.share = bench.per_step
    unit = "pairs" if recipe.prefers else "packed blocks" if packed else "rows"
    session.choose(f"{unit} in a step", bench.per_step, why)
    bench.blocks = _pairs(recipe, desk, pad) if recipe.prefers else _blocks(recipe, bench, pad, alone=not packed)  # type: ignore[assignment]
    assert bench.blocks is not None
    session.choose("epochs", round(bench.blocks.epochs, 2), f"{len(bench.blocks)} {unit}, {bench.blocks.tokens} tokens")


def _blocks(recipe: TuneRecipe, bench: Bench, pad: int, *, alone: bool) -> Blocks:
    if recipe.steps is not None:
        return CountedBlocks(bench.train, bench.length, recipe.steps, bench.per_step, recipe.seed, pad, alone)
    tokens = recipe.tokens or round((recipe.epochs or EPOCHS) * bench.train.tokens)
    return Blocks(bench.train, bench.length, tokens, bench.per_step, recipe.seed, pad, alone)


def _pairs(recipe: TuneRecipe, desk: Desk, pad: int) -> Pairs:
    bench = desk.bench
    better, worse = desk.corpora["train"], desk.worse["train"]
    mean = (better.tokens + worse.tokens) / len(better)
    wanted = recipe.tokens / mean if recipe.tokens else (recipe.epochs or EPOCHS) * len(better)
    steps = recipe.steps or max(1, round(wanted / bench.per_step))
    held = desk.corpora["held-out"]
    desk.held_out_pairs = Pairs(held, desk.worse["held-out"], len(held), 0, pad, order=np.arange(len(held)))
    return Pairs(better, worse, steps * bench.per_step, recipe.seed, pad)


def make_lesson(session: Session, recipe: TuneRecipe, desk: Desk) -> Lesson | PairLesson:
    bench = desk.bench
    assert bench.blocks is not None
    told = recipe.as_distillation(bench.blocks.tokens)
    if recipe.prefers:
        reference = None if recipe.objective == "orpo" else _references(session, recipe, desk)
        return PairLesson(told, inner(desk.model), recipe.beta, reference)
    guide = None if bench.teacher is None else AtHand([bench.teacher], (), "mean")
    return Lesson(told, inner(desk.model), guide)


def _references(session: Session, recipe: TuneRecipe, desk: Desk) -> np.ndarray:
    """What the reference says of every pair: the teacher, or the model as it is now, at the start; kept for every resumption."""
    kept = session.run.path / TOKENS
    both = kept_reference(kept)
    if both is None:
        pairs, held = desk.bench.blocks, desk.held_out_pairs
        assert isinstance(pairs, Pairs)
        assert held is not None
        session.phase("asking the reference", f"{len(set(pairs.order.tolist()))} pairs")
        asked = desk.bench.teacher or inner(desk.model)
        wanted = np.unique(pairs.order)
        said = [
            ask_reference(asked, each, places, REFERENCE_AT_ONCE, desk.bench.dtype, session.progress)
            for each, places in ((pairs, wanted), (held, held.order))
        ]
        both = np.concatenate(said)
        beside = kept / f".{REFERENCE}"
        with beside.open("wb") as stream:
            np.save(stream, both)
        beside.replace(kept / REFERENCE)
    desk.bench.let_teacher_go()
    count = len(desk.corpora["train"])
    desk.held_out_reference = both[count:]
    return both[:count]


def plan(session: Session, recipe: TuneRecipe, desk: Desk, lesson: Lesson | PairLesson) -> None:
    """Settle the micro-batch, and say what the training will consist of."""
    bench = desk.bench
    learnt = learnt_parameters(desk.model)
    total, non_embedding = desk.parameters, desk.non_embedding_parameters
    session.choose("learnt weights", learnt, f"{learnt / total:.2%} of {total}")
    bench.micro = rehearse(session, lesson.recipe, bench, lesson)  # type: ignore[arg-type]
    # the frozen weights' own gradients, a third of the arithmetic, are not made
    flops = (2 / 3 if recipe.adapts else 1.0) * training_flops(non_embedding, 1, None)
    if bench.teacher_non_embedding and recipe.guided:
        flops += 2.0 * bench.teacher_non_embedding
    say_plan(session, bench, total, flops)


# ----------------------------------------------------------------------------------------------- training and its ends


def train(
    session: Session,
    recipe: TuneRecipe,
    desk: Desk,
    lesson: Lesson | PairLesson,
    evaluator: Evaluator,
    watcher: Watcher,
) -> None:
    """Train to the last step, and measure what came of it."""
    bench, told = desk.bench, lesson.recipe
    assert bench.blocks is not None
    rate = settle_rate(session, told, tune_proposals.learning_rate(recipe, desk.parameters))
    kind = PairTrainer if recipe.prefers else DistillTrainer

    def trainer() -> DistillTrainer:
        arguments = arguments_for(session, told, bench, rate)
        arguments.neftune_noise_alpha = recipe.neftune or None
        before = seconds_so_far(session)
        return kind(session, told, desk.model, lesson, bench.blocks, arguments, evaluator, before, watcher)  # type: ignore[arg-type]

    train_to_the_end(session, bench, desk.model, trainer)  # type: ignore[arg-type]
    if bench.resumed is not None and bench.resumed[0] == bench.steps:
        _take_up_weights(desk.model, bench.resumed[1])
    session.step = bench.steps
    evaluator(bench.steps, bench.blocks.tokens)


def _take_up_weights(model: PreTrainedModel | PeftModel, checkpoint: Path) -> None:
    """The weights of a run that was interrupted after its last step."""
    from safetensors.torch import load_file

    if isinstance(model, PeftModel):
        model.load_adapter(str(checkpoint), "default", is_trainable=True)
        return
    state = {name: tensor for file in checkpoint.glob("model*.safetensors") for name, tensor in load_file(file).items()}
    model.load_state_dict(state, strict=False)
    model.tie_weights()
