"""The About dialog: what this is, under which licence, on whose work it rests, and a report to copy."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication, QIcon
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

import core
import resources
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.forms.field import button
from desktop_app.work import in_background

LICENCE = "Apache-2.0"
LONGEST = 60  # characters of a licence; some packages put the whole text there


def app_icon() -> QIcon:
    """The application's icon, a pot still."""
    return QIcon(str(Path(resources.__path__[0]) / "icon" / "stillroom.svg"))


@dataclass(frozen=True)
class Library:
    name: str
    version: str
    licence: str


class AboutDialog(QDialog):
    """`run` is the one that a report should tell of."""

    def __init__(self, context: Context, parent: QWidget | None = None, run: str | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.run_id = run
        self.setWindowTitle(self.tr("About Stillroom"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.libraries = QTableWidget(0, 3)
        self.with_paths = QCheckBox(self.tr("Include paths and names of mine"))
        self.copy = button(self.tr("Copy report"), "copy")
        self.close_button = button(self.tr("Close"))
        self.said = QLabel()
        self._lay_out()
        self.copy.clicked.connect(self.copy_report)
        self.close_button.clicked.connect(self.accept)
        self.close_button.setFocus()
        in_background(self, installed, self._show_libraries)

    def _lay_out(self) -> None:
        self._prepare_table()
        words = self.tr("Distill language models on your own workstation. Nothing leaves it unless you ask.")
        about = _wrapped(words)
        rests = _wrapped(self.tr("It rests on these libraries:"))
        theme.set_role(rests, "small")
        self.with_paths.setToolTip(
            self.tr("Without this, your folder becomes ~ and your and your computer's names go.")
        )
        theme.set_role(self.said, "small")
        self.said.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE)
        buttons.addWidget(self.copy)
        buttons.addWidget(self.with_paths)
        buttons.addStretch(1)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 3 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        layout.addLayout(self._head())
        layout.addWidget(about)
        layout.addWidget(rests)
        layout.addWidget(self.libraries, 1)
        layout.addWidget(self.said)
        layout.addLayout(buttons)
        self.resize(560, 560)

    def _head(self) -> QHBoxLayout:
        mark = QLabel()
        mark.setPixmap(app_icon().pixmap(QSize(64, 64)))
        mark.setAccessibleName(self.tr("Stillroom's icon, a pot still"))
        name = QLabel("Stillroom")
        theme.set_role(name, "head")
        version = QLabel(self.tr("Version %s, licence %s") % (core.__version__, LICENCE))
        version.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        theme.set_role(version, "muted")
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addStretch(1)
        texts.addWidget(name)
        texts.addWidget(version)
        texts.addStretch(1)
        head = QHBoxLayout()
        head.setSpacing(2 * theme.SPACE)
        head.addWidget(mark)
        head.addLayout(texts, 1)
        return head

    def _prepare_table(self) -> None:
        table = self.libraries
        table.setAccessibleName(self.tr("Libraries and their licences"))
        table.setHorizontalHeaderLabels([self.tr("Library"), self.tr("Version"), self.tr("Licence")])
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setTabKeyNavigation(False)
        table.setShowGrid(False)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(30)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)

    def _show_libraries(self, found: list[Library]) -> None:
        self.libraries.setRowCount(len(found))
        for row, library in enumerate(found):
            for column, words in enumerate((library.name, library.version, library.licence)):
                item = QTableWidgetItem(words or self.tr("not stated"))
                item.setToolTip(words)
                self.libraries.setItem(row, column, item)

    def copy_report(self) -> None:
        """Gather the report in the background and put it into the clipboard."""
        from desktop_app.shell import report

        self.copy.setEnabled(False)
        self.copy.setToolTip(self.tr("The report is being gathered."))
        self.said.setText(self.tr("Gathering the report…"))
        work = partial(report.text, self.context, self.run_id, self.with_paths.isChecked())
        in_background(self, work, self._copied)

    def _copied(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.copy.setEnabled(True)
        self.copy.setToolTip("")
        lines = text.count("\n")
        if self.with_paths.isChecked():
            words = self.tr("Copied %d lines, with paths and names. Read them before you send them.") % lines
        else:
            words = self.tr("Copied %d lines. Your folder, your name and your computer's name are taken out.") % lines
        self.said.setText(words)


def installed() -> list[Library]:
    """What the program depends on, as installed here. Reads the packages' metadata."""
    try:
        asked = importlib.metadata.requires("stillroom") or []
    except importlib.metadata.PackageNotFoundError:  # run from a folder, never installed
        asked = []
    found = []
    for requirement in asked:
        if "extra ==" in requirement:
            continue
        name = _name_in(requirement)
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(Library(name, metadata["Version"], _licence(metadata)))
    return sorted(found, key=lambda library: library.name.casefold())


def _name_in(requirement: str) -> str:
    end = next((at for at, letter in enumerate(requirement) if not (letter.isalnum() or letter in "-_.")), None)
    return requirement[:end]


def _licence(metadata: importlib.metadata.PackageMetadata) -> str:
    said = str(metadata.get("License-Expression") or metadata.get("License") or "").strip().splitlines()  # type: ignore[attr-defined]
    first = said[0] if said else ""
    if first and len(first) <= LONGEST:
        return first
    classified = [
        one.rpartition(" :: ")[2] for one in metadata.get_all("Classifier") or [] if one.startswith("License")
    ]
    return ", ".join(one for one in classified if one != "OSI Approved") or first[:LONGEST]


def _wrapped(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    return label
