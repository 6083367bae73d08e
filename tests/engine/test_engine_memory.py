"""What the engine's process keeps between steps and gives back after them, on a machine with glibc."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.engine.memory import LARGEST_KEPT, has_glibc

STEPS = """
import resource, sys
import psutil, torch
from core.engine.memory import LARGEST_KEPT, free_unused, keep_freed

def step(each, count):
    held = [torch.ones(each // 4) for _ in range(count)]

def new_pages(each, count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(each, count)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

resident = psutil.Process().memory_info
if sys.argv[1] == "kept":
    keep_freed()
small, many = 3 * 2**20, 60
step(small, many)
print(new_pages(small, many))
held = resident().rss
free_unused("cpu")
print(held - resident().rss)
step(2 * LARGEST_KEPT, 1)
print(new_pages(2 * LARGEST_KEPT, 1))
"""


def run(how: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", STEPS, how], check=True, capture_output=True, text=True)
    return [int(line) for line in done.stdout.split()]


@pytest.mark.skipif(not has_glibc(), reason="only glibc's allocator can be told what to keep")
def test_a_step_meets_no_new_pages_where_the_last_one_freed_as_many() -> None:
    plain, (kept, given_back, _) = run("plain")[0], run("kept")
    freed = 180 * 2**20
    assert plain > freed / 4096 / 4  # by itself glibc gives a good part back, and takes it anew
    assert kept < plain / 20
    assert given_back > 0.9 * freed  # to other programs, when the steps are over


@pytest.mark.skipif(not has_glibc(), reason="only glibc's allocator can be told what to keep")
def test_what_is_larger_than_a_chunk_is_not_kept() -> None:
    """Or the holes that such blocks leave would be memory that nothing fits into."""
    assert run("kept")[2] > LARGEST_KEPT / 4096
