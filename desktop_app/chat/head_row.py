"""The heads of all columns, and what can be done with one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QWidget

from desktop_app import theme
from desktop_app.chat.blind import LETTERS
from desktop_app.chat.heads import Head, Member
from desktop_app.icons import icon


class HeadRow(QWidget):
    """`wanted` names what to do with a column: template, form, again, compare, show, twice or remove."""

    wanted = Signal(str, str)  # what, column
    adapter_switched = Signal(str, str, float)  # column, adapter, scale
    adapter_laid = Signal(str, str)  # column, the adapter's folder

    def __init__(self, why_not: Callable[[str], str], adapters: Callable[[str], Sequence[tuple[str, str]]]) -> None:
        super().__init__()
        self._fitting = adapters  # for a column, folder and name of those that could be laid over its model
        self._why_not = why_not  # of what is wanted
        self.heads: dict[str, Head] = {}
        self._members: dict[str, Member] = {}
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        self._row = QHBoxLayout()
        self._row.setSpacing(2 * theme.SPACE)
        whole.addLayout(self._row, 1)
        whole.addSpacing(12)  # as wide as the turns beside their scroll bar

    def show_members(self, members: Sequence[Member], *, blind: bool) -> None:
        self._members = {member.column: member for member in members}
        for column in [one for one in self.heads if one not in self._members]:
            gone = self.heads.pop(column)
            self._row.removeWidget(gone)
            gone.hide()
            gone.deleteLater()
        for at, member in enumerate(members):
            if member.column not in self.heads:
                self.heads[member.column] = self._new_head(member)
            if self._row.indexOf(self.heads[member.column]) != at:  # each over its own column
                self._row.insertWidget(at, self.heads[member.column], 1)
            self.heads[member.column].show_member(member, LETTERS[at] if blind else "")

    def _new_head(self, member: Member) -> Head:
        head = Head(member)
        head.removed.connect(lambda column: self.wanted.emit("remove", column))
        head.menu_wanted.connect(self._open_menu)
        return head

    def _open_menu(self, column: str, at: QToolButton) -> None:
        menu = self.menu(column)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(at.mapToGlobal(at.rect().bottomLeft()))

    def menu(self, column: str) -> QMenu:
        """What can be done with one model."""
        menu, member = QMenu(self), self._members[column]
        menu.setToolTipsVisible(True)
        not_read = "" if member.loaded else self.tr("It is read when the model is loaded.")
        self._entry(menu, "template", "log", self.tr("Show its template…"), column, not_read)
        for name, scale in member.adapters.items():
            self._adapter_entry(menu, column, name, scale)
        self._offer_adapters(menu, column)
        self._entry(menu, "form", "settings", self.tr("How it is asked…"), column)
        self._entry(menu, "again", "again", self.tr("Answer again"), column, self._why_not("again"))
        self._entry(menu, "compare", "compare", self.tr("Compare these models"), column)
        self._entry(menu, "show", "models", self.tr("Show on the Models page"), column)
        self._entry(menu, "twice", "copy", self.tr("Talk with it twice"), column, self._why_not("twice"))
        menu.addSeparator()
        self._entry(menu, "remove", "close", self.tr("Take away"), column)
        return menu

    def _offer_adapters(self, menu: QMenu, column: str) -> None:
        fitting = self._fitting(column)
        offer = menu.addMenu(icon("merge", "muted"), self.tr("Lay an adapter over it"))
        offer.setEnabled(bool(fitting))
        none = self.tr("No other adapter here was made for this model.")
        offer.menuAction().setToolTip("" if fitting else none)
        for folder, name in fitting:
            action = offer.addAction(name)
            action.setToolTip(folder)
            action.triggered.connect(lambda _=False, folder=folder: self.adapter_laid.emit(column, folder))

    def _entry(self, menu: QMenu, what: str, sign: str, text: str, column: str, why_not: str = "") -> None:
        action = menu.addAction(icon(sign, "muted"), text)
        action.setEnabled(not why_not)
        action.setToolTip(why_not or text)
        action.triggered.connect(lambda _=False: self.wanted.emit(what, column))

    def _adapter_entry(self, menu: QMenu, column: str, name: str, scale: float) -> None:
        action = QAction(self.tr("Adapter %s") % name, menu, checkable=True, checked=scale > 0)
        action.triggered.connect(lambda on: self.adapter_switched.emit(column, name, 1.0 if on else 0.0))
        menu.addAction(action)
