"""The SQLite file of the library's index: opened, checked, its tables made, a damaged one put aside; and what a row of it can hold.

Text is UTF-8, integers have 64 bits, numbers are finite. WAL, so that several programs use it at once.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from core.errors import LibraryTrouble
from core.events import TOO_LARGE
from core.kept_paths import PATIENCE_S

if TYPE_CHECKING:
    from sqlite_utils import Database

INSPECTION = 1  # raise it when more is learnt of runs and models: every one is looked into again then


@dataclass(frozen=True)
class Layout:
    """The tables: the columns of each with their types, and its key. `format` is kept in PRAGMA user_version: raise it when
    they change, and the index is made anew.
    """

    format: int
    columns: Mapping[str, Mapping[str, type]]
    keys: Mapping[str, str]


class Newer(Exception):
    """The file has a later format than this version knows."""


def connect(path: Path | None, layout: Layout) -> Database:
    """Open (None: in memory), check, make the tables. Raises Newer, or sqlite3.DatabaseError for a damaged file."""
    Database = _database_class()  # noqa: N806
    # isolation_level None: transactions begin and end where we say so
    connection = sqlite3.connect(":memory:" if path is None else path, timeout=PATIENCE_S, isolation_level=None)
    try:
        _check(connection, layout)
        _use_wal(connection)
        db = Database(connection)
        if _format_of(connection) != layout.format:
            _make_tables(db, layout)
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


def _check(connection: sqlite3.Connection, layout: Layout) -> None:
    if (found := _format_of(connection)) > layout.format:
        raise Newer(found)
    if (answer := connection.execute("pragma quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(answer)


def _make_tables(db: Database, layout: Layout) -> None:
    """Make the tables in place of older ones. They and the record of their format come in one transaction."""
    with transaction(db.conn):
        if _format_of(db.conn) == layout.format:  # another program was first
            return
        for table in db.table_names():
            db.execute(f"drop table [{table}]")
        for table, columns in layout.columns.items():
            db.create_table(table, dict(columns), pk=layout.keys[table])
        db.execute(f"pragma user_version = {layout.format}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
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


def set_aside(path: Path, layout: Layout) -> Path | None:
    """Rename a damaged file, with what belongs to it. None if another program has mended it meanwhile."""
    with FileLock(path.with_suffix(".lock"), timeout=PATIENCE_S, is_singleton=False):
        try:
            connect(path, layout).conn.close()
        except sqlite3.DatabaseError:
            aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
            for ending in ("", "-wal", "-shm"):
                part = path.with_name(path.name + ending)
                if part.exists():
                    part.replace(f"{aside}{ending}")
            return aside
    return None


def trouble_of(path: Path, error: sqlite3.Error) -> LibraryTrouble:
    return LibraryTrouble(
        f"The library {path} can't be used: {error}.",
        "It is only an index: free some space or change the permissions; if it is damaged, remove it.",
    )


# --- rows -------------------------------------------------------------------------------------------------------------


def storable(row: dict[str, Any]) -> dict[str, Any]:
    """The row as SQLite can hold it: text in UTF-8, integers of 64 bits, finite numbers."""

    def stored(value: Any) -> Any:
        if isinstance(value, str):
            return stored_text(value)
        if isinstance(value, int):
            return max(1 - TOO_LARGE, min(value, TOO_LARGE - 1))
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: stored(value) for name, value in row.items()}


def stored_text(value: str) -> str:
    """With a question mark for each half of a character, as names have that are no UTF-8."""
    return value.encode("utf-8", "replace").decode("utf-8")


def key_of(files: list[Path]) -> str:
    """Sizes and times of the files, which change when they are written, in few characters."""
    facts: list[Any] = [INSPECTION]
    for file in files:
        try:
            stat = file.stat()
            facts.append((file.name, stat.st_size, stat.st_mtime_ns))
        except OSError as error:
            facts.append((file.name, error.errno))
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
