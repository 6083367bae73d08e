"""The Merge page, by its widgets: trees are drawn, judged, undone, opened, saved, run and swept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from looking import cut_off, nameless
from made_up import a_model
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core import events as ev
from core import runs
from core.home import Home
from core.journal import JournalWriter
from core.library import Library
from core.merge.run import MergeRecipe
from core.merge.tree import RESULT, Edge, Tree
from core.state import State
from core.sweep import SweepRecipe
from desktop_app.context import Context, Wish
from desktop_app.merge.draft import Draft
from desktop_app.merge.items import HEIGHT, WIDTH
from desktop_app.merge.page import MergePage
from desktop_app.merge.sweep_chart import Point
from desktop_app.runs.page import RunsPage
from desktop_app.shell.window import Window

TIES = """\
name: inner
models:
  - model: a
    parameters: {weight: [0.2, 0.8]}
  - model: b
    parameters: {weight: 0.5, density: 0.4}
merge_method: ties
base_model: c
---
models:
  - model: inner
  - model: c
merge_method: slerp
base_model: inner
parameters:
  t: [{filter: mlp, value: 0.3}, {value: 0.6}]
dtype: bfloat16
"""


@pytest.fixture
def shelf(home: Home, tmp_path: Path) -> Path:
    """Three models of one shape, and a wider one."""
    folder = tmp_path / "models"
    for name in "abc":
        a_model(folder / name)
    a_model(folder / "wide", hidden_size=64)
    with Library(home) as library:
        library.add_folder(folder)
    return folder


@pytest.fixture
def page(context: Context, shelf: Path, qtbot: QtBot) -> MergePage:
    made = MergePage(context)
    qtbot.addWidget(made)
    made.resize(1190, 760)
    made.show()
    made.opened()
    qtbot.waitUntil(lambda: made.models.list.count() >= 4, timeout=10_000)
    return made


def put(page: MergePage, qtbot: QtBot, name: str) -> None:
    """From the list onto the canvas, by the keys."""
    page.models.search.setText(name)
    rows = [row for row in range(page.models.list.count()) if page.models.list.item(row).text().startswith(name)]
    page.models.list.setCurrentRow(rows[0])
    qtbot.keyClick(page.models.list, Qt.Key.Key_Return)
    page.models.search.clear()


def settled(page: MergePage, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: page.judgement is not None and page.judgement.root is not None, timeout=10_000)
    page.judgement = None
    page._judge()
    qtbot.waitUntil(lambda: page.judgement is not None, timeout=10_000)


def tied(page: MergePage, shelf: Path, qtbot: QtBot, *names: str) -> None:
    """A merge of these."""
    page.add_a_merge()
    for name in names:
        page.add_model(shelf / name)
    settled(page, qtbot)


def test_the_empty_canvas_says_what_will_come_and_begins_with_two_models_that_fit(
    page: MergePage, shelf: Path, qtbot: QtBot
) -> None:
    assert page.middle.currentWidget() is page.empty
    page.empty.acted.emit("two")
    settled(page, qtbot)
    assert page.start.isEnabled(), page.why_not()
    assert len(page.draft.inputs(RESULT)) == 2
    assert "Merge into" in page.start.text()
    made = page.judgement.made[RESULT]
    assert any("2 layers × 16 wide" in line for line in page.canvas.node(RESULT).face.lines), made


def test_models_come_by_the_keys_and_connect_to_the_merge_that_is_picked(
    page: MergePage, shelf: Path, qtbot: QtBot
) -> None:
    qtbot.mouseClick(page.models.merge, Qt.MouseButton.LeftButton)
    put(page, qtbot, "a")
    put(page, qtbot, "b")
    assert page.draft.inputs(RESULT) == [str(shelf / "a"), str(shelf / "b")]
    page.canvas.setFocus()
    qtbot.keyClick(page.canvas, Qt.Key.Key_Left)
    assert page.canvas.picked_key() in page.draft.models
    qtbot.keyClick(page.canvas, Qt.Key.Key_Delete)
    assert len(page.draft.inputs(RESULT)) == 1


def test_an_edge_is_drawn_with_the_mouse(page: MergePage, shelf: Path, qtbot: QtBot) -> None:
    page.add_model(shelf / "a")
    page.add_a_merge()
    page.canvas.show_all()
    source, target = page.canvas.node(str(shelf / "a")), page.canvas.node(RESULT)
    start, end = (page.canvas.mapFromScene(point) for point in (source.exit(), target.entry()))
    view = page.canvas.viewport()
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(view, end + QPoint(4, 0))
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=end)
    assert page.draft.inputs(RESULT) == [str(shelf / "a")]
    assert Edge(str(shelf / "a"), RESULT) in page.canvas._edges


def test_a_model_is_dragged_from_the_list_onto_the_empty_canvas_and_onto_a_place(
    page: MergePage, shelf: Path, qtbot: QtBot
) -> None:
    def drop(target: Any, name: str, where: QPointF) -> None:
        rows = [row for row in range(page.models.list.count()) if page.models.list.item(row).text().startswith(name)]
        data = page.models.list.mimeData([page.models.list.item(rows[0])])
        copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        target.dropEvent(QDropEvent(where, copy, data, left, none))

    drop(page, "a", QPointF(400, 400))
    assert page.draft.models == (str(shelf / "a"),)
    where = QPointF(page.canvas.viewport().width() - 60, 40)
    wanted = page.canvas.mapToScene(where.toPoint())
    drop(page.canvas, "b", where)
    at = page.draft.places[str(shelf / "b")]
    assert abs(at[0] + WIDTH / 2 - wanted.x()) < 2
    assert abs(at[1] + HEIGHT / 2 - wanted.y()) < 2


def test_an_input_that_does_not_fit_says_why_on_its_edge(page: MergePage, shelf: Path, qtbot: QtBot) -> None:
    tied(page, shelf, qtbot, "a", "wide")
    reason = page.canvas.edge(str(shelf / "wide"), RESULT).reason
    assert "64" in reason
    assert not page.start.isEnabled()
    assert reason in page.state.text()
    assert reason in page.start.toolTip()
    page.canvas.pick(RESULT)
    said = [label.text() for label in page.pane.form.findChildren(type(page.state)) if reason in label.text()]
    assert said


def test_everything_can_be_undone_and_done_again(page: MergePage, shelf: Path, qtbot: QtBot) -> None:
    tied(page, shelf, qtbot, "a", "b")
    whole = page.draft
    page.canvas.pick(RESULT)
    page.pane.method.choose("slerp")
    page.pane.method.chosen.emit("slerp")
    assert page.draft.merges[RESULT]["merge_method"] == "slerp"
    assert page.draft.merges[RESULT]["parameters"] == {"t": 0.5}
    page.canvas.setFocus()
    qtbot.keyClick(page.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert page.draft == whole
    qtbot.mouseClick(page.redo, Qt.MouseButton.LeftButton)
    assert page.draft.merges[RESULT]["merge_method"] == "slerp"
    while page.stack.canUndo():
        page.stack.undo()
    assert page.draft.empty
    assert page.middle.currentWidget() is page.empty


def test_a_parameter_is_set_in_the_pane_and_a_wrong_one_is_refused_beside_it(
    page: MergePage, shelf: Path, qtbot: QtBot
) -> None:
    from desktop_app.merge.values import ValueEdit

    page.merge_two()
    settled(page, qtbot)
    page.do(edit("slerp", lambda draft: draft.with_method(RESULT, "slerp")))
    page.canvas.pick(RESULT)
    t = next(one for one in page.pane.form.findChildren(ValueEdit) if one.parameter.name == "t")
    t.setFocus()
    t.selectAll()
    qtbot.keyClicks(t, "[0, 0.5, 1]")
    qtbot.keyClick(t, Qt.Key.Key_Return)
    assert page.draft.merges[RESULT]["parameters"]["t"] == [0, 0.5, 1]
    t.selectAll()
    qtbot.keyClicks(t, "1.5")
    qtbot.keyClick(t, Qt.Key.Key_Return)
    assert page.draft.merges[RESULT]["parameters"]["t"] == [0, 0.5, 1]
    assert t.property("problem")


def edit(words: str, change: Callable[[Draft], Draft]) -> Any:
    from desktop_app.merge.draft import Edit

    return Edit(words, change)


def test_a_recipe_file_is_opened_and_saved_without_loss(
    page: MergePage, shelf: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    file = shelf / "tree.yml"
    file.write_text(TIES, encoding="utf-8")
    page.open_file(file)
    qtbot.waitUntil(lambda: "inner" in page.draft.merges, timeout=10_000)
    settled(page, qtbot)
    assert page.start.isEnabled(), page.why_not()
    page.save_to(shelf / "again.yml")
    qtbot.waitUntil((shelf / "again.yml").is_file, timeout=10_000)
    raws = [document.raw for document in Tree.read((shelf / "again.yml").read_text()).documents]
    assert raws == [document.raw for document in Tree.read(TIES).documents]
    elsewhere = tmp_path / "elsewhere.yml"
    page.save_to(elsewhere)
    qtbot.waitUntil(elsewhere.is_file, timeout=10_000)
    assert {str(model) for model in Tree.read(elsewhere.read_text()).models()} == {str(shelf / name) for name in "abc"}


def test_text_is_applied_to_the_canvas_and_a_wrong_key_is_named(page: MergePage, shelf: Path, qtbot: QtBot) -> None:
    page.merge_two()
    settled(page, qtbot)
    page.areas.option("recipe").click()
    text = page.recipe.edit.toPlainText()
    page.recipe.edit.setPlainText(text.replace("merge_method: linear", "merge_method: linaer"))
    assert "Apply it" in page.why_not()
    qtbot.mouseClick(page.recipe.apply, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "Did you mean linear?" in page.recipe.problem.text(), timeout=10_000)
    page.recipe.edit.setPlainText(text.replace("merge_method: linear", "merge_method: karcher"))
    qtbot.mouseClick(page.recipe.apply, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.draft.merges[RESULT]["merge_method"] == "karcher", timeout=10_000)
    assert not page.recipe.changed


def test_a_merge_of_merges_is_a_tree_and_a_circle_is_refused(page: MergePage, shelf: Path, qtbot: QtBot) -> None:
    tied(page, shelf, qtbot, "a", "b")
    page.add_a_merge()
    outer = page.canvas.picked_key()
    page.add_model(shelf / "c")
    page.canvas.connected.emit(RESULT, outer)
    inner = next(key for key in page.draft.merges if key != outer)
    assert page.draft.inputs(outer) == [str(shelf / "c"), inner]
    before = page.draft
    page.canvas.connected.emit(outer, inner)
    assert page.draft == before
    settled(page, qtbot)
    assert page.start.isEnabled(), page.why_not()
    assert page.judgement.root == outer


def test_nothing_is_cut_off_and_every_control_has_a_name(page: MergePage, shelf: Path, qtbot: QtBot) -> None:
    page.merge_two()
    settled(page, qtbot)
    for area in ("tree", "recipe", "sweep"):
        page.areas.option(area).click()
        qtbot.wait(50)
        assert cut_off(page) == []
        assert nameless(page) == []


def test_the_points_of_a_sweep_become_a_curve_with_its_best(
    context: Context, page: MergePage, home: Home, qtbot: QtBot
) -> None:
    run = a_sweep(home, {(share,): 0.7 - 0.2 * share * (1 - share) for share in (0.0, 0.5, 1.0)})
    context.live.start()
    qtbot.waitUntil(lambda: any(row.id == run for row in context.live.rows), timeout=10_000)
    page.areas.option("sweep").click()
    chart = page.sweep.view.chart
    qtbot.waitUntil(lambda: len(chart.swept.points) == 3, timeout=10_000)
    assert chart.swept.best() == Point((0.5,), pytest.approx(0.65))
    assert "0.650" in page.sweep.view.readout.text()
    chart.setFocus()
    qtbot.keyClick(chart, Qt.Key.Key_Right)
    assert "mix 0:" in page.sweep.view.readout.text()


def a_sweep(home: Home, scores: dict[tuple[float, ...], float], axes: tuple[str, ...] = ("mix",)) -> str:
    """The run folder of a sweep with these scores."""
    along = tuple(f"{name}=0:1:0.5" for name in axes)
    run = runs.new_run(home, SweepRecipe(name="a sweep", text="x", folder="/", along=along, data=("/x.txt",)))
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunStarted("cpu", 4242, 0.0, versions={}))
        for number, (at, score) in enumerate(scores.items()):
            metrics = {**dict(zip(axes, at, strict=True)), "bits_per_byte": score, "ce": score, "perplexity": 2.0}
            journal.append(ev.EvaluationLogged(number, 0, "merge", metrics))
        journal.append(ev.RunStopped(0))
    return run.id


# --- a real one


@pytest.fixture
def window(home: Home, qapp: QApplication) -> Iterator[Window]:
    made = Window(home)
    made.context.settings.on_close = "keep"
    made.context.settings.greeted = True
    made.show()
    made.context.live.start()
    yield made
    made.close()
    for run in list(runs.all_runs(home)):
        if run.lock_held() or run.position() is not None:
            runs.discard(run)


@pytest.mark.slow
def test_from_two_models_over_the_button_to_a_merged_one(window: Window, shelf: Path, home: Home, qtbot: QtBot) -> None:
    from tests.core.test_merge_tree import write_model

    for name in "de":
        write_model(shelf / name)
    window.context.shelf.refresh()
    qtbot.waitUntil(lambda: window.context.shelf.entry(shelf / "e") is not None, timeout=20_000)
    window.open(Wish("merge"))
    page = window.page()
    assert isinstance(page, MergePage)
    page.add_a_merge()
    put(page, qtbot, "d")
    put(page, qtbot, "e")
    qtbot.waitUntil(page.start.isEnabled, timeout=20_000)
    qtbot.mouseClick(page.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(window.page(), RunsPage), timeout=20_000)
    (run,) = runs.all_runs(home)
    assert isinstance(run.recipe(), MergeRecipe)
    qtbot.waitUntil(lambda: run.state().ended, timeout=120_000)
    assert run.state() is State.FINISHED, run.history().failure
    card = window.page().detail.overview.merge
    qtbot.waitUntil(lambda: not card.isHidden() and card.show_button.isEnabled(), timeout=20_000)
    model = Path(run.history().results["model"])
    window.context.shelf.refresh()
    qtbot.waitUntil(lambda: window.context.shelf.entry(model) is not None, timeout=20_000)
    qtbot.mouseClick(card.show_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.page().name == "models", timeout=10_000)
