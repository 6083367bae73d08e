"""Rows as a model will see them: special tokens in sight, what is learnt marked, and a legend in the same letters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import (
    QFontDatabase,
    QPainter,
    QPaintEvent,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextOption,
)
from PySide6.QtWidgets import QSizePolicy, QTextEdit, QWidget

from core.data.preview import Shown
from core.data.rendering import Segment
from desktop_app import theme
from desktop_app.runs.samples import ink_format, one_block


class RenderedView(QTextEdit):
    """The rows, each under its place; read only."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setAccessibleName(self.tr("Rows as the model will see them"))
        self.document().setDocumentMargin(1.5 * theme.SPACE)
        self._shown: tuple[Shown, ...] = ()
        self._one_file = True

    def rows(self) -> tuple[Shown, ...]:
        return self._shown

    def show_rows(self, rows: Sequence[Shown], *, one_file: bool) -> None:
        """Show these; where they stand in is said with each of them unless there is but `one_file`."""
        if (tuple(rows), one_file) == (self._shown, self._one_file):
            return
        self._shown, self._one_file = tuple(rows), one_file
        place = self.verticalScrollBar().value()
        self.clear()
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        for number, row in enumerate(self._shown):
            self._write(cursor, row, first=number == 0)
        cursor.endEditBlock()
        self.verticalScrollBar().setValue(place)

    def _write(self, cursor: QTextCursor, row: Shown, *, first: bool) -> None:
        head, note, body = QTextBlockFormat(), QTextBlockFormat(), QTextBlockFormat()
        head.setTopMargin(0 if first else 3 * theme.SPACE)
        body.setTopMargin(theme.SPACE // 2)
        body.setLineHeight(125, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        if not first:
            cursor.insertBlock(head)
        cursor.setBlockFormat(head)
        cursor.insertText(self._heading(row), ink_format("muted", theme.SMALL))
        for text in row.notes:
            cursor.insertBlock(note)
            cursor.insertText(self.tr("Mind: %s") % one_block(text), ink_format("warning", theme.SMALL))
        if row.segments:
            cursor.insertBlock(body)
        for piece in row.segments:
            cursor.insertText(one_block(piece.text), segment_format(piece))

    def _heading(self, row: Shown) -> str:
        sides = {"chosen": self.tr("the chosen answer"), "rejected": self.tr("the rejected answer")}
        parts = [self._place(row), sides.get(row.name, row.name)]
        if row.tokens is not None:
            tokens = self.tr("%s tokens") % f"{row.tokens:,}"
            learnt = self.tr("%s of them learnt") % f"{row.learnt_tokens:,}" if row.learnt_tokens else ""
            parts.append(", ".join(part for part in (tokens, learnt) if part))
        return " · ".join(part for part in parts if part) or self.tr("A row that can't be read")

    def _place(self, row: Shown) -> str:
        where, _, path = row.place.partition(" of ")
        named = f"{where[:1].upper()}{where[1:]}"
        return named if self._one_file or not path else f"{named} · {PurePath(path).name}"

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_shown", None):
            shown, self._shown = self._shown, ()
            self.show_rows(shown, one_file=self._one_file)


def segment_format(piece: Segment) -> QTextCharFormat:
    """Learnt: tinted and underlined. A special token: in the letters of a typewriter."""
    made = ink_format("muted" if piece.special and not piece.learnt else "ink")
    if piece.special:
        made.setFontFamilies([QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family(), "monospace"])
        made.setProperty(QTextCharFormat.Property.FontPixelSize, theme.SMALL)
        made.setBackground(theme.colour("raised"))
    if piece.learnt:
        made.setBackground(theme.colour("selected"))
        made.setUnderlineStyle(QTextCharFormat.UnderlineStyle.DotLine)
        made.setUnderlineColor(theme.colour("accent"))
    return made


class Legend(QWidget):
    """What the marks mean, written with the very marks. `show_marks` says which of them are in sight."""

    def __init__(self) -> None:
        super().__init__()
        self._document = QTextDocument(self)
        self._document.setDocumentMargin(0)
        self._special = self._learnt = True
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._write()

    def show_marks(self, *, special: bool, learnt: bool) -> None:
        if (special, learnt) != (self._special, self._learnt):
            self._special, self._learnt = special, learnt
            self._write()

    def text(self) -> str:
        return self._document.toPlainText()

    def _write(self) -> None:
        entries = [(Segment(self.tr("learnt"), special=False, learnt=True), self.tr("what tuning learns to say"))]
        if self._special:
            entries.append((Segment("<s>", special=True, learnt=False), self.tr("a special token")))
        entries = entries if self._learnt else entries[1:]
        self._document.clear()
        self._document.setDefaultFont(self.font())
        cursor = QTextCursor(self._document)
        for number, (piece, words) in enumerate(entries):
            if number:
                cursor.insertText("\u2003", ink_format("muted", theme.SMALL))
            mark = segment_format(piece)
            mark.setProperty(QTextCharFormat.Property.FontPixelSize, theme.SMALL)
            cursor.insertText(piece.text, mark)
            cursor.insertText(f"\u00a0{words}", ink_format("muted", theme.SMALL))
        self.setAccessibleName(self.tr("Legend: %s") % self.text())
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        self._document.setTextWidth(-1)
        size = self._document.size().toSize()
        return QSize(math.ceil(self._document.idealWidth()) + 2, max(size.height(), 20))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        rtl = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        option = QTextOption(Qt.AlignmentFlag.AlignRight if rtl else Qt.AlignmentFlag.AlignLeft)
        self._document.setDefaultTextOption(option)
        self._document.setTextWidth(self.width())
        painter = QPainter(self)
        painter.translate(0, max(0.0, (self.height() - self._document.size().height()) / 2))
        self._document.drawContents(painter)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._write()
