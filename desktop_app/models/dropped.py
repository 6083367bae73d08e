"""What somebody dropped or chose: a model, a folder that holds some, or something else that has a name."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QCoreApplication

from core.errors import Trouble
from core.home import Home
from core.numbers import bytes_text

Kind = Literal[
    "models", "folder", "picture", "script", "text", "archive", "weights", "pickle", "file", "gone", "unread"
]
ENDINGS: dict[Kind, tuple[str, ...]] = {
    "picture": (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".bmp", ".tif", ".tiff", ".heic"),
    "script": (".sh", ".py", ".bat", ".ps1", ".js", ".exe", ".command", ".rb", ".pl"),
    "text": (".txt", ".md", ".jsonl", ".json", ".csv", ".parquet", ".docx", ".pdf", ".html", ".yaml", ".yml"),
    "archive": (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".zst", ".rar"),
    "weights": (".gguf", ".ggml", ".onnx", ".tflite", ".mlmodel"),
    "pickle": (".bin", ".pt", ".pth", ".ckpt"),
}
translate = QCoreApplication.translate
MODEL_FILES = ("config.json", "adapter_config.json")


@dataclass(frozen=True)
class Dropped:
    """One thing that was dropped. `models` are the model folders in it, at most two levels down."""

    path: Path
    kind: Kind
    models: tuple[Path, ...] = ()
    size_bytes: int = 0
    why: str = ""


def look_at(path: Path) -> Dropped:
    """Say what is at `path`; never raises for what a disk can hold. A file of a model stands for its folder."""
    from core.model_folders import scan_folder

    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and (path.name in MODEL_FILES or path.suffix == ".safetensors"):
            return Dropped(path.parent, "models", (path.parent,))
        if not stat.S_ISDIR(found.st_mode):
            return Dropped(path, _kind_of_file(path), size_bytes=found.st_size)
        os.scandir(path).close()  # the walk itself says nothing of a folder that may not be read
        models = tuple(scan_folder(path))
    except FileNotFoundError:
        return Dropped(path, "gone")
    except OSError as error:
        return Dropped(path, "unread", why=error.strerror or str(error))
    return Dropped(path, "models" if models else "folder", models)


def _kind_of_file(path: Path) -> Kind:
    ending = path.suffix.lower()
    return next((kind for kind, endings in ENDINGS.items() if ending in endings), "file")


def refusal_words(dropped: Dropped) -> str:
    """What the thing is, and what was expected."""
    what = {
        "picture": translate("dropped", "a picture"),
        "script": translate("dropped", "a script or program"),
        "text": translate("dropped", "a text or data file"),
        "archive": translate("dropped", "an archive; unpack it first"),
        "weights": translate("dropped", "a file made for running a model, not for training it"),
        "pickle": translate("dropped", "a file of weights that can't be opened safely"),
        "file": translate("dropped", "a file"),
    }
    if dropped.kind == "gone":
        return translate("dropped", "There is nothing at %s any more.") % dropped.path
    if dropped.kind == "unread":
        return translate("dropped", "%s can't be read: %s.") % (dropped.path, dropped.why)
    if dropped.kind == "folder":
        found = translate("dropped", "%s holds no model, two levels down.") % dropped.path.name
    else:
        found = translate("dropped", "%s is %s (%s).") % (
            dropped.path.name,
            what[dropped.kind],
            bytes_text(dropped.size_bytes),
        )
    return translate("dropped", "%s A model is a folder with config.json and .safetensors files.") % found


@dataclass(frozen=True)
class Outcome:
    """What came of adding: models that are at hand now, what was no model, and what couldn't be remembered."""

    added: tuple[Dropped, ...] = ()
    refused: tuple[Dropped, ...] = ()
    troubles: tuple[Trouble, ...] = ()

    @property
    def models(self) -> tuple[Path, ...]:
        return tuple(model for one in self.added for model in one.models)


def add_all(home: Home, paths: Sequence[Path]) -> Outcome:
    """Remember every folder of models among `paths`; each is judged by itself."""
    from core.library import Library

    seen = [look_at(path) for path in paths]
    good = [one for one in seen if one.kind == "models"]
    added: list[Dropped] = []
    troubles: list[Trouble] = []
    if good:
        with Library(home) as library:
            for one in good:
                try:
                    library.add_folder(one.path)
                    added.append(one)
                except Trouble as trouble:
                    troubles.append(trouble)
                except OSError as error:
                    way_out = "Check the permissions of the data folder."
                    troubles.append(Trouble(f"{one.path} can't be remembered: {error.strerror or error}.", way_out))
    return Outcome(tuple(added), tuple(one for one in seen if one.kind != "models"), tuple(troubles))
