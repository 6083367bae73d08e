"""All that can be set about a conversation: sampling, system prompt, the full context, and how each model is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QFrame, QLabel, QPlainTextEdit, QScrollArea, QVBoxLayout, QWidget

from core.chat import WhenFull
from desktop_app import theme
from desktop_app.chat.heads import Member
from desktop_app.chat.sampling import Dial, SamplingForm
from desktop_app.forms import Choice, Field, Segmented, parts
from desktop_app.forms.field import button


@dataclass(frozen=True)
class Drafter:
    """A student that could draft for a model."""

    folder: str
    name: str


class ModelForm(QWidget):
    """How one model is asked."""

    mode_chosen = Signal(str, str)  # column, mode
    draft_chosen = Signal(str, str)  # column, folder or nothing
    adapter_changed = Signal(str, str, float)  # column, adapter, scale
    template_wanted = Signal(str)

    def __init__(self, column: str) -> None:
        super().__init__()
        self.column = column
        self.name, self.reason = QLabel(), parts.words("small")
        self.name.setWordWrap(True)
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        font = self.name.font()
        font.setBold(True)
        self.name.setFont(font)
        self.mode = Segmented([("auto", self.tr("Auto")), ("chat", self.tr("Chat")), ("raw", self.tr("Go on"))])
        self.draft = Choice()
        self.template = button(self.tr("Show its template"), "log", "quiet")
        self.mode_field = Field(self.tr("How it is asked"), self.mode)
        self.draft_field = Field(self.tr("Drafted by"), self.draft)
        self._adapters: dict[str, tuple[QCheckBox, Dial]] = {}
        self._adapter_box = QVBoxLayout()
        self._drafters: tuple[Drafter, ...] | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.name)
        layout.addWidget(self.mode_field)
        layout.addWidget(self.template, alignment=Qt.AlignmentFlag.AlignLeading)
        layout.addWidget(self.draft_field)
        layout.addLayout(self._adapter_box)
        self.mode.chosen.connect(lambda mode: self.mode_chosen.emit(column, mode))
        self.draft.chosen.connect(lambda folder: self.draft_chosen.emit(column, str(folder)))
        self.template.clicked.connect(lambda: self.template_wanted.emit(column))

    def show_member(self, member: Member, drafters: Sequence[Drafter]) -> None:
        self.name.setText(member.name)
        self.mode.choose(member.mode)
        no_template = self.tr("It has no chat template.") if member.loaded and member.template is None else ""
        self.mode.allow("chat", no_template)
        self.mode_field.set_help(self._reason(member))
        self.template.setEnabled(member.loaded)
        self.template.setToolTip("" if member.loaded else self.tr("It is read when the model is loaded."))
        self._offer_drafters(member, drafters)
        self._show_adapters(member)

    def _reason(self, member: Member) -> str:
        if member.mode == "chat":
            return self.tr("Turns are written as its chat template says.")
        if member.mode == "raw":
            return self.tr("All texts are run together, and it goes on.")
        if not member.loaded:
            return self.tr("As a chat if the model has a chat template, else it goes on with your text.")
        if member.template is None:
            return self.tr("It has no chat template, so it goes on with your text.")
        return self.tr("As a chat, because it has a chat template.")

    def _offer_drafters(self, member: Member, drafters: Sequence[Drafter]) -> None:
        if self._drafters != tuple(drafters):
            self._drafters = tuple(drafters)
            self.draft.set_options([("", self.tr("nobody")), *((one.folder, one.name) for one in drafters)])
        self.draft.choose(member.draft)
        self.draft.setEnabled(bool(drafters))
        none = self.tr("No smaller model here has the same tokenizer.")
        self.draft.setToolTip("" if drafters else none)
        what = self.tr("A smaller model writes ahead, this one checks: the same text, sooner.")
        self.draft_field.set_help(what if drafters else none)

    def _show_adapters(self, member: Member) -> None:
        if set(self._adapters) != set(member.adapters):
            while (item := self._adapter_box.takeAt(0)) is not None:
                if (widget := item.widget()) is not None:
                    widget.hide()
                    widget.deleteLater()
            self._adapters = {name: self._new_adapter(name) for name in member.adapters}
        for name, scale in member.adapters.items():
            tick, dial = self._adapters[name]
            tick.setChecked(scale > 0)
            dial.setEnabled(scale > 0)
            dial.setToolTip("" if scale > 0 else self.tr("Switch the adapter on first."))
            if scale > 0:
                dial.set_value(scale)

    def _new_adapter(self, name: str) -> tuple[QCheckBox, Dial]:
        tick, dial = QCheckBox(self.tr("Adapter %s") % name), Dial(0.05, 2, 0.05)
        dial.set_value(1.0)
        dial.setAccessibleName(self.tr("Strength of %s") % name)
        tick.clicked.connect(
            lambda checked: self.adapter_changed.emit(self.column, name, dial.value() if checked else 0.0)
        )
        dial.changed.connect(lambda value: self.adapter_changed.emit(self.column, name, value))
        self._adapter_box.addWidget(tick)
        self._adapter_box.addWidget(dial)
        return tick, dial


class SettingsPane(QScrollArea):
    """The pane at the side."""

    sampling_changed = Signal(object)
    system_changed = Signal(str)
    when_full_chosen = Signal(str)
    device_chosen = Signal(str)
    mode_chosen = Signal(str, str)
    draft_chosen = Signal(str, str)
    adapter_changed = Signal(str, str, float)
    template_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(280)
        self.setAccessibleName(self.tr("Settings of this conversation"))
        self.sampling, self.system = SamplingForm(), QPlainTextEdit()
        self.system.setTabChangesFocus(True)
        self.system.setFixedHeight(92)
        self.system.setPlaceholderText(self.tr("none"))
        self.full = Choice([("drop", self.tr("Drop the oldest turns")), ("stop", self.tr("Stop and say so"))])
        self.device = Choice([("auto", self.tr("Choose for me")), ("cpu", "cpu")])
        self.models: dict[str, ModelForm] = {}
        system = Field(
            self.tr("System prompt"),
            self.system,
            self.tr("Stands before the conversation. A base model reads it as the beginning of the text."),
        )
        full = Field(
            self.tr("When the context is full"),
            self.full,
            self.tr("The system prompt and your last words always stay."),
        )
        self.device_field = Field(self.tr("Device"), self.device)
        self._models = QVBoxLayout()
        self._models.setSpacing(2 * theme.SPACE)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(theme.SPACE, 0, 2 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(12)
        layout.addWidget(_heading(self.tr("Sampling")))
        layout.addWidget(self.sampling)
        layout.addWidget(_rule())
        layout.addWidget(system)
        layout.addWidget(full)
        layout.addWidget(self.device_field)
        layout.addWidget(_rule())
        layout.addWidget(_heading(self.tr("Models")))
        self.none = parts.words("muted", self.tr("Choose a model first."))
        layout.addWidget(self.none)
        layout.addLayout(self._models)
        layout.addStretch(1)
        self.setWidget(content)
        self.sampling.changed.connect(self.sampling_changed)
        self.system.textChanged.connect(lambda: self.system_changed.emit(self.system.toPlainText()))
        self.full.chosen.connect(lambda value: self.when_full_chosen.emit(str(value)))
        self.device.chosen.connect(lambda value: self.device_chosen.emit(str(value)))

    def set_system(self, text: str) -> None:
        if text != self.system.toPlainText():
            self.system.blockSignals(True)
            self.system.setPlainText(text)
            self.system.blockSignals(False)

    def when_full(self) -> WhenFull:
        return "stop" if self.full.value() == "stop" else "drop"

    def show_members(self, members: Sequence[Member], drafters: dict[str, list[Drafter]], *, blind: bool) -> None:
        """The models by name, unless names are hidden."""
        shown = [] if blind else list(members)
        self.none.setText(self.tr("Names are hidden until you vote.") if blind else self.tr("Choose a model first."))
        self.none.setVisible(not shown)
        for column in [one for one in self.models if one not in {member.column for member in shown}]:
            gone = self.models.pop(column)
            self._models.removeWidget(gone)
            gone.hide()
            gone.deleteLater()
        for member in shown:
            if member.column not in self.models:
                self.models[member.column] = self._new_form(member.column)
            self.models[member.column].show_member(member, drafters.get(member.column, []))

    def _new_form(self, column: str) -> ModelForm:
        form = ModelForm(column)
        form.mode_chosen.connect(self.mode_chosen)
        form.draft_chosen.connect(self.draft_chosen)
        form.adapter_changed.connect(self.adapter_changed)
        form.template_wanted.connect(self.template_wanted)
        self._models.addWidget(form)
        return form


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    theme.set_role(label, "title")
    return label


def _rule() -> QFrame:
    rule = QFrame()
    rule.setFixedHeight(1)
    theme.set_role(rule, "rule")
    return rule
