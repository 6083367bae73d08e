"""What a draft comes to, read from the models' headers off the window's thread: shapes and sizes, what doesn't fit, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QCoreApplication

from core.errors import BadRecipe, Trouble
from core.merge.contents import Contents, look
from core.merge.document import Document, ModelRef
from core.merge.recipe import read_document, read_model
from core.merge.tree import RESULT, Cost, Edge, Survey, Tree, survey
from core.shapes import Shape
from desktop_app.merge.draft import Draft, short

translate = QCoreApplication.translate


@dataclass(frozen=True)
class Made:
    """What a model is, or what comes out of a merge."""

    parameters: int
    size_bytes: int
    shape: Shape | None
    family: str
    dtype: str
    layers: int


@dataclass(frozen=True)
class Judgement:
    """`why_not` says why the merge can't run; it is empty where `cost` is known."""

    made: Mapping[str, Made] = field(default_factory=dict)
    edges: Mapping[Edge, tuple[str, ...]] = field(default_factory=dict)  # the reasons against each
    problems: Mapping[str, str] = field(default_factory=dict)  # of models and merges
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    root: str | None = None
    cost: Cost | None = None
    why_not: str = ""


def judge(draft: Draft, looked: dict[ModelRef, Contents], *, keep: bool = False) -> Judgement:
    """`looked` carries what is known of folders from one look to the next."""
    problems: dict[str, str] = {}
    readable: dict[str, Document] = {}
    for key in draft.merges:
        if problem := _problem(draft, key):
            problems[key] = problem
        else:
            try:
                readable[key] = read_document(draft.merges[key], key)
            except BadRecipe as trouble:
                problems[key] = "\n".join(line.removeprefix(f"{key}: ") for line in str(trouble).splitlines())
    whole = [key for key in readable if draft.above(key) <= readable.keys()]
    found = _survey(draft, {key: readable[key] for key in whole}, looked, keep)
    made: dict[str, Made] = {}
    edges: dict[Edge, tuple[str, ...]] = {}
    notes: dict[str, tuple[str, ...]] = {}
    for one in found.values():
        problems |= one.problems
        edges |= one.edges
        notes |= one.notes
        for key, outcome in one.outcomes.items():
            family = str(one.plans[key].config.get("model_type") or "")
            made[key] = Made(
                outcome.parameters, outcome.size_bytes, outcome.shape, family, outcome.dtype, outcome.layers
            )
    made |= _models(draft, looked, problems)
    problems = {key: _shortened(text, draft) for key, text in problems.items()}
    edges = {edge: tuple(_shortened(text, draft) for text in reasons) for edge, reasons in edges.items()}
    notes = {key: tuple(_shortened(text, draft) for text in told) for key, told in notes.items()}
    ends = draft.ends()
    root = ends[0] if len(ends) == 1 else None
    cost = found[root].cost if root in found and not problems else None
    why_not = "" if cost is not None else _why_not(draft, ends, problems, edges)
    return Judgement(made, edges, problems, notes, root, cost, why_not)


def _shortened(text: str, draft: Draft) -> str:
    """With models called by the last part of their folders, as nodes are; the whole path is on their tool tips."""
    for name in sorted(draft.models, key=len, reverse=True):
        text = text.replace(name, short(name))
    return text


def _problem(draft: Draft, key: str) -> str:
    """What an unfinished merge lacks."""
    method, inputs = draft.method(key), draft.inputs(key)
    if method is None or not draft.in_rows(key):
        return ""
    if not inputs:
        return translate("merge", "Connect models to it.")
    return method.count_problem(len(inputs), draft.base(key) is not None) or ""


def _survey(
    draft: Draft, documents: Mapping[str, Document], looked: dict[ModelRef, Contents], keep: bool
) -> dict[str, Survey]:
    """One survey for each merge that goes into no other whole one."""
    used = {source for key in documents for source in draft.inputs(key)}
    found = {}
    for end in (key for key in documents if key not in used):
        tree = Tree(tuple(documents[key] for key in documents if key in draft.above(end)))
        found[end] = survey(tree, Path(draft.folder), keep=keep, looked=looked)
    return found


def _models(draft: Draft, looked: dict[ModelRef, Contents], problems: dict[str, str]) -> dict[str, Made]:
    """The facts of all models on the canvas, those that go into nothing yet as well."""
    made = {}
    for name in draft.models:
        ref = read_model(name)
        if ref not in looked and name not in problems:
            try:
                looked[ref] = look(ref, Path(draft.folder), False)
            except Trouble as trouble:
                problems[name] = str(trouble)
        if ref in looked:
            one = looked[ref]
            types = [facts.dtype for facts in one.tensors.values()]
            dtype = max(set(types), key=types.count) if types else ""
            family = str(one.config.get("model_type") or "")
            made[name] = Made(one.parameters, one.size_bytes, one.shape, family, dtype, one.layers)
    return made


def called(draft: Draft, key: str) -> str:
    """A node as its face has it."""
    if key in draft.models:
        return short(key)
    method = draft.method(key)
    title = method.title if method else translate("merge", "Mixture of experts")
    return title if key == RESULT else f"{title} · {key}"


def _why_not(draft: Draft, ends: list[str], problems: Mapping[str, str], edges: Mapping[Edge, tuple[str, ...]]) -> str:
    if not draft.merges:
        return translate("merge", "There is no merge yet.")
    if problems:
        key, text = next(iter(problems.items()))
        return f"{called(draft, key)}: {text}"
    for edge, reasons in edges.items():
        if reasons:
            return f"{short(edge.source)}: {reasons[0]}"
    if len(ends) != 1:
        told = translate("merge", "A tree has one end. Connect %s with each other, or remove all but one.")
        return told % ", ".join(ends)
    return translate("merge", "It can't be worked out.")
