"""A chain is planned by the law, complete before it starts, and refused in words where it makes no sense."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_plan import llama, save

import core.target
import core.teachers
from core import events as ev
from core import law
from core.chain import CAUTION, ChainRecipe, link_folder, settle_chain
from core.cli import main
from core.devices import Device
from core.distill import DistillRecipe
from core.errors import BadRecipe
from core.home import Home
from core.library import Library
from core.models import inspect_model
from core.plan import models_at_hand
from core.recipe import parse_recipe
from core.runs import new_run
from core.shapes import validate_cut
from core.state import State, fold

CPU = Device("cpu", "a CPU", 16 * 2**30, 8 * 2**30, False, "", cores=4)


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(core.teachers, "sample_teachers", list)
    monkeypatch.setattr(core.target, "devices", lambda: [CPU])


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return save(tmp_path / "teacher", llama())


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("Once upon a time.\n", encoding="utf-8")
    return file


def chain(teacher: Path, text: Path, sizes: tuple[str, ...] = (), split: str = "even", **changes: Any) -> ChainRecipe:
    fields = {"teacher": str(teacher), "student": "0.1x", "data": (str(text),), "tokens": 90_000} | changes
    return ChainRecipe.model_validate({"of": DistillRecipe.model_validate(fields), "sizes": sizes, "split": split})


def test_the_law_plans_the_assistants_and_every_shape_is_cut_from_the_one_before(teacher: Path, text: Path) -> None:
    settled = settle_chain(chain(teacher, text))
    whole = inspect_model(teacher)
    student = settled.links[-1].parameters
    planned = sorted(law.assistants(whole.parameters, round(0.1 * whole.parameters)).sizes, reverse=True)
    assert len(planned) == 2
    for link, size in zip(settled.links, [*planned, 0.1 * whole.parameters], strict=True):
        assert link.parameters == pytest.approx(size, rel=0.02)
    before = whole.shape
    for link in settled.links:
        assert before is not None
        assert link.shape is not None
        assert validate_cut(before, link.shape) == []
        before = link.shape
    assert settled.of.shape == settled.links[-1].shape
    assert [link.name.partition("-")[0] for link in settled.links] == ["1", "2", "3"]
    assert student < settled.links[1].parameters < settled.links[0].parameters < whole.parameters


def test_settling_a_settled_chain_changes_nothing_nor_does_its_file(teacher: Path, text: Path) -> None:
    settled = settle_chain(chain(teacher, text, device="cpu", seed=3))
    assert settle_chain(settled) == settled
    assert parse_recipe(json.loads(settled.model_dump_json())) == settled
    assert (settled.device, settled.seed) == ("cpu", 3)  # the queue looks here


def test_named_assistants_stand_in_order_of_size(teacher: Path, text: Path) -> None:
    settled = settle_chain(chain(teacher, text, sizes=("0.3x", "0.6x")))
    whole = inspect_model(teacher).parameters
    assert [link.parameters / whole for link in settled.links] == pytest.approx([0.6, 0.3, 0.1], rel=0.05)
    assert settled.title().startswith("teacher → ")
    assert settled.title().endswith("0.1x (chain)")


@pytest.mark.parametrize(("split", "shares"), [("even", [1, 1, 1]), ("size", [6, 3, 1])])
def test_the_budget_is_shared_out_whole(teacher: Path, text: Path, split: str, shares: list[int]) -> None:
    settled = settle_chain(chain(teacher, text, sizes=("0.6x", "0.3x"), split=split, tokens=100_001))
    tokens = [link.tokens for link in settled.links]
    assert sum(tokens) == 100_001
    assert tokens == pytest.approx([100_000 * share / sum(shares) for share in shares], rel=0.05)
    assert max(tokens) == tokens[0]  # the first reads the text for all


def test_each_link_learns_from_what_the_link_before_made(teacher: Path, text: Path, tmp_path: Path) -> None:
    settled = settle_chain(chain(teacher, text, init="masks", source="cache", top_k=5, out=str(tmp_path / "out")))
    settled = settled.model_copy(update={"of": settled.of.model_copy(update={"cache": "/kept"})})
    first, *_, last = (settled.link_recipe(number, tmp_path) for number in range(1, 4))
    assert first.teacher == str(teacher)
    assert last.teacher == str(link_folder(tmp_path, settled.links[1]) / "artifacts" / "student")
    assert (first.out, last.out) == (None, str(tmp_path / "out"))
    assert (first.cache, last.cache) == ("/kept", None)
    assert {first.init, last.init} == {"masks"}
    assert (first.shape, last.shape) == (settled.links[0].shape, settled.of.shape)


def test_a_student_that_is_not_cut_has_pruned_assistants(teacher: Path, text: Path, tmp_path: Path) -> None:
    small = save(
        tmp_path / "small",
        llama(hidden=64, layers=2, num_attention_heads=2, num_key_value_heads=1, intermediate_size=96),
    )
    for changes in ({"init": "scratch"}, {"student": str(small)}):
        settled = settle_chain(chain(teacher, text, **changes))
        recipes = [settled.link_recipe(number, tmp_path) for number in range(1, len(settled.links) + 1)]
        assert {recipe.init for recipe in recipes[:-1]} == {"prune"}
        assert recipes[-1].init == ("scratch" if "init" in changes else "existing")
    assert recipes[-1].student == str(small)
    assert settled.links[-1].parameters == inspect_model(small).parameters


@pytest.mark.parametrize(
    ("changes", "sizes", "words"),
    [
        ({"student": "0.4x"}, (), "the law plans no assistant"),
        ({}, ("0.05x",), "can't follow"),
        ({}, ("1x",), "can't follow"),
        ({}, ("0.3x", "0.3x"), "can't follow"),
        ({}, ("./model",), "no size"),
        ({"tokens": 100}, ("0.3x",), "each needs 64"),
        ({"use_teacher": False}, (), "guides"),
        ({"processes": 2, "launch": "accelerate"}, (), "one process"),
        ({"temperature": 2.0, "student": "9x"}, (), "student"),
    ],
)
def test_a_chain_that_makes_no_sense_is_refused(
    teacher: Path, text: Path, changes: dict[str, Any], sizes: tuple[str, ...], words: str
) -> None:
    with pytest.raises(BadRecipe, match=words):
        settle_chain(chain(teacher, text, sizes, **changes))


def test_several_teachers_are_refused(teacher: Path, text: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other", llama())
    with pytest.raises(BadRecipe, match="Each link of a chain has one teacher"):
        settle_chain(chain(teacher, text, more_teachers=(str(other),)))


def test_a_device_said_beside_the_distillation_is_not_silently_ignored(teacher: Path, text: Path) -> None:
    settled = settle_chain(chain(teacher, text, device="cpu"))
    with pytest.raises(BadRecipe, match="Say the same in both places"):
        settle_chain(settled.model_copy(update={"device": "cuda:0"}))


def test_the_caution_has_the_published_figures() -> None:
    assert "20.64" in CAUTION
    assert "21.66" in CAUTION


# --- what is known of it from outside -----------------------------------------------------------------------------------


def test_links_are_kept_by_the_fold_until_a_resumption_makes_them_void() -> None:
    started = ev.RunStarted("cpu", 1, 0.0)
    links = [ev.LinkEntered(1, 2, "1-2M", 0), ev.LinkEntered(2, 2, "2-1M", 6)]
    assert fold([started, *links]).links == links
    assert fold([started, *links, ev.RunStarted("cpu", 1, 0.0, resumed_from=4)]).links == links[:1]
    assert fold([started, *links, ev.RunStarted("cpu", 1, 0.0, resumed_from=6)]).links == links
    assert ev.decode(ev.encode(links[1])) == ev.LinkEntered(2, 2, "2-1M", 6, seq=-1)


def test_the_library_knows_teacher_student_and_assistants(home: Home, teacher: Path, text: Path) -> None:
    settled = settle_chain(chain(teacher, text))
    run = new_run(home, settled)
    made = link_folder(run.path, settled.links[0]) / "artifacts" / "student"
    save(made, llama())
    (made.parents[1] / "meta.json").write_text(json.dumps({"name": "assistant of a night"}))
    with Library(home) as library:
        library.refresh_runs()
        library.refresh_models()
        [row] = library.runs()
        assert (row.kind, row.teacher, row.student, row.state) == ("chain", str(teacher), "0.1x", State.STOPPED)
        found = {entry.path: entry.name for entry in library.models()}
    size = settled.links[0].name.partition("-")[2]
    assert found[made] == f"assistant of a night · {size}"
    assert made in models_at_hand(home)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.find(tmp_path / "home")


# --- the command --------------------------------------------------------------------------------------------------------


def run_command(capsys: pytest.CaptureFixture[str], home: Home, *words: str) -> tuple[int, dict[str, Any], str]:
    code = main([*words, "--home", str(home.root), "--json"])
    told = capsys.readouterr()
    return code, json.loads(told.out), told.err


def test_a_dry_run_shows_the_links_and_starts_nothing(
    capsys: pytest.CaptureFixture[str], home: Home, teacher: Path, text: Path, tmp_path: Path
) -> None:
    words = [
        "chain",
        "--teacher",
        str(teacher),
        "--student",
        "0.1x",
        "--data",
        str(text),
        "--tokens",
        "90K",
        "--dry-run",
    ]
    file = tmp_path / "chain.json"
    code, told, shown = run_command(capsys, home, *words, "--save-recipe", str(file))
    assert code == 0
    assert [link["tokens"] for link in told["links"]] == [30_000] * 3
    assert "20.64" in shown
    assert list(home.runs.iterdir()) == []

    code, again, _ = run_command(capsys, home, "chain", "--recipe", str(file), "--dry-run")
    assert again["recipe"] == told["recipe"]
    code, other, _ = run_command(capsys, home, "chain", "--recipe", str(file), "--assistant", "0.5x", "--dry-run")
    assert len(other["links"]) == 2
    code, wrong, _ = run_command(
        capsys, home, "chain", "--teacher", str(teacher), "--data", str(text), "--tokens", "9K"
    )
    assert (code, wrong["error"]) == (2, "--student is missing.")


def test_a_chain_waits_in_the_queue_as_one_run(
    capsys: pytest.CaptureFixture[str], home: Home, teacher: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.runner.ensure_runner", lambda home: None)
    words = [
        "chain",
        "--teacher",
        str(teacher),
        "--student",
        "0.1x",
        "--data",
        str(text),
        "--tokens",
        "90K",
        "--detach",
    ]
    code, told, _ = run_command(capsys, home, *words)
    assert (code, told["state"]) == (0, "queued")
    assert len(list(home.runs.iterdir())) == 1


def test_the_recipe_is_known_without_the_planner() -> None:
    """Whoever reads run folders, every tenth of a second, reads this recipe too."""
    script = "import sys, core.runs; print(sorted({'core.plan', 'core.law', 'torch', 'numpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['core.law']"
