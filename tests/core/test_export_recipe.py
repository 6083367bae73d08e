"""What an export refuses before it starts, in words beside the field."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from core.cli import main
from core.export import K_TYPES, TARGETS, ExportRecipe

SAMPLE = Path(__file__).parents[2] / "resources" / "sample" / "stories-0.8M"


def problems(**fields: Any) -> dict[str, str]:
    recipe = ExportRecipe(**({"model": str(SAMPLE), "to": "gguf"} | fields))
    return {problem.field: problem.text for problem in recipe.problems()}


def test_every_target_has_a_type_of_its_own_by_default(tmp_path: Path) -> None:
    assert {to: ExportRecipe(model=str(SAMPLE), to=to).weight_type for to in TARGETS} == {  # type: ignore[arg-type]
        "gguf": "q8_0",
        "ollama": "q8_0",
        "hf": "bf16",
        "int8": "int8",
        "int4": "int4",
        "onnx": "f32",
    }
    assert problems(out=str(tmp_path / "a.gguf"), type="Q4_0") == {}


def test_a_type_that_the_target_does_not_know_is_named() -> None:
    assert "bf16, f16, f32" in problems(to="hf", type="q8_0")["type"]


def test_nothing_is_overwritten_and_a_file_is_called_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "there.gguf").touch()
    assert "is there already" in problems(out=str(tmp_path / "there.gguf"))["out"]
    assert "end in .gguf" in problems(out=str(tmp_path / "model.bin"))["out"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    assert "is there already" in problems(to="hf", out=str(tmp_path / "full"))["out"]
    (tmp_path / "empty").mkdir()
    assert problems(to="hf", out=str(tmp_path / "empty")) == {}
    assert "no folder that you may write to" in problems(to="hf", out=str(tmp_path / "there.gguf" / "inside"))["out"]


def test_an_architecture_that_gguf_does_not_know_is_refused_with_what_it_knows(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    text = problems(model=str(tmp_path))["model"]
    assert "mamba can't be written" in text
    assert "qwen3" in text
    assert "model" not in problems(model=str(tmp_path), to="hf")


def test_a_missing_package_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    gone = {"onnxscript", "torchao", "llama_cpp"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in gone else real(name))
    assert "pip install onnxscript" in problems(to="onnx")["to"]
    assert "pip install torchao" in problems(to="int4")["to"]
    assert "pip install llama-cpp-python" in problems(type=K_TYPES[0])["type"]
    assert "q8_0" in problems(type=K_TYPES[0])["type"]


def test_a_name_for_the_hub_has_an_owner() -> None:
    assert "organisation/name" in problems(to="hf", push="student")["push"]
    assert "push" not in problems(to="hf", push="me/student-1.0")


def test_the_command_names_the_flag_that_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["export", str(SAMPLE), str(tmp_path / "out"), "--json"]) == 2
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["error"] == "--to is missing."
    assert "ollama" in said["way_out"]
