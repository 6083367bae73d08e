"""A data set of the Hub by name, through `datasets`, which keeps it in its cache and finds it there without a network."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from core.engine.session import Session
from core.errors import Trouble
from core.fetch import FetchRecipe
from core.files import sync_file, sync_folder

ROWS_AT_ONCE = 1000


def run(session: Session) -> dict[str, Any]:
    """Returns the file, rows, columns and bytes."""
    recipe = session.recipe
    assert isinstance(recipe, FetchRecipe)
    _allow_network(recipe.offline)
    session.phase("loading the library")
    import datasets

    datasets.disable_progress_bars()
    session.phase("fetching", recipe.title())
    found = _load(recipe, datasets)
    out = Path(recipe.out) if recipe.out else session.artifacts / recipe.file_name
    session.phase("writing", out.name)
    _write(session, found, out)
    return {
        "file": str(out),
        "documents": len(found),
        "columns": list(found.column_names),
        "bytes": out.stat().st_size,
        "data_set": recipe.data_set,
        "split": recipe.split,
    }


def _allow_network(offline: bool) -> None:
    """The engine's door keeps runs from the network and from `datasets`; this one is there for both."""
    if sys.modules.get("datasets", sys) is None:
        del sys.modules["datasets"]
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        if offline:
            os.environ[name] = "1"
        else:
            os.environ.pop(name, None)


def _load(recipe: FetchRecipe, datasets: Any) -> Any:
    """The split. Trouble in words for a wrong name, configuration or split, and for no network."""
    try:
        return datasets.load_dataset(recipe.data_set, recipe.config, split=recipe.split, revision=recipe.revision)
    except Exception as error:
        trouble = _in_words(recipe, datasets, error)
        if trouble is None:
            raise
        raise trouble from error


def _in_words(recipe: FetchRecipe, datasets: Any, error: Exception) -> Trouble | None:
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    why = " ".join(str(error).split())[:300].rstrip(".")
    name = recipe.data_set
    links: list[BaseException] = [error]
    while (cause := links[-1].__cause__ or links[-1].__context__) is not None:
        links.append(cause)
    # the library's own ConnectionError and those of its HTTP client, whatever that is called
    unreachable = any(isinstance(each, (ConnectionError, OfflineModeIsEnabled, TimeoutError)) for each in links) or any(
        "ConnectError" in type(each).__name__ or "ConnectionError" in type(each).__name__ for each in links
    )
    if unreachable or (recipe.offline and isinstance(error, (DatasetNotFoundError, FileNotFoundError))):
        where = "The network is switched off for this run" if recipe.offline else "The Hub can't be reached"
        return Trouble(
            f"{where}, and {name} is not in the cache.", "Connect to the network, or name files of your own."
        )
    if isinstance(error, DatasetNotFoundError):
        return Trouble(
            f"There is no data set {name} on the Hub that you may read.",
            "Check its name; a gated one takes a token (Settings, Hugging Face Hub).",
        )
    if isinstance(error, (ValueError, HfHubHTTPError, FileNotFoundError)):
        return Trouble(f"{name} can't be fetched so: {why}.", "Name its configuration and split.")
    if isinstance(error, RuntimeError) and "script" in why.lower():
        return Trouble(f"{name} would run code of its own: {why}.", "Choose one that is files only.")
    return None


def _write(session: Session, found: Any, out: Path) -> None:
    """A Parquet file, written beside its place and renamed."""
    import pyarrow.parquet as pq

    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{out.name}.part")
    schema = found.features.arrow_schema
    try:
        with pq.ParquetWriter(beside, schema) as writer:
            for start in range(0, len(found), ROWS_AT_ONCE):
                table = found.with_format("arrow")[start : start + ROWS_AT_ONCE]
                writer.write_table(table.cast(schema))
                session.progress(min(1.0, (start + ROWS_AT_ONCE) / max(1, len(found))))
        sync_file(beside)
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(out.parent)
