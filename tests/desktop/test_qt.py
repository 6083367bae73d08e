"""The Qt binding itself: a fault of it ends the program after some thousand calls, without a word."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import QObject


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on")
def test_calls_that_return_nothing_leave_none_alone() -> None:
    """PySide6 6.12.0 takes a reference off None with each of them on Python 3.11, until the interpreter dies."""
    one = QObject()
    before = sys.getrefcount(None)
    for _ in range(1000):
        one.setObjectName("x")
    assert abs(sys.getrefcount(None) - before) < 100
