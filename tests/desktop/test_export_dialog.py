"""Exporting from the window: what can be chosen and why not, the checked result, and what rounding to int8 does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from looking import cut_off, nameless, unreachable
from made_up import a_model
from made_up_exports import export_run, results
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

import resources
from core import runs
from core.export import ExportRecipe
from core.home import Home
from core.state import History, State
from desktop_app import theme
from desktop_app.charts.weights import WeightHistogram
from desktop_app.context import Context, Wish
from desktop_app.export import starting
from desktop_app.export.card import ExportCard
from desktop_app.export.compared import ComparedView
from desktop_app.export.dialog import ExportDialog
from desktop_app.export.rounding import ERROR, RoundingDialog
from desktop_app.models.page import ModelsPage
from desktop_app.runs.page import RunsPage
from desktop_app.shell.window import Window

SAMPLE = Path(resources.__path__[0]) / "sample" / "stories-0.8M"


@pytest.fixture
def dialog(context: Context, qtbot: QtBot, tmp_path: Path) -> ExportDialog:
    made = ExportDialog(context, starting.look_at(a_model(tmp_path / "my student"), "my student"))
    qtbot.addWidget(made)
    made.show()
    qtbot.waitUntil(made.export.isEnabled, timeout=10_000)
    return made


def pick(dialog: ExportDialog, target: str) -> None:
    dialog.target.option(target).click()


def test_the_default_is_a_gguf_file_of_eight_bits_in_the_data_folder(dialog: ExportDialog, home: Home) -> None:
    recipe = dialog.recipe()
    assert recipe is not None
    assert (recipe.to, recipe.type) == ("gguf", "q8_0")
    assert recipe.out == str(home.root / "exports" / "my-student-q8_0.gguf")
    assert dialog.type.itemText(0).startswith("q8_0, about ")


def test_target_and_type_change_the_place_until_one_is_typed(dialog: ExportDialog, qtbot: QtBot, home: Home) -> None:
    pick(dialog, "hf")
    qtbot.waitUntil(lambda: dialog.out.text() == str(home.root / "exports" / "my-student-hf-bf16"))
    dialog.out.setText(str(home.root / "mine"))
    dialog.out.textEdited.emit(dialog.out.text())
    pick(dialog, "ollama")
    qtbot.waitUntil(dialog.export.isEnabled)
    recipe = dialog.recipe()
    assert recipe is not None
    assert recipe.out == str(home.root / "mine")
    assert recipe.to == "ollama"


def test_what_is_in_the_way_is_said_beside_its_field(dialog: ExportDialog, qtbot: QtBot, tmp_path: Path) -> None:
    taken = tmp_path / "there.gguf"
    taken.touch()
    dialog.out.setText(str(taken))
    dialog.out.textEdited.emit(str(taken))
    qtbot.waitUntil(lambda: "is there already" in dialog.out_field.problem.text())
    assert not dialog.export.isEnabled()
    assert "is there already" in dialog.export.toolTip()
    dialog.push.setText("no name")
    dialog.push.textEdited.emit("no name")
    qtbot.waitUntil(lambda: "no name on the Hub" in dialog.push_field.problem.text())
    assert dialog.push_field.isVisible()
    assert dialog.export.text() == "Export and upload"


def test_an_architecture_that_gguf_does_not_know_can_go_elsewhere(
    context: Context, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = a_model(tmp_path / "other")
    config = (folder / "config.json").read_text().replace('"llama"', '"mixtral"')
    (folder / "config.json").write_text(config)
    made = ExportDialog(context, starting.look_at(folder, "other"))
    qtbot.addWidget(made)
    assert not made.target.option("gguf").isEnabled()
    assert "can't be written as GGUF here" in made.target.shown("gguf").why_not
    assert made.target.value() == "hf"


def test_every_control_of_the_dialog_can_be_read_named_and_reached(dialog: ExportDialog, qtbot: QtBot) -> None:
    dialog.more.open()
    qtbot.wait(50)
    assert cut_off(dialog) == []
    assert nameless(dialog) == []
    assert unreachable(dialog) == []


def test_the_models_page_exports_the_picked_model_and_says_why_an_adapter_is_not(
    context: Context, qtbot: QtBot, tmp_path: Path
) -> None:
    page = ModelsPage(context)
    qtbot.addWidget(page)
    page.show()
    page.opened(model=SAMPLE)
    qtbot.waitUntil(lambda: page.view.path() == SAMPLE, timeout=15_000)
    wishes: list[Wish] = []
    context.wished.connect(wishes.append)
    qtbot.mouseClick(page.hub, Qt.MouseButton.LeftButton)
    assert wishes[-1] == Wish("hub")
    button = next(one for one in page.detail.buttons if one.text() == "Export…")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.findChild(ExportDialog) is not None, timeout=10_000)
    opened = page.findChild(ExportDialog)
    assert opened is not None
    assert "Export stories-0.8M" in opened.head.whole()
    opened.reject()


# --- the result -------------------------------------------------------------------------------------------------------


def test_the_card_says_how_the_export_answers_and_what_it_saves(qtbot: QtBot, context: Context, tmp_path: Path) -> None:
    card = ExportCard()
    qtbot.addWidget(card)
    card.show_export(History(results=results(tmp_path / "student.gguf")))
    assert "3 of 4 answers equal the original's" in card.verdict.text()
    assert "near ties (the original hardly preferred its own token): 1." in card.verdict.text()
    assert "+0.18%" in card.verdict.text()
    facts = {fact.name: fact for part in card.facts.sections() for fact in part.facts}
    assert facts["Perplexity"].value == "3.412 → 3.418"
    assert facts["Size"].reason.startswith("27% of the original's")
    with qtbot.waitSignal(card.text_wanted, check_params_cb=lambda text: text.startswith("llama-cli -m ")):
        card.copy.click()
    with qtbot.waitSignal(card.folder_wanted, check_params_cb=lambda path: path == tmp_path):
        card.folder.click()
    card.show_export(History(results={"check": "written by another version"}))
    assert card.isHidden()


def test_answers_that_part_are_underlined_and_equal_ones_shown_once(
    qtbot: QtBot, context: Context, tmp_path: Path
) -> None:
    view = ComparedView()
    qtbot.addWidget(view)
    view.resize(700, 600)
    view.show()
    view.show_export(None)
    assert view.currentWidget() is view.nothing
    view.show_export(History(results=results(tmp_path / "student.gguf")))
    first, second = view.cards[:2]
    assert (first.state.text(), first.names[0].text()) == ("equal", "Both")
    assert not first.exported.isVisible()
    assert second.state.text() == "parts at a near tie"
    assert "underline" in second.exported.text()
    assert ">there was no wind.</span>" in second.exported.text()


def test_a_finished_export_is_shown_on_runs_and_a_failed_one_says_why(
    context: Context, qtbot: QtBot, home: Home
) -> None:
    good = export_run(home, SAMPLE, name="as gguf")
    bad = export_run(home, SAMPLE, name="wrong", state="failed")
    context.live.start()
    page = RunsPage(context)
    qtbot.addWidget(page)
    page.resize(1200, 720)
    page.show()
    page.opened(run=good.id)
    qtbot.waitUntil(lambda: page.detail.overview.export.isVisible(), timeout=10_000)
    assert page.detail.left.currentWidget() is page.detail.compared
    assert "Export · Finished" in page.detail.header.line.whole()
    page.opened(run=bad.id)
    qtbot.waitUntil(lambda: page.detail.overview.failure.isVisible(), timeout=10_000)
    assert not page.detail.overview.export.isVisible()


# --- what rounding does -----------------------------------------------------------------------------------------------


def test_rounding_is_shown_matrix_by_matrix_with_both_histograms(qtbot: QtBot, context: Context) -> None:
    lesson = RoundingDialog(SAMPLE, "stories-0.8M")
    qtbot.addWidget(lesson)
    lesson.show()
    qtbot.waitUntil(lambda: "matrices" in lesson.summary.text(), timeout=20_000)
    by_row = [look.relative_error for look in lesson.table.looks]
    assert len(by_row) > 5
    assert lesson.name.whole() == lesson.table.looks[0].name
    assert not lesson.progress.isVisible()
    lesson.view.sortByColumn(ERROR, Qt.SortOrder.DescendingOrder)
    shown = lesson.sorted.index(0, ERROR).data()
    assert shown == f"{max(by_row):.2%}"
    lesson.per.option("tensor").click()
    qtbot.waitUntil(lambda: "matrices" in lesson.summary.text(), timeout=20_000)
    assert sum(look.relative_error for look in lesson.table.looks) > sum(by_row)
    qtbot.wait(60)
    assert cut_off(lesson) == []
    assert nameless(lesson) == []


def test_the_lesson_says_why_weights_cannot_be_looked_at(qtbot: QtBot, context: Context, tmp_path: Path) -> None:
    lesson = RoundingDialog(tmp_path, "nothing")
    qtbot.addWidget(lesson)
    lesson.show()
    qtbot.waitUntil(lesson.trouble.isVisible, timeout=10_000)
    assert lesson.trouble.text()


def test_a_bin_is_read_out_by_the_keys(qtbot: QtBot, context: Context) -> None:
    chart = WeightHistogram()
    qtbot.addWidget(chart)
    chart.resize(500, 300)
    chart.show()
    chart.show_counts(1.0, [1, 5, 1], [0, 7, 0])
    assert "Of 3 bins that hold values, 2 are empty" in chart.accessibleDescription()
    with qtbot.waitSignal(chart.read_out, check_params_cb=lambda text: "5 values before, 7 after" in text):
        qtbot.keyClick(chart, Qt.Key.Key_Right)


# --- with a real engine -----------------------------------------------------------------------------------------------


@pytest.fixture
def window(home: Home, qapp: QApplication) -> Iterator[Window]:
    theme.apply(qapp, "light")
    made = Window(home)
    made.context.settings.on_close = "keep"
    made.context.settings.greeted = True
    made.show()
    made.context.live.start()
    made.context.shelf.refresh()
    yield made
    made.close()
    for run in list(runs.all_runs(home)):
        runs.discard(run)


@pytest.mark.slow
def test_the_sample_is_exported_by_clicks_and_answers_as_before(window: Window, qtbot: QtBot, home: Home) -> None:
    window.open(Wish("models", {"model": SAMPLE}))
    page = window.page()
    assert isinstance(page, ModelsPage)
    qtbot.waitUntil(lambda: page.view.path() == SAMPLE, timeout=15_000)
    next(one for one in page.detail.buttons if one.text() == "Export…").click()
    qtbot.waitUntil(lambda: page.findChild(ExportDialog) is not None, timeout=10_000)
    dialog = page.findChild(ExportDialog)
    assert dialog is not None
    qtbot.waitUntil(dialog.export.isEnabled, timeout=10_000)
    dialog.prompts.setPlainText("Once upon a time\nThe fox")
    qtbot.waitUntil(dialog.export.isEnabled, timeout=10_000)
    qtbot.mouseClick(dialog.export, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(window.page(), RunsPage), timeout=10_000)
    (run,) = runs.all_runs(home)
    assert isinstance(run.recipe(), ExportRecipe)
    shown = window.page()
    assert isinstance(shown, RunsPage)
    qtbot.waitUntil(lambda: run.state() in (State.FINISHED, State.FAILED), timeout=120_000)
    assert run.state() == State.FINISHED, run.log.read_text()
    qtbot.waitUntil(lambda: shown.detail.overview.export.isVisible(), timeout=15_000)
    assert (home.root / "exports" / "stories-0.8M-q8_0.gguf").is_file()
    assert (
        "of 2 answers" in shown.detail.overview.export.verdict.text()
        or "all 2" in shown.detail.overview.export.verdict.text()
    )
