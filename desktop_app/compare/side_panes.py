"""Beside the figures: the settings that differ, and what the models write after the same words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QGridLayout,
    QHeaderView,
    QLabel,
    QScrollArea,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.compare import Comparison, Entry
from desktop_app import theme
from desktop_app.charts.markers import marker_icon
from desktop_app.compare.words import setting_name, setting_text
from desktop_app.forms.field import Elided
from desktop_app.forms.parts import words
from desktop_app.runs.empty import Empty


class SettingsPane(QStackedWidget):
    """A line for each setting that is not the same in all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.nothing = QTableWidget(), Empty()
        self.table.setAccessibleName(self.tr("Settings that differ"))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.setWordWrap(False)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(34)
        self.table.horizontalHeader().setHighlightSections(False)
        self.table.horizontalHeader().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.addWidget(self.table)
        self.addWidget(self.nothing)

    def show_comparison(self, comparison: Comparison, numbers: list[int]) -> None:
        differing = comparison.differing()
        known = sum(bool(entry.settings) for entry in comparison.entries)
        if not differing:
            told = self.tr("The runs of these models have the same settings.") if known > 1 else self.tr(
                "Settings are known of models that a run here made; two of them can be compared."
            )  # fmt: skip
            self.nothing.say("good" if known > 1 else "compare", self.tr("No settings differ."), told, [])
            self.setCurrentWidget(self.nothing)
            return
        table = self.table
        table.clear()
        table.setRowCount(len(differing))
        table.setColumnCount(len(comparison.entries) + 1)
        table.setHorizontalHeaderItem(0, _heading(self.tr("Setting")))
        for at, entry in enumerate(comparison.entries):
            item = _heading(entry.name)
            item.setIcon(marker_icon(numbers[at], theme.series_colour(numbers[at])))
            item.setToolTip(entry.word)
            table.setHorizontalHeaderItem(at + 1, item)
        for row, (name, values) in enumerate(differing.items()):
            for column, text in enumerate([setting_name(name), *map(setting_text, values)]):
                item = QTableWidgetItem(text)
                item.setToolTip(text if column else name)
                table.setItem(row, column, item)
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.setCurrentWidget(table)


def _heading(text: str) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setTextAlignment(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
    return item


class SamplesPane(QStackedWidget):
    """What the models wrote last after each prompt, in columns."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[object, ...] = ()
        self.area, self.nothing = QScrollArea(), Empty()
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setAccessibleName(self.tr("What they write"))
        self.addWidget(self.area)
        self.addWidget(self.nothing)

    def show_entries(self, entries: Sequence[Entry], numbers: Sequence[int]) -> None:
        with_samples = [(entry, number) for entry, number in zip(entries, numbers, strict=True) if entry.samples]
        if not with_samples:
            told = self.tr("Distillations write samples while they train. In Chat, any models answer side by side.")
            self.nothing.say("chat", self.tr("No samples here."), told, [])
            self.setCurrentWidget(self.nothing)
            return
        told_now = (
            theme.colours(),
            tuple((entry.word, number, tuple(entry.samples.items())) for entry, number in with_samples),
        )
        if told_now != self._shown:
            self._shown = told_now
            before = self.area.takeWidget()
            self.area.setWidget(self._grid(with_samples))
            if before is not None:
                before.deleteLater()  # not at once: while the theme changes, Qt goes through all widgets there are
        self.setCurrentWidget(self.area)

    def _grid(self, entries: Sequence[tuple[Entry, int]]) -> QWidget:
        inner = QWidget()
        grid = QGridLayout(inner)
        grid.setContentsMargins(0, theme.SPACE, theme.SPACE, theme.SPACE)
        grid.setHorizontalSpacing(2 * theme.SPACE)
        grid.setVerticalSpacing(theme.SPACE)
        for at, (entry, number) in enumerate(entries):
            head = QLabel()
            head.setPixmap(marker_icon(number, theme.series_colour(number)).pixmap(14, 14))
            name = Elided(entry.name)
            line = QWidget()
            row = QGridLayout(line)
            row.setContentsMargins(0, 0, 0, 0)
            row.addWidget(head, 0, 0)
            row.addWidget(name, 0, 1)
            row.setColumnStretch(1, 1)
            grid.addWidget(line, 0, at)
            grid.setColumnStretch(at, 1)
        prompts = dict.fromkeys(prompt for entry, _ in entries for prompt in entry.samples)
        for number, prompt in enumerate(prompts):
            said = words("muted", prompt)
            grid.addWidget(said, 2 * number + 1, 0, 1, len(entries))
            for at, (entry, _) in enumerate(entries):
                grid.addWidget(_text(entry.samples.get(prompt)), 2 * number + 2, at)
        grid.setRowStretch(2 * len(prompts) + 1, 1)
        return inner


def _text(text: str | None) -> QWidget:
    frame = QFrame()
    theme.set_role(frame, "card")
    label = words(None if text else "muted", "–" if text is None else text)
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(12, 10, 12, 10)
    layout.addWidget(label)
    layout.addStretch(1)
    return frame
