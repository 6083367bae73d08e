"""The library: an index of run folders and models, for lists, lineage and summaries.

It is a SQLite file in the data folder (WAL, so that window and command line may use it at once) and holds nothing that
can't be found again: `rebuild()` makes it from the folders. What can't be rebuilt, the folders that the user added,
lives in `models.json` beside it. The engine never opens it. A model whose folder has not changed is not looked into
again.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from pydantic import ValidationError

from core import runs as run_folders
from core.adapters import MergeAdapterRecipe
from core.chain import LINKS, ChainRecipe
from core.data.examples import recognise
from core.data.shelf import DataSet, added_data, changing_data, data_key, data_made_by, data_row, data_set
from core.distill import DistillRecipe
from core.errors import BadModel, LibraryTrouble, Trouble
from core.events import TOO_LARGE
from core.files import read_json
from core.home import Home
from core.kept_paths import PATIENCE_S, changing_paths, kept_paths
from core.models import ModelEntry, entry_of, name_of, scan_folder, scan_hub_cache
from core.recipe import Recipe
from core.runs import RunFolder
from core.state import History, State, state_of
from core.tune import TuneRecipe

if TYPE_CHECKING:
    from sqlite_utils import Database

FORMAT = 3  # of the tables, kept in PRAGMA user_version: raise it when they change, and the index is made anew
INSPECTION = 1  # raise it when core.models learns to see more: every model is inspected again then
SPARK_POINTS = 32


@dataclass(frozen=True)
class RunSummary:
    """A run in one line. Times are seconds since 1970; `last_loss` is nats a token; `share` goes from 0 to 1."""

    id: str
    kind: str
    name: str
    state: str
    created: float | None = None
    started: float | None = None
    updated: float | None = None
    device: str | None = None
    phase: str | None = None
    teacher: str | None = None
    student: str | None = None  # as the recipe asks for it: a share, a size or a folder
    teacher_parameters: int | None = None
    student_parameters: int | None = None
    step: int | None = None
    steps: int | None = None
    tokens: int | None = None
    share: float | None = None
    last_loss: float | None = None
    bits_per_byte: float | None = None  # of the last held-out evaluation
    model: str | None = None  # the folder of the finished student
    out: str | None = None
    made_from: str | None = None
    failure: str | None = None
    size_bytes: int | None = None
    tags: tuple[str, ...] = ()
    spark: tuple[float, ...] = ()  # at most SPARK_POINTS of its total losses, evenly over its steps
    position: float | None = None  # in the queue, if it waits
    seconds_left: float | None = None  # of training, while it is alive


@dataclass(frozen=True)
class Ancestor:
    """A link of a model's lineage, from the model itself up to the teacher that nobody here made.

    `run` made the model at `path`, with the teacher that is the next link; `run_known` tells whether that run is still
    in this data folder, `at_hand` whether the model is in the library.
    """

    path: str
    name: str
    parameters: int | None
    at_hand: bool
    run: str | None = None
    run_known: bool = False
    scores: dict[str, Any] = field(default_factory=dict)


# --- the tables -------------------------------------------------------------------------------------------------------

_FLOATS = ("created", "started", "updated", "share", "last_loss", "bits_per_byte", "position", "seconds_left")
_LISTS = ("tags", "spark")  # kept as JSON
_RUN_COLUMNS = {column.name: str for column in fields(RunSummary)} | {
    **dict.fromkeys(_FLOATS, float),
    **dict.fromkeys(("teacher_parameters", "student_parameters", "step", "steps", "tokens", "size_bytes"), int),
    "said": str,  # how its journal ends; the state follows from it and the lock
    "change_key": str,
}
_MODEL_COLUMNS = {
    "path": str,
    "name": str,
    "source": str,
    "parameters": int,
    "non_embedding": int,
    "model_type": str,
    "dtype": str,
    "size_bytes": int,
    "tokenizer": str,  # its fingerprint
    "broken": str,  # why it can't be used
    "made_by": str,
    "teacher": str,
    "scores": str,  # JSON
    "entry": str,  # the whole ModelEntry, JSON
    "place": int,  # the order in which models are listed
    "change_key": str,
}
_DATA_COLUMNS = {
    "path": str,
    "name": str,
    "source": str,
    "format": str,
    "kind": str,
    "container": str,
    "documents": int,
    "exact": int,
    "size_bytes": int,
    "problems": str,  # JSON
    "broken": str,  # why it can't be read
    "place": int,
    "change_key": str,
}


class Library:
    """The index of one data folder. `notice` has words for the user when the file on disk was not as expected.

    `left_out` are run folders, found by the last refresh, whose names can't be written into the index.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.notice = ""
        self.left_out: list[str] = []
        self._db = self._open()

    def close(self) -> None:
        self._db.conn.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- runs ---------------------------------------------------------------------------------------------------------

    def refresh_runs(self, *, anew: bool = False, history: Callable[[RunFolder], History] | None = None) -> None:
        """Bring the index up to date with the run folders; a run that has not changed is read again only if `anew`.

        `history` folds the journal of one that has changed; who looks often reads only what is new there.
        """
        known = {row["id"]: row for row in self._rows("select * from runs")}
        found = list(run_folders.all_runs(self.home))
        here = {run.id: run for run in found if _text(run.id) == run.id}
        self.left_out = [_text(str(run.path)) for run in found if run.id not in here]
        rows = []
        for run in here.values():
            old = None if anew else known.get(run.id)
            try:
                rows.append(_storable(_run_row(run, old, history or RunFolder.history)))
            except OSError:  # it can't be read just now: what is known of it stays
                continue
            except Exception as error:  # noqa: BLE001 - a folder may hold anything, and must not hide the other runs
                rows.append(_storable(_unread_row(run, error)))
        changed = [row for row in rows if row != known.get(row["id"])]
        self._replace("runs", changed, gone=known.keys() - here.keys())

    def runs(self) -> list[RunSummary]:
        """All runs of the index, oldest first."""
        names = [column.name for column in fields(RunSummary)]
        rows = self._rows("select * from runs order by id")
        return [_summary({name: row[name] for name in names}) for row in rows]

    # --- models -------------------------------------------------------------------------------------------------------

    def model_folders(self) -> list[Path]:
        """The folders that the user added. Raises LibraryTrouble if the file that remembers them is broken."""
        return added_folders(self.home)

    def add_folder(self, folder: Path) -> None:
        """Remember a folder that is a model or holds some. Raises BadModel if there is none in it."""
        folder = folder.expanduser().resolve()
        if not folder.is_dir():
            raise BadModel(f"There is no folder {folder}.", "Name a model folder, or a folder of them.")
        if not scan_folder(folder):
            raise BadModel(f"{folder} holds no model.", "A model is a folder with a config.json.")
        with changing_paths(self.home.model_folders, "folders") as known:
            if folder not in known:
                known.append(folder)

    def forget(self, folder: Path) -> None:
        """Look into an added folder no longer; its files stay. Raises LibraryTrouble if it was not added."""
        folder = folder.expanduser().resolve()
        with changing_paths(self.home.model_folders, "folders") as known:
            if folder not in known:
                raise LibraryTrouble(
                    f"{folder} was not added.", f"These were: {', '.join(str(each) for each in known) or 'none'}."
                )
            known.remove(folder)

    def refresh_models(self, *, anew: bool = False) -> None:
        """Look for models in all places and inspect those that are new or have changed; all of them if `anew`."""
        known = {row["path"]: row for row in self._rows("select * from models")}
        changed, seen = [], set()
        for place, (path, source) in enumerate(self._model_places()):
            seen.add(str(path))
            key, old = _model_key(path), known.get(str(path))
            if old is not None and key == old["change_key"] and not anew:
                row = {**old, "source": source, "place": place}
            else:
                row = {**_model_row(entry_of(path)), "source": source, "place": place, "change_key": key}
            if row != old:
                changed.append(row)
        self._replace("models", changed, gone=known.keys() - seen)

    def models(self) -> list[ModelEntry]:
        """All models of the index: of added folders, of our runs, of the Hub cache, of the sample. Broken ones, too."""
        found = []
        for row in self._rows("select entry from models order by place"):
            try:
                entry = ModelEntry.model_validate_json(row["entry"])
                # a run may have got another name meanwhile, and its student with it
                found.append(entry.model_copy(update={"name": name_of(entry.path)}))
            except ValidationError:  # written by another version; the next refresh sees to it
                continue
        return found

    def model_sources(self) -> dict[Path, str]:
        """Where each model comes from: added, run, hub or sample."""
        return {Path(row["path"]): row["source"] for row in self._rows("select path, source from models")}

    def lineage(self, model: Path) -> list[Ancestor]:
        """The model, the teacher it was distilled from, that one's teacher, and so on, as far as it is known."""
        by_path = {path: entry for entry in self.models() for path in (str(entry.path), str(entry.path.resolve()))}
        run_ids = {row["id"] for row in self._rows("select id from runs")}
        chain: list[Ancestor] = []
        path: str | None = str(model)
        parameters: int | None = None
        while path is not None and path not in {link.path for link in chain}:
            entry = by_path.get(path) or by_path.get(str(Path(path).resolve()))
            made = entry.info.lineage if entry and entry.info else None
            chain.append(
                Ancestor(
                    path=path,
                    name=entry.name if entry else name_of(Path(path)),
                    parameters=entry.info.parameters if entry and entry.info else parameters,
                    at_hand=entry is not None,
                    run=made.run if made else None,
                    run_known=made is not None and made.run in run_ids,
                    scores=made.scores if made else {},
                )
            )
            path, parameters = None, None
            if made is not None and made.teacher is not None:
                path, parameters = made.teacher.path, made.teacher.parameters
        return chain

    def _model_places(self) -> Iterator[tuple[Path, str]]:
        """Every model folder once, however it is reached, with where it comes from."""
        seen: set[Path] = set()
        for path, source in self._all_places():
            if (real := path.resolve()) not in seen:
                seen.add(real)
                yield path, source

    def _all_places(self) -> Iterator[tuple[Path, str]]:
        for folder in self.model_folders():
            yield from ((path, "added") for path in scan_folder(folder))
        for run in run_folders.all_runs(self.home):
            if not run.lock_held():  # its student may be half written
                yield from ((path, "run") for path in scan_folder(run.artifacts, depth=1))
                for link in sorted((run.path / LINKS).glob("*/artifacts")):
                    yield from ((path, "run") for path in scan_folder(link, depth=1))
        for row in self._rows("select out from runs where out is not null and state = ?", [State.FINISHED]):
            yield from ((path, "run") for path in scan_folder(Path(row["out"]), depth=0))
        yield from ((path, "hub") for path in scan_hub_cache())
        yield from ((path, "sample") for path in sample_models())

    # --- data ---------------------------------------------------------------------------------------------------------

    def add_data(self, path: Path) -> None:
        """Remember a file or folder of data. Raises BadData if it can't be read as any."""
        path = path.expanduser().resolve()
        recognise(path)
        with changing_data(self.home) as known:
            if path not in known:
                known.append(path)

    def forget_data(self, path: Path) -> None:
        """List it no longer; its files stay. Raises LibraryTrouble if it was not added."""
        path = path.expanduser().resolve()
        with changing_data(self.home) as known:
            if path not in known:
                raise LibraryTrouble(
                    f"{path} was not added.", f"These were: {', '.join(str(each) for each in known) or 'none'}."
                )
            known.remove(path)

    def refresh_data(self, *, anew: bool = False, whole: Collection[Path] = ()) -> None:
        """Look into data that is new or has changed, for a second each; those of `whole` are counted to their end."""
        known = {row["path"]: row for row in self._rows("select * from data")}
        changed, seen = [], set()
        for place, (path, source) in enumerate(self._data_places()):
            seen.add(_text(str(path)))
            old, key = known.get(_text(str(path))), data_key(path)
            current = old is not None and key == old["change_key"] and not anew
            if old is not None and current and (old["exact"] or path not in whole):
                row = {**old, "source": source, "place": place}
            else:
                row = _storable({**data_row(path, quick=path not in whole), "source": source, "place": place})
            if row != old:
                changed.append(row)
        self._replace("data", changed, gone=known.keys() - seen)

    def data_sets(self) -> list[DataSet]:
        """All data of the index: what was added, and what runs have prepared, fetched or written."""
        return [data_set(row) for row in self._rows("select * from data order by place")]

    def _data_places(self) -> Iterator[tuple[Path, str]]:
        seen: set[Path] = set()
        made = self._rows(
            "select id from runs where state = ? and kind in ('prepare', 'fetch', 'write') order by id",
            [State.FINISHED],
        )
        runs_of = [RunFolder(self.home.runs / row["id"]) for row in made]
        everything = [(path, "added") for path in added_data(self.home)]
        everything += [(path, "run") for run in runs_of for path in data_made_by(run)]
        for path, source in everything:
            if (real := path.resolve()) not in seen:
                seen.add(real)
                yield path, source

    # --- the file -----------------------------------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Read every folder again. Whoever looks meanwhile sees the old rows or the new ones."""
        self.refresh_runs(anew=True)
        self.refresh_models(anew=True)
        self.refresh_data(anew=True)

    def _open(self) -> Database:
        path = self.home.library
        try:
            return _connect(path)
        except _Newer as newer:
            self.notice = (
                f"{path} was written by a newer version of Stillroom (its format {newer}, ours {FORMAT}). It "
                "is left as it is, and the index is kept in memory. Update Stillroom to use it."
            )
            return _connect(None)
        except sqlite3.OperationalError as error:
            raise _trouble(path, error) from error
        except sqlite3.DatabaseError as error:
            aside = _set_aside(path)
            if aside is not None:
                self.notice = f"{path} was damaged ({error}). It is kept as {aside.name}, and the index was made anew."
            self._db = _connect(path)
            self.rebuild()
            return self._db

    def _rows(self, query: str, values: list[Any] | None = None) -> Iterator[dict[str, Any]]:
        try:
            cursor = self._db.conn.execute(query, values or [])
            names = [column[0] for column in cursor.description]
            return iter([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])
        except sqlite3.Error as error:
            raise _trouble(self.home.library, error) from error

    def _replace(self, table: str, rows: list[dict[str, Any]], gone: set[str]) -> None:
        """Write rows and remove those whose key is gone, all in one transaction; none if there is nothing to do."""
        if not rows and not gone:
            return
        key = {"runs": "id", "models": "path", "data": "path"}[table]
        with self._writing():
            self._db[table].upsert_all(rows, pk=key)  # type: ignore[union-attr]
            self._db.conn.executemany(f"delete from {table} where {key} = ?", [(each,) for each in gone])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with _transaction(self._db.conn):
                yield
        except sqlite3.Error as error:
            raise _trouble(self.home.library, error) from error


def sample_models() -> list[Path]:
    """The built-in family."""
    from core.plan import sample_teachers

    return sample_teachers()


def _summary(row: dict[str, Any]) -> RunSummary:
    lists = {name: tuple(json.loads(row[name])) for name in _LISTS}
    return RunSummary(**(row | lists))


# --- what a row says --------------------------------------------------------------------------------------------------


def _run_row(run: RunFolder, old: dict[str, Any] | None, history: Callable[[RunFolder], History]) -> dict[str, Any]:
    """The row of a run. Its journal is folded only if it has changed."""
    held = run.lock_held()  # before the journal: an engine that ends meanwhile has said its last word by then
    queued, stop = run.queue_entry.exists(), run.stop_request.exists()
    key = _key_of([run.journal, run.meta_file, run.recipe_file])
    if old is not None and old["change_key"] == key:
        row = dict(old)
    else:
        row = {**_recipe_part(run), **_history_part(run, history(run)), "change_key": key}
    said = State(row["said"]) if row["said"] else None
    state = state_of(said, lock_held=held, queued=queued, stop_requested=stop)
    row["state"], row["position"] = str(state), run.position() if queued else None
    if not state.alive:
        row["seconds_left"] = None
    return row


def _unread_row(run: RunFolder, error: Exception) -> dict[str, Any]:
    """The row of a run that this version can't make sense of, with the reason. It is looked at again every time."""
    held, queued, stop = run.lock_held(), run.queue_entry.exists(), run.stop_request.exists()
    return {
        **dict.fromkeys(_RUN_COLUMNS),
        "id": run.id,
        "kind": "unknown",
        "name": run.id,
        "said": str(State.FAILED),
        "state": str(state_of(State.FAILED, lock_held=held, queued=queued, stop_requested=stop)),
        "failure": f"Its files can't be understood: {error!r}.",
        **dict.fromkeys(_LISTS, "[]"),
        "change_key": "",
    }


def _storable(row: dict[str, Any]) -> dict[str, Any]:
    """The row as SQLite can hold it: text in UTF-8, integers of 64 bits, finite numbers."""

    def stored(value: Any) -> Any:
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, int):
            return max(1 - TOO_LARGE, min(value, TOO_LARGE - 1))
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: stored(value) for name, value in row.items()}


def _text(value: str) -> str:
    """With a question mark for each half of a character, as names have that are no UTF-8."""
    return value.encode("utf-8", "replace").decode("utf-8")


def _recipe_part(run: RunFolder) -> dict[str, Any]:
    """What was asked. A recipe that can't be read leaves its fields empty."""
    meta = run.meta()
    recipe: Recipe | None = None
    try:
        recipe = run.recipe()
    except Trouble:
        recipe = None
    asked = recipe.of if isinstance(recipe, ChainRecipe) else recipe if isinstance(recipe, DistillRecipe) else None
    return {
        "id": run.id,
        "kind": recipe.kind if recipe else "unknown",
        "name": str(meta.get("name") or run.id),
        "created": _number(meta.get("created")),
        "made_from": str(meta["made_from"]) if meta.get("made_from") else None,
        "tags": json.dumps([_text(str(tag)) for tag in _list(meta.get("tags"))]),
        "teacher": getattr(recipe, "teacher", None),
        "student": asked.student if asked else recipe.model if isinstance(recipe, TuneRecipe) else None,
        "out": asked.out if asked else recipe.out if isinstance(recipe, TuneRecipe | MergeAdapterRecipe) else None,
    }


def _history_part(run: RunFolder, history: History) -> dict[str, Any]:
    last = history.steps[-1] if history.steps else None
    plan = history.plan
    finished = history.said is State.FINISHED
    return {
        "said": history.said,
        "started": history.started_at,
        "updated": history.updated_at,
        "device": history.device or None,
        "phase": history.phase or None,
        "teacher_parameters": plan.teacher_parameters if plan else None,
        "student_parameters": plan.student_parameters if plan else None,
        "step": history.step,
        "steps": plan.steps if plan else None,
        "tokens": last.tokens if last else 0,
        "share": 1.0 if finished else history.share,
        "last_loss": last.total if last else None,
        "bits_per_byte": _bits_per_byte(history),
        "model": _made_model(run, history) if finished else None,
        "failure": history.failure.what if history.failure else None,
        "size_bytes": run.size_bytes(),
        "spark": json.dumps(_spark(history)),
        "seconds_left": history.seconds_left(),
    }


def _made_model(run: RunFolder, history: History) -> str | None:
    """The folder of the model that a run made: in its own folder, or where a merge was told to put it."""
    inside = next((path for name in ("student", "model") if (path := run.artifacts / name).is_dir()), None)
    if inside is not None:
        return str(inside)
    made = history.results.get("model")  # of an evaluation it is the model that was measured
    if not isinstance(made, str) or not Path(made).is_dir():
        return None
    return made if read_json(run.recipe_file).get("kind") in ("merge", "sweep") else None


def _spark(history: History) -> list[float]:
    """Total losses at about evenly spaced steps, the last one among them."""
    totals = history.totals()
    told = [float(loss) for loss in totals[:: max(1, len(totals) // (8 * SPARK_POINTS))] if loss is not None]
    told = [loss for loss in told if math.isfinite(loss)]
    if len(totals) and (last := totals[-1]) is not None and math.isfinite(last):
        told.append(float(last))
    if len(told) <= SPARK_POINTS:
        return told
    return [told[round(at * (len(told) - 1) / (SPARK_POINTS - 1))] for at in range(SPARK_POINTS)]


def _bits_per_byte(history: History) -> float | None:
    """Of the student's last evaluation; an evaluation run has it among its results."""
    for point in reversed(history.evaluations):
        if point.subject == "student" and point.metrics.get("bits_per_byte") is not None:
            return _number(point.metrics["bits_per_byte"])
    return _number(history.results.get("bits_per_byte"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and abs(value) < TOO_LARGE else None


def _model_row(entry: ModelEntry) -> dict[str, Any]:
    info = entry.info
    lineage = info.lineage if info else None
    return {
        "path": str(entry.path),
        "name": entry.name,
        "parameters": info.parameters if info else None,
        "non_embedding": info.non_embedding_parameters if info else None,
        "model_type": info.model_type if info else None,
        "dtype": "/".join(info.dtypes) if info else None,
        "size_bytes": info.size_bytes if info else None,
        "tokenizer": info.tokenizer.fingerprint if info else None,
        "broken": entry.broken,
        "made_by": lineage.run if lineage else None,
        "teacher": lineage.teacher.path if lineage and lineage.teacher else None,
        "scores": json.dumps(lineage.scores) if lineage else None,
        "entry": entry.model_dump_json(),
    }


def _model_key(folder: Path) -> str:
    """Changes when any file of the folder does, whatever its kind."""
    try:
        files = sorted(file for file in folder.iterdir() if not file.is_dir())
    except OSError:
        files = []
    return _key_of(files)


def _key_of(files: list[Path]) -> str:
    """Sizes and times of the files, which change when they are written, in few characters."""
    facts: list[Any] = [INSPECTION]
    for file in files:
        try:
            stat = file.stat()
            facts.append((file.name, stat.st_size, stat.st_mtime_ns))
        except OSError as error:
            facts.append((file.name, error.errno))
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


# --- the folders that the user added ----------------------------------------------------------------------------------


def added_folders(home: Home) -> list[Path]:
    """The folders that the user added, without opening the index. Raises LibraryTrouble if the file is broken."""
    return kept_paths(home.model_folders, "folders")


# --- SQLite -----------------------------------------------------------------------------------------------------------


class _Newer(Exception):
    """The file has a later format than this version knows."""


def _connect(path: Path | None) -> Database:
    """Open (None: in memory), check, make the tables. Raises _Newer, or sqlite3.DatabaseError for a damaged file."""
    Database = _database_class()  # noqa: N806
    # isolation_level None: transactions begin and end where we say so
    connection = sqlite3.connect(":memory:" if path is None else path, timeout=PATIENCE_S, isolation_level=None)
    try:
        _check(connection)
        _use_wal(connection)
        db = Database(connection)
        if _format_of(connection) != FORMAT:
            _make_tables(db)
    except BaseException:
        connection.close()
        raise
    return db


def _database_class() -> type[Database]:
    """sqlite_utils' Database, without pandas, which it imports wherever it is installed: half a second for nothing."""
    if "sqlite_utils" not in sys.modules and "pandas" not in sys.modules:
        sys.modules["pandas"] = None  # type: ignore[assignment]  # an import of it now says that it is not there
        try:
            from sqlite_utils import Database
        finally:
            del sys.modules["pandas"]
    from sqlite_utils import Database

    return Database


def _format_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])


def _check(connection: sqlite3.Connection) -> None:
    if (found := _format_of(connection)) > FORMAT:
        raise _Newer(found)
    if (answer := connection.execute("pragma quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(answer)


def _make_tables(db: Database) -> None:
    """Make the tables in place of older ones. They and the record of their format come in one transaction."""
    with _transaction(db.conn):
        if _format_of(db.conn) == FORMAT:  # another program was first
            return
        for table in db.table_names():
            db.execute(f"drop table [{table}]")
        db.create_table("runs", _RUN_COLUMNS, pk="id")
        db.create_table("models", _MODEL_COLUMNS, pk="path")
        db.create_table("data", _DATA_COLUMNS, pk="path")
        db.execute(f"pragma user_version = {FORMAT}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Takes the write lock at its beginning, so that what was read in it stays true to its end."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def _use_wal(connection: sqlite3.Connection) -> None:
    """Readers and a writer at once. SQLite does not wait by itself when two programs change the mode together."""
    deadline = time.monotonic() + PATIENCE_S
    mode = ""
    while not mode:
        try:
            # a file system that can't share memory between programs keeps its mode, and is only slower
            mode = connection.execute("pragma journal_mode = wal").fetchone()[0]
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _set_aside(path: Path) -> Path | None:
    """Rename a damaged file, with what belongs to it. None if another program has mended it meanwhile."""
    with FileLock(path.with_suffix(".lock"), timeout=PATIENCE_S, is_singleton=False):
        try:
            _connect(path).conn.close()
        except sqlite3.DatabaseError:
            aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
            for ending in ("", "-wal", "-shm"):
                part = path.with_name(path.name + ending)
                if part.exists():
                    part.replace(f"{aside}{ending}")
            return aside
    return None


def _trouble(path: Path, error: sqlite3.Error) -> LibraryTrouble:
    return LibraryTrouble(
        f"The library {path} can't be used: {error}.",
        "It is only an index: free some space or change the permissions; if it is damaged, remove it.",
    )
