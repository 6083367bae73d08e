"""Weights written as they are made: safetensors files whose headers are known before the first tensor is, filled by several threads.

A file that is whole has a record beside it with the checksum of every tensor; a run that was killed takes over those that still agree.
The format: 8 bytes with the length of a JSON header, the header, the data (https://huggingface.co/docs/safetensors, Format).
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.engine.merge.sources import Source
from core.files import read_json, sync_file, sync_folder, write_json
from core.merge.plan import TensorPlan

ALIGNMENT = 8
LOOK_S = 0.1


@dataclass(frozen=True)
class Shard:
    """One weight file: its tensors in order."""

    name: str
    tensors: tuple[TensorPlan, ...]

    @property
    def size_bytes(self) -> int:
        return len(self.header) + sum(tensor.facts.size_bytes for tensor in self.tensors)

    @property
    def header(self) -> bytes:
        at, entries = 0, {"__metadata__": {"format": "pt"}}
        for tensor in self.tensors:
            end = at + tensor.facts.size_bytes
            entries[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [at, end]}  # type: ignore[dict-item]
            at = end
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-(len(text) + 8) % ALIGNMENT)
        return len(text).to_bytes(8, "little") + text

    def offsets(self) -> list[int]:
        """Where each tensor begins in the file."""
        at, found = len(self.header), []
        for tensor in self.tensors:
            found.append(at)
            at += tensor.facts.size_bytes
        return found


def shards(tensors: Sequence[TensorPlan], most_bytes: int) -> list[Shard]:
    """The tensors in files of `most_bytes` at the most, unless a tensor alone is larger."""
    groups: list[list[TensorPlan]] = [[]]
    for tensor in tensors:
        full = sum(each.facts.size_bytes for each in groups[-1]) + tensor.facts.size_bytes > most_bytes
        if groups[-1] and full:
            groups.append([])
        groups[-1].append(tensor)
    if len(groups) == 1:
        return [Shard("model.safetensors", tuple(groups[0]))]
    count = len(groups)
    return [
        Shard(f"model-{number:05d}-of-{count:05d}.safetensors", tuple(group)) for number, group in enumerate(groups, 1)
    ]


class Stream:
    """Writes the shards of one model into `folder`, and what is known of whole ones into `records`."""

    def __init__(self, folder: Path, records: Path, parts: Sequence[Shard], source: Source, threads: int) -> None:
        self.folder, self.records = folder, records
        self.parts = parts
        self.source = source
        self.threads = threads
        self.total_bytes = sum(part.size_bytes for part in parts)
        self._ended = threading.Event()

    def finished(self) -> set[str]:
        """The shards of an earlier attempt that are whole, every tensor of them."""
        return {part.name for part in self.parts if self._is_whole(part)}

    def missing_bytes(self, finished: set[str]) -> int:
        return sum(part.size_bytes for part in self.parts if part.name not in finished)

    def write(self, progress: Callable[[int, int], None], finished: set[str]) -> None:
        """All shards but the finished ones, then the index. `progress` is called with bytes done of bytes in all, and may raise to stop."""
        parts = {part.name: sum(tensor.facts.size_bytes for tensor in part.tensors) for part in self.parts}
        done, total = sum(parts[name] for name in finished), sum(parts.values())
        progress(done, total)
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="merge")
        fillings: list[_Filling] = []
        try:
            for part in self.parts:
                if part.name not in finished:
                    fillings.append(_Filling(self.folder, self.records, part))
            futures = {
                pool.submit(self._one, filling, place)
                for filling in fillings
                for place in range(len(filling.shard.tensors))
            }
            while futures:
                ready, futures = wait(futures, timeout=LOOK_S, return_when=FIRST_COMPLETED)
                done += sum(future.result() for future in ready)
                progress(done, total)
        finally:
            self._ended.set()
            pool.shutdown(wait=True, cancel_futures=True)
            for filling in fillings:
                filling.stream.close()
        write_index(self.folder, self.parts)

    def _one(self, filling: _Filling, place: int) -> int:
        if self._ended.is_set():
            return 0
        wanted = filling.shard.tensors[place]
        tensor = self.source.tensor(wanted.name)
        if tuple(tensor.shape) != wanted.shape:
            raise ValueError(f"{wanted.name} came out as {tuple(tensor.shape)}, planned was {wanted.shape}")
        return filling.put(place, tensor.contiguous())

    def _is_whole(self, part: Shard) -> bool:
        try:
            record = read_json(_record(self.records, part.name))
            if (self.folder / part.name).stat().st_size != part.size_bytes:
                return False
            with (self.folder / part.name).open("rb") as stream:
                if stream.read(len(part.header)) != part.header:
                    return False
                for tensor, said in zip(part.tensors, record["checksums"], strict=True):
                    if _checksum_of(stream, tensor.facts.size_bytes) != said:
                        return False
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True


class _Filling:
    """A shard that is being written. Its room on the disk is taken at once, so that a full disk is met at the beginning."""

    def __init__(self, folder: Path, records: Path, shard: Shard) -> None:
        self.shard = shard
        self.path, self.record = folder / shard.name, _record(records, shard.name)
        self.checksums: list[int | None] = [None] * len(shard.tensors)
        self._offsets = shard.offsets()
        self._lock = threading.Lock()
        self.record.unlink(missing_ok=True)
        self.stream = self.path.open("wb")
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self.stream.fileno(), 0, shard.size_bytes)
        self.stream.write(shard.header)

    def put(self, place: int, tensor: torch.Tensor) -> int:
        """Write one tensor; the last one closes the file and makes it count. Returns the bytes written."""
        data = memoryview(tensor.reshape(-1).view(torch.uint8).numpy()) if tensor.numel() else memoryview(b"")
        checksum = zlib.crc32(data)
        with self._lock:
            self.stream.seek(self._offsets[place])
            self.stream.write(data)
            self.checksums[place] = checksum
            if None not in self.checksums:
                self.stream.close()
                sync_file(self.path)
                write_json(self.record, {"checksums": self.checksums})
        return len(data)


def _record(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _checksum_of(stream: Any, size: int) -> int:
    found = 0
    while size > 0:
        data = stream.read(min(size, 2**22))
        if not data:
            raise ValueError("the file is too short")
        found, size = zlib.crc32(data, found), size - len(data)
    return found


def write_index(folder: Path, parts: Sequence[Shard]) -> None:
    """The map from tensors to files, which makes several files a model; written last. A single file needs none."""
    if len(parts) > 1:
        total = sum(tensor.facts.size_bytes for part in parts for tensor in part.tensors)
        places = {tensor.name: part.name for part in parts for tensor in part.tensors}
        write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": places})
    sync_folder(folder)
