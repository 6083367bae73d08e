"""A slider over orders of magnitude, with marks that say where they stand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QStyle, QVBoxLayout, QWidget

from desktop_app import theme

STEPS = 1000
HANDLE = 16  # px, as in the style sheet
ROW = 16  # px for one line of marks
FIELD_HEIGHT = 32  # px, so that a slider stands at the height of the field beside it


@dataclass(frozen=True)
class Mark:
    """A value worth knowing, with its name; `hint` says more when the pointer rests on it."""

    value: float
    text: str
    hint: str = ""


class LogSlider(QWidget):
    """`moved` is for the user's own moves; the values are positive and rounded to two digits."""

    moved = Signal(float)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._low, self._high = 1.0, 10.0
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, STEPS)
        self.slider.setSingleStep(STEPS // 100)
        self.slider.setPageStep(STEPS // 10)
        self.slider.setAccessibleName(name)
        self.slider.setMinimumHeight(FIELD_HEIGHT)
        self.slider.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.slider.installEventFilter(self)
        self.marks = MarkRow(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.slider)
        layout.addWidget(self.marks)
        self.setFocusProxy(self.slider)
        self.slider.valueChanged.connect(lambda at: self.moved.emit(self._value_at(at)))

    def set_range(self, low: float, high: float) -> None:
        """Both above zero; what lies outside is shown at the end."""
        self._low, self._high = low, max(high, low * 1.0001)
        self.marks.update()

    def set_value(self, value: float, text: str = "") -> None:
        """Show a value; `text` is how it is read out."""
        if not self.slider.isSliderDown():
            self.slider.blockSignals(True)
            self.slider.setValue(self.position(value))
            self.slider.blockSignals(False)
            self.slider.update()
        self.slider.setAccessibleDescription(text)
        self.slider.setToolTip(text)

    def set_marks(self, marks: Sequence[Mark]) -> None:
        self.marks.set_marks(marks)

    def position(self, value: float) -> int:
        """Where a value lies, from 0 to STEPS."""
        share = math.log(value / self._low) / math.log(self._high / self._low) if value > 0 else 0.0
        return round(STEPS * min(1.0, max(0.0, share)))

    def holds(self, value: float) -> bool:
        return self._low <= value <= self._high

    def _value_at(self, at: int) -> float:
        if at in (0, STEPS):
            return self._low if at == 0 else self._high
        return float(f"{self._low * (self._high / self._low) ** (at / STEPS):.2g}")

    def eventFilter(self, watched: object, event: QEvent) -> bool:  # noqa: N802
        # scrolling the page over a slider must not move it
        if event.type() == QEvent.Type.Wheel and watched is self.slider and not self.slider.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)  # type: ignore[arg-type]


def _apart(places: Sequence[QRect], ticks: Sequence[int]) -> bool:
    """No name touches another, nor another's tick."""
    for number, place in enumerate(places):
        if any(place.adjusted(-6, 0, 6, 0).intersects(other) for other in places[number + 1 :]):
            return False
        if any(place.left() <= tick <= place.right() for at, tick in enumerate(ticks) if at != number):
            return False
    return True


class MarkRow(QWidget):
    """The marks of a slider: a tick each and its name, in as many rows as keep the names apart."""

    def __init__(self, slider: LogSlider) -> None:
        super().__init__(slider)
        self._of = slider
        self._marks: list[Mark] = []
        self._places: list[tuple[Mark, int, QRect]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setVisible(False)

    def set_marks(self, marks: Sequence[Mark]) -> None:
        shown = sorted((mark for mark in marks if self._of.holds(mark.value)), key=lambda mark: mark.value)
        if shown != self._marks:
            self._marks = shown
            self.setVisible(bool(shown))
            self.setAccessibleName("; ".join(mark.text for mark in shown))
            self._place()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        rows = 1 + max((place.y() // ROW for _, _, place in self._places), default=0)
        return QSize(200, rows * ROW + 4)

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._place()

    def _place(self) -> None:
        """Each name under its tick, moved to one side of it where names are near, in further rows where nothing helps."""
        font = self.font()
        font.setPixelSize(theme.SMALL)
        metrics = QFontMetrics(font)
        ticks = [self._x(mark.value) for mark in self._marks]
        widths = [metrics.horizontalAdvance(mark.text) + 4 for mark in self._marks]
        sides = itertools.product((0.5, 1.0, 0.0), repeat=len(ticks))  # the share of the name that lies before its tick
        rows = [[self._at(*each) for each in zip(ticks, widths, shares, strict=True)] for shares in sides]
        places = next((row for row in rows if _apart(row, ticks)), None)
        if places is None:
            places = self._in_rows(ticks, widths)
        self._places = list(zip(self._marks, ticks, places, strict=True))
        self.updateGeometry()

    def _in_rows(self, ticks: Sequence[int], widths: Sequence[int]) -> list[QRect]:
        """Each name in the first row that has room for it, clear of the other ticks."""
        places: list[QRect] = []
        for number, (tick, width) in enumerate(zip(ticks, widths, strict=True)):
            others = [other for at, other in enumerate(ticks) if at != number]
            tries = [
                self._at(tick, width, share).translated(0, row * ROW)
                for row in range(number + 1)
                for share in (0.5, 1.0, 0.0)
            ]
            free = (
                place
                for place in tries
                if not any(place.left() <= other <= place.right() for other in others)
                and not any(place.adjusted(-6, 0, 6, 0).intersects(other) for other in places)
            )
            places.append(next(free, tries[-3]))
        return places

    def _at(self, tick: int, width: int, share: float) -> QRect:
        start = tick - round(share * width) + round((0.5 - share) * 6)
        return QRect(min(max(0, start), max(0, self.width() - width)), 0, width, ROW)

    def _x(self, value: float) -> int:
        mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        span = max(0, self.width() - HANDLE)
        at = QStyle.sliderPositionFromValue(0, STEPS, self._of.position(value), span, mirrored)
        return HANDLE // 2 + at

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        font = self.font()
        font.setPixelSize(theme.SMALL)
        painter.setFont(font)
        for mark, x, place in self._places:
            painter.setPen(theme.colour("field_line"))
            painter.drawLine(x, 0, x, 3 + place.y())
            painter.setPen(theme.colour("muted"))
            painter.drawText(place.translated(0, 3), Qt.AlignmentFlag.AlignCenter, mark.text)
        painter.end()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            spot = event.pos()  # type: ignore[attr-defined]
            self.setToolTip(next((mark.hint for mark, _, place in self._places if place.contains(spot)), ""))
        return super().event(event)
