"""A plot with its heading: title, the value at the read-out, unit, and what is chosen beside it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QFont
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.charts.plot import Plot

HEAD_HEIGHT = 24  # px


class PlotBox(QWidget):
    """A plot under its title, with the value at the read-out where there is only one."""

    def __init__(self, plot: Plot, unit_text: str, beside: Sequence[QWidget] = ()) -> None:
        super().__init__()
        self.plot = plot
        self.title = QLabel(plot.title)
        font = QFont(self.title.font())
        font.setWeight(QFont.Weight.DemiBold)
        self.title.setFont(font)
        self.value = QLabel()
        self.value.setFont(theme.tabular(self.value.font()))
        self.unit = QLabel(unit_text)
        theme.set_role(self.unit, "small")
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        head.addStrut(HEAD_HEIGHT)
        head.addWidget(self.title)
        head.addWidget(self.value)
        head.addWidget(self.unit)
        head.addStretch(1)
        for widget in beside:
            head.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(plot, 1)
        self.show_value("")

    def set_title(self, title: str) -> None:
        self.plot.rename(title)
        self.title.setText(title)

    def show_value(self, text: str) -> None:
        self.value.setText(text)
        self.value.setVisible(bool(text))

    def heading(self) -> str:
        said = " ".join(part for part in (self.value.text(), self.unit.text()) if part)
        return f"{self.plot.title} · {said}" if said else self.plot.title
