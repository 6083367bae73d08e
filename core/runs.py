"""Run folders: the truth about what was asked and what happened. Making, finding, queueing, stopping and removing them.

    runs/<id>/  recipe.json  events.jsonl  engine.lock  engine.log  queued.json  stop  checkpoints/  artifacts/

`queued.json` is the queue: its presence asks the runner to start (or resume) the run, its `position` is the order. It
goes away only after the engine has said that it started, so a killed runner or machine loses no place in the queue.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

import core.adapters
import core.cache
import core.chain
import core.distill
import core.evaluate
import core.export
import core.fetch
import core.judge
import core.measure
import core.merge.run
import core.prepare
import core.survey
import core.sweep
import core.tune
import core.write
from core.errors import RunTrouble
from core.files import read_json, sync_folder, write_json, write_text
from core.home import Home
from core.journal import JournalReader
from core.recipe import Recipe, parse_recipe
from core.state import History, State, fold, state_of

if sys.platform != "win32":
    import fcntl

KEEP, DISCARD = "keep", "discard"
RECIPE_KINDS = (
    core.distill.DistillRecipe,
    core.chain.ChainRecipe,
    core.cache.CacheRecipe,
    core.evaluate.EvaluateRecipe,
    core.judge.JudgeRecipe,
    core.measure.MeasureRecipe,
    core.merge.run.MergeRecipe,
    core.sweep.SweepRecipe,
    core.write.WriteRecipe,
    core.survey.SurveyRecipe,
    core.prepare.PrepareRecipe,
    core.fetch.FetchRecipe,
    core.export.ExportRecipe,
    core.tune.TuneRecipe,
    core.adapters.MergeAdapterRecipe,
)


class RunFolder:
    """One run on disk. Holds no state of its own beside the path: every answer is read from the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe_file = path / "recipe.json"
        self.journal = path / "events.jsonl"
        self.lock_file = path / "engine.lock"
        self.log = path / "engine.log"
        self.queue_entry = path / "queued.json"
        self.stop_request = path / "stop"
        self.meta_file = path / "meta.json"
        self.checkpoints = path / "checkpoints"
        self.artifacts = path / "artifacts"

    @property
    def home(self) -> Home:
        """The data folder that the run lies in."""
        return Home(self.path.parents[1])

    @property
    def id(self) -> str:
        return self.path.name

    def recipe(self) -> Recipe:
        try:
            raw = read_json(self.recipe_file)
        except (OSError, ValueError) as error:
            raise RunTrouble(
                f"The recipe of run {self.id} can't be read: {error}.", "Its other files are untouched."
            ) from error
        return parse_recipe(raw, str(self.recipe_file))

    def meta(self) -> dict[str, Any]:
        """What the user or another run said about this one: `name`, `tags`, `made_from`."""
        try:
            meta = read_json(self.meta_file)
        except (OSError, ValueError):
            return {}
        return meta if isinstance(meta, dict) else {}

    def history(self) -> History:
        return fold(JournalReader(self.journal).poll())

    def lock_held(self) -> bool:
        """True while an engine works on the run; nothing else is a sign of life."""
        return is_locked(self.lock_file)

    def state(self, history: History | None = None) -> State:
        # The lock is looked at first: an engine that ends between the looks has then said its last word already.
        held = self.lock_held()
        queued, stop = self.queue_entry.exists(), self.stop_request.exists()
        said = (history or self.history()).said if not held else None
        if not held and history is not None and said is State.RUNNING:
            said = self.history().said
        state = state_of(said, lock_held=held, queued=queued, stop_requested=stop)
        if state.ended and self.lock_held():  # and one that started between them holds the lock now
            return State.STOPPING if self.stop_request.exists() else State.RUNNING
        return state

    def stop_wish(self) -> str | None:
        """KEEP or DISCARD if the engine is asked to end."""
        try:
            return DISCARD if self.stop_request.read_text(encoding="utf-8").strip() == DISCARD else KEEP
        except FileNotFoundError:
            return None

    def position(self) -> float | None:
        try:
            return float(read_json(self.queue_entry)["position"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return 0.0

    def size_bytes(self) -> int:
        """What the folder takes on disk. Files that vanish meanwhile (old checkpoints) count nothing."""
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    total += os.lstat(f"{folder}/{name}").st_size
        return total


def is_locked(lock_file: Path) -> bool:
    """Whether a living process holds the lock. The look takes it for a moment when it is free.

    Two looks at once must not take each other for an engine: where the system shares locks, a look is a shared one;
    elsewhere it waits for a moment.
    """
    if sys.platform == "win32":
        return lock_file.exists() and not _could_take(lock_file, timeout_s=0.1)
    try:
        descriptor = os.open(lock_file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK):
            return True
        raise
    finally:
        os.close(descriptor)
    return False


def _could_take(lock_file: Path, timeout_s: float) -> bool:
    try:
        with FileLock(lock_file, timeout=timeout_s, poll_interval=0.01, is_singleton=False):
            return True
    except Timeout:
        return False


def new_run(home: Home, recipe: Recipe, made_from: str | None = None) -> RunFolder:
    """Write a run folder for a checked recipe; whole or not at all. It is not queued yet."""
    slug = re.sub(r"[^a-z0-9.]+", "-", recipe.title().lower()).strip("-.")[:40].rstrip("-.") or recipe.kind
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{slug}-{secrets.token_hex(2)}"
    beside = home.runs / f".new-{name}"
    try:
        beside.mkdir()
        folder = RunFolder(beside)
        folder.checkpoints.mkdir()
        folder.artifacts.mkdir()
        write_json(
            folder.meta_file, {"name": recipe.title(), "tags": [], "made_from": made_from, "created": time.time()}
        )
        write_json(folder.recipe_file, recipe.model_dump(mode="json"))
        beside.rename(home.runs / name)
        sync_folder(home.runs)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise RunTrouble(
            f"A run folder can't be written in {home.runs}: {error.strerror}.",
            "Free some space or choose another data folder.",
        ) from error
    return RunFolder(home.runs / name)


def all_runs(home: Home) -> Iterator[RunFolder]:
    """Every run folder that can be read, oldest first. Those half made or being removed begin with a dot: left out."""
    try:
        with os.scandir(home.runs) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except FileNotFoundError:
        return
    for name in names:
        run = RunFolder(home.runs / name)
        if not _is_ghost(run) and unreadable(run) is None:
            yield run


def unreadable_runs(home: Home) -> list[str]:
    """The files and folders that keep runs out of `all_runs`, for want of permission."""
    with os.scandir(home.runs) as entries:
        folders = sorted(entry.path for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    return [str(found) for folder in folders if (found := unreadable(RunFolder(Path(folder)))) is not None]


def unreadable(run: RunFolder) -> Path | None:
    """The folder or file of the run that this user may not read, if there is one."""
    if not os.access(run.path, os.R_OK | os.X_OK):
        return run.path if run.path.exists() else None
    for file in (run.journal, run.recipe_file, run.lock_file):
        # the second look tells one that was made just now from one that can't be read
        if not os.access(file, os.R_OK) and file.exists() and not os.access(file, os.R_OK):
            return file
    return None


def _is_ghost(run: RunFolder) -> bool:
    """A folder that a lock made anew after the run was discarded: an engine on its way found no run any more."""
    try:
        return not run.recipe_file.exists() and not run.journal.exists()
    except OSError:  # nobody knows what is in a folder that can't be read
        return False


def find_run(home: Home, wanted: str) -> RunFolder:
    """The run of this id, of an id that ends or begins so, of this name, or the newest for `last`."""
    runs = list(all_runs(home))
    if wanted == "last" and runs:
        return runs[-1]
    exact = [run for run in runs if run.id == wanted]
    matches = exact or [run for run in runs if run.id.startswith(wanted) or run.id.endswith(wanted)]
    matches = matches or [run for run in runs if run.meta().get("name") == wanted]
    if not matches:
        raise RunTrouble(f"There is no run {wanted} in {home.runs}.", "`stillroom runs` lists them.")
    if len(matches) > 1:
        raise RunTrouble(
            f"{wanted} could be any of {', '.join(run.id for run in matches[:5])}.", "Write more of the id."
        )
    return matches[0]


def queue(home: Home) -> list[RunFolder]:
    """Runs that wait, in the order in which they will start."""
    waiting = [(run.position(), run.id, run) for run in all_runs(home)]
    return [run for position, _, run in sorted((p, i, r) for p, i, r in waiting if p is not None)]


def enqueue(home: Home, run: RunFolder) -> None:
    """Put the run at the end of the queue. A run that is alive, or waits already, is left as it is."""
    if run.lock_held() or run.queue_entry.exists():
        return
    run.stop_request.unlink(missing_ok=True)
    last = max((other.position() or 0.0 for other in queue(home)), default=0.0)
    _write_entry(run, last + 1.0)


def _write_entry(run: RunFolder, position: float) -> None:
    try:
        write_json(run.queue_entry, {"position": position})
    except OSError as error:
        raise RunTrouble(
            f"Run {run.id} can't be queued: {error.strerror}.", "Free some space, or change the permissions."
        ) from error


def unqueue(run: RunFolder) -> None:
    run.queue_entry.unlink(missing_ok=True)


def reorder(home: Home, run: RunFolder, place: int) -> None:
    """Move a waiting run to `place` (0 is next) in the queue."""
    waiting = queue(home)
    others = [other for other in waiting if other.id != run.id]
    if len(others) == len(waiting):
        raise RunTrouble(f"Run {run.id} does not wait in the queue.", "Only waiting runs have an order.")
    place = max(0, min(place, len(others)))
    before = (others[place - 1].position() or 0.0) if place > 0 else None
    after = (others[place].position() or 0.0) if place < len(others) else None
    low = before if before is not None else (after or 0.0) - 2.0
    high = after if after is not None else low + 2.0
    middle = (low + high) / 2
    if low < middle < high:
        _move(run, middle)
        return
    for number, other in enumerate([*others[:place], run, *others[place:]], 1):  # no room between the two
        _move(other, float(number))


def _move(run: RunFolder, position: float) -> None:
    """Change the entry of a run that still waits. Under its lock, for an engine that starts takes its entry away."""
    try:
        with FileLock(run.lock_file, timeout=0.2, is_singleton=False):
            if run.queue_entry.exists():
                _write_entry(run, position)
    except Timeout:
        return  # it starts just now, and has no place any more


def stop_and_keep(run: RunFolder) -> None:
    """Ask a living run to save a checkpoint and end; take a waiting one out of the queue."""
    unqueue(run)
    if run.lock_held() and run.stop_wish() is None:
        write_text(run.stop_request, KEEP)


def resume(home: Home, run: RunFolder) -> None:
    """Queue a run that ended before its time; refuses one that finished or is alive."""
    state = run.state()
    if state is State.FINISHED:
        raise RunTrouble(
            f"Run {run.id} has finished; there is nothing to resume.",
            "`stillroom distill --recipe` starts another like it.",
        )
    if state.alive:
        raise RunTrouble(f"Run {run.id} is {state}; it can't be resumed now.", "Wait until it has stopped.")
    enqueue(home, run)


def discard(run: RunFolder, patience_s: float = 20.0, *, spare_finished: bool = False) -> bool:
    """End the run at once, if it lives, and remove its folder with checkpoints and artifacts. This can't be undone.

    False if it had finished before the wish reached it, and was to be spared then.
    """
    unqueue(run)
    if run.lock_held():
        with contextlib.suppress(OSError):  # a full disk: then the process is ended without a word
            write_text(run.stop_request, DISCARD)
            _wait_until_free(run, patience_s / 2)
    if run.lock_held():
        _end_process(run)
        _wait_until_free(run, patience_s / 2)
    if run.lock_held():
        raise RunTrouble(
            f"Run {run.id} did not end within {patience_s:.0f} s.", "Try again, or end its process by hand."
        )
    if spare_finished and run.history().said is State.FINISHED:
        run.stop_request.unlink(missing_ok=True)
        return False
    remove_folder(run)
    return True


def remove_folder(run: RunFolder) -> None:
    """Rename out of sight first, so that a half-removed run is never listed."""
    hidden = run.path.with_name(f".gone-{run.path.name}")
    try:
        run.path.rename(hidden)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunTrouble(f"Run {run.id} can't be removed: {error.strerror}.") from error
    shutil.rmtree(hidden, ignore_errors=True)


def tidy(home: Home) -> None:
    """Finish removals and drop half-made folders that a killed program left behind, once they are an hour old."""
    with os.scandir(home.runs) as entries:
        folders = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for folder in folders:
        try:
            stale = time.time() - folder.stat().st_mtime > 3600
        except FileNotFoundError:  # somebody else tidies, too
            continue
        left = folder.name.startswith(".new-") or (folder.name[0] != "." and _is_ghost(RunFolder(folder)))
        if folder.name.startswith(".gone-") or (left and stale):
            shutil.rmtree(folder, ignore_errors=True)


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe file that the window and the command line both open."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(recipe.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise RunTrouble(f"The recipe can't be written to {path}: {error.strerror}.") from error


def _wait_until_free(run: RunFolder, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while run.lock_held() and time.monotonic() < deadline:
        time.sleep(0.05)


def _end_process(run: RunFolder) -> None:
    """End the engine that said it works on this run; a process that merely has its number is left alone."""
    engine = run.history().engine
    if engine is None:
        return
    try:
        process = psutil.Process(engine.pid)
        # a clock that was set meanwhile moves the creation times of all processes, but not what they were called with
        called = process.cmdline()
        ours = "core.engine" in called and str(run.path.absolute()) in called
        if ours or abs(process.create_time() - engine.pid_created) < 2.0:
            for one in [*process.children(recursive=True), process]:
                one.kill()
    except psutil.Error:
        return
