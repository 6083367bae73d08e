"""An adapter merged into its base says what the two said together, to 1e-5; one that doesn't fit is refused in words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from tiny import history_of, tiny_model, write_tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel

from core.adapters import MergeAdapterRecipe, base_of, read_adapter, trouble_with_base
from core.engine.__main__ import FINISHED, work
from core.engine.adapters import merge
from core.errors import BadModel
from core.models import inspect_model
from core.runs import new_run

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

IDS = torch.arange(3, 60)[None]
LAYERS = {
    "llama": ["q_proj", "v_proj", "down_proj"],
    "gpt2": ["c_attn", "c_proj"],
    "gpt_neox": ["query_key_value", "dense_h_to_4h"],
}


def write_base(folder: Path, family: str = "llama", **changes) -> Path:
    tiny_model(family, seed=1, **changes).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_adapter(base: Path, folder: Path, family: str = "llama", seed: int = 0, **changes) -> Path:
    """An adapter as PEFT writes it, with weights that matter."""
    fields = {"r": 4, "lora_alpha": 12, "target_modules": LAYERS[family], "fan_in_fan_out": family == "gpt2"}
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(task_type="CAUSAL_LM", **(fields | changes))
    )
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.add_(0.05 * torch.randn_like(weight))
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


@torch.no_grad()
def scores(model: PreTrainedModel) -> torch.Tensor:
    return model(input_ids=IDS).logits


@pytest.mark.parametrize("family", LAYERS)
@pytest.mark.parametrize(
    "kind",
    [{}, {"use_rslora": True}, {"use_dora": True}, {"patterns": True}],
    ids=["lora", "rslora", "dora", "patterns"],
)
def test_the_merged_model_says_what_base_and_adapter_say_together(tmp_path, family, kind):
    base = write_base(tmp_path / "base", family)
    if kind.get("patterns"):
        first, second = LAYERS[family][:2]
        kind = {"rank_pattern": {first: 2}, "alpha_pattern": {second: 3}}
    adapter = write_adapter(base, tmp_path / "adapter", family, **kind)
    merge(base, [(read_adapter(adapter), 1.0)], tmp_path / "merged")
    together = scores(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter))
    alone = scores(AutoModelForCausalLM.from_pretrained(base))
    merged = scores(AutoModelForCausalLM.from_pretrained(tmp_path / "merged"))
    assert (together - alone).abs().max() > 0.05
    assert (merged - together).abs().max() < 1e-5


def test_a_stack_is_the_sum_of_the_deltas_each_by_its_scale(tmp_path):
    base = write_base(tmp_path / "base")
    stack = [
        (write_adapter(base, tmp_path / "a", seed=1), 0.7),
        (write_adapter(base, tmp_path / "b", seed=2, use_rslora=True), -0.4),
        (write_adapter(base, tmp_path / "c", seed=3, use_dora=True), 1.5),
    ]
    merge(base, [(read_adapter(folder), scale) for folder, scale in stack], tmp_path / "merged")
    [found] = (tmp_path / "merged").glob("*.safetensors")
    [plain] = base.glob("*.safetensors")
    merged, before = load_file(found), load_file(plain)
    expected = {name: weight.double() for name, weight in before.items()}
    for folder, scale in stack:
        one = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder).double().merge_and_unload()
        for name, weight in one.state_dict().items():
            if name in expected:
                expected[name] = expected[name] + scale * (weight - before[name].double())
    for name, weight in expected.items():
        assert (merged[name].double() - weight).abs().max() < 2e-7, name


def test_an_adapter_on_bfloat16_weights_is_merged_without_rounding(tmp_path):
    base = tmp_path / "base"
    tiny_model(seed=1).to(torch.bfloat16).save_pretrained(base)
    write_tokenizer(base)
    adapter = write_adapter(base, tmp_path / "adapter")
    merge(base, [(read_adapter(adapter), 1.0)], tmp_path / "merged")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    together = scores(PeftModel.from_pretrained(model, adapter))
    merged = scores(AutoModelForCausalLM.from_pretrained(tmp_path / "merged"))
    assert (merged - together).abs().max() < 1e-5
    merge(base, [(read_adapter(adapter), 1.0)], tmp_path / "rounded", "base")
    assert next(iter(load_file(tmp_path / "rounded" / "model.safetensors").values())).dtype is torch.bfloat16


def test_a_base_in_several_files_is_merged_file_by_file(tmp_path):
    base = tmp_path / "base"
    tiny_model(seed=1).save_pretrained(base, max_shard_size="40KB")
    write_tokenizer(base)
    adapter = write_adapter(base, tmp_path / "adapter")
    merge(base, [(read_adapter(adapter), 1.0)], tmp_path / "merged")
    assert len(list((tmp_path / "merged").glob("*.safetensors"))) > 1
    together = scores(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter))
    assert (scores(AutoModelForCausalLM.from_pretrained(tmp_path / "merged")) - together).abs().max() < 1e-5


def test_a_base_that_is_gone_changed_or_another_is_refused(tmp_path):
    base = write_base(tmp_path / "base")
    adapter = write_adapter(base, tmp_path / "adapter")
    other = write_base(tmp_path / "other", hidden_size=48)
    with pytest.raises(BadModel, match="does not fit the layer"):
        base_of(read_adapter(adapter), other)
    said = {"run": "r", "base": {"path": str(base), "fingerprint": inspect_model(base).fingerprint}}
    (adapter / "stillroom.json").write_text(json.dumps(said))
    assert base_of(read_adapter(adapter), base) == base
    with pytest.raises(BadModel, match="are not those that adapter was trained on"):
        base_of(read_adapter(adapter), write_base(tmp_path / "retrained", bos_token_id=0, initializer_range=0.3))
    assert trouble_with_base(adapter) is None
    shutil.rmtree(base)
    assert "is not there any more" in (trouble_with_base(adapter) or "")
    with pytest.raises(BadModel, match="is not there any more"):
        base_of(read_adapter(adapter))


def test_an_adapter_of_another_kind_is_refused_by_name(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "PROMPT_TUNING"}))
    with pytest.raises(BadModel, match="of the kind PROMPT_TUNING"):
        read_adapter(tmp_path)


@pytest.mark.usefixtures("in_process")
def test_merging_is_a_run_and_what_it_writes_names_its_parts(home, tmp_path):
    base = write_base(tmp_path / "base")
    adapter, out = write_adapter(base, tmp_path / "adapter"), tmp_path / "merged"
    recipe = MergeAdapterRecipe(adapters=(str(adapter),), scales=(0.5,), out=str(out), device="cpu").check()
    run = new_run(home, recipe)
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    said = json.loads((out / "stillroom.json").read_text())
    assert said["merged"] == [{"path": str(adapter), "scale": 0.5}]
    assert "there already" in recipe.problems()[0].text
