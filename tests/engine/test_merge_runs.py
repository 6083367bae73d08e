"""Merges as runs: what comes out loads, talks and is right; what is interrupted goes on; what is wrong is named."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from merging import failure_of, merged, new_merge, weights, write_model
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tiny import engine_environment, events_of, history_of, load, write_tokenizer

from core import events as ev
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.merge import job, stream
from core.home import Home
from core.models import inspect_model

pytestmark = [
    pytest.mark.usefixtures("in_process"),
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning"),  # peft, of transformers
]

LINEAR = "models:\n  - model: a\n    parameters: {weight: 0.75}\n  - model: b\n    parameters: {weight: 0.25}\nmerge_method: linear\n"
SHARDS = {"shard_bytes": 1_000_000}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a, b and c: tied Llamas; `untied` of the same widths."""
    folder = tmp_path_factory.mktemp("family")
    for seed, name in enumerate("abc"):
        write_model(folder / name, seed)
    write_model(folder / "untied", 3, tie_word_embeddings=False)
    return folder


def mean(folder: Path, a: float, b: float) -> dict[str, torch.Tensor]:
    return {name: a * tensor + b * weights(folder / "b")[name] for name, tensor in weights(folder / "a").items()}


def test_a_merged_model_loads_and_writes_text_as_its_inputs_do(home: Home, family: Path, tmp_path: Path):
    out = tmp_path / "deep" / "merged"
    (family / "a" / "chat_template.jinja").write_text(
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    try:
        assert merged(home, LINEAR, family, out=out) == out
    finally:
        (family / "a" / "chat_template.jinja").unlink()
    found, wanted = weights(out), mean(family, 0.75, 0.25)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor)
    model, tokenizer = load(out)
    assert model.generation_config.max_length == 40
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == 1
    prompt = tokenizer("Once upon a time", return_tensors="pt", return_token_type_ids=False)
    written = tokenizer.decode(model.generate(**prompt, do_sample=False, max_new_tokens=8)[0], skip_special_tokens=True)
    assert written.startswith("Once upon a time")
    talk = [{"role": "user", "content": "hi"}]
    assert tokenizer.apply_chat_template(talk, tokenize=False) == "<user>hi"
    assert not inspect_model(out).problems
    assert (out / "mergekit_config.yml").read_text() == LINEAR
    lineage = json.loads((out / "stillroom.json").read_text())
    assert set(lineage["merge"]["inputs"]) == {"a", "b"}
    assert "weight: 0.75" in (out / "README.md").read_text()
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("model_type", ["gpt2", "gpt_neox", "qwen3", "gemma3_text"])
def test_other_families_merge_too(home: Home, tmp_path: Path, model_type: str):
    for seed, name in enumerate("ab"):
        write_model(tmp_path / name, seed, model_type)
    text = "models: [{model: b}]\nbase_model: a\nmerge_method: slerp\nparameters: {t: 0.0}\n"
    out = merged(home, text, tmp_path)
    one, other = load(tmp_path / "a")[0], load(out)[0]
    ids = torch.arange(20)[None]
    torch.testing.assert_close(other(ids).logits, one(ids).logits, rtol=1e-5, atol=1e-5)


def test_an_old_file_without_the_prefix_is_read_as_it_is_meant(home: Home, tmp_path: Path):
    for seed, name in enumerate("ab"):
        write_model(tmp_path / name, seed, "gpt2")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in weights(tmp_path / "b").items()}
    bare |= {f"h.{layer}.attn.bias": torch.ones(1, 1, 128, 128) for layer in range(2)}
    save_file(bare, tmp_path / "b" / "model.safetensors", {"format": "pt"})
    found = weights(merged(home, LINEAR, tmp_path))
    wanted = 0.75 * weights(tmp_path / "a")["transformer.wte.weight"] + 0.25 * bare["wte.weight"]
    torch.testing.assert_close(found["transformer.wte.weight"], wanted)
    assert not [name for name in found if name.endswith(".attn.bias")]


def test_bf16_is_merged_in_full_precision_and_stored_as_asked(home: Home, tmp_path: Path):
    for seed, name in enumerate("ab"):
        write_model(tmp_path / name, seed, dtype=torch.bfloat16)
    found = weights(merged(home, LINEAR, tmp_path))
    for name, tensor in weights(tmp_path / "a").items():
        exact = 0.75 * tensor.float() + 0.25 * weights(tmp_path / "b")[name].float()
        assert torch.equal(found[name], exact.bfloat16())
    out = merged(home, LINEAR + "out_dtype: float32\n", tmp_path)
    assert {tensor.dtype for tensor in weights(out).values()} == {torch.float32}
    assert json.loads((out / "config.json").read_text())["dtype"] == "float32"


def test_a_tied_and_an_untied_model_become_an_untied_one(home: Home, family: Path):
    out = merged(home, LINEAR.replace("model: b", "model: untied"), family)
    found, tied, untied = weights(out), weights(family / "a"), weights(family / "untied")
    wanted = 0.75 * tied["model.embed_tokens.weight"] + 0.25 * untied["lm_head.weight"]
    torch.testing.assert_close(found["lm_head.weight"], wanted)
    assert json.loads((out / "config.json").read_text())["tie_word_embeddings"] is False
    model, _ = load(out)
    assert torch.equal(model.lm_head.weight, found["lm_head.weight"])


def test_layers_are_put_together_from_slices(home: Home, family: Path):
    text = """
slices:
  - sources: [{model: a, layer_range: [0, 2]}]
  - sources: [{model: b, layer_range: [1, 2]}]
  - sources: [{model: a, layer_range: [1, 2]}]
merge_method: passthrough
"""
    out = merged(home, text, family)
    found, a, b = weights(out), weights(family / "a"), weights(family / "b")
    q = "model.layers.{}.self_attn.q_proj.weight"
    for layer, wanted in enumerate([a[q.format(0)], a[q.format(1)], b[q.format(1)], a[q.format(1)]]):
        assert torch.equal(found[q.format(layer)], wanted)
    model, _ = load(out)
    assert model.config.num_hidden_layers == 4
    assert torch.isfinite(model(torch.arange(10)[None]).logits).all()


# --- adapters


@pytest.mark.parametrize(
    ("model_type", "options"),
    [
        ("llama", {}),
        ("llama", {"use_rslora": True, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"up_proj": 3}}),
        ("llama", {"use_dora": True}),
        ("llama", {"modules_to_save": ["norm"]}),
        ("gpt2", {"fan_in_fan_out": True}),
        ("gpt2", {"fan_in_fan_out": True, "use_dora": True}),
    ],
)
def test_an_adapter_is_merged_as_peft_does_it(home: Home, tmp_path: Path, model_type: str, options: dict):
    base = write_model(tmp_path / "base", 0, model_type)
    targets = ["c_attn", "c_fc"] if model_type == "gpt2" else ["q_proj", "up_proj", "down_proj"]
    torch.manual_seed(3)
    model = get_peft_model(load(base)[0], LoraConfig(r=4, lora_alpha=6, target_modules=targets, **options))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path / "adapter")
    out = merged(home, "models: [{model: base+adapter}]\nmerge_method: passthrough\n", tmp_path)
    wanted = model.merge_and_unload().state_dict()
    for name, tensor in weights(out).items():
        torch.testing.assert_close(tensor, wanted[name], rtol=1e-5, atol=1e-6)


def test_two_adapters_with_opposite_weights_are_merged_in_delta_space(home: Home, tmp_path: Path):
    base = write_model(tmp_path / "base", 0)
    full = {}
    for number in (1, 2):
        torch.manual_seed(number)
        model = get_peft_model(load(base)[0], LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False))
        model.save_pretrained(tmp_path / f"adapter{number}")
        full[number] = model.merge_and_unload().state_dict()
    text = """
models:
  - model: base+adapter1
    parameters: {weight: 1.0}
  - model: adapter2
    parameters: {weight: -1.0}
merge_method: task_arithmetic
base_model: base
"""
    file = tmp_path / "adapter2" / "adapter_config.json"
    settings = json.loads(file.read_text()) | {"base_model_name_or_path": str(base)}
    file.write_text(json.dumps(settings))
    found, name = weights(merged(home, text, tmp_path)), "model.layers.0.self_attn.q_proj.weight"
    torch.testing.assert_close(found[name], weights(base)[name] + full[1][name] - full[2][name], rtol=1e-5, atol=1e-5)


def test_an_adapter_for_another_base_is_refused(home: Home, tmp_path: Path):
    base = write_model(tmp_path / "base", 0)
    write_model(tmp_path / "wider", 0, hidden_size=64, head_dim=16)
    get_peft_model(load(base)[0], LoraConfig(r=4, target_modules=["q_proj"])).save_pretrained(tmp_path / "adapter")
    said = failure_of(home, "models: [{model: wider+adapter}]\nmerge_method: passthrough\n", tmp_path)
    assert "The adapter adapter is for another base: model.layers." in said
    assert "q_proj.weight is 64 × 64 in wider+adapter, and the adapter's is 32 × 32" in said


# --- trees


TREE = """
name: inner
models:
  - model: a
  - model: b
    parameters: {weight: 1.0, density: 0.5}
merge_method: dare_ties
base_model: a
---
models:
  - model: inner
  - model: c
merge_method: slerp
base_model: inner
parameters: {t: 0.25}
"""


def test_a_tree_is_the_same_streamed_or_kept(home: Home, family: Path):
    streamed = merged(home, TREE, family)
    run = new_merge(home, TREE, family, keep_intermediates=True)
    assert work(run, "cpu") == FINISHED
    kept = weights(run.artifacts / "model")
    for name, tensor in weights(streamed).items():
        assert torch.equal(tensor, kept[name])
    inner = Path(history_of(run).results["intermediates"]["inner"])
    text = TREE.split("---")[1].replace("inner", str(inner))
    by_hand = weights(merged(home, text, family))
    assert all(torch.equal(tensor, kept[name]) for name, tensor in by_hand.items())
    assert load(inner)[0].config.num_hidden_layers == 2


def test_the_seed_decides_what_is_drawn_and_threads_do_not(home: Home, family: Path):
    one, same = (weights(merged(home, TREE, family, seed=5)) for _ in range(2))
    other = weights(merged(home, TREE, family, seed=6))
    assert all(torch.equal(tensor, same[name]) for name, tensor in one.items())
    assert not all(torch.equal(tensor, other[name]) for name, tensor in one.items())


# --- interruptions


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Two models of several megabytes, so that a merge has several weight files."""
    for seed, name in enumerate("ab"):
        write_model(tmp_path / name, seed, hidden_size=96, head_dim=24, intermediate_size=512, num_hidden_layers=6)
    return tmp_path


def test_a_merge_that_was_stopped_takes_over_its_whole_files(home: Home, large: Path, monkeypatch: pytest.MonkeyPatch):
    whole = weights(merged(home, LINEAR, large, **SHARDS))
    run = new_merge(home, LINEAR, large, **SHARDS)
    stop_after_a_file(run, monkeypatch)
    assert work(run, "cpu") == STOPPED
    assert not (run.artifacts / "model").exists()
    monkeypatch.undo()
    run.stop_request.unlink()
    records = sorted((run.path / "merging").rglob("*.safetensors.json"))
    assert records
    spoilt = records[0].parent.parent / "model" / records[0].stem
    with spoilt.open("r+b") as file:  # one flipped byte
        file.seek(-7, os.SEEK_END)
        byte = file.read(1)
        file.seek(-7, os.SEEK_END)
        file.write(bytes([byte[0] ^ 1]))
    assert work(run, "cpu") == FINISHED
    said = [event.text for event in events_of(run, ev.NoticeRaised)]
    assert len(records) == 1 or any(text.startswith(f"{len(records) - 1} of") for text in said)
    found = weights(run.artifacts / "model")
    assert found.keys() == whole.keys()
    assert all(torch.equal(tensor, whole[name]) for name, tensor in found.items())
    assert load(run.artifacts / "model")[0].config.num_hidden_layers == 6
    assert not (run.path / "merging").exists()


def stop_after_a_file(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the run to stop as soon as its first weight file is whole, and write no other until it has heard."""
    record, begin = stream.write_json, stream.Stream.__init__
    streams = []

    def begun(self, *arguments):
        begin(self, *arguments)
        streams.append(self)

    def recorded(path, value):
        record(path, value)
        run.stop_request.write_text("keep")
        assert streams[-1]._ended.wait(60)

    monkeypatch.setattr(stream.Stream, "__init__", begun)
    monkeypatch.setattr(stream, "write_json", recorded)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="forks and kills with POSIX signals")
def test_a_merge_that_was_killed_leaves_no_half_model_and_goes_on(home: Home, large: Path):
    whole = weights(merged(home, LINEAR, large, **SHARDS))
    run = new_merge(home, LINEAR, large, out=large / "out", **SHARDS)
    with run.log.open("ab") as log:
        command = [sys.executable, "-m", "core.engine", str(run.path)]
        process = subprocess.Popen(command, env=engine_environment(), stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while not list((run.path / "merging").rglob("*.safetensors")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert not (large / "out").exists() or history_of(run).results
    if not (large / "out").exists():
        assert work(run, "cpu") == FINISHED, history_of(run).failure
    found = weights(large / "out")
    assert all(torch.equal(tensor, whole[name]) for name, tensor in found.items())
    assert not list(large.glob(".out*"))


def test_a_changed_input_begins_the_merge_anew(home: Home, large: Path, monkeypatch: pytest.MonkeyPatch):
    run = new_merge(home, LINEAR, large, **SHARDS)
    stop_after_a_file(run, monkeypatch)
    assert work(run, "cpu") == STOPPED
    monkeypatch.undo()
    run.stop_request.unlink()
    shutil.rmtree(large / "b")
    write_model(large / "b", 9, hidden_size=96, head_dim=24, intermediate_size=512, num_hidden_layers=6)
    assert work(run, "cpu") == FINISHED
    assert any("begins anew" in event.text for event in events_of(run, ev.NoticeRaised))
    found, wanted = weights(run.artifacts / "model"), mean(large, 0.75, 0.25)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor)


def test_a_disk_that_fills_up_at_the_last_file_leaves_no_model_and_the_run_goes_on_later(
    home: Home, large: Path, monkeypatch: pytest.MonkeyPatch
):
    run = new_merge(home, LINEAR, large, out=large / "out", **SHARDS)
    record = stream.write_json

    def full(path, value):
        if path.name.startswith("model-00003"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        record(path, value)

    monkeypatch.setattr(stream, "write_json", full)
    assert work(run, "cpu") == FAILED
    assert "The disk is full" in history_of(run).failure.what
    assert not (large / "out").exists()
    monkeypatch.undo()
    assert work(run, "cpu") == FINISHED
    torch.testing.assert_close(weights(large / "out"), mean(large, 0.75, 0.25))


def test_a_disk_without_room_is_said_before_anything_is_written(
    home: Home, family: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(job.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    said = failure_of(home, LINEAR, family)
    assert "of disk for" in said
    assert "1 kB are free" in said


# --- wrong input


def broken_copy(family: Path, to: Path, change) -> None:
    shutil.copytree(family / "b", to)
    tensors = load_file(to / "model.safetensors")
    change(tensors)
    save_file(tensors, to / "model.safetensors", {"format": "pt"})


def test_a_nan_is_found_and_its_tensor_named(home: Home, family: Path, tmp_path: Path):
    def spoil(tensors):
        tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")

    broken_copy(family, tmp_path / "b", spoil)
    text = LINEAR.replace("model: a", f"model: {family / 'a'}")
    assert "Tensor model.layers.1.mlp.up_proj.weight of b holds NaN" in failure_of(home, text, tmp_path)


def test_weights_that_cancel_are_refused_with_the_tensor(home: Home, family: Path):
    said = failure_of(home, LINEAR.replace("0.25", "-0.75"), family)
    assert "the weights 0.75, -0.75 sum to 0" in said
    assert "Tensor model." in said


def test_nothing_is_overwritten(home: Home, family: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    run = new_merge(home, LINEAR, family, out=tmp_path / "out")
    assert work(run, "cpu") == FAILED
    assert "is there already" in history_of(run).failure.what
    assert (tmp_path / "out" / "mine").read_text() == "kept"


# --- experts


@pytest.mark.parametrize("model_type", ["llama", "mistral", "qwen2", "qwen3"])
def test_a_mixture_of_one_donor_answers_as_the_donor(home: Home, tmp_path: Path, model_type: str):
    dense = write_model(tmp_path / "dense", 0, model_type)
    text = "base_model: dense\ngate_mode: uniform_random\nexperts: [{source_model: dense}, {source_model: dense}, {source_model: dense}]\n"
    out = merged(home, text, tmp_path)
    ids = torch.arange(3, 40)[None]
    model, tokenizer = load(out)
    torch.testing.assert_close(model(ids).logits, load(dense)[0](ids).logits, rtol=1e-4, atol=1e-4)
    assert tokenizer.eos_token_id == 1
    gates = [tensor for name, tensor in weights(out).items() if name.endswith(("moe.gate.weight", "mlp.gate.weight"))]
    assert len(gates) == 2
    assert all(gate.shape[0] == 3 and gate.std() > 0 for gate in gates)


@pytest.mark.parametrize("mode", ["hidden", "cheap_embed"])
def test_gates_listen_to_the_prompts_of_their_experts(home: Home, family: Path, mode: str):
    text = f"""
base_model: a
gate_mode: {mode}
experts_per_token: 1
experts:
  - source_model: b
    positive_prompts: ["Once upon a time"]
  - source_model: c
    positive_prompts: ["The little dog"]
    negative_prompts: ["A cat"]
    residual_scale: 0.5
"""
    out = merged(home, text, family)
    found = weights(out)
    down = "model.layers.0.mlp.down_proj.weight"
    expert = "model.layers.0.block_sparse_moe.experts.{}.w2.weight"
    assert torch.equal(found[expert.format(0)], weights(family / "b")[down])
    torch.testing.assert_close(found[expert.format(1)], 0.5 * weights(family / "c")[down])
    for layer in range(2):
        gate = found[f"model.layers.{layer}.block_sparse_moe.gate.weight"]
        torch.testing.assert_close(gate.norm(dim=-1), torch.ones(2))
    if mode == "hidden":
        model, tokenizer = load(family / "a")
        ids = torch.tensor([tokenizer("Once upon a time").input_ids])
        state = model(ids, output_hidden_states=True).hidden_states[1][0, -1]
        torch.testing.assert_close(found["model.layers.1.block_sparse_moe.gate.weight"][0], state / state.norm())
    assert load(out)[0].config.num_experts_per_tok == 1


# --- tokenizers


def with_token(folder: Path, token: str, special: bool = True) -> None:
    """The model with one more token and a row of its own for it."""
    model, tokenizer = load(folder)
    tokenizer.add_tokens([token], special_tokens=special)
    rows = torch.cat([model.get_input_embeddings().weight.data[: len(tokenizer) - 1], torch.full((1, 32), 0.5)])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.get_input_embeddings().weight.data.copy_(rows)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture
def speakers(tmp_path: Path) -> Path:
    for seed, (name, token) in enumerate({"a": "<a>", "b": "<b>"}.items()):
        write_tokenizer(write_model(tmp_path / name, seed))
        with_token(tmp_path / name, token)
    return tmp_path


def test_tokens_that_mean_different_things_are_not_merged_unasked(home: Home, speakers: Path):
    said = failure_of(home, LINEAR, speakers)
    assert "Its rows mean other tokens than those of a" in said
    assert "'<a>'" in said


def test_a_union_has_the_tokens_of_all_with_rows_from_who_has_them(home: Home, speakers: Path):
    out = merged(home, LINEAR + "tokenizer: {source: union, pad_to_multiple_of: 8}\n", speakers)
    model, tokenizer = load(out)
    vocabulary = tokenizer.get_vocab()
    table = weights(out)["model.embed_tokens.weight"]
    assert {"<a>", "<b>"} <= vocabulary.keys()
    assert len(table) % 8 == 0
    assert len(table) == model.config.vocab_size >= len(tokenizer)
    torch.testing.assert_close(table[vocabulary["<a>"]], torch.full((32,), 0.5))  # only a has it, so it is a's in both
    torch.testing.assert_close(table[vocabulary["<b>"]], torch.full((32,), 0.5))
    common = load(speakers / "a")[1].get_vocab()["the"] if "the" in vocabulary else 5
    wanted = (
        0.75 * weights(speakers / "a")["model.embed_tokens.weight"]
        + 0.25 * weights(speakers / "b")["model.embed_tokens.weight"]
    )
    torch.testing.assert_close(table[common], wanted[common])
    ids = tokenizer("Once <b> upon <a>").input_ids
    assert vocabulary["<a>"] in ids
    assert vocabulary["<b>"] in ids
    assert tokenizer.decode(ids, skip_special_tokens=True).split() == ["Once", "upon"]


def test_the_tokenizer_of_the_base_or_of_a_model_brings_its_own_ids(home: Home, speakers: Path):
    file = speakers / "b" / "generation_config.json"
    settings = json.loads(file.read_text()) | {"eos_token_id": [1, len(load(speakers / "b")[1]) - 1]}
    file.write_text(json.dumps(settings))
    base = merged(home, LINEAR + "tokenizer: {source: base}\n", speakers)
    assert "<a>" in load(base)[1].get_vocab()
    assert "<b>" not in load(base)[1].get_vocab()
    other = merged(home, LINEAR + "tokenizer_source: b\n", speakers)
    model, tokenizer = load(other)
    assert "<b>" in tokenizer.get_vocab()
    assert model.generation_config.eos_token_id == [1, tokenizer.get_vocab()["<b>"]]
    row = weights(other)["model.embed_tokens.weight"][tokenizer.get_vocab()["<b>"]]
    torch.testing.assert_close(row, torch.full((32,), 0.5))


def test_the_embedding_of_a_token_can_be_said(home: Home, speakers: Path):
    rules = "tokenizer:\n  source: union\n  tokens:\n    <a>: {source: {kind: zero}, force: true}\n"
    rules += "    <b>: {source: {kind: model_token, model: a, token_id: 7}}\n    <new>: {source: {kind: model_token, model: b, token: <b>}}\n"
    out = merged(home, LINEAR + rules, speakers)
    vocabulary, table = load(out)[1].get_vocab(), weights(out)["model.embed_tokens.weight"]
    a, b = (weights(speakers / name)["model.embed_tokens.weight"] for name in "ab")
    assert torch.equal(table[vocabulary["<a>"]], torch.zeros(32))
    own = load(speakers / "b")[1].get_vocab()["<b>"]
    torch.testing.assert_close(table[vocabulary["<b>"]], 0.75 * a[7] + 0.25 * b[own])
    torch.testing.assert_close(table[vocabulary["<new>"]], b[own])


def test_a_chat_template_is_chosen(home: Home, family: Path, tmp_path: Path):
    for name, template in (("a", None), ("b", "B {{ messages[0].content }}"), ("c", "B {{ messages[0].content }}")):
        shutil.copytree(family / name, tmp_path / name)
        if template:
            (tmp_path / name / "chat_template.jinja").write_text(template)
    text = "models: [{model: a}, {model: b}, {model: c}]\nmerge_method: linear\nparameters: {weight: 1}\nchat_template: auto\n"
    tokenizer = load(merged(home, text, tmp_path))[1]
    assert tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "B hi"
    tokenizer = load(merged(home, text.replace("auto", "chatml"), tmp_path))[1]
    said = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
    )
    assert said == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_a_tokenizer_carries_over_through_a_tree(home: Home, speakers: Path):
    text = f"name: inner\n{LINEAR}tokenizer: {{source: union}}\n---\n"
    text += "models: [{model: inner}]\nmerge_method: passthrough\nparameters: {scale: 1.0}\n"
    out = merged(home, text, speakers)
    vocabulary = load(out)[1].get_vocab()
    assert {"<a>", "<b>"} <= vocabulary.keys()
    assert len(weights(out)["model.embed_tokens.weight"]) == load(out)[0].config.vocab_size


def test_progress_goes_by_bytes_to_the_end(home: Home, family: Path):
    run = new_merge(home, LINEAR, family)
    assert work(run, "cpu") == FINISHED
    shares = [event.share for event in events_of(run, ev.PhaseProgressed) if event.phase == "merging"]
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
