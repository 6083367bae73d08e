"""What each type of export costs and keeps: `python -m tests.bench.export [--model FOLDER] [--data FILE] [TO:TYPE …]`.

Each line is a whole, checked export in this process: size, perplexity before and after, agreement of first choices, equal greedy answers of
ten (with those that part at a near tie), and seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from core.engine.__main__ import FINISHED, work
from core.export import PLAIN_TYPES, ExportRecipe
from core.home import Home
from core.journal import read_journal
from core.numbers import bytes_text
from core.runs import new_run
from core.state import fold

SAMPLE = Path(__file__).parents[2] / "resources" / "sample" / "stories-5M"
KINDS = [
    *(f"gguf:{name}" for name in (*PLAIN_TYPES, "q8_0", "q5_1", "q4_1", "q4_0")),
    "hf:bf16",
    "int8:int8",
    "int4:int4",
    "onnx:f32",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=KINDS, metavar="TO:TYPE")
    parser.add_argument("--model", type=Path, default=SAMPLE)
    parser.add_argument("--data", action="append", default=[])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'type':12} {'size':>9} {'perplexity':>21} {'agree':>7} {'answers':>9} {'s':>6}  asked by")
    with tempfile.TemporaryDirectory() as scratch:
        home = Home.find(Path(scratch) / "home")
        for kind in arguments.kinds:
            to, _, weight_type = kind.partition(":")
            out = Path(scratch) / f"{to}-{weight_type}{'.gguf' if to == 'gguf' else ''}"
            fields = {
                "model": str(arguments.model),
                "to": to,
                "type": weight_type,
                "out": str(out),
                "data": tuple(arguments.data),
            }
            run = new_run(home, ExportRecipe.model_validate(fields).check())
            began = time.monotonic()
            code = work(run, "cpu")
            history = fold(read_journal(run.journal))
            if code != FINISHED:
                print(f"{kind:12} {history.failure.what if history.failure else 'failed'}")
                continue
            size, check = history.results["size_bytes"], history.results["check"]
            both = f"{check['perplexity']['original']:.4f} → {check['perplexity']['exported']:.4f}"
            answers = f"{check['equal_answers']}+{check['near_ties']}"
            seconds = time.monotonic() - began
            print(
                f"{kind:12} {bytes_text(size):>9} {both:>21} {check['agreement']:7.2%} {answers:>9} {seconds:6.1f}  {check['runtime']}"
            )


if __name__ == "__main__":
    main()
