"""The Runs page, clicked: the list stays as the user left it, actions do what they say, deleting can be undone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import Alive
from PySide6.QtCore import QCoreApplication, QEvent, QItemSelectionModel, QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QDropEvent, QGuiApplication, QTextCursor, QTextDocument
from PySide6.QtWidgets import QApplication, QLineEdit, QMessageBox
from pytestqt.qtbot import QtBot

from core import runs, trash
from core.run_summary import RunSummary
from core.runs import RunFolder
from desktop_app.context import Context, Message, Wish
from desktop_app.runs.dialogs import TagsDialog
from desktop_app.runs.page import RunsPage
from desktop_app.runs.search import matches
from desktop_app.runs.table import Column, RunsModel, RunsOrder

Fake = Callable[..., RunFolder]


class Opened:
    """A page on screen, and what it said and wished for."""

    def __init__(self, context: Context, qtbot: QtBot) -> None:
        self.context, self.qtbot = context, qtbot
        self.said: list[Message] = []
        self.wished: list[Wish] = []
        context.said.connect(self.said.append)
        context.wished.connect(self.wished.append)
        self.page = RunsPage(context)
        self.page.resize(1200, 760)
        self.page.show()
        self.page.activateWindow()
        self.page.opened()

    def names(self) -> list[str]:
        order = self.page.order
        return [order.index(at, Column.NAME).data() for at in range(order.rowCount())]

    def wait_for(self, count: int) -> None:
        """Have so many runs in the list. The first look at the folders is now, when they are whole."""
        self.context.live.start()
        self.qtbot.waitUntil(lambda: self.page.model.rowCount() == count)

    def pick(self, run: RunFolder | str) -> None:
        assert self.page.table.pick(run if isinstance(run, str) else run.id)

    def state(self, run: RunFolder) -> str:
        row = self.page.model.row_of(run.id)
        return row.state if row else "gone"

    def click(self, name: str) -> None:
        self.qtbot.mouseClick(self.page.buttons[name], Qt.MouseButton.LeftButton)

    def answer(self, text: str) -> str:
        """Press a button of the question that is open; returns what it says."""
        box = self.page.findChild(QMessageBox)
        assert box is not None
        words = f"{box.text()} {box.informativeText()}"
        button = next(one for one in box.buttons() if one.text() == text)
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        return words


@pytest.fixture
def opened(context: Context, qtbot: QtBot) -> Iterator[Callable[[], Opened]]:
    made: list[Opened] = []

    def make() -> Opened:
        made.append(Opened(context, qtbot))
        return made[-1]

    yield make
    for one in made:
        one.page.left()
        one.page.close()
        one.page.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)  # what is left would be dressed anew each time


@pytest.fixture(autouse=True)
def no_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started here: what waits goes on waiting."""
    monkeypatch.setattr("core.runner.ensure_runner", lambda home: None)


def test_without_runs_the_page_says_what_will_come_and_offers_the_way(
    opened: Callable[[], Opened], qtbot: QtBot
) -> None:
    one = opened()
    assert one.page.empty.title.text() == "Looking for runs…"
    one.wait_for(0)
    qtbot.waitUntil(lambda: one.page.empty.title.text() == "No runs yet.")
    button = next(b for b in one.page.empty.findChildren(type(one.page.remove)) if b.text() == "Distill the sample")
    with qtbot.waitSignal(one.page.context.sample_wanted):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_alive_and_waiting_runs_stand_above_the_others_in_the_order_of_the_queue(
    opened: Callable[[], Opened], fake_run: Fake, alive: Callable[..., Alive]
) -> None:
    one = opened()
    fake_run(one.context.home, name="old")
    time.sleep(0.01)
    fake_run(one.context.home, name="new")
    alive(name="living")
    for name in ("first", "second"):
        fake_run(one.context.home, name=name, state="queued")
    one.wait_for(5)
    assert one.names() == ["living", "first", "second", "new", "old"]
    assert one.page.order.index(1, Column.PROGRESS).data() == "next"
    assert one.page.order.index(2, Column.PROGRESS).data() == "1 before it"


def test_live_news_leaves_selection_sorting_and_scrolling_alone(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot, alive: Callable[..., Alive]
) -> None:
    one = opened()
    many = [fake_run(one.context.home, name=f"run {number:02}", steps=2) for number in range(20)]
    living = alive(name="living", steps=10)
    one.wait_for(21)
    table = one.page.table
    table.horizontalHeader().setSortIndicator(Column.NAME, Qt.SortOrder.AscendingOrder)
    one.pick(many[12])
    table.selectionModel().select(
        one.page.order.mapFromSource(one.page.model.index_of(many[13].id)),
        QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows,
    )
    before = table.verticalScrollBar().value()
    assert before > 0
    living.step(10)
    fake_run(one.context.home, name="run 00 b", steps=2)
    one.wait_for(22)
    qtbot.waitUntil(lambda: one.page.model.row_of(living.run.id).step == 20)  # type: ignore[union-attr]
    assert table.current() == many[12].id
    assert [row.id for row in table.chosen()] == [many[12].id, many[13].id]
    assert one.names()[1:4] == ["run 00", "run 00 b", "run 01"]
    assert table.verticalScrollBar().value() == before + table.rowHeight(0)  # the new one came above


def test_words_in_the_filter_must_all_be_found(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    fake_run(one.context.home, name="wide student", tags=("night",))
    fake_run(one.context.home, name="wide failure", state="failed")
    fake_run(one.context.home, name="narrow")
    one.wait_for(3)
    qtbot.keyClick(one.page.table, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(one.page.filter.hasFocus)
    for text, expected in (
        ("wide", {"wide student", "wide failure"}),
        ("wide state:fail", {"wide failure"}),
        ("NIGHT", {"wide student"}),
        ("tag:nig teacher:stories", {"wide student"}),
    ):
        one.page.filter.setText(text)
        assert set(one.names()) == expected
        assert one.page.table.current()
    assert one.page.count.text() == "1 of 3"
    one.page.filter.setText("zebra")
    assert one.page.nothing.title.text() == "No run has “zebra”."
    one.page.nothing.acted.emit("clear")
    assert len(one.names()) == 3
    assert one.page.table.current()


def test_a_colon_in_an_unknown_place_is_a_word_like_others() -> None:
    row = RunSummary("1", "distill", "ratio 2:1", "finished")
    assert matches(row, "2:1")
    assert not matches(row, "state:2:1")


def test_f2_renames_and_the_run_folder_remembers(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    run = fake_run(one.context.home, name="before")
    one.wait_for(1)
    one.pick(run)
    qtbot.keyClick(one.page.table, Qt.Key.Key_F2)
    editor = next(e for e in one.page.table.viewport().findChildren(QLineEdit) if e.isVisible())
    editor.setText("after")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert one.names() == ["after"]
    qtbot.waitUntil(lambda: run.meta()["name"] == "after")
    qtbot.waitUntil(lambda: one.page.detail.header.name.whole() == "after")


def test_tags_of_several_runs_are_set_at_once_and_those_of_some_stay(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    a = fake_run(one.context.home, name="a", tags=("night", "old"))
    b = fake_run(one.context.home, name="b", tags=("night",))
    one.wait_for(2)
    one.page.table.selectAll()
    one.page.perform("tags")
    dialog = one.page.findChild(TagsDialog)
    assert dialog is not None
    items = {dialog.list.item(at).text(): dialog.list.item(at) for at in range(dialog.list.count())}
    assert items["old"].checkState() is Qt.CheckState.PartiallyChecked
    items["night"].setCheckState(Qt.CheckState.Unchecked)
    dialog.new.setText("best, of all")
    dialog.accept()
    qtbot.waitUntil(lambda: a.meta()["tags"] == ["old", "best", "of all"])
    qtbot.waitUntil(lambda: b.meta()["tags"] == ["best", "of all"])


def test_deleted_runs_come_back_with_undo(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    gone = [fake_run(one.context.home, name=name, steps=3) for name in ("a", "b")]
    fake_run(one.context.home, name="stays", steps=3)
    one.wait_for(3)
    one.pick(gone[0])
    one.page.table.selectionModel().select(
        one.page.order.mapFromSource(one.page.model.index_of(gone[1].id)),
        QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows,
    )
    qtbot.keyClick(one.page.table, Qt.Key.Key_Delete)
    one.wait_for(1)
    assert one.said[-1].text == "2 runs are in the trash."
    assert {thrown.id for thrown in trash.contents(one.context.home)} == {run.id for run in gone}
    qtbot.waitUntil(lambda: one.page.table.current() != "")  # another one is picked
    undo = one.said[-1].action
    assert undo is not None
    undo()
    one.wait_for(3)
    assert all(run.journal.exists() for run in gone)


def test_deleting_a_teacher_of_other_runs_asks_first(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    teacher = fake_run(one.context.home, name="the teacher", steps=3)
    fake_run(one.context.home, name="its pupil", teacher=str(teacher.artifacts / "student"), steps=3)
    one.wait_for(2)
    one.pick(teacher)
    qtbot.mouseClick(one.page.remove, Qt.MouseButton.LeftButton)
    assert "used by “its pupil”" in one.answer("Cancel")
    assert teacher.path.exists()
    qtbot.mouseClick(one.page.remove, Qt.MouseButton.LeftButton)
    one.answer("Move to the trash")
    one.wait_for(1)


def test_a_living_run_is_stopped_or_discarded_but_never_deleted(
    opened: Callable[[], Opened], qtbot: QtBot, alive: Callable[..., Alive]
) -> None:
    one = opened()
    living = alive(name="living", steps=10)
    one.wait_for(1)
    one.pick(living.run)
    qtbot.keyClick(one.page.table, Qt.Key.Key_Delete)
    assert "alive can't be deleted" in one.said[-1].text
    assert one.page.remove.text() == "Discard…"
    qtbot.mouseClick(one.page.remove, Qt.MouseButton.LeftButton)
    assert "Step 10 of 400 is done." in one.answer("Stop and keep")
    qtbot.waitUntil(lambda: living.run.stop_request.exists())
    assert living.run.stop_request.read_text() == "keep"
    qtbot.waitUntil(lambda: one.state(living.run) == "stopping")
    assert not one.page.buttons["stop"].isEnabled()
    assert one.page.buttons["stop"].toolTip() == "It is stopping already."


def test_a_discarded_run_is_gone(opened: Callable[[], Opened], qtbot: QtBot, alive: Callable[..., Alive]) -> None:
    one = opened()
    living = alive(name="living", steps=10)
    one.wait_for(1)
    one.pick(living.run)
    qtbot.mouseClick(one.page.remove, Qt.MouseButton.LeftButton)
    living.release()  # as an engine that heeds the wish
    one.answer("Discard")
    one.wait_for(0)
    assert not living.run.path.exists()


def test_a_run_that_finishes_while_the_question_is_open_goes_to_the_trash_and_comes_back(
    opened: Callable[[], Opened], qtbot: QtBot, alive: Callable[..., Alive]
) -> None:
    one = opened()
    living = alive(name="living", steps=10)
    one.wait_for(1)
    one.pick(living.run)
    qtbot.mouseClick(one.page.remove, Qt.MouseButton.LeftButton)
    living.finish()
    one.answer("Discard")
    qtbot.waitUntil(lambda: "had ended meanwhile" in one.said[-1].text)
    one.wait_for(0)
    undo = one.said[-1].action
    assert undo is not None
    undo()
    one.wait_for(1)
    assert one.state(living.run) == "finished"


def test_of_several_brought_back_one_that_is_refused_does_not_hold_the_others(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    home = one.context.home
    a, b, c = (fake_run(home, name=name, steps=3) for name in "abc")
    thrown = [trash.throw_away(home, run) for run in (a, b, c)]
    a.path.mkdir()
    one.wait_for(0)
    one.page.run_actions.bring_back(thrown)
    one.wait_for(2)
    assert one.said[-1].level == "error"
    assert one.said[-1].text.startswith("2 runs are back. Run ")
    assert a.id in one.said[-1].text


def test_a_refused_name_does_not_stay_in_the_table(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    run = fake_run(one.context.home, name="before")
    one.wait_for(1)
    before = one.names()
    run.meta_file.write_text("{")
    assert one.page.model.setData(one.page.model.index_of(run.id), "after")
    qtbot.waitUntil(lambda: any("can't be read" in message.text for message in one.said))
    assert "after" not in one.names()
    assert before == ["before"]


def test_a_filter_that_hides_every_run_shows_none_below(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    fake_run(one.context.home, name="one", steps=3)
    one.wait_for(1)
    one.page.filter.setText("zebra")
    assert not one.page.detail.isVisible()
    fake_run(one.context.home, name="two", steps=3)
    one.wait_for(2)
    assert not one.page.detail.isVisible()
    one.page.filter.clear()
    assert one.page.detail.isVisible()


def test_stopped_runs_are_resumed_and_waiting_ones_taken_out(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    run = fake_run(one.context.home, state="stopped", steps=5)
    one.wait_for(1)
    one.pick(run)
    assert one.page.buttons["stop"].toolTip() == "It has ended already."
    one.click("resume")
    qtbot.waitUntil(lambda: one.state(run) == "queued")
    assert one.page.detail.header.act.text() == "Take out of the queue"
    qtbot.mouseClick(one.page.detail.header.act, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: one.state(run) == "stopped")


def test_run_again_makes_a_run_of_the_same_recipe_and_picks_it(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot, tmp_path: Path
) -> None:
    one = opened()
    text, teacher = tmp_path / "text.txt", tmp_path / "teacher"
    text.write_text("Once.")
    teacher.mkdir()
    run = fake_run(one.context.home, name="mine", data=(str(text),), teacher=str(teacher), steps=3)
    one.wait_for(1)
    one.pick(run)
    one.click("again")
    one.wait_for(2)
    qtbot.waitUntil(lambda: one.page.table.current() not in ("", run.id))
    again = runs.find_run(one.context.home, one.page.table.current())
    assert again.recipe() == run.recipe()
    assert again.meta()["made_from"] == run.id
    assert one.state(again) == "queued"


def test_run_again_says_what_is_missing_now(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    fake_run(one.context.home, steps=3)
    one.wait_for(1)
    one.page.table.pick_first()
    one.click("again")
    qtbot.waitUntil(lambda: any("There is no folder /models/stories-5M" in m.text for m in one.said))


def test_duplicate_and_edit_opens_the_plan_with_the_recipe(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    run = fake_run(one.context.home, steps=3)
    one.wait_for(1)
    one.pick(run)
    one.click("edit")
    qtbot.waitUntil(lambda: one.wished != [])
    assert one.wished == [Wish("plan", {"recipe": run.recipe()})]


def test_the_queue_is_reordered_by_keys_and_by_drag(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    home, table = one.context.home, one.page.table
    waiting = [fake_run(home, name=name, state="queued") for name in ("a", "b", "c")]
    done = fake_run(home, name="done", steps=3)
    one.wait_for(4)
    one.pick(waiting[2])
    qtbot.keyClick(table, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: one.names() == ["a", "c", "b", "done"])
    row = table.visualRect(one.page.order.index(0, Column.NAME))
    dropped = drop(one, waiting[1], QPoint(row.center().x(), row.top() + 2))
    assert dropped.isAccepted()
    qtbot.waitUntil(lambda: one.names() == ["b", "a", "c", "done"])
    assert [run.id for run in runs.queue(home)] == [waiting[1].id, waiting[0].id, waiting[2].id]
    assert table.place_of_drop(done.id, QPoint(5, 5)) is None
    assert table.place_of_drop(waiting[1].id, table.visualRect(one.page.order.index(3, 2)).center()) == 2


def drop(one: Opened, run: RunFolder, at: QPoint) -> QDropEvent:
    index = one.page.order.mapFromSource(one.page.model.index_of(run.id))
    data: QMimeData = one.page.order.mimeData([index])
    event = QDropEvent(
        QPointF(at), Qt.DropAction.MoveAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    one.page.table.dropEvent(event)
    return event


def test_ticked_runs_are_overlaid_and_followed(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    a, b, c = (fake_run(one.context.home, name=name, steps=20) for name in "abc")
    one.wait_for(3)
    one.pick(a)
    assert one.page.detail.drawn() == [a.id]
    for run in (b, c):
        cell = one.page.order.mapFromSource(one.page.model.index_of(run.id, Column.TICK))
        rect = one.page.table.visualRect(cell)
        qtbot.mouseClick(one.page.table.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())
    assert one.page.detail.drawn() == [b.id, c.id]
    qtbot.waitUntil(lambda: {b.id, c.id} <= one.context.live.pictures.keys())
    one.pick(a)
    qtbot.keyClick(one.page.table, Qt.Key.Key_Space)
    assert one.page.detail.drawn() == [b.id, c.id, a.id]
    qtbot.mouseClick(one.page.detail.untick, Qt.MouseButton.LeftButton)
    assert one.page.detail.drawn() == [a.id]


def test_the_detail_follows_the_run(opened: Callable[[], Opened], qtbot: QtBot, alive: Callable[..., Alive]) -> None:
    one = opened()
    living = alive(name="living", steps=41)
    one.wait_for(1)
    detail = one.page.detail
    qtbot.waitUntil(lambda: "step 41/400" in detail.header.line.whole())
    assert "Training" in detail.header.line.whole()
    assert "8." in detail.header.line.whole()
    assert [sample.step for sample in detail.samples.samples()] == [40]
    living.step(40)
    qtbot.waitUntil(lambda: "step 81/400" in detail.header.line.whole())
    assert detail.samples.toPlainText().startswith("Step 80")
    living.finish()
    qtbot.waitUntil(lambda: detail.header.line.whole().startswith("Finished"))
    qtbot.waitUntil(lambda: detail.overview.results.title.text() == "Results")
    qtbot.waitUntil(lambda: not detail.overview.results.teacher.isHidden())
    qtbot.mouseClick(detail.overview.results.teacher, Qt.MouseButton.LeftButton)
    assert one.wished == [Wish("plan", {"teacher": living.run.artifacts / "student"})]


def test_choices_stand_with_their_reasons(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    fake_run(one.context.home, steps=20)
    one.wait_for(1)
    facts = one.page.detail.overview.facts
    qtbot.waitUntil(lambda: any(section.title == "On disk" for section in facts.sections()))
    found = {fact.name: fact for section in facts.sections() for fact in section.facts}
    assert found["Precision"].value == "float32"
    assert found["Precision"].reason == "the CPU has no fast bfloat16"
    assert found["Teacher"].value == "5M parameters, 2.5 times the student"
    assert found["Torch"].value == "2.13.0"


def test_a_failure_says_what_happened_and_the_way_out(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    fake_run(one.context.home, state="failed", steps=20)
    one.wait_for(1)
    card = one.page.detail.overview.failure
    qtbot.waitUntil(lambda: not card.isHidden())
    assert card.what.text() == "The loss is not a number. It was at step 20."
    assert card.way_out.text() == "Lower the learning rate."
    assert card.details.isHidden() or not card.details.isVisible()
    qtbot.mouseClick(card.more.button, Qt.MouseButton.LeftButton)
    assert "ValueError: nan" in card.details.toPlainText()
    assert "The loss is not a number." in one.page.detail.header.line.whole()


def test_a_crash_says_which_checkpoint_is_whole(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    fake_run(one.context.home, state="crashed", steps=25, planned=100)
    one.wait_for(1)
    card = one.page.detail.overview.failure
    qtbot.waitUntil(lambda: "checkpoint of step 20 is whole" in card.way_out.text())


def test_a_folder_edited_by_hand_is_shown_with_a_notice(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    run = fake_run(one.context.home, name="<b>edited</b>", steps=5)
    run.recipe_file.write_text('{"kind": "distill", "student": 3, "moon": "full"}')
    with run.journal.open("a") as journal:
        journal.write('not json\n{"seq":900,"time":1,"kind":"from_the_future","x":[1]}\n[]\n')
        journal.write('{"seq":901,"time":1,"kind":"sample_written","step":5,"prompt":"","text":"<img src=x>\\u0007"}\n')
        journal.write('{"seq":902,"time":1,"kind":"choice_made","name":"odd","value":{"a":[1]},"reason":7}\n')
        journal.write('{"seq":903,"time":1,"kind":"run_finished","results":{"after":{"ce":"low"},"skills":[1]}}\n')
    one.wait_for(1)
    detail = one.page.detail
    qtbot.waitUntil(lambda: any("2 lines of its journal" in text for text in detail.overview.notices.texts()))
    qtbot.waitUntil(lambda: "moon" in detail.recipe.problem.text())
    assert detail.header.name.text() == "<b>edited</b>"
    assert "<img src=x>" in detail.samples.toPlainText()
    assert not detail.recipe.save.isEnabled()
    assert detail.recipe.tree.topLevelItem(0).text(0) == "As it is in the file"


def test_the_recipe_is_saved_to_a_file_that_opens_again(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot, tmp_path: Path
) -> None:
    one = opened()
    run = fake_run(one.context.home, steps=3)
    one.wait_for(1)
    qtbot.waitUntil(lambda: one.page.detail.recipe.save.isEnabled())
    one.page.detail.recipe.save_to(tmp_path / "mine.json")
    qtbot.waitUntil(lambda: any("mine.json" in message.text for message in one.said))
    assert json.loads((tmp_path / "mine.json").read_text()) == run.recipe().model_dump(mode="json")


def test_lineage_shows_teacher_student_and_what_came_of_it(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    run = fake_run(one.context.home, name="mine", steps=3)
    fake_run(one.context.home, name="pupil", teacher=str(run.artifacts / "student"), steps=3)
    one.wait_for(2)
    one.pick(run)
    lineage = one.page.detail.lineage
    one.page.detail.tabs.setCurrentWidget(lineage)
    qtbot.waitUntil(lambda: len(lineage.members()) == 4)
    assert [member.kind for member in lineage.members()] == ["teacher", "run", "student", "run"]
    boxes = lineage.tree.boxes
    assert not boxes[0].isEnabled()
    assert "not on this machine" in boxes[0].accessibleName()
    qtbot.mouseClick(boxes[2], Qt.MouseButton.LeftButton)
    assert one.wished[-1] == Wish("models", {"model": run.artifacts / "student"})
    qtbot.mouseClick(boxes[3], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: one.page.detail.header.name.whole() == "pupil")


def test_the_log_is_followed_and_copied(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    run = fake_run(one.context.home, steps=3)
    run.log.write_text("one\n10%\r20%\r\ntwo\n")
    one.wait_for(1)
    log = one.page.detail.log
    one.page.detail.tabs.setCurrentWidget(log)
    qtbot.waitUntil(lambda: "two" in log.text.toPlainText())
    assert log.text.toPlainText() == "one\n20%\ntwo\n"
    with run.log.open("a") as stream:
        stream.write("\n".join(f"line {number}" for number in range(300)))
    qtbot.waitUntil(lambda: "line 299" in log.text.toPlainText())
    assert log.text.verticalScrollBar().value() == log.text.verticalScrollBar().maximum()
    qtbot.mouseClick(log.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text().endswith("line 299")


def test_what_is_selected_in_the_log_stays_selected_as_lines_come(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    run = fake_run(one.context.home, steps=3)
    run.log.write_text("𝄞 one\ntwo\n10%", encoding="utf-8")
    one.wait_for(1)
    log = one.page.detail.log
    one.page.detail.tabs.setCurrentWidget(log)
    qtbot.waitUntil(lambda: "10%" in log.text.toPlainText())
    assert log.text.find("two", QTextDocument.FindFlag.FindBackward) or log.text.find("two")
    with run.log.open("a", encoding="utf-8") as stream:
        stream.write("\r20%\nthree\n")
    log.look()
    qtbot.waitUntil(lambda: log.text.toPlainText() == "𝄞 one\ntwo\n20%\nthree\n")
    assert log.text.textCursor().selectedText() == "two"
    log.text.selectAll()
    run.log.write_text("anew\n", encoding="utf-8")
    log.look()
    qtbot.wait(200)
    assert "three" in log.text.textCursor().selectedText()
    log.text.moveCursor(QTextCursor.MoveOperation.Start)
    log.look()
    qtbot.waitUntil(lambda: log.text.toPlainText() == "anew\n")


def test_the_page_opens_at_a_run_even_one_that_is_not_listed_yet(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    fake_run(one.context.home, name="other", steps=3)
    one.wait_for(1)
    one.page.filter.setText("other")
    wanted = fake_run(one.context.home, name="wanted", steps=3)
    one.page.opened(run=wanted.id)
    qtbot.waitUntil(lambda: one.page.table.current() == wanted.id)
    assert one.page.filter.text() == ""
    one.page.opened(runs=[wanted.id])
    assert one.page.model.ticked == [wanted.id]


def test_a_run_removed_from_outside_leaves_the_list_and_another_is_picked(
    opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot
) -> None:
    one = opened()
    fake_run(one.context.home, name="stays", steps=3)
    gone = fake_run(one.context.home, name="goes", steps=3)
    one.wait_for(2)
    one.pick(gone)
    one.page.model.set_ticked([gone.id])
    runs.remove_folder(gone)
    one.wait_for(1)
    assert one.page.model.ticked == []
    qtbot.waitUntil(lambda: one.page.detail.header.name.whole() == "stays")


def test_a_page_off_screen_watches_nothing(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    fake_run(one.context.home, steps=3)
    one.wait_for(1)
    qtbot.waitUntil(lambda: len(one.context.live.pictures) == 1)
    one.page.left()
    assert one.context.live.pictures == {}


def test_widths_and_sorting_are_remembered(opened: Callable[[], Opened], context: Context, fake_run: Fake) -> None:
    fake_run(context.home, name="b", steps=3)
    fake_run(context.home, name="a", steps=3)
    first = opened()
    first.wait_for(2)
    header = first.page.table.horizontalHeader()
    header.resizeSection(Column.PAIR, 222)
    header.setSortIndicator(Column.NAME, Qt.SortOrder.AscendingOrder)
    first.page._remember()
    first.page.left()
    second = opened()
    second.wait_for(2)
    assert second.page.table.horizontalHeader().sectionSize(Column.PAIR) == 222
    assert second.names() == ["a", "b"]


def test_every_command_says_why_it_can_not_be_done(opened: Callable[[], Opened], fake_run: Fake) -> None:
    one = opened()
    commands = {command.name: command for command in one.page.commands()}
    assert commands["runs.stop"].why_not() == "Pick a run first."
    fake_run(one.context.home, steps=3)
    one.wait_for(1)
    assert commands["runs.stop"].why_not() == "It has ended already."
    assert commands["runs.again"].why_not() == ""
    assert commands["runs.up"].why_not() == "It does not wait in the queue."


def test_every_control_has_a_name(opened: Callable[[], Opened], fake_run: Fake, qtbot: QtBot) -> None:
    one = opened()
    fake_run(one.context.home, steps=3)
    one.wait_for(1)
    page = one.page
    for button in (*page.buttons.values(), page.remove, page.more):
        assert button.accessibleName()
        assert button.isEnabled() or button.toolTip()
    for widget in (page.table, page.filter, page.detail.tabs, page.detail.log.text, page.detail.recipe.tree):
        assert widget.accessibleName()
    index = page.order.index(0, Column.CURVE)
    assert "loss from" in index.data(Qt.ItemDataRole.AccessibleTextRole)


@pytest.mark.parametrize("sort", [-1, Column.PROGRESS, Column.NAME])
def test_two_hundred_rows_take_the_news_of_ten_in_a_moment(qapp: QApplication, sort: int) -> None:
    rows = [summary(number) for number in range(200)]
    model = RunsModel()
    order = RunsOrder(model)
    model.take(rows)
    order.sort(sort)
    changed: list[Any] = []
    model.dataChanged.connect(lambda first, last, _: changed.append((first.row(), first.column())))
    slowest = 0.0
    for tick in range(1, 11):
        rows = [
            replace(row, step=tick, share=tick / 100, spark=(4.0, 4.0 - tick / 10)) if at < 10 else replace(row)
            for at, row in enumerate(rows)
        ]
        changed.clear()
        begin = time.perf_counter()
        model.take(rows)
        slowest = max(slowest, time.perf_counter() - begin)
        assert {row for row, _ in changed} == set(range(10))
    assert slowest < 0.05


def summary(number: int) -> RunSummary:
    alive = number < 10
    return RunSummary(
        f"{number:03}", "distill", f"run {number % 7}", "running" if alive else "finished", created=1e9 + number, started=1e9 + number,
        teacher="/models/t", student="0.4x", share=None if alive else 1.0, step=0, steps=100, last_loss=1.0 + number % 5, spark=(4.0, 3.0),
    )  # fmt: skip
