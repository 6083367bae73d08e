"""The Plan page: one form at the leading side, the law and the estimate beside it, and one button that says what will happen.

A change makes a new `Draft`; it is planned off the window's thread and the answer goes into all parts at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

from PySide6.QtCore import QByteArray, Qt

import resources.sample
from core.distill import DistillRecipe
from core.errors import Trouble
from core.home import Home
from core.models import ModelEntry
from core.plan import TARGET_TOLERANCE, Plan, restate, settle
from core.recipe import Recipe
from core.shapes import Shape
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.forms.field import button
from desktop_app.plan import starting
from desktop_app.plan.choosing import compared
from desktop_app.plan.draft import Draft
from desktop_app.plan.estimate_panel import EstimatePanel
from desktop_app.plan.form import PlanForm, fill, framed
from desktop_app.plan.law_panel import LawPanel
from desktop_app.plan.measuring import Measuring, tidy
from desktop_app.plan.pilot_dialog import PilotDialog
from desktop_app.plan.planning import Measured, Planned, measure_key, think
from desktop_app.plan.recipe_page import RecipePage
from desktop_app.plan.teacher import first_teacher
from desktop_app.work import Latest, in_background

PAUSE_MS = 150  # while somebody types or drags
DIM_AFTER_MS = 250  # of planning; most plans are there before
FIRST_TEACHER = resources.sample.FOLDER / "stories-2M"
FIRST_AMOUNTS = {"share": "0.4x", "size": "1M", "memory": "1GB@bf16", "speed": "30tok/s@bf16"}
REMEMBERED = "plan_draft"


class PlanPage(RecipePage):
    """`opened()` takes `recipe` (DistillRecipe), `teacher` or `student` (Path), `data` (a path or several) or `sample` (True)."""

    name = "plan"
    recipe_kind = DistillRecipe
    first_field = "teacher"
    _draft: Draft
    form: PlanForm

    def __init__(self, context: Context) -> None:
        super().__init__(context, pause_ms=PAUSE_MS, dim_after_ms=DIM_AFTER_MS)
        self._draft = Draft()
        self._planned: Planned | None = None
        self._measured: Measured | None = None
        self._said = ("", 0)  # a size said in another kind, and its exact parameters: going round must not round
        self._untouched = False  # the draft is our own suggestion, and no teacher was found for it yet
        self._shelf_seen: tuple[bool, list[ModelEntry]] | None = None
        self._restating = Latest(self)
        self._to_show: list[Callable[[], None]] = []
        self._finished: tuple[str, ...] = ()
        self._showing = self.timer(0, self._show_next)
        self._measuring = Measuring(context.home, self)
        self.pilot = button(self.tr("Pilot…"), "pilot")
        self._make_frame(self.tr("Plan a student"), self.tr("Planning…"), "distill", self.pilot)
        self._make_parts()
        self._connect()
        self._show_all()

    # --- how it is built ----------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        leading, beside = self._fill_columns()
        self.form = PlanForm(self.columns.leading)
        leading.addWidget(self.form)
        self.law = LawPanel(framed(beside, self.tr("The law"), 1), self.context.charts_ready)
        self.estimate = EstimatePanel(framed(beside, self.tr("On this machine")))
        fill(self.law)
        fill(self.estimate)
        self._let_dim(self.estimate)
        self._let_dim(self.start, 0.6)

    def _connect(self) -> None:
        form = self.form
        form.changed.connect(self._change)
        form.more_changed.connect(self._change_more)
        form.more.grown.connect(self._show_problems)
        form.kind_wanted.connect(self._say_in)
        form.shape_chosen.connect(self._take_shape)
        form.folder_wanted.connect(self.ask_model)
        form.sample_wanted.connect(self._use_sample_text)
        self.law.teacher_chosen.connect(self._take_teacher_of_chart)
        self.law.size_chosen.connect(self._take_size_of_chart)
        self.estimate.measure_wanted.connect(self.measure)
        self.estimate.measuring_stopped.connect(self._measuring.stop)
        self._measuring.told.connect(self.estimate.show_measuring)
        self._measuring.ended.connect(self._take_measured)
        self._measuring.troubled.connect(self.context.trouble)
        self.pilot.clicked.connect(self.open_pilot)
        self.law.chain.wanted.connect(self.start_chain)
        self.context.shelf.changed.connect(self._take_shelf)
        self.context.shelf.troubled.connect(self._shelf_troubled)
        self.context.live.listed.connect(lambda _: self._runs_changed())
        self.make_shortcuts()

    # --- what the window asks -----------------------------------------------------------------------------------------

    def opened(self, **what: Any) -> None:
        if self._fresh:
            self._fresh = False
            self._begin()
            in_background(self, lambda: tidy(self.context.home), lambda _: None, self.context.trouble)
        self.context.shelf.refresh()  # what was trained or downloaded since
        recipe, teacher, student = what.get("recipe"), what.get("teacher"), what.get("student")
        if isinstance(recipe, DistillRecipe):
            self.take_recipe(recipe)
        elif what.get("sample"):
            self._take_recipe_of(lambda: resources.sample.recipe(self.context.home))
        elif what.get("data"):
            data = [what["data"]] if isinstance(what["data"], str | Path) else what["data"]
            self._change({"data": tuple(str(path) for path in data)})
        elif teacher is not None:
            self._change({"teacher": str(teacher), "shape": None})
        elif student is not None:
            self._change({"student": str(student), "shape": None, "asked": ""})

    def closing(self) -> None:
        self._measuring.close()

    def _begin(self) -> None:
        """The draft of the last time; else the sample's family, the best we can suggest."""
        remembered = Draft.of_bytes(bytes(self.context.settings.layout(REMEMBERED).data()))
        self._untouched = remembered is None
        self._draft = remembered or Draft()
        self._shelf_seen = None
        self._take_shelf()

    def commands(self) -> list[Command]:
        return [
            Command("start", self.tr("Start what the plan says"), self.press, "distill", "Ctrl+Return", self._why_not_start),
            Command("open_recipe", self.tr("Open recipe…"), self.ask_recipe, "open", "Ctrl+O"),
            Command("save_recipe", self.tr("Save recipe…"), self.ask_where_to_save, "save", "Ctrl+S"),
            Command("open_teacher", self.tr("Open a teacher's folder…"), self.ask_model, "folder_open"),
            Command("pilot", self.tr("Try a few on a short budget…"), self.open_pilot, "pilot", "", self._why_not_pilot),
            Command("measure", self.tr("Measure the speed"), self.measure, "measure", "", self._why_not_measure),
        ]  # fmt: skip

    # --- the draft changes --------------------------------------------------------------------------------------------

    def draft(self) -> Draft:
        return self._draft

    def set_draft(self, draft: Draft) -> None:
        """Fill the whole form anew."""
        self._draft, self._untouched = draft, False
        self._forget_press()
        self._restating.drop()
        self.form.forget_typed()
        self._show_form()
        self._remember()
        self._think()

    def _change(self, changes: dict[str, Any]) -> None:
        if changes.get("teacher", self._draft.teacher) != self._draft.teacher or "init" in changes:
            changes = {"shape": None, **changes}  # it was cut from another teacher, or in another way
        if changes:
            self._untouched = False
            self._latest.drop()  # the plan on its way is of what the form said before
            self._draft = self._draft.changed(changes)
            self._show_form()
            self._remember()
        self._forget_press()
        self._pause.start()
        self._dim_soon()

    def _change_more(self, name: str, value: object) -> None:
        self._change({name: value})

    def _remember(self) -> None:
        self.context.settings.set_layout(REMEMBERED, QByteArray(self._draft.to_bytes()))

    def _say_in(self, kind: str, precision: str) -> None:
        """The same size in another kind: 0.4x becomes 1.86M."""
        if kind == self._draft.kind:
            self._show_form()
            return
        plan = self._plan()
        if plan is None:
            self._change({"student": FIRST_AMOUNTS[kind], "shape": None, "asked": ""})
            return
        said, exact = self._said
        size = exact if said == self._draft.student else plan.student_params
        self._restate(kind, size, self._draft.teacher, _teacher_size(plan), precision)

    def _restate(
        self, kind: str, size: int, teacher: str | None, teacher_size: int | None, precision: str = "bf16"
    ) -> None:
        """Set a size, said in `kind`, and the teacher with it; a speed asks the machine, so it is done aside."""
        if kind == "share" and (teacher_size is None or size > teacher_size):
            kind = "size"
        device, said = self._draft.device, cast("Literal['share', 'size', 'memory', 'speed']", kind)

        def take(text: str) -> None:
            self._said = (text, size)
            self._change({"student": text, "shape": None, "asked": "", "teacher": teacher})

        self._restating.ask(lambda: restate(said, size, teacher_size, precision, device), take, self.context.trouble)

    def _take_size_of_chart(self, size: float) -> None:
        amount, plan = self._draft.amount, self._plan()
        precision = amount.precision if amount is not None else "bf16"
        kind = amount.kind if amount is not None else "size"
        self._restate(kind, round(size), self._draft.teacher, _teacher_size(plan), precision)

    def _take_teacher_of_chart(self, path: Path) -> None:
        """The student of the chart stays as large as it is, so a share becomes another share."""
        plan, entry = self._plan(), self.context.shelf.entry(path)
        if self._draft.kind == "share" and plan is not None and entry is not None and entry.info is not None:
            self._restate("share", plan.student_params, str(path), entry.info.parameters)
        else:
            self._change({"teacher": str(path)})

    def _take_shape(self, shape: Shape | None, parameters: int) -> None:
        """A shape by hand takes the wish with it, where it is another size than was asked for."""
        draft, plan = self._draft, self._plan()
        if shape is None:
            self._change({"shape": None, "student": draft.asked or draft.student, "asked": ""})
            return
        changes: dict[str, Any] = {"shape": shape}
        amount = draft.amount
        if plan is not None and amount is not None and amount.kind in ("share", "size", "memory"):
            teacher_size = _teacher_size(plan)
            kind = amount.kind
            if kind == "share" and (teacher_size is None or parameters > teacher_size):
                kind = "size"
            if abs(parameters / plan.student_params - 1) > 0.75 * TARGET_TOLERANCE:
                changes["student"] = restate(kind, parameters, teacher_size, amount.precision)
                changes["asked"] = draft.asked or draft.student
        self._change(changes)

    def _use_sample_text(self) -> None:
        """The stories that the sample's own run reads, and its short budget unless one was chosen."""

        def take(recipe: DistillRecipe) -> None:
            tokens = self._draft.tokens or recipe.tokens
            self._change({"data": recipe.data, "tokens": tokens})

        in_background(self, lambda: resources.sample.recipe(self.context.home), take, self.context.trouble)

    # --- models at hand -----------------------------------------------------------------------------------------------

    def _take_shelf(self) -> None:
        shelf = self.context.shelf
        seen = (shelf.loaded, list(shelf.entries))
        if seen == self._shelf_seen:
            return
        self._shelf_seen = seen
        self.form.teacher.set_models(shelf.entries, loaded=shelf.loaded)
        if self._fresh:
            return
        if self._untouched and shelf.loaded:
            self._draft = replace(self._draft, teacher=first_teacher(shelf.entries, FIRST_TEACHER))
        self._show_form()
        if shelf.loaded:
            self._think()

    def _shelf_troubled(self, trouble: Trouble) -> None:
        self._shelf_seen = None
        self.form.teacher.set_models(self.context.shelf.entries, loaded=True)
        self._show_form()
        self.context.trouble(trouble)
        self._pause.start()

    def take_dropped(self, paths: list[Path]) -> None:
        """Models become the teacher, a recipe fills the form, text joins the data; anything else is told what it is."""
        in_background(self, lambda: starting.look_at(paths), self._take_found, self.context.trouble)

    def _take_found(self, found: starting.Found) -> None:
        if found.refusal:
            self.context.say(found.refusal, "warning")
        if found.recipe is not None:
            self.take_recipe(found.recipe)
        elif found.models:
            for folder in found.folders:
                self.context.shelf.add(folder)
            self._change({"teacher": str(found.models[0])})
            if len(found.models) > 1:
                told = self.tr("%d models were found; %s teaches.") % (len(found.models), found.models[0].name)
                self.context.say(told)
        if found.text:
            self.form.data.files.add(found.text)

    # --- planning -----------------------------------------------------------------------------------------------------

    def _think(self) -> None:
        self._pause.stop()
        home, draft, measured = self.context.home, self._draft, self._measured
        entries = list(self.context.shelf.entries)
        self._dim_soon()
        self._latest.ask(lambda: think(home, draft, entries, measured), self._take_plan, self._think_failed)

    def _take_plan(self, planned: Planned) -> None:
        self._planned = planned
        wanted = self._pressed is not None and self._pressed == planned.draft == self._draft
        self._pressed = None
        self._undim()
        self._show_all()
        if wanted:
            self._go_on()

    def _plan(self) -> Plan | None:
        return self._planned.plan if self._planned is not None else None

    def _thinking_words(self) -> str:
        return self.tr("Planning…")

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _show_form(self) -> None:
        """The form says the draft; the plan's words stay until the next one comes."""
        self.form.show_draft(self._draft, self._planned)

    def _show_all(self) -> None:
        """Show the plan everywhere, part by part, so that no turn of the event loop takes long."""
        self._to_show = [self._show_form_and_problems, self._show_law, self._show_estimate]
        self._show_next()

    def _show_next(self) -> None:
        if self._to_show:
            self._to_show.pop(0)()
        if self._to_show:
            self._showing.start()

    def _show_form_and_problems(self) -> None:
        self._show_form()
        if self._planned is not None:
            self.form.show_planned(self._planned, self._draft)
            self._problems = self._planned.problems
        self._show_problems()

    def _show_law(self) -> None:
        shelf, rows = self.context.shelf, self.context.live.rows
        self.law.show_plan(self._plan(), self._draft, shelf.entries, rows, loading=not shelf.loaded)
        self._show_chain()

    def _show_chain(self) -> None:
        chain = self._planned.offers.chain if self._planned is not None else None
        self.law.chain.show_chain(chain, self._plan(), self._why_not_try(self.tr("A chain")))

    def _show_estimate(self) -> None:
        self.estimate.show_plan(self._plan())
        plan = self._plan()
        sources = plan.sources if plan is not None and self._draft.guided else ()
        self.estimate.show_compared(*compared(sources, self._draft.value("source")))
        holds = self._measured is not None and self._measured.key == measure_key(self._draft)
        self.estimate.show_measured(self._measured if holds else None)
        self.estimate.refuse_measuring(self._why_not_measure())

    def _runs_changed(self) -> None:
        """The button counts the runs before this one, and finished ones of one's own are on the chart."""
        self._show_button()
        finished = tuple(row.id for row in self.context.live.rows if row.state == "finished")
        if finished != self._finished:
            self._finished = finished
            self._show_law()

    def _show_button(self) -> None:
        super()._show_button()
        self.pilot.setEnabled(not self._why_not_pilot())
        self.pilot.setToolTip(
            self._why_not_pilot() or self.tr("Tries a few teachers or objectives on a short budget, and compares.")
        )
        self._show_chain()

    def _what_will_happen(self) -> tuple[str, str]:
        if self._starting:
            return self.tr("Starting…"), "start"
        if self._pressed is not None:
            return self.tr("Planning, then starting…"), "start"
        if self._planned is None:
            waits = not self.context.shelf.loaded
            return (self.tr("Looking for models…") if waits else self.tr("Planning…")), "distill"
        if self._dimmed():
            return self.tr("Planning…"), "distill"
        problems, plan = self._all_problems(), self._plan()
        if problems or plan is None:
            return self._problem_words(len(problems)), "edit"
        before = starting.runs_before(
            plan.device, self.context.live.rows, share=bool(self._draft.value("share_device"))
        )
        if before:
            return self.tr("Add to the queue (%d before it)") % before, "queued"
        return starting.words(plan, self._draft), "distill"

    def _why_not_start(self) -> str:
        if self._starting:
            return self.tr("The run is being started.")
        return self.tr("The plan is not made yet.") if self._planned is None else ""

    def _why_not_measure(self) -> str:
        if self._measuring.busy or (self._planned is not None and not self._all_problems()):
            return ""
        return self.tr("A measurement needs a plan without problems.")

    def _why_not_try(self, what: str) -> str:
        """Why neither a pilot nor a chain can start now."""
        if self._starting:
            return self.tr("The run is being started.")
        if self._planned is None or self._dimmed() or self._planned.draft != self._draft:
            return self.tr("The plan is not made yet.")
        return (
            self.tr("%s needs a plan without problems.") % what if self._all_problems() or self._plan() is None else ""
        )

    def _why_not_pilot(self) -> str:
        if not self._draft.guided:
            return self.tr("A pilot compares how teachers guide, and this student learns without one.")
        return self._why_not_try(self.tr("A pilot"))

    # --- start --------------------------------------------------------------------------------------------------------

    def _settled(self) -> bool:
        return not self._pause.isActive() and self._planned is not None and self._planned.draft == self._draft

    def _starter(self) -> Callable[[], str] | None:
        plan = self._plan()
        return None if plan is None else self._run_of(starting.start, plan)

    def _run_of(self, make: Callable[[Home, DistillRecipe], str], plan: Plan) -> Callable[[], str]:
        home, draft, tokens = self.context.home, self._draft, plan.tokens
        return lambda: make(home, draft.recipe(tokens))

    def start_chain(self) -> None:
        """The same student by way of assistants."""
        plan = self._plan()
        if plan is not None and not self._why_not_try(self.tr("A chain")):
            self._make_run(self._run_of(starting.start_chain, plan))

    def open_pilot(self) -> None:
        if self._planned is None or self._why_not_pilot():
            return
        rows, share = self.context.live.rows, bool(self._draft.value("share_device"))
        device = self._planned.plan.device if self._planned.plan is not None else self._draft.device
        before = starting.runs_before(device, rows, share=share)
        dialog = PilotDialog(self.context, self._planned, before, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.started.connect(self._pilot_started)
        dialog.open()

    def _pilot_started(self, made: list[str]) -> None:
        self.context.live.look()
        self.context.open("runs", runs=made)

    # --- recipes ------------------------------------------------------------------------------------------------------

    def take_recipe(self, recipe: DistillRecipe) -> None:
        self.set_draft(Draft.of_recipe(recipe))

    def _recipe_to_save(self) -> Callable[[], Recipe] | None:
        plan, draft = self._plan(), self._draft
        if plan is None or not draft.data:
            self.context.say(self.tr("A recipe needs a student and text. Mend what stands in red first."), "warning")
            return None
        return lambda: settle(draft.recipe(plan.tokens))

    # --- measuring ----------------------------------------------------------------------------------------------------

    def measure(self) -> None:
        if self._planned is not None and not self._why_not_measure():
            self._measuring.start(self._planned)

    def _take_measured(self, measured: Measured | None) -> None:
        if measured is not None:
            self._measured = measured
            self._think()
        holds = measured is not None and measured.key == measure_key(self._draft)
        self.estimate.show_measured(measured if holds else None)
        self.estimate.refuse_measuring(self._why_not_measure())


def _teacher_size(plan: Plan | None) -> int | None:
    return plan.teacher.parameters if plan is not None and plan.teacher is not None else None
