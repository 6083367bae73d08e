"""`stillroom`: the window without a command (a recipe file may be named), the command line with one."""

from __future__ import annotations

import os
import sys


def main() -> int:
    from desktop_app.application import arguments, run_window

    asked = arguments(sys.argv[1:])
    if asked is not None:
        code = run_window(
            asked.home, quit_after_first_paint=asked.quit_after_first_paint, recipe_file=asked.recipe_file
        )
        leave(code)
    from core.cli import main as command_line

    return command_line()


def leave(code: int) -> None:
    """End the process without taking Qt's and Python's objects apart: pyqtgraph's scenes may crash when they are
    (its own `pyqtgraph.exit` does the same). What a user asked for is finished first.
    """
    if "desktop_app.work" in sys.modules:
        from desktop_app.work import finish

        finish()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
