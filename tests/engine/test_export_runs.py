"""Whole exports: the run writes, loads, compares, and puts the result in its place, or leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import history_of, put_back, write_teacher
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.engine import export
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.exporting import gguf_file, ollama
from core.engine.exporting.gguf_file import read_manners
from core.export import ExportRecipe
from core.files import read_json, write_json
from core.home import Home
from core.models import inspect_model
from core.runs import KEEP, RunFolder, new_run
from core.templates import settled

TEMPLATE = settled("plain", start="", end="</s>", has_token=lambda _: False)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model of ours: a template, a licence, a lineage with this machine's paths."""
    folder = write_teacher(tmp_path_factory.mktemp("models") / "tiny-student")
    settings = read_json(folder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", settings | {"chat_template": TEMPLATE})
    write_json(
        folder / "generation_config.json",
        {"eos_token_id": [1], "pad_token_id": 2, "temperature": 0.7, "do_sample": True},
    )
    write_json(
        folder / "stillroom.json",
        {"run": "r", "teacher": {"path": "/home/me/models/teacher"}, "data": ["/home/me/text.txt"]},
    )
    (folder / "README.md").write_text(
        "---\nlibrary_name: transformers\nlicense: other\n---\n\n# Tiny\n", encoding="utf-8"
    )
    return folder


def new_export(home: Home, model: Path, **fields: Any) -> RunFolder:
    quick = {"new_tokens": 8, "compared_tokens": 200, "device": "cpu"}
    return new_run(home, ExportRecipe(**({"model": str(model), **quick} | fields)).check())


def done(run: RunFolder) -> dict[str, Any]:
    with put_back():
        assert work(run, "cpu") == FINISHED, history_of(run).failure
    return dict(history_of(run).results)


def test_a_gguf_file_takes_its_place_once_it_answers_as_the_model_does(
    home: Home, student: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shipped.gguf"
    results = done(new_export(home, student, to="gguf", type="f32", out=str(out)))
    checked = results["check"]
    assert checked["prompts"] == checked["equal_answers"] == 10
    assert checked["agreement"] == pytest.approx(1)
    assert (checked["template"], checked["stops"]) == ("same", [1])
    assert results["files"] == ["shipped.gguf"]
    assert results["size_bytes"] == out.stat().st_size
    assert read_manners(out).template == TEMPLATE
    assert [file.name for file in tmp_path.iterdir() if file.name != "home"] == ["shipped.gguf"]
    again = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="shipped.gguf")
    assert again.num_parameters() == inspect_model(student).parameters


def test_a_folder_is_clean_and_keeps_manners_and_licence(home: Home, student: Path, tmp_path: Path) -> None:
    out = tmp_path / "shipped"
    results = done(new_export(home, student, to="hf", type="f16", out=str(out), shard_bytes=30_000, license="mit"))
    assert sum(name.endswith(".safetensors") for name in results["files"]) > 1
    assert inspect_model(out).dtypes == ("F16",)
    said = read_json(out / "generation_config.json")
    assert (said["eos_token_id"], said["temperature"]) == ([1], 0.7)
    assert AutoTokenizer.from_pretrained(out).chat_template == TEMPLATE
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlicense: mit\nlibrary_name: transformers\n---\n\n# Tiny\n")
    assert "as hf (f16) from tiny-student" in card
    assert read_json(out / "stillroom.json") == {"run": "r", "teacher": {"path": "teacher"}, "data": ["text.txt"]}
    assert "/home/me" not in "".join(file.read_text() for file in out.glob("*.json"))


@pytest.mark.parametrize(("to", "most"), [("int8", 0.01), ("int4", 0.15)])
def test_weights_in_few_bits_are_loaded_again_by_transformers(
    home: Home, student: Path, tmp_path: Path, to: str, most: float
) -> None:
    pytest.importorskip("torchao")
    out = tmp_path / to
    results = done(new_export(home, student, to=to, out=str(out)))
    assert inspect_model(out).quantization == "torchao"
    original, quantized = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) for folder in (student, out)
    )
    assert original.lm_head.weight.equal(quantized.lm_head.weight)  # the head is kept
    wanted = original.model.layers[0].mlp.up_proj.weight
    found = quantized.model.layers[0].mlp.up_proj.weight.dequantize()
    assert 0 < ((found - wanted).norm() / wanted.norm()).item() < most
    assert results["check"]["runtime"].startswith("transformers")


@pytest.mark.slow
def test_a_graph_is_asked_by_onnx_runtime_itself(home: Home, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    student = write_teacher(tmp_path / "small", num_hidden_layers=1)  # torch captures a layer in four seconds
    results = done(new_export(home, student, to="onnx", out=str(tmp_path / "graph")))
    assert results["check"]["runtime"].startswith("ONNX Runtime")
    assert results["check"]["equal_answers"] == 10
    assert {"model.onnx", "tokenizer.json", "generation_config.json"} <= set(results["files"])


def test_ollama_gets_a_file_and_a_modelfile(home: Home, student: Path, tmp_path: Path) -> None:
    results = done(new_export(home, student, to="ollama", out=str(tmp_path / "box")))
    assert results["files"] == ["Modelfile", "tiny-student-q8_0.gguf"]
    text = (tmp_path / "box" / "Modelfile").read_text()
    assert ollama.stops_in(text) == ["</s>"]
    assert "FROM ./tiny-student-q8_0.gguf" in text
    assert '{{ "User: " }}' in text


@pytest.mark.parametrize("lost", ["stop token", "template", "rotation"])
def test_an_export_that_went_wrong_is_caught_and_not_kept(
    lost: str, home: Home, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lost == "rotation":
        monkeypatch.setattr(gguf_file, "_interleaved", lambda tensor, heads: tensor)
    elif lost == "template":
        monkeypatch.setattr(gguf_file.gguf.GGUFWriter, "add_chat_template", lambda self, text: None)
    else:
        write = gguf_file.add_vocabulary

        def other_end(writer: Any, vocabulary: Any) -> None:
            from dataclasses import replace

            write(writer, replace(vocabulary, eos=5))

        monkeypatch.setattr(gguf_file, "add_vocabulary", other_end)
        monkeypatch.setattr(gguf_file, "_add_manners", lambda *_: None)
    run = new_export(home, student, to="gguf", type="f32", out=str(tmp_path / "m.gguf"))
    with put_back():
        assert work(run, "cpu") == FAILED
    failure = history_of(run).failure
    assert failure is not None
    assert {"stop token": "does not stop at", "template": "no chat template", "rotation": "export"}[
        lost
    ] in failure.what
    assert "did not foresee" not in failure.what
    assert [file.name for file in tmp_path.iterdir()] == ["home"]


def test_a_template_s_own_end_becomes_a_stop_token(home: Home, student: Path, tmp_path: Path) -> None:
    import shutil

    folder = shutil.copytree(student, tmp_path / "tuned")
    ends = TEMPLATE.replace("</s>", "<pad>")  # a special token that the model's settings don't stop at
    settings = read_json(folder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", settings | {"chat_template": ends})
    run = new_export(home, folder, to="gguf", type="f32", out=str(tmp_path / "m.gguf"))
    assert done(run)["check"]["stops"] == [1, 2]
    assert read_manners(tmp_path / "m.gguf").stops == (1, 2)
    assert any("ends answers with <pad>" in notice.text for notice in history_of(run).notices)


def test_a_killed_export_begins_again_and_a_finished_one_is_not_done_twice(
    home: Home, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m.gguf"
    run = new_export(home, student, to="gguf", type="f32", out=str(out))
    beside = out.with_name(f".m.{run.id[-4:]}.part.gguf")
    beside.write_bytes(b"half a file that a killed engine left")
    results = done(run)
    assert not beside.exists()
    monkeypatch.setattr(export.Export, "make", None)  # killed between the rename and the last word
    assert done(run) == results


def test_a_stop_leaves_nothing_half_done(home: Home, student: Path, tmp_path: Path) -> None:
    run = new_export(home, student, to="gguf", out=str(tmp_path / "m.gguf"))
    run.stop_request.write_text(KEEP)
    with put_back():
        assert work(run, "cpu") == STOPPED
    assert [file.name for file in tmp_path.iterdir()] == ["home"]


def test_an_adapter_and_a_quantized_model_are_sent_back(home: Home, student: Path, tmp_path: Path) -> None:
    import shutil

    folder = shutil.copytree(student, tmp_path / "quantized")
    config = read_json(folder / "config.json") | {"quantization_config": {"quant_method": "gptq"}}
    (folder / "config.json").write_text(json.dumps(config))
    run = new_export(home, folder, to="hf", out=str(tmp_path / "o"))
    with put_back():
        assert work(run, "cpu") == FAILED
    failure = history_of(run).failure
    assert failure is not None
    assert "quantized already (gptq)" in failure.what
