"""Distill or tune: the switch at the head of both pages."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from desktop_app.context import Context
from desktop_app.forms import Segmented

translate = QCoreApplication.translate


class KindSwitch(Segmented):
    """Shows the page that it stands on, `plan` or `tune`, and leads to the other."""

    def __init__(self, context: Context, here: str) -> None:
        super().__init__([("plan", translate("KindSwitch", "Distill")), ("tune", translate("KindSwitch", "Tune"))])
        self._context, self._here = context, here
        self.setAccessibleName(self.tr("Distill or tune"))
        self.choose(here)
        self.chosen.connect(self._go)

    def _go(self, page: str) -> None:
        self.choose(self._here)  # for when somebody comes back
        if page != self._here:
            self._context.open(page)
