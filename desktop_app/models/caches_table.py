"""The table of cached answers: what it shows of each cache, and how it sorts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtGui import QFont, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from core.cache import CacheInfo
from core.model_folders import name_of
from core.numbers import bytes_text, count_text
from desktop_app import theme
from desktop_app.icons import icon

Index = QModelIndex | QPersistentModelIndex
NAME, TEACHER, TEXT, TOKENS, SIZE, TOP_K, MADE, STATE = range(8)
NUMBERS: Final = (TOKENS, SIZE, TOP_K)
WIDTHS: Final = {TEACHER: 140, TEXT: 160, TOKENS: 84, SIZE: 92, TOP_K: 92, MADE: 152, STATE: 124}  # px
LEAST_NAME = 160
SORT_ROLE: Final = Qt.ItemDataRole.UserRole
FOLDER_ROLE: Final = Qt.ItemDataRole.UserRole + 1


@dataclass(frozen=True)
class Line:
    """A cache as the table has it."""

    info: CacheInfo
    texts: tuple[str, ...]
    keys: tuple[Any, ...]


class CachesModel(QAbstractTableModel):
    """All caches of the data folder."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] = []
        self._number_font = theme.tabular(QFont())
        self.headings = {
            NAME: self.tr("Name"), TEACHER: self.tr("Teacher"), TEXT: self.tr("Text"), TOKENS: self.tr("Tokens"),
            SIZE: self.tr("Size"), TOP_K: self.tr("Kept"), MADE: self.tr("Made"), STATE: self.tr("State"),
        }  # fmt: skip

    def take(self, infos: Sequence[CacheInfo]) -> None:
        self.beginResetModel()
        self._lines = [self._line(info) for info in infos]
        self.endResetModel()

    def info(self, row: int) -> CacheInfo:
        return self._lines[row].info

    def infos(self) -> list[CacheInfo]:
        return [line.info for line in self._lines]

    def _line(self, info: CacheInfo) -> Line:
        teacher, text = _name(info.teacher), ", ".join(_name(item) for item in info.data)
        kept = "–" if info.top_k is None else self.tr("top %d") % info.top_k
        if info.tail == "sample" and info.top_k is not None:
            kept = self.tr("%d drawn") % info.top_k
        state = self.tr("Broken") if info.broken else self.tr("Unfinished") if info.unfinished else self.tr("Ready")
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(info.created)) if info.created else "–"
        tokens = count_text(info.tokens) if info.tokens is not None else "–"
        texts = (info.name, teacher or "–", text or "–", tokens, bytes_text(info.bytes), kept, made, state)
        keys = (info.name, teacher, text, info.tokens or -1, info.bytes, info.top_k or -1, info.created or 0.0, state)
        return Line(info, texts, keys)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return len(self.headings)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        line, column = self._lines[index.row()], index.column()
        info = line.info
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return line.texts[column]
            case Qt.ItemDataRole.DecorationRole if column == STATE:
                return icon("error", "error") if info.broken else icon("warning", "warning") if info.unfinished else icon("good", "good")  # fmt: skip
            case Qt.ItemDataRole.ToolTipRole:
                return self._tip(info, column)
            case Qt.ItemDataRole.TextAlignmentRole:
                side = Qt.AlignmentFlag.AlignRight if column in NUMBERS else Qt.AlignmentFlag.AlignLeft
                return side | Qt.AlignmentFlag.AlignVCenter
            case Qt.ItemDataRole.FontRole:
                return self._number_font if column in NUMBERS else None
            case Qt.ItemDataRole.ForegroundRole:
                return theme.colour("muted") if line.texts[column] == "–" or column == MADE else None
            case _ if role == SORT_ROLE:
                return line.keys[column]
            case _ if role == FOLDER_ROLE:
                return info.folder
        return None

    def _tip(self, info: CacheInfo, column: int) -> str | None:
        tips: dict[int, str | None] = {
            NAME: str(info.folder),
            TEACHER: info.teacher or None,
            TEXT: "\n".join(info.data) or None,
            STATE: info.broken or info.unfinished,
        }
        return tips.get(column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.headings.get(section)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if section in NUMBERS else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None


class CachesTable(QTableView):
    """The name takes what room the other columns leave."""

    def __init__(self, model: QSortFilterProxyModel, name: str) -> None:
        super().__init__()
        self.setModel(model)
        self.setAccessibleName(name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setSortingEnabled(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(40)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Interactive)
        for column, width in WIDTHS.items():
            header.resizeSection(column, width)
        header.setSortIndicator(MADE, Qt.SortOrder.DescendingOrder)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        others = sum(self.columnWidth(column) for column in WIDTHS)
        self.setColumnWidth(NAME, max(LEAST_NAME, self.viewport().width() - others))


def _name(path: str) -> str:
    """A model or a file as people call it."""
    return name_of(Path(path)) if path else ""
