"""Where the texts of the law's chart go, in pixels: the names of axes, band and dots. They never cover each other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF

from core import law
from desktop_app.charts.law_state import LawState, Span, Spot

REACH = 10  # px around a dot that belong to it
NAME_GAP = 13  # px from a dot to its name: the ring of the chosen one is between
NAME_WIDTH = 168  # px, the most that a name takes
SURELY_SHORT = 20  # letters that fit without being measured
MOST_NAMED_RUNS = 12  # more than these are told apart by hovering

Text = tuple[QRectF, str]


@dataclass(frozen=True)
class Frame:
    """The plane in pixels and what it shows in decades."""

    area: QRectF
    across: Span = (0.0, 1.0)
    upward: Span = (0.0, 1.0)

    def pixel(self, across: float, upward: float) -> QPointF:
        area, (left, right), (low, high) = self.area, self.across, self.upward
        x = area.left() + (across - left) / (right - left) * area.width()
        return QPointF(x, area.bottom() - (upward - low) / (high - low) * area.height())

    def of(self, spot: Spot) -> QPointF:
        return self.pixel(spot.student, spot.teacher)

    def decades(self, at: QPointF) -> QPointF:
        area, (left, right), (low, high) = self.area, self.across, self.upward
        x = left + (at.x() - area.left()) / max(area.width(), 1) * (right - left)
        return QPointF(x, low + (area.bottom() - at.y()) / max(area.height(), 1) * (high - low))

    def holds(self, spot: Spot) -> bool:
        (left, right), (low, high) = self.across, self.upward
        return left <= spot.student <= right and low <= spot.teacher <= high


@dataclass(frozen=True)
class BandName:
    """The band's name, written along the band: its middle, the angle in degrees, and the words."""

    at: QPointF
    angle: float
    text: str

    def boxes(self, metrics: QFontMetricsF) -> list[QRectF]:
        """The room it takes, in small boxes along it."""
        half = metrics.horizontalAdvance(self.text) / 2
        way = QPointF(math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle)))
        return [_around(self.at + way * (half * step / 4) + QPointF(-4, -6), 9) for step in range(-4, 5)]


def axis_titles(frame: Frame, metrics: QFontMetricsF, across: str, upward: str) -> list[Text]:
    """The names of the axes, inside the plane at their ends."""
    area, height, width = frame.area, metrics.height(), metrics.horizontalAdvance(across)
    return [
        (QRectF(area.right() - width - 8, area.bottom() - height - 4, width, height), across),
        (QRectF(area.left() + 8, area.top() + 2, metrics.horizontalAdvance(upward), height), upward),
    ]


def band_name(
    frame: Frame, metrics: QFontMetricsF, spots: Iterable[Spot], student: float, texts: tuple[str, str]
) -> BandName | None:
    """The band's name along it, clear of the dots; None where it finds no room. `texts`: within and beyond the fit."""
    (left, right), (low, high) = frame.across, frame.upward
    rise = math.log10(law.TARGET_RATIO)
    first, last = max(left, low - rise), min(right, high - rise)
    start, end = frame.pixel(first, first + rise), frame.pixel(last, last + rise)
    way = end - start
    half = max(metrics.horizontalAdvance(text) for text in texts) / 2 + 8
    if first >= last:
        return None
    least, most = _share_inside(frame.area, start, way, half, metrics.height() + 2)
    if least > most:
        return None
    marks = [*(frame.of(spot) for spot in spots), frame.pixel(student, student + rise)]
    for wish in (0.98, 0.02, 0.8, 0.2, 0.65, 0.35):
        share = min(max(wish, least), most)
        at = start + way * share
        if all(math.hypot(mark.x() - at.x(), mark.y() - at.y()) > half + REACH for mark in marks):
            is_fitted = law.FITTED_STUDENTS[0] <= 10 ** (first + share * (last - first)) <= law.FITTED_STUDENTS[1]
            return BandName(at, math.degrees(math.atan2(way.y(), way.x())), texts[0 if is_fitted else 1])
    return None


def _share_inside(area: QRectF, start: QPointF, way: QPointF, half: float, height: float) -> tuple[float, float]:
    """The least and the most of the way at which a text above it stays inside; the least is larger where none does."""
    length = math.hypot(way.x(), way.y())
    along, above = way / length, QPointF(way.y(), -way.x()) / length
    least, most = half / length, 1 - half / length
    for corner in (along * side + above * up for side in (-half, half) for up in (0.0, height)):
        at = start + corner
        for place, step, low, high in (
            (at.x(), way.x(), area.left(), area.right()),
            (-at.y(), -way.y(), -area.bottom(), -area.top()),
        ):
            least, most = max(least, (low - place) / step), min(most, (high - place) / step)
    return least, most


def spot_names(
    frame: Frame, metrics: QFontMetricsF, state: LawState, spots: Iterable[Spot], taken: Sequence[QRectF]
) -> list[Text]:
    """Names beside their dots, as many as fit; the models in the order of their fit, then the study's and the runs."""
    order = {dot.path: number for number, dot in enumerate(state.by_fit())}
    kinds = {"teacher": 0, "model": 1, "published": 2, "run": 3}
    seen = sorted(
        (spot for spot in spots if frame.holds(spot)),
        key=lambda spot: (kinds[spot.kind], order.get(spot.model.path, 0) if spot.model else 0),
    )
    wanted = []
    many_runs = sum(spot.kind == "run" for spot in seen) > MOST_NAMED_RUNS
    for spot in seen:
        if spot.kind == "run" and many_runs:
            continue
        name = spot.name
        if len(name) > SURELY_SHORT:
            name = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, NAME_WIDTH)
        wanted.append((frame.of(spot), metrics.horizontalAdvance(name) + 2, name))
    marks = [_around(frame.of(spot), 5) for spot in seen if spot.kind in ("run", "published")]
    boxes = place_labels([(at, width) for at, width, _ in wanted], metrics.height(), frame.area, [*taken, *marks])
    return [(box, name) for box, (_, _, name) in zip(boxes, wanted, strict=True) if box is not None]


_Box = tuple[float, float, float, float]


def place_labels(
    labels: Iterable[tuple[QPointF, float]], height: float, within: QRectF, taken: Iterable[QRectF] = ()
) -> list[QRectF | None]:
    """Where each (dot, width of its name) fits beside its dot, right or left; None where it would cover another.

    The first come, first served. Boxes are kept by the lines they touch, so that each meets its neighbours only.
    """
    lines: dict[int, list[_Box]] = defaultdict(list)

    def touched(box: _Box) -> range:
        return range(int(box[1] // height), int(box[3] // height) + 1)

    def keep(box: _Box) -> None:
        for line in touched(box):
            lines[line].append(box)

    for rect in taken:
        keep((rect.left(), rect.top(), rect.right(), rect.bottom()))
    room = (within.left(), within.top(), within.right(), within.bottom())
    placed: list[QRectF | None] = []
    for dot, width in labels:
        x, top = dot.x(), dot.y() - height / 2
        sides = [(left, top, left + width, top + height) for left in (x + NAME_GAP, x - NAME_GAP - width)]
        free = (
            box
            for box in sides
            if _inside(box, room) and not any(_overlap(box, o) for n in touched(box) for o in lines[n])
        )
        box = next(free, None)
        if box is not None:
            keep(box)
        placed.append(None if box is None else QRectF(box[0], box[1], width, height))
    return placed


def _inside(one: _Box, room: _Box) -> bool:
    return one[0] >= room[0] and one[1] >= room[1] and one[2] <= room[2] and one[3] <= room[3]


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _around(at: QPointF, half: float) -> QRectF:
    return QRectF(at.x() - half, at.y() - half, 2 * half, 2 * half)
