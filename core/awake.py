"""Keep the machine from falling asleep while runs are alive.

The screen may still go dark. Where the platform offers no way (a server without a desktop session), the run goes on all
the same, and the reason is there to be shown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Awake:
    """Whether the machine is held awake, by which means, or why not."""

    active: bool
    method: str | None
    reason: str  # one sentence for the user
    details: str = ""  # when inactive: what each way that was tried answered, for the log


@contextmanager
def keep_awake() -> Iterator[Awake]:
    """Hold the machine awake inside the `with` block; yields what came of it and never raises for a refusal.

    Enter and leave it in the same thread.
    """
    from wakepy import keep  # 60 ms, and only the runner needs it

    mode = keep.running(on_fail="pass")
    mode.__enter__()
    try:
        if mode.active:
            method = str(mode.method)
            yield Awake(True, method, f"The machine is kept from sleeping, by {method}.")
        else:
            tried = ", ".join(result.method_name for result in mode.result.list_methods())
            why = f"these ways failed: {tried}" if tried else "this platform offers no way that is known"
            details = mode.result.get_failure_text()
            yield Awake(False, None, f"The machine may fall asleep during a run; {why}.", details)
    finally:
        try:
            mode.__exit__(None, None, None)
        except RuntimeError as error:
            # a runner outlives its desktop session, and with the session the hold is gone anyway
            logger.warning("could not release the hold that kept the machine awake: %s", error)
