"""The form of the Tune page: the cards of the leading column, which say one draft between them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.numbers import bytes_text
from core.recipe import Problem
from core.tune import TuneRecipe
from desktop_app import theme
from desktop_app.forms import Choice, Field, MoreSettings
from desktop_app.plan.form import fill, framed
from desktop_app.tune.data import DataCard
from desktop_app.tune.draft import Draft
from desktop_app.tune.method import MethodCard
from desktop_app.tune.more import MoreFields
from desktop_app.tune.purpose import PurposeCard
from desktop_app.tune.subject import SubjectCard
from desktop_app.tune.thinking import Thought


class TuneForm(QWidget):
    """`changed` carries fields of the draft (none where something can't be read), `purpose_chosen` a preset."""

    changed = Signal(dict)
    purpose_chosen = Signal(str)
    folder_wanted = Signal()
    data_page_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        titles = (self.tr("What is tuned"), self.tr("Data"), self.tr("What for"), self.tr("How"), self.tr("Device"))
        frames = [framed(layout, title) for title in titles]
        for frame in frames:
            frame.setMaximumWidth(theme.FORM_WIDTH)
        self.subject, self.data = SubjectCard(frames[0]), DataCard(frames[1])
        self.purpose, self.method = PurposeCard(frames[2]), MethodCard(frames[3])
        self.device = Choice([("auto", self.tr("Automatic"))])
        self.device_field = Field(self.tr("Where it runs"), self.device, parent=frames[4])
        self.more = MoreFields()
        self.more_settings = MoreSettings(self.more, parent=frames[4])
        for one in (self.subject, self.data, self.purpose, self.method, self.device_field, self.more_settings):
            fill(one)
        self._connect()

    def _connect(self) -> None:
        for one in (self.subject, self.data, self.purpose, self.method):
            one.changed.connect(self.changed)
        self.subject.folder_wanted.connect(self.folder_wanted)
        self.data.data_page_wanted.connect(self.data_page_wanted)
        self.purpose.chosen.connect(self.purpose_chosen)
        self.device.chosen.connect(lambda device: self.changed.emit({"device": device}))
        self.more.changed.connect(lambda name, value: self.changed.emit({name: value}))
        self.more.unreadable.connect(lambda: self.changed.emit({}))
        self.more_settings.toggled.connect(lambda opened: self.more.build() if opened else None)

    def forget_typed(self) -> None:
        """A new draft comes, and what was half written goes."""
        self.method.forget_typed()
        self.more.forget_typed()

    def show_draft(self, draft: Draft, thought: Thought | None) -> None:
        """What is asked, with the words of the last thought beside it."""
        for one in (self.subject, self.data, self.purpose, self.method, self.more):
            one.show_draft(draft, thought)
        self._show_device(draft, thought)

    def _show_device(self, draft: Draft, thought: Thought | None) -> None:
        here = thought.device if thought is not None else None
        auto = self.tr("Automatic: %s") % here.id if here and draft.value("device") == "auto" else self.tr("Automatic")
        options: list[tuple[object, str]] = [("auto", auto)]
        for device in thought.machine if thought is not None else ():
            free = self.tr("%s free") % bytes_text(device.memory_free_bytes)
            options.append((device.id, " · ".join(part for part in (device.id, device.name, free) if part)))
        if draft.value("device") not in {value for value, _ in options}:
            options.append((draft.value("device"), self.tr("%s (not on this machine)") % draft.value("device")))
        if self.device.property("told") != repr(options):
            self.device.setProperty("told", repr(options))
            self.device.set_options(options)
            for device in thought.machine if thought is not None else ():
                if not device.usable:
                    self.device.refuse(device.id, device.note)
        self.device.choose(draft.value("device"))

    def fields(self) -> dict[str, Field]:
        """Every field by its name in the recipe, in the order of the page."""
        found: dict[str, Field] = {}
        for one in (self.subject, self.data, self.purpose, self.method):
            found |= one.fields()
        return found | {"device": self.device_field} | self.more.made

    def unread(self) -> dict[str, str]:
        """Why something that was typed can't be read, by field."""
        return self.method.unread() | self.more.unread()

    def show_problems(self, problems: list[Problem]) -> list[Problem]:
        """Say each beside its field; those whose field is not in sight come back."""
        fields = self.fields()
        told: dict[Field, list[str]] = {field: [] for field in fields.values()}
        for problem in problems:
            if problem.field in fields:
                told[fields[problem.field]].append(problem.text)
        for field, texts in told.items():
            field.set_problem("\n".join(texts))
        hidden = self.purpose.out_of_sight()
        return [problem for problem in problems if problem.field not in fields or problem.field in hidden]

    def go_to(self, name: str) -> Field | None:
        """Put the focus on a field; what is folded away is opened first."""
        if name in TuneRecipe.model_fields and name not in self.fields():
            self.more.build_all()
        if name in self.more.made:
            self.more_settings.open()
        field = self.fields().get(name)
        if field is not None:
            field.widget.setFocus(Qt.FocusReason.ShortcutFocusReason)
        return field
