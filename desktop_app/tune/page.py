"""The Tune page: what is tuned on what, what for and how, at the leading side; what it takes beside it; and one button.

A change makes a new `Draft`; it is thought over off the window's thread and the answer goes into all parts at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QByteArray, QTimer
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QGraphicsOpacityEffect, QHBoxLayout, QLabel, QVBoxLayout

from core import runs
from core.errors import Trouble
from core.recipe import Problem
from core.settle import settle_any
from core.tune import TuneRecipe
from desktop_app import theme
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.forms.field import button
from desktop_app.forms.parts import paths_of, words
from desktop_app.icons import icon
from desktop_app.page import Page
from desktop_app.plan.columns import NARROW, Columns
from desktop_app.plan.form import fill, framed
from desktop_app.plan.planning import problems_of
from desktop_app.plan.starting import runs_before
from desktop_app.plan.switch import KindSwitch
from desktop_app.tune import starting
from desktop_app.tune.draft import Draft, Purpose
from desktop_app.tune.form import TuneForm
from desktop_app.tune.panels import EstimatePanel, LearntPanel
from desktop_app.tune.subject import first_model
from desktop_app.tune.thinking import Thought, think
from desktop_app.work import Latest, in_background

PAUSE_MS = 200  # while somebody types
DIM_AFTER_MS = 300  # of thinking; most answers are there before
REMEMBERED = "tune_draft"


class TunePage(Page):
    """`opened()` takes `recipe` (TuneRecipe); or `model` (a path, of an adapter too), `data` (a path or several), `mapping`,
    `separator` and `skip_broken`.
    """

    name = "tune"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._draft = Draft()
        self._thought: Thought | None = None
        self._problems: tuple[Problem, ...] = ()
        self._fresh = True  # nobody has opened the page yet
        self._starting = False
        self._pressed: Draft | None = None  # what was asked to start as soon as it is thought over
        self._latest = Latest(self)
        self._pause, self._dimming = QTimer(self), QTimer(self)
        for timer, delay_ms in ((self._pause, PAUSE_MS), (self._dimming, DIM_AFTER_MS)):
            timer.setSingleShot(True)
            timer.setInterval(delay_ms)
        self._make_parts()
        self._lay_out()
        self._fill_columns()
        self._connect()
        self.setAcceptDrops(True)
        self._show_form()
        self._show_problems()

    # --- how it is built ----------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.title = QLabel(self.tr("Tune a model"))
        theme.set_role(self.title, "head")
        self.switch = KindSwitch(self.context, "tune")
        self.status = QLabel()
        theme.set_role(self.status, "muted")
        self.open_recipe, self.save_recipe = button("", "open", "quiet"), button("", "save", "quiet")
        self._recipe_words = ((self.open_recipe, self.tr("Open recipe…")), (self.save_recipe, self.tr("Save recipe…")))
        for each, said in self._recipe_words:
            each.setAccessibleName(said)
            each.setToolTip(said)
        self.start = button(self.tr("Tune"), "tune", "primary")
        self.notice = words("error")
        self.columns = Columns()

    def _lay_out(self) -> None:
        header = QHBoxLayout()
        header.setSpacing(theme.SPACE)
        header.addWidget(self.title)
        header.addSpacing(theme.SPACE)
        header.addWidget(self.switch)
        header.addSpacing(theme.SPACE)
        header.addWidget(self.status)
        header.addStretch(1)
        for each in (self.open_recipe, self.save_recipe, self.start):
            header.addWidget(each)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(header)
        layout.addWidget(self.notice)
        layout.addWidget(self.columns, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Where there is little room, the quiet buttons are their icons alone."""
        super().resizeEvent(event)
        for each, said in self._recipe_words:
            each.setText("" if self.width() < NARROW else said)

    def _fill_columns(self) -> None:
        leading, beside = QVBoxLayout(self.columns.leading), QVBoxLayout(self.columns.beside)
        for layout in (leading, beside):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(2 * theme.SPACE)
        self.form = TuneForm(self.columns.leading)
        leading.addWidget(self.form)
        self.estimate = EstimatePanel(framed(beside, self.tr("On this machine")))
        self.learnt = LearntPanel(framed(beside, self.tr("What is learnt")))
        beside.addStretch(1)
        self._dims = []
        for panel in (self.estimate, self.learnt):
            fill(panel)
            dim = QGraphicsOpacityEffect(panel)
            dim.setOpacity(0.45)
            dim.setEnabled(False)
            panel.setGraphicsEffect(dim)
            self._dims.append(dim)

    def _connect(self) -> None:
        form = self.form
        form.changed.connect(self._change)
        form.purpose_chosen.connect(self._choose_purpose)
        form.folder_wanted.connect(self.ask_model)
        form.data_page_wanted.connect(lambda: self.context.open("data"))
        self.start.clicked.connect(self.press)
        self.open_recipe.clicked.connect(self.ask_recipe)
        self.save_recipe.clicked.connect(self.ask_where_to_save)
        self._pause.timeout.connect(self._think)
        self._dimming.timeout.connect(self._dim_old_numbers)
        self.context.shelf.changed.connect(self._take_shelf)
        self.context.shelf.troubled.connect(self._shelf_troubled)
        self.context.live.listed.connect(lambda _: self._show_button())
        self.make_shortcuts()

    def commands(self) -> list[Command]:
        return [
            Command("tune.start", self.tr("Start the tuning"), self.press, "tune", "Ctrl+Return", self._why_not_start),
            Command("tune.open", self.tr("Open a recipe of a tuning…"), self.ask_recipe, "open", "Ctrl+O"),
            Command("tune.save", self.tr("Save the recipe of this tuning…"), self.ask_where_to_save, "save", "Ctrl+S"),
            Command("tune.model", self.tr("Open a model's folder to tune it…"), self.ask_model, "folder_open"),
        ]

    # --- what the window asks -----------------------------------------------------------------------------------------

    def opened(self, **what: Any) -> None:
        if self._fresh:
            self._fresh = False
            self._draft = Draft.of_bytes(bytes(self.context.settings.layout(REMEMBERED).data())) or Draft()
            self._take_shelf()
        self.context.shelf.refresh()  # what was trained or downloaded since
        recipe = what.get("recipe")
        if isinstance(recipe, TuneRecipe):
            self._take_recipe(recipe)
            return
        changes: dict[str, Any] = {}
        if what.get("model"):
            changes["subject"] = str(what["model"])
        if what.get("data"):
            data = [what["data"]] if isinstance(what["data"], str | Path) else what["data"]
            changes["data"] = tuple(str(path) for path in data)
            changes |= {"mapping": what.get("mapping"), "separator": what.get("separator")}
            changes["skip_broken"] = bool(what.get("skip_broken"))
        if changes:
            self._change(changes)

    def left(self) -> None:
        self._forget_press()

    # --- the draft changes --------------------------------------------------------------------------------------------

    def draft(self) -> Draft:
        return self._draft

    def thought(self) -> Thought | None:
        """What came of the newest draft that was thought over."""
        return self._thought

    def set_draft(self, draft: Draft) -> None:
        """Fill the whole form anew."""
        self.form.forget_typed()
        self._take_draft(draft)
        self._think()

    def _change(self, changes: dict[str, Any]) -> None:
        if changes:
            self._take_draft(self._draft.changed(changes))
        else:
            self._forget_press()
            self._show_problems()
        self._pause.start()
        self._dim_soon()

    def _choose_purpose(self, purpose: str) -> None:
        self.form.forget_typed()
        self._take_draft(self._draft.for_purpose(cast("Purpose", purpose)))
        self._pause.start()
        self._dim_soon()

    def _take_draft(self, draft: Draft) -> None:
        self._latest.drop()  # what is on its way is of what the form said before
        self._forget_press()
        self._draft = draft
        self._show_form()
        self._show_problems()
        self.context.settings.set_layout(REMEMBERED, QByteArray(draft.to_bytes()))

    def _take_shelf(self) -> None:
        shelf = self.context.shelf
        self.form.subject.set_models(shelf.entries, loaded=shelf.loaded)
        if self._fresh:
            return
        if shelf.loaded and self._draft.subject is None:  # nobody has chosen any: a proposal
            self._draft = self._draft.changed({"subject": first_model(shelf.entries)})
        self._show_form()
        if shelf.loaded:
            self._think()

    def _shelf_troubled(self, _trouble: Trouble) -> None:
        """The window says it; what is known of models stays on screen."""
        self.form.subject.set_models(self.context.shelf.entries, loaded=True)
        self._show_form()
        self._pause.start()

    def ask_model(self) -> None:
        name = QFileDialog.getExistingDirectory(self, self.tr("Open a model folder"))
        if name:
            self.take_dropped([Path(name)])

    def take_dropped(self, paths: list[Path]) -> None:
        """A model is what is tuned, data join the data, a recipe fills the form."""
        in_background(self, lambda: starting.look_at(paths), self._take_found, self.context.trouble)

    def _take_found(self, found: starting.Found) -> None:
        for name in found.refused:
            said = self.tr("%s is no model folder, no data and no recipe, so nothing was done with it.")
            self.context.say(said % name, "warning")
        if found.recipe is not None:
            self._take_recipe(found.recipe)
        elif found.models:
            for folder in found.folders:
                self.context.shelf.add(folder)
            self._change({"subject": str(found.models[0])})
            if len(found.models) > 1:
                told = self.tr("%d models were found; %s is tuned.") % (len(found.models), found.models[0].name)
                self.context.say(told)
        if found.data:
            self.form.data.files.add(list(found.data))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        if paths := paths_of(event.mimeData()):
            event.acceptProposedAction()
            self.take_dropped(paths)

    # --- thinking -----------------------------------------------------------------------------------------------------

    def _think(self) -> None:
        self._pause.stop()
        draft, entries = self._draft, list(self.context.shelf.entries)
        self._dim_soon()
        self._latest.ask(
            lambda: think(draft, entries), lambda thought: self._take_thought(draft, thought), self._think_failed
        )

    def _dim_soon(self) -> None:
        if not self._dimming.isActive():
            self._dimming.start()

    def _dim_old_numbers(self) -> None:
        for dim in self._dims:
            dim.setEnabled(True)
        self.status.setText(self.tr("Reckoning…"))

    def _undim(self) -> None:
        self._dimming.stop()
        for dim in self._dims:
            dim.setEnabled(False)
        self.status.clear()

    def _take_thought(self, asked: Draft, thought: Thought) -> None:
        self._thought, self._problems = thought, thought.problems
        wanted = self._pressed is not None and self._pressed == asked
        self._pressed = None
        self._draft = thought.draft  # the same, with what the data are
        self._undim()
        self._show_form()
        self.estimate.show_thought(thought)
        self.learnt.show_thought(thought)
        self._show_problems()
        if wanted:
            self._go_on()

    def _think_failed(self, trouble: Trouble) -> None:
        self._pressed = None
        self._undim()
        self._problems = (Problem(field="", text=str(trouble)),)
        self._show_problems()

    def _settled(self) -> bool:
        """The form says what was thought over last."""
        return self._thought is not None and self._thought.draft == self._draft and not self._pause.isActive()

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _show_form(self) -> None:
        self.form.show_draft(self._draft, self._thought)

    def _all_problems(self) -> list[Problem]:
        """What can't be read in the form and what else is in the way, in the order of the page."""
        unread = self.form.unread()
        found = [Problem(field=name, text=text) for name, text in unread.items()]
        found += [problem for problem in self._problems if problem.field not in unread]
        order = {name: place for place, name in enumerate(self.form.fields())}
        return sorted(found, key=lambda problem: order.get(problem.field, len(order)))

    def _show_problems(self) -> None:
        elsewhere = self.form.show_problems(self._all_problems())
        self.notice.setText("\n".join(problem.text for problem in elsewhere))
        self.notice.setVisible(bool(elsewhere))
        self._show_button()

    def _show_button(self) -> None:
        """The one button always says what will happen."""
        text, glyph = self._what_will_happen()
        self.start.setText(text)
        self.start.setIcon(icon(glyph, "on_accent"))
        why_not = self._why_not_start()
        self.start.setEnabled(not why_not)
        self.start.setToolTip(why_not or self.tr("Ctrl+Return"))

    def _what_will_happen(self) -> tuple[str, str]:
        if self._starting:
            return self.tr("Starting…"), "start"
        if self._pressed is not None:
            return self.tr("Reckoning, then starting…"), "start"
        thought = self._thought
        if thought is None:
            waits = not self.context.shelf.loaded
            return (self.tr("Looking for models…") if waits else self.tr("Reckoning…")), "tune"
        if count := len(self._all_problems()):
            one, more = self.tr("Mend 1 problem first"), self.tr("Mend %d problems first")
            return (one if count == 1 else more % count), "edit"
        if thought.recipe is None or thought.device is None:
            return self.tr("Reckoning…"), "tune"
        share = bool(self._draft.value("share_device"))
        if before := runs_before(thought.device.id, self.context.live.rows, share=share):
            return self.tr("Add to the queue (%d before it)") % before, "queued"
        return starting.words(thought.recipe), "tune"

    def _why_not_start(self) -> str:
        if self._starting:
            return self.tr("The run is being started.")
        return self.tr("It is not reckoned yet.") if self._thought is None else ""

    # --- start --------------------------------------------------------------------------------------------------------

    def press(self) -> None:
        """Start the run, or go to the first problem. What was changed just now is thought over first."""
        if self._why_not_start():
            return
        if not self._settled():
            self._pressed = self._draft
            self._show_button()
            self._think()
            return
        self._go_on()

    def _forget_press(self) -> None:
        """What was asked to start is not what the form says any more, or nobody looks at it."""
        if self._pressed is not None:
            self._pressed = None
            self._show_button()

    def _go_on(self) -> None:
        problems = self._all_problems()
        recipe = self._thought.recipe if self._thought is not None else None
        if problems or recipe is None:
            self._go_to(problems[0].field if problems else "model")
            return
        self._starting = True
        self._show_button()
        home = self.context.home
        in_background(self, lambda: starting.start(home, recipe), self._started, self._start_failed)

    def _started(self, run: str) -> None:
        self._starting = False
        self._show_button()
        self.context.live.look()
        self.context.open("runs", run=run)

    def _start_failed(self, trouble: Trouble) -> None:
        self._starting = False
        told = problems_of(trouble)
        if told and all(problem.field for problem in told):
            self._problems = tuple(told)
        self._show_problems()
        self.context.trouble(trouble)

    def _go_to(self, name: str) -> None:
        field = self.form.go_to(name)
        if field is not None:
            self._show_problems()  # a field that was folded away says its own now
            self.columns.show_widget(field)

    # --- recipes ------------------------------------------------------------------------------------------------------

    def ask_recipe(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, self.tr("Open a recipe"), "", self.tr("Recipes (*.json)"))
        if name:
            in_background(self, lambda: starting.read(Path(name)), self._take_recipe, self.context.trouble)

    def _take_recipe(self, recipe: TuneRecipe) -> None:
        self.set_draft(Draft.of_recipe(recipe))

    def ask_where_to_save(self) -> None:
        if self._thought is None or self._thought.recipe is None or not self._settled():
            self.context.say(self.tr("A recipe needs a model and data. Mend what stands in red first."), "warning")
            return
        name, _ = QFileDialog.getSaveFileName(
            self, self.tr("Save the recipe"), "recipe.json", self.tr("Recipes (*.json)")
        )
        if name:
            self._save(Path(name), self._thought.recipe)

    def _save(self, path: Path, recipe: TuneRecipe) -> None:
        done = self.tr("The recipe is in %s.") % path
        in_background(
            self,
            lambda: runs.save_recipe(settle_any(recipe), path),
            lambda _: self.context.say(done, "good"),
            self.context.trouble,
        )
