"""The live curves: what is drawn, read, zoomed, refused and exported; the numbers against slow plain versions."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QImage, QPainter, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.errors import Trouble
from core.state import History, State
from desktop_app import theme
from desktop_app.charts import export, lines, ticks
from desktop_app.charts.curves import CurvesPanel, RunSpec
from desktop_app.charts.readout import ROW
from desktop_app.charts.smoothing import ema
from desktop_app.charts.spark import paint_spark
from desktop_app.forms import Choice
from desktop_app.live import Border, Curves, EvaluationCurve, Picture

EMPTY = np.empty(0)


def a_picture(
    run: str = "a", count: int = 200, *, flops: bool = True, resumed: tuple[int, ...] = (), **train: np.ndarray
) -> Picture:
    step = np.arange(1.0, count + 1)
    falling = 1 + 4 * np.exp(-step / 40)
    points = {
        "total": falling,
        "ce": falling + 0.5,
        "kd": falling - 0.5,
        "lr": np.full(count, 0.0028),
        "grad_norm": np.full(count, 0.5),
        "tokens_per_second": np.full(count, 8100.0),
        "memory_bytes": np.full(count, 9.1e8),
    }
    points |= train
    at = step[9::10]
    figures = {
        "ce": 1.1 + 4 * np.exp(-at / 40),
        "bits_per_byte": 0.5 + np.exp(-at / 40),
        "perplexity": np.exp(1.1 + 4 * np.exp(-at / 40)),
        "agreement": 0.8 - 0.5 * np.exp(-at / 40),
    }
    each = 1e6 if flops else math.nan
    zero = np.zeros(1)
    checks = {
        "student": EvaluationCurve(at, at * 1024, at / 8, at * 1024 * each if flops else None, figures),
        "teacher": EvaluationCurve(zero, zero, zero, zero, {"bits_per_byte": zero + 0.41}),
    }
    curves = Curves(
        step, step * 1024, step / 8, step * 1024 * each if flops else None, points, checks, resumed, (100, 200)
    )  # fmt: skip
    return Picture(run, State.RUNNING, History(), curves)


def nothing_yet(run: str = "a", state: State = State.RUNNING) -> Picture:
    return Picture(run, state, History(), Curves(EMPTY, EMPTY, EMPTY, None, {}, {}, (), ()))


@pytest.fixture
def panel(qtbot: QtBot, qapp: QApplication) -> CurvesPanel:
    theme.apply(qapp, "light")
    made = CurvesPanel()
    qtbot.addWidget(made)
    made.resize(900, 900)
    with qtbot.waitExposed(made):
        made.show()
    return made


def shown(qtbot: QtBot, panel: CurvesPanel, *pictures: Picture, runs: tuple[RunSpec, ...] | None = None) -> None:
    panel.set_runs(
        runs or [RunSpec(one.run, f"run {one.run}", theme.series_colour(n)) for n, one in enumerate(pictures)]
    )
    for picture in pictures:
        panel.show(picture.run, picture)
    qtbot.waitUntil(panel.is_settled)


def choose(qtbot: QtBot, panel: CurvesPanel, choice: Choice, value: str) -> None:
    """Choose by keys, as far as the choice is offered."""
    choice.setFocus()
    QTest.keyClick(choice, Qt.Key.Key_Home)
    while choice.value() != value:
        before = choice.currentIndex()
        QTest.keyClick(choice, Qt.Key.Key_Down)
        assert choice.currentIndex() > before, f"{value} is not offered"
    qtbot.waitUntil(panel.is_settled)


def names(panel: CurvesPanel, plot: str) -> list[str]:
    return [line.name for line in panel.plots[plot].drawing.lines]


def cells(panel: CurvesPanel) -> dict[str, str]:
    titles = [column.title for column in panel.readout.columns]
    return dict(zip(titles, panel.readout.rows[0].cells, strict=True))


# --- numbers


def plain_ema(values: list[float], weight: float) -> list[float]:
    """TensorBoard's own loop: debiased, and what is not finite is passed through."""
    last, count, smooth = 0.0, 0, []
    for value in values:
        if not math.isfinite(value):
            smooth.append(math.nan)
            continue
        last = last * weight + (1 - weight) * value
        count += 1
        smooth.append(last / (1 - weight**count))
    return smooth


@pytest.mark.parametrize("weight", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_smoothing_is_the_debiased_average_and_keeps_gaps(weight: float) -> None:
    values = np.random.default_rng(0).normal(3, 1, 700)
    values[[0, 5, 6, 300, 699]] = math.nan
    np.testing.assert_allclose(ema(values, weight), plain_ema(values.tolist(), weight), rtol=1e-12)


@pytest.mark.parametrize("values", [[], [math.nan], [2.0], [math.nan, 2.0, math.nan]])
def test_smoothing_of_almost_nothing(values: list[float]) -> None:
    np.testing.assert_allclose(ema(np.array(values), 0.6), np.array(values))


def test_a_weight_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="below 1"):
        ema(np.ones(3), 1.0)


def test_thinning_keeps_every_peak() -> None:
    x = np.arange(200_000.0)
    y = np.random.default_rng(1).normal(0, 1, len(x))
    y[123_456], y[7] = 50.0, -50.0
    thin_x, thin_y = lines.thinned(x, y, 0, 200_000, 500)
    assert len(thin_x) <= 1000
    assert np.all(np.diff(thin_x) >= 0)
    assert (thin_y.max(), thin_y.min()) == (50.0, -50.0)
    for column in range(500):  # each column as a plain loop would have it
        part = y[400 * column : 400 * (column + 1)]
        assert sorted(thin_y[2 * column : 2 * column + 2]) == [part.min(), part.max()]


def test_thinning_keeps_a_long_gap_and_leaves_few_points_alone() -> None:
    x = np.arange(10_000.0)
    y = np.ones(10_000)
    y[4_000:6_000] = math.nan
    assert np.isnan(lines.thinned(x, y, 0, 10_000, 100)[1]).sum() == 40
    few = lines.thinned(x[:150], y[:150], 0, 150, 100)
    np.testing.assert_array_equal(few[0], x[:150])


@pytest.mark.parametrize(
    ("kind", "low", "high", "texts"),
    [
        ("tokens", 0, 2_400_000, ["0", "500K", "1M", "1.5M", "2M"]),
        ("seconds", 0, 250, ["0", "1 min", "2 min", "3 min", "4 min"]),
        ("seconds", 0, 4 * 3600, ["0", "1 h", "2 h", "3 h", "4 h"]),
        ("seconds", 250, 251, ["4:10.0", "4:10.2", "4:10.4", "4:10.6", "4:10.8", "4:11.0"]),
        ("seconds", 3900, 3960, ["1:05:00", "1:05:15", "1:05:30", "1:05:45", "1:06:00"]),
        ("step", 0, 3, ["0", "1", "2", "3"]),
        ("step", 123_400, 123_440, ["123\u202f400", "123\u202f410", "123\u202f420", "123\u202f430", "123\u202f440"]),
        ("flops", 0, 4e15, ["0", "1×10¹⁵", "2×10¹⁵", "3×10¹⁵", "4×10¹⁵"]),
    ],
)
def test_ticks_read_as_people_write(kind: ticks.XKind, low: float, high: float, texts: list[str]) -> None:
    assert ticks.x_texts(kind, ticks.x_ticks(kind, low, high, 5)) == texts


@pytest.mark.parametrize("kind", ["step", "tokens", "seconds", "flops"])
@pytest.mark.parametrize("most", [2, 3, 8])
def test_an_axis_has_two_ticks_at_least_and_no_two_alike(kind: ticks.XKind, most: int) -> None:
    for low, high in (
        (0, 4.24e13),
        (0, 900),
        (0, 17),
        (0, 1),
        (250.0, 251.5),
        (3900, 4000),
        (1e5, 1.1e5),
        (3e6, 3.1e6),
    ):
        found = ticks.x_ticks(kind, low, high, most)
        assert len(set(ticks.x_texts(kind, found))) == len(found)
        assert len(found) >= (2 if high - low >= 2 or kind in ("seconds", "flops") else 1), (low, high)
        assert len(found) <= most + 4


def test_ticks_of_a_log_axis_are_round_and_in_sight() -> None:
    for low, high in ((1.1, 9.4), (0.0003, 12), (1e-9, 1e9), (3.01, 3.02)):
        found = ticks.logarithmic(low, high, 6)
        assert 1 < len(found) <= 7
        assert all(low <= tick <= high * (1 + 1e-9) for tick in found)


# --- one run, several runs


def test_one_run_shows_its_parts_apart(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    assert names(panel, "loss") == ["total", "ce", "held_out_ce", "kd"]
    assert len({line.colour for line in panel.plots["loss"].drawing.lines}) == 3
    assert [level.label for level in panel.plots["held_out"].drawing.levels] == ["Teacher"]
    assert not panel.part_choice.isVisible()
    assert cells(panel)["Cross-entropy"] == "1.527"
    assert panel.boxes["memory"].value.text() == "910 MB"
    assert "Step 200" in panel.readout.position


def test_several_runs_show_the_chosen_part_in_a_colour_each(qtbot: QtBot, panel: CurvesPanel) -> None:
    runs = (RunSpec("a", "guided", theme.series_colour(0)), RunSpec("b", "alone", theme.series_colour(1), "dotted"))
    shown(qtbot, panel, a_picture("a"), a_picture("b", 120), runs=runs)
    assert names(panel, "loss") == ["total", "total"]
    assert [line.dash for line in panel.plots["loss"].drawing.lines] == ["solid", "dotted"]
    choose(qtbot, panel, panel.part_choice, "ce")
    assert names(panel, "loss") == ["ce", "held_out_ce", "ce", "held_out_ce"]
    assert [row.name for row in panel.readout.rows] == ["guided", "alone"]
    assert len(panel.plots["held_out"].drawing.levels) == 1  # the same teacher once


def test_a_run_that_ended_has_no_value_far_behind_its_end(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture("a"), a_picture("b", 100))
    panel.look_at(190.0)
    assert panel.readout.rows[0].cells[0] != "–"
    assert panel.readout.rows[1].cells[0] == "–"


def test_a_control_run_without_a_teacher_has_no_distillation_line(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture(kd=np.full(200, math.nan)))
    assert "kd" not in names(panel, "loss")
    assert panel.note.text() == ""


def test_further_parts_are_drawn_and_can_be_switched_off_but_never_all(qtbot: QtBot, panel: CurvesPanel) -> None:
    flat = np.full(200, 0.4)
    shown(qtbot, panel, a_picture(hidden=flat, relations=flat / 2, odd_part=flat * 2))
    assert names(panel, "loss") == ["total", "ce", "held_out_ce", "kd", "hidden", "relations", "odd_part"]
    assert [line.labelled for line in panel.plots["loss"].drawing.lines if line.dots] == [False]  # room for the others
    assert cells(panel)["Hidden states"] == "0.400"
    actions = {action.text(): action for action in panel.parts_button.menu().actions()}
    assert list(actions) == [
        "Total", "Cross-entropy", "Teacher's part", "Hidden states", "Attention relations", "Odd part"
    ]  # fmt: skip
    for text in list(actions)[1:]:
        actions[text].trigger()
    qtbot.waitUntil(panel.is_settled)
    assert names(panel, "loss") == ["total"]
    assert not actions["Total"].isEnabled()
    assert "stays" in actions["Total"].toolTip()
    actions["Hidden states"].trigger()
    actions["Total"].trigger()
    shown(qtbot, panel, a_picture("plain"))  # it has no hidden states, and something must be drawn
    assert names(panel, "loss") == ["total", "ce", "held_out_ce", "kd"]


def test_of_several_runs_a_further_part_can_be_chosen(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture("a", hidden=np.full(200, 0.4)), a_picture("b"))
    choose(qtbot, panel, panel.part_choice, "hidden")
    assert names(panel, "loss") == ["hidden"]
    assert not panel.parts_button.isVisible()
    shown(qtbot, panel, a_picture("b"), a_picture("c"))
    assert names(panel, "loss") == ["total", "total"]


def test_own_words_and_balance_have_a_plot_only_where_there_are_any(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    assert not panel.boxes["rates"].isVisible()
    shown(qtbot, panel, a_picture(generated=np.full(200, 0.52)))
    assert panel.boxes["rates"].isVisible()
    assert (panel.boxes["rates"].title.text(), panel.boxes["rates"].value.text()) == ("Own words", "52.0%")
    assert cells(panel)["Own words"] == "52.0%"
    shown(qtbot, panel, a_picture(generated=np.full(200, 0.52), balance=np.full(200, 1.7)))
    assert names(panel, "rates") == ["generated", "balance"]
    shown(qtbot, panel, a_picture("a", generated=np.full(200, 0.5)), a_picture("b", balance=np.full(200, 1.7)))
    assert names(panel, "rates") == ["generated"]


def test_the_links_of_a_chain_are_parted_and_smoothed_apart(qtbot: QtBot, panel: CurvesPanel) -> None:
    total = np.concatenate([np.full(100, 1.0), np.full(100, 5.0)])
    picture = a_picture(total=total)
    borders = (Border(0, 1, 2, "1-2M"), Border(100, 2, 2, "2-1.3M"))
    picture = dataclasses.replace(picture, curves=dataclasses.replace(picture.curves, borders=borders))
    shown(qtbot, panel, picture)
    assert panel.plots["loss"].drawing.marks.borders == ((0.0, "link 1: 2M", ""), (100.0, "link 2: 1.3M", ""))
    line = panel.plots["loss"].drawing.lines[0]
    np.testing.assert_allclose(line.shown, total)  # nothing of the first link lingers in the second
    panel.look_at(101.0)
    assert "link 2 of 2 begins" in panel.readout.happened
    panel.grab()


# --- states


def test_an_empty_plot_says_what_will_come(qtbot: QtBot, panel: CurvesPanel) -> None:
    qtbot.waitUntil(panel.is_settled)
    assert panel.plots["loss"].empty_text == "No run is chosen."
    panel.set_runs([("a", "run a", theme.series_colour(0))])
    qtbot.waitUntil(panel.is_settled)
    assert panel.plots["loss"].empty_text == "Reading the journal…"
    shown(qtbot, panel, nothing_yet())
    assert panel.plots["loss"].empty_text == "The loss appears here after the first step."
    shown(qtbot, panel, nothing_yet(state=State.FAILED))
    assert "ended before" in panel.plots["loss"].accessibleDescription()
    shown(qtbot, panel, a_picture(count=1))
    assert panel.plots["loss"].has_points()
    assert not panel.plots["held_out"].has_points()


def test_off_screen_nothing_is_drawn_until_it_is_shown_again(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture(count=50))
    panel.hide()
    panel.show("a", a_picture(count=80))
    assert panel.is_settled()
    assert len(panel.plots["loss"].drawing.lines[0].x) == 50
    panel.show()
    qtbot.waitUntil(lambda: panel.is_settled() and len(panel.plots["loss"].drawing.lines[0].x) == 80)


def test_a_picture_of_another_run_is_not_drawn(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture("a"))
    panel.show("b", a_picture("b"))
    assert panel.is_settled()


def test_points_without_a_value_are_counted_and_marked(qtbot: QtBot, panel: CurvesPanel) -> None:
    total = np.linspace(5, 1, 200)
    total[[50, 51, 90]] = math.nan
    shown(qtbot, panel, a_picture(total=total))
    assert "Loss, Total: 3" in panel.note.text()
    line = panel.plots["loss"].drawing.lines[0]
    assert line.gaps(log=False).tolist() == [51, 52, 91]
    before = panel.plots["loss"].grab().toImage()
    shown(qtbot, panel, a_picture(total=np.linspace(5, 1, 200)))
    assert panel.note.text() == ""
    assert panel.plots["loss"].grab().toImage() != before


def test_on_a_log_scale_points_not_above_zero_are_told(qtbot: QtBot, panel: CurvesPanel) -> None:
    kd = np.linspace(3, -0.1, 200)
    shown(qtbot, panel, a_picture(kd=kd))
    assert panel.note.text() == ""
    QTest.mouseClick(panel.log_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(panel.is_settled)
    assert f"Loss, Teacher's part: {(kd <= 0).sum()}" in panel.note.text()
    assert panel.plots["loss"].log
    assert not panel.plots["memory"].log


# --- choices


def test_x_by_tokens_time_and_flops(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    for kind, end in (("tokens", 204_800), ("seconds", 25), ("flops", 2.048e11), ("step", 200)):
        choose(qtbot, panel, panel.x_choice, kind)
        assert panel.plots["loss"].x_range == (0, end)
    choose(qtbot, panel, panel.x_choice, "flops")
    assert panel.readout.position == "Step 200 · 2.05×10¹¹ FLOPs"


def test_unknown_flops_are_refused_with_the_reason(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    choose(qtbot, panel, panel.x_choice, "flops")
    shown(qtbot, panel, a_picture(flops=False))
    assert panel.choices.x == panel.x_choice.value() == "step"
    with pytest.raises(AssertionError, match="not offered"):
        choose(qtbot, panel, panel.x_choice, "flops")
    last = panel.x_choice.count() - 1
    assert panel.x_choice.itemText(last) == "by FLOPs (not known)"
    assert "run a" in panel.x_choice.itemData(last, Qt.ItemDataRole.ToolTipRole)
    shown(qtbot, panel, a_picture())
    choose(qtbot, panel, panel.x_choice, "flops")


def test_the_smoothing_slider_smooths_but_leaves_the_raw_line(qtbot: QtBot, panel: CurvesPanel) -> None:
    noisy = np.random.default_rng(2).normal(3, 0.5, 200)
    shown(qtbot, panel, a_picture(total=noisy))
    panel.slider.setFocus()
    QTest.keyClick(panel.slider, Qt.Key.Key_End)
    qtbot.waitUntil(panel.is_settled)
    line = panel.plots["loss"].drawing.lines[0]
    np.testing.assert_allclose(line.shown, ema(noisy, 0.99))
    np.testing.assert_array_equal(line.y, noisy)
    QTest.keyClick(panel.slider, Qt.Key.Key_Home)
    qtbot.waitUntil(panel.is_settled)
    assert panel.plots["loss"].drawing.lines[0].smooth is None


def test_the_held_out_figure_can_be_chosen(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    panel.metric_choice.setFocus()
    QTest.keyClick(panel.metric_choice, Qt.Key.Key_End)
    qtbot.waitUntil(panel.is_settled)
    assert names(panel, "held_out") == ["agreement"]
    assert panel.plots["held_out"].drawing.levels == ()
    assert cells(panel)["Agreement with the teacher"].endswith("%")


def test_more_plots_are_behind_a_button(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    assert not panel.plots["lr"].isVisible()
    QTest.mouseClick(panel.more_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(panel.is_settled)
    assert panel.plots["lr"].isVisible()
    assert panel.boxes["lr"].value.text() == "2.8×10⁻³"


# --- pointer and keys


def wheel(panel: CurvesPanel, turn: int, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> bool:
    plot = panel.plots["loss"]
    place = QPointF(plot.area().center())
    event = QWheelEvent(
        place, QPointF(plot.mapToGlobal(place.toPoint())), QPoint(), QPoint(0, turn), Qt.MouseButton.NoButton, keys,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    return QApplication.sendEvent(plot, event) and event.isAccepted()


def test_the_wheel_zooms_all_plots_and_a_double_click_resets(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    panel.plots["loss"].setFocus()
    assert wheel(panel, 240)
    qtbot.waitUntil(panel.is_settled)
    low, high = panel.plots["loss"].x_range
    assert 0 < low < high < 200
    assert panel.plots["memory"].x_range == (low, high)
    panel.show("a", a_picture(count=260))  # a zoomed view stays where it is
    qtbot.waitUntil(panel.is_settled)
    assert panel.plots["loss"].x_range == (low, high)
    QTest.mouseDClick(panel.plots["loss"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(panel.is_settled)
    assert panel.plots["loss"].x_range == (0, 260)
    panel.show("a", a_picture(count=300))  # and follows again
    qtbot.waitUntil(panel.is_settled)
    assert panel.plots["loss"].x_range == (0, 300)


def test_where_the_wheel_scrolls_it_zooms_only_a_plot_with_the_focus(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    panel.resize(900, 300)
    qtbot.waitUntil(lambda: panel.plots["loss"].wheel_needs_focus)
    panel.slider.setFocus()
    assert not wheel(panel, 240)
    assert wheel(panel, 240, Qt.KeyboardModifier.ControlModifier)
    panel.plots["loss"].setFocus()
    assert wheel(panel, 240)


def test_dragging_chooses_a_part_of_x_and_with_shift_of_y(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    plot = panel.plots["loss"]
    area = plot.area()
    start = area.topLeft().toPoint() + QPoint(round(area.width() / 4), 20)
    end = start + QPoint(round(area.width() / 2), 60)
    for keys in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier):
        y_before = plot.y_range
        QTest.mousePress(plot, Qt.MouseButton.LeftButton, keys, start)
        QTest.mouseMove(plot, end)
        QTest.mouseRelease(plot, Qt.MouseButton.LeftButton, keys, end)
        qtbot.waitUntil(panel.is_settled)
    assert plot.x_range == pytest.approx((50, 150), abs=1)
    assert plot.y_range[1] - plot.y_range[0] == pytest.approx(
        60 / area.height() * (y_before[1] - y_before[0]), rel=0.05
    )
    QTest.mouseClick(panel.reset_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(panel.is_settled)
    assert not panel.is_zoomed()
    assert plot.x_range == (0, 200)


def test_the_pointer_reads_all_plots_at_the_same_x(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture(resumed=(100,)))
    plot = panel.plots["loss"]
    area = plot.area()
    QTest.mouseMove(plot, QPoint(round(area.left() + area.width() / 2), round(area.center().y())))
    qtbot.waitUntil(lambda: plot.rule_x is not None)
    assert plot.rule_x == pytest.approx(100, abs=1)
    assert panel.plots["memory"].rule_x == plot.rule_x
    panel.look_at(100.0)
    assert panel.readout.position == "Step 100 · 102K tokens · 12 s"
    assert panel.readout.happened == "checkpoint · resumed here"
    assert panel.boxes["speed"].value.text() == "8.1K"
    assert cells(panel)["Total"] == f"{1 + 4 * math.exp(-100 / 40):.3f}"


def test_keys_move_the_read_out_zoom_and_reset(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    plot = panel.plots["loss"]
    plot.setFocus()
    QTest.keyClick(plot, Qt.Key.Key_Home)
    assert panel.readout.position.startswith("Step 1 ")
    QTest.keyClick(plot, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(plot, Qt.Key.Key_Left)
    assert panel.readout.position.startswith("Step 10 ")
    QTest.keyClick(plot, Qt.Key.Key_Plus)
    qtbot.waitUntil(panel.is_settled)
    assert plot.x_range[1] < 200
    QTest.keyClick(plot, Qt.Key.Key_End)  # out of view: the view follows
    qtbot.waitUntil(panel.is_settled)
    assert plot.x_range[1] == 200
    QTest.keyClick(plot, Qt.Key.Key_0)
    QTest.keyClick(plot, Qt.Key.Key_Escape)
    qtbot.waitUntil(panel.is_settled)
    assert panel.readout.position.startswith("Step 200 ")
    assert panel.readout.position_tip.startswith("Newest")


def test_the_values_are_told_in_words(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    assert panel.plots["loss"].accessibleName() == "Loss"
    assert "Cross-entropy 1.527" in panel.plots["loss"].accessibleDescription()
    assert "Throughput 8.1K" in panel.readout.accessibleDescription()
    for control in (panel.slider, panel.reset_button, panel.export_button, panel.metric_choice, panel.x_choice):
        assert control.accessibleName()


# --- looks


def test_the_look_follows_the_theme(qtbot: QtBot, qapp: QApplication, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())

    def has(colour: str) -> bool:
        image = panel.plots["held_out"].grab().toImage()
        return any(image.pixelColor(x, y).name() == colour.lower() for x in range(image.width()) for y in range(image.height()))  # fmt: skip

    assert has(theme.LIGHT.series[0])
    theme.apply(qapp, "dark")
    assert has(theme.DARK.series[0])
    assert not has(theme.LIGHT.series[0])


def test_a_low_pane_shows_the_loss_and_the_held_out_figures_under_two_short_rows(
    qtbot: QtBot, panel: CurvesPanel
) -> None:
    panel.resize(670, 450)
    shown(qtbot, panel, a_picture())
    panel.resize(640, 450)
    qtbot.waitUntil(panel.is_settled)
    tools = (panel.x_choice, panel.slider, panel.log_button, panel.more_button, panel.reset_button, panel.export_button)
    assert len({tool.mapTo(panel, tool.rect().center()).y() // 4 for tool in tools}) == 1
    assert panel.x_choice.height() <= 36
    assert panel.readout.height() <= 2 * ROW

    def bottom(name: str) -> int:
        plot = panel.plots[name]
        return plot.mapTo(panel, plot.rect().bottomLeft()).y()

    assert panel.plots["loss"].height() >= 200
    assert bottom("loss") < bottom("held_out") <= 450
    assert panel.plots["speed"].height() >= 110
    panel.resize(900, 450)
    qtbot.waitUntil(lambda: bottom("loss") == bottom("held_out"))
    assert bottom("speed") == bottom("memory") <= 450
    assert panel.plots["loss"].width() > panel.plots["held_out"].width()


def test_no_value_of_the_flowing_read_out_leaves_it_or_jumps_while_the_pointer_moves(
    qtbot: QtBot, panel: CurvesPanel
) -> None:
    panel.resize(640, 450)
    shown(qtbot, panel, a_picture())
    places = panel.readout._flow(panel.readout.width())
    widths = [panel.readout._position_width, *panel.readout._widths]
    assert len(places) == len(panel.readout.columns) + 1
    assert all(left + width <= 640 + 14 for (left, _), width in zip(places, widths, strict=True))
    panel.look_at(3.0)
    assert panel.readout._flow(panel.readout.width()) == places


def test_runs_whose_colour_comes_again_are_dashed(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, *(a_picture(str(number), 20) for number in range(17)))
    drawn = [(line.colour, line.dash) for line in panel.plots["speed"].drawing.lines]
    assert len(set(drawn)) == 17
    assert [dash for _, dash in drawn] == ["solid"] * 8 + ["dashed"] * 8 + ["dashdot"]
    assert panel.readout.rows[8].key.dash == "dashed"
    panel.grab()


def test_many_points_are_painted_over_several_turns_and_nothing_is_lost(qtbot: QtBot, panel: CurvesPanel) -> None:
    noise = np.random.default_rng(3).normal(3, 0.4, 6000)
    shown(qtbot, panel, *(a_picture(run, 6000, total=noise) for run in "abc"))
    panel.grab()
    qtbot.waitUntil(panel.is_settled)
    plot = panel.plots["loss"]
    whole = plot.grab().toImage()
    plot.refresh_lines()
    assert plot.grab().toImage() == whole  # the picture before stands in, in its place
    assert not panel.is_settled()
    turns = 0
    while plot.advance():
        turns += 1
    assert turns >= 6  # a raw and a smoothed line a run
    assert plot.grab().toImage() == whole
    panel.resize(700, 800)
    qtbot.waitUntil(lambda: panel.is_settled() and not plot._stale)
    assert plot.grab().toImage() != whole


def test_axes_run_from_left_to_right_in_every_script(qtbot: QtBot, panel: CurvesPanel) -> None:
    shown(qtbot, panel, a_picture())
    plot = panel.plots["loss"]
    before = plot.grab().toImage()
    panel.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    qtbot.waitUntil(panel.is_settled)
    assert plot.grab().toImage() == before


@pytest.mark.parametrize("direction", [Qt.LayoutDirection.LeftToRight, Qt.LayoutDirection.RightToLeft])
@pytest.mark.parametrize("width", [420, 760, 1300])
def test_all_values_fit_into_the_read_out(
    qtbot: QtBot, panel: CurvesPanel, width: int, direction: Qt.LayoutDirection
) -> None:
    panel.setLayoutDirection(direction)
    panel.resize(width, 900)
    shown(qtbot, panel, *(a_picture(run) for run in "abcdefgh"))
    places = panel.readout._places(panel.readout.width())
    told = sorted(number for band in places.bands for number in band)
    spare = {number for number, column in enumerate(panel.readout.columns) if column.spare}
    assert set(range(len(panel.readout.columns))) - spare <= set(told)
    widest = max(sum(panel.readout._widths[number] for number in band) for band in places.bands)
    assert places.name + widest <= panel.readout.width() + 14
    panel.grab()


# --- export


def test_csv_has_every_point_as_it_came(qtbot: QtBot, panel: CurvesPanel, tmp_path: Path) -> None:
    total = np.linspace(5, 1, 200)
    total[7] = math.nan
    own = np.full(200, 0.5)
    shown(qtbot, panel, a_picture("a", total=total, generated=own, odd=own), a_picture("b", 100, flops=False))
    with qtbot.waitSignal(panel.exported):
        panel.export(tmp_path / "curves.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "curves.csv").read_text("utf-8-sig"))))
    trained = [row for row in rows if row["kind"] == "training"]
    assert len(trained) == 300
    assert [float(row["total loss (nats/token)"] or "nan") for row in trained[:200]] == pytest.approx(total.tolist(), nan_ok=True)  # fmt: skip
    assert trained[7]["total loss (nats/token)"] == ""
    assert trained[0]["memory (bytes)"] == "910000000"
    assert trained[250]["FLOPs"] == ""
    assert (trained[0]["own words (share of learnt tokens)"], trained[0]["odd"], trained[250]["odd"]) == (
        "0.5",
        "0.5",
        "",
    )
    assert "balance (factor)" not in trained[0]
    assert {row["kind"] for row in rows} == {"training", "held-out, student", "held-out, teacher"}
    assert [path.name for path in tmp_path.iterdir()] == ["curves.csv"]


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_pictures_are_written(qtbot: QtBot, panel: CurvesPanel, tmp_path: Path, kind: str) -> None:
    shown(qtbot, panel, a_picture())
    path = tmp_path / f"curves.{kind}"
    with qtbot.waitSignal(panel.exported):
        panel.export(path)
    if kind == "png":
        assert QImage(str(path)).width() == 2 * 1120
    else:
        text = path.read_text()
        assert "<polyline" in text
        assert "run a" in text
        assert "<image" not in text


def test_an_export_that_fails_is_told_and_leaves_what_was_there(
    qtbot: QtBot, panel: CurvesPanel, tmp_path: Path
) -> None:
    shown(qtbot, panel, a_picture())
    with qtbot.waitSignal(panel.troubled) as told:
        panel.export(tmp_path / "no such folder" / "curves.csv")
    assert isinstance(told.args[0], Trouble)
    assert "curves.csv" in str(told.args[0])
    shown(qtbot, panel, nothing_yet())
    with qtbot.waitSignal(panel.troubled) as told:
        panel.export(tmp_path / "curves.png")
    assert "no points yet" in str(told.args[0])
    assert not list(tmp_path.iterdir())


def test_csv_text_of_whole_and_broken_numbers() -> None:
    curves = dataclasses.replace(a_picture(count=1).curves, evaluations={})
    text = export.table([(RunSpec("a", 'a "quoted", name', "#000000"), curves)]).decode("utf-8-sig")
    assert '"a ""quoted"", name"' in text


# --- the small curve of tables


@pytest.mark.parametrize("values", [[], [math.nan], [1.0], [3.0, 2.0, math.nan, 1.0], [2.0] * 32])
def test_a_spark_stays_in_its_cell(qapp: QApplication, values: list[float]) -> None:
    image = QImage(80, 40, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.white)
    painter = QPainter(image)
    paint_spark(painter, QRectF(10, 10, 60, 20), values, "#000000")
    painter.end()
    drawn = [(x, y) for x in range(80) for y in range(40) if image.pixelColor(x, y).lightness() < 250]
    assert bool(drawn) == any(math.isfinite(value) for value in values)
    assert all(10 <= x < 70 and 10 <= y < 30 for x, y in drawn)
