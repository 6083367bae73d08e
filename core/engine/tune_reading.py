"""The data of a tuning, read once: the chat template settled, rows tokenised and fitted, what was left out said, all kept for resumptions."""

from __future__ import annotations

import shutil
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import tune_proposals
from core.data.examples import examples
from core.engine.evaluate import trained_framing
from core.engine.reading import TOKENS, settle_length
from core.engine.session import Session
from core.engine.text import Corpus, Framing, find_framing, load_corpus, load_framing, save_corpora
from core.engine.tune_data import Row, Rows, Template, corpus_of, fit, read_rows
from core.errors import BadModel, BadRecipe
from core.files import read_json, write_json
from core.templates import TEMPLATES, own_template, settled
from core.tune import TuneRecipe

FACTS = "tuning.json"  # in the run folder: what was settled when they were read
A_WHOLE_TEXT = (
    "Once upon a time, there was a little girl named Lily. She loved to play with her red ball in the park. One day, the ball rolled away and "
    "Lily was sad. Her friend Tom found it and gave it back to her. Lily said thank you, and they played together all day. They were very "
    "happy. The end."
)


def speaker_folder(recipe: TuneRecipe) -> Path:
    """Whose tokenizer and template are used: those of the adapter to go on from, where it has any."""
    adapter = None if recipe.adapter is None else Path(recipe.adapter)
    has_own = adapter is not None and (adapter / "tokenizer_config.json").is_file()
    return adapter if has_own and adapter is not None else Path(recipe.model)


def read_data(
    session: Session, recipe: TuneRecipe, tokenizer: PreTrainedTokenizerBase, base: PreTrainedModel
) -> tuple[Framing, dict[str, Corpus], int, int | None]:
    """Framing, tokens by side, the longest row, and the token that ends answers: read once, and kept for every resumption."""
    kept = session.run.path / TOKENS
    if not (kept / "framing.json").exists():
        shutil.rmtree(kept, ignore_errors=True)
        session.phase("reading the data")
        _read_anew(session, recipe, tokenizer, base, kept)
    facts = read_json(session.run.path / FACTS)
    tokenizer.chat_template = facts["template"]
    return (
        load_framing(kept),
        {name: load_corpus(kept, name) for name in facts["corpora"]},
        facts["length"],
        facts["end"],
    )


def _read_anew(
    session: Session, recipe: TuneRecipe, tokenizer: PreTrainedTokenizerBase, base: PreTrainedModel, kept: Path
) -> None:
    framing = _framing(session, recipe, tokenizer, base)
    template = choose_template(session, recipe, tokenizer, framing)
    rows = read_rows(recipe, tokenizer, framing, template, session.check_stop)
    say_what_was_read(session, recipe, rows, template)
    longest = max(len(row.ids) for row in (*rows.training, *rows.worse_training))
    context = int(getattr(base.config.get_text_config(), "max_position_embeddings", 0) or 2048)
    length, why = settle_length(recipe.sequence_length, context, session.device, longest)
    session.choose("sequence length", length, why)
    corpora = _corpora(session, recipe, rows, length)
    end = template.ends.most_common(1)[0][0] if template.ends else None
    if end is not None:
        session.choose(
            "end of an answer",
            tokenizer.convert_ids_to_tokens(end),
            "what the template writes behind answers is learnt, and ends a generation",
        )
    facts = {"template": tokenizer.chat_template, "length": length, "end": end, "corpora": list(corpora)}
    write_json(session.run.path / FACTS, facts)
    save_corpora(kept, corpora, framing)


def _framing(
    session: Session, recipe: TuneRecipe, tokenizer: PreTrainedTokenizerBase, base: PreTrainedModel
) -> Framing:
    """How documents begin and end for this model: asked with plain text of the data, or, where it has none, with a little text of ours.

    It must be a whole one: which token the model expects behind it is the one that it knows how to end with.
    """
    rows = examples(recipe.data, mapping=recipe.mapping, separator=recipe.separator, skip_broken=True)
    texts = [row.text for _, row in zip(range(16), rows, strict=False) if row.kind == "text"]
    asked = texts or [A_WHOLE_TEXT]
    framing = trained_framing(Path(recipe.model)) or find_framing(tokenizer, base, asked, session.device)
    session.choose("framing", [framing.start, framing.end], framing.reason)
    return framing


def choose_template(
    session: Session, recipe: TuneRecipe, tokenizer: PreTrainedTokenizerBase, framing: Framing
) -> Template:
    """The chat template, as a part of the tokenizer from now on. BadModel where no token could end an answer."""
    name, why = tune_proposals.template(recipe, speaker_folder(recipe))
    # what ended its documents, not the tokenizer's eos: beside an adapter, a row that was never trained can't be learnt any more
    end = framing.end if framing.end is not None else tokenizer.eos_token_id
    if end is None and name in TEMPLATES:
        raise BadModel(
            f"The tokenizer of {tokenizer.name_or_path} has no end token, so no answer could ever end.",
            "Give its tokenizer_config.json an eos_token.",
        )
    if name in TEMPLATES:
        known = tokenizer.get_vocab()
        start = "" if framing.start is None else tokenizer.convert_ids_to_tokens(framing.start)
        ending = tokenizer.convert_ids_to_tokens(end)
        tokenizer.chat_template = settled(name, start=start, end=ending, has_token=known.__contains__)
        name = TEMPLATES[name].title
    elif name == "own":
        tokenizer.chat_template = own_template(speaker_folder(recipe))
    else:
        tokenizer.chat_template = Path(name).read_text(encoding="utf-8")
    session.choose("chat template", name, why)
    return Template(tokenizer, end)


def say_what_was_read(session: Session, recipe: TuneRecipe, rows: Rows, template: Template) -> None:
    count = len(rows.training) + len(rows.held_out)
    session.choose(
        "held-out rows", len(rows.held_out), f"of {count}: {recipe.held_out:.0%}, at most {recipe.most_held_out}"
    )
    if rows.broken.count:
        session.notice(f"{rows.broken.count} rows can't be read and are left out. {rows.broken.first[0]}", "warning")
    if rows.silent:
        session.notice(
            f"{rows.silent} of {count + rows.silent} rows have no answer to learn; they are left out.", "warning"
        )
    if template.dropped_systems:
        session.notice(
            f"The chat template drops the system prompt of {template.dropped_systems} rows: the model never sees it. Choose another template "
            "(--template) to keep it.",
            "warning",
        )
    if template.unended:
        session.notice(
            f"The chat template writes no end token behind {template.unended} answers; the model's own is put behind the last answer of each "
            "conversation, so that it learns to stop.",
            "warning",
        )
    if template.asked_otherwise:
        session.notice(
            f"Where {template.asked_otherwise} answers stand, the template writes something else than where it asks for one; they are learnt as "
            "they stand.",
        )


def _corpora(session: Session, recipe: TuneRecipe, rows: Rows, length: int) -> dict[str, Corpus]:
    """Tokens by side, rows too long cut or left out; what was done to how many is said."""
    sides = {"train": (rows.training, rows.worse_training), "held-out": (rows.held_out, rows.worse_held_out)}
    found: dict[str, Corpus] = {}
    truncated = dropped = 0
    for side, (better, worse) in sides.items():
        fitted, cut = fit(better, length, recipe.too_long)
        others, cut_worse = fit(worse, length, recipe.too_long)
        truncated, dropped = truncated + cut.truncated + cut_worse.truncated, dropped + cut.dropped + cut_worse.dropped
        keep = [place for place, row in enumerate(fitted) if row and (not worse or others[place])]
        if not keep:
            raise BadRecipe(
                f"No {side} row fits in {length} tokens with something to learn.",
                "Lengthen the sequence (--sequence-length).",
            )
        found[side] = corpus_of(_those(fitted, keep))
        if worse:
            found[f"{side}-worse"] = corpus_of(_those(others, keep))
    if truncated or dropped:
        fate = f"{truncated} are cut off at their end" if truncated else ""
        left_out = f"{dropped} are left out" if dropped else ""
        words = " and ".join(filter(None, (fate, left_out)))
        session.notice(f"Of the rows longer than {length} tokens, {words}.", "warning")
    return found


def _those(rows: list[Row | None], places: list[int]) -> list[Row]:
    return [row for place in places if (row := rows[place]) is not None]
