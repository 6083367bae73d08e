"""All objectives and sources on one teacher and one student: the same tokens, several seeds, held-out bits per byte.

    python -m tests.bench.objectives --teacher FOLDER --data FILE [--student 0.4x] [--tokens 60000] [--seeds 3] [--home FOLDER]

Every row is an ordinary run of the engine (one after another in this process, so that imports are paid once); with --home finished runs are
kept and found again. The held-out documents follow the seed alone. Prints a Markdown table and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from core.distill import DistillRecipe
from core.engine.__main__ import FINISHED, work
from core.home import Home
from core.objectives import OBJECTIVES, Objective
from core.plan import settle
from core.runs import all_runs, new_run
from core.state import State


def arms(only: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "no teacher", {"use_teacher": False}
    for name in get_args(Objective):
        if OBJECTIVES[name].needs != "text":
            yield name, {"objective": name}
    yield "forward_kl, cache of 50", {"source": "cache"}
    yield "forward_kl, cache of 50 drawn", {"source": "cache", "tail": "sample"}
    yield "jsd, cache of 50", {"source": "cache", "objective": "jsd"}
    yield "jsd, on-policy", {"source": "on-policy", "objective": "jsd"}
    yield (
        "reverse_kl, on-policy, teacher mixed in",
        {
            "source": "on-policy",
            "objective": "reverse_kl",
            "teacher_mix": 0.2,
        },
    )
    yield "forward_kl and hidden states", {"hidden_weight": 0.5}
    yield "jsd, balanced", {"objective": "jsd", "balance": "auto"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--student", default="0.4x")
    parser.add_argument("--init", default="prune")
    parser.add_argument("--tokens", type=int, default=60_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", default=[], help="rows whose name begins so")
    parser.add_argument("--home", type=Path, help="keep the runs here; by default they go with a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Home((given.home or Path(scratch)).absolute())
        home.make()
        figures: dict[str, list[dict[str, Any]]] = {}
        for seed in range(1, given.seeds + 1):
            for name, fields in arms(given.only):
                if given.only and not name.startswith(tuple(given.only)):
                    continue
                figures.setdefault(name, []).append(one(home, given, name, seed, fields))
                ended = figures[name][-1]
                print(f"{name}, seed {seed}: {ended['bits_per_byte']:.4f}", file=sys.stderr, flush=True)
    show(figures)
    return 0


def one(home: Home, given: argparse.Namespace, name: str, seed: int, fields: dict[str, Any]) -> dict[str, Any]:
    recipe = settle(
        DistillRecipe(
            name=f"{name}, seed {seed}",
            teacher=str(given.teacher),
            student=given.student,
            init=given.init,
            data=(str(given.data),),
            tokens=given.tokens,
            seed=seed,
            device="cpu",
            **fields,
        )
    )
    same = [run for run in all_runs(home) if run.recipe() == recipe and run.state() is State.FINISHED]
    run = same[0] if same else new_run(home, recipe)
    if not same and work(run, "cpu") != FINISHED:
        sys.exit(f"{name}, seed {seed}: {run.history().failure}")
    history = run.history()
    after = history.results["after"]
    return {**after, "seconds": history.steps[-1].seconds, "teacher": history.results["teacher"]}


def show(figures: dict[str, list[dict[str, Any]]]) -> None:
    alone = [each["bits_per_byte"] for each in figures.get("no teacher", [])]
    print(
        "| objective | bits per byte, each seed | mean | against no teacher | seeds better | held-out CE | seconds of training |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, seeds in figures.items():
        values = [each["bits_per_byte"] for each in seeds]
        gains = [ours - none for ours, none in zip(values, alone, strict=False)]
        against = f"{statistics.mean(gains):+.4f}" if gains else "–"
        better = f"{sum(gain < 0 for gain in gains)} of {len(gains)}" if gains else "–"
        print(
            f"| {name} | {', '.join(f'{value:.4f}' for value in values)} | {statistics.mean(values):.4f} | {against} | {better} "
            f"| {statistics.mean(each['ce'] for each in seeds):.4f} | {statistics.median(each['seconds'] for each in seeds):.1f} |"
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    sys.exit(main())
