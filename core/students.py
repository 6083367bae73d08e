"""Shapes of students: those that a builder can make of a teacher at a size, and changes of one by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from core.distill import Builder
from core.errors import Trouble
from core.numbers import count_text
from core.shapes import (
    Proposal,
    Shape,
    config_for,
    count_parameters,
    propose_shapes,
    scratch_shapes,
    shape_of,
    shape_problems,
    validate_cut,
)

CUTS: tuple[Builder, ...] = ("prune", "masks", "inherit")
TARGET_TOLERANCE = 0.02


def student_shapes(teacher_config: Mapping[str, Any], target_params: int, init: Builder) -> list[Proposal]:
    """Shapes for a student of the target size that `init` can make, the best first; none for an existing model.

    Raises Trouble where no such shape exists, or the teacher's architecture can't be taken apart.
    """
    if init == "existing":
        return []
    if init == "scratch":
        return scratch_shapes(teacher_config, target_params)
    if init == "inherit":
        return [inherited_shape(teacher_config, target_params)]
    return propose_shapes(teacher_config, target_params)


def inherited_shape(teacher_config: Mapping[str, Any], target_params: int) -> Proposal:
    """The number of whole layers of the teacher that comes nearest to the target."""
    teacher = shape_of(teacher_config)
    shapes = [teacher.model_copy(update={"layers": layers}) for layers in range(1, teacher.layers + 1)]
    counts = [count_parameters(config_for(teacher_config, shape)) for shape in shapes]
    least, most = counts[0].total, counts[-1].total
    if not least * (1 - TARGET_TOLERANCE) <= target_params <= most * (1 + TARGET_TOLERANCE):
        raise Trouble(
            f"A student that inherits whole layers of this teacher has between {count_text(least)} and "
            f"{count_text(most)} parameters, not {count_text(target_params)}.",
            "Choose a size in that range, or another way to make the student (prune, scratch).",
        )
    layers, count = min(enumerate(counts, 1), key=lambda item: abs(item[1].total - target_params))
    miss = count.total / target_params - 1
    return Proposal(
        shape=shapes[layers - 1],
        parameters=count.total,
        non_embedding=count.non_embedding,
        score=1 / (1 + abs(miss)),
        reason=f"The first {layers} of {teacher.layers} layers, all widths kept: {miss:+.1%} from the target.",
    )


# --- a shape by hand --------------------------------------------------------------------------------------------------

Unit = Literal["layers", "hidden", "heads", "kv_heads", "intermediate"]


def editable_units(teacher: Shape, init: Builder) -> tuple[Unit, ...]:
    """What of a student's shape may be chosen. Where whole key-value groups go, the heads follow the key-value heads."""
    if init == "inherit":
        return ("layers",)
    if init in CUTS:
        return ("layers", "hidden", "kv_heads", "intermediate")
    return ("layers", "hidden", "heads", "kv_heads", "intermediate")


def reshaped(teacher: Shape, shape: Shape, unit: Unit, value: int, init: Builder) -> Shape | None:
    """`shape` with another number of `unit` (and what hangs on it), or None where the builder can't make it."""
    size: dict[str, int] = {unit: value}
    square = shape.model_type in SQUARE_FAMILIES
    if init in CUTS and unit == "kv_heads":
        size["heads"] = value * teacher.heads // teacher.kv_heads
    if square and unit in ("heads", "kv_heads"):
        size |= {"heads": value, "kv_heads": value, "hidden": value * shape.head_dim}
    if square and unit == "hidden":
        heads = max(1, value // shape.head_dim)
        size |= {"heads": heads, "kv_heads": heads}
    changed = shape.model_copy(update=size)
    wrong = validate_cut(teacher, changed) if init in CUTS else shape_problems(changed)
    return None if wrong else changed


def next_shape(teacher: Shape, shape: Shape, unit: Unit, step: Literal[1, -1], init: Builder) -> Shape | None:
    """The next shape in this direction that holds together; None at the end of what is valid."""
    grain = _grain(teacher, unit)
    most = getattr(teacher, unit) if init in CUTS else 4 * max(getattr(teacher, unit), getattr(shape, unit))
    value = getattr(shape, unit)
    while True:
        # to the grid first, so that an odd width meets round ones again; the teacher's own is always on it
        beyond = (value // grain + 1) * grain if step > 0 else (-(-value // grain) - 1) * grain
        value = min(beyond, most) if step < 0 or value < most else beyond
        if not 1 <= value <= most:
            return None
        if (found := reshaped(teacher, shape, unit, value, init)) is not None:
            return found


def _grain(teacher: Shape, unit: Unit) -> int:
    if unit == "hidden" and teacher.model_type in SQUARE_FAMILIES:
        return teacher.head_dim
    if unit in ("hidden", "intermediate"):
        return 64 if getattr(teacher, unit) >= 2048 else 8
    return 1


SQUARE_FAMILIES = frozenset({"gpt2", "gpt_neox"})  # hidden = heads · head width, and every head has its own keys
