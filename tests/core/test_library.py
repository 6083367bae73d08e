"""The library: models and runs in lists that can be made again from the folders at any time."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from core import events as ev
from core import library as library_module
from core import runs
from core.distill import DistillRecipe
from core.errors import BadModel, LibraryTrouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.journal import JournalWriter
from core.library import LAYOUT, Library
from core.models import inspect_model
from core.run_summary import RunSummary
from core.runs import RunFolder
from core.tensors import expected_tensors

ROOT = Path(__file__).resolve().parents[2]
CONFIG: dict[str, Any] = {"model_type": "llama", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1}
CONFIG |= {"num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 24, "tie_word_embeddings": True}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(library_module, "sample_models", list)
    return Home.find(tmp_path / "Daten Ordner ü")


@pytest.fixture
def inspected(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were really looked into."""
    looked: list[Path] = []
    look = library_module.entry_of
    monkeypatch.setattr(library_module, "entry_of", lambda path: looked.append(path) or look(path))
    return looked


def a_model(folder: Path, lineage: dict[str, Any] | None = None, **changes: Any) -> Path:
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
    if lineage is not None:
        (folder / "stillroom.json").write_text(json.dumps(lineage))
    return folder


def a_run(home: Home, *events: ev.Event, **fields: Any) -> RunFolder:
    recipe = DistillRecipe(
        **{"student": "0.4x", "teacher": "/models/big", "data": ("a.txt",), "tokens": 1000, **fields}
    )
    run = runs.new_run(home, recipe)
    with JournalWriter(run.journal) as journal:
        for event in events:
            journal.append(event)
    return run


def finished(bits_per_byte: float = 0.5) -> list[ev.Event]:
    return [
        ev.RunStarted("cuda:1", 1, 0.0),
        ev.TrainingPlanned(10, 1000, 1, 1, 64, student_parameters=400, teacher_parameters=1000),
        ev.StepLogged(10, 1000, 1e-3, 2.0, 1.0, 1.5, 1.0, 100.0, 10, 3.0),
        ev.EvaluationLogged(10, 1000, "student", {"bits_per_byte": bits_per_byte}),
        ev.EvaluationLogged(10, 1000, "teacher", {"bits_per_byte": 0.1}),
        ev.RunFinished({"tokens": 1000}),
    ]


# --- models -----------------------------------------------------------------------------------------------------------


def test_models_of_every_place_are_listed_once_and_broken_ones_with_the_reason(home: Home, tmp_path: Path) -> None:
    added = a_model(tmp_path / "my models" / "größer")
    (tmp_path / "my models" / "broken").mkdir()
    (tmp_path / "my models" / "broken" / "config.json").write_text("{")
    snapshot = a_model(tmp_path / "hub" / "models--an-organisation--a-model" / "snapshots" / "abc")
    out = tmp_path / "where I want it"
    run = a_run(home, *finished(), out=str(out))
    student = a_model(run.artifacts / "student")
    a_model(out)
    a_model(a_run(home, ev.RunStarted("cpu", 1, 0.0), out=str(tmp_path / "not yet")).path.parent / "elsewhere" / "m")
    with Library(home) as library:
        library.add_folder(tmp_path / "my models")
        library.add_folder(added)  # reached twice, listed once
        library.refresh_runs()
        library.refresh_models()
        entries = {entry.path: entry for entry in library.models()}
    assert list(entries) == [added.parent / "broken", added, student, out, snapshot]
    broken = entries.pop(added.parent / "broken")
    assert broken.info is None
    assert "config.json" in (broken.broken or "")
    assert entries[snapshot].name == "an-organisation/a-model"
    assert all(entry.info == inspect_model(entry.path) for entry in entries.values())


def test_a_student_that_is_being_written_is_not_listed_yet(home: Home) -> None:
    run = a_run(home, ev.RunStarted("cpu", 1, 0.0))
    student = a_model(run.artifacts / "student")
    with Library(home) as library:
        with FileLock(run.lock_file, is_singleton=False):
            library.refresh_models()
            assert library.models() == []
        library.refresh_models()
        assert [entry.path for entry in library.models()] == [student]


def test_the_built_in_family_is_at_hand(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = a_model(tmp_path / "sample" / "stories-1M")
    monkeypatch.setattr(library_module, "sample_models", lambda: [sample])
    with Library(home) as library:
        library.refresh_models()
        assert [entry.path for entry in library.models()] == [sample]


def test_an_unchanged_model_is_not_inspected_again(home: Home, tmp_path: Path, inspected: list[Path]) -> None:
    first, second = a_model(tmp_path / "m" / "first"), a_model(tmp_path / "m" / "second")
    with Library(home) as library:
        library.add_folder(tmp_path / "m")
        library.refresh_models()
        assert inspected == [first, second]
    with Library(home) as library:  # another program, later
        library.refresh_models()
        assert inspected == [first, second]
        (second / "config.json").write_text(json.dumps(CONFIG | {"model_type": "mistral"}))
        library.refresh_models()
        assert inspected == [first, second, second]
        assert [entry.info.model_type for entry in library.models() if entry.info] == ["llama", "mistral"]


def test_a_broken_model_that_was_mended_and_a_good_one_that_broke_are_noticed(home: Home, tmp_path: Path) -> None:
    model = a_model(tmp_path / "m")
    weights = (model / "model.safetensors").read_bytes()
    with Library(home) as library:
        library.add_folder(model)
        for content, broken in ((weights[:-10], True), (weights, False), (weights[:-10], True)):
            (model / "model.safetensors").write_bytes(content)
            library.refresh_models()
            (entry,) = library.models()
            assert (entry.broken is not None) is broken


@pytest.mark.skipif(sys.platform != "linux", reason="only there may a name be any bytes")
def test_a_folder_whose_name_is_no_text_is_listed_with_the_way_out_and_hides_no_other(
    home: Home, tmp_path: Path
) -> None:
    shelf = tmp_path / "models"
    good = a_model(shelf / "good")
    good.rename(Path(os.fsdecode(os.fsencode(shelf) + b"/caf\xe9")))
    a_model(good)
    with Library(home) as library:
        library.add_folder(shelf)
        library.refresh_models()
        found = {entry.name: entry.broken for entry in library.models()}
        library.refresh_models()  # nothing new
    assert found["good"] is None
    assert "not UTF-8. Rename it" in str(found["caf?"])


def test_a_removed_model_leaves_the_list(home: Home, tmp_path: Path) -> None:
    model = a_model(tmp_path / "m" / "one")
    with Library(home) as library:
        library.add_folder(model.parent)
        library.refresh_models()
        model.rename(tmp_path / "gone")
        library.refresh_models()
        assert library.models() == []
        assert library.model_folders() == [model.parent]


def test_added_folders_outlive_the_index_and_are_forgotten_when_told(home: Home, tmp_path: Path) -> None:
    model = a_model(tmp_path / "m")
    with Library(home) as library:
        library.add_folder(model)
        library.add_folder(model)
    home.library.unlink()
    with Library(home) as library:
        library.refresh_models()
        assert [entry.path for entry in library.models()] == [model]
        library.forget(model)
        library.refresh_models()
        assert library.models() == []
        assert model.is_dir()
        with pytest.raises(LibraryTrouble, match="was not added"):
            library.forget(model)


def test_a_folder_without_a_model_is_refused(home: Home, tmp_path: Path) -> None:
    with Library(home) as library:
        for folder in (tmp_path / "nowhere", tmp_path):
            with pytest.raises(BadModel, match=str(folder)):
                library.add_folder(folder)
        assert library.model_folders() == []


def test_a_broken_list_of_folders_is_named_and_kept(home: Home, tmp_path: Path) -> None:
    home.model_folders.write_text("[1, 2")
    with Library(home) as library:
        with pytest.raises(LibraryTrouble, match=r"models\.json"):
            library.refresh_models()
        with pytest.raises(LibraryTrouble, match=r"models\.json"):
            library.add_folder(a_model(tmp_path / "m"))
    assert home.model_folders.read_text() == "[1, 2"


def test_lineage_goes_up_to_the_teacher_that_nobody_here_made(home: Home, tmp_path: Path) -> None:
    run = a_run(home, *finished())
    assistant = a_model(
        tmp_path / "m" / "assistant",
        {"run": "a-discarded-run", "teacher": {"path": "/far/away/big-model", "parameters": 7_000_000_000}},
    )
    student = a_model(
        run.artifacts / "student",
        {"run": run.id, "teacher": {"path": str(assistant), "parameters": 1}, "scores": {"bits_per_byte": 0.5}},
    )
    with Library(home) as library:
        library.add_folder(assistant)
        library.refresh_runs()
        library.refresh_models()
        first, second, third = library.lineage(student)
    assert (first.run, first.run_known, first.scores) == (run.id, True, {"bits_per_byte": 0.5})
    assert (second.name, second.run, second.run_known, second.at_hand) == ("assistant", "a-discarded-run", False, True)
    assert second.parameters == inspect_model(assistant).parameters
    assert (third.name, third.parameters, third.at_hand, third.run) == ("big-model", 7_000_000_000, False, None)


def test_lineage_that_bites_its_tail_ends(home: Home, tmp_path: Path) -> None:
    one, two = tmp_path / "m" / "one", tmp_path / "m" / "two"
    a_model(one, {"run": "r", "teacher": {"path": str(two)}})
    a_model(two, {"run": "r", "teacher": {"path": str(one)}})
    with Library(home) as library:
        library.add_folder(one.parent)
        library.refresh_models()
        assert [link.name for link in library.lineage(one)] == ["one", "two"]


# --- runs -------------------------------------------------------------------------------------------------------------


def test_runs_are_summed_up(home: Home, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    run = a_run(home, *finished(), out=out, name="tonight")
    (run.artifacts / "student").mkdir()
    with Library(home) as library:
        library.refresh_runs()
        (summary,) = library.runs()
    assert summary == RunSummary(
        id=run.id,
        kind="distill",
        name="tonight",
        state="finished",
        created=summary.created,
        started=summary.started,
        updated=summary.updated,
        device="cuda:1",
        teacher="/models/big",
        student="0.4x",
        teacher_parameters=1000,
        student_parameters=400,
        step=10,
        steps=10,
        tokens=1000,
        share=1.0,
        last_loss=1.5,
        bits_per_byte=0.5,
        model=str(run.artifacts / "student"),
        out=out,
        size_bytes=run.size_bytes(),
        spark=summary.spark,
    )
    assert summary.spark[-1] == 1.5
    assert summary.created is not None
    assert summary.started is not None


def test_an_evaluation_is_a_run_too_and_an_unreadable_recipe_hides_none(home: Home) -> None:
    evaluation = runs.new_run(home, EvaluateRecipe(model="/m", data=("a.txt",)))
    with JournalWriter(evaluation.journal) as journal:
        journal.append(ev.RunStarted("cpu", 1, 0.0))
        journal.append(ev.RunFinished({"bits_per_byte": 0.75}))
    broken = a_run(home)
    broken.recipe_file.write_text("{")
    with Library(home) as library:
        library.refresh_runs()
        found = {run.id: run for run in library.runs()}
    assert (found[evaluation.id].kind, found[evaluation.id].bits_per_byte) == ("evaluate", 0.75)
    assert (found[broken.id].kind, found[broken.id].state) == ("unknown", "stopped")


def hand_written(run: RunFolder, **line: Any) -> None:
    with run.journal.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"seq": 50, "time": 1.0, **line}) + "\n")


def odd_runs(home: Home) -> list[RunFolder]:
    """Runs that hold, each in another place, what neither SQLite nor a sum can take."""
    failed = a_run(home, ev.RunStarted("cp\udce9", 1, 0.0), ev.PhaseEntered("\udce9"), ev.RunFailed("no file \udce9"))
    named, dated, place = a_run(home), a_run(home), a_run(home)
    named.meta_file.write_text('{"name": "\\ud800x", "tags": ["\\ud800"], "made_from": ["a"], "created": 1}')
    dated.meta_file.write_text(f'{{"created": {10**400}}}')
    place.queue_entry.write_text(f'{{"position": {10**400}}}')
    made = [failed, named, dated, place]
    planned = {"steps": 10, "tokens": 2**70, "micro_batch": 1, "accumulation": 1, "sequence_length": 8}
    step = dict.fromkeys(("lr", "ce", "kd", "total", "grad_norm", "tokens_per_second", "memory_bytes"))
    for line in (
        {"kind": "training_planned", "student_parameters": 2**64, **planned},
        {"kind": "training_planned", "student_parameters": 2**63 - 1, **planned, "tokens": 9},
        {"kind": "step_logged", "step": 2**63, "tokens": 1, "seconds": 1, **step},
        {"kind": "step_logged", "step": 1, "tokens": 1, "seconds": 10**400, **step},
        {"kind": "evaluation_logged", "step": 1, "tokens": 1, "subject": "student", "metrics": {"bits_per_byte": "x"}},
        {"kind": "evaluation_logged", "step": 1, "tokens": 1, "subject": "student", "metrics": {"bits_per_byte": [1]}},
        {"kind": "evaluation_logged", "step": 1, "tokens": 1, "subject": "student", "metrics": {"ce": 10**400}},
        {"kind": "run_finished", "results": {"bits_per_byte": 10**400}},
        {"kind": "run_finished", "results": {"bits_per_byte": math.inf}},
        {"kind": "phase_entered", "phase": "training", "time": 10**400},
        {"kind": "phase_progressed", "phase": "training", "share": math.nan},
    ):
        made.append(a_run(home, ev.RunStarted("cpu", 1, 0.0)))
        hand_written(made[-1], **line)
    return made


def test_odd_values_in_one_run_hide_no_other(home: Home) -> None:
    odd, good = odd_runs(home), a_run(home, *finished())
    with Library(home) as library:
        for _ in range(2):
            library.refresh_runs()
        found = {run.id: run for run in library.runs()}
    assert set(found) == {good.id, *(run.id for run in odd)}
    assert (found[good.id].state, found[good.id].bits_per_byte) == ("finished", 0.5)
    assert found[odd[0].id].failure == "no file ?"
    assert (found[odd[1].id].name, found[odd[1].id].tags) == ("?x", ("?",))


def test_a_run_that_cannot_be_understood_is_listed_with_the_reason_until_it_can(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, good = a_run(home, *finished()), a_run(home, *finished())
    history = RunFolder.history

    def misread(run: RunFolder) -> Any:
        return 1 / 0 if run.id == odd.id else history(run)

    with Library(home) as library:
        library.refresh_runs(history=misread)
        found = {run.id: run for run in library.runs()}
        assert found[good.id].state == "finished"
        assert found[odd.id].state == "failed"
        assert "division by zero" in str(found[odd.id].failure)
        library.refresh_runs()
        assert {run.state for run in library.runs()} == {"finished"}


@pytest.mark.skipif(sys.platform != "linux", reason="names there are bytes")
def test_a_folder_whose_name_is_no_text_is_left_out_by_name(home: Home) -> None:
    run = a_run(home, *finished())
    run.path.rename(os.fsdecode(os.fsencode(run.path.parent) + b"/caf\xe9"))
    with Library(home) as library:
        library.refresh_runs()
        assert library.runs() == []
        assert library.left_out == [str(home.runs / "caf?")]


def test_states_follow_lock_queue_and_journal_without_reading_it_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(home, ev.RunStarted("cpu", 1, 0.0))
    folded: list[RunFolder] = []
    history = RunFolder.history
    monkeypatch.setattr(RunFolder, "history", lambda run: folded.append(run) or history(run))

    def state(library: Library) -> str:
        library.refresh_runs()
        return library.runs()[0].state

    with Library(home) as library:
        assert state(library) == "crashed"
        with FileLock(run.lock_file, is_singleton=False):
            assert state(library) == "running"
            run.stop_request.write_text("keep")
            assert state(library) == "stopping"
        runs.enqueue(home, run)
        assert state(library) == "queued"
        runs.unqueue(run)
        assert len(folded) == 1
        with JournalWriter(run.journal) as journal:
            journal.append(ev.RunFailed("No."))
        assert state(library) == "failed"
        assert len(folded) == 2
        runs.discard(run)
        library.refresh_runs()
        assert library.runs() == []


# --- the file ---------------------------------------------------------------------------------------------------------


def test_rebuilding_gives_the_same_index(home: Home, tmp_path: Path) -> None:
    a_run(home, *finished())
    with Library(home) as library:
        library.add_folder(a_model(tmp_path / "m"))
        library.rebuild()
        before = library.runs(), library.models()
        assert all(before)
        library.rebuild()
        assert (library.runs(), library.models()) == before
    home.library.unlink()
    with Library(home) as library:
        library.rebuild()
        assert (library.runs(), library.models()) == before


def fill(home: Home, tmp_path: Path) -> None:
    a_run(home, *finished())
    with Library(home) as library:
        library.add_folder(a_model(tmp_path / "m"))
        library.rebuild()


@pytest.mark.parametrize("damage", ["not a database", "a page of zeros", "truncated"])
def test_a_damaged_index_is_set_aside_and_made_anew(home: Home, tmp_path: Path, damage: str) -> None:
    fill(home, tmp_path)
    content = home.library.read_bytes()
    damaged = {
        "not a database": b"Dear diary, " * 500,
        "a page of zeros": content[:4096] + bytes(4096) + content[8192:],
        "truncated": content[:5000],
    }[damage]
    home.library.write_bytes(damaged)
    with Library(home) as library:
        assert "damaged" in library.notice
        assert len(library.runs()) == len(library.models()) == 1
    (aside,) = home.root.glob("library.db.damaged-*")
    assert aside.read_bytes() == damaged
    with Library(home) as library:
        assert library.notice == ""


def test_the_index_of_a_newer_version_is_left_alone(home: Home, tmp_path: Path) -> None:
    fill(home, tmp_path)
    with sqlite3.connect(home.library) as connection:
        connection.execute("alter table runs rename to runs_as_we_know_them_now")
        connection.execute(f"pragma user_version = {LAYOUT.format + 1}")
    connection.close()
    before = home.library.read_bytes()
    with Library(home) as library:
        assert "newer version" in library.notice
        library.refresh_runs()
        library.refresh_models()
        assert len(library.runs()) == len(library.models()) == 1
    assert home.library.read_bytes() == before


def test_an_older_index_is_replaced_in_one_step(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(home.library) as connection:
        connection.execute("create table runs (something text)")
        connection.execute("create table left_over (something text)")
    connection.close()
    with monkeypatch.context() as patch:
        columns = {**LAYOUT.columns, "models": {"path": "no such type"}}
        patch.setattr(library_module, "LAYOUT", replace(LAYOUT, columns=columns))
        with pytest.raises(KeyError, match="no such type"):
            Library(home)
    with sqlite3.connect(home.library) as connection:  # nothing half made
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        assert tables == {"runs", "left_over"}
    connection.close()
    a_run(home, *finished())
    with Library(home) as library:
        library.refresh_runs()
        assert len(library.runs()) == 1


def test_an_index_that_cannot_be_opened_is_a_trouble(home: Home) -> None:
    home.library.mkdir()
    with pytest.raises(LibraryTrouble, match=r"library\.db"):
        Library(home)


PROGRAM = """
import sys
from pathlib import Path
from core import library
from core.home import Home
library.sample_models = list
home = Home(Path(sys.argv[1]))
for _ in range(3):
    with library.Library(home) as opened:
        opened.add_folder(Path(sys.argv[2]))
        opened.rebuild()
        opened.refresh_models()
        assert len(opened.runs()) == 3, opened.runs()
        assert not opened.notice, opened.notice
"""


def test_several_programs_use_one_library_at_once(home: Home, tmp_path: Path) -> None:
    for _ in range(3):
        a_run(home, *finished())
    models = [a_model(tmp_path / f"m{number}") for number in range(3)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    programs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(home.root), str(model)], env=environment)
        for model in models
    ]
    assert [program.wait(60) for program in programs] == [0, 0, 0]
    with Library(home) as library:
        library.refresh_models()
        assert sorted(library.model_folders()) == models
        assert sorted(entry.path for entry in library.models()) == models
        assert len(library.runs()) == 3


def test_importing_the_library_is_light() -> None:
    script = "import core.library, sys; sys.exit(bool({'sqlite_utils', 'torch', 'pandas'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
