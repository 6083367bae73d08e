"""The table of models: what it shows, how it sorts and filters, and how a row is painted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QRect, Qt
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem

from core.models import ModelEntry
from core.numbers import bytes_text, count_text
from core.run_summary import RunSummary
from desktop_app import theme
from desktop_app.icons import icon
from desktop_app.path_table import INSET, LRM, PATH_ROLE, SORT_ROLE, Index, PathDelegate, PathTable, PathView

NAME, PARAMETERS, ARCHITECTURE, PRECISION, DISK, TOKENIZER, SOURCE, SCORE = range(8)
WIDE = 880  # px, from which all columns are shown
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def source_word(source: str) -> str:
    """Where a model comes from, in a word or two."""
    return {
        "added": QCoreApplication.translate("models", "Added"),
        "run": QCoreApplication.translate("models", "Made here"),
        "hub": QCoreApplication.translate("models", "Hub cache"),
        "sample": QCoreApplication.translate("models", "Sample"),
    }.get(source, source)


def architecture_text(entry: ModelEntry) -> str:
    """The architecture without the words that all of them carry."""
    if entry.info is None:
        return ""
    return entry.info.architecture.removesuffix("ForCausalLM").removesuffix("LMHeadModel") or entry.info.architecture


@dataclass(frozen=True)
class Family:
    """All models whose tokenizer gives the same ids: one letter, one colour."""

    number: int

    @property
    def letter(self) -> str:
        rest, at = divmod(self.number, len(LETTERS))
        return LETTERS[at] + (str(rest + 1) if rest else "")


@dataclass(frozen=True)
class Row:
    """A model as the table shows it. `bits_per_byte` on the held-out text of the run that made it."""

    entry: ModelEntry
    source: str
    bits_per_byte: float | None
    family: Family | None


def families(entries: Sequence[ModelEntry]) -> dict[str, Family]:
    """Tokenizer fingerprints in the order in which they first come."""
    found: dict[str, Family] = {}
    for entry in entries:
        mark = entry.info.tokenizer.fingerprint if entry.info else None
        if mark is not None and mark not in found:
            found[mark] = Family(len(found))
    return found


def rows_of(entries: Sequence[ModelEntry], sources: Mapping[Path, str], made: Mapping[str, RunSummary]) -> list[Row]:
    """`made` are runs by the folder of the model that they made."""
    known = families(entries)
    rows = []
    for entry in entries:
        info = entry.info
        own = info.lineage.scores.get("bits_per_byte") if info and info.lineage else None
        run = made.get(str(entry.path))
        score = own if isinstance(own, (int, float)) else run.bits_per_byte if run else None
        family = known.get(info.tokenizer.fingerprint or "") if info else None
        rows.append(Row(entry, sources.get(entry.path, ""), score, family))
    return rows


class ModelTable(PathTable):
    """What is said of each model."""

    rows: list[Row]

    def __init__(self) -> None:
        super().__init__((PARAMETERS, DISK, SCORE))
        self.headings = [
            self.tr("Name"),
            self.tr("Parameters"),
            self.tr("Architecture"),
            self.tr("Precision"),
            self.tr("Disk"),
            self.tr("Tokenizer"),
            self.tr("Source"),
            self.tr("Bits/byte"),
        ]

    def path_of(self, row: Row) -> Path:
        return row.entry.path

    def searched(self, row: Row) -> str:
        return _searched(row)

    def text(self, row: Row, column: int) -> str:
        return _text(row, column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return self._heading_tip(section)
        return super().headerData(section, orientation, role)

    def _heading_tip(self, section: int) -> str:
        return {
            TOKENIZER: self.tr(
                "Models with the same letter give the same ids to text: a student can learn from its like."
            ),
            SCORE: self.tr("On the held-out text of the run that made the model; lower is better."),
            DISK: self.tr("The weight files."),
        }.get(section, self.headings[section])

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return _text(row, column)
            case Qt.ItemDataRole.ToolTipRole:
                return self._tip(row, column)
            case Qt.ItemDataRole.AccessibleTextRole:
                return self._spoken(row, column)
            case Qt.ItemDataRole.TextAlignmentRole:
                return self.alignment(column)
            case _ if role == SORT_ROLE:
                return _sort_key(row, column)
            case _ if role == PATH_ROLE:
                return row.entry.path
        return None

    def _tip(self, row: Row, column: int) -> str:
        info = row.entry.info
        if column == NAME or info is None:
            return f"{row.entry.path}\n{row.entry.broken}" if row.entry.broken else str(row.entry.path)
        if column == TOKENIZER:
            return (info.tokenizer.fingerprint or info.tokenizer.unknown_because)[:200]
        if column == PARAMETERS:
            return self.tr("%s parameters, %s without embeddings") % (
                f"{info.parameters:,}",
                f"{info.non_embedding_parameters:,}",
            )
        return info.architecture if column == ARCHITECTURE else _text(row, column)

    def _spoken(self, row: Row, column: int) -> str:
        if column == NAME and row.entry.broken:
            return self.tr("%s, can't be used: %s") % (row.entry.name, row.entry.broken)
        return _text(row, column) or self.tr("unknown")


def _text(row: Row, column: int) -> str:
    info = row.entry.info
    if column == NAME:
        return row.entry.name
    if column == SOURCE:
        return source_word(row.source)
    if info is None:
        return ""
    match column:
        case _ if column == PARAMETERS:
            return count_text(info.parameters)
        case _ if column == ARCHITECTURE:
            return architecture_text(row.entry)
        case _ if column == PRECISION:
            return info.quantization or "/".join(info.dtypes[:2])
        case _ if column == DISK:
            return bytes_text(info.size_bytes)
        case _ if column == TOKENIZER:
            return row.family.letter if row.family else "–"
    return f"{row.bits_per_byte:.3f}" if row.bits_per_byte is not None else ""


def _searched(row: Row) -> str:
    texts = [str(row.entry.path), *(_text(row, column) for column in range(SCORE + 1))]
    if row.entry.broken:
        texts += [row.entry.broken, QCoreApplication.translate("models", "broken")]
    return "\n".join(texts).casefold()


def _sort_key(row: Row, column: int) -> Any:
    info = row.entry.info
    if column == PARAMETERS:
        return float(info.parameters) if info else -1.0
    if column == DISK:
        return float(info.size_bytes) if info else -1.0
    if column == SCORE:
        return row.bits_per_byte if row.bits_per_byte is not None else float("inf")
    if column == TOKENIZER:
        return row.family.number if row.family else 10**6
    return _text(row, column).casefold()


class RowDelegate(PathDelegate):
    """The second line of a name says where it is, or what is wrong with it; a dot and a letter stand for the tokenizer."""

    def paint_name(self, painter: QPainter, option: QStyleOptionViewItem, table: ModelTable, row: Row) -> None:
        entry = row.entry
        if entry.broken:  # the file's name and what is wrong come first
            reason = LRM + entry.broken.replace(f"{entry.path}{os.sep}", "")
            shorten = Qt.TextElideMode.ElideRight
            self.paint_two_lines(painter, option, icon("error", "error"), entry.name, (reason, "error"), shorten)
        else:
            place, shorten = LRM + _place_text(entry.path), Qt.TextElideMode.ElideMiddle
            self.paint_two_lines(painter, option, icon("models", "muted"), entry.name, (place, "muted"), shorten)

    def paint_cell(
        self, painter: QPainter, option: QStyleOptionViewItem, table: ModelTable, row: Row, column: int
    ) -> None:
        if column == TOKENIZER and row.family is not None:
            area = option.rect.adjusted(INSET, 0, -INSET, 0)
            paint_family(painter, QStyle.visualRect(option.direction, area, family_square(area)), row.family)
        else:
            super().paint_cell(painter, option, table, row, column)


def family_square(area: QRect) -> QRect:
    """Where the dot of a family goes: at the leading end of `area`, in the middle of its height."""
    return QRect(area.left(), area.center().y() - 10, 22, 22)


def paint_family(painter: QPainter, square: QRect, family: Family) -> None:
    """A round dot in the family's colour with its letter."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.series_colour(family.number)))
    painter.drawEllipse(square.adjusted(1, 1, -1, -1))
    font = QFont(painter.font())
    font.setPixelSize(theme.SMALL)
    font.setWeight(QFont.Weight.DemiBold)
    painter.setFont(font)
    painter.setPen(theme.colour("on_accent"))
    painter.drawText(square, Qt.AlignmentFlag.AlignCenter, family.letter)


def _place_text(path: Path) -> str:
    """The folder with ~ for the user's own."""
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


class ModelView(PathView):
    """All models at hand."""

    def __init__(self) -> None:
        super().__init__(ModelTable(), RowDelegate())
        self.setAccessibleName(self.tr("Models"))
        header = self.horizontalHeader()
        header.setSectionsMovable(True)
        for column, longest in enumerate(("", "999M", "GPTNeoX", "BF16", "99.9 MB", "", self.tr("Made here"), "0.999")):
            wide = self.fontMetrics().horizontalAdvance(longest)
            named = header.fontMetrics().horizontalAdvance(self.table.headings[column])
            self.setColumnWidth(column, max(wide, round(named * theme.SMALL / theme.BODY)) + 2 * INSET + 4)

    def _hide_columns(self) -> None:
        """The names need the room more than the architectures, which the detail tells, too."""
        self.setColumnHidden(ARCHITECTURE, self.width() < WIDE)
