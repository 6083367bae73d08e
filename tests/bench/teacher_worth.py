"""What a teacher is worth: the same student, for the same tokens, with its guidance and without, over several seeds.

    python -m tests.bench.teacher_worth --teacher FOLDER --data FILE [--student 0.4x] [--tokens 300000] [--seeds 3]

Every run is an ordinary `stillroom distill`. The figure is the finished student's bits per byte on the run's own held-out documents, which
depend on the seed alone and so are the same with and without the teacher. Prints a table and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--student", default="0.4x")
    parser.add_argument("--tokens", type=int, default=300_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--init", nargs="+", default=["prune", "scratch"])
    parser.add_argument("--home", type=Path, help="keep the runs here; by default they go with a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = arguments.home or Path(scratch)
        figures = {
            init: {
                kind: [one(arguments, home, init, kind, seed) for seed in range(1, arguments.seeds + 1)]
                for kind in ("teacher", "alone")
            }
            for init in arguments.init
        }
    print(
        f"| student | with the teacher | without | difference | seeds better | (bits per byte, {arguments.tokens} tokens) |"
    )
    print("|---|---|---|---|---|---|")
    for init, pair in figures.items():
        better = sum(guided < alone for guided, alone in zip(pair["teacher"], pair["alone"], strict=True))
        means = {kind: statistics.mean(values) for kind, values in pair.items()}
        spread = {kind: statistics.stdev(values) if len(values) > 1 else 0.0 for kind, values in pair.items()}
        cells = [f"{means[kind]:.4f} ± {spread[kind]:.4f}" for kind in ("teacher", "alone")]
        print(
            f"| {init} | {cells[0]} | {cells[1]} | {means['teacher'] - means['alone']:+.4f} | {better} of {len(pair['teacher'])} | |"
        )
    print(json.dumps(figures))
    return 0


def one(arguments: argparse.Namespace, home: Path, init: str, kind: str, seed: int) -> float:
    """Bits per byte of one finished student."""
    command = [
        sys.executable, "-m", "desktop_app", "--home", str(home), "distill", "--json", "--teacher", str(arguments.teacher), "--student", arguments.student,
        "--init", init, "--data", str(arguments.data), "--tokens", str(arguments.tokens), "--seed", str(seed), "--name", f"{init} {kind} {seed}",
        *(["--no-teacher"] if kind == "alone" else []),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    if done.returncode:
        sys.exit(f"{init} {kind} {seed}: {result.get('error')}")
    print(f"{init} {kind} seed {seed}: {result['after']['bits_per_byte']:.4f}", file=sys.stderr, flush=True)
    return float(result["after"]["bits_per_byte"])


if __name__ == "__main__":
    sys.exit(main())
