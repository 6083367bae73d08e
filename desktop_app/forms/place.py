"""The field for the place of a result."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QLineEdit

from desktop_app.forms.field import Field, button


class PlaceField(Field):
    """A folder, or while `file_kinds` is set (a filter as Qt has them) a file, that is to be written: typed, or chosen in a dialog."""

    changed = Signal()  # by the user

    def __init__(self, label: str, place: str = "") -> None:
        self.edit, self.browse = QLineEdit(place), button("", "folder", "quiet")
        super().__init__(label, self.edit)
        self.file_kinds = ""
        self.browse.setText(self.tr("Choose…"))
        self.browse.setAccessibleName(self.tr("Choose where to write it"))
        self.beside_label(self.browse)
        self.edit.textEdited.connect(lambda _: self.changed.emit())
        self.browse.clicked.connect(self._ask)

    def path(self) -> str | None:
        """The whole path; None while there is none."""
        text = self.edit.text().strip()
        return str(Path(text).expanduser().absolute()) if text else None

    def _ask(self) -> None:
        if self.file_kinds:
            name, _ = QFileDialog.getSaveFileName(self, self.label.text(), self.edit.text(), self.file_kinds)
        else:
            title = self.tr("%s: an empty folder") % self.label.text()
            name = QFileDialog.getExistingDirectory(self, title, self.edit.text())
        if name:
            self.edit.setText(name)
            self.changed.emit()
