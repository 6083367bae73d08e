"""Placeholders in data: {{name}} and {{author}} stand for somebody until a tuning says who that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.data.turns import Example, Turn

NAME, AUTHOR = "{{name}}", "{{author}}"


def placeholders_in(row: Example) -> list[str]:
    """Those that are written anywhere in the row."""
    said = "\n".join([row.text, *(turn.content for turn in (*row.turns, *row.chosen, *row.rejected))])
    return [mark for mark in (NAME, AUTHOR) if mark in said]


def filled(row: Example, fillings: Mapping[str, str]) -> Example:
    """The row with what stands for each placeholder in its place."""
    if not fillings:
        return row

    def fill(text: str) -> str:
        for mark, filling in fillings.items():
            text = text.replace(mark, filling)
        return text

    def said(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
        return tuple(replace(turn, content=fill(turn.content)) for turn in turns)

    chosen, rejected = said(row.chosen), said(row.rejected)
    return replace(row, text=fill(row.text), turns=said(row.turns), chosen=chosen, rejected=rejected)
