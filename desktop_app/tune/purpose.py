"""What the tuning is for: three presets as cards in plain words, or one's own choice; and who a persona is."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QGridLayout, QLineEdit, QRadioButton, QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.forms import Field
from desktop_app.forms.parts import words
from desktop_app.tune.draft import Draft, Purpose
from desktop_app.tune.thinking import Thought

PERSONA = ("persona_name", "persona_author")


class PurposeOption(QFrame):
    """A card with a radio button; a click anywhere on it is one on the button."""

    def __init__(self, title: str, advice: str) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self.button = QRadioButton(title)
        self.button.setAccessibleDescription(advice)
        font = self.button.font()
        font.setBold(True)
        self.button.setFont(font)
        self.advice = words("small", advice)
        self.advice.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, theme.SPACE, 12, theme.SPACE)
        layout.setSpacing(4)
        layout.addWidget(self.button)
        layout.addWidget(self.advice)
        layout.addStretch(1)
        self.button.toggled.connect(self._mark)

    def set_advice(self, advice: str) -> None:
        self.advice.setText(advice)
        self.button.setAccessibleDescription(advice)

    def _mark(self, chosen: bool) -> None:
        self.setProperty("chosen", chosen)
        self.style().unpolish(self)
        self.style().polish(self)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() is Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.button.click()


class PurposeCard(QWidget):
    """`chosen` is the user's choice of a preset; `changed` carries fields of the draft."""

    chosen = Signal(str)
    changed = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group = QButtonGroup(self)
        self.options: dict[Purpose, PurposeOption] = {
            "minichat": PurposeOption(self.tr("MiniChat"), ""),
            "recover": PurposeOption(
                self.tr("Recover a pruned model"),
                self.tr("Plain text through a small adapter mends what cutting layers or widths broke."),
            ),
            "persona": PurposeOption(
                self.tr("Teach a persona"),
                self.tr("A name and an author, from a few dozen questions and answers about itself."),
            ),
            "none": PurposeOption(self.tr("Own choice"), self.tr("Every setting as you say it, from good defaults.")),
        }
        grid = QGridLayout()
        grid.setSpacing(theme.SPACE)
        for at, (name, option) in enumerate(self.options.items()):
            self._group.addButton(option.button)
            grid.addWidget(option, at // 2, at % 2)
            grid.setColumnStretch(at % 2, 1)
            option.button.clicked.connect(lambda _=False, name=name: self.chosen.emit(name))
        self.name, self.author = QLineEdit(), QLineEdit()
        self.name_field = Field(self.tr("Name of the persona"), self.name)
        self.author_field = Field(self.tr("Author"), self.author)
        self.persona = QWidget()
        fields = QGridLayout(self.persona)
        fields.setContentsMargins(0, 0, 0, 0)
        fields.setHorizontalSpacing(2 * theme.SPACE)
        for at, field in enumerate((self.name_field, self.author_field)):
            fields.addWidget(field, 0, at, Qt.AlignmentFlag.AlignTop)
            fields.setColumnStretch(at, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        layout.addLayout(grid)
        layout.addWidget(self.persona)
        self.name.textEdited.connect(lambda text: self.changed.emit({"persona_name": text.strip() or None}))
        self.author.textEdited.connect(lambda text: self.changed.emit({"persona_author": text.strip() or None}))

    def fields(self) -> dict[str, Field]:
        return {"persona_name": self.name_field, "persona_author": self.author_field}

    def out_of_sight(self) -> set[str]:
        """Fields whose problems can't stand beside them."""
        return set() if self.persona.isVisibleTo(self) else set(PERSONA)

    def show_draft(self, draft: Draft, thought: Thought | None) -> None:
        self.options["minichat"].set_advice(self._minichat(draft))
        self.options[draft.preset].button.setChecked(True)
        marks = thought.glimpse.marks if thought is not None and thought.draft.data == draft.data else frozenset()
        asked = thought is not None and any(problem.field in PERSONA for problem in thought.problems)
        said = any(draft.value(name) for name in PERSONA)
        self.persona.setVisible(draft.preset == "persona" or bool(marks) or said or asked)
        for edit, field, name, mark in (
            (self.name, self.name_field, "persona_name", "name"),
            (self.author, self.author_field, "persona_author", "author"),
        ):
            if edit.text().strip() != (draft.value(name) or ""):  # a space that was just typed stays
                edit.setText(draft.value(name) or "")
            stands = self.tr("Stands for {{%s}} in the data.") % mark
            absent = self.tr("The first rows have no {{%s}} in them.") % mark
            field.set_help(stands if mark in marks or not draft.data else absent)

    def _minichat(self, draft: Draft) -> str:
        if draft.paired:
            return self.tr("The second step, for the data are pairs: of two answers the better one is preferred (DPO).")
        return self.tr("A base model learns to answer; preferences on top come as a second run, on pairs.")
