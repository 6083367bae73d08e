"""Fields made from a recipe itself, so that none is missing: grouped, two beside each other, each with its documentation."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.numbers import parse_count
from core.recipe import Recipe
from desktop_app import theme
from desktop_app.forms import AmountEdit, Choice, Field
from desktop_app.icons import icon
from desktop_app.plan.amounts import follow, forget, real_text, whole_text
from desktop_app.plan.draft import field_problem, field_value

WIDE = {"name", "sample_prompt", "out", "targets"}
PLACES = {"measure_files": "folder", "measure_pairs": "file"}  # that can be chosen with a dialog


class RecipeFields(QWidget):
    """The fields come into being when they are first shown (`grown`). `changed` carries a field's name and value.

    A page's own kind says `groups` and `label`.
    """

    changed = Signal(str, object)
    unreadable = Signal()
    grown = Signal()

    def __init__(self, recipe: type[Recipe], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.made: dict[str, Field] = {}
        self._recipe = recipe
        self._defaults = {name: info.default for name, info in recipe.model_fields.items()}
        self._said: Mapping[str, Any] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2 * theme.SPACE)
        self._to_make: list[tuple[str, list[str]]] | None = None  # groups; None until they are first wanted

    def groups(self) -> dict[str, list[str]]:
        """The names of fields under their headings."""
        raise NotImplementedError

    def label(self, name: str) -> str:
        """What a field is called."""
        raise NotImplementedError

    def made_some(self) -> None:
        """A group has come into being, and may show more than what was said."""

    def build(self) -> None:
        """Make the fields, a group in each turn of the event loop."""
        if self._to_make is None:
            self._to_make = list(self.groups().items())
            self._make_group()

    def build_all(self) -> None:
        """Make all of them at once, for somebody who goes to one."""
        self.build()
        while self._to_make:
            self._make_group()

    def _make_group(self) -> None:
        if not self._to_make:
            return
        title, names = self._to_make.pop(0)
        heading = QLabel(title)
        theme.set_role(heading, "muted")
        self._layout.addWidget(heading)
        grid = QGridLayout()
        self._layout.addLayout(grid)
        grid.setHorizontalSpacing(2 * theme.SPACE)
        grid.setVerticalSpacing(2 * theme.SPACE)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        at = 0
        for name in names:
            wide = name in WIDE
            at += at % 2 if wide else 0
            columns = 2 if wide else 1
            grid.addWidget(self._make(name), at // 2, at % 2, 1, columns, Qt.AlignmentFlag.AlignTop)
            at += columns
        self.show_said(self._said)
        self.made_some()
        self.grown.emit()
        QTimer.singleShot(0, self, self._make_group)

    def _make(self, name: str) -> Field:
        info = self._recipe.model_fields[name]
        kind = _inner(info.annotation)
        help_text = info.description or ""
        if kind is bool:
            box = QCheckBox(self.tr("Yes"))
            box.toggled.connect(lambda on: self._set(name, on))
            widget: QWidget = box
        elif typing.get_origin(kind) is typing.Literal:
            choice = Choice([(value, value) for value in typing.get_args(kind)])
            choice.chosen.connect(lambda value: self._set(name, value))
            widget = choice
        elif kind in (int, float):
            read, write = (parse_count, whole_text) if kind is int else (float, real_text)
            amount = AmountEdit(read=read, write=write)
            amount.textEdited.connect(lambda _: self._read_number(name, amount))
            widget = amount
        elif typing.get_origin(kind) is tuple:
            several = QLineEdit()
            several.setPlaceholderText(self.tr("Several, parted by commas"))
            several.textEdited.connect(lambda text: self._set(name, _several(text)))
            widget = several
        else:
            line = QLineEdit()
            line.textEdited.connect(lambda text: self._set(name, text.strip() or self._defaults[name]))
            widget = line
        self.made[name] = Field(self.label(name), widget, help_text)
        if name in PLACES and isinstance(widget, QLineEdit):
            self._add_chooser(name, widget)
        return self.made[name]

    def _add_chooser(self, name: str, line: QLineEdit) -> None:
        choose = QToolButton()
        theme.set_role(choose, "tool")
        choose.setIcon(icon("folder_open", "accent"))
        choose.setToolTip(self.tr("Choose…"))
        choose.setAccessibleName(self.tr("Choose: %s") % self.label(name))
        choose.clicked.connect(lambda: self._choose_place(name, line))
        both, layout = QWidget(), self.made[name].layout()
        row = QHBoxLayout(both)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        if layout is not None:
            layout.replaceWidget(line, both)
        row.addWidget(line, 1)
        row.addWidget(choose)

    def _choose_place(self, name: str, line: QLineEdit) -> None:
        if PLACES[name] == "folder":
            chosen = QFileDialog.getExistingDirectory(self, self.label(name), line.text())
        else:
            kinds = self.tr("Minimal pairs (*.jsonl *.ndjson *.zip)")
            chosen, _ = QFileDialog.getOpenFileName(self, self.label(name), line.text(), kinds)
        if chosen:
            line.setText(chosen)
            self._set(name, chosen)

    # --- shown --------------------------------------------------------------------------------------------------------

    def forget_typed(self) -> None:
        for field in self.made.values():
            if isinstance(field.widget, AmountEdit):
                forget(field.widget)

    def show_said(self, said: Mapping[str, Any]) -> None:
        """The values of the fields that somebody set; the others are as by default."""
        self._said = said
        for name, field in self.made.items():
            default, widget = self._defaults[name], field.widget
            value = said.get(name, default)
            if isinstance(widget, AmountEdit):
                follow(widget, value if name in said else None)
                if default is not None:
                    widget.setPlaceholderText(f"{default:,}" if isinstance(default, int) else f"{default:g}")
            elif isinstance(widget, QCheckBox):
                widget.blockSignals(True)
                widget.setChecked(bool(value))
                widget.blockSignals(False)
            elif isinstance(widget, Choice):
                widget.choose(value)
            elif isinstance(widget, QLineEdit) and not widget.hasFocus():
                widget.setText(", ".join(map(str, value)) if isinstance(value, tuple) else value or "")

    def show_reason(self, name: str, value: Any, reason: str) -> None:
        """What the run does where nothing is said of a field, and why."""
        field = self.made.get(name)
        if field is None:
            return
        if name in self._said:
            field.set_help(self._recipe.model_fields[name].description or "")
            return
        if isinstance(field.widget, AmountEdit) and isinstance(value, int | float):
            field.widget.setPlaceholderText(whole_text(value) if isinstance(value, int) else real_text(value))
        elif isinstance(field.widget, QLineEdit) and isinstance(value, str):
            field.widget.setPlaceholderText(value)
        field.set_help(self.tr("By default %s.") % reason.rstrip("."))

    # --- changed by the user ------------------------------------------------------------------------------------------

    def _read_number(self, name: str, amount: AmountEdit) -> None:
        value = amount.value()
        if value is None and amount.text().strip():
            self.unreadable.emit()
        else:
            self._set(name, self._defaults[name] if value is None else value)

    def _set(self, name: str, value: Any) -> None:
        if field_problem(name, value, self._recipe):
            self.unreadable.emit()
        else:
            self.changed.emit(name, field_value(name, value, self._recipe))

    def unread(self) -> dict[str, str]:
        """Why numbers can't be read or lie out of range, by field of the recipe."""
        found = {}
        for name, field in self.made.items():
            widget = field.widget
            if isinstance(widget, AmountEdit) and widget.text().strip():
                value = widget.value()
                why = widget.problem() if value is None else field_problem(name, value, self._recipe)
                if why:
                    found[name] = why
        return found


def _several(text: str) -> tuple[str, ...]:
    return tuple(part for part in map(str.strip, text.split(",")) if part)


def _inner(annotation: Any) -> Any:
    """The type of a field without its `| None`."""
    if isinstance(annotation, types.UnionType):
        return next(part for part in annotation.__args__ if part is not types.NoneType)
    return annotation
