"""Every check of the house, quickest first: `python packaging/check.py [PYTEST ARGUMENTS]`. Needs the `dev` extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKS = (
    ("lint", "ruff", "check", "."),
    ("format", "ruff", "format", "--check", "."),
    ("types", "mypy"),
    ("walls", "importlinter.cli"),
)


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    # a worker for each core; the tests of a file share its fixtures
    tests = (
        "tests",
        "pytest",
        "-q",
        "-n",
        "auto",
        "--dist",
        "loadfile",
        *sys.argv[1:],
    )
    for name, *module in (*CHECKS, tests):
        print(f"== {name}", flush=True)
        arguments = ["-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
        command = [sys.executable, *(arguments if name == "walls" else ["-m", *module])]
        code = subprocess.run(command, cwd=root, check=False).returncode
        if code:
            print(f"{name} failed", file=sys.stderr)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
