"""The library: an index of run folders and models, for lists, lineage and summaries.

It is a SQLite file in the data folder (WAL, so that window and command line may use it at once) and holds nothing that
can't be found again: `rebuild()` makes it from the folders. What can't be rebuilt, the folders that the user added,
lives in `models.json` beside it. The engine never opens it. A model whose folder has not changed is not looked into
again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from core import runs as run_folders
from core.chain import LINKS
from core.data.examples import recognise
from core.data.shelf import DataSet, added_data, changing_data, data_key, data_made_by, data_row, data_set
from core.errors import BadModel, LibraryTrouble
from core.home import Home
from core.index_file import Layout, Newer, connect, key_of, set_aside, storable, stored_text, transaction, trouble_of
from core.kept_paths import changing_paths, kept_paths
from core.model_folders import name_of, scan_folder, scan_hub_cache
from core.models import ModelEntry, entry_of
from core.run_summary import RUN_COLUMNS, RunSummary, run_row, summary_of, unread_row
from core.runs import RunFolder
from core.state import History, State

if TYPE_CHECKING:
    from sqlite_utils import Database


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
LAYOUT = Layout(
    format=3,
    columns={"runs": RUN_COLUMNS, "models": _MODEL_COLUMNS, "data": _DATA_COLUMNS},
    keys={"runs": "id", "models": "path", "data": "path"},
)


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
        here = {run.id: run for run in found if stored_text(run.id) == run.id}
        self.left_out = [stored_text(str(run.path)) for run in found if run.id not in here]
        rows = []
        for run in here.values():
            old = None if anew else known.get(run.id)
            try:
                rows.append(storable(run_row(run, old, history or RunFolder.history)))
            except OSError:  # it can't be read just now: what is known of it stays
                continue
            except Exception as error:  # noqa: BLE001 - a folder may hold anything, and must not hide the other runs
                rows.append(storable(unread_row(run, error)))
        changed = [row for row in rows if row != known.get(row["id"])]
        self._replace("runs", changed, gone=known.keys() - here.keys())

    def runs(self) -> list[RunSummary]:
        """All runs of the index, oldest first."""
        names = [column.name for column in fields(RunSummary)]
        rows = self._rows("select * from runs order by id")
        return [summary_of({name: row[name] for name in names}) for row in rows]

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
            text = stored_text(str(path))
            seen.add(text)
            key, old = _model_key(path), known.get(text)
            if old is not None and key == old["change_key"] and not anew:
                row = {**old, "source": source, "place": place}
            else:
                entry = entry_of(path) if text == str(path) else _unnamed(Path(text))
                row = {**_model_row(entry), "source": source, "place": place, "change_key": key}
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
            seen.add(stored_text(str(path)))
            old, key = known.get(stored_text(str(path))), data_key(path)
            current = old is not None and key == old["change_key"] and not anew
            if old is not None and current and (old["exact"] or path not in whole):
                row = {**old, "source": source, "place": place}
            else:
                row = storable({**data_row(path, quick=path not in whole), "source": source, "place": place})
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
            return connect(path, LAYOUT)
        except Newer as newer:
            self.notice = (
                f"{path} was written by a newer version of Stillroom (its format {newer}, ours {LAYOUT.format}). It "
                "is left as it is, and the index is kept in memory. Update Stillroom to use it."
            )
            return connect(None, LAYOUT)
        except sqlite3.OperationalError as error:
            raise trouble_of(path, error) from error
        except sqlite3.DatabaseError as error:
            aside = set_aside(path, LAYOUT)
            if aside is not None:
                self.notice = f"{path} was damaged ({error}). It is kept as {aside.name}, and the index was made anew."
            self._db = connect(path, LAYOUT)
            self.rebuild()
            return self._db

    def _rows(self, query: str, values: list[Any] | None = None) -> Iterator[dict[str, Any]]:
        try:
            cursor = self._db.conn.execute(query, values or [])
            names = [column[0] for column in cursor.description]
            return iter([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])
        except sqlite3.Error as error:
            raise trouble_of(self.home.library, error) from error

    def _replace(self, table: str, rows: list[dict[str, Any]], gone: set[str]) -> None:
        """Write rows and remove those whose key is gone, all in one transaction; none if there is nothing to do."""
        if not rows and not gone:
            return
        key = LAYOUT.keys[table]
        with self._writing():
            self._db[table].upsert_all(rows, pk=key)  # type: ignore[union-attr]
            self._db.conn.executemany(f"delete from {table} where {key} = ?", [(each,) for each in gone])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with transaction(self._db.conn):
                yield
        except sqlite3.Error as error:
            raise trouble_of(self.home.library, error) from error


def sample_models() -> list[Path]:
    """The built-in family."""
    from core.plan import sample_teachers

    return sample_teachers()


# --- what a row says --------------------------------------------------------------------------------------------------


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


def _unnamed(path: Path) -> ModelEntry:
    """For a folder that nothing could name: neither recipes nor the index hold such a name. `path` has question marks for what is odd."""
    return ModelEntry(
        name=path.name, path=path, broken=f"The name of the folder {path} is not UTF-8. Rename it, then it can be used."
    )


def _model_key(folder: Path) -> str:
    """Changes when any file of the folder does, whatever its kind."""
    try:
        files = sorted(file for file in folder.iterdir() if not file.is_dir())
    except OSError:
        files = []
    return key_of(files)


# --- the folders that the user added ----------------------------------------------------------------------------------


def added_folders(home: Home) -> list[Path]:
    """The folders that the user added, without opening the index. Raises LibraryTrouble if the file is broken."""
    return kept_paths(home.model_folders, "folders")
