"""Small pieces that every page is made of: words that wrap, widgets in a line, a page that scrolls, what was dropped."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from desktop_app import theme


def words(role: theme.Role | None = None, text: str = "") -> QLabel:
    """Plain text that wraps and can be selected; whatever users and files say in it is never read as markup."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    theme.set_role(label, role)
    return label


def line(*widgets: QWidget) -> QWidget:
    """The widgets beside each other, at the leading end."""
    made = QWidget()
    layout = QHBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(theme.SPACE)
    for widget in widgets:
        layout.addWidget(widget)
    layout.addStretch(1)
    return made


def fill_scrolling(page: QWidget, content: QWidget) -> QScrollArea:
    """Give a page one content that scrolls up and down; returns what scrolls it."""
    scroller = QScrollArea()
    scroller.setWidgetResizable(True)
    scroller.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroller.setWidget(content)
    whole = QVBoxLayout(page)
    whole.setContentsMargins(0, 0, 0, 0)
    whole.addWidget(scroller)
    return scroller


def paths_of(data: QMimeData) -> list[Path]:
    """The files and folders of a drop; nothing for what lies elsewhere, such as a link of a browser."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
