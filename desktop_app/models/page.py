"""The Models page: every model at hand in a table, the picked one in full beside it; add, use, forget, delete.

Beside the models it has the answers of teachers that were kept: `caches.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QAction,
    QDesktopServices,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QKeySequence,
    QShortcut,
)
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.errors import Trouble
from core.models import ModelEntry
from desktop_app import theme
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.forms import Segmented
from desktop_app.forms.field import button
from desktop_app.forms.parts import paths_of
from desktop_app.icons import icon
from desktop_app.models.caches import CachesPane
from desktop_app.models.deletion import Refusal
from desktop_app.models.detail import Detail
from desktop_app.models.dropped import Outcome, add_all, refusal_words
from desktop_app.models.facts import Facts, look_up
from desktop_app.models.removal import Removal
from desktop_app.models.table import ModelView, Row, rows_of
from desktop_app.page import Page
from desktop_app.work import Latest, in_background

LAYOUT = "models/splitter"
COLUMNS = "models/columns"


class ModelsPage(Page):
    """`opened(model=path)` picks a model, `opened(cache=path)` a cache, `opened(dropped=paths)` adds what was dropped elsewhere.

    See the module.
    """

    name = "models"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.setAcceptDrops(True)
        self.facts: Facts | None = None
        self._rows: list[Row] = []
        self._wanted: Path | None = None  # picked as soon as it is at hand
        self._look = Latest(self)
        self._runs_seen: tuple[Any, ...] = ()
        self._made_seen: frozenset[str] = frozenset()
        self.removal = Removal(context, self)
        self.caches = CachesPane(context)
        self.areas = Segmented([("models", self.tr("Models at hand")), ("caches", self.tr("Cached answers"))])
        self._commands = self._make_commands()
        self.add = button(self.tr("Add a folder…"), "add")
        self.hub = button(self.tr("Get from the Hub…"), "hub")
        self.refresh = button(self.tr("Look again"), "refresh", "quiet")
        self.search = QLineEdit()
        self.view = ModelView()
        by_name = {command.name: command for command in self._commands}
        self.detail = Detail(
            [by_name["models.teacher"], by_name["models.student"]],
            [
                by_name[f"models.{name}"]
                for name in (
                    *("tune", "merge", "chat", "evaluate", "compare", "export", "rounding"),
                    *("open", "copy", "forget", "delete"),
                )
            ],
        )
        self.nothing_picked = _centred(self.tr("Pick a model to see what it is made of."))
        self.side = QStackedWidget()
        self.state = QLabel()
        self.notice = QLabel()
        self.again = button(self.tr("Try again"), "refresh")
        self.pages = QStackedWidget()
        self._lay_out()
        self._connect()
        self._show_shelf()

    # --- how it looks -------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        title = QLabel(self.tr("Models"))
        theme.set_role(title, "head")
        self.search.setPlaceholderText(self.tr("Filter by name, source, precision…"))
        self.search.setAccessibleName(self.tr("Filter models"))
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(160)
        self.search.setMaximumWidth(320)
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        self.areas.setAccessibleName(self.tr("Models or cached answers"))
        head.addWidget(title)
        head.addSpacing(theme.SPACE)
        head.addWidget(self.areas)
        head.addStretch(1)
        head.addWidget(self.search, 2)
        head.addWidget(self.refresh)
        head.addWidget(self.hub)
        head.addWidget(self.add)
        theme.set_role(self.notice, "warning")
        self.notice.setWordWrap(True)
        self.notice.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.side.addWidget(self.nothing_picked)
        self.side.addWidget(self.detail)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(2 * theme.SPACE)
        self.splitter.addWidget(self.view)
        self.splitter.addWidget(self.side)
        self.splitter.setStretchFactor(0, 3)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([800, 350])
        self.pages.addWidget(self._state_page())
        self.pages.addWidget(self.splitter)
        self.area = QStackedWidget()
        self.area.addWidget(self.pages)
        self.area.addWidget(self.caches)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.notice)
        layout.addWidget(self.area, 1)

    def _state_page(self) -> QWidget:
        page = QWidget()
        self.state.setWordWrap(True)
        self.state.setAlignment(Qt.AlignmentFlag.AlignCenter)
        theme.set_role(self.state, "muted")
        layout = QVBoxLayout(page)
        layout.addStretch(1)
        layout.addWidget(self.state)
        layout.addWidget(self.again, alignment=Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(2)
        return page

    def _connect(self) -> None:
        self.areas.chosen.connect(self.show_area)
        self.add.clicked.connect(self.ask_folder)
        self.hub.clicked.connect(lambda: self.context.open("hub"))
        self.refresh.clicked.connect(self.context.shelf.refresh)
        self.again.clicked.connect(self.context.shelf.refresh)
        self.search.textChanged.connect(self._filter)
        self.view.picked.connect(self._pick)
        self.view.doubleClicked.connect(lambda _: self._run("models.teacher"))
        self.view.customContextMenuRequested.connect(self._menu)
        self.detail.model_wanted.connect(self.pick)
        self.detail.run_wanted.connect(lambda run: self.context.open("runs", run=run))
        self.removal.removed.connect(self.context.shelf.refresh)
        self.removal.wanted_back.connect(lambda folder: self.add_paths([folder]))
        self.context.shelf.changed.connect(self._show_shelf)
        self.context.shelf.troubled.connect(self._show_trouble)
        self.context.live.listed.connect(self._runs_changed)
        for command in self._commands:
            if command.shortcut:
                shortcut = QShortcut(QKeySequence(command.shortcut), self)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.activated.connect(partial(self._run, command.name))
        later = QTimer(self)  # a column that is being hidden is for a moment one of no width
        later.setSingleShot(True)
        later.timeout.connect(self._remember)
        self.splitter.splitterMoved.connect(lambda *_: later.start())
        header = self.view.horizontalHeader()
        for signal in (header.sectionResized, header.sectionMoved, header.sortIndicatorChanged):
            signal.connect(lambda *_: later.start())

    def _remember(self) -> None:
        if self.isVisible():
            self.context.settings.set_layout(LAYOUT, self.splitter.saveState())
            self.context.settings.set_layout(COLUMNS, self.view.horizontalHeader().saveState())

    # --- what is shown ------------------------------------------------------------------------------------------------

    def opened(self, **what: Any) -> None:
        if isinstance(what.get("model"), (str, Path)):
            self._wanted = Path(what["model"])
        if what.get("dropped"):
            self.add_paths([Path(path) for path in what["dropped"]])
        if isinstance(what.get("cache"), (str, Path)):
            self.show_area("caches")
            self.caches.pick(Path(what["cache"]))
            self.caches.table.setFocus()
            return
        if what.get("model") or what.get("dropped"):
            self.show_area("models")
        settings = self.context.settings
        if not (state := settings.layout(LAYOUT)).isEmpty():
            self.splitter.restoreState(state)
        self.view.restore_header(settings.layout(COLUMNS))
        self.context.shelf.refresh()
        self._show_shelf()
        if self.area.currentWidget() is self.caches:
            self.caches.refresh()
            self.caches.table.setFocus()
        else:
            (self.view if self.context.shelf.loaded else self.add).setFocus()

    def show_area(self, area: str) -> None:
        """The models, or the answers that teachers gave."""
        self.areas.choose(area)
        caches = area == "caches"
        self.area.setCurrentWidget(self.caches if caches else self.pages)
        for widget in (self.search, self.refresh, self.hub, self.add):
            widget.setVisible(not caches)
        if caches:
            self.caches.refresh()

    def pick(self, path: Path) -> None:
        """Go to a model, taking away a filter that hides it."""
        if not self.view.pick(path):
            self.search.clear()
            if not self.view.pick(path):
                entry = self.context.shelf.entry(path)
                if entry is not None:
                    self.view.pick(entry.path)

    def _show_shelf(self) -> None:
        shelf = self.context.shelf
        self._say_notice(shelf.notice)
        if not shelf.loaded:
            self._show_state(self.tr("Looking for models…"))
            return
        if not shelf.entries:
            self._show_state(
                self.tr(
                    "No models yet.\nAdd a folder that holds a model (config.json with .safetensors files), or drop it here."
                )
            )
            self._rows = []
            self.view.set_rows([])
            return
        if self.pages.currentWidget() is not self.splitter:
            waited = self.add.hasFocus()
            self.pages.setCurrentWidget(self.splitter)
            if waited:
                self.view.setFocus()
        self._show_rows()
        if self._wanted is not None and shelf.entry(self._wanted) is not None:
            self.pick(self._wanted)
            self._wanted = None
        elif self.view.path() is None and self.view.filter.rowCount():
            self.view.setCurrentIndex(self.view.filter.index(0, 0))

    def _show_rows(self) -> None:
        rows = self.context.live.rows
        made = {row.model: row for row in rows if row.model}
        self._rows = rows_of(self.context.shelf.entries, self.context.shelf.sources, made)
        self.view.set_rows(self._rows)
        self._pick(self.view.path())

    def _show_state(self, words: str, *, wrong: bool = False) -> None:
        self.state.setText(words)
        theme.set_role(self.state, "error" if wrong else "muted")
        self.again.setVisible(wrong)
        self.pages.setCurrentIndex(0)

    def _show_trouble(self, trouble: Trouble) -> None:
        if not self.context.shelf.loaded:  # else the window says it, and what is known stays on screen
            self._show_state(str(trouble), wrong=True)

    def _say_notice(self, words: str) -> None:
        self.notice.setText(words)
        self.notice.setVisible(bool(words))

    def _filter(self, text: str) -> None:
        self.view.filter.look_for(text)
        self.view.pick_first()
        self._pick(self.view.path())

    def _row(self) -> Row | None:
        path = self.view.path()
        return next((row for row in self._rows if row.entry.path == path), None) if path is not None else None

    def _pick(self, path: Path | None) -> None:
        row = self._row()
        if row is None:
            self.facts = None
            nothing = bool(self._rows) and not self.view.filter.rowCount()
            no_match, hint = (
                self.tr("No model has all these words."),
                self.tr("Pick a model to see what it is made of."),
            )
            self.nothing_picked.setText(no_match if nothing else hint)
            self.side.setCurrentWidget(self.nothing_picked)
            return
        if self.facts is not None and self.facts.path != path:
            self.facts = None
        self.detail.show_row(row, self._rows)
        self.side.setCurrentWidget(self.detail)
        self._look_up(row)

    def _look_up(self, row: Row) -> None:
        home, entry, source = self.context.home, row.entry, row.source
        rows, entries = list(self.context.live.rows), list(self.context.shelf.entries)

        def found(facts: Facts) -> None:
            self.facts = facts
            self.detail.show_facts(facts)
            self.detail.look_at_commands()

        self._look.ask(
            lambda: look_up(home, entry, source, rows, entries),
            found,
            lambda trouble: self.detail.show_trouble(str(trouble)),
        )

    def _runs_changed(self, _rows: object) -> None:
        """A run began, ended or made a model: what is said of models may be another thing now."""
        rows = self.context.live.rows
        seen = tuple((row.id, row.name, row.state, row.model, row.bits_per_byte) for row in rows)
        if seen == self._runs_seen:
            return
        self._runs_seen = seen
        made = frozenset(row.model for row in rows if row.model)
        if made - self._made_seen and self.context.shelf.loaded and self.isVisible():
            self.context.shelf.refresh()
        self._made_seen = made
        if self.context.shelf.loaded and self._rows:
            self._show_rows()

    # --- adding -------------------------------------------------------------------------------------------------------

    def ask_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Add a folder of models"))
        if chosen:
            self.add_paths([Path(chosen)])

    def add_paths(self, paths: Sequence[Path]) -> None:
        """Remember the folders that hold models, and say of each other thing what it is."""
        home = self.context.home
        in_background(self, lambda: add_all(home, paths), self._added, self.context.trouble)

    def _added(self, outcome: Outcome) -> None:
        for trouble in outcome.troubles:
            self.context.trouble(trouble)
        for refused in outcome.refused:
            self.context.say(refusal_words(refused), "warning", stays=True)
        if outcome.models:
            self._wanted = outcome.models[0]
            count = len(outcome.models)
            one = self.tr("Added %s.") % outcome.added[0].path.name
            self.context.say(one if count == 1 else self.tr("Added %d models.") % count, "good")
            self.context.shelf.refresh()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if paths_of(event.mimeData()):
            event.acceptProposedAction()
            self._say_notice(self.tr("Drop a folder of models anywhere on this page to add it."))

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802
        self._say_notice(self.context.shelf.notice)

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        self._say_notice(self.context.shelf.notice)
        if paths := paths_of(event.mimeData()):
            event.acceptProposedAction()
            self.add_paths(paths)

    # --- what can be done ---------------------------------------------------------------------------------------------

    def commands(self) -> list[Command]:
        models, caches = self.tr("Show the models at hand"), self.tr("Show the cached answers")
        areas = [
            Command("models.area", models, lambda: self.show_area("models"), "models"),
            Command("caches.area", caches, lambda: self.show_area("caches"), "cache"),
        ]
        return [*self._commands, *areas, *self.caches.commands()]

    def _make_commands(self) -> list[Command]:
        return [
            Command("models.add", self.tr("Add a folder…"), self.ask_folder, "add", "Ctrl+O"),
            Command("models.filter", self.tr("Filter models"), lambda: self.search.setFocus(), "search", "Ctrl+F"),
            Command("models.refresh", self.tr("Look for models again"), self.context.shelf.refresh, "refresh", "F5"),
            Command("models.teacher", self.tr("Use as teacher"), self._teach, "distill", why_not=self._why_not_teach),
            Command("models.student", self.tr("Use as student"), self._learn, why_not=self._why_not_learn),
            Command(
                "models.tune",
                self.tr("Tune it"),
                self._tune,
                "tune",
                why_not=self._why_not_tune,
                words=self._tune_words,
            ),
            Command(
                "models.merge",
                self.tr("Merge into base…"),
                self._merge,
                "merge",
                why_not=self._why_not_merge,
                words=lambda: self.tr("Merge…"),
            ),
            Command("models.chat", self.tr("Chat with it"), self._chat, "chat", why_not=self._why_not_chat),
            Command("models.evaluate", self.tr("Evaluate…"), self._evaluate, "measure", why_not=self._why_not_measure),
            Command("models.compare", self.tr("Compare"), self._compare, "compare", why_not=self._why_not_measure),
            Command("models.export", self.tr("Export…"), self._export, "export", why_not=self._why_not_export),
            Command(
                "models.rounding", self.tr("What int8 does…"), self._show_rounding, "help", why_not=self._why_not_export
            ),
            Command("models.hub", self.tr("Get models from the Hub…"), lambda: self.context.open("hub"), "hub"),
            Command("models.open", self.tr("Open folder"), self._open_folder, "folder_open", why_not=self._why_nothing),
            Command("models.copy", self.tr("Copy path"), self._copy_path, "copy", why_not=self._why_nothing),
            Command("models.forget", self.tr("Forget"), self._forget, "remove", why_not=self._why_not_forget),
            Command(
                "models.delete", self.tr("Delete from disk…"), self._delete, "discard", why_not=self._why_not_delete
            ),
        ]

    def _run(self, name: str) -> None:
        command = next(one for one in self._commands if one.name == name)
        why_not = command.why_not()
        if why_not:
            self.context.say(why_not, "warning")
        else:
            command.run()

    def _menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        for command in self._commands[3:]:
            if command.name == "models.hub":
                continue  # it is not about the picked model
            if command.name in ("models.tune", "models.chat", "models.open", "models.forget"):
                menu.addSeparator()
            menu.addAction(_action(menu, command))
        menu.popup(self.view.viewport().mapToGlobal(place))

    def _entry(self) -> ModelEntry | None:
        row = self._row()
        return row.entry if row else None

    def _why_nothing(self) -> str:
        return "" if self._entry() else self.tr("No model is picked.")

    def _why_not_teach(self) -> str:
        entry = self._entry()
        if entry is None:
            return self._why_nothing()
        if entry.info is None:
            return self.tr("It can't be used: %s") % (entry.broken or "")
        if entry.info.is_adapter:
            return self.tr("An adapter can't teach by itself: it works on top of its base model.")
        return ""

    def _why_not_learn(self) -> str:
        entry = self._entry()
        if entry is not None and entry.info is not None and entry.info.quantization:
            return self.tr("Quantized weights can't be trained.")
        if entry is not None and entry.info is not None and entry.info.is_adapter:
            return self.tr("An adapter can't be a student by itself.")
        return self._why_not_teach()

    def _why_not_forget(self) -> str:
        row = self._row()
        if row is None:
            return self._why_nothing()
        if row.source != "added":
            return self.tr("Only what you added can be forgotten.")
        return "" if self.facts is not None and self.facts.added_folder else self._still_looking()

    def _still_looking(self) -> str:
        return self.tr("Its folder is still being looked up.")

    def _why_not_delete(self) -> str:
        if self._row() is None:
            return self._why_nothing()
        if self.facts is None:
            return self._still_looking()
        if self.facts.unread:
            return self.tr("The folder can't be read: %s.") % self.facts.unread
        return self._words_of(self.facts.refusal) if self.facts.refusal else ""

    def _words_of(self, refusal: Refusal) -> str:
        return {
            "sample": self.tr("The sample belongs to the program and stays."),
            "hub": self.tr("It lies in the Hub cache, which other programs share: delete it there (hf cache rm)."),
            "unknown": self.tr("It isn't known where it comes from, so it is left alone."),
            "link": self.tr("It is a link to another place: delete it in a file manager."),
            "outside": self.tr("It lies outside the folders that you added or that runs made."),
            "used": self.tr("The run %s is using it.") % refusal.what,
            "more": self.tr("Its folder holds more than a model (%s): delete it in a file manager.") % refusal.what,
        }[refusal.reason]

    def _teach(self) -> None:
        if entry := self._entry():
            self.context.open("plan", teacher=entry.path)

    def _learn(self) -> None:
        if entry := self._entry():
            self.context.open("plan", student=entry.path)

    def _tune(self) -> None:
        if entry := self._entry():
            self.context.open("tune", model=entry.path)

    def _tune_words(self) -> str:
        entry = self._entry()
        adapter = entry is not None and entry.info is not None and entry.info.is_adapter
        return self.tr("Tune on from here") if adapter else self.tr("Tune it")

    def _why_not_tune(self) -> str:
        entry = self._entry()
        if entry is None or entry.info is None:
            return self._why_not_chat()
        if entry.info.quantization:
            return self.tr("Quantized weights can't be trained.")
        return self.facts.base_trouble if self.facts is not None else ""

    def _merge(self) -> None:
        from desktop_app.models.merging import ask_to_merge

        if entry := self._entry():
            ask_to_merge(self.context, entry.path, self)

    def _why_not_merge(self) -> str:
        entry = self._entry()
        if entry is None or entry.info is None:
            return self._why_not_chat()
        if not entry.info.is_adapter:
            return self.tr("Only an adapter can be merged into its base.")
        return self.facts.base_trouble if self.facts is not None else self._still_looking()

    def _chat(self) -> None:
        if entry := self._entry():
            self.context.open("chat", model=entry.path)

    def _why_not_chat(self) -> str:
        entry = self._entry()
        if entry is not None and entry.info is None:
            return self.tr("It can't be used: %s") % (entry.broken or "")
        return self._why_nothing()

    def _evaluate(self) -> None:
        if entry := self._entry():
            self.context.open("compare", evaluate=[str(entry.path)])

    def _compare(self) -> None:
        if entry := self._entry():
            self.context.open("compare", models=[str(entry.path)])

    def _why_not_measure(self) -> str:
        entry = self._entry()
        if entry is not None and entry.info is not None and entry.info.is_adapter and self.facts is not None:
            return self.facts.base_trouble
        return self._why_not_chat()

    def _export(self) -> None:
        from desktop_app.export.dialog import ask_to_export

        if entry := self._entry():
            ask_to_export(self.context, entry.path, self)

    def _show_rounding(self) -> None:
        from desktop_app.export.rounding import show_rounding

        if entry := self._entry():
            show_rounding(self.context, entry.path, self)

    def _why_not_export(self) -> str:
        entry = self._entry()
        if entry is not None and entry.info is not None and entry.info.is_adapter:
            return self.tr("An adapter is merged into its base first.")
        if entry is not None and entry.info is not None and entry.info.quantization:
            return self.tr("It is quantized already: export the model that it was made from.")
        return self._why_not_chat()

    def _open_folder(self) -> None:
        entry = self._entry()
        if entry and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(entry.path))):
            self.context.say(self.tr("No file manager opened %s.") % entry.path, "warning")

    def _forget(self) -> None:
        if self.facts is not None and self.facts.added_folder is not None:
            folder = self.facts.added_folder
            inside = sum(row.entry.path.is_relative_to(folder) for row in self._rows)
            self.removal.forget(folder, inside)

    def _delete(self) -> None:
        if (entry := self._entry()) is not None and self.facts is not None and self.facts.refusal is None:
            self.removal.ask(entry.name, self.facts, partial(self._facts_now, entry))

    def _facts_now(self, entry: ModelEntry) -> Facts:
        """Looked up again just before it is deleted; called off the window's thread."""
        shelf = self.context.shelf
        source = shelf.sources.get(entry.path, "")
        return look_up(self.context.home, entry, source, list(self.context.live.rows), list(shelf.entries))

    def _copy_path(self) -> None:
        if entry := self._entry():
            QGuiApplication.clipboard().setText(str(entry.path))
            self.context.say(self.tr("Copied the path."), "info")


def _action(menu: QMenu, command: Command) -> QAction:
    action = QAction(command.text, menu)
    if command.icon:
        action.setIcon(icon(command.icon, "muted"))
    if command.shortcut:
        action.setShortcut(QKeySequence(command.shortcut))
    why_not = command.why_not()
    action.setEnabled(not why_not)
    action.setToolTip(why_not or command.text)
    action.triggered.connect(command.run)
    return action


def _centred(text: str) -> QLabel:
    label = QLabel(text)
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setWordWrap(True)
    theme.set_role(label, "muted")
    return label
