"""The models at hand, at the canvas's side: dragged onto it, or put there by a double click or Enter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData, QSize, Qt, Signal
from PySide6.QtWidgets import QLabel, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from core.models import ModelEntry
from core.numbers import count_text
from desktop_app import theme
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.icons import icon
from desktop_app.merge.canvas import MODEL_MIME


class _List(QListWidget):
    """Its items carry the folder of a model when they are dragged."""

    def mimeTypes(self) -> list[str]:  # noqa: N802
        return [MODEL_MIME]

    def mimeData(self, items: Sequence[QListWidgetItem]) -> QMimeData:  # noqa: N802
        data = QMimeData()
        if items:
            data.setData(MODEL_MIME, str(items[0].data(Qt.ItemDataRole.UserRole)).encode())
        return data


class ModelList(QWidget):
    """`wanted` carries the folder of the model that is to go onto the canvas."""

    wanted = Signal(object)  # Path
    merge_wanted = Signal()
    look_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.title = QLabel(self.tr("Models at hand"))
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Filter by name…"))
        self.search.setAccessibleName(self.tr("Filter models"))
        self.search.setClearButtonEnabled(True)
        self.list = _List()
        self.list.setAccessibleName(self.tr("Models at hand"))
        self.list.setIconSize(QSize(16, 16))
        self.list.setDragEnabled(True)
        self.list.setDragDropMode(QListWidget.DragDropMode.DragOnly)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.title.setBuddy(self.list)
        self.state = words("muted")
        self.add = button(self.tr("Put on the canvas"), "add")
        self.merge = button(self.tr("Add a merge"), "merge")
        self.again = button(self.tr("Look again"), "refresh", "quiet")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        for widget in (self.title, self.search, self.state, self.list):
            layout.addWidget(widget)
        layout.setStretchFactor(self.list, 1)
        layout.addWidget(self.add)
        layout.addWidget(self.merge)
        layout.addWidget(self.again)
        self.setMinimumWidth(200)
        self.search.textChanged.connect(self._filter)
        self.search.returnPressed.connect(self._take)
        self.list.itemActivated.connect(lambda _: self._take())
        self.list.currentRowChanged.connect(lambda _: self._look())
        self.add.clicked.connect(self._take)
        self.merge.clicked.connect(self.merge_wanted)
        self.again.clicked.connect(self.look_wanted)
        self.show_models([], loaded=False)

    def show_models(self, entries: Sequence[ModelEntry], *, loaded: bool, trouble: str = "") -> None:
        picked = self.picked()
        self.list.clear()
        for entry in entries:
            self.list.addItem(self._item(entry))
            if entry.path == picked:
                self.list.setCurrentRow(self.list.count() - 1)
        if trouble:
            said = trouble
        elif not loaded:
            said = self.tr("Looking for models…")
        else:
            said = "" if entries else self.tr("No models yet. Add a folder on the Models page, or distill one.")
        self.state.setText(said)
        self.state.setVisible(bool(said))
        self.list.setVisible(bool(entries))
        self.again.setVisible(bool(trouble) or (loaded and not entries))
        self._filter(self.search.text())

    def _item(self, entry: ModelEntry) -> QListWidgetItem:
        info = entry.info
        kind = self.tr("adapter") if info and info.is_adapter else count_text(info.parameters) if info else ""
        item = QListWidgetItem(
            icon("models" if info else "warning", "muted"), f"{entry.name}  ·  {kind}" if kind else entry.name
        )
        item.setData(Qt.ItemDataRole.UserRole, entry.path)
        item.setToolTip(str(entry.path) if info else self.tr("It can't be used: %s") % (entry.broken or ""))
        item.setSizeHint(QSize(0, 30))
        if info is None:
            item.setFlags(Qt.ItemFlag.ItemIsSelectable & ~Qt.ItemFlag.ItemIsEnabled)
        return item

    def picked(self) -> Path | None:
        item = self.list.currentItem()
        return item.data(Qt.ItemDataRole.UserRole) if item is not None and not item.isHidden() else None

    def _filter(self, text: str) -> None:
        said = text.casefold().split()
        for row in range(self.list.count()):
            item = self.list.item(row)
            item.setHidden(not all(word in f"{item.text()} {item.toolTip()}".casefold() for word in said))
        item = self.list.currentItem()
        if item is None or item.isHidden():
            shown = [row for row in range(self.list.count()) if not self.list.item(row).isHidden()]
            usable = [row for row in shown if self.list.item(row).flags() & Qt.ItemFlag.ItemIsEnabled]
            self.list.setCurrentRow(usable[0] if usable else -1)
        self._look()

    def _look(self) -> None:
        picked = self.picked() is not None
        self.add.setEnabled(picked)
        self.add.setToolTip("" if picked else self.tr("Pick a model in the list first."))

    def _take(self) -> None:
        item = self.list.currentItem()
        if item is not None and not item.isHidden() and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.wanted.emit(item.data(Qt.ItemDataRole.UserRole))
