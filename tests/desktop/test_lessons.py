"""Runs of every kind on the Runs page: how they learn, what came of them, pilots judged, launched elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from looking import cut_off, nameless
from made_up import Alive
from made_up_lessons import a_cache, a_pilot, cache_run, chain_run, lesson_run, write_run
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from core.cache import FOUND_AGAIN
from core.distill import DistillRecipe
from core.runs import RunFolder
from desktop_app.context import Context, Message, Wish
from desktop_app.runs.launching import LaunchDialog
from desktop_app.runs.page import RunsPage

Fake = Callable[..., RunFolder]


class Opened:
    """A Runs page on screen at one run, and what it said and wished for."""

    def __init__(self, context: Context, qtbot: QtBot) -> None:
        self.context, self.qtbot, self.home = context, qtbot, context.home
        self.said: list[Message] = []
        self.wished: list[Wish] = []
        context.said.connect(self.said.append)
        context.wished.connect(self.wished.append)
        self.page = RunsPage(context)
        self.page.resize(1200, 760)

    def at(self, run: RunFolder) -> None:
        self.page.show()
        self.page.opened(run=run.id)
        self.context.live.start()
        self.until(lambda: self.page.table.current() == run.id)
        self.until(lambda: self.page.detail._dossier is not None and run.id in self.context.live.pictures)

    def until(self, true: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(true, timeout=15_000)

    def click(self, button: QAbstractButton) -> None:
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def facts(self) -> dict[str, tuple[str, str]]:
        sections = self.page.detail.overview.facts.sections()
        return {fact.name: (fact.value, fact.reason) for section in sections for fact in section.facts}


@pytest.fixture
def opened(context: Context, qtbot: QtBot) -> Iterator[Opened]:
    made = Opened(context, qtbot)
    yield made
    made.page.left()
    made.page.close()
    made.page.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_a_run_says_its_objective_source_and_which_answers_it_found_again(opened: Opened) -> None:
    cache = a_cache(opened.home, "answers-k50")
    run = lesson_run(opened.home, source="cache", objective="jsd", cache=(str(cache), FOUND_AGAIN), steps=12)
    opened.at(run)
    opened.until(lambda: "26 kB" in opened.facts().get("Cached answers", ("", ""))[0])
    facts = opened.facts()
    assert facts["Objective"] == ("Generalized JSD, β 0.5", "50% of the loss, the text the rest")
    assert facts["Learns from"][0] == "Text, with cached answers"
    assert facts["Cached answers"] == (
        "answers-k50 · 26 kB · k 50",
        "found again: these answers were kept before",
    )


def test_several_teachers_and_processes_are_named(opened: Opened) -> None:
    run = lesson_run(
        opened.home,
        steps=12,
        more_teachers=("/models/small",),
        teacher_weights=(3.0, 1.0),
        processes=2,
        launch="accelerate",
        hidden_weight=0.5,
        balance="auto",
    )
    opened.at(run)
    facts = opened.facts()
    assert facts["Teachers"] == ("stories-5M (75%), small (25%)", "the mean of what they say")
    assert facts["Processes"][0] == "2, each with the whole student (DDP)"
    assert "automatic balance; hidden states × 0.5" in facts["Objective"][1]


def test_what_the_student_wrote_to_be_taught_on_stands_apart_from_the_evaluations(opened: Opened) -> None:
    run = lesson_run(opened.home, source="on-policy", samples=True, steps=20)
    opened.at(run)
    detail = opened.page.detail
    detail.tabs.setCurrentWidget(detail.samples_pane)
    opened.until(lambda: len(detail.samples_pane.own.samples()) == 2)
    assert "own words" not in detail.samples.toPlainText()
    assert detail.samples.isVisible()
    opened.click(detail.samples_pane.choice.option("own"))
    assert detail.samples_pane.own.isVisible()
    assert detail.samples_pane.own.toPlainText().startswith("Step 20\nThe dog ran to me")
    assert opened.facts()["Learns from"][0] == "The student's own words, in 50% of the blocks"


def test_a_run_without_own_words_has_its_samples_as_ever(opened: Opened, fake_run: Fake) -> None:
    opened.at(fake_run(opened.home, steps=20))
    opened.page.detail.tabs.setCurrentWidget(opened.page.detail.samples_pane)
    assert not opened.page.detail.samples_pane.choice.isVisible()
    assert opened.page.detail.samples.isVisible()


def test_a_cache_run_says_what_it_kept_and_its_cache_is_used_in_a_plan(opened: Opened) -> None:
    cache = a_cache(opened.home, "answers-k50")
    opened.at(cache_run(opened.home, cache))
    card = opened.page.detail.overview.cache
    opened.until(card.isVisible)
    facts = {fact.name: fact.value for fact in card.facts.sections()[0].facts}
    assert facts["Text"] == "251K tokens in 812 documents"
    assert facts["Size"] == "26 kB, 289 B a token"
    assert facts["Mass kept"] == "99.31%"
    assert facts["Folder"] == str(cache)
    assert "nothing is trained" in opened.page.detail.no_curves.words.text()
    opened.click(card.use)
    recipe = opened.wished[-1].what["recipe"]
    assert isinstance(recipe, DistillRecipe)
    assert (recipe.source, recipe.cache, recipe.sequence_length) == ("cache", str(cache), 256)
    opened.click(card.list)
    assert opened.wished[-1] == Wish("models", {"cache": cache})
    opened.until(lambda: cut_off(opened.page) == [])
    assert nameless(opened.page) == []


def test_a_writing_run_shows_its_rows_and_why_others_were_dropped(opened: Opened) -> None:
    run = write_run(opened.home)
    opened.at(run)
    card = opened.page.detail.overview.written
    opened.until(lambda: card.isVisible() and card.use.isEnabled())
    facts = {fact.name: fact.value for fact in card.facts.sections()[0].facts}
    assert facts["Rows kept"] == "40 of 65"
    assert facts["Rows dropped"] == "20 broke off before the end, 5 repetitive"
    opened.until(lambda: len(opened.page.detail.written.rows()) == 40)
    assert opened.page.detail.written.isVisible()
    assert "One day, number 0 saw a kite." in opened.page.detail.written.toPlainText()
    opened.click(card.use)
    assert opened.wished[-1] == Wish("plan", {"data": run.artifacts / "written.jsonl"})


def test_a_written_file_that_is_gone_can_not_be_used(opened: Opened) -> None:
    run = write_run(opened.home)
    (run.artifacts / "written.jsonl").unlink()
    opened.at(run)
    card = opened.page.detail.overview.written
    opened.until(card.isVisible)
    assert not card.use.isEnabled()
    assert "not there any more" in card.use.toolTip()


def test_a_chain_shows_each_of_its_links(opened: Opened) -> None:
    opened.at(chain_run(opened.home, steps=20))
    card = opened.page.detail.overview.chain
    opened.until(card.isVisible)
    assert [(link.name, link.state, round(link.share, 2)) for link in card.links()] == [
        ("5M → 2M", "finished", 1.0),
        ("2M → 1.3M", "crashed", 1.0),
        ("1.3M → 800K", "queued", 0.0),
    ]
    assert card.links()[0].bits_per_byte == pytest.approx(0.467, abs=1e-3)
    assert card.links()[2].bits_per_byte is None
    assert "link 2 of 3" in opened.page.detail.header.line.whole()
    opened.until(lambda: len(opened.page.detail.curves.plots["loss"].drawing.marks.borders) == 2)


# --- pilots


def test_the_runs_of_a_pilot_are_drawn_together_and_the_winner_is_used(opened: Opened, tmp_path: Path) -> None:
    made = a_pilot(opened.home, tmp_path / "shelf")
    opened.at(made[0])
    detail, card = opened.page.detail, opened.page.detail.overview.pilot
    assert detail.drawn() == [run.id for run in made]
    opened.until(lambda: {run.id for run in made} <= opened.context.live.pictures.keys())
    opened.until(card.isVisible)
    assert card.title.text() == "Pilot of teachers"
    assert "teacher-3 leads teacher-2 by 0.0500 bits per byte" in card.sentence.text()
    assert "A longer run may favour a larger teacher." in card.sentence.text()
    opened.click(detail.mates_button)
    assert detail.drawn() == [made[0].id]
    opened.click(detail.mates_button)
    assert len(detail.drawn()) == 3
    opened.click(card.use)
    opened.until(lambda: bool(opened.wished))
    assert opened.wished == [Wish("plan", {"teacher": tmp_path / "shelf" / "teacher-3"})]
    opened.until(lambda: cut_off(opened.page) == [])


def test_a_pilot_is_offered_to_the_law_once(opened: Opened, tmp_path: Path) -> None:
    made = a_pilot(opened.home, tmp_path / "shelf")
    opened.at(made[0])
    card = opened.page.detail.overview.pilot
    opened.until(lambda: card.isVisible() and card.offer.isEnabled())
    opened.click(card.offer)
    opened.until(lambda: not card.offer.isEnabled())
    assert "count for your own law already" in card.offer.toolTip()
    assert all("law" in run.meta()["tags"] for run in made)
    assert "3 points count" in opened.said[-1].text


def test_a_pilot_that_is_not_done_names_no_winner(opened: Opened, tmp_path: Path) -> None:
    made = a_pilot(opened.home, tmp_path / "shelf", finished=1)
    opened.at(made[0])
    card = opened.page.detail.overview.pilot
    opened.until(card.isVisible)
    assert "1 of 3 runs finished" in card.sentence.text()
    assert not card.use.isEnabled()
    assert "two runs have to finish" in card.use.toolTip()


def test_ticks_go_before_the_pilot_and_another_run_has_no_card(opened: Opened, fake_run: Fake, tmp_path: Path) -> None:
    other = fake_run(opened.home, steps=5)
    made = a_pilot(opened.home, tmp_path / "shelf")
    opened.at(made[0])
    opened.until(opened.page.detail.overview.pilot.isVisible)
    opened.page.model.set_ticked([other.id])
    assert opened.page.detail.drawn() == [other.id]
    opened.page.model.set_ticked([])
    assert opened.page.table.pick(other.id)
    opened.until(lambda: not opened.page.detail.overview.pilot.isVisible())
    assert opened.page.detail.drawn() == [other.id]
    assert not opened.page.detail.mates_button.isVisible()


# --- elsewhere


def launching(opened: Opened) -> LaunchDialog:
    opened.page.perform("launch")
    opened.until(lambda: opened.page.findChild(LaunchDialog) is not None)
    dialog = opened.page.findChild(LaunchDialog)
    assert dialog is not None
    return dialog


def test_launch_elsewhere_shows_saves_and_takes_out_of_the_queue(opened: Opened, fake_run: Fake, tmp_path: Path) -> None:  # fmt: skip
    run = fake_run(opened.home, name="tonight", state="queued")
    opened.page.show()
    opened.page.opened(run=run.id)
    opened.context.live.start()
    opened.until(lambda: opened.page.table.current() == run.id)
    dialog = launching(opened)
    dialog.machines.setValue(2)
    dialog.per_machine.setValue(4)
    dialog.port.setValue(29777)
    accelerate = dialog.scripts["accelerate"]
    assert "--num_machines 2 --num_processes 8" in accelerate.file.toPlainText()
    lines = accelerate.commands.toPlainText().splitlines()
    assert [line.split()[0] for line in lines] == ["MACHINE_RANK=0", "MACHINE_RANK=1"]
    assert "MAIN_PROCESS_PORT:-29777" in accelerate.file.toPlainText()
    assert "$head:${MAIN_PROCESS_PORT:-29777}" in dialog.scripts["slurm"].file.toPlainText()
    assert "#SBATCH --nodes=2" in dialog.scripts["slurm"].file.toPlainText()
    opened.click(accelerate.copy_commands)
    assert QGuiApplication.clipboard().text() == accelerate.commands.toPlainText()
    assert cut_off(dialog) == []
    assert nameless(dialog) == []
    dialog.save_to(tmp_path / "on the cluster")
    opened.until(lambda: "Saved in" in dialog.where.text())
    assert {file.name for file in (tmp_path / "on the cluster").iterdir()} == {"run.sh", "torchrun.sh", "run.slurm"}
    assert "'" in dialog.scripts["slurm"].commands.toPlainText()  # the path has blanks
    assert run.position() is None
    dialog.reject()


def test_a_step_that_can_not_be_shared_so_is_refused_in_words(opened: Opened, fake_run: Fake) -> None:
    opened.at(fake_run(opened.home, state="stopped", steps=5, batch_tokens=768, sequence_length=256))
    dialog = launching(opened)
    assert not dialog.problem.isVisible()
    dialog.per_machine.setValue(2)
    assert "3 blocks can't be shared by 2 processes" in dialog.problem.text()
    assert not dialog.save.isEnabled()
    dialog.per_machine.setValue(3)
    assert dialog.save.isEnabled()
    dialog.reject()


def test_finished_and_living_runs_are_not_launched_elsewhere(
    opened: Opened, fake_run: Fake, alive: Callable[..., Alive]
) -> None:
    done = fake_run(opened.home, steps=5)
    living = alive(steps=5)
    opened.at(living.run)
    opened.page.perform("launch")
    assert "Stop it first" in opened.said[-1].text
    opened.page.table.pick(done.id)
    opened.page.perform("launch")
    assert "It has finished" in opened.said[-1].text


def test_run_again_of_written_text_does_not_write_over_it(opened: Opened, fake_run: Fake, tmp_path: Path) -> None:
    from desktop_app.runs.actions import run_again

    (tmp_path / "t").mkdir()
    (tmp_path / "s.txt").write_text("text")
    out = tmp_path / "written.jsonl"
    run = write_run(opened.home)
    raw = json.loads(run.recipe_file.read_text())
    raw |= {"teacher": str(tmp_path / "t"), "data": [str(tmp_path / "s.txt")], "out": str(out)}
    run.recipe_file.write_text(json.dumps(raw))
    out.write_text("{}\n")
    fake_run(opened.home, state="queued")  # holds the runner off
    again, left_out = run_again(opened.home, run.id)
    assert left_out == str(out)
    assert RunFolder(opened.home.runs / again).recipe().model_dump()["out"] is None
