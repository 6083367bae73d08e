"""What came of a run that counted, prepared or fetched data: a card beside, and the statistics or the dropped rows in place of curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QStackedWidget, QVBoxLayout

from core.numbers import bytes_text, count_text
from core.recipe import Recipe
from core.state import History
from core.survey import SurveyRecipe
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.data.sifted import SiftedView
from desktop_app.data.statistics import StatisticsView, sections_of
from desktop_app.forms.field import button
from desktop_app.runs.dossier import Dossier
from desktop_app.runs.empty import Empty
from desktop_app.runs.facts import Fact, FactsView, Section

translate = QCoreApplication.translate

KINDS = ("survey", "prepare", "fetch")


def prepared_sections(results: Mapping[str, Any]) -> list[Section]:
    """Rows kept, each source and each file, in words. Fields that another version wrote otherwise are left out."""
    facts = []
    read, kept = results.get("read"), results.get("kept")
    if isinstance(read, int) and isinstance(kept, int):
        facts.append(Fact(translate("prepared", "Rows kept"), translate("prepared", "%s of %s") % (f"{kept:,}", f"{read:,}")))  # fmt: skip
    sources, files = results.get("sources"), results.get("files")
    named = [one for one in sources if isinstance(one, dict) and "path" in one] if isinstance(sources, list) else []
    units = {"tokens": translate("prepared", "tokens"), "characters": translate("prepared", "characters")}
    unit = units.get(str(results.get("unit")), translate("prepared", "rows"))
    from_each = tuple(Fact(Path(str(one["path"])).name, _taken(one, unit)) for one in named)
    made = files.items() if isinstance(files, dict) else ()
    written = tuple(Fact(str(name), _file(one)) for name, one in made if isinstance(one, dict))
    sections = [
        Section("", tuple(facts)),
        Section(translate("prepared", "Taken from"), from_each),
        Section(translate("prepared", "Files"), written),
    ]
    return [section for section in sections if section.facts]


def _taken(source: Mapping[str, Any], unit: str) -> str:
    """How much of a source is in the mixture, and how often it was read for that."""
    taken, epochs = source.get("taken"), source.get("epochs")
    if not isinstance(taken, int):
        return ""
    told = f"{count_text(taken)} {unit}"
    return f"{told} · {epochs:.2g}×" if isinstance(epochs, int | float) and epochs != 1 else told


def _file(file: Mapping[str, Any]) -> str:
    documents, size = file.get("documents"), file.get("bytes")
    parts = [translate("prepared", "%s rows") % f"{documents:,}"] if isinstance(documents, int) else []
    return " · ".join([*parts, *([bytes_text(size)] if isinstance(size, int) else [])])


def fetched_sections(results: Mapping[str, Any]) -> list[Section]:
    facts = []
    if isinstance(rows := results.get("documents"), int):
        facts.append(Fact(translate("fetched", "Rows"), f"{rows:,}"))
    if isinstance(columns := results.get("columns"), list):
        facts.append(Fact(translate("fetched", "Columns"), ", ".join(map(str, columns))))
    if isinstance(size := results.get("bytes"), int):
        facts.append(Fact(translate("fetched", "Size"), bytes_text(size)))
    if isinstance(file := results.get("file"), str):
        facts.append(Fact(translate("fetched", "File"), file))
    return [Section("", tuple(facts))] if facts else []


class DataCard(QFrame):
    """The outcome in figures. `data_wanted` carries the data set to be shown on the Data page."""

    data_wanted = Signal(object)  # Path
    folder_wanted = Signal(object)  # Path

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._data: Path | None = None
        self.title = QLabel()
        theme.set_role(self.title, "title")
        self.facts = FactsView()
        self.show_button = button(self.tr("Show in Data"), "data")
        self.folder = button(self.tr("Open its folder"), "folder_open")
        buttons = FlowLayout()
        buttons.addWidget(self.show_button)
        buttons.addWidget(self.folder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.title)
        layout.addWidget(self.facts)
        layout.addLayout(buttons)
        self.show_button.clicked.connect(lambda: self.data_wanted.emit(self._data))
        self.folder.clicked.connect(lambda: self.folder_wanted.emit(self._data))
        self.hide()

    def show_data(self, kind: str, history: History, dossier: Dossier | None) -> None:
        """Show what came of it; hidden until there is something."""
        results = history.results if kind in KINDS else {}
        self.setVisible(bool(results))
        if not results:
            return
        titles = {
            "survey": self.tr("Statistics"),
            "prepare": self.tr("Prepared data"),
            "fetch": self.tr("Fetched data"),
        }
        self.title.setText(titles[kind])
        if kind == "survey":
            sections = sections_of(results)[:1]  # the rest stands beside, in place of curves
        else:
            sections = prepared_sections(results) if kind == "prepare" else fetched_sections(results)
        self.facts.set_sections(sections)
        self._data = _data_of(kind, results, dossier.recipe if dossier else None)
        for one in (self.show_button, self.folder):
            one.setVisible(self._data is not None)


def _data_of(kind: str, results: Mapping[str, Any], recipe: Recipe | None) -> Path | None:
    """The data set that the run was about, or made; None of a survey of several, and of a preview."""
    if kind == "survey":
        return Path(recipe.data[0]) if isinstance(recipe, SurveyRecipe) and len(recipe.data) == 1 else None
    where = results.get("folder" if kind == "prepare" else "file")
    return Path(where) if isinstance(where, str) else None


class DataOutcome(QStackedWidget):
    """In place of curves: the statistics, what filters dropped, or that there is nothing yet."""

    def __init__(self) -> None:
        super().__init__()
        self.statistics, self.sifted, self.nothing = StatisticsView(), SiftedView(), Empty()
        self.area = QScrollArea()
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(self.statistics)
        for widget in (self.nothing, self.area, self.sifted):
            self.addWidget(widget)

    def show_outcome(self, kind: str, history: History | None) -> None:
        results = history.results if history is not None else {}
        if kind == "survey" and results:
            self.statistics.show_results(results)
            self.setCurrentWidget(self.area)
        elif kind == "prepare" and results:
            self.sifted.show_results(results)
            self.setCurrentWidget(self.sifted)
        else:
            told = {
                "survey": self.tr("The histogram of lengths comes when all rows are read."),
                "prepare": self.tr("What each filter dropped comes when all rows are sifted."),
                "fetch": self.tr("A data set of the Hub is fetched; its figures stand beside when it has come."),
            }
            self.nothing.say("data", self.tr("No curves here."), told.get(kind, ""), [])
            self.setCurrentWidget(self.nothing)
