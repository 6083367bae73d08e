"""What a draft may choose from beside what its plan says: caches, answers alone, further teachers, a chain; each refusal with its reason.

Slow where files are read, so it is asked for off the window's thread, with the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication

from core.cache import CacheInfo, cache_problems, caches, teacher_fingerprint
from core.chain import ChainRecipe
from core.distill import DistillRecipe
from core.documents import TEXT_ENDINGS, refuse_without_answers, text_files
from core.errors import BadData, BadRecipe, Trouble
from core.home import Home
from core.numbers import count_text
from core.plan import Plan
from desktop_app.plan.draft import DEFAULTS, Draft

BY_SOURCE = {
    "cache": ("cache",),
    "on-policy": ("on_policy_share", "new_tokens", "teacher_mix"),
}  # what no other one reads


@dataclass(frozen=True)
class FoundCache:
    """A cache of the data folder, and why it can't serve this draft."""

    info: CacheInfo
    why_not: str = ""


@dataclass(frozen=True)
class Chain:
    """Assistants that the law plans, the largest first; `why_not` where the draft can't be done in a chain."""

    sizes: tuple[int, ...]
    why_not: str = ""


@dataclass(frozen=True)
class Offers:
    """`no_answers` is why answers alone can't be learnt; None where no text is chosen yet."""

    caches: tuple[FoundCache, ...] = ()
    no_answers: str | None = None
    chain: Chain | None = None
    others: Mapping[str, str] = field(default_factory=dict)  # models that can't teach beside the teacher, and why


def offers(home: Home, draft: Draft, plan: Plan | None) -> Offers:
    """All of them, as far as they can be told without a plan where there is none."""
    recipe = _recipe(draft, plan)
    return Offers(
        caches=_caches(home, recipe) if draft.value("source") == "cache" else (),
        no_answers=why_no_answers(draft.data, draft.value("separator")) if draft.data else None,
        chain=_chain(draft, recipe, plan),
        others=_others(plan),
    )


def source_changes(name: str) -> dict[str, Any]:
    """The fields that go with a source: what only another one reads is taken back."""
    unread = [field for source, fields in BY_SOURCE.items() if source != name for field in fields]
    return {"source": name, **{field: DEFAULTS[field] for field in unread}}


def _recipe(draft: Draft, plan: Plan | None) -> DistillRecipe | None:
    try:
        text = draft.data or ("not chosen yet",)
        return draft.changed({"data": text}).recipe(plan.tokens if plan is not None else 64)
    except BadRecipe:
        return None


def _others(plan: Plan | None) -> dict[str, str]:
    if plan is None:
        return {}
    other = QCoreApplication.translate("PlanPage", "another tokenizer")
    small = QCoreApplication.translate("PlanPage", "smaller than the student")
    differ = {str(one.path): other for one in plan.candidates if one.same_tokenizer is False}
    return {str(one.path): small for one in plan.candidates if one.parameters < plan.student_exact} | differ


# --- caches -----------------------------------------------------------------------------------------------------------


def _caches(home: Home, recipe: DistillRecipe | None) -> tuple[FoundCache, ...]:
    return tuple(FoundCache(info, _why_not_cache(info, recipe)) for info in caches(home))


def _why_not_cache(info: CacheInfo, recipe: DistillRecipe | None) -> str:
    if not info.usable:
        return info.unfinished or info.broken or ""
    if recipe is None or info.fields is None or recipe.teacher is None:
        return ""
    try:
        print_ = None if info.teacher == recipe.teacher else _fingerprint(recipe.teacher, _stamp(recipe.teacher))
        found = cache_problems(recipe, info.fields, print_)
    except Trouble as trouble:
        return trouble.what
    except OSError as error:
        return str(error)
    return found[0].text if found else ""


def _stamp(folder: str) -> tuple[tuple[str, int, int], ...]:
    """Changes whenever a model's files do."""
    files = [Path(folder) / "config.json", *sorted(Path(folder).glob("*.safetensors"))]
    return tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file())


@lru_cache(maxsize=16)
def _fingerprint(folder: str, stamp: tuple[tuple[str, int, int], ...]) -> str:
    return teacher_fingerprint(Path(folder))


# --- answers ----------------------------------------------------------------------------------------------------------


def why_no_answers(data: tuple[str, ...], separator: str | None) -> str:
    """Why the text has no answers to learn; nothing where it has. Of each file the first document is read."""
    try:
        plain = next((file for file in text_files(data) if file.suffix.lower() in TEXT_ENDINGS), None)
        if plain is not None:
            said = QCoreApplication.translate(
                "PlanPage", "For data with prompts and answers. %s is plain text, which does not tell them apart."
            )
            return said % plain.name
        refuse_without_answers(data, separator)
    except BadData as trouble:
        return str(trouble).replace("`", "")
    except OSError as error:
        return str(error)
    return ""


# --- a chain ----------------------------------------------------------------------------------------------------------


def _chain(draft: Draft, recipe: DistillRecipe | None, plan: Plan | None) -> Chain | None:
    """The law's assistants between the chosen teacher and the student, where there are any."""
    if plan is None or plan.teacher is None or not plan.assistants.sizes or recipe is None or not draft.guided:
        return None
    own = {problem.text for problem in recipe.problems()}
    sizes = tuple(sorted(plan.assistants.sizes, reverse=True))
    chain = ChainRecipe(of=recipe, sizes=tuple(count_text(size) for size in sizes))
    return Chain(sizes, " ".join(problem.text for problem in chain.problems() if problem.text not in own))
