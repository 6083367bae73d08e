"""The data of a distillation, read once: framing found, documents tokenised, what was left out or cut said, all kept for resumptions."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from core import defaults
from core.cache import Manifest
from core.distill import DistillRecipe
from core.engine.session import Session
from core.engine.text import (
    Corpus,
    Framing,
    TextPlan,
    answers_behind,
    find_framing,
    first_texts,
    load_corpus,
    load_framing,
    look_over,
    refuse_tokens_beyond,
    save_corpora,
    tokenise,
)
from core.errors import BadRecipe

TOKENS = "tokens"  # the folder of the tokenised documents in the run folder


def read_data(
    session: Session,
    recipe: DistillRecipe,
    tokenizer: PreTrainedTokenizerBase,
    teacher: PreTrainedModel | None,
    source: Path,
    named: Manifest | None = None,
) -> tuple[Framing, Corpus, Corpus, int]:
    """Tokens of the training and held-out documents: read from the text once, kept in the run folder for every resumption.

    `named` is the cache that the recipe names, whose answers were made with a framing and a length of their own.
    """
    session.phase("reading the data")
    kept = session.run.path / TOKENS
    config = AutoConfig.from_pretrained(source, trust_remote_code=recipe.allow_remote_code)
    session.peers.by_main(
        lambda: None if kept.exists() else _read_anew(session, recipe, tokenizer, teacher, named, kept)
    )
    framing = load_framing(kept)
    training, held_out = load_corpus(kept, "train"), load_corpus(kept, "held-out")
    highest = max(int(corpus.ids.max()) for corpus in (training, held_out))
    refuse_tokens_beyond(config.get_text_config().vocab_size, highest, tokenizer)
    session.choose("framing", [framing.start, framing.end], framing.reason)
    context = int(getattr(config, "max_position_embeddings", 0) or 2048)
    length, why = settle_length(recipe.sequence_length, context, session.device, int(training.lengths.max()))
    if named is not None and recipe.sequence_length is None:
        length, why = named.sequence_length, "as the documents of the cached answers were cut"
    session.choose("sequence length", length, why)
    _say_what_is_cut(session, training, length)
    return framing, training, held_out, length


def _read_anew(
    session: Session,
    recipe: DistillRecipe,
    tokenizer: PreTrainedTokenizerBase,
    teacher: PreTrainedModel | None,
    named: Manifest | None,
    kept: Path,
) -> None:
    if named is not None:
        framing = Framing(named.start, named.end, "as the cached answers were made")
    else:
        framing = find_framing(tokenizer, teacher, first_texts(recipe.data, recipe.separator), session.device)
    plan = look_over(recipe.data, recipe.separator, recipe.tokens, recipe.validation_tokens, recipe.answers_only)
    _say_what_is_left_out(session, plan)
    training, held_out = tokenise(
        plan,
        recipe.data,
        recipe.separator,
        tokenizer,
        framing,
        recipe.validation_tokens,
        recipe.seed,
        session.progress,
    )
    save_corpora(kept, {"train": training, "held-out": held_out}, framing)


def _say_what_is_left_out(session: Session, plan: TextPlan) -> None:
    if plan.unanswered:
        session.notice(
            f"{plan.unanswered} of {plan.count + plan.unanswered} rows have an empty answer; they are left out.",
            "warning",
        )
    if plan.in_pieces:
        session.notice(
            f"The data has only {plan.count} document(s); they are cut in pieces so that some can be held out."
        )
    if plan.share < 1:
        session.notice(f"The data is larger than the budget needs: a random {plan.share:.1%} of its documents is read.")


def settle_length(asked: int | None, context: int, device: str, longest: int) -> tuple[int, str]:
    """The length of a sequence, and why: as asked, else by the context, the device and the longest document, all in tokens."""
    if asked is None:
        return defaults.sequence_length(context, device, longest)
    if asked > context:
        raise BadRecipe(f"sequence_length {asked} is longer than the model's context of {context}.", "Shorten it.")
    return asked, "as the recipe says"


def _say_what_is_cut(session: Session, training: Corpus, length: int) -> None:
    cut = int((training.lengths > length).sum())
    if cut:
        session.notice(
            f"{cut} of {len(training)} documents are longer than {length} tokens; they are trained in parts of that length."
        )
    behind = answers_behind(training, length)
    if behind:
        session.notice(
            f"The prompts of {behind} of {len(training)} documents are longer than {length} tokens: their answers are cut off "
            "from the beginning of the prompt. Longer sequences or shorter prompts would mend it.",
            "warning",
        )
