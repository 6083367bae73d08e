"""The look: text can be read on everything it may stand on."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from desktop_app import theme
from desktop_app.theme import DARK, LIGHT, Colours

SURFACES = ("ground", "surface", "raised", "selected")
TEXT = ("ink", "muted", "accent", "good", "warning", "error")
ROOT = Path(__file__).resolve().parents[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(name: str) -> float:
    parts = (int(name[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.478, abs=0.001)  # the well-known grey just below the bar


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "surface"), itertools.product(TEXT, SURFACES))
def test_text_is_readable_on_every_surface(colours: Colours, text: str, surface: str) -> None:
    assert contrast(getattr(colours, text), getattr(colours, surface)) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_primary_buttons_text_and_direct_labels_are_readable(colours: Colours) -> None:
    assert contrast(colours.on_accent, colours.accent) >= 4.5
    assert contrast(colours.on_accent, colours.accent_hover) >= 4.5
    for line in (*colours.series, colours.teacher):
        assert contrast(line, colours.surface) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_fields_have_an_edge_that_is_seen(colours: Colours) -> None:
    assert contrast(colours.field_line, colours.surface) >= 3
    assert contrast(colours.accent, colours.surface) >= 3


def test_no_other_module_names_a_colour() -> None:
    for file in (ROOT / "desktop_app").rglob("*.py"):
        if file.name != "theme.py":
            assert not re.search(r"[\"']#[0-9A-Fa-f]{3,8}[\"']", file.read_text(encoding="utf-8")), file


def test_the_series_differ_from_each_other() -> None:
    for colours in (theme.LIGHT, theme.DARK):
        assert len(set(colours.series)) == len(colours.series) >= 8
