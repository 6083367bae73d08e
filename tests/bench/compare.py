"""How quickly the Compare page opens in a data folder of 200 runs, and how smoothly its radar follows the pointer.

    python -m tests.bench.compare [--runs 200] [--models 5] [--moves 300]

Prints the thread's time to make and open the page (goal 0.5 s), the time until the figures are there, and the frames a second
while the pointer goes over the radar with every move painted (goal 60), by the thread's time, for the machine may be busy.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "desktop"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--moves", type=int, default=300)
    asked = parser.parse_args()

    import made_up_scores as made
    from made_up import a_model, fake_run
    from PySide6.QtCore import QPointF

    import desktop_app.compare.page as compare_page
    from core.home import Home
    from desktop_app import theme
    from desktop_app.application import make_application
    from desktop_app.context import Context

    app = make_application()
    theme.apply(app, "light")
    with tempfile.TemporaryDirectory() as folder:
        home = Home.find(Path(folder) / "home")
        os.environ["HF_HUB_CACHE"] = str(Path(folder) / "hub")
        for number in range(asked.runs - asked.models):
            fake_run(home, name=f"run {number}", seed=number, steps=40)
        models = [
            a_model(Path(folder) / f"model-{number}", hidden_size=16 * (1 + number)) for number in range(asked.models)
        ]
        for number, model in enumerate(models):
            made.evaluation_run(home, model, {task: value - 0.03 * number for task, value in made.SIX.items()})
        context = Context(home)
        context.live.start()
        wait(app, lambda: context.live.loaded)
        began, start = time.thread_time(), time.perf_counter()
        page = compare_page.ComparePage(context)
        page.resize(1200, 720)
        page.show()
        page.opened(models=models)
        app.processEvents()
        opened = time.thread_time() - began
        wait(app, lambda: page._seen is not None)
        read = time.perf_counter() - start
        print(
            f"open with {asked.runs} runs: {opened:.3f} s (goal 0.5), {opened / 0.5:.2f} of it; figures of {asked.models} models after {read:.3f} s"
        )
        radar = page.scores.radar
        centre, began = radar.rect().center(), time.thread_time()
        for number in range(asked.moves):
            angle = 2 * math.pi * number / asked.moves * 3
            radar.read(radar.axis_at(QPointF(centre.x() + 90 * math.cos(angle), centre.y() + 90 * math.sin(angle))))
            radar.repaint()
        frames = asked.moves / (time.thread_time() - began)
        print(f"hover: {frames:.0f} frames a second (goal 60), {frames / 60:.1f} times it")
        context.live.stop()
        page.close()


def wait(app: object, true: object) -> None:
    while not true():  # type: ignore[operator]
        app.processEvents()  # type: ignore[attr-defined]
        time.sleep(0.005)


if __name__ == "__main__":
    main()
