"""Statistics of the picked data set: started here, followed while they are made, and shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.errors import Trouble
from core.models import ModelEntry
from core.numbers import parse_count
from core.run_summary import RunSummary
from core.runs import RunFolder, stop_and_keep
from core.state import State
from core.survey import SurveyRecipe
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.data.preview_pane import usable_tokenizer
from desktop_app.data.reading import NO_TEMPLATE, Reading, View
from desktop_app.data.statistics import StatisticsView
from desktop_app.data.surveys import Survey, Surveys, find_surveys, start
from desktop_app.forms import AmountEdit, Choice
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.live import Picture
from desktop_app.runs.words import date_text, model_name
from desktop_app.work import Latest, in_background

ALIVE = (State.QUEUED, State.RUNNING, State.STOPPING)
LEAST_CONTEXT = 2


class StatisticsPane(QWidget):
    """`show_data` picks what it is about. `view_changed` when another model's tokenizer shall count."""

    view_changed = Signal(object)  # View
    skip_wanted = Signal()  # broken rows are to be passed over; the survey begins again

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self._path: Path | None = None
        self._reading, self._view = Reading(), View()
        self._found: Surveys | None = None
        self._run: RunSummary | None = None  # the one that is followed
        self._starting = False
        self._seen: tuple[object, ...] = ()
        self._latest = Latest(self)
        self._make_parts()
        self._lay_out()
        self._connect()
        self._show()

    # --- how it is built ----------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.model = Choice()
        self.model.setAccessibleName(self.tr("The model whose tokenizer counts"))
        self.length = AmountEdit(parse_count, lambda value: f"{value:.0f}")
        self.length.setFixedWidth(80)
        self.length.setAccessibleName(self.tr("Context in tokens"))
        self.length.setPlaceholderText(self.tr("its own"))
        self.length.setToolTip(self.tr("Rows that are longer count as cut off; by default the model's own context."))
        self.start_button = button(self.tr("Start statistics"), "measure")
        self.stop_button = button(self.tr("Stop"), "stop")
        self.run_button = button(self.tr("Show the run"), "runs", "quiet")
        self.skip_button = button(self.tr("Skip broken rows and start again"), "again")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.progress.setAccessibleName(self.tr("How far the statistics are"))
        self.said, self.trouble = words("muted"), words("error")
        self.empty = QLabel(
            self.tr(
                "Lengths under a tokenizer as a histogram, what a context would cut off, duplicates and near-duplicates, "
                "roles and flaws: counted in the background, in one pass."
            )
        )
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        theme.set_role(self.empty, "muted")
        self.results = StatisticsView()
        self.area = QScrollArea()
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(self.results)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.area)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        for text, field, stretch in ((self.tr("Counted by"), self.model, 1), (self.tr("Context"), self.length, 0)):
            label = QLabel(text)
            label.setBuddy(field)
            theme.set_role(label, "muted")
            head.addWidget(label)
            head.addWidget(field, stretch)
            head.addSpacing(theme.SPACE)
        head.addWidget(self.start_button)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self.said, 1)
        row.addWidget(self.skip_button)
        row.addWidget(self.run_button)
        row.addWidget(self.stop_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addLayout(row)
        for widget in (self.progress, self.trouble):
            layout.addWidget(widget)
        layout.addWidget(self.pages, 1)

    def _connect(self) -> None:
        self.model.chosen.connect(self._take_model)
        self.length.changed.connect(lambda _: self._show_start())
        self.start_button.clicked.connect(self.begin)
        self.stop_button.clicked.connect(self._stop)
        self.skip_button.clicked.connect(self.skip_wanted)
        self.run_button.clicked.connect(self._open_run)
        self.context.live.listed.connect(lambda _: self.look())
        self.context.live.advanced.connect(self._advance)

    # --- what it is about ---------------------------------------------------------------------------------------------

    def set_models(self, entries: Sequence[ModelEntry]) -> None:
        offered = [(str(entry.path), entry.name) for entry in entries if usable_tokenizer(entry)]
        self.model.set_options([("", self.tr("characters, no model")), *offered])
        self.model.choose(str(self._view.model or ""))

    def set_view(self, view: View) -> None:
        self._view = view
        self.model.choose(str(view.model or ""))
        self.length.setEnabled(True)

    def show_data(self, path: Path | None, reading: Reading) -> None:
        other = path != self._path
        self._path, self._reading = path, reading
        if other:
            self._found, self._run, self._seen = None, None, ()
            self._starting = False
            self._show()
        self.look()

    def leave(self) -> None:
        """Nobody looks: nothing need be followed."""
        self.context.live.watch(self, ())

    def look(self) -> None:
        """Look among the runs for surveys of this data, if any of them changed."""
        path, home = self._path, self.context.home
        rows = [row for row in self.context.live.rows if row.kind == "survey"]
        seen = (path, *((row.id, row.state) for row in rows))
        if path is None or seen == self._seen:
            return
        self._seen = seen
        self._latest.ask(lambda: find_surveys(home, path, rows), self._take, self.context.trouble)

    def _take(self, found: Surveys) -> None:
        if found.path != self._path:
            return
        self._found, self._run = found, found.newest
        followed = [self._run.id] if self._run is not None and self._run.state in ALIVE else []
        self.context.live.watch(self, followed)
        if followed:
            self._starting = False
        self._show()

    def _advance(self, run: str, picture: Picture) -> None:
        if self._run is not None and run == self._run.id and self.isVisible():
            self._show_progress(picture)

    def _take_model(self, value: object) -> None:
        self._view = View(Path(str(value)) if value else None)
        self.view_changed.emit(self._view)

    # --- starting and stopping ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start a survey of this data, read as the page reads it."""
        path, home = self._path, self.context.home
        if path is None or self._why_not():
            return
        length = self.length.value()
        template = None if self._view.template in ("", NO_TEMPLATE) else self._view.template
        recipe = SurveyRecipe(
            data=(str(path),),
            columns=self._reading.columns,
            separator=self._reading.separator or None,
            skip_broken=self._reading.skip_broken,
            model=str(self._view.model) if self._view.model else None,
            template=template,
            context=int(length) if length is not None else None,
        )
        self._starting = True
        self._show()
        in_background(self, lambda: start(home, recipe), lambda _: self.context.live.look(), self._refuse)

    def _refuse(self, trouble: Trouble) -> None:
        self._starting = False
        self._show()
        self.trouble.setText(str(trouble))
        self.trouble.show()

    def _open_run(self) -> None:
        if self._run is not None:
            self.context.open("runs", run=self._run.id)

    def _stop(self) -> None:
        if self._run is None:
            return
        run = RunFolder(self.context.home.runs / self._run.id)
        in_background(self, lambda: stop_and_keep(run), lambda _: self.context.live.look(), self.context.trouble)

    def _why_not(self) -> str:
        if self._starting or (self._run is not None and self._run.state in ALIVE):
            return self.tr("The statistics are being made.")
        length = self.length.value()
        if self.length.problem() or (length is not None and length < LEAST_CONTEXT):
            return self.length.problem() or self.tr("A context has at least %d tokens.") % LEAST_CONTEXT
        return ""

    # --- what is shown ------------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path | None:
        """The data set that it is about."""
        return self._path

    def survey(self) -> Survey | None:
        return self._found.finished if self._found else None

    def _show(self) -> None:
        run, survey = self._run, self.survey()
        alive = self._starting or (run is not None and run.state in ALIVE)
        failed = run is not None and run.state in (State.FAILED, State.CRASHED)
        self.progress.setVisible(alive)
        self.stop_button.setVisible(alive and run is not None)
        self.run_button.setVisible(run is not None)
        self.skip_button.setVisible(failed and not self._reading.skip_broken)
        self.said.setText(self._words(run) or (self._made(survey) if survey else ""))
        self.trouble.setText(run.failure or self.tr("The engine ended without a word; its log is with the run.") if failed and run else "")  # fmt: skip
        self.trouble.setVisible(failed)
        self.pages.setCurrentWidget(self.area if survey else self.empty)
        if survey:
            self.results.show_results(survey.results)
        self._show_start()
        picture = self.context.live.pictures.get(run.id) if run is not None and alive else None
        if picture is not None:
            self._show_progress(picture)
        elif alive:
            self.progress.setRange(0, 1000)
            self.progress.setValue(0)

    def _show_start(self) -> None:
        why_not = self._why_not()
        self.start_button.setText(self.tr("Start again") if self.survey() else self.tr("Start statistics"))
        self.start_button.setEnabled(not why_not)
        self.start_button.setToolTip(why_not)

    def _words(self, run: RunSummary | None) -> str:
        if self._starting:
            return self.tr("Starting…")
        state = run.state if run else ""
        told: dict[str, str] = {
            State.QUEUED: self.tr("Waits for its turn in the queue."),
            State.RUNNING: self.tr("Reading…"),
            State.STOPPING: self.tr("Stopping…"),
            State.STOPPED: self.tr("The last survey was stopped."),
            State.FAILED: self.tr("The last survey ended early."),
            State.CRASHED: self.tr("The last survey ended early."),
        }
        return told.get(state, "")

    def _show_progress(self, picture: Picture) -> None:
        share = picture.history.phase_share or 0.0
        self.progress.setRange(0, 1000)
        self.progress.setValue(round(1000 * share))
        phase = picture.history.phase
        if picture.state == State.RUNNING and phase:
            self.said.setText(f"{phase[:1].upper()}{phase[1:]} · {share:.0%}")

    def _made(self, survey: Survey) -> str:
        """Under what, and when."""
        recipe = survey.recipe
        by = self.tr("Tokenizer of %s") % model_name(recipe.model) if recipe.model else self.tr("In characters")
        told = [by, date_text(survey.made)]
        if recipe.skip_broken:
            told.append(self.tr("broken rows skipped"))
        if survey.older:
            told.append(self.tr("the data have changed since"))
        return " · ".join(told)
