"""Collect the window's texts for translators, and make their work loadable:

    python packaging/translations.py [de fr ar …]

Writes `resources/translations/stillroom.ts` (the texts as they are in the code) and, for each language named or there
already, brings `stillroom_<language>.ts` up to date (open it in Qt Linguist) and compiles `stillroom_<language>.qm`, which
the window loads where the system speaks that language. Uses lupdate and lrelease, which come with PySide6.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import PySide6

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "resources" / "translations"
TOOLS = Path(PySide6.__file__).parent


def main(languages: list[str]) -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    sources = [str(file.relative_to(ROOT)) for file in sorted((ROOT / "desktop_app").rglob("*.py"))]
    there = [file.stem.removeprefix("stillroom_") for file in FOLDER.glob("stillroom_*.ts")]
    targets = [FOLDER / "stillroom.ts", *(FOLDER / f"stillroom_{name}.ts" for name in sorted({*languages, *there}))]
    for target in targets:
        options = ["-locations", "none", "-no-obsolete"]
        command = [_tool("lupdate"), *options, *sources, "-ts", str(target.relative_to(ROOT))]
        subprocess.run(command, cwd=ROOT, check=True)
    for target in targets[1:]:
        subprocess.run([_tool("lrelease"), str(target)], cwd=ROOT, check=True)
    return 0


def _tool(name: str) -> str:
    found = next((file for file in (TOOLS / name, TOOLS / f"{name}.exe", TOOLS / f"{name}.app") if file.exists()), None)
    return str(found or name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
