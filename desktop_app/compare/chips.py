"""The ticked models and runs as chips: each with its mark and colour, shown or hidden, and taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.charts.markers import marker_icon
from desktop_app.forms.field import button
from desktop_app.icons import icon

NAME_WIDTH = 240  # px, at most


@dataclass(frozen=True)
class ChipFacts:
    """`number` picks colour and mark; `trouble` says why it can't be shown."""

    word: str
    name: str
    number: int
    shown: bool = True
    note: str = ""
    trouble: str = ""


class Chip(QFrame):
    """One of them."""

    switched = Signal(str, bool)
    removed = Signal(str)

    def __init__(self, facts: ChipFacts) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self.facts = facts
        self.name, self.remove = QToolButton(), QToolButton()
        self.name.setCheckable(True)
        self.name.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.name.setIconSize(QSize(16, 16))
        self.name.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.remove.setIcon(icon("remove", "muted"))
        self.remove.setIconSize(QSize(14, 14))
        for one in (self.name, self.remove):
            theme.set_role(one, "quiet")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.name)
        layout.addWidget(self.remove)
        self.name.clicked.connect(lambda shown: self.switched.emit(self.facts.word, shown))
        self.remove.clicked.connect(lambda: self.removed.emit(self.facts.word))
        self.set_facts(facts)

    def set_facts(self, facts: ChipFacts) -> None:
        self.facts = facts
        text = f"{facts.name} · {facts.note}" if facts.note else facts.name
        short = self.name.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, NAME_WIDTH)
        self.name.setText(short.replace("&", "&&"))
        self.name.setChecked(facts.shown)
        state = self.tr("shown") if facts.shown else self.tr("hidden")
        hint = self.tr("Press to hide it in the charts.") if facts.shown else self.tr("Press to show it in the charts.")
        self.name.setToolTip("\n".join([text, facts.trouble or hint]))
        self.name.setAccessibleName(f"{facts.name}, {facts.trouble or state}")
        self.remove.setToolTip(self.tr("Take away"))
        self.remove.setAccessibleName(self.tr("Take %s away") % facts.name)
        self._colour()

    def _colour(self) -> None:
        facts = self.facts
        if facts.trouble:
            self.name.setIcon(icon("warning", "warning"))
        else:
            ground = "" if facts.shown else theme.colours().surface
            self.name.setIcon(marker_icon(facts.number, theme.series_colour(facts.number), hollow_on=ground))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "facts") and hasattr(self, "name"):
            self._colour()


class Chips(QWidget):
    """A row that goes on in the next line; at its end the button that adds."""

    switched = Signal(str, bool)
    removed = Signal(str)
    add_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.chips: dict[str, Chip] = {}
        self.add = button(self.tr("Add models or runs…"), "add")
        self._layout = FlowLayout(self)
        self._layout.addWidget(self.add)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.add.clicked.connect(self.add_wanted)

    def set_chips(self, facts: Sequence[ChipFacts]) -> None:
        words = [one.word for one in facts]
        if words == list(self.chips):
            for one in facts:
                self.chips[one.word].set_facts(one)
            return
        kept = {word: chip for word, chip in self.chips.items() if word in words}
        for word, chip in self.chips.items():
            if word not in kept:
                chip.hide()
                chip.deleteLater()
        while self._layout.takeAt(0) is not None:
            pass
        self.chips = {}
        for one in facts:
            chip = kept.get(one.word) or self._new(one)
            chip.set_facts(one)
            self.chips[one.word] = chip
            self._layout.addWidget(chip)
        self._layout.addWidget(self.add)
        self.updateGeometry()

    def _new(self, facts: ChipFacts) -> Chip:
        chip = Chip(facts)
        chip.switched.connect(self.switched)
        chip.removed.connect(self.removed)
        return chip
