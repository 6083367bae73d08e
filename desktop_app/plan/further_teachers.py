"""Further teachers beside the first: who, how much each counts, and how they teach together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QGridLayout, QMenu, QVBoxLayout, QWidget

from core.models import ModelEntry
from core.numbers import count_text
from desktop_app import theme
from desktop_app.forms import AmountEdit, Field, Segmented
from desktop_app.forms.field import Elided, button
from desktop_app.forms.parts import words
from desktop_app.plan.amounts import real_text
from desktop_app.plan.draft import Draft, field_problem, name_of_folder


class FurtherTeachers(QWidget):
    """`changed` carries the fields of the draft that the user changed. Of a single teacher nothing but the button is in sight."""

    changed = Signal(dict)

    def __init__(self, after: QWidget, parent: QWidget | None = None) -> None:
        """`after` is the control that stands before it."""
        super().__init__(parent)
        self._after = after
        self.add = button(self.tr("Also teach with…"), "add", "quiet")
        self.menu = QMenu(self.add)
        self.add.setMenu(self.menu)
        self.rows: dict[str, _Row] = {}
        self._box = QWidget()
        self._grid = QGridLayout(self._box)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(theme.SPACE)
        self._grid.setColumnStretch(0, 1)
        self._heading = words("small", self.tr("Weight"))
        self.teachers_field = Field(self.tr("Who teaches, and how much each counts"), self._box)
        self.mixture = Segmented([("mean", self.tr("Mean of all")), ("lowest-ce", self.tr("Best reader of each text"))])
        self.mixture_field = Field(self.tr("How they teach together"), self.mixture)
        self._layout = QVBoxLayout(self)
        self._layout.setSpacing(2 * theme.SPACE)
        for one in (self.teachers_field, self.mixture_field):
            self._layout.addWidget(one)
        self._layout.addWidget(self.add, 0, Qt.AlignmentFlag.AlignLeft)
        self._draft = Draft()
        self._entries: Sequence[ModelEntry] = ()
        self.mixture.chosen.connect(lambda way: self.changed.emit({"mixture": way}))

    def fields(self) -> dict[str, Field]:
        both = {"more_teachers": self.teachers_field, "teacher_weights": self.teachers_field}
        return both | {"mixture": self.mixture_field}

    def forget_typed(self) -> None:
        for row in self.rows.values():
            row.weight.setText("")

    # --- shown --------------------------------------------------------------------------------------------------------

    def show_draft(self, draft: Draft, entries: Sequence[ModelEntry], others: Mapping[str, str]) -> None:
        """`others` are models that can't teach beside the first, with the reason."""
        self._draft, self._entries = draft, entries
        more = draft.value("more_teachers")
        several = bool(more)
        self.setVisible(draft.guided)
        self._layout.setContentsMargins(0, theme.SPACE if several else 0, 0, 0)
        self.teachers_field.setVisible(several)
        self.mixture_field.setVisible(several)
        self.mixture.choose(draft.value("mixture"))
        self.mixture_field.set_help(self._explained(draft.value("mixture")))
        self._show_rows([draft.teacher or "", *more] if several else [])
        self._fill_menu(others)
        missing = self.tr("Choose the first teacher before a second one.")
        self.add.setEnabled(draft.teacher is not None)
        self.add.setToolTip(
            missing if draft.teacher is None else self.tr("Several teachers of one tokenizer teach together.")
        )

    def _explained(self, way: str) -> str:
        return {
            "mean": self.tr("The student follows the weighted mean of their distributions. Each is held in memory and reads along."),
            "lowest-ce": self.tr("Each text is taught by the teacher that reads it best (FuseLLM). All are held in memory and read along."),
        }[way]  # fmt: skip

    def _show_rows(self, paths: Sequence[str]) -> None:
        if list(self.rows) != list(paths):
            self._make_rows(paths)
        weighted = self._draft.value("mixture") == "mean"
        weights = self._draft.value("teacher_weights")
        self._heading.setVisible(bool(paths) and weighted)
        for at, row in enumerate(self.rows.values()):
            row.weight.setVisible(weighted)
            if not row.weight.hasFocus():
                row.weight.set_value(weights[at] if len(weights) == len(paths) else None)

    def _make_rows(self, paths: Sequence[str]) -> None:
        for row in self.rows.values():
            row.take_away()
        self.rows = {path: _Row(path, first=at == 0) for at, path in enumerate(paths)}
        self._grid.addWidget(self._heading, 0, 1)
        for at, (path, row) in enumerate(self.rows.items()):
            row.place(self._grid, at + 1)
            row.weight.changed.connect(self._read_weights)
            row.remove.clicked.connect(partial(self._remove, path))
        before = self._after
        for row in self.rows.values():  # what is made late would come last of the page
            for widget in (row.weight, row.remove):
                QWidget.setTabOrder(before, widget)
                before = widget

    def _fill_menu(self, others: Mapping[str, str]) -> None:
        self.menu.clear()
        taken = {self._draft.teacher, *self._draft.value("more_teachers")}
        for entry in self._entries:
            path = str(entry.path)
            if path in taken or entry.info is None:
                continue
            text = f"{entry.name} · {count_text(entry.info.parameters)}"
            why_not = others.get(path, "")
            action = self.menu.addAction((f"{text} · {why_not}" if why_not else text).replace("&", "&&"))
            action.setEnabled(not why_not)
            action.setToolTip(path)
            action.triggered.connect(partial(self._add, path))
        if self.menu.isEmpty():
            none = QAction(self.tr("No other model that can teach is at hand"), self.menu)
            none.setEnabled(False)
            self.menu.addAction(none)

    # --- changed by the user ------------------------------------------------------------------------------------------

    def _add(self, path: str, *_: object) -> None:
        self.changed.emit({"more_teachers": (*self._draft.value("more_teachers"), path), "teacher_weights": ()})

    def _remove(self, path: str, *_: object) -> None:
        left = tuple(one for one in self._draft.value("more_teachers") if one != path)
        changes: dict[str, Any] = {"more_teachers": left, "teacher_weights": ()}
        self.changed.emit(changes if left else {**changes, "mixture": "mean"})

    def _read_weights(self) -> None:
        if self.unread():
            self.changed.emit({})
            return
        said = [row.weight.value() for row in self.rows.values()]
        none = all(weight is None for weight in said)
        self.changed.emit(
            {"teacher_weights": () if none else tuple(1.0 if weight is None else weight for weight in said)}
        )

    def unread(self) -> dict[str, str]:
        """Why a weight can't be read."""
        if not self._draft.value("more_teachers") or self._draft.value("mixture") != "mean":
            return {}
        for row in self.rows.values():
            value = row.weight.value()
            why = row.weight.problem() if value is None else field_problem("teacher_weights", (value,))
            if why:
                return {"teacher_weights": why}
        return {}


class _Row:
    """A teacher of several: its name, its weight, and a button that lets it go unless it is the first."""

    def __init__(self, path: str, *, first: bool) -> None:
        self.name = Elided(name_of_folder(path))
        self.name.setToolTip(path)
        self.weight = AmountEdit(read=float, write=real_text)
        self.weight.setFixedWidth(80)
        self.weight.setPlaceholderText("1")
        self.weight.setAccessibleName(self.name.tr("Weight of %s") % self.name.whole())
        self.remove = button("", "remove", "quiet")
        self.remove.setVisible(not first)
        self.remove.setAccessibleName(self.name.tr("Let %s go") % self.name.whole())
        self.remove.setToolTip(self.remove.accessibleName())
        self._first = first

    def place(self, grid: QGridLayout, at: int) -> None:
        grid.addWidget(self.name, at, 0)
        grid.addWidget(self.weight, at, 1)
        grid.addWidget(self.remove, at, 2)
        self.remove.setVisible(not self._first)

    def take_away(self) -> None:
        for widget in (self.name, self.weight, self.remove):
            widget.hide()
            widget.deleteLater()
