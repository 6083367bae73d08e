"""The report that a user copies when something went wrong: versions, hardware, settings, disk use, the run's last words.

Personal paths, the user's and the host's name are taken out unless they are agreed to; a token of the Hub always is.
`text()` reads the disk and asks the drivers: call it off the window's thread.
"""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import platform
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QLibraryInfo, QSysInfo
from PySide6.QtGui import QGuiApplication

import core
from core import trash
from core.devices import devices, memory_bytes
from core.errors import Trouble
from core.home import Home
from core.numbers import bytes_text
from core.runs import RunFolder, all_runs, find_run
from core.state import State
from desktop_app.context import Context
from desktop_app.settings import Settings

LOG_LINES = 60
LOG_TAIL_BYTES = 64_000
LIBRARIES = (
    "PySide6-Essentials",
    "pyqtgraph",
    "numpy",
    "pydantic",
    "sqlite-utils",
    "filelock",
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "datasets",
    "safetensors",
    "tokenizers",
    "huggingface_hub",
)
TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}\b")
OTHER_PATH = re.compile(r"(?<![\w:/.~>\-])(/[^\s/:'\"<>|,;()]+(?:/[^\s/:'\"<>|,;()]+)+|[A-Za-z]:\\[^\s:'\"<>|,;]+)")
SYSTEM = ("/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/etc/", "/proc/", "/sys/", "/dev/", "/System/", "/Library/")


def text(context: Context, run_id: str | None = None, with_paths: bool = False) -> str:
    """The report as plain text; about the run `run_id` too, if one is named. Never raises for what a disk can hold."""
    parts = [_programs(), _machine(), _settings(context.home), _disk(context.home)]
    if run_id is not None:
        parts.append(_run(context.home, run_id))
    parts.append(_log("runner.log", context.home.runner_log))
    whole = "\n\n".join(part for part in parts if part) + "\n"
    whole = TOKEN.sub("<token>", whole)
    return whole if with_paths else without_names(whole, context.home)


def versions() -> dict[str, str]:
    """Installed versions by name, without importing anything."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


# --- the parts --------------------------------------------------------------------------------------------------------


def _programs() -> str:
    qt = f"Qt {QLibraryInfo.version().toString()}, {QGuiApplication.platformName()}, {QLibraryInfo.location(QLibraryInfo.LibraryPath.PluginsPath)}"
    lines = [f"Stillroom {core.__version__}", f"Python {platform.python_version()} ({sys.executable})", qt]
    lines += [f"{name} {version}" for name, version in versions().items()]
    return _part(f"Stillroom report, {time.strftime('%Y-%m-%d %H:%M:%S %z')}", lines)


def _machine() -> str:
    total, free = memory_bytes()
    lines = [
        f"{QSysInfo.prettyProductName()}, {platform.system()} {platform.release()}, {platform.machine()}, {platform.node()}",
        f"memory: {bytes_text(free)} of {bytes_text(total)} free",
    ]
    for device in devices():
        use = "" if device.usable else ", not usable"
        cores = f", {device.cores} cores" if device.cores else ""
        lines.append(
            f"{device.id}: {device.name}{cores}, {bytes_text(device.memory_free_bytes)} of "
            f"{bytes_text(device.memory_total_bytes)} free, {device.bf16_reason}{use}. {device.note}".rstrip(" .")
        )
    return _part("Machine", lines)


def _settings(home: Home) -> str:
    settings = Settings(home)  # one of our own: the window's belongs to its thread
    return _part(
        "Settings",
        [
            f"theme: {settings.scheme}",
            f"closing with runs alive: {settings.on_close}",
            f"notifications: {'on' if settings.notify else 'off'}",
            f"settings can be written: {'yes' if settings.writable() else 'no'}",
            *(f"{name}={value}" for name, value in sorted(os.environ.items()) if _ours(name)),
        ],
    )


def _ours(variable: str) -> bool:
    """Variables that change what the program does; nothing that could be a secret."""
    return variable in ("CUDA_VISIBLE_DEVICES", "HF_HOME", "HF_HUB_CACHE", "OMP_NUM_THREADS") or variable.startswith(
        ("STILLROOM_", "QT_QPA_", "QT_SCALE_", "PYTORCH_")
    )


def _disk(home: Home) -> str:
    try:
        found = list(all_runs(home))
        states: dict[str, int] = {}
        for run in found:
            states[str(run.state())] = states.get(str(run.state()), 0) + 1
        free = os.statvfs(home.root) if hasattr(os, "statvfs") else None
        lines = [
            f"{home.root}",
            f"runs: {len(found)}, {bytes_text(sum(run.size_bytes() for run in found))}"
            + (f" ({', '.join(f'{count} {state}' for state, count in sorted(states.items()))})" if states else ""),
            f"trash: {bytes_text(trash.size_bytes(home))}",
            f"library: {bytes_text(home.library.stat().st_size) if home.library.exists() else 'none yet'}",
        ]
        if free is not None:
            lines.append(f"free on that disk: {bytes_text(free.f_bavail * free.f_frsize)}")
    except (OSError, Trouble) as error:
        lines = [f"{home.root} can't be read: {error}"]
    return _part("Data folder", lines)


def _run(home: Home, run_id: str) -> str:
    try:
        run = find_run(home, run_id)
        history = run.history()
        state = run.state(history)
    except (OSError, Trouble) as error:
        return _part(f"Run {run_id}", [str(error)])
    lines = [
        f"state: {state}, phase {history.phase or 'none'}, step {history.step}, device {history.device or 'none'}",
        f"last checkpoint: {history.checkpoint_step if history.checkpoint_step is not None else 'none'}",
        f"size: {bytes_text(run.size_bytes())}",
    ]
    if state is State.FAILED and history.failure is not None:
        lines += [f"failure: {history.failure.what}", f"way out: {history.failure.way_out}"]
    lines += [f"{notice.level}: {notice.text}" for notice in history.notices[-10:]]
    parts = [_part(f"Run {run.id}", lines), _recipe(run), _log("engine.log", run.log)]
    return "\n\n".join(part for part in parts if part)


def _recipe(run: RunFolder) -> str:
    try:
        return _part("recipe.json", run.recipe_file.read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError as error:
        return _part("recipe.json", [f"can't be read: {error.strerror}"])


def _log(name: str, path: Path) -> str:
    lines = list(last_lines(path))
    return _part(f"{name}, last {len(lines)} lines", lines) if lines else ""


def last_lines(path: Path, count: int = LOG_LINES) -> Iterator[str]:
    """The end of a log, however long it is; nothing where it can't be read."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
            read = stream.read(LOG_TAIL_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return
    yield from read.splitlines()[-count:]


def _part(title: str, lines: list[str]) -> str:
    return "\n".join([f"== {title}", *lines])


# --- what is personal -------------------------------------------------------------------------------------------------


def without_names(text: str, home: Home) -> str:
    """Paths below the user's folder begin with ~, other personal paths keep their last name only; no user, no host."""
    marks = [
        (str(home.root), "<data>"),
        (str(home.root.resolve()), "<data>"),
        (str(Path(core.__file__).parent.parent), "<program>"),
        (sys.prefix, "<python>"),
        (sys.base_prefix, "<python>"),
        (str(Path.home()), "~"),
        (str(Path.home().resolve()), "~"),
        (tempfile.gettempdir(), "<tmp>"),
    ]
    for place, mark in sorted(marks, key=lambda one: -len(one[0])):
        if len(place) > 3:  # never the root of a disk
            text = re.sub(r"(?<![\w.\-~>])" + re.escape(place) + r"(?![\w\-])(?!\.\w)", mark.replace("\\", r"\\"), text)
    text = OTHER_PATH.sub(_shortened, text)
    for name, mark in ((_host(), "<host>"), (_host().partition(".")[0], "<host>"), (_user(), "<user>")):
        if len(name) > 1 and name not in ("root", "localhost"):
            text = re.sub(rf"(?<![\w]){re.escape(name)}(?![\w])", mark, text, flags=re.IGNORECASE)
    return text


def _shortened(match: re.Match[str]) -> str:
    path = match[0]
    if path.startswith(SYSTEM):
        return path
    return "…/" + re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in this container
        return ""


def _host() -> str:
    return socket.gethostname()
