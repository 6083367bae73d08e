"""From rows of any data to what a tuning reads: conversations rendered by a chat template, with the tokens that are learnt.

Which tokens those are is not left to the template's {% generation %} marks, which few have: the conversation is rendered once with a mark in
the place of each content, so what the template writes between contents is known to the letter, and where each content stands follows.
A turn of the assistant is learnt from where the template asks for an answer to the token that ends it, that token included.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import jinja2
import numpy as np
from transformers import PreTrainedTokenizerBase

from core.data.examples import Broken, Example, Turn, examples
from core.data.placeholders import filled
from core.engine.text import FEW_DOCUMENTS, Blocks, Corpus, Framing, pieces_of, predicted_bytes, token_spans
from core.errors import BadData, BadModel
from core.tune import TuneRecipe
from core.tune_checks import unfilled

_MARK = "Q{}Z7X"
_MARKS = re.compile(r"Q(\d+)Z7X")
CHECKED_EVERY = 64


@dataclass(frozen=True)
class Row:
    """A row in tokens: `ids`, which of them are learnt, and the bytes of text that the learnt ones stand for."""

    ids: np.ndarray
    learnt: np.ndarray
    size: int
    whole: bool  # it may not be cut in parts, each of which would lose what was said before
    prompt: int = 0  # ids before the first that is learnt


@dataclass(frozen=True)
class Span:
    """Characters of a rendered conversation that are learnt."""

    begin: int
    end: int
    ended: bool  # a token that ends the turn is the last of them


class Template:
    """A tokenizer's chat template at work. `ends` gathers the tokens that end the assistant's turns."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, end: int | None) -> None:
        if not tokenizer.is_fast:
            raise BadModel(
                f"The tokenizer of {tokenizer.name_or_path} does not say which characters its tokens stand for.",
                "Convert it to a fast one (tokenizer.json), or choose another model.",
            )
        self.tokenizer, self.end = tokenizer, end
        specials = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        specials |= set(tokenizer.all_special_tokens)
        found = "|".join(re.escape(each) for each in sorted(specials, key=len, reverse=True) if each)
        self._closing = re.compile(rf"\s*({found})") if found else None
        self.ends: Counter[int] = Counter()
        self.dropped_systems = 0
        self.unended = 0
        self.asked_otherwise = 0

    def render(self, turns: Sequence[Turn], place: str, tools: str = "", *, ask: bool = False) -> str:
        """The text of a conversation, as the model sees it. BadData names the row that the template refuses."""
        said = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return self.tokenizer.apply_chat_template(
                said, tools=json.loads(tools) if tools else None, tokenize=False, add_generation_prompt=ask
            )
        except (jinja2.exceptions.TemplateError, TypeError, ValueError) as error:
            raise BadData(
                f"The chat template refuses the conversation of {place}: {str(error).rstrip('.')}.",
                "Mend the row, leave broken rows out (--skip-broken), or choose another template.",
            ) from error

    def spans(self, turns: Sequence[Turn], place: str, tools: str = "") -> tuple[str, list[Span]]:
        """The rendered conversation, and what of it is learnt: one span for each learnt turn that says something."""
        text = self.render(turns, place, tools)
        marked = [replace(turn, content=_MARK.format(number)) for number, turn in enumerate(turns)]
        pieces = _MARKS.split(self.render(marked, place, tools))
        where = _places(text, pieces, turns, place)
        self.dropped_systems += any(turn.role == "system" and number not in where for number, turn in enumerate(turns))
        found = []
        for number, turn in enumerate(turns):
            if not turn.learnt or not turn.content.strip():
                continue
            if number not in where:
                raise BadData(
                    f"The chat template leaves out an answer of {place}.", "Choose another template (--template)."
                )
            found.append(self._span(text, where[number], turns[:number], place, tools))
        return text, found

    def _span(self, text: str, at: tuple[int, int], before: Sequence[Turn], place: str, tools: str) -> Span:
        begin, end = at
        asked = self.render(before, place, tools, ask=True)
        if len(asked) <= begin and text.startswith(asked):
            begin = len(asked)
        else:
            self.asked_otherwise += 1
        closing = self._closing.match(text, end) if self._closing else None
        if closing is None:
            self.unended += 1
            return Span(begin, end, False)
        self.ends[self.tokenizer.convert_tokens_to_ids(closing[1])] += 1
        return Span(begin, closing.end(), True)

    def row(self, turns: Sequence[Turn], place: str, tools: str = "", *, everything: bool = False) -> Row:
        """A conversation in tokens. Where the template ends no turn, the model's own end token is put behind the last one and learnt."""
        text, spans = self.spans(turns, place, tools)
        read = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans_N2 = token_spans(read.offset_mapping)
        learnt = np.zeros(len(spans_N2), bool)
        for span in spans:
            learnt |= (spans_N2[:, 0] < span.end) & (spans_N2[:, 1] > span.begin)
        ids, size = list(read.input_ids), sum(len(text[span.begin : span.end].encode()) for span in spans)
        if everything:
            learnt[:], size = True, len(text.encode())
        if spans and not spans[-1].ended and turns[-1].learnt and self.end is not None:
            ids.append(self.end)
            learnt = np.append(learnt, True)
            self.ends[self.end] += 1
        learnt[:1] = False
        first = int(learnt.argmax()) if learnt.any() else len(ids)
        return Row(np.asarray(ids, np.int32), learnt, max(1, size), True, first)


def _places(text: str, pieces: list[str], turns: Sequence[Turn], place: str) -> dict[int, tuple[int, int]]:
    """Where the contents stand in the rendered text: from, to, by turn. `pieces` is the marked rendering, cut at its marks.

    BadData if the template changes contents beyond the white space around them.
    """
    found: dict[int, tuple[int, int]] = {}
    at = len(pieces[0])
    for number, after in zip(map(int, pieces[1::2]), pieces[2::2], strict=True):
        content = turns[number].content
        written = next(
            (
                each
                for each in (content, content.strip(), content.lstrip(), content.rstrip())
                if text.startswith(each + after, at)
            ),
            None,
        )
        if written is None:
            raise BadData(
                f"The chat template does not write what is said in {place} as it stands, so what is learnt can't be told apart.",
                "Choose another template (--template), or mend the row.",
            )
        found[number] = (at, at + len(written))
        at += len(written) + len(after)
    return found


@dataclass
class Rows:
    """All rows of the data, on their two sides; of preference pairs the better ones, and the worse ones in the same order."""

    training: list[Row] = field(default_factory=list)
    held_out: list[Row] = field(default_factory=list)
    worse_training: list[Row] = field(default_factory=list)
    worse_held_out: list[Row] = field(default_factory=list)
    silent: int = 0  # rows without anything to learn
    broken: Broken = field(default_factory=Broken)


def read_rows(
    recipe: TuneRecipe,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    template: Template,
    pause: Callable[[], None],
) -> Rows:
    """Every row in tokens, on the side where its text and the seed put it; BadData, with the row's place, for what can't be used."""
    rows = Rows()
    spare: list[tuple[float, bool, int]] = []  # the training row that comes closest to being held out
    share = _held_out_share(recipe)
    for number, example in enumerate(_in_pieces(filled_rows(recipe, rows.broken))):
        if number % CHECKED_EVERY == 0:
            pause()
        try:
            made = _made(recipe, example, tokenizer, framing, template)
        except BadData as trouble:
            if not recipe.skip_broken:
                raise
            rows.broken.add(trouble)
            continue
        if made is None:
            rows.silent += 1
            continue
        better, worse = made
        lot = _lot(better, recipe.seed)
        held = lot < share and len(rows.held_out) < recipe.most_held_out
        if not held and (not spare or lot < spare[0][0]):
            spare = [(lot, worse is not None, len(rows.training))]
        (rows.held_out if held else rows.training).append(better)
        if worse is not None:
            (rows.worse_held_out if held else rows.worse_training).append(worse)
    if not rows.held_out and spare and len(rows.training) > 1:
        _, pair, place = spare[0]
        rows.held_out.append(rows.training.pop(place))
        if pair:
            rows.worse_held_out.append(rows.worse_training.pop(place))
    if not rows.training or not rows.held_out:
        raise _too_little(recipe, rows)
    return rows


def _in_pieces(stream: Iterator[Example]) -> Iterator[Example]:
    """The rows; where they are but a few texts (a book without separators, say), pieces of them, so that some can be held out."""
    first = list(itertools.islice(stream, FEW_DOCUMENTS))
    few = len(first) < FEW_DOCUMENTS
    for example in itertools.chain(first, stream):
        if few and example.kind == "text":
            yield from (replace(example, text=piece) for piece in pieces_of(example.text))
        else:
            yield example


def _too_little(recipe: TuneRecipe, rows: Rows) -> BadData:
    where = ", ".join(recipe.data)
    if rows.silent and not rows.training:
        return BadData(f"None of the {rows.silent} rows in {where} has an answer to learn.", "Choose other data.")
    count = len(rows.training) + len(rows.held_out)
    return BadData(f"{where} has {count} row(s) to learn, too few to hold one out.", "Choose more data.")


def _held_out_share(recipe: TuneRecipe) -> float:
    """The share of rows that gives at most so many as are wanted; the data is counted first."""
    count = sum(1 for _ in examples(recipe.data, mapping=recipe.mapping, separator=recipe.separator, skip_broken=True))
    return min(recipe.held_out, recipe.most_held_out / max(1, count))


def filled_rows(recipe: TuneRecipe, broken: Broken) -> Iterator[Example]:
    """The rows with their placeholders filled. BadData for one that is not."""
    stream = examples(
        recipe.data, mapping=recipe.mapping, separator=recipe.separator, skip_broken=recipe.skip_broken, broken=broken
    )
    fillings = {mark: filling for mark, filling in recipe.placeholders().items() if filling is not None}

    for example in stream:
        if (mark := unfilled(recipe, example)) is not None:
            name = f"--persona-{mark.strip('{}')}"
            raise BadData(f"{_capital(example.place)} has {mark}.", f"Say what it stands for ({name}).")
        yield filled(example, fillings)


def _made(
    recipe: TuneRecipe,
    example: Example,
    tokenizer: PreTrainedTokenizerBase,
    framing: Framing,
    template: Template,
) -> tuple[Row, Row | None] | None:
    """The row, or the pair, in tokens; None if there is nothing to learn in it."""
    if recipe.prefers != (example.kind == "preference"):
        wanted = "a pair of a better and a worse answer" if recipe.prefers else "a conversation or text"
        raise BadData(
            f"{_capital(example.place)} is no {wanted.removeprefix('a ')} ({example.kind}).",
            f"Leave it out, or choose the objective {'sft' if recipe.prefers else 'dpo or orpo'}.",
        )
    if recipe.prefers:
        pair = [
            template.row((*_mute(example.turns), *_learnt(side)), example.place, example.tools)
            for side in (example.chosen, example.rejected)
        ]
        return (pair[0], pair[1]) if all(row.learnt.any() for row in pair) else None
    if example.kind == "text":
        ids = framing.wrap(tokenizer(example.text, add_special_tokens=False).input_ids)
        learnt = np.ones(len(ids), bool)
        learnt[:1] = False
        size = predicted_bytes(example.text, ids, framing, tokenizer)
        return (Row(np.asarray(ids, np.int32), learnt, size, False), None) if learnt.any() else None
    row = template.row(example.turns, example.place, example.tools, everything=recipe.learn == "all")
    return (row, None) if row.learnt.any() else None


def _mute(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    return tuple(replace(turn, learnt=False) for turn in turns)


def _learnt(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    return tuple(replace(turn, learnt=turn.role == "assistant") for turn in turns)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lot(row: Row, seed: int) -> float:
    """A number in [0, 1) drawn by the row's tokens and the seed, so that equal rows never stand on both sides."""
    prompt = row.ids[: row.prompt] if row.prompt else row.ids
    digest = hashlib.blake2b(prompt.tobytes(), digest_size=8, key=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little") / 2**64


@dataclass(frozen=True)
class Cut:
    """What the longest row that is read did to rows: how many were cut at their end, and how many left out."""

    truncated: int = 0
    dropped: int = 0


def fit(rows: list[Row], length: int, too_long: str) -> tuple[list[Row | None], Cut]:
    """Rows of at most `length` tokens; None for those that are left out. Plain text stays whole, for it is trained in parts."""
    truncated = dropped = 0
    found: list[Row | None] = []
    for row in rows:
        if len(row.ids) <= length or not row.whole:
            found.append(row)
        elif too_long == "drop" or not row.learnt[:length].any():
            dropped += 1
            found.append(None)
        else:
            truncated += 1
            size = max(1, round(row.size * row.learnt[:length].sum() / row.learnt.sum()))
            found.append(replace(row, ids=row.ids[:length], learnt=row.learnt[:length], size=size))
    return found, Cut(truncated, dropped)


def corpus_of(rows: Sequence[Row]) -> Corpus:
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row.ids) for row in rows], out=offsets[1:])
    sizes = np.asarray([row.size for row in rows], dtype=np.int64)
    return Corpus(
        np.concatenate([row.ids for row in rows]), offsets, sizes, np.concatenate([row.learnt for row in rows])
    )


def prompts_of(corpus: Corpus, count: int, beginning: int = 10) -> list[list[int]]:
    """What the first rows ask: their tokens before the first that is learnt, or of plain text its beginning."""
    found = []
    for index in itertools.islice(range(len(corpus)), count):
        learnt = corpus.targets(index, 0, len(corpus[index]))
        first = int(learnt.argmax())
        found.append([int(token) for token in corpus[index][: first if first > 1 else beginning]])
    return found


class CountedBlocks(Blocks):
    """As many blocks as so many steps take, whatever tokens they hold."""

    def __init__(
        self, corpus: Corpus, length: int, steps: int, per_step: int, seed: int, pad: int, alone: bool
    ) -> None:
        blocks = steps * per_step
        fullest = int(corpus.lengths.max()) if alone else length
        super().__init__(corpus, length, blocks * min(length, fullest), per_step, seed, pad, alone)
        del self._blocks[blocks:]
        self._tokens_before = self._tokens_before[: blocks + 1]
        self.tokens = int(self._tokens_before[-1])
        self.epochs = self.tokens / corpus.tokens
