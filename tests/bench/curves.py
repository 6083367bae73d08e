"""How long the curves take to draw: 200 000 points over 10 runs, beside a bare pyqtgraph plot of the same points.

    python -m tests.bench.curves [--points 200000] [--runs 10] [--rounds 15] [--dark]

Prints medians of the thread's time (one does it all): taking a picture (`show`), the first sight and other sizes of the
panel, drawing what is new when one run or all of them moved on or the smoothing changed, painting all plots anew (each
with the median and the longest turn of the event loop in it), and moving the read-out. pyqtgraph draws one plot with a
raw line a run (the losses), with peak down-sampling and clipping to the view; ours draws that plot with raw and smoothed
lines, and the last figure is ours over its.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtWidgets import QApplication, QWidget

from desktop_app import theme
from desktop_app.charts.curves import CurvesPanel, RunSpec, _made_up


def milliseconds(rounds: int, what: Callable[[int], object]) -> float:
    taken = []
    for number in range(rounds):
        start = time.thread_time()
        what(number)
        taken.append(1000 * (time.thread_time() - start))
    return median(taken)


def painted(widget: QWidget) -> None:
    widget.grab()


def pyqtgraph_plot(app: QApplication, curves: list[tuple[np.ndarray, np.ndarray]], size: tuple[int, int]) -> QWidget:
    import pyqtgraph as pg

    plot = pg.PlotWidget()
    plot.resize(*size)
    for number, (x, y) in enumerate(curves):
        line = plot.plot(x, y, pen=pg.mkPen(theme.series_colour(number), width=1))
        line.setDownsampling(auto=True, method="peak")
        line.setClipToView(True)
    plot.show()
    app.processEvents()
    return plot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--dark", action="store_true")
    asked = parser.parse_args()
    app = QApplication([])
    theme.apply(app, "dark" if asked.dark else "light")

    each = asked.points // asked.runs
    pictures = [_made_up(str(run), each, run) for run in range(asked.runs)]
    panel = CurvesPanel()
    panel.resize(1240, 800)
    panel.set_runs([RunSpec(str(run), f"run {run}", theme.series_colour(run)) for run in range(asked.runs)])
    for picture in pictures:
        panel.show(picture.run, picture)
    turns: list[float] = []

    def settle() -> None:
        """Turn the event loop until all plots are drawn and painted, and keep what each turn took."""
        quiet = 0
        while quiet < 3:  # a paint may wish for turns of its own
            start = time.thread_time()
            app.processEvents()
            turns.append(1000 * (time.thread_time() - start))
            quiet = quiet + 1 if panel.is_settled() else 0

    def in_turns(what: Callable[[int], object]) -> Callable[[int], None]:
        def one_round(number: int) -> None:
            start = time.thread_time()
            what(number)
            turns.append(1000 * (time.thread_time() - start))
            settle()

        return one_round

    def told(name: str, rounds: int, what: Callable[[int], object]) -> None:
        turns.clear()
        taken = milliseconds(rounds, in_turns(what))
        busy = [turn for turn in turns if turn > 0.5] or turns
        print(f"{name:<30}{taken:8.2f}   {median(busy):.2f} a turn, {max(turns):.2f} the longest")

    def moved_on(changed: int) -> None:
        for picture in pictures[:changed]:
            panel.show(picture.run, picture)
        panel._refresh()

    def repainted(_: int) -> None:
        for plot in panel.plots.values():
            plot.refresh_lines()

    def pointed(number: int) -> None:
        panel.look_at(each * (number + 1) / (asked.rounds + 2))
        painted(panel.plots["loss"])

    print(f"{asked.points} points over {asked.runs} runs, {asked.rounds} rounds, medians in ms of the thread's time")
    told("first sight", 1, lambda _: panel.show())
    loss = panel.plots["loss"]

    def loss_repainted(_: int) -> None:
        loss.refresh_lines()
        while loss.advance():
            pass
        painted(loss)

    print(f"show() of one picture         {milliseconds(asked.rounds, lambda n: panel.show('0', pictures[0])):8.2f}")
    settle()
    told("another size", asked.rounds, lambda number: panel.resize(1240 - 20 * (number % 2), 800 - 10 * (number % 3)))
    told("one run moved on, all drawn", asked.rounds, lambda _: moved_on(1))
    told("all runs moved on, all drawn", asked.rounds, lambda _: moved_on(asked.runs))
    told("smoothing changed, all drawn", asked.rounds, lambda number: panel.slider.setValue(20 + number))
    told("all plots painted anew", asked.rounds, repainted)
    print(f"read-out moved, with a paint  {milliseconds(asked.rounds, pointed):8.2f}")
    ours = milliseconds(asked.rounds, loss_repainted)
    bare = pyqtgraph_plot(
        app, [(p.curves.step, p.curves.train["total"]) for p in pictures], (loss.width(), loss.height())
    )
    theirs = milliseconds(asked.rounds, lambda _: painted(bare))
    print(f"one plot, raw and smoothed    {ours:8.2f}")
    print(f"bare pyqtgraph, raw only      {theirs:8.2f}   ours is {ours / theirs:.2f} of it")


if __name__ == "__main__":
    main()
