"""The Settings page: the look, what closing does, the data folder and its disk use, devices, keys, versions."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtCore import QLibraryInfo, QLocale, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication, QKeySequence
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

import core
from core.errors import Trouble
from core.home import Home
from core.numbers import bytes_text
from desktop_app import theme
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.forms import Field, Segmented, parts
from desktop_app.forms.field import Elided, button, card
from desktop_app.hub.settings_card import HubCard
from desktop_app.icons import icon
from desktop_app.page import Page
from desktop_app.settings import OnClose
from desktop_app.theme import Scheme
from desktop_app.work import Latest, in_background

if TYPE_CHECKING:
    from core.devices import Device


@dataclass(frozen=True)
class DiskUse:
    """Bytes by what they are for. `runs` without their checkpoints; `free` on the disk of the data folder."""

    runs: int
    checkpoints: int
    trash: int
    sample: int
    library: int
    free: int | None
    run_count: int

    @property
    def total(self) -> int:
        return self.runs + self.checkpoints + self.trash + self.sample + self.library


class SettingsPage(Page):
    """Every change holds at once; there is nothing to save."""

    name = "settings"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._disk_task, self._device_task = Latest(self), Latest(self)
        self.question: QMessageBox | None = None
        self.scheme = Segmented(
            [("system", self.tr("As the system")), ("light", self.tr("Light")), ("dark", self.tr("Dark"))]
        )
        self.on_close = Segmented(
            [("ask", self.tr("Ask")), ("keep", self.tr("Keep them running")), ("stop", self.tr("Stop and keep them"))]
        )
        self.notify = QCheckBox(self.tr("Tell me when a run ends or fails"))
        self.refused = parts.words("error")
        self.folder = Elided()
        self.open_folder = button(self.tr("Open"), "folder_open")
        self.copy_folder = button(self.tr("Copy path"), "copy")
        self.other_folder = button(self.tr("Use another folder…"), "folder")
        self.empty_trash = button(self.tr("Empty trash…"), "discard")
        self.move_words = parts.words(None)
        self.move_command = parts.words("mono")
        self.copy_command = button(self.tr("Copy command"), "copy")
        self._disk, self._devices, self._keys = QGridLayout(), QVBoxLayout(), QGridLayout()
        self.hub = HubCard(context)
        self.versions = parts.words("muted")
        self.copy_report = button(self.tr("Copy report"), "copy")
        self._lay_out()
        self._connect()
        self._show_settings()
        self.set_commands(())

    # --- how it looks -------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        title = QLabel(self.tr("Settings"))
        theme.set_role(title, "head")
        column = QWidget()
        column.setMaximumWidth(theme.FORM_WIDTH)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 3 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(title)
        layout.addWidget(self.refused)
        for part in (self._look_card(), self._runs_card(), self._folder_card(), self._devices_card()):
            layout.addWidget(part)
        layout.addWidget(self.hub)
        layout.addWidget(self._keys_card())
        layout.addWidget(self._about_card())
        layout.addStretch(1)
        content = QWidget()
        sides = QHBoxLayout(content)
        sides.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 3 * theme.SPACE, 0)
        sides.addWidget(column, 1)
        sides.addStretch(0)
        self._scroller = parts.fill_scrolling(self, content)

    def _look_card(self) -> QWidget:
        field = Field(
            self.tr("Theme"), self.scheme, self.tr("As the system: it follows the desktop, by day and by night.")
        )
        language = Field(self.tr("Language"), parts.words(None, self._language_words()))
        return card(field, language, title=self.tr("Look"))

    def _language_words(self) -> str:
        system = QLocale.system().nativeLanguageName() or QLocale.system().name()
        if QLocale.system().language() in (QLocale.Language.English, QLocale.Language.C):
            return self.tr("English.")
        return (
            self.tr("English; there is no translation into %s yet. Numbers are written the same way everywhere.")
            % system
        )

    def _runs_card(self) -> QWidget:
        closing = Field(
            self.tr("When the window closes and runs are alive"),
            self.on_close,
            self.tr("Runs don't need the window. Stopped ones keep a checkpoint and resume where they were."),
        )
        return card(closing, self.notify, title=self.tr("Runs"))

    def _folder_card(self) -> QWidget:
        self.folder.set_text(str(self.context.home.root))
        self.folder.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        theme.set_role(self.folder, "mono")
        where = Field(
            self.tr("Everything that Stillroom writes"),
            self.folder,
            self.tr(
                "Runs, their students, the index of models and these settings. Models you add stay where they are."
            ),
        )
        buttons = parts.line(self.open_folder, self.copy_folder, self.other_folder)
        self._disk.setHorizontalSpacing(3 * theme.SPACE)
        self._disk.setVerticalSpacing(4)
        self._disk.setColumnStretch(2, 1)
        disk = QWidget()
        disk.setLayout(self._disk)
        self._disk.setContentsMargins(0, 0, 0, 0)
        self.move_box = QFrame()
        moving = QVBoxLayout(self.move_box)
        moving.setContentsMargins(0, 0, 0, 0)
        moving.setSpacing(theme.SPACE)
        moving.addWidget(self.move_words)
        moving.addWidget(self.move_command)
        moving.addWidget(parts.line(self.copy_command))
        self.move_box.hide()
        return card(where, buttons, self.move_box, disk, parts.line(self.empty_trash), title=self.tr("Data folder"))

    def _devices_card(self) -> QWidget:
        holder = QWidget()
        holder.setLayout(self._devices)
        self._devices.setContentsMargins(0, 0, 0, 0)
        self._devices.setSpacing(2 * theme.SPACE)
        return card(holder, title=self.tr("Devices"))

    def _keys_card(self) -> QWidget:
        holder = QWidget()
        holder.setLayout(self._keys)
        self._keys.setContentsMargins(0, 0, 0, 0)
        self._keys.setHorizontalSpacing(3 * theme.SPACE)
        self._keys.setVerticalSpacing(6)
        self._keys.setColumnStretch(1, 1)
        self.keys_card = card(holder, title=self.tr("Keys"))
        return self.keys_card

    def _about_card(self) -> QWidget:
        return card(self.versions, parts.line(self.copy_report), title=self.tr("Versions"))

    # --- signals ------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.scheme.chosen.connect(self._set_scheme)
        self.on_close.chosen.connect(self._set_on_close)
        self.notify.toggled.connect(self._set_notify)
        self.context.settings.changed.connect(lambda _: self._show_settings())
        self.open_folder.clicked.connect(self._open)
        self.copy_folder.clicked.connect(lambda: self._copy(str(self.context.home.root)))
        self.copy_command.clicked.connect(lambda: self._copy(self.move_command.text()))
        self.other_folder.clicked.connect(self.ask_other_folder)
        self.empty_trash.clicked.connect(self._ask_empty)
        self.copy_report.clicked.connect(self._copy_report)

    def _set_scheme(self, value: str) -> None:
        self.context.settings.scheme = cast("Scheme", value)

    def _set_on_close(self, value: str) -> None:
        self.context.settings.on_close = cast("OnClose", value)

    def _set_notify(self, wanted: bool) -> None:
        if self.context.settings.notify != wanted:
            self.context.settings.notify = wanted

    def _show_settings(self) -> None:
        settings = self.context.settings
        self.scheme.choose(settings.scheme)
        self.on_close.choose(settings.on_close)
        self.notify.setChecked(settings.notify)
        writable = settings.writable()
        self.refused.setText(
            ""
            if writable
            else self.tr("Changes hold until the window closes: window.ini in the data folder can't be written.")
        )
        self.refused.setVisible(not writable)

    # --- what is looked up --------------------------------------------------------------------------------------------

    def opened(self, **what: Any) -> None:
        self._show_settings()
        self._measure()
        self.hub.look()
        if what.get("part") == "hub":
            QTimer.singleShot(0, self._show_hub)
        self._device_task.ask(_devices, self._show_devices)
        if not self._devices.count():
            self._devices.addWidget(parts.words("muted", self.tr("Looking for devices…")))
        if not self.versions.text():
            self.versions.setText(self._own_versions())
            in_background(self, _versions, self._show_versions)

    def _show_hub(self) -> None:
        """The card of the Hub to the top, once everything has its place."""
        self._scroller.verticalScrollBar().setValue(self.hub.y())
        self.hub.mirror.setFocus()

    def _measure(self) -> None:
        if not self._disk.count():
            self._disk.addWidget(parts.words("muted", self.tr("Measuring the disk use…")), 0, 0)
        self.empty_trash.setEnabled(False)
        self.empty_trash.setToolTip(self.tr("The trash is being measured."))
        home = self.context.home
        self._disk_task.ask(lambda: disk_use(home), self._show_disk, self._show_disk_trouble)

    def _show_disk(self, use: DiskUse) -> None:
        _clear(self._disk)
        lines = [
            (self.tr("%d runs and their students") % use.run_count, use.runs),
            (self.tr("Checkpoints"), use.checkpoints),
            (self.tr("Trash"), use.trash),
            (self.tr("The sample's stories"), use.sample),
            (self.tr("Index of runs and models"), use.library),
        ]
        for row, (what, size) in enumerate(lines):
            self._disk_line(row, what, size, use.total)
        total = self.tr("%s in all") % bytes_text(use.total)
        if use.free is not None:
            total = self.tr("%s, %s free on this disk") % (total, bytes_text(use.free))
        self._disk.addWidget(parts.words(None, total), len(lines), 0, 1, 3)
        self.empty_trash.setEnabled(use.trash > 0)
        self.empty_trash.setToolTip("" if use.trash else self.tr("The trash is empty."))
        self._trash_bytes = use.trash

    def _disk_line(self, row: int, what: str, size: int, total: int) -> None:
        bar = QProgressBar()
        bar.setRange(0, 1000)
        bar.setValue(round(1000 * size / total) if total else 0)
        bar.setTextVisible(False)
        bar.setFixedHeight(6)
        bar.setAccessibleName(what)
        figure = parts.words(None, bytes_text(size))
        figure.setWordWrap(False)
        figure.setFont(theme.tabular(figure.font()))
        figure.setAlignment(Qt.AlignmentFlag.AlignTrailing | Qt.AlignmentFlag.AlignVCenter)
        name = parts.words("muted", what)
        name.setWordWrap(False)
        for column, widget in enumerate((name, figure, bar)):
            self._disk.addWidget(
                widget, row, column, Qt.AlignmentFlag.AlignVCenter if widget is bar else Qt.AlignmentFlag(0)
            )

    def _show_disk_trouble(self, trouble: Trouble) -> None:
        _clear(self._disk)
        self._disk.addWidget(parts.words("error", str(trouble)), 0, 0, 1, 3)
        self.empty_trash.setToolTip(str(trouble))

    def _show_devices(self, found: list[Device]) -> None:
        _clear(self._devices)
        for device in found:
            self._devices.addWidget(self._device_line(device))

    def _device_line(self, device: Device) -> QWidget:
        name = parts.words(None, self.tr("%s (%s)") % (device.name, device.id))
        free, total = bytes_text(device.memory_free_bytes), bytes_text(device.memory_total_bytes)
        facts = [self.tr("%s of %s free") % (free, total)]
        if device.cores:
            facts.append(self.tr("%d cores") % device.cores)
        facts.append(self.tr("%s: %s") % (self.tr("bf16") if device.bf16 else self.tr("no bf16"), device.bf16_reason))
        bar = QProgressBar()
        bar.setRange(0, 1000)
        used = device.memory_total_bytes - device.memory_free_bytes
        bar.setValue(round(1000 * used / device.memory_total_bytes) if device.memory_total_bytes else 0)
        bar.setTextVisible(False)
        bar.setFixedHeight(6)
        bar.setAccessibleName(self.tr("Memory in use on %s") % device.id)
        line = QWidget()
        layout = QVBoxLayout(line)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (name, bar, parts.words("small", ", ".join(facts))):
            layout.addWidget(widget)
        if device.note:
            layout.addWidget(parts.words("small" if device.usable else "warning", device.note))
        return line

    def set_commands(self, commands: Sequence[Command]) -> None:
        """List the keys of these commands; without any the card is not shown."""
        _clear(self._keys)
        keyed = [command for command in commands if command.shortcut]
        self.keys_card.setVisible(bool(keyed))
        for row, command in enumerate(keyed):
            keys = parts.words("mono", QKeySequence(command.shortcut).toString(QKeySequence.SequenceFormat.NativeText))
            keys.setWordWrap(False)
            self._keys.addWidget(keys, row, 0)
            self._keys.addWidget(parts.words(None, command.text), row, 1)

    def _own_versions(self) -> str:
        qt = QLibraryInfo.version().toString()
        return self.tr("Stillroom %s, Python %s, Qt %s") % (core.__version__, sys.version.split()[0], qt)

    def _show_versions(self, found: dict[str, str]) -> None:
        known = ", ".join(f"{name} {version}" for name, version in found.items())
        self.versions.setText(f"{self._own_versions()}\n{known}")

    # --- what can be done ---------------------------------------------------------------------------------------------

    def _open(self) -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.context.home.root))):
            self.context.say(self.tr("No file manager opened %s.") % self.context.home.root, "warning")

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.context.say(self.tr("Copied."), "info")

    def ask_other_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(
            self, self.tr("Choose another data folder"), str(self.context.home.root)
        )
        if chosen:
            self.explain_move(Path(chosen))

    def explain_move(self, folder: Path) -> None:
        """Say how to start with another folder. Nothing is written: a folder is moved when nothing works in it."""
        home = self.context.home.root
        if folder.resolve() == home.resolve():
            words, command = self.tr("That is the folder in use."), ""
        elif not os.access(folder, os.W_OK):
            words, command = self.tr("%s can't be written to. Choose a folder you may write to.") % folder, ""
        else:
            words = self.tr(
                "Nothing is changed yet. To take your runs along, stop them, close Stillroom and copy everything from the "
                "folder above into the new one. Then start Stillroom with this command, or set STILLROOM_HOME for good:"
            )
            command = f"stillroom --home {_quoted(folder)}"
        self.move_words.setText(words)
        self.move_command.setText(command)
        self.move_command.setVisible(bool(command))
        self.copy_command.setVisible(bool(command))
        self.move_box.show()

    def _ask_empty(self) -> None:
        box = QMessageBox(
            QMessageBox.Icon.NoIcon, self.tr("Stillroom"), self.tr("Empty the trash of deleted runs?"), parent=self
        )
        frees = self.tr("This frees %s. The runs in it can't be brought back afterwards.") % bytes_text(
            self._trash_bytes
        )
        box.setInformativeText(frees)
        box.setIconPixmap(icon("discard", "error").pixmap(32, 32))
        yes = box.addButton(self.tr("Empty trash"), QMessageBox.ButtonRole.AcceptRole)
        theme.set_role(yes, "danger")
        keep = box.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        box.accepted.connect(self._empty)
        self.question = box
        box.finished.connect(self._answered)
        box.open()

    def _answered(self) -> None:
        if self.question is not None:
            self.question.deleteLater()
            self.question = None

    def _empty(self) -> None:
        from core import trash

        home = self.context.home
        self.empty_trash.setEnabled(False)
        self.empty_trash.setToolTip(self.tr("The trash is being emptied."))

        def done(freed: int) -> None:
            self.context.say(self.tr("The trash is empty; %s are free again.") % bytes_text(freed), "good")
            self._measure()

        def refused(trouble: Trouble) -> None:
            self.context.trouble(trouble)
            self._measure()

        in_background(self, lambda: trash.empty(home), done, refused)

    def _copy_report(self) -> None:
        from desktop_app.shell import report

        self.copy_report.setEnabled(False)
        self.copy_report.setToolTip(self.tr("The report is being gathered."))

        def done(text: str) -> None:
            self.copy_report.setEnabled(True)
            self.copy_report.setToolTip("")
            self._copy_text_of_report(text)

        in_background(self, partial(report.text, self.context), done)

    def _copy_text_of_report(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.context.say(
            self.tr("Copied the report. Your folder, your name and your computer's name are taken out."), "good"
        )

    def commands(self) -> list[Command]:
        return [Command("settings.folder", self.tr("Open the data folder"), self._open, "folder_open")]


def disk_use(home: Home) -> DiskUse:
    """Measure the data folder. Raises Trouble if it can't be read."""
    import shutil

    from core import trash
    from core.runs import RunFolder, all_runs

    try:
        runs = list(all_runs(home))
        whole = sum(run.size_bytes() for run in runs)
        kept = sum(RunFolder(run.checkpoints).size_bytes() for run in runs)
        files = [home.library.with_name(home.library.name + ending) for ending in ("", "-wal", "-shm")]
        library = sum(file.stat().st_size for file in files if file.exists())
        free = shutil.disk_usage(home.root).free
        sample = RunFolder(home.sample).size_bytes()
        return DiskUse(whole - kept, kept, trash.size_bytes(home), sample, library, free, len(runs))
    except OSError as error:
        raise Trouble(
            f"The data folder {home.root} can't be read: {error.strerror or error}.", "Is its disk still there?"
        ) from error


def _devices() -> list[Device]:
    from core.devices import devices

    return devices()


def _versions() -> dict[str, str]:
    from desktop_app.shell import report

    return report.versions()


def _quoted(folder: Path) -> str:
    return f'"{folder}"' if sys.platform == "win32" else shlex.quote(str(folder))


def _clear(layout: QGridLayout | QVBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
