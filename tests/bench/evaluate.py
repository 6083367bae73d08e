"""Evaluation against the harness alone and against a plain forward pass; comparing 200 runs; and BLiMP's published-by-us reference.

    python -m tests.bench.evaluate --model FOLDER --task-dir DIR [--tasks arc_easy,piqa,boolq] [--limit 200] [--data FILE] [--blimp FILE]

Prints one line a bar, as a ratio that should not exceed (time) or fall below (speed) the figure beside it; last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from core.compare import leaderboard
from core.documents import documents
from core.engine.evaluation import harness
from core.engine.evaluation.pairs import judge_pairs
from core.engine.evaluation.subject import Subject, context_of
from core.engine.evaluation.tasks import Index, task_file
from core.engine.scoring import _windows, score
from core.engine.text import encode_documents, find_framing, first_texts
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.models import inspect_model
from core.pairs import read_pairs
from core.runs import new_run
from core.scores import scores_of

CLOCK = (
    time.perf_counter if torch.cuda.is_available() else time.process_time
)  # a busy machine's wall tells little of one thread


class Quiet:
    """As much of a session as measuring needs."""

    device = "cuda" if torch.cuda.is_available() else "cpu"

    def __init__(self, run: Any) -> None:
        self.run = run
        self.artifacts = run.artifacts

    def check_stop(self) -> None: ...

    def say(self, event: Any) -> None: ...

    def phase(self, *words: str) -> None: ...

    def progress(self, share: float) -> None: ...

    def notice(self, *words: str) -> None: ...

    def choose(self, *given: Any) -> None: ...


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--task-dir", type=Path)
    parser.add_argument("--tasks", default="arc_easy,piqa,boolq")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--blimp", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        home = Home.find(Path(scratch) / "home")
        run = new_run(home, EvaluateRecipe(model=str(arguments.model), speed=True))
        session = Quiet(run)
        subject = Subject.load(session, arguments.model, "auto", False)
        if arguments.task_dir:
            found |= against_the_harness(arguments, home, session, subject)
        if arguments.data:
            found["text_speed_over_plain_forward"] = against_plain_forward(arguments, session, subject)
            print(
                f"reading text: {found['text_speed_over_plain_forward']:.2f} of the plain forward speed (bar: at least 0.90)"
            )
        if arguments.blimp:
            sets = read_pairs(arguments.blimp, 60)
            framing = find_framing(
                subject.tokenizer, subject.model, [p.good for s in sets.values() for p in s][:16], subject.device
            )
            found["blimp"] = judge_pairs(subject.model, subject.tokenizer, framing, sets, session.progress)["accuracy"]
            print(f"BLiMP, first 60 pairs of {len(sets)} sets: {found['blimp']:.1%}")
        found["compare_200_seconds"] = comparing(home, arguments.model)
        print(f"everything that 200 evaluations measured: {found['compare_200_seconds']:.3f} s (bar: 0.5)")
    print(json.dumps(found))
    return 0


def against_the_harness(arguments: argparse.Namespace, home: Home, session: Any, subject: Subject) -> dict[str, Any]:
    """Time of a task by ours over the harness's own with 16 rows at once; taking turns, medians. Equal numbers are asserted."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    found = {}
    with harness._quiet(home):
        index = Index(home)
        ours = harness.CountingLM(subject, session)
        alone = HFLM(pretrained=subject.model, tokenizer=subject.tokenizer, batch_size=16)
        for task in arguments.tasks.split(","):
            leaf = task_file(home, index, task, arguments.task_dir)
            if isinstance(leaf, str):
                raise SystemExit(leaf)
            manager = TaskManager(include_defaults=False)
            times: dict[str, list[float]] = {"ours": [], "alone": []}
            figures: dict[str, Any] = {}
            for _ in range(arguments.rounds):
                for name, lm in (("ours", ours), ("alone", alone)):
                    begun = CLOCK()
                    said = simple_evaluate(
                        model=lm,
                        tasks=[str(leaf.file)],
                        task_manager=manager,
                        limit=arguments.limit,
                        bootstrap_iters=1000,
                        log_samples=True,
                    )
                    times[name].append(CLOCK() - begun)
                    figures[name] = {k: v for k, v in said["results"][task].items() if isinstance(v, float)}
            assert figures["ours"] == figures["alone"], figures
            ratio = statistics.median(times["ours"]) / statistics.median(times["alone"])
            found[task] = {"ratio": ratio, **figures["ours"]}
            print(
                f"{task}: {ratio:.2f} of the harness's wall time (bar: at most 1.05); equal figures {figures['ours']}"
            )
    return found


@torch.inference_mode()
def against_plain_forward(arguments: argparse.Namespace, session: Any, subject: Subject) -> float:
    """Tokens a second of `score` over those of the model alone on the same windows in the same order, 16 rows at a time."""
    framing = find_framing(subject.tokenizer, subject.model, first_texts((str(arguments.data),), None), subject.device)
    corpus = encode_documents(
        documents((str(arguments.data),), None), subject.tokenizer, framing, 60_000, session.check_stop
    )
    context = context_of(subject.model)
    windows = sorted((ids for ids, _ in _windows(corpus, framing, context)[0]), key=len)

    def plain() -> None:
        for at in range(0, len(windows), 16):
            batch = windows[at : at + 16]
            ids = torch.zeros(len(batch), max(map(len, batch)), dtype=torch.long)
            for row, each in enumerate(batch):
                ids[row, : len(each)] = torch.from_numpy(each)
            subject.model(input_ids=ids.to(subject.device), use_cache=False).logits[0, 0, 0].item()

    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(arguments.rounds):
        for name, work in (
            ("ours", lambda: score(subject.model, corpus, framing, context, subject.device)),
            ("plain", plain),
        ):
            begun = CLOCK()
            work()
            times[name].append(CLOCK() - begun)
    return statistics.median(times["plain"]) / statistics.median(times["ours"])


def comparing(home: Home, model: Path) -> float:
    """Seconds to gather the figures of 200 evaluations of 40 models."""
    info = inspect_model(model)
    for number in range(200):
        results = {
            "results": {f"task_{number % 5}": {"acc": number / 200, "acc_stderr": 0.01}},
            "bits_per_byte": 1.0,
            "bytes": 5,
            "tokens": 2,
        }
        recipe = EvaluateRecipe(model=str(model), data=("held.txt",))
        run = new_run(home, recipe)
        said = {
            "path": str(model),
            "name": info.name,
            "fingerprint": f"{number % 40}",
            "parameters": number,
            "size_bytes": 1,
        }
        scores = [asdict(each) for each in scores_of(results, recipe)]
        (run.artifacts / "evaluation.json").write_text(json.dumps({"model": said, "scores": scores}), encoding="utf-8")
    begun = CLOCK()
    leaderboard(home)
    return CLOCK() - begun


if __name__ == "__main__":
    raise SystemExit(main())
