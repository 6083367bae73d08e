"""Watches how long the window's thread is away from its event loop: every slot, paint and event, outermost only."""

from __future__ import annotations

import time
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication


@dataclass(frozen=True)
class Stay:
    """One event and all that it set going. `busy_ms` is the thread's own time, which a busy machine does not lengthen."""

    wall_ms: float
    busy_ms: float
    what: str


class WatchedApplication(QApplication):
    """Records every stay while `watching`."""

    watching = False

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        self.stays: list[Stay] = []
        self._depth = 0

    def notify(self, receiver: QObject, event: QEvent) -> bool:
        if not self.watching or self._depth:
            return super().notify(receiver, event)
        kind, name = event.type(), type(receiver).__name__
        self._depth += 1
        wall, busy = time.perf_counter(), time.thread_time()
        try:
            return super().notify(receiver, event)
        finally:
            self._depth -= 1
            spent = 1000 * (time.perf_counter() - wall), 1000 * (time.thread_time() - busy)
            self.stays.append(Stay(*spent, f"{kind.name} at {name}"))

    def worst(self, count: int = 5) -> list[Stay]:
        return sorted(self.stays, key=lambda stay: stay.busy_ms, reverse=True)[:count]
