"""A tree of merges as a graph: models and merges, what leads where, what is wrong on which edge, what comes out, and what it costs.

`Tree` is frozen; every change gives a new one, so that undo is going back. `survey` works it all out from the folders' headers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadRecipe, Trouble
from core.merge.contents import Contents, look
from core.merge.document import Document, ModelRef
from core.merge.plan import MergePlan, plan_merge
from core.merge.recipe import read_document, read_documents, read_model, write_documents
from core.merge.vocabulary import vocabulary_of
from core.shapes import Shape

RESULT = "result"  # how the merge without a name is called
PIECES_BYTES = 64 * 2**20  # what a merge needs beside its tensors


@dataclass(frozen=True)
class Edge:
    """An input of a merge: from a model or another merge."""

    source: str
    target: str


@dataclass(frozen=True)
class Tree:
    """Documents in the order of the file. Keys are names; the unnamed one's is "result"."""

    documents: tuple[Document, ...]

    @classmethod
    def read(cls, text: str, where: str = "the recipe") -> Tree:
        """Raises BadRecipe: what is wrong in the documents, a cycle, or more than one result."""
        tree = cls(read_documents(text, where))
        tree.order()
        _ = tree.root
        return tree

    def text(self) -> str:
        return write_documents(self.documents)

    @property
    def merges(self) -> dict[str, Document]:
        return {document.name or RESULT: document for document in self.documents}

    @property
    def root(self) -> str:
        """The merge that is no input of another: the unnamed one, if there is one."""
        if any(document.name is None for document in self.documents):
            return RESULT
        used = {edge.source for edge in self.edges()}
        ends = [key for key in self.merges if key not in used]
        if len(ends) != 1:
            said = " and ".join(ends) if ends else "none"
            raise BadRecipe(
                f"A tree has one result, and here {said} end{'s' if len(ends) == 1 else ''} it.",
                "Leave the name of the last merge out, or let the others be inputs of it.",
            )
        return ends[0]

    def models(self) -> list[ModelRef]:
        """The models on disk, each once."""
        named = [model for document in self.documents for model in document.models() if not self.is_merge(model)]
        return list(dict.fromkeys(named))

    def is_merge(self, model: ModelRef) -> bool:
        return model.path in self.merges and model.revision is None

    def edges(self) -> list[Edge]:
        return [
            Edge(model.path if self.is_merge(model) else str(model), key)
            for key, document in self.merges.items()
            for model in document.models()
        ]

    def order(self) -> list[str]:
        """The merges, inputs before what they go into. Raises BadRecipe, naming a cycle."""
        done: list[str] = []
        path: list[str] = []

        def visit(key: str) -> None:
            if key in done:
                return
            if key in path:
                circle = " → ".join([*path[path.index(key) :], key])
                raise BadRecipe(
                    f"The tree has a cycle: {circle}.", "A merge can't be made of itself; take one of the edges away."
                )
            path.append(key)
            for model in self.merges[key].models():
                if self.is_merge(model):
                    visit(model.path)
            done.append(path.pop())

        for key in self.merges:
            visit(key)
        return done

    def needed(self) -> list[str]:
        """The merges that the result is made of, itself last, inputs first."""
        wanted = {self.root}
        for key in reversed(self.order()):
            if key in wanted:
                wanted |= {model.path for model in self.merges[key].models() if self.is_merge(model)}
        return [key for key in self.order() if key in wanted]

    # --- changes: each gives a new tree

    def changed(self, key: str, change: Callable[[dict[str, Any]], None]) -> Tree:
        """With one document's mapping changed in place by `change`. Raises BadRecipe if it makes no sense any more."""
        documents = []
        for document in self.documents:
            if (document.name or RESULT) == key:
                raw = copy.deepcopy(dict(document.raw))
                change(raw)
                document = read_document(raw, key)
            documents.append(document)
        tree = Tree(tuple(documents))
        tree.order()
        return tree

    def added(self, raw: Mapping[str, Any]) -> Tree:
        document = read_document(raw)
        if (document.name or RESULT) in self.merges:
            raise BadRecipe(f"There is a merge called {document.name or RESULT} already.", "Give it another name.")
        tree = Tree((*self.documents, document))
        tree.order()
        return tree

    def without(self, key: str) -> Tree:
        """Without one merge; whoever has it as an input must be changed before."""
        users = [edge.target for edge in self.edges() if edge.source == key and key in self.merges]
        if users:
            raise BadRecipe(f"{key} goes into {', '.join(users)}.", "Disconnect it first.")
        return Tree(tuple(document for document in self.documents if (document.name or RESULT) != key))

    def connected(self, source: str, target: str, **parameters: Any) -> Tree:
        """With `source`, a model or merge, as another input of `target`."""

        def change(raw: dict[str, Any]) -> None:
            rows = _rows_of(raw, target)
            rows.append({"model": source, **({"parameters": parameters} if parameters else {})})

        if any(edge == Edge(source, target) for edge in self.edges()):
            raise BadRecipe(
                f"{source} goes into {target} already.", "An input counts once; give it more weight instead."
            )
        return self.changed(target, change)

    def disconnected(self, source: str, target: str) -> Tree:
        def change(raw: dict[str, Any]) -> None:
            rows = _rows_of(raw, target)
            rows[:] = [row for row in rows if str(read_model(row["model"])) != source]
            if raw.get("base_model") is not None and str(read_model(raw["base_model"])) == source:
                del raw["base_model"]

        return self.changed(target, change)

    def with_method(self, key: str, method: str) -> Tree:
        def change(raw: dict[str, Any]) -> None:
            raw["merge_method"] = method

        return self.changed(key, change)

    def with_parameter(self, key: str, name: str, value: Any, source: str | None = None) -> Tree:
        """A parameter of a merge, or of one of its inputs; None takes it away."""

        def change(raw: dict[str, Any]) -> None:
            owner = raw
            if source is not None:
                owner = next(row for row in _rows_of(raw, key) if str(read_model(row["model"])) == source)
            values = owner.setdefault("parameters", {})
            if value is None:
                values.pop(name, None)
            else:
                values[name] = value
            if not values:
                del owner["parameters"]

        return self.changed(key, change)

    def renamed(self, key: str, name: str | None) -> Tree:
        """Under another name, also wherever it is an input."""
        documents = []
        for document in self.documents:
            raw = _with_other_name(dict(document.raw), key, name or RESULT)
            if (document.name or RESULT) == key:
                raw = {**({"name": name} if name else {}), **{k: v for k, v in raw.items() if k != "name"}}
            documents.append(read_document(raw, key))
        return Tree(tuple(documents))


@dataclass(frozen=True)
class Undo:
    """The tree now, and the ones before and after it."""

    now: Tree
    before: tuple[Tree, ...] = ()
    after: tuple[Tree, ...] = ()

    def do(self, tree: Tree) -> Undo:
        return self if tree == self.now else Undo(tree, (*self.before, self.now), ())

    def undo(self) -> Undo:
        return Undo(self.before[-1], self.before[:-1], (self.now, *self.after)) if self.before else self

    def redo(self) -> Undo:
        return Undo(self.after[0], (*self.before, self.now), self.after[1:]) if self.after else self


# --- what it comes to -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a merge makes. `shape` is None for an architecture that is not taken apart here."""

    shape: Shape | None
    parameters: int
    size_bytes: int
    dtype: str
    rows: int
    layers: int


@dataclass(frozen=True)
class Cost:
    """Bytes of files read and written, and the peak of memory above that of the interpreter."""

    read_bytes: int
    written_bytes: int
    memory_bytes: int


@dataclass(frozen=True)
class Survey:
    """All that can be said before a merge runs. A merge without an outcome has `problems`, or inputs that have."""

    plans: Mapping[str, MergePlan]
    outcomes: Mapping[str, Outcome]
    edges: Mapping[Edge, tuple[str, ...]]  # the reasons against each
    problems: Mapping[str, str]  # of models that can't be read, and of merges, in words
    notes: Mapping[str, tuple[str, ...]]
    cost: Cost | None

    @property
    def sound(self) -> bool:
        return self.cost is not None

    def refuse(self) -> None:
        """Raises BadRecipe with everything that stands against the merge."""
        found = [f"{name}: {text}" for name, text in self.problems.items()]
        found += [
            f"{edge.source} in {edge.target}: {reason}" for edge, reasons in self.edges.items() for reason in reasons
        ]
        if found:
            raise BadRecipe("\n".join(found), "Correct the recipe, or choose other models.")


def survey(
    tree: Tree,
    beside: Path,
    *,
    keep: bool = False,
    threads: int = 1,
    allow_remote_code: bool = False,
    looked: dict[ModelRef, Contents] | None = None,
) -> Survey:
    """Work a tree out. Folders are looked at once; `looked` carries what is known of them from one survey to the next. `keep` counts
    intermediate merges as written.
    """
    known = {} if looked is None else looked
    problems: dict[str, str] = {}
    plans: dict[str, MergePlan] = {}
    edges: dict[Edge, tuple[str, ...]] = dict.fromkeys(tree.edges(), ())
    for model in tree.models():
        if model not in known:
            try:
                known[model] = look(model, beside, allow_remote_code)
            except Trouble as trouble:
                problems[str(model)] = str(trouble)
    for key in tree.order():
        document = tree.merges[key]
        contents: dict[ModelRef, Contents] = {}
        for model in document.models():
            if tree.is_merge(model):
                if model.lora is not None:
                    problems[key] = (
                        f"{model}: an adapter goes on a model, not on a merge; make the adapter its own input."
                    )
                elif model.path in plans:
                    contents[model] = plans[model.path].result(model.path)
            elif model in known:
                contents[model] = known[model]
        if key in problems or len(contents) < len(document.models()):
            continue
        try:
            plan = plan_merge(document, contents, _tokens(contents, plans))
        except Trouble as trouble:
            problems[key] = str(trouble)
            continue
        for model, reasons in plan.problems.items():
            edges[Edge(model.path if tree.is_merge(model) else str(model), key)] = reasons
        if plan.tensors:
            plans[key] = plan
    outcomes = {key: _outcome(plan) for key, plan in plans.items()}
    notes = {key: plan.notes for key, plan in plans.items()}
    whole = not problems and not any(edges.values()) and tree.root in plans
    cost = _cost(tree, plans, keep, threads) if whole else None
    return Survey(plans, outcomes, edges, problems, notes, cost)


def _tokens(
    contents: Mapping[ModelRef, Contents], plans: Mapping[str, MergePlan]
) -> Callable[[ModelRef], Mapping[str, int]]:
    """The tokenizer of a model, or the one that a planned merge will have."""

    def tokens(model: ModelRef) -> Mapping[str, int]:
        folder = contents[model].folder
        if folder is not None:
            return vocabulary_of(folder)
        plan = plans[model.path]
        if plan.alignment is not None:
            return plan.alignment.tokens
        return _tokens(plan.contents, plans)(plan.document.donor)

    return tokens


def _outcome(plan: MergePlan) -> Outcome:
    result = plan.result("")
    return Outcome(
        result.shape, plan.parameters, plan.size_bytes, str(plan.config.get("dtype", "")), result.rows, result.layers
    )


def _cost(tree: Tree, plans: Mapping[str, MergePlan], keep: bool, threads: int) -> Cost:
    root = plans[tree.root]
    by_name = {key: {tensor.name: tensor for tensor in plan.tensors} for key, plan in plans.items()}

    def read(key: str, tensor: str) -> int:
        """Bytes of files behind a tensor; intermediate merges that are not kept are computed when asked for."""
        total = 0
        for given in by_name[key][tensor].inputs:
            if tree.is_merge(given.model):
                total += read(given.model.path, given.tensor)
            else:
                total += plans[key].contents[given.model].tensors[given.tensor].size_bytes
        return total

    def held(key: str, place: int) -> int:
        """Inputs, masks and result of a tensor while it is merged."""
        plan = plans[key].tensors[place]
        inputs = [plans[key].contents[each.model].tensors[each.tensor] for each in plan.inputs]
        own = sum(facts.size_bytes for facts in inputs) + plan.facts.size_bytes + len(inputs) * plan.facts.count
        return own + (2 * own if plans[key].alignment is not None else 0)

    written = [plans[key].size_bytes for key in (tree.needed() if keep else [tree.root])]
    sizes = sorted(
        (held(key, place) for key in tree.needed() for place in range(len(plans[key].tensors))), reverse=True
    )
    read_bytes = sum(read(tree.root, tensor.name) for tensor in root.tensors)
    return Cost(read_bytes, sum(written), sum(sizes[: max(1, threads)]) + threads * PIECES_BYTES)


def _rows_of(raw: dict[str, Any], key: str) -> list[dict[str, Any]]:
    rows = raw.get("models")
    if not isinstance(rows, list):
        raise BadRecipe(f"{key} takes slices of its models, layer by layer.", "Edit its recipe as text.")
    return rows


def _with_other_name(raw: Any, old: str, new: str) -> Any:
    """A copy in which every model called `old` is called `new`."""
    if isinstance(raw, dict):
        keys = ("model", "base_model", "source_model", "source", "tokenizer_source", "path")
        return {
            key: new if key in keys and value == old else _with_other_name(value, old, new)
            for key, value in raw.items()
        }
    return [_with_other_name(each, old, new) for each in raw] if isinstance(raw, list) else raw
