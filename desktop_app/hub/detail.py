"""A model of the Hub in full: what it would take here, what the law says of it, its card and its files. It shows; the page acts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Qt, QUrl, Signal, SignalInstance
from PySide6.QtGui import QDesktopServices, QTextDocument
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QScrollArea, QTextBrowser, QVBoxLayout, QWidget

from core import hub, law
from core.devices import Device
from core.hub import Details
from core.numbers import bytes_text, count_text
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.forms import parts
from desktop_app.forms.field import Elided, button, card
from desktop_app.hub.table import Row
from desktop_app.icons import icon
from desktop_app.sign import Sign

CARD_CHARACTERS = 20_000  # of a model card; the rest is on its page
CARD_HEIGHT = 360  # px
FILES_SHOWN = 12
FRONT_MATTER = re.compile(r"\A\s*---\n.*?\n---\n", re.DOTALL)


@dataclass(frozen=True)
class Machine:
    """What a download and a model find here; None of the bytes where the disk could not be asked."""

    devices: tuple[Device, ...]
    free_bytes: int | None
    cache: str


class CardText(QTextBrowser):
    """A model card. Nothing that it names is fetched or read from the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.setOpenLinks(False)
        self.setMinimumHeight(CARD_HEIGHT)
        self.setAccessibleName(self.tr("Model card"))
        self.anchorClicked.connect(self._follow)

    def show_card(self, text: str) -> None:
        plain = FRONT_MATTER.sub("", text)
        shown = plain[:CARD_CHARACTERS] + ("\n\n…" if len(plain) > CARD_CHARACTERS else "")
        features = QTextDocument.MarkdownFeature.MarkdownDialectGitHub
        self.document().setMarkdown(_without_pictures(shown), features | QTextDocument.MarkdownFeature.MarkdownNoHTML)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:  # noqa: N802
        return None

    def _follow(self, link: QUrl) -> None:
        if link.scheme() in ("http", "https"):
            QDesktopServices.openUrl(link)


def _without_pictures(markdown: str) -> str:
    """Pictures become their words; tags that stand by themselves go."""
    return re.sub(r"</?[A-Za-z][^<>\n]*>", "", re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", markdown))


class HubDetail(QScrollArea):
    """`show_row` at once, `show_details` when the Hub has answered."""

    download_wanted = Signal(str)
    look_up_wanted = Signal(str)
    token_wanted = Signal()
    page_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(352)
        self.setAccessibleName(self.tr("The picked model of the Hub"))
        self.row: Row | None = None
        self.details: Details | None = None
        self._machine: Machine | None = None
        self._student: float | None = None
        self._state, self._offline = "", False
        self._takes_token = False  # as the Hub has just said
        self.name, self.facts = Elided(), parts.words("muted")
        theme.set_role(self.name, "title")
        self.download = button(self.tr("Download"), "hub", "primary")
        self.look_up = button(self.tr("Look it up on the Hub"), "search")
        self.page = button(self.tr("Open its page"), "right", "quiet")
        self.token = button(self.tr("Give a token…"), "private", "quiet")
        self.takes, self.trouble, self.refused = parts.words("small"), parts.words("error"), parts.words("warning")
        self.fits, self.law_sign, self.law = _Fits(), Sign(size=18), parts.words()
        self.card, self.files = CardText(), parts.words("muted")
        self._lay_out()
        self.download.clicked.connect(lambda: self._emit(self.download_wanted))
        self.look_up.clicked.connect(lambda: self._emit(self.look_up_wanted))
        self.page.clicked.connect(lambda: self._emit(self.page_wanted))
        self.token.clicked.connect(self.token_wanted)

    def _lay_out(self) -> None:
        buttons = FlowLayout()
        for one in (self.download, self.look_up, self.token, self.page):
            buttons.addWidget(one)
        about_law = QWidget()
        line = QHBoxLayout(about_law)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme.SPACE)
        line.addWidget(self.law_sign, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.law, 1)
        self.fits_card = card(self.fits, title=self.tr("Fits this machine?"))
        self.law_card = card(about_law, title=self.tr("As a teacher"))
        self.text_card = card(self.card, title=self.tr("Model card"))
        self.files_card = card(self.files, title=self.tr("What is downloaded"))
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(theme.SPACE, 0, theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.name)
        layout.addWidget(self.facts)
        layout.addLayout(buttons)
        for label in (self.takes, self.refused, self.trouble):
            layout.addWidget(label)
        layout.addSpacing(theme.SPACE)
        for widget in (self.fits_card, self.law_card, self.files_card, self.text_card):
            layout.addWidget(widget)
            layout.addSpacing(theme.SPACE)
        layout.addStretch(1)
        self.setWidget(content)

    def _emit(self, signal: SignalInstance) -> None:
        if self.row is not None:
            signal.emit(self.row.name)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_row(self, row: Row) -> None:
        other = self.row is None or self.row.name != row.name
        self.row = row
        if other:
            self.details = None
            self._takes_token = False
            self.trouble.setText("")
            self.verticalScrollBar().setValue(0)
        self._show()

    def show_details(self, details: Details) -> None:
        if self.row is not None and details.name == self.row.name:
            self.details = details
            self.trouble.setText("")
            self.card.show_card(details.card or self.tr("*It has no card.*"))
            self._show()

    def show_trouble(self, text: str, *, takes_token: bool = False) -> None:
        self.trouble.setText(text)
        self._takes_token = takes_token
        self._show()

    def show_looking(self) -> None:
        self.trouble.setText("")
        self.takes.setText(self.tr("Asking the Hub…"))

    def set_machine(self, machine: Machine) -> None:
        self._machine = machine
        self._show()

    def set_student(self, student: float | None) -> None:
        self._student = student
        self._show()

    def set_download_state(self, state: str, *, offline: bool) -> None:
        """How far its download is, if it was begun; whether the Hub may be asked."""
        if (state, offline) != (self._state, self._offline):
            self._state, self._offline = state, offline
            self._show()

    def _parameters(self) -> int | None:
        return (self.details.parameters if self.details else None) or (self.row.parameters if self.row else None)

    def _show(self) -> None:
        if self.row is None:
            return
        self.name.set_text(self.row.name)
        self.facts.setText(self._fact_line(self.row, self.details))
        details, parameters = self.details, self._parameters()
        refused = details.refused if details is not None else None
        self.refused.setText(refused or self._gated_words())
        self.refused.setVisible(bool(self.refused.text()))
        self.trouble.setVisible(bool(self.trouble.text()))
        self.takes.setText(self._takes())
        self.token.setVisible(self.row.gated or self._takes_token)
        self.look_up.setVisible(details is None)
        self.look_up.setEnabled(not self._offline)
        self.look_up.setToolTip(self.tr("The program is offline.") if self._offline else "")
        self.fits_card.setVisible(bool(parameters and self._machine))
        if parameters and self._machine is not None:
            self.fits.show_fits(parameters, self._machine.devices)
        self._show_law(parameters)
        self.files_card.setVisible(bool(details and details.files))
        self.text_card.setVisible(details is not None)
        if details is not None:
            self.files.setText(self._file_words(details))
        self._offer()

    def _fact_line(self, row: Row, details: Details | None) -> str:
        license_name = (details.license if details else None) or row.license or self.tr("not told")
        size = self._parameters()
        facts = [
            self.tr("%s parameters") % (count_text(size) if size else self.tr("unknown")),
            (details.architecture if details else None) or row.architecture or self.tr("unknown architecture"),
            self.tr("licence %s") % license_name,
        ]
        if details is not None and details.dtypes:
            facts.append("/".join(details.dtypes))
        if row.known is not None:
            facts += [self.tr("%d layers") % row.known.layers, self.tr("context %s") % f"{row.known.context:,}"]
        downloads = details.downloads if details is not None else row.downloads
        if downloads is not None:
            facts.append(self.tr("%s downloads") % f"{downloads:,}")
        return " · ".join(facts)

    def _gated_words(self) -> str:
        if self.row is None or not self.row.gated:
            return ""
        return self.tr("Its authors want their terms accepted first: do so on its page, then give a token.")

    def _takes(self) -> str:
        """What a download takes, and what there is."""
        free = self._machine.free_bytes if self._machine is not None else None
        room = self.tr("; %s are free") % bytes_text(free) if free is not None else ""
        if self.details is not None:
            count = len(self.details.files)
            return self.tr("%s in %d files%s.") % (bytes_text(self.details.size_bytes), count, room) if count else ""
        if self.row is not None and self.row.parameters:
            size = bytes_text(round(self.row.parameters * hub.BYTES_A_WEIGHT["bfloat16"]))
            return self.tr("About %s in bfloat16%s. The Hub has not been asked yet.") % (size, room)
        return ""

    def _show_law(self, parameters: int | None) -> None:
        self.law_card.setVisible(parameters is not None)
        if parameters is None:
            return
        if self._student:
            badge = law.badge(parameters, self._student)
            good = badge is law.Badge.IN_BAND
            words = self.tr("For a student of %s: %s. %s") % (count_text(self._student), badge.word, badge.sentence)
            self.law_sign.set_icon(icon("good" if good else "warning", "good" if good else "warning"))
        else:
            told = law.student_for_teacher(parameters)
            low, high = told.band
            words = self.tr("By the law it teaches students of %s to %s best. Say above how large yours is.")
            words = words % (count_text(low), count_text(high))
            self.law_sign.set_icon(icon("info", "muted"))
        self.law.setText(words)

    def _file_words(self, details: Details) -> str:
        shown = [f"{file.name}  {bytes_text(file.size_bytes)}" for file in details.files[:FILES_SHOWN]]
        if (more := len(details.files) - FILES_SHOWN) > 0:
            shown.append(self.tr("and %d more") % more)
        if details.left_out:
            shown.append(self.tr("%d other files are left out: other formats, pictures, code.") % details.left_out)
        return "\n".join(shown)

    def _offer(self) -> None:
        """The button, and why it can't be pressed."""
        why_not = ""
        free = self._machine.free_bytes if self._machine is not None else None
        size = self.details.size_bytes if self.details is not None else 0
        if self._state == "running":
            why_not = self.tr("It is being downloaded.")
        elif self._state == "finished":
            why_not = self.tr("It is here already.")
        elif self._offline:
            why_not = self.tr("The program is offline: see Settings, Hugging Face Hub.")
        elif self.details is not None and self.details.refused:
            why_not = self.details.refused
        elif free is not None and size > free:
            why_not = self.tr("It takes %s, and %s are free.") % (bytes_text(size), bytes_text(free))
        going_on = self._state in ("paused", "failed", "interrupted")
        self.download.setText(self.tr("Go on with the download") if going_on else self.tr("Download"))
        self.download.setEnabled(not why_not)
        self.download.setToolTip(why_not)
        self.download.setAccessibleDescription(why_not)
        if why_not and self._state in ("", "paused", "failed", "interrupted") and not self.refused.text():
            self.refused.setText(why_not)
            self.refused.show()


class _Fits(QWidget):
    """For each precision what reading the model takes, and on which device there is room; the labels are used again."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.SPACE)
        self._grid.setVerticalSpacing(6)
        self._lines: list[tuple[Sign, QLabel, QLabel]] = []
        self._grid.setColumnStretch(2, 1)

    def show_fits(self, parameters: int, devices: Sequence[Device]) -> None:
        fits = hub.fits(parameters, devices)
        precisions = list(dict.fromkeys(fit.precision for fit in fits))
        while len(self._lines) < len(precisions):
            self._add_line()
        for number, labels in enumerate(self._lines):
            for label in labels:
                label.setVisible(number < len(precisions))
        for precision, (sign, name, told) in zip(precisions, self._lines, strict=False):
            here = [fit for fit in fits if fit.precision == precision]
            good = [fit.device for fit in here if fit.fits]
            sign.set_icon(icon("good" if good else "error", "good" if good else "error"))
            name.setText(precision)
            need = bytes_text(here[0].needed_bytes)
            free = ", ".join(self.tr("%s free on %s") % (bytes_text(fit.free_bytes), fit.device) for fit in here)
            where = self.tr("fits on %s") % ", ".join(good) if good else self.tr("too large: %s") % free
            told.setText(self.tr("%s, %s") % (need, where))

    def _add_line(self) -> None:
        row = len(self._lines)
        sign, name, told = Sign(size=16), QLabel(), parts.words("muted")
        self._grid.addWidget(sign, row, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(name, row, 1, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(told, row, 2)
        self._lines.append((sign, name, told))
