"""What a teacher wrote: how many rows were kept and why others were not, the beginning of the file, and its use as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, Signal
from PySide6.QtGui import QTextBlockFormat, QTextCursor
from PySide6.QtWidgets import QFrame, QLabel, QTextEdit, QVBoxLayout

from core.numbers import count_text, duration_text
from core.state import History
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.forms.field import button
from desktop_app.runs.dossier import Dossier, WrittenRow, row_of
from desktop_app.runs.facts import Fact, FactsView, Section
from desktop_app.runs.samples import ink_format, one_block

translate = QCoreApplication.translate


def rows_of(history: History, dossier: Dossier | None) -> tuple[WrittenRow, ...]:
    """Rows to look at: of the file, of a preview's results, or those that were told while the teacher writes."""
    if dossier is not None and dossier.written:
        return dossier.written
    told = history.results.get("rows")
    if isinstance(told, list):
        return tuple(row for raw in told if (row := row_of(raw)) is not None)
    return tuple(WrittenRow(sample.prompt, sample.text) for sample in history.samples)


def reason_word(reason: str) -> str:
    words = {
        "not ended": translate("written", "broke off before the end"),
        "too short": translate("written", "too short"),
        "repetitive": translate("written", "repetitive"),
        "there already": translate("written", "there already"),
        "least likely": translate("written", "least likely"),
    }
    return words.get(reason, reason)


def figures_of(results: dict[str, Any]) -> tuple[Fact, ...]:
    """What the results of a writing run say, in words. Fields that another version wrote otherwise are left out."""
    facts = []
    kept, written = results.get("kept"), results.get("written")
    if isinstance(kept, int) and isinstance(written, int):
        facts.append(Fact(translate("written", "Rows kept"), translate("written", "%s of %s") % (f"{kept:,}", f"{written:,}")))  # fmt: skip
    dropped = results.get("dropped")
    if isinstance(dropped, dict):
        told = [f"{count:,} {reason_word(str(reason))}" for reason, count in dropped.items() if isinstance(count, int)]
        facts.append(Fact(translate("written", "Rows dropped"), ", ".join(told) or translate("written", "none")))
    if isinstance(tokens := results.get("tokens"), int):
        facts.append(Fact(translate("written", "Tokens kept"), count_text(tokens)))
    speed, seconds = results.get("tokens_per_second"), results.get("seconds")
    if isinstance(seconds, int | float) and isinstance(speed, int | float):
        took = translate("written", "%s, at %s tokens a second") % (duration_text(seconds), count_text(speed))
        facts.append(Fact(translate("written", "Time"), took))
    return tuple(facts)


class WrittenCard(QFrame):
    """The outcome of a run that wrote text."""

    data_wanted = Signal()
    folder_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self.title = QLabel(self.tr("Written text"))
        theme.set_role(self.title, "title")
        self.facts = FactsView()
        self.use = button(self.tr("Use as data"), "plan")
        self.folder = button(self.tr("Open its folder"), "folder_open")
        buttons = FlowLayout()
        buttons.addWidget(self.use)
        buttons.addWidget(self.folder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.title)
        layout.addWidget(self.facts)
        layout.addLayout(buttons)
        self.use.clicked.connect(self.data_wanted)
        self.folder.clicked.connect(self.folder_wanted)
        self.hide()

    def show_written(self, history: History, dossier: Dossier | None) -> None:
        """Show what came of it; hidden until there is something."""
        results, file = history.results, dossier.written_file if dossier else None
        self.setVisible(bool(results))
        if not results:
            return
        preview = "rows" in results
        where = str(file) if file else self.tr("none: a preview keeps nothing") if preview else self.tr("it is gone")
        facts = (*figures_of(results), Fact(self.tr("File"), where))
        self.facts.set_sections([Section("", facts)])
        for one in (self.use, self.folder):
            one.setVisible(not preview)
            one.setEnabled(file is not None)
            one.setToolTip("" if file is not None else self.tr("The file is not there any more."))


class WrittenView(QTextEdit):
    """The first rows of what was written, prompts muted; what was dropped says why."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setAccessibleName(self.tr("Rows that the teacher wrote"))
        self.setPlaceholderText(self.tr("Rows appear here as the teacher writes them."))
        self.document().setDocumentMargin(theme.SPACE)
        self._shown: tuple[WrittenRow, ...] = ()

    def rows(self) -> tuple[WrittenRow, ...]:
        return self._shown

    def set_rows(self, rows: Sequence[WrittenRow]) -> None:
        if tuple(rows) == self._shown:
            return
        self._shown = tuple(rows)
        place = self.verticalScrollBar().value()
        self.clear()
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        for number, row in enumerate(self._shown, 1):
            self._write(cursor, number, row)
        cursor.endEditBlock()
        self.verticalScrollBar().setValue(place)

    def _write(self, cursor: QTextCursor, number: int, row: WrittenRow) -> None:
        head, body = QTextBlockFormat(), QTextBlockFormat()
        body.setBottomMargin(2 * theme.SPACE)
        if number > 1:
            cursor.insertBlock(head)
        cursor.setBlockFormat(head)
        cursor.insertText(self.tr("Row %s") % f"{number:,}", ink_format("muted", theme.SMALL))
        if row.dropped:
            why = self.tr(" · dropped: %s") % reason_word(row.dropped)
            cursor.insertText(why, ink_format("warning", theme.SMALL))
        cursor.insertBlock(body)
        cursor.insertText(one_block(row.prompt), ink_format("muted"))
        cursor.insertText(one_block(row.completion), ink_format("ink"))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_shown", None):
            shown, self._shown = self._shown, ()
            self.set_rows(shown)
