"""Objective, source, several teachers, pilot and chain on the Plan page: by its widgets, as somebody would choose them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shiboken6
from made_up import a_model
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QListView
from pytestqt.qtbot import QtBot

from core import cache, runner, runs
from core.chain import ChainRecipe
from core.devices import Device
from core.distill import DistillRecipe
from core.home import Home
from core.objectives import OBJECTIVES
from core.options import Choice
from core.pilot import pilot_tokens, pilots
from core.tokenizer import tokenizer_identity
from desktop_app import theme
from desktop_app.context import Context, Wish
from desktop_app.forms import Option, Options, Ticks
from desktop_app.plan import device as device_module
from desktop_app.plan.choosing import compared, difference, source_rows
from desktop_app.plan.draft import Draft
from desktop_app.plan.options import why_no_answers
from desktop_app.plan.page import FIRST_TEACHER, PlanPage
from desktop_app.plan.pilot_dialog import PilotDialog
from desktop_app.plan.planning import measure_key

WAIT_MS = 10_000
LARGER, SMALLER = (FIRST_TEACHER.with_name(name) for name in ("stories-5M", "stories-0.8M"))


@pytest.fixture(scope="module", autouse=True)
def no_runner() -> Iterator[None]:
    """Runs are queued, and nothing starts them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "ensure_runner", lambda home: None)
        yield


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, qapp: QApplication) -> Iterator[PlanPage]:
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(folder / "hub"))
        theme.apply(qapp, "light")
        made = PlanPage(Context(Home.find(folder / "Daten Ordner ü")))
        made.resize(1200, 800)
        made.show()
        made.opened()
        yield made
        shiboken6.delete(made)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = tmp_path_factory.mktemp("text") / "stories.txt"
    text.write_text("Once upon a time there was a fox. It was late.\n<|endoftext|>\n" * 400)
    return text


@pytest.fixture
def page(qtbot: QtBot, shared: PlanPage, stories: Path) -> PlanPage:
    """One page for all tests, which says the same plan without problems again."""
    for run in runs.all_runs(shared.context.home):
        runs.discard(run)
    shared.set_draft(Draft(teacher=str(FIRST_TEACHER), data=(str(stories),)))
    settle(qtbot, shared)
    return shared


def settled(page: PlanPage) -> bool:
    planned = page._planned
    thinks = page._pause.isActive() or page._dimming.isActive() or page._dimmed()
    waits = thinks or page._showing.isActive() or bool(page._to_show)
    return page.context.shelf.loaded and planned is not None and planned.draft == page.draft() and not waits


def settle(qtbot: QtBot, page: PlanPage) -> None:
    qtbot.waitUntil(lambda: settled(page), timeout=WAIT_MS)


def click(qtbot: QtBot, page: PlanPage, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    settle(qtbot, page)


def pick(qtbot: QtBot, page: PlanPage, choice: Any, value: object) -> None:
    """Choose from a list as with the keys: a row that is greyed can't be."""
    index = choice.findData(value)
    assert choice.model().item(index).isEnabled()
    choice.setCurrentIndex(index)
    choice.activated.emit(index)
    settle(qtbot, page)


def type_into(qtbot: QtBot, page: PlanPage, widget: Any, text: str) -> None:
    widget.setFocus()
    widget.selectAll()
    qtbot.keyClicks(widget, text)
    settle(qtbot, page)


def recipe_of(page: PlanPage) -> DistillRecipe:
    return page.draft().recipe(1000)


# --- objectives -------------------------------------------------------------------------------------------------------


def test_custom_lists_every_objective_with_its_advice_and_opens_its_own_dial(qtbot: QtBot, page: PlanPage) -> None:
    card = page.form.objective
    click(qtbot, page, card.preset.option("custom"))
    listed = [card.objective.itemText(at) for at in range(card.objective.count())]
    assert listed == [facts.title for facts in OBJECTIVES.values()]
    pick(qtbot, page, card.objective, "jsd")
    assert OBJECTIVES["jsd"].advice in card.objective_field.help.text()
    assert OBJECTIVES["jsd"].cost in card.objective_field.help.text()
    shown = [dial.name for dial in card.own if dial.isVisible()]
    assert shown == ["jsd_beta"]
    beta = next(dial for dial in card.own if dial.name == "jsd_beta")
    type_into(qtbot, page, beta.edit, "0.9")
    assert recipe_of(page).jsd_beta == 0.9
    type_into(qtbot, page, beta.edit, "7")
    assert beta.problem.text()
    assert page.start.text() == "Mend 1 problem first"


def test_a_preset_takes_objective_and_balance_back(qtbot: QtBot, page: PlanPage) -> None:
    card = page.form.objective
    click(qtbot, page, card.preset.option("custom"))
    pick(qtbot, page, card.objective, "reverse_kl")
    click(qtbot, page, card.balance.option("auto"))
    assert (recipe_of(page).objective, recipe_of(page).balance) == ("reverse_kl", "auto")
    click(qtbot, page, card.preset.option("balanced"))
    assert (recipe_of(page).objective, recipe_of(page).balance) == ("forward_kl", "fixed")
    assert page.draft().more == {}


def test_what_a_cache_cannot_serve_is_greyed_with_its_reason(qtbot: QtBot, page: PlanPage) -> None:
    card = page.form.objective
    click(qtbot, page, card.preset.option("custom"))
    click(qtbot, page, card.source.choice.option("cache"))
    model = card.objective.model()
    for name, facts in OBJECTIVES.items():
        item = model.item(card.objective.findData(name))  # type: ignore[attr-defined]
        assert item.isEnabled() is facts.from_cache
        assert bool(item.toolTip()) is not facts.from_cache
    card.objective.showPopup()
    assert isinstance(card.objective.view(), QListView)
    card.objective.view().grab()
    card.objective.hidePopup()


def test_without_a_teacher_nothing_is_asked_of_one(qtbot: QtBot, page: PlanPage) -> None:
    card = page.form.objective
    click(qtbot, page, card.preset.option("text"))
    assert not card.source.isVisible()
    assert not page.form.teacher.further.isVisible()
    assert "without" in page.pilot.toolTip()
    assert not page.pilot.isEnabled()


def test_a_problem_that_is_out_of_sight_is_said_at_the_top(qtbot: QtBot, page: PlanPage) -> None:
    page.set_draft(page.draft().changed({"teacher_mix": 0.2}))
    settle(qtbot, page)
    assert "on-policy" in page.notice.text()


# --- sources ----------------------------------------------------------------------------------------------------------


def test_each_source_opens_its_dials_and_takes_back_what_belongs_to_another(qtbot: QtBot, page: PlanPage) -> None:
    source = page.form.objective.source
    click(qtbot, page, source.choice.option("on-policy"))
    assert source.own_words.isVisible()
    assert not source.mix.edit.isEnabled()
    assert "Reverse KL" in source.mix.help.text()
    type_into(qtbot, page, source.share.edit, "0.25")
    page._change({"objective": "reverse_kl"})
    settle(qtbot, page)
    assert source.mix.edit.isEnabled()
    type_into(qtbot, page, source.mix.edit, "0.2")
    type_into(qtbot, page, source.new_tokens.edit, "48")
    recipe = recipe_of(page)
    assert (recipe.on_policy_share, recipe.teacher_mix, recipe.new_tokens) == (0.25, 0.2, 48)
    assert page._all_problems() == []
    assert page.start.text().startswith("Distill")
    click(qtbot, page, source.choice.option("cache"))
    assert source.answers.isVisible()
    assert not source.own_words.isVisible()
    assert recipe_of(page).teacher_mix == 0.0
    assert page.start.text().startswith("Distill")


def test_the_rows_of_the_source_can_be_clicked_anywhere(qtbot: QtBot, page: PlanPage) -> None:
    source = page.form.objective.source
    qtbot.mouseClick(source.choice._rows["cache"].words, Qt.MouseButton.LeftButton)
    settle(qtbot, page)
    assert recipe_of(page).source == "cache"


def a_cache(home: Home, stories: Path, name: str, **changes: Any) -> Path:
    """A finished cache of the first teacher's answers on the stories, without answers."""
    folder = home.caches / name
    folder.mkdir(parents=True)
    fields: dict[str, Any] = {
        "teacher": str(FIRST_TEACHER),
        "teacher_name": FIRST_TEACHER.name,
        "teacher_fingerprint": "0",
        "tokenizer": tokenizer_identity(FIRST_TEACHER),
        "start": None,
        "end": None,
        "vocabulary": 40,
        "top_k": 20,
        "sequence_length": 64,
        "data": cache.data_files([str(stories)]),
        "documents": 400,
        "tokens": 6000,
        "rows": 6000,
        "bytes": 0,
        "shards": (),
    }
    cache.write_manifest(folder, cache.Manifest(**(fields | changes)))
    return folder


def test_caches_at_hand_are_offered_and_those_that_do_not_fit_say_why(
    qtbot: QtBot, page: PlanPage, stories: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("Something else.\n")
    fitting = a_cache(page.context.home, stories, "fits")
    a_cache(page.context.home, stories, "softer", temperature=2.0)
    a_cache(page.context.home, stories, "of another text", data=cache.data_files([str(other)]))
    try:
        source = page.form.objective.source
        click(qtbot, page, source.choice.option("cache"))
        rows = [source.cache.model().item(at) for at in range(source.cache.count())]  # type: ignore[attr-defined]
        refused = {row.text(): row.toolTip() for row in rows if not row.isEnabled()}
        assert sorted(refused) == ["of another text", "softer"]
        assert "temperature 2" in refused["softer"]
        pick(qtbot, page, source.cache, str(fitting))
        assert recipe_of(page).cache == str(fitting)
        assert "20 likeliest tokens" in source.cache_field.help.text()
        assert not source.top_k.isVisible()
        click(qtbot, page, source.choice.option("corpus"))
        assert recipe_of(page).cache is None
    finally:
        for folder in page.context.home.caches.iterdir():
            cache.delete_cache(folder)


def test_a_source_says_what_it_changes_beside_the_chosen_one() -> None:
    def choice(name: str, seconds: float, memory: int, disk: int, why_not: str | None = None) -> Choice:
        return Choice(name=name, title=name.title(), advice="", cost="", why_not=why_not, seconds=seconds, memory_bytes=memory, disk_bytes=disk)  # fmt: skip

    plain = choice("corpus", 600.0, 10**9, 10**8)
    kept = choice("cache", 400.0, 4 * 10**8, 3 * 10**8)
    known = (plain, kept, choice("on-policy", 9000.0, 10**9, 10**8, "Not with a teacher of another tokenizer."))
    rows = source_rows(known, "corpus")
    saved = "About 3 min 20 s shorter, 600 MB less memory, 200 MB more disk."
    assert [row.note for row in rows] == ["10 min 00 s and 1 GB of memory.", saved, ""]
    assert rows[2].why_not
    words, beside = compared(known, "cache")
    assert words == saved
    assert "10 min" in beside
    assert compared(known, "corpus") == ("", "")
    assert difference(plain, choice("x", 601.0, 10**9, 10**8)) == "About the same time and memory."


def test_the_estimate_says_what_the_source_changes(qtbot: QtBot, page: PlanPage) -> None:
    assert not page.estimate.compared.figure.isVisible()
    page._change({"tokens": 20_000_000})
    click(qtbot, page, page.form.objective.source.choice.option("on-policy"))
    assert "longer" in page.estimate.compared.figure.text()
    assert page.estimate.compared.figure.isVisible()
    assert "shorter" in page.form.objective.source.choice.shown("corpus").note


# --- several teachers -------------------------------------------------------------------------------------------------


def test_a_second_teacher_joins_with_a_weight_and_goes_again(qtbot: QtBot, page: PlanPage) -> None:
    further = page.form.teacher.further
    assert not further.teachers_field.isVisible()
    action = next(action for action in further.menu.actions() if action.text().startswith(LARGER.name))
    action.trigger()
    settle(qtbot, page)
    assert recipe_of(page).more_teachers == (str(LARGER),)
    type_into(qtbot, page, further.rows[str(LARGER)].weight, "3")
    assert recipe_of(page).teacher_weights == (1.0, 3.0)
    click(qtbot, page, further.mixture.option("lowest-ce"))
    assert recipe_of(page).mixture == "lowest-ce"
    assert not further.rows[str(LARGER)].weight.isVisible()
    click(qtbot, page, further.rows[str(LARGER)].remove)
    assert page.draft().more == {}


def test_tab_goes_from_the_teacher_by_the_weights_to_the_rest(qtbot: QtBot, page: PlanPage) -> None:
    page._change({"more_teachers": (str(LARGER),)})
    settle(qtbot, page)
    further, seen = page.form.teacher.further, []
    widget = page.form.teacher.choice.nextInFocusChain()
    while widget is not page.form.student.target.text and len(seen) < 200:
        seen.append(widget)
        widget = widget.nextInFocusChain()
    order = [seen.index(one) for one in (*(row.weight for row in further.rows.values()), further.mixture.option("mean"), further.add)]  # fmt: skip
    assert order == sorted(order)


def test_a_model_smaller_than_the_student_is_refused_as_a_further_teacher(qtbot: QtBot, page: PlanPage) -> None:
    page._change({"student": "0.6x"})
    settle(qtbot, page)
    action = next(a for a in page.form.teacher.further.menu.actions() if a.text().startswith(SMALLER.name))
    assert not action.isEnabled()
    assert "smaller than the student" in action.text()


def test_several_teachers_and_a_cache_do_not_go_together(qtbot: QtBot, page: PlanPage) -> None:
    page._change({"more_teachers": (str(LARGER),)})
    settle(qtbot, page)
    assert not page.form.objective.source.choice.option("cache").isEnabled()
    assert "one teacher" in page.form.objective.source.choice.shown("cache").why_not


def test_a_draft_with_teachers_and_an_older_one_are_read_again() -> None:
    draft = Draft(teacher="a").changed({"more_teachers": ("b", "c"), "teacher_weights": (1.0, 0.5, 0.5)})
    assert Draft.of_bytes(draft.to_bytes()) == draft
    older = json.loads(Draft(teacher="a").to_bytes()) | {"more": {"seed": 3}}
    read = Draft.of_bytes(json.dumps(older).encode())
    assert read == replace(Draft(teacher="a"), more={"seed": 3})
    recipe = draft.changed({"data": ("x",)}).recipe(1000)
    assert Draft.of_recipe(recipe).recipe(1) == recipe


# --- answers ----------------------------------------------------------------------------------------------------------


def test_answers_alone_can_be_learnt_where_there_are_any(qtbot: QtBot, page: PlanPage, tmp_path: Path) -> None:
    box, field = page.form.data.answers_only, page.form.data.answers_field
    assert not box.isEnabled()
    assert "stories.txt is plain text" in field.help.text()
    rows = tmp_path / "questions.jsonl"
    rows.write_text('{"prompt": "Who is late?", "completion": " The fox."}\n' * 50)
    page.opened(data=rows)
    settle(qtbot, page)
    assert box.isEnabled()
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(12, box.height() // 2))
    settle(qtbot, page)
    assert recipe_of(page).answers_only
    page._change({"data": (str(tmp_path / "gone.jsonl"),)})
    settle(qtbot, page)
    assert box.isEnabled()  # it can be taken back


def test_rows_without_answers_say_so(tmp_path: Path) -> None:
    rows = tmp_path / "plain.jsonl"
    rows.write_text('{"text": "Once."}\n')
    assert "no answers" in why_no_answers((str(rows),), None)


# --- devices ----------------------------------------------------------------------------------------------------------


def test_two_processes_are_launched_by_accelerate(qtbot: QtBot, page: PlanPage) -> None:
    card = page.form.device
    page._change({"device": "cpu"})
    settle(qtbot, page)
    card.more.open()
    assert card.processes.count() == 2
    pick(qtbot, page, card.processes, 2)
    assert (recipe_of(page).processes, recipe_of(page).launch) == (2, "accelerate")
    click(qtbot, page, card.strategy.option("fsdp"))
    assert recipe_of(page).strategy == "fsdp"
    pick(qtbot, page, card.processes, 1)
    assert recipe_of(page).launch == "direct"


def test_the_gpus_of_the_machine_are_offered_in_sight(
    qtbot: QtBot, page: PlanPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page._planned is not None
    gpus = [Device(f"cuda:{at}", "GPU", 24 * 10**9, 20 * 10**9, True, "it has bf16") for at in range(3)]
    card = page.form.device
    monkeypatch.setattr(device_module, "find_spec", lambda name: None)
    plan = page._planned.plan
    assert plan is not None
    there = plan.model_copy(update={"device": "cuda:0"})
    card.show_machine([*gpus, *plan.devices], there, page.draft())
    assert card.processes_field.isVisible()
    assert [card.processes.itemText(at) for at in range(3)] == ["1 GPU", "2 GPUs", "3 GPUs"]
    assert [card.teacher_device.itemData(at) for at in range(1, 3)] == ["cuda:1", "cuda:2"]
    quantized = card.teacher_precision.model().item(card.teacher_precision.findData("int8"))  # type: ignore[attr-defined]
    assert not quantized.isEnabled()
    assert "bitsandbytes" in quantized.text()
    card.show_machine(plan.devices, plan, page.draft())
    assert card.folded("processes")


# --- another tokenizer ------------------------------------------------------------------------------------------------


def test_another_tokenizer_is_said_with_what_is_done_about_it(qtbot: QtBot, page: PlanPage, tmp_path: Path) -> None:
    student = a_model(tmp_path / "small stranger")
    source = json.loads((FIRST_TEACHER / "tokenizer.json").read_text())
    source["model"]["vocab"] = {token: at for at, token in enumerate("abcdefghijklmnopqrstuvwxyz .!,") if token}
    source["model"]["merges"] = []
    source["added_tokens"] = []
    (student / "tokenizer.json").write_text(json.dumps(source))
    page._change({"student": str(student)})
    settle(qtbot, page)
    assert "different tokenizers" in page.form.objective.aligned.text()
    assert OBJECTIVES["gold"].title in page.form.objective.aligned.text()
    page._change({"objective": "uld"})
    settle(qtbot, page)
    assert not page.form.objective.aligned.isVisible()


# --- pilot and chain --------------------------------------------------------------------------------------------------


@pytest.fixture
def pilot(qtbot: QtBot, page: PlanPage) -> Iterator[PilotDialog]:
    qtbot.mouseClick(page.pilot, Qt.MouseButton.LeftButton)
    dialog = page.findChild(PilotDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: dialog.start.isEnabled(), timeout=WAIT_MS)
    yield dialog
    if shiboken6.isValid(dialog):
        dialog.close()
        shiboken6.delete(dialog)


def test_a_pilot_of_teachers_is_reckoned_started_and_shown(qtbot: QtBot, page: PlanPage, pilot: PilotDialog) -> None:
    wishes: list[Wish] = []
    page.context.wished.connect(wishes.append)
    assert pilot.ticks.values() == [str(FIRST_TEACHER), str(LARGER)]
    assert not pilot.ticks.option(str(SMALLER)).isEnabled()
    assert "for the 2 runs" in pilot.estimate.text()
    before = pilot.estimate.text()
    pilot.tokens.selectAll()
    qtbot.keyClicks(pilot.tokens, "2M")
    assert not pilot.start.isEnabled()
    qtbot.waitUntil(lambda: pilot.start.isEnabled(), timeout=WAIT_MS)
    assert pilot.estimate.text() != before
    pilot.tokens.selectAll()
    qtbot.keyClicks(pilot.tokens, "60K")
    qtbot.waitUntil(lambda: pilot.start.isEnabled(), timeout=WAIT_MS)
    qtbot.mouseClick(pilot.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(wishes), timeout=WAIT_MS)
    made = runs.queue(page.context.home)
    assert wishes == [Wish("runs", {"runs": [run.id for run in made]})]
    assert len(pilots(page.context.home)) == 1
    recipes = [run.recipe() for run in made]
    assert all(isinstance(one, DistillRecipe) and one.tokens == 60_000 for one in recipes)
    page.context.wished.disconnect(wishes.append)


def test_a_pilot_takes_two_to_four(qtbot: QtBot, page: PlanPage, pilot: PilotDialog) -> None:
    qtbot.mouseClick(pilot.what.option("objective"), Qt.MouseButton.LeftButton)
    assert pilot.ticks.values() == ["forward_kl", "reverse_kl"]
    for name in ("jsd", "tvd"):
        pilot.ticks.option(name).click()
    assert not pilot.ticks.option("top1").isEnabled()
    assert pilot.ticks.option("top1").toolTip()
    for name in ("forward_kl", "jsd", "tvd"):
        pilot.ticks.option(name).click()
    assert pilot.estimate.text() == "Choose 2 at the least."
    assert not pilot.start.isEnabled()


def test_the_budget_of_a_pilot_is_suggested_with_its_reason(page: PlanPage, pilot: PilotDialog) -> None:
    assert page._planned is not None
    assert page._planned.plan is not None
    tokens, reason = pilot_tokens(page._planned.plan)
    assert pilot.tokens.value() == pytest.approx(tokens, rel=0.005)  # as it is written: 1.61M
    assert pilot.tokens_field.help.text() == f"By default {reason}."


@pytest.mark.parametrize(
    "changes", [{"source": "cache"}, {"source": "on-policy"}, {"objective": "sinkhorn"}, {"new_tokens": 9}]
)
def test_a_measured_speed_holds_for_its_own_source_and_objective_alone(changes: dict[str, Any]) -> None:
    draft = Draft(teacher="a")
    assert measure_key(draft.changed({"tokens": 9, "temperature": 2.0})) == measure_key(draft)
    assert measure_key(draft.changed(changes)) != measure_key(draft)


def test_a_teacher_far_too_large_is_offered_a_chain(qtbot: QtBot, page: PlanPage) -> None:
    offer = page.law.chain
    assert not offer.isVisible()
    page._change({"student": "0.08x", "tokens": 400_000})
    settle(qtbot, page)
    assert offer.isVisible()
    assert offer.start.text().startswith("Distill in 3 steps through 1.0")
    assert "21.66" in offer.caution.text()
    page._change({"more_teachers": (str(LARGER),)})
    settle(qtbot, page)
    assert not offer.start.isEnabled()
    assert "one teacher" in offer.why_not.text()
    page._change({"more_teachers": ()})
    settle(qtbot, page)
    qtbot.mouseClick(offer.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(runs.queue(page.context.home)) == 1, timeout=WAIT_MS)
    recipe = runs.queue(page.context.home)[0].recipe()
    assert isinstance(recipe, ChainRecipe)
    assert len(recipe.links) == 3
    qtbot.waitUntil(lambda: not page._starting, timeout=WAIT_MS)


# --- the rows themselves ----------------------------------------------------------------------------------------------


def test_rows_are_reached_by_the_keys_and_named_for_a_screen_reader(qtbot: QtBot) -> None:
    rows = Options(
        [Option("a", "First", "It is first."), Option("b", "Second"), Option("c", "Third", why_not="Not now.")]
    )
    qtbot.addWidget(rows)
    rows.show()
    heard: list[str] = []
    rows.chosen.connect(heard.append)
    rows.choose("a")
    assert heard == []
    rows.activateWindow()
    rows.option("a").setFocus()
    qtbot.waitUntil(rows.option("a").hasFocus, timeout=WAIT_MS)
    qtbot.keyClick(rows.option("a"), Qt.Key.Key_Down)
    assert rows.value() == "b"
    assert rows.option("a").accessibleDescription() == "It is first."
    assert not rows.option("c").isEnabled()
    assert rows._rows["c"].why_not.isVisible()


def test_a_long_title_is_shortened_with_the_whole_of_it_at_hand(qtbot: QtBot) -> None:
    ticks = Ticks(2, "Two at the most.")
    qtbot.addWidget(ticks)
    name = "a-model-of-a-very-long-name-" * 6
    ticks.set_options([Option("a", name)])
    ticks.resize(300, 60)
    ticks.show()
    assert "…" in ticks.option("a").text()
    assert ticks.option("a").toolTip() == name
    assert ticks.option("a").accessibleName() == name
