"""The live picture: one thread tails the journals that are on screen and keeps the list of runs, and tells the window.

The run folder is the truth; nothing here is sent by the engine. A journal is read and folded piece by piece, each line
once; its curves grow in arrays that are handed out as views and never changed under the reader.
"""

from __future__ import annotations

import copy
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from core import events as ev
from core.errors import Trouble
from core.home import Home
from core.journal import JournalReader
from core.runs import RunFolder, unreadable_runs
from core.state import History, State, state_of
from desktop_app.work import courier

if TYPE_CHECKING:
    import numpy as np

    from core.library import Library
    from core.run_summary import RunSummary

    Array = np.ndarray[Any, np.dtype[np.float64]]

TICK_S = 0.1  # between two looks at the journals on screen
LIST_S = 1.0  # between two looks at all run folders
PIECE_BYTES = 32_768  # of a journal at a time, so that the window's thread gets its turns
KEPT_STEPS = 64  # points that the fold itself keeps, for pace and progress; the curves hold all

TRAIN = ("lr", "ce", "kd", "total", "grad_norm", "tokens_per_second", "memory_bytes")
AXES = ("step", "tokens", "seconds")
GENERATED = "generated"
MOST_PARTS = 16  # series beside these that a journal may bring; one that was edited by hand could name any number


@dataclass(frozen=True)
class EvaluationCurve:
    """Held-out figures of one subject over its training; NaN where one is absent."""

    step: Array
    tokens: Array
    seconds: Array
    flops: Array | None
    metrics: dict[str, Array]


@dataclass(frozen=True)
class Border:
    """Where a chain came to its `number`-th link: from `step` on, losses are those of another student."""

    step: int
    number: int
    count: int
    name: str


@dataclass(frozen=True)
class Curves:
    """All points of a run, in order. x axes: optimizer steps, training positions, seconds of training, FLOPs.

    `train` has TRAIN, and of runs that have them the further parts of the loss (hidden, relations), balance and generated.
    """

    step: Array
    tokens: Array
    seconds: Array
    flops: Array | None
    train: dict[str, Array]
    evaluations: dict[str, EvaluationCurve]
    resumed_at: tuple[int, ...]
    checkpoints: tuple[int, ...]
    borders: tuple[Border, ...] = ()

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True)
class Picture:
    """A run at one moment. `behind` is True while an old journal is still being read.

    `bad_lines` are no events at all (edited by hand), `unknown_lines` events of a kind or form this version doesn't know.
    """

    run: str
    state: State
    history: History
    curves: Curves
    bad_lines: int = 0
    behind: bool = False
    unknown_lines: int = 0


class Points:
    """Rows of numbers that grow at the end. What `columns` hands out stays as it is for ever."""

    def __init__(self, names: Sequence[str]) -> None:
        import numpy as np

        self._np = np
        self.names = tuple(names)
        self._data = np.empty((len(self.names), 256))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: Sequence[float | None]) -> None:
        if self._count == self._data.shape[1]:
            larger = self._np.empty((len(self.names), 2 * self._count))
            larger[:, : self._count] = self._data
            self._data = larger
        self._data[:, self._count] = [float("nan") if value is None else value for value in row]
        self._count += 1

    def widen(self, name: str) -> None:
        """One column more, without a value in the rows so far."""
        wider = self._np.full((len(self.names) + 1, self._data.shape[1]), float("nan"))
        wider[:-1] = self._data
        self._data, self.names = wider, (*self.names, name)

    def cut_after(self, step: float) -> None:
        """Drop the rows whose first column is larger. Views that were handed out keep them."""
        kept = int(self._np.searchsorted(self._data[0, : self._count], step, side="right"))
        if kept < self._count:
            data = self._np.empty((len(self.names), max(256, 2 * kept)))
            data[:, :kept] = self._data[:, :kept]
            self._data, self._count = data, kept

    def columns(self) -> dict[str, Array]:
        return {name: self._data[at, : self._count] for at, name in enumerate(self.names)}

    def row(self, at: int) -> list[float]:
        return [float(value) for value in self._data[:, at]]


@dataclass
class CurveHistory(History):
    """The fold of a journal whose points go into arrays; `steps` keeps only the newest of them."""

    points: Points = field(default_factory=lambda: Points((*AXES, *TRAIN)))
    resumed_at: list[int] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)
    unknown_lines: int = 0

    def take(self, event: ev.Event) -> None:
        if isinstance(event, ev.StepLogged):
            self.updated_at = event.time
            self.points.append(self._row(event))
            self.steps.append(event)
            if len(self.steps) > 2 * KEPT_STEPS:
                del self.steps[:-KEPT_STEPS]
            return
        super().take(event)
        if isinstance(event, ev.UnknownEvent):
            self.unknown_lines += 1
        elif isinstance(event, ev.CheckpointSaved):
            self.checkpoints.append(event.step)
        elif isinstance(event, ev.RunStarted) and self.attempts > 1:
            keep = -1 if event.resumed_from is None else event.resumed_from
            self.points.cut_after(keep)
            self.checkpoints = [step for step in self.checkpoints if step <= keep]
            self.resumed_at = [*(step for step in self.resumed_at if step <= keep), max(0, keep)]
            first = max(0, len(self.points) - KEPT_STEPS)
            self.steps = [self._logged(at) for at in range(first, len(self.points))]

    def _row(self, event: ev.StepLogged) -> list[float | None]:
        """The event's values in the order of the columns; a part that comes for the first time gets a column of its own."""
        further = dict(event.parts)
        if event.generated is not None:
            further[GENERATED] = event.generated
        for name in [name for name in further if name not in self.points.names]:
            if len(self.points.names) < len(AXES) + len(TRAIN) + MOST_PARTS:
                self.points.widen(name)
        usual = [getattr(event, name) for name in (*AXES, *TRAIN)]
        return usual + [further.get(name) for name in self.points.names[len(usual) :]]

    def _logged(self, at: int) -> ev.StepLogged:
        raw = dict(zip(self.points.names, self.points.row(at), strict=True))
        told = {name: None if value != value else value for name, value in raw.items()}  # NaN is no number
        usual = {name: told.pop(name) for name in (*AXES, *TRAIN)}
        whole = {name: int(raw[name]) for name in ("step", "tokens")}
        generated = told.pop(GENERATED, None)
        return ev.StepLogged(**{**usual, **whole}, parts=told, generated=generated)  # type: ignore[arg-type]

    def totals(self) -> Sequence[float | None]:
        return self.points.columns()["total"]  # type: ignore[return-value]

    def snapshot(self) -> History:
        """The fold as it is now, without the points."""
        now = History(**{name: copy.copy(getattr(self, name)) for name in History.__dataclass_fields__})
        now.steps = self.steps[-KEPT_STEPS:]
        return now

    def curves(self) -> Curves:
        columns = self.points.columns()
        each = self.plan.flops_per_token if self.plan else None
        return Curves(
            step=columns["step"],
            tokens=columns["tokens"],
            seconds=columns["seconds"],
            flops=None if each is None else columns["tokens"] * each,
            train={name: column for name, column in columns.items() if name not in AXES},
            evaluations=self._evaluation_curves(columns, each),
            resumed_at=tuple(self.resumed_at),
            checkpoints=tuple(self.checkpoints),
            borders=tuple(Border(link.step, link.number, link.count, link.name) for link in self.links),
        )

    def _evaluation_curves(self, columns: dict[str, Array], flops_each: float | None) -> dict[str, EvaluationCurve]:
        import numpy as np

        found = {}
        for subject in dict.fromkeys(point.subject for point in self.evaluations):
            points = [point for point in self.evaluations if point.subject == subject]
            step, tokens = (np.array([getattr(p, name) for p in points], dtype=float) for name in ("step", "tokens"))
            seconds = np.interp(step, columns["step"], columns["seconds"]) if len(self.points) else np.zeros(len(step))
            names = dict.fromkeys(name for point in points for name in point.metrics)
            metrics = {name: np.array([_number(p.metrics.get(name)) for p in points]) for name in names}
            flops = None if flops_each is None else tokens * flops_each
            found[subject] = EvaluationCurve(step, tokens, seconds, flops, metrics)
        return found


class LiveRuns(QObject):
    """The runs of one data folder, kept up to date by a thread of its own.

    `rows` are the summaries of all runs, oldest first; `pictures` hold the runs that somebody watches.
    """

    listed = Signal(object)  # list[RunSummary]
    advanced = Signal(str, object)  # run id, Picture
    troubled = Signal(str)  # why the data folder can't be read; empty once it can again

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.home = home
        self.rows: list[RunSummary] = []
        self.pictures: dict[str, Picture] = {}
        self.loaded = False
        self.notice = ""  # that a newer program wrote the library, say, or that a run is left out
        self._wishes: dict[int, tuple[str, ...]] = {}
        self._watched: frozenset[str] = frozenset()
        self._unseen: set[str] = set()  # newly watched: to be told even where nothing has changed
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._look = threading.Event()
        self._lock = threading.Lock()
        self._news: list[tuple[Callable[[Any], None], Any]] = []
        self._courier = courier()

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=_Follower(self).work, name="live runs", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._look.set()
        if self._thread is not None:
            self._thread.join(0.2)  # it may be waiting for the disk, and is a daemon: the index can be made again
            self._thread = None

    def watch(self, owner: QObject, runs: Iterable[str]) -> None:
        """What `owner` has on screen from now on, in place of what it had."""
        self._wishes[id(owner)] = tuple(runs)
        before = self._watched
        self._watched = frozenset(run for wish in self._wishes.values() for run in wish)
        with self._lock:
            self._unseen = (self._unseen | (self._watched - before)) & self._watched
        for run in self.pictures.keys() - self._watched:
            del self.pictures[run]
        self._look.set()

    def look(self) -> None:
        """Look at all run folders at once, as after an action of the user."""
        self._look.set()

    def row(self, run: str) -> RunSummary | None:
        return next((row for row in self.rows if row.id == run), None)

    def is_unseen(self, run: str) -> bool:
        """Whether somebody newly watches the run; asked once by the thread, which then tells it whole."""
        with self._lock:
            unseen = run in self._unseen
            self._unseen.discard(run)
        return unseen

    # --- from the thread to the window: only the newest of each kind is kept until the window finds the time

    def tell(self, what: Callable[[Any], None], value: Any, key: str = "") -> None:
        """Called by the thread: have `what(value)` called in the window's."""
        with self._lock:
            name = (getattr(what, "__name__", ""), key)
            self._news = [one for one in self._news if (getattr(one[0], "__name__", ""), _key(one[1])) != name]
            self._news.append((what, value))
            first = len(self._news) == 1
        if first:
            self._courier.called.emit(self._hear)

    def _hear(self) -> None:
        with self._lock:
            news, self._news = self._news, []
        if not isValid(self):  # its window went meanwhile
            return
        for what, value in news:
            what(value)

    def take_rows(self, found: tuple[list[RunSummary], str]) -> None:
        self.rows, self.notice = found
        self.loaded = True
        self.listed.emit(self.rows)

    def take_picture(self, picture: Picture) -> None:
        if picture.run in self._watched:
            self.pictures[picture.run] = picture
            self.advanced.emit(picture.run, picture)

    def take_trouble(self, text: str) -> None:
        self.troubled.emit(text)


def _key(value: Any) -> str:
    return value.run if isinstance(value, Picture) else ""


class _Tail:
    """One journal, read and folded as it grows."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.reader = JournalReader(run.journal)
        self.history = CurveHistory()
        self.state: State | None = None
        self.told: tuple[object, ...] | None = None
        self.trouble = ""  # why it can't be shown just now

    def read(self, most_bytes: int | None = None) -> bool:
        """Fold what is new, at most so much of it; True if there was anything."""
        restarts = self.reader.restarts
        events = self.reader.poll(most_bytes)
        if self.reader.restarts != restarts:
            self.history = CurveHistory()
        for event in events:
            try:
                self.history.take(event)
            except Exception:  # noqa: BLE001 - one odd event must not hide the others
                self.history.unknown_lines += 1
        return bool(events)

    def picture(self) -> Picture | None:
        """The run now, if it differs from the picture before."""
        mark = (
            len(self.history.points),
            self.history.updated_at,
            self.history.phase_share,
            self.state,
            self.reader.behind,
            self.reader.bad_lines,
            self.history.unknown_lines,
            self.history.attempts,
        )
        if mark == self.told or self.state is None:
            return None
        self.told = mark
        return Picture(
            self.run.id,
            self.state,
            self.history.snapshot(),
            self.history.curves(),
            self.reader.bad_lines,
            self.reader.behind,
            self.history.unknown_lines,
        )


class _Follower:
    """What the thread does."""

    def __init__(self, live: LiveRuns) -> None:
        self.live = live
        self.home = live.home
        self._tails: dict[str, _Tail] = {}
        self._library: Library | None = None
        self._rows: list[RunSummary] | None = None
        self._told: tuple[list[RunSummary], str] | None = None
        self._trouble = ""

    def work(self) -> None:
        live, next_list = self.live, 0.0
        while not live._stop.is_set():
            asked = live._look.is_set()
            live._look.clear()
            try:
                if asked or time.monotonic() >= next_list:
                    self._list()
                    next_list = time.monotonic() + LIST_S
                behind = self._follow()
            except Exception as error:  # noqa: BLE001 - the thread goes on, whatever the data folder holds
                behind = False
                self._failed(error)
                next_list = time.monotonic() + LIST_S
            if behind:
                time.sleep(0.002)  # an old journal is being read: go on, but leave the window its turns
            else:
                live._look.wait(TICK_S)
        self._forget_library()

    def _list(self) -> None:
        if not self.home.runs.is_dir():
            raise Trouble(
                f"The data folder {self.home.root} is gone or can't be read.",
                "Bring it back, or choose another one with --home; what runs goes on if its folder is still there.",
            )
        if self._library is None:
            from core.library import Library

            self._library = Library(self.home)
            if self._rows is None and (known := self._library.runs()):  # what was known last time, at once
                self._tell_rows(known)
        self._library.refresh_runs(history=self._history)
        rows, left_out = self._library.runs(), [*unreadable_runs(self.home), *self._library.left_out]
        self._say("")
        self._tell_rows(rows, left_out)
        alive = {row.id for row in self._rows or () if State(row.state).alive}
        for run in self._tails.keys() - alive - self.live._watched:
            del self._tails[run]

    def _tell_rows(self, rows: list[RunSummary], left_out: Sequence[str] = ()) -> None:
        self._rows = rows
        notices = [self._library.notice] if self._library and self._library.notice else []
        if left_out:
            more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
            what = "A run is" if len(left_out) == 1 else f"{len(left_out)} runs are"
            notices.append(
                f"{what} left out: {', '.join(left_out[:3])}{more} can't be read. "
                "Change the permissions or the name, or remove it."
            )
        notices += [
            f"Run {run} can't be shown: {tail.trouble}." for run, tail in sorted(self._tails.items()) if tail.trouble
        ]
        news = (rows, "\n".join(notices))
        if news != self._told:
            self._told = news
            self.live.tell(self.live.take_rows, news)

    def _history(self, run: RunFolder) -> History:
        """The fold of a journal, for its line in the list; only what is new is read."""
        tail = self._tail(run.id)
        tail.read(PIECE_BYTES)
        while tail.reader.behind and not self.live._stop.is_set():
            time.sleep(0.001)
            tail.read(PIECE_BYTES)
        return tail.history

    def _tail(self, run_id: str) -> _Tail:
        if run_id not in self._tails:
            self._tails[run_id] = _Tail(RunFolder(self.home.runs / run_id))
        return self._tails[run_id]

    def _follow(self) -> bool:
        """Read on in the watched journals; True if there is more to read at once."""
        behind = False
        for run_id in self.live._watched:
            tail = self._tail(run_id)
            try:
                behind = self._read_on(tail) or behind
            except Exception as error:  # noqa: BLE001 - a run that can't be shown must not keep the others from it
                if (why := str(error) or repr(error)) != tail.trouble:
                    tail.trouble = why
                    _log(error)
            else:
                tail.trouble = ""
        return behind

    def _read_on(self, tail: _Tail) -> bool:
        """Tell what is new in one journal; True if there is more."""
        if self.live.is_unseen(tail.run.id):
            tail.told = None
        if not tail.run.path.is_dir():
            return False
        tail.state = self._state(tail)
        if not tail.reader.behind or len(tail.history.points) % 4096 < 64:
            picture = tail.picture()
            if picture is not None:
                self.live.tell(self.live.take_picture, picture, tail.run.id)
        return tail.reader.behind

    def _state(self, tail: _Tail) -> State | None:
        """The run's state once its journal has been read on; None while nobody knows how an old one ends."""
        run = tail.run
        held = run.lock_held()  # before the journal: an engine that ends meanwhile has said its last word by then
        queued, stop = run.queue_entry.exists(), run.stop_request.exists()
        tail.read(PIECE_BYTES)
        if tail.reader.behind and not held:
            return next((State(row.state) for row in self._rows or () if row.id == run.id), None)
        state = state_of(tail.history.said, lock_held=held, queued=queued, stop_requested=stop)
        if state.ended and run.lock_held():  # one that started meanwhile
            return State.STOPPING if run.stop_request.exists() else State.RUNNING
        return state

    def _failed(self, error: Exception) -> None:
        self._forget_library()
        self._told = None  # with the end of the trouble all is said again
        text = str(error) if isinstance(error, (Trouble, OSError)) else f"The runs can't be read: {error!r}."
        if text != self._trouble:
            _log(error)
        self._say(text)

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self.live.tell(self.live.take_trouble, trouble)

    def _forget_library(self) -> None:
        if self._library is not None:
            self._library.close()
            self._library = None


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _log(error: Exception) -> None:
    """Where it is our mistake: for whoever looks into it. The window says it in fewer words."""
    if not isinstance(error, (Trouble, OSError)):
        traceback.print_exception(error, file=sys.stderr)
