"""Who teaches: from the recipe's teachers, cache and objective to the lesson of a run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from core.cache import AS_ASKED, CacheRecipe, cache_problems, read_manifest, teacher_fingerprint
from core.distill import QUANTIZED, DistillRecipe
from core.engine.answers import Answers, key_of
from core.engine.bench import Bench
from core.engine.capture import provide, segments_of
from core.engine.heads import Head, splits
from core.engine.lesson import Aside, AtHand, Kept, Lesson
from core.engine.models import load_model, load_tokenizer
from core.engine.own_words import OwnWords
from core.engine.session import Session
from core.engine.states import StateGuide
from core.engine.text import collate, find_framing, first_texts, keeps_documents_apart, refuse_tokens_beyond
from core.engine.translation import Translation
from core.errors import BadModel, BadRecipe, Trouble
from core.objectives import OBJECTIVES
from core.recipe import Problem
from core.tokenizer import same_tokenizer

TRIED_BLOCKS = 16  # are aligned before training, to say how much of the text has no counterpart


def load_teacher(session: Session, recipe: DistillRecipe, folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """A teacher at the precision that the recipe asks for; BadRecipe if this machine can't hold it so."""
    device = _place(session, recipe)
    wanted = recipe.teacher_precision
    if wanted not in QUANTIZED:
        own = dtype if wanted == "auto" else getattr(torch, wanted)
        return sound(load_model(folder, device, own, recipe.allow_remote_code), folder)
    if find_spec("bitsandbytes") is None:
        raise BadRecipe(
            f"A teacher in {wanted} needs the package bitsandbytes, which is not installed.",
            "Install it (pip install bitsandbytes), or choose another precision for the teacher.",
        )
    how = BitsAndBytesConfig(
        load_in_8bit=wanted == "int8",
        load_in_4bit=wanted == "int4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_type="nf4",
    )
    return sound(load_model(folder, device, dtype, recipe.allow_remote_code, quantization=how), folder)


def _place(session: Session, recipe: DistillRecipe) -> str:
    """The teacher's device as torch counts those that this run may see."""
    wanted = recipe.teacher_device
    if wanted is None or wanted == session.devices[0]:
        return session.device
    if wanted == "cpu":
        return "cpu"
    if wanted not in session.devices:
        raise Trouble(
            f"The teacher shall be on {wanted}, but the run was given {', '.join(session.devices)}.",
            "Leave the teacher's device out, or start the run through the queue, which gives it both.",
        )
    return f"{wanted.partition(':')[0]}:{session.devices.index(wanted)}"


@torch.inference_mode()
def sound(teacher: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The teacher, unless what it says of a few tokens is no number: then its weights are broken, and a student would be, too."""
    rows = teacher.get_input_embeddings().weight.shape[0]
    ids_BT = torch.arange(min(16, rows), device=teacher.device)[None] * (rows // min(16, rows))
    if not bool(teacher(input_ids=ids_BT, use_cache=False).logits.isfinite().all()):
        broken = next((name for name, weight in teacher.named_parameters() if not bool(weight.isfinite().all())), None)
        what = (
            f"its tensor {broken} holds NaN or infinity" if broken else f"its arithmetic overflows in {teacher.dtype}"
        )
        raise BadModel(
            f"The teacher {folder} gives scores that are not numbers: {what}.",
            "Fetch the model again." if broken else "Choose float32 as the teacher's precision.",
        )
    return teacher


def make_lesson(session: Session, recipe: DistillRecipe, bench: Bench, student: PreTrainedModel) -> Lesson:
    """The lesson of the run. Teachers that it needs no more are let go; a missing cache is captured first."""
    if not recipe.guided:
        bench.let_teacher_go()
        return Lesson(recipe, student)
    assert recipe.teacher is not None
    if bench.judge is not None:
        _refuse_a_small_table(recipe, bench, bench.judge, Path(recipe.teacher), student)
    if recipe.source == "cache":
        answers = _answers(session, recipe, bench)
        assert bench.blocks is not None
        bench.let_teacher_go()
        return Lesson(recipe, student, Kept(answers, bench.blocks))
    assert bench.teacher is not None
    if OBJECTIVES[recipe.objective].needs == "text":
        return Lesson(recipe, student, translated=_translated(session, recipe, bench, student))
    states = None
    hidden = recipe.objective == "hidden" or recipe.hidden_weight > 0
    relations = recipe.objective == "relations" or recipe.relation_weight > 0
    if hidden or relations:
        states = StateGuide(student, bench.teacher, hidden=hidden, relations=relations)
    guide = AtHand(
        [bench.teacher, *_further(session, recipe, bench, student)],
        recipe.teacher_weights,
        recipe.mixture,
        states is not None,
    )
    own_words = None
    if recipe.source == "on-policy":
        own_words = OwnWords(recipe, bench.tokenizer, bench.framing, bench.dtype, bench.length)
    return Lesson(recipe, student, guide, states=states, own_words=own_words)


def _further(session: Session, recipe: DistillRecipe, bench: Bench, student: PreTrainedModel) -> list[PreTrainedModel]:
    found = []
    for folder in recipe.more_teachers:
        same, why = same_tokenizer(Path(folder), bench.source)
        if not same:
            raise BadRecipe(
                f"{Path(folder).name} has another tokenizer than the student ({why}), so it can't be mixed with other teachers.",
                "Leave it out, or let it teach alone with the objective gold.",
            )
        session.phase("loading", f"teacher {Path(folder).name}")
        found.append(load_teacher(session, recipe, Path(folder), bench.dtype))
        _refuse_a_small_table(recipe, bench, found[-1], Path(folder), student)
    return found


def _refuse_a_small_table(
    recipe: DistillRecipe, bench: Bench, teacher: PreTrainedModel, folder: Path, student: PreTrainedModel
) -> None:
    """BadModel if a teacher that reads the student's tokens has no row for one: of the text, or of what the student may write."""
    rows = teacher.get_input_embeddings().weight.shape[0]
    highest = max(int(corpus.ids.max()) for corpus in (bench.train, bench.held_out))
    if (
        recipe.source == "on-policy" and teacher is not bench.teacher
    ):  # the student writes what it and the first teacher know
        assert bench.teacher is not None
        both = (model.get_input_embeddings().weight.shape[0] for model in (student, bench.teacher))
        highest = max(highest, min(len(bench.tokenizer), *both) - 1)
    refuse_tokens_beyond(rows, highest, bench.tokenizer, f"the teacher {folder.name}")
    assert bench.blocks is not None
    if bench.blocks.pad >= rows:
        bench.blocks.pad = 0  # nothing reads what stands there


def _translated(session: Session, recipe: DistillRecipe, bench: Bench, student: PreTrainedModel) -> Aside:
    """The teacher with another tokenizer: framed as it was trained, aligned with the student by the text."""
    assert recipe.teacher is not None
    teacher = bench.teacher
    assert teacher is not None
    if not splits(teacher) or not splits(student):
        raise BadRecipe(
            f"The architecture {(student if splits(teacher) else teacher).config.model_type} can't be compared across tokenizers: "
            "its scores are not those of its head alone.",
            "Choose another teacher, or one of the student's tokenizer.",
        )
    tokenizer = load_tokenizer(Path(recipe.teacher), recipe.allow_remote_code)
    framing = find_framing(tokenizer, teacher, first_texts(recipe.data, recipe.separator), session.device)
    widths = Head.of(student).entries, Head.of(teacher).entries
    context = int(getattr(teacher.config, "max_position_embeddings", 0) or bench.length)
    translation = Translation(
        (bench.tokenizer, tokenizer), (bench.framing, framing), widths, context, keeps_documents_apart(teacher)
    )
    session.choose("alignment", recipe.objective, translation.words())
    assert bench.blocks is not None
    for number in range(min(TRIED_BLOCKS, len(bench.blocks))):
        block = collate([bench.blocks[number]])
        translation.align(block["input_ids"], block["position_ids"], block["labels"])
    if (left_out := translation.notice()) is not None:
        session.notice(left_out, "warning")
    return Aside(
        translation, teacher, "uld" if recipe.objective == "uld" else "gold", recipe.gold_beta, recipe.temperature
    )


def _answers(session: Session, recipe: DistillRecipe, bench: Bench) -> Answers:
    """The cache that the recipe names, checked from end to end against this run; or one of its own, found again or made now."""
    if recipe.cache is not None:
        return _named_answers(session, recipe, bench)
    found: list[Answers] = []

    def make() -> str:
        assert bench.teacher is not None
        wanted = CacheRecipe.of(recipe)
        corpus = bench.train.followed_by(bench.held_out)  # which another seed trains on
        found.append(provide(session, wanted, bench.teacher, bench.tokenizer, bench.framing, corpus, bench.length))
        return str(found[0].folder)

    folder = session.peers.by_main(make)
    return found[0] if found else Answers.open(Path(folder))


def _named_answers(session: Session, recipe: DistillRecipe, bench: Bench) -> Answers:
    assert recipe.cache is not None
    assert recipe.teacher is not None
    session.phase("checking the answers")
    refuse(cache_problems(recipe, read_manifest(Path(recipe.cache)), teacher_fingerprint(Path(recipe.teacher))))
    answers = Answers.open(Path(recipe.cache), session.progress)
    segments = segments_of(bench.train, bench.length)
    missing = answers.covers(key_of(bench.train[document][start:end]) for document, start, end in segments)
    if missing:
        raise BadRecipe(
            f"The cache {recipe.cache} lacks {missing} of the {len(segments)} texts that this run reads: it was made of other data, "
            "with another seed, or with another length of blocks.",
            "Make the cache from this data (`stillroom cache`), or leave the folder out, and one is made.",
        )
    session.choose("cache", recipe.cache, AS_ASKED)
    return answers


def refuse(problems: list[Problem]) -> None:
    if problems:
        raise BadRecipe("\n".join(f"{problem.field}: {problem.text}" for problem in problems))
