"""CI runs what the README says: the two must find each other."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash and awk")
def test_ci_finds_the_readmes_test_command() -> None:
    extraction = re.search(r"^command=\$\(awk .*\)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert extraction is not None
    script = f'{extraction[0]}\nprintf %s "$command"'
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "packaging/check.py" in done.stdout


FAILED_ONCE = """
FAILED tests/a/test_b.py::test_c[d e] - TimeoutError: 60000 milliseconds
ERROR tests/a/test_f.py::test_g
1 failed, 3223 passed, 2 skipped, 1 error in 999.88s (0:16:39)
"""


@pytest.mark.parametrize(
    ("printed", "again"),
    [
        (FAILED_ONCE, ["tests/a/test_b.py::test_c[d e]", "tests/a/test_f.py::test_g"]),
        (FAILED_ONCE.replace("1 failed", "2 failed"), []),
        (FAILED_ONCE.replace("TimeoutError", "worker 'gw1' crashed while running"), []),
        ("".join(f"FAILED tests/test_{n}.py::test_n\n" for n in range(4)) + "4 failed in 1.00s\n", []),
        ("3 passed in 1.00s\n", []),
    ],
    ids=["two", "one has no name", "a crash", "too many", "none"],
)
def test_a_few_failed_tests_get_a_second_try(printed: str, again: list[str]) -> None:
    check = runpy.run_path(str(ROOT / "packaging" / "check.py"))
    assert check["second_tries"](printed) == again
