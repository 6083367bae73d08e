"""The Compare page: what is ticked side by side, figures that grow, evaluations asked for, everything measured, and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import made_up_scores as made
import pytest
from looking import cut_off, nameless, unreachable
from made_up import a_model
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel
from pytestqt.qtbot import QtBot

from core import runs
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.runs import RunFolder
from core.state import History, State
from desktop_app import theme
from desktop_app.compare.page import ComparePage
from desktop_app.compare.pick_list import PickDialog
from desktop_app.context import Context, Message, Wish
from desktop_app.evaluate import asking
from desktop_app.evaluate.dialog import EvaluateDialog
from desktop_app.runs.dossier import Dossier
from desktop_app.runs.evaluation_card import EvaluationCard, EvaluationOutcome, sections_of

FIGURES = {"arc_easy": 0.61, "piqa": 0.66, "boolq": 0.58}


class Bench:
    """A Compare page on screen, with what it said and wished."""

    def __init__(self, context: Context, qtbot: QtBot) -> None:
        self.qtbot, self.context = qtbot, context
        self.said: list[Message] = []
        self.wishes: list[Wish] = []
        context.said.connect(self.said.append)
        context.wished.connect(self.wishes.append)
        self.page = ComparePage(context)
        qtbot.addWidget(self.page)
        self.page.resize(1200, 720)
        self.page.show()

    def until(self, true: Callable[[], bool], seconds: float = 15.0) -> None:
        self.qtbot.waitUntil(true, timeout=int(1000 * seconds))

    def click(self, button: QAbstractButton) -> None:
        assert button.isVisible(), button.text()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def open(self, *models: Path, count: int | None = None, **what: Any) -> None:
        self.page.opened(models=models, **what)
        wanted = len(models) if count is None else count
        self.until(lambda: self.page._seen is not None and len(self.page._seen.comparison.entries) == wanted)

    def cells(self) -> dict[str, list[str]]:
        """What stands in the table, by figure: the models' columns."""
        order = self.page.scores.table.order
        width = len(self.page.scores.table.figures.comparison.entries)
        texts = [
            [str(order.index(row, at).data()).strip("\u200e") for at in range(width + 1)]
            for row in range(order.rowCount())
        ]
        return {row[0]: row[1:] for row in texts}


@pytest.fixture
def bench(context: Context, qtbot: QtBot) -> Bench:
    return Bench(context, qtbot)


@pytest.fixture
def family(tmp_path: Path, home: Home) -> tuple[Path, Path]:
    """A teacher and a student with figures of three benchmarks, of which the student lacks one."""
    teacher, student = a_model(tmp_path / "teacher", hidden_size=32), a_model(tmp_path / "student")
    made.evaluation_run(home, teacher, FIGURES)
    made.evaluation_run(home, student, {"arc_easy": 0.5, "piqa": 0.7})
    return teacher, student


def test_figures_stand_side_by_side_with_errors_and_the_best_in_bold(bench: Bench, family: tuple[Path, Path]) -> None:
    bench.open(*family)
    cells = bench.cells()
    assert cells["ARC easy"] == ["0.610 ± 0.021", "0.500 ± 0.021"]
    assert cells["BoolQ"] == ["0.580 ± 0.021", "–"]
    table = bench.page.scores.table
    row = next(at for at in range(table.order.rowCount()) if table.order.index(at, 0).data() == "PIQA")
    bold = [table.order.index(row, at).data(Qt.ItemDataRole.FontRole).bold() for at in (1, 2)]
    assert bold == [False, True]
    assert [axis.title for axis in bench.page.scores.radar.axes] == ["ARC easy", "PIQA", "BoolQ"]


def test_the_table_sorts_by_a_model_and_by_the_spread(bench: Bench, family: tuple[Path, Path]) -> None:
    bench.open(*family)
    table = bench.page.scores.table
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert list(bench.cells()) == ["PIQA", "ARC easy", "BoolQ"]
    table.sortByColumn(3, Qt.SortOrder.DescendingOrder)
    assert next(iter(bench.cells())) == "ARC easy"


def test_retention_is_the_share_of_the_reference(bench: Bench, family: tuple[Path, Path]) -> None:
    bench.open(*family)
    bench.click(bench.page.scores.scale.option("retention"))
    student = bench.page.scores.radar.lines[1]
    assert student.spokes[0].radius == pytest.approx(0.5 / 0.61)
    assert bench.page.scores.reference.isVisible()
    assert "teacher" in bench.page.scores.scale_words.text()


def test_a_chip_hides_its_model_and_takes_it_away(bench: Bench, family: tuple[Path, Path]) -> None:
    bench.open(*family)
    chip = bench.page.chips.chips[str(family[0])]
    bench.click(chip.name)
    assert [line.name for line in bench.page.scores.radar.lines] == ["student"]
    assert "ARC easy" in bench.cells()  # the table keeps it
    bench.click(chip.remove)
    bench.until(lambda: len(bench.page._seen.comparison.entries) == 1)  # type: ignore[union-attr]
    assert bench.page.scores.radar.lines[0].number == 1  # it keeps its mark and colour


def test_models_are_ticked_in_a_list_that_words_make_short(bench: Bench, family: tuple[Path, Path]) -> None:
    bench.context.shelf.add(family[0].parent)
    bench.until(lambda: any(entry.path == family[0] for entry in bench.context.shelf.entries))
    bench.page.opened()
    bench.click(
        bench.page.chips.add if bench.page.chips.isVisible() else bench.page.empty.findChildren(QAbstractButton)[0]
    )
    dialog = bench.page.findChild(PickDialog)
    assert dialog is not None
    dialog.list.search.setText("teacher")
    assert dialog.list.list.model().rowCount() >= 1
    dialog.list.tick(str(family[0]))
    bench.click(dialog.take)
    bench.until(lambda: bench.page.words() == [str(family[0])])


def test_one_that_is_gone_is_told_and_the_others_are_shown(bench: Bench, family: tuple[Path, Path]) -> None:
    bench.open(*family, Path("/nowhere/lost"), count=2)
    assert "lost" in bench.page.notice.text()
    assert bench.page.notice.isVisible()


def test_figures_grow_while_an_evaluation_goes_on(bench: Bench, family: tuple[Path, Path], home: Home) -> None:
    going = made.Going(home, family[1], ("boolq@0", "hellaswag@0"))
    try:
        bench.context.live.start()
        bench.until(lambda: bench.context.live.loaded)
        bench.open(*family)
        bench.until(lambda: bench.page.scores.radar.pending == ("HellaSwag",), 20)
        going.come("boolq", 0.44)
        bench.until(lambda: bench.page.scores.radar.lines[1].spokes[2].radius == pytest.approx(0.44), 20)
        assert bench.page.scores.radar.lines[1].new == {2}
        assert bench.cells()["BoolQ"][1] == "0.440 ± 0.021 …"
        assert "being evaluated" in bench.page.chips.chips[str(family[1])].name.toolTip()
    finally:
        going.release()


def test_a_comparison_is_kept_and_opened_again(bench: Bench, family: tuple[Path, Path]) -> None:
    bench.open(*family)
    bench.click(bench.page.scores.scale.option("chance"))
    bench.page.keep("tonight")
    bench.until(lambda: bench.page._kept == ["tonight"])
    bench.page._begin_anew()
    assert bench.page.words() == []
    assert bench.page.empty.isVisible()
    bench.page.reopen("tonight")
    bench.until(lambda: bench.page.words() == [str(path) for path in family])
    bench.until(lambda: bench.page.scores.scale.value() == "chance")


def test_the_report_is_one_html_file_and_the_tables_markdown(
    bench: Bench, family: tuple[Path, Path], tmp_path: Path
) -> None:
    bench.open(*family)
    for name in ("report.html", "tables.md"):
        bench.page.export(tmp_path / name)
    bench.until(lambda: (tmp_path / "report.html").exists() and (tmp_path / "tables.md").exists())
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<svg" in html
    assert "student" in html
    assert "src=" not in html
    assert "| figure |" in (tmp_path / "tables.md").read_text(encoding="utf-8")


def test_only_the_settings_that_differ_are_shown(bench: Bench, fake_run: Callable[..., RunFolder], home: Home) -> None:
    made_runs = [fake_run(home, name=f"seed {seed}", seed=seed) for seed in (1, 2)]
    bench.page.opened(runs=[run.id for run in made_runs])
    bench.until(lambda: bench.page._seen is not None)
    bench.page.tabs.setCurrentIndex(3)
    table = bench.page.settings.table
    assert [table.item(row, 0).text() for row in range(table.rowCount())] == ["Seed"]
    assert [table.item(0, at).text() for at in (1, 2)] == ["1", "2"]


def test_the_desktop_turns_dark_while_samples_are_in_sight(
    bench: Bench, fake_run: Callable[..., RunFolder], home: Home, qapp: QApplication
) -> None:
    run = fake_run(home, name="with samples")
    bench.page.opened(runs=[run.id])
    bench.until(lambda: bench.page._seen is not None)
    bench.page.tabs.setCurrentWidget(bench.page.samples)
    try:
        theme.apply(qapp, "dark")
        bench.qtbot.wait(50)
        texts = [label.text() for label in bench.page.samples.findChildren(QLabel)]
        assert any("fox called Mina" in text for text in texts)
    finally:
        theme.apply(qapp, "light")


def test_a_control_run_is_the_same_student_without_a_teacher(
    bench: Bench, fake_run: Callable[..., RunFolder], home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.runner.ensure_runner", lambda home: None)
    text = tmp_path / "stories.txt"
    text.write_text("Once upon a time.\n" * 50)
    teacher = a_model(tmp_path / "big")
    run = fake_run(home, name="guided", teacher=str(teacher), data=(str(text),))
    bench.page.opened(runs=[run.id])
    bench.until(lambda: bench.page._seen is not None)
    bench.click(bench.page.control)
    bench.until(lambda: len(bench.page.words()) == 2)
    recipe = RunFolder(home.runs / bench.page.words()[1]).recipe()
    assert recipe.use_teacher is False  # type: ignore[attr-defined]
    assert recipe.name == "guided, without the teacher"


def test_an_evaluation_is_asked_for_and_programs_take_consent(
    bench: Bench, family: tuple[Path, Path], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking.runner, "ensure_runner", lambda home: None)
    bench.context.shelf.add(family[0].parent)
    bench.until(lambda: any(entry.path == family[0] for entry in bench.context.shelf.entries))
    bench.open(*family)
    bench.click(bench.page.evaluate)
    dialog = bench.page.findChild(EvaluateDialog)
    assert dialog is not None
    bench.until(lambda: len(dialog.subjects.words()) == 2)
    assert not dialog.start.isEnabled()
    assert "Choose benchmarks" in dialog.start.toolTip()
    dialog.tasks.setText("arc_easy, humaneval")
    assert dialog.consent_card.isVisible()
    assert not dialog.start.isEnabled()
    bench.click(dialog.consent)
    dialog.limit.setText("20")
    bench.until(dialog.start.isEnabled)
    bench.click(dialog.start)
    bench.until(lambda: any(message.action_text for message in bench.said))
    queued = [run.recipe() for run in runs.all_runs(home) if run.position() is not None]
    assert {Path(recipe.model).name for recipe in queued if isinstance(recipe, EvaluateRecipe)} == {
        "teacher",
        "student",
    }
    assert [(recipe.run_code, recipe.limit) for recipe in queued if isinstance(recipe, EvaluateRecipe)] == 2 * [
        (True, 20)
    ]


def test_the_student_of_a_run_and_a_folder_on_no_shelf_stay_ticked(
    bench: Bench, fake_run: Callable[..., RunFolder], home: Home, tmp_path: Path
) -> None:
    student, elsewhere = fake_run(home, name="made here").artifacts / "student", a_model(tmp_path / "elsewhere")
    bench.context.live.start()
    bench.until(lambda: any(row.model for row in bench.context.live.rows))
    bench.page.opened(evaluate=[str(student)])
    dialog = bench.page.findChild(EvaluateDialog)
    assert dialog is not None
    bench.until(lambda: dialog.subjects.words() == [str(student)])
    dialog.reject()
    bench.page.opened(models=[str(student), str(elsewhere)])
    bench.page.ask_more()
    picking = bench.page.findChild(PickDialog)
    assert picking is not None
    bench.click(picking.take)
    bench.until(lambda: set(bench.page.words()) == {str(student), str(elsewhere)})


def test_a_wrong_task_or_folder_is_named_at_its_field(bench: Bench, family: tuple[Path, Path]) -> None:
    dialog = EvaluateDialog(bench.context, [str(family[0])], bench.page)
    bench.qtbot.addWidget(dialog)
    dialog.show()
    dialog.tasks.setText("arc_easy@many")
    dialog.folder.setText("/nowhere")
    bench.until(lambda: dialog.folder_field.problem.isVisible() and dialog.tasks_field.problem.isVisible())
    assert "arc_easy@many" in dialog.tasks_field.problem.text()


def test_the_leaderboard_has_everything_measured_and_picks_for_comparison(
    bench: Bench, family: tuple[Path, Path]
) -> None:
    bench.page.opened(area="leaderboard")
    board = bench.page.leaderboard
    bench.until(lambda: board.rows.rowCount() == 2)
    board.task.choose("boolq")
    board._show()
    assert [entry.name for entry in board.shown()] == ["teacher"]
    board.table.selectRow(0)
    bench.click(board.compare)
    bench.until(lambda: bench.page.words() == [str(family[0])])


def test_verdicts_become_strengths_records_and_texts(bench: Bench, family: tuple[Path, Path], home: Home) -> None:
    made.some_verdicts(home, *family)
    bench.page.opened(area="judged")
    pane = bench.page.judged
    bench.until(lambda: pane.strengths.rowCount() == 2)
    assert pane.strengths.item(0, 0).text() == "teacher"
    assert pane.records.rowCount() == 3  # over all, and two categories
    pane.list.setCurrentCell(0, 0)
    assert "Nobody knows." in pane.text.toPlainText()


def test_the_card_of_an_evaluation_says_its_figures_and_leads_to_comparing(qtbot: QtBot, tmp_path: Path) -> None:
    model = a_model(tmp_path / "student")
    recipe = EvaluateRecipe(model=str(model), tasks=("arc_easy", "piqa"), data=("text.txt",), limit=200)
    calibration = {"ece": 0.03, "curve": [{"confidence": 0.5, "accuracy": 0.45, "tokens": 900}]}
    pairs = {"accuracy": 0.59, "stderr": 0.01, "sets": {"one": {"accuracy": 0.6, "stderr": 0.02, "pairs": 60}}}
    results = made.results_of(
        model, {"arc_easy": 0.5, "piqa": 0.7}, calibration=calibration, pairs=pairs, bits_per_byte=0.42
    )
    history = History(results=results)
    told = {fact.name: fact.value.strip("\u200e") for section in sections_of(history, recipe) for fact in section.facts}
    assert told["ARC easy · acc"] == "0.500 ± 0.021"
    assert told["bits per byte"] == "0.4200"
    card, outcome = EvaluationCard(), EvaluationOutcome()
    qtbot.addWidget(card)
    qtbot.addWidget(outcome)
    card.show_evaluation("evaluate", history, Dossier("run", tmp_path, recipe))
    card.show()
    with qtbot.waitSignal(card.compare_wanted) as wanted:
        qtbot.mouseClick(card.compare, Qt.MouseButton.LeftButton)
    assert wanted.args == [model]
    outcome.show_outcome("evaluate", "student", history, recipe)
    outcome.show()
    outcome.grab()
    assert outcome.radar.is_radar
    assert outcome.reliability.isVisible()


def test_everything_has_a_name_fits_and_can_be_reached(bench: Bench, family: tuple[Path, Path]) -> None:
    bench.open(*family)
    bench.qtbot.wait(100)
    assert cut_off(bench.page) == []
    assert nameless(bench.page) == []
    assert unreachable(bench.page) == []


@pytest.fixture
def ending(home: Home) -> Iterator[None]:
    yield
    for run in list(runs.all_runs(home)):
        if run.lock_held() or run.position() is not None:
            runs.discard(run)


@pytest.mark.slow
def test_from_the_dialog_over_an_engine_to_a_figure(bench: Bench, tmp_path: Path, home: Home, ending: None) -> None:
    from tests.engine.tiny import write_data, write_teacher

    model, text = write_teacher(tmp_path / "teacher"), write_data(tmp_path / "stories.txt")
    bench.context.live.start()
    bench.context.shelf.add(model)
    bench.until(lambda: any(entry.path == model for entry in bench.context.shelf.entries))
    bench.open(model)
    bench.click(bench.page.evaluate)
    dialog = bench.page.findChild(EvaluateDialog)
    assert dialog is not None
    dialog.data.add([text])
    bench.until(dialog.start.isEnabled)
    bench.click(dialog.start)
    bench.until(lambda: any(run.state() is State.FINISHED for run in runs.all_runs(home)), 120)
    bench.until(lambda: "bits per byte" in bench.cells(), 30)
