"""The recipe of a chain: from a teacher far too large, by way of assistants, down to the student, each distilled from the one before.

Mirzadeh et al. 2019, "Improved Knowledge Distillation via Teacher Assistant" (arXiv 1902.03393). The sizes are those that the law of
capacity gap plans (`core.law.assistants`), unless the user names others.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import law
from core.distill import Builder, DistillRecipe
from core.errors import BadRecipe, Trouble
from core.numbers import count_text
from core.recipe import Problem, Recipe
from core.shapes import Shape

LEAST_TOKENS = 64  # of one link, as of any distillation
SHARED = tuple(field for field in Recipe.model_fields if field != "kind")  # by the chain and the distillation in it
LINKS = "links"  # the folder of the links in the run folder
_RIGHT_SIZE, _BY_ASSISTANT = law.CURSE_TABLE[:2]
CAUTION = (
    f"In the published 3B students an assistant cost more and did worse ({_BY_ASSISTANT.score}) than a teacher of the right size "
    f"({_RIGHT_SIZE.score}): look for such a teacher first. Source: {law.LAW_SOURCE}."
)


class Link(BaseModel):
    """One distillation of a chain: the size of what it makes, its shape (None for an existing model) and its tokens."""

    model_config = ConfigDict(frozen=True)

    name: str  # of its folder: its number and size, as 1-1.3M
    parameters: int
    tokens: int
    shape: Shape | None

    def __str__(self) -> str:
        return f"{self.name} on {count_text(self.tokens)} tokens"


class ChainRecipe(Recipe):
    """A distillation done in several: teacher → assistants → student, one after another in one run.

    Each link is an ordinary distillation with the settings of `of`, whose teacher is what the link before it made.
    """

    kind: Literal["chain"] = "chain"

    of: DistillRecipe = Field(
        description="The distillation wanted: its teacher begins the chain, its student ends it, its tokens are shared by all links."
    )
    sizes: tuple[str, ...] = Field(
        (),
        description="What the assistants must be, as 1.3M, or 0.6x of the first teacher; by default as the law plans: "
        "2.5 times the student, 6.25 times, and so on.",
    )
    split: Literal["even", "size"] = Field(
        "even",
        description="How the tokens are shared. even: each link gets as many, for the student is what counts. size: in "
        "proportion to the model that a link makes, which spends most of them, and nearly all of the time, on assistants.",
    )
    links: tuple[Link, ...] = Field((), description="The links, settled when the run is made.")

    @property
    def teacher(self) -> str | None:
        """The folder of the first teacher."""
        return self.of.teacher

    def may_meet_quantized(self) -> bool:
        return self.of.may_meet_quantized()

    def title(self) -> str:
        if self.name:
            return self.name
        teacher = Path(self.of.teacher).name if self.of.teacher else "no teacher"
        student = Path(self.of.student).name if self.of.init == "existing" else self.of.student
        between = [count_text(link.parameters) for link in self.links[:-1]] or list(self.sizes) or ["…"]
        return " → ".join([teacher, *between, f"{student} (chain)"])

    def problems(self) -> list[Problem]:
        found = [Problem(field=f"of.{problem.field}", text=problem.text) for problem in self.of.problems()]

        def say(field: str, text: str) -> None:
            found.append(Problem(field=field, text=text))

        for field in SHARED:
            if getattr(self, field) not in (type(self).model_fields[field].default, getattr(self.of, field)):
                say(field, f"The distillation in `of` says {getattr(self.of, field)!r}. Say the same in both places.")
        if not self.of.guided:
            say(
                "of.teacher",
                "A chain goes from teacher to student. Name a teacher that guides, or distill without a chain.",
            )
        if self.of.more_teachers:
            say("of.more_teachers", "Each link of a chain has one teacher. Leave the others out.")
        if self.of.processes > 1 or self.of.launch != "direct":
            say("of.processes", "The links of a chain run in one process. Choose one, launched directly.")
        if self.of.measure_every is not None:
            say(
                "of.measure_every",
                "The links of a chain are not measured as they go. Leave it out, and evaluate its checkpoints or its student.",
            )
        count = len(self.links) or len(self.sizes) + 1
        shares = [link.tokens for link in self.links] or _shares(self.of.tokens, [1] * count)
        if min(shares) < LEAST_TOKENS:
            say(
                "of.tokens",
                f"{self.of.tokens} tokens leave {min(shares)} for a link of {count}; each needs {LEAST_TOKENS}. Raise the budget.",
            )
        return found

    def link_recipe(self, number: int, run: Path) -> DistillRecipe:
        """The distillation of link `number` (from 1) of a settled chain in the run folder `run`."""
        link, last = self.links[number - 1], number == len(self.links)
        changes: dict[str, Any] = {
            "name": f"{self.title()}: {count_text(link.parameters)}",
            "tokens": link.tokens,
            "shape": link.shape,
        }
        if number > 1:
            changes["teacher"] = str(link_folder(run, self.links[number - 2]) / "artifacts" / "student")
            changes["cache"] = None  # a cache holds the answers of one teacher, here the first
        if not last:
            changes |= {"init": assistant_builder(self.of), "out": None}
        if link.shape is not None:
            changes["student"] = str(link.parameters)
        return self.of.model_copy(update=changes)


def link_folder(run: Path, link: Link) -> Path:
    """Where a link of the chain in `run` is: a run folder within the run folder."""
    return run / LINKS / link.name


def assistant_builder(of: DistillRecipe) -> Builder:
    """How assistants are made: as the student where it is cut, else pruned, for they have to be good soon."""
    return "prune" if of.init in ("scratch", "existing") else of.init


def settle_chain(recipe: ChainRecipe) -> ChainRecipe:
    """The chain made exact: sizes planned, every link's shape found and its tokens told; then checked. Nothing is written.

    Settling a settled chain changes nothing. Raises BadRecipe with all problems, and BadModel for a folder that is no usable model.
    """
    from core.models import inspect_model  # here, for they know the runs, and those know this recipe
    from core.settle import settle, with_absolute_paths

    asked = recipe.of.shape
    plain = recipe.model_copy(update={"links": (), "of": with_absolute_paths(recipe.of)}).check()
    of = settle(plain.of)
    assert of.teacher is not None
    teacher = inspect_model(Path(of.teacher), of.allow_remote_code)
    goal = _goal(of, teacher.parameters)
    sizes = sorted((_size(text, teacher.parameters) for text in recipe.sizes), reverse=True) or _planned(
        teacher.parameters, goal
    )
    _refuse_sizes(sizes, teacher.parameters, goal)

    # the first assistant by way of `settle`, which sees whether this teacher can be cut at all
    first = of.model_copy(update={"student": str(sizes[0]), "init": assistant_builder(of), "shape": None, "out": None})
    shapes = _shapes(settle(first), sizes, goal, of, asked)
    if of.init in ("prune", "masks", "inherit"):
        of = of.model_copy(update={"shape": shapes[-1]})
    counts = [_count(of, shape) if shape is not None else goal for shape in shapes]
    shares = _shares(of.tokens, counts if recipe.split == "size" else [1] * len(counts))
    settled = recipe.model_copy(
        update={
            "of": of,
            "sizes": tuple(str(size) for size in sizes),
            "links": tuple(
                Link(name=f"{number}-{count_text(count)}", parameters=count, tokens=tokens, shape=shape)
                for number, (count, tokens, shape) in enumerate(zip(counts, shares, shapes, strict=True), 1)
            ),
            **{field: getattr(of, field) for field in SHARED},
        }
    )
    _refuse_sizes(counts[:-1], teacher.parameters, counts[-1])
    return settled.check()


def _goal(of: DistillRecipe, teacher_params: int) -> int:
    """Parameters that the student shall have: as asked, or, where that says no number, as it has."""
    from core.models import inspect_model
    from core.plan import parse_target

    if of.init == "existing":
        return inspect_model(Path(of.student), of.allow_remote_code).parameters
    target = parse_target(of.student)
    return _count(of) if target.kind in ("speed", "folder") else target.parameters(teacher_params)


def _size(text: str, teacher_params: int) -> int:
    """Parameters of an assistant, which is described and never a folder."""
    from core.plan import UNDERSTOOD, parse_amount

    target = parse_amount(text)
    if target is None:
        raise BadRecipe(f"sizes: {text} is no size of an assistant.", UNDERSTOOD)
    return target.parameters(teacher_params)


def _planned(teacher_params: int, student_params: int) -> list[int]:
    """The law's assistants, the largest first."""
    if teacher_params <= law.BAND_RATIOS[1] * student_params:
        raise BadRecipe(
            f"sizes: The teacher is {teacher_params / student_params:.2g} times the student, so the law plans no assistant.",
            "Distill without a chain, or name the size of an assistant.",
        )
    return sorted(law.assistants(teacher_params, student_params).sizes, reverse=True)


def _refuse_sizes(sizes: Sequence[int], teacher_params: int, student_params: int) -> None:
    """Raise BadRecipe unless every model of the chain is smaller than the one before it."""
    for larger, smaller in pairwise([teacher_params, *sizes, student_params]):
        if smaller >= larger:
            raise BadRecipe(
                f"sizes: A model of {count_text(smaller)} parameters can't follow one of {count_text(larger)} in a chain.",
                f"Name assistants between the student's {count_text(student_params)} and the teacher's {count_text(teacher_params)}.",
            )


def _shapes(
    first: DistillRecipe, sizes: Sequence[int], goal: int, of: DistillRecipe, asked: Shape | None
) -> list[Shape | None]:
    """The shape of each link, each cut out of the one before; the last is `asked`, where it was, or not cut at all."""
    from core.model_files import read_config
    from core.plan import CUTS, student_shapes
    from core.shapes import config_for, validate_cut

    assert first.teacher is not None
    assert first.shape is not None
    shapes = [first.shape]
    config = config_for(read_config(Path(first.teacher)), first.shape)
    targets = list(sizes[1:])
    if of.init in CUTS and asked is None:
        targets.append(goal)
    for target in targets:
        try:
            shapes.append(student_shapes(config, target, first.init)[0].shape)
        except Trouble as trouble:
            raise BadRecipe(f"sizes: {trouble.what}", trouble.way_out) from trouble
        config = config_for(config, shapes[-1])
    if of.init not in CUTS:
        return [*shapes, of.shape]
    if asked is None:
        return list(shapes)
    if wrong := validate_cut(shapes[-1], asked):
        raise BadRecipe(
            f"of.shape: It can't be cut from the last assistant: {'; '.join(wrong)}.",
            "Leave the shape out, and it is found anew, or name a larger assistant.",
        )
    return [*shapes, asked]


def _count(of: DistillRecipe, shape: Shape | None = None) -> int:
    """Parameters of the student, or of another shape of the teacher's family."""
    from core.model_files import read_config
    from core.shapes import config_for, count_parameters

    shape = shape or of.shape
    assert shape is not None
    assert of.teacher is not None
    config = read_config(Path(of.teacher))
    if config["model_type"] != shape.model_type:  # a described student of another family than its teacher
        config = read_config(Path(of.student))
    return count_parameters(config_for(config, shape)).total


def _shares(tokens: int, weights: Sequence[int]) -> list[int]:
    """`tokens` in proportion to `weights`; what rounding leaves goes to the first."""
    shares = [tokens * weight // sum(weights) for weight in weights]
    shares[0] += tokens - sum(shares)
    return shares
