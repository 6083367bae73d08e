"""Checkpoints that are complete or absent: the manifest is written last, after every other file is on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.files import read_json, sync_file, sync_folder, write_json

MANIFEST = "manifest.json"
PREFIX = "checkpoint-"


def seal(folder: Path, step: int) -> None:
    """Force every file of a checkpoint to the disk, then write the manifest that makes it count."""
    sizes = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != MANIFEST:
            sync_file(file)
            sizes[str(file.relative_to(folder).as_posix())] = file.stat().st_size
    sync_folder(folder)
    write_json(folder / MANIFEST, {"step": step, "files": sizes})


def sealed_step(folder: Path) -> int | None:
    """The step of a complete checkpoint, or None if the manifest or a file is missing or has another size."""
    try:
        manifest = read_json(folder / MANIFEST)
        whole = all((folder / name).stat().st_size == size for name, size in manifest["files"].items())
        return int(manifest["step"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def newest(checkpoints: Path) -> tuple[int, Path] | None:
    """The complete checkpoint of the highest step."""
    found = [(step, folder) for folder in checkpoints.glob(f"{PREFIX}*") if (step := sealed_step(folder)) is not None]
    return max(found, default=None)


def drop_incomplete(checkpoints: Path) -> None:
    """Remove what a killed or failed save left behind."""
    for folder in [*checkpoints.glob(f"{PREFIX}*"), *checkpoints.glob(".gone-*")]:
        if sealed_step(folder) is None or folder.name.startswith("."):
            shutil.rmtree(folder, ignore_errors=True)


def keep_newest(checkpoints: Path, count: int) -> None:
    """Remove older complete checkpoints; each vanishes in one rename before its files go."""
    steps = sorted(
        (step, folder) for folder in checkpoints.glob(f"{PREFIX}*") if (step := sealed_step(folder)) is not None
    )
    for _, folder in steps[:-count]:
        gone = folder.with_name(f".gone-{folder.name}")
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
