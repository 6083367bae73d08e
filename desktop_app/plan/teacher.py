"""The teacher's card: the models at hand that can teach, the best for this student first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from core.models import ModelEntry
from core.numbers import count_text
from core.plan import Plan
from core.plan import Teacher as Candidate
from desktop_app import theme
from desktop_app.forms import Choice, Field
from desktop_app.forms.field import button
from desktop_app.plan.draft import Draft, name_of_folder
from desktop_app.plan.further_teachers import FurtherTeachers


class TeacherCard(QWidget):
    """`changed` carries the fields of the draft that the user changed; `folder_wanted` asks for a dialog."""

    changed = Signal(dict)
    folder_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.choice = Choice()
        self.choice.setMinimumContentsLength(16)
        self.field = Field(self.tr("Model that teaches"), self.choice)
        self.open_folder = button(self.tr("Open a folder…"), "folder_open", "quiet")
        self.open_folder.setToolTip(
            self.tr("A model folder, or a folder of them. Dropping it on this page does the same.")
        )
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        theme.set_role(self.facts, "muted")
        self.field.beside_label(self.open_folder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.field)
        layout.addWidget(self.facts)
        self.further = FurtherTeachers(after=self.open_folder)
        layout.addWidget(self.further)
        self._entries: Sequence[ModelEntry] = ()
        self._loaded = False
        self._draft = Draft()
        self.choice.chosen.connect(self._choose)
        self.open_folder.clicked.connect(self.folder_wanted)
        self.further.changed.connect(self.changed)

    def fields(self) -> dict[str, Field]:
        return {"teacher": self.field} | self.further.fields()

    def set_models(self, entries: Sequence[ModelEntry], *, loaded: bool) -> None:
        """The shelf as it is now; what can't teach is left out and counted."""
        self._entries, self._loaded = entries, loaded

    def show_draft(self, draft: Draft, plan: Plan | None, others: Mapping[str, str]) -> None:
        """The list, with the law's word beside each model where there is a plan; `others` can't teach beside the first."""
        self._draft = draft
        options: list[tuple[object, str]] = []
        if draft.kind == "folder" or draft.teacher is None:
            none = self.tr("No teacher: plain training") if draft.kind == "folder" else self.tr("Choose a teacher")
            options.append((None, none))
        # a share is the same of every teacher: there the law's word would speak of another student than the one chosen
        options += self._models(None if draft.kind == "share" else plan)
        listed = {path for path, _ in options}
        if draft.teacher is not None and draft.teacher not in listed:
            options.append((draft.teacher, name_of_folder(draft.teacher)))
        if [(self.choice.itemData(at), self.choice.itemText(at)) for at in range(self.choice.count())] != options:
            self.choice.set_options(options)
        self.choice.choose(draft.teacher)
        self.choice.setToolTip(draft.teacher or "")
        self.facts.setText(self._facts())
        self.facts.setVisible(bool(self.facts.text()))
        self.further.show_draft(draft, [entry for entry in self._entries if can_teach(entry)], others)

    def _choose(self, path: object) -> None:
        """The first teacher; who was a further one is so no more."""
        more = self._draft.value("more_teachers")
        left = tuple(one for one in more if one != path)
        self.changed.emit({"teacher": path} | ({"more_teachers": left, "teacher_weights": ()} if left != more else {}))

    def _models(self, plan: Plan | None) -> list[tuple[object, str]]:
        badges: dict[str, Candidate] = {str(one.path): one for one in plan.candidates} if plan is not None else {}
        order = {path: place for place, path in enumerate(badges)}
        usable = [entry for entry in self._entries if can_teach(entry)]
        usable.sort(
            key=lambda entry: (order.get(str(entry.path), len(order)), entry.info.parameters if entry.info else 0)
        )
        return [(str(entry.path), _line(entry, badges.get(str(entry.path)))) for entry in usable]

    def _facts(self) -> str:
        if not self._loaded:
            return self.tr("Looking for models…")
        usable = sum(can_teach(entry) for entry in self._entries)
        if not usable:
            return self.tr("No model is at hand yet. Open a folder that holds config.json and safetensors files.")
        if left_out := len(self._entries) - usable:
            return (
                self.tr("Not listed because they can't teach (broken, adapters or quantized): %d. See Models.")
                % left_out
            )
        return ""


def can_teach(entry: ModelEntry) -> bool:
    info = entry.info
    return info is not None and not info.is_adapter and info.quantization is None


def first_teacher(entries: Sequence[ModelEntry], preferred: Path) -> str | None:
    """The preferred model if it is on the shelf, else the first that can teach."""
    usable = [entry for entry in entries if can_teach(entry)]
    chosen = next((entry for entry in usable if entry.path == preferred), usable[0] if usable else None)
    return None if chosen is None else str(chosen.path)


def _line(entry: ModelEntry, candidate: Candidate | None) -> str:
    parts = [entry.name]
    if entry.info is not None:
        parts.append(count_text(entry.info.parameters))
    if candidate is not None:
        parts.append(candidate.badge)
    return " · ".join(parts)
