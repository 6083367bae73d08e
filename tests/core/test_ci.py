"""CI runs what the README says: the two must find each other."""

from __future__ import annotations

import re
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
