"""The eight bars of a distillation step: `python -m tests.bench.distill [--vocab 32000] [--json]`.

Real trainers (`core.engine.trainer.DistillTrainer`, data, loss, backward, clipping, optimizer, journal) of one teacher and one student take
their steps in turns, in random order, in one process. A round is STEPS of every arm, mixed; a ratio is the median of the rounds' own ratios. The
arms differ in the loss alone:

    ours         the fused loss, on the rows that are learnt
    plain        full scores of both models for every position, softmaxes and gradients by autograd
    TRL          `trl.trainer.distillation_trainer._chunked_divergence_loss`, the loss path of TRL's DistillationTrainer
    cached       ours from a cache of the top 50, no teacher
    SFT          ours without a teacher: the student's plain cross-entropy with the same rows dropped
    capture      the pass of the teacher that fills a cache, a batch at a time; its share for a step's text

Bar 6 takes the loss head alone (states in, loss and gradients out) in one subprocess an arm, and reads the peak of the resident memory (on
a GPU: allocated); bar 8 takes the time of the loss head beside its four matrix products. Before any timing, loss and gradients of both
are compared with float64. With --device cuda the sizes are those of the H200 column.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # nothing spins while something else works
os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # but for some µs, or small operations wait for threads to wake

import numpy as np
import torch
from greenlet import getcurrent, greenlet
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, TrainerCallback
from transformers.utils import logging as transformers_logging

from core.cache import CacheFields, read_manifest
from core.defaults import TOKENS_AT_ONCE, TOKENS_AT_ONCE_ON_GPU
from core.distill import DistillRecipe
from core.engine.answers import Answers, AnswersWriter
from core.engine.capture import capture, segments_of
from core.engine.fused import Dense, Rows, fused_loss
from core.engine.heads import Head, trunk_states
from core.engine.lesson import SUMS, AtHand, Batch, Kept, Lesson
from core.engine.memory import MemoryWatch
from core.engine.processes import Peers
from core.engine.rows import RowLoss
from core.engine.session import Session, StopRequested
from core.engine.text import IGNORED, Blocks, Corpus
from core.engine.trainer import DistillTrainer, training_arguments
from core.home import Home
from core.journal import JournalWriter
from core.runs import new_run
from core.tokenizer import TokenizerIdentity

BARS = {  # of design: on 2 CPU cores, on an H200
    "1": (0.75, 0.70, "online forward-KL step ÷ plain two-logits step"),
    "2": (0.55, 0.60, "online JSD step ÷ plain"),
    "3": (0.55, 0.75, "online step ÷ TRL's current loss path (the worse of KL and JSD)"),
    "4": (1.10, 1.10, "cached step ÷ the student's plain SFT step, same rows dropped"),
    "5": (0.42, 0.42, "cached step ÷ plain online step"),
    "6": (0.15, 0.15, "loss head's peak memory ÷ plain, forward KL (JSD: see 6 jsd)"),
    "7": (0.50, 0.50, "four students with their capture ÷ four plain online runs"),
    "8": (1.50, 1.60, "loss head ÷ its bare matrix products, forward KL"),
}
NEVER = 10**9
SIZES = {  # hidden, layers, heads, feed-forward: about 66M and 22M parameters at 32 000 entries; 1B and 0.4B on a GPU
    "cpu": ((512, 15, 8, 1408), (256, 16, 4, 768)),
    "cuda": ((2048, 16, 32, 8192), (1024, 24, 16, 2816)),
}
SHAPES = {"cpu": (256, 4), "cuda": (4096, 2)}  # tokens in a block, blocks in a step
STEPS = 3  # of each arm in a round: one step alone is at the mercy of what else the machine does in that second
TOP_K = 50
QUICK = ("ours KL", "plain KL", "cached", "SFT")  # the arms of --quick
MOST_SCORES = 2**27  # rows times entries for bar 6: the plain JSD takes about 64 bytes a score, 8.4 GB


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocab", type=int, action="append", help="entries of the vocabulary [4096, 32000, 152000]")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--ignored", type=float, default=0.25, help="share of each document that is prompt [0.25]")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument(
        "--quick", action="store_true", help="forward KL alone: without bars 2 and 3, which take longest"
    )
    parser.add_argument("--json", action="store_true", help="the last line is JSON, of the last vocabulary")
    parser.add_argument("--head", help=argparse.SUPPRESS)  # the subprocess of bar 6: an arm's name
    given = parser.parse_args()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if given.head:
        print(_head_memory(given.head, given.vocab[0], given.device))
        return 0
    found: dict[str, Any] = {}
    for vocabulary in given.vocab or [4096, 32_000, 152_000]:
        found = measure(vocabulary, given.rounds, given.ignored, given.device, quick=given.quick)
        show(vocabulary, found, given.device)
    if given.json:
        print(json.dumps({"bars": found["bars"], "iqr": found["iqr"], "vocab": (given.vocab or [152_000])[-1]}))
    return 0


# ------------------------------------------------------------------------------------------------------------ the arms


class Plain(Lesson):
    """Both models' scores in full, as the loop that everybody writes first."""

    def loss(self, model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        teacher = self.guide.teachers[0]  # type: ignore[union-attr]
        shown = {name: batch[name] for name in ("input_ids", "position_ids")}
        with torch.no_grad():
            theirs = teacher(**shown, use_cache=False).logits
        ours = model(**shown, use_cache=False).logits.flatten(0, 1).float()
        labels = batch["labels"].flatten()
        ce = functional.cross_entropy(ours, labels, ignore_index=IGNORED, reduction="sum")
        counted = (labels != IGNORED)[:, None]
        log_q, log_p = ours.log_softmax(-1), theirs.flatten(0, 1).float().log_softmax(-1)
        if self.recipe.objective == "forward_kl":
            kd = functional.kl_div(log_q, log_p, reduction="none", log_target=True)
        else:
            half = torch.tensor(0.5, device=ours.device).log()
            log_m = torch.logsumexp(torch.stack([log_p + half, log_q + half]), 0)
            kl_p = functional.kl_div(log_m, log_p, reduction="none", log_target=True)
            kd = 0.5 * kl_p + 0.5 * functional.kl_div(log_m, log_q, reduction="none", log_target=True)
        kd = (kd * counted).sum()
        return _weighted(self, ce, kd, counted.sum())


class Trl(Lesson):
    """TRL's loss: the divergence alone, on tiles of the vocabulary."""

    def loss(self, model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        from trl.trainer.distillation_trainer import _chunked_divergence_loss

        teacher = self.guide.teachers[0]  # type: ignore[union-attr]
        shown = {name: batch[name] for name in ("input_ids", "position_ids")}
        with torch.no_grad():
            theirs = trunk_states(teacher, **shown)
        student = self.student
        mean, _, rows = _chunked_divergence_loss(
            trunk_states(student, **shown),
            theirs,
            student.get_output_embeddings().weight,
            teacher.get_output_embeddings().weight,
            batch["labels"] != IGNORED,
            beta=0.0 if self.recipe.objective == "forward_kl" else 0.5,
        )
        kd = mean * rows
        return _weighted(self, torch.zeros_like(kd), kd, rows)


def _weighted(lesson: Lesson, ce: torch.Tensor, kd: torch.Tensor, rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
    values = {"ce": ce, "kd": kd, "rows": rows, "ce_rows": rows, "kd_rows": rows}
    sums = [torch.as_tensor(values.get(name, 0.0), device=kd.device).detach().double() for name in SUMS]
    return lesson.recipe.ce_weight * ce + lesson.kd_weight() * kd, torch.stack(sums)


class TakeTurns(TrainerCallback):
    """Goes back to the benchmark after every step of a trainer, which goes on when it is switched to again."""

    def __init__(self) -> None:
        self.over = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.wait()
        if self.over:
            control.should_training_stop, control.should_save, control.should_evaluate = True, False, False

    def wait(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        getcurrent().parent.switch()


@dataclass
class Arm:
    """A trainer, taken a step at a time, or a capture, taken a batch at a time.

    All are in the one thread in which the engine works, too: each thread has OpenMP threads and an arena of memory of its own.
    """

    turns: TakeTurns
    work: greenlet
    share: float = 1.0  # of what it takes for one turn that is for one step's text

    @classmethod
    def of_trainer(cls, trainer: DistillTrainer) -> Arm:
        turns = TakeTurns()
        trainer.add_callback(turns)
        return cls(turns, greenlet(lambda: trainer.go_on(None)))

    def turn(self) -> float:
        """Seconds of one optimizer step, from the reading of its data to its logging, or of a capture's batch with its share."""
        before = time.perf_counter()
        self.work.switch()
        return self.share * (time.perf_counter() - before)

    def end(self) -> None:
        self.turns.over = True
        self.work.switch()


class AskedInTurns(Session):
    """The session of a capture that stops before every batch until it is its turn."""

    turns: TakeTurns

    def progress(self, share: float) -> None:
        if share == 1.0:
            return  # the last batch is done, and the next pass begins with its first one
        self.turns.wait()
        if self.turns.over:
            raise StopRequested


# ------------------------------------------------------------------------------------------------------------ the bench


def measure(vocabulary: int, rounds: int, ignored: float, device: str, *, quick: bool = False) -> dict[str, Any]:
    head = _head_ratios(vocabulary, rounds, device)
    with tempfile.TemporaryDirectory() as folder:
        times = _times(Path(folder), vocabulary, rounds, ignored, device, quick)
    ratios = {
        "1": _paired(times["ours KL"], times["plain KL"]),
        "4": _paired(times["cached"], times["SFT"]),
        "5": _paired(times["cached"], times["plain KL"]),
        "7": [
            (capture + 4 * cached) / (4 * plain)
            for capture, cached, plain in zip(times["capture"], times["cached"], times["plain KL"], strict=True)
        ],
        **head,
    }
    if not quick:
        ratios |= {
            "2": _paired(times["ours JSD"], times["plain JSD"]),
            "3 kl": _paired(times["ours KL alone"], times["TRL KL"]),
            "3 jsd": _paired(times["ours JSD alone"], times["TRL JSD"]),
        }
        ratios["3"] = max(ratios["3 kl"], ratios["3 jsd"], key=statistics.median)
    memory = {
        name: _in_subprocess(name, vocabulary, device) for name in ("ours KL", "plain KL", "ours JSD", "plain JSD")
    }
    bars = {name: statistics.median(each) for name, each in ratios.items()}
    bars |= {"6": memory["ours KL"] / memory["plain KL"], "6 jsd": memory["ours JSD"] / memory["plain JSD"]}
    iqr = {name: _spread(each) for name, each in ratios.items()}
    return {
        "bars": bars,
        "iqr": iqr,
        "seconds": {name: statistics.median(each) for name, each in times.items()},
        "memory": memory,
    }


def _paired(ours: list[float], others: list[float]) -> list[float]:
    return [one / other for one, other in zip(ours, others, strict=True)]


def _spread(ratios: list[float]) -> float:
    """Interquartile range over the median."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return (high - low) / statistics.median(ratios)


def _model(size: tuple[int, int, int, int], vocabulary: int, length: int, device: str, seed: int) -> PreTrainedModel:
    torch.manual_seed(seed)
    hidden, layers, heads, inner = size
    config = AutoConfig.for_model(
        "llama",
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=inner,
        vocab_size=vocabulary,
        max_position_embeddings=length,
        tie_word_embeddings=True,
    )
    dtype = torch.bfloat16 if device == "cuda" and seed == 0 else torch.float32
    return AutoModelForCausalLM.from_config(config, dtype=dtype).to(device)


def _corpus(vocabulary: int, length: int, blocks: int, ignored: float) -> Corpus:
    """Random documents of half a block, the first part of each a prompt that is not learnt."""
    documents, size = 2 * blocks, length // 2
    ids = np.random.default_rng(0).integers(0, vocabulary, documents * size).astype(np.int32)
    learnt = np.tile(np.arange(size) >= round(ignored * size), documents)
    return Corpus(ids, np.arange(documents + 1) * size, np.full(documents, 4 * size), learnt)


def _times(
    folder: Path, vocabulary: int, rounds: int, ignored: float, device: str, quick: bool
) -> dict[str, list[float]]:
    length, per_step = SHAPES[device]
    steps = STEPS * rounds + 4
    # a capture's batch is two steps' text
    corpus = _corpus(vocabulary, length, per_step * (steps + steps % 2), ignored)
    blocks = Blocks(corpus, length, corpus.tokens, per_step, 0, 0)
    teacher = _model(SIZES[device][0], vocabulary, length, device, 0).eval().requires_grad_(False)
    session = _session(folder, device)
    answers = _answers(session, folder / "answers", teacher, corpus, length)
    at_hand = AtHand([teacher], (), "mean")
    lessons: dict[str, tuple[type[Lesson], dict[str, Any], Any]] = {
        "ours KL": (Lesson, {}, at_hand),
        "plain KL": (Plain, {}, at_hand),
        "ours JSD": (Lesson, {"objective": "jsd"}, at_hand),
        "plain JSD": (Plain, {"objective": "jsd"}, at_hand),
        "ours KL alone": (Lesson, {"ce_weight": 0.0}, at_hand),
        "TRL KL": (Trl, {"ce_weight": 0.0}, at_hand),
        "ours JSD alone": (Lesson, {"ce_weight": 0.0, "objective": "jsd"}, at_hand),
        "TRL JSD": (Trl, {"ce_weight": 0.0, "objective": "jsd"}, at_hand),
        "cached": (Lesson, {}, Kept(answers, blocks)),
        "SFT": (Lesson, {}, None),
    }
    arms: dict[str, Arm] = {}
    for name, (kind, fields, guide) in lessons.items():
        if quick and name not in QUICK:
            continue
        recipe = _recipe(**fields)
        student = _model(SIZES[device][1], vocabulary, length, device, 1)
        arguments = training_arguments(session, recipe, per_step, 1, steps, 1e-4, device == "cuda")
        lesson = kind(recipe, student, guide)
        arms[name] = Arm.of_trainer(
            DistillTrainer(session, recipe, student, lesson, blocks, arguments, lambda step, tokens: None, 0.0)
        )
    arms["capture"] = _asking(folder, teacher, corpus, length, per_step)
    for arm in arms.values():  # warm everything up; a capture comes to its first batch
        arm.turn()
    arms["capture"].turn()
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        of_round = dict.fromkeys(arms, 0.0)
        for name in random.sample(list(arms) * STEPS, len(arms) * STEPS):
            of_round[name] += arms[name].turn() / STEPS
        for name, seconds in of_round.items():
            times[name].append(seconds)
    for arm in arms.values():
        arm.end()
    return times


def _recipe(**fields: Any) -> DistillRecipe:
    seldom = {"evaluate_every": NEVER, "checkpoint_every": NEVER}
    return DistillRecipe(
        teacher="teacher", student="0.3x", data=("text",), tokens=10_000, log_every=1, **seldom, **fields
    )


def _session(folder: Path, device: str, kind: type[Session] = Session) -> Session:
    recipe = _recipe()
    run = new_run(Home.find(folder / "home"), recipe)
    return kind(run, recipe, JournalWriter(run.journal).__enter__(), (device,), Peers())


def _fields(corpus: Corpus, vocabulary: int, length: int) -> CacheFields:
    return CacheFields(
        teacher="teacher",
        teacher_name="teacher",
        teacher_fingerprint="0",
        tokenizer=TokenizerIdentity(),
        start=None,
        end=None,
        vocabulary=vocabulary,
        top_k=TOP_K,
        sequence_length=length,
    )


def _answers(session: Session, folder: Path, teacher: PreTrainedModel, corpus: Corpus, length: int) -> Answers:
    with AnswersWriter(folder, _fields(corpus, Head.of(teacher).entries, length)) as writer:
        capture(session, teacher, corpus, segments_of(corpus, length), writer)
        writer.finish(len(corpus), corpus.tokens)
    assert read_manifest(folder).rows
    return Answers.open(folder)


def _asking(folder: Path, teacher: PreTrainedModel, corpus: Corpus, length: int, per_step: int) -> Arm:
    """A capture of all the text, as often as it is asked to go on."""
    session = _session(folder / "asking", teacher.device.type, AskedInTurns)
    session.turns = TakeTurns()
    batch = TOKENS_AT_ONCE.get(teacher.device.type, TOKENS_AT_ONCE_ON_GPU)

    def work() -> None:
        with suppress(StopRequested):
            for number in count():
                fields = _fields(corpus, Head.of(teacher).entries, length)
                with AnswersWriter(folder / f"capture-{number}", fields) as writer:
                    capture(session, teacher, corpus, segments_of(corpus, length), writer)

    return Arm(session.turns, greenlet(work), share=length * per_step / batch)


# -------------------------------------------------------------------------------------------------------- the loss head


def _head(vocabulary: int, device: str, rows: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    hidden_t, hidden_s = SIZES[device][0][0], SIZES[device][1][0]
    made = {
        "states": torch.randn(rows, hidden_s),
        "weight": torch.randn(vocabulary, hidden_s) / 16,
        "their states": torch.randn(rows, hidden_t),
        "their weight": torch.randn(vocabulary, hidden_t) / 16,
    }
    found = {name: tensor.to(device, dtype) for name, tensor in made.items()}
    found["target"] = torch.randint(0, vocabulary, (rows,), device=device)
    return found


def _ours(given: dict[str, torch.Tensor], objective: Any) -> tuple[torch.Tensor, ...]:
    states, weight = given["states"].requires_grad_(True), given["weight"].requires_grad_(True)
    teacher = Dense([given["their states"]], [Head(given["their weight"])])
    total, _ = fused_loss(states, Head(weight), Rows(given["target"], teacher), RowLoss(objective))
    return total, *torch.autograd.grad(total, [states, weight])


def _plainly(given: dict[str, torch.Tensor], objective: Any) -> tuple[torch.Tensor, ...]:
    states, weight = given["states"].requires_grad_(True), given["weight"].requires_grad_(True)
    ours = states @ weight.T
    wide = ours.float() if ours.dtype.itemsize < 4 else ours
    theirs = (given["their states"] @ given["their weight"].T).to(wide.dtype)
    ce = functional.cross_entropy(wide, given["target"], reduction="sum")
    log_q, log_p = wide.log_softmax(-1), theirs.log_softmax(-1)
    if objective == "forward_kl":
        kd = functional.kl_div(log_q, log_p, reduction="sum", log_target=True)
    else:
        half = torch.tensor(0.5, device=wide.device).log()
        log_m = torch.logsumexp(torch.stack([log_p + half, log_q + half]), 0)
        kd = 0.5 * functional.kl_div(log_m, log_p, reduction="sum", log_target=True)
        kd = kd + 0.5 * functional.kl_div(log_m, log_q, reduction="sum", log_target=True)
    total = 0.5 * ce + 0.5 * kd
    return total, *torch.autograd.grad(total, [states, weight])


def _products(given: dict[str, torch.Tensor]) -> None:
    """Scores of both, dX and dW: the least that the arithmetic needs, in chunks as they would fit."""
    with torch.no_grad():
        states, weight = given["states"], given["weight"]
        scores = states @ weight.T
        _ = given["their states"] @ given["their weight"].T
        _ = scores @ weight
        _ = scores.T @ states


def _head_ratios(vocabulary: int, rounds: int, device: str) -> dict[str, list[float]]:
    check_against_float64(vocabulary)
    given = _head(vocabulary, device, 512 if device == "cpu" else 8192)
    arms = {
        "ours": lambda: _ours(given, "forward_kl"),
        "ours jsd": lambda: _ours(given, "jsd"),
        "bare": lambda: _products(given),
    }
    times: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        of_round = dict.fromkeys(arms, 0.0)
        for name in random.sample(list(arms) * STEPS, len(arms) * STEPS):
            before = time.perf_counter()
            arms[name]()
            if device == "cuda":
                torch.cuda.synchronize()
            of_round[name] += (time.perf_counter() - before) / STEPS
        for name, seconds in of_round.items():
            if number:  # the first round warms everything up
                times[name].append(seconds)
    return {"8": _paired(times["ours"], times["bare"]), "8 jsd": _paired(times["ours jsd"], times["bare"])}


def check_against_float64(vocabulary: int) -> None:
    """Loss and gradients of our head, in float32, are those of the plain way in float64."""
    given = _head(vocabulary, "cpu", 64)
    exact = {name: tensor if name == "target" else tensor.detach().double() for name, tensor in given.items()}
    for objective in ("forward_kl", "jsd"):
        for one, other in zip(_ours(given, objective), _plainly(exact, objective), strict=True):
            assert (one.double() - other).norm() <= 1e-4 * other.norm(), f"{objective} is wrong"


def _head_memory(arm: str, vocabulary: int, device: str) -> int:
    """Bytes that the loss head takes at its peak, beyond states and weights."""
    who, objective = arm.split()
    given = _head(vocabulary, device, min(4096, MOST_SCORES // vocabulary))
    small = {name: tensor[:8] if "weight" not in name else tensor for name, tensor in given.items()}
    work = _ours if who == "ours" else _plainly
    work({name: tensor.detach().clone() for name, tensor in small.items()}, "jsd")  # what is loaded at the first use
    with MemoryWatch(device) as watch:
        work(given, "forward_kl" if objective == "KL" else "jsd")
    return watch.growth


def _in_subprocess(arm: str, vocabulary: int, device: str) -> int:
    command = [
        sys.executable,
        "-m",
        "tests.bench.distill",
        "--head",
        arm,
        "--vocab",
        str(vocabulary),
        "--device",
        device,
    ]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[2], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def show(vocabulary: int, found: dict[str, Any], device: str) -> None:
    print(f"\nvocabulary {vocabulary}")
    print("  seconds a step: " + ", ".join(f"{name} {value:.2f}" for name, value in found["seconds"].items()))
    print(
        "  loss head, MB at the peak: "
        + ", ".join(f"{name} {value / 1e6:.0f}" for name, value in found["memory"].items())
    )
    for name, ratio in sorted(found["bars"].items()):
        limits = BARS.get(name)
        spread = found["iqr"].get(name)
        said = f"  {name:6} {ratio:.3f}"
        if limits is not None:
            limit = limits[1 if device == "cuda" else 0]
            said += f"  {'reached' if ratio <= limit else 'MISSED '} (at most {limit:.2f})  {limits[2]}"
        if spread is not None:
            said += f"  IQR {spread:.0%}" + ("  no verdict: over 15 %" if spread > 0.15 else "")
        print(said, flush=True)


if __name__ == "__main__":
    sys.exit(main())
