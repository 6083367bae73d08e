"""Chat templates: what a model's own is, and those that a user can pick for a model that has none.

A template is Jinja, as transformers renders it, and becomes a part of the tuned model. Ours are written for the model at hand: they begin
with the token that starts its documents, and every answer ends with a token that ends its generation. Their markers are ordinary text
wherever the tokenizer has no tokens of their own for them, so no embedding has to be added.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadModel, BadRecipe
from core.files import read_json


@dataclass(frozen=True)
class Template:
    """`jinja` has START, END and TURN_END where the model's own tokens go; TURN_END is `turn_end` where the tokenizer has that token."""

    title: str
    advice: str
    jinja: str
    turn_end: str | None = None


ROLES = ("system", "user", "assistant", "tool")


def _loop(*texts: str, before: str = "START") -> str:
    """The usual shape: one piece of text for each of the ROLES, CONTENT in it, and last what asks the model to answer."""
    *said, after = texts
    pieces = dict(zip(ROLES, said, strict=True))
    turns = "".join(
        "{%- " + ("if" if number == 0 else "elif") + f" m['role'] == '{role}' " + "-%}" + _written(text)
        for number, (role, text) in enumerate(pieces.items())
    )
    unknown = "{%- else -%}{{ raise_exception('This template knows no role ' + m['role']) }}{%- endif -%}"
    ask = "{%- if add_generation_prompt -%}" + _written(after) + "{%- endif -%}"
    return _written(before) + "{%- for m in messages -%}" + turns + unknown + "{%- endfor -%}" + ask


def _written(text: str) -> str:
    """Text as Jinja expressions, so that no white space of it is trimmed."""
    found = []
    for number, part in enumerate(text.split("CONTENT")):
        if number:
            found.append("{{- (m['content'] or '') | trim -}}")
        for place, piece in enumerate(_around(part)):
            if piece:
                found.append("{{- " + (piece if place % 2 else json.dumps(piece)) + " -}}")
    return "".join(found)


def _around(text: str) -> list[str]:
    """`text` cut at START, TURN_END and END, which stand at the odd places."""
    found, rest = [], text
    while rest:
        at, name = min((rest.find(name) % (len(rest) + 1), name) for name in ("START", "TURN_END", "END"))
        if at == len(rest):
            break
        found += [rest[:at], name]
        rest = rest[at + len(name) :]
    return [*found, rest]


_CHATML = "<|im_start|>{}\nCONTENTTURN_END\n"
_ALPACA = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)


def _with_default(system: str, default: str, loop: str) -> str:
    """`loop` behind a system prompt, or behind the format's usual one where the conversation has none."""
    none = "{%- if not messages or messages[0]['role'] != 'system' -%}" + _written(system.replace("CONTENT", default))
    return _written("START") + none + "{%- endif -%}" + loop


TEMPLATES: dict[str, Template] = {
    "plain": Template(
        "Plain",
        "names before each turn in ordinary words: few tokens, for models that have none for turns",
        _loop("CONTENT\n\n", "User: CONTENT\n", "Assistant: CONTENTEND\n", "Tool: CONTENT\n", "Assistant:"),
    ),
    "chatml": Template(
        "ChatML",
        "the most widely read format; best where the tokenizer has its tokens (<|im_start|>, <|im_end|>)",
        _loop(*(_CHATML.format(role) for role in ROLES), "<|im_start|>assistant\n"),
        turn_end="<|im_end|>",
    ),
    "zephyr": Template(
        "Zephyr",
        "roles as tags on lines of their own, every turn ended by the model's end token",
        _loop(*(f"<|{role}|>\nCONTENTEND\n" for role in ROLES), "<|assistant|>\n"),
    ),
    "llama2": Template(
        "Llama 2",
        "instructions between [INST] and [/INST], for models that were chat models of that family",
        _loop(
            "[INST] <<SYS>>\nCONTENT\n<</SYS>>\n\n",
            "{}CONTENT [/INST]",
            " CONTENT END",
            "{}CONTENT [/INST]",
            "",
            before="",
        ),
    ),
    "alpaca": Template(
        "Alpaca",
        "one instruction and its response under headings; for single questions",
        _with_default(
            "CONTENT\n\n",
            _ALPACA,
            _loop(
                "CONTENT\n\n",
                "### Instruction:\nCONTENT\n\n",
                "### Response:\nCONTENTEND\n\n",
                "### Input:\nCONTENT\n\n",
                "### Response:\n",
                before="",
            ),
        ),
    ),
    "vicuna": Template(
        "Vicuna",
        "USER and ASSISTANT in one line of prose",
        _with_default(
            "CONTENT",
            _VICUNA,
            _loop("CONTENT", " USER: CONTENT", " ASSISTANT: CONTENTEND", " TOOL: CONTENT", " ASSISTANT:", before=""),
        ),
    ),
}


def _llama2() -> str:
    """[INST] opens with a system prompt or with a user's turn, never with both."""
    opens = "{%- if loop.first or messages[loop.index0 - 1]['role'] != 'system' -%}" + _written("START[INST] ")
    opening = opens + "{%- endif -%}"
    jinja = TEMPLATES["llama2"].jinja.replace('{{- "[INST] <<SYS>>', '{{- START -}}{{- "[INST] <<SYS>>')
    return jinja.replace('{{- "{}" -}}', opening)


def settled(name: str, *, start: str, end: str, has_token: Callable[[str], bool]) -> str:
    """The Jinja text of one of TEMPLATES for a model whose documents begin with the token `start` (or "") and whose answers end with `end`.

    BadRecipe for a name that is none of them.
    """
    if name not in TEMPLATES:
        raise BadRecipe(f"There is no template {name!r}.", f"Choose one of {', '.join(TEMPLATES)}, or a .jinja file.")
    template = TEMPLATES[name]
    jinja = _llama2() if name == "llama2" else template.jinja
    turn_end = template.turn_end if template.turn_end is not None and has_token(template.turn_end) else end
    for word, token in (("START", start), ("TURN_END", turn_end), ("END", end)):
        jinja = jinja.replace("{{- " + word + " -}}", "{{- " + json.dumps(token) + " -}}" if token else "")
    return jinja


def own_template(folder: Path) -> str | None:
    """The chat template that a model folder brings, as Jinja text; None without one. BadModel if its files can't be read."""
    file = folder / "chat_template.jinja"
    try:
        if file.is_file():
            return file.read_text(encoding="utf-8")
        if not (folder / "tokenizer_config.json").is_file():
            return None
        said = read_json(folder / "tokenizer_config.json")
    except (OSError, ValueError) as error:
        raise BadModel(
            f"The chat template of {folder} can't be read: {error}.", "Fetch the tokenizer again."
        ) from error
    found = said.get("chat_template") if isinstance(said, dict) else None
    if isinstance(found, list):  # several by name, as older models have them
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = named.get("default") or next(iter(named.values()), None)
    return found if isinstance(found, str) and found.strip() else None


def propose(has_token: Callable[[str], bool]) -> tuple[str, str]:
    """The template for a model that has none, with the reason."""
    if has_token("<|im_start|>") and has_token("<|im_end|>"):
        return "chatml", "the model has no chat template, and its tokenizer has the tokens of ChatML"
    return "plain", "the model has no chat template, and its tokenizer has no tokens for turns"
