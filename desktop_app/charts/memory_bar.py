"""What a run takes of a device's memory: a bar by part against what is free, and the parts in words beneath.

python -m desktop_app.charts.memory_bar
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Literal

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QHelpEvent, QPainter, QPainterPath, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from core.estimate import Part
from core.numbers import bytes_text
from desktop_app import theme
from desktop_app.icons import icon
from desktop_app.sign import Sign

# the teacher is grey and the student the accent everywhere; the rest keep their place in the series
ORDER = (
    "student weights",
    "gradients",
    "optimizer",
    "bf16 copies",
    "activations",
    "logits",
    "allocator",
    "other phases",
)
SAME = {"adapter": "student weights"}  # what is learnt, under another name
QUIET = {"process": "field_line", "teacher weights": "teacher", "weights": "teacher"}
BAR_HEIGHT = 20


def part_colour(name: str) -> QColor:
    """A part's colour, the same in every run."""
    if name in QUIET:
        return theme.colour(QUIET[name])
    name = SAME.get(name, name)
    number = ORDER.index(name) if name in ORDER else sum(name.encode())
    return QColor(theme.series_colour(number))


class _Bar(QWidget):
    """The stacked bar; hovering over a part says what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: tuple[Part, ...] = ()
        self.free_bytes = self.total_bytes = 0
        self.high_bytes = 0
        self.setFixedHeight(BAR_HEIGHT + 8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def whole(self) -> int:
        """What the full width stands for: the device, or the run where that is more."""
        return max(self.total_bytes, self.free_bytes, sum(part.bytes for part in self.parts), self.high_bytes, 1)

    def spans(self) -> list[tuple[Part, float, float]]:
        """(part, start, end) as shares of the width; they follow each other from the leading edge."""
        spans, start = [], 0
        for part in self.parts:
            spans.append((part, start / self.whole(), (start + part.bytes) / self.whole()))
            start += part.bytes
        return spans

    def _box(self, start: float, end: float) -> QRectF:
        left, right = start * self.width(), end * self.width()
        if self.layoutDirection() == Qt.LayoutDirection.RightToLeft:
            left, right = self.width() - right, self.width() - left
        return QRectF(left, 4, right - left, BAR_HEIGHT)

    def _rounded(self) -> QPainterPath:
        path = QPainterPath()
        path.addRoundedRect(self._box(0, 1), 4, 4)
        return path

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        free, used = self.free_bytes / self.whole(), sum(part.bytes for part in self.parts) / self.whole()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setClipPath(self._rounded())
        painter.fillRect(self.rect(), theme.colour("raised"))
        if self.total_bytes > max(self.free_bytes, used * self.whole()):  # what other programs hold
            held = self._box(max(free, used), self.total_bytes / self.whole())
            painter.fillRect(held, QBrush(theme.colour("field_line"), Qt.BrushStyle.BDiagPattern))
        for part, start, end in self.spans():
            box = self._box(start, end)
            painter.fillRect(box.adjusted(0, 0, -1 if box.width() > 3 else 0, 0), part_colour(part.name))
        if used > free:
            over = self._box(free, used)
            painter.fillRect(over, theme.colour("surface"))
            painter.fillRect(over, QBrush(theme.colour("error"), Qt.BrushStyle.BDiagPattern))
        painter.setClipping(False)
        if self.parts:
            self._paint_marks(painter, free, used)

    def _paint_marks(self, painter: QPainter, free: float, used: float) -> None:
        """The end of what is free as an upright, and how far the run may go as a thin line."""
        mark = self._box(free, free)
        painter.setPen(QPen(theme.colour("error" if used > free else "ink"), 2))
        x = min(max(mark.left(), 1), self.width() - 1)
        painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        reach = self._box(used, max(self.high_bytes / self.whole(), used))
        painter.setPen(QPen(theme.colour("ink"), 1))
        painter.drawLine(QPointF(reach.left(), reach.center().y()), QPointF(reach.right(), reach.center().y()))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent) and self.parts:
            at = QPointF(event.pos())
            found = next((part for part, *ends in self.spans() if self._box(*ends).contains(at)), None)
            free = self.tr("Free: %s. The thin line shows how far the run may reach: %s.")
            words = free % (
                bytes_text(self.free_bytes),
                bytes_text(max(self.high_bytes, sum(p.bytes for p in self.parts))),
            )
            QToolTip.showText(event.globalPos(), part_words(found) if found else words, self)
            return True
        return super().event(event)


def part_words(part: Part) -> str:
    return f"{part.name}: {bytes_text(part.bytes)} ± {part.error:.0%}. {part.reason}"


class _PartRow(QWidget):
    """One part in the list: its colour, its name, its bytes; the reason is the tool tip."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)  # shown before it had one, it would be a window for a moment
        self.part: Part | None = None
        self.name, self.bytes = QLabel(), QLabel()
        for label in (self.name, self.bytes):
            theme.set_role(label, "small")
            label.setMinimumHeight(theme.SMALL + 6)
        self.bytes.setFont(theme.tabular(self.bytes.font()))
        self.name.setTextFormat(Qt.TextFormat.RichText)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.name)
        layout.addStretch(1)
        layout.addWidget(self.bytes)

    def show_part(self, part: Part) -> None:
        self.part = part
        name = html.escape(part.name).replace(" ", "&nbsp;")
        self.name.setText(f'<span style="color:{part_colour(part.name).name()}">■</span>&nbsp; {name}')
        self.bytes.setText(bytes_text(part.bytes))
        self.setToolTip(part_words(part))
        self.setAccessibleName(part_words(part))


class MemoryBar(QWidget):
    """The bar, the sentence above it and the list of the parts beneath, in two columns."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sign = Sign(size=18)
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setFont(theme.tabular(self.sentence.font()))
        self.bar = _Bar()
        self.held = QLabel()
        self.held.setWordWrap(True)
        theme.set_role(self.held, "small")
        self._rows: list[_PartRow] = []
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(3 * theme.SPACE)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(1, 1)
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE)
        line.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.sentence, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(line)
        layout.addWidget(self.bar)
        layout.addLayout(self._grid)
        layout.addWidget(self.held)
        layout.addStretch(1)
        self.set_estimate((), 0, 0)

    def set_estimate(
        self, parts: Sequence[Part], free_bytes: int, total_bytes: int, band: tuple[int, int] | None = None
    ) -> None:
        """Show what a run takes, in bytes; `band` is where the truth is expected. No parts: say what will come."""
        self.bar.parts = tuple(part for part in parts if part.bytes > 0)
        self.bar.free_bytes, self.bar.total_bytes = free_bytes, max(total_bytes, free_bytes)
        self.bar.high_bytes = band[1] if band and parts else 0
        self._show_sentence(sum(part.bytes for part in parts), free_bytes, band)
        self._show_rows(self.bar.parts)
        others = self.bar.total_bytes - free_bytes
        words = self.tr("Other programs hold %s of the device's %s (hatched).")
        self.held.setText(words % (bytes_text(others), bytes_text(self.bar.total_bytes)))
        self.held.setVisible(bool(self.bar.parts) and others > 0.01 * self.bar.total_bytes)
        listed = ", ".join(f"{part.name} {bytes_text(part.bytes)}" for part in self.bar.parts)
        self.setAccessibleName(f"{self.sentence.text()}. {listed}" if listed else self.sentence.text())
        self.bar.setAccessibleName(self.sentence.text())
        self.bar.update()
        self._keep_room()

    def rows(self) -> list[_PartRow]:
        """The rows on show, in the order of the parts."""
        return [row for row in self._rows if row.part is not None]

    def _show_sentence(self, used: int, free: int, band: tuple[int, int] | None) -> None:
        if not self.bar.parts:
            self.sign.hide()
            theme.set_role(self.sentence, "muted")
            self.sentence.setText(self.tr("What the run takes of the device's memory will stand here, part by part."))
            return
        sure = f" ({band_text(*band)})" if band else ""
        told = self.tr("%s of %s free%s") % (bytes_text(used), bytes_text(free), sure)
        level: Literal["good", "warning", "error"] = "good"
        if used > free:
            level = "error"
            told = self.tr("%s%s do not fit: %s more than the %s that are free")
            told = told % (bytes_text(used), sure, bytes_text(used - free), bytes_text(free))
        elif band and band[1] > free:
            level = "warning"
            told += self.tr(": it may not fit")
        self.sign.show()
        self.sign.set_icon(icon(level, level))
        theme.set_role(self.sentence, None if level == "good" else level)
        self.sentence.setText(told)

    def _show_rows(self, parts: Sequence[Part]) -> None:
        while len(self._rows) < len(parts):
            self._rows.append(_PartRow(self))
        half = math.ceil(len(parts) / 2)
        for number, row in enumerate(self._rows):
            self._grid.removeWidget(row)
            row.setVisible(number < len(parts))
            row.part = None
            if number < len(parts):
                row.show_part(parts[number])
                self._grid.addWidget(row, number % half, number // half)

    def _keep_room(self) -> None:
        """The sentence may take two lines; without this the rows beneath would be pressed together."""
        layout = self.layout()
        if layout is not None:
            self.setMinimumHeight(layout.totalHeightForWidth(self.width()))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._keep_room()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            for row in self.rows():
                if row.part is not None:
                    row.show_part(row.part)
            self.bar.update()


def band_text(low: float, high: float) -> str:
    """0.9–1.3 GB; the unit once where it is the same."""
    first, last = bytes_text(low), bytes_text(high)
    number, unit = first.split(" ")
    return f"{number if last.endswith(' ' + unit) else first}–{last}"


if __name__ == "__main__":
    from PySide6.QtWidgets import QApplication

    app = QApplication([])
    theme.apply(app, "system")
    sizes = {
        "process": 500,
        "teacher weights": 20,
        "student weights": 8,
        "gradients": 8,
        "optimizer": 16,
        "logits": 300,
    }
    parts = [Part(name=name, bytes=size * 10**6, error=0.1, reason="an example") for name, size in sizes.items()]
    bar = MemoryBar()
    bar.set_estimate(parts, 11 * 10**9, 16 * 10**9, (760 * 10**6, 950 * 10**6))
    bar.resize(420, 160)
    bar.show()
    app.exec()
