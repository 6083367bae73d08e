"""Downloads from the Hub, each by a small process of its own: `python -m core.downloads FOLDER`.

    downloads/<name>/  wanted.json  what is to be fetched     state.json  how far it is, replaced a few times a second
                       lock         held while it runs        paused      somebody wants it to rest

Bytes go to `<etag>.incomplete` in the Hub cache, where any later process goes on from them; a finished file is checked against the sum
that the Hub names, and takes its place by a rename. So a killed process, a paused download and a power cut are all the same: resumed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from filelock import FileLock, Timeout

from core import hub
from core.errors import Trouble
from core.files import read_json, write_json
from core.home import Home
from core.hub import HubFile, HubTrouble
from core.model_folders import hub_cache
from core.numbers import bytes_text
from core.runner import start_detached
from core.runs import is_locked

SAY_EVERY_S = 0.2
SPEED_OVER_S = 5.0
SPARE_BYTES = 100 * 2**20  # left free on the disk
READ_BYTES = 1 << 20
CHUNK_BYTES = 1 << 18  # written at once; what a cut connection loses at the most (huggingface_hub's own is 10 MB)
LAST_WORD_S = 5.0
STARTING_S = 20.0  # a process takes its lock sooner
_started: list[subprocess.Popen[bytes]] = []
RUNNING, PAUSED, FINISHED, FAILED, INTERRUPTED = "running", "paused", "finished", "failed", "interrupted"


@dataclass(frozen=True)
class Progress:
    """How far a download is. `note` is what it waits for; `path` where the model is, at the end."""

    name: str
    state: str = RUNNING
    done_bytes: int = 0
    total_bytes: int = 0
    file: str = ""
    bytes_per_second: float = 0.0
    note: str = ""
    error: str = ""
    way_out: str = ""
    lacks: str = ""  # as of a HubTrouble
    path: str = ""
    pid: int = 0
    pid_created: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        left = self.total_bytes - self.done_bytes
        return left / self.bytes_per_second if self.bytes_per_second > 0 else None


class Download:
    """One download, by its folder; every answer is read from there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wanted_file = folder / "wanted.json"
        self.state_file = folder / "state.json"
        self.lock_file = folder / "lock"
        self.pause_file = folder / "paused"

    @property
    def name(self) -> str:
        return str(read_json(self.wanted_file)["name"])

    def progress(self) -> Progress:
        """What the process said last; paused or interrupted where there is no process any more."""
        alive = is_locked(self.lock_file)
        try:
            said = Progress(**read_json(self.state_file))
        except FileNotFoundError:
            said = Progress(self.name)
        if said.state == RUNNING and not alive and not self._starting():
            state = PAUSED if self.pause_file.exists() else INTERRUPTED
            return Progress(**{**asdict(said), "state": state, "bytes_per_second": 0.0, "note": ""})
        return said

    def alive(self) -> bool:
        """Whether a process works on it; one that has said its last word is waited for."""
        deadline = time.monotonic() + LAST_WORD_S
        while is_locked(self.lock_file):
            if self.progress().state == RUNNING or time.monotonic() > deadline:
                return True
            time.sleep(0.02)
        return False

    def _starting(self) -> bool:
        """A process that was started has not taken the lock yet."""
        return not self.state_file.exists() and time.time() - self.wanted_file.stat().st_mtime < STARTING_S

    def resume(self) -> None:
        """Start a process for it, unless there is one."""
        self.pause_file.unlink(missing_ok=True)
        if self.alive():
            return
        self.state_file.unlink(missing_ok=True)
        os.utime(self.wanted_file)
        _started[:] = [process for process in _started if process.poll() is None]  # those that ended are reaped
        _started.append(start_detached(["core.downloads", str(self.folder)], self.folder / "log"))

    def pause(self) -> None:
        """End its process; what was fetched stays."""
        self.pause_file.touch()
        self._end()

    def cancel(self) -> None:
        """End its process, and remove the halves of files and its folder. Whole files stay in the cache."""
        self.pause()
        wanted = read_json(self.wanted_file)
        for part in _blobs(Path(wanted["cache"]), wanted["name"]).glob("*.incomplete"):
            part.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, patience_s: float = 5.0) -> None:
        deadline = time.monotonic() + patience_s
        while is_locked(self.lock_file) and time.monotonic() < deadline:
            said = self.progress()
            try:
                process = psutil.Process(said.pid)
                if abs(process.create_time() - said.pid_created) < 2.0:
                    process.kill()
            except (psutil.Error, ValueError):
                pass  # it has not said yet who it is, or is gone already
            time.sleep(0.05)
        for ours in _started:
            ours.poll()


def start(home: Home, name: str, revision: str | None = None, cache: Path | None = None) -> Download:
    """Look at the model, see that the disk has room, and start; goes on with one that was begun. Raises HubTrouble."""
    download = Download(folder_of(home, name))
    if not download.alive():
        prepare(download, name, revision, cache)
        download.resume()
    return download


def prepare(download: Download, name: str, revision: str | None = None, cache: Path | None = None) -> None:
    """Write down what is to be fetched. HubTrouble where there is nothing, or no room for it."""
    found = hub.details(name, revision)
    if found.refused:
        raise HubTrouble(found.refused)
    where = cache or hub_cache()
    _need_room(where, found.name, found.files)
    download.folder.mkdir(parents=True, exist_ok=True)
    wanted = {
        "name": name,
        "revision": found.revision,
        "branch": revision or "main",
        "cache": str(where.absolute()),
        "files": [asdict(file) for file in found.files],
    }
    write_json(download.wanted_file, wanted)


def folder_of(home: Home, name: str) -> Path:
    return home.root / "downloads" / name.replace("/", "--")


def all_downloads(home: Home) -> list[Download]:
    return [Download(file.parent) for file in sorted((home.root / "downloads").glob("*/wanted.json"))]


def find(home: Home, name: str) -> Download:
    download = Download(folder_of(home, name))
    if not download.wanted_file.exists():
        raise HubTrouble(f"There is no download of {name}.", "`stillroom models downloads` lists them.")
    return download


def follow(download: Download, every_s: float = 0.25) -> Iterator[Progress]:
    """Its progress, until it ends in whatever way."""
    while (said := download.progress()).state == RUNNING:
        yield said
        time.sleep(every_s)
    yield said


def _need_room(cache: Path, name: str, files: tuple[HubFile, ...]) -> None:
    blobs = _blobs(cache, name)
    there = {file.name.partition(".")[0]: file.stat().st_size for file in blobs.glob("*") if file.is_file()}
    missing = sum(max(0, file.size_bytes - there.get(file.sha256 or file.blob or "", 0)) for file in files)
    nearest = next(folder for folder in (cache, *cache.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(nearest).free
    if missing + SPARE_BYTES > free:
        raise HubTrouble(
            f"{name} takes {bytes_text(missing)} more, and {nearest} has {bytes_text(free)} free.",
            "Free some space, or put the Hub cache elsewhere (HF_HOME).",
        )


def _blobs(cache: Path, name: str) -> Path:
    return cache / f"models--{name.replace('/', '--')}" / "blobs"


# -------------------------------------------------------------------------------------------------------- in the process


class Teller:
    """Says how far it is; a second's bytes make the speed."""

    def __init__(self, file: Path, name: str, total: int) -> None:
        process = psutil.Process()
        self._file = file
        self._name, self._total = name, total
        self._who = (process.pid, process.create_time())
        self._done, self._current, self._note = 0, "", ""
        self._said_at = 0.0
        self._times: list[tuple[float, int]] = []

    def begin(self, name: str, there: int) -> None:
        self._current = name
        self._done += there
        self.say()

    def add(self, count: int) -> None:
        self._done += count
        if count > 0:
            self._note = ""
        now = time.monotonic()
        self._times.append((now, self._done))
        while self._times[0][0] < now - SPEED_OVER_S:
            self._times.pop(0)
        if now - self._said_at >= SAY_EVERY_S:
            self.say()

    def wait(self, note: str) -> None:
        self._note = note
        self._times.clear()
        self.say()

    def say(self, state: str = RUNNING, **more: str) -> None:
        self._said_at = time.monotonic()
        speed = 0.0
        if len(self._times) > 1 and self._times[-1][0] > self._times[0][0]:
            speed = (self._times[-1][1] - self._times[0][1]) / (self._times[-1][0] - self._times[0][0])
        told = Progress(
            self._name, state, self._done, self._total, self._current, max(0.0, speed), self._note, **more,
            pid=self._who[0], pid_created=self._who[1],
        )  # fmt: skip
        write_json(self._file, asdict(told))


class _Waits(logging.Handler):
    """huggingface_hub tells its waits (Retry-After, a cut connection) to its log only; here they are said."""

    def __init__(self, teller: Teller) -> None:
        super().__init__(logging.WARNING)
        self._teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "Trying to resume" in text:
            self._teller.wait("The connection was cut; it is resumed.")
        elif "Waiting" in text or "Retrying in" in text:
            self._teller.wait(f"The Hub asks to wait. {text}")


def fetch(download: Download) -> None:
    """Everything that is wanted and not there yet, file by file; the model's folder takes its name last."""
    wanted = read_json(download.wanted_file)
    files = [HubFile(**file) for file in wanted["files"]]
    files.sort(
        key=lambda file: (file.name.endswith(".json"), -file.size_bytes)
    )  # config.json, by which it is a model, late
    name, cache = str(wanted["name"]), Path(wanted["cache"])
    teller = Teller(download.state_file, name, sum(file.size_bytes for file in files))
    teller.say()
    waits = _Waits(teller)
    logging.getLogger("huggingface_hub").addHandler(waits)
    try:
        _need_room(cache, name, tuple(files))
        for file in files:
            _fetch_file(name, wanted["revision"], file, cache, teller)
        snapshot = _blobs(cache, name).parent / "snapshots" / wanted["revision"]
        _name_revision(cache, name, wanted["branch"], wanted["revision"])
        teller.say(FINISHED, path=str(snapshot))
    except OSError as error:
        if error.errno is None:
            _fail(teller, error, name)
        else:
            text = f"{error.strerror}: {error.filename or cache}"
            teller.say(
                FAILED, error=f"The download can't be written. {text}.", way_out="Free some space, then resume it."
            )
    except Exception as error:  # noqa: BLE001 — told to whoever watches, or raised again
        _fail(teller, error, name)
    finally:
        logging.getLogger("huggingface_hub").removeHandler(waits)


def _fail(teller: Teller, error: Exception, name: str) -> None:
    try:
        trouble = hub.as_trouble(error, name)
    except Exception:
        teller.say(
            FAILED,
            error=f"An error that we did not foresee: {type(error).__name__}: {error}",
            way_out="Please report it.",
        )
        raise
    teller.say(FAILED, error=trouble.what, way_out=trouble.way_out, lacks=getattr(trouble, "lacks", ""))


def _fetch_file(name: str, commit: str, file: HubFile, cache: Path, teller: Teller) -> None:
    """One file into the cache, resumed where it was left, and into the model's folder there."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    secret = hub.token() or False
    url = hf_hub_url(name, file.name, revision=commit, endpoint=hub.endpoint())
    known = get_hf_file_metadata(url, token=secret, endpoint=hub.endpoint(), retry_on_errors=True)
    blob = _blobs(cache, name) / str(known.etag)
    if blob.exists():
        teller.begin(file.name, file.size_bytes)
    else:
        blob.parent.mkdir(parents=True, exist_ok=True)
        part = blob.with_name(f"{blob.name}.incomplete")
        headers = build_hf_headers(token=secret)
        if urlsplit(known.location).netloc != urlsplit(url).netloc:
            headers.pop("authorization", None)  # the token is for the Hub, not for whoever stores its files
        with part.open("r+b" if part.exists() else "w+b") as stream:
            there = min(stream.seek(0, os.SEEK_END), file.size_bytes)
            stream.truncate(there)
            stream.seek(there)
            teller.begin(file.name, there)
            http_get(
                known.location, stream, resume_size=there, headers=headers, expected_size=known.size, tqdm_class=_bar_for(teller)
            )  # fmt: skip
            stream.flush()
            os.fsync(stream.fileno())
        _check_sum(part, file, name)
        part.replace(blob)
    hf_hub_download(name, file.name, revision=commit, cache_dir=cache, token=secret, endpoint=hub.endpoint())


def _bar_for(teller: Teller) -> Any:
    """What huggingface_hub takes for a progress bar, telling the teller."""

    class Bar:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def update(self, count: float | None = 1) -> None:
            teller.add(int(count or 0))

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: Any) -> None:
            pass

        def close(self) -> None:
            pass

    return Bar


def _check_sum(part: Path, file: HubFile, name: str) -> None:
    """SHA-256 of large files, git's own sum of small ones; a wrong file is removed."""
    if file.sha256 is None and file.blob is None:
        return
    with part.open("rb") as stream:
        found = sha256_of(stream) if file.sha256 else git_sum(stream, part.stat().st_size)
    if found != (file.sha256 or file.blob):
        part.unlink()
        raise HubTrouble(
            f"{file.name} of {name} came broken: its checksum is {found[:12]}…, and the Hub's {str(file.sha256 or file.blob)[:12]}….",
            "It was removed. Resume the download to fetch it again.",
        )


def sha256_of(stream: BufferedReader) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()


def git_sum(stream: BufferedReader, size: int) -> str:
    """The id that git gives to a file of this content."""
    digest = hashlib.sha1(b"blob %d\0" % size)
    while block := stream.read(READ_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _name_revision(cache: Path, name: str, branch: str, commit: str) -> None:
    """refs/<branch>, by which the Hub cache finds the newest copy; written last, so that a half copy is never it."""
    refs = _blobs(cache, name).parent / "refs" / branch
    refs.parent.mkdir(parents=True, exist_ok=True)
    beside = refs.with_name(f"{refs.name}.part")
    beside.write_text(commit, encoding="utf-8")
    beside.replace(refs)


def main() -> int:
    download = Download(Path(sys.argv[1]).absolute())
    try:
        with FileLock(download.lock_file, timeout=2, is_singleton=False):
            if download.pause_file.exists():
                return 0
            fetch(download)
    except Timeout:
        return 0  # another process fetches it already
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
