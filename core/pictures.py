"""Charts as SVG text, for reports that any browser shows without the program: a radar, curves, and quality against a cost.

Colours come from the page's CSS variables, so one picture serves light and dark. Widths and places are in SVG units (pixels at 100 %).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from core.numbers import count_text

COLOURS = ("--one", "--two", "--three", "--four", "--five", "--six", "--seven", "--eight")
RIM = 150.0
MOST_POINTS = 600  # of a curve: more than a report's pixels


def colour(place: int) -> str:
    return f"var({COLOURS[place % len(COLOURS)]})"


def radar(titles: Sequence[str], models: Sequence[tuple[str, Sequence[float | None]]], reach: float = 1.0) -> str:
    """A polygon for each model over the axes; radii are shares of `reach`, the value at the rim. A line is broken where a value is missing."""
    width, height = 2 * RIM + 260, 2 * RIM + 80
    x, y = width / 2, height / 2

    def at(axis: int, share: float) -> tuple[float, float]:
        angle = 2 * math.pi * axis / len(titles) - math.pi / 2
        return x + RIM * share * math.cos(angle), y + RIM * share * math.sin(angle)

    parts = []
    for ring in (0.25, 0.5, 0.75, 1.0):
        parts.append(f'<polygon class="grid" points="{_points([at(i, ring) for i in range(len(titles))])}"/>')
        label = at(0, ring)
        parts.append(f'<text class="tick" x="{label[0] + 4:.1f}" y="{label[1] + 4:.1f}">{ring * reach:.3g}</text>')
    for axis, title in enumerate(titles):
        (ex, ey), (tx, ty) = at(axis, 1.0), at(axis, 1.12)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{ex:.1f}" y2="{ey:.1f}"/>')
        anchor = "middle" if abs(tx - x) < 10 else "start" if tx > x else "end"
        parts.append(f'<text x="{tx:.1f}" y="{ty + 4:.1f}" text-anchor="{anchor}">{escape(title)}</text>')
    for place, (name, values) in enumerate(models):
        parts.extend(
            _polygon(
                place,
                name,
                [None if v is None else at(i, max(0.0, min(v / reach, 1.15))) for i, v in enumerate(values)],
            )
        )
    return _svg(width, height, parts, "Radar of the scores")


def _polygon(place: int, name: str, corners: Sequence[tuple[float, float] | None]) -> list[str]:
    """Closed and lightly filled if nothing is missing; else the pieces between the gaps."""
    ink = colour(place)
    parts = []
    whole = [corner for corner in corners if corner is not None]
    if len(whole) == len(corners):
        parts.append(
            f'<polygon points="{_points(whole)}" fill="{ink}" fill-opacity="0.08" stroke="{ink}" stroke-width="2">'
            f"<title>{escape(name)}</title></polygon>"
        )
    else:
        for one, other in zip(corners, [*corners[1:], corners[0]], strict=True):
            if one is not None and other is not None:
                parts.append(f'<path d="{_path([one, other])}" stroke="{ink}" stroke-width="2" fill="none"/>')
    parts += [f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="3" fill="{ink}"/>' for cx, cy in whole]
    return parts


def curves(lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], x_title: str, y_title: str) -> str:
    """Lines of (x, y) over common axes. Long ones are thinned to their smallest and largest points, so that no spike is lost."""
    there = [point for _, points in lines for point in points]
    if not there:
        return ""
    frame = _Frame(there, x_title, y_title)
    parts = frame.axes()
    for place, (name, points) in enumerate(lines):
        if points:
            drawn = [frame.at(*point) for point in thinned(points)]
            parts.append(
                f'<path d="{_path(drawn)}" fill="none" stroke="{colour(place)}" stroke-width="1.5"><title>{escape(name)}</title></path>'
            )
    return _svg(frame.width, frame.height, parts, f"{y_title} over {x_title}")


def scatter(
    points: Sequence[tuple[int, str, float, float]], front: Sequence[tuple[float, float]], x_title: str, y_title: str
) -> str:
    """(place, name, x, y) as named dots, x on a log scale where all are above 0, with the Pareto front as a stepped line."""
    if not points:
        return ""
    logarithmic = all(x > 0 for _, _, x, _ in points)
    frame = _Frame([(x, y) for _, _, x, y in points], x_title, y_title, logarithmic)
    parts = frame.axes()
    if len(front) > 1:
        parts.append(f'<path d="{_path([frame.at(*p) for p in front])}" class="front"/>')
    for place, name, x, y in points:
        cx, cy = frame.at(x, y)
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="5" fill="{colour(place)}"/>')
        parts.append(f'<text x="{cx + 8:.1f}" y="{cy - 6:.1f}">{escape(name)}</text>')
    return _svg(frame.width, frame.height, parts, f"{y_title} against {x_title}")


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most about `most` points: of each stretch its smallest and its largest, in order."""
    if len(points) <= most:
        return list(points)
    size = math.ceil(2 * len(points) / most)
    kept = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        kept += sorted({min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])})
    return kept


class _Frame:
    """Axes with a few ticks, and where a value lies between them."""

    width, height = 640.0, 320.0
    left, right, top, bottom = 70.0, 130.0, 16.0, 46.0

    def __init__(
        self, points: Sequence[tuple[float, float]], x_title: str, y_title: str, logarithmic: bool = False
    ) -> None:
        self.x_title, self.y_title, self.logarithmic = x_title, y_title, logarithmic
        self.x_range = _wide([self._x(x) for x, _ in points])
        self.y_range = _wide([y for _, y in points])

    def _x(self, x: float) -> float:
        return math.log10(x) if self.logarithmic else x

    def at(self, x: float, y: float) -> tuple[float, float]:
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        across = (self._x(x) - x0) / (x1 - x0)
        up = (y - y0) / (y1 - y0)
        plot_w, plot_h = self.width - self.left - self.right, self.height - self.top - self.bottom
        return self.left + across * plot_w, self.height - self.bottom - up * plot_h

    def axes(self) -> list[str]:
        base, end = self.height - self.bottom, self.width - self.right
        parts = [f'<path class="axis" d="M{self.left} {self.top}V{base}H{end}"/>']
        for step in range(5):
            x = self.x_range[0] + (self.x_range[1] - self.x_range[0]) * step / 4
            y = self.y_range[0] + (self.y_range[1] - self.y_range[0]) * step / 4
            px, py = self.left + (end - self.left) * step / 4, base - (base - self.top) * step / 4
            said = 10**x if self.logarithmic else x
            parts.append(f'<text class="tick" x="{px:.1f}" y="{base + 16}" text-anchor="middle">{_short(said)}</text>')
            parts.append(f'<text class="tick" x="{self.left - 6}" y="{py + 4:.1f}" text-anchor="end">{y:.4g}</text>')
            parts.append(f'<line class="grid" x1="{self.left}" y1="{py:.1f}" x2="{end}" y2="{py:.1f}"/>')
        middle = (self.left + end) / 2
        parts.append(f'<text x="{middle}" y="{self.height - 8}" text-anchor="middle">{escape(self.x_title)}</text>')
        parts.append(
            f'<text transform="translate(14 {self.height / 2}) rotate(-90)" text-anchor="middle">{escape(self.y_title)}</text>'
        )
        return parts


def _short(value: float) -> str:
    return count_text(value) if abs(value) >= 1000 else f"{value:.3g}"


def _wide(values: Sequence[float]) -> tuple[float, float]:
    """The range with a little room, and some where all values are the same."""
    low, high = min(values), max(values)
    room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return low - room, high + room


def _points(corners: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img">'
    return f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>"
