"""The radar: a fixed scale, gaps, pending axes, the read-out, and files; marks on two axes with the Pareto front."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from pytestqt.qtbot import QtBot

from core.radar import axis_of, spokes
from core.scores import Score
from desktop_app import theme
from desktop_app.charts import export
from desktop_app.charts.radar import PAGE, RadarChart, RadarLine
from desktop_app.charts.scatter import Axes, Point, ScatterChart

TASKS = ("arc_easy", "piqa", "boolq", "mmlu")


def line(name: str, *values: float | None, number: int = 0, scale: str = "raw") -> RadarLine:
    scores = {(task, "acc", ""): Score(task, "acc", v, 0.02, quoted=True) for task, v in zip(TASKS, values, strict=False) if v is not None}  # fmt: skip
    found = spokes([axis_of((task, "acc", "")) for task in TASKS[: len(values)]], scores, scale)  # type: ignore[arg-type]
    return RadarLine(name, name, theme.series_colour(number), number, tuple(found))


@pytest.fixture
def chart(qtbot: QtBot) -> RadarChart:
    made = RadarChart()
    qtbot.addWidget(made)
    made.resize(500, 460)
    made.show()
    return made


def show(chart: RadarChart, *lines: RadarLine, pending: tuple[str, ...] = ()) -> None:
    chart.show_scores([axis_of((task, "acc", "")) for task in TASKS[: len(lines[0].spokes)]], lines, pending)
    chart.grab()


def test_another_model_does_not_move_the_first_one(chart: RadarChart) -> None:
    show(chart, line("a", 0.3, 0.5, 0.4, 0.2))
    room = QRectF(chart.rect())
    before = [chart._point(room, at, chart._share(spoke.radius or 0)) for at, spoke in enumerate(chart.lines[0].spokes)]
    show(chart, line("a", 0.3, 0.5, 0.4, 0.2), line("b", 0.9, 0.95, 0.99, 0.8, number=1))
    after = [chart._point(room, at, chart._share(spoke.radius or 0)) for at, spoke in enumerate(chart.lines[0].spokes)]
    assert before == after
    assert chart.reach() == 1.0


def test_what_was_not_measured_is_a_gap_and_says_so(chart: RadarChart) -> None:
    show(chart, line("a", 0.3, None, 0.4, 0.2))
    assert chart.lines[0].spokes[1].radius is None
    assert "a not measured" in chart.words_of(1)


def test_the_pointer_and_the_arrow_keys_read_an_axis_out(chart: RadarChart, qtbot: QtBot) -> None:
    show(chart, line("teacher", 0.61, 0.66, 0.58, 0.29), line("student", 0.4, 0.5, 0.5, 0.25, number=1))
    with qtbot.waitSignal(chart.read_out) as told:
        qtbot.mouseMove(chart, QPoint(250, 60))
    assert told.args == ["ARC easy: teacher 0.6100 ± 0.0200, student 0.4000 ± 0.0200."]
    chart.setFocus()
    with qtbot.waitSignal(chart.read_out) as told:
        qtbot.keyClick(chart, Qt.Key.Key_Right)
    assert told.args[0].startswith("PIQA: teacher 0.6600")
    with qtbot.waitSignal(chart.axis_chosen) as chosen:
        qtbot.keyClick(chart, Qt.Key.Key_Return)
    assert chosen.args == [1]


def test_a_pending_axis_is_there_and_has_no_value_to_read(chart: RadarChart) -> None:
    show(chart, line("a", 0.3, 0.5), pending=("GSM8K",))
    assert chart.is_radar  # two figures and one that comes
    room = QRectF(chart.rect())
    assert chart.axis_at(QPointF(chart._point(room, 2, 0.8))) is None


def test_two_figures_are_bars_with_the_reason(chart: RadarChart, qtbot: QtBot) -> None:
    show(chart, line("a", 0.3, 0.5))
    assert not chart.is_radar
    with qtbot.waitSignal(chart.read_out) as told:
        qtbot.mouseMove(chart, chart._bar_room(QRectF(chart.rect()), 1).center().toPoint())
    assert told.args[0].startswith("PIQA")


def test_the_radar_is_written_as_picture_drawing_and_table(chart: RadarChart) -> None:
    show(chart, line("a", 0.3, None, 0.4, 0.2))
    picture = export.png(PAGE, lambda painter: chart.draw_page(painter, "Tonight", "Raw."))
    drawing = export.svg(PAGE, "Tonight", lambda painter: chart.draw_page(painter, "Tonight", "Raw."))
    assert picture.startswith(b"\x89PNG")
    assert b"ARC easy" in drawing
    rows = chart.table().decode("utf-8-sig").splitlines()
    assert rows[1] == "arc_easy,acc,,a,0.3,0.02,0.3"
    assert rows[2] == "piqa,acc,,a,,,"


def test_the_pareto_front_is_told_with_its_points(qtbot: QtBot) -> None:
    chart = ScatterChart()
    qtbot.addWidget(chart)
    chart.resize(600, 400)
    points = [
        Point("small", theme.series_colour(0), 0, 1e6, 0.5, "1M", "0.5"),
        Point("large", theme.series_colour(1), 1, 5e6, 0.6, "5M", "0.6"),
    ]
    chart.show_points(points, Axes("Parameters", "accuracy"), [0, 1])
    chart.show()
    chart.grab()
    chart.setFocus()
    with qtbot.waitSignal(chart.read_out) as told:
        qtbot.keyClick(chart, Qt.Key.Key_Left)
    assert told.args == ["large: Parameters 5M, accuracy 0.6. On the Pareto front."]
