"""`stillroom`: the window without a command (a recipe file may be named), the command line with one."""

from __future__ import annotations

import sys


def main() -> int:
    from desktop_app.application import arguments, run_window

    asked = arguments(sys.argv[1:])
    if asked is not None:
        return run_window(
            asked.home, quit_after_first_paint=asked.quit_after_first_paint, recipe_file=asked.recipe_file
        )
    from core.cli import main as command_line

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
