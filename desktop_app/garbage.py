"""Garbage is collected in the window's thread alone.

Python looks for reference cycles in whichever thread happens to make objects. Most widgets are in such cycles (a signal connected to a
lambda that knows its owner), so a thread that only reads a journal would take windows apart while Qt is at work on them, and the program
would die without a word. Here a timer does it between two events, at the thresholds at which Python would.
"""

from __future__ import annotations

import gc
import time

from PySide6.QtCore import QObject, QThread, QTimer

LOOK_MS = 250
WHOLE_EVERY_S = 20.0  # what is old is looked through no more often: it is many objects, and few of them go


class GarbageCollector(QObject):
    """Collects as long as it lives. What is there when it begins is taken to stay for good."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        gc.freeze()
        self._whole_at = time.monotonic()
        timer = QTimer(self)
        timer.setInterval(LOOK_MS)
        timer.timeout.connect(self.look)
        timer.start()

    def look(self) -> int:
        """Collect what is due; how many objects went."""
        assert QThread.currentThread() is self.thread()
        for generation in (2, 1, 0):
            if gc.get_count()[generation] > gc.get_threshold()[generation]:
                if generation == 2:
                    if time.monotonic() - self._whole_at < WHOLE_EVERY_S:
                        continue
                    self._whole_at = time.monotonic()
                return gc.collect(generation)
        return 0
