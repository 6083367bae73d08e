"""The metric of benchmarks that test code, on this machine: what the Hub's `code_eval` computes, with our sandbox under it.

The harness's HumanEval and MBPP ask the Hub for that metric when they are loaded; `local_code_metric` answers instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from core.engine import sandbox
from core.errors import Trouble


class CodeEval:
    """What `evaluate.load("code_eval")` gives. `pause` is called between programs, and may raise to end them."""

    def __init__(self) -> None:
        self.pause: Callable[[], None] = lambda: None
        self.failures: dict[str, int] = {}  # why programs failed, and how many did so

    def compute(
        self,
        references: Sequence[str],
        predictions: Sequence[Sequence[str]],
        k: Sequence[int] = (1, 10, 100),
        timeout: float = sandbox.SECONDS,
        **_: Any,
    ) -> tuple[dict[str, float], dict[int, list[tuple[int, dict[str, Any]]]]]:
        """pass@k for each k with enough candidates, as a mean over tasks; and how each candidate of each task ended."""
        details: dict[int, list[tuple[int, dict[str, Any]]]] = {}
        rates: dict[int, list[float]] = {each: [] for each in k}
        for task, (test, candidates) in enumerate(zip(references, predictions, strict=True)):
            outcomes = [sandbox.run_program(f"{candidate}\n{test}", timeout, self.pause) for candidate in candidates]
            for outcome in outcomes:
                if not outcome.passed:
                    self.failures[outcome.why] = self.failures.get(outcome.why, 0) + 1
            details[task] = [
                (place, {"task_id": task, "passed": outcome.passed, "result": outcome.why})
                for place, outcome in enumerate(outcomes)
            ]
            for each in k:
                if len(outcomes) >= each:
                    rates[each].append(pass_at(len(outcomes), sum(outcome.passed for outcome in outcomes), each))
            self.pause()
        return {f"pass@{each}": sum(found) / len(found) for each, found in rates.items() if found}, details


def pass_at(candidates: int, passed: int, k: int) -> float:
    """The chance that one of k candidates drawn from `candidates` passes, unbiased: 1 − C(n − c, k)/C(n, k) (Chen et al., arXiv 2107.03374,
    equation 1).
    """
    return 1 - math.comb(candidates - passed, k) / math.comb(candidates, k)


CODE_EVAL = CodeEval()  # the tasks' modules keep what they loaded, so there is one for all


@contextmanager
def local_code_metric(pause: Callable[[], None]) -> Iterator[CodeEval]:
    """While it lasts, the harness's tasks get this metric instead of code from the Hub; any other metric of the Hub is refused in words."""
    import evaluate

    def load(path: str, *_: Any, **__: Any) -> CodeEval:
        if path != "code_eval":
            raise Trouble(
                f"This task wants the metric {path!r} from the Hub, which is code that would be fetched.",
                "Leave it out.",
            )
        return CODE_EVAL

    before, evaluate.load = evaluate.load, load
    CODE_EVAL.pause, CODE_EVAL.failures = pause, {}
    try:
        yield CODE_EVAL
    finally:
        evaluate.load = before
        CODE_EVAL.pause = lambda: None
