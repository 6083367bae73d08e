"""What the user calls a run: its name and its tags, kept in `meta.json` beside the frozen recipe."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from filelock import FileLock, Timeout

from core.errors import RunTrouble
from core.files import read_json, write_json
from core.runs import RunFolder

LONGEST_NAME, LONGEST_TAG = 200, 40  # characters
PATIENCE_S = 5.0  # for another that writes a label of the same run


def rename(run: RunFolder, name: str) -> None:
    """Call the run by another name. Its id and folder stay. Raises RunTrouble for an empty name."""
    tidy = _one_line(name)[:LONGEST_NAME]
    if not tidy:
        raise RunTrouble(f"Run {run.id} needs a name.", "Write one, or press Escape to keep the old one.")
    _change(run, {"name": tidy})


def retag(run: RunFolder, tags: Iterable[str]) -> None:
    """Give the run these tags in place of those it had."""
    _change(run, {"tags": list(tidy_tags(tags))})


def tidy_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Each tag once, in the order in which they came, on one line and without commas, which part them when typed."""
    each = (_one_line(tag.replace(",", " "))[:LONGEST_TAG].rstrip() for tag in tags)
    return tuple(dict.fromkeys(tag for tag in each if tag))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _change(run: RunFolder, new: dict[str, Any]) -> None:
    if not run.path.is_dir():
        raise RunTrouble(f"Run {run.id} is gone.", "Somebody moved or removed its folder.")
    try:
        with FileLock(run.path / "meta.lock", timeout=PATIENCE_S, is_singleton=False):
            write_json(run.meta_file, {**_meta(run), **new})
    except Timeout as error:
        raise RunTrouble(f"{run.meta_file} is being written by another program.", "Try again in a moment.") from error
    except OSError as error:
        raise RunTrouble(
            f"{run.meta_file} can't be written: {error.strerror}.", "Free some space, or change the permissions."
        ) from error


def _meta(run: RunFolder) -> dict[str, Any]:
    """What stands there now. What can't be read is refused, for writing over it would lose what else it says."""
    try:
        meta = read_json(run.meta_file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(run, str(error)) from error
    if not isinstance(meta, dict):
        raise _unreadable(run, "it is no JSON object")
    return meta


def _unreadable(run: RunFolder, why: str) -> RunTrouble:
    return RunTrouble(f"{run.meta_file} can't be read: {why}.", "Mend it by hand, or remove it; then try again.")
