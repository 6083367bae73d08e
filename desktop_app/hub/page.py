"""The page of models that can be had from the Hub: search, a model in full, downloads; and without a network the well-known ones.

Nothing is sent until somebody searches, looks a model up or downloads it; then only names and filters are.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from core import downloads, hub
from core.catalogue import known, known_models
from core.devices import devices
from core.downloads import Download
from core.errors import Trouble
from core.hub import Details, Found
from core.model_folders import hub_cache
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.forms import AmountEdit, Choice
from desktop_app.forms.field import button
from desktop_app.hub import connection
from desktop_app.hub.detail import HubDetail, Machine
from desktop_app.hub.fetching import DownloadsPane
from desktop_app.hub.settings_card import ask_for_token
from desktop_app.hub.table import HubView, Row, found_row, known_row, matches
from desktop_app.hub.way_out import TAKES_TOKEN, trouble_words
from desktop_app.page import Page
from desktop_app.runs.empty import Empty
from desktop_app.work import Latest, in_background

LAYOUT = "hub/splitter"
LOOK_UP_MS = 250  # a model that is only passed by is not asked for
ARCHITECTURES = ("llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3_text", "phi3", "olmo2", "gpt_neox", "gpt2")
LICENSES = ("apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "llama3.1", "llama3.2", "gemma")


class HubPage(Page):
    """`opened(student=1.3e6)` looks for teachers of a student of that size, `opened(text="pythia")` searches."""

    name: ClassVar[str] = "hub"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.asking = False
        self._trouble = ""  # why the Hub was not reached
        self._searched: tuple[Any, ...] | None = None  # what the rows on screen were searched with
        self._details: dict[str, Details] = {}
        self._search_task, self._detail_task, self._machine_task = Latest(self), Latest(self), Latest(self)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(LOOK_UP_MS)
        self.back = button(self.tr("Models"), "back", "quiet")
        self.where = QLabel()
        self.settings = button(self.tr("Token, mirror, offline…"), "settings", "quiet")
        self.search = QLineEdit()
        self.smallest, self.largest, self.student = AmountEdit(), AmountEdit(), AmountEdit()
        self.architecture, self.license, self.sort = Choice(), Choice(), Choice()
        self.go = button(self.tr("Search the Hub"), "search", "primary")
        self.notice, self.again = QLabel(), button(self.tr("Try again"), "refresh")
        self.view, self.detail = HubView(), HubDetail()
        self.nothing, self.nothing_picked = Empty(), Empty()
        self.downloads = DownloadsPane(context)
        self._dress()
        self._lay_out()
        self._connect()
        self.make_shortcuts()
        self._show_catalogue()

    # --- how it looks -------------------------------------------------------------------------------------------------

    def _dress(self) -> None:
        theme.set_role(self.where, "small")
        self.back.setToolTip(self.tr("Back to the models at hand"))
        self.search.setPlaceholderText(self.tr("Name, or a part of it"))
        self.search.setAccessibleName(self.tr("Search the Hub for"))
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(160)
        for edit, hint, name in (
            (self.smallest, self.tr("from"), self.tr("Smallest number of parameters")),
            (self.largest, self.tr("to"), self.tr("Largest number of parameters")),
            (self.student, self.tr("as 160M"), self.tr("Parameters of the student that it is to teach")),
        ):
            edit.setPlaceholderText(hint)
            edit.setAccessibleName(name)
            edit.setToolTip(name)
            edit.setFixedWidth(76)
        any_of = self.tr("Any architecture"), self.tr("Any licence")
        for choice, whole, values, name in (
            (self.architecture, any_of[0], ARCHITECTURES, self.tr("Architecture")),
            (self.license, any_of[1], LICENSES, self.tr("Licence")),
        ):
            choice.set_options([(None, whole), *((value, value) for value in values)])
            choice.setAccessibleName(name)
        orders = (("downloads", self.tr("Most downloaded")), ("likes", self.tr("Most liked")), ("last_modified", self.tr("Newest")))  # fmt: skip
        self.sort.set_options(list(orders))
        self.sort.setAccessibleName(self.tr("Order"))
        for choice in (self.architecture, self.license, self.sort):
            choice.setMinimumContentsLength(15)
        self.notice.setWordWrap(True)
        self.notice.setTextFormat(Qt.TextFormat.PlainText)
        self.notice.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def _lay_out(self) -> None:
        title = QLabel(self.tr("Models from the Hub"))
        theme.set_role(title, "head")
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        head.addWidget(self.back)
        head.addWidget(title)
        head.addSpacing(theme.SPACE)
        head.addWidget(self.where)
        head.addStretch(1)
        head.addWidget(self.settings)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.view)
        self.pages.addWidget(self.nothing)
        self.side = QStackedWidget()
        self.side.addWidget(self.nothing_picked)
        self.side.addWidget(self.detail)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(2 * theme.SPACE)
        self.splitter.addWidget(self.pages)
        self.splitter.addWidget(self.side)
        self.splitter.setSizes([720, 420])
        told = QHBoxLayout()
        told.setSpacing(theme.SPACE)
        told.addWidget(self.notice, 1)
        told.addWidget(self.again)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addLayout(self._search_line())
        layout.addLayout(told)
        layout.addWidget(self.splitter, 1)
        layout.addWidget(self.downloads)

    def _search_line(self) -> QVBoxLayout:
        first = QHBoxLayout()
        first.setSpacing(theme.SPACE)
        first.addWidget(self.search, 1)
        first.addWidget(self.go)
        rest = FlowLayout()
        sizes, teaches = QLabel(self.tr("Parameters")), QLabel(self.tr("To teach a student of"))
        sizes.setBuddy(self.smallest)
        teaches.setBuddy(self.student)
        for group in (
            _together(sizes, self.smallest, self.largest),
            _together(self.architecture),
            _together(self.license),
            _together(self.sort),
            _together(teaches, self.student),
        ):
            rest.addWidget(group)
        lines = QVBoxLayout()
        lines.setSpacing(theme.SPACE)
        lines.addLayout(first)
        lines.addLayout(rest)
        return lines

    def _connect(self) -> None:
        self.back.clicked.connect(lambda: self.context.open("models"))
        self.settings.clicked.connect(lambda: self.context.open("settings", part="hub"))
        self.search.returnPressed.connect(self.ask)
        self.go.clicked.connect(lambda: self._stop() if self.asking else self.ask())
        self.again.clicked.connect(self.ask)
        self.search.textEdited.connect(lambda _: self._filter_changed())
        for edit in (self.smallest, self.largest):
            edit.changed.connect(lambda _: self._filter_changed())
            edit.returnPressed.connect(self.ask)
        for choice in (self.architecture, self.license, self.sort):
            choice.chosen.connect(lambda _: self._filter_changed())
        self.student.changed.connect(self._student_changed)
        self.view.picked.connect(self._pick)
        self._pause.timeout.connect(self._look_up_picked)
        self.detail.download_wanted.connect(self._download)
        self.detail.look_up_wanted.connect(self._look_up)
        self.detail.token_wanted.connect(
            lambda: ask_for_token(self.context, self).accepted.connect(self._look_up_again)
        )
        self.detail.page_wanted.connect(self._open_page)
        self.downloads.model_wanted.connect(lambda path: self.context.open("models", model=path))
        self.downloads.fetched.connect(self._fetched)
        self.downloads.counted.connect(lambda _: self._say_state())
        self.context.settings.changed.connect(lambda name: self._say_where() if name.startswith("hub/") else None)
        self.splitter.splitterMoved.connect(
            lambda *_: self.context.settings.set_layout(LAYOUT, self.splitter.saveState())
        )

    def opened(self, **what: Any) -> None:
        connection.apply(self.context.settings)
        if not (state := self.context.settings.layout(LAYOUT)).isEmpty():
            self.splitter.restoreState(state)
        if isinstance(what.get("student"), int | float):
            self.student.set_value(what["student"])
            self._student_changed(what["student"])
        self._say_where()
        self.downloads.look()
        self._machine_task.ask(_machine, self.detail.set_machine, self.context.trouble)
        if isinstance(what.get("text"), str):
            self.search.setText(what["text"])
            self.ask()
        elif self._searched is None:
            self._show_catalogue()
        self.search.setFocus()

    def commands(self) -> list[Command]:
        return [
            Command("hub.search", self.tr("Search the Hub"), lambda: self.search.setFocus(), "search", "Ctrl+F"),
            Command("hub.back", self.tr("Back to the models at hand"), lambda: self.context.open("models"), "back"),
        ]

    # --- the list -----------------------------------------------------------------------------------------------------

    def _offline(self) -> bool:
        return connection.offline(self.context.settings)

    def _wanted(self) -> tuple[Any, ...]:
        order = self.sort.value() if self._searched is not None else None  # the catalogue has an order of its own
        return (
            self.search.text().strip(), self.smallest.value(), self.largest.value(), self.architecture.value(),
            self.license.value(), order,
        )  # fmt: skip

    def _filter_changed(self) -> None:
        """The catalogue follows at once; what the Hub has is asked for by Return or the button."""
        if self._searched is None:
            self._show_catalogue(self._trouble)
        self._say_searched()

    def _say_searched(self) -> None:
        if self.asking:
            return
        stale = self._searched is not None and self._searched != self._wanted()
        self.go.setText(self.tr("Search again") if stale else self.tr("Search the Hub"))

    def ask(self) -> None:
        """Search the Hub; offline the catalogue is searched instead."""
        for edit in (self.smallest, self.largest):
            if problem := edit.problem():
                self._say_notice(problem, "error")
                return
        if self._offline():
            self._searched = None
            self._show_catalogue()
            return
        text, smallest, largest = self.search.text().strip(), self.smallest.value(), self.largest.value()
        architecture, license_name, sort = self.architecture.value(), self.license.value(), str(self.sort.value())
        self._searched = ()
        wanted = self._searched = self._wanted()
        self.asking = True
        self.go.setText(self.tr("Stop asking"))
        self._say_notice(self.tr("Asking %s…") % connection.address(), "muted")

        def work() -> list[Found]:
            connection.reach()
            return hub.search(
                text, smallest=_whole(smallest), largest=_whole(largest), sort=sort,
                architecture=str(architecture) if architecture else None, license_name=str(license_name) if license_name else None,
            )  # fmt: skip

        self._search_task.ask(work, partial(self._show_found, wanted), self._refused)

    def _show_found(self, wanted: tuple[Any, ...], found: list[Found]) -> None:
        self._ready()
        self._searched = wanted
        self._say_notice("", "muted")
        if not found:
            self._say_nothing(
                self.tr("Nothing found"),
                self.tr(
                    "The Hub has no language model with safetensors that has all this. Try fewer words or filters."
                ),
            )
            return
        self.pages.setCurrentWidget(self.view)
        self.view.set_rows([found_row(each, known(each.name)) for each in found])
        self._say_searched()

    def _refused(self, trouble: Trouble) -> None:
        self._ready()
        self._searched = None
        self._show_catalogue(trouble_words(trouble))

    def _stop(self) -> None:
        """Wait for the Hub no longer."""
        self._search_task.drop()
        self._searched = None
        self._ready()
        self._show_catalogue()

    def _ready(self) -> None:
        self.asking = False
        self._say_searched()

    def _show_catalogue(self, trouble: str = "") -> None:
        """Well-known models that fit the filter."""
        text, smallest, largest = self.search.text(), self.smallest.value(), self.largest.value()
        license_name, architecture = self.license.value(), self.architecture.value()
        rows = [
            row
            for row in map(known_row, known_models())
            if matches(row, text, smallest, largest, str(license_name) if license_name else None)
            and architecture in (None, row.architecture)
        ]
        calm = self.tr("Well-known models. Nothing is sent until you search, look one up or download it.")
        if self._offline():
            calm = self.tr("The program is offline. These are well-known models, whose sizes need no network.")
        below = self.tr("Below are well-known models, whose sizes need no network.")
        told = f"{trouble} {below}" if trouble and rows else trouble
        self._say_notice(told or calm, "error" if trouble else "muted")
        self.again.setVisible(bool(trouble))
        self._trouble = trouble
        if not rows:
            offline = self.tr("No well-known model has all this, and the program is offline.")
            hint = self.tr("No well-known model has all this. Search the Hub for it.")
            offline = self.tr("No well-known model has all this either.") if trouble else offline
            self._say_nothing(self.tr("None of the well-known"), offline if self._offline() or trouble else hint)
            return
        self.pages.setCurrentWidget(self.view)
        self.view.set_rows(rows)
        self._say_searched()

    def _say_nothing(self, title: str, text: str) -> None:
        self.nothing.say("search", title, text, [])
        self.pages.setCurrentWidget(self.nothing)
        self.view.set_rows([])

    def _say_notice(self, text: str, role: theme.Role) -> None:
        theme.set_role(self.notice, role)
        self.notice.setText(text)
        self.notice.setVisible(bool(text))
        self.again.hide()

    def _say_where(self) -> None:
        offline = self.tr("offline")
        self.where.setText(offline if self._offline() else connection.address().partition("://")[2])
        self._say_state()

    def _student_changed(self, size: float | None) -> None:
        self.view.table.set_student(size)
        self.detail.set_student(size)

    # --- one of them --------------------------------------------------------------------------------------------------

    def _pick(self, row: Row | None) -> None:
        self._pause.stop()
        self._detail_task.drop()
        if row is None:
            self.nothing_picked.say(
                "hub", self.tr("No model is picked"), self.tr("Pick one to see what it takes here."), []
            )
            self.side.setCurrentWidget(self.nothing_picked)
            return
        self.detail.show_row(row)
        self.side.setCurrentWidget(self.detail)
        self._say_state()
        if row.name in self._details:
            self.detail.show_details(self._details[row.name])
        elif self._searched is not None and not self._offline():
            self.detail.show_looking()
            self._pause.start()

    def _say_state(self) -> None:
        row = self.view.row()
        state = self.downloads.states().get(row.name, "") if row is not None else ""
        self.detail.set_download_state(state, offline=self._offline())

    def _look_up_picked(self) -> None:
        if (row := self.view.row()) is not None:
            self._look_up(row.name)

    def _look_up_again(self) -> None:
        self._details.clear()
        self._look_up_picked()

    def _look_up(self, name: str) -> None:
        self.detail.show_looking()
        self._detail_task.ask(lambda: hub.details(name), self._take_details, self._refuse_details)

    def _take_details(self, details: Details) -> None:
        self._details[details.name] = details
        self.detail.show_details(details)

    def _refuse_details(self, trouble: Trouble) -> None:
        self._say_trouble(trouble)

    def _say_trouble(self, trouble: Trouble) -> None:
        lacks = getattr(trouble, "lacks", "")
        self.detail.show_trouble(trouble_words(trouble), takes_token=lacks in TAKES_TOKEN)

    def _open_page(self, name: str) -> None:
        address = f"{connection.address()}/{name}"
        if not QDesktopServices.openUrl(QUrl(address)):
            self.context.say(self.tr("No browser opened %s.") % address, "warning")

    # --- downloads ----------------------------------------------------------------------------------------------------

    def _download(self, name: str) -> None:
        home = self.context.home
        self.detail.download.setEnabled(False)
        self.detail.download.setToolTip(self.tr("The Hub is being asked."))

        def begun(_: Download) -> None:
            self._say_state()
            self.downloads.look()

        in_background(self, lambda: downloads.start(home, name), begun, self._say_trouble)

    def _fetched(self, name: str, path: Path) -> None:
        self.context.shelf.refresh()
        show = partial(self.context.open, "models", model=path)
        self.context.say(self.tr("%s is here.") % name, "good", action_text=self.tr("Show"), action=show)


def _machine() -> Machine:
    """Devices, and the room on the disk of the Hub cache."""
    cache = hub_cache()
    nearest = next((folder for folder in (cache, *cache.absolute().parents) if folder.is_dir()), None)
    free = shutil.disk_usage(nearest).free if nearest is not None else None
    return Machine(tuple(devices()), free, str(cache))


def _whole(size: float | None) -> int | None:
    return None if size is None else round(size)


def _together(*widgets: QWidget) -> QWidget:
    """Widgets that stay in one line."""
    made = QWidget()
    layout = QHBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(theme.SPACE)
    for widget in widgets:
        layout.addWidget(widget)
    return made
