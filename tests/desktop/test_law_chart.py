"""The law's chart: what is in sight, what it says, and what a click, a hover and a key choose."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core import law
from desktop_app import theme
from desktop_app.charts.law_chart import LawChart, LawState, ModelDot
from desktop_app.charts.law_lettering import place_labels
from desktop_app.charts.law_plane import SizeAxis
from desktop_app.charts.law_state import calm, wanted_spans

SIZES = {"tiny": 1.2e6, "small": 3.1e6, "fitting": 5e6, "large": 12e6}
MODELS = tuple(ModelDot(name, Path("/models") / name, size, name != "large") for name, size in SIZES.items())
STATE = LawState(2e6, teacher=Path("/models/small"), models=MODELS)


@pytest.fixture
def chart(qtbot: QtBot, qapp: QApplication) -> LawChart:
    theme.apply(qapp, "light")
    made = LawChart()
    qtbot.addWidget(made)
    made.resize(640, 560)
    made.set_state(STATE)
    with qtbot.waitExposed(made):
        made.show()
    return made


def at(chart: LawChart, student: float, teacher: float) -> QPoint:
    return chart.plane.pixel(math.log10(student), math.log10(teacher)).toPoint()


def test_a_click_on_a_dot_chooses_that_teacher(chart: LawChart, qtbot: QtBot) -> None:
    with qtbot.waitSignal(chart.teacher_chosen) as chosen, qtbot.assertNotEmitted(chart.size_chosen):
        qtbot.mouseClick(chart.plane.viewport(), Qt.MouseButton.LeftButton, pos=at(chart, 2e6, 5e6))
    assert chosen.args == [Path("/models/fitting")]
    assert "5M teaches 2M, 2.5 times its size: in the band" in chart.headline.text()


def test_a_click_on_the_empty_plane_chooses_the_student(chart: LawChart, qtbot: QtBot) -> None:
    with qtbot.waitSignal(chart.size_chosen) as chosen, qtbot.assertNotEmitted(chart.teacher_chosen):
        qtbot.mouseClick(chart.plane.viewport(), Qt.MouseButton.LeftButton, pos=at(chart, 6e6, 2e6))
    assert chosen.args is not None
    assert chosen.args[0] == pytest.approx(6e6, rel=0.02)
    assert chart.state().student_params == chosen.args[0], "the chart doesn't wait for the page"


def test_a_size_out_of_range_is_brought_into_it(chart: LawChart, qtbot: QtBot) -> None:
    chart.set_state(replace(STATE, student_range=(1e6, 4e6)))
    with qtbot.waitSignal(chart.size_chosen) as chosen:
        qtbot.mouseClick(chart.plane.viewport(), Qt.MouseButton.LeftButton, pos=at(chart, 6e6, 2e6))
    assert chosen.args == [4e6]


def test_hovering_says_what_is_there_and_leaving_returns_to_the_pair(chart: LawChart, qtbot: QtBot) -> None:
    before = chart.headline.text()
    qtbot.mouseMove(chart.plane.viewport(), at(chart, 2e6, 12e6))
    qtbot.waitUntil(lambda: "12M teaches 2M" in chart.headline.text())
    assert chart.words.text().startswith("large. ")
    assert law.badge(12e6, 2e6).sentence in chart.words.text()
    assert "another tokenizer" in chart.words.text()
    qtbot.mouseMove(chart.plane.viewport(), at(chart, 8e6, 1.5e6))
    qtbot.waitUntil(lambda: "Click to make the student" in chart.words.text())
    chart.plane.hovered.emit(None)
    assert chart.headline.text() == before


def test_a_published_point_says_its_source(chart: LawChart, qtbot: QtBot) -> None:
    chart.set_state(LawState(2.5e9, models=(ModelDot("seven", Path("/m/7"), 7e9, True),)))
    qtbot.mouseMove(chart.plane.viewport(), at(chart, 3e9, 70e9))
    qtbot.waitUntil(lambda: "18.38" in chart.words.text())
    assert law.LAW_SOURCE in chart.words.text()
    assert "the curse" in chart.headline.text()
    assert "published" in chart.key.text()


def test_an_own_run_is_drawn_and_named(chart: LawChart, qtbot: QtBot) -> None:
    chart.set_state(replace(STATE, own_runs=((1e6, 5e6, "night two"), (3e9, 7e9, "far away"))))
    assert "your runs (1 of 2 in sight)".replace(" ", "&nbsp;") in chart.key.text()
    qtbot.mouseMove(chart.plane.viewport(), at(chart, 1e6, 5e6))
    qtbot.waitUntil(lambda: "Your run night two" in chart.words.text())


def test_the_arrow_keys_change_the_student_and_go_through_the_models(chart: LawChart, qtbot: QtBot) -> None:
    chart.setFocus()
    with qtbot.waitSignal(chart.size_chosen) as size:
        qtbot.keyClick(chart, Qt.Key.Key_Right)
    assert size.args == [2.1e6]
    qtbot.keyClick(chart, Qt.Key.Key_Left)
    assert chart.state().student_params == 2e6
    with qtbot.waitSignal(chart.teacher_chosen) as teacher:
        qtbot.keyClick(chart, Qt.Key.Key_Up)
    assert teacher.args == [Path("/models/fitting")]
    for _ in range(5):
        qtbot.keyClick(chart, Qt.Key.Key_Down)
    assert chart.state().teacher == Path("/models/tiny"), "the smallest is the end"


def test_without_a_teacher_the_first_arrow_takes_the_one_that_fits_best(chart: LawChart, qtbot: QtBot) -> None:
    chart.set_state(LawState(2e6, models=MODELS))
    with qtbot.waitSignal(chart.teacher_chosen) as teacher:
        qtbot.keyClick(chart, Qt.Key.Key_Up)
    assert teacher.args == [Path("/models/fitting")]


def test_the_chart_can_be_heard(chart: LawChart) -> None:
    assert chart.accessibleName()
    heard = chart.accessibleDescription()
    assert "3.1M teaches 2M" in heard
    assert "below the band" in heard
    assert "Models at hand: 4" in heard


def test_every_empty_state_says_what_to_do(chart: LawChart) -> None:
    chart.set_state(LawState())
    assert "How big" in chart.headline.text()
    chart.set_state(LawState(2e6))
    assert "open a model folder" in chart.words.text()
    chart.set_state(LawState(2e6, loading=True))
    assert "Looking for models" in chart.words.text()
    chart.set_state(LawState(2e6, teacher=Path("/elsewhere/x"), teacher_params=5e6, teacher_name="x"))
    assert "5M teaches 2M" in chart.headline.text()


def test_a_small_student_is_not_squashed_by_what_was_published() -> None:
    across, upward = wanted_spans(STATE)
    assert across[1] - across[0] == pytest.approx(2)
    assert upward[1] < 8
    near = wanted_spans(LawState(2e9))
    assert near[0][1] > math.log10(3e9)
    assert near[1][1] > math.log10(70e9)


def test_the_axes_stand_still_for_small_steps_and_follow_large_ones() -> None:
    shown = calm((5.0, 7.0), None)
    assert calm((5.05, 7.05), shown) == shown
    assert calm((6.0, 8.0), shown) != shown
    assert calm((6.0, 6.5), shown) != shown, "a much smaller span is shown larger"


def test_ticks_are_written_as_people_say_sizes(qtbot: QtBot, qapp: QApplication) -> None:
    axis = SizeAxis("bottom")
    ((_, ticks),) = axis.tickValues(5.7, 8.2, 500)
    assert axis.tickStrings(ticks, 1, 1)[:4] == ["1M", "2M", "5M", "10M"]
    ((_, few),) = axis.tickValues(3, 12, 300)
    assert axis.tickStrings(few, 1, 1) == ["1K", "1M", "1B", "1T"]
    axis.mark(6.0)
    assert axis.tickStrings([6.0], 1, 1) == [""]


def test_names_never_cover_each_other() -> None:
    dots = [(QPointF(200, 100 + 6 * number), 80.0) for number in range(30)]
    within = QRectF(0, 0, 400, 300)
    boxes = [box for box in place_labels(dots, 15, within) if box is not None]
    assert 8 < len(boxes) < 30
    assert all(not one.intersects(other) for one, other in combinations(boxes, 2))
    assert all(within.contains(box) for box in boxes)


def test_two_hundred_models_all_get_a_dot_and_the_chosen_one_its_name(chart: LawChart) -> None:
    dots = tuple(ModelDot(f"model number {n}", Path(f"/m/{n}"), 1e6 * 1.02**n, None) for n in range(200))
    chart.set_state(LawState(2e6, teacher=Path("/m/77"), models=dots))
    chart.grab()
    assert len([spot for spot in chart.plane.spots if spot.kind == "model" and chart.plane.frame().holds(spot)]) == 200
    names = [name for _, name in chart.plane.names]
    assert "model number 77" in names
    assert all(not one.intersects(other) for (one, _), (other, _) in combinations(chart.plane.names, 2))


def test_the_chart_follows_the_theme(chart: LawChart, qapp: QApplication, qtbot: QtBot) -> None:
    def seen() -> QImage:
        return chart.plane.grab().toImage()

    light = seen()
    theme.apply(qapp, "dark")
    try:
        qtbot.waitUntil(lambda: chart.plane.fitted.opts["pen"].color() == theme.colour("ink"))
        assert seen() != light
        assert theme.series_colour(1) not in chart.key.text()
    finally:
        theme.apply(qapp, "light")
    qtbot.waitUntil(lambda: seen() == light)


def test_the_wheel_is_left_to_the_page(chart: LawChart) -> None:
    from PySide6.QtCore import QPoint as Point
    from PySide6.QtGui import QWheelEvent

    spot = QPointF(200, 150)
    nothing, buttons = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.NoButton
    turn = QWheelEvent(spot, spot, Point(0, 0), Point(0, 120), buttons, nothing, Qt.ScrollPhase.NoScrollPhase, False)
    shown = chart.plane.getViewBox().viewRange()
    QApplication.sendEvent(chart.plane.viewport(), turn)
    assert not turn.isAccepted()
    assert chart.plane.getViewBox().viewRange() == shown
