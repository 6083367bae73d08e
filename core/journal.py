"""The append-only journal of a run: one writer (the engine that holds the lock), any number of readers.

Every event is one unbuffered `write()`, so a killed writer leaves at most one torn last line. A reader keeps a torn
line for later; a writer that resumes first truncates to the last newline.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from core.events import Event, decode, encode


class JournalWriter:
    """Appends events with a contiguous `seq`. `time` never runs backwards, even if the clock does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        last = _mend(path)
        self._seq = 0 if last is None else last.seq + 1
        self._time = 0.0 if last is None else last.time
        self._stream = path.open("ab", buffering=0)

    def append(self, event: Event) -> Event:
        """Write the event and return it as written. A full disk raises OSError and leaves no half line behind."""
        now = max(time.time(), self._time)
        event = replace(event, seq=self._seq, time=round(now, 3))
        # half a character (from a file name that is no UTF-8) is written as the escape that JSON has for it
        line = (encode(event) + "\n").encode("utf-8", "backslashreplace")
        start = self._stream.seek(0, os.SEEK_END)
        try:
            written = self._stream.write(line)
        except OSError:
            self._cut(start)
            raise
        if written != len(line):
            self._cut(start)
            raise OSError(
                errno.ENOSPC, "the journal took only a part of a line; the disk is probably full", str(self.path)
            )
        self._seq += 1
        self._time = now
        return event

    def _cut(self, size_bytes: int) -> None:
        with contextlib.suppress(OSError):
            self._stream.truncate(size_bytes)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.fsync(self._stream.fileno())
        self._stream.close()

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JournalReader:
    """Reads what is new at each `poll()`.

    Lines that are no events (a journal edited by hand) are counted in `bad_lines`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bad_lines = 0
        self.restarts = 0  # how often another, shorter file was found in its place
        self.behind = False
        self._offset = 0  # just after the last whole line that was read

    def poll(self, most_bytes: int | None = None) -> list[Event]:
        """The events written since the last call, oldest first. Starts again if a shorter file took the place.

        With `most_bytes`, about so much of the file at a time: `behind` tells whether there is more.
        """
        try:
            with self.path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                if size < self._offset:
                    self._offset, self.bad_lines = 0, 0
                    self.restarts += 1
                stream.seek(self._offset)
                new = stream.read() if most_bytes is None else stream.read(most_bytes) + stream.readline()
                self.behind = stream.tell() < size
        except FileNotFoundError:
            self.behind = False
            return []
        *lines, torn = new.split(b"\n")
        self._offset += len(new) - len(
            torn
        )  # a torn line is read again: a writer that resumes cuts it and writes others
        events = []
        for line in lines:
            try:
                events.append(decode(line))
            except ValueError:
                self.bad_lines += 1
        return events


def read_journal(path: Path) -> list[Event]:
    """All whole events of a journal; an absent file is an empty one."""
    return JournalReader(path).poll()


def last_event(path: Path) -> Event | None:
    """The newest whole event, read from the end of the journal; None if there is none. Raises OSError."""
    if not path.exists():
        return None
    with path.open("rb") as stream:
        for _, line in _lines_backwards(stream, stream.seek(0, os.SEEK_END)):
            try:
                return decode(line)
            except ValueError:
                continue
    return None


def _mend(path: Path) -> Event | None:
    """Cut a torn last line off and return the last event that can be read."""
    if not path.exists():
        return None
    with path.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        whole = 0
        last: Event | None = None
        for line_end, line in _lines_backwards(stream, end):
            whole = max(whole, line_end)
            try:
                last = decode(line)
                break
            except ValueError:
                continue
        if whole < end:
            stream.truncate(whole)
    return last


def _lines_backwards(stream: BinaryIO, end: int, block: int = 65536) -> Iterator[tuple[int, bytes]]:
    """Whole lines from the last to the first, each with the offset just after its newline."""
    tail, position = b"", end
    pending_end: int | None = None
    while position > 0:
        start = max(0, position - block)
        stream.seek(start)
        data = stream.read(position - start) + tail
        position = start
        while True:
            cut = data.rfind(b"\n")
            if cut < 0:
                break
            if pending_end is not None:
                yield pending_end, data[cut + 1 :]
            pending_end = start + cut + 1
            data = data[:cut]
        tail = data
    if pending_end is not None:
        yield pending_end, tail
