"""A number of the recipe as a field of a card: it follows the draft, and says why what was typed can't be one."""

from __future__ import annotations

import typing
from typing import Any, Protocol

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from core.distill import DistillRecipe
from core.numbers import parse_count
from core.recipe import Recipe
from desktop_app.forms import AmountEdit, Field
from desktop_app.plan.amounts import follow, forget, real_text, whole_text
from desktop_app.plan.draft import field_problem


class Valued(Protocol):
    """A draft of any page."""

    def value(self, name: str) -> Any: ...


class Dial(Field):
    """`changed` carries the recipe's field `name` and its value; nothing where it can't be read."""

    changed = Signal(dict)

    def __init__(
        self, name: str, label: str, parent: QWidget | None = None, recipe: type[Recipe] = DistillRecipe
    ) -> None:
        info = recipe.model_fields[name]
        whole = int in (info.annotation, *typing.get_args(info.annotation))
        self.edit = AmountEdit(read=parse_count, write=whole_text) if whole else AmountEdit(read=float, write=real_text)
        super().__init__(label, self.edit, info.description or "", parent)
        self.name, self._recipe = name, recipe
        self._empty = info.default is None  # may be left empty
        self.edit.changed.connect(self._read)

    def show_draft(self, draft: Valued) -> None:
        follow(self.edit, draft.value(self.name))

    def forget_typed(self) -> None:
        forget(self.edit)

    def why_unread(self) -> str:
        """Why the number can't be used; nothing where it can."""
        value = self.edit.value()
        if value is None:
            if not self.edit.text().strip():
                return "" if self._empty else self.tr("Write a number.")
            return self.edit.problem()
        return field_problem(self.name, value, self._recipe)

    def _read(self, value: object) -> None:
        self.changed.emit({} if self.why_unread() else {self.name: value})
