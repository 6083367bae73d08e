"""Widgets for what recipes are made of: amounts with units, one of a few, one of many, files and folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QStandardItemModel
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import Trouble
from core.numbers import count_text, parse_count
from desktop_app import theme
from desktop_app.forms.field import button
from desktop_app.forms.parts import paths_of
from desktop_app.icons import icon


class AmountEdit(QLineEdit):
    """A number that people write as 1.3M; `changed` carries it, or None while it can't be read or is empty."""

    changed = Signal(object)

    def __init__(self, read: Callable[[str], float] = parse_count, write: Callable[[float], str] = count_text) -> None:
        super().__init__()
        self._read, self._write = read, write
        self.textEdited.connect(lambda: self.changed.emit(self.value()))

    def value(self) -> float | None:
        try:
            return self._read(self.text())
        except (Trouble, ValueError):
            return None

    def problem(self) -> str:
        """Why the text can't be read; nothing for an empty field."""
        if not self.text().strip():
            return ""
        try:
            self._read(self.text())
        except Trouble as trouble:
            return str(trouble)
        except ValueError:
            return self.tr("%s is no number.") % self.text()
        return ""

    def set_value(self, value: float | None) -> None:
        """Show a number, unless the user writes the same one just now."""
        if not (self.hasFocus() and self.value() == value):
            self.setText("" if value is None else self._write(value))


class Segmented(QWidget):
    """One of a few, all in sight; the arrow keys move through them."""

    chosen = Signal(str)

    def __init__(self, options: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QPushButton] = {}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for value, text in options:
            made = QPushButton(text)
            made.setCheckable(True)
            self._group.addButton(made)
            self._buttons[value] = made
            layout.addWidget(made)
        layout.addStretch(1)
        self._group.buttonClicked.connect(lambda _: self.chosen.emit(self.value()))
        if self._buttons:
            next(iter(self._buttons.values())).setChecked(True)
            self.setFocusProxy(next(iter(self._buttons.values())))

    def value(self) -> str:
        return next((value for value, button in self._buttons.items() if button.isChecked()), "")

    def choose(self, value: str) -> None:
        """Show a choice; `chosen` is for the user's own only."""
        self._buttons[value].setChecked(True)

    def option(self, value: str) -> QPushButton:
        return self._buttons[value]

    def allow(self, value: str, why_not: str = "") -> None:
        """Offer an option, or refuse it with the reason as its tool tip."""
        self._buttons[value].setEnabled(not why_not)
        self._buttons[value].setToolTip(why_not)


class Choice(QComboBox):
    """One of many. Scrolling over it does not change it unless it has the focus."""

    chosen = Signal(object)

    def __init__(self, options: Sequence[tuple[object, str]] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.set_options(options)
        self.activated.connect(lambda _: self.chosen.emit(self.value()))

    def set_options(self, options: Sequence[tuple[object, str]]) -> None:
        """Offer these (value, text); the choice stays if it is still among them."""
        before = self.value()
        self.blockSignals(True)
        self.clear()
        for value, text in options:
            self.addItem(text, value)
        self.blockSignals(False)
        self.choose(before)

    def value(self) -> object:
        return self.currentData()

    def choose(self, value: object) -> None:
        index = next((at for at in range(self.count()) if self.itemData(at) == value), -1)
        if index >= 0:
            self.setCurrentIndex(index)

    def refuse(self, value: object, why_not: str) -> None:
        """Offer a value no more; the reason stands beside it in the list."""
        model, index = self.model(), self.findData(value)
        assert isinstance(model, QStandardItemModel)
        item = model.item(index)
        item.setEnabled(False)
        item.setToolTip(why_not)
        item.setText(f"{item.text()} · {why_not}")

    def wheelEvent(self, event: object) -> None:  # noqa: N802
        if self.hasFocus():
            super().wheelEvent(event)  # type: ignore[arg-type]
        else:
            event.ignore()  # type: ignore[attr-defined]


class FileList(QWidget):
    """Files and folders, added by dialog or drop; `changed` follows. Paths stay where they are."""

    changed = Signal()

    def __init__(self, drop_text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self.list = QListWidget()
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setAccessibleName(drop_text)
        self.list.setFixedHeight(88)
        self._drop_text = drop_text
        self.add_files = button(self.tr("Add files…"), "add")
        self.add_folder = button(self.tr("Add a folder…"), "folder")
        self.remove = button(self.tr("Remove"), "remove")
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE)
        for one in (self.add_files, self.add_folder, self.remove):
            buttons.addWidget(one)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.list)
        layout.addLayout(buttons)
        self.add_files.clicked.connect(self._ask_files)
        self.add_folder.clicked.connect(self._ask_folder)
        self.remove.clicked.connect(self._remove)
        self.list.itemSelectionChanged.connect(self._look)
        self.setFocusProxy(self.add_files)
        self.set_paths([])

    def paths(self) -> list[Path]:
        return [
            Path(self.list.item(row).toolTip()) for row in range(self.list.count()) if self.list.item(row).toolTip()
        ]

    def set_paths(self, paths: Sequence[Path]) -> None:
        self.list.clear()
        for path in paths:
            item = QListWidgetItem(icon("folder" if path.is_dir() else "log", "muted"), str(path))
            item.setToolTip(str(path))
            item.setSizeHint(QSize(0, 28))
            self.list.addItem(item)
        if not paths:
            empty = QListWidgetItem(self._drop_text)
            empty.setFlags(Qt.ItemFlag.NoItemFlags)
            empty.setForeground(theme.colour("muted"))
            self.list.addItem(empty)
        self._look()

    def add(self, paths: Sequence[Path]) -> None:
        known = self.paths()
        self.set_paths([*known, *(path for path in dict.fromkeys(paths) if path not in known)])
        self.changed.emit()

    def _remove(self) -> None:
        chosen = {item.toolTip() for item in self.list.selectedItems()}
        self.set_paths([path for path in self.paths() if str(path) not in chosen])
        self.changed.emit()

    def _look(self) -> None:
        self.remove.setEnabled(bool(self.list.selectedItems()))

    def _ask_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, self.tr("Add files"))
        if names:
            self.add([Path(name) for name in names])

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, self.tr("Add a folder"))
        if name:
            self.add([Path(name)])

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        dropped = paths_of(event.mimeData())
        if dropped:
            self.add(dropped)
            event.acceptProposedAction()
