"""Run folders: made whole or not at all, found, queued, reordered, stopped, resumed, discarded."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from core import events as ev
from core import runs
from core.errors import RunTrouble, Trouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.journal import JournalWriter
from core.runs import RunFolder
from core.state import State

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.find(tmp_path / "Mein Ordner 本")


def new(home: Home, name: str = "a name") -> RunFolder:
    return runs.new_run(home, EvaluateRecipe(model="/m", data=("a.txt",), name=name))


def tell(run: RunFolder, *events: ev.Event) -> None:
    with JournalWriter(run.journal) as journal:
        for event in events:
            journal.append(event)


def order(home: Home) -> list[str]:
    return [run.id for run in runs.queue(home)]


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Root may write everywhere, so be somebody else meanwhile."""
    if os.name == "nt":
        pytest.skip("permissions work in another way there")
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    if user == 0:
        os.seteuid(0)


# --- the data folder --------------------------------------------------------------------------------------------------


def test_the_data_folder_is_the_named_one_or_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLROOM_HOME", str(tmp_path / "of the environment"))
    assert Home.find().root == tmp_path / "of the environment"
    assert Home.find(tmp_path / "named").runs.is_dir()
    monkeypatch.chdir(tmp_path)
    assert Home.find("relative").root == tmp_path / "relative"


@pytest.mark.parametrize("inside", ["", "deeper/still", "runs"])
def test_a_data_folder_with_a_file_in_its_way_is_a_trouble(tmp_path: Path, inside: str) -> None:
    way = tmp_path / "home" / "runs" if inside == "runs" else tmp_path / "home"
    way.parent.mkdir(exist_ok=True)
    way.write_text("a file")
    root = tmp_path / "home" if inside == "runs" else tmp_path / "home" / inside
    with pytest.raises(Trouble, match="a file of that name is in the way"):
        Home.find(root)


def test_a_data_folder_that_may_not_be_made_or_written_is_a_trouble(tmp_path: Path, ordinary_user: None) -> None:
    with pytest.raises(Trouble, match="can't be made"):
        Home.find("/proc/stillroom" if Path("/proc").is_dir() else "/stillroom")


def test_a_read_only_data_folder_is_a_trouble(home: Home) -> None:
    if os.name == "nt":
        pytest.skip("permissions work in another way there")
    script = "import os, sys; from core.home import Home; from core.errors import Trouble\n"
    script += "if os.geteuid() == 0: os.chown(sys.argv[1], 65534, 65534); os.setuid(65534)\n"
    script += "os.chmod(sys.argv[1], 0o555)\n"
    script += "try: Home.find(sys.argv[1]); print('found')\n"
    script += "except Trouble as trouble: print(trouble)"
    root = Path("/tmp") / f"stillroom-test-{os.getpid()}"
    (root / "runs").mkdir(parents=True)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, str(root)], cwd=ROOT, capture_output=True, text=True, check=True
        )
    finally:
        root.chmod(0o755)
        (root / "runs").rmdir()
        root.rmdir()
    assert "can't be written to" in done.stdout


# --- making -----------------------------------------------------------------------------------------------------------


def test_a_new_run_holds_its_recipe_and_is_not_queued_yet(home: Home) -> None:
    recipe = EvaluateRecipe(model="/m", data=("ä.txt",), name="Größe & Form / v2")
    run = runs.new_run(home, recipe, made_from="another")
    assert run.recipe() == recipe
    assert run.meta()["name"] == recipe.name
    assert run.meta()["made_from"] == "another"
    assert run.checkpoints.is_dir()
    assert run.artifacts.is_dir()
    assert (run.state(), runs.queue(home)) == (State.STOPPED, [])
    assert run.id.isascii()
    assert "/" not in run.id


def test_runs_of_one_second_and_one_name_do_not_collide(home: Home) -> None:
    assert len({new(home).id for _ in range(20)}) == len(list(runs.all_runs(home))) == 20


def test_a_run_that_cannot_be_written_leaves_nothing_behind(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: object) -> None:
        if path.name == "recipe.json":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "write_json", full)
    with pytest.raises(RunTrouble, match="No space left"):
        new(home)
    assert list(home.runs.iterdir()) == []


def test_half_made_and_half_removed_folders_are_not_listed_and_tidied(home: Home) -> None:
    kept = new(home)
    for name in (".new-now", ".new-long-ago", ".gone-x", "ghost", "ghost-of-now"):
        (home.runs / name).mkdir()
    (home.runs / "ghost" / "engine.lock").touch()  # what a lock makes of a folder that was discarded
    for name in (".new-long-ago", "ghost"):
        os.utime(home.runs / name, (1000, 1000))
    os.utime(kept.path, (1000, 1000))
    assert [run.id for run in runs.all_runs(home)] == [kept.id]
    runs.tidy(home)
    assert {folder.name for folder in home.runs.iterdir()} == {kept.id, ".new-now", "ghost-of-now"}


def test_files_of_ours_are_as_open_as_the_user_wants_them(home: Home) -> None:
    if os.name == "nt":
        pytest.skip("permissions work in another way there")
    before = os.umask(0o027)
    try:
        assert new(home).recipe_file.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


# --- finding ----------------------------------------------------------------------------------------------------------


def test_a_run_is_found_by_id_beginning_end_name_or_as_the_last(home: Home) -> None:
    for name in ("20260101-first-aaaa", "20260102-second-bbbb", "20260103-third-aacc"):
        new(home, name=f"the {name[9:-5]}").path.rename(home.runs / name)
    for wanted in ("20260102-second-bbbb", "20260102", "bbbb", "the second"):
        assert runs.find_run(home, wanted).id == "20260102-second-bbbb"
    assert runs.find_run(home, "last").id == "20260103-third-aacc"
    with pytest.raises(RunTrouble, match="could be any of 20260101-first-aaaa"):
        runs.find_run(home, "2026")
    with pytest.raises(RunTrouble, match="There is no run nonsense"):
        runs.find_run(home, "nonsense")


def test_there_is_no_last_run_in_an_empty_data_folder(home: Home) -> None:
    with pytest.raises(RunTrouble, match="There is no run last"):
        runs.find_run(home, "last")


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_broken_files_of_one_run_hide_no_other(home: Home, content: str) -> None:
    broken, good = new(home), new(home)
    for file in (broken.recipe_file, broken.meta_file, broken.queue_entry):
        file.write_text(content)
    runs.enqueue(home, good)
    assert order(home) == [broken.id, good.id]
    assert broken.meta() == {}
    with pytest.raises(Trouble, match=broken.id):
        broken.recipe()
    assert runs.find_run(home, "a name").id == good.id


# --- the queue --------------------------------------------------------------------------------------------------------


def test_runs_wait_in_the_order_they_came_and_wait_once(home: Home) -> None:
    first, second, third = new(home), new(home), new(home)
    for run in (second, first, third, second):
        runs.enqueue(home, run)
    assert order(home) == [second.id, first.id, third.id]
    assert second.state() is State.QUEUED
    runs.unqueue(first)
    runs.unqueue(first)
    assert order(home) == [second.id, third.id]
    assert first.state() is State.STOPPED


def test_reordering_does_what_it_does_to_a_list(home: Home) -> None:
    waiting = [new(home) for _ in range(5)]
    for run in waiting:
        runs.enqueue(home, run)
    expected = order(home)
    dice = random.Random(0)
    for _ in range(60):
        run, place = dice.choice(waiting), dice.randint(-1, 6)
        runs.reorder(home, run, place)
        expected.remove(run.id)
        expected.insert(max(0, place), run.id)
        assert order(home) == expected


def test_a_run_can_be_moved_between_two_that_came_at_the_same_moment(home: Home) -> None:
    waiting = [new(home) for _ in range(3)]
    for run in waiting:
        run.queue_entry.write_text(json.dumps({"position": 1.0}))
    first, second, third = runs.queue(home)
    runs.reorder(home, third, 1)
    assert order(home) == [first.id, third.id, second.id]


def test_two_runs_can_be_swapped_for_ever(home: Home) -> None:
    front, one, two = (new(home) for _ in range(3))
    for run in (front, one, two):
        runs.enqueue(home, run)
    for _ in range(40):  # a place halfway between two is used up after about fifty swaps
        runs.reorder(home, two, 1)
        assert order(home) == [front.id, two.id, one.id]
        runs.reorder(home, one, 1)
        assert order(home) == [front.id, one.id, two.id]


def test_only_a_waiting_run_has_an_order(home: Home) -> None:
    with pytest.raises(RunTrouble, match="does not wait"):
        runs.reorder(home, new(home), 0)


def test_reordering_never_queues_a_run_that_has_just_started(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = new(home), new(home)
    for run in (first, second):
        runs.enqueue(home, run)
    seen = runs.queue(home)
    first.queue_entry.unlink()  # its engine took it after we looked
    monkeypatch.setattr(runs, "queue", lambda home: seen)
    runs.reorder(home, first, 1)
    assert not first.queue_entry.exists()


def test_a_living_run_is_not_queued(home: Home) -> None:
    run = new(home)
    with FileLock(run.lock_file, is_singleton=False):
        runs.enqueue(home, run)
    assert order(home) == []


# --- locks and states -------------------------------------------------------------------------------------------------


def test_two_who_look_at_a_free_lock_do_not_take_each_other_for_an_engine(home: Home) -> None:
    run = new(home)
    run.lock_file.touch()
    seen: set[bool] = set()

    def look() -> None:
        for _ in range(1500):
            seen.add(run.lock_held())

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join()
    assert seen == {False}


def test_a_look_leaves_no_lock_file_behind(home: Home) -> None:
    run = new(home)
    assert not run.lock_held()
    assert not run.lock_file.exists()
    assert not runs.is_locked(home.root / "nowhere" / "engine.lock")
    assert not (home.root / "nowhere").exists()


def test_an_engine_that_starts_between_two_looks_is_no_crash(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new(home)
    looks = iter([False, True])
    monkeypatch.setattr(RunFolder, "lock_held", lambda run: next(looks))
    tell(run, ev.RunStarted("cpu", 1, 0.0))
    assert run.state() is State.RUNNING


def test_states_follow_the_folder(home: Home) -> None:
    run = new(home)
    runs.enqueue(home, run)
    assert run.state() is State.QUEUED
    with FileLock(run.lock_file, is_singleton=False):
        assert run.state() is State.RUNNING
        tell(run, ev.RunStarted("cpu", 1, 0.0))
        runs.stop_and_keep(run)
        assert (run.state(), run.stop_wish()) == (State.STOPPING, runs.KEEP)
    assert run.state() is State.CRASHED
    tell(run, ev.RunStopped(3))
    assert run.state() is State.STOPPED
    old = run.history()
    tell(run, ev.RunStarted("cpu", 1, 0.0, resumed_from=3), ev.RunFinished())
    assert run.state() is State.FINISHED
    assert run.state(old) is State.STOPPED  # who gives a history gets the state of that moment


# --- stopping, resuming, discarding -----------------------------------------------------------------------------------


def test_stopping_a_waiting_run_takes_it_out_of_the_queue_and_asks_nobody(home: Home) -> None:
    run = new(home)
    runs.enqueue(home, run)
    runs.stop_and_keep(run)
    assert order(home) == []
    assert run.stop_wish() is None


def test_a_wish_to_discard_is_not_weakened_by_a_wish_to_keep(home: Home) -> None:
    run = new(home)
    with FileLock(run.lock_file, is_singleton=False):
        run.stop_request.write_text(runs.DISCARD)
        runs.stop_and_keep(run)
        assert run.stop_wish() == runs.DISCARD


@pytest.mark.parametrize("ending", [None, ev.RunStopped(1), ev.RunFailed("No.")])
def test_a_run_that_ended_before_its_time_is_resumed_without_the_old_request(
    home: Home, ending: ev.Event | None
) -> None:
    run = new(home)
    tell(run, ev.RunStarted("cpu", 1, 0.0), *([ending] if ending else []))
    run.stop_request.write_text(runs.KEEP)
    runs.resume(home, run)
    assert (order(home), run.stop_wish()) == ([run.id], None)


def test_a_finished_or_living_run_is_not_resumed(home: Home) -> None:
    run = new(home)
    tell(run, ev.RunFinished())
    with pytest.raises(RunTrouble, match="has finished"):
        runs.resume(home, run)
    with FileLock(run.lock_file, is_singleton=False), pytest.raises(RunTrouble, match="is running"):
        runs.resume(home, run)
    assert order(home) == []


def test_discarding_removes_everything(home: Home) -> None:
    run = new(home)
    (run.checkpoints / "5").mkdir()
    runs.enqueue(home, run)
    runs.discard(run)
    assert list(home.runs.iterdir()) == []
    runs.discard(run)  # somebody else was quicker


ENGINE = """
import os, sys, time
from pathlib import Path
import psutil
from filelock import FileLock
from core import events as ev
from core.journal import JournalWriter
from core.runs import RunFolder
run, how = RunFolder(Path(sys.argv[1])), sys.argv[2]
lock = FileLock(run.lock_file, is_singleton=False)
lock.acquire()
with JournalWriter(run.journal) as journal:
    me = psutil.Process()
    created = me.create_time() if how != "stranger" else 0.0
    journal.append(ev.RunStarted("cpu", me.pid, created))
    while how != "heeds" or run.stop_wish() is None:
        time.sleep(0.02)
    journal.append(ev.RunStopped(0))
"""


@pytest.fixture
def engine() -> Iterator[Callable[[RunFolder, str], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(run: RunFolder, how: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        started.append(subprocess.Popen([sys.executable, "-c", ENGINE, str(run.path), how], env=environment))
        deadline = time.monotonic() + 20
        while not run.history().engine and time.monotonic() < deadline:
            time.sleep(0.02)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_living_run_is_discarded_by_asking(home: Home, engine: Callable[..., subprocess.Popen[bytes]]) -> None:
    run = new(home)
    process = engine(run, "heeds")
    runs.discard(run)
    assert not run.path.exists()
    assert process.wait(10) == 0


def test_an_engine_that_heeds_no_request_is_ended(home: Home, engine: Callable[..., subprocess.Popen[bytes]]) -> None:
    run = new(home)
    process = engine(run, "deaf")
    runs.discard(run, patience_s=1.0)
    assert not run.path.exists()
    assert process.wait(10) != 0


def test_a_process_that_merely_has_the_number_of_an_engine_is_left_alone(
    home: Home, engine: Callable[..., subprocess.Popen[bytes]]
) -> None:
    run = new(home)
    process = engine(run, "stranger")
    with pytest.raises(RunTrouble, match="did not end"):
        runs.discard(run, patience_s=0.4)
    assert psutil.pid_exists(process.pid)
    assert process.poll() is None
    assert run.path.is_dir()


def test_an_engine_is_known_by_its_command_line_after_the_clock_was_set(home: Home) -> None:
    run = new(home)
    code = "import sys, time; from filelock import FileLock; lock = FileLock(sys.argv[1] + '/engine.lock'); "
    code += "lock.acquire(); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(run.path), "core.engine"])
    try:
        deadline = time.monotonic() + 20
        while not run.lock_held() and time.monotonic() < deadline:
            time.sleep(0.02)
        tell(run, ev.RunStarted("cpu", process.pid, psutil.Process(process.pid).create_time() + 86_400))
        runs.discard(run, patience_s=1.0)
        assert process.wait(10) != 0
    finally:
        process.kill()
        process.wait()


def test_a_run_without_permission_is_left_out_and_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = new(home), new(home)
    tell(good, ev.RunStarted("cpu", 1, 0.0))
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != bad.path and may(path, mode))
    assert [run.id for run in runs.all_runs(home)] == [good.id]
    assert runs.unreadable_runs(home) == [str(bad.path)]
    runs.tidy(home)
    assert bad.path.is_dir()


@pytest.mark.skipif(os.name == "nt", reason="permissions work in another way there")
def test_permissions_of_the_system_are_heeded() -> None:
    code = "import os, sys; from pathlib import Path; from core import runs; from core.home import Home; "
    code += "os.getuid() or os.setuid(65534); "  # root may read everything
    code += "print([run.id for run in runs.all_runs(Home(Path(sys.argv[1])))])"
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to others
        home = Home.find(folder)
        good, closed, half = new(home), new(home), new(home)
        home.root.chmod(0o755)
        tell(half, ev.RunStarted("cpu", 1, 0.0))
        half.journal.chmod(0)
        closed.path.chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", code, folder], cwd=ROOT, capture_output=True, text=True, check=False
        )
        closed.path.chmod(0o755)
    assert done.stdout.strip() == str([good.id]), done.stderr
