"""A picture of every page in every state, to be looked at: `python -m tests.gallery OUT [--only runs] [--quick]`.

Each scene opens the window on a made-up data folder, in light and dark, at 1280×800 and 1920×1080, at 100 % and 200 % scale;
some also from right to left. `--quick` is light and dark at 1280×800 alone. Beside the pictures it prints what is cut off.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "desktop"))

from core.cache import FOUND_AGAIN  # noqa: E402

SIZES = ((1280, 800), (1920, 1080))
LONG = (
    "a student of a very long name that somebody gave it to tell it from all the others of that same night, number 17"
)
ARABIC = "نموذج صغير لرواية القصص"
UNFINISHED_CACHE = "stories-5M-1b2c3d4e-k100-aaaabbbb"
SETTLE_S = 1.2


@dataclass(frozen=True)
class Scene:
    """`home` is empty or full; `show` brings the window into its state."""

    name: str
    home: str
    show: Callable[[Any], None]
    right_to_left: bool = False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gallery", description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="", help="scenes whose name begins so")
    parser.add_argument("--quick", action="store_true", help="1280×800 at 100 %% alone")
    parser.add_argument("--scale", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.scale:
        return paint(arguments.out.absolute(), arguments.only, arguments.scale, quick=arguments.quick)
    for scale in ("1",) if arguments.quick else ("1", "2"):
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": scale}
        more = ["--quick"] if arguments.quick else []
        command = [
            sys.executable,
            "-m",
            "tests.gallery",
            str(arguments.out),
            "--only",
            arguments.only,
            "--scale",
            scale,
        ]
        subprocess.run([*command, *more], cwd=ROOT, env=environment, check=True)
    return 0


def paint(out: Path, only: str, scale: str, *, quick: bool) -> int:
    from looking import cut_off
    from PySide6.QtCore import Qt

    from desktop_app import theme
    from desktop_app.application import make_application
    from desktop_app.shell.window import Window

    app = make_application()
    with homes() as data_folders:
        for scene in scenes():
            if not scene.name.startswith(only):
                continue
            app.setLayoutDirection(
                Qt.LayoutDirection.RightToLeft if scene.right_to_left else Qt.LayoutDirection.LeftToRight
            )
            for scheme in ("light", "dark"):
                theme.apply(app, scheme)  # type: ignore[arg-type]
                for width, height in SIZES[:1] if quick or scale != "1" else SIZES:
                    window = Window(data_folders[scene.home])
                    window.context.settings.on_close = "keep"
                    window.resize(width, height)
                    window.show()
                    scene.show(window)
                    wait(SETTLE_S)
                    name = f"{scene.name}-{scheme}-{width}x{height}@{scale}"
                    shot(window).save(str(out / f"{name}.png"))
                    for line in cut_off(window):
                        print(f"{name}: {line}")
                    for other in app.topLevelWidgets():
                        if other is not window and other.isVisible():
                            other.close()
                    window.close()
                    window.deleteLater()
    return 0


def shot(window: Any) -> Any:
    """The window, with a dialog or a menu that is open on top of it painted where it stands."""
    from PySide6.QtGui import QPainter
    from PySide6.QtWidgets import QApplication

    picture = window.grab()
    painter = QPainter(picture)
    for other in QApplication.topLevelWidgets():
        if other is not window and other.isVisible() and other.window() is other and other.width() > 40:
            at = window.mapFromGlobal(other.pos())
            painter.drawPixmap(at, other.grab())
    painter.end()
    return picture


def wait(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    from PySide6.QtWidgets import QApplication

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not until():
        QApplication.processEvents()
        time.sleep(0.01)  # the threads' turn


@contextmanager
def homes() -> Iterator[dict[str, Any]]:
    """An empty data folder, one with runs of every kind (one of them alive), and one that has gone."""
    from filelock import FileLock
    from made_up import Alive, a_model, fake_run

    from core.home import Home
    from core.plan import sample_teachers

    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        os.environ["HF_HUB_CACHE"] = str(Path(folder) / "hub")
        home = Home.find(Path(folder) / "full")
        small, teacher = _sample(sample_teachers(), "0.8M"), _sample(sample_teachers(), "2M")
        fields: dict[str, Any] = {"teacher": str(teacher), "teacher_parameters": 2_000_000}
        for number in range(3):
            fake_run(
                home,
                name=f"stories-2M → 0.4x, seed {number}",
                seed=number,
                steps=120,
                student_parameters=800_000,
                tags=("night",),
                **fields,
            )
        fake_run(
            home,
            name="stories-2M → 0.4x (prune, without the teacher)",
            use_teacher=False,
            steps=120,
            student_parameters=800_000,
            seed=5,
            **fields,
        )
        fake_run(home, name=LONG, steps=40, planned=120, state="stopped", tags=("night", "long", ARABIC), **fields)
        fake_run(home, name=ARABIC, state="failed", steps=7, **fields)
        fake_run(home, name="torn by the weather", state="crashed", steps=30, planned=90, **fields)
        stack.enter_context(FileLock(home.runner_lock, is_singleton=False))  # no runner takes up those that wait
        for name in ("tonight, second", "tonight, third"):
            fake_run(home, name=name, state="queued", **fields)
        alive = Alive(
            home, name="stories-2M → 0.4x (prune)", steps=164, planned=400, student_parameters=800_000, **fields
        )
        stack.callback(alive.release)
        shelf = Path(folder) / "models"
        a_model(shelf / "my stories ü", hidden_size=64)
        (a_model(shelf / LONG) / "model.safetensors").write_bytes(b"torn")
        _remember(home, shelf)
        (home.root / "window.ini").write_text("[General]\ngreeted=true\n")
        empty = Home.find(Path(folder) / "empty")
        (empty.root / "window.ini").write_text("[General]\ngreeted=true\n")
        assert small.is_dir()
        lessons = _lessons(Path(folder), teacher)
        yield {"full": home, "empty": empty, "lessons": lessons}


def _lessons(folder: Path, teacher: Path) -> Any:
    """A data folder with caches that fit the sample's plan and some that don't, and with runs of every other kind."""
    import made_up
    import made_up_lessons as made

    import resources.sample
    from core.cache import data_files
    from core.home import Home
    from core.models import tokenizer_identity

    home = Home.find(folder / "lessons")
    (home.root / "window.ini").write_text("[General]\ngreeted=true\n")
    recipe = resources.sample.recipe(home)
    fitting: dict[str, Any] = {"teacher": str(teacher), "tokenizer": tokenizer_identity(teacher)}
    fitting["data"] = data_files(recipe.data)
    whole = made.a_cache(home, "stories-2M-1b2c3d4e-k50-9f8e7d6c", **fitting)
    made.a_cache(home, "stories-2M-1b2c3d4e-k20-0a1b2c3d", top_k=20, **fitting)
    made.a_cache(home, "stories-2M-1b2c3d4e-k50-t2-77aa88bb", temperature=2.0, **fitting)
    made.a_cache(home, "stories-5M-77aa88bb-k32-sample-00112233", tail="sample", top_k=32)
    made.a_cache(home, UNFINISHED_CACHE, top_k=100, finished=False)
    made.a_cache(home, LONG[:80].replace(",", "").replace(" ", "-"), whole=False)
    made.cache_run(home, whole)
    made.write_run(home)
    made.chain_run(home)
    made.lesson_run(home, name="its own words", source="on-policy", objective="reverse_kl", samples=True, steps=120)
    kept = (str(whole), FOUND_AGAIN)
    made.lesson_run(home, name="from kept answers", source="cache", cache=kept, processes=2, launch="accelerate")
    made.a_pilot(home, folder / "shelf")
    made_up.fake_run(
        home, name="for the cluster", state="stopped", steps=30, planned=90, batch_tokens=2048, sequence_length=256
    )
    return home


def _sample(teachers: list[Path], size: str) -> Path:
    return next(path for path in teachers if path.name.endswith(f"-{size}"))


def _remember(home: Any, shelf: Path) -> None:
    from core.library import Library

    with Library(home) as library:
        library.add_folder(shelf)


def scenes() -> list[Scene]:
    """Each page empty, loading, full and in trouble; then the dialogs."""
    return [
        Scene("welcome", "empty", lambda w: _open(w, "welcome")),
        Scene("plan-loading", "full", lambda w: _open(w, "plan", start=False)),
        Scene("plan-first", "empty", lambda w: _open(w, "plan")),
        Scene("plan-sample", "full", lambda w: _open(w, "plan", sample=True, seconds=4.0)),
        Scene("plan-ready", "empty", lambda w: _open(w, "plan", sample=True, seconds=4.0)),
        Scene("plan-problems", "empty", _plan_with_problems),
        Scene("plan-rtl", "full", lambda w: _open(w, "plan", sample=True, seconds=4.0), right_to_left=True),
        Scene("plan-custom", "full", lambda w: _lesson(w, custom=True)),
        Scene("plan-objectives", "full", _objective_list),
        Scene("plan-cache", "lessons", lambda w: _lesson(w, source="cache")),
        Scene("plan-cache-list", "lessons", _cache_list),
        Scene("plan-own-words", "full", lambda w: _lesson(w, source="on-policy", objective="reverse_kl", custom=True)),
        Scene("plan-teachers", "full", _several_teachers),
        Scene("plan-chain", "full", lambda w: _lesson(w, seconds=3.0, student="0.08x", tokens=400_000)),
        Scene("plan-pilot", "full", _pilot),
        Scene("runs-empty", "empty", lambda w: _open(w, "runs")),
        Scene("runs-loading", "full", lambda w: _open(w, "runs", start=False)),
        Scene("runs-alive", "full", lambda w: _open_run(w, "stories-2M → 0.4x (prune)")),
        Scene("runs-finished", "full", lambda w: _open_run(w, "stories-2M → 0.4x, seed 1")),
        Scene("runs-failed", "full", lambda w: _open_run(w, ARABIC)),
        Scene("runs-long", "full", lambda w: _open_run(w, LONG)),
        Scene("runs-overlay", "full", lambda w: _open_runs(w, "seed", "without")),
        Scene("runs-rtl", "full", lambda w: _open_run(w, ARABIC), right_to_left=True),
        Scene("runs-trouble", "full", _gone),
        Scene("runs-pilot", "lessons", lambda w: _open_run(w, "pilot of teachers: teacher-3")),
        Scene("runs-chain", "lessons", lambda w: _open_run(w, "stories-5M → 2M → 0.8M")),
        Scene("runs-own-words", "lessons", _own_words),
        Scene("runs-kept-answers", "lessons", lambda w: _open_run(w, "from kept answers")),
        Scene("runs-cache", "lessons", lambda w: _open_run(w, "answers of stories-5M on stories.txt")),
        Scene("runs-written", "lessons", lambda w: _open_run(w, "stories-5M writes after stories.txt")),
        Scene("runs-launch", "lessons", _launch),
        Scene("models-loading", "full", lambda w: _open(w, "models", start=False)),
        Scene("models-full", "full", lambda w: _open_model(w, "stories-2M")),
        Scene("models-broken", "full", lambda w: _open_model(w, LONG)),
        Scene("models-rtl", "full", lambda w: _open_model(w, "my stories ü"), right_to_left=True),
        Scene("caches-empty", "empty", lambda w: _open(w, "models", cache=Path("none"))),
        Scene("caches-full", "lessons", lambda w: _open_cache(w, "stories-2M-1b2c3d4e-k50-9f8e7d6c")),
        Scene("caches-unfinished", "lessons", lambda w: _open_cache(w, UNFINISHED_CACHE)),
        Scene("caches-broken", "lessons", lambda w: _open_cache(w, LONG[:80].replace(",", "").replace(" ", "-"))),
        Scene("settings", "full", lambda w: _open(w, "settings", seconds=2.0)),
        Scene("message", "full", _message),
        Scene("palette", "full", _palette),
        Scene("about", "full", _about),
        Scene("closing", "full", _closing),
    ]


def _open(window: Any, page: str, *, start: bool = True, seconds: float = 0.8, **what: Any) -> None:
    from desktop_app.context import Wish

    if start:
        window.context.live.start()
        window.context.shelf.refresh()
        wait(6.0, lambda: window.context.live.loaded and window.context.shelf.loaded)
        wait(3.0, lambda: len(window.context.live.rows) > 0 or "empty" in str(window.context.home.root))
    window.open(Wish(page, what))
    wait(seconds)


def _row(window: Any, name: str) -> str:
    return str(next(row.id for row in window.context.live.rows if row.name == name))


def _open_run(window: Any, name: str) -> None:
    _open(window, "settings")
    _open(window, "runs", run=_row(window, name), seconds=1.5)


def _open_runs(window: Any, *words: str) -> None:
    _open(window, "settings")
    chosen = [row.id for row in window.context.live.rows if any(word in row.name for word in words)]
    _open(window, "runs", runs=chosen, seconds=1.5)


def _open_model(window: Any, name: str) -> None:
    _open(window, "settings")
    entry = next(entry for entry in window.context.shelf.entries if entry.name == name)
    _open(window, "models", model=entry.path, seconds=1.0)


def _plan_with_problems(window: Any) -> None:
    from core.distill import DistillRecipe

    recipe = DistillRecipe(teacher="/nowhere/teacher", student="3x", data=("/nowhere/text.txt",), tokens=100)
    _open(window, "plan", recipe=recipe, seconds=2.5)


def _lesson(window: Any, *, seconds: float = 2.0, **changes: Any) -> Any:
    """The sample's plan with these fields, scrolled to the objective's card where they are of it; the page."""
    from desktop_app.plan.page import PlanPage

    _open(window, "plan", sample=True, seconds=2.0)
    page = window.findChild(PlanPage)
    wait(8.0, lambda: bool(page.draft().data))
    if changes:
        page.set_draft(page.draft().changed(changes))
    wait(seconds)
    if {"custom", "source"} & changes.keys():
        _scroll_to(page.form.objective.source if "source" in changes else page.form.objective)
    return page


def _scroll_to(widget: Any) -> None:
    """The widget's top to the top of the column that it is in."""
    from PySide6.QtCore import QPoint
    from PySide6.QtWidgets import QScrollArea

    area = widget.parentWidget()
    while not isinstance(area, QScrollArea):
        area = area.parentWidget()
    area.verticalScrollBar().setValue(widget.mapTo(area.widget(), QPoint(0, 0)).y() - 48)


def _objective_list(window: Any) -> None:
    page = _lesson(window, custom=True)
    page.form.objective.objective.showPopup()


def _cache_list(window: Any) -> None:
    page = _lesson(window, source="cache")
    page.form.objective.source.cache.showPopup()


def _several_teachers(window: Any) -> None:
    from core.plan import sample_teachers

    larger = str(_sample(sample_teachers(), "5M"))
    _lesson(window, more_teachers=(larger,), teacher_weights=(2.0, 1.0))


def _pilot(window: Any) -> None:
    from desktop_app.plan.pilot_dialog import PilotDialog

    page = _lesson(window)
    page.open_pilot()
    dialog = page.findChild(PilotDialog)
    wait(4.0, dialog.start.isEnabled)
    _centre(dialog, window)


def _launch(window: Any) -> None:
    from desktop_app.runs.launching import LaunchDialog
    from desktop_app.runs.page import RunsPage

    _open_run(window, "for the cluster")
    page = window.findChild(RunsPage)
    page.perform("launch")
    wait(2.0, lambda: page.findChild(LaunchDialog) is not None)
    dialog = page.findChild(LaunchDialog)
    dialog.machines.setValue(2)
    dialog.per_machine.setValue(4)
    _centre(dialog, window)


def _centre(dialog: Any, window: Any) -> None:
    """Where a desktop would put it."""
    dialog.move(window.geometry().center() - dialog.rect().center())


def _own_words(window: Any) -> None:
    from desktop_app.runs.page import RunsPage

    _open_run(window, "its own words")
    detail = window.findChild(RunsPage).detail
    detail.tabs.setCurrentIndex(1)
    detail.samples_pane.choice.option("own").click()


def _open_cache(window: Any, name: str) -> None:
    _open(window, "models", cache=window.context.home.caches / name, seconds=1.0)


def _gone(window: Any) -> None:
    _open(window, "runs")
    window.context.live.take_trouble(
        f"The data folder {window.context.home.root} is gone or can't be read. Bring it back, or choose another one with --home."
    )


def _message(window: Any) -> None:
    _open(window, "models")
    window.context.say("stories-2M → 0.4x, seed 1 is in the trash.", "good", action_text="Undo", action=lambda: None)


def _palette(window: Any) -> None:
    _open(window, "runs")
    window.open_palette()


def _about(window: Any) -> None:
    _open(window, "models")
    window.about()


def _closing(window: Any) -> None:
    from desktop_app.shell.closing import ClosingQuestion

    _open(window, "models")
    question = ClosingQuestion(1, 2, window)
    question.show()


if __name__ == "__main__":
    from desktop_app.__main__ import leave

    leave(main())  # as the program itself does
