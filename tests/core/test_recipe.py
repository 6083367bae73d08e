"""Recipes: written and read without loss, and refused with the field's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.distill import DistillRecipe
from core.errors import BadRecipe
from core.evaluate import EvaluateRecipe
from core.recipe import Problem, parse_recipe, read_recipe
from core.runs import save_recipe

ASKED: dict[str, Any] = {"kind": "distill", "student": "0.4x", "data": ["a.txt"], "tokens": 1000}


@pytest.fixture
def there(tmp_path: Path) -> dict[str, Any]:
    """A recipe that nothing stands against."""
    (tmp_path / "teacher").mkdir()
    (tmp_path / "text.txt").write_text("Once.")
    return {**ASKED, "teacher": str(tmp_path / "teacher"), "data": [str(tmp_path / "text.txt")]}


def problems_of(**fields: Any) -> list[Problem]:
    return parse_recipe(fields).problems()


def test_a_recipe_file_gives_the_same_recipe_again(tmp_path: Path) -> None:
    recipe = DistillRecipe(student="1.3M", data=("ä b/Text.txt",), tokens=5000, name="Nachtlauf", learning_rate=3e-4)
    save_recipe(recipe, tmp_path / "new folder" / "recipe.json")
    assert read_recipe(tmp_path / "new folder" / "recipe.json") == recipe


def test_a_recipe_saved_by_an_editor_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(ASKED), encoding="utf-8-sig")
    assert isinstance(read_recipe(tmp_path / "recipe.json"), DistillRecipe)


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_recipe(ASKED).tokens = 5  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"tokens": 3}, "tokens"),
        ({"tokens": "many"}, "tokens"),
        ({"tokens": None}, "tokens"),
        ({"data": []}, "data"),
        ({"data": "a.txt"}, "data"),
        ({"init": "magic"}, "init"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"clip": float("inf")}, "clip"),
        ({"temperature": 0}, "temperature"),
        ({"ce_weight": 1.5}, "ce_weight"),
        ({"learning_rte": 1e-3}, "learning_rte"),
        ({"shape": {"layers": 2}}, r"shape\.hidden"),
        ({"seed": -1}, "seed"),
        ({"top_k": 70_000}, "top_k"),  # a cache counts them in two bytes
        ({"kind": "brew"}, "brew"),
        ({"kind": None}, "None"),
    ],
)
def test_a_bad_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRecipe, match=named):
        parse_recipe(ASKED | change, "my recipe")


@pytest.mark.parametrize("content", ["", "{", "[]", "nonsense", "[" * 100_000, "1"])
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(BadRecipe, match=r"recipe\.json"):
        read_recipe(tmp_path / "recipe.json")


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="There is no recipe file"):
        read_recipe(tmp_path / "recipe.json")
    (tmp_path / "recipe.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRecipe, match="not valid JSON"):
        read_recipe(tmp_path / "recipe.json")
    with pytest.raises(BadRecipe, match="can't be read"):
        read_recipe(tmp_path)


# --- problems, each beside its field ----------------------------------------------------------------------------------


def test_a_recipe_without_problems_passes_its_check(there: dict[str, Any]) -> None:
    recipe = parse_recipe(there)
    assert recipe.problems() == []
    assert recipe.check() is recipe


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"teacher": None}, "teacher", "prune cuts the student out of a teacher"),
        ({"teacher": "/no/such/folder"}, "teacher", "/no/such/folder"),
        ({"init": "existing", "student": "/no/such/student"}, "student", "/no/such/student"),
        ({"data": ["/no/such/text"]}, "data", "/no/such/text"),
        ({"batch_tokens": 64, "sequence_length": 128}, "batch_tokens", "128"),
    ],
)
def test_a_problem_names_its_field_and_the_thing(
    there: dict[str, Any], change: dict[str, Any], field: str, said: str
) -> None:
    (problem, *_) = found = problems_of(**there | change)
    assert {each.field for each in found} <= {field, "student"}
    assert problem.field == field
    assert said in problem.text
    with pytest.raises(BadRecipe, match=f"{field}: "):
        parse_recipe(there | change).check()


def test_all_problems_are_said_at_once() -> None:
    found = problems_of(**ASKED | {"teacher": "/no/teacher", "data": ["/no/text", "/no/more"]})
    assert [problem.field for problem in found] == ["teacher", "data", "data"]


def test_nothing_is_overwritten_by_the_finished_student(there: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert problems_of(**there, out=str(out)) == []
    out.mkdir()
    assert problems_of(**there, out=str(out)) == []
    (out / "something").touch()
    assert [problem.field for problem in problems_of(**there, out=str(out))] == ["out"]
    assert [problem.field for problem in problems_of(**there, out=str(out / "something"))] == ["out"]


def test_the_control_run_without_the_teacher_is_told_apart(there: dict[str, Any]) -> None:
    guided, plain = parse_recipe(there), parse_recipe(there | {"use_teacher": False})
    assert isinstance(guided, DistillRecipe)
    assert isinstance(plain, DistillRecipe)
    assert (guided.guided, plain.guided) == (True, False)
    assert guided.title() == "teacher → 0.4x (prune)"
    assert plain.title() == "teacher → 0.4x (prune, without the teacher)"


def test_an_evaluation_needs_a_model_and_something_to_read(tmp_path: Path) -> None:
    found = EvaluateRecipe(model="/no/model", teacher="/no/teacher").problems()
    assert [problem.field for problem in found] == ["model", "teacher", "data"]
    assert EvaluateRecipe(model=str(tmp_path), skills=5).problems() == []


def test_a_student_that_could_not_be_written_is_refused_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(out: Path) -> list[str]:
        recipe = DistillRecipe(student="0.4x", data=("a.txt",), tokens=100, out=str(out))
        return [problem.text for problem in recipe.problems() if problem.field == "out"]

    (tmp_path / "a file").write_text("")
    assert said(tmp_path / "new" / "deep" / "student") == []
    assert f"{tmp_path / 'a file'} is no folder that you may write to" in said(tmp_path / "a file" / "student")[0]
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    assert f"{tmp_path} is no folder" in said(tmp_path / "new" / "student")[0]
