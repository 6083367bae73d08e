"""How data are put in words: formats, containers, amounts."""

from __future__ import annotations

import re

from PySide6.QtCore import QCoreApplication

translate = QCoreApplication.translate


def format_word(name: str) -> str:
    """A spelling of rows, as people call it."""
    words = {
        "alpaca": translate("data", "Alpaca"),
        "sharegpt": translate("data", "ShareGPT"),
        "messages": translate("data", "Chat messages"),
        "preference": translate("data", "Preference pairs"),
        "prompt-completion": translate("data", "Prompt, completion"),
        "question-answer": translate("data", "Question, answer"),
        "questions": translate("data", "Questions"),
        "prompts": translate("data", "Prompts"),
        "text": translate("data", "Text"),
        "markdown": translate("data", "Markdown"),
        "table": translate("data", "Unknown columns"),
    }
    return words.get(name, name)


def container_word(name: str, compression: str) -> str:
    """How rows lie in the file."""
    words = {
        "json": "JSON",
        "jsonl": translate("data", "JSON lines"),
        "csv": "CSV",
        "parquet": "Parquet",
        "arrow": "Arrow",
        "zip": "zip",
        "text": translate("data", "plain text"),
        "markdown": "Markdown",
    }
    said = words.get(name, name)
    return f"{said}, {compression}" if compression and compression != name else said


def amount_text(kind: str, count: int, *, exact: bool = True) -> str:
    """So many of what the rows are."""
    one = {
        "conversation": translate("data", "1 conversation"),
        "preference": translate("data", "1 pair"),
        "questions": translate("data", "1 question"),
    }
    more = {
        "conversation": translate("data", "%s conversations"),
        "preference": translate("data", "%s pairs"),
        "questions": translate("data", "%s questions"),
    }
    if count == 1 and exact:
        return one.get(kind, translate("data", "1 document"))
    return more.get(kind, translate("data", "%s documents")) % count_words(count, exact=exact)


def count_words(count: int, *, exact: bool = True) -> str:
    """A count, or what it is at the least."""
    return f"{count:,}" if exact else translate("data", "≥ %s") % f"{count:,}"


def sentence(text: str) -> str:
    """A finding of the engine as a sentence of its own."""
    whole = quoted(f"{text[:1].upper()}{text[1:]}")
    return whole if whole.endswith((".", "!", "?")) else f"{whole}."


def quoted(text: str) -> str:
    """Names of columns between quotation marks, as people write them."""
    return re.sub(r"`([^`]*)`", r"“\1”", text)
