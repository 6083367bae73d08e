"""Teacher-written text as it is asked for: what a recipe refuses, which prompts data gives, what the command line says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core import runner, runs
from core.cli import main
from core.documents import documents
from core.errors import BadData
from core.home import Home
from core.recipe import parse_recipe
from core.write import WriteRecipe


@pytest.fixture
def there(tmp_path: Path) -> dict[str, Any]:
    """A recipe that nothing stands against."""
    (tmp_path / "teacher").mkdir()
    (tmp_path / "text.txt").write_text("Once.")
    return {"kind": "write", "teacher": str(tmp_path / "teacher"), "data": [str(tmp_path / "text.txt")], "tokens": 100}


def test_a_recipe_without_problems_passes_its_check(there: dict[str, Any], tmp_path: Path) -> None:
    recipe = parse_recipe(there | {"out": str(tmp_path / "new" / "written.jsonl")})
    assert recipe.problems() == []
    assert recipe.title() == "teacher writes after text.txt"


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"teacher": "/no/such/folder"}, "teacher", "/no/such/folder"),
        ({"data": ["/no/such/text"]}, "data", "/no/such/text"),
        ({"new_tokens": 3, "least_tokens": 9}, "new_tokens", "9"),
        ({"out": "written.txt"}, "out", "end in .jsonl"),
    ],
)
def test_a_problem_names_its_field_and_the_thing(
    there: dict[str, Any], change: dict[str, Any], field: str, said: str
) -> None:
    (problem,) = parse_recipe(there | change).problems()
    assert problem.field == field
    assert said in problem.text


def test_nothing_is_overwritten_and_the_place_must_be_one(there: dict[str, Any], tmp_path: Path) -> None:
    def said(out: Path) -> str:
        (problem,) = parse_recipe(there | {"out": str(out)}).problems()
        assert problem.field == "out"
        return problem.text

    (tmp_path / "mine.jsonl").write_text("{}")
    assert "nothing is overwritten" in said(tmp_path / "mine.jsonl")
    assert f"{tmp_path / 'text.txt'} is no folder" in said(tmp_path / "text.txt" / "written.jsonl")


def test_rows_with_but_a_prompt_are_prompts_and_no_text_to_train_on(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    rows: list[dict[str, str]] = [
        {"prompt": "Why is the sky blue?"},
        {"instruction": "Add.", "input": "2 and 3", "output": "5"},
        {"instruction": "Subtract.", "input": "3 from 5"},
        {"text": "Once upon a time."},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = list(documents([str(file)], prompts=True))
    assert [document.text for document in found] == [
        "Why is the sky blue?",
        "Add.\n2 and 3\n5",
        "Subtract.\n3 from 5",
        "Once upon a time.",
    ]
    assert [document.learnt for document in found] == [(), ((13, 14),), (), None]
    with pytest.raises(BadData, match="Line 1 of"):
        list(documents([str(file)]))


# ----------------------------------------------------------------------------------------------------- the command line


def test_the_command_makes_a_run_with_whole_paths(
    there: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "ensure_runner", lambda home: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "teacher" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    command = ["write", "--teacher", "teacher", "--data", "text.txt", "--tokens", "2K", "--out", "w.jsonl"]
    assert main([*command, "--no-must-end", "--home", str(tmp_path / "home"), "--detach", "--json"]) == 0
    made = runs.find_run(Home.find(tmp_path / "home"), json.loads(capsys.readouterr().out)["run"]).recipe()
    assert isinstance(made, WriteRecipe)
    assert (made.tokens, made.must_end, made.preview) == (2000, False, 0)
    assert made.data == (str(tmp_path / "text.txt"),)
    assert made.out == str(tmp_path / "w.jsonl")


@pytest.mark.parametrize("missing", ["--teacher", "--data", "--tokens"])
def test_a_missing_flag_is_named(missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"--teacher": str(tmp_path), "--data": "a.txt", "--tokens": "5"}
    words = [word for flag, value in given.items() if flag != missing for word in (flag, value)]
    assert main(["write", *words, "--home", str(tmp_path / "home"), "--json"]) == 2
    assert f"{missing} is missing" in json.loads(capsys.readouterr().out)["error"]
