"""Tokenizers of the inputs and of the result: which token has which row where. Read from tokenizer.json, without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadModel, BadRecipe
from core.merge.document import ModelRef, TokenizerRule, TokenRule


@dataclass(frozen=True)
class Row:
    """Where the embedding of a token comes from, in models that lack it (or in all, if `force`): the mean of the models that have it, a row of
    one model, or zero.
    """

    mean: bool = False
    model: ModelRef | None = None
    row: int = -1
    force: bool = False


@dataclass(frozen=True)
class Alignment:
    """A result's tokens by id, each model's row for each (−1: it has none), and what fills the gaps. `rows` counts padding, which becomes the
    mean of the rows before.
    """

    tokens: Mapping[str, int]
    rows: int
    places: Mapping[ModelRef, tuple[int, ...]]
    gaps: Mapping[int, Row]
    notes: tuple[str, ...] = ()


def vocabulary_of(folder: Path) -> dict[str, int]:
    """Every token and its id, added ones included, in the order of the ids."""
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise BadModel(
            f"{folder.name} has no tokenizer.json, so its tokens can't be told apart.",
            "Open its tokenizer with transformers and save it again.",
        )
    try:
        found = Tokenizer.from_file(str(file)).get_vocab(with_added_tokens=True)
    except Exception as error:  # the library raises plain Exception for whatever it cannot parse
        raise BadModel(f"{file} is no readable tokenizer ({error}).", "Fetch the tokenizer again.") from error
    return dict(sorted(found.items(), key=lambda item: item[1]))


def contradiction(mine: Mapping[str, int], theirs: Mapping[str, int]) -> str | None:
    """Why two models' rows can't be merged as they stand: an id that means one token here and another there. Tokens beyond
    what both have are no reason.
    """
    ours, its = ({number: token for token, number in each.items()} for each in (mine, theirs))
    for number in sorted(ours.keys() & its.keys()):
        if ours[number] != its[number]:
            return f"id {number} is {its[number]!r} there and {ours[number]!r} here"
    return None


def union(vocabularies: Mapping[ModelRef, Mapping[str, int]], rows: Mapping[ModelRef, int]) -> dict[str, int]:
    """The first model's tokens with their ids, then those of the others that it lacks, in their order. Tokens without a row of
    the embedding are left out.
    """
    found: dict[str, int] = {}
    for model, vocabulary in vocabularies.items():
        for token, number in vocabulary.items():
            if number >= rows[model] or token in found:
                continue
            found[token] = (
                max(found.values(), default=-1) + 1 if found and model != next(iter(vocabularies)) else number
            )
    return found


def align(
    rule: TokenizerRule,
    tokens: Mapping[str, int],
    vocabularies: Mapping[ModelRef, Mapping[str, int]],
    rows: Mapping[ModelRef, int],
    base: ModelRef | None,
    merged: tuple[ModelRef, ...],
) -> Alignment:
    """Rows of the `merged` models for the result's `tokens`, and what stands where one has none, by mergekit's rules: the token's
    own rule, else the only model that has it, else the base, else the mean of those that have it, else zero.
    """
    count = max(tokens.values(), default=-1) + 1
    multiple = rule.pad_to_multiple_of or 1
    padded = -(-count // multiple) * multiple
    places = {}
    for model in vocabularies:
        own, limit = vocabularies[model], rows[model]
        row_of = [-1] * count
        for token, number in tokens.items():
            if own.get(token, limit) < limit:
                row_of[number] = own[token]
        places[model] = tuple(row_of)
    gaps: dict[int, Row] = {}
    nowhere = []
    for token, number in tokens.items():
        said = rule.tokens.get(token)
        having = [model for model in merged if places[model][number] >= 0]
        if said is not None:
            gaps[number] = _as_said(token, said, places, number, vocabularies, rows)
        elif len(having) == len(merged):
            continue
        elif len(having) == 1:
            gaps[number] = Row(model=having[0], row=places[having[0]][number])
        elif base is not None and base in having:
            gaps[number] = Row(model=base, row=places[base][number])
        elif having:
            gaps[number] = Row(mean=True)
        else:
            gaps[number] = Row()
            nowhere.append(token)
    unknown = [token for token in rule.tokens if token not in tokens]
    if unknown:
        raise BadRecipe(f"tokenizer.tokens: the result has no token {unknown[0]!r}.", "Correct the recipe.")
    notes = (
        [f"{len(nowhere)} tokens have no embedding in any model and get zeros: {_some(nowhere)}."] if nowhere else []
    )
    return Alignment(tokens, padded, places, gaps, tuple(notes))


def _as_said(
    token: str,
    said: TokenRule,
    places: Mapping[ModelRef, tuple[int, ...]],
    number: int,
    vocabularies: Mapping[ModelRef, Mapping[str, int]],
    rows: Mapping[ModelRef, int],
) -> Row:
    if said.model is None:
        return Row(force=said.force)
    row = said.token_id
    if row is None:
        row = places[said.model][number] if said.token is None else vocabularies[said.model].get(said.token, -1)
    if not 0 <= row < rows[said.model]:
        raise BadRecipe(
            f"tokenizer.tokens[{token!r}]: {said.model} has no such token with an embedding.", "Name another source."
        )
    return Row(model=said.model, row=row, force=said.force)


def result_tokens(
    rule: TokenizerRule,
    base: ModelRef,
    models: list[ModelRef],
    rows: Mapping[ModelRef, int],
    vocabulary: Callable[[ModelRef], Mapping[str, int]],
) -> dict[str, int]:
    """The tokens of the result: of the base, of a model, or of all; then those that the recipe adds."""
    if isinstance(rule.source, ModelRef):
        found = dict(vocabulary(rule.source))
    elif rule.source == "base":
        found = {token: number for token, number in vocabulary(base).items() if number < rows[base]}
    else:
        ordered = [base, *(model for model in models if model != base)]
        found = union({model: vocabulary(model) for model in ordered}, rows)
    for token in rule.tokens:
        if token not in found:
            found[token] = max(found.values(), default=-1) + 1
    return found


def _some(tokens: list[str]) -> str:
    shown = ", ".join(map(repr, tokens[:3]))
    return shown if len(tokens) <= 3 else f"{shown} and {len(tokens) - 3} more"
