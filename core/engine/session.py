"""One engine at work on one run: the lock it holds, the journal it writes, the stop request it heeds.

Every capability's `run(session)` speaks to the outside through this and nothing else.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from core import events as ev
from core.engine.processes import Peers
from core.errors import Trouble
from core.journal import JournalWriter
from core.recipe import Recipe
from core.runs import DISCARD, KEEP, RunFolder

OUTSIDE = dict(os.environ)  # as the engine was started, before it made its devices the only visible ones


class StopRequested(Exception):
    """Raised at a safe place after somebody asked the run to end."""


class Session:
    """`devices` are the run's by their own names (cuda:2, cuda:3); `device` is cpu, cuda or mps, as torch is to see this process's own.

    Of several processes (`peers`) only the main one has a journal and may end outside training; the others do as it does.
    """

    def __init__(
        self,
        run: RunFolder,
        recipe: Recipe,
        journal: JournalWriter | None,
        devices: tuple[str, ...],
        peers: Peers | None = None,
    ) -> None:
        self.run = run
        self.recipe = recipe
        self.journal = journal
        self.devices = devices
        self.device = devices[0].partition(":")[0]
        self.peers = peers or Peers()
        self.phase_name = ""
        self.step = 0
        self._terminated = False
        self._said_at = 0.0
        self._looked_at = 0.0
        self._wish: str | None = None
        self._saying = threading.Lock()
        signal.signal(signal.SIGTERM, self._on_terminate)

    def say(self, event: ev.Event) -> None:
        if self.journal is not None:
            with self._saying:
                self.journal.append(event)

    def phase(self, name: str, detail: str = "", *, safe_to_end: bool = True) -> None:
        """Enter a named phase; ends here if a stop is asked for, unless steps are under way that a checkpoint must keep first."""
        if safe_to_end:
            self.check_stop()
        self.phase_name = name
        self.say(ev.PhaseEntered(name, detail))

    def progress(self, share: float) -> None:
        """Say how far the phase is (0 to 1), a few times a second at most; a safe place to end."""
        self.check_stop()
        now = time.monotonic()
        if now - self._said_at >= 0.25 or share >= 1.0:
            self._said_at = now
            self.say(ev.PhaseProgressed(self.phase_name, round(share, 4)))

    def choose(self, name: str, value: Any, reason: str) -> None:
        """Record an automatic choice with its reason."""
        self.say(ev.ChoiceMade(name, value, reason))

    def notice(self, text: str, level: str = "info") -> None:
        self.say(ev.NoticeRaised(level, text))

    def stop_wish(self) -> str | None:
        """KEEP or DISCARD once the run is asked to end; looks at the disk at most 20 times a second.

        Beside the main process, only what was agreed on.
        """
        now = time.monotonic()
        if self.peers.main and self._wish is None and now - self._looked_at >= 0.05:
            self._looked_at = now
            self._wish = self.run.stop_wish() or (KEEP if self._terminated else None)
        return self._wish

    def agreed_stop(self) -> str | None:
        """The same wish for all processes, which must ask at the same place: after a step."""
        if self.peers.count > 1:
            wishes = (None, KEEP, DISCARD)
            own = self.stop_wish() or (KEEP if self._terminated else None)
            self._wish = wishes[self.peers.highest(wishes.index(own))]
        return self.stop_wish()

    def check_stop(self) -> None:
        if self.stop_wish() is not None:
            raise StopRequested

    @property
    def discarding(self) -> bool:
        return self.stop_wish() == DISCARD

    def torch_name(self, device: str) -> str:
        """What torch calls one of the run's devices: the GPUs that a run was given count from 0 for it."""
        if device not in self.devices:
            raise Trouble(f"The run was not given the device {device}.", f"It has {', '.join(self.devices)}.")
        kind = device.partition(":")[0]
        return f"{kind}:{self.devices.index(device)}" if kind == "cuda" else kind

    @property
    def artifacts(self) -> Path:
        return self.run.artifacts

    def _on_terminate(self, number: int, frame: FrameType | None) -> None:
        """The system asks us to end (log-out, shutdown): the same as *Stop and keep*."""
        self._terminated = True
