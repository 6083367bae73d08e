"""The question when the window closes while runs are alive: let them go on, or stop and keep them."""

from __future__ import annotations

from typing import Literal

from PySide6.QtWidgets import QCheckBox, QMessageBox, QWidget

Answer = Literal["keep", "stop", "stay"]


class ClosingQuestion(QMessageBox):
    """`answer` after it closed: keep them running, stop and keep, or stay in the window; `remember` for next time."""

    def __init__(self, alive: int, waiting: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setIcon(QMessageBox.Icon.Question)
        self.setWindowTitle(self.tr("Close Stillroom"))
        runs = self.tr("A run is alive.") if alive == 1 else self.tr("%d runs are alive.") % alive
        if waiting:
            runs += " " + (self.tr("Another waits.") if waiting == 1 else self.tr("%d more wait.") % waiting)
        self.setText(runs)
        self.setInformativeText(
            self.tr(
                "They need no window: kept running, they go on, those that wait start in their turn, and the window finds them "
                "when it opens again. Stopped, each saves a checkpoint first, those that wait leave the queue, and all can be "
                "resumed."
            )
        )
        self.keep = self.addButton(self.tr("Keep running"), QMessageBox.ButtonRole.AcceptRole)
        self.stop = self.addButton(self.tr("Stop and keep"), QMessageBox.ButtonRole.DestructiveRole)
        self.stay = self.addButton(self.tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(self.keep)
        self.setEscapeButton(self.stay)
        self._remember = QCheckBox(self.tr("Always do this (Settings can change it)"))
        self.setCheckBox(self._remember)

    @property
    def answer(self) -> Answer:
        clicked = self.clickedButton()
        return "keep" if clicked is self.keep else "stop" if clicked is self.stop else "stay"

    @property
    def remember(self) -> bool:
        return self._remember.isChecked()
