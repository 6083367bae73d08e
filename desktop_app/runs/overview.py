"""The first look at a run: how it failed or what came of it, what it wanted to be known, and its facts."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from core.run_summary import RunSummary
from core.state import History, State
from core.watch import WatchedRecipe
from desktop_app import theme
from desktop_app.export.card import ExportCard
from desktop_app.icons import icon
from desktop_app.live import Picture
from desktop_app.runs.cache_card import CacheCard
from desktop_app.runs.chain_card import ChainCard, links_of
from desktop_app.runs.data_card import KINDS as DATA_KINDS
from desktop_app.runs.data_card import DataCard
from desktop_app.runs.dossier import Dossier
from desktop_app.runs.evaluation_card import KINDS as EVALUATED_KINDS
from desktop_app.runs.evaluation_card import EvaluationCard
from desktop_app.runs.facts import FactsView, sections_of
from desktop_app.runs.measured_card import MeasuredCard
from desktop_app.runs.merge_card import KINDS as MERGE_KINDS
from desktop_app.runs.merge_card import MergeCard
from desktop_app.runs.outcome import FailureCard, ResultsCard
from desktop_app.runs.pilot_card import PilotCard
from desktop_app.runs.tune_card import TuneCard
from desktop_app.runs.written import WrittenCard
from desktop_app.sign import Sign


class Overview(QScrollArea):
    """Scrolls; cards come and go, the facts stay."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(self.tr("Overview of the run"))
        self.failure = FailureCard()
        self.results = ResultsCard()
        self.pilot = PilotCard()
        self.chain = ChainCard()
        self.cache = CacheCard()
        self.written = WrittenCard()
        self.data = DataCard()
        self.evaluation = EvaluationCard()
        self.measured = MeasuredCard()
        self.merge = MergeCard()
        self.tune = TuneCard()
        self.export = ExportCard()
        self.notices = Notices()
        self.facts = FactsView()
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, theme.SPACE, theme.SPACE, theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        cards = (
            self.failure,
            self.pilot,
            self.chain,
            self.cache,
            self.written,
            self.data,
            self.tune,
            self.merge,
            self.results,
            self.measured,
        )
        for widget in (self.export, self.evaluation, *cards, self.notices, self.facts):
            layout.addWidget(widget)
        layout.addStretch(1)
        self.setWidget(content)

    def show_run(self, row: RunSummary, picture: Picture | None, dossier: Dossier | None) -> None:
        """`picture` is None until the journal has been read."""
        history = picture.history if picture is not None else History()
        self.failure.show_failure(row.state if picture is not None else "", history)
        made_text = row.kind in (
            "cache",
            "write",
            "adapters",
            "export",
            *DATA_KINDS,
            *MERGE_KINDS,
            *EVALUATED_KINDS,
        )  # they have results of their own, and no figures
        shown = History() if made_text else history
        self.results.show_results(
            row.state, shown, has_student=bool(dossier and dossier.student) and not made_text, tuned=row.kind == "tune"
        )
        self.cache.show_cache(dossier if row.kind == "cache" else None)
        self.written.show_written(history if row.kind == "write" else History(), dossier)
        self.data.show_data(row.kind, history, dossier)
        self.merge.show_merge(row.kind, history, dossier)
        self.evaluation.show_evaluation(row.kind, history, dossier)
        self.tune.show_tuning(row, history, dossier)
        self._show_measured(row, shown, dossier)
        self.export.show_export(history if row.kind == "export" else History())
        recipe = dossier.recipe if dossier is not None else None
        self.chain.show_links(links_of(recipe, row.state, history, picture.curves) if picture is not None else [])
        self.notices.set_notices(self._notices(picture, dossier))
        self.facts.setVisible(picture is not None)  # those of another run are gone at once, and their labels used again
        if picture is not None:
            self.facts.set_sections(sections_of(row, history, dossier))

    def _show_measured(self, row: RunSummary, history: History, dossier: Dossier | None) -> None:
        recipe = dossier.recipe if dossier is not None else None
        every = recipe.measure_every if isinstance(recipe, WatchedRecipe) else None
        points = dossier.measured if dossier is not None else ()
        self.measured.show_measured(history, points, every, alive=State(row.state).alive)

    def _notices(self, picture: Picture | None, dossier: Dossier | None) -> list[tuple[str, str]]:
        told = [(notice.level, notice.text) for notice in picture.history.notices] if picture else []
        if picture is not None and picture.bad_lines:
            lost = self.tr(
                "%d lines of its journal can't be read and are left out: somebody edited the file, or a disk failed."
            )
            told.append(("warning", lost % picture.bad_lines))
        if picture is not None and picture.unknown_lines:
            newer = self.tr(
                "%d lines of its journal come from another version of Stillroom and are kept, but not shown."
            )
            told.append(("info", newer % picture.unknown_lines))
        if dossier is not None and dossier.trouble:
            told.append(("warning", dossier.trouble))
        return told


class Notices(QWidget):
    """What the user should know though the run goes on; the newest last, each once."""

    def __init__(self) -> None:
        super().__init__()
        self._told: list[tuple[str, str]] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.SPACE)
        self.hide()

    def set_notices(self, notices: Sequence[tuple[str, str]]) -> None:
        """Pairs of level ("info" or "warning") and text."""
        told = list(dict.fromkeys(notices))
        if told == self._told:
            return
        self._told = told
        while (item := self._layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for level, text in told:
            self._layout.addWidget(self._line(level, text))
        self.setVisible(bool(told))

    def texts(self) -> list[str]:
        return [text for _, text in self._told]

    def _line(self, level: str, text: str) -> QWidget:
        warning = level == "warning"
        frame = QFrame()
        sign = Sign(icon("warning", "warning") if warning else icon("info", "muted"))
        sign.setAccessibleName(self.tr("Warning") if warning else self.tr("Notice"))
        words = QLabel(text)
        words.setTextFormat(Qt.TextFormat.PlainText)
        words.setWordWrap(True)
        words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QHBoxLayout(frame)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(sign, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addWidget(words, 1)
        return frame
