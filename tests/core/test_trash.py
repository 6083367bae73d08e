"""What is thrown away comes back whole until the trash is emptied; what is alive can't be thrown away."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from core import labels, trash
from core.distill import DistillRecipe
from core.errors import RunTrouble
from core.events import RunFinished
from core.files import write_json
from core.home import Home
from core.journal import JournalWriter
from core.runs import RunFolder, all_runs, discard, enqueue, new_run, queue


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    return made


def a_run(home: Home, name: str = "one") -> RunFolder:
    return new_run(home, DistillRecipe(name=name, student="0.4x", init="scratch", data=("text.txt",), tokens=1000))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_run_thrown_away_comes_back_as_it_was(home: Home) -> None:
    run = a_run(home)
    run.lock_file.touch()
    (run.checkpoints / "10").write_text("weights")
    before = files_of(run.path)
    thrown = trash.throw_away(home, run)
    assert list(all_runs(home)) == []
    assert [one.id for one in trash.contents(home)] == [run.id]
    assert trash.bring_back(home, thrown).id == run.id
    assert files_of(run.path) == before
    assert trash.contents(home) == []


def test_a_waiting_run_leaves_the_queue_and_undo_gives_it_its_place_again(home: Home) -> None:
    runs = [a_run(home, name) for name in ("one", "two", "three")]
    for run in runs:
        enqueue(home, run)
    thrown = trash.throw_away(home, runs[1])
    assert [run.id for run in queue(home)] == [runs[0].id, runs[2].id]
    trash.bring_back(home, thrown)
    assert [run.id for run in queue(home)] == [run.id for run in runs]


def test_a_run_found_in_the_trash_later_comes_back_to_its_place(home: Home) -> None:
    runs = [a_run(home, name) for name in ("one", "two")]
    for run in runs:
        enqueue(home, run)
    trash.throw_away(home, runs[0])
    trash.bring_back(home, trash.contents(home)[0])
    assert [run.id for run in queue(home)] == [run.id for run in runs]
    assert not (runs[0].path / trash.NOTE).exists()


def test_a_run_that_cannot_be_moved_keeps_its_place_in_the_queue(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(home)
    enqueue(home, run)

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        with pytest.raises(RunTrouble, match="another disk"):
            trash.throw_away(home, run)
    assert [one.id for one in queue(home)] == [run.id]
    assert not (run.path / trash.NOTE).exists()
    thrown = trash.throw_away(home, run)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        with pytest.raises(RunTrouble, match="It stays in"):
            trash.bring_back(home, thrown)
    assert [run.id for run in (trash.bring_back(home, one) for one in trash.contents(home))] == [run.id]
    assert [one.id for one in queue(home)] == [run.id]


def test_a_run_that_is_alive_stays(home: Home) -> None:
    run = a_run(home)
    enqueue(home, run)
    with FileLock(run.lock_file, is_singleton=False), pytest.raises(RunTrouble, match="is alive"):
        trash.throw_away(home, run)
    assert [one.id for one in queue(home)] == [run.id]


def test_emptying_leaves_what_was_thrown_away_of_late(home: Home) -> None:
    old, young = a_run(home, "old"), a_run(home, "young")
    (old.artifacts / "student").write_bytes(b"x" * 1000)
    thrown = trash.throw_away(home, old)
    write_json(thrown.folder / trash.NOTE, {"at": time.time() - 2 * trash.KEPT_S})
    trash.throw_away(home, young)
    assert trash.size_bytes(home) > 1000
    assert trash.empty(home, trash.KEPT_S) >= 1000
    assert [one.id for one in trash.contents(home)] == [young.id]
    trash.empty(home)
    assert trash.contents(home) == []
    with pytest.raises(RunTrouble, match="any more"):
        trash.bring_back(home, thrown)


def test_a_note_that_cannot_be_read_does_not_make_a_run_old(home: Home) -> None:
    thrown = trash.throw_away(home, a_run(home))
    for note in ("nonsense", "[]", '{"at": NaN, "position": "x"}', '{"at": 1' + "0" * 400 + "}"):
        (thrown.folder / trash.NOTE).write_text(note)
        assert trash.empty(home, 60.0) == 0
        assert [(one.id, one.position) for one in trash.contents(home)] == [(thrown.id, None)]


def test_a_second_run_of_the_same_id_neither_replaces_nor_loses_the_first(home: Home) -> None:
    run = a_run(home)
    first = trash.throw_away(home, run)
    run.path.mkdir()
    write_json(run.recipe_file, {})
    second = trash.throw_away(home, run)
    assert {one.folder for one in trash.contents(home)} == {first.folder, second.folder}
    trash.bring_back(home, first)
    with pytest.raises(RunTrouble, match="there is a run of that id"):
        trash.bring_back(home, second)


def test_without_a_trash_there_is_nothing_to_empty(home: Home) -> None:
    assert trash.empty(home) == 0
    assert trash.size_bytes(home) == 0
    with pytest.raises(RunTrouble, match="is gone"):
        trash.throw_away(home, RunFolder(home.runs / "nobody"))


def test_names_and_tags_are_kept_beside_the_recipe(home: Home) -> None:
    run = a_run(home)
    recipe = run.recipe_file.read_bytes()
    labels.rename(run, "  the\n good one ")
    labels.retag(run, ["night", "best, so far", "night", " "])
    assert run.meta()["name"] == "the good one"
    assert run.meta()["tags"] == ["night", "best so far"]
    assert run.meta()["created"]
    assert run.recipe_file.read_bytes() == recipe
    with pytest.raises(RunTrouble, match="needs a name"):
        labels.rename(run, " ")


@pytest.mark.parametrize("broken", ["{", "[1]"])
def test_a_label_is_not_written_over_what_cannot_be_read(home: Home, broken: str) -> None:
    run = a_run(home)
    run.meta_file.write_text(broken)
    with pytest.raises(RunTrouble, match="can't be read"):
        labels.rename(run, "new")
    assert run.meta_file.read_text() == broken


def test_two_that_write_labels_at_once_lose_none(home: Home) -> None:
    run = a_run(home)
    both = [
        threading.Thread(target=lambda: [labels.rename(run, f"name {n}") for n in range(10)]),
        threading.Thread(target=lambda: [labels.retag(run, [f"tag {n}"]) for n in range(10)]),
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert (run.meta()["name"], run.meta()["tags"]) == ("name 9", ["tag 9"])


def test_discarding_spares_a_run_that_had_finished_before_the_wish_reached_it(home: Home) -> None:
    run = a_run(home)
    with JournalWriter(run.journal) as journal:
        journal.append(RunFinished({}))
    assert not discard(run, spare_finished=True)
    assert run.path.is_dir()
    assert discard(run)
    assert not run.path.exists()
