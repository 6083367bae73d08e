"""The proposed shape of the student, drawn beside its teacher's, and changed by hand within what is valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.distill import Builder
from core.numbers import count_text
from core.plan import Plan, Unit, editable_units, next_shape, reshaped
from core.shapes import Proposal, Shape, config_for, count_parameters
from desktop_app import theme
from desktop_app.charts.shape_drawing import ShapeDrawing
from desktop_app.forms import Choice, Field, MoreSettings
from desktop_app.forms.field import button
from desktop_app.icons import icon

UNITS: tuple[Unit, ...] = ("layers", "hidden", "heads", "kv_heads", "intermediate")


class UnitStepper(QWidget):
    """One number of a shape, with a button for less and one for more; the arrow keys do the same."""

    stepped = Signal(int)  # -1 or 1
    typed = Signal(int)

    def __init__(self, label: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.edit = QLineEdit()
        self.edit.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.edit.setFixedWidth(64)
        self.edit.setFont(theme.tabular(self.edit.font()))
        self.less, self.more = _small("minus", self.tr("Less")), _small("add", self.tr("More"))
        self.less.setAccessibleName(self.tr("Fewer: %s") % label)
        self.more.setAccessibleName(self.tr("More: %s") % label)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for one in (self.less, self.edit, self.more):
            row.addWidget(one)
        row.addStretch(1)
        self.setFocusProxy(self.edit)
        self.edit.setAccessibleName(label)
        self.edit.installEventFilter(self)
        self.less.clicked.connect(lambda: self.stepped.emit(-1))
        self.more.clicked.connect(lambda: self.stepped.emit(1))
        self.edit.editingFinished.connect(self._read)

    def show_value(self, value: int, down: bool, up: bool) -> None:
        """The value, and whether there is a valid one below and above."""
        self.edit.setText(str(value))
        self.edit.setModified(False)
        end = self.tr("No valid number lies beyond this one.")
        for one, open_ in ((self.less, down), (self.more, up)):
            one.setEnabled(open_)
            one.setToolTip("" if open_ else end)

    def _read(self) -> None:
        if self.edit.isModified() and self.edit.text().isdigit():
            self.typed.emit(int(self.edit.text()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1}.get(Qt.Key(event.key()))
            if step is not None:
                self.stepped.emit(step)
                return True
        return super().eventFilter(watched, event)


class ShapeEditor(QWidget):
    """`chosen` carries a shape with its parameters, or None to go back to the proposal."""

    chosen = Signal(object, int)  # Shape | None, parameters

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.drawing = ShapeDrawing()
        self.proposals = Choice()
        self.proposals.setMinimumContentsLength(16)
        self.field = Field(self.tr("Proposed shape"), self.proposals)
        self.back = button(self.tr("Back to the proposal"), "undo", "quiet")
        self.field.beside_label(self.back)
        self.steppers = {unit: UnitStepper(self._word(unit)) for unit in UNITS}
        self.count = QLabel()
        theme.set_role(self.count, "muted")
        self.by_hand = MoreSettings(self._grid(), self.tr("Change the shape"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        for one in (self.drawing, self.field, self.by_hand):
            layout.addWidget(one)
        self._config: Mapping[str, Any] | None = None
        self._teacher: Shape | None = None
        self._shape: Shape | None = None
        self._init: Builder = "prune"
        self._proposed: Sequence[Proposal] = ()
        self._connect()
        self.show_plan(None, None, None, "prune")

    def _connect(self) -> None:
        self.proposals.chosen.connect(self._take_proposal)
        self.back.clicked.connect(lambda: self.chosen.emit(None, 0))
        for unit, stepper in self.steppers.items():
            stepper.stepped.connect(lambda step, unit=unit: self._step(unit, step))
            stepper.typed.connect(lambda value, unit=unit: self._type(unit, value))

    def _word(self, unit: Unit) -> str:
        return {
            "layers": self.tr("Layers"),
            "hidden": self.tr("Width"),
            "heads": self.tr("Heads"),
            "kv_heads": self.tr("Key-value heads"),
            "intermediate": self.tr("Neurons"),
        }[unit]

    def _grid(self) -> QWidget:
        content = QWidget()
        grid = QGridLayout(content)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2 * theme.SPACE)
        grid.setVerticalSpacing(theme.SPACE)
        self.labelled = {unit: Field(self._word(unit), stepper) for unit, stepper in self.steppers.items()}
        for at, one in enumerate(self.labelled.values()):
            one.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
            grid.addWidget(one, at // 3, at % 3)
        grid.setColumnStretch(3, 1)
        grid.addWidget(self.count, 2, 0, 1, 4)
        return content

    # --- shown --------------------------------------------------------------------------------------------------------

    def show_plan(
        self, plan: Plan | None, config: Mapping[str, Any] | None, by_hand: Shape | None, init: Builder
    ) -> None:
        """The plan's shapes; `config` is the teacher's, `by_hand` a shape that the user chose."""
        self._config, self._init = config, init
        self._teacher = plan.teacher_shape if plan is not None else None
        self._proposed = plan.shapes if plan is not None and config is not None else ()
        self._shape = by_hand or (plan.student_shape if plan is not None else None)
        if self._proposed and by_hand == self._proposed[0].shape:
            by_hand = None  # a settled recipe names the proposal itself
        self.drawing.set_shapes(self._teacher, self._shape)
        self._show_proposals(by_hand)
        editable = config is not None and self._teacher is not None and self._shape is not None
        self.by_hand.setVisible(editable)
        self._show_steppers()

    def _show_proposals(self, by_hand: Shape | None) -> None:
        options: list[tuple[object, str]] = [
            (each.shape, self._line(each.shape, each.parameters)) for each in self._proposed
        ]
        listed = [shape for shape, _ in options]
        if by_hand is not None and by_hand not in listed:
            options.insert(0, (by_hand, self.tr("By hand: %s") % self._line(by_hand, self._parameters(by_hand) or 0)))
        self.proposals.set_options(options)
        self.proposals.choose(self._shape)
        reason = next((each.reason for each in self._proposed if each.shape == self._shape), "")
        self.field.set_help(reason or (self.tr("Chosen by hand.") if by_hand is not None else ""))
        self.field.setVisible(bool(options))
        self.back.setVisible(by_hand is not None)

    def _show_steppers(self) -> None:
        if self._shape is None or self._teacher is None or self._config is None:
            return
        units = editable_units(self._teacher, self._init)
        for unit, stepper in self.steppers.items():
            self.labelled[unit].setVisible(unit in units)
            if unit in units:
                down = next_shape(self._teacher, self._shape, unit, -1, self._init) is not None
                up = next_shape(self._teacher, self._shape, unit, 1, self._init) is not None
                stepper.show_value(getattr(self._shape, unit), down, up)
        self.count.setText(self.tr("%s parameters") % count_text(self._parameters(self._shape) or 0))

    def _line(self, shape: Shape, parameters: int) -> str:
        heads = f"{shape.heads}/{shape.kv_heads}" if shape.kv_heads != shape.heads else str(shape.heads)
        told = (count_text(parameters), shape.layers, shape.hidden, heads, shape.intermediate)
        return self.tr("%s · %d layers · %d wide · %s heads · %d neurons") % told

    def _parameters(self, shape: Shape) -> int | None:
        known = next((each.parameters for each in self._proposed if each.shape == shape), None)
        if known is not None or self._config is None:
            return known
        if shape.model_type != self._config.get("model_type"):
            return None
        return count_parameters(config_for(self._config, shape)).total

    # --- changed by the user ------------------------------------------------------------------------------------------

    def _take_proposal(self, shape: object) -> None:
        if not isinstance(shape, Shape):
            return
        first = bool(self._proposed) and shape == self._proposed[0].shape
        self._choose(None if first else shape)

    def _step(self, unit: Unit, step: Literal[1, -1]) -> None:
        if self._teacher is not None and self._shape is not None:
            self._choose_valid(next_shape(self._teacher, self._shape, unit, step, self._init))

    def _type(self, unit: Unit, value: int) -> None:
        """The number itself if it is valid, else the next valid one below, else above."""
        if self._teacher is None or self._shape is None:
            return
        found = reshaped(self._teacher, self._shape, unit, value, self._init)
        start = self._shape.model_copy(update={unit: value})
        for step in (-1, 1) if found is None else ():
            found = found or next_shape(self._teacher, start, unit, step, self._init)
        self._choose_valid(found)
        self._show_steppers()

    def _choose_valid(self, shape: Shape | None) -> None:
        if shape is not None and shape != self._shape:
            self._choose(shape)

    def _choose(self, shape: Shape | None) -> None:
        if shape is None:
            self.chosen.emit(None, 0)
            return
        parameters = self._parameters(shape)
        if parameters is None:
            return
        self._shape = shape
        self.drawing.set_shapes(self._teacher, shape)
        self._show_steppers()
        self.chosen.emit(shape, parameters)


def _small(glyph: str, text: str) -> QToolButton:
    made = QToolButton()
    made.setIcon(icon(glyph, "ink"))
    made.setToolTip(text)
    made.setAutoRepeat(True)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return made
