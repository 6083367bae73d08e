"""`stillroom`: the window without arguments (it comes with the next milestone), the command line with them."""

from __future__ import annotations

import sys

from core.cli import main as command_line


def main() -> int:
    if len(sys.argv) < 2:
        print("Stillroom's window comes with the next milestone. Until then everything is done by commands.\n")
    return command_line()


if __name__ == "__main__":
    sys.exit(main())
