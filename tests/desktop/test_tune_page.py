"""The Tune page, clicked: from a model and any data to a run, its outcome on the Runs page, and its adapter on the Models page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from looking import cut_off, nameless, unreachable
from made_up_tune import an_adapter, pairs_file, persona_file, tune_run
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog
from pytestqt.qtbot import QtBot

from core import runner, runs
from core.adapters import MergeAdapterRecipe
from core.home import Home
from core.library import Library
from core.plan import sample_teachers
from core.recipe import read_recipe
from core.runs import RunFolder
from core.state import State
from core.templates import TEMPLATES
from core.tune import METHODS, PRESETS, TuneRecipe
from desktop_app import theme
from desktop_app.context import Context, Message, Wish
from desktop_app.models.merging import MergeDialog
from desktop_app.models.page import ModelsPage
from desktop_app.plan.page import PlanPage
from desktop_app.runs.page import RunsPage
from desktop_app.shell.window import Window
from desktop_app.tune.draft import DEFAULTS, MORE, OWN, Draft
from desktop_app.tune.page import TunePage

WAIT_MS = 20_000


@pytest.fixture(scope="session")
def base() -> Path:
    """The sample's smallest model."""
    return next(path for path in sample_teachers() if path.name.endswith("-0.8M"))


@pytest.fixture
def persona(tmp_path: Path) -> Path:
    return persona_file(tmp_path / "who am I ü.json")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return pairs_file(tmp_path / "pairs.json")


@pytest.fixture(autouse=True)
def no_runner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are queued, and nothing starts them, but for a whole journey."""
    if "slow" not in {mark.name for mark in request.node.iter_markers()}:
        monkeypatch.setattr(runner, "ensure_runner", lambda home: None)


class Bench:
    """A Tune page on screen, with what it said and wished."""

    def __init__(self, context: Context, qtbot: QtBot) -> None:
        self.qtbot, self.context = qtbot, context
        self.said: list[Message] = []
        self.wishes: list[Wish] = []
        context.said.connect(self.said.append)
        context.wished.connect(self.wishes.append)
        self.page = TunePage(context)
        qtbot.addWidget(self.page)
        self.page.resize(1200, 760)
        self.page.show()

    def until(self, true: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(true, timeout=WAIT_MS)

    def open(self, **what: Any) -> None:
        self.page.opened(**what)
        self.settle()

    def settle(self) -> None:
        self.until(lambda: self.context.shelf.loaded and self.page._settled())

    def click(self, button: QAbstractButton) -> None:
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        self.settle()

    def type(self, field: Any, text: str) -> None:
        field.setFocus()
        self.qtbot.keyClicks(field, text)
        self.settle()

    def problems(self) -> dict[str, str]:
        return {problem.field: problem.text for problem in self.page._all_problems()}

    def seen(self) -> str:
        """What stands in the preview."""
        return self.page.form.data.preview.rendered.toPlainText().replace("\u2028", "\n")

    def start(self) -> TuneRecipe:
        """Press the button; the recipe of the run that came of it."""
        self.qtbot.mouseClick(self.page.start, Qt.MouseButton.LeftButton)
        self.until(lambda: bool(self.wishes))
        assert self.wishes[-1].page == "runs"
        recipe = RunFolder(self.context.home.runs / self.wishes[-1].what["run"]).recipe()
        assert isinstance(recipe, TuneRecipe)
        return recipe


@pytest.fixture
def bench(context: Context, qtbot: QtBot) -> Bench:
    return Bench(context, qtbot)


# ------------------------------------------------------------------------------------------------------------- the form


def test_the_persona_journey_from_a_file_to_a_run_in_the_queue(bench: Bench, base: Path, persona: Path) -> None:
    bench.open(data=str(persona))
    form = bench.page.form
    assert bench.page.draft().subject == str(base)  # the smallest model, which answers soonest
    assert "Alpaca · JSON · 60 conversations" in form.data.recognised.text()
    assert form.data.template_field.help.text().startswith("Chosen because the model has no chat template")
    assert "I am {{name}}" in bench.seen()
    assert "{{name}}" in bench.problems()["persona_name"]
    assert "--persona" not in bench.problems()["persona_name"]  # the window has no flags
    bench.click(form.purpose.options["persona"].button)
    assert bench.page.start.text() == "Mend 1 problem first"
    bench.type(form.purpose.name, "Ada")
    bench.type(form.purpose.author, "the house")
    assert "I am Ada, made by the house." in bench.seen()
    assert bench.page.start.text() == "Tune with LoRA"
    recipe = bench.start()
    assert (recipe.preset, recipe.persona_name, recipe.persona_author) == ("persona", "Ada", "the house")
    assert recipe.epochs == PRESETS["persona"].fields["epochs"]


def test_what_is_learnt_is_marked_in_the_preview_and_rows_can_be_leafed_through(bench: Bench, persona: Path) -> None:
    bench.open(data=str(persona))
    preview = bench.page.form.data.preview
    (row,) = preview.rendered.rows()
    learnt = "".join(piece.text for piece in row.segments if piece.learnt)
    assert learnt.strip().startswith("I am {{name}}")
    assert "Who are you?" not in learnt
    assert not preview.back.isEnabled()
    bench.click(preview.next)
    assert "(1)" in bench.seen()
    assert "row 2 of the first 5" in preview.title.text()


def test_another_template_is_seen_at_once_and_goes_into_the_recipe(bench: Bench, persona: Path) -> None:
    bench.open(data=str(persona))
    template = bench.page.form.data.template
    assert [template.itemData(at) for at in range(template.count())] == ["", *TEMPLATES]
    template.setCurrentIndex(template.findData("zephyr"))
    template.activated.emit(template.currentIndex())
    bench.settle()
    assert "<|assistant|>" in bench.seen()
    thought = bench.page.thought()
    assert thought is not None
    assert thought.recipe is not None
    assert thought.recipe.template == "zephyr"


def test_pairs_are_preferred_between_without_touching_a_setting(bench: Bench, pairs: Path) -> None:
    bench.open(data=[str(pairs)])
    assert bench.page.form.method.objective.value() == "dpo"
    assert bench.page.start.text() == "Tune with LoRA by DPO"
    assert "the chosen answer" in bench.seen()
    bench.click(bench.page.form.method.objective.option("sft"))
    assert "objective dpo or orpo" in bench.problems()["objective"]
    bench.click(bench.page.form.purpose.options["minichat"].button)
    assert bench.page.form.method.objective.value() == "dpo"  # its second step
    assert bench.problems() == {}


def test_a_method_that_cannot_be_had_says_why_and_the_others_what_they_take(bench: Bench, persona: Path) -> None:
    bench.open(data=str(persona))
    method = bench.page.form.method.method
    assert not method.option("qlora").isEnabled()
    assert "NVIDIA GPU" in method.shown("qlora").why_not
    assert "weights are learnt" in method.shown("lora").note
    assert all(method.shown(name).words for name in METHODS)
    bench.click(method.option("full"))
    assert not bench.page.form.method.dials["rank"].isVisibleTo(bench.page)
    thought = bench.page.thought()
    assert thought is not None
    assert thought.estimate is not None
    assert "a model of its own" in bench.page.learnt.end.text()


def test_the_layers_and_their_reason_stand_beside_the_form(bench: Bench, persona: Path) -> None:
    bench.open(data=str(persona))
    (section,) = bench.page.learnt.layers.sections()
    assert "q_proj × 3" in section.facts[0].value
    assert "All linear layers" in bench.page.learnt.reason.text()
    assert "weights are learnt" in bench.page.learnt.sentence.text()


def test_a_rank_of_zero_is_said_beside_it_and_the_button_goes_there(bench: Bench, persona: Path) -> None:
    bench.open(data=str(persona))
    bench.type(bench.page.form.purpose.name, "Ada")
    bench.type(bench.page.form.purpose.author, "me")
    rank = bench.page.form.method.dials["rank"]
    rank.edit.selectAll()
    bench.type(rank.edit, "0")
    assert "rank 0" in rank.problem.text()
    bench.page.form.data.files.add_files.setFocus()
    bench.click(bench.page.start)
    assert rank.edit.hasFocus()
    assert not list(runs.all_runs(bench.context.home))
    rank.edit.selectAll()
    bench.type(rank.edit, "many")
    assert "many" in rank.problem.text()


def test_the_length_is_said_in_passes_tokens_or_steps(bench: Bench, persona: Path) -> None:
    bench.open(data=str(persona))
    length = bench.page.form.method.length
    bench.type(length.amount, "0.5")
    assert bench.page.draft().length == ("epochs", 0.5)
    length.unit.setCurrentIndex(length.unit.findData("steps"))
    length.unit.activated.emit(length.unit.currentIndex())
    length.amount.clear()
    bench.type(length.amount, "40")
    assert bench.page.draft().length == ("steps", 40)
    assert bench.page.draft().value("epochs") is None


def test_own_choice_begins_with_what_the_preset_had_set(bench: Bench, persona: Path) -> None:
    bench.open(data=str(persona))
    bench.click(bench.page.form.purpose.options["recover"].button)
    assert bench.page.form.method.dials["rank"].edit.text() == "8"
    bench.click(bench.page.form.purpose.options["none"].button)
    assert bench.page.draft().value("rank") == 8
    bench.click(bench.page.form.purpose.options["persona"].button)
    assert bench.page.draft().value("rank") == 16
    assert set(PRESETS) | {"none"} == set(bench.page.form.purpose.options)  # a new preset wants its card


def test_an_adapter_is_gone_on_from_with_its_own_rank_and_its_base_is_checked(
    bench: Bench, base: Path, persona: Path, tmp_path: Path
) -> None:
    adapter = an_adapter(tmp_path / "first lesson", base)
    bench.open(model=adapter, data=str(persona))
    bench.type(bench.page.form.purpose.name, "Ada")
    bench.type(bench.page.form.purpose.author, "me")
    assert "LoRA of rank 4 for stories-0.8M" in bench.page.form.subject.facts.text()
    assert not bench.page.form.method.dials["rank"].isEnabled()
    assert not bench.page.form.method.method.option("dora").isEnabled()
    recipe = bench.start()
    assert (recipe.model, recipe.adapter, recipe.rank) == (str(base), str(adapter), 4)
    changed = an_adapter(tmp_path / "of another", base, fingerprint="0" * 16)
    bench.open(model=changed)
    assert "not those that" in bench.problems()["model"]
    assert "--base" not in bench.problems()["model"]


def test_only_models_of_the_same_tokenizer_can_teach(bench: Bench, base: Path, persona: Path, tmp_path: Path) -> None:
    from made_up import a_model

    with Library(bench.context.home) as library:
        library.add_folder(a_model(tmp_path / "shelf" / "stranger").parent)
    bench.open(data=str(persona))
    teacher = bench.page.form.subject.teacher
    texts = {str(teacher.itemData(at)): teacher.itemText(at) for at in range(teacher.count())}
    assert "it is what is tuned" in texts[str(base)]
    assert "its tokenizer is not known" in texts[str(tmp_path / "shelf" / "stranger")]
    bench.click(bench.page.form.method.objective.option("orpo"))
    assert not teacher.isEnabled()
    assert "ORPO" in bench.page.form.subject.teacher_field.help.text()


def test_a_recipe_is_saved_opened_and_means_the_same(
    bench: Bench, base: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = TuneRecipe(
        model=str(base), data=(str(pairs),), objective="orpo", method="dora", rank=8, steps=7, beta=0.2, name="mine"
    )
    bench.open(recipe=recipe)
    file = tmp_path / "mine.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(file), ""))
    bench.qtbot.mouseClick(bench.page.save_recipe, Qt.MouseButton.LeftButton)
    bench.until(file.exists)
    assert read_recipe(file) == recipe
    bench.open(model=base, data=str(pairs))
    bench.page.set_draft(Draft(subject=str(base)))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    bench.qtbot.mouseClick(bench.page.open_recipe, Qt.MouseButton.LeftButton)
    bench.until(lambda: bench.page.draft().value("name") == "mine")
    bench.settle()
    assert bench.start() == recipe


def test_the_form_is_as_it_was_left(context: Context, qtbot: QtBot, persona: Path) -> None:
    bench = Bench(context, qtbot)
    bench.open(data=str(persona))
    bench.click(bench.page.form.method.method.option("rslora"))
    again = Bench(context, qtbot)
    again.open()
    assert again.page.draft() == bench.page.draft()


def test_columns_named_by_hand_on_the_data_page_come_along_and_can_be_forgotten(bench: Bench, tmp_path: Path) -> None:
    table = tmp_path / "Fragen.csv"
    table.write_text("Frage,Antwort\n" + "Wie viele?,Sieben Füchse.\n" * 30, encoding="utf-8")
    bench.open(data=[str(table)], mapping={"prompt": "Frage", "completion": "Antwort"}, skip_broken=True)
    assert "Sieben Füchse." in bench.seen()
    assert "prompt = Frage" in bench.page.form.data.by_hand.text()
    assert bench.page.draft().value("skip_broken") is True
    bench.click(bench.page.form.data.as_recognised)
    assert bench.page.draft().value("mapping") is None


def test_what_is_missing_or_wrong_is_said_beside_its_field(bench: Bench, tmp_path: Path) -> None:
    bench.open()
    assert bench.problems() == {"data": "Choose data to learn from."}
    torn = tmp_path / "torn.json"
    torn.write_text('[{"instruction": "a", "output"', encoding="utf-8")
    bench.page.form.data.files.add([torn])
    bench.settle()
    assert "torn.json" in bench.page.form.data.files_field.problem.text()
    bench.page.set_draft(Draft(subject=str(tmp_path / "nowhere"), data=(str(torn),)))
    bench.settle()
    assert bench.page.form.subject.field.problem.text()


def test_models_data_and_recipes_can_be_dropped(bench: Bench, base: Path, persona: Path, tmp_path: Path) -> None:
    bench.open()
    adapter = an_adapter(tmp_path / "mine", base)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in (adapter, persona)])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    bench.page.dropEvent(QDropEvent(QPointF(5, 5), copy, data, left, none))
    bench.until(lambda: bench.page.draft().data == (str(persona),))
    assert bench.page.draft().subject == str(adapter)


def test_every_setting_of_the_recipe_has_a_place_and_every_control_a_name(bench: Bench, persona: Path) -> None:
    bench.open(data=str(persona))
    bench.page.form.more_settings.open()
    bench.page.form.more.build_all()
    bench.settle()
    in_place = set(bench.page.form.fields()) | OWN | {"mapping"}
    assert set(TuneRecipe.model_fields) <= in_place
    assert set(MORE) == set(bench.page.form.more.made)
    assert nameless(bench.page) == []
    assert unreachable(bench.page) == []
    assert cut_off(bench.page) == []


@pytest.mark.parametrize("preset", ["none", *PRESETS])
def test_a_draft_says_its_recipe_and_comes_back_from_it(preset: Any, base: Path, persona: Path) -> None:
    draft = Draft(str(base), data=(str(persona),)).for_purpose(preset).changed({"rank": 3, "name": "x", "epochs": 2.0})
    recipe = draft.recipe(None)
    assert Draft.of_recipe(recipe).recipe(None) == recipe
    assert Draft.of_bytes(draft.to_bytes()) == draft
    assert draft.changed({"rank": draft._unsaid("rank")}).said.get("rank") is None
    assert Draft.of_bytes(json.dumps({"said": {"rank": -1}}).encode()) is None
    assert set(draft.settings()) <= set(DEFAULTS)


# --------------------------------------------------------------------------------------------------- what came of a run


@pytest.fixture
def open_runs(context: Context, qtbot: QtBot) -> Callable[[RunFolder], RunsPage]:
    def opened(run: RunFolder) -> RunsPage:
        page = RunsPage(context)
        qtbot.addWidget(page)
        page.resize(1200, 760)
        page.show()
        page.opened(run=run.id)
        context.live.start()
        qtbot.waitUntil(lambda: run.id in context.live.pictures, timeout=WAIT_MS)
        qtbot.waitUntil(lambda: page.detail._dossier is not None, timeout=WAIT_MS)
        return page

    return opened


def test_answers_before_and_after_stand_beside_each_other(
    open_runs: Callable[..., RunsPage], home: Home, base: Path, persona: Path, context: Context, qtbot: QtBot
) -> None:
    run = tune_run(home, base, persona, steps=12)
    detail = open_runs(run).detail
    card = detail.overview.tune
    assert card.isVisibleTo(detail)
    first = card.answers.answers()[0]
    assert "Lily" in first.before
    assert "Ada" in first.after
    assert first.step == 12
    facts = {fact.name: fact.value for fact in card.facts.sections()[0].facts}
    assert facts["Adapter"] == "LoRA of rank 4 for stories-0.8M"
    assert "its base is there" in card.base.text().lower()
    wishes: list[Wish] = []
    context.wished.connect(wishes.append)
    qtbot.mouseClick(card.tune, Qt.MouseButton.LeftButton)
    assert wishes[-1] == Wish("tune", {"model": run.artifacts / "student"})
    assert detail.overview.results.chat.text() == "Chat before and after"
    qtbot.mouseClick(detail.overview.results.chat, Qt.MouseButton.LeftButton)
    assert wishes[-1] == Wish("chat", {"models": [str(base), str(run.artifacts / "student")]})
    assert not detail.overview.results.teacher.isVisibleTo(detail)
    qtbot.waitUntil(lambda: cut_off(detail.overview) == [], timeout=5000)


def test_a_preference_run_draws_its_rewards_apart_from_the_loss(
    open_runs: Callable[..., RunsPage], home: Home, base: Path, pairs: Path, qtbot: QtBot
) -> None:
    curves = open_runs(tune_run(home, base, pairs, steps=12, objective="dpo")).detail.curves
    qtbot.waitUntil(lambda: bool(curves.plots["rewards"].drawing.lines), timeout=WAIT_MS)
    assert curves.boxes["rewards"].isVisibleTo(curves)
    drawn = [line.name for line in curves.plots["rewards"].drawing.lines]
    assert drawn == ["margin", "held_out_margin", "chosen", "rejected"]
    assert {line.name for line in curves.plots["loss"].drawing.lines} <= {"total", "ce", "held_out_ce"}
    qtbot.waitUntil(curves.is_settled, timeout=WAIT_MS)
    assert [line.name for line in curves.plots["rates"].drawing.lines] == ["accuracy"]
    assert curves.metric_choice.value() == "margin"
    assert [line.name for line in curves.plots["held_out"].drawing.lines] == ["margin"]


def test_duplicate_and_edit_opens_a_tuning_on_its_page(
    open_runs: Callable[..., RunsPage], home: Home, base: Path, persona: Path, context: Context, qtbot: QtBot
) -> None:
    run = tune_run(home, base, persona, steps=4)
    page = open_runs(run)
    wishes: list[Wish] = []
    context.wished.connect(wishes.append)
    page.perform("edit")
    qtbot.waitUntil(lambda: bool(wishes), timeout=WAIT_MS)
    assert wishes[-1] == Wish("tune", {"recipe": run.recipe()})


# ------------------------------------------------------------------------------------------------- adapters among models


@pytest.fixture
def shelf(tmp_path: Path, home: Home, base: Path) -> Path:
    """A folder with two adapters of the sample's smallest model, and one whose base has changed."""
    made = tmp_path / "shelf"
    an_adapter(made / "politeness", base)
    an_adapter(made / "persona", base, rank=2)
    an_adapter(made / "orphan", base, fingerprint="0" * 16)
    with Library(home) as library:
        library.add_folder(made)
    return made


@pytest.fixture
def models(context: Context, qtbot: QtBot, shelf: Path) -> ModelsPage:
    page = ModelsPage(context)
    qtbot.addWidget(page)
    page.resize(1200, 760)
    page.show()
    page.opened()
    qtbot.waitUntil(
        lambda: context.shelf.loaded and context.shelf.entry(shelf / "persona") is not None, timeout=WAIT_MS
    )
    return page


def picked(page: ModelsPage, path: Path, qtbot: QtBot) -> dict[str, QAbstractButton]:
    """Pick a model and wait for its facts; its buttons by the names of their commands."""
    page.pick(path)
    qtbot.waitUntil(lambda: page.facts is not None and page.facts.path == path, timeout=WAIT_MS)
    return {command.name: one for command, one in zip(page.detail._commands, page.detail.buttons, strict=True)}


def test_an_adapter_names_its_base_checked_and_a_changed_base_is_said(models: ModelsPage, shelf: Path, base: Path, qtbot: QtBot) -> None:  # fmt: skip
    buttons = picked(models, shelf / "persona", qtbot)
    assert "with the weights" in models.detail._base_words.text()
    assert models.facts is not None
    assert models.facts.base == base
    assert {name for name, _ in models.facts.adapters} >= {"politeness"}
    assert buttons["models.tune"].text() == "Tune on from here"
    buttons = picked(models, shelf / "orphan", qtbot)
    assert "not those that" in models.detail._base_words.text()
    assert not buttons["models.merge"].isEnabled()
    assert "not those that" in buttons["models.merge"].toolTip()
    buttons = picked(models, base, qtbot)
    assert buttons["models.tune"].text() == "Tune it"
    assert not buttons["models.merge"].isEnabled()
    qtbot.waitUntil(lambda: cut_off(models.detail) == [], timeout=5000)


def test_adapters_are_stacked_weighted_and_merged_into_their_base(
    models: ModelsPage, shelf: Path, base: Path, home: Home, context: Context, qtbot: QtBot, tmp_path: Path
) -> None:
    wishes: list[Wish] = []
    context.wished.connect(wishes.append)
    buttons = picked(models, shelf / "persona", qtbot)
    qtbot.mouseClick(buttons["models.merge"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: models.findChild(MergeDialog) is not None, timeout=WAIT_MS)
    dialog = models.findChild(MergeDialog)
    assert set(dialog.stack) == {shelf / "persona", shelf / "politeness"}  # not the one whose base has changed
    box, scale = dialog.stack[shelf / "politeness"]
    box.click()
    scale.selectAll()
    qtbot.keyClicks(scale, "half")
    assert not dialog.merge.isEnabled()
    scale.selectAll()
    qtbot.keyClicks(scale, "0.5")
    dialog.out_field.edit.setText("")
    qtbot.keyClicks(dialog.out_field.edit, str(tmp_path / "merged"))
    qtbot.waitUntil(dialog.merge.isEnabled, timeout=WAIT_MS)
    assert nameless(dialog) == []
    qtbot.mouseClick(dialog.merge, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(wishes), timeout=WAIT_MS)
    (run,) = runs.all_runs(home)
    recipe = run.recipe()
    assert isinstance(recipe, MergeAdapterRecipe)
    assert recipe.adapters == (str(shelf / "persona"), str(shelf / "politeness"))
    assert (recipe.scales, recipe.base, recipe.out) == ((1.0, 0.5), str(base), str(tmp_path / "merged"))


# ----------------------------------------------------------------------------------------------------------- the window


@pytest.fixture
def window(home: Home, qapp: QApplication) -> Iterator[Window]:
    theme.apply(qapp, "light")
    made = Window(home)
    made.context.settings.on_close = "keep"
    made.show()
    made.context.live.start()
    made.context.shelf.refresh()
    yield made
    made.close()
    for run in list(runs.all_runs(home)):
        if run.lock_held() or run.position() is not None:
            runs.discard(run)


def test_the_switch_leads_from_distilling_to_tuning_and_back_and_the_rail_shows_plan(
    window: Window, qtbot: QtBot
) -> None:
    window.open(Wish("plan"))
    plan = window.page()
    assert isinstance(plan, PlanPage)
    qtbot.mouseClick(plan.switch.option("tune"), Qt.MouseButton.LeftButton)
    tune = window.page()
    assert isinstance(tune, TunePage)
    assert window.rail.button("plan").isChecked()
    assert plan.switch.value() == "plan"
    qtbot.mouseClick(tune.switch.option("plan"), Qt.MouseButton.LeftButton)
    assert window.page() is plan


@pytest.mark.slow
def test_from_the_button_to_an_adapter_that_answers_otherwise(
    window: Window, qtbot: QtBot, home: Home, base: Path, persona: Path
) -> None:
    window.open(Wish("tune", {"model": base, "data": str(persona)}))
    page = window.page()
    assert isinstance(page, TunePage)
    qtbot.waitUntil(page._settled, timeout=WAIT_MS)
    page.form.purpose.options["persona"].button.click()
    for edit, text in ((page.form.purpose.name, "Ada"), (page.form.purpose.author, "me")):
        edit.setFocus()
        qtbot.keyClicks(edit, text)
    length = page.form.method.length
    length.unit.setCurrentIndex(length.unit.findData("steps"))
    length.unit.activated.emit(length.unit.currentIndex())
    length.amount.clear()
    qtbot.keyClicks(length.amount, "6")
    qtbot.waitUntil(lambda: page._settled() and page.start.text() == "Tune with LoRA", timeout=WAIT_MS)
    qtbot.mouseClick(page.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(window.page(), RunsPage), timeout=WAIT_MS)
    (run,) = runs.all_runs(home)
    qtbot.waitUntil(lambda: run.state() is State.FINISHED, timeout=180_000)
    card = window.page().detail.overview.tune  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: card.isVisible() and card.merge.isVisible(), timeout=WAIT_MS)
    assert card.answers.answers()
    assert "with the weights" in card.base.text()
    window.context.shelf.refresh()
    qtbot.waitUntil(lambda: window.context.shelf.entry(run.artifacts / "student") is not None, timeout=WAIT_MS)
