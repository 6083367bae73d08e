"""The curves of the compared runs over one another."""

from __future__ import annotations

from PySide6.QtWidgets import QStackedWidget

from core.compare import Comparison
from desktop_app import theme
from desktop_app.charts.curves import CurvesPanel
from desktop_app.charts.lines import RunSpec
from desktop_app.context import Context
from desktop_app.live import Picture
from desktop_app.runs.empty import Empty


class CurvesPane(QStackedWidget):
    """The panel of curves is made when it is first wanted: it is the most expensive widget that there is."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.nothing = Empty()
        self.addWidget(self.nothing)
        self.panel: CurvesPanel | None = None
        self._runs: list[str] = []

    def runs(self) -> list[str]:
        return list(self._runs)

    def draw(self, comparison: Comparison, numbers: list[int], hidden: frozenset[str]) -> None:
        specs = [
            RunSpec(entry.run, entry.name, theme.series_colour(number), "solid" if entry.settings.get("use_teacher", True) else "dotted")
            for entry, number in zip(comparison.entries, numbers, strict=True)
            if entry.run is not None and entry.word not in hidden and (entry.curve or entry.path is None)
        ]  # fmt: skip
        self._runs = [spec.id for spec in specs]
        if not specs:
            told = self.tr("Curves are known of runs that trained a model here. Add the runs themselves.")
            self.nothing.say("runs", self.tr("No curves to lay over one another."), told, [])
            self.setCurrentWidget(self.nothing)
            return
        panel = self._panel()
        panel.set_runs(specs)
        for spec in specs:
            if (picture := self.context.live.pictures.get(spec.id)) is not None:
                panel.show(spec.id, picture)
        self.setCurrentWidget(panel)

    def _panel(self) -> CurvesPanel:
        if self.panel is None:
            self.panel = CurvesPanel()
            self.panel.troubled.connect(self.context.trouble)
            self.panel.exported.connect(lambda path: self.context.say(self.tr("Written to %s") % path, "good"))
            self.addWidget(self.panel)
        return self.panel

    def advance(self, run: str, picture: Picture) -> None:
        if self.panel is not None and run in self._runs:
            self.panel.show(run, picture)
