"""What is on the canvas: models, merges and where they stand. A draft may be unfinished; what is whole becomes a `core.merge.tree.Tree`.

A draft is frozen, and every change gives a new one, so that undo is going back. Merges are kept as their YAML mappings, so nothing of a
file that was opened is lost.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from core.errors import BadRecipe
from core.merge.document import Document
from core.merge.methods import METHODS, Method
from core.merge.recipe import read_document, read_model, write_documents
from core.merge.tree import RESULT, Tree

Raw: TypeAlias = Mapping[str, Any]
Place: TypeAlias = tuple[float, float]
Rows: TypeAlias = list[dict[str, Any]]

NEAR = 0.001  # the distance that NearSwap begins with
COLUMN, ROW = 272.0, 108.0  # px from node to node
_NAMES = ("model", "base_model", "source_model", "source", "tokenizer_source", "path")


@dataclass(frozen=True)
class Draft:
    """`merges` are mappings of a recipe by their names, "result" for the one without; `models` are named as recipes do."""

    merges: Mapping[str, Raw] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    folder: str = ""  # that relative paths start from

    @classmethod
    def read(cls, text: str, folder: str, where: str) -> Draft:
        """The draft of a recipe in mergekit's YAML. Raises BadRecipe."""
        documents = Tree.read(text, where).documents
        merges = {document.name or RESULT: dict(document.raw) for document in documents}
        named = [str(model) for document in documents for model in document.models()]
        return cls(merges, tuple(dict.fromkeys(name for name in named if name not in merges)), {}, folder).arranged()

    # --- what is there

    @property
    def empty(self) -> bool:
        return not self.merges and not self.models

    def nodes(self) -> list[str]:
        return [*self.models, *self.merges]

    def rows(self, key: str) -> Rows:
        """The entries of a merge's models; empty for one that takes slices or experts."""
        rows = self.merges[key].get("models")
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def in_rows(self, key: str) -> bool:
        """Whether its inputs are plain models, which can be connected here."""
        return isinstance(self.merges[key].get("models"), list) and "experts" not in self.merges[key]

    def inputs(self, key: str) -> list[str]:
        if not self.in_rows(key):
            try:
                return [str(model) for model in read_document(self.merges[key]).models()]
            except BadRecipe:
                return []
        named = [model_name(row["model"]) for row in self.rows(key)]
        base = self.base(key)
        return named if base is None or base in named else [base, *named]

    def base(self, key: str) -> str | None:
        base = self.merges[key].get("base_model")
        return None if base is None else model_name(base)

    def method(self, key: str) -> Method | None:
        """None for a mixture of experts."""
        return METHODS.get(str(self.merges[key].get("merge_method")))

    def edges(self) -> Iterator[tuple[str, str]]:
        for key in self.merges:
            for source in self.inputs(key):
                yield source, key

    def ends(self) -> list[str]:
        """The merges that go into no other."""
        used = {source for source, _ in self.edges()}
        return [key for key in self.merges if key not in used]

    def above(self, key: str) -> set[str]:
        """The merge and all merges that it is made of."""
        found: set[str] = set()
        waiting = [key]
        while waiting:
            one = waiting.pop()
            if one in self.merges and one not in found:
                found.add(one)
                waiting += self.inputs(one)
        return found

    def text(self) -> str:
        """The merges in mergekit's YAML, the last one last; nothing for a canvas without any."""
        if not self.merges:
            return ""
        ends = self.ends()
        ordered = sorted(self.merges, key=lambda key: (key in ends, key == RESULT))
        raws = [self.merges[key] for key in ordered]
        return write_documents([Document(raw, None, str(raw.get("merge_method", "")), ()) for raw in raws])

    # --- changes: each gives a new draft

    def with_model(self, name: str) -> Draft:
        return self if name in self.models else replace(self, models=(*self.models, name)).arranged()

    def with_merge(self, method: str = "linear") -> tuple[Draft, str]:
        """With another merge, without inputs; the draft and the merge's name."""
        key = RESULT if RESULT not in self.merges else self._free_name()
        raw: dict[str, Any] = {} if key == RESULT else {"name": key}
        raw |= {"models": [], "merge_method": method}
        return replace(self, merges={**self.merges, key: raw}).with_method(key, method).arranged(), key

    def _free_name(self) -> str:
        number = 1
        while f"merge-{number}" in self.merges or f"merge-{number}" in self.models:
            number += 1
        return f"merge-{number}"

    def changed(self, key: str, change: Callable[[dict[str, Any]], None]) -> Draft:
        raw = copy.deepcopy(dict(self.merges[key]))
        change(raw)
        return replace(self, merges={one: raw if one == key else given for one, given in self.merges.items()})

    def connected(self, source: str, target: str) -> Draft:
        """With `source` as another input. Raises BadRecipe for a circle, an input that is there, and merges of slices."""
        if not self.in_rows(target):
            raise BadRecipe(f"{target} takes its models layer by layer.", "Change it in the recipe's text.")
        if source in self.inputs(target):
            raise BadRecipe(
                f"{short(source)} goes into {target} already.", "An input counts once; give it more weight instead."
            )
        if target in self.above(source):
            raise BadRecipe(f"{source} is made of {target}.", "A merge can't be made of itself.")
        if source == RESULT and source in self.merges:  # only the last merge may have no name
            name = self._free_name()
            return self.renamed(RESULT, name).connected(name, target)

        def change(raw: dict[str, Any]) -> None:
            raw["models"] = [*raw["models"], {"model": source}]

        draft = self if source in self.merges else self.with_model(source)
        return draft.changed(target, change).completed(target)

    def disconnected(self, source: str, target: str) -> Draft:
        if not self.in_rows(target):
            raise BadRecipe(f"{target} takes its models layer by layer.", "Change it in the recipe's text.")

        def change(raw: dict[str, Any]) -> None:
            raw["models"] = [row for row in raw["models"] if model_name(row["model"]) != source]
            if raw.get("base_model") is not None and model_name(raw["base_model"]) == source:
                del raw["base_model"]

        return self.changed(target, change).completed(target)

    def completed(self, key: str) -> Draft:
        """With a base where the method needs one, and a beginning for every parameter that has no default."""
        method = self.method(key)
        if method is None or not self.in_rows(key):
            return self
        required = method.base == "required"

        def change(raw: dict[str, Any]) -> None:
            rows: Rows = raw["models"]
            if required and raw.get("base_model") is None and rows:
                raw["base_model"] = rows[0]["model"]
            base = None if raw.get("base_model") is None else model_name(raw["base_model"])
            for parameter in method.parameters:
                if not parameter.required:
                    continue
                if parameter.scope == "merge":
                    _begin(raw, parameter.name, _beginning(method, parameter.name))
                    continue
                if parameter.name in (raw.get("parameters") or {}):
                    continue
                for row in rows:
                    if parameter.scope == "input" or model_name(row["model"]) != base:
                        _begin(row, parameter.name, _beginning(method, parameter.name))

        return self.changed(key, change)

    def with_method(self, key: str, method: str) -> Draft:
        """Parameters that only the method before had go; those of both stay."""
        facts = METHODS[method]
        known = {parameter.name for parameter in facts.parameters}
        before = self.method(key)
        gone = {parameter.name for parameter in before.parameters} - known if before else set()

        def change(raw: dict[str, Any]) -> None:
            raw["merge_method"] = method
            for owner in (raw, *raw["models"]):
                _forget(owner, gone)
            if facts.base == "an input" and raw.get("base_model") is not None:
                named = [model_name(row["model"]) for row in raw["models"]]
                base = raw.pop("base_model")
                if model_name(base) not in named:
                    raw["models"] = [{"model": base}, *raw["models"]]

        return self.changed(key, change).completed(key)

    def with_base(self, key: str, base: str | None) -> Draft:
        def change(raw: dict[str, Any]) -> None:
            raw.pop("base_model", None)
            if base is not None:
                raw["base_model"] = base

        return self.changed(key, change).completed(key)

    def with_value(self, key: str, name: str, value: Any, source: str | None = None) -> Draft:
        """A parameter of a merge or of one of its inputs; None takes it away."""

        def change(raw: dict[str, Any]) -> None:
            owner = raw if source is None else next(row for row in raw["models"] if model_name(row["model"]) == source)
            _forget(owner, {name})
            if value is not None:
                owner["parameters"] = {**(owner.get("parameters") or {}), name: value}

        return self.changed(key, change)

    def with_key(self, key: str, name: str, value: Any) -> Draft:
        """A key of the merge itself, such as its dtype; None takes it away."""

        def change(raw: dict[str, Any]) -> None:
            raw.pop(name, None)
            if value is not None:
                raw[name] = value

        return self.changed(key, change)

    def renamed(self, key: str, name: str) -> Draft:
        """A merge under another name, also wherever it is an input. Raises BadRecipe for a name that is taken or can't be one."""
        if name == key:
            return self
        if not name.strip() or "+" in name or "/" in name:
            raise BadRecipe(f"“{name}” can't name a merge.", "Write letters, digits and dashes.")
        if name in self.merges or name in self.models:
            raise BadRecipe(f"There is a {name} already.", "Choose another name.")

        def named(raw: Raw) -> dict[str, Any]:
            rest = {one: value for one, value in raw.items() if one != "name"}
            return rest if name == RESULT else {"name": name, **rest}

        merges = {}
        for one, raw in self.merges.items():
            changed = _replaced(raw, key, name)
            merges[name if one == key else one] = named(changed) if one == key else changed
        places = {name if one == key else one: place for one, place in self.places.items()}
        return replace(self, merges=merges, places=places)

    def without(self, key: str) -> Draft:
        """Without a model or merge, and disconnected from whatever it went into."""
        draft = self
        for target in [target for source, target in self.edges() if source == key]:
            draft = draft.disconnected(key, target)
        return replace(
            draft,
            merges={one: raw for one, raw in draft.merges.items() if one != key},
            models=tuple(one for one in draft.models if one != key),
            places={one: place for one, place in draft.places.items() if one != key},
        )

    def moved(self, places: Mapping[str, Place]) -> Draft:
        return replace(self, places={**self.places, **places})

    def beside(self, folder: Path) -> Draft:
        """For a file in another folder: models that were named from where the first file lay get their whole paths."""
        if not self.folder or folder == Path(self.folder):
            return replace(self, folder=str(folder))
        draft = self
        for name in self.models:
            path = read_model(name).path
            near = Path(self.folder) / path
            if not Path(path).is_absolute() and near.is_dir():
                draft = draft._with_path(path, str(near))
        return replace(draft, folder=str(folder))

    def _with_path(self, old: str, new: str) -> Draft:
        def name(one: str) -> str:
            return new + one[len(old) :] if one == old or one.startswith((f"{old}+", f"{old}@")) else one

        merges: dict[str, Raw] = dict(self.merges)
        for one in self.models:
            if name(one) != one:
                merges = {key: _replaced(raw, one, name(one)) for key, raw in merges.items()}
        merges = {key: _replaced(raw, old, new) for key, raw in merges.items()}
        places = {name(one): place for one, place in self.places.items()}
        return replace(self, merges=merges, models=tuple(name(one) for one in self.models), places=places)

    # --- where things stand

    def arranged(self, *, anew: bool = False) -> Draft:
        """With a place for everything: merges to the right of what goes in, in the order of reading. What has a place keeps it."""
        places: dict[str, Place] = {} if anew else {key: at for key, at in self.places.items() if key in self.nodes()}
        columns: dict[int, list[str]] = {}
        for key in self.nodes():
            columns.setdefault(self._column(key), []).append(key)
        tallest = max((len(keys) for keys in columns.values()), default=0)
        for column, keys in sorted(columns.items()):
            for number, key in enumerate(keys):
                if key not in places:
                    y = (number + (tallest - len(keys)) / 2) * ROW
                    places[key] = _free(places, (column * COLUMN, y))
        return replace(self, places=places)

    def _column(self, key: str) -> int:
        depths: dict[str, int] = {}

        def depth(one: str) -> int:
            if one not in self.merges:
                return 0
            if one not in depths:
                depths[one] = 1  # whatever a broken file says, it ends
                depths[one] = 1 + max((depth(source) for source in self.inputs(one)), default=0)
            return depths[one]

        if key in self.merges:
            return depth(key)
        targets = [depth(target) for source, target in self.edges() if source == key]
        return min(targets, default=1) - 1


def _free(places: Mapping[str, Place], wanted: Place) -> Place:
    """The place, or the next below it where nothing stands."""
    x, y = wanted
    while any(abs(x - other[0]) < COLUMN * 0.75 and abs(y - other[1]) < ROW * 0.9 for other in places.values()):
        y += ROW / 4
    return x, y


def model_name(raw: Any) -> str:
    """A model of a recipe, as edges and nodes are named."""
    return str(read_model(raw))


def short(name: str) -> str:
    """The last parts of a model's folder, and of its adapter's; a merge's own name."""
    model = read_model(name)
    parts = [Path(part.rstrip("/")).name for part in (model.path, model.lora) if part]
    return " + ".join(parts) + (f" @{model.revision}" if model.revision else "")


def _begin(owner: dict[str, Any], name: str, value: Any) -> None:
    if name not in (owner.get("parameters") or {}):
        owner["parameters"] = {**(owner.get("parameters") or {}), name: value}


def _beginning(method: Method, name: str) -> float:
    """What a parameter without a default begins with: alike for all that is divided by the sum, the middle, a small distance."""
    if name == "t":
        return 0.5 if method.name == "slerp" else NEAR
    normalize = method.parameter("normalize")
    return 0.5 if normalize is not None and normalize.default is False else 1.0


def _forget(owner: dict[str, Any], names: set[str]) -> None:
    left = {one: value for one, value in (owner.get("parameters") or {}).items() if one not in names}
    owner.pop("parameters", None)
    if left:
        owner["parameters"] = left


def _replaced(raw: Any, old: str, new: str) -> Any:
    """A copy in which what was called `old` is called `new`, wherever a model is named."""
    if isinstance(raw, Mapping):
        return {
            key: new if key in _NAMES and value == old else _replaced(value, old, new) for key, value in raw.items()
        }
    return [_replaced(each, old, new) for each in raw] if isinstance(raw, list) else raw


@dataclass(frozen=True)
class Edit:
    """Something done to the draft, in words for undo; edits of one `group` in a row are undone together."""

    words: str
    change: Callable[[Draft], Draft]
    group: str = ""
