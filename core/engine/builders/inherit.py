"""Block inheritance: the teacher's first blocks, embeddings, final norm and head (Inheritune, arXiv 2404.08634)."""

from __future__ import annotations

from core.engine.builders.selection import Selection, everything
from core.errors import Trouble
from core.shapes import Shape


def first_blocks(teacher: Shape, student: Shape) -> Selection:
    """Raises Trouble when the shapes differ in more than layers (and a shorter context): the blocks are taken whole."""
    widths = ("hidden", "heads", "kv_heads", "intermediate")
    differing = [
        f"{name.replace('_', ' ')} {getattr(teacher, name)} → {getattr(student, name)}"
        for name in widths
        if getattr(teacher, name) != getattr(student, name)
    ]
    if differing:
        raise Trouble(
            f"Block inheritance takes whole blocks, but this student's widths differ ({', '.join(differing)}).",
            "Choose a shape that has the teacher's widths and fewer layers, or prune.",
        )
    return everything(teacher, tuple(range(student.layers)))
