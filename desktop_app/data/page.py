"""The Data page: files at the leading side, the picked one beside it: what it is, its rows as a model will see them, its statistics."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QPoint, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QAction,
    QDesktopServices,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QKeySequence,
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
)

from core.data.inspection import Inspection, inspect_data
from core.data.shelf import DataSet
from core.errors import Trouble
from desktop_app import theme
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.data.detail import Detail
from desktop_app.data.fetching import FetchDialog
from desktop_app.data.preparing import PrepareDialog
from desktop_app.data.reading import Glimpse, Reading, View, glimpse
from desktop_app.data.sets import Added, DataSets
from desktop_app.data.table import DataView
from desktop_app.forms.field import button
from desktop_app.forms.parts import paths_of
from desktop_app.icons import icon
from desktop_app.page import Page
from desktop_app.runs.empty import Empty
from desktop_app.work import Latest

LAYOUT, VIEW, READINGS = "data/splitter", "data/view", "data/readings"
MAKERS = ("prepare", "fetch", "write")  # kinds of run that leave data behind
PAUSE_MS = 120  # while somebody walks through the table


class DataPage(Page):
    """`opened(data=path)` picks a data set, `opened(dropped=paths)` adds what was dropped elsewhere."""

    name = "data"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.setAcceptDrops(True)
        self.sets = DataSets(context.home, self)
        self._wanted: list[Path] = []  # picked as soon as they are at hand
        self._look, self._count = Latest(self), Latest(self)
        self._readings = self._remembered_readings()
        self._counted: dict[Path, tuple[Reading, Inspection | None]] = {}  # with the columns as they were named
        self._made_seen: frozenset[str] | None = None
        self.glimpse: Glimpse | None = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._commands = {command.name: command for command in self._make_commands()}
        self._make_parts()
        self._lay_out()
        self._connect()
        self.make_shortcuts()
        self._take_models()
        self._set_view(self._remembered_view())
        self._show_sets()

    # --- how it looks -------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.add = button(self.tr("Open files…"), "add")
        self.add_folder = button(self.tr("Open a folder…"), "folder")
        self.fetch = button(self.tr("From the Hub…"), "hub")
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Filter by name, format…"))
        self.search.setAccessibleName(self.tr("Filter data sets"))
        self.search.setClearButtonEnabled(True)
        self.view = DataView()
        named = [self._commands[f"data.{name}"] for name in ("tune", "distill", "prepare")]
        others = [self._commands[f"data.{name}"] for name in ("reveal", "copy", "forget")]
        self.detail = Detail(self.context, named, others)
        self.nothing_picked = QLabel()
        self.nothing_picked.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing_picked.setWordWrap(True)
        theme.set_role(self.nothing_picked, "muted")
        self.notice = QLabel()
        self.notice.setWordWrap(True)
        self.side, self.pages, self.empty = QStackedWidget(), QStackedWidget(), Empty()
        self.splitter = QSplitter(Qt.Orientation.Horizontal)

    def _lay_out(self) -> None:
        title = QLabel(self.tr("Data"))
        theme.set_role(title, "head")
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        head.addWidget(title)
        head.addStretch(1)
        self.search.setMaximumWidth(280)
        head.addWidget(self.search, 2)
        for one in (self.fetch, self.add_folder, self.add):
            head.addWidget(one)
        theme.set_role(self.notice, "muted")
        self.notice.hide()
        self.side.addWidget(self.nothing_picked)
        self.side.addWidget(self.detail)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(2 * theme.SPACE)
        self.splitter.addWidget(self.view)
        self.splitter.addWidget(self.side)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setStretchFactor(1, 2)
        self.splitter.setSizes([400, 740])
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.splitter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.notice)
        layout.addWidget(self.pages, 1)

    def _connect(self) -> None:
        context, detail = self.context, self.detail
        self.add.clicked.connect(self.ask_files)
        self.add_folder.clicked.connect(self.ask_folder)
        self.fetch.clicked.connect(self.ask_hub)
        self.empty.acted.connect(self._act)
        self.search.textChanged.connect(self._filter)
        self.view.picked.connect(lambda _: self._pause.start())
        self.view.chosen.connect(self._show_uses)
        self.view.customContextMenuRequested.connect(self._menu)
        self._pause.timeout.connect(self._pick)
        self.sets.changed.connect(self._show_sets)
        self.sets.added.connect(self._added)
        self.sets.troubled.connect(self._show_trouble)
        detail.preview.view_changed.connect(self._take_view)
        detail.preview.reading_changed.connect(self._take_reading)
        detail.statistics.view_changed.connect(self._take_view)
        detail.statistics.skip_wanted.connect(self._skip_and_count)
        detail.skip_changed.connect(self._take_skip)
        detail.count_wanted.connect(self._count_all)
        context.shelf.changed.connect(self._take_models)
        context.live.listed.connect(lambda _: self._runs_changed())
        self.splitter.splitterMoved.connect(lambda *_: self._remember_layout())

    # --- coming and going ---------------------------------------------------------------------------------------------

    def opened(self, **what: Any) -> None:
        if not (state := self.context.settings.layout(LAYOUT)).isEmpty():
            self.splitter.restoreState(state)
        if what.get("dropped"):
            self.add_paths([Path(path) for path in what["dropped"]])
        if isinstance(what.get("data"), (str, Path)):
            self._wanted = [Path(what["data"])]
        if not self.context.shelf.loaded:
            self.context.shelf.refresh()
        self.sets.refresh()
        (self.view if self.sets.entries else self).setFocus()
        self.detail.statistics.look()

    def left(self) -> None:
        self.detail.statistics.leave()

    def _remember_layout(self) -> None:
        if self.isVisible():
            self.context.settings.set_layout(LAYOUT, self.splitter.saveState())

    def _remembered_view(self) -> View:
        raw = bytes(self.context.settings.layout(VIEW).data()).decode("utf-8", "replace")
        model, _, template = raw.partition("\n")
        return View(Path(model) if model else None, template)

    def _remembered_readings(self) -> dict[str, str]:
        try:
            raw = json.loads(bytes(self.context.settings.layout(READINGS).data()) or b"{}")
        except ValueError:
            return {}
        return raw if isinstance(raw, dict) else {}

    def reading(self, path: Path) -> Reading:
        """How the user wants a data set read."""
        return Reading.of_text(self._readings.get(str(path), ""))

    # --- the table ----------------------------------------------------------------------------------------------------

    def _show_sets(self) -> None:
        for widget in (self.search, self.add, self.add_folder, self.fetch):
            widget.setVisible(bool(self.sets.entries))
        if not self.sets.loaded:
            self.empty.say("data", self.tr("Looking for your data…"), "", ())
            self.pages.setCurrentWidget(self.empty)
            return
        if not self.sets.entries:
            self._say_empty()
            return
        first = self.pages.currentWidget() is self.empty
        self.pages.setCurrentWidget(self.splitter)
        self.view.set_rows([self._as_read(entry) for entry in self.sets.entries])
        if first and self.isVisible():
            self.view.setFocus()
        here = [path for path in self._wanted if self.view.pick(path)]
        self._wanted = [path for path in self._wanted if path not in here]
        if self.view.path() is None and self.view.filter.rowCount():
            self.view.setCurrentIndex(self.view.filter.index(0, 0))
        self._show_entry()

    def _say_empty(self) -> None:
        self.view.set_rows([])
        self.empty.say(
            "data",
            self.tr("No data yet"),
            self.tr(
                "Drop files or folders here: JSON, JSON lines, CSV, Parquet, Arrow, text, Markdown, zipped or not. Conversations, "
                "instructions, preference pairs and plain text are recognised. Files stay where they are."
            ),
            (
                ("files", self.tr("Open files…")),
                ("folder", self.tr("Open a folder…")),
                ("hub", self.tr("From the Hub…")),
            ),
        )
        self.pages.setCurrentWidget(self.empty)

    def _act(self, name: str) -> None:
        {"files": self.ask_files, "folder": self.ask_folder, "hub": self.ask_hub, "again": self.sets.refresh}[name]()

    def _show_trouble(self, trouble: Trouble) -> None:
        if self.sets.loaded:
            self.context.trouble(trouble)
            return
        self.empty.say("error", self.tr("Your data can't be listed"), str(trouble), (("again", self.tr("Try again")),))
        self.pages.setCurrentWidget(self.empty)

    def _filter(self, text: str) -> None:
        self.view.filter.look_for(text)
        self.view.pick_first()
        self._pause.start()

    def _runs_changed(self) -> None:
        """A run that made data has finished: they are at hand now."""
        rows = self.context.live.rows
        made = frozenset(row.id for row in rows if row.kind in MAKERS and row.state == "finished")
        if self._made_seen is not None and made - self._made_seen and self.sets.loaded:
            self.sets.refresh()
        self._made_seen = made

    # --- the picked one -----------------------------------------------------------------------------------------------

    def entry(self) -> DataSet | None:
        """The picked data set."""
        path = self.view.path()
        return self.sets.entry(path) if path is not None else None

    def chosen(self) -> list[DataSet]:
        """All that are selected."""
        return [entry for path in self.view.paths() if (entry := self.sets.entry(path)) is not None]

    def _show_entry(self) -> None:
        """The table says something new of the picked one; or another is picked."""
        entry = self.entry()
        if entry is None or self.detail.entry() is None or entry.path != self.detail.entry().path:  # type: ignore[union-attr]
            self._pick()
        else:
            self.detail.show_data(entry)

    def _pick(self) -> None:
        entry = self.entry()
        if entry is None:
            nothing = bool(self.sets.entries) and not self.view.filter.rowCount()
            said = (
                self.tr("No data set has all these words.") if nothing else self.tr("Pick a data set to see its rows.")
            )
            self.nothing_picked.setText(said)
            self.side.setCurrentWidget(self.nothing_picked)
            return
        other = self.detail.entry() is None or self.detail.entry().path != entry.path  # type: ignore[union-attr]
        self.detail.show_data(entry)
        self.side.setCurrentWidget(self.detail)
        if other:
            self.glimpse = None
            self._glance()
        self._show_uses()

    def _glance(self) -> None:
        """Look at the first rows of what is shown as they are read now, and count for a second."""
        entry = self.detail.entry()
        if entry is None:
            return
        path, reading, view = entry.path, self.reading(entry.path), self.detail.preview.view()
        self.detail.statistics.show_data(path, reading)
        self._look.ask(lambda: glimpse(path, reading, view), self._take_glimpse, self.context.trouble)
        self._count.ask(lambda: _inspect(path, reading), self._take_inspection, self.context.trouble)

    def _take_glimpse(self, seen: Glimpse) -> None:
        entry = self.detail.entry()
        if entry is not None and entry.path == seen.path:
            self.glimpse = seen
            self.detail.show_glimpse(seen)

    def _take_inspection(self, found: tuple[Path, Inspection | None]) -> None:
        entry = self.detail.entry()
        if entry is not None and entry.path == found[0]:
            self._counted[entry.path] = (self.reading(entry.path), found[1])
            self.detail.show_inspection(found[1])
            self.view.set_rows([self._as_read(each) for each in self.sets.entries])
            self._show_uses()

    def _as_read(self, entry: DataSet) -> DataSet:
        """As the table shows it: with what was counted with the columns that somebody named."""
        reading, counted = self._counted.get(entry.path, (Reading(), None))
        if counted is not None and reading.mapping and reading == self.reading(entry.path):
            problems = tuple(f"{one.text} ({one.count:,})" for one in counted.problems)
            known = counted.recognised
            entry = replace(entry, format=known.format, kind=known.kind, exact=counted.exact, problems=problems)
            return replace(entry, documents=counted.documents)
        return replace(entry, documents=None, problems=()) if entry.format == "table" else entry

    # --- how it is read -----------------------------------------------------------------------------------------------

    def _take_models(self) -> None:
        for pane in (self.detail.preview, self.detail.statistics):
            pane.set_models(self.context.shelf.entries)

    def _set_view(self, view: View) -> None:
        self.detail.preview.set_view(view)
        self.detail.statistics.set_view(view)

    def _take_view(self, view: View) -> None:
        self._set_view(view)
        said = f"{view.model or ''}\n{view.template}"
        self.context.settings.set_layout(VIEW, QByteArray(said.encode()))
        self._glance()

    def _take_reading(self, reading: Reading) -> None:
        """Remember how it is read, and look again."""
        entry = self.detail.entry()
        if entry is None:
            return
        self._readings.pop(str(entry.path), None)
        if reading.by_hand:
            self._readings[str(entry.path)] = reading.to_text()
        self.context.settings.set_layout(READINGS, QByteArray(json.dumps(self._readings).encode()))
        self._glance()

    def _take_skip(self, skip: bool) -> None:
        if (entry := self.detail.entry()) is not None:
            now = self.reading(entry.path)
            self._take_reading(Reading(now.mapping, now.separator, skip))

    def _skip_and_count(self) -> None:
        self._take_skip(True)
        self.detail.statistics.begin()

    def _count_all(self) -> None:
        if (entry := self.detail.entry()) is not None:
            self.sets.count(entry.path)
            self.context.say(self.tr("Counting the rows of %s to its end…") % entry.name)

    # --- adding -------------------------------------------------------------------------------------------------------

    def ask_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, self.tr("Open data"))
        if names:
            self.add_paths([Path(name) for name in names])

    def ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, self.tr("Open a folder of data"))
        if name:
            self.add_paths([Path(name)])

    def ask_hub(self) -> None:
        dialog = FetchDialog(self.context, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.started.connect(self._fetching)
        dialog.open()

    def _fetching(self, run: str, name: str) -> None:
        self.context.live.look()
        said = self.tr("%s is being fetched; it is listed here when it has come.") % name
        self.context.say(said, action_text=self.tr("Show the run"), action=lambda: self.context.open("runs", run=run))

    def add_paths(self, paths: Sequence[Path]) -> None:
        """Remember files and folders of data; what can't be read is listed with the reason."""
        self.sets.add(paths)

    def _added(self, outcome: Added) -> None:
        entries = [*outcome.good, *outcome.refused]
        self.search.clear()
        if entries:
            self.view.pick((outcome.good or outcome.refused)[0].path)
        if len(outcome.good) == 1 and not outcome.refused:
            self.context.say(self.tr("Added %s.") % outcome.good[0].name, "good")
        elif outcome.good:
            self.context.say(self.tr("Added %d data sets.") % len(outcome.good), "good")
        for refused in outcome.refused[:3]:
            self.context.say(refused.broken or "", "warning", stays=True)
        for folder in outcome.models[:1]:
            said = self.tr("%s holds models, not data.") % folder.name
            add = partial(self.context.open, "models", dropped=outcome.models)
            self.context.say(said, "warning", action_text=self.tr("Add to Models"), action=add)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if paths_of(event.mimeData()):
            event.acceptProposedAction()
            self.notice.setText(self.tr("Drop files or folders of data anywhere on this page."))
            self.notice.show()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802
        self.notice.hide()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        self.notice.hide()
        if paths := paths_of(event.mimeData()):
            event.acceptProposedAction()
            self.add_paths(paths)

    # --- what can be done ---------------------------------------------------------------------------------------------

    def commands(self) -> list[Command]:
        return list(self._commands.values())

    def _make_commands(self) -> list[Command]:
        def show(area: str) -> Callable[[], None]:
            return lambda: self.detail.show_area(area)

        why = self._why_nothing
        return [
            Command("data.add", self.tr("Open files…"), self.ask_files, "add", "Ctrl+O"),
            Command("data.folder", self.tr("Open a folder of data…"), self.ask_folder, "folder"),
            Command("data.hub", self.tr("Fetch a data set from the Hub…"), self.ask_hub, "hub"),
            Command("data.filter", self.tr("Filter data sets"), lambda: self.search.setFocus(), "search", "Ctrl+F"),
            Command("data.refresh", self.tr("Look at the data again"), self._refresh, "refresh", "F5"),
            Command("data.tune", self.tr("Tune on this…"), self._tune, "tune", "Ctrl+Return", self._why_not_tune),
            Command(
                "data.distill", self.tr("Distill with this…"), self._distill, "distill", why_not=self._why_not_distill
            ),
            Command("data.prepare", self.tr("Prepare…"), self._prepare, "prepare", why_not=self._why_broken),
            Command("data.rows", self.tr("Show rows as a model sees them"), show("rows"), "data", why_not=why),
            Command("data.statistics", self.tr("Show statistics"), show("statistics"), "measure", why_not=why),
            Command("data.reveal", self.tr("Open its folder"), self._reveal, "folder_open", why_not=why),
            Command("data.copy", self.tr("Copy path"), self._copy, "copy", why_not=why),
            Command("data.forget", self.tr("Forget"), self._forget, "remove", why_not=self._why_not_forget),
        ]

    def _show_uses(self) -> None:
        """The words of the buttons follow how many are selected."""
        count = len(self.chosen())
        texts = (self.tr("Tune on this…"), self.tr("Distill with this…"), self.tr("Prepare…"))
        if count > 1:
            many = (self.tr("Tune on these %d…"), self.tr("Distill with these %d…"), self.tr("Prepare these %d…"))
            texts = tuple(text % count for text in many)  # type: ignore[assignment]
        for one, text in zip(self.detail.buttons, texts, strict=False):
            one.setText(text)
        self.detail.look_at_commands()

    def _menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        for name in ("tune", "distill", "prepare", "", "reveal", "copy", "", "forget"):
            if not name:
                menu.addSeparator()
                continue
            command = self._commands[f"data.{name}"]
            action = QAction(icon(command.icon, "muted"), command.text, menu)
            action.setShortcut(QKeySequence(command.shortcut))
            why_not = command.why_not()
            action.setEnabled(not why_not)
            action.setToolTip(why_not or command.text)
            action.triggered.connect(command.run)
            menu.addAction(action)
        menu.popup(self.view.viewport().mapToGlobal(place))

    def _refresh(self) -> None:
        self.sets.refresh()
        self._glance()

    def _why_nothing(self) -> str:
        return "" if self.chosen() else self.tr("No data set is picked.")

    def _why_broken(self) -> str:
        """Broken data, and columns that nobody knows, serve nothing."""
        chosen = self.chosen()
        if not chosen:
            return self._why_nothing()
        for entry in chosen:
            if entry.broken:
                return self.tr("%s can't be read: %s") % (entry.name, entry.broken)
            if self._format(entry) == "table":
                return self.tr("Say first which column of %s is which.") % entry.name
        return ""

    def _format(self, entry: DataSet) -> str:
        """As it is read now, where somebody named its columns."""
        seen = self.glimpse
        if seen is not None and seen.path == entry.path and seen.recognised is not None:
            return seen.recognised.format
        return "" if self.reading(entry.path).mapping else entry.format or ""

    def _kind(self, entry: DataSet) -> str:
        seen = self.glimpse
        if seen is not None and seen.path == entry.path and seen.recognised is not None:
            return seen.recognised.kind
        return entry.kind or ""

    def _why_not_tune(self) -> str:
        if why_not := self._why_broken():
            return why_not
        if all(self._kind(entry) == "questions" for entry in self.chosen()):
            return self.tr("There are no answers in it to learn. Let a model answer the questions first.")
        return ""

    def _why_not_distill(self) -> str:
        if why_not := self._why_broken():
            return why_not
        by_hand = next((entry for entry in self.chosen() if self.reading(entry.path).mapping), None)
        if by_hand is not None:
            said = self.tr(
                "Distillation reads columns as they are recognised. Prepare %s first: that writes them as you named them."
            )
            return said % by_hand.name
        return ""

    def _why_not_forget(self) -> str:
        if self._why_nothing():
            return self._why_nothing()
        made = next((entry for entry in self.chosen() if entry.source == "run"), None)
        return self.tr("%s belongs to the run that made it: delete the run.") % made.name if made else ""

    def _tune(self) -> None:
        chosen = self.chosen()
        wish: dict[str, Any] = {"data": [str(entry.path) for entry in chosen]}
        readings = {self.reading(entry.path).to_text(): self.reading(entry.path) for entry in chosen}
        if len(readings) == 1 and (reading := next(iter(readings.values()))).by_hand:
            wish |= {"mapping": dict(reading.mapping) or None, "separator": reading.separator or None}
            wish["skip_broken"] = reading.skip_broken
        self.context.open("tune", **wish)

    def _distill(self) -> None:
        self.context.open("plan", data=[str(entry.path) for entry in self.chosen()])

    def _prepare(self) -> None:
        chosen = self.chosen()
        readings = [self.reading(entry.path) for entry in chosen]
        dialog = PrepareDialog(self.context, chosen, readings, self.detail.preview.view().model, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.started.connect(self._preparing)
        dialog.open()

    def _preparing(self, run: str, name: str) -> None:
        self.context.live.look()
        said = self.tr("%s is being prepared; it is listed here when it is done.") % name
        self.context.say(said, action_text=self.tr("Show the run"), action=lambda: self.context.open("runs", run=run))

    def _reveal(self) -> None:
        entry = self.entry()
        folder = entry.path if entry and entry.path.is_dir() else entry.path.parent if entry else None
        if folder is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self.context.say(self.tr("No file manager opened %s.") % folder, "warning")

    def _copy(self) -> None:
        paths = [str(entry.path) for entry in self.chosen()]
        QGuiApplication.clipboard().setText("\n".join(paths))
        self.context.say(self.tr("Copied the path.") if len(paths) == 1 else self.tr("Copied the paths."))

    def _forget(self) -> None:
        for entry in self.chosen():
            self._forget_one(entry)

    def _forget_one(self, entry: DataSet) -> None:
        def done() -> None:
            said = self.tr("Forgot %s; the file stays.") % entry.name
            self.context.say(said, action_text=self.tr("Undo"), action=lambda: self.add_paths([entry.path]))

        self.sets.forget(entry.path, done)


def _inspect(path: Path, reading: Reading) -> tuple[Path, Inspection | None]:
    """A count of about a second; nothing where the data can't be read, which the rows say themselves."""
    try:
        return path, inspect_data([str(path)], reading.mapping or None, reading.separator or None, quick=True)
    except Trouble:
        return path, None
