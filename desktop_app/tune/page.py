"""The Tune page: what is tuned on what, what for and how, at the leading side; what it takes beside it; and one button.

A change makes a new `Draft`; it is thought over off the window's thread and the answer goes into all parts at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QByteArray

from core.errors import Trouble
from core.recipe import Recipe
from core.settle import settle_any
from core.tune import TuneRecipe
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.plan.form import fill, framed
from desktop_app.plan.recipe_page import RecipePage
from desktop_app.plan.starting import runs_before, start
from desktop_app.tune import starting
from desktop_app.tune.draft import Draft, Purpose
from desktop_app.tune.form import TuneForm
from desktop_app.tune.panels import EstimatePanel, LearntPanel
from desktop_app.tune.subject import first_model
from desktop_app.tune.thinking import Thought, think
from desktop_app.work import in_background

PAUSE_MS = 200  # while somebody types
DIM_AFTER_MS = 300  # of thinking; most answers are there before
REMEMBERED = "tune_draft"


class TunePage(RecipePage):
    """`opened()` takes `recipe` (TuneRecipe); or `model` (a path, of an adapter too), `data` (a path or several), `mapping`,
    `separator` and `skip_broken`.
    """

    name = "tune"
    recipe_kind = TuneRecipe
    first_field = "model"
    _draft: Draft
    form: TuneForm

    def __init__(self, context: Context) -> None:
        super().__init__(context, pause_ms=PAUSE_MS, dim_after_ms=DIM_AFTER_MS)
        self._draft = Draft()
        self._thought: Thought | None = None
        self._make_frame(self.tr("Tune a model"), self.tr("Tune"), "tune")
        self._make_parts()
        self._connect()
        self._show_form()
        self._show_problems()

    # --- how it is built ----------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        leading, beside = self._fill_columns()
        self.form = TuneForm(self.columns.leading)
        leading.addWidget(self.form)
        self.estimate = EstimatePanel(framed(beside, self.tr("On this machine")))
        self.learnt = LearntPanel(framed(beside, self.tr("What is learnt")))
        beside.addStretch(1)
        for panel in (self.estimate, self.learnt):
            fill(panel)
            self._let_dim(panel)

    def _connect(self) -> None:
        form = self.form
        form.changed.connect(self._change)
        form.more.grown.connect(self._show_problems)
        form.purpose_chosen.connect(self._choose_purpose)
        form.folder_wanted.connect(self.ask_model)
        form.data_page_wanted.connect(lambda: self.context.open("data"))
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
            self.take_recipe(recipe)
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

    def take_dropped(self, paths: list[Path]) -> None:
        """A model is what is tuned, data join the data, a recipe fills the form."""
        in_background(self, lambda: starting.look_at(paths), self._take_found, self.context.trouble)

    def _take_found(self, found: starting.Found) -> None:
        for name in found.refused:
            said = self.tr("%s is no model folder, no data and no recipe, so nothing was done with it.")
            self.context.say(said % name, "warning")
        if found.recipe is not None:
            self.take_recipe(found.recipe)
        elif found.models:
            for folder in found.folders:
                self.context.shelf.add(folder)
            self._change({"subject": str(found.models[0])})
            if len(found.models) > 1:
                told = self.tr("%d models were found; %s is tuned.") % (len(found.models), found.models[0].name)
                self.context.say(told)
        if found.data:
            self.form.data.files.add(list(found.data))

    # --- thinking -----------------------------------------------------------------------------------------------------

    def _think(self) -> None:
        self._pause.stop()
        draft, entries = self._draft, list(self.context.shelf.entries)
        self._dim_soon()
        self._latest.ask(
            lambda: think(draft, entries), lambda thought: self._take_thought(draft, thought), self._think_failed
        )

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

    def _settled(self) -> bool:
        """The form says what was thought over last."""
        return self._thought is not None and self._thought.draft == self._draft and not self._pause.isActive()

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _show_form(self) -> None:
        self.form.show_draft(self._draft, self._thought)

    def _thinking_words(self) -> str:
        return self.tr("Reckoning…")

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
            return self._problem_words(count), "edit"
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

    # --- start and recipes --------------------------------------------------------------------------------------------

    def _starter(self) -> Callable[[], str] | None:
        recipe = self._thought.recipe if self._thought is not None else None
        if recipe is None:
            return None
        home, asked = self.context.home, recipe
        return lambda: start(home, asked)

    def take_recipe(self, recipe: TuneRecipe) -> None:
        self.set_draft(Draft.of_recipe(recipe))

    def _recipe_to_save(self) -> Callable[[], Recipe] | None:
        if self._thought is None or self._thought.recipe is None or not self._settled():
            self.context.say(self.tr("A recipe needs a model and data. Mend what stands in red first."), "warning")
            return None
        recipe = self._thought.recipe
        return lambda: settle_any(recipe)
