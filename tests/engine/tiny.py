"""Tiny models, texts and runs for the engine's tests: seconds for a whole distillation."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from core.distill import DistillRecipe
from core.engine.__main__ import FINISHED, main, work
from core.events import Event
from core.home import Home
from core.journal import read_journal
from core.plan import settle
from core.runs import RunFolder, new_run
from core.state import History, fold
from resources.sample.stories import SEPARATOR, stories

REPOSITORY = Path(__file__).resolve().parents[2]
BOS, EOS, PAD = "<s>", "</s>", "<pad>"  # ids 0, 1, 2
ENTRIES, CONTEXT = 384, 128
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def beginnings(count: int, seed: int = 7, characters: int = 160) -> list[str]:
    """The first words of generated stories: short documents, all different."""
    return [text[: characters - 40 + 8 * (index % 11)].strip() for index, text in enumerate(stories(seed, count))]


def write_data(path: Path, count: int = 120, seed: int = 7) -> Path:
    path.write_text("".join(f"{text}\n{SEPARATOR}\n" for text in beginnings(count, seed)), encoding="utf-8")
    return path


def write_tokenizer(folder: Path, *, adds_bos: bool = True, bos: bool = True, entries: int = ENTRIES) -> None:
    """A byte-level BPE in a Hugging Face folder, trained on the beginnings."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    specials = [BOS, EOS, PAD]
    trainer = trainers.BpeTrainer(
        vocab_size=entries, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(beginnings(60, seed=3), trainer)
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 0)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"eos_token": EOS, "pad_token": PAD} | ({"bos_token": BOS} if bos else {})
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **names, "clean_up_tokenization_spaces": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def tiny_model(model_type: str = "llama", seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A random model whose predictions are far from uniform, in float32."""
    config = {"vocab_size": ENTRIES, "max_position_embeddings": CONTEXT, "initializer_range": 0.2, **SIZES}
    config |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    if model_type == "gpt2":
        config |= {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
        for name in (*SIZES, "max_position_embeddings"):
            del config[name]
    elif model_type != "gpt_neox":
        config |= {"num_key_value_heads": 2, "head_dim": 8}
    if model_type in ("llama", "qwen2", "mistral", "gemma"):
        config["tie_word_embeddings"] = True
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **(config | changes))).eval()


def write_teacher(folder: Path, seed: int = 0, **changes: Any) -> Path:
    tiny_model(seed=seed, **changes).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def train_briefly(model: PreTrainedModel, documents: list[list[int]], steps: int, rate: float = 1e-2) -> None:
    """Teach the model the documents as they stand, one batch a step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    model.train()
    for step in range(steps):
        chosen = [documents[(step * 8 + i) % len(documents)][:CONTEXT] for i in range(8)]
        length = max(map(len, chosen))
        ids = torch.tensor([ids + [2] * (length - len(ids)) for ids in chosen])
        labels = torch.tensor([ids + [-100] * (length - len(ids)) for ids in chosen])
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    model.eval()


def tiny_recipe(teacher: Path | None, data: Path, **changes: Any) -> DistillRecipe:
    """Twelve steps of four blocks of 64 positions."""
    fields: dict[str, Any] = {
        "teacher": None if teacher is None else str(teacher),
        "student": "0.6x",
        "data": (str(data),),
        "tokens": 12 * 240,
        "validation_tokens": 300,
        "sequence_length": 64,
        "batch_tokens": 256,
        "learning_rate": 3e-3,
        "calibration_blocks": 8,
        "evaluate_every": 6,
        "checkpoint_every": 4,
        "device": "cpu",
    }
    return DistillRecipe(**(fields | changes))


def new_tiny_run(home: Home, recipe: DistillRecipe) -> RunFolder:
    return new_run(home, settle(recipe))


def finished(home: Home, recipe: DistillRecipe) -> RunFolder:
    """A run that was done in this process, to its end."""
    run = new_tiny_run(home, recipe)
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    return run


def engine_environment() -> dict[str, str]:
    paths = f"{REPOSITORY}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "TOKENIZERS_PARALLELISM": "false"}


def run_engine(run: RunFolder) -> int:
    """The engine as a process of its own, to its end; the exit code."""
    command = [sys.executable, "-m", "core.engine", str(run.path)]
    with run.log.open("ab") as log:
        done = subprocess.run(
            command, env=engine_environment(), stdout=log, stderr=subprocess.STDOUT, timeout=180, check=False
        )
    return done.returncode


def forked_engine(folder: str) -> None:
    """What `python -m core.engine` does, in a process that has its modules already."""
    torch.set_num_threads(1)
    with (Path(folder) / "engine.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.argv = ["core.engine", folder]
    sys.exit(main())


def events_of(run: RunFolder, kind: type[Event] | None = None) -> list[Any]:
    return [event for event in read_journal(run.journal) if kind is None or isinstance(event, kind)]


@contextlib.contextmanager
def put_back() -> Iterator[None]:
    """An engine at work in this process changes its signal handler and environment; afterwards they are as before."""
    handler, environment = signal.getsignal(signal.SIGTERM), dict(os.environ)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        os.environ.clear()
        os.environ.update(environment)


def history_of(run: RunFolder) -> History:
    return fold(read_journal(run.journal))


def assert_same_curve(run: RunFolder, whole: RunFolder) -> None:
    """The folded journal of a run that was interrupted is that of one that was not."""
    for found, expected in zip(curve_of(run), curve_of(whole), strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    one, other = history_of(run), history_of(whole)
    assert [point.tokens for point in one.steps] == [point.tokens for point in other.steps]
    assert [(p.step, p.subject) for p in one.evaluations] == [(p.step, p.subject) for p in other.evaluations]
    seqs = [event.seq for event in events_of(run)]
    assert seqs == list(range(len(seqs)))


def curve_of(run: RunFolder) -> list[tuple[int, float, float | None, float]]:
    """(step, ce, kd, total) of the folded journal."""
    return [(point.step, point.ce, point.kd, point.total) for point in history_of(run).steps]


def load(folder: Path) -> tuple[PreTrainedModel, Any]:
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
