"""A model by the clock: tokens a second when it reads and when it writes, the memory it takes, and the energy where the device tells."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch

from core.engine.evaluation.subject import Subject, context_of
from core.engine.generation import generate
from core.engine.session import Session

READ_TOKENS = 512
WRITE_TOKENS = 64
ROUNDS = 5


def time_model(session: Session, subject: Subject) -> dict[str, Any]:
    """Medians of ROUNDS rounds after one to warm up, for one text at a time.

    `prefill_tokens_per_second` over a text of READ_TOKENS (or three quarters of the context), `decode_tokens_per_second` over WRITE_TOKENS new
    ones; `memory_bytes` is the peak that torch held on a GPU, else the process's resident memory; `joules_per_token` of writing, where NVML
    counts energy.
    """
    context = context_of(subject.model)
    length = min(READ_TOKENS, context * 3 // 4)
    new = max(1, min(WRITE_TOKENS, context - length))
    generator = torch.Generator().manual_seed(0)
    rows = subject.model.get_input_embeddings().weight.shape[0]
    ids = torch.randint(0, min(rows, len(subject.tokenizer)), (1, length), generator=generator)
    prompt = ids[0, : max(1, length // 8)].tolist()
    if subject.device == "cuda":
        torch.cuda.reset_peak_memory_stats()

    @torch.inference_mode()
    def read() -> None:
        subject.model(
            input_ids=ids.to(subject.model.device), use_cache=False, **_last_only(subject)
        ).logits.sum().item()

    def write() -> None:
        generate(
            subject.model,
            [prompt],
            new_tokens=new,
            temperature=0,
            ends=set(),
            generator=generator,
            pause=session.check_stop,
        )

    def first() -> None:
        generate(subject.model, [prompt], new_tokens=1, temperature=0, ends=set(), generator=generator)

    reading = _median(session, read, 0.0)
    beginning = _median(session, first, 0.33)
    with _energy(session) as joules:
        writing = _median(session, write, 0.66)
    found: dict[str, Any] = {
        "prefill_tokens_per_second": length / reading,
        "decode_tokens_per_second": (new - 1) / max(1e-9, writing - beginning) if new > 1 else 1 / writing,
        "first_token_seconds": beginning,
        "memory_bytes": torch.cuda.max_memory_allocated()
        if subject.device == "cuda"
        else psutil.Process().memory_info().rss,
        "device": _device_name(session),
        "read_tokens": length,
        "written_tokens": new,
    }
    if joules:
        found["joules_per_token"] = joules[0] / ((ROUNDS + 1) * new)
    return found


def _median(session: Session, work: Callable[[], None], begun: float) -> float:
    """Seconds of one round."""
    work()
    times = []
    for each in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
        session.progress(begun + (each + 1) / ROUNDS / 3)
    return statistics.median(times)


def _last_only(subject: Subject) -> dict[str, int]:
    """As a chat reads a prompt: scores of its last token alone, where the model can leave out the others."""
    import inspect

    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(subject.model.forward).parameters else {}


def _device_name(session: Session) -> str:
    if session.device == "cuda":
        return torch.cuda.get_device_name()
    return f"{session.device}, {torch.get_num_threads()} threads"


@contextmanager
def _energy(session: Session) -> Iterator[list[float]]:
    """Joules that the GPU used meanwhile, in a list that stays empty where nobody counts them."""
    found: list[float] = []
    before = _millijoules(session)
    yield found
    after = _millijoules(session)
    if before is not None and after is not None:
        found.append((after - before) / 1000)


def _millijoules(session: Session) -> int | None:
    if session.device != "cuda":
        return None
    import pynvml

    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(0).uuid)
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
        return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
    return None
