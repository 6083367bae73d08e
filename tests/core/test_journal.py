"""The journal: nothing that was written whole is lost or changed, whatever kills the writer."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import events as ev
from core.journal import JournalReader, JournalWriter, last_event, read_journal

ROOT = Path(__file__).resolve().parents[2]
ONE_OF_EACH: list[ev.Event] = [
    ev.RunStarted("cuda:0", 12, 1.5, resumed_from=3, versions={"torch": "2.13.0"}),
    ev.PhaseEntered("measuring the teacher", "64 blocks"),
    ev.PhaseProgressed("measuring the teacher", 0.5),
    ev.ChoiceMade("precision", {"name": "bf16", "bits": [16]}, "the GPU has it"),
    ev.TrainingPlanned(10, 1000, 4, 2, 128, 400, 1000, 2400.0),
    ev.StepLogged(1, 100, 1e-3, 2.5, 0.5, 3.0, 1.0, 5000.0, 10**9, 0.25),
    ev.EvaluationLogged(1, 100, "student", {"ce": 2.0, "agreement": None}),
    ev.EvaluationLogged(0, 0, "model", {"piqa/acc": 0.5}, [{"task": "piqa", "metric": "acc", "value": 0.5}]),
    ev.SampleWritten(1, "Es war", " einmal …\n\u2028\x00\"'\\ 猫 🙂"),
    ev.CheckpointSaved(1, "checkpoints/1"),
    ev.StudentMeasured(1, "20260101-a", 2.5),
    ev.NoticeRaised("warning", "The disk is nearly full."),
    ev.LinkEntered(2, 3, "2-1.3M", 6),
    ev.RunStopped(1),
    ev.RunFinished({"bits_per_byte": 0.5, "after": {"ce": 2.0}}),
    ev.RunFailed("The loss is not a number.", "Lower the rate.", "Traceback …", 7),
    ev.UnknownEvent("stars_aligned", {"stars": ["a", 1, None]}),
]


def write(path: Path, *events: ev.Event) -> list[ev.Event]:
    with JournalWriter(path) as journal:
        return [journal.append(event) for event in events]


def steps(count: int) -> list[ev.Event]:
    return [ev.PhaseEntered(f"phase {number}", "ä" * number) for number in range(count)]


# --- one line ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_event_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert {type(event) for event in ONE_OF_EACH} == {*ev.KINDS.values(), ev.UnknownEvent}
    written = write(tmp_path / "events.jsonl", *ONE_OF_EACH)
    assert read_journal(tmp_path / "events.jsonl") == written
    assert [replace(event, seq=-1, time=0.0) for event in written] == ONE_OF_EACH
    assert [event.seq for event in written] == list(range(len(written)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_becomes_null_so_that_any_json_reader_can_follow(tmp_path: Path, value: float) -> None:
    path = tmp_path / "events.jsonl"
    write(
        path,
        ev.StepLogged(1, 100, 1e-3, value, value, value, value, value, None, 1.0),
        ev.RunFinished({"deep": {"list": [1.0, value, (value,)]}}),
    )

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    for line in path.read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=refuse)
    step, end = read_journal(path)
    assert isinstance(step, ev.StepLogged)
    assert (step.ce, step.total, step.grad_norm) == (None, None, None)
    assert isinstance(end, ev.RunFinished)
    assert end.results == {"deep": {"list": [1.0, None, [None]]}}


def test_an_unknown_kind_and_unknown_fields_of_a_newer_version_are_no_error() -> None:
    newer = {"seq": 4, "time": 2.0, "kind": "stars_aligned", "stars": 3}
    event = ev.decode(json.dumps(newer))
    assert event == ev.UnknownEvent("stars_aligned", {"stars": 3}, seq=4, time=2.0)
    assert json.loads(ev.encode(event)) == newer
    assert ev.decode('{"seq":1,"time":1.0,"kind":"run_stopped","step":5,"mood":"good"}') == ev.RunStopped(
        5, seq=1, time=1.0
    )


@pytest.mark.parametrize("body", ['"step":"five"', '"step":null', '"other":1'])
def test_a_known_kind_that_lacks_what_is_needed_is_kept_as_unknown(body: str) -> None:
    event = ev.decode(f'{{"seq":1,"time":1.0,"kind":"run_stopped",{body}}}')
    assert isinstance(event, ev.UnknownEvent)
    assert event.kind == "run_stopped"


NO_EVENTS: list[str | bytes] = ["", "nonsense", "[]", "1", "{}", '{"seq":1}', '{"kind":"x","seq":"1"}']
NO_EVENTS += ['{"kind":1,"seq":1}', '{"kind":"x","seq":1,"time":null}', "[" * 100_000, b"\xff\xfe"]


@pytest.mark.parametrize("line", NO_EVENTS)
def test_what_is_no_event_is_a_value_error(line: str | bytes) -> None:
    with pytest.raises(ValueError):
        ev.decode(line)


def test_a_file_name_that_is_no_utf8_can_be_told(tmp_path: Path) -> None:
    name = b"caf\xe9.txt".decode("utf-8", "surrogateescape")
    written = write(tmp_path / "events.jsonl", ev.RunFailed(f"{name} can't be read."))
    assert read_journal(tmp_path / "events.jsonl") == written


# --- torn lines -------------------------------------------------------------------------------------------------------


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cut=st.integers(0, 10_000), count=st.integers(1, 8))
def test_a_journal_cut_anywhere_is_mended_and_goes_on_without_a_gap(
    tmp_path_factory: pytest.TempPathFactory, cut: int, count: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "events.jsonl"
    before = write(path, *steps(count))
    content = path.read_bytes()
    cut %= len(content) + 1
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    assert read_journal(path) == before[:whole]
    after = write(path, *steps(2))
    assert [event.seq for event in after] == [whole, whole + 1]
    assert read_journal(path) == [*before[:whole], *after]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chunks=st.lists(st.integers(1, 120), min_size=1, max_size=30))
def test_a_reader_that_comes_in_the_middle_of_a_line_waits_for_its_end(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    written = write(folder / "whole.jsonl", *steps(6))
    content = (folder / "whole.jsonl").read_bytes()
    reader, seen, at = JournalReader(folder / "growing.jsonl"), [], 0
    assert reader.poll() == []  # there is no file yet
    for size in [*chunks, len(content)]:
        with (folder / "growing.jsonl").open("ab") as stream:
            stream.write(content[at : at + size])
        at += size
        seen += reader.poll()
    assert (seen, reader.bad_lines) == (written, 0)


def test_a_reader_that_saw_a_torn_line_follows_the_writer_that_cut_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first = write(path, *steps(2))
    with path.open("ab") as stream:
        stream.write(b'{"seq":2,"time":1.0,"ki')
    reader = JournalReader(path)
    assert reader.poll() == first
    later = write(path, *steps(5))  # the file is longer now than it was with the torn line
    assert reader.poll() == later
    assert reader.bad_lines == 0


def test_a_reader_starts_again_when_a_shorter_journal_took_the_place(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write(path, *steps(5))
    reader = JournalReader(path)
    assert len(reader.poll()) == 5
    path.unlink()
    fresh = write(path, ev.RunStopped(1))
    assert reader.poll() == fresh


def test_lines_that_somebody_broke_by_hand_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write(path, *steps(3))
    first, second, third = path.read_text(encoding="utf-8").splitlines()
    path.write_text(f"{first}\n# a remark\n\n{second[:-3]}\n{third}\nlast words\n", encoding="utf-8")
    reader = JournalReader(path)
    assert [event.seq for event in reader.poll()] == [0, 2]
    assert reader.bad_lines == 4
    assert [event.seq for event in write(path, ev.RunStopped(1))] == [3]


def test_a_long_last_line_is_found_when_the_writer_resumes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write(path, ev.SampleWritten(1, "", "long " * 60_000))
    with path.open("ab") as stream:
        stream.write(b'{"seq":1,' + b"x" * 200_000)
    assert [event.seq for event in write(path, ev.RunStopped(1))] == [1]
    assert len(read_journal(path)) == 2


# --- clocks, disks, kills ---------------------------------------------------------------------------------------------


def test_time_never_runs_backwards_even_if_the_clock_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    clock = iter([1000.0, 500.0, 2000.0])
    monkeypatch.setattr(time, "time", lambda: next(clock))
    assert [event.time for event in write(path, *steps(3))] == [1000.0, 1000.0, 2000.0]
    monkeypatch.setattr(time, "time", lambda: 3.0)
    assert [event.time for event in write(path, *steps(1))] == [2000.0]  # another process, after the clock was set back


class FullDisk:
    """A stream that takes only the first bytes of a line."""

    def __init__(self, stream: Any, room: int) -> None:
        self.stream, self.room = stream, room

    def write(self, data: bytes) -> int:
        return int(self.stream.write(data[: self.room]))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self.stream, name)  # type: ignore[no-any-return]


def test_a_full_disk_raises_and_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with JournalWriter(path) as journal:
        first = journal.append(ev.RunStopped(1))
        stream = journal._stream
        journal._stream = FullDisk(stream, room=10)  # type: ignore[assignment]
        with pytest.raises(OSError, match="disk"):
            journal.append(ev.RunStopped(2))
        assert path.read_bytes().count(b"\n") == 1
        assert path.read_bytes().endswith(b"\n")
        journal._stream = stream
        second = journal.append(ev.RunStopped(3))
    assert second.seq == 1
    assert read_journal(path) == [first, second]


WRITER = """
import sys
from pathlib import Path
from core.events import PhaseEntered
from core.journal import JournalWriter
with JournalWriter(Path(sys.argv[1])) as journal:
    print("ready", flush=True)
    while True:
        journal.append(PhaseEntered("x" * 300))
"""


@pytest.mark.skipif(os.name == "nt", reason="sends SIGKILL")
def test_a_writer_killed_again_and_again_leaves_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for attempt in range(3):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.01 + 0.02 * attempt)
            process.send_signal(signal.SIGKILL)
    seqs = [event.seq for event in read_journal(path)]
    assert len(seqs) > 3
    assert seqs == list(range(len(seqs)))


def test_the_last_event_is_found_without_reading_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert last_event(path) is None
    with JournalWriter(path) as journal:
        journal.append(ev.RunStarted("cpu", 1, 0.0))
        said = journal.append(ev.RunFinished({"parameters": 7}))
    with path.open("ab") as stream:
        stream.write(b'{"kind": "StepLogged", "st')
    assert last_event(path) == said
    assert path.read_bytes().endswith(b"st")  # nothing is mended by a look
