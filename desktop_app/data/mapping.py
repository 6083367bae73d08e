"""Which column is which, said by hand: what the rows are, and a choice of columns for each field that such rows have."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from core.data import formats
from core.data.containers import DEFAULT_SEPARATOR
from core.data.examples import Recognised
from desktop_app import theme
from desktop_app.data.reading import Reading
from desktop_app.forms import Choice, Field
from desktop_app.forms.field import button
from desktop_app.forms.parts import words

FIELDS = {
    "text": ("text",),
    "alpaca": ("instruction", "input", "output", "system"),
    "prompt-completion": ("prompt", "completion", "system"),
    "question-answer": ("question", "answer", "system"),
    "messages": ("messages", "system", "tools"),
    "preference": ("prompt", "chosen", "rejected", "system"),
    "questions": ("turns",),
    "prompts": ("prompt",),
}
LIKE = {"sharegpt": "messages", "table": "prompt-completion", "markdown": "text"}
ACROSS = 3  # fields beside each other
TEXT = ("text", "markdown")
SPELLINGS = {
    "messages": formats.CONVERSATIONS,
    "prompt": formats.PROMPTS,
    "completion": formats.ANSWERS,
    "answer": formats.ANSWERS,
    "output": formats.ANSWERS,
    "input": formats.INPUTS,
    "chosen": formats.CHOSEN,
    "rejected": formats.REJECTED,
    "system": ("system", "system_prompt"),
    "tools": ("tools", "functions"),
}  # the names that columns are recognised by


class ColumnsForm(QFrame):
    """`changed` carries the reading as the user wants it now."""

    changed = Signal(object)  # Reading

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._reading = Reading()
        self._columns: tuple[str, ...] = ()
        self._told: tuple[str, tuple[str, ...], Reading] | None = None
        self.rows_are = Choice(
            [
                ("text", self.tr("texts")),
                ("prompt-completion", self.tr("prompts, completions")),
                ("alpaca", self.tr("instructions, answers")),
                ("question-answer", self.tr("questions, answers")),
                ("messages", self.tr("conversations")),
                ("preference", self.tr("preference pairs")),
                ("questions", self.tr("lists of questions")),
                ("prompts", self.tr("prompts alone")),
            ]
        )
        self.rows_field = Field(self.tr("Each row is"), self.rows_are)
        self.choices: dict[str, Choice] = {}
        self._fields_shown: list[Field] = []
        self._grid_home = QWidget()
        self._grid = QGridLayout(self._grid_home)
        self.separator = QLineEdit()
        self.separator.setPlaceholderText(DEFAULT_SEPARATOR)
        self.separator_field = Field(
            self.tr("Line that parts documents"),
            self.separator,
            self.tr("By default %s where there are such lines; else a file is one document.") % DEFAULT_SEPARATOR,
        )
        self.state = words("small")
        self.back = button(self.tr("Back to what was recognised"), "undo", "quiet")
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(2 * theme.SPACE)
        self._grid.setVerticalSpacing(theme.SPACE)
        self._grid.addWidget(self.rows_field, 0, 0)
        foot = QHBoxLayout()
        foot.addWidget(self.state, 1)
        foot.addWidget(self.back)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        for widget in (self._grid_home, self.separator_field):
            layout.addWidget(widget)
        layout.addLayout(foot)

    def _connect(self) -> None:
        self.rows_are.chosen.connect(lambda _: self._take_kind())
        self.separator.editingFinished.connect(self._say)
        self.back.clicked.connect(self._go_back)

    def show_data(self, recognised: Recognised | None, reading: Reading) -> None:
        """The fields of what the data are, or of what the user said they are."""
        container = recognised.container if recognised else ""
        columns = recognised.columns if recognised else self._columns
        told = (recognised.format if recognised else "", columns, reading)
        if told == self._told:
            return
        self._told, self._reading, self._columns = told, reading, columns
        plain = container in TEXT or (not columns and recognised is not None and recognised.kind == "text")
        self._grid_home.setVisible(not plain)
        self.separator_field.setVisible(plain)
        if not self.separator.hasFocus():
            self.separator.setText(reading.separator)
        self.rows_are.choose(self._kind_of(told[0], reading))
        self._make_choices()
        by_hand = bool(reading.mapping or reading.separator)
        self.back.setVisible(by_hand)
        said = self.tr("Named by hand; the rows below follow.") if by_hand else self.tr("As they were recognised.")
        unknown = self.tr("No column has a name that is known: choose which is which.")
        self.state.setText(unknown if told[0] == "table" else said)

    def _kind_of(self, name: str, reading: Reading) -> str:
        """What the mapping fits best; else what was recognised."""
        now = str(self.rows_are.value())
        if reading.mapping and reading.mapping.keys() <= set(FIELDS[now]):
            return now
        if reading.mapping:
            return max(FIELDS, key=lambda kind: len(reading.mapping.keys() & set(FIELDS[kind])) / len(FIELDS[kind]))
        return LIKE.get(name, name) if LIKE.get(name, name) in FIELDS else "text"

    def _make_choices(self) -> None:
        fields = FIELDS[str(self.rows_are.value())]
        if tuple(self.choices) != fields:
            for field in self._fields_shown:
                self._grid.removeWidget(field)
                field.hide()
                field.deleteLater()
            self._fields_shown = []
            self.choices = {name: Choice() for name in fields}
            for at, (name, choice) in enumerate(self.choices.items(), 1):
                choice.chosen.connect(lambda _: self._say())
                self._fields_shown.append(Field(self._title(name), choice))
                self._grid.addWidget(self._fields_shown[-1], at // ACROSS, at % ACROSS)
            for column in range(ACROSS):
                self._grid.setColumnStretch(column, 1)
        for name, choice in self.choices.items():
            choice.set_options([("", self.tr("none")), *((column, column) for column in self._columns)])
            choice.choose(self._reading.mapping.get(name, "" if self._reading.mapping else self._same(name)))

    def _same(self, name: str) -> str:
        """The column that is recognised as this field."""
        return next((each for each in (name, *SPELLINGS.get(name, ())) if each in self._columns), "")

    def _title(self, name: str) -> str:
        titles = {
            "text": self.tr("Text"),
            "instruction": self.tr("Instruction"),
            "input": self.tr("Input (adds to the instruction)"),
            "output": self.tr("Answer"),
            "system": self.tr("System prompt"),
            "prompt": self.tr("Prompt"),
            "completion": self.tr("Completion"),
            "question": self.tr("Question"),
            "answer": self.tr("Answer"),
            "messages": self.tr("Turns"),
            "tools": self.tr("Tools"),
            "chosen": self.tr("Chosen answer"),
            "rejected": self.tr("Rejected answer"),
            "turns": self.tr("Questions"),
        }
        return titles[name]

    def _take_kind(self) -> None:
        """Other fields; a mapping that was said goes as far as it still fits."""
        kept = {name: column for name, column in self._reading.mapping.items() if name in self._fields()}
        self._reading = Reading(kept, self._reading.separator, self._reading.skip_broken)
        self._make_choices()
        self._say()

    def _fields(self) -> Sequence[str]:
        return FIELDS[str(self.rows_are.value())]

    def _say(self) -> None:
        mapping = {name: str(choice.value()) for name, choice in self.choices.items() if choice.value()}
        plain = self.separator_field.isVisibleTo(self)
        self._tell(Reading({} if plain else mapping, self.separator.text().strip(), self._reading.skip_broken))

    def _go_back(self) -> None:
        self.separator.clear()
        self._reading = Reading(skip_broken=self._reading.skip_broken)
        self._tell(self._reading)

    def _tell(self, reading: Reading) -> None:
        if self._told is not None and reading != self._told[2]:
            self.changed.emit(reading)
