"""How soon the window is there: `python -m tests.bench.startup [--rounds 9]`.

Whole processes from start to the end of the first paint, off screen: the bare cost (import PySide6 and pyqtgraph, show an
empty plot) beside ours on a first start (the welcome page) and on a later one (the Plan page, its chart included), in turns
of random order. Prints medians and the median of the paired ratios.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BARE = """
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
import pyqtgraph
app = QApplication([])
class Plot(pyqtgraph.PlotWidget):
    def paintEvent(self, event):
        super().paintEvent(event)
        QTimer.singleShot(0, app.quit)
plot = Plot()
plot.resize(1280, 800)
plot.show()
app.exec()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        first, later = Path(folder) / "first", Path(folder) / "later"
        later.mkdir()
        (later / "window.ini").write_text("[General]\ngreeted=true\npage=plan\n")
        window = ["-m", "desktop_app", "--quit-after-first-paint", "--home"]
        arms = {"bare": ["-c", BARE], "welcome": [*window, str(first)], "plan": [*window, str(later)]}
        for arm in arms.values():
            _seconds(arm)  # warm the disk
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(rounds):
            for name in random.sample(list(arms), len(arms)):
                seconds[name].append(_seconds(arms[name]))
    for name, times in seconds.items():
        ratios = [ours / bare for ours, bare in zip(times, seconds["bare"], strict=True)]
        spread = statistics.quantiles(times, n=4)
        print(
            f"{name:8} {statistics.median(times):.2f} s ({spread[0]:.2f}-{spread[2]:.2f})   "
            f"{statistics.median(ratios):.2f} of bare"
        )
    return 0


def _seconds(arguments: list[str]) -> float:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    before = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - before


if __name__ == "__main__":
    sys.exit(main())
