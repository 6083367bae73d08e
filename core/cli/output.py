"""Where words go. A person reads tables on standard output; a script reads one JSON object there, as the last line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 400  # columns for a reader that is no terminal: nothing is cut or wrapped there


class Output:
    """`say` and `table` go to standard output, or to standard error when --json keeps that for the result."""

    def __init__(self, *, json: bool) -> None:
        self.json = json

    @property
    def report_stream(self) -> IO[str]:
        return sys.stderr if self.json else sys.stdout

    @property
    def live(self) -> bool:
        """Whether a picture may be redrawn in place."""
        return sys.stderr.isatty() and not self.json

    def note(self, text: str) -> None:
        """Progress and remarks."""
        print(text, file=sys.stderr, flush=True)

    def say(self, text: str = "") -> None:
        print(text, file=self.report_stream, flush=True)

    def show(self, renderable: Any) -> None:
        """Something of rich's, in colour where the stream is a terminal."""
        self.console().print(renderable)

    def console(self, stream: IO[str] | None = None) -> Console:
        from rich.console import Console

        stream = stream or self.report_stream
        return Console(file=stream, width=None if stream.isatty() else WIDE, markup=False, highlight=False, emoji=False)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
        """Rows under a head; columns named in `right` are aligned to the right. The last column may be folded."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for name in head:
            last = name == head[-1]
            table.add_column(
                name,
                justify="right" if name in right else "left",
                no_wrap=not last,
                overflow="fold" if last else "ellipsis",
            )
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        if self.report_stream.isatty():
            self.show(table)
            return
        console = self.console()
        with console.capture() as captured:
            console.print(table)
        for line in captured.get().splitlines():  # no trailing blanks in pipes and files
            self.say(line.rstrip())

    def result(self, value: dict[str, Any]) -> None:
        """The answer for a script; nothing without --json. What JSON can't say (NaN, infinity) becomes null."""
        if self.json:
            from core.events import finite

            # ASCII only: paths survive any terminal encoding, and names that are no valid text as well
            print(json.dumps(finite(value), allow_nan=False, default=str), flush=True)

    def failure(self, what: str, way_out: str) -> None:
        self.note(f"{what} {way_out}".strip())
        self.result({"error": what, "way_out": way_out})
