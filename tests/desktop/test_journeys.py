"""Whole journeys, by clicking real widgets, against real engine processes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_window_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    from tests.bench.window_kills import loop

    report = loop(tmp_path, rounds=4, rng=random.Random(3))
    assert report["ok"], report
