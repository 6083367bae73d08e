"""A run's state follows from its events and from what its folder shows now."""

from __future__ import annotations

import pytest

from core import events as ev
from core.state import History, State, fold, state_of


def step(number: int, seconds: float | None = None) -> ev.StepLogged:
    return ev.StepLogged(number, number * 100, 1e-3, 2.0, 1.0, 1.5, 1.0, 100.0, 10, seconds or float(number))


def planned(steps: int) -> ev.TrainingPlanned:
    return ev.TrainingPlanned(steps, steps * 100, 1, 1, 64, 400)


def started(resumed_from: int | None = None) -> ev.RunStarted:
    return ev.RunStarted("cpu", 1, 0.0, resumed_from=resumed_from)


@pytest.mark.parametrize(
    ("said", "lock_held", "queued", "stop_requested", "state"),
    [
        (None, False, True, False, State.QUEUED),
        (State.STOPPED, False, True, False, State.QUEUED),
        (State.RUNNING, False, True, False, State.QUEUED),  # crashed, and resumed by the user
        (None, True, True, False, State.RUNNING),  # the engine has not said a word yet
        (State.RUNNING, True, False, False, State.RUNNING),
        (State.FAILED, True, False, False, State.RUNNING),
        (State.RUNNING, True, False, True, State.STOPPING),
        (State.STOPPED, False, False, False, State.STOPPED),
        (State.FINISHED, False, False, False, State.FINISHED),
        (State.FINISHED, False, False, True, State.FINISHED),  # asked to stop at the last moment
        (State.FAILED, False, False, False, State.FAILED),
        (State.RUNNING, False, False, False, State.CRASHED),
        (State.RUNNING, False, False, True, State.CRASHED),
        (None, False, False, False, State.STOPPED),  # taken out of the queue
    ],
)
def test_every_state_follows_from_words_and_signs(
    said: State | None, lock_held: bool, queued: bool, stop_requested: bool, state: State
) -> None:
    assert state_of(said, lock_held=lock_held, queued=queued, stop_requested=stop_requested) is state


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], None),
        ([started()], State.RUNNING),
        ([started(), ev.RunStopped(1)], State.STOPPED),
        ([started(), ev.RunFinished()], State.FINISHED),
        ([started(), ev.RunFailed("No.")], State.FAILED),
        ([ev.RunFailed("It never started.")], State.FAILED),
        ([started(), ev.RunFailed("No."), started()], State.RUNNING),
        ([started(), ev.RunFinished(), ev.UnknownEvent("stars_aligned", {})], State.FINISHED),
    ],
)
def test_the_journal_says_how_it_ended(events: list[ev.Event], said: State | None) -> None:
    assert fold(events).said is said


def test_a_resumption_voids_the_points_that_will_be_made_again() -> None:
    first = [
        started(),
        *(step(number) for number in range(1, 8)),
        ev.CheckpointSaved(5, "checkpoints/5"),
        *(ev.EvaluationLogged(number, 0, "student", {}) for number in (0, 5, 7)),
        ev.SampleWritten(7, "", "void"),
    ]
    history = fold([*first, started(resumed_from=5), step(6), step(7), step(8)])
    assert [point.step for point in history.steps] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [point.step for point in history.evaluations] == [0, 5]
    assert history.samples == []
    assert (history.attempts, history.checkpoint_step) == (2, 5)


def test_a_fresh_start_voids_everything_and_the_checkpoints_that_are_gone() -> None:
    history = fold([started(), step(1), ev.CheckpointSaved(1, "checkpoints/1"), ev.RunFailed("No."), started()])
    assert history.steps == []
    assert history.checkpoint_step is None
    assert history.failure is None


def test_a_resumption_says_nothing_of_the_phase_that_it_was_killed_in() -> None:
    history = fold([started(), ev.PhaseEntered("training"), ev.PhaseProgressed("training", 0.5), started()])
    assert (history.phase, history.phase_share) == ("", None)


def test_a_run_keeps_its_first_start_and_its_last_sign() -> None:
    history = fold(
        [
            ev.RunStarted("cpu", 1, 0.0, time=10.0),
            ev.RunStopped(1, time=20.0),
            ev.RunStarted("cuda:0", 2, 0.0, time=30.0),
            ev.NoticeRaised("info", "", time=40.0),
        ]
    )
    assert (history.started_at, history.updated_at, history.device) == (10.0, 40.0, "cuda:0")


def test_progress_and_time_left_come_from_the_recent_pace() -> None:
    assert History().share is None
    assert History().seconds_left() is None
    history = fold([started(), planned(100), *(step(number, 10.0 * number) for number in range(1, 11))])
    assert history.share == 0.1
    assert history.seconds_left() == pytest.approx(900)
    for number in range(11, 61):  # it became faster
        history.take(step(number, 100.0 + (number - 10)))
    assert history.seconds_left() == pytest.approx(40)


def test_a_choice_made_again_replaces_the_first() -> None:
    history = fold([ev.ChoiceMade("micro_batch", 8, "fits"), ev.ChoiceMade("micro_batch", 4, "it did not fit")])
    assert history.choices["micro_batch"].value == 4
