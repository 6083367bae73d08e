"""Choosing a model to talk with: a list that a few words make short."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from core.models import ModelEntry
from core.numbers import count_text
from desktop_app import theme
from desktop_app.chat.heads import small
from desktop_app.icons import icon


class Picker(QFrame):
    """Opens under a button; `picked` carries the folder."""

    picked = Signal(object)  # Path

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        theme.set_role(self, "card")
        self.search, self.list, self.nothing = QLineEdit(), QListWidget(), small()
        self.search.setPlaceholderText(self.tr("Filter by name…"))
        self.search.setAccessibleName(self.tr("Filter models"))
        self.search.setClearButtonEnabled(True)
        self.list.setAccessibleName(self.tr("Models at hand"))
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedSize(380, 360)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE, theme.SPACE, theme.SPACE, theme.SPACE)
        layout.setSpacing(theme.SPACE)
        for one in (self.search, self.nothing, self.list):
            layout.addWidget(one)
        self.search.installEventFilter(self)
        self.search.textChanged.connect(self._filter)
        self.search.returnPressed.connect(self._take)
        self.list.itemActivated.connect(lambda _: self._take())
        self.list.itemClicked.connect(lambda _: self._take())

    def open_at(self, place: QPoint, entries: Sequence[ModelEntry], *, loaded: bool) -> None:
        self.search.clear()
        self._fill(entries)
        words = self.tr("No models yet: add some on the Models page.") if loaded else self.tr("Looking for models…")
        self.nothing.setText(words)
        self.nothing.setVisible(not entries)
        self.move(place)
        self.show()
        self.search.setFocus()

    def _fill(self, entries: Sequence[ModelEntry]) -> None:
        self.list.clear()
        for entry in entries:
            info = entry.info
            size = f"  ·  {count_text(info.parameters)}" if info else ""
            kind = self.tr("  ·  adapter") if info and info.is_adapter else ""
            item = QListWidgetItem(icon("models" if info else "warning", "muted"), entry.name + size + kind)
            item.setData(Qt.ItemDataRole.UserRole, entry.path)
            item.setToolTip(str(entry.path) if info else self.tr("It can't be used: %s") % (entry.broken or ""))
            item.setSizeHint(QSize(0, 30))
            if info is None:
                item.setFlags(Qt.ItemFlag.ItemIsSelectable & ~Qt.ItemFlag.ItemIsEnabled)
            self.list.addItem(item)
        self._filter(self.search.text())

    def _filter(self, text: str) -> None:
        words = text.casefold().split()
        first = -1
        for row in range(self.list.count()):
            item = self.list.item(row)
            shown = all(word in f"{item.text()} {item.toolTip()}".casefold() for word in words)
            item.setHidden(not shown)
            if shown and first < 0 and item.flags() & Qt.ItemFlag.ItemIsEnabled:
                first = row
        self.list.setCurrentRow(first)

    def _take(self) -> None:
        item = self.list.currentItem()
        if item is not None and not item.isHidden() and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.hide()
            self.picked.emit(item.data(Qt.ItemDataRole.UserRole))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """The arrow keys move through the list while the words are being written."""
        pressed = watched is self.search and event.type() == QEvent.Type.KeyPress
        if pressed and isinstance(event, QKeyEvent) and event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            self._step(1 if event.key() == Qt.Key.Key_Down else -1)
            return True
        return super().eventFilter(watched, event)

    def _step(self, by: int) -> None:
        row = self.list.currentRow() + by
        while 0 <= row < self.list.count():
            item = self.list.item(row)
            if not item.isHidden() and item.flags() & Qt.ItemFlag.ItemIsEnabled:
                self.list.setCurrentRow(row)
                return
            row += by
