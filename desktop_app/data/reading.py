"""How a data set is read where the user said so by hand, and what is seen of it: looked up off the window's thread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from core.data.examples import Recognised, recognise
from core.data.files import data_files
from core.data.preview import Shown, preview
from core.data.rendering import Reader
from core.errors import Trouble
from core.models import inspect_model
from core.templates import own_template, propose

ROWS = 5
NO_TEMPLATE = "none"  # a choice of templates: plain text, as distillation reads it


@dataclass(frozen=True)
class Reading:
    """Columns by hand ({"text": "body"}), the line that parts plain text, and whether broken rows are passed over."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    separator: str = ""
    skip_broken: bool = False

    @property
    def by_hand(self) -> bool:
        return self != Reading()

    @property
    def columns(self) -> tuple[str, ...]:
        """The mapping as recipes have it."""
        return tuple(f"{name}={column}" for name, column in self.mapping.items())

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Reading:
        """What was remembered; the usual where another version wrote it."""
        try:
            raw = json.loads(text)
            mapping = {str(name): str(column) for name, column in raw["mapping"].items()}
            return cls(mapping, str(raw["separator"]), bool(raw["skip_broken"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()


@dataclass(frozen=True)
class View:
    """Which model looks: a folder or None, and a template by name; empty is the model's own."""

    model: Path | None = None
    template: str = ""


@dataclass(frozen=True)
class Glimpse:
    """The first rows of a data set. `trouble` says why there are none; `template` what stands in for one that the model has not."""

    path: Path
    view: View
    reading: Reading
    recognised: Recognised | None = None
    rows: tuple[Shown, ...] = ()
    one_file: bool = True
    has_template: bool = False  # of its own
    proposed: str = ""
    proposed_because: str = ""
    trouble: str = ""
    model_trouble: str = ""


def glimpse(path: Path, reading: Reading, view: View) -> Glimpse:
    """Look at the first rows; quick however big the data are. What the model can't do leaves the rows as plain text."""
    recognised, reader, context = None, None, None
    has_template, proposed, because, wrong = False, "", "", ""
    if view.model is not None:
        try:
            has_template = own_template(view.model) is not None
            reader, context = _reader(view.model, view.template, _stamp(view.model)), _context(view.model)
            if not has_template and reader is not None:
                tokenizer = reader.tokenizer
                proposed, because = propose(lambda token: tokenizer.token_to_id(token) is not None)
        except Trouble as trouble:
            wrong = str(trouble)
    mapping, separator = reading.mapping or None, reading.separator or None
    rows: tuple[Shown, ...] = ()
    trouble_text, one_file = "", True
    try:
        recognised = recognise(path, mapping, separator)
        rows = tuple(preview([str(path)], reader, count=ROWS, mapping=mapping, separator=separator, context=context))
        one_file = len(data_files([str(path)])) == 1
    except Trouble as trouble:
        trouble_text = str(trouble)
    return Glimpse(
        path, view, reading, recognised, rows, one_file, has_template, proposed, because, trouble_text, wrong
    )


def _stamp(model: Path) -> float:
    """Changes when the tokenizer or the template do."""
    names = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    return sum((model / name).stat().st_mtime for name in names if (model / name).exists())


@lru_cache(maxsize=4)
def _reader(model: Path, template: str, _stamp: float) -> Reader:
    if template == NO_TEMPLATE:
        own = Reader.of(model, "plain")
        return Reader(own.tokenizer, None, own.specials)
    return Reader.of(model, template or None)


def _context(model: Path) -> int | None:
    return inspect_model(model).context
