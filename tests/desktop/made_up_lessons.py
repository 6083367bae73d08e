"""Caches, chains, pilots, written text and runs with further parts of the loss, made up by core's own writers, with no engine."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from made_up import a_model, begin, end, point

from core import events as ev
from core import runs
from core.cache import UNFINISHED, CacheFields, CacheRecipe, DataFile, Manifest, Shard, write_manifest
from core.chain import ChainRecipe, Link
from core.distill import DistillRecipe
from core.files import write_json
from core.home import Home
from core.journal import JournalWriter
from core.labels import retag
from core.recipe import Recipe
from core.runs import RunFolder
from core.tokenizer import TokenizerIdentity
from core.write import WriteRecipe


def a_cache(
    home: Home,
    name: str,
    *,
    finished: bool = True,
    whole: bool = True,
    teacher: str = "/models/stories-5M",
    **fields: Any,
) -> Path:
    """A cache folder as an engine would leave it; its answers are bytes without a meaning."""
    folder = home.caches / name
    folder.mkdir(parents=True)
    asked: dict[str, Any] = {
        "teacher": teacher,
        "teacher_name": Path(teacher).name,
        "teacher_fingerprint": hashlib.blake2b(name.encode(), digest_size=16).hexdigest(),
        "tokenizer": TokenizerIdentity(),
        "start": 1,
        "end": 2,
        "vocabulary": 4000,
        "top_k": 50,
        "sequence_length": 256,
        "longest": 240,
        "data": (DataFile(path="/data/stories.txt", bytes=900_000, fingerprint="ab"),),
        "created": time.time() - 5000,
    } | fields
    if not finished:
        write_json(folder / UNFINISHED, CacheFields(**asked).model_dump(mode="json"))
        (folder / "part-00000.bin").write_bytes(bytes(5000))
        return folder
    data = random.Random(name).randbytes(26_000)
    (folder / "part-00000.bin").write_bytes(data if whole else data[:99])
    shard = Shard(file="part-00000.bin", bytes=len(data), blake2b="00", segments=40)
    manifest = Manifest(
        **asked, documents=812, tokens=251_000, rows=90, bytes=len(data), mass_kept=0.9931, shards=(shard,)
    )
    write_manifest(folder, manifest)
    return folder


def a_run(
    home: Home, recipe: Recipe, state: str = "finished", results: Mapping[str, Any] | None = None, *events: ev.Event
) -> RunFolder:
    """A run of any kind with what its journal says between start and end."""
    run = runs.new_run(home, recipe)
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunStarted("cpu", 4242, time.time()))
        for event in events:
            journal.append(event)
        if state == "finished":
            journal.append(ev.RunFinished(dict(results or {})))
        elif state == "stopped":
            journal.append(ev.RunStopped(0))
    return run


def cache_run(home: Home, folder: Path, teacher: str = "/models/stories-5M") -> RunFolder:
    recipe = CacheRecipe(name="answers of stories-5M on stories.txt", teacher=teacher, data=("/data/stories.txt",))
    results = {
        "cache": str(folder),
        "documents": 812,
        "tokens": 251_000,
        "bytes": 26_000,
        "mass_kept": 0.99,
        "seconds": 41.5,
    }
    made = ev.ChoiceMade("cache", str(folder), "nobody had kept these answers")
    return a_run(home, recipe, "finished", results, ev.PhaseEntered("asking the teacher", "812 texts"), made)


def write_run(home: Home, rows: int = 40, **fields: Any) -> RunFolder:
    """A finished run with the file that its teacher wrote."""
    recipe = WriteRecipe(
        name="stories-5M writes after stories.txt",
        teacher="/models/stories-5M",
        data=("/data/stories.txt",),
        tokens=9000,
        **fields,
    )
    run = a_run(home, recipe, "running")
    file = run.artifacts / "written.jsonl"
    lines = [
        {"text": "", "prompt": f"One day, number {row}", "completion": " saw a kite. It was red.", "mean_logprob": -1.0}
        for row in range(rows)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = {
        "file": str(file),
        "written": rows + 25,
        "kept": rows,
        "dropped": {"not ended": 20, "repetitive": 5},
        "tokens": 9012,
        "seconds": 61.0,
        "tokens_per_second": 212.0,
    }
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunFinished(results))
    return run


def lesson_run(
    home: Home,
    *,
    steps: int = 60,
    state: str = "finished",
    name: str = "a lesson",
    parts: Sequence[str] = (),
    cache: tuple[str, str] | None = None,
    samples: bool = False,
    cache_folder: str | None = None,
    **recipe: Any,
) -> RunFolder:
    """A distillation whose steps have further parts, balance or own words; `cache` is the folder and the reason of the choice."""
    asked = {
        "teacher": "/models/stories-5M",
        "student": "0.4x",
        "data": ("/data/stories.txt",),
        "tokens": 250_000,
        "cache": cache_folder,
    } | recipe
    run = runs.new_run(home, DistillRecipe(name=name, **asked))
    on_policy = asked.get("source") == "on-policy"
    with JournalWriter(run.journal) as journal:
        begin(journal, steps, 5_000_000, 2_000_000)
        if cache is not None:
            journal.append(ev.ChoiceMade("cache", *cache))
        for step in range(1, steps + 1):
            point(_Amended(journal, parts, on_policy), step, steps)  # type: ignore[arg-type]
            if samples and step % 10 == 0:
                journal.append(ev.SampleWritten(step, "The dog", " ran to me in the own words.", "on-policy"))
        end(run, journal, state, steps)
    return run


class _Amended:
    """A journal whose steps get further parts."""

    def __init__(self, journal: JournalWriter, parts: Sequence[str], on_policy: bool) -> None:
        self.journal, self.parts, self.on_policy = journal, parts, on_policy

    def append(self, event: ev.Event) -> None:
        if isinstance(event, ev.StepLogged):
            shares = {"hidden": 0.4, "relations": 0.2, "balance": 1.7}
            fade = math.exp(-event.step / 30)
            parts = {name: shares.get(name, 1.0) * (1 + fade) for name in self.parts}
            own = 0.5 + 0.2 * random.Random(event.step).random() if self.on_policy else None
            event = replace(event, parts=parts, generated=own)
        self.journal.append(event)


def chain_run(
    home: Home, *, steps: int = 30, entered: int = 2, name: str = "stories-5M → 2M → 0.8M", state: str = "crashed"
) -> RunFolder:
    """A chain of three links of as many steps each, of which `entered` have begun; the last of these is at its end."""
    of = DistillRecipe(
        teacher="/models/stories-5M", student="0.4x", data=("/data/stories.txt",), tokens=3 * steps * 1024
    )
    links = tuple(
        Link(name=f"{number}-{size}", parameters=count, tokens=steps * 1024, shape=None)
        for number, (size, count) in enumerate((("2M", 2_000_000), ("1.3M", 1_300_000), ("0.8M", 800_000)), 1)
    )
    run = runs.new_run(home, ChainRecipe(name=name, of=of, sizes=("2M", "1.3M"), links=links))
    with JournalWriter(run.journal) as journal:
        begin(journal, 3 * steps, 5_000_000, 800_000)
        for number in range(1, entered + 1):
            journal.append(ev.LinkEntered(number, 3, links[number - 1].name, (number - 1) * steps))
            shifted = _Shifted(journal, (number - 1) * steps)
            for step in range(1, steps + 1):
                point(shifted, step, steps, number)  # type: ignore[arg-type]
        end(run, journal, state, entered * steps)
    return run


class _Shifted:
    """A journal in which the steps of a link are counted on."""

    def __init__(self, journal: JournalWriter, before: int) -> None:
        self.journal, self.before = journal, before

    def append(self, event: ev.Event) -> None:
        if isinstance(event, ev.StepLogged):
            event = replace(
                event,
                step=event.step + self.before,
                tokens=event.tokens + 1024 * self.before,
                seconds=event.seconds + 0.126 * self.before,
            )
        elif isinstance(event, ev.EvaluationLogged):
            event = replace(event, step=event.step + self.before, tokens=event.tokens + 1024 * self.before)
        elif isinstance(event, ev.SampleWritten | ev.CheckpointSaved):
            event = replace(event, step=event.step + self.before)
        self.journal.append(event)


def a_pilot(home: Home, shelf: Path, *, ids: str = "ab12", finished: int = 3) -> list[RunFolder]:
    """Three teachers tried; the better the later one. The first `finished` runs have ended."""
    made = []
    for number in range(3):
        teacher = shelf / f"teacher-{number + 1}"
        if not teacher.exists():
            a_model(teacher)
        recipe = DistillRecipe(
            name=f"pilot of teachers: {teacher.name}",
            teacher=str(teacher),
            student="0.4x",
            data=("/data/stories.txt",),
            tokens=25_000,
        )
        run = runs.new_run(home, recipe)
        with JournalWriter(run.journal) as journal:
            begin(journal, 40, 5_000_000 * (number + 1), 2_000_000)
            for step in range(1, 41 if number < finished else 21):
                point(_Better(journal, 0.05 * number), step, 40, number)  # type: ignore[arg-type]
            end(run, journal, "finished" if number < finished else "crashed", 40)
        retag(run, [f"pilot-{ids}"])
        made.append(run)
    return made


class _Better:
    """A journal whose student reads so much better."""

    def __init__(self, journal: JournalWriter, by: float) -> None:
        self.journal, self.by = journal, by

    def append(self, event: ev.Event) -> None:
        if isinstance(event, ev.EvaluationLogged) and event.subject == "student":
            bits = event.metrics["bits_per_byte"]
            assert bits is not None
            event = replace(event, metrics=event.metrics | {"bits_per_byte": bits - self.by})
        self.journal.append(event)
