"""The Chat page: models side by side, words that stream, branches, settings, votes, conversations; nothing said is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chat_stand_in import TEMPLATE, StandIn
from made_up import Alive, a_model
from made_up_tune import an_adapter
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QAbstractButton, QMenu, QPushButton
from pytestqt.qtbot import QtBot

import resources
from core import chat, speaker
from core.conversations import Conversations
from core.home import Home
from core.library import Library
from core.runs import RunFolder
from core.votes import verdicts
from desktop_app.chat.page import ChatPage
from desktop_app.chat.turn import AnswerView, TurnView
from desktop_app.chat.written import Written, whole_part
from desktop_app.context import Context, Message, Wish


class Bench:
    """A Chat page on screen, over a made-up engine."""

    def __init__(self, context: Context, qtbot: QtBot) -> None:
        self.qtbot, self.context = qtbot, context
        self.said: list[Message] = []
        self.wishes: list[Wish] = []
        context.said.connect(self.said.append)
        context.wished.connect(self.wishes.append)
        self.page = ChatPage(context)
        qtbot.addWidget(self.page)
        self.page.resize(1200, 720)
        self.page.show()
        self.page.opened()
        self.until(lambda: context.shelf.loaded)

    def until(self, true: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(true, timeout=15_000)

    def click(self, button: QAbstractButton) -> None:
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def talk_with(self, *names: str) -> None:
        folders = [next(str(e.path) for e in self.context.shelf.entries if e.name == name) for name in names]
        self.page.opened(models=folders)
        self.until(lambda: all(member.loaded or member.failure for member in self.page.members))

    def say(self, text: str) -> None:
        self.type(text)
        self.until(self.quiet)

    def type(self, text: str) -> None:
        field = self.page.composer.words
        field.setFocus()
        self.qtbot.keyClicks(field, text)
        self.qtbot.keyClick(field, Qt.Key.Key_Return)

    def quiet(self) -> bool:
        return not self.page._writing()

    def turns(self) -> list[TurnView]:
        return [self.page.turns.views[turn.said.id] for turn in self.page._turns()]

    def answer(self, turn: int, column: str) -> AnswerView:
        return self.turns()[turn].answers[column]

    def engine(self) -> StandIn:
        return StandIn.made[-1]

    def messages(self, column: str) -> list[tuple[str, str]]:
        """What the model of a column was given last."""
        found = next(one for one in self.engine().spoken()[-1].columns if one.id == column)
        return [(message.role, message.content) for message in found.messages]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    """An engine that answers at once; its ways are set on the class for one test."""

    class OfThisTest(StandIn):
        pass

    StandIn.made.clear()
    monkeypatch.setattr(speaker, "Speaker", OfThisTest)
    return OfThisTest


@pytest.fixture
def bench(context: Context, qtbot: QtBot, engine: type[StandIn]) -> Iterator[Bench]:
    made = Bench(context, qtbot)
    yield made
    thread = made.page.speech.close()
    if thread is not None:
        thread.join(timeout=5)


def test_one_press_talks_with_two_of_the_samples_models(bench: Bench) -> None:
    assert bench.page.stack.currentWidget() is bench.page.beginning
    press = next(
        one for one in bench.page.beginning.findChildren(QPushButton) if one.text().startswith("Talk with two")
    )
    bench.click(press)
    bench.until(lambda: all(member.loaded for member in bench.page.members))
    assert [member.name for member in bench.page.members] == ["stories-2M", "stories-0.8M"]
    assert "No chat template" in bench.page.hint.words.text()
    bench.click(bench.page.hint.suggestion)
    assert bench.page.composer.words.toPlainText() == "Once upon a time, there was a"


def test_a_finished_run_offers_its_teacher_in_grey_and_its_student(
    bench: Bench, home: Home, fake_run: Callable[..., RunFolder]
) -> None:
    teacher = next(str(e.path) for e in bench.context.shelf.entries if e.name == "stories-2M")
    run = fake_run(home, name="sample", teacher=teacher)
    a_model(run.artifacts / "student") if not (run.artifacts / "student").exists() else None
    bench.context.live.start()
    bench.until(lambda: any(row.model for row in bench.context.live.rows))
    bench.context.shelf.refresh()
    student = next(row.model for row in bench.context.live.rows if row.model)
    bench.until(lambda: bench.context.shelf.entry(student) is not None)
    bench.page.opened()
    press = next(
        one for one in bench.page.beginning.findChildren(QPushButton) if one.text().startswith("Talk with teacher")
    )
    bench.click(press)
    assert [member.part for member in bench.page.members] == ["teacher", "student"]


def test_all_models_answer_with_figures_and_the_words_are_on_the_disk(bench: Bench, home: Home) -> None:
    bench.talk_with("stories-2M", "stories-0.8M")
    bench.say("hello")
    assert bench.answer(0, "stories-2M").text.toPlainText() == "answer of stories-2M"
    assert bench.answer(0, "stories-0.8M").text.toPlainText() == "answer of stories-0.8M"
    figures = bench.answer(0, "stories-2M").figures.text().replace("\u00a0", " ")
    assert figures == "31.2 tokens/s · first after 50 ms · 4 tokens"
    assert "16 of 512 tokens" in bench.page.heads.heads["stories-2M"].state.text()
    (kept,) = Conversations(home).list()
    assert (kept.title, kept.turns) == ("hello", 1)
    bench.say("and on")
    assert bench.messages("stories-2M") == [
        ("user", "hello"),
        ("assistant", "answer of stories-2M"),
        ("user", "and on"),
    ]


def test_markdown_is_drawn_for_chat_models_and_nothing_else_is_read(bench: Bench, engine: type[StandIn]) -> None:
    engine.templates = {"stories-2M": TEMPLATE}
    engine.answers = staticmethod(
        lambda column: "# Head\n\n**bold** <b>no</b>\n\n```\ncode\n```\n\n![x](file:///etc/passwd)"
    )
    bench.talk_with("stories-2M", "stories-0.8M")
    bench.say("hello")
    drawn = bench.answer(0, "stories-2M").text
    assert "bold <b>no</b>" in drawn.toPlainText()
    assert "**" not in drawn.toPlainText()
    assert bench.answer(0, "stories-0.8M").text.toPlainText().startswith("# Head\n\n**bold**")
    bench.click(bench.answer(0, "stories-2M").copy)
    assert QGuiApplication.clipboard().text().startswith("# Head\n\n**bold**")
    assert "goes on with the text" in bench.page.answering.text()


def test_editing_makes_a_branch_and_the_arrows_lead_back(bench: Bench) -> None:
    bench.talk_with("stories-2M")
    bench.say("one")
    bench.say("two")
    question = bench.turns()[0].question
    bench.click(question.edit)
    assert question.editor is not None
    assert question.editor.words.toPlainText() == "one"
    question.editor.words.setPlainText("uno")
    bench.click(question.editor.resend)
    bench.until(lambda: len(bench.page._turns()) == 1 and bench.quiet())
    question = bench.turns()[0].question
    assert question.text.toPlainText() == "uno"
    assert question.versions.words.text() == "2/2"
    bench.click(question.versions.back)
    assert [turn.said.text for turn in bench.page._turns()] == ["one", "two"]


def test_answering_again_keeps_both_and_goes_on_from_the_one_in_sight(bench: Bench, engine: type[StandIn]) -> None:
    count = iter(range(10))
    engine.answers = staticmethod(lambda column: f"try {next(count)}")
    bench.talk_with("stories-2M")
    bench.say("go")
    bench.click(bench.answer(0, "stories-2M").again)
    bench.until(lambda: bench.answer(0, "stories-2M").text.toPlainText() == "try 1")
    assert bench.answer(0, "stories-2M").versions.words.text() == "2/2"
    bench.click(bench.answer(0, "stories-2M").versions.back)
    assert bench.answer(0, "stories-2M").text.toPlainText() == "try 0"
    bench.say("on")
    assert bench.messages("stories-2M")[1] == ("assistant", "try 0")


def test_esc_stops_all_answers_and_what_came_is_kept(bench: Bench, engine: type[StandIn]) -> None:
    engine.holds = True
    bench.talk_with("stories-2M", "stories-0.8M")
    bench.type("hello")
    bench.until(lambda: bench.page.composer.stop.isVisible() and bool(bench.turns()))
    bench.until(lambda: bench.answer(0, "stories-2M").text.toPlainText() == "answer")
    bench.qtbot.keyClick(bench.page.composer.words, Qt.Key.Key_Escape)
    bench.until(bench.quiet)
    assert "stopped by you" in bench.answer(0, "stories-2M").figures.text()
    assert bench.answer(0, "stories-0.8M").text.toPlainText() == "answer"


def test_a_death_of_the_engine_is_said_and_loses_no_word(bench: Bench, engine: type[StandIn], home: Home) -> None:
    engine.holds = True
    bench.talk_with("stories-2M")
    bench.type("hello")
    bench.until(lambda: bool(bench.turns()) and bench.answer(0, "stories-2M").text.toPlainText() == "answer")
    bench.engine().die()
    bench.until(lambda: bench.page.engine_strip.isVisible())
    assert "killed" in bench.page.engine_strip.words.text()
    assert bench.answer(0, "stories-2M").text.toPlainText() == "answer"
    assert "engine died there" in bench.answer(0, "stories-2M").figures.text()
    (conversation,) = Conversations(home).list()
    assert [answer.text for answer in Conversations(home).open(conversation.id).answers.values()] == ["answer"]
    engine.holds = False
    bench.click(bench.page.engine_strip.act)
    bench.until(lambda: all(member.loaded for member in bench.page.members))
    assert not bench.page.engine_strip.isVisible()
    bench.say("still there?")
    assert bench.answer(1, "stories-2M").text.toPlainText() == "answer of stories-2M"


def test_while_the_engine_starts_it_says_so_and_then_what_is_waited_for(bench: Bench, engine: type[StandIn]) -> None:
    engine.loads = False
    bench.page.opened(models=[next(str(e.path) for e in bench.context.shelf.entries if e.name == "stories-2M")])
    head = bench.page.heads.heads["stories-2M"]
    assert "Starting the chat engine" in head.state.text()
    bench.until(lambda: "weights · 50%" in head.state.text())
    bench.page.hearing.take([chat.Ready(pid=1)])
    bench.page.add_model(next(str(e.path) for e in bench.context.shelf.entries if e.name == "stories-0.8M"))
    assert "before it is loaded" in bench.page.heads.heads["stories-0.8M"].state.text()


def test_an_engine_that_is_started_again_by_itself_is_not_offered_to_be(
    bench: Bench, engine: type[StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop_app.chat.speech.DIES_AGAIN_S", -1.0)
    bench.talk_with("stories-2M")
    engine.loads = False
    bench.engine().die()
    bench.until(lambda: bench.page.engine_strip.isVisible())
    assert "is being started again" in bench.page.engine_strip.words.text()
    assert not bench.page.engine_strip.act.isVisible()


def test_an_answer_is_shown_as_it_was_written_when_its_model_has_left_the_memory(bench: Bench) -> None:
    bench.talk_with("stories-2M")
    StandIn.answers, before = staticmethod(lambda column: "one\ntwo"), StandIn.answers
    try:
        bench.say("hello")
    finally:
        StandIn.answers = before
    bench.page.give_memory_back()
    bench.page._show_turns()
    assert bench.answer(0, "stories-2M").text.toPlainText() == "one\ntwo"


def test_each_model_stands_over_its_own_column_in_whatever_order_they_were_chosen(bench: Bench) -> None:
    bench.talk_with("stories-2M", "stories-0.8M")
    bench.talk_with("stories-0.8M", "stories-2M")
    bench.say("hello")
    heads = sorted(bench.page.heads.heads.values(), key=lambda head: head.x())
    answers = sorted(bench.turns()[0].answers.items(), key=lambda item: item[1].x())
    assert [head.column for head in heads] == [column for column, _ in answers] == ["stories-0.8M", "stories-2M"]


def test_narrow_heads_keep_their_room_for_names(bench: Bench) -> None:
    bench.talk_with("stories-2M", "stories-0.8M", "stories-5M")
    head = bench.page.heads.heads["stories-2M"]
    assert head.remove.isVisible()
    bench.click(bench.page.settings_button)
    bench.until(lambda: head.width() < 208)
    assert not head.remove.isVisible()
    assert "Take away" in [action.text() for action in bench.page.heads.menu("stories-2M").actions()]


def test_going_back_to_a_branch_shows_the_context_that_it_takes(bench: Bench, engine: type[StandIn]) -> None:
    bench.talk_with("stories-2M")
    bench.say("one")
    bench.page.hearing.members.all[0].used = 99  # as another branch took
    bench.page._show_turns()
    assert "16 of 512" in bench.page.heads.heads["stories-2M"].state.text()


def test_words_that_could_not_be_kept_go_back_into_the_field(bench: Bench, home: Home) -> None:
    bench.talk_with("stories-2M")
    (home.root / "chats").write_text("in the way")
    bench.type("precious")
    bench.until(lambda: bool(bench.said))
    assert bench.page.composer.words.toPlainText() == "precious"
    assert bench.said[-1].level == "error"


def test_sampling_system_prompt_and_presets_reach_the_models(bench: Bench) -> None:
    bench.talk_with("stories-2M")
    bench.click(bench.page.settings_button)
    greedy = bench.page.preset.findData("greedy")
    bench.page.preset.setCurrentIndex(greedy)
    bench.page.preset.activated.emit(greedy)
    assert bench.page.pane.sampling.temperature.value() == 0
    bench.page.pane.sampling.seed.setFocus()
    bench.qtbot.keyClicks(bench.page.pane.sampling.seed, "7")
    bench.page.pane.system.setPlainText("Be brief.")
    bench.say("hello")
    (column,) = bench.engine().spoken()[-1].columns
    assert (column.sampling.temperature, column.sampling.seed) == (0, 7)
    assert bench.messages("stories-2M")[0] == ("system", "Be brief.")
    bench.qtbot.keyClicks(bench.page.pane.sampling.seed, "x")
    assert "no whole number" in bench.page.pane.sampling.fields["seed"].problem.text()


def test_a_student_drafts_for_its_teacher_and_says_what_it_brought(bench: Bench, engine: type[StandIn]) -> None:
    engine.speculation = chat.Speculation(
        drafted=10, accepted=8, acceptance=0.8, tokens_per_pass=3.1, speed_up=1.9, at_once=4
    )
    bench.talk_with("stories-2M")
    bench.click(bench.page.settings_button)
    draft = bench.page.pane.models["stories-2M"].draft
    at = next(row for row in range(draft.count()) if draft.itemText(row) == "stories-0.8M")
    draft.setCurrentIndex(at)
    draft.activated.emit(at)
    bench.say("hello")
    (column,) = bench.engine().spoken()[-1].columns
    assert column.draft == "stories-0.8M"
    figures = bench.answer(0, "stories-2M").figures.text().replace("\u00a0", " ")
    assert "80% of the drafts accepted" in figures
    assert "1.9 times as fast" in figures


@pytest.fixture
def polite(bench: Bench, tmp_path: Path) -> Path:
    """An adapter of stories-2M that the shelf knows."""
    base = next(entry.path for entry in bench.context.shelf.entries if entry.name == "stories-2M")
    folder = an_adapter(tmp_path / "shelf" / "polite", base)
    bench.context.shelf.add(folder.parent)
    bench.until(lambda: bench.context.shelf.entry(folder) is not None)
    return folder


def offered(bench: Bench, column: str) -> QMenu:
    """The adapters that the menu of a column's head offers."""
    menu = bench.page.heads.menu(column)
    return next(action.menu() for action in menu.actions() if action.text() == "Lay an adapter over it")


def test_an_adapter_is_laid_over_its_base_and_switched_off_and_on(bench: Bench, polite: Path) -> None:
    bench.talk_with("stories-2M", "stories-0.8M")
    other = offered(bench, "stories-0.8M").menuAction()
    assert not other.isEnabled()
    assert "made for this model" in other.toolTip()
    (lay,) = offered(bench, "stories-2M").actions()
    assert (lay.text(), lay.toolTip()) == ("polite", str(polite))
    lay.trigger()
    member = bench.page.members.column("stories-2M")
    assert member is not None
    bench.until(lambda: member.adapters == {"polite": 1.0} and member.loaded)
    loads = [command for command in bench.engine().sent if isinstance(command, chat.Load)]
    assert [(load.model, load.adapters) for load in loads][-1] == ("stories-2M", (str(polite),))
    assert len(loads) == 3  # the other model stays as it is
    assert not offered(bench, "stories-2M").menuAction().isEnabled()  # it lies there already
    menu = bench.page.heads.menu("stories-2M")
    switch = next(action for action in menu.actions() if action.text() == "Adapter polite")
    assert switch.isChecked()
    switch.trigger()
    bench.say("hello")
    given = {column.id: column.adapters for column in bench.engine().spoken()[-1].columns}
    assert given["stories-2M"] == {"polite": 0.0}


def test_an_adapter_that_does_not_fit_is_taken_off_and_the_model_talks_without_it(
    bench: Bench, polite: Path, engine: type[StandIn]
) -> None:
    engine.broken = frozenset({"polite"})
    bench.talk_with("stories-2M")
    offered(bench, "stories-2M").actions()[0].trigger()
    member = bench.page.members.column("stories-2M")
    assert member is not None
    bench.until(lambda: any("can't be loaded" in one.text for one in bench.said))
    assert not member.loaded
    assert "loaded when you say something" in bench.page.heads.heads["stories-2M"].state.text()
    bench.say("hello")
    assert bench.answer(0, "stories-2M").text.toPlainText() == "answer of stories-2M"
    loads = [command for command in bench.engine().sent if isinstance(command, chat.Load)]
    assert loads[-1].adapters == ()
    assert len(offered(bench, "stories-2M").actions()) == 1  # it can be tried again


def test_no_adapter_is_laid_while_answers_are_written(bench: Bench, polite: Path, engine: type[StandIn]) -> None:
    engine.holds = True
    bench.talk_with("stories-2M")
    bench.type("hello")
    bench.until(lambda: bench.page._writing())
    offered(bench, "stories-2M").actions()[0].trigger()
    assert "Wait for the answers" in bench.said[-1].text
    assert all(not load.adapters for load in bench.engine().sent if isinstance(load, chat.Load))
    bench.page.speech.halt()
    bench.until(bench.quiet)


def test_the_models_that_talk_are_compared_with_one_press(bench: Bench) -> None:
    bench.talk_with("stories-2M", "stories-0.8M")
    menu = bench.page.heads.menu("stories-2M")
    next(action for action in menu.actions() if action.text() == "Compare these models").trigger()
    assert bench.wishes[-1].page == "compare"
    assert [Path(folder).name for folder in bench.wishes[-1].what["models"]] == ["stories-2M", "stories-0.8M"]


def test_an_adapter_can_be_switched_off_from_the_models_menu(bench: Bench, engine: type[StandIn]) -> None:
    engine.adapters = {"stories-2M": ("polite",)}
    bench.talk_with("stories-2M")
    action = next(one for one in bench.page.heads.menu("stories-2M").actions() if one.text() == "Adapter polite")
    assert action.isChecked()
    action.trigger()
    bench.say("hello")
    assert bench.engine().spoken()[-1].columns[0].adapters == {"polite": 0.0}


def test_a_blind_vote_hides_names_is_counted_and_shows_them(bench: Bench, home: Home) -> None:
    bench.talk_with("stories-2M", "stories-0.8M")
    bench.click(bench.page.blind_button)
    assert {head.name.whole() for head in bench.page.heads.heads.values()} == {"Model A", "Model B"}
    bench.say("who is better")
    turn = bench.turns()[0]
    assert turn.vote.isVisible()
    assert not turn.answers["stories-2M"].figures.text()  # speed would tell who it is
    order = [member.column for member in bench.page.blind.order(turn._said(), bench.page.members.all)]
    first = turn.vote.buttons[order.index("stories-0.8M")]
    assert isinstance(first, QPushButton)
    bench.click(first)
    bench.until(lambda: turn.verdict.isVisible())
    assert "You preferred stories-0.8M." in turn.verdict.text()
    (kept,) = verdicts(home)
    assert Path(kept.a if kept.winner == "a" else kept.b).name == "stories-0.8M"
    bench.until(lambda: "stories-0.8M: 1 won" in bench.page.voting.strip.words.text())
    bench.click(bench.page.voting.strip.act)
    assert bench.page.heads.heads["stories-2M"].name.whole() == "stories-2M"
    assert list(bench.turns()[0].answers) == ["stories-2M", "stories-0.8M"]  # each under its name again


def test_conversations_are_found_opened_exported_and_taken_away_with_undo(bench: Bench, tmp_path: Path) -> None:
    bench.talk_with("stories-2M")
    bench.say("about whales")
    bench.click(bench.page.list.new)
    assert not bench.page._turns()
    bench.say("about kites")
    kept = bench.page.list
    bench.until(lambda: kept.list.count() == 2)
    bench.qtbot.keyClicks(kept.search, "whales")
    bench.until(lambda: kept.list.count() == 1)
    kept.list.itemClicked.emit(kept.list.item(0))
    bench.until(lambda: [turn.said.text for turn in bench.page._turns()] == ["about whales"])
    assert bench.page.kept is not None
    whales = bench.page.kept.id
    kept.export(whales, tmp_path / "out.md", "md")
    bench.until(lambda: (tmp_path / "out.md").exists())
    assert "about whales" in (tmp_path / "out.md").read_text(encoding="utf-8")
    kept.search.clear()
    kept.remove(whales, "about whales")
    bench.until(lambda: bench.page.kept is None and kept.list.count() == 1)
    undo = bench.said[-1].action
    assert undo is not None
    undo()
    bench.until(lambda: kept.list.count() == 2)


def test_four_models_are_the_most_and_a_broken_one_can_not_be_picked(
    bench: Bench, home: Home, tmp_path: Path, engine: type[StandIn]
) -> None:
    (a_model(tmp_path / "shelf" / "torn") / "model.safetensors").write_bytes(b"torn")
    with Library(home) as library:
        library.add_folder(tmp_path / "shelf")
    bench.context.shelf.refresh()
    bench.until(lambda: any(entry.name == "torn" for entry in bench.context.shelf.entries))
    bench.click(bench.page.add)
    picker = bench.page.picker
    bench.qtbot.keyClicks(picker.search, "torn")
    bench.qtbot.keyClick(picker.search, Qt.Key.Key_Return)
    assert not bench.page.members.all
    picker.search.clear()
    bench.qtbot.keyClicks(picker.search, "5M")
    bench.qtbot.keyClick(picker.search, Qt.Key.Key_Return)
    assert [member.name for member in bench.page.members] == ["stories-5M"]
    for _ in range(3):
        bench.page.add_model(bench.page.members.all[0].folder)
    assert not bench.page.add.isEnabled()
    assert "most" in bench.page.add.toolTip()
    assert [head.name.whole() for head in bench.page.heads.heads.values()][1] == "stories-5M (2)"


def test_a_model_that_fails_to_load_says_why_and_the_others_talk(bench: Bench, engine: type[StandIn]) -> None:
    engine.broken = frozenset({"stories-5M"})
    bench.talk_with("stories-2M", "stories-5M")
    assert "can't be loaded" in bench.page.heads.heads["stories-5M"].state.text()
    bench.say("hello")
    assert bench.answer(0, "stories-2M").text.toPlainText() == "answer of stories-2M"


def test_memory_is_offered_back_on_leaving_and_when_a_run_needs_the_device(
    bench: Bench, alive: Callable[..., Alive]
) -> None:
    bench.talk_with("stories-2M")
    bench.page.left()
    assert bench.said[-1].action_text == "Give it back"
    bench.page.opened()
    alive(name="tonight", steps=3, planned=9)
    bench.context.live.start()
    bench.until(lambda: bench.page.run_strip.isVisible())
    assert "tonight" in bench.page.run_strip.words.text()
    engine = bench.engine()
    bench.click(bench.page.run_strip.act)
    bench.until(lambda: not engine.alive)
    assert not bench.page.run_strip.isVisible()
    bench.say("back again")
    assert bench.answer(0, "stories-2M").text.toPlainText() == "answer of stories-2M"


def test_a_long_answer_is_drawn_in_parts_that_read_as_the_whole(qtbot: QtBot) -> None:
    parts = ["# Title\n\n", "words **bold**\n\n", "1. one\n2. two\n\n", "```python\na = 1\n\nb = 2\n```\n\n", "the end"]
    whole, made = "", Written("answer")
    qtbot.addWidget(made)
    made.resize(400, 100)
    for part in parts:
        whole += part
        made.show_text(whole, plain=False)
    qtbot.waitUntil(lambda: made.toPlainText().endswith("the end"))
    assert made.toPlainText().split() == [
        "Title",
        "words",
        "bold",
        "one",
        "two",
        "a",
        "=",
        "1",
        "b",
        "=",
        "2",
        "the",
        "end",
    ]
    assert whole_part("```\na\n\nb\n```\n\nc") == len("```\na\n\nb\n```\n\n")
    assert whole_part("- a\n\n- b\n\nc") == len("- a\n\n- b\n\n")


def test_nobody_is_cut_off_in_a_picture_of_the_page(bench: Bench) -> None:
    bench.talk_with("stories-2M", "stories-0.8M", "stories-5M")
    bench.say("hello " * 40)
    from looking import cut_off, nameless, unreachable

    assert cut_off(bench.page) == []
    assert nameless(bench.page) == []
    assert unreachable(bench.page) == []
    assert bench.page.grab().toImage().format() != QImage.Format.Format_Invalid


@pytest.mark.slow
def test_a_real_engine_answers_is_stopped_and_gives_its_memory_back(context: Context, qtbot: QtBot, home: Home) -> None:
    sample = Path(resources.__path__[0]) / "sample"
    folders = [str(sample / name) for name in ("stories-2M", "stories-0.8M")]
    page = ChatPage(context)
    qtbot.addWidget(page)
    page.resize(1200, 720)
    page.show()
    page.opened(models=folders)
    qtbot.waitUntil(lambda: all(member.loaded for member in page.members), timeout=90_000)
    page.preset.activated.emit(page.preset.findData("greedy"))
    qtbot.keyClicks(page.composer.words, "Once upon a time")
    qtbot.mouseClick(page.composer.send, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: any(live.text for live in page.hearing.live.values()) or len(page._turns()) == 1, timeout=30_000
    )
    qtbot.keyClick(page.composer.words, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: bool(page._turns()) and not page._writing(), timeout=30_000)
    assert page.kept is not None
    assert {answer.column for answer in page.kept.answers.values()} == {"stories-2M", "stories-0.8M"}
    page.give_memory_back()
    qtbot.waitUntil(lambda: page.speech._speaker is None, timeout=20_000)
    thread = page.speech.close()
    assert thread is not None
    thread.join(timeout=20)
    assert Conversations(home).list()[0].title == "Once upon a time"
