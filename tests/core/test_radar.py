"""A radar's scales are the same whichever models are shown, and a gap is a gap."""

from __future__ import annotations

import math

import pytest

from core.radar import axes_of, spokes, turned_round, words_for
from core.scores import Score


def score(task: str, value: float, metric: str = "acc", on: str = "v1") -> Score:
    return Score(task, metric, value, 0.01, on, 100, True)


ARC, PIQA, BITS = score("arc_easy", 0.4), score("piqa", 0.75), score("text", 1.0, "bits_per_byte")


def by_column(*found: Score) -> dict:
    return {each.column: each for each in found}


def test_axes_have_a_fixed_order_whatever_order_the_scores_come_in() -> None:
    unheard = score("my_own_task", 0.1)
    titles = [axis.title for axis in axes_of([unheard, BITS, PIQA, ARC])]
    assert (
        titles
        == [axis.title for axis in axes_of([ARC, PIQA, unheard, BITS])]
        == ["ARC easy", "PIQA", "my own task", "bits per byte"]
    )
    assert [axis.column[0] for axis in axes_of([ARC, PIQA, BITS], ["text", "arc_easy"])] == ["text", "arc_easy"]


def test_of_two_versions_of_a_task_the_one_that_most_models_have_is_the_axis() -> None:
    other = score("arc_easy", 0.5, on="v2")
    assert [axis.column[2] for axis in axes_of([ARC, other, score("arc_easy", 0.7)])] == ["v1"]
    assert [axis.column[2] for axis in axes_of([ARC, other, other])] == ["v2"]


def test_axes_that_nobody_chose_are_few_and_leave_out_the_parts_of_a_whole() -> None:
    parts = [score(f"mmlu_subject_{n}", 0.3) for n in range(20)]
    assert len(axes_of(parts)) == 12
    assert [axis.title for axis in axes_of([*parts, score("mmlu", 0.3), ARC])] == ["ARC easy", "MMLU"]
    assert len(axes_of([*parts, score("mmlu", 0.3)], [part.task for part in parts])) == 20


def test_what_guessing_scores_is_zero_and_below_it_is_negative() -> None:
    axes = axes_of([ARC, PIQA, score("my_own_task", 0.3)])
    found = spokes(axes, by_column(ARC, score("piqa", 0.4), score("my_own_task", 0.3)), "chance")
    assert found[0].radius == pytest.approx((0.4 - 0.25) / 0.75)
    assert found[1].radius == pytest.approx(-0.2)
    assert found[2].radius is None
    assert "guessing" in found[2].why


def test_retention_is_the_student_over_the_teacher_turned_where_less_is_better() -> None:
    axes = axes_of([ARC, BITS, PIQA])
    teacher = by_column(score("arc_easy", 0.5), score("text", 0.8, "bits_per_byte"))
    found = dict(
        zip(
            [axis.column[0] for axis in axes],
            spokes(axes, by_column(ARC, BITS, PIQA), "retention", teacher),
            strict=True,
        )
    )
    assert found["arc_easy"].radius == pytest.approx(0.8)
    assert found["text"].radius == pytest.approx(0.8)
    assert found["piqa"].radius is None
    assert "reference was not measured" in found["piqa"].why
    itself = spokes(axes, teacher, "retention", teacher)
    assert [spoke.radius for spoke in itself if spoke.score] == [1.0, 1.0]
    nothing = by_column(score("arc_easy", 0.0))
    assert spokes(axes, by_column(ARC), "retention", nothing)[0].radius is None


def test_a_radius_does_not_change_when_another_model_is_added() -> None:
    alone = spokes(axes_of([ARC, PIQA]), by_column(ARC, PIQA), "raw")
    beside = spokes(axes_of([ARC, PIQA, score("arc_easy", 0.99), score("piqa", 0.01)]), by_column(ARC, PIQA), "raw")
    assert alone == beside
    assert [spoke.radius for spoke in alone] == [0.4, 0.75]


def test_less_is_better_is_turned_by_a_formula_that_is_stated() -> None:
    assert turned_round("bits_per_byte", 1.0) == 0.5
    assert turned_round("ce", 0.7) == pytest.approx(1 / math.exp(0.7)) == turned_round("perplexity", math.exp(0.7))
    assert turned_round("ece", 0.25) == 0.75
    assert turned_round("memory_bytes", 5e9) is None
    (axis,) = axes_of([BITS])
    assert "2^−x" in axis.turned
    big = Score("speed", "decode_tokens_per_second", 54.0, None, "cpu", None, True)
    (spoke,) = spokes(axes_of([big], ["speed"]), by_column(big), "raw")
    assert spoke.radius is None
    assert "retention" in spoke.why


def test_what_was_not_measured_is_a_gap() -> None:
    axes = axes_of([ARC, PIQA])
    found = spokes(axes, by_column(PIQA), "raw")
    assert found[0].radius is None
    assert found[0].why == "not measured"
    assert "Big" in words_for("retention", "Big")
