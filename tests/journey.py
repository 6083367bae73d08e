"""The first minute by the clock: `python -m tests.journey OUT [--teacher DIR --data FILE --tokens 250000]`.

Opens the window on an empty data folder, off screen, clicks *Distill the sample* (or plans the teacher named here and presses
the button), follows the run to its end and opens its student on the Models page. Prints the seconds since the start of each
step and writes a picture of it in light and dark.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "desktop"))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

STARTED = time.monotonic()
PATIENCE_S = 900.0


class Journey:
    """A window, a clock, and pictures of what one sees."""

    def __init__(self, out: Path, home: Any) -> None:
        from desktop_app.application import make_application
        from desktop_app.shell.window import Window

        self.out = out
        self.app = make_application()
        self.window = Window(home)
        self.window.context.settings.on_close = "keep"
        self.window.resize(1280, 800)
        self.steps = 0

    def wait(self, until: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                raise TimeoutError(f"step {self.steps + 1} did not come within {seconds:.0f} s")
            self.app.processEvents()
            time.sleep(0.01)

    def rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end)

    def seen(self, what: str, *, settle_s: float = 0.4) -> None:
        """Say when it was, and keep a picture of it."""
        from desktop_app import theme

        at = time.monotonic() - STARTED
        self.steps += 1
        print(f"{at:6.1f} s  {what}", flush=True)
        for scheme in ("dark", "light"):
            theme.apply(self.app, scheme)  # type: ignore[arg-type]
            self.rest(settle_s)
            name = f"{self.steps}-{what.replace(' ', '-').replace(',', '')}-{scheme}.png"
            self.window.grab().save(str(self.out / name))

    def click(self, button: Any) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.journey", description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tokens", type=int, default=250_000)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    from core.home import Home

    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("HF_HUB_CACHE", str(Path(folder) / "hub"))
        journey = Journey(arguments.out, Home.find(Path(folder) / "home"))
        follow(journey, start(journey, arguments))
        journey.window.close()
    return 0


def start(journey: Journey, arguments: argparse.Namespace) -> Any:
    """From nothing to a run on its way."""
    from core.distill import DistillRecipe
    from core.runs import all_runs
    from desktop_app.context import Wish

    window = journey.window
    window.open_first()
    window.show()
    journey.wait(lambda: window.isVisible() and window.page() is not None)
    window.context.live.start()
    window.context.shelf.refresh()
    if arguments.teacher is None:
        journey.seen("the welcome page")
        journey.click(window.page().sample)  # type: ignore[union-attr]
    else:
        recipe = DistillRecipe(
            teacher=str(arguments.teacher.absolute()),
            student="0.4x",
            data=(str(arguments.data.absolute()),),
            tokens=arguments.tokens,
        )
        window.open(Wish("plan", {"recipe": recipe}))
        plan: Any = window.page()
        journey.wait(lambda: plan.start.text().startswith("Distill"), 60)
        journey.seen("the plan", settle_s=1.0)
        journey.click(plan.start)
    journey.wait(lambda: window.page() is not None and window.page().name == "runs", 60)  # type: ignore[union-attr]
    return next(iter(all_runs(window.context.home)))


def follow(journey: Journey, run: Any) -> None:
    """From a run on its way to its student among the models."""
    from core.state import State
    from desktop_app.context import Wish

    window = journey.window
    pictures = window.context.live.pictures
    journey.seen("the run is made")
    journey.wait(lambda: run.id in pictures and len(pictures[run.id].curves) > 0)
    journey.seen("the first point of the loss")
    journey.wait(lambda: run.id in pictures and (pictures[run.id].history.share or 0) > 0.5)
    journey.seen("half way", settle_s=0.8)
    journey.wait(lambda: run.id in pictures and pictures[run.id].state is State.FINISHED)
    journey.seen("finished", settle_s=1.5)
    history = run.history()
    student = run.artifacts / "student"
    window.context.shelf.refresh()
    journey.wait(lambda: window.context.shelf.entry(student) is not None, 30)
    window.open(Wish("models", {"model": student}))
    journey.rest(1.0)
    journey.seen("the student among the models")
    after, before = history.results.get("after", {}), history.results.get("before", {})
    print(f"bits per byte {before.get('bits_per_byte'):.3f} → {after.get('bits_per_byte'):.3f}")


if __name__ == "__main__":
    from desktop_app.__main__ import leave

    leave(main())  # as the program itself does
