"""The Plan page by its widgets: what is asked follows what is typed, dragged and dropped, and the button says what will happen."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shiboken6
from made_up import a_model
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QToolButton
from pytestqt.qtbot import QtBot

import resources.sample
from core import law, runner, runs
from core.distill import DistillRecipe
from core.errors import RunTrouble
from core.events import RunFinished, RunStarted
from core.home import Home
from core.journal import JournalWriter
from core.library import Library
from core.measure import measurement
from core.model_files import read_config
from core.plan import editable_units, next_shape, parse_target, plan, restate, settle
from core.recipe import read_recipe
from core.shapes import shape_of, validate_cut
from desktop_app import theme
from desktop_app.context import Context, Message, Wish
from desktop_app.plan import measuring as measuring_module
from desktop_app.plan import page as plan_page
from desktop_app.plan.draft import MORE, Draft
from desktop_app.plan.measuring import WATCHED, Measuring, tidy
from desktop_app.plan.page import FIRST_TEACHER, PlanPage
from desktop_app.plan.planning import think

WAIT_MS = 10_000


@pytest.fixture(scope="module", autouse=True)
def no_runner() -> Iterator[None]:
    """Runs are queued, and nothing starts them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "ensure_runner", lambda home: None)
        yield


@pytest.fixture(autouse=True)
def nothing_left_open() -> None:
    """The shared page outlives the tests; the others take their own away."""


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    text = tmp_path / "stories.txt"
    text.write_text("Once upon a time there was a fox. It was late.\n<|endoftext|>\n" * 400)
    return text


@pytest.fixture(scope="module")
def dressed(qapp: QApplication) -> None:
    """Once: a new style sheet dresses every widget that is there."""
    theme.apply(qapp, "light")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, dressed: None) -> Iterator[PlanPage]:
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(folder / "hub"))
        made = PlanPage(Context(Home.find(folder / "Daten Ordner ü")))
        made.show()
        made.opened()
        yield made
        shiboken6.delete(made)


@pytest.fixture
def page(qtbot: QtBot, shared: PlanPage) -> PlanPage:
    """One page for all tests that leave no trace but in the form: it says the first draft again, and no run is left."""
    shared.resize(1200, 800)
    shared.activateWindow()
    shared.setFocus()
    for run in runs.all_runs(shared.context.home):
        runs.discard(run)
    shared.set_draft(Draft(teacher=str(FIRST_TEACHER)))
    qtbot.waitUntil(lambda: settled(shared), timeout=WAIT_MS)
    return shared


@pytest.fixture
def own_page(qtbot: QtBot, dressed: None, home: Home) -> Iterator[PlanPage]:
    """A page that was never open before, in a data folder of its own."""
    made = PlanPage(Context(home))
    made.resize(1200, 800)
    made.show()
    made.opened()
    qtbot.waitUntil(lambda: settled(made), timeout=WAIT_MS)
    yield made
    made.context.live.stop()
    shiboken6.delete(made)


def settled(page: PlanPage) -> bool:
    """The plan on screen is of what the form says."""
    planned = page._planned
    thinks = page._pause.isActive() or page._dimming.isActive() or page._dimmed()
    waits = thinks or page._showing.isActive() or bool(page._to_show)
    return page.context.shelf.loaded and planned is not None and planned.draft == page.draft() and not waits


def type_into(qtbot: QtBot, page: PlanPage, widget: Any, text: str) -> None:
    widget.setFocus()
    widget.selectAll()
    qtbot.keyClicks(widget, text)
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)


def click(qtbot: QtBot, page: PlanPage, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)


def drop(page: PlanPage, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    page.dropEvent(event)


def ready(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    """A plan without problems."""
    page.form.data.files.add([stories])
    qtbot.waitUntil(lambda: settled(page) and "Distill" in page.start.text(), timeout=WAIT_MS)


def said(context: Context) -> list[Message]:
    heard: list[Message] = []
    context.said.connect(heard.append)
    return heard


# --- the form ---------------------------------------------------------------------------------------------------------


def test_the_first_plan_suggests_the_sample_family_and_says_what_is_missing(own_page: PlanPage) -> None:
    assert own_page.draft().teacher == str(FIRST_TEACHER)
    assert own_page.start.text() == "Mend 1 problem first"
    assert "sample's stories" in own_page.form.data.files_field.problem.text()
    assert own_page.form.teacher.choice.count() == 3


def test_pressing_with_a_problem_goes_to_its_field(qtbot: QtBot, page: PlanPage) -> None:
    click(qtbot, page, page.start)
    assert page.form.data.files.isAncestorOf(page.focusWidget())


def test_the_samples_stories_make_the_plan_whole(qtbot: QtBot, page: PlanPage) -> None:
    qtbot.mouseClick(page.form.data.use_sample, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: settled(page) and bool(page.draft().data), timeout=WAIT_MS)
    assert page.start.text() == "Distill 2.02M → 806K on cpu"
    assert page.draft().tokens == 250_000
    assert "of text" in page.form.data.files_field.help.text()


def test_slider_and_field_follow_each_other(qtbot: QtBot, page: PlanPage) -> None:
    target = page.form.student.target
    type_into(qtbot, page, target.text, "0.2x")
    assert target.slider.slider.value() == target.slider.position(0.2)
    target.slider.slider.setValue(target.slider.position(0.6))
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)
    assert target.text.text() == "0.6x"
    assert page.draft().student == "0.6x"
    assert "1.2" in target.outcome.text()


def test_what_is_typed_decides_the_kind(qtbot: QtBot, page: PlanPage) -> None:
    target = page.form.student.target
    type_into(qtbot, page, target.text, "1.2M")
    assert target.kind.value() == "size"
    type_into(qtbot, page, target.text, "2MB")
    assert target.kind.value() == "memory"
    assert page.draft().student == "2MB@bf16"


def test_a_bare_number_takes_the_unit_in_sight(qtbot: QtBot, page: PlanPage) -> None:
    type_into(qtbot, page, page.form.student.target.text, "30")
    assert page.draft().student == "30%"


def test_changing_the_kind_keeps_the_size(qtbot: QtBot, page: PlanPage) -> None:
    target = page.form.student.target
    for kind, text in (("size", "807K"), ("memory", "1.61 MB"), ("share", "0.4x")):
        click(qtbot, page, target.kind.option(kind))
        qtbot.waitUntil(lambda kind=kind: page.draft().kind == kind and settled(page), timeout=WAIT_MS)  # type: ignore[misc]
        assert target.text.text() == text


def test_what_cannot_be_read_is_kept_and_counted(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    ready(qtbot, page, stories)
    type_into(qtbot, page, page.form.student.target.text, "soon")
    assert page.form.student.target.text.text() == "soon"
    assert page.start.text() == "Mend 1 problem first"
    assert "soon" in page.form.student.target.field.problem.text()
    type_into(qtbot, page, page.form.student.target.text, "0.3x")
    assert not page.form.student.target.field.problem.text()


def test_a_share_stays_when_the_teacher_of_the_list_changes_and_the_size_when_the_charts_does(
    qtbot: QtBot, page: PlanPage
) -> None:
    larger = FIRST_TEACHER.with_name("stories-5M")
    page.law.chart.teacher_chosen.emit(larger)
    qtbot.waitUntil(lambda: page.draft().teacher == str(larger) and settled(page), timeout=WAIT_MS)
    assert page.draft().student == "0.173x"
    index = page.form.teacher.choice.findData(str(FIRST_TEACHER))
    page.form.teacher.choice.setCurrentIndex(index)
    page.form.teacher.choice.activated.emit(index)
    qtbot.waitUntil(lambda: page.draft().teacher == str(FIRST_TEACHER) and settled(page), timeout=WAIT_MS)
    assert page.draft().student == "0.173x"


def test_a_size_from_the_chart_is_said_in_the_kind_of_the_form(qtbot: QtBot, page: PlanPage) -> None:
    page.law.chart.size_chosen.emit(605_000.0)
    qtbot.waitUntil(lambda: page.draft().student == "0.3x" and settled(page), timeout=WAIT_MS)


def test_a_shape_by_hand_takes_the_size_with_it_and_goes_back(qtbot: QtBot, page: PlanPage) -> None:
    editor = page.form.student.shape
    editor.by_hand.open()
    click(qtbot, page, editor.steppers["layers"].less)
    shape = page.draft().shape
    assert shape is not None
    assert shape.layers == 3
    assert "653K" in editor.count.text()
    assert page.draft().student == "0.324x"
    assert page.form.student.target.text.text() == "0.324x"
    click(qtbot, page, editor.back)
    assert page.draft().shape is None
    assert page.draft().student == "0.4x"


def test_a_shape_stepper_takes_only_what_is_valid(qtbot: QtBot, page: PlanPage) -> None:
    editor = page.form.student.shape
    editor.by_hand.open()
    edit = editor.steppers["kv_heads"].edit
    type_into(qtbot, page, edit, "99")
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)
    shape = page.draft().shape
    assert shape is not None
    assert validate_cut(shape_of(read_config(FIRST_TEACHER)), shape) == []
    assert not editor.steppers["kv_heads"].more.isEnabled()
    assert editor.steppers["kv_heads"].more.toolTip()


def test_an_existing_model_can_be_the_student(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    target = page.form.student.target
    click(qtbot, page, target.kind.option("folder"))
    assert page.start.text() == "Mend 2 problems first"
    small = FIRST_TEACHER.with_name("stories-0.8M")
    type_into(qtbot, page, target.folder, str(small))
    qtbot.keyClick(target.folder, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.draft().student == str(small), timeout=WAIT_MS)
    ready(qtbot, page, stories)
    assert page.start.text() == "Distill 2.02M → 798K on cpu"
    assert "Same tokenizer" in page.law.pair.lines[0][1].text()


def test_presets_set_the_objective_and_custom_opens_the_dials(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    ready(qtbot, page, stories)
    objective = page.form.objective
    click(qtbot, page, objective.preset.option("follow"))
    assert (page.draft().ce_weight, page.draft().use_teacher) == (0.1, True)
    click(qtbot, page, objective.preset.option("text"))
    assert page.draft().use_teacher is False
    assert page.start.text() == "Train 806K without a teacher on cpu"
    click(qtbot, page, objective.preset.option("custom"))
    assert objective.dials.isVisible()
    type_into(qtbot, page, objective.weight, "2")
    assert objective.weight_field.problem.text()
    assert page.start.text() == "Mend 1 problem first"


def test_every_field_of_the_recipe_has_a_place(qtbot: QtBot, page: PlanPage) -> None:
    page.form.more_settings.open()
    qtbot.waitUntil(lambda: {*MORE} <= page.form.fields().keys(), timeout=WAIT_MS)
    placed = page.form.fields().keys()
    assert DistillRecipe.model_fields.keys() - placed <= {"kind"}
    for name, field in page.form.fields().items():
        assert field.widget.accessibleName() or name == "student"


def test_more_settings_show_the_default_with_its_reason_and_refuse_nonsense(qtbot: QtBot, page: PlanPage) -> None:
    page.form.more_settings.open()
    qtbot.waitUntil(lambda: "batch_tokens" in page.form.fields(), timeout=WAIT_MS)
    rate = page.form.fields()["learning_rate"]
    assert "Step Law" in rate.help.text()
    assert rate.widget.placeholderText() == "0.002"  # type: ignore[attr-defined]
    type_into(qtbot, page, rate.widget, "0.001")
    assert page.draft().more == {"learning_rate": 0.001}
    type_into(qtbot, page, rate.widget, "7")
    assert rate.problem.text()
    rate.widget.clear()  # type: ignore[attr-defined]
    rate.widget.textEdited.emit("")  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)
    assert page.draft().more == {}


def test_measuring_as_it_goes_says_beside_each_field_what_is_wrong(
    qtbot: QtBot, page: PlanPage, stories: Path, tmp_path: Path
) -> None:
    ready(qtbot, page, stories)
    page.form.more_settings.open()
    qtbot.waitUntil(lambda: "measure_shots" in page.form.fields(), timeout=WAIT_MS)
    fields = page.form.fields()

    def problem(name: str, words: str) -> bool:
        told = {each: field.problem.text() for each, field in fields.items() if field.problem.text()}
        return told.keys() == {name} and words in told[name]

    type_into(qtbot, page, fields["measure_every"].widget, "20")
    assert problem("measure_tasks", "Name what is measured")
    assert page.start.text() == "Mend 1 problem first"
    type_into(qtbot, page, fields["measure_tasks"].widget, "humaneval")
    assert problem("measure_tasks", "runs programs that the model writes")
    type_into(qtbot, page, fields["measure_tasks"].widget, "arc_easy, piqa")
    assert page.draft().more["measure_tasks"] == ("arc_easy", "piqa")
    type_into(qtbot, page, fields["measure_files"].widget, str(tmp_path / "gone"))
    assert problem("measure_files", "There is no folder")
    type_into(qtbot, page, fields["measure_files"].widget, str(tmp_path))
    type_into(qtbot, page, fields["measure_device"].widget, "cuda:7")
    assert problem("measure_device", "no cuda:7 on this machine")
    type_into(qtbot, page, fields["measure_device"].widget, "cpu")
    assert "Distill" in page.start.text()
    fields["measure_every"].widget.clear()  # type: ignore[attr-defined]
    fields["measure_every"].widget.textEdited.emit("")  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)
    assert problem("measure_every", "Say every how many steps")


def test_what_is_wrong_under_more_settings_is_said_there_once_they_are_opened(
    qtbot: QtBot, own_page: PlanPage, stories: Path
) -> None:
    ready(qtbot, own_page, stories)
    own_page.set_draft(own_page.draft().changed({"measure_every": 20, "measure_pairs": "/nowhere/blimp"}))
    qtbot.waitUntil(lambda: settled(own_page), timeout=WAIT_MS)
    assert "/nowhere/blimp" in own_page.notice.text()
    own_page.form.more_settings.button.click()
    qtbot.waitUntil(lambda: "measure_pairs" in own_page.form.fields(), timeout=WAIT_MS)
    assert "/nowhere/blimp" in own_page.form.fields()["measure_pairs"].problem.text()
    qtbot.waitUntil(lambda: not own_page.notice.text(), timeout=WAIT_MS)


def test_files_to_measure_with_are_chosen_with_a_dialog(
    qtbot: QtBot, page: PlanPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.form.more_settings.open()
    qtbot.waitUntil(lambda: "measure_shots" in page.form.fields(), timeout=WAIT_MS)
    pairs = tmp_path / "pairs.jsonl"
    pairs.touch()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(pairs), ""))
    for name, chosen in (("measure_files", tmp_path), ("measure_pairs", pairs)):
        (choose,) = page.form.fields()[name].findChildren(QToolButton)
        click(qtbot, page, choose)
        assert page.draft().more[name] == str(chosen)
        assert page.form.fields()[name].widget.text() == str(chosen)  # type: ignore[attr-defined]


# --- what is dropped --------------------------------------------------------------------------------------------------


def test_a_dropped_model_teaches(qtbot: QtBot, own_page: PlanPage, tmp_path: Path) -> None:
    model = a_model(tmp_path / "own model")
    drop(own_page, model)
    qtbot.waitUntil(lambda: own_page.draft().teacher == str(model) and settled(own_page), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: own_page.context.shelf.entry(model) is not None, timeout=WAIT_MS)


def test_dropped_text_joins_the_data(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    drop(page, stories)
    qtbot.waitUntil(lambda: page.draft().data == (str(stories),) and settled(page), timeout=WAIT_MS)


def test_anything_else_that_is_dropped_is_told_what_it_is(qtbot: QtBot, page: PlanPage, tmp_path: Path) -> None:
    heard = said(page.context)
    (tmp_path / "cat.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty").mkdir()
    before = page.draft()
    drop(page, tmp_path / "cat.png", tmp_path / "empty")
    qtbot.waitUntil(lambda: bool(heard), timeout=WAIT_MS)
    assert "cat.png" in heard[0].text
    assert "empty holds no model" in heard[0].text
    assert page.draft() == before


def test_a_broken_teacher_is_said_at_its_field(qtbot: QtBot, page: PlanPage, tmp_path: Path) -> None:
    model = a_model(tmp_path / "broken")
    (model / "model.safetensors").write_bytes(b"short")
    page.opened(teacher=model)
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)
    assert "model.safetensors" in page.form.teacher.field.problem.text()


# --- the button -------------------------------------------------------------------------------------------------------


def test_the_button_makes_the_run_and_leads_to_it(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    wishes: list[Wish] = []
    page.context.wished.connect(wishes.append)
    ready(qtbot, page, stories)
    click(qtbot, page, page.start)
    qtbot.waitUntil(lambda: bool(wishes), timeout=WAIT_MS)
    [run] = runs.queue(page.context.home)
    assert wishes == [Wish("runs", {"run": run.id})]
    recipe = run.recipe()
    assert isinstance(recipe, DistillRecipe)
    assert recipe.shape is not None
    assert recipe.data == (str(stories),)
    assert page.draft().data == (str(stories),)


def test_the_button_starts_what_was_typed_a_moment_ago(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    ready(qtbot, page, stories)
    page.form.student.target.text.setFocus()
    page.form.student.target.text.selectAll()
    qtbot.keyClicks(page.form.student.target.text, "0.3x")
    page.commands()[0].run()
    qtbot.waitUntil(lambda: len(runs.queue(page.context.home)) == 1, timeout=WAIT_MS)
    recipe = runs.queue(page.context.home)[0].recipe()
    assert isinstance(recipe, DistillRecipe)
    assert recipe.student == "0.3x"


def test_ctrl_return_starts_the_run(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    ready(qtbot, page, stories)
    page.form.student.target.text.setFocus()
    qtbot.keyClick(page.form.student.target.text, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: len(runs.queue(page.context.home)) == 1, timeout=WAIT_MS)


def test_ctrl_o_and_ctrl_s_open_and_save_a_recipe(
    qtbot: QtBot, page: PlanPage, stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, heard = tmp_path / "kept.json", said(page.context)
    for ask in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, ask, lambda *_: (str(file), ""))
    ready(qtbot, page, stories)
    kept = page.draft()
    qtbot.keyClick(page, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: bool(heard) and file.exists(), timeout=WAIT_MS)
    page.set_draft(Draft(teacher=str(FIRST_TEACHER)))
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)
    qtbot.keyClick(page, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: page.draft().data == kept.data and settled(page), timeout=WAIT_MS)


def test_a_change_after_the_press_starts_nothing(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    ready(qtbot, page, stories)
    text = page.form.student.target.text
    text.setFocus()
    text.selectAll()
    qtbot.keyClicks(text, "0.3x")
    page.press()
    assert page.start.text() == "Planning, then starting…"
    text.selectAll()
    qtbot.keyClicks(text, "0.2x")
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)
    assert page.draft().student == "0.2x"
    page._think()  # another plan of the same draft
    qtbot.waitUntil(lambda: settled(page) and page.start.isEnabled(), timeout=WAIT_MS)
    assert list(runs.all_runs(page.context.home)) == []


def test_a_press_is_forgotten_when_the_page_is_left(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    ready(qtbot, page, stories)
    page._change({"student": "0.3x"})
    page.press()
    page.left()
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)
    assert "Distill" in page.start.text()
    assert list(runs.all_runs(page.context.home)) == []


def test_an_old_plan_overwrites_nothing_and_the_button_waits_for_the_new_one(
    qtbot: QtBot, page: PlanPage, stories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(qtbot, page, stories)
    editor, gate, planned = page.form.student.shape, threading.Event(), threading.Event()
    editor.by_hand.open()
    before = page._planned

    def slowly(*asked: Any) -> Any:
        gate.wait(10)
        answer = think(*asked)
        planned.set()
        return answer

    monkeypatch.setattr(plan_page, "think", slowly)
    qtbot.mouseClick(editor.steppers["layers"].less, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.start.text() == "Planning…" and not page._pause.isActive(), timeout=WAIT_MS)
    qtbot.mouseClick(editor.steppers["layers"].less, Qt.MouseButton.LeftButton)
    gate.set()
    assert planned.wait(10)
    qtbot.wait(20)
    assert page._planned is before
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)
    shape = page.draft().shape
    assert shape is not None
    assert shape.layers == 2
    assert editor.steppers["layers"].edit.text() == "2"
    assert "Distill" in page.start.text()


def test_a_model_made_meanwhile_is_there_when_the_page_is_opened_again(
    qtbot: QtBot, own_page: PlanPage, home: Home, tmp_path: Path
) -> None:
    model = a_model(tmp_path / "made meanwhile")
    with Library(home) as library:
        library.add_folder(tmp_path)
    own_page.left()
    own_page.opened()
    qtbot.waitUntil(lambda: own_page.form.teacher.choice.findData(str(model)) >= 0, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: settled(own_page), timeout=WAIT_MS)


def test_runs_before_it_are_counted_at_the_button(
    qtbot: QtBot, own_page: PlanPage, home: Home, stories: Path, fake_run: Callable[..., Any], alive: Callable[..., Any]
) -> None:
    ready(qtbot, own_page, stories)
    alive()
    fake_run(home, state="queued")
    drawn = own_page._planned.plan if own_page._planned is not None else None
    assert drawn is not None
    recipe = measurement(settle(own_page.draft().recipe(drawn.tokens)), drawn.estimate.choices)
    runs.enqueue(home, runs.new_run(home, recipe))  # its few steps don't count
    own_page.context.live.start()
    qtbot.waitUntil(lambda: own_page.start.text() == "Add to the queue (2 before it)", timeout=WAIT_MS)
    qtbot.waitUntil(lambda: len(own_page.context.live.rows) == 3, timeout=WAIT_MS)
    assert own_page.start.text() == "Add to the queue (2 before it)"


def test_a_start_that_fails_keeps_the_form_and_says_where(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    heard = said(page.context)
    ready(qtbot, page, stories)
    stories.unlink()
    click(qtbot, page, page.start)
    qtbot.waitUntil(lambda: bool(heard), timeout=WAIT_MS)
    assert str(stories) in page.form.data.files_field.problem.text()
    assert page.draft().data == (str(stories),)
    assert runs.queue(page.context.home) == []


# --- recipes and drafts -----------------------------------------------------------------------------------------------


def test_a_saved_recipe_opens_as_it_was(
    qtbot: QtBot, page: PlanPage, stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = said(page.context)
    ready(qtbot, page, stories)
    file = tmp_path / "night.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(file), ""))
    page.ask_where_to_save()
    qtbot.waitUntil(lambda: bool(heard), timeout=WAIT_MS)
    assert heard[0].level == "good"
    kept = read_recipe(file)
    assert isinstance(kept, DistillRecipe)
    drop(page, file)
    qtbot.waitUntil(lambda: page.draft().tokens == kept.tokens and settled(page), timeout=WAIT_MS)
    assert page.draft().recipe(1) == kept
    assert not page.form.student.shape.back.isVisible()


def test_the_draft_outlives_the_window(qtbot: QtBot, own_page: PlanPage, stories: Path) -> None:
    ready(qtbot, own_page, stories)
    type_into(qtbot, own_page, own_page.form.student.target.text, "0.25x")
    again = PlanPage(own_page.context)
    qtbot.addWidget(again)
    again.opened()
    assert again.draft() == own_page.draft()
    qtbot.waitUntil(lambda: settled(again), timeout=WAIT_MS)


def test_a_draft_of_another_version_is_left_behind() -> None:
    assert Draft.of_bytes(b"") is None
    assert Draft.of_bytes(b'{"teacher": 3}') is None
    odd = replace(Draft(), more={"flux": 3}).to_bytes()
    assert Draft.of_bytes(odd) is None


def test_the_sample_fills_the_form(qtbot: QtBot, page: PlanPage) -> None:
    page.opened(sample=True)
    qtbot.waitUntil(lambda: page.draft().tokens == 250_000 and settled(page), timeout=WAIT_MS)
    assert page.draft().recipe(1) == resources.sample.recipe(page.context.home)


# --- measuring --------------------------------------------------------------------------------------------------------


def test_a_measurement_goes_into_the_estimate_and_leaves_no_run(
    qtbot: QtBot, own_page: PlanPage, home: Home, stories: Path
) -> None:
    assert not own_page.estimate.measure.isEnabled()
    ready(qtbot, own_page, stories)
    qtbot.mouseClick(own_page.estimate.measure, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(runs.queue(home)) == 1, timeout=WAIT_MS)
    assert own_page.estimate.measure.text() == "Stop measuring"
    [run] = runs.queue(home)
    assert json.loads(run.recipe_file.read_text())["kind"] == "measure"
    with JournalWriter(run.journal) as journal:
        journal.append(RunStarted("cpu", 4242, 0.0))
        journal.append(RunFinished({"tokens_per_second": 1234.0, "peak_memory_bytes": 700_000_000, "steps": 9}))
    runs.unqueue(run)
    qtbot.waitUntil(lambda: "1.23K tokens/s" in own_page.estimate.time.reason.text(), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not run.path.exists(), timeout=WAIT_MS)
    assert "Measured over 9 steps" in own_page.estimate.measured.text()
    type_into(qtbot, own_page, own_page.form.student.target.text, "0.2x")
    assert "Measured" not in own_page.estimate.measured.text()


def test_a_measurement_can_be_given_up(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    ready(qtbot, page, stories)
    qtbot.mouseClick(page.estimate.measure, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(runs.queue(page.context.home)) == 1, timeout=WAIT_MS)
    qtbot.mouseClick(page.estimate.measure, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: page.estimate.measure.text() == "Measure" and not runs.queue(page.context.home), timeout=WAIT_MS
    )
    assert list(runs.all_runs(page.context.home)) == []


def test_a_measurement_goes_with_its_window(qtbot: QtBot, page: PlanPage, stories: Path) -> None:
    home = page.context.home
    ready(qtbot, page, stories)
    for moment in (0, 1):  # while it is being made, and while it waits
        measuring = Measuring(home, page)
        assert page._planned is not None
        measuring.start(page._planned)
        qtbot.waitUntil(lambda moment=moment: len(runs.queue(home)) >= moment, timeout=WAIT_MS)  # type: ignore[misc]
        measuring.close()
        qtbot.waitUntil(lambda m=measuring: m._begins.ended and not list(runs.all_runs(home)), timeout=WAIT_MS)  # type: ignore[misc]


def test_a_look_that_fails_after_the_end_says_nothing(
    qtbot: QtBot, page: PlanPage, stories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(qtbot, page, stories)
    looks, gate, heard = threading.Semaphore(0), threading.Event(), said(page.context)

    def look_at(home: Home, run: runs.RunFolder) -> None:
        looks.release()
        gate.wait(10)
        raise RunTrouble(f"Run {run.id} can't be read.")

    monkeypatch.setattr(measuring_module, "_look_at", look_at)
    page.measure()
    qtbot.waitUntil(lambda: looks.acquire(blocking=False), timeout=WAIT_MS)
    qtbot.mouseClick(page.estimate.measure, Qt.MouseButton.LeftButton)
    gate.set()
    qtbot.waitUntil(lambda: page.estimate.measure.text() == "Measure", timeout=WAIT_MS)
    qtbot.wait(50)
    assert heard == []


def test_measurements_of_dead_windows_are_removed_and_others_stay(home: Home, fake_run: Callable[..., Any]) -> None:
    dead, living, other = (fake_run(home, state="queued") for _ in range(3))
    for run in (dead, living):
        (run.path / WATCHED).touch()
    long_ago = time.time() - 2 * 3600
    os.utime(dead.path / WATCHED, (long_ago, long_ago))
    tidy(home)
    assert [run.id for run in runs.all_runs(home)] == sorted(run.id for run in (living, other))


# --- room -------------------------------------------------------------------------------------------------------------


def test_two_columns_become_one_and_two_again(qtbot: QtBot, page: PlanPage) -> None:
    def in_form() -> bool:
        return page.columns.leading_area.isAncestorOf(page.law)

    assert not in_form()
    page.resize(900, 700)
    qtbot.waitUntil(in_form, timeout=WAIT_MS)
    assert page.law.isVisible()
    page.resize(1400, 700)
    qtbot.waitUntil(lambda: not in_form(), timeout=WAIT_MS)
    assert page.law.isVisible()


# --- what core gained for it ------------------------------------------------------------------------------------------


def test_a_size_said_in_every_kind_means_the_same(home: Home) -> None:
    for kind in ("size", "share", "memory", "speed"):
        text = restate(kind, 800_000, 2_000_000, "int8")  # type: ignore[arg-type]
        made = plan(home, parse_target(text), FIRST_TEACHER)
        assert made.student_params == pytest.approx(800_000, rel=0.02)


def test_the_budget_from_which_a_small_student_costs_double_is_marked(qtbot: QtBot, page: PlanPage) -> None:
    assert page._planned is not None
    assert page._planned.plan is not None
    student = page._planned.plan.student_exact
    mark = next(mark for mark in page.form.data.slider.marks._marks if mark.text == "Harm's law")
    best, _ = law.chinchilla_optimum(6 * student * mark.value)
    assert student / best == pytest.approx(law.CRITICAL_SIZE)
    assert law.harms_law(law.CRITICAL_SIZE).overhead == pytest.approx(1.0, abs=0.1)
    assert "de Vries" in mark.hint
    assert "Harm's law" in page.form.data.slider.marks.accessibleName()


def test_every_step_of_a_shape_holds_together() -> None:
    teacher = shape_of(read_config(FIRST_TEACHER))
    for unit in editable_units(teacher, "prune"):
        shape, seen = teacher, 0
        while (smaller := next_shape(teacher, shape, unit, -1, "prune")) is not None:
            assert validate_cut(teacher, smaller) == []
            assert getattr(smaller, unit) < getattr(shape, unit)
            shape, seen = smaller, seen + 1
        assert seen > 1
        while (larger := next_shape(teacher, shape, unit, 1, "prune")) is not None:
            shape = larger
        assert shape == teacher


def test_planning_goes_on_around_what_cannot_be_used(home: Home, tmp_path: Path) -> None:
    draft = Draft(teacher=str(FIRST_TEACHER), data=(str(tmp_path / "gone.txt"),), device="cuda:7")
    planned = think(home, draft, (), None)
    assert planned.plan is not None
    assert {problem.field for problem in planned.problems} == {"data", "device"}
