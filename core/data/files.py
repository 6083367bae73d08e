"""Files that hold data: which of a folder count, and how each is opened, compressed or in a zip."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from core.errors import BadData

PLAIN_ENDINGS = (".txt", ".text")
MARKDOWN_ENDINGS = (".md", ".markdown")
JSON_LINES_ENDINGS = (".jsonl", ".ndjson")
JSON_ENDINGS = (".json",)
TABLE_ENDINGS = (".csv", ".tsv")
COLUMN_ENDINGS = (".parquet", ".arrow", ".feather")
ROW_ENDINGS = JSON_LINES_ENDINGS + JSON_ENDINGS + TABLE_ENDINGS + COLUMN_ENDINGS
ENDINGS = PLAIN_ENDINGS + MARKDOWN_ENDINGS + ROW_ENDINGS
COMPRESSIONS = {".gz": "gz", ".bz2": "bz2", ".xz": "xz"}
REFUSED = {".tar": "a tar archive", ".tgz": "a tar archive", ".zst": "compressed by zstandard", ".7z": "a 7z archive"}
CARD = "stillroom_data.json"  # beside data that Stillroom prepared
NO_DATA = {CARD, "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "readme.md"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file with rows or text in it: a file of the disk, or a member of a zip. `path` is how it is named to the user."""

    path: Path
    file: Path
    member: str = ""
    compression: str = ""

    @property
    def ending(self) -> str:
        """Of the name, without that of a compression, in small letters."""
        path = self.path.with_suffix("") if self.compression in COMPRESSIONS.values() else self.path
        return path.suffix.lower()

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes of it, unpacked. BadData if they can't be read, whenever that shows."""
        with readable(self.path), contextlib.ExitStack() as stack:
            if self.member:
                archive = stack.enter_context(zipfile.ZipFile(self.file))
                yield stack.enter_context(archive.open(self.member))
            elif self.compression == "gz":
                yield cast(IO[bytes], stack.enter_context(gzip.open(self.file, "rb")))
            elif self.compression == "bz2":
                yield cast(IO[bytes], stack.enter_context(bz2.open(self.file, "rb")))
            elif self.compression == "xz":
                yield cast(IO[bytes], stack.enter_context(lzma.open(self.file, "rb")))
            else:
                yield stack.enter_context(self.file.open("rb"))


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """What the system and the unpackers say against a file, in words."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        raise BadData(
            f"{path} is damaged or not compressed as its name says: {error}.", "Fetch or pack it again."
        ) from error
    except OSError as error:
        raise BadData(
            f"{path} can't be read: {error.strerror or error}.", "Check that it is there and that you may read it."
        ) from error


def data_files(paths: Sequence[str]) -> list[Path]:
    """The files that the paths stand for, each once, folders searched in a fixed order. BadData if there is none."""
    found: dict[Path, None] = {}  # one that is named twice must not be learnt and examined both
    for item in paths:
        path = Path(item)
        try:
            found |= dict.fromkeys(_in_folder(path) if path.is_dir() else [path])
            there = path.is_dir() or path.is_file()
        except OSError as error:
            raise BadData(f"{path} can't be read: {error.strerror}.", "Check that you may read it.") from error
        if not there:
            raise BadData(f"There is no file or folder {path}.", "Choose text to read.")
    return list(found)


def holds_data(path: Path) -> bool:
    """Whether a file, by its name, or a folder, by what lies in it, is data."""
    if path.is_file():
        return path.suffix.lower() in (*ENDINGS, *COMPRESSIONS, ".zip")
    try:
        return bool(data_files([str(path)]))
    except BadData:
        return False


def _in_folder(folder: Path) -> list[Path]:
    """Beside rows, what describes them (a card, the state of a library) is no data."""
    inside = sorted(
        file
        for file in folder.rglob("*")
        if _ending(file.name) in (*ENDINGS, ".zip")
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.is_file()
    )
    if any(_ending(file.name) in ROW_ENDINGS and file.name.lower() not in NO_DATA for file in inside):
        inside = [file for file in inside if file.name.lower() not in NO_DATA]
    if not inside:
        raise BadData(f"The folder {folder} holds no text.", f"Files ending in {', '.join(ENDINGS)} are read.")
    return inside


def _ending(name: str) -> str:
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in COMPRESSIONS else path.suffix


def sources(path: Path) -> list[Source]:
    """What a file holds: itself, or the members of a zip that are data, in their order."""
    ending = path.suffix.lower()
    inner = Path(path.stem).suffix.lower() if ending in (*COMPRESSIONS, ".zst") else ending
    if ending in REFUSED or inner in REFUSED:
        what = REFUSED.get(inner) or REFUSED[ending]
        raise BadData(f"{path} is {what}, which is not read.", "Unpack it, or pack it as .zip or .gz.")
    if ending != ".zip":
        return [Source(path, path, compression=COMPRESSIONS.get(ending, ""))]
    with readable(path), zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir() and _member_counts(info.filename)]
    if any(info.flag_bits & 1 for info in members):
        raise BadData(f"{path} is protected by a password.", "Unpack it first.")
    if any(_ending(info.filename) in ROW_ENDINGS for info in members):
        members = [info for info in members if Path(info.filename).name.lower() not in NO_DATA]
    if not members:
        raise BadData(f"{path} holds no file that is data.", f"Files ending in {', '.join(ENDINGS)} are read.")
    return [Source(path / info.filename, path, info.filename, "zip") for info in members]


def _member_counts(name: str) -> bool:
    path = Path(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in ENDINGS and not hidden


def total_bytes(paths: Sequence[str]) -> int:
    """The size on disk of all files that the paths stand for."""
    return sum(path.stat().st_size for path in data_files(paths))
