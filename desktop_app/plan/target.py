"""What the student must be: a share, a size, memory or speed, by a slider and a field that follow each other, or a folder."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from core.errors import Trouble
from core.numbers import bytes_text, count_text
from core.plan import PRECISION_BYTES, Plan, Target, parse_amount
from desktop_app import theme
from desktop_app.forms import Choice, Field, Segmented
from desktop_app.forms.field import button
from desktop_app.plan.draft import Draft
from desktop_app.plan.log_slider import LogSlider

SMALLEST_SHARE = 0.02
WITHOUT_TEACHER = (1e6, 1e10)  # parameters
WITHOUT_SPEED = (1.0, 1000.0)  # tokens a second
UNITS = {"share": "x", "size": "", "memory": "GB", "speed": "tok/s"}  # taken for granted when only a number is typed


class TargetInput(QWidget):
    """`changed` carries fields of the draft, `kind_wanted` a kind in which the same size shall be said."""

    changed = Signal(dict)
    kind_wanted = Signal(str, str)  # kind, precision

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = Segmented(
            [
                ("share", self.tr("Share")),
                ("size", self.tr("Size")),
                ("memory", self.tr("Memory")),
                ("speed", self.tr("Speed")),
                ("folder", self.tr("A model")),
            ]
        )
        self._explain_kinds()
        self.text = QLineEdit()
        self.text.setAccessibleName(self.tr("What the student must be"))
        self.text.setFixedWidth(112)
        self.slider = LogSlider(self.tr("Size of the student"))
        self.precision = Choice([(name, name) for name in PRECISION_BYTES])
        self.precision.setAccessibleName(self.tr("Precision of the weights"))
        self.precision.setToolTip(self.tr("The precision in which the student will be run."))
        self.folder = QLineEdit()
        self.folder.setAccessibleName(self.tr("Folder of the student"))
        self.folder.setPlaceholderText(self.tr("Folder of a model that shall learn on"))
        self.choose_folder = button(self.tr("Choose…"), "folder_open")
        self.choose_folder.setAccessibleName(self.tr("Choose the student's folder"))
        self.amount_row, self.folder_row = QWidget(), QWidget()
        _row(self.amount_row, (self.text, 0), (self.slider, 1), (self.precision, 0))
        _row(self.folder_row, (self.folder, 1), (self.choose_folder, 0))
        self.kind_field = Field(self.tr("The student must be"), self.kind)
        self.field = Field("", self._stack())
        self.field.label.hide()
        self.field.widget.setAccessibleName(self.tr("What the student must be"))
        self.outcome = QLabel()
        self.outcome.setWordWrap(True)
        theme.set_role(self.outcome, "muted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        for one in (self.kind_field, self.field, self.outcome):
            layout.addWidget(one)
        self._draft = Draft()
        self._showing_folder = False
        self._connect()

    def _stack(self) -> QWidget:
        both = QWidget()
        layout = QVBoxLayout(both)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.amount_row)
        layout.addWidget(self.folder_row)
        both.setFocusProxy(self.text)
        return both

    def _explain_kinds(self) -> None:
        for value, why in (
            ("share", self.tr("A share of the teacher's parameters.")),
            ("size", self.tr("A number of parameters.")),
            ("memory", self.tr("What its weights may take in memory at a precision.")),
            ("speed", self.tr("Tokens a second that it writes on this machine.")),
            ("folder", self.tr("A model that is there already and learns on.")),
        ):
            self.kind.option(value).setToolTip(why)

    def _connect(self) -> None:
        self.kind.chosen.connect(self._change_kind)
        self.text.textEdited.connect(self._read_text)
        self.text.editingFinished.connect(self._tidy_text)
        self.slider.moved.connect(self._read_slider)
        self.precision.chosen.connect(self._change_precision)
        self.folder.editingFinished.connect(self._read_folder)
        self.choose_folder.clicked.connect(self._ask_folder)

    # --- shown --------------------------------------------------------------------------------------------------------

    def show_draft(self, draft: Draft, plan: Plan | None) -> None:
        before, self._draft = self._draft, draft
        target = draft.amount
        if target is None:
            self._showing_folder = True
        elif draft.student != before.student:  # else somebody may be about to choose a folder
            self._showing_folder = False
        self.kind.choose("folder" if self._showing_folder or target is None else target.kind)
        self.folder_row.setVisible(self._showing_folder)
        self.amount_row.setVisible(not self._showing_folder)
        self.field.widget.setFocusProxy(self.folder if self._showing_folder else self.text)
        no_teacher = self.tr("Choose a teacher first: a share needs the size of the teacher.")
        self.kind.allow("share", "" if draft.teacher or draft.kind == "share" else no_teacher)
        if target is None:
            if not self.folder.hasFocus():
                self.folder.setText(draft.student)
        else:
            self._show_amount(target, plan, new=draft.student != before.student or not self.text.text())

    def forget_typed(self) -> None:
        """The next draft is shown whatever stands in the field."""
        self._draft = Draft(student="")

    def _show_amount(self, target: Target, plan: Plan | None, *, new: bool) -> None:
        shown = amount_text(target)
        if new and not _same(self._parsed(self.text.text()), target):
            self.text.setText(shown)  # else what stands there is the user's own, perhaps half written
        self.precision.setVisible(target.kind in ("memory", "speed"))
        self.precision.choose(target.precision)
        low, high = _slider_range(target, plan)
        self.slider.set_range(low, high)
        self.slider.set_value(target.value, shown)

    def show_plan(self, plan: Plan | None) -> None:
        """What the wish comes to in parameters."""
        if plan is None:
            self.outcome.setText("")
        elif plan.target.kind == "size" and plan.student_exact == plan.student_params:
            self.outcome.setText(self.tr("%s parameters") % count_text(plan.student_exact))
        else:
            told = plan.student_reason
            self.outcome.setText(self.tr("%s parameters: %s") % (count_text(plan.student_exact), told))
        self.outcome.setVisible(bool(self.outcome.text()))

    # --- changed by the user ------------------------------------------------------------------------------------------

    def _change_kind(self, kind: str) -> None:
        if kind == "folder":
            self._showing_folder = True
            self.amount_row.hide()
            self.folder_row.show()
            self.field.widget.setFocusProxy(self.folder)
            self._read_folder()
            self.folder.setFocus()
            return
        self._showing_folder = False
        self.kind_wanted.emit(kind, str(self.precision.value()))

    def _change_precision(self) -> None:
        target = self._draft.amount
        if target is not None:  # the memory or the speed stays, and the size follows
            self._set(_as_asked(target.model_copy(update={"precision": str(self.precision.value())})))

    def _read_text(self, typed: str) -> None:
        found = self._parsed(typed)
        if found is not None:
            self._set(found.text)
        self.changed.emit({})  # for what can't be read, and for what now can

    def _tidy_text(self) -> None:
        """When the field is left, what can be read is written in our way."""
        found = self._parsed(self.text.text())
        if found is not None:
            self.text.setText(amount_text(found))

    def unread(self) -> dict[str, str]:
        """Why the text in the field is no amount, by field of the recipe; nothing where it is one."""
        if self._showing_folder:
            empty = not self.folder.text().strip()
            return (
                {"student": self.tr("Choose the folder of a model, or another way to say the size.")} if empty else {}
            )
        typed = self.text.text()
        try:
            if parse_amount(self._with_unit(typed)) is not None:
                return {}
        except Trouble as trouble:
            return {"student": str(trouble).removeprefix("student: ")}
        told = self.tr("“%s” is no size. Write a share (0.4x), a size (1.3M), memory (2 GB) or a speed (30 tok/s).")
        return {"student": told % typed}

    def _read_slider(self, value: float) -> None:
        target = self._draft.amount
        if target is None:
            return
        made = target.model_copy(update={"value": value})
        self.text.setText(amount_text(made))
        self._set(_as_asked(made))

    def _read_folder(self) -> None:
        if self.folder.text().strip():
            self._set(str(Path(self.folder.text().strip()).expanduser()))
        self.changed.emit({})

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, self.tr("Choose the student's folder"))
        if name:
            self.folder.setText(name)
            self._read_folder()

    def _set(self, student: str) -> None:
        if student != self._draft.student:
            self.changed.emit({"student": student, "shape": None, "asked": ""})

    def _parsed(self, typed: str) -> Target | None:
        try:
            return parse_amount(self._with_unit(typed))
        except Trouble:
            return None

    def _with_unit(self, typed: str) -> str:
        """What was typed, with the unit and the precision that the form shows where only a number was written."""
        text = typed.strip()
        kind = self.kind.value()
        try:
            number = float(text)
        except ValueError:
            number = None
        if number is not None:
            text += "%" if kind == "share" and number > 1 else UNITS.get(kind, "")
        if "@" not in text and text.lower().endswith(("b/s", "tok/s", "tokens/s", "t/s", "gb", "mb", "kb", "tb", "ib")):
            text += f"@{self.precision.value()}"
        return text


def amount_text(target: Target) -> str:
    """The amount as it stands in its field, without the precision, which has a list of its own."""
    if target.kind == "share":
        return f"{target.value:.3g}x"
    if target.kind == "memory":
        return bytes_text(target.value)
    if target.kind == "speed":
        return f"{_digits(target.value)} tok/s"
    return count_text(target.value)


def _as_asked(target: Target) -> str:
    """A target as a recipe writes it."""
    if target.kind == "share":
        return f"{_digits(target.value)}x"
    if target.kind == "memory":
        return f"{bytes_text(target.value).replace(' ', '')}@{target.precision}"
    if target.kind == "speed":
        return f"{_digits(target.value)}tok/s@{target.precision}"
    return count_text(target.value)


def _digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):.12f}".rstrip("0").rstrip(".")


def _same(one: Target | None, other: Target) -> bool:
    return one is not None and (one.kind, one.value, one.precision) == (other.kind, other.value, other.precision)


def _slider_range(target: Target, plan: Plan | None) -> tuple[float, float]:
    """From a fiftieth of the teacher to all of it, in the unit of the target."""
    if target.kind == "share":
        return SMALLEST_SHARE, 1.0
    teacher = plan.teacher.parameters if plan is not None and plan.teacher is not None else None
    low, high = (SMALLEST_SHARE * teacher, float(teacher)) if teacher else WITHOUT_TEACHER
    if target.kind == "size":
        return low, high
    if target.kind == "memory":
        each = PRECISION_BYTES[target.precision]
        return low * each, high * each
    if plan is None or plan.target.kind != "speed":
        return WITHOUT_SPEED
    one = plan.target.value * plan.student_params  # tokens a second of a model of one parameter
    return one / high, one / low


def _row(widget: QWidget, *parts: tuple[QWidget, int]) -> None:
    layout = QHBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2 * theme.SPACE)
    for part, stretch in parts:
        layout.addWidget(part, stretch)
