"""What filters did: how many rows each dropped, and the first of them. The dialog of preparing and the Runs page show it alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QTextBlockFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit

from desktop_app import theme
from desktop_app.data.statistics import share_text
from desktop_app.data.words import sentence
from desktop_app.runs.samples import ink_format, one_block

translate = QCoreApplication.translate

Results = Mapping[str, Any]


class SiftedView(QTextEdit):
    """Reads what a run of the kind prepare puts down; fields that another version wrote otherwise are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setAccessibleName(self.tr("What the filters dropped"))
        self.setPlaceholderText(self.tr("What each filter drops appears here, with the first rows of it."))
        self.document().setDocumentMargin(1.5 * theme.SPACE)
        self._results: Results = {}

    def show_results(self, results: Results) -> None:
        if results == self._results:
            return
        self._results = dict(results)
        self.clear()
        if not results:
            return
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        read, kept = results.get("read"), results.get("kept")
        if isinstance(read, int) and isinstance(kept, int):
            cursor.insertText(self.tr("Of %s rows %s are kept.") % (f"{read:,}", f"{kept:,}"), ink_format("ink"))
        for text in (_grades(results), _nothing(results, self.tr("No filter dropped anything."))):
            if text:
                cursor.insertBlock()
                cursor.insertText(text, ink_format("muted", theme.SMALL))
        for one in _filters(results):
            self._write(cursor, one)
        cursor.endEditBlock()
        self.moveCursor(QTextCursor.MoveOperation.Start)

    def _write(self, cursor: QTextCursor, one: Mapping[str, Any]) -> None:
        head, body = QTextBlockFormat(), QTextBlockFormat()
        head.setTopMargin(2 * theme.SPACE)
        body.setTopMargin(theme.SPACE // 2)
        cursor.insertBlock(head)
        count, share = one.get("dropped"), one.get("share")
        told = f"{count:,}" if isinstance(count, int) else ""
        if isinstance(share, int | float):
            told = f"{told} ({share_text(share)})"
        cursor.insertText(f"{told} · ", ink_format("warning"))
        cursor.insertText(sentence(str(one["reason"])), ink_format("ink"))
        shown = one.get("shown")
        for row in shown if isinstance(shown, list) else []:
            if isinstance(row, dict) and "text" in row:
                where = str(row.get("place") or "").partition(" of ")[0]
                cursor.insertBlock(body)
                cursor.insertText(f"{where[:1].upper()}{where[1:]}  ", ink_format("muted", theme.SMALL))
                cursor.insertText(one_block(str(row["text"])) or self.tr("(empty)"), ink_format("muted"))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_results", None):
            results, self._results = self._results, {}
            self.show_results(results)


def _filters(results: Results) -> list[Mapping[str, Any]]:
    found = results.get("filters")
    return [one for one in found if isinstance(one, dict) and "reason" in one] if isinstance(found, list) else []


def _nothing(results: Results, words: str) -> str:
    return "" if _filters(results) else words


def _grades(results: Results) -> str:
    """How good the classifier is, in words."""
    told = results.get("classifier")
    if not isinstance(told, dict):
        return ""
    accuracy, always = told.get("accuracy"), told.get("always_the_commoner")
    if not isinstance(accuracy, int | float) or not isinstance(always, int | float):
        return ""
    words = translate("sifted", "The classifier is right in %s of labelled rows that it had not seen; always to say the commoner label is in %s.")  # fmt: skip
    return words % (f"{accuracy:.0%}", f"{always:.0%}")
