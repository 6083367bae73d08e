"""The picked data set: what it is and why, what to do with it, its rows as a model sees them, its statistics. It shows; the page acts."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from core.data.inspection import Finding, Inspection
from core.data.shelf import DataSet
from core.numbers import bytes_text
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.data.preview_pane import PreviewPane
from desktop_app.data.reading import Glimpse
from desktop_app.data.statistics_pane import StatisticsPane
from desktop_app.data.words import amount_text, container_word, format_word, quoted
from desktop_app.forms import Segmented
from desktop_app.forms.field import Elided, button
from desktop_app.forms.parts import words
from desktop_app.icons import icon
from desktop_app.sign import Sign

SHOWN_PROBLEMS = 3
UNKNOWN = "table"  # a format whose columns nobody knows


class Detail(QWidget):
    """`show_data` at once, `show_glimpse` and `show_inspection` when they come."""

    skip_changed = Signal(bool)
    count_wanted = Signal()

    def __init__(self, context: Context, uses: Sequence[Command], others: Sequence[Command]) -> None:
        super().__init__()
        self._entry: DataSet | None = None
        self._glimpse: Glimpse | None = None
        self._inspection: Inspection | None = None
        self._commands = [*uses, *others]
        self.buttons = [_command_button(one, "primary" if at == 0 else None) for at, one in enumerate(uses)]
        self.buttons += [_command_button(one, "quiet") for one in others]
        self._uses = len(uses)
        self.name, self.place = words("title"), Elided()
        theme.set_role(self.place, "small")
        self.format, self.amount = words(), Elided()
        theme.set_role(self.amount, "muted")
        self.count_all = button(self.tr("Count them all"), "measure", "quiet")
        self.problems = words("warning")
        self.problem_sign = Sign(icon("warning", "warning"))
        self.skip = QCheckBox(self.tr("Skip rows that can't be read, and count them"))
        self.areas = Segmented([("rows", self.tr("As a model sees it")), ("statistics", self.tr("Statistics"))])
        self.areas.setAccessibleName(self.tr("What is shown of the data"))
        self.preview, self.statistics = PreviewPane(), StatisticsPane(context)
        self.pages = QStackedWidget()
        self._lay_out()
        self.areas.chosen.connect(self.show_area)
        self.skip.clicked.connect(self.skip_changed)
        self.count_all.clicked.connect(self.count_wanted)

    def _lay_out(self) -> None:
        uses, place, amount = FlowLayout(), QHBoxLayout(), QHBoxLayout()
        place.setSpacing(0)
        place.addWidget(self.place, 1)
        for at, one in enumerate(self.buttons):
            (uses if at < self._uses else place).addWidget(one)
        amount.setSpacing(theme.SPACE)
        amount.addWidget(self.amount, 1)
        amount.addWidget(self.count_all)
        self._below = QWidget()  # keeps what stands above at the top, where there are no rows
        self._mind = QWidget()
        mind = QHBoxLayout(self._mind)
        mind.setContentsMargins(0, 0, 0, 0)
        mind.setSpacing(theme.SPACE)
        mind.addWidget(self.problem_sign, 0, Qt.AlignmentFlag.AlignTop)
        mind.addWidget(self.problems, 1)
        for pane in (self.preview, self.statistics):
            self.pages.addWidget(pane)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.name)
        layout.addLayout(place)
        layout.addLayout(uses)
        layout.addSpacing(4)
        layout.addWidget(self.format)
        layout.addLayout(amount)
        layout.addWidget(self._mind)
        layout.addWidget(self.skip)
        layout.addSpacing(theme.SPACE)
        layout.addWidget(self.areas)
        layout.addWidget(self.pages, 1)
        layout.addWidget(self._below, 1)

    def show_area(self, name: str) -> None:
        """The rows, or the statistics."""
        self.areas.choose(name)
        self.pages.setCurrentWidget(self.statistics if name == "statistics" else self.preview)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_data(self, entry: DataSet) -> None:
        """What the library knows of it; the rest follows."""
        if self._entry is None or self._entry.path != entry.path:
            self._glimpse = self._inspection = None
            self.preview.show_waiting()
        self._entry = entry
        self.name.setText(entry.name)
        self.place.set_text(str(entry.path))
        self._say()

    def show_glimpse(self, glimpse: Glimpse) -> None:
        self._glimpse = glimpse
        self.preview.show_glimpse(glimpse)
        self._say()

    def show_inspection(self, inspection: Inspection | None) -> None:
        """What was counted with the columns as they are named now."""
        self._inspection = inspection
        self._say()

    def entry(self) -> DataSet | None:
        return self._entry

    def look_at_commands(self) -> None:
        """A button that can't do its work now says why; one whose words depend on what is picked says them."""
        for one, command in zip(self.buttons, self._commands, strict=True):
            why_not = command.why_not()
            one.setEnabled(not why_not)
            one.setToolTip(why_not or (command.shortcut and f"{command.text} ({command.shortcut})") or "")

    def _say(self) -> None:
        entry, seen = self._entry, self._glimpse
        if entry is None:
            return
        broken = (seen.trouble if seen and not seen.rows else "") or (entry.broken if seen is None else "") or ""
        theme.set_role(self.format, "error" if broken else None)
        what = seen.recognised if seen else None
        if broken:
            self.format.setText(broken)
        elif what is not None:
            self.format.setText(f"{format_word(what.format)}: {quoted(what.reason)}.")
        else:
            self.format.setText(format_word(entry.format) if entry.format else self.tr("Looking into it…"))
        self._say_amount(entry, broken=bool(broken))
        self._say_problems(broken=bool(broken))
        self.areas.setVisible(not broken)
        self.pages.setVisible(not broken)
        self._below.setVisible(bool(broken))
        self.look_at_commands()

    def _say_amount(self, entry: DataSet, *, broken: bool) -> None:
        counted, what = self._inspection, self._glimpse.recognised if self._glimpse else None
        documents, exact, kind = entry.documents, entry.exact, entry.kind or ""
        if counted is not None and (counted.exact or documents is None):
            documents, exact, kind = counted.documents, counted.exact, counted.recognised.kind
        elif what is not None:
            kind = what.kind
        if what is not None and what.format == UNKNOWN:
            documents = None  # nobody can say yet what its rows are
        parts = [] if documents is None or broken else [amount_text(kind, documents, exact=exact)]
        size = entry.size_bytes if entry.size_bytes is not None else counted.bytes if counted else None
        parts += [] if size is None else [bytes_text(size)]
        files = len(counted.files) if counted else 1
        parts += [self.tr("%d files") % files] if files > 1 else []
        if what is not None:
            parts.append(container_word(what.container, what.compression))
        self.amount.set_text(" · ".join(parts))
        self.amount.setVisible(bool(parts))
        self.count_all.setVisible(documents is not None and not exact and not broken)

    def _say_problems(self, *, broken: bool) -> None:
        """The findings, of each its count and first place; and the choice what to do with broken rows."""
        counted = self._inspection
        unknown = bool(counted and counted.recognised.format == UNKNOWN)  # the columns have to be named first
        found = [] if counted is None or broken or unknown else counted.problems
        shown = [self._finding(one, exact=bool(counted and counted.exact)) for one in found[:SHOWN_PROBLEMS]]
        if len(found) > SHOWN_PROBLEMS:
            shown.append(self.tr("And %d more; statistics list them all.") % (len(found) - SHOWN_PROBLEMS))
        self.problems.setText("\n".join(shown))
        self._mind.setVisible(bool(shown))
        skipping = bool(self._glimpse and self._glimpse.reading.skip_broken)
        self.skip.setVisible(not broken and not unknown and (skipping or bool(counted and counted.broken)))
        self.skip.setChecked(skipping)

    def _finding(self, one: Finding, *, exact: bool) -> str:
        count = f"{one.count:,}" if exact else self.tr("≥ %s") % f"{one.count:,}"
        rows = self.tr("1 row") if one.count == 1 and exact else self.tr("%s rows") % count
        first = one.first.replace(str(self._entry.path), self._entry.name) if self._entry else one.first
        return self.tr("%s: %s (first: %s)") % (rows, quoted(one.text), quoted(first).removesuffix("."))


def _command_button(command: Command, role: theme.Role | None) -> QPushButton:
    made = button(command.text, command.icon, role)
    made.clicked.connect(lambda: None if command.why_not() else command.run())
    return made
