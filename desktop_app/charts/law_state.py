"""What the law's chart shows and how far its axes reach, without a screen: sizes in parameters, spans in decades."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core import law

Span = tuple[float, float]  # decades, lowest and highest
Kind = Literal["model", "run", "published", "teacher"]

DECADES_ASIDE = 1.0  # shown on either side of the student
DECADES_ABOVE = 0.5  # above the largest and below the smallest teacher
NEAR_DECADES = 0.7  # published points come into the picture when the student is as near as this
SMALLEST, LARGEST = 1e3, 1e14  # parameters; what the axes may show


@dataclass(frozen=True)
class ModelDot:
    """A model at hand. `same_tokenizer` as the student's; None where it isn't known."""

    name: str
    path: Path
    parameters: float
    same_tokenizer: bool | None = None


@dataclass(frozen=True)
class LawState:
    """All that the chart shows; the badges come from `core.law`.

    `teacher_params` and `teacher_name` are needed only for a teacher that is not among `models`. An own run is (student
    parameters, teacher parameters, name).
    """

    student_params: float | None = None
    student_range: tuple[float, float] | None = None  # what the user may choose
    teacher: Path | None = None
    teacher_params: float | None = None
    teacher_name: str = ""
    models: tuple[ModelDot, ...] = ()
    own_runs: tuple[tuple[float, float, str], ...] = ()
    loading: bool = False  # models are still being looked for

    def teacher_dot(self) -> ModelDot | None:
        """The chosen teacher, whether it is one of the models or not."""
        found = next((dot for dot in self.models if dot.path == self.teacher), None)
        if found is None and self.teacher_params:
            path = self.teacher or Path()
            found = ModelDot(self.teacher_name or path.name, path, self.teacher_params)
        return found

    def by_size(self) -> list[ModelDot]:
        return sorted(self.models, key=lambda dot: (dot.parameters, dot.name))

    def by_fit(self) -> list[ModelDot]:
        """The chosen teacher first, then as the law ranks them: their names are written in this order."""
        ideal = math.log(law.TARGET_RATIO * (self.student_params or middle_student(self)))
        order = {True: 0, None: 1, False: 2}
        return sorted(
            self.models,
            key=lambda dot: (
                dot.path != self.teacher,
                order[dot.same_tokenizer],
                abs(math.log(dot.parameters) - ideal),
                dot.name,
            ),
        )


@dataclass(frozen=True)
class Spot:
    """A point of the chart, in decades, with what hovering over it says."""

    kind: Kind
    name: str
    student: float  # log10 of parameters
    teacher: float
    model: ModelDot | None = None

    def hollow(self) -> bool:
        """Published, or a model with another tokenizer than the student's."""
        return self.kind == "published" or (self.model is not None and self.model.same_tokenizer is False)


def published_points() -> list[tuple[float, float, str]]:
    """(student, teacher, label) of the study's students whose teacher is known."""
    rows = [(row, row.teacher_params) for row in law.CURSE_TABLE]
    return [(law.CURSE_STUDENT, size, f"{row.label} ({row.score:.2f})") for row, size in rows if size is not None]


def wanted_spans(state: LawState) -> tuple[Span, Span]:
    """What must be in sight: the pair, the models, the band at the student, near runs and published points; decades."""
    student = math.log10(state.student_params or middle_student(state))
    band = [student + math.log10(ratio) for ratio in law.BAND_RATIOS]
    across = [student - DECADES_ASIDE, student + DECADES_ASIDE]
    upward = [*band, *(math.log10(dot.parameters) for dot in state.models)]
    if (teacher := state.teacher_dot()) is not None:
        upward.append(math.log10(teacher.parameters))
    for one, other, _ in [*state.own_runs, *published_points()]:
        near = 2 * DECADES_ASIDE if (one, other, _) in state.own_runs else NEAR_DECADES
        if abs(math.log10(one) - student) <= near:
            across += [math.log10(one) - 0.2, math.log10(one) + 0.2]
            upward.append(math.log10(other))
    return (min(across), max(across)), (min(upward) - DECADES_ABOVE, max(upward) + DECADES_ABOVE)


def calm(wanted: Span, shown: Span | None) -> Span:
    """The span to show: the one shown before while it still serves, so that the axes don't follow every step."""
    low, high = (max(math.log10(SMALLEST), wanted[0]), min(math.log10(LARGEST), wanted[1]))
    if shown is not None:
        slack = 0.6 * DECADES_ABOVE
        holds = shown[0] <= low + slack and high - slack <= shown[1]
        if holds and shown[1] - shown[0] <= high - low + 2 * slack:
            return shown
    return math.floor(low * 4) / 4, math.ceil(high * 4) / 4


def middle_student(state: LawState) -> float:
    """Where to begin while no student size is known: the student of the middle model, else a common size."""
    if (teacher := state.teacher_dot()) is not None:
        return teacher.parameters / law.TARGET_RATIO
    sizes = [dot.parameters for dot in state.by_size()]
    return sizes[len(sizes) // 2] / law.TARGET_RATIO if sizes else 1e8


def all_spots(state: LawState) -> list[Spot]:
    student = math.log10(state.student_params or middle_student(state))
    spots = [Spot("published", name, math.log10(s), math.log10(t)) for s, t, name in published_points()]
    spots += [Spot("run", name, math.log10(s), math.log10(t)) for s, t, name in state.own_runs]
    spots += [Spot("model", dot.name, student, math.log10(dot.parameters), dot) for dot in state.by_size()]
    teacher = state.teacher_dot()
    if teacher is not None and teacher not in state.models:
        spots.append(Spot("teacher", teacher.name, student, math.log10(teacher.parameters), teacher))
    return spots


def same_spot(one: Spot, other: Spot) -> bool:
    return (one.kind, one.name, one.model and one.model.path) == (
        other.kind,
        other.name,
        other.model and other.model.path,
    )
