"""Work off the window's thread. What is slow (reading folders, planning, importing) happens here; only its result comes back.

The result arrives in the window's thread; nothing arrives once the owner is gone. A `Trouble`, and what the system refused (in
words), goes to `trouble`; any other exception is our bug and is raised in the window's thread, where the error hook shows it.

What a user asked for is finished even if the window closes meanwhile; what was only looked up is not waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, Signal
from shiboken6 import isValid

from core.errors import Trouble

T = TypeVar("T")
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="work")


class Courier(QObject):
    """Has functions called in the window's thread. It is never deleted, so no thread ever speaks to one that is going."""

    called = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.called.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def _call(self, function: Callable[[], None]) -> None:
        function()


_courier: Courier | None = None


def courier() -> Courier:
    """The one of this process; asked for first by the window's thread, to which it belongs."""
    global _courier
    if _courier is None:
        _courier = Courier()
    return _courier


class Task:
    """One piece of work on its way. `cancel()` lets its result fall."""

    def __init__(
        self,
        owner: QObject,
        function: Callable[[], Any],
        done: Callable[[Any], None],
        trouble: Callable[[Trouble], None] | None,
    ) -> None:
        self._owner, self._function, self._done, self._trouble = owner, function, done, trouble
        self._courier = courier()
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def work(self) -> None:
        result: Any = None
        error: Exception | None = None
        if self.cancelled:
            return
        try:
            result = self._function()
        except OSError as caught:
            where = f"{caught.filename}: " if caught.filename else ""
            way_out = "Free some space, or check the permissions, and try again."
            error = Trouble(f"{where}{caught.strerror or caught}.", way_out)
        except Exception as caught:  # noqa: BLE001 - handed to the window's thread, which raises what is no Trouble
            error = caught
        self._courier.called.emit(partial(self._deliver, result, error))

    def _deliver(self, result: Any, error: Exception | None) -> None:
        if self.cancelled or not isValid(self._owner):
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


def finish() -> None:
    """Wait for what the user asked for; what was only looked up is dropped."""
    _threads.shutdown(wait=True)
