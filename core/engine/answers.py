"""The store of a teacher's answers: shards of packed distributions, found by the content of the text.

A shard is written beside and renamed, holds whole stretches of text ("segments") and its own index, and ends in its checksum:

    magic | segment | segment | … | index, one entry a segment | number of segments | BLAKE2b of all before

A segment of n tokens has n − 1 rows; row i is what the teacher expects after token i. The numbers of a segment are split in byte planes
(the low bytes of all ids, then the high ones, …), each with Huffman codes of its own (DEFLATE), about 125 bytes a row at k = 50:

- bucket: the ids of the k likeliest entries, falling; their −log p in steps of 1/1024, as differences, which are small; and −log of the
  mass of the rest in the same steps. Rounding moves a probability by at most 0.05 %, and by as much again when all are made to sum to 1.
- sample: how many different classes k draws gave, their ids, how often each was drawn, and the distribution's entropy in the same steps.

Shapes: n rows, K = k entries.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Self

import numpy as np

from core.cache import (
    CHECKSUM_BYTES,
    SHARDS,
    UNFINISHED,
    BadCache,
    CacheFields,
    Manifest,
    Shard,
    check_shards,
    holding,
    read_manifest,
    read_unfinished,
    shard_checksum,
    write_manifest,
)
from core.files import sync_file, sync_folder, write_json

MAGIC = b"stillans"
INDEX = np.dtype(
    [("key", "S16"), ("at", "<u8"), ("bytes", "<u4"), ("rows", "<u4"), ("crc", "<u4"), ("kept", "<f4")]
)  # `kept`: the sum over rows of the mass inside the top k
COUNT = struct.Struct("<I")

UNITS_PER_NAT = 1024
MOST_UNITS = 65535  # a step between neighbours, and the rest, reach 64 nats; what is further off is put there
NO_REST = 65535  # the rest has no mass

SHARD_BYTES = 64 * 2**20
SHARD_SECONDS = 60.0  # what a kill can cost


def key_of(ids: np.ndarray) -> bytes:
    """The key of a segment: 16 bytes of BLAKE2b over its token ids as little-endian int32."""
    return blake2b(np.ascontiguousarray(ids, dtype="<i4").tobytes(), digest_size=16).digest()


# ------------------------------------------------------------------------------------------------------ bytes of a segment


def pack_top(ids_nK: np.ndarray, log_p_nK: np.ndarray, log_rest_n: np.ndarray, vocabulary: int) -> bytes:
    """The bytes of rows with their likeliest entries (falling, natural logarithms) and the log of the mass of the rest, or −inf."""
    units_nK = np.minimum(np.rint(log_p_nK.astype(np.float64) * -UNITS_PER_NAT), 2.0**40).astype(np.int64)
    units_nK = np.maximum.accumulate(np.maximum(units_nK, 0), axis=1)  # rounding of the scores may leave 1 + 1e-7
    gaps_nK = np.minimum(np.diff(units_nK, axis=1, prepend=0), MOST_UNITS)
    rest_n = np.minimum(np.maximum(np.rint(log_rest_n.astype(np.float64) * -UNITS_PER_NAT), 0), NO_REST)
    return _deflated(
        [*_planes(ids_nK, _id_bytes(vocabulary)), *_planes(gaps_nK, 2), *_planes(rest_n.astype(np.int64), 2)]
    )


def unpack_top(packed: bytes, rows: int, top_k: int, vocabulary: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ids_nK int64, log_p_nK float32, log_rest_n float32), with Σ exp(log_p) + exp(log_rest) = 1 in each row."""
    planes = _Planes(zlib.decompress(packed, -zlib.MAX_WBITS))
    ids_nK = planes.take(rows * top_k, _id_bytes(vocabulary)).astype(np.int64).reshape(rows, top_k)
    units_nK = np.cumsum(planes.take(rows * top_k, 2).reshape(rows, top_k), axis=1, dtype=np.int32)
    rest_n = planes.take(rows, 2)
    log_p_nK = units_nK.astype(np.float32)
    log_p_nK *= np.float32(-1 / UNITS_PER_NAT)
    log_rest_n = np.where(rest_n == NO_REST, -np.inf, rest_n * np.float32(-1 / UNITS_PER_NAT)).astype(np.float32)
    log_sum_n = np.log(np.exp(log_p_nK).sum(axis=1) + np.exp(log_rest_n))
    log_p_nK -= log_sum_n[:, None]
    return ids_nK, log_p_nK, log_rest_n - log_sum_n


def pack_drawn(ids_nK: np.ndarray, entropy_n: np.ndarray, vocabulary: int) -> bytes:
    """The bytes of rows with K classes drawn with replacement, and the entropy (nats) of what they were drawn from.

    Which classes and how often counts, the order of the draws doesn't.
    """
    top_k = ids_nK.shape[1]
    ids_nK = np.sort(ids_nK, axis=1)
    first_nK = np.ones(ids_nK.shape, dtype=bool)
    first_nK[:, 1:] = ids_nK[:, 1:] != ids_nK[:, :-1]
    starts = np.flatnonzero(first_nK)  # each row begins with one, so a run never crosses rows
    counts = np.diff(starts, append=ids_nK.size)
    size = _id_bytes(top_k + 1)
    different_n = first_nK.sum(axis=1)
    ids = ids_nK.ravel()[starts]
    entropy_n = np.clip(np.rint(entropy_n.astype(np.float64) * UNITS_PER_NAT), 0, MOST_UNITS).astype(np.int64)
    return _deflated(
        [
            *_planes(different_n, size),
            *_planes(ids, _id_bytes(vocabulary)),
            *_planes(counts, size),
            *_planes(entropy_n, 2),
        ]
    )


def unpack_drawn(packed: bytes, rows: int, top_k: int, vocabulary: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ids_nK int64, share_nK float32, entropy_n float32): the different classes of each row and their share of the draws (0, 0.0 where
    there are fewer), and the entropy in nats."""
    planes = _Planes(zlib.decompress(packed, -zlib.MAX_WBITS))
    size = _id_bytes(top_k + 1)
    different_n = planes.take(rows, size)
    total = int(different_n.sum())
    ids, counts = planes.take(total, _id_bytes(vocabulary)), planes.take(total, size)
    entropy_n = planes.take(rows, 2) * np.float32(1 / UNITS_PER_NAT)
    held_nK = np.arange(top_k) < different_n[:, None]
    ids_nK = np.zeros((rows, top_k), dtype=np.int64)
    share_nK = np.zeros((rows, top_k), dtype=np.float32)
    ids_nK[held_nK] = ids
    share_nK[held_nK] = counts / np.float32(top_k)
    return ids_nK, share_nK, entropy_n


def _id_bytes(entries: int) -> int:
    """Bytes that hold every number below `entries`."""
    return max(1, ((entries - 1).bit_length() + 7) // 8)


def _planes(numbers: np.ndarray, size: int) -> list[bytes]:
    return [(numbers >> (8 * place)).astype(np.uint8).tobytes() for place in range(size)]


class _Planes:
    """Numbers taken from their byte planes, in the order in which they were put."""

    def __init__(self, data: bytes) -> None:
        self._bytes = np.frombuffer(data, dtype=np.uint8)
        self._at = 0

    def take(self, count: int, size: int) -> np.ndarray:
        planes = self._bytes[self._at : self._at + count * size].reshape(size, count)
        self._at += count * size
        if size == 1:
            return planes[0].astype(np.int32)
        numbers = planes[1].astype(np.int32)
        for place in range(2, size):
            numbers |= planes[place].astype(np.int32) << (8 * (place - 1))
        numbers <<= 8
        numbers |= planes[0]
        return numbers


def _deflated(planes: list[bytes]) -> bytes:
    """Run lengths and Huffman codes only: the planes hold no repeated phrases, and looking for some takes ten times as long."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_RLE)
    parts = []
    for plane in planes:
        parts += [packer.compress(plane), packer.flush(zlib.Z_BLOCK)]  # a block, and so a code, for each plane
    return b"".join([*parts, packer.flush()])


# ------------------------------------------------------------------------------------------------------------- writing


class AnswersWriter:
    """Fills the folder of a cache, or goes on filling one; one process at a time. Use as a context manager.

    Finished shards are kept whatever happens; a shard that a killed machine left damaged is made again.
    """

    def __init__(self, folder: Path, fields: CacheFields) -> None:
        self.folder = folder
        self.fields = fields
        self._lock = holding(folder)
        self._blobs: list[bytes] = []
        self._entries: list[tuple[bytes, int, int, int, int, float]] = []
        self._size = len(MAGIC)
        self._begun_at = time.monotonic()
        self._shards: list[Shard] = []
        self._keys: set[bytes] = set()
        self.rows = 0
        self._kept = 0.0

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.__enter__()
        try:
            self._take_up()
        except BaseException:
            self._lock.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.__exit__()

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def _take_up(self) -> None:
        """Read what an earlier attempt left."""
        if (self.folder / UNFINISHED).is_file():
            begun = read_unfinished(self.folder)
            wanted, found = self.fields.same_answers(), begun.same_answers()
            if wanted.keys() != found.keys() or wanted != found:
                differing = [name for name in wanted if wanted[name] != found.get(name)]
                raise BadCache(
                    f"{self.folder} holds an unfinished cache with another {differing[0].replace('_', ' ')}: "
                    f"{found.get(differing[0])} instead of {wanted[differing[0]]}.",
                    "Choose another folder, or delete it (`stillroom caches --delete`).",
                )
        elif any(self.folder.glob(SHARDS)):
            raise BadCache(f"{self.folder} holds answers, but not what they are of.", "Choose another folder.")
        write_json(self.folder / UNFINISHED, self.fields.model_dump(mode="json"))
        for left in self.folder.glob(f".{SHARDS}.part"):
            left.unlink()
        for file in sorted(self.folder.glob(SHARDS)):
            checksum = shard_checksum(file)
            if checksum is None:
                file.unlink()
                continue
            self._note(file, checksum, read_index(file))

    def _note(self, file: Path, checksum: str, index: np.ndarray) -> None:
        self._shards.append(Shard(file=file.name, bytes=file.stat().st_size, blake2b=checksum, segments=len(index)))
        self._keys.update(_padded(key) for key in index["key"].tolist())
        self.rows += int(index["rows"].sum())
        self._kept += float(index["kept"].sum(dtype=np.float64))

    def add_top(self, key: bytes, ids_nK: np.ndarray, log_p_nK: np.ndarray, log_rest_n: np.ndarray) -> None:
        """The rows of a segment with their likeliest entries, falling, and the log of the mass of the rest."""
        packed = pack_top(ids_nK, log_p_nK, log_rest_n, self.fields.vocabulary)
        self._add(key, packed, len(ids_nK), float(-np.expm1(log_rest_n.astype(np.float64)).sum()))

    def add_drawn(self, key: bytes, ids_nK: np.ndarray, entropy_n: np.ndarray) -> None:
        """The rows of a segment as K classes drawn with replacement, and the entropy of what they were drawn from."""
        self._add(key, pack_drawn(ids_nK, entropy_n, self.fields.vocabulary), len(ids_nK), 0.0)

    def _add(self, key: bytes, packed: bytes, rows: int, kept: float) -> None:
        self._entries.append((key, self._size, len(packed), rows, zlib.crc32(packed), kept))
        self._blobs.append(packed)
        self._size += len(packed)
        self._keys.add(key)
        if self._size >= SHARD_BYTES or time.monotonic() - self._begun_at >= SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Make a shard of what was added since the last one; from then on nothing can take it away."""
        self._begun_at = time.monotonic()
        if not self._entries:
            return
        index = np.array(self._entries, dtype=INDEX)
        digest = blake2b(digest_size=CHECKSUM_BYTES)
        file = self.folder / f"part-{self._next_number():05}.bin"
        beside = file.with_name(f".{file.name}.part")
        with beside.open("wb") as stream:
            for part in (MAGIC, *self._blobs, index.tobytes(), COUNT.pack(len(index))):
                digest.update(part)
                stream.write(part)
            stream.write(digest.digest())
        sync_file(beside)
        beside.replace(file)
        sync_folder(self.folder)
        self._blobs, self._entries, self._size = [], [], len(MAGIC)
        self._note(file, digest.hexdigest(), index)

    def _next_number(self) -> int:
        return max((int(shard.file[5:-4]) for shard in self._shards), default=-1) + 1

    def finish(self, documents: int, tokens: int) -> Manifest:
        """Seal the cache. `tokens` are those of the text that it covers."""
        self.flush()
        manifest = Manifest(
            **self.fields.model_dump(),
            documents=documents,
            tokens=tokens,
            rows=self.rows,
            bytes=sum(shard.bytes for shard in self._shards),
            mass_kept=self._kept / self.rows if self.fields.tail == "bucket" else None,
            shards=tuple(self._shards),
        )
        write_manifest(self.folder, manifest)
        return manifest


def read_index(file: Path) -> np.ndarray:
    """The index of a whole shard."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise BadCache(f"{file} is no file of answers.", "Delete the cache and make it again.")
        stream.seek(size - CHECKSUM_BYTES - COUNT.size)
        count = COUNT.unpack(stream.read(COUNT.size))[0]
        stream.seek(size - CHECKSUM_BYTES - COUNT.size - count * INDEX.itemsize)
        return np.frombuffer(stream.read(count * INDEX.itemsize), dtype=INDEX)


def _padded(key: bytes) -> bytes:
    """numpy drops the zeros at a key's end."""
    return key.ljust(16, b"\0")


# ------------------------------------------------------------------------------------------------------------- reading


class Answers:
    """A finished cache, opened for reading. Any number of processes may read one."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._shards = [np.memmap(folder / shard.file, dtype=np.uint8, mode="r") for shard in manifest.shards]
        indexes = [read_index(folder / shard.file) for shard in manifest.shards]
        index = np.concatenate(indexes) if indexes else np.empty(0, dtype=INDEX)
        order = np.argsort(index["key"], kind="stable")
        self._index = index[order]
        self._keys = np.ascontiguousarray(self._index["key"])
        self._shard = np.repeat(np.arange(len(indexes)), [len(one) for one in indexes])[order]

    @classmethod
    def open(cls, folder: Path, progress: Callable[[float], None] | None = None) -> Self:
        """Open a cache after reading every byte of it once (about 1 GB a second).

        Raises BadCache, which names the file and the way out, if it is unfinished, half-written, changed, or of a newer version.
        """
        manifest = read_manifest(folder)
        check_shards(folder, manifest, progress)
        return cls(folder, manifest)

    def __contains__(self, key: bytes) -> bool:
        return self._place(key) is not None

    def covers(self, keys: Iterable[bytes]) -> int:
        """How many of the keys are missing: 0 if the cache serves them all."""
        return sum(key not in self for key in keys)

    def top(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the teacher expects after each token of a segment but the last, of a cache with the tail bucket.

        ids_nK (int64, falling), log_p_nK (float32, natural logarithms), log_rest_n (float32, −inf if nothing is left); with the rest
        they sum to 1. Raises BadCache if the segment is not there.
        """
        assert self.manifest.tail == "bucket"
        packed, rows = self._packed(ids)
        return unpack_top(packed, rows, self.manifest.top_k, self.manifest.vocabulary)

    def drawn(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same of a cache with the tail sample: ids_nK (int64), share_nK (float32), padded with share 0, entropy_n (float32, nats)."""
        assert self.manifest.tail == "sample"
        packed, rows = self._packed(ids)
        return unpack_drawn(packed, rows, self.manifest.top_k, self.manifest.vocabulary)

    def rows(self, ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """`top` or `drawn`, by the cache's tail."""
        return self.top(ids) if self.manifest.tail == "bucket" else self.drawn(ids)

    def _place(self, key: bytes) -> int | None:
        at = int(np.searchsorted(self._keys, np.array(key, dtype="S16")))
        return at if at < len(self._keys) and _padded(self._keys[at]) == key else None

    def _packed(self, ids: np.ndarray) -> tuple[bytes, int]:
        place = self._place(key_of(ids))
        if place is None:
            raise BadCache(
                f"The cache {self.folder} lacks a text of {len(ids)} tokens that begins with the ids {ids[:5].tolist()}.",
                "Make the cache again for this text, its seed and its sequence length.",
            )
        entry = self._index[place]
        start = int(entry["at"])
        packed = self._shards[self._shard[place]][start : start + int(entry["bytes"])].tobytes()
        if zlib.crc32(packed) != int(entry["crc"]) or int(entry["rows"]) != len(ids) - 1:
            file = self.folder / self.manifest.shards[self._shard[place]].file
            raise BadCache(f"{file} was changed since it was opened.", "Delete the cache and make it again.")
        return packed, int(entry["rows"])
