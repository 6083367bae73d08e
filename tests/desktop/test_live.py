"""The live picture: what the journals say, in order, whole, and soon."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_up import Alive
from made_up_lessons import chain_run, lesson_run
from pytestqt.qtbot import QtBot

from core import events as ev
from core.home import Home
from core.journal import JournalWriter
from core.runs import RunFolder
from core.state import State, fold
from desktop_app.context import Context
from desktop_app.live import MOST_PARTS, TRAIN, CurveHistory, LiveRuns, Points


def test_a_running_run_is_followed_to_its_end(context: Context, qtbot: QtBot, alive: Callable[..., Alive]) -> None:
    one = alive(steps=30)
    live = context.live
    live.watch(context, [one.run.id])
    live.start()
    qtbot.waitUntil(lambda: one.run.id in live.pictures and len(live.pictures[one.run.id].curves) == 30)
    assert live.pictures[one.run.id].state is State.RUNNING
    one.step(25)
    qtbot.waitUntil(lambda: len(live.pictures[one.run.id].curves) == 55)
    qtbot.waitUntil(lambda: live.rows[0].step == 55)
    one.finish()
    qtbot.waitUntil(lambda: live.pictures[one.run.id].state is State.FINISHED)
    qtbot.waitUntil(lambda: live.rows[0].state == "finished" and live.rows[0].share == 1.0)


def test_the_list_knows_name_progress_spark_tags_and_place(
    context: Context, qtbot: QtBot, fake_run: Callable[..., RunFolder]
) -> None:
    done = fake_run(context.home, name="tonight", steps=100, tags=("night",))
    waiting = fake_run(context.home, name="later", state="queued")
    context.live.start()
    qtbot.waitUntil(lambda: len(context.live.rows) == 2)
    row = context.live.row(done.id)
    assert row is not None
    assert (row.name, row.tags, row.step, row.position) == ("tonight", ("night",), 100, None)
    assert 2 < len(row.spark) <= 32
    assert row.spark[-1] == row.last_loss
    second = context.live.row(waiting.id)
    assert second is not None
    assert second.position is not None


def test_a_resumed_journal_has_each_step_once_and_handed_out_curves_stay(
    home: Home, fake_run: Callable[..., RunFolder]
) -> None:
    run = fake_run(home, state="crashed", steps=40)
    tail = CurveHistory()
    for event in ev_of(run):
        tail.take(event)
    before = tail.curves()
    with JournalWriter(run.journal) as journal:
        again = [
            ev.RunStarted("cpu", 1, 0.0, resumed_from=36),
            *(ev.StepLogged(step, step * 1024, 1e-3, 9.0, None, 9.0, 1.0, 1.0, 1, step * 0.1) for step in (37, 38)),
        ]
        for event in again:
            tail.take(journal.append(event))
    after = tail.curves()
    assert list(after.step) == list(range(1, 39))
    assert list(after.train["total"][-2:]) == [9.0, 9.0]
    assert np.isnan(after.train["kd"][-1])
    assert after.resumed_at == (36,)
    assert list(before.step) == list(range(1, 41))  # what was drawn is still what it was
    plain = fold(ev_of(run))
    assert [point.step for point in plain.steps] == list(after.step)
    assert tail.steps[-1] == plain.steps[-1]
    assert tail.share == plain.share


def ev_of(run: RunFolder) -> list[ev.Event]:
    from core.journal import read_journal

    return read_journal(run.journal)


def test_points_grow_and_are_cut() -> None:
    points = Points(("step", "ce"))
    for step in range(1000):
        points.append((step, None if step % 7 == 0 else step / 2))
    held = points.columns()["ce"]
    points.cut_after(10)
    points.append((11, -1.0))
    assert list(points.columns()["step"]) == [*range(11), 11]
    assert held[11] == 5.5
    assert np.isnan(held[7])


def test_a_data_folder_that_goes_away_is_said_once_and_its_return_too(
    context: Context, qtbot: QtBot, fake_run: Callable[..., RunFolder]
) -> None:
    fake_run(context.home)
    said: list[str] = []
    context.live.troubled.connect(said.append)
    context.live.start()
    qtbot.waitUntil(lambda: len(context.live.rows) == 1)
    aside = context.home.root.with_name("aside")
    context.home.root.rename(aside)
    qtbot.waitUntil(lambda: len(said) == 1, timeout=5000)
    assert str(context.home.root) in said[0]
    qtbot.wait(1500)  # longer than from one look to the next
    assert len(said) == 1
    aside.rename(context.home.root)
    qtbot.waitUntil(lambda: len(said) == 2, timeout=5000)
    assert said[1] == ""


def test_a_run_that_vanishes_leaves_the_list(
    context: Context, qtbot: QtBot, fake_run: Callable[..., RunFolder]
) -> None:
    run = fake_run(context.home)
    context.live.watch(context, [run.id])
    context.live.start()
    qtbot.waitUntil(lambda: len(context.live.rows) == 1 and run.id in context.live.pictures)
    shutil.rmtree(run.path)
    qtbot.waitUntil(lambda: context.live.rows == [], timeout=5000)


def test_lines_by_hand_and_of_newer_versions_do_no_harm(
    context: Context, qtbot: QtBot, fake_run: Callable[..., RunFolder]
) -> None:
    run = fake_run(context.home, state="stopped", steps=5)
    with run.journal.open("ab") as stream:
        stream.write(b'hello\n{"seq": 99, "time": 1, "kind": "tea_served", "cups": 2}\n{"seq": "x"}\n')
    context.live.watch(context, [run.id])
    context.live.start()
    qtbot.waitUntil(lambda: run.id in context.live.pictures)
    picture = context.live.pictures[run.id]
    assert (picture.bad_lines, picture.unknown_lines) == (2, 1)
    assert (picture.state, len(picture.curves)) == (State.STOPPED, 5)


def test_nobody_is_told_of_a_run_that_nobody_watches(
    context: Context, qtbot: QtBot, alive: Callable[..., Alive]
) -> None:
    one, two = alive(steps=3), alive(steps=3)
    heard: list[str] = []
    context.live.advanced.connect(lambda run, _: heard.append(run))
    context.live.watch(context, [one.run.id])
    context.live.start()
    qtbot.waitUntil(lambda: one.run.id in heard)
    context.live.watch(context, [])
    assert context.live.pictures == {}
    heard.clear()
    two.step(3)
    one.step(3)
    qtbot.waitUntil(lambda: all(row.step == 6 for row in context.live.rows), timeout=5000)
    assert heard == []


def test_live_runs_end_with_their_thread(home: Home, qtbot: QtBot) -> None:
    live = LiveRuns(home)
    live.start()
    qtbot.waitUntil(lambda: live.loaded)
    live.stop()
    live.stop()


def test_a_quiet_run_that_is_watched_again_is_told_again(
    context: Context, qtbot: QtBot, alive: Callable[..., Alive]
) -> None:
    one, two = alive(steps=3), alive(steps=3)
    context.live.start()
    for wanted in (one, two, one, two):
        context.live.watch(context, [wanted.run.id])
        qtbot.waitUntil(lambda wanted=wanted: list(context.live.pictures) == [wanted.run.id], timeout=5000)


ODD = ("\udce9", "x", "", None, [1], {"a": 1}, True, -1, 2**63, -(10**400), 10**400, 1e308, float("nan"), float("inf"))


def test_whatever_stands_in_one_run_the_others_are_followed(
    context: Context, qtbot: QtBot, fake_run: Callable[..., RunFolder], alive: Callable[..., Alive]
) -> None:
    chance = random.Random(7)
    odd = [fake_run(context.home, state="crashed", steps=3) for _ in range(12)]
    for run in odd:
        lines = [json.loads(line) for line in run.journal.read_text().splitlines()]
        for line in lines:
            for name in chance.sample(sorted(line), 1):
                line[name] = chance.choice(ODD)
        run.journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
        meta: dict[str, Any] = json.loads(run.meta_file.read_text())
        meta[chance.choice(("name", "tags", "created", "made_from"))] = chance.choice(ODD)
        run.meta_file.write_text(json.dumps(meta))
    good = alive(steps=3)
    said: list[str] = []
    context.live.troubled.connect(said.append)
    context.live.watch(context, [good.run.id, *(run.id for run in odd)])
    context.live.start()
    qtbot.waitUntil(lambda: len(context.live.rows) == 13 and len(context.live.pictures) == 13)
    good.step(4)
    qtbot.waitUntil(lambda: len(context.live.pictures[good.run.id].curves) == 7)
    qtbot.waitUntil(lambda: (row := context.live.row(good.run.id)) is not None and row.step == 7, timeout=5000)
    assert said == []


def test_our_own_mistake_is_said_and_the_thread_goes_on(
    context: Context,
    qtbot: QtBot,
    fake_run: Callable[..., RunFolder],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from core.library import Library

    fake_run(context.home)
    said: list[str] = []
    context.live.troubled.connect(said.append)
    monkeypatch.setattr(Library, "refresh_runs", lambda *_, **__: 1 / 0)
    context.live.start()
    qtbot.waitUntil(lambda: len(said) == 1)
    assert "division by zero" in said[0]
    monkeypatch.undo()
    qtbot.waitUntil(lambda: len(context.live.rows) == 1 and said[1:] == [""], timeout=5000)
    assert "Traceback" in capsys.readouterr().err


def test_a_crashed_run_on_screen_is_read_once(
    context: Context, qtbot: QtBot, fake_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fake_run(context.home, state="crashed", steps=400)
    read: list[RunFolder] = []
    monkeypatch.setattr(RunFolder, "history", lambda run: read.append(run))
    monkeypatch.setattr("desktop_app.live.PIECE_BYTES", 4096)
    context.live.watch(context, [run.id])
    context.live.start()
    qtbot.waitUntil(lambda: run.id in context.live.pictures and not context.live.pictures[run.id].behind)
    qtbot.wait(300)
    assert context.live.pictures[run.id].state is State.CRASHED
    assert read == []


def test_an_old_journal_that_is_still_being_read_has_not_crashed(
    context: Context, qtbot: QtBot, fake_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.library import Library

    run = fake_run(context.home, steps=400)
    with Library(context.home) as library:
        library.refresh_runs()  # so that the thread needs not read it for its list
    states: list[State] = []
    context.live.advanced.connect(lambda _, picture: states.append(picture.state))
    monkeypatch.setattr("desktop_app.live.PIECE_BYTES", 4096)
    context.live.watch(context, [run.id])
    context.live.start()
    qtbot.waitUntil(lambda: run.id in context.live.pictures and not context.live.pictures[run.id].behind)
    assert set(states) == {State.FINISHED}


def test_a_run_that_may_not_be_read_is_named(
    context: Context, qtbot: QtBot, fake_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    shut, other = fake_run(context.home), fake_run(context.home)
    context.live.watch(context, [shut.id])
    context.live.start()
    qtbot.waitUntil(lambda: len(context.live.rows) == 2)
    said: list[str] = []
    context.live.troubled.connect(said.append)
    monkeypatch.setattr("core.runs.unreadable", lambda run: run.journal if run.id == shut.id else None)
    qtbot.waitUntil(lambda: str(shut.journal) in context.live.notice, timeout=5000)
    assert [row.id for row in context.live.rows] == [other.id]
    monkeypatch.undo()
    qtbot.waitUntil(lambda: len(context.live.rows) == 2 and context.live.notice == "", timeout=5000)
    assert said == []


def test_further_parts_of_the_loss_and_own_words_become_curves_and_older_steps_have_none(home: Home) -> None:
    run = lesson_run(home, steps=20, parts=("hidden", "balance"), source="on-policy")
    tail = CurveHistory()
    for event in ev_of(run)[:9]:  # up to the first two steps, as a journal of an older version
        tail.take(replace(event, parts={}, generated=None) if isinstance(event, ev.StepLogged) else event)
    assert set(tail.curves().train) == set(TRAIN)
    before = tail.curves()
    steps = [event for event in ev_of(run) if isinstance(event, ev.StepLogged)]
    for event in steps[len(before) :]:
        tail.take(event)
    train = tail.curves().train
    assert set(train) == {*TRAIN, "hidden", "balance", "generated"}
    assert np.isnan(train["hidden"][: len(before)]).all()
    assert train["hidden"][-1] == steps[-1].parts["hidden"]
    assert train["generated"][-1] == steps[-1].generated
    assert set(before.train) == set(TRAIN)  # what was handed out stays as it was
    tail.take(ev.RunStarted("cpu", 1, 0.0, resumed_from=18))
    tail.take(ev.RunStarted("cpu", 1, 0.0, resumed_from=15))
    assert tail.steps[-1].parts == steps[14].parts
    assert tail.steps[-1].generated == steps[14].generated


def test_a_journal_that_names_parts_without_end_does_not_fill_the_memory() -> None:
    tail = CurveHistory()
    for step in range(1, 60):
        parts = {f"part {step}": 1.0, "ce": 9.0}
        tail.take(ev.StepLogged(step, step, 1e-3, 1.0, None, 1.0, 1.0, 1.0, 1, 0.1, parts=parts))
    assert len(tail.points.names) == 10 + MOST_PARTS
    assert tail.curves().train["ce"][-1] == 1.0


def test_a_chain_says_where_its_links_begin(home: Home) -> None:
    tail = CurveHistory()
    for event in ev_of(chain_run(home, steps=12)):
        tail.take(event)
    assert [(border.step, border.number, border.name) for border in tail.curves().borders] == [
        (0, 1, "1-2M"),
        (12, 2, "2-1.3M"),
    ]
