"""The Models page: what is at hand can be seen, found, used, added, forgotten and deleted, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_up import Alive, a_model
from made_up_tune import an_adapter
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QLabel, QPushButton
from pytestqt.qtbot import QtBot

import resources
from core.home import Home
from core.library import Library, added_folders
from core.runs import RunFolder
from desktop_app.context import Context, Message, Wish
from desktop_app.models import deletion
from desktop_app.models.detail import _Link
from desktop_app.models.dropped import look_at
from desktop_app.models.page import COLUMNS, ModelsPage
from desktop_app.models.table import ARCHITECTURE, NAME, PARAMETERS, TOKENIZER, ModelView

SAMPLE = Path(resources.__path__[0]) / "sample"


class Bench:
    """A Models page on screen, with what it said and wished."""

    def __init__(self, context: Context, qtbot: QtBot) -> None:
        self.qtbot, self.context = qtbot, context
        self.said: list[Message] = []
        self.wishes: list[Wish] = []
        context.said.connect(self.said.append)
        context.wished.connect(self.wishes.append)
        self.page = ModelsPage(context)
        qtbot.addWidget(self.page)
        self.page.resize(1200, 720)
        self.page.show()
        self.page.opened()
        self.until(lambda: context.shelf.loaded)

    def until(self, true: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(true, timeout=15_000)

    def names(self) -> list[str]:
        shown = self.page.view.filter
        return [shown.index(row, NAME).data() for row in range(shown.rowCount())]

    def pick(self, path: Path) -> None:
        self.page.pick(path)
        self.until(lambda: self.page.facts is not None and self.page.facts.path == path)

    def button(self, text: str) -> QPushButton:
        return next(one for one in self.page.findChildren(QPushButton) if one.text() == text)

    def links(self) -> list[_Link]:
        return [link for link in self.page.detail.findChildren(_Link) if link.isVisibleTo(self.page)]

    def click(self, button: QAbstractButton) -> None:
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def answer(self, text: str) -> str:
        """Press a button of the question on screen; returns what was asked."""
        self.until(lambda: self.page.removal.question is not None)
        box = self.page.removal.question
        assert box is not None
        asked = f"{box.text()}\n{box.informativeText()}"
        self.click(next(one for one in box.buttons() if one.text() == text))
        return asked

    def drop(self, *paths: Path) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        self.page.dragEnterEvent(QDragEnterEvent(QPoint(5, 5), copy, data, left, none))
        self.page.dropEvent(QDropEvent(QPointF(5, 5), copy, data, left, none))

    def texts(self) -> str:
        return "\n".join(
            label.text() for label in self.page.detail.findChildren(QLabel) if label.isVisibleTo(self.page)
        )


@pytest.fixture
def bench(context: Context, qtbot: QtBot) -> Bench:
    return Bench(context, qtbot)


@pytest.fixture
def shelf(tmp_path: Path, home: Home) -> Path:
    """An added folder with a good model and a torn one."""
    folder = tmp_path / "shelf"
    a_model(folder / "good")
    (a_model(folder / "torn") / "model.safetensors").write_bytes(b"torn")
    with Library(home) as library:
        library.add_folder(folder)
    return folder


def test_all_models_are_listed_and_a_broken_one_says_why(shelf: Path, bench: Bench) -> None:
    assert bench.names() == ["good", "stories-0.8M", "stories-2M", "stories-5M", "torn"]
    bench.pick(shelf / "torn")
    assert "does not begin like a safetensors file" in bench.texts()
    assert not bench.button("Use as teacher").isEnabled()
    assert "can't be used" in bench.button("Use as teacher").toolTip()


def test_the_filter_takes_words_over_all_columns_and_sorting_goes_by_size(shelf: Path, bench: Bench) -> None:
    bench.qtbot.keyClicks(bench.page.search, "sample 5m")
    assert bench.names() == ["stories-5M"]
    bench.page.search.setText("broken")
    assert bench.names() == ["torn"]
    bench.page.search.setText("no such thing")
    assert bench.page.nothing_picked.isVisible()
    assert "No model has all these words" in bench.page.nothing_picked.text()
    bench.page.search.setText("stories")
    bench.page.view.sortByColumn(PARAMETERS, Qt.SortOrder.DescendingOrder)
    assert bench.names() == ["stories-5M", "stories-2M", "stories-0.8M"]


def test_models_of_one_tokenizer_carry_the_same_letter(shelf: Path, bench: Bench) -> None:
    shown = bench.page.view.filter
    letters = {shown.index(row, NAME).data(): shown.index(row, TOKENIZER).data() for row in range(shown.rowCount())}
    assert letters["stories-5M"] == letters["stories-2M"] == letters["stories-0.8M"] == "A"
    assert letters["good"] == "–"  # it has no tokenizer


def test_a_refresh_keeps_the_pick_and_the_new_model_comes(shelf: Path, bench: Bench) -> None:
    bench.pick(SAMPLE / "stories-2M")
    a_model(shelf / "another")
    bench.context.shelf.refresh()
    bench.until(lambda: "another" in bench.names())
    assert bench.page.view.path() == SAMPLE / "stories-2M"


def test_a_model_is_used_as_teacher_or_student(bench: Bench) -> None:
    bench.pick(SAMPLE / "stories-2M")
    bench.click(bench.button("Use as teacher"))
    bench.click(bench.button("Use as student"))
    assert [(wish.page, wish.what) for wish in bench.wishes] == [
        ("plan", {"teacher": SAMPLE / "stories-2M"}),
        ("plan", {"student": SAMPLE / "stories-2M"}),
    ]


def test_a_model_is_evaluated_and_compared_and_an_adapter_where_its_base_is(
    shelf: Path, bench: Bench, tmp_path: Path
) -> None:
    base, orphan = shelf / "good", tmp_path / "shelf" / "orphan"
    fitting = an_adapter(shelf / "polite", base)
    an_adapter(orphan, base, fingerprint="0" * 16)
    bench.context.shelf.refresh()
    bench.until(lambda: bench.context.shelf.entry(orphan) is not None)
    for model in (base, fitting):
        bench.pick(model)
        for text, what in (("Evaluate…", "evaluate"), ("Compare", "models")):
            bench.click(bench.button(text))
            assert (bench.wishes[-1].page, bench.wishes[-1].what) == ("compare", {what: [str(model)]})
    bench.wishes.clear()
    for refused, why in ((orphan, "not those that orphan was trained on"), (shelf / "torn", "can't be used")):
        bench.page.pick(refused)
        bench.until(lambda why=why: why in bench.button("Evaluate…").toolTip())
        for text in ("Evaluate…", "Compare"):
            assert not bench.button(text).isEnabled()
            assert why in bench.button(text).toolTip()
    assert bench.wishes == []


def test_copy_path_puts_the_path_on_the_clipboard(bench: Bench) -> None:
    bench.pick(SAMPLE / "stories-2M")
    bench.click(bench.button("Copy path"))
    assert QGuiApplication.clipboard().text() == str(SAMPLE / "stories-2M")


def test_the_runs_a_model_took_part_in_lead_to_the_runs_page(
    context: Context, home: Home, fake_run: Callable[..., RunFolder], qtbot: QtBot
) -> None:
    run = fake_run(home, name="learnt from five", teacher=str(SAMPLE / "stories-5M"))
    with Library(home) as library:
        library.refresh_runs()
        context.live.rows = library.runs()
    bench = Bench(context, qtbot)
    bench.pick(SAMPLE / "stories-5M")
    bench.until(lambda: bool(bench.links()))
    assert [link.accessibleName() for link in bench.links()] == ["learnt from five, taught in it, finished"]
    bench.click(bench.links()[0])
    assert bench.wishes == [Wish("runs", {"run": run.id})]


def test_a_dropped_folder_of_models_is_added_and_picked(bench: Bench, tmp_path: Path) -> None:
    a_model(tmp_path / "many" / "deep" / "first")
    bench.drop(tmp_path / "many")
    bench.until(lambda: "first" in bench.names())
    bench.until(lambda: bench.page.view.path() == tmp_path / "many" / "deep" / "first")
    assert bench.said[-1].text == "Added many."


def test_a_dropped_weight_file_stands_for_its_folder(bench: Bench, tmp_path: Path) -> None:
    bench.drop(a_model(tmp_path / "one") / "model.safetensors")
    bench.until(lambda: "one" in bench.names())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("holiday.png", "holiday.png is a picture (4.1 kB)."),
        ("install.sh", "install.sh is a script or program (4.1 kB)."),
        ("model.gguf", "made for running a model"),
        ("pytorch_model.bin", "can't be opened safely"),
        ("weights.zip", "unpack it first"),
        ("thing", "thing is a file (4.1 kB)."),
    ],
)
def test_a_drop_that_is_no_model_says_what_it_is_and_what_was_expected(
    bench: Bench, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / name).write_bytes(bytes(4096))
    bench.drop(tmp_path / name)
    bench.until(lambda: bool(bench.said))
    assert words in bench.said[-1].text
    assert "A model is a folder with config.json and .safetensors files." in bench.said[-1].text


def test_odd_drops_never_raise(tmp_path: Path) -> None:
    (tmp_path / "empty" / "er" / "deep" / "deeper").mkdir(parents=True)
    a_model(tmp_path / "empty" / "er" / "deep" / "deeper" / "model")
    large = tmp_path / "large.bin"
    with large.open("wb") as stream:
        stream.truncate(10 * 10**9)  # a hole: it takes no room
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert look_at(tmp_path / "empty").kind == "folder"  # deeper than two levels
    assert (look_at(large).kind, look_at(large).size_bytes) == ("pickle", 10 * 10**9)
    assert look_at(tmp_path / "gone").kind == "gone"
    assert look_at(tmp_path / "loop").kind == "unread"
    assert look_at(Path("/dev/null")).kind == "file"


def test_a_folder_is_added_by_dialog(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = a_model(tmp_path / "chosen")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    bench.click(bench.page.add)
    bench.until(lambda: "chosen" in bench.names())


def test_forgetting_keeps_the_files_and_can_be_undone(shelf: Path, bench: Bench, home: Home) -> None:
    bench.pick(SAMPLE / "stories-2M")
    assert bench.button("Forget").toolTip() == "Only what you added can be forgotten."
    bench.pick(shelf / "good")
    bench.click(bench.button("Forget"))
    bench.until(lambda: "good" not in bench.names())
    assert (shelf / "good" / "config.json").exists()
    assert added_folders(home) == []
    assert bench.said[-1].action is not None
    bench.said[-1].action()
    bench.until(lambda: "good" in bench.names())


def test_deleting_asks_with_the_size_and_moves_to_the_trash(
    shelf: Path, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_trash(folder: Path) -> bool:
        folder.rename(tmp_path / "trashed")
        return True

    monkeypatch.setattr(deletion, "to_trash", to_trash)
    bench.pick(shelf / "good")
    bench.click(bench.button("Delete from disk…"))
    asked = bench.answer("Keep")
    assert "Delete good from disk?" in asked
    assert "Frees 11.4 kB: 2 files" in asked
    assert (shelf / "good").exists()
    bench.click(bench.button("Delete from disk…"))
    bench.answer("Delete")
    bench.until(lambda: "good" not in bench.names())
    assert (tmp_path / "trashed" / "config.json").exists()


def test_where_there_is_no_trash_deleting_for_good_is_offered(
    shelf: Path, bench: Bench, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "to_trash", lambda _folder: False)
    bench.pick(shelf / "torn")
    bench.click(bench.button("Delete from disk…"))
    bench.answer("Delete")
    assert "can't be undone" in bench.answer("Delete for good")
    bench.until(lambda: "torn" not in bench.names())
    assert not (shelf / "torn").exists()
    assert added_folders(home) == [shelf]


@pytest.mark.parametrize("strange", ["photos/holiday.png", "thesis.docx"])
def test_a_folder_that_holds_more_than_a_model_is_not_deleted(
    shelf: Path, context: Context, qtbot: QtBot, strange: str
) -> None:
    (shelf / "good" / strange).parent.mkdir(exist_ok=True)
    (shelf / "good" / strange).write_bytes(b"mine")
    bench = Bench(context, qtbot)
    bench.pick(shelf / "good")
    assert not bench.button("Delete from disk…").isEnabled()
    assert strange in bench.button("Delete from disk…").toolTip()


def test_what_came_into_the_folder_while_the_question_stood_is_not_deleted(shelf: Path, bench: Bench) -> None:
    bench.pick(shelf / "good")
    bench.click(bench.button("Delete from disk…"))
    (shelf / "good" / "thesis.docx").write_bytes(b"mine")
    bench.answer("Delete")
    bench.until(lambda: bool(bench.said))
    assert "good was not deleted" in bench.said[-1].text
    assert (shelf / "good" / "thesis.docx").exists()


def test_the_sample_a_link_and_the_users_own_folder_are_never_deleted(
    shelf: Path, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deletion.may_delete(home, SAMPLE / "stories-2M", "sample", None, "", []) == deletion.Refusal("sample")
    link = tmp_path / "link"
    link.symlink_to(shelf / "good")
    assert deletion.may_delete(home, link, "added", shelf, "", []) == deletion.Refusal("link")
    assert deletion.may_delete(home, shelf / "good", "added", None, "", []) == deletion.Refusal("outside")
    monkeypatch.setenv("HOME", str(shelf / "good" / "me"))
    assert deletion.may_delete(home, shelf / "good", "added", shelf, "", []) == deletion.Refusal("outside")


def test_a_model_that_a_living_run_reads_is_not_deleted(
    shelf: Path, context: Context, home: Home, alive: Callable[..., Alive], qtbot: QtBot
) -> None:
    alive(name="at work", teacher=str(shelf / "good"))
    with Library(home) as library:
        library.refresh_runs()
        context.live.rows = library.runs()
    bench = Bench(context, qtbot)
    bench.pick(shelf / "good")
    assert "at work is using it" in bench.button("Delete from disk…").toolTip()


def test_before_the_models_are_read_and_where_they_cannot_be_the_page_says_so(
    context: Context, home: Home, qtbot: QtBot
) -> None:
    home.model_folders.write_text("{")
    page = ModelsPage(context)
    qtbot.addWidget(page)
    page.show()
    assert page.state.text() == "Looking for models…"
    home.library.mkdir()  # what is no file can't be opened
    page.opened()
    qtbot.waitUntil(lambda: page.again.isVisible(), timeout=15_000)
    assert "can't be used" in page.state.text()
    home.library.rmdir()
    home.model_folders.unlink()
    qtbot.mouseClick(page.again, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.view.isVisible(), timeout=15_000)


def test_a_library_of_a_newer_version_is_said_on_the_page(bench: Bench) -> None:
    bench.context.shelf.notice = "The library was written by a newer version of Stillroom."
    bench.context.shelf.changed.emit()
    assert bench.page.notice.isVisible()
    assert "newer version" in bench.page.notice.text()


def columns_of(view: ModelView) -> list[int]:
    """The columns that are shown, once they are seen to lie side by side from edge to edge."""
    header = view.horizontalHeader()
    shown = [column for column in range(header.count()) if not view.isColumnHidden(column)]
    ends = [header.sectionPosition(column) + header.sectionSize(column) for column in shown]
    assert [header.sectionPosition(column) for column in shown] == [0, *ends[:-1]]
    assert min(header.sectionSize(column) for column in shown) > 40
    assert ends[-1] == view.viewport().width()
    return shown


def test_the_names_fill_the_table_at_every_width_and_after_every_return(bench: Bench, context: Context) -> None:
    view = bench.page.view
    for width in (1200, 1800, 1200, 1800):
        bench.page.resize(width, 720)
        narrow = width == 1200
        bench.until(lambda narrow=narrow: view.isColumnHidden(ARCHITECTURE) == narrow)  # type: ignore[misc]
        assert (ARCHITECTURE in columns_of(view)) != narrow
        bench.qtbot.wait(50)  # it is remembered
        bench.page.opened()
        assert (ARCHITECTURE in columns_of(view)) != narrow
        other = ModelView()
        bench.qtbot.addWidget(other)
        other.resize(1000 if narrow else 800, 500)
        other.show()
        other.restore_header(context.settings.layout(COLUMNS))
        assert (ARCHITECTURE in columns_of(other)) == narrow


def test_a_column_that_was_remembered_without_a_width_has_its_own(qtbot: QtBot) -> None:
    views = [ModelView(), ModelView()]
    for view, width in zip(views, (1000, 800), strict=True):
        qtbot.addWidget(view)
        view.resize(width, 500)
        view.show()
    views[0].horizontalHeader().resizeSection(ARCHITECTURE, 0)
    views[1].restore_header(views[0].horizontalHeader().saveState())
    assert ARCHITECTURE not in columns_of(views[1])
    views[1].resize(1000, 500)
    assert ARCHITECTURE in columns_of(views[1])
