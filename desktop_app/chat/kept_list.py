"""The conversations that were kept: searched by what was said in them, renamed, exported, taken away and brought back."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QDate, QLocale, QModelIndex, QPersistentModelIndex, QPoint, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from core.errors import Trouble
from core.home import Home
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.forms import parts
from desktop_app.forms.field import button
from desktop_app.icons import icon
from desktop_app.work import Latest, in_background

if TYPE_CHECKING:
    from core.conversations import Conversations

ID = Qt.ItemDataRole.UserRole
TITLE = Qt.ItemDataRole.UserRole + 1
SECOND = Qt.ItemDataRole.UserRole + 2


@dataclass(frozen=True)
class Line:
    """A conversation in the list; `second` is its age and models, or where a search found its words."""

    id: str
    title: str
    second: str


class KeptList(QWidget):
    """`opened` carries a conversation's id, `gone` one that was taken away."""

    opened = Signal(str)
    new_wanted = Signal()
    gone = Signal(str)
    renamed = Signal(str, str)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self._store: Conversations | None = None
        self._look = Latest(self)
        self._open_one = ""
        self.new = button(self.tr("New conversation"), "add")
        self.search, self.list, self.nothing = QLineEdit(), QListWidget(), parts.words("muted")
        self._soon = QTimer(self, singleShot=True, interval=150)
        self._compose()
        self.new.clicked.connect(self.new_wanted)
        self.search.textChanged.connect(lambda _: self._soon.start())
        self._soon.timeout.connect(self.refresh)
        self.list.itemClicked.connect(self._open)
        self.list.itemActivated.connect(self._open)
        self.list.customContextMenuRequested.connect(self._menu)
        self._say_state(self.tr("Looking for conversations…"))

    def _compose(self) -> None:
        self.search.setPlaceholderText(self.tr("Search what was said…"))
        self.search.setAccessibleName(self.tr("Search conversations"))
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("search", "muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.list.setAccessibleName(self.tr("Conversations"))
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setItemDelegate(_TwoLines(self.list))
        self.list.hide()
        self.setMinimumWidth(190)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 0, 1, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.new)
        layout.addWidget(self.search)
        layout.addWidget(self.nothing)
        layout.addWidget(self.list, 1000)
        layout.addStretch(1)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Look at the conversations again, off the window's thread."""
        words, home = self.search.text(), self.context.home
        self._look.ask(lambda: self._read(home, words), lambda lines: self._show(lines, words), self._trouble)

    def _read(self, home: Home, words: str) -> list[Line]:
        from core.conversations import Conversations

        if self._store is None:
            self._store = Conversations(home)
        if words.strip():
            found: dict[str, Line] = {}
            for hit in self._store.search(words):
                found.setdefault(hit.conversation, Line(hit.conversation, hit.title, hit.excerpt))
            for one in self._store.list():
                if all(word in one.title.casefold() for word in words.casefold().split()):
                    found.setdefault(one.id, Line(one.id, one.title, self._about(one.changed, one.models)))
            return list(found.values())
        return [
            Line(one.id, one.title, self._about(one.changed, one.models)) for one in self._store.list() if one.turns
        ]

    def _about(self, changed: float, models: Sequence[str]) -> str:
        names = ", ".join(dict.fromkeys(Path(model).name for model in models))
        return f"{_when(changed)} · {names}" if names else _when(changed)

    def _show(self, lines: Sequence[Line], words: str) -> None:
        self.list.clear()
        for line in lines:
            item = QListWidgetItem(line.title)
            item.setData(ID, line.id)
            item.setData(TITLE, line.title)
            item.setData(SECOND, line.second)
            item.setData(Qt.ItemDataRole.AccessibleDescriptionRole, line.second)
            item.setToolTip(f"{line.title}\n{line.second}")
            item.setSizeHint(QSize(0, 48))
            self.list.addItem(item)
        self.mark(self._open_one)
        self.list.setVisible(bool(lines))
        if lines:
            self._say_state("")
        elif words.strip():
            self._say_state(self.tr("Nothing that was said has these words."))
        else:
            self._say_state(self.tr("No conversations yet. What you and the models say is kept here, on this machine."))

    def _trouble(self, trouble: Trouble) -> None:
        self._say_state(str(trouble), wrong=True)

    def _say_state(self, words: str, *, wrong: bool = False) -> None:
        self.nothing.setText(words)
        theme.set_role(self.nothing, "error" if wrong else "muted")
        self.nothing.setVisible(bool(words))

    def mark(self, conversation: str) -> None:
        """Show which one is open."""
        self._open_one = conversation
        for row in range(self.list.count()):
            if self.list.item(row).data(ID) == conversation:
                self.list.setCurrentRow(row)
                return
        self.list.setCurrentRow(-1)

    def _open(self, item: QListWidgetItem) -> None:
        self.opened.emit(str(item.data(ID)))

    # --- what can be done ---------------------------------------------------------------------------------------------

    def _menu(self, place: QPoint) -> None:
        item = self.list.itemAt(place)
        if item is None:
            return
        menu = self.menu(str(item.data(ID)), str(item.data(TITLE)))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.list.viewport().mapToGlobal(place))

    def menu(self, conversation: str, title: str) -> QMenu:
        """What can be done with one conversation."""
        menu = QMenu(self)
        entries: list[tuple[str, str, Callable[[], None]]] = [
            ("rename", self.tr("Rename…"), partial(self.ask_name, conversation, title)),
            ("export", self.tr("Export as Markdown…"), partial(self.ask_export, conversation, title, "md")),
            ("export", self.tr("Export as JSON…"), partial(self.ask_export, conversation, title, "json")),
            ("discard", self.tr("Take away"), partial(self.remove, conversation, title)),
        ]
        for sign, text, run in entries:
            menu.addAction(icon(sign, "muted"), text).triggered.connect(run)
        return menu

    def ask_name(self, conversation: str, title: str) -> None:
        name, agreed = QInputDialog.getText(
            self, self.tr("Rename the conversation"), self.tr("Name"), QLineEdit.EchoMode.Normal, title
        )
        if agreed and name.strip():
            self.renamed.emit(conversation, name)

    def ask_export(self, conversation: str, title: str, kind: str) -> None:
        start = "".join(c if c.isalnum() or c in " -_" else "_" for c in title)[:60].strip() or "conversation"
        name, _ = QFileDialog.getSaveFileName(self, self.tr("Export the conversation"), f"{start}.{kind}")
        if name:
            self.export(conversation, Path(name), kind)

    def export(self, conversation: str, file: Path, kind: str) -> None:
        home = self.context.home

        def done(_: None) -> None:
            self.context.say(self.tr("Wrote %s.") % file, "good")

        in_background(self, lambda: _write(home, conversation, file, kind), done, self.context.trouble)

    def remove(self, conversation: str, title: str) -> None:
        """Take it away; the message offers it back."""
        home = self.context.home

        def done(_: None) -> None:
            self.gone.emit(conversation)
            self.refresh()
            words = self.tr("“%s” was taken away.") % title
            self.context.say(words, action_text=self.tr("Undo"), action=lambda: self._bring_back(conversation))

        in_background(self, lambda: _store(home).remove(conversation), done, self.context.trouble)

    def _bring_back(self, conversation: str) -> None:
        home = self.context.home
        in_background(
            self, lambda: _store(home).bring_back(conversation), lambda _: self.refresh(), self.context.trouble
        )


class _TwoLines(QStyledItemDelegate):
    """The title, and under it, muted, what else there is to say."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        rect: QRect = option.rect
        state = option.state
        painter.save()
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, theme.colour("selected"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, theme.colour("raised"))
        room = rect.adjusted(12, 6, -12, -6)
        plain, small = QFont(option.font), QFont(option.font)
        small.setPixelSize(theme.SMALL)
        lines = ((index.data(TITLE), plain, "ink", 0), (index.data(SECOND), small, "muted", room.height() // 2))
        leading = QStyle.visualAlignment(option.direction, Qt.AlignmentFlag.AlignLeft)
        for text, font, role, down in lines:
            painter.setFont(font)
            painter.setPen(theme.colour(role))
            place = QRect(room.left(), room.top() + down, room.width(), room.height() // 2)
            shown = QFontMetrics(font).elidedText(str(text), Qt.TextElideMode.ElideRight, place.width())
            own = Qt.LayoutDirection.RightToLeft if _runs_right_to_left(str(text)) else Qt.LayoutDirection.LeftToRight
            painter.setLayoutDirection(own)
            painter.drawText(
                place, int(leading | Qt.AlignmentFlag.AlignAbsolute | Qt.AlignmentFlag.AlignVCenter), shown
            )
        painter.restore()


def _store(home: Home) -> Conversations:
    from core.conversations import Conversations

    return Conversations(home)


def _write(home: Home, conversation: str, file: Path, kind: str) -> None:
    import json

    from core.conversations import as_json, as_markdown

    found = _store(home).open(conversation)
    text = as_markdown(found) if kind == "md" else json.dumps(as_json(found), ensure_ascii=False, indent=1) + "\n"
    file.write_text(text, encoding="utf-8")


def _runs_right_to_left(text: str) -> bool:
    """As its first letter that has a direction does."""
    directions = (unicodedata.bidirectional(letter) for letter in text)
    return next((one for one in directions if one in ("L", "R", "AL")), "L") != "L"


def _when(then: float) -> str:
    """The time of today, else the day."""
    moment, now = time.localtime(then), time.localtime()
    if moment[:3] == now[:3]:
        return time.strftime("%H:%M", moment)
    return QLocale().toString(QDate(*moment[:3]), QLocale.FormatType.ShortFormat)
