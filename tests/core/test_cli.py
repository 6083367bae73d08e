"""The command line as scripts and people meet it: spellings, the last line of JSON, exit codes, Ctrl-C."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from core import events as ev
from core import runner, runs
from core.cli import COMMANDS, main
from core.cli.curve import Line, chart
from core.cli.report import measured_text, outcome, step_text
from core.distill import DistillRecipe
from core.errors import Trouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.journal import JournalWriter
from core.numbers import bytes_text, count_text, duration_text, parse_count
from core.objectives import OBJECTIVES
from core.runs import RunFolder
from core.scores import EVALUATION
from core.state import State

ROOT = Path(__file__).resolve().parents[2]
FAKE_ENGINE = Path(__file__).with_name("fake_engine.py")
STORIES = ROOT.parent / "shared" / "models" / "stories3m"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    folder = tmp_path / "Daten Ordner ü"
    monkeypatch.setenv("STILLROOM_HOME", str(folder))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no cache"))
    return Home.find()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "stories.txt"
    file.write_text("Once there was a still.\n", encoding="utf-8")
    return file


@pytest.fixture
def run(home: Home, text: Path) -> RunFolder:
    return runs.new_run(home, EvaluateRecipe(model=str(text.parent), data=(str(text),), name="a name"))


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def engine(run: RunFolder, how: str, seconds_a_step: float = 0.0) -> subprocess.Popen[bytes]:
    with run.log.open("ab") as log:
        command = [sys.executable, str(FAKE_ENGINE), str(run.path), how, str(seconds_a_step)]
        return subprocess.Popen(command, env=environment(), stdout=log, stderr=log)


@pytest.fixture
def fake_runner(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Instead of a runner, start a fake engine for every run that waits. Returns a function that says how they end."""
    started: list[subprocess.Popen[bytes]] = []
    how = ["finish"]

    def ensure_runner(home: Home) -> None:
        started.extend(engine(run, how[0]) for run in runs.queue(home))

    monkeypatch.setattr(runner, "ensure_runner", ensure_runner)
    yield lambda ending: how.__setitem__(0, ending)
    for process in started:
        process.wait(10)


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The last line of standard output, which must be the only one."""
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    value = json.loads(out)
    assert isinstance(value, dict)
    return value


# --------------------------------------------------------------------------------------------------- following a run


@pytest.mark.parametrize(
    ("ending", "code", "state"), [("finish", 0, "finished"), ("fail", 1, "failed"), ("crash", 1, "crashed")]
)
def test_the_exit_code_and_the_json_say_how_a_run_ended(
    run: RunFolder, fake_runner: Any, capsys: pytest.CaptureFixture[str], ending: str, code: int, state: str
) -> None:
    fake_runner(ending)
    assert main(["resume", run.id, "--json"]) == code
    answer = last_line(capsys)
    assert (answer["run"], answer["state"]) == (run.id, state)
    if ending == "finish":
        assert (answer["bits_per_byte"], answer["tokens"]) == (0.5, 1234)
        assert answer["student"] == str(run.artifacts / "student")
    else:
        assert answer["error"]
        assert answer["way_out"]


def test_a_followed_run_is_told_to_people_with_curve_figures_and_text(
    run: RunFolder, fake_runner: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["resume", run.id]) == 0
    told = capsys.readouterr()
    assert "student at step 10: CE 1.500, 0.700 bits per byte, agrees with the teacher on 60.0%" in told.err
    assert "total 0.200" in told.out  # where the curve ends
    assert "Once there was a still." in told.out
    assert str(run.artifacts / "student") in told.out


@pytest.fixture
def measured(home: Home, text: Path) -> RunFolder:
    """A distillation that was measured after two steps, and whose third measurement found nothing."""
    fields: dict[str, Any] = {"measure_every": 5, "measure_skills": 4}
    training = runs.new_run(home, DistillRecipe(teacher="t", student="0.4x", data=(str(text),), tokens=1000, **fields))
    with JournalWriter(training.journal) as journal:
        journal.append(ev.RunStarted("cpu", 1, 0.0))
        for step, accuracy in ((5, 0.25), (10, 0.5), (15, None)):
            journal.append(ev.StepLogged(step, 9 * step, 1e-3, 1.0, 0.5, 0.75, 1.0, 1.0, 1, 2.0 * step))
            evaluation = runs.new_run(home, EvaluateRecipe(model="m", skills=4))
            if accuracy is not None:
                score = {"task": "skill cause", "metric": "accuracy", "value": accuracy, "on": "4", "quoted": True}
                model = {"path": "m", "name": "m", "fingerprint": "f"}
                (evaluation.artifacts / EVALUATION).write_text(json.dumps({"model": model, "scores": [score]}))
            journal.append(ev.StudentMeasured(step, evaluation.id, 2.5))
        journal.append(ev.RunFinished({}))
    return training


def test_what_was_measured_while_it_trained_is_told_with_the_time_that_took(
    measured: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", measured.id]) == 0
    told = capsys.readouterr().out
    assert [line.split() for line in told.splitlines() if "skill cause" in line] == [
        ["skill", "cause", "accuracy", "0.2500", "0.5000"]
    ]
    assert "step 5  step 10" in told
    assert (
        "Measured 3 times, 1 without figures; the training waited 7.5 s for it, 23% of its time." in told
    )  # of 30 s and the last wait
    history = measured.history()
    assert measured_text(measured, 10, history) == "measured at step 10 in 2.5 s: skill cause accuracy 0.500"
    assert measured_text(measured, 15, history) == ""
    points = outcome(measured, history, State.FINISHED)["measured"]
    assert [(point["step"], point["seconds"], len(point["scores"])) for point in points] == [
        (5, 2.5, 1),
        (10, 2.5, 1),
        (15, 2.5, 0),
    ]
    assert main(["show", measured.id, "--json"]) == 0
    assert last_line(capsys)["measured"] == points


def test_a_list_of_runs_says_which_one_waits_to_be_measured(
    measured: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with JournalWriter(measured.journal) as journal:
        journal.append(ev.RunStarted("cpu", 1, 0.0, resumed_from=15))
        journal.append(ev.PhaseEntered("measuring", "step 15"))
    lock = FileLock(measured.lock_file, is_singleton=False)
    with lock:
        assert main(["runs"]) == 0
    assert "running, measuring" in capsys.readouterr().out


def test_a_crash_is_told_with_the_end_of_the_log_and_can_be_resumed(
    run: RunFolder, fake_runner: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_runner("once")
    assert main(["resume", run.id]) == 1
    told = capsys.readouterr().out
    assert "the machine is gone" in told
    assert f"stillroom resume {run.id}" in told
    assert main(["resume", run.id, "--json"]) == 0
    assert last_line(capsys)["state"] == "finished"
    assert [point.step for point in run.history().steps] == list(range(1, 21))


def test_a_failure_is_told_with_its_step_and_way_out(
    run: RunFolder, fake_runner: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_runner("fail")
    assert main(["resume", run.id]) == 1
    assert "failed at step 10. The loss is not a number. Lower the learning rate." in capsys.readouterr().out


def follow_in_a_process(run: RunFolder) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "desktop_app", "show", run.id, "--follow", "--json"]
    return subprocess.Popen(
        command,
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def wait_for(text: str, process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"{text!r} was never said")


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to a process")
def test_one_interrupt_stops_and_keeps(run: RunFolder) -> None:
    working = engine(run, "finish", seconds_a_step=0.5)
    while not run.lock_held():
        time.sleep(0.02)
    following = follow_in_a_process(run)
    wait_for("step ", following)
    following.send_signal(signal.SIGINT)
    out, told = following.communicate(timeout=20)
    assert following.returncode == 3, told
    assert json.loads(out)["state"] == "stopped"
    assert f"stillroom resume {run.id}" in told
    assert working.wait(10) == 3
    assert run.state() is State.STOPPED


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to a process")
def test_two_interrupts_leave_the_run_alone(run: RunFolder) -> None:
    working = engine(run, "finish", seconds_a_step=0.5)
    while not run.lock_held():
        time.sleep(0.02)
    following = follow_in_a_process(run)
    wait_for("step ", following)
    following.send_signal(signal.SIGINT)
    wait_for("Ctrl-C again", following)
    following.send_signal(signal.SIGINT)
    out, told = following.communicate(timeout=20)
    assert following.returncode == 130, told
    assert "goes on in the background" in told
    assert json.loads(out)["state"] == "running"
    assert run.stop_wish() is None
    assert run.lock_held()
    runs.stop_and_keep(run)
    assert working.wait(20) == 3


def test_a_waiting_run_says_which_run_uses_the_device(home: Home, run: RunFolder, text: Path) -> None:
    from core.cli.report import waiting_words

    other = runs.new_run(home, EvaluateRecipe(model=str(text.parent), data=(str(text),)))
    runs.enqueue(home, other)
    working = engine(run, "finish", seconds_a_step=0.1)
    while not run.history().device:
        time.sleep(0.02)
    assert waiting_words(other, home) == f"Waiting for a device: {run.id} uses cpu."
    runs.stop_and_keep(run)
    working.wait(20)


def test_a_runner_that_does_not_stay_alive_is_told_with_its_log(
    home: Home, run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.cli import follow

    monkeypatch.setattr(runner, "ensure_runner", lambda home: home.runner_log.write_text("no such interpreter\n"))
    monkeypatch.setattr(follow, "LOOK_AT_QUEUE_EVERY_S", 0.0)
    monkeypatch.setattr(follow, "RUNNER_PATIENCE_S", 0.0)
    assert main(["resume", run.id, "--json"]) == 1
    told = capsys.readouterr()
    assert "no such interpreter" in told.err
    assert json.loads(told.out)["state"] == "queued"


def test_a_run_discarded_by_somebody_else_ends_the_following(run: RunFolder) -> None:
    working = engine(run, "finish", seconds_a_step=0.3)
    while not run.lock_held():
        time.sleep(0.02)
    following = follow_in_a_process(run)
    wait_for("step ", following)
    runs.discard(run)
    out, told = following.communicate(timeout=20)
    assert following.returncode == 3, told
    assert json.loads(out) == {"run": run.id, "state": "discarded"}
    working.wait(10)


# ------------------------------------------------------------------------------------------------- runs and the queue


def test_runs_lists_the_newest_last_with_its_place_in_the_queue(
    home: Home, run: RunFolder, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(run, "finish").wait(20)
    later = RunFolder(
        runs.new_run(home, EvaluateRecipe(model=str(text.parent), data=(str(text),))).path.rename(home.runs / "9-later")
    )
    runs.enqueue(home, later)
    assert main(["runs", "--json"]) == 0
    first, second = last_line(capsys)["runs"]
    assert (first["id"], first["state"], first["loss"], first["share"], first["position"]) == (
        run.id,
        "finished",
        0.2,
        1.0,
        None,
    )
    assert (second["id"], second["state"], second["position"]) == ("9-later", "queued", 1)
    assert main(["runs"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert "finished" in table[1]
    assert "100%" in table[1]
    assert "queued, 1." in table[2]


def test_show_tells_the_recipe_the_curve_and_the_figures(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    engine(run, "finish").wait(20)
    assert main(["show", "last", "--json"]) == 0
    shown = last_line(capsys)
    assert [point["ce"] for point in shown["curve"]] == pytest.approx([4 / step for step in range(1, 21)])
    assert shown["recipe"]["kind"] == "evaluate"
    assert shown["evaluations"][0]["metrics"]["agreement"] == 0.6
    assert main(["show", "a name"]) == 0
    assert "agreement" not in capsys.readouterr().err


def test_the_queue_is_reordered_and_emptied(
    home: Home, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "ensure_runner", lambda home: None)
    ids = []
    for _ in range(3):
        run = runs.new_run(home, EvaluateRecipe(model=str(text.parent), data=(str(text),)))
        assert main(["resume", run.id, "--detach"]) == 0
        ids.append(run.id)
    capsys.readouterr()
    assert main(["queue", ids[2], "--place", "1", "--json"]) == 0
    assert last_line(capsys)["queue"] == [ids[2], ids[0], ids[1]]
    assert main(["queue", ids[0], "--remove", "--json"]) == 0
    assert last_line(capsys)["queue"] == [ids[2], ids[1]]
    assert runs.find_run(home, ids[0]).state() is State.STOPPED
    assert main(["queue", ids[0], "--place", "1"]) == 2


def test_stop_waits_until_the_run_is_saved(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    working = engine(run, "finish", seconds_a_step=0.2)
    while not run.history().steps:
        time.sleep(0.02)
    assert main(["stop", run.id, "--json"]) == 0
    assert last_line(capsys)["state"] == "stopped"
    assert not run.lock_held()
    assert working.wait(10) == 3
    assert main(["stop", run.id]) == 2  # it is stopped already


def test_discard_removes_the_run(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stop", run.id, "--discard", "--json"]) == 0
    assert last_line(capsys)["state"] == "discarded"
    assert not run.path.exists()


def test_a_run_is_renamed_and_tagged(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rename", run.id, "the good one", "--json"]) == 0
    assert last_line(capsys) == {"run": run.id, "name": "the good one"}
    assert main(["tag", "the good one", "night", "best", "--json"]) == 0
    assert last_line(capsys)["tags"] == ["night", "best"]
    assert main(["tag", run.id]) == 0
    assert "night, best" in capsys.readouterr().out
    assert main(["tag", run.id, "--none", "--json"]) == 0
    assert last_line(capsys)["tags"] == run.meta()["tags"] == []


def test_a_deleted_run_comes_back_from_the_trash_until_it_is_emptied(
    home: Home, run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[Home] = []
    monkeypatch.setattr(runner, "ensure_runner", called.append)
    runs.enqueue(home, run)
    assert main(["delete", run.id, run.id, "--json"]) == 0
    assert last_line(capsys) == {"deleted": [run.id]}
    assert main(["trash", "--json"]) == 0
    assert [(one["id"], one["name"]) for one in last_line(capsys)["trash"]] == [(run.id, "a name")]
    assert main(["trash", "--back", "a name", "--json"]) == 0
    assert last_line(capsys) == {"run": run.id, "queued": True}
    assert [one.id for one in runs.queue(home)] == [run.id]
    assert called
    assert main(["delete", run.id]) == 0
    assert run.id in capsys.readouterr().out
    assert main(["trash", "--empty", "--json"]) == 0
    assert last_line(capsys)["freed_bytes"] > 0
    assert main(["trash", "--back", run.id]) == 2


def test_a_living_run_is_not_deleted_and_neither_are_those_named_with_it(
    home: Home, run: RunFolder, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = runs.new_run(home, EvaluateRecipe(model=str(text.parent), data=(str(text),)))
    with FileLock(run.lock_file, is_singleton=False):
        assert main(["delete", other.id, run.id, "--json"]) == 2
    assert "is alive" in last_line(capsys)["error"]
    assert other.path.is_dir()


def test_again_makes_a_new_run_from_the_same_recipe_and_leaves_the_first_student(
    home: Home, text: Path, fake_runner: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    out = text.parent / "first student"
    first = runs.new_run(home, a_distillation(text, out=str(out)))
    out.mkdir()
    (out / "config.json").write_text("{}")
    assert main(["again", first.id, "--json"]) == 0
    second = runs.find_run(home, last_line(capsys)["run"])
    assert second.id != first.id
    assert second.recipe() == a_distillation(text)
    assert second.meta()["made_from"] == first.id


def test_a_recipe_can_be_taken_out_edited_and_read_again(
    home: Home, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.new_run(home, a_distillation(text))
    file = tmp_path / "new folder" / "recipe.json"
    assert main(["recipe", run.id, "--out", str(file), "--json"]) == 0
    assert json.loads(file.read_text(encoding="utf-8")) == last_line(capsys)
    assert main(["recipe", run.id]) == 0
    assert json.loads(capsys.readouterr().out) == run.recipe().model_dump(mode="json")


def test_the_log_of_a_run_is_shown(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    run.log.write_text("one\ntwo\nthree\n")
    assert main(["log", run.id, "--lines", "2"]) == 0
    assert capsys.readouterr().out == "two\nthree\n"


# ------------------------------------------------------------------------------------------------- from flags to recipe


def a_distillation(text: Path, **changes: Any) -> DistillRecipe:
    fields: dict[str, Any] = {"teacher": str(text.parent), "student": "0.4x", "data": (str(text),), "tokens": 1000}
    return DistillRecipe(**{**fields, **changes})


def recipe_of(arguments: list[str]) -> DistillRecipe:
    from core.cli import build_parser
    from core.cli.start import _distill_recipe

    return _distill_recipe(build_parser().parse_args(["distill", *arguments]))


def test_every_field_of_the_recipe_can_be_said_as_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["distill", "--help"])
    shown = capsys.readouterr().out
    missing = [name for name in DistillRecipe.model_fields if f"--{name.replace('_', '-')}" not in shown]
    assert missing == ["kind", "use_teacher", "shape"]
    assert "--no-teacher" in shown


def test_flags_speak_human_numbers() -> None:
    words = "--teacher T --student 1.3M --init masks --data a --data b --tokens 2M --batch-tokens 4K --no-teacher"
    recipe = recipe_of([*words.split(), "--seed", "3", "--learning-rate", "3e-4", "--gradient-checkpointing"])
    assert recipe == DistillRecipe(
        teacher="T",
        student="1.3M",
        init="masks",
        data=("a", "b"),
        tokens=2_000_000,
        batch_tokens=4000,
        use_teacher=False,
        seed=3,
        learning_rate=3e-4,
        gradient_checkpointing=True,
    )


def test_several_teachers_objective_source_and_processes_are_said_as_flags() -> None:
    words = "--teacher A --teacher B --teacher C --teacher-weights 0.5,0.3,0.2 --mixture mean --student 1M --data d --tokens 1M"
    more = "--objective jsd --jsd-beta 0.3 --source on-policy --on-policy-share 0.25 --launch accelerate --processes 2"
    recipe = recipe_of([*words.split(), *more.split()])
    assert recipe.teachers == ("A", "B", "C")
    assert recipe.teacher_weights == (0.5, 0.3, 0.2)
    assert (recipe.objective, recipe.jsd_beta) == ("jsd", 0.3)
    assert (recipe.source, recipe.on_policy_share) == ("on-policy", 0.25)
    assert (recipe.launch, recipe.processes) == ("accelerate", 2)
    assert recipe_of(["--teacher", "A", "--more-teachers", "B", *words.split()[6:]]).more_teachers == ("B",)


def test_the_help_says_what_each_objective_and_source_is_good_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["distill", "--help"])
    shown = capsys.readouterr().out
    for name, facts in OBJECTIVES.items():
        assert any(line.split(maxsplit=1) == [name, facts.advice] for line in shown.splitlines())
    assert (
        len(shown[: shown.index("everywhere:")].splitlines()) < 12
    )  # settings are told in groups, not all in one line
    titles = (
        "the student:",
        "the objective:",
        "the source of what is learnt:",
        "several teachers:",
        "devices and processes:",
    )
    assert [shown.index(title) for title in titles] == sorted(shown.index(title) for title in titles)


def test_flags_go_before_the_recipe_file_and_a_new_student_drops_the_settled_shape(text: Path, tmp_path: Path) -> None:
    shape = {"model_type": "llama", "layers": 1, "hidden": 8, "heads": 1, "kv_heads": 1, "head_dim": 8}
    shape |= {"intermediate": 8, "vocabulary": 8, "context": 8, "tied": True}
    file = tmp_path / "recipe.json"
    saved = a_distillation(text, shape=shape, temperature=2.0)
    runs.save_recipe(saved, file)
    assert recipe_of(["--recipe", str(file)]) == saved
    changed = recipe_of(["--recipe", str(file), "--tokens", "5K"])
    assert (changed.tokens, changed.temperature, changed.shape) == (5000, 2.0, saved.shape)
    assert recipe_of(["--recipe", str(file), "--student", "0.5x"]).shape is None


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["distill", "--teacher", "t", "--data", "d", "--tokens", "1M"], "--student"),
        (["distill", "--recipe", "nowhere.json"], "nowhere.json"),
        (["distill", "--tokens", "2X"], "2X"),
        (["distill", "--student", "1M", "--data", "d", "--tokens", "1M", "--clip", "-1"], "clip"),
        (["evaluate", "nowhere/at all", "--data", "d"], "nowhere/at all"),
        (["inspect", "nowhere/at all"], "nowhere/at all"),
        (["show", "no-such-run"], "no-such-run"),
        (["distil"], "distil"),
        (["plan"], "--student"),
        (["plan", "--student", "1M", "--source", "memory"], "memory"),
        (["distill", "--teacher-weights", "0.5;0.5"], "0.5;0.5"),
    ],
)
def test_bad_input_is_told_in_words_and_as_json(
    home: Home, capsys: pytest.CaptureFixture[str], command: list[str], named: str
) -> None:
    assert main(command) == 2
    told = capsys.readouterr()
    assert named in told.err
    assert "Traceback" not in told.err
    assert told.out == ""
    assert main([*command, "--json"]) == 2
    answer = last_line(capsys)
    assert named in answer["error"]
    assert answer.keys() == {"error", "way_out"}


def test_a_bug_is_told_apart_from_a_trouble_and_shows_its_traceback_on_request(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "queue", lambda home: 1 / 0)
    assert main(["runs", "--json"]) == 1
    told = capsys.readouterr()
    assert "ZeroDivisionError" in json.loads(told.out)["error"]
    assert "Traceback" not in told.err
    assert main(["runs", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------------- the rest


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"    {name} " in shown for name in COMMANDS)
    for name in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0


@pytest.mark.parametrize(
    "command", [["inspect", "MODEL"], ["runs"], ["models"], ["devices"], ["plan", "--student", "3B"]]
)
def test_looking_never_loads_torch(home: Home, tmp_path: Path, command: list[str]) -> None:
    if "MODEL" in command and not STORIES.is_dir():
        pytest.skip("needs ../shared/models/stories3m")
    command = [str(STORIES) if word == "MODEL" else word for word in command]
    heavy = {"torch", "transformers", "accelerate", "peft", "datasets", "huggingface_hub", "rich", "PySide6"}
    script = f"import sys; from core.cli import main; code = main({[*command, '--json']!r}); "
    script += f"print(sorted({heavy!r} & sys.modules.keys()), file=sys.stderr); sys.exit(code)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stderr.splitlines()[-1]
    allowed = "[]" if command[0] == "plan" else "['rich']"
    assert loaded in (allowed, "[]")


def test_a_plan_without_a_teacher_names_the_band_to_scripts_and_people(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--student", "350M", "--device", "cpu", "--json"]) == 0
    answer = last_line(capsys)
    assert (answer["teacher_params"], answer["band"]) == (875_000_000, [700_000_000, 1_165_500_000])
    assert answer["affine_params"] == pytest.approx(2.498 * 350e6 - 11.498e6, rel=1e-3)
    assert answer.keys() >= {"candidates", "shapes", "estimate", "problems", "second_opinion", "teacher", "source"}
    assert main(["plan", "--student", "350M", "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert "875M" in told
    assert "arXiv 2311.07052" in told


def test_a_plan_shows_what_each_source_and_objective_takes(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["plan", "--student", "350M", "--device", "cpu", "--objective", "sinkhorn"]
    assert main([*asked, "--json"]) == 0
    answer = last_line(capsys)
    assert (answer["objective"], answer["lesson_source"]) == ("sinkhorn", "corpus")
    choices = {choice["name"]: choice for choice in answer["sources"]}
    assert choices["corpus"]["seconds"] == answer["estimate"]["seconds"]
    assert "more of the teacher" in choices["cache"]["why_not"]
    assert len(answer["objectives"]) == len(OBJECTIVES)
    assert main(asked) == 0
    told = capsys.readouterr().out
    assert "sinkhorn *" in told
    assert "on-policy" in told
    assert main(["plan", "--student", "350M", "--device", "cpu", "--source", "cache", "--json"]) == 0
    assert "cache" in {part["name"] for part in last_line(capsys)["estimate"]["disk"]}


def test_a_run_says_what_it_learnt_of_whom(home: Home, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = a_distillation(text, objective="jsd", source="on-policy", on_policy_share=0.25, more_teachers=("/t/other",))
    run = runs.new_run(home, asked)
    with JournalWriter(run.journal) as journal:
        for step in (1, 2):
            values = {"ce": 2.0, "kd": 1.0, "total": 1.7, "grad_norm": 1.0, "tokens_per_second": 1.0, "memory_bytes": 1}
            parts = {"hidden": 0.25, "balance": 1.5}
            journal.append(
                ev.StepLogged(step=step, tokens=step, lr=0.1, seconds=1.0, **values, parts=parts, generated=0.4)
            )
        journal.append(ev.ChoiceMade("cache", "/kept/answers", "nobody had kept these answers"))
        journal.append(ev.RunFinished({}))
    assert main(["show", run.id]) == 0
    told = capsys.readouterr().out
    assert "Generalized JSD of" in told
    assert "other, 50% of the loss. The student's own words, in 25% of the blocks: /kept/answers." in " ".join(
        told.split()
    )
    assert "hidden 0.250" in told  # where its curve ends
    facts = outcome(run, run.history(), run.state())
    assert (facts["objective"], facts["source"], facts["generated"]) == ("jsd", "on-policy", 0.4)
    assert facts["parts"] == {"ce": 2.0, "kd": 1.0, "hidden": 0.25, "balance": 1.5}
    assert "hidden 0.250" in step_text(run.history())
    assert "40% its own words" in step_text(run.history())


def test_inspect_tells_parameters_to_scripts(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    if not STORIES.is_dir():
        pytest.skip("needs ../shared/models/stories3m")
    assert main(["inspect", str(STORIES), "--json"]) == 0
    answer = last_line(capsys)
    assert (answer["parameters"], answer["non_embedding_parameters"]) == (3_148_224, 2_361_792)
    assert answer["architecture"] == "LlamaForCausalLM"


def test_model_folders_are_added_listed_and_forgotten(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "models" / "broken"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text('{"model_type": "llama"}')
    assert main(["models", "add", str(broken.parent), "--json"]) == 0
    answer = last_line(capsys)
    assert answer["folders"] == [str(broken.parent.resolve())]
    (entry,) = (model for model in answer["models"] if model["path"] == str(broken.resolve()))
    assert entry["info"] is None
    assert entry["broken"]
    assert main(["models", "forget", str(broken.parent), "--json"]) == 0
    answer = last_line(capsys)
    assert answer["folders"] == []
    assert str(broken.resolve()) not in [model["path"] for model in answer["models"]]
    assert main(["models", "add", str(tmp_path / "nowhere")]) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_the_window_without_a_screen_points_to_the_commands(home: Home) -> None:
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    blind = {name: value for name, value in environment().items() if name not in screens}
    command = [sys.executable, "-m", "desktop_app"]
    done = subprocess.run(command, env=blind, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "There is no screen here." in done.stderr + done.stdout
    assert "stillroom --help" in done.stderr + done.stdout


# ------------------------------------------------------------------------------------------------- numbers and curves


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("350000", 350_000),
        ("800K", 800_000),
        ("1.3M", 1_300_000),
        ("3b", 3 * 10**9),
        ("0.3T", 3 * 10**11),
        ("2e6", 2_000_000),
        ("1,000,000", 10**6),
        ("1_000", 1000),
        (" .5 M ", 500_000),
    ],
)
def test_counts_are_read_exactly(text: str, value: int) -> None:
    assert parse_count(text) == value


@pytest.mark.parametrize("text", ["", "many", "-3", "1.5", "1,5M", "2MB", "nan", "1e30", "1.2.3M"])
def test_what_is_no_count_is_refused_with_examples(text: str) -> None:
    with pytest.raises(Trouble, match=r"1\.3M|1e18"):
        parse_count(text)


def test_numbers_are_written_with_three_digits() -> None:
    assert [count_text(value) for value in (0, 950, 999.6, 1_300_000, 3_148_224, 7e9)] == [
        "0",
        "950",
        "1K",
        "1.3M",
        "3.15M",
        "7B",
    ]
    assert [bytes_text(value) for value in (12, 12_598_896, 2e9)] == ["12 B", "12.6 MB", "2 GB"]
    assert [duration_text(value) for value in (None, 42, 200, 3900, 273_600)] == [
        "–",
        "42 s",
        "3 min 20 s",
        "1 h 05 min",
        "3 d 4 h",
    ]


def test_a_curve_keeps_its_peaks_however_many_points_it_has() -> None:
    steps = list(range(100_000))
    ys: list[float | None] = [1.0 if step != 50_000 else 9.0 for step in steps]
    ys[7] = None
    top, *_, axis = chart([Line("loss", "blue", steps, ys)], width=60, height=8).plain.splitlines()
    assert top.startswith("9.00 ┤")
    assert any("\u2800" < character <= "\u28ff" for character in top)
    assert "99999 step" in axis


# ------------------------------------------------------------------------------------------------- devices and lineage


def test_no_run_is_made_for_a_device_that_is_not_there(
    home: Home, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(text.parent), "--data", str(text), "--device", "gpu", "--json"]) == 2
    assert "no gpu on this machine" in last_line(capsys)["error"]
    assert list(runs.all_runs(home)) == []


def test_a_measurement_that_waits_says_so_and_calls_the_runner_again(
    home: Home, run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.cli import plan as plan_cli
    from core.cli.output import Output

    calls: list[Home] = []

    def ensure_runner(of: Home) -> None:
        calls.append(of)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(runner, "ensure_runner", ensure_runner)
    monkeypatch.setattr(plan_cli, "LOOK_AT_QUEUE_EVERY_S", 0.0)
    runs.enqueue(home, run)
    with pytest.raises(KeyboardInterrupt):
        plan_cli.until_ended(home, run, Output(json=True))
    assert capsys.readouterr().err == "Waiting to start. Ctrl-C gives up.\n"


def test_inspect_tells_the_lineage_of_a_student(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not STORIES.is_dir():
        pytest.skip("needs ../shared/models/stories3m")
    student = tmp_path / "student"
    shutil.copytree(STORIES, student)
    grandparent = {"path": str(tmp_path / "gone"), "parameters": 9_000_000}
    middle = tmp_path / "models" / "middle"
    shutil.copytree(STORIES, middle)
    (middle / "stillroom.json").write_text(json.dumps({"run": "first", "teacher": grandparent}))
    (student / "stillroom.json").write_text(json.dumps({"run": "second", "teacher": {"path": str(middle)}}))
    assert main(["models", "add", str(middle.parent)]) == 0
    capsys.readouterr()
    assert main(["inspect", str(student), "--json"]) == 0
    answer = last_line(capsys)
    assert answer["lineage"]["run"] == "second"
    assert [link["run"] for link in answer["ancestors"]] == ["second", "first", None]
    assert main(["inspect", str(student)]) == 0
    told = capsys.readouterr().out
    assert "learnt from middle (3.15M), made by run first" in told
    assert "learnt from gone (9M)" in told


@pytest.mark.parametrize("command", ["chain", "cache", "write", "evaluate"])
def test_a_second_teacher_does_not_silently_take_the_place_of_the_first(
    home: Home, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["some model"] if command == "evaluate" else []
    assert main([command, *first, "--teacher", "./a", "--teacher", "./b", "--json"]) == 2
    assert "--teacher: only one can be given here, not both ./a and ./b" in last_line(capsys)["error"]
