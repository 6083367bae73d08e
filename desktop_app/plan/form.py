"""The form: the cards of the leading column, which say one draft between them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.distill import DistillRecipe
from core.recipe import Problem
from desktop_app import theme
from desktop_app.forms import Field, MoreSettings
from desktop_app.forms.field import card
from desktop_app.plan.data_and_budget import DataCard
from desktop_app.plan.device import DeviceCard
from desktop_app.plan.draft import Draft
from desktop_app.plan.more import MoreFields
from desktop_app.plan.objective import ObjectiveCard
from desktop_app.plan.planning import Planned
from desktop_app.plan.student import StudentCard
from desktop_app.plan.teacher import TeacherCard


class PlanForm(QWidget):
    """`changed` carries fields of the draft (none where something can't be read); `more_changed` one of the others."""

    changed = Signal(dict)
    more_changed = Signal(str, object)
    kind_wanted = Signal(str, str)  # kind, precision
    shape_chosen = Signal(object, int)  # Shape | None, parameters
    folder_wanted = Signal()
    sample_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        titles = (
            self.tr("Teacher"),
            self.tr("Student"),
            self.tr("Data · budget"),
            self.tr("Objective"),
            self.tr("Device"),
        )
        frames = [framed(layout, title) for title in titles]
        for frame in frames:
            frame.setMaximumWidth(theme.FORM_WIDTH)
        self.teacher, self.student = TeacherCard(frames[0]), StudentCard(frames[1])
        self.data, self.objective, self.device = DataCard(frames[2]), ObjectiveCard(frames[3]), DeviceCard(frames[4])
        self.more = MoreFields()
        self.more_settings = MoreSettings(self.more, parent=frames[4])
        for one in (self.teacher, self.student, self.data, self.objective, self.device, self.more_settings):
            fill(one)
        self._connect()

    def _connect(self) -> None:
        for one in (self.teacher, self.student, self.data, self.objective, self.device):
            one.changed.connect(self.changed)
        self.teacher.folder_wanted.connect(self.folder_wanted)
        self.student.kind_wanted.connect(self.kind_wanted)
        self.student.shape_chosen.connect(self.shape_chosen)
        self.data.more_changed.connect(self.more_changed)
        self.data.sample_wanted.connect(self.sample_wanted)
        self.more.changed.connect(self.more_changed)
        self.more.unreadable.connect(lambda: self.changed.emit({}))
        self.more_settings.toggled.connect(lambda opened: self.more.build() if opened else None)

    def forget_typed(self) -> None:
        """A new draft comes, and what was half written goes."""
        for one in (self.teacher.further, self.student.target, self.data, self.objective, self.more):
            one.forget_typed()

    def show_draft(self, draft: Draft, planned: Planned | None) -> None:
        """What is asked; the plan's words beside it are those of the last plan."""
        plan = planned.plan if planned is not None else None
        offers = planned.offers if planned is not None else None
        same_text = planned is not None and planned.draft.data == draft.data
        self.teacher.show_draft(draft, plan, offers.others if offers is not None else {})
        self.student.show_draft(draft, planned)
        self.data.show_draft(draft, offers.no_answers if offers is not None and same_text else None)
        self.objective.show_draft(draft, plan, offers)
        self.device.show_draft(draft)
        self.more.show_draft(draft)

    def show_planned(self, planned: Planned, draft: Draft) -> None:
        """What the plan says to it."""
        self.student.show_plan(planned)
        self.data.show_plan(planned.plan)
        self.device.show_machine(planned.machine, planned.plan, draft)
        self.more.show_plan(planned.plan)

    def fields(self) -> dict[str, Field]:
        """Every field by its name in the recipe, in the order of the page."""
        found: dict[str, Field] = {}
        for one in (self.teacher, self.student, self.data, self.objective, self.device):
            found |= one.fields()
        return found | self.more.made

    def unread(self) -> dict[str, str]:
        """Why something that was typed can't be read, by field."""
        found: dict[str, str] = {}
        for one in (self.teacher.further, self.student.target, self.data, self.objective, self.more):
            found |= one.unread()
        return found

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Say each beside its field; those whose field is not in sight come back."""
        fields = self.fields()
        for name, field in fields.items():
            field.set_problem("\n".join(problem.text for problem in problems if problem.field == name))
        hidden = self.objective.out_of_sight()
        return [problem for problem in problems if problem.field not in fields or problem.field in hidden]

    def go_to(self, name: str) -> Field | None:
        """Put the focus on a field; what is folded away is opened first."""
        if name in DistillRecipe.model_fields and name not in self.fields():
            self.more.build_all()
        if name in self.more.made:
            self.more_settings.open()
        if name == "separator":
            self.data.more.open()
        if self.device.folded(name):
            self.device.more.open()
        field = self.fields().get(name)
        if field is not None:
            field.widget.setFocus(Qt.FocusReason.ShortcutFocusReason)
        return field


def framed(column: QVBoxLayout, title: str, stretch: int = 0) -> QWidget:
    """An empty card in its place; what goes in is made as its child, and then `fill`ed in."""
    frame = card(title=title)
    column.addWidget(frame, stretch)
    return frame


def fill(content: QWidget) -> None:
    """Put a child of a card into the card's layout."""
    frame = content.parentWidget()
    layout = frame.layout() if frame is not None else None
    assert layout is not None
    layout.addWidget(content)
