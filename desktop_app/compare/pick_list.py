"""Ticking models and runs in a list that a few words make short, and the dialog around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QModelIndex, QSize, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QVBoxLayout,
    QWidget,
)

from core.models import ModelEntry
from core.numbers import count_text
from core.run_summary import RunSummary
from desktop_app import theme
from desktop_app.forms.field import button
from desktop_app.icons import icon, state_icon
from desktop_app.runs.words import state_word

WORD = Qt.ItemDataRole.UserRole + 1
SEARCHED = Qt.ItemDataRole.UserRole + 2
KINDS = ("distill", "chain", "tune", "merge", "sweep")  # of runs that are worth comparing


@dataclass(frozen=True)
class Offer:
    """`word` is what `core.compare` and `core.subjects` know it by."""

    word: str
    text: str
    sign: str
    tip: str = ""
    state: str = ""
    why_not: str = ""


def offers_of(rows: Sequence[RunSummary], entries: Iterable[ModelEntry], ticked: Sequence[str] = ()) -> list[Offer]:
    """Runs with the newest first, then models that no run here made. What is ticked is among them, wherever it is from."""
    found = []
    made = {row.model for row in rows if row.model}
    for row in reversed(rows):
        if row.kind in KINDS:
            size = f" · {count_text(row.student_parameters)}" if row.student_parameters else ""
            found.append(Offer(row.id, f"{row.name}{size} · {state_word(row.state)}", "runs", row.id, row.state))
    for entry in entries:
        if str(entry.path) not in made or str(entry.path) in ticked:
            size = f" · {count_text(entry.info.parameters)}" if entry.info else ""
            found.append(Offer(str(entry.path), entry.name + size, "models", str(entry.path), "", entry.broken or ""))
    known = {offer.word for offer in found}
    return found + [Offer(word, Path(word).name, "models", word) for word in ticked if word not in known]


class _Words(QSortFilterProxyModel):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def filterAcceptsRow(self, row: int, parent: object) -> bool:  # noqa: N802
        source = self.sourceModel()
        text = str(source.data(source.index(row, 0), SEARCHED) or "")
        return all(word in text for word in self.words)


class PickList(QWidget):
    """`ticked` when the user ticks or unticks one."""

    ticked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.search, self.list, self.nothing = QLineEdit(), QListView(), QLabel()
        self.search.setPlaceholderText(self.tr("Filter by name…"))
        self.search.setAccessibleName(self.tr("Filter models and runs"))
        self.search.setClearButtonEnabled(True)
        self.list.setAccessibleName(self.tr("Models and runs"))
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setUniformItemSizes(True)
        self.list.setIconSize(QSize(16, 16))
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        theme.set_role(self.nothing, "muted")
        self.nothing.setWordWrap(True)
        self._filling = False
        self._model, self._filter = QStandardItemModel(), _Words()
        self._filter.setSourceModel(self._model)
        self.list.setModel(self._filter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.search)
        layout.addWidget(self.nothing)
        layout.addWidget(self.list, 1)
        self.search.textChanged.connect(self._look_for)
        self.list.clicked.connect(self._click)
        self._model.itemChanged.connect(lambda _: None if self._filling else self.ticked.emit())
        self.setFocusProxy(self.search)

    def set_offers(self, offers: Sequence[Offer], ticked: Sequence[str]) -> None:
        """What is ticked comes first, so that it is in sight."""
        self._filling = True
        self._model.clear()
        for offer in sorted(offers, key=lambda one: one.word not in ticked):
            item = QStandardItem(state_icon(offer.state) if offer.state else icon(offer.sign, "muted"), offer.text)
            item.setCheckable(not offer.why_not)
            item.setEnabled(not offer.why_not)
            item.setToolTip(f"{offer.tip}\n{offer.why_not}".strip())
            item.setSizeHint(QSize(0, 30))
            item.setData(offer.word, WORD)
            item.setData(f"{offer.text} {offer.tip}".casefold(), SEARCHED)
            if not offer.why_not:
                item.setCheckState(Qt.CheckState.Checked if offer.word in ticked else Qt.CheckState.Unchecked)
            self._model.appendRow(item)
        self._filling = False
        self._say()

    def words(self) -> list[str]:
        """What is ticked, in the list's order."""
        items = [self._model.item(row) for row in range(self._model.rowCount())]
        return [str(item.data(WORD)) for item in items if item.checkState() is Qt.CheckState.Checked]

    def tick(self, word: str) -> None:
        """Tick one, as a click does."""
        for row in range(self._model.rowCount()):
            if self._model.item(row).data(WORD) == word:
                self._model.item(row).setCheckState(Qt.CheckState.Checked)

    def _click(self, index: QModelIndex) -> None:
        """A click anywhere on the line ticks it; one on the box itself has done so already."""
        pressed = self.list.mapFromGlobal(self.cursor().pos())
        box = self.list.visualRect(index)
        at = pressed.x() - box.left() if self.isLeftToRight() else box.right() - pressed.x()
        item = self._model.itemFromIndex(self._filter.mapToSource(index))
        if item.isCheckable() and at > 32:
            checked = item.checkState() is Qt.CheckState.Checked
            item.setCheckState(Qt.CheckState.Unchecked if checked else Qt.CheckState.Checked)

    def _look_for(self, text: str) -> None:
        self._filter.words = text.casefold().split()
        self._filter.invalidate()
        self._say()

    def _say(self) -> None:
        none = self.tr("No models or runs yet. Distill a student, or add models on the Models page.")
        self.nothing.setText(none if not self._model.rowCount() else self.tr("Nothing has all these words."))
        self.nothing.setVisible(not self._filter.rowCount())


class PickDialog(QDialog):
    """`picked` carries the words that are ticked."""

    picked = Signal(list)

    def __init__(self, offers: Sequence[Offer], ticked: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Models and runs to compare"))
        self.list = PickList()
        self.list.set_offers(offers, ticked)
        self._before = [word for word in ticked if word not in {offer.word for offer in offers}]
        self.count = QLabel()
        theme.set_role(self.count, "muted")
        self.cancel, self.take = button(self.tr("Cancel")), button(self.tr("Compare"), "compare", "primary")
        self.take.setDefault(True)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self.count, 1)
        row.addWidget(self.cancel)
        row.addWidget(self.take)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 3 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self.list, 1)
        layout.addLayout(row)
        self.resize(560, 520)
        self.list.ticked.connect(self._say)
        self.cancel.clicked.connect(self.reject)
        self.take.clicked.connect(self._take)
        self._say()

    def _say(self) -> None:
        self.count.setText(self.tr("%d ticked") % (len(self.list.words()) + len(self._before)))

    def _take(self) -> None:
        self.picked.emit([*self._before, *self.list.words()])
        self.accept()
