"""The law of capacity gap against its published figures and its edges."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import law
from core.errors import Trouble
from core.law import Badge, Candidate

SIZES = st.floats(1e3, 1e13)
RESNETS = Path(__file__).parents[2].parent / "shared" / "data" / "law" / "dist_kd_resnet_teacher_size.csv"


# ------------------------------------------------------------------------------------------------------- the law


def test_a_3b_student_gets_the_published_7b_teacher():
    answer = law.recommend(3e9)
    assert answer.teacher_params == 7_500_000_000
    assert answer.band == (6_000_000_000, 9_990_000_000)
    student, teacher = law.CONFIRMED_EXTRAPOLATION
    assert answer.band[0] <= teacher <= answer.band[1]
    assert student == answer.student_params


def test_the_fitted_line_is_shown_inside_its_range_only():
    inside = law.recommend(200e6)
    assert inside.affine_params == 488_102_000  # 2.498 * 200 - 11.498, in millions
    assert not inside.extrapolated
    for student in (1e3, 4.6e6, 7e6, 27.9e6, 1.11e9, 3e9):  # negative below 4.6M, below the student under 7.7M
        outside = law.recommend(student)
        assert outside.affine_params is None
        assert outside.extrapolated
        assert "Extrapolated" in outside.sentence
        assert outside.teacher_params == round(2.5 * student)


def test_the_line_agrees_with_the_proportional_target_where_it_is_shown():
    for student in law.FITTED_STUDENTS:
        answer = law.recommend(student)
        assert answer.affine_params is not None
        assert answer.band[0] <= answer.affine_params <= answer.band[1]


def test_every_answer_says_where_it_comes_from_and_how_far_it_reaches():
    answer = law.recommend(100e6)
    assert "2311.07052" in answer.source
    assert answer.fitted_range == (28_000_000, 1_100_000_000)
    assert "100M" in answer.sentence
    assert "250M" in answer.sentence
    assert "2502.08606" in law.second_opinion(200e6, 4e9, 500e6).source


@given(SIZES)
def test_student_for_teacher_is_the_inverse(student: float):
    teacher = law.recommend(student).teacher_params
    back = law.student_for_teacher(teacher)
    assert back.student_params == pytest.approx(student, rel=1e-2)
    assert back.band[0] <= back.student_params <= back.band[1]
    low, high = law.recommend(back.student_params).band
    assert low <= teacher <= high


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        (99, Badge.SMALLER),
        (100, Badge.WEAK),
        (149, Badge.WEAK),
        (150, Badge.BELOW_BAND),
        (199, Badge.BELOW_BAND),
        (200, Badge.IN_BAND),
        (333, Badge.IN_BAND),
        (334, Badge.GAP_RISK),
        (1000, Badge.GAP_RISK),
        (1001, Badge.CURSE),
    ],
)
def test_badges_change_at_their_thresholds(teacher: int, expected: Badge):
    assert law.badge(teacher * 10**6, 100 * 10**6) is expected


@given(SIZES)
def test_both_ends_of_a_recommended_band_wear_the_badge_in_the_band(student: float):
    for teacher in law.recommend(student).band:
        assert law.badge(teacher, student) is Badge.IN_BAND


def test_a_teacher_smaller_than_the_student_is_called_weak_and_told_why():
    assert Badge.SMALLER.word == Badge.WEAK.word == "weak teacher"
    assert "smaller than the student" in Badge.SMALLER.sentence


def test_the_badge_of_the_curse_quotes_the_published_table():
    table = {row.label: row.score for row in law.CURSE_TABLE}
    assert f"{table['70B teacher']}" in Badge.CURSE.sentence
    assert f"{table['no distillation']}" in Badge.CURSE.sentence
    assert table["70B teacher"] < table["no distillation"] < table["13B teacher"] < table["7B teacher"]
    teachers = {row.label: row.teacher_params for row in law.CURSE_TABLE}
    assert law.badge(teachers["70B teacher"], law.CURSE_STUDENT) is Badge.CURSE
    assert law.badge(teachers["13B teacher"], law.CURSE_STUDENT) is Badge.GAP_RISK
    assert law.badge(teachers["7B teacher"], law.CURSE_STUDENT) is Badge.IN_BAND


def test_ranking_puts_the_same_tokenizer_first_then_the_nearest_size():
    candidates = [
        Candidate("other tokenizer, ideal", 250, False),
        Candidate("same, far", 2500, True),
        Candidate("unknown, ideal", 250, None),
        Candidate("same, near", 200, True),
        Candidate("same, too small", 90, True),
    ]
    ranked = law.rank(candidates, 100)
    assert [r.candidate.name for r in ranked] == [
        "same, near",
        "same, too small",
        "same, far",
        "unknown, ideal",
        "other tokenizer, ideal",
    ]
    assert ranked[0].distance == pytest.approx(abs(math.log(200 / 250)))
    assert [r.badge for r in ranked[:3]] == [Badge.IN_BAND, Badge.SMALLER, Badge.CURSE]
    assert ranked[3].distance == 0


def test_ranking_breaks_ties_by_the_cheaper_teacher():
    ranked = law.rank([Candidate("big", 500, True), Candidate("small", 125, True)], 100)  # both a factor 2 off
    assert [r.candidate.name for r in ranked] == ["small", "big"]


def test_ranking_nothing_is_nothing():
    assert law.rank([], 1e9) == []


def test_assistants_step_by_two_and_a_half():
    chain = law.assistants(70e9, 3e9)
    assert chain.sizes == (7_500_000_000, 18_750_000_000, 46_875_000_000)  # ceil(ln 23.3 / ln 2.5) - 1 = 3
    assert "20.64" in chain.sentence
    assert "21.66" in chain.sentence


@given(st.integers(1_000, 10**12))
def test_the_recommended_teacher_needs_no_assistant(student: int):
    assert law.assistants(law.recommend(student).teacher_params, student).sizes == ()


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_whole_number_of_steps_needs_no_extra_assistant(steps: int):
    assert len(law.assistants(1e6 * 2.5**steps, 1e6).sizes) == steps - 1


@pytest.mark.parametrize("teacher", [50, 100, 120, 250])
def test_no_assistant_where_one_step_is_enough(teacher: int):
    assert law.assistants(teacher, 100).sizes == ()


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, -math.inf])
def test_a_size_that_is_no_positive_number_is_named(bad: float):
    calls = {
        "student_params": [
            lambda: law.recommend(bad),
            lambda: law.badge(1e9, bad),
            lambda: law.rank([], bad),
            lambda: law.assistants(1e9, bad),
            lambda: law.distilled_loss(bad, 1e9, 2.0),
            lambda: law.refit([(bad, 1e9, 2.0)]),
        ],
        "teacher_params": [lambda: law.student_for_teacher(bad), lambda: law.refit([(1, bad, 2.0), (1, 2, 2.0)])],
        "tokens": [lambda: law.supervised_loss(1e9, bad), lambda: law.training_flops(1, bad)],
        "teacher_loss": [lambda: law.second_opinion(1e9, 1e9, 1e9, bad)],
        "held-out loss": [lambda: law.refit([(1, 2, bad), (1, 3, 1.0)])],
        "the size of tiny": [lambda: law.rank([Candidate("tiny", bad)], 1e9)],
    }
    for name, group in calls.items():
        for call in group:
            with pytest.raises(Trouble, match=name):
                call()


# --------------------------------------------------------------------------------------------- the second opinion


@pytest.mark.parametrize(
    ("student", "tokens_per_param", "alone", "by_ratio"),
    [
        (200e6, 20, 2.786, {1: 2.814, 2.5: 2.679, 8: 2.601, 40: 2.542}),
        (1e9, 100, 2.240, {1: 2.379, 2.5: 2.245, 8: 2.204, 40: 2.214}),
    ],
)
def test_the_scaling_law_gives_the_published_losses(student, tokens_per_param, alone, by_ratio):
    tokens = student * tokens_per_param
    assert round(law.supervised_loss(student, tokens), 3) == alone
    points = law.compute_optimal_teachers(student, tokens, tuple(by_ratio))
    assert {point.ratio: round(point.student_loss, 3) for point in points} == by_ratio
    for ratio, loss in by_ratio.items():
        answer = law.second_opinion(student, tokens, ratio * student)
        assert answer.loss_with_teacher is not None
        assert round(answer.loss_with_teacher, 3) == loss


def test_the_second_opinion_finds_the_flat_optimum():
    answer = law.second_opinion(1e9, 100e9, 2.5e9)
    assert answer.best_ratio == 10
    assert not answer.best_at_edge
    assert answer.flat_ratios == (3.33, 100)
    low, high = answer.flat_ratios
    best = min(point.student_loss for point in answer.grid)
    for point in answer.grid:
        assert (low <= point.ratio <= high) == (point.student_loss <= 1.01 * best)
    assert not answer.extrapolated


def test_the_second_opinion_admits_an_optimum_beyond_its_grid():
    answer = law.second_opinion(200e6, 4e9, None)
    assert answer.best_at_edge
    assert "end of the grid" in answer.sentence
    assert answer.loss_with_teacher is None
    assert answer.teacher_loss is None


def test_the_second_opinion_says_when_a_teacher_does_not_help():
    assert "does not help" in law.second_opinion(200e6, 4e9, 200e6).sentence  # 2.814 against 2.786
    assert "the teacher helps" in law.second_opinion(200e6, 4e9, 500e6).sentence


def test_the_second_opinion_takes_a_known_teacher_loss():
    answer = law.second_opinion(200e6, 4e9, 500e6, teacher_loss=2.2)
    assert answer.teacher_loss == 2.2
    assert answer.loss_with_teacher == law.distilled_loss(200e6, 4e9, 2.2)


@pytest.mark.parametrize(
    ("student", "tokens", "teacher"), [(1e6, 20e9, 500e6), (200e6, 1e6, 500e6), (200e6, 4e9, 70e9)]
)
def test_the_second_opinion_says_when_it_extrapolates(student, tokens, teacher):
    answer = law.second_opinion(student, tokens, teacher)
    assert answer.extrapolated
    assert "Extrapolated" in answer.sentence


@given(SIZES, st.floats(1e5, 1e14), st.floats(0.1, 1e6))
def test_a_student_never_beats_its_teacher_in_the_law(student, tokens, teacher_loss):
    loss = law.distilled_loss(student, tokens, teacher_loss)
    assert math.isfinite(loss)
    assert loss >= teacher_loss


# ------------------------------------------------------------------------------------------- the user's own points


def own_runs(law_of_best, students=(100, 200, 400), ratios=(1.5, 2.5, 4.0)):
    """Runs whose loss is least where the teacher is `law_of_best(student)`; the best one is among those tried."""
    runs = []
    for student in students:
        best = law_of_best(student)
        for teacher in {best, *(ratio * student for ratio in ratios)}:
            runs.append((student, teacher, 2.0 + math.log(teacher / best) ** 2))
    return runs


def test_refit_recovers_the_line_behind_the_runs():
    fit = law.refit(own_runs(lambda student: 3 * student - 20))
    assert fit.slope == pytest.approx(3)
    assert fit.intercept == pytest.approx(-20)
    assert fit.r_squared == pytest.approx(1)
    assert fit.n == 3
    assert [b.teacher_params for b in fit.students] == [280, 580, 1180]
    assert "2.9" in fit.sentence


def test_refit_r_squared_matches_the_plain_formula():
    best = {100: 300, 200: 450, 400: 1200, 800: 1900}
    fit = law.refit(own_runs(best.__getitem__, students=tuple(best)))
    xs, ys = list(best), list(best.values())
    ratio = sum(x * y for x, y in best.items()) / sum(x * x for x in xs)
    mean = sum(ys) / 4
    total = sum((y - mean) ** 2 for y in ys)
    assert fit.ratio == pytest.approx(ratio)
    assert fit.ratio_r_squared == pytest.approx(1 - sum((y - ratio * x) ** 2 for x, y in best.items()) / total)
    line = [fit.slope * x + fit.intercept for x in xs]
    assert fit.r_squared == pytest.approx(1 - sum((y - f) ** 2 for y, f in zip(ys, line, strict=True)) / total)
    assert fit.r_squared >= fit.ratio_r_squared


@pytest.mark.parametrize(("students", "missing"), [((), "3 more"), ((100,), "2 more"), ((100, 200), "1 more")])
def test_refit_refuses_below_three_students_and_says_how_many_are_missing(students, missing):
    with pytest.raises(Trouble, match=missing):
        law.refit(own_runs(lambda student: 3 * student, students=students))


def test_a_student_with_a_single_teacher_has_no_best_one():
    runs = own_runs(lambda student: 3 * student, students=(100, 200))
    with pytest.raises(Trouble, match="1 more"):
        law.refit([*runs, (400, 1000, 2.0)])


def test_refit_takes_students_pruned_to_nearly_one_size_as_one():
    runs = [
        (student * (1 + 0.0001 * (teacher % 7)), teacher, loss) for student, teacher, loss in own_runs(lambda s: 3 * s)
    ]
    assert law.refit(runs).n == 3


def test_refit_averages_repeated_runs_before_it_picks_the_best():
    runs = own_runs(lambda student: 3 * student)
    lucky = [(student, 1.5 * student, 1.9) for student in (100, 200, 400)]  # one good seed; the mean stays worse
    assert law.refit(runs + lucky).ratio == pytest.approx(3)


def test_refit_warns_of_an_optimum_at_the_edge_of_what_was_tried():
    fit = law.refit([(s, ratio * s, 3 - ratio / 10) for s in (100, 200, 400) for ratio in (1.5, 2.5, 4)])
    assert all(b.at_edge for b in fit.students)
    assert "may lie beyond" in fit.sentence
    inner = law.refit(own_runs(lambda student: 3 * student))
    assert not any(b.at_edge for b in inner.students)


def test_refit_has_no_r_squared_where_the_best_teacher_never_changes():
    fit = law.refit([(s, t, abs(t - 1000) + 1) for s in (100, 200, 400) for t in (500, 1000, 2000)])
    assert fit.r_squared is None
    assert fit.slope == pytest.approx(0)


# -------------------------------------------------------------------------------------- a measured curve elsewhere


def resnet_runs() -> dict[float, dict[float, tuple[float, float]]]:
    if not RESNETS.exists():
        pytest.skip("the measured ResNet curve in ../shared/data/law is not here")
    runs: dict[float, dict[float, tuple[float, float]]] = defaultdict(dict)
    with RESNETS.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            student, teacher = float(row["student_params_m"]) * 1e6, float(row["teacher_params_m"]) * 1e6
            runs[student][teacher] = (float(row["student_acc_kd_T4"]), float(row["student_acc_DIST"]))
    return runs


def test_the_teacher_ranked_first_is_within_a_tenth_of_a_point_of_the_best_measured():
    for student, by_teacher in resnet_runs().items():
        best = max(kd for kd, _ in by_teacher.values())
        ranked = law.rank([Candidate(f"{t:.0f}", round(t), True) for t in by_teacher], student)
        chosen, _ = by_teacher[ranked[0].candidate.params]
        assert chosen >= best - 0.1


def test_plain_distillation_of_resnets_peaks_inside_the_band():
    for student, by_teacher in resnet_runs().items():
        best = max(by_teacher, key=lambda teacher: by_teacher[teacher][0])
        assert law.badge(best, student) is Badge.IN_BAND


def test_two_resnet_students_are_not_enough_to_refit():
    points = [(s, t, 100 - kd) for s, by_teacher in resnet_runs().items() for t, (kd, _) in by_teacher.items()]
    with pytest.raises(Trouble, match="there are 2"):
        law.refit(points)


# ------------------------------------------------------------------------------------------ costs and token budgets


def test_flops_count_the_student_thrice_the_teacher_once_forward():
    assert law.training_flops(1e9, 20e9) == 1.2e20
    assert law.training_flops(1e9, 20e9, 2.5e9) == 1.2e20 + 1e20


def test_the_chinchilla_optimum_at_1e20_has_22_9_tokens_a_parameter():
    params, tokens = law.chinchilla_optimum(1e20)
    assert tokens / params == pytest.approx(22.9, abs=0.05)
    assert 6 * params * tokens == pytest.approx(1e20)
    assert law.chinchilla_tokens(params) == pytest.approx(tokens)


@given(st.floats(1e15, 1e26), st.floats(0.2, 5.0))
def test_no_other_split_of_the_budget_beats_the_optimum(flops, factor):
    params, tokens = law.chinchilla_optimum(flops)
    best = law.chinchilla_loss(params, tokens)
    assert best <= law.chinchilla_loss(params * factor, tokens / factor) * (1 + 1e-12)


@pytest.mark.parametrize(("size", "overhead"), [(0.75, 2.8), (0.5, 20.8), (0.25, 188.6)])
def test_harms_law_gives_the_published_overheads(size, overhead):
    assert round(100 * law.harms_law(size).overhead, 1) == overhead


def test_harms_law_costs_nothing_at_the_optimal_size_and_refuses_what_no_data_mends():
    assert law.harms_law(1).overhead == 0
    with pytest.raises(Trouble, match="any amount of data") as caught:
        law.harms_law(0.05)
    smallest = float(caught.value.way_out.split("%")[0].split()[-1]) / 100
    assert law.harms_law(smallest + 0.001).tokens_factor > 1000
    with pytest.raises(Trouble):
        law.harms_law(smallest - 0.001)


def test_the_vocabulary_formula_at_its_anchor():
    assert law.vocabulary_for(33e6, 512) == pytest.approx(6144)
    assert law.vocabulary_for(33e7, 512) == pytest.approx(6144 * 10**0.8354)


@pytest.mark.parametrize(
    ("params", "words"),
    [(7e9, "7B"), (1_300_000, "1.3M"), (999_999_999, "1B"), (70e9, "70B"), (12_345, "12.3K"), (7, "7"), (2e12, "2T")],
)
def test_sizes_are_said_in_three_digits(params, words):
    assert law.in_words(params) == words


def test_a_best_teacher_that_stands_alone_is_no_range():
    alone, among = law.second_opinion(1e5, 2e6, None), law.second_opinion(1e9, 100e9, None)
    assert alone.flat_ratios == (100, 100)
    assert "differ by less" not in alone.sentence
    assert "differ by less than 1%" in among.sentence


def test_the_budget_is_held_against_chinchilla_and_harms_law():
    students, enough = 400e6, law.chinchilla_tokens(400e6)
    assert "not too small" in law.budget_words(students, enough / 2)
    optimal, tokens = law.chinchilla_optimum(1e20)
    said = law.budget_words(optimal / 2, tokens * 2)  # the same compute for half the size
    assert f"{law.harms_law(0.5).overhead:.1%} more compute" in said
    assert "extrapolated" not in said
    assert "extrapolated" in law.budget_words(1e6, 20e6)
