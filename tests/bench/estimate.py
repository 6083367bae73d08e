"""Estimate against truth on real configurations: peak memory, time and speed of short runs on the CPU.

    python tests/bench/estimate.py [--only NAME]

Each run is a real engine process on ../shared/models/stories3m and ../shared/data/text/tinystories.txt, some dozen
seconds long. The truth of memory is the process's peak resident memory, as the system counts it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from core.distill import DistillRecipe
from core.home import Home
from core.plan import parse_target, plan, settle
from core.runs import new_run

SHARED = Path(__file__).parents[2].parent / "shared"
TEACHER = SHARED / "models" / "stories3m"
TEXT = SHARED / "data" / "text" / "tinystories.txt"
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "pruned to 0.4x, 1 block of 512": {"student": "0.4x", "batch_tokens": 512},
    "masks to 0.5x, 8 blocks of 512": {"student": "0.5x", "init": "masks", "batch_tokens": 4096},
    "from scratch 0.8x, 32 blocks of 256": {
        "student": "0.8x",
        "init": "scratch",
        "sequence_length": 256,
        "batch_tokens": 8192,
    },
    "0.4x without the teacher, 16 blocks of 512": {"student": "0.4x", "use_teacher": False, "batch_tokens": 8192},
    "the teacher itself, gradient checkpointing, 16 blocks": {
        "student": str(TEACHER),
        "batch_tokens": 8192,
        "gradient_checkpointing": True,
    },
    "from a cache, 8 blocks of 512": {"student": "0.4x", "batch_tokens": 4096, "source": "cache"},
    "clipped KL, 8 blocks of 512": {"student": "0.4x", "batch_tokens": 4096, "objective": "top_p"},
    "hidden states and relations, 8 blocks of 512": {
        "student": "0.4x",
        "batch_tokens": 4096,
        "objective": "hidden",
        "relation_weight": 0.1,
    },
    "on-policy, 8 blocks of 512": {"student": "0.4x", "batch_tokens": 4096, "source": "on-policy"},
}
STEPS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="run the configurations whose name holds this")
    only = parser.parse_args().only
    if not TEACHER.is_dir():
        sys.exit(f"{TEACHER} is not there: the bench needs the shared models beside the project.")
    print(f"{'configuration':<56}{'memory':>10}{'estimate':>10}{'off':>7}{'time':>8}{'estimate':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name, fields in CONFIGURATIONS.items():
            if only in name:
                print(f"{name:<56}{compare(Home.find(folder), fields)}", flush=True)


def compare(home: Home, fields: dict[str, Any]) -> str:
    """Run one configuration and return its line: truth, estimate and error of memory (MB), and of time (s)."""
    tokens = STEPS * int(fields["batch_tokens"])
    common: dict[str, Any] = {"micro_batch": 32, "evaluate_every": STEPS}
    common |= {"checkpoint_every": STEPS, "device": "cpu", "tokens": tokens} | fields
    recipe = settle(DistillRecipe(teacher=str(TEACHER), data=(str(TEXT),), **common))
    others = {name: value for name, value in common.items() if name not in ("student", "init", "device", "tokens")}
    cost = plan(
        home,
        parse_target(recipe.student),
        TEACHER,
        init=recipe.init,
        tokens=tokens,
        data=recipe.data,
        device="cpu",
        **others,
    ).estimate
    memory, seconds = measure(home, recipe)
    off = cost.memory_bytes / memory - 1
    return f"{memory / 1e6:10.0f}{cost.memory_bytes / 1e6:10.0f}{off:+7.0%}{seconds:8.0f}{cost.seconds:10.0f}"


def measure(home: Home, recipe: DistillRecipe) -> tuple[int, float]:
    """(peak resident bytes, seconds) of an engine at work on the recipe. RuntimeError with its log if it fails."""
    run = new_run(home, recipe)
    began = time.monotonic()
    with run.log.open("wb") as log:
        engine = subprocess.Popen(
            [sys.executable, "-m", "core.engine", str(run.path)], stdout=log, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(engine.pid, 0)
    if status != 0:
        raise RuntimeError(f"the engine failed:\n{run.log.read_text(encoding='utf-8')[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit, time.monotonic() - began


if __name__ == "__main__":
    main()
