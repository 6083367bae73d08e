"""What the run would take on this machine: memory by part, time and disk, each with its reason and its band."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from core.numbers import bytes_text, count_text, duration_text
from core.plan import Plan
from desktop_app import theme
from desktop_app.charts.memory_bar import MemoryBar
from desktop_app.forms.field import button
from desktop_app.icons import icon
from desktop_app.plan.planning import Measured
from desktop_app.sign import Sign


class EstimatePanel(QWidget):
    """`measure_wanted` and `measuring_stopped` are the button's."""

    measure_wanted = Signal()
    measuring_stopped = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.memory = MemoryBar()
        self.time, self.disk, self.compared = FigureLine("time"), FigureLine("disk"), FigureLine("compare")
        self.assumed = QLabel()
        self.assumed.setWordWrap(True)
        theme.set_role(self.assumed, "small")
        self.measure = button(self.tr("Measure"), "measure")
        self.measure.setToolTip(self.tr("Runs a few real steps on this machine, so that the time rests on more than arithmetic."))  # fmt: skip
        self.measured = QLabel()
        self.measured.setWordWrap(True)
        theme.set_role(self.measured, "small")
        row = QHBoxLayout()
        row.setSpacing(2 * theme.SPACE)
        row.addWidget(self.measure, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.measured, 1)
        lines = QGridLayout()
        lines.setHorizontalSpacing(theme.SPACE)
        lines.setVerticalSpacing(2)
        lines.setColumnStretch(1, 1)
        for at, line in enumerate((self.time, self.disk, self.compared)):
            line.place(lines, at)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self.memory)
        layout.addLayout(lines)
        layout.addWidget(self.assumed)
        layout.addLayout(row)
        self._measuring = False
        self.measure.clicked.connect(self._press)
        self.show_plan(None)
        self.show_compared("", "")
        self.show_measured(None)

    def _press(self) -> None:
        (self.measuring_stopped if self._measuring else self.measure_wanted).emit()

    def show_plan(self, plan: Plan | None) -> None:
        for line in (self.time, self.disk):
            line.setVisible(plan is not None)
        self.assumed.setVisible(plan is not None and bool(plan.estimate.assumptions))
        if plan is None:
            self.memory.set_estimate((), 0, 0, (0, 0))
            return
        cost = plan.estimate
        device = next(each for each in plan.devices if each.id == cost.device)
        self.memory.set_estimate(cost.memory, cost.memory_free_bytes, device.memory_total_bytes, cost.memory_band)
        low, high = (duration_text(seconds) for seconds in cost.seconds_band)
        pace = self.tr("%s tokens/s") % count_text(cost.tokens_per_second)
        told = (duration_text(cost.seconds), low, high)
        self.time.show_text(self.tr("%s (from %s to %s)") % told, f"{pace}; {cost.time_reason}.")
        parts = "; ".join(f"{part.name} {bytes_text(part.bytes)}" for part in cost.disk)
        band = tuple(bytes_text(size) for size in cost.disk_band)
        self.disk.show_text(
            self.tr("%s of disk (from %s to %s)") % (bytes_text(cost.disk_bytes), *band),
            parts,
            "\n".join(f"{part.name}: {part.reason}" for part in cost.disk),
        )
        self.assumed.setText(self.tr("Assumed: %s") % " ".join(cost.assumptions))

    def show_compared(self, words: str, with_what: str) -> None:
        """What the chosen source changes; nothing where it is the plain one."""
        self.compared.setVisible(bool(words))
        self.compared.show_text(words, with_what)

    def show_measured(self, measured: Measured | None) -> None:
        """The last measurement, if it is of the plan that is shown."""
        if self._measuring:
            return
        self.measured.setText(
            self.tr("Measured over %d steps: %s tokens/s, %s of memory at the most.")
            % (measured.steps, count_text(measured.tokens_per_second), bytes_text(measured.peak_memory_bytes))
            if measured is not None
            else self.tr("A few real steps on this machine make the time more certain.")
        )

    def show_measuring(self, words: str) -> None:
        """What the measurement does just now; an empty text when it has ended."""
        self._measuring = bool(words)
        self.measure.setText(self.tr("Stop measuring") if words else self.tr("Measure"))
        self.measure.setIcon(icon("stop" if words else "measure"))
        self.measured.setText(words)

    def refuse_measuring(self, why_not: str) -> None:
        """A measurement needs a plan without problems; the reason stands beside the button."""
        self.measure.setEnabled(not why_not or self._measuring)
        if why_not and not self._measuring:
            self.measured.setText(why_not)


class FigureLine:
    """An icon, a figure, and its reason beneath in small."""

    def __init__(self, glyph: str) -> None:
        self._mark = Sign(icon(glyph, "muted"), theme.ICON)
        self.figure, self.reason = QLabel(), QLabel()
        for label in (self.figure, self.reason):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.figure.setFont(theme.tabular(self.figure.font()))
        theme.set_role(self.reason, "small")

    def place(self, grid: QGridLayout, row: int) -> None:
        grid.addWidget(self._mark, 3 * row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.figure, 3 * row, 1)
        grid.addWidget(self.reason, 3 * row + 1, 1)
        grid.setRowMinimumHeight(3 * row + 2, theme.SPACE)

    def setVisible(self, visible: bool) -> None:  # noqa: N802
        for label in (self._mark, self.figure, self.reason):
            label.setVisible(visible)

    def show_text(self, figure: str, reason: str, hint: str = "") -> None:
        self.figure.setText(figure)
        self.reason.setText(reason)
        self.reason.setToolTip(hint)
