"""Every check of the house, quickest first: `python packaging/check.py [PYTEST ARGUMENTS]`. Needs the `dev` extra.

Many tests wait for real processes and windows, and the machine may be at something else meanwhile. So up to MOST_AGAIN tests that fail
get a second try, alone; one that passes then is named in the last lines, for it is to be looked into all the same.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CHECKS = (
    ("lint", "ruff", "check", "."),
    ("format", "ruff", "format", "--check", "."),
    ("types", "mypy"),
    ("walls", "importlinter.cli"),
)
TESTS = (
    "pytest",
    "-q",
    "-n",
    "auto",
    "--dist",
    "loadfile",
)  # a worker for each core; the tests of a file share its fixtures
MOST_AGAIN = 3
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", re.MULTILINE)
COUNTS = re.compile(r"(\d+) (?:failed|errors?)\b")


def main() -> int:
    for name, *module in CHECKS:
        arguments = ["-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
        if code := run(name, arguments if name == "walls" else ["-m", *module])[0]:
            return code
    code, printed = run("tests", ["-m", *TESTS, *sys.argv[1:]])
    again = second_tries(printed) if code == 1 and not sys.argv[1:] else []  # arguments may ask for less, or for more
    if again:
        code, _ = run("the failed tests again, alone", ["-m", "pytest", "-q", *again])
        if code == 0:
            print("Passed at the second try only; look into it:", *again, sep="\n  ")
    return code


def second_tries(printed: str) -> list[str]:
    """The tests that get one, by what pytest printed: none where there are too many, one can't be named or a process has crashed."""
    named = sorted(set(FAILED.findall(printed)))
    counted = sum(int(count) for count in COUNTS.findall(printed.rstrip().rpartition("\n")[2]))
    return named if len(named) == counted <= MOST_AGAIN and "crashed while running" not in printed else []


def run(name: str, arguments: list[str]) -> tuple[int, str]:
    """The exit code, and what was printed, which is passed on as it comes."""
    print(f"== {name}", flush=True)
    root = Path(__file__).resolve().parent.parent
    lines = []
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=root, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        print(f"{name} failed", file=sys.stderr)
    return process.returncode, "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
