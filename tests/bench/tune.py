"""Held-out loss of the ways to tune, on one model and one data file: methods, and rates around the default's.

    python -m tests.bench.tune --model FOLDER --data FILE [--methods lora,full] [--rates 0.3,1,3] [--steps 40]

Every run has the same rows, batches and steps. Rates are multiples of what Stillroom proposes; it prints the loss before and after, in nats
a token of what is learnt, and the share of the weights that learnt.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from core.engine.__main__ import FINISHED, work
from core.home import Home
from core.models import inspect_model
from core.runs import new_run
from core.tune import TuneRecipe
from core.tune_proposals import learning_rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--objective", default="sft")
    parser.add_argument("--methods", default="lora,full")
    parser.add_argument("--rates", default="1")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--sequence-length", type=int, default=256)
    arguments = parser.parse_args()
    print(f"{'method':<8} {'rate':>9} {'weights':>8} {'before':>8} {'after':>8} {'seconds':>8}")
    for method in arguments.methods.split(","):
        for factor in map(float, arguments.rates.split(",")):
            results, rate = one(arguments, method, factor)
            share = results["learnt_parameters"] / results["parameters"]
            name = "loss" if arguments.objective != "sft" else "ce"
            before, after = results["before"][name], results["after"][name]
            print(
                f"{method:<8} {rate:>9.2g} {share:>8.1%} {before:>8.3f} {after:>8.3f} {results['seconds']:>8.1f}",
                flush=True,
            )


def one(arguments: argparse.Namespace, method: str, factor: float) -> tuple[dict[str, Any], float]:
    """The results of one run, and its rate."""
    fields = {"model": arguments.model, "data": (arguments.data,), "method": method, "objective": arguments.objective}
    fields |= {"steps": arguments.steps, "batch": arguments.batch, "sequence_length": arguments.sequence_length}
    fields |= {
        "evaluate_every": arguments.steps,
        "checkpoint_every": arguments.steps,
        "sample_rows": 0,
        "held_out": 0.1,
    }
    proposed, _ = learning_rate(TuneRecipe(**fields), inspect_model(Path(arguments.model)).parameters)
    recipe = TuneRecipe(**fields, learning_rate=factor * proposed).check()
    with tempfile.TemporaryDirectory() as folder:
        run = new_run(Home.find(folder), recipe)
        if work(run, "cpu") != FINISHED:
            failure = run.history().failure
            raise SystemExit(failure.what if failure else "the run did not finish")
        return run.history().results, factor * proposed


if __name__ == "__main__":
    main()
