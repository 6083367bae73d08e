"""Run folders and models made up for tests and pictures, written by core's own writers, with no engine."""

from __future__ import annotations

import json
import math
import random
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import events as ev
from core import runs
from core.distill import DistillRecipe
from core.home import Home
from core.journal import JournalWriter, read_journal
from core.runs import RunFolder
from core.tensors import expected_tensors

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 24,
    "tie_word_embeddings": True,
}


def a_model(folder: Path, **changes: Any) -> Path:
    """A small Llama of zeros, written byte by byte."""
    folder.mkdir(parents=True)
    config = CONFIG | changes
    header, at = {}, 0
    for name, shape in expected_tensors(config).items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(at))
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def fake_run(
    home: Home,
    *,
    name: str = "stories-5M → 0.4x (prune)",
    steps: int = 40,
    planned: int | None = None,
    state: str = "finished",
    teacher: str = "/models/stories-5M",
    student: str = "0.4x",
    teacher_parameters: int = 5_000_000,
    student_parameters: int = 2_000_000,
    tags: tuple[str, ...] = (),
    seed: int = 0,
    **recipe: Any,
) -> RunFolder:
    """A run folder as an engine would leave it: queued, stopped, finished, failed or crashed, with `steps` points.

    For a running one take `alive`, which holds the lock.
    """
    asked = {"teacher": teacher, "student": student, "data": ("/data/stories.txt",), "tokens": 250_000} | recipe
    run = runs.new_run(home, DistillRecipe(name=name, seed=seed, **asked))
    meta = json.loads(run.meta_file.read_text())
    run.meta_file.write_text(json.dumps(meta | {"tags": list(tags)}))
    if state == "queued":
        runs.enqueue(home, run)
        return run
    with JournalWriter(run.journal) as journal:
        begin(journal, planned or max(steps, 1), teacher_parameters, student_parameters)
        for step in range(1, steps + 1):
            point(journal, step, planned or steps, seed)
        end(run, journal, state, steps)
    return run


def begin(journal: JournalWriter, planned: int, teacher_parameters: int, student_parameters: int) -> None:
    journal.append(ev.RunStarted("cpu", 4242, time.time(), versions={"torch": "2.13.0", "transformers": "5.23.0"}))
    journal.append(ev.PhaseEntered("loading"))
    journal.append(ev.ChoiceMade("learning_rate", 0.0028, "from the student's size; cut students take a higher one"))
    journal.append(ev.ChoiceMade("precision", "float32", "the CPU has no fast bfloat16"))
    journal.append(ev.PhaseEntered("training"))
    flops = 2.0 * teacher_parameters + 6.0 * student_parameters
    journal.append(
        ev.TrainingPlanned(planned, planned * 1024, 4, 1, 256, student_parameters, teacher_parameters, flops)
    )
    metrics = {"ce": 1.1, "perplexity": math.exp(1.1), "bits_per_byte": 0.41, "kd": None, "agreement": None}
    journal.append(ev.EvaluationLogged(0, 0, "teacher", metrics))


def point(journal: JournalWriter, step: int, planned: int, seed: int = 0) -> None:
    """One step of a plausible curve, with an evaluation, a sample and a checkpoint every tenth of the way."""
    noise = random.Random(seed * 1_000_003 + step)
    share = step / planned
    ce = 1.2 + 5.0 * math.exp(-6 * share) + noise.gauss(0, 0.06)
    kd = 0.1 + 3.0 * math.exp(-7 * share) + noise.gauss(0, 0.04)
    rate = 0.0028 * 0.5 * (1 + math.cos(math.pi * share))
    pace = 8100 + noise.gauss(0, 250)
    journal.append(
        ev.StepLogged(
            step,
            step * 1024,
            rate,
            ce,
            kd,
            0.5 * (ce + kd),
            0.4 + noise.random() * 0.2,
            pace,
            910_000_000,
            step * 0.126,
        )
    )
    if step % max(1, planned // 10) == 0:
        held_out = 1.25 + 4.6 * math.exp(-6 * share)
        journal.append(
            ev.EvaluationLogged(
                step,
                step * 1024,
                "student",
                {
                    "ce": held_out,
                    "kd": 0.12 + 2.8 * math.exp(-7 * share),
                    "perplexity": math.exp(held_out),
                    "bits_per_byte": held_out / 2.7,
                    "agreement": 0.8 - 0.6 * math.exp(-5 * share),
                },
            )
        )
        journal.append(
            ev.SampleWritten(
                step, "Once upon a time, there was a", " fox called Mina. She wanted a red kite, but the wind was gone."
            )
        )
        journal.append(ev.CheckpointSaved(step, f"checkpoints/step-{step}"))


def end(run: RunFolder, journal: JournalWriter, state: str, steps: int) -> None:
    if state == "finished":
        a_model(run.artifacts / "student")
        before = {"bits_per_byte": 2.31, "agreement": 0.115}
        after = {"bits_per_byte": 0.47, "agreement": 0.79}
        journal.append(
            ev.RunFinished(
                {
                    "before": before,
                    "after": after,
                    "teacher": {"bits_per_byte": 0.41},
                    "parameters": 2_000_000,
                    "teacher_parameters": 5_000_000,
                    "student": str(run.artifacts / "student"),
                }
            )
        )
    elif state == "failed":
        journal.append(
            ev.RunFailed("The loss is not a number.", "Lower the learning rate.", "Traceback …\nValueError: nan", steps)
        )
    elif state == "stopped":
        journal.append(ev.RunStopped(steps))


def many_points(run: RunFolder, count: int, planned: int) -> None:
    """Put `count` points at the end of a journal at once, as an engine would have over hours."""
    last = read_journal(run.journal)[-1]
    now, first = last.time, last.step if isinstance(last, ev.StepLogged) else 0
    noise = random.Random(run.id)
    lines = []
    for at in range(1, count + 1):
        step = first + at
        ce = 1.2 + 5.0 * math.exp(-6 * step / planned) + noise.random() * 0.1
        lines.append(
            f'{{"seq":{last.seq + at},"time":{now},"kind":"step_logged","step":{step},"tokens":{step * 1024},"lr":0.001,'
            f'"ce":{ce:.4f},"kd":{ce / 2:.4f},"total":{0.75 * ce:.4f},"grad_norm":0.5,"tokens_per_second":8100.0,'
            f'"memory_bytes":910000000,"seconds":{step * 0.126:.3f}}}\n'
        )
    with run.journal.open("ab") as stream:
        stream.write("".join(lines).encode())


class Alive:
    """A run that is alive as long as this object holds its lock; `step()` writes one more point."""

    def __init__(self, home: Home, **fields: Any) -> None:
        self.planned = fields.pop("planned", 400)
        steps = fields.pop("steps", 40)
        many = fields.pop("many", 0)  # further points, written at once
        fields.setdefault("teacher_parameters", 5_000_000)
        fields.setdefault("student_parameters", 2_000_000)
        self.seed = fields.get("seed", 0)
        self.run = fake_run(home, state="crashed", steps=steps, planned=self.planned, **fields)
        self.lock = FileLock(self.run.lock_file, is_singleton=False)
        self.lock.acquire(timeout=10)
        if many:
            many_points(self.run, many, self.planned)
        self.journal = JournalWriter(self.run.journal)
        self.at = steps + many

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.at += 1
            point(self.journal, self.at, self.planned, self.seed)

    def finish(self) -> None:
        end(self.run, self.journal, "finished", self.at)
        self.release()

    def release(self) -> None:
        if self.lock.is_locked:
            self.journal.close()
            self.lock.release()
