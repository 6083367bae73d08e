"""A chart of lines in braille characters, two by four dots to a character, for the terminal.

plotext would draw it too, but its sixth version has nothing left of the fifth's interface and brings a compiled
kernel; this is all that a loss curve needs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # Unicode's bits of a braille cell, by row and column
EMPTY = 0x2800


@dataclass(frozen=True)
class Line:
    """A named series; points whose y is None are gaps."""

    name: str
    colour: str
    xs: Sequence[float]
    ys: Sequence[float | None]

    @property
    def points(self) -> list[tuple[float, float]]:
        return [
            (x, y)
            for x, y in zip(self.xs, self.ys, strict=True)
            if y is not None and math.isfinite(y) and math.isfinite(x)
        ]


@dataclass
class _Canvas:
    """Dots on a grid of `width` by `height` characters; dot (0, 0) is at the lower left."""

    width: int
    height: int
    bits: dict[tuple[int, int], int] = field(default_factory=dict)
    colours: dict[tuple[int, int], str] = field(default_factory=dict)

    def dot(self, x: int, y: int, colour: str) -> None:
        row, column = self.height - 1 - y // 4, x // 2
        self.bits[row, column] = self.bits.get((row, column), 0) | DOTS[3 - y % 4][x % 2]
        self.colours[row, column] = colour

    def segment(self, start: tuple[int, int], end: tuple[int, int], colour: str) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(steps + 1):
            share = step / steps
            x = round(start[0] + (end[0] - start[0]) * share)
            self.dot(x, round(start[1] + (end[1] - start[1]) * share), colour)

    def row(self, row: int) -> list[tuple[str, str]]:
        """The characters of a row, each with its colour."""
        return [
            (chr(EMPTY + self.bits[row, column]), self.colours[row, column])
            if (row, column) in self.bits
            else (" ", "")
            for column in range(self.width)
        ]


def chart(lines: Sequence[Line], width: int = 80, height: int = 12, x_name: str = "step") -> Text:
    """The lines in one frame of at most `width` by `height` characters, each named with its last value where it ends.

    The scale spans all values. Where several points share a column of dots, all are drawn, so that no peak is lost.
    """
    from rich.text import Text

    drawn = [line for line in lines if line.points]
    if not drawn:
        return Text("no points yet")
    low_x, high_x = _span([x for line in drawn for x, _ in line.points])
    low_y, high_y = _span([y for line in drawn for _, y in line.points])
    names = {line.name: f"{line.name} {line.points[-1][1]:.3f}" for line in drawn}
    margin = max(len(f"{value:.2f}") for value in (low_y, high_y))
    canvas = _Canvas(max(10, width - margin - 3 - max(map(len, names.values()))), max(3, height - 1))
    ends: dict[int, tuple[str, str]] = {}
    for line in drawn:
        dots = [
            (
                round((x - low_x) / (high_x - low_x) * (2 * canvas.width - 1)),
                round((y - low_y) / (high_y - low_y) * (4 * canvas.height - 1)),
            )
            for x, y in line.points
        ]
        dots = _outline(dots)
        for start, end in zip(dots, dots[1:] or dots, strict=False):
            canvas.segment(start, end, line.colour)
        ends[_free_row(ends, canvas.height - 1 - dots[-1][1] // 4, canvas.height)] = names[line.name], line.colour
    text = Text()
    for row in range(canvas.height):
        value = {0: f"{high_y:.2f}", canvas.height - 1: f"{low_y:.2f}"}.get(row, "")
        text.append(f"{value:>{margin}} ┤" if value else f"{'':{margin}} │")
        for colour, cells in itertools.groupby(canvas.row(row), key=lambda cell: cell[1]):
            text.append("".join(character for character, _ in cells), colour)
        name, colour = ends.get(row, ("", ""))
        text.append(f" {name}\n", colour)
    axis = f"{low_x:g}".ljust(canvas.width - len(f"{high_x:g}")) + f"{high_x:g}"
    text.append(f"{'':{margin}}  {axis} {x_name}")
    return text


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _outline(dots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same drawing from at most four dots a column: where it comes in, its lowest, its highest, where it leaves."""
    outline = []
    for x, column in itertools.groupby(dots, key=lambda dot: dot[0]):
        ys = [y for _, y in column]
        outline += [(x, y) for y in (ys[0], min(ys), max(ys), ys[-1])] if len(ys) > 4 else [(x, y) for y in ys]
    return outline


def _free_row(taken: dict[int, tuple[str, str]], wanted: int, rows: int) -> int:
    """The row nearest to `wanted` that has no name yet."""
    return min((row for row in range(rows) if row not in taken), key=lambda row: abs(row - wanted), default=wanted)
