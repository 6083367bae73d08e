"""Small dialogs of the Runs page: tags of several runs at once, and what lies in the trash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.labels import tidy_tags
from core.run_summary import RunSummary
from core.trash import KEPT_S, Thrown
from desktop_app import theme
from desktop_app.icons import icon
from desktop_app.runs.words import age_text


class TagsDialog(QDialog):
    """Known tags to tick, and a field for new ones. A tag that only some of the runs have is ticked half."""

    settled = Signal(object)  # dict of run id and its tags, only runs whose tags changed

    def __init__(self, rows: Sequence[RunSummary], known: Iterable[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = list(rows)
        self.setWindowTitle(self.tr("Tags"))
        self.setMinimumWidth(360)
        head = QLabel(rows[0].name if len(rows) == 1 else self.tr("%d runs") % len(rows))
        head.setTextFormat(Qt.TextFormat.PlainText)
        head.setWordWrap(True)
        theme.set_role(head, "title")
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Known tags"))
        for tag in sorted({*known, *(tag for row in rows for tag in row.tags)}, key=str.casefold):
            self._add(tag)
        self.new = QLineEdit()
        self.new.setPlaceholderText(self.tr("New tags, parted by commas"))
        self.new.setAccessibleName(self.tr("New tags, parted by commas"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.button(QDialogButtonBox.StandardButton.Ok).setText(self.tr("Set tags"))
        buttons.button(QDialogButtonBox.StandardButton.Cancel).setText(self.tr("Cancel"))
        layout = QVBoxLayout(self)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(head)
        layout.addWidget(self.list)
        layout.addWidget(self.new)
        layout.addWidget(buttons)
        self.list.setVisible(self.list.count() > 0)
        self.new.setFocus()
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.accepted.connect(self._settle)

    def _add(self, tag: str) -> None:
        item = QListWidgetItem(tag)
        having = sum(tag in row.tags for row in self._rows)
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable)
        state = Qt.CheckState.Checked if having == len(self._rows) else Qt.CheckState.PartiallyChecked
        item.setCheckState(state if having else Qt.CheckState.Unchecked)
        self.list.addItem(item)

    def _settle(self) -> None:
        items = [self.list.item(at) for at in range(self.list.count())]
        on = [item.text() for item in items if item.checkState() is Qt.CheckState.Checked]
        off = {item.text() for item in items if item.checkState() is Qt.CheckState.Unchecked}
        on += self.new.text().split(",")
        tags = {row.id: tidy_tags([*(tag for tag in row.tags if tag not in off), *on]) for row in self._rows}
        self.settled.emit({row.id: tags[row.id] for row in self._rows if tags[row.id] != row.tags})


class TrashDialog(QDialog):
    """Runs that were deleted and can come back."""

    wanted_back = Signal(object)  # list[Thrown]

    def __init__(self, thrown: Sequence[Thrown], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._thrown = list(reversed(thrown))
        self.setWindowTitle(self.tr("Trash"))
        self.setMinimumSize(480, 320)
        head = QLabel(
            self.tr("Deleted runs stay here for %d days.") % (KEPT_S // 86400)
            if thrown
            else self.tr("The trash is empty.")
        )
        theme.set_role(head, "muted")
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Deleted runs"))
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        for one in self._thrown:
            self.list.addItem(QListWidgetItem(icon("discard", "muted"), f"{one.name or one.id} · {age_text(one.at)}"))
            self.list.item(self.list.count() - 1).setToolTip(one.id)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.button(QDialogButtonBox.StandardButton.Close).setText(self.tr("Close"))
        self.back = buttons.addButton(self.tr("Bring back"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.back.setIcon(icon("undo"))
        layout = QVBoxLayout(self)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(head)
        layout.addWidget(self.list)
        layout.addWidget(buttons)
        self.list.setVisible(bool(thrown))
        self.list.itemSelectionChanged.connect(self._look)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.accepted.connect(lambda: self.wanted_back.emit(self.chosen()))
        if self._thrown:
            self.list.setCurrentRow(0)
        self._look()

    def chosen(self) -> list[Thrown]:
        return [self._thrown[index.row()] for index in self.list.selectedIndexes()]

    def _look(self) -> None:
        self.back.setEnabled(bool(self.chosen()))
        self.back.setToolTip("" if self.chosen() else self.tr("Pick a run first."))
