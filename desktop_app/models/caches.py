"""Cached answers: what teachers said of texts, kept for any number of students. A table; use one in a plan, or delete it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QItemSelectionModel, QPoint, QSortFilterProxyModel, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMenu, QMessageBox, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from core.cache import CacheInfo, caches, delete_cache
from core.distill import DistillRecipe
from core.errors import Trouble
from core.numbers import bytes_text
from desktop_app import theme
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.forms import parts
from desktop_app.forms.field import button
from desktop_app.icons import icon
from desktop_app.models.cache_use import CacheUse, look_for_users
from desktop_app.models.caches_table import FOLDER_ROLE, SORT_ROLE, CachesModel, CachesTable
from desktop_app.runs.empty import Empty
from desktop_app.work import Latest, in_background

FIRST_TARGET = "0.4x"  # of a plan that begins with a cache


def plan_with(info: CacheInfo) -> DistillRecipe:
    """A distillation that the cache can serve: its teacher, text, and all that its answers depend on."""
    made = info.fields
    assert made is not None, "a usable cache says what it holds"
    return DistillRecipe(
        teacher=made.teacher,
        student=FIRST_TARGET,
        data=tuple(file.path for file in made.data),
        tokens=made.budget or max(64, info.tokens or 0),
        source="cache",
        cache=str(info.folder),
        top_k=made.top_k,
        tail=made.tail,
        temperature=made.temperature,
        seed=made.seed,
        sequence_length=made.sequence_length,
        separator=made.separator,
        answers_only=made.answers_only,
    )


class CachesPane(QWidget):
    """The caches of the data folder, looked up off the window's thread. `refresh` looks again."""

    looked = Signal()  # what is there is known, or why it is not

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.infos: list[CacheInfo] = []
        self.question: QMessageBox | None = None  # on screen now
        self._wanted: Path | None = None
        self._seen: tuple[Any, ...] = ()
        self._loaded = False
        self._latest = Latest(self)
        self.model = CachesModel()
        self.order = QSortFilterProxyModel(self)
        self.order.setSourceModel(self.model)
        self.order.setSortRole(SORT_ROLE)
        self.table = CachesTable(self.order, self.tr("Cached answers"))
        self.about = parts.words("muted")
        self.empty = Empty()
        self._commands = self._make_commands()
        self.buttons = {
            command.name: button(command.text, command.icon, "primary" if at == 0 else "quiet")
            for at, command in enumerate(self._commands)
        }
        self.pages = QStackedWidget()
        self._lay_out()
        self._connect()
        self._say_empty(self.tr("Looking for caches…"), "", [])

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        for one in self.buttons.values():
            row.addWidget(one)
        row.addStretch(1)
        full = QWidget()
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE)
        column.addWidget(self.table, 1)
        column.addWidget(self.about)
        column.addLayout(row)
        self.pages.addWidget(self.empty)
        self.pages.addWidget(full)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.pages)

    def _connect(self) -> None:
        self.table.selectionModel().currentRowChanged.connect(lambda *_: self._show_picked())
        self.table.customContextMenuRequested.connect(self._menu)
        self.table.doubleClicked.connect(lambda _: self._run("caches.use"))
        self.empty.acted.connect(self._act_on_emptiness)
        self.context.live.listed.connect(self._runs_changed)
        for command in self._commands:
            self.buttons[command.name].clicked.connect(lambda _=False, name=command.name: self._run(name))
        delete = QShortcut(QKeySequence.StandardKey.Delete, self.table)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(lambda: self._run("caches.delete"))

    # --- what is shown

    def refresh(self) -> None:
        """Look at the folders again."""
        home = self.context.home
        self._latest.ask(lambda: caches(home), self._take, self._refuse)

    def pick(self, folder: Path) -> None:
        """Go to this cache, now or as soon as it is known."""
        self._wanted = folder
        self._pick_wanted()

    def picked(self) -> CacheInfo | None:
        index = self.table.currentIndex()
        return self.model.info(self.order.mapToSource(index).row()) if index.isValid() else None

    def _take(self, infos: list[CacheInfo]) -> None:
        before = self.picked()
        self._loaded = True
        if infos != self.infos or not self.model.rowCount():
            self.infos = infos
            self.model.take(infos)
            self._wanted = self._wanted or (before.folder if before else None)
        if infos:
            self.pages.setCurrentIndex(1)
            self._pick_wanted()
        else:
            self._say_nothing_there()
        self._show_picked()
        self.looked.emit()

    def _say_nothing_there(self) -> None:
        self._say_empty(
            self.tr("No cached answers yet."),
            self.tr(
                "A cache keeps what a teacher says of a text. The teacher reads it once; then any number of students, epochs and "
                "trials learn from the answers at hardly more than the cost of plain training. Choose cached answers as the source "
                "of a plan, and its run makes them."
            ),
            [("plan", self.tr("Plan a student"))],
        )

    def _refuse(self, trouble: Trouble) -> None:
        self._say_empty(
            self.tr("The caches can't be read."), str(trouble), [("look", self.tr("Look again"))], wrong=True
        )
        self.looked.emit()

    def _say_empty(self, title: str, text: str, buttons: list[tuple[str, str]], *, wrong: bool = False) -> None:
        self.empty.say("error" if wrong else "cache", title, text, buttons)
        self.pages.setCurrentIndex(0)

    def _act_on_emptiness(self, name: str) -> None:
        if name == "look":
            self.refresh()
        else:
            self.context.open("plan")

    def _pick_wanted(self) -> None:
        wanted = [row for row in range(self.order.rowCount()) if self.order.index(row, 0).data(FOLDER_ROLE) == self._wanted]  # fmt: skip
        row = wanted[0] if wanted else 0
        if wanted:
            self._wanted = None
        if self.order.rowCount() and (wanted or not self.table.currentIndex().isValid()):
            flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
            self.table.selectionModel().setCurrentIndex(self.order.index(row, 0), flags)

    def _show_picked(self) -> None:
        info = self.picked()
        self.about.setText("" if info is None else self._words(info))
        for command in self._commands:
            why_not = command.why_not()
            self.buttons[command.name].setEnabled(not why_not)
            self.buttons[command.name].setToolTip(why_not or command.text)
            self.buttons[command.name].setAccessibleDescription(why_not)

    def _words(self, info: CacheInfo) -> str:
        """What the columns don't say of the picked one; of one that can't be used, why."""
        if info.broken:
            return self.tr("It can't be used: %s Delete it, and make it again.") % info.broken
        if info.unfinished:
            return info.unfinished
        said = []
        if info.documents is not None:
            said.append(self.tr("%s documents, cut at %d tokens.") % (f"{info.documents:,}", info.sequence_length or 0))
        if info.bytes_per_token is not None:
            said.append(self.tr("%s a token.") % bytes_text(info.bytes_per_token))
        if info.mass_kept is not None:
            said.append(self.tr("The likeliest hold %s of what the teacher says.") % f"{info.mass_kept:.2%}")
        if info.temperature not in (None, 1.0):
            said.append(self.tr("Made at temperature %g.") % (info.temperature or 1.0))
        return " ".join(said)

    def _runs_changed(self, _rows: object) -> None:
        """A run that makes or reads a cache began or ended."""
        seen = tuple((row.id, row.state) for row in self.context.live.rows)
        if seen != self._seen:
            self._seen = seen
            if self.isVisible():
                self.refresh()

    # --- what can be done

    def commands(self) -> list[Command]:
        return self._commands

    def _make_commands(self) -> list[Command]:
        return [
            Command("caches.use", self.tr("Use in a plan"), self._use, "plan", why_not=self._why_not_use),
            Command("caches.open", self.tr("Open the cache's folder"), self._open, "folder_open", why_not=self._why_nothing),
            Command("caches.refresh", self.tr("Look for caches again"), self.refresh, "refresh"),
            Command("caches.delete", self.tr("Delete…"), self.ask_delete, "discard", why_not=self._why_nothing),
        ]  # fmt: skip

    def _run(self, name: str) -> None:
        command = next(one for one in self._commands if one.name == name)
        if why_not := command.why_not():
            self.context.say(why_not, "warning")
        else:
            command.run()

    def _why_nothing(self) -> str:
        return "" if self.picked() else self.tr("No cache is picked.")

    def _why_not_use(self) -> str:
        info = self.picked()
        return self._why_nothing() if info is None else info.broken or info.unfinished or ""

    def _use(self) -> None:
        if (info := self.picked()) is not None:
            self.context.open("plan", recipe=plan_with(info))

    def _open(self) -> None:
        info = self.picked()
        if info and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(info.folder))):
            self.context.say(self.tr("No file manager opened %s.") % info.folder, "warning")

    def _menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        for command in self._commands:
            entry = menu.addAction(icon(command.icon, "muted"), command.text)
            why_not = command.why_not()
            entry.setEnabled(not why_not)
            entry.setToolTip(why_not or command.text)
            entry.triggered.connect(lambda _=False, command=command: command.run())
        menu.popup(self.table.viewport().mapToGlobal(place))

    # --- deleting

    def ask_delete(self) -> None:
        """Look who needs the cache, then ask; a run that reads it now keeps it."""
        info, home = self.picked(), self.context.home
        if info is not None:
            in_background(
                self, lambda: look_for_users(home, info.folder), lambda use: self._ask(info, use), self.context.trouble
            )

    def _ask(self, info: CacheInfo, use: CacheUse) -> None:
        if use.reading:
            self.context.say(self.tr("%s is learning from these answers; stop it first.") % use.reading[0], "warning")
            return
        lines = [self.tr("Frees %s in %s. This can't be undone.") % (bytes_text(info.bytes), info.folder)]
        if use.waiting:
            names = ", ".join(use.waiting[:3]) + (" …" if len(use.waiting) > 3 else "")
            lines.append(self.tr("These runs could not go on without it: %s.") % names)
        lines.append(self.tr("Students that learnt from it stay as they are, and a run can make the answers again."))
        box = QMessageBox(QMessageBox.Icon.NoIcon, self.tr("Stillroom"), self.tr("Delete the answers %s?") % info.name, parent=self)  # fmt: skip
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setInformativeText("\n\n".join(lines))
        box.setIconPixmap(icon("discard", "error").pixmap(32, 32))
        yes: QPushButton = box.addButton(self.tr("Delete"), QMessageBox.ButtonRole.AcceptRole)
        theme.set_role(yes, "danger")
        keep = box.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        box.accepted.connect(lambda: self._delete(info))
        box.finished.connect(self._answered)
        self.question = box
        box.open()

    def _answered(self) -> None:
        if self.question is not None:
            self.question.deleteLater()
            self.question = None

    def _delete(self, info: CacheInfo) -> None:
        def done(_: None) -> None:
            self.context.say(self.tr("%s is deleted; %s are free.") % (info.name, bytes_text(info.bytes)), "good")
            self.refresh()

        def refused(trouble: Trouble) -> None:
            self.context.trouble(trouble)
            self.refresh()

        in_background(self, lambda: delete_cache(info.folder), done, refused)
