"""Conversations as a model will see them: its chat template filled in, special tokens told apart, and what is learnt.

Only Jinja and the tokenizer's own file are needed, so the window can show a preview without an engine.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.data.turns import Example, Turn, plain_parts, plain_text
from core.errors import BadModel, Trouble
from core.files import read_json
from core.templates import TEMPLATES, own_template, settled

if TYPE_CHECKING:
    from jinja2 import Template
    from tokenizers import Tokenizer

BEGIN, END = "\ufdd0", "\ufdd1"  # around what a template marks as generated: no text holds these (Unicode, 23.7)
SPECIALS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class TemplateTrouble(Trouble):
    """A chat template that is broken, or refuses a conversation."""


@dataclass(frozen=True)
class Rendered:
    """A text with the characters that are learnt, as (from, to) in order; `notes` say what the template did to it."""

    text: str
    learnt: tuple[tuple[int, int], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """A piece of a rendered text: a special token or not, learnt or not."""

    text: str
    special: bool
    learnt: bool


# --------------------------------------------------------------------------------------------------------- the template


class ChatTemplate:
    """A chat template as transformers reads it: Jinja with loop controls, `raise_exception`, `strftime_now`, and blocks of
    `{% generation %}` around what the assistant says.
    """

    def __init__(self, source: str, specials: dict[str, str] | None = None, name: str = "the chat template") -> None:
        self.name = name
        self._specials = specials or {}
        self._template, self._marks = _compiled(source, name)

    @classmethod
    def of(cls, folder: Path) -> ChatTemplate | None:
        """The template of a model folder; None if it has none. TemplateTrouble if it is broken."""
        source = own_template(folder)
        return None if source is None else cls(source, special_tokens(folder), f"The chat template of {folder}")

    @classmethod
    def picked(cls, name: str, folder: Path, has_token: Callable[[str], bool]) -> ChatTemplate:
        """One of `core.templates` by name, or of a .jinja file, filled in for the model of a folder."""
        specials = special_tokens(folder)
        if name not in TEMPLATES and Path(name).suffix == ".jinja":
            try:
                return cls(Path(name).read_text(encoding="utf-8"), specials, f"The chat template {name}")
            except (OSError, ValueError) as error:
                raise TemplateTrouble(f"{name} can't be read: {error}.", "Choose another template.") from error
        start, end = specials.get("bos_token", ""), specials.get("eos_token", "")
        return cls(settled(name, start=start, end=end, has_token=has_token), specials, f"The template {name}")

    def text(self, turns: Sequence[Turn], tools: str = "", *, generation: bool = False) -> str:
        """The conversation as one text; with `generation`, up to where the assistant is to speak next."""
        return self._filled(turns, tools, generation).replace(BEGIN, "").replace(END, "")

    def render(self, turns: Sequence[Turn], tools: str = "") -> Rendered:
        """The conversation with the places that are learnt. TemplateTrouble if the template refuses it.

        Places come from the template's own marks if it has any; else from what each answer adds to the text before it;
        and where a template writes earlier turns otherwise, from the answers' own words.
        """
        marked = self._filled(turns, tools, generation=False)
        if self._marks:
            text, spans = _unmarked(marked)
            answers = [turn for turn in turns if turn.role == "assistant"]
            if len(spans) == len(answers):
                spans = [span for span, turn in zip(spans, answers, strict=True) if turn.learnt]
        else:
            text, spans = marked, self._spans(marked, turns, tools)
        return Rendered(text, tuple(spans), tuple(_dropped(text, turns)))

    def _filled(self, turns: Sequence[Turn], tools: str, generation: bool) -> str:
        from jinja2 import TemplateError

        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return self._template.render(
                messages=messages,
                tools=_tools(tools),
                documents=None,
                add_generation_prompt=generation,
                **self._specials,
            )
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            raise TemplateTrouble(
                f"{self.name} refuses a conversation: {error}.", "Mend the conversation, or choose another template."
            ) from error

    def _spans(self, text: str, turns: Sequence[Turn], tools: str) -> list[tuple[int, int]]:
        spans, at = [], 0
        for number, turn in enumerate(turns):
            place = self._added(text, turns, number, tools) or _own_words(text, turn, at)
            if place is None:
                continue
            at = place[1]
            if turn.learnt and place[0] < place[1]:
                spans.append(place)
        return spans

    def _added(self, text: str, turns: Sequence[Turn], number: int, tools: str) -> tuple[int, int] | None:
        """What a turn added to the text that came before it, if the whole text begins so."""
        if not turns[number].learnt:
            return None
        try:
            before = self.text(turns[:number], tools, generation=turns[number].role == "assistant")
            after = self.text(turns[: number + 1], tools)
        except TemplateTrouble:
            return None
        if not (text.startswith(after) and after.startswith(before) and turns[number].content.strip() in after):
            return None
        return len(before), len(after)


def _own_words(text: str, turn: Turn, at: int) -> tuple[int, int] | None:
    words = turn.content.strip()
    start = text.find(words, at)
    return None if start < 0 or not words else (start, start + len(words))


def _dropped(text: str, turns: Sequence[Turn]) -> list[str]:
    """The roles whose words are not in the text: a template may drop them without a word."""
    lost = {turn.role: None for turn in turns if turn.content.strip() and turn.content.strip() not in text}
    named = {
        "system": "the system prompt",
        "user": "what the user says",
        "assistant": "answers",
        "tool": "what tools say",
    }
    return [f"The template drops or changes {named[role]}." for role in lost]


def _unmarked(marked: str) -> tuple[str, list[tuple[int, int]]]:
    parts = re.split(f"([{BEGIN}{END}])", marked)
    text, spans, begin = "", [], 0
    for part in parts:
        if part == BEGIN:
            begin = len(text)
        elif part == END:
            spans.append((begin, len(text)))
        else:
            text += part
    return text, spans


def _tools(tools: str) -> Any:
    if not tools:
        return None
    try:
        return json.loads(tools)
    except ValueError:
        return None


def _compiled(source: str, name: str) -> tuple[Template, bool]:
    """The template, and whether it marks what is generated."""
    import jinja2
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012 - Jinja reads it from the class

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

        def _mark(self, caller: Callable[[], str]) -> str:
            return f"{BEGIN}{caller()}{END}"

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    def as_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **rest: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **rest)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    try:
        return environment.from_string(source), bool(re.search(r"\{%-?\s*generation\s*-?%\}", source))
    except jinja2.TemplateSyntaxError as error:
        raise TemplateTrouble(
            f"{name} is broken in line {error.lineno}: {error.message}.", "Mend or replace it."
        ) from error


def _settings(folder: Path) -> dict[str, Any]:
    """`tokenizer_config.json`, beside what `special_tokens_map.json` says."""
    found: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        try:
            read = read_json(folder / name)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise BadModel(f"{folder / name} can't be read: {error}.", "Fetch the model again.") from error
        found |= read if isinstance(read, dict) else {}
    return found


def special_tokens(folder: Path) -> dict[str, str]:
    """The model's special tokens by the names that templates use: bos_token, eos_token …"""
    settings = _settings(folder)
    named = {name: settings.get(name) for name in SPECIALS}
    texts = {name: value.get("content") if isinstance(value, dict) else value for name, value in named.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


# -------------------------------------------------------------------------------------------------------------- a model


@dataclass(frozen=True)
class Reader:
    """A model's way of seeing data: its tokenizer, and its chat template if it has one."""

    tokenizer: Tokenizer
    template: ChatTemplate | None
    specials: re.Pattern[str] | None

    @classmethod
    def of(cls, folder: Path, template: str | None = None) -> Reader:
        """With the model's own chat template, or the one that is picked: a name of `core.templates`, or a .jinja file.

        BadModel if the folder has no tokenizer that can be read by itself.
        """
        from tokenizers import Tokenizer

        file = folder / "tokenizer.json"
        if not file.is_file():
            raise BadModel(f"{folder} has no tokenizer.json.", "Choose a model folder that has one.")
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:
            raise BadModel(f"{file} can't be read as a tokenizer: {error}.", "Fetch the model again.") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
        longest_first = sorted(filter(None, special), key=len, reverse=True)
        pattern = re.compile(f"({'|'.join(map(re.escape, longest_first))})") if longest_first else None
        if template is None:
            return cls(tokenizer, ChatTemplate.of(folder), pattern)
        picked = ChatTemplate.picked(template, folder, lambda token: tokenizer.token_to_id(token) is not None)
        return cls(tokenizer, picked, pattern)

    def views(self, example: Example) -> list[tuple[str, Rendered]]:
        """How the example is seen, by name: one text, or the chosen and the rejected one of a pair."""
        if self.template is None or example.kind == "text":
            return [("", plain_view(example))]
        if example.kind == "preference":
            sides = (("chosen", example.chosen), ("rejected", example.rejected))
            return [(name, self.template.render((*example.turns, *side), example.tools)) for name, side in sides]
        return [("", self.template.render(example.turns, example.tools))]

    def texts(self, example: Example) -> list[str]:
        """The texts of the views, without looking for what is learnt."""
        if self.template is None or example.kind == "text":
            return [plain_text(example)]
        if example.kind == "preference":
            sides = (example.chosen, example.rejected)
            return [self.template.text((*example.turns, *side), example.tools) for side in sides]
        return [self.template.text(example.turns, example.tools)]

    def tokens(self, rendered: Rendered, *, framed: bool) -> tuple[int, int]:
        """Tokens of a text, and those that hold a learnt character. `framed`: with what the tokenizer adds by itself."""
        found = self.tokenizer.encode(rendered.text, add_special_tokens=framed)
        spans = rendered.learnt
        learnt = (
            sum(any(begin < to and end > start for start, to in spans) for begin, end in found.offsets) if spans else 0
        )
        return len(found.ids), learnt

    def segments(self, rendered: Rendered) -> list[Segment]:
        return segments_of(rendered, self.specials)


def plain_view(example: Example) -> Rendered:
    """Without a chat template: the plain text that distillation reads."""
    text, spans = "", []
    for part, learnt in plain_parts(example):
        if learnt and part:
            spans.append((len(text), len(text) + len(part)))
        text += part
    return Rendered(text, tuple(spans))


def segments_of(rendered: Rendered, specials: re.Pattern[str] | None = None) -> list[Segment]:
    """The text in pieces that are alike in both respects."""
    cuts = {0, len(rendered.text), *(at for span in rendered.learnt for at in span)}
    special = [match.span() for match in specials.finditer(rendered.text)] if specials else []
    cuts |= {at for span in special for at in span}
    places = sorted(cuts)

    def within(at: int, spans: Sequence[tuple[int, int]]) -> bool:
        return any(start <= at < end for start, end in spans)

    return [
        Segment(rendered.text[start:end], within(start, special), within(start, rendered.learnt))
        for start, end in itertools.pairwise(places)
    ]
