"""An evaluation: whatever its recipe asks for, part by part, so that one that was interrupted goes on with the next part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from core import defaults
from core import events as ev
from core.documents import documents
from core.engine.evaluation.pairs import judge_pairs
from core.engine.evaluation.subject import Subject, context_of, trained_framing
from core.engine.models import load_model
from core.engine.scoring import score
from core.engine.session import Session
from core.engine.text import Corpus, Framing, encode_documents, first_texts
from core.errors import BadRecipe
from core.evaluate import EvaluateRecipe
from core.files import read_json, write_json
from core.pairs import read_pairs
from core.runs import RunFolder
from core.scores import EVALUATION, scores_of
from core.subjects import give_back
from core.tokenizer import same_tokenizer, tokenizer_identity
from resources.sample.questions import Question, questions
from resources.sample.stories import QUESTION_SEED

__all__ = ["ask", "run", "tidy", "trained_framing"]

QUESTIONS_AT_ONCE = 64
DONE = "parts.json"  # in the run folder: the parts that are measured, for a run that is taken up again


def run(session: Session) -> dict[str, Any]:
    """Measure what the recipe asks for; returns the figures for `RunFinished`."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    recipe = session.recipe
    assert isinstance(recipe, EvaluateRecipe)
    pairs = read_pairs(Path(recipe.minimal_pairs), recipe.limit) if recipe.minimal_pairs else {}
    session.phase("loading", Path(recipe.model).name)
    subject = Subject.load(session, Path(recipe.model), recipe.precision, recipe.allow_remote_code)
    results: dict[str, Any] = {
        "model": str(subject.folder),
        "parameters": subject.model.num_parameters(),
        "fingerprint": subject.info.fingerprint,
    }
    done = _done(session.run.path)
    for name, part in _parts(session, recipe, subject, pairs).items():
        if name not in done:
            done[name] = part()
            write_json(session.run.path / DONE, done)
        results |= done[name]
    _keep(session, subject, results)
    return results


def tidy(run: RunFolder) -> None:
    """Remove what a finished run needs no more."""
    (run.path / DONE).unlink(missing_ok=True)
    recipe = run.recipe()
    assert isinstance(recipe, EvaluateRecipe)
    give_back(run.home, Path(recipe.model))


def _done(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        return dict(read_json(folder / DONE))
    except (OSError, ValueError):
        return {}


def _parts(
    session: Session, recipe: EvaluateRecipe, subject: Subject, pairs: dict[str, Any]
) -> dict[str, Callable[[], dict[str, Any]]]:
    """What is asked for, by name, in the order in which it is measured."""
    parts: dict[str, Callable[[], dict[str, Any]]] = {}
    if recipe.data:
        parts["reading"] = lambda: _read_text(session, recipe, subject)
    if recipe.skills:
        parts["skills"] = lambda: _ask_skills(session, recipe, subject)
    if pairs:
        parts["pairs"] = lambda: _ask_pairs(session, subject, pairs)
    if recipe.written:
        parts["writing"] = lambda: _write(session, recipe, subject)
    if recipe.speed:
        parts["speed"] = lambda: _time(session, subject)
    if recipe.tasks:
        parts["tasks"] = lambda: _ask_benchmarks(session, recipe, subject)
    return parts


def _keep(session: Session, subject: Subject, results: dict[str, Any]) -> None:
    """The scores as a small file, which lists and comparisons read instead of the journal."""
    session.artifacts.mkdir(exist_ok=True)
    info = subject.info
    model = {
        "path": str(subject.folder),
        "name": info.name,
        "fingerprint": info.fingerprint,
        "parameters": info.parameters,
        "size_bytes": info.size_bytes,
    }
    write_json(
        session.artifacts / EVALUATION,
        {"model": model, "scores": [asdict(each) for each in scores_of(results, session.recipe)]},
    )


# --- the parts --------------------------------------------------------------------------------------------------------


def _read_text(session: Session, recipe: EvaluateRecipe, subject: Subject) -> dict[str, Any]:
    corpus, framing = _read(session, recipe, subject)
    found = _read_scores(session, recipe, subject.model, corpus, framing)
    figures: dict[str, float | None] = {name: value for name, value in found.items() if isinstance(value, float)}
    tell(session, figures, found)
    return found


def tell(session: Session, metrics: Mapping[str, float | None], results: Mapping[str, Any]) -> None:
    """Say in the journal what one part of an evaluation has found."""
    scores = [asdict(each) for each in scores_of(results, session.recipe)]
    session.say(ev.EvaluationLogged(0, 0, "model", dict(metrics), scores))


def _read(session: Session, recipe: EvaluateRecipe, subject: Subject) -> tuple[Corpus, Framing]:
    session.phase("reading the data")
    framing = subject.framing(session, first_texts(recipe.data, recipe.separator))
    corpus = encode_documents(
        documents(recipe.data, recipe.separator), subject.tokenizer, framing, recipe.most_tokens, session.check_stop
    )
    return corpus, framing


def _read_scores(
    session: Session, recipe: EvaluateRecipe, model: PreTrainedModel, corpus: Corpus, framing: Framing
) -> dict[str, Any]:
    teacher = None
    if recipe.teacher is not None:
        same, reason = same_tokenizer(Path(recipe.teacher), Path(recipe.model))
        if not same:
            raise BadRecipe(
                f"Model and teacher have different tokenizers: {reason}.",
                "Leave the teacher out, or choose one of the same family.",
            )
        teacher = load_model(Path(recipe.teacher), session.device, model.dtype, recipe.allow_remote_code)
    context = context_of(model)
    bounded = max(512, defaults.scored_rows(model.get_input_embeddings().weight.shape[0]))
    if bounded < context:
        session.choose("context", bounded, f"of {context} tokens, so that the scores over the vocabulary fit in memory")
        context = bounded
    session.phase("reading", f"{len(corpus)} documents")
    scores = score(model, corpus, framing, context, session.device, teacher, session.progress)
    if scores.windowed:
        session.notice(
            f"{scores.windowed} of {scores.documents} documents are longer than the context of {context} tokens; "
            "they were read in windows that overlap by half, and no token was left out."
        )
    found: dict[str, Any] = {
        **scores.metrics(),
        "tokens": scores.tokens,
        "bytes": scores.bytes,
        "documents": scores.documents,
        "documents_longer_than_context": scores.windowed,
        "tokenizer": tokenizer_identity(Path(recipe.model)).fingerprint,
    }
    if recipe.calibration:
        from core.engine.evaluation.sureness import observe

        session.phase("calibrating", f"{len(corpus)} documents")
        found |= observe(model, corpus, framing, context, session.device, teacher, session.progress)
    return found


def _ask_skills(session: Session, recipe: EvaluateRecipe, subject: Subject) -> dict[str, Any]:
    session.phase("asking the questions", f"{recipe.skills} of each skill")
    framing = subject.framing(session, ["Once upon a time, there was a little girl."])
    asked = questions(QUESTION_SEED, recipe.skills)
    results = {"skills": ask(session, subject.model, subject.tokenizer, framing, asked)}
    tell(session, {f"skill {name}/accuracy": share for name, share in results["skills"].items()}, results)
    return results


def _ask_pairs(session: Session, subject: Subject, sets: dict[str, Any]) -> dict[str, Any]:
    session.phase("comparing sentences", f"{sum(map(len, sets.values()))} pairs in {len(sets)} sets")
    framing = subject.framing(session, [pair.good for pairs in sets.values() for pair in pairs][:16])
    found = judge_pairs(subject.model, subject.tokenizer, framing, sets, session.progress)
    if found["cut"]:
        session.notice(
            f"{found['cut']} sentences are longer than the model's context; their ends were cut off.", "warning"
        )
    told: dict[str, float | None] = {
        "minimal_pairs/accuracy": found["accuracy"],
        "minimal_pairs/stderr": found["stderr"],
    }
    results = {"accuracy": found["accuracy"], "pairs": found}
    tell(session, told, results)
    return results


def _write(session: Session, recipe: EvaluateRecipe, subject: Subject) -> dict[str, Any]:
    from core.engine.evaluation.writing import write_texts

    session.phase("writing", f"{recipe.written} texts")
    texts = first_texts(recipe.data, recipe.separator, recipe.written)
    results = {"writing": write_texts(session, recipe, subject, texts)}
    tell(session, {}, results)
    return results


def _time(session: Session, subject: Subject) -> dict[str, Any]:
    from core.engine.evaluation.speed import time_model

    session.phase("timing", "reading and writing")
    results = {"speed": time_model(session, subject)}
    tell(session, {}, results)
    return results


def _ask_benchmarks(session: Session, recipe: EvaluateRecipe, subject: Subject) -> dict[str, Any]:
    from core.engine.evaluation.harness import benchmarks, results_of  # seconds of imports that no other part needs

    return results_of(benchmarks(session, recipe, subject))


@torch.inference_mode()
def ask(
    session: Session,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    asked: list[Question],
) -> dict[str, float]:
    """Accuracy by skill: the choice of the highest log-probability, summed over its tokens, after the prompt."""
    start = [] if framing.start is None else [framing.start]
    rows: list[tuple[int, int, list[int], int]] = []  # (question, choice, ids, tokens of the prompt)
    for index, question in enumerate(asked):
        prompt = start + tokenizer(question.prompt, add_special_tokens=False).input_ids
        for number, choice in enumerate(question.choices):
            rows.append((index, number, prompt + tokenizer(choice, add_special_tokens=False).input_ids, len(prompt)))
    best: dict[int, tuple[float, int]] = {}
    for at in range(0, len(rows), QUESTIONS_AT_ONCE):
        batch = rows[at : at + QUESTIONS_AT_ONCE]
        length = max(len(ids) for _, _, ids, _ in batch)
        ids_BT = torch.tensor([ids + [0] * (length - len(ids)) for _, _, ids, _ in batch], device=session.device)
        log_probs_BTV = model(input_ids=ids_BT, use_cache=False).logits.float().log_softmax(-1)
        for row, (index, number, ids, begin) in enumerate(batch):
            targets = torch.tensor(ids[begin:], device=session.device)
            said = log_probs_BTV[row, begin - 1 : len(ids) - 1].gather(-1, targets[:, None]).sum().item()
            if index not in best or said > best[index][0]:
                best[index] = (said, number)
        session.progress(min(1.0, (at + len(batch)) / len(rows)))
    right: dict[str, list[bool]] = {}
    for index, question in enumerate(asked):
        right.setdefault(question.skill, []).append(question.choices[best[index][1]] == question.answer)
    return {skill: sum(answers) / len(answers) for skill, answers in right.items()}
