"""What a model wrote, as text that can be selected: Markdown drawn as it comes, or plain; never read as HTML, never fetching anything.

A long text is laid out a paragraph at a time, so that the window stays free; while it grows, only its last paragraph is drawn anew.
"""

from __future__ import annotations

import re
import time

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QDesktopServices,
    QFont,
    QFontDatabase,
    QResizeEvent,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextDocumentFragment,
    QTextFormat,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QTextBrowser, QWidget

from desktop_app import theme

BUDGET_S = 0.008  # of one slot
AT_ONCE = 200  # characters that are laid out without waiting for the window to draw breath
PIECE = 4000  # characters of plain text laid out at once
FEATURES = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_GOES_ON = re.compile(r"[ \t]|[-*+] |\d{1,9}[.)] |\||>")


class Written(QTextBrowser):
    """As high as its text: what it stands in scrolls."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.set_role(self, "said")
        self.setAccessibleName(name)
        self.setOpenLinks(False)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setLineWrapMode(QTextBrowser.LineWrapMode.WidgetWidth)
        self.setWordWrapMode(self.wordWrapMode().WrapAtWordBoundaryOrAnywhere)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self._text, self._plain = "", True
        self._laid = 0  # characters that are laid out for good
        self._end = 0  # position in the document behind them
        self._more = QTimer(self, singleShot=True, interval=0)
        self._more.timeout.connect(self._lay_on)
        self.anchorClicked.connect(_open_link)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit()

    def text(self) -> str:
        return self._text

    def show_text(self, text: str, *, plain: bool) -> None:
        """Show a text; one that only grew is drawn on from where it was."""
        if text == self._text and plain is self._plain:
            return
        if plain is not self._plain or not text.startswith(self._text[: self._laid]):
            self.document().clear()
            self._laid = self._end = 0
        self._text, self._plain = text, plain
        if not self._end and len(text) > AT_ONCE:
            self._more.start()  # many of them come at once when a conversation is opened
        else:
            self._lay_on()

    def loadResource(self, kind: int, name: QUrl | str) -> object:  # noqa: N802
        """A model's text names no file and no address that is read."""
        return None

    # --- laying out ---------------------------------------------------------------------------------------------------

    def _lay_on(self) -> None:
        deadline = time.perf_counter() + BUDGET_S
        self._drop_tail()
        while self._laid < len(self._text):
            rest = self._text[self._laid :]
            size = _plain_piece(rest) if self._plain else whole_part(rest)
            last = size == len(rest)
            self._append(rest[:size])
            if last and not self._plain:
                return  # it may yet grow: drawn anew next time
            self._laid += size
            self._end = self._last_position()
            if time.perf_counter() > deadline:
                self._more.start()
                return

    def _last_position(self) -> int:
        return max(0, self.document().characterCount() - 1)

    def _drop_tail(self) -> None:
        if self._last_position() <= self._end:
            return
        if not self._laid:
            self.document().clear()
            return
        cursor = QTextCursor(self.document())
        cursor.setPosition(self._end)
        cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()

    def _append(self, part: str) -> None:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.beginEditBlock()
        if self._plain:
            cursor.insertText(_visible(part), QTextCharFormat())
        else:
            self._append_markdown(cursor, part)
        cursor.endEditBlock()

    def _append_markdown(self, cursor: QTextCursor, part: str) -> None:
        drawn = QTextDocument()
        drawn.setDefaultFont(self.document().defaultFont())
        drawn.setMarkdown(_visible(part), FEATURES)
        if drawn.isEmpty():
            return
        first = drawn.begin()
        own_frame = first.textList() is not None or QTextCursor(first).currentTable() is not None
        if not own_frame and not self.document().isEmpty():
            cursor.insertBlock(QTextBlockFormat(), QTextCharFormat())
        start = cursor.position()
        cursor.insertFragment(QTextDocumentFragment(drawn))
        if not own_frame:
            QTextCursor(self.document().findBlock(start)).setBlockFormat(first.blockFormat())
        self._dress(self.document().findBlock(start))

    def _dress(self, block: QTextBlock) -> None:
        """Space between paragraphs; code on a ground of its own."""
        while block.isValid():
            form, cursor = block.blockFormat(), QTextCursor(block)
            if form.hasProperty(QTextFormat.Property.BlockCodeLanguage) or form.hasProperty(
                QTextFormat.Property.BlockCodeFence
            ):
                form.setBackground(theme.colour("raised"))
                form.setLeftMargin(0)
                form.setNonBreakableLines(False)
                form.setTopMargin(0 if _is_code(block.previous()) else theme.SPACE)
                form.setBottomMargin(0)
                mono = QTextCharFormat()
                mono.setFont(_mono())
                cursor.select(
                    QTextCursor.SelectionType.BlockUnderCursor
                    if block.length() > 1
                    else QTextCursor.SelectionType.LineUnderCursor
                )
                cursor.mergeCharFormat(mono)
                QTextCursor(block).setBlockFormat(form)
            elif block.textList() is None and QTextCursor(block).currentTable() is None and block.position():
                form.setTopMargin(theme.SPACE)
                cursor.setBlockFormat(form)
            block = block.next()

    # --- as high as it is ---------------------------------------------------------------------------------------------

    def _fit(self, *_: object) -> None:
        height = int(self.document().size().height() + 0.999) + 2 * self.frameWidth() + 2
        if self.height() != height or self.minimumHeight() != height:
            self.setFixedHeight(max(20, height))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(80, 20)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()  # what it stands in scrolls

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        drawn = hasattr(self, "_text") and bool(self._text) and not self._plain  # plain text has the palette's colour
        if event.type() == QEvent.Type.PaletteChange and drawn:
            text, self._text = self._text, ""
            self.document().clear()
            self._laid = self._end = 0
            self.show_text(text, plain=self._plain)


def whole_part(text: str) -> int:
    """How many characters at the beginning are a part of a Markdown text that can be drawn by itself: up to an empty line outside of
    a code block, not in the middle of a list, table or quotation.

    >>> whole_part("one\\n\\ntwo")
    5
    """
    at = 0
    while (found := text.find("\n\n", at)) >= 0:
        end = found + 2
        while end < len(text) and text[end] == "\n":
            end += 1
        if end < len(text) and not _in_fence(text[:end]) and not _GOES_ON.match(text, end):
            return end
        at = end
    return len(text)


def _in_fence(text: str) -> bool:
    open_with = ""
    for match in _FENCE.finditer(text):
        mark = match[1]
        if not open_with:
            open_with = mark
        elif mark[0] == open_with[0] and len(mark) >= len(open_with):
            open_with = ""
    return bool(open_with)


def _plain_piece(text: str) -> int:
    return min(len(text), PIECE)


def _is_code(block: QTextBlock) -> bool:
    form = block.blockFormat()
    code = QTextFormat.Property.BlockCodeFence, QTextFormat.Property.BlockCodeLanguage
    return block.isValid() and any(form.hasProperty(one) for one in code)


def _visible(text: str) -> str:
    """Control characters made visible; one kind of line break."""
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c if c in "\n\t" or c.isprintable() or ord(c) > 0x9F else "�" for c in whole)


def _mono() -> QFont:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(theme.SMALL)
    return font


def _open_link(link: QUrl) -> None:
    """In the browser, where the user clicked it; nothing but the web is opened."""
    if link.scheme() in ("http", "https"):
        QDesktopServices.openUrl(link)
