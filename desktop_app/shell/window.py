"""The main window: it composes rail, pages, message bar and bottom bar, and connects their signals, all in one place.

It knows pages by name only; a page is imported and made when it is first opened.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QByteArray, QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence, QPaintEvent, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core import runs
from core.errors import Trouble
from core.home import Home
from core.runner import ensure_runner
from core.runs import RunFolder
from core.state import State
from desktop_app import theme
from desktop_app.commands import Command
from desktop_app.context import Context, Message, Wish
from desktop_app.forms.parts import paths_of
from desktop_app.hub import connection
from desktop_app.icons import icon
from desktop_app.live import Picture
from desktop_app.page import Page
from desktop_app.shell.bottom_bar import BottomBar
from desktop_app.shell.closing import ClosingQuestion
from desktop_app.shell.command_palette import CommandPalette
from desktop_app.shell.dropped import Dropped, sorted_drop
from desktop_app.shell.message_bar import MessageBar
from desktop_app.shell.notifier import Notifier
from desktop_app.shell.rail import Rail
from desktop_app.work import in_background


@dataclass(frozen=True)
class Place:
    """Where a page lives: imported when it is opened. `heavy` ones wait for the libraries that draw charts.

    `rail` is the page of the rail that it belongs to, for one that is not in the rail itself.
    """

    module: str
    page: str
    heavy: bool = False
    rail: str = ""


PLACES = {
    "plan": Place("desktop_app.plan.page", "PlanPage"),
    "tune": Place("desktop_app.tune.page", "TunePage", rail="plan"),
    "data": Place("desktop_app.data.page", "DataPage"),
    "models": Place("desktop_app.models.page", "ModelsPage"),
    "hub": Place("desktop_app.hub.page", "HubPage", rail="models"),
    "runs": Place("desktop_app.runs.page", "RunsPage", heavy=True),
    "compare": Place("desktop_app.compare.page", "ComparePage", heavy=True),
    "merge": Place("desktop_app.merge.page", "MergePage"),
    "chat": Place("desktop_app.chat.page", "ChatPage"),
    "settings": Place("desktop_app.settings_page", "SettingsPage"),
    "welcome": Place("desktop_app.welcome", "WelcomePage"),
}
QUEUE_CARE_MS = 5000  # while runs wait: whether there is a runner still, as one may be killed
MOST_RUNNER_STARTS = 4  # in a row: one that dies at once is not started for ever
RECIPE_PAGES = {"distill": "plan", "tune": "tune", "merge": "merge", "sweep": "merge"}  # by kind


class Window(QMainWindow):
    """One window on one data folder. `painted` is said once, when the first page is on screen."""

    painted = Signal()

    def __init__(self, home: Home, heavy_ready: Callable[[], bool] = lambda: True) -> None:
        super().__init__()
        self.context = Context(home, self, heavy_ready)
        connection.apply(self.context.settings)
        self._pages: dict[str, Page] = {}
        self._name = ""
        self._wish: Wish | None = None  # of a page that waits for its libraries
        self._sure = False  # the question of closing has been answered
        self._painted = False
        self._trouble_text = ""
        self._notice = ""
        self._finished: set[str] = set()
        self.rail = Rail(
            [
                ("plan", self.tr("Plan")),
                ("data", self.tr("Data")),
                ("models", self.tr("Models")),
                ("runs", self.tr("Runs")),
                ("compare", self.tr("Compare")),
                ("merge", self.tr("Merge")),
                ("chat", self.tr("Chat")),
            ],
            [("settings", self.tr("Settings"))],
        )
        self.messages = MessageBar()
        self.bottom = BottomBar()
        self.stack = QStackedWidget()
        self._opening = QLabel(self.tr("Opening…"))
        self._opening.setAlignment(Qt.AlignmentFlag.AlignCenter)
        theme.set_role(self._opening, "muted")
        self.stack.addWidget(self._opening)
        self.notifier = Notifier(self.context, self)
        self._waiting = QTimer(self)
        self._waiting.setInterval(10)
        self._asking_for_runner = False
        self._runner_starts = 0  # in a row
        self._queue_care = QTimer(self)
        self._queue_care.setInterval(QUEUE_CARE_MS)
        self._compose()
        self._connect()
        self._shortcuts()
        self.setWindowTitle("Stillroom")
        self._restore()

    def _compose(self) -> None:
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.messages)
        right.addWidget(self.stack, 1)
        across = QHBoxLayout()
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(0)
        across.addWidget(self.rail)
        across.addLayout(right, 1)
        whole = QVBoxLayout()
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(across, 1)
        whole.addWidget(self.bottom)
        middle = QWidget()
        middle.setLayout(whole)
        self.setCentralWidget(middle)
        self.setMinimumSize(900, 600)
        self.setAcceptDrops(True)

    def _connect(self) -> None:
        context, live = self.context, self.context.live
        context.said.connect(self._say)
        context.wished.connect(self.open)
        context.sample_wanted.connect(self.distill_sample)
        context.settings.changed.connect(self._setting_changed)
        context.shelf.troubled.connect(context.trouble)
        live.listed.connect(self._listed)
        live.advanced.connect(self._advanced)
        live.troubled.connect(self._data_folder_trouble)
        self.rail.chosen.connect(lambda name: self.open(Wish(name)))
        self.rail.help_wanted.connect(self._help_menu)
        self.messages.report_wanted.connect(self._copy_report)
        self.bottom.stop_wanted.connect(self.stop_run)
        self.bottom.show_wanted.connect(lambda run: self.open(Wish("runs", {"run": run})))
        self.bottom.subject_changed.connect(lambda run: live.watch(self.bottom, [run] if run else []))
        self._waiting.timeout.connect(self._try_wish)
        self._queue_care.timeout.connect(self._care_for_queue)

    # --- pages --------------------------------------------------------------------------------------------------------

    def open(self, wish: Wish) -> None:
        """Go to a page; one that needs the chart libraries comes when they are loaded."""
        if wish.page not in PLACES:
            raise KeyError(f"there is no page {wish.page}")
        self.rail.show_page(PLACES[wish.page].rail or wish.page)
        self._wish = wish
        self._try_wish()

    def _try_wish(self) -> None:
        wish = self._wish
        if wish is None:
            self._waiting.stop()
            return
        if PLACES[wish.page].heavy and wish.page not in self._pages and not self.context.charts_ready():
            self.stack.setCurrentWidget(self._opening)
            self._waiting.start()
            return
        self._waiting.stop()
        self._wish = None
        page = self._page(wish.page)
        if self._name and self._name != wish.page:
            self._pages[self._name].left()
        self._name = wish.page
        self.stack.setCurrentWidget(page)
        if wish.page == "settings":
            cast("Any", page).set_commands(self._all_commands())
        page.setFocus()  # not the first field that Qt would choose; the page may choose better
        page.opened(**wish.what)
        if wish.page != "welcome":
            self.context.settings.page = wish.page

    def _page(self, name: str) -> Page:
        if name not in self._pages:
            place = PLACES[name]
            page = cast("Page", getattr(importlib.import_module(place.module), place.page)(self.context))
            self._pages[name] = page
            self.stack.addWidget(page)
            if name == "welcome":
                self._connect_welcome(page)
        return self._pages[name]

    def page(self) -> Page | None:
        """The page on screen."""
        return self._pages.get(self._name)

    def open_first(self) -> None:
        """The welcome page on a first start, else the page that was open last."""
        remembered = self.context.settings.page
        if not self.context.settings.greeted and not _has_runs(self.context.home):
            self.open(Wish("welcome"))
        else:
            self.open(Wish(remembered if remembered in PLACES and remembered != "welcome" else "plan"))

    def _connect_welcome(self, page: Any) -> None:
        page.sample_wanted.connect(self.distill_sample)
        page.folder_wanted.connect(self._open_model_folder)

    # --- actions of the window ----------------------------------------------------------------------------------------

    def distill_sample(self) -> None:
        """The first minute: the main job on the built-in sample, started and shown."""
        self.context.settings.greeted = True
        home = self.context.home
        self.context.say(self.tr("Writing the sample's stories and starting the run…"))
        in_background(self, lambda: _start_sample(home), self._started, self.context.trouble)

    def _started(self, run: RunFolder) -> None:
        self.context.live.look()
        self.open(Wish("runs", {"run": run.id}))
        self.context.say(
            self.tr(
                "The sample is being distilled: its loss moves in a few seconds. You may close the window; it goes on."
            ),
            "good",
        )

    def _open_model_folder(self, folder: Any) -> None:
        self.context.settings.greeted = True
        self.context.shelf.add(folder)
        self.open(Wish("plan", {"teacher": folder}))

    def open_recipe_file(self, file: Path) -> None:
        """Show the recipe of a file on the page of its kind; its relative paths are read from where it lies."""

        def show(recipe: Any) -> None:
            self.context.settings.greeted = True
            self.open(Wish(RECIPE_PAGES[recipe.kind], {"recipe": recipe}))

        in_background(self, lambda: _read_recipe(file), show, self.context.trouble)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        """What no page took: a recipe file is opened, data go to the Data page, everything else is for the Models page to judge."""
        if paths := paths_of(event.mimeData()):
            in_background(self, lambda: sorted_drop(paths), self._take_drop, self.context.trouble)
        event.acceptProposedAction()

    def _take_drop(self, found: Dropped) -> None:
        if found.recipes:
            self.open_recipe_file(found.recipes[0])
        if found.merges:
            self.open(Wish("merge", {"file": found.merges[0]}))
        for page, paths in (("models", found.models), ("data", found.data)):
            if paths:
                self.open(Wish(page, {"dropped": tuple(paths)}))

    def stop_run(self, run_id: str) -> None:
        """Stop and keep: a checkpoint is saved, and the run can be resumed."""
        run = RunFolder(self.context.home.runs / run_id)
        row = self.context.live.row(run_id)
        name = row.name if row else run_id
        said = self.tr("%s saves a checkpoint and stops; it can be resumed.") % name

        def done(_: None) -> None:
            self.context.live.look()
            self.context.say(said, action_text=self.tr("Show"), action=lambda: self.context.open("runs", run=run_id))

        in_background(self, lambda: runs.stop_and_keep(run), done, self.context.trouble)

    def commands(self) -> list[Command]:
        """Those of the page on screen, then those of the window."""
        page = self.page()
        return [*(page.commands() if page else []), *self._own_commands()]

    def _own_commands(self) -> list[Command]:
        return [
            Command("go.plan", self.tr("Go to Plan"), lambda: self.open(Wish("plan")), "plan", "Ctrl+1"),
            Command("go.tune", self.tr("Go to Tune"), lambda: self.open(Wish("tune")), "tune", "Ctrl+Shift+1"),
            Command("go.data", self.tr("Go to Data"), lambda: self.open(Wish("data")), "data", "Ctrl+2"),
            Command("go.models", self.tr("Go to Models"), lambda: self.open(Wish("models")), "models", "Ctrl+3"),
            Command("go.runs", self.tr("Go to Runs"), lambda: self.open(Wish("runs")), "runs", "Ctrl+4"),
            Command("go.compare", self.tr("Go to Compare"), lambda: self.open(Wish("compare")), "compare", "Ctrl+5"),
            Command("go.merge", self.tr("Go to Merge"), lambda: self.open(Wish("merge")), "merge", "Ctrl+6"),
            Command("go.chat", self.tr("Go to Chat"), lambda: self.open(Wish("chat")), "chat", "Ctrl+7"),
            Command("go.settings", self.tr("Open settings"), lambda: self.open(Wish("settings")), "settings", "Ctrl+,"),
            Command("sample", self.tr("Distill the sample"), self.distill_sample, "distill"),
            Command(
                "stop", self.tr("Stop and keep what runs"), self._stop_subject, "stop", "Ctrl+.", self._nothing_runs
            ),
            Command("undo", self.tr("Undo"), self.messages.act, "undo", "Ctrl+Z", self._nothing_to_undo),
            Command("palette", self.tr("Search commands"), self.open_palette, "search", "Ctrl+K"),
            Command("welcome", self.tr("What is this?"), lambda: self.open(Wish("welcome")), "help"),
            Command("report", self.tr("Copy report"), lambda: self._copy_report(None), "copy"),
            Command("about", self.tr("About Stillroom"), self.about, "info", "F1"),
            Command("quit", self.tr("Close the window"), self._close, "close", "Ctrl+Q"),
        ]

    def _all_commands(self) -> list[Command]:
        """The window's own and those of every page that was opened."""
        own = [one for page in self._pages.values() for one in page.commands()]
        return [*own, *self._own_commands()]

    def _close(self) -> None:
        self.close()

    def _nothing_to_undo(self) -> str:
        return "" if self.messages.undoable() else self.tr("nothing to undo")

    def _nothing_runs(self) -> str:
        return "" if self.bottom.subject else self.tr("nothing is running")

    def _stop_subject(self) -> None:
        self.stop_run(self.bottom.subject)

    def _shortcuts(self) -> None:
        for command in self.commands():  # no page is made yet: these are the window's own
            if command.shortcut:
                shortcut = QShortcut(QKeySequence(command.shortcut), self)
                shortcut.activated.connect(lambda command=command: None if command.why_not() else command.run())

    def open_palette(self) -> None:
        palette = CommandPalette([one for one in self.commands() if one.name != "palette"], self)
        palette.move(self.mapToGlobal(QPoint((self.width() - palette.width()) // 2, 96)))

        def run() -> None:
            if palette.chosen is not None:
                palette.chosen.run()

        palette.accepted.connect(run)
        palette.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        palette.open()

    def about(self) -> None:
        from desktop_app.shell.about import AboutDialog

        dialog = AboutDialog(self.context, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _help_menu(self, at: QToolButton) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        wanted = ("palette", "welcome", "report", "about")
        for command in self.commands():
            if command.name in wanted:
                action = menu.addAction(icon(command.icon, "muted"), command.text)
                action.setShortcut(QKeySequence(command.shortcut))
                action.triggered.connect(command.run)
        menu.popup(at.mapToGlobal(QPoint(at.width() + 4, at.height() - menu.sizeHint().height())))

    def _copy_report(self, message: Message | None) -> None:
        from desktop_app.shell import report

        details = f"{message.text}\n{message.details}\n\n" if message else ""

        def write() -> str:
            return report.without_names(details, self.context.home) + report.text(self.context)

        def done(text: str) -> None:
            QApplication.clipboard().setText(text)
            self.context.say(self.tr("The report is on the clipboard. It holds no personal paths."), "good")

        in_background(self, write, done, self.context.trouble)

    # --- what is said to the window -----------------------------------------------------------------------------------

    def _say(self, message: Message) -> None:
        self.messages.say(message)

    def _listed(self, rows: list[Any]) -> None:
        self.bottom.show_rows(rows)
        if any(row.state == State.QUEUED for row in rows):
            self._need_runner()
            self._queue_care.start()
        else:
            self._queue_care.stop()
        self.notifier.look(rows)
        finished = {row.id for row in rows if row.state == State.FINISHED}
        if finished - self._finished:  # their students are models now
            self.context.shelf.refresh()
        self._finished = finished
        self._say_notice(self.context.live.notice)

    def _need_runner(self) -> None:
        """See that a runner lives; one look at a time, as a runner that comes up is waited for."""
        if self._asking_for_runner:
            return
        self._asking_for_runner, home = True, self.context.home

        def ask() -> bool:
            try:
                return ensure_runner(home)
            finally:
                self._asking_for_runner = False

        def done(started: bool) -> None:
            self._runner_starts = self._runner_starts + 1 if started else 0
            if self._runner_starts >= MOST_RUNNER_STARTS:
                failed(
                    Trouble(
                        "The runner that starts runs does not stay alive.",
                        f"{home.runner_log} says why; the queue is tried again when the window is opened anew.",
                    )
                )

        def failed(trouble: Trouble) -> None:
            self._queue_care.stop()  # until the list of runs has changed
            self._runner_starts = 0
            self.context.trouble(trouble)

        in_background(self, ask, done, failed)

    def _care_for_queue(self) -> None:
        if self.isVisible():
            self._need_runner()
        else:  # it was closed; a list that came late may have started the timer
            self._queue_care.stop()

    def _say_notice(self, notice: str) -> None:
        """What the library has to say stays until it no longer holds."""
        if notice == self._notice:
            return
        if self._notice:
            self.messages.take_back(self._notice)
        self._notice = notice
        if notice:
            self.context.say(notice, "warning", stays=True)

    def _advanced(self, _run: str, picture: Picture) -> None:
        self.bottom.show_picture(picture)

    def _data_folder_trouble(self, text: str) -> None:
        if self._trouble_text:
            self.messages.take_back(self._trouble_text)
        self._trouble_text = text
        if text:
            self.context.say(text, "error", stays=True)

    def _setting_changed(self, name: str) -> None:
        if name == "scheme":
            theme.apply(cast("QApplication", QApplication.instance()), self.context.settings.scheme)

    def bug(self, text: str, details: str) -> None:
        """Our own mistake: said, with the report at hand; the window stays."""
        self.context.say(self.tr("Something went wrong in the window: %s") % text, "error", details=details)

    # --- the window itself --------------------------------------------------------------------------------------------

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange and self.isMinimized():
            self.context.live.watch(self.bottom, [])  # nobody looks
        elif event.type() == QEvent.Type.WindowStateChange and self.bottom.subject:
            self.context.live.watch(self.bottom, [self.bottom.subject])

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if not self._painted and self.page() is not None:
            self._painted = True
            QTimer.singleShot(0, self.painted.emit)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        refusal = next((text for page in self._pages.values() if (text := page.refusal())), "")
        if refusal:
            self.context.say(refusal, "warning")
        if refusal or not (self._sure or self._agree()):
            event.ignore()
            return
        self._remember()
        for page in self._pages.values():
            page.closing()
        self.context.live.stop()
        super().closeEvent(event)

    def _agree(self) -> bool:
        """Whether to close now. Living runs are dealt with as the settings or the user say; stopping them comes first."""
        rows = [row for row in self.context.live.rows if row.kind != "measure"]
        alive = [row.id for row in rows if State(row.state).alive]
        waiting = [row.id for row in rows if row.state == State.QUEUED]
        if not alive:
            return True
        wanted: str = self.context.settings.on_close
        if wanted == "ask":
            question = ClosingQuestion(len(alive), len(waiting), self)
            question.exec()
            wanted = question.answer
            if wanted != "stay" and question.remember:
                self.context.settings.on_close = "stop" if wanted == "stop" else "keep"
        if wanted == "stop":
            self._stop_and_close([*waiting, *alive])
        return wanted == "keep"

    def _stop_and_close(self, ids: list[str]) -> None:
        """Stop and keep them all, then close; on trouble the window stays and says it."""
        folders = [RunFolder(self.context.home.runs / run_id) for run_id in ids]

        def stop() -> None:
            for run in folders:
                runs.stop_and_keep(run)

        def close(_: None) -> None:
            self._sure = True
            self.close()

        in_background(self, stop, close, self.context.trouble)

    def _remember(self) -> None:
        self.context.settings.set_layout("window", self.saveGeometry())

    def _restore(self) -> None:
        remembered = self.context.settings.layout("window")
        if remembered == QByteArray() or not self.restoreGeometry(remembered):
            self.resize(1280, 800)


def _has_runs(home: Home) -> bool:
    return next(iter(runs.all_runs(home)), None) is not None


def _read_recipe(file: Path) -> Any:
    from core.errors import BadRecipe
    from core.plan import beside
    from core.recipe import read_recipe

    recipe = read_recipe(file)
    if recipe.kind not in RECIPE_PAGES:
        raise BadRecipe(
            f"{file} is a recipe of the kind {recipe.kind}; the window opens those of a distillation, a tuning or a merge.",
            f"`stillroom {recipe.kind} --help` tells how to run it.",
        )
    return beside(recipe, file.absolute().parent)


def _start_sample(home: Home) -> RunFolder:
    from core.plan import settle
    from resources.sample import recipe

    run = runs.new_run(home, settle(recipe(home)))
    runs.enqueue(home, run)
    ensure_runner(home)
    return run
