"""Where models are and what they are called: folders, and huggingface_hub's cache, looked at on disk alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

from core.errors import BadModel
from core.files import read_json

_SNAPSHOT = re.compile(r"models--(?P<name>[^/\\]+)[/\\]snapshots[/\\][^/\\]+$")
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def name_of(path: Path) -> str:
    """The name people know a model by: `organisation/name` in the Hub cache, the run's name and the end of its id for its
    student ("tonight · 5b3b"), else the folder's name.
    """
    match = _SNAPSHOT.search(str(path))
    if match:
        return match["name"].replace("--", "/", 1)
    folder = path.resolve()
    return _name_of_student(folder.parent.parent) if folder.parent.name == "artifacts" else folder.name


def _name_of_student(run: Path) -> str:
    try:
        meta = read_json(run / "meta.json")
    except (OSError, ValueError):
        return run.name
    name = str(meta.get("name") or "") if isinstance(meta, dict) else ""
    return f"{name} · {run.name.rpartition('-')[2]}" if name else run.name


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it downloads, by its own environment variables."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or Path(cache) / "huggingface").expanduser() / "hub"


def resolve_model(name_or_path: str | Path, cache_dir: Path | None = None) -> Path:
    """The folder that is meant: a path, or the name of a model that the local Hub cache holds. Nothing is downloaded.

    Raises BadModel when there is neither.
    """
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return folder.absolute()
    if folder.exists():
        raise BadModel(f"{folder} is a file.", f"Name the folder of a model, perhaps {folder.parent}.")
    name = str(name_or_path)
    if not _HUB_NAME.fullmatch(name):
        raise BadModel(f"There is no folder {folder}.", "Check the path.")
    cache = cache_dir or hub_cache()
    snapshot = _snapshot_of(cache / f"models--{name.replace('/', '--')}")
    if snapshot is None:
        raise BadModel(
            f'"{name}" is neither a folder nor a model in the Hub cache ({cache}).',
            f"Check the path, or download it first: hf download {name}",
        )
    return snapshot


def scan_hub_cache(cache_dir: Path | None = None) -> list[Path]:
    """Folders of the models in the Hub cache, at the revision last fetched as `main`, else the newest one."""
    cache = cache_dir or hub_cache()
    if not cache.is_dir():
        return []
    found = (_snapshot_of(repository) for repository in sorted(cache.glob("models--*")))
    return [snapshot for snapshot in found if snapshot is not None and _looks_like_model(snapshot)]


def _snapshot_of(repository: Path) -> Path | None:
    snapshots = repository / "snapshots"
    main = repository / "refs" / "main"
    commit = main.read_text(encoding="utf-8").strip() if main.is_file() else ""
    if commit and (snapshots / commit).is_dir():
        return snapshots / commit
    folders = [folder for folder in snapshots.glob("*") if folder.is_dir()]
    return max(folders, key=lambda folder: folder.stat().st_mtime, default=None)


def scan_folder(path: Path, depth: int = 2) -> list[Path]:
    """Model folders at `path` or at most `depth` levels below it; folders within a model are not looked into."""
    found = []
    for folder, below, _ in os.walk(path):
        here = Path(folder)
        if _looks_like_model(here):
            found.append(here)
            below.clear()
        elif len(here.relative_to(path).parts) >= depth:
            below.clear()
        below[:] = sorted(name for name in below if not name.startswith("."))
    return found


def _looks_like_model(folder: Path) -> bool:
    if any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        return True
    return any(True for _ in folder.glob("*.safetensors"))
