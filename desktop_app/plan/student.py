"""The student's card: what it must be, how it comes to be, and the shape it gets."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.forms import Choice, Field
from desktop_app.plan.draft import Draft
from desktop_app.plan.planning import Planned
from desktop_app.plan.shape_editor import ShapeEditor
from desktop_app.plan.target import TargetInput


class StudentCard(QWidget):
    """`changed` carries fields of the draft; `kind_wanted` and `shape_chosen` are for the page, which knows the plan."""

    changed = Signal(dict)
    kind_wanted = Signal(str, str)
    shape_chosen = Signal(object, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.target = TargetInput()
        self.builder = Choice(
            [
                ("prune", self.tr("Prune by activations")),
                ("masks", self.tr("Prune by gradients")),
                ("inherit", self.tr("Inherit whole layers")),
                ("scratch", self.tr("From scratch")),
            ]
        )
        self.builder_field = Field(self.tr("How it comes to be"), self.builder)
        self.shape = ShapeEditor()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        for one in (self.target, self.builder_field, self.shape):
            layout.addWidget(one)
        self.target.changed.connect(self.changed)
        self.target.kind_wanted.connect(self.kind_wanted)
        self.builder.chosen.connect(lambda way: self.changed.emit({"init": way, "shape": None}))
        self.shape.chosen.connect(self.shape_chosen)

    def fields(self) -> dict[str, Field]:
        return {"student": self.target.field, "init": self.builder_field, "shape": self.shape.field}

    def show_draft(self, draft: Draft, planned: Planned | None) -> None:
        plan = planned.plan if planned is not None else None
        self.target.show_draft(draft, plan)
        self.builder.choose(draft.init)
        self.builder_field.set_help(self._explained(draft.init))
        existing = draft.kind == "folder" and (plan is None or plan.init == "existing")
        self.builder_field.setVisible(not existing)

    def show_plan(self, planned: Planned) -> None:
        plan = planned.plan
        self.target.show_plan(plan)
        self.shape.show_plan(plan, planned.config, planned.draft.shape, planned.draft.init)

    def _explained(self, way: str) -> str:
        return {
            "prune": self.tr(
                "Keeps the heads, neurons and channels that the teacher's activations use most (Minitron). Quick, and the usual choice."
            ),
            "masks": self.tr(
                "Keeps what the loss would miss most, by gradients of masks (MiniMA). Takes more memory and time to build."
            ),
            "inherit": self.tr("Takes the teacher's first layers whole, all widths kept (Inheritune)."),
            "scratch": self.tr("Begins with random weights: any shape is possible, and the way is the longest."),
        }.get(way, "")
