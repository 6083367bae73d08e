"""An evaluation: how well a model reads text, how often it agrees with a teacher, and the sample's questions by skill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from core import defaults
from core import events as ev
from core.documents import documents
from core.engine.models import compute_dtype, load_model, load_tokenizer
from core.engine.scoring import score
from core.engine.session import Session
from core.engine.text import Corpus, Framing, encode_documents, find_framing, first_texts
from core.errors import BadRecipe
from core.evaluate import EvaluateRecipe
from core.files import read_json
from core.models import same_tokenizer
from resources.sample.questions import Question, questions
from resources.sample.stories import QUESTION_SEED

QUESTIONS_AT_ONCE = 64


def run(session: Session) -> dict[str, Any]:
    """Measure what the recipe asks for; returns the figures for `RunFinished`."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    recipe = session.recipe
    assert isinstance(recipe, EvaluateRecipe)
    folder = Path(recipe.model)
    session.phase("loading", folder.name)
    dtype, why = compute_dtype(session.device, recipe.precision)
    session.choose("precision", str(dtype).removeprefix("torch."), why)
    model = load_model(folder, session.device, dtype, recipe.allow_remote_code)
    tokenizer = load_tokenizer(folder, recipe.allow_remote_code)
    results: dict[str, Any] = {"model": str(folder), "parameters": model.num_parameters()}
    framing: Framing | None = None
    if recipe.data:
        corpus, framing = _read(session, recipe, model, tokenizer)
        results.update(_read_scores(session, recipe, model, corpus, framing))
        session.say(
            ev.EvaluationLogged(
                0, 0, "model", {name: value for name, value in results.items() if isinstance(value, float)}
            )
        )
    if recipe.skills:
        session.phase("asking the questions", f"{recipe.skills} of each skill")
        if framing is None:
            framing = find_framing(tokenizer, model, ["Once upon a time, there was a little girl."], session.device)
        results["skills"] = ask(session, model, tokenizer, framing, questions(QUESTION_SEED, recipe.skills))
    return results


def _read(
    session: Session, recipe: EvaluateRecipe, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> tuple[Corpus, Framing]:
    session.phase("reading the data")
    framing = trained_framing(Path(recipe.model)) or find_framing(
        tokenizer, model, first_texts(recipe.data, recipe.separator), session.device
    )
    session.choose("framing", [framing.start, framing.end], framing.reason)
    corpus = encode_documents(
        documents(recipe.data, recipe.separator), tokenizer, framing, recipe.most_tokens, session.check_stop
    )
    return corpus, framing


def trained_framing(folder: Path) -> Framing | None:
    """How one of our own students was trained to see documents begin and end, so that it is read the same way; None for others."""
    try:
        said = read_json(folder / "stillroom.json")["framing"]
        return Framing(said["start"], said["end"], "as in its training")
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
    context = int(getattr(model.config, "max_position_embeddings", 0) or 2048)
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
    return {
        **scores.metrics(),
        "tokens": scores.tokens,
        "bytes": scores.bytes,
        "documents": scores.documents,
        "documents_longer_than_context": scores.windowed,
    }


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
