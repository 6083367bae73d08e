"""The first rows of data as a model will see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from core.data.containers import container_of, head_of, is_text
from core.data.examples import example_at, refuse_unknown_fields
from core.data.files import data_files, sources
from core.data.flaws import flaws_of
from core.data.rendering import Reader, Rendered, Segment, TemplateTrouble, plain_view, segments_of
from core.data.turns import Example
from core.errors import BadData

LONGEST_SHOWN = 4000  # characters of a text


@dataclass(frozen=True)
class Shown:
    """A row to look at. `name` says which side of a pair it is; tokens are None without a model."""

    place: str
    kind: str
    format: str
    name: str
    segments: tuple[Segment, ...]
    tokens: int | None
    learnt_tokens: int | None
    notes: tuple[str, ...]


def preview(
    paths: Sequence[str],
    reader: Reader | None = None,
    *,
    count: int = 5,
    mapping: Mapping[str, str] | None = None,
    separator: str | None = None,
    context: int | None = None,
    change: Callable[[Example], Example] = lambda row: row,
) -> list[Shown]:
    """The first `count` rows of the data, quickly however big it is; a row that can't be read says so in its notes.

    `change` is what is done to each row before the model sees it.
    """
    refuse_unknown_fields(mapping)
    rows = islice(_rows(paths, count, mapping, separator), count)
    changed = (row if isinstance(row, BadData) else change(row) for row in rows)
    return [shown for row in changed for shown in _shown(row, reader, context)]


def _rows(
    paths: Sequence[str], count: int, mapping: Mapping[str, str] | None, separator: str | None
) -> list[Example | BadData]:
    found: list[Example | BadData] = []
    for path in data_files(paths):
        for source in sources(path):
            container = container_of(source)
            for row in head_of(source, container, count - len(found), separator):
                try:
                    found.append(example_at(source, container, row, None if is_text(container) else mapping))
                except BadData as trouble:
                    found.append(trouble)
            if len(found) >= count:
                return found
    if not found:
        raise BadData(f"{', '.join(paths[:3])} holds no text: it is empty or blank.", "Choose text to read.")
    return found


def _shown(row: Example | BadData, reader: Reader | None, context: int | None) -> list[Shown]:
    if isinstance(row, BadData):
        return [Shown("", "", "", "", (), None, None, (str(row),))]
    flaws = tuple(f"{flaw[0].upper()}{flaw[1:]}." for flaw in flaws_of(row))
    try:
        views = reader.views(row) if reader else [("", plain_view(row))]
    except TemplateTrouble as trouble:
        return [Shown(row.place, row.kind, row.format, "", (), None, None, (*flaws, str(trouble)))]
    found = []
    for name, view in views:
        notes = (*flaws, *view.notes)
        tokens = learnt = None
        if reader:
            tokens, learnt = reader.tokens(view, framed=reader.template is None or row.kind == "text")
            if context is not None and tokens > context:
                notes += (f"{tokens - context} of its {tokens} tokens are beyond the context of {context}.",)
        cut = _cut(view)
        pieces = reader.segments(cut) if reader else segments_of(cut)
        found.append(Shown(row.place, row.kind, row.format, name, tuple(pieces), tokens, learnt, notes))
    return found


def _cut(view: Rendered) -> Rendered:
    if len(view.text) <= LONGEST_SHOWN:
        return view
    spans = tuple((start, min(end, LONGEST_SHOWN)) for start, end in view.learnt if start < LONGEST_SHOWN)
    return Rendered(f"{view.text[:LONGEST_SHOWN]} …", spans, view.notes)
