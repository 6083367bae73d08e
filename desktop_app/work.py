"""Work off the window's thread. What is slow (reading folders, planning, importing) happens here; only its result comes back.

The result arrives in the thread of the owner; nothing arrives once the owner is gone. A `Trouble` goes to `trouble`; any
other exception is our bug and is raised in the window's thread, where the error hook shows it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, Signal

from core.errors import Trouble

T = TypeVar("T")
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="work")


class Task(QObject):
    """One piece of work on its way. `cancel()` lets its result fall."""

    _ended = Signal(object, object)

    def __init__(
        self,
        owner: QObject,
        function: Callable[[], Any],
        done: Callable[[Any], None],
        trouble: Callable[[Trouble], None] | None,
    ) -> None:
        super().__init__(owner)
        self._function, self._done, self._trouble = function, done, trouble
        self.cancelled = False
        self._ended.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def cancel(self) -> None:
        self.cancelled = True

    def work(self) -> None:
        result, error = None, None
        if not self.cancelled:
            try:
                result = self._function()
            except Exception as caught:  # noqa: BLE001 - handed to the window's thread, which raises what is no Trouble
                error = caught
        try:
            self._ended.emit(result, error)
        except RuntimeError:  # the owner went meanwhile, and this with it
            return

    def _deliver(self, result: Any, error: Exception | None) -> None:
        self.deleteLater()
        if self.cancelled:
            return
        if error is None:
            self._done(result)
        elif isinstance(error, Trouble) and self._trouble is not None:
            self._trouble(error)
        else:
            raise error


def in_background(
    owner: QObject,
    function: Callable[[], T],
    done: Callable[[T], None],
    trouble: Callable[[Trouble], None] | None = None,
) -> Task:
    """Call `function` in another thread, then `done` with its result (or `trouble`) in the owner's."""
    task = Task(owner, function, done, trouble)
    _threads.submit(task.work)
    return task


class Latest:
    """Looks something up again and again, as while somebody types; only the newest answer arrives."""

    def __init__(self, owner: QObject) -> None:
        self._owner = owner
        self._task: Task | None = None

    def ask(
        self, function: Callable[[], T], done: Callable[[T], None], trouble: Callable[[Trouble], None] | None = None
    ) -> None:
        self.drop()
        self._task = Task(self._owner, function, done, trouble)
        threading.Thread(target=self._task.work, name="look up", daemon=True).start()

    def drop(self) -> None:
        """Let the answer that is on its way fall."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
