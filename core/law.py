"""The law of capacity gap: which teacher for which student, what it should bring, what it costs.

The law is a prior with a range, never a verdict: every answer carries its source and says when it leaves the sizes it
was fitted on. Beside it stand a second opinion (the distillation scaling law), the refit from the user's own runs, and
the token budgets. Pure functions on the standard library; a size is a plain count of parameters (never millions), a
loss is in nats a token.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from core.errors import Trouble

TARGET_RATIO = 2.5
BAND_RATIOS = (2.0, 3.33)  # the sparsity grid of the study, 10 % wide around 60 %, cannot tell these apart
WEAK_RATIO = 1.5  # ours, as is CURSE_RATIO: the study gives no threshold
CURSE_RATIO = 10.0
AFFINE_SLOPE = 2.498
AFFINE_INTERCEPT = -11.498e6  # parameters; the study writes -11.498 in millions
FITTED_STUDENTS = (28_000_000, 1_100_000_000)  # about 40 % of its teachers: GPT-2 and Pythia, 70M to 2.8B

LAW_SOURCE = "Zhang et al., Towards the Law of Capacity Gap in Distilling Language Models, ACL 2025 (arXiv 2311.07052)"
SCALING_SOURCE = "Busbridge et al., Distillation Scaling Laws, 2025 (arXiv 2502.08606)"
CAVEAT = (
    "The law was fitted on students pruned from their teacher, so teacher size and pruning damage are mixed in it. "
    "For students trained from scratch, distillation scaling laws (arXiv 2502.08606) find that the teacher's loss "
    "matters, with a flat optimum at 8 to 100 times the student; Minitron (arXiv 2407.14679) kept a 15B teacher for a "
    "4B student but pruned in two steps. A short pilot with a few teachers settles it on your own data."
)


# ---------------------------------------------------------------------------------------------- what was published


@dataclass(frozen=True)
class FittedFamily:
    """A family of teachers the law was fitted on."""

    name: str
    teacher_params: tuple[int, int]  # smallest and largest teacher


@dataclass(frozen=True)
class PublishedStudent:
    """One row of the study's 3B students: `score` is the mean of `CURSE_BENCHMARKS`, in per cent."""

    label: str
    teacher_params: int | None  # of the teacher the student learnt from; None where there was none, or it isn't told
    score: float


FITTED_FAMILIES = (
    FittedFamily("GPT-2", (140_000_000, 1_600_000_000)),
    FittedFamily("Pythia", (70_000_000, 2_800_000_000)),
)
FITTED_STATEMENT = (
    "On GPT-2 (140M to 1.6B) and Pythia (70M to 2.8B), by perplexity on WikiText-2 and LAMBADA, the best student size "
    "lies near 60 % sparsity of its teacher: T* = 2.498 S - 11.498 in millions, R² = 0.9957."
)
CONFIRMED_EXTRAPOLATION = (3_000_000_000, 7_000_000_000)  # student, teacher: the only one confirmed
CURSE_STUDENT = 3_000_000_000
CURSE_BENCHMARKS = ("MMLU", "CEval", "DROP", "BBH", "GSM8K", "HumanEval")
CURSE_TABLE = (
    PublishedStudent("7B teacher", 7_000_000_000, 21.66),
    PublishedStudent("through a teacher assistant", None, 20.64),
    PublishedStudent("13B teacher", 13_000_000_000, 19.94),
    PublishedStudent("no distillation", None, 19.57),
    PublishedStudent("70B teacher", 70_000_000_000, 18.38),
)


# ------------------------------------------------------------------------------------------------------- the law


@dataclass(frozen=True)
class Recommendation:
    """The teacher for a student: T = 2.5 S, its band, and the fitted line where it may be read."""

    student_params: int
    teacher_params: int
    band: tuple[int, int]
    affine_params: int | None  # None outside the fitted range
    extrapolated: bool
    sentence: str
    source: str = LAW_SOURCE
    fitted_range: tuple[int, int] = FITTED_STUDENTS


@dataclass(frozen=True)
class StudentRecommendation:
    """The student for a teacher: S = 0.4 T and its band."""

    teacher_params: int
    student_params: int
    band: tuple[int, int]
    extrapolated: bool
    sentence: str
    source: str = LAW_SOURCE
    fitted_range: tuple[int, int] = FITTED_STUDENTS


def recommend(student_params: float) -> Recommendation:
    """The teacher that the law names for a student of `student_params` parameters (methods: T* = 2.5 S, Zhang et al.).

    Raises `Trouble` for a size that is no positive number.
    """
    student = _positive("student_params", student_params)
    band, target, extrapolated = _band(student), round(TARGET_RATIO * student), _outside(student, FITTED_STUDENTS)
    affine = None if extrapolated else round(AFFINE_SLOPE * student + AFFINE_INTERCEPT)
    sentence = (
        f"For a student of {in_words(student)} the best teacher is expected near {in_words(target)}, "
        f"anywhere from {in_words(band[0])} to {in_words(band[1])}."
    )
    if affine is not None:
        sentence += f" The fitted line itself gives {in_words(affine)}."
    return Recommendation(
        round(student), target, band, affine, extrapolated, f"{sentence}{_extrapolation_words(student)}"
    )


def student_for_teacher(teacher_params: float) -> StudentRecommendation:
    """The student that the law names for a teacher: S* = 0.4 T, Zhang et al.

    Raises `Trouble` for a size that is no positive number.
    """
    teacher = _positive("teacher_params", teacher_params)
    student = teacher / TARGET_RATIO
    band = (round(teacher / BAND_RATIOS[1]), round(teacher / BAND_RATIOS[0]))
    sentence = (
        f"A teacher of {in_words(teacher)} is expected to serve a student near {in_words(student)} best, "
        f"anywhere from {in_words(band[0])} to {in_words(band[1])}.{_extrapolation_words(student)}"
    )
    return StudentRecommendation(round(teacher), round(student), band, _outside(student, FITTED_STUDENTS), sentence)


def _extrapolation_words(student: float) -> str:
    if not _outside(student, FITTED_STUDENTS):
        return ""
    low, high = (in_words(size) for size in FITTED_STUDENTS)
    side = "smaller" if student < FITTED_STUDENTS[0] else "larger"
    words = f" Extrapolated: the student is {side} than those the law was fitted on (about {low} to {high})."
    if side == "larger":
        words += " The one extrapolation confirmed so far is a 3B student with a 7B teacher."
    return words


def _band(student: float) -> tuple[int, int]:
    return round(BAND_RATIOS[0] * student), round(BAND_RATIOS[1] * student)


class Badge(Enum):
    """What the evidence says of a teacher for a student; the thresholds 1.5 and 10 are ours, the rest is the law's."""

    SMALLER = (
        "weak teacher",
        "The teacher is smaller than the student: turn the two round, or choose a smaller student.",
    )
    WEAK = (
        "weak teacher",
        "The teacher is less than 1.5 times the student: it knows little more than the student can hold. "
        "The best teachers of the study were about 2.5 times their student.",
    )
    BELOW_BAND = (
        "below the band",
        "The teacher is 1.5 to 2 times the student, a little smaller than the best teachers of the study "
        "(2 to 3.33 times).",
    )
    IN_BAND = (
        "in the band",
        "The teacher is 2 to 3.33 times the student, where the best teachers of the study lie.",
    )
    GAP_RISK = (
        "gap risk",
        "The teacher is 3.33 to 10 times the student. A published 3B student gained little from a 13B teacher "
        "(19.94 against 19.57 without one and 21.66 with a 7B teacher).",
    )
    CURSE = (
        "the curse",
        "The teacher is over 10 times the student. A published 3B student was worse off with a 70B teacher (18.38) "
        "than without any (19.57). Students trained from scratch bore larger ratios.",
    )

    def __init__(self, word: str, sentence: str) -> None:
        self.word = word
        self.sentence = sentence

    @property
    def source(self) -> str:
        return LAW_SOURCE


def badge(teacher_params: float, student_params: float) -> Badge:
    """Where teacher and student stand to each other. Raises `Trouble` for a size that is no positive number."""
    teacher, student = _positive("teacher_params", teacher_params), _positive("student_params", student_params)
    low, high = _band(student)
    if teacher < student:
        return Badge.SMALLER
    if teacher < WEAK_RATIO * student:
        return Badge.WEAK
    if teacher < low:
        return Badge.BELOW_BAND
    if teacher <= high:
        return Badge.IN_BAND
    return Badge.GAP_RISK if teacher <= CURSE_RATIO * student else Badge.CURSE


@dataclass(frozen=True)
class Candidate:
    """A model at hand that may teach; `same_tokenizer` as the student's, None where it isn't known."""

    name: str
    params: int
    same_tokenizer: bool | None = None


@dataclass(frozen=True)
class Ranked:
    """A candidate with its place in the law: `distance` is |ln(T / 2.5 S)|, 0 for the ideal size."""

    candidate: Candidate
    ratio: float  # T / S
    distance: float
    badge: Badge
    source: str = LAW_SOURCE


def rank(candidates: Iterable[Candidate], student_params: float) -> list[Ranked]:
    """Candidates, the best first: same tokenizer before unknown before different, then by |ln(T / 2.5 S)|.

    Between equals the smaller comes first, because it costs less. Raises `Trouble` for a size that is no positive
    number.
    """
    student = _positive("student_params", student_params)
    ranked = []
    for candidate in candidates:
        ratio = _positive(f"the size of {candidate.name}", candidate.params) / student
        distance = abs(math.log(ratio / TARGET_RATIO))
        ranked.append(Ranked(candidate, ratio, distance, badge(candidate.params, student)))
    tokenizer_order = {True: 0, None: 1, False: 2}
    return sorted(
        ranked,
        key=lambda r: (
            tokenizer_order[r.candidate.same_tokenizer],
            r.distance,
            r.candidate.params,
            r.candidate.name,
        ),
    )


@dataclass(frozen=True)
class Assistants:
    """Sizes between student and teacher, smallest first; empty where the teacher can do it alone."""

    sizes: tuple[int, ...]
    sentence: str
    source: str = LAW_SOURCE


def assistants(teacher_params: float, student_params: float) -> Assistants:
    """Teacher assistants where only a big teacher exists: n = ceil(ln(T/S) / ln 2.5) - 1 of 2.5 S, 6.25 S, …

    Raises `Trouble` for a size that is no positive number.
    """
    teacher, student = _positive("teacher_params", teacher_params), _positive("student_params", student_params)
    # a hair less: a teacher rounded up to whole parameters must not call for an assistant of its own size
    steps = math.ceil(math.log(teacher / student) / math.log(TARGET_RATIO) - 1e-3)
    sizes = tuple(round(student * TARGET_RATIO**step) for step in range(1, steps))
    if not sizes:
        return Assistants((), "No assistant is needed: one step of 2.5 spans the gap.")
    names = ", ".join(in_words(size) for size in reversed(sizes))
    sentence = (
        f"From {in_words(teacher)} down to {in_words(student)} in steps of about 2.5, by way of {names}. "
        "In the published 3B students an assistant cost more and did worse (20.64) than a teacher of the right size "
        "(21.66): look for such a teacher first."
    )
    return Assistants(sizes, sentence)


# --------------------------------------------------------------------------------------------- the second opinion

RATIOS = (1.0, 1.5, 2.0, 2.5, 3.33, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 100.0)
TEACHER_TOKENS_PER_PARAM = 20.0
FLAT_SHARE = 0.01  # ours: a difference of loss under 1 % is no reason to choose a teacher
SCALING_SIZES = (143e6, 12.6e9)
SCALING_TOKENS = (2e9, 512e9)  # "a few billion to 512B"


@dataclass(frozen=True)
class RatioPoint:
    """A compute-optimal teacher (20 tokens a parameter) of `ratio` times the student, and what it predicts."""

    ratio: float
    teacher_params: float
    teacher_loss: float
    student_loss: float


@dataclass(frozen=True)
class SecondOpinion:
    """Predicted validation losses (nats a token, on data like C4), for a student not pruned from its teacher."""

    student_params: float
    tokens: float
    teacher_params: float | None
    teacher_loss: float | None  # as given, or that of a compute-optimal teacher of that size
    loss_alone: float
    loss_with_teacher: float | None
    grid: tuple[RatioPoint, ...]
    best_ratio: float
    flat_ratios: tuple[float, float]  # the ratios whose loss is within FLAT_SHARE of the best
    best_at_edge: bool  # the loss still falls at the end of the grid
    extrapolated: bool
    sentence: str
    source: str = SCALING_SOURCE
    fitted_range: tuple[float, float] = SCALING_SIZES  # parameters, students and teachers


def supervised_loss(params: float, tokens: float) -> float:
    """Loss of a model trained alone: L(N, D) = E + (A/N^α + B/D^β)^γ, Busbridge et al.

    `params` without embeddings; nats a token. Raises `Trouble` for a number that is not positive.
    """
    n, d = _positive("params", params), _positive("tokens", tokens)
    return float(1.220 + (3355 / n**0.408 + 18186 / d**0.431) ** 0.452)


def distilled_loss(student_params: float, tokens: float, teacher_loss: float) -> float:
    """Loss of a student distilled on `tokens` tokens from a teacher whose validation loss is `teacher_loss`.

    L_S = L_T + L_T^(-c0) · (1 + (L_T / (L̃ d1))^(1/f1))^(-c1 f1) · (A'/N^α' + B'/D^β')^γ', L̃ the loss of the same
    student trained alone; Busbridge et al. `student_params` without embeddings; nats a token. Raises `Trouble` for a
    number that is not positive.
    """
    n, d = _positive("student_params", student_params), _positive("tokens", tokens)
    teacher = _positive("teacher_loss", teacher_loss)
    c0, c1, f1, d1 = 2.549, 522.6, 0.090, 1.315
    gap = math.log(teacher / (supervised_loss(n, d) * d1)) / f1
    log_of_one_plus = max(gap, 0.0) + math.log1p(math.exp(-abs(gap)))  # a very weak teacher would overflow the power
    capacity = float((2243 / n**0.321 + 24181 / d**0.637) ** 0.764)
    return teacher + math.exp(-c0 * math.log(teacher) - c1 * f1 * log_of_one_plus) * capacity


def compute_optimal_teachers(
    student_params: float, tokens: float, ratios: Sequence[float] = RATIOS
) -> tuple[RatioPoint, ...]:
    """What teachers of `ratios` times the student, each trained on 20 tokens a parameter, predict for the student."""
    points = []
    for ratio in ratios:
        teacher = _positive("ratio", ratio) * _positive("student_params", student_params)
        teacher_loss = supervised_loss(teacher, TEACHER_TOKENS_PER_PARAM * teacher)
        points.append(RatioPoint(ratio, teacher, teacher_loss, distilled_loss(student_params, tokens, teacher_loss)))
    return tuple(points)


def second_opinion(
    student_params: float, tokens: float, teacher_params: float | None, teacher_loss: float | None = None
) -> SecondOpinion:
    """What the distillation scaling law says: loss with this teacher, without one, and over a grid of ratios.

    Sizes without embeddings. `teacher_loss` (nats a token) is comparable with the law only on data and a vocabulary
    like those of the study; where it is None a teacher trained on 20 tokens a parameter is assumed. Raises `Trouble`
    for a number that is not positive.
    """
    alone = supervised_loss(student_params, tokens)
    if teacher_loss is None and teacher_params is not None:
        teacher_loss = supervised_loss(teacher_params, TEACHER_TOKENS_PER_PARAM * teacher_params)
    taught = None if teacher_loss is None else distilled_loss(student_params, tokens, teacher_loss)
    grid = compute_optimal_teachers(student_params, tokens)
    best = min(grid, key=lambda point: point.student_loss)
    flat = [point.ratio for point in grid if point.student_loss <= best.student_loss * (1 + FLAT_SHARE)]
    edge = best in (grid[0], grid[-1])
    extrapolated = (
        _outside(student_params, SCALING_SIZES)
        or _outside(tokens, SCALING_TOKENS)
        or (teacher_params is not None and _outside(teacher_params, SCALING_SIZES))
    )
    sentence = _opinion_words(alone, taught, best.ratio, (flat[0], flat[-1]), edge, extrapolated)
    return SecondOpinion(
        student_params=student_params,
        tokens=tokens,
        teacher_params=teacher_params,
        teacher_loss=teacher_loss,
        loss_alone=alone,
        loss_with_teacher=taught,
        grid=grid,
        best_ratio=best.ratio,
        flat_ratios=(flat[0], flat[-1]),
        best_at_edge=edge,
        extrapolated=extrapolated,
        sentence=sentence,
    )


def _opinion_words(
    alone: float, taught: float | None, best: float, flat: tuple[float, float], edge: bool, extrapolated: bool
) -> str:
    words = f"Trained alone the student is predicted to reach a loss of {alone:.3f} nats a token"
    if taught is not None:
        verdict = "the teacher helps" if taught < alone else "the teacher does not help"
        words += f", with this teacher {taught:.3f}: {verdict}"
    words += f". Among teachers trained on 20 tokens a parameter the best is {best:g} times the student"
    words += " (the end of the grid, so perhaps further)" if edge else ""
    words += f"; {flat[0]:g} to {flat[1]:g} times differ by less than {FLAT_SHARE:.0%}." if flat[0] < flat[1] else "."
    if extrapolated:
        words += " Extrapolated: the law was fitted on models of 143M to 12.6B and a few billion to 512B tokens."
    return words


# ------------------------------------------------------------------------------------------- the user's own points


@dataclass(frozen=True)
class BestTeacher:
    """The teacher with the lowest held-out loss among those tried for one student size."""

    student_params: float
    teacher_params: float
    loss: float
    teachers_tried: int
    at_edge: bool  # the best was the smallest or the largest one tried: the true optimum may lie beyond


@dataclass(frozen=True)
class Refit:
    """The law fitted to the user's own runs: T = slope · S + intercept, and T = ratio · S.

    Both R² are 1 - SS_res / SS_tot with SS_tot about the mean best teacher, so 0 is "no better than always naming the
    mean", and the proportional one may be negative; None where every student has the same best teacher.
    """

    slope: float
    intercept: float  # parameters
    r_squared: float | None
    ratio: float
    ratio_r_squared: float | None
    students: tuple[BestTeacher, ...]
    n: int  # students
    sentence: str
    source: str = "least squares over (S, best T) of your own runs, the way of " + LAW_SOURCE


REFIT_STUDENTS = 3
SAME_SIZE = 0.05  # students pruned to one target from several teachers differ by a few per cent


def refit(points: Iterable[tuple[float, float, float]]) -> Refit:
    """Fit the law to (student parameters, teacher parameters, held-out loss) of the user's own runs.

    Student sizes within 5 % of each other are one student; repeated runs of one teacher (seeds) count by their mean
    loss; a student tried with a single teacher has no best one and is left out. Raises `Trouble` below three students,
    and for a size or loss that is no positive number.
    """
    best = [best for group in _by_student(points) if (best := _best_teacher(group)) is not None]
    n = len(best)
    if n < REFIT_STUDENTS:
        missing = REFIT_STUDENTS - n
        raise Trouble(
            f"The law needs {REFIT_STUDENTS} student sizes, each distilled from at least 2 teachers; there are {n}.",
            f"Run {missing} more student {'size' if missing == 1 else 'sizes'} with two or more teachers each.",
        )
    sizes, teachers = [b.student_params for b in best], [b.teacher_params for b in best]
    slope, intercept = statistics.linear_regression(sizes, teachers)
    ratio = statistics.linear_regression(sizes, teachers, proportional=True).slope
    r_squared = _r_squared(teachers, [slope * size + intercept for size in sizes])
    sentence = f"Your own runs put the best teacher at {ratio:.2f} times the student ({n} student sizes"
    sentence += f", R² of the line {r_squared:.3f})." if r_squared is not None else ", all with the same best teacher)."
    if edges := sum(b.at_edge for b in best):
        sentence += f" For {edges} of them the best was the smallest or largest tried, so the optimum may lie beyond."
    return Refit(
        slope=slope,
        intercept=intercept,
        r_squared=r_squared,
        ratio=ratio,
        ratio_r_squared=_r_squared(teachers, [ratio * size for size in sizes]),
        students=tuple(best),
        n=n,
        sentence=sentence,
    )


_Point = tuple[float, float, float]


def _by_student(points: Iterable[_Point]) -> list[list[_Point]]:
    groups: list[list[_Point]] = []
    for student, teacher, loss in sorted(points, key=lambda point: point[0]):
        _positive("student_params", student)
        if groups and student <= groups[-1][0][0] * (1 + SAME_SIZE):
            groups[-1].append((student, teacher, loss))
        else:
            groups.append([(student, teacher, loss)])
    return groups


def _best_teacher(group: Sequence[_Point]) -> BestTeacher | None:
    losses: dict[float, list[float]] = {}
    for _, teacher, loss in group:
        losses.setdefault(_positive("teacher_params", teacher), []).append(_positive("held-out loss", loss))
    if len(losses) < 2:
        return None
    means = {teacher: statistics.fmean(values) for teacher, values in losses.items()}
    teacher = min(means, key=lambda candidate: (means[candidate], candidate))
    return BestTeacher(
        student_params=statistics.fmean(student for student, _, _ in group),
        teacher_params=teacher,
        loss=means[teacher],
        teachers_tried=len(means),
        at_edge=teacher in (min(means), max(means)),
    )


def _r_squared(observed: Sequence[float], fitted: Sequence[float]) -> float | None:
    mean = statistics.fmean(observed)
    total = math.fsum((y - mean) ** 2 for y in observed)
    if total == 0:
        return None
    return 1 - math.fsum((y - f) ** 2 for y, f in zip(observed, fitted, strict=True)) / total


# ------------------------------------------------------------------------------------------ costs and token budgets


def training_flops(student_non_embedding: float, tokens: float, teacher_non_embedding: float | None = None) -> float:
    """FLOPs of a run: 6 N_S D for the student, and 2 N_T D for the teacher's forward pass where there is one.

    With cached teacher outputs the second term is paid once for all students. Raises `Trouble` for a number that is
    not positive.
    """
    d = _positive("tokens", tokens)
    flops = 6.0 * _positive("student_non_embedding", student_non_embedding) * d
    if teacher_non_embedding is not None:
        flops += 2.0 * _positive("teacher_non_embedding", teacher_non_embedding) * d
    return flops


@dataclass(frozen=True)
class Chinchilla:
    """Constants of L = E + A/N^α + B/D^β and where they come from."""

    e: float
    a: float
    b: float
    alpha: float
    beta: float
    source: str


CHINCHILLA_SIZES = (70e6, 16e9)
EPOCH = Chinchilla(
    1.8172, 482.01, 2085.43, 0.3478, 0.3658, "Epoch AI's refit of Hoffmann et al., Chinchilla (arXiv 2404.10102)"
)


def chinchilla_loss(params: float, tokens: float, constants: Chinchilla = EPOCH) -> float:
    """L = E + A/N^α + B/D^β, nats a token. Raises `Trouble` for a number that is not positive."""
    n, d = _positive("params", params), _positive("tokens", tokens)
    return float(constants.e + constants.a / n**constants.alpha + constants.b / d**constants.beta)


def chinchilla_optimum(flops: float, constants: Chinchilla = EPOCH) -> tuple[float, float]:
    """The (parameters, tokens) of least loss under C = 6 N D, in closed form.

    N = (α A / (β B))^(1/(α+β)) · (C/6)^(β/(α+β)), D = C / (6 N); Hoffmann et al., eq. 4. Raises `Trouble` for a number
    that is not positive.
    """
    budget = _positive("flops", flops) / 6
    exponent = constants.alpha + constants.beta
    balance = (constants.alpha * constants.a / (constants.beta * constants.b)) ** (1 / exponent)
    params = balance * budget ** (constants.beta / exponent)
    return params, budget / params


def chinchilla_tokens(params: float, constants: Chinchilla = EPOCH) -> float:
    """The tokens at which a model of `params` parameters is the compute-optimal one: α A / N^α = β B / D^β.

    Raises `Trouble` for a number that is not positive.
    """
    pull = constants.alpha * constants.a / _positive("params", params) ** constants.alpha
    return float((constants.beta * constants.b / pull) ** (1 / constants.beta))


@dataclass(frozen=True)
class SmallerModel:
    """What a model of `size_factor` times the compute-optimal size pays to reach the same loss."""

    size_factor: float
    tokens_factor: float
    overhead: float  # extra compute as a share: 0.208 is 20.8 % more
    source: str = "de Vries, Go smol or go home (Harm's law), with the rounded constants of Chinchilla"


def harms_law(size_factor: float, alpha: float = 0.34, beta: float = 0.28) -> SmallerModel:
    """Data for a model of `size_factor` k_N times the optimal size: k_D = (1 - (k_N^(-α) - 1) β/α)^(-1/β).

    The overhead is k_N k_D - 1. Raises `Trouble` for a factor that is not positive, or so small that no amount of data
    makes up for it.
    """
    rest = 1 - (_positive("size_factor", size_factor) ** -alpha - 1) * beta / alpha
    if rest <= 0:
        smallest = (1 + alpha / beta) ** (-1 / alpha)
        raise Trouble(
            f"A model of {size_factor:.1%} of the optimal size cannot reach that loss with any amount of data.",
            f"Choose one of more than {smallest:.1%}.",
        )
    tokens_factor = rest ** (-1 / beta)
    return SmallerModel(size_factor, tokens_factor, size_factor * tokens_factor - 1)


CRITICAL_SIZE = 0.3  # of the optimal size: below it the overhead passes about 100 % and climbs fast (de Vries)


def steep_tokens(params: float) -> float:
    """The tokens beyond which `params` is less than `CRITICAL_SIZE` of the optimal size for its compute, C = 6 N D.

    `budget_words` says more than double the compute from there on. From N_opt = N / k: D = C / (6 N), where
    N_opt ∝ C^(β/(α+β)), so D is `chinchilla_tokens` times k^(-(α+β)/β). Raises `Trouble` for a number that is not
    positive.
    """
    return float(chinchilla_tokens(params) * CRITICAL_SIZE ** (-(EPOCH.alpha + EPOCH.beta) / EPOCH.beta))


def budget_words(params: float, tokens: float) -> str:
    """A student's token budget in a sentence: against Chinchilla's, and what its size costs at that compute (Harm's law).

    Both are about training without a teacher; Chinchilla's models had 70M to 16B parameters. Raises `Trouble` for a number that is not positive.
    """
    enough = chinchilla_tokens(params)
    optimal, _ = chinchilla_optimum(6 * _positive("params", params) * _positive("tokens", tokens))
    words = (
        f"Without a teacher, a model of {in_words(params)} is compute-optimal at about {in_words(enough)} tokens "
        f"(Chinchilla{', extrapolated' if _outside(params, CHINCHILLA_SIZES) else ''}); "
        f"{in_words(tokens)} are {tokens / enough:.2g} times that."
    )
    if params >= optimal:
        return (
            f"{words} For the compute of this budget {in_words(optimal)} would be the best size: it is not too small."
        )
    try:
        cost = f"takes {harms_law(params / optimal).overhead:.1%} more compute to reach the same loss (Harm's law)"
    except Trouble:
        cost = "can't reach the same loss with any amount of data (Harm's law)"
    return f"{words} For the compute of this budget {in_words(optimal)} would be the best size; this one {cost}."


def vocabulary_for(non_vocabulary_params: float, hidden: float) -> float:
    """Best vocabulary size for a model: N_v = 3 145 728 · (N_nv / 33e6)^0.8354 parameters, V = N_v / d.

    `non_vocabulary_params` without embeddings and head, `hidden` the width; Tao et al., Scaling Laws with Vocabulary
    (arXiv 2407.13623). Raises `Trouble` for a number that is not positive.
    """
    share = _positive("non_vocabulary_params", non_vocabulary_params) / 33e6
    return float(3_145_728 * share**0.8354 / _positive("hidden", hidden))


# ------------------------------------------------------------------------------------------------------- in words


def in_words(params: float) -> str:
    """A size as people say it, three digits: 1_300_000 is 1.3M, 7e9 is 7B."""
    rounded = float(f"{params:.3g}")
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if rounded >= scale:
            return f"{rounded / scale:.3g}{unit}"
    return f"{rounded:g}"


def _positive(name: str, value: float) -> float:
    if not math.isfinite(value) or value <= 0:
        raise Trouble(f"{name} is {value}.", "Give a number above zero.")
    return value


def _outside(value: float, bounds: tuple[float, float]) -> bool:
    return not bounds[0] <= value <= bounds[1]
