"""A pilot compares like with like, proposes no more than it knows, and counts for the law only when told to."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from test_plan import llama, save

import core.pilot
import core.target
import core.teachers
from core import events as ev
from core.cli import main
from core.devices import Device
from core.distill import DistillRecipe
from core.errors import BadModel, BadRecipe, RunTrouble
from core.home import Home
from core.journal import JournalWriter
from core.labels import retag
from core.models import inspect_model
from core.own_runs import own_law
from core.pilot import SEED_SPREAD, count_for_law, law_points, make_pilot, pilot_of, pilot_tokens, pilots
from core.plan import parse_target, plan
from core.runs import RunFolder, queue
from core.state import State

CPU = Device("cpu", "a CPU", 16 * 2**30, 8 * 2**30, False, "", cores=4)
VARYING = {"teacher", "objective", "source", "name", "shape"}


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(core.teachers, "sample_teachers", list)
    for module in (core.target, core.pilot):
        monkeypatch.setattr(module, "devices", lambda: [CPU])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.find(tmp_path / "home")


@pytest.fixture
def teachers(tmp_path: Path) -> list[Path]:
    """Of one family, the second of more width and context."""
    large = llama(hidden=256, intermediate_size=768, max_position_embeddings=512)
    return [save(tmp_path / "small", llama()), save(tmp_path / "large", large)]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("Once upon a time.\n", encoding="utf-8")
    return file


def asked(teacher: Path, text: Path, **changes: Any) -> DistillRecipe:
    fields = {"teacher": str(teacher), "student": "0.4x", "data": (str(text),), "tokens": 10**9}
    return DistillRecipe.model_validate(fields | changes)


def of_teachers(home: Home, teachers: Sequence[Path], text: Path, **changes: Any) -> list[RunFolder]:
    return make_pilot(home, asked(teachers[0], text, **changes), "teacher", [str(t) for t in teachers], 50_000)


def recipe_of(run: RunFolder) -> DistillRecipe:
    recipe = run.recipe()
    assert isinstance(recipe, DistillRecipe)
    return recipe


# --- making one -------------------------------------------------------------------------------------------------------


def test_the_runs_differ_in_the_teacher_alone_and_share_a_tag(home: Home, teachers: list[Path], text: Path) -> None:
    made = of_teachers(home, teachers, text)
    first, second = map(recipe_of, made)
    assert [Path(recipe.teacher or "").name for recipe in (first, second)] == ["small", "large"]
    differ = {name for name in DistillRecipe.model_fields if getattr(first, name) != getattr(second, name)}
    assert differ == {"teacher", "name"}  # one shape, too: it can be cut from both
    assert (first.tokens, first.out) == (50_000, None)
    assert first.learning_rate is not None  # not each its own default
    assert first.sequence_length == 256  # what both can read
    tags = [run.meta()["tags"] for run in made]
    assert tags[0] == tags[1]
    assert pilots(home) == [tags[0][0].removeprefix("pilot-")]
    assert queue(home) == []


def test_a_share_of_the_teacher_is_one_size_for_all(home: Home, teachers: list[Path], text: Path) -> None:
    made = of_teachers(home, teachers[::-1], text, student="0.2x")
    sizes = {recipe_of(run).student for run in made}
    assert sizes == {str(round(0.2 * inspect_model(teachers[1]).parameters))}


def test_where_no_shape_fits_all_teachers_each_student_has_the_size(
    home: Home, teachers: list[Path], text: Path, tmp_path: Path
) -> None:
    other = save(tmp_path / "other heads", llama(num_attention_heads=12, num_key_value_heads=4, head_dim=16))
    made = of_teachers(home, [teachers[0], other], text, student="600K")
    shapes = [recipe_of(run).shape for run in made]
    assert shapes[0] != shapes[1]
    assert {recipe_of(run).student for run in made} == {"600K"}


def test_objectives_and_sources_are_tried_alike(home: Home, teachers: list[Path], text: Path) -> None:
    made = make_pilot(home, asked(teachers[0], text), "objective", ["forward_kl", "jsd", "tvd"], 50_000)
    recipes = [recipe_of(run) for run in made]
    assert [recipe.objective for recipe in recipes] == ["forward_kl", "jsd", "tvd"]
    assert len({recipe.model_copy(update={"objective": "x", "name": ""}) for recipe in recipes}) == 1
    on_policy = asked(teachers[0], text, source="on-policy", on_policy_share=0.7)
    made = make_pilot(home, on_policy, "source", ["corpus", "on-policy"], 50_000)
    assert [recipe_of(run).source for run in made] == ["corpus", "on-policy"]
    assert [recipe_of(run).on_policy_share for run in made] == [0.5, 0.7]  # the corpus asks for none


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("teacher", ["small"], "2 to 4"),
        ("objective", ["forward_kl"] * 2, "2 to 4"),
        ("objective", ["forward_kl", "jsd", "tvd", "top1", "reverse_kl"], "2 to 4"),
        ("objective", ["forward_kl", "no_such"], "no_such is none"),
        ("objective", ["forward_kl", "sinkhorn"], "sinkhorn: objective: .*cache"),
    ],
)
def test_all_is_checked_before_the_first_folder_is_written(
    home: Home, teachers: list[Path], text: Path, field: Any, values: list[str], words: str
) -> None:
    with pytest.raises(BadRecipe, match=words):
        make_pilot(home, asked(teachers[0], text, source="cache", top_k=5), field, values, 50_000)
    assert list(home.runs.iterdir()) == []


def test_a_teacher_that_can_not_teach_is_told_before_anything_is_written(
    home: Home, teachers: list[Path], text: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadModel, match="empty"):
        of_teachers(home, [teachers[0], tmp_path / "empty"], text)
    tiny = save(tmp_path / "tiny", llama(hidden=64, layers=1, num_attention_heads=2, num_key_value_heads=1))
    with pytest.raises(BadRecipe):
        of_teachers(home, [teachers[0], tiny], text)
    assert list(home.runs.iterdir()) == []


def test_if_one_folder_can_not_be_written_none_stays(
    home: Home, teachers: list[Path], text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_run, count = core.pilot.new_run, [0]

    def full_disk(*arguments: Any) -> RunFolder:
        count[0] += 1
        if count[0] == 2:
            raise RunTrouble("The disk is full.")
        return new_run(*arguments)

    monkeypatch.setattr(core.pilot, "new_run", full_disk)
    with pytest.raises(RunTrouble):
        of_teachers(home, teachers, text)
    assert list(home.runs.iterdir()) == []


# --- reading one ------------------------------------------------------------------------------------------------------


def write_journal(run: RunFolder, curve: Sequence[float], teacher: int = 2_000_000, finished: bool = True) -> None:
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunStarted("cpu", 1, 0.0))
        journal.append(ev.TrainingPlanned(len(curve), 50_000, 1, 1, 64, 800_000, teacher))
        for step, bits in enumerate(curve):
            if step:
                journal.append(ev.StepLogged(step, 1000 * step, 1e-3, 1.0, 1.0, 1.0, 1.0, 1.0, 1, 2.0 * step))
            journal.append(ev.EvaluationLogged(step, 1000 * step, "student", {"bits_per_byte": bits}))
        if finished:
            after = {"bits_per_byte": curve[-1]}
            results = {"parameters": 800_000, "teacher_parameters": teacher, "after": after}
            journal.append(ev.RunFinished(results))


def falling(end: float, wobble: float = 0.0, seed: int = 0, steps: int = 10) -> list[float]:
    noise = random.Random(seed)
    return [end + math.exp(-step) * 2 + wobble * noise.uniform(-1, 1) for step in range(steps)] + [end]


def test_the_lowest_bits_per_byte_win_by_their_margin(home: Home, teachers: list[Path], text: Path) -> None:
    made = of_teachers(home, teachers, text)
    write_journal(made[0], falling(1.30))
    assert pilot_of(home, "last").winner is None
    assert "two are needed" in pilot_of(home, "last").sentence
    write_journal(made[1], falling(1.20))
    state = pilot_of(home, "last")
    assert state.winner is not None
    assert (state.winner.value, state.draw, state.field) == ("large", False, "teacher")
    assert state.margin == pytest.approx(0.1)
    assert "large leads small by 0.1000" in state.sentence
    first = state.trials[0]
    assert (first.state, first.bits_per_byte, first.tokens, first.seconds) == (State.FINISHED, 1.30, 10_000, 20.0)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (falling(1.2), falling(1.2 * (1 + 0.8 * SEED_SPREAD)), "less than what seeds make"),
        (falling(1.2, 0.02, 1), falling(1.22, 0.02, 2), "less than what the lead moves by"),
        ([*falling(1.25), 1.2], [*falling(1.2), 1.23], "ahead for a moment only"),
    ],
)
def test_a_margin_that_chance_could_make_is_a_draw(
    home: Home, teachers: list[Path], text: Path, one: list[float], other: list[float], why: str
) -> None:
    made = of_teachers(home, teachers, text)
    write_journal(made[0], one)
    write_journal(made[1], other)
    state = pilot_of(home, "last")
    assert state.draw, why
    assert "draw" in state.sentence


def test_runs_that_seeds_alone_part_are_called_draws_and_real_leads_are_not() -> None:
    """Curves with a spread between runs as seeds make it, and noise within: false winners are rare, large leads found."""

    def verdicts(gap: float) -> int:
        wins = 0
        for number in range(200):
            noise = random.Random(number)
            curves = [
                [1.3 + lift + math.exp(-at) + noise.gauss(0, 0.0005) for at in range(11)]
                for lift in (noise.gauss(0, 0.3 * SEED_SPREAD), gap + noise.gauss(0, 0.3 * SEED_SPREAD))
            ]
            trials = [
                core.pilot.Trial(RunFolder(Path(name)), name, State.FINISHED, 1, 1.0, 1, 1, tuple(enumerate(curve)))
                for name, curve in zip("ab", curves, strict=True)
            ]
            wins += not core.pilot.judge("x", "teacher", trials).draw
        return wins

    assert verdicts(0.0) < 10
    assert verdicts(0.03) > 190


def test_a_run_that_failed_is_left_out_and_said(home: Home, teachers: list[Path], text: Path) -> None:
    made = make_pilot(home, asked(teachers[0], text), "objective", ["forward_kl", "jsd", "reverse_kl"], 50_000)
    write_journal(made[0], falling(1.3))
    write_journal(made[1], falling(0.2), finished=False)
    write_journal(made[2], falling(1.2))
    state = pilot_of(home, "last")
    assert state.winner is not None
    assert state.winner.value == "reverse_kl"
    assert "1 of 3 runs have not finished" in state.sentence
    assert "how it writes" in state.sentence  # bits per byte are no fair judge of a reverse KL


def test_a_pilot_is_found_by_its_id_or_tag_and_an_unknown_one_is_told(
    home: Home, teachers: list[Path], text: Path
) -> None:
    with pytest.raises(RunTrouble, match="no pilot last"):
        pilot_of(home, "last")
    made = of_teachers(home, teachers, text)
    of_teachers(home, teachers, text)
    one, two = pilots(home)
    retag(made[0], [*made[0].meta()["tags"], "mine"])
    assert pilot_of(home, one).id == pilot_of(home, f"pilot-{one}").id == one
    assert pilot_of(home, "last").id == two
    assert len(pilot_of(home, one).trials) == 2
    with pytest.raises(RunTrouble, match=f"There is {one}, {two}"):
        pilot_of(home, "none")


# --- the law ----------------------------------------------------------------------------------------------------------


def test_the_points_count_for_the_law_only_when_told_to(home: Home, teachers: list[Path], text: Path) -> None:
    made = of_teachers(home, teachers, text)
    for run, teacher, bits in zip(made, (1_600_000, 2_400_000), (1.3, 1.2), strict=True):
        write_journal(run, falling(bits), teacher)
    state = pilot_of(home, "last")
    points = [(800_000.0, 1_600_000.0, 1.3), (800_000.0, 2_400_000.0, 1.2)]
    assert law_points(state) == points
    assert own_law(home).runs == 0
    assert count_for_law(state) == 2
    assert own_law(home).runs == 2
    assert law_points(pilot_of(home, "last")) == points
    assert count_for_law(state) == 2  # told twice, they count once
    assert own_law(home).runs == 2


def test_objectives_say_nothing_about_teachers(home: Home, teachers: list[Path], text: Path) -> None:
    for run in make_pilot(home, asked(teachers[0], text), "objective", ["forward_kl", "jsd"], 50_000):
        write_journal(run, falling(1.2))
    assert law_points(pilot_of(home, "last")) == []
    with pytest.raises(RunTrouble, match="no points"):
        count_for_law(pilot_of(home, "last"))


# --- the command ------------------------------------------------------------------------------------------------------


def run_command(capsys: pytest.CaptureFixture[str], home: Home, *words: str) -> tuple[int, dict[str, Any], str]:
    code = main(["pilot", *words, "--home", str(home.root), "--json"])
    told = capsys.readouterr()
    return code, json.loads(told.out), told.err


def test_the_command_follows_all_runs_and_proposes(
    capsys: pytest.CaptureFixture[str],
    home: Home,
    teachers: list[Path],
    text: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ensure_runner(home: Home) -> None:
        """Instead of engines: both runs are done at once."""
        for run, bits in zip(queue(home), (1.3, 1.2), strict=False):
            write_journal(run, falling(bits), 1_600_000)
            run.queue_entry.unlink()

    monkeypatch.setattr("core.runner.ensure_runner", ensure_runner)
    words = ["--teacher", str(teachers[0]), "--teacher", str(teachers[1]), "--student", "0.4x"]
    code, told, shown = run_command(capsys, home, *words, "--data", str(text), "--tokens", "50K")
    assert code == 0
    assert [each["state"] for each in told["runs"]] == ["finished", "finished"]
    by_name = {each["value"]: each["bits_per_byte"] for each in told["runs"]}
    assert told["winner"] == min(by_name, key=lambda name: by_name[name])
    assert told["sentence"] in shown
    assert len(told["points"]) == 2
    assert told["counted"] == own_law(home).runs == 0
    code, told, _ = run_command(capsys, home, "--show", "last", "--count")
    assert told["counted"] == own_law(home).runs == 2


def test_without_a_budget_each_run_gets_a_tenth_of_one_and_it_is_said_why(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    home: Home,
    teachers: list[Path],
    text: Path,
) -> None:
    monkeypatch.setattr("core.runner.ensure_runner", lambda home: None)
    objectives = ["--objective", "forward_kl", "--objective", "jsd"]
    common = ["--teacher", str(teachers[0]), "--student", "0.4x", "--data", str(text), "--detach", *objectives]
    code, _, said = run_command(capsys, home, *common)
    assert code == 0
    made = plan(home, parse_target("0.4x"), teachers[0], data=(str(text),))
    tokens, reason = pilot_tokens(made)
    assert tokens == made.tokens // 10
    assert reason in said
    assert [recipe_of(run).tokens for run in queue(home)] == [tokens, tokens]
    assert recipe_of(queue(home)[1]).name.endswith(": Generalized JSD")
    few, why = pilot_tokens(made.model_copy(update={"tokens": 1000}))
    assert few == 100 * made.estimate.choices.sequence_length
    assert why.startswith("100 steps of")


def test_a_pilot_of_nothing_or_of_two_things_is_refused(
    capsys: pytest.CaptureFixture[str], home: Home, teachers: list[Path], text: Path
) -> None:
    rest = ["--student", "0.4x", "--data", str(text), "--tokens", "50K"]
    one, two = (str(teacher) for teacher in teachers)
    code, told, _ = run_command(capsys, home, "--teacher", one, *rest)
    assert code == 2
    assert "only one of these" in told["error"]
    both = ["--objective", "forward_kl", "--objective", "jsd"]
    code, told, _ = run_command(capsys, home, "--teacher", one, "--teacher", two, *both, *rest)
    assert code == 2
    code, told, _ = run_command(capsys, home, *both, *rest)
    assert (code, told["error"]) == (2, "--teacher is missing.")
    assert list(home.runs.iterdir()) == []
