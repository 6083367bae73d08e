"""Programs that a model wrote, run where they can do little harm: for benchmarks that test code (HumanEval, MBPP).

A process of its own (`python -I`: no user site, no environment) in an empty folder that is removed afterwards, without standard input,
with limits on processor time, memory, file size, open files and processes, ended with all its children when its time is up; where the
system allows it, in namespaces of its own without a network. This contains mistakes. It is no wall against malice: the process runs as
the user, and can read what the user can read. `guards()` says which layers are on.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MEMORY_BYTES = 1 << 30
FILE_BYTES = 10 << 20
OPEN_FILES = 32
PROCESSES = 16  # where they are counted apart from the user's other ones
SECONDS = 3.0  # as HumanEval's own runner has it
SHOWN = 2000  # characters of what a program prints

# The limits are set by the new process itself, before the program's first line: a function between fork and exec is unsafe beside threads.
_LIMITS = """\
import sys
try:
    import resource
except ImportError:
    resource = None
if resource is not None:
    def limit(name, value):
        kind = getattr(resource, name, None)
        if kind is not None:
            try:
                resource.setrlimit(kind, (value, value))
            except (ValueError, OSError):
                pass  # the system's own limit is lower already, or it has none of this kind
    limit("RLIMIT_CPU", {cpu})
    limit("RLIMIT_AS", {memory})
    limit("RLIMIT_FSIZE", {file})
    limit("RLIMIT_NOFILE", {files})
    limit("RLIMIT_CORE", 0)
    if {apart}:
        limit("RLIMIT_NPROC", {processes})
with open(sys.argv[1], encoding="utf-8") as stream:
    program = stream.read()
exec(compile(program, "program.py", "exec"), {{"__name__": "__main__"}})
"""


@dataclass(frozen=True)
class Outcome:
    """How a program ended: `passed` with exit code 0 in time. `why` is in words, `shown` the end of what it printed."""

    passed: bool
    why: str
    shown: str = ""
    seconds: float = 0.0


@functools.cache
def _unshare() -> list[str]:
    """The command that cuts the network, tried once; empty where it does not work."""
    command = shutil.which("unshare")
    if sys.platform != "linux" or command is None:
        return []
    wrapped = [command, "--user", "--map-root-user", "--net", "--"]
    try:
        tried = subprocess.run([*wrapped, "true"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return wrapped if tried.returncode == 0 else []


def guards() -> dict[str, bool]:
    """Which layers are on here, by what they guard."""
    limits = os.name == "posix"
    return {
        "own process, empty folder and environment, no input": True,
        "wall time, with all children ended": True,
        "processor time, memory, file size, open files": limits,
        "no network": bool(_unshare()),
        "no more than a few processes": bool(_unshare()),
        "no reading of the user's files": False,
    }


def guards_text() -> str:
    on = [name for name, there in guards().items() if there]
    off = [name for name, there in guards().items() if not there]
    return f"Guarded: {'; '.join(on)}. Not guarded here: {'; '.join(off)}."


def run_program(program: str, seconds: float = SECONDS, pause: Callable[[], None] = lambda: None) -> Outcome:
    """Run Python source to its end, or until its time is up. `pause` is called now and then, and may raise to end it.

    What it prints counts for nothing; only its exit code does.
    """
    wrapped = _unshare()
    limits = _LIMITS.format(
        cpu=int(seconds) + 1,
        memory=MEMORY_BYTES,
        file=FILE_BYTES,
        files=OPEN_FILES,
        apart=bool(wrapped),
        processes=PROCESSES,
    )
    with tempfile.TemporaryDirectory(prefix="stillroom-code-", ignore_cleanup_errors=True) as folder:
        inside = Path(folder) / "empty"
        inside.mkdir()
        source, printed = Path(folder) / "program.py", Path(folder) / "printed"
        source.write_text(program, encoding="utf-8", errors="replace")
        with printed.open("wb") as stream:
            process = subprocess.Popen(
                [*wrapped, sys.executable, "-I", "-c", limits, str(source)],
                cwd=inside,
                env=_environment(inside),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        begun = time.monotonic()
        try:
            in_time = _wait(process, seconds, pause)
        finally:
            _end(process)
        shown = printed.read_bytes()[-SHOWN:].decode("utf-8", "replace")
    took = time.monotonic() - begun
    if not in_time:
        return Outcome(False, f"it did not end within {seconds:g} s", shown, took)
    if process.returncode == 0:
        return Outcome(True, "passed", shown, took)
    if process.returncode < 0:
        return Outcome(False, f"it was ended by {signal.Signals(-process.returncode).name}", shown, took)
    last = shown.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
    return Outcome(False, last[0][:200], shown, took)


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the user's: only what a process needs to start."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    return {
        **kept,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PATH": os.defpath,
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
    }


def _wait(process: subprocess.Popen[bytes], seconds: float, pause: Callable[[], None]) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            process.wait(min(0.5, max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            pause()
            if time.monotonic() >= deadline:
                return False
        else:
            return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started: they share its process group."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()
