"""The Data page: any file is recognised and looked at as a model will see it, counted, prepared, and handed to the pages that learn from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from looking import cut_off, nameless, unreachable
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog
from pytestqt.qtbot import QtBot

import resources
from core import runs
from core.data.preview import Shown
from core.data.rendering import Segment
from core.data.shelf import added_data
from core.home import Home
from core.prepare import PrepareRecipe
from core.state import History
from desktop_app import theme
from desktop_app.charts.histogram import Histogram
from desktop_app.context import Context, Message, Wish
from desktop_app.data.fetching import FetchDialog
from desktop_app.data.page import DataPage
from desktop_app.data.preparing import PrepareDialog
from desktop_app.data.reading import View
from desktop_app.data.rendered import RenderedView
from desktop_app.data.sifted import SiftedView
from desktop_app.data.statistics import StatisticsView
from desktop_app.data.table import NAME
from desktop_app.runs.data_card import DataCard
from desktop_app.runs.page import RunsPage
from desktop_app.shell.dropped import sorted_drop
from desktop_app.shell.window import Window

SAMPLE = Path(resources.__path__[0]) / "sample"


def chat(number: int, answer: str = "") -> dict[str, Any]:
    said = answer or f"It is {number}, and that is all there is to say about it."
    return {"messages": [{"role": "user", "content": f"What is {number}?"}, {"role": "assistant", "content": said}]}


def write_lines(file: Path, rows: list[Any]) -> Path:
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "my data ü"
    made.mkdir()
    return made


@pytest.fixture
def chats(folder: Path) -> Path:
    return write_lines(folder / "chats.jsonl", [chat(number) for number in range(60)])


@pytest.fixture
def table(folder: Path) -> Path:
    file = folder / "questions.csv"
    file.write_text("Frage,Antwort\nWie viele?,Sieben.\nWo?,Hier.\n", encoding="utf-8")
    return file


class Bench:
    """A Data page on screen, with what it said and wished."""

    def __init__(self, context: Context, qtbot: QtBot) -> None:
        self.qtbot, self.context = qtbot, context
        self.said: list[Message] = []
        self.wishes: list[Wish] = []
        context.said.connect(self.said.append)
        context.wished.connect(self.wishes.append)
        self.page = DataPage(context)
        qtbot.addWidget(self.page)
        self.page.resize(1200, 720)
        self.page.show()
        self.page.opened()
        self.until(lambda: self.page.sets.loaded)

    def until(self, true: Callable[[], bool], seconds: float = 15.0) -> None:
        self.qtbot.waitUntil(true, timeout=int(1000 * seconds))

    def click(self, button: QAbstractButton) -> None:
        assert button.isVisible(), button.text()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def drop(self, *paths: Path) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        self.page.dragEnterEvent(QDragEnterEvent(QPoint(5, 5), copy, data, left, none))
        self.page.dropEvent(QDropEvent(QPointF(5, 5), copy, data, left, none))

    def add(self, *paths: Path) -> None:
        """Drop them, and wait until the last is looked at and all are counted."""
        self.drop(*paths)
        self.until(lambda: set(paths) <= {entry.path for entry in self.page.sets.entries})
        self.until(lambda: all(entry.broken or entry.documents is not None for entry in self.page.sets.entries))
        self.seen(self.page.view.path() or paths[0])

    def pick(self, path: Path) -> None:
        self.page.view.pick(path)
        self.seen(path)

    def seen(self, path: Path) -> None:
        self.until(lambda: self.page.glimpse is not None and self.page.glimpse.path == path)

    def names(self) -> list[str]:
        shown = self.page.view.filter
        return [shown.index(row, NAME).data() for row in range(shown.rowCount())]

    def button(self, text: str) -> QAbstractButton:
        return next(one for one in self.page.detail.buttons if one.text() == text)

    def text(self) -> str:
        return self.page.detail.preview.rendered.toPlainText()

    def choose(self, name: str, column: str) -> None:
        """A column for a field, as the user would."""
        choice = self.page.detail.preview.columns.choices[name]
        choice.setCurrentIndex(choice.findData(column))
        choice.activated.emit(choice.currentIndex())


@pytest.fixture
def bench(context: Context, qtbot: QtBot) -> Bench:
    return Bench(context, qtbot)


def test_an_empty_page_says_what_can_be_dropped_and_offers_it(bench: Bench) -> None:
    assert bench.page.empty.isVisible()
    assert "Drop files or folders here" in bench.page.empty.words.text()
    assert not bench.page.search.isVisible()


def test_dropped_files_are_recognised_and_the_first_is_shown_with_its_rows(
    bench: Bench, chats: Path, table: Path, home: Home
) -> None:
    bench.add(chats)
    assert bench.names() == ["chats.jsonl"]
    assert "Chat messages: turns with “role” and “content”." in bench.page.detail.format.text()
    bench.until(lambda: "60 conversations" in bench.page.detail.amount.whole())
    assert "What is 0?" in bench.text()
    assert "What is 4?" in bench.text()
    assert "What is 5?" not in bench.text()
    assert added_data(home) == [chats]
    assert bench.said[-1].text == "Added chats.jsonl."


def test_files_are_opened_by_dialog(bench: Bench, chats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(chats)], ""))
    bench.page.empty.acted.emit("files")
    bench.until(lambda: bench.names() == ["chats.jsonl"])


def test_what_is_learnt_and_special_tokens_are_marked_by_more_than_colour(qtbot: QtBot, context: Context) -> None:
    view = RenderedView()
    qtbot.addWidget(view)
    pieces = (Segment("<s>", True, False), Segment("Hi\n", False, False), Segment("Hello", False, True))
    view.show_rows(
        [Shown("line 3 of /a.jsonl", "conversation", "messages", "", pieces, 9, 4, ("A thing.",))], one_file=True
    )
    assert "Line 3 · 9 tokens, 4 of them learnt" in view.toPlainText()
    assert "Mind: A thing." in view.toPlainText()
    cursor = view.document().find("Hello")
    assert cursor.charFormat().fontUnderline() or cursor.charFormat().underlineStyle().value
    special = view.document().find("<s>").charFormat()
    assert special.fontFamilies() != cursor.charFormat().fontFamilies()


def test_a_model_and_its_template_show_their_special_tokens(bench: Bench, chats: Path) -> None:
    bench.context.shelf.refresh()
    bench.until(lambda: bench.context.shelf.loaded)
    bench.add(chats)
    pane = bench.page.detail.preview
    pane.model.setCurrentIndex(pane.model.findData(str(SAMPLE / "stories-2M")))
    pane.model.activated.emit(pane.model.currentIndex())
    bench.until(lambda: bench.page.glimpse is not None and bench.page.glimpse.view.model is not None)
    assert "Tuning would take the template Plain" in pane.note.text()
    pane.template.setCurrentIndex(pane.template.findData("chatml"))
    pane.template.activated.emit(pane.template.currentIndex())
    bench.until(lambda: "<|im_start|>user" in bench.text())
    assert "of them learnt" in bench.text()
    assert "a special token" in pane.legend.text()
    again = DataPage(bench.context)  # the choice is remembered
    bench.qtbot.addWidget(again)
    assert again.detail.preview.view() == pane.view()


def test_unknown_columns_are_named_by_hand_and_the_rows_follow(bench: Bench, table: Path, home: Home) -> None:
    bench.add(table)
    assert bench.page.detail.preview.columns.isVisible()
    assert "no column has a name that is known" in bench.page.detail.format.text()
    assert "Say first which column" in bench.button("Tune on this…").toolTip()
    bench.choose("prompt", "Frage")
    bench.choose("completion", "Antwort")
    bench.until(lambda: "Sieben." in bench.text())
    bench.until(lambda: "2 conversations" in bench.page.detail.amount.whole())
    assert bench.page.detail.format.text() == "Prompt, completion: columns named by hand."
    assert "Prepare questions.csv first" in bench.button("Distill with this…").toolTip()
    bench.click(bench.button("Tune on this…"))
    wanted = {"data": [str(table)], "mapping": {"prompt": "Frage", "completion": "Antwort"}, "separator": None}
    assert bench.wishes == [Wish("tune", {**wanted, "skip_broken": False})]
    bench.click(bench.page.detail.preview.columns.back)
    bench.until(lambda: "no column has a name that is known" in bench.page.detail.format.text())


def test_a_broken_line_is_named_and_can_be_skipped(bench: Bench, folder: Path) -> None:
    rows: list[Any] = [chat(number) for number in range(300)]
    rows[199] = '{"messages": [{"role"'
    rows[9] = chat(9, " ")
    bench.add(write_lines(folder / "torn.jsonl", rows))
    detail = bench.page.detail
    bench.until(lambda: "Line 200 of torn.jsonl is not valid JSON" in detail.problems.text())
    assert "an answer is empty (first: line 10 of torn.jsonl" in detail.problems.text()
    bench.qtbot.mouseClick(detail.skip, Qt.MouseButton.LeftButton, pos=QPoint(10, detail.skip.height() // 2))
    assert bench.page.reading(folder / "torn.jsonl").skip_broken
    bench.click(bench.button("Tune on this…"))
    assert bench.wishes[-1].what["skip_broken"] is True


def test_what_cannot_be_read_is_listed_with_the_reason_and_forgotten(bench: Bench, folder: Path, chats: Path) -> None:
    latin = folder / "latin.txt"
    latin.write_bytes("Käse\n".encode("latin-1"))
    bench.add(chats, latin)
    assert sorted(bench.names()) == ["chats.jsonl", "latin.txt"]
    bench.pick(latin)
    assert "line 1 has the byte 0xe4 at column 2" in bench.page.detail.format.text()
    assert "can't be read" in bench.button("Tune on this…").toolTip()
    bench.click(bench.button("Forget"))
    bench.until(lambda: bench.names() == ["chats.jsonl"])
    assert latin.exists()


def test_forgetting_keeps_the_file_and_can_be_undone(bench: Bench, chats: Path, home: Home) -> None:
    bench.add(chats)
    bench.click(bench.button("Forget"))
    bench.until(lambda: bench.said[-1].action is not None)
    assert added_data(home) == []
    assert chats.exists()
    assert bench.said[-1].action is not None
    bench.said[-1].action()
    bench.until(lambda: added_data(home) == [chats])


def test_several_are_picked_for_a_mixture_and_the_buttons_say_so(bench: Bench, chats: Path, folder: Path) -> None:
    other = write_lines(folder / "more.jsonl", [chat(number) for number in range(9)])
    bench.add(chats, other)
    bench.page.view.selectAll()
    bench.click(bench.button("Distill with these 2…"))
    assert sorted(bench.wishes[-1].what["data"]) == sorted([str(chats), str(other)])
    bench.click(bench.button("Prepare these 2…"))
    dialog = bench.page.findChild(PrepareDialog)
    assert dialog is not None
    bench.click(dialog.how.option("shares"))
    dialog.weights[0].setText("3")
    recipe = dialog.recipe()
    assert recipe.weights == (3.0, 1.0)
    assert (recipe.device, recipe.share_device) == ("cpu", True)  # it waits for no accelerator
    dialog.reject()


def test_the_form_of_preparing_says_what_is_wrong_beside_the_field(
    context: Context, qtbot: QtBot, bench: Bench, chats: Path
) -> None:
    bench.add(chats)
    bench.click(bench.button("Prepare…"))
    dialog = bench.page.findChild(PrepareDialog)
    assert dialog is not None
    bench.until(dialog.start_button.isEnabled)
    dialog.keep.setText("(")
    bench.until(lambda: "no regular expression" in dialog.keep_field.problem.text())
    assert not dialog.start_button.isEnabled()
    assert "no regular expression" in dialog.start_button.toolTip()
    dialog.keep.clear()
    dialog.validation.setText("many")
    bench.until(lambda: "many is no number" in dialog.validation_field.problem.text())
    dialog.validation.setText("10")
    dialog.least.setText("20")
    bench.until(dialog.start_button.isEnabled)
    wanted = PrepareRecipe(data=(str(chats),), validation=0.1, least_characters=20, device="cpu", share_device=True)
    assert dialog.recipe().model_dump() == {**wanted.model_dump(), "model": dialog.model.value() or None}
    dialog.reject()


def test_a_hub_name_is_judged_as_it_is_typed(context: Context, qtbot: QtBot) -> None:
    dialog = FetchDialog(context)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.fetch.toolTip() == "Name a data set."
    qtbot.keyClicks(dialog.name, "no name at all")
    assert "is no name of a data set" in dialog.name_field.problem.text()
    dialog.name.setText("owner/name")
    assert dialog.fetch.isEnabled()
    assert dialog.recipe().split == "train"
    assert nameless(dialog) == []


def test_a_quick_walk_through_the_table_leaves_all_parts_with_the_last(bench: Bench, chats: Path, table: Path) -> None:
    bench.add(chats, table)
    bench.pick(chats)
    bench.page.view.pick(table)
    bench.page.detail.preview.view_changed.emit(View())  # while the pause has not ended
    bench.page.view.pick(chats)
    bench.qtbot.wait(400)
    detail = bench.page.detail
    assert detail.entry() == bench.page.sets.entry(chats)
    assert detail.statistics.path == chats
    bench.until(lambda: bench.page.glimpse is not None and bench.page.glimpse.path == chats)


def test_the_filter_takes_words_over_name_and_format(bench: Bench, chats: Path, table: Path) -> None:
    bench.add(chats, table)
    bench.qtbot.keyClicks(bench.page.search, "messages")
    assert bench.names() == ["chats.jsonl"]
    bench.page.search.setText("no such thing")
    bench.until(lambda: bench.page.nothing_picked.isVisible())
    assert "No data set has all these words" in bench.page.nothing_picked.text()


def test_the_histogram_says_each_bar_and_what_the_context_cuts(qtbot: QtBot, context: Context) -> None:
    view = StatisticsView()
    qtbot.addWidget(view)
    view.resize(600, 600)
    view.show()
    results = {
        "documents": 12, "unit": "tokens", "tokens": 5000, "lengths": {"edges": [10, 20, 40, 80], "counts": [3, 8, 1]},
        "context": 32, "truncated": 0.25, "truncated_tokens": 0.1, "exact_duplicates": 2, "exact_duplicates_shown": ["line 4 of /x/a.jsonl"],
        "near_duplicates": None, "roles": {"user": 12}, "flaws": [{"text": "an answer is empty", "count": 1, "first": "line 2 of /x/a.jsonl"}],
    }  # fmt: skip
    view.show_results(results)
    said: list[str] = []
    view.histogram.read_out.connect(said.append)
    qtbot.keyClick(view.histogram, Qt.Key.Key_Right)
    qtbot.keyClick(view.histogram, Qt.Key.Key_Right)
    assert said == ["10–19 tokens: 3 rows, 25.0%", "20–39 tokens: 8 rows, 66.7%"]
    assert "Most rows have 20–39 tokens" in view.histogram.accessibleDescription()
    facts = {fact.name: fact for one in (view.leading, view.trailing) for part in one.sections() for fact in part.facts}
    assert facts["Cut at 32"].value == "25% of the rows"
    assert facts["The very same"].reason == "first: line 4 of a.jsonl"
    assert facts["1"].value == "An answer is empty."
    view.show_results({"lengths": "written by another version"})
    assert not view.histogram.isVisible()


def test_a_hovered_bar_is_read_out_and_leaving_takes_it_back(qtbot: QtBot, context: Context) -> None:
    chart = Histogram()
    qtbot.addWidget(chart)
    chart.resize(500, 240)
    chart.show()
    chart.show_counts([1, 2, 4, 8], [1, 0, 5], None, "tokens", "rows")
    with qtbot.waitSignal(chart.read_out, check_params_cb=lambda text: "4–7 tokens: 5 rows" in text):
        qtbot.mouseMove(chart, QPoint(460, 120))


def test_what_each_filter_dropped_is_shown_with_its_first_rows(qtbot: QtBot, context: Context) -> None:
    view = SiftedView()
    qtbot.addWidget(view)
    shown = [{"place": "line 7 of /a.jsonl", "text": "Too short"}]
    view.show_results({"read": 10, "kept": 8, "filters": [{"reason": "shorter than 20 characters", "dropped": 2, "share": 0.2, "shown": shown}]})  # fmt: skip
    text = view.toPlainText()
    assert "Of 10 rows 8 are kept." in text
    assert "2 (20%) · Shorter than 20 characters." in text
    assert "Line 7  Too short" in text


def test_a_drop_on_the_window_goes_to_the_page_that_it_is_for(folder: Path, chats: Path) -> None:
    recipe = folder / "recipe.json"
    recipe.write_text('{"kind": "distill", "teacher": "x", "data": ["y"]}')
    array = folder / "array.json"
    array.write_text(json.dumps([{"instruction": "Say hi", "output": "Hi"}]))
    found = sorted_drop([recipe, array, chats, folder, SAMPLE / "stories-2M", SAMPLE / "stories-2M" / "config.json"])
    assert found.recipes == [recipe]
    assert found.data == [array, chats, folder]
    assert found.models == [SAMPLE / "stories-2M", SAMPLE / "stories-2M" / "config.json"]


def test_models_that_are_dropped_here_are_offered_to_the_models_page(bench: Bench) -> None:
    bench.drop(SAMPLE / "stories-2M")
    bench.until(lambda: bool(bench.said))
    assert bench.said[-1].text == "stories-2M holds models, not data."
    assert bench.said[-1].action is not None
    bench.said[-1].action()
    assert bench.wishes[-1] == Wish("models", {"dropped": (SAMPLE / "stories-2M",)})


def test_nothing_is_cut_off_nameless_or_out_of_reach(bench: Bench, chats: Path, table: Path) -> None:
    bench.add(chats, table)
    for path in (chats, table):
        bench.pick(path)
        for area in ("rows", "statistics"):
            bench.page.detail.show_area(area)
            bench.qtbot.wait(50)
            assert cut_off(bench.page) == []
            assert nameless(bench.page) == []
            assert unreachable(bench.page) == []


# --- with real engines ------------------------------------------------------------------------------------------------


@pytest.fixture
def window(home: Home, qapp: QApplication) -> Iterator[Window]:
    theme.apply(qapp, "light")
    made = Window(home)
    made.context.settings.on_close = "keep"
    made.context.settings.greeted = True
    made.show()
    made.context.live.start()
    made.context.shelf.refresh()
    yield made
    made.close()
    for run in list(runs.all_runs(home)):
        runs.discard(run)


def data_page(window: Window, qtbot: QtBot, file: Path) -> DataPage:
    """The page, with the dropped file on it."""
    window.open(Wish("data", {"dropped": (file,)}))
    page = window.page()
    assert isinstance(page, DataPage)
    qtbot.waitUntil(lambda: page.glimpse is not None and page.glimpse.path == file, timeout=15_000)
    return page


@pytest.mark.slow
def test_statistics_stop_at_a_broken_line_and_go_on_without_it(window: Window, qtbot: QtBot, folder: Path) -> None:
    file = write_lines(folder / "torn.jsonl", [*(chat(number) for number in range(80)), chat(3), "{torn"])
    page = data_page(window, qtbot, file)
    page.detail.areas.option("statistics").click()
    pane = page.detail.statistics
    qtbot.mouseClick(pane.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: pane.skip_button.isVisible(), timeout=60_000)
    assert "Line 82 of" in pane.trouble.text()
    qtbot.mouseClick(pane.skip_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: pane.survey() is not None, timeout=60_000)
    survey = pane.survey()
    assert survey is not None
    assert (survey.results["documents"], survey.results["exact_duplicates"], survey.results["broken"]) == (81, 1, 1)
    assert pane.results.histogram.isVisible()


@pytest.mark.slow
def test_filters_are_tried_and_the_prepared_data_are_listed(
    window: Window, qtbot: QtBot, home: Home, folder: Path
) -> None:
    page = data_page(
        window, qtbot, write_lines(folder / "twice.jsonl", [*(chat(number) for number in range(80)), chat(3)])
    )
    page.detail.buttons[2].click()
    dialog = page.findChild(PrepareDialog)
    assert dialog is not None
    qtbot.waitUntil(dialog.try_it.isEnabled, timeout=10_000)
    qtbot.mouseClick(dialog.try_it, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "Of 81 rows 80 are kept." in dialog.effect.toPlainText(), timeout=60_000)
    qtbot.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: any(entry.source == "run" for entry in page.sets.entries), timeout=60_000)
    made = next(entry for entry in page.sets.entries if entry.source == "run")
    assert made.documents == 80
    (run,) = runs.all_runs(home)  # the trial is gone
    window.open(Wish("runs", {"run": run.id}))
    shown = window.page()
    assert isinstance(shown, RunsPage)
    qtbot.waitUntil(lambda: shown.detail.overview.data.isVisible(), timeout=15_000)
    assert "The same stood there before" in shown.detail.data.sifted.toPlainText()


def test_the_card_of_a_run_leads_to_its_data(qtbot: QtBot, context: Context, home: Home) -> None:
    card = DataCard()
    qtbot.addWidget(card)
    files = {"train.jsonl": {"documents": 76, "bytes": 9000}}
    sources = [{"path": "/a/chats.jsonl", "taken": 80, "epochs": 2.0}]
    card.show_data("prepare", History(results={"read": 81, "kept": 80, "folder": "/runs/1/data", "files": files, "sources": sources}), None)  # fmt: skip
    facts = {fact.name: fact.value for section in card.facts.sections() for fact in section.facts}
    assert facts == {"Rows kept": "80 of 81", "chats.jsonl": "80 rows · 2×", "train.jsonl": "76 rows · 9 kB"}
    with qtbot.waitSignal(card.data_wanted, check_params_cb=lambda path: path == Path("/runs/1/data")):
        qtbot.mouseClick(card.show_button, Qt.MouseButton.LeftButton)
    card.show_data("distill", History(), None)
    assert not card.isVisible()
