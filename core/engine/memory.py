"""The memory of the engine's process: its peak, what is free, and what is given back."""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
import threading
import time
from functools import cache

import psutil
import torch

from core.devices import memory_bytes


class MemoryWatch:
    """The peak of memory while a block of code runs; on a CPU the resident memory is looked at 500 times a second."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.growth = 0

    def __enter__(self) -> MemoryWatch:
        free_unused(self.device)
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
            return self
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self._peak, self._running = self._before, True
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while self._running:
            self._peak = max(self._peak, self._process.memory_info().rss)
            time.sleep(0.002)

    def __exit__(self, *_: object) -> None:
        if self.device == "cuda":
            self.growth = torch.cuda.max_memory_allocated() - self._before
            return
        self._running = False
        self._thread.join()
        self.growth = max(self._peak, self._process.memory_info().rss) - self._before


def free_unused(device: str) -> None:
    """Give back what nothing refers to any more, to the system too."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    if has_glibc():
        ctypes.CDLL(None).malloc_trim(0)


@cache
def has_glibc() -> bool:
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def free_memory(device: str) -> int:
    """Bytes a run may still take: what torch could allocate on a GPU, what the system, or this process's control group, can give without
    swapping on a CPU."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return int(free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())
    return memory_bytes()[1]
