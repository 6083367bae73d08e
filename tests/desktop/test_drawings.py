"""The drawings of shapes and of memory: their words, their scale, and that they paint every size there is."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QHelpEvent, QImage
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from core.estimate import Part
from core.shapes import Shape
from desktop_app import theme
from desktop_app.charts.memory_bar import MemoryBar, band_text, part_colour
from desktop_app.charts.shape_drawing import ShapeDrawing, drawn_widths

GB = 10**9


def shape(layers: int, hidden: int, heads: int, intermediate: int) -> Shape:
    return Shape(
        model_type="llama", layers=layers, hidden=hidden, heads=heads, kv_heads=heads, head_dim=hidden // heads,
        intermediate=intermediate, vocabulary=4096, context=512, tied=True,
    )  # fmt: skip


TEACHER, STUDENT = shape(8, 256, 8, 688), shape(4, 160, 5, 432)


@pytest.fixture
def drawing(qtbot: QtBot, qapp: QApplication) -> ShapeDrawing:
    theme.apply(qapp, "light")
    made = ShapeDrawing()
    qtbot.addWidget(made)
    made.resize(400, 160)
    return made


@pytest.fixture
def bar(qtbot: QtBot, qapp: QApplication) -> MemoryBar:
    theme.apply(qapp, "light")
    made = MemoryBar()
    qtbot.addWidget(made)
    made.resize(420, 200)
    made.show()
    return made


def count(image: QImage, role: str) -> int:
    wanted = theme.colour(role).rgb()
    return sum(image.pixel(x, y) == wanted for x in range(image.width()) for y in range(image.height()))


def parts(*sizes: int) -> list[Part]:
    names = ("process", "teacher weights", "student weights", "optimizer", "logits")
    return [Part(name=name, bytes=size, error=0.1, reason="so it is") for name, size in zip(names, sizes, strict=False)]


def test_the_pair_is_drawn_in_grey_and_accent_with_its_numbers(drawing: ShapeDrawing) -> None:
    drawing.set_shapes(TEACHER, STUDENT)
    name = drawing.accessibleName().replace("\u00a0", " ").replace("\u200e", "")
    assert "Teacher: 8 layers · 256 wide · 8 heads" in name
    assert "Student: 4 layers · 160 wide · 5 heads" in name
    image = drawing.grab().toImage()
    assert count(image, "teacher") > count(image, "accent") > 100


def test_the_layers_that_the_student_keeps_stand_out_in_the_teacher(drawing: ShapeDrawing) -> None:
    drawing.set_shapes(TEACHER, STUDENT)
    before = count(drawing.grab().toImage(), "accent")
    drawing.set_shapes(TEACHER, STUDENT, kept=(0, 2, 5, 7))
    assert count(drawing.grab().toImage(), "accent") > 1.5 * before


def test_a_missing_student_is_told_in_words(drawing: ShapeDrawing) -> None:
    drawing.set_shapes(TEACHER, None)
    assert "Its shape follows from its size." in drawing.accessibleName()
    assert count(drawing.grab().toImage(), "accent") == 0
    drawing.set_shapes(None, None)
    assert "will be drawn here" in drawing.accessibleName()


def test_a_model_alone_needs_no_title(drawing: ShapeDrawing) -> None:
    drawing.set_shapes(None, shape(1, 64, 1, 128))
    assert drawing.accessibleName().replace("\u00a0", " ").replace("\u200e", "") == "1 layer · 64 wide · 1 head"
    assert count(drawing.grab().toImage(), "accent") > 100


@pytest.mark.parametrize("size", [(160, 96), (400, 140), (900, 300)])
def test_eighty_layers_beside_one_stay_within_the_drawing(drawing: ShapeDrawing, size: tuple[int, int]) -> None:
    drawing.resize(*size)
    drawing.set_shapes(shape(80, 8192, 64, 28672), shape(1, 64, 1, 64))
    image = drawing.grab().toImage()
    assert count(image, "teacher") > 100
    assert count(image, "accent") > 0


def test_widths_are_to_scale_unless_one_would_vanish() -> None:
    assert drawn_widths([TEACHER, STUDENT], 688) == [(256, 688), (160, 432)]
    (wide, _), (narrow, _) = drawn_widths([shape(80, 8192, 64, 28672), shape(2, 64, 2, 128)], 200)
    assert 1 < narrow < wide
    assert wide / narrow < 8192 / 64


def test_the_bar_says_what_is_taken_of_what_is_free(bar: MemoryBar) -> None:
    bar.set_estimate(parts(GB, GB // 10), 16 * GB, 16 * GB, (9 * GB // 10, 13 * GB // 10))
    assert bar.sentence.text() == "1.1 GB of 16 GB free (900 MB–1.3 GB)"
    assert bar.sentence.property("role") is None
    assert bar.held.isHidden()
    assert "process 1 GB" in bar.accessibleName()


def test_too_much_memory_is_told_in_words_and_hatched(bar: MemoryBar) -> None:
    bar.set_estimate(parts(GB, 4 * GB), 16 * GB, 20 * GB)
    fits = count(bar.bar.grab().toImage(), "error")
    bar.set_estimate(parts(GB, 20 * GB), 16 * GB, 20 * GB, (19 * GB, 23 * GB))
    assert "do not fit: 5 GB more than the 16 GB that are free" in bar.sentence.text()
    assert bar.sentence.property("role") == "error"
    assert count(bar.bar.grab().toImage(), "error") > fits + 100


def test_a_close_fit_is_a_warning(bar: MemoryBar) -> None:
    bar.set_estimate(parts(15 * GB), 16 * GB, 16 * GB, (14 * GB, 17 * GB))
    assert bar.sentence.text().endswith("it may not fit")
    assert bar.sentence.property("role") == "warning"


def test_every_part_is_listed_with_its_bytes_and_its_reason(bar: MemoryBar) -> None:
    bar.set_estimate(parts(GB, 2 * GB, 3 * GB, 0, GB // 2), 16 * GB, 24 * GB)
    rows = bar.rows()
    assert [row.bytes.text() for row in rows] == ["1 GB", "2 GB", "3 GB", "500 MB"], "an empty part is no part"
    assert all("so it is" in row.toolTip() for row in rows)
    assert "8 GB" in bar.held.text()
    bar.set_estimate(parts(GB), 16 * GB, 24 * GB)
    assert len(bar.rows()) == 1


def test_hovering_over_the_bar_names_the_part(bar: MemoryBar, qtbot: QtBot) -> None:
    bar.set_estimate(parts(8 * GB, 8 * GB), 16 * GB, 16 * GB)
    spot = QPoint(bar.bar.width() * 3 // 4, bar.bar.height() // 2)
    QApplication.sendEvent(bar.bar, QHelpEvent(QHelpEvent.Type.ToolTip, spot, bar.bar.mapToGlobal(spot)))
    qtbot.waitUntil(lambda: "teacher weights: 8 GB" in QToolTip.text())
    QToolTip.hideText()


def test_nothing_estimated_says_what_will_come(bar: MemoryBar) -> None:
    bar.set_estimate((), 0, 0)
    assert "will stand here" in bar.sentence.text()
    assert bar.rows() == []
    bar.grab()


def test_the_bar_begins_at_the_right_in_a_language_written_so(bar: MemoryBar) -> None:
    bar.set_estimate(parts(4 * GB), 16 * GB, 16 * GB)
    before = bar.bar.grab().toImage()
    bar.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    after = bar.bar.grab().toImage()
    grey, middle = part_colour("process").rgb(), before.height() // 2
    assert before.pixel(20, middle) == grey == after.pixel(after.width() - 20, middle)


def test_a_part_has_one_colour_whatever_stands_beside_it() -> None:
    names = ("process", "teacher weights", "student weights", "gradients", "optimizer", "activations", "logits")
    assert len({part_colour(name).name() for name in names}) == len(names)
    assert part_colour("student weights") == theme.colour("accent")


def test_a_band_names_its_unit_once() -> None:
    assert band_text(0.9e9, 1.3e9) == "900 MB–1.3 GB"
    assert band_text(1.9e9, 2.3e9) == "1.9–2.3 GB"
