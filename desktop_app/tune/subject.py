"""What is tuned: the model or the adapter to go on from, and perhaps a teacher."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.models import ModelEntry
from core.numbers import count_text
from desktop_app import theme
from desktop_app.forms import Choice, Field
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.plan.draft import name_of_folder
from desktop_app.tune.draft import Draft
from desktop_app.tune.thinking import Subject, Thought


class SubjectCard(QWidget):
    """`changed` carries the fields of the draft that the user changed; `folder_wanted` asks for a dialog."""

    changed = Signal(dict)
    folder_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.choice, self.teacher = Choice(), Choice()
        for one in (self.choice, self.teacher):
            one.setMinimumContentsLength(16)
        self.field = Field(self.tr("Model, or an adapter to go on from"), self.choice)
        self.open_folder = button(self.tr("Open a folder…"), "folder_open", "quiet")
        self.open_folder.setToolTip(
            self.tr("A model folder, or a folder of them. Dropping it on this page does the same.")
        )
        self.field.beside_label(self.open_folder)
        self.facts = words("muted")
        self.teacher_field = Field(self.tr("Teacher, if you want one"), self.teacher)
        self._entries: Sequence[ModelEntry] = ()
        self._loaded = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.field)
        layout.addWidget(self.facts)
        layout.addSpacing(theme.SPACE)
        layout.addWidget(self.teacher_field)
        self.choice.chosen.connect(lambda path: self.changed.emit({"subject": path}))
        self.teacher.chosen.connect(lambda path: self.changed.emit({"teacher": path}))
        self.open_folder.clicked.connect(self.folder_wanted)

    def fields(self) -> dict[str, Field]:
        return {"model": self.field, "teacher": self.teacher_field}

    def set_models(self, entries: Sequence[ModelEntry], *, loaded: bool) -> None:
        """The shelf as it is now."""
        self._entries, self._loaded = entries, loaded

    def show_draft(self, draft: Draft, thought: Thought | None) -> None:
        models = [entry for entry in self._entries if can_be_tuned(entry)]
        first = [] if draft.subject is not None else [(None, self.tr("Choose a model"))]
        _offer(self.choice, [*first, *((str(entry.path), self._line(entry)) for entry in models)], draft.subject)
        self.choice.setToolTip(draft.subject or "")
        subject = thought.subject if thought is not None and thought.draft.subject == draft.subject else None
        self.facts.setText(self._facts(subject))
        self.facts.setVisible(bool(self.facts.text()))
        self._show_teacher(draft, thought)

    def _line(self, entry: ModelEntry) -> str:
        info = entry.info
        if info is None:
            return entry.name
        if info.is_adapter:
            return self.tr("%s · adapter of %s") % (entry.name, name_of_folder(info.base_model or "?"))
        return f"{entry.name} · {count_text(info.parameters)}"

    def _facts(self, subject: Subject | None) -> str:
        if subject is None:
            if not self._loaded:
                return self.tr("Looking for models…")
            none = self.tr("No model is at hand yet. Open a folder that holds config.json and safetensors files.")
            return "" if any(map(can_be_tuned, self._entries)) else none
        info = subject.info
        said = [self.tr("%s parameters") % count_text(info.parameters), info.architecture.removesuffix("ForCausalLM")]
        if info.context:
            said.append(self.tr("context %s") % f"{info.context:,}")
        said.append(
            self.tr("brings its own chat template") if subject.speaks else self.tr("no chat template of its own")
        )
        if subject.adapter is not None:
            known = self.tr("%s: its base is there, with the weights that it was trained on.") % subject.adapter.words
            return f"{known}\n{' · '.join(said)}"
        return " · ".join(said)

    def _show_teacher(self, draft: Draft, thought: Thought | None) -> None:
        objective = draft.value("objective")
        why_not = dict(thought.no_teachers) if thought is not None else {}
        options: list[tuple[object, str]] = [(None, self.tr("No teacher"))]
        models = [entry for entry in self._entries if can_be_tuned(entry) and entry.info and not entry.info.is_adapter]
        options += [(str(entry.path), self._line(entry)) for entry in models]
        _offer(self.teacher, options, draft.value("teacher"), why_not)
        refused = objective == "orpo" and draft.value("teacher") is None
        self.teacher.setEnabled(not refused)
        self.teacher_field.set_help(
            {
                "sft": self.tr(
                    "It guides the tuning: what it would say at each place counts beside the answer itself."
                ),
                "dpo": self.tr("It is the reference that is not strayed from, in place of the model as it is now."),
                "orpo": self.tr("ORPO learns without a reference, so it has no use for a teacher."),
            }[objective]
        )


def can_be_tuned(entry: ModelEntry) -> bool:
    return entry.info is not None and entry.info.quantization is None


def first_model(entries: Sequence[ModelEntry]) -> str | None:
    """The smallest whole model whose tokenizer is there: what answers soonest."""
    usable = [entry for entry in entries if can_be_tuned(entry) and entry.info and entry.info.tokenizer.fingerprint]
    whole = [entry for entry in usable if entry.info and not entry.info.is_adapter]
    found = min(whole, key=lambda entry: entry.info.parameters if entry.info else 0, default=None)
    return None if found is None else str(found.path)


def _offer(
    choice: Choice, options: Sequence[tuple[object, str]], chosen: object, why_not: dict[str, str] | None = None
) -> None:
    """Fill a list anew where it differs; a chosen folder that is not at hand is named by itself."""
    if chosen is not None and chosen not in {value for value, _ in options}:
        options = [*options, (chosen, name_of_folder(str(chosen)))]
    told = repr((options, why_not))
    if choice.property("told") != told:
        choice.setProperty("told", told)
        choice.set_options(options)
        for value, why in (why_not or {}).items():
            if choice.findData(value) >= 0 and value != chosen:
                choice.refuse(value, why)
    choice.choose(chosen)
