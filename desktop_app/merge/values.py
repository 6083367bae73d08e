"""A parameter's value as text: a number, or mergekit's lists of numbers and filters in one line of YAML."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from core.merge.methods import Parameter


class ValueEdit(QLineEdit):
    """`given` carries a value when the user has finished one that can be used, None for an empty field; `refused` says why not."""

    given = Signal(object)
    refused = Signal(str)

    def __init__(self, parameter: Parameter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.parameter = parameter
        self._shown: Any = None
        self.editingFinished.connect(self._finish)

    def show_value(self, value: Any, default: Any) -> None:
        """`default` is what holds while the field is empty."""
        self._shown = value
        self.setPlaceholderText("" if default is None else value_text(default))
        if not (self.hasFocus() and self.isModified()):
            self.setText("" if value is None else value_text(value))
            self.setCursorPosition(0)

    def _finish(self) -> None:
        if not self.isModified():
            return
        self.setModified(False)
        import yaml

        try:
            value = yaml.safe_load(self.text()) if self.text().strip() else None
        except yaml.YAMLError:
            self.refused.emit(self.tr("Write a number, or a list of numbers such as [0, 0.5, 1]."))
            return
        problem = None if value is None or isinstance(value, list | dict) else self.parameter.problem(value)
        if value is None and self.parameter.required:
            problem = self.tr("is missing, and has no default")
        if problem:
            self.refused.emit(self.tr("%s %s.") % (self.parameter.name, problem))
            return
        self.refused.emit("")
        if value != self._shown:
            self.given.emit(value)


def value_text(value: Any) -> str:
    if isinstance(value, list | dict):
        import yaml

        return str(yaml.safe_dump(value, default_flow_style=True, width=10_000)).strip()
    return f"{value:g}" if isinstance(value, float) else str(value)
