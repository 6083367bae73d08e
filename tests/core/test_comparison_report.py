"""A report is one file: it loads nothing, hides nothing, and can't be broken by a name."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from core.compare import Comparison, CurvePoint, Entry
from core.pictures import curves, radar, scatter, thinned
from core.report import to_html, to_markdown
from core.scores import Score


def entry(word: str, name: str, size: int, figures: dict[str, float], **rest) -> Entry:
    scores = [Score(task, "acc", value, 0.01, "v1, 0-shot", 100, True) for task, value in figures.items()]
    return Entry(word, name, None, None, size, size * 2, {score.column: score for score in scores}, **rest)


@pytest.fixture
def comparison() -> Comparison:
    curve = tuple(CurvePoint(step, step * 10, float(step), None, 5.0 / step) for step in range(1, 50))
    one = entry(
        "one", "Tea & <Son>", 1_000_000, {"arc_easy": 0.5, "piqa": 0.7, "boolq": 0.6}, curve=curve, settings={"seed": 1}
    )
    two = entry(
        "two", "two|pipes", 400_000, {"arc_easy": 0.4, "piqa": 0.7}, settings={"seed": 2}, samples={"Once": "x"}
    )
    three = entry(
        "three", "three", 100_000, {"arc_easy": 0.3, "boolq": 0.2}, samples={"Once": "<script>alert(1)</script>"}
    )
    return Comparison((one, two, three), "raw", None, "A < B")


class Reader(HTMLParser):
    """Collects tags and checks that each is closed."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(comparison) -> None:
    page = to_html(comparison)
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    tags = {tag for tag, _ in reader.seen}
    assert not tags & {"script", "link", "img", "iframe", "object"}
    assert not any(name in ("src", "href") or name.startswith("on") for _, attrs in reader.seen for name in attrs)
    assert not re.search(r"url\(|@import", page)
    assert "<script>" not in page
    assert "Tea &amp; &lt;Son&gt;" in page
    for part in ("Radar", "Scores", "Quality against size", "Training", "Settings that differ", "What they write"):
        assert f"<h2>{part}</h2>" in page


def test_pictures_are_well_formed_and_show_every_model(comparison) -> None:
    pictures = re.findall(r"<svg.*?</svg>", to_html(comparison), re.DOTALL)
    assert len(pictures) == 3
    for picture in pictures:
        ElementTree.fromstring(picture)
    assert len(ElementTree.fromstring(pictures[1]).findall("{*}circle")) == 3


def test_a_gap_in_a_radar_stays_a_gap() -> None:
    whole = ElementTree.fromstring(radar(["a", "b", "c"], [("m", [0.1, 0.2, 0.3])]))
    gapped = ElementTree.fromstring(radar(["a", "b", "c"], [("m", [0.1, None, 0.3])]))
    assert len(whole.findall("{*}circle")) == 3
    assert len(gapped.findall("{*}circle")) == 2
    assert len(gapped.findall("{*}path")) == 1  # of three sides the one between two known corners
    assert len(whole.findall("{*}polygon")) == len(gapped.findall("{*}polygon")) + 1


def test_a_radar_needs_three_axes(comparison) -> None:
    few = Comparison(tuple(entry(str(n), str(n), 10, {"arc_easy": 0.3, "piqa": 0.4}) for n in range(2)))
    assert "<h2>Radar</h2>" not in to_html(few)
    assert "<h2>Radar</h2>" in to_html(comparison)


def test_the_best_of_a_line_is_bold_with_its_error_in_both_forms(comparison) -> None:
    assert "<b>0.5000 ± 0.0100</b>" in to_html(comparison)
    text = to_markdown(comparison)
    assert "**0.5000 ± 0.0100**" in text
    assert "two\\|pipes" in text
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| ARC easy ·")}
    assert widths == {5}


def test_a_report_of_models_that_nobody_measured_says_so() -> None:
    empty = Comparison((Entry("a", "a", None, None, None, None, {}),))
    assert "Nothing was measured yet" in to_html(empty)
    assert to_markdown(empty).startswith("# Comparison")


def test_thinning_a_curve_keeps_its_spikes() -> None:
    points = [(float(x), 100.0 if x == 7321 else 1.0) for x in range(20_000)]
    thin = thinned(points)
    assert len(thin) <= 700
    assert (7321.0, 100.0) in thin
    assert thin == sorted(thin)
    assert thinned(points[:5]) == points[:5]


def test_charts_of_one_point_or_of_none_are_no_trouble() -> None:
    assert curves([("a", [])], "x", "y") == ""
    ElementTree.fromstring(curves([("a", [(1.0, 2.0)])], "x", "y"))
    ElementTree.fromstring(scatter([(0, "a", 0.0, 2.0)], [], "x", "y"))
    assert scatter([], [], "x", "y") == ""
