"""What a run shows of the benchmarks that its student was measured on while it was trained, and the comparison that grows by them."""

from __future__ import annotations

from collections.abc import Callable

import made_up_scores as made
import pytest
from made_up import Alive
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from core.home import Home
from core.journal import JournalWriter
from core.runs import RunFolder, enqueue
from desktop_app.compare.page import ComparePage
from desktop_app.context import Context, Wish
from desktop_app.runs.measured_card import MOST, MeasuredCard
from desktop_app.runs.page import RunsPage

FIRST, SECOND, THIRD = {"piqa": 0.51, "boolq": 0.5}, {"piqa": 0.54, "boolq": 0.49}, {"piqa": 0.6, "boolq": 0.55}
PATIENCE_MS = 20_000


class Bench:
    """The Runs page with one run picked."""

    def __init__(self, context: Context, qtbot: QtBot) -> None:
        self.context, self.qtbot = context, qtbot
        self.wishes: list[Wish] = []
        context.wished.connect(self.wishes.append)
        self.page = RunsPage(context)
        qtbot.addWidget(self.page)
        self.page.resize(1280, 760)
        self.page.show()
        context.live.start()

    @property
    def card(self) -> MeasuredCard:
        return self.page.detail.overview.measured

    def pick(self, run: RunFolder) -> None:
        self.until(lambda: any(row.id == run.id for row in self.context.live.rows))
        self.page.opened(run=run.id)
        self.until(lambda: self.page.detail.row is not None and self.page.detail._dossier is not None)

    def until(self, true: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(true, timeout=PATIENCE_MS)

    def lines(self) -> list[tuple[str, str, str]]:
        """What stands in the table: figure, last value, change."""
        shown = [row for row in self.card.rows if row.name.isVisible()]
        return [(row.name.text(), row.value.text(), row.change.text()) for row in shown]


@pytest.fixture
def bench(context: Context, qtbot: QtBot) -> Bench:
    return Bench(context, qtbot)


@pytest.fixture
def training(fake_run: Callable[..., RunFolder], home: Home) -> RunFolder:
    """A finished training that was to be measured every 40 steps, and was not, yet."""
    return fake_run(home, name="watched", steps=120, measure_every=40, measure_skills=3)


def measure(home: Home, run: RunFolder, step: int, figures: dict[str, float], seconds: float = 1.2) -> RunFolder:
    with JournalWriter(run.journal) as journal:
        return made.measured(home, run, journal, step, figures, seconds)


def plain(text: str) -> str:
    return text.replace("\u200e", "")


def test_figures_come_on_from_checkpoint_to_checkpoint(bench: Bench, home: Home, training: RunFolder) -> None:
    for step, figures in ((40, FIRST), (80, SECOND), (120, THIRD)):
        measure(home, training, step, figures)
    bench.pick(training)
    bench.until(lambda: "of its time" in bench.card.line.text())
    assert [tuple(map(plain, line)) for line in bench.lines()] == [
        ("PIQA", "0.600 ± 0.021", "+0.090"),
        ("BoolQ", "0.550 ± 0.021", "+0.050"),
    ]
    assert "step 80: 0.54" in bench.card.rows[0].spark.toolTip()
    said = bench.card.line.text()
    assert "3 times, last at step 120" in said
    assert "waited for that 22% of its time" in said  # 3.6 s of 15.1 and the last wait


def test_the_newest_evaluation_and_the_comparison_are_a_press_away(
    bench: Bench, home: Home, training: RunFolder
) -> None:
    measure(home, training, 40, FIRST)
    newest = measure(home, training, 80, SECOND)
    bench.pick(training)
    bench.until(bench.card.newest.isVisible)
    bench.qtbot.mouseClick(bench.card.compare, Qt.MouseButton.LeftButton)
    assert (bench.wishes[-1].page, bench.wishes[-1].what["runs"]) == ("compare", [training.id])
    bench.until(lambda: any(row.id == newest.id for row in bench.context.live.rows))
    bench.qtbot.mouseClick(bench.card.newest, Qt.MouseButton.LeftButton)
    bench.until(lambda: bench.page.detail.row is not None and bench.page.detail.row.id == newest.id)
    assert bench.card.isHidden()  # an evaluation itself is not measured


def test_a_measurement_that_is_still_to_come_is_announced(
    bench: Bench, home: Home, alive: Callable[..., Alive]
) -> None:
    going = alive(name="watched", steps=12, planned=120, measure_every=40, measure_skills=3)
    bench.pick(going.run)
    bench.until(bench.card.isVisible)
    assert bench.card.line.text() == "It is measured for the first time at step 40."
    assert not bench.card.newest.isVisible()
    assert not bench.card.table.isVisible()
    made.measured(home, going.run, going.journal, 40, FIRST)
    bench.until(lambda: bench.lines() != [])
    assert bench.lines()[0][2] == ""  # nothing to compare it with, yet


def test_evaluations_that_wait_and_that_failed_are_told_apart(
    bench: Bench, home: Home, fake_run: Callable[..., RunFolder]
) -> None:
    fake_run(home, name="holds the queue", state="queued")
    run = fake_run(home, name="watched", steps=120, measure_every=40, measure_skills=3, measure_device="cpu")
    measure(home, run, 40, FIRST, 0.0)
    measure(home, run, 80, {}, 0.0)
    waits = measure(home, run, 120, {}, 0.0)
    waits.journal.unlink()
    enqueue(home, waits)
    bench.pick(run)
    bench.until(lambda: "on another device" in bench.card.line.text())
    said = bench.card.line.text()
    assert "one evaluation goes on or waits" in said
    assert "one evaluation ended without figures" in said


def test_a_figure_that_comes_after_the_training_ended_is_shown(bench: Bench, home: Home, training: RunFolder) -> None:
    with made.borrowed(home, training, 120) as folder:
        going = made.Going(home, folder, ("piqa@0",))
    try:
        with JournalWriter(training.journal) as journal:
            journal.append(made.ev.StudentMeasured(120, going.run.id, 0.0))
        bench.pick(training)
        bench.until(lambda: "goes on" in bench.card.line.text())
        with made.borrowed(home, training, 120) as folder:
            going.end(folder, {"piqa": 0.6})
        bench.until(lambda: [plain(line[1]) for line in bench.lines()] == ["0.600 ± 0.021"])
    finally:
        going.release()


def test_more_figures_than_the_card_has_room_for_are_counted(bench: Bench, home: Home, training: RunFolder) -> None:
    measure(home, training, 40, {f"a_benchmark_of_a_very_long_name_number_{n}": 0.02 * n for n in range(MOST + 3)})
    bench.pick(training)
    bench.until(bench.card.isVisible)
    assert len(bench.lines()) == MOST
    assert bench.card.more.text() == "3 further figures are in the comparison."


def test_another_run_shows_nothing_of_the_last_one(
    bench: Bench, home: Home, training: RunFolder, fake_run: Callable[..., RunFolder]
) -> None:
    measure(home, training, 40, FIRST)
    other = fake_run(home, name="not watched", steps=20)
    bench.pick(training)
    bench.until(bench.card.isVisible)
    bench.pick(other)
    bench.until(bench.card.isHidden)


def test_the_comparison_grows_by_each_checkpoint_and_by_the_finished_student(
    context: Context, qtbot: QtBot, home: Home, alive: Callable[..., Alive]
) -> None:
    """While the next checkpoint is measured its figures come in, hollow, over those of the one before."""
    training = alive(name="watched", steps=90, planned=120, measure_every=40, measure_skills=3)
    made.measured(home, training.run, training.journal, 40, {**FIRST, "arc_easy": 0.3})
    page = ComparePage(context)
    qtbot.addWidget(page)
    page.resize(1200, 760)
    page.show()
    context.live.start()
    qtbot.waitUntil(lambda: bool(context.live.rows), timeout=PATIENCE_MS)
    page.opened(runs=[training.run.id])
    radar = page.scores.radar
    qtbot.waitUntil(lambda: "PIQA" in [axis.title for axis in radar.axes], timeout=PATIENCE_MS)
    assert radar.lines[0].name == "watched, step 40"
    with made.borrowed(home, training.run, 80) as folder:
        going = made.Going(home, folder, ("piqa@0", "boolq@0", "arc_easy@0"))
        try:
            qtbot.waitUntil(lambda: bool(page._seen and page._seen.going), timeout=PATIENCE_MS)
            going.come("piqa", 0.57)
            place = [axis.title for axis in radar.axes].index("PIQA")
            qtbot.waitUntil(lambda: radar.lines[0].spokes[place].radius == pytest.approx(0.57), timeout=PATIENCE_MS)
            assert radar.lines[0].new == {place}
            going.end(folder, {"piqa": 0.57, "boolq": 0.6, "arc_easy": 0.4})
            qtbot.waitUntil(lambda: radar.lines[0].name == "watched, step 80", timeout=PATIENCE_MS)
            assert not radar.lines[0].new
        finally:
            going.release()


def test_a_step_that_is_older_than_the_figures_in_sight_adds_nothing() -> None:
    from core.compare import Entry
    from desktop_app.compare.reading import Going

    column = ("piqa", "acc", "")
    run = Entry("run", "run, step 80", None, "run", None, None, {}, checkpoint=80)
    assert not Going("e", "run", ("piqa",), 40).adds(run, column)
    assert Going("e", "run", ("piqa",), 80).adds(run, column)
    assert Going("e", "run", ("piqa",), None).adds(run, column)  # its finished student
