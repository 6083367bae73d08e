"""Deleting a model from disk: only what is surely a model, and surely the user's own or made here."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QFile

from core.errors import Trouble
from core.home import Home

Reason = Literal["sample", "hub", "unknown", "link", "outside", "used", "more"]
FOLDERS = {".cache", ".git", ".huggingface", "onnx", "original", "openvino", "assets", "figures", "__pycache__"}
ENDINGS = {
    ".json", ".safetensors", ".bin", ".pt", ".pth", ".txt", ".model", ".md", ".jinja", ".py", ".gguf", ".h5",
    ".msgpack", ".onnx", ".tiktoken", ".vocab", ".yaml", ".yml", ".part", ".incomplete", ".metadata", ".lock",
}  # fmt: skip
BARE = {"license", "notice", "use_policy", "use_policy.md", ".gitattributes", ".gitignore", ".ds_store"}


@dataclass(frozen=True)
class Refusal:
    """Why a folder is not deleted from here; `what` names the run, or what else lies in it."""

    reason: Reason
    what: str = ""


def may_delete(
    home: Home, path: Path, source: str, added_folder: Path | None, used_by: str, files: Sequence[tuple[str, int]]
) -> Refusal | None:
    """None if the folder may be deleted. `files` are all below it; `used_by` names a living run that reads it."""
    real = path.resolve()
    if source in ("sample", "hub"):
        return Refusal("sample" if source == "sample" else "hub")
    if source not in ("added", "run"):
        return Refusal("unknown")
    if path.is_symlink():
        return Refusal("link")
    made_here = source == "run" and (real.is_relative_to(home.runs.resolve()) or (path / "stillroom.json").is_file())
    if not (made_here or added_folder is not None) or _holds_more_than_itself(home, real):
        return Refusal("outside")
    if used_by:
        return Refusal("used", used_by)
    strange = [name for name, _ in files if not _belongs(name)]
    if strange:
        return Refusal("more", ", ".join(strange[:3]) + (" …" if len(strange) > 3 else ""))
    return None


def _holds_more_than_itself(home: Home, real: Path) -> bool:
    """The user's own folder, the data folder, the program, or a folder that one of them lies in."""
    kept = (Path.home(), home.root, home.runs, Path(__file__).parent.parent.parent)
    return any(one.resolve().is_relative_to(real) for one in kept)


def _belongs(name: str) -> bool:
    """Whether a file, named from the model's folder, is one that models come with."""
    *folders, last = Path(name).parts
    if folders:
        return folders[0] in FOLDERS
    lower = last.lower()
    return Path(lower).suffix in ENDINGS or lower in BARE or lower.startswith(("license", "notice", ".stillroom"))


def to_trash(folder: Path) -> bool:
    """Move a folder to the desktop's trash; False where there is none or it refuses."""
    done = QFile.moveToTrash(str(folder))
    return bool(done[0] if isinstance(done, tuple) else done)


def for_good(folder: Path) -> None:
    """Remove a folder. Raises Trouble, naming what is left."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Trouble(
            f"{error.filename or folder} can't be deleted: {error.strerror or error}.",
            "Check the permissions; what is left can be deleted in a file manager.",
        ) from error
