"""One run in full, or several over one another: where it is, its curves, and beside them what there is to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QAbstractButton,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core.errors import Trouble
from core.export import ExportRecipe
from core.run_summary import RunSummary
from core.runs import RunFolder
from core.state import History, State
from core.sweep import SweepRecipe
from desktop_app import theme
from desktop_app.charts.curves import CurvesPanel
from desktop_app.charts.lines import RunSpec
from desktop_app.context import Context
from desktop_app.export.compared import ComparedView
from desktop_app.forms.field import Elided, button
from desktop_app.icons import icon, state_icon
from desktop_app.live import Picture
from desktop_app.merge.sweep_chart import SweepView, swept_of
from desktop_app.models.caches import plan_with
from desktop_app.runs import words
from desktop_app.runs.data_card import KINDS as DATA_KINDS
from desktop_app.runs.data_card import DataOutcome
from desktop_app.runs.dossier import Dossier, guided_ones, read_dossier
from desktop_app.runs.empty import Empty
from desktop_app.runs.evaluation_card import KINDS as EVALUATED_KINDS
from desktop_app.runs.evaluation_card import EvaluationOutcome
from desktop_app.runs.lineage import LineageView
from desktop_app.runs.log_view import LogView
from desktop_app.runs.overview import Overview
from desktop_app.runs.pilots import PilotJudge, short_names
from desktop_app.runs.recipe_view import RecipeView
from desktop_app.runs.samples import SamplesPane
from desktop_app.runs.written import WrittenView, rows_of
from desktop_app.sign import Sign
from desktop_app.work import Latest, in_background

DOSSIER_MS = 10_000  # between two looks at what a living run takes on disk
WITHOUT_CURVES = ("cache", "measure", "adapters", "merge")  # kinds of run; those that write show what they wrote


class RunHeader(QWidget):
    """Name, state and phase of a run, how far it is, and the one thing to do about it next."""

    action_wanted = Signal(str)  # of the table of actions

    def __init__(self) -> None:
        super().__init__()
        self._action, self._state = "", ""
        self.sign = Sign(size=theme.ICON)
        self.name = Elided()
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        theme.set_role(self.name, "title")
        self.line = Elided()
        self.line.setTextFormat(Qt.TextFormat.PlainText)
        self.line.setFont(theme.tabular(self.line.font()))
        theme.set_role(self.line, "muted")
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.progress.setAccessibleName(self.tr("Progress of the run"))
        self.act: QAbstractButton = button("")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, theme.SPACE)
        layout.setHorizontalSpacing(theme.SPACE)
        layout.setVerticalSpacing(2)
        layout.addWidget(self.sign, 0, 0)
        layout.addWidget(self.name, 0, 1)
        layout.addWidget(self.line, 1, 1)
        layout.addWidget(self.act, 0, 2, 2, 1, Qt.AlignmentFlag.AlignVCenter)
        layout.setRowMinimumHeight(2, 4)
        layout.addWidget(self.progress, 3, 0, 1, 3)
        layout.setColumnStretch(1, 1)
        self._align()
        self.act.clicked.connect(lambda: self.action_wanted.emit(self._action))

    def _align(self) -> None:
        """Texts begin where the window's lines begin, in whatever script they are written."""
        mirrored = self.layoutDirection() is Qt.LayoutDirection.RightToLeft
        side = Qt.AlignmentFlag.AlignRight if mirrored else Qt.AlignmentFlag.AlignLeft
        for label in (self.name, self.line):
            label.setAlignment(side | Qt.AlignmentFlag.AlignAbsolute | Qt.AlignmentFlag.AlignVCenter)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.LayoutDirectionChange:
            self._align()

    def show_run(self, row: RunSummary, picture: Picture | None) -> None:
        if row.name != self.name.whole():
            self.name.set_text(row.name)
        if row.state != self._state:
            self._state = row.state
            self.sign.set_icon(state_icon(row.state))
        line = " · ".join(part for part in self._parts(row, picture) if part)
        if line != self.line.whole():
            self.line.set_text(line)
        share = row.share if row.share is not None else picture.history.phase_share if picture else None
        if picture is not None and not State(row.state).ended and picture.history.share:
            share = picture.history.share
        self.progress.setVisible(State(row.state).alive)
        self.progress.setValue(round(1000 * min(1.0, share or 0.0)))
        self._offer(row)

    def _parts(self, row: RunSummary, picture: Picture | None) -> list[str]:
        state = words.state_word(row.state)
        if row.kind not in ("distill", "unknown"):
            state = f"{words.kind_word(row.kind)} · {state}"
        if row.state == State.FAILED and row.failure:
            return [state, row.failure]
        if row.state == State.QUEUED and not row.step:
            return [state, self.tr("it starts when a device is free")]
        if picture is None:
            return [state, self.tr("reading its journal…")]
        behind = self.tr("still reading its journal…") if picture.behind else ""
        return [state, words.phase_line(row.state, picture.history), behind]

    def _offer(self, row: RunSummary) -> None:
        name, text, sign = "", "", ""
        match row.state:
            case State.RUNNING:
                name, text, sign = "stop", self.tr("Stop and keep"), "stop"
            case State.QUEUED:
                name, text, sign = "stop", self.tr("Take out of the queue"), "stop"
            case State.STOPPED | State.FAILED | State.CRASHED:
                name, text, sign = "resume", self.tr("Resume"), "resume"
            case State.FINISHED if row.model:
                name, text, sign = "chat", self.tr("Chat with it"), "chat"
            case State.FINISHED:
                name, text, sign = "again", self.tr("Run again"), "again"
        self.act.setVisible(bool(name))
        if (name, text) != (self._action, self.act.text()):
            self._action = name
            self.act.setText(text)
            self.act.setIcon(icon(sign or "stop"))


class RunDetail(QWidget):
    """The picked run, with the curves of the ticked ones if there are any."""

    action_wanted = Signal(str)
    untick_wanted = Signal()
    run_wanted = Signal(str)
    folder_wanted = Signal(object)  # Path: to be shown in the file manager
    drawn_changed = Signal()  # curves of other runs are on screen

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.row: RunSummary | None = None
        self._ticked: tuple[RunSummary, ...] = ()
        self._mates: tuple[RunSummary, ...] = ()  # the runs of its pilot, itself among them
        self._alone = False  # of a pilot only the picked run is drawn
        self._dossier: Dossier | None = None
        self._seen: tuple[str, str, str, tuple[str, ...]] = (
            "",
            "",
            "",
            (),
        )  # run, state, cache and measurements that the folder was last looked at for
        self._guided: dict[str, bool] = {}
        self._specs: list[RunSpec] = []
        self._latest = Latest(self)
        self._guides = Latest(self)
        self._timer = QTimer(self)
        self._timer.setInterval(DOSSIER_MS)
        self.header = RunHeader()
        self.curves = CurvesPanel()
        self.overview = Overview()
        self.pilot = PilotJudge(context, self.overview.pilot)
        self.samples_pane = SamplesPane()
        self.samples = self.samples_pane.evaluated
        self.no_curves, self.written = Empty(), WrittenView()
        self.data, self.evaluated = DataOutcome(), EvaluationOutcome()
        self.compared = ComparedView()
        self.sweep = SweepView()
        self.left = QStackedWidget()
        self.recipe = RecipeView()
        self.lineage = LineageView(context.home)
        self.log = LogView()
        self.tabs = QTabWidget()
        self._overlay_bar = QWidget()
        self.overlaid = QLabel()
        self.untick = button(self.tr("Untick all"), role="quiet")
        self.mates_button = button("", role="quiet")
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self._compose()
        self._connect()

    def _compose(self) -> None:
        # from the outside inwards: a widget that changes its parent has its whole inside dressed anew
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addWidget(self.splitter, 1)
        left, right = QWidget(self.splitter), QWidget(self.splitter)
        column, beside = QVBoxLayout(left), QVBoxLayout(right)
        column.setContentsMargins(0, 0, theme.SPACE, 0)
        column.setSpacing(4)
        column.addWidget(self._overlay_bar)
        column.addWidget(self.left, 1)
        for widget in (self.curves, self.compared, self.no_curves, self.data, self.evaluated, self.sweep, self.written):
            self.left.addWidget(widget)
        beside.setContentsMargins(theme.SPACE, 0, 0, 0)
        beside.addWidget(self.tabs)
        bar = QHBoxLayout(self._overlay_bar)
        bar.setContentsMargins(0, 0, 0, 0)
        theme.set_role(self.overlaid, "small")
        self.overlaid.setWordWrap(True)
        bar.addWidget(self.overlaid, 1)
        bar.addWidget(self.untick)
        bar.addWidget(self.mates_button)
        self._overlay_bar.hide()
        self._fill_tabs()
        self.splitter.setStretchFactor(0, 3)
        self.splitter.setStretchFactor(1, 2)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setSizes([640, 440])

    def _fill_tabs(self) -> None:
        self.tabs.setDocumentMode(True)
        self.tabs.setUsesScrollButtons(True)
        self.tabs.tabBar().setDrawBase(False)
        self.tabs.setAccessibleName(self.tr("About the run"))
        for page, title in (
            (self.overview, self.tr("Overview")),
            (self.samples_pane, self.tr("Samples")),
            (self.recipe, self.tr("Recipe")),
            (self.lineage, self.tr("Lineage")),
            (self.log, self.tr("Log")),
        ):
            self.tabs.addTab(page, title)

    def _connect(self) -> None:
        context = self.context
        self.header.action_wanted.connect(self.action_wanted)
        self.untick.clicked.connect(self.untick_wanted)
        self._timer.timeout.connect(lambda: self._look_at_folder() if self.isVisible() else None)
        self.overview.failure.resume_wanted.connect(lambda: self.action_wanted.emit("resume"))
        self.overview.failure.report_wanted.connect(self._copy_report)
        self.overview.results.folder_wanted.connect(lambda: self.action_wanted.emit("student"))
        self.overview.results.teacher_wanted.connect(self._use_as_teacher)
        self.overview.results.chat_wanted.connect(lambda: self.action_wanted.emit("chat"))
        self.overview.cache.plan_wanted.connect(lambda info: context.open("plan", recipe=plan_with(info)))
        self.overview.cache.list_wanted.connect(lambda info: context.open("models", cache=info.folder))
        self.overview.written.data_wanted.connect(self._use_as_data)
        self.overview.data.data_wanted.connect(lambda path: context.open("data", data=path))
        self.overview.data.folder_wanted.connect(self.folder_wanted)
        self.overview.tune.model_wanted.connect(lambda path: context.open("models", model=path))
        self.overview.tune.merge_wanted.connect(self._merge)
        self.overview.tune.tune_wanted.connect(lambda path: context.open("tune", model=path))
        self._connect_merge()
        self.overview.measured.compare_wanted.connect(lambda: self.action_wanted.emit("compare"))
        self.overview.measured.run_wanted.connect(self.run_wanted)
        card = self.overview.evaluation
        card.compare_wanted.connect(lambda model: context.open("compare", models=[model]))
        card.again_wanted.connect(lambda model: context.open("compare", evaluate=[model]))
        card.verdicts_wanted.connect(lambda: context.open("compare", area="judged"))
        self.overview.export.folder_wanted.connect(self.folder_wanted)
        self.overview.export.text_wanted.connect(self._copy)
        self.overview.export.again_wanted.connect(self._export_again)
        self.overview.export.lesson_wanted.connect(self._show_rounding)
        self.overview.written.folder_wanted.connect(lambda: self.action_wanted.emit("written"))
        self.mates_button.clicked.connect(self._switch_mates)
        self.recipe.saved.connect(lambda where: context.say(self.tr("The recipe is in %s") % where, "good"))
        self.recipe.troubled.connect(context.trouble)
        self.lineage.opened.connect(self._open_member)
        self.log.copied.connect(lambda: context.say(self.tr("The log is copied.")))
        context.shelf.changed.connect(self._tell_lineage)

    def _connect_merge(self) -> None:
        context, card = self.context, self.overview.merge
        card.chat_wanted.connect(lambda model: context.open("chat", model=model))
        card.model_wanted.connect(lambda model: context.open("models", model=model))
        card.tree_wanted.connect(lambda recipe: context.open("merge", recipe=recipe))
        card.evaluate_wanted.connect(lambda model: context.open("compare", evaluate=[str(model)]))
        self.sweep.copied.connect(lambda: context.say(self.tr("The figures are on the clipboard.")))

    # --- what is shown

    def show_run(self, row: RunSummary | None, mates: Sequence[RunSummary] = ()) -> None:
        """Pick another run, or the newest that is known of the same one. `mates` are all runs of its pilot."""
        other = (row.id if row else "") != (self.row.id if self.row else "")
        self.row = row
        before, self._mates = self._mates, tuple(mates)
        self.setVisible(row is not None)
        if row is None:
            self._timer.stop()
            self._seen = ("", "", "", ())
            return
        if other:
            self._show_other(row)
        picture = self.context.live.pictures.get(row.id)
        self._show_picture(picture)
        if other or [mate.id for mate in mates] != [mate.id for mate in before]:
            self._draw_specs()
        self.pilot.look(self._mates)
        self._tell_lineage()

    def set_ticked(self, rows: Sequence[RunSummary]) -> None:
        """Lay the curves of these over one another, in these colours' order; none: only the picked run's."""
        self._ticked = tuple(rows)
        self._draw_specs()

    def advance(self, run: str, picture: Picture) -> None:
        """A journal has grown."""
        if any(spec.id == run for spec in self._specs):
            self.curves.show(run, picture)
        if self.row is not None and run == self.row.id:
            if self.row.state != picture.state:
                self.row = replace(self.row, state=str(picture.state))
            self._show_picture(picture)

    def drawn(self) -> list[str]:
        """The runs whose curves are on screen."""
        return [spec.id for spec in self._specs]

    def focus(self) -> None:
        self.tabs.tabBar().setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _show_other(self, row: RunSummary) -> None:
        self._dossier = None
        self.recipe.set_dossier(None)
        self.log.set_log(RunFolder(self.context.home.runs / row.id).log)
        self.samples_pane.set_samples([])
        self.written.set_rows(())
        self.overview.verticalScrollBar().setValue(0)

    def _show_picture(self, picture: Picture | None) -> None:
        assert self.row is not None
        self.header.show_run(self.row, picture)
        self.overview.show_run(self.row, picture, self._dossier)
        if picture is not None:
            self.samples_pane.set_samples(picture.history.samples)
            if self.row.kind == "write":
                self.written.set_rows(rows_of(picture.history, self._dossier))
        self._choose_left()
        seen = (self.row.id, self.row.state, self._cache_of(picture), self._measured_by(picture))
        if seen != self._seen:
            self._seen = seen
            self._look_at_folder()
            if not State(self.row.state).alive:
                self._timer.stop()
            elif not self._timer.isActive():
                self._timer.start()

    def _choose_left(self) -> None:
        """Curves, or what a run without any has in their place."""
        kind = self.row.kind if self.row is not None and not self._ticked else ""
        if kind in DATA_KINDS and self.row is not None:
            picture = self.context.live.pictures.get(self.row.id)
            self.data.show_outcome(kind, picture.history if picture is not None else None)
            self.left.setCurrentWidget(self.data)
        elif kind in EVALUATED_KINDS and self.row is not None:
            picture = self.context.live.pictures.get(self.row.id)
            recipe = self._dossier.recipe if self._dossier is not None else None
            self.evaluated.show_outcome(kind, self.row.name, picture.history if picture is not None else None, recipe)
            self.left.setCurrentWidget(self.evaluated)
        elif kind == "sweep" and self.row is not None:
            picture = self.context.live.pictures.get(self.row.id)
            recipe = self._dossier.recipe if self._dossier is not None else None
            planned = len(recipe.points()) if isinstance(recipe, SweepRecipe) else None
            self.sweep.show_swept(swept_of(picture.history if picture is not None else History(), planned))
            self.left.setCurrentWidget(self.sweep)
        elif kind == "export" and self.row is not None:
            picture = self.context.live.pictures.get(self.row.id)
            self.compared.show_export(picture.history if picture is not None else None)
            self.left.setCurrentWidget(self.compared)
        elif kind == "write":
            self.left.setCurrentWidget(self.written)
        elif kind in WITHOUT_CURVES:
            self.no_curves.say("runs", self.tr("No curves here."), self._why_no_curves(kind), [])
            self.left.setCurrentWidget(self.no_curves)
        else:
            self.left.setCurrentWidget(self.curves)

    def _why_no_curves(self, kind: str) -> str:
        return {
            "cache": self.tr("The teacher reads the text once and its answers are kept; nothing is trained."),
            "merge": self.tr("Nothing is trained: tensor by tensor the models become one. Its figures stand beside."),
            "measure": self.tr("The speed of this machine is measured once; the figures stand beside."),
            "adapters": self.tr("Matrices are added to weights, exactly; nothing is trained."),
        }[kind]

    # --- curves

    def _together(self) -> tuple[RunSummary, ...]:
        """The runs whose curves lie over one another: those that are ticked, else those of the pilot."""
        if self._ticked:
            return self._ticked
        mates = self._mates if not self._alone and len(self._mates) > 1 else ()
        return mates or ((self.row,) if self.row is not None else ())

    def _show_overlay_bar(self) -> None:
        ticked, pilot = len(self._ticked), len(self._mates) > 1 and not self._ticked
        self._overlay_bar.setVisible(bool(ticked or pilot))
        self.untick.setVisible(bool(ticked))
        self.mates_button.setVisible(pilot)
        if ticked:
            one, several = self.tr("The curves are those of the ticked run."), self.tr("The curves are those of the %d ticked runs.")  # fmt: skip
            self.overlaid.setText(one if ticked == 1 else several % ticked)
        elif pilot:
            together = self.tr("The curves are those of the %d runs of the pilot.") % len(self._mates)
            self.overlaid.setText(self.tr("One run of a pilot, drawn alone.") if self._alone else together)
            self.mates_button.setText(self.tr("Draw the pilot") if self._alone else self.tr("Draw this run alone"))

    def _switch_mates(self) -> None:
        self._alone = not self._alone
        self._draw_specs()

    def _draw_specs(self) -> None:
        rows = self._together()
        self._show_overlay_bar()
        self._choose_left()
        names = [row.name for row in rows] if self._ticked else short_names([row.name for row in rows])
        specs = [
            RunSpec(row.id, names[at], theme.series_colour(at), "solid" if self._guided.get(row.id, True) else "dotted")
            for at, row in enumerate(rows)
        ]
        unknown = [row.id for row in rows if row.id not in self._guided]
        if unknown:
            home = self.context.home
            self._guides.ask(lambda: guided_ones(home, unknown), self._take_guided)
        if specs == self._specs:
            return
        others = [spec.id for spec in specs] != [spec.id for spec in self._specs]
        self._specs = specs
        self.curves.set_runs(specs)
        if others:
            self.drawn_changed.emit()
        for spec in specs:
            picture = self.context.live.pictures.get(spec.id)
            if picture is not None:
                self.curves.show(spec.id, picture)

    def _take_guided(self, found: dict[str, bool]) -> None:
        self._guided |= found
        self._draw_specs()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_specs", None):
            self._draw_specs()

    # --- what the folder tells

    def _look_at_folder(self) -> None:
        if self.row is None:
            return
        run, cache = RunFolder(self.context.home.runs / self.row.id), self._seen[2]
        self._latest.ask(lambda: read_dossier(run, cache), self._take_dossier, self._refuse)

    def _cache_of(self, picture: Picture | None) -> str:
        """The folder of the answers that its journal names."""
        chosen = picture.history.choices.get("cache") if picture is not None else None
        return str(chosen.value) if chosen is not None else ""

    def _measured_by(self, picture: Picture | None) -> tuple[str, ...]:
        """The evaluations of its student, and how far they are."""
        said = [point.run for point in picture.history.measured] if picture is not None else []
        states = {row.id: row.state for row in self.context.live.rows} if said else {}
        return tuple(f"{run} {states.get(run, '')}" for run in said)

    def _take_dossier(self, dossier: Dossier) -> None:
        if self.row is not None and dossier.run == self.row.id:
            self._dossier = dossier
            self.recipe.set_dossier(dossier)
            self._show_picture(self.context.live.pictures.get(self.row.id))

    def _refuse(self, trouble: Trouble) -> None:
        self.context.trouble(trouble)

    def _tell_lineage(self) -> None:
        if self.row is not None:
            mark = f"{self.row.state} {len(self.context.shelf.entries)} {len(self.context.live.rows)}"
            self.lineage.set_run(self.row.id, mark)

    def _open_member(self, member: object) -> None:
        from desktop_app.runs.family import Member

        assert isinstance(member, Member)
        if member.kind == "run" and member.run:
            self.run_wanted.emit(member.run)
        elif member.model is not None:
            self.context.open("models", model=member.model)

    # --- what is done with it

    def student(self) -> Path | None:
        return self._dossier.student if self._dossier else None

    def _use_as_teacher(self) -> None:
        if (student := self.student()) is not None:
            self.context.open("plan", teacher=student)

    def written_file(self) -> Path | None:
        return self._dossier.written_file if self._dossier else None

    def _use_as_data(self) -> None:
        if (file := self.written_file()) is not None:
            self.context.open("plan", data=file)

    def _merge(self, adapter: Path) -> None:
        from desktop_app.models.merging import ask_to_merge

        ask_to_merge(self.context, adapter, self)

    def _exported_model(self) -> Path | None:
        recipe = self._dossier.recipe if self._dossier is not None else None
        return Path(recipe.model) if isinstance(recipe, ExportRecipe) else None

    def _export_again(self) -> None:
        from desktop_app.export.dialog import ask_to_export

        if (model := self._exported_model()) is not None:
            ask_to_export(self.context, model, self)

    def _show_rounding(self) -> None:
        from desktop_app.export.rounding import show_rounding

        if (model := self._exported_model()) is not None:
            show_rounding(self.context, model, self)

    def _copy(self, text: str) -> None:
        from PySide6.QtGui import QGuiApplication

        QGuiApplication.clipboard().setText(text)
        self.context.say(self.tr("Copied."))

    def _copy_report(self) -> None:
        if self.row is None:
            return
        from PySide6.QtGui import QGuiApplication

        from desktop_app.shell import report

        run, context = self.row.id, self.context

        def done(text: str) -> None:
            QGuiApplication.clipboard().setText(text)
            context.say(self.tr("The report is on the clipboard. It holds no personal paths."), "good")

        in_background(self, lambda: report.text(context, run), done, context.trouble)
