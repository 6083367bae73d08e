"""The family of a run: the teacher and its own teachers, the student, and the runs that went on from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import Trouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.library import Ancestor, Library
from core.model_folders import name_of
from core.run_summary import RunSummary
from core.runs import RunFolder

MOST_DESCENDANTS = 50
Kind = Literal["teacher", "run", "student", "start"]


@dataclass(frozen=True)
class Member:
    """A box of the picture. `level` is how far it is set in; `here` marks the run that is looked at."""

    kind: Kind
    name: str
    level: int = 0
    run: str | None = None
    model: Path | None = None
    parameters: int | None = None
    bits_per_byte: float | None = None
    at_hand: bool = True
    here: bool = False
    run_kind: str = ""
    state: str = ""


def read_family(home: Home, run: str) -> tuple[Member, ...]:
    """From the eldest teacher down to what was made of the student. Raises Trouble if the library can't be read."""
    with Library(home) as library:
        rows = {row.id: row for row in library.runs()}
        row = rows.get(run)
        if row is None:
            return ()
        source = _source(home, row)
        elders = library.lineage(Path(source)) if source else []
    members = [_elder(link, rows) for link in reversed(elders)]
    members.append(_run_member(row, level=0, here=True))
    if row.model:
        members.append(
            Member(
                "student",
                name_of(Path(row.model)),
                run=row.id,
                model=Path(row.model),
                parameters=row.student_parameters,
                bits_per_byte=row.bits_per_byte,
                at_hand=Path(row.model).is_dir(),
            )
        )
    return (*members, *_descendants(home, row, rows))


def _source(home: Home, row: RunSummary) -> str | None:
    """The model above the run: its teacher, or what it starts from or reads."""
    if row.teacher:
        return row.teacher
    if row.student and Path(row.student).is_dir():
        return row.student
    return _evaluated(home, row)


def _evaluated(home: Home, row: RunSummary) -> str | None:
    if row.kind != "evaluate":
        return None
    try:
        recipe = RunFolder(home.runs / row.id).recipe()
    except Trouble:
        return None
    return recipe.model if isinstance(recipe, EvaluateRecipe) else None


def _elder(link: Ancestor, rows: dict[str, RunSummary]) -> Member:
    bits = link.scores.get("bits_per_byte")
    return Member(
        "teacher",
        link.name,
        run=link.run if link.run in rows else None,
        model=Path(link.path),
        parameters=link.parameters,
        bits_per_byte=bits if isinstance(bits, float) else None,
        at_hand=link.at_hand or Path(link.path).is_dir(),
    )


def _run_member(row: RunSummary, level: int, *, here: bool = False) -> Member:
    return Member(
        "run",
        row.name,
        level=level,
        run=row.id,
        parameters=row.student_parameters,
        bits_per_byte=row.bits_per_byte,
        here=here,
        run_kind=row.kind,
        state=row.state,
    )


def _descendants(home: Home, row: RunSummary, rows: dict[str, RunSummary]) -> list[Member]:
    """Runs that use the student as teacher, start from it, or read it; and theirs in turn, each once."""
    found: list[Member] = []
    seen = {row.id}

    def look(parent: RunSummary, level: int) -> None:
        for other in rows.values():
            if other.id not in seen and len(found) < MOST_DESCENDANTS and _uses(home, other, parent):
                seen.add(other.id)
                found.append(_run_member(other, level))
                look(other, level + 1)

    look(row, 1)
    return found


def _uses(home: Home, other: RunSummary, parent: RunSummary) -> bool:
    places = [home.runs / parent.id, *([Path(parent.out)] if parent.out else [])]
    used = [path for path in (other.teacher, other.student, _evaluated(home, other)) if path]
    return any(Path(path).is_relative_to(place) for path in used for place in places)
