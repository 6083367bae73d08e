"""The tools over the curves: what x counts, smoothing, log scale, more plots, zoom, export; and which parts of the loss are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QMenu, QSlider, QToolButton, QWidget

from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.forms import Choice
from desktop_app.icons import icon

SLIM = """QComboBox { padding: 1px 8px; min-height: 20px; } QComboBox:focus { padding: 0px 7px; }
    QComboBox::drop-down { width: 24px; }"""
NO_ARROW = "QToolButton::menu-indicator { image: none; }"
SLIM_BUTTON = f"QToolButton {{ padding: 0px 8px; min-height: 16px; }} {NO_ARROW}"


class CurveTools(QWidget):
    """A row that flows on underneath where it is narrow. The panel listens to its parts."""

    export_wanted = Signal(str)  # png, svg or csv

    def __init__(self, smoothing: float) -> None:
        super().__init__()
        self.x_choice = Choice(
            [
                ("step", self.tr("by steps")),
                ("tokens", self.tr("by tokens")),
                ("seconds", self.tr("by time")),
                ("flops", self.tr("by FLOPs")),
            ]
        )
        self.x_choice.setAccessibleName(self.tr("What the x axis counts"))
        self.x_choice.setToolTip(self.tr("What the x axis counts"))
        self.x_choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._make_slider(smoothing)
        self._make_buttons()
        self._lay_out()

    def _make_slider(self, smoothing: float) -> None:
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 99)
        self.slider.setValue(round(100 * smoothing))
        self.slider.setFixedWidth(72)
        self.slider.setAccessibleName(self.tr("Smoothing"))
        tip = self.tr("Smoothing: exponential moving average; the raw line stays visible under it")
        self.slider.setToolTip(tip)
        self.slider_name = QLabel(self.tr("Smoothing"))
        self.slider_name.setToolTip(tip)
        self.slider_name.setBuddy(self.slider)
        theme.set_role(self.slider_name, "small")
        self.slider_text = QLabel()
        theme.set_role(self.slider_text, "small")
        self.slider_text.setFont(theme.tabular(self.slider_text.font()))
        self.slider_text.setMinimumWidth(self.fontMetrics().horizontalAdvance("0.00"))

    def _make_buttons(self) -> None:
        self.log_button = self._tool(
            self.tr("Log"), "", self.tr("Loss, figures, learning rate and gradient norm on a log scale"), checkable=True
        )
        self.more_button = self._tool(
            self.tr("More plots"), "more_plots", self.tr("More plots: learning rate and gradient norm"), checkable=True
        )
        self.reset_button = self._tool(
            self.tr("Reset zoom"), "zoom_reset", self.tr("Reset zoom: show all and follow (0)")
        )
        self.export_button = self._tool(self.tr("Export"), "export", self.tr("Export: save the plots or their points"))
        self.export_button.setStyleSheet(NO_ARROW)
        self.export_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.export_button)
        self.export_actions = {
            kind: menu.addAction(text)
            for kind, text in (
                ("png", self.tr("Picture (PNG)…")),
                ("svg", self.tr("Drawing (SVG)…")),
                ("csv", self.tr("All points (CSV)…")),
            )
        }
        for kind, action in self.export_actions.items():
            action.triggered.connect(partial(self.export_wanted.emit, kind))
        menu.setToolTipsVisible(True)
        self.export_button.setMenu(menu)

    def _tool(self, text: str, icon_name: str, tip: str, *, checkable: bool = False) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setToolTip(tip)
        button.setCheckable(checkable)
        button.setAccessibleName(text)
        if icon_name:
            button.setIcon(icon(icon_name))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        return button

    def _lay_out(self) -> None:
        flow = FlowLayout(self)
        smoothing = QWidget()
        row = QHBoxLayout(smoothing)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        for part in (self.slider_name, self.slider, self.slider_text):
            row.addWidget(part)
        buttons = QWidget()
        buttons_row = QHBoxLayout(buttons)
        buttons_row.setContentsMargins(0, 0, 0, 0)
        buttons_row.setSpacing(4)
        for button in (self.log_button, self.more_button, self.reset_button, self.export_button):
            buttons_row.addWidget(button)
        for tool in (self.x_choice, smoothing, buttons):
            flow.addWidget(tool)

    def in_order(self) -> list[QWidget]:
        """As Tab goes through them."""
        return [self.x_choice, self.slider, self.log_button, self.more_button, self.reset_button, self.export_button]


class PartsButton(QToolButton):
    """Which parts of the loss are drawn: a menu of ticks. One of them always stays."""

    changed = Signal(object)  # frozenset of the parts that are switched off

    def __init__(self) -> None:
        super().__init__()
        self._parts: tuple[tuple[str, str], ...] = ()
        self.off: frozenset[str] = frozenset()
        self.setText(self.tr("Parts"))
        self.setToolTip(self.tr("Which parts of the loss are drawn"))
        self.setAccessibleName(self.tr("Parts of the loss"))
        self.setIcon(icon("down", "muted"))
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setStyleSheet(SLIM_BUTTON)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.setMenu(menu)

    def offer(self, parts: Sequence[tuple[str, str]]) -> None:
        """These (part, word), in the order of the lines; what was switched off stays so."""
        if tuple(parts) == self._parts:
            return
        self._parts = tuple(parts)
        if all(part in self.off for part, _ in parts):  # none of this run would be left
            self.off = frozenset()
        self.menu().clear()
        for part, word in parts:
            action = self.menu().addAction(word)
            action.setData(part)
            action.setCheckable(True)
            action.setChecked(part not in self.off)
            action.toggled.connect(partial(self._switch, part))
        self._keep_one()

    def _switch(self, part: str, on: bool) -> None:
        self.off = self.off - {part} if on else self.off | {part}
        self._keep_one()
        self.changed.emit(self.off)

    def _keep_one(self) -> None:
        drawn = [action for action in self.menu().actions() if action.isChecked()]
        for action in self.menu().actions():
            last = len(drawn) == 1 and action in drawn
            action.setEnabled(not last)
            action.setToolTip(self.tr("One part stays drawn.") if last else action.text())
