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
HELD: list[Any] = []  # runs that are alive until the picture is taken


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
                    let_go()
                    for line in cut_off(window):
                        print(f"{name}: {line}")
                    for other in app.topLevelWidgets():
                        if other is not window and other.isVisible():
                            other.close()
                    window.close()
                    window.deleteLater()
    return 0


def let_go() -> None:
    """The runs that were held alive are gone, so that the next window finds none that crashed."""
    from core import runs

    while HELD:
        one = HELD.pop()
        one.release()
        runs.discard(one.run)


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
    import made_up_data
    import made_up_merges
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
        made_up_data.files(Path(folder) / "data", ARABIC)
        made_up_data.survey_run(home, Path(folder) / "data" / "chats.json", small)
        made_up_data.prepare_run(home, Path(folder) / "data")
        _tunings(home, Path(folder), small)
        shelf = Path(folder) / "models"
        a_model(shelf / "my stories ü", hidden_size=64)
        (a_model(shelf / LONG) / "model.safetensors").write_bytes(b"torn")
        _remember(home, shelf)
        (home.root / "window.ini").write_text("[General]\ngreeted=true\n")
        empty = Home.find(Path(folder) / "empty")
        (empty.root / "window.ini").write_text("[General]\ngreeted=true\n")
        assert small.is_dir()
        lessons = _lessons(Path(folder), teacher)
        merges = made_up_merges.data_folder(Path(folder), LONG)
        yield {"full": home, "empty": empty, "lessons": lessons, "merges": merges}


def _tunings(home: Any, folder: Path, base: Path) -> None:
    """Tunings of both kinds, adapters of the sample's smallest model, and one whose base has changed."""
    import made_up_tune as made

    persona, pairs = made.persona_file(folder / "persona.json"), made.pairs_file(folder / "pairs.json")
    said = {"persona_name": "Ada", "persona_author": "the house", "epochs": 20.0}
    made.tune_run(home, base, persona, name="Ada, an assistant", preset="persona", **said)
    made.tune_run(home, base, pairs, name="polite answers preferred", objective="dpo", epochs=1.0)
    made.an_adapter(folder / "models" / "politeness", base)
    made.an_adapter(folder / "models" / "of a base that has changed", base, fingerprint="0" * 16)


def _lessons(folder: Path, teacher: Path) -> Any:
    """A data folder with caches that fit the sample's plan and some that don't, and with runs of every other kind."""
    import made_up
    import made_up_exports
    import made_up_lessons as made

    import resources.sample
    from core.cache import data_files
    from core.home import Home
    from core.tokenizer import tokenizer_identity

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
    made_up_exports.export_run(home, teacher)
    made_up_exports.export_run(home, teacher, name="an export that ran on", state="failed")
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
        Scene("plan-measured", "full", _plan_measured),
        Scene("plan-teachers", "full", _several_teachers),
        Scene("plan-chain", "full", lambda w: _lesson(w, seconds=3.0, student="0.08x", tokens=400_000)),
        Scene("plan-pilot", "full", _pilot),
        Scene("tune-loading", "full", _tune_loading),
        Scene("tune-empty", "empty", lambda w: _open(w, "tune", seconds=2.0)),
        Scene("tune-full", "full", _tune),
        Scene("tune-preview", "full", lambda w: _tune(w, at="preview")),
        Scene("tune-purpose", "full", lambda w: _tune(w, at="purpose")),
        Scene("tune-method", "full", lambda w: _tune(w, at="method")),
        Scene("tune-more", "full", lambda w: _tune(w, at="more")),
        Scene("tune-pairs", "full", lambda w: _tune(w, "pairs.json", at="preview")),
        Scene("tune-problems", "full", _tune_problems),
        Scene("tune-rtl", "full", lambda w: _tune(w, at="purpose"), right_to_left=True),
        Scene("runs-tuned", "full", lambda w: _open_run(w, "Ada, an assistant")),
        Scene("runs-preferred", "full", lambda w: _open_run(w, "polite answers preferred")),
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
        Scene("data-empty", "empty", lambda w: _open(w, "data")),
        Scene("data-loading", "full", _data_loading),
        Scene("data-full", "full", lambda w: _open_data(w, "chats.json", model="stories-2M")),
        Scene("data-columns", "full", lambda w: _open_data(w, "Fragen.csv")),
        Scene("data-broken-line", "full", lambda w: _open_data(w, "torn.jsonl")),
        Scene("data-unread", "full", lambda w: _open_data(w, "latin.txt")),
        Scene("data-statistics", "full", lambda w: _open_data(w, "chats.json", area="statistics")),
        Scene("data-no-statistics", "full", lambda w: _open_data(w, "Fragen.csv", area="statistics")),
        Scene("data-prepare", "full", _prepare),
        Scene("data-hub", "full", _hub),
        Scene("data-rtl", "full", lambda w: _open_data(w, f"{ARABIC}.jsonl"), right_to_left=True),
        Scene("data-trouble", "full", _data_trouble),
        Scene("runs-survey", "full", lambda w: _open_run(w, "survey of chats.json")),
        Scene("runs-prepared", "full", lambda w: _open_run(w, "chats and questions, mixed")),
        Scene("models-loading", "full", lambda w: _open(w, "models", start=False)),
        Scene("models-full", "full", lambda w: _open_model(w, "stories-2M")),
        Scene("models-broken", "full", lambda w: _open_model(w, LONG)),
        Scene("models-adapter", "full", lambda w: _open_model(w, "politeness")),
        Scene("models-orphan", "full", lambda w: _open_model(w, "of a base that has changed")),
        Scene("models-merge-adapter", "full", _merge_adapter),
        Scene("models-rtl", "full", lambda w: _open_model(w, "my stories ü"), right_to_left=True),
        Scene("export-dialog", "full", _export),
        Scene("export-problems", "full", lambda w: _export(w, target="ollama", out="/etc", push="no name")),
        Scene("export-rtl", "full", _export, right_to_left=True),
        Scene("export-rounding", "full", _rounding),
        Scene("runs-exported", "lessons", lambda w: _open_run(w, "stories-2M as gguf q8_0")),
        Scene("runs-export-failed", "lessons", lambda w: _open_run(w, "an export that ran on")),
        Scene("hub-first", "empty", lambda w: _open(w, "hub", student=60_000_000, seconds=1.5)),
        Scene("hub-found", "full", _hub_page),
        Scene("hub-gated", "full", lambda w: _hub_page(w, "them/gated")),
        Scene("hub-none", "full", lambda w: _hub_page(w, text="no such model")),
        Scene("hub-unreachable", "full", lambda w: _hub_page(w, text="pythia", reached=False)),
        Scene("hub-rtl", "full", _hub_page, right_to_left=True),
        Scene("caches-empty", "empty", lambda w: _open(w, "models", cache=Path("none"))),
        Scene("caches-full", "lessons", lambda w: _open_cache(w, "stories-2M-1b2c3d4e-k50-9f8e7d6c")),
        Scene("caches-unfinished", "lessons", lambda w: _open_cache(w, UNFINISHED_CACHE)),
        Scene("caches-broken", "lessons", lambda w: _open_cache(w, LONG[:80].replace(",", "").replace(" ", "-"))),
        Scene("merge-empty", "empty", lambda w: _open(w, "merge")),
        Scene("merge-loading", "full", lambda w: _open(w, "merge", start=False)),
        Scene("merge-tree", "merges", _merge_tree),
        Scene("merge-misfit", "merges", lambda w: _merge(w, "tales", "wide")),
        Scene("merge-unfinished", "merges", lambda w: _merge(w, "tales")),
        Scene("merge-recipe", "merges", _merge_recipe),
        Scene("merge-sweep", "merges", lambda w: _merge_sweep(w)),
        Scene("merge-sweep-empty", "full", lambda w: _merge_sweep(w, "empty")),
        Scene("merge-rtl", "merges", _merge_tree, right_to_left=True),
        Scene("runs-merge", "merges", lambda w: _open_run(w, "tales and songs, half and half")),
        Scene("runs-sweep-map", "merges", lambda w: _open_run(w, "songs over density and weight")),
        Scene("chat-empty", "empty", lambda w: _open(w, "chat")),
        Scene("chat-loading", "full", lambda w: _open(w, "chat", start=False)),
        Scene("chat-models-loading", "full", lambda w: _chat(w, loads=False)),
        Scene("chat-full", "full", lambda w: _chat(w, ("What is copper?", "Show me code that greets."))),
        Scene("chat-four", "full", lambda w: _chat(w, ("What is copper?",), columns=4)),
        Scene("chat-settings", "full", _chat_settings),
        Scene("chat-four-settings", "full", lambda w: _chat_settings(w, columns=4)),
        Scene("chat-writing", "full", lambda w: _chat(w, ("What is copper?",), holds=True)),
        Scene("chat-blind", "full", lambda w: _chat(w, ("What is copper?",), blind=True)),
        Scene("chat-died", "full", _chat_died),
        Scene("chat-failed", "full", lambda w: _chat(w, ("What is copper?",), broken=frozenset({"stories-0.8M"}))),
        Scene("chat-long", "full", lambda w: _chat(w, (LONG, ARABIC), long=True)),
        Scene("chat-rtl", "full", lambda w: _chat(w, ("What is copper?", ARABIC)), right_to_left=True),
        Scene("compare-empty", "empty", lambda w: _open(w, "compare")),
        Scene("compare-loading", "full", _compare_loading),
        Scene("compare-full", "full", _compare),
        Scene("compare-retention", "full", lambda w: _compare(w).scores.scale.option("retention").click()),
        Scene("compare-growing", "full", _compare_growing),
        Scene("compare-few", "full", lambda w: _compare(w, few=True)),
        Scene("compare-quality", "full", lambda w: _compare(w).tabs.setCurrentIndex(1)),
        Scene("compare-curves", "full", _compare_curves),
        Scene("compare-settings", "full", lambda w: _compare_runs(w).tabs.setCurrentIndex(3)),
        Scene("compare-samples", "full", lambda w: _compare_runs(w).tabs.setCurrentIndex(4)),
        Scene("compare-trouble", "full", _compare_trouble),
        Scene("compare-rtl", "full", _compare, right_to_left=True),
        Scene("compare-leaderboard", "full", lambda w: _compare_area(w, "leaderboard")),
        Scene(
            "compare-specialised",
            "full",
            lambda w: _compare_area(w, "leaderboard").leaderboard.view.option("abilities").click(),
        ),
        Scene("compare-leaderboard-empty", "empty", lambda w: _compare_area(w, "leaderboard")),
        Scene("compare-judged", "full", lambda w: _compare_area(w, "judged")),
        Scene("compare-judged-empty", "empty", lambda w: _compare_area(w, "judged")),
        Scene("compare-picking", "full", _compare_picking),
        Scene("compare-evaluate", "full", _compare_evaluate),
        Scene("compare-judge", "full", _compare_judge),
        Scene("runs-evaluated", "full", _runs_evaluated),
        Scene("runs-measured", "full", _runs_measured),
        Scene("runs-measured-first", "full", lambda w: _runs_measured(w, ())),
        Scene("runs-measured-once", "full", lambda w: _runs_measured(w, COURSE[:1])),
        Scene("runs-measured-many", "full", lambda w: _runs_measured(w, MANY, f"{ARABIC} {LONG}")),
        Scene("runs-measured-rtl", "full", lambda w: _runs_measured(w, MANY, ARABIC), right_to_left=True),
        Scene("settings", "full", lambda w: _open(w, "settings", seconds=2.0)),
        Scene("settings-hub", "full", lambda w: _open(w, "settings", part="hub", seconds=2.0)),
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


def _open_data(window: Any, name: str, *, area: str = "rows", model: str = "") -> Any:
    """The Data page with the made-up files on it and one of them picked; the page."""
    from desktop_app.data.page import DataPage
    from desktop_app.data.reading import View

    _open(window, "data")
    page = window.findChild(DataPage)
    files = sorted((window.context.home.root.parent / "data").iterdir())
    added: list[Any] = []
    page.sets.added.connect(added.append)
    page.add_paths(files)
    wait(15.0, lambda: bool(added))
    entry = next((entry for entry in window.context.shelf.entries if entry.name == model), None)
    page.detail.preview.view_changed.emit(View(entry.path, "chatml") if entry is not None else View())
    picked = next(entry.path for entry in page.sets.entries if entry.name == name)
    page.view.pick(picked)
    wait(10.0, lambda: page.glimpse is not None and page.glimpse.path == picked)
    page.detail.show_area(area)
    wait(1.5, lambda: area == "statistics" and page.detail.statistics.survey() is not None)
    return page


def _data_loading(window: Any) -> None:
    from desktop_app.data.page import DataPage

    _open(window, "data", start=False, seconds=0.0)
    page = window.findChild(DataPage)
    page.sets.loaded, page.sets.entries = False, []
    page.sets._latest.drop()
    page.sets.changed.emit()


def _data_trouble(window: Any) -> None:
    from core.errors import LibraryTrouble
    from desktop_app.data.page import DataPage

    _data_loading(window)
    where = window.context.home.data_sets
    trouble = LibraryTrouble(
        f"{where} can't be read: Expecting value.", "Mend it, or remove it and add the data again."
    )
    window.findChild(DataPage).sets.troubled.emit(trouble)


def _prepare(window: Any) -> None:
    import made_up_data

    from desktop_app.data.preparing import PrepareDialog

    page = _open_data(window, "chats.json")
    page.view.pick_all([entry.path for entry in page.sets.entries if entry.name in ("chats.json", "torn.jsonl")])
    page.detail.buttons[2].click()
    wait(1.0)
    dialog = page.findChild(PrepareDialog)
    dialog.how.option("shares").click()
    dialog.keep.setText("(")
    dialog.effect.show_results(made_up_data.prepared())
    wait(1.0)
    _centre(dialog, window)


def _hub(window: Any) -> None:
    from desktop_app.data.fetching import FetchDialog

    page = _open_data(window, "chats.json")
    page.fetch.click()
    wait(0.5)
    dialog = page.findChild(FetchDialog)
    dialog.name.setText("no name at all")
    _centre(dialog, window)


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


def _tune(window: Any, data: str = "persona.json", *, at: str = "") -> Any:
    """A tuning of the sample's smallest model, scrolled to a part of the form; the page."""
    from desktop_app.tune.draft import Draft

    _open(window, "tune", seconds=0.5)
    page, folder = window.page(), window.context.home.root.parent
    base = next(entry.path for entry in window.context.shelf.entries if entry.name == "stories-0.8M")
    draft = Draft(str(base), data=(str(folder / data),))
    if data == "persona.json":
        draft = draft.for_purpose("persona").changed({"persona_name": "Ada", "persona_author": "the house"})
    page.set_draft(draft)
    wait(15.0, page._settled)
    form = page.form
    if at == "more":
        form.more_settings.open()
        form.more.build_all()
        wait(0.5)
    parts = {"preview": form.data.template_field, "purpose": form.purpose, "method": form.method, "more": form.more}
    if at:
        _scroll_to(parts[at])
    return page


def _tune_loading(window: Any) -> None:
    window.context.shelf.refresh = lambda: None  # as long as it takes
    _open(window, "tune", start=False)


def _tune_problems(window: Any) -> None:
    from desktop_app.tune.draft import Draft

    page = _tune(window)
    base = next(entry.path for entry in window.context.shelf.entries if entry.name == "of a base that has changed")
    torn = window.context.home.root.parent / "data" / "latin.txt"
    page.set_draft(Draft(str(base), data=(str(torn),)).changed({"rank": 0}))
    wait(15.0, page._settled)


def _merge_adapter(window: Any) -> None:
    from desktop_app.models.merging import MergeDialog
    from desktop_app.models.page import ModelsPage

    _open_model(window, "politeness")
    page = window.findChild(ModelsPage)
    wait(5.0, lambda: page.facts is not None and page.facts.adapter is not None)
    page._run("models.merge")
    wait(5.0, lambda: page.findChild(MergeDialog) is not None)
    _centre(page.findChild(MergeDialog), window)


def _scroll_to(widget: Any) -> None:
    """The widget's top to the top of the column that it is in."""
    from PySide6.QtCore import QPoint
    from PySide6.QtWidgets import QScrollArea

    area = widget.parentWidget()
    while not isinstance(area, QScrollArea):
        area = area.parentWidget()
    area.verticalScrollBar().setValue(widget.mapTo(area.widget(), QPoint(0, 0)).y() - 48)


def _plan_measured(window: Any) -> None:
    page = _lesson(window, measure_every=200, measure_tasks=("arc_easy", "piqa"), measure_pairs="/nowhere/blimp")
    page.form.go_to("measure_every")
    wait(1.0)
    _scroll_to(page.form.fields()["measure_every"])


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


def _chat(window: Any, said: tuple[str, ...] = (), *, columns: int = 2, blind: bool = False, **ways: Any) -> Any:
    """A conversation with models that are made up, over an engine that is, too."""
    import chat_stand_in as made

    from core import speaker
    from core.plan import sample_teachers

    long = ways.pop("long", False)
    answer = (lambda column: f"{LONG} {ARABIC}\n\n" * 4) if long else made.an_answer
    fields = {"answers": staticmethod(answer), "templates": dict.fromkeys(made.CHATTING, made.TEMPLATE), **ways}
    speaker.Speaker = type("Scene", (made.StandIn,), fields)  # type: ignore[misc]
    family = [str(_sample(sample_teachers(), size)) for size in ("2M", "0.8M", "5M")]
    _open(window, "chat", models=([*family, family[0]])[:columns], seconds=1.2)
    page = window.page()
    if blind:
        page.blind_button.click()
    for text in said:
        page.composer.put(text)
        page.composer.send.click()
        wait(4.0, lambda: not page._writing() or ways.get("holds", False))
        wait(0.4)
    return page


def _chat_settings(window: Any, **ways: Any) -> None:
    page = _chat(window, ("What is copper?",), **ways)
    page.settings_button.setChecked(True)


def _chat_died(window: Any) -> None:
    import chat_stand_in as made

    _chat(window, ("What is copper?",), holds=True)
    made.StandIn.made[-1].die()


def _merge(window: Any, *names: str, method: str = "linear") -> Any:
    """The Merge page with these models in one merge, which is picked; the page."""
    from desktop_app.merge.page import MergePage

    _open(window, "merge")
    page = window.findChild(MergePage)
    page.add_a_merge()
    key = page.canvas.picked_key()
    for name in names:
        page.add_model(window.context.home.root.parent / "family" / name)
    page.draft = page.draft.with_method(key, method)
    _judged(page)
    page.canvas.pick(key)
    return page


def _judged(page: Any) -> None:
    page.judgement = None
    page._show()
    page._judge()
    wait(10.0, lambda: page.judgement is not None)
    page.canvas.show_all()


def _merge_tree(window: Any) -> Any:
    import made_up_merges

    from desktop_app.merge.page import MergePage

    _open(window, "merge", file=made_up_merges.tree_file(window.context.home))
    page = window.findChild(MergePage)
    wait(6.0, lambda: not page.draft.empty)
    _judged(page)
    page.canvas.pick("result")
    return page


def _merge_recipe(window: Any) -> None:
    page = _merge_tree(window)
    page.areas.option("recipe").click()
    page.recipe.edit.setPlainText(page.recipe.edit.toPlainText().replace("ties", "teis"))
    page.recipe.apply.click()


def _merge_sweep(window: Any, *models: str) -> None:
    page = _merge(window, *(models or ("tales", "songs"))) if models != ("empty",) else _merge(window)
    page.areas.option("sweep").click()


def _family() -> list[Path]:
    from core.plan import sample_teachers

    return [_sample(sample_teachers(), size) for size in ("5M", "2M", "0.8M")]


def _with_scores(window: Any, *, few: bool = False) -> list[Path]:
    """The sample's family with figures that are made up, once in a data folder."""
    import made_up_scores as made

    home, family = window.context.home, _family()
    if not (home.root / "verdicts.jsonl").exists():
        for at, model in enumerate(family):
            figures = {task: value - 0.06 * at for task, value in made.SIX.items() if at < 2 or task != "boolq"}
            told = {"decode_tokens_per_second": 900.0 * (at + 1), "memory_bytes": 4.2e7 / (at + 1), "device": "cpu"}
            made.evaluation_run(home, model, figures, bits_per_byte=0.41 + 0.05 * at, speed=told)
        made.some_verdicts(home, family[0], family[1])
    return family


def _compare(window: Any, *, few: bool = False) -> Any:
    family = _with_scores(window)
    _open(window, "compare", seconds=0.3)
    page = window.page()
    page._take_words([str(model) for model in family])
    wait(10.0, lambda: page._seen is not None)
    wait(0.6)
    if few:
        page.scores._choose_axes({axis.column for axis in page.scores._offered[:2]})
    return page


def _compare_runs(window: Any) -> Any:
    _with_scores(window)
    _open(window, "compare", seconds=0.3)
    page = window.page()
    page._take_words([row.id for row in window.context.live.rows if "seed" in row.name or "without" in row.name])
    wait(10.0, lambda: page._seen is not None and len(page._seen.comparison.entries) > 1)
    wait(0.6)
    return page


def _compare_curves(window: Any) -> None:
    _compare_runs(window).tabs.setCurrentIndex(2)
    wait(1.5)


def _compare_loading(window: Any) -> None:
    _open(window, "compare", start=False, seconds=0.0)
    page = window.page()
    page._words = [str(model) for model in _family()]
    page.look()
    page._latest.drop()


COURSE = (  # of a student, from checkpoint to checkpoint
    {"arc_easy": 0.31, "piqa": 0.52, "boolq": 0.49, "hellaswag": 0.26, "winogrande": 0.5},
    {"arc_easy": 0.41, "piqa": 0.55, "boolq": 0.52, "hellaswag": 0.29, "winogrande": 0.49},
    {"arc_easy": 0.47, "piqa": 0.6, "boolq": 0.55, "hellaswag": 0.33, "winogrande": 0.52},
)


MANY = tuple(
    {f"a_group_of_benchmarks_with_a_long_name_{n}": 0.3 + 0.04 * at + 0.02 * n for n in range(14)} for at in range(3)
)


def _watched(
    window: Any, courses: tuple[dict[str, float], ...] = COURSE, name: str = "stories-2M → 0.4x, measured"
) -> str:
    """A training that was measured at its checkpoints, and waits for the next evaluation, which has some figures; its id."""
    import made_up_scores as made
    from made_up import Alive

    home, (teacher, *_) = window.context.home, _family()
    every, count = 40, len(courses)
    fields: dict[str, Any] = {"measure_every": every, "measure_tasks": tuple(made.SIX), "measure_files": str(home.root)}
    training = Alive(
        home, name=name, planned=every * (count + 2), steps=every * (count + 1), teacher=str(teacher), **fields
    )
    HELD.append(training)
    for at, figures in enumerate(courses, 1):
        made.measured(home, training.run, training.journal, at * every, figures, seconds=0.6)
    training.journal.append(made.ev.PhaseEntered("measuring", f"step {every * (count + 1)}"))
    with made.borrowed(home, training.run, every * (count + 1)) as folder:
        asked = (*(f"{task}@0" for task in made.SIX), "gsm8k_cot@8")
        HELD.append(made.Going(home, folder, asked, f"{name}, step {every * (count + 1)}"))
    return str(training.run.id)


def _runs_measured(
    window: Any, courses: tuple[dict[str, float], ...] = COURSE, name: str = "measured as it goes"
) -> None:
    run = _watched(window, courses, name)
    _open(window, "settings")
    wait(5.0, lambda: any(row.id == run for row in window.context.live.rows))
    _open(window, "runs", run=run, seconds=2.0)
    _scroll_to(window.page().detail.overview.measured)


def _compare_growing(window: Any) -> None:
    family = _with_scores(window)
    run = _watched(window)
    _open(window, "compare", seconds=0.3)
    wait(5.0, lambda: sum(row.id == run or row.kind == "evaluate" for row in window.context.live.rows) > 1)
    page = window.page()
    page._take_words([str(family[0]), run])
    wait(10.0, lambda: bool(page._seen and page._seen.going))
    for task, value in (("arc_easy", 0.52), ("piqa", 0.62), ("boolq", 0.5)):
        HELD[-1].come(task, value)
    wait(4.0, lambda: any(len(told) == 3 for told in page._told.values()))
    wait(0.5)


def _compare_trouble(window: Any) -> None:
    page = _compare(window)
    page._take_words([*page.words(), "/nowhere/" + LONG])
    wait(4.0, lambda: bool(page._seen.troubles))


def _compare_area(window: Any, area: str) -> Any:
    if "empty" not in str(window.context.home.root):
        _with_scores(window)
    _open(window, "compare", area=area, seconds=2.0)
    return window.page()


def _compare_picking(window: Any) -> None:
    from desktop_app.compare.pick_list import PickDialog

    page = _compare(window)
    page.ask_more()
    _centre(page.findChild(PickDialog), window)


def _compare_evaluate(window: Any) -> None:
    from desktop_app.evaluate.dialog import EvaluateDialog

    page = _compare(window)
    page.open_evaluate()
    dialog = page.findChild(EvaluateDialog)
    dialog.tasks.setText("arc_easy, humaneval@0")
    wait(1.5)
    _centre(dialog, window)


def _compare_judge(window: Any) -> None:
    from desktop_app.evaluate.judging import JudgeDialog

    page = _compare(window)
    page.open_judge()
    _centre(page.findChild(JudgeDialog), window)


def _runs_evaluated(window: Any) -> None:
    _with_scores(window)
    _open(window, "settings")
    wait(3.0, lambda: any(row.kind == "evaluate" for row in window.context.live.rows))
    row = next(row for row in window.context.live.rows if row.kind == "evaluate" and row.state == "finished")
    _open(window, "runs", run=row.id, seconds=1.5)


def _export(window: Any, target: str = "gguf", out: str = "", push: str = "") -> None:
    from desktop_app.export.dialog import ExportDialog
    from desktop_app.models.page import ModelsPage

    _open_model(window, "stories-2M")
    page = window.findChild(ModelsPage)
    next(one for one in page.detail.buttons if one.text() == "Export…").click()
    wait(8.0, lambda: page.findChild(ExportDialog) is not None)
    dialog = page.findChild(ExportDialog)
    dialog.target.option(target).click()
    for edit, text in ((dialog.out, out), (dialog.push, push)):
        if text:
            edit.setText(text)
            edit.textEdited.emit(text)
    wait(1.0)
    _centre(dialog, window)


def _rounding(window: Any) -> None:
    from desktop_app.export.rounding import RoundingDialog
    from desktop_app.models.page import ModelsPage

    _open_model(window, "stories-2M")
    page = window.findChild(ModelsPage)
    next(one for one in page.detail.buttons if one.text() == "What int8 does…").click()
    wait(15.0, lambda: "matrices" in page.findChild(RoundingDialog).summary.text())
    _centre(page.findChild(RoundingDialog), window)


def _hub_page(window: Any, name: str = "them/tiny-stories-1.1B", text: str = "them", *, reached: bool = True) -> None:
    """What a Hub that is made up answers, with downloads in every state."""
    import made_up_hub

    from desktop_app.hub.page import HubPage

    _open(window, "hub", student=330_000_000, seconds=0.5)
    page = window.findChild(HubPage)
    made_up_hub.answer(reached=reached)
    page.search.setText(text)
    page.go.click()
    wait(6.0, lambda: not page.asking)
    page.view.pick(name)
    wait(2.0, lambda: page.detail.details is not None)
    if reached and text == "them":
        page.downloads.look()


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
