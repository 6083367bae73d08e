"""What holds for the whole tree: where the model goes, whether inner merges are kept, and how it is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.forms import Choice, Field, MoreSettings
from desktop_app.forms.field import button
from desktop_app.forms.parts import words


class OutFolder(QWidget):
    """A folder that does not exist yet; empty means that the model stays in the run's folder."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(self.tr("in the run's own folder"))
        self.edit.setAccessibleName(self.tr("Folder of the merged model"))
        self.choose = button(self.tr("Choose…"), "folder")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.edit, 1)
        layout.addWidget(self.choose)
        self.setFocusProxy(self.edit)
        self.edit.editingFinished.connect(self.changed)
        self.choose.clicked.connect(self._ask)

    def value(self) -> str | None:
        text = self.edit.text().strip()
        return str(Path(text).expanduser().absolute()) if text else None

    def _ask(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, self.tr("Where the merged model goes"), self.edit.text() or "merged"
        )
        if name:
            self.edit.setText(name)
            self.changed.emit()


class JobPane(QWidget):
    """`fields()` go into the recipe of the run."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit()
        self.name.setPlaceholderText(self.tr("made from the method and the models"))
        self.out = OutFolder()
        self.keep = QCheckBox(self.tr("Keep the inner merges"))
        self.arithmetic = Choice(
            [("float32", self.tr("Full precision")), ("recipe", self.tr("The recipe's precision, as mergekit"))]
        )
        self.arithmetic.choose("float32")
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addWidget(Field(self.tr("Name of the run"), self.name))
        self.out_field = Field(
            self.tr("Folder of the merged model"), self.out, self.tr("A new folder; nothing is overwritten.")
        )
        layout.addWidget(self.out_field)
        layout.addWidget(self.keep)
        layout.addWidget(words("small", self.tr("Off: they are computed on the way, and never written.")))
        layout.addWidget(Field(self.tr("Computed in"), self.arithmetic))
        self.more = MoreSettings(content, self.tr("The whole job"))
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.more)
        self.out.changed.connect(self.changed)
        self.keep.toggled.connect(lambda _: self.changed.emit())

    def fields(self) -> dict[str, Any]:
        return {
            "name": self.name.text().strip(),
            "out": self.out.value(),
            "keep_intermediates": self.keep.isChecked(),
            "arithmetic": self.arithmetic.value(),
        }
