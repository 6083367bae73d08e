"""A distillation from its recipe to the finished student.

The story, top to bottom: load the teacher, read the data, make the student, measure both, rehearse the worst batch, train, save, check.
Run it through the engine's door: `python -m core.engine RUN_FOLDER`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from core import defaults
from core import events as ev
from core.cache import read_manifest
from core.distill import DistillRecipe
from core.engine import checkpoints
from core.engine.bench import Bench, count_of
from core.engine.builders import build_student
from core.engine.card import lineage, model_card
from core.engine.lesson import Lesson
from core.engine.models import (
    compute_dtype,
    config_of,
    copy_student,
    load_model,
    load_tokenizer,
    refuse_to_overwrite,
    save_student,
)
from core.engine.reading import TOKENS, read_data
from core.engine.rehearsal import rehearse
from core.engine.sampling import continuation
from core.engine.scoring import score
from core.engine.session import Session
from core.engine.sharding import SharedTrainer, share_out, shares_out, whole_again
from core.engine.teaching import load_teacher, make_lesson
from core.engine.text import Blocks, collate, keeps_documents_apart
from core.engine.trainer import DistillTrainer
from core.engine.training import arguments_for, say_plan, seconds_so_far, settle_rate, train_to_the_end
from core.engine.watching import Watcher
from core.errors import BadRecipe, Trouble
from core.journal import read_journal
from core.law import training_flops
from core.models import inspect_model
from core.objectives import OBJECTIVES
from core.plan import has_weights
from core.runs import RunFolder
from core.shapes import config_for, count_parameters
from core.state import fold
from core.students import CUTS
from core.tokenizer import same_tokenizer

SAMPLE_TOKENS = 60


def run(session: Session) -> dict[str, Any]:
    """Do the whole run (or the rest of it); returns the figures for `RunFinished`."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    recipe = session.recipe
    assert isinstance(recipe, DistillRecipe)
    if recipe.out is not None:
        refuse_to_overwrite(Path(recipe.out), session.run.id)
    torch.manual_seed(recipe.seed)

    bench = set_up(session, recipe)
    student = make_student(session, recipe, bench)
    arrange_blocks(session, recipe, bench, student)
    lesson = make_lesson(session, recipe, bench, student)
    plan_training(session, recipe, bench, student, lesson)
    evaluator = Evaluator(session, bench, student)
    if bench.resumed is None:
        session.peers.by_main(lambda: evaluator(0, 0))
    watcher = Watcher(session, recipe)
    student = train(session, recipe, bench, lesson, evaluator, watcher)
    if not session.peers.main:
        return {}
    lesson.drop()
    results = finish(session, recipe, bench, student, evaluator)
    watcher.student(session.step, session.artifacts / "student")
    return results


# ---------------------------------------------------------------------------------------------------- before training


def set_up(session: Session, recipe: DistillRecipe) -> Bench:
    session.phase("loading", "tokenizer and teacher")
    device = session.device
    dtype, why = compute_dtype(device, recipe.precision)
    session.choose("precision", str(dtype).removeprefix("torch."), why)
    teacher_folder = Path(recipe.teacher) if recipe.teacher else None
    own = recipe.init == "existing" or teacher_folder is None
    source = Path(recipe.student) if own else teacher_folder
    assert source is not None
    same, reason = same_tokenizer(teacher_folder, source) if own and teacher_folder is not None else (True, "")
    translated = OBJECTIVES[recipe.objective].needs == "text"
    if recipe.guided and not same and not translated:
        raise BadRecipe(
            f"Teacher and student have different tokenizers: {reason}.",
            "Choose the objective gold or uld, which compare texts, or a student of the teacher's family.",
        )
    tokenizer = load_tokenizer(source, recipe.allow_remote_code)
    newest = session.peers.by_main(lambda: (checkpoints.newest(session.run.checkpoints) or [None])[0])
    resumed = None if newest is None else (newest, session.run.checkpoints / f"{checkpoints.PREFIX}{newest}")
    session.step = resumed[0] if resumed else 0
    # A control run asks the teacher how documents are framed, as the guided run does, so that both read the same tokens.
    wanted = teacher_folder is not None and (recipe.guided or (same and resumed is None))
    named = read_manifest(Path(recipe.cache)) if recipe.guided and recipe.source == "cache" and recipe.cache else None
    if named is not None and (resumed is not None or recipe.init not in CUTS):
        wanted = False  # its answers are there: a machine that could not hold it can use them
    teacher = load_teacher(session, recipe, teacher_folder, dtype) if wanted and teacher_folder else None
    known = inspect_model(teacher_folder, allow_remote_code=recipe.allow_remote_code) if teacher_folder else None
    asked = teacher if same else None
    if (
        asked is None and named is None and recipe.init == "existing" and resumed is None
    ):  # the student knows how it was trained
        asked = load_model(source, device, dtype, recipe.allow_remote_code)
    framing, train_corpus, held_out, length = read_data(session, recipe, tokenizer, asked, source, named)
    return Bench(
        device,
        dtype,
        source,
        tokenizer,
        teacher,
        known.parameters if known else None,
        known.non_embedding_parameters if known else None,
        framing,
        train_corpus,
        held_out,
        length,
        resumed,
        same_tokenizer=same,
    )


def make_student(session: Session, recipe: DistillRecipe, bench: Bench) -> PreTrainedModel:
    """The student in float32 on the device: from the newest checkpoint, from its folder, or built as the recipe says."""
    if bench.resumed is not None:
        step, folder = bench.resumed
        session.phase("loading the checkpoint", f"of step {step}")
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=recipe.allow_remote_code
        )
    elif recipe.init == "existing":
        session.phase("loading the student")
        model = load_model(Path(recipe.student), "cpu", torch.float32, recipe.allow_remote_code)
    else:
        session.phase("building the student", recipe.init)
        model = _built_by_main(session, recipe, bench)
    if recipe.gradient_checkpointing:
        # its name from transformers 5.23 on; the older one is deprecated there
        getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    model = model.to(bench.device).float().requires_grad_(True)
    session.peers.same_weights(model)
    return model


def _built_by_main(session: Session, recipe: DistillRecipe, bench: Bench) -> PreTrainedModel:
    """Built once; the other processes take its config, and later its weights."""
    models: list[PreTrainedModel] = []

    def build() -> dict[str, Any]:
        models.append(_built(session, recipe, bench))
        return json.loads(models[0].config.to_json_string(use_diff=False))

    config = session.peers.by_main(build)
    return models[0] if models else AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))


def _built(session: Session, recipe: DistillRecipe, bench: Bench) -> PreTrainedModel:
    assert recipe.init != "existing"
    config = config_of(bench.source)
    if recipe.shape is None:
        if recipe.teacher is not None:
            raise BadRecipe(
                "The recipe does not say the student's exact shape.",
                "Make the run with `stillroom distill`, which settles it.",
            )
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(bench.source), dtype=torch.float32)
        session.choose(
            "student", count_of(model)[0], f"from scratch, in the shape of {bench.source.name}, from seed {recipe.seed}"
        )
        return model
    calibration = (
        None
        if recipe.init in ("inherit", "scratch")
        else _calibration(
            Blocks(bench.train, bench.length, recipe.calibration_blocks * bench.length, 1, recipe.seed, 0),
            recipe,
            recipe.shape.vocabulary,
            bench.device,
        )
    )
    model, report = build_student(
        bench.teacher,
        config,
        recipe.shape,
        recipe.init,
        calibration,
        recipe.seed,
        lambda _, share: session.progress(share),
    )
    expected = count_parameters(config_for(config, recipe.shape)).total
    if count_of(model)[0] != expected:
        raise RuntimeError(f"the student has {count_of(model)[0]} parameters where its shape says {expected}")
    session.choose("student", report.model_dump(mode="json"), report.words)
    return model


def _calibration(blocks: Blocks, recipe: DistillRecipe, vocabulary: int, device: str) -> list[dict[str, torch.Tensor]]:
    count = min(recipe.calibration_blocks, len(blocks))
    at_once = defaults.calibration_blocks(blocks.length, vocabulary)
    batches = [
        collate([blocks[i] for i in range(start, min(start + at_once, count))]) for start in range(0, count, at_once)
    ]
    read = ("input_ids", "position_ids", "labels")
    return [{name: batch[name].to(device) for name in read} for batch in batches]


def arrange_blocks(session: Session, recipe: DistillRecipe, bench: Bench, student: PreTrainedModel) -> None:
    """Settle the batch, and pack the documents into blocks."""
    if recipe.batch_tokens is not None:
        batch, why = recipe.batch_tokens, "as the recipe says"
    else:
        batch, why = defaults.batch_tokens(recipe.tokens, bench.length)
    bench.per_step = defaults.blocks_in_a_step(batch, bench.length, recipe.processes)
    bench.share = session.peers.share_of(bench.per_step)
    bench.parts = session.peers.count if shares_out(session, recipe) else 1
    session.choose("tokens in a step", bench.per_step * bench.length, why)
    if session.peers.count > 1:
        words = f"{bench.share} blocks of each step fall to each"
        session.choose("processes", session.peers.count, words)
    pad = bench.tokenizer.pad_token_id
    if pad is not None and pad >= student.get_input_embeddings().weight.shape[0]:
        pad = None  # a token added for padding that the model has no row for; nothing reads what stands there
    apart = keeps_documents_apart(student)
    if not apart:
        session.notice(
            "This architecture lets a document see the one before it in the same block, so each block holds one document; that is slower."
        )
    bench.blocks = Blocks(
        bench.train,
        bench.length,
        recipe.tokens,
        bench.per_step,
        recipe.seed,
        pad if pad is not None else 0,
        alone=not apart,
    )
    if bench.blocks.epochs > 4:
        session.notice(
            f"The budget goes through the text {bench.blocks.epochs:.1f} times; past about 4 times it brings little. Add text.",
            "warning",
        )


def plan_training(
    session: Session, recipe: DistillRecipe, bench: Bench, student: PreTrainedModel, lesson: Lesson
) -> None:
    """Settle the micro-batch, and say what the training will consist of."""
    assert bench.blocks is not None
    bench.micro = session.peers.lowest(rehearse(session, recipe, bench, lesson))
    parameters, non_embedding = count_of(student)
    taught_by = bench.teacher_non_embedding if recipe.guided and recipe.source != "cache" else None
    say_plan(session, bench, parameters, training_flops(non_embedding, 1, taught_by))


# ----------------------------------------------------------------------------------------------- training and its ends


class Evaluator:
    """Measures the student on held-out text, writes a sample, and says both; what the first measurement reads of the teacher is said too."""

    def __init__(self, session: Session, bench: Bench, student: PreTrainedModel) -> None:
        self.session, self.bench, self.student = session, bench, student
        self.last: tuple[int, dict[str, float | None]] | None = None
        self.first: dict[str, float | None] | None = None
        history = fold(read_journal(session.run.journal))
        for point in history.evaluations:
            if point.subject == "teacher":
                bench.teacher_metrics = point.metrics
            else:
                self.first = self.first or point.metrics
                self.last = (point.step, point.metrics)

    def __call__(self, step: int, tokens: int) -> None:
        if self.last is not None and self.last[0] == step:
            return
        bench = self.bench
        self.session.phase("evaluating", f"step {step}", safe_to_end=step == 0)
        scores = score(self.student, bench.held_out, bench.framing, bench.length, bench.device, bench.judge)
        if bench.judge is not None and bench.teacher_metrics is None:
            bench.teacher_metrics = scores.of_teacher().metrics()
            self.session.say(ev.EvaluationLogged(0, 0, "teacher", bench.teacher_metrics))
        metrics = scores.metrics()
        self.session.say(ev.EvaluationLogged(step, tokens, "student", metrics))
        self.last, self.first = (step, metrics), self.first or metrics
        prompt, text = continuation(
            self.student,
            bench.tokenizer,
            bench.framing,
            self._prompt(),
            bench.device,
            SAMPLE_TOKENS,
            self.session.recipe.seed,
        )
        self.session.say(ev.SampleWritten(step, prompt, text))
        self.session.phase("training", safe_to_end=step == 0)

    def _prompt(self) -> str | list[int]:
        recipe = self.session.recipe
        assert isinstance(recipe, DistillRecipe)
        if recipe.sample_prompt:
            return recipe.sample_prompt
        ids = [int(token) for token in self.bench.held_out[0]]
        skip = 1 if self.bench.framing.start is not None else 0
        return ids[skip : skip + 10]


def train(
    session: Session, recipe: DistillRecipe, bench: Bench, lesson: Lesson, evaluator: Evaluator, watcher: Watcher
) -> PreTrainedModel:
    """Train the student to the last step, shared out over the processes if so asked, and measure it; returns it whole."""
    student, blocks, shared = lesson.student, bench.blocks, bench.parts > 1
    assert blocks is not None
    rate = settle_rate(session, recipe, defaults.learning_rate(count_of(student)[1], recipe.tokens, recipe.init))
    if shared:
        share_out(student, bench.parts)
    kind = SharedTrainer if shared else DistillTrainer

    def trainer() -> DistillTrainer:
        before = seconds_so_far(session)
        arguments = arguments_for(session, recipe, bench, rate)
        return kind(session, recipe, student, lesson, blocks, arguments, evaluator, before, watcher)

    train_to_the_end(session, bench, student, trainer)
    session.step = bench.steps
    if shared:
        student = evaluator.student = whole_again(student)
    session.peers.by_main(lambda: evaluator(bench.steps, blocks.tokens))  # which knows if it has been there already
    return student


def finish(
    session: Session, recipe: DistillRecipe, bench: Bench, student: PreTrainedModel, evaluator: Evaluator
) -> dict[str, Any]:
    """Save the student, load it again as its user would, and measure that."""
    assert bench.blocks is not None
    assert evaluator.last is not None
    session.phase("saving")
    folder = session.artifacts / "student"
    dtype = stored_dtype(recipe, bench.source)
    results: dict[str, Any] = {
        "student": str(folder),
        "parameters": count_of(student)[0],
        "teacher_parameters": bench.teacher_parameters,
        "tokens": bench.blocks.tokens,
        "steps": session.step,
        "seconds": fold(read_journal(session.run.journal)).steps[-1].seconds,
        "before": evaluator.first,
        "after": evaluator.last[1],
        "teacher": bench.teacher_metrics,
    }
    cards = {
        "README.md": model_card(session.run.id, recipe, results),
        "stillroom.json": lineage(session.run.id, recipe, results, bench.framing),
        "recipe.json": recipe.model_dump_json(indent=2),
    }
    source = bench.source if (bench.source / "generation_config.json").exists() else None
    save_student(student, bench.tokenizer, bench.framing, dtype, folder, cards, source)
    session.phase("checking the student")
    again = load_model(folder, bench.device, torch.float32, recipe.allow_remote_code)
    saved = score(again, bench.held_out, bench.framing, bench.length, bench.device).metrics()
    results["saved"] = saved
    before, after = evaluator.last[1]["ce"], saved["ce"]
    if before is None or after is None or not abs(before - after) <= 0.02 + 0.01 * abs(before):  # NaN is no agreement
        raise Trouble(
            f"The saved student reads the held-out text with {after} nats a token, the trained one with {before}.",
            f"Don't use {folder}; the last checkpoint is good. Please report this.",
        )
    if recipe.out is not None:
        session.phase("copying the student", recipe.out)
        copy_student(folder, Path(recipe.out), session.run.id)
        results["out"] = recipe.out
    return results


def tidy(run: RunFolder) -> None:
    """Remove what a finished run needs no more; called once its end is said, for until then it may be killed and resumed."""
    shutil.rmtree(run.path / TOKENS, ignore_errors=True)


def stored_dtype(recipe: DistillRecipe, source: Path) -> torch.dtype:
    """The precision of the student's file: as the recipe says, else that of the model it comes from, as its weights are stored."""
    if recipe.save_precision != "auto":
        return getattr(torch, recipe.save_precision)
    if not has_weights(source):
        return torch.float32
    stored = inspect_model(source, allow_remote_code=recipe.allow_remote_code).dtypes
    return {"BF16": torch.bfloat16, "F16": torch.float16}.get(stored[0] if stored else "F32", torch.float32)
