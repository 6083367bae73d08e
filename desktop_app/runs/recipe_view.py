"""The recipe of a run: what was asked for first, the rest behind it, and a file of it that can be edited and run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.recipe import Recipe
from core.runs import save_recipe
from desktop_app import theme
from desktop_app.forms.field import button
from desktop_app.runs.dossier import Dossier
from desktop_app.runs.words import plain_tip
from desktop_app.work import in_background


class RecipeView(QWidget):
    """A tree of two groups: what was asked for, and what was left as it comes."""

    saved = Signal(str)  # where
    troubled = Signal(object)  # Trouble

    def __init__(self) -> None:
        super().__init__()
        self._dossier: Dossier | None = None
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        theme.set_role(self.problem, "warning")
        self.problem.hide()
        self.tree = QTreeWidget()
        self.tree.setColumnCount(2)
        self.tree.setHeaderLabels([self.tr("Setting"), self.tr("Value")])
        self.tree.setAccessibleName(self.tr("Recipe of the run"))
        self.tree.setRootIsDecorated(True)
        self.tree.setUniformRowHeights(True)
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.tree.setIndentation(2 * theme.SPACE)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.save = button(self.tr("Save recipe…"), "save")
        foot = QHBoxLayout()
        foot.addWidget(self.save)
        foot.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.problem)
        layout.addWidget(self.tree, 1)
        layout.addLayout(foot)
        self.save.clicked.connect(self._ask_where)
        self.set_dossier(None)

    def set_dossier(self, dossier: Dossier | None) -> None:
        same = dossier and self._dossier and (dossier.recipe, dossier.raw) == (self._dossier.recipe, self._dossier.raw)
        if same and dossier and self._dossier and dossier.run == self._dossier.run:
            self._dossier = dossier
            return
        self._dossier = dossier
        self.tree.clear()
        recipe = dossier.recipe if dossier else None
        self.problem.setText(dossier.trouble if dossier else "")
        self.problem.setVisible(bool(dossier and dossier.trouble))
        self.save.setEnabled(recipe is not None)
        self.save.setToolTip("" if recipe else self.tr("There is no recipe that can be read."))
        if recipe is not None:
            self._fill(recipe)
        elif dossier is not None and isinstance(dossier.raw, dict):
            self._group(self.tr("As it is in the file"), {name: (value, "") for name, value in dossier.raw.items()})

    def _fill(self, recipe: Recipe) -> None:
        asked: dict[str, tuple[Any, str]] = {}
        left: dict[str, tuple[Any, str]] = {}
        values = recipe.model_dump(mode="json")
        for name, field in type(recipe).model_fields.items():
            if name != "kind":
                as_it_comes = not field.is_required() and getattr(recipe, name) == field.default
                (left if as_it_comes else asked)[name] = (values[name], field.description or "")
        self._group(self.tr("Asked for"), asked)
        self._group(self.tr("Left as it comes"), left)

    def _group(self, title: str, settings: dict[str, tuple[Any, str]]) -> None:
        if not settings:
            return
        group = QTreeWidgetItem(self.tree, [title])
        group.setFirstColumnSpanned(True)
        for name, (value, help_text) in settings.items():
            self._setting(group, name, value, help_text)
        group.setExpanded(True)

    def _setting(self, parent: QTreeWidgetItem, name: str, value: Any, help_text: str) -> None:
        nested = isinstance(value, dict)
        item = QTreeWidgetItem(parent, [name.replace("_", " "), "" if nested else _value_text(value)])
        item.setToolTip(0, plain_tip(help_text))
        item.setToolTip(1, plain_tip("" if nested else _value_text(value)))
        if nested:
            for inner, inner_value in value.items():
                self._setting(item, str(inner), inner_value, "")
            item.setExpanded(True)

    def _ask_where(self) -> None:
        assert self._dossier is not None
        name = f"{self._dossier.run}.json"
        where, _ = QFileDialog.getSaveFileName(self, self.tr("Save recipe"), name, self.tr("Recipes (*.json)"))
        if where:
            self.save_to(Path(where))

    def save_to(self, path: Path) -> None:
        """Write the recipe; `saved` or `troubled` follows."""
        recipe = self._dossier.recipe if self._dossier else None
        if recipe is not None:
            in_background(
                self, lambda: save_recipe(recipe, path), lambda _: self.saved.emit(str(path)), self.troubled.emit
            )


def _value_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None or value == "" else str(value)
