"""The Runs page: the table of all runs on top, the picked one below, its curves beside its facts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QAction, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
)

from core import trash
from core.recipe import Recipe
from core.run_summary import RunSummary
from core.runs import RunFolder
from core.state import State
from core.trash import Thrown
from desktop_app import theme
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.forms.field import ICON_ROOM, button
from desktop_app.icons import icon
from desktop_app.live import Picture
from desktop_app.page import Page
from desktop_app.runs.actions import Action, RunActions
from desktop_app.runs.detail import RunDetail
from desktop_app.runs.dialogs import TagsDialog, TrashDialog
from desktop_app.runs.empty import Empty
from desktop_app.runs.launching import LaunchDialog
from desktop_app.runs.pilots import pilot_mates
from desktop_app.runs.table import Column, RunsModel, RunsOrder
from desktop_app.runs.table_view import RunsTable
from desktop_app.work import in_background

AGES_MS = 10_000
REMEMBER_MS = 500
IN_SIGHT = ("stop", "resume", "again", "edit")  # actions with a button of their own
FIRST_TO_GO = ("again", "edit")  # to the menu alone, where the page is narrow
NARROW = 1000  # px
IN_MENU = (
    "stop", "resume", "launch", "", "again", "edit", "chat", "compare",
    "evaluate", "export", "", "rename", "tags", "up", "down", "", "folder", "copy", "", "discard", "delete",
)  # fmt: skip


class RunsPage(Page):
    """`opened(run=id)` picks a run, `opened(runs=[ids])` ticks several."""

    name: ClassVar[str] = "runs"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.model = RunsModel(self)
        self.order = RunsOrder(self.model)
        self.table = RunsTable(self.model, self.order)
        self.run_actions = RunActions(context, self)
        self.empty, self.nothing = Empty(), Empty()
        self.filter = QLineEdit()
        self.count = QLabel()
        self.remove = QPushButton()
        self.more = QToolButton()
        self.buttons: dict[str, QPushButton] = {}
        self.stack, self.table_area = QStackedWidget(), QStackedWidget()
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self._on_screen = False
        self._wanted = ""  # a run to pick as soon as it is in the list
        self._wanted_ticks: list[str] = []
        self._picked = ""
        self._trouble = ""
        self._ages, self._remembering = QTimer(self), QTimer(self)
        self._ages.setInterval(AGES_MS)
        self._remembering.setInterval(REMEMBER_MS)
        self._remembering.setSingleShot(True)
        self._more_actions = self._make_more_actions()
        self._compose()
        self._restore()
        self._connect()
        self._show_rows(context.live.rows)
        in_background(self, lambda: trash.empty(context.home, trash.KEPT_S), lambda _: None, context.trouble)

    # --- how it is put together

    def _compose(self) -> None:
        # from the outside inwards: a widget that changes its parent has its whole inside dressed anew
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 3 * theme.SPACE, theme.SPACE)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(self._tool_row())
        layout.addWidget(self.stack, 1)
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.splitter)
        self.splitter.addWidget(self.table_area)
        self.table_area.addWidget(self.table)
        self.table_area.addWidget(self.nothing)
        self.detail = RunDetail(self.context, self.splitter)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setStretchFactor(0, 2)
        self.splitter.setStretchFactor(1, 3)
        self.splitter.setSizes([232, 440])
        self.table_area.setMinimumHeight(108)

    def _tool_row(self) -> QHBoxLayout:
        title = QLabel(self.tr("Runs"))
        theme.set_role(title, "head")
        self.filter.setPlaceholderText(self.tr("Filter by words, state:failed, tag:…"))
        self.filter.setAccessibleName(self.tr("Filter the runs"))
        self.filter.setToolTip(
            self.tr("Ctrl+F. Words of name, state, teacher or tags; state:failed, tag:night, device:cpu")
        )
        self.filter.setClearButtonEnabled(True)
        self.filter.addAction(icon("search", "muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.filter.setMinimumWidth(140)
        self.filter.setMaximumWidth(320)
        theme.set_role(self.count, "small")
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(title)
        row.addSpacing(theme.SPACE)
        row.addWidget(self.filter, 2)
        row.addWidget(self.count)
        row.addStretch(1)
        for name in IN_SIGHT:
            action = self.run_actions.table[name]
            self.buttons[name] = button(action.text, action.icon)
            self.buttons[name].clicked.connect(lambda _=False, name=name: self.perform(name))
            row.addWidget(self.buttons[name])
        self.remove.setIconSize(ICON_ROOM)
        self.remove.setIcon(icon("discard"))
        row.addWidget(self.remove)
        self.more.setIcon(icon("more"))
        self.more.setAccessibleName(self.tr("More actions"))
        self.more.setToolTip(self.tr("More actions"))
        row.addWidget(self.more)
        return row

    def _connect(self) -> None:
        live = self.context.live
        live.listed.connect(self._show_rows)
        live.advanced.connect(self._advance)
        live.troubled.connect(self._show_trouble)
        self.filter.textChanged.connect(self._filter)
        self.table.picked.connect(self._pick)
        self.table.chosen_changed.connect(self._update_buttons)
        self.table.enter_pressed.connect(self.detail.focus)
        self.table.delete_pressed.connect(lambda: self.perform("delete"))
        self.table.menu_wanted.connect(self._open_menu)
        self.table.moved.connect(self.run_actions.reorder)
        self.model.ticks_changed.connect(self._tick)
        self.model.renamed.connect(self.run_actions.rename)
        self.model.retagged.connect(self.run_actions.retag)
        self.run_actions.made.connect(self._want)
        self.run_actions.refused.connect(lambda: self._show_rows(self.context.live.rows))
        self.run_actions.rename_wanted.connect(lambda run: self._edit(run, Column.NAME))
        self.run_actions.tags_wanted.connect(self._ask_tags)
        self.run_actions.launch_wanted.connect(self._open_launch)
        self.detail.action_wanted.connect(self._perform_on_picked)
        self.detail.untick_wanted.connect(lambda: self.model.set_ticked([]))
        self.detail.run_wanted.connect(self._want)
        self.detail.drawn_changed.connect(self._watch)
        self.detail.folder_wanted.connect(
            lambda path: self.run_actions.show_folder(path if path.is_dir() else path.parent)
        )
        self.remove.clicked.connect(lambda: self.perform(self._removing()))
        self.more.clicked.connect(lambda: self._open_menu(self.more.mapToGlobal(self.more.rect().bottomLeft())))
        self.empty.acted.connect(self._act_on_emptiness)
        self.nothing.acted.connect(lambda _: self.filter.clear())
        self._ages.timeout.connect(self.model.grow_older)
        self._remembering.timeout.connect(self._remember)
        for splitter in (self.splitter, self.detail.splitter):
            splitter.splitterMoved.connect(lambda *_: self._remembering.start())
        self.table.horizontalHeader().geometriesChanged.connect(self._remembering.start)
        self.table.horizontalHeader().sectionResized.connect(lambda *_: self._remembering.start())
        self.table.horizontalHeader().sortIndicatorChanged.connect(lambda *_: self._remembering.start())
        find = QShortcut(QKeySequence.StandardKey.Find, self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
        find.activated.connect(self.ask_filter)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._update_state()

    # --- what the window asks

    def opened(self, **what: Any) -> None:
        self._on_screen = True
        self._ages.start()
        self.model.grow_older()
        runs = [str(run) for run in what.get("runs") or ()]
        if runs:
            self._wanted_ticks = runs
        if what.get("run") or runs:
            self._want(str(what.get("run") or runs[0]))
        self._show_rows(self.context.live.rows)
        self._watch()
        if not self.filter.hasFocus():
            self.table.setFocus()

    def left(self) -> None:
        self._on_screen = False
        self._ages.stop()
        self._watch()

    def commands(self) -> list[Command]:
        found = [
            Command(
                f"runs.{action.name}",
                action.text,
                lambda name=action.name: self.perform(name),  # type: ignore[misc]
                action.icon,
                action.keys,
                lambda action=action: action.why_not(self.table.chosen()),  # type: ignore[misc]
            )
            for action in (*self.run_actions.table.values(), *self._more_actions.values())
        ]
        return [
            *found,
            Command("runs.find", self.tr("Filter the runs"), self.ask_filter, "search", "Ctrl+F"),
            Command("runs.queue_order", self.tr("Sort runs as they queue"), self._queue_order, "queued"),
            Command("runs.untick", self.tr("Untick all runs"), lambda: self.model.set_ticked([]), "", "", self._none_ticked),
            Command("runs.trash", self.tr("Open the trash…"), self._open_trash, "discard"),
        ]  # fmt: skip

    # --- the list

    def _show_rows(self, rows: list[RunSummary]) -> None:
        anchor = self.table.anchor()
        self.model.take(rows)
        self.table.restore_anchor(anchor)
        if self._wanted_ticks and any(self.model.row_of(run) for run in self._wanted_ticks):
            ticks, self._wanted_ticks = self._wanted_ticks, []
            self.model.set_ticked(ticks)
        if self._wanted and self.model.row_of(self._wanted) is not None:
            self._want(self._wanted)
        elif rows and not self.table.currentIndex().isValid():
            self._pick_something()
        self._show_detail(self.model.row_of(self.table.current()))  # nothing while the filter hides them all
        self._update_state()
        self._update_buttons()

    def _pick_something(self) -> None:
        if not (self._picked and self.table.pick(self._picked)):
            self.table.pick_first()

    def _want(self, run: str) -> None:
        """Pick this run, now or as soon as it is in the list; a filter that hides it goes."""
        self._wanted = run
        if self.model.row_of(run) is None:
            self.context.live.look()
            return
        if not self.table.pick(run):
            self.filter.clear()
            self.table.pick(run)
        self._wanted = ""

    def _pick(self, run: str) -> None:
        if run:
            self._picked = run
        self._show_detail(self.model.row_of(run) if run else None)
        self._watch()

    def _show_detail(self, row: RunSummary | None) -> None:
        self.detail.show_run(row, pilot_mates(row, self.model.rows()) if row is not None else ())

    def _tick(self) -> None:
        rows = [row for run in self.model.ticked if (row := self.model.row_of(run)) is not None]
        self.detail.set_ticked(rows)
        self._watch()

    def _watch(self) -> None:
        """Follow the journals of what is on screen."""
        current = self.table.current()
        runs = dict.fromkeys([*self.model.ticked, *self.detail.drawn(), *([current] if current else [])])
        self.context.live.watch(self, runs if self._on_screen else ())

    def _advance(self, run: str, picture: Picture) -> None:
        if self._on_screen:
            self.detail.advance(run, picture)

    def _filter(self, text: str) -> None:
        self.order.set_filter(text)
        self._update_state()
        if not self.table.currentIndex().isValid() or not self.table.chosen():
            self._pick_something()
        QTimer.singleShot(0, self, lambda: self.table.scrollTo(self.table.currentIndex()))  # once it is laid out
        self._update_buttons()

    def _queue_order(self) -> None:
        self.table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)

    def ask_filter(self) -> None:
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter.selectAll()

    # --- empty, loading, full, error

    def _show_trouble(self, text: str) -> None:
        self._trouble = text
        self._update_state()

    def _update_state(self) -> None:
        total, shown = self.model.rowCount(), self.order.rowCount()
        if total:
            came = self.stack.currentWidget() is not self.splitter
            self.stack.setCurrentWidget(self.splitter)
            if came and self._on_screen and QApplication.focusWidget() is None:
                self.table.setFocus()
        else:
            self._show_emptiness()
            self.stack.setCurrentWidget(self.empty)
        for widget in (self.filter, self.count, *self.buttons.values(), self.remove, self.more):
            widget.setVisible(bool(total))
        for name in FIRST_TO_GO:
            self.buttons[name].setVisible(bool(total) and self.width() >= NARROW)
        filtered = bool(self.order.filter_text())
        self.count.setText(self.tr("%d of %d") % (shown, total) if filtered else "")
        self.table_area.setCurrentWidget(self.table if shown or not total else self.nothing)
        if not shown:
            self.nothing.say(
                "search", self.tr("No run has “%s”.") % self.filter.text(), "", [("clear", self.tr("Clear the filter"))]
            )

    def _show_emptiness(self) -> None:
        if self._trouble:
            self.empty.say(
                "error", self.tr("The runs can't be read."), self._trouble, [("look", self.tr("Look again"))]
            )
        elif not self.context.live.loaded:
            self.empty.say("runs", self.tr("Looking for runs…"), "", [])
        else:
            self.empty.say(
                "runs",
                self.tr("No runs yet."),
                self.tr("A run distills a student from a teacher. Its curves, samples and results appear here."),
                [("sample", self.tr("Distill the sample")), ("plan", self.tr("Plan a student"))],
            )

    def _act_on_emptiness(self, name: str) -> None:
        if name == "look":
            self.context.live.look()
        elif name == "sample":
            self.context.sample_wanted.emit()
        else:
            self.context.open("plan")

    # --- actions

    def _make_more_actions(self) -> dict[str, Action]:
        """Those that need the table itself."""
        return {
            "up": Action(
                "up", self.tr("Move up in the queue"), "up", lambda _: self.table.move_by(-1), self._why_not_move, "Alt+Up"
            ),
            "down": Action(
                "down", self.tr("Move down in the queue"), "down", lambda _: self.table.move_by(1), self._why_not_move, "Alt+Down"
            ),
        }  # fmt: skip

    def _why_not_move(self, rows: Any) -> str:
        if not rows:
            return self.tr("Pick a run first.")
        current = self.model.row_of(self.table.current())
        return "" if current and current.state == State.QUEUED else self.tr("It does not wait in the queue.")

    def _none_ticked(self) -> str:
        return "" if self.model.ticked else self.tr("No run is ticked.")

    def _action(self, name: str) -> Action:
        return self.run_actions.table.get(name) or self._more_actions[name]

    def perform(self, name: str) -> None:
        """Do one of the actions to the chosen runs, or say why not."""
        rows, action = self.table.chosen(), self._action(name)
        if why := action.why_not(rows):
            self.context.say(why, "warning")
        else:
            action.perform(rows)

    def _perform_on_picked(self, name: str) -> None:
        row = self.detail.row
        if row is None:
            return
        if name == "student":
            if (student := self.detail.student()) is not None:
                self.run_actions.show_folder(student)
        elif name == "written":
            if (file := self.detail.written_file()) is not None:
                self.run_actions.show_folder(file.parent)
        elif why := self._action(name).why_not([row]):
            self.context.say(why, "warning")
        else:
            self._action(name).perform([row])

    def _removing(self) -> str:
        """Living runs are discarded, others deleted."""
        return "discard" if any(State(row.state).alive for row in self.table.chosen()) else "delete"

    def _update_buttons(self) -> None:
        rows = self.table.chosen()
        for name, one in self.buttons.items():
            _allow(one, self._action(name).why_not(rows), self._action(name).text)
        removing = self._action(self._removing())
        self.remove.setText(removing.text)
        _allow(self.remove, removing.why_not(rows), removing.text)

    def _open_menu(self, at: QPoint) -> None:
        menu = self.menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(at)

    def menu(self) -> QMenu:
        """The actions on the chosen runs, for the context menu."""
        rows, menu = self.table.chosen(), QMenu(self)
        menu.setToolTipsVisible(True)
        for name in IN_MENU:
            if not name:
                menu.addSeparator()
                continue
            action = self._action(name)
            why_not = action.why_not(rows)
            if why_not and name in ("up", "down"):
                continue
            keys = f"\t{action.keys}" if action.keys else ""
            self._entry(menu, action.icon, action.text + keys, lambda name=name: self.perform(name), why_not)  # type: ignore[misc]
        menu.addSeparator()
        self._entry(menu, "discard", self.tr("Open the trash…"), self._open_trash, "")
        return menu

    def _entry(self, menu: QMenu, sign: str, text: str, run: Callable[[], None], why_not: str) -> QAction:
        entry = menu.addAction(icon(sign, "muted"), text)
        entry.setEnabled(not why_not)
        entry.setToolTip(why_not)
        entry.triggered.connect(lambda _=False: run())
        return entry

    def _edit(self, run: str, column: Column) -> None:
        if self.table.pick(run):
            self.table.setFocus()
            self.table.edit_cell(column)

    def _ask_tags(self, rows: list[RunSummary]) -> None:
        known = {tag for row in self.model.rows() for tag in row.tags}
        dialog = TagsDialog(rows, known, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.settled.connect(self._set_tags)
        dialog.open()

    def _set_tags(self, tags: dict[str, tuple[str, ...]]) -> None:
        for run, of_it in tags.items():
            self.model.set_tags(run, of_it)

    def _open_launch(self, row: RunSummary, recipe: Recipe) -> None:
        folder = RunFolder(self.context.home.runs / row.id)
        dialog = LaunchDialog(folder, row.name, recipe, waits=row.state == State.QUEUED, parent=self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.saved.connect(lambda where: self._launch_saved(row, where))
        dialog.troubled.connect(self.context.trouble)
        dialog.open()

    def _launch_saved(self, row: RunSummary, where: Path) -> None:
        self.context.live.look()
        self.context.say(self.tr("The files that start “%s” are in %s") % (row.name, where), "good")

    def _open_trash(self) -> None:
        def show(thrown: list[Thrown]) -> None:
            dialog = TrashDialog(thrown, self)
            dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            dialog.wanted_back.connect(self.run_actions.bring_back)
            dialog.open()

        in_background(self, lambda: trash.contents(self.context.home), show, self.context.trouble)

    # --- what is remembered

    def _remember(self) -> None:
        settings = self.context.settings
        settings.set_layout("runs/main", self.splitter.saveState())
        settings.set_layout("runs/detail", self.detail.splitter.saveState())
        settings.set_layout("runs/table", self.table.horizontalHeader().saveState())

    def _restore(self) -> None:
        settings = self.context.settings
        self.splitter.restoreState(settings.layout("runs/main"))
        self.detail.splitter.restoreState(settings.layout("runs/detail"))
        self.table.restore_header(settings.layout("runs/table"))


def _allow(one: QPushButton, why_not: str, text: str) -> None:
    """Offer a button, or refuse it and say why."""
    one.setEnabled(not why_not)
    one.setToolTip(why_not)
    one.setAccessibleName(text)
    one.setAccessibleDescription(why_not)
